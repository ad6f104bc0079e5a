//! Names of message files: `<unique>[,S=<octets on disk>][,W=<octets as read>][,D=<delivery id>]:2,<letters>`.
//!
//! Everything before the colon is the base name: it belongs to the message as long as it lives. What comes after it
//! changes with the flags.

use std::sync::Arc;

/// What comes between the base name and the letters.
const INFO: &[u8] = b":2,";

/// A message's base name.
pub(crate) type Base = Arc<[u8]>;

/// What comes after the base name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Info {
    /// Nothing, as for a message that nobody has looked at.
    #[default]
    None,
    /// Letters, and whatever another program put behind another comma.
    Flags { letters: Box<[u8]>, tail: Box<[u8]> },
    /// Something else, which is kept as it is and holds no flags.
    Foreign(Box<[u8]>),
}

impl Info {
    /// Letters as they should be: ascending, each once, nothing behind them.
    pub(crate) fn with_letters(mut letters: Vec<u8>) -> Self {
        letters.sort_unstable();
        letters.dedup();
        Self::Flags { letters: letters.into(), tail: Box::default() }
    }

    pub(crate) fn letters(&self) -> &[u8] {
        match self {
            Self::Flags { letters, .. } => letters,
            Self::None | Self::Foreign(_) => &[],
        }
    }

    /// The same with other letters.
    pub(crate) fn replaced(&self, letters: Vec<u8>) -> Self {
        match (Self::with_letters(letters), self) {
            (Self::Flags { letters, .. }, Self::Flags { tail, .. }) => Self::Flags { letters, tail: tail.clone() },
            (plain, Self::None | Self::Foreign(_)) => plain,
            (other, Self::Flags { .. }) => other,
        }
    }
}

/// Takes a file's name apart.
pub(crate) fn parse(name: &[u8]) -> (&[u8], Info) {
    let Some(colon) = memchr::memchr(b':', name) else { return (name, Info::None) };
    let (base, info) = name.split_at_checked(colon).unwrap_or((name, &[]));
    let Some(flags) = info.strip_prefix(INFO) else { return (base, Info::Foreign(info.into())) };
    let end = memchr::memchr(b',', flags).unwrap_or(flags.len());
    let (letters, tail) = flags.split_at_checked(end).unwrap_or((flags, &[]));
    (base, Info::Flags { letters: letters.into(), tail: tail.into() })
}

/// Puts a file's name together.
pub(crate) fn file_name(base: &[u8], info: &Info) -> Vec<u8> {
    match info {
        Info::None => base.to_vec(),
        Info::Flags { letters, tail } => [base, INFO, letters, tail].concat(),
        Info::Foreign(info) => [base, info].concat(),
    }
}

/// The value of a field in a base name, such as `S` or `W`.
pub(crate) fn field(base: &[u8], key: u8) -> Option<&[u8]> {
    base.split(|octet| *octet == b',').skip(1).find_map(|field| match field {
        [first, b'=', value @ ..] if *first == key => Some(value),
        _ => None,
    })
}

/// The number in a field of a base name.
pub(crate) fn number(base: &[u8], key: u8) -> Option<u64> {
    let value = std::str::from_utf8(field(base, key)?).ok()?;
    value.bytes().all(|octet| octet.is_ascii_digit()).then(|| value.parse().ok()).flatten()
}

/// Seconds and microseconds from `<sec>.M<usec>…`, as far as they are there: the order in which messages that appear
/// together get their UIDs.
pub(crate) fn age(base: &[u8]) -> (u64, u64) {
    let digits = |text: &[u8]| {
        let end = text.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(text.len());
        let digits = std::str::from_utf8(text.get(..end).unwrap_or_default()).unwrap_or_default();
        digits.parse().unwrap_or(0)
    };
    let mut parts = base.splitn(2, |octet| *octet == b'.');
    let seconds = parts.next().map_or(0, digits);
    let micros = parts.next().and_then(|rest| rest.strip_prefix(b"M")).map_or(0, digits);
    (seconds, micros)
}

/// A host's name as it may stand in a file's name: what would end the name or a field of it is written in octal, as
/// the Maildir specification asks.
pub(crate) fn host(name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for character in name.chars().take(64) {
        match character {
            '/' | ':' | ',' | '\\' => safe.push_str(&format!("\\{:03o}", u32::from(character))),
            '!'..='~' => safe.push(character),
            _ => safe.push('_'),
        }
    }
    if safe.is_empty() { "localhost".to_owned() } else { safe }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let (base, info) = parse(b"1700000000.M5P7.host,S=10,W=12:2,FSa,x=y");
        assert_eq!(base, b"1700000000.M5P7.host,S=10,W=12");
        assert_eq!(info, Info::Flags { letters: (*b"FSa").into(), tail: (*b",x=y").into() });
        assert_eq!((number(base, b'S'), number(base, b'W'), number(base, b'U')), (Some(10), Some(12), None));
        assert_eq!(parse(b"1.x.y"), (&b"1.x.y"[..], Info::None));
        assert_eq!(parse(b"1.x.y:1,S").1.letters(), b"");
        assert_eq!(field(b"a,D=x-1.0,S=5", b'D'), Some(&b"x-1.0"[..]));
        assert_eq!(number(b"a,S=+5", b'S'), None);
        assert_eq!(number(b"a,S=99999999999999999999999", b'S'), None);
    }

    #[test]
    fn letters_are_sorted_and_what_follows_them_is_kept() {
        let (_, info) = parse(b"x:2,S,extra");
        assert_eq!(file_name(b"x", &info.replaced(b"SaFS".to_vec())), b"x:2,FSa,extra");
        assert_eq!(file_name(b"x", &Info::None.replaced(vec![])), b"x:2,");
    }

    #[test]
    fn messages_are_ordered_by_the_time_in_their_names() {
        let mut names = [&b"10.M2.h"[..], b"9.M3.h", b"10.M10.h", b"x", b"10.h"];
        names.sort_by_key(|name| age(name));
        assert_eq!(names, [&b"x"[..], b"9.M3.h", b"10.h", b"10.M2.h", b"10.M10.h"]);
    }

    #[test]
    fn hosts_do_not_break_names() {
        assert_eq!(host("a/b:c,d"), "a\\057b\\072c\\054d");
        assert_eq!(host("ä b"), "__b");
        assert_eq!(host(""), "localhost");
    }

    proptest! {
        #[test]
        fn what_is_taken_apart_can_be_put_together(name in prop::collection::vec(any::<u8>(), 0..40)) {
            let (base, info) = parse(&name);
            prop_assert_eq!(file_name(base, &info), name);
        }
    }
}
