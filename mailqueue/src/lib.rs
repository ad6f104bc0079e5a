#![doc = include_str!("../README.md")]

mod bell;
mod body;
mod clock;
mod custody;
mod envelope;
pub mod files;
mod id;
pub mod log;
mod memory;
mod progress;
mod queue;
pub mod report;
mod schedule;
mod spool;
pub mod testing;
mod transport;

pub use body::{Body, BodyReader, ChunkFuture, Chunks};
pub use clock::{Clock, Sleep, UnixMicros};
pub use custody::Custody;
pub use envelope::{Destination, Envelope, Parameter, Priority, Recipient, Repeat};
pub use id::{InvalidMessageId, MessageId};
pub use log::{LogConfig, LogSpool};
pub use memory::{MemoryDraft, MemorySpool};
pub use progress::{DETAIL_LIMIT, Detail, Held, Note, Progress};
pub use queue::{Counters, Entry, Incoming, Inspection, Queue, QueueConfig, QueueError, RecipientState};
pub use schedule::{Schedule, Verdict};
pub use spool::{CommitError, Draft, ReadError, RecordError, Space, Spool, Standing, Stored};
pub use transport::{Batch, Outcome, Transport, Trouble};
