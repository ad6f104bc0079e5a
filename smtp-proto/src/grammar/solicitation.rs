//! What kinds of advertisement a message is (RFC 3865).

use alloc::boxed::Box;
use core::fmt;

use super::error::{Expected, ParseError};

/// `SOLICIT=`: class keywords with commas between them, at most 1000 octets (RFC 3865 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Solicitation<S = Box<str>>(S);

impl<'a> Solicitation<&'a str> {
    /// Parses a whole text.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        if text.len() > SOLICITATION_MAX {
            return Err(ParseError { at: SOLICITATION_MAX, expected: Expected::End });
        }
        let mut begins = true;
        for (at, octet) in text.bytes().enumerate() {
            let is_good = match octet {
                b'a'..=b'z' | b'A'..=b'Z' => true,
                b'0'..=b'9' | b'.' | b'-' | b'_' | b':' | b',' => !begins,
                _ => false,
            };
            if !is_good {
                return Err(ParseError { at, expected: Expected::ParameterValue });
            }
            begins = octet == b',';
        }
        if begins { Err(ParseError { at: text.len(), expected: Expected::ParameterValue }) } else { Ok(Self(text)) }
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Solicitation {
        Solicitation(self.0.into())
    }
}

impl<S: AsRef<str>> Solicitation<S> {
    /// The text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Solicitation<&str> {
        Solicitation(self.as_str())
    }

    /// Its keywords, such as `net.example:ADV`; at least one.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.as_str().split(',')
    }
}

impl<S: AsRef<str>> fmt::Display for Solicitation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// RFC 3865 §2.2.
const SOLICITATION_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keywords_are_told_apart() {
        let text = "net.example:ADV,org.example:ADV:ADLT,x_1-2";
        let solicitation = Solicitation::parse(text).unwrap();
        let keywords: Vec<&str> = solicitation.keywords().collect();
        assert_eq!(keywords, ["net.example:ADV", "org.example:ADV:ADLT", "x_1-2"]);
        assert_eq!((solicitation.into_owned().borrowed(), solicitation.to_string().as_str()), (solicitation, text));
    }

    #[test]
    fn what_is_no_keyword_is_refused_where_it_goes_wrong() {
        for (text, at) in [
            ("", 0),
            (",a", 0),
            ("a,", 2),
            ("a,,b", 2),
            ("1a", 0),
            ("a,:b", 2),
            ("a b", 1),
            ("a=b", 1),
            ("a\u{e9}", 1),
            ("a\r\n", 1),
        ] {
            assert_eq!(
                Solicitation::parse(text),
                Err(ParseError { at, expected: Expected::ParameterValue }),
                "{text:?}"
            );
        }
        let longest = "a".repeat(1000);
        assert!(Solicitation::parse(&longest).is_ok());
        let too_long = Err(ParseError { at: 1000, expected: Expected::End });
        assert_eq!(Solicitation::parse(&(longest + "a")), too_long);
    }

    proptest! {
        #[test]
        fn what_parses_is_a_list_of_keywords(text in "[a-zA-Z0-9.:_,-]{0,20}") {
            let is_list = text.split(',').all(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
            prop_assert_eq!(Solicitation::parse(&text).is_ok(), is_list);
        }
    }
}
