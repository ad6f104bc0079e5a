//! Replies (RFC 5321 §4.2, RFC 2034, RFC 3463).

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::fmt::Write as _;

use bytes::BytesMut;

use super::error::{Expected, ParseError};

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
        let mut reply: Option<Self> = None;
        let (mut at, mut rest) = (0_usize, text);
        loop {
            let bad = ParseError { at, expected: Expected::ReplyCode };
            let end = memchr::memmem::find(rest, b"\r\n").ok_or(bad)?;
            let (line, behind) = rest.split_at_checked(end).ok_or(bad)?;
            rest = behind.get(2..).unwrap_or_default();
            let line = Line::parse(line).ok_or(bad)?;
            if reply.as_ref().is_some_and(|reply| reply.code != line.code) {
                return Err(bad);
            }
            reply = Some(Self::with_line(reply, &line));
            at = text.len().saturating_sub(rest.len());
            match (line.position, reply) {
                (Position::Last, Some(reply)) if rest.is_empty() => return Ok(reply),
                (Position::Last, _) => return Err(ParseError { at, expected: Expected::End }),
                (Position::Inner, so_far) => reply = so_far,
            }
        }
    }

    fn with_line(so_far: Option<Self>, line: &Line<'_>) -> Self {
        let Some(mut reply) = so_far else {
            let (enhanced, text) = Enhanced::strip(line.code, line.text);
            return Self { code: line.code, enhanced, text: Cow::Owned(printable(text)) };
        };
        let text = match Enhanced::strip(line.code, line.text) {
            (enhanced @ Some(_), text) if enhanced == reply.enhanced => text,
            (_, _) => line.text,
        };
        let whole = reply.text.to_mut();
        whole.push('\n');
        whole.push_str(&printable(text));
        reply
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
        let mut lines = self.lines().flat_map(folded).peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { '-' } else { ' ' };
            // Writing to memory does not fail.
            let _ = write!(out, "{}{separator}", self.code);
            if let Some(enhanced) = self.enhanced {
                let _ = write!(out, "{}.{}.{} ", self.code.first_digit(), enhanced.subject, enhanced.detail);
            }
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
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

    fn parse(digits: &[u8]) -> Option<Self> {
        let value = digits.iter().try_fold(0_u16, |value, digit| {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
            value.checked_mul(10)?.checked_add(u16::from(digit))
        })?;
        Self::new(value)
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
            let end = memchr::memchr(b' ', text).unwrap_or(text.len());
            let (word, rest) = text.split_at_checked(end)?;
            let mut numbers = word.split(|octet| *octet == b'.').map(number);
            let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
            let fits = class == code.first_digit() && numbers.next().is_none();
            fits.then(|| (Self::new(subject, detail), rest.get(1..).unwrap_or_default()))
        };
        found().map_or((None, text), |(enhanced, rest)| (Some(enhanced), rest))
    }
}

const fn cut(number: u16) -> u16 {
    if number > 999 { 999 } else { number }
}

/// One to three digits, the first of which is no needless zero (RFC 3463 §2).
fn number(digits: &[u8]) -> Option<u16> {
    let good = matches!(digits, [_] | [b'1'..=b'9', _] | [b'1'..=b'9', _, _]) && digits.iter().all(u8::is_ascii_digit);
    good.then(|| digits.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0')))
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
    fn parse(line: &'a [u8]) -> Option<Self> {
        let (digits, rest) = line.split_at_checked(3)?;
        let code = ReplyCode::parse(digits)?;
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
    if text.bytes().all(|octet| matches!(octet, b' '..=b'~' | b'\n')) {
        return text;
    }
    Cow::Owned(text.chars().map(|c| if matches!(c, ' '..='~' | '\n') { c } else { '?' }).collect())
}

/// The text of one line of a server's: what has no place in it, an LF too, is replaced.
fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// A line in pieces that are short enough, of which there is at least one.
fn folded(line: &str) -> impl Iterator<Item = &[u8]> {
    let rest = line.as_bytes().chunks(TEXT_LINE_MAX);
    line.is_empty().then_some(&[][..]).into_iter().chain(rest)
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
        assert_eq!(folded.lines().map(str::len).collect::<alloc::vec::Vec<_>>(), [490, 490, 20]);
    }

    #[test]
    fn replies_of_others_are_read_as_they_come() {
        let reply = Reply::parse(b"250\r\n").unwrap();
        assert_eq!((reply.code(), reply.enhanced(), reply.to_string().as_str()), (ReplyCode::OK, None, "250 "));
        let reply = Reply::parse(b"550-5.1.1 a\r\n550-5.1.2 b\r\n550 c\xff\r\n").unwrap();
        assert_eq!(reply.enhanced(), Some(Enhanced::new(1, 1)));
        assert_eq!(reply.lines().collect::<alloc::vec::Vec<_>>(), ["a", "5.1.2 b", "c?"]);
        // RFC 2034 §4: the class must agree; where it does not, it is text. So is what RFC 3463 §2 would not write so.
        for text in
            [&b"450 5.1.1 a\r\n"[..], b"550 05.1.1 a\r\n", b"550 5.01.1 a\r\n", b"550 5.1.1000 a\r\n", b"550 5.1 a\r\n"]
        {
            assert_eq!(Reply::parse(text).map(|reply| reply.enhanced()), Ok(None), "{text:?}");
        }
        assert_eq!(Reply::parse(b"550 5.0.10 a\r\n").map(|reply| reply.enhanced()), Ok(Some(Enhanced::new(0, 10))));
    }

    #[test]
    fn nothing_but_crlf_ends_a_line_of_others() {
        let reply = Reply::parse(b"250-server\nSTARTTLS\r\n250 \rAUTH\r\n").unwrap();
        assert_eq!(reply.lines().collect::<alloc::vec::Vec<_>>(), ["server?STARTTLS", "?AUTH"]);
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
