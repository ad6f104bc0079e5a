//! The message as it comes in: chunks for the application, counts and rules for the engine.

use bytes::{Buf, Bytes, BytesMut};

use crate::body::{Rules, Scanned, Stop, Unstuff};
use crate::{End, Octets, ServerConfig, Violation};

/// A message under way.
#[derive(Debug)]
pub(super) struct Intake {
    unstuff: Unstuff,
    size: u64,
    octets: Octets,
    fate: Fate,
}

/// What becomes of the message's octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// They go to the application.
    Wanted,
    /// The application has seen enough; it decides at the end.
    Unwanted,
    /// They broke a rule, and are read only to find their end.
    Refused(Violation),
}

/// What came in.
pub(super) enum Piece {
    /// Octets for the application, never none.
    Chunk(Bytes),
    /// Nothing yet.
    NeedInput,
    /// The end of a good message.
    End(End),
    /// The end of a bad one.
    Refused(Violation),
    /// A message that is too big by far.
    Flood,
}

impl Intake {
    pub(super) const fn new() -> Self {
        Self { unstuff: Unstuff::new(), size: 0, octets: Octets::SevenBit, fate: Fate::Wanted }
    }

    /// The application has seen enough.
    pub(super) fn discard(&mut self) {
        if self.fate == Fate::Wanted {
            self.fate = Fate::Unwanted;
        }
    }

    /// Takes what stands in `input` as far as one piece.
    pub(super) fn take(&mut self, input: &mut BytesMut, config: &ServerConfig) -> Piece {
        let flood = config.limits.message.saturating_mul(u64::from(config.limits.oversize_factor.max(1)));
        loop {
            if self.size > flood {
                return Piece::Flood;
            }
            let rules = match self.fate {
                Fate::Wanted | Fate::Unwanted => Rules { strays: config.data, longest_line: config.limits.body_line },
                Fate::Refused(_) => Rules::NONE,
            };
            let Scanned { content, spent, stop } = self.unstuff.scan(input, rules);
            let idle = content == 0 && spent == 0;
            let content = input.split_to(content).freeze();
            input.advance(spent);
            let chunk = self.count(content, config);
            match (stop, self.fate) {
                (Stop::End, Fate::Refused(violation)) => return Piece::Refused(violation),
                (Stop::End, Fate::Wanted | Fate::Unwanted) => {
                    return Piece::End(End { size: self.size, octets: self.octets });
                }
                (Stop::Fault(violation), Fate::Wanted | Fate::Unwanted) => self.fate = Fate::Refused(violation),
                (Stop::Fault(_), Fate::Refused(_)) | (Stop::More, _) => {}
            }
            match chunk {
                Some(chunk) => return Piece::Chunk(chunk),
                None if idle && stop == Stop::More => return Piece::NeedInput,
                None => {}
            }
        }
    }

    /// Counts `content`, and returns what of it the application is to see: nothing past the limit.
    fn count(&mut self, mut content: Bytes, config: &ServerConfig) -> Option<Bytes> {
        let room = config.limits.message.saturating_sub(self.size);
        self.size = self.size.saturating_add(content.len() as u64);
        let wanted = match self.fate {
            Fate::Refused(_) => return None,
            Fate::Wanted => true,
            Fate::Unwanted => false,
        };
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(content.len());
        if fits < content.len() {
            self.fate = Fate::Refused(Violation::MessageTooBig);
        }
        if self.octets == Octets::SevenBit && !content.is_ascii() {
            self.octets = Octets::EightBit;
        }
        content.truncate(fits);
        (wanted && fits > 0).then_some(content)
    }
}
