//! A map that forgets: bounded in entries, and in how long one stays that nobody asks for.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Two generations. What is asked for moves to the young one; when that is full or `keep` has passed, it becomes the
/// old one and what the old one held is gone. So an entry stays at least `keep` since its last use (unless so many
/// others come) and at most twice that, and forgetting costs no scan and no clock per entry.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    turned: Option<Instant>,
    keep: Duration,
    generation: usize,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    /// Holds at most `entries` (at least two) at a time.
    pub(crate) fn new(entries: usize, keep: Duration) -> Self {
        let generation = (entries / 2).max(1);
        Self { young: HashMap::new(), old: HashMap::new(), turned: None, keep, generation }
    }

    pub(crate) fn find(&mut self, key: &K, now: Instant) -> Option<&mut V> {
        self.turn(now);
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value, now);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V, now: Instant) {
        self.turn(now);
        if self.young.len() >= self.generation && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
            self.turned = Some(now);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(*self.turned.get_or_insert(now));
        if age < self.keep {
            return;
        }
        // After twice the time even the young ones were not asked for long enough.
        let young = std::mem::take(&mut self.young);
        self.old = if age >= self.keep.saturating_mul(2) { HashMap::new() } else { young };
        self.turned = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEEP: Duration = Duration::from_secs(60);

    #[test]
    fn an_entry_in_use_stays_and_one_out_of_use_goes() {
        let start = Instant::now();
        let mut recent = Recent::new(10, KEEP);
        recent.insert("used", 1, start);
        recent.insert("idle", 2, start);
        for minute in 1..=3 {
            assert!(recent.find(&"used", start + KEEP * minute).is_some());
        }
        assert!(recent.find(&"idle", start + KEEP * 3).is_none());
    }

    #[test]
    fn an_entry_stays_for_the_time_promised() {
        let start = Instant::now();
        let mut recent = Recent::new(10, KEEP);
        recent.insert("first", 0, start);
        let late = start + KEEP - Duration::from_secs(1);
        recent.insert("late", 1, late);
        assert!(recent.find(&"late", late + KEEP).is_some());
    }

    #[test]
    fn a_newer_value_is_not_hidden_by_the_one_before() {
        let start = Instant::now();
        let mut recent = Recent::new(10, KEEP);
        recent.insert("a", 1, start);
        recent.insert("a", 2, start + KEEP);
        assert_eq!(recent.find(&"a", start + KEEP), Some(&mut 2));
    }

    #[test]
    fn nothing_survives_a_long_silence() {
        let start = Instant::now();
        let mut recent = Recent::new(10, KEEP);
        recent.insert("a", 1, start);
        assert!(recent.find(&"a", start + KEEP * 2).is_none());
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_it_may(keys in proptest::collection::vec(0u16..500, 0..400), entries in 2usize..40) {
            let mut recent = Recent::new(entries, KEEP);
            let now = Instant::now();
            for key in keys {
                recent.insert(key, (), now);
                prop_assert!(recent.young.len() + recent.old.len() <= entries.max(2));
                prop_assert!(recent.find(&key, now).is_some());
            }
        }
    }
}
