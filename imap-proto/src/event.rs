//! What happens in a session: questions for the application, and news. Messages are named by UID, mailboxes in UTF-8.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::{
    Addressing, DateTime, Echo, FetchItem, FlagChange, Flags, ListPattern, LiteralKind, SearchKey, Secret, StatusItem,
    UidSet, Violation,
};

/// Something that happened. Each variant is a question, which waits for the answer that its text names, or news.
///
/// [`accept`](crate::ServerSession::accept) says `OK` to a question where nothing else is named,
/// [`reply`](crate::ServerSession::reply) says it in the application's words or refuses, and
/// [`decline`](crate::ServerSession::decline) refuses any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Question, asked before anything else: [`accept`](crate::ServerSession::accept) greets,
    /// [`authenticated`](crate::ServerSession::authenticated) greets a client that needs no login, a negative
    /// [`reply`](crate::ServerSession::reply) turns it away.
    Connected,
    /// Question: LOGIN. [`authenticated`](crate::ServerSession::authenticated) lets the user in, a negative reply does not.
    Login {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// Question: AUTHENTICATE. [`challenge`](crate::ServerSession::challenge) goes on,
    /// [`authenticated`](crate::ServerSession::authenticated) lets the user in, a negative reply ends the exchange.
    Authenticate {
        /// One of the mechanisms offered, as the configuration spells it.
        mechanism: String,
        /// The initial response, if one was sent.
        initial: Option<Secret>,
    },
    /// Question: the client answered a challenge. Answered as [`Authenticate`](Self::Authenticate).
    SaslResponse(Secret),
    /// News: the client broke the SASL exchange off (`*`).
    SaslCancelled,
    /// Question: SELECT or EXAMINE. The mailbox that was selected before is not any more, whatever the answer.
    /// [`select`](crate::ServerSession::select) opens this one.
    Select {
        /// The mailbox.
        mailbox: String,
        /// SELECT asks for `ReadWrite`, EXAMINE for `ReadOnly`.
        access: Access,
    },
    /// Question: CREATE.
    Create(String),
    /// Question: DELETE.
    Delete(String),
    /// Question: RENAME.
    Rename {
        /// The name it has.
        from: String,
        /// The name it shall have.
        to: String,
    },
    /// Question: SUBSCRIBE.
    Subscribe(String),
    /// Question: UNSUBSCRIBE.
    Unsubscribe(String),
    /// Question: LIST. [`list_entry`](crate::ServerSession::list_entry) for each mailbox that matches.
    List(List),
    /// Question: LSUB. [`list_entry`](crate::ServerSession::list_entry) for each subscribed name that matches.
    Lsub(List),
    /// Question: STATUS. [`status`](crate::ServerSession::status), then the end.
    Status {
        /// The mailbox.
        mailbox: String,
        /// What is wanted. What else is known need not be found out.
        items: Vec<StatusItem>,
    },
    /// Question: APPEND, before its message came. [`accept`](crate::ServerSession::accept) lets it come, as [`Chunk`](Self::Chunk)s
    /// and an [`End`](Self::End); a negative reply refuses it.
    Append(Append),
    /// News: octets of the message.
    Chunk(Bytes),
    /// Question: the message is complete. Say `OK` when it is stored for good.
    End,
    /// News: the message came, but its command was broken behind it. It is not to be stored.
    Aborted,
    /// Question: NOOP or CHECK with a mailbox selected. A time to look for changes.
    Poll,
    /// Question: FETCH. For each message [`fetch_begin`](crate::ServerSession::fetch_begin), its items, and
    /// [`fetch_end`](crate::ServerSession::fetch_end).
    Fetch(Fetch),
    /// Question: STORE. Unless it is silent, each message's flags are told as by FETCH.
    Store(Store),
    /// Question: COPY. The reply has [`CopyUid`](crate::Code::CopyUid), or [`TryCreate`](crate::Code::TryCreate).
    Copy(Copy),
    /// Question: MOVE. [`copied`](crate::ServerSession::copied), then [`changed`](crate::ServerSession::changed) with those that are
    /// gone, then the end.
    Move(Copy),
    /// Question: EXPUNGE. Then [`changed`](crate::ServerSession::changed) with those that are gone, then the end.
    Expunge {
        /// Only these; `None` for all that are `\Deleted`.
        uids: Option<UidSet>,
    },
    /// Question: SEARCH. [`search_results`](crate::ServerSession::search_results), then the end.
    Search {
        /// The condition.
        key: SearchKey,
    },
    /// Question: CLOSE or UNSELECT. When it is answered with `OK`, no mailbox is selected.
    Close {
        /// Whether messages with `\Deleted` are to go; nobody is told.
        expunge: bool,
    },
    /// News: the client idles. [`changed`](crate::ServerSession::changed) is told as it comes, until [`Done`](Self::Done).
    Idle,
    /// News: the client stopped idling.
    Done,
    /// Question: these messages were reported as touched. For each, tell its flags as for FETCH, then
    /// [`accept`](crate::ServerSession::accept).
    Tell {
        /// The messages.
        uids: UidSet,
    },
    /// News: the client named itself (RFC 2971 §3.1), and was answered.
    Id(Vec<(String, Option<String>)>),
    /// News: the client logs out. Let all go.
    Logout,
    /// News: the peer did something wrong, and was told.
    Violation(Violation),
}

/// Whether a mailbox can be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// It can.
    #[default]
    ReadWrite,
    /// It cannot.
    ReadOnly,
}

/// What LIST or LSUB asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct List {
    /// Names wanted, those of any one pattern. The reference is in them.
    pub patterns: Vec<ListPattern>,
}

/// What APPEND announces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Append {
    /// Where the message goes.
    pub mailbox: String,
    /// The flags it gets.
    pub flags: Flags,
    /// The INTERNALDATE it gets; `None` for now.
    pub date: Option<DateTime>,
    /// How many octets it has.
    pub size: u64,
    /// Whether the client waits for the answer before it sends the message.
    pub literal: LiteralKind,
}

/// What FETCH asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetch {
    /// The messages; none that is known to be gone.
    pub uids: UidSet,
    /// What to tell of each. UID is not among them: the engine tells it where it is due.
    pub items: Vec<FetchItem>,
}

/// What STORE asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Store {
    /// The messages; none that is known to be gone.
    pub uids: UidSet,
    /// What happens to their flags.
    pub change: FlagChange,
    /// Whether the flags that come of it are told.
    pub echo: Echo,
}

/// What COPY or MOVE asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copy {
    /// The messages; none that is known to be gone.
    pub uids: UidSet,
    /// Where they go.
    pub mailbox: String,
    /// Whether the client names them by number or by UID.
    pub by: Addressing,
}

impl Event {
    /// Whether the engine waits for an answer.
    #[must_use]
    pub const fn is_question(&self) -> bool {
        match self {
            Self::Connected
            | Self::Login { .. }
            | Self::Authenticate { .. }
            | Self::SaslResponse(_)
            | Self::Select { .. }
            | Self::Create(_)
            | Self::Delete(_)
            | Self::Rename { .. }
            | Self::Subscribe(_)
            | Self::Unsubscribe(_)
            | Self::List(_)
            | Self::Lsub(_)
            | Self::Status { .. }
            | Self::Append(_)
            | Self::End
            | Self::Poll
            | Self::Fetch(_)
            | Self::Store(_)
            | Self::Copy(_)
            | Self::Move(_)
            | Self::Expunge { .. }
            | Self::Search { .. }
            | Self::Close { .. }
            | Self::Tell { .. } => true,
            Self::SaslCancelled
            | Self::Chunk(_)
            | Self::Aborted
            | Self::Idle
            | Self::Done
            | Self::Id(_)
            | Self::Logout
            | Self::Violation(_) => false,
        }
    }

    /// The bulk data that the event carries.
    #[must_use]
    pub const fn chunk(&self) -> Option<&Bytes> {
        match self {
            Self::Chunk(octets) => Some(octets),
            Self::Connected
            | Self::Login { .. }
            | Self::Authenticate { .. }
            | Self::SaslResponse(_)
            | Self::SaslCancelled
            | Self::Select { .. }
            | Self::Create(_)
            | Self::Delete(_)
            | Self::Rename { .. }
            | Self::Subscribe(_)
            | Self::Unsubscribe(_)
            | Self::List(_)
            | Self::Lsub(_)
            | Self::Status { .. }
            | Self::Append(_)
            | Self::End
            | Self::Aborted
            | Self::Poll
            | Self::Fetch(_)
            | Self::Store(_)
            | Self::Copy(_)
            | Self::Move(_)
            | Self::Expunge { .. }
            | Self::Search { .. }
            | Self::Close { .. }
            | Self::Idle
            | Self::Done
            | Self::Tell { .. }
            | Self::Id(_)
            | Self::Logout
            | Self::Violation(_) => None,
        }
    }
}
