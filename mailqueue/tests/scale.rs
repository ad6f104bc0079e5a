//! What a deferred message costs while it waits.

#[cfg(test)]
#[allow(dead_code, reason = "each test binary uses its part")]
mod common {
    pub(crate) mod world;
}

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::world::{DAWN, clock, recipient, seconds};
use mailqueue::testing::{Settled, block_on, settle};
use mailqueue::{
    Batch, Body, CommitError, Custody, Destination, Detail, Draft, Envelope, Facts, MessageId, Outcome, Progress,
    Queue, QueueConfig, ReadError, Recipient, RecordError, Space, Spool, Stored, Taken, Transport, Trouble, Wake,
};

/// A spool that makes up what it is asked for.
struct Endless {
    taken: AtomicU64,
    count: u64,
    wake: Wake,
}

impl Endless {
    fn new(count: u64, wake: Wake) -> Self {
        Self { taken: AtomicU64::new(0), count, wake }
    }

    /// Messages that arrived a millisecond apart, each from one of several runs.
    fn id(number: u64) -> MessageId {
        MessageId::new(DAWN.after(seconds(1) / 1000 * number as u32), number % 7)
    }
}

struct Nothing;

impl Draft for Nothing {
    async fn write(&mut self, _: &[u8]) -> Result<(), CommitError> {
        Ok(())
    }
    fn prepend(&mut self, _: &[u8]) {}
    async fn commit(self, _: &Envelope, _: Option<Facts>) -> Result<Custody, CommitError> {
        Err(CommitError::Unavailable)
    }
}

impl Spool for Endless {
    type Draft = Nothing;

    async fn begin(&self, _: MessageId, _: u64) -> Result<Nothing, CommitError> {
        Ok(Nothing)
    }
    async fn take(&self, limit: usize) -> Result<Vec<Taken>, ReadError> {
        let from = self.taken.fetch_add(limit as u64, Ordering::Relaxed);
        let to = (from + limit as u64).min(self.count);
        Ok((from..to).map(|number| Taken { id: Self::id(number), wake: self.wake }).collect())
    }
    async fn arrived(&self) {
        std::future::pending().await
    }
    async fn read(&self, ids: &[MessageId]) -> Vec<Result<Stored, ReadError>> {
        let one = |id: &MessageId| {
            let to = recipient("someone@example.com", &Destination::remote("mx:example.com"));
            let envelope =
                Envelope { sender: "a@b".into(), recipients: vec![to], arrived: id.time(), ..Envelope::default() };
            let mut stored = Stored::fresh(*id, envelope, 100);
            let detail = Detail::from("try later");
            let at = id.time();
            stored.progress = vec![Progress::Deferred { attempts: 1, at, until: at.after(seconds(60)), detail }];
            Ok(stored)
        };
        ids.iter().map(one).collect()
    }
    async fn body(&self, _: MessageId) -> Result<Body, ReadError> {
        struct Empty;
        impl mailqueue::Chunks for Empty {
            fn size(&self) -> u64 {
                0
            }
            fn chunk(&self, _: usize) -> mailqueue::ChunkFuture<'_> {
                Box::pin(std::future::ready(Ok(None)))
            }
        }
        Ok(Body::new(Empty))
    }
    async fn record(&self, _: Facts) -> Result<(), RecordError> {
        Ok(())
    }
    async fn rules(&self) -> Result<Vec<u8>, ReadError> {
        Ok(Vec::new())
    }
    async fn keep_rules(&self, _: Vec<u8>) -> Result<(), RecordError> {
        Ok(())
    }
    async fn space(&self) -> io::Result<Space> {
        Ok(Space { free: 0, used: 0 })
    }
    async fn close(&self) {}
}

/// Nobody answers anywhere.
struct Void;

impl Transport for Void {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        let reason = Detail::from("timeout");
        let lost = Outcome::Deferred { reason, retry_after: None, class: Trouble::Connection };
        batch.recipients.iter().map(|_| lost.clone()).collect()
    }
    async fn way_back(&self, _: &str) -> Option<Recipient> {
        None
    }
}

const COUNT: u64 = 200_000;

/// Octets that a queue of so many holds, for each.
fn octets_each(held: i64) -> u64 {
    held.unsigned_abs() / COUNT
}

#[test]
fn deferred_mail_costs_a_few_dozen_octets_each() {
    let wake = Wake::After { since: DAWN, wait: seconds(7200) };
    let clock = Arc::new(clock());
    let mut queue = None;
    let info = allocation_counter::measure(|| {
        queue = block_on(Queue::open(Endless::new(COUNT, wake), QueueConfig::default(), clock)).ok();
    });
    let counters = queue.expect("it opens").counters();
    assert_eq!((counters.messages, counters.waiting, counters.active), (COUNT, COUNT, 0));
    let each = octets_each(info.bytes_current);
    assert!(each <= 40, "{each} octets");
}

#[test]
fn mail_for_an_unreachable_site_costs_little_more() {
    let clock = Arc::new(clock());
    let mut queue = None;
    let config = QueueConfig { restart_rate: u32::MAX, ..QueueConfig::default() };
    let info = allocation_counter::measure(|| {
        let spool = Endless::new(COUNT, Wake::Now);
        let opened =
            block_on(Queue::open(spool, config, Arc::clone(&clock) as Arc<dyn mailqueue::Clock>)).expect("it opens");
        clock.advance(seconds(3600));
        let mut run = Box::pin(opened.run(Void));
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        drop(run);
        queue = Some(opened);
    });
    let queue = queue.expect("it opened");
    let counters = queue.counters();
    assert_eq!((counters.messages, counters.active, counters.unreachable), (COUNT, 0, 1));
    assert!(queue.sites()[0].waiting as u64 > COUNT - 100, "{:?}", queue.sites());
    let each = octets_each(info.bytes_current);
    assert!(each <= 60, "{each} octets");
}
