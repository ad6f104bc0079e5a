//! A spool that forgets everything with the process: for tests, and for trying things out.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, ready};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::bell::Bell;
use crate::body::ChunkFuture;
use crate::{
    Body, Chunks, CommitError, Custody, Draft, Envelope, MessageId, Note, ReadError, RecordError, Space, Spool, Stored,
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
    untaken: VecDeque<MessageId>,
}

#[derive(Debug)]
struct Message {
    envelope: Envelope,
    body: Bytes,
    stored: Stored,
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

impl Spool for MemorySpool {
    type Draft = MemoryDraft;

    fn begin(&self, id: MessageId, _: u64) -> impl Future<Output = Result<MemoryDraft, CommitError>> + Send {
        ready(Ok(MemoryDraft { spool: self.clone(), id, body: Vec::new() }))
    }

    async fn take(&self, limit: usize) -> Result<Vec<Stored>, ReadError> {
        let mut state = self.state();
        let ready = limit.min(state.untaken.len());
        let ids: Vec<_> = state.untaken.drain(..ready).collect();
        Ok(ids.iter().filter_map(|id| state.messages.get(id)).map(|message| message.stored.clone()).collect())
    }

    fn arrived(&self) -> impl Future<Output = ()> + Send {
        self.shared.bell.when(|| !self.state().untaken.is_empty())
    }

    async fn read(&self, id: MessageId) -> Result<(Envelope, Body), ReadError> {
        let state = self.state();
        let message = state.messages.get(&id).ok_or(ReadError::Unknown)?;
        Ok((message.envelope.clone(), Body::new(Whole(message.body.clone()))))
    }

    async fn record(&self, id: MessageId, notes: Vec<Note>) -> Result<(), RecordError> {
        let mut state = self.state();
        let message = state.messages.get_mut(&id).ok_or(RecordError::Unknown)?;
        for note in &notes {
            message.stored.note(note);
        }
        if notes.contains(&Note::Done) {
            state.messages.remove(&id);
        }
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

    async fn commit(self, envelope: &Envelope) -> Result<Custody, CommitError> {
        let stored = Stored::fresh(self.id, envelope, self.body.len() as u64);
        let message = Message { envelope: envelope.clone(), body: self.body.into(), stored };
        let mut state = self.spool.state();
        state.messages.insert(self.id, message);
        state.untaken.push_back(self.id);
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
