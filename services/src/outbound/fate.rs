//! What became of a message at its next hop: one word for each recipient.

use std::net::SocketAddr;
use std::time::Duration;

use smtp_proto::{Class, Reply, Said, SaidBy};

/// What became of one recipient in one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The next hop took it, and answers for it.
    Delivered {
        /// What it said.
        word: Word,
        /// What it will see to, beside delivery.
        onward: Onward,
    },
    /// Not now.
    Deferred {
        /// What went wrong.
        word: Word,
        /// When the server wants to see it again, if it said so; never more than a day.
        retry_after: Option<Duration>,
        /// Whose fault it was.
        fault: Fault,
    },
    /// Never.
    Failed {
        /// What was said.
        word: Word,
    },
}

/// What was said, by whom, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// For a person: the reply with its code, or what we found ourselves.
    pub text: String,
    /// The enhanced status code (RFC 3463); empty where the server gave none.
    pub status: String,
    /// Whether the text is the server's.
    pub by: SaidBy,
    /// The host's name, empty where no host was asked.
    pub host: String,
    /// The address that was spoken with, if one was.
    pub address: Option<SocketAddr>,
    /// The version of TLS that was spoken under, if any, such as `TLSv1.3`.
    pub tls: Option<String>,
}

/// Whether the next hop does what the sender asked for beyond delivery. Where it does not, that is for us to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Onward {
    /// It sends delivery status notifications. Where it does not and the sender wants to hear of success, the sender is told
    /// that the message was relayed (RFC 3461 §5.2.2).
    pub dsn: bool,
    /// It keeps a time to deliver by. Where it does not and the sender asked for one, the same holds (RFC 2852 §4).
    pub deliver_by: bool,
}

/// Whose fault it is that a recipient is deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No host was to be had, or none that would hear of the message: says something about the destination.
    Connection,
    /// It was refused for now, or its connection was lost: says something about this message only.
    Message,
}

impl Fate {
    /// What decided it.
    #[must_use]
    pub const fn word(&self) -> &Word {
        match self {
            Self::Delivered { word, .. } | Self::Deferred { word, .. } | Self::Failed { word } => word,
        }
    }

    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Deferred { .. } => "deferred",
            Self::Failed { .. } => "failed",
        }
    }
}

/// One end of the wire, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) address: Option<SocketAddr>,
    pub(super) tls: Option<String>,
}

impl Place {
    /// What was said there, in the server's words or in those of the engine.
    pub(super) fn said(&self, said: &Said) -> Word {
        let text = match said.by {
            // RFC 3464 §2.3.6: as it was said.
            SaidBy::Server => match status(&said.reply) {
                none if none.is_empty() => format!("{} {}", said.reply.code(), text(&said.reply)),
                status => format!("{} {status} {}", said.reply.code(), text(&said.reply)),
            },
            SaidBy::Us => format!("{} (at {})", text(&said.reply), said.stage.as_str()),
        };
        self.word(text, status(&said.reply), said.by)
    }

    /// What we found there ourselves.
    pub(super) fn found(&self, status: &str, text: String) -> Word {
        self.word(text, status.to_owned(), SaidBy::Us)
    }

    /// An address of a host.
    pub(super) const fn at(host: String, address: SocketAddr) -> Self {
        Self { host, address: Some(address), tls: None }
    }

    /// No place: no host was asked.
    pub(super) const fn nowhere() -> Self {
        Self { host: String::new(), address: None, tls: None }
    }

    fn word(&self, text: String, status: String, by: SaidBy) -> Word {
        Word { text, status, by, host: self.host.clone(), address: self.address, tls: self.tls.clone() }
    }
}

/// The text of a reply, on one line.
pub(super) fn text(reply: &Reply) -> String {
    reply.lines().collect::<Vec<_>>().join(" ")
}

fn status(reply: &Reply) -> String {
    let class = match reply.class() {
        Class::Success => 2,
        Class::Intermediate | Class::Transient => 4,
        Class::Permanent => 5,
    };
    reply.enhanced().map(|code| format!("{class}.{}.{}", code.subject(), code.detail())).unwrap_or_default()
}
