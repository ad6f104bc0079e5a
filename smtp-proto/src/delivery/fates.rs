//! How each recipient stands: what became of it, or what may.

use alloc::vec::Vec;

use super::{Outcome, Said};
use crate::ReplyCode;

/// How all the recipients of a message stand, in its order.
#[derive(Debug)]
pub(super) struct Fates {
    each: Vec<Fate>,
    /// How many of them are open.
    open: usize,
    /// How many of them are offered.
    offered: usize,
    /// How many were accepted in this transaction, whatever has become of them since.
    accepted: usize,
}

/// How one of them stands.
#[derive(Clone, Debug)]
enum Fate {
    /// It waits for a transaction.
    Open,
    /// RCPT was said.
    Offered,
    /// And accepted: the verdict is its own too.
    Accepted,
    /// RCPT was refused, perhaps only because there are too many in this transaction.
    Full(Said),
    /// Nothing more becomes of it.
    Decided(Outcome),
}

impl Fates {
    pub(super) fn new(recipients: usize) -> Self {
        Self { each: alloc::vec![Fate::Open; recipients], open: recipients, offered: 0, accepted: 0 }
    }

    /// Whether some wait for a transaction.
    pub(super) const fn any_open(&self) -> bool {
        self.open > 0
    }

    /// Whether some were accepted in this transaction.
    pub(super) const fn any_accepted(&self) -> bool {
        self.accepted > 0
    }

    /// Whether some of this transaction may yet get the message.
    pub(super) const fn any_hope(&self) -> bool {
        self.accepted > 0 || self.offered > 0
    }

    /// The first from there on that waits for a transaction.
    pub(super) fn next_open(&self, from: usize) -> Option<usize> {
        let found = self.each.get(from..)?.iter().position(|fate| matches!(fate, Fate::Open))?;
        Some(from.saturating_add(found))
    }

    /// RCPT is said.
    pub(super) fn offer(&mut self, index: usize) {
        self.set(index, Fate::Offered);
    }

    /// RCPT is accepted.
    pub(super) fn accept(&mut self, index: usize) {
        if let Some(Fate::Offered) = self.each.get(index) {
            self.set(index, Fate::Accepted);
            self.accepted = self.accepted.saturating_add(1);
        }
    }

    /// RCPT is refused.
    pub(super) fn refuse(&mut self, index: usize, said: Said) {
        let Some(Fate::Offered) = self.each.get(index) else { return };
        let fate = match said.reply.code() {
            // RFC 5321 §4.5.3.1.10: the second is an old way to say the first.
            ReplyCode::INSUFFICIENT_STORAGE | ReplyCode::STORAGE_EXCEEDED => Fate::Full(said),
            _ => Fate::Decided(Outcome::refused(said)),
        };
        self.set(index, fate);
    }

    /// Decides over one, whatever else was to become of it.
    pub(super) fn decide(&mut self, index: usize, outcome: Outcome) {
        self.set(index, Fate::Decided(outcome));
    }

    /// The verdict on all that were accepted.
    pub(super) fn decide_accepted(&mut self, outcome: &Outcome) {
        for index in 0..self.each.len() {
            if let Some(Fate::Accepted) = self.each.get(index) {
                self.set(index, Fate::Decided(outcome.clone()));
            }
        }
    }

    /// The verdict on the first from there on that was accepted; where that stands.
    pub(super) fn decide_next_accepted(&mut self, from: usize, outcome: Outcome) -> usize {
        let is_accepted = |fate: &Fate| matches!(fate, Fate::Accepted);
        let rest = self.each.get(from..).unwrap_or_default();
        let index = from.saturating_add(rest.iter().take_while(|fate| !is_accepted(fate)).count());
        self.set(index, Fate::Decided(outcome));
        index
    }

    /// Decides over all that are not decided. Whom the server has answered for itself has that answer.
    pub(super) fn decide_rest(&mut self, outcome: &Outcome) {
        for index in 0..self.each.len() {
            let decided = match self.each.get(index) {
                Some(Fate::Full(said)) => Outcome::Deferred(said.clone()),
                Some(Fate::Open | Fate::Offered | Fate::Accepted) => outcome.clone(),
                Some(Fate::Decided(_)) | None => continue,
            };
            self.set(index, Fate::Decided(decided));
        }
    }

    /// The transaction is over. Who was refused for their number waits for another, if the server took anyone in this.
    pub(super) fn settle(&mut self) {
        for index in 0..self.each.len() {
            let Some(Fate::Full(said)) = self.each.get(index) else { continue };
            let fate = if self.accepted > 0 { Fate::Open } else { Fate::Decided(Outcome::Deferred(said.clone())) };
            self.set(index, fate);
        }
        self.accepted = 0;
    }

    /// What became of them, in their order.
    pub(super) fn take(&mut self) -> Vec<Outcome> {
        let decided = |fate| match fate {
            Fate::Decided(outcome) => Some(outcome),
            Fate::Open | Fate::Offered | Fate::Accepted | Fate::Full(_) => None,
        };
        core::mem::take(&mut self.each).into_iter().filter_map(decided).collect()
    }

    /// Octets of heap that the server's words take.
    pub(super) fn memory(&self) -> usize {
        let said = |fate: &Fate| match fate {
            Fate::Open | Fate::Offered | Fate::Accepted => 0,
            Fate::Full(said) => said.reply.memory(),
            Fate::Decided(outcome) => outcome.said().reply.memory(),
        };
        self.each.iter().map(said).sum()
    }

    fn set(&mut self, index: usize, fate: Fate) {
        if let Some(place) = self.each.get_mut(index) {
            self.open = self.open.saturating_add(fate.is_open()).saturating_sub(place.is_open());
            self.offered = self.offered.saturating_add(fate.is_offered()).saturating_sub(place.is_offered());
            *place = fate;
        }
    }
}

impl Fate {
    fn is_open(&self) -> usize {
        usize::from(matches!(self, Self::Open))
    }

    fn is_offered(&self) -> usize {
        usize::from(matches!(self, Self::Offered))
    }
}
