//! The grammar's small words (RFC 3501 §9). Every parser here sees a complete command: running out of octets is an error.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while, take_while1};
use nom::combinator::{map, opt, value};
use nom::error::ErrorKind;
use nom::multi::separated_list1;
use nom::sequence::delimited;
use nom::{Err, IResult, Parser};

use crate::SequenceSet;
use crate::set::SequenceNumber;

/// Why octets are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{expected} expected at octet {at}")]
pub struct ParseError {
    /// Offset into what was parsed.
    pub at: usize,
    /// What should stand there.
    pub expected: Expected,
}

/// What a parser expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Expected {
    /// The word that the client names a command with.
    #[error("a tag")]
    Tag,
    /// A command that this crate knows.
    #[error("a known command")]
    Verb,
    /// One space.
    #[error("a space")]
    Space,
    /// Nothing more.
    #[error("the end of the command")]
    End,
    /// `(`
    #[error("an opening parenthesis")]
    Open,
    /// `)`
    #[error("a closing parenthesis or a space")]
    Close,
    /// A word without special characters.
    #[error("an atom")]
    Atom,
    /// An atom, a quoted string or a literal.
    #[error("a string")]
    String,
    /// Digits that make a number in its bounds.
    #[error("a number")]
    Number,
    /// Numbers and ranges.
    #[error("a sequence set")]
    SequenceSet,
    /// A flag that a client may set.
    #[error("a flag")]
    Flag,
    /// `1-Feb-1994`
    #[error("a date")]
    Date,
    /// `" 1-Feb-1994 10:05:00 +0000"`
    #[error("a date with time and zone")]
    DateTime,
    /// Something that FETCH can fetch.
    #[error("a fetch item")]
    FetchItem,
    /// What stands between the brackets of BODY[].
    #[error("a section")]
    Section,
    /// What STORE does to flags.
    #[error("a flag change")]
    FlagChange,
    /// Something to search for.
    #[error("a search key")]
    SearchKey,
    /// Fewer search keys, or fewer within one another.
    #[error("a smaller search")]
    LessOfIt,
    /// Something that STATUS can tell.
    #[error("a status item")]
    StatusItem,
    /// APPEND's message.
    #[error("a literal")]
    Literal,
    /// A mechanism's name.
    #[error("a mechanism")]
    Mechanism,
    /// Base64 with its padding (RFC 4648 §4).
    #[error("base64")]
    Base64,
}

/// A failure while parsing: where, and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure<'a> {
    at: &'a [u8],
    expected: Option<Expected>,
}

impl Failure<'_> {
    pub(crate) fn in_text(self, text: &[u8]) -> ParseError {
        let at = text.len().saturating_sub(self.at.len());
        ParseError { at, expected: self.expected.unwrap_or(Expected::End) }
    }
}

impl<'a> nom::error::ParseError<&'a [u8]> for Failure<'a> {
    fn from_error_kind(at: &'a [u8], _: ErrorKind) -> Self {
        Self { at, expected: None }
    }

    fn append(_: &'a [u8], _: ErrorKind, inner: Self) -> Self {
        inner
    }
}

pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, Failure<'a>>;

/// Fails for good: no alternative is tried.
pub(crate) fn fail<T>(at: &[u8], expected: Expected) -> Parsed<'_, T> {
    Err(Err::Failure(Failure { at, expected: Some(expected) }))
}

/// Says what was expected, where `parser` does not know it itself.
pub(crate) fn expect<'a, T>(
    expected: Expected,
    mut parser: impl Parser<&'a [u8], Output = T, Error = Failure<'a>>,
) -> impl FnMut(&'a [u8]) -> Parsed<'a, T> {
    move |input| {
        parser.parse(input).map_err(|error| match error {
            Err::Error(Failure { expected: None, .. }) => Err::Error(Failure { at: input, expected: Some(expected) }),
            Err::Failure(Failure { at, expected: None }) => Err::Failure(Failure { at, expected: Some(expected) }),
            Err::Error(failure) => Err::Error(failure),
            Err::Failure(failure) => Err::Failure(failure),
            Err::Incomplete(needed) => Err::Incomplete(needed),
        })
    }
}

/// Parses all of `input`.
pub(crate) fn whole<'a, T>(
    input: &'a [u8],
    mut parser: impl Parser<&'a [u8], Output = T, Error = Failure<'a>>,
) -> Result<T, ParseError> {
    match parser.parse(input) {
        Ok(([], parsed)) => Ok(parsed),
        Ok((rest, _)) => Err(Failure { at: rest, expected: Some(Expected::End) }.in_text(input)),
        Err(Err::Error(failure) | Err::Failure(failure)) => Err(failure.in_text(input)),
        // The parsers are those for complete input; none asks for more.
        Err(Err::Incomplete(_)) => Err(ParseError { at: input.len(), expected: Expected::End }),
    }
}

/// `ATOM-CHAR`
pub(crate) const fn is_atom_char(octet: u8) -> bool {
    matches!(octet, b'!'..=b'~') && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR`
pub(crate) const fn is_astring_char(octet: u8) -> bool {
    is_atom_char(octet) || octet == b']'
}

const fn is_tag_char(octet: u8) -> bool {
    is_astring_char(octet) && octet != b'+'
}

const fn is_list_char(octet: u8) -> bool {
    is_astring_char(octet) || matches!(octet, b'%' | b'*')
}

/// Octets that a predicate has let pass as ASCII.
pub(crate) fn ascii(octets: &[u8]) -> &str {
    core::str::from_utf8(octets).unwrap_or_default()
}

pub(crate) fn sp(input: &[u8]) -> Parsed<'_, ()> {
    expect(Expected::Space, value((), tag(&b" "[..]))).parse(input)
}

/// `tag`
pub(crate) fn command_tag(input: &[u8]) -> Parsed<'_, &str> {
    expect(Expected::Tag, map(take_while1(is_tag_char), ascii)).parse(input)
}

pub(crate) fn atom(input: &[u8]) -> Parsed<'_, &str> {
    expect(Expected::Atom, map(take_while1(is_atom_char), ascii)).parse(input)
}

/// Letters, digits, dots and hyphens: what keywords are made of.
pub(crate) fn keyword(input: &[u8]) -> Parsed<'_, &str> {
    map(take_while(|octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-')), ascii).parse(input)
}

pub(crate) fn number64(input: &[u8]) -> Parsed<'_, u64> {
    let (rest, digits) = expect(Expected::Number, take_while1(|octet: u8| octet.is_ascii_digit())).parse(input)?;
    match ascii(digits).parse() {
        Ok(number) => Ok((rest, number)),
        Err(_) => fail(input, Expected::Number),
    }
}

pub(crate) fn nz_number(input: &[u8]) -> Parsed<'_, NonZeroU32> {
    let (rest, number) = number64(input)?;
    match u32::try_from(number).ok().and_then(NonZeroU32::new) {
        Some(number) => Ok((rest, number)),
        None => fail(input, Expected::Number),
    }
}

fn sequence_number(input: &[u8]) -> Parsed<'_, SequenceNumber> {
    match input {
        [b'*', rest @ ..] => Ok((rest, None)),
        [b'0'..=b'9', ..] => map(nz_number, Some).parse(input),
        _ => fail(input, Expected::SequenceSet),
    }
}

pub(crate) fn sequence_set(input: &[u8]) -> Parsed<'_, SequenceSet> {
    let (mut rest, mut ranges) = (input, Vec::new());
    loop {
        let (after, first) = sequence_number(rest)?;
        let (after, last) = match after {
            [b':', after @ ..] => sequence_number(after)?,
            _ => (after, first),
        };
        ranges.push((first, last));
        let [b',', next @ ..] = after else {
            let Some(set) = SequenceSet::new(ranges) else { return fail(input, Expected::SequenceSet) };
            return Ok((after, set));
        };
        rest = next;
    }
}

/// `string`: quoted or literal.
pub(crate) fn string(input: &[u8]) -> Parsed<'_, Cow<'_, [u8]>> {
    match input {
        [b'"', ..] => quoted(input),
        [b'{', ..] => map(literal, Cow::Borrowed).parse(input),
        _ => Err(Err::Error(Failure { at: input, expected: Some(Expected::String) })),
    }
}

/// `quoted`. Beyond RFC 3501 §9, UTF-8 may stand in it, as RFC 9051 §4.3 has it: clients send passwords that way.
fn quoted(input: &[u8]) -> Parsed<'_, Cow<'_, [u8]>> {
    let Some((b'"', body)) = input.split_first() else { return fail(input, Expected::String) };
    let mut unescaped: Option<Vec<u8>> = None;
    let mut rest = body;
    loop {
        let (after, plain) = take_while(|octet| !matches!(octet, b'"' | b'\\' | b'\r' | b'\n' | 0)).parse(rest)?;
        if let Some(text) = &mut unescaped {
            text.extend_from_slice(plain);
        }
        match after {
            [b'"', after @ ..] => {
                let text = unescaped.map_or(Cow::Borrowed(plain), Cow::Owned);
                if core::str::from_utf8(&text).is_err() {
                    return fail(input, Expected::String);
                }
                return Ok((after, text));
            }
            [b'\\', special @ (b'"' | b'\\'), after @ ..] => {
                unescaped.get_or_insert_with(|| plain.to_vec()).push(*special);
                rest = after;
            }
            _ => return fail(after, Expected::String),
        }
    }
}

/// `literal`, of either kind. The frame has made sure that its octets are there.
fn literal(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (rest, size) = delimited(tag(&b"{"[..]), number64, (opt(tag(&b"+"[..])), tag(&b"}\r\n"[..]))).parse(input)?;
    let Ok(size) = usize::try_from(size) else { return fail(input, Expected::Literal) };
    let (rest, octets) = expect(Expected::Literal, take(size)).parse(rest)?;
    // CHAR8 is any octet but NUL.
    if memchr::memchr(0, octets).is_some() {
        return fail(input, Expected::Literal);
    }
    Ok((rest, octets))
}

pub(crate) fn astring(input: &[u8]) -> Parsed<'_, Cow<'_, [u8]>> {
    alt((map(take_while1(is_astring_char), Cow::Borrowed), string)).parse(input)
}

/// `list-mailbox`
pub(crate) fn list_mailbox(input: &[u8]) -> Parsed<'_, Cow<'_, [u8]>> {
    alt((map(take_while1(is_list_char), Cow::Borrowed), string)).parse(input)
}

/// `nstring`
pub(crate) fn nstring(input: &[u8]) -> Parsed<'_, Option<Cow<'_, [u8]>>> {
    match input {
        [n, i, l, rest @ ..] if [*n, *i, *l].eq_ignore_ascii_case(b"NIL") => Ok((rest, None)),
        _ => map(string, Some).parse(input),
    }
}

/// `(item item …)`, with at least one item.
pub(crate) fn list1<'a, T>(
    item: impl Parser<&'a [u8], Output = T, Error = Failure<'a>>,
) -> impl FnMut(&'a [u8]) -> Parsed<'a, Vec<T>> {
    let mut items = delimited(
        expect(Expected::Open, tag(&b"("[..])),
        separated_list1(tag(&b" "[..]), item),
        expect(Expected::Close, tag(&b")"[..])),
    );
    move |input| items.parse(input)
}

/// `(item item …)` or `()`.
pub(crate) fn list0<'a, T>(
    item: impl Parser<&'a [u8], Output = T, Error = Failure<'a>>,
) -> impl FnMut(&'a [u8]) -> Parsed<'a, Vec<T>> {
    let mut items = list1(item);
    move |input| match input {
        [b'(', b')', rest @ ..] => Ok((rest, Vec::new())),
        _ => items(input),
    }
}

/// What follows `tag APPEND ` in a command, if it is one.
pub(crate) fn append_arguments(input: &[u8]) -> Option<&[u8]> {
    let (rest, _) = command_tag(input).ok()?;
    let (verb, arguments) = rest.strip_prefix(b" ")?.split_at_checked(b"APPEND ".len())?;
    verb.eq_ignore_ascii_case(b"APPEND ").then_some(arguments)
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;

    fn text(input: &[u8]) -> Option<String> {
        whole(input, astring).ok().map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    #[test]
    fn a_string_has_three_forms() {
        assert_eq!(text(b"atom]").as_deref(), Some("atom]"));
        assert_eq!(text(b"\"two words\"").as_deref(), Some("two words"));
        assert_eq!(text(br#""a\"b\\c""#).as_deref(), Some(r#"a"b\c"#));
        assert_eq!(text(b"{4}\r\n\r\n\"x").as_deref(), Some("\r\n\"x"));
        assert_eq!(text(b"{0+}\r\n").as_deref(), Some(""));
        assert_eq!(text(b"\"\"").as_deref(), Some(""));
        assert_eq!(text("\"p\u{e4}ss\"".as_bytes()).as_deref(), Some("p\u{e4}ss"));
    }

    #[test]
    fn what_is_no_string_is_refused() {
        for bad in [
            &b""[..],
            b"a b",
            b"\"a",
            b"\"a\\n\"",
            b"\"a\rb\"",
            b"\"\xff\"",
            b"{3}\r\nab",
            b"{3}\r\na\0b",
            b"{x}\r\n",
            b"{99999999999999999999}\r\n",
            b"a%",
            b"\xe4",
            b"{-1}\r\n",
            b"{1}a",
        ] {
            assert_eq!(text(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn sequence_sets_are_read_as_sent() {
        for good in ["1", "*", "1:*", "5:3,7,*:2", "4294967295"] {
            assert_eq!(whole(good.as_bytes(), sequence_set).unwrap().to_string(), good);
        }
        for bad in ["", "0", "1,", "1:", ":1", "1:2:3", "4294967296", "-1", "1,,2", "1 2"] {
            assert!(whole(bad.as_bytes(), sequence_set).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_says_where_and_what() {
        let error = whole(b"1:2,x", sequence_set).unwrap_err();
        assert_eq!(error.to_string(), "a sequence set expected at octet 4");
    }
}
