//! A queue over a spool in memory, with a far side and a clock, for tests that look at what is delivered when.

use std::sync::{Arc, Mutex};

use mailqueue::testing::{VirtualClock, block_on};
use mailqueue::{
    Action, Destination, Entry, Envelope, Event, Filter, MemorySpool, MessageId, Observer, Queue, QueueConfig,
    RecipientState, Rule, Schedule, Tally, Trial, UnixMicros,
};

use super::world::{FarSide, clock, letter, recipient, run_for, seconds};

/// A queue without jitter, so that times can be told.
pub(crate) fn config() -> QueueConfig {
    let still = |schedule: Schedule| Schedule { jitter: 0, ..schedule };
    let usual = QueueConfig::default();
    QueueConfig {
        schedule: still(usual.schedule),
        local_schedule: still(usual.local_schedule),
        notification_schedule: still(usual.notification_schedule),
        ..QueueConfig::default()
    }
}

pub(crate) fn queue_of(spool: &MemorySpool, clock: &VirtualClock, config: QueueConfig) -> Queue<MemorySpool> {
    block_on(Queue::open(spool.clone(), config, Arc::new(clock.clone()))).unwrap()
}

pub(crate) struct Setting {
    pub(crate) spool: MemorySpool,
    pub(crate) clock: VirtualClock,
    pub(crate) far: FarSide,
    pub(crate) queue: Queue<MemorySpool>,
    pub(crate) heard: Arc<Diary>,
    config: QueueConfig,
}

/// A rule as an operator writes it.
pub(crate) fn rule(words: &str, until: Option<UnixMicros>) -> Rule {
    Rule::of(words.parse().unwrap(), until, "they asked for it").unwrap()
}

/// Writes down what an observer hears, in short.
#[derive(Debug, Default)]
pub(crate) struct Diary(Mutex<Vec<String>>);

impl Observer for Diary {
    fn event(&self, event: &Event<'_>) {
        let text = match event {
            Event::Accepted { .. } => "accepted".to_owned(),
            Event::Attempted { attempt, site, .. } => format!("attempted {attempt} {site}"),
            Event::Delivered { about, .. } => format!("delivered {}", about.recipient.address),
            Event::Deferred { about, detail, .. } => format!("deferred {} {}", about.recipient.address, detail.text),
            Event::Interrupted { about, times } => format!("interrupted {} {times}", about.recipient.address),
            Event::Failed { about, why, .. } => format!("failed {} {}", about.recipient.address, why.as_str()),
            Event::Suspected { .. } => "suspected".to_owned(),
            Event::Held { why, .. } => format!("held {}", why.as_str()),
            Event::Released { .. } => "released".to_owned(),
            Event::Removed { .. } => "removed".to_owned(),
            Event::Notified { news, .. } => format!("notified {news:?}"),
            Event::Untold { news, .. } => format!("untold {news:?}"),
            Event::Unreachable { site, .. } => format!("unreachable {site}"),
            Event::Reachable { site } => format!("reachable {site}"),
            Event::SpoolFails => "spool fails".to_owned(),
            Event::SpoolWorks => "spool works".to_owned(),
        };
        self.0.lock().unwrap().push(text);
    }
}

impl Diary {
    /// What was heard since the last look.
    pub(crate) fn read(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub(crate) fn setting_with(config: QueueConfig) -> Setting {
    let (spool, clock) = (MemorySpool::new(), clock());
    let far = FarSide::new(&clock);
    let queue = queue_of(&spool, &clock, config.clone());
    let heard = Arc::new(Diary::default());
    queue.observe(Arc::clone(&heard) as Arc<dyn Observer>);
    Setting { spool, clock, far, queue, heard, config }
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

    /// What a crash and a start do.
    pub(crate) fn restart(&mut self) {
        self.spool.restart();
        self.queue = queue_of(&self.spool, &self.clock, self.config.clone());
        self.queue.observe(Arc::clone(&self.heard) as Arc<dyn Observer>);
    }

    /// When letters came, in seconds.
    pub(crate) fn times(&self) -> Vec<u64> {
        self.far.letters().iter().map(|seen| seen.at.as_secs()).collect()
    }

    pub(crate) fn entry(&self, id: MessageId) -> Entry {
        block_on(self.queue.inspect(id)).unwrap().entry
    }

    pub(crate) fn states(&self, id: MessageId) -> Vec<RecipientState> {
        self.entry(id).recipients.into_iter().map(|recipient| recipient.state).collect()
    }

    pub(crate) fn list(&self, filter: &str) -> Vec<MessageId> {
        let filter: Filter = filter.parse().unwrap();
        let mut ids = Vec::new();
        let mut after = None;
        loop {
            let page = block_on(self.queue.list(&filter, after, 100)).unwrap();
            ids.extend(page.entries.iter().map(|entry| entry.id));
            after = page.next;
            if after.is_none() {
                return ids;
            }
        }
    }

    pub(crate) fn apply(&self, action: Action, filter: &str) -> Tally {
        let filter: Filter = filter.parse().unwrap();
        block_on(self.queue.apply(action, &filter, Trial::Real, None, usize::MAX)).unwrap()
    }
}
