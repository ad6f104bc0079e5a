//! What the log knows in memory: where each message lies, and what still needs each segment.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bell::Bell;
use crate::files::Files;
use crate::{MessageId, Wake};

use super::LogConfig;
use super::chains::{self, Chains};
use super::codec::{Fate, Location, Place};
use super::listing::{Letter, Linked};

/// A segment's file, open.
#[derive(Debug)]
pub(super) struct SegmentFile<T> {
    pub(super) number: u64,
    pub(super) generation: u32,
    pub(super) epoch: u64,
    pub(super) size: u32,
    pub(super) name: String,
    pub(super) file: T,
}

/// What the committer, the drafts and the readers share.
pub(super) struct Shared<F: Files> {
    pub(super) files: F,
    pub(super) config: LogConfig,
    pub(super) bell: Bell,
    index: Mutex<Index<F::File>>,
}

impl<F: Files> Shared<F> {
    pub(super) fn new(files: F, config: LogConfig, index: Index<F::File>) -> Self {
        Self { files, config, bell: Bell::default(), index: Mutex::new(index) }
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index<F::File>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages and segments.
///
/// A segment is needed for the octets in it that are alive: those of live messages, those of drafts, and those that say
/// that something in another segment is over, for as long as that segment is on disk. One without such octets is empty
/// and goes.
///
/// A message costs 32 octets in a table that is at least 7/16 full, so 75 at most, and 20 more for each other segment that
/// has something of it. Names and envelopes are on disk alone.
pub(super) struct Index<T> {
    /// The number of the first segment. In memory, segments are counted from it, in 32 bits.
    origin: Option<u64>,
    messages: HashMap<MessageId, Located>,
    chains: Chains,
    pub(super) segments: BTreeMap<u64, Segment<T>>,
    /// Segments that may be empty. They are looked at again before they go.
    pub(super) emptied: Vec<u64>,
    /// Messages that nobody took yet.
    pub(super) untaken: BTreeMap<MessageId, Wake>,
    /// The record of the queue's rules, and its size.
    pub(super) rules: Option<(Place, u32)>,
    /// Octets that can be appended without another segment.
    pub(super) room: u64,
    /// How many prepared segments lie ready.
    pub(super) spares: usize,
    /// Octets that are alive, in all segments.
    pub(super) alive: u64,
    /// Octets of all segments.
    pub(super) held: u64,
}

/// Where a message lies.
#[derive(Clone, Copy, Debug)]
struct Located {
    /// The segment of its record, counted from the origin.
    segment: u32,
    offset: u32,
    /// Of the record and the chunks beside it.
    octets: u32,
    /// What it has in other segments, and its facts.
    chain: u32,
}

/// How a message's records hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stand {
    /// Its message record.
    pub(super) message: Place,
    /// The last facts about it, or the message record again.
    pub(super) last: Place,
    /// How many facts there are.
    pub(super) depth: u32,
}

pub(super) struct Segment<T> {
    pub(super) file: Arc<SegmentFile<T>>,
    pub(super) role: Role,
    /// Octets that are needed.
    pub(super) alive: u64,
    /// Chunks of messages that are arriving: they can be moved by nobody.
    drafts: u32,
    /// How many octets in which other segments are needed until this one is gone from the disk.
    shadows: BTreeMap<u64, u64>,
    /// An earlier segment that this one's header says something about.
    tells: Option<u64>,
}

/// What a segment is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is being written.
    Writing,
    /// It is full.
    Sealed,
    /// It is full, and something in it cannot be moved.
    Fixed,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            origin: None,
            messages: HashMap::new(),
            chains: Chains::default(),
            segments: BTreeMap::new(),
            emptied: Vec::new(),
            untaken: BTreeMap::new(),
            rules: None,
            room: 0,
            spares: 0,
            alive: 0,
            held: 0,
        }
    }
}

impl<T> Index<T> {
    /// How many messages there are.
    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.messages.contains_key(&id)
    }

    pub(super) fn stand(&self, id: MessageId) -> Option<Stand> {
        let located = self.messages.get(&id)?;
        let message = Place { segment: self.number(located.segment), offset: located.offset };
        let facts = self.chains.first(located.chain).filter(|link| link.offset != 0);
        Some(facts.map_or(Stand { message, last: message, depth: 0 }, |link| Stand {
            message,
            last: Place { segment: self.number(link.segment), offset: link.offset },
            depth: link.depth + 1,
        }))
    }

    /// Whether a segment has something that a message needs.
    pub(super) fn needs(&self, id: MessageId, segment: u64) -> bool {
        let Some(located) = self.messages.get(&id) else { return false };
        let segment = self.near(segment);
        located.segment == segment || self.chains.all(located.chain).any(|link| link.segment == segment)
    }

    /// Collects the files of all segments that have something of a message.
    pub(super) fn files_of(&self, id: MessageId, files: &mut HashMap<u64, Arc<SegmentFile<T>>>) {
        let Some(located) = self.messages.get(&id) else { return };
        let elsewhere = self.chains.all(located.chain).map(|link| link.segment);
        for segment in elsewhere.chain([located.segment]) {
            let number = self.number(segment);
            if let Some(segment) = self.segments.get(&number) {
                files.entry(number).or_insert_with(|| Arc::clone(&segment.file));
            }
        }
    }

    /// Whether a segment with this number can be told from the first.
    pub(super) fn reaches(&self, number: u64) -> bool {
        number.saturating_sub(self.origin.unwrap_or(number)) < u64::from(u32::MAX)
    }

    /// Adds a segment that is being written. `tells` is a segment that its header says something about.
    pub(super) fn add_segment(&mut self, file: Arc<SegmentFile<T>>, tells: Option<u64>) {
        let number = file.number;
        self.origin.get_or_insert(number);
        self.held += u64::from(file.size);
        let (alive, drafts) = (0, 0);
        self.segments
            .insert(number, Segment { file, role: Role::Writing, alive, drafts, shadows: BTreeMap::new(), tells });
    }

    /// Says that a segment is not written any more.
    pub(super) fn seal(&mut self, number: u64) {
        if let Some(segment) = self.segments.get_mut(&number) {
            if segment.role == Role::Writing {
                segment.role = Role::Sealed;
            }
            self.emptied.push(number);
        }
    }

    /// Says that a segment has something that cannot be moved.
    pub(super) fn fix(&mut self, number: u64) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.role = Role::Fixed;
        }
    }

    /// Puts a copy in the place of a segment's file.
    pub(super) fn replace_file(&mut self, file: Arc<SegmentFile<T>>) {
        if let Some(segment) = self.segments.get_mut(&file.number) {
            segment.file = file;
        }
    }

    pub(super) fn hold(&mut self, segment: u64, octets: u64) {
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.alive += octets;
            self.alive += octets;
        }
    }

    pub(super) fn drop(&mut self, segment: u64, octets: u64) {
        if let Some(found) = self.segments.get_mut(&segment) {
            let octets = octets.min(found.alive);
            found.alive -= octets;
            self.alive = self.alive.saturating_sub(octets);
            if found.alive == 0 {
                self.emptied.push(segment);
            }
        }
    }

    /// Keeps a chunk of a message that is arriving.
    pub(super) fn hold_draft(&mut self, segment: u64, octets: u64) {
        self.hold(segment, octets);
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.drafts += 1;
        }
    }

    fn drop_draft(&mut self, segment: u64, octets: u64) {
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.drafts = segment.drafts.saturating_sub(1);
        }
        self.drop(segment, octets);
    }

    /// Adds a message, or replaces what is known of it.
    pub(super) fn add_message(&mut self, segment: u64, letter: &Letter) {
        let mut chain = chains::END;
        for (other, octets) in &letter.elsewhere {
            if self.segments.contains_key(other) {
                chain = self.chains.push(chain, self.near(*other), 0, *octets, 0);
                self.hold(*other, u64::from(*octets));
            }
        }
        let located = Located { segment: self.near(segment), offset: letter.offset, octets: letter.octets, chain };
        self.hold(segment, u64::from(letter.octets));
        if let Some(earlier) = self.messages.insert(letter.id, located) {
            self.release(earlier);
        }
        for over in &letter.over {
            self.shadow(*over, segment, u64::from(letter.octets));
        }
    }

    /// Takes in facts about a message, recorded in `segment`. Whether there is such a message.
    pub(super) fn add_facts(&mut self, segment: u64, linked: &Linked) -> bool {
        let id = linked.link.id;
        match &linked.link.fate {
            Fate::Open => {
                let near = self.near(segment);
                let Some(located) = self.messages.get_mut(&id) else { return false };
                let (offset, octets, depth) = (linked.offset, linked.octets, linked.link.depth);
                match self.chains.first_mut(located.chain) {
                    Some(link) if link.segment == near && link.offset != 0 => {
                        link.offset = offset;
                        link.octets = link.octets.saturating_add(octets);
                        link.depth = depth;
                    }
                    Some(_) | None => located.chain = self.chains.push(located.chain, near, offset, octets, depth),
                }
                self.hold(segment, u64::from(octets));
                if let Some(wake) = self.untaken.get_mut(&id) {
                    *wake = linked.link.wake;
                }
                true
            }
            Fate::Done { over } => {
                // The shadows first: for a moment the segment must not seem empty.
                for over in over {
                    self.shadow(*over, segment, u64::from(linked.octets));
                }
                self.untaken.remove(&id);
                self.messages.remove(&id).map(|located| self.release(located)).is_some()
            }
        }
    }

    /// Takes back the last facts about a message, which were in `segment`: it stands as it did before.
    pub(super) fn retract_facts(&mut self, id: MessageId, segment: u64, before: Stand) {
        let near = self.near(segment);
        let Some(located) = self.messages.get_mut(&id) else { return };
        let first = located.chain;
        if before.depth > 0 && before.last.segment == segment {
            // Their octets count until the message goes: the segment is not written again.
            if let Some(link) = self.chains.first_mut(first) {
                (link.offset, link.depth) = (before.last.offset, before.depth - 1);
            }
        } else if self.chains.first(first).is_some_and(|link| link.segment == near && link.offset != 0)
            && let Some((link, rest)) = self.chains.pop(first)
        {
            located.chain = rest;
            self.drop(segment, u64::from(link.octets));
        }
    }

    /// Takes in the queue's rules.
    pub(super) fn set_rules(&mut self, place: Place, octets: u32) {
        self.hold(place.segment, u64::from(octets));
        if let Some((earlier, octets)) = self.rules.replace((place, octets)) {
            self.drop(earlier.segment, u64::from(octets));
        }
    }

    /// Octets in `by` overrule something in `over`, and are needed for as long as that is on disk.
    pub(super) fn shadow(&mut self, over: u64, by: u64, octets: u64) {
        if over == by {
            return;
        }
        if let Some(segment) = self.segments.get_mut(&over) {
            *segment.shadows.entry(by).or_default() += octets;
            self.hold(by, octets);
        }
    }

    /// Whatever `by` overruled is overruled by records elsewhere too.
    pub(super) fn lift_shadows(&mut self, by: u64) {
        let octets: u64 = self.segments.values_mut().filter_map(|segment| segment.shadows.remove(&by)).sum();
        self.drop(by, octets);
    }

    fn release(&mut self, located: Located) {
        self.drop(self.number(located.segment), u64::from(located.octets));
        let mut chain = located.chain;
        while let Some((link, rest)) = self.chains.pop(chain) {
            self.drop(self.number(link.segment), u64::from(link.octets));
            chain = rest;
        }
    }

    /// The next segment that nothing needs.
    pub(super) fn next_empty(&mut self) -> Option<Arc<SegmentFile<T>>> {
        while let Some(number) = self.emptied.pop() {
            match self.segments.get(&number) {
                Some(segment) if segment.alive == 0 && segment.role != Role::Writing => {
                    return Some(Arc::clone(&segment.file));
                }
                Some(_) | None => {}
            }
        }
        None
    }

    /// Forgets a segment that is gone from the disk, and what overruled things in it.
    pub(super) fn remove_segment(&mut self, number: u64) {
        if let Some(gone) = self.segments.remove(&number) {
            self.held -= u64::from(gone.file.size);
            for (by, octets) in gone.shadows {
                self.drop(by, octets);
            }
        }
    }

    /// The segment that costs least to empty, if it is at most three quarters alive: more would be copied than three times
    /// what is won.
    pub(super) fn emptiest(&self) -> Option<(u64, u64)> {
        let movable = |segment: &&Segment<T>| {
            let size = u64::from(segment.file.size);
            segment.role == Role::Sealed
                && segment.drafts == 0
                && segment.alive <= size / 4 * 3
                && segment.tells.is_none_or(|earlier| !self.segments.contains_key(&earlier))
        };
        let share = |segment: &&Segment<T>| (segment.alive << 16) / u64::from(segment.file.size).max(1);
        let found = self.segments.values().filter(movable).min_by_key(share)?;
        Some((found.file.number, found.alive))
    }

    /// Of these segments, those that are on disk.
    pub(super) fn still_there(&self, segments: &[u64]) -> Vec<u64> {
        segments.iter().copied().filter(|number| self.segments.contains_key(number)).collect()
    }

    fn near(&self, segment: u64) -> u32 {
        segment.wrapping_sub(self.origin.unwrap_or(segment)) as u32
    }

    fn number(&self, near: u32) -> u64 {
        self.origin.unwrap_or_default().wrapping_add(u64::from(near))
    }
}

/// Keeps the segment of a draft's chunk until the draft is committed or dropped.
pub(super) struct ChunkPin<F: Files> {
    shared: Arc<Shared<F>>,
    pub(super) location: Location,
    octets: u64,
}

impl<F: Files> ChunkPin<F> {
    /// Takes over what [`Index::hold_draft`] did with as many octets.
    pub(super) fn adopt(shared: Arc<Shared<F>>, location: Location, octets: u64) -> Self {
        Self { shared, location, octets }
    }
}

impl<F: Files> Drop for ChunkPin<F> {
    fn drop(&mut self) {
        self.shared.index().drop_draft(self.location.place.segment, self.octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnixMicros;
    use crate::log::codec::Link;

    fn index(segments: u64) -> Index<()> {
        let mut index = Index::default();
        for number in 1..=segments {
            let name = format!("segment-{number}");
            index.add_segment(
                Arc::new(SegmentFile { number, generation: 0, epoch: number, size: 4096, name, file: () }),
                None,
            );
        }
        index
    }

    fn empty(index: &mut Index<()>) -> Vec<u64> {
        let mut numbers: Vec<_> = std::iter::from_fn(|| index.next_empty()).map(|segment| segment.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn id(number: u64) -> MessageId {
        MessageId::new(UnixMicros(number), 0)
    }

    fn letter(number: u64, elsewhere: &[(u64, u32)], over: &[u64]) -> Letter {
        Letter {
            id: id(number),
            offset: 64,
            octets: 100,
            elsewhere: elsewhere.to_vec(),
            wake: Wake::Now,
            over: over.to_vec(),
            beside: None,
        }
    }

    fn facts(number: u64, fate: Fate) -> Linked {
        let previous = Place { segment: 0, offset: 0 };
        Linked { link: Link { id: id(number), previous, depth: 0, wake: Wake::Now, fate }, offset: 72, octets: 80 }
    }

    fn done(number: u64, over: u64) -> Linked {
        facts(number, Fate::Done { over: vec![over] })
    }

    #[test]
    fn a_record_that_says_done_outlives_what_it_is_about() {
        let mut index = index(3);
        index.add_message(1, &letter(1, &[], &[]));
        index.add_message(1, &letter(2, &[], &[]));
        assert!(index.add_facts(2, &done(1, 1)));
        index.seal(1);
        index.seal(2);
        assert_eq!(empty(&mut index), [], "message 2 keeps segment 1, and that keeps the tombstone in segment 2");
        assert!(index.add_facts(3, &done(2, 1)));
        assert_eq!(empty(&mut index), [1]);
        index.remove_segment(1);
        assert_eq!(empty(&mut index), [2], "segment 3 is the active one");
        assert_eq!(index.alive, 0);
    }

    #[test]
    fn a_message_is_removed_once() {
        let mut index = index(2);
        index.add_message(1, &letter(1, &[], &[]));
        assert!(index.add_facts(2, &done(1, 1)));
        assert!(!index.add_facts(2, &done(1, 1)));
        assert!(!index.add_facts(2, &facts(1, Fate::Open)));
    }

    #[test]
    fn a_message_that_moved_leaves_its_old_segments() {
        let mut index = index(3);
        index.add_message(1, &letter(1, &[(2, 50)], &[]));
        assert!(index.add_facts(2, &facts(1, Fate::Open)));
        assert!(index.needs(id(1), 1) && index.needs(id(1), 2) && !index.needs(id(1), 3));
        assert_eq!(index.stand(id(1)).unwrap().last, Place { segment: 2, offset: 72 });
        index.add_message(3, &letter(1, &[], &[1]));
        index.seal(1);
        index.seal(2);
        assert_eq!(empty(&mut index), [1, 2]);
        index.remove_segment(1);
        index.remove_segment(2);
        assert!(index.add_facts(3, &done(1, 3)));
        index.seal(3);
        assert_eq!(empty(&mut index), [3]);
        assert_eq!((index.alive, index.held), (0, 4096));
    }

    #[test]
    fn the_emptiest_segment_is_moved_first() {
        let mut index = index(4);
        for number in 1..=3 {
            index.seal(number);
        }
        index.add_message(1, &letter(1, &[], &[]));
        index.add_message(1, &letter(2, &[], &[]));
        index.add_message(2, &letter(3, &[], &[]));
        index.hold_draft(3, 10);
        assert_eq!(index.emptiest(), Some((2, 100)), "3 has octets of a draft, 4 is being written");
        index.fix(2);
        assert_eq!(index.emptiest(), Some((1, 200)));
    }

    #[test]
    fn a_message_costs_at_most_80_octets_and_facts_elsewhere_40() {
        let mut index = index(3);
        // One more than fits the table, which doubles then: the worst case.
        let count = (1 << 14) * 7 / 8 + 1;
        let told = allocation_counter::measure(|| {
            for number in 1..=count {
                index.add_message(1, &letter(number, &[], &[]));
            }
        });
        assert!(told.bytes_current <= 80 * count as i64, "{} octets each", told.bytes_current / count as i64);
        let told = allocation_counter::measure(|| {
            for number in 1..=count {
                index.add_facts(2, &facts(number, Fate::Open));
                index.add_facts(2, &facts(number, Fate::Open));
            }
        });
        assert!(told.bytes_current <= 40 * count as i64, "{} octets each", told.bytes_current / count as i64);
    }
}
