//! Delivery status notifications: the letter that tells a sender what became of a message (RFC 3461, RFC 3464).
//!
//! Everything here is a pure function of facts: no clock, no randomness, no I/O. The same facts give the same octets, so
//! that a report which is made again after a crash is the same message, with the same Message-ID.
//!
//! A report has three parts (RFC 6522 §3): words for a person, fields for a program, and the header or the whole of the
//! original message. The last may be large, so it never passes through a [`Report`]: a [`Survey`] reads the stored
//! message once to learn what of it can travel how, and a [`Returned`] reads it a second time between
//! [`Report::head`] and [`Report::tail`].
//!
//! ```
//! use mailqueue::report::{Action, Facts, Report, Ret, Survey, Told};
//! use mailqueue::{Destination, Detail, Envelope, MessageId, Parameter, Recipient, UnixMicros};
//!
//! let original = b"Subject: lunch\r\n\r\nAt noon?\r\n";
//! let bob = Recipient {
//!     address: "bob@example.com".into(),
//!     destination: Destination::remote("relay:mail.example.com:25"),
//!     parameters: vec![Parameter::new("NOTIFY", "FAILURE,DELAY")],
//! };
//! let envelope = Envelope {
//!     sender: "alice@example.org".into(),
//!     recipients: vec![bob],
//!     arrived: UnixMicros(1_795_335_000_000_000),
//!     ..Envelope::default()
//! };
//! let detail = Detail {
//!     text: "550 5.1.1 nobody of that name here".into(),
//!     status: "5.1.1".into(),
//!     remote: "mail.example.com".into(),
//! };
//!
//! // Nobody is told who does not want to be.
//! let bob = &envelope.recipients[0];
//! assert!(Action::Failed.is_wanted(&envelope, bob));
//! assert!(!Action::Delivered.is_wanted(&envelope, bob));
//! let told = [Told { recipient: bob, action: Action::Failed, detail: &detail, last_attempt: None }];
//!
//! // First look at the original: how far its header goes, and what octets are in it.
//! let id: MessageId = "01jd8z3m9k4w2q7h5x6t1b0a".parse()?;
//! let mut survey = Survey::new(id, Ret::due(&envelope, &told));
//! for chunk in original.chunks(7) {
//!     if survey.is_complete() {
//!         break;
//!     }
//!     survey.look(chunk);
//! }
//!
//! let report = Report::new(Facts {
//!     id,
//!     host: "mx.example.org",
//!     from: "mailer-daemon@mx.example.org",
//!     date: UnixMicros(1_795_335_060_000_000),
//!     queue_id: "01jd8z3m9k4w2q7h5x6t1b00".parse()?,
//!     envelope: &envelope,
//!     recipients: &told,
//!     original: survey.finish(),
//! })?;
//! assert!(report.parameters().is_empty()); // plain ASCII, any server takes it
//!
//! let mut letter = report.head().into_bytes();
//! let mut returned = report.returned();
//! for chunk in original.chunks(7) {
//!     letter.extend_from_slice(&returned.pass(chunk));
//! }
//! letter.extend_from_slice(report.tail().as_bytes());
//!
//! let letter = String::from_utf8(letter)?;
//! assert!(letter.contains("\r\nTo: <alice@example.org>\r\n"));
//! assert!(letter.contains("\r\nFinal-Recipient: rfc822;bob@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
//! assert!(letter.contains("\r\nSubject: lunch\r\n") && !letter.contains("At noon?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asked;
mod fields;
mod letter;
mod original;
mod quoted;
mod status;
mod text;
mod words;

use thiserror::Error;

use crate::{Detail, Envelope, MessageId, Parameter, Recipient, UnixMicros};

pub use asked::{Notify, OriginalRecipient, Ret, envelope_id};
pub use original::{HEADER_LIMIT, Original, Returned, Survey};

use text::Charset;

/// What a report tells, and about whom.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The report's own name. Its Message-ID and its boundary are made of it, so it must be derived from what happened
    /// and not be used for another report.
    pub id: MessageId,
    /// Our host name, fully qualified: the Reporting-MTA (RFC 3464 §2.2.2).
    pub host: &'a str,
    /// The address of a person or a program that answers for this server, for the From field (RFC 3464 §2).
    pub from: &'a str,
    /// When the report is made. A report that is to come out the same after a crash needs a time that was written down.
    pub date: UnixMicros,
    /// The name under which our log knows the original message.
    pub queue_id: MessageId,
    /// The original's envelope: whom to tell, what was asked for, when it arrived.
    pub envelope: &'a Envelope,
    /// The recipients it tells of, at least one. Leave out those of whom the sender does not want to hear
    /// ([`Action::is_wanted`], RFC 3461 §5.2.8). Each costs some hundred octets of the report, and never
    /// more than 16 KiB.
    pub recipients: &'a [Told<'a>],
    /// What of the original message comes back.
    pub original: Original,
}

/// What became of one recipient.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// As in the original's envelope.
    pub recipient: &'a Recipient,
    /// What was done.
    pub action: Action,
    /// What was said last, and by whom.
    pub detail: &'a Detail,
    /// When the last attempt was made, if one was.
    pub last_attempt: Option<UnixMicros>,
}

/// What became of a recipient (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It was refused for good. `failed` in the report.
    Failed,
    /// It was tried for as long as we try. `failed` in the report too; the status may be a temporary one.
    Expired,
    /// It has not worked so far.
    Delayed {
        /// When we give up.
        will_retry_until: UnixMicros,
    },
    /// It lies in the recipient's mailbox.
    Delivered,
    /// It went to a server that reports no deliveries.
    Relayed,
    /// It was delivered, and went on from there to several addresses.
    Expanded,
}

/// A notification about one message, to be sent to its sender from `<>`.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    facts: Facts<'a>,
    /// The charset of header and fields.
    charset: Charset,
}

/// Why there can be no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreportable {
    /// The message came from `<>`, so that it may be a report itself.
    #[error("nobody is told about a message from the null sender")]
    NullSender,
    /// No recipient was named.
    #[error("there is no recipient to tell of")]
    NoRecipient,
}

impl Action {
    /// Whether the sender is to be told of it: what NOTIFY says, and never where the message came from `<>`
    /// (RFC 3461 §5.2, RFC 5321 §4.5.5).
    pub fn is_wanted(self, envelope: &Envelope, recipient: &Recipient) -> bool {
        !envelope.sender.is_empty() && Notify::of(recipient).covers(self)
    }

    /// Whether nothing more is tried and nothing was achieved.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Failed | Self::Expired => true,
            Self::Delayed { .. } | Self::Delivered | Self::Relayed | Self::Expanded => false,
        }
    }

    /// Whether it arrived somewhere.
    fn is_success(self) -> bool {
        match self {
            Self::Failed | Self::Expired | Self::Delayed { .. } => false,
            Self::Delivered | Self::Relayed | Self::Expanded => true,
        }
    }

    /// The word in the report's Action field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed | Self::Expired => "failed",
            Self::Delayed { .. } => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

impl<'a> Report<'a> {
    /// Makes a report of facts.
    ///
    /// # Errors
    /// [`Unreportable::NullSender`] for a message from `<>`: reports about reports would go in circles
    /// (RFC 5321 §4.5.5). [`Unreportable::NoRecipient`] where nobody is told of.
    pub fn new(facts: Facts<'a>) -> Result<Self, Unreportable> {
        if facts.envelope.sender.is_empty() {
            return Err(Unreportable::NullSender);
        }
        if facts.recipients.is_empty() {
            return Err(Unreportable::NoRecipient);
        }
        // A server on the way back may lack SMTPUTF8, and a report that it refuses is lost. So the report stays in ASCII,
        // with the encodings of RFC 6533 §3 and §4.5 where it must, unless its own recipient cannot be named so.
        let charset = if facts.envelope.sender.is_ascii() { Charset::Ascii } else { Charset::Utf8 };
        Ok(Self { facts, charset })
    }

    /// The forward-path: the original's sender. The reverse-path is always null (RFC 3461 §6.1).
    pub fn to(&self) -> &'a str {
        &self.facts.envelope.sender
    }

    /// What MAIL has to say: nothing, `BODY=8BITMIME` where octets beyond ASCII come back, and `SMTPUTF8` where the
    /// sender's own address is beyond ASCII; and `REQUIRETLS` where the original said so (RFC 8689 §5). The original's RET
    /// must not stand there (RFC 3461 §6.1).
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = match (self.charset, self.enclosure().is_eight_bit()) {
            (Charset::Utf8, _) => vec![Parameter::new("BODY", "8BITMIME"), Parameter::flag("SMTPUTF8")],
            (Charset::Ascii, true) => vec![Parameter::new("BODY", "8BITMIME")],
            (Charset::Ascii, false) => Vec::new(),
        };
        if asked::requires_tls(self.facts.envelope) {
            parameters.push(Parameter::flag("REQUIRETLS"));
        }
        parameters
    }

    /// Everything before the octets of the original.
    pub fn head(&self) -> String {
        letter::head(self)
    }

    /// Passes on what comes back of the original, between head and tail.
    pub fn returned(&self) -> Returned {
        self.enclosure().returned()
    }

    /// Everything behind the octets of the original.
    pub fn tail(&self) -> String {
        letter::tail(self)
    }

    fn enclosure(&self) -> original::Enclosure {
        self.facts.original.enclose(self.charset, asked::is_utf8(self.facts.envelope))
    }
}
