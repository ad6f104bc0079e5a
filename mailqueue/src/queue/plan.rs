//! Who is tried next, and when: the queue's memory of all messages, without any I/O.
//!
//! A message is *dormant* while all of it waits: a name and a time. When the time comes it is read, and *active* until
//! nothing of it can go on. On the way between the two it is *in transit*. An active message is cut into legs, one for
//! each destination; a leg that could go waits in the lane of its site. A *suspect* may be what kills the process: of
//! these one at a time is let into lanes.

mod acts;
mod arrange;
mod enrol;
mod flight;
mod letter;
mod suspicion;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::{Destination, Detail, Failure, Held, MessageId, UnixMicros};

use super::config::QueueConfig;
use super::counters::Counters;
use super::dormant::{Dormant, Lot, Queue, Sleeper};
use super::events::News;
use super::lanes::Lanes;
use super::message::Message;
use super::ramp::Ramp;
use super::rules::Rules;
use super::suspects::Suspects;
use super::times::{Moment, Times};
use super::ways::{SiteKey, Ways};

pub(super) use acts::{Prospect, Seized};
pub(super) use flight::{Finding, Judgement};

#[derive(Debug)]
pub(super) struct Plan {
    config: QueueConfig,
    times: Times,
    /// How fast mail from before the start is taken up; it begins with the first run.
    ramp: Option<Ramp>,
    active: BTreeMap<MessageId, Message>,
    /// Recipients of these.
    recipients: usize,
    dormant: Dormant,
    transit: HashMap<MessageId, Transit>,
    lanes: Lanes,
    ways: Ways,
    suspects: Suspects,
    rules: Rules,
    /// When something active is looked at again: a leg, or the whole message.
    alarms: BTreeSet<(Duration, MessageId, Whole)>,
    errands: VecDeque<Errand>,
    /// Errands under way.
    busy_errands: usize,
    /// Recipients that are given up without an attempt.
    farewells: VecDeque<Attempt>,
    /// Reads under way.
    reads: usize,
    crowd: Crowd,
    /// The queue of dormant messages that is drawn from next.
    draws: usize,
    spool: SpoolHealth,
    counters: Counters,
    happenings: Vec<Happening>,
}

/// What an alarm is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whole {
    Message,
    Leg(u32),
}

/// A message on its way between spool and memory.
#[derive(Clone, Debug)]
struct Transit {
    sleeper: Sleeper,
    /// Whose lane drew it, if one did.
    lane: Option<SiteKey>,
}

/// Whether memory has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crowd {
    Room,
    /// A message was put back: nothing is read before it finds room beside so many recipients.
    Full {
        most: usize,
    },
}

/// Whether the spool takes what must be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpoolHealth {
    Works,
    /// Nothing is dialled, but for one attempt at this time.
    Fails {
        again: Duration,
    },
}

/// Something that happened to no single message.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Unreachable { site: Arc<str>, probe_at: UnixMicros, detail: Arc<Detail> },
    Reachable { site: Arc<str> },
    Suspected { id: MessageId },
    Held { id: MessageId, why: Held },
    SpoolFails,
    SpoolWorks,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    Task(Task),
    /// Nothing, before this time if there is one, or before something ends that is under way.
    Wait(Option<Duration>),
}

/// What to do.
#[derive(Debug)]
pub(super) enum Task {
    /// Ask the transport for the site of a destination.
    Ask(Destination),
    /// Read messages back.
    Read(Vec<MessageId>),
    Attempt(Attempt),
    Errand(Errand),
}

/// Something to be recorded about a message as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// It is done.
    Finish(MessageId),
    /// It is kept.
    Hold(MessageId, Held),
    /// Its sender is told.
    Tell(MessageId, News),
}

/// An attempt under way: some recipients of one leg.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) id: MessageId,
    pub(super) envelope: Arc<crate::Envelope>,
    pub(super) destination: Destination,
    leg: u32,
    pub(super) dial: Dial,
    /// Each with the number that this attempt has for it, and how many before it were interrupted.
    pub(super) recipients: Vec<Trial>,
    repute: Repute,
}

/// What is thought of a message when an attempt for it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repute {
    Good,
    /// It may be what kills the process.
    Suspect,
}

/// One recipient of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) index: u32,
    pub(super) attempt: u32,
    pub(super) interrupted: u32,
}

/// Whether anyone is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dial {
    /// Hosts of this site are.
    Site(SiteKey),
    /// Nobody: the recipients are given up.
    Nobody(Failure, Arc<Detail>),
}

/// The most messages read at a time, the most reads at one time, and the most errands.
const READ: usize = 128;
const READS: usize = 2;
const ERRANDS: usize = 32;

impl Plan {
    pub(super) fn new(config: QueueConfig, rules: Rules, opened: Moment) -> Self {
        Self {
            times: Times::new(opened),
            ramp: None,
            active: BTreeMap::new(),
            recipients: 0,
            dormant: Dormant::default(),
            transit: HashMap::new(),
            lanes: Lanes::new(&config),
            ways: Ways::new(config.site_memory),
            suspects: Suspects::new(config.suspect_patience),
            rules,
            alarms: BTreeSet::new(),
            errands: VecDeque::new(),
            busy_errands: 0,
            farewells: VecDeque::new(),
            reads: 0,
            crowd: Crowd::Room,
            draws: 0,
            spool: SpoolHealth::Works,
            counters: Counters::default(),
            happenings: Vec::new(),
            config,
        }
    }

    /// Takes note of what the clocks show.
    pub(super) fn observe(&mut self, at: Moment) {
        self.times.observe(at);
    }

    /// A run begins.
    pub(super) fn begin_run(&mut self, now: Duration) {
        let rate = self.config.restart_rate;
        self.ramp.get_or_insert_with(|| Ramp::new(now, rate));
    }

    /// What to do now, or until when to wait.
    pub(super) fn next(&mut self, at: Moment) -> Next {
        match self.next_task(at) {
            Some(task) => Next::Task(task),
            None => Next::Wait(self.next_due(at)),
        }
    }

    fn next_task(&mut self, at: Moment) -> Option<Task> {
        self.tend(at);
        if self.busy_errands < ERRANDS
            && let Some(errand) = self.errands.pop_front()
        {
            self.busy_errands += 1;
            return Some(Task::Errand(errand));
        }
        if let Some(destination) = self.ways.next_question(self.config.site_questions) {
            return Some(Task::Ask(destination));
        }
        if let Some(ids) = self.call_suspect(at).or_else(|| self.next_read(at)) {
            return Some(Task::Read(ids));
        }
        if self.spool_allows(at.now) {
            if let Some(attempt) = self.farewells.pop_front() {
                self.spool_dials(at.now);
                return Some(Task::Attempt(attempt));
            }
            while self.counters.flying < self.config.concurrency.max(1) as u64
                && let Some((site, ticket)) = self.lanes.next(at.now)
            {
                if let Some(attempt) = self.take_off(&site, ticket, at) {
                    self.spool_dials(at.now);
                    return Some(Task::Attempt(attempt));
                }
            }
        }
        None
    }

    /// When something becomes due next; `None` where nothing waits for a time.
    fn next_due(&self, at: Moment) -> Option<Duration> {
        let room = self.has_room() && self.reads < READS;
        let queue = |queue| self.dormant.next_due(queue).filter(|_| room);
        let earlier = match self.ramp {
            Some(ramp) if !ramp.has_room(at.now) => queue(Queue::Earlier).map(|due| due.max(ramp.next(at.now))),
            Some(_) | None => queue(Queue::Earlier),
        };
        let spool = match self.spool {
            SpoolHealth::Works => None,
            SpoolHealth::Fails { again } => Some(again),
        };
        let rules = self.rules.next_end().map(|end| at.now.saturating_add(end.since(at.wall)));
        let alarm = self.alarms.first().map(|(due, _, _)| *due);
        let [lanes, suspects] = [self.lanes.next_wake(), self.suspects.next_wake()];
        let all = [queue(Queue::New), queue(Queue::Old), earlier, spool, rules, alarm, lanes, suspects];
        // What is due already waits for something else to end.
        all.into_iter().flatten().filter(|due| *due > at.now).min()
    }

    pub(super) fn happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    pub(super) fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// All numbers as they are now.
    pub(super) fn snapshot(&self) -> Counters {
        let [held, suspended] = [Lot::Held, Lot::Suspended].map(|lot| self.dormant.count(lot));
        Counters {
            messages: (self.active.len() + self.dormant.len() + self.transit.len()) as u64,
            active: self.active.len() as u64,
            recipients: self.recipients as u64,
            waiting: (self.dormant.len() - held - suspended + self.transit.len()) as u64,
            suspects: self.suspects.len() as u64,
            held: held as u64,
            suspended: suspended as u64,
            sites: self.lanes.len() as u64,
            unreachable: self.lanes.unreachable() as u64,
            ..self.counters
        }
    }

    /// The spool took what it was given, or did not.
    pub(super) fn spool_took(&mut self) {
        if self.spool != SpoolHealth::Works {
            self.spool = SpoolHealth::Works;
            self.happenings.push(Happening::SpoolWorks);
        }
    }

    pub(super) fn spool_failed(&mut self, now: Duration) {
        self.counters.spool_errors += 1;
        if self.spool == SpoolHealth::Works {
            self.happenings.push(Happening::SpoolFails);
        }
        self.spool = SpoolHealth::Fails { again: now.saturating_add(self.config.patience) };
    }

    /// Does what time brings: alarms, probes, the ends of rules.
    fn tend(&mut self, at: Moment) {
        if self.rules.next_end().is_some_and(|end| end <= at.wall) && self.rules.expire(at.wall) > 0 {
            self.let_go(at);
        }
        while let Some((due, id, whole)) = self.alarms.first().copied()
            && due <= at.now
        {
            self.alarms.pop_first();
            match whole {
                Whole::Message => {
                    if let Some(message) = self.active.get_mut(&id) {
                        message.alarm = None;
                    }
                    self.attend(id, at);
                }
                Whole::Leg(leg) => {
                    if let Some(leg) = self.active.get_mut(&id).and_then(|message| message.legs.get_mut(leg as usize)) {
                        leg.alarm = None;
                    }
                    self.arrange(id, leg, at);
                    self.attend(id, at);
                }
            }
        }
        self.lanes.tend(at.now);
        self.ways.tidy(at.now, |site| !self.lanes.is_reachable(site));
    }

    /// Whether anything new may be dialled: delivering what cannot be recorded would double it.
    fn spool_allows(&self, now: Duration) -> bool {
        match self.spool {
            SpoolHealth::Works => true,
            SpoolHealth::Fails { again } => again <= now,
        }
    }

    /// While the spool fails, one attempt at a time finds out whether it works again.
    fn spool_dials(&mut self, now: Duration) {
        match &mut self.spool {
            SpoolHealth::Works => {}
            SpoolHealth::Fails { again } => *again = now.saturating_add(self.config.patience),
        }
    }
}
