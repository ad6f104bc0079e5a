//! Framing: one complete line at a time, each octet looked at once.

use bytes::{Buf, BytesMut};
use memchr::{memchr, memmem};

use crate::{LineEnds, Violation};

/// Finds where the line ends whose first `scanned` octets are known not to hold its end.
///
/// RFC 1939 §3: a line ends with CRLF. This is the only place that says so; a lone CR or LF is an octet of the line.
fn line_end(octets: &[u8], scanned: usize) -> Option<usize> {
    memmem::find(octets.get(scanned..).unwrap_or_default(), b"\r\n").map(|at| scanned.saturating_add(at))
}

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
    pub(crate) fn next(&mut self, input: &mut BytesMut, limit: usize) -> Line {
        let Some(at) = line_end(input, self.scanned) else {
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

/// Finds a server's lines, and remembers how far it has looked.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    scanned: usize,
}

impl Replies {
    /// Takes the next line off `input`, without its end; `None` while it is not complete. `limit` counts the line's end too.
    ///
    /// # Errors
    /// Where it passes the limit. Nobody waits to see how such a line ends.
    pub(crate) fn next(
        &mut self,
        input: &mut BytesMut,
        limit: usize,
        line_ends: LineEnds,
    ) -> Result<Option<BytesMut>, Violation> {
        let end = match line_ends {
            LineEnds::Crlf => line_end(input, self.scanned).map(|at| at.saturating_add(2)),
            LineEnds::CrlfOrLf => {
                let unseen = input.get(self.scanned..).unwrap_or_default();
                memchr(b'\n', unseen).map(|at| self.scanned.saturating_add(at).saturating_add(1))
            }
        };
        // What is not complete needs one octet more, at least.
        if end.unwrap_or(input.len().saturating_add(1)) > limit {
            return Err(Violation::ReplyTooLong);
        }
        let Some(end) = end else {
            let half_end = usize::from(input.last() == Some(&b'\r'));
            self.scanned = input.len().saturating_sub(half_end);
            return Ok(None);
        };
        self.scanned = 0;
        let mut line = input.split_to(end);
        let width = if line.ends_with(b"\r\n") { 2 } else { 1 };
        line.truncate(end.saturating_sub(width));
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn replies(pieces: &[&[u8]], limit: usize, line_ends: LineEnds) -> Result<Vec<Vec<u8>>, Violation> {
        let (mut replies, mut input, mut found) = (Replies::default(), BytesMut::new(), vec![]);
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(line) = replies.next(&mut input, limit, line_ends)? {
                found.push(line.to_vec());
            }
        }
        Ok(found)
    }

    #[test]
    fn every_split_finds_the_same_replies() {
        let text = b"+OK a\r\n\r\nx\ry\nz\r\r\n\n.\r\nrest\r";
        for (line_ends, expected) in [
            (LineEnds::Crlf, vec![&b"+OK a"[..], b"", b"x\ry\nz\r", b"\n."]),
            (LineEnds::CrlfOrLf, vec![b"+OK a", b"", b"x\ry", b"z\r", b"", b"."]),
        ] {
            let octets: Vec<&[u8]> = text.chunks(1).collect();
            assert_eq!(replies(&octets, 9, line_ends).unwrap(), expected);
            for cut in 0..text.len() {
                let (a, b) = text.split_at(cut);
                assert_eq!(replies(&[a, b], 9, line_ends).unwrap(), expected, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_reply_over_the_limit_is_refused_before_it_ends() {
        for line_ends in [LineEnds::Crlf, LineEnds::CrlfOrLf] {
            assert_eq!(replies(&[b"12345678", b"\r", b"\n"], 10, line_ends).unwrap(), [b"12345678"]);
            assert_eq!(replies(&[b"123456789", b"\r", b"\n"], 10, line_ends), Err(Violation::ReplyTooLong));
            assert_eq!(replies(&[b"123456789\r\n"], 10, line_ends), Err(Violation::ReplyTooLong));
            assert_eq!(replies(&[b"1234567890"], 10, line_ends), Err(Violation::ReplyTooLong));
        }
    }

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
