//! An answer of several lines, behind its first.

use bytes::{Buf, BytesMut};

use super::{ClientEvent, Ticket};
use crate::body::{Scanned, Stop, Unstuff};
use crate::frame::Replies;
use crate::{Capabilities, ClientConfig, ScanListing, UniqueId, Violation};

/// An answer under way.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) to: Ticket,
    content: Content,
    /// Lines of which nobody was told.
    untold: u32,
    /// Octets since the deadline was set.
    pub(super) came: usize,
}

/// What it holds.
#[derive(Debug)]
pub(super) enum Content {
    Text(Unstuff),
    Lines(Lines),
}

/// What its lines are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lines {
    Capabilities,
    Sizes,
    UniqueIds,
}

/// What came.
#[derive(Debug)]
pub(super) enum Piece {
    Event(ClientEvent),
    /// A line of which nobody is told.
    Untold,
    /// The end of the answer.
    End,
    /// Nothing: it is not complete.
    Nothing,
}

impl Answer {
    pub(super) const fn new(to: Ticket, content: Content) -> Self {
        Self { to, content, untold: 0, came: 0 }
    }

    /// Takes what stands in `input` as far as one piece.
    ///
    /// # Errors
    /// Where it passes a limit.
    pub(super) fn take(
        &mut self,
        replies: &mut Replies,
        offers: &mut Capabilities,
        config: &ClientConfig,
        input: &mut BytesMut,
    ) -> Result<Piece, Violation> {
        let lines = match &mut self.content {
            Content::Text(unstuff) => return Ok(take_text(unstuff, config, input)),
            Content::Lines(lines) => *lines,
        };
        let Some(line) = replies.next(input, config.limits.line, config.line_ends)? else { return Ok(Piece::Nothing) };
        let line = match line.strip_prefix(b".") {
            Some([]) => return Ok(Piece::End),
            Some(undoubled) => undoubled,
            None => &line,
        };
        let event = match lines {
            Lines::Capabilities => {
                offers.add(line);
                None
            }
            Lines::Sizes => ScanListing::parse(line).ok().map(ClientEvent::Size),
            Lines::UniqueIds => UniqueId::parse(line)
                .ok()
                .map(|UniqueId { number, uidl }| ClientEvent::UniqueId { number, uidl: uidl.into() }),
        };
        if let Some(event) = event {
            return Ok(Piece::Event(event));
        }
        self.untold = self.untold.saturating_add(1);
        if self.untold > config.limits.untold_lines { Err(Violation::TooManyLines) } else { Ok(Piece::Untold) }
    }
}

fn take_text(unstuff: &mut Unstuff, config: &ClientConfig, input: &mut BytesMut) -> Piece {
    let Scanned { content, spent, stop } = unstuff.scan(input, config.line_ends);
    let chunk = input.split_to(content).freeze();
    input.advance(spent);
    match stop {
        Stop::End => Piece::End,
        Stop::More if chunk.is_empty() => Piece::Nothing,
        Stop::More => Piece::Event(ClientEvent::Chunk(chunk)),
    }
}
