//! Taking a log in again, segment by segment: from what a footer lists, or from the records themselves.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::MessageId;
use crate::files::{File, Files};

use super::codec::{self, CHUNK_HEAD, Fate, Head, Link, read_head};
use super::committer::{Active, fresh_epoch};
use super::format::{
    Found, Kind, RECORD_HEADER, SEGMENT_HEADER, Scan, SegmentHeader, Stamp, append_record, footer, footer_size,
    read_listing, scan,
};
use super::index::{SegmentFile, Shared};
use super::listing::{Entry, Letter};
use super::open::{Original, set_aside};
use super::read::read_segment;
use super::report::{Damage, OpenError, Report};
use super::yard::{Spare, Yard, wipe};

/// Where a segment stands in the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Last,
    Earlier,
}

/// Folds records into what they mean.
pub(super) struct Replay<F: Files> {
    shared: Arc<Shared<F>>,
    yard: Yard<F>,
    report: Report,
    /// Segments that are proven and were not searched: what they list is there.
    listed: HashSet<u64>,
    /// Chunks in the other segments, and whose they are.
    chunks: HashMap<codec::Place, (MessageId, u32)>,
    /// Those of them that some message named.
    named: HashSet<codec::Place>,
    /// Messages that lack octets. Their segments may be gone for a reason, which comes later in the log.
    lacking: Vec<(MessageId, codec::Place)>,
}

/// What was found out about a segment that was searched.
struct Searched<F: Files> {
    original: Arc<SegmentFile<F::File>>,
    header: SegmentHeader,
    place: Place,
    octets: Vec<u8>,
    found: Scan,
    /// Records that count as not written.
    torn: HashSet<usize>,
    damaged: Vec<Range<usize>>,
    listing: Vec<u8>,
}

impl<F: Files> Replay<F> {
    pub(super) fn new(shared: Arc<Shared<F>>, yard: Yard<F>, report: Report) -> Self {
        Self {
            shared,
            yard,
            report,
            listed: HashSet::new(),
            chunks: HashMap::new(),
            named: HashSet::new(),
            lacking: Vec::new(),
        }
    }

    pub(super) fn finish(mut self) -> (Yard<F>, Report) {
        let index = self.shared.index();
        self.report.messages = index.messages();
        let orphan =
            |(place, (id, _)): &(&codec::Place, &(MessageId, u32))| !self.named.contains(place) && !index.contains(*id);
        self.report.orphan_chunks = self.chunks.iter().filter(orphan).count();
        let current =
            |(id, place): &&(MessageId, codec::Place)| index.stand(*id).is_some_and(|stand| stand.message == *place);
        self.report.damaged_messages = self.lacking.iter().filter(current).map(|(id, _)| *id).collect();
        drop(index);
        (self.yard, self.report)
    }

    /// Takes in the next segment of the log; returns it if the log can go on in it. `trusted` says how much of it counts
    /// where its sync failed.
    pub(super) fn segment(
        &mut self,
        original: Original<F::File>,
        place: Place,
        trusted: Option<u32>,
    ) -> Result<Option<Active<F::File>>, OpenError> {
        let Original { name, file, header } = original;
        let number = header.number;
        if !self.shared.index().reaches(number) {
            return Err(OpenError::Io(io::ErrorKind::InvalidData.into()));
        }
        let segment = Arc::new(header.segment_file(name, file));
        self.shared.index().add_segment(Arc::clone(&segment), None);
        self.report.segments += 1;
        // The next segment was begun, so that the sync of this one's footer had succeeded.
        if place == Place::Earlier
            && trusted.is_none()
            && let Some(listing) = read_listing(&segment.file, segment.size, segment.epoch)
            && let Some(entries) = Entry::read_all(&listing)
        {
            self.listed.insert(number);
            for entry in &entries {
                self.take_in(number, entry);
            }
            self.shared.index().seal(number);
            return Ok(None);
        }
        self.search(segment, header, place, trusted)
    }

    /// Looks at every record.
    fn search(
        &mut self,
        original: Arc<SegmentFile<F::File>>,
        header: SegmentHeader,
        place: Place,
        trusted: Option<u32>,
    ) -> Result<Option<Active<F::File>>, OpenError> {
        let (mut octets, unreadable) = read_segment(&original.file, header.size)?;
        if let Some(trusted) = trusted {
            octets.truncate(trusted as usize);
        }
        let found = scan(&octets, header.epoch);
        let ended = found.records.last().is_some_and(|record| record.kind == Kind::Footer);
        let proven = match place {
            Place::Earlier if ended => octets.len(),
            Place::Earlier | Place::Last => trusted.map_or(found.durable, |trusted| trusted as usize),
        };
        let holes = found.holes.iter().filter(|hole| hole.start < proven).cloned();
        let damaged: Vec<Range<usize>> = holes.chain(unreadable).collect();
        let (torn, listing) = self.fold(header.number, &octets, &found, proven);
        for hole in &damaged {
            self.report.damage.push(Damage { file: original.name.clone(), at: hole.start, length: hole.len() });
        }
        if found.holes.iter().any(|hole| hole.start >= proven) || !torn.is_empty() {
            self.report.torn_tails += 1;
        }
        if ended && place == Place::Earlier && damaged.is_empty() {
            self.shared.index().seal(header.number);
            return Ok(None);
        }
        self.rewrite(Searched { original, header, place, octets, found, torn, damaged, listing })
    }

    /// Copies a segment to a fresh file, syncs it, and lets the original go. Every record stays at its offset.
    fn rewrite(&mut self, searched: Searched<F>) -> Result<Option<Active<F::File>>, OpenError> {
        let Searched { original, header, place, octets, found, torn, damaged, listing } = searched;
        let Spare { name, file, size } = self.yard.take_sized(header.size)?;
        let header = SegmentHeader {
            // A copy may hold records of the version that wrote the original.
            minor: header.minor,
            generation: header.generation.saturating_add(1),
            epoch: fresh_epoch()?,
            poisoned: None,
            ..header
        };
        let records: Vec<&Found> = found.records.iter().filter(|record| record.kind != Kind::Footer).collect();
        let end = records.last().map_or(SEGMENT_HEADER, |record| record.end());
        let mut image = header.encode().to_vec();
        let mut sequence = 0;
        // All of the copy is synced before it counts, which is what the last field says.
        let mut stamp = || {
            sequence += 1;
            Stamp { epoch: header.epoch, sequence: sequence - 1, durable: end as u32 }
        };
        for record in records {
            let gap = record.offset - image.len();
            if let Some(filler) = gap.checked_sub(RECORD_HEADER) {
                append_record(&mut image, Kind::Filler, stamp(), &[&vec![0; filler]]);
            }
            image.resize(record.offset, 0);
            let payload = octets.get(record.payload.clone()).unwrap_or_default();
            let kind = if torn.contains(&record.offset) { Kind::Filler } else { record.kind };
            append_record(&mut image, kind, stamp(), &[payload]);
        }
        let room = (size as usize).saturating_sub(end);
        // A log that is opened often must not leave a segment behind each time.
        let goes_on = place == Place::Last
            && size == self.shared.config.segment_size
            && room > footer_size(listing.len()) + size as usize / 8;
        // A newer version may have left too little room. Then the copy is searched and copied again at the next start.
        if !goes_on && footer_size(listing.len()) <= room {
            append_record(&mut image, Kind::Footer, stamp(), &[&footer(&listing, end, size as usize)]);
        }
        let next_sequence = sequence;
        file.write_all_at(&image, 0)?;
        file.sync_data()?;
        let copy = Arc::new(header.segment_file(name, file));
        self.shared.index().replace_file(Arc::clone(&copy));
        self.let_go(original, &damaged)?;
        if goes_on {
            let (end, sequence) = (end as u32, next_sequence);
            return Ok(Some(Active {
                syncs: 0,
                segment: copy,
                end,
                sequence,
                durable: end,
                poison: None,
                listing,
                unsynced: Vec::new(),
            }));
        }
        self.shared.index().seal(header.number);
        Ok(None)
    }

    /// Takes a file out of the log: a damaged one stays for whoever wants to look at it.
    fn let_go(&mut self, original: Arc<SegmentFile<F::File>>, damaged: &[Range<usize>]) -> io::Result<()> {
        if damaged.is_empty() {
            wipe(&original)?;
            self.yard.reuse(original);
        } else {
            self.report.set_aside.push(set_aside(&self.shared.files, &original.name)?);
        }
        Ok(())
    }

    /// Takes in the records of a segment. Returns the offsets of those that count as not written, since the crash that cut
    /// off what belongs to them came before their sync; and the list of all others.
    fn fold(&mut self, segment: u64, octets: &[u8], found: &Scan, proven: usize) -> (HashSet<usize>, Vec<u8>) {
        let mut torn = HashSet::new();
        let mut entries = Vec::new();
        let mut whole = HashSet::new();
        let over = ended(segment, octets, found, proven);
        for record in &found.records {
            let payload = octets.get(record.payload.clone()).unwrap_or_default();
            let place = codec::Place { segment, offset: record.offset as u32 };
            let Some(entry) = Entry::of_record(record.kind, payload, place) else { continue };
            match &entry {
                Entry::Chunk { id, .. } => {
                    let length = payload.len().saturating_sub(CHUNK_HEAD) as u32;
                    self.chunks.insert(place, (*id, length));
                }
                Entry::Message(letter) => {
                    let head = read_head(payload);
                    let complete = head.as_ref().is_some_and(|head| self.is_complete(head));
                    let linked = letter.beside.as_ref().is_none_or(|beside| self.is_linked(&beside.link));
                    // A message that is over may lack octets, since their segment may be gone for that. Its record has to stay:
                    // it says which other segments have what must not come back.
                    if record.end() > proven && !(complete && linked) && !over.contains(&letter.id) {
                        torn.insert(record.offset);
                        continue;
                    }
                    // Facts before those beside it may be gone for a reason; its octets may not.
                    if !complete {
                        self.lacking.push((letter.id, place));
                    }
                    self.named.extend(head.iter().flat_map(|head| &head.chunks).map(|chunk| chunk.place));
                    whole.insert(letter.id);
                }
                Entry::Facts(linked) if record.end() > proven && !self.is_linked(&linked.link) => {
                    torn.insert(record.offset);
                    continue;
                }
                Entry::Facts(_) | Entry::Rules { .. } | Entry::Unknown { .. } => {}
            }
            self.take_in(segment, &entry);
            entries.push(entry);
        }
        let mut listing = Vec::new();
        for entry in &entries {
            // A message speaks for its chunks.
            if !matches!(entry, Entry::Chunk { id, .. } if whole.contains(id)) {
                entry.put(&mut listing);
            }
        }
        (torn, listing)
    }

    /// Whether all octets of a message were found.
    fn is_complete(&self, head: &Head) -> bool {
        head.chunks.iter().all(|chunk| {
            self.listed.contains(&chunk.place.segment)
                || self.chunks.get(&chunk.place) == Some(&(head.id, chunk.length))
        })
    }

    /// Whether the facts before these were found. The end of a message relies on nothing.
    fn is_linked(&self, link: &Link) -> bool {
        let stand = self.shared.index().stand(link.id);
        link.fate != Fate::Open || stand.is_none_or(|stand| stand.last == link.previous)
    }

    /// Facts about messages that are gone say nothing any more, but that they are gone.
    fn take_in(&mut self, segment: u64, entry: &Entry) {
        let mut index = self.shared.index();
        match entry {
            Entry::Message(letter) => {
                index.add_message(segment, letter);
                index.untaken.insert(letter.id, letter.wake);
                if let Some(beside) = &letter.beside {
                    index.add_facts(segment, beside);
                }
            }
            Entry::Facts(linked) => {
                index.add_facts(segment, linked);
            }
            Entry::Chunk { .. } => {}
            Entry::Rules { offset, octets } => index.set_rules(codec::Place { segment, offset: *offset }, *octets),
            Entry::Unknown { kind } => {
                // It is for the newer version to read: the segment stays.
                index.hold(segment, 1);
                index.fix(segment);
                drop(index);
                self.report.unknown.push(*kind);
            }
        }
    }
}

/// The messages that are done by what stands behind the proven part of a segment.
fn ended(segment: u64, octets: &[u8], found: &Scan, proven: usize) -> HashSet<MessageId> {
    let entry = |record: &Found| {
        let place = codec::Place { segment, offset: record.offset as u32 };
        Entry::of_record(record.kind, octets.get(record.payload.clone()).unwrap_or_default(), place)
    };
    let link = |entry| match entry {
        Entry::Facts(linked) | Entry::Message(Letter { beside: Some(linked), .. }) => Some(linked.link),
        Entry::Message(_) | Entry::Chunk { .. } | Entry::Rules { .. } | Entry::Unknown { .. } => None,
    };
    let links = found.records.iter().filter(|record| record.end() > proven).filter_map(entry).filter_map(link);
    links.filter(|link| link.fate != Fate::Open).map(|link| link.id).collect()
}
