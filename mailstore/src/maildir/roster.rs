//! `posthaste-special-use`: which directory of an account serves which special use, one on each line:
//! `\Sent .Gesendet`.

use std::collections::BTreeMap;

use crate::SpecialUse;

pub(crate) const NAME: &str = "posthaste-special-use";
pub(crate) const BESIDE: &str = "posthaste-special-use.tmp";

/// The special uses of an account's mailboxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    directories: BTreeMap<SpecialUse, String>,
    changed: bool,
}

impl Roster {
    pub(crate) fn parse(content: &[u8]) -> Self {
        let content = String::from_utf8_lossy(content);
        let line = |line: &str| {
            let (special_use, directory) = line.split_once(' ')?;
            Some((SpecialUse::parse(special_use)?, directory.to_owned()))
        };
        Self { directories: content.lines().filter_map(line).collect(), changed: false }
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let lines = self.directories.iter().map(|(special_use, dir)| format!("{} {dir}\n", special_use.as_str()));
        lines.collect::<String>().into_bytes()
    }

    pub(crate) fn has(&self, special_use: SpecialUse) -> bool {
        self.directories.contains_key(&special_use)
    }

    pub(crate) fn special_use(&self, directory: &str) -> Option<SpecialUse> {
        self.directories.iter().find(|(_, known)| *known == directory).map(|(special_use, _)| *special_use)
    }

    pub(crate) fn set(&mut self, special_use: SpecialUse, directory: &str) {
        self.directories.insert(special_use, directory.to_owned());
        self.changed = true;
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        for directory in self.directories.values_mut().filter(|known| *known == from) {
            to.clone_into(directory);
            self.changed = true;
        }
    }

    /// Forgets all directories but some.
    pub(crate) fn keep_only(&mut self, keep: impl Fn(&str) -> bool) {
        let before = self.directories.len();
        self.directories.retain(|_, directory| keep(directory));
        self.changed |= self.directories.len() < before;
    }

    /// Whether it says something else than when it was read.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_follow_their_directories() {
        let mut roster = Roster::parse(b"\\Sent .Gesendet\n\\junk .Spam\nrubbish\n\\Odd .x\n");
        assert_eq!(roster.special_use(".Spam"), Some(SpecialUse::Junk));
        roster.rename(".Gesendet", ".Raus.Gesendet");
        assert!(roster.is_changed());
        roster.keep_only(|directory| directory != ".Spam");
        assert_eq!(roster.write(), b"\\Sent .Raus.Gesendet\n");
        assert!(roster.has(SpecialUse::Sent) && !roster.has(SpecialUse::Junk));
    }
}
