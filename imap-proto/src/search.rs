//! What SEARCH searches for (RFC 3501 §6.4.4).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use bytes::{BufMut, BytesMut};
use nom::Parser as _;
use nom::bytes::complete::tag;
use nom::combinator::map;

use crate::date::date;
use crate::grammar::{
    Expected, Parsed, ascii, astring, atom, expect, fail, is_atom_char, keyword, number64, sequence_set, sp,
};
use crate::{Date, Flag, Keyword, SequenceSet, UidSet, write};

/// A condition on messages. `M` names messages, `T` is text to look for: in an [`Event`](crate::Event) these are UIDs and
/// UTF-8, in a [`Command`](crate::Command) they are as the client wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Criterion<M, T> {
    /// Every message.
    All,
    /// These messages.
    Messages(M),
    /// Messages with this flag.
    Flag(Flag),
    /// Messages that have this text there, in any case.
    Text {
        /// Where to look.
        place: TextPlace<T>,
        /// What to look for. Nothing is found in every field that exists.
        text: T,
    },
    /// Messages of some days.
    Date {
        /// Which of their dates.
        which: WhichDate,
        /// Before, on, or since.
        when: When,
        /// The day, without regard to time and zone.
        date: Date,
    },
    /// Messages with more octets than that.
    Larger(u64),
    /// Messages with fewer octets than that.
    Smaller(u64),
    /// Messages that are not so.
    Not(Box<Self>),
    /// Messages that are all of it.
    And(Vec<Self>),
    /// Messages that are some of it.
    Or(Vec<Self>),
}

/// A condition as the application gets it.
pub type SearchKey = Criterion<UidSet, String>;

/// A condition as the client wrote it.
pub type WireKey<'a> = Criterion<Messages, Cow<'a, [u8]>>;

/// Messages as the client names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Messages {
    /// By number.
    Sequence(SequenceSet),
    /// By UID.
    Uid(SequenceSet),
    /// Those whose `\Recent` this session was told.
    Recent,
}

/// Where to look for text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPlace<T> {
    /// Header field `Bcc`.
    Bcc,
    /// The body.
    Body,
    /// Header field `Cc`.
    Cc,
    /// Header field `From`.
    From,
    /// A header field of that name.
    Header(T),
    /// Header field `Subject`.
    Subject,
    /// Header and body.
    Text,
    /// Header field `To`.
    To,
}

/// Which date of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichDate {
    /// When it came, INTERNALDATE.
    Internal,
    /// Header field `Date`.
    Sent,
}

/// How dates are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Earlier.
    Before,
    /// The same day.
    On,
    /// The same day or later.
    Since,
}

/// Parentheses, OR and NOT within one another. People nest two or three; chains of OR do not count.
pub const SEARCH_DEPTH_MAX: usize = 16;

impl<M, T> Criterion<M, T> {
    fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other @ (Self::All
            | Self::Messages(_)
            | Self::Flag(_)
            | Self::Text { .. }
            | Self::Date { .. }
            | Self::Larger(_)
            | Self::Smaller(_)
            | Self::And(_)
            | Self::Or(_)) => Self::Not(Box::new(other)),
        }
    }

    /// The same condition in other terms. It nests no deeper than [`SEARCH_DEPTH_MAX`], since a parser made it.
    pub(crate) fn translate<N, U, E>(
        self,
        messages: &mut impl FnMut(M) -> Result<N, E>,
        text: &mut impl FnMut(T) -> Result<U, E>,
    ) -> Result<Criterion<N, U>, E> {
        Ok(match self {
            Self::All => Criterion::All,
            Self::Messages(named) => Criterion::Messages(messages(named)?),
            Self::Flag(flag) => Criterion::Flag(flag),
            Self::Text { place, text: wanted } => {
                Criterion::Text { place: place.translate(text)?, text: text(wanted)? }
            }
            Self::Date { which, when, date } => Criterion::Date { which, when, date },
            Self::Larger(size) => Criterion::Larger(size),
            Self::Smaller(size) => Criterion::Smaller(size),
            Self::Not(inner) => Criterion::Not(Box::new(inner.translate(messages, text)?)),
            Self::And(all) => {
                Criterion::And(all.into_iter().map(|key| key.translate(messages, text)).collect::<Result<_, E>>()?)
            }
            Self::Or(some) => {
                Criterion::Or(some.into_iter().map(|key| key.translate(messages, text)).collect::<Result<_, E>>()?)
            }
        })
    }
}

impl<T> TextPlace<T> {
    fn translate<U, E>(self, text: &mut impl FnMut(T) -> Result<U, E>) -> Result<TextPlace<U>, E> {
        Ok(match self {
            Self::Bcc => TextPlace::Bcc,
            Self::Body => TextPlace::Body,
            Self::Cc => TextPlace::Cc,
            Self::From => TextPlace::From,
            Self::Header(name) => TextPlace::Header(text(name)?),
            Self::Subject => TextPlace::Subject,
            Self::Text => TextPlace::Text,
            Self::To => TextPlace::To,
        })
    }
}

/// Keys in one search. Each may cost a look at every message.
pub const SEARCH_KEYS_MAX: u32 = 512;

/// How much more a search may hold.
#[derive(Clone, Copy)]
struct Room<'r> {
    levels: usize,
    keys: &'r Cell<u32>,
}

/// `search-key *(SP search-key)`, to the end.
pub(crate) fn search_keys(input: &[u8]) -> Parsed<'_, WireKey<'_>> {
    keys(input, Room { levels: SEARCH_DEPTH_MAX, keys: &Cell::new(SEARCH_KEYS_MAX) })
}

fn keys<'a>(input: &'a [u8], room: Room<'_>) -> Parsed<'a, WireKey<'a>> {
    let (mut rest, first) = key(input, room)?;
    let mut all = vec![first];
    while let [b' ', after @ ..] = rest {
        let (after, next) = key(after, room)?;
        all.push(next);
        rest = after;
    }
    Ok((rest, one_or_all(all)))
}

fn one_or_all<M, T>(mut all: Vec<Criterion<M, T>>) -> Criterion<M, T> {
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            all.push(last);
            Criterion::And(all)
        }
        (None, _) => Criterion::All,
    }
}

fn key<'a>(input: &'a [u8], room: Room<'_>) -> Parsed<'a, WireKey<'a>> {
    let (Some(levels), Some(keys_left)) = (room.levels.checked_sub(1), room.keys.get().checked_sub(1)) else {
        return fail(input, Expected::LessOfIt);
    };
    room.keys.set(keys_left);
    let deeper = Room { levels, ..room };
    match input {
        [b'(', rest @ ..] => {
            let (rest, inner) = keys(rest, deeper)?;
            let (rest, _) = expect(Expected::Close, tag(&b")"[..])).parse(rest)?;
            return Ok((rest, inner));
        }
        [b'0'..=b'9' | b'*', ..] => {
            return map(sequence_set, |set| Criterion::Messages(Messages::Sequence(set))).parse(input);
        }
        _ => {}
    }
    let (rest, word) = keyword(input)?;
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    match word {
        _ if is("NOT") => negations(rest, deeper),
        _ if is("OR") => alternatives(rest, deeper),
        _ => match simple(word) {
            Some(key) => Ok((rest, key)),
            None => with_argument(input, word, rest),
        },
    }
}

/// `NOT NOT … key`. Two of them are none, so that a chain costs no depth.
fn negations<'a>(mut rest: &'a [u8], room: Room<'_>) -> Parsed<'a, WireKey<'a>> {
    let mut odd = true;
    loop {
        let (after, ()) = sp(rest)?;
        let (behind, word) = keyword(after)?;
        if !word.eq_ignore_ascii_case("NOT") {
            let (rest, inner) = key(after, room)?;
            return Ok((rest, if odd { inner.not() } else { inner }));
        }
        odd = !odd;
        rest = behind;
    }
}

/// `OR a OR b … y z`. Clients chain dozens of them; as long as it is the second key that goes on, that costs no depth.
fn alternatives<'a>(mut rest: &'a [u8], room: Room<'_>) -> Parsed<'a, WireKey<'a>> {
    let mut some = Vec::new();
    loop {
        let (after, ()) = sp(rest)?;
        let (after, first) = key(after, room)?;
        some.push(first);
        let (second, ()) = sp(after)?;
        let (behind, word) = keyword(second)?;
        if !word.eq_ignore_ascii_case("OR") {
            let (rest, last) = key(second, room)?;
            some.push(last);
            return Ok((rest, Criterion::Or(some)));
        }
        rest = behind;
    }
}

/// Keys that are one word.
fn simple<'a>(word: &str) -> Option<WireKey<'a>> {
    let flag = |flag| Some(Criterion::Flag(flag));
    let unflag = |flag| Some(Criterion::Flag(flag).not());
    let recent = Criterion::Messages(Messages::Recent);
    let mut upper = [0; 10];
    let upper = upper.get_mut(..word.len())?;
    upper.copy_from_slice(word.as_bytes());
    upper.make_ascii_uppercase();
    match ascii(upper) {
        "ALL" => Some(Criterion::All),
        "ANSWERED" => flag(Flag::Answered),
        "DELETED" => flag(Flag::Deleted),
        "DRAFT" => flag(Flag::Draft),
        "FLAGGED" => flag(Flag::Flagged),
        "SEEN" => flag(Flag::Seen),
        "UNANSWERED" => unflag(Flag::Answered),
        "UNDELETED" => unflag(Flag::Deleted),
        "UNDRAFT" => unflag(Flag::Draft),
        "UNFLAGGED" => unflag(Flag::Flagged),
        "UNSEEN" => unflag(Flag::Seen),
        "NEW" => Some(Criterion::And(vec![recent, Criterion::Flag(Flag::Seen).not()])),
        "OLD" => Some(recent.not()),
        "RECENT" => Some(recent),
        _ => None,
    }
}

fn with_argument<'a>(input: &'a [u8], word: &str, rest: &'a [u8]) -> Parsed<'a, WireKey<'a>> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let places = [
        ("BCC", TextPlace::Bcc),
        ("BODY", TextPlace::Body),
        ("CC", TextPlace::Cc),
        ("FROM", TextPlace::From),
        ("SUBJECT", TextPlace::Subject),
        ("TEXT", TextPlace::Text),
        ("TO", TextPlace::To),
    ];
    if let Some((_, place)) = places.into_iter().find(|(name, _)| is(name)) {
        return text(place, rest);
    }
    let dates = [
        ("BEFORE", WhichDate::Internal, When::Before),
        ("ON", WhichDate::Internal, When::On),
        ("SINCE", WhichDate::Internal, When::Since),
        ("SENTBEFORE", WhichDate::Sent, When::Before),
        ("SENTON", WhichDate::Sent, When::On),
        ("SENTSINCE", WhichDate::Sent, When::Since),
    ];
    if let Some((_, which, when)) = dates.into_iter().find(|(name, ..)| is(name)) {
        let (rest, ()) = sp(rest)?;
        return map(date, |date| Criterion::Date { which, when, date }).parse(rest);
    }
    let after = |rest| sp(rest).map(|(rest, ())| rest);
    match word {
        _ if is("HEADER") => {
            let (rest, name) = astring(after(rest)?)?;
            text(TextPlace::Header(name), rest)
        }
        _ if is("KEYWORD") => search_keyword(after(rest)?),
        _ if is("UNKEYWORD") => map(search_keyword, Criterion::not).parse(after(rest)?),
        _ if is("LARGER") => map(number64, Criterion::Larger).parse(after(rest)?),
        _ if is("SMALLER") => map(number64, Criterion::Smaller).parse(after(rest)?),
        _ if is("UID") => map(sequence_set, |set| Criterion::Messages(Messages::Uid(set))).parse(after(rest)?),
        _ => fail(input, Expected::SearchKey),
    }
}

fn text<'a>(place: TextPlace<Cow<'a, [u8]>>, rest: &'a [u8]) -> Parsed<'a, WireKey<'a>> {
    let (rest, ()) = sp(rest)?;
    let (rest, text) = astring(rest)?;
    Ok((rest, Criterion::Text { place, text }))
}

fn search_keyword(input: &[u8]) -> Parsed<'_, WireKey<'_>> {
    let (rest, name) = atom(input)?;
    match Keyword::new(name) {
        Some(keyword) => Ok((rest, Criterion::Flag(Flag::Keyword(keyword)))),
        None => fail(input, Expected::Atom),
    }
}

impl WireKey<'_> {
    /// Appends the key as one, in parentheses where it is several.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        match self {
            Self::All => out.put_slice(b"ALL"),
            Self::Messages(Messages::Sequence(set)) => write::text(out, format_args!("{set}")),
            Self::Messages(Messages::Uid(set)) => write::text(out, format_args!("UID {set}")),
            Self::Messages(Messages::Recent) => out.put_slice(b"RECENT"),
            Self::Flag(Flag::Keyword(keyword)) => write::text(out, format_args!("KEYWORD {}", keyword.as_str())),
            Self::Flag(flag) => out.extend(flag.as_str().bytes().filter(|octet| is_atom_char(*octet))),
            Self::Text { place, text } => {
                place.write(out);
                out.put_u8(b' ');
                write::argument(out, text);
            }
            Self::Date { which, when, date } => {
                out.put_slice(if *which == WhichDate::Sent { b"SENT" } else { b"" });
                out.put_slice(match when {
                    When::Before => b"BEFORE",
                    When::On => b"ON",
                    When::Since => b"SINCE",
                });
                write::text(out, format_args!(" {date}"));
            }
            Self::Larger(size) => write::text(out, format_args!("LARGER {size}")),
            Self::Smaller(size) => write::text(out, format_args!("SMALLER {size}")),
            Self::Not(inner) => {
                out.put_slice(b"NOT ");
                inner.write(out);
            }
            Self::And(all) => {
                let mut before = b'(';
                for key in all {
                    out.put_u8(before);
                    key.write(out);
                    before = b' ';
                }
                out.put_u8(b')');
            }
            Self::Or(some) => {
                for (at, key) in some.iter().enumerate() {
                    out.put_slice(match (at, some.len() - at) {
                        (0, 2..) => b"OR ",
                        (_, 2..) => b" OR ",
                        (_, _) => b" ",
                    });
                    key.write(out);
                }
            }
        }
    }
}

impl TextPlace<Cow<'_, [u8]>> {
    fn write(&self, out: &mut BytesMut) {
        let word = match self {
            Self::Bcc => "BCC",
            Self::Body => "BODY",
            Self::Cc => "CC",
            Self::From => "FROM",
            Self::Header(name) => {
                out.put_slice(b"HEADER ");
                return write::argument(out, name);
            }
            Self::Subject => "SUBJECT",
            Self::Text => "TEXT",
            Self::To => "TO",
        };
        out.put_slice(word.as_bytes());
    }
}
