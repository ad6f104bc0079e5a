//! Dovecot's `dovecot-uidlist`: which message file has which UID.
//!
//! ```text
//! 3 V1700000000 N5 G0123456789abcdef0123456789abcdef
//! 1 :1700000000.M1P1.host,S=10,W=12
//! 4 W12 Gabc :1700000001.M2P1.host
//! ```
//!
//! The first line has the version, UIDVALIDITY, a UIDNEXT that may be too small (lines are appended without changing
//! it), the mailbox's own name and whatever else. Each further line has a UID, fields, and the message's base name;
//! UIDs ascend. Version 1, Courier's, has only numbers and names. It is read and written as octets; what is not
//! understood is kept.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::basename::Base;
use crate::ledger::UID_MAX;

pub(crate) const NAME: &str = "dovecot-uidlist";
pub(crate) const LOCK: &str = "dovecot-uidlist.lock";
pub(crate) const BESIDE: &str = "dovecot-uidlist.tmp";
/// Courier's list, of version 1.
pub(crate) const COURIER: &str = "courierimapuiddb";

/// A list as it stands in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UidList {
    pub(crate) uidvalidity: u32,
    /// Greater than every UID given so far.
    pub(crate) next: u32,
    /// 32 hexadecimal digits.
    pub(crate) guid: String,
    /// Fields of the first line that we do not know, with a space before each.
    pub(crate) extra: Vec<u8>,
    pub(crate) lines: BTreeMap<u32, Line>,
    /// Whether lines may be appended: the file ends with a whole line and nothing in it was unreadable.
    pub(crate) appendable: Appendable,
}

/// Whether lines may be appended to the file as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appendable {
    Yes,
    /// It must be written anew first.
    No,
}

/// One message's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) base: Base,
    /// Fields such as `W12`, with a space before each.
    pub(crate) fields: Box<[u8]>,
}

impl Line {
    pub(crate) fn new(base: Base) -> Self {
        Self { base, fields: Box::default() }
    }

    /// The value of a field.
    pub(crate) fn field(&self, key: u8) -> Option<&[u8]> {
        self.fields.split(|octet| *octet == b' ').find_map(|field| match field {
            [first, value @ ..] if *first == key => Some(value),
            _ => None,
        })
    }

    /// The value of a field as a text.
    pub(crate) fn text(&self, key: u8) -> Option<&str> {
        std::str::from_utf8(self.field(key)?).ok()
    }

    /// Writes the line as it stands in the file.
    pub(crate) fn write(&self, uid: u32, to: &mut Vec<u8>) {
        for part in [uid.to_string().as_bytes(), &self.fields, b" :", &self.base, b"\n"] {
            to.extend_from_slice(part);
        }
    }
}

impl UidList {
    /// The list of a new mailbox.
    pub(crate) fn new(uidvalidity: u32, guid: String) -> Self {
        Self { uidvalidity, next: 1, guid, extra: Vec::new(), lines: BTreeMap::new(), appendable: Appendable::No }
    }

    /// Reads a list. `None` if its first line does not say what must be known; then the mailbox has no UIDs yet.
    pub(crate) fn parse(content: &[u8]) -> Option<Self> {
        let (header, rest) = split_line(content)?;
        let mut list = match header.split(|octet| *octet == b' ').next()? {
            b"3" => Self::parse_header(header)?,
            b"1" => {
                let mut numbers = header.split(|octet| *octet == b' ').skip(1).map(parse_number);
                let (uidvalidity, next) = (numbers.next()??, numbers.next()??);
                Self { next, ..Self::new(uidvalidity, String::new()) }
            }
            _ => return None,
        };
        if list.uidvalidity == 0 {
            return None;
        }
        let written_by_us = !list.guid.is_empty();
        let damage = list.parse_lines(rest);
        list.appendable = if written_by_us && damage == Damage::None { Appendable::Yes } else { Appendable::No };
        Some(list)
    }

    fn parse_header(header: &[u8]) -> Option<Self> {
        let mut list = Self::new(0, String::new());
        for field in header.split(|octet| *octet == b' ').skip(1) {
            match field {
                [b'V', value @ ..] => list.uidvalidity = parse_number(value)?,
                [b'N', value @ ..] => list.next = parse_number(value)?,
                [b'G', value @ ..] => list.guid = String::from_utf8(value.to_vec()).ok()?,
                [] => {}
                other => {
                    list.extra.push(b' ');
                    list.extra.extend_from_slice(other);
                }
            }
        }
        list.next = list.next.max(1);
        Some(list)
    }

    /// Reads further lines, of the whole file or of what was appended to it. A line that cannot be read, or whose UID
    /// does not ascend, is passed over: its message gets a new UID, and no message an old one.
    pub(crate) fn parse_lines(&mut self, content: &[u8]) -> Damage {
        let mut damage = Damage::None;
        let mut rest = content;
        while !rest.is_empty() {
            let Some((line, after)) = split_line(rest) else { return Damage::Some };
            rest = after;
            let last = self.lines.last_key_value().map_or(0, |(uid, _)| *uid);
            match parse_line(line) {
                Some((uid, line)) if uid > last => {
                    self.next = self.next.max(uid + 1);
                    self.lines.insert(uid, line);
                }
                Some(_) | None => damage = Damage::Some,
            }
        }
        damage
    }

    /// Takes over unique-ids for POP3 that messages have had elsewhere. A message without a line gets one: what its UID is
    /// nobody knows yet.
    pub(crate) fn inherit(&mut self, uidls: Vec<(Base, String)>) {
        let mut by_base: HashMap<_, _> = self.lines.iter().map(|(uid, line)| (Arc::clone(&line.base), *uid)).collect();
        for (base, uidl) in uidls {
            let uid = *by_base.entry(Arc::clone(&base)).or_insert(self.next);
            if uid > UID_MAX {
                return;
            }
            self.next = self.next.max(uid + 1);
            let line = self.lines.entry(uid).or_insert_with(|| Line::new(base));
            if line.field(b'P').is_none() {
                line.fields = [&line.fields, &b" P"[..], uidl.as_bytes()].concat().into();
            }
        }
    }

    /// The whole file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let header = format!("3 V{} N{} G{}", self.uidvalidity, self.next, self.guid);
        let mut content = [header.as_bytes(), &self.extra, b"\n"].concat();
        for (uid, line) in &self.lines {
            line.write(*uid, &mut content);
        }
        content
    }
}

/// Whether something in a file could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Damage {
    None,
    Some,
}

fn parse_line(line: &[u8]) -> Option<(u32, Line)> {
    let space = memchr::memchr(b' ', line)?;
    let (uid, mut rest) = line.split_at_checked(space)?;
    let uid: u32 = parse_number(uid)?;
    if uid == 0 || uid > UID_MAX {
        return None;
    }
    let mut fields = Vec::new();
    // Version 1 has no fields and no colon before the name; names begin with a digit there.
    while let [b' ', after @ ..] = rest {
        match after {
            [b':', name @ ..] => return named(uid, name, &fields),
            [b'A'..=b'Z', ..] => {
                let end = memchr::memchr(b' ', after)?;
                let (field, next) = after.split_at_checked(end)?;
                fields.push(b' ');
                fields.extend_from_slice(field);
                rest = next;
            }
            name => return named(uid, name, &fields),
        }
    }
    None
}

fn named(uid: u32, name: &[u8], fields: &[u8]) -> Option<(u32, Line)> {
    // Earlier versions wrote the whole name.
    let base = name.split(|octet| *octet == b':').next()?;
    let bad = base.is_empty() || base.contains(&b'/') || base.contains(&0);
    (!bad).then(|| (uid, Line { base: Arc::from(base), fields: fields.into() }))
}

fn split_line(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', content)?;
    let (line, rest) = content.split_at_checked(end)?;
    Some((line, rest.get(1..)?))
}

fn parse_number(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST: &[u8] = b"3 V1700000000 N2 Gabcd P1 X9\n1 :one\n4 W12 Gxyz :two,S=5\n";

    #[test]
    fn a_list_is_read_and_written_alike() {
        let list = UidList::parse(LIST).unwrap();
        assert_eq!((list.uidvalidity, &*list.guid, list.appendable), (1_700_000_000, "abcd", Appendable::Yes));
        assert_eq!(list.next, 5, "the first line is behind");
        assert_eq!(&*list.lines[&4].base, b"two,S=5");
        assert_eq!((list.lines[&4].text(b'W'), list.lines[&4].text(b'G')), (Some("12"), Some("xyz")));
        assert_eq!(list.lines[&1].text(b'G'), None);
        let written = String::from_utf8(list.write()).unwrap();
        assert_eq!(written, String::from_utf8_lossy(LIST).replace("N2", "N5"));
    }

    #[test]
    fn next_never_sinks_below_what_the_first_line_says() {
        assert_eq!(UidList::parse(b"3 V1 N9 Ga\n1 :one\n").unwrap().next, 9);
    }

    #[test]
    fn a_torn_last_line_was_never_told() {
        let list = UidList::parse(b"3 V1 N1 Ga\n1 :one\n2 :tw").unwrap();
        assert_eq!((list.lines.len(), list.next, list.appendable), (1, 2, Appendable::No));
    }

    #[test]
    fn damaged_lines_are_passed_over_and_no_uid_is_given_twice() {
        let list = UidList::parse(b"3 V1 N1 Ga\n1 :one\nrubbish\n5 :five\n3 :three\n5 :again\n0 :zero\n").unwrap();
        assert_eq!(list.lines.keys().copied().collect::<Vec<_>>(), [1, 5]);
        assert_eq!((list.next, list.appendable), (6, Appendable::No));
        for bad in ["1 :a/b", "4294967295 :x", "1", "1 ", "1 :", "-1 :x", "1 W5:x"] {
            assert_eq!(parse_line(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn version_1_is_read() {
        let list = UidList::parse(b"1 1700000000 8\n3 123.x:2,S\n7 124.y\n").unwrap();
        assert_eq!((list.uidvalidity, list.next, list.appendable), (1_700_000_000, 8, Appendable::No));
        assert_eq!(&*list.lines[&3].base, b"123.x");
    }

    #[test]
    fn what_has_no_uidvalidity_is_no_list() {
        for bad in [&b""[..], b"3 V0 N1\n", b"3 N1 Ga\n", b"2 V1 N1\n", b"3 V1 N1", b"rubbish\n", b"1 x y\n"] {
            assert_eq!(UidList::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_content_breaks_it_and_what_it_writes_it_reads(tail in "([0-9]{1,3} (W[0-9]+ )?:?[a-z:]{0,4}\n?){0,8}") {
            let content = [b"3 V7 N3 Ga\n", tail.as_bytes()].concat();
            let list = UidList::parse(&content).unwrap();
            let again = UidList::parse(&list.write()).unwrap();
            prop_assert_eq!(&again.lines, &list.lines);
            prop_assert_eq!(again.next, list.next);
            prop_assert_eq!(again.appendable, Appendable::Yes);
        }

        #[test]
        fn arbitrary_octets_are_survived(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = UidList::parse(&content);
            let _ = UidList::new(1, String::new()).parse_lines(&content);
        }
    }
}
