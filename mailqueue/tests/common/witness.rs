//! A spool that answers at once, remembers what it was told, and fails when a test wants it to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use mailqueue::testing::block_on;
use mailqueue::{
    Body, CommitError, Custody, Draft, Envelope, Facts, MessageId, Note, Progress, ReadError, RecordError, Space,
    Spool, Stored, Taken,
};

/// What is durable, by delivery id.
pub(crate) type Recorded = Arc<Mutex<Known>>;

#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Attempts that may be made.
    pub(crate) tried: BTreeSet<(String, u32)>,
    /// How each recipient ended. Nobody may change that.
    pub(crate) ended: BTreeMap<String, End>,
    /// Messages that are done.
    pub(crate) done: BTreeSet<MessageId>,
    /// The next calls, and how they fail.
    pub(crate) faults: Vec<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Delivered,
    Failed,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not this one.
    Works,
    /// Nothing happens.
    Before,
    /// It happens, and nobody is told.
    After,
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

    fn known(&self) -> MutexGuard<'_, Known> {
        self.recorded.lock().unwrap()
    }

    fn fault(&self) -> Fault {
        self.known().faults.pop().unwrap_or(Fault::Works)
    }
}

impl Known {
    fn note(&mut self, facts: &Facts) {
        let id = facts.id;
        for note in &facts.notes {
            match note {
                Note::Progress(steps) => steps.iter().for_each(|(index, progress)| self.progress(id, *index, progress)),
                Note::Done => drop(self.done.insert(id)),
                Note::Hold(_) | Note::Release | Note::Warned => {}
            }
        }
    }

    fn progress(&mut self, id: MessageId, index: u32, progress: &Progress) {
        let delivery = format!("{id}.{index}");
        let end = match progress {
            Progress::Fresh => None,
            Progress::Trying { attempt, .. } => {
                self.tried.insert((delivery.clone(), *attempt));
                None
            }
            Progress::Deferred { .. } => None,
            Progress::Delivered { .. } => Some(End::Delivered),
            Progress::Failed { .. } => Some(End::Failed),
        };
        let before = self.ended.get(&delivery).copied();
        assert!(before.is_none() || before == end, "{delivery} ended as {before:?}, and now {progress:?}");
        if let Some(end) = end {
            self.ended.insert(delivery, end);
        }
    }
}

impl<S: Spool> Spool for Witness<S> {
    type Draft = WitnessDraft<S::Draft>;

    async fn begin(&self, id: MessageId, expected: u64) -> Result<Self::Draft, CommitError> {
        let draft = block_on(self.spool.begin(id, expected))?;
        Ok(WitnessDraft { draft, recorded: Arc::clone(&self.recorded) })
    }

    async fn take(&self, limit: usize) -> Result<Vec<Taken>, ReadError> {
        block_on(self.spool.take(limit))
    }

    fn arrived(&self) -> impl Future<Output = ()> + Send {
        self.spool.arrived()
    }

    async fn read(&self, ids: &[MessageId]) -> Vec<Result<Stored, ReadError>> {
        match self.fault() {
            Fault::Works | Fault::After => block_on(self.spool.read(ids)),
            Fault::Before => ids.iter().map(|_| Err(ReadError::Failed(io::ErrorKind::Other))).collect(),
        }
    }

    async fn body(&self, id: MessageId) -> Result<Body, ReadError> {
        match self.fault() {
            Fault::Works | Fault::After => block_on(self.spool.body(id)),
            Fault::Before => Err(ReadError::Failed(io::ErrorKind::Other)),
        }
    }

    async fn record(&self, facts: Facts) -> Result<(), RecordError> {
        let fault = self.fault();
        if fault == Fault::Before {
            return Err(RecordError::Failed(io::ErrorKind::Other));
        }
        block_on(self.spool.record(facts.clone()))?;
        self.known().note(&facts);
        match fault {
            Fault::Works | Fault::Before => Ok(()),
            Fault::After => Err(RecordError::Failed(io::ErrorKind::Other)),
        }
    }

    async fn rules(&self) -> Result<Vec<u8>, ReadError> {
        block_on(self.spool.rules())
    }

    async fn keep_rules(&self, rules: Vec<u8>) -> Result<(), RecordError> {
        block_on(self.spool.keep_rules(rules))
    }

    async fn space(&self) -> io::Result<Space> {
        block_on(self.spool.space())
    }

    async fn close(&self) {
        block_on(self.spool.close());
    }
}

pub(crate) struct WitnessDraft<D> {
    draft: D,
    recorded: Recorded,
}

impl<D: Draft> Draft for WitnessDraft<D> {
    async fn write(&mut self, octets: &[u8]) -> Result<(), CommitError> {
        block_on(self.draft.write(octets))
    }

    fn prepend(&mut self, octets: &[u8]) {
        self.draft.prepend(octets);
    }

    async fn commit(self, envelope: &Envelope, also: Option<Facts>) -> Result<Custody, CommitError> {
        let fault = self.recorded.lock().unwrap().faults.pop().unwrap_or(Fault::Works);
        if fault == Fault::Before {
            return Err(CommitError::Failed(io::ErrorKind::Other));
        }
        let custody = block_on(self.draft.commit(envelope, also.clone()))?;
        if let Some(facts) = also {
            self.recorded.lock().unwrap().note(&facts);
        }
        match fault {
            Fault::Works | Fault::Before => Ok(custody),
            Fault::After => Err(CommitError::Failed(io::ErrorKind::Other)),
        }
    }
}
