//! Replies: `+OK` and `-ERR`, with their response codes.

use alloc::borrow::Cow;
use alloc::string::String;

use bytes::{BufMut, BytesMut};

use super::apop::Timestamp;
use super::command::decode;
use super::error::{Expected, ParseError};
use crate::Secret;

/// A status reply of one line.
///
/// ```
/// use pop3_proto::{Code, Reply};
///
/// let reply = Reply::parse(b"-ERR [IN-USE] another session is open")?;
/// assert_eq!((reply.is_positive(), reply.code(), reply.text()), (false, Some(Code::InUse), "another session is open"));
/// # Ok::<(), pop3_proto::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    positive: bool,
    code: Option<Code>,
    text: Cow<'static, str>,
}

/// A response code in brackets, for programs to read (RFC 2449 §8, RFC 3206 §4, RFC 6856 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The credentials are wrong.
    Auth,
    /// Another session holds the maildrop.
    InUse,
    /// The user came back too soon.
    LoginDelay,
    /// A fault that will not go away by itself.
    SysPerm,
    /// A fault that may be gone on the next try.
    SysTemp,
    /// The message can be had in UTF-8 mode only.
    Utf8,
    /// Not an error: the server takes XCLIENT and XOIP from this peer, says its greeting.
    Xclient,
}

impl Code {
    const ALL: [Self; 7] =
        [Self::Auth, Self::InUse, Self::LoginDelay, Self::SysPerm, Self::SysTemp, Self::Utf8, Self::Xclient];

    /// The code as it stands between its brackets.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "AUTH",
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::SysPerm => "SYS/PERM",
            Self::SysTemp => "SYS/TEMP",
            Self::Utf8 => "UTF8",
            Self::Xclient => "XCLIENT",
        }
    }

    /// RFC 2449 §8: codes are hierarchical, and what is said in more detail than is known here is ignored.
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| {
            let (head, detail) = text.split_at_checked(code.as_str().len()).unwrap_or_default();
            head.eq_ignore_ascii_case(code.as_str()) && (detail.is_empty() || detail.starts_with('/'))
        })
    }
}

impl Reply {
    /// Longest text that is written. RFC 2449 §4: a first line has at most 512 octets with CRLF.
    const TEXT_MAX: usize = 480;

    /// `+OK text`.
    #[must_use]
    pub const fn ok(text: &'static str) -> Self {
        Self { positive: true, code: None, text: Cow::Borrowed(text) }
    }

    /// `-ERR text`.
    #[must_use]
    pub const fn err(text: &'static str) -> Self {
        Self { positive: false, code: None, text: Cow::Borrowed(text) }
    }

    /// The same reply with a response code.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// The same reply with another text.
    #[must_use]
    pub fn with_text(mut self, text: String) -> Self {
        self.text = Cow::Owned(text);
        self
    }

    /// Parses a line without its line end, as clients do: in any case, and with any octets in the text. Those that have no place
    /// in a line become `?`. A response code that is not known stays in the text.
    ///
    /// # Errors
    /// Where it does not begin with `+OK` or `-ERR`.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        let status = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        let positive = if status.eq_ignore_ascii_case(b"+OK") {
            true
        } else if status.eq_ignore_ascii_case(b"-ERR") {
            false
        } else {
            return Err(ParseError::new(0, Expected::Status));
        };
        let text = line.get(status.len()..).unwrap_or_default().trim_ascii_start();
        let text: String = text.iter().map(|octet| char::from(printable(*octet))).collect();
        let inside = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        Ok(match inside.and_then(|(code, rest)| Some((Code::parse(code)?, rest))) {
            Some((code, rest)) => Self { positive, code: Some(code), text: Cow::Owned(rest.trim_ascii_start().into()) },
            None => Self { positive, code: None, text: Cow::Owned(text) },
        })
    }

    /// Whether it says `+OK`.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        self.positive
    }

    /// Its response code.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        self.code
    }

    /// Its text, without the response code.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The timestamp for APOP that a greeting holds (RFC 1939 §7).
    #[must_use]
    pub fn timestamp(&self) -> Option<Timestamp> {
        let (_, rest) = self.text.split_at_checked(self.text.rfind('<')?)?;
        let (timestamp, _) = rest.split_at_checked(rest.find('>')?.checked_add(1)?)?;
        Timestamp::parse(timestamp).ok()
    }

    /// Appends the reply's line. Octets that have no place in a line become `?`.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_slice(if self.positive { b"+OK " } else { b"-ERR " });
        if let Some(code) = self.code {
            out.put_u8(b'[');
            out.put_slice(code.as_str().as_bytes());
            out.put_slice(b"] ");
        }
        out.extend(self.text.bytes().take(Self::TEXT_MAX).map(printable));
        out.put_slice(b"\r\n");
    }

    pub(crate) fn memory(&self) -> usize {
        match &self.text {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.capacity(),
        }
    }
}

const fn printable(octet: u8) -> u8 {
    match octet {
        b' '..=b'~' => octet,
        _ => b'?',
    }
}

/// Parses a server's challenge in a SASL exchange, without its line end (RFC 5034 §4). `None` where it is none, but maybe a reply.
pub(crate) fn parse_challenge(line: &[u8]) -> Option<Result<Secret, ParseError>> {
    let encoded = line.strip_prefix(b"+").filter(|rest| matches!(rest.first(), None | Some(b' ')))?;
    Some(decode(encoded.trim_ascii()))
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
    fn a_reply_is_one_line_whatever_its_text() {
        let reply = Reply::err("").with_code(Code::InUse).with_text("a\r\n+OK b\u{e9}".to_string());
        assert_eq!(written(&reply), "-ERR [IN-USE] a??+OK b??\r\n");
        assert!(written(&Reply::ok("").with_text("x".repeat(1000))).len() <= 512);
    }

    #[test]
    fn what_is_written_is_what_is_parsed() {
        for code in Code::ALL.map(Some).into_iter().chain([None]) {
            for (positive, text) in [(true, ""), (false, "not now"), (true, "<a@b> [x]")] {
                let reply = Reply { positive, code, text: text.into() };
                let line = written(&reply);
                assert_eq!(Reply::parse(line.strip_suffix(b"\r\n").unwrap()), Ok(reply));
            }
        }
    }

    #[test]
    fn servers_are_understood_as_they_are() {
        let text = |line: &[u8]| Reply::parse(line).map(|reply| (reply.positive, reply.code, reply.text.into_owned()));
        assert_eq!(text(b"+ok"), Ok((true, None, "".into())));
        assert_eq!(text(b"+OK\tready"), Ok((true, None, "ready".into())));
        assert_eq!(text(b"-Err  [sys/temp/disk]full\xff"), Ok((false, Some(Code::SysTemp), "full?".into())));
        assert_eq!(text(b"-ERR [SYS/TEMPEST] x"), Ok((false, None, "[SYS/TEMPEST] x".into())));
        assert_eq!(text(b"-ERR [IN-USE"), Ok((false, None, "[IN-USE".into())));
        for bad in [&b""[..], b"OK", b"+OKAY", b"-ERROR", b"+", b" +OK"] {
            assert_eq!(Reply::parse(bad), Err(ParseError::new(0, Expected::Status)));
        }
    }

    #[test]
    fn a_greeting_may_hold_a_timestamp() {
        let stamp = |text: &'static str| Reply::ok(text).timestamp().map(|stamp| stamp.as_str().to_string());
        assert_eq!(
            stamp("POP3 server ready <1896.697170952@dbc.mtview.ca.us>"),
            Some("<1896.697170952@dbc.mtview.ca.us>".into())
        );
        assert_eq!(stamp("<see below> <1@b> hello"), Some("<1@b>".into()));
        assert_eq!((stamp("ready"), stamp("<a@b"), stamp("<ab>")), (None, None, None));
    }

    #[test]
    fn a_challenge_is_no_reply() {
        let challenge = |line| parse_challenge(line).map(|secret| secret.map(|secret| secret.expose().to_vec()));
        assert_eq!(challenge(b"+ AHRlc3Q="), Some(Ok(b"\0test".to_vec())));
        assert_eq!((challenge(b"+"), challenge(b"+ ")), (Some(Ok(b"".to_vec())), Some(Ok(b"".to_vec()))));
        assert_eq!(challenge(b"+ !"), Some(Err(ParseError::new(0, Expected::Base64))));
        assert_eq!((challenge(b"+OK"), challenge(b"-ERR"), challenge(b"")), (None, None, None));
    }
}
