//! A table and what changed since it was written.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::change::{Change, ChangeError, Checked, Domain, Entry, Others};
use crate::format::Damaged;
use crate::home::Home;
use crate::snapshot::Snapshot;

/// A [`Snapshot`] and a [`Delta`] over it: all that a router knows at one moment.
///
/// Changes come from one writer's log, each one version above the last. Whoever misses one starts again from a new
/// snapshot, and whoever cannot reach the writer goes on with what it has: the epoch keeps old knowledge harmless.
#[derive(Clone, Debug)]
pub struct Routes<B> {
    snapshot: Snapshot<B>,
    delta: Delta,
}

/// What changed since a snapshot was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    version: u64,
    /// `None` hides the entry that the snapshot has.
    names: BTreeMap<String, Option<Entry>>,
    slots: BTreeMap<u32, Home>,
}

/// Why a change was not laid over a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A change between this one and the last is missing: a new snapshot is needed.
    #[error("change {given} does not follow version {known}")]
    Gap {
        /// The version of the routes.
        known: u64,
        /// The version of the change.
        given: u64,
    },
    /// The change would take a mailbox back behind its fence.
    #[error("the epoch of a home does not go back")]
    Epoch,
    /// The change cannot be kept.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The table beneath is damaged: a new snapshot is needed.
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

impl<B: AsRef<[u8]>> Routes<B> {
    /// A table to which nothing happened yet.
    pub const fn new(snapshot: Snapshot<B>) -> Self {
        let delta = Delta { version: snapshot.version(), names: BTreeMap::new(), slots: BTreeMap::new() };
        Self { snapshot, delta }
    }

    /// Makes the change that leads to `version`. One that is known already has no effect, so a log can be told again
    /// from any point before the gap.
    ///
    /// # Errors
    /// If a change is missing before this one, or this one cannot be made; the routes are as before.
    pub fn apply(&mut self, version: u64, change: Change) -> Result<(), ApplyError> {
        let known = self.delta.version;
        if version <= known {
            return Ok(());
        }
        if version - known > 1 {
            return Err(ApplyError::Gap { known, given: version });
        }
        match change.checked()? {
            Checked::Name(name, entry) => {
                if entry == Some(Entry::Domain(Domain::Local(Others::Slots))) && self.snapshot.slots() == 0 {
                    return Err(ChangeError::NoSlot.into());
                }
                let before = self.find(&name)?;
                fenced(before.as_ref().and_then(Entry::home), entry.as_ref().and_then(Entry::home))?;
                self.delta.names.insert(name, entry);
            }
            Checked::Slot(index, _) if u64::from(index) >= self.snapshot.slots() => {
                return Err(ChangeError::NoSlot.into());
            }
            Checked::Slot(index, home) => {
                fenced(Some(&self.slot(index)?), Some(&home))?;
                self.delta.slots.insert(index, home);
            }
        }
        self.delta.version = version;
        Ok(())
    }

    /// The table beneath.
    pub const fn snapshot(&self) -> &Snapshot<B> {
        &self.snapshot
    }

    /// What changed since. When it has grown to a hundredth of the table, a new table is due.
    pub const fn delta(&self) -> &Delta {
        &self.delta
    }

    /// What `name` stands for.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Entry>, Damaged> {
        match self.delta.names.get(name) {
            Some(entry) => Ok(entry.clone()),
            None => self.snapshot.find(name),
        }
    }

    /// Where the mailboxes of a slot live.
    pub(crate) fn slot(&self, index: u32) -> Result<Home, Damaged> {
        match self.delta.slots.get(&index) {
            Some(home) => Ok(home.clone()),
            None => self.snapshot.slot(index),
        }
    }
}

impl Delta {
    /// The version that the last change led to.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// How many names and slots differ from the table beneath.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len() + self.slots.len()
    }

    /// Whether nothing differs from the table beneath.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) const fn names(&self) -> &BTreeMap<String, Option<Entry>> {
        &self.names
    }
}

fn fenced(before: Option<&Home>, after: Option<&Home>) -> Result<(), ApplyError> {
    match (before, after) {
        (Some(before), Some(after)) if !after.follows(before) => Err(ApplyError::Epoch),
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}
