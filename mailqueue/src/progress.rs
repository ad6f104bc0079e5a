//! How far a message has come: the facts that a spool keeps beside the envelope.

use std::time::Duration;

use crate::{MessageId, UnixMicros};

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
        /// How many attempts before it, in a row, ended without an outcome: a message that kills the process is known by
        /// them.
        interrupted: u32,
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
        /// To whom.
        handed: Handed,
        /// What was said.
        detail: Detail,
        /// Whether the sender waits for word of it.
        word: Word,
    },
    /// It will not be tried again.
    Failed {
        /// How many attempts were made.
        attempts: u32,
        /// Since when.
        at: UnixMicros,
        /// The reason in a word.
        why: Failure,
        /// What was said last.
        detail: Detail,
        /// Whether the sender waits for word of it.
        word: Word,
    },
}

/// Who has a message that was delivered: what to tell a sender who asked (RFC 3461 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handed {
    /// The recipient's mailbox.
    Mailbox,
    /// A server that sends what notifications the sender wants.
    WithDuty,
    /// A server that does not know how (RFC 3461 §5.2.2): the sender is told that the message was relayed.
    Relayed,
}

/// Whether the sender is still to be told what became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// A notification is due, and goes out before the message is forgotten.
    Due,
    /// Nobody waits for one, or it was queued.
    Said,
}

/// Why a recipient will not be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The next hop, or the transport, said never.
    Refused,
    /// It was tried for as long as the schedule allows.
    Expired,
    /// It was wanted by a time that has passed (RFC 2852 §4.1.4).
    Late,
    /// An operator returned it.
    Bounced,
}

impl Failure {
    /// A word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Late => "late",
            Self::Bounced => "bounced",
        }
    }
}

/// Why a message stays where it is until someone releases it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// Someone asked for it.
    Asked,
    /// Attempts to deliver it ended without an outcome, again and again: it may be what kills the process.
    Poison,
    /// The spool cannot read its octets any more.
    Damaged,
}

impl Held {
    /// A word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Poison => "poison",
            Self::Damaged => "damaged",
        }
    }
}

/// A fact about a stored message, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The named recipients have come this far. An attempt is noted before it is dialled, its outcomes before the next.
    Progress(Vec<(u32, Progress)>),
    /// The message stays where it is.
    Hold(Held),
    /// It may go on.
    Release,
    /// The sender was told that it is late (RFC 3461 §4.1, DELAY).
    Warned,
    /// The message is finished with, and its octets may be forgotten.
    Done,
}

/// Until when a message can be left alone. It is written down with each fact, so that a spool says when a message is
/// needed without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// It is needed now.
    Now,
    /// Not before a wait is over. A wait is kept, and when it began: a wall clock that was set back in between prolongs it
    /// by nothing.
    After {
        /// When the wait began.
        since: UnixMicros,
        /// How long it is.
        wait: Duration,
    },
    /// Only when someone asks for it: it is held.
    Asked,
}

/// How much facts survive once they are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Synced {
    /// Everything: they are on the disk.
    Now,
    /// The end of the process. A power cut or a failing disk may take them until something is synced that was recorded
    /// later: whoever finds that finds them too. [`Note::Done`] does not wait, whatever is said here.
    Later,
}

/// Facts about one message that become durable together, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The message.
    pub id: MessageId,
    /// What is new.
    pub notes: Vec<Note>,
    /// Until when it can be left alone from now on.
    pub wake: Wake,
    /// What they have to survive.
    pub synced: Synced,
}
