//! How a message stands, for whoever looks: each recipient says what it waits for, and until when.

use std::sync::Arc;
use std::time::Duration;

use crate::{Destination, Detail, Envelope, Failure, Handed, Held, MessageId, Priority, Progress, UnixMicros};

use super::rules::RuleId;

/// A queued message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: MessageId,
    /// When it arrived, by the wall clock of then.
    pub arrived: UnixMicros,
    /// How long it has been here, as the schedule counts: a wall clock that jumps changes nothing about it.
    pub age: Duration,
    /// The size of its octets.
    pub size: u64,
    /// As its envelope says.
    pub priority: Priority,
    /// The reverse-path, empty for a notification.
    pub sender: String,
    /// Who handed it in.
    pub source: String,
    /// What it waits for as a whole: the nearest of what its recipients wait for.
    pub state: EntryState,
    /// The recipients in the envelope's order.
    pub recipients: Vec<RecipientEntry>,
}

/// What a message as a whole waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// Someone of it is being tried, or waits only for its turn or for word to the sender.
    Active,
    /// It waits for a time.
    Deferred {
        /// When the first recipient is due.
        until: UnixMicros,
    },
    /// It stays until it is released.
    Held {
        /// Why, in a word.
        why: Held,
    },
    /// A rule keeps it.
    Suspended {
        /// The rule.
        rule: RuleId,
        /// When the rule expires, if it does.
        until: Option<UnixMicros>,
    },
    /// Nobody answers where it goes.
    Unreachable {
        /// Where that is.
        site: Arc<str>,
        /// When one message is tried there.
        probe_at: UnixMicros,
    },
}

/// One recipient of a queued message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientEntry {
    /// The forward-path.
    pub address: String,
    /// The way there.
    pub destination: Destination,
    /// The site behind the way, where it is known now.
    pub site: Option<Arc<str>>,
    /// How it stands.
    pub state: RecipientState,
}

/// How one recipient stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientState {
    /// It will be tried.
    Waiting {
        /// What it waits for.
        why: Waiting,
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
    Delivered {
        /// Since when.
        at: UnixMicros,
        /// Who that is.
        handed: Handed,
    },
    /// It will not be tried again.
    Failed {
        /// Since when.
        at: UnixMicros,
        /// Why, in a word.
        why: Failure,
        /// What was said last.
        detail: Detail,
    },
}

impl From<&Progress> for RecipientState {
    /// What the spool says, by itself.
    fn from(progress: &Progress) -> Self {
        match progress {
            Progress::Fresh => Self::Waiting { why: Waiting::Turn, attempts: 0, detail: None },
            Progress::Trying { attempt, .. } => Self::Trying { attempt: *attempt },
            Progress::Deferred { attempts, until, detail, .. } => Self::Waiting {
                why: Waiting::Schedule { until: *until },
                attempts: *attempts,
                detail: Some(detail.clone()),
            },
            Progress::Delivered { at, handed, .. } => Self::Delivered { at: *at, handed: *handed },
            Progress::Failed { at, why, detail, .. } => Self::Failed { at: *at, why: *why, detail: detail.clone() },
        }
    }
}

/// What a recipient waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// For its turn: it could go now.
    Turn,
    /// For its turn as a suspect: attempts for the message ended without an outcome, one after the other, so that it is tried
    /// while no other suspect is.
    Suspect,
    /// For the next attempt that the schedule allows.
    Schedule {
        /// When that is.
        until: UnixMicros,
    },
    /// For the time that the sender asked for (RFC 4865).
    Release {
        /// When that is.
        until: UnixMicros,
    },
    /// For a site where nobody answers.
    Unreachable {
        /// The site.
        site: Arc<str>,
        /// When one message is tried there.
        probe_at: UnixMicros,
        /// What the last attempt there came to, of whatever message.
        detail: Detail,
    },
    /// For the end of a rule.
    Rule {
        /// The rule.
        rule: RuleId,
        /// When it expires, if it does.
        until: Option<UnixMicros>,
    },
    /// For someone to release the message.
    Held(Held),
}

/// A queued message with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// How it stands.
    pub entry: Entry,
    /// Where it is from, and where it goes.
    pub envelope: Envelope,
}

/// A piece of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What matched, in the order of the names, which is that of arrival.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` behind the last. A page may be empty and not the last: a search reads a bounded
    /// number of messages for each.
    pub next: Option<MessageId>,
    /// How many messages were looked at for it.
    pub looked: usize,
}

/// A site: the hosts behind one or many destinations, and what they can bear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// As [`Transport::site`](crate::Transport::site) named it.
    pub name: Arc<str>,
    /// Whether someone answers there.
    pub state: SiteState,
    /// The most attempts at one time, for now.
    pub window: usize,
    /// Attempts under way.
    pub flying: usize,
    /// Messages that wait for a turn or for an answer there, those in the spool included.
    pub waiting: usize,
    /// What the last attempt that did not reach it came to.
    pub detail: Option<Detail>,
}

/// Whether someone answers at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteState {
    /// As far as is known.
    Reachable {
        /// How many attempts in a row failed to reach it.
        failures: u32,
    },
    /// Nobody; one attempt at a time looks again.
    Unreachable {
        /// Since when.
        since: UnixMicros,
        /// When the next one looks; a time that has passed while it is under way or waits for mail to try with.
        probe_at: UnixMicros,
    },
}
