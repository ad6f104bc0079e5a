//! Time that passes when a test says so.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::{Clock, Sleep, UnixMicros};

/// A clock that stands still. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    wall: UnixMicros,
    sleepers: BTreeMap<u64, (Duration, Waker)>,
    last_sleeper: u64,
}

impl VirtualClock {
    /// Starts at zero, with this wall time.
    pub fn new(wall: UnixMicros) -> Self {
        let state = State { wall, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Lets time pass by both clocks.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.now += by;
        state.wall = state.wall.after(by);
        let now = state.now;
        let due: Vec<Waker> =
            state.sleepers.extract_if(.., |_, (at, _)| *at <= now).map(|(_, (_, waker))| waker).collect();
        drop(state);
        due.into_iter().for_each(Waker::wake);
    }

    /// Sets the wall clock alone, as an operator or a time server does.
    pub fn set_wall(&self, wall: UnixMicros) {
        self.state().wall = wall;
    }

    /// When the first sleeper wants to wake.
    pub fn next_wake(&self) -> Option<Duration> {
        self.state().sleepers.values().map(|(at, _)| *at).min()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Duration {
        self.state().now
    }

    fn wall(&self) -> UnixMicros {
        self.state().wall
    }

    fn sleep_until(&self, at: Duration) -> Sleep {
        let mut state = self.state();
        state.last_sleeper += 1;
        let sleeper = Sleeper { clock: self.clone(), number: state.last_sleeper };
        drop(state);
        Box::pin(poll_fn(move |context| {
            let mut state = sleeper.clock.state();
            if state.now >= at {
                return Poll::Ready(());
            }
            state.sleepers.insert(sleeper.number, (at, context.waker().clone()));
            Poll::Pending
        }))
    }
}

/// Takes its wish back when it is dropped, so that [`VirtualClock::next_wake`] tells of those who still wait.
struct Sleeper {
    clock: VirtualClock,
    number: u64,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.number);
    }
}
