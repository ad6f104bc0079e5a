//! Replies (RFC 5321 §4.2, RFC 2034, RFC 3463).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut as _, BytesMut};
use memchr::memchr;

use super::error::{Expected, ParseError};
use crate::frame::line_end;

/// A reply: code, enhanced status code, and one or more lines of text.
///
/// Whatever its text was made of, a reply is safe on the wire: what is not printable ASCII is `?`, and long lines are folded.
///
/// ```
/// use smtp_proto::{Enhanced, Reply, ReplyCode};
///
/// let reply = Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, Enhanced::new(1, 1), "no such user here");
/// let mut out = bytes::BytesMut::new();
/// reply.write(&mut out);
/// assert_eq!(out, "550 5.1.1 no such user here\r\n");
/// assert_eq!(Reply::parse(&out), Ok(reply));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: ReplyCode,
    enhanced: Option<Enhanced>,
    text: Cow<'static, str>,
}

/// Three digits, the first of which is 2 to 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyCode(u16);

/// What a reply code's first digit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// 2yz: done.
    Success,
    /// 3yz: go on.
    Intermediate,
    /// 4yz: not now.
    Transient,
    /// 5yz: not so.
    Permanent,
}

/// Subject and detail of an enhanced status code (RFC 3463 §3). Its class is the reply's, and so cannot contradict it
/// (RFC 2034 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Enhanced {
    subject: u16,
    detail: u16,
}

/// Longest line of text. RFC 5321 §4.5.3.1.5: 512 octets with code and CRLF; an enhanced code may take ten more.
const TEXT_LINE_MAX: usize = 490;

/// What a line holds beside its text: code, enhanced code, CRLF.
const HEAD_MAX: usize = "250-2.999.999 \r\n".len();

impl Reply {
    /// A reply with an enhanced status code. Each `\n` in the text begins another line.
    #[must_use]
    pub fn new(code: ReplyCode, enhanced: Enhanced, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: Some(enhanced), text: wire_safe(text.into()) }
    }

    /// A reply without one: RFC 2034 §4 has none on the greeting, on replies to EHLO, and on those that begin with 3.
    #[must_use]
    pub fn plain(code: ReplyCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: None, text: wire_safe(text.into()) }
    }

    /// A reply of this crate's own: the text is known to be safe.
    pub(crate) const fn fixed(code: ReplyCode, subject: u16, detail: u16, text: &'static str) -> Self {
        Self { code, enhanced: Some(Enhanced::new(subject, detail)), text: Cow::Borrowed(text) }
    }

    /// Parses a complete reply: one or more lines, each with its CRLF, all with the same code.
    ///
    /// # Errors
    /// Where it is not one.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let (first, mut rest) = Line::take(text, 0)?;
        let (enhanced, words) = Enhanced::strip(first.code, first.text);
        let mut whole = Vec::with_capacity(text.len());
        push_printable(words, &mut whole);
        let mut position = first.position;
        while let Position::Inner = position {
            let at = text.len().saturating_sub(rest.len());
            let line;
            (line, rest) = Line::take(rest, at)?;
            if line.code != first.code {
                return Err(ParseError { at, expected: Expected::ReplyCode });
            }
            let (also, words) = Enhanced::strip(line.code, line.text);
            whole.push(b'\n');
            push_printable(if also == enhanced { words } else { line.text }, &mut whole);
            position = line.position;
        }
        if !rest.is_empty() {
            return Err(ParseError { at: text.len().saturating_sub(rest.len()), expected: Expected::End });
        }
        // All of it is ASCII.
        let text = String::from_utf8(whole).unwrap_or_default();
        Ok(Self { code: first.code, enhanced, text: Cow::Owned(text) })
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> ReplyCode {
        self.code
    }

    /// The code's class.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.code.class()
    }

    /// The enhanced status code, if it has one.
    #[must_use]
    pub const fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The text's lines, without codes. At least one, which may be empty.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// The same reply with a word before its text.
    pub(crate) fn behind(mut self, word: &str) -> Self {
        let separator = if self.text.is_empty() { "" } else { " " };
        self.text = wire_safe(Cow::Owned(alloc::format!("{word}{separator}{}", self.text)));
        self
    }

    /// Appends the reply's lines, CRLF included. A line that is too long goes out as several.
    pub fn write(&self, out: &mut BytesMut) {
        let mut rest = self.text.as_bytes();
        loop {
            let end = memchr(b'\n', rest);
            let mut line = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
            while let Some((piece, more @ [_, ..])) = line.split_at_checked(TEXT_LINE_MAX) {
                self.write_line(piece, b'-', out);
                line = more;
            }
            let Some(next) = end.and_then(|end| rest.get(end.saturating_add(1)..)) else {
                return self.write_line(line, b' ', out);
            };
            self.write_line(line, b'-', out);
            rest = next;
        }
    }

    fn write_line(&self, text: &[u8], separator: u8, out: &mut BytesMut) {
        out.reserve(text.len().saturating_add(HEAD_MAX));
        let code @ [class, ..] = digits(self.code.0);
        out.extend_from_slice(&code);
        out.put_u8(separator);
        if let Some(Enhanced { subject, detail }) = self.enhanced {
            out.extend_from_slice(&[class, b'.']);
            write_number(subject, out);
            out.put_u8(b'.');
            write_number(detail, out);
            out.put_u8(b' ');
        }
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    }

    /// The same reply with no more than so many octets of text, for those that are kept.
    pub(crate) fn shortened(mut self, octets: usize) -> Self {
        // The text is ASCII, so every place in it is a boundary.
        if let Some(short) = self.text.get(..octets) {
            self.text = Cow::Owned(String::from(short));
        }
        self
    }

    /// Octets of heap it holds.
    pub(crate) fn memory(&self) -> usize {
        match &self.text {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.capacity(),
        }
    }
}

impl fmt::Display for Reply {
    /// On one line, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(Enhanced { subject, detail }) = self.enhanced {
            write!(f, " {}.{subject}.{detail}", self.code.first_digit())?;
        }
        self.lines().try_for_each(|line| write!(f, " {line}"))
    }
}

impl ReplyCode {
    /// 214: help.
    pub const HELP: Self = Self(214);
    /// 220: the service is ready.
    pub const READY: Self = Self(220);
    /// 221: goodbye.
    pub const CLOSING: Self = Self(221);
    /// 235: authenticated.
    pub const AUTHENTICATED: Self = Self(235);
    /// 250: done.
    pub const OK: Self = Self(250);
    /// 251: done, and the user is elsewhere.
    pub const WILL_FORWARD: Self = Self(251);
    /// 252: cannot tell, but will try.
    pub const CANNOT_VERIFY: Self = Self(252);
    /// 334: a SASL challenge.
    pub const CHALLENGE: Self = Self(334);
    /// 354: send the message.
    pub const START_INPUT: Self = Self(354);
    /// 421: the service is not available, and the connection ends.
    pub const NOT_AVAILABLE: Self = Self(421);
    /// 450: the mailbox is busy.
    pub const MAILBOX_BUSY: Self = Self(450);
    /// 451: an error here.
    pub const LOCAL_ERROR: Self = Self(451);
    /// 452: out of room, or too many recipients.
    pub const INSUFFICIENT_STORAGE: Self = Self(452);
    /// 454: no TLS or no authentication for now.
    pub const TEMPORARY_FAILURE: Self = Self(454);
    /// 500: not a command.
    pub const SYNTAX_ERROR: Self = Self(500);
    /// 501: not an argument.
    pub const ARGUMENT_ERROR: Self = Self(501);
    /// 502: a command that is not done here.
    pub const NOT_IMPLEMENTED: Self = Self(502);
    /// 503: a command out of order.
    pub const BAD_SEQUENCE: Self = Self(503);
    /// 504: an argument that is not done here.
    pub const ARGUMENT_NOT_IMPLEMENTED: Self = Self(504);
    /// 530: authentication or TLS comes first.
    pub const AUTHENTICATION_REQUIRED: Self = Self(530);
    /// 535: the credentials are wrong.
    pub const BAD_CREDENTIALS: Self = Self(535);
    /// 538: not without TLS.
    pub const ENCRYPTION_REQUIRED: Self = Self(538);
    /// 550: no such mailbox, or not for you.
    pub const MAILBOX_UNAVAILABLE: Self = Self(550);
    /// 552: too big.
    pub const STORAGE_EXCEEDED: Self = Self(552);
    /// 553: not a mailbox's name here.
    pub const NAME_NOT_ALLOWED: Self = Self(553);
    /// 554: failed.
    pub const FAILED: Self = Self(554);
    /// 555: parameters not known here.
    pub const PARAMETERS_UNKNOWN: Self = Self(555);

    /// The code of that value, from 200 to 599.
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        match value {
            200..=599 => Some(Self(value)),
            _ => None,
        }
    }

    /// Its value.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Its class.
    #[must_use]
    pub const fn class(self) -> Class {
        match self.0 {
            ..=299 => Class::Success,
            300..=399 => Class::Intermediate,
            400..=499 => Class::Transient,
            500.. => Class::Permanent,
        }
    }

    const fn first_digit(self) -> u16 {
        self.0 / 100
    }

    fn parse(digits: [u8; 3]) -> Option<Self> {
        digits.iter().all(u8::is_ascii_digit).then(|| value(&digits)).and_then(Self::new)
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Enhanced {
    /// `x.subject.detail`. More than three digits are cut to 999.
    #[must_use]
    pub const fn new(subject: u16, detail: u16) -> Self {
        Self { subject: cut(subject), detail: cut(detail) }
    }

    /// The second number.
    #[must_use]
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third number.
    #[must_use]
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// Takes an enhanced code of the reply code's class off the front of a line's text.
    fn strip(code: ReplyCode, text: &[u8]) -> (Option<Self>, &[u8]) {
        let found = || {
            let (class, rest) = number(text)?;
            let (subject, rest) = number(rest.strip_prefix(b".")?)?;
            let (detail, rest) = number(rest.strip_prefix(b".")?)?;
            let words = match rest {
                [] => rest,
                [b' ', words @ ..] => words,
                _ => return None,
            };
            (class == code.first_digit()).then_some((Self { subject, detail }, words))
        };
        found().map_or((None, text), |(enhanced, words)| (Some(enhanced), words))
    }
}

const fn cut(number: u16) -> u16 {
    if number > 999 { 999 } else { number }
}

/// Takes one to three digits off the front, the first of which is no needless zero (RFC 3463 §2).
fn number(text: &[u8]) -> Option<(u16, &[u8])> {
    let length = text.iter().take(3).take_while(|octet| octet.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(length)?;
    matches!(digits, [_] | [b'1'..=b'9', ..]).then(|| (value(digits), rest))
}

/// What no more than three digits say.
fn value(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |value, digit| value * 10 + u16::from(digit & 15))
}

/// The digits of a number below 1000.
fn digits(number: u16) -> [u8; 3] {
    [number / 100, number / 10 % 10, number % 10].map(|digit| b'0' | u8::try_from(digit).unwrap_or_default())
}

/// Writes a number below 1000.
fn write_number(number: u16, out: &mut BytesMut) {
    match (number, digits(number)) {
        (..=9, [_, _, ones]) => out.put_u8(ones),
        (..=99, [_, tens, ones]) => out.extend_from_slice(&[tens, ones]),
        (_, digits) => out.extend_from_slice(&digits),
    }
}

/// One line of a reply.
struct Line<'a> {
    code: ReplyCode,
    position: Position,
    text: &'a [u8],
}

/// Where in the reply a line stands.
enum Position {
    Inner,
    Last,
}

impl<'a> Line<'a> {
    /// Takes a line off the front of a text, which stands `at` octets into the reply.
    fn take(text: &'a [u8], at: usize) -> Result<(Self, &'a [u8]), ParseError> {
        line_end(text, 0)
            .and_then(|end| text.split_at_checked(end))
            .and_then(|(line, behind)| Some((Self::parse(line)?, behind.get(2..).unwrap_or_default())))
            .ok_or(ParseError { at, expected: Expected::ReplyCode })
    }

    fn parse(line: &'a [u8]) -> Option<Self> {
        let (digits, rest) = line.split_first_chunk()?;
        let code = ReplyCode::parse(*digits)?;
        let (position, text) = match rest {
            [] => (Position::Last, rest),
            [b' ', text @ ..] => (Position::Last, text),
            [b'-', text @ ..] => (Position::Inner, text),
            _ => return None,
        };
        Some(Self { code, position, text })
    }
}

/// Replaces what has no place in a reply. Each `\n` ends a line.
fn wire_safe(text: Cow<'static, str>) -> Cow<'static, str> {
    // All octets are looked at whatever the first ones are, for that goes many at a time.
    if text.bytes().fold(true, |safe, octet| safe & matches!(octet, b' '..=b'~' | b'\n')) {
        return text;
    }
    Cow::Owned(text.chars().map(|c| if matches!(c, ' '..='~' | '\n') { c } else { '?' }).collect())
}

/// Appends the text of one line of a server's as ASCII: what has no place in it, an LF too, is replaced.
fn push_printable(text: &[u8], whole: &mut Vec<u8>) {
    if text.iter().fold(true, |printable, octet| printable & matches!(octet, b' '..=b'~')) {
        whole.extend_from_slice(text);
    } else {
        let printable = |c| u8::try_from(c).ok().filter(|octet| matches!(octet, b' '..=b'~')).unwrap_or(b'?');
        whole.extend(String::from_utf8_lossy(text).chars().map(printable));
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    fn written(reply: &Reply) -> BytesMut {
        let mut out = BytesMut::new();
        reply.write(&mut out);
        out
    }

    #[test]
    fn every_line_bears_the_code_and_the_enhanced_code() {
        let reply = Reply::new(ReplyCode::FAILED, Enhanced::new(7, 1), "one\ntwo\n");
        assert_eq!(written(&reply), "554-5.7.1 one\r\n554-5.7.1 two\r\n554 5.7.1 \r\n");
        assert_eq!(Reply::parse(&written(&reply)), Ok(reply));
    }

    #[test]
    fn a_text_cannot_break_out_of_its_reply() {
        let reply = Reply::plain(ReplyCode::OK, "a\r\n250 b\u{1b}[0m \u{e9}");
        assert_eq!(written(&reply), "250-a?\r\n250 250 b?[0m ?\r\n");
        let long = Reply::plain(ReplyCode::OK, "x".repeat(1000));
        assert!(written(&long)[..].split(|octet| *octet == b'\n').all(|line| line.len() <= 511));
        let folded = Reply::parse(&written(&long)).unwrap();
        assert_eq!(folded.lines().map(str::len).collect::<Vec<_>>(), [490, 490, 20]);
    }

    #[test]
    fn replies_of_others_are_read_as_they_come() {
        let reply = Reply::parse(b"250\r\n").unwrap();
        assert_eq!((reply.code(), reply.enhanced(), reply.to_string().as_str()), (ReplyCode::OK, None, "250 "));
        let reply = Reply::parse(b"550-5.1.1 a\r\n550-5.1.2 b\r\n550 c\xff\r\n").unwrap();
        assert_eq!(reply.enhanced(), Some(Enhanced::new(1, 1)));
        assert_eq!(reply.lines().collect::<Vec<_>>(), ["a", "5.1.2 b", "c?"]);
        // RFC 2034 §4: the class must agree; where it does not, it is text. So is what RFC 3463 §2 would not write so.
        for text in
            [&b"450 5.1.1 a\r\n"[..], b"550 05.1.1 a\r\n", b"550 5.01.1 a\r\n", b"550 5.1.1000 a\r\n", b"550 5.1 a\r\n"]
        {
            assert_eq!(Reply::parse(text).map(|reply| reply.enhanced()), Ok(None), "{text:?}");
        }
        assert_eq!(Reply::parse(b"550 5.0.10 a\r\n").map(|reply| reply.enhanced()), Ok(Some(Enhanced::new(0, 10))));
    }

    #[test]
    fn a_number_has_three_digits_at_most() {
        let reply = Reply::new(ReplyCode::FAILED, Enhanced::new(1000, 99), "no");
        assert_eq!(written(&reply), "554 5.999.99 no\r\n");
        assert_eq!(Reply::parse(&written(&reply)), Ok(reply));
    }

    #[test]
    fn nothing_but_crlf_ends_a_line_of_others() {
        let reply = Reply::parse(b"250-server\nSTARTTLS\r\n250 \rAUTH\r\n").unwrap();
        assert_eq!(reply.lines().collect::<Vec<_>>(), ["server?STARTTLS", "?AUTH"]);
        let long = [b"250-x\r\n250 X".as_slice(), &[b'a'; 489], b"STARTTLS\r\n"].concat();
        assert_eq!(Reply::parse(&long).unwrap().lines().count(), 2, "a long line is one line");
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for (text, at) in [
            (&b"250 a"[..], 0),
            (b"250-a\r\n", 7),
            (b"250-a\r\n550 b\r\n", 7),
            (b"999 a\r\n", 0),
            (b"199 a\r\n", 0),
            (b"25 a\r\n", 0),
            (b"250_a\r\n", 0),
            (b"\r\n", 0),
            (b"250 a\r\n250 b\r\n", 7),
            (b"", 0),
        ] {
            assert_eq!(Reply::parse(text).map_err(|error| error.at), Err(at), "{text:?}");
        }
    }
}
