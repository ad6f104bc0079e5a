//! Message text on its way out: dots doubled, and for TOP cut behind so many lines.

use bytes::{BufMut, BytesMut};
use memchr::{memchr, memmem};

/// Doubles the dot that begins a line, and ends the text (RFC 1939 §3).
///
/// A line begins behind any LF: the dot behind a bare LF is doubled too, since many clients read by LF, and a message must
/// not be able to end its own reply.
#[derive(Debug)]
pub(crate) struct Stuff {
    line_start: bool,
    /// The last octet, which tells whether the text ends with CRLF.
    ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Crlf,
    Cr,
    Elsewhere,
}

impl Stuff {
    pub(crate) const fn new() -> Self {
        Self { line_start: true, ends: Ends::Crlf }
    }

    pub(crate) fn write(&mut self, mut text: &[u8], out: &mut BytesMut) {
        let Some(last) = text.last().copied() else { return };
        self.ends = match (text, self.ends) {
            ([.., b'\r', b'\n'], _) | ([b'\n'], Ends::Cr) => Ends::Crlf,
            _ if last == b'\r' => Ends::Cr,
            _ => Ends::Elsewhere,
        };
        if self.line_start && text.first() == Some(&b'.') {
            out.put_u8(b'.');
        }
        self.line_start = last == b'\n';
        while let Some((head, tail)) =
            memmem::find(text, b"\n.").and_then(|at| text.split_at_checked(at.saturating_add(1)))
        {
            out.put_slice(head);
            out.put_u8(b'.');
            text = tail;
        }
        out.put_slice(text);
    }

    /// Writes the terminator, behind a CRLF of its own where the text has none.
    pub(crate) fn end(self, out: &mut BytesMut) {
        if self.ends != Ends::Crlf {
            out.put_slice(b"\r\n");
        }
        out.put_slice(b".\r\n");
    }
}

/// Lets the header, the blank line and so many lines of the body pass (RFC 1939 §7, TOP).
#[derive(Debug)]
pub(crate) struct Top {
    lines: u32,
    line: TopLine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TopLine {
    /// In the header, at the start of a line.
    HeaderStart,
    /// In the header, behind a CR that may belong to the blank line.
    HeaderCr,
    /// In the header, inside a line.
    Header,
    Body,
}

impl Top {
    pub(crate) const fn new(lines: u32) -> Self {
        Self { lines, line: TopLine::HeaderStart }
    }

    /// Whether more text is wanted.
    pub(crate) fn wants_more(&self) -> bool {
        self.line != TopLine::Body || self.lines > 0
    }

    /// How many octets of `text` may pass.
    pub(crate) fn pass(&mut self, text: &[u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty() && self.wants_more()) {
            at = at.saturating_add(self.pass_line(rest));
        }
        at
    }

    fn pass_line(&mut self, rest: &[u8]) -> usize {
        let line_end = memchr(b'\n', rest);
        let taken = line_end.map_or(rest.len(), |at| at.saturating_add(1));
        let blank = match self.line {
            TopLine::HeaderStart => matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..]),
            TopLine::HeaderCr => rest.first() == Some(&b'\n'),
            TopLine::Header | TopLine::Body => false,
        };
        self.line = match (self.line, line_end) {
            (TopLine::Body, Some(_)) => {
                self.lines = self.lines.saturating_sub(1);
                TopLine::Body
            }
            (TopLine::Body, None) => TopLine::Body,
            (_, Some(_)) if blank => TopLine::Body,
            (_, Some(_)) => TopLine::HeaderStart,
            (TopLine::HeaderStart, None) if rest == b"\r" => TopLine::HeaderCr,
            (_, None) => TopLine::Header,
        };
        taken
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn stuffed(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut stuff, mut out) = (Stuff::new(), BytesMut::new());
        pieces.iter().for_each(|piece| stuff.write(piece, &mut out));
        stuff.end(&mut out);
        out.to_vec()
    }

    /// What a client does: find the terminator, take the doubled dots away.
    fn unstuffed(wire: &[u8]) -> Vec<u8> {
        let (mut text, mut rest) = (vec![], wire);
        loop {
            if rest == b".\r\n" {
                return text;
            }
            let end = memmem::find(rest, b"\r\n").expect("the terminator comes last") + 2;
            text.extend_from_slice(&rest[usize::from(rest[0] == b'.')..end]);
            rest = &rest[end..];
        }
    }

    #[test]
    fn every_mix_of_dots_and_line_ends_comes_back_at_every_split() {
        let alphabet = b".\r\nx";
        for len in 0..=6u32 {
            for n in 0..alphabet.len().pow(len) {
                let text: Vec<u8> = (0..len).map(|i| alphabet[n / alphabet.len().pow(i) % alphabet.len()]).collect();
                let whole = stuffed(&[&text]);
                for cut in 0..=text.len() {
                    let (a, b) = text.split_at(cut);
                    assert_eq!(stuffed(&[a, b]), whole, "{text:?} cut at {cut}");
                }
                // No line that begins behind CRLF or a bare LF is a lone dot, but the last.
                let lone = whole.windows(4).filter(|w| w[0] == b'\n' && &w[1..] == b".\r\n").count();
                assert_eq!(lone + usize::from(whole == b".\r\n"), 1, "{text:?} gives {whole:?}");
                let mut expected = text.clone();
                if !text.is_empty() && !text.ends_with(b"\r\n") {
                    expected.extend_from_slice(b"\r\n");
                }
                let bare_lf = (0..text.len()).any(|i| text[i] == b'\n' && (i == 0 || text[i - 1] != b'\r'));
                if !bare_lf {
                    assert_eq!(unstuffed(&whole), expected, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn top_counts_lines_of_the_body_only() {
        let text = b"A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\nthree";
        let cases: [(u32, &[u8]); 4] =
            [(0, b"A: 1\r\nB: 2\r\n\r\n"), (1, b"A: 1\r\nB: 2\r\n\r\none\r\n"), (3, text), (9, text)];
        for (lines, expected) in cases {
            for cut in 0..=text.len() {
                let (a, b) = text.split_at(cut);
                let mut top = Top::new(lines);
                let mut passed = a[..top.pass(a)].to_vec();
                passed.extend_from_slice(&b[..top.pass(b)]);
                assert_eq!(passed, expected, "{lines} lines, cut at {cut}");
            }
        }
    }
}
