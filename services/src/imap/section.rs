//! Which octets of a message a client asks for (RFC 3501 §6.4.5), and how they get to it.

use std::ops::Range;
use std::sync::Arc;

use imap_proto::{BodyItem, Partial, Section, SectionText};
use mailstore::error::ReadError;
use mailstore::{Mailbox, Reader};

use super::Conn;
use super::header::{self, Names};
use super::mail::{Header, Kept, Mail};
use super::mime::{Holds, Part, Tree};
use crate::convert::imap::NAME;
use crate::net::Fault;

/// What became of a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The client has it, or word that there is none.
    Whole,
    /// It began and could not be ended: so has the session.
    BrokenOff,
}

/// What `BODY[…]` asks for, ready to be sent.
#[derive(Debug)]
pub(super) enum Wanted<R> {
    /// So many octets, which the reader has next.
    There(R, u64),
    /// These octets.
    Made(Vec<u8>),
    /// There is no such part.
    None,
}

/// Where octets are that were asked for.
#[derive(Debug)]
enum Octets {
    /// They lie there.
    There(Range<u64>),
    /// They were put together.
    Made(Vec<u8>),
    /// There is no such part.
    None,
}

/// Finds what one `BODY[…]` asks for. `header` and `kept` remember what the next one may need too.
pub(super) async fn find<M: Mailbox>(
    mail: &Mail<'_, M>,
    header: &mut Option<Header>,
    kept: &mut Kept,
    item: &BodyItem,
) -> Result<Wanted<M::Reader>, ReadError> {
    match locate(mail, header, kept, &item.section).await? {
        Octets::There(range) => {
            let range = part_of(range, item.partial);
            if range.is_empty() {
                return Ok(Wanted::Made(Vec::new()));
            }
            let length = range.end - range.start;
            Ok(Wanted::There(mail.mailbox.read(mail.uid, range).await?, length))
        }
        Octets::Made(mut octets) => {
            let range = part_of(0..octets.len() as u64, item.partial);
            octets.truncate(usize::try_from(range.end).unwrap_or(usize::MAX));
            octets.drain(..usize::try_from(range.start).unwrap_or(usize::MAX).min(octets.len()));
            Ok(Wanted::Made(octets))
        }
        Octets::None => Ok(Wanted::None),
    }
}

/// Sends it.
pub(super) async fn send<R: Reader>(conn: &mut Conn, wanted: Wanted<R>, item: &BodyItem) -> Result<Sent, Fault> {
    match wanted {
        Wanted::There(reader, length) => return stream(conn, reader, length, item).await,
        Wanted::Made(octets) => conn.speak(|engine, _, out| {
            engine.begin_literal(item, octets.len() as u64, out)?;
            engine.body(&octets, out)?;
            engine.end_body()
        })?,
        Wanted::None => conn.speak(|engine, _, out| engine.fetch_nil(item, out))?,
    }
    Ok(Sent::Whole)
}

/// Says where the octets of a section lie.
async fn locate<M: Mailbox>(
    mail: &Mail<'_, M>,
    header: &mut Option<Header>,
    kept: &mut Kept,
    section: &Section,
) -> Result<Octets, ReadError> {
    let is_whole = section.part.is_empty();
    if is_whole && section.text == SectionText::All {
        return Ok(Octets::There(0..mail.size));
    }
    if is_whole {
        let header = match header {
            Some(header) => header,
            None => header.insert(mail.header(0..mail.size).await?),
        };
        return Ok(match &section.text {
            SectionText::All => Octets::There(0..mail.size),
            SectionText::Header => Octets::There(0..header.end),
            SectionText::Text => Octets::There(header.end..mail.size),
            SectionText::HeaderFields(names) => Octets::Made(header::select(&header.octets, Names::These(names))),
            SectionText::HeaderFieldsNot(names) => Octets::Made(header::select(&header.octets, Names::AllBut(names))),
            SectionText::Mime => Octets::None,
        });
    }
    let tree = match kept {
        Some((uid, tree)) if *uid == mail.uid => Arc::clone(tree),
        Some(_) | None => {
            let tree = Arc::new(mail.tree().await?.0.without_fields());
            *kept = Some((mail.uid, Arc::clone(&tree)));
            tree
        }
    };
    let Some(part) = tree.numbered(&section.part) else { return Ok(Octets::None) };
    Ok(match &section.text {
        SectionText::All => Octets::There(part.body.clone()),
        SectionText::Mime => Octets::There(part.header.clone()),
        SectionText::Header => inner(&tree, part).map_or(Octets::None, |inner| Octets::There(inner.header.clone())),
        SectionText::Text => inner(&tree, part).map_or(Octets::None, |inner| Octets::There(inner.body.clone())),
        SectionText::HeaderFields(names) => fields(mail, &tree, part, Names::These(names)).await?,
        SectionText::HeaderFieldsNot(names) => fields(mail, &tree, part, Names::AllBut(names)).await?,
    })
}

/// The message that a part holds. RFC 3501 §6.4.5: only such a part has a header of that kind, and a text.
fn inner<'t>(tree: &'t Tree, part: &Part) -> Option<&'t Part> {
    match &part.holds {
        Holds::Message(index) => tree.part(*index),
        Holds::Leaf | Holds::Parts(_) => None,
    }
}

async fn fields<M: Mailbox>(
    mail: &Mail<'_, M>,
    tree: &Tree,
    part: &Part,
    names: Names<'_>,
) -> Result<Octets, ReadError> {
    let Some(inner) = inner(tree, part) else { return Ok(Octets::None) };
    let header = mail.header(inner.header.clone()).await?;
    Ok(Octets::Made(header::select(&header.octets, names)))
}

/// RFC 3501 §6.4.5: what lies beyond the end is not there, and that is no error.
fn part_of(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(Partial { offset, length }) = partial else { return range };
    let start = range.start.saturating_add(offset).min(range.end);
    start..start.saturating_add(u64::from(length.get())).min(range.end)
}

/// Passes octets on while the client takes them.
async fn stream<R: Reader>(conn: &mut Conn, mut reader: R, length: u64, item: &BodyItem) -> Result<Sent, Fault> {
    conn.speak(|engine, _, out| engine.begin_literal(item, length, out))?;
    let mut left = length;
    while left > 0 {
        let chunk = match reader.next().await {
            Ok(Some(chunk)) if chunk.len() as u64 <= left => chunk,
            // So many octets were promised, and there are not.
            outcome => {
                tracing::error!(service = NAME, error = ?outcome.err(), "a message is not what it was");
                conn.speak(|engine, _, _| engine.abort());
                return Ok(Sent::BrokenOff);
            }
        };
        left -= chunk.len() as u64;
        conn.speak(|engine, _, out| engine.body(&chunk, out))?;
        conn.drain().await?;
    }
    conn.speak(|engine, _, _| engine.end_body())?;
    Ok(Sent::Whole)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_partial_ends_where_the_octets_end() {
        let partial = |offset, length| Some(Partial { offset, length: NonZeroU32::new(length).unwrap() });
        assert_eq!(part_of(10..20, None), 10..20);
        assert_eq!(part_of(10..20, partial(0, 4)), 10..14);
        assert_eq!(part_of(10..20, partial(4, 100)), 14..20);
        assert_eq!(part_of(10..20, partial(11, 1)), 20..20);
        assert_eq!(part_of(10..20, partial(u64::MAX, u32::MAX)), 20..20);
    }
}
