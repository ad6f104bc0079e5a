//! Flags (RFC 3501 §2.3.2).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use crate::grammar::is_atom_char;

/// A flag of a message. `\Recent` is none of them: no client can set it, and the engine alone knows whom to tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
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
    /// A word that users or clients made up.
    Keyword(Keyword),
}

impl Flag {
    /// The wire's name of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Answered => "\\Answered",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
            Self::Flagged => "\\Flagged",
            Self::Seen => "\\Seen",
            Self::Keyword(keyword) => keyword.as_str(),
        }
    }

    /// The flag of that name, whatever its case; `None` for `\Recent`, for flags with a backslash that RFC 3501 does not
    /// know, and for what is no atom.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let Some(system) = name.strip_prefix('\\') else { return Keyword::new(name).map(Self::Keyword) };
        let known = [Self::Answered, Self::Deleted, Self::Draft, Self::Flagged, Self::Seen];
        known.into_iter().find(|flag| flag.as_str().trim_start_matches('\\').eq_ignore_ascii_case(system))
    }
}

/// A keyword: an atom that compares without regard to case and keeps the case it came in.
#[derive(Clone)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// `None` if `name` is no atom.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        (!name.is_empty() && name.bytes().all(is_atom_char)).then(|| Self(name.into()))
    }

    /// Its name, in the case it came in.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|octet| octet.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Flags, each once, in a stable order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(Vec<Flag>);

impl Flags {
    /// No flags.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The five flags that RFC 3501 §2.3.2 lets clients change.
    #[must_use]
    pub fn system() -> Self {
        [Flag::Answered, Flag::Deleted, Flag::Draft, Flag::Flagged, Flag::Seen].into_iter().collect()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `flag` is among them.
    #[must_use]
    pub fn contains(&self, flag: &Flag) -> bool {
        self.0.binary_search(flag).is_ok()
    }

    /// Puts `flag` in.
    pub fn insert(&mut self, flag: Flag) {
        if let Err(at) = self.0.binary_search(&flag) {
            self.0.insert(at, flag);
        }
    }

    /// All of them.
    pub fn iter(&self) -> core::slice::Iter<'_, Flag> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Flags {
    type Item = &'a Flag;
    type IntoIter = core::slice::Iter<'a, Flag>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Flag> for Flags {
    /// Of keywords that differ in case only, the first stays.
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut flags: Vec<Flag> = flags.into_iter().collect();
        flags.sort();
        flags.dedup();
        Self(flags)
    }
}

impl fmt::Display for Flags {
    /// The names, separated by spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for flag in self {
            write!(f, "{space}{}", flag.as_str())?;
            space = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(Flag::from_name("\\sEEN"), Some(Flag::Seen));
        assert_eq!(Flag::from_name("$forwarded"), Flag::from_name("$Forwarded"));
        for no_flag in ["\\Recent", "\\*", "\\", "", "a b", "a\r\n", "a]", "\u{e9}", "\\Seen\\Seen", "\\\\Seen"] {
            assert_eq!(Flag::from_name(no_flag), None, "{no_flag}");
        }
    }

    #[test]
    fn the_first_spelling_of_a_keyword_stays() {
        let named = |name| Flag::from_name(name).unwrap();
        let mut flags: Flags = [named("Work"), named("\\Seen"), named("WORK")].into_iter().collect();
        flags.insert(named("wOrk"));
        assert_eq!(flags.to_string(), "\\Seen Work");
        assert!(flags.contains(&named("work")));
    }
}
