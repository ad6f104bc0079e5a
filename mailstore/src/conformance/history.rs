//! Promises about what changes tell.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{Broken, Keeps, append, fresh_account, fresh_inbox, same};
use crate::{
    Account, Changes, Delta, Expunge, FlagChange, Mailbox, NewMessage, Recent, Since, Store, SystemFlag,
    testing::block_on,
};

/// Changes told one after another tell everything, exactly once, whoever made them.
///
/// # Errors
/// When they do not.
pub async fn changes_tell_everything_once<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "changes_tell_everything_once";
    let account = fresh_account(store, PROMISE).await?;
    let watcher = account.open("INBOX").await.keeps(PROMISE)?;
    let actor = account.open("inbox").await.keeps(PROMISE)?;
    let mut since = watcher.snapshot(Recent::Peek).await.keeps(PROMISE)?.since;

    for _ in 0..3 {
        append(&actor, NewMessage::default(), b"x\r\n").await.keeps(PROMISE)?;
    }
    let told = ask(PROMISE, &watcher, &mut since).await?;
    same(PROMISE, "new", told.new.iter().map(|m| m.uid).collect::<Vec<_>>(), vec![1, 2, 3])?;
    same(PROMISE, "touched beside new", told.touched, vec![])?;
    let before = told.highestmodseq;

    let told = ask(PROMISE, &watcher, &mut since).await?;
    same(PROMISE, "what a second question is told", told.is_empty(), true)?;
    same(PROMISE, "MODSEQ after nothing", told.highestmodseq, before)?;

    actor.store_flags(&[2..=3], &FlagChange::add(SystemFlag::Seen)).await.keeps(PROMISE)?;
    actor.expunge(Expunge::These(&[1..=1, 3..=3])).await.keeps(PROMISE)?;
    append(&actor, NewMessage::default(), b"came and went\r\n").await.keeps(PROMISE)?;
    actor.expunge(Expunge::These(&[4..=4])).await.keeps(PROMISE)?;
    append(&actor, NewMessage::default(), b"stays\r\n").await.keeps(PROMISE)?;
    let told = ask(PROMISE, &watcher, &mut since).await?;
    same(PROMISE, "new", told.new.iter().map(|m| m.uid).collect::<Vec<_>>(), vec![5])?;
    same(PROMISE, "gone", told.gone, vec![1, 3])?;
    let touched: Vec<_> = told.touched.iter().map(|t| (t.uid, t.flags.has(SystemFlag::Seen))).collect();
    same(PROMISE, "touched", touched, vec![(2, true)])?;
    let rising = told.touched.iter().all(|touched| touched.modseq > before && touched.modseq <= told.highestmodseq);
    same(PROMISE, "MODSEQ of the touched rises", rising, true)?;

    let other = Since::from_bytes(b"of another store");
    match watcher.changes(&other, Recent::Peek).await.keeps(PROMISE)? {
        Changes::Resync => Ok(()),
        Changes::Delta(_) => {
            Err(Broken { promise: PROMISE, detail: "a foreign token was not answered by a resync".to_owned() })
        }
    }
}

/// \Recent is told to one claimant, once.
///
/// # Errors
/// When it is not.
pub async fn recent_is_claimed_once<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "recent_is_claimed_once";
    let account = fresh_account(store, PROMISE).await?;
    let inbox = account.open("INBOX").await.keeps(PROMISE)?;
    for _ in 0..2 {
        append(&inbox, NewMessage::default(), b"x\r\n").await.keeps(PROMISE)?;
    }
    let recent = async |recent| inbox.snapshot(recent).await.map(|snapshot| snapshot.recent).keeps(PROMISE);
    same(PROMISE, "a look", recent(Recent::Peek).await?, vec![1, 2])?;
    let claimed = inbox.snapshot(Recent::Claim).await.keeps(PROMISE)?;
    same(PROMISE, "the first claim", claimed.recent, vec![1, 2])?;
    same(PROMISE, "the second claim", recent(Recent::Claim).await?, vec![])?;
    append(&inbox, NewMessage::default(), b"y\r\n").await.keeps(PROMISE)?;
    let count = account.status(&["INBOX"]).await.pop().map(|status| status.map(|status| status.recent));
    same(PROMISE, "STATUS", count.and_then(Result::ok), Some(1))?;
    let mut since = claimed.since;
    let Changes::Delta(told) = inbox.changes(&since, Recent::Claim).await.keeps(PROMISE)? else {
        return Err(Broken { promise: PROMISE, detail: "resync".to_owned() });
    };
    same(PROMISE, "a claim by changes", told.recent, vec![3])?;
    same(PROMISE, "what another is told", ask(PROMISE, &inbox, &mut since).await?.recent, vec![])
}

/// While many append at once, a reader who asks for what is new never misses one: UIDs become visible in order.
///
/// # Errors
/// When one is missed, or told twice.
pub fn concurrent_appends_are_seen_in_order<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "concurrent_appends_are_seen_in_order";
    const WRITERS: usize = 8;
    const EACH: usize = 6;
    let inbox = block_on(fresh_inbox(store, PROMISE))?;
    let mut since = block_on(inbox.snapshot(Recent::Peek)).keeps(PROMISE)?.since;
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (inbox, done) = (inbox.clone(), &done);
                scope.spawn(move || {
                    let told = (0..EACH)
                        .map(|n| {
                            let body = format!("{writer} {n}\r\n");
                            let appended = block_on(append(&inbox, NewMessage::default(), body.as_bytes()));
                            appended.map(|appended| appended.uid).keeps(PROMISE)
                        })
                        .collect::<Result<Vec<_>, _>>();
                    done.fetch_add(1, Ordering::SeqCst);
                    told
                })
            })
            .collect();
        let mut seen = BTreeMap::new();
        loop {
            let finished = done.load(Ordering::SeqCst) == WRITERS;
            for message in block_on(ask(PROMISE, &inbox, &mut since))?.new {
                let last = seen.last_key_value().map_or(0, |(uid, _)| *uid);
                let ascends = message.uid > last && seen.insert(message.uid, ()).is_none();
                same(PROMISE, "each UID is new", ascends, true)?;
            }
            if finished {
                break;
            }
            thread::yield_now();
        }
        let mut told = Vec::new();
        for writer in writers {
            let uids = writer.join().map_err(|_| "a writer panicked").keeps(PROMISE)??;
            same(PROMISE, "one writer's UIDs ascend", uids.is_sorted(), true)?;
            told.extend(uids);
        }
        told.sort_unstable();
        same(PROMISE, "what the reader saw", seen.into_keys().collect::<Vec<_>>(), told)
    })
}

async fn ask<M: Mailbox>(promise: &'static str, mailbox: &M, since: &mut Since) -> Result<Delta, Broken> {
    match mailbox.changes(since, Recent::Peek).await.keeps(promise)? {
        Changes::Delta(delta) => {
            *since = delta.since.clone();
            Ok(delta)
        }
        Changes::Resync => Err(Broken { promise, detail: "the store has forgotten what just happened".to_owned() }),
    }
}
