//! Parameters of MAIL and RCPT (RFC 5321 §4.1.1.11), and the keywords that extensions have given them.

use alloc::boxed::Box;
use core::fmt::Write as _;

use bytes::BytesMut;

use super::domain::is_utf8_char;
use super::error::{Expected, ParseError};
use super::text::Xtext;

/// What stands behind the path in MAIL. Make one with `..Default::default()`: extensions add fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailParameters<S = Box<str>> {
    /// `SIZE=`: the message's octets, roughly (RFC 1870 §5). More digits than fit are the largest number.
    pub size: Option<u64>,
    /// `BODY=`: what the message is made of (RFC 6152 §3).
    pub body: Option<BodyType>,
    /// `SMTPUTF8`: addresses or headers are UTF-8 (RFC 6531 §3.4).
    pub smtp_utf8: bool,
    /// `AUTH=`: who gave the message up first (RFC 4954 §5).
    pub auth: Option<Submitter<S>>,
}

/// What stands behind the path in RCPT. No extension that is done here has given it a keyword yet; make one with `default()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters {}

/// What octets a message is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// Lines of ASCII.
    SevenBit,
    /// Lines of any octets (RFC 6152 §2).
    EightBitMime,
}

/// The value of `AUTH=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Submitter<S = Box<str>> {
    /// `<>`: not known, or not believed.
    Unknown,
    /// A mailbox in xtext.
    Mailbox(Xtext<S>),
}

/// One `esmtp-param`, not yet understood.
struct Parameter<'a> {
    at: usize,
    keyword: &'a str,
    value: Option<&'a str>,
}

impl<'a> MailParameters<&'a str> {
    /// Parses what follows the path, which stands `offset` octets into the line.
    pub(super) fn parse(text: &'a str, offset: usize) -> Result<Self, ParseError> {
        let mut parameters = Self::default();
        for parameter in words(text, offset) {
            let Parameter { at, keyword, value } = parameter?;
            let once = |free: bool| {
                if free { Ok(()) } else { Err(ParseError { at, expected: Expected::ParameterOnce }) }
            };
            let bad_value = ParseError { at, expected: Expected::ParameterValue };
            if keyword.eq_ignore_ascii_case("SIZE") {
                once(parameters.size.is_none())?;
                parameters.size = Some(value.and_then(size).ok_or(bad_value)?);
            } else if keyword.eq_ignore_ascii_case("BODY") {
                once(parameters.body.is_none())?;
                parameters.body = Some(value.and_then(BodyType::parse).ok_or(bad_value)?);
            } else if keyword.eq_ignore_ascii_case("SMTPUTF8") {
                once(!parameters.smtp_utf8)?;
                parameters.smtp_utf8 = value.is_none();
                value.map_or(Ok(()), |_| Err(bad_value))?;
            } else if keyword.eq_ignore_ascii_case("AUTH") {
                once(parameters.auth.is_none())?;
                parameters.auth = Some(value.and_then(Submitter::parse).ok_or(bad_value)?);
            } else {
                return Err(ParseError { at, expected: Expected::KnownParameter });
            }
        }
        Ok(parameters)
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> MailParameters {
        let auth = self.auth.map(|auth| match auth {
            Submitter::Unknown => Submitter::Unknown,
            Submitter::Mailbox(xtext) => Submitter::Mailbox(xtext.into_owned()),
        });
        MailParameters { size: self.size, body: self.body, smtp_utf8: self.smtp_utf8, auth }
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<S: AsRef<str>> MailParameters<S> {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> MailParameters<&str> {
        let auth = self.auth.as_ref().map(|auth| match auth {
            Submitter::Unknown => Submitter::Unknown,
            Submitter::Mailbox(xtext) => Submitter::Mailbox(xtext.borrowed()),
        });
        MailParameters { size: self.size, body: self.body, smtp_utf8: self.smtp_utf8, auth }
    }

    /// Appends them, each with a space before it.
    pub(super) fn write(&self, out: &mut BytesMut) {
        if let Some(size) = self.size {
            // Writing to memory does not fail.
            let _ = write!(out, " SIZE={size}");
        }
        match self.body {
            Some(BodyType::SevenBit) => out.extend_from_slice(b" BODY=7BIT"),
            Some(BodyType::EightBitMime) => out.extend_from_slice(b" BODY=8BITMIME"),
            None => {}
        }
        if self.smtp_utf8 {
            out.extend_from_slice(b" SMTPUTF8");
        }
        match &self.auth {
            Some(Submitter::Unknown) => out.extend_from_slice(b" AUTH=<>"),
            Some(Submitter::Mailbox(xtext)) => {
                out.extend_from_slice(b" AUTH=");
                out.extend_from_slice(xtext.as_str().as_bytes());
            }
            None => {}
        }
    }
}

impl RcptParameters {
    /// Parses what follows the path, which stands `offset` octets into the line.
    pub(super) fn parse(text: &str, offset: usize) -> Result<Self, ParseError> {
        match words(text, offset).next() {
            None => Ok(Self::default()),
            Some(parameter) => Err(ParseError { at: parameter?.at, expected: Expected::KnownParameter }),
        }
    }
}

impl BodyType {
    fn parse(value: &str) -> Option<Self> {
        if value.eq_ignore_ascii_case("7BIT") {
            Some(Self::SevenBit)
        } else if value.eq_ignore_ascii_case("8BITMIME") {
            Some(Self::EightBitMime)
        } else {
            None
        }
    }
}

impl<'a> Submitter<&'a str> {
    fn parse(value: &'a str) -> Option<Self> {
        match value {
            "<>" => Some(Self::Unknown),
            "" => None,
            _ => Xtext::parse(value).ok().map(Self::Mailbox),
        }
    }
}

/// RFC 1870 §3: `size-value = 1*20DIGIT`, some of which are more than 64 bits hold.
fn size(value: &str) -> Option<u64> {
    let digits = (1..=20).contains(&value.len()) && value.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}

/// `*( SP esmtp-param )`, where several spaces count as one.
fn words(text: &str, offset: usize) -> impl Iterator<Item = Result<Parameter<'_>, ParseError>> {
    let mut at = offset;
    let begins_with_space = text.is_empty() || text.starts_with(' ');
    let glued = (!begins_with_space).then_some(Err(ParseError { at, expected: Expected::End }));
    glued.into_iter().chain(text.split(' ').filter_map(move |word| {
        let start = at;
        at = at.saturating_add(word.len()).saturating_add(1);
        (!word.is_empty()).then(|| parameter(word, start))
    }))
}

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]`.
fn parameter(word: &str, at: usize) -> Result<Parameter<'_>, ParseError> {
    let (keyword, value) = word.split_once('=').map_or((word, None), |(keyword, value)| (keyword, Some(value)));
    let keyword_is_good = keyword.bytes().next().is_some_and(|octet| octet.is_ascii_alphanumeric())
        && keyword.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    if !keyword_is_good {
        return Err(ParseError { at, expected: Expected::End });
    }
    let is_value_char = |c: char| c.is_ascii_graphic() && c != '=' || is_utf8_char(c);
    if value.is_some_and(|value| value.is_empty() || !value.chars().all(is_value_char)) {
        return Err(ParseError { at, expected: Expected::ParameterValue });
    }
    Ok(Parameter { at, keyword, value })
}
