//! What happens in a session: questions for the application, and news.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::{Apop, Proxied, Secret, Violation};

/// Something that happened. Each variant is a question, which waits for the answer that its text names, or news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Question, asked before anything else: [`accept`](crate::ServerSession::accept) greets,
    /// [`greet`](crate::ServerSession::greet) offers APOP too, [`reply`](crate::ServerSession::reply) with `-ERR` turns the
    /// client away.
    Connected,
    /// News: a trusted proxy says whom it speaks for. To logs and limits the peer is that client from now on.
    Proxied(Proxied),
    /// Question: USER and PASS came. [`open`](crate::ServerSession::open) lets the user in, a negative
    /// [`reply`](crate::ServerSession::reply) does not.
    Login {
        /// The name, as it was sent, without control characters; ASCII unless [`Utf8`](crate::Utf8) is offered.
        user: String,
        /// The password.
        password: Secret,
    },
    /// Question: APOP came. Answered as [`Login`](Self::Login).
    Apop {
        /// The name, as in [`Login`](Self::Login).
        user: String,
        /// What has to fit the password.
        proof: Apop,
    },
    /// Question: AUTH came. [`challenge`](crate::ServerSession::challenge) goes on,
    /// [`open`](crate::ServerSession::open) lets the user in, a negative reply ends the exchange.
    Auth {
        /// One of the mechanisms offered, as the configuration spells it.
        mechanism: String,
        /// The initial response, if one was sent.
        initial: Option<Secret>,
    },
    /// Question: the client answered a challenge. Answered as [`Auth`](Self::Auth).
    SaslResponse(Secret),
    /// News: the client broke the SASL exchange off (`*`, or something that is not base64).
    SaslCancelled,
    /// Question: LIST or UIDL without a number. [`list_more`](crate::ServerSession::list_more) until it says `Done`.
    List,
    /// Question: RETR. [`accept`](crate::ServerSession::accept), then [`body`](crate::ServerSession::body) and
    /// [`end_body`](crate::ServerSession::end_body); or a negative reply.
    Retrieve {
        /// The message's number, from 1.
        number: u32,
    },
    /// Question: TOP. As [`Retrieve`](Self::Retrieve); the engine cuts the text, and
    /// [`wants_body`](crate::ServerSession::wants_body) tells when it has enough.
    Top {
        /// The message's number, from 1.
        number: u32,
    },
    /// Question: QUIT after login, the UPDATE state. Delete the messages named and let the maildrop go, then
    /// [`accept`](crate::ServerSession::accept); a negative reply where some could not be deleted (RFC 1939 §6).
    Update {
        /// Numbers of the messages marked for deletion, ascending.
        deleted: Vec<u32>,
    },
    /// News: the peer did something wrong, and was told.
    Violation(Violation),
}

impl Event {
    /// Whether the engine waits for an answer.
    #[must_use]
    pub const fn is_question(&self) -> bool {
        match self {
            Self::Connected
            | Self::Login { .. }
            | Self::Apop { .. }
            | Self::Auth { .. }
            | Self::SaslResponse(_)
            | Self::List
            | Self::Retrieve { .. }
            | Self::Top { .. }
            | Self::Update { .. } => true,
            Self::Proxied(_) | Self::SaslCancelled | Self::Violation(_) => false,
        }
    }

    /// The bulk data that the event carries. A POP3 client sends none.
    #[must_use]
    pub const fn chunk(&self) -> Option<&Bytes> {
        None
    }
}
