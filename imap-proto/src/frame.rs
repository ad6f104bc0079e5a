//! Framing: one complete command at a time, each octet looked at once.
//!
//! A command is a line, and goes on behind each literal that a line announces at its end. What a refused command still has
//! on the way is found the same way and thrown away ([`Skip`]), so that a literal is never read as a command.

use bytes::{Buf, BytesMut};
use memchr::{memchr3, memmem};

use crate::LiteralKind;

/// What stands at the front of the input. Positions count from there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Not enough to tell.
    Partial,
    /// A complete command; its CRLF ends at this position.
    Command(usize),
    /// A line that announces a literal. [`Frame::pass`] goes on behind it.
    Literal(Announced),
    /// A bare CR, a bare LF or NUL.
    ControlOctet,
    /// No end within the limit.
    TooLong,
}

/// What a line says of the literal behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// Where the line's CRLF ends and the literal begins.
    pub(crate) head: usize,
    /// How many octets it has.
    pub(crate) size: u64,
    pub(crate) kind: LiteralKind,
}

/// Finds a command, and remembers how far it has looked.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// Where the line begins that is being looked at: the front, or behind a literal.
    line: usize,
    /// All before this was looked at. Behind a literal that has not come yet this is beyond the input.
    scanned: usize,
    literals: u32,
}

impl Frame {
    /// Looks on. `limit` counts all octets of the command.
    pub(crate) fn find(&mut self, input: &[u8], limit: usize) -> Found {
        let seen = input.get(..limit).unwrap_or(input);
        let Some(unseen) = seen.get(self.scanned..) else { return Found::Partial };
        let at = match memchr3(b'\r', b'\n', 0, unseen) {
            Some(at) => self.scanned.saturating_add(at),
            None => {
                self.scanned = seen.len();
                return Self::partial_or_too_long(input, limit);
            }
        };
        self.scanned = at;
        match seen.get(at..).unwrap_or_default() {
            [b'\r'] => return Self::partial_or_too_long(input, limit),
            // RFC 3501 §2.2: a line ends with CRLF. This is the only place that says so.
            [b'\r', b'\n', ..] => {}
            _ => return Found::ControlOctet,
        }
        let head = at.saturating_add(2);
        match announced(seen.get(self.line..at).unwrap_or_default()) {
            None => Found::Command(head),
            Some((size, kind)) => Found::Literal(Announced { head, size, kind }),
        }
    }

    const fn partial_or_too_long(input: &[u8], limit: usize) -> Found {
        if input.len() < limit { Found::Partial } else { Found::TooLong }
    }

    /// How many literals were passed.
    pub(crate) const fn literals(&self) -> u32 {
        self.literals
    }

    /// Where the line begins that is being looked at.
    pub(crate) const fn line(&self) -> usize {
        self.line
    }

    /// Goes on behind the literal that was found.
    pub(crate) fn pass(&mut self, head: usize, size: usize) {
        self.literals = self.literals.saturating_add(1);
        self.line = head.saturating_add(size);
        self.scanned = self.line;
    }

    /// Begins with the next command.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The literal that a line announces at its end. RFC 3501 §9 lets no other line end so: a brace is no atom's, and a quoted
/// string ends with its quote. A size that no number holds comes out as the largest.
fn announced(line: &[u8]) -> Option<(u64, LiteralKind)> {
    let (kind, before) = match line {
        [before @ .., b'+', b'}'] => (LiteralKind::NonSync, before),
        [before @ .., b'}'] => (LiteralKind::Sync, before),
        _ => return None,
    };
    // Of more digits than any size has, none matters; so a skipper need not hold a whole line to see the same.
    let tail = before.get(before.len().saturating_sub(DIGITS_MAX)..).unwrap_or(before);
    let digits = tail.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    if digits == DIGITS_MAX {
        return Some((u64::MAX, kind));
    }
    let number = tail.get(tail.len().saturating_sub(digits)..)?;
    let brace = tail.len().checked_sub(digits)?.checked_sub(1).and_then(|at| tail.get(at));
    if digits == 0 || brace != Some(&b'{') {
        return None;
    }
    Some((core::str::from_utf8(number).ok()?.parse().unwrap_or(u64::MAX), kind))
}

/// More digits than a 64-bit number has.
const DIGITS_MAX: usize = 21;

/// As much of a line's end as [`announced`] looks at.
const TAIL: usize = DIGITS_MAX + 2;

/// Throws away what is left of a refused command.
#[derive(Debug)]
pub(crate) struct Skip {
    at: At,
    /// Octets that may still be thrown away.
    budget: u64,
}

#[derive(Debug)]
enum At {
    Line,
    Literal(u64),
}

/// How far skipping came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// There is more.
    Partial,
    /// The command is gone.
    Done,
    /// There is more than may be thrown away.
    Endless,
}

impl Skip {
    /// Begins somewhere in a line.
    pub(crate) const fn line(budget: u64) -> Self {
        Self { at: At::Line, budget }
    }

    /// Begins at the front of a literal.
    pub(crate) const fn literal(size: u64, budget: u64) -> Self {
        Self { at: At::Literal(size), budget }
    }

    /// Whether text to the peer would reach it in the midst of its literal.
    pub(crate) const fn in_literal(&self) -> bool {
        matches!(self.at, At::Literal(_))
    }

    /// Throws away what `input` has of the command.
    pub(crate) fn go_on(&mut self, input: &mut BytesMut) -> Skipped {
        loop {
            match self.at {
                At::Literal(size) if size > self.budget => return Skipped::Endless,
                At::Literal(size) => {
                    let here = usize::try_from(size).unwrap_or(usize::MAX).min(input.len());
                    self.discard(input, here);
                    let left = size.saturating_sub(here as u64);
                    if left > 0 {
                        self.at = At::Literal(left);
                        return Skipped::Partial;
                    }
                    self.at = At::Line;
                }
                At::Line => {
                    let Some(end) = memmem::find(input, b"\r\n") else {
                        // One less, for a CR that may be half of the line's end.
                        if input.len().saturating_sub(1) as u64 > self.budget {
                            return Skipped::Endless;
                        }
                        self.discard(input, input.len().saturating_sub(TAIL + 1));
                        return Skipped::Partial;
                    };
                    if end as u64 > self.budget {
                        return Skipped::Endless;
                    }
                    let literal = announced(input.get(..end).unwrap_or_default());
                    self.discard(input, end.saturating_add(2));
                    match literal {
                        // A client that waits was refused by then, and goes on with its next command.
                        None | Some((_, LiteralKind::Sync)) => return Skipped::Done,
                        Some((size, LiteralKind::NonSync)) => self.at = At::Literal(size),
                    }
                }
            }
        }
    }

    fn discard(&mut self, input: &mut BytesMut, octets: usize) {
        input.advance(octets);
        self.budget = self.budget.saturating_sub(octets as u64);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// Runs a frame over `text`, `step` octets at a time, passing every literal; what it found, and what is left.
    fn run(text: &[u8], limit: usize, step: usize) -> (Vec<Found>, usize) {
        let (mut frame, mut found, mut input) = (Frame::default(), vec![], &text[..0]);
        for have in (0..=text.len()).step_by(step).chain([text.len()]) {
            input = &text[..have];
            loop {
                match frame.find(input, limit) {
                    Found::Partial => break,
                    Found::Literal(literal) => {
                        frame.pass(literal.head, usize::try_from(literal.size).unwrap());
                        found.push(Found::Literal(literal));
                    }
                    last @ (Found::Command(_) | Found::ControlOctet | Found::TooLong) => {
                        found.push(last);
                        return (found, have);
                    }
                }
            }
        }
        (found, input.len())
    }

    #[test]
    fn a_command_is_found_in_any_pieces() {
        let text = b"a LOGIN {3}\r\nbob {2+}\r\n\r\n\r\nb NOOP\r\n";
        let expected = vec![
            Found::Literal(Announced { head: 13, size: 3, kind: LiteralKind::Sync }),
            Found::Literal(Announced { head: 23, size: 2, kind: LiteralKind::NonSync }),
            Found::Command(27),
        ];
        for step in 1..=text.len() {
            assert_eq!(run(text, 100, step).0, expected, "in steps of {step}");
        }
    }

    #[test]
    fn the_limit_counts_all_octets() {
        for step in 1..20 {
            assert_eq!(run(b"a NOOP\r\n", 8, step).0, [Found::Command(8)]);
            assert_eq!(run(b"a NOOP\r\n", 7, step).0, [Found::TooLong]);
            assert_eq!(run(b"a NOOPa NOOPa NOOP\r\n", 8, step).0, [Found::TooLong]);
        }
    }

    #[test]
    fn only_crlf_ends_a_line() {
        for bad in [&b"a NO\nOP\r\n"[..], b"a NOOP\r\r\n", b"a NOOP\rb", b"a NO\0OP\r\n", b"\n"] {
            for step in 1..=bad.len() {
                assert_eq!(run(bad, 100, step).0, [Found::ControlOctet]);
            }
        }
        assert_eq!(run(b"a NOOP\r", 100, 1).0, []);
    }

    #[test]
    fn what_looks_like_a_literal() {
        use LiteralKind::{NonSync, Sync};
        assert_eq!(announced(b"a {12}"), Some((12, Sync)));
        assert_eq!(announced(b"{0+}"), Some((0, NonSync)));
        assert_eq!(announced(b"a ~{7}"), Some((7, Sync)));
        assert_eq!(announced(b"{00000000000000000007}"), Some((7, Sync)));
        assert_eq!(announced(b"{18446744073709551615}"), Some((u64::MAX, Sync)));
        assert_eq!(announced(b"{99999999999999999999+}"), Some((u64::MAX, NonSync)));
        // No such number, but the end of the literal would be unknown too.
        assert_eq!(announced(b"{000000000000000000007+}"), Some((u64::MAX, NonSync)));
        for no in [&b""[..], b"}", b"{}", b"{+}", b"{a}", b"12}", b"{1 }", b"{1-}", b"\"{1}\"", b"{1}x", b"+}", b"{-1}"]
        {
            assert_eq!(announced(no), None);
        }
    }

    fn skip(mut skip: Skip, text: &[u8], step: usize) -> (Skipped, usize) {
        let (mut input, mut most) = (BytesMut::new(), 0);
        for (at, piece) in text.chunks(step).enumerate() {
            input.extend_from_slice(piece);
            let skipped = skip.go_on(&mut input);
            if skipped != Skipped::Partial {
                let fed = (at * step + piece.len()).min(text.len());
                return (skipped, fed - input.len());
            }
            most = most.max(input.len());
        }
        assert!(most <= TAIL + 1);
        (Skipped::Partial, text.len() - input.len())
    }

    #[test]
    fn a_literal_is_never_left_behind_as_a_command() {
        let text =
            b"rest of a very long line, longer than what is kept {12+}\r\na LOGOUT\r\n\r\n and {5}\r\nb NOOP\r\n";
        for step in 1..=text.len() {
            let (skipped, taken) = skip(Skip::line(1000), text, step);
            assert_eq!((skipped, &text[taken..]), (Skipped::Done, &b"b NOOP\r\n"[..]), "in steps of {step}");
        }
        let (skipped, taken) = skip(Skip::literal(4, 1000), b"x\r\ny\r\nb", 3);
        assert_eq!((skipped, taken), (Skipped::Done, 6));
    }

    #[test]
    fn what_does_not_end_is_not_followed() {
        for step in 1..40 {
            assert_eq!(
                skip(Skip::line(30), b"01234567890123456789012345678901234567890\r\n", step).0,
                Skipped::Endless
            );
            assert_eq!(skip(Skip::line(30), b"x {99+}\r\n", step).0, Skipped::Endless);
            assert_eq!(skip(Skip::line(30), b"x {000000000000000000001+}\r\n.\r\n", step).0, Skipped::Endless);
            assert_eq!(skip(Skip::line(30), b"0123456789012345678901234567\r\n", step).0, Skipped::Done);
        }
    }
}
