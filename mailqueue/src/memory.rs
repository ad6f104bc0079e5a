//! A spool that forgets everything with the process: for tests, and for trying things out.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::bell::Bell;
use crate::body::ChunkFuture;
use crate::{
    Body, Chunks, CommitError, Custody, Draft, Envelope, Facts, MessageId, Note, ReadError, RecordError, Space, Spool,
    Stored, Taken, Wake,
};

/// Keeps messages in memory. Its custody tokens are as durable as the process.
#[derive(Clone, Debug, Default)]
pub struct MemorySpool {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    bell: Bell,
}

#[derive(Debug, Default)]
struct State {
    messages: BTreeMap<MessageId, Message>,
    untaken: BTreeSet<MessageId>,
    rules: Vec<u8>,
}

#[derive(Debug)]
struct Message {
    body: Bytes,
    stored: Stored,
    wake: Wake,
}

impl MemorySpool {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a restart would do: every message that is not done may be taken again.
    pub fn restart(&self) {
        let mut state = self.state();
        state.untaken = state.messages.keys().copied().collect();
        drop(state);
        self.shared.bell.ring();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn record(&mut self, facts: &Facts) -> Result<(), RecordError> {
        let message = self.messages.get_mut(&facts.id).ok_or(RecordError::Unknown)?;
        for note in &facts.notes {
            message.stored.note(note);
        }
        message.wake = facts.wake;
        if facts.notes.contains(&Note::Done) {
            self.messages.remove(&facts.id);
            self.untaken.remove(&facts.id);
        }
        Ok(())
    }
}

impl Spool for MemorySpool {
    type Draft = MemoryDraft;

    fn begin(&self, id: MessageId, _: u64) -> impl Future<Output = Result<MemoryDraft, CommitError>> + Send {
        ready(Ok(MemoryDraft { spool: self.clone(), id, body: Vec::new() }))
    }

    async fn take(&self, limit: usize) -> Result<Vec<Taken>, ReadError> {
        let mut state = self.state();
        let ids: Vec<_> = std::iter::from_fn(|| state.untaken.pop_first()).take(limit).collect();
        let taken = |id| state.messages.get(&id).map(|message| Taken { id, wake: message.wake });
        Ok(ids.into_iter().filter_map(taken).collect())
    }

    fn arrived(&self) -> impl Future<Output = ()> + Send {
        self.shared.bell.when(|| !self.state().untaken.is_empty())
    }

    fn read(&self, ids: &[MessageId]) -> impl Future<Output = Vec<Result<Stored, ReadError>>> + Send {
        let state = self.state();
        let one = |id| state.messages.get(id).map(|message| message.stored.clone()).ok_or(ReadError::Unknown);
        ready(ids.iter().map(one).collect())
    }

    async fn body(&self, id: MessageId) -> Result<Body, ReadError> {
        let state = self.state();
        let message = state.messages.get(&id).ok_or(ReadError::Unknown)?;
        Ok(Body::new(Whole(message.body.clone())))
    }

    async fn record(&self, facts: Facts) -> Result<(), RecordError> {
        self.state().record(&facts)
    }

    async fn rules(&self) -> Result<Vec<u8>, ReadError> {
        Ok(self.state().rules.clone())
    }

    async fn keep_rules(&self, rules: Vec<u8>) -> Result<(), RecordError> {
        self.state().rules = rules;
        Ok(())
    }

    async fn space(&self) -> io::Result<Space> {
        let used = self.state().messages.values().map(|message| message.stored.size).sum();
        Ok(Space { free: u64::MAX, used })
    }

    fn close(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// A message arriving in a [`MemorySpool`].
#[derive(Debug)]
pub struct MemoryDraft {
    spool: MemorySpool,
    id: MessageId,
    body: Vec<u8>,
}

impl Draft for MemoryDraft {
    fn write(&mut self, octets: &[u8]) -> impl Future<Output = Result<(), CommitError>> + Send {
        self.body.extend_from_slice(octets);
        ready(Ok(()))
    }

    fn prepend(&mut self, octets: &[u8]) {
        self.body.splice(..0, octets.iter().copied());
    }

    async fn commit(self, envelope: &Envelope, also: Option<Facts>) -> Result<Custody, CommitError> {
        let stored = Stored::fresh(self.id, envelope.clone(), self.body.len() as u64);
        let message = Message { body: self.body.into(), stored, wake: Wake::fresh(envelope) };
        let mut state = self.spool.state();
        if state.messages.contains_key(&self.id) {
            return Err(CommitError::Failed(io::ErrorKind::AlreadyExists));
        }
        if let Some(facts) = also {
            // What the new message would have settled is gone, and so is the reason for it.
            state.record(&facts).map_err(|_| CommitError::Overtaken)?;
        }
        state.messages.insert(self.id, message);
        state.untaken.insert(self.id);
        drop(state);
        self.spool.shared.bell.ring();
        Ok(Custody::attest_durable(self.id))
    }
}

/// A body in one piece.
struct Whole(Bytes);

impl Chunks for Whole {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn chunk(&self, number: usize) -> ChunkFuture<'_> {
        let piece = (number == 0 && !self.0.is_empty()).then(|| self.0.clone());
        Box::pin(ready(Ok(piece)))
    }
}
