//! Points in time, as extensions write them (RFC 3339 §5.6).

use core::fmt;

use jiff::SignedDuration;
use jiff::civil;

use super::error::{Expected, ParseError};

/// `date-time`, to the second: a fraction is read and dropped. Written in UTC, with a `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(i64);

impl DateTime {
    /// So many seconds since the Unix epoch, if that is in the years from 0 to 9999 by UTC, which four digits can say.
    #[must_use]
    pub const fn new(unix_seconds: i64) -> Option<Self> {
        match unix_seconds {
            FIRST..=LAST => Some(Self(unix_seconds)),
            _ => None,
        }
    }

    /// Parses a whole text, such as `2014-04-03T23:01:00Z`.
    ///
    /// # Errors
    /// Where it has another shape (what ISO 8601 has beside it too), or there is no such time.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut shape = Shape { text, at: 0 };
        let year = shape.number(4, 0..=9999)?;
        shape.literal(b"-")?;
        let month = shape.number(2, 1..=12)?;
        shape.literal(b"-")?;
        let day_at = shape.at;
        let day = shape.number(2, 1..=31)?;
        shape.literal(b"Tt")?;
        let hour = shape.number(2, 0..=23)?;
        shape.literal(b":")?;
        let minute = shape.number(2, 0..=59)?;
        shape.literal(b":")?;
        let second_at = shape.at;
        let second = shape.number(2, 0..=60)?;
        shape.fraction()?;
        let ahead = shape.offset()?;
        shape.end()?;

        let no_such = |at| ParseError { at, expected: Expected::DateTime };
        // Two digits each.
        let small = |number: i16| i8::try_from(number).unwrap_or_default();
        let date = civil::Date::new(year, small(month), small(day)).map_err(|_| no_such(day_at))?;
        let time = date.at(small(hour), small(minute), small(second.min(59)), 0);
        let is_leap = second == 60;
        let seconds = time.duration_since(EPOCH).as_secs().saturating_sub(ahead).saturating_add(i64::from(is_leap));
        // RFC 3339 §5.7: the last second of a day by UTC. As Unix counts, it is the next day's first.
        if is_leap && seconds.rem_euclid(SECONDS_A_DAY) != 0 {
            return Err(no_such(second_at));
        }
        Self::new(seconds).ok_or(no_such(0))
    }

    /// Seconds since the Unix epoch; before it they are negative.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = EPOCH.checked_add(SignedDuration::from_secs(self.0)).map_err(|_| fmt::Error)?;
        write!(f, "{time}Z")
    }
}

const EPOCH: civil::DateTime = civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// 0000-01-01T00:00:00Z.
const FIRST: i64 = -62_167_219_200;

/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;

const SECONDS_A_DAY: i64 = 86_400;

/// What is still to be read.
struct Shape<'a> {
    text: &'a str,
    at: usize,
}

impl Shape<'_> {
    fn number(&mut self, length: usize, range: core::ops::RangeInclusive<i16>) -> Result<i16, ParseError> {
        let start = self.at;
        let mut number = 0;
        for _ in 0..length {
            number = number * 10 + i16::from(self.digit()?);
        }
        if range.contains(&number) { Ok(number) } else { Err(ParseError { at: start, expected: Expected::DateTime }) }
    }

    /// `time-secfrac = "." 1*DIGIT`, if there is one.
    fn fraction(&mut self) -> Result<(), ParseError> {
        if self.peek() == Some(b'.') {
            self.at = self.at.saturating_add(1);
            self.digit()?;
            while self.digit().is_ok() {}
        }
        Ok(())
    }

    /// `time-offset = "Z" / time-numoffset`: seconds ahead of UTC.
    fn offset(&mut self) -> Result<i64, ParseError> {
        let sign = match self.literal(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Ok(0),
        };
        let hours = self.number(2, 0..=23)?;
        self.literal(b":")?;
        let minutes = self.number(2, 0..=59)?;
        Ok(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
    }

    fn digit(&mut self) -> Result<u8, ParseError> {
        self.literal(b"0123456789").map(|digit| digit - b'0')
    }

    /// One of these octets.
    fn literal(&mut self, octets: &[u8]) -> Result<u8, ParseError> {
        let octet = self.peek().filter(|octet| octets.contains(octet));
        let octet = octet.ok_or(ParseError { at: self.at, expected: Expected::DateTime })?;
        self.at = self.at.saturating_add(1);
        Ok(octet)
    }

    fn end(&self) -> Result<(), ParseError> {
        match self.peek() {
            Some(_) => Err(ParseError { at: self.at, expected: Expected::End }),
            None => Ok(()),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_rfc_3339() {
        for (text, seconds, written) in [
            ("1985-04-12T23:20:50.52Z", 482_196_050, "1985-04-12T23:20:50Z"),
            ("1996-12-19T16:39:57-08:00", 851_042_397, "1996-12-20T00:39:57Z"),
            ("1990-12-31T23:59:60Z", 662_688_000, "1991-01-01T00:00:00Z"),
            ("1990-12-31T15:59:60-08:00", 662_688_000, "1991-01-01T00:00:00Z"),
            ("1937-01-01T12:00:27.87+00:20", -1_041_337_173, "1937-01-01T11:40:27Z"),
            ("2000-02-29t00:00:00.123456789012345z", 951_782_400, "2000-02-29T00:00:00Z"),
            ("2014-04-03T23:01:00-00:00", 1_396_566_060, "2014-04-03T23:01:00Z"),
            ("0000-01-01T00:00:00Z", FIRST, "0000-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", LAST, "9999-12-31T23:59:59Z"),
        ] {
            let time = DateTime::parse(text).unwrap();
            assert_eq!((time.unix_seconds(), time.to_string().as_str()), (seconds, written), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_where_it_goes_wrong() {
        for (text, at) in [
            ("", 0),
            ("2014-04-03", 10),
            ("2014-04-03T23:01:00", 19),
            ("2014-04-03 23:01:00Z", 10),
            ("2014-04-03T23:01Z", 16),
            ("2014-4-03T23:01:00Z", 6),
            ("+014-04-03T23:01:00Z", 0),
            ("2014-13-03T23:01:00Z", 5),
            ("2014-00-03T23:01:00Z", 5),
            ("2014-02-29T23:01:00Z", 8),
            ("2014-04-00T23:01:00Z", 8),
            ("2014-04-03T24:00:00Z", 11),
            ("2014-04-03T23:60:00Z", 14),
            ("2014-04-03T23:01:60Z", 17),
            ("2014-04-03T23:59:60+01:00", 17),
            ("2014-04-03T23:01:61Z", 17),
            ("2014-04-03T23:01:00.Z", 20),
            ("2014-04-03T23:01:00,5Z", 19),
            ("2014-04-03T23:01:00+24:00", 20),
            ("2014-04-03T23:01:00+01", 22),
            ("2014-04-03T23:01:00+0100", 22),
            ("2014-04-03T23:01:00+01:60", 23),
            ("0000-01-01T00:00:00+00:01", 0),
            ("9999-12-31T23:59:59-00:01", 0),
            ("9999-12-31T23:59:60Z", 0),
            ("\u{662}014-04-03T23:01:00Z", 0),
        ] {
            assert_eq!(DateTime::parse(text), Err(ParseError { at, expected: Expected::DateTime }), "{text:?}");
        }
        let behind = Err(ParseError { at: 20, expected: Expected::End });
        assert_eq!(DateTime::parse("2014-04-03T23:01:00Z[UTC]"), behind);
        assert_eq!((DateTime::new(FIRST - 1), DateTime::new(LAST + 1)), (None, None));
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_it_was_written(seconds in FIRST..=LAST) {
            let time = DateTime::new(seconds).unwrap();
            prop_assert_eq!(DateTime::parse(&time.to_string()), Ok(time));
        }

        #[test]
        fn an_offset_is_taken_off(seconds in 0..LAST / 2, hours in 0_i64..24, minutes in 0_i64..60) {
            let there = DateTime::new(seconds).unwrap().to_string();
            let local = there.trim_end_matches('Z');
            let ahead = hours * 3600 + minutes * 60;
            for (sign, expected) in [('+', seconds - ahead), ('-', seconds + ahead)] {
                let read = DateTime::parse(&format!("{local}{sign}{hours:02}:{minutes:02}"));
                prop_assert_eq!(read.map(DateTime::unix_seconds), Ok(expected));
            }
        }

        #[test]
        fn an_error_points_into_the_text(text in "([0-9]{4}-[0-1][0-9]-[0-3][0-9]T)?\\PC{0,12}") {
            match DateTime::parse(&text) {
                Ok(time) => prop_assert_eq!(DateTime::new(time.unix_seconds()), Some(time)),
                Err(error) => prop_assert!(error.at <= text.len()),
            }
        }
    }
}
