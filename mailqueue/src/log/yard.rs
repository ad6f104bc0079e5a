//! Files for segments: prepared ahead, used again, and taken away.

use std::io;
use std::sync::Arc;

use crate::files::{File, Files, Free};

use super::format::SEGMENT_HEADER;
use super::index::{SegmentFile, Shared};

/// How a segment's file is named: this and a number that has no meaning.
pub(super) const NAME: &str = "segment-";
/// How many octets of zeros are written at a time.
const STEP: usize = 1 << 20;

/// A file full of octets that mean nothing, ready to become a segment. Its blocks are allocated, so that writing into it
/// needs neither room on the disk nor a sync of the file system's own books.
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
    /// Records that move so that a segment becomes empty. They leave one spare and the reserve alone.
    Moves,
    /// Facts about mail that is here, which must find room when nothing else does.
    Facts,
}

/// How many spares new mail leaves alone: one for facts, and one in which compaction can make the next.
pub(super) const KEPT: usize = 2;
/// What facts about a message may take until they are joined into one record or it is gone, in octets, with their entries
/// in footers: a few attempts for each of a few recipients. With less, mail that waits long on a full disk comes to a point
/// where nothing about it can be recorded, and so nothing goes.
const FACTS: u64 = 2 << 10;
/// How many new files are left to others.
const FILES: u64 = 16;

pub(super) struct Yard<F: Files> {
    shared: Arc<Shared<F>>,
    spares: Vec<Spare<F::File>>,
    building: Option<Building<F::File>>,
    next_name: u64,
}

/// A spare that is being written, a step after each batch, so that no batch waits for a whole one.
struct Building<T> {
    spare: Spare<T>,
    written: u32,
}

impl<F: Files> Yard<F> {
    /// Takes over what an earlier run left. `next_name` is free, and all above.
    pub(super) fn new(shared: Arc<Shared<F>>, next_name: u64) -> Self {
        Self { shared, spares: Vec::new(), building: None, next_name }
    }

    /// Adds a file that nothing needs any more, or removes it where there are enough.
    pub(super) fn add(&mut self, spare: Spare<F::File>) {
        if !self.is_full() && spare.size == self.shared.config.segment_size {
            self.spares.push(spare);
            self.tell();
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
            Purpose::Moves => 1,
            Purpose::Facts => 0,
        };
        while self.spares.len() <= keep {
            self.finish_building(purpose)?;
        }
        let spare = self.spares.pop().ok_or(Fault::Full);
        self.tell();
        spare
    }

    /// A file of a size that is not the usual one.
    pub(super) fn take_sized(&mut self, size: u32) -> Result<Spare<F::File>, Fault> {
        if size == self.shared.config.segment_size {
            return self.take(Purpose::Facts);
        }
        let mut building = self.begin_building(size)?;
        while building.written < size {
            building.step(STEP)?;
        }
        self.end_building(building)
    }

    /// Makes sure that as many spares are there as configured, where the disk has room.
    pub(super) fn fill(&mut self) -> Result<(), Fault> {
        while !self.is_full() {
            self.finish_building(Purpose::Mail)?;
        }
        Ok(())
    }

    /// Writes a little of the next spare if one is missing. `pace` is how much was just appended to the log: the spare
    /// grows faster than the room left shrinks. Errors leave the spare unmade; who needs it will hear of them.
    pub(super) fn step(&mut self, pace: usize) {
        if self.building.is_none() {
            if self.is_full() || self.disk_is_short() {
                return;
            }
            self.building = self.begin_building(self.shared.config.segment_size).ok();
        }
        let Some(mut building) = self.building.take() else { return };
        let size = building.spare.size as usize;
        if building.step(pace.max(STEP.min(size / 16))).is_err() {
            self.discard(building);
        } else if building.written < building.spare.size {
            self.building = Some(building);
        } else if let Ok(spare) = self.end_building(building) {
            self.spares.push(spare);
            self.tell();
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

    fn finish_building(&mut self, purpose: Purpose) -> Result<(), Fault> {
        match purpose {
            Purpose::Mail | Purpose::Moves if self.disk_is_short() => return Err(Fault::Full),
            Purpose::Mail | Purpose::Moves | Purpose::Facts => {}
        }
        let mut building = match self.building.take() {
            Some(building) => building,
            None => self.begin_building(self.shared.config.segment_size)?,
        };
        while building.written < building.spare.size {
            if let Err(error) = building.step(STEP) {
                self.discard(building);
                return Err(error.into());
            }
        }
        let spare = self.end_building(building)?;
        self.spares.push(spare);
        self.tell();
        Ok(())
    }

    fn begin_building(&mut self, size: u32) -> io::Result<Building<F::File>> {
        let name = format!("{NAME}{:08}", self.next_name);
        self.next_name += 1;
        let file = self.shared.files.create(&name)?;
        Ok(Building { spare: Spare { name, file, size }, written: 0 })
    }

    /// Makes a spare durable with its name: a segment that begins in it later needs no sync of the directory.
    fn end_building(&mut self, building: Building<F::File>) -> Result<Spare<F::File>, Fault> {
        let synced = building.spare.file.sync_data().and_then(|()| self.shared.files.sync_dir());
        match synced {
            Ok(()) => Ok(building.spare),
            Err(error) => {
                self.discard(building);
                Err(error.into())
            }
        }
    }

    fn discard(&mut self, building: Building<F::File>) {
        let name = building.spare.name;
        drop(building.spare.file);
        // Where the name stays, the next start finds a file without a header and removes it.
        let _ = self.shared.files.remove(&name);
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

impl<T: File> Building<T> {
    fn step(&mut self, octets: usize) -> io::Result<()> {
        let left = (self.spare.size - self.written) as usize;
        let octets = octets.min(left);
        self.spare.file.write_all_at(&vec![0; octets], u64::from(self.written))?;
        self.written += octets as u32;
        Ok(())
    }
}
