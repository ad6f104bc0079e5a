//! A message on its way into the log.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::files::Files;
use crate::{CommitError, Custody, Draft, Envelope, MessageId, Stored};

use super::codec::message_rest;
use super::committer::{Commit, Request, Written};
use super::index::{ChunkPin, Shared};

/// A message arriving in a [`LogSpool`](super::LogSpool). It holds at most one chunk in memory; full ones go to the log,
/// where nobody sees them before the commit.
pub struct LogDraft<F: Files> {
    shared: Arc<Shared<F>>,
    requests: Sender<Request<F>>,
    id: MessageId,
    size: u64,
    chunks: Vec<ChunkPin<F>>,
    buffer: Vec<u8>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Whole,
    /// Octets are missing, be it through a failure or because a write was dropped before it ended.
    Broken(CommitError),
}

impl<F: Files> LogDraft<F> {
    pub(super) fn new(shared: Arc<Shared<F>>, requests: Sender<Request<F>>, id: MessageId) -> Self {
        Self { shared, requests, id, size: 0, chunks: Vec::new(), buffer: Vec::new(), state: State::Whole }
    }

    /// Octets in memory, for whoever counts them.
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.chunks.capacity() * size_of::<ChunkPin<F>>()
    }

    /// Sends the buffer to the log. If this is dropped before it ends, the draft stays broken.
    async fn send_chunk(&mut self) -> Result<(), CommitError> {
        self.state = State::Broken(CommitError::Unavailable);
        let octets = mem::take(&mut self.buffer);
        let (reply, answer) = oneshot::async_channel();
        let request = Request::Chunk { octets, reply };
        self.requests.send(request).map_err(|_| CommitError::Unavailable)?;
        match answer.await {
            Ok(Ok(Written { pin, buffer })) => {
                self.chunks.push(pin);
                self.buffer = buffer;
                self.state = State::Whole;
                Ok(())
            }
            Ok(Err(error)) => {
                self.state = State::Broken(error.clone());
                Err(error)
            }
            Err(_) => Err(CommitError::Unavailable),
        }
    }
}

impl<F: Files> Draft for LogDraft<F> {
    async fn write(&mut self, mut octets: &[u8]) -> Result<(), CommitError> {
        let full = self.shared.config.chunk();
        while !octets.is_empty() {
            if let State::Broken(error) = &self.state {
                return Err(error.clone());
            }
            if self.buffer.len() == full {
                self.send_chunk().await?;
            }
            let fits = octets.len().min(full - self.buffer.len());
            let (now, later) = octets.split_at(fits);
            self.buffer.extend_from_slice(now);
            self.size += now.len() as u64;
            octets = later;
        }
        Ok(())
    }

    async fn commit(mut self, envelope: &Envelope) -> Result<Custody, CommitError> {
        if let State::Broken(error) = self.state {
            return Err(error);
        }
        let (reply, answer) = oneshot::async_channel();
        let commit = Commit {
            stored: Stored::fresh(self.id, envelope, self.size),
            chunks: mem::take(&mut self.chunks),
            last: mem::take(&mut self.buffer),
            rest: message_rest(envelope, self.size),
            reply,
        };
        self.requests.send(Request::Commit(Box::new(commit))).map_err(|_| CommitError::Unavailable)?;
        answer.await.unwrap_or(Err(CommitError::Unavailable))
    }
}

impl<F: Files> std::fmt::Debug for LogDraft<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogDraft").field("id", &self.id).field("size", &self.size).finish_non_exhaustive()
    }
}
