//! What a queue has done, and what it has to do: numbers for metrics.

use crate::{Failure, Held};

/// A snapshot. The first group only grows (from zero at each start); the second says how things are now. It costs a copy,
/// however much is queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages taken into custody, notifications of the queue's own included.
    pub accepted: u64,
    /// Recipients that the next hop took.
    pub delivered: u64,
    /// Attempts that failed for now, by recipient.
    pub deferred: u64,
    /// Attempts without an outcome, by recipient: crashes found at a start, panics and silence of the transport.
    pub interrupted: u64,
    /// Recipients that were refused for good.
    pub refused: u64,
    /// Recipients that were given up by age.
    pub expired: u64,
    /// Recipients that could not be delivered in the sender's time.
    pub late: u64,
    /// Recipients that an operator returned.
    pub bounced: u64,
    /// Notifications queued about ends.
    pub notified: u64,
    /// Notifications queued about delays.
    pub warned: u64,
    /// Times that nobody could be told of an end: there is no way back to the sender.
    pub untold: u64,
    /// Messages that were held because attempts for them ended without an outcome, again and again.
    pub poisoned: u64,
    /// Messages that were held because the spool lost their octets.
    pub damaged: u64,
    /// Messages removed by hand.
    pub removed: u64,
    /// Times that the spool did not do what was asked, and was asked again.
    pub spool_errors: u64,

    /// Messages in the queue.
    pub messages: u64,
    /// Messages in memory: being worked on, or waiting for a turn.
    pub active: u64,
    /// Recipients of these.
    pub recipients: u64,
    /// Messages that wait in the spool for a time, for a site, or for their turn as suspects.
    pub waiting: u64,
    /// Messages that wait for their turn as suspects, in memory or in the spool.
    pub suspects: u64,
    /// Messages that stay until they are released.
    pub held: u64,
    /// Messages whose time has come and that a rule keeps.
    pub suspended: u64,
    /// Attempts under way.
    pub flying: u64,
    /// Sites with mail or with something to remember.
    pub sites: u64,
    /// Sites where nobody answers.
    pub unreachable: u64,
}

impl Counters {
    /// Recipients that failed for good, for whatever reason.
    pub fn failed(&self) -> u64 {
        self.refused + self.expired + self.late + self.bounced
    }

    pub(super) fn add_failure(&mut self, why: Failure) {
        match why {
            Failure::Refused => self.refused += 1,
            Failure::Expired => self.expired += 1,
            Failure::Late => self.late += 1,
            Failure::Bounced => self.bounced += 1,
        }
    }

    pub(super) fn add_hold(&mut self, why: Held) {
        match why {
            Held::Asked => {}
            Held::Poison => self.poisoned += 1,
            Held::Damaged => self.damaged += 1,
        }
    }
}
