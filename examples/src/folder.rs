//! The folder that a server keeps everything in.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::Failure;

/// A folder that belongs to this process until it ends.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Held: the lock goes with the descriptor, also when the process is killed.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder where it is missing, for this user alone, and takes it.
    ///
    /// # Errors
    /// It cannot be made or written, or another process has it.
    pub fn take(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let unusable = |source: io::Error| {
            Failure::new(format!(
                "cannot use the data folder {shown}: {source}; let this user write there, or choose another with --data"
            ))
        };
        make(path).map_err(unusable)?;
        let mode = path.metadata().map_err(unusable)?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(folder = %shown, "other users of this machine may look into the data folder; set its mode to 0700");
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Failure::new(format!(
                "another server works in the data folder {shown}; stop it, or choose another folder with --data"
            ))),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The path of what is kept there under this name.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes a folder and those above it, and makes their names durable: the first message that is acknowledged lies below.
fn make(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_is_private() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let _folder = DataFolder::take(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_is_taken_once_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataFolder::take(parent.path()).unwrap();
        let refused = DataFolder::take(parent.path()).unwrap_err().to_string();
        assert!(refused.starts_with("another server works in the data folder"), "{refused}");
        drop(first);
        DataFolder::take(parent.path()).unwrap();
    }
}
