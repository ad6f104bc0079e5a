//! A spool that answers at once, has a ledger kept of what it says, and fails when a test wants it to.

use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use mailqueue::testing::block_on;
use mailqueue::{
    Body, BodyReader, ChunkFuture, Chunks, CommitError, Custody, Draft, Envelope, Facts, MessageId, ReadError,
    RecordError, Space, Spool, Stored, Taken,
};

use super::known::{Fault, Known, Recorded};

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

impl<S: Spool> Spool for Witness<S> {
    type Draft = WitnessDraft<S::Draft>;

    async fn begin(&self, id: MessageId, expected: u64) -> Result<Self::Draft, CommitError> {
        let draft = block_on(self.spool.begin(id, expected))?;
        self.known().begun.insert(id);
        Ok(WitnessDraft { id, draft, recorded: Arc::clone(&self.recorded) })
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
            Fault::Works | Fault::After => Ok(Prompt::body(&block_on(self.spool.body(id))?)),
            Fault::Before => Err(ReadError::Failed(io::ErrorKind::Other)),
        }
    }

    async fn record(&self, facts: Facts) -> Result<(), RecordError> {
        let fault = self.fault();
        if fault == Fault::Before {
            return Err(RecordError::Failed(io::ErrorKind::Other));
        }
        match block_on(self.spool.record(facts.clone())) {
            Ok(()) => self.known().noted(&facts),
            Err(RecordError::Unknown) => return Err(RecordError::Unknown),
            Err(error @ (RecordError::Full | RecordError::Failed(_) | RecordError::Unavailable)) => {
                self.known().doubt_facts(facts);
                return Err(error);
            }
        }
        match fault {
            Fault::Works | Fault::Before => Ok(()),
            Fault::After => Err(RecordError::Failed(io::ErrorKind::Other)),
        }
    }

    async fn rules(&self) -> Result<Vec<u8>, ReadError> {
        block_on(self.spool.rules())
    }

    async fn keep_rules(&self, rules: Vec<u8>) -> Result<(), RecordError> {
        let said = block_on(self.spool.keep_rules(rules.clone()));
        match said {
            Ok(()) => self.known().kept(rules),
            Err(_) => self.known().doubt_rules(rules),
        }
        said
    }

    async fn space(&self) -> io::Result<Space> {
        block_on(self.spool.space())
    }

    async fn close(&self) {
        block_on(self.spool.close());
    }
}

type Piece = Result<Option<Bytes>, ReadError>;

/// A body that answers at once.
struct Prompt {
    size: u64,
    read: Mutex<(BodyReader, Vec<Piece>)>,
}

impl Prompt {
    fn body(body: &Body) -> Body {
        Body::new(Self { size: body.size(), read: Mutex::new((body.reader(), Vec::new())) })
    }
}

impl Chunks for Prompt {
    fn size(&self) -> u64 {
        self.size
    }

    fn chunk(&self, number: usize) -> ChunkFuture<'_> {
        let mut read = self.read.lock().unwrap();
        let (reader, pieces) = &mut *read;
        while pieces.len() <= number {
            pieces.push(block_on(reader.next()));
        }
        Box::pin(ready(pieces[number].clone()))
    }
}

pub(crate) struct WitnessDraft<D> {
    id: MessageId,
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
        let said = block_on(self.draft.commit(envelope, also.clone()));
        let mut known = self.recorded.lock().unwrap();
        let custody = match said {
            Ok(custody) => custody,
            Err(error) => {
                known.doubt_message(self.id, also);
                return Err(error);
            }
        };
        known.took(self.id, also.as_ref());
        match fault {
            Fault::Works | Fault::Before => Ok(custody),
            Fault::After => Err(CommitError::Failed(io::ErrorKind::Other)),
        }
    }
}
