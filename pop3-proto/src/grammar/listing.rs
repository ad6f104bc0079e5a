//! The lines of LIST and UIDL, as a client reads them.

use core::str;

use super::error::{Expected, ParseError};

/// A line of LIST: a message's number and its size (RFC 1939 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanListing {
    /// The message's number.
    pub number: u32,
    /// Octets of the message, as far as the server knows.
    pub size: u64,
}

impl ScanListing {
    /// Parses a line without its line end. Servers may say more behind the size.
    ///
    /// # Errors
    /// Where one of the two is no number.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        let (number, rest_at) = message_number(line)?;
        let (size, _) = field(line, rest_at);
        let size = digits(size).ok_or(ParseError::new(rest_at, Expected::Number))?;
        Ok(Self { number, size })
    }
}

/// A line of UIDL: a message's number and its unique-id (RFC 1939 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniqueId<'a> {
    /// The message's number.
    pub number: u32,
    /// What no other message of the maildrop has, in this session or another.
    pub uidl: &'a str,
}

/// RFC 1939 §7 says 70; there are servers that say more.
const UIDL_MAX: usize = 255;

impl<'a> UniqueId<'a> {
    /// Parses a line without its line end. Unique-ids longer than RFC 1939 allows are taken, up to 255 octets.
    ///
    /// # Errors
    /// Where there is no number or no unique-id.
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        let (number, rest_at) = message_number(line)?;
        let (uidl, _) = field(line, rest_at);
        match str::from_utf8(uidl) {
            Ok(uidl) if (1..=UIDL_MAX).contains(&uidl.len()) && uidl.bytes().all(|octet| octet.is_ascii_graphic()) => {
                Ok(Self { number, uidl })
            }
            Ok(_) | Err(_) => Err(ParseError::new(rest_at, Expected::UniqueId)),
        }
    }
}

/// The number that the line begins with, and where the rest begins.
fn message_number(line: &[u8]) -> Result<(u32, usize), ParseError> {
    let (number, end) = field(line, 0);
    let number = digits(number).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
    Ok((number.ok_or(ParseError::new(0, Expected::Number))?, end))
}

/// The field at or behind `at`, and where it ends. Spaces in any number stand between fields.
fn field(line: &[u8], at: usize) -> (&[u8], usize) {
    let rest = line.get(at..).unwrap_or_default();
    let start = rest.iter().position(|octet| *octet != b' ').unwrap_or(rest.len());
    let rest = rest.get(start..).unwrap_or_default();
    let len = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    (rest.get(..len).unwrap_or_default(), at.saturating_add(start).saturating_add(len))
}

/// Digits and nothing else: no sign, no space, no overflow.
pub(super) fn digits(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_what_servers_add() {
        for line in [&b"1 120"[..], b"  1  120", b"1 120 seen", b"1 120 "] {
            assert_eq!(ScanListing::parse(line), Ok(ScanListing { number: 1, size: 120 }));
        }
        assert_eq!(UniqueId::parse(b"2  a]b  "), Ok(UniqueId { number: 2, uidl: "a]b" }));
    }

    #[test]
    fn what_is_no_listing_is_refused_where_it_stands() {
        let refused: [(&[u8], usize, Expected); 6] = [
            (b"", 0, Expected::Number),
            (b"0 1", 0, Expected::Number),
            (b"4294967296 1", 0, Expected::Number),
            (b"1", 1, Expected::Number),
            (b"1 x", 1, Expected::Number),
            (b"1 18446744073709551616", 1, Expected::Number),
        ];
        for (line, at, expected) in refused {
            assert_eq!(ScanListing::parse(line), Err(ParseError::new(at, expected)), "{:?}", str::from_utf8(line));
        }
        assert_eq!(UniqueId::parse(b"x y"), Err(ParseError::new(0, Expected::Number)));
        for line in [&b"1 "[..], b"1 a\x01", b"1 \xff"] {
            assert_eq!(UniqueId::parse(line), Err(ParseError::new(1, Expected::UniqueId)));
        }
        let long = [b"1 ".as_slice(), &[b'x'; 256]].concat();
        assert_eq!(UniqueId::parse(&long), Err(ParseError::new(1, Expected::UniqueId)));
    }
}
