//! A whole post office under test: a queue over a spool that may fail, people who get letters and count them, and an
//! operator who meddles.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mailqueue::testing::{Settled, VirtualClock, block_on, settle};
use mailqueue::{
    Action, Batch, Clock, Destination, Filter, MessageId, Outcome, Parameter, Queue, QueueConfig, Recipient, Rule,
    Spool, Transport, Trial, UnixMicros,
};

use super::witness::{End, Fault, Recorded, Witness};
use super::world::{clock, later, letter, lost, never, recipient, seconds, took};

/// Where the office keeps its mail.
pub(crate) trait Cellar {
    type Spool: Spool;

    /// Opens it; `None` where that fails now.
    fn open(&mut self) -> Option<Self::Spool>;

    /// The machine stops, and is started again.
    fn crash(&mut self, chance: u64);

    /// Whether the machine has stopped by itself.
    fn is_stopped(&self) -> bool;

    /// From now on nothing fails.
    fn repair(&mut self);
}

type Office<C> = Queue<Witness<<C as Cellar>::Spool>>;

/// The town.
pub(crate) struct Town<C: Cellar> {
    pub(crate) cellar: C,
    pub(crate) clock: VirtualClock,
    pub(crate) recorded: Recorded,
    people: Arc<Mutex<People>>,
    office: Option<Office<C>>,
    /// The office's run, which goes on from one hour of work to the next.
    run: Option<Pin<Box<dyn Future<Output = ()>>>>,
    sent: u64,
}

/// Those who get the letters.
#[derive(Default)]
struct People {
    /// How many deliveries were taken under each delivery id.
    letters: BTreeMap<String, usize>,
    /// Of recipients whose sender is told of failures: the notifications that tell of each, by the address.
    told: BTreeMap<String, BTreeSet<MessageId>>,
    /// Deliveries that the office answers for, of messages whose commit was acknowledged, with the address.
    promised: BTreeMap<String, String>,
    /// Messages that the operator removed.
    removed: BTreeSet<MessageId>,
    /// What the office may deliver, with the size.
    known: BTreeMap<MessageId, u64>,
    /// Addresses whose senders want to hear nothing.
    silent: BTreeSet<String>,
    /// What each address still has against its letters.
    moods: BTreeMap<String, u32>,
    chance: u64,
}

/// Octets that tell messages and places apart.
pub(crate) fn body(number: u64, size: usize) -> Vec<u8> {
    let octet = |at: u64| b'a' + (number.wrapping_mul(31).wrapping_add(at.wrapping_mul(7)) % 26) as u8;
    let mut octets = format!("Subject: {number}\r\n\r\n").into_bytes();
    octets.extend((0..size as u64).map(octet));
    octets
}

struct Doorstep {
    people: Arc<Mutex<People>>,
    recorded: Recorded,
    clock: VirtualClock,
}

impl Transport for Doorstep {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        let Ok(octets) = block_on(batch.body.reader().read_to_end()) else {
            return batch.recipients().map(|_| later("the letter cannot be read")).collect();
        };
        assert!(!self.recorded.lock().unwrap().done.contains(&batch.id), "{} is done, and dialled", batch.id);
        self.check(&batch);
        // A letter takes its time, so that a crash finds some on their way.
        let takes = self.people.lock().unwrap().roll() % 3;
        self.clock.sleep_until(self.clock.now() + seconds(takes)).await;
        self.check(&batch);
        let mut people = self.people.lock().unwrap();
        if batch.envelope.sender.is_empty() {
            people.hear(batch.id, &String::from_utf8(octets).unwrap());
            return vec![took()];
        }
        let number = batch.envelope.sender.parse::<u64>().expect("a number");
        assert_eq!(octets, body(number, people.known[&batch.id] as usize), "another letter");
        let outcomes: Vec<_> = batch.recipients.iter().map(|index| people.answer(&batch, *index)).collect();
        if people.roll().is_multiple_of(40) {
            return Vec::new();
        }
        for (index, outcome) in batch.recipients.iter().zip(&outcomes) {
            if let Outcome::Delivered { .. } = outcome {
                *people.letters.entry(batch.delivery_id(*index)).or_default() += 1;
            }
        }
        outcomes
    }

    async fn site(&self, destination: &Destination) -> Arc<str> {
        // Two destinations share a site.
        destination.key().trim_end_matches(['0', '1']).into()
    }

    async fn way_back(&self, sender: &str) -> Option<Recipient> {
        Some(recipient(sender, &Destination::idempotent("back")))
    }
}

impl Doorstep {
    /// What the office may do at all.
    fn check(&self, batch: &Batch) {
        let recorded = self.recorded.lock().unwrap();
        for index in &batch.recipients {
            let delivery = batch.delivery_id(*index);
            let end = recorded.ended.get(&delivery);
            assert!(end.is_none(), "{delivery} is recorded as {end:?}, and dialled");
            // The batch tells the highest number of its attempts.
            let announced = (1..=batch.attempt).any(|attempt| recorded.tried.contains(&(delivery.clone(), attempt)));
            assert!(announced, "{delivery} is dialled, and nobody wrote it down");
        }
    }
}

impl People {
    fn answer(&mut self, batch: &Batch, index: usize) -> Outcome {
        let address = &batch.envelope.recipients[index].address;
        let mood = self.moods.entry(address.clone()).or_default();
        match *mood {
            0 => return took(),
            1 => return never("no"),
            _ => *mood -= 2,
        }
        if batch.destination.key().starts_with("flaky") { lost("nobody there") } else { later("not today") }
    }

    /// A sender reads a notification.
    fn hear(&mut self, notification: MessageId, text: &str) {
        let fields = text.split("\r\n\r\n");
        for field in fields.filter(|part| part.contains("Action: failed")) {
            let address = field.split_once("rfc822;").unwrap().1.split("\r\n").next().unwrap();
            self.told.entry(address.to_owned()).or_default().insert(notification);
        }
    }

    fn roll(&mut self) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.chance >> 33
    }
}

impl<C: Cellar> Town<C> {
    pub(crate) fn new(cellar: C, seed: u64) -> Self {
        let people = People { chance: seed, ..People::default() };
        Self {
            cellar,
            clock: clock(),
            recorded: Recorded::default(),
            people: Arc::new(Mutex::new(people)),
            office: None,
            run: None,
            sent: 0,
        }
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap()
    }

    pub(crate) fn roll(&self) -> u64 {
        self.people().roll()
    }

    /// Opens the office; a spool that fails now leaves it closed.
    pub(crate) fn open(&mut self) {
        let config = QueueConfig {
            recipients_per_batch: 2,
            patience: seconds(60),
            active_messages: 8,
            active_recipients: 20,
            dead_after: 3,
            restart_rate: 4,
            poison_after: 4,
            ..QueueConfig::default()
        };
        let clock = Arc::new(self.clock.clone());
        self.office = self
            .cellar
            .open()
            .and_then(|spool| block_on(Queue::open(Witness::new(spool, &self.recorded), config, clock)).ok());
        self.change_shifts();
    }

    /// Drops the run wherever it is, and begins another.
    pub(crate) fn change_shifts(&mut self) {
        let doorstep = Doorstep {
            people: Arc::clone(&self.people),
            recorded: Arc::clone(&self.recorded),
            clock: self.clock.clone(),
        };
        // The one before must be gone when the next begins.
        self.run = None;
        self.run = self
            .office
            .clone()
            .map(|office| -> Pin<Box<dyn Future<Output = ()>>> { Box::pin(async move { office.run(doorstep).await }) });
    }

    /// Someone brings a letter. What the office promises for it is written down.
    pub(crate) fn send(&mut self, size: usize, near: u64, far: u64) {
        let Some(office) = self.office.clone() else { return };
        self.sent += 1;
        let number = self.sent;
        let near = (0..near).map(|who| recipient(&format!("n{who}.{number}@here"), &Destination::idempotent("local")));
        let far = (0..far).map(|who| {
            let key = ["relay0", "relay1", "flaky0", "flaky1"][(self.people().roll() % 4) as usize];
            recipient(&format!("f{who}.{number}@there"), &Destination::remote(key))
        });
        let mut envelope = letter(near.chain(far).collect(), &self.clock);
        for recipient in &mut envelope.recipients {
            let mut people = self.people();
            let mood = (people.roll() % 9) as u32;
            people.moods.insert(recipient.address.clone(), mood);
            if people.roll().is_multiple_of(4) {
                recipient.parameters.push(Parameter::new("NOTIFY", "NEVER"));
                people.silent.insert(recipient.address.clone());
            }
        }
        envelope.sender = number.to_string();
        envelope.source = (number % 3).to_string();
        let addresses: Vec<_> = envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect();
        let said = block_on(async {
            let mut incoming = office.begin(envelope).await?;
            self.people().known.insert(incoming.id(), size as u64);
            for part in body(number, size).chunks(500) {
                incoming.write(part).await?;
            }
            incoming.commit().await
        });
        if let Ok(custody) = said {
            let promised = addresses.into_iter().enumerate();
            let promised = promised.map(|(index, address)| (format!("{}.{index}", custody.id()), address));
            self.people().promised.extend(promised);
        }
    }

    /// The operator does something to some of the mail.
    pub(crate) fn meddle(&mut self, action: Action, filter: &Filter, limit: usize) {
        let Some(office) = &self.office else { return };
        if action == Action::Delete {
            let Ok(page) = block_on(office.list(filter, None, limit)) else { return };
            self.people().removed.extend(page.entries.iter().map(|entry| entry.id));
        }
        // The run goes on beside it: an act may wait for what is being recorded.
        let mut act = Box::pin(office.apply(action, filter, Trial::Real, None, limit));
        for _ in 0..4 {
            if let Settled::Done(_) = settle(act.as_mut()) {
                return;
            }
            if let Some(run) = &mut self.run {
                assert_eq!(settle(run.as_mut()), Settled::Waiting);
            }
        }
        // Whoever asked went away.
    }

    pub(crate) fn suspend(&mut self, words: &str, time: Duration) {
        let Some(office) = &self.office else { return };
        let until = Some(self.clock.wall().after(time));
        let _ = block_on(office.suspend(Rule::of(words.parse().unwrap(), until, "").unwrap()));
    }

    /// Calls to the spool fail: in so many calls, in this way.
    pub(crate) fn fail_later(&mut self, calls: usize, fault: Fault) {
        let mut recorded = self.recorded.lock().unwrap();
        recorded.faults = vec![Fault::Works; calls];
        recorded.faults.insert(0, fault);
    }

    pub(crate) fn repair(&mut self) {
        self.recorded.lock().unwrap().faults.clear();
        self.cellar.repair();
    }

    pub(crate) fn set_wall(&mut self, wall: UnixMicros) {
        self.clock.set_wall(wall);
    }

    /// Lets the office work.
    pub(crate) fn work(&mut self, time: Duration) {
        let Some(run) = &mut self.run else { return };
        let end = self.clock.now() + time;
        while !self.cellar.is_stopped() {
            assert_eq!(settle(run.as_mut()), Settled::Waiting);
            match self.clock.next_wake() {
                Some(at) if at <= end => self.clock.advance(at.saturating_sub(self.clock.now())),
                Some(_) | None => break,
            }
        }
        self.clock.advance(end.saturating_sub(self.clock.now()));
    }

    /// Stops the machine, and opens the office again on what is left.
    pub(crate) fn crash(&mut self, chance: u64) {
        self.run = None;
        self.office = None;
        self.recorded.lock().unwrap().faults.clear();
        self.cellar.crash(chance);
        self.open();
        assert!(self.office.is_some(), "a crash never stops a start");
    }

    /// Every promise is kept, or its message is here.
    pub(crate) fn nothing_is_forgotten(&self) {
        let Some(office) = &self.office else { return };
        let mut here = BTreeSet::new();
        let mut after = None;
        loop {
            let Ok(page) = block_on(office.list(&Filter::default(), after, usize::MAX)) else { return };
            here.extend(page.entries.iter().map(|entry| entry.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let people = self.people();
        let recorded = self.recorded.lock().unwrap();
        for delivery in people.promised.keys() {
            let id: MessageId = delivery.split('.').next().unwrap().parse().unwrap();
            let is_over = recorded.ended.contains_key(delivery) || people.removed.contains(&id);
            assert!(is_over || here.contains(&id), "{delivery} is forgotten");
        }
    }

    /// Works until nothing is left to do, on a spool that works. Then every promise is kept: each recipient has ended once,
    /// the letter came where it was delivered, and one notification came where one was due.
    pub(crate) fn finish(&mut self) {
        self.repair();
        if self.office.is_none() {
            self.open();
        }
        self.set_wall(super::world::DAWN.after(self.clock.now()));
        for _ in 0..3 {
            self.meddle(Action::Release, &Filter::default(), usize::MAX);
            self.work(seconds(6 * 24 * 3600));
        }
        let office = self.office.clone().expect("open");
        assert_eq!(block_on(office.list(&Filter::default(), None, 9)).unwrap().entries, []);
        let counters = office.counters();
        assert_eq!((counters.messages, counters.active, counters.recipients, counters.flying), (0, 0, 0, 0));
        let people = self.people();
        let recorded = self.recorded.lock().unwrap();
        for (delivery, address) in &people.promised {
            let id: MessageId = delivery.split('.').next().unwrap().parse().unwrap();
            if people.removed.contains(&id) {
                continue;
            }
            let copies = people.letters.get(delivery).copied().unwrap_or_default();
            let told = people.told.get(address).map_or(0, BTreeSet::len);
            match recorded.ended.get(delivery) {
                Some(End::Delivered) => {
                    assert!(copies > 0, "{delivery} never came");
                    assert_eq!(told, 0, "{delivery} came, and its sender hears that it failed");
                }
                Some(End::Failed) => {
                    let is_wanted = !people.silent.contains(address);
                    assert_eq!(told, usize::from(is_wanted), "{delivery} to {address} failed");
                }
                None => panic!("{delivery} never ended"),
            }
        }
        drop(recorded);
        drop(people);
        self.crash(0);
        let office = self.office.clone().expect("open");
        let back = block_on(office.list(&Filter::default(), None, 9)).unwrap().entries;
        assert_eq!(back, [], "the queue was done with it, and the spool was not told");
    }

    /// The most often that a letter came.
    pub(crate) fn most_copies(&self) -> usize {
        self.people().letters.values().copied().max().unwrap_or_default()
    }

    pub(crate) fn promises(&self) -> usize {
        self.people().promised.len()
    }
}
