//! What goes first (RFC 6710).

use core::fmt;

use super::error::{Expected, ParseError};

/// `MT-PRIORITY=`: from -9 to 9, and the higher goes first; the default is 0 (RFC 6710 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(i8);

impl Priority {
    /// That priority, if it is one.
    #[must_use]
    pub const fn new(value: i8) -> Option<Self> {
        match value {
            -9..=9 => Some(Self(value)),
            _ => None,
        }
    }

    /// Parses a whole text: `0`, or a digit that may have a `-` before it.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match text.as_bytes() {
            [digit @ b'0'..=b'9'] => Ok(Self(digit.wrapping_sub(b'0').cast_signed())),
            [b'-', digit @ b'1'..=b'9'] => Ok(Self(b'0'.wrapping_sub(*digit).cast_signed())),
            _ => Err(ParseError { at: 0, expected: Expected::Number }),
        }
    }

    /// Its value.
    #[must_use]
    pub const fn value(self) -> i8 {
        self.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn every_priority_is_read_as_it_was_written() {
        for value in i8::MIN..=i8::MAX {
            let Some(priority) = Priority::new(value) else {
                assert!(!(-9..=9).contains(&value));
                continue;
            };
            assert_eq!(priority.value(), value);
            assert_eq!(Priority::parse(&priority.to_string()), Ok(priority));
        }
        assert!(Priority::new(-9) < Priority::new(3) && Priority::default() < Priority(1));
    }

    #[test]
    fn what_is_no_priority_is_refused() {
        for text in ["", "-", "-0", "+1", "10", "-10", "01", "1 ", "\u{661}"] {
            assert_eq!(Priority::parse(text), Err(ParseError { at: 0, expected: Expected::Number }), "{text:?}");
        }
    }
}
