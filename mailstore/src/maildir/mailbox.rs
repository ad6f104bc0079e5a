//! One mailbox of a Maildir store, in the terms of the trait.

use std::{
    ops::{Range, RangeInclusive},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    alter::{Open, Transfer},
    fault::Fault,
    folder::Folder,
    reader::{self, MaildirReader},
    shelf::Attempt,
    writer::{self, MaildirWriter},
};
use crate::{
    Changes, Copied, Expunge, FlagChange, Found, Mailbox, NewMessage, Query, Recent, Since, Snapshot, Status, Stored,
    Touched,
    error::{AppendError, CopyError, FlagsError, MailboxError, ReadError},
    ledger::{Entry, TakesNewKeywords},
    message::is_delivery_id,
};

/// A mailbox of a [`MaildirStore`](super::MaildirStore).
#[derive(Clone, Debug)]
pub struct MaildirMailbox {
    folder: Arc<Folder>,
}

impl MaildirMailbox {
    pub(crate) fn new(folder: Arc<Folder>) -> Self {
        Self { folder }
    }

    pub(crate) async fn status(&self) -> Result<Status, MailboxError> {
        self.folder.observe(Recent::Peek, |mirror| mirror.ledger.status()).await
    }

    /// Copies or moves, under the locks of both mailboxes. They are taken in the same order by everybody; nobody waits
    /// for one while holding the other.
    async fn transfer(&self, uids: Vec<RangeInclusive<u32>>, to: &Self, how: Transfer) -> Result<Copied, CopyError> {
        let (source, target) = (Arc::clone(&self.folder), Arc::clone(&to.folder));
        if source.number == target.number {
            return match how {
                Transfer::Copy => source.alter(move |mailbox| mailbox.transfer_within(&uids)).await,
                Transfer::Move => source.alter(move |mailbox| move_within(mailbox, &uids)).await,
            };
        }
        let mut turns = [(source.number, &source.turns), (target.number, &target.turns)];
        turns.sort_unstable_by_key(|(number, _)| *number);
        let folders = (Arc::clone(&source), Arc::clone(&target));
        let attempt = move |uids: Vec<RangeInclusive<u32>>| {
            let (source, target) = &folders;
            if target.is_gone() {
                return Err(CopyError::TargetGone);
            }
            let again = uids.clone();
            let both = source.try_alter(move |from: &mut Open<'_>| {
                from.mirror.look(from.site, from.lock)?;
                match target.try_alter(|to: &mut Open<'_>| from.transfer(&uids, to, how)) {
                    Ok(Attempt::Done(copied)) => Ok(Some(copied)),
                    Ok(Attempt::Held(_)) => Ok(None),
                    Err(error) => Err(target_gone(error)),
                }
            })?;
            Ok(match both {
                Attempt::Done(Some(copied)) => Attempt::Done(copied),
                Attempt::Done(None) | Attempt::Held(_) => Attempt::Held(again),
            })
        };
        self.folder.shelf.insist(&turns.map(|(_, turns)| turns), uids, attempt).await
    }
}

/// To whoever wants to know, a mailbox that goes while it is copied into is the target.
fn target_gone(error: CopyError) -> CopyError {
    match error {
        CopyError::Gone => CopyError::TargetGone,
        CopyError::TargetGone
        | CopyError::OtherStore
        | CopyError::OverQuota
        | CopyError::TooManyKeywords
        | CopyError::Trouble(_) => error,
    }
}

/// A move to where the messages are: they get new UIDs, and the old ones go.
fn move_within(mailbox: &mut Open<'_>, uids: &[RangeInclusive<u32>]) -> Result<Copied, CopyError> {
    let copied = mailbox.transfer_within(uids)?;
    let old: Vec<_> = copied.uids.iter().map(|(old, _)| *old..=*old).collect();
    mailbox.expunge(Expunge::These(&old))?;
    Ok(copied)
}

impl Mailbox for MaildirMailbox {
    type Reader = MaildirReader;
    type Writer = MaildirWriter;

    async fn snapshot(&self, recent: Recent) -> Result<Snapshot, MailboxError> {
        let question = move |mirror: &mut super::mirror::Mirror| {
            let takes = if mirror.keywords.has_room() { TakesNewKeywords::Yes } else { TakesNewKeywords::No };
            mirror.ledger.snapshot(recent, takes)
        };
        self.folder.observe(recent, question).await
    }

    async fn changes(&self, since: &Since, recent: Recent) -> Result<Changes, MailboxError> {
        let since = since.clone();
        self.folder.observe(recent, move |mirror| mirror.ledger.changes(&since, recent)).await
    }

    async fn flags(&self, uids: &[RangeInclusive<u32>]) -> Result<Vec<Touched>, MailboxError> {
        let answer = |uids: &[RangeInclusive<u32>], mirror: &super::mirror::Mirror| {
            mirror.ledger.among(uids).map(Entry::touched).collect()
        };
        let turn = self.folder.turns.take().await;
        let remembered = self.folder.remember(|mirror| answer(uids, mirror))?;
        drop(turn);
        match remembered {
            Some(flags) => Ok(flags),
            None => {
                let uids = uids.to_vec();
                self.folder.observe(Recent::Peek, move |mirror| answer(&uids, mirror)).await
            }
        }
    }

    async fn open_ended(&self, uids: &[RangeInclusive<u32>]) -> Result<Vec<u32>, MailboxError> {
        let turn = self.folder.turns.take().await;
        let remembered = self.folder.remember(|mirror| mirror.open_ended(uids))?;
        drop(turn);
        match remembered.flatten() {
            Some(open) => Ok(open),
            None => {
                let uids = uids.to_vec();
                let learnt: Result<_, Fault> = self.folder.alter(move |mailbox| mailbox.learn_open_ended(&uids)).await;
                Ok(learnt?)
            }
        }
    }

    async fn store_flags(&self, uids: &[RangeInclusive<u32>], change: &FlagChange) -> Result<Stored, FlagsError> {
        let (uids, change) = (uids.to_vec(), change.clone());
        self.folder.alter(move |mailbox| mailbox.store_flags(&uids, &change)).await
    }

    async fn read(&self, uid: u32, range: Range<u64>) -> Result<MaildirReader, ReadError> {
        reader::open(&self.folder, uid, range).await
    }

    async fn append(&self, new: NewMessage) -> Result<MaildirWriter, AppendError> {
        if new.delivery_id.as_deref().is_some_and(|id| !is_delivery_id(id)) {
            return Err(AppendError::BadDeliveryId);
        }
        writer::begin(&self.folder, new).await
    }

    async fn copy(&self, uids: &[RangeInclusive<u32>], to: &Self) -> Result<Copied, CopyError> {
        self.transfer(uids.to_vec(), to, Transfer::Copy).await
    }

    async fn move_to(&self, uids: &[RangeInclusive<u32>], to: &Self) -> Result<Copied, CopyError> {
        self.transfer(uids.to_vec(), to, Transfer::Move).await
    }

    async fn expunge(&self, which: Expunge<'_>) -> Result<Vec<u32>, MailboxError> {
        let expunged: Result<_, Fault> = match which {
            Expunge::Deleted => self.folder.alter(|mailbox| mailbox.expunge(Expunge::Deleted)).await,
            Expunge::DeletedAmong(uids) => {
                let uids = uids.to_vec();
                self.folder.alter(move |mailbox| mailbox.expunge(Expunge::DeletedAmong(&uids))).await
            }
            Expunge::These(uids) => {
                let uids = uids.to_vec();
                self.folder.alter(move |mailbox| mailbox.expunge(Expunge::These(&uids))).await
            }
        };
        Ok(expunged?)
    }

    async fn derived(&self, kind: &str, uids: &[RangeInclusive<u32>]) -> Vec<(u32, Bytes)> {
        self.folder.shelf.derived.look_up(self.folder.number, kind, uids)
    }

    async fn put_derived(&self, kind: &str, items: Vec<(u32, Bytes)>) {
        self.folder.shelf.derived.put(self.folder.number, kind, items);
    }

    async fn search(&self, query: &Query) -> Result<Found, MailboxError> {
        let query = query.clone();
        let messages = move |mirror: &mut super::mirror::Mirror| {
            query.narrow_each(mirror.ledger.entries().map(|entry| &entry.message))
        };
        self.folder.observe(Recent::Peek, messages).await
    }
}
