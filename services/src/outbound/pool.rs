//! Connections that wait for another message. Each is a task of its own; here is how to call it.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::courier::Begins;
use super::session::Job;
use super::target::{Demands, Security};

/// What two messages must share to share a connection. RFC 8689 §4.2.1 and RFC 7672 §2.2 are about one message's way: what was
/// verified for one is not for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) host: String,
    pub(super) address: SocketAddr,
    pub(super) security: Security,
    pub(super) begins: Begins,
    pub(super) demands: Demands,
    /// Where it comes from, if that was chosen.
    pub(super) source: Option<IpAddr>,
    /// Who logged in.
    pub(super) user: Option<String>,
}

/// The connections that wait.
#[derive(Debug)]
pub(super) struct Pool {
    bound: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By key, the latest last: it is the likeliest to be alive.
    by_key: HashMap<Key, Vec<Place>>,
    /// All of them, in the order in which they came.
    by_age: BTreeMap<u64, Key>,
    next: u64,
    state: State,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Closed,
}

#[derive(Debug)]
struct Place {
    age: u64,
    caller: oneshot::Sender<Box<Job>>,
}

impl Pool {
    /// Room for so many connections in all.
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, waiting: Mutex::default() }
    }

    /// A connection waits to be called by what is returned. Where there is no more room, the one that has waited longest goes;
    /// it hears so as its caller is dropped.
    pub(super) fn wait(&self, key: &Key) -> Option<oneshot::Receiver<Box<Job>>> {
        let mut waiting = self.lock();
        if waiting.state == State::Closed || self.bound == 0 {
            return None;
        }
        while waiting.by_age.len() >= self.bound {
            waiting.dismiss_oldest();
        }
        let (caller, called) = oneshot::channel();
        let age = waiting.next;
        waiting.next = waiting.next.wrapping_add(1);
        waiting.by_age.insert(age, key.clone());
        waiting.by_key.entry(key.clone()).or_default().push(Place { age, caller });
        Some(called)
    }

    /// Gives a message to a connection that waits. It comes back where none does.
    pub(super) fn call(&self, key: &Key, mut job: Box<Job>) -> Result<(), Box<Job>> {
        loop {
            // One that has left meanwhile does not take it.
            let Some(caller) = self.lock().take_latest(key) else { return Err(job) };
            match caller.send(job) {
                Ok(()) => return Ok(()),
                Err(back) => job = back,
            }
        }
    }

    /// Connections with that key have left: those that cannot be called any more are forgotten.
    pub(super) fn sweep(&self, key: &Key) {
        let mut waiting = self.lock();
        let Waiting { by_key, by_age, .. } = &mut *waiting;
        let Some(places) = by_key.get_mut(key) else { return };
        places.retain(|place| {
            let is_here = !place.caller.is_closed();
            if !is_here {
                by_age.remove(&place.age);
            }
            is_here
        });
        if places.is_empty() {
            by_key.remove(key);
        }
    }

    /// Whoever waits is let go, and nobody waits any more.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        *waiting = Waiting { state: State::Closed, ..Waiting::default() };
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().by_age.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take_latest(&mut self, key: &Key) -> Option<oneshot::Sender<Box<Job>>> {
        let places = self.by_key.get_mut(key)?;
        let place = places.pop();
        if places.is_empty() {
            self.by_key.remove(key);
        }
        let Place { age, caller } = place?;
        self.by_age.remove(&age);
        Some(caller)
    }

    fn dismiss_oldest(&mut self) {
        let Some((age, key)) = self.by_age.pop_first() else { return };
        let Some(places) = self.by_key.get_mut(&key) else { return };
        places.retain(|place| place.age != age);
        if places.is_empty() {
            self.by_key.remove(&key);
        }
    }
}
