//! One mailbox's history in memory: what is there, what is gone, and since when. Stores keep it true; it keeps the
//! promises about UIDs, MODSEQ and \Recent.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{BuildHasher, RandomState},
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Changes, Delta, Expunge, Flags, Message, Recent, Since, Snapshot, Status, SystemFlag, Touched, error::Trouble,
};

/// How many expunged UIDs are remembered. A session that missed more takes a new snapshot; 16 octets each.
const GONE_MAX: usize = 10_000;

/// The greatest UID that is given: 2^32 - 1 means "the last" in many clients, and UIDNEXT must be above every UID.
pub(crate) const UID_MAX: u32 = u32::MAX - 2;

/// A message and where its store keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Entry<P> {
    pub(crate) message: Message,
    pub(crate) place: P,
}

#[derive(Debug)]
pub(crate) struct Ledger<P> {
    /// Tells this history from every other, also of the same mailbox.
    life: u64,
    uidvalidity: u32,
    uidnext: u32,
    highestmodseq: u64,
    /// Messages with greater UIDs are \Recent to who claims them next.
    claimed: u32,
    entries: BTreeMap<u32, Entry<P>>,
    /// MODSEQ and UID, by ascending MODSEQ.
    gone: VecDeque<(u64, u32)>,
    /// What was expunged at this MODSEQ or before may be forgotten.
    floor: u64,
    pub(crate) keywords: Arc<[Arc<str>]>,
}

impl<P> Ledger<P> {
    /// Begins a history at this MODSEQ: older tokens are answered by `Resync`.
    pub(crate) fn new(uidvalidity: u32, uidnext: u32, claimed: u32, modseq: u64) -> Self {
        Self {
            life: next_life(),
            uidvalidity,
            uidnext,
            highestmodseq: modseq,
            claimed,
            entries: BTreeMap::new(),
            gone: VecDeque::new(),
            floor: modseq,
            keywords: Arc::default(),
        }
    }

    pub(crate) fn uidvalidity(&self) -> u32 {
        self.uidvalidity
    }

    pub(crate) fn uidnext(&self) -> u32 {
        self.uidnext
    }

    pub(crate) fn highestmodseq(&self) -> u64 {
        self.highestmodseq
    }

    pub(crate) fn claimed(&self) -> u32 {
        self.claimed
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entry(&self, uid: u32) -> Option<&Entry<P>> {
        self.entries.get(&uid)
    }

    pub(crate) fn entry_mut(&mut self, uid: u32) -> Option<&mut Entry<P>> {
        self.entries.get_mut(&uid)
    }

    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry<P>> {
        self.entries.values()
    }

    /// The messages of these UIDs, each once, ascending.
    pub(crate) fn among(&self, uids: &[RangeInclusive<u32>]) -> impl Iterator<Item = &Entry<P>> {
        merged(uids).into_iter().flat_map(|range| self.entries.range(range).map(|(_, entry)| entry))
    }

    /// UIDs of the messages that an expunge means, ascending.
    pub(crate) fn doomed(&self, which: Expunge<'_>) -> Vec<u32> {
        let deleted = |entry: &&Entry<P>| entry.message.flags.has(SystemFlag::Deleted);
        let uid = |entry: &Entry<P>| entry.message.uid;
        match which {
            Expunge::Deleted => self.entries().filter(deleted).map(uid).collect(),
            Expunge::DeletedAmong(uids) => self.among(uids).filter(deleted).map(uid).collect(),
            Expunge::These(uids) => self.among(uids).map(uid).collect(),
        }
    }

    /// Raises UIDNEXT; it never sinks.
    pub(crate) fn raise_uidnext(&mut self, uidnext: u32) {
        self.uidnext = self.uidnext.max(uidnext);
    }

    /// Raises the watermark of \Recent; it never sinks.
    pub(crate) fn raise_claimed(&mut self, claimed: u32) {
        self.claimed = self.claimed.max(claimed);
    }

    /// Raises HIGHESTMODSEQ; it never sinks.
    pub(crate) fn raise_modseq(&mut self, modseq: u64) {
        self.highestmodseq = self.highestmodseq.max(modseq);
    }

    /// The MODSEQ for a change that is about to be made.
    pub(crate) fn next_modseq(&mut self) -> u64 {
        self.highestmodseq += 1;
        self.highestmodseq
    }

    /// The next UID, not taken yet.
    pub(crate) fn next_uid(&self) -> Result<u32, Trouble> {
        if self.uidnext > UID_MAX {
            return Err(Trouble::Corrupt { what: "a mailbox has used up its UIDs" });
        }
        Ok(self.uidnext)
    }

    /// Adds a message; its UID may have been known before only while a history is being built.
    pub(crate) fn insert(&mut self, message: Message, place: P) {
        self.raise_uidnext(message.uid.saturating_add(1));
        self.raise_modseq(message.modseq);
        self.entries.insert(message.uid, Entry { message, place });
    }

    /// Changes a message's flags.
    pub(crate) fn touch(&mut self, uid: u32, flags: Flags, modseq: u64) {
        self.raise_modseq(modseq);
        if let Some(entry) = self.entries.get_mut(&uid) {
            entry.message.flags = flags;
            entry.message.modseq = modseq;
        }
    }

    /// Removes a message.
    pub(crate) fn remove(&mut self, uid: u32, modseq: u64) -> Option<Entry<P>> {
        let entry = self.entries.remove(&uid)?;
        self.raise_modseq(modseq);
        self.gone.push_back((modseq, uid));
        if self.gone.len() > GONE_MAX
            && let Some((modseq, _)) = self.gone.pop_front()
        {
            self.floor = modseq;
        }
        Some(entry)
    }

    /// The place in history that is now.
    pub(crate) fn since(&self) -> Since {
        let numbers = [self.life, u64::from(self.uidnext), self.highestmodseq];
        Since::from_bytes(numbers.map(u64::to_be_bytes).as_flattened())
    }

    /// Whether [`Recent::Claim`] would change anything.
    pub(crate) fn has_unclaimed(&self) -> bool {
        self.entries.last_key_value().is_some_and(|(uid, _)| *uid > self.claimed)
    }

    pub(crate) fn snapshot(&mut self, recent: Recent, takes_new_keywords: TakesNewKeywords) -> Snapshot {
        let messages: Vec<_> = self.entries.values().map(|entry| entry.message.clone()).collect();
        let recent = self.recent_from(0, recent);
        Snapshot {
            uidvalidity: self.uidvalidity,
            uidnext: self.uidnext,
            highestmodseq: self.highestmodseq,
            since: self.since(),
            messages,
            recent,
            keywords: Arc::clone(&self.keywords),
            takes_new_keywords: takes_new_keywords == TakesNewKeywords::Yes,
        }
    }

    pub(crate) fn changes(&mut self, since: &Since, recent: Recent) -> Changes {
        let Some((life, uidnext, modseq)) = parse(since) else { return Changes::Resync };
        if life != self.life || modseq < self.floor {
            return Changes::Resync;
        }
        if (uidnext, modseq) == (self.uidnext, self.highestmodseq) {
            // The most frequent answer, and it need not look at every message.
            return Changes::Delta(Delta {
                new: Vec::new(),
                gone: Vec::new(),
                touched: Vec::new(),
                recent: self.recent_from(uidnext, recent),
                uidnext,
                highestmodseq: modseq,
                keywords: Arc::clone(&self.keywords),
                since: since.clone(),
            });
        }
        let after = |entry: &&Entry<P>| entry.message.modseq > modseq;
        let new = self.entries.range(uidnext..).map(|(_, entry)| entry.message.clone()).collect();
        let touched = self.entries.range(..uidnext).map(|(_, entry)| entry).filter(after).map(Entry::touched).collect();
        let first = self.gone.partition_point(|(at, _)| *at <= modseq);
        let mut gone: Vec<_> = self.gone.range(first..).map(|(_, uid)| *uid).filter(|uid| *uid < uidnext).collect();
        gone.sort_unstable();
        Changes::Delta(Delta {
            new,
            gone,
            touched,
            recent: self.recent_from(uidnext, recent),
            uidnext: self.uidnext,
            highestmodseq: self.highestmodseq,
            keywords: Arc::clone(&self.keywords),
            since: self.since(),
        })
    }

    pub(crate) fn status(&self) -> Status {
        let mut status = Status {
            uidnext: self.uidnext,
            uidvalidity: self.uidvalidity,
            highestmodseq: self.highestmodseq,
            ..Status::default()
        };
        for Entry { message, .. } in self.entries.values() {
            status.messages += 1;
            status.recent += u32::from(message.uid > self.claimed);
            status.unseen += u32::from(!message.flags.has(SystemFlag::Seen));
            status.deleted += u32::from(message.flags.has(SystemFlag::Deleted));
            status.size = status.size.saturating_add(message.size);
        }
        status
    }

    fn recent_from(&mut self, first: u32, recent: Recent) -> Vec<u32> {
        let first = first.max(self.claimed.saturating_add(1));
        let uids = self.entries.range(first..).map(|(uid, _)| *uid).collect();
        match recent {
            Recent::Claim => self.claimed = self.claimed.max(self.uidnext.saturating_sub(1)),
            Recent::Peek => {}
        }
        uids
    }
}

/// Whether a mailbox can hold keywords that it does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakesNewKeywords {
    Yes,
    No,
}

impl<P> Entry<P> {
    pub(crate) fn touched(&self) -> Touched {
        Touched { uid: self.message.uid, flags: self.message.flags.clone(), modseq: self.message.modseq }
    }
}

fn parse(since: &Since) -> Option<(u64, u32, u64)> {
    let [life, uidnext, modseq] = since.as_bytes().as_chunks::<8>().0 else { return None };
    let uidnext = u32::try_from(u64::from_be_bytes(*uidnext)).ok()?;
    Some((u64::from_be_bytes(*life), uidnext, u64::from_be_bytes(*modseq)))
}

/// A number that tells histories apart, of this process and of others before and beside it.
fn next_life() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    RandomState::new().hash_one(count)
}

/// The same set as ascending ranges that neither overlap nor touch.
pub(crate) fn merged(ranges: &[RangeInclusive<u32>]) -> Vec<RangeInclusive<u32>> {
    let mut ranges: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
    ranges.sort_unstable_by_key(|range| *range.start());
    let mut merged: Vec<RangeInclusive<u32>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn message(uid: u32, modseq: u64) -> Message {
        Message {
            uid,
            flags: Flags::NONE,
            size: 1,
            internal_date: 0,
            modseq,
            guid: uid.to_string().into(),
            inherited_uidl: None,
        }
    }

    fn delta(changes: Changes) -> Delta {
        match changes {
            Changes::Delta(delta) => delta,
            Changes::Resync => panic!("resync"),
        }
    }

    #[test]
    fn tokens_of_another_life_are_answered_by_resync() {
        let mut ledger = Ledger::<()>::new(7, 1, 0, 100);
        let since = ledger.since();
        assert!(matches!(ledger.changes(&since, Recent::Peek), Changes::Delta(_)));
        let other = Ledger::<()>::new(7, 1, 0, 100);
        assert!(matches!(ledger.changes(&other.since(), Recent::Peek), Changes::Resync));
        for bytes in [&b""[..], b"0123456789abcde", b"0123456789abcdef01234567"] {
            assert!(matches!(ledger.changes(&Since::from_bytes(bytes), Recent::Peek), Changes::Resync));
        }
    }

    #[test]
    fn what_is_forgotten_is_answered_by_resync() {
        let mut ledger = Ledger::<()>::new(7, 1, 0, 100);
        let first = ledger.since();
        for uid in 1..=GONE_MAX as u32 + 1 {
            let modseq = ledger.next_modseq();
            ledger.insert(message(uid, modseq), ());
        }
        let filled = ledger.since();
        for uid in 1..=GONE_MAX as u32 {
            let modseq = ledger.next_modseq();
            ledger.remove(uid, modseq);
        }
        assert_eq!(delta(ledger.changes(&filled, Recent::Peek)).gone.len(), GONE_MAX);
        assert_eq!(delta(ledger.changes(&first, Recent::Peek)).gone, []);
        let modseq = ledger.next_modseq();
        ledger.remove(GONE_MAX as u32 + 1, modseq);
        assert!(matches!(ledger.changes(&filled, Recent::Peek), Changes::Resync));
    }

    #[test]
    fn the_last_uid_is_never_given() {
        let ledger = Ledger::<()>::new(7, UID_MAX, 0, 100);
        assert_eq!(ledger.next_uid().unwrap(), UID_MAX);
        let ledger = Ledger::<()>::new(7, UID_MAX + 1, 0, 100);
        assert!(ledger.next_uid().is_err());
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert,
        Touch(u32),
        Remove(u32),
        Look(Recent),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            Just(Op::Insert),
            (1..20u32).prop_map(Op::Touch),
            (1..20u32).prop_map(Op::Remove),
            prop_oneof![Just(Recent::Claim), Just(Recent::Peek)].prop_map(Op::Look),
        ]
    }

    proptest! {
        #[test]
        fn deltas_one_after_another_rebuild_the_mailbox(ops in prop::collection::vec(op(), 0..60)) {
            let mut ledger = Ledger::<()>::new(1, 1, 0, 10);
            let mut since = ledger.since();
            let mut view = BTreeMap::new();
            let mut claimed = BTreeSet::new();
            for op in ops.into_iter().chain([Op::Look(Recent::Claim)]) {
                match op {
                    Op::Insert => {
                        let (uid, modseq) = (ledger.next_uid().unwrap(), ledger.next_modseq());
                        ledger.insert(message(uid, modseq), ());
                    }
                    Op::Touch(uid) if ledger.entry(uid).is_some() => {
                        let modseq = ledger.next_modseq();
                        ledger.touch(uid, SystemFlag::Seen.into(), modseq);
                    }
                    Op::Remove(uid) if ledger.entry(uid).is_some() => {
                        let modseq = ledger.next_modseq();
                        ledger.remove(uid, modseq);
                    }
                    Op::Touch(_) | Op::Remove(_) => {}
                    Op::Look(recent) => {
                        let delta = delta(ledger.changes(&since, recent));
                        for uid in &delta.gone {
                            prop_assert!(view.remove(uid).is_some());
                        }
                        for touched in &delta.touched {
                            prop_assert!(view.insert(touched.uid, touched.modseq).is_some());
                        }
                        for message in &delta.new {
                            prop_assert!(view.insert(message.uid, message.modseq).is_none());
                        }
                        if recent == Recent::Claim {
                            for uid in &delta.recent {
                                prop_assert!(claimed.insert(*uid), "{uid} was recent twice");
                            }
                        }
                        since = delta.since;
                        let truth: BTreeMap<_, _> =
                            ledger.entries().map(|entry| (entry.message.uid, entry.message.modseq)).collect();
                        prop_assert_eq!(&view, &truth);
                    }
                }
            }
        }

        #[test]
        fn merging_ranges_keeps_the_set(ranges in prop::collection::vec((0..40u32, 0..40u32), 0..8)) {
            let ranges: Vec<_> = ranges.into_iter().map(|(a, b)| a..=b).collect();
            let set: BTreeSet<u32> = ranges.iter().cloned().flatten().collect();
            let merged = merged(&ranges);
            prop_assert_eq!(merged.iter().cloned().flatten().collect::<Vec<_>>(), set.into_iter().collect::<Vec<_>>());
            prop_assert!(merged.windows(2).all(|pair| *pair[0].end() + 1 < *pair[1].start()));
        }
    }
}
