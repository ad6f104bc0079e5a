//! A set that is sorted by name and costs little more than what stands in it.
//!
//! Items lie in chunks of a few hundred; a map finds the chunk. Names ascend as mail arrives, so that most chunks are full.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use crate::{MessageId, UnixMicros};

/// What a [`Rope`] is made of.
pub(super) trait Named: Copy {
    fn id(&self) -> MessageId;
}

impl Named for MessageId {
    fn id(&self) -> MessageId {
        *self
    }
}

#[derive(Debug)]
pub(super) struct Rope<T> {
    /// By a name that is not above the first of the chunk, and above the last of the chunk before.
    chunks: BTreeMap<MessageId, Vec<T>>,
    len: usize,
}

/// The chunks that are not as they were. One of them may be gone.
pub(super) type Touched = [Option<MessageId>; 2];

/// The most items in a chunk: few enough that moving and looking through them costs less than a microsecond.
const CHUNK: usize = 256;

/// By how many a chunk grows, so that little of it is empty.
const GROWTH: usize = 32;

/// A name below all others: the first chunk's.
const LOWEST: MessageId = MessageId::new(UnixMicros(0), 0);

impl<T> Default for Rope<T> {
    fn default() -> Self {
        Self { chunks: BTreeMap::new(), len: 0 }
    }
}

impl<T: Named> Rope<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts an item in; one of the same name is replaced.
    pub(super) fn insert(&mut self, item: T) -> Touched {
        let id = item.id();
        let key = self.key(id).unwrap_or(LOWEST);
        let chunk = self.chunks.entry(key).or_default();
        match chunk.binary_search_by_key(&id, Named::id) {
            Ok(place) => {
                if let Some(slot) = chunk.get_mut(place) {
                    *slot = item;
                }
                [Some(key), None]
            }
            Err(place) => {
                self.len += 1;
                if chunk.len() >= CHUNK {
                    return self.split(key, place, item);
                }
                if chunk.len() == chunk.capacity() {
                    chunk.reserve_exact(GROWTH);
                }
                chunk.insert(place, item);
                [Some(key), None]
            }
        }
    }

    pub(super) fn find(&self, id: MessageId) -> Option<T> {
        let chunk = self.chunks.get(&self.key(id)?)?;
        let place = chunk.binary_search_by_key(&id, Named::id).ok()?;
        chunk.get(place).copied()
    }

    pub(super) fn remove(&mut self, id: MessageId) -> Option<(T, Touched)> {
        let key = self.key(id)?;
        let chunk = self.chunks.get_mut(&key)?;
        let place = chunk.binary_search_by_key(&id, Named::id).ok()?;
        let item = chunk.remove(place);
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(&key);
            return Some((item, [Some(key), None]));
        }
        let touched = if chunk.len() < CHUNK / 4 { self.merge(key) } else { [Some(key), None] };
        Some((item, touched))
    }

    pub(super) fn first(&self) -> Option<T> {
        self.chunks.first_key_value()?.1.first().copied()
    }

    /// All items behind a name, in order.
    pub(super) fn after(&self, id: Option<MessageId>) -> impl Iterator<Item = T> + '_ {
        let from = id.and_then(|id| self.key(id)).unwrap_or(LOWEST);
        let all = self.chunks.range(from..).flat_map(|(_, chunk)| chunk.iter().copied());
        all.skip_while(move |item| id.is_some_and(|id| item.id() <= id))
    }

    /// The items of one chunk; none where it is gone.
    pub(super) fn chunk(&self, key: MessageId) -> &[T] {
        self.chunks.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The keys of all chunks.
    pub(super) fn keys(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.chunks.keys().copied()
    }

    /// Changes all items in place; their names stay.
    pub(super) fn change(&mut self, mut change: impl FnMut(&mut T)) {
        self.chunks.values_mut().flatten().for_each(&mut change);
    }

    /// The chunk where a name belongs.
    fn key(&self, id: MessageId) -> Option<MessageId> {
        self.chunks.range(..=id).next_back().map(|(key, _)| *key)
    }

    /// Makes two chunks of a full one. Behind the last item begins a chunk of its own, since names ascend.
    fn split(&mut self, key: MessageId, place: usize, item: T) -> Touched {
        let Some(chunk) = self.chunks.get_mut(&key) else { return [None; 2] };
        let mut upper = if place == chunk.len() {
            vec![item]
        } else {
            let mut upper = chunk.split_off(CHUNK / 2);
            match place.checked_sub(CHUNK / 2) {
                Some(place) => upper.insert(place, item),
                None => chunk.insert(place, item),
            }
            chunk.shrink_to(CHUNK / 2 + GROWTH);
            upper
        };
        upper.reserve_exact(GROWTH);
        let Some(first) = upper.first().map(Named::id) else { return [Some(key), None] };
        self.chunks.insert(first, upper);
        [Some(key), Some(first)]
    }

    /// Puts a small chunk into the one before it, where both fit well.
    fn merge(&mut self, key: MessageId) -> Touched {
        let Some((before, lower)) = self.chunks.range((Unbounded, Excluded(key))).next_back() else {
            return [Some(key), None];
        };
        let before = *before;
        let both = lower.len() + self.chunk(key).len();
        if both > CHUNK / 2 {
            return [Some(key), None];
        }
        let upper = self.chunks.remove(&key).unwrap_or_default();
        if let Some(lower) = self.chunks.get_mut(&before) {
            lower.reserve_exact(both + GROWTH - lower.len());
            lower.extend(upper);
        }
        [Some(before), Some(key)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id(number: u16) -> MessageId {
        MessageId::new(UnixMicros(number.into()), 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_a_sorted_set(
            steps in prop::collection::vec((any::<bool>(), 0_u16..900), 0..3000),
            ascending in 0_u16..2000,
        ) {
            let (mut rope, mut plain) = (Rope::default(), BTreeSet::new());
            for number in 0..ascending {
                rope.insert(id(number));
                plain.insert(id(number));
            }
            for (is_insert, number) in steps {
                let touched = if is_insert {
                    plain.insert(id(number));
                    Some(rope.insert(id(number)))
                } else {
                    let removed = rope.remove(id(number));
                    prop_assert_eq!(removed.is_some(), plain.remove(&id(number)));
                    removed.map(|(_, touched)| touched)
                };
                if let Some(touched) = touched {
                    prop_assert!(touched[0].is_some());
                }
                prop_assert_eq!(rope.find(id(number)).is_some(), plain.contains(&id(number)));
            }
            prop_assert_eq!(rope.len(), plain.len());
            prop_assert_eq!(rope.first(), plain.first().copied());
            prop_assert!(rope.after(None).eq(plain.iter().copied()));
            let cut = id(450);
            prop_assert!(rope.after(Some(cut)).eq(plain.iter().copied().filter(|one| *one > cut)));
        }
    }

    #[test]
    fn names_come_back_below_all_others() {
        let mut rope = Rope::default();
        for number in 0..5000 {
            rope.insert(id(number));
        }
        for number in 0..2000 {
            rope.remove(id(number));
        }
        for number in (0..2000).rev() {
            rope.insert(id(number));
        }
        assert!(rope.after(None).eq((0..5000).map(id)));
        for number in 0..5000 {
            assert_eq!(rope.find(id(number)), Some(id(number)));
        }
    }

    #[test]
    fn chunks_are_full_where_names_ascend_and_few_where_most_went() {
        let mut rope = Rope::default();
        for number in 0..10_000 {
            rope.insert(id(number));
        }
        assert_eq!(rope.keys().count(), 10_000_usize.div_ceil(CHUNK));
        for number in (0..10_000).filter(|number| number % 100 != 0) {
            rope.remove(id(number));
        }
        assert!(rope.keys().count() <= 4, "{}", rope.keys().count());
    }
}
