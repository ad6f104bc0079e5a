//! A queue over a spool that fails when a test wants it to.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mailqueue::testing::{VirtualClock, block_on};
use mailqueue::{
    Body, ChunkFuture, Chunks, CommitError, Destination, Facts, MemoryDraft, MemorySpool, MessageId, Observer, Queue,
    ReadError, RecordError, Space, Spool, Stored, Taken,
};

use super::setting::{Diary, config};
use super::world::{FarSide, clock, letter, recipient, run_for, seconds};

/// A spool whose parts fail when the test says so.
#[derive(Clone, Default)]
pub(crate) struct Sick {
    spool: MemorySpool,
    /// Calls of `record` that go well before all others fail.
    pub(crate) healthy: Arc<AtomicUsize>,
    pub(crate) damage: Arc<Mutex<Damage>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Damage {
    #[default]
    None,
    /// The body cannot be opened.
    Body,
    /// It is found while it is read.
    Within,
    Envelope,
}

struct Torn;

impl Chunks for Torn {
    fn size(&self) -> u64 {
        24
    }
    fn chunk(&self, _: usize) -> ChunkFuture<'_> {
        Box::pin(std::future::ready(Err(ReadError::Damaged)))
    }
}

impl Sick {
    fn damage(&self) -> Damage {
        *self.damage.lock().unwrap()
    }
}

impl Spool for Sick {
    type Draft = MemoryDraft;

    async fn begin(&self, id: MessageId, expected: u64) -> Result<MemoryDraft, CommitError> {
        self.spool.begin(id, expected).await
    }
    async fn take(&self, limit: usize) -> Result<Vec<Taken>, ReadError> {
        self.spool.take(limit).await
    }
    fn arrived(&self) -> impl Future<Output = ()> + Send {
        self.spool.arrived()
    }
    async fn read(&self, ids: &[MessageId]) -> Vec<Result<Stored, ReadError>> {
        match self.damage() {
            Damage::Envelope => ids.iter().map(|_| Err(ReadError::Damaged)).collect(),
            Damage::None | Damage::Body | Damage::Within => self.spool.read(ids).await,
        }
    }
    async fn body(&self, id: MessageId) -> Result<Body, ReadError> {
        match self.damage() {
            Damage::Body => Err(ReadError::Damaged),
            Damage::Within => Ok(Body::new(Torn)),
            Damage::None | Damage::Envelope => self.spool.body(id).await,
        }
    }
    async fn record(&self, facts: Facts) -> Result<(), RecordError> {
        let left = self.healthy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map_err(|_| RecordError::Failed(io::ErrorKind::Other))?;
        self.spool.record(facts).await
    }
    async fn rules(&self) -> Result<Vec<u8>, ReadError> {
        self.spool.rules().await
    }
    async fn keep_rules(&self, rules: Vec<u8>) -> Result<(), RecordError> {
        self.spool.keep_rules(rules).await
    }
    async fn space(&self) -> io::Result<Space> {
        self.spool.space().await
    }
    async fn close(&self) {}
}

pub(crate) struct Ward {
    pub(crate) spool: Sick,
    pub(crate) clock: VirtualClock,
    pub(crate) far: FarSide,
    pub(crate) queue: Queue<Sick>,
    pub(crate) heard: Arc<Diary>,
}

pub(crate) fn ward(healthy: usize) -> Ward {
    let (spool, clock) = (Sick::default(), clock());
    spool.healthy.store(healthy, Ordering::Relaxed);
    let far = FarSide::new(&clock);
    let queue = block_on(Queue::open(spool.clone(), config(), Arc::new(clock.clone()))).unwrap();
    let heard = Arc::new(Diary::default());
    queue.observe(Arc::clone(&heard) as Arc<dyn Observer>);
    Ward { spool, clock, far, queue, heard }
}

impl Ward {
    pub(crate) fn send(&self, address: &str) -> MessageId {
        let envelope = letter(vec![recipient(address, &Destination::remote("relay"))], &self.clock);
        block_on(async {
            let mut incoming = self.queue.begin(envelope).await.unwrap();
            incoming.write(b"Subject: hello\r\n\r\ntext\r\n").await.unwrap();
            incoming.commit().await.unwrap().id()
        })
    }

    pub(crate) fn run_for(&self, count: u64) {
        run_for(&self.queue, &self.far, &self.clock, seconds(count));
    }
}
