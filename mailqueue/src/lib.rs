#![doc = include_str!("../README.md")]

mod bell;
mod body;
mod clock;
mod custody;
mod envelope;
pub mod files;
mod filter;
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
pub use envelope::{DeliverBy, Destination, Envelope, Late, Parameter, Priority, Recipient, Repeat};
pub use filter::{Filter, FilterError, Glob, StateName};
pub use id::{InvalidMessageId, MessageId};
pub use log::{LogConfig, LogSpool};
pub use memory::{MemoryDraft, MemorySpool};
pub use progress::{DETAIL_LIMIT, Detail, Facts, Failure, Handed, Held, Note, Progress, Synced, Wake, Word};
pub use queue::{
    About, Action, Counters, Entry, EntryState, Event, Incoming, Inspection, News, Observer, OperateError, Page, Queue,
    QueueConfig, QueueError, RULES, RecipientEntry, RecipientState, Reporting, Rule, RuleError, RuleId, Site,
    SiteState, Tally, Trial, Waiting,
};
pub use schedule::{Schedule, Verdict};
pub use spool::{CommitError, Draft, ReadError, RecordError, Space, Spool, Standing, Stored, Taken, Warned};
pub use transport::{Batch, Outcome, Transport, Trouble};
