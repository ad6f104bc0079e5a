//! Times as people and programs exchange them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use mailqueue::UnixMicros;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::words;

/// A time in the form of RFC 3339 §5.6, in UTC when it is written: `2026-11-22T08:42:05.5Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

/// The text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a time is written like 2026-11-22T14:05:00Z or 2026-11-22T14:05:00+01:00, and is not before 1970")]
pub struct NoTime;

impl Time {
    /// The time as jiff has it, for arithmetic and for time zones.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl From<UnixMicros> for Time {
    /// What lies beyond the year 9999 becomes the last moment before.
    fn from(time: UnixMicros) -> Self {
        let micros = i64::try_from(time.0).unwrap_or(i64::MAX);
        Self(Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX))
    }
}

impl From<Time> for UnixMicros {
    fn from(time: Time) -> Self {
        Self(u64::try_from(time.0.as_microsecond()).unwrap_or_default())
    }
}

impl TryFrom<Timestamp> for Time {
    type Error = NoTime;

    fn try_from(time: Timestamp) -> Result<Self, NoTime> {
        if time < Timestamp::UNIX_EPOCH { Err(NoTime) } else { Ok(Self(time)) }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Time {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        text.parse::<Timestamp>().map_err(|_| NoTime)?.try_into()
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        words::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        words::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_microseconds_and_say_utc() {
        let time = Time::from(UnixMicros(1_795_336_925_000_007));
        assert_eq!(time.to_string(), "2026-11-22T08:42:05.000007Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!(UnixMicros::from(time), UnixMicros(1_795_336_925_000_007));
    }

    #[test]
    fn other_zones_are_read() {
        let there: Time = "2026-11-22T09:42:05+01:00".parse().unwrap();
        assert_eq!(there.to_string(), "2026-11-22T08:42:05Z");
    }

    #[test]
    fn what_is_no_time_is_refused_and_what_is_too_late_is_cut() {
        for text in ["", "now", "2026-11-22", "2026-11-22T08:42:05", "1969-12-31T23:59:59Z"] {
            assert_eq!(text.parse::<Time>(), Err(NoTime), "{text}");
        }
        assert!(Time::from(UnixMicros(u64::MAX)).to_string().starts_with("9999-12-3"));
    }
}
