//! A whole post office under test: a queue over a log over a disk that may fail, and people who count their letters.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mailqueue::testing::{Disk, Settled, Survival, VirtualClock, block_on, settle};
use mailqueue::{
    Batch, Clock, Destination, LogSpool, MessageId, Outcome, Queue, QueueConfig, RecipientState, Transport,
};

use super::witness::{Recorded, Witness};
use super::world::{clock, later, letter, never, recipient, seconds, took};
use super::{body, open};

type Office = Queue<Witness<LogSpool<Disk>>>;

/// The town.
pub(crate) struct Town {
    pub(crate) disk: Disk,
    pub(crate) clock: VirtualClock,
    recorded: Recorded,
    people: Arc<Mutex<People>>,
    office: Option<Office>,
    /// The office's run, which goes on from one hour of work to the next.
    run: Option<Pin<Box<dyn Future<Output = ()>>>>,
    sent: u64,
}

/// Those who get the letters.
#[derive(Default)]
struct People {
    /// How many deliveries were taken under each delivery id.
    letters: BTreeMap<String, usize>,
    /// Deliveries that the office answers for: of messages whose commit was acknowledged.
    promised: BTreeSet<String>,
    /// What the office may deliver, with the size.
    known: BTreeMap<MessageId, u64>,
    /// How often each address still refuses.
    moods: BTreeMap<String, u32>,
    chance: u64,
}

#[derive(Clone)]
struct Doorstep {
    people: Arc<Mutex<People>>,
    recorded: Recorded,
}

impl Transport for Doorstep {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        let Ok(octets) = block_on(batch.body.reader().read_to_end()) else {
            return batch.recipients().map(|_| later("the letter cannot be read")).collect();
        };
        let mut people = self.people.lock().unwrap();
        let number = batch.envelope.sender.parse::<u64>().expect("a number");
        assert_eq!(octets, body(number, people.known[&batch.id] as usize), "another letter");
        let mut outcomes = Vec::new();
        for index in &batch.recipients {
            let delivery = batch.delivery_id(*index);
            let recorded = self.recorded.lock().unwrap();
            assert!(!recorded.delivered.contains(&delivery), "{delivery} was recorded, and comes again");
            // The batch tells the highest number of its attempts.
            let announced = (1..=batch.attempt).any(|attempt| recorded.tried.contains(&(delivery.clone(), attempt)));
            assert!(announced, "{delivery} is dialled, and nobody wrote it down");
            drop(recorded);
            let address = batch.envelope.recipients[*index].address.clone();
            let mood = people.moods.entry(address).or_insert(number as u32 % 3);
            outcomes.push(if *mood > 0 {
                *mood -= 1;
                if mood.is_multiple_of(2) { later("not today") } else { never("no") }
            } else {
                *people.letters.entry(delivery).or_default() += 1;
                took()
            });
        }
        outcomes
    }
}

impl Town {
    pub(crate) fn new() -> Self {
        let (disk, clock) = (Disk::new(), clock());
        Self { disk, clock, recorded: Recorded::default(), people: Arc::default(), office: None, run: None, sent: 0 }
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap()
    }

    /// Opens the office; a disk that fails now leaves it closed.
    pub(crate) fn open(&mut self) {
        self.office = open(&self.disk).ok().and_then(|(spool, _)| {
            let spool = Witness::new(spool, &self.recorded);
            let config = QueueConfig { recipients_per_batch: 2, patience: seconds(60), ..QueueConfig::default() };
            block_on(Queue::open(spool, config, Arc::new(self.clock.clone()))).ok()
        });
        self.change_shifts();
    }

    /// Drops the run wherever it is, and begins another.
    pub(crate) fn change_shifts(&mut self) {
        let doorstep = Doorstep { people: Arc::clone(&self.people), recorded: Arc::clone(&self.recorded) };
        self.run = self
            .office
            .clone()
            .map(|office| -> Pin<Box<dyn Future<Output = ()>>> { Box::pin(async move { office.run(doorstep).await }) });
    }

    /// Someone brings a letter. What the office promises for it is written down.
    pub(crate) fn send(&mut self, size: usize, near: usize, far: usize) {
        let Some(office) = self.office.clone() else { return };
        self.sent += 1;
        let number = self.sent;
        let near = (0..near).map(|who| recipient(&format!("n{who}.{number}@here"), &Destination::idempotent("local")));
        let far = (0..far).map(|who| recipient(&format!("f{who}.{number}@there"), &Destination::remote("relay")));
        let mut envelope = letter(near.chain(far).collect(), &self.clock);
        envelope.sender = number.to_string();
        let all = envelope.recipients.len();
        let said = block_on(async {
            let mut incoming = office.begin(envelope).await?;
            self.people().known.insert(incoming.id(), size as u64);
            for part in body(number, size).chunks(500) {
                incoming.write(part).await?;
            }
            incoming.commit().await
        });
        if let Ok(custody) = said {
            let promised = (0..all).map(|index| format!("{}.{index}", custody.id()));
            self.people().promised.extend(promised);
        }
    }

    /// Holds the oldest message, or lets all go on.
    pub(crate) fn hold_first(&mut self) {
        if let Some(office) = &self.office
            && let Some(first) = office.list(None, 1).first()
        {
            let _ = block_on(office.hold(first.id));
        }
    }

    pub(crate) fn release_all(&mut self) {
        let Some(office) = &self.office else { return };
        for entry in office.list(None, usize::MAX) {
            let _ = block_on(office.release(entry.id));
        }
    }

    /// Lets the office work.
    pub(crate) fn work(&mut self, time: Duration) {
        let Some(run) = &mut self.run else { return };
        let end = self.clock.now() + time;
        while !self.disk.is_stopped() {
            assert_eq!(settle(run.as_mut()), Settled::Waiting);
            match self.clock.next_wake() {
                Some(at) if at <= end => self.clock.advance(at.saturating_sub(self.clock.now())),
                Some(_) | None => break,
            }
        }
        self.clock.advance(end.saturating_sub(self.clock.now()));
    }

    /// Stops the machine, and opens the office again on what is left.
    pub(crate) fn crash(&mut self, survival: Survival) {
        self.office = None;
        self.run = None;
        self.disk = self.disk.crash(survival);
        self.open();
        assert!(self.office.is_some(), "a crash never stops a start");
        self.nothing_is_forgotten();
    }

    /// Every promise is kept, or its message is here.
    pub(crate) fn nothing_is_forgotten(&self) {
        let Some(office) = &self.office else { return };
        let mut waiting = BTreeSet::new();
        for entry in office.list(None, usize::MAX) {
            for (index, (_, state)) in entry.recipients.iter().enumerate() {
                if *state != RecipientState::Delivered {
                    waiting.insert(format!("{}.{index}", entry.id));
                }
            }
        }
        let people = self.people();
        for delivery in &people.promised {
            assert!(waiting.contains(delivery) || people.letters.contains_key(delivery), "{delivery} is forgotten");
        }
        for delivery in &self.recorded.lock().unwrap().delivered {
            assert!(!waiting.contains(delivery), "{delivery} is recorded, and waits");
        }
    }

    /// Works until nothing is left to do, on a disk that works. Every promise must be kept then, and the spool must know.
    pub(crate) fn finish(&mut self) {
        if self.office.is_none() {
            self.open();
        }
        self.deliver_all();
        let people = self.people();
        for delivery in &people.promised {
            assert!(people.letters.contains_key(delivery), "{delivery} never came");
        }
        let promised: BTreeSet<MessageId> =
            people.promised.iter().filter_map(|one| one.split('.').next()?.parse().ok()).collect();
        drop(people);
        self.crash(Survival::Nothing);
        let office = self.office.clone().expect("open");
        let back = office.list(None, usize::MAX).into_iter().find(|entry| promised.contains(&entry.id));
        assert_eq!(back, None, "the queue was done with it, and the spool was not told");
        self.deliver_all();
    }

    fn deliver_all(&mut self) {
        for _ in 0..4 {
            self.release_all();
            self.work(seconds(24 * 3600));
        }
        let office = self.office.clone().expect("open");
        assert_eq!(office.list(None, usize::MAX), []);
    }

    /// The most often that a letter came.
    pub(crate) fn most_copies(&self) -> usize {
        self.people().letters.values().copied().max().unwrap_or_default()
    }

    pub(crate) fn promises(&self) -> usize {
        self.people().promised.len()
    }

    pub(crate) fn chance(&mut self, seed: u64) -> u64 {
        let mut people = self.people();
        people.chance = people.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed | 1);
        people.chance >> 33
    }
}
