//! A disk in memory that keeps apart what was written and what was synced, fails any call, and crashes at any call.
//!
//! It is as unkind as disks may be. What was written and not synced survives a crash in any combination of sectors. A
//! sync that failed has lost what it should have written: the octets still read well, and no later sync saves them. Names
//! that were not synced may be missing or still be there, each for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::files::{File, Files, Free};

/// What a disk writes whole or not at all, in octets.
const SECTOR: usize = 512;

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this error, and the calls after it work again. A write may have written a part.
    Once(io::ErrorKind),
    /// It fails, and so do all calls after it.
    Always(io::ErrorKind),
    /// The machine stops. The call may have had any part of its effect.
    Crash,
}

/// What is left of writes that were not synced when the machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// All: only the process died.
    All,
    /// Nothing.
    Nothing,
    /// Some sectors and some names, chosen by this seed.
    Some(u64),
}

/// A directory on the disk. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The names as a process sees them.
    names: BTreeMap<String, Node>,
    /// The names that a crash cannot take away.
    durable_names: BTreeMap<String, Node>,
    /// Changes of names since the last sync of the directory.
    changes: Vec<Change>,
    capacity: Option<u64>,
    files: Option<u64>,
    calls: u64,
    plan: Option<(u64, Fault)>,
    stopped: Option<io::ErrorKind>,
    random: u64,
    syncs: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Add(String, Node),
    Remove(String),
    Rename(String, String, Node),
}

type Node = Arc<Mutex<Contents>>;

/// A file's octets.
#[derive(Debug, Default)]
struct Contents {
    /// As a process reads them.
    current: Vec<u8>,
    /// As they are on the platter.
    durable: Vec<u8>,
    /// Sectors that were written since the last sync.
    dirty: BTreeSet<usize>,
    /// Sectors that a failed sync lost: no sync writes them any more, unless they are written again.
    lost: BTreeSet<usize>,
    /// Sectors that cannot be read.
    unreadable: BTreeSet<usize>,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk {
    /// An empty disk that works.
    pub fn new() -> Self {
        let state = State { random: 0x2545_f491_4f6c_dd1d, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Lets the call number `call`, counted from the next one as 1, meet a fault.
    pub fn fault_at(&self, call: u64, fault: Fault) {
        let mut state = self.state();
        state.plan = Some((state.calls + call, fault));
    }

    /// Lets everything work again. A machine that stopped stays so.
    pub fn repair(&self) {
        if self.is_stopped() {
            return;
        }
        let mut state = self.state();
        state.plan = None;
        state.stopped = None;
    }

    /// Limits the octets of all files together.
    pub fn limit(&self, capacity: Option<u64>) {
        self.state().capacity = capacity;
    }

    /// Limits how many files there may be.
    pub fn limit_files(&self, files: Option<u64>) {
        self.state().files = files;
    }

    /// How many calls were made so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// How many syncs of files and directories were made so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Whether the machine has stopped: no call works any more.
    pub fn is_stopped(&self) -> bool {
        let state = self.state();
        state.stopped.is_some() && !matches!(state.plan, Some((_, Fault::Always(_))))
    }

    /// Whether the planned fault has happened.
    pub fn fault_happened(&self) -> bool {
        let state = self.state();
        state.plan.is_some_and(|(call, _)| state.calls >= call)
    }

    /// Stops the machine now and starts it again: a new disk with what is left. The old one fails every call.
    pub fn crash(&self, survival: Survival) -> Self {
        let mut state = self.state();
        state.stopped = Some(io::ErrorKind::BrokenPipe);
        let mut luck = Luck::new(survival);
        let mut names = state.durable_names.clone();
        for change in &state.changes {
            if luck.keeps() {
                change.apply(&mut names);
            }
        }
        let mut nodes = BTreeMap::new();
        for (name, node) in names {
            let mut contents = lock(&node);
            let octets = contents.after_crash(&mut luck);
            nodes.insert(
                name,
                Arc::new(Mutex::new(Contents { durable: octets.clone(), current: octets, ..Contents::default() })),
            );
        }
        let next = State {
            durable_names: nodes.clone(),
            names: nodes,
            capacity: state.capacity,
            files: state.files,
            random: luck.random,
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(next)) }
    }

    /// Changes octets of a file behind everyone's back.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let node = self.state().names.get(name).cloned();
        if let Some(node) = node {
            let mut contents = lock(&node);
            change(&mut contents.current);
            contents.durable = contents.current.clone();
        }
    }

    /// Makes the sector around an octet of a file unreadable.
    pub fn scratch(&self, name: &str, at: usize) {
        if let Some(node) = self.state().names.get(name) {
            lock(node).unreadable.insert(at / SECTOR);
        }
    }

    /// The octets of a file, as a process reads them.
    pub fn octets(&self, name: &str) -> Option<Vec<u8>> {
        let node = self.state().names.get(name).cloned()?;
        let contents = lock(&node);
        Some(contents.current.clone())
    }

    /// Counts a call, and says what happens in it.
    fn call(&self) -> io::Result<Happens> {
        let mut state = self.state();
        state.calls += 1;
        if let Some(kind) = state.stopped {
            return Err(kind.into());
        }
        match state.plan {
            Some((call, fault)) if call == state.calls => {
                let kind = match fault {
                    Fault::Once(kind) => kind,
                    Fault::Always(kind) => {
                        state.stopped = Some(kind);
                        kind
                    }
                    Fault::Crash => {
                        state.stopped = Some(io::ErrorKind::BrokenPipe);
                        io::ErrorKind::BrokenPipe
                    }
                };
                state.random = next_random(state.random);
                Ok(Happens::Fault { kind, luck: state.random, crash: fault == Fault::Crash })
            }
            Some(_) | None => Ok(Happens::Normally),
        }
    }

    /// For calls that a fault leaves without effect.
    fn plain_call(&self) -> io::Result<()> {
        match self.call()? {
            Happens::Normally => Ok(()),
            Happens::Fault { kind, .. } => Err(kind.into()),
        }
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let happens = self.call()?;
        let mut state = self.state();
        let carry_out = match happens {
            Happens::Normally => true,
            // Only a crash leaves open whether it happened.
            Happens::Fault { luck, crash, .. } => crash && luck % 2 == 0,
        };
        if carry_out {
            change.apply(&mut state.names);
            state.changes.push(change);
        }
        match happens {
            Happens::Normally => Ok(()),
            Happens::Fault { kind, .. } => Err(kind.into()),
        }
    }

    fn used(&self) -> u64 {
        self.state().names.values().map(|node| lock(node).current.len() as u64).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Normally,
    Fault { kind: io::ErrorKind, luck: u64, crash: bool },
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Node>) {
        match self {
            Self::Add(name, node) => drop(names.insert(name.clone(), Arc::clone(node))),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), Arc::clone(node));
            }
        }
    }
}

impl Contents {
    fn write(&mut self, octets: &[u8], offset: usize) {
        let end = offset + octets.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        if let Some(target) = self.current.get_mut(offset..end) {
            target.copy_from_slice(octets);
        }
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            self.dirty.insert(sector);
            self.lost.remove(&sector);
        }
    }

    fn sync(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.current, &mut self.durable, sector);
        }
    }

    fn after_crash(&mut self, luck: &mut Luck) -> Vec<u8> {
        let mut left = self.durable.clone();
        for sector in self.dirty.iter().chain(&self.lost) {
            if luck.keeps() {
                copy_sector(&self.current, &mut left, *sector);
            }
        }
        left
    }
}

fn copy_sector(from: &[u8], to: &mut Vec<u8>, sector: usize) {
    let start = sector * SECTOR;
    let end = (start + SECTOR).min(from.len());
    if to.len() < end {
        to.resize(end, 0);
    }
    if let (Some(target), Some(source)) = (to.get_mut(start..end), from.get(start..end)) {
        target.copy_from_slice(source);
    }
}

/// Decides what a crash leaves.
struct Luck {
    survival: Survival,
    random: u64,
}

impl Luck {
    fn new(survival: Survival) -> Self {
        let random = match survival {
            Survival::All | Survival::Nothing => 1,
            Survival::Some(seed) => seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        };
        Self { survival, random }
    }

    fn keeps(&mut self) -> bool {
        match self.survival {
            Survival::All => true,
            Survival::Nothing => false,
            Survival::Some(_) => {
                self.random = next_random(self.random);
                self.random >> 63 == 0
            }
        }
    }
}

/// A step of xorshift: enough chance for a test, and the same in each run.
fn next_random(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    state
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files for Disk {
    type File = DiskFile;
    type Lock = ();

    fn lock(&self) -> io::Result<()> {
        self.plain_call()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.plain_call()?;
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<DiskFile> {
        if self.state().names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let state = self.state();
        if state.files.is_some_and(|most| state.names.len() as u64 >= most) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        drop(state);
        let node = Node::default();
        self.change(Change::Add(name.to_owned(), Arc::clone(&node)))?;
        Ok(DiskFile { disk: self.clone(), node })
    }

    fn open(&self, name: &str) -> io::Result<DiskFile> {
        self.plain_call()?;
        let node = self.state().names.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(DiskFile { disk: self.clone(), node })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let node = self.state().names.get(from).cloned().ok_or(io::ErrorKind::NotFound)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned(), node))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if !self.state().names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(Change::Remove(name.to_owned()))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.plain_call()?;
        let mut state = self.state();
        state.syncs += 1;
        state.changes.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn free(&self) -> io::Result<Free> {
        self.plain_call()?;
        let used = self.used();
        let state = self.state();
        let octets = state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used));
        let files = state.files.map_or(u64::MAX, |most| most.saturating_sub(state.names.len() as u64));
        Ok(Free { octets, files })
    }
}

/// An open file of a [`Disk`].
#[derive(Clone, Debug)]
pub struct DiskFile {
    disk: Disk,
    node: Node,
}

impl File for DiskFile {
    fn read_exact_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.plain_call()?;
        let contents = lock(&self.node);
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let sectors = start / SECTOR..(start + octets.len()).div_ceil(SECTOR);
        if contents.unreadable.range(sectors).next().is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        let source = contents.current.get(start..).and_then(|rest| rest.get(..octets.len()));
        octets.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        let happens = self.disk.call()?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let written = match happens {
            Happens::Normally => octets,
            // Some sectors from its start: nobody knows how many.
            Happens::Fault { luck, .. } => {
                let sectors = (start + octets.len()).div_ceil(SECTOR) - start / SECTOR;
                let end = (start / SECTOR + (luck >> 32) as usize % (sectors + 1)) * SECTOR;
                octets.get(..end.saturating_sub(start).min(octets.len())).unwrap_or_default()
            }
        };
        let grows = (start + written.len()).saturating_sub(lock(&self.node).current.len()) as u64;
        if grows > 0 {
            let capacity = self.disk.state().capacity;
            if capacity.is_some_and(|capacity| self.disk.used() + grows > capacity) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        lock(&self.node).write(written, start);
        match happens {
            Happens::Normally => Ok(()),
            Happens::Fault { kind, .. } => Err(kind.into()),
        }
    }

    fn allocate(&self, octets: u64) -> io::Result<()> {
        self.disk.plain_call()?;
        let octets = usize::try_from(octets).map_err(|_| io::ErrorKind::InvalidInput)?;
        let capacity = self.disk.state().capacity;
        if capacity.is_some_and(|capacity| self.disk.used() + octets as u64 > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        lock(&self.node).write(&vec![0; octets], 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let happens = self.disk.call()?;
        let mut contents = lock(&self.node);
        match happens {
            Happens::Normally => {
                contents.sync();
                drop(contents);
                self.disk.state().syncs += 1;
                Ok(())
            }
            // The machine stopped before it ended: what is dirty stays so.
            Happens::Fault { kind, crash: true, .. } => Err(kind.into()),
            Happens::Fault { kind, crash: false, .. } => {
                let dirty = std::mem::take(&mut contents.dirty);
                contents.lost.extend(dirty);
                Err(kind.into())
            }
        }
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.plain_call()?;
        Ok(lock(&self.node).current.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &DiskFile, length: usize) -> Vec<u8> {
        let mut octets = vec![0; length];
        file.read_exact_at(&mut octets, 0).unwrap();
        octets
    }

    #[test]
    fn a_crash_takes_what_was_not_synced() {
        let disk = Disk::new();
        let file = disk.create("a").unwrap();
        file.write_all_at(b"old", 0).unwrap();
        file.sync_data().unwrap();
        assert!(disk.crash(Survival::Nothing).open("a").is_err(), "its name was not synced");
        let disk = Disk::new();
        let file = disk.create("a").unwrap();
        file.write_all_at(b"old", 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir().unwrap();
        file.write_all_at(b"new", 0).unwrap();
        let kept = disk.crash(Survival::All);
        assert_eq!(read(&kept.open("a").unwrap(), 3), b"new");
        let lost = disk.crash(Survival::Nothing);
        assert_eq!(read(&lost.open("a").unwrap(), 3), b"old");
        assert!(file.sync_data().is_err(), "the machine of before is gone");
    }

    #[test]
    fn what_a_failed_sync_lost_no_later_sync_saves() {
        let disk = Disk::new();
        let file = disk.create("a").unwrap();
        disk.sync_dir().unwrap();
        file.write_all_at(&[1; 2 * SECTOR], 0).unwrap();
        disk.fault_at(1, Fault::Once(io::ErrorKind::Other));
        assert!(file.sync_data().is_err());
        assert_eq!(read(&file, 3), [1; 3], "it still reads well");
        file.write_all_at(&[2; SECTOR], SECTOR as u64).unwrap();
        file.sync_data().unwrap();
        let left = read(&disk.crash(Survival::Nothing).open("a").unwrap(), 2 * SECTOR);
        assert_eq!(left, [[0; SECTOR], [2; SECTOR]].concat());
    }

    #[test]
    fn a_torn_write_survives_by_sectors() {
        let disk = Disk::new();
        let file = disk.create("a").unwrap();
        file.write_all_at(&[0; 64 * SECTOR], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir().unwrap();
        file.write_all_at(&[1; 64 * SECTOR], 0).unwrap();
        let left = read(&disk.crash(Survival::Some(3)).open("a").unwrap(), 64 * SECTOR);
        let kept = left.chunks(SECTOR).filter(|sector| **sector == [1; SECTOR]).count();
        assert!((8..56).contains(&kept), "{kept}");
        assert!(left.chunks(SECTOR).all(|sector| sector == [1; SECTOR] || sector == [0; SECTOR]));
    }

    #[test]
    fn a_full_disk_says_so() {
        let disk = Disk::new();
        disk.limit(Some(1000));
        let file = disk.create("a").unwrap();
        file.write_all_at(&[1; 900], 0).unwrap();
        assert_eq!(disk.free().unwrap().octets, 100);
        assert_eq!(file.write_all_at(&[1; 200], 900).unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.write_all_at(&[2; 900], 0).unwrap();
    }
}
