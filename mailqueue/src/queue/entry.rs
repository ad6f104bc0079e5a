//! How a message stands, for whoever looks: each recipient says what it waits for, and until when.

use crate::{Destination, Detail, Envelope, Held, MessageId, Priority, Standing, UnixMicros};

/// A queued message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: MessageId,
    /// When it arrived.
    pub arrived: UnixMicros,
    /// As its envelope says.
    pub priority: Priority,
    /// The size of its octets.
    pub size: u64,
    /// Whether someone asked that it stay. While it does, no recipient is tried whatever its state says.
    pub standing: Standing,
    /// The recipients in the envelope's order.
    pub recipients: Vec<(Destination, RecipientState)>,
}

/// A queued message with its envelope, which the queue does not keep in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// How it stands.
    pub entry: Entry,
    /// Where it is from, and where it goes.
    pub envelope: Envelope,
}

/// How one recipient stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientState {
    /// It is tried at a time, or when its destination has room.
    Waiting {
        /// Not before this; a time that has passed means that it waits for its turn.
        until: UnixMicros,
        /// How often it was tried.
        attempts: u32,
        /// What was said last; `None` before the first attempt.
        detail: Option<Detail>,
    },
    /// An attempt is under way.
    Trying {
        /// Its number, from one.
        attempt: u32,
    },
    /// The next hop has it.
    Delivered,
    /// It waits for someone to release or remove it.
    Held {
        /// How often it was tried.
        attempts: u32,
        /// Why, in a word.
        why: Held,
        /// What was said last.
        detail: Detail,
    },
}
