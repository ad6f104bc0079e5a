//! ENVELOPE and BODYSTRUCTURE (RFC 3501 §7.4.2): typed, and written so that they are grammatical whatever the message was.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use crate::Detail;
use crate::write::{nstring, string, text};

/// Octets from a message's header, or made from them.
pub type Text<'a> = Cow<'a, [u8]>;

/// The header fields that clients list messages by. A field that is missing is `None`, one that is empty is `Some` of nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `Date`, as it stands there.
    pub date: Option<Text<'a>>,
    /// `Subject`, not decoded.
    pub subject: Option<Text<'a>>,
    /// `From`
    pub from: Vec<Address<'a>>,
    /// `Sender`; the same as `from` where there is none. The caller sees to that.
    pub sender: Vec<Address<'a>>,
    /// `Reply-To`; the same as `from` where there is none. The caller sees to that.
    pub reply_to: Vec<Address<'a>>,
    /// `To`
    pub to: Vec<Address<'a>>,
    /// `Cc`
    pub cc: Vec<Address<'a>>,
    /// `Bcc`
    pub bcc: Vec<Address<'a>>,
    /// `In-Reply-To`
    pub in_reply_to: Option<Text<'a>>,
    /// `Message-ID`
    pub message_id: Option<Text<'a>>,
}

/// An address; or the beginning of a group, whose name is `mailbox` and which has no `host`; or the end of one, which has
/// neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address<'a> {
    /// The name of the person, not decoded.
    pub name: Option<Text<'a>>,
    /// The part before the `@`.
    pub mailbox: Option<Text<'a>>,
    /// The part behind the `@`.
    pub host: Option<Text<'a>>,
}

impl Envelope<'_> {
    /// Appends it in its parentheses.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_u8(b'(');
        nstring(out, self.date.as_deref());
        out.put_u8(b' ');
        nstring(out, self.subject.as_deref());
        for list in [&self.from, &self.sender, &self.reply_to, &self.to, &self.cc, &self.bcc] {
            out.put_u8(b' ');
            addresses(out, list);
        }
        out.put_u8(b' ');
        nstring(out, self.in_reply_to.as_deref());
        out.put_u8(b' ');
        nstring(out, self.message_id.as_deref());
        out.put_u8(b')');
    }
}

fn addresses(out: &mut BytesMut, list: &[Address<'_>]) {
    if list.is_empty() {
        return out.put_slice(b"NIL");
    }
    out.put_u8(b'(');
    for Address { name, mailbox, host } in list {
        out.put_u8(b'(');
        nstring(out, name.as_deref());
        // The source route of RFC 822, which nobody writes any more.
        out.put_slice(b" NIL ");
        nstring(out, mailbox.as_deref());
        out.put_u8(b' ');
        nstring(out, host.as_deref());
        out.put_u8(b')');
    }
    out.put_u8(b')');
}

/// How a message is made of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyStructure<'a> {
    /// A part without parts of its own, or with a message in it.
    Part(Part<'a>),
    /// `multipart/…`
    Multipart {
        /// The parts. Where there are none, an empty text is written, since the grammar wants one.
        parts: Vec<Self>,
        /// What follows `multipart/`.
        subtype: Text<'a>,
        /// Parameters of its Content-Type.
        parameters: Parameters<'a>,
        /// The rest of what BODYSTRUCTURE tells.
        extension: Extension<'a>,
    },
}

/// Names and values, as in Content-Type.
pub type Parameters<'a> = Vec<(Text<'a>, Text<'a>)>;

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// `text` of `text/plain`.
    pub media_type: Text<'a>,
    /// `plain` of `text/plain`.
    pub subtype: Text<'a>,
    /// Parameters of its Content-Type.
    pub parameters: Parameters<'a>,
    /// `Content-ID`
    pub id: Option<Text<'a>>,
    /// `Content-Description`
    pub description: Option<Text<'a>>,
    /// `Content-Transfer-Encoding`. Where it is empty, `7BIT` is written.
    pub encoding: Text<'a>,
    /// Its length as it is encoded.
    pub octets: u64,
    /// What more is told of some kinds.
    pub kind: PartKind<'a>,
    /// `Content-MD5`
    pub md5: Option<Text<'a>>,
    /// The rest of what BODYSTRUCTURE tells.
    pub extension: Extension<'a>,
}

/// What more is told of some kinds of part. It must fit the media type, since readers go by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind<'a> {
    /// Neither of the others.
    Basic,
    /// `text/…`
    Text {
        /// Lines as it is encoded.
        lines: u64,
    },
    /// `message/rfc822`
    Message {
        /// The inner message's envelope.
        envelope: Box<Envelope<'a>>,
        /// The inner message's structure.
        structure: Box<BodyStructure<'a>>,
        /// Lines as it is encoded.
        lines: u64,
    },
}

/// The extension data that parts and multiparts have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension<'a> {
    /// `Content-Disposition`, with its parameters.
    pub disposition: Option<(Text<'a>, Parameters<'a>)>,
    /// `Content-Language`
    pub language: Vec<Text<'a>>,
    /// `Content-Location`
    pub location: Option<Text<'a>>,
}

impl BodyStructure<'_> {
    /// Parts within one another that are written. What lies deeper becomes one opaque part, so that no message can use up
    /// the stack; mail that people send nests less than ten deep.
    pub const DEPTH_MAX: usize = 64;

    /// Appends it in its parentheses.
    pub fn write(&self, detail: Detail, out: &mut BytesMut) {
        self.write_at(0, detail, out);
    }

    fn write_at(&self, depth: usize, detail: Detail, out: &mut BytesMut) {
        if depth > Self::DEPTH_MAX {
            return out.put_slice(b"(\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"BINARY\" 0)");
        }
        match self {
            Self::Part(part) => part.write(depth, detail, out),
            Self::Multipart { parts, subtype, parameters, extension } => {
                out.put_u8(b'(');
                if parts.is_empty() {
                    out.put_slice(b"(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0)");
                }
                // RFC 3501 §9, body-type-mpart: no space between the parts.
                for part in parts {
                    part.write_at(depth.saturating_add(1), detail, out);
                }
                out.put_u8(b' ');
                string(out, subtype);
                if detail == Detail::Extended {
                    out.put_u8(b' ');
                    write_parameters(out, parameters);
                    extension.write(out);
                }
                out.put_u8(b')');
            }
        }
    }
}

impl Part<'_> {
    fn write(&self, depth: usize, detail: Detail, out: &mut BytesMut) {
        out.put_u8(b'(');
        string(out, &self.media_type);
        out.put_u8(b' ');
        string(out, &self.subtype);
        out.put_u8(b' ');
        write_parameters(out, &self.parameters);
        out.put_u8(b' ');
        nstring(out, self.id.as_deref());
        out.put_u8(b' ');
        nstring(out, self.description.as_deref());
        out.put_u8(b' ');
        string(out, if self.encoding.is_empty() { b"7BIT" } else { &self.encoding });
        text(out, format_args!(" {}", self.octets));
        match &self.kind {
            PartKind::Basic => {}
            PartKind::Text { lines } => text(out, format_args!(" {lines}")),
            PartKind::Message { envelope, structure, lines } => {
                out.put_u8(b' ');
                envelope.write(out);
                out.put_u8(b' ');
                structure.write_at(depth.saturating_add(1), detail, out);
                text(out, format_args!(" {lines}"));
            }
        }
        if detail == Detail::Extended {
            out.put_u8(b' ');
            nstring(out, self.md5.as_deref());
            self.extension.write(out);
        }
        out.put_u8(b')');
    }
}

impl Extension<'_> {
    fn write(&self, out: &mut BytesMut) {
        match &self.disposition {
            None => out.put_slice(b" NIL "),
            Some((kind, parameters)) => {
                out.put_slice(b" (");
                string(out, kind);
                out.put_u8(b' ');
                write_parameters(out, parameters);
                out.put_slice(b") ");
            }
        }
        match &*self.language {
            [] => out.put_slice(b"NIL"),
            [language] => string(out, language),
            languages => parenthesised(out, languages.iter().map(|language| &**language)),
        }
        out.put_u8(b' ');
        nstring(out, self.location.as_deref());
    }
}

fn write_parameters(out: &mut BytesMut, parameters: &Parameters<'_>) {
    if parameters.is_empty() {
        return out.put_slice(b"NIL");
    }
    parenthesised(out, parameters.iter().flat_map(|(name, value)| [&**name, &**value]));
}

fn parenthesised<T: AsRef<[u8]>>(out: &mut BytesMut, strings: impl Iterator<Item = T>) {
    let mut before = b'(';
    for octets in strings {
        out.put_u8(before);
        string(out, octets.as_ref());
        before = b' ';
    }
    out.put_u8(b')');
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use super::*;
    use crate::write::is_one_item;

    fn borrowed(text: &str) -> Text<'_> {
        Cow::Borrowed(text.as_bytes())
    }

    fn address<'a>(name: Option<&'a str>, mailbox: &'a str, host: &'a str) -> Address<'a> {
        Address { name: name.map(borrowed), mailbox: Some(borrowed(mailbox)), host: Some(borrowed(host)) }
    }

    fn plain(octets: u64, lines: u64) -> Part<'static> {
        Part {
            media_type: borrowed("TEXT"),
            subtype: borrowed("PLAIN"),
            parameters: vec![(borrowed("CHARSET"), borrowed("US-ASCII"))],
            id: None,
            description: None,
            encoding: borrowed("7BIT"),
            octets,
            kind: PartKind::Text { lines },
            md5: None,
            extension: Extension::default(),
        }
    }

    fn written(structure: &BodyStructure<'_>, detail: Detail) -> String {
        let mut out = BytesMut::new();
        structure.write(detail, &mut out);
        assert!(is_one_item(&out));
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn the_envelope_of_the_rfcs_example() {
        let gray = vec![address(Some("Terry Gray"), "gray", "cac.washington.edu")];
        let envelope = Envelope {
            date: Some(borrowed("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)")),
            subject: Some(borrowed("IMAP4rev1 WG mtg summary and minutes")),
            from: gray.clone(),
            sender: gray.clone(),
            reply_to: gray,
            to: vec![address(None, "imap", "cac.washington.edu")],
            cc: vec![
                address(None, "minutes", "CNRI.Reston.VA.US"),
                address(Some("John Klensin"), "KLENSIN", "MIT.EDU"),
            ],
            bcc: vec![],
            in_reply_to: None,
            message_id: Some(borrowed("<B27397-0100000@cac.washington.edu>")),
        };
        let mut out = BytesMut::new();
        envelope.write(&mut out);
        let expected = "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) \
             ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
             \"<B27397-0100000@cac.washington.edu>\")";
        assert_eq!(&out[..], expected.as_bytes());
    }

    #[test]
    fn the_structure_of_the_rfcs_example() {
        let single = BodyStructure::Part(plain(3028, 92));
        let expected = "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 3028 92)";
        assert_eq!(written(&single, Detail::Basic), expected);

        let mut attached = plain(4554, 73);
        attached.parameters.push((borrowed("NAME"), borrowed("cc.diff")));
        attached.id = Some(borrowed("<960723163407.20117h@cac.washington.edu>"));
        attached.description = Some(borrowed("Compiler diff"));
        attached.encoding = borrowed("BASE64");
        let mixed = BodyStructure::Multipart {
            parts: vec![BodyStructure::Part(plain(1152, 23)), BodyStructure::Part(attached)],
            subtype: borrowed("MIXED"),
            parameters: vec![],
            extension: Extension::default(),
        };
        let expected = "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 1152 23)\
             (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") \
             \"<960723163407.20117h@cac.washington.edu>\" \"Compiler diff\" \"BASE64\" 4554 73) \"MIXED\")";
        assert_eq!(written(&mixed, Detail::Basic), expected);
        assert!(written(&mixed, Detail::Extended).ends_with(" NIL NIL NIL NIL) \"MIXED\" NIL NIL NIL NIL)"));
    }

    #[test]
    fn extension_data_in_full() {
        let mut part = plain(1, 1);
        part.md5 = Some(borrowed("Q2hlY2s="));
        part.extension = Extension {
            disposition: Some((borrowed("attachment"), vec![(borrowed("filename"), borrowed("a \"b\"\r\n"))])),
            language: vec![borrowed("de"), borrowed("en")],
            location: Some(borrowed("x")),
        };
        let expected =
            "7BIT\" 1 1 \"Q2hlY2s=\" (\"attachment\" (\"filename\" {7}\r\na \"b\"\r\n)) (\"de\" \"en\") \"x\")";
        assert!(written(&BodyStructure::Part(part), Detail::Extended).ends_with(expected));
    }

    #[test]
    fn nothing_a_message_does_makes_it_ungrammatical() {
        let multipart = |parts| BodyStructure::Multipart {
            parts,
            subtype: borrowed("MIXED"),
            parameters: vec![],
            extension: Extension::default(),
        };
        let expected = "((\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0) \"MIXED\")";
        assert_eq!(written(&multipart(vec![]), Detail::Basic), expected);

        let mut deep = BodyStructure::Part(plain(1, 1));
        for _ in 0..2 * BodyStructure::DEPTH_MAX {
            deep = multipart(vec![deep]);
        }
        assert!(written(&deep, Detail::Extended).contains("OCTET-STREAM"));

        let message = PartKind::Message { envelope: Box::default(), structure: Box::new(multipart(vec![])), lines: 0 };
        let part = Part { kind: message, encoding: borrowed(""), media_type: borrowed(""), ..plain(0, 0) };
        assert!(
            written(&BodyStructure::Part(part), Detail::Basic)
                .contains("\"7BIT\" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ((")
        );
    }
}
