//! What operators do, as far as memory goes: a message is seized, facts about it are recorded, and it is let go.

use crate::queue::dormant::{Lot, Sleeper};
use crate::queue::message::{Hands, Trust};
use crate::queue::operate::Action;
use crate::queue::rules::Rules;
use crate::queue::step::Step;
use crate::queue::times::Moment;
use crate::{Destination, MessageId, Note, Standing, Stored};

use super::{Errand, Plan, Transit};

/// What came of the wish to have a message in hand.
#[derive(Debug)]
pub(in crate::queue) enum Seized {
    /// It is in memory. The recipients with an attempt under way are named.
    Active(Box<Stored>, Vec<u32>),
    /// It is in the spool alone.
    Dormant,
    /// Something is being recorded about it now.
    Busy,
    Gone,
}

/// A message to look at.
#[derive(Debug)]
pub(in crate::queue) enum Prospect {
    Entry(Box<crate::Entry>),
    /// It has to be read first.
    Asleep,
    Gone,
}

impl Plan {
    pub(in crate::queue) fn rules(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// At most `limit` names behind `after`, in order.
    pub(in crate::queue) fn names(&self, after: Option<MessageId>, limit: usize) -> Vec<MessageId> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let mut names: Vec<_> = self.dormant.after(after).take(limit).collect();
        names.extend(self.active.range((from, Unbounded)).take(limit).map(|(id, _)| *id));
        names.extend(self.transit.keys().filter(|id| after.is_none_or(|after| **id > after)));
        names.sort_unstable();
        names.truncate(limit);
        names
    }

    /// Takes a message in hand: no attempt begins until it is let go.
    pub(in crate::queue) fn seize(&mut self, id: MessageId, at: Moment) -> Seized {
        if let Some(sleeper) = self.dormant.remove(id) {
            self.transit.insert(id, Transit { sleeper, lane: None });
            return Seized::Dormant;
        }
        if self.transit.contains_key(&id) {
            return Seized::Busy;
        }
        self.recall(id);
        let Some(message) = self.active.get_mut(&id) else { return Seized::Gone };
        if message.hands != Hands::Free || message.trust == Trust::Doubt {
            return Seized::Busy;
        }
        message.hands = Hands::Operator;
        self.withdraw(id, at.now);
        let Some(message) = self.active.get(&id) else { return Seized::Gone };
        let is_flying = |step: &Step| match step {
            Step::Trying { .. } => true,
            Step::Waiting(_) | Step::Ended(_) => false,
        };
        let flying = (0..).zip(&message.seats).filter(|(_, seat)| is_flying(&seat.step)).map(|(index, _)| index);
        Seized::Active(Box::new(message.stored(id)), flying.collect())
    }

    /// Takes back an errand that nobody has begun.
    pub(super) fn recall(&mut self, id: MessageId) {
        let is_its = |errand: &Errand| match errand {
            Errand::Finish(one) | Errand::Hold(one, _) | Errand::Tell(one, _) => *one == id,
        };
        let Some(place) = self.errands.iter().position(is_its) else { return };
        let errand = self.errands.remove(place);
        let Some(message) = self.active.get_mut(&id) else { return };
        message.hands = Hands::Free;
        if let Some(Errand::Hold(..)) = errand {
            message.standing = Standing::Going;
        }
    }

    pub(in crate::queue) fn is_known(&self, id: MessageId) -> bool {
        self.knows(id)
    }

    /// Lets a message go of which nothing was recorded.
    pub(in crate::queue) fn spare(&mut self, id: MessageId, at: Moment) {
        if let Some(Transit { sleeper, .. }) = self.transit.remove(&id) {
            self.lay(sleeper);
            return;
        }
        self.free_hands(id, at);
    }

    /// Lets a message go of which nobody knows what was recorded: it is read again.
    pub(in crate::queue) fn drop_hands(&mut self, id: MessageId, at: Moment) {
        if let Some(Transit { sleeper, .. }) = self.transit.remove(&id) {
            self.sleep(Sleeper { lot: Lot::Old, due: Some(at.now), ..sleeper }, at.now);
            return;
        }
        if let Some(message) = self.active.get_mut(&id) {
            message.hands = Hands::Free;
        }
        self.doubt(id, at);
    }

    /// It turned out to be gone.
    pub(in crate::queue) fn lose(&mut self, id: MessageId, at: Moment) {
        self.transit.remove(&id);
        self.suspects.forget(id);
        self.leave(id, at.now);
    }

    /// Lets a message go after an action whose facts are recorded.
    pub(in crate::queue) fn acted(
        &mut self,
        id: MessageId,
        action: Action,
        notes: &[Note],
        destinations: &[Destination],
        at: Moment,
    ) {
        match action {
            // No way round the line.
            Action::Retry => {}
            // Most are no suspects after it. One that is gets in line again.
            Action::Hold | Action::Release | Action::Requeue | Action::Bounce | Action::Delete => {
                self.suspects.forget(id)
            }
        }
        match action {
            Action::Requeue => destinations.iter().for_each(|destination| self.ways.forget(destination)),
            Action::Hold | Action::Release | Action::Retry | Action::Bounce | Action::Delete => {}
        }
        match action {
            Action::Retry | Action::Requeue | Action::Release => {
                for destination in destinations {
                    if let Some(site) = self.ways.last_known(destination).cloned() {
                        self.lanes.probe_now(&site, at.now);
                    }
                }
            }
            Action::Hold | Action::Bounce | Action::Delete => {}
        }
        if action == Action::Delete {
            self.counters.removed += 1;
        }
        if notes.contains(&Note::Done) {
            return self.lose(id, at);
        }
        if let Some(Transit { sleeper, .. }) = self.transit.remove(&id) {
            let (lot, due) = match action {
                Action::Hold => (Lot::Held, None),
                Action::Release | Action::Retry | Action::Requeue => (Lot::Prompt, Some(at.now)),
                Action::Bounce | Action::Delete => (Lot::Old, Some(at.now)),
            };
            self.sleep(Sleeper { lot, due, ..sleeper }, at.now);
            return;
        }
        if let Some(message) = self.active.get_mut(&id) {
            message.note(id, notes, &self.config, &self.times, at);
            match action {
                Action::Release | Action::Retry | Action::Requeue => message.prompt(at.now),
                Action::Bounce if message.has_word_due() => message.tell_at = Some(at.now),
                Action::Hold | Action::Bounce | Action::Delete => {}
            }
        }
        self.free_hands(id, at);
    }

    fn free_hands(&mut self, id: MessageId, at: Moment) {
        let Some(message) = self.active.get_mut(&id) else { return };
        message.hands = Hands::Free;
        let legs = message.legs.len() as u32;
        for leg in 0..legs {
            self.arrange(id, leg, at);
        }
        self.attend(id, at);
    }
}
