//! A queue over a spool in memory, with a far side and a clock, for tests that look at what is delivered when.

use std::sync::Arc;

use mailqueue::testing::{VirtualClock, block_on};
use mailqueue::{Destination, Envelope, MemorySpool, MessageId, Queue, QueueConfig, RecipientState, Schedule};

use super::world::{FarSide, clock, letter, recipient, run_for, seconds};

/// A queue without jitter, so that times can be told.
pub(crate) fn config() -> QueueConfig {
    let schedule = Schedule { jitter: 0, ..Schedule::default() };
    QueueConfig { schedule, ..QueueConfig::default() }
}

pub(crate) fn queue_of(spool: &MemorySpool, clock: &VirtualClock, config: QueueConfig) -> Queue<MemorySpool> {
    block_on(Queue::open(spool.clone(), config, Arc::new(clock.clone()))).unwrap()
}

pub(crate) struct Setting {
    pub(crate) spool: MemorySpool,
    pub(crate) clock: VirtualClock,
    pub(crate) far: FarSide,
    pub(crate) queue: Queue<MemorySpool>,
}

pub(crate) fn setting_with(config: QueueConfig) -> Setting {
    let (spool, clock) = (MemorySpool::new(), clock());
    let far = FarSide::new(&clock);
    let queue = queue_of(&spool, &clock, config);
    Setting { spool, clock, far, queue }
}

pub(crate) fn setting() -> Setting {
    setting_with(config())
}

impl Setting {
    pub(crate) fn send(&self, envelope: Envelope) -> MessageId {
        block_on(async {
            let mut incoming = self.queue.begin(envelope).await.unwrap();
            let id = incoming.id();
            incoming.write(b"Subject: hello\r\n\r\n").await.unwrap();
            incoming.write(b"text\r\n").await.unwrap();
            assert_eq!(incoming.commit().await.unwrap().id(), id);
            id
        })
    }

    pub(crate) fn send_to(&self, destination: &Destination, addresses: &[&str]) -> MessageId {
        self.send(letter(addresses.iter().map(|address| recipient(address, destination)).collect(), &self.clock))
    }

    pub(crate) fn run_for(&self, count: u64) {
        run_for(&self.queue, &self.far, &self.clock, seconds(count));
    }

    pub(crate) fn times(&self) -> Vec<u64> {
        self.far.seen().iter().map(|seen| seen.at.as_secs()).collect()
    }

    pub(crate) fn states(&self, id: MessageId) -> Vec<RecipientState> {
        let entry = block_on(self.queue.inspect(id)).unwrap().entry;
        entry.recipients.into_iter().map(|(_, state)| state).collect()
    }
}
