//! When it is too early to deliver a message (RFC 4865).

use core::fmt;

use super::date_time::DateTime;
use super::error::ParseError;
use super::interval::Interval;

/// `HOLDFOR=` or `HOLDUNTIL=`: how long the message waits (RFC 4865 §3). One of them, since neither goes with the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hold {
    /// `HOLDFOR=`: so long.
    For(Interval),
    /// `HOLDUNTIL=`: until then.
    Until(DateTime),
}

impl Hold {
    /// Parses the value of `HOLDFOR=`.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse_for(text: &str) -> Result<Self, ParseError> {
        Interval::parse(text).map(Self::For)
    }

    /// Parses the value of `HOLDUNTIL=`.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse_until(text: &str) -> Result<Self, ParseError> {
        DateTime::parse(text).map(Self::Until)
    }
}

/// The whole parameter, with its keyword.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(interval) => write!(f, "HOLDFOR={interval}"),
            Self::Until(date_time) => write!(f, "HOLDUNTIL={date_time}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::Expected;

    #[test]
    fn a_hold_is_read_as_it_was_written() {
        let hour = Hold::parse_for("3600").unwrap();
        assert_eq!((hour, hour.to_string().as_str()), (Hold::For(Interval::new(3600).unwrap()), "HOLDFOR=3600"));
        let until = Hold::parse_until("2031-01-01T02:00:00+02:00").unwrap();
        assert_eq!(until.to_string(), "HOLDUNTIL=2031-01-01T00:00:00Z");
        assert_eq!(Hold::parse_until("2031-01-01T00:00:00Z"), Ok(until));
    }

    #[test]
    fn what_is_no_hold_is_refused_where_it_goes_wrong() {
        for (text, at) in [("", 0), ("0", 0), ("-1", 0), ("12h", 2), ("1000000000", 0), ("2031-01-01T00:00:00Z", 4)] {
            assert_eq!(Hold::parse_for(text), Err(ParseError { at, expected: Expected::Number }), "{text:?}");
        }
        for (text, at) in [("", 0), ("3600", 4), ("2031-01-01", 10)] {
            assert_eq!(Hold::parse_until(text), Err(ParseError { at, expected: Expected::DateTime }), "{text:?}");
        }
    }
}
