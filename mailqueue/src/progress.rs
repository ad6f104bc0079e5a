//! How far a message has come: the facts that a spool keeps beside the envelope.

use crate::UnixMicros;

/// The longest text a [`Detail`] keeps of each part, in octets. A remote server may say more; nobody reads it, and it
/// would be stored with each attempt.
pub const DETAIL_LIMIT: usize = 512;

/// What was said about an attempt: enough for a log line now and for a delivery status notification later
/// (RFC 3464 §2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The words, usually the other server's reply.
    pub text: String,
    /// An enhanced status code such as `4.4.1` (RFC 3463 §2), or empty.
    pub status: String,
    /// The host that said it, or empty.
    pub remote: String,
}

impl Detail {
    /// The same, each part cut to [`DETAIL_LIMIT`] octets at a character's edge.
    pub(crate) fn bounded(mut self) -> Self {
        for part in [&mut self.text, &mut self.status, &mut self.remote] {
            part.truncate(part.floor_char_boundary(DETAIL_LIMIT));
        }
        self
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

/// How far one recipient has come. Times are of the wall clock, since they outlive the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Never tried.
    #[default]
    Fresh,
    /// An attempt was about to begin. Found after a restart, it means that its outcome is not known.
    Trying {
        /// Counts from one.
        attempt: u32,
        /// When it began.
        since: UnixMicros,
    },
    /// The last attempt failed for now.
    Deferred {
        /// How many were made.
        attempts: u32,
        /// When the last one ended.
        at: UnixMicros,
        /// When the next one is due.
        until: UnixMicros,
        /// What was said.
        detail: Detail,
    },
    /// The next hop has it.
    Delivered {
        /// Since when.
        at: UnixMicros,
    },
    /// Nothing happens until someone looks at it.
    Held {
        /// How many attempts were made.
        attempts: u32,
        /// Since when.
        at: UnixMicros,
        /// The reason in a word.
        why: Held,
        /// What was said last.
        detail: Detail,
    },
}

/// Why a recipient is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// The transport said that it will never work.
    Failed,
    /// It was tried for as long as the schedule allows.
    Expired,
    /// The spool cannot read the message's octets any more.
    Damaged,
}

impl Held {
    /// A word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Damaged => "damaged",
        }
    }
}

/// A fact about a stored message, to be made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The named recipients have come this far. An attempt is noted before it is dialled, its outcomes before the next.
    Progress(Vec<(u32, Progress)>),
    /// Someone asked that the message stay where it is.
    Hold,
    /// Someone asked that it go on.
    Release,
    /// The message is finished with, and its octets may be forgotten.
    Done,
}
