//! The far side of the queue: what carries a batch on, and what it answers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::{Body, Destination, Detail, Envelope, Handed, MessageId, Recipient};

/// Carries mail to its next hop: another server, or the mailboxes of this house.
pub trait Transport: Send + Sync + 'static {
    /// Tries to deliver one batch and says what became of each of its recipients, in the batch's order.
    ///
    /// The queue polls all deliveries in one task. A transport that computes a lot hands the work to a task of its own and
    /// waits for it here. It is never called for a recipient whose delivery was recorded. A future that is dropped counts
    /// as an interrupted attempt. Where answers are missing, those recipients are tried again.
    fn deliver(&self, batch: Batch) -> impl Future<Output = Vec<Outcome>> + Send;

    /// Names the hosts behind a destination. Destinations with equal sites share what the far side can bear: a limit of
    /// attempts at one time, and the memory that nobody answers there. For mail to a domain it is the set of its mail
    /// exchangers, since thousands of domains may share one.
    ///
    /// The answer is kept for [`QueueConfig::site_memory`](crate::QueueConfig::site_memory). Where it cannot be found out
    /// now, the destination's own key does.
    fn site(&self, destination: &Destination) -> impl Future<Output = Arc<str>> + Send {
        std::future::ready(Arc::from(destination.key()))
    }

    /// The way to the mailbox of a message's sender, for a notification; `None` where there is none, so that nobody is told.
    fn way_back(&self, sender: &str) -> impl Future<Output = Option<Recipient>> + Send;
}

/// Recipients of one message that share a destination: one transaction.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The message.
    pub id: MessageId,
    /// Its envelope, with all recipients.
    pub envelope: Arc<Envelope>,
    /// Which of the envelope's recipients are meant, by index; at least one.
    pub recipients: Vec<usize>,
    /// Where they go.
    pub destination: Destination,
    /// The number of this attempt, from one; the highest where recipients differ.
    pub attempt: u32,
    /// The message's octets.
    pub body: Body,
}

impl Batch {
    /// The recipients themselves, in the batch's order.
    pub fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        self.recipients.iter().filter_map(|index| self.envelope.recipients.get(*index))
    }

    /// A name for the delivery to the envelope's recipient `index`: the same in every attempt, and in no other delivery.
    /// A receiver that remembers it takes the message once.
    pub fn delivery_id(&self, index: usize) -> String {
        format!("{}.{index}", self.id)
    }
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next hop took it.
    Delivered {
        /// What it said.
        detail: Detail,
        /// Who has it now.
        handed: Handed,
    },
    /// Not now; to be tried again.
    Deferred {
        /// What went wrong.
        reason: Detail,
        /// When the other side asked to come back, if it did. The schedule bounds it.
        retry_after: Option<Duration>,
        /// Whose trouble it was.
        class: Trouble,
    },
    /// Never.
    Failed {
        /// What was said.
        reason: Detail,
    },
}

/// Whether an attempt failed for the destination as a whole or for this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// It could not be reached, or refused before it heard of the message.
    Connection,
    /// It refused this message or recipient for now.
    Message,
}
