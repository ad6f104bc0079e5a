//! Dovecot's counter of UIDVALIDITY values, one for each account: an empty file whose name ends in the last value, so
//! that renaming it takes the next; and a copy of the value in another file.

use std::{io, path::Path};

use super::{files::Files, whole};

const NAME: &str = "dovecot-uidvalidity";

/// How often to try again when others take values at the same time.
const TRIES: usize = 100;

/// Takes the account's next UIDVALIDITY: greater than every earlier one, and not less than the time in seconds.
pub(crate) fn next(files: &dyn Files, account: &Path) -> io::Result<u32> {
    for _ in 0..TRIES {
        let last = last(files, account)?;
        let now = u32::try_from(files.now().seconds).unwrap_or(0);
        let next = last
            .as_ref()
            .map_or(0, |(value, _)| *value)
            .checked_add(1)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "UIDVALIDITY is used up"))?
            .max(now);
        let path = account.join(format!("{NAME}.{next:08x}"));
        let taken = match last {
            Some((_, name)) => files.rename(&account.join(name), &path),
            None => files.create(&path).map(drop),
        };
        match taken {
            Ok(()) => {
                files.sync_dir(account)?;
                // Only a copy: should it be missing or old, the name says it.
                let beside = account.join(format!("{NAME}.tmp"));
                let _ = whole::replace(files, &account.join(NAME), &beside, format!("{next:08x}").as_bytes());
                return Ok(next);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "UIDVALIDITY is contended"))
}

/// The greatest value so far and the name of its file. What the copy says counts too, should the name be lost.
fn last(files: &dyn Files, account: &Path) -> io::Result<Option<(u32, String)>> {
    let value = |hex: &str| u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 8);
    let mut last: Option<(u32, String)> = None;
    for name in files.list(account)? {
        let Some(name) = name.to_str() else { continue };
        let Some(value) = name.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('.')).and_then(value) else {
            continue;
        };
        if last.as_ref().is_none_or(|(last, _)| value > *last) {
            last = Some((value, name.to_owned()));
        }
    }
    let copy = whole::read(files, &account.join(NAME))?;
    let copy = copy.and_then(|(content, _)| value(std::str::from_utf8(&content).ok()?.trim_end()));
    match (last, copy) {
        (Some((value, name)), copy) => Ok(Some((value.max(copy.unwrap_or(0)), name))),
        (None, Some(copy)) => {
            let name = format!("{NAME}.{copy:08x}");
            match files.create(&account.join(&name)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                Ok(_) | Err(_) => Ok(Some((copy, name))),
            }
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, sync::Mutex, thread};

    use super::*;
    use crate::maildir::Disk;

    #[test]
    fn values_grow_and_what_dovecot_left_counts() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        let first = next(&disk, Path::new("")).unwrap();
        assert!(next(&disk, Path::new("")).unwrap() > first);
        fs::write(dir.path().join("dovecot-uidvalidity.f0000000"), "").unwrap();
        assert_eq!(next(&disk, Path::new("")).unwrap(), 0xf000_0001);
        fs::write(dir.path().join("dovecot-uidvalidity"), "f0000009").unwrap();
        assert_eq!(next(&disk, Path::new("")).unwrap(), 0xf000_000a);
        assert_eq!(fs::read(dir.path().join("dovecot-uidvalidity")).unwrap(), b"f000000a");
        fs::write(dir.path().join("dovecot-uidvalidity.ffffffff"), "").unwrap();
        assert!(next(&disk, Path::new("")).is_err(), "never around and never back");
    }

    #[test]
    fn nobody_gets_the_same_value() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        let seen = Mutex::new(BTreeSet::new());
        next(&disk, Path::new("")).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let value = next(&disk, Path::new("")).unwrap();
                        assert!(seen.lock().unwrap().insert(value), "{value:x} twice");
                    }
                });
            }
        });
        assert_eq!(seen.into_inner().unwrap().len(), 80);
    }
}
