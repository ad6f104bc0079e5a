//! Numbers: digits and nothing else, bounded by their count as the RFCs bound them.

use super::error::{Expected, ParseError};

/// From one to `longest` digits, which must be no more than nine, so that every number fits.
pub(super) fn digits(text: &str, longest: usize) -> Result<u32, ParseError> {
    let bad = |at| ParseError { at, expected: Expected::Number };
    if let Some(at) = text.bytes().position(|octet| !octet.is_ascii_digit()) {
        return Err(bad(at));
    }
    if text.is_empty() || text.len() > longest.min(DIGITS_MAX) {
        return Err(bad(0));
    }
    Ok(text.bytes().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

/// A number of digits only that 64 bits hold.
pub(super) fn number(text: &str) -> Option<u64> {
    let add = |number: u64, octet: u8| number.checked_mul(10)?.checked_add(digit(octet)?);
    text.bytes().try_fold(0, add).filter(|_| !text.is_empty())
}

/// RFC 1870 §3: `size-value = 1*20DIGIT`, some of which are more than 64 bits hold, and then the largest number.
pub(super) fn size(text: &str) -> Option<u64> {
    let add = |number: u64, octet: u8| Some(number.saturating_mul(10).saturating_add(digit(octet)?));
    text.bytes().try_fold(0, add).filter(|_| (1..=20).contains(&text.len()))
}

fn digit(octet: u8) -> Option<u64> {
    octet.is_ascii_digit().then(|| u64::from(octet & 15))
}

/// The longest that any extension lets a number be, and 32 bits hold it.
const DIGITS_MAX: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_fits_or_is_none_and_a_size_is_the_largest_then() {
        for (text, fits, means) in [
            ("0", Some(0), Some(0)),
            ("007", Some(7), Some(7)),
            ("18446744073709551615", Some(u64::MAX), Some(u64::MAX)),
            ("18446744073709551616", None, Some(u64::MAX)),
            ("99999999999999999999", None, Some(u64::MAX)),
            ("000000000000000000001", Some(1), None),
            ("", None, None),
            ("+1", None, None),
            ("1 ", None, None),
        ] {
            assert_eq!((number(text), size(text)), (fits, means), "{text:?}");
        }
    }

    #[test]
    fn a_number_is_digits_and_not_too_many() {
        assert_eq!((digits("0", 9), digits("007", 9), digits("999999999", 9)), (Ok(0), Ok(7), Ok(999_999_999)));
        for (text, at) in [("", 0), ("+1", 0), ("1 ", 1), ("-1", 0), ("1.0", 1), ("\u{661}", 0), ("1234567", 0)] {
            assert_eq!(digits(text, 6), Err(ParseError { at, expected: Expected::Number }), "{text:?}");
        }
        assert!(digits("4294967296", 20).is_err());
    }
}
