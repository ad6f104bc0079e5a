//! The bytes of a table, both ways. `docs/format.md` says the same in words.

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::change::{Domain, Entry, Others};
use crate::home::Home;
use crate::{MAX_NAME, MAX_TARGETS};

pub(crate) const MAGIC: [u8; 8] = *b"PHROUTES";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER: usize = 96;
/// Where the checksum stands in the header.
pub(crate) const CHECKSUM: core::ops::Range<usize> = 16..24;
/// One name in the index: fingerprint, then where its record begins in the heap.
pub(crate) const NAME: usize = 16;
/// One home: place, place it goes to, epoch.
pub(crate) const HOME: usize = 16;
/// One place: where its name begins in the heap.
pub(crate) const PLACE: usize = 8;
/// The most names that may share a fingerprint. Keyed 64-bit fingerprints of honest tables hardly ever share one; the
/// bound keeps a forged table from making a lookup long.
pub(crate) const MAX_RUN: usize = 8;

/// The table holds bytes that no builder wrote, or changed under its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the routing table is damaged")]
pub struct Damaged;

/// The numbers at the front of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) separator: Option<u8>,
    pub(crate) version: u64,
    pub(crate) name_key: [u8; 16],
    pub(crate) slot_key: [u8; 16],
    pub(crate) names: u64,
    pub(crate) slots: u64,
    pub(crate) places: u64,
    pub(crate) heap: u64,
}

impl Header {
    /// Writes the header with a checksum of zero.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[self.separator.unwrap_or(0), 0, 0, 0]);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.name_key);
        out.extend_from_slice(&self.slot_key);
        for count in [self.names, self.slots, self.places, self.heap] {
            out.extend_from_slice(&count.to_le_bytes());
        }
    }

    /// Reads what stands behind the checksum, and the separator before it.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut at = Cursor::new(bytes, MAGIC.len() as u64 + 4)?;
        let [separator, 0, 0, 0] = at.array()? else { return Err(Damaged) };
        let _checksum: [u8; 8] = at.array()?;
        let separator = (separator != 0).then_some(separator);
        if !separator.is_none_or(is_separator) {
            return Err(Damaged);
        }
        Ok(Self {
            separator,
            version: at.u64()?,
            name_key: at.array()?,
            slot_key: at.array()?,
            names: at.u64()?,
            slots: at.u64()?,
            places: at.u64()?,
            heap: at.u64()?,
        })
    }
}

/// Whether a byte can stand between a user and a detail.
pub(crate) const fn is_separator(byte: u8) -> bool {
    byte.is_ascii_punctuation() && byte != b'@' && byte != b'"'
}

/// The checksum over a whole table, its own field left out.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let (front, rest) = bytes.split_at_checked(CHECKSUM.start).unwrap_or((bytes, &[]));
    let mut hash = SipHasher13::new();
    hash.write(front);
    hash.write(rest.get(CHECKSUM.len()..).unwrap_or_default());
    hash.finish()
}

/// The keyed hash of a name: fingerprint under the name key, slot under the slot key.
pub(crate) fn keyed(key: &[u8; 16], name: &str) -> u64 {
    let mut hash = SipHasher13::new_with_key(key);
    hash.write(name.as_bytes());
    hash.finish()
}

/// Writes what a name stands for; `place` numbers the names of places.
pub(crate) fn write_entry(out: &mut Vec<u8>, name: &str, entry: &Entry, place: &mut impl FnMut(&str) -> u32) {
    write_text(out, name);
    out.push(Kind::of(entry) as u8);
    match entry {
        Entry::Mailbox(home) | Entry::Domain(Domain::Local(Others::Home(home))) => write_home(out, home, place),
        Entry::Alias(targets) => {
            out.extend_from_slice(&(targets.len() as u16).to_le_bytes());
            targets.iter().for_each(|target| write_text(out, target));
        }
        Entry::Domain(Domain::Local(Others::Nobody | Others::Slots)) => {}
        Entry::Domain(
            Domain::Local(Others::CatchAll(text) | Others::Relay(text)) | Domain::Relay(text) | Domain::Alias(text),
        ) => write_text(out, text),
    }
}

/// Writes a home. One that is at rest goes to where it is.
pub(crate) fn write_home(out: &mut Vec<u8>, home: &Home, place: &mut impl FnMut(&str) -> u32) {
    let (from, to) = match home {
        Home::At { place, .. } => (place, place),
        Home::Moving { from, to, .. } => (from, to),
    };
    out.extend_from_slice(&place(from).to_le_bytes());
    out.extend_from_slice(&place(to).to_le_bytes());
    out.extend_from_slice(&home.epoch().to_le_bytes());
}

/// Writes a text behind its length. Texts are at most [`MAX_NAME`] octets long when they come here.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// What kind of record stands behind a name.
#[derive(Clone, Copy)]
enum Kind {
    Mailbox = 1,
    Alias = 2,
    Nobody = 3,
    CatchAll = 4,
    Home = 5,
    Slots = 6,
    FallbackRelay = 7,
    RelayDomain = 8,
    DomainAlias = 9,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Mailbox,
        Self::Alias,
        Self::Nobody,
        Self::CatchAll,
        Self::Home,
        Self::Slots,
        Self::FallbackRelay,
        Self::RelayDomain,
        Self::DomainAlias,
    ];

    const fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Mailbox(_) => Self::Mailbox,
            Entry::Alias(_) => Self::Alias,
            Entry::Domain(Domain::Local(Others::Nobody)) => Self::Nobody,
            Entry::Domain(Domain::Local(Others::CatchAll(_))) => Self::CatchAll,
            Entry::Domain(Domain::Local(Others::Home(_))) => Self::Home,
            Entry::Domain(Domain::Local(Others::Slots)) => Self::Slots,
            Entry::Domain(Domain::Local(Others::Relay(_))) => Self::FallbackRelay,
            Entry::Domain(Domain::Relay(_)) => Self::RelayDomain,
            Entry::Domain(Domain::Alias(_)) => Self::DomainAlias,
        }
    }
}

/// A place in the bytes to read on from; nothing it is told makes it read outside of them.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Begins `at` bytes into `bytes`.
    pub(crate) fn new(bytes: &'a [u8], at: u64) -> Result<Self, Damaged> {
        let at = usize::try_from(at).map_err(|_| Damaged)?;
        Ok(Self { rest: bytes.get(at..).ok_or(Damaged)? })
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let (front, rest) = self.rest.split_at_checked(length).ok_or(Damaged)?;
        self.rest = rest;
        Ok(front)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (front, rest) = self.rest.split_first_chunk().ok_or(Damaged)?;
        self.rest = rest;
        Ok(*front)
    }

    fn u16(&mut self) -> Result<u16, Damaged> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Damaged> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Damaged> {
        self.array().map(u64::from_le_bytes)
    }

    /// A text of at most [`MAX_NAME`] octets, behind its length.
    pub(crate) fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = usize::from(self.u16()?);
        if length > MAX_NAME {
            return Err(Damaged);
        }
        core::str::from_utf8(self.take(length)?).map_err(|_| Damaged)
    }

    /// What stands behind a name; `place` names a place by its number.
    pub(crate) fn entry(&mut self, place: &impl Fn(u32) -> Result<String, Damaged>) -> Result<Entry, Damaged> {
        let [kind] = self.array()?;
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind).ok_or(Damaged)?;
        Ok(match kind {
            Kind::Mailbox => Entry::Mailbox(self.home(place)?),
            Kind::Alias => Entry::Alias(self.targets()?),
            Kind::Nobody => Entry::Domain(Domain::Local(Others::Nobody)),
            Kind::CatchAll => Entry::Domain(Domain::Local(Others::CatchAll(self.text()?.into()))),
            Kind::Home => Entry::Domain(Domain::Local(Others::Home(self.home(place)?))),
            Kind::Slots => Entry::Domain(Domain::Local(Others::Slots)),
            Kind::FallbackRelay => Entry::Domain(Domain::Local(Others::Relay(self.text()?.into()))),
            Kind::RelayDomain => Entry::Domain(Domain::Relay(self.text()?.into())),
            Kind::DomainAlias => Entry::Domain(Domain::Alias(self.text()?.into())),
        })
    }

    pub(crate) fn home(&mut self, place: &impl Fn(u32) -> Result<String, Damaged>) -> Result<Home, Damaged> {
        let (from, to, epoch) = (self.u32()?, self.u32()?, self.u64()?);
        Ok(if from == to {
            Home::At { place: place(from)?, epoch }
        } else {
            Home::Moving { from: place(from)?, to: place(to)?, epoch }
        })
    }

    fn targets(&mut self) -> Result<Vec<String>, Damaged> {
        let count = usize::from(self.u16()?);
        if count == 0 || count > MAX_TARGETS {
            return Err(Damaged);
        }
        (0..count).map(|_| self.text().map(String::from)).collect()
    }
}
