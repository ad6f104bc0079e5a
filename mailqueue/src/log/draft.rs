//! A message on its way into the log.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::files::Files;
use crate::{CommitError, Custody, Draft, Envelope, Facts, MessageId, Wake};

use super::codec::{CHUNK_HEAD, Course, message_rest};
use super::committer::{Commit, Request, Tidings, Written};
use super::index::{ChunkPin, Shared};

/// A message arriving in a [`LogSpool`](super::LogSpool). It holds at most one chunk in memory, and what is to stand above
/// it; full chunks go to the log, where nobody sees them before the commit.
pub struct LogDraft<F: Files> {
    shared: Arc<Shared<F>>,
    requests: Sender<Request<F>>,
    id: MessageId,
    size: u64,
    /// What stands above all that was written.
    above: Vec<u8>,
    chunks: Vec<ChunkPin<F>>,
    /// The next chunk's payload, or empty.
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
    pub(super) fn new(shared: Arc<Shared<F>>, requests: Sender<Request<F>>, id: MessageId, expected: u64) -> Self {
        let full = shared.config.chunk();
        let most = usize::try_from(expected).unwrap_or(full).min(full);
        let mut buffer = Vec::with_capacity(CHUNK_HEAD + most);
        buffer.extend_from_slice(&id.to_bytes());
        let (above, chunks) = (Vec::new(), Vec::new());
        Self { shared, requests, id, size: 0, above, chunks, buffer, state: State::Whole }
    }

    /// Octets in memory, for whoever counts them.
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.above.capacity() + self.chunks.capacity() * size_of::<ChunkPin<F>>()
    }

    /// Sends a chunk to the log. If this is dropped before it ends, the draft stays broken.
    async fn send(&mut self, payload: Vec<u8>) -> Result<Written<F>, CommitError> {
        self.state = State::Broken(CommitError::Unavailable);
        let (reply, answer) = oneshot::async_channel();
        let request = Request::Chunk { payload, reply };
        self.requests.send(request).map_err(|_| CommitError::Unavailable)?;
        match answer.await {
            Ok(Ok(written)) => {
                self.state = State::Whole;
                Ok(written)
            }
            Ok(Err(error)) => {
                self.state = State::Broken(error.clone());
                Err(error)
            }
            Err(_) => Err(CommitError::Unavailable),
        }
    }

    /// Puts what stands above everything into the first chunk, or into chunks before it.
    async fn send_above(&mut self) -> Result<(), CommitError> {
        let full = self.shared.config.chunk();
        let above = mem::take(&mut self.above);
        if self.chunks.is_empty() && above.len() + self.buffer.len() <= CHUNK_HEAD + full {
            self.buffer.splice(CHUNK_HEAD..CHUNK_HEAD, above);
            return Ok(());
        }
        let mut first = Vec::with_capacity(above.len().div_ceil(full) + self.chunks.len());
        for piece in above.chunks(full) {
            let payload = [self.id.to_bytes().as_slice(), piece].concat();
            first.push(self.send(payload).await?.pin);
        }
        first.append(&mut self.chunks);
        self.chunks = first;
        Ok(())
    }
}

impl<F: Files> Draft for LogDraft<F> {
    async fn write(&mut self, mut octets: &[u8]) -> Result<(), CommitError> {
        let full = CHUNK_HEAD + self.shared.config.chunk();
        while !octets.is_empty() {
            if let State::Broken(error) = &self.state {
                return Err(error.clone());
            }
            if self.buffer.len() == full {
                let payload = mem::take(&mut self.buffer);
                let Written { pin, buffer } = self.send(payload).await?;
                self.chunks.push(pin);
                self.buffer = buffer;
            }
            let fits = octets.len().min(full - self.buffer.len());
            let (now, later) = octets.split_at(fits);
            self.buffer.extend_from_slice(now);
            self.size += now.len() as u64;
            octets = later;
        }
        Ok(())
    }

    fn prepend(&mut self, octets: &[u8]) {
        self.above.splice(..0, octets.iter().copied());
        self.size += octets.len() as u64;
    }

    async fn commit(mut self, envelope: &Envelope, also: Option<Facts>) -> Result<Custody, CommitError> {
        if let State::Broken(error) = self.state {
            return Err(error);
        }
        if !self.above.is_empty() {
            self.send_above().await?;
        }
        let (reply, answer) = oneshot::async_channel();
        let commit = Commit {
            id: self.id,
            wake: Wake::fresh(envelope),
            chunks: mem::take(&mut self.chunks),
            last: mem::take(&mut self.buffer),
            rest: message_rest(envelope, self.size, Course::FRESH),
            beside: also.map(Tidings::from),
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
