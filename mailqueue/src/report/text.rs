//! Foreign words in a report: kept to one line, to the charset, and to a length.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use crate::UnixMicros;

/// The charset of a report's header and fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// Every server takes it.
    Ascii,
    /// Only servers with SMTPUTF8 do.
    Utf8,
}

/// Where lines are folded, in octets (RFC 5322 §2.1.1).
pub(super) const FOLD: usize = 78;

/// The longest piece that is not cut, in octets: with a field's name before it, a line stays under the 998 of
/// RFC 5322 §2.1.1. No real address and no reasonable word is longer.
const PIECE: usize = 900;

/// The longest text of free words, in octets; as [`crate::DETAIL_LIMIT`].
const WORDS: usize = crate::DETAIL_LIMIT;

/// Words of someone else as one line: whatever is not printable separates them, as do spaces; single spaces join them.
pub(super) fn words(text: &str, charset: Charset) -> String {
    let text = text.get(..text.floor_char_boundary(WORDS)).unwrap_or_default();
    let mut line = String::with_capacity(text.len());
    for word in text.split(|letter: char| letter.is_whitespace() || !is_printable(letter)) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        word.chars().for_each(|letter| push(&mut line, letter, charset));
    }
    line
}

/// Text that must not be changed, such as an address, as far as it can stand in a line; what cannot becomes `?`.
pub(super) fn verbatim(text: &str, charset: Charset) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        push(&mut line, if is_printable(letter) { letter } else { '?' }, charset);
        if line.len() > PIECE {
            break;
        }
    }
    line
}

/// An address of the type `utf-8` (RFC 6533 §3): as it is, or in its form for ASCII.
pub(super) fn utf8_address(address: &str, charset: Charset) -> String {
    let address = verbatim(address, Charset::Utf8);
    match charset {
        Charset::Utf8 => address,
        Charset::Ascii => {
            let mut line = String::with_capacity(address.len());
            for letter in address.chars() {
                match letter {
                    ' ' | '\\' | '+' | '=' => push_escaped(&mut line, letter),
                    _ => push(&mut line, letter, charset),
                }
                if line.len() > PIECE {
                    break;
                }
            }
            line
        }
    }
}

/// Writes `name: value`, folded at the spaces of the value and within pieces that are longer than any line.
pub(super) fn field(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push(':');
    let mut column = name.len() + 1;
    for (index, piece) in value.split(' ').flat_map(pieces).enumerate() {
        // Before an empty piece, which is one of several spaces, a line might become one of spaces alone.
        if index > 0 && !piece.is_empty() && column + 1 + piece.len() > FOLD {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(piece);
        column += 1 + piece.len();
    }
    out.push_str("\r\n");
}

/// Writes `text` as indented lines.
pub(super) fn paragraph(out: &mut String, indent: &str, text: &str) {
    let mut column = 0;
    for piece in text.split(' ').flat_map(pieces) {
        if column > 0 && column + 1 + piece.len() > FOLD {
            out.push_str("\r\n");
            column = 0;
        }
        let gap = if column == 0 { indent } else { " " };
        out.push_str(gap);
        out.push_str(piece);
        column += gap.len() + piece.len();
    }
    out.push_str("\r\n");
}

/// RFC 5322 §3.3, in UTC. Clocks that show a year beyond 9999 are shown as its end.
pub(super) fn date(time: UnixMicros) -> String {
    let time = i64::try_from(time.0).ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    let time = time.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC);
    // Only years before 0 cannot be written.
    rfc2822::to_string(&time).unwrap_or_default()
}

/// `host:port` as its host.
pub(super) fn without_port(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|octet| octet.is_ascii_digit()) => host,
        Some(_) | None => name,
    }
}

/// Whether the text can stand between angle brackets in a header field: a local part and a domain of RFC 5322 §3.4.1, or
/// of RFC 6532 §3.2.
pub(super) fn is_mailbox(text: &str, charset: Charset) -> bool {
    if text.len() > PIECE || (charset == Charset::Ascii && !text.is_ascii()) {
        return false;
    }
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_local = match local.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')) {
        Some(quoted) => is_quotable(quoted),
        None => is_dot_atom(local),
    };
    let literal = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_domain = match literal {
        Some(literal) => {
            literal.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b':' | b'-'))
        }
        None => is_dot_atom(domain),
    };
    is_local && is_domain
}

/// What stands between the quotes: each quote and backslash behind a backslash.
fn is_quotable(text: &str) -> bool {
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let is_good = match letter {
            '"' => false,
            '\\' => letters.next().is_some_and(|quoted| matches!(quoted, ' '..='~')),
            _ => is_printable(letter),
        };
        if !is_good {
            return false;
        }
    }
    true
}

fn is_dot_atom(text: &str) -> bool {
    let is_atom = |letter: char| match letter {
        '(' | ')' | '<' | '>' | '[' | ']' | ':' | ';' | '@' | '\\' | ',' | '"' | ' ' => false,
        _ => is_printable(letter),
    };
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom))
}

/// Neither a control character nor one that changes how those around it read or where a line ends.
fn is_printable(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Text without spaces as it is, or in pieces where it is longer than a line may be.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, after) = text.split_at(text.floor_char_boundary(PIECE));
        rest = (!after.is_empty()).then_some(after);
        Some(piece)
    })
}

fn push(line: &mut String, letter: char, charset: Charset) {
    match charset {
        Charset::Ascii if !letter.is_ascii() => push_escaped(line, letter),
        Charset::Ascii | Charset::Utf8 => line.push(letter),
    }
}

/// The form of RFC 6533 §3 for letters that a channel does not carry. It reads well enough in free text too.
fn push_escaped(line: &mut String, letter: char) {
    // Writing to a string does not fail.
    let _ = write!(line, "\\x{{{:02X}}}", u32::from(letter));
}
