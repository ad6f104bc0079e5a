//! What a queue has synced before it dials.

use std::sync::{Arc, Mutex};
use std::thread;

use mailqueue::log::Preparation;
use mailqueue::testing::{Disk, Settled, VirtualClock, block_on, settle};
use mailqueue::{
    Batch, Clock, Destination, Detail, Envelope, Handed, LogConfig, LogSpool, Outcome, Queue, QueueConfig, Recipient,
    Transport,
};

/// Notes how many syncs the disk has seen when it is dialled.
#[cfg(test)]
#[derive(Clone)]
struct Counting {
    disk: Disk,
    seen: Arc<Mutex<Vec<u64>>>,
}

#[cfg(test)]
impl Transport for Counting {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        self.seen.lock().unwrap().push(self.disk.syncs());
        let taken = Outcome::Delivered { detail: Detail::default(), handed: Handed::Mailbox };
        vec![taken; batch.recipients.len()]
    }

    async fn way_back(&self, _: &str) -> Option<Recipient> {
        None
    }
}

/// How many syncs are between the commit of a message and the moment when its destination is dialled.
#[cfg(test)]
fn syncs_before_dialling(destination: Destination) -> u64 {
    let disk = Disk::new();
    let preparation = Preparation::Between;
    let config = LogConfig { segment_size: 1 << 16, reserve: 0, preparation, ..LogConfig::default() };
    let (spool, _) = LogSpool::open(disk.clone(), config).unwrap();
    let clock = Arc::new(VirtualClock::default());
    let recipient = Recipient { address: "bob@example.org".to_owned(), destination, parameters: Vec::new() };
    let envelope = Envelope { recipients: vec![recipient], arrived: clock.wall(), ..Envelope::default() };
    let queue = block_on(Queue::open(spool, QueueConfig::default(), clock)).unwrap();
    block_on(async {
        let mut incoming = queue.begin(envelope).await.unwrap();
        incoming.write(b"Hello.\r\n").await.unwrap();
        let _custody = incoming.commit().await.unwrap();
    });
    let committed = disk.syncs();
    let far = Counting { disk, seen: Arc::default() };
    let mut run = Box::pin(queue.run(far.clone()));
    while queue.counters().messages > 0 {
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        thread::yield_now();
    }
    let seen = far.seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    seen[0] - committed
}

#[test]
fn a_destination_that_knows_deliveries_by_their_ids_is_dialled_without_a_sync() {
    assert_eq!(syncs_before_dialling(Destination::idempotent("mailboxes")), 0);
}

#[test]
fn any_other_is_dialled_when_the_attempt_is_synced() {
    assert_eq!(syncs_before_dialling(Destination::remote("relay:mx")), 1);
}
