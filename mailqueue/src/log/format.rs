//! The shape of a segment: its header, the frame around each record, and finding records again. `docs/format.md` tells
//! the same byte by byte.

use std::ops::Range;

use crate::files::File;

use super::index::SegmentFile;

/// The first octets of every segment that is in use.
pub(super) const MAGIC: [u8; 8] = *b"phqueue\n";
/// A reader refuses a segment of another major version, and keeps what it does not know of a newer minor one.
pub(super) const MAJOR: u16 = 2;
pub(super) const MINOR: u16 = 0;
/// Octets of a segment's header; records begin behind it.
pub(super) const SEGMENT_HEADER: usize = 64;
/// Octets of a record's header; the payload stands behind it.
pub(super) const RECORD_HEADER: usize = 32;
/// Records begin at multiples of this, so that a search for the next one takes few looks.
const ALIGNMENT: usize = 8;
/// What stands at the end of a footer, which is the end of the segment: the length of the list in it, and the offset of
/// the footer's record.
const FOOTER_END: usize = 8;

/// What stands at the start of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) minor: u16,
    /// The segment's length in octets.
    pub(super) size: u32,
    /// The place in the log; chunks are named by it.
    pub(super) number: u64,
    /// How often the segment was rewritten. Of two with the same number, the lower one is the original.
    pub(super) generation: u32,
    /// Random for each life of a file, repeated in each record: records of an earlier life are not taken for records.
    pub(super) epoch: u64,
    pub(super) poisoned: Option<Poison>,
}

/// A segment whose sync failed. What stands behind `trusted` may be in memory alone although later syncs succeed, so it
/// counts as not written, and the segment is not written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Poison {
    pub(super) number: u64,
    pub(super) generation: u32,
    pub(super) trusted: u32,
}

/// What the first octets of a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Prepared, and not in use.
    Spare,
    Segment(SegmentHeader),
    /// Of a version that this code does not know.
    Newer(u16),
    /// Neither.
    Damaged,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut fields = Vec::with_capacity(SEGMENT_HEADER);
        fields.extend_from_slice(&MAGIC);
        fields.extend_from_slice(&MAJOR.to_le_bytes());
        fields.extend_from_slice(&self.minor.to_le_bytes());
        fields.extend_from_slice(&self.size.to_le_bytes());
        fields.extend_from_slice(&self.number.to_le_bytes());
        fields.extend_from_slice(&self.epoch.to_le_bytes());
        let poison = self.poisoned.unwrap_or(Poison { number: 0, generation: 0, trusted: 0 });
        fields.extend_from_slice(&poison.number.to_le_bytes());
        fields.extend_from_slice(&poison.trusted.to_le_bytes());
        fields.extend_from_slice(&self.generation.to_le_bytes());
        fields.extend_from_slice(&poison.generation.to_le_bytes());
        fields.resize(SEGMENT_HEADER - 4, 0);
        fields.extend_from_slice(&crc32c::crc32c(&fields).to_le_bytes());
        let mut octets = [0; SEGMENT_HEADER];
        octets.copy_from_slice(&fields);
        octets
    }

    /// The file that begins with this header.
    pub(super) fn segment_file<T>(&self, name: String, file: T) -> SegmentFile<T> {
        let Self { number, generation, epoch, size, .. } = *self;
        SegmentFile { number, generation, epoch, size, name, file }
    }

    pub(super) fn decode(octets: &[u8; SEGMENT_HEADER]) -> Opening {
        if octets.iter().all(|octet| *octet == 0) {
            return Opening::Spare;
        }
        let (fields, sum) = octets.split_at(SEGMENT_HEADER - 4);
        if !fields.starts_with(&MAGIC) || u32_at(sum, 0) != crc32c::crc32c(fields) {
            return Opening::Damaged;
        }
        let major = u16_at(octets, 8);
        if major != MAJOR {
            return Opening::Newer(major);
        }
        let poison = Poison { number: u64_at(octets, 32), generation: u32_at(octets, 48), trusted: u32_at(octets, 40) };
        Opening::Segment(Self {
            minor: u16_at(octets, 10),
            size: u32_at(octets, 12),
            number: u64_at(octets, 16),
            epoch: u64_at(octets, 24),
            poisoned: Some(poison).filter(|poison| poison.number != 0),
            generation: u32_at(octets, 44),
        })
    }
}

/// What a record says. The numbers are those on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Octets of a message.
    Chunk,
    /// A message with its envelope, recipients and list of chunks, and perhaps facts about another one: the commit.
    Message,
    /// What became of a message since.
    Facts,
    /// The rules that the queue keeps beside its messages.
    Rules,
    /// The segment ends here; what is in it is listed.
    Footer,
    /// Stands where something was that is of no use.
    Filler,
    /// A newer version wrote it.
    Unknown(u16),
}

impl Kind {
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Chunk => 1,
            Self::Message => 2,
            Self::Facts => 3,
            Self::Rules => 4,
            Self::Footer => 5,
            Self::Filler => 6,
            Self::Unknown(number) => number,
        }
    }

    pub(super) fn from_number(number: u16) -> Self {
        match number {
            1 => Self::Chunk,
            2 => Self::Message,
            3 => Self::Facts,
            4 => Self::Rules,
            5 => Self::Footer,
            6 => Self::Filler,
            other => Self::Unknown(other),
        }
    }
}

/// The octets a record takes, header and padding included.
pub(super) fn record_size(payload: usize) -> usize {
    RECORD_HEADER.saturating_add(payload).next_multiple_of(ALIGNMENT)
}

/// What the header of a record says beside kind and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// As the segment's header says.
    pub(super) epoch: u64,
    /// Counts the segment's records from zero.
    pub(super) sequence: u32,
    /// Up to where the segment was known to be synced when the record was laid out: a hole before that is damage, a hole
    /// behind it may be a write that a crash cut off.
    pub(super) durable: u32,
}

/// Appends a record to `out`; the payload is the parts in a row. A payload is shorter than a segment, so that its length
/// has 32 bits.
pub(super) fn append_record(out: &mut Vec<u8>, kind: Kind, stamp: Stamp, parts: &[&[u8]]) {
    let start = out.len();
    out.extend_from_slice(&record_header(kind, stamp, parts));
    for part in parts {
        out.extend_from_slice(part);
    }
    let length = out.len() - start - RECORD_HEADER;
    out.resize(start + record_size(length), 0);
}

/// What stands before these parts.
pub(super) fn record_header(kind: Kind, stamp: Stamp, parts: &[&[u8]]) -> [u8; RECORD_HEADER] {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut header = [0; RECORD_HEADER];
    let (sum, fields) = header.split_at_mut(4);
    let values = (length as u32).to_le_bytes().into_iter().chain(stamp.epoch.to_le_bytes());
    let values = values.chain(stamp.sequence.to_le_bytes()).chain(stamp.durable.to_le_bytes());
    for (octet, value) in fields.iter_mut().zip(values.chain(kind.number().to_le_bytes())) {
        *octet = value;
    }
    let checked = parts.iter().fold(crc32c::crc32c(fields), |sum, part| crc32c::crc32c_append(sum, part));
    sum.copy_from_slice(&checked.to_le_bytes());
    header
}

/// The octets that a footer takes at least, with a list of this length.
pub(super) fn footer_size(listing: usize) -> usize {
    record_size(listing.saturating_add(FOOTER_END))
}

/// The payload of the footer that begins at `offset` of a segment. It fills the segment, so that it is found from the end;
/// the caller made sure that it fits.
pub(super) fn footer(listing: &[u8], offset: usize, size: usize) -> Vec<u8> {
    let length = size.saturating_sub(offset + RECORD_HEADER);
    let mut payload = Vec::with_capacity(length);
    payload.extend_from_slice(listing);
    payload.resize(length.saturating_sub(FOOTER_END), 0);
    payload.extend_from_slice(&(listing.len() as u32).to_le_bytes());
    payload.extend_from_slice(&(offset as u32).to_le_bytes());
    payload
}

/// Reads the list in the footer of a segment, if a whole one is there.
pub(super) fn read_listing<T: File>(file: &T, size: u32, epoch: u64) -> Option<Vec<u8>> {
    let mut end = [0; FOOTER_END];
    file.read_exact_at(&mut end, u64::from(size).checked_sub(FOOTER_END as u64)?).ok()?;
    let offset = u32_at(&end, 4);
    let length = size.checked_sub(offset)? as usize;
    if (offset as usize) < SEGMENT_HEADER || length < footer_size(0) {
        return None;
    }
    let mut octets = vec![0; length];
    file.read_exact_at(&mut octets, u64::from(offset)).ok()?;
    let found = read_record(&octets, 0, epoch)?;
    if found.kind != Kind::Footer || found.end() != length {
        return None;
    }
    let listing = found.payload.start..found.payload.start.checked_add(u32_at(&end, 0) as usize)?;
    octets.truncate(listing.end);
    octets.drain(..listing.start);
    (octets.len() == listing.len()).then_some(octets)
}

/// A record found in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) stamp: Stamp,
    /// Where its header begins.
    pub(super) offset: usize,
    /// Where its payload stands.
    pub(super) payload: Range<usize>,
}

impl Found {
    /// Where the next record may begin.
    pub(super) fn end(&self) -> usize {
        self.offset + record_size(self.payload.len())
    }
}

/// The length of the payload behind a record's header, as it says.
pub(super) fn record_length(header: &[u8]) -> Option<usize> {
    header.get(4..8).map(|field| u32_at(field, 0) as usize)
}

/// Reads the record at `offset`, if a whole one of this epoch is there.
pub(super) fn read_record(segment: &[u8], offset: usize, epoch: u64) -> Option<Found> {
    let header = segment.get(offset..offset.checked_add(RECORD_HEADER)?)?;
    if u64_at(header, 8) != epoch {
        return None;
    }
    let length = u32_at(header, 4) as usize;
    let start = offset + RECORD_HEADER;
    let end = start.checked_add(length)?;
    let summed = segment.get(offset + 4..end)?;
    if u32_at(header, 0) != crc32c::crc32c(summed) {
        return None;
    }
    let stamp = Stamp { epoch, sequence: u32_at(header, 16), durable: u32_at(header, 20) };
    Some(Found { kind: Kind::from_number(u16_at(header, 24)), stamp, offset, payload: start..end })
}

/// What a search through a segment found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) records: Vec<Found>,
    /// Stretches between records where none could be read.
    pub(super) holes: Vec<Range<usize>>,
    /// Where the last record ends.
    pub(super) end: usize,
    /// Up to where the segment is known to have been synced.
    pub(super) durable: usize,
}

/// Finds all records of a segment. The octets behind the last one are of no interest: zeros, a torn write, or records of
/// an earlier life.
pub(super) fn scan(segment: &[u8], epoch: u64) -> Scan {
    let mut found = Scan { end: SEGMENT_HEADER, durable: SEGMENT_HEADER, ..Scan::default() };
    let mut offset = SEGMENT_HEADER;
    while offset < segment.len() {
        match read_record(segment, offset, epoch) {
            Some(record) => {
                if found.end < offset {
                    found.holes.push(found.end..offset);
                }
                offset = record.end();
                found.end = offset;
                found.durable = found.durable.max(record.stamp.durable as usize);
                found.records.push(record);
            }
            // The epoch is random, so that what merely looks like a record costs one checksum in 2^64 looks.
            None => offset += ALIGNMENT,
        }
    }
    found
}

pub(super) fn u16_at(octets: &[u8], at: usize) -> u16 {
    octets.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |octets| u16::from_le_bytes(*octets))
}

pub(super) fn u32_at(octets: &[u8], at: usize) -> u32 {
    octets.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |octets| u32::from_le_bytes(*octets))
}

pub(super) fn u64_at(octets: &[u8], at: usize) -> u64 {
    octets.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |octets| u64::from_le_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EPOCH: u64 = 0x0123_4567_89ab_cdef;

    fn segment(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut octets = vec![0; SEGMENT_HEADER];
        for (sequence, payload) in payloads.iter().enumerate() {
            let stamp = Stamp { epoch: EPOCH, sequence: sequence as u32, durable: octets.len() as u32 };
            append_record(&mut octets, Kind::Chunk, stamp, &[payload]);
        }
        octets
    }

    #[test]
    fn a_header_reads_as_it_was_written_and_no_flipped_bit_goes_unseen() {
        let header = SegmentHeader {
            minor: 3,
            size: 1 << 24,
            number: 77,
            generation: 2,
            epoch: EPOCH,
            poisoned: Some(Poison { number: 76, generation: 1, trusted: 4096 }),
        };
        let octets = header.encode();
        assert_eq!(SegmentHeader::decode(&octets), Opening::Segment(header));
        for bit in 0..SEGMENT_HEADER * 8 {
            let mut flipped = octets;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), Opening::Damaged, "bit {bit}");
        }
        assert_eq!(SegmentHeader::decode(&[0; SEGMENT_HEADER]), Opening::Spare);
    }

    #[test]
    fn another_major_version_is_told_from_damage() {
        let header = SegmentHeader { minor: 0, size: 1, number: 1, generation: 0, epoch: 1, poisoned: None };
        let mut octets = header.encode();
        octets[8] = 3;
        let sum = crc32c::crc32c(&octets[..SEGMENT_HEADER - 4]);
        octets[SEGMENT_HEADER - 4..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&octets), Opening::Newer(3));
    }

    #[test]
    fn records_of_an_earlier_life_are_not_records() {
        let octets = segment(&[b"old".to_vec(), b"older".to_vec()]);
        assert_eq!(scan(&octets, EPOCH + 1).records, []);
        assert_eq!(scan(&octets, EPOCH).records.len(), 2);
    }

    proptest! {
        #[test]
        fn every_record_is_found_where_it_was_written(payloads: Vec<Vec<u8>>, rest in 0_usize..200) {
            let mut octets = segment(&payloads);
            let end = octets.len();
            octets.resize(end + rest, 0);
            let scan = scan(&octets, EPOCH);
            let read: Vec<_> = scan.records.iter().map(|record| octets[record.payload.clone()].to_vec()).collect();
            prop_assert_eq!(read, payloads);
            prop_assert_eq!(scan.holes, []);
            prop_assert_eq!(scan.end, end);
        }

        #[test]
        fn an_octet_changed_costs_one_record_and_no_other(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
            at: prop::sample::Index,
            change in 1_u8..,
        ) {
            let mut octets = segment(&payloads);
            let whole = scan(&octets, EPOCH).records;
            let at = SEGMENT_HEADER + at.index(octets.len() - SEGMENT_HEADER);
            octets[at] ^= change;
            let hit = whole.iter().find(|record| (record.offset..record.payload.end).contains(&at));
            let left: Vec<_> = whole.iter().filter(|record| Some(*record) != hit).cloned().collect();
            let scan = scan(&octets, EPOCH);
            prop_assert_eq!(scan.records, left);
        }

        #[test]
        fn any_octets_are_scanned_without_a_panic(octets: Vec<u8>, epoch: u64) {
            scan(&octets, epoch);
        }
    }
}
