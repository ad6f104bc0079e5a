//! Sets of messages: as a client writes them ([`SequenceSet`]), and as they are ([`UidSet`]).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use core::ops::RangeInclusive;

use roaring::RoaringBitmap;

/// A set of UIDs, compressed. A clone shares the memory until one of the two is changed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UidSet(Arc<RoaringBitmap>);

impl UidSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are. UIDs are not zero, so that the number of them fits.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Whether `uid` is in it.
    #[must_use]
    pub fn contains(&self, uid: u32) -> bool {
        self.0.contains(uid)
    }

    /// The smallest.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.0.min()
    }

    /// The largest.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.0.max()
    }

    /// How many are not larger than `uid`.
    #[must_use]
    pub fn rank(&self, uid: u32) -> u32 {
        u32::try_from(self.0.rank(uid)).unwrap_or(u32::MAX)
    }

    /// The one that `index` others precede.
    #[must_use]
    pub fn nth(&self, index: u32) -> Option<u32> {
        self.0.select(index)
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter()
    }

    /// All of them as ascending ranges that do not touch.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        let mut rest = self.0.iter();
        core::iter::from_fn(move || rest.next_range())
    }

    /// Puts `uid` in. Zero is no UID (RFC 3501 §2.3.1.1) and stays outside.
    pub fn insert(&mut self, uid: u32) {
        if uid != 0 && !self.contains(uid) {
            Arc::make_mut(&mut self.0).insert(uid);
        }
    }

    /// Takes `uid` out. Says whether it was in.
    pub fn remove(&mut self, uid: u32) -> bool {
        self.contains(uid) && Arc::make_mut(&mut self.0).remove(uid)
    }

    /// Puts all of `others` in.
    pub fn add(&mut self, others: &Self) {
        if self.is_empty() {
            self.clone_from(others);
        } else if !others.is_empty() {
            *Arc::make_mut(&mut self.0) |= &*others.0;
        }
    }

    /// Takes all of `others` out.
    pub fn subtract(&mut self, others: &Self) {
        if !self.0.is_disjoint(&others.0) {
            *Arc::make_mut(&mut self.0) -= &*others.0;
        }
    }

    /// Keeps only what is in `others` too.
    pub fn intersect(&mut self, others: &Self) {
        if !self.0.is_subset(&others.0) {
            *Arc::make_mut(&mut self.0) &= &*others.0;
        }
    }

    /// Those of this set that lie in `range`.
    pub(crate) fn within(&self, range: RangeInclusive<u32>) -> impl Iterator<Item = u32> + '_ {
        self.0.range(range)
    }

    /// Octets of heap, about, for a set that nobody shares.
    pub(crate) fn memory(&self) -> usize {
        let parts = self.0.statistics();
        let arrays = u64::from(parts.n_values_array_containers).saturating_mul(2);
        let bitsets = u64::from(parts.n_bitset_containers).saturating_mul(8192);
        // What a container costs beside its values is about what two vectors cost.
        let containers = u64::from(parts.n_containers).saturating_mul(64);
        let octets = [arrays, bitsets, parts.n_bytes_run_containers, containers];
        usize::try_from(octets.into_iter().fold(0, u64::saturating_add)).unwrap_or(usize::MAX)
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> Self {
        let mut set: RoaringBitmap = uids.into_iter().filter(|uid| *uid != 0).collect();
        set.optimize();
        Self(Arc::new(set))
    }
}

impl FromIterator<RangeInclusive<u32>> for UidSet {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u32>>>(ranges: I) -> Self {
        let mut set = RoaringBitmap::new();
        for range in ranges {
            set.insert_range((*range.start()).max(1)..=*range.end());
        }
        set.optimize();
        Self(Arc::new(set))
    }
}

impl fmt::Display for UidSet {
    /// The wire's form (RFC 4315 §4, `uid-set`); nothing for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for range in self.ranges() {
            f.write_str(comma)?;
            write_run(f, *range.start(), *range.end())?;
            comma = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UidSet({self})")
    }
}

/// UIDs in an order that matters (RFC 4315 §3): ascending runs are shortened, nothing is sorted.
pub(crate) struct InOrder<I>(pub(crate) I);

impl<I: Iterator<Item = u32> + Clone> fmt::Display for InOrder<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uids = self.0.clone().peekable();
        let mut comma = "";
        while let Some(first) = uids.next() {
            let mut last = first;
            while let Some(next) = uids.next_if(|next| last.checked_add(1) == Some(*next)) {
                last = next;
            }
            f.write_str(comma)?;
            write_run(f, first, last)?;
            comma = ",";
        }
        Ok(())
    }
}

fn write_run(f: &mut fmt::Formatter<'_>, first: u32, last: u32) -> fmt::Result {
    if first == last { write!(f, "{first}") } else { write!(f, "{first}:{last}") }
}

/// A set as a client writes it (RFC 3501 §9, `sequence-set`): numbers or UIDs, in any order, with `*` for the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceSet(Vec<(SequenceNumber, SequenceNumber)>);

/// One end of a range. `None` is `*`, the largest in use.
pub type SequenceNumber = Option<NonZeroU32>;

impl SequenceSet {
    /// The ranges as they were sent; `None` if there are none, which is no set.
    #[must_use]
    pub fn new(ranges: Vec<(SequenceNumber, SequenceNumber)>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// The largest number that is named.
    pub(crate) fn largest_number(&self) -> u32 {
        let ends = self.0.iter().flat_map(|(a, b)| [*a, *b]);
        ends.flatten().max().map_or(0, NonZeroU32::get)
    }

    /// Ascending ranges that neither overlap nor touch, in time O(n log n): `1:*` sent a thousand times is one range.
    pub(crate) fn resolve(&self, last: u32) -> Vec<RangeInclusive<u32>> {
        let end = |number: SequenceNumber| number.map_or(last, NonZeroU32::get);
        let mut ranges: Vec<(u32, u32)> =
            self.0.iter().map(|&(a, b)| (end(a).min(end(b)), end(a).max(end(b)))).collect();
        ranges.sort_unstable();
        let mut merged: Vec<RangeInclusive<u32>> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.end().saturating_add(1) => {
                    *before = *before.start()..=last.max(*before.end());
                }
                Some(_) | None => merged.push(first..=last),
            }
        }
        merged
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (first, last) in &self.0 {
            f.write_str(comma)?;
            write_number(f, *first)?;
            if first != last {
                f.write_str(":")?;
                write_number(f, *last)?;
            }
            comma = ",";
        }
        Ok(())
    }
}

fn write_number(f: &mut fmt::Formatter<'_>, number: SequenceNumber) -> fmt::Result {
    match number {
        Some(number) => write!(f, "{number}"),
        None => f.write_str("*"),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    fn set(ranges: &[(u32, u32)]) -> SequenceSet {
        let end = NonZeroU32::new;
        SequenceSet::new(ranges.iter().map(|(a, b)| (end(*a), end(*b))).collect()).unwrap()
    }

    #[test]
    fn a_star_is_the_last_even_below_the_number_beside_it() {
        assert_eq!(set(&[(999, 0)]).resolve(7), [7..=999]);
        assert_eq!(set(&[(0, 0)]).resolve(7), [7..=7]);
    }

    #[test]
    fn ranges_are_merged_whatever_their_order() {
        assert_eq!(set(&[(9, 7), (1, 2), (3, 3), (8, 20)]).resolve(100), [1..=3, 7..=20]);
        assert_eq!(set(&[(1, u32::MAX), (u32::MAX, u32::MAX)]).resolve(1), [1..=u32::MAX]);
    }

    #[test]
    fn the_largest_range_costs_no_memory_to_speak_of() {
        let all: UidSet = [1..=u32::MAX].into_iter().collect();
        assert_eq!((all.len(), all.first(), all.last()), (u32::MAX, Some(1), Some(u32::MAX)));
        assert!(all.memory() < 8 << 20, "{}", all.memory());
    }

    #[test]
    fn written_as_the_wire_wants_it() {
        let uids: UidSet = [0, 5, 1, 2, 3, 9].into_iter().collect();
        assert_eq!(uids.to_string(), "1:3,5,9");
        assert_eq!(InOrder([7, 9, 8, 9, 10].into_iter()).to_string(), "7,9,8:10");
        assert_eq!(set(&[(2, 0), (4, 4)]).to_string(), "2:*,4");
    }

    #[test]
    fn a_clone_is_shared_until_it_is_changed() {
        let mut a: UidSet = [1..=5].into_iter().collect();
        let b = a.clone();
        assert!(Arc::ptr_eq(&a.0, &b.0));
        a.subtract(&[9].into_iter().collect());
        assert!(Arc::ptr_eq(&a.0, &b.0), "nothing was there to take out");
        assert!(a.remove(2));
        assert_eq!((a.iter().collect::<Vec<_>>(), b.len()), (vec![1, 3, 4, 5], 5));
    }
}
