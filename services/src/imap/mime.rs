//! Where the parts of a message lie (RFC 2045, RFC 2046), found in one pass over octets that come in pieces.
//!
//! Of a message nothing is held but its headers, and of those no more than the limits below. What goes beyond is not told
//! apart any more; its octets are still a part of what surrounds them. Lines of stored mail end with LF, with or without CR
//! before it: this is content, and nobody acts upon it.

use std::ops::Range;

use super::header::{Media, Unstated};

/// Parts of one message that are told apart, with those that hold others. Real mail has a few dozen.
pub(super) const PARTS_MAX: usize = 1000;

/// Parts within one another. Real mail nests less than ten deep.
pub(super) const DEPTH_MAX: usize = 50;

/// Octets of one header that are looked at. Long ones come from lists of recipients and from chains of relays.
pub(super) const HEADER_MAX: usize = 256 * 1024;

/// Octets of headers of one message that are held together.
const HEADERS_MAX: usize = 1024 * 1024;

/// Octets of a boundary. RFC 2046 §5.1.1 allows 70.
const BOUNDARY_MAX: usize = 200;

/// Octets of a body's line that are held: a boundary with its hyphens and some space behind it.
const LINE_KEPT: usize = BOUNDARY_MAX + 56;

/// Octets of memory that a scan may take at most: its headers, one line of a header, and the parts.
pub(super) const MEMORY_MAX: usize = HEADERS_MAX + HEADER_MAX + 256 * 1024;

/// A message, taken apart.
#[derive(Debug)]
pub(super) struct Tree {
    /// The first is the message itself. A part comes before those that it holds.
    parts: Vec<Part>,
}

/// One part, or the message itself, or a message within it.
#[derive(Debug)]
pub(super) struct Part {
    /// Where its header lies, with the blank line.
    pub(super) header: Range<u64>,
    /// Where its body lies.
    pub(super) body: Range<u64>,
    /// Line ends in its body.
    pub(super) lines: u64,
    /// What it holds.
    pub(super) holds: Holds,
    /// Its header's octets, as far as they are held; without the blank line.
    pub(super) fields: Vec<u8>,
    /// What it is where it does not say (RFC 2046 §5.1.5).
    pub(super) unstated: Unstated,
    depth: usize,
}

/// What a part holds.
#[derive(Debug)]
pub(super) enum Holds {
    /// Octets.
    Leaf,
    /// Parts, by their place in the tree.
    Parts(Vec<usize>),
    /// A message, by its place in the tree.
    Message(usize),
}

impl Tree {
    /// The message itself, or what lies at that place.
    pub(super) fn part(&self, index: usize) -> Option<&Part> {
        self.parts.get(index)
    }

    /// All parts, each before those that it holds.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter()
    }

    /// The part that a client numbers so (RFC 3501 §6.4.5).
    pub(super) fn numbered(&self, numbers: &[u32]) -> Option<&Part> {
        let mut part = self.part(0)?;
        let mut is_message = true;
        for number in numbers {
            // Parts are counted within a multipart, or within the message that a part holds.
            if !is_message {
                part = match &part.holds {
                    Holds::Leaf => return None,
                    Holds::Parts(_) => part,
                    Holds::Message(inner) => self.part(*inner)?,
                };
            }
            part = match &part.holds {
                Holds::Parts(parts) => self.part(*parts.get(usize::try_from(*number).ok()?.checked_sub(1)?)?)?,
                // RFC 3501 §6.4.5: every message has at least one part.
                Holds::Leaf | Holds::Message(_) if *number == 1 => part,
                Holds::Leaf | Holds::Message(_) => return None,
            };
            is_message = false;
        }
        Some(part)
    }

    /// The same without headers: where everything lies, for as long as one likes.
    pub(super) fn without_fields(mut self) -> Self {
        for part in &mut self.parts {
            part.fields = Vec::new();
        }
        self
    }
}

/// Takes a message apart, from its octets in order.
#[derive(Debug)]
pub(super) struct Scanner {
    parts: Vec<Part>,
    open: Vec<Open>,
    within: Within,
    /// The present line's beginning, as far as it is needed.
    line: Vec<u8>,
    line_at: u64,
    at: u64,
    /// Line ends so far.
    lines: u64,
    /// How many octets ended the line before: none at the start, CRLF two.
    ended_by: u64,
    before_last: u8,
    last: u8,
    header_room: usize,
}

/// A part whose end was not seen.
#[derive(Debug)]
struct Open {
    index: usize,
    /// Line ends before its body.
    lines_before: u64,
    /// What separates its parts; `None` if it has none, or when the last is over.
    boundary: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Header,
    Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Next,
    Last,
}

impl Scanner {
    pub(super) fn new() -> Self {
        let mut scanner = Self {
            parts: Vec::new(),
            open: Vec::new(),
            within: Within::Body,
            line: Vec::new(),
            line_at: 0,
            at: 0,
            lines: 0,
            ended_by: 0,
            before_last: 0,
            last: 0,
            header_room: HEADERS_MAX,
        };
        scanner.begin_part(0, 0, Unstated::Text);
        scanner
    }

    /// Takes the next octets.
    pub(super) fn feed(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end.saturating_add(1));
            self.take(line);
            self.end_line();
            rest = after;
        }
        self.take(rest);
    }

    /// Says what was found.
    pub(super) fn finish(mut self) -> Tree {
        if self.at > self.line_at {
            self.last_line();
        }
        while let Some(open) = self.open.pop() {
            self.close(&open, self.at, self.lines);
        }
        Tree { parts: self.parts }
    }

    fn take(&mut self, octets: &[u8]) {
        let most = match self.within {
            Within::Header => HEADER_MAX,
            Within::Body => LINE_KEPT,
        };
        let room = most.saturating_sub(self.line.len());
        self.line.extend_from_slice(octets.get(..room).unwrap_or(octets));
        self.at += octets.len() as u64;
        match octets {
            [.., before_last, last] => (self.before_last, self.last) = (*before_last, *last),
            [last] => (self.before_last, self.last) = (self.last, *last),
            [] => {}
        }
    }

    /// The present line has come to its LF.
    fn end_line(&mut self) {
        let with_cr = self.before_last == b'\r' && self.at - self.line_at > 1;
        let ended_by = if with_cr { 2 } else { 1 };
        let is_blank = self.at - self.line_at == ended_by;
        self.look(is_blank);
        self.lines += 1;
        if is_blank && self.within == Within::Header {
            self.end_header();
        }
        self.ended_by = ended_by;
        self.next_line();
    }

    /// What follows the last LF.
    fn last_line(&mut self) {
        self.look(false);
        self.next_line();
    }

    fn next_line(&mut self) {
        self.line.clear();
        self.line_at = self.at;
        // The part's first line has none before it that could belong to a boundary.
        (self.before_last, self.last) = (0, 0);
    }

    /// Looks at the line: a boundary ends parts, and what is in a header belongs to that.
    fn look(&mut self, is_blank: bool) {
        if let Some((level, mark)) = self.boundary() {
            // The line end before a boundary is the boundary's (RFC 2046 §5.1.1).
            let end = self.line_at.saturating_sub(self.ended_by);
            let lines = self.lines.saturating_sub(u64::from(self.ended_by > 0));
            for open in self.open.split_off(level.saturating_add(1)).into_iter().rev() {
                self.close(&open, end, lines);
            }
            self.within = Within::Body;
            match mark {
                Mark::Next => self.next_part(),
                Mark::Last => {
                    if let Some(open) = self.open.last_mut() {
                        open.boundary = None;
                    }
                }
            }
            return;
        }
        if self.within == Within::Header && !is_blank {
            let room = self.header_room;
            let Some(part) = self.open.last().and_then(|open| self.parts.get_mut(open.index)) else { return };
            let room = room.min(HEADER_MAX.saturating_sub(part.fields.len()));
            let taken = self.line.get(..room).unwrap_or(&self.line);
            part.fields.extend_from_slice(taken);
            self.header_room = self.header_room.saturating_sub(taken.len());
        }
    }

    /// Whose boundary the line is, if it is one. The innermost counts first.
    fn boundary(&self) -> Option<(usize, Mark)> {
        let line = self.line.strip_prefix(b"--")?.trim_ascii_end();
        let marks = |boundary: &[u8]| match line.strip_prefix(boundary)? {
            [] => Some(Mark::Next),
            b"--" => Some(Mark::Last),
            _ => None,
        };
        let mut levels = self.open.iter().enumerate().rev();
        levels.find_map(|(level, open)| Some((level, marks(open.boundary.as_deref()?)?)))
    }

    fn close(&mut self, open: &Open, end: u64, lines: u64) {
        let Some(part) = self.parts.get_mut(open.index) else { return };
        if part.body.start == UNKNOWN {
            // Its header was not ended.
            let end = end.max(part.header.start);
            part.header.end = end;
            part.body = end..end;
            return;
        }
        part.body.end = end.max(part.body.start);
        part.lines = lines.saturating_sub(open.lines_before);
    }

    /// Begins the next part of the multipart that is the innermost now.
    fn next_part(&mut self) {
        let Some(parent) = self.open.last().map(|open| open.index) else { return };
        let index = self.parts.len();
        if index >= PARTS_MAX {
            return;
        }
        let Some(part) = self.parts.get_mut(parent) else { return };
        let Holds::Parts(children) = &mut part.holds else { return };
        children.push(index);
        let depth = part.depth + 1;
        let is_digest = Media::of(&part.fields, part.unstated).is("multipart", Some("digest"));
        let unstated = if is_digest { Unstated::Message } else { Unstated::Text };
        self.begin_part(self.at, depth, unstated);
    }

    fn begin_part(&mut self, at: u64, depth: usize, unstated: Unstated) {
        let index = self.parts.len();
        let (header, body) = (at..at, UNKNOWN..UNKNOWN);
        self.parts.push(Part { header, body, lines: 0, holds: Holds::Leaf, fields: Vec::new(), unstated, depth });
        self.open.push(Open { index, lines_before: 0, boundary: None });
        self.within = Within::Header;
    }

    /// The innermost part's header is over; what it holds depends on its type.
    fn end_header(&mut self) {
        self.within = Within::Body;
        let next = self.parts.len();
        let Some(open) = self.open.last_mut() else { return };
        let Some(part) = self.parts.get_mut(open.index) else { return };
        open.lines_before = self.lines;
        part.header.end = self.at;
        part.body = self.at..self.at;
        let depth = part.depth + 1;
        if depth > DEPTH_MAX {
            return;
        }
        let media = Media::of(&part.fields, part.unstated);
        if media.is("multipart", None) {
            let boundary = media.parameter("boundary").filter(|boundary| (1..=BOUNDARY_MAX).contains(&boundary.len()));
            if let Some(boundary) = boundary {
                open.boundary = Some(boundary.to_vec());
                part.holds = Holds::Parts(Vec::new());
            }
        } else if media.is("message", Some("rfc822")) && next < PARTS_MAX {
            part.holds = Holds::Message(next);
            self.begin_part(self.at, depth, Unstated::Text);
        }
    }
}

/// Where a body begins whose header is not over.
const UNKNOWN: u64 = u64::MAX;

#[cfg(test)]
mod tests;
