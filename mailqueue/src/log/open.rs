//! Opening a log: what the files say, what of it can be trusted, and making the rest trustworthy.
//!
//! After a crash, the end of the log may be in the page cache alone, even where it reads well; after a failed sync, so may
//! anything. So whatever is not proven to have been synced is copied to a fresh file and synced there before anyone acts
//! on it. The original goes only then: while both exist, the original counts.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::files::{File, Files};
use crate::{Detail, Held, MessageId, Note, Progress, Stored};

use super::codec::{Location, read_message, read_note};
use super::committer::{Active, fresh_epoch};
use super::format::{
    Kind, Opening, RECORD_HEADER, SEGMENT_HEADER, Scan, SegmentHeader, Stamp, append_record, record_size, scan,
};
use super::index::{Index, SegmentFile, Shared};
use super::report::{Damage, OpenError, Report};
use super::yard::{Fault, NAME, Spare, Yard, wipe};
use super::{LogConfig, MAX_SEGMENT};

/// How files that cannot be trusted are named. They are kept for whoever wants to look, and not read again.
const SET_ASIDE: &str = "damaged-";

/// A log that was read.
pub(super) struct Opened<F: Files> {
    pub(super) shared: Arc<Shared<F>>,
    pub(super) yard: Yard<F>,
    pub(super) active: Option<Active<F::File>>,
    pub(super) next_number: u64,
    pub(super) report: Report,
}

/// Reads a log, in a directory that is locked.
pub(super) fn open<F: Files>(files: F, config: LogConfig) -> Result<Opened<F>, OpenError> {
    let mut report = Report::default();
    let found = survey(&files, &config, &mut report)?;
    let shared = Arc::new(Shared::new(files, config, Index::default()));
    let mut yard = Yard::new(Arc::clone(&shared), found.next_name);
    for spare in found.spares {
        yard.add(spare);
    }
    for copy in found.copies {
        wipe(&copy)?;
        yard.reuse(Arc::new(copy));
    }
    let trusted: HashMap<u64, u32> = found
        .segments
        .iter()
        .filter(|one| one.header.poisoned != 0)
        .map(|one| (one.header.poisoned, one.header.trusted))
        .collect();
    let last = found.segments.last().map_or(0, |one| one.header.number);
    let mut replay =
        Replay { shared: Arc::clone(&shared), yard, report, messages: BTreeMap::new(), chunks: HashMap::new() };
    let mut active = None;
    for segment in found.segments {
        let number = segment.header.number;
        let place = if number == last { Place::Last } else { Place::Earlier };
        active = replay.segment(segment, place, trusted.get(&number).copied())?;
    }
    let Replay { mut yard, mut report, messages, chunks, .. } = replay;
    match yard.fill() {
        // What is here can be delivered without.
        Ok(()) | Err(Fault::Full) => {}
        Err(fault) => return Err(fault.into()),
    }
    report.messages = messages.len();
    report.orphan_chunks = chunks.len();
    {
        let mut index = shared.index();
        index.untaken = messages.into_values().collect();
        index.room = active.as_ref().map_or(0, |active| u64::from(active.segment.size - active.end));
    }
    Ok(Opened { shared, yard, active, next_number: last + 1, report })
}

/// The files of a directory, told apart.
struct Survey<T> {
    spares: Vec<Spare<T>>,
    /// In the log's order.
    segments: Vec<Original<T>>,
    /// Copies whose original is still there.
    copies: Vec<SegmentFile<T>>,
    next_name: u64,
}

struct Original<T> {
    name: String,
    file: T,
    header: SegmentHeader,
}

fn survey<F: Files>(files: &F, config: &LogConfig, report: &mut Report) -> Result<Survey<F::File>, OpenError> {
    let mut spares = Vec::new();
    let mut segments: BTreeMap<(u64, u32), Original<F::File>> = BTreeMap::new();
    let mut next_name = 1;
    let mut names = files.list()?;
    names.sort();
    for name in names {
        if let Some(number) = name.strip_prefix(SET_ASIDE).or_else(|| name.strip_prefix(NAME)) {
            next_name = next_name.max(number.parse::<u64>().map_or(0, |number| number.saturating_add(1)));
        }
        if !name.starts_with(NAME) {
            continue;
        }
        let file = files.open(&name)?;
        match read_opening(&file)? {
            // One that was not finished has another size.
            Opening::Spare if file.size()? == u64::from(config.segment_size) => {
                spares.push(Spare { name, file, size: config.segment_size });
            }
            Opening::Spare => {
                drop(file);
                files.remove(&name)?;
            }
            Opening::Newer(version) => return Err(OpenError::Newer { file: name, version }),
            Opening::Damaged => report.set_aside.push(set_aside(files, &name)?),
            Opening::Segment(header) if header.size > MAX_SEGMENT => report.set_aside.push(set_aside(files, &name)?),
            Opening::Segment(header) => {
                segments.insert((header.number, header.generation), Original { name, file, header });
            }
        }
    }
    let mut originals: Vec<Original<F::File>> = Vec::with_capacity(segments.len());
    let mut copies = Vec::new();
    for segment in segments.into_values() {
        let Original { name, file, header } = segment;
        match originals.last() {
            Some(original) if original.header.number == header.number => {
                let SegmentHeader { number, epoch, size, .. } = header;
                copies.push(SegmentFile { number, epoch, size, name, file });
            }
            Some(_) | None => originals.push(Original { name, file, header }),
        }
    }
    Ok(Survey { spares, segments: originals, copies, next_name })
}

fn read_opening(file: &impl File) -> io::Result<Opening> {
    let mut octets = [0; SEGMENT_HEADER];
    match file.read_exact_at(&mut octets, 0) {
        Ok(()) => Ok(SegmentHeader::decode(&octets)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Opening::Spare),
        Err(error) => Err(error),
    }
}

/// Gives a file a name under which it is not read again.
fn set_aside(files: &impl Files, name: &str) -> io::Result<String> {
    let aside = name.replacen(NAME, SET_ASIDE, 1);
    files.rename(name, &aside)?;
    files.sync_dir()?;
    Ok(aside)
}

/// Where a segment stands in the log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Last,
    Earlier,
}

/// Folds records into what they mean.
struct Replay<F: Files> {
    shared: Arc<Shared<F>>,
    yard: Yard<F>,
    report: Report,
    messages: BTreeMap<MessageId, Stored>,
    /// Chunks that no message named so far.
    chunks: HashMap<(u64, u32), u32>,
}

impl<F: Files> Replay<F> {
    /// Takes in the next segment of the log; returns it if the log can go on in it.
    fn segment(
        &mut self,
        original: Original<F::File>,
        place: Place,
        trusted: Option<u32>,
    ) -> Result<Option<Active<F::File>>, OpenError> {
        let Original { name, file, header } = original;
        let (mut octets, unreadable) = read_segment(&file, header.size)?;
        if let Some(trusted) = trusted {
            octets.truncate(trusted as usize);
        }
        let found = scan(&octets, header.epoch);
        let ended = found.records.last().is_some_and(|record| record.kind == Kind::Footer);
        let proven = match place {
            // The next segment was begun, so that the sync of this one's footer had succeeded.
            Place::Earlier if ended => octets.len(),
            Place::Earlier | Place::Last => trusted.map_or(found.durable, |trusted| trusted as usize),
        };
        let holes = found.holes.iter().filter(|hole| hole.start < proven).cloned();
        let damaged: Vec<Range<usize>> = holes.chain(unreadable).collect();
        let SegmentHeader { number, epoch, size, .. } = header;
        let segment = Arc::new(SegmentFile { number, epoch, size, name, file });
        self.shared.index().add_segment(Arc::clone(&segment));
        self.report.segments += 1;
        let torn = self.fold(number, &octets, &found, proven);
        for hole in &damaged {
            self.report.damage.push(Damage { file: segment.name.clone(), at: hole.start, length: hole.len() });
        }
        if found.holes.iter().any(|hole| hole.start >= proven) || !torn.is_empty() {
            self.report.torn_tails += 1;
        }
        if ended && place == Place::Earlier && damaged.is_empty() {
            self.shared.index().unpin(number, 1);
            return Ok(None);
        }
        self.rewrite(segment, header, &octets, &found, &torn, place, &damaged)
    }

    /// Copies a segment to a fresh file, syncs it, and lets the original go. Every record stays at its offset.
    #[expect(clippy::too_many_arguments, reason = "they are what `segment` found out, and are used nowhere else")]
    fn rewrite(
        &mut self,
        original: Arc<SegmentFile<F::File>>,
        header: SegmentHeader,
        octets: &[u8],
        found: &Scan,
        torn: &[usize],
        place: Place,
        damaged: &[Range<usize>],
    ) -> Result<Option<Active<F::File>>, OpenError> {
        let Spare { name, file, size } = self.yard.take_sized(header.size)?;
        let header = SegmentHeader {
            // A copy may hold records of the version that wrote the original.
            minor: header.minor,
            generation: header.generation.saturating_add(1),
            epoch: fresh_epoch()?,
            poisoned: 0,
            trusted: 0,
            ..header
        };
        let end = found.end as u32;
        let mut image = header.encode().to_vec();
        let mut sequence = 0;
        // All of the copy is synced before it counts, which is what the last field says.
        let mut stamp = || {
            sequence += 1;
            Stamp { epoch: header.epoch, sequence: sequence - 1, durable: end }
        };
        for record in &found.records {
            let gap = record.offset - image.len();
            if let Some(filler) = gap.checked_sub(RECORD_HEADER) {
                append_record(&mut image, Kind::Filler, stamp(), &[&vec![0; filler]]);
            }
            image.resize(record.offset, 0);
            let payload = octets.get(record.payload.clone()).unwrap_or_default();
            let kind = if torn.contains(&record.offset) { Kind::Filler } else { record.kind };
            append_record(&mut image, kind, stamp(), &[payload]);
        }
        let ended = found.records.last().is_some_and(|record| record.kind == Kind::Footer);
        let room = (size as usize).saturating_sub(image.len());
        // A log that is opened often must not leave a segment behind each time.
        let goes_on = place == Place::Last
            && !ended
            && size == self.shared.config.segment_size
            && room > record_size(0) + size as usize / 8;
        if !goes_on && !ended {
            append_record(&mut image, Kind::Footer, stamp(), &[]);
        }
        let next_sequence = sequence;
        file.write_all_at(&image, 0)?;
        file.sync_data()?;
        let copy = Arc::new(SegmentFile { number: header.number, epoch: header.epoch, size, name, file });
        self.shared.index().replace_file(Arc::clone(&copy));
        self.let_go(original, damaged)?;
        if goes_on {
            return Ok(Some(Active { segment: copy, end, sequence: next_sequence, durable: end, poison: None }));
        }
        self.shared.index().unpin(header.number, 1);
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

    /// Takes in the records of a segment. Returns the offsets of messages that were never committed: the crash that cut
    /// off their octets came before their sync.
    fn fold(&mut self, segment: u64, octets: &[u8], found: &Scan, proven: usize) -> Vec<usize> {
        let mut torn = Vec::new();
        for record in &found.records {
            let payload = octets.get(record.payload.clone()).unwrap_or_default();
            let location = Location { segment, offset: record.offset as u32, length: record.payload.len() as u32 };
            match record.kind {
                Kind::Chunk => {
                    self.chunks.insert((segment, location.offset), location.length);
                }
                Kind::Message => match self.message(location, payload, record.end() <= proven) {
                    Read::Taken => {}
                    Read::Torn => torn.push(record.offset),
                    Read::NotUnderstood => self.keep_unknown(segment, record.kind),
                },
                Kind::Progress | Kind::Standing | Kind::Done => match read_note(record.kind, payload) {
                    Some((id, note)) => self.note(segment, id, &note),
                    None => self.keep_unknown(segment, record.kind),
                },
                Kind::Footer | Kind::Filler => {}
                Kind::Unknown(_) => self.keep_unknown(segment, record.kind),
            }
        }
        torn
    }

    fn message(&mut self, location: Location, payload: &[u8], proven: bool) -> Read {
        let Some(message) = read_message(payload) else { return Read::NotUnderstood };
        let there = |chunk: &Location| self.chunks.get(&(chunk.segment, chunk.offset)) == Some(&chunk.length);
        let whole = message.chunks.iter().all(there);
        if !whole && !proven {
            return Read::Torn;
        }
        for chunk in &message.chunks {
            self.chunks.remove(&(chunk.segment, chunk.offset));
        }
        let mut stored = message.stored();
        if !whole {
            self.report.damaged_messages.push(message.id);
            hold_damaged(&mut stored);
        }
        self.shared.index().add_message(message.id, location, &message.chunks);
        self.messages.insert(message.id, stored);
        Read::Taken
    }

    /// Facts about messages that are gone say nothing any more.
    fn note(&mut self, segment: u64, id: MessageId, note: &Note) {
        match note {
            Note::Done => {
                self.shared.index().remove_message(id, segment);
                self.messages.remove(&id);
            }
            Note::Progress(_) | Note::Hold | Note::Release => {
                if let Some(stored) = self.messages.get_mut(&id) {
                    self.shared.index().add_note(id, segment);
                    stored.note(note);
                }
            }
        }
    }

    /// What a newer version wrote is for it to read: the segment stays.
    fn keep_unknown(&mut self, segment: u64, kind: Kind) {
        self.shared.index().pin(segment);
        self.report.unknown.push(kind.number());
    }
}

enum Read {
    Taken,
    Torn,
    NotUnderstood,
}

/// A message whose octets cannot be read is shown to the operator, and not sent.
fn hold_damaged(stored: &mut Stored) {
    let at = stored.arrived;
    for (_, progress) in &mut stored.recipients {
        let attempts = match progress {
            Progress::Delivered { .. } => continue,
            Progress::Fresh => 0,
            Progress::Trying { attempt, .. } => *attempt,
            Progress::Deferred { attempts, .. } | Progress::Held { attempts, .. } => *attempts,
        };
        let detail = Detail::from("the spool cannot read the message any more");
        *progress = Progress::Held { attempts, at, why: Held::Damaged, detail };
    }
}

/// Reads a segment. Where the disk cannot read a part of it, that part is zeros, and is named.
fn read_segment(file: &impl File, size: u32) -> io::Result<(Vec<u8>, Vec<Range<usize>>)> {
    /// What a disk loses at once.
    const PART: usize = 4096;
    let size = file.size()?.min(u64::from(size)) as usize;
    let mut octets = vec![0; size];
    let mut unreadable = Vec::new();
    if file.read_exact_at(&mut octets, 0).is_err() {
        for (number, part) in octets.chunks_mut(PART).enumerate() {
            let at = number * PART;
            if file.read_exact_at(part, at as u64).is_err() {
                part.fill(0);
                unreadable.push(at..at + part.len());
            }
        }
    }
    Ok((octets, unreadable))
}
