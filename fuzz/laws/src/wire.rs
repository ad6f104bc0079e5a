//! Octets as peers and people read them.

use core::fmt::Write as _;

/// The lines of a text, each with its CRLF; the last one may have none.
pub(crate) fn lines(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let end = text.windows(2).position(|two| two == b"\r\n").map_or(text.len(), |at| at + 2);
        let (line, rest) = text.split_at_checked(end)?;
        text = rest;
        (!line.is_empty()).then_some(line)
    })
}

/// How many octets the first whole line has, with its CRLF.
pub(crate) fn line(text: &[u8]) -> Option<usize> {
    lines(text).next().filter(|line| line.ends_with(b"\r\n")).map(<[u8]>::len)
}

/// Whether a line begins with a word, in any case.
pub(crate) fn begins(line: &[u8], word: &[u8]) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Octets as a text that shows them all.
pub(crate) fn shown(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

/// Octets in hexadecimal.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(2 * octets.len());
    for octet in octets {
        // Writing to a string cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}
