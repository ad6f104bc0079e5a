//! Who is told of what becomes of a message: parameters of the DSN extension (RFC 3461, RFC 6533 §3).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::fmt::Write as _;

use super::address::Mailbox;
use super::domain::is_utf8_char;
use super::error::{Expected, ParseError};
use super::text::Xtext;

/// `RET=`: how much of the message comes back with a report of its failure (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: all of it.
    Full,
    /// `HDRS`: its headers.
    Headers,
}

/// `NOTIFY=`: what the sender wants to be told of (RFC 3461 §4.1). None of it is `NEVER`; where the parameter is absent,
/// that is the server's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Notify {
    /// `SUCCESS`: it was delivered.
    pub success: bool,
    /// `FAILURE`: it could not be delivered.
    pub failure: bool,
    /// `DELAY`: it takes its time.
    pub delay: bool,
}

/// `ORCPT=`: whom the sender meant, before anyone rewrote the address (RFC 3461 §4.2): at most 500 octets of a type, a
/// semicolon and an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OriginalRecipient<S = Box<str>> {
    text: S,
    /// Where the semicolon stands.
    at: u16,
}

impl Ret {
    /// Parses a whole text, in any case.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.eq_ignore_ascii_case(Self::Full.as_str()) {
            Ok(Self::Full)
        } else if text.eq_ignore_ascii_case(Self::Headers.as_str()) {
            Ok(Self::Headers)
        } else {
            Err(ParseError { at: 0, expected: Expected::ParameterValue })
        }
    }

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Notify {
    /// `NEVER`: of nothing.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };

    /// Parses a whole text, in any case: `NEVER` alone, or a list of the others.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut notify = Self::NEVER;
        if text.eq_ignore_ascii_case("NEVER") {
            return Ok(notify);
        }
        let mut at = 0_usize;
        for word in text.split(',') {
            if word.eq_ignore_ascii_case("SUCCESS") {
                notify.success = true;
            } else if word.eq_ignore_ascii_case("FAILURE") {
                notify.failure = true;
            } else if word.eq_ignore_ascii_case("DELAY") {
                notify.delay = true;
            } else {
                return Err(ParseError { at, expected: Expected::ParameterValue });
            }
            at = at.saturating_add(word.len()).saturating_add(1);
        }
        Ok(notify)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("NEVER");
        }
        let all = [("SUCCESS", self.success), ("FAILURE", self.failure), ("DELAY", self.delay)];
        let wanted = all.iter().filter(|(_, is_wanted)| *is_wanted);
        for (index, (word, _)) in wanted.enumerate() {
            let separator = if index > 0 { "," } else { "" };
            write!(f, "{separator}{word}")?;
        }
        Ok(())
    }
}

impl<'a> OriginalRecipient<&'a str> {
    /// Parses a whole text. An address of type `utf-8` may have either form of RFC 6533 §3; one of any other type is xtext
    /// that stands for printable ASCII.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        if text.len() > ORIGINAL_RECIPIENT_MAX {
            return Err(ParseError { at: ORIGINAL_RECIPIENT_MAX, expected: Expected::End });
        }
        let end = text.bytes().position(|octet| !is_type_char(octet)).unwrap_or(text.len());
        let bad = ParseError { at: end, expected: Expected::ParameterValue };
        let (kind, rest) = text.split_at_checked(end).filter(|(kind, _)| !kind.is_empty()).ok_or(bad)?;
        let address = rest.strip_prefix(';').ok_or(bad)?;
        let checked = if is_utf8(kind) { check_utf8(address) } else { Xtext::parse_ascii(address).map(|_| ()) };
        let start = text.len().saturating_sub(address.len());
        checked.map_err(|error| ParseError { at: start.saturating_add(error.at), expected: error.expected })?;
        Ok(Self { text, at: u16::try_from(end).map_err(|_| bad)? })
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> OriginalRecipient {
        OriginalRecipient { text: self.text.into(), at: self.at }
    }
}

impl OriginalRecipient {
    /// A mailbox as the recipient that was meant, of type `rfc822`, or `utf-8` where it goes beyond ASCII. In ASCII in
    /// either case, so that every server with DSN takes it. None where that is too long.
    #[must_use]
    pub fn of(mailbox: &Mailbox<impl AsRef<str>>) -> Option<Self> {
        let (kind, address) = if mailbox.is_ascii() {
            (RFC822, Xtext::encode(mailbox.as_str()).into_str())
        } else {
            (UTF8, encode_utf8(mailbox.as_str()).into())
        };
        let text: Box<str> = [kind, ";", &address].concat().into();
        (text.len() <= ORIGINAL_RECIPIENT_MAX).then_some(())?;
        Some(Self { text, at: u16::try_from(kind.len()).ok()? })
    }
}

impl<S: AsRef<str>> OriginalRecipient<S> {
    /// The text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_ref()
    }

    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> OriginalRecipient<&str> {
        OriginalRecipient { text: self.as_str(), at: self.at }
    }

    /// What kind of address it is, as it was given. Equal in any case.
    #[must_use]
    pub fn address_type(&self) -> &str {
        self.as_str().get(..usize::from(self.at)).unwrap_or_default()
    }

    /// The address, decoded. Without control characters; whether it is one of its type was not looked at.
    #[must_use]
    pub fn address(&self) -> Cow<'_, str> {
        let encoded = self.as_str().get(usize::from(self.at).saturating_add(1)..).unwrap_or_default();
        let is_utf8 = is_utf8(self.address_type());
        if !encoded.contains(if is_utf8 { '\\' } else { '+' }) {
            return Cow::Borrowed(encoded);
        }
        if is_utf8 {
            return Cow::Owned(Utf8Chars(encoded).collect());
        }
        match Xtext::parse_ascii(encoded) {
            Ok(xtext) => Cow::Owned(xtext.decode().into_iter().map(char::from).collect()),
            Err(_) => Cow::Borrowed(encoded),
        }
    }

    /// Whether it can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.as_str().is_ascii()
    }
}

impl<S: AsRef<str>> fmt::Display for OriginalRecipient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// RFC 3461 §4.2.
const ORIGINAL_RECIPIENT_MAX: usize = 500;

const RFC822: &str = "rfc822";

const UTF8: &str = "utf-8";

fn is_utf8(kind: &str) -> bool {
    kind.eq_ignore_ascii_case(UTF8)
}

/// What an `atom` of RFC 822 §3.3 is made of, without the `=` that no parameter's value may hold.
const fn is_type_char(octet: u8) -> bool {
    octet.is_ascii_graphic()
        && !matches!(
            octet,
            b'(' | b')' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'\\' | b'"' | b'.' | b'[' | b']' | b'='
        )
}

/// `utf-8-addr-unitext`, of which `utf-8-addr-xtext` is the part in ASCII.
fn check_utf8(text: &str) -> Result<(), ParseError> {
    let mut chars = Utf8Chars(text);
    let decoded = chars.by_ref().count();
    let at = text.len().saturating_sub(chars.0.len());
    if chars.0.is_empty() && decoded > 0 { Ok(()) } else { Err(ParseError { at, expected: Expected::ParameterValue }) }
}

/// `utf-8-addr-xtext` (RFC 6533 §3): what is not plain ASCII, or what xtext would escape, as `\x{HEX}`.
fn encode_utf8(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len().saturating_mul(2));
    for c in text.chars() {
        if is_plain(c) && c.is_ascii() {
            encoded.push(c);
        } else {
            // Writing to memory does not fail.
            let _ = write!(encoded, "\\x{{{:X}}}", u32::from(c));
        }
    }
    encoded
}

/// The characters that the text stands for, up to where it goes wrong; what is not decoded stays.
struct Utf8Chars<'a>(&'a str);

impl Iterator for Utf8Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let (c, rest) = match self.0.strip_prefix("\\x{") {
            Some(rest) => {
                let (digits, rest) = rest.split_once('}')?;
                (embedded(digits)?, rest)
            }
            None => {
                let mut chars = self.0.chars();
                (chars.next().filter(|c| is_plain(*c))?, chars.as_str())
            }
        };
        self.0 = rest;
        Some(c)
    }
}

/// `QUCHAR`: what stands for itself.
const fn is_plain(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\') || is_utf8_char(c)
}

/// `HEXPOINT`: no more digits than are needed, no surrogate, nothing in ASCII that stands for itself. Control characters,
/// which the RFC lets in, are not: no address holds one.
fn embedded(digits: &str) -> Option<char> {
    let shortest = digits.len() == 2 || (3..=6).contains(&digits.len()) && !digits.starts_with('0');
    if !shortest || !digits.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    (matches!(c, ' ' | '+' | '=' | '\\') || is_utf8_char(c)).then_some(c)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> OriginalRecipient<&str> {
        OriginalRecipient::parse(text).unwrap()
    }

    #[test]
    fn ret_and_notify_are_read_in_any_case() {
        assert_eq!((Ret::parse("full"), Ret::parse("Hdrs")), (Ok(Ret::Full), Ok(Ret::Headers)));
        assert_eq!(Notify::parse("nEver"), Ok(Notify::NEVER));
        let both = Notify { success: true, delay: true, ..Notify::NEVER };
        assert_eq!(Notify::parse("delay,Success,DELAY"), Ok(both));
        assert_eq!(both.to_string(), "SUCCESS,DELAY");
    }

    #[test]
    fn all_that_can_be_wanted_is_read_as_it_was_written() {
        for bits in 0..8 {
            let notify = Notify { success: bits & 1 > 0, failure: bits & 2 > 0, delay: bits & 4 > 0 };
            assert_eq!(Notify::parse(&notify.to_string()), Ok(notify));
        }
        for ret in [Ret::Full, Ret::Headers] {
            assert_eq!(Ret::parse(&ret.to_string()), Ok(ret));
        }
    }

    #[test]
    fn what_cannot_be_wanted_is_refused_where_it_goes_wrong() {
        for (text, at) in [
            ("", 0),
            ("NEVER,SUCCESS", 0),
            ("SUCCESS,NEVER", 8),
            ("SUCCESS,", 8),
            (",SUCCESS", 0),
            ("FAILURE,,DELAY", 8),
            ("FAILURE, DELAY", 8),
            ("FAIL", 0),
        ] {
            assert_eq!(Notify::parse(text), Err(ParseError { at, expected: Expected::ParameterValue }), "{text:?}");
        }
        for text in ["", "FULLY", "HEADERS", " FULL"] {
            assert_eq!(Ret::parse(text), Err(ParseError { at: 0, expected: Expected::ParameterValue }), "{text:?}");
        }
    }

    #[test]
    fn an_original_recipient_is_decoded_by_its_type() {
        for (text, kind, address) in [
            ("rfc822;Bob@Example.COM", "rfc822", "Bob@Example.COM"),
            ("RFC822;a+2Bb@example.com", "RFC822", "a+b@example.com"),
            ("rfc822;+22a+20b+22@example.com", "rfc822", "\"a b\"@example.com"),
            ("x400;/G=a;/S=b/".replace('=', "+3D").as_str(), "x400", "/G=a;/S=b/"),
            ("rfc822;\\x{20}", "rfc822", "\\x{20}"),
            ("utf-8;jos\u{e9}@example.com", "utf-8", "jos\u{e9}@example.com"),
            ("UTF-8;jos\\x{E9}\\x{2B}1@example.com", "UTF-8", "jos\u{e9}+1@example.com"),
            ("utf-8;\\x{1F600}\\x{10FFF0}\u{e9}\\x{20}\\x{3d}\\x{5C}@b", "utf-8", "\u{1f600}\u{10fff0}\u{e9} =\\@b"),
            ("utf-8;bob@example.com", "utf-8", "bob@example.com"),
        ] {
            let recipient = parsed(text);
            assert_eq!((recipient.address_type(), &*recipient.address()), (kind, address), "{text:?}");
            assert_eq!((recipient.to_string().as_str(), recipient.into_owned().borrowed()), (text, recipient));
            assert_eq!(recipient.is_ascii(), text.is_ascii());
        }
    }

    #[test]
    fn what_is_no_original_recipient_is_refused_where_it_goes_wrong() {
        let value = Expected::ParameterValue;
        for (text, at, expected) in [
            ("", 0, value),
            (";bob@example.com", 0, value),
            ("bob@example.com", 3, value),
            ("rfc822", 6, value),
            ("rfc 822;a", 3, value),
            ("rfc822=;a", 6, value),
            ("rfc822;a b", 8, Expected::Xtext),
            ("rfc822;a+0D+0A", 8, Expected::Xtext),
            ("rfc822;a+2b", 8, Expected::Xtext),
            ("rfc822;+C3+A9", 7, Expected::Xtext),
            ("rfc822;\u{e9}", 7, Expected::Xtext),
            ("x400;a=b", 6, Expected::Xtext),
            ("utf-8;", 6, value),
            ("utf-8;a+b", 7, value),
            ("utf-8;a=b", 7, value),
            ("utf-8;a b", 7, value),
            ("utf-8;a\\b", 7, value),
            ("utf-8;a\\x{", 7, value),
            ("utf-8;a\\x{}", 7, value),
            ("utf-8;a\\x{E9", 7, value),
            ("utf-8;a\\X{E9}", 7, value),
            // RFC 6533 §3: surrogates, more digits than needed, ASCII that stands for itself, and no Unicode at all.
            ("utf-8;a\\x{D800}", 7, value),
            ("utf-8;a\\x{DFFF}", 7, value),
            ("utf-8;a\\x{0E9}", 7, value),
            ("utf-8;a\\x{00005C}", 7, value),
            ("utf-8;a\\x{41}", 7, value),
            ("utf-8;a\\x{+E9}", 7, value),
            ("utf-8;a\\x{110000}", 7, value),
            ("utf-8;a\\x{10FFFFF}", 7, value),
            // What would end a line, or hides.
            ("utf-8;a\\x{0D}\\x{0A}", 7, value),
            ("utf-8;a\\x{7F}", 7, value),
            ("utf-8;a\\x{85}", 7, value),
            ("utf-8;a\\x{202E}", 7, value),
            ("utf-8;a\u{85}", 7, value),
        ] {
            assert_eq!(OriginalRecipient::parse(text), Err(ParseError { at, expected }), "{text:?}");
        }
        let longest = format!("rfc822;{}", "a".repeat(493));
        assert!(OriginalRecipient::parse(&longest).is_ok());
        let too_long = Err(ParseError { at: 500, expected: Expected::End });
        assert_eq!(OriginalRecipient::parse(&(longest + "a")), too_long);
    }

    #[test]
    fn a_mailbox_becomes_one_that_every_hop_takes() {
        let of = |text| OriginalRecipient::of(&Mailbox::parse(text).unwrap());
        assert_eq!(of("a+b@example.com"), Some(parsed("rfc822;a+2Bb@example.com").into_owned()));
        assert_eq!(of("\"a b\"@example.com"), Some(parsed("rfc822;\"a+20b\"@example.com").into_owned()));
        let beyond = parsed("utf-8;jos\\x{E9}\\x{2B}1@b\\x{FC}cher.example");
        assert_eq!(of("jos\u{e9}+1@b\u{fc}cher.example"), Some(beyond.into_owned()));
        let local = "+".repeat(200);
        assert_eq!(of(&format!("{local}@example.com")), None);
    }

    proptest! {
        #[test]
        fn a_mailbox_is_there_and_back(local in "[a-z+=/{}\u{e9}\u{4e2d}\u{1f600}]{1,20}", quoted in "([ !#-\\[\\]-~\u{e9}]){0,12}") {
            for text in [format!("{local}@b\u{fc}cher.example"), format!("\"{quoted}\"@example.com")] {
                let mailbox = Mailbox::parse(&text).unwrap();
                let recipient = OriginalRecipient::of(&mailbox).unwrap();
                prop_assert!(recipient.as_str().bytes().all(|octet| octet.is_ascii_graphic() && octet != b'='));
                prop_assert_eq!(&*recipient.address(), text.as_str());
                prop_assert_eq!(OriginalRecipient::parse(recipient.as_str()), Ok(recipient.borrowed()));
            }
        }

        #[test]
        fn what_parses_is_safe_to_write_and_to_show(text in "(rfc822|utf-8|x);([ -~\u{0}-\u{a0}\u{e9}]|\\\\x\\{[0-9A-F]{0,6}\\}|\\+[0-9A-F]{2}){0,6}") {
            match OriginalRecipient::parse(&text) {
                Ok(recipient) => {
                    prop_assert_eq!(recipient.to_string(), text.as_str());
                    prop_assert!(!text.contains(|c: char| c.is_control() || c == ' ' || c == '='));
                    prop_assert!(!recipient.address().contains(char::is_control));
                }
                Err(error) => prop_assert!(error.at <= text.len()),
            }
        }
    }
}
