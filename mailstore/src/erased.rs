//! The traits behind one type, for who chooses the store at run time. It costs one allocation for each command.

use std::{
    any::Any,
    fmt,
    future::Future,
    ops::{Range, RangeInclusive},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    error::{
        AppendError, CopyError, CreateError, DeleteError, FlagsError, LeaseError, ListError, MailboxError, OpenError,
        ReadError, RenameError, StoreError, Trouble,
    },
    hints::Hints,
    lease::{Lease, LeaseKind},
    list::{MailboxInfo, SpecialUse},
    message::{
        Appended, Changes, Copied, Custody, Expunge, FlagChange, NewMessage, Recent, Since, Snapshot, Status, Stored,
        Touched,
    },
    query::{Found, Query},
    store::{Account, Mailbox, Reader, Store, Writer},
};

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Any store.
#[derive(Clone)]
pub struct DynStore(Arc<dyn ErasedStore>);

/// An account of any store.
#[derive(Clone)]
pub struct DynAccount(Arc<dyn ErasedAccount>);

/// A mailbox of any store.
#[derive(Clone)]
pub struct DynMailbox(Arc<dyn ErasedMailbox>);

/// A message of any store on its way out.
pub struct DynReader(Box<dyn ErasedReader>);

/// A message on its way into any store.
pub struct DynWriter(Box<dyn ErasedWriter>);

impl DynStore {
    /// Hides which store it is.
    pub fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }
}

impl Store for DynStore {
    type Account = DynAccount;

    async fn open(&self, address: &str) -> Result<DynAccount, StoreError> {
        self.0.open(address).await
    }

    async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        self.0.accounts(after, limit).await
    }

    async fn health(&self) -> Result<(), Trouble> {
        self.0.health().await
    }
}

impl Account for DynAccount {
    type Mailbox = DynMailbox;

    async fn list(&self) -> Result<Vec<MailboxInfo>, ListError> {
        self.0.list().await
    }

    async fn create(&self, name: &str, special_use: Option<SpecialUse>) -> Result<(), CreateError> {
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

    async fn open(&self, name: &str) -> Result<DynMailbox, OpenError> {
        self.0.open(name).await
    }

    async fn lease(&self, kind: LeaseKind) -> Result<Lease, LeaseError> {
        self.0.lease(kind).await
    }

    fn hints(&self) -> Hints {
        self.0.hints()
    }
}

impl Mailbox for DynMailbox {
    type Reader = DynReader;
    type Writer = DynWriter;

    async fn snapshot(&self, recent: Recent) -> Result<Snapshot, MailboxError> {
        self.0.snapshot(recent).await
    }

    async fn changes(&self, since: &Since, recent: Recent) -> Result<Changes, MailboxError> {
        self.0.changes(since, recent).await
    }

    async fn flags(&self, uids: &[RangeInclusive<u32>]) -> Result<Vec<Touched>, MailboxError> {
        self.0.flags(uids).await
    }

    async fn open_ended(&self, uids: &[RangeInclusive<u32>]) -> Result<Vec<u32>, MailboxError> {
        self.0.open_ended(uids).await
    }

    async fn store_flags(&self, uids: &[RangeInclusive<u32>], change: &FlagChange) -> Result<Stored, FlagsError> {
        self.0.store_flags(uids, change).await
    }

    async fn read(&self, uid: u32, range: Range<u64>) -> Result<DynReader, ReadError> {
        self.0.read(uid, range).await
    }

    async fn append(&self, new: NewMessage) -> Result<DynWriter, AppendError> {
        self.0.append(new).await
    }

    async fn copy(&self, uids: &[RangeInclusive<u32>], to: &Self) -> Result<Copied, CopyError> {
        self.0.copy(uids, to).await
    }

    async fn move_to(&self, uids: &[RangeInclusive<u32>], to: &Self) -> Result<Copied, CopyError> {
        self.0.move_to(uids, to).await
    }

    async fn expunge(&self, which: Expunge<'_>) -> Result<Vec<u32>, MailboxError> {
        self.0.expunge(which).await
    }

    async fn derived(&self, kind: &str, uids: &[RangeInclusive<u32>]) -> Vec<(u32, Bytes)> {
        self.0.derived(kind, uids).await
    }

    async fn put_derived(&self, kind: &str, items: Vec<(u32, Bytes)>) {
        self.0.put_derived(kind, items).await;
    }

    async fn search(&self, query: &Query) -> Result<Found, MailboxError> {
        self.0.search(query).await
    }
}

impl Reader for DynReader {
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        self.0.next().await
    }
}

impl Writer for DynWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), AppendError> {
        self.0.write(chunk).await
    }

    async fn commit(self) -> Result<Appended, AppendError> {
        self.0.commit().await
    }

    async fn deliver(self) -> Result<Custody, AppendError> {
        self.0.deliver().await
    }
}

trait ErasedStore: Send + Sync {
    fn open<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<DynAccount, StoreError>>;
    fn accounts<'a>(&'a self, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<String>, StoreError>>;
    fn health(&self) -> BoxFuture<'_, Result<(), Trouble>>;
}

impl<S: Store> ErasedStore for S {
    fn open<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<DynAccount, StoreError>> {
        Box::pin(async move { Ok(DynAccount(Arc::new(Store::open(self, address).await?))) })
    }

    fn accounts<'a>(&'a self, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<String>, StoreError>> {
        Box::pin(Store::accounts(self, after, limit))
    }

    fn health(&self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(Store::health(self))
    }
}

trait ErasedAccount: Send + Sync {
    fn list(&self) -> BoxFuture<'_, Result<Vec<MailboxInfo>, ListError>>;
    fn create<'a>(&'a self, name: &'a str, special_use: Option<SpecialUse>) -> BoxFuture<'a, Result<(), CreateError>>;
    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DeleteError>>;
    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, Result<(), RenameError>>;
    fn subscribe<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), ListError>>;
    fn unsubscribe<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), ListError>>;
    fn status<'a>(&'a self, names: &'a [&'a str]) -> BoxFuture<'a, Vec<Result<Status, OpenError>>>;
    fn open<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<DynMailbox, OpenError>>;
    fn lease(&self, kind: LeaseKind) -> BoxFuture<'_, Result<Lease, LeaseError>>;
    fn hints(&self) -> Hints;
}

impl<A: Account> ErasedAccount for A {
    fn list(&self) -> BoxFuture<'_, Result<Vec<MailboxInfo>, ListError>> {
        Box::pin(Account::list(self))
    }

    fn create<'a>(&'a self, name: &'a str, special_use: Option<SpecialUse>) -> BoxFuture<'a, Result<(), CreateError>> {
        Box::pin(Account::create(self, name, special_use))
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DeleteError>> {
        Box::pin(Account::delete(self, name))
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, Result<(), RenameError>> {
        Box::pin(Account::rename(self, from, to))
    }

    fn subscribe<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), ListError>> {
        Box::pin(Account::subscribe(self, name))
    }

    fn unsubscribe<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), ListError>> {
        Box::pin(Account::unsubscribe(self, name))
    }

    fn status<'a>(&'a self, names: &'a [&'a str]) -> BoxFuture<'a, Vec<Result<Status, OpenError>>> {
        Box::pin(Account::status(self, names))
    }

    fn open<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<DynMailbox, OpenError>> {
        Box::pin(async move { Ok(DynMailbox(Arc::new(Account::open(self, name).await?))) })
    }

    fn lease(&self, kind: LeaseKind) -> BoxFuture<'_, Result<Lease, LeaseError>> {
        Box::pin(Account::lease(self, kind))
    }

    fn hints(&self) -> Hints {
        Account::hints(self)
    }
}

type Uids<'a> = &'a [RangeInclusive<u32>];

trait ErasedMailbox: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn snapshot(&self, recent: Recent) -> BoxFuture<'_, Result<Snapshot, MailboxError>>;
    fn changes<'a>(&'a self, since: &'a Since, recent: Recent) -> BoxFuture<'a, Result<Changes, MailboxError>>;
    fn flags<'a>(&'a self, uids: Uids<'a>) -> BoxFuture<'a, Result<Vec<Touched>, MailboxError>>;
    fn open_ended<'a>(&'a self, uids: Uids<'a>) -> BoxFuture<'a, Result<Vec<u32>, MailboxError>>;
    fn store_flags<'a>(&'a self, uids: Uids<'a>, change: &'a FlagChange) -> BoxFuture<'a, Result<Stored, FlagsError>>;
    fn read(&self, uid: u32, range: Range<u64>) -> BoxFuture<'_, Result<DynReader, ReadError>>;
    fn append(&self, new: NewMessage) -> BoxFuture<'_, Result<DynWriter, AppendError>>;
    fn copy<'a>(&'a self, uids: Uids<'a>, to: &'a DynMailbox) -> BoxFuture<'a, Result<Copied, CopyError>>;
    fn move_to<'a>(&'a self, uids: Uids<'a>, to: &'a DynMailbox) -> BoxFuture<'a, Result<Copied, CopyError>>;
    fn expunge<'a>(&'a self, which: Expunge<'a>) -> BoxFuture<'a, Result<Vec<u32>, MailboxError>>;
    fn derived<'a>(&'a self, kind: &'a str, uids: Uids<'a>) -> BoxFuture<'a, Vec<(u32, Bytes)>>;
    fn put_derived<'a>(&'a self, kind: &'a str, items: Vec<(u32, Bytes)>) -> BoxFuture<'a, ()>;
    fn search<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Found, MailboxError>>;
}

impl<M: Mailbox> ErasedMailbox for M {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn snapshot(&self, recent: Recent) -> BoxFuture<'_, Result<Snapshot, MailboxError>> {
        Box::pin(Mailbox::snapshot(self, recent))
    }

    fn changes<'a>(&'a self, since: &'a Since, recent: Recent) -> BoxFuture<'a, Result<Changes, MailboxError>> {
        Box::pin(Mailbox::changes(self, since, recent))
    }

    fn flags<'a>(&'a self, uids: Uids<'a>) -> BoxFuture<'a, Result<Vec<Touched>, MailboxError>> {
        Box::pin(Mailbox::flags(self, uids))
    }

    fn open_ended<'a>(&'a self, uids: Uids<'a>) -> BoxFuture<'a, Result<Vec<u32>, MailboxError>> {
        Box::pin(Mailbox::open_ended(self, uids))
    }

    fn store_flags<'a>(&'a self, uids: Uids<'a>, change: &'a FlagChange) -> BoxFuture<'a, Result<Stored, FlagsError>> {
        Box::pin(Mailbox::store_flags(self, uids, change))
    }

    fn read(&self, uid: u32, range: Range<u64>) -> BoxFuture<'_, Result<DynReader, ReadError>> {
        Box::pin(async move { Ok(DynReader(Box::new(Mailbox::read(self, uid, range).await?))) })
    }

    fn append(&self, new: NewMessage) -> BoxFuture<'_, Result<DynWriter, AppendError>> {
        Box::pin(async move { Ok(DynWriter(Box::new(Mailbox::append(self, new).await?))) })
    }

    fn copy<'a>(&'a self, uids: Uids<'a>, to: &'a DynMailbox) -> BoxFuture<'a, Result<Copied, CopyError>> {
        Box::pin(async move {
            let to: &M = to.0.as_any().downcast_ref().ok_or(CopyError::OtherStore)?;
            Mailbox::copy(self, uids, to).await
        })
    }

    fn move_to<'a>(&'a self, uids: Uids<'a>, to: &'a DynMailbox) -> BoxFuture<'a, Result<Copied, CopyError>> {
        Box::pin(async move {
            let to: &M = to.0.as_any().downcast_ref().ok_or(CopyError::OtherStore)?;
            Mailbox::move_to(self, uids, to).await
        })
    }

    fn expunge<'a>(&'a self, which: Expunge<'a>) -> BoxFuture<'a, Result<Vec<u32>, MailboxError>> {
        Box::pin(Mailbox::expunge(self, which))
    }

    fn derived<'a>(&'a self, kind: &'a str, uids: Uids<'a>) -> BoxFuture<'a, Vec<(u32, Bytes)>> {
        Box::pin(Mailbox::derived(self, kind, uids))
    }

    fn put_derived<'a>(&'a self, kind: &'a str, items: Vec<(u32, Bytes)>) -> BoxFuture<'a, ()> {
        Box::pin(Mailbox::put_derived(self, kind, items))
    }

    fn search<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Found, MailboxError>> {
        Box::pin(Mailbox::search(self, query))
    }
}

trait ErasedReader: Send {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, ReadError>>;
}

impl<R: Reader> ErasedReader for R {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, ReadError>> {
        Box::pin(Reader::next(self))
    }
}

trait ErasedWriter: Send {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), AppendError>>;
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Appended, AppendError>>;
    fn deliver(self: Box<Self>) -> BoxFuture<'static, Result<Custody, AppendError>>;
}

impl<W: Writer> ErasedWriter for W {
    fn write(&mut self, chunk: Bytes) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(Writer::write(self, chunk))
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Appended, AppendError>> {
        Box::pin(Writer::commit(*self))
    }

    fn deliver(self: Box<Self>) -> BoxFuture<'static, Result<Custody, AppendError>> {
        Box::pin(Writer::deliver(*self))
    }
}

macro_rules! opaque_debug {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

opaque_debug! { DynStore DynAccount DynMailbox DynReader DynWriter }
