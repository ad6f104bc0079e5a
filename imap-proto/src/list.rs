//! What LIST, LSUB and STATUS tell of a mailbox (RFC 3501 §7.2).

use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use crate::StatusItem;
use crate::write::{mailbox, string, text};

/// One mailbox, or one level on the way to some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListEntry {
    /// Its name.
    pub name: String,
    /// What is said of it.
    pub attributes: Vec<Attribute>,
}

/// What is said of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// It can have no children (RFC 3501 §7.2.2).
    NoInferiors,
    /// It cannot be selected (RFC 3501 §7.2.2).
    NoSelect,
    /// It has something new (RFC 3501 §7.2.2).
    Marked,
    /// It has nothing new (RFC 3501 §7.2.2).
    Unmarked,
    /// It has children that the user can see (RFC 3348).
    HasChildren,
    /// It has none (RFC 3348).
    HasNoChildren,
    /// It shows all messages (RFC 6154 §2).
    All,
    /// Messages are archived in it (RFC 6154 §2).
    Archive,
    /// Drafts are in it (RFC 6154 §2).
    Drafts,
    /// It shows all messages with `\Flagged` (RFC 6154 §2).
    Flagged,
    /// Unwanted mail is in it (RFC 6154 §2).
    Junk,
    /// Copies of what was sent are in it (RFC 6154 §2).
    Sent,
    /// Messages to be deleted are in it (RFC 6154 §2).
    Trash,
}

impl Attribute {
    /// The wire's name of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoInferiors => "\\Noinferiors",
            Self::NoSelect => "\\Noselect",
            Self::Marked => "\\Marked",
            Self::Unmarked => "\\Unmarked",
            Self::HasChildren => "\\HasChildren",
            Self::HasNoChildren => "\\HasNoChildren",
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }
}

impl ListEntry {
    /// Appends the response to `LIST` or `LSUB`.
    pub(crate) fn write(&self, command: &str, separator: char, out: &mut BytesMut) {
        text(out, format_args!("* {command} ("));
        let mut space = "";
        for attribute in &self.attributes {
            text(out, format_args!("{space}{}", attribute.as_str()));
            space = " ";
        }
        out.put_slice(b") ");
        write_separator(out, separator);
        out.put_u8(b' ');
        mailbox(out, &self.name);
        out.put_slice(b"\r\n");
    }
}

pub(crate) fn write_separator(out: &mut BytesMut, separator: char) {
    string(out, separator.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The answer to STATUS. What was not asked for may be `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxStatus {
    /// How many messages there are.
    pub messages: Option<u32>,
    /// How many are `\Recent`; looking does not change that.
    pub recent: Option<u32>,
    /// The next UID.
    pub uidnext: Option<u32>,
    /// The UIDVALIDITY.
    pub uidvalidity: Option<u32>,
    /// How many are not `\Seen`.
    pub unseen: Option<u32>,
}

impl MailboxStatus {
    /// Appends the response, with those of `items` that are known.
    pub(crate) fn write(&self, name: &str, items: &[StatusItem], out: &mut BytesMut) {
        out.put_slice(b"* STATUS ");
        mailbox(out, name);
        out.put_slice(b" (");
        let mut space = "";
        for item in items {
            let number = match item {
                StatusItem::Messages => self.messages,
                StatusItem::Recent => self.recent,
                StatusItem::UidNext => self.uidnext,
                StatusItem::UidValidity => self.uidvalidity,
                StatusItem::Unseen => self.unseen,
            };
            let Some(number) = number else { continue };
            text(out, format_args!("{space}{} {number}", item.as_str()));
            space = " ";
        }
        out.put_slice(b")\r\n");
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn entries_are_written_for_the_wire() {
        let mut out = BytesMut::new();
        let attributes = vec![Attribute::HasNoChildren, Attribute::Sent];
        ListEntry { name: "Gesendete \u{dc}".into(), attributes }.write("LIST", '/', &mut out);
        ListEntry { name: "NIL".into(), attributes: vec![] }.write("LSUB", '\\', &mut out);
        let expected = "* LIST (\\HasNoChildren \\Sent) \"/\" \"Gesendete &ANw-\"\r\n* LSUB () \"\\\\\" \"NIL\"\r\n";
        assert_eq!(&out[..], expected.as_bytes());
    }

    #[test]
    fn status_tells_what_was_asked_in_that_order() {
        let mut out = BytesMut::new();
        let status = MailboxStatus { messages: Some(231), uidnext: Some(44_292), ..MailboxStatus::default() };
        status.write("blurdybloop", &[StatusItem::UidNext, StatusItem::Messages], &mut out);
        assert_eq!(&out[..], b"* STATUS blurdybloop (UIDNEXT 44292 MESSAGES 231)\r\n");
    }
}
