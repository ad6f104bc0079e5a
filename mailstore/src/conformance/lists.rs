//! Promises about accounts and their mailboxes.

use super::{Broken, Keeps, append, fresh_account, read, same};
use crate::{
    Account, Expunge, Hint, LeaseKind, Mailbox, NewMessage, Presence, Recent, SpecialUse, Store, Writer,
    error::{AppendError, CreateError, DeleteError, LeaseError, MailboxError, OpenError, RenameError},
};

/// Mailboxes, the names above them and subscriptions are listed; INBOX always.
///
/// # Errors
/// When they are not.
pub async fn lists_and_subscriptions<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "lists_and_subscriptions";
    let account = fresh_account(store, PROMISE).await?;
    account.create("Büro & Co/日本", None).await.keeps(PROMISE)?;
    account.create("inbox/Sub", None).await.keeps(PROMISE)?;
    expect(PROMISE, account.create("INBOX/Sub", None).await, |error| matches!(error, CreateError::Exists))?;
    expect(PROMISE, account.create("iNbOx", None).await, |error| matches!(error, CreateError::Exists))?;
    expect(PROMISE, account.create("a//b", None).await, |error| matches!(error, CreateError::BadName))?;
    expect(PROMISE, account.delete("Inbox").await, |error| matches!(error, DeleteError::Inbox))?;
    expect(PROMISE, account.open("Büro & Co").await, |error| matches!(error, OpenError::NotFound))?;
    for name in ["INBOX", "Nowhere/Yet", "Büro & Co/日本"] {
        account.subscribe(name).await.keeps(PROMISE)?;
        account.subscribe(name).await.keeps(PROMISE)?;
    }
    let list = account.list().await.keeps(PROMISE)?;
    let short: Vec<_> = list.iter().map(|info| (&*info.name, info.presence, info.subscribed)).collect();
    let should = vec![
        ("Büro & Co", Presence::Parent, false),
        ("Büro & Co/日本", Presence::Mailbox, true),
        ("INBOX", Presence::Mailbox, true),
        ("INBOX/Sub", Presence::Mailbox, false),
        ("Nowhere/Yet", Presence::Absent, true),
    ];
    same(PROMISE, "the list", short, should)?;
    account.unsubscribe("Nowhere/Yet").await.keeps(PROMISE)?;
    account.unsubscribe("Never/Was").await.keeps(PROMISE)?;
    account.delete("Büro & Co/日本").await.keeps(PROMISE)?;
    let list = account.list().await.keeps(PROMISE)?;
    let short: Vec<_> = list.iter().map(|info| (&*info.name, info.presence, info.subscribed)).collect();
    let should = vec![
        ("Büro & Co/日本", Presence::Absent, true),
        ("INBOX", Presence::Mailbox, true),
        ("INBOX/Sub", Presence::Mailbox, false),
    ];
    same(PROMISE, "the list after a delete", short, should)?;
    let answers = account.status(&["nowhere", "inbox", "INBOX/Sub"]).await;
    let messages: Vec<_> = answers.into_iter().map(|answer| answer.ok().map(|status| status.messages)).collect();
    same(PROMISE, "STATUS, in order", messages, vec![None, Some(0), Some(0)])
}

/// A special use is given once in an account and stays with its mailbox.
///
/// # Errors
/// When it does not.
pub async fn special_uses<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "special_uses";
    let account = fresh_account(store, PROMISE).await?;
    account.create("Gesendet", Some(SpecialUse::Sent)).await.keeps(PROMISE)?;
    let second = account.create("Sent", Some(SpecialUse::Sent)).await;
    expect(PROMISE, second, |error| matches!(error, CreateError::SpecialUseTaken))?;
    account.rename("Gesendet", "Raus/Gesendet").await.keeps(PROMISE)?;
    let uses = async || -> Result<Vec<(String, SpecialUse)>, Broken> {
        let list = account.list().await.keeps(PROMISE)?;
        Ok(list.into_iter().filter_map(|info| Some((info.name, info.special_use?))).collect())
    };
    same(PROMISE, "uses after a rename", uses().await?, vec![("Raus/Gesendet".to_owned(), SpecialUse::Sent)])?;
    account.delete("Raus/Gesendet").await.keeps(PROMISE)?;
    account.create("Raus/Gesendet", None).await.keeps(PROMISE)?;
    same(PROMISE, "uses of a mailbox made anew", uses().await?, vec![])?;
    account.create("Sent", Some(SpecialUse::Sent)).await.keeps(PROMISE)
}

/// A mailbox that takes another's name, by creation or by renaming, has a greater UIDVALIDITY than that had.
///
/// # Errors
/// When it has not.
pub async fn uidvalidity_grows<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "uidvalidity_grows";
    let account = fresh_account(store, PROMISE).await?;
    let uidvalidity = async |name: &str| -> Result<u32, Broken> {
        let mailbox = account.open(name).await.keeps(PROMISE)?;
        Ok(mailbox.snapshot(Recent::Peek).await.keeps(PROMISE)?.uidvalidity)
    };
    account.create("Old", None).await.keeps(PROMISE)?;
    let mut last = 0;
    for _ in 0..3 {
        account.create("Name", None).await.keeps(PROMISE)?;
        let now = uidvalidity("Name").await?;
        same(PROMISE, "UIDVALIDITY grows by creation", now > last, true)?;
        last = now;
        account.delete("Name").await.keeps(PROMISE)?;
    }
    account.rename("Old", "Name").await.keeps(PROMISE)?;
    same(PROMISE, "UIDVALIDITY grows by renaming", uidvalidity("Name").await? > last, true)
}

/// A rename takes along what lies below, and is refused as a whole where a name is taken.
///
/// # Errors
/// When it does not.
pub async fn rename_takes_children_along<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "rename_takes_children_along";
    let account = fresh_account(store, PROMISE).await?;
    for name in ["a", "a/b", "ab", "taken/b"] {
        account.create(name, None).await.keeps(PROMISE)?;
    }
    let deep = account.open("a/b").await.keeps(PROMISE)?;
    append(&deep, NewMessage::default(), b"deep\r\n").await.keeps(PROMISE)?;
    expect(PROMISE, account.rename("a", "taken").await, |error| matches!(error, RenameError::Exists))?;
    expect(PROMISE, account.rename("a", "a/c").await, |error| matches!(error, RenameError::BadName))?;
    expect(PROMISE, account.rename("none", "x").await, |error| matches!(error, RenameError::NotFound))?;
    account.rename("a", "new/name").await.keeps(PROMISE)?;
    let list = account.list().await.keeps(PROMISE)?;
    let names: Vec<_> = list.iter().filter(|info| info.presence == Presence::Mailbox).map(|info| &*info.name).collect();
    same(PROMISE, "the list", names, vec!["INBOX", "ab", "new/name", "new/name/b", "taken/b"])?;
    let deep = account.open("new/name/b").await.keeps(PROMISE)?;
    same(PROMISE, "the message below", read(&deep, 1, 0..99).await.keeps(PROMISE)?, b"deep\r\n".to_vec())?;
    account.rename("taken", "free").await.keeps(PROMISE)?;
    account.open("free/b").await.keeps(PROMISE).map(|_| ())
}

/// Renaming INBOX moves its messages and leaves INBOX and what lies below it.
///
/// # Errors
/// When it does not.
pub async fn rename_inbox<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "rename_inbox";
    let account = fresh_account(store, PROMISE).await?;
    account.create("INBOX/Sub", None).await.keeps(PROMISE)?;
    let inbox = account.open("INBOX").await.keeps(PROMISE)?;
    append(&inbox, NewMessage::default(), b"x\r\n").await.keeps(PROMISE)?;
    account.rename("inbox", "Archive/2026").await.keeps(PROMISE)?;
    let archive = account.open("Archive/2026").await.keeps(PROMISE)?;
    same(PROMISE, "what moved", read(&archive, 1, 0..9).await.keeps(PROMISE)?, b"x\r\n".to_vec())?;
    same(PROMISE, "what INBOX holds", inbox.snapshot(Recent::Peek).await.keeps(PROMISE)?.messages.len(), 0)?;
    account.open("INBOX/Sub").await.keeps(PROMISE)?;
    let uid = append(&inbox, NewMessage::default(), b"y\r\n").await.keeps(PROMISE)?.uid;
    same(PROMISE, "INBOX's next UID", uid, 2)
}

/// Who holds a mailbox that is deleted is told so, also when another of the same name is made.
///
/// # Errors
/// When something else happens.
pub async fn deleted_mailboxes_stay_gone<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "deleted_mailboxes_stay_gone";
    let account = fresh_account(store, PROMISE).await?;
    account.create("Name", None).await.keeps(PROMISE)?;
    let old = account.open("Name").await.keeps(PROMISE)?;
    append(&old, NewMessage::default(), b"old\r\n").await.keeps(PROMISE)?;
    let writer = old.append(NewMessage::default()).await.keeps(PROMISE)?;
    account.delete("Name").await.keeps(PROMISE)?;
    expect(PROMISE, account.open("Name").await, |error| matches!(error, OpenError::NotFound))?;
    account.create("Name", None).await.keeps(PROMISE)?;
    expect(PROMISE, old.snapshot(Recent::Peek).await, |error| matches!(error, MailboxError::Gone))?;
    expect(PROMISE, old.expunge(Expunge::Deleted).await, |error| matches!(error, MailboxError::Gone))?;
    expect(PROMISE, writer.commit().await, |error| matches!(error, AppendError::Gone))?;
    let new = account.open("Name").await.keeps(PROMISE)?;
    same(PROMISE, "the new mailbox", new.snapshot(Recent::Peek).await.keeps(PROMISE)?.messages.len(), 0)
}

/// A lease is held once, and again after its release or drop.
///
/// # Errors
/// When it is not.
pub async fn a_lease_is_exclusive<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "a_lease_is_exclusive";
    let account = fresh_account(store, PROMISE).await?;
    let first = account.lease(LeaseKind::Maildrop).await.keeps(PROMISE)?;
    expect(PROMISE, account.lease(LeaseKind::Maildrop).await, |error| matches!(error, LeaseError::Taken))?;
    first.release().await;
    drop(account.lease(LeaseKind::Maildrop).await.keeps(PROMISE)?);
    account.lease(LeaseKind::Maildrop).await.keeps(PROMISE)?.release().await;
    Ok(())
}

/// Within one process a hint follows a change.
///
/// # Errors
/// When another mailbox is named. (When none comes, it waits for ever.)
pub async fn hints_wake<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "hints_wake";
    let account = fresh_account(store, PROMISE).await?;
    let inbox = account.open("INBOX").await.keeps(PROMISE)?;
    let mut hints = account.hints();
    append(&inbox, NewMessage::default(), b"x\r\n").await.keeps(PROMISE)?;
    match hints.next().await {
        Hint::Account => Ok(()),
        Hint::Mailbox(name) => same(PROMISE, "the hint", &*name, "INBOX"),
    }
}

/// Demands a certain error.
fn expect<T, E: std::fmt::Debug>(
    promise: &'static str,
    result: Result<T, E>,
    right: impl FnOnce(&E) -> bool,
) -> Result<(), Broken> {
    match result {
        Err(error) if right(&error) => Ok(()),
        Err(error) => Err(Broken { promise, detail: format!("the wrong refusal: {error:?}") }),
        Ok(_) => Err(Broken { promise, detail: "what should be refused was not".to_owned() }),
    }
}
