//! [`Files`] of the operating system.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, statvfs};

use super::{File, Files, Free};

/// The file whose lock says that a process works on the directory.
const LOCK: &str = "lock";

/// A directory of the operating system, open so that its names can be synced.
#[derive(Debug)]
pub struct RealFiles {
    path: PathBuf,
    directory: fs::File,
}

/// A file of the operating system.
#[derive(Debug)]
pub struct RealFile(fs::File);

impl RealFiles {
    /// Opens a directory; where it is missing, makes it for this user alone, and its parents.
    ///
    /// # Errors
    /// Where it cannot be made, opened or synced.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        make_durably(&path)?;
        // The process that made the directory may have died before it synced the name.
        fs::File::open(parent_of(&path))?.sync_all()?;
        let directory = fs::File::open(&path)?;
        Ok(Self { path, directory })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    }
}

/// Makes a directory and its parents so that each name is on disk: a log in a directory that a power loss takes away
/// would be no log.
fn make_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent_of(path);
    make_durably(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::File::open(parent)?.sync_all()
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

impl Files for RealFiles {
    type File = RealFile;
    type Lock = fs::File;

    fn lock(&self) -> io::Result<fs::File> {
        let lock = Self::options().create(true).truncate(false).open(self.path.join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(lock)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string()
                && name != LOCK
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<RealFile> {
        Self::options().create_new(true).open(self.path.join(name)).map(RealFile)
    }

    fn open(&self, name: &str) -> io::Result<RealFile> {
        Self::options().open(self.path.join(name)).map(RealFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.directory.sync_all()
    }

    fn free(&self) -> io::Result<Free> {
        let disk = statvfs(&self.path)?;
        // File systems that make room for files as they need it, such as btrfs, say that they have none at all.
        let files = if disk.f_files == 0 { u64::MAX } else { disk.f_favail };
        Ok(Free { octets: disk.f_bavail.saturating_mul(disk.f_frsize), files })
    }
}

impl File for RealFile {
    fn read_exact_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(octets, offset)
    }

    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(octets, offset)
    }

    fn allocate(&self, octets: u64) -> io::Result<()> {
        Ok(fallocate(&self.0, FallocateFlags::empty(), 0, octets)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        self.0.metadata().map(|facts| facts.len())
    }
}
