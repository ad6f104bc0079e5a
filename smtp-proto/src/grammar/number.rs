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

/// The longest that any extension lets a number be, and 32 bits hold it.
const DIGITS_MAX: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_and_not_too_many() {
        assert_eq!((digits("0", 9), digits("007", 9), digits("999999999", 9)), (Ok(0), Ok(7), Ok(999_999_999)));
        for (text, at) in [("", 0), ("+1", 0), ("1 ", 1), ("-1", 0), ("1.0", 1), ("\u{661}", 0), ("1234567", 0)] {
            assert_eq!(digits(text, 6), Err(ParseError { at, expected: Expected::Number }), "{text:?}");
        }
        assert!(digits("4294967296", 20).is_err());
    }
}
