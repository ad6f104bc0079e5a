//! What happens in a queue, for logs and counters of the application.

use std::fmt;

use crate::{Destination, Detail, Envelope, Failure, Handed, Held, MessageId, Recipient, UnixMicros};

/// Hears what happens. A recipient that ended leaves no other trace, so whoever wants a log writes it from here.
///
/// Calls come from the task that runs the queue and from those that commit or operate, in the order of what happened to
/// each message, after it is durable where it has to be. They must not block, and must not call the queue's `async`
/// functions to their end.
pub trait Observer: Send + Sync + 'static {
    /// Takes note.
    fn event(&self, event: &Event<'_>);
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A message was taken into custody.
    Accepted {
        /// The message.
        id: MessageId,
        /// Its envelope.
        envelope: &'a Envelope,
        /// Its octets.
        size: u64,
    },
    /// An attempt is dialled.
    Attempted {
        /// The message.
        id: MessageId,
        /// Where to.
        destination: &'a Destination,
        /// The site behind it.
        site: &'a str,
        /// Its number, from one.
        attempt: u32,
        /// For how many recipients.
        recipients: usize,
    },
    /// The next hop took a recipient.
    Delivered {
        /// The recipient.
        about: About<'a>,
        /// Who that is.
        handed: Handed,
        /// What was said.
        detail: &'a Detail,
    },
    /// A recipient is tried again.
    Deferred {
        /// The recipient.
        about: About<'a>,
        /// Not before this.
        until: UnixMicros,
        /// What was said.
        detail: &'a Detail,
    },
    /// Nobody knows what became of an attempt for a recipient.
    Interrupted {
        /// The recipient.
        about: About<'a>,
        /// How many in a row.
        times: u32,
    },
    /// A recipient is given up.
    Failed {
        /// The recipient.
        about: About<'a>,
        /// Why, in a word.
        why: Failure,
        /// What was said last.
        detail: &'a Detail,
    },
    /// A suspect has its turn: attempts for the message ended without an outcome, as often as they may before it is held,
    /// and the next one is about to begin while that of no other suspect is under way.
    Suspected {
        /// The message.
        id: MessageId,
    },
    /// A message stays until it is released.
    Held {
        /// The message.
        id: MessageId,
        /// Why, in a word.
        why: Held,
    },
    /// A message may go on.
    Released {
        /// The message.
        id: MessageId,
    },
    /// A message was removed by hand.
    Removed {
        /// The message.
        id: MessageId,
    },
    /// The sender is told, by a message of the queue's own.
    Notified {
        /// The message that it is about.
        id: MessageId,
        /// The notification.
        notification: MessageId,
        /// What it says.
        news: News,
    },
    /// The sender should be told, and cannot be: it is the null sender, or there is no way back to it.
    Untold {
        /// The message.
        id: MessageId,
        /// What the sender does not hear.
        news: News,
    },
    /// Nobody answers at a site.
    Unreachable {
        /// The site.
        site: &'a str,
        /// When one message is tried there.
        probe_at: UnixMicros,
        /// What the last attempt came to.
        detail: &'a Detail,
    },
    /// A site answers again.
    Reachable {
        /// The site.
        site: &'a str,
    },
    /// The spool does not take what must be recorded. Nothing new is dialled meanwhile.
    SpoolFails,
    /// The spool works again.
    SpoolWorks,
}

/// The recipient that an event is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The message.
    pub id: MessageId,
    /// Its envelope.
    pub envelope: &'a Envelope,
    /// The recipient.
    pub recipient: &'a Recipient,
    /// How often it was tried.
    pub attempts: u32,
}

/// What a notification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// What became of recipients for good.
    Ends,
    /// That the message takes its time.
    Delay,
}

/// Hears nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nobody;

impl Observer for Nobody {
    fn event(&self, _: &Event<'_>) {}
}

impl fmt::Debug for dyn Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
