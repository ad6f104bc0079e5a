//! Opening a log: what the files say, what of it can be trusted, and making the rest trustworthy.
//!
//! After a crash, the end of the log may be in the page cache alone, even where it reads well; after a failed sync, so may
//! anything. So whatever is not proven to have been synced is copied to a fresh file and synced there before anyone acts
//! on it. The original goes only then: while both exist, the original counts.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use crate::files::{File, Files};

use super::committer::Active;
use super::format::{Opening, SEGMENT_HEADER, SegmentHeader};
use super::index::{Index, SegmentFile, Shared};
use super::replay::{Place, Replay};
use super::report::{OpenError, Report};
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
    let trusted: HashMap<(u64, u32), u32> = found
        .segments
        .iter()
        .filter_map(|one| one.header.poisoned.map(|poison| ((poison.number, poison.generation), poison.trusted)))
        .collect();
    let last = found.segments.last().map_or(0, |one| one.header.number);
    let mut replay = Replay::new(Arc::clone(&shared), yard, report);
    let mut active = None;
    for segment in found.segments {
        let SegmentHeader { number, generation, .. } = segment.header;
        let place = if number == last { Place::Last } else { Place::Earlier };
        active = replay.segment(segment, place, trusted.get(&(number, generation)).copied())?;
    }
    let (mut yard, report) = replay.finish();
    match yard.fill() {
        // What is here can be delivered without.
        Ok(()) | Err(Fault::Full) => {}
        Err(fault) => return Err(fault.into()),
    }
    shared.index().room = active.as_ref().map_or(0, |active| u64::from(active.segment.size - active.end));
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

pub(super) struct Original<T> {
    pub(super) name: String,
    pub(super) file: T,
    pub(super) header: SegmentHeader,
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
        let file = match files.open(&name) {
            Ok(file) => file,
            // A directory, or a link to nothing: no segment of ours.
            Err(error) if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        let opening = read_opening(&file)?;
        if opening == Opening::Spare && file.size()? >= SEGMENT_HEADER as u64 {
            // That the last process wiped it may be in memory alone, where the disk failed to sync that: a segment would be
            // back after a crash, and be taken for the original of its copies.
            file.write_all_at(&[0; SEGMENT_HEADER], 0)?;
            file.sync_data()?;
        }
        match opening {
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
    if !spares.is_empty() {
        // The process that made one may have died before it synced the name.
        files.sync_dir()?;
    }
    let mut originals: Vec<Original<F::File>> = Vec::with_capacity(segments.len());
    let mut copies = Vec::new();
    for segment in segments.into_values() {
        let Original { name, file, header } = segment;
        match originals.last() {
            Some(original) if original.header.number == header.number => {
                copies.push(header.segment_file(name, file));
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
pub(super) fn set_aside(files: &impl Files, name: &str) -> io::Result<String> {
    let aside = name.replacen(NAME, SET_ASIDE, 1);
    files.rename(name, &aside)?;
    files.sync_dir()?;
    Ok(aside)
}
