//! Message text on the wire: dots doubled and taken back, the lone dot that ends it, and for TOP the cut behind so many lines.

use bytes::{BufMut, BytesMut};
use memchr::{memchr, memmem};

use crate::LineEnds;

/// Doubles the dot that begins a line, and ends the text (RFC 1939 §3).
///
/// A line begins behind any LF: the dot behind a bare LF is doubled too, since many clients read by LF, and a message must
/// not be able to end its own reply.
#[derive(Debug)]
pub(crate) struct Stuff {
    ends: Ends,
}

/// How the text ends so far. That nothing has come yet is as good as a line's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Crlf,
    BareLf,
    Cr,
    Elsewhere,
}

impl Ends {
    /// Behind `text` too.
    const fn behind(self, text: &[u8]) -> Self {
        match (text, self) {
            ([], same) => same,
            ([.., b'\r', b'\n'], _) | ([b'\n'], Self::Cr) => Self::Crlf,
            ([.., b'\n'], _) => Self::BareLf,
            ([.., b'\r'], _) => Self::Cr,
            ([..], _) => Self::Elsewhere,
        }
    }
}

impl Stuff {
    pub(crate) const fn new() -> Self {
        Self { ends: Ends::Crlf }
    }

    pub(crate) fn write(&mut self, mut text: &[u8], out: &mut BytesMut) {
        if matches!((self.ends, text), (Ends::Crlf | Ends::BareLf, [b'.', ..])) {
            out.put_u8(b'.');
        }
        self.ends = self.ends.behind(text);
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

/// Takes text off the wire: finds the dot that ends it, takes the doubled ones back (RFC 1939 §3).
///
/// Behind CRLF a dot that does not end the text was put there, whatever follows it. Behind a bare LF only the first of two was:
/// some servers double there, as [`Stuff`] does, and some do not. So a text comes back whole from either, but for a bare LF with
/// two dots behind it from a server that does not double.
///
/// What cannot be told yet (a dot at a line's start) is left in the input.
#[derive(Debug)]
pub(crate) struct Unstuff {
    ends: Ends,
}

/// What [`Unstuff::scan`] found at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// So many octets are the text's; dots have been taken out.
    pub(crate) content: usize,
    /// So many more are done with.
    pub(crate) spent: usize,
    /// Why the scan stopped.
    pub(crate) stop: Stop,
}

/// Why a scan stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// More input is needed.
    More,
    /// The text has ended; nothing of it was left.
    End,
}

/// What stands at the front of the input.
#[derive(Clone, Copy, Debug)]
enum Front {
    Text,
    /// A dot that was put there.
    Dot,
    /// The end, so many octets of it.
    End(usize),
    /// It cannot be told yet.
    Unknown,
}

impl Unstuff {
    pub(crate) const fn new() -> Self {
        Self { ends: Ends::Crlf }
    }

    /// Looks at `octets` as far as it can be told what they are, in one pass. Octets move only where dots were taken out.
    pub(crate) fn scan(&mut self, octets: &mut [u8], line_ends: LineEnds) -> Scanned {
        let mut compact = Compact { run: 0, end: 0 };
        let mut at = 0_usize;
        loop {
            let rest = octets.get(at..).unwrap_or_default();
            match self.front(rest, line_ends) {
                Front::Text => {}
                Front::Dot => {
                    let behind = at.saturating_add(1);
                    compact.skip(octets, at, behind);
                    at = behind;
                    self.ends = Ends::Elsewhere;
                    continue;
                }
                Front::End(width) if at == 0 => return Scanned { content: 0, spent: width, stop: Stop::End },
                // First what came before, so that every scan has one thing to tell.
                Front::End(_) | Front::Unknown => break,
            }
            let run = memmem::find(rest, b"\n.").map_or(rest.len(), |lf| lf.saturating_add(1));
            self.ends = self.ends.behind(rest.get(..run).unwrap_or_default());
            at = at.saturating_add(run);
        }
        compact.skip(octets, at, at);
        Scanned { content: compact.end, spent: at.saturating_sub(compact.end), stop: Stop::More }
    }

    const fn front(&self, rest: &[u8], line_ends: LineEnds) -> Front {
        use LineEnds::CrlfOrLf;
        match (self.ends, line_ends, rest) {
            (_, _, [])
            | (Ends::Crlf | Ends::BareLf, _, [b'.'])
            | (Ends::Crlf, _, [b'.', b'\r'])
            | (Ends::BareLf, CrlfOrLf, [b'.', b'\r']) => Front::Unknown,
            (Ends::Crlf, _, [b'.', b'\r', b'\n', ..]) | (Ends::BareLf, CrlfOrLf, [b'.', b'\r', b'\n', ..]) => {
                Front::End(3)
            }
            (Ends::Crlf | Ends::BareLf, CrlfOrLf, [b'.', b'\n', ..]) => Front::End(2),
            (Ends::Crlf, _, [b'.', ..]) | (Ends::BareLf, _, [b'.', b'.', ..]) => Front::Dot,
            (_, _, [..]) => Front::Text,
        }
    }
}

/// Moves runs of octets together, so that what lies between them is gone.
struct Compact {
    run: usize,
    end: usize,
}

impl Compact {
    /// Ends the run at `to`, begins the next at `next`.
    fn skip(&mut self, octets: &mut [u8], to: usize, next: usize) {
        if self.run != self.end {
            octets.copy_within(self.run..to, self.end);
        }
        self.end = self.end.saturating_add(to.saturating_sub(self.run));
        self.run = next;
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

    use bytes::Buf as _;

    use super::*;

    fn stuffed(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut stuff, mut out) = (Stuff::new(), BytesMut::new());
        pieces.iter().for_each(|piece| stuff.write(piece, &mut out));
        stuff.end(&mut out);
        out.to_vec()
    }

    /// The text, and how much of the wire was left behind it.
    fn unstuffed(pieces: &[&[u8]], line_ends: LineEnds) -> Option<(Vec<u8>, usize)> {
        let (mut unstuff, mut input, mut text) = (Unstuff::new(), BytesMut::new(), vec![]);
        for (n, piece) in pieces.iter().enumerate() {
            input.extend_from_slice(piece);
            loop {
                let Scanned { content, spent, stop } = unstuff.scan(&mut input, line_ends);
                text.extend_from_slice(&input.split_to(content));
                input.advance(spent);
                match stop {
                    Stop::End => return Some((text, input.len() + pieces[n + 1..].concat().len())),
                    Stop::More if content == 0 => break,
                    Stop::More => {}
                }
            }
        }
        None
    }

    #[test]
    fn every_mix_of_dots_and_line_ends_comes_back_at_every_split() {
        let alphabet = b".\r\n\0x";
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
                let wire = [&whole[..], b"+OK"].concat();
                let expected = Some((expected, 3));
                for cut in 0..=wire.len() {
                    let (a, b) = wire.split_at(cut);
                    for line_ends in [LineEnds::Crlf, LineEnds::CrlfOrLf] {
                        assert_eq!(unstuffed(&[a, b], line_ends), expected, "{wire:?} cut at {cut}");
                    }
                }
                let octets: Vec<&[u8]> = wire.chunks(1).collect();
                assert_eq!(unstuffed(&octets, LineEnds::Crlf), expected, "{wire:?}");
            }
        }
    }

    #[test]
    fn texts_that_were_never_doubled_behind_a_bare_lf_stay_as_they_are() {
        let strict = |wire: &[u8]| unstuffed(&[wire], LineEnds::Crlf).map(|(text, _)| text);
        assert_eq!(strict(b"a\n.b\r\n.\r\n").unwrap(), b"a\n.b\r\n");
        assert_eq!(strict(b"a\n.\r\nb\r\n.\r\n").unwrap(), b"a\n.\r\nb\r\n");
        assert_eq!(strict(b".\nb\r\n.\r\n").unwrap(), b"\nb\r\n", "what stands behind CRLF was doubled");
        assert_eq!(strict(b"..\rb\r\n.\r\n").unwrap(), b".\rb\r\n");
        for no_end in [&b"a\n.\n"[..], b".\n", b"a\n.\r\n", b"a\r.\r\n", b"a.\r\n", b".\r", b"."] {
            assert_eq!(strict(no_end), None, "{no_end:?}");
        }
    }

    #[test]
    fn where_lf_ends_a_line_too_it_is_handed_on_as_it_came() {
        for (wire, text) in [
            (&b"a\n..b\n.c\n.\n+"[..], &b"a\n.b\n.c\n"[..]),
            (b"a\n.\r\n+", b"a\n"),
            (b"a\r\n.\n+", b"a\r\n"),
            (b".\n+", b""),
            (b"\n..\n.\n+", b"\n.\n"),
        ] {
            for cut in 0..wire.len() {
                let (a, b) = wire.split_at(cut);
                assert_eq!(unstuffed(&[a, b], LineEnds::CrlfOrLf), Some((text.to_vec(), 1)), "{wire:?} cut at {cut}");
            }
        }
        assert_eq!(unstuffed(&[b"a\n.\rb"], LineEnds::CrlfOrLf), None);
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
