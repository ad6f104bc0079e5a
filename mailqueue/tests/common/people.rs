//! Those who get the letters, and count them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use mailqueue::testing::{VirtualClock, block_on};
use mailqueue::{Batch, Clock, Destination, MessageId, Outcome, ReadError, Recipient, Transport};

use super::known::Recorded;
use super::world::{later, lost, never, recipient, seconds, took};

#[derive(Default)]
pub(crate) struct People {
    /// How many deliveries were taken under each delivery id.
    pub(crate) letters: BTreeMap<String, usize>,
    /// How many of them nobody can be blamed for: the office was torn away before it could record them.
    pub(crate) excused: BTreeMap<String, usize>,
    /// Of recipients whose sender is told of failures: the notifications that tell of each, by the address.
    pub(crate) told: BTreeMap<String, BTreeSet<MessageId>>,
    /// Deliveries that the office answers for, of messages whose commit was acknowledged, with the address.
    pub(crate) promised: BTreeMap<String, String>,
    /// Messages that the operator removed.
    pub(crate) removed: BTreeSet<MessageId>,
    /// Messages that the operator returned. Nobody hears of a notification that was.
    pub(crate) returned: BTreeSet<MessageId>,
    /// What the office may deliver, with the size.
    pub(crate) known: BTreeMap<MessageId, u64>,
    /// Addresses whose senders want to hear nothing.
    pub(crate) silent: BTreeSet<String>,
    /// What each address still has against its letters.
    pub(crate) moods: BTreeMap<String, u32>,
    pub(crate) chance: u64,
}

/// Octets that tell messages and places apart.
pub(crate) fn body(number: u64, size: usize) -> Vec<u8> {
    let octet = |at: u64| b'a' + (number.wrapping_mul(31).wrapping_add(at.wrapping_mul(7)) % 26) as u8;
    let mut octets = format!("Subject: {number}\r\n\r\n").into_bytes();
    octets.extend((0..size as u64).map(octet));
    octets
}

pub(crate) struct Doorstep {
    pub(crate) people: Arc<Mutex<People>>,
    pub(crate) recorded: Recorded,
    pub(crate) clock: VirtualClock,
}

impl Transport for Doorstep {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        let octets = match block_on(batch.body.reader().read_to_end()) {
            Ok(octets) => octets,
            Err(ReadError::Failed(_) | ReadError::Closed) => {
                return batch.recipients().map(|_| later("the letter cannot be read")).collect();
            }
            Err(error @ (ReadError::Unknown | ReadError::Damaged)) => panic!("{}: {error}", batch.id),
        };
        assert!(!self.recorded.lock().unwrap().done.contains(&batch.id), "{} is done, and dialled", batch.id);
        self.check(&batch);
        // A letter takes its time, so that a crash finds some on their way.
        let takes = self.people.lock().unwrap().roll() % 3;
        self.clock.sleep_until(self.clock.now() + seconds(takes)).await;
        self.check(&batch);
        let mut people = self.people.lock().unwrap();
        if batch.envelope.sender.is_empty() {
            people.hear(batch.id, &String::from_utf8(octets).unwrap());
            return vec![took()];
        }
        let number = batch.envelope.sender.parse::<u64>().expect("a number");
        assert_eq!(octets, body(number, people.known[&batch.id] as usize), "another letter");
        let outcomes: Vec<_> = batch.recipients.iter().map(|index| people.answer(&batch, *index)).collect();
        if people.roll().is_multiple_of(40) {
            return Vec::new();
        }
        for (index, outcome) in batch.recipients.iter().zip(&outcomes) {
            if let Outcome::Delivered { .. } = outcome {
                people.get(&batch.delivery_id(*index));
            }
        }
        outcomes
    }

    async fn site(&self, destination: &Destination) -> Arc<str> {
        // Two destinations share a site.
        destination.key().trim_end_matches(['0', '1']).into()
    }

    async fn way_back(&self, sender: &str) -> Option<Recipient> {
        Some(recipient(sender, &Destination::idempotent("back")))
    }
}

impl Doorstep {
    /// What the office may do at all.
    fn check(&self, batch: &Batch) {
        let recorded = self.recorded.lock().unwrap();
        assert!(recorded.taken.contains(&batch.id), "{} was refused, and is dialled", batch.id);
        for index in &batch.recipients {
            let delivery = batch.delivery_id(*index);
            let end = recorded.ended.get(&delivery);
            assert!(end.is_none(), "{delivery} is recorded as {end:?}, and dialled");
            // The batch tells the highest number of its attempts.
            let announced = (1..=batch.attempt).any(|attempt| recorded.tried.contains(&(delivery.clone(), attempt)));
            assert!(announced, "{delivery} is dialled, and nobody wrote it down");
        }
    }
}

impl People {
    fn answer(&mut self, batch: &Batch, index: usize) -> Outcome {
        let address = &batch.envelope.recipients[index].address;
        let mood = self.moods.entry(address.clone()).or_default();
        match *mood {
            0 => return took(),
            1 => return never("no"),
            _ => *mood -= 2,
        }
        if batch.destination.key().starts_with("flaky") { lost("nobody there") } else { later("not today") }
    }

    /// The office took a message over.
    pub(crate) fn promise(&mut self, id: MessageId, addresses: impl Iterator<Item = String>) {
        self.promised.extend((0_usize..).zip(addresses).map(|(index, address)| (format!("{id}.{index}"), address)));
    }

    /// Someone gets a letter: once, and once more for each time that the office was torn away from it.
    fn get(&mut self, delivery: &str) {
        let excused = self.excused.get(delivery).copied().unwrap_or_default();
        let copies = self.letters.entry(delivery.to_owned()).or_default();
        *copies += 1;
        assert!(*copies <= 1 + excused, "{delivery} comes for the {copies}th time");
    }

    /// The office is torn away from its work. What came and is not recorded may come again.
    pub(crate) fn excuse(&mut self, is_recorded: impl Fn(&str) -> bool) {
        let open = self.letters.iter().filter(|(delivery, _)| !is_recorded(delivery));
        self.excused.extend(open.map(|(delivery, copies)| (delivery.clone(), *copies)));
    }

    /// A sender reads a notification.
    fn hear(&mut self, notification: MessageId, text: &str) {
        let fields = text.split("\r\n\r\n");
        for field in fields.filter(|part| part.contains("Action: failed")) {
            let address = field.split_once("rfc822;").unwrap().1.split("\r\n").next().unwrap();
            self.told.entry(address.to_owned()).or_default().insert(notification);
        }
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.chance >> 33
    }
}
