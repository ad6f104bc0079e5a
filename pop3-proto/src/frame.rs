//! Framing: one complete line at a time, each octet looked at once.

use bytes::{Buf, BytesMut};
use memchr::memmem;

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A whole line, without its CRLF.
    Whole(BytesMut),
    /// A line longer than the limit, which is gone.
    TooLong,
    /// No whole line yet.
    Partial,
}

/// Finds lines, and remembers how far it has looked.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    scanned: usize,
    too_long: bool,
}

impl Lines {
    /// Takes the next line off `input`. `limit` counts the CRLF too.
    ///
    /// RFC 1939 §3: a line ends with CRLF. This is the only place that says so; a lone CR or LF is an octet of the line.
    pub(crate) fn next(&mut self, input: &mut BytesMut, limit: usize) -> Line {
        let unseen = input.get(self.scanned..).unwrap_or_default();
        let Some(at) = memmem::find(unseen, b"\r\n").map(|at| self.scanned.saturating_add(at)) else {
            self.keep_partial(input, limit);
            return Line::Partial;
        };
        self.scanned = 0;
        let line = input.split_to(at);
        input.advance(2);
        if core::mem::take(&mut self.too_long) || line.len().saturating_add(2) > limit {
            return Line::TooLong;
        }
        Line::Whole(line)
    }

    /// Of a line that is too long already nothing is kept but a last CR, which may be half of its end.
    fn keep_partial(&mut self, input: &mut BytesMut, limit: usize) {
        let half_end = usize::from(input.last() == Some(&b'\r'));
        if input.len().saturating_sub(half_end).saturating_add(2) > limit {
            self.too_long = true;
            input.advance(input.len().saturating_sub(half_end));
        }
        self.scanned = input.len().saturating_sub(half_end);
    }

    /// Forgets a line begun, behind a change of the transport.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn lines(pieces: &[&[u8]], limit: usize) -> Vec<Option<Vec<u8>>> {
        let (mut lines, mut input, mut found) = (Lines::default(), BytesMut::new(), vec![]);
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                match lines.next(&mut input, limit) {
                    Line::Whole(line) => found.push(Some(line.to_vec())),
                    Line::TooLong => found.push(None),
                    Line::Partial => break,
                }
            }
            assert!(input.len() <= limit, "a partial line may not outgrow its limit");
        }
        found
    }

    #[test]
    fn whole_bytewise_and_cut_in_two_find_the_same() {
        let text = b"STAT\r\n\r\nNO\rOP\nx\r\r\n0123456789\r\nQUIT\r\nrest";
        let expected =
            [Some(b"STAT".to_vec()), Some(vec![]), Some(b"NO\rOP\nx\r".to_vec()), None, Some(b"QUIT".to_vec())];
        assert_eq!(lines(&[text], 11), expected);
        let octets: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&octets, 11), expected);
        for cut in 0..text.len() {
            let (a, b) = text.split_at(cut);
            assert_eq!(lines(&[a, b], 11), expected, "cut at {cut}");
        }
    }

    #[test]
    fn the_limit_counts_crlf() {
        assert_eq!(lines(&[b"12345678\r\n"], 10), [Some(b"12345678".to_vec())]);
        assert_eq!(lines(&[b"123456789\r\n"], 10), [None]);
        assert_eq!(lines(&[b"123456789", b"\r", b"\n"], 10), [None]);
        assert_eq!(lines(&[b"12345678", b"\r", b"\n"], 10), [Some(b"12345678".to_vec())]);
    }
}
