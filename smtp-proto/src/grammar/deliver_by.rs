//! When it is too late to deliver a message (RFC 2852).

use core::fmt;

use super::error::{Expected, ParseError};
use super::number::digits;

/// `BY=`: a time, and what is to happen when it is over (RFC 2852 §4).
///
/// ```
/// use smtp_proto::{ByMode, DeliverBy};
///
/// let by = DeliverBy::parse("120;R")?;
/// assert_eq!((by.seconds(), by.mode()), (120, ByMode::Return));
/// # Ok::<(), smtp_proto::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    seconds: i32,
    mode: ByMode,
    trace: bool,
}

/// What happens to a message that is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByMode {
    /// `N`: the sender is told, and attempts go on.
    Notify,
    /// `R`: it is returned.
    Return,
}

impl DeliverBy {
    /// So many seconds from now on, if that can be said: nine digits; below zero, where the time was over on the way, and at
    /// zero only with [`ByMode::Notify`].
    #[must_use]
    pub const fn new(seconds: i32, mode: ByMode) -> Option<Self> {
        let earliest = match mode {
            ByMode::Notify => -LONGEST,
            ByMode::Return => 1,
        };
        if seconds < earliest || seconds > LONGEST {
            return None;
        }
        Some(Self { seconds, mode, trace: false })
    }

    /// The same, and servers report how they hand the message on: `T`.
    #[must_use]
    pub const fn traced(self) -> Self {
        Self { trace: true, ..self }
    }

    /// Parses a whole text.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let bad = |at| ParseError { at, expected: Expected::ParameterValue };
        let (time, mode) = text.split_once(';').ok_or(bad(text.len()))?;
        let mode_at = time.len().saturating_add(1);
        let number = time.strip_prefix(['+', '-']).unwrap_or(time);
        let sign = if time.starts_with('-') { -1 } else { 1 };
        let seconds = digits(number, 9).map_err(|error| ParseError {
            at: error.at.saturating_add(time.len().saturating_sub(number.len())),
            ..error
        })?;
        // Nine digits fit.
        let seconds = i32::try_from(seconds).map_err(|_| bad(0))?.saturating_mul(sign);
        let (mode, trace) = match mode.as_bytes() {
            [b'N' | b'n', trace @ ..] => (ByMode::Notify, trace),
            [b'R' | b'r', trace @ ..] => (ByMode::Return, trace),
            _ => return Err(bad(mode_at)),
        };
        let by = Self::new(seconds, mode).ok_or(bad(0))?;
        match trace {
            [] => Ok(by),
            [b'T' | b't'] => Ok(by.traced()),
            _ => Err(bad(mode_at.saturating_add(1))),
        }
    }

    /// Seconds, counted from the moment that the MAIL command was sent.
    #[must_use]
    pub const fn seconds(self) -> i32 {
        self.seconds
    }

    /// What happens when they are over.
    #[must_use]
    pub const fn mode(self) -> ByMode {
        self.mode
    }

    /// Whether servers report how they hand the message on.
    #[must_use]
    pub const fn is_traced(self) -> bool {
        self.trace
    }
}

impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            ByMode::Notify => 'N',
            ByMode::Return => 'R',
        };
        let trace = if self.trace { "T" } else { "" };
        write!(f, "{};{mode}{trace}", self.seconds)
    }
}

/// RFC 2852 §4: `by-time = ["-" / "+"]1*9digit`.
const LONGEST: i32 = 999_999_999;

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_the_rfc_has_them() {
        for (text, seconds, mode, is_traced, written) in [
            ("120;R", 120, ByMode::Return, false, "120;R"),
            ("+0000600;nt", 600, ByMode::Notify, true, "600;NT"),
            ("-1;N", -1, ByMode::Notify, false, "-1;N"),
            ("-0;N", 0, ByMode::Notify, false, "0;N"),
            ("999999999;rT", 999_999_999, ByMode::Return, true, "999999999;RT"),
        ] {
            let by = DeliverBy::parse(text).unwrap();
            assert_eq!((by.seconds(), by.mode(), by.is_traced()), (seconds, mode, is_traced), "{text}");
            assert_eq!(by.to_string(), written);
        }
    }

    #[test]
    fn what_is_no_time_is_refused_where_it_goes_wrong() {
        use Expected::{Number, ParameterValue};
        for (text, at, expected) in [
            ("", 0, ParameterValue),
            ("120", 3, ParameterValue),
            ("120;", 4, ParameterValue),
            ("120;X", 4, ParameterValue),
            ("120;RTT", 5, ParameterValue),
            ("120;NR", 5, ParameterValue),
            (";R", 0, Number),
            ("-;N", 1, Number),
            ("+-1;N", 1, Number),
            ("1000000000;R", 0, Number),
            ("-1000000000;N", 1, Number),
            ("1x;R", 1, Number),
            // RFC 2852 §4: what is late already cannot be returned for it.
            ("0;R", 0, ParameterValue),
            ("-5;R", 0, ParameterValue),
        ] {
            assert_eq!(DeliverBy::parse(text), Err(ParseError { at, expected }), "{text:?}");
        }
        assert_eq!(DeliverBy::new(-1_000_000_000, ByMode::Notify), None);
        assert_eq!(DeliverBy::new(1_000_000_000, ByMode::Return), None);
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_it_was_written(seconds in -LONGEST..=LONGEST, returns: bool, is_traced: bool) {
            let mode = if returns { ByMode::Return } else { ByMode::Notify };
            let Some(by) = DeliverBy::new(seconds, mode) else {
                prop_assert!(returns && seconds < 1);
                return Ok(());
            };
            let by = if is_traced { by.traced() } else { by };
            prop_assert_eq!(DeliverBy::parse(&by.to_string()), Ok(by));
        }
    }
}
