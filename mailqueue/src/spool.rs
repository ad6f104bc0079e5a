//! What the queue needs of a place where messages lie: the [`Spool`] trait and what passes over it.

use std::future::Future;
use std::io;

use thiserror::Error;

use crate::{Body, Custody, Envelope, Facts, Held, MessageId, Note, Progress, Wake};

/// Keeps messages and the facts about them through crashes.
///
/// Every future that resolves with `Ok` for a commit or a record means that the thing is durable, or as durable as
/// [`Facts::synced`] asks. Futures may be dropped at any time; what they asked for has then happened or not.
pub trait Spool: Send + Sync + 'static {
    /// A message that is arriving.
    type Draft: Draft;

    /// Opens a place for a message of about `expected` octets (0 where nobody knows).
    ///
    /// # Errors
    /// [`CommitError::Full`] where there is no room for it, [`CommitError::Unavailable`] where the spool is closed.
    fn begin(&self, id: MessageId, expected: u64) -> impl Future<Output = Result<Self::Draft, CommitError>> + Send;

    /// Hands over the names of stored messages that nobody works on yet, in their order, which is that of arrival, and at
    /// most `limit`: after a start those from before, then whatever was committed since. Empty when there is none now. Each
    /// is handed over once in the lifetime of this value; a shared spool lets no other process take it meanwhile.
    ///
    /// # Errors
    /// As [`ReadError`] says; nothing was taken then.
    fn take(&self, limit: usize) -> impl Future<Output = Result<Vec<Taken>, ReadError>> + Send;

    /// Resolves when [`Spool::take`] may have something again, and at once where it has already.
    fn arrived(&self) -> impl Future<Output = ()> + Send;

    /// Reads how messages stand, in the order asked for. Many at once cost less than one after the other.
    ///
    /// # Errors
    /// For each message: [`ReadError::Unknown`] where it is done, [`ReadError::Damaged`] where what was read is not what
    /// was written.
    fn read(&self, ids: &[MessageId]) -> impl Future<Output = Vec<Result<Stored, ReadError>>> + Send;

    /// Opens a message's octets.
    ///
    /// # Errors
    /// As [`Spool::read`].
    fn body(&self, id: MessageId) -> impl Future<Output = Result<Body, ReadError>> + Send;

    /// Keeps facts about a message, all of them or none, so that they survive what [`Facts::synced`] says. After
    /// [`Note::Done`] the message is gone.
    ///
    /// # Errors
    /// [`RecordError::Unknown`] for a message that is done already. With any other error the facts are in doubt: they
    /// may be found after a restart. The caller repeats the call until it holds.
    fn record(&self, facts: Facts) -> impl Future<Output = Result<(), RecordError>> + Send;

    /// The rules that the queue keeps beside its messages, as [`Spool::keep_rules`] last took them; empty before.
    ///
    /// # Errors
    /// As [`ReadError`] says.
    fn rules(&self) -> impl Future<Output = Result<Vec<u8>, ReadError>> + Send;

    /// Keeps the queue's rules in the place of those from before: durably, and whole or not at all.
    ///
    /// # Errors
    /// As [`RecordError`] says.
    fn keep_rules(&self, rules: Vec<u8>) -> impl Future<Output = Result<(), RecordError>> + Send;

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

    /// Puts octets above all that was written, such as a field that says what the rest amounts to (RFC 6376 §5.6). They
    /// stay in memory until the commit. Those of a later call stand above those of an earlier one.
    fn prepend(&mut self, octets: &[u8]);

    /// Makes the message durable with its envelope, under a name that no stored message has, and with it facts about
    /// another message: all of it or nothing. That is how a message becomes another one, such as the notification about
    /// it, and neither is lost nor doubled.
    ///
    /// # Errors
    /// As [`CommitError`] says. The message was not accepted, though after [`CommitError::Failed`] it may, rarely, be
    /// found after a restart and be delivered: a duplicate, never a loss.
    fn commit(
        self,
        envelope: &Envelope,
        also: Option<Facts>,
    ) -> impl Future<Output = Result<Custody, CommitError>> + Send;
}

/// A message that nobody works on yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its name.
    pub id: MessageId,
    /// Until when it can be left alone.
    pub wake: Wake,
}

/// How a stored message stands: its envelope, and all facts about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub id: MessageId,
    /// Where it is from and where it goes.
    pub envelope: Envelope,
    /// The size of its octets.
    pub size: u64,
    /// Whether it may move.
    pub standing: Standing,
    /// Whether the sender was told that it is late.
    pub warned: Warned,
    /// The progress of each recipient, in the envelope's order.
    pub progress: Vec<Progress>,
}

impl Stored {
    /// A message that nobody tried to deliver yet.
    pub fn fresh(id: MessageId, envelope: Envelope, size: u64) -> Self {
        let progress = vec![Progress::Fresh; envelope.recipients.len()];
        Self { id, envelope, size, standing: Standing::Going, warned: Warned::No, progress }
    }

    /// Takes in a fact. Facts about recipients that do not exist are ignored.
    pub fn note(&mut self, note: &Note) {
        match note {
            Note::Progress(steps) => {
                for (index, progress) in steps {
                    if let Some(slot) = self.progress.get_mut(*index as usize) {
                        slot.clone_from(progress);
                    }
                }
            }
            Note::Hold(why) => self.standing = Standing::Held(*why),
            Note::Release => self.standing = Standing::Going,
            Note::Warned => self.warned = Warned::Yes,
            Note::Done => {}
        }
    }
}

impl Wake {
    /// Until when a message that was just accepted can be left alone.
    pub fn fresh(envelope: &Envelope) -> Self {
        match envelope.release {
            Some(release) if release > envelope.arrived => {
                Self::After { since: envelope.arrived, wait: release.since(envelope.arrived) }
            }
            Some(_) | None => Self::Now,
        }
    }
}

/// Whether the sender was told that a message is late. It is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Warned {
    /// Not yet.
    No,
    /// It was.
    Yes,
}

/// Whether a message as a whole may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is delivered as the schedule says.
    Going,
    /// It stays until it is released.
    Held(Held),
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
    /// The message that the facts beside it are about is done already: there is nothing left to replace.
    #[error("what it replaces is done already")]
    Overtaken,
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
