//! Whose fault it was: the peer's ([`Violation`], answered on the wire) or the caller's ([`Misuse`], an `Err`).

use crate::{Code, Reply, ShutDown};

/// What a peer did wrong. Answered by the engine at once; told to the application as news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A command that is not POP3, or not offered here.
    UnknownCommand,
    /// A missing, superfluous or malformed argument.
    Argument,
    /// A control octet inside a command.
    ControlOctet,
    /// A line over its limit.
    LineTooLong,
    /// A command that does not belong to this state.
    Sequence,
    /// A plaintext login where only TLS is safe.
    PlaintextLogin,
    /// A SASL response that is not base64.
    Base64,
    /// Octets behind STLS, or behind the reply to it, which would be taken for protected ones (RFC 2595 §8). Fatal.
    PipelinedTls,
    /// More violations than are answered. Fatal.
    TooManyViolations,
    /// More wrong passwords than are answered. Fatal.
    TooManyLogins,
    /// A server's reply that is not one. Fatal.
    BadReply,
    /// A line of a server over the limit. Fatal.
    ReplyTooLong,
    /// A server's reply to nothing, that is no goodbye. Fatal.
    UnaskedReply,
    /// A server's answer with too many lines that say nothing. Fatal.
    TooManyLines,
    /// More messages in a server's list than are taken. Fatal.
    TooManyMessages,
}

impl Violation {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCommand => "unknown_command",
            Self::Argument => "argument",
            Self::ControlOctet => "control_octet",
            Self::LineTooLong => "line_too_long",
            Self::Sequence => "sequence",
            Self::PlaintextLogin => "plaintext_login",
            Self::Base64 => "base64",
            Self::PipelinedTls => "pipelined_tls",
            Self::TooManyViolations => "too_many_violations",
            Self::TooManyLogins => "too_many_logins",
            Self::BadReply => "bad_reply",
            Self::ReplyTooLong => "reply_too_long",
            Self::UnaskedReply => "unasked_reply",
            Self::TooManyLines => "too_many_lines",
            Self::TooManyMessages => "too_many_messages",
        }
    }

    /// What the peer is told. Behind [`TooManyLogins`](Self::TooManyLogins) stands the application's own refusal instead, and a
    /// server is told nothing: its faults have a reply for the sake of those who read logs.
    #[must_use]
    pub const fn reply(self) -> Reply {
        match self {
            Self::UnknownCommand => Reply::err("unknown command"),
            Self::Argument => Reply::err("invalid argument"),
            Self::ControlOctet => Reply::err("control character in command"),
            Self::LineTooLong => Reply::err("line too long"),
            Self::Sequence => Reply::err("command not valid in this state"),
            // RFC 3206 §4: [AUTH] says that the credentials would have to change; here the way they travel has to.
            Self::PlaintextLogin => Reply::err("plaintext login is refused without TLS, use STLS first"),
            Self::Base64 => Reply::err("invalid base64"),
            Self::PipelinedTls => Reply::err("commands behind STLS are refused"),
            Self::TooManyViolations => Reply::err("too many errors, closing"),
            Self::TooManyLogins => Reply::err("too many failed logins, closing"),
            Self::BadReply => Reply::err("not a reply"),
            Self::ReplyTooLong => Reply::err("reply too long"),
            Self::UnaskedReply => Reply::err("reply to no command"),
            Self::TooManyLines => Reply::err("too many lines"),
            Self::TooManyMessages => Reply::err("too many messages"),
        }
    }

    /// Whether the session ends with it.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        match self {
            Self::PipelinedTls
            | Self::TooManyViolations
            | Self::TooManyLogins
            | Self::BadReply
            | Self::ReplyTooLong
            | Self::UnaskedReply
            | Self::TooManyLines
            | Self::TooManyMessages => true,
            Self::UnknownCommand
            | Self::Argument
            | Self::ControlOctet
            | Self::LineTooLong
            | Self::Sequence
            | Self::PlaintextLogin
            | Self::Base64 => false,
        }
    }
}

impl ShutDown {
    /// What the peer is told.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::Stopping => Reply::err("server is shutting down"),
            Self::Overloaded => Reply::err("too many connections, try again later"),
            Self::Fault => Reply::err("internal error"),
        }
        .with_code(Code::SysTemp)
    }
}

/// What the caller did wrong: a verb out of order or with a wrong argument. Nothing was written, nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// No question is open that this verb answers.
    #[error("this verb does not answer the open question")]
    NotNow,
    /// The reply's class does not fit the question.
    #[error("a reply of this class does not fit the open question")]
    WrongReply,
    /// More octets than the maildrop says the message has.
    #[error("the body is longer than announced")]
    BodyTooLong,
    /// Fewer octets than the maildrop says the message has.
    #[error("the body is shorter than announced")]
    BodyTooShort,
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use bytes::BytesMut;

    use super::*;

    #[test]
    fn each_violation_has_a_name_and_a_reply_of_its_own() {
        let all = [
            Violation::UnknownCommand,
            Violation::Argument,
            Violation::ControlOctet,
            Violation::LineTooLong,
            Violation::Sequence,
            Violation::PlaintextLogin,
            Violation::Base64,
            Violation::PipelinedTls,
            Violation::TooManyViolations,
            Violation::TooManyLogins,
            Violation::BadReply,
            Violation::ReplyTooLong,
            Violation::UnaskedReply,
            Violation::TooManyLines,
            Violation::TooManyMessages,
        ];
        let reply = |violation: Violation| {
            let mut out = BytesMut::new();
            violation.reply().write(&mut out);
            out
        };
        assert_eq!(all.map(Violation::as_str).into_iter().collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(all.map(reply).into_iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.iter().all(|violation| !violation.reply().is_positive()));
        assert_eq!(all.into_iter().filter(|violation| violation.is_fatal()).count(), 8);
    }
}
