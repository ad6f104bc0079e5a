//! Framing: one complete line, or one complete reply at a time; each octet looked at once.

use bytes::{Buf, BytesMut};
use memchr::memchr_iter;

use crate::{ClientLimits, Violation};

/// Finds where the line ends whose first `scanned` octets are known not to hold its end.
///
/// RFC 5321 §2.3.8: a line ends with CRLF. This is the only place that says so; a lone CR or LF is an octet of the line.
pub(crate) fn line_end(octets: &[u8], scanned: usize) -> Option<usize> {
    memchr_iter(b'\n', octets.get(scanned..)?)
        .filter_map(|at| scanned.saturating_add(at).checked_sub(1))
        .find(|end| octets.get(*end) == Some(&b'\r'))
}

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A whole line of so many octets, and then its CRLF.
    Whole(usize),
    /// A line longer than the limit, which is gone. This is how it began.
    TooLong([u8; 5]),
    /// No whole line yet.
    Partial,
}

/// Finds lines, and remembers how far it has looked.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    scanned: usize,
    too_long: Option<[u8; 5]>,
}

impl Lines {
    /// Looks for the next line. A whole one is left for the caller to take off `input`, its CRLF too, before it asks again.
    /// `limit` counts the CRLF too.
    pub(crate) fn next(&mut self, input: &mut BytesMut, limit: usize) -> Line {
        let Some(length) = line_end(input, self.scanned) else {
            self.keep_partial(input, limit);
            return Line::Partial;
        };
        self.scanned = 0;
        let whole = length.saturating_add(2);
        if self.too_long.is_none() && whole <= limit {
            return Line::Whole(length);
        }
        let began = self.too_long.take().unwrap_or_else(|| beginning(input));
        input.advance(whole);
        Line::TooLong(began)
    }

    /// Of a line that is too long already nothing is kept but a last CR, which may be half of its end.
    fn keep_partial(&mut self, input: &mut BytesMut, limit: usize) {
        let half_end = usize::from(input.last() == Some(&b'\r'));
        if input.len().saturating_sub(half_end).saturating_add(2) > limit {
            self.too_long.get_or_insert_with(|| beginning(input));
            input.advance(input.len().saturating_sub(half_end));
        }
        self.scanned = input.len().saturating_sub(half_end);
    }
}

fn beginning(line: &[u8]) -> [u8; 5] {
    line.first_chunk().copied().unwrap_or_default()
}

/// Finds replies of one or more lines, and remembers how far it has looked.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    scanned: usize,
    line_start: usize,
    lines: usize,
}

impl Replies {
    /// Takes the next reply off `input`, its CRLFs included; `None` while it is not complete.
    ///
    /// # Errors
    /// Where it passes a limit.
    pub(crate) fn next(&mut self, input: &mut BytesMut, limits: &ClientLimits) -> Result<Option<BytesMut>, Violation> {
        while let Some(end) = line_end(input, self.scanned) {
            let next = end.saturating_add(2);
            self.lines = self.lines.saturating_add(1);
            if next.saturating_sub(self.line_start) > limits.reply_line || self.lines > limits.reply_lines {
                return Err(Violation::ReplyTooLong);
            }
            // What does not begin with a code is complete, and the parser will say what it thinks of it.
            let goes_on = matches!(input.get(self.line_start..next), Some([b'0'..=b'9', _, _, b'-', ..]));
            (self.scanned, self.line_start) = (next, next);
            if next > limits.reply {
                return Err(Violation::ReplyTooLong);
            }
            if !goes_on {
                *self = Self::default();
                return Ok(Some(input.split_to(next)));
            }
        }
        let half_end = usize::from(input.last() == Some(&b'\r'));
        self.scanned = input.len().saturating_sub(half_end).max(self.line_start);
        let partial = input.len().saturating_sub(self.line_start).saturating_sub(half_end).saturating_add(2);
        let whole = self.line_start.saturating_add(partial);
        if partial > limits.reply_line || whole > limits.reply {
            return Err(Violation::ReplyTooLong);
        }
        Ok(None)
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
                    Line::Whole(length) => {
                        found.push(Some(input.split_to(length).to_vec()));
                        input.advance(2);
                    }
                    Line::TooLong(began) => {
                        assert_eq!(&began, b"01234");
                        found.push(None);
                    }
                    Line::Partial => break,
                }
            }
            assert!(input.len() <= limit, "a partial line may not outgrow its limit");
        }
        found
    }

    fn replies(pieces: &[&[u8]], limits: &ClientLimits) -> Result<Vec<Vec<u8>>, Violation> {
        let (mut replies, mut input, mut found) = (Replies::default(), BytesMut::new(), vec![]);
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(reply) = replies.next(&mut input, limits)? {
                found.push(reply.to_vec());
            }
        }
        Ok(found)
    }

    /// In one piece, octet by octet, and cut in two everywhere.
    fn splits(text: &[u8]) -> Vec<Vec<&[u8]>> {
        let cuts = (0..text.len()).map(|cut| {
            let (a, b) = text.split_at(cut);
            vec![a, b]
        });
        cuts.chain([text.chunks(1).collect()]).collect()
    }

    #[test]
    fn every_split_finds_the_same_lines() {
        let text = b"NOOP\r\n\r\nNO\rOP\nx\r\r\n0123456789\r\nQUIT\r\nrest";
        let expected =
            [Some(b"NOOP".to_vec()), Some(vec![]), Some(b"NO\rOP\nx\r".to_vec()), None, Some(b"QUIT".to_vec())];
        for pieces in splits(text) {
            assert_eq!(lines(&pieces, 11), expected, "{pieces:?}");
        }
    }

    #[test]
    fn every_split_finds_the_same_replies() {
        let text = b"220 a\r\n250-b\r\n250-\r\n250 c\r\n250\r\n4\r\nSSH-2\r\n250-d";
        let expected = [&b"220 a\r\n"[..], b"250-b\r\n250-\r\n250 c\r\n", b"250\r\n", b"4\r\n", b"SSH-2\r\n"];
        for pieces in splits(text) {
            assert_eq!(replies(&pieces, &ClientLimits::default()).unwrap(), expected, "{pieces:?}");
        }
    }

    #[test]
    fn each_limit_of_a_reply_holds_at_every_split() {
        let limits = ClientLimits { reply_line: 10, reply_lines: 3, reply: 24, ..ClientLimits::default() };
        for (text, fits) in [
            (&b"250 5678\r\n"[..], true),
            (b"250 56789\r\n", false),
            (b"250-\r\n250-\r\n250 \r\n", true),
            (b"250-\r\n250-\r\n250-\r\n250 \r\n", false),
            (b"250-5678\r\n250-5678\r\n250\r\n", false),
            (b"250-5678\r\n250-5678\r\n25\r\n", true),
            (b"2500000000000000000000000", false),
        ] {
            for pieces in splits(text) {
                assert_eq!(replies(&pieces, &limits).is_ok(), fits, "{pieces:?}");
            }
        }
    }
}
