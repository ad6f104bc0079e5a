//! A bounded cache in memory for what services computed from messages.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use crate::ledger::merged;

/// What an item costs beside its own octets, roughly.
const OVERHEAD: usize = 160;

type Key = (u64, Arc<str>, u32);

/// One cache for all mailboxes of a store. Mailboxes are told apart by a number that is never used again, so that
/// nothing has to be taken back: what nobody asks for any more is pushed out.
#[derive(Debug)]
pub(crate) struct Derived {
    capacity: usize,
    items: Mutex<Items>,
}

#[derive(Debug, Default)]
struct Items {
    by_key: BTreeMap<Key, Bytes>,
    oldest_first: VecDeque<Key>,
    octets: usize,
}

impl Derived {
    /// Makes a cache of so many octets.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, items: Mutex::default() }
    }

    pub(crate) fn look_up(&self, mailbox: u64, kind: &str, uids: &[RangeInclusive<u32>]) -> Vec<(u32, Bytes)> {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let kind: Arc<str> = kind.into();
        let mut found = Vec::new();
        for range in merged(uids) {
            let (first, last) = (*range.start(), *range.end());
            let keys = (mailbox, Arc::clone(&kind), first)..=(mailbox, Arc::clone(&kind), last);
            found.extend(items.by_key.range(keys).map(|((_, _, uid), bytes)| (*uid, bytes.clone())));
        }
        found
    }

    pub(crate) fn put(&self, mailbox: u64, kind: &str, new: Vec<(u32, Bytes)>) {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let kind: Arc<str> = kind.into();
        for (uid, bytes) in new {
            let key = (mailbox, Arc::clone(&kind), uid);
            items.octets += bytes.len() + OVERHEAD;
            match items.by_key.insert(key.clone(), bytes) {
                Some(old) => items.octets -= old.len() + OVERHEAD,
                None => items.oldest_first.push_back(key),
            }
            while items.octets > self.capacity {
                let Some(key) = items.oldest_first.pop_front() else { break };
                let freed = items.by_key.remove(&key).map_or(0, |bytes| bytes.len() + OVERHEAD);
                items.octets -= freed;
            }
        }
    }
}

/// A number for a mailbox that this process never uses again.
pub(crate) fn next_mailbox_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_items_make_room() {
        let cache = Derived::new(10 * (100 + OVERHEAD));
        for uid in 1..=30 {
            cache.put(1, "envelope", vec![(uid, vec![0; 100].into())]);
        }
        let uids: Vec<_> = cache.look_up(1, "envelope", &[0..=u32::MAX]).into_iter().map(|(uid, _)| uid).collect();
        assert_eq!(uids, (21..=30).collect::<Vec<_>>());
        cache.put(1, "envelope", vec![(99, vec![0; 100_000].into())]);
        assert_eq!(cache.look_up(1, "envelope", &[0..=u32::MAX]), [], "too large to keep");
        assert_eq!(cache.items.lock().unwrap().octets, 0);
    }

    #[test]
    fn mailboxes_and_kinds_are_apart_and_later_values_win() {
        let cache = Derived::new(1 << 20);
        cache.put(1, "a", vec![(5, "old".into()), (5, "new".into())]);
        cache.put(2, "a", vec![(5, "other".into())]);
        assert_eq!(cache.look_up(1, "a", &[5..=5, 1..=9]), [(5, Bytes::from("new"))]);
        assert_eq!(cache.look_up(1, "b", &[5..=5]), []);
        assert_eq!(cache.items.lock().unwrap().octets, 8 + 2 * OVERHEAD);
    }
}
