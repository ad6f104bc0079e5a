//! What the log knows in memory: where each message lies, and what still needs each segment.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bell::Bell;
use crate::files::Files;
use crate::{MessageId, Stored};

use super::LogConfig;
use super::codec::Location;

/// A segment's file, open.
#[derive(Debug)]
pub(super) struct SegmentFile<T> {
    pub(super) number: u64,
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
/// A segment is pinned by every record in it that is still needed: those of live messages, those of drafts, and those
/// that say that something in another segment is over, for as long as that segment is on disk. A segment without a pin
/// is empty and goes.
pub(super) struct Index<T> {
    pub(super) messages: HashMap<MessageId, Located>,
    pub(super) segments: HashMap<u64, Segment<T>>,
    /// Segments that may be empty. They are looked at again before they go.
    pub(super) emptied: Vec<u64>,
    /// Messages that nobody took yet, oldest first.
    pub(super) untaken: VecDeque<Stored>,
    /// Octets that can be appended without another segment.
    pub(super) room: u64,
    /// How many prepared segments lie ready.
    pub(super) spares: usize,
}

/// Where a message lies.
#[derive(Debug)]
pub(super) struct Located {
    /// Its message record.
    pub(super) record: Location,
    /// How many records of it each segment holds.
    pub(super) pins: Vec<(u64, u32)>,
}

pub(super) struct Segment<T> {
    pub(super) file: Arc<SegmentFile<T>>,
    pins: u64,
    /// How many pins in which other segments end when this one is gone from the disk.
    shadows: HashMap<u64, u64>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            messages: HashMap::new(),
            segments: HashMap::new(),
            emptied: Vec::new(),
            untaken: VecDeque::new(),
            room: 0,
            spares: 0,
        }
    }
}

impl Located {
    pub(super) fn new(record: Location) -> Self {
        Self { record, pins: Vec::with_capacity(1) }
    }

    fn count(&mut self, segment: u64) {
        match self.pins.iter_mut().rev().find(|(number, _)| *number == segment) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.pins.push((segment, 1)),
        }
    }
}

impl<T> Index<T> {
    /// Adds a segment, with one pin that the caller owns.
    pub(super) fn add_segment(&mut self, file: Arc<SegmentFile<T>>) {
        self.segments.insert(file.number, Segment { file, pins: 1, shadows: HashMap::new() });
    }

    /// Puts a copy in the place of a segment's file.
    pub(super) fn replace_file(&mut self, file: Arc<SegmentFile<T>>) {
        if let Some(segment) = self.segments.get_mut(&file.number) {
            segment.file = file;
        }
    }

    pub(super) fn pin(&mut self, segment: u64) {
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.pins += 1;
        }
    }

    pub(super) fn unpin(&mut self, segment: u64, count: u64) {
        if let Some(found) = self.segments.get_mut(&segment) {
            found.pins = found.pins.saturating_sub(count);
            if found.pins == 0 {
                self.emptied.push(segment);
            }
        }
    }

    /// Adds a message, or replaces what is known of it.
    pub(super) fn add_message(&mut self, id: MessageId, record: Location, chunks: &[Location]) {
        let mut located = Located::new(record);
        for segment in chunks.iter().map(|chunk| chunk.segment).chain([record.segment]) {
            located.count(segment);
            self.pin(segment);
        }
        if let Some(earlier) = self.messages.insert(id, located) {
            self.release(&earlier);
            // The earlier record must not come back to life without the later one.
            self.shadow(earlier.record.segment, record.segment);
        }
    }

    /// Counts a fact about a message, recorded in `segment`. Whether there is such a message.
    pub(super) fn add_note(&mut self, id: MessageId, segment: u64) -> bool {
        let Some(located) = self.messages.get_mut(&id) else { return false };
        located.count(segment);
        self.pin(segment);
        true
    }

    /// Forgets a message because a record in `segment` says that it is done. Whether there was such a message.
    pub(super) fn remove_message(&mut self, id: MessageId, segment: u64) -> bool {
        let Some(located) = self.messages.remove(&id) else { return false };
        self.shadow(located.record.segment, segment);
        self.release(&located);
        true
    }

    /// A record in `by` overrules something in `over`, and is needed for as long as that is on disk.
    pub(super) fn shadow(&mut self, over: u64, by: u64) {
        if over == by {
            return;
        }
        if let Some(segment) = self.segments.get_mut(&over) {
            *segment.shadows.entry(by).or_default() += 1;
            self.pin(by);
        }
    }

    fn release(&mut self, located: &Located) {
        for (segment, count) in &located.pins {
            self.unpin(*segment, u64::from(*count));
        }
    }

    /// The next segment without a pin.
    pub(super) fn next_empty(&mut self) -> Option<Arc<SegmentFile<T>>> {
        while let Some(number) = self.emptied.pop() {
            match self.segments.get(&number) {
                Some(segment) if segment.pins == 0 => return Some(Arc::clone(&segment.file)),
                Some(_) | None => {}
            }
        }
        None
    }

    /// Forgets a segment that is gone from the disk, and what overruled things in it.
    pub(super) fn remove_segment(&mut self, number: u64) {
        if let Some(gone) = self.segments.remove(&number) {
            for (by, count) in gone.shadows {
                self.unpin(by, count);
            }
        }
    }
}

/// Keeps the segment of a draft's chunk until the draft is committed or dropped.
pub(super) struct ChunkPin<F: Files> {
    shared: Arc<Shared<F>>,
    pub(super) location: Location,
}

impl<F: Files> ChunkPin<F> {
    /// Takes over a pin that was made already.
    pub(super) fn adopt(shared: Arc<Shared<F>>, location: Location) -> Self {
        Self { shared, location }
    }
}

impl<F: Files> Drop for ChunkPin<F> {
    fn drop(&mut self) {
        self.shared.index().unpin(self.location.segment, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnixMicros;

    fn index(segments: u64) -> Index<()> {
        let mut index = Index::default();
        for number in 1..=segments {
            let name = format!("segment-{number}");
            index.add_segment(Arc::new(SegmentFile { number, epoch: number, size: 0, name, file: () }));
        }
        index
    }

    fn empty(index: &mut Index<()>) -> Vec<u64> {
        std::iter::from_fn(|| index.next_empty()).map(|segment| segment.number).collect()
    }

    fn id(number: u64) -> MessageId {
        MessageId::new(UnixMicros(number), 0)
    }

    fn at(segment: u64) -> Location {
        Location { segment, offset: 64, length: 0 }
    }

    #[test]
    fn a_record_that_says_done_outlives_what_it_is_about() {
        let mut index = index(3);
        index.add_message(id(1), at(1), &[at(1)]);
        index.add_message(id(2), at(1), &[]);
        assert!(index.remove_message(id(1), 2));
        index.unpin(1, 1);
        index.unpin(2, 1);
        assert_eq!(empty(&mut index), [], "message 2 keeps segment 1, and that keeps the tombstone in segment 2");
        assert!(index.remove_message(id(2), 3));
        assert_eq!(empty(&mut index), [1]);
        index.remove_segment(1);
        assert_eq!(empty(&mut index), [2], "segment 3 is the active one");
    }

    #[test]
    fn a_message_is_removed_once() {
        let mut index = index(2);
        index.add_message(id(1), at(1), &[]);
        assert!(index.remove_message(id(1), 2));
        assert!(!index.remove_message(id(1), 2));
        assert!(!index.add_note(id(1), 2));
    }

    #[test]
    fn a_message_that_moved_leaves_its_old_segment() {
        let mut index = index(2);
        index.add_message(id(1), at(1), &[at(1), at(1)]);
        assert!(index.add_note(id(1), 1));
        index.add_message(id(1), at(2), &[at(2), at(2)]);
        index.unpin(1, 1);
        assert_eq!(empty(&mut index), [1]);
        index.remove_segment(1);
        assert!(index.remove_message(id(1), 2));
        index.unpin(2, 1);
        assert_eq!(empty(&mut index), [2]);
    }
}
