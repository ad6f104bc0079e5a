//! Dovecot's `dovecot-keywords`: the names of the letters `a` to `z`, one mailbox's own. A line is `<0..25> <name>`.
//! Keywords beyond the 26 letters live in our facts file under numbers from 26 on.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Flags, SystemFlag, flags::is_keyword};

pub(crate) const NAME: &str = "dovecot-keywords";
pub(crate) const BESIDE: &str = "dovecot-keywords.tmp";

/// How many keywords have letters.
pub(crate) const LETTERS: u32 = 26;

/// The most keywords that a mailbox may have. Every one of them goes into every FLAGS response; clients that invent
/// keywords without end are stopped here.
pub(crate) const KEYWORDS_MAX: usize = 500;

/// The keywords of a mailbox by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keywords {
    by_number: BTreeMap<u32, Arc<str>>,
}

/// A message's flags in the form of the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Letters that stand in the file's name.
    pub(crate) letters: Vec<u8>,
    /// Numbers of keywords without a letter, ascending.
    pub(crate) numbers: Vec<u32>,
}

impl Keywords {
    /// Reads Dovecot's file.
    pub(crate) fn parse(content: &[u8]) -> Self {
        let mut keywords = Self::default();
        for line in String::from_utf8_lossy(content).lines() {
            let Some((number, name)) = line.split_once(' ') else { continue };
            match number.parse() {
                Ok(number) if number < LETTERS => keywords.set(number, name),
                Ok(_) | Err(_) => {}
            }
        }
        keywords
    }

    /// Dovecot's file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let lines = self.by_number.range(..LETTERS).map(|(number, name)| format!("{number} {name}\n"));
        lines.collect::<String>().into_bytes()
    }

    /// Gives a number a name, unless the name is none or another number has it.
    pub(crate) fn set(&mut self, number: u32, name: &str) {
        if is_keyword(name) && self.number(name).is_none() {
            self.by_number.insert(number, name.into());
        }
    }

    /// Takes the letters' names from another table, as when Dovecot has added some.
    pub(crate) fn take_letters_of(&mut self, other: &Self) {
        let beyond = self.by_number.split_off(&LETTERS);
        self.by_number = other.by_number.range(..LETTERS).map(|(number, name)| (*number, Arc::clone(name))).collect();
        for (number, name) in beyond {
            self.set(number, &name);
        }
    }

    pub(crate) fn names(&self) -> Arc<[Arc<str>]> {
        self.by_number.values().cloned().collect()
    }

    /// The names with numbers beyond the letters.
    pub(crate) fn beyond_letters(&self) -> impl Iterator<Item = (u32, &Arc<str>)> {
        self.by_number.range(LETTERS..).map(|(number, name)| (*number, name))
    }

    pub(crate) fn has_room(&self) -> bool {
        self.by_number.len() < KEYWORDS_MAX
    }

    /// Gives every keyword of a set a number. `None` if there would be too many.
    pub(crate) fn with(&self, flags: &Flags) -> Option<Self> {
        let mut with = self.clone();
        for keyword in flags.keywords() {
            if with.number(keyword).is_none() {
                if !with.has_room() {
                    return None;
                }
                // A gap is not filled: files may still have its letter.
                let free = with.by_number.last_key_value().map_or(0, |(number, _)| number + 1);
                with.set(free, keyword);
            }
        }
        Some(with)
    }

    fn number(&self, keyword: &str) -> Option<u32> {
        self.by_number.iter().find(|(_, name)| name.eq_ignore_ascii_case(keyword)).map(|(number, _)| *number)
    }

    /// The flags that marks stand for, in this mailbox's spelling.
    pub(crate) fn flags(&self, letters: &[u8], numbers: &[u32]) -> Flags {
        let mut flags: Flags = letters.iter().filter_map(|letter| system(*letter)).collect();
        let lettered = letters.iter().filter(|letter| letter.is_ascii_lowercase()).map(|l| u32::from(l - b'a'));
        for number in lettered.chain(numbers.iter().copied()) {
            if let Some(name) = self.by_number.get(&number) {
                flags.add_shared(name);
            }
        }
        flags
    }

    /// The marks for flags whose keywords all have numbers. Letters that stand for nothing we know stay as they were.
    pub(crate) fn marks(&self, flags: &Flags, before: &[u8]) -> Marks {
        let unknown = |letter: &u8| {
            let named = letter.is_ascii_lowercase() && self.by_number.contains_key(&u32::from(letter - b'a'));
            system(*letter).is_none() && !named
        };
        let mut marks = Marks::default();
        marks.letters.extend(before.iter().copied().filter(unknown));
        marks.letters.extend(flags.system().map(letter));
        for number in flags.keywords().filter_map(|keyword| self.number(keyword)) {
            match u8::try_from(number) {
                Ok(number) if u32::from(number) < LETTERS => marks.letters.push(b'a' + number),
                Ok(_) | Err(_) => marks.numbers.push(number),
            }
        }
        marks.letters.sort_unstable();
        marks.letters.dedup();
        marks.numbers.sort_unstable();
        marks
    }
}

fn letter(flag: SystemFlag) -> u8 {
    match flag {
        SystemFlag::Answered => b'R',
        SystemFlag::Deleted => b'T',
        SystemFlag::Draft => b'D',
        SystemFlag::Flagged => b'F',
        SystemFlag::Seen => b'S',
    }
}

fn system(letter: u8) -> Option<SystemFlag> {
    SystemFlag::ALL.into_iter().find(|flag| self::letter(*flag) == letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(system: &[SystemFlag], keywords: &[&str]) -> Flags {
        let mut flags: Flags = system.iter().copied().collect();
        for keyword in keywords {
            flags.add_keyword(keyword).unwrap();
        }
        flags
    }

    #[test]
    fn the_file_is_read_and_written_alike() {
        let content = b"0 $Forwarded\n3 Work\n";
        let keywords = Keywords::parse(content);
        assert_eq!(keywords.write(), content);
        assert_eq!(Keywords::parse(b"0 a\n26 b\n1 two words\nx y\n2 A\n\n5\n").write(), b"0 a\n");
    }

    #[test]
    fn letters_stand_for_flags_and_unknown_ones_stay() {
        let keywords = Keywords::parse(b"0 $Forwarded\n3 Work\n");
        let expected = flags(&[SystemFlag::Seen, SystemFlag::Answered], &["work"]);
        assert_eq!(keywords.flags(b"PRSdz", &[]), expected);
        let marks = keywords.marks(&flags(&[SystemFlag::Draft], &["$forwarded"]), b"PRSdz");
        assert_eq!(marks, Marks { letters: b"DPaz".to_vec(), numbers: vec![] });
    }

    #[test]
    fn beyond_the_letters_there_are_numbers() {
        let many: Vec<_> = (0..30).map(|n| format!("k{n:02}")).collect();
        let many = flags(&[], &many.iter().map(|name| &**name).collect::<Vec<_>>());
        let keywords = Keywords::default().with(&many).unwrap();
        let marks = keywords.marks(&many, b"");
        assert_eq!((marks.letters.len(), &marks.numbers[..]), (26, &[26, 27, 28, 29][..]));
        assert_eq!(keywords.flags(&marks.letters, &marks.numbers), many);
        assert_eq!(keywords.beyond_letters().count(), 4);
    }

    #[test]
    fn there_is_an_end_to_new_keywords() {
        let full: Vec<_> = (0..KEYWORDS_MAX).map(|n| format!("k{n}")).collect();
        let full = flags(&[], &full.iter().map(|name| &**name).collect::<Vec<_>>());
        let keywords = Keywords::default().with(&full).unwrap();
        assert!(!keywords.has_room());
        assert!(keywords.with(&flags(&[], &["K7"])).is_some(), "a known one is always welcome");
        assert!(keywords.with(&flags(&[], &["new"])).is_none());
    }

    #[test]
    fn dovecots_letters_win_and_ours_beyond_stay() {
        let mut ours = Keywords::parse(b"0 a\n");
        ours.set(26, "beyond");
        ours.take_letters_of(&Keywords::parse(b"0 a\n1 b\n"));
        assert_eq!(ours.names().iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b", "beyond"]);
    }
}
