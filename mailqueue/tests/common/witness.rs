//! A spool that answers at once, and remembers which deliveries it was told of.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use mailqueue::testing::block_on;
use mailqueue::{
    Body, CommitError, Custody, Draft, Envelope, MessageId, Note, Progress, ReadError, RecordError, Space, Spool,
    Stored,
};

/// What is durable, by delivery id.
pub(crate) type Recorded = Arc<Mutex<Facts>>;

#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// An attempt may be made.
    pub(crate) tried: BTreeSet<(String, u32)>,
    /// Nobody may make it again.
    pub(crate) delivered: BTreeSet<String>,
}

/// Waits for the spool behind it inside each poll, so that a test sees a queue that waits for time alone.
pub(crate) struct Witness<S> {
    spool: S,
    recorded: Recorded,
}

impl<S> Witness<S> {
    pub(crate) fn new(spool: S, recorded: &Recorded) -> Self {
        Self { spool, recorded: Arc::clone(recorded) }
    }
}

impl<S: Spool> Spool for Witness<S> {
    type Draft = WitnessDraft<S::Draft>;

    async fn begin(&self, id: MessageId, expected: u64) -> Result<Self::Draft, CommitError> {
        block_on(self.spool.begin(id, expected)).map(WitnessDraft)
    }

    async fn take(&self, limit: usize) -> Result<Vec<Stored>, ReadError> {
        block_on(self.spool.take(limit))
    }

    fn arrived(&self) -> impl Future<Output = ()> + Send {
        self.spool.arrived()
    }

    async fn read(&self, id: MessageId) -> Result<(Envelope, Body), ReadError> {
        block_on(self.spool.read(id))
    }

    async fn record(&self, id: MessageId, notes: Vec<Note>) -> Result<(), RecordError> {
        block_on(self.spool.record(id, notes.clone()))?;
        let mut recorded = self.recorded.lock().unwrap();
        for note in notes {
            let Note::Progress(steps) = note else { continue };
            for (index, progress) in steps {
                match progress {
                    Progress::Trying { attempt, .. } => drop(recorded.tried.insert((format!("{id}.{index}"), attempt))),
                    Progress::Delivered { .. } => drop(recorded.delivered.insert(format!("{id}.{index}"))),
                    Progress::Fresh | Progress::Deferred { .. } | Progress::Held { .. } => {}
                }
            }
        }
        Ok(())
    }

    async fn space(&self) -> io::Result<Space> {
        block_on(self.spool.space())
    }

    async fn close(&self) {
        block_on(self.spool.close());
    }
}

pub(crate) struct WitnessDraft<D>(D);

impl<D: Draft> Draft for WitnessDraft<D> {
    async fn write(&mut self, octets: &[u8]) -> Result<(), CommitError> {
        block_on(self.0.write(octets))
    }

    async fn commit(self, envelope: &Envelope) -> Result<Custody, CommitError> {
        block_on(self.0.commit(envelope))
    }
}
