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

mod append;
mod chains;
mod codec;
mod committer;
mod compact;
mod draft;
mod format;
mod index;
mod listing;
mod open;
mod pool;
mod read;
mod replay;
mod report;
mod window;
mod wire;
mod yard;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::files::{Files, RealFiles};
use crate::{Body, CommitError, Facts, MessageId, ReadError, RecordError, Space, Spool, Stored, Taken};

use codec::CHUNK_HEAD;
use committer::{Committer, Request, Tidings};
use format::{SEGMENT_HEADER, footer_size, record_size};
use index::Shared;
use listing::Entry;
use open::{Opened, open};
use pool::Pool;
use window::Window;
use yard::KEPT;

pub use draft::LogDraft;
pub use report::{Damage, OpenError, Report};

/// The smallest segment: a header, a footer and a little mail.
const MIN_SEGMENT: u32 = 1 << 12;
/// The largest segment. The last one is read whole when the log is opened.
const MAX_SEGMENT: u32 = 1 << 28;

/// What an envelope is taken to need, in octets, before anybody has seen it.
const ENVELOPE: u64 = 1 << 10;

/// The shape of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Octets of a segment file, 4 KiB to 256 MiB, rounded down to a multiple of 8. An idle log takes about `spares` + 4 of
    /// them on disk. Larger ones are opened less often and are emptied later.
    pub segment_size: u32,
    /// The most octets of one message in one record. An arriving message takes twice as much memory at most: one record fills
    /// while another is on its way.
    pub chunk_size: u32,
    /// After how many octets a batch is synced though more callers wait. Otherwise a few large messages would keep all
    /// others waiting for one long sync.
    pub batch_limit: usize,
    /// How many empty segments are kept ready for new mail, at least one. Three more are kept for the facts about mail that
    /// is here, for compaction, and for the next start: on a full disk no new mail is taken, while deliveries go on and make
    /// room.
    pub spares: usize,
    /// Octets of the disk that are left to others. Beside them, the log leaves 2048 for each message in it: deliveries must
    /// find room for what they have to say.
    pub reserve: u64,
    /// Threads that read. A few hide the disk's latency.
    pub readers: usize,
    /// Who prepares new segments.
    pub preparation: Preparation,
}

/// Who fills new segments with zeros and syncs them, before they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// A thread of its own, so that no caller waits for it but who needs the segment at once.
    Beside,
    /// The committer, a piece after each batch: then the calls to the disk come in the same order in each run, which tests
    /// of faults want.
    Between,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_size: 16 << 20,
            chunk_size: 64 << 10,
            batch_limit: 4 << 20,
            spares: 1,
            reserve: 64 << 20,
            readers: 2,
            preparation: Preparation::Beside,
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

    /// The most octets of a message in one chunk.
    fn chunk(&self) -> usize {
        let frame = SEGMENT_HEADER + record_size(CHUNK_HEAD) + record_size(0) + footer_size(Entry::AVERAGE);
        (self.segment_size as usize).saturating_sub(frame).min(self.chunk_size as usize)
    }
}

/// A durable spool in one directory, used by one process.
pub struct LogSpool<F: Files = RealFiles> {
    shared: Arc<Shared<F>>,
    requests: Sender<Request<F>>,
    pool: Pool,
}

impl<F: Files> LogSpool<F> {
    /// Opens the log in a directory, or begins one. It reads what each segment says is in it, and the last one whole, and
    /// blocks meanwhile: call it before anyone is served.
    ///
    /// # Errors
    /// As [`OpenError`] says. What a crash cuts off or a disk damages is in the [`Report`], and is no error.
    pub fn open(files: F, mut config: LogConfig) -> Result<(Self, Report), OpenError> {
        config.check()?;
        config.segment_size &= !7;
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
        let spare = index.spares.saturating_sub(KEPT) as u64 * u64::from(self.shared.config.segment_size);
        spare.saturating_add(index.room)
    }

    /// Octets that may still be accepted in all.
    fn free(&self) -> io::Result<u64> {
        let disk = yard::room(&self.shared)?.saturating_mul(u64::from(self.shared.config.segment_size));
        Ok(disk.saturating_add(self.prepared()))
    }

    async fn ask(
        &self,
        request: Request<F>,
        answer: oneshot::AsyncReceiver<Result<(), RecordError>>,
    ) -> Result<(), RecordError> {
        self.requests.send(request).map_err(|_| RecordError::Unavailable)?;
        answer.await.unwrap_or(Err(RecordError::Unavailable))
    }
}

impl<F: Files> Spool for LogSpool<F> {
    type Draft = LogDraft<F>;

    async fn begin(&self, id: MessageId, expected: u64) -> Result<LogDraft<F>, CommitError> {
        let needed = expected.saturating_add(ENVELOPE);
        // The disk is asked only where it matters. Where it does not say, the writes will.
        if self.prepared() < needed && self.free().is_ok_and(|free| free < needed) {
            return Err(CommitError::Full);
        }
        Ok(LogDraft::new(Arc::clone(&self.shared), self.requests.clone(), id, expected))
    }

    async fn take(&self, limit: usize) -> Result<Vec<Taken>, ReadError> {
        let mut index = self.shared.index();
        let taken = std::iter::from_fn(|| index.untaken.pop_first()).take(limit);
        Ok(taken.map(|(id, wake)| Taken { id, wake }).collect())
    }

    fn arrived(&self) -> impl Future<Output = ()> + Send {
        self.shared.bell.when(|| !self.shared.index().untaken.is_empty())
    }

    async fn read(&self, ids: &[MessageId]) -> Vec<Result<Stored, ReadError>> {
        read::read(&self.shared, &self.pool, ids).await
    }

    async fn body(&self, id: MessageId) -> Result<Body, ReadError> {
        read::body(&self.shared, &self.pool, id).await
    }

    async fn record(&self, facts: Facts) -> Result<(), RecordError> {
        let (reply, answer) = oneshot::async_channel();
        self.ask(Request::Facts { tidings: Tidings::from(facts), reply }, answer).await
    }

    async fn rules(&self) -> Result<Vec<u8>, ReadError> {
        let place = {
            let index = self.shared.index();
            let Some((place, _)) = index.rules else { return Ok(Vec::new()) };
            let segment = index.segments.get(&place.segment).ok_or(ReadError::Damaged)?;
            (Arc::clone(&segment.file), place.offset)
        };
        let read = move || Window::default().record(&place.0, place.1, 0).map(|(_, rules)| rules.to_vec());
        self.pool.run(read).await.ok_or(ReadError::Closed)?
    }

    async fn keep_rules(&self, rules: Vec<u8>) -> Result<(), RecordError> {
        let (reply, answer) = oneshot::async_channel();
        self.ask(Request::Rules { rules, reply }, answer).await
    }

    async fn space(&self) -> io::Result<Space> {
        let free = self.free()?;
        let index = self.shared.index();
        let spares = index.spares as u64 * u64::from(self.shared.config.segment_size);
        Ok(Space { free, used: index.held + spares })
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
        let (messages, segments) = (index.messages(), index.segments.len());
        f.debug_struct("LogSpool").field("messages", &messages).field("segments", &segments).finish_non_exhaustive()
    }
}
