//! The lock that Dovecot and we share: a file `dovecot-uidlist.lock` in the mailbox. Who created it holds it.
//!
//! It contains `PID:HOST`, so that a lock whose holder died is seen at once; where that cannot tell, a lock that is
//! two minutes old is taken for forgotten, as Dovecot does.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustix::{
    io::Errno,
    process::{Pid, getpid, test_kill_process},
};

use super::{
    files::{Files, Meta, Stamp},
    whole,
};

/// After how many milliseconds a lock is taken for forgotten: Dovecot's number, or we would break its locks or it ours.
const STALE: i64 = 120_000;

/// A lock this old without a holder's name has been left so, and not just been created.
const NAMELESS: i64 = 10_000;

/// After how many milliseconds a lock that is still needed gets a new stamp.
const FRESH: i64 = 30_000;

/// How often to try to remove a lock when the disk reports errors.
const RELEASES: usize = 3;

/// By how many milliseconds the stamps of files may be behind the clock: file systems tick slower.
const BEHIND: i64 = 100;

/// When this process began to take locks. A lock with its number in it that is older was left by an earlier process: in
/// a container every process may have the same number.
static BEGINNING: OnceLock<Stamp> = OnceLock::new();

/// To be called before the first lock is taken.
pub(crate) fn begin() {
    BEGINNING.get_or_init(Stamp::now);
}

/// A lock that is held until it is dropped.
pub(crate) struct Dotlock {
    files: Arc<dyn Files>,
    path: PathBuf,
    identity: (u64, Stamp),
}

impl Dotlock {
    /// Takes the lock. `None` if somebody holds it.
    pub(crate) fn try_take(files: &Arc<dyn Files>, path: &Path, host: &str) -> io::Result<Option<Self>> {
        if let Some(lock) = Self::create(files, path, host)? {
            return Ok(Some(lock));
        }
        match abandoned(&**files, path, host)? {
            Some(old) => take_away(&**files, path, &old)?,
            None => return Ok(None),
        }
        Self::create(files, path, host)
    }

    fn create(files: &Arc<dyn Files>, path: &Path, host: &str) -> io::Result<Option<Self>> {
        let mut file = match files.create(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error),
        };
        let named = file.write(format!("{}:{host}", getpid()).as_bytes()).and_then(|()| file.stat());
        match named {
            Ok(meta) => Ok(Some(Self { files: Arc::clone(files), path: path.to_owned(), identity: identity(&meta) })),
            Err(error) => {
                let _ = files.remove(path);
                Err(error)
            }
        }
    }

    /// Whether nobody has taken the lock away. To be asked before what must not happen without it.
    pub(crate) fn is_ours(&self) -> io::Result<bool> {
        match self.files.stat(&self.path) {
            Ok(meta) => Ok(identity(&meta) == self.identity),
            Err(error) if whole::is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells others that the lock is not forgotten; to be called now and then in what may take long.
    pub(crate) fn keep_fresh(&mut self) -> io::Result<()> {
        let now = self.files.now();
        if now.millis_after(self.identity.1) < FRESH || !self.is_ours()? {
            return Ok(());
        }
        let file = self.files.append(&self.path)?;
        file.set_modified(now)?;
        self.identity = identity(&file.stat()?);
        Ok(())
    }
}

impl Drop for Dotlock {
    fn drop(&mut self) {
        // More than once: what stays is in everybody's way until it is old.
        for _ in 0..RELEASES {
            match self.is_ours() {
                Ok(true) if self.files.remove(&self.path).is_ok() => return,
                Ok(false) => return,
                Ok(true) | Err(_) => {}
            }
        }
    }
}

impl fmt::Debug for Dotlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dotlock").field("path", &self.path).finish_non_exhaustive()
    }
}

fn identity(meta: &Meta) -> (u64, Stamp) {
    (meta.id, meta.modified)
}

/// The lock's identity, if its holder is gone.
fn abandoned(files: &dyn Files, path: &Path, host: &str) -> io::Result<Option<Meta>> {
    let Some((content, meta)) = whole::read(files, path)? else { return Ok(None) };
    let age = files.now().millis_after(meta.modified);
    let content = String::from_utf8_lossy(&content);
    let gone = match content.split_once(':') {
        Some((pid, holder)) if holder == host => is_dead(pid, &meta),
        Some(_) => false,
        None => age > NAMELESS,
    };
    Ok((gone || age > STALE).then_some(meta))
}

fn is_dead(pid: &str, meta: &Meta) -> bool {
    let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) else { return false };
    if pid == getpid() {
        return BEGINNING.get().is_some_and(|beginning| beginning.millis_after(meta.modified) > BEHIND);
    }
    test_kill_process(pid) == Err(Errno::SRCH)
}

/// Takes an abandoned lock away. Two who try this at once must not take away the lock that the faster of them has
/// created meanwhile: it is moved aside, looked at, and put back if it is another.
fn take_away(files: &dyn Files, path: &Path, old: &Meta) -> io::Result<()> {
    let aside = path.with_extension(format!("lock.{}.{:x}", getpid(), old.id));
    match files.rename(path, &aside) {
        Err(error) if whole::is_missing(&error) => return Ok(()),
        moved => moved?,
    }
    if identity(&files.stat(&aside)?) != identity(old) {
        // If there is a lock again, its holder and the one put aside are both in the belief to hold it; `is_ours` tells
        // the second before it does harm.
        let _ = files.link(&aside, path);
    }
    files.remove(&aside)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::maildir::Disk;

    fn disk() -> (tempfile::TempDir, Arc<dyn Files>) {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(dir.path()).unwrap());
        (dir, disk)
    }

    fn take(files: &Arc<dyn Files>) -> Option<Dotlock> {
        Dotlock::try_take(files, Path::new("dovecot-uidlist.lock"), "host").unwrap()
    }

    #[test]
    fn one_at_a_time() {
        let (_dir, files) = disk();
        let lock = take(&files).unwrap();
        assert!(take(&files).is_none());
        assert!(lock.is_ours().unwrap());
        drop(lock);
        assert!(take(&files).is_some());
    }

    #[test]
    fn a_living_process_and_an_unknown_host_are_respected() {
        let (dir, files) = disk();
        let path = dir.path().join("dovecot-uidlist.lock");
        for holder in ["1:host", "1:elsewhere", "999999999:elsewhere", ""] {
            fs::write(&path, holder).unwrap();
            assert!(take(&files).is_none(), "{holder:?}");
        }
    }

    #[test]
    fn what_a_dead_process_left_is_taken_over_at_once() {
        let (dir, files) = disk();
        let path = dir.path().join("dovecot-uidlist.lock");
        begin();
        // No process has this number; and a process that had ours is gone.
        for (holder, age) in [("999999999:host".to_owned(), 0), (format!("{}:host", getpid()), 2)] {
            fs::write(&path, &holder).unwrap();
            let file = files.append(Path::new("dovecot-uidlist.lock")).unwrap();
            let began = BEGINNING.get().unwrap().seconds;
            file.set_modified(Stamp { seconds: began - age, nanos: 0 }).unwrap();
            assert!(take(&files).is_some(), "{holder:?}");
            assert!(!path.exists());
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was left aside");
    }

    #[test]
    fn a_lock_of_two_minutes_is_taken_for_forgotten() {
        let (dir, files) = disk();
        let path = dir.path().join("dovecot-uidlist.lock");
        for (age, taken) in [(115, false), (125, true)] {
            fs::write(&path, "1:elsewhere").unwrap();
            let file = files.append(Path::new("dovecot-uidlist.lock")).unwrap();
            file.set_modified(Stamp { seconds: Stamp::now().seconds - age, nanos: 0 }).unwrap();
            assert_eq!(take(&files).is_some(), taken, "{age} s");
        }
    }

    #[test]
    fn who_lost_the_lock_knows_and_leaves_the_new_one_alone() {
        let (dir, files) = disk();
        let lock = take(&files).unwrap();
        fs::remove_file(dir.path().join("dovecot-uidlist.lock")).unwrap();
        assert!(!lock.is_ours().unwrap());
        let other = take(&files).unwrap();
        drop(lock);
        assert!(other.is_ours().unwrap());
    }
}
