//! The queue: takes mail into custody, and delivers it however long that takes.

mod counters;
mod dispatch;
mod entry;
mod plan;
mod step;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::bell::Bell;
use crate::envelope::Repeat;
use crate::id::MessageIds;
use crate::{
    Clock, CommitError, Custody, Destination, Draft, Envelope, MessageId, Note, ReadError, RecordError, Schedule,
    Space, Spool,
};

use plan::{Attempt, Judgement, Plan, Task};
use step::{Finding, Moment};

pub use counters::Counters;
pub use entry::{Entry, Inspection, RecipientState};

/// How many messages are taken from the spool at a time.
const GATHER: usize = 1024;

/// How a queue behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// When mail for other systems is tried again.
    pub schedule: Schedule,
    /// When mail for an idempotent destination is tried again: the mailboxes of this house are soon back.
    pub local_schedule: Schedule,
    /// The most attempts at one time. Each holds a connection and a piece of a message.
    pub concurrency: usize,
    /// The most attempts at one time for one destination. More are taken for an attack by many servers.
    pub per_destination: usize,
    /// The most recipients in one attempt: what every server must accept (RFC 5321 §4.5.3.1.8).
    pub recipients_per_batch: usize,
    /// How long to wait before a spool that failed is asked again.
    pub patience: Duration,
}

impl Default for QueueConfig {
    fn default() -> Self {
        let local_schedule =
            Schedule { first: Duration::from_secs(10), longest: Duration::from_secs(5 * 60), ..Schedule::default() };
        Self {
            schedule: Schedule::default(),
            local_schedule,
            concurrency: 200,
            per_destination: 20,
            recipients_per_batch: 100,
            patience: Duration::from_secs(5),
        }
    }
}

impl QueueConfig {
    fn schedule_for(&self, destination: &Destination) -> &Schedule {
        match destination.repeat() {
            Repeat::Idempotent => &self.local_schedule,
            Repeat::Duplicates => &self.schedule,
        }
    }
}

/// Why a queue could not begin.
#[derive(Debug, Error)]
pub enum QueueError {
    /// The spool does not say what it holds.
    #[error("the spool cannot be read: {0}")]
    Spool(#[from] ReadError),
    /// The system has no randomness for the names of messages.
    #[error("no random numbers: {0}")]
    Random(io::Error),
}

/// A durable, retrying queue over a spool. Clones are handles to the same queue.
pub struct Queue<S: Spool> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    spool: S,
    config: QueueConfig,
    clock: Arc<dyn Clock>,
    ids: MessageIds,
    state: Mutex<State>,
    bell: Bell,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    stage: Stage,
    /// Counts the reasons for the dispatcher to look again.
    kicks: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    /// No new attempts.
    Draining,
}

impl<S: Spool> Queue<S> {
    /// Takes over what the spool holds. Nothing is delivered before [`Queue::run`].
    ///
    /// # Errors
    /// As [`QueueError`] says.
    pub async fn open(spool: S, config: QueueConfig, clock: Arc<dyn Clock>) -> Result<Self, QueueError> {
        let tag = getrandom::u64().map_err(|error| QueueError::Random(io::Error::other(error)))?;
        let state = Mutex::new(State { plan: Plan::new(config.clone()), stage: Stage::Running, kicks: 0 });
        let shared = Shared { spool, config, clock, ids: MessageIds::new(tag), state, bell: Bell::default() };
        let queue = Self { shared: Arc::new(shared) };
        queue.gather().await?;
        Ok(queue)
    }

    /// Begins to take a message in.
    ///
    /// # Errors
    /// [`CommitError::Full`] where there is no room for any mail.
    pub async fn begin(&self, envelope: Envelope) -> Result<Incoming<S>, CommitError> {
        let id = self.shared.ids.next(self.shared.clock.wall());
        let draft = self.shared.spool.begin(id, 0).await?;
        Ok(Incoming { queue: self.clone(), id, envelope, draft })
    }

    /// What room there is: for a client that says how large its message will be (RFC 1870 §6.1).
    ///
    /// # Errors
    /// Where the file system does not say.
    pub async fn space(&self) -> io::Result<Space> {
        self.shared.spool.space().await
    }

    /// Ends [`Queue::run`] when the attempts under way have ended. Mail can still be taken in; it waits for the next run.
    pub fn drain(&self) {
        self.shared.state().stage = Stage::Draining;
        self.shared.kick();
    }

    /// Closes the spool, after which every call fails. Drain first.
    pub async fn close(&self) {
        self.shared.spool.close().await;
    }

    /// How messages stand, oldest first: at most `limit` of those behind `after`.
    pub fn list(&self, after: Option<MessageId>, limit: usize) -> Vec<Entry> {
        let moment = self.shared.moment();
        self.shared.state().plan.entries(after, limit, moment)
    }

    /// How one message stands, and its envelope.
    ///
    /// # Errors
    /// [`ReadError::Unknown`] where it is not in the queue.
    pub async fn inspect(&self, id: MessageId) -> Result<Inspection, ReadError> {
        let (envelope, _) = self.shared.spool.read(id).await?;
        let moment = self.shared.moment();
        let entry = self.shared.state().plan.entry(id, moment).ok_or(ReadError::Unknown)?;
        Ok(Inspection { entry, envelope })
    }

    /// Keeps a message where it is until it is released, over restarts too. An attempt under way goes on.
    ///
    /// # Errors
    /// [`RecordError::Unknown`] where it is not in the queue.
    pub async fn hold(&self, id: MessageId) -> Result<(), RecordError> {
        self.shared.spool.record(id, vec![Note::Hold]).await?;
        self.shared.state().plan.hold(id);
        Ok(())
    }

    /// Lets a message go on: it is no longer held, and recipients that failed or expired are tried once more, now.
    ///
    /// # Errors
    /// [`RecordError::Unknown`] where it is not in the queue.
    pub async fn release(&self, id: MessageId) -> Result<(), RecordError> {
        let Moment { now, wall } = self.shared.moment();
        let revival = self.shared.state().plan.revival(id, wall);
        let mut notes = vec![Note::Release];
        if !revival.is_empty() {
            notes.push(Note::Progress(revival.clone()));
        }
        self.shared.spool.record(id, notes).await?;
        self.shared.state().plan.release(id, &revival, now);
        self.shared.kick();
        Ok(())
    }

    /// Removes a message whatever its state. An attempt under way goes on, and what it comes to is forgotten.
    ///
    /// # Errors
    /// [`RecordError::Unknown`] where it is not in the queue.
    pub async fn remove(&self, id: MessageId) -> Result<(), RecordError> {
        self.shared.spool.record(id, vec![Note::Done]).await?;
        let mut state = self.shared.state();
        state.plan.remove(id);
        state.plan.counters().removed += 1;
        Ok(())
    }

    /// What the queue has done and what it has to do.
    pub fn counters(&self) -> Counters {
        *self.shared.state().plan.counters()
    }

    /// Takes over all that the spool has for us.
    async fn gather(&self) -> Result<(), ReadError> {
        loop {
            let taken = self.shared.spool.take(GATHER).await?;
            if taken.is_empty() {
                return Ok(());
            }
            let moment = self.shared.moment();
            let mut state = self.shared.state();
            for stored in taken {
                state.plan.enrol(stored, moment);
            }
            drop(state);
            self.shared.kick();
        }
    }
}

impl<S: Spool> Clone for Queue<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Spool> fmt::Debug for Queue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

impl<S> Shared<S> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        Moment { now: self.clock.now(), wall: self.clock.wall() }
    }

    /// When a spool that fails now is asked again.
    fn patience(&self) -> Duration {
        self.clock.now().saturating_add(self.config.patience)
    }

    fn stage(&self) -> Stage {
        self.state().stage
    }

    fn next_task(&self) -> Option<Task> {
        let now = self.clock.now();
        self.state().plan.next_task(now)
    }

    fn next_due(&self) -> Option<Duration> {
        self.state().plan.next_due()
    }

    fn judge(&self, attempt: &Attempt, findings: Vec<Finding>) -> Judgement {
        let moment = self.moment();
        self.state().plan.judge(attempt, findings, moment)
    }

    fn settle(&self, attempt: &Attempt, judgement: Judgement) {
        self.state().plan.settle(attempt, judgement);
    }

    fn abandon(&self, attempt: &Attempt) {
        let due = self.patience();
        self.state().plan.abandon(attempt, due);
    }

    fn interrupt(&self, attempt: &Attempt) {
        let moment = self.moment();
        self.state().plan.interrupt(attempt, moment);
    }

    fn count_spool_error(&self) {
        self.state().plan.counters().spool_errors += 1;
    }

    /// Makes the dispatcher look again.
    fn kick(&self) {
        let mut state = self.state();
        state.kicks = state.kicks.wrapping_add(1);
        drop(state);
        self.bell.ring();
    }

    fn kicks(&self) -> u64 {
        self.state().kicks
    }

    /// Waits for a kick after those that were seen.
    fn kicked(&self, seen: u64) -> impl Future<Output = ()> + Send
    where
        S: Sync,
    {
        self.bell.when(move || self.kicks() != seen)
    }
}

/// A message on its way into the queue. Dropped before [`Incoming::commit`] resolves, it leaves nothing behind, or, at the
/// last moment, the whole message.
pub struct Incoming<S: Spool> {
    queue: Queue<S>,
    id: MessageId,
    envelope: Envelope,
    draft: S::Draft,
}

impl<S: Spool> Incoming<S> {
    /// The name the message will have: for its Received field (RFC 5321 §4.4).
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Takes the next octets. Memory stays bounded however many come.
    ///
    /// # Errors
    /// As [`CommitError`] says; the message cannot be committed any more.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), CommitError> {
        self.draft.write(octets).await
    }

    /// Makes the message durable and queues it. Whoever holds the custody may answer 250.
    ///
    /// # Errors
    /// As [`CommitError`] says: the message was not taken, and the client keeps it.
    pub async fn commit(self) -> Result<Custody, CommitError> {
        let custody = self.draft.commit(&self.envelope).await?;
        self.queue.shared.state().plan.counters().accepted += 1;
        // Should this fail or be dropped, the dispatcher hears of the message from the spool itself.
        let _ = self.queue.gather().await;
        Ok(custody)
    }
}

impl<S: Spool> fmt::Debug for Incoming<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("id", &self.id).finish_non_exhaustive()
    }
}
