//! APOP: a login by digest (RFC 1939 §7).

use alloc::boxed::Box;
use core::fmt;

use md5::{Digest as _, Md5};

use super::error::{Expected, ParseError};

/// What a greeting holds for APOP: a message-id in angle brackets, never the same again (RFC 1939 §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp(Box<str>);

/// A server's timestamp is not longer than this: it must fit into a greeting of 512 octets (RFC 2449 §4).
const TIMESTAMP_MAX: usize = 256;

impl Timestamp {
    /// Parses a whole text, `<` and `>` included.
    ///
    /// A client that digests what is no message-id can be led to give its password away piece by piece (CVE-2007-1558), so that
    /// only printable ASCII with one `@` between the brackets is one here.
    ///
    /// # Errors
    /// Where a timestamp cannot be so.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let inside = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or_default();
        let printable = inside.bytes().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>'));
        let sides = inside.split_once('@').filter(|(left, right)| !left.is_empty() && !right.is_empty());
        match sides {
            Some((_, right)) if printable && !right.contains('@') && text.len() <= TIMESTAMP_MAX => {
                Ok(Self(text.into()))
            }
            Some(_) | None => Err(ParseError::new(0, Expected::Timestamp)),
        }
    }

    /// The timestamp, `<` and `>` included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The digest of a timestamp and a password. It proves that its sender knows the password, to whom knows it too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Makes the proof that a client sends. The timestamp came last in the server's greeting.
    #[must_use]
    pub fn new(timestamp: &Timestamp, password: &[u8]) -> Self {
        Self(Md5::new().chain_update(timestamp.as_str()).chain_update(password).finalize().into())
    }

    /// Parses 32 hexadecimal digits.
    ///
    /// # Errors
    /// Where it is anything else.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        const BAD: ParseError = ParseError::new(0, Expected::Digest);
        let mut digest = [0; 16];
        let (pairs, rest) = text.as_chunks::<2>();
        if pairs.len() != digest.len() || !rest.is_empty() {
            return Err(BAD);
        }
        for (octet, [high, low]) in digest.iter_mut().zip(pairs) {
            let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
            let (Some(high), Some(low)) = (value(*high), value(*low)) else { return Err(BAD) };
            *octet = high << 4 | low;
        }
        Ok(Self(digest))
    }
}

/// As it stands in the command: lower-case hexadecimal.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// A login by APOP, as the application is asked about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apop {
    pub(crate) timestamp: Timestamp,
    pub(crate) digest: Digest,
}

impl Apop {
    /// Whether the client knows this password. Takes the same time for any digest.
    #[must_use]
    pub fn matches(&self, password: &[u8]) -> bool {
        let expected = Digest::new(&self.timestamp, password);
        let differ =
            expected.0.iter().zip(&self.digest.0).fold(0, |differ, (a, b)| core::hint::black_box(differ | (a ^ b)));
        differ == 0
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn the_example_of_rfc_1939() {
        let timestamp = Timestamp::parse("<1896.697170952@dbc.mtview.ca.us>").unwrap();
        let digest = Digest::new(&timestamp, b"tanstaaf");
        assert_eq!(digest.to_string(), "c4c9334bac560ecc979e58001b3e22fb");
        let apop = Apop { timestamp, digest: Digest::parse(b"C4c9334bac560ecc979e58001b3e22fb").unwrap() };
        assert!(apop.matches(b"tanstaaf") && !apop.matches(b"tanstaaF") && !apop.matches(b""));
        assert_eq!(format!("{digest:?}"), "Digest(..)");
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for bad in [
            &b""[..],
            b"c4",
            b"c4c9334bac560ecc979e58001b3e22fg",
            b"c4c9334bac560ecc979e58001b3e22fbc",
            b"c4c9334bac560ecc979e58001b3e22f\xe4",
        ] {
            assert_eq!(Digest::parse(bad), Err(ParseError::new(0, Expected::Digest)));
        }
    }

    #[test]
    fn a_timestamp_is_a_message_id() {
        for bad in
            ["", "<>", "<a>", "<@b>", "<a@>", "a@b", "<a@b", "<a b@c>", "<a@b@c>", "<a<@b>", "<\u{e4}@b>", "<a\n@b>"]
        {
            assert_eq!(Timestamp::parse(bad), Err(ParseError::new(0, Expected::Timestamp)), "{bad:?}");
        }
        assert_eq!(
            Timestamp::parse(&format!("<{}@b>", "a".repeat(TIMESTAMP_MAX))).map(|_| ()),
            Err(ParseError::new(0, Expected::Timestamp))
        );
    }
}
