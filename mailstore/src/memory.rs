//! A store in memory: for tests of what is built upon stores, and the shortest account of what a store does.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::{Range, RangeInclusive},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};

use crate::{
    Account, Appended, Changes, Copied, Custody, Expunge, FlagChange, Flags, Found, Hint, Hints, Hub, Lease, LeaseKind,
    Mailbox, MailboxInfo, Message, NewMessage, Query, Reader, Recent, Since, Snapshot, SpecialUse, Status, Store,
    Stored, Touched, Writer,
    derived::{Derived, next_mailbox_number},
    error::{
        AppendError, CopyError, CreateError, DeleteError, FlagsError, LeaseError, ListError, MailboxError, OpenError,
        ReadError, RenameError, StoreError, Trouble,
    },
    ledger::{Ledger, TakesNewKeywords},
    message::is_delivery_id,
    names::{INBOX, assemble, below, canonical},
};

/// How many octets a reader says at once.
const CHUNK: usize = 64 * 1024;

/// Where a history's MODSEQ begins.
const FIRST_MODSEQ: u64 = 1;

/// A store in memory. Clones share their content, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    accounts: Arc<Mutex<BTreeMap<String, MemoryAccount>>>,
    derived: Arc<Derived>,
}

/// An account of a [`MemoryStore`].
#[derive(Clone, Debug)]
pub struct MemoryAccount {
    content: Arc<Mutex<Content>>,
    hub: Hub,
    derived: Arc<Derived>,
}

/// A mailbox of a [`MemoryStore`].
#[derive(Clone, Debug)]
pub struct MemoryMailbox {
    account: MemoryAccount,
    name: Arc<str>,
    id: u64,
}

/// A message of a [`MemoryStore`] on its way out.
#[derive(Debug)]
pub struct MemoryReader {
    rest: Bytes,
}

/// A message on its way into a [`MemoryStore`].
#[derive(Debug)]
pub struct MemoryWriter {
    mailbox: MemoryMailbox,
    new: NewMessage,
    body: BytesMut,
}

#[derive(Debug)]
struct Content {
    mailboxes: BTreeMap<String, Folder>,
    subscriptions: BTreeSet<String>,
    leases: Vec<LeaseKind>,
    last_uidvalidity: u32,
    guids: u64,
}

#[derive(Debug)]
struct Folder {
    id: u64,
    special_use: Option<SpecialUse>,
    ledger: Ledger<Bytes>,
    deliveries: HashMap<String, (u32, Arc<str>)>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self { accounts: Arc::default(), derived: Arc::new(Derived::new(16 << 20)) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    type Account = MemoryAccount;

    async fn open(&self, address: &str) -> Result<MemoryAccount, StoreError> {
        let address = address.to_lowercase();
        match address.rsplit_once('@') {
            Some((local, domain)) if !local.is_empty() && !domain.is_empty() => {}
            Some(_) | None => return Err(StoreError::BadAddress),
        }
        let mut accounts = locked(&self.accounts);
        let account = accounts.entry(address).or_insert_with(|| MemoryAccount::new(Arc::clone(&self.derived)));
        Ok(account.clone())
    }

    async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        let accounts = locked(&self.accounts);
        let all = accounts.keys().filter(|name| after.is_none_or(|after| name.as_str() > after));
        Ok(all.take(limit).cloned().collect())
    }

    async fn health(&self) -> Result<(), Trouble> {
        Ok(())
    }
}

impl MemoryAccount {
    fn new(derived: Arc<Derived>) -> Self {
        let mut content = Content {
            mailboxes: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            leases: Vec::new(),
            last_uidvalidity: 0,
            guids: 0,
        };
        content.add(INBOX.to_owned(), None);
        Self { content: Arc::new(Mutex::new(content)), hub: Hub::new(), derived }
    }
}

impl Content {
    fn add(&mut self, name: String, special_use: Option<SpecialUse>) {
        let ledger = Ledger::new(self.next_uidvalidity(), 1, 0, FIRST_MODSEQ);
        let folder = Folder { id: next_mailbox_number(), special_use, ledger, deliveries: HashMap::new() };
        self.mailboxes.insert(name, folder);
    }

    fn next_uidvalidity(&mut self) -> u32 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.last_uidvalidity = self.last_uidvalidity.saturating_add(1).max(u32::try_from(now).unwrap_or(0)).max(1);
        self.last_uidvalidity
    }

    fn next_guid(&mut self) -> Arc<str> {
        self.guids += 1;
        format!("memory-{}", self.guids).into()
    }

    fn folder(&mut self, mailbox: &MemoryMailbox) -> Option<&mut Folder> {
        self.mailboxes.get_mut(&*mailbox.name).filter(|folder| folder.id == mailbox.id)
    }
}

impl Account for MemoryAccount {
    type Mailbox = MemoryMailbox;

    async fn list(&self) -> Result<Vec<MailboxInfo>, ListError> {
        let content = locked(&self.content);
        let mailboxes = content.mailboxes.iter().map(|(name, folder)| (name.clone(), folder.special_use)).collect();
        Ok(assemble(&mailboxes, &content.subscriptions))
    }

    async fn create(&self, name: &str, special_use: Option<SpecialUse>) -> Result<(), CreateError> {
        let name = canonical(name).ok_or(CreateError::BadName)?;
        let mut content = locked(&self.content);
        if content.mailboxes.contains_key(&name) {
            return Err(CreateError::Exists);
        }
        if special_use.is_some() && content.mailboxes.values().any(|folder| folder.special_use == special_use) {
            return Err(CreateError::SpecialUseTaken);
        }
        content.add(name, special_use);
        self.hub.publish(&Hint::Account);
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), DeleteError> {
        let name = canonical(name).ok_or(DeleteError::NotFound)?;
        if name == INBOX {
            return Err(DeleteError::Inbox);
        }
        locked(&self.content).mailboxes.remove(&name).ok_or(DeleteError::NotFound)?;
        self.hub.publish(&Hint::Account);
        Ok(())
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), RenameError> {
        let from = canonical(from).ok_or(RenameError::NotFound)?;
        let to = canonical(to).ok_or(RenameError::BadName)?;
        if from == INBOX {
            return self.empty_inbox_into(&to).await;
        }
        let mut content = locked(&self.content);
        let old: Vec<_> =
            content.mailboxes.keys().filter(|name| **name == from || below(name, &from).is_some()).cloned().collect();
        if old.is_empty() {
            return Err(RenameError::NotFound);
        }
        if below(&to, &from).is_some() {
            return Err(RenameError::BadName);
        }
        let renamed = |name: &String| format!("{to}{}", below(name, &from).unwrap_or_default());
        if content.mailboxes.contains_key(&to) || old.iter().any(|name| content.mailboxes.contains_key(&renamed(name)))
        {
            return Err(RenameError::Exists);
        }
        for name in old {
            let uidvalidity = content.next_uidvalidity();
            if let Some(folder) = content.mailboxes.remove(&name) {
                content.mailboxes.insert(renamed(&name), folder.reborn(uidvalidity));
            }
        }
        self.hub.publish(&Hint::Account);
        Ok(())
    }

    async fn subscribe(&self, name: &str) -> Result<(), ListError> {
        let name = canonical(name).ok_or(ListError::BadName)?;
        locked(&self.content).subscriptions.insert(name);
        self.hub.publish(&Hint::Account);
        Ok(())
    }

    async fn unsubscribe(&self, name: &str) -> Result<(), ListError> {
        if let Some(name) = canonical(name) {
            locked(&self.content).subscriptions.remove(&name);
            self.hub.publish(&Hint::Account);
        }
        Ok(())
    }

    async fn status(&self, names: &[&str]) -> Vec<Result<Status, OpenError>> {
        let content = locked(&self.content);
        let folder = |name: &&str| content.mailboxes.get(&canonical(name)?);
        names.iter().map(|name| folder(name).map(|folder| folder.ledger.status()).ok_or(OpenError::NotFound)).collect()
    }

    async fn open(&self, name: &str) -> Result<MemoryMailbox, OpenError> {
        let name = canonical(name).ok_or(OpenError::NotFound)?;
        let id = locked(&self.content).mailboxes.get(&name).ok_or(OpenError::NotFound)?.id;
        Ok(MemoryMailbox { account: self.clone(), name: name.into(), id })
    }

    async fn lease(&self, kind: LeaseKind) -> Result<Lease, LeaseError> {
        let mut content = locked(&self.content);
        if content.leases.contains(&kind) {
            return Err(LeaseError::Taken);
        }
        content.leases.push(kind);
        let account = self.clone();
        Ok(Lease::new(move || {
            locked(&account.content).leases.retain(|held| *held != kind);
            Box::pin(async {})
        }))
    }

    fn hints(&self) -> Hints {
        self.hub.listen()
    }
}

impl MemoryAccount {
    async fn empty_inbox_into(&self, to: &str) -> Result<(), RenameError> {
        self.create(to, None).await.map_err(|error| match error {
            CreateError::Exists => RenameError::Exists,
            CreateError::BadName | CreateError::SpecialUseTaken => RenameError::BadName,
            CreateError::Trouble(trouble) => RenameError::Trouble(trouble),
        })?;
        let (Ok(inbox), Ok(target)) = (self.open(INBOX).await, self.open(to).await) else {
            return Err(RenameError::NotFound);
        };
        inbox.move_to(&[1..=u32::MAX], &target).await.map_err(|_| RenameError::NotFound)?;
        Ok(())
    }
}

impl Folder {
    /// The same messages under a new name, whose earlier holder may have used any UIDVALIDITY up to now.
    fn reborn(self, uidvalidity: u32) -> Self {
        let old = self.ledger;
        let mut ledger = Ledger::new(uidvalidity, old.uidnext(), old.claimed(), old.highestmodseq());
        ledger.keywords = Arc::clone(&old.keywords);
        for entry in old.entries() {
            ledger.insert(entry.message.clone(), entry.place.clone());
        }
        Self { id: next_mailbox_number(), ledger, ..self }
    }

    /// Makes the mailbox know all keywords in a set, and gives back the set in the mailbox's spelling.
    fn intern(&mut self, flags: &Flags) -> Flags {
        let mut known = self.ledger.keywords.to_vec();
        let mut interned: Flags = flags.system().collect();
        for keyword in flags.shared_keywords() {
            match known.iter().find(|known| known.eq_ignore_ascii_case(keyword)) {
                Some(known) => interned.add_shared(known),
                None => {
                    interned.add_shared(keyword);
                    known.push(Arc::clone(keyword));
                }
            }
        }
        if known.len() > self.ledger.keywords.len() {
            self.ledger.keywords = known.into();
        }
        interned
    }

    fn append(&mut self, message: Message, body: Bytes) -> Result<u32, Trouble> {
        let uid = self.ledger.next_uid()?;
        let flags = self.intern(&message.flags);
        let modseq = self.ledger.next_modseq();
        self.ledger.insert(Message { uid, flags, modseq, ..message }, body);
        Ok(uid)
    }
}

impl MemoryMailbox {
    fn with<T>(&self, look: impl FnOnce(&mut Folder) -> T) -> Option<T> {
        locked(&self.account.content).folder(self).map(look)
    }

    fn told(&self) {
        self.account.hub.publish(&Hint::Mailbox(Arc::clone(&self.name)));
    }
}

impl Mailbox for MemoryMailbox {
    type Reader = MemoryReader;
    type Writer = MemoryWriter;

    async fn snapshot(&self, recent: Recent) -> Result<Snapshot, MailboxError> {
        self.with(|folder| folder.ledger.snapshot(recent, TakesNewKeywords::Yes)).ok_or(MailboxError::Gone)
    }

    async fn changes(&self, since: &Since, recent: Recent) -> Result<Changes, MailboxError> {
        self.with(|folder| folder.ledger.changes(since, recent)).ok_or(MailboxError::Gone)
    }

    async fn flags(&self, uids: &[RangeInclusive<u32>]) -> Result<Vec<Touched>, MailboxError> {
        self.with(|folder| folder.ledger.among(uids).map(|entry| entry.touched()).collect()).ok_or(MailboxError::Gone)
    }

    async fn open_ended(&self, uids: &[RangeInclusive<u32>]) -> Result<Vec<u32>, MailboxError> {
        let open = |body: &Bytes| !body.is_empty() && !body.ends_with(b"\r\n");
        self.with(|folder| {
            folder.ledger.among(uids).filter(|entry| open(&entry.place)).map(|entry| entry.message.uid).collect()
        })
        .ok_or(MailboxError::Gone)
    }

    async fn store_flags(&self, uids: &[RangeInclusive<u32>], change: &FlagChange) -> Result<Stored, FlagsError> {
        let stored = self.with(|folder| {
            let change = FlagChange { flags: folder.intern(&change.flags), ..change.clone() };
            let mut stored = Stored::default();
            let mut after = Vec::new();
            for entry in folder.ledger.among(uids) {
                if change.unchanged_since.is_some_and(|modseq| entry.message.modseq > modseq) {
                    stored.modified.push(entry.message.uid);
                    continue;
                }
                let flags = change.applied_to(&entry.message.flags);
                if flags != entry.message.flags {
                    after.push((entry.message.uid, flags));
                }
            }
            if after.is_empty() {
                return stored;
            }
            let modseq = folder.ledger.next_modseq();
            for (uid, flags) in after {
                folder.ledger.touch(uid, flags.clone(), modseq);
                stored.changed.push(Touched { uid, flags, modseq });
            }
            stored
        });
        let stored = stored.ok_or(FlagsError::Gone)?;
        self.told();
        Ok(stored)
    }

    async fn read(&self, uid: u32, range: Range<u64>) -> Result<MemoryReader, ReadError> {
        let body = self.with(|folder| folder.ledger.entry(uid).map(|entry| entry.place.clone())).flatten();
        let body = body.ok_or(ReadError::Gone)?;
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(body.len());
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
        Ok(MemoryReader { rest: body.slice(start..end) })
    }

    async fn append(&self, new: NewMessage) -> Result<MemoryWriter, AppendError> {
        if new.delivery_id.as_deref().is_some_and(|id| !is_delivery_id(id)) {
            return Err(AppendError::BadDeliveryId);
        }
        self.with(|_| ()).ok_or(AppendError::Gone)?;
        Ok(MemoryWriter { mailbox: self.clone(), new, body: BytesMut::new() })
    }

    async fn copy(&self, uids: &[RangeInclusive<u32>], to: &Self) -> Result<Copied, CopyError> {
        let sources: Vec<_> = self
            .with(|folder| {
                folder.ledger.among(uids).map(|entry| (entry.message.clone(), entry.place.clone())).collect()
            })
            .ok_or(CopyError::Gone)?;
        let mut content = locked(&to.account.content);
        let mut copied = Copied { uidvalidity: 0, uids: Vec::with_capacity(sources.len()) };
        for (message, body) in sources {
            let (old, guid) = (message.uid, content.next_guid());
            let target = content.folder(to).ok_or(CopyError::TargetGone)?;
            let uid = target.append(Message { guid, inherited_uidl: None, ..message }, body)?;
            copied.uids.push((old, uid));
        }
        copied.uidvalidity = content.folder(to).ok_or(CopyError::TargetGone)?.ledger.uidvalidity();
        drop(content);
        to.told();
        Ok(copied)
    }

    async fn move_to(&self, uids: &[RangeInclusive<u32>], to: &Self) -> Result<Copied, CopyError> {
        let copied = self.copy(uids, to).await?;
        let old: Vec<_> = copied.uids.iter().map(|(old, _)| *old..=*old).collect();
        self.expunge(Expunge::These(&old)).await.map_err(|error| match error {
            MailboxError::Gone => CopyError::Gone,
            MailboxError::Trouble(trouble) => CopyError::Trouble(trouble),
        })?;
        Ok(copied)
    }

    async fn expunge(&self, which: Expunge<'_>) -> Result<Vec<u32>, MailboxError> {
        let gone = self.with(|folder| {
            let gone = folder.ledger.doomed(which);
            if !gone.is_empty() {
                let modseq = folder.ledger.next_modseq();
                for uid in &gone {
                    folder.ledger.remove(*uid, modseq);
                }
            }
            gone
        });
        let gone = gone.ok_or(MailboxError::Gone)?;
        self.told();
        Ok(gone)
    }

    async fn derived(&self, kind: &str, uids: &[RangeInclusive<u32>]) -> Vec<(u32, Bytes)> {
        self.account.derived.look_up(self.id, kind, uids)
    }

    async fn put_derived(&self, kind: &str, items: Vec<(u32, Bytes)>) {
        self.account.derived.put(self.id, kind, items);
    }

    async fn search(&self, query: &Query) -> Result<Found, MailboxError> {
        Ok(query.narrow(&self.snapshot(Recent::Peek).await?.messages))
    }
}

impl Reader for MemoryReader {
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.rest.split_to(CHUNK.min(self.rest.len()))))
    }
}

impl Writer for MemoryWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), AppendError> {
        self.body.extend_from_slice(&chunk);
        Ok(())
    }

    async fn commit(self) -> Result<Appended, AppendError> {
        let Self { mailbox, new, body } = self;
        let mut content = locked(&mailbox.account.content);
        let guid = content.next_guid();
        let folder = content.folder(&mailbox).ok_or(AppendError::Gone)?;
        let uidvalidity = folder.ledger.uidvalidity();
        if let Some((uid, guid)) = new.delivery_id.as_ref().and_then(|id| folder.deliveries.get(id)) {
            let custody = Custody::attest_durable(Arc::clone(guid));
            return Ok(Appended { uidvalidity, uid: *uid, custody });
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let message = Message {
            uid: 0,
            flags: new.flags,
            size: body.len() as u64,
            internal_date: new.internal_date.unwrap_or(now.cast_signed()),
            modseq: 0,
            guid: Arc::clone(&guid),
            inherited_uidl: None,
        };
        let uid = folder.append(message, body.freeze())?;
        if let Some(id) = new.delivery_id {
            folder.deliveries.insert(id, (uid, Arc::clone(&guid)));
        }
        drop(content);
        mailbox.told();
        Ok(Appended { uidvalidity, uid, custody: Custody::attest_durable(guid) })
    }

    async fn deliver(self) -> Result<Custody, AppendError> {
        Ok(self.commit().await?.custody)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
