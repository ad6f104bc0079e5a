//! How messages come into memory and leave it.

use std::time::Duration;

use crate::queue::dormant::{Born, Lot, Queue, Sleeper};
use crate::queue::message::{Birth, Hands, Haste, Message, Spot, Trust};
use crate::queue::times::Moment;
use crate::queue::ways::SiteKey;
use crate::{MessageId, ReadError, Stored, Wake};

use super::{Crowd, Plan, READ, READS, Transit, Whole};

/// The queues that are drawn from, by turns.
const DRAWS: [Queue; 3] = [Queue::New, Queue::Old, Queue::Earlier];

impl Plan {
    /// Takes in the name of a message that nobody worked on since the start.
    pub(in crate::queue) fn enrol(&mut self, id: MessageId, wake: Wake, at: Moment) {
        if self.knows(id) {
            return;
        }
        let (lot, due) = match wake {
            Wake::Now => (Lot::Earlier, Some(at.now)),
            Wake::After { since, wait } => (Lot::Earlier, Some(self.end_of_wait(since, wait, at))),
            Wake::Asked => (Lot::Held, None),
        };
        self.dormant.insert(Sleeper { id, lot, due, born: Born::Unknown });
    }

    /// Takes in a message that was just committed.
    pub(in crate::queue) fn welcome(&mut self, stored: Stored, at: Moment) {
        let id = stored.id;
        if self.knows(id) {
            return;
        }
        let count = stored.envelope.recipients.len();
        let message = Message::new(stored, Birth::Now, &self.config, &self.times, at);
        if self.has_room() && self.fits(count) {
            self.admit(id, message, at);
            return;
        }
        let due = Some(message.seats.iter().filter_map(|seat| Some(seat.step.waiting()?.due)).min().unwrap_or(at.now));
        let lot = if due > Some(at.now) { Lot::Old } else { Lot::New };
        self.sleep(Sleeper { id, lot, due, born: message.born() }, at.now);
    }

    /// The next messages to read: those that lanes want, then those whose time has come.
    pub(super) fn next_read(&mut self, at: Moment) -> Option<Vec<MessageId>> {
        if self.reads >= READS {
            return None;
        }
        let mut ids = Vec::new();
        while ids.len() < READ
            && self.has_room()
            && self.lanes.has_thirst()
            && let Some((site, id)) = self.lanes.draw(at.now)
        {
            self.summon(id, &site, &mut ids, at);
        }
        while ids.len() < READ
            && self.has_room()
            && let Some(sleeper) = self.draw(at.now)
        {
            ids.push(sleeper.id);
            self.transit.insert(sleeper.id, Transit { sleeper, lane: None });
        }
        if ids.is_empty() {
            return None;
        }
        self.reads += 1;
        Some(ids)
    }

    /// What a read came to. Messages that are missing in `answers` were not read: they stay where they were.
    pub(in crate::queue) fn came(&mut self, ids: &[MessageId], answers: Vec<Result<Stored, ReadError>>, at: Moment) {
        self.reads = self.reads.saturating_sub(1);
        let mut answers = answers.into_iter();
        for id in ids {
            let Some(Transit { sleeper, lane }) = self.transit.remove(id) else { continue };
            let wait = Some(at.now.saturating_add(self.config.patience));
            match answers.next() {
                Some(Ok(stored)) => self.awake(stored, sleeper, lane.as_ref(), at),
                Some(Err(ReadError::Unknown)) => {}
                // Its envelope is lost. It stays as it is, where an operator finds it.
                Some(Err(ReadError::Damaged)) => {
                    self.counters.damaged += 1;
                    self.sleep(Sleeper { lot: Lot::Held, due: None, ..sleeper }, at.now);
                }
                Some(Err(ReadError::Failed(_) | ReadError::Closed)) => {
                    self.counters.spool_errors += 1;
                    self.sleep(Sleeper { lot: Lot::Old, due: wait, ..sleeper }, at.now);
                }
                None => self.sleep(Sleeper { due: Some(at.now), ..sleeper }, at.now),
            }
            if let Some(site) = lane {
                self.lanes.came(&site, at.now);
            }
        }
    }

    /// Puts a message into memory, and sees to it.
    fn admit(&mut self, id: MessageId, message: Message, at: Moment) {
        let legs = message.legs.len() as u32;
        self.recipients += message.seats.len();
        self.active.insert(id, message);
        for leg in 0..legs {
            self.arrange(id, leg, at);
        }
        self.attend(id, at);
    }

    fn awake(&mut self, stored: Stored, sleeper: Sleeper, lane: Option<&SiteKey>, at: Moment) {
        let id = stored.id;
        if !self.fits(stored.envelope.recipients.len()) {
            self.crowd =
                Crowd::Full { most: self.config.active_recipients.saturating_sub(stored.envelope.recipients.len()) };
            let due = sleeper.due.map(|due| due.min(at.now));
            self.sleep(Sleeper { due, ..sleeper }, at.now);
            return;
        }
        let mut message = Message::new(stored, Birth::Slept(sleeper.born), &self.config, &self.times, at);
        match sleeper.lot {
            Lot::Prompt => message.prompt(at.now),
            Lot::Urged => message.prompt_suspicious(at.now),
            Lot::New | Lot::Old | Lot::Earlier | Lot::Parked | Lot::Suspect | Lot::Suspended | Lot::Held => {}
        }
        if let Some(site) = lane {
            // They were due when the backlog took them, whatever was written down about them.
            message.prompt_for(at.now, |destination| self.ways.last_known(destination) == Some(site));
        }
        let interrupted = message.seats.iter().filter_map(|seat| seat.step.waiting());
        self.counters.interrupted += match sleeper.lot {
            Lot::Earlier => interrupted.filter(|wait| wait.interrupted > 0).count() as u64,
            Lot::New
            | Lot::Old
            | Lot::Prompt
            | Lot::Parked
            | Lot::Suspect
            | Lot::Urged
            | Lot::Suspended
            | Lot::Held => 0,
        };
        self.admit(id, message, at);
    }

    /// A lane wants a message from its backlog.
    fn summon(&mut self, id: MessageId, site: &SiteKey, ids: &mut Vec<MessageId>, at: Moment) {
        if let Some(message) = self.active.get(&id) {
            let legs = message.legs.iter().enumerate();
            let theirs: Vec<u32> = legs
                .filter(|(_, leg)| matches!(&leg.place, Spot::Backlog(here) if here == site))
                .map(|(number, _)| number as u32)
                .collect();
            // Otherwise the legs that follow the first would see the one that is coming.
            self.lanes.came(site, at.now);
            for leg in theirs {
                self.arrange(id, leg, at);
            }
            self.attend(id, at);
            return;
        }
        let Some(sleeper) = self.dormant.find(id).filter(|sleeper| sleeper.lot != Lot::Held) else {
            self.lanes.came(site, at.now);
            return;
        };
        self.dormant.remove(id);
        self.transit.insert(id, Transit { sleeper, lane: Some(site.clone()) });
        ids.push(id);
    }

    /// Takes the next message whose time has come.
    fn draw(&mut self, now: Duration) -> Option<Sleeper> {
        for offset in 0..DRAWS.len() {
            let place = (self.draws + offset) % DRAWS.len();
            let queue = *DRAWS.get(place)?;
            if queue == Queue::Earlier && !self.ramp.is_some_and(|ramp| ramp.has_room(now)) {
                continue;
            }
            let Some(sleeper) = self.dormant.draw(queue, now) else { continue };
            if queue == Queue::Earlier
                && let Some(ramp) = &mut self.ramp
            {
                ramp.take();
            }
            self.draws = place + 1;
            return Some(sleeper);
        }
        None
    }

    /// Puts a message to sleep, if all of it waits and nobody has it in hand.
    pub(super) fn rest(&mut self, id: MessageId, at: Moment) {
        let Some(message) = self.active.get(&id) else { return };
        if message.busy > 0 || message.flying > 0 {
            return;
        }
        match message.hands {
            Hands::Free => {}
            Hands::Errand | Hands::Operator => return,
        }
        match message.trust {
            Trust::Sure => {}
            Trust::Doubt => {
                let sleeper = Sleeper { id, lot: Lot::Old, due: Some(at.now), born: message.born() };
                self.leave(id, at.now);
                self.sleep(sleeper, at.now);
                return;
            }
        }
        let spots = |is: fn(&Spot) -> bool| message.legs.iter().any(|leg| is(&leg.place));
        let lot = if message.held().is_some() {
            Lot::Held
        } else if spots(|place| matches!(place, Spot::Suspect)) {
            match message.haste {
                Haste::None => Lot::Suspect,
                Haste::Asked => Lot::Urged,
            }
        } else if spots(|place| matches!(place, Spot::Suspended)) {
            // The end of a rule looks for these by their lot; a backlog has names of its own.
            Lot::Suspended
        } else if spots(|place| matches!(place, Spot::Backlog(_))) {
            Lot::Parked
        } else {
            Lot::Old
        };
        let due = match lot {
            // Of recipients that ended the sender is told all the same.
            Lot::Held => message.tell_at,
            Lot::New
            | Lot::Old
            | Lot::Prompt
            | Lot::Earlier
            | Lot::Parked
            | Lot::Suspect
            | Lot::Urged
            | Lot::Suspended => message.legs.iter().filter_map(|leg| leg.alarm).chain(message.alarm).min(),
        };
        let sleeper = Sleeper { id, lot, due, born: message.born() };
        for leg in &message.legs {
            if let Spot::Backlog(site) = &leg.place {
                // Another leg may wait for the same site, and have taken the name out with it.
                self.lanes.park(site, &message.source, id, at.now);
            }
        }
        self.forget_alarms(id);
        if let Some(message) = self.active.remove(&id) {
            self.recipients -= message.seats.len();
        }
        self.make_room();
        self.sleep(sleeper, at.now);
    }

    /// Takes a message out of memory, lanes and backlogs. Attempts under way land when they end.
    pub(super) fn leave(&mut self, id: MessageId, now: Duration) -> Option<Message> {
        let legs = self.active.get(&id)?.legs.len() as u32;
        for leg in 0..legs {
            self.displace(id, leg, now);
        }
        self.forget_alarms(id);
        self.suspects.forget(id);
        let message = self.active.remove(&id)?;
        self.recipients -= message.seats.len();
        self.make_room();
        Some(message)
    }

    fn make_room(&mut self) {
        match self.crowd {
            Crowd::Full { most } if self.recipients > most => {}
            Crowd::Full { .. } | Crowd::Room => self.crowd = Crowd::Room,
        }
    }

    pub(super) fn sleep(&mut self, sleeper: Sleeper, now: Duration) {
        // Times are kept in seconds: rather late than early, or it would be read twice.
        let due =
            sleeper.due.map(|due| if due > now { due.saturating_add(Duration::from_nanos(999_999_999)) } else { due });
        self.lay(Sleeper { due, ..sleeper });
    }

    /// Puts a message where it waits for what its lot says. A suspect that sleeps is in line: nothing else may wake it.
    pub(super) fn lay(&mut self, sleeper: Sleeper) {
        match sleeper.lot {
            Lot::Suspect | Lot::Urged => self.suspects.join(sleeper.id),
            Lot::Held => self.suspects.forget(sleeper.id),
            Lot::New | Lot::Old | Lot::Prompt | Lot::Earlier | Lot::Parked | Lot::Suspended => {}
        }
        self.dormant.insert(sleeper);
    }

    pub(super) fn knows(&self, id: MessageId) -> bool {
        self.active.contains_key(&id) || self.transit.contains_key(&id) || self.dormant.find(id).is_some()
    }

    pub(super) fn has_room(&self) -> bool {
        self.crowd == Crowd::Room
            && self.active.len() + self.transit.len() < self.config.active_messages.max(1)
            && (self.recipients < self.config.active_recipients || self.active.is_empty())
    }

    fn fits(&self, recipients: usize) -> bool {
        self.active.is_empty() || self.recipients + recipients <= self.config.active_recipients
    }

    /// How many places are free in memory.
    pub(super) fn free(&self) -> usize {
        self.config.active_messages.saturating_sub(self.active.len())
    }

    fn end_of_wait(&self, since: crate::UnixMicros, wait: Duration, at: Moment) -> Duration {
        at.now.saturating_add(wait.saturating_sub(at.wall.since(since)))
    }

    fn forget_alarms(&mut self, id: MessageId) {
        let Some(message) = self.active.get_mut(&id) else { return };
        if let Some(due) = message.alarm.take() {
            self.alarms.remove(&(due, id, Whole::Message));
        }
        for (number, leg) in (0..).zip(&mut message.legs) {
            if let Some(due) = leg.alarm.take() {
                self.alarms.remove(&(due, id, Whole::Leg(number)));
            }
        }
    }
}
