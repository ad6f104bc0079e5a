//! Short texts that can do no harm on the wire: SASL mechanisms' names, xtext, free text.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{Expected, ParseError};

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
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let bad = text.bytes().position(|octet| !(octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')));
        match bad.or_else(|| (text.is_empty() || text.len() > MECHANISM_MAX).then_some(0)) {
            Some(at) => Err(ParseError { at, expected: Expected::Mechanism }),
            None => Ok(Self(text)),
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

/// xtext: a text in the printable ASCII of a parameter's value, the rest of it as `+XX` (RFC 3461 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Xtext<S = Box<str>>(S);

impl<'a> Xtext<&'a str> {
    /// Parses a whole text. Refuses what would decode to control characters, which no use of it needs.
    ///
    /// # Errors
    /// Where it is not xtext.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        Self::parse_where(text, |octet| !octet.is_ascii_control())
    }

    /// Parses the value of `ENVID=`: at most 100 octets, that stand for printable ASCII (RFC 3461 §4.4).
    ///
    /// # Errors
    /// Where it is not so.
    pub fn parse_envelope_id(text: &'a str) -> Result<Self, ParseError> {
        if text.len() > ENVELOPE_ID_MAX {
            return Err(ParseError { at: ENVELOPE_ID_MAX, expected: Expected::End });
        }
        Self::parse_ascii(text)
    }

    /// Parses a whole text that stands for printable ASCII.
    pub(super) fn parse_ascii(text: &'a str) -> Result<Self, ParseError> {
        Self::parse_where(text, |octet| matches!(octet, b' '..=b'~'))
    }

    fn parse_where(text: &'a str, is_good: impl Fn(u8) -> bool) -> Result<Self, ParseError> {
        let (plain, rest) = XCHAR.split(text);
        let mut octets = (plain.len()..).zip(rest.bytes());
        while let Some((at, octet)) = octets.next() {
            let stands_for = match octet {
                b'+' => {
                    let mut digit = || octets.next().and_then(|(_, octet)| hex(octet));
                    digit().zip(digit()).map(|(high, low)| (high << 4) | low)
                }
                b'=' => None,
                _ => octet.is_ascii_graphic().then_some(octet),
            };
            if !stands_for.is_some_and(&is_good) {
                return Err(ParseError { at, expected: Expected::Xtext });
            }
        }
        Ok(Self(text))
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Xtext {
        Xtext(self.0.into())
    }
}

impl Xtext {
    /// Encodes a text.
    #[must_use]
    pub fn encode(text: &str) -> Self {
        let mut encoded = String::with_capacity(text.len());
        for octet in text.bytes() {
            match octet {
                b'+' | b'=' | ..=b' ' | 127.. => {
                    encoded.push('+');
                    encoded.extend(
                        [octet >> 4, octet & 15]
                            .map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase()),
                    );
                }
                _ => encoded.push(char::from(octet)),
            }
        }
        Self(encoded.into())
    }

    /// The encoded text.
    pub(super) fn into_str(self) -> Box<str> {
        self.0
    }
}

impl<S: AsRef<str>> Xtext<S> {
    /// The encoded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Xtext<&str> {
        Xtext(self.as_str())
    }

    /// The octets that it stands for.
    #[must_use]
    pub fn decode(&self) -> Vec<u8> {
        let mut octets = self.as_str().bytes();
        let mut decoded = Vec::with_capacity(self.as_str().len());
        while let Some(octet) = octets.next() {
            decoded.push(match octet {
                b'+' => {
                    let mut digit = || octets.next().and_then(hex).unwrap_or_default();
                    (digit() << 4) | digit()
                }
                _ => octet,
            });
        }
        decoded
    }
}

/// RFC 3461 §4.4.
const ENVELOPE_ID_MAX: usize = 100;

/// Free text of one line, without control characters: the argument of VRFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Text<S = Box<str>>(S);

impl<'a> Text<&'a str> {
    /// Parses a whole text: not empty, no space at its ends, no control character.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        if text.is_empty() || text.starts_with(' ') || text.ends_with(' ') {
            return Err(ParseError { at: 0, expected: Expected::Argument });
        }
        match text.bytes().position(|octet| octet.is_ascii_control()) {
            Some(at) => Err(ParseError { at, expected: Expected::Printable }),
            None => Ok(Self(text)),
        }
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Text {
        Text(self.0.into())
    }
}

impl<S: AsRef<str>> Text<S> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

/// RFC 3461 §4 `xchar`: what stands for itself.
static XCHAR: Alphabet = Alphabet::alphanumeric_and(b"!\"#$%&'()*,-./:;<>?@[\\]^_`{|}~", |_| false);

/// The characters that some part of the grammar is made of.
pub(super) struct Alphabet {
    /// Those of ASCII, which most are; a look into a table is the cheapest way to know them.
    ascii: [bool; 256],
    /// Those beyond it.
    beyond: fn(char) -> bool,
}

impl Alphabet {
    /// ASCII's letters and digits, those signs, and what lies beyond ASCII.
    pub(super) const fn alphanumeric_and(signs: &[u8], beyond: fn(char) -> bool) -> Self {
        let mut ascii = [false; 256];
        let (mut slots, mut octet) = (ascii.as_mut_slice(), 0_u8);
        while let [slot, behind @ ..] = slots {
            *slot = octet.is_ascii_alphanumeric() || contains(signs, octet);
            (slots, octet) = (behind, octet.wrapping_add(1));
        }
        Self { ascii, beyond }
    }

    /// Splits a text in front of the first character that is not of them.
    pub(super) fn split<'a>(&self, text: &'a str) -> (&'a str, &'a str) {
        let length = match text.bytes().enumerate().find(|(_, octet)| !self.has_ascii(*octet)) {
            None => text.len(),
            Some((length, octet)) if octet.is_ascii() => length,
            Some(_) => self.length_beyond(text),
        };
        text.split_at_checked(length).unwrap_or((text, ""))
    }

    #[cold]
    fn length_beyond(&self, text: &str) -> usize {
        text.find(|c| !self.has(c)).unwrap_or(text.len())
    }

    fn has(&self, c: char) -> bool {
        u8::try_from(c).ok().filter(u8::is_ascii).map_or_else(|| (self.beyond)(c), |octet| self.has_ascii(octet))
    }

    fn has_ascii(&self, octet: u8) -> bool {
        self.ascii.get(usize::from(octet)).copied().unwrap_or_default()
    }
}

/// The text behind its first spaces.
pub(super) fn behind_spaces(mut text: &str) -> &str {
    while let Some(behind) = text.strip_prefix(' ') {
        text = behind;
    }
    text
}

const fn contains(octets: &[u8], octet: u8) -> bool {
    let mut rest = octets;
    while let [first, behind @ ..] = rest {
        if *first == octet {
            return true;
        }
        rest = behind;
    }
    false
}

/// Upper case only, as RFC 3461 §4 says.
const fn hex(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_there_and_back() {
        let encoded = Xtext::encode("a+b=c d@\u{e9}");
        assert_eq!(encoded.as_str(), "a+2Bb+3Dc+20d@+C3+A9");
        assert_eq!(encoded.decode(), "a+b=c d@\u{e9}".as_bytes());
        assert_eq!(Xtext::parse(encoded.as_str()), Ok(encoded.borrowed()));
    }

    #[test]
    fn xtext_that_hides_a_line_end_is_refused() {
        for text in ["a+0Ab", "a+0db", "+", "+4", "+4g", "+4a", "=", "a b", "+7F", "+1F", "\u{e9}"] {
            assert!(Xtext::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_envelope_id_is_short_and_ascii() {
        let longest = "a+20".repeat(25);
        assert_eq!(Xtext::parse_envelope_id(&longest).map(|id| id.decode()), Ok(b"a ".repeat(25)));
        for (text, at, expected) in [
            (longest + "a", 100, Expected::End),
            ("ab+C3+A9".into(), 2, Expected::Xtext),
            ("a=".into(), 1, Expected::Xtext),
        ] {
            assert_eq!(Xtext::parse_envelope_id(&text), Err(ParseError { at, expected }), "{text:?}");
        }
        assert!(Xtext::parse("ab+C3+A9").is_ok());
    }

    #[test]
    fn a_text_is_split_where_another_alphabet_begins() {
        let alphabet = Alphabet::alphanumeric_and(b"-", |c| c != '\u{f6}');
        for (text, length) in
            [("", 0), ("a-Z9", 4), ("a b", 1), ("-\u{e9}a.", 4), ("a\u{f6}", 1), ("\u{e9}\u{f6}", 2), ("\0", 0)]
        {
            assert_eq!(alphabet.split(text), text.split_at(length), "{text:?}");
        }
    }

    #[test]
    fn mechanisms_are_equal_in_any_case() {
        assert_eq!(Mechanism::parse("scram-sha-256"), Ok(Mechanism("SCRAM-SHA-256")));
        for text in ["", "A B", "PL\u{c4}IN", "ABCDEFGHIJKLMNOPQRSTU"] {
            assert!(Mechanism::parse(text).is_err(), "{text:?}");
        }
    }
}
