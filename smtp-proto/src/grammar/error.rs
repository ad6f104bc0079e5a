//! Why a text is not what it should be, and the glue to nom.

use nom::error::ErrorKind;
use nom::{Err, IResult, Parser};

/// Why a text does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected at octet {at}")]
pub struct ParseError {
    /// Offset into the text.
    pub at: usize,
    /// What should stand there.
    pub expected: Expected,
}

/// What a parser expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Expected {
    /// A verb of RFC 5321 or of an extension that this crate knows by name.
    #[error("a known command")]
    Verb,
    /// A verb that this crate does more with than know its name.
    #[error("an implemented command")]
    ImplementedVerb,
    /// No control character: those end lines, or are taken for the end by others.
    #[error("a printable octet")]
    Printable,
    /// Valid UTF-8 (RFC 6531 §3.3).
    #[error("valid utf-8")]
    Utf8,
    /// An argument.
    #[error("an argument")]
    Argument,
    /// Nothing more.
    #[error("the end of the line")]
    End,
    /// `FROM:` or `TO:`.
    #[error("from: or to:")]
    Preposition,
    /// A path in angle brackets.
    #[error("a path in angle brackets")]
    Path,
    /// The part of an address before the `@`.
    #[error("a local part")]
    LocalPart,
    /// `@`.
    #[error("an at sign")]
    AtSign,
    /// A domain, or an address in square brackets.
    #[error("a domain")]
    Domain,
    /// A parameter whose keyword this crate knows.
    #[error("a known parameter")]
    KnownParameter,
    /// Each parameter once.
    #[error("each parameter at most once")]
    ParameterOnce,
    /// A value that the parameter can have.
    #[error("a parameter's value")]
    ParameterValue,
    /// The size of a chunk, and `LAST` or nothing (RFC 3030 §2).
    #[error("a chunk's size")]
    ChunkSize,
    /// The name of a SASL mechanism.
    #[error("a sasl mechanism")]
    Mechanism,
    /// Base64 (RFC 4648 §4).
    #[error("base64")]
    Base64,
    /// xtext (RFC 3461 §4).
    #[error("xtext")]
    Xtext,
    /// A number, in as many digits as there may be.
    #[error("a number")]
    Number,
    /// A point in time (RFC 3339 §5.6).
    #[error("a date and time")]
    DateTime,
    /// The name of an attribute that this crate knows.
    #[error("a known attribute")]
    Attribute,
    /// An IP address.
    #[error("an ip address")]
    Address,
    /// A reply code and its separator, the same on every line of the reply.
    #[error("a reply code")]
    ReplyCode,
}

/// What a parser of this crate returns.
pub(super) type Parsed<'a, T> = IResult<&'a str, T, Fail<'a>>;

/// nom's error: as small as can be, turned into a [`ParseError`] at the border.
#[derive(Debug)]
pub(super) struct Fail<'a> {
    rest: &'a str,
    expected: Expected,
}

impl<'a> nom::error::ParseError<&'a str> for Fail<'a> {
    fn from_error_kind(rest: &'a str, _: ErrorKind) -> Self {
        Self { rest, expected: Expected::Argument }
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// The failure to find `expected` at `rest`.
pub(super) const fn fail<'a, T>(rest: &'a str, expected: Expected) -> Parsed<'a, T> {
    Err(Err::Error(Fail { rest, expected }))
}

/// Runs `parser`, and says what was expected where it fails.
pub(super) fn want<'a, T>(
    expected: Expected,
    mut parser: impl Parser<&'a str, Output = T, Error = Fail<'a>>,
) -> impl FnMut(&'a str) -> Parsed<'a, T> {
    move |rest| parser.parse(rest).or_else(|_| fail(rest, expected))
}

/// Runs `parser` over the whole of `text`, which stands `offset` octets into what the caller parses.
pub(super) fn complete<'a, T>(
    text: &'a str,
    offset: usize,
    mut parser: impl Parser<&'a str, Output = T, Error = Fail<'a>>,
) -> Result<T, ParseError> {
    let error = |rest: &str, expected| ParseError {
        at: offset.saturating_add(text.len().saturating_sub(rest.len())),
        expected,
    };
    match parser.parse(text) {
        Ok(("", value)) => Ok(value),
        Ok((rest, _)) => Err(error(rest, Expected::End)),
        Err(Err::Error(fail) | Err::Failure(fail)) => Err(error(fail.rest, fail.expected)),
        // Parsers of this crate see complete texts only.
        Err(Err::Incomplete(_)) => Err(error("", Expected::Argument)),
    }
}
