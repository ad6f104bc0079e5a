//! The real file system below one directory.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::FileExt,
        },
    },
    path::{Component, Path, PathBuf},
};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
#[cfg(target_os = "linux")]
use rustix::{fs::ResolveFlags, io::ReadWriteFlags};

use super::files::{Directory, File, Files, Held, Kind, Meta, Stamp};

/// Files are private to the user whose process it is.
const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const DIR_MODE: Mode = Mode::from_raw_mode(0o700);

/// Reads, and does not wait for ever where somebody has put a pipe.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// Nothing leads out of the root, and no symbolic link anywhere.
#[cfg(target_os = "linux")]
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// The real file system below one directory. The directory itself may be reached through symbolic links; below it none
/// is followed, whoever may have put it there.
#[derive(Debug)]
pub struct Disk {
    root: OwnedFd,
    path: PathBuf,
}

impl Disk {
    /// Opens a directory as a store's root, and makes it when it is not there.
    ///
    /// # Errors
    /// As the system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let path = path.canonicalize()?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::open(&path, flags, Mode::empty())?, path })
    }

    fn beneath(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        #[cfg(target_os = "linux")]
        match rustix::fs::openat2(&self.root, path, flags, mode, RESOLVE) {
            // Kernels before 5.6 and some sandboxes do not have it.
            Err(Errno::NOSYS | Errno::PERM) => {}
            opened => return Ok(opened?),
        }
        self.walk(path, flags, mode)
    }

    /// The same, if all that it takes is in memory. Kernels before 5.12 do not know that, and refuse.
    #[cfg(target_os = "linux")]
    fn cached(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        if path.as_os_str().is_empty() {
            return Err(Errno::INVAL);
        }
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), RESOLVE | ResolveFlags::CACHED)
    }

    /// The same step by step.
    fn walk(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let (dir, name) = split(path)?;
        let step = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut at = rustix::fs::openat(&self.root, ".", step, Mode::empty())?;
        for component in dir.components() {
            match component {
                Component::Normal(name) => at = rustix::fs::openat(&at, name, step, Mode::empty())?,
                Component::CurDir => {}
                Component::Prefix(_) | Component::RootDir | Component::ParentDir => return Err(outside()),
            }
        }
        Ok(rustix::fs::openat(&at, name, flags, mode)?)
    }

    /// The directory a name is in, and the name.
    fn parent<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
        let (dir, name) = split(path)?;
        Ok((self.beneath(dir, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())?, name))
    }
}

fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(dir), Some(name)) => Ok((dir, name)),
        (None, _) | (Some(_), None) if path == Path::new(".") => Ok((Path::new(""), OsStr::new("."))),
        (None, _) | (Some(_), None) => Err(outside()),
    }
}

/// A name that leads nowhere but into the directory it is looked up in.
fn single(name: &OsStr) -> io::Result<&OsStr> {
    match name.as_bytes() {
        b"" | b"." | b".." => Err(outside()),
        octets if octets.contains(&b'/') => Err(outside()),
        _ => Ok(name),
    }
}

fn outside() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the path leaves the store")
}

impl Files for Disk {
    fn now(&self) -> Stamp {
        Stamp::now()
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        Ok(rustix::fs::mkdirat(dir, name, DIR_MODE)?)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        Ok(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let fd = self.beneath(dir, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(fd)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn Directory>> {
        Ok(Box::new(DirOnDisk(self.beneath(dir, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())?)))
    }

    fn stat(&self, path: &Path) -> io::Result<Meta> {
        let (dir, name) = self.parent(path)?;
        Ok(meta(&rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    #[cfg(target_os = "linux")]
    fn stat_at_once(&self, path: &Path) -> Option<io::Result<Meta>> {
        match self.cached(path, OFlags::PATH).and_then(rustix::fs::fstat) {
            Ok(stat) => Some(Ok(meta(&stat))),
            // That there is nothing of this name can be in memory too.
            Err(error @ Errno::NOENT) => Some(Err(error.into())),
            Err(_) => None,
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::APPEND;
        Ok(Box::new(OnDisk(self.beneath(path, flags, FILE_MODE)?.into())))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(OnDisk(self.beneath(path, READ, Mode::empty())?.into())))
    }

    #[cfg(target_os = "linux")]
    fn open_at_once(&self, path: &Path) -> Option<Box<dyn File>> {
        let fd = self.cached(path, READ).ok()?;
        Some(Box::new(OnDisk(fd.into())))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NONBLOCK;
        Ok(Box::new(OnDisk(self.beneath(path, flags, Mode::empty())?.into())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_dir, from) = self.parent(from)?;
        let (to_dir, to) = self.parent(to)?;
        Ok(rustix::fs::renameat(from_dir, from, to_dir, to)?)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_dir, from) = self.parent(from)?;
        let (to_dir, to) = self.parent(to)?;
        Ok(rustix::fs::linkat(from_dir, from, to_dir, to, AtFlags::empty())?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        Ok(rustix::fs::unlinkat(dir, name, AtFlags::empty())?)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.beneath(dir, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())?)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        Ok(flock(self.beneath(path, OFlags::CREATE | OFlags::RDWR | OFlags::NONBLOCK, FILE_MODE)?)?)
    }

    #[cfg(target_os = "linux")]
    fn lock_at_once(&self, path: &Path) -> Option<Option<Box<dyn Held>>> {
        flock(self.cached(path, OFlags::RDWR | OFlags::NONBLOCK).ok()?).ok()
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

struct DirOnDisk(OwnedFd);

impl Directory for DirOnDisk {
    fn stat(&self, name: &OsStr) -> io::Result<Meta> {
        Ok(meta(&rustix::fs::statat(&self.0, single(name)?, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn open(&self, name: &OsStr) -> io::Result<Box<dyn File>> {
        let flags = READ | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(Box::new(OnDisk(rustix::fs::openat(&self.0, single(name)?, flags, Mode::empty())?.into())))
    }
}

struct OnDisk(fs::File);

impl File for OnDisk {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    #[cfg(target_os = "linux")]
    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        // File systems that cannot tell refuse.
        rustix::io::preadv2(&self.0, &mut [io::IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT).ok()
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.0, octets)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn stat(&self) -> io::Result<Meta> {
        Ok(meta(&rustix::fs::fstat(&self.0)?))
    }

    fn set_modified(&self, to: Stamp) -> io::Result<()> {
        let time = Timespec { tv_sec: to.seconds, tv_nsec: to.nanos.into() };
        Ok(rustix::fs::futimens(&self.0, &Timestamps { last_access: time, last_modification: time })?)
    }
}

fn flock(file: OwnedFd) -> Result<Option<Box<dyn Held>>, Errno> {
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Box::new(Flock(file)))),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Closing the file ends the lock.
struct Flock(#[expect(dead_code, reason = "held, not used")] OwnedFd);

impl Held for Flock {}

fn meta(stat: &rustix::fs::Stat) -> Meta {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Kind::Other,
    };
    Meta {
        id: stat.st_ino,
        len: u64::try_from(stat.st_size).unwrap_or(0),
        modified: Stamp { seconds: stat.st_mtime, nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0) },
        changed: Stamp { seconds: stat.st_ctime, nanos: u32::try_from(stat.st_ctime_nsec).unwrap_or(0) },
        kind,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn symbolic_links_are_not_followed() {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir_all(outer.path().join("secret")).unwrap();
        fs::write(outer.path().join("secret/file"), "x").unwrap();
        let root = outer.path().join("root");
        let disk = Disk::open(&root).unwrap();
        disk.make_dir(Path::new("dir")).unwrap();
        symlink("../secret", root.join("way")).unwrap();
        symlink("../../secret/file", root.join("dir/file")).unwrap();
        for step_by_step in [false, true] {
            let open = |path: &str| {
                let path = Path::new(path);
                match step_by_step {
                    true => disk.walk(path, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty()).map(|_| ()),
                    false => disk.open(path).map(|_| ()),
                }
            };
            for path in ["way/file", "dir/file", "../secret/file", "dir/../../secret/file", "/etc/passwd"] {
                assert!(open(path).is_err(), "{path}");
                assert!(disk.open_at_once(Path::new(path)).is_none(), "{path}");
                assert!(disk.lock_at_once(Path::new(path)).is_none(), "{path}");
                assert!(
                    disk.stat_at_once(Path::new(path)).is_none_or(|known| known.unwrap().kind == Kind::Other),
                    "{path}"
                );
            }
            assert!(open("dir").is_ok());
        }
        assert!(disk.append(Path::new("dir/file")).is_err());
        assert!(disk.create(Path::new("way/new")).is_err());
        assert!(disk.rename(Path::new("way/file"), Path::new("dir/stolen")).is_err());
        assert!(disk.list(Path::new("way")).is_err());
        assert!(disk.lock(Path::new("dir/file")).is_err());
        assert_eq!(disk.stat(Path::new("way")).unwrap().kind, Kind::Other);
        assert!(disk.open_dir(Path::new("way")).is_err());
        let dir = disk.open_dir(Path::new("dir")).unwrap();
        assert!(dir.open(OsStr::new("file")).is_err());
        assert_eq!(dir.stat(OsStr::new("file")).unwrap().kind, Kind::Other);
        for name in ["", ".", "..", "../secret/file", "./file", "/etc/passwd"] {
            assert!(dir.open(OsStr::new(name)).is_err(), "{name}");
            assert!(dir.stat(OsStr::new(name)).is_err(), "{name}");
        }
        // Removing a link removes the link.
        disk.remove(Path::new("dir/file")).unwrap();
        assert!(outer.path().join("secret/file").exists());
    }

    #[test]
    fn files_do_what_they_say() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        let path = Path::new("file");
        let mut file = disk.create(path).unwrap();
        assert_eq!(disk.create(path).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        file.write(b"one").unwrap();
        file.set_modified(Stamp { seconds: -5, nanos: 7 }).unwrap();
        file.sync().unwrap();
        let meta = disk.stat(path).unwrap();
        assert_eq!((meta.len, meta.modified, meta.kind), (3, Stamp { seconds: -5, nanos: 7 }, Kind::File));
        disk.append(path).unwrap().write(b"two").unwrap();
        let mut buffer = [0; 9];
        assert_eq!(disk.open(path).unwrap().read_at(&mut buffer, 2).unwrap(), 4);
        assert_eq!(&buffer[..4], b"etwo");
        if let Some(file) = disk.open_at_once(path) {
            // What is not there at once is not wrong either.
            assert!(matches!(file.read_at_once(&mut buffer, 0), Some(6) | None));
            assert!(matches!(file.read_at_once(&mut buffer, 6), Some(0) | None));
        }
        assert!(disk.stat_at_once(path).is_none_or(|known| known.unwrap() == disk.stat(path).unwrap()));
        let root = disk.open_dir(Path::new("")).unwrap();
        assert_eq!(root.stat(OsStr::new("file")).unwrap(), disk.stat(path).unwrap());
        assert_eq!(root.open(OsStr::new("file")).unwrap().read_at(&mut buffer, 4).unwrap(), 2);
        assert_eq!(root.stat(OsStr::new("nothing")).err().unwrap().kind(), io::ErrorKind::NotFound);
        assert_eq!(root.open(OsStr::new("nothing")).err().unwrap().kind(), io::ErrorKind::NotFound);
        let nothing = disk.stat_at_once(Path::new("nothing"));
        assert!(nothing.is_none_or(|known| known.unwrap_err().kind() == io::ErrorKind::NotFound));
        assert!(disk.lock_at_once(Path::new("lock")).is_none(), "it makes no file");
        let held = disk.lock(Path::new("lock")).unwrap();
        assert!(matches!(disk.lock_at_once(Path::new("lock")), Some(None) | None));
        assert!(held.is_some() && disk.lock(Path::new("lock")).unwrap().is_none());
        drop(held);
        assert!(disk.lock(Path::new("lock")).unwrap().is_some());
    }
}
