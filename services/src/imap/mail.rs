//! One message, read from the store as far as an answer needs.

use std::ops::Range;
use std::sync::Arc;

use mailstore::error::ReadError;
use mailstore::{Mailbox, Reader as _};

use super::budget::{Budget, Held};
use super::mime::{self, HEADER_MAX, Scanner, Tree};

/// A message that something is asked of.
#[derive(Debug)]
pub(super) struct Mail<'s, M> {
    pub(super) mailbox: &'s M,
    pub(super) budget: &'s Budget,
    pub(super) uid: u32,
    /// Its octets, all of them.
    pub(super) size: u64,
}

/// A message's header.
#[derive(Debug)]
pub(super) struct Header {
    /// Its octets, with the blank line, up to [`HEADER_MAX`].
    pub(super) octets: Vec<u8>,
    /// Where it ends, however long it is.
    pub(super) end: u64,
}

impl<M: Mailbox> Mail<'_, M> {
    /// Reads the header of the message, or of one within it: that which lies there, up to a blank line.
    pub(super) async fn header(&self, within: Range<u64>) -> Result<Header, ReadError> {
        let _held = self.budget.take(HEADER_MAX).await;
        let start = within.start;
        let mut reader = self.mailbox.read(self.uid, within).await?;
        let (mut octets, mut end, mut blank) = (Vec::new(), start, BlankLine::new());
        while let Some(chunk) = reader.next().await? {
            let (length, found) = match blank.find(&chunk) {
                Some(length) => (length, true),
                None => (chunk.len(), false),
            };
            let room = length.min(HEADER_MAX.saturating_sub(octets.len()));
            octets.extend_from_slice(chunk.get(..room).unwrap_or_default());
            end += length as u64;
            if found {
                break;
            }
            tokio::task::consume_budget().await;
        }
        Ok(Header { octets, end })
    }

    /// Takes the message apart. What comes with it is to be held for as long as the headers in it are.
    pub(super) async fn tree(&self) -> Result<(Tree, Held<'_>), ReadError> {
        let held = self.budget.take(mime::MEMORY_MAX).await;
        let mut scanner = Scanner::new();
        let mut reader = self.mailbox.read(self.uid, 0..self.size).await?;
        while let Some(chunk) = reader.next().await? {
            scanner.feed(&chunk);
            tokio::task::consume_budget().await;
        }
        Ok((scanner.finish(), held))
    }
}

/// A tree that was kept, with the message that it is of: clients fetch a message part by part.
pub(super) type Kept = Option<(u32, Arc<Tree>)>;

/// Finds the line without octets that ends a header, in pieces.
#[derive(Debug)]
struct BlankLine {
    at: At,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Start,
    BehindCr,
    Within,
}

impl BlankLine {
    const fn new() -> Self {
        Self { at: At::Start }
    }

    /// How many octets of this piece belong to the header, if it ends here.
    fn find(&mut self, octets: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(octet) = octets.get(at) {
            self.at = match (self.at, octet) {
                (At::Start | At::BehindCr, b'\n') => return Some(at.saturating_add(1)),
                (At::Start, b'\r') => At::BehindCr,
                (At::Start | At::BehindCr | At::Within, _) => {
                    match memchr::memchr(b'\n', octets.get(at..).unwrap_or_default()) {
                        Some(end) => {
                            at = at.saturating_add(end);
                            At::Start
                        }
                        None => {
                            self.at = At::Within;
                            return None;
                        }
                    }
                }
            };
            at = at.saturating_add(1);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_ends_at_its_first_blank_line() {
        for (text, end) in [
            ("A: b\r\n\r\nc\r\n\r\n", Some(8)),
            ("A: b\n\nc", Some(6)),
            ("\r\nbody", Some(2)),
            ("\n", Some(1)),
            ("A: b\r\n", None),
            ("A: b\r\n\rx\r\n", None),
            ("", None),
        ] {
            assert_eq!(BlankLine::new().find(text.as_bytes()), end, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_blank_line_is_found_however_the_octets_come(text in "[a\r\n]{0,24}", at in 0..24_usize) {
            let whole = BlankLine::new().find(text.as_bytes());
            let (one, two) = text.as_bytes().split_at(at.min(text.len()));
            let mut blank = BlankLine::new();
            let parts = blank.find(one).or_else(|| blank.find(two).map(|end| one.len() + end));
            prop_assert_eq!(whole, parts);
        }
    }
}
