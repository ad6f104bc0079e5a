//! Whose fault it was: the peer's ([`Violation`], answered on the wire) or the caller's ([`Misuse`], an `Err`).

use alloc::string::ToString as _;

use crate::{Code, NameError, ParseError, Reply, ShutDown, Waiting};

/// What a peer did wrong. Answered by the engine at once; told to the application as news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A command whose grammar is broken, or that is not known.
    Syntax(ParseError),
    /// A command over its limit of octets.
    CommandTooLong,
    /// A literal that would take its command over the limit, or one too many, or too large to come without waiting.
    LiteralTooLarge,
    /// A message larger than APPEND may announce.
    MessageTooLarge,
    /// A bare CR, a bare LF or NUL in a command.
    ControlOctet,
    /// Something between APPEND's message and the end of the line.
    BehindMessage,
    /// A command that does not belong to this state.
    Sequence,
    /// A command that is not offered here.
    NotOffered,
    /// A plaintext login where only TLS is safe.
    PlaintextLogin,
    /// A mechanism that is not offered.
    Mechanism,
    /// A SASL response that is not base64.
    Base64,
    /// A mailbox name that cannot be one.
    MailboxName(NameError),
    /// Text that is not what its charset says, or a name that is not UTF-8.
    Text,
    /// A sequence number beyond the mailbox's end.
    SequenceNumber,
    /// Anything but DONE while idling.
    NotDone,
    /// A refused command that does not end. Fatal.
    Endless,
    /// Octets behind STARTTLS, which would be taken for protected ones (RFC 3501 §6.2.1). Fatal.
    PipelinedTls,
    /// More violations than are answered. Fatal.
    TooManyViolations,
    /// More wrong passwords than are answered. Fatal.
    TooManyLogins,
}

impl Violation {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax(_) => "syntax",
            Self::CommandTooLong => "command_too_long",
            Self::LiteralTooLarge => "literal_too_large",
            Self::MessageTooLarge => "message_too_large",
            Self::ControlOctet => "control_octet",
            Self::BehindMessage => "behind_message",
            Self::Sequence => "sequence",
            Self::NotOffered => "not_offered",
            Self::PlaintextLogin => "plaintext_login",
            Self::Mechanism => "mechanism",
            Self::Base64 => "base64",
            Self::MailboxName(_) => "mailbox_name",
            Self::Text => "text",
            Self::SequenceNumber => "sequence_number",
            Self::NotDone => "not_done",
            Self::Endless => "endless",
            Self::PipelinedTls => "pipelined_tls",
            Self::TooManyViolations => "too_many_violations",
            Self::TooManyLogins => "too_many_logins",
        }
    }

    /// What the peer is told; by a fatal one with BYE.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::Syntax(error) => Reply::bad("").with_text(error.to_string()),
            Self::CommandTooLong => Reply::bad("command too long").with_code(Code::TooBig),
            Self::LiteralTooLarge => Reply::bad("literal too large").with_code(Code::TooBig),
            Self::MessageTooLarge => Reply::no("message too large").with_code(Code::TooBig),
            Self::ControlOctet => Reply::bad("bare CR, bare LF or NUL in command"),
            Self::BehindMessage => Reply::bad("the end of the command expected behind the message"),
            Self::Sequence => Reply::bad("command not valid in this state"),
            Self::NotOffered => Reply::bad("not offered here"),
            Self::PlaintextLogin => {
                Reply::no("plaintext login is refused without TLS").with_code(Code::PrivacyRequired)
            }
            Self::Mechanism => Reply::no("mechanism not offered").with_code(Code::Cannot),
            Self::Base64 => Reply::bad("invalid base64"),
            Self::MailboxName(error) => Reply::no("").with_text(error.to_string()).with_code(Code::Cannot),
            Self::Text => Reply::bad("text is not valid in its charset"),
            Self::SequenceNumber => Reply::bad("no message has that number"),
            Self::NotDone => Reply::bad("DONE expected"),
            Self::Endless => Reply::bad("too much to read of a command that is refused").with_code(Code::TooBig),
            Self::PipelinedTls => Reply::bad("commands behind STARTTLS are refused"),
            Self::TooManyViolations => Reply::bad("too many errors"),
            Self::TooManyLogins => Reply::bad("too many failed logins"),
        }
    }

    /// Whether the session ends with it.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        match self {
            Self::Endless | Self::PipelinedTls | Self::TooManyViolations | Self::TooManyLogins => true,
            Self::Syntax(_)
            | Self::CommandTooLong
            | Self::LiteralTooLarge
            | Self::MessageTooLarge
            | Self::ControlOctet
            | Self::BehindMessage
            | Self::Sequence
            | Self::NotOffered
            | Self::PlaintextLogin
            | Self::Mechanism
            | Self::Base64
            | Self::MailboxName(_)
            | Self::Text
            | Self::SequenceNumber
            | Self::NotDone => false,
        }
    }
}

impl ShutDown {
    /// What the peer is told with BYE.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::Stopping => Reply::no("server is shutting down"),
            Self::Overloaded => Reply::no("too many connections, try again later"),
            Self::Fault => Reply::no("internal error"),
        }
        .with_code(Code::Unavailable)
    }
}

impl Waiting {
    /// What the peer is told with BYE when it was too slow. `None` where text would go astray.
    #[must_use]
    pub const fn reply(self) -> Option<Reply> {
        match self {
            Self::Login => Some(Reply::no("no login in time")),
            Self::Command | Self::Done => Some(Reply::no("autologout, idle for too long")),
            Self::Body | Self::Tls => None,
        }
    }
}

/// What the caller did wrong: a verb out of order or with a wrong argument. Nothing was written, nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// No question is open that this verb answers, or something begun is not ended.
    #[error("this verb does not fit what is open")]
    NotNow,
    /// The reply's class does not fit the question.
    #[error("a reply of this class does not fit the open question")]
    WrongReply,
    /// More octets than were announced.
    #[error("the body is longer than announced")]
    BodyTooLong,
    /// Fewer octets than were announced.
    #[error("the body is shorter than announced")]
    BodyTooShort,
    /// A UID that the client does not know of.
    #[error("the client's view has no such message")]
    UnknownUid,
    /// Text made before that would break the answer.
    #[error("not one well-formed item")]
    Malformed,
}
