//! A whole post office under test: a queue over a spool that may fail, people who get letters and count them, and an
//! operator who meddles.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mailqueue::testing::{Settled, VirtualClock, block_on, settle};
use mailqueue::{
    Action, Clock, CommitError, Destination, Filter, MessageId, Parameter, Queue, QueueConfig, Rule, Spool, Trial,
    UnixMicros,
};

use super::known::{End, Fault, Recorded};
use super::people::{Doorstep, People, body};
use super::witness::Witness;
use super::world::{clock, letter, recipient, seconds};

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
            poison_after: 3,
            ..QueueConfig::default()
        };
        let clock = Arc::new(self.clock.clone());
        self.office = self.look_into_the_cellar().and_then(|spool| {
            let office = block_on(Queue::open(Witness::new(spool, &self.recorded), config, clock));
            office.ok()
        });
        self.change_shifts();
    }

    /// Opens the cellar, and holds what is there against the ledger.
    fn look_into_the_cellar(&mut self) -> Option<C::Spool> {
        let spool = self.cellar.open()?;
        let Some(found) = self.recorded.lock().unwrap().compare(&spool) else {
            block_on(spool.close());
            return None;
        };
        for stored in found.iter().filter(|stored| !stored.envelope.sender.is_empty()) {
            let addresses = stored.envelope.recipients.iter().map(|recipient| recipient.address.clone());
            self.people().promise(stored.id, addresses);
        }
        Some(spool)
    }

    /// The office closes; its people drop what they have in hand.
    pub(crate) fn close(&mut self) {
        self.lay_down();
        if let Some(office) = self.office.take() {
            block_on(office.close());
        }
    }

    fn lay_down(&mut self) {
        self.run = None;
        let recorded = self.recorded.lock().unwrap();
        self.people().excuse(|delivery| recorded.ended.contains_key(delivery));
    }

    /// Drops the run wherever it is, and begins another.
    pub(crate) fn change_shifts(&mut self) {
        let doorstep = Doorstep {
            people: Arc::clone(&self.people),
            recorded: Arc::clone(&self.recorded),
            clock: self.clock.clone(),
        };
        // The one before must be gone when the next begins.
        self.lay_down();
        self.run = self
            .office
            .clone()
            .map(|office| -> Pin<Box<dyn Future<Output = ()>>> { Box::pin(async move { office.run(doorstep).await }) });
    }

    /// Someone brings a letter, whatever is said to that.
    pub(crate) fn send(&mut self, size: usize, near: u64, far: u64) {
        let _ = self.bring(size, near, far);
    }

    /// Someone brings a letter. What the office promises for it is written down.
    pub(crate) fn bring(&mut self, size: usize, near: u64, far: u64) -> Result<(), CommitError> {
        let Some(office) = self.office.clone() else { return Err(CommitError::Unavailable) };
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
        self.people().promise(said?.id(), addresses.into_iter());
        Ok(())
    }

    /// The operator does something to some of the mail.
    pub(crate) fn meddle(&mut self, action: Action, filter: &Filter, limit: usize) {
        let Some(office) = &self.office else { return };
        let Ok(page) = block_on(office.list(filter, None, limit)) else { return };
        let meant = page.entries.iter().map(|entry| entry.id);
        match action {
            Action::Delete => self.people().removed.extend(meant),
            Action::Bounce => self.people().returned.extend(meant),
            Action::Hold | Action::Release | Action::Retry | Action::Requeue => {}
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
        self.fall(chance);
        self.open();
        assert!(self.office.is_some(), "a crash never stops a start");
    }

    /// Stops the machine.
    pub(crate) fn fall(&mut self, chance: u64) {
        self.lay_down();
        self.office = None;
        self.recorded.lock().unwrap().faults.clear();
        self.cellar.crash(chance);
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
        self.finish_on_what_there_is();
    }

    /// The same, on a disk that may be too small.
    pub(crate) fn finish_on_what_there_is(&mut self) {
        if self.cellar.is_stopped() {
            self.crash(0);
        }
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
        let put_away = people.removed.union(&people.returned);
        let thrown_away: BTreeSet<_> = put_away.filter_map(|id| recorded.notices.get(id)).collect();
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
                    let most = usize::from(is_wanted);
                    let least = if thrown_away.contains(&id) { 0 } else { most };
                    let notices = recorded.notices.iter().filter(|(_, about)| **about == id);
                    let fates: Vec<_> = notices.map(|(notice, _)| recorded.ended.get(&format!("{notice}.0"))).collect();
                    assert!(
                        (least..=most).contains(&told),
                        "{delivery} to {address} failed, and {told} tell of it; what became of its notifications: {fates:?}"
                    );
                }
                None => panic!("{delivery} never ended"),
            }
        }
        let taken = recorded.taken.clone();
        drop(recorded);
        drop(people);
        self.crash(0);
        let office = self.office.clone().expect("open");
        let back = block_on(office.list(&Filter::default(), None, usize::MAX)).unwrap().entries;
        // A message that was refused and left in doubt may come back.
        let back: Vec<_> = back.into_iter().filter(|entry| taken.contains(&entry.id)).collect();
        assert_eq!(back, [], "the queue was done with it, and the spool was not told");
    }

    /// The most often that a letter came.
    pub(crate) fn most_copies(&self) -> usize {
        self.people().letters.values().copied().max().unwrap_or_default()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.office.is_none()
    }

    pub(crate) fn notices(&self) -> usize {
        self.recorded.lock().unwrap().notices.len()
    }

    pub(crate) fn promises(&self) -> usize {
        self.people().promised.len()
    }
}
