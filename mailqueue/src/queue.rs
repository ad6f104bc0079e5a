//! The queue: takes mail into custody, and delivers it however long that takes.

mod attempt;
mod backlog;
mod config;
mod counters;
mod dispatch;
mod dormant;
mod entry;
mod events;
mod lanes;
mod message;
mod notify;
mod operate;
mod plan;
mod ramp;
mod rope;
mod rules;
mod step;
mod suspects;
mod times;
mod turns;
mod ways;
mod window;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::bell::Bell;
use crate::id::MessageIds;
use crate::{Clock, CommitError, Custody, Draft, Envelope, Facts, MessageId, ReadError, Space, Spool, Stored};

use events::Nobody;
use plan::{Happening, Plan};
use rules::Rules;
use times::Moment;

pub use config::{QueueConfig, Reporting};
pub use counters::Counters;
pub use entry::{Entry, EntryState, Inspection, Page, RecipientEntry, RecipientState, Site, SiteState, Waiting};
pub use events::{About, Event, News, Observer};
pub use operate::{Action, OperateError, Tally, Trial};
pub use rules::{RULES, Rule, RuleError, RuleId};

/// Why a queue could not begin.
#[derive(Debug, Error)]
pub enum QueueError {
    /// The spool does not say what it holds.
    #[error("the spool cannot be read: {0}")]
    Spool(#[from] ReadError),
    /// The system has no randomness for the names of messages.
    #[error("no random numbers: {0}")]
    Random(io::Error),
    /// The rules that the spool keeps are of a form that this version does not know. To go on without them would send mail
    /// that someone wanted to stay.
    #[error("the rules in the spool cannot be understood")]
    Rules,
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
    observer: OnceLock<Arc<dyn Observer>>,
    /// Held while rules are kept, so that a later version is not overwritten by an earlier one.
    keeping: futures_util::lock::Mutex<()>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    stage: Stage,
    /// Counts the reasons for the dispatcher to look again.
    kicks: u64,
    /// How many wait until a message is in nobody's hands.
    patient: usize,
    /// Messages whose commit is under way. Whoever hears first that they are durable takes them in.
    arriving: HashMap<MessageId, Arrival>,
}

/// A message whose commit is under way.
#[derive(Clone, Debug)]
struct Arrival {
    envelope: Arc<Envelope>,
    size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    /// No new attempts.
    Draining,
}

/// How many names are taken from the spool at a time.
const GATHER: usize = 1024;

impl<S: Spool> Queue<S> {
    /// Takes over what the spool holds. Nothing is delivered before [`Queue::run`].
    ///
    /// # Errors
    /// As [`QueueError`] says.
    pub async fn open(spool: S, config: QueueConfig, clock: Arc<dyn Clock>) -> Result<Self, QueueError> {
        let tag = getrandom::u64().map_err(|error| QueueError::Random(io::Error::other(error)))?;
        let rules = Rules::read(&spool.rules().await?).map_err(|_| QueueError::Rules)?;
        let opened = Moment { now: clock.now(), wall: clock.wall() };
        let plan = Plan::new(config.clone(), rules, opened);
        let state = State { plan, stage: Stage::Running, kicks: 0, patient: 0, arriving: HashMap::new() };
        let shared = Shared {
            spool,
            config,
            clock,
            ids: MessageIds::new(tag),
            state: Mutex::new(state),
            bell: Bell::default(),
            observer: OnceLock::new(),
            keeping: futures_util::lock::Mutex::new(()),
        };
        let queue = Self { shared: Arc::new(shared) };
        queue.gather().await?;
        Ok(queue)
    }

    /// Names who hears what happens. Once; a later call has no effect.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        let _ = self.shared.observer.set(observer);
    }

    /// Begins to take a message in.
    ///
    /// # Errors
    /// [`CommitError::Full`] where there is no room for any mail.
    pub async fn begin(&self, envelope: Envelope) -> Result<Incoming<S>, CommitError> {
        self.begin_as(self.shared.name(), envelope, 0).await
    }

    /// As [`Queue::begin`], for a message of about `expected` octets: it is refused before they come where they would not
    /// fit.
    ///
    /// # Errors
    /// [`CommitError::Full`] where there is no room for it.
    pub async fn begin_sized(&self, envelope: Envelope, expected: u64) -> Result<Incoming<S>, CommitError> {
        self.begin_as(self.shared.name(), envelope, expected).await
    }

    async fn begin_as(&self, id: MessageId, envelope: Envelope, expected: u64) -> Result<Incoming<S>, CommitError> {
        let draft = self.shared.spool.begin(id, expected).await?;
        Ok(Incoming { queue: self.clone(), id, envelope: Arc::new(envelope), size: 0, draft })
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

    /// All rules, oldest first.
    pub fn rules(&self) -> Vec<(RuleId, Rule)> {
        self.shared.state().plan.rules().all()
    }

    /// All sites with mail or with something to remember, by name.
    pub fn sites(&self) -> Vec<Site> {
        self.shared.with(|plan, at| plan.sites(at))
    }

    /// What the queue has done and what it has to do.
    pub fn counters(&self) -> Counters {
        self.shared.state().plan.snapshot()
    }

    /// Takes over all that the spool has for us.
    async fn gather(&self) -> Result<(), ReadError> {
        loop {
            let taken = self.shared.spool.take(GATHER).await?;
            if taken.is_empty() {
                return Ok(());
            }
            for one in taken {
                if !self.shared.welcome(one.id) {
                    self.shared.with(|plan, at| plan.enrol(one.id, one.wake, at));
                }
            }
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

    /// Does something with the plan, and tells whoever listens what came of it.
    fn with<A>(&self, act: impl FnOnce(&mut Plan, Moment) -> A) -> A {
        let at = self.moment();
        let mut state = self.state();
        state.plan.observe(at);
        let answer = act(&mut state.plan, at);
        let happenings = state.plan.happenings();
        drop(state);
        for happening in happenings {
            self.event(&match &happening {
                Happening::Unreachable { site, probe_at, detail } => {
                    Event::Unreachable { site, probe_at: *probe_at, detail }
                }
                Happening::Reachable { site } => Event::Reachable { site },
                Happening::Suspected { id } => Event::Suspected { id: *id },
                Happening::Held { id, why } => Event::Held { id: *id, why: *why },
                Happening::SpoolFails => Event::SpoolFails,
                Happening::SpoolWorks => Event::SpoolWorks,
            });
        }
        answer
    }

    fn event(&self, event: &Event<'_>) {
        match self.observer.get() {
            Some(observer) => observer.event(event),
            None => Nobody.event(event),
        }
    }

    /// A name for a message that arrives now.
    fn name(&self) -> MessageId {
        self.ids.next(self.clock.wall())
    }

    /// Takes in a message whose commit is under way, now that it is durable. Says whether there was one.
    fn welcome(&self, id: MessageId) -> bool {
        let Some(Arrival { envelope, size }) = self.state().arriving.remove(&id) else { return false };
        self.event(&Event::Accepted { id, envelope: &envelope, size });
        self.with(|plan, at| {
            plan.counters().accepted += 1;
            plan.welcome(Stored::fresh(id, (*envelope).clone(), size), at);
        });
        true
    }

    /// When a spool that fails now is asked again.
    fn patience(&self) -> Duration {
        self.clock.now().saturating_add(self.config.patience)
    }

    fn stage(&self) -> Stage {
        self.state().stage
    }

    /// Makes the dispatcher look again.
    fn kick(&self) {
        let mut state = self.state();
        state.kicks = state.kicks.wrapping_add(1);
        drop(state);
        self.bell.ring();
    }

    /// A message is no longer in the dispatcher's hands: an operator may wait for it.
    fn hands_free(&self) {
        if self.state().patient > 0 {
            self.kick();
        }
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
    envelope: Arc<Envelope>,
    size: u64,
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
        self.size += octets.len() as u64;
        self.draft.write(octets).await
    }

    /// The envelope, until the commit: for what only the message itself tells.
    pub fn envelope_mut(&mut self) -> &mut Envelope {
        Arc::make_mut(&mut self.envelope)
    }

    /// Puts octets above all that was written, as [`Draft::prepend`] does.
    pub fn prepend(&mut self, octets: &[u8]) {
        self.size += octets.len() as u64;
        self.draft.prepend(octets);
    }

    /// Makes the message durable and queues it. Whoever holds the custody may answer 250.
    ///
    /// # Errors
    /// As [`CommitError`] says: the message was not taken, and the client keeps it.
    pub async fn commit(self) -> Result<Custody, CommitError> {
        self.commit_with(None).await
    }

    async fn commit_with(self, also: Option<Facts>) -> Result<Custody, CommitError> {
        let Self { queue, id, envelope, size, draft } = self;
        let arrival = Arrival { envelope: Arc::clone(&envelope), size };
        queue.shared.state().arriving.insert(id, arrival);
        let _doorstep = Doorstep { queue: &queue, id };
        let custody = draft.commit(&envelope, also).await?;
        if queue.shared.welcome(id) {
            queue.shared.kick();
        }
        Ok(custody)
    }
}

/// Clears up after a commit. Where it was dropped and succeeded all the same, the dispatcher hears of the message from the
/// spool itself.
struct Doorstep<'a, S: Spool> {
    queue: &'a Queue<S>,
    id: MessageId,
}

impl<S: Spool> Drop for Doorstep<'_, S> {
    fn drop(&mut self) {
        self.queue.shared.state().arriving.remove(&self.id);
    }
}

impl<S: Spool> fmt::Debug for Incoming<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("id", &self.id).finish_non_exhaustive()
    }
}
