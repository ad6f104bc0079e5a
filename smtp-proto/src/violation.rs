//! Whose fault it was: the peer's ([`Violation`], answered on the wire) or the caller's ([`Misuse`], an `Err`).

use crate::{Expected, Reply, ReplyCode, ShutDown};

/// What a peer did wrong, or asked for in vain. Answered by the engine at once; told to the application as news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A verb that is not one.
    UnknownCommand,
    /// A verb that is not done or not offered here.
    NotImplemented,
    /// A missing, superfluous or malformed argument.
    Argument,
    /// A control character inside a command, a lone CR or LF among them.
    ControlOctet,
    /// A command that is not UTF-8.
    Encoding,
    /// A command line over its limit.
    LineTooLong,
    /// A command that does not belong to this state.
    Sequence,
    /// A parameter that is not known, or not without EHLO.
    UnknownParameter,
    /// A parameter of an extension that is not offered.
    UnofferedParameter,
    /// A parameter said twice.
    DuplicateParameter,
    /// MAIL before STARTTLS, where TLS is required.
    TlsRequired,
    /// MAIL before AUTH, where a login is required.
    LoginRequired,
    /// A login that would show the password, before STARTTLS.
    PlaintextLogin,
    /// A SASL mechanism that is not offered.
    Mechanism,
    /// A SASL response that is not base64.
    Base64,
    /// A line of a SASL exchange over its limit.
    SaslLineTooLong,
    /// An address beyond ASCII, and no SMTPUTF8.
    Utf8Address,
    /// More recipients than one transaction may have.
    TooManyRecipients,
    /// DATA or BDAT when no recipient was accepted.
    NoRecipients,
    /// The same in LMTP (RFC 2033 §4.2).
    NoLmtpRecipients,
    /// A message over the limit, announced or sent.
    MessageTooBig,
    /// A message with a lone CR or LF.
    BareLineEnd,
    /// A message with a NUL.
    Nul,
    /// A message with a line over the limit.
    BodyLineTooLong,
    /// Octets before the greeting, or before the reply to a command that nothing may follow. Fatal where the configuration says so.
    EarlyTalk,
    /// Octets behind STARTTLS, or behind the reply to it, which would be taken for protected ones (RFC 3207 §6). Fatal.
    PipelinedTls,
    /// A line of another protocol, HTTP mostly. Fatal: what follows is not meant for us.
    NotSmtp,
    /// RCPT, DATA or BDAT behind a MAIL that was refused, or BDAT without one, as the rest of a refused message: a client that does
    /// not wait for replies sends them. The octets of the BDAT are skipped.
    NoTransaction,
    /// A BDAT that does not say how many octets follow, so that nobody knows where the next command begins. Fatal.
    ChunkSize,
    /// More octets of refused BDATs than are skipped. Fatal.
    ChunkFlood,
    /// A message that went on long after it was too big. Fatal.
    BodyFlood,
    /// More violations than are answered. Fatal.
    TooManyViolations,
    /// More wrong passwords than are answered. Fatal.
    TooManyLogins,
    /// More commands than are answered that bring no message nearer. Fatal.
    TooMuchChatter,
    /// More transactions than one session may have. Fatal.
    TooManyTransactions,
    /// A server's reply that is not one. Fatal.
    BadReply,
    /// A server's reply over the limit. Fatal.
    ReplyTooLong,
    /// A server's reply to nothing. Fatal.
    UnaskedReply,
}

impl Violation {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCommand => "unknown_command",
            Self::NotImplemented => "not_implemented",
            Self::Argument => "argument",
            Self::ControlOctet => "control_octet",
            Self::Encoding => "encoding",
            Self::LineTooLong => "line_too_long",
            Self::Sequence => "sequence",
            Self::UnknownParameter => "unknown_parameter",
            Self::UnofferedParameter => "unoffered_parameter",
            Self::DuplicateParameter => "duplicate_parameter",
            Self::TlsRequired => "tls_required",
            Self::LoginRequired => "login_required",
            Self::PlaintextLogin => "plaintext_login",
            Self::Mechanism => "mechanism",
            Self::Base64 => "base64",
            Self::SaslLineTooLong => "sasl_line_too_long",
            Self::Utf8Address => "utf8_address",
            Self::TooManyRecipients => "too_many_recipients",
            Self::NoRecipients => "no_recipients",
            Self::NoLmtpRecipients => "no_lmtp_recipients",
            Self::MessageTooBig => "message_too_big",
            Self::BareLineEnd => "bare_line_end",
            Self::Nul => "nul",
            Self::BodyLineTooLong => "body_line_too_long",
            Self::EarlyTalk => "early_talk",
            Self::PipelinedTls => "pipelined_tls",
            Self::NotSmtp => "not_smtp",
            Self::NoTransaction => "no_transaction",
            Self::ChunkSize => "chunk_size",
            Self::ChunkFlood => "chunk_flood",
            Self::BodyFlood => "body_flood",
            Self::TooManyViolations => "too_many_violations",
            Self::TooManyLogins => "too_many_logins",
            Self::TooMuchChatter => "too_much_chatter",
            Self::TooManyTransactions => "too_many_transactions",
            Self::BadReply => "bad_reply",
            Self::ReplyTooLong => "reply_too_long",
            Self::UnaskedReply => "unasked_reply",
        }
    }

    /// What the peer is told; a server that breaks the protocol is told nothing.
    #[must_use]
    pub const fn reply(self) -> Option<Reply> {
        Some(match self {
            Self::UnknownCommand => Reply::fixed(ReplyCode::SYNTAX_ERROR, 5, 1, "command not recognized"),
            Self::NotImplemented => Reply::fixed(ReplyCode::NOT_IMPLEMENTED, 5, 1, "command not implemented"),
            Self::Argument => Reply::fixed(ReplyCode::ARGUMENT_ERROR, 5, 4, "syntax error in arguments"),
            Self::ControlOctet => Reply::fixed(ReplyCode::SYNTAX_ERROR, 5, 2, "control character in command"),
            Self::Encoding => Reply::fixed(ReplyCode::SYNTAX_ERROR, 5, 2, "command is not valid UTF-8"),
            Self::LineTooLong => Reply::fixed(ReplyCode::SYNTAX_ERROR, 5, 2, "line too long"),
            Self::Sequence => Reply::fixed(ReplyCode::BAD_SEQUENCE, 5, 1, "bad sequence of commands"),
            Self::UnknownParameter => Reply::fixed(ReplyCode::PARAMETERS_UNKNOWN, 5, 4, "parameter not recognized"),
            Self::UnofferedParameter => {
                Reply::fixed(ReplyCode::ARGUMENT_NOT_IMPLEMENTED, 5, 4, "parameter not implemented")
            }
            Self::DuplicateParameter => Reply::fixed(ReplyCode::ARGUMENT_ERROR, 5, 4, "parameter given twice"),
            Self::TlsRequired => {
                Reply::fixed(ReplyCode::AUTHENTICATION_REQUIRED, 7, 0, "must issue a STARTTLS command first")
            }
            Self::LoginRequired => Reply::fixed(ReplyCode::AUTHENTICATION_REQUIRED, 7, 0, "authentication required"),
            Self::PlaintextLogin => {
                Reply::fixed(ReplyCode::ENCRYPTION_REQUIRED, 7, 11, "encryption required for this mechanism")
            }
            Self::Mechanism => Reply::fixed(ReplyCode::ARGUMENT_NOT_IMPLEMENTED, 5, 4, "mechanism not offered"),
            Self::Base64 => Reply::fixed(ReplyCode::ARGUMENT_ERROR, 5, 2, "invalid base64"),
            Self::SaslLineTooLong => Reply::fixed(ReplyCode::SYNTAX_ERROR, 5, 6, "authentication line too long"),
            Self::Utf8Address => {
                Reply::fixed(ReplyCode::NAME_NOT_ALLOWED, 6, 7, "addresses beyond ASCII need SMTPUTF8")
            }
            Self::TooManyRecipients => Reply::fixed(ReplyCode::INSUFFICIENT_STORAGE, 5, 3, "too many recipients"),
            Self::NoRecipients => Reply::fixed(ReplyCode::FAILED, 5, 1, "no valid recipients"),
            Self::MessageTooBig | Self::BodyFlood => Reply::fixed(ReplyCode::STORAGE_EXCEEDED, 3, 4, "message too big"),
            Self::BareLineEnd => Reply::fixed(ReplyCode::FAILED, 6, 0, "message holds a lone CR or LF"),
            Self::Nul => Reply::fixed(ReplyCode::FAILED, 6, 0, "message holds a NUL"),
            Self::BodyLineTooLong => Reply::fixed(ReplyCode::FAILED, 6, 0, "message holds a line too long"),
            Self::EarlyTalk => Reply::fixed(ReplyCode::FAILED, 5, 1, "you spoke before it was your turn"),
            Self::PipelinedTls => Reply::fixed(ReplyCode::FAILED, 5, 1, "commands behind STARTTLS are refused"),
            Self::NotSmtp => Reply::fixed(ReplyCode::NOT_AVAILABLE, 7, 0, "this is a mail server"),
            Self::NoLmtpRecipients => Reply::fixed(ReplyCode::BAD_SEQUENCE, 5, 1, "no valid recipients"),
            Self::NoTransaction => Reply::fixed(ReplyCode::BAD_SEQUENCE, 5, 1, "no transaction is open"),
            Self::ChunkSize => {
                Reply::fixed(ReplyCode::ARGUMENT_ERROR, 5, 4, "the chunk's size cannot be told, closing")
            }
            Self::ChunkFlood => Reply::fixed(ReplyCode::NOT_AVAILABLE, 5, 1, "too much was refused, closing"),
            Self::TooManyViolations => Reply::fixed(ReplyCode::NOT_AVAILABLE, 7, 0, "too many errors, closing"),
            Self::TooManyLogins => Reply::fixed(ReplyCode::NOT_AVAILABLE, 7, 0, "too many failed logins, closing"),
            Self::TooMuchChatter => Reply::fixed(ReplyCode::NOT_AVAILABLE, 7, 0, "too many commands, closing"),
            Self::TooManyTransactions => {
                Reply::fixed(ReplyCode::NOT_AVAILABLE, 7, 0, "too many messages in this session, closing")
            }
            Self::BadReply | Self::ReplyTooLong | Self::UnaskedReply => return None,
        })
    }

    /// Whether it counts towards [`Limits::violations`](crate::Limits::violations). What an honest client meets does not.
    pub(crate) const fn counts(self) -> bool {
        match self {
            Self::Utf8Address
            | Self::TooManyRecipients
            | Self::NoRecipients
            | Self::NoLmtpRecipients
            | Self::NoTransaction
            | Self::MessageTooBig
            | Self::BareLineEnd
            | Self::Nul
            | Self::BodyLineTooLong => false,
            Self::UnknownCommand
            | Self::NotImplemented
            | Self::Argument
            | Self::ControlOctet
            | Self::Encoding
            | Self::LineTooLong
            | Self::Sequence
            | Self::UnknownParameter
            | Self::UnofferedParameter
            | Self::DuplicateParameter
            | Self::TlsRequired
            | Self::LoginRequired
            | Self::PlaintextLogin
            | Self::Mechanism
            | Self::Base64
            | Self::SaslLineTooLong
            | Self::EarlyTalk
            | Self::PipelinedTls
            | Self::NotSmtp
            | Self::ChunkSize
            | Self::ChunkFlood
            | Self::BodyFlood
            | Self::TooManyViolations
            | Self::TooManyLogins
            | Self::TooMuchChatter
            | Self::TooManyTransactions
            | Self::BadReply
            | Self::ReplyTooLong
            | Self::UnaskedReply => true,
        }
    }
}

impl From<Expected> for Violation {
    /// What a command that does not parse is answered.
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::Verb => Self::UnknownCommand,
            Expected::ImplementedVerb => Self::NotImplemented,
            Expected::Printable => Self::ControlOctet,
            Expected::Utf8 => Self::Encoding,
            Expected::KnownParameter => Self::UnknownParameter,
            Expected::ParameterOnce => Self::DuplicateParameter,
            Expected::Base64 => Self::Base64,
            Expected::ChunkSize => Self::ChunkSize,
            Expected::Argument
            | Expected::End
            | Expected::Preposition
            | Expected::Path
            | Expected::LocalPart
            | Expected::AtSign
            | Expected::Domain
            | Expected::ParameterValue
            | Expected::Mechanism
            | Expected::Xtext
            | Expected::Number
            | Expected::DateTime
            | Expected::Attribute
            | Expected::Address
            | Expected::ReplyCode => Self::Argument,
        }
    }
}

impl ShutDown {
    /// What a client is told, behind the server's name.
    pub(crate) const fn reply(self) -> Reply {
        match self {
            Self::Stopping => Reply::fixed(ReplyCode::NOT_AVAILABLE, 3, 2, "service is shutting down"),
            Self::Overloaded => Reply::fixed(ReplyCode::NOT_AVAILABLE, 4, 5, "too many connections, try again later"),
            Self::Fault => Reply::fixed(ReplyCode::NOT_AVAILABLE, 3, 0, "internal error, try again later"),
        }
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
    /// The message holds a lone CR or LF, which the next server may take for a line's end. Abort: it cannot be sent.
    #[error("the message holds a lone cr or lf")]
    BareLineEnd,
    /// The message has more octets than were announced. Abort: it is not the message that the server agreed to.
    #[error("the message is longer than announced")]
    BodyTooLong,
    /// The message has fewer octets than were announced. Abort: what is missing cannot be made up.
    #[error("the message is shorter than announced")]
    BodyTooShort,
}
