//! The message as it comes in: chunks for the application, counts and rules for the engine.

use bytes::{Bytes, BytesMut};

use crate::body::{Rules, Stop, Taken, Unstuff};
use crate::{Chunk, End, Octets, ServerConfig, Strays, Violation};

/// A message under way.
#[derive(Debug)]
pub(super) struct Intake {
    wire: Wire,
    unstuff: Unstuff,
    size: u64,
    octets: Octets,
    fate: Fate,
}

/// How the message comes.
#[derive(Clone, Copy, Debug)]
enum Wire {
    /// By DATA, up to the lone dot.
    Data,
    /// By BDAT: what of the chunk is still to come.
    Chunks { left: Chunk, rules: Strays },
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
    /// The end of a chunk that is not the last.
    ChunkEnd,
    /// The end of a good message.
    End(End),
    /// The end of a bad message, or of a chunk by which it went bad.
    Refused(Violation),
    /// A message by DATA that is too big by far.
    Flood,
}

impl Intake {
    /// A message by DATA.
    pub(super) const fn data() -> Self {
        Self::new(Wire::Data, Unstuff::data())
    }

    /// A message by BDAT. Each chunk is announced by [`expect`](Self::expect).
    pub(super) const fn chunks(rules: Strays) -> Self {
        Self::new(Wire::Chunks { left: Chunk { octets: 0, last: false }, rules }, Unstuff::chunks())
    }

    const fn new(wire: Wire, unstuff: Unstuff) -> Self {
        Self { wire, unstuff, size: 0, octets: Octets::SevenBit, fate: Fate::Wanted }
    }

    /// Octets of the message so far, as the application gets them, or would.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// The next chunk of BDAT begins.
    pub(super) const fn expect(&mut self, chunk: Chunk) {
        if let Wire::Chunks { left, .. } = &mut self.wire {
            *left = chunk;
        }
    }

    /// The application has seen enough.
    pub(super) fn discard(&mut self) {
        if self.fate == Fate::Wanted {
            self.fate = Fate::Unwanted;
        }
    }

    /// Takes what stands in `input` as far as one piece.
    pub(super) fn take(&mut self, input: &mut BytesMut, config: &ServerConfig) -> Piece {
        loop {
            let here = match self.wire {
                Wire::Data if self.size > flood(config) => return Piece::Flood,
                Wire::Data => input.len(),
                Wire::Chunks { left: chunk @ Chunk { octets: 0, .. }, .. } => return self.end_chunk(chunk, config),
                Wire::Chunks { left, .. } => usize::try_from(left.octets).unwrap_or(usize::MAX).min(input.len()),
            };
            if here == 0 {
                return Piece::NeedInput;
            }
            let before = input.len();
            let Taken { content, octets, stop } = self.unstuff.take(input, here, self.rules(config));
            if let Wire::Chunks { left, .. } = &mut self.wire {
                left.octets = left.octets.saturating_sub(before.saturating_sub(input.len()) as u64);
            }
            let content = self.count(content, octets, config);
            match stop {
                Stop::More => {}
                Stop::Fault(violation) => self.refuse(violation),
                Stop::End => return self.end(),
            }
            if let Some(content) = content {
                return Piece::Chunk(content);
            }
        }
    }

    fn end_chunk(&mut self, chunk: Chunk, config: &ServerConfig) -> Piece {
        match self.fate {
            Fate::Refused(violation) => return Piece::Refused(violation),
            Fate::Wanted | Fate::Unwanted if !chunk.last => return Piece::ChunkEnd,
            Fate::Wanted | Fate::Unwanted => {}
        }
        match self.unstuff.finish(self.rules(config)) {
            Err(violation) => self.refuse(violation),
            Ok(content) => {
                if let Some(content) = self.count(content, Octets::SevenBit, config) {
                    return Piece::Chunk(content);
                }
            }
        }
        self.end()
    }

    const fn end(&self) -> Piece {
        match self.fate {
            Fate::Wanted | Fate::Unwanted => Piece::End(End { size: self.size, octets: self.octets }),
            Fate::Refused(violation) => Piece::Refused(violation),
        }
    }

    const fn rules(&self, config: &ServerConfig) -> Rules {
        let longest_line = config.limits.body_line;
        match (self.fate, self.wire) {
            (Fate::Refused(_), _) => Rules::NONE,
            (Fate::Wanted | Fate::Unwanted, Wire::Data) => Rules { strays: config.data, longest_line },
            (Fate::Wanted | Fate::Unwanted, Wire::Chunks { rules, .. }) => Rules { strays: rules, longest_line },
        }
    }

    /// Counts `content`, and returns what of it the application is to see: nothing past the limit.
    fn count(&mut self, mut content: Bytes, octets: Octets, config: &ServerConfig) -> Option<Bytes> {
        let room = config.limits.message.saturating_sub(self.size);
        self.size = self.size.saturating_add(content.len() as u64);
        if octets == Octets::EightBit {
            self.octets = octets;
        }
        let wanted = self.fate == Fate::Wanted;
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(content.len());
        if fits < content.len() {
            self.refuse(Violation::MessageTooBig);
        }
        content.truncate(fits);
        (wanted && fits > 0).then_some(content)
    }

    /// The first rule that is broken decides.
    const fn refuse(&mut self, violation: Violation) {
        match self.fate {
            Fate::Wanted | Fate::Unwanted => self.fate = Fate::Refused(violation),
            Fate::Refused(_) => {}
        }
    }
}

/// So many octets end the connection.
fn flood(config: &ServerConfig) -> u64 {
    config.limits.message.saturating_mul(u64::from(config.limits.oversize_factor.max(1)))
}
