//! The promises of the traits as tests, for whoever writes a store.
//!
//! Each function tries one promise on accounts of its own, so that all of them can run against one store, and again
//! against the same store opened anew. [`all`] runs every one.
//!
//! ```
//! use mailstore::{conformance, memory::MemoryStore};
//!
//! conformance::all(&MemoryStore::new())?;
//! # Ok::<(), conformance::Broken>(())
//! ```

mod history;
mod lists;
mod messages;

use std::{fmt, ops::Range};

use bytes::Bytes;
use thiserror::Error;

pub use self::{
    history::{changes_tell_everything_once, concurrent_appends_are_seen_in_order, recent_is_claimed_once},
    lists::{
        a_lease_is_exclusive, deleted_mailboxes_stay_gone, hints_wake, lists_and_subscriptions, rename_inbox,
        rename_takes_children_along, special_uses, uidvalidity_grows,
    },
    messages::{
        abandoned_messages_leave_nothing, copies_and_moves, deliveries_are_idempotent, derived_items, expunge_variants,
        flags_are_stored, messages_read_back_exactly, open_ends_are_known, searches_narrow,
    },
};
use crate::{
    Account, Appended, Mailbox, NewMessage, Reader, Store, Writer,
    error::{AppendError, ReadError},
    testing::block_on,
};

/// A promise that a store did not keep.
#[derive(Debug, Error)]
#[error("{promise}: {detail}")]
pub struct Broken {
    /// Which one: the name of the function that tried it.
    pub promise: &'static str,
    /// What happened instead.
    pub detail: String,
}

/// Tries every promise.
///
/// # Errors
/// The first promise that was not kept.
pub fn all<S: Store>(store: &S) -> Result<(), Broken> {
    block_on(async {
        messages_read_back_exactly(store).await?;
        open_ends_are_known(store).await?;
        flags_are_stored(store).await?;
        expunge_variants(store).await?;
        copies_and_moves(store).await?;
        deliveries_are_idempotent(store).await?;
        abandoned_messages_leave_nothing(store).await?;
        searches_narrow(store).await?;
        derived_items(store).await?;
        changes_tell_everything_once(store).await?;
        recent_is_claimed_once(store).await?;
        lists_and_subscriptions(store).await?;
        special_uses(store).await?;
        uidvalidity_grows(store).await?;
        rename_takes_children_along(store).await?;
        rename_inbox(store).await?;
        deleted_mailboxes_stay_gone(store).await?;
        a_lease_is_exclusive(store).await?;
        hints_wake(store).await
    })?;
    concurrent_appends_are_seen_in_order(store)
}

/// Says which promise broke when something that should succeed does not.
trait Keeps<T> {
    fn keeps(self, promise: &'static str) -> Result<T, Broken>;
}

impl<T, E: fmt::Display> Keeps<T> for Result<T, E> {
    fn keeps(self, promise: &'static str) -> Result<T, Broken> {
        self.map_err(|error| Broken { promise, detail: error.to_string() })
    }
}

/// Compares what is with what should be.
#[expect(clippy::needless_pass_by_value, reason = "callers compare values that they just made")]
fn same<T: PartialEq + fmt::Debug>(promise: &'static str, what: &str, is: T, should: T) -> Result<(), Broken> {
    if is == should {
        return Ok(());
    }
    Err(Broken { promise, detail: format!("{what} is {is:?} and should be {should:?}") })
}

/// An INBOX that has never been used.
async fn fresh_inbox<S: Store>(store: &S, promise: &'static str) -> Result<<S::Account as Account>::Mailbox, Broken> {
    let account = fresh_account(store, promise).await?;
    account.open("INBOX").await.keeps(promise)
}

/// An account that has never been used: the first of its names without messages, subscriptions or mailboxes.
async fn fresh_account<S: Store>(store: &S, promise: &'static str) -> Result<S::Account, Broken> {
    let local = promise.replace('_', "-");
    for n in 0..1000 {
        let account = store.open(&format!("{local}.{n}@conformance.example")).await.keeps(promise)?;
        let untouched = account.list().await.keeps(promise)?.len() == 1;
        let uidnext = account.status(&["INBOX"]).await.pop().map(|status| status.map(|status| status.uidnext));
        if untouched && matches!(uidnext, Some(Ok(1))) {
            return Ok(account);
        }
    }
    Err(Broken { promise, detail: "no account is fresh".to_owned() })
}

async fn append<M: Mailbox>(mailbox: &M, new: NewMessage, body: &[u8]) -> Result<Appended, AppendError> {
    let mut writer = mailbox.append(new).await?;
    for chunk in body.chunks(1000) {
        writer.write(Bytes::copy_from_slice(chunk)).await?;
    }
    writer.commit().await
}

async fn read<M: Mailbox>(mailbox: &M, uid: u32, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
    let mut reader = mailbox.read(uid, range).await?;
    let mut all = Vec::new();
    while let Some(chunk) = reader.next().await? {
        if chunk.is_empty() {
            return Err(ReadError::Trouble(crate::error::Trouble::Corrupt { what: "an empty chunk" }));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}
