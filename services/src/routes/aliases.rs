//! Names that stand for others, as a file in the manner of aliases(5) says them.

mod text;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use text::AliasFault;
pub(super) use text::{Entry, Name, Target, simplest};

/// The aliases of one installation.
///
/// ```text
/// # In each of our domains; a line that begins with white space continues the one before.
/// postmaster: alice
/// sales:      alice, bob,
///             Carol.Jones@example.com
/// "the boss": alice
/// info@example.net: bob@example.org       # in this domain only, where it goes before a line `info: …`
/// @example.net:     bob@example.org       # all who have neither a line nor a mailbox there
/// ```
///
/// A target without a domain is somebody in the domain that the message is for; if nobody there has the name, in the first of our
/// domains where somebody has. A user's mailbox goes before an alias of the same name, of which the log warns. Upper and lower
/// case are the same. A `#` at the beginning of a line or behind white space begins a comment. What
/// aliases(5) also has, commands (`|…`), files (`/…`) and lists in files (`:include:…`), is refused: mail goes to addresses
/// here, and to nothing else.
///
/// Only the recipient changes: who sent the message stays its sender (RFC 5321 §3.9.1).
///
/// ```
/// use services::directory::Account;
/// use services::routes::{AliasLimits, Aliases, Outward, Routing, Sender};
///
/// let users = [Account::new("alice@example.org")?, Account::new("bob@example.org")?];
/// let aliases = Aliases::parse(b"sales: alice, bob", "aliases".as_ref(), AliasLimits::default())?;
/// let routing = Routing::with_aliases(vec!["example.org".into()], Outward::default(), &users, aliases)?;
/// assert_eq!(routing.admit("sales@example.org", Sender::Stranger).map(|hops| hops.len()), Ok(2));
///
/// let others = Aliases::parse(b"sales: bob", "aliases".as_ref(), AliasLimits::default())?;
/// routing.rebuild_with(&users, others)?;
/// assert_eq!(routing.admit("sales@example.org", Sender::Stranger).map(|hops| hops.len()), Ok(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Aliases {
    /// Where they stand, for faults that show later.
    path: PathBuf,
    limits: AliasLimits,
    entries: Vec<Entry>,
}

/// What is taken from a file of aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasLimits {
    /// The octets of the largest file that is read: all of it is held. Default: 8 MiB, some 100,000 lines.
    pub largest: u64,
    /// The most addresses that an alias may stand for, those of the aliases among its targets included, each as often as it is
    /// met. It bounds what one recipient of one message can cost. Default, and at most: [`router::MAX_TARGETS`].
    pub targets: usize,
    /// The most names and targets in all, those without a domain counted once for each of our domains: all are held in memory.
    /// Default: 1,000,000, for which a process takes some 250 MB while a table is made.
    pub all: usize,
}

impl Default for AliasLimits {
    fn default() -> Self {
        Self { largest: 8 << 20, targets: router::MAX_TARGETS, all: 1_000_000 }
    }
}

impl Aliases {
    /// Reads a file that must be there.
    ///
    /// # Errors
    /// [`AliasesError`] that names the file, the line and the remedy.
    pub fn read(path: &Path, limits: AliasLimits) -> Result<Self, AliasesError> {
        let text = read(path, limits.largest)?;
        Self::parse(&text, path, limits)
    }

    /// Reads a file; where there is none, there are no aliases.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_if_there(path: &Path, limits: AliasLimits) -> Result<Self, AliasesError> {
        match Self::read(path, limits) {
            Err(AliasesError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            read => read,
        }
    }

    /// Understands a file's text. `path` is for errors only.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn parse(text: &[u8], path: &Path, limits: AliasLimits) -> Result<Self, AliasesError> {
        let limits = AliasLimits { targets: limits.targets.min(router::MAX_TARGETS), ..limits };
        match text::parse(text, limits.targets) {
            Ok(entries) => Ok(Self { path: path.to_owned(), limits, entries }),
            Err((line, fault)) => Err(AliasesError::Line { path: path.to_owned(), line, fault }),
        }
    }

    /// How many lines there are, a continued one counted once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) const fn limits(&self) -> AliasLimits {
        self.limits
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The fault of a line that shows only beside the others, or beside our domains.
    pub(super) fn fault(&self, line: usize, fault: AliasFault) -> AliasesError {
        AliasesError::Line { path: self.path.clone(), line, fault }
    }
}

/// The aliases as a file says them.
impl fmt::Display for Aliases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

/// Why a file of aliases cannot be used.
#[derive(Debug, Error)]
pub enum AliasesError {
    /// It cannot be read.
    #[error("cannot read the aliases' file {path}: {source}; check that it exists and that this user may read it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is larger than [`AliasLimits::largest`].
    #[error("the aliases' file {path} is larger than {largest} octets; is it the right file?")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        largest: u64,
    },
    /// One line is wrong.
    #[error("the aliases' file {path}, line {line}: {fault}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and the remedy.
        fault: AliasFault,
    },
}

fn read(path: &Path, largest: u64) -> Result<Vec<u8>, AliasesError> {
    let failed = |source| AliasesError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o002 != 0 {
        tracing::warn!(path = %path.display(), "everybody on this machine may say where mail goes; set the mode of the aliases' file to 0644");
    }
    let mut text = Vec::new();
    file.take(largest.saturating_add(1)).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > largest {
        return Err(AliasesError::TooLarge { path: path.to_owned(), largest });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_need_not_be_there_is_missing_and_no_other_fault_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aliases");
        let limits = AliasLimits::default();
        assert!(Aliases::read_if_there(&path, limits).unwrap().is_empty());
        let fault = Aliases::read(&path, limits).unwrap_err().to_string();
        assert!(fault.contains(path.to_str().unwrap()) && fault.contains("check that it exists"), "{fault}");
        assert!(Aliases::read_if_there(folder.path(), limits).is_err(), "a folder");
        std::fs::write(&path, "a: b\nc d\n").unwrap();
        let fault = Aliases::read_if_there(&path, limits).unwrap_err().to_string();
        assert!(fault.contains(path.to_str().unwrap()) && fault.contains("line 2"), "{fault}");
    }

    #[test]
    fn a_file_may_be_as_large_as_it_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aliases");
        std::fs::write(&path, "a: b\n").unwrap();
        let limits = |largest| AliasLimits { largest, ..AliasLimits::default() };
        assert_eq!(Aliases::read(&path, limits(5)).unwrap().len(), 1);
        assert!(matches!(Aliases::read(&path, limits(4)), Err(AliasesError::TooLarge { largest: 4, .. })));
    }

    #[test]
    fn no_limit_goes_beyond_what_the_router_follows() {
        let limits = AliasLimits { targets: usize::MAX, ..AliasLimits::default() };
        let line = |count| format!("a: {}", vec!["b"; count].join(", "));
        let parse = |text: String| Aliases::parse(text.as_bytes(), Path::new("aliases"), limits);
        assert!(parse(line(router::MAX_TARGETS)).is_ok());
        assert!(parse(line(router::MAX_TARGETS + 1)).is_err());
    }
}
