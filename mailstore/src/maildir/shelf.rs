//! What all accounts of one store share: the disk, the threads, and patience with locks.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{MaildirConfig, at_once::AtOnce, files::Files, folder::Folder, watch::Watch};
use crate::{
    derived::Derived,
    error::Trouble,
    pool::{Pool, Timer},
    turn::{Turn, Turns},
};

/// How long to wait before a held lock is tried again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) at_once: Arc<dyn Files>,
    pub(crate) host: Arc<str>,
    pub(crate) pool: Pool,
    pub(crate) timer: Timer,
    pub(crate) derived: Derived,
    pub(crate) watch: Watch,
    lock_wait: Duration,
    /// Mailboxes that were used lately, the latest last: nobody may hold them open, and the next delivery or session
    /// shall not read them from the beginning.
    warm: Mutex<Warm>,
    warm_messages: usize,
}

#[derive(Debug)]
enum Warm {
    Kept(Vec<Arc<Folder>>),
    /// The store is gone; what is still in use is nobody's to keep.
    Closed,
}

/// What came of trying something that needs a lock.
pub(crate) enum Attempt<T, O> {
    Done(T),
    /// Somebody else holds the lock; here is the operation back.
    Held(O),
}

impl Shelf {
    pub(crate) fn new(files: Arc<dyn Files>, host: String, config: &MaildirConfig) -> Self {
        Self {
            watch: Watch::new(files.root()),
            at_once: Arc::new(AtOnce::new(Arc::clone(&files))),
            files,
            host: host.into(),
            pool: Pool::new(config.threads),
            timer: Timer::default(),
            derived: Derived::new(config.derived_octets),
            lock_wait: config.lock_wait,
            warm: Mutex::new(Warm::Kept(Vec::new())),
            warm_messages: config.warm_messages,
        }
    }

    /// Runs an operation on the pool, in its turn, and again from time to time as long as a lock is held. Between the
    /// attempts it occupies neither a thread nor the turn.
    pub(crate) async fn insist<T, O, E>(
        &self,
        turns: &[&Turns],
        operation: O,
        attempt: impl Fn(O) -> Result<Attempt<T, O>, E> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        O: Send + 'static,
        E: From<Trouble> + Send + 'static,
    {
        let started = Instant::now();
        let (mut operation, mut pause) = (operation, FIRST_PAUSE);
        loop {
            let mut taken: Vec<Turn> = Vec::with_capacity(turns.len());
            for turns in turns {
                taken.push(turns.take().await);
            }
            let attempt = attempt.clone();
            let job = move || {
                let outcome = attempt(operation);
                drop(taken);
                outcome
            };
            match self.pool.run(job).await?? {
                Attempt::Done(done) => return Ok(done),
                Attempt::Held(back) => operation = back,
            }
            let waited = started.elapsed();
            if waited >= self.lock_wait {
                return Err(Trouble::Busy { waited }.into());
            }
            self.timer.sleep(pause.min(self.lock_wait - waited)).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Keeps a mailbox for the next who comes, as long as there is room.
    pub(crate) fn keep_warm(&self, folder: &Arc<Folder>) {
        let mut dropped = Vec::new();
        let mut guard = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        let Warm::Kept(warm) = &mut *guard else { return };
        warm.retain(|kept| !Arc::ptr_eq(kept, folder));
        warm.push(Arc::clone(folder));
        let mut messages: usize = warm.iter().map(|kept| kept.weight()).sum();
        while messages > self.warm_messages && warm.len() > 1 {
            let oldest = warm.remove(0);
            messages = messages.saturating_sub(oldest.weight());
            dropped.push(oldest);
        }
        drop(guard);
        if !dropped.is_empty() {
            // On the pool: the last handle of a mailbox has things to do.
            self.pool.start(move || drop(dropped));
        }
    }

    /// Lets go of all mailboxes that nobody holds, for good: they and the shelf keep each other.
    pub(crate) fn close(&self) {
        let warm = std::mem::replace(&mut *self.warm.lock().unwrap_or_else(PoisonError::into_inner), Warm::Closed);
        drop(warm);
    }
}
