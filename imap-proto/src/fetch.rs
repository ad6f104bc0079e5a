//! What FETCH fetches (RFC 3501 §6.4.5): items, sections, and the names they have in the answer.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use bytes::{BufMut, BytesMut};
use nom::Parser as _;
use nom::bytes::complete::tag;
use nom::combinator::map;

use crate::grammar::{Expected, Parsed, astring, expect, fail, keyword, list1, number64, nz_number};
use crate::write;

/// One thing to tell of each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchItem {
    /// `UID`. The engine tells it by itself; an [`Event`](crate::Event) never has it.
    Uid,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Size,
    /// `ENVELOPE`
    Envelope,
    /// `BODY` without a section, or `BODYSTRUCTURE`.
    Structure(Detail),
    /// `BODY[…]` and its relatives: octets of the message.
    Body(BodyItem),
}

/// How much of a body's structure is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// `BODY`: without extension data.
    Basic,
    /// `BODYSTRUCTURE`: all of it.
    Extended,
}

impl Detail {
    /// The item's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "BODY",
            Self::Extended => "BODYSTRUCTURE",
        }
    }
}

/// A part of a message to be told as a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyItem {
    /// Which part.
    pub section: Section,
    /// Which octets of it; `None` for all.
    pub partial: Option<Partial>,
    /// Whether the message counts as read by it.
    pub seen: Seen,
    /// The name that it has in the answer.
    pub name: BodyName,
}

/// Whether fetching sets `\Seen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It does, where the mailbox is not read-only.
    Set,
    /// It does not.
    Peek,
}

/// What an item was called in the command, and is called in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyName {
    /// `BODY[section]`
    Section,
    /// `RFC822`, the same as `BODY[]`.
    Rfc822,
    /// `RFC822.HEADER`, the same as `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.TEXT`, the same as `BODY[TEXT]`.
    Rfc822Text,
}

/// `<offset.length>`: octets of a section. Beyond its end there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The first octet, from 0.
    pub offset: u64,
    /// How many, at most.
    pub length: NonZeroU32,
}

/// What stands between the brackets of `BODY[…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The part's number, level by level; empty for the message itself.
    pub part: Vec<u32>,
    /// Which piece of that part.
    pub text: SectionText,
}

/// A piece of a message or a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// All of the message; of a part, its body without MIME header.
    All,
    /// `HEADER`, of the message or of a part that is a message.
    Header,
    /// `HEADER.FIELDS`: only those named. The blank line behind them is always told.
    HeaderFields(Vec<Vec<u8>>),
    /// `HEADER.FIELDS.NOT`: all but those named.
    HeaderFieldsNot(Vec<Vec<u8>>),
    /// `TEXT`: what follows the header.
    Text,
    /// `MIME`: the MIME header of a part.
    Mime,
}

/// Levels of a section's part number. Mail that nests deeper than this is not read part by part.
const SECTION_DEPTH_MAX: usize = 64;

/// What a FETCH names: one item, several in parentheses, or a macro.
pub(crate) fn fetch_items(input: &[u8]) -> Parsed<'_, Vec<FetchItem>> {
    if input.starts_with(b"(") {
        return list1(fetch_item).parse(input);
    }
    let (rest, word) = keyword(input)?;
    let fast = [FetchItem::Flags, FetchItem::InternalDate, FetchItem::Size];
    let mut items = Vec::from(fast);
    if word.eq_ignore_ascii_case("FAST") {
        return Ok((rest, items));
    }
    items.push(FetchItem::Envelope);
    if word.eq_ignore_ascii_case("ALL") {
        return Ok((rest, items));
    }
    items.push(FetchItem::Structure(Detail::Basic));
    if word.eq_ignore_ascii_case("FULL") {
        return Ok((rest, items));
    }
    map(fetch_item, |item| vec![item]).parse(input)
}

fn fetch_item(input: &[u8]) -> Parsed<'_, FetchItem> {
    let (rest, word) = keyword(input)?;
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let rfc822 = |name, seen, text| {
        let section = Section { part: Vec::new(), text };
        FetchItem::Body(BodyItem { section, partial: None, seen, name })
    };
    let item = match rest {
        [b'[', ..] if is("BODY") => return body_item(rest, Seen::Set),
        [b'[', ..] if is("BODY.PEEK") => return body_item(rest, Seen::Peek),
        _ if is("UID") => FetchItem::Uid,
        _ if is("FLAGS") => FetchItem::Flags,
        _ if is("INTERNALDATE") => FetchItem::InternalDate,
        _ if is("RFC822.SIZE") => FetchItem::Size,
        _ if is("ENVELOPE") => FetchItem::Envelope,
        _ if is("BODY") => FetchItem::Structure(Detail::Basic),
        _ if is("BODYSTRUCTURE") => FetchItem::Structure(Detail::Extended),
        _ if is("RFC822") => rfc822(BodyName::Rfc822, Seen::Set, SectionText::All),
        _ if is("RFC822.HEADER") => rfc822(BodyName::Rfc822Header, Seen::Peek, SectionText::Header),
        _ if is("RFC822.TEXT") => rfc822(BodyName::Rfc822Text, Seen::Set, SectionText::Text),
        _ => return fail(input, Expected::FetchItem),
    };
    Ok((rest, item))
}

fn body_item(input: &[u8], seen: Seen) -> Parsed<'_, FetchItem> {
    let (rest, section) = section(input)?;
    let (rest, partial) = match rest {
        [b'<', ..] => map(partial, Some).parse(rest)?,
        _ => (rest, None),
    };
    Ok((rest, FetchItem::Body(BodyItem { section, partial, seen, name: BodyName::Section })))
}

fn partial(input: &[u8]) -> Parsed<'_, Partial> {
    let (rest, _) = tag(&b"<"[..]).parse(input)?;
    let (rest, offset) = number64(rest)?;
    let (rest, _) = expect(Expected::Number, tag(&b"."[..])).parse(rest)?;
    let (rest, length) = nz_number(rest)?;
    let (rest, _) = expect(Expected::Number, tag(&b">"[..])).parse(rest)?;
    Ok((rest, Partial { offset, length }))
}

/// `section`, with its brackets.
fn section(input: &[u8]) -> Parsed<'_, Section> {
    let (mut rest, _) = expect(Expected::Section, tag(&b"["[..])).parse(input)?;
    let mut part = Vec::new();
    while matches!(rest, [b'1'..=b'9', ..]) {
        let (after, number) = nz_number(rest)?;
        part.push(number.get());
        rest = match after {
            [b'.', after @ ..] if part.len() < SECTION_DEPTH_MAX => after,
            [b']', after @ ..] => return Ok((after, Section { part, text: SectionText::All })),
            _ => return fail(after, Expected::Section),
        };
    }
    let (after, word) = keyword(rest)?;
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let (after, text) = match word {
        "" if part.is_empty() => (after, SectionText::All),
        _ if is("HEADER") => (after, SectionText::Header),
        _ if is("TEXT") => (after, SectionText::Text),
        _ if is("MIME") && !part.is_empty() => (after, SectionText::Mime),
        _ if is("HEADER.FIELDS") => map(header_list, SectionText::HeaderFields).parse(after)?,
        _ if is("HEADER.FIELDS.NOT") => map(header_list, SectionText::HeaderFieldsNot).parse(after)?,
        _ => return fail(rest, Expected::Section),
    };
    let (after, _) = expect(Expected::Section, tag(&b"]"[..])).parse(after)?;
    Ok((after, Section { part, text }))
}

fn header_list(input: &[u8]) -> Parsed<'_, Vec<Vec<u8>>> {
    let (rest, _) = expect(Expected::Space, tag(&b" "[..])).parse(input)?;
    list1(map(astring, Cow::into_owned)).parse(rest)
}

impl FetchItem {
    /// Appends the item as a command names it.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        let word = match self {
            Self::Uid => "UID",
            Self::Flags => "FLAGS",
            Self::InternalDate => "INTERNALDATE",
            Self::Size => "RFC822.SIZE",
            Self::Envelope => "ENVELOPE",
            Self::Structure(detail) => detail.as_str(),
            Self::Body(item) => return item.write(out),
        };
        out.put_slice(word.as_bytes());
    }
}

impl BodyItem {
    fn write(&self, out: &mut BytesMut) {
        match (self.name, self.seen) {
            (BodyName::Section, Seen::Set) => out.put_slice(b"BODY"),
            (BodyName::Section, Seen::Peek) => out.put_slice(b"BODY.PEEK"),
            (BodyName::Rfc822 | BodyName::Rfc822Header | BodyName::Rfc822Text, _) => return self.write_label(out),
        }
        self.section.write(out);
        if let Some(Partial { offset, length }) = self.partial {
            write::text(out, format_args!("<{offset}.{length}>"));
        }
    }

    /// Appends the item's name in the answer: the section as it was asked for, and where its octets begin.
    pub(crate) fn write_label(&self, out: &mut BytesMut) {
        match self.name {
            BodyName::Rfc822 => return out.put_slice(b"RFC822"),
            BodyName::Rfc822Header => return out.put_slice(b"RFC822.HEADER"),
            BodyName::Rfc822Text => return out.put_slice(b"RFC822.TEXT"),
            BodyName::Section => out.put_slice(b"BODY"),
        }
        self.section.write(out);
        if let Some(Partial { offset, .. }) = self.partial {
            write::text(out, format_args!("<{offset}>"));
        }
    }
}

impl Section {
    fn write(&self, out: &mut BytesMut) {
        out.put_u8(b'[');
        let mut dot = "";
        for number in &self.part {
            write::text(out, format_args!("{dot}{number}"));
            dot = ".";
        }
        if self.text != SectionText::All {
            out.put_slice(dot.as_bytes());
        }
        match &self.text {
            SectionText::All => {}
            SectionText::Header => out.put_slice(b"HEADER"),
            SectionText::HeaderFields(names) => write_fields(out, "HEADER.FIELDS", names),
            SectionText::HeaderFieldsNot(names) => write_fields(out, "HEADER.FIELDS.NOT", names),
            SectionText::Text => out.put_slice(b"TEXT"),
            SectionText::Mime => out.put_slice(b"MIME"),
        }
        out.put_u8(b']');
    }
}

fn write_fields(out: &mut BytesMut, word: &str, names: &[Vec<u8>]) {
    write::text(out, format_args!("{word} ("));
    let mut space = "";
    for name in names {
        out.put_slice(space.as_bytes());
        write::astring(out, name);
        space = " ";
    }
    out.put_u8(b')');
}
