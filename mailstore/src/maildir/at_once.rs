//! The files as far as they are in memory. To wake a thread of the pool for a look at what the system has in memory
//! costs more than the look: it is tried on the caller's thread first.

use std::{ffi::OsString, io, path::Path, sync::Arc};

use super::files::{Directory, File, Files, Held, Meta, Stamp};

/// The files as far as they are in memory. Whatever would have to wait for a disk, or changes anything there, is refused:
/// it is for the pool.
#[derive(Debug)]
pub(crate) struct AtOnce(Arc<dyn Files>);

impl AtOnce {
    pub(crate) fn new(files: Arc<dyn Files>) -> Self {
        Self(files)
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::WouldBlock.into())
}

impl Files for AtOnce {
    fn now(&self) -> Stamp {
        self.0.now()
    }

    fn stat(&self, path: &Path) -> io::Result<Meta> {
        self.0.stat_at_once(path).unwrap_or_else(refused)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.0.open_at_once(path).map_or_else(refused, Ok)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        self.0.lock_at_once(path).map_or_else(refused, Ok)
    }

    fn list(&self, _: &Path) -> io::Result<Vec<OsString>> {
        refused()
    }

    fn open_dir(&self, _: &Path) -> io::Result<Box<dyn Directory>> {
        refused()
    }

    fn make_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn File>> {
        refused()
    }

    fn append(&self, _: &Path) -> io::Result<Box<dyn File>> {
        refused()
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn link(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }
}
