//! How a queue behaves.

use std::time::Duration;

use crate::{Destination, Repeat, Schedule};

/// How a queue behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// When mail for other systems is tried again.
    pub schedule: Schedule,
    /// When mail for an idempotent destination is tried again: the mailboxes of this house are soon back.
    pub local_schedule: Schedule,
    /// When mail from the null sender is tried again: notifications. Nobody waits five days for one.
    pub notification_schedule: Schedule,
    /// The most attempts at one time. Each holds a connection and a piece of a message.
    pub concurrency: usize,
    /// The most attempts at one time for one site. More are taken for an attack by many servers.
    pub per_destination: usize,
    /// How many attempts at one time a site gets before it is known what it bears.
    pub initial_concurrency: usize,
    /// How many attempts in a row must fail to reach a site before it counts as unreachable.
    pub dead_after: u32,
    /// How long an unreachable site is left alone at first. Mail for the mailboxes of this house goes by the waits of
    /// [`QueueConfig::local_schedule`] instead.
    pub probe_first: Duration,
    /// How long it is left alone at most; each wait doubles the one before.
    pub probe_longest: Duration,
    /// The most recipients in one attempt: what every server must accept (RFC 5321 §4.5.3.1.8).
    pub recipients_per_batch: usize,
    /// The most messages in memory. The others wait in the spool, with a few dozen octets each.
    pub active_messages: usize,
    /// The most recipients in memory. A message with more is in memory alone.
    pub active_recipients: usize,
    /// For how long the transport's word on a destination's site holds: as DNS answers commonly do.
    pub site_memory: Duration,
    /// The most questions for sites at one time.
    pub site_questions: usize,
    /// How long the transport may think about such a question, or about a way back to a sender.
    pub question_patience: Duration,
    /// How many messages from before a start are taken up in the first second of a run. Each second after it doubles them,
    /// so that a start dials nobody a thousand times at once.
    pub restart_rate: u32,
    /// After how many attempts in a row that ended without an outcome a message is held: it may be what kills the process.
    /// One that is so far but for one attempt is a suspect, and is tried while no other suspect is: all that were in the air
    /// are interrupted by a crash, and one of them at most is to blame. With 1 there are no suspects.
    pub poison_after: u32,
    /// For how long a suspect that is being tried keeps the other suspects waiting. Most deliveries take less, so that a
    /// crash finds a single suspect in the air; a remote server may take ten minutes for its last word
    /// (RFC 5321 §4.5.3.2.6), and must not stop the others for that.
    pub suspect_patience: Duration,
    /// How old a message is when its sender is told that it takes its time, once.
    pub warn_after: Duration,
    /// How long the end of one recipient waits for that of others, so that one notification tells of all.
    pub tell_within: Duration,
    /// Who speaks in notifications, and how much.
    pub reporting: Reporting,
    /// How long to wait before a spool that failed is asked again.
    pub patience: Duration,
}

/// How notifications speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporting {
    /// The name of this host, for `Reporting-MTA` (RFC 3464 §2.2.2).
    pub host: String,
    /// The address that a notification is from, for its header; its envelope has the null sender.
    pub from: String,
    /// The largest message that is returned whole where the sender asked for it, in octets; of a larger one only the
    /// header comes back. A queue must not grow by the size of what it cannot deliver.
    pub full_limit: u64,
}

impl Default for QueueConfig {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let local = Schedule {
            first: Duration::from_secs(10),
            longest: Duration::from_secs(5 * MINUTE),
            ..Schedule::default()
        };
        let notification = Schedule { lifetime: Duration::from_secs(2 * 24 * HOUR), ..Schedule::default() };
        Self {
            schedule: Schedule::default(),
            local_schedule: local,
            notification_schedule: notification,
            concurrency: 200,
            per_destination: 20,
            initial_concurrency: 2,
            dead_after: 5,
            probe_first: Duration::from_secs(5 * MINUTE),
            probe_longest: Duration::from_secs(HOUR),
            recipients_per_batch: 100,
            active_messages: 10_000,
            active_recipients: 50_000,
            site_memory: Duration::from_secs(5 * MINUTE),
            site_questions: 64,
            question_patience: Duration::from_secs(30),
            restart_rate: 100,
            poison_after: 3,
            suspect_patience: Duration::from_secs(30),
            warn_after: Duration::from_secs(4 * HOUR),
            tell_within: Duration::from_secs(30),
            reporting: Reporting::default(),
            patience: Duration::from_secs(5),
        }
    }
}

impl Default for Reporting {
    fn default() -> Self {
        Self { host: "localhost".to_owned(), from: "postmaster@localhost".to_owned(), full_limit: 50 * 1024 }
    }
}

impl QueueConfig {
    /// From how many interruptions in a row on a message is a suspect.
    pub(super) fn suspect_from(&self) -> u32 {
        match self.poison_after {
            0 | 1 => u32::MAX,
            most => most - 1,
        }
    }

    /// The schedule for mail from `sender` to a destination.
    pub(super) fn schedule_for(&self, destination: &Destination, sender: &str) -> &Schedule {
        match (destination.repeat(), sender) {
            (Repeat::Idempotent, _) => &self.local_schedule,
            (Repeat::Duplicates, "") => &self.notification_schedule,
            (Repeat::Duplicates, _) => &self.schedule,
        }
    }
}
