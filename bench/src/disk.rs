//! What is written to a disk, and what lies there.
//!
//! The device's counter is asked, not a process's `write_bytes`: where the file system caches in large folios, that one counts a
//! mebibyte for each two kilobytes that are synced into it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The disk below a folder.
#[derive(Debug)]
pub struct Device {
    stat: PathBuf,
}

impl Device {
    /// The one that a folder is on.
    #[must_use]
    pub fn below(folder: &Path) -> Self {
        let device = fs::metadata(folder).unwrap().dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        Self { stat: format!("/sys/dev/block/{major}:{minor}/stat").into() }
    }

    /// Octets written to it, whoever wrote them, the file system's journal included; `None` where it is no block device.
    #[must_use]
    pub fn written(&self) -> Option<u64> {
        // The seventh number of https://docs.kernel.org/block/stat.html, in sectors of 512 octets whatever the device has.
        let stat = fs::read_to_string(&self.stat).ok()?;
        Some(stat.split_whitespace().nth(6)?.parse::<u64>().ok()? * 512)
    }
}

/// Octets of the disk that a folder takes, with all that is in it.
#[must_use]
pub fn space_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let within = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => space_of(&entry.path()),
        Ok(found) => found.blocks() * 512,
        // Mail moves on meanwhile.
        Err(_) => 0,
    });
    within.sum::<u64>() + fs::metadata(folder).map(|found| found.blocks() * 512).unwrap_or_default()
}
