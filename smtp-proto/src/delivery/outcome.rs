//! What becomes of a message.

use alloc::vec::Vec;

use crate::{Class, Close, Extensions, Reply, ReplyCode};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// For each recipient of the envelope, in its order.
    pub outcomes: Vec<Outcome>,
    /// What was wrong with the server or the way to it, if anything: then another server may do better, whatever the outcomes
    /// say. `None`: the outcomes are about this message and these recipients.
    pub trouble: Option<Trouble>,
    /// What the server had offered last. Whoever relays must know what was left out: where a server without DSN has accepted a
    /// message whose sender wants to be told of success, the sender is told that it was relayed (RFC 3461 §5.2.2); likewise
    /// without DELIVERBY (RFC 2852 §4).
    pub extensions: Extensions,
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
    /// AUTH.
    Login,
    /// MAIL, or RSET before it.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, or the octets behind it or behind BDAT.
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
    /// The login was refused, or the server has no such way to log in. A wrong password is not the message's fault: all
    /// recipients are deferred.
    Login,
    /// It lacks an extension that the message needs.
    Lacking,
    /// It has told how much one session may hold, or takes so few recipients at a time that
    /// [`ClientLimits::transactions`](crate::ClientLimits::transactions) was reached. Who is deferred by [`SaidBy::Us`] may go
    /// in a new connection at once.
    Limits,
    /// It had left, or refused to forget what was before, when another message or another transaction began. Nothing was said of the
    /// recipients that are deferred for this: they may go in a new connection at once.
    Stale,
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
        match said.reply.class() {
            Class::Permanent => Self::Failed(said),
            Class::Success | Class::Intermediate | Class::Transient => Self::Deferred(said),
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
            Self::Login => "login",
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

pub(super) const NO_TLS: Reply = refusal(ReplyCode::LOCAL_ERROR, 7, 4, "TLS is required, and cannot be had");

pub(super) const NO_LOGIN: Reply = refusal(ReplyCode::LOCAL_ERROR, 7, 4, "the server has no such way to log in");

pub(super) const NO_NAME: Reply = refusal(ReplyCode::LOCAL_ERROR, 3, 5, "our own name cannot be said");

pub(super) const NO_MORE_TRANSACTIONS: Reply =
    refusal(ReplyCode::INSUFFICIENT_STORAGE, 5, 3, "the session has no room for more transactions");

pub(super) const NO_MORE_DOMAINS: Reply =
    refusal(ReplyCode::INSUFFICIENT_STORAGE, 5, 3, "the session has no room for more domains");

/// What a server would have said.
pub(super) const fn refusal(code: ReplyCode, subject: u16, detail: u16, text: &'static str) -> Reply {
    Reply::fixed(code, subject, detail, text)
}
