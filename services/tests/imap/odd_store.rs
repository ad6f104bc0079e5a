//! A store that does what stores may do, and what they must not.

use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mailstore::error::{
    AppendError, CopyError, CreateError, DeleteError, FlagsError, LeaseError, ListError, MailboxError, OpenError,
    ReadError, RenameError, StoreError, Trouble,
};
use mailstore::memory::{MemoryAccount, MemoryMailbox, MemoryReader, MemoryStore, MemoryWriter};
use mailstore::{
    Account, Changes, Copied, Expunge, FlagChange, Found, Hints, Hub, Lease, LeaseKind, Mailbox, MailboxInfo,
    NewMessage, Query, Recent, Since, Snapshot, SpecialUse, Status, Store, Stored, Touched,
};

/// What is odd about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Oddity {
    /// It gives no hints.
    Silent,
    /// It never knows what changed.
    Forgetful,
    /// It cannot say what changed now.
    Speechless,
    /// Its messages end before their end.
    Short,
    /// Its messages cannot be read.
    Unreadable,
    /// It is full.
    Full,
    /// What it was asked to keep comes back damaged.
    Damaged,
}

#[derive(Clone, Default)]
pub(crate) struct Oddities(Arc<Mutex<HashSet<Oddity>>>);

impl Oddities {
    pub(crate) fn set(&self, oddity: Oddity) {
        self.0.lock().unwrap().insert(oddity);
    }

    fn has(&self, oddity: Oddity) -> bool {
        self.0.lock().unwrap().contains(&oddity)
    }
}

pub(crate) struct OddStore(pub(crate) Arc<MemoryStore>, pub(crate) Oddities);

#[derive(Clone)]
pub(crate) struct OddAccount(MemoryAccount, Oddities);

#[derive(Clone)]
pub(crate) struct OddMailbox(MemoryMailbox, Oddities);

impl Store for OddStore {
    type Account = OddAccount;

    async fn open(&self, address: &str) -> Result<OddAccount, StoreError> {
        Ok(OddAccount(self.0.open(address).await?, self.1.clone()))
    }

    async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        self.0.accounts(after, limit).await
    }

    async fn health(&self) -> Result<(), Trouble> {
        self.0.health().await
    }
}

impl Account for OddAccount {
    type Mailbox = OddMailbox;

    async fn list(&self) -> Result<Vec<MailboxInfo>, ListError> {
        self.0.list().await
    }

    async fn create(&self, name: &str, special_use: Option<SpecialUse>) -> Result<(), CreateError> {
        if self.1.has(Oddity::Full) {
            return Err(Trouble::Full.into());
        }
        self.0.create(name, special_use).await
    }

    async fn delete(&self, name: &str) -> Result<(), DeleteError> {
        self.0.delete(name).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), RenameError> {
        self.0.rename(from, to).await
    }

    async fn subscribe(&self, name: &str) -> Result<(), ListError> {
        self.0.subscribe(name).await
    }

    async fn unsubscribe(&self, name: &str) -> Result<(), ListError> {
        self.0.unsubscribe(name).await
    }

    async fn status(&self, names: &[&str]) -> Vec<Result<Status, OpenError>> {
        self.0.status(names).await
    }

    async fn open(&self, name: &str) -> Result<OddMailbox, OpenError> {
        Ok(OddMailbox(self.0.open(name).await?, self.1.clone()))
    }

    async fn lease(&self, kind: LeaseKind) -> Result<Lease, LeaseError> {
        self.0.lease(kind).await
    }

    fn hints(&self) -> Hints {
        if self.1.has(Oddity::Silent) { Hub::new().listen() } else { self.0.hints() }
    }
}

impl Mailbox for OddMailbox {
    type Reader = MemoryReader;
    type Writer = MemoryWriter;

    async fn snapshot(&self, recent: Recent) -> Result<Snapshot, MailboxError> {
        self.0.snapshot(recent).await
    }

    async fn changes(&self, since: &Since, recent: Recent) -> Result<Changes, MailboxError> {
        if self.1.has(Oddity::Speechless) {
            return Err(Trouble::Unavailable.into());
        }
        if self.1.has(Oddity::Forgetful) { Ok(Changes::Resync) } else { self.0.changes(since, recent).await }
    }

    async fn flags(&self, uids: &[RangeInclusive<u32>]) -> Result<Vec<Touched>, MailboxError> {
        self.0.flags(uids).await
    }

    async fn open_ended(&self, uids: &[RangeInclusive<u32>]) -> Result<Vec<u32>, MailboxError> {
        self.0.open_ended(uids).await
    }

    async fn store_flags(&self, uids: &[RangeInclusive<u32>], change: &FlagChange) -> Result<Stored, FlagsError> {
        if self.1.has(Oddity::Full) {
            return Err(FlagsError::TooManyKeywords);
        }
        self.0.store_flags(uids, change).await
    }

    async fn read(&self, uid: u32, range: Range<u64>) -> Result<MemoryReader, ReadError> {
        if self.1.has(Oddity::Unreadable) {
            return Err(Trouble::Unavailable.into());
        }
        let end = if self.1.has(Oddity::Short) { range.end.saturating_sub(5).max(range.start) } else { range.end };
        self.0.read(uid, range.start..end).await
    }

    async fn append(&self, new: NewMessage) -> Result<MemoryWriter, AppendError> {
        if self.1.has(Oddity::Full) {
            return Err(AppendError::OverQuota);
        }
        self.0.append(new).await
    }

    async fn copy(&self, uids: &[RangeInclusive<u32>], to: &Self) -> Result<Copied, CopyError> {
        if self.1.has(Oddity::Full) {
            return Err(CopyError::OverQuota);
        }
        self.0.copy(uids, &to.0).await
    }

    async fn move_to(&self, uids: &[RangeInclusive<u32>], to: &Self) -> Result<Copied, CopyError> {
        if self.1.has(Oddity::Full) {
            return Err(Trouble::Full.into());
        }
        self.0.move_to(uids, &to.0).await
    }

    async fn expunge(&self, which: Expunge<'_>) -> Result<Vec<u32>, MailboxError> {
        self.0.expunge(which).await
    }

    async fn derived(&self, kind: &str, uids: &[RangeInclusive<u32>]) -> Vec<(u32, Bytes)> {
        let mut known = self.0.derived(kind, uids).await;
        if self.1.has(Oddity::Damaged) {
            for (_, octets) in &mut known {
                *octets = Bytes::from_static(b"(NIL\r\n* BYE");
            }
        }
        known
    }

    async fn put_derived(&self, kind: &str, items: Vec<(u32, Bytes)>) {
        self.0.put_derived(kind, items).await;
    }

    async fn search(&self, query: &Query) -> Result<Found, MailboxError> {
        self.0.search(query).await
    }
}
