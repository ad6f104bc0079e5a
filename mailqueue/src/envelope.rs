//! What the queue knows of a message beside its octets: where from, where to, how urgent.

use std::fmt;
use std::sync::Arc;

use crate::UnixMicros;

/// The envelope of one message (RFC 5321 §2.3.1), as it was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The reverse-path without its angle brackets; empty for the null sender of notifications.
    pub sender: String,
    /// Everyone who gets the message, each with the way there. A recipient is known by its index from here on.
    pub recipients: Vec<Recipient>,
    /// The parameters of MAIL as they came over the wire. The queue keeps them and does not look inside.
    pub parameters: Vec<Parameter>,
    /// When the message arrived. The time after which the queue gives up counts from here.
    pub arrived: UnixMicros,
    /// Which of the messages that wait for the same destination goes first.
    pub priority: Priority,
    /// Who handed the message in: a user's name, or the domain or network of a stranger. Where deliveries compete, sources
    /// take turns, and operators pick messages by it.
    pub source: String,
    /// Nothing is delivered before this (RFC 4865 §4).
    pub release: Option<UnixMicros>,
    /// By when the sender wants it delivered (RFC 2852 §4).
    pub deliver_by: Option<DeliverBy>,
}

/// A sender's wish about time (RFC 2852 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverBy {
    /// The moment.
    pub until: UnixMicros,
    /// What to do when it has passed.
    pub then: Late,
}

/// What becomes of a message that could not be delivered in time (RFC 2852 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Late {
    /// It goes back to the sender: mode `R`.
    Return,
    /// The sender is told, and deliveries go on: mode `N`.
    Notify,
}

/// One recipient of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The forward-path without its angle brackets.
    pub address: String,
    /// The way there.
    pub destination: Destination,
    /// The parameters of RCPT as they came over the wire.
    pub parameters: Vec<Parameter>,
}

/// An ESMTP parameter in wire form (RFC 5321 §4.1.2): `BODY=8BITMIME`, or `SMTPUTF8` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What stands before the equals sign.
    pub keyword: String,
    /// What stands behind it, where there is one.
    pub value: Option<String>,
}

impl Parameter {
    /// A parameter with a value.
    pub fn new(keyword: impl Into<String>, value: impl Into<String>) -> Self {
        Self { keyword: keyword.into(), value: Some(value.into()) }
    }

    /// A parameter that is a keyword alone.
    pub fn flag(keyword: impl Into<String>) -> Self {
        Self { keyword: keyword.into(), value: None }
    }
}

/// Where a recipient's mail goes next: a key that only the transport can read. Recipients with equal destinations share
/// a batch, a place in the round robin and a limit of attempts at one time. Cloning copies a pointer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    key: Arc<str>,
    repeat: Repeat,
}

/// What happens when a message is handed twice to the same destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Repeat {
    /// The destination knows a delivery by its id and takes it once. An attempt that a crash interrupted is repeated at
    /// once.
    Idempotent,
    /// The recipient would get the mail twice. An attempt that the end of the process interrupted is repeated at the next
    /// start, since it says nothing about the remote side. Where that one is interrupted too, the next waits as the
    /// schedule says: nobody must be hammered by a process that crashes over and over.
    Duplicates,
}

impl Destination {
    /// A destination in some other system, such as `relay:mx.example.net:25`.
    pub fn remote(key: impl Into<Arc<str>>) -> Self {
        Self { key: key.into(), repeat: Repeat::Duplicates }
    }

    /// A destination that takes each delivery id once, such as the mailboxes of this house.
    pub fn idempotent(key: impl Into<Arc<str>>) -> Self {
        Self { key: key.into(), repeat: Repeat::Idempotent }
    }

    /// The key it was made with.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What a second delivery would do there.
    pub fn repeat(&self) -> Repeat {
        self.repeat
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({:?}, {:?})", self.key, self.repeat)
    }
}

/// A priority from -9 to 9 with 0 for ordinary mail (RFC 6710 §4.1). Of the messages that are due for one destination,
/// those of a higher priority go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(i8);

impl Priority {
    /// What the sender asked for; values out of range become the nearest in range.
    pub fn new(value: i8) -> Self {
        Self(value.clamp(-9, 9))
    }

    /// From -9 to 9.
    pub fn value(self) -> i8 {
        self.0
    }
}
