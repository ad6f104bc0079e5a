//! The token that answers 250.

use crate::MessageId;

/// Says that a message is on stable storage, and that the queue answers for it from now on (RFC 5321 §6.1). Whoever holds
/// it may tell the sender 250; nobody else may, so it is made in one place and cannot be copied.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the sender still waits for its 250"]
pub struct Custody {
    id: MessageId,
}

impl Custody {
    /// Attests that all of the named message is synced, directory entries included. Only a [`Spool`](crate::Spool) calls
    /// it, and only when that is true.
    pub fn attest_durable(id: MessageId) -> Self {
        Self { id }
    }

    /// The message that is safe.
    pub fn id(&self) -> MessageId {
        self.id
    }
}
