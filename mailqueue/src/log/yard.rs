//! Files for segments: prepared ahead, used again, and taken away.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::files::{File, Files, Free};

use super::Preparation;
use super::format::SEGMENT_HEADER;
use super::index::{SegmentFile, Shared};

/// How a segment's file is named: this and a number that has no meaning.
pub(super) const NAME: &str = "segment-";
/// The least octets of a spare that are written between two batches.
const STEP: usize = 1 << 20;
/// What a spare is full of, as much of it as is written at a time.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// A file full of octets that mean nothing, ready to become a segment. Its blocks are allocated, so that writing into it
/// needs no room on the disk; see [`Filling`] for what else it may need.
#[derive(Debug)]
pub(super) struct Spare<T> {
    pub(super) name: String,
    pub(super) file: T,
    pub(super) size: u32,
}

/// Why there is no spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Full,
    TooLarge,
    Io(io::ErrorKind),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::Full;
        }
        Self::Io(error.kind())
    }
}

/// Who wants a spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// New mail. It leaves [`KEPT`] spares and the disk's reserve alone.
    Mail,
    /// Records that move so that a segment becomes empty. They leave two spares and the reserve alone.
    Moves,
    /// Facts about mail that is here, which must find room when nothing else does. They leave one spare alone.
    Facts,
    /// The copy of a segment that a start makes. What it copies becomes a spare for it.
    Start,
}

/// How many spares new mail leaves alone: one for the next start, one for facts, and one in which compaction can make another.
pub(super) const KEPT: usize = 3;
/// What facts about a message may take until they are joined into one record or it is gone, in octets, with their entries
/// in footers: a few attempts for each of a few recipients. With less, mail that waits long on a full disk comes to a point
/// where nothing about it can be recorded, and so nothing goes.
const FACTS: u64 = 2 << 10;
/// How many new files are left to others.
const FILES: u64 = 16;

/// How new spares are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    /// With zeros that were written: then a sync of what is written over them has nothing to say about the file itself, and
    /// is one trip to the disk where it would be several.
    Written,
    /// With room that reads as zeros. Each octet goes to the disk once, not twice, and each sync keeps the file's books too.
    Allocated,
}

/// From this many octets for each sync on, or a quarter of a segment, room is enough: writing as many zeros would take longer
/// than the books do.
const BULK: u32 = 256 << 10;

pub(super) struct Yard<F: Files> {
    shared: Arc<Shared<F>>,
    spares: Vec<Spare<F::File>>,
    next: Next<F::File>,
    next_name: u64,
    filling: Filling,
}

/// The next spare.
enum Next<T> {
    /// Nobody makes one.
    None,
    /// It is written a step after each batch, so that no batch waits for a whole one.
    Between(Building<T>),
    /// A thread makes it.
    Beside(JoinHandle<Result<Spare<T>, Fault>>),
}

/// A spare that is not finished.
struct Building<T> {
    spare: Spare<T>,
    written: u32,
}

impl<F: Files> Yard<F> {
    /// Takes over what an earlier run left. `next_name` is free, and all above.
    pub(super) fn new(shared: Arc<Shared<F>>, next_name: u64) -> Self {
        Self { shared, spares: Vec::new(), next: Next::None, next_name, filling: Filling::Written }
    }

    /// Hears how many octets the last segment took for each of its syncs: the next ones will be like it.
    pub(super) fn expect(&mut self, octets: u32) {
        let is_bulk = octets >= BULK.min(self.shared.config.segment_size / 4);
        self.filling = if is_bulk { Filling::Allocated } else { Filling::Written };
    }

    /// Adds a file that nothing needs any more, or removes it where there are enough.
    pub(super) fn add(&mut self, spare: Spare<F::File>) {
        if !self.is_full() && spare.size == self.shared.config.segment_size {
            self.keep(spare);
        } else {
            // A name that stays is a spare again at the next start, and is removed then.
            drop(spare.file);
            let _ = self.shared.files.remove(&spare.name);
        }
    }

    /// A file to write in.
    pub(super) fn take(&mut self, purpose: Purpose) -> Result<Spare<F::File>, Fault> {
        let keep = match purpose {
            Purpose::Mail => KEPT,
            Purpose::Moves => 2,
            Purpose::Facts => 1,
            Purpose::Start => 0,
        };
        while self.spares.len() <= keep {
            self.finish_next(purpose)?;
        }
        let spare = self.spares.pop().ok_or(Fault::Full);
        self.tell();
        spare
    }

    /// A file of a size that is not the usual one.
    pub(super) fn take_sized(&mut self, size: u32) -> Result<Spare<F::File>, Fault> {
        if size == self.shared.config.segment_size {
            return self.take(Purpose::Start);
        }
        let name = self.new_name();
        Building::begin(&self.shared, name, size, Filling::Written)?.finish(&self.shared)
    }

    /// Makes sure that as many spares are there as configured, where the disk has room.
    pub(super) fn fill(&mut self) -> Result<(), Fault> {
        while !self.is_full() {
            self.finish_next(Purpose::Mail)?;
        }
        Ok(())
    }

    /// Goes on with the next spare if one is missing. `pace` is how much was just appended to the log: a spare that is
    /// written between batches grows faster than the room left shrinks. Errors leave it unmade; who needs it will hear of
    /// them.
    pub(super) fn step(&mut self, pace: usize) {
        match std::mem::replace(&mut self.next, Next::None) {
            Next::None if self.is_full() || self.disk_is_short() => {}
            Next::None => {
                let _ = self.begin_next();
            }
            Next::Between(mut building) => {
                let size = building.spare.size;
                if building.write(pace.max(STEP.min(size as usize / 16))).is_err() {
                    building.discard(&self.shared);
                } else if building.written < size {
                    self.next = Next::Between(building);
                } else if let Ok(spare) = building.finish(&self.shared) {
                    self.keep(spare);
                }
            }
            Next::Beside(thread) if thread.is_finished() => {
                if let Ok(spare) = joined(thread) {
                    self.keep(spare);
                }
            }
            Next::Beside(thread) => self.next = Next::Beside(thread),
        }
    }

    /// Uses the file of a segment again that was wiped. The caller has forgotten the segment.
    pub(super) fn reuse(&mut self, segment: Arc<SegmentFile<F::File>>) {
        match Arc::try_unwrap(segment) {
            Ok(SegmentFile { name, file, size, .. }) => self.add(Spare { name, file, size }),
            // Someone still reads it: what is written into it next must not be read for what was there.
            Err(segment) => {
                let _ = self.shared.files.remove(&segment.name);
            }
        }
    }

    fn finish_next(&mut self, purpose: Purpose) -> Result<(), Fault> {
        match purpose {
            Purpose::Mail | Purpose::Moves if self.disk_is_short() => return Err(Fault::Full),
            Purpose::Mail | Purpose::Moves | Purpose::Facts | Purpose::Start => {}
        }
        let spare = match std::mem::replace(&mut self.next, Next::None) {
            Next::None => {
                let (name, size) = (self.new_name(), self.shared.config.segment_size);
                Building::begin(&self.shared, name, size, self.filling)?.finish(&self.shared)
            }
            Next::Between(building) => building.finish(&self.shared),
            Next::Beside(thread) => joined(thread),
        };
        self.keep(spare?);
        Ok(())
    }

    fn begin_next(&mut self) -> Result<(), Fault> {
        let (name, size) = (self.new_name(), self.shared.config.segment_size);
        self.next = match self.shared.config.preparation {
            Preparation::Between => Next::Between(Building::begin(&self.shared, name, size, self.filling)?),
            Preparation::Beside => {
                let (shared, filling) = (Arc::clone(&self.shared), self.filling);
                let make = move || Building::begin(&shared, name, size, filling)?.finish(&shared);
                Next::Beside(thread::Builder::new().name("spool-prepare".to_owned()).spawn(make)?)
            }
        };
        Ok(())
    }

    fn new_name(&mut self) -> String {
        let name = format!("{NAME}{:08}", self.next_name);
        self.next_name += 1;
        name
    }

    fn keep(&mut self, spare: Spare<F::File>) {
        self.spares.push(spare);
        self.tell();
    }

    /// Whether another segment would eat into the disk's reserve. A disk that does not say is asked by the writes.
    pub(super) fn disk_is_short(&self) -> bool {
        room(&self.shared).is_ok_and(|segments| segments == 0)
    }

    /// Whether as many spares are there as configured.
    pub(super) fn is_full(&self) -> bool {
        self.spares.len() >= self.wanted()
    }

    fn wanted(&self) -> usize {
        self.shared.config.spares.saturating_add(KEPT)
    }

    fn tell(&self) {
        self.shared.index().spares = self.spares.len();
    }
}

/// How many more segments may be made before the reserve is reached: what is left to others, and what facts about the
/// messages that are here will need.
pub(super) fn room<F: Files>(shared: &Shared<F>) -> io::Result<u64> {
    let Free { octets, files } = shared.files.free()?;
    let facts = (shared.index().messages() as u64).saturating_mul(FACTS);
    let octets = octets.saturating_sub(shared.config.reserve).saturating_sub(facts);
    Ok((octets / u64::from(shared.config.segment_size)).min(files.saturating_sub(FILES)))
}

/// Says on disk that a segment is not in use any more. When this returns `Ok`, nothing in it can come back.
pub(super) fn wipe<T: File>(segment: &SegmentFile<T>) -> io::Result<()> {
    segment.file.write_all_at(&[0; SEGMENT_HEADER], 0)?;
    segment.file.sync_data()
}

fn joined<T>(thread: JoinHandle<Result<Spare<T>, Fault>>) -> Result<Spare<T>, Fault> {
    thread.join().unwrap_or(Err(Fault::Io(io::ErrorKind::Other)))
}

impl<F: Files> Drop for Yard<F> {
    /// Whoever opens the directory next must not find anyone at work in it.
    fn drop(&mut self) {
        if let Next::Beside(thread) = std::mem::replace(&mut self.next, Next::None) {
            drop(thread.join());
        }
    }
}

impl<T: File> Building<T> {
    fn begin<F: Files<File = T>>(shared: &Shared<F>, name: String, size: u32, filling: Filling) -> Result<Self, Fault> {
        let file = shared.files.create(&name)?;
        let mut building = Self { spare: Spare { name, file, size }, written: 0 };
        match filling {
            Filling::Written => {}
            Filling::Allocated => match building.spare.file.allocate(u64::from(size)) {
                Ok(()) => building.written = size,
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(error) => {
                    building.discard(shared);
                    return Err(error.into());
                }
            },
        }
        Ok(building)
    }

    fn write(&mut self, octets: usize) -> io::Result<()> {
        let end = self.written.saturating_add(u32::try_from(octets).unwrap_or(u32::MAX)).min(self.spare.size);
        while self.written < end {
            let (zeros, _) = ZEROS.split_at(ZEROS.len().min((end - self.written) as usize));
            self.spare.file.write_all_at(zeros, u64::from(self.written))?;
            self.written += zeros.len() as u32;
        }
        Ok(())
    }

    /// Writes what is left and makes the spare durable with its name: a segment that begins in it later needs no sync of
    /// the directory.
    fn finish<F: Files<File = T>>(mut self, shared: &Shared<F>) -> Result<Spare<T>, Fault> {
        let size = self.spare.size as usize;
        let made = self.write(size).and_then(|()| self.spare.file.sync_data()).and_then(|()| shared.files.sync_dir());
        match made {
            Ok(()) => Ok(self.spare),
            Err(error) => {
                self.discard(shared);
                Err(error.into())
            }
        }
    }

    fn discard<F: Files<File = T>>(self, shared: &Shared<F>) {
        let name = self.spare.name;
        drop(self.spare.file);
        // Where the name stays, the next start finds a file without a header and removes it.
        let _ = shared.files.remove(&name);
    }
}
