//! The messages that only wait: a name and a time for each, while their envelopes lie in the spool.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::{MessageId, UnixMicros};

use super::rope::{Named, Rope, Touched};

/// A message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sleeper {
    pub(super) id: MessageId,
    pub(super) lot: Lot,
    /// When it is to be looked at again, by the monotonic clock; `None` when someone asks for it.
    pub(super) due: Option<Duration>,
    /// When it arrived, by the same clock.
    pub(super) born: Born,
}

/// What a message waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Lot {
    /// For room in memory: it was never tried, and arrived in this run.
    New,
    /// For a time.
    Old,
    /// For a time; and then all of its recipients are tried, whatever the schedule says.
    Prompt,
    /// For a time or for its share of the ramp: nobody looked at it since the start.
    Earlier,
    /// For a site. Its lane's backlog has it too; the time is when it is too old.
    Parked,
    /// For its turn as a suspect. The line has it too.
    Suspect,
    /// The same; and then those who make it a suspect are tried, whatever the schedule says.
    Urged,
    /// For the end of a rule.
    Suspended,
    /// For its release.
    Held,
}

/// When a message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Born {
    /// By the monotonic clock, in seconds; negative for before the clock's origin.
    At(i32),
    /// Before the start; its envelope says.
    Unknown,
}

/// A sleeper in 24 octets.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The upper 56 bits of the name, and the lot.
    high: u64,
    low: u64,
    /// In seconds.
    due: u32,
    born: i32,
}

/// Sleepers, sorted by name, and found by time.
#[derive(Debug, Default)]
pub(super) struct Dormant {
    slots: Rope<Slot>,
    /// For each queue the soonest time in each chunk.
    order: [BTreeSet<(u32, MessageId)>; QUEUES],
    soonest: HashMap<MessageId, [u32; QUEUES]>,
    counts: [usize; LOTS.len()],
}

const LOTS: [Lot; 9] =
    [Lot::New, Lot::Old, Lot::Prompt, Lot::Earlier, Lot::Parked, Lot::Suspect, Lot::Urged, Lot::Suspended, Lot::Held];

/// How many queues there are to draw from.
pub(super) const QUEUES: usize = 3;

/// When someone asks for it.
const NEVER: u32 = u32::MAX;

/// Stands for [`Born::Unknown`].
const UNKNOWN: i32 = i32::MIN;

/// Whose turn it is among messages whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Those that were never tried.
    New,
    /// Those that were.
    Old,
    /// Those from before the start.
    Earlier,
}

impl Dormant {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn count(&self, lot: Lot) -> usize {
        self.counts.get(lot as usize).copied().unwrap_or_default()
    }

    /// Puts a message to sleep.
    pub(super) fn insert(&mut self, sleeper: Sleeper) {
        self.remove(sleeper.id);
        let slot = Slot::from(sleeper);
        if let Some(count) = self.counts.get_mut(sleeper.lot as usize) {
            *count += 1;
        }
        let touched = self.slots.insert(slot);
        match touched {
            [Some(key), None] => self.add_time(key, slot),
            _ => self.summarize(touched),
        }
    }

    pub(super) fn find(&self, id: MessageId) -> Option<Sleeper> {
        self.slots.find(id).map(Sleeper::from)
    }

    pub(super) fn remove(&mut self, id: MessageId) -> Option<Sleeper> {
        let (slot, touched) = self.slots.remove(id)?;
        let sleeper = Sleeper::from(slot);
        if let Some(count) = self.counts.get_mut(sleeper.lot as usize) {
            *count = count.saturating_sub(1);
        }
        self.summarize(touched);
        Some(sleeper)
    }

    /// When the first message of a queue is due.
    pub(super) fn next_due(&self, queue: Queue) -> Option<Duration> {
        let (due, _) = self.order.get(queue as usize)?.first()?;
        Some(Duration::from_secs(u64::from(*due)))
    }

    /// Takes out the first message of a queue if its time has come: the one that was due first, and of these the oldest.
    pub(super) fn draw(&mut self, queue: Queue, now: Duration) -> Option<Sleeper> {
        let (due, key) = *self.order.get(queue as usize)?.first()?;
        if u64::from(due) > now.as_secs() {
            return None;
        }
        let slot = self.slots.chunk(key).iter().find(|slot| slot.due == due && slot.lot().queue() == queue)?;
        self.remove(slot.id())
    }

    /// Names behind `id`, in order.
    pub(super) fn after(&self, id: Option<MessageId>) -> impl Iterator<Item = MessageId> + '_ {
        self.slots.after(id).map(|slot| slot.id())
    }

    /// Makes all of a lot due.
    pub(super) fn wake_all(&mut self, lot: Lot, now: Duration) {
        if self.count(lot) == 0 {
            return;
        }
        let due = seconds(now);
        self.slots.change(|slot| {
            if slot.lot() == lot {
                slot.due = due;
            }
        });
        let keys: Vec<_> = self.slots.keys().collect();
        for key in keys {
            self.summarize([Some(key), None]);
        }
    }

    fn add_time(&mut self, key: MessageId, slot: Slot) {
        let queue = slot.lot().queue() as usize;
        let times = self.soonest.entry(key).or_insert([NEVER; QUEUES]);
        let (Some(time), Some(order)) = (times.get_mut(queue), self.order.get_mut(queue)) else { return };
        if slot.due < *time {
            order.remove(&(*time, key));
            *time = slot.due;
            order.insert((slot.due, key));
        }
    }

    fn summarize(&mut self, touched: Touched) {
        for key in touched.into_iter().flatten() {
            let mut times = [NEVER; QUEUES];
            for slot in self.slots.chunk(key) {
                if let Some(time) = times.get_mut(slot.lot().queue() as usize) {
                    *time = slot.due.min(*time);
                }
            }
            let before = self.soonest.insert(key, times).unwrap_or([NEVER; QUEUES]);
            for ((order, old), new) in self.order.iter_mut().zip(before).zip(times) {
                if old != new {
                    order.remove(&(old, key));
                    if new != NEVER {
                        order.insert((new, key));
                    }
                }
            }
            if self.slots.chunk(key).is_empty() {
                self.soonest.remove(&key);
            }
        }
    }
}

impl Lot {
    fn queue(self) -> Queue {
        match self {
            Self::New => Queue::New,
            Self::Old | Self::Prompt | Self::Parked | Self::Suspect | Self::Urged | Self::Suspended | Self::Held => {
                Queue::Old
            }
            Self::Earlier => Queue::Earlier,
        }
    }
}

impl Slot {
    fn lot(&self) -> Lot {
        LOTS.get((self.high & 0xff) as usize).copied().unwrap_or(Lot::Old)
    }
}

impl Named for Slot {
    fn id(&self) -> MessageId {
        MessageId::new(UnixMicros(self.high >> 8), self.low)
    }
}

impl From<Sleeper> for Slot {
    fn from(sleeper: Sleeper) -> Self {
        let Sleeper { id, lot, due, born } = sleeper;
        let born = match born {
            Born::At(seconds) => seconds.max(UNKNOWN + 1),
            Born::Unknown => UNKNOWN,
        };
        Self { high: id.time().0 << 8 | lot as u64, low: id.tag(), due: due.map_or(NEVER, seconds), born }
    }
}

impl From<Slot> for Sleeper {
    fn from(slot: Slot) -> Self {
        let due = (slot.due != NEVER).then(|| Duration::from_secs(u64::from(slot.due)));
        let born = if slot.born == UNKNOWN { Born::Unknown } else { Born::At(slot.born) };
        Self { id: slot.id(), lot: slot.lot(), due, born }
    }
}

/// Whole seconds: nobody waits for less.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(NEVER).min(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sleeper(number: u64, lot: Lot, due: u64) -> Sleeper {
        let id = MessageId::new(UnixMicros(number), number ^ 5);
        Sleeper { id, lot, due: Some(Duration::from_secs(due)), born: Born::At(-7) }
    }

    #[test]
    fn a_sleeper_is_found_as_it_was() {
        for lot in LOTS {
            for (due, born) in [(Some(Duration::from_secs(9)), Born::At(-9)), (None, Born::Unknown)] {
                let sleeper = Sleeper { id: MessageId::new(UnixMicros(1 << 55), u64::MAX), lot, due, born };
                let mut dormant = Dormant::default();
                dormant.insert(sleeper);
                assert_eq!(dormant.find(sleeper.id), Some(sleeper));
                assert_eq!((dormant.count(lot), dormant.len()), (1, 1));
                assert_eq!(dormant.remove(sleeper.id), Some(sleeper));
                assert_eq!((dormant.count(lot), dormant.len()), (0, 0));
            }
        }
    }

    #[test]
    fn those_who_wait_for_someone_are_never_drawn() {
        let mut dormant = Dormant::default();
        dormant.insert(Sleeper { due: None, ..sleeper(1, Lot::Held, 0) });
        assert_eq!((dormant.next_due(Queue::Old), dormant.draw(Queue::Old, Duration::MAX)), (None, None));
        dormant.wake_all(Lot::Held, Duration::from_secs(4));
        assert_eq!(dormant.next_due(Queue::Old), Some(Duration::from_secs(4)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn they_are_drawn_in_the_order_of_their_times(
            all in prop::collection::vec((0_u64..3000, 0_usize..4, 0_u64..40), 0..1500),
            gone in prop::collection::vec(0_u64..3000, 0..500),
        ) {
            let (mut dormant, mut plain) = (Dormant::default(), std::collections::BTreeMap::new());
            for (number, lot, due) in all {
                let one = sleeper(number, LOTS[lot], due);
                dormant.insert(one);
                plain.insert(one.id, one);
            }
            for number in gone {
                let id = sleeper(number, Lot::Old, 0).id;
                prop_assert_eq!(dormant.remove(id), plain.remove(&id));
            }
            let now = Duration::from_secs(30);
            for queue in [Queue::New, Queue::Old, Queue::Earlier] {
                let mut expected: Vec<_> =
                    plain.values().filter(|one| one.lot.queue() == queue && one.due <= Some(now)).copied().collect();
                expected.sort_by_key(|one| (one.due, one.id));
                let mut drawn = Vec::new();
                while let Some(one) = dormant.draw(queue, now) {
                    drawn.push(one);
                }
                // Among those due in the same second, chunks go one after the other in the order of names.
                prop_assert_eq!(drawn, expected);
            }
            prop_assert!(dormant.after(None).eq(plain.values().filter(|one| one.due > Some(now)).map(|one| one.id)));
        }
    }
}
