//! A message on the wire: lines, the dots that protect them, the lone dot that ends them (RFC 5321 §4.5.2).

use bytes::BytesMut;
use memchr::memchr3;

use crate::{Misuse, Stray, Strays, Violation};

/// Where the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    Inside,
}

/// Takes a message off the wire.
///
/// Nothing ends it but CRLF, dot, CRLF, where the 354 stands for the first CRLF. What cannot be told yet (a CR; a dot at a
/// line's start) is left in the input, so that no state splits a line end in two.
#[derive(Debug)]
pub(crate) struct Unstuff {
    at: At,
    line: u64,
}

/// What a message must not hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) strays: Strays,
    pub(crate) longest_line: u64,
}

impl Rules {
    /// For a message that is only read to find its end.
    pub(crate) const NONE: Self = Self { strays: Strays::KEEP, longest_line: u64::MAX };

    /// The width of a NUL, where it may be.
    const fn nul(self) -> Result<usize, Violation> {
        match self.strays.nul {
            Stray::Keep | Stray::Normalize => Ok(1),
            Stray::Reject => Err(Violation::Nul),
        }
    }

    /// The width of a lone CR or LF, where it may be.
    const fn bare_line_end(self) -> Result<usize, Violation> {
        match self.strays.lf {
            Stray::Keep | Stray::Normalize => Ok(1),
            Stray::Reject => Err(Violation::BareLineEnd),
        }
    }
}

/// What [`Unstuff::scan`] found at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// So many octets are the message's; dots have been taken out.
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
    /// The message has ended; nothing of it was left.
    End,
    /// The octet behind the content breaks a rule.
    Fault(Violation),
}

/// Moves runs of octets together, so that what lies between them is gone.
struct Compact {
    run: usize,
    end: usize,
}

impl Compact {
    /// Ends the run at `to`, begins the next at `next`.
    fn skip(&mut self, octets: &mut [u8], to: usize, next: usize) {
        if self.run != self.end && self.run < to {
            octets.copy_within(self.run..to, self.end);
        }
        self.end = self.end.saturating_add(to.saturating_sub(self.run));
        self.run = next;
    }
}

impl Unstuff {
    pub(crate) const fn new() -> Self {
        Self { at: At::LineStart, line: 0 }
    }

    /// Looks at `input` as far as it can be told what it is, in one pass. Octets move only where dots were taken out.
    pub(crate) fn scan(&mut self, input: &mut BytesMut, rules: Rules) -> Scanned {
        let octets = &mut input[..];
        let mut compact = Compact { run: 0, end: 0 };
        let mut at = 0_usize;
        let stop = loop {
            let rest = octets.get(at..).unwrap_or_default();
            match (self.at, rest) {
                (_, []) | (At::LineStart, [b'.'] | [b'.', b'\r']) => break Stop::More,
                // First what came before, so that every scan has one thing to tell.
                (At::LineStart, [b'.', b'\r', b'\n', ..]) if at > 0 => break Stop::More,
                (At::LineStart, [b'.', b'\r', b'\n', ..]) => return Scanned { content: 0, spent: 3, stop: Stop::End },
                (At::LineStart, [b'.', ..]) => {
                    let behind = at.saturating_add(1);
                    compact.skip(octets, at, behind);
                    at = behind;
                    self.at = At::Inside;
                    continue;
                }
                (At::LineStart | At::Inside, _) => self.at = At::Inside,
            }
            // One hit a line, in messages as they should be.
            let run = memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
            let (width, ends_line) = match rest.get(run..).unwrap_or_default() {
                [] | [b'\r'] => (Ok(0), false),
                [b'\r', b'\n', ..] => (Ok(2), true),
                [0, ..] => (rules.nul(), false),
                [..] => (rules.bare_line_end(), false),
            };
            let more = run.saturating_add(width.unwrap_or(0));
            if let Some(fits) = self.overlong(more, rules) {
                // Never between CR and LF: what follows must still be seen to begin a line.
                at = at.saturating_add(fits.min(run));
                break Stop::Fault(Violation::BodyLineTooLong);
            }
            at = at.saturating_add(more);
            self.line = if ends_line { 0 } else { self.line.saturating_add(more as u64) };
            match width {
                Ok(0) => break Stop::More,
                Ok(_) if ends_line => self.at = At::LineStart,
                Ok(_) => {}
                Err(fault) => break Stop::Fault(fault),
            }
        };
        compact.skip(octets, at, at);
        Scanned { content: compact.end, spent: at.saturating_sub(compact.end), stop }
    }

    /// How many of `more` octets still fit into the line, if not all do.
    fn overlong(&self, more: usize, rules: Rules) -> Option<usize> {
        let room = rules.longest_line.saturating_sub(self.line);
        usize::try_from(room).ok().filter(|room| *room < more)
    }
}

/// Puts a message on the wire: protects its lines, and lets no lone CR or LF through.
#[derive(Debug)]
pub(crate) struct Stuff {
    at: StuffAt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StuffAt {
    LineStart,
    Inside,
    /// Behind a CR, which is held back until its LF comes.
    Cr,
}

impl Stuff {
    pub(crate) const fn new() -> Self {
        Self { at: StuffAt::LineStart }
    }

    /// Appends `octets` to `out`; or nothing, and `Err`, if they hold a lone CR or LF.
    pub(crate) fn write(&mut self, octets: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        self.check(octets)?;
        let Some(last) = octets.last() else { return Ok(()) };
        out.reserve(octets.len().saturating_add(2));
        if self.at == StuffAt::Cr {
            out.extend_from_slice(b"\r");
        }
        let held = usize::from(*last == b'\r');
        let mut rest = octets.get(..octets.len().saturating_sub(held)).unwrap_or_default();
        if self.at == StuffAt::LineStart && rest.first() == Some(&b'.') {
            out.extend_from_slice(b".");
        }
        while let Some(dot) = memchr::memmem::find(rest, b"\n.") {
            let Some((before, behind)) = rest.split_at_checked(dot.saturating_add(1)) else { break };
            out.extend_from_slice(before);
            out.extend_from_slice(b".");
            rest = behind;
        }
        out.extend_from_slice(rest);
        self.at = match last {
            b'\r' => StuffAt::Cr,
            b'\n' => StuffAt::LineStart,
            _ => StuffAt::Inside,
        };
        Ok(())
    }

    /// Appends the lone dot, behind a CRLF if the message has not ended with one: DATA cannot carry a last line without.
    pub(crate) fn finish(&self, out: &mut BytesMut) -> Result<(), Misuse> {
        match self.at {
            StuffAt::LineStart => out.extend_from_slice(b".\r\n"),
            StuffAt::Inside => out.extend_from_slice(b"\r\n.\r\n"),
            StuffAt::Cr => return Err(Misuse::BareLineEnd),
        }
        Ok(())
    }

    /// Every LF must have its CR, and there must be no other CR: so as many of one as of the other.
    fn check(&self, octets: &[u8]) -> Result<(), Misuse> {
        let Some(last) = octets.last() else { return Ok(()) };
        let mut lines = 0_usize;
        for end in memchr::memchr_iter(b'\n', octets) {
            let behind_cr = match end.checked_sub(1) {
                Some(before) => octets.get(before) == Some(&b'\r'),
                None => self.at == StuffAt::Cr,
            };
            if !behind_cr {
                return Err(Misuse::BareLineEnd);
            }
            lines = lines.saturating_add(1);
        }
        let held_before = usize::from(self.at == StuffAt::Cr);
        let held_now = usize::from(*last == b'\r');
        let returns = memchr::memchr_iter(b'\r', octets).count().saturating_add(held_before);
        if returns == lines.saturating_add(held_now) { Ok(()) } else { Err(Misuse::BareLineEnd) }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use bytes::Buf as _;

    use super::*;

    fn stuffed(pieces: &[&[u8]]) -> Result<Vec<u8>, Misuse> {
        let (mut stuff, mut out) = (Stuff::new(), BytesMut::new());
        for piece in pieces {
            stuff.write(piece, &mut out)?;
        }
        stuff.finish(&mut out)?;
        Ok(out.to_vec())
    }

    fn unstuffed(wire: &[u8]) -> Vec<u8> {
        let (mut unstuff, mut input, mut message) = (Unstuff::new(), BytesMut::from(wire), vec![]);
        loop {
            let Scanned { content, spent, stop } = unstuff.scan(&mut input, Rules::NONE);
            message.extend_from_slice(&input.split_to(content));
            input.advance(spent);
            match stop {
                Stop::End if input.is_empty() => return message,
                Stop::End | Stop::Fault(_) => panic!("{wire:?}"),
                Stop::More => {}
            }
        }
    }

    #[test]
    fn what_is_stuffed_is_unstuffed_and_what_cannot_be_is_refused() {
        let alphabet = b".\r\nx";
        for length in 0..=6_u32 {
            for n in 0..alphabet.len().pow(length) {
                let text: Vec<u8> = (0..length).map(|i| alphabet[n / alphabet.len().pow(i) % alphabet.len()]).collect();
                let whole = stuffed(&[&text]);
                for cut in 0..=text.len() {
                    let (a, b) = text.split_at(cut);
                    assert_eq!(stuffed(&[a, b]), whole, "{text:?} cut at {cut}");
                }
                let octets: Vec<&[u8]> = text.chunks(1).collect();
                assert_eq!(stuffed(&octets), whole, "{text:?}");
                let without_line_ends: Vec<u8> = {
                    let mut rest = text.clone();
                    while let Some(at) = memchr::memmem::find(&rest, b"\r\n") {
                        rest.splice(at..at + 2, *b"__");
                    }
                    rest
                };
                let bare = without_line_ends.iter().any(|octet| matches!(octet, b'\r' | b'\n'));
                match whole {
                    Err(misuse) => assert!(bare && misuse == Misuse::BareLineEnd, "{text:?}"),
                    Ok(wire) => {
                        assert!(!bare, "{text:?}");
                        let missing = if text.is_empty() || text.ends_with(b"\r\n") { &b""[..] } else { b"\r\n" };
                        assert_eq!(unstuffed(&wire), [&text, missing].concat(), "{text:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_refused_piece_leaves_nothing_behind() {
        let (mut stuff, mut out) = (Stuff::new(), BytesMut::new());
        assert_eq!(stuff.write(b"good\r\nbad\nend", &mut out), Err(Misuse::BareLineEnd));
        assert_eq!(out, "");
        stuff.write(b".good\r\n", &mut out).unwrap();
        assert_eq!(out, "..good\r\n");
    }
}
