//! Writing a table.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::change::{Change, ChangeError, Checked, Domain, Entry, Others};
use crate::format::{self, Damaged, Header, MAX_RUN, is_separator, keyed, write_entry, write_home, write_text};
use crate::home::Home;
use crate::routes::Routes;

/// Gathers changes and writes them as the bytes that a [`Snapshot`](crate::Snapshot) reads. The same content under
/// the same keys is the same bytes.
#[derive(Clone, Debug)]
pub struct TableBuilder {
    version: u64,
    key: [u8; 16],
    separator: Option<u8>,
    slot_key: [u8; 16],
    slots: Vec<Home>,
    names: BTreeMap<String, Entry>,
}

/// Why a table cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A domain keeps its mailboxes in slots, and the table has none.
    #[error("a domain lives in slots, but the table has no slots")]
    NoSlots,
    /// The separator of details is not an ASCII punctuation mark, or is `@` or `"`.
    #[error("the separator of details must be an ASCII punctuation mark other than @ and \"")]
    Separator,
    /// More than 2³² places or slots.
    #[error("the table has too many places or slots")]
    TooLarge,
    /// Too many names share a fingerprint, which another key cures.
    #[error("the key does not tell the names apart; take another")]
    Key,
}

impl TableBuilder {
    /// Starts an empty table. The key is random and secret, so that nobody can choose addresses that look alike; a
    /// new table may have a new one.
    #[must_use]
    pub const fn new(version: u64, key: [u8; 16]) -> Self {
        Self { version, key, separator: Some(b'+'), slot_key: [0; 16], slots: Vec::new(), names: BTreeMap::new() }
    }

    /// Starts with all that `routes` know, to write it as one table again.
    ///
    /// # Errors
    /// If the table beneath them is damaged.
    pub fn from_routes<B: AsRef<[u8]>>(routes: &Routes<B>, key: [u8; 16]) -> Result<Self, Damaged> {
        let (snapshot, delta) = (routes.snapshot(), routes.delta());
        let mut builder = Self::new(delta.version(), key);
        builder.separator = snapshot.separator();
        builder.slot_key = snapshot.slot_key();
        for index in 0..u32::try_from(snapshot.slots()).map_err(|_| Damaged)? {
            builder.slots.push(routes.slot(index)?);
        }
        for entry in snapshot.entries() {
            let (name, entry) = entry?;
            builder.names.insert(name, entry);
        }
        for (name, entry) in delta.names() {
            builder.put(name.clone(), entry.clone());
        }
        Ok(builder)
    }

    /// Sets the mark that stands between a user and a detail, `+` unless said otherwise; `None` for no details.
    pub const fn separator(&mut self, separator: Option<u8>) {
        self.separator = separator;
    }

    /// Sets the slots. Their number and their key decide where mail that is stored already is looked for: both are
    /// chosen once and never change. A key of its own keeps outsiders from aiming at one slot.
    ///
    /// # Errors
    /// If a home has a place that cannot be kept; the builder is as before.
    pub fn slots(&mut self, key: [u8; 16], homes: impl IntoIterator<Item = Home>) -> Result<(), ChangeError> {
        self.slots = homes.into_iter().map(Home::checked).collect::<Result<_, _>>()?;
        self.slot_key = key;
        Ok(())
    }

    /// Makes one change.
    ///
    /// # Errors
    /// If the change cannot be kept; the builder is as before.
    pub fn apply(&mut self, change: Change) -> Result<(), ChangeError> {
        match change.checked()? {
            Checked::Name(name, entry) => self.put(name, entry),
            Checked::Slot(index, home) => {
                let slot = usize::try_from(index).ok().and_then(|index| self.slots.get_mut(index));
                *slot.ok_or(ChangeError::NoSlot)? = home;
            }
        }
        Ok(())
    }

    /// Writes the table.
    ///
    /// # Errors
    /// If the table contradicts itself or its key is unlucky.
    pub fn finish(&self) -> Result<Vec<u8>, BuildError> {
        if !self.separator.is_none_or(is_separator) {
            return Err(BuildError::Separator);
        }
        let slotted = Entry::Domain(Domain::Local(Others::Slots));
        if self.slots.is_empty() && self.names.values().any(|entry| *entry == slotted) {
            return Err(BuildError::NoSlots);
        }
        u32::try_from(self.slots.len()).map_err(|_| BuildError::TooLarge)?;

        let mut places = Places::default();
        let (mut slots, mut heap, mut index) = (Vec::new(), Vec::new(), Vec::with_capacity(self.names.len()));
        for home in &self.slots {
            write_home(&mut slots, home, &mut |place| places.number(place));
        }
        for (name, entry) in &self.names {
            index.push((keyed(&self.key, name), heap.len() as u64));
            write_entry(&mut heap, name, entry, &mut |place| places.number(place));
        }
        index.sort_unstable();
        if index.chunk_by(|a, b| a.0 == b.0).any(|run| run.len() > MAX_RUN) {
            return Err(BuildError::Key);
        }
        u32::try_from(places.names.len()).map_err(|_| BuildError::TooLarge)?;

        let mut names_of_places = Vec::new();
        for place in &places.names {
            names_of_places.extend_from_slice(&(heap.len() as u64).to_le_bytes());
            write_text(&mut heap, place);
        }
        let header = Header {
            separator: self.separator,
            version: self.version,
            name_key: self.key,
            slot_key: self.slot_key,
            names: index.len() as u64,
            slots: self.slots.len() as u64,
            places: places.names.len() as u64,
            heap: heap.len() as u64,
        };
        let mut table = Vec::new();
        header.write(&mut table);
        for (fingerprint, at) in index {
            table.extend_from_slice(&fingerprint.to_le_bytes());
            table.extend_from_slice(&at.to_le_bytes());
        }
        table.extend_from_slice(&slots);
        table.extend_from_slice(&names_of_places);
        table.extend_from_slice(&heap);
        let sum = format::checksum(&table).to_le_bytes();
        if let Some(field) = table.get_mut(format::CHECKSUM) {
            field.copy_from_slice(&sum);
        }
        Ok(table)
    }

    fn put(&mut self, name: String, entry: Option<Entry>) {
        match entry {
            Some(entry) => self.names.insert(name, entry),
            None => self.names.remove(&name),
        };
    }
}

/// The places that were met, numbered in the order of their first use.
#[derive(Default)]
struct Places {
    numbers: BTreeMap<String, u32>,
    names: Vec<String>,
}

impl Places {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        // More places than numbers is found out when all are known; until then the number only has to fit.
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.into(), number);
        self.names.push(name.into());
        number
    }
}
