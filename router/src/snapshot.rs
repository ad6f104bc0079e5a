//! A table read from bytes as they are.

use alloc::string::String;
use core::cmp::Ordering;

use crate::change::Entry;
use crate::format::{self, Cursor, Damaged, HEADER, HOME, Header, MAX_RUN, NAME, PLACE, keyed};
use crate::home::Home;

/// A table in the bytes that a [`TableBuilder`](crate::TableBuilder) wrote: a vector, a mapped file, shared bytes.
///
/// Nothing is built from them: a lookup is a binary search among sorted fingerprints, then a comparison with the name
/// itself, so that no address is ever taken for another.
#[derive(Clone, Debug)]
pub struct Snapshot<B> {
    bytes: B,
    header: Header,
    slots: u64,
    places: u64,
    heap: u64,
}

/// Why bytes are not a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The bytes do not begin as a table does.
    #[error("not a routing table")]
    NotATable,
    /// The table is of another format, as a newer or older version writes it.
    #[error("a routing table of format {0}, which this version does not read")]
    Format(u32),
    /// The table is cut short, or its bytes changed.
    #[error("the routing table is damaged")]
    Damaged,
}

impl<B: AsRef<[u8]>> Snapshot<B> {
    /// Reads a table: looks at its header and sums up all its bytes once.
    ///
    /// # Errors
    /// If the bytes are no table, are of another format, or are damaged. Bytes that were forged with a good checksum
    /// are found out when a lookup meets them, as [`Route::Broken`](crate::Route::Broken).
    pub fn open(bytes: B) -> Result<Self, TableError> {
        let all = bytes.as_ref();
        let mut front = Cursor::new(all, 0).map_err(|_| TableError::NotATable)?;
        if front.array() != Ok(format::MAGIC) {
            return Err(TableError::NotATable);
        }
        match front.u32() {
            Ok(format::VERSION) => {}
            Ok(other) => return Err(TableError::Format(other)),
            Err(Damaged) => return Err(TableError::Damaged),
        }
        let header = Header::read(all).map_err(|_| TableError::Damaged)?;
        let (slots, places, heap) = sections(&header, all.len() as u64).ok_or(TableError::Damaged)?;
        let sum = all.get(format::CHECKSUM).unwrap_or_default();
        if sum != format::checksum(all).to_le_bytes() {
            return Err(TableError::Damaged);
        }
        Ok(Self { bytes, header, slots, places, heap })
    }

    /// The version of the table, which changes on top of it go on from.
    pub const fn version(&self) -> u64 {
        self.header.version
    }

    /// How many addresses and domains have an entry.
    pub const fn names(&self) -> u64 {
        self.header.names
    }

    /// How many slots the table has.
    pub const fn slots(&self) -> u64 {
        self.header.slots
    }

    pub(crate) const fn separator(&self) -> Option<u8> {
        self.header.separator
    }

    pub(crate) const fn slot_key(&self) -> [u8; 16] {
        self.header.slot_key
    }

    /// What `name` stands for.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Entry>, Damaged> {
        let fingerprint = keyed(&self.header.name_key, name);
        let (mut low, mut high) = (0, self.header.names);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.name(middle)?.0.cmp(&fingerprint) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal | Ordering::Greater => high = middle,
            }
        }
        for index in low..self.header.names {
            let (found, at) = self.name(index)?;
            if found != fingerprint {
                return Ok(None);
            }
            if index - low == MAX_RUN as u64 {
                return Err(Damaged);
            }
            let mut record = self.record(at)?;
            if record.text()? == name {
                return record.entry(&|place| self.place(place)).map(Some);
            }
        }
        Ok(None)
    }

    /// All names and what they stand for, in no order that means anything.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<(String, Entry), Damaged>> {
        (0..self.header.names).map(|index| {
            let mut record = self.record(self.name(index)?.1)?;
            Ok((record.text()?.into(), record.entry(&|place| self.place(place))?))
        })
    }

    /// The slot in which a mailbox falls that has no entry: its hash, scaled to the number of slots. `None` where
    /// there are no slots.
    pub(crate) fn slot_of(&self, mailbox: &str) -> Option<u32> {
        let hash = keyed(&self.header.slot_key, mailbox);
        let scaled = (u128::from(hash) * u128::from(self.header.slots)) >> 64;
        u32::try_from(scaled).ok().filter(|slot| u64::from(*slot) < self.header.slots)
    }

    /// Where the mailboxes of a slot live.
    pub(crate) fn slot(&self, index: u32) -> Result<Home, Damaged> {
        if u64::from(index) >= self.header.slots {
            return Err(Damaged);
        }
        self.cursor(self.slots, index.into(), HOME)?.home(&|place| self.place(place))
    }

    /// The `index`-th fingerprint and where its record begins.
    fn name(&self, index: u64) -> Result<(u64, u64), Damaged> {
        let mut name = self.cursor(HEADER as u64, index, NAME)?;
        Ok((name.u64()?, name.u64()?))
    }

    fn place(&self, index: u32) -> Result<String, Damaged> {
        if u64::from(index) >= self.header.places {
            return Err(Damaged);
        }
        let at = self.cursor(self.places, index.into(), PLACE)?.u64()?;
        self.record(at)?.text().map(String::from)
    }

    /// What stands `at` bytes into the heap.
    fn record(&self, at: u64) -> Result<Cursor<'_>, Damaged> {
        Cursor::new(self.bytes.as_ref(), self.heap.checked_add(at).ok_or(Damaged)?)
    }

    /// The `index`-th item of `size` bytes in the section that begins at `section`.
    fn cursor(&self, section: u64, index: u64, size: usize) -> Result<Cursor<'_>, Damaged> {
        let at = index.checked_mul(size as u64).and_then(|at| at.checked_add(section)).ok_or(Damaged)?;
        Cursor::new(self.bytes.as_ref(), at)
    }
}

/// Where slots, places and heap begin, if they fill the table exactly.
fn sections(header: &Header, length: u64) -> Option<(u64, u64, u64)> {
    let slots = header.names.checked_mul(NAME as u64)?.checked_add(HEADER as u64)?;
    let places = header.slots.checked_mul(HOME as u64)?.checked_add(slots)?;
    let heap = header.places.checked_mul(PLACE as u64)?.checked_add(places)?;
    (heap.checked_add(header.heap)? == length).then_some((slots, places, heap))
}
