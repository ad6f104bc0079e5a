//! The part of a report that returns the original: a survey of it, and the form in which it travels.

use std::borrow::Cow;

use super::Ret;
use super::letter::boundary;
use super::quoted::Quoted;
use super::text::Charset;
use crate::MessageId;

/// The longest header that is returned, in octets; a longer one ends with the last line that is whole. A report that
/// returns the header alone is small for certain, whatever the original is.
pub const HEADER_LIMIT: u64 = 64 * 1024;

/// Longest line without its CRLF (RFC 5322 §2.1.1).
const LINE: u64 = 998;

/// What of an original message comes back, and what octets are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Original {
    /// Nothing of it: where its octets cannot be read any more.
    Nothing,
    /// Its header.
    Header(Extent),
    /// All of it, or its header where the whole cannot travel.
    Whole {
        /// All octets.
        whole: Extent,
        /// Its header alone.
        header: Extent,
    },
}

/// The first octets of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    length: u64,
    data: Data,
}

/// What a channel must be able to carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Data {
    /// Lines of ASCII (RFC 2045 §2.7).
    #[default]
    SevenBit,
    /// Lines (RFC 2045 §2.8).
    EightBit,
    /// Anything else: NUL, CR or LF alone, long lines (RFC 2045 §2.9). Also what would end the part too early.
    Binary,
}

/// Looks through a stored message before a report about it is made.
///
/// The header ends at the first empty line; where there is none, with the message. A CR or LF that is not part of a CRLF
/// ends it as well, before its line: nobody can say which lines such a header has, and the body must not slip out with
/// it.
#[derive(Clone, Debug)]
pub struct Survey {
    ret: Ret,
    /// The report's boundary. What is returned must not have it, and not in the middle of a line either: some readers do
    /// not care where it stands.
    boundary: String,
    /// Octets seen.
    at: u64,
    line: Line,
    seen: Seen,
}

/// The line that is being looked at.
#[derive(Clone, Debug, Default)]
struct Line {
    length: u64,
    data: Data,
    /// How much of the boundary it ends with.
    matched: usize,
    /// The last octet was a CR.
    after_cr: bool,
}

/// The lines before that one.
#[derive(Clone, Debug)]
enum Seen {
    Header(Extent),
    Body {
        header: Extent,
        data: Data,
    },
    /// All that is wanted.
    Enough(Extent),
}

impl Survey {
    /// Begins before the first octet. `id` is that of the report to come, `ret` how much of the message is meant to
    /// come back ([`Ret::due`]). A caller that finds a message too large to return asks for its header.
    pub fn new(id: MessageId, ret: Ret) -> Self {
        Self {
            ret,
            boundary: boundary(id),
            at: 0,
            line: Line::default(),
            seen: Seen::Header(Extent { length: 0, data: Data::SevenBit }),
        }
    }

    /// Looks at the next octets.
    pub fn look(&mut self, octets: &[u8]) {
        for octet in octets {
            if self.is_complete() {
                return;
            }
            self.octet(*octet);
        }
    }

    /// Whether it has seen enough; more octets make no difference.
    pub fn is_complete(&self) -> bool {
        match self.seen {
            Seen::Header(_) | Seen::Body { .. } => false,
            Seen::Enough(_) => true,
        }
    }

    /// Ends it, at the end of the message or when it is complete.
    pub fn finish(mut self) -> Original {
        if self.line.after_cr {
            self.stray();
        }
        let last = self.line.data;
        match self.seen {
            Seen::Enough(header) => Original::Header(header),
            Seen::Header(lines) => {
                let all = Extent { length: self.at, data: lines.data.max(last) };
                match self.ret {
                    Ret::Headers => Original::Header(all),
                    Ret::Full => Original::Whole { whole: all, header: all },
                }
            }
            Seen::Body { header, data } => {
                Original::Whole { whole: Extent { length: self.at, data: data.max(last) }, header }
            }
        }
    }

    fn octet(&mut self, octet: u8) {
        self.at += 1;
        let after_cr = std::mem::take(&mut self.line.after_cr);
        match octet {
            b'\n' if after_cr => self.end_line(),
            b'\n' => self.stray(),
            _ => {
                if after_cr {
                    self.stray();
                }
                self.line.push(octet, &self.boundary);
            }
        }
        if matches!(self.seen, Seen::Header(_)) && self.at >= HEADER_LIMIT {
            self.end_header();
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        match &mut self.seen {
            Seen::Header(_) if line.length == 0 => self.end_header(),
            Seen::Header(header) => *header = Extent { length: self.at, data: header.data.max(line.data) },
            Seen::Body { data, .. } => *data = (*data).max(line.data),
            Seen::Enough(_) => {}
        }
    }

    /// A CR or LF alone.
    fn stray(&mut self) {
        self.line.data = Data::Binary;
        self.end_header();
    }

    fn end_header(&mut self) {
        let Seen::Header(header) = self.seen else { return };
        self.seen = match self.ret {
            Ret::Headers => Seen::Enough(header),
            Ret::Full => Seen::Body { header, data: header.data },
        };
    }
}

impl Line {
    fn push(&mut self, octet: u8, boundary: &str) {
        self.length += 1;
        let data = match octet {
            b'\r' => {
                self.length -= 1;
                self.after_cr = true;
                return;
            }
            0 => Data::Binary,
            _ if self.length > LINE => Data::Binary,
            0x80.. => Data::EightBit,
            _ => Data::SevenBit,
        };
        self.data = self.data.max(data);
        // A boundary begins with its only `=`, so that a match that fails can begin nowhere but here.
        self.matched = match boundary.as_bytes().get(self.matched) {
            Some(expected) if *expected == octet => self.matched + 1,
            Some(_) | None => usize::from(octet == b'='),
        };
        if self.matched == boundary.len() {
            self.data = Data::Binary;
        }
    }
}

impl Original {
    /// How it travels in a report of this charset. `is_utf8` says that it was sent with SMTPUTF8, so that its header may
    /// be in UTF-8.
    pub(super) fn enclose(self, charset: Charset, is_utf8: bool) -> Enclosure {
        match self {
            Self::Nothing => Enclosure::Nothing,
            Self::Header(header) => header.enclose_header(charset, is_utf8),
            Self::Whole { whole, header } => {
                let (kind, encoding) = match (whole.data, is_utf8) {
                    (Data::SevenBit, _) => ("message/rfc822", Encoding::SevenBit),
                    (Data::EightBit, false) => ("message/rfc822", Encoding::EightBit),
                    // RFC 2046 §5.2.1: the type knows no encoding that would carry it.
                    (Data::Binary, false) => return header.enclose_header(charset, is_utf8),
                    (Data::EightBit | Data::Binary, true) => ("message/global", whole.global(charset)),
                };
                Enclosure::Part { kind, encoding, length: whole.length, is_whole: true }
            }
        }
    }
}

impl Extent {
    fn enclose_header(self, charset: Charset, is_utf8: bool) -> Enclosure {
        let (kind, encoding) = match (self.data, is_utf8) {
            (Data::SevenBit, _) => ("text/rfc822-headers", Encoding::SevenBit),
            // RFC 6522 §4: what is not legal in seven bits may be quoted.
            (Data::EightBit | Data::Binary, false) => ("text/rfc822-headers", Encoding::Quoted),
            (Data::EightBit | Data::Binary, true) => ("message/global-headers", self.global(charset)),
        };
        Enclosure::Part { kind, encoding, length: self.length, is_whole: false }
    }

    /// RFC 6533 §4.5: eight bits where the way back is known to take them, else quoted.
    fn global(self, charset: Charset) -> Encoding {
        match (charset, self.data) {
            (Charset::Utf8, Data::SevenBit | Data::EightBit) => Encoding::EightBit,
            (Charset::Utf8, Data::Binary) | (Charset::Ascii, _) => Encoding::Quoted,
        }
    }
}

/// The third part of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enclosure {
    Nothing,
    Part { kind: &'static str, encoding: Encoding, length: u64, is_whole: bool },
}

/// A content-transfer-encoding (RFC 2045 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    SevenBit,
    EightBit,
    Quoted,
}

impl Encoding {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::Quoted => "quoted-printable",
        }
    }
}

impl Enclosure {
    pub(super) fn is_eight_bit(self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Part { encoding, .. } => encoding == Encoding::EightBit,
        }
    }

    pub(super) fn returned(self) -> Returned {
        match self {
            Self::Nothing => Returned { left: 0, form: Form::AsIs },
            Self::Part { encoding: Encoding::SevenBit | Encoding::EightBit, length, .. } => {
                Returned { left: length, form: Form::AsIs }
            }
            Self::Part { encoding: Encoding::Quoted, length, .. } => {
                Returned { left: length, form: Form::Quoted(Quoted::default()) }
            }
        }
    }
}

/// Makes of the stored message's octets those of the report's last part.
#[derive(Clone, Debug)]
pub struct Returned {
    left: u64,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    AsIs,
    Quoted(Quoted),
}

impl Returned {
    /// Takes the next octets of the message, from its first on, and gives what is to be written for them. Quoted they
    /// may become more than three times as many.
    pub fn pass<'c>(&mut self, octets: &'c [u8]) -> Cow<'c, [u8]> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(octets.len());
        let wanted = octets.get(..wanted).unwrap_or_default();
        self.left -= wanted.len() as u64;
        match &mut self.form {
            Form::AsIs => wanted.into(),
            Form::Quoted(quoted) => {
                let mut out = Vec::with_capacity(wanted.len() + wanted.len() / 8);
                quoted.push(wanted, &mut out);
                if self.left == 0 {
                    quoted.finish(&mut out);
                }
                out.into()
            }
        }
    }

    /// Whether the rest of the message does not come back.
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }
}
