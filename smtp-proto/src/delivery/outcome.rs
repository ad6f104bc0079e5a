//! What becomes of a message.

use alloc::vec::Vec;

use crate::{Class, Close, Reply, ReplyCode};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// For each recipient of the envelope, in its order.
    pub outcomes: Vec<Outcome>,
    /// What was wrong with the server or the way to it, if anything: then another server may do better, whatever the outcomes
    /// say. `None`: the outcomes are about this message and these recipients.
    pub trouble: Option<Trouble>,
}

/// What became of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has it, and answers for it.
    Accepted(Said),
    /// Try again later.
    Deferred(Said),
    /// It will not be.
    Failed(Said),
}

/// What decided over a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Who said it.
    pub by: SaidBy,
    /// When.
    pub stage: Stage,
    /// The reply; or what a server would have replied, where it is ours.
    pub reply: Reply,
}

/// Whose word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaidBy {
    /// The server's.
    Server,
    /// Ours: the connection was lost, or the server lacks what the message needs.
    Us,
}

/// Where in the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The greeting.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// Behind the message.
    Verdict,
}

/// What was wrong with the server, or with the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It greeted us with a refusal.
    Greeting,
    /// It refused our EHLO.
    Hello,
    /// TLS is required, and could not be had; or its handshake failed.
    Tls,
    /// It lacks an extension that the message needs.
    Lacking,
    /// The session ended too early.
    Lost(Close),
}

impl Outcome {
    /// What decided it.
    #[must_use]
    pub const fn said(&self) -> &Said {
        match self {
            Self::Accepted(said) | Self::Deferred(said) | Self::Failed(said) => said,
        }
    }

    /// What a negative reply means; a positive one that should have been negative is not believed.
    pub(super) fn refused(said: Said) -> Self {
        match (said.stage, said.reply.class(), said.reply.code()) {
            // RFC 5321 §4.5.3.1.10: an old way to say 452, that there are too many of them.
            (Stage::Rcpt, _, ReplyCode::STORAGE_EXCEEDED) => Self::Deferred(said),
            (_, Class::Permanent, _) => Self::Failed(said),
            (_, Class::Success | Class::Intermediate | Class::Transient, _) => Self::Deferred(said),
        }
    }
}

impl Stage {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::StartTls => "starttls",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Verdict => "verdict",
        }
    }
}

/// What a lost connection is called.
pub(super) const fn lost(why: Close) -> Reply {
    match why {
        Close::Quit | Close::Eof => Reply::fixed(ReplyCode::LOCAL_ERROR, 4, 2, "the server closed the connection"),
        Close::Timeout(_) => Reply::fixed(ReplyCode::LOCAL_ERROR, 4, 2, "the server did not reply in time"),
        Close::Violation(_) => Reply::fixed(ReplyCode::LOCAL_ERROR, 5, 0, "the server does not speak the protocol"),
        Close::ShutDown(_) => Reply::fixed(ReplyCode::LOCAL_ERROR, 3, 2, "the session was ended"),
        Close::Aborted => Reply::fixed(ReplyCode::LOCAL_ERROR, 3, 0, "the message could not be read"),
    }
}

pub(super) const NO_TLS: Reply = Reply::fixed(ReplyCode::LOCAL_ERROR, 7, 4, "TLS is required, and cannot be had");

pub(super) const NO_UTF8: Reply = Reply::fixed(ReplyCode::NAME_NOT_ALLOWED, 6, 7, "the server does not take SMTPUTF8");

pub(super) const NO_EIGHT_BIT: Reply = Reply::fixed(ReplyCode::FAILED, 6, 3, "the server does not take 8BITMIME");

pub(super) const TOO_BIG: Reply =
    Reply::fixed(ReplyCode::STORAGE_EXCEEDED, 3, 4, "the message is too big for the server");
