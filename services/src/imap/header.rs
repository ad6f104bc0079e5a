//! Header fields (RFC 5322 §2.2) and what stands in those that describe a part (RFC 2045).
//!
//! All of it takes any octets: what is not as it should be is read as far as it goes.

use std::collections::HashSet;

/// Parameters of one field that are looked at. Real ones have a handful, and a long file name in pieces a dozen.
const PARAMETERS_MAX: usize = 100;

/// Languages of a part that are told.
const LANGUAGES_MAX: usize = 100;

/// One field of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// What stands before the colon.
    pub(super) name: &'a [u8],
    /// What stands behind it, with the line ends within it.
    pub(super) value: &'a [u8],
    /// All of it, with its line end.
    pub(super) whole: &'a [u8],
}

/// The fields of a header, up to its blank line. Lines that are no fields are passed over.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        loop {
            let line = split_line(&mut rest)?;
            if matches!(line, b"\r\n" | b"\n") {
                rest = &[];
                return None;
            }
            let colon = memchr::memchr(b':', line).filter(|_| !matches!(line, [b' ' | b'\t', ..]));
            let Some(colon) = colon else { continue };
            let folded: usize = folded(rest);
            let length = line.len().saturating_add(folded);
            // The line and what it is folded into lie behind one another.
            let from = header.len().saturating_sub(rest.len()).saturating_sub(line.len());
            let whole = header.get(from..from.saturating_add(length)).unwrap_or(line);
            rest = rest.get(folded..).unwrap_or_default();
            let (name, value) = whole.split_at_checked(colon)?;
            let value = value.get(1..).unwrap_or_default();
            return Some(Field { name: name.trim_ascii_end(), value, whole });
        }
    })
}

/// The value of the first field of that name.
pub(super) fn field<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(header).find(|field| field.name.eq_ignore_ascii_case(name.as_bytes())).map(|field| field.value)
}

/// Takes one line off the front, with its LF if it has one.
fn split_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end.saturating_add(1));
    let (line, after) = rest.split_at_checked(end)?;
    *rest = after;
    Some(line)
}

/// How many octets of what follows go on with a field (RFC 5322 §2.2.3).
fn folded(mut rest: &[u8]) -> usize {
    let before = rest.len();
    while matches!(rest, [b' ' | b'\t', ..]) {
        if split_line(&mut rest).is_none() {
            break;
        }
    }
    before.saturating_sub(rest.len())
}

/// Which fields of a header are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Names<'a> {
    /// These (`HEADER.FIELDS`).
    These(&'a [Vec<u8>]),
    /// All but these (`HEADER.FIELDS.NOT`).
    AllBut(&'a [Vec<u8>]),
}

/// The wanted fields as they stand, and the blank line that always follows them (RFC 3501 §6.4.5).
pub(super) fn select(header: &[u8], wanted: Names<'_>) -> Vec<u8> {
    let (Names::These(names) | Names::AllBut(names)) = wanted;
    let names: HashSet<Vec<u8>> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let mut selected = Vec::new();
    for field in fields(header) {
        let named = names.contains(&field.name.to_ascii_lowercase());
        let is_wanted = match wanted {
            Names::These(_) => named,
            Names::AllBut(_) => !named,
        };
        if is_wanted {
            selected.extend_from_slice(field.whole);
            if !field.whole.ends_with(b"\n") {
                selected.extend_from_slice(b"\r\n");
            }
        }
    }
    selected.extend_from_slice(b"\r\n");
    selected
}

/// A value in one line, without space around it.
pub(super) fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n' | 0)).collect::<Vec<_>>().trim_ascii().to_vec()
}

/// What a part is where it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unstated {
    /// `text/plain` (RFC 2045 §5.2).
    Text,
    /// `message/rfc822`, within `multipart/digest` (RFC 2046 §5.1.5).
    Message,
}

/// A name and a value, as they stand there but for quotes.
pub(super) type Parameter = (Vec<u8>, Vec<u8>);

/// A value with parameters: Content-Disposition, or the better part of Content-Type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Valued {
    /// What stands before the parameters.
    pub(super) value: Vec<u8>,
    /// What follows it.
    pub(super) parameters: Vec<Parameter>,
}

/// A media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Media {
    /// `text` of `text/plain`.
    pub(super) kind: Vec<u8>,
    /// `plain` of `text/plain`.
    pub(super) subtype: Vec<u8>,
    /// What follows it.
    pub(super) parameters: Vec<Parameter>,
}

impl Media {
    /// The type of the part that has this header. RFC 2045 §5.2: what cannot be read counts as not stated.
    pub(super) fn of(header: &[u8], unstated: Unstated) -> Self {
        field(header, "Content-Type").and_then(Self::parse).unwrap_or_else(|| match unstated {
            Unstated::Text => Self {
                kind: b"TEXT".to_vec(),
                subtype: b"PLAIN".to_vec(),
                parameters: vec![(b"CHARSET".to_vec(), b"US-ASCII".to_vec())],
            },
            Unstated::Message => {
                Self { kind: b"MESSAGE".to_vec(), subtype: b"RFC822".to_vec(), parameters: Vec::new() }
            }
        })
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let Valued { value, parameters } = Valued::parse(value);
        let slash = memchr::memchr(b'/', &value)?;
        let (kind, subtype) = (value.get(..slash)?.trim_ascii(), value.get(slash + 1..)?.trim_ascii());
        if kind.is_empty() || subtype.is_empty() {
            return None;
        }
        Some(Self { kind: kind.to_vec(), subtype: subtype.to_vec(), parameters })
    }

    /// Whether it is of this type, and of this subtype if one is given.
    pub(super) fn is(&self, kind: &str, subtype: Option<&str>) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
            && subtype.is_none_or(|subtype| self.subtype.eq_ignore_ascii_case(subtype.as_bytes()))
    }

    /// The value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&[u8]> {
        let mut named = self.parameters.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        named.next().map(|(_, value)| &**value)
    }
}

impl Valued {
    /// Reads `value; name=value; name="value"`. What is no parameter is passed over.
    pub(super) fn parse(octets: &[u8]) -> Self {
        let (value, mut rest) = bare(octets);
        let mut parameters = Vec::new();
        while !rest.is_empty() && parameters.len() < PARAMETERS_MAX {
            rest = behind_semicolon(rest);
            let (parameter, after) = parameter(rest);
            parameters.extend(parameter);
            rest = after;
        }
        Self { value, parameters }
    }
}

/// One parameter, if there is one before the next semicolon, and what follows it.
fn parameter(octets: &[u8]) -> (Option<Parameter>, &[u8]) {
    let start = behind_space(octets);
    let end = start.iter().position(|octet| matches!(octet, b'=' | b';' | b'"')).unwrap_or(start.len());
    let (name, rest) = start.split_at_checked(end).unwrap_or((start, &[]));
    let [b'=', rest @ ..] = rest else { return (None, rest) };
    let (value, rest) = match behind_space(rest) {
        [b'"', rest @ ..] => quoted(rest),
        rest => bare(rest),
    };
    let name = unfolded(name);
    ((!name.is_empty()).then_some((name, value)), rest)
}

/// Text without quotes, up to a semicolon or a comment. There may be spaces in it: many write file names so.
fn bare(octets: &[u8]) -> (Vec<u8>, &[u8]) {
    let start = behind_space(octets);
    let end = start.iter().position(|octet| matches!(octet, b';' | b'(')).unwrap_or(start.len());
    let (text, rest) = start.split_at_checked(end).unwrap_or((start, &[]));
    (unfolded(text), rest)
}

/// What follows the next semicolon that is not within quotes or a comment.
fn behind_semicolon(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [] => return rest,
            [b';', after @ ..] => return after,
            [b'"', after @ ..] => quoted(after).1,
            [b'(', after @ ..] => comment(after).1,
            [_, after @ ..] => after,
        };
    }
}

/// The languages of a Content-Language field (RFC 3282 §2).
pub(super) fn languages(value: &[u8]) -> Vec<Vec<u8>> {
    let value = unfolded(value);
    let tags = value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii).filter(|tag| !tag.is_empty());
    tags.take(LANGUAGES_MAX).map(<[u8]>::to_vec).collect()
}

/// The first word of a value, such as Content-Transfer-Encoding has.
pub(super) fn word(value: &[u8]) -> Vec<u8> {
    let start = behind_space(value);
    let end = start.iter().position(|octet| !octet.is_ascii_graphic() || matches!(octet, b';' | b'('));
    start.get(..end.unwrap_or(start.len())).unwrap_or_default().to_vec()
}

/// What follows spaces, line ends and comments.
pub(super) fn behind_space(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [b' ' | b'\t' | b'\r' | b'\n' | 0, after @ ..] => after,
            [b'(', after @ ..] => comment(after).1,
            _ => return rest,
        };
    }
}

/// A comment's text and what follows it; its opening parenthesis was taken. They nest (RFC 5322 §3.2.2).
pub(super) fn comment(octets: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut text, mut depth, mut rest) = (Vec::new(), 0_usize, octets);
    loop {
        rest = match rest {
            [] => return (text, rest),
            [b'\\', octet, after @ ..] => {
                text.push(*octet);
                after
            }
            [b')', after @ ..] if depth == 0 => return (text, after),
            [octet, after @ ..] => {
                depth = match octet {
                    b'(' => depth.saturating_add(1),
                    b')' => depth.saturating_sub(1),
                    _ => depth,
                };
                if !matches!(octet, b'\r' | b'\n' | 0) {
                    text.push(*octet);
                }
                after
            }
        };
    }
}

/// A quoted string's text and what follows it; its opening quote was taken (RFC 5322 §3.2.4).
pub(super) fn quoted(octets: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut text, mut rest) = (Vec::new(), octets);
    loop {
        rest = match rest {
            [] | [b'\\'] => return (text, &[]),
            [b'"', after @ ..] => return (text, after),
            [b'\\', octet, after @ ..] => {
                text.push(*octet);
                after
            }
            [b'\r' | b'\n' | 0, after @ ..] => after,
            [octet, after @ ..] => {
                text.push(*octet);
                after
            }
        };
    }
}
