//! A message that flows by: its header is collected, its body hashed.

use memchr::memmem;
use thiserror::Error;

use super::canonical::{BodyHash, Form};

/// The octets of the longest header that is signed. A chain of fifty ARC sets takes some 150 KiB; who sends more fields
/// than that wants to fill somebody's memory.
pub const MAX_HEADER: usize = 256 * 1024;

/// Why a header cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// It is longer than [`MAX_HEADER`].
    #[error("the header is longer than {MAX_HEADER} octets")]
    TooLarge,
    /// A line of it is neither a field nor the continuation of one, or holds a lone CR or LF. Others would take it for
    /// another header than the one that was signed.
    #[error("a line of the header is no field")]
    Malformed,
    /// There is no `From`, which every signature must cover (RFC 6376 §5.4).
    #[error("the header has no From field")]
    NoFrom,
    /// There is more than one `From`: which of them a reader sees is anybody's guess (RFC 6376 §8.15).
    #[error("the header has more than one From field")]
    ManyFrom,
    /// More fields are to be signed than [`MAX_SIGNED`](super::MAX_SIGNED).
    #[error("the header has more fields to sign than a signature should list")]
    TooManyFields,
}

/// One field of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// What stands before the colon, without white space at its end.
    pub(super) name: &'a [u8],
    /// All of it, with its line end.
    pub(super) whole: &'a [u8],
}

impl<'a> Field<'a> {
    /// What stands behind the colon.
    pub(super) fn value(&self) -> &'a [u8] {
        memchr::memchr(b':', self.whole).and_then(|colon| self.whole.get(colon..)?.get(1..)).unwrap_or_default()
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a header that [`Message`] has found to be one, without its blank line.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    Fields { rest: header }.map_while(Result::ok)
}

/// Looks a header through: each line has to belong to a field.
fn check(header: &[u8]) -> Result<(), HeaderError> {
    Fields { rest: header }.try_for_each(|field| field.map(drop))
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = split_field(&mut self.rest);
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(HeaderError::Malformed))
    }
}

/// Takes a field and its continuations off the front.
fn split_field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let mut end = 0usize;
    loop {
        end = end.checked_add(line(rest.get(end..)?)?)?;
        if !matches!(rest.get(end), Some(b' ' | b'\t')) {
            break;
        }
    }
    let (whole, after) = rest.split_at_checked(end)?;
    *rest = after;
    let name = whole.get(..memchr::memchr(b':', whole)?)?.trim_ascii_end();
    // RFC 5322 §3.6.8: a name is of printable ASCII.
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(Field { name, whole })
}

/// The length of the first line with its CRLF, if it ends with the first CR or LF that stands in it.
fn line(text: &[u8]) -> Option<usize> {
    let end = memchr::memchr2(b'\r', b'\n', text)?;
    text.get(end..)?.starts_with(b"\r\n").then(|| end.saturating_add(2))
}

/// A message on its way through, split anywhere.
pub(super) struct Message {
    body_form: Form,
    state: State,
}

enum State {
    Header(Vec<u8>),
    Body { header: Vec<u8>, body: BodyHash },
    Unfit(HeaderError),
}

/// What is left of a message that has flown by.
pub(super) struct Seen {
    /// Whole fields, each with its CRLF; no blank line.
    pub(super) header: Vec<u8>,
    pub(super) body_hash: [u8; 32],
}

impl Message {
    pub(super) const fn new(body_form: Form) -> Self {
        Self { body_form, state: State::Header(Vec::new()) }
    }

    pub(super) fn write(&mut self, octets: &[u8]) {
        match &mut self.state {
            State::Unfit(_) => {}
            State::Body { body, .. } => body.write(octets),
            State::Header(header) => {
                let seen = header.len();
                // Two octets more than fit: the blank line is not the header's.
                let room = MAX_HEADER.saturating_add(2).saturating_sub(seen).min(octets.len());
                let (taken, beyond) = octets.split_at_checked(room).unwrap_or((octets, &[]));
                header.extend_from_slice(taken);
                match end_of_header(header, seen) {
                    Some(end) => {
                        let rest = header.split_off(end);
                        let after = rest.get(2..).unwrap_or_default();
                        self.state = begin_body(std::mem::take(header), self.body_form, &[after, beyond]);
                    }
                    None if header.len() > MAX_HEADER.saturating_add(1) => {
                        self.state = State::Unfit(HeaderError::TooLarge)
                    }
                    None => {}
                }
            }
        }
    }

    /// Ends the message, with the fields `above` its own.
    pub(super) fn finish(self, above: &[u8]) -> Result<Seen, HeaderError> {
        check(above)?;
        let state = match self.state {
            // Nothing stands behind the header, and not even its last line needs to have an end: it will get one.
            State::Header(mut header) => {
                if !header.is_empty() && !header.ends_with(b"\r\n") {
                    header.extend_from_slice(b"\r\n");
                }
                begin_body(header, self.body_form, &[])
            }
            state @ (State::Body { .. } | State::Unfit(_)) => state,
        };
        match state {
            State::Body { header, body } => Ok(Seen { header: [above, &header].concat(), body_hash: body.finish() }),
            State::Unfit(why) => Err(why),
            State::Header(_) => Err(HeaderError::Malformed),
        }
    }
}

/// Where the blank line begins, of which nothing stood in the first `seen` octets.
fn end_of_header(header: &[u8], seen: usize) -> Option<usize> {
    if header.starts_with(b"\r\n") {
        return Some(0);
    }
    let from = seen.saturating_sub(3);
    memmem::find(header.get(from..)?, b"\r\n\r\n").map(|at| from.saturating_add(at).saturating_add(2))
}

fn begin_body(header: Vec<u8>, form: Form, body: &[&[u8]]) -> State {
    if let Err(why) = fit(&header) {
        return State::Unfit(why);
    }
    let mut hash = BodyHash::new(form);
    body.iter().for_each(|octets| hash.write(octets));
    State::Body { header, body: hash }
}

fn fit(header: &[u8]) -> Result<(), HeaderError> {
    if header.len() > MAX_HEADER {
        return Err(HeaderError::TooLarge);
    }
    check(header)?;
    match fields(header).filter(|field| field.is("From")).count() {
        0 => Err(HeaderError::NoFrom),
        1 => Ok(()),
        _ => Err(HeaderError::ManyFrom),
    }
}
