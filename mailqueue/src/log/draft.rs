//! A message on its way into the log.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use oneshot::AsyncReceiver;

use crate::files::Files;
use crate::{CommitError, Custody, Draft, Envelope, Facts, MessageId, Wake};

use super::codec::{CHUNK_HEAD, Course, message_rest};
use super::committer::{Commit, Request, Tidings, Written};
use super::index::{ChunkPin, Shared};

/// A message arriving in a [`LogSpool`](super::LogSpool). It holds at most two chunks in memory, one that fills and one on its
/// way, and what is to stand above them; full chunks go to the log, where nobody sees them before the commit.
pub struct LogDraft<F: Files> {
    shared: Arc<Shared<F>>,
    requests: Sender<Request<F>>,
    id: MessageId,
    size: u64,
    /// How large it will be, as far as anybody knows.
    expected: u64,
    /// What stands above all that was written.
    above: Vec<u8>,
    chunks: Vec<ChunkPin<F>>,
    /// A chunk that the log has not answered for.
    sent: Option<AsyncReceiver<Result<Written<F>, CommitError>>>,
    /// The next chunk's payload.
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
        let (above, chunks, buffer) = (Vec::new(), Vec::new(), empty_chunk(id, expected, shared.config.chunk()));
        Self { shared, requests, id, size: 0, expected, above, chunks, sent: None, buffer, state: State::Whole }
    }

    /// Octets in memory, for whoever counts them.
    pub fn memory(&self) -> usize {
        let sent = if self.sent.is_some() { CHUNK_HEAD + self.shared.config.chunk() } else { 0 };
        let chunks = self.chunks.capacity() * size_of::<ChunkPin<F>>();
        self.buffer.capacity() + sent + self.above.capacity() + chunks
    }

    /// Waits for the chunk that was sent, and returns a buffer for another one. If this is dropped before it ends, the draft
    /// stays broken.
    async fn landed(&mut self) -> Result<Vec<u8>, CommitError> {
        let Some(sent) = self.sent.take() else {
            let left = self.expected.saturating_sub(self.size);
            return Ok(empty_chunk(self.id, left, self.shared.config.chunk()));
        };
        self.state = State::Broken(CommitError::Unavailable);
        match sent.await {
            Ok(Ok(Written { pin, buffer })) => {
                self.chunks.push(pin);
                self.state = State::Whole;
                Ok(buffer)
            }
            Ok(Err(error)) => {
                self.state = State::Broken(error.clone());
                Err(error)
            }
            Err(_) => Err(CommitError::Unavailable),
        }
    }

    /// Sends a chunk to the log. The one before it has landed.
    fn send(&mut self, payload: Vec<u8>) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::async_channel();
        self.requests.send(Request::Chunk { payload, reply }).map_err(|_| CommitError::Unavailable)?;
        self.sent = Some(answer);
        Ok(())
    }

    /// Puts what stands above everything into the first chunk, or into chunks before it.
    async fn send_above(&mut self) -> Result<(), CommitError> {
        let full = self.shared.config.chunk();
        let above = mem::take(&mut self.above);
        if self.chunks.is_empty() && self.sent.is_none() && above.len() + self.buffer.len() <= CHUNK_HEAD + full {
            self.buffer.splice(CHUNK_HEAD..CHUNK_HEAD, above);
            return Ok(());
        }
        self.landed().await?;
        let below = mem::take(&mut self.chunks);
        for piece in above.chunks(full) {
            self.send([self.id.to_bytes().as_slice(), piece].concat())?;
            self.landed().await?;
        }
        self.chunks.extend(below);
        Ok(())
    }
}

/// A buffer for the next chunk of a message, of which so many octets are still to come.
fn empty_chunk(id: MessageId, left: u64, full: usize) -> Vec<u8> {
    let most = usize::try_from(left).unwrap_or(full).min(full);
    let mut buffer = Vec::with_capacity(CHUNK_HEAD + most);
    buffer.extend_from_slice(&id.to_bytes());
    buffer
}

impl<F: Files> Draft for LogDraft<F> {
    async fn write(&mut self, mut octets: &[u8]) -> Result<(), CommitError> {
        let full = CHUNK_HEAD + self.shared.config.chunk();
        while !octets.is_empty() {
            if let State::Broken(error) = &self.state {
                return Err(error.clone());
            }
            if self.buffer.len() == full {
                let next = self.landed().await?;
                let payload = mem::replace(&mut self.buffer, next);
                self.send(payload)?;
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
            sent: self.sent.take(),
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
