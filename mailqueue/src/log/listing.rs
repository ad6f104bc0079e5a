//! What a segment has in it, in short: enough to open the log without reading its records. A footer has it on disk.

use crate::{MessageId, Wake};

use super::codec::{CHUNK_HEAD, Fate, Head, Link, Place, place, put_place, read_head, read_link};
use super::format::{Kind, record_size};
use super::wire::{Input, put_count, put_numbers, put_option, put_u32, put_u64, put_wake};

/// The most octets that an entry takes without its lists.
const ENTRY: usize = 72;

/// One record of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Message(Letter),
    Facts(Linked),
    /// Octets of a message whose record is not in this segment, or that never was committed.
    Chunk {
        id: MessageId,
        octets: u32,
    },
    Rules {
        offset: u32,
        octets: u32,
    },
    /// A newer version wrote it.
    Unknown {
        kind: u16,
    },
}

/// A message record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) id: MessageId,
    pub(super) offset: u32,
    /// Of the record, and of the chunks in this segment.
    pub(super) octets: u32,
    /// Of the chunks in other segments.
    pub(super) elsewhere: Vec<(u64, u32)>,
    pub(super) wake: Wake,
    /// Other segments with records that this one overrules.
    pub(super) over: Vec<u64>,
    pub(super) beside: Option<Linked>,
}

/// Facts, in a record of their own or beside a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Linked {
    pub(super) link: Link,
    /// Of the record.
    pub(super) offset: u32,
    pub(super) octets: u32,
}

impl Entry {
    /// The most octets of an entry without lists.
    pub(super) const AVERAGE: usize = ENTRY;

    /// What there is to say of a record, if anything. `payload` is whole.
    pub(super) fn of_record(kind: Kind, payload: &[u8], at: Place) -> Option<Self> {
        let unknown = || Some(Self::Unknown { kind: kind.number() });
        let octets = record_size(payload.len()) as u32;
        match kind {
            Kind::Chunk => match Input(payload).id() {
                Some(id) => Some(Self::Chunk { id, octets }),
                None => unknown(),
            },
            Kind::Message => match read_head(payload) {
                Some(head) => Some(Self::Message(Letter::new(head, at, payload.len()))),
                None => unknown(),
            },
            Kind::Facts => match read_link(payload) {
                Some(link) => Some(Self::Facts(Linked { link, offset: at.offset, octets })),
                None => unknown(),
            },
            Kind::Rules => Some(Self::Rules { offset: at.offset, octets }),
            Kind::Footer | Kind::Filler => None,
            Kind::Unknown(_) => unknown(),
        }
    }

    /// The most octets that [`Entry::put`] may append.
    pub(super) fn bound(&self) -> usize {
        match self {
            Self::Message(letter) => {
                let beside = letter.beside.as_ref().map_or(0, Linked::bound);
                ENTRY + letter.over.len() * 8 + letter.elsewhere.len() * 12 + beside
            }
            Self::Facts(linked) => linked.bound(),
            Self::Chunk { .. } | Self::Rules { .. } | Self::Unknown { .. } => ENTRY,
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Message(letter) => {
                out.push(0);
                letter.put(out);
            }
            Self::Facts(linked) => {
                out.push(1);
                linked.put(out);
            }
            Self::Chunk { id, octets } => {
                out.push(2);
                out.extend_from_slice(&id.to_bytes());
                put_u32(out, *octets);
            }
            Self::Rules { offset, octets } => {
                out.push(3);
                put_u32(out, *offset);
                put_u32(out, *octets);
            }
            Self::Unknown { kind } => {
                out.push(4);
                out.extend_from_slice(&kind.to_le_bytes());
            }
        }
    }

    fn read(input: &mut Input<'_>) -> Option<Self> {
        match input.u8()? {
            0 => Letter::read(input).map(Self::Message),
            1 => Linked::read(input).map(Self::Facts),
            2 => Some(Self::Chunk { id: input.id()?, octets: input.u32()? }),
            3 => Some(Self::Rules { offset: input.u32()?, octets: input.u32()? }),
            4 => Some(Self::Unknown { kind: input.u16()? }),
            _ => None,
        }
    }

    /// Reads a whole list. `None`: this version cannot read it, and has to look at the records.
    pub(super) fn read_all(listing: &[u8]) -> Option<Vec<Self>> {
        let mut input = Input(listing);
        let mut entries = Vec::with_capacity(listing.len() / ENTRY);
        while !input.0.is_empty() {
            entries.push(Self::read(&mut input)?);
        }
        Some(entries)
    }
}

impl Letter {
    /// `length` is that of the record's payload.
    pub(super) fn new(head: Head, at: Place, length: usize) -> Self {
        let mut octets = record_size(length) as u32;
        let mut elsewhere: Vec<(u64, u32)> = Vec::new();
        for chunk in &head.chunks {
            let size = record_size(CHUNK_HEAD.saturating_add(chunk.length as usize)) as u32;
            let sum = if chunk.place.segment == at.segment {
                &mut octets
            } else {
                if elsewhere.last().is_none_or(|(segment, _)| *segment != chunk.place.segment) {
                    elsewhere.push((chunk.place.segment, 0));
                }
                let Some((_, sum)) = elsewhere.last_mut() else { continue };
                sum
            };
            *sum = sum.saturating_add(size);
        }
        let Head { id, wake, over, beside, .. } = head;
        // Counted once more apart from its message, which may move while the facts are still needed here.
        let beside = beside.map(|link| Linked { link, offset: at.offset, octets: record_size(0) as u32 });
        Self { id, offset: at.offset, octets, elsewhere, wake, over, beside }
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_bytes());
        put_u32(out, self.offset);
        put_u32(out, self.octets);
        put_count(out, self.elsewhere.len());
        for (segment, octets) in &self.elsewhere {
            put_u64(out, *segment);
            put_u32(out, *octets);
        }
        put_wake(out, self.wake);
        put_numbers(out, &self.over);
        put_option(out, self.beside.as_ref(), |out, beside| beside.put(out));
    }

    fn read(input: &mut Input<'_>) -> Option<Self> {
        Some(Self {
            id: input.id()?,
            offset: input.u32()?,
            octets: input.u32()?,
            elsewhere: input.list(12, |input| Some((input.u64()?, input.u32()?)))?,
            wake: input.wake()?,
            over: input.numbers()?,
            beside: input.option(Linked::read)?,
        })
    }
}

impl Linked {
    fn bound(&self) -> usize {
        ENTRY + 8 * self.over().len()
    }

    /// Segments that these facts keep from coming back to life.
    pub(super) fn over(&self) -> &[u64] {
        match &self.link.fate {
            Fate::Open => &[],
            Fate::Done { over } => over,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.link.id.to_bytes());
        put_u32(out, self.offset);
        put_u32(out, self.octets);
        put_place(out, self.link.previous);
        put_u32(out, self.link.depth);
        match &self.link.fate {
            Fate::Open => {
                out.push(0);
                put_wake(out, self.link.wake);
            }
            Fate::Done { over } => {
                out.push(1);
                put_numbers(out, over);
            }
        }
    }

    fn read(input: &mut Input<'_>) -> Option<Self> {
        let id = input.id()?;
        let (offset, octets) = (input.u32()?, input.u32()?);
        let previous = place(input)?;
        let depth = input.u32()?;
        let (wake, fate) = match input.u8()? {
            0 => (input.wake()?, Fate::Open),
            1 => (Wake::Now, Fate::Done { over: input.numbers()? }),
            _ => return None,
        };
        Some(Self { link: Link { id, previous, depth, wake, fate }, offset, octets })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::UnixMicros;
    use crate::log::codec::Location;

    fn head(chunks: Vec<Location>, over: Vec<u64>, beside: Option<Link>) -> Head {
        let id = MessageId::new(UnixMicros(1), 2);
        let wake = Wake::After { since: UnixMicros(5), wait: std::time::Duration::from_micros(6) };
        Head { id, wake, over, chunks, beside }
    }

    fn link(over: Option<Vec<u64>>) -> Link {
        let fate = over.map_or(Fate::Open, |over| Fate::Done { over });
        let previous = Place { segment: 9, offset: 64 };
        Link { id: MessageId::new(UnixMicros(3), 4), previous, depth: 5, wake: Wake::Now, fate }
    }

    #[test]
    fn chunks_are_counted_by_segment() {
        let at = |segment, length| Location { place: Place { segment, offset: 64 }, length };
        let head = head(vec![at(1, 100), at(1, 8), at(2, 10), at(3, 20)], vec![], None);
        let letter = Letter::new(head, Place { segment: 3, offset: 640 }, 300);
        assert_eq!(letter.elsewhere, [(1, 152 + 56), (2, 64)]);
        assert_eq!(letter.octets, 336 + 72);
    }

    proptest! {
        #[test]
        fn entries_read_as_they_were_written(
            chunks in prop::collection::vec((0_u64..4, 1_u32..9999), 0..6),
            over in prop::collection::vec(any::<u64>(), 0..3),
            gone in prop::option::of(prop::collection::vec(any::<u64>(), 0..3)),
            with in any::<bool>(),
        ) {
            let location = |(segment, length)| Location { place: Place { segment, offset: 64 }, length };
            let chunks = chunks.into_iter().map(location).collect();
            let linked = Linked { link: link(gone), offset: 72, octets: 88 };
            let head = head(chunks, over, with.then(|| linked.link.clone()));
            let id = head.id;
            let entries = vec![
                Entry::Message(Letter::new(head, Place { segment: 3, offset: 640 }, 300)),
                Entry::Chunk { id, octets: 7 },
                Entry::Facts(linked),
                Entry::Rules { offset: 8, octets: 9 },
                Entry::Unknown { kind: 77 },
            ];
            let mut listing = Vec::new();
            for entry in &entries {
                let before = listing.len();
                entry.put(&mut listing);
                prop_assert!(listing.len() - before <= entry.bound());
            }
            prop_assert_eq!(Entry::read_all(&listing), Some(entries));
            for cut in 1..listing.len() {
                if let Some(fewer) = Entry::read_all(&listing[..cut]) {
                    prop_assert!(fewer.len() < 5);
                }
            }
        }

        #[test]
        fn any_octets_are_read_without_a_panic(octets: Vec<u8>) {
            Entry::read_all(&octets);
        }
    }
}
