//! Short texts that can do no harm on the wire.

use alloc::boxed::Box;
use core::fmt;

use super::error::{Expected, ParseError};

/// A user's name: UTF-8 without control characters, not empty. RFC 1939 leaves the rest to the site; outside ASCII a server
/// takes it where it offers `UTF8 USER` (RFC 6856 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// Parses a whole text.
    ///
    /// # Errors
    /// Where it is empty, holds a control character or is not UTF-8.
    pub fn parse(text: &'a [u8]) -> Result<Self, ParseError> {
        printable(text)?;
        match core::str::from_utf8(text) {
            Ok("") => Err(ParseError::new(0, Expected::Argument)),
            Ok(name) => Ok(Self(name)),
            Err(error) => Err(ParseError::new(error.valid_up_to(), Expected::Utf8)),
        }
    }

    /// The name.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

/// A password on its way: any octets but control characters, spaces too, and maybe none at all. Never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password<'a>(&'a [u8]);

impl<'a> Password<'a> {
    /// Parses a whole text.
    ///
    /// # Errors
    /// Where it holds a control character.
    pub fn parse(text: &'a [u8]) -> Result<Self, ParseError> {
        printable(text).map(|()| Self(text))
    }

    /// The octets themselves.
    #[must_use]
    pub const fn expose(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Password<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// The name of a SASL mechanism (RFC 4422 §3.1). Equal in any case.
#[derive(Clone, Copy, Debug)]
pub struct Mechanism<S = Box<str>>(S);

/// RFC 4422 §3.1.
const MECHANISM_MAX: usize = 20;

impl<'a> Mechanism<&'a str> {
    /// Parses a whole text.
    ///
    /// # Errors
    /// Where a name cannot be so.
    pub fn parse(text: &'a [u8]) -> Result<Self, ParseError> {
        let good = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        let bad = text.iter().position(|octet| !good(octet));
        match (bad.or_else(|| (text.is_empty() || text.len() > MECHANISM_MAX).then_some(0)), core::str::from_utf8(text))
        {
            (None, Ok(name)) => Ok(Self(name)),
            (at, _) => Err(ParseError::new(at.unwrap_or(0), Expected::Mechanism)),
        }
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Mechanism {
        Mechanism(self.0.into())
    }
}

impl<S: AsRef<str>> Mechanism<S> {
    /// The name, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Mechanism<&str> {
        Mechanism(self.as_str())
    }
}

impl<S: AsRef<str>, T: AsRef<str>> PartialEq<Mechanism<T>> for Mechanism<S> {
    fn eq(&self, other: &Mechanism<T>) -> bool {
        self.as_str().eq_ignore_ascii_case(other.as_str())
    }
}

impl<S: AsRef<str>> Eq for Mechanism<S> {}

/// A language range, `*` or as `en-GB` (RFC 4647 §2.1). Equal in any case.
#[derive(Clone, Copy, Debug)]
pub struct Language<'a>(&'a str);

impl<'a> Language<'a> {
    /// Parses a whole text.
    ///
    /// # Errors
    /// Where a language range cannot be so.
    pub fn parse(text: &'a [u8]) -> Result<Self, ParseError> {
        let subtag = |tag: &[u8]| (1..=8).contains(&tag.len()) && tag.iter().all(u8::is_ascii_alphanumeric);
        let first = text.iter().take_while(|octet| **octet != b'-').all(u8::is_ascii_alphabetic);
        let good = text == b"*" || (first && text.split(|octet| *octet == b'-').all(subtag));
        match core::str::from_utf8(text) {
            Ok(range) if good => Ok(Self(range)),
            Ok(_) | Err(_) => Err(ParseError::new(0, Expected::Language)),
        }
    }

    /// The range, as it was given.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// Whether it asks for `tag`: it is the tag, or more special than it (RFC 4647 §3.4).
    #[must_use]
    pub fn matches(&self, tag: &str) -> bool {
        self.0 == "*"
            || self.0.split_at_checked(tag.len()).is_some_and(|(head, rest)| {
                head.eq_ignore_ascii_case(tag) && (rest.is_empty() || rest.starts_with('-'))
            })
    }
}

impl PartialEq for Language<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for Language<'_> {}

/// Refuses control octets, NUL among them: they have no place in any line.
pub(super) fn printable(text: &[u8]) -> Result<(), ParseError> {
    match text.iter().position(u8::is_ascii_control) {
        Some(at) => Err(ParseError::new(at, Expected::Printable)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn names_are_utf8_without_control_characters() {
        assert_eq!(Name::parse("j\u{fc}rgen x".as_bytes()).map(|name| name.0), Ok("j\u{fc}rgen x"));
        assert_eq!(Name::parse(b""), Err(ParseError::new(0, Expected::Argument)));
        assert_eq!(Name::parse(b"a\0b"), Err(ParseError::new(1, Expected::Printable)));
        assert_eq!(Name::parse(b"ab\xff"), Err(ParseError::new(2, Expected::Utf8)));
    }

    #[test]
    fn debug_output_holds_no_octet_of_a_password() {
        assert_eq!(format!("{:?}", Password::parse(b"hunter2").unwrap()), "Password(..)");
    }

    #[test]
    fn mechanisms_are_named_as_rfc_4422_says() {
        assert_eq!(Mechanism::parse(b"scram-sha-256-plus").unwrap(), Mechanism("SCRAM-SHA-256-PLUS"));
        for bad in [&b""[..], b"PLAIN TEXT", b"ABCDEFGHIJKLMNOPQRSTU", b"PL\xc3\x84IN"] {
            assert_eq!(Mechanism::parse(bad).map_err(|error| error.expected), Err(Expected::Mechanism));
        }
        assert_eq!(Mechanism::parse(b"X_1").unwrap().into_owned().borrowed().as_str(), "X_1");
    }

    #[test]
    fn a_language_is_found_by_a_range_that_is_it_or_more_special() {
        for (range, tag, found) in [
            ("en", "en", true),
            ("EN-gb", "en", true),
            ("*", "en", true),
            ("english", "en", false),
            ("e", "en", false),
            ("de", "en", false),
            ("i-default", "i-default", true),
        ] {
            assert_eq!(Language::parse(range.as_bytes()).unwrap().matches(tag), found, "{range} {tag}");
        }
        for bad in [&b""[..], b"en-", b"12", b"en gb", b"abcdefghi", b"e\xc3\xa4"] {
            assert_eq!(Language::parse(bad).map_err(|error| error.expected), Err(Expected::Language));
        }
        assert_eq!(Language("EN"), Language("en"));
    }
}
