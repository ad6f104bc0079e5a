//! Flags of a message: the five system flags and any keywords.

use std::{fmt, sync::Arc};

use thiserror::Error;

/// A flag with a meaning of its own (RFC 3501 §2.3.2). \Recent is none of them: it belongs to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemFlag {
    /// `\Answered`
    Answered,
    /// `\Deleted`
    Deleted,
    /// `\Draft`
    Draft,
    /// `\Flagged`
    Flagged,
    /// `\Seen`
    Seen,
}

impl SystemFlag {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 5] = [Self::Answered, Self::Deleted, Self::Draft, Self::Flagged, Self::Seen];

    const fn bit(self) -> u8 {
        match self {
            Self::Answered => 1,
            Self::Deleted => 2,
            Self::Draft => 4,
            Self::Flagged => 8,
            Self::Seen => 16,
        }
    }
}

/// Why a keyword was refused: it is not an atom of 1 to 255 octets (RFC 3501 §9, `flag-keyword`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a keyword is an atom of 1 to 255 octets")]
pub struct BadKeyword;

/// A set of flags. Keywords are told apart without regard to case and keep the case they came with.
///
/// ```
/// use mailstore::{Flags, SystemFlag};
///
/// let mut flags = Flags::from(SystemFlag::Seen);
/// flags.add_keyword("$Forwarded")?;
/// assert!(flags.has(SystemFlag::Seen) && flags.has_keyword("$forwarded"));
/// # Ok::<(), mailstore::BadKeyword>(())
/// ```
#[derive(Clone, Default)]
pub struct Flags {
    system: u8,
    /// Ascending without regard to case, each once; `None` and empty mean the same, and most messages have none.
    keywords: Option<Arc<[Arc<str>]>>,
}

impl Flags {
    /// A set without any flag.
    pub const NONE: Self = Self { system: 0, keywords: None };

    /// Whether a system flag is in the set.
    pub fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag.bit() != 0
    }

    /// Puts a system flag into the set.
    pub fn add(&mut self, flag: SystemFlag) {
        self.system |= flag.bit();
    }

    /// Takes a system flag out of the set.
    pub fn remove(&mut self, flag: SystemFlag) {
        self.system &= !flag.bit();
    }

    /// The system flags in the set.
    pub fn system(&self) -> impl Iterator<Item = SystemFlag> + use<> {
        let bits = self.system;
        SystemFlag::ALL.into_iter().filter(move |flag| bits & flag.bit() != 0)
    }

    /// Whether a keyword is in the set, without regard to case.
    pub fn has_keyword(&self, keyword: &str) -> bool {
        self.shared_keywords().binary_search_by(|known| compare(known, keyword)).is_ok()
    }

    /// Puts a keyword into the set; one that is there keeps its case.
    ///
    /// # Errors
    /// What is not an atom of 1 to 255 octets is refused.
    pub fn add_keyword(&mut self, keyword: &str) -> Result<(), BadKeyword> {
        if !is_keyword(keyword) {
            return Err(BadKeyword);
        }
        self.add_shared(&Arc::from(keyword));
        Ok(())
    }

    /// Takes a keyword out of the set.
    pub fn remove_keyword(&mut self, keyword: &str) {
        if self.has_keyword(keyword) {
            self.keywords =
                Some(self.shared_keywords().iter().filter(|known| compare(known, keyword).is_ne()).cloned().collect());
        }
    }

    /// The keywords in the set, ascending without regard to case.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.shared_keywords().iter().map(|keyword| &**keyword)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.shared_keywords().is_empty()
    }

    /// Puts all flags of another set into this one.
    pub fn merge(&mut self, other: &Self) {
        self.system |= other.system;
        for keyword in other.shared_keywords() {
            self.add_shared(keyword);
        }
    }

    /// Takes all flags of another set out of this one.
    pub fn subtract(&mut self, other: &Self) {
        self.system &= !other.system;
        for keyword in other.shared_keywords() {
            self.remove_keyword(keyword);
        }
    }

    pub(crate) fn shared_keywords(&self) -> &[Arc<str>] {
        self.keywords.as_deref().unwrap_or_default()
    }

    /// Puts a keyword that was checked before into the set, sharing its text.
    pub(crate) fn add_shared(&mut self, keyword: &Arc<str>) {
        let Err(at) = self.shared_keywords().binary_search_by(|known| compare(known, keyword)) else { return };
        let mut all = self.shared_keywords().to_vec();
        all.insert(at, Arc::clone(keyword));
        self.keywords = Some(all.into());
    }
}

impl From<SystemFlag> for Flags {
    fn from(flag: SystemFlag) -> Self {
        Self { system: flag.bit(), keywords: None }
    }
}

impl FromIterator<SystemFlag> for Flags {
    fn from_iter<I: IntoIterator<Item = SystemFlag>>(flags: I) -> Self {
        Self { system: flags.into_iter().fold(0, |bits, flag| bits | flag.bit()), keywords: None }
    }
}

impl PartialEq for Flags {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.shared_keywords(), other.shared_keywords());
        self.system == other.system
            && ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(a, b)| compare(a, b).is_eq())
    }
}

impl Eq for Flags {}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = self.system().map(|flag| format!("\\{flag:?}"));
        f.debug_list().entries(system).entries(self.keywords()).finish()
    }
}

/// Whether a text can be a keyword: an atom (RFC 3501 §9, `flag-keyword`).
pub(crate) fn is_keyword(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b))
}

fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    a.bytes().map(|b| b.to_ascii_lowercase()).cmp(b.bytes().map(|b| b.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_told_apart_without_regard_to_case() {
        let mut flags = Flags::NONE;
        flags.add_keyword("$Junk").unwrap();
        flags.add_keyword("$junk").unwrap();
        flags.add_keyword("Work").unwrap();
        assert_eq!(flags.keywords().collect::<Vec<_>>(), ["$Junk", "Work"]);
        flags.remove_keyword("WORK");
        assert_eq!(flags.keywords().collect::<Vec<_>>(), ["$Junk"]);
        let mut other = Flags::NONE;
        other.add_keyword("$JUNK").unwrap();
        assert_eq!(flags, other);
        other.add(SystemFlag::Seen);
        assert_ne!(flags, other);
    }

    #[test]
    fn what_is_no_atom_is_no_keyword() {
        for bad in ["", "two words", "\\Seen", "a\r\nb", "a(b", "a]b", "ä", &"x".repeat(256)] {
            assert_eq!(Flags::default().add_keyword(bad), Err(BadKeyword), "{bad:?}");
        }
    }

    #[test]
    fn merge_and_subtract_undo_each_other_on_disjoint_sets() {
        let mut a: Flags = [SystemFlag::Seen, SystemFlag::Draft].into_iter().collect();
        let before = a.clone();
        let mut b = Flags::from(SystemFlag::Flagged);
        b.add_keyword("x").unwrap();
        a.merge(&b);
        assert!(a.has(SystemFlag::Flagged) && a.has_keyword("x"));
        a.subtract(&b);
        assert_eq!(a, before);
    }
}
