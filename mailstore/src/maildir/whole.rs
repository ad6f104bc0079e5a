//! Small files, read and replaced as a whole.

use std::{io, path::Path};

use super::files::{Files, Meta};

/// Control files are never nearly as long; what is longer is not read into memory.
const LEN_MAX: u64 = 512 << 20;

/// Reads a file, and says what it was when it was opened. `None` if it is not there.
pub(crate) fn read(files: &dyn Files, path: &Path) -> io::Result<Option<(Vec<u8>, Meta)>> {
    let file = match files.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let meta = file.stat()?;
    Ok(Some((read_from(&*file, 0)?, meta)))
}

/// Reads an open file from a place to its end.
pub(crate) fn read_from(file: &dyn super::files::File, offset: u64) -> io::Result<Vec<u8>> {
    let len = file.stat()?.len;
    if len > LEN_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too long"));
    }
    let mut content = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while offset + (content.len() as u64) < LEN_MAX {
        let read = file.read_at(&mut buffer, offset + content.len() as u64)?;
        if read == 0 {
            break;
        }
        content.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    Ok(content)
}

/// Replaces a file: a new one is written beside it, synced, and takes its name. The directory is not synced.
pub(crate) fn replace(files: &dyn Files, path: &Path, beside: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = match files.create(beside) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Somebody was interrupted: who holds the lock may take it away.
            files.remove(beside)?;
            files.create(beside)?
        }
        created => created?,
    };
    let written = file.write(content).and_then(|()| file.sync()).and_then(|()| files.rename(beside, path));
    if written.is_err() {
        // What matters is why it could not be written.
        let _ = files.remove(beside);
    }
    written
}

/// Whether an error says that there is nothing of that name.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
