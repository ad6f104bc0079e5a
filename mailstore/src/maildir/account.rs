//! One account: its mailboxes as directories, its subscriptions, its lease.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{
    dotlock::Dotlock,
    files::{Files, Kind},
    folder::Folder,
    layout,
    mailbox::MaildirMailbox,
    roster::{self, Roster},
    shelf::{Attempt, Shelf},
    site::{Doing, Site},
    subscriptions::Subscriptions,
    uidlist, whole,
};
use crate::{
    Account, Hint, Hints, Hub, Lease, LeaseKind, Mailbox, MailboxInfo, SpecialUse, Status,
    error::{
        CopyError, CreateError, DeleteError, LeaseError, ListError, MailboxError, OpenError, RenameError, Trouble,
    },
    names::{INBOX, assemble, below, canonical},
    turn::Turns,
};

/// Dovecot's lock for changes to an account's list of subscriptions; ours for all that concerns the account.
const LOCK: &str = "subscriptions.lock";

/// Who holds this locked has the account's maildrop for itself.
const LEASE: &str = "posthaste-lease";

/// An account of a [`MaildirStore`](super::MaildirStore).
#[derive(Clone, Debug)]
pub struct MaildirAccount {
    core: Arc<Core>,
}

#[derive(Debug)]
pub(crate) struct Core {
    shelf: Arc<Shelf>,
    dir: PathBuf,
    pub(crate) hub: Hub,
    turns: Turns,
    /// Mailboxes that somebody has open, by name.
    folders: Mutex<HashMap<String, Weak<Folder>>>,
}

impl Core {
    pub(crate) fn new(shelf: Arc<Shelf>, dir: PathBuf) -> Self {
        Self { shelf, dir, hub: Hub::new(), turns: Turns::default(), folders: Mutex::default() }
    }

    fn files(&self) -> &dyn Files {
        &*self.shelf.files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn folders(&self) -> MutexGuard<'_, HashMap<String, Weak<Folder>>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mailbox that lies in a directory of the account.
    fn folder(self: &Arc<Self>, name: &str, directory: &str) -> Arc<Folder> {
        let mut folders = self.folders();
        if let Some(folder) = folders.get(name).and_then(Weak::upgrade).filter(|folder| !folder.is_gone()) {
            return folder;
        }
        folders.retain(|_, folder| folder.strong_count() > 0);
        let site = Site {
            files: Arc::clone(&self.shelf.files),
            account: self.dir.clone(),
            dir: self.path(directory),
            host: Arc::clone(&self.shelf.host),
        };
        let folder = Arc::new(Folder::new(Arc::clone(&self.shelf), site, name.into(), Arc::clone(self)));
        folders.insert(name.to_owned(), Arc::downgrade(&folder));
        folder
    }

    /// Mailboxes that somebody has open and whose name is this or lies below it, in the order in which to take their
    /// turns.
    fn open_at_or_below(&self, name: &str) -> Vec<Arc<Folder>> {
        let folders = self.folders();
        let concerned = folders.iter().filter(|(known, _)| *known == name || below(known, name).is_some());
        let mut open: Vec<_> = concerned.filter_map(|(_, folder)| folder.upgrade()).collect();
        open.sort_unstable_by_key(|folder| folder.number);
        open
    }

    /// The names of all mailboxes and their directories.
    fn directories(&self) -> Result<BTreeMap<String, String>, Trouble> {
        let mut all = BTreeMap::from([(INBOX.to_owned(), String::new())]);
        for directory in self.files().list(&self.dir).doing("list the account's directory")? {
            let Some(directory) = directory.to_str() else { continue };
            let Some(name) = layout::name(directory) else { continue };
            if self.is_mailbox(directory)? {
                all.insert(name, directory.to_owned());
            }
        }
        Ok(all)
    }

    fn is_mailbox(&self, directory: &str) -> Result<bool, Trouble> {
        self.is_mailbox_in(self.files(), directory)
    }

    fn is_mailbox_in(&self, files: &dyn Files, directory: &str) -> Result<bool, Trouble> {
        match files.stat(&self.path(directory).join("cur")) {
            Ok(meta) => Ok(meta.kind == Kind::Dir),
            // Also a file, or a link to somewhere, that has a mailbox's name.
            Err(error) if whole::is_missing(&error) || is_no_directory(&error) => Ok(false),
            Err(error) => Err(error).doing("look at a mailbox"),
        }
    }

    fn read_roster(&self) -> Result<Roster, Trouble> {
        let content = whole::read(self.files(), &self.path(roster::NAME)).doing("read the special uses")?;
        Ok(content.map(|(content, _)| Roster::parse(&content)).unwrap_or_default())
    }

    fn write_roster(&self, roster: &Roster) -> Result<(), Trouble> {
        let (path, beside) = (self.path(roster::NAME), self.path(roster::BESIDE));
        whole::replace(self.files(), &path, &beside, &roster.write()).doing("write the special uses")?;
        self.files().sync_dir(&self.dir).doing("sync the account's directory")
    }

    fn read_subscriptions(&self) -> Result<Subscriptions, Trouble> {
        let content = whole::read(self.files(), &self.path(super::subscriptions::NAME));
        let content = content.doing("read the subscriptions")?;
        Ok(content.map(|(content, _)| Subscriptions::parse(&content)).unwrap_or_default())
    }

    fn write_subscriptions(&self, subscriptions: &Subscriptions) -> Result<(), Trouble> {
        let (path, beside) = (self.path(super::subscriptions::NAME), self.path("subscriptions.tmp"));
        whole::replace(self.files(), &path, &beside, &subscriptions.write()).doing("write the subscriptions")?;
        self.files().sync_dir(&self.dir).doing("sync the account's directory")
    }

    /// Makes a mailbox's directory. What makes it a mailbox, `cur`, comes last.
    fn make(&self, directory: &str) -> Result<(), Trouble> {
        const DOING: &str = "make a mailbox";
        let dir = self.path(directory);
        make_dir(self.files(), &dir).doing(DOING)?;
        make_dir(self.files(), &dir.join("new")).doing(DOING)?;
        make_dir(self.files(), &dir.join("tmp")).doing(DOING)?;
        match self.files().create(&dir.join("maildirfolder")) {
            Err(error) if !is_there(&error) => return Err(error).doing(DOING),
            Ok(_) | Err(_) => {}
        }
        let uidvalidity = super::uidvalidity::next(self.files(), &self.dir).doing("take a UIDVALIDITY")?;
        super::mirror::write_new_list(self.files(), &dir, uidvalidity)?;
        make_dir(self.files(), &dir.join("cur")).doing(DOING)?;
        self.files().sync_dir(&dir).doing(DOING)?;
        self.files().sync_dir(&self.dir).doing(DOING)
    }

    /// Removes a mailbox's directory: at once from sight, then its files.
    fn unmake(&self, directory: &str) -> Result<(), Trouble> {
        const DOING: &str = "delete a mailbox";
        let trash = self.path(layout::TRASH);
        remove_all(self.files(), &trash).doing(DOING)?;
        self.files().rename(&self.path(directory), &trash).doing(DOING)?;
        self.files().sync_dir(&self.dir).doing(DOING)?;
        // It is out of sight; what cannot be removed now is removed with the next.
        let _ = remove_all(self.files(), &trash);
        Ok(())
    }
}

fn make_dir(files: &dyn Files, path: &Path) -> std::io::Result<()> {
    match files.make_dir(path) {
        Err(error) if is_there(&error) => Ok(()),
        made => made,
    }
}

fn is_there(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::AlreadyExists
}

fn is_no_directory(error: &std::io::Error) -> bool {
    // A link in the way of a path is "too many links" to the system.
    matches!(error.kind(), std::io::ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Removes a directory and what is in it. Mailboxes are two levels deep; what somebody has put deeper stays.
fn remove_all(files: &dyn Files, dir: &Path) -> std::io::Result<()> {
    let names = match files.list(dir) {
        Err(error) if whole::is_missing(&error) => return Ok(()),
        names => names?,
    };
    for name in names {
        let path = dir.join(name);
        match files.stat(&path)?.kind {
            Kind::Dir => {
                for name in files.list(&path)? {
                    files.remove(&path.join(name))?;
                }
                files.remove_dir(&path)?;
            }
            Kind::File | Kind::Other => files.remove(&path)?,
        }
    }
    files.remove_dir(dir)
}

/// Makes an account's directory with an empty INBOX, if it is not there.
pub(crate) fn ensure(files: &dyn Files, dir: &Path) -> Result<(), Trouble> {
    const DOING: &str = "make an account's directory";
    match files.stat(&dir.join("cur")) {
        Ok(_) => return Ok(()),
        Err(error) if whole::is_missing(&error) => {}
        Err(error) => return Err(error).doing("look at an account's directory"),
    }
    let domain = dir.parent().unwrap_or(Path::new(""));
    make_dir(files, domain).doing(DOING)?;
    for path in [dir.to_owned(), dir.join("tmp"), dir.join("new"), dir.join("cur")] {
        make_dir(files, &path).doing(DOING)?;
    }
    for path in [dir, domain, Path::new("")] {
        files.sync_dir(path).doing(DOING)?;
    }
    Ok(())
}

impl MaildirAccount {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Runs something that needs no lock.
    async fn ask<T, E>(&self, job: impl FnOnce(&Arc<Core>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Trouble> + Send + 'static,
    {
        let core = Arc::clone(&self.core);
        self.core.shelf.pool.run(move || job(&core)).await?
    }

    /// Runs a change to the account under its lock and, of mailboxes it concerns, in their turns.
    async fn change<T, E>(
        &self,
        concerned: &[Arc<Folder>],
        job: impl Fn(&Core) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Trouble> + Send + 'static,
    {
        self.try_change(concerned, move |core| job(core).map(|done| Attempt::Done(done))).await
    }

    /// The same for a change that needs more locks, and may find them held.
    async fn try_change<T, E>(
        &self,
        concerned: &[Arc<Folder>],
        job: impl Fn(&Core) -> Result<Attempt<T, ()>, E> + Send + Sync + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Trouble> + Send + 'static,
    {
        let (core, job) = (Arc::clone(&self.core), Arc::new(job));
        let mut turns = vec![&self.core.turns];
        turns.extend(concerned.iter().map(|folder| &folder.turns));
        let attempt = move |()| {
            let lock = Dotlock::try_take(&core.shelf.files, &core.path(LOCK), &core.shelf.host);
            let Some(_lock) = lock.doing("lock the account")? else { return Ok(Attempt::Held(())) };
            let done = job(&core);
            core.hub.publish(&Hint::Account);
            done
        };
        self.core.shelf.insist(&turns, (), attempt).await
    }

    async fn empty_inbox_into(&self, to: &str) -> Result<(), RenameError> {
        self.create(to, None).await.map_err(|error| match error {
            CreateError::Exists => RenameError::Exists,
            CreateError::BadName | CreateError::SpecialUseTaken => RenameError::BadName,
            CreateError::Trouble(trouble) => RenameError::Trouble(trouble),
        })?;
        let opened = (self.open(INBOX).await, self.open(to).await);
        let (Ok(inbox), Ok(target)) = opened else { return Err(RenameError::NotFound) };
        let moved = inbox.move_to(&[1..=u32::MAX], &target).await;
        moved.map(|_| ()).map_err(|error| match error {
            CopyError::Trouble(trouble) => RenameError::Trouble(trouble),
            CopyError::Gone
            | CopyError::TargetGone
            | CopyError::OtherStore
            | CopyError::OverQuota
            | CopyError::TooManyKeywords => RenameError::NotFound,
        })
    }

    /// Moves directories to their new names, as far as nothing is in the way.
    fn rename_all(core: &Core, from: &str, to: &str, open: &[Arc<Folder>]) -> Result<Attempt<(), ()>, RenameError> {
        let all = core.directories()?;
        let mut moves = Vec::new();
        for (name, directory) in &all {
            let rest = if name == from { Some("") } else { below(name, from) };
            let Some(rest) = rest else { continue };
            let new = format!("{to}{rest}");
            let target = layout::directory(&new).ok_or(RenameError::BadName)?;
            if all.contains_key(&new) {
                return Err(RenameError::Exists);
            }
            moves.push((directory, target));
        }
        if moves.is_empty() {
            return Err(RenameError::NotFound);
        }
        if all.contains_key(to) {
            return Err(RenameError::Exists);
        }
        let mut roster = core.read_roster()?;
        let mut locks = Vec::with_capacity(moves.len());
        for (old, _) in &moves {
            let lock = Dotlock::try_take(&core.shelf.files, &core.path(old).join(uidlist::LOCK), &core.shelf.host);
            let Some(lock) = lock.doing("lock a mailbox")? else { return Ok(Attempt::Held(())) };
            locks.push(lock);
        }
        for ((old, new), lock) in moves.iter().zip(locks) {
            let (old_dir, new_dir) = (core.path(old), core.path(new));
            // Whoever knew the new name before may have seen any UIDVALIDITY up to now.
            super::mirror::renew_uidvalidity(core.files(), &core.dir, &old_dir)?;
            // It would go along, and nobody would know that it is nobody's.
            drop(lock);
            core.files().rename(&old_dir, &new_dir).doing("rename a mailbox")?;
            roster.rename(old, new);
        }
        core.files().sync_dir(&core.dir).doing("sync the account's directory")?;
        for folder in open {
            folder.vanish();
        }
        if roster.is_changed() {
            core.write_roster(&roster)?;
        }
        Ok(Attempt::Done(()))
    }
}

impl Account for MaildirAccount {
    type Mailbox = MaildirMailbox;

    async fn list(&self) -> Result<Vec<MailboxInfo>, ListError> {
        self.ask(|core| {
            let roster = core.read_roster()?;
            let all = core.directories()?.into_iter();
            let mailboxes = all.map(|(name, directory)| (name, roster.special_use(&directory))).collect();
            Ok(assemble(&mailboxes, &core.read_subscriptions()?.names()))
        })
        .await
    }

    async fn create(&self, name: &str, special_use: Option<SpecialUse>) -> Result<(), CreateError> {
        let name = canonical(name).ok_or(CreateError::BadName)?;
        let directory = layout::directory(&name).ok_or(CreateError::BadName)?;
        self.change(&[], move |core| {
            if directory.is_empty() || core.is_mailbox(&directory)? {
                return Err(CreateError::Exists);
            }
            let mut roster = core.read_roster()?;
            let all = core.directories()?;
            roster.keep_only(|directory| all.values().any(|known| known == directory));
            if special_use.is_some_and(|special_use| roster.has(special_use)) {
                return Err(CreateError::SpecialUseTaken);
            }
            core.make(&directory)?;
            if let Some(special_use) = special_use {
                roster.set(special_use, &directory);
                core.write_roster(&roster)?;
            }
            Ok(())
        })
        .await
    }

    async fn delete(&self, name: &str) -> Result<(), DeleteError> {
        let name = canonical(name).ok_or(DeleteError::NotFound)?;
        if name == INBOX {
            return Err(DeleteError::Inbox);
        }
        let directory = layout::directory(&name).ok_or(DeleteError::NotFound)?;
        let mut open = self.core.open_at_or_below(&name);
        open.retain(|folder| *folder.name == *name);
        let vanishing = open.clone();
        self.change(&open, move |core| {
            if !core.is_mailbox(&directory)? {
                return Err(DeleteError::NotFound);
            }
            let mut roster = core.read_roster()?;
            roster.keep_only(|known| known != directory);
            if roster.is_changed() {
                core.write_roster(&roster)?;
            }
            core.unmake(&directory)?;
            for folder in &vanishing {
                folder.vanish();
            }
            Ok(())
        })
        .await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), RenameError> {
        let from = canonical(from).ok_or(RenameError::NotFound)?;
        let to = canonical(to).ok_or(RenameError::BadName)?;
        if from == INBOX {
            return self.empty_inbox_into(&to).await;
        }
        if below(&to, &from).is_some() {
            return Err(RenameError::BadName);
        }
        let open = self.core.open_at_or_below(&from);
        let vanishing = open.clone();
        self.try_change(&open, move |core| Self::rename_all(core, &from, &to, &vanishing)).await
    }

    async fn subscribe(&self, name: &str) -> Result<(), ListError> {
        let name = canonical(name).ok_or(ListError::BadName)?;
        self.change(&[], move |core| {
            let mut subscriptions = core.read_subscriptions()?;
            match subscriptions.add(&name) {
                None => Err(ListError::BadName),
                Some(false) => Ok(()),
                Some(true) => Ok(core.write_subscriptions(&subscriptions)?),
            }
        })
        .await
    }

    async fn unsubscribe(&self, name: &str) -> Result<(), ListError> {
        let Some(name) = canonical(name) else { return Ok(()) };
        self.change(&[], move |core| {
            let mut subscriptions = core.read_subscriptions()?;
            if subscriptions.remove(&name) {
                core.write_subscriptions(&subscriptions)?;
            }
            Ok(())
        })
        .await
    }

    async fn status(&self, names: &[&str]) -> Vec<Result<Status, OpenError>> {
        let mut answers = Vec::with_capacity(names.len());
        for name in names {
            let answer = match self.open(name).await {
                Ok(mailbox) => mailbox.status().await.map_err(|error| match error {
                    MailboxError::Gone => OpenError::NotFound,
                    MailboxError::Trouble(trouble) => OpenError::Trouble(trouble),
                }),
                Err(error) => Err(error),
            };
            answers.push(answer);
        }
        answers
    }

    async fn open(&self, name: &str) -> Result<MaildirMailbox, OpenError> {
        let name = canonical(name).ok_or(OpenError::NotFound)?;
        let directory = layout::directory(&name).ok_or(OpenError::NotFound)?;
        let (core, at_once) = (&self.core, &*self.core.shelf.at_once);
        // To begin to watch may wait for the disk.
        if !core.hub.is_heard() && core.is_mailbox_in(at_once, &directory).unwrap_or(false) {
            let folder = core.folder(&name, &directory);
            core.shelf.keep_warm(&folder);
            return Ok(MaildirMailbox::new(folder));
        }
        let folder = self
            .ask(move |core| {
                if !core.is_mailbox(&directory)? {
                    return Err(OpenError::NotFound);
                }
                let folder = core.folder(&name, &directory);
                if folder.is_heard() {
                    core.shelf.watch.watch(&folder);
                }
                core.shelf.keep_warm(&folder);
                Ok(folder)
            })
            .await?;
        Ok(MaildirMailbox::new(folder))
    }

    async fn lease(&self, kind: LeaseKind) -> Result<Lease, LeaseError> {
        let LeaseKind::Maildrop = kind;
        let taken = match self.core.shelf.at_once.lock(&self.core.path(LEASE)) {
            Ok(taken) => taken,
            Err(_) => {
                let lock = |core: &Arc<Core>| core.files().lock(&core.path(LEASE)).doing("take the account's lease");
                self.ask(lock).await?
            }
        };
        let held = taken.ok_or(LeaseError::Taken)?;
        Ok(Lease::new(move || {
            drop(held);
            Box::pin(async {})
        }))
    }

    fn hints(&self) -> Hints {
        let hints = self.core.hub.listen();
        let open: Vec<_> = self.core.folders().values().filter_map(Weak::upgrade).collect();
        let shelf = Arc::clone(&self.core.shelf);
        self.core.shelf.pool.start(move || {
            for folder in open {
                shelf.watch.watch(&folder);
            }
        });
        hints
    }
}
