//! Who is tried next, and when: the queue's memory of all messages, without any I/O.
//!
//! A message is cut into legs, one for each destination it goes to. A leg is nowhere (nothing to do), due (waits for a
//! time), ready (waits for its turn) or flying (an attempt is under way). Destinations take turns, and each has a limit
//! of legs that fly at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::{Destination, MessageId, Priority, Progress, Standing, Stored, UnixMicros};

use super::QueueConfig;
use super::counters::Counters;
use super::entry::{Entry, RecipientState};
use super::step::{Finding, Moment, Step};

#[derive(Debug)]
pub(super) struct Plan {
    config: QueueConfig,
    messages: BTreeMap<MessageId, Message>,
    /// Legs that wait for a time.
    due: BTreeSet<(Duration, MessageId, usize)>,
    lanes: HashMap<Destination, Lane>,
    /// Destinations with something ready and room to fly, in the order of their turns.
    turns: VecDeque<Destination>,
    /// Messages that everyone has, to be removed from the spool.
    finished: VecDeque<MessageId>,
    counters: Counters,
}

#[derive(Debug)]
struct Message {
    arrived: UnixMicros,
    /// When it arrived by the monotonic clock, in microseconds; negative for before the clock's origin.
    born: i64,
    priority: Priority,
    size: u64,
    standing: Standing,
    legs: Vec<Leg>,
    recipients: Vec<Slot>,
}

#[derive(Debug)]
struct Leg {
    destination: Destination,
    place: Place,
}

/// Where a leg is. The time it is sorted by stands here, so that it is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Due(Duration),
    Ready(Duration),
    Flying,
}

#[derive(Debug)]
struct Slot {
    leg: usize,
    step: Step,
}

#[derive(Debug, Default)]
struct Lane {
    ready: BTreeSet<(Reverse<Priority>, Duration, MessageId, usize)>,
    flying: usize,
    turn: Turn,
}

/// Whether a destination stands in the row of turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Out,
    InRow,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    Attempt(Attempt),
    /// Tell the spool that the message is done.
    Finish(MessageId),
}

/// An attempt under way: some recipients of one leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) id: MessageId,
    pub(super) destination: Destination,
    leg: usize,
    /// Each with the number that this attempt has for it.
    pub(super) recipients: Vec<(u32, u32)>,
}

/// What an attempt came to: facts to record, and steps to take when they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) facts: Vec<(u32, Progress)>,
    steps: Vec<(u32, Step)>,
    pub(super) rest: Rest,
}

/// What is left of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Some,
    /// Everyone has it.
    Nothing,
}

impl Plan {
    pub(super) fn new(config: QueueConfig) -> Self {
        Self {
            config,
            messages: BTreeMap::new(),
            due: BTreeSet::new(),
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            finished: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes in a message from the spool.
    pub(super) fn enrol(&mut self, stored: Stored, moment: Moment) {
        let Stored { id, arrived, priority, size, standing, recipients } = stored;
        let born = micros(moment.now).saturating_sub(micros(moment.wall.since(arrived)));
        let mut message = Message { arrived, born, priority, size, standing, legs: Vec::new(), recipients: Vec::new() };
        message.recipients.reserve_exact(recipients.len());
        let mut legs: HashMap<Destination, usize> = HashMap::new();
        for (destination, progress) in recipients {
            let step = Step::resume(progress, &destination, id, &self.config, moment);
            // Equal destinations share one copy of the key, across messages too.
            let shared = self.lanes.get_key_value(&destination).map(|(known, _)| known.clone());
            let leg = *legs.entry(shared.unwrap_or(destination)).or_insert_with_key(|destination| {
                message.legs.push(Leg { destination: destination.clone(), place: Place::Nowhere });
                message.legs.len() - 1
            });
            self.counters.add(&step);
            message.recipients.push(Slot { leg, step });
        }
        message.legs.shrink_to_fit();
        let count = message.legs.len();
        self.counters.messages += 1;
        if let Some(replaced) = self.messages.insert(id, message) {
            self.forget(id, &replaced);
        }
        for leg in 0..count {
            self.place(id, leg);
        }
        self.finish_if_done(id);
    }

    /// When something becomes due next; `None` where nothing waits for a time.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _, _)| *due)
    }

    /// What to do now, if anything.
    pub(super) fn next_task(&mut self, now: Duration) -> Option<Task> {
        if let Some(id) = self.finished.pop_front() {
            return Some(Task::Finish(id));
        }
        while let Some((due, id, leg)) = self.due.first().copied()
            && due <= now
        {
            self.due.pop_first();
            self.make_ready(id, leg, due);
        }
        while let Some(destination) = self.turns.pop_front() {
            let Some(lane) = self.lanes.get_mut(&destination) else { continue };
            lane.turn = Turn::Out;
            let Some((_, _, id, leg)) = lane.ready.pop_first() else { continue };
            let attempt = self.take_off(id, leg, &destination, now);
            self.give_turn(&destination);
            if let Some(attempt) = attempt {
                return Some(Task::Attempt(attempt));
            }
        }
        None
    }

    /// Says what findings mean, one for each recipient of the attempt, and changes nothing yet.
    pub(super) fn judge(&self, attempt: &Attempt, findings: Vec<Finding>, moment: Moment) -> Judgement {
        let mut judgement = Judgement { facts: Vec::new(), steps: Vec::new(), rest: Rest::Some };
        let Some(message) = self.messages.get(&attempt.id) else { return judgement };
        let age = Duration::from_micros(micros(moment.now).saturating_sub(message.born).max(0).unsigned_abs());
        for ((index, number), finding) in attempt.recipients.iter().zip(findings) {
            let Attempt { id, destination, .. } = attempt;
            let (step, fact) = Step::judge(finding, *number, age, destination, *id, &self.config, moment);
            judgement.steps.push((*index, step));
            judgement.facts.push((*index, fact));
        }
        let here = |index: usize| attempt.recipients.iter().any(|(one, _)| *one as usize == index);
        let others =
            message.recipients.iter().enumerate().all(|(index, slot)| slot.step == Step::Delivered || here(index));
        if others && judgement.steps.iter().all(|(_, step)| *step == Step::Delivered) {
            judgement.rest = Rest::Nothing;
        }
        judgement
    }

    /// Takes the steps of a judgement whose facts are recorded. The attempt is over.
    pub(super) fn settle(&mut self, attempt: &Attempt, judgement: Judgement) {
        for (_, step) in &judgement.steps {
            self.counters.judged(step);
        }
        self.end(attempt, judgement.steps);
        match judgement.rest {
            Rest::Nothing => self.remove(attempt.id),
            Rest::Some => self.finish_if_done(attempt.id),
        }
    }

    /// Ends an attempt whose outcome nobody knows, as a restart would.
    pub(super) fn interrupt(&mut self, attempt: &Attempt, moment: Moment) {
        let since = moment.wall;
        let Attempt { id, destination, .. } = attempt;
        let steps = attempt.recipients.iter().map(|(index, number)| {
            let trying = Progress::Trying { attempt: *number, since };
            (*index, Step::resume(trying, destination, *id, &self.config, moment))
        });
        let steps = steps.collect();
        self.end(attempt, steps);
    }

    /// Ends an attempt that was never made, since it could not be recorded. `due` is when to try again.
    pub(super) fn abandon(&mut self, attempt: &Attempt, due: Duration) {
        let Some(message) = self.messages.get(&attempt.id) else {
            self.land(&attempt.destination);
            return;
        };
        let mut steps = Vec::with_capacity(attempt.recipients.len());
        for (index, number) in &attempt.recipients {
            let detail = match message.recipients.get(*index as usize).map(|slot| &slot.step) {
                Some(Step::Trying { detail, .. }) => detail.clone(),
                Some(Step::Waiting { .. } | Step::Delivered | Step::Held { .. }) | None => continue,
            };
            steps.push((*index, Step::Waiting { due, attempts: number.saturating_sub(1), detail }));
        }
        self.end(attempt, steps);
    }

    /// Forgets a message: it is done.
    pub(super) fn remove(&mut self, id: MessageId) {
        if let Some(message) = self.messages.remove(&id) {
            self.forget(id, &message);
        }
    }

    /// Has a message removed from the spool, again if that failed.
    pub(super) fn finish(&mut self, id: MessageId) {
        if self.messages.contains_key(&id) {
            self.finished.push_back(id);
        }
    }

    /// Keeps a message where it is.
    pub(super) fn hold(&mut self, id: MessageId) {
        self.stand(id, Standing::Held);
    }

    /// What a release has to record: each held recipient starts anew.
    pub(super) fn revival(&self, id: MessageId, wall: UnixMicros) -> Vec<(u32, Progress)> {
        let Some(message) = self.messages.get(&id) else { return Vec::new() };
        let mut facts = Vec::new();
        for (index, slot) in (0..).zip(&message.recipients) {
            if let Step::Held { detail, .. } = &slot.step {
                let detail = (**detail).clone();
                facts.push((index, Progress::Deferred { attempts: 0, at: wall, until: wall, detail }));
            }
        }
        facts
    }

    /// Lets a message go on, the recipients of a recorded revival included.
    pub(super) fn release(&mut self, id: MessageId, revived: &[(u32, Progress)], now: Duration) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        for (index, _) in revived {
            let Some(slot) = message.recipients.get_mut(*index as usize) else { continue };
            if let Step::Held { detail, .. } = &slot.step {
                let step = Step::Waiting { due: now, attempts: 0, detail: Some(Arc::clone(detail)) };
                self.counters.replace(&mut slot.step, step);
            }
        }
        self.stand(id, Standing::Going);
    }

    /// How messages stand, in order of arrival.
    pub(super) fn entries(&self, after: Option<MessageId>, limit: usize, moment: Moment) -> Vec<Entry> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.messages.range((from, Unbounded)).take(limit).map(|(id, message)| message.entry(*id, moment)).collect()
    }

    pub(super) fn entry(&self, id: MessageId, moment: Moment) -> Option<Entry> {
        self.messages.get(&id).map(|message| message.entry(id, moment))
    }

    pub(super) fn counters(&mut self) -> &mut Counters {
        self.counters.destinations = self.lanes.len() as u64;
        &mut self.counters
    }

    /// Puts a leg where its recipients' steps say.
    fn place(&mut self, id: MessageId, leg: usize) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        let due = message.due(leg);
        let Some(Leg { place, .. }) = message.legs.get_mut(leg) else { return };
        *place = match due {
            Some(due) => {
                self.due.insert((due, id, leg));
                Place::Due(due)
            }
            None => Place::Nowhere,
        };
    }

    fn make_ready(&mut self, id: MessageId, leg: usize, due: Duration) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        let priority = message.priority;
        let Some(Leg { place, destination }) = message.legs.get_mut(leg) else { return };
        *place = Place::Ready(due);
        let destination = destination.clone();
        self.lanes.entry(destination.clone()).or_default().ready.insert((Reverse(priority), due, id, leg));
        self.give_turn(&destination);
    }

    /// Begins an attempt for a leg that was taken from its lane.
    fn take_off(&mut self, id: MessageId, leg: usize, destination: &Destination, now: Duration) -> Option<Attempt> {
        let message = self.messages.get_mut(&id)?;
        let mut recipients = Vec::new();
        for (index, slot) in message.recipients.iter_mut().enumerate() {
            if slot.leg != leg {
                continue;
            }
            if let Step::Waiting { due, attempts, detail } = &slot.step
                && *due <= now
            {
                let attempt = attempts.saturating_add(1);
                recipients.push((u32::try_from(index).ok()?, attempt));
                let step = Step::Trying { attempt, detail: detail.clone() };
                self.counters.replace(&mut slot.step, step);
                if recipients.len() >= self.config.recipients_per_batch.max(1) {
                    break;
                }
            }
        }
        message.legs.get_mut(leg)?.place = Place::Flying;
        let lane = self.lanes.get_mut(destination)?;
        lane.flying += 1;
        self.counters.flying += 1;
        Some(Attempt { id, destination: destination.clone(), leg, recipients })
    }

    /// Ends an attempt with the steps that follow from it.
    fn end(&mut self, attempt: &Attempt, steps: Vec<(u32, Step)>) {
        if let Some(message) = self.messages.get_mut(&attempt.id) {
            for (index, step) in steps {
                if let Some(slot) = message.recipients.get_mut(index as usize) {
                    self.counters.replace(&mut slot.step, step);
                }
            }
            self.place(attempt.id, attempt.leg);
        }
        self.land(&attempt.destination);
    }

    fn land(&mut self, destination: &Destination) {
        self.counters.flying = self.counters.flying.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(destination) {
            lane.flying = lane.flying.saturating_sub(1);
        }
        self.give_turn(destination);
    }

    /// Puts a destination at the end of the row if it has something to do and room to do it; forgets it if it is idle.
    fn give_turn(&mut self, destination: &Destination) {
        let Some(lane) = self.lanes.get_mut(destination) else { return };
        if lane.ready.is_empty() {
            if lane.flying == 0 && lane.turn == Turn::Out {
                self.lanes.remove(destination);
            }
            return;
        }
        if lane.turn == Turn::Out && lane.flying < self.config.per_destination.max(1) {
            lane.turn = Turn::InRow;
            self.turns.push_back(destination.clone());
        }
    }

    fn stand(&mut self, id: MessageId, standing: Standing) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        message.standing = standing;
        let places: Vec<_> = message.legs.iter().map(|leg| leg.place).collect();
        for (leg, place) in places.into_iter().enumerate() {
            if place != Place::Flying {
                self.displace(id, leg);
                self.place(id, leg);
            }
        }
    }

    /// Takes a leg out of the set it is in.
    fn displace(&mut self, id: MessageId, leg: usize) {
        let Some(message) = self.messages.get(&id) else { return };
        let priority = message.priority;
        let Some(Leg { place, destination }) = message.legs.get(leg) else { return };
        self.unlist(id, leg, *place, priority, &destination.clone());
    }

    fn unlist(&mut self, id: MessageId, leg: usize, place: Place, priority: Priority, destination: &Destination) {
        match place {
            Place::Nowhere | Place::Flying => {}
            Place::Due(due) => {
                self.due.remove(&(due, id, leg));
            }
            Place::Ready(due) => {
                if let Some(lane) = self.lanes.get_mut(destination) {
                    lane.ready.remove(&(Reverse(priority), due, id, leg));
                }
                self.give_turn(destination);
            }
        }
    }

    /// Takes a message that is gone out of all sets. Attempts under way land when they end.
    fn forget(&mut self, id: MessageId, message: &Message) {
        self.counters.messages = self.counters.messages.saturating_sub(1);
        for slot in &message.recipients {
            self.counters.subtract(&slot.step);
        }
        for (number, leg) in message.legs.iter().enumerate() {
            self.unlist(id, number, leg.place, message.priority, &leg.destination);
        }
    }

    fn finish_if_done(&mut self, id: MessageId) {
        let Some(message) = self.messages.get(&id) else { return };
        if message.recipients.iter().all(|slot| slot.step == Step::Delivered) {
            self.finished.push_back(id);
        }
    }
}

impl Message {
    /// When the first recipient of a leg is due, if any is.
    fn due(&self, leg: usize) -> Option<Duration> {
        match self.standing {
            Standing::Held => None,
            Standing::Going => self.recipients.iter().filter(|slot| slot.leg == leg).filter_map(Slot::due).min(),
        }
    }

    fn entry(&self, id: MessageId, moment: Moment) -> Entry {
        let recipient = |slot: &Slot| {
            let destination = self.legs.get(slot.leg).map(|leg| leg.destination.clone());
            destination.map(|destination| (destination, slot.state(moment)))
        };
        let Self { arrived, priority, size, standing, .. } = *self;
        Entry {
            id,
            arrived,
            priority,
            size,
            standing,
            recipients: self.recipients.iter().filter_map(recipient).collect(),
        }
    }
}

impl Slot {
    fn due(&self) -> Option<Duration> {
        match self.step {
            Step::Waiting { due, .. } => Some(due),
            Step::Trying { .. } | Step::Delivered | Step::Held { .. } => None,
        }
    }

    fn state(&self, moment: Moment) -> RecipientState {
        match &self.step {
            Step::Waiting { due, attempts, detail } => RecipientState::Waiting {
                until: moment.wall.after(due.saturating_sub(moment.now)),
                attempts: *attempts,
                detail: detail.as_deref().cloned(),
            },
            Step::Trying { attempt, .. } => RecipientState::Trying { attempt: *attempt },
            Step::Delivered => RecipientState::Delivered,
            Step::Held { attempts, why, detail } => {
                RecipientState::Held { attempts: *attempts, why: *why, detail: (**detail).clone() }
            }
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
