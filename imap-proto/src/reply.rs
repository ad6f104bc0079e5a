//! Status responses and their codes (RFC 3501 §7.1).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use crate::set::InOrder;
use crate::write;

/// How a command ended: OK, NO or BAD, perhaps a code for programs, and a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    outcome: Outcome,
    code: Option<Code>,
    text: Cow<'static, str>,
}

/// What a reply says in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It could not be done.
    No,
    /// It was not understood.
    Bad,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK ",
            Self::No => "NO ",
            Self::Bad => "BAD ",
        }
    }
}

/// A response code in brackets, for programs to read. Where no other document is named, RFC 5530 §3 is its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// People must see this text (RFC 3501 §7.1).
    Alert,
    /// The mailbox to create exists.
    AlreadyExists,
    /// Where APPEND put the message (RFC 4315 §3).
    AppendUid {
        /// UIDVALIDITY of the mailbox it went to.
        uidvalidity: u32,
        /// The message's UID there.
        uid: u32,
    },
    /// The credentials are wrong.
    AuthenticationFailed,
    /// The credentials are good, but not for this identity.
    AuthorizationFailed,
    /// The characters searched for cannot be read (RFC 3501 §7.1). Names the charsets that can.
    BadCharset,
    /// This can never work.
    Cannot,
    /// The client seems to be in error.
    ClientBug,
    /// Only an administrator can help.
    ContactAdmin,
    /// Which UIDs the copied messages had and have, in the same order (RFC 4315 §3).
    CopyUid {
        /// UIDVALIDITY of the mailbox they went to.
        uidvalidity: u32,
        /// UID before and UID after, of each message.
        pairs: Vec<(u32, u32)>,
    },
    /// What the server holds is damaged.
    Corruption,
    /// The credentials have expired.
    Expired,
    /// Some of the messages named are gone.
    ExpungeIssued,
    /// Somebody else is at it.
    InUse,
    /// A limit is reached that has nothing to do with space.
    Limit,
    /// There is no such mailbox.
    NonExistent,
    /// The user may not do that.
    NoPerm,
    /// There is no space left for this user.
    OverQuota,
    /// Only over TLS.
    PrivacyRequired,
    /// The mailbox is selected, but cannot be changed (RFC 3501 §7.1).
    ReadOnly,
    /// The mailbox is selected and can be changed (RFC 3501 §7.1).
    ReadWrite,
    /// The server seems to be in error.
    ServerBug,
    /// The message is too large (RFC 4469 §4.2).
    TooBig,
    /// The mailbox does not exist, but could be created (RFC 3501 §7.1).
    TryCreate,
    /// A part of the server is out of order; later it may work.
    Unavailable,
}

impl Code {
    fn write(&self, out: &mut BytesMut) {
        let word = match self {
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AppendUid { uidvalidity, uid } => {
                return write::text(out, format_args!("APPENDUID {uidvalidity} {uid}"));
            }
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::BadCharset => "BADCHARSET (US-ASCII UTF-8)",
            Self::Cannot => "CANNOT",
            Self::ClientBug => "CLIENTBUG",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::CopyUid { uidvalidity, pairs } => {
                let (from, to) = (pairs.iter().map(|pair| pair.0), pairs.iter().map(|pair| pair.1));
                return write::text(out, format_args!("COPYUID {uidvalidity} {} {}", InOrder(from), InOrder(to)));
            }
            Self::Corruption => "CORRUPTION",
            Self::Expired => "EXPIRED",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::OverQuota => "OVERQUOTA",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::Unavailable => "UNAVAILABLE",
        };
        out.put_slice(word.as_bytes());
    }

    /// Whether there is anything to write: a COPYUID of nothing has no grammar.
    const fn says_something(&self) -> bool {
        !matches!(self, Self::CopyUid { pairs, .. } if pairs.is_empty())
    }
}

impl Reply {
    /// `OK text`
    #[must_use]
    pub const fn ok(text: &'static str) -> Self {
        Self { outcome: Outcome::Ok, code: None, text: Cow::Borrowed(text) }
    }

    /// `NO text`
    #[must_use]
    pub const fn no(text: &'static str) -> Self {
        Self { outcome: Outcome::No, code: None, text: Cow::Borrowed(text) }
    }

    /// `BAD text`
    #[must_use]
    pub const fn bad(text: &'static str) -> Self {
        Self { outcome: Outcome::Bad, code: None, text: Cow::Borrowed(text) }
    }

    /// The same reply with a response code.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// The same reply with another text. Characters that have no place in a line become `?`.
    #[must_use]
    pub fn with_text(mut self, text: String) -> Self {
        self.text = Cow::Owned(text);
        self
    }

    /// Its one word.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Its response code.
    #[must_use]
    pub const fn code(&self) -> Option<&Code> {
        self.code.as_ref()
    }

    /// Appends the whole line, tagged, or untagged with `*`.
    pub(crate) fn write(&self, tag: &str, out: &mut BytesMut) {
        out.put_slice(tag.as_bytes());
        out.put_u8(b' ');
        out.put_slice(self.outcome.as_str().as_bytes());
        self.write_rest(out);
    }

    /// Appends a BYE with this code and text.
    pub(crate) fn write_bye(&self, out: &mut BytesMut) {
        out.put_slice(b"* BYE ");
        self.write_rest(out);
    }

    fn write_rest(&self, out: &mut BytesMut) {
        if let Some(code) = self.code.as_ref().filter(|code| code.says_something()) {
            out.put_u8(b'[');
            code.write(out);
            out.put_slice(b"] ");
        } else if self.text.starts_with('[') {
            // Or else the text would be read as a code.
            out.put_slice(b"- ");
        }
        write::line_text(out, &self.text);
        out.put_slice(b"\r\n");
    }

    /// Octets of heap.
    pub(crate) fn memory(&self) -> usize {
        let text = match &self.text {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.capacity(),
        };
        match &self.code {
            Some(Code::CopyUid { pairs, .. }) => text.saturating_add(pairs.len().saturating_mul(8)),
            Some(_) | None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    fn written(reply: &Reply) -> String {
        let mut out = BytesMut::new();
        reply.write("a1", &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_reply_is_one_line_whatever_its_text() {
        assert_eq!(written(&Reply::no("").with_text("x\r\n* OK\u{e9}".to_string())), "a1 NO x??* OK??\r\n");
        assert_eq!(written(&Reply::ok("")), "a1 OK -\r\n");
        assert_eq!(written(&Reply::bad("[ALERT] no")), "a1 BAD - [ALERT] no\r\n");
    }

    #[test]
    fn uids_are_paired_in_their_order() {
        let code = Code::CopyUid { uidvalidity: 38_505, pairs: vec![(304, 3956), (319, 3957), (320, 3958)] };
        assert_eq!(written(&Reply::ok("Done").with_code(code)), "a1 OK [COPYUID 38505 304,319:320 3956:3958] Done\r\n");
        let nothing = Code::CopyUid { uidvalidity: 1, pairs: vec![] };
        assert_eq!(written(&Reply::ok("Done").with_code(nothing)), "a1 OK Done\r\n");
    }
}
