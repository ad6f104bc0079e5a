//! A disk whose syncs wait at gates.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use mailqueue::files::{File, Files, Free};
use mailqueue::testing::{Disk, DiskFile};

/// A disk whose syncs wait at gates: one for those of files, one for those of names.
#[derive(Clone, Default)]
pub(crate) struct Gated {
    disk: Disk,
    gate: Arc<Gate>,
    names: Arc<Gate>,
}

#[derive(Default)]
pub(crate) struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
    syncs: AtomicU64,
}

impl Gated {
    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// The gate for syncs of the directory.
    pub(crate) fn names(&self) -> Arc<Gate> {
        Arc::clone(&self.names)
    }
}

impl Gate {
    /// Lets syncs wait from now on.
    pub(crate) fn close(&self) {
        *self.closed.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        let closed = self.closed.lock().unwrap();
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
    }

    /// How many syncs were begun.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }
}

pub(crate) struct GatedFile {
    file: DiskFile,
    gate: Arc<Gate>,
}

impl Files for Gated {
    type File = GatedFile;
    type Lock = ();

    fn lock(&self) -> io::Result<()> {
        Ok(())
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn create(&self, name: &str) -> io::Result<GatedFile> {
        Ok(GatedFile { file: self.disk.create(name)?, gate: Arc::clone(&self.gate) })
    }
    fn open(&self, name: &str) -> io::Result<GatedFile> {
        Ok(GatedFile { file: self.disk.open(name)?, gate: Arc::clone(&self.gate) })
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.names.pass();
        self.disk.sync_dir()
    }
    fn free(&self) -> io::Result<Free> {
        self.disk.free()
    }
}

impl File for GatedFile {
    fn read_exact_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(octets, offset)
    }
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(octets, offset)
    }
    fn allocate(&self, octets: u64) -> io::Result<()> {
        self.file.allocate(octets)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync_data()
    }
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}
