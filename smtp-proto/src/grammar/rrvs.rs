//! Who must have had a mailbox for how long (RFC 7293).

use core::fmt;

use super::date_time::DateTime;
use super::error::{Expected, ParseError};

/// `RRVS=`: the message is for who has had the mailbox since then, and for nobody who got it later (RFC 7293 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rrvs {
    /// Since when.
    pub since: DateTime,
    /// What a server does that would hand the message on to one without this extension.
    pub otherwise: RrvsAction,
}

/// What happens where the next server cannot see to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RrvsAction {
    /// `C`: it is handed on all the same.
    Continue,
    /// `R`, or nothing: it is refused, since who asks for this fears a reader more than a delay.
    #[default]
    Reject,
}

impl Rrvs {
    /// Parses a whole text: a time, and `;C` or `;R` or nothing.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (since, action) = text.split_once(';').map_or((text, None), |(since, action)| (since, Some(action)));
        let at = since.len().saturating_add(1);
        let since = DateTime::parse(since)?;
        let otherwise = match action {
            None => RrvsAction::default(),
            Some("C" | "c") => RrvsAction::Continue,
            Some("R" | "r") => RrvsAction::Reject,
            Some(_) => return Err(ParseError { at, expected: Expected::ParameterValue }),
        };
        Ok(Self { since, otherwise })
    }
}

impl fmt::Display for Rrvs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.otherwise {
            RrvsAction::Continue => 'C',
            RrvsAction::Reject => 'R',
        };
        write!(f, "{};{action}", self.since)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_rfc_7293() {
        let since = DateTime::parse("2014-04-03T23:01:00Z").unwrap();
        for (text, otherwise, written) in [
            ("2014-04-03T23:01:00Z", RrvsAction::Reject, "2014-04-03T23:01:00Z;R"),
            ("2014-04-03T23:01:00Z;r", RrvsAction::Reject, "2014-04-03T23:01:00Z;R"),
            ("2014-04-04T01:01:00+02:00;C", RrvsAction::Continue, "2014-04-03T23:01:00Z;C"),
        ] {
            let rrvs = Rrvs::parse(text).unwrap();
            assert_eq!((rrvs, rrvs.to_string().as_str()), (Rrvs { since, otherwise }, written));
        }
    }

    #[test]
    fn what_is_not_so_is_refused_where_it_goes_wrong() {
        for (text, at, expected) in [
            ("", 0, Expected::DateTime),
            (";C", 0, Expected::DateTime),
            ("2014-04-03", 10, Expected::DateTime),
            ("2014-04-03T23:01:00Z;", 21, Expected::ParameterValue),
            ("2014-04-03T23:01:00Z;CR", 21, Expected::ParameterValue),
            ("2014-04-03T23:01:00Z;X", 21, Expected::ParameterValue),
            ("2014-04-03T23:01:00Z,C", 20, Expected::End),
        ] {
            assert_eq!(Rrvs::parse(text), Err(ParseError { at, expected }), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn it_is_read_as_it_was_written(seconds in 0_i64..253_402_300_800, goes_on: bool) {
            let otherwise = if goes_on { RrvsAction::Continue } else { RrvsAction::Reject };
            let rrvs = Rrvs { since: DateTime::new(seconds).unwrap(), otherwise };
            prop_assert_eq!(Rrvs::parse(&rrvs.to_string()), Ok(rrvs));
        }
    }
}
