//! How long mail is kept, as operators write it.

use std::fmt;
use std::str::FromStr;

use pop3_proto::Expire;
use thiserror::Error;

/// How long messages are kept before somebody deletes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention(pub Expire);

/// The text says no such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a time that mail is kept for; write a number of days, or never where nobody deletes it")]
pub struct NoRetention;

impl FromStr for Retention {
    type Err = NoRetention;

    fn from_str(text: &str) -> Result<Self, NoRetention> {
        if text == "never" {
            return Ok(Self(Expire::Never));
        }
        let digits = text.bytes().all(|octet| octet.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(|days| Self(Expire::Days(days))).ok_or(NoRetention)
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expire::Never => f.write_str("never"),
            Expire::Days(days) => days.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_never_are_understood_and_shown_as_they_are_written() {
        for text in ["never", "0", "30"] {
            assert_eq!(text.parse::<Retention>().unwrap().to_string(), text);
        }
        for text in ["", "Never", "-1", "+1", "1.5", "30d", "4294967296"] {
            assert_eq!(text.parse::<Retention>(), Err(NoRetention), "{text}");
        }
    }
}
