//! The spool that a queue uses by default: an append-only log in segments, with one sync for all who wait.
//!
//! ```text
//!  drafts, queue ──requests──▶ committer thread ──one write, one sync──▶ segment
//!        ▲                        │ index: where messages lie, what keeps each segment
//!        └────────answers─────────┘
//!  readers ──jobs──▶ read threads ──▶ any segment, by the index
//! ```
//!
//! `docs/format.md` has the format byte by byte.

mod codec;
mod committer;
mod draft;
mod format;
mod index;
mod open;
mod pool;
mod read;
mod report;
mod yard;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::files::{Files, RealFiles};
use crate::{Body, CommitError, Envelope, MessageId, Note, ReadError, RecordError, Space, Spool, Stored};

use codec::note_record;
use committer::{Committer, Request};
use format::{SEGMENT_HEADER, record_size};
use index::Shared;
use open::{Opened, open};
use pool::Pool;

pub use draft::LogDraft;
pub use report::{Damage, OpenError, Report};

/// The smallest segment: a header, a footer and a little mail.
const MIN_SEGMENT: u32 = 1 << 12;
/// The largest segment. One is read whole when the log is opened.
const MAX_SEGMENT: u32 = 1 << 28;

/// The shape of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Octets of a segment file, 4 KiB to 256 MiB. An idle log takes about `spares` + 1 of them on disk. Larger ones are
    /// opened less often and are emptied later.
    pub segment_size: u32,
    /// The most octets of one message in one record, and so the memory that each arriving message takes.
    pub chunk_size: u32,
    /// After how many octets a batch is synced though more callers wait. Otherwise a few large messages would keep all
    /// others waiting for one long sync.
    pub batch_limit: usize,
    /// How many empty segments are kept ready, at least one. The last is for the facts about mail that is here: on a full
    /// disk no new mail is taken, while deliveries go on and make room.
    pub spares: usize,
    /// Octets of the disk that are left to others.
    pub reserve: u64,
    /// Threads that read. A few hide the disk's latency.
    pub readers: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_size: 16 << 20,
            chunk_size: 64 << 10,
            batch_limit: 4 << 20,
            spares: 2,
            reserve: 64 << 20,
            readers: 2,
        }
    }
}

impl LogConfig {
    fn check(&self) -> Result<(), OpenError> {
        if !(MIN_SEGMENT..=MAX_SEGMENT).contains(&self.segment_size) {
            return Err(OpenError::Config("a segment of the spool has 4 KiB to 256 MiB"));
        }
        if self.chunk_size == 0 || self.batch_limit == 0 || self.spares == 0 {
            return Err(OpenError::Config("chunks, batches and spares of the spool are at least one"));
        }
        Ok(())
    }

    /// The longest payload of a chunk record.
    fn chunk(&self) -> usize {
        let most = self.segment_size as usize - SEGMENT_HEADER - 2 * record_size(0);
        most.min(self.chunk_size as usize)
    }
}

/// A durable spool in one directory, used by one process.
pub struct LogSpool<F: Files = RealFiles> {
    shared: Arc<Shared<F>>,
    requests: Sender<Request<F>>,
    pool: Pool,
}

impl<F: Files> LogSpool<F> {
    /// Opens the log in a directory, or begins one. It reads all segments, at about the speed of the disk, and blocks
    /// meanwhile: call it before anyone is served.
    ///
    /// # Errors
    /// As [`OpenError`] says. What a crash cuts off or a disk damages is in the [`Report`], and is no error.
    pub fn open(files: F, config: LogConfig) -> Result<(Self, Report), OpenError> {
        config.check()?;
        let lock = match files.lock() {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(OpenError::Locked),
            Err(error) => return Err(error.into()),
        };
        let Opened { shared, yard, active, next_number, report } = open(files, config)?;
        let pool = Pool::new(shared.config.readers)?;
        let (requests, queue) = channel();
        let committer = Committer::new(Arc::clone(&shared), queue, yard, active, next_number, lock);
        thread::Builder::new().name("spool-commit".to_owned()).spawn(move || committer.run())?;
        Ok((Self { shared, requests, pool }, report))
    }

    /// Octets that may still be accepted into what is prepared.
    fn prepared(&self) -> u64 {
        let index = self.shared.index();
        let spare = index.spares.saturating_sub(1) as u64 * u64::from(self.shared.config.segment_size);
        spare.saturating_add(index.room)
    }

    /// Octets that may still be accepted in all.
    fn free(&self) -> io::Result<u64> {
        let disk = self.shared.files.free()?.saturating_sub(self.shared.config.reserve);
        Ok(disk.saturating_add(self.prepared()))
    }
}

impl<F: Files> Spool for LogSpool<F> {
    type Draft = LogDraft<F>;

    async fn begin(&self, id: MessageId, expected: u64) -> Result<LogDraft<F>, CommitError> {
        // The body and, roughly, its envelope and headers.
        let needed = expected.saturating_add(record_size(0) as u64 * 4);
        // The disk is asked only where it matters. Where it does not say, the writes will.
        if self.prepared() < needed && self.free().is_ok_and(|free| free < needed) {
            return Err(CommitError::Full);
        }
        Ok(LogDraft::new(Arc::clone(&self.shared), self.requests.clone(), id))
    }

    async fn take(&self, limit: usize) -> Result<Vec<Stored>, ReadError> {
        let mut index = self.shared.index();
        let ready = limit.min(index.untaken.len());
        Ok(index.untaken.drain(..ready).collect())
    }

    fn arrived(&self) -> impl Future<Output = ()> + Send {
        self.shared.bell.when(|| !self.shared.index().untaken.is_empty())
    }

    async fn read(&self, id: MessageId) -> Result<(Envelope, Body), ReadError> {
        read::read(&self.shared, &self.pool, id).await
    }

    async fn record(&self, id: MessageId, notes: Vec<Note>) -> Result<(), RecordError> {
        let records = notes.iter().map(|note| note_record(id, note)).collect();
        let (reply, answer) = oneshot::async_channel();
        self.requests.send(Request::Notes { id, records, reply }).map_err(|_| RecordError::Unavailable)?;
        answer.await.unwrap_or(Err(RecordError::Unavailable))
    }

    async fn space(&self) -> io::Result<Space> {
        let free = self.free()?;
        let index = self.shared.index();
        let files = index.segments.len() + index.spares;
        Ok(Space { free, used: files as u64 * u64::from(self.shared.config.segment_size) })
    }

    async fn close(&self) {
        let (reply, answer) = oneshot::async_channel();
        if self.requests.send(Request::Close { reply }).is_ok() {
            // An error means that someone else closed it first.
            let _ = answer.await;
        }
    }
}

impl<F: Files> fmt::Debug for LogSpool<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.shared.index();
        let (messages, segments) = (index.messages.len(), index.segments.len());
        f.debug_struct("LogSpool").field("messages", &messages).field("segments", &segments).finish_non_exhaustive()
    }
}
