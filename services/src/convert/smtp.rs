//! What became of mail, between mail transfer, the queue and the store.

use mailqueue::{CommitError, Detail, Handed, Outcome};
use mailstore::error::{AppendError, Trouble};
use smtp_proto::{Enhanced, Reply, ReplyCode};

use crate::directory::Why;
use crate::outbound::{Fate, Fault, NoWay, Word};
use crate::routes::Refusal;

/// What a 250 to the end of a message needs: a message that is durable. Made from either crate's `Custody`, and from nothing
/// else.
#[derive(Debug)]
pub(crate) struct Accepted {
    name: String,
}

impl From<mailqueue::Custody> for Accepted {
    fn from(custody: mailqueue::Custody) -> Self {
        Self { name: custody.id().to_string() }
    }
}

impl From<mailstore::Custody> for Accepted {
    fn from(custody: mailstore::Custody) -> Self {
        Self { name: custody.guid().to_owned() }
    }
}

impl Accepted {
    /// The 250 itself.
    pub(crate) fn reply(&self) -> Reply {
        Reply::new(ReplyCode::OK, Enhanced::new(0, 0), format!("accepted as {}", self.name))
    }
}

/// The queue's word for what another server did with a recipient.
pub(crate) fn outcome(fate: Fate) -> Outcome {
    match fate {
        Fate::Delivered { word, onward } => {
            let handed = if onward.dsn { Handed::WithDuty } else { Handed::Relayed };
            Outcome::Delivered { detail: detail(word), handed }
        }
        Fate::Deferred { word, retry_after, fault } => {
            let class = match fault {
                Fault::Connection => mailqueue::Trouble::Connection,
                Fault::Message => mailqueue::Trouble::Message,
            };
            Outcome::Deferred { reason: detail(word), retry_after, class }
        }
        Fate::Failed { word } => Outcome::Failed { reason: detail(word) },
    }
}

fn detail(word: Word) -> Detail {
    Detail { text: word.text, status: word.status, remote: word.host }
}

/// There is no way to a domain.
pub(crate) fn no_way(why: NoWay) -> Outcome {
    let reason = Detail { text: why.to_string(), status: why.status().to_owned(), remote: String::new() };
    if why.is_permanent() { Outcome::Failed { reason } } else { deferred(mailqueue::Trouble::Connection, reason) }
}

/// No way is configured any more.
pub(crate) fn closed() -> Outcome {
    let text = "no way to that domain is configured".to_owned();
    Outcome::Failed { reason: Detail { text, status: "5.4.4".to_owned(), remote: String::new() } }
}

fn deferred(class: mailqueue::Trouble, reason: Detail) -> Outcome {
    Outcome::Deferred { reason, retry_after: None, class }
}

/// The message lies in the spool and cannot be read now.
pub(crate) fn unreadable(error: &mailqueue::ReadError) -> Outcome {
    deferred(mailqueue::Trouble::Message, error.to_string().into())
}

/// A delivery ended without a word.
pub(crate) fn broken_off() -> Outcome {
    deferred(mailqueue::Trouble::Message, "the delivery was broken off".into())
}

/// An address that no server would understand.
pub(crate) fn unaddressable() -> Outcome {
    Outcome::Failed { reason: "the address cannot be sent".into() }
}

/// A mailbox has the message.
pub(crate) fn delivered(custody: &mailstore::Custody) -> Outcome {
    Outcome::Delivered { detail: custody.guid().into(), handed: Handed::Mailbox }
}

/// A mailbox does not take the message.
pub(crate) fn append_outcome(error: &AppendError) -> Outcome {
    match error {
        AppendError::TooLong | AppendError::BadDeliveryId => Outcome::Failed { reason: error.to_string().into() },
        AppendError::Gone | AppendError::OverQuota | AppendError::TooManyKeywords | AppendError::Trouble(_) => {
            deferred(mailqueue::Trouble::Message, error.to_string().into())
        }
    }
}

/// A mailbox cannot be opened.
pub(crate) fn store_outcome(error: &dyn std::error::Error) -> Outcome {
    deferred(mailqueue::Trouble::Message, error.to_string().into())
}

/// Why a recipient is refused.
pub(crate) fn recipient_refusal(refusal: Refusal) -> Reply {
    let (code, enhanced, text) = match refusal {
        Refusal::NoSuchMailbox => (ReplyCode::MAILBOX_UNAVAILABLE, Enhanced::new(1, 1), "no such mailbox here"),
        Refusal::NotForStrangers => (ReplyCode::MAILBOX_UNAVAILABLE, Enhanced::new(7, 1), "relaying is not allowed"),
        Refusal::NoWay => (ReplyCode::MAILBOX_UNAVAILABLE, Enhanced::new(4, 4), "no way to that domain is configured"),
        Refusal::NotNow => (ReplyCode::LOCAL_ERROR, Enhanced::new(3, 0), "the mailbox cannot be found now"),
    };
    Reply::new(code, enhanced, text)
}

/// Why a message is not taken by the queue.
pub(crate) fn commit_refusal(error: &CommitError) -> Reply {
    match error {
        CommitError::Full => Reply::new(ReplyCode::INSUFFICIENT_STORAGE, Enhanced::new(3, 1), "the spool is full"),
        CommitError::TooLarge => {
            Reply::new(ReplyCode::STORAGE_EXCEEDED, Enhanced::new(3, 4), "the message is too large")
        }
        CommitError::Failed(_) | CommitError::Overtaken | CommitError::Unavailable => {
            Reply::new(ReplyCode::LOCAL_ERROR, Enhanced::new(3, 0), "the message could not be stored, try again later")
        }
    }
}

/// Why a message is not taken by the store.
pub(crate) fn append_refusal(error: &AppendError) -> Reply {
    match error {
        AppendError::OverQuota => {
            Reply::new(ReplyCode::STORAGE_EXCEEDED, Enhanced::new(2, 2), "the mailbox is over its quota")
        }
        AppendError::TooLong => {
            Reply::new(ReplyCode::STORAGE_EXCEEDED, Enhanced::new(3, 4), "the message is too large")
        }
        AppendError::Trouble(Trouble::Full) => {
            Reply::new(ReplyCode::INSUFFICIENT_STORAGE, Enhanced::new(3, 1), "the mail store is full")
        }
        AppendError::BadDeliveryId => {
            Reply::new(ReplyCode::FAILED, Enhanced::new(5, 4), "no delivery can be called that")
        }
        AppendError::Gone | AppendError::TooManyKeywords | AppendError::Trouble(_) => {
            Reply::new(ReplyCode::LOCAL_ERROR, Enhanced::new(3, 0), "the message could not be stored, try again later")
        }
    }
}

/// Why a login failed (RFC 4954 §6).
pub(crate) fn login_refusal(why: Why) -> Reply {
    let (code, enhanced, text) = match why {
        Why::Denied => (ReplyCode::BAD_CREDENTIALS, Enhanced::new(7, 8), "invalid user name or password"),
        Why::NotAuthorized => (ReplyCode::BAD_CREDENTIALS, Enhanced::new(7, 8), "not authorized to act for that user"),
        Why::Malformed => (ReplyCode::ARGUMENT_ERROR, Enhanced::new(5, 2), "malformed credentials"),
        Why::Unsupported => (ReplyCode::ARGUMENT_NOT_IMPLEMENTED, Enhanced::new(5, 4), "mechanism not supported"),
        Why::NeedsTls => (ReplyCode::ENCRYPTION_REQUIRED, Enhanced::new(7, 11), "use STARTTLS first"),
        Why::Throttled { .. } => {
            (ReplyCode::TEMPORARY_FAILURE, Enhanced::new(7, 0), "too many failed attempts, try again later")
        }
        Why::Unavailable => (ReplyCode::TEMPORARY_FAILURE, Enhanced::new(7, 0), "logins are not possible now"),
    };
    Reply::new(code, enhanced, text)
}
