//! What the queue needs of a place where messages lie: the [`Spool`] trait and what passes over it.

use std::future::Future;
use std::io;

use thiserror::Error;

use crate::{Body, Custody, Destination, Envelope, MessageId, Note, Priority, Progress, UnixMicros};

/// Keeps messages and the facts about them through crashes.
///
/// Every future that resolves with `Ok` for a commit or a record means that the thing is durable. Futures may be dropped
/// at any time; what they asked for has then happened or not.
pub trait Spool: Send + Sync + 'static {
    /// A message that is arriving.
    type Draft: Draft;

    /// Opens a place for a message of about `expected` octets (0 where nobody knows).
    ///
    /// # Errors
    /// [`CommitError::Full`] where there is no room for it, [`CommitError::Unavailable`] where the spool is closed.
    fn begin(&self, id: MessageId, expected: u64) -> impl Future<Output = Result<Self::Draft, CommitError>> + Send;

    /// Hands over stored messages that nobody works on yet, the oldest first and at most `limit`: after a start those
    /// from before, then whatever was committed since. Empty when there is none now. Each message is handed over once in
    /// the lifetime of this value; a shared spool lets no other process take it meanwhile.
    ///
    /// # Errors
    /// As [`ReadError`] says; nothing was taken then.
    fn take(&self, limit: usize) -> impl Future<Output = Result<Vec<Stored>, ReadError>> + Send;

    /// Resolves when [`Spool::take`] may have something again, and at once where it has already.
    fn arrived(&self) -> impl Future<Output = ()> + Send;

    /// Reads a message's envelope, and opens its octets.
    ///
    /// # Errors
    /// [`ReadError::Unknown`] for a message that is done, [`ReadError::Damaged`] where what was read is not what was
    /// written.
    fn read(&self, id: MessageId) -> impl Future<Output = Result<(Envelope, Body), ReadError>> + Send;

    /// Makes facts about a message durable. After [`Note::Done`] the message is gone.
    ///
    /// # Errors
    /// [`RecordError::Unknown`] for a message that is done already. With any other error each fact is in doubt: it
    /// may be found after a restart. The caller repeats the call until it holds.
    fn record(&self, id: MessageId, notes: Vec<Note>) -> impl Future<Output = Result<(), RecordError>> + Send;

    /// What room there is.
    ///
    /// # Errors
    /// Where the file system does not say.
    fn space(&self) -> impl Future<Output = io::Result<Space>> + Send;

    /// Ends all work and gives up whatever locks out other processes. Later calls fail.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// A message that is arriving. Dropped before its commit, it leaves nothing behind.
pub trait Draft: Send + 'static {
    /// Takes the next octets. Memory stays bounded however many come.
    ///
    /// # Errors
    /// As [`CommitError`] says; the message cannot be committed any more.
    fn write(&mut self, octets: &[u8]) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Makes the message durable, with its envelope.
    ///
    /// # Errors
    /// As [`CommitError`] says. The message was not accepted, though after [`CommitError::Failed`] it may, rarely, be
    /// found after a restart and be delivered: a duplicate, never a loss.
    fn commit(self, envelope: &Envelope) -> impl Future<Output = Result<Custody, CommitError>> + Send;
}

/// A stored message as [`Spool::take`] hands it over: all that scheduling needs and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub id: MessageId,
    /// When it arrived.
    pub arrived: UnixMicros,
    /// As its envelope says.
    pub priority: Priority,
    /// The size of its octets.
    pub size: u64,
    /// Whether someone asked that it stay.
    pub standing: Standing,
    /// The way and the progress of each recipient, in the envelope's order.
    pub recipients: Vec<(Destination, Progress)>,
}

impl Stored {
    /// A message that nobody tried to deliver yet.
    pub fn fresh(id: MessageId, envelope: &Envelope, size: u64) -> Self {
        let recipients = envelope.recipients.iter().map(|one| (one.destination.clone(), Progress::Fresh)).collect();
        let Envelope { arrived, priority, .. } = *envelope;
        Self { id, arrived, priority, size, standing: Standing::Going, recipients }
    }

    /// Takes in a fact. Facts about recipients that do not exist are ignored.
    pub fn note(&mut self, note: &Note) {
        match note {
            Note::Progress(steps) => {
                for (index, progress) in steps {
                    if let Some((_, slot)) = self.recipients.get_mut(*index as usize) {
                        slot.clone_from(progress);
                    }
                }
            }
            Note::Hold => self.standing = Standing::Held,
            Note::Release => self.standing = Standing::Going,
            Note::Done => {}
        }
    }
}

/// Whether a message as a whole may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is delivered as the schedule says.
    Going,
    /// Someone asked that it stay until it is released.
    Held,
}

/// Room in a spool, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// How much could still be accepted; the reserve for outcomes is not in it.
    pub free: u64,
    /// How much the spool holds of the disk now.
    pub used: u64,
}

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// There is no room. It may be different later (`452`, RFC 5321 §4.2.2).
    #[error("the spool is full")]
    Full,
    /// The message has more recipients or octets than a spool of this shape can name.
    #[error("the message is too large for the spool")]
    TooLarge,
    /// It could not be written or synced.
    #[error("the message could not be stored ({0})")]
    Failed(io::ErrorKind),
    /// The spool is closed, or a write of this message was dropped half way.
    #[error("the spool takes no mail now")]
    Unavailable,
}

/// Why facts about a message were not made durable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// There is no such message, or no more.
    #[error("no such message")]
    Unknown,
    /// The disk is full, and the reserve for outcomes too.
    #[error("the spool is full")]
    Full,
    /// They could not be written or synced.
    #[error("the facts could not be stored ({0})")]
    Failed(io::ErrorKind),
    /// The spool is closed.
    #[error("the spool cannot be written now")]
    Unavailable,
}

/// Why a message could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// There is no such message, or no more.
    #[error("no such message")]
    Unknown,
    /// What was read is not what was written.
    #[error("the stored message is damaged")]
    Damaged,
    /// Reading failed.
    #[error("the message could not be read ({0})")]
    Failed(io::ErrorKind),
    /// The spool is closed.
    #[error("the spool is closed")]
    Closed,
}
