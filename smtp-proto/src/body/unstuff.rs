//! Off the wire.

use alloc::vec::Vec;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memchr3;

use super::plain::{Marks, Plain, lane, plain};
use crate::{Octets, Stray, Strays, Violation};

/// Takes a message off the wire.
///
/// Nothing ends one by DATA but CRLF, dot, CRLF, where the 354 stands for the first CRLF. Nothing in one by BDAT ends it.
#[derive(Debug)]
pub(crate) struct Unstuff {
    at: At,
    line_start: At,
    /// Octets of the line so far. Counted only where lines have a limit.
    line: u64,
}

/// Where the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the start of a line, where a dot protects or ends.
    LineStart,
    /// Behind that dot, which is no part of the message.
    Dot,
    /// Behind a CR behind that dot: the end, or a lone CR.
    DotCr,
    Inside,
    /// Behind a CR: a line's end, or a lone CR.
    Cr,
}

/// What a message must not hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) strays: Strays,
    pub(crate) longest_line: u64,
}

/// What was taken.
pub(crate) struct Taken {
    /// A part of the message, which may be empty.
    pub(crate) content: Bytes,
    /// Whether that is all ASCII.
    pub(crate) octets: Octets,
    /// Why it is no more than that.
    pub(crate) stop: Stop,
}

/// Why [`Unstuff::take`] has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It has made progress; there may be more.
    More,
    /// The message has ended.
    End,
    /// What comes next breaks a rule. It is taken under other rules.
    Fault(Violation),
}

impl Unstuff {
    /// For a message by DATA.
    pub(crate) const fn data() -> Self {
        Self { at: At::LineStart, line_start: At::LineStart, line: 0 }
    }

    /// For a message by BDAT, whose lines begin as they go on: a dot there is a dot.
    pub(crate) const fn chunks() -> Self {
        Self { at: At::Inside, line_start: At::Inside, line: 0 }
    }

    /// Takes some of the first `here` octets of `input`: as they are, or what they become.
    pub(crate) fn take(&mut self, input: &mut BytesMut, here: usize, rules: Rules) -> Taken {
        let octets = input.get(..here).unwrap_or(input);
        let Plain { len, octets: kind } = self.plain(octets, rules);
        if len > 0 {
            let content = input.split_to(len).freeze();
            self.at = if content.ends_with(b"\r\n") { self.line_start } else { At::Inside };
            return Taken { content, octets: kind, stop: Stop::More };
        }
        let mut content = Vec::with_capacity(lane(octets).len());
        let (spent, stop) = self.rewrite(octets, rules, &mut content);
        input.advance(spent);
        let octets = if content.is_ascii() { Octets::SevenBit } else { Octets::EightBit };
        Taken { content: content.into(), octets, stop }
    }

    /// The message ends here, for all its octets are in: what was held back is a lone CR.
    pub(crate) fn finish(&mut self, rules: Rules) -> Result<Bytes, Violation> {
        let mut content = Vec::new();
        if self.at == At::Cr {
            self.lone_cr(rules, &mut content)?;
        }
        Ok(content.into())
    }

    /// The octets that are plain where they stand.
    fn plain(&self, octets: &[u8], rules: Rules) -> Plain {
        let before = match self.at {
            _ if rules.longest_line != u64::MAX => None,
            At::LineStart => Some(b'\n'),
            At::Inside => Some(b' '),
            At::Dot | At::DotCr | At::Cr => None,
        };
        match before {
            Some(before) => plain(before, octets, self.care(rules)),
            None => Plain { len: 0, octets: Octets::SevenBit },
        }
    }

    fn care(&self, rules: Rules) -> Marks {
        let Strays { cr, lf, nul } = rules.strays;
        let strays = if (cr, lf) == (Stray::Keep, Stray::Keep) { Marks::NONE } else { Marks::STRAY };
        let nul = if nul == Stray::Keep { Marks::NONE } else { Marks::NUL };
        let dots = if self.line_start == At::LineStart { Marks::DOT } else { Marks::NONE };
        strays.or(nul).or(dots)
    }

    /// Takes octets with care, as far as the next line from which on they are plain. Returns how many.
    fn rewrite(&mut self, octets: &[u8], rules: Rules, content: &mut Vec<u8>) -> (usize, Stop) {
        let mut spent = 0_usize;
        loop {
            let rest = octets.get(spent..).unwrap_or_default();
            let taken = match (self.at, rest, rest.get(..self.run(rest, rules))) {
                (_, [], _) => return (spent, Stop::More),
                // First what came before, so that there is one thing to tell.
                (At::DotCr, [b'\n', ..], _) if !content.is_empty() => return (spent, Stop::More),
                (At::DotCr, [b'\n', ..], _) => return (spent.saturating_add(1), Stop::End),
                (At::LineStart, ..) if spent > 0 && self.plain(lane(rest), rules).len > 0 => {
                    return (spent, Stop::More);
                }
                (_, _, Some(run @ [_, ..])) => self.put(run, rules, content).map(|()| run.len()),
                (_, [octet, ..], _) => self.octet(*octet, rules, content).map(|()| 1),
            };
            match taken {
                Ok(taken) => spent = spent.saturating_add(taken),
                Err(violation) => return (spent, Stop::Fault(violation)),
            }
        }
    }

    /// How many octets follow that a line may hold anywhere, and has room for.
    fn run(&self, octets: &[u8], rules: Rules) -> usize {
        match self.at {
            At::Inside => {
                let room = usize::try_from(rules.longest_line.saturating_sub(self.line)).unwrap_or(usize::MAX);
                memchr3(b'\r', b'\n', 0, octets).unwrap_or(octets.len()).min(room)
            }
            At::LineStart | At::Dot | At::DotCr | At::Cr => 0,
        }
    }

    fn octet(&mut self, octet: u8, rules: Rules, content: &mut Vec<u8>) -> Result<(), Violation> {
        if matches!(self.at, At::Cr | At::DotCr) && octet != b'\n' {
            self.lone_cr(rules, content)?;
        }
        self.at = match (self.at, octet) {
            (At::LineStart, b'.') => At::Dot,
            (At::Dot, b'\r') => At::DotCr,
            (_, b'\r') => At::Cr,
            (At::Cr, b'\n') => {
                self.put(b"\r\n", rules, content)?;
                self.line = 0;
                self.line_start
            }
            (_, b'\n') => {
                self.lone_lf(rules, content)?;
                At::Inside
            }
            (_, 0) => {
                self.nul(rules, content)?;
                At::Inside
            }
            (_, _) => {
                self.put(&[octet], rules, content)?;
                At::Inside
            }
        };
        Ok(())
    }

    fn lone_cr(&mut self, rules: Rules, content: &mut Vec<u8>) -> Result<(), Violation> {
        match rules.strays.cr {
            Stray::Keep => self.put(b"\r", rules, content)?,
            Stray::Normalize => self.put(b" ", rules, content)?,
            Stray::Reject => return Err(Violation::BareLineEnd),
        }
        self.at = At::Inside;
        Ok(())
    }

    fn lone_lf(&mut self, rules: Rules, content: &mut Vec<u8>) -> Result<(), Violation> {
        match rules.strays.lf {
            Stray::Keep => self.put(b"\n", rules, content),
            Stray::Normalize => {
                self.put(b"\r\n", rules, content)?;
                self.line = 0;
                Ok(())
            }
            Stray::Reject => Err(Violation::BareLineEnd),
        }
    }

    fn nul(&mut self, rules: Rules, content: &mut Vec<u8>) -> Result<(), Violation> {
        match rules.strays.nul {
            Stray::Keep => self.put(b"\0", rules, content),
            Stray::Normalize => Ok(()),
            Stray::Reject => Err(Violation::Nul),
        }
    }

    fn put(&mut self, octets: &[u8], rules: Rules, content: &mut Vec<u8>) -> Result<(), Violation> {
        self.line = self.line.saturating_add(octets.len() as u64);
        if self.line > rules.longest_line {
            return Err(Violation::BodyLineTooLong);
        }
        content.extend_from_slice(octets);
        Ok(())
    }
}

impl Rules {
    /// For a message that is only read to find its end.
    pub(crate) const NONE: Self = Self { strays: Strays::KEEP, longest_line: u64::MAX };
}
