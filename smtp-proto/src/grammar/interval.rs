//! How long: seconds, as DELIVERBY and FUTURERELEASE announce them.

use core::fmt;

use super::error::{Expected, ParseError};
use super::number::digits;

/// From one second to 999,999,999 of them, which are 31 years: `future-release-interval` (RFC 4865 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(u32);

impl Interval {
    /// The longest.
    pub const MAX: Self = Self(999_999_999);

    /// So many seconds, if there is such an interval.
    #[must_use]
    pub const fn new(seconds: u32) -> Option<Self> {
        match seconds {
            1..=999_999_999 => Some(Self(seconds)),
            _ => None,
        }
    }

    /// Parses a whole text: nine digits at most, which are not zero.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let seconds = digits(text, 9)?;
        Self::new(seconds).ok_or(ParseError { at: 0, expected: Expected::Number })
    }

    /// Its seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn an_interval_is_neither_nothing_nor_endless() {
        for seconds in [1, 86_400, Interval::MAX.seconds()] {
            let interval = Interval::new(seconds).unwrap();
            assert_eq!(Interval::parse(&interval.to_string()), Ok(interval));
        }
        assert_eq!((Interval::new(0), Interval::new(1_000_000_000)), (None, None));
        for (text, at) in [("", 0), ("0", 0), ("1000000000", 0), ("+1", 0), ("1s", 1)] {
            assert_eq!(Interval::parse(text), Err(ParseError { at, expected: Expected::Number }), "{text:?}");
        }
    }
}
