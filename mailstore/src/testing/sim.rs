//! A disk in memory that fails when it is told to, and forgets what was not synced when its power goes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::{OsStr, OsString},
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::maildir::{Directory, File, Files, Held, Kind, Meta, Stamp};

/// When it is on this disk at first.
const BEGINNING: i64 = 1_800_000_000;

/// How long every call takes, in nanoseconds.
const CALL: u32 = 1_000_000;

/// What a call does that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The device reports an error, once. A write is done by half; what a sync did not save, no later one does.
    Error,
    /// There is no space, once. A write is done by half.
    Full,
    /// The power goes, or the process dies: nothing works any more until [`SimFiles::restart`] or [`SimFiles::revive`].
    PowerOff,
}

/// What happens at a restart to what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of it is lost.
    All,
    /// By luck, nothing of it.
    Nothing,
    /// Each change is lost or not, and files are cut anywhere behind what was synced, as this number decides.
    Some(u64),
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimFiles {
    disk: Arc<Mutex<SimDisk>>,
}

#[derive(Debug)]
struct SimDisk {
    inodes: HashMap<u64, Inode>,
    root: u64,
    /// What happened to names since it was last made durable.
    pending: Vec<Change>,
    /// What names would be there after a restart.
    durable: HashMap<u64, BTreeMap<OsString, u64>>,
    locks: HashSet<u64>,
    clock: Stamp,
    calls: u64,
    plan: Option<(u64, Failure)>,
    power: Power,
    /// How often the power has come back: what was opened before does not work any more.
    life: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    Off,
}

#[derive(Debug)]
struct Inode {
    content: Content,
    modified: Stamp,
    changed: Stamp,
}

#[derive(Debug)]
enum Content {
    Dir(BTreeMap<OsString, u64>),
    File {
        data: Vec<u8>,
        /// How much of it is durable.
        synced: usize,
        modified_synced: Stamp,
        /// A sync has failed: what it should have saved never will be.
        spoilt: bool,
    },
}

#[derive(Clone, Debug)]
enum Change {
    Put { dir: u64, name: OsString, inode: u64 },
    Take { dir: u64, name: OsString },
    Move { from: (u64, OsString), to: (u64, OsString), inode: u64 },
}

impl Change {
    fn touches(&self, concerned: u64) -> bool {
        match self {
            Self::Put { dir, .. } | Self::Take { dir, .. } => *dir == concerned,
            Self::Move { from, to, .. } => from.0 == concerned || to.0 == concerned,
        }
    }

    fn apply(self, names: &mut HashMap<u64, BTreeMap<OsString, u64>>) {
        match self {
            Self::Put { dir, name, inode } => {
                names.entry(dir).or_default().insert(name, inode);
            }
            Self::Take { dir, name } => {
                names.entry(dir).or_default().remove(&name);
            }
            Self::Move { from, to, inode } => {
                let old = names.entry(from.0).or_default();
                if old.get(&from.1) == Some(&inode) {
                    old.remove(&from.1);
                }
                names.entry(to.0).or_default().insert(to.1, inode);
            }
        }
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        let root = next_inode();
        let clock = Stamp { seconds: BEGINNING, nanos: 0 };
        let inode = Inode { content: Content::Dir(BTreeMap::new()), modified: clock, changed: clock };
        Self {
            inodes: HashMap::from([(root, inode)]),
            root,
            pending: Vec::new(),
            durable: HashMap::new(),
            locks: HashSet::new(),
            clock,
            calls: 0,
            plan: None,
            power: Power::On,
            life: 0,
        }
    }
}

impl SimFiles {
    /// Makes an empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a call fail: the next is 1.
    pub fn fail_at(&self, call: u64, how: Failure) {
        let mut disk = self.disk();
        disk.plan = Some((disk.calls + call, how));
    }

    /// Whether a failure is still to come. It is taken back.
    pub fn take_plan(&self) -> bool {
        self.disk().plan.take().is_some()
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.disk().calls
    }

    /// Lets time pass.
    pub fn pass(&self, seconds: i64) {
        self.disk().clock.seconds += seconds;
    }

    /// Switches the power off and on again.
    pub fn restart(&self, loss: Loss) {
        let mut disk = self.disk();
        let mut luck = Luck::new(loss);
        let mut names = std::mem::take(&mut disk.durable);
        for change in std::mem::take(&mut disk.pending) {
            if luck.keeps() {
                change.apply(&mut names);
            }
        }
        for (number, inode) in &mut disk.inodes {
            match &mut inode.content {
                Content::Dir(entries) => *entries = names.get(number).cloned().unwrap_or_default(),
                Content::File { data, synced, modified_synced, spoilt } => {
                    data.truncate(luck.cut(*synced, data.len()));
                    *synced = data.len();
                    *spoilt = false;
                    if !luck.keeps() {
                        inode.modified = *modified_synced;
                    }
                    *modified_synced = inode.modified;
                }
            }
        }
        disk.durable = names;
        disk.locks.clear();
        disk.plan = None;
        disk.power = Power::On;
        disk.life += 1;
    }

    /// Goes on as if only the process had died: files opened before are closed, and nothing is lost, nor is it durable.
    pub fn revive(&self) {
        let mut disk = self.disk();
        disk.locks.clear();
        disk.plan = None;
        disk.power = Power::On;
        disk.life += 1;
    }

    fn disk(&self) -> MutexGuard<'_, SimDisk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call; it may fail here.
    fn call(&self) -> io::Result<MutexGuard<'_, SimDisk>> {
        let mut disk = self.disk();
        match disk.due()? {
            None => Ok(disk),
            Some(failure) => Err(disk.fail(failure)),
        }
    }

    fn handle(&self, inode: u64, life: u64) -> Box<SimFile> {
        Box::new(SimFile { files: self.clone(), inode, life })
    }
}

impl SimDisk {
    /// Counts a call, and says how it is to fail.
    fn due(&mut self) -> io::Result<Option<Failure>> {
        if self.power == Power::Off {
            return Err(device_error());
        }
        self.calls += 1;
        self.tick();
        match self.plan {
            Some((call, failure)) if call == self.calls => {
                self.plan = None;
                Ok(Some(failure))
            }
            Some(_) | None => Ok(None),
        }
    }

    fn fail(&mut self, failure: Failure) -> io::Error {
        match failure {
            Failure::Error => device_error(),
            Failure::Full => io::ErrorKind::StorageFull.into(),
            Failure::PowerOff => {
                self.power = Power::Off;
                device_error()
            }
        }
    }

    fn tick(&mut self) {
        self.clock.nanos += CALL;
        if self.clock.nanos >= 1_000_000_000 {
            self.clock.nanos -= 1_000_000_000;
            self.clock.seconds += 1;
        }
    }

    fn entries(&mut self, dir: u64) -> io::Result<&mut BTreeMap<OsString, u64>> {
        match self.inodes.get_mut(&dir).map(|inode| &mut inode.content) {
            Some(Content::Dir(entries)) => Ok(entries),
            Some(Content::File { .. }) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn find(&mut self, path: &Path) -> io::Result<u64> {
        let mut at = self.root;
        for name in path {
            at = *self.entries(at)?.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    fn parent<'p>(&mut self, path: &'p Path) -> io::Result<(u64, &'p OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.find(path.parent().unwrap_or(Path::new("")))?;
        self.entries(dir)?;
        Ok((dir, name))
    }

    fn put(&mut self, path: &Path, content: Content) -> io::Result<u64> {
        let (dir, name) = self.parent(path)?;
        if self.entries(dir)?.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = next_inode();
        self.inodes.insert(inode, Inode { content, modified: self.clock, changed: self.clock });
        self.name(dir, name, inode)?;
        Ok(inode)
    }

    fn name(&mut self, dir: u64, name: &OsStr, inode: u64) -> io::Result<()> {
        self.entries(dir)?.insert(name.to_owned(), inode);
        self.pending.push(Change::Put { dir, name: name.to_owned(), inode });
        self.modified(dir);
        Ok(())
    }

    fn modified(&mut self, inode: u64) {
        let clock = self.clock;
        if let Some(inode) = self.inodes.get_mut(&inode) {
            (inode.modified, inode.changed) = (clock, clock);
        }
    }

    fn meta(&self, number: u64) -> io::Result<Meta> {
        let inode = self.inodes.get(&number).ok_or(io::ErrorKind::NotFound)?;
        let (len, kind) = match &inode.content {
            Content::Dir(_) => (0, Kind::Dir),
            Content::File { data, .. } => (data.len() as u64, Kind::File),
        };
        Ok(Meta { id: number, len, modified: inode.modified, changed: inode.changed, kind })
    }
}

impl Files for SimFiles {
    fn now(&self) -> Stamp {
        let mut disk = self.disk();
        disk.tick();
        disk.clock
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.call()?.put(path, Content::Dir(BTreeMap::new())).map(drop)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.call()?;
        let inode = disk.find(path)?;
        if !disk.entries(inode)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (dir, name) = disk.parent(path)?;
        disk.entries(dir)?.remove(name);
        disk.pending.push(Change::Take { dir, name: name.to_owned() });
        disk.modified(dir);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut disk = self.call()?;
        let dir = disk.find(dir)?;
        Ok(disk.entries(dir)?.keys().cloned().collect())
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn Directory>> {
        let mut disk = self.call()?;
        let inode = disk.find(dir)?;
        disk.entries(inode)?;
        Ok(self.handle(inode, disk.life))
    }

    fn stat(&self, path: &Path) -> io::Result<Meta> {
        let mut disk = self.call()?;
        let inode = disk.find(path)?;
        disk.meta(inode)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut disk = self.call()?;
        let modified_synced = disk.clock;
        let inode = disk.put(path, Content::File { data: Vec::new(), synced: 0, modified_synced, spoilt: false })?;
        Ok(self.handle(inode, disk.life))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut disk = self.call()?;
        let inode = disk.find(path)?;
        Ok(self.handle(inode, disk.life))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.call()?;
        let inode = disk.find(from)?;
        let ((from_dir, from), (to_dir, to)) = (disk.parent(from)?, disk.parent(to)?);
        let there = disk.entries(to_dir)?.get(to).copied();
        if there == Some(inode) {
            return Ok(());
        }
        if there.is_some_and(|there| disk.entries(there).is_ok_and(|entries| !entries.is_empty())) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        disk.entries(from_dir)?.remove(from);
        disk.entries(to_dir)?.insert(to.to_owned(), inode);
        let (from, to) = ((from_dir, from.to_owned()), (to_dir, to.to_owned()));
        disk.pending.push(Change::Move { from, to, inode });
        disk.modified(from_dir);
        disk.modified(to_dir);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.call()?;
        let inode = disk.find(from)?;
        let (dir, name) = disk.parent(to)?;
        if disk.entries(dir)?.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        disk.name(dir, name, inode)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.call()?;
        let (dir, name) = disk.parent(path)?;
        disk.entries(dir)?.remove(name).ok_or(io::ErrorKind::NotFound)?;
        disk.pending.push(Change::Take { dir, name: name.to_owned() });
        disk.modified(dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.call()?;
        let dir = disk.find(dir)?;
        for change in std::mem::take(&mut disk.pending) {
            if change.touches(dir) {
                change.apply(&mut disk.durable);
            } else {
                disk.pending.push(change);
            }
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        if let Err(error) = self.create(path)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        let mut disk = self.call()?;
        let inode = disk.find(path)?;
        let free = disk.locks.insert(inode);
        let held: Box<dyn Held> = Box::new(SimHeld { files: self.clone(), inode, life: disk.life });
        Ok(free.then_some(held))
    }
}

/// An open file or directory.
struct SimFile {
    files: SimFiles,
    inode: u64,
    life: u64,
}

impl SimFile {
    fn call(&self) -> io::Result<(MutexGuard<'_, SimDisk>, Option<Failure>)> {
        let mut disk = self.files.disk();
        if disk.life != self.life {
            return Err(device_error());
        }
        let failure = disk.due()?;
        Ok((disk, failure))
    }

    /// What a name in this directory stands for.
    fn named(&self, name: &OsStr) -> io::Result<(MutexGuard<'_, SimDisk>, u64)> {
        let (mut disk, failure) = self.call()?;
        if let Some(failure) = failure {
            return Err(disk.fail(failure));
        }
        let inode = *disk.entries(self.inode)?.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok((disk, inode))
    }
}

impl Directory for SimFile {
    fn stat(&self, name: &OsStr) -> io::Result<Meta> {
        let (disk, inode) = self.named(name)?;
        disk.meta(inode)
    }

    fn open(&self, name: &OsStr) -> io::Result<Box<dyn File>> {
        let (disk, inode) = self.named(name)?;
        Ok(self.files.handle(inode, disk.life))
    }
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (mut disk, failure) = self.call()?;
        if let Some(failure) = failure {
            return Err(disk.fail(failure));
        }
        match disk.inodes.get(&self.inode).map(|inode| &inode.content) {
            Some(Content::File { data, .. }) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| data.get(offset..)).unwrap_or_default();
                Ok(io::Read::read(&mut &*rest, buffer)?)
            }
            Some(Content::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(device_error()),
        }
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let (mut disk, failure) = self.call()?;
        let written = if failure.is_some() { octets.len() / 2 } else { octets.len() };
        disk.modified(self.inode);
        if let Some(Content::File { data, .. }) = disk.inodes.get_mut(&self.inode).map(|inode| &mut inode.content) {
            data.extend_from_slice(octets.get(..written).unwrap_or_default());
        }
        failure.map_or(Ok(()), |failure| Err(disk.fail(failure)))
    }

    fn sync(&self) -> io::Result<()> {
        let (mut disk, failure) = self.call()?;
        if let Some(Inode { modified, content: Content::File { data, synced, modified_synced, spoilt }, .. }) =
            disk.inodes.get_mut(&self.inode)
        {
            if failure.is_some() {
                *spoilt = *synced < data.len();
            } else if !*spoilt {
                *synced = data.len();
                *modified_synced = *modified;
            }
        }
        failure.map_or(Ok(()), |failure| Err(disk.fail(failure)))
    }

    fn stat(&self) -> io::Result<Meta> {
        let (mut disk, failure) = self.call()?;
        match failure {
            Some(failure) => Err(disk.fail(failure)),
            None => disk.meta(self.inode),
        }
    }

    fn set_modified(&self, to: Stamp) -> io::Result<()> {
        let (mut disk, failure) = self.call()?;
        match failure {
            Some(failure) => Err(disk.fail(failure)),
            None => {
                let clock = disk.clock;
                if let Some(inode) = disk.inodes.get_mut(&self.inode) {
                    (inode.modified, inode.changed) = (to, clock);
                }
                Ok(())
            }
        }
    }
}

struct SimHeld {
    files: SimFiles,
    inode: u64,
    life: u64,
}

impl Held for SimHeld {}

impl Drop for SimHeld {
    fn drop(&mut self) {
        let mut disk = self.files.disk();
        if disk.life == self.life {
            disk.locks.remove(&self.inode);
        }
    }
}

/// Decides what is lost.
struct Luck {
    loss: Loss,
    state: u64,
}

impl Luck {
    fn new(loss: Loss) -> Self {
        let state = match loss {
            Loss::All | Loss::Nothing => 0,
            Loss::Some(seed) => seed,
        };
        Self { loss, state }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn keeps(&mut self) -> bool {
        match self.loss {
            Loss::All => false,
            Loss::Nothing => true,
            Loss::Some(_) => self.next().is_multiple_of(2),
        }
    }

    fn cut(&mut self, synced: usize, len: usize) -> usize {
        match self.loss {
            Loss::All => synced,
            Loss::Nothing => len,
            Loss::Some(_) => synced + usize::try_from(self.next()).unwrap_or(0) % (len - synced + 1),
        }
    }
}

fn device_error() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())
}

/// No number is used twice in a process: locks are known by them, on all disks.
fn next_inode() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(1);
    LAST.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> &Path {
        Path::new(text)
    }

    fn content(files: &SimFiles, name: &str) -> Option<Vec<u8>> {
        let mut buffer = [0; 100];
        let read = files.open(path(name)).ok()?.read_at(&mut buffer, 0).ok()?;
        Some(buffer[..read].to_vec())
    }

    #[test]
    fn only_what_was_synced_is_sure() {
        let files = SimFiles::new();
        files.make_dir(path("d")).unwrap();
        files.sync_dir(path("")).unwrap();
        for name in ["d/both", "d/name", "d/data", "d/none"] {
            let mut file = files.create(path(name)).unwrap();
            if name.contains("none") {
                continue;
            }
            file.write(b"synced").unwrap();
            if name != "d/name" {
                file.sync().unwrap();
            }
            file.write(b" not").unwrap();
            if name == "d/name" || name == "d/both" {
                files.sync_dir(path("d")).unwrap();
            }
        }
        files.rename(path("d/both"), path("d/else")).unwrap();
        files.restart(Loss::All);
        assert_eq!(content(&files, "d/both").unwrap(), b"synced");
        assert_eq!(content(&files, "d/name").unwrap(), b"");
        assert_eq!(content(&files, "d/data"), None);
        assert_eq!(content(&files, "d/else"), None);
    }

    #[test]
    fn a_move_is_in_one_of_both_places() {
        for seed in 0..20 {
            let files = SimFiles::new();
            for name in ["a", "b"] {
                files.make_dir(path(name)).unwrap();
            }
            files.create(path("a/x")).unwrap();
            files.sync_dir(path("")).unwrap();
            files.sync_dir(path("a")).unwrap();
            files.rename(path("a/x"), path("b/y")).unwrap();
            files.restart(Loss::Some(seed));
            let there = ["a/x", "b/y"].map(|name| files.stat(path(name)).is_ok());
            assert_ne!(there[0], there[1]);
        }
    }

    #[test]
    fn what_a_failed_sync_did_not_save_is_never_saved() {
        let files = SimFiles::new();
        let mut file = files.create(path("x")).unwrap();
        files.sync_dir(path("")).unwrap();
        file.write(b"lost").unwrap();
        files.fail_at(1, Failure::Error);
        assert!(file.sync().is_err());
        assert!(file.sync().is_ok());
        assert_eq!(content(&files, "x").unwrap(), b"lost", "as long as the power is on");
        files.restart(Loss::All);
        assert_eq!(content(&files, "x").unwrap(), b"");
        assert!(file.write(b"x").is_err(), "opened before the restart");
    }

    #[test]
    fn failures_come_when_they_are_told_to() {
        let files = SimFiles::new();
        files.fail_at(2, Failure::Full);
        files.make_dir(path("a")).unwrap();
        assert_eq!(files.make_dir(path("b")).unwrap_err().kind(), io::ErrorKind::StorageFull);
        files.make_dir(path("b")).unwrap();
        files.fail_at(1, Failure::PowerOff);
        assert!(files.stat(path("a")).is_err() && files.stat(path("a")).is_err());
        files.restart(Loss::Nothing);
        files.stat(path("a")).unwrap();
    }
}
