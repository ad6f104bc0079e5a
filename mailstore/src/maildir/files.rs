//! What a Maildir needs from a file system. Small, so that tests can put one in its place that fails or loses power at
//! any call ([`testing::SimFiles`](crate::testing::SimFiles)).

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// A file system. All paths are relative to the store's root, and no call follows a symbolic link below it.
///
/// What was created, renamed or removed is durable once the directories it happened in are synced; what was written,
/// once the file is.
pub trait Files: fmt::Debug + Send + Sync + 'static {
    /// The clock by which the file system stamps files.
    fn now(&self) -> Stamp;

    /// Makes a directory in one that is there.
    ///
    /// # Errors
    /// `AlreadyExists` when there is something of that name.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As the system's.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// All names in a directory, in no order.
    ///
    /// # Errors
    /// As the system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// Opens a directory, for who looks at many of its names: the way to it is walked once.
    ///
    /// # Errors
    /// As the system's.
    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn Directory>>;

    /// What is known about a name.
    ///
    /// # Errors
    /// `NotFound` when there is nothing of that name.
    fn stat(&self, path: &Path) -> io::Result<Meta>;

    /// The same, if it is in memory and nobody has to wait for a disk. `None` if it is not, and if nobody can tell.
    fn stat_at_once(&self, path: &Path) -> Option<io::Result<Meta>> {
        let _ = path;
        None
    }

    /// Creates a file and opens it for writing.
    ///
    /// # Errors
    /// `AlreadyExists` when there is something of that name.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// As the system's.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens a file for reading, if what that takes is in memory and nobody has to wait for a disk. `None` if it is not,
    /// if nobody can tell, and if the file cannot be opened: [`Files::open`] knows why.
    fn open_at_once(&self, path: &Path) -> Option<Box<dyn File>> {
        let _ = path;
        None
    }

    /// Opens a file for writing at its end.
    ///
    /// # Errors
    /// `NotFound` when there is nothing of that name.
    fn append(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Gives a file or directory another name, at once and instead of a file that has it.
    ///
    /// # Errors
    /// As the system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// `AlreadyExists` when there is something of that name.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    ///
    /// # Errors
    /// As the system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes durable what happened to the names in a directory.
    ///
    /// # Errors
    /// As the system's; what happened since the last sync may be lost then.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes a lock that ends with the process, if nobody has it. The file is made when it is not there.
    ///
    /// # Errors
    /// As the system's.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>>;

    /// The same, if the file is there and in memory, and nobody has to wait for a disk. `None` if not, if nobody can
    /// tell, and if it cannot be locked: [`Files::lock`] knows why.
    fn lock_at_once(&self, path: &Path) -> Option<Option<Box<dyn Held>>> {
        let _ = path;
        None
    }

    /// Where the root lies, for who can be notified of changes there.
    fn root(&self) -> Option<&Path> {
        None
    }
}

/// An open directory. It stays the same one should another get its name. Names are single ones, as [`Files::list`] says
/// them, and symbolic links are not followed.
pub trait Directory: Send + Sync {
    /// What is known about a name.
    ///
    /// # Errors
    /// `NotFound` when there is nothing of that name.
    fn stat(&self, name: &OsStr) -> io::Result<Meta>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// As the system's.
    fn open(&self, name: &OsStr) -> io::Result<Box<dyn File>>;
}

/// An open file.
pub trait File: Send + Sync {
    /// Reads at a place; 0 octets only at the end.
    ///
    /// # Errors
    /// As the system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The same, if the octets are in memory and nobody has to wait for a disk. `None` if they are not, and if nobody can
    /// tell.
    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        let _ = (buffer, offset);
        None
    }

    /// Writes all octets at the end of the file.
    ///
    /// # Errors
    /// As the system's; some of the octets may be written.
    fn write(&mut self, octets: &[u8]) -> io::Result<()>;

    /// Makes content, length and time durable.
    ///
    /// # Errors
    /// As the system's; what was written since the last sync may be lost then, and no later sync will save it.
    fn sync(&self) -> io::Result<()>;

    /// What is known about the file.
    ///
    /// # Errors
    /// As the system's.
    fn stat(&self) -> io::Result<Meta>;

    /// Sets the time of modification.
    ///
    /// # Errors
    /// As the system's.
    fn set_modified(&self, to: Stamp) -> io::Result<()>;
}

/// A lock that is held until it is dropped.
pub trait Held: Send + Sync {}

/// A moment: seconds since 1970, and nanoseconds on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Seconds since 1970, negative before.
    pub seconds: i64,
    /// Nanoseconds after that, less than a thousand million.
    pub nanos: u32,
}

impl Stamp {
    /// The system's clock.
    pub fn now() -> Self {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => {
                Self { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
            }
            Err(_) => Self::default(),
        }
    }

    /// How many milliseconds this moment is after another; negative if it is before.
    pub fn millis_after(self, other: Self) -> i64 {
        let seconds = self.seconds.saturating_sub(other.seconds);
        seconds.saturating_mul(1000).saturating_add((i64::from(self.nanos) - i64::from(other.nanos)) / 1_000_000)
    }
}

/// What is known about a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// A number that no other file has as long as this one exists.
    pub id: u64,
    /// Its length in octets.
    pub len: u64,
    /// When it was modified, or so said.
    pub modified: Stamp,
    /// When anything about it was changed last; nobody can say otherwise.
    pub changed: Stamp,
    /// What it is.
    pub kind: Kind,
}

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Dir,
    /// Something that a Maildir has no use for, such as a symbolic link.
    Other,
}
