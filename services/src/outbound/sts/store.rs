//! Policies that were fetched, in memory and in files: one for each domain, replaced whole.
//!
//! A file is named for its domain. Its first lines are the policy's id and when it was fetched (seconds since 1970); behind an
//! empty line the policy follows in its published form.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::outbound::mx::host_name;
use crate::outbound::policy::StsPolicy;

/// Longest file that is read: a policy of 64 patterns is 16 KB.
const LONGEST: u64 = 64 * 1024;

/// What a file's name ends in before it is complete.
const PARTIAL: &str = ".partial";

/// A policy and when it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) policy: StsPolicy,
    fetched: u64,
}

impl Kept {
    pub(super) fn new(id: String, policy: StsPolicy, now: SystemTime) -> Self {
        Self { id, policy, fetched: seconds(now) }
    }

    /// Whether half of its time is over.
    pub(super) fn is_old(&self, now: SystemTime) -> bool {
        self.age(now) > u64::from(self.policy.max_age) / 2
    }

    /// A clock that was put back makes it no older.
    fn age(&self, now: SystemTime) -> u64 {
        seconds(now).saturating_sub(self.fetched)
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.age(now) < u64::from(self.policy.max_age)
    }

    fn expires(&self) -> u64 {
        self.fetched.saturating_add(self.policy.max_age.into())
    }

    fn text(&self) -> String {
        format!("id: {}\nfetched: {}\n\n{}\n", self.id, self.fetched, self.policy.lines().join("\n"))
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, policy) = text.split_once("\n\n")?;
        let (id, fetched) = head.strip_prefix("id: ")?.split_once("\nfetched: ")?;
        Some(Self { id: id.to_owned(), fetched: fetched.parse().ok()?, policy: StsPolicy::parse(policy).ok()? })
    }
}

/// All that is kept, within bounds.
pub(super) struct Store {
    folder: Option<PathBuf>,
    entries: usize,
    kept: HashMap<String, Kept>,
}

/// What is left to do with files, away from whoever waits.
#[derive(Debug)]
#[must_use]
pub(super) struct Write {
    folder: Option<PathBuf>,
    text: (String, String),
    gone: Vec<String>,
}

impl Store {
    /// Reads the folder, which is made if it is not there. Files that hold no policy are left out, and named in the log.
    pub(super) fn open(folder: Option<PathBuf>, entries: usize, now: SystemTime) -> io::Result<Self> {
        let mut store = Self { folder, entries, kept: HashMap::new() };
        let Some(folder) = &store.folder else { return Ok(store) };
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let kept = host_name(name).filter(|domain| domain == name).and_then(|_| read(&path));
            match kept {
                Some(kept) if kept.is_valid(now) && store.kept.len() < entries => {
                    store.kept.insert(name.to_owned(), kept);
                }
                // What is over or too much may go; it says nothing any more.
                Some(_) => remove(&path),
                None if name.ends_with(PARTIAL) => remove(&path),
                None => tracing::warn!(path = %path.display(), "this file holds no MTA-STS policy"),
            }
        }
        Ok(store)
    }

    /// The domain's policy, if it still holds.
    pub(super) fn valid(&self, domain: &str, now: SystemTime) -> Option<&Kept> {
        self.kept.get(domain).filter(|kept| kept.is_valid(now))
    }

    /// Keeps a policy in memory; the write does so on disk.
    pub(super) fn keep(&mut self, domain: &str, kept: Kept, now: SystemTime) -> Write {
        let mut gone = Vec::new();
        if self.kept.len() >= self.entries && !self.kept.contains_key(domain) {
            gone = self.make_room(now);
        }
        let text = kept.text();
        if self.entries > 0 {
            self.kept.insert(domain.to_owned(), kept);
        }
        Write { folder: self.folder.clone(), text: (domain.to_owned(), text), gone }
    }

    /// Drops what is over, or else what will be first.
    fn make_room(&mut self, now: SystemTime) -> Vec<String> {
        let over = self.kept.iter().filter(|(_, kept)| !kept.is_valid(now));
        let mut gone: Vec<_> = over.map(|(domain, _)| domain.clone()).collect();
        if gone.is_empty() {
            let first = self.kept.iter().min_by_key(|(_, kept)| kept.expires());
            gone.extend(first.map(|(domain, _)| domain.clone()));
        }
        for domain in &gone {
            self.kept.remove(domain);
        }
        gone
    }
}

impl Write {
    /// Does it. What cannot be done is told in the log.
    pub(super) fn run(self) {
        let Some(folder) = self.folder else { return };
        let (domain, text) = self.text;
        for gone in self.gone {
            remove(&folder.join(gone));
        }
        if let Err(error) = replace(&folder.join(&domain), &text) {
            tracing::warn!(%domain, %error, "an MTA-STS policy cannot be written");
        }
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(PARTIAL);
    let partial = PathBuf::from(partial);
    let mut file = fs::File::create(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

fn read(path: &Path) -> Option<Kept> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    Kept::parse(&text)
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(path = %path.display(), %error, "a file of no more use cannot be removed");
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn kept(id: &str, max_age: u32, fetched: u64) -> Kept {
        let text = format!("version: STSv1\nmode: enforce\nmx: *.mx.example\nmax_age: {max_age}\n");
        Kept::new(id.to_owned(), StsPolicy::parse(&text).unwrap(), at(fetched))
    }

    #[test]
    fn a_policy_survives_a_restart_and_its_time_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let open = |now| Store::open(Some(folder.path().to_owned()), 10, at(now)).unwrap();
        let mut store = open(0);
        store.keep("a.example", kept("1", 100, 1000), at(1000)).run();
        store.keep("a.example", kept("2", 100, 1000), at(1000)).run();
        assert_eq!(open(1050).valid("a.example", at(1099)), Some(&kept("2", 100, 1000)));
        assert_eq!(open(1050).valid("a.example", at(1100)), None);
        assert_eq!(open(1050).valid("b.example", at(1050)), None);
        assert_eq!(open(500).valid("a.example", at(500)).map(|kept| kept.id.as_str()), Some("2"), "a clock put back");
        let _ = open(2000);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "what is over is removed");
    }

    #[test]
    fn files_that_are_no_policy_stop_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.example", "rubbish"), ("b.example.partial", "id: 1"), ("../x", ""), ("Up.Example", "")]
        {
            let _ = fs::write(folder.path().join(name.replace('/', "_")), text);
        }
        fs::create_dir(folder.path().join("c.example")).unwrap();
        fs::write(folder.path().join("d.example"), [0xff; 100]).unwrap();
        let mut store = Store::open(Some(folder.path().to_owned()), 10, at(0)).unwrap();
        assert!(store.kept.is_empty());
        assert!(!folder.path().join("b.example.partial").exists());
        store.keep("a.example", kept("1", 100, 0), at(0)).run();
        let again = Store::open(Some(folder.path().to_owned()), 10, at(1)).unwrap();
        assert!(again.valid("a.example", at(1)).is_some(), "a bad file is replaced");
    }

    #[test]
    fn there_are_never_more_than_allowed_and_the_first_to_end_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(Some(folder.path().to_owned()), 3, at(0)).unwrap();
        for (domain, max_age) in [("a.example", 300), ("b.example", 100), ("c.example", 200), ("d.example", 400)] {
            store.keep(domain, kept("1", max_age, 0), at(0)).run();
        }
        let mut names: Vec<_> = store.kept.keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["a.example", "c.example", "d.example"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        store.keep("e.example", kept("1", 100, 350), at(350)).run();
        assert_eq!(store.kept.len(), 2, "d and e: the others are over");
    }

    #[test]
    fn past_half_of_its_time_it_is_old() {
        assert!(!kept("1", 100, 0).is_old(at(50)));
        assert!(kept("1", 100, 0).is_old(at(51)));
    }
}
