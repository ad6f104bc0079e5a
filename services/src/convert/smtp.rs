//! Between mail transfer, the queue and the store.

use std::io;

use mailqueue::{
    Batch, CommitError, Destination, Detail, Envelope, Outcome, Parameter, Priority, Recipient, UnixMicros,
};
use mailstore::error::{AppendError, Trouble};
use smtp_proto::{
    BodyType, Class, Enhanced, ForwardPath, Mail, MailParameters, Rcpt, RcptParameters, Reply, ReplyCode, Report,
    ReversePath,
};

use crate::directory::Why;
use crate::routes::{Hop, Refusal};

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

/// The queue's envelope for a transaction.
pub(crate) fn envelope(from: &ReversePath, parameters: &MailParameters, recipients: Vec<Recipient>) -> Envelope {
    let mut kept = Vec::new();
    if let Some(body) = parameters.body {
        kept.push(Parameter::new("BODY", body.as_str()));
    }
    if parameters.smtp_utf8 {
        kept.push(Parameter::flag("SMTPUTF8"));
    }
    Envelope {
        sender: sender(from),
        recipients,
        parameters: kept,
        arrived: UnixMicros::now(),
        priority: Priority::default(),
    }
}

/// A reverse-path without its angle brackets.
pub(crate) fn sender(from: &ReversePath) -> String {
    from.mailbox().map(ToString::to_string).unwrap_or_default()
}

/// The queue's word for a way onward. Mailboxes know their deliveries by id; other servers do not.
pub(crate) fn recipient(hop: Hop) -> Recipient {
    let (address, destination) = match hop {
        Hop::Mailbox { mailbox, place, epoch: _ } => (mailbox, Destination::idempotent(format!("{STORE}{place}"))),
        Hop::Relay { hop, address } => (address, Destination::remote(format!("{RELAY}{hop}"))),
    };
    Recipient { address, destination, parameters: Vec::new() }
}

const STORE: &str = "store:";
const RELAY: &str = "relay:";

/// What a destination's key means: [`recipient`] turned round.
pub(crate) enum Way<'a> {
    Store,
    Relay { host_and_port: &'a str },
}

/// Reads a destination's key.
pub(crate) fn way(destination: &Destination) -> Option<Way<'_>> {
    if destination.key().starts_with(STORE) {
        return Some(Way::Store);
    }
    destination.key().strip_prefix(RELAY).map(|host_and_port| Way::Relay { host_and_port })
}

/// The client engine's envelope for a batch; `None` where an address does not parse, which none of ours should.
pub(crate) fn delivery(batch: &Batch) -> Option<smtp_proto::Envelope> {
    let from = ReversePath::parse(&format!("<{}>", batch.envelope.sender)).ok()?.into_owned();
    let said = |keyword: &str| batch.envelope.parameters.iter().find(|p| p.keyword.eq_ignore_ascii_case(keyword));
    let body = said("BODY").and_then(|parameter| BodyType::parse(parameter.value.as_deref()?).ok());
    let parameters = MailParameters {
        size: Some(batch.body.size()),
        body,
        smtp_utf8: said("SMTPUTF8").is_some(),
        ..MailParameters::default()
    };
    let recipients = batch.recipients().map(|recipient| {
        let to = ForwardPath::parse(&format!("<{}>", recipient.address)).ok()?.into_owned();
        Some(Rcpt { to, parameters: RcptParameters::default() })
    });
    Some(smtp_proto::Envelope { mail: Mail { from, parameters }, recipients: recipients.collect::<Option<_>>()? })
}

/// The queue's word for what another server did with a message.
pub(crate) fn outcomes(remote: &str, report: Report) -> Vec<Outcome> {
    let class = match report.trouble {
        Some(_) => mailqueue::Trouble::Connection,
        None => mailqueue::Trouble::Message,
    };
    let outcome = |outcome: smtp_proto::Outcome| {
        let detail = detail(remote, &outcome.said().reply);
        match outcome {
            smtp_proto::Outcome::Accepted(_) => Outcome::Delivered { detail },
            smtp_proto::Outcome::Deferred(_) => Outcome::Deferred { reason: detail, retry_after: None, class },
            smtp_proto::Outcome::Failed(_) => Outcome::Failed { reason: detail },
        }
    };
    report.outcomes.into_iter().map(outcome).collect()
}

fn detail(remote: &str, reply: &Reply) -> Detail {
    let class = match reply.class() {
        Class::Success => 2,
        Class::Intermediate | Class::Transient => 4,
        Class::Permanent => 5,
    };
    let status = reply.enhanced().map(|code| format!("{class}.{}.{}", code.subject(), code.detail()));
    let text = reply.lines().collect::<Vec<_>>().join(" ");
    Detail { text: format!("{} {text}", reply.code()), status: status.unwrap_or_default(), remote: remote.to_owned() }
}

fn deferred(class: mailqueue::Trouble, reason: Detail) -> Outcome {
    Outcome::Deferred { reason, retry_after: None, class }
}

/// The next hop cannot be reached.
pub(crate) fn unreachable(remote: &str, error: &io::Error) -> Outcome {
    let text = format!("cannot connect: {error}");
    deferred(mailqueue::Trouble::Connection, Detail { text, status: "4.4.1".to_owned(), remote: remote.to_owned() })
}

/// The connection to the next hop broke.
pub(crate) fn lost(remote: &str) -> Outcome {
    let text = "the connection was lost".to_owned();
    deferred(mailqueue::Trouble::Connection, Detail { text, status: "4.4.2".to_owned(), remote: remote.to_owned() })
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
    Outcome::Delivered { detail: custody.guid().into() }
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
        CommitError::Failed(_) | CommitError::Unavailable => {
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
