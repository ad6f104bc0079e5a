//! Text of messages in the form in which it is searched: decoded, without regard to case (RFC 3501 §6.4.4).
//!
//! What cannot be decoded is searched as it is.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use memchr::memmem::{self, Finder};

use super::header::unfolded;

/// Octets of an encoded word's text that are looked at. RFC 2047 §2 allows 75 in all; some mailers break that.
const WORD_MAX: usize = 1000;

/// Octets of a charset's name.
const CHARSET_MAX: usize = 64;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Text to look for.
#[derive(Debug)]
pub(super) struct Needle {
    finder: Finder<'static>,
}

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        Self { finder: Finder::new(fold(text).as_bytes()).into_owned() }
    }

    /// Whether it is in this text.
    pub(super) fn is_in(&self, text: &Folded) -> bool {
        self.finder.find(text.0.as_bytes()).is_some()
    }

    fn len(&self) -> usize {
        self.finder.needle().len()
    }
}

/// Text in the form in which it is compared.
#[derive(Debug)]
pub(super) struct Folded(String);

impl Folded {
    pub(super) fn new(text: &str) -> Self {
        Self(fold(text))
    }
}

/// Without regard to case, each character by itself, so that text can come in pieces.
fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().flat_map(char::to_lowercase).collect() }
}

/// A search for several needles in texts that come in pieces.
#[derive(Debug)]
pub(super) struct Hunt<'n> {
    /// Those not found yet, with their numbers.
    missing: Vec<(usize, &'n Needle)>,
    found: Vec<usize>,
    /// The end of what came before, folded: a needle may begin there.
    tail: String,
}

impl<'n> Hunt<'n> {
    pub(super) fn new(needles: impl Iterator<Item = (usize, &'n Needle)>) -> Self {
        let mut hunt = Self { missing: needles.collect(), found: Vec::new(), tail: String::new() };
        // Nothing is found in anything.
        hunt.look("");
        hunt
    }

    /// Looks at the next piece of a text.
    pub(super) fn look(&mut self, piece: &str) {
        self.tail.push_str(&fold(piece));
        let (text, found) = (self.tail.as_bytes(), &mut self.found);
        self.missing.retain(|(number, needle)| {
            let is_missing = needle.finder.find(text).is_none();
            if !is_missing {
                found.push(*number);
            }
            is_missing
        });
        let longest = self.missing.iter().map(|(_, needle)| needle.len()).max().unwrap_or(0);
        let cut = self.tail.len().saturating_sub(longest);
        self.tail.drain(..self.tail.floor_char_boundary(cut));
    }

    /// What comes next is another text.
    pub(super) fn next_text(&mut self) {
        self.tail.clear();
    }

    /// Whether there is nothing left to look for.
    pub(super) fn is_over(&self) -> bool {
        self.missing.is_empty()
    }

    /// The numbers of the needles that were found.
    pub(super) fn found(self) -> Vec<usize> {
        self.found
    }
}

/// The charset of that name. What names none, or ASCII, is most likely UTF-8 if it is not ASCII.
fn charset(name: Option<&[u8]>) -> &'static Encoding {
    match name {
        Some(name) if !name.eq_ignore_ascii_case(b"us-ascii") => Encoding::for_label(name).unwrap_or(UTF_8),
        Some(_) | None => UTF_8,
    }
}

/// A header field's value as people read it (RFC 2047).
pub(super) fn decoded(value: &[u8]) -> String {
    let value = unfolded(value);
    let (mut text, mut rest) = (String::with_capacity(value.len()), &value[..]);
    let mut between = Between::Text;
    while let Some(at) = memmem::find(rest, b"=?") {
        let (before, word) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        match encoded_word(word) {
            Some((decoded, after)) => {
                // RFC 2047 §6.2: space between two encoded words is not told.
                if between == Between::Text || !before.trim_ascii().is_empty() {
                    push_plain(&mut text, before);
                }
                text.push_str(&decoded);
                between = Between::Words;
                rest = after;
            }
            None => {
                let (plain, after) = rest.split_at_checked(at.saturating_add(2)).unwrap_or((rest, &[]));
                push_plain(&mut text, plain);
                between = Between::Text;
                rest = after;
            }
        }
    }
    push_plain(&mut text, rest);
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    Text,
    Words,
}

fn push_plain(text: &mut String, octets: &[u8]) {
    match std::str::from_utf8(octets) {
        Ok(plain) => text.push_str(plain),
        Err(_) => text.push_str(&WINDOWS_1252.decode_without_bom_handling(octets).0),
    }
}

/// `=?charset?encoding?text?=` at the front, and what follows it.
fn encoded_word(octets: &[u8]) -> Option<(String, &[u8])> {
    let rest = octets.strip_prefix(b"=?")?;
    let end = memchr::memchr(b'?', rest.get(..CHARSET_MAX).unwrap_or(rest))?;
    let (name, rest) = rest.split_at_checked(end)?;
    let [b'?', encoding, b'?', rest @ ..] = rest else { return None };
    let end = memmem::find(rest.get(..WORD_MAX).unwrap_or(rest), b"?=")?;
    let (word, rest) = rest.split_at_checked(end)?;
    let mut transfer = match encoding {
        b'b' | b'B' => Transfer::Base64(Vec::new()),
        b'q' | b'Q' => Transfer::QuotedPrintable(Escape::None),
        _ => return None,
    };
    // RFC 2231 §5: a language may follow the charset. RFC 2047 §4.2: `_` is a space.
    let name = name.split(|octet| *octet == b'*').next();
    let word: Vec<u8> = word.iter().map(|octet| if *octet == b'_' { b' ' } else { *octet }).collect();
    let mut decoded = transfer.decode(&word);
    decoded.extend(transfer.end());
    Some((charset(name).decode_without_bom_handling(&decoded).0.into_owned(), rest.get(2..)?))
}

/// How a part's octets are encoded for transfer (RFC 2045 §6), and how far they are decoded.
#[derive(Debug)]
enum Transfer {
    Plain,
    /// Digits that do not make up a group of four yet.
    Base64(Vec<u8>),
    QuotedPrintable(Escape),
}

/// How much of `=XX` was seen.
#[derive(Clone, Copy, Debug)]
enum Escape {
    None,
    Equals,
    Digit(u8),
}

impl Transfer {
    fn decode(&mut self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => octets.to_vec(),
            Self::Base64(digits) => {
                let is_digit = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/');
                let mut decoded = Vec::with_capacity(octets.len() / 4 * 3);
                for run in octets.split_inclusive(|octet| *octet == b'=') {
                    digits.extend(run.iter().copied().filter(is_digit));
                    // Padding ends a group that is not full.
                    let ready = if run.ends_with(b"=") { digits.len() } else { digits.len() / 4 * 4 };
                    decoded.extend(base64(digits.get(..ready).unwrap_or_default()));
                    digits.drain(..ready);
                }
                decoded
            }
            Self::QuotedPrintable(escape) => {
                let mut decoded = Vec::with_capacity(octets.len());
                for octet in octets {
                    *escape = escape.take(*octet, &mut decoded);
                }
                decoded
            }
        }
    }

    /// What is left at the end.
    fn end(&mut self) -> Vec<u8> {
        match self {
            Self::Base64(digits) => base64(&std::mem::take(digits)),
            Self::Plain | Self::QuotedPrintable(_) => Vec::new(),
        }
    }
}

fn base64(digits: &[u8]) -> Vec<u8> {
    // A digit alone says nothing.
    let whole = if digits.len() % 4 == 1 { digits.len().saturating_sub(1) } else { digits.len() };
    BASE64.decode(digits.get(..whole).unwrap_or_default()).unwrap_or_default()
}

impl Escape {
    fn take(self, octet: u8, decoded: &mut Vec<u8>) -> Self {
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        match (self, octet) {
            (Self::None, b'=') => Self::Equals,
            (Self::None, _) => {
                decoded.push(octet);
                Self::None
            }
            // A soft line break, perhaps with space before its end.
            (Self::Equals, b'\r' | b' ' | b'\t') => Self::Equals,
            (Self::Equals, b'\n') => Self::None,
            (Self::Equals, _) if value(octet).is_some() => Self::Digit(octet),
            (Self::Equals, _) => {
                decoded.extend([b'=', octet]);
                Self::None
            }
            (Self::Digit(first), _) => {
                match (value(first), value(octet)) {
                    (Some(high), Some(low)) => decoded.push(high << 4 | low),
                    _ => decoded.extend([b'=', first, octet]),
                }
                Self::None
            }
        }
    }
}

/// The text of one part, decoded as it comes.
pub(super) struct Reading {
    transfer: Transfer,
    decoder: encoding_rs::Decoder,
}

impl Reading {
    /// Begins with a part that says so of its encoding and its charset.
    pub(super) fn new(encoding: &[u8], charset_name: Option<&[u8]>) -> Self {
        let transfer = match encoding {
            _ if encoding.eq_ignore_ascii_case(b"base64") => Transfer::Base64(Vec::new()),
            _ if encoding.eq_ignore_ascii_case(b"quoted-printable") => Transfer::QuotedPrintable(Escape::None),
            _ => Transfer::Plain,
        };
        Self { transfer, decoder: charset(charset_name).new_decoder_without_bom_handling() }
    }

    /// The next piece of text.
    pub(super) fn read(&mut self, octets: &[u8]) -> String {
        let octets = self.transfer.decode(octets);
        self.text(&octets, false)
    }

    /// The last piece of text.
    pub(super) fn end(mut self) -> String {
        let octets = self.transfer.end();
        self.text(&octets, true)
    }

    fn text(&mut self, octets: &[u8], last: bool) -> String {
        let mut text = String::new();
        let mut rest = octets;
        loop {
            let room = self.decoder.max_utf8_buffer_length(rest.len()).unwrap_or(rest.len().saturating_mul(3));
            text.reserve(room);
            let (result, read, _) = self.decoder.decode_to_string(rest, &mut text, last);
            rest = rest.get(read..).unwrap_or_default();
            match result {
                encoding_rs::CoderResult::InputEmpty => return text,
                encoding_rs::CoderResult::OutputFull => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encoded_words_are_read_as_people_read_them() {
        for (value, expected) in [
            ("plain", "plain"),
            ("=?utf-8?q?J=C3=BCrgen_M?= <j@x>", "Jürgen M <j@x>"),
            ("a =?iso-8859-1?B?5Oo=?= =?iso-8859-1*de?Q?=FC?=\r\n b", "a äêü b"),
            ("=?utf-8?x?a?= =?utf-8?q?a", "=?utf-8?x?a?= =?utf-8?q?a"),
            ("=?no-such?q?a?=", "a"),
            ("=?iso-2022-jp?B?GyRCNEE7ehsoQg==?=", "漢字"),
            ("=?utf-8?q?=ZZ=4?=", "=ZZ"),
        ] {
            assert_eq!(decoded(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(decoded(b"caf\xe9"), "café");
    }

    fn read(encoding: &str, charset: Option<&str>, pieces: &[&[u8]]) -> String {
        let mut reading = Reading::new(encoding.as_bytes(), charset.map(str::as_bytes));
        let mut text: String = pieces.iter().map(|piece| reading.read(piece)).collect();
        text.push_str(&reading.end());
        text
    }

    #[test]
    fn parts_are_decoded() {
        assert_eq!(read("BASE64", Some("utf-8"), &[b"w6TD\r\n", b"tsO8", b"IQ==\r\n"]), "äöü!");
        assert_eq!(read("base64", None, &[b"YQ", b"==YmM="]), "abc");
        assert_eq!(read("quoted-printable", Some("iso-8859-15"), &[b"=A4 =\r", b"\nis=3", b"D"]), "€ is=");
        assert_eq!(read("7bit", Some("us-ascii"), &["schön".as_bytes()]), "schön");
    }

    #[test]
    fn needles_are_found_across_pieces_and_once() {
        let needles = [Needle::new("GRÜN"), Needle::new("missing"), Needle::new("")];
        let mut hunt = Hunt::new(needles.iter().enumerate());
        hunt.look("das gr");
        hunt.look("ün");
        hunt.look("mis");
        hunt.next_text();
        hunt.look("sing");
        assert!(!hunt.is_over());
        let mut found = hunt.found();
        found.sort_unstable();
        assert_eq!(found, [0, 2]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(octets in prop::collection::vec(any::<u8>(), 0..60), at in 0..60_usize) {
            let (one, two) = octets.split_at(at.min(octets.len()));
            for encoding in ["base64", "quoted-printable", ""] {
                for charset in [None, Some("shift_jis"), Some("utf-16le")] {
                    prop_assert_eq!(read(encoding, charset, &[&octets]), read(encoding, charset, &[one, two]));
                }
            }
        }

        #[test]
        fn a_needle_is_found_wherever_the_text_is_cut(text in "[abÄß ]{0,20}", at in 0..20_usize, from in 0..20_usize, to in 0..20_usize) {
            let chars: Vec<char> = text.chars().collect();
            let (from, to) = (from.min(chars.len()), to.min(chars.len()));
            let needle: String = chars[from.min(to)..from.max(to)].iter().collect();
            let needle = Needle::new(&needle.to_uppercase().replace("SS", "ß"));
            let (one, two) = chars.split_at(at.min(chars.len()));
            let mut hunt = Hunt::new(std::iter::once((0, &needle)));
            hunt.look(&one.iter().collect::<String>());
            hunt.look(&two.iter().collect::<String>());
            prop_assert!(hunt.is_over());
        }

        #[test]
        fn any_header_is_decoded(value in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'='), Just(b'?'), Just(b'q')], 0..80)) {
            decoded(&value);
        }
    }
}
