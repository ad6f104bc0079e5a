//! What becomes of a visit.

use crate::{Close, Reply};

/// What became of a visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages in the list.
    pub offered: usize,
    /// Messages that the application took.
    pub received: usize,
    /// Messages that the server did not give out.
    pub refused: usize,
    /// Messages that the server has marked. They are gone when [`goodbye`](Self::goodbye) is positive; when it is not, or is
    /// missing, they may be there again.
    pub deleted: usize,
    /// Messages that were to be deleted, and the server refused.
    pub not_deleted: usize,
    /// The reply to QUIT; `None` where none came.
    pub goodbye: Option<Reply>,
    /// What went wrong, if anything: the first of it.
    pub trouble: Option<Trouble>,
}

impl Report {
    /// What is held before it is told.
    pub(super) fn memory(&self) -> usize {
        self.trouble.as_ref().and_then(Trouble::reply).map_or(0, Reply::memory)
    }
}

/// What went wrong with a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server turned us away.
    Greeting(Reply),
    /// TLS is required and not offered, or was offered and failed. Nobody has logged in.
    Tls,
    /// The server offers no way to log in thus: it has not the mechanism, or no timestamp for APOP, or takes no such name; or
    /// name or password hold what no command can say.
    Lacking,
    /// The login was refused.
    Login(Reply),
    /// LIST was refused. What UIDL named was offered.
    List(Reply),
    /// QUIT was refused: some of the messages marked are still there (RFC 1939 §6).
    Update(Reply),
    /// The session ended too early.
    Lost(Close),
}

impl Trouble {
    /// What the server said, where that is the trouble.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Greeting(reply) | Self::Login(reply) | Self::List(reply) | Self::Update(reply) => Some(reply),
            Self::Tls | Self::Lacking | Self::Lost(_) => None,
        }
    }
}
