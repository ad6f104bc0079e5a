//! Mailboxes as Maildir++ in the format of Dovecot: each can serve what the other has served before, and both can at
//! the same time.
//!
//! An account is a directory `DOMAIN/LOCALPART` ([`account_directory`]), which is INBOX; `.A.B` in it is the mailbox
//! `A/B`. A message is a file. Beside Dovecot's files (`dovecot-uidlist`, `dovecot-keywords`, `dovecot-uidvalidity`,
//! `subscriptions`), a mailbox has `posthaste-facts` and an account `posthaste-special-use`, for what those cannot say. All of them are described in
//! `docs/maildir.md`, with what is durable when.
//!
//! Mailboxes are changed under the lock that Dovecot takes too, `dovecot-uidlist.lock`. Who waits for it occupies no
//! thread, so that one mailbox whose lock is stuck holds nobody else up. A delivery does not wait at all: the message
//! is durable first, and has its UID when somebody looks.
//!
//! What is not done: a mailbox's name cannot have a dot in a level; no symbolic link below the root is followed;
//! compressed mail is not read; the lock of Dovecot's POP3 sessions (off by default there) is not taken. One machine
//! serves a store: over NFS, stamps and locks do not mean enough.

mod account;
mod address;
mod admit;
mod alter;
mod at_once;
mod basename;
mod book;
mod courier;
mod disk;
mod dotlock;
mod ending;
mod facts;
mod fault;
mod files;
mod folder;
mod keywords;
mod layout;
mod lines;
mod mailbox;
mod mirror;
mod reader;
mod roster;
mod scan;
mod shelf;
mod site;
mod subscriptions;
mod uidlist;
mod uidvalidity;
mod watch;
mod whole;
mod writer;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use self::{account::Core, shelf::Shelf, site::Doing};
pub use self::{
    account::MaildirAccount,
    address::{account_address, account_directory},
    disk::Disk,
    files::{Directory, File, Files, Held, Kind, Meta, Stamp},
    mailbox::MaildirMailbox,
    reader::MaildirReader,
    writer::MaildirWriter,
};
use crate::{
    Store,
    error::{StoreError, Trouble},
};

/// Limits of a [`MaildirStore`].
#[derive(Clone, Debug)]
pub struct MaildirConfig {
    /// How many threads wait for the disk at most. More help where the disk answers many at once.
    pub threads: usize,
    /// How long to wait for a mailbox's lock before [`Trouble::Busy`]: long enough for another program's rescan, short
    /// enough that a client does not give up first.
    pub lock_wait: Duration,
    /// How many messages' entries are kept in memory for mailboxes that nobody has open; about 800 octets each.
    pub warm_messages: usize,
    /// How many octets of derived items are kept in memory.
    pub derived_octets: usize,
    /// This host's name, for file names and locks; `None` is the system's. Dovecot on the same machine must use the same,
    /// or it cannot tell that we are gone.
    pub host: Option<String>,
}

impl Default for MaildirConfig {
    fn default() -> Self {
        Self {
            threads: 16,
            lock_wait: Duration::from_secs(30),
            warm_messages: 200_000,
            derived_octets: 64 << 20,
            host: None,
        }
    }
}

/// Mailboxes as Maildir++ below one directory. Clones are one store.
#[derive(Clone, Debug)]
pub struct MaildirStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shelf: Arc<Shelf>,
    accounts: Mutex<HashMap<PathBuf, Weak<Core>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shelf.close();
    }
}

impl MaildirStore {
    /// Opens a directory as a store, and makes it when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn open(root: &Path, config: &MaildirConfig) -> Result<Self, Trouble> {
        Ok(Self::with_files(Arc::new(Disk::open(root).doing("open the mail directory")?), config))
    }

    /// Opens a store on any file system.
    pub fn with_files(files: Arc<dyn Files>, config: &MaildirConfig) -> Self {
        let host = match &config.host {
            Some(host) => basename::host(host),
            None => basename::host(&rustix::system::uname().nodename().to_string_lossy()),
        };
        dotlock::begin();
        let shelf = Arc::new(Shelf::new(files, host, config));
        Self { inner: Arc::new(Inner { shelf, accounts: Mutex::default() }) }
    }

    fn core(&self, dir: PathBuf) -> Arc<Core> {
        let mut accounts = self.inner.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(core) = accounts.get(&dir).and_then(Weak::upgrade) {
            return core;
        }
        // Now and then, so that what it costs is spread over as many openings.
        if accounts.len() == accounts.capacity() {
            accounts.retain(|_, core| core.strong_count() > 0);
        }
        let core = Arc::new(Core::new(Arc::clone(&self.inner.shelf), dir.clone()));
        accounts.insert(dir, Arc::downgrade(&core));
        core
    }
}

impl Store for MaildirStore {
    type Account = MaildirAccount;

    async fn open(&self, address: &str) -> Result<MaildirAccount, StoreError> {
        let dir = account_directory(address).ok_or(StoreError::BadAddress)?;
        let shelf = &self.inner.shelf;
        if account::ensure(&*shelf.at_once, &dir).is_err() {
            let (files, path) = (Arc::clone(&shelf.files), dir.clone());
            shelf.pool.run(move || account::ensure(&*files, &path)).await??;
        }
        Ok(MaildirAccount::new(self.core(dir)))
    }

    async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        let files = Arc::clone(&self.inner.shelf.files);
        let mut all = self.inner.shelf.pool.run(move || list_accounts(&*files)).await??;
        all.retain(|address| after.is_none_or(|after| address.as_str() > after));
        all.sort_unstable();
        all.truncate(limit);
        Ok(all)
    }

    async fn health(&self) -> Result<(), Trouble> {
        let files = Arc::clone(&self.inner.shelf.files);
        self.inner.shelf.pool.run(move || probe(&*files)).await?
    }
}

fn list_accounts(files: &dyn Files) -> Result<Vec<String>, Trouble> {
    const DOING: &str = "list the mail directory";
    let mut all = Vec::new();
    for domain in files.list(Path::new("")).doing(DOING)? {
        if files.stat(Path::new(&domain)).doing(DOING)?.kind != Kind::Dir {
            continue;
        }
        for local in files.list(Path::new(&domain)).doing(DOING)? {
            let names = (domain.to_str(), local.to_str());
            if let (Some(domain), Some(local)) = names {
                all.extend(account_address(domain, local));
            }
        }
    }
    Ok(all)
}

/// Writes, syncs, reads and removes a file.
fn probe(files: &dyn Files) -> Result<(), Trouble> {
    const CONTENT: &[u8] = b"alive";
    let Stamp { seconds, nanos } = files.now();
    let name = format!("posthaste-probe.{seconds}.{nanos}.{}", std::process::id());
    let path = Path::new(&name);
    let written = files.create(path).and_then(|mut file| {
        file.write(CONTENT)?;
        file.sync()
    });
    let read = whole::read(files, path);
    let removed = files.remove(path);
    written.doing("write to the mail directory")?;
    let read = read.doing("read from the mail directory")?;
    removed.doing("remove from the mail directory")?;
    if read.is_some_and(|(content, _)| content == CONTENT) {
        return Ok(());
    }
    Err(Trouble::Corrupt { what: "a file reads otherwise than it was written" })
}
