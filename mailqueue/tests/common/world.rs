//! Everything around a queue: time that a test moves, and a far side that does as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mailqueue::testing::{Settled, VirtualClock, block_on, settle};
use mailqueue::{
    Batch, Clock, Destination, Detail, Envelope, Handed, MessageId, Outcome, Queue, Recipient, Spool, Transport,
    Trouble, UnixMicros,
};

/// When every test begins: 2027-01-15.
pub(crate) const DAWN: UnixMicros = UnixMicros(1_800_000_000_000_000);

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn clock() -> VirtualClock {
    VirtualClock::new(DAWN)
}

pub(crate) fn recipient(address: &str, destination: &Destination) -> Recipient {
    Recipient { address: address.to_owned(), destination: destination.clone(), parameters: Vec::new() }
}

pub(crate) fn letter(recipients: Vec<Recipient>, clock: &VirtualClock) -> Envelope {
    Envelope { sender: "sender@example.com".to_owned(), recipients, arrived: clock.wall(), ..Envelope::default() }
}

pub(crate) fn took() -> Outcome {
    Outcome::Delivered { detail: Detail::from("250 ok"), handed: Handed::Mailbox }
}

pub(crate) fn later(text: &str) -> Outcome {
    Outcome::Deferred { reason: Detail::from(text), retry_after: None, class: Trouble::Message }
}

/// The site could not be reached.
pub(crate) fn lost(text: &str) -> Outcome {
    Outcome::Deferred { reason: Detail::from(text), retry_after: None, class: Trouble::Connection }
}

pub(crate) fn never(text: &str) -> Outcome {
    Outcome::Failed { reason: Detail::from(text) }
}

/// An attempt as the far side saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at: Duration,
    pub(crate) id: MessageId,
    pub(crate) sender: String,
    pub(crate) destination: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) attempt: u32,
    pub(crate) octets: Vec<u8>,
}

/// The far side.
#[derive(Clone, Debug)]
pub(crate) struct FarSide {
    clock: VirtualClock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Seen>,
    /// What to say for an address, one answer after the other; then what is always said, or "delivered".
    answers: BTreeMap<String, VecDeque<Outcome>>,
    always: BTreeMap<String, Outcome>,
    /// What to say wherever a site is down.
    down: BTreeMap<String, String>,
    /// The sites behind destinations that are not their own.
    sites: BTreeMap<String, String>,
    asked: Vec<String>,
    /// Where notifications go; `None` where there is no way back.
    way_back: Option<Destination>,
    /// How long each attempt takes.
    takes: Duration,
    flying: usize,
    most_flying: usize,
    panics: usize,
    silences: usize,
    /// Addresses whose mail kills the process, so long after it was dialled.
    deadly: BTreeMap<String, Duration>,
    /// How often that happened.
    deaths: usize,
}

impl FarSide {
    pub(crate) fn new(clock: &VirtualClock) -> Self {
        let state = State { way_back: Some(Destination::remote("back")), ..State::default() };
        Self { clock: clock.clone(), state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn answer(&self, address: &str, answers: impl IntoIterator<Item = Outcome>) {
        self.state().answers.entry(address.to_owned()).or_default().extend(answers);
    }

    pub(crate) fn always(&self, address: &str, answer: Outcome) {
        self.state().always.insert(address.to_owned(), answer);
    }

    /// From now on nobody answers at a destination.
    pub(crate) fn down(&self, destination: &str, text: &str) {
        self.state().down.insert(destination.to_owned(), text.to_owned());
    }

    pub(crate) fn up(&self, destination: &str) {
        self.state().down.remove(destination);
    }

    pub(crate) fn site(&self, destination: &str, site: &str) {
        self.state().sites.insert(destination.to_owned(), site.to_owned());
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    pub(crate) fn set_way_back(&self, way: Option<Destination>) {
        self.state().way_back = way;
    }

    pub(crate) fn takes(&self, time: Duration) {
        self.state().takes = time;
    }

    pub(crate) fn panic(&self, times: usize) {
        self.state().panics += times;
    }

    pub(crate) fn stay_silent(&self, times: usize) {
        self.state().silences += times;
    }

    /// From now on the process dies of mail to an address, so long after it was dialled. To the queue the attempt hangs; the
    /// test is to see that [`FarSide::deaths`] are one more.
    pub(crate) fn deadly(&self, address: &str, after: Duration) {
        self.state().deadly.insert(address.to_owned(), after);
    }

    /// How often the process died.
    pub(crate) fn deaths(&self) -> usize {
        self.state().deaths
    }

    pub(crate) fn flying(&self) -> usize {
        self.state().flying
    }

    /// What was under way is gone with the process.
    pub(crate) fn crash(&self) {
        let mut state = self.state();
        (state.flying, state.most_flying) = (0, 0);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// What came that is no notification.
    pub(crate) fn letters(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| !seen.sender.is_empty()).collect()
    }

    /// The notifications, as text.
    pub(crate) fn notifications(&self) -> Vec<String> {
        let all = self.seen().into_iter().filter(|seen| seen.sender.is_empty());
        all.map(|seen| String::from_utf8(seen.octets).unwrap()).collect()
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.letters().iter().flat_map(|seen| seen.addresses.clone()).collect()
    }

    pub(crate) fn most_flying(&self) -> usize {
        self.state().most_flying
    }

    pub(crate) fn forget(&self) {
        self.state().seen.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, destination: &str, address: &str) -> Outcome {
        if let Some(text) = self.down.get(destination) {
            return lost(text);
        }
        let next = self.answers.get_mut(address).and_then(VecDeque::pop_front);
        next.or_else(|| self.always.get(address).cloned()).unwrap_or_else(took)
    }
}

impl Transport for FarSide {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        // At once, whatever threads the spool reads with.
        let octets = block_on(batch.body.reader().read_to_end()).unwrap_or_default();
        let addresses: Vec<String> = batch.recipients().map(|recipient| recipient.address.clone()).collect();
        let (until, death) = {
            let mut state = self.state();
            let death = addresses.iter().find_map(|address| state.deadly.get(address).copied());
            state.seen.push(Seen {
                at: self.clock.now(),
                id: batch.id,
                sender: batch.envelope.sender.clone(),
                destination: batch.destination.key().to_owned(),
                addresses: addresses.clone(),
                attempt: batch.attempt,
                octets,
            });
            state.flying += 1;
            state.most_flying = state.most_flying.max(state.flying);
            (self.clock.now() + state.takes, death.map(|after| self.clock.now() + after))
        };
        if let Some(death) = death {
            self.clock.sleep_until(death).await;
            self.state().deaths += 1;
            return std::future::pending().await;
        }
        self.clock.sleep_until(until).await;
        let mut state = self.state();
        state.flying -= 1;
        if state.panics > 0 {
            state.panics -= 1;
            drop(state);
            panic!("a message that no transport can bear");
        }
        if state.silences > 0 {
            state.silences -= 1;
            return Vec::new();
        }
        addresses.iter().map(|address| state.answer(batch.destination.key(), address)).collect()
    }

    async fn site(&self, destination: &Destination) -> Arc<str> {
        let mut state = self.state();
        state.asked.push(destination.key().to_owned());
        state.sites.get(destination.key()).map_or(destination.key(), String::as_str).into()
    }

    async fn way_back(&self, sender: &str) -> Option<Recipient> {
        let destination = self.state().way_back.clone()?;
        Some(recipient(sender, &destination))
    }
}

/// Runs a queue for a while of virtual time, stopping at each moment that somebody waits for. The run is dropped then.
pub(crate) fn run_for<S: Spool>(queue: &Queue<S>, far_side: &FarSide, clock: &VirtualClock, time: Duration) {
    let end = clock.now() + time;
    let mut run = pin!(queue.run(far_side.clone()));
    loop {
        if let Settled::Done(()) = settle(run.as_mut()) {
            return;
        }
        match clock.next_wake() {
            Some(at) if at <= end => clock.advance(at.saturating_sub(clock.now())),
            Some(_) | None => {
                clock.advance(end.saturating_sub(clock.now()));
                return;
            }
        }
    }
}
