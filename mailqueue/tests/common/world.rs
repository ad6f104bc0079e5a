//! Everything around a queue: time that a test moves, and a far side that does as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mailqueue::testing::{Settled, VirtualClock, block_on, settle};
use mailqueue::{
    Batch, Clock, Destination, Detail, Envelope, MessageId, Outcome, Queue, Recipient, Spool, Transport, Trouble,
    UnixMicros,
};

/// When every test begins.
pub(crate) const DAWN: UnixMicros = UnixMicros(1_700_000_000_000_000);

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
    Outcome::Delivered { detail: Detail::from("250 ok") }
}

pub(crate) fn later(text: &str) -> Outcome {
    Outcome::Deferred { reason: Detail::from(text), retry_after: None, class: Trouble::Message }
}

pub(crate) fn never(text: &str) -> Outcome {
    Outcome::Failed { reason: Detail::from(text) }
}

/// An attempt as the far side saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at: Duration,
    pub(crate) id: MessageId,
    pub(crate) destination: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) attempt: u32,
    pub(crate) octets: usize,
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
    /// What to say for an address, one answer after the other; then, and for all others, "delivered".
    answers: BTreeMap<String, VecDeque<Outcome>>,
    /// How long each attempt takes.
    takes: Duration,
    flying: usize,
    most_flying: usize,
    panics: usize,
}

impl FarSide {
    pub(crate) fn new(clock: &VirtualClock) -> Self {
        Self { clock: clock.clone(), state: Arc::default() }
    }

    pub(crate) fn answer(&self, address: &str, answers: impl IntoIterator<Item = Outcome>) {
        self.state().answers.entry(address.to_owned()).or_default().extend(answers);
    }

    pub(crate) fn takes(&self, time: Duration) {
        self.state().takes = time;
    }

    pub(crate) fn panic_once(&self) {
        self.state().panics += 1;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.state().seen.iter().flat_map(|seen| seen.addresses.clone()).collect()
    }

    pub(crate) fn most_flying(&self) -> usize {
        self.state().most_flying
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Transport for FarSide {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        // At once, whatever threads the spool reads with.
        let octets = block_on(batch.body.reader().read_to_end()).map_or(usize::MAX, |octets| octets.len());
        let addresses: Vec<String> = batch.recipients().map(|recipient| recipient.address.clone()).collect();
        let until = {
            let mut state = self.state();
            state.seen.push(Seen {
                at: self.clock.now(),
                id: batch.id,
                destination: batch.destination.key().to_owned(),
                addresses: addresses.clone(),
                attempt: batch.attempt,
                octets,
            });
            state.flying += 1;
            state.most_flying = state.most_flying.max(state.flying);
            self.clock.now() + state.takes
        };
        self.clock.sleep_until(until).await;
        let mut state = self.state();
        state.flying -= 1;
        if state.panics > 0 {
            state.panics -= 1;
            drop(state);
            panic!("a message that no transport can bear");
        }
        addresses
            .iter()
            .map(|address| state.answers.get_mut(address).and_then(VecDeque::pop_front).unwrap_or_else(took))
            .collect()
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
