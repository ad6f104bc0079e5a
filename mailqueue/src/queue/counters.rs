//! What a queue has done, and what it has to do: numbers for metrics.

use crate::Held;

use super::step::Step;

/// A snapshot. The first group only grows (from zero at each start); the second says how things are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages taken into custody.
    pub accepted: u64,
    /// Recipients that the next hop took.
    pub delivered: u64,
    /// Attempts that failed for now, by recipient.
    pub deferred: u64,
    /// Recipients that failed for good.
    pub failed: u64,
    /// Recipients that were given up by age.
    pub expired: u64,
    /// Recipients that were held because the spool lost their message.
    pub damaged: u64,
    /// Messages removed by hand.
    pub removed: u64,
    /// Times that the spool did not take a fact, and was asked again.
    pub spool_errors: u64,

    /// Messages in the queue.
    pub messages: u64,
    /// Recipients that wait for a time or a turn.
    pub waiting: u64,
    /// Recipients that are being tried.
    pub trying: u64,
    /// Recipients held because they failed for good.
    pub held_failed: u64,
    /// Recipients held because they were given up.
    pub held_expired: u64,
    /// Recipients held because their message is damaged.
    pub held_damaged: u64,
    /// Attempts under way.
    pub flying: u64,
    /// Destinations with an attempt under way or due.
    pub destinations: u64,
}

impl Counters {
    pub(super) fn add(&mut self, step: &Step) {
        if let Some(count) = self.slot(step) {
            *count += 1;
        }
    }

    pub(super) fn subtract(&mut self, step: &Step) {
        if let Some(count) = self.slot(step) {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn replace(&mut self, step: &mut Step, by: Step) {
        self.subtract(step);
        self.add(&by);
        *step = by;
    }

    /// Counts what an attempt came to.
    pub(super) fn judged(&mut self, step: &Step) {
        match step {
            Step::Delivered => self.delivered += 1,
            Step::Waiting { .. } => self.deferred += 1,
            Step::Held { why: Held::Failed, .. } => self.failed += 1,
            Step::Held { why: Held::Expired, .. } => self.expired += 1,
            Step::Held { why: Held::Damaged, .. } => self.damaged += 1,
            Step::Trying { .. } => {}
        }
    }

    fn slot(&mut self, step: &Step) -> Option<&mut u64> {
        match step {
            Step::Waiting { .. } => Some(&mut self.waiting),
            Step::Trying { .. } => Some(&mut self.trying),
            Step::Delivered => None,
            Step::Held { why: Held::Failed, .. } => Some(&mut self.held_failed),
            Step::Held { why: Held::Expired, .. } => Some(&mut self.held_expired),
            Step::Held { why: Held::Damaged, .. } => Some(&mut self.held_damaged),
        }
    }
}
