//! Suspects: whose turn it is among them.

use std::time::Duration;

use crate::MessageId;
use crate::queue::dormant::Lot;
use crate::queue::message::Spot;
use crate::queue::suspects::Clearance;
use crate::queue::times::Moment;

use super::{Happening, Plan, READS, Repute, Transit};

impl Plan {
    /// Gives the turn to the suspect that waited longest, where whoever had it makes no use of it any more. Names it where
    /// it has to be read first.
    pub(super) fn call_suspect(&mut self, at: Moment) -> Option<Vec<MessageId>> {
        loop {
            if let Some(id) = self.suspects.turn(at.now) {
                if self.uses_turn(id) {
                    return None;
                }
                self.suspects.end_turn();
            }
            // One that an operator has in hand keeps its place.
            let id = self.suspects.first(|id| !self.transit.contains_key(&id))?;
            if self.active.contains_key(&id) {
                self.suspects.call(id, at.now);
                self.admit_suspect(id, at);
                continue;
            }
            let Some(sleeper) = self.dormant.find(id).filter(|sleeper| sleeper.lot != Lot::Held) else {
                self.suspects.forget(id);
                continue;
            };
            if self.reads >= READS || !self.has_room() {
                return None;
            }
            self.suspects.call(id, at.now);
            self.dormant.remove(id);
            self.transit.insert(id, Transit { sleeper, lane: None });
            self.reads += 1;
            return Some(vec![id]);
        }
    }

    /// Whether an attempt for a message may begin beside those that are under way.
    pub(super) fn is_cleared(&mut self, id: MessageId, repute: Repute, now: Duration) -> bool {
        match repute {
            Repute::Good => true,
            Repute::Suspect => match self.suspects.take_off(id, now) {
                Clearance::Refused => false,
                Clearance::Begins => {
                    self.happenings.push(Happening::Suspected { id });
                    true
                }
                Clearance::GoesOn => true,
            },
        }
    }

    /// Whether the suspect that has the turn is tried, or soon will be.
    fn uses_turn(&self, id: MessageId) -> bool {
        self.suspects.is_flying(id)
            || self.transit.contains_key(&id)
            || self.active.get(&id).is_some_and(|message| message.is_suspect() && message.busy > 0)
    }

    /// Lets what waits of a suspect go on.
    fn admit_suspect(&mut self, id: MessageId, at: Moment) {
        let Some(message) = self.active.get(&id) else { return };
        let legs = (0_u32..).zip(&message.legs);
        let waiting: Vec<u32> = legs.filter(|(_, leg)| leg.place == Spot::Suspect).map(|(number, _)| number).collect();
        for leg in waiting {
            self.arrange(id, leg, at);
        }
        self.attend(id, at);
    }
}
