//! `posthaste-facts`: what a mailbox must remember and Dovecot's files have no place for. One file in each mailbox,
//! changed only under the mailbox's lock.
//!
//! ```text
//! posthaste-facts 1
//! 89a1c3f2 V 1700000000
//! 0b1ce4d7 F 12 1782579200000001 S - 1700000000 2345 2300 E
//! ```
//!
//! The first line has the version. Each further line is a checksum (CRC-32C, hexadecimal) and a fact, which is a letter
//! and its values; later facts override earlier ones. Lines are appended; a line whose checksum is wrong was torn by a
//! crash and is passed over. When many facts are outdated, the file is written anew and takes the old one's name.
//! Facts with letters that this version does not know are kept.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::{self, Write as _},
    ops::RangeInclusive,
    str::{FromStr, SplitN},
    sync::Arc,
};

use super::{ending::Ending, uidlist::Damage};

pub(crate) const NAME: &str = "posthaste-facts";
pub(crate) const BESIDE: &str = "posthaste-facts.tmp";
pub(crate) const HEADER: &str = "posthaste-facts 1\n";

/// How long delivery ids are remembered, in seconds: 35 days, longer than any queue goes on trying.
pub(crate) const DELIVERY_KEPT: i64 = 35 * 86_400;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// `V`: facts about UIDs that follow are of this UIDVALIDITY; earlier ones are void if it is another.
    UidValidity(u32),
    /// `H`: a process has begun to serve the mailbox and tells this MODSEQ.
    Highest(u64),
    /// `M`: every MODSEQ up to this may have been told. Synced before it is used, in steps, so that after a crash the
    /// next MODSEQ is above all that anybody has seen.
    Ceiling(u64),
    /// `R`: UIDs up to this one are not \Recent any more.
    Claimed(u32),
    /// `F`: a message as it was last told.
    Message(u32, Known),
    /// `X`: these UIDs were expunged at this MODSEQ, and stay so should their files appear again.
    Gone(u64, RangeInclusive<u32>),
    /// `D`: a delivery id and what became of it.
    Delivered(Arc<str>, Delivery),
    /// `K`: the name of a keyword that has no letter.
    Keyword(u32, String),
    /// Something that a later version knows.
    Unknown(String),
}

/// What is known about a message. If the letters in its file's name are others by now, somebody else changed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) modseq: u64,
    pub(crate) letters: Box<str>,
    pub(crate) numbers: Box<[u32]>,
    pub(crate) internal_date: i64,
    pub(crate) size: u64,
    pub(crate) physical: u64,
    pub(crate) ending: Option<Ending>,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// When it was, in seconds since 1970.
    pub(crate) at: i64,
    pub(crate) uid: u32,
    pub(crate) guid: Arc<str>,
}

/// All facts of a mailbox.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) uidvalidity: u32,
    pub(crate) ceiling: u64,
    /// The greatest MODSEQ in any fact.
    pub(crate) highest: u64,
    pub(crate) claimed: u32,
    pub(crate) messages: BTreeMap<u32, Known>,
    pub(crate) gone: BTreeSet<u32>,
    pub(crate) deliveries: HashMap<Arc<str>, Delivery>,
    pub(crate) keywords: BTreeMap<u32, String>,
    pub(crate) unknown: Vec<String>,
    /// How many lines there are.
    pub(crate) lines: usize,
}

impl Fact {
    /// The lines of facts as they stand in the file.
    pub(crate) fn lines(facts: &[Self]) -> String {
        let (mut lines, mut fact) = (String::new(), String::new());
        for each in facts {
            fact.clear();
            // Writing to a string cannot fail.
            let _ = each.write(&mut fact);
            let _ = writeln!(lines, "{:08x} {fact}", crc32c::crc32c(fact.as_bytes()));
        }
        lines
    }

    fn write(&self, to: &mut String) -> fmt::Result {
        match self {
            Self::UidValidity(value) => write!(to, "V {value}"),
            Self::Highest(modseq) => write!(to, "H {modseq}"),
            Self::Ceiling(modseq) => write!(to, "M {modseq}"),
            Self::Claimed(uid) => write!(to, "R {uid}"),
            Self::Message(uid, Known { modseq, letters, numbers, internal_date, size, physical, ending }) => {
                let letters = if letters.is_empty() { "-" } else { letters };
                write!(to, "F {uid} {modseq} {letters} ")?;
                match &**numbers {
                    [] => to.push('-'),
                    [first, rest @ ..] => {
                        write!(to, "{first}")?;
                        rest.iter().try_for_each(|number| write!(to, ",{number}"))?;
                    }
                }
                let ending = match ending {
                    None => "",
                    Some(Ending::Crlf) => " E",
                    Some(Ending::Open) => " O",
                };
                write!(to, " {internal_date} {size} {physical}{ending}")
            }
            Self::Gone(modseq, uids) => write!(to, "X {modseq} {} {}", uids.start(), uids.end()),
            Self::Delivered(id, Delivery { at, uid, guid }) => {
                write!(to, "D {at} {uid} {id} {}", guid.replace(char::is_control, "_"))
            }
            Self::Keyword(number, name) => write!(to, "K {number} {name}"),
            Self::Unknown(fact) => to.write_str(fact),
        }
    }

    fn parse(fact: &str) -> Option<Self> {
        let (kind, values) = fact.split_once(' ')?;
        let mut words = values.splitn(if kind == "D" { 4 } else { 8 }, ' ');
        let parsed = match kind {
            "V" => Self::UidValidity(next(&mut words)?),
            "H" => Self::Highest(next(&mut words)?),
            "M" => Self::Ceiling(next(&mut words)?),
            "R" => Self::Claimed(next(&mut words)?),
            "F" => {
                let uid = next(&mut words)?;
                let known = Known {
                    modseq: next(&mut words)?,
                    letters: words.next().map(|letters| if letters == "-" { "" } else { letters })?.into(),
                    numbers: match words.next()? {
                        "-" => Box::default(),
                        numbers => numbers.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?,
                    },
                    internal_date: next(&mut words)?,
                    size: next(&mut words)?,
                    physical: next(&mut words)?,
                    // Earlier versions do not write it, and pass over it.
                    ending: words.next().and_then(|ending| match ending {
                        "E" => Some(Ending::Crlf),
                        "O" => Some(Ending::Open),
                        _ => None,
                    }),
                };
                Self::Message(uid, known)
            }
            "X" => Self::Gone(next(&mut words)?, next(&mut words)?..=next(&mut words)?),
            "D" => {
                let (at, uid) = (next(&mut words)?, next(&mut words)?);
                let id = words.next()?.into();
                Self::Delivered(id, Delivery { at, uid, guid: words.next()?.into() })
            }
            "K" => Self::Keyword(next(&mut words)?, words.next()?.to_owned()),
            _ => return Some(Self::Unknown(fact.to_owned())),
        };
        Some(parsed)
    }
}

fn next<T: FromStr>(words: &mut SplitN<'_, char>) -> Option<T> {
    words.next()?.parse().ok()
}

impl Facts {
    /// Reads the whole file. `None` if it is not of this version.
    pub(crate) fn parse(content: &[u8]) -> Option<(Self, Damage)> {
        let mut facts = Self::default();
        let damage = facts.parse_lines(content.strip_prefix(HEADER.as_bytes())?);
        Some((facts, damage))
    }

    /// Reads further lines, of the whole file or of what was appended to it.
    pub(crate) fn parse_lines(&mut self, content: &[u8]) -> Damage {
        let mut damage = Damage::None;
        let mut rest = content;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = after.get(1..).unwrap_or_default();
            match checked(line).and_then(Fact::parse) {
                Some(fact) => {
                    self.lines += 1;
                    self.apply(fact);
                }
                None => damage = Damage::Some,
            }
        }
        if rest.is_empty() { damage } else { Damage::Some }
    }

    pub(crate) fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::UidValidity(uidvalidity) => {
                if uidvalidity != self.uidvalidity {
                    self.uidvalidity = uidvalidity;
                    self.claimed = 0;
                    self.messages.clear();
                    self.gone.clear();
                }
            }
            Fact::Highest(modseq) => self.highest = self.highest.max(modseq),
            Fact::Ceiling(modseq) => self.ceiling = self.ceiling.max(modseq),
            Fact::Claimed(uid) => self.claimed = self.claimed.max(uid),
            Fact::Message(uid, known) => {
                self.highest = self.highest.max(known.modseq);
                self.messages.insert(uid, known);
            }
            Fact::Gone(modseq, uids) => {
                self.highest = self.highest.max(modseq);
                // Only what was there can be gone: the file cannot make this set larger than itself.
                let gone: Vec<_> = self.messages.range(uids).map(|(uid, _)| *uid).collect();
                for uid in gone {
                    self.messages.remove(&uid);
                    self.gone.insert(uid);
                }
            }
            Fact::Delivered(id, delivery) => {
                self.deliveries.insert(id, delivery);
            }
            Fact::Keyword(number, name) => {
                self.keywords.insert(number, name);
            }
            Fact::Unknown(fact) => self.unknown.push(fact),
        }
    }
}

/// The fact in a line, if its checksum is right.
fn checked(line: &[u8]) -> Option<&str> {
    let (checksum, fact) = line.split_at_checked(8)?;
    let fact = fact.strip_prefix(b" ")?;
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    (checksum == crc32c::crc32c(fact)).then(|| std::str::from_utf8(fact).ok()).flatten()
}

/// UIDs as ranges.
pub(crate) fn ranges(uids: impl IntoIterator<Item = u32>) -> Vec<RangeInclusive<u32>> {
    let single: Vec<_> = uids.into_iter().map(|uid| uid..=uid).collect();
    crate::ledger::merged(&single)
}

#[cfg(test)]
mod tests {
    use std::slice;

    use proptest::prelude::*;

    use super::*;

    fn known(modseq: u64) -> Known {
        let (letters, numbers) = ("FSa".into(), [26, 31].into());
        Known { modseq, letters, numbers, internal_date: -5, size: 12, physical: 10, ending: None }
    }

    fn file(facts: &[Fact]) -> Vec<u8> {
        format!("{HEADER}{}", Fact::lines(facts)).into_bytes()
    }

    #[test]
    fn facts_are_read_as_they_were_written() {
        let delivery = Delivery { at: 1_700_000_000, uid: 3, guid: "a name, with spaces".into() };
        let all = [
            Fact::UidValidity(7),
            Fact::Ceiling(u64::MAX),
            Fact::Claimed(9),
            Fact::Message(3, known(5)),
            Fact::Message(4, Known { letters: "".into(), numbers: [].into(), ..known(6) }),
            Fact::Message(5, Known { ending: Some(Ending::Crlf), ..known(6) }),
            Fact::Message(6, Known { ending: Some(Ending::Open), ..known(6) }),
            Fact::Gone(9, 1..=4),
            Fact::Highest(7),
            Fact::Delivered("id-1.0".into(), delivery.clone()),
            Fact::Keyword(26, "$Beyond".to_owned()),
            Fact::Unknown("Z of a later version".to_owned()),
        ];
        for fact in &all {
            assert_eq!(
                checked(Fact::lines(slice::from_ref(fact)).trim_end().as_bytes()).and_then(Fact::parse).as_ref(),
                Some(fact)
            );
        }
        let (facts, damage) = Facts::parse(&file(&all)).unwrap();
        assert_eq!((damage, facts.lines, facts.ceiling, facts.claimed), (Damage::None, 12, u64::MAX, 9));
        assert_eq!(facts.highest, 9);
        assert_eq!(facts.gone, BTreeSet::from([3, 4]));
        assert_eq!(facts.deliveries["id-1.0"], delivery);
        assert_eq!(facts.unknown, ["Z of a later version"]);
    }

    #[test]
    fn another_uidvalidity_voids_uids_and_nothing_else() {
        let delivery = Delivery { at: 1, uid: 3, guid: "g".into() };
        let content = file(&[
            Fact::UidValidity(7),
            Fact::Ceiling(50),
            Fact::Claimed(9),
            Fact::Message(3, known(5)),
            Fact::Delivered("id".into(), delivery),
            Fact::UidValidity(8),
        ]);
        let (facts, _) = Facts::parse(&content).unwrap();
        assert_eq!((facts.claimed, facts.messages.len(), facts.ceiling, facts.deliveries.len()), (0, 0, 50, 1));
    }

    #[test]
    fn torn_and_damaged_lines_are_passed_over() {
        let whole = file(&[Fact::Claimed(1), Fact::Claimed(2), Fact::Claimed(3)]);
        for cut in HEADER.len() + 1..whole.len() {
            let (facts, damage) = Facts::parse(&whole[..cut]).unwrap();
            let lines = whole[HEADER.len()..cut].iter().filter(|octet| **octet == b'\n').count();
            assert_eq!(facts.claimed as usize, lines);
            assert_eq!(damage == Damage::None, whole[cut - 1] == b'\n');
        }
        for at in HEADER.len()..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let (facts, damage) = Facts::parse(&damaged).unwrap();
            assert_eq!(damage, Damage::Some);
            assert!(facts.lines >= 1);
        }
        assert!(Facts::parse(b"posthaste-facts 2\n").is_none());
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_survived(text in "[A-Z] [-0-9, a]{0,30}") {
            let line = Fact::lines(&[Fact::Unknown(text)]);
            let (facts, _) = Facts::parse(format!("{HEADER}{line}").as_bytes()).unwrap();
            prop_assert!(facts.lines <= 1);
        }
    }
}
