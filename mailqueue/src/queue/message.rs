//! A message in memory: its envelope, cut into legs, one for each destination it goes to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::report::Action;
use crate::{
    Destination, Envelope, Handed, Held, Late, MessageId, Note, Progress, Recipient, Repeat, Standing, Stored,
    UnixMicros, Wake, Warned, Word,
};

use super::config::QueueConfig;
use super::dormant::Born;
use super::notify::action_of_delivery;
use super::step::{Step, Wait};
use super::times::{Moment, Times, micros};
use super::turns::Row;
use super::ways::SiteKey;

#[derive(Debug)]
pub(super) struct Message {
    pub(super) envelope: Arc<Envelope>,
    pub(super) source: Arc<str>,
    pub(super) size: u64,
    /// When it arrived by the monotonic clock, in microseconds; negative for before the clock's origin.
    born: i64,
    pub(super) standing: Standing,
    pub(super) warned: Warned,
    pub(super) legs: Vec<Leg>,
    pub(super) seats: Vec<Seat>,
    /// How many recipients have not ended.
    pub(super) open: usize,
    /// How many legs wait for a turn or an answer, and how many attempts are under way.
    pub(super) busy: usize,
    pub(super) flying: usize,
    /// The most attempts in a row that ended without an outcome, of any recipient.
    pub(super) interruptions: u32,
    /// From how many on it is a suspect, and how many of its recipients make it one.
    suspect_from: u32,
    suspicious: usize,
    pub(super) haste: Haste,
    pub(super) hands: Hands,
    pub(super) trust: Trust,
    /// When the sender is told of the recipients that ended, where word of any is due.
    pub(super) tell_at: Option<Duration>,
    /// When the message as a whole is looked at again.
    pub(super) alarm: Option<Duration>,
}

/// One recipient.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) step: Step,
}

#[derive(Debug)]
pub(super) struct Leg {
    pub(super) destination: Destination,
    pub(super) seats: Vec<u32>,
    pub(super) place: Spot,
    /// When it is looked at again.
    pub(super) alarm: Option<Duration>,
}

/// Where a leg is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// It has nothing to do, or waits for a time.
    Nowhere,
    /// It waits for the transport's word on its site.
    Asking,
    /// It waits for its turn.
    Turn(SiteKey, Row),
    /// It could wait for its turn, if that of another suspect were over.
    Suspect,
    /// Its site does not take it now; the backlog has it.
    Backlog(SiteKey),
    /// A rule keeps it.
    Suspended,
}

/// How a message comes into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Birth {
    /// It was just committed.
    Now,
    /// It was read back.
    Slept(Born),
}

/// In whose hands a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hands {
    /// Nobody's but the schedule's.
    Free,
    /// Something about the whole of it is being recorded.
    Errand,
    /// An operator's: no attempt begins.
    Operator,
}

/// Whether someone asked for a message to be tried before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    None,
    Asked,
}

/// Whether what is in memory of a message is what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Sure,
    /// Nobody knows whether something was recorded: it is read again when all that is under way has ended.
    Doubt,
}

impl Message {
    /// Makes one of what the spool says.
    pub(super) fn new(stored: Stored, birth: Birth, config: &QueueConfig, times: &Times, at: Moment) -> Self {
        let Stored { id, envelope, size, standing, warned, progress } = stored;
        let born = match birth {
            Birth::Now => signed(at.now).saturating_sub(signed(at.wall.since(envelope.arrived))),
            Birth::Slept(Born::At(seconds)) => i64::from(seconds).saturating_mul(1_000_000),
            Birth::Slept(Born::Unknown) => {
                let last = progress.iter().filter_map(written).max().unwrap_or(envelope.arrived);
                let age = times.age_at_start(envelope.arrived, last, config.schedule.lifetime / 2);
                signed(times.opened().now).saturating_sub(signed(age))
            }
        };
        let mut message = Self {
            source: envelope.source.as_str().into(),
            envelope: Arc::new(envelope),
            size,
            born,
            standing,
            warned,
            legs: Vec::new(),
            seats: Vec::with_capacity(progress.len()),
            open: 0,
            busy: 0,
            flying: 0,
            interruptions: 0,
            suspect_from: config.suspect_from(),
            suspicious: 0,
            haste: Haste::None,
            hands: Hands::Free,
            trust: Trust::Sure,
            tell_at: None,
            alarm: None,
        };
        let envelope = Arc::clone(&message.envelope);
        let mut legs: HashMap<&Destination, u32> = HashMap::new();
        for ((index, recipient), progress) in (0_u32..).zip(&envelope.recipients).zip(progress) {
            let leg = *legs.entry(&recipient.destination).or_insert_with(|| {
                let destination = recipient.destination.clone();
                message.legs.push(Leg { destination, seats: Vec::new(), place: Spot::Nowhere, alarm: None });
                (message.legs.len() - 1) as u32
            });
            if let Some(leg) = message.legs.get_mut(leg as usize) {
                leg.seats.push(index);
            }
            let step = message.resume(id, progress, &recipient.destination, config, times, at);
            message.open += usize::from(!matches!(step, Step::Ended(_)));
            message.interruptions = message.interruptions.max(step.interruptions());
            message.suspicious += usize::from(step.interruptions() >= message.suspect_from);
            message.seats.push(Seat { step });
        }
        let owed = message.seats.iter().filter(|seat| seat.step.word() == Some(Word::Due));
        // Those that ended before the start have waited long enough.
        let tell_at = |seat: &Seat| match &seat.step {
            Step::Ended(progress) => written(progress).and_then(|ended| times.when(ended, at.now)),
            Step::Waiting(_) | Step::Trying { .. } => None,
        };
        message.tell_at =
            owed.map(|seat| tell_at(seat).map_or(at.now, |ended| ended.saturating_add(config.tell_within))).min();
        message
    }

    fn resume(
        &self,
        id: MessageId,
        progress: Progress,
        destination: &Destination,
        config: &QueueConfig,
        times: &Times,
        at: Moment,
    ) -> Step {
        let schedule = config.schedule_for(destination, &self.envelope.sender);
        let begin = match self.envelope.release {
            Some(release) => self.time_of(release),
            None => Duration::ZERO,
        };
        Step::resume(progress, destination, begin, schedule, id.seed(), times, at.now)
    }

    /// Takes in facts that were recorded.
    pub(super) fn note(&mut self, id: MessageId, notes: &[Note], config: &QueueConfig, times: &Times, at: Moment) {
        let envelope = Arc::clone(&self.envelope);
        for note in notes {
            match note {
                Note::Progress(steps) => {
                    for (index, progress) in steps {
                        let Some(recipient) = envelope.recipients.get(*index as usize) else { continue };
                        let step = self.resume(id, progress.clone(), &recipient.destination, config, times, at);
                        self.set(*index, step);
                    }
                }
                Note::Hold(why) => self.standing = Standing::Held(*why),
                Note::Release => {
                    self.standing = Standing::Going;
                    self.interruptions = self.seats.iter().map(|seat| seat.step.interruptions()).max().unwrap_or(0);
                }
                Note::Warned => self.warned = Warned::Yes,
                Note::Done => {}
            }
        }
    }

    /// Makes everyone who waits due now.
    pub(super) fn prompt(&mut self, now: Duration) {
        self.haste = Haste::Asked;
        self.prompt_for(now, |_| true);
    }

    /// Makes those due now who wait for the destinations that are meant.
    pub(super) fn prompt_for(&mut self, now: Duration, is_meant: impl Fn(&Destination) -> bool) {
        for (seat, recipient) in self.seats.iter_mut().zip(&self.envelope.recipients) {
            if let Step::Waiting(wait) = &mut seat.step
                && is_meant(&recipient.destination)
            {
                wait.due = wait.due.min(now);
            }
        }
    }

    /// Makes those due now who make it a suspect.
    pub(super) fn prompt_suspicious(&mut self, now: Duration) {
        self.haste = Haste::Asked;
        for seat in &mut self.seats {
            if let Step::Waiting(wait) = &mut seat.step
                && wait.interrupted >= self.suspect_from
            {
                wait.due = wait.due.min(now);
            }
        }
    }

    /// What the spool would say of it.
    pub(super) fn stored(&self, id: MessageId) -> Stored {
        let progress = self.seats.iter().map(|seat| match &seat.step {
            Step::Waiting(wait) => wait.progress(self.born_wall()),
            Step::Trying { attempt, since, before } => {
                Progress::Trying { attempt: *attempt, since: *since, interrupted: before.interrupted }
            }
            Step::Ended(progress) => progress.clone(),
        });
        Stored {
            id,
            envelope: (*self.envelope).clone(),
            size: self.size,
            standing: self.standing,
            warned: self.warned,
            progress: progress.collect(),
        }
    }

    fn born_wall(&self) -> UnixMicros {
        self.envelope.arrived
    }

    pub(super) fn set(&mut self, index: u32, step: Step) {
        let Some(seat) = self.seats.get_mut(index as usize) else { return };
        let was_open = !matches!(seat.step, Step::Ended(_));
        let is_open = !matches!(step, Step::Ended(_));
        self.open = self.open + usize::from(is_open) - usize::from(was_open);
        self.interruptions = self.interruptions.max(step.interruptions());
        let [was_suspicious, is_suspicious] = [&seat.step, &step].map(|one| one.interruptions() >= self.suspect_from);
        self.suspicious = self.suspicious + usize::from(is_suspicious) - usize::from(was_suspicious);
        seat.step = step;
    }

    /// Whether it is tried while no other suspect is.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspicious > 0
    }

    pub(super) fn recipient(&self, index: u32) -> Option<&Recipient> {
        self.envelope.recipients.get(index as usize)
    }

    /// Whether attempts may begin.
    pub(super) fn may_go(&self) -> bool {
        let is_free = match self.hands {
            Hands::Free | Hands::Errand => true,
            Hands::Operator => false,
        };
        is_free && self.trust == Trust::Sure && self.standing == Standing::Going
    }

    pub(super) fn held(&self) -> Option<Held> {
        match self.standing {
            Standing::Going => None,
            Standing::Held(why) => Some(why),
        }
    }

    pub(super) fn age(&self, now: Duration) -> Duration {
        Duration::from_micros(signed(now).saturating_sub(self.born).max(0).unsigned_abs())
    }

    /// When it arrived, in whole seconds: rather a little late than that anything happens too early.
    pub(super) fn born(&self) -> Born {
        let seconds = self.born.saturating_add(999_999).div_euclid(1_000_000);
        Born::At(i32::try_from(seconds).unwrap_or(if seconds < 0 { i32::MIN + 1 } else { i32::MAX }))
    }

    /// When the message is so old, by the monotonic clock.
    pub(super) fn when_aged(&self, age: Duration) -> Duration {
        let at = self.born.saturating_add(signed(age));
        Duration::from_micros(at.max(0).unsigned_abs())
    }

    /// The moment that an envelope's wall time means, by the monotonic clock: what it was on arrival, whatever the wall clock
    /// did since.
    pub(super) fn time_of(&self, wall: UnixMicros) -> Duration {
        self.when_aged(wall.since(self.envelope.arrived))
    }

    /// When the sender no longer wants it delivered (RFC 2852 §4.1.4).
    pub(super) fn deadline(&self) -> Option<Duration> {
        let wish = self.envelope.deliver_by?;
        match wish.then {
            Late::Return => Some(self.time_of(wish.until)),
            Late::Notify => None,
        }
    }

    /// When the sender is told that it is late: at the time that the sender named, or when we find that it takes long.
    pub(super) fn warn_at(&self, config: &QueueConfig) -> Option<Duration> {
        match self.warned {
            Warned::Yes => return None,
            Warned::No => {}
        }
        // Nobody but a waiting recipient can be late. What it will be tried until does not matter for whether it is told.
        let news = Action::Delayed { will_retry_until: UnixMicros(0) };
        let mut open =
            self.seats.iter().zip(&self.envelope.recipients).filter(|(seat, _)| !matches!(seat.step, Step::Ended(_)));
        if !open.any(|(_, recipient)| news.is_wanted(&self.envelope, recipient)) {
            return None;
        }
        match self.envelope.deliver_by {
            Some(wish) if wish.then == Late::Notify => Some(self.time_of(wish.until)),
            Some(_) | None => {
                let begin =
                    self.envelope.release.map_or(self.when_aged(Duration::ZERO), |release| self.time_of(release));
                Some(begin.saturating_add(config.warn_after).max(self.when_aged(config.warn_after)))
            }
        }
    }

    /// How long a destination's mail is tried.
    pub(super) fn lifetime(&self, destination: &Destination, config: &QueueConfig) -> Duration {
        config.schedule_for(destination, &self.envelope.sender).lifetime
    }

    pub(super) fn has_word_due(&self) -> bool {
        self.seats.iter().any(|seat| seat.step.word() == Some(Word::Due))
    }

    /// Until when it can be left alone if the process ended now, with `steps` taken.
    pub(super) fn wake(&self, steps: &[(u32, Step)], config: &QueueConfig, id: MessageId, at: Moment) -> Wake {
        if self.held().is_some() {
            return if self.tell_at.is_some() { Wake::Now } else { Wake::Asked };
        }
        if self.busy > 1 || (self.busy > 0 && self.hands != Hands::Free) {
            // Others of it are under way. Looking at it too early costs one read.
            return Wake::Now;
        }
        let new: HashMap<u32, &Step> = steps.iter().map(|(index, step)| (*index, step)).collect();
        let mut soonest: Option<Duration> = None;
        for (index, (seat, recipient)) in (0_u32..).zip(self.seats.iter().zip(&self.envelope.recipients)) {
            let step = new.get(&index).copied().unwrap_or(&seat.step);
            let due = match step {
                Step::Ended(_) if step.word() == Some(Word::Due) => return Wake::Now,
                Step::Ended(_) => continue,
                Step::Waiting(_) | Step::Trying { .. } if recipient.destination.repeat() == Repeat::Idempotent => {
                    return Wake::Now;
                }
                // A start makes an attempt again at once that was interrupted for the first time in a row.
                Step::Waiting(wait) if wait.interrupted == 1 => return Wake::Now,
                Step::Trying { before, .. } if before.interrupted == 0 => return Wake::Now,
                Step::Waiting(wait) => wait.due,
                Step::Trying { attempt, .. } => {
                    let schedule = config.schedule_for(&recipient.destination, &self.envelope.sender);
                    at.now.saturating_add(schedule.delay(*attempt, id.seed()))
                }
            };
            soonest = Some(soonest.map_or(due, |one| one.min(due)));
        }
        match soonest {
            Some(due) if due > at.now => Wake::After { since: at.wall, wait: due - at.now },
            Some(_) | None => Wake::Now,
        }
    }
}

impl Step {
    /// How many attempts in a row ended without an outcome, before one that is under way.
    fn interruptions(&self) -> u32 {
        match self {
            Self::Waiting(wait) | Self::Trying { before: wait, .. } => wait.interrupted,
            Self::Ended(_) => 0,
        }
    }

    /// Whether the sender is still to be told of a recipient that ended.
    pub(super) fn word(&self) -> Option<Word> {
        match self {
            Self::Ended(Progress::Delivered { word, .. } | Progress::Failed { word, .. }) => Some(*word),
            Self::Ended(Progress::Fresh | Progress::Trying { .. } | Progress::Deferred { .. })
            | Self::Waiting(_)
            | Self::Trying { .. } => None,
        }
    }
}

impl Wait {
    /// The fact that says the same. `begin` stands for the time of an attempt that was never made.
    fn progress(&self, begin: UnixMicros) -> Progress {
        match &self.last {
            _ if self.interrupted > 0 => Progress::Trying {
                attempt: self.attempts,
                since: self.last.as_ref().map_or(begin, |(at, _)| *at),
                interrupted: self.interrupted - 1,
            },
            Some((at, detail)) => {
                Progress::Deferred { attempts: self.attempts, at: *at, until: *at, detail: (**detail).clone() }
            }
            None => Progress::Fresh,
        }
    }
}

/// Whether a sender waits for word of a delivery.
pub(super) fn word_of_delivery(envelope: &Envelope, recipient: &Recipient, handed: Handed) -> Word {
    match action_of_delivery(handed) {
        Some(news) => word(news, envelope, recipient),
        None => Word::Said,
    }
}

pub(super) fn word(news: Action, envelope: &Envelope, recipient: &Recipient) -> Word {
    if news.is_wanted(envelope, recipient) { Word::Due } else { Word::Said }
}

/// When something was written down.
fn written(progress: &Progress) -> Option<UnixMicros> {
    match progress {
        Progress::Fresh => None,
        Progress::Trying { since, .. } => Some(*since),
        Progress::Deferred { at, .. } | Progress::Delivered { at, .. } | Progress::Failed { at, .. } => Some(*at),
    }
}

fn signed(time: Duration) -> i64 {
    i64::try_from(micros(time)).unwrap_or(i64::MAX)
}
