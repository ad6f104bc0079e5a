//! Who goes next among those who wait for the same site.
//!
//! - The highest priority goes first, but of [`SHARE`] turns one goes to a lower one, by rota: a flood of urgent mail slows
//!   the rest down and does not stop it.
//! - Within a priority, sources take turns, however much each has.
//! - Within a source, mail that was never tried, mail that was, and what is left of messages with many recipients take
//!   turns. Each of these is in order of arrival; the last goes round.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::{MessageId, Priority};

/// Who waits for a site.
#[derive(Debug, Default)]
pub(super) struct Turns {
    levels: BTreeMap<Priority, Level>,
    /// Turns since a lower level had one.
    passed: u32,
    /// Counts the turns of lower levels.
    lower: u64,
    /// Counts the messages that came back for their next batch.
    rounds: u64,
    len: usize,
}

/// One leg of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) id: MessageId,
    pub(super) leg: u32,
}

/// In which row a ticket waits. It is kept with the leg, so that the ticket is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// Never tried.
    Fresh,
    /// Tried before.
    Retried,
    /// The next batch of a message that had a turn already, with the number of its round.
    Rest(u64),
}

#[derive(Debug, Default)]
struct Level {
    sources: HashMap<Arc<str>, Bundle>,
    rota: VecDeque<Arc<str>>,
    /// When it had its last turn as a lower level.
    served: u64,
}

/// What one source has.
#[derive(Debug, Default)]
struct Bundle {
    rows: [BTreeSet<(u64, Ticket)>; 3],
    next: usize,
}

/// Of so many turns one goes to a lower priority.
const SHARE: u32 = 8;

impl Turns {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many tickets a source has at a priority.
    pub(super) fn of(&self, priority: Priority, source: &str) -> usize {
        let bundle = self.levels.get(&priority).and_then(|level| level.sources.get(source));
        bundle.map_or(0, |bundle| bundle.rows.iter().map(BTreeSet::len).sum())
    }

    /// The row for what is left of a message.
    pub(super) fn next_round(&mut self) -> Row {
        self.rounds += 1;
        Row::Rest(self.rounds)
    }

    pub(super) fn add(&mut self, priority: Priority, source: &Arc<str>, row: Row, ticket: Ticket) {
        let level = self.levels.entry(priority).or_default();
        if !level.sources.contains_key(source) {
            level.sources.insert(Arc::clone(source), Bundle::default());
            level.rota.push_back(Arc::clone(source));
        }
        let Some(bundle) = level.sources.get_mut(source) else { return };
        let (place, order) = row.place();
        if bundle.rows.get_mut(place).is_some_and(|row| row.insert((order, ticket))) {
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, priority: Priority, source: &str, row: Row, ticket: Ticket) {
        let Some(level) = self.levels.get_mut(&priority) else { return };
        let Some(bundle) = level.sources.get_mut(source) else { return };
        let (place, order) = row.place();
        if !bundle.rows.get_mut(place).is_some_and(|row| row.remove(&(order, ticket))) {
            return;
        }
        self.len -= 1;
        if bundle.is_empty() {
            level.sources.remove(source);
            level.rota.retain(|one| **one != *source);
        }
        if level.sources.is_empty() {
            self.levels.remove(&priority);
        }
    }

    /// Takes the next one out.
    pub(super) fn next(&mut self) -> Option<Ticket> {
        let priority = self.choose()?;
        let level = self.levels.get_mut(&priority)?;
        let source = level.rota.pop_front()?;
        let bundle = level.sources.get_mut(&source)?;
        let ticket = bundle.next()?;
        if bundle.is_empty() {
            level.sources.remove(&source);
        } else {
            level.rota.push_back(source);
        }
        if level.sources.is_empty() {
            self.levels.remove(&priority);
        }
        self.len -= 1;
        Some(ticket)
    }

    /// Takes all out, in no order.
    pub(super) fn drain(&mut self) -> Vec<Ticket> {
        self.len = 0;
        self.passed = 0;
        let sources = std::mem::take(&mut self.levels).into_values().flat_map(|level| level.sources.into_values());
        sources.flat_map(|bundle| bundle.rows.into_iter().flatten()).map(|(_, ticket)| ticket).collect()
    }

    fn choose(&mut self) -> Option<Priority> {
        let highest = *self.levels.last_key_value()?.0;
        let lower = self.levels.iter_mut().filter(|(priority, _)| **priority < highest);
        let Some((priority, level)) = lower.min_by_key(|(_, level)| level.served) else {
            self.passed = 0;
            return Some(highest);
        };
        if self.passed + 1 < SHARE {
            self.passed += 1;
            return Some(highest);
        }
        self.passed = 0;
        self.lower += 1;
        level.served = self.lower;
        Some(*priority)
    }
}

impl Row {
    fn place(self) -> (usize, u64) {
        match self {
            Self::Fresh => (0, 0),
            Self::Retried => (1, 0),
            Self::Rest(round) => (2, round),
        }
    }
}

impl Bundle {
    fn is_empty(&self) -> bool {
        self.rows.iter().all(BTreeSet::is_empty)
    }

    fn next(&mut self) -> Option<Ticket> {
        for offset in 0..self.rows.len() {
            let place = (self.next + offset) % self.rows.len();
            if let Some((_, ticket)) = self.rows.get_mut(place).and_then(BTreeSet::pop_first) {
                self.next = (place + 1) % self.rows.len();
                return Some(ticket);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::UnixMicros;

    use super::*;

    fn ticket(number: u64) -> Ticket {
        Ticket { id: MessageId::new(UnixMicros(number), 0), leg: 0 }
    }

    fn numbers(turns: &mut Turns, count: usize) -> Vec<u64> {
        std::iter::from_fn(|| turns.next()).take(count).map(|ticket| ticket.id.time().0).collect()
    }

    fn add(turns: &mut Turns, priority: i8, source: &str, row: Row, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            turns.add(Priority::new(priority), &source.into(), row, ticket(number));
        }
    }

    #[test]
    fn sources_take_turns_however_much_each_has() {
        let mut turns = Turns::default();
        add(&mut turns, 0, "flood", Row::Fresh, 0..5000);
        add(&mut turns, 0, "alice", Row::Fresh, [9000]);
        add(&mut turns, 0, "bob", Row::Retried, [9001, 9002]);
        assert_eq!(numbers(&mut turns, 6), [0, 9000, 9001, 1, 9002, 2]);
    }

    #[test]
    fn new_and_old_and_large_mail_of_a_source_take_turns() {
        let mut turns = Turns::default();
        add(&mut turns, 0, "", Row::Retried, 0..3);
        add(&mut turns, 0, "", Row::Fresh, 10..13);
        let rows = [turns.next_round(), turns.next_round()];
        add(&mut turns, 0, "", rows[1], [20]);
        add(&mut turns, 0, "", rows[0], [21]);
        assert_eq!(numbers(&mut turns, 9), [10, 0, 21, 11, 1, 20, 12, 2]);
        assert!(turns.is_empty());
    }

    #[test]
    fn urgent_mail_goes_first_and_stops_nobody() {
        let mut turns = Turns::default();
        add(&mut turns, 9, "", Row::Fresh, 0..1000);
        add(&mut turns, 0, "", Row::Fresh, 5000..5010);
        add(&mut turns, -9, "", Row::Fresh, 6000..6010);
        let first = numbers(&mut turns, 32);
        assert_eq!(first[..8], [0, 1, 2, 3, 4, 5, 6, 6000]);
        assert_eq!(first.iter().filter(|number| (5000..6000).contains(*number)).count(), 2, "{first:?}");
        assert_eq!(first.iter().filter(|number| **number >= 6000).count(), 2, "{first:?}");
    }

    proptest! {
        #[test]
        fn everyone_comes_once_or_was_taken_out(
            all in prop::collection::btree_map(0_u64..200, (-9_i8..=9, 0_u8..4, 0_u8..3), 0..100),
            gone in prop::collection::btree_set(0_u64..200, 0..50),
        ) {
            let mut turns = Turns::default();
            let mut rows = BTreeMap::new();
            for (number, (priority, source, kind)) in &all {
                let row = [Row::Fresh, Row::Retried, turns.next_round()][usize::from(*kind)];
                rows.insert(*number, row);
                add(&mut turns, *priority, &source.to_string(), row, [*number]);
            }
            prop_assert_eq!(turns.len(), all.len());
            for number in &gone {
                if let Some((priority, source, _)) = all.get(number) {
                    turns.remove(Priority::new(*priority), &source.to_string(), rows[number], ticket(*number));
                }
            }
            let mut left: Vec<_> = all.keys().copied().filter(|number| !gone.contains(number)).collect();
            prop_assert_eq!(turns.len(), left.len());
            let mut seen = numbers(&mut turns, usize::MAX);
            seen.sort_unstable();
            left.sort_unstable();
            prop_assert_eq!(seen, left);
            prop_assert!(turns.is_empty() && turns.levels.is_empty());
        }
    }
}
