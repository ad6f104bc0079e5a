//! Replies: `+OK` and `-ERR`, with their response codes.

use alloc::borrow::Cow;
use alloc::string::String;

use bytes::{BufMut, BytesMut};

/// A status reply of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    positive: bool,
    code: Option<Code>,
    text: Cow<'static, str>,
}

/// A response code in brackets, for programs to read (RFC 2449 §8, RFC 3206 §4).
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
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "[AUTH] ",
            Self::InUse => "[IN-USE] ",
            Self::LoginDelay => "[LOGIN-DELAY] ",
            Self::SysPerm => "[SYS/PERM] ",
            Self::SysTemp => "[SYS/TEMP] ",
        }
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

    /// Appends the reply's line. Octets that have no place in a line become `?`.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_slice(if self.positive { b"+OK " } else { b"-ERR " });
        out.put_slice(self.code.map_or("", Code::as_str).as_bytes());
        out.extend(self.text.bytes().take(Self::TEXT_MAX).map(|octet| match octet {
            b' '..=b'~' => octet,
            _ => b'?',
        }));
        out.put_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_reply_is_one_line_whatever_its_text() {
        let mut out = BytesMut::new();
        Reply::err("").with_code(Code::InUse).with_text("a\r\n+OK b\u{e9}".to_string()).write(&mut out);
        assert_eq!(&out[..], b"-ERR [IN-USE] a??+OK b??\r\n");
    }
}
