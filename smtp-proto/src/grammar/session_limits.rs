//! How much a server takes in one session: the LIMITS extension (RFC 9422).

use core::fmt;

use super::number::digits;

/// What `LIMITS` says; the default says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionLimits {
    /// `MAILMAX`: transactions in a session (RFC 9422 §4.1).
    pub mail_max: Option<SessionLimit>,
    /// `RCPTMAX`: recipients in a transaction (RFC 9422 §4.2).
    pub rcpt_max: Option<SessionLimit>,
    /// `RCPTDOMAINMAX`: domains of recipients in a session (RFC 9422 §4.3).
    pub rcpt_domain_max: Option<SessionLimit>,
}

/// From one to 999,999: six digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionLimit(u32);

impl SessionLimits {
    /// No limit is said.
    pub const NONE: Self = Self { mail_max: None, rcpt_max: None, rcpt_domain_max: None };

    /// Reads what follows the keyword. Limits that are not known, and values that cannot be so, are passed over
    /// (RFC 9422 §3).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut limits = Self::NONE;
        for (name, value) in text.split(' ').filter_map(|word| word.split_once('=')) {
            let limit = if name.eq_ignore_ascii_case("MAILMAX") {
                &mut limits.mail_max
            } else if name.eq_ignore_ascii_case("RCPTMAX") {
                &mut limits.rcpt_max
            } else if name.eq_ignore_ascii_case("RCPTDOMAINMAX") {
                &mut limits.rcpt_domain_max
            } else {
                continue;
            };
            *limit = SessionLimit::parse(value).or(*limit);
        }
        limits
    }

    /// Whether none is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}

/// As it follows the keyword.
impl fmt::Display for SessionLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [("MAILMAX", self.mail_max), ("RCPTMAX", self.rcpt_max), ("RCPTDOMAINMAX", self.rcpt_domain_max)];
        let said = named.iter().filter_map(|(name, limit)| limit.map(|limit| (name, limit.value())));
        for (index, (name, limit)) in said.enumerate() {
            let separator = if index > 0 { " " } else { "" };
            write!(f, "{separator}{name}={limit}")?;
        }
        Ok(())
    }
}

impl SessionLimit {
    /// That limit, if it can be said.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match value {
            1..=999_999 => Some(Self(value)),
            _ => None,
        }
    }

    /// Its value.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        digits(text, 6).ok().and_then(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn limits_that_are_not_known_or_not_so_are_passed_over() {
        let limits = SessionLimits::parse("rcptmax=20 SECONDSMAX=5 MAILMAX=0 MAILMAX RCPTDOMAINMAX=999999  =1");
        let known = SessionLimits {
            mail_max: None,
            rcpt_max: SessionLimit::new(20),
            rcpt_domain_max: SessionLimit::new(999_999),
        };
        assert_eq!((limits, limits.to_string().as_str()), (known, "RCPTMAX=20 RCPTDOMAINMAX=999999"));
        for text in ["", "MAILMAX=", "MAILMAX=+1", "MAILMAX=1000000", "MAILMAX=1,RCPTMAX=2", "XMAILMAX=1"] {
            assert!(SessionLimits::parse(text).is_empty(), "{text:?}");
        }
        let repeated = SessionLimits::parse("MAILMAX=5 MAILMAX=7 MAILMAX=x");
        assert_eq!(repeated.mail_max, SessionLimit::new(7), "the latest that is one");
        assert_eq!((SessionLimit::new(0), SessionLimit::new(1_000_000)), (None, None));
    }
}
