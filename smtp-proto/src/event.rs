//! What happens in a server's session: questions for the application, and news.

use alloc::boxed::Box;
use alloc::string::String;

use bytes::Bytes;

use crate::{
    Domain, ForwardPath, Lookup, MailParameters, RcptParameters, ReversePath, Secret, Text, Violation, Xclient,
    Xforward,
};

/// Something that happened. Each variant is a question, which waits for the answer that its text names, or news.
///
/// [`accept`](crate::ServerSession::accept) answers most questions, [`reply`](crate::ServerSession::reply) refuses,
/// [`decline`](crate::ServerSession::decline) fits any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Question, asked before anything else: accepting greets, a refusal turns the client away (RFC 5321 §3.1).
    Connected,
    /// Question: the client named itself. Accepting tells what is offered.
    Hello(Hello),
    /// Question: AUTH. [`challenge`](crate::ServerSession::challenge) goes on,
    /// [`authenticated`](crate::ServerSession::authenticated) lets the user in, a refusal ends the exchange.
    Auth {
        /// One of the mechanisms offered, as the configuration spells it.
        mechanism: String,
        /// The initial response, if one was sent.
        initial: Option<Secret>,
    },
    /// Question: the client answered a challenge. Answered as [`Auth`](Self::Auth).
    SaslResponse(Secret),
    /// News: the client broke the SASL exchange off (`*`, or something that is not base64), and was told.
    SaslCancelled,
    /// Question: a transaction begins.
    Mail(Mail),
    /// Question: one more recipient.
    Rcpt(Rcpt),
    /// Question: the message is to follow, by DATA or by the first of some BDATs. Accepting asks for it; a refusal ends the
    /// transaction.
    Data,
    /// News: the next octets of the message, without the dots that protected its lines.
    Chunk(Bytes),
    /// Question: the message is complete. Who accepts has made it durable, and owes its delivery (RFC 5321 §6.1). In LMTP
    /// each accepted recipient is answered by [`reply_next`](crate::ServerSession::reply_next), in the order of RCPT.
    End(End),
    /// News: the transaction is no more, though the application did not end it: RSET, EHLO, STARTTLS, XCLIENT, a message or a part
    /// of one that was refused, or the end of the session. Whatever was kept of it is to be dropped.
    Aborted,
    /// Question: VRFY, where the configuration says to ask. Any reply but 3yz.
    Vrfy(Lookup),
    /// Question: EXPN, where it is offered. Any reply but 3yz.
    Expn(Lookup),
    /// Question: ETRN, where it is offered: deliver what waits for this node. Any reply but 3yz (RFC 1985 §5.3).
    Etrn(Text),
    /// Question, from a peer that is trusted: it is a proxy, and speaks for this client. Accepting greets anew, and all that was said
    /// before is forgotten; a client that has a login is logged in. A refusal turns the client away.
    Xclient(Box<Xclient>),
    /// Question, from a peer that is trusted: it has the next message from there. Accepting says that this was noted.
    Xforward(Box<Xforward>),
    /// News: the client did something wrong, or asked in vain, and was told.
    Violation(Violation),
}

/// How a client presents itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The verb it used.
    pub verb: HelloVerb,
    /// What it calls itself, which may be anything.
    pub name: Domain,
}

/// The verbs by which a client presents itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloVerb {
    /// HELO: plain SMTP.
    Helo,
    /// EHLO: extensions are spoken.
    Ehlo,
    /// LHLO: LMTP.
    Lhlo,
}

/// A transaction's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Where the message comes from.
    pub from: ReversePath,
    /// What else was said.
    pub parameters: MailParameters,
}

/// A recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rcpt {
    /// Where the message goes to.
    pub to: ForwardPath,
    /// What else was said.
    pub parameters: RcptParameters,
}

/// A message's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Octets of all its chunks.
    pub size: u64,
    /// Whether all of them are ASCII, whatever `BODY=` has said.
    pub octets: Octets,
}

/// What octets a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Octets {
    /// ASCII only.
    SevenBit,
    /// Also others.
    EightBit,
}

impl Event {
    /// Whether the engine waits for an answer.
    #[must_use]
    pub const fn is_question(&self) -> bool {
        match self {
            Self::Connected
            | Self::Hello(_)
            | Self::Auth { .. }
            | Self::SaslResponse(_)
            | Self::Mail(_)
            | Self::Rcpt(_)
            | Self::Data
            | Self::End(_)
            | Self::Vrfy(_)
            | Self::Expn(_)
            | Self::Etrn(_)
            | Self::Xclient(_)
            | Self::Xforward(_) => true,
            Self::SaslCancelled | Self::Chunk(_) | Self::Aborted | Self::Violation(_) => false,
        }
    }

    /// The bulk data that the event carries.
    #[must_use]
    pub const fn chunk(&self) -> Option<&Bytes> {
        match self {
            Self::Chunk(chunk) => Some(chunk),
            Self::Connected
            | Self::Hello(_)
            | Self::Auth { .. }
            | Self::SaslResponse(_)
            | Self::SaslCancelled
            | Self::Mail(_)
            | Self::Rcpt(_)
            | Self::Data
            | Self::End(_)
            | Self::Aborted
            | Self::Vrfy(_)
            | Self::Expn(_)
            | Self::Etrn(_)
            | Self::Xclient(_)
            | Self::Xforward(_)
            | Self::Violation(_) => None,
        }
    }
}
