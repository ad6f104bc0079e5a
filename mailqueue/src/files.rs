//! What the log needs of a file system, small enough that tests can fail or cut every call of it.

mod real;

use std::io;

pub use real::{RealFile, RealFiles};

/// One directory, and the files in it. Names have no slashes.
pub trait Files: Send + Sync + 'static {
    /// An open file.
    type File: File;
    /// Keeps other processes out until it is dropped.
    type Lock: Send + 'static;

    /// Locks the directory for this process.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where another process has it.
    fn lock(&self) -> io::Result<Self::Lock>;

    /// The names of all files.
    ///
    /// # Errors
    /// As the file system says; so for all calls below.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file, which must not exist. Its name is durable after [`Files::sync_dir`].
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file a new name, durable after [`Files::sync_dir`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, durably after [`Files::sync_dir`].
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes names durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// What room there is on the disk.
    fn free(&self) -> io::Result<Free>;
}

/// Room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// How many octets could still be written.
    pub octets: u64,
    /// How many files could still be made; [`u64::MAX`] where the file system sets no limit.
    pub files: u64,
}

/// A file that is read and written at offsets.
pub trait File: Send + Sync + 'static {
    /// Fills `octets` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the file ends before.
    fn read_exact_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `octets` at `offset`; the file grows as needed.
    ///
    /// # Errors
    /// As the file system says. A part may have been written.
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()>;

    /// Makes an empty file this long, with room on the disk for all of it. It reads as zeros.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] where the file system cannot; nothing has happened then.
    fn allocate(&self, octets: u64) -> io::Result<()>;

    /// Makes durable what was written, and the length.
    ///
    /// # Errors
    /// As the file system says. What was written before is then lost or not, and a later success says nothing about it.
    fn sync_data(&self) -> io::Result<()>;

    /// The length in octets.
    ///
    /// # Errors
    /// As the file system says.
    fn size(&self) -> io::Result<u64>;
}
