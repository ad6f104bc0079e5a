//! The three traits that a mail store implements, and the two for messages on their way in and out.
//!
//! Every handle is cheap to clone and owns what it needs, so that a future made from a clone lives as long as it likes.
//! Dropping a future is always safe: the operation then either happened or it did not.

use std::{
    future::Future,
    ops::{Range, RangeInclusive},
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
};

/// All accounts of one place.
///
/// Who exists and who may log in is not its business: it opens any account it is asked for.
pub trait Store: Send + Sync + 'static {
    /// One account.
    type Account: Account;

    /// Opens the account of an address such as `alice@example.org`, and makes it, with an empty INBOX, when it is not
    /// there. Addresses that differ only in case are one account.
    ///
    /// # Errors
    /// [`StoreError::BadAddress`] for what cannot name an account.
    fn open(&self, address: &str) -> impl Future<Output = Result<Self::Account, StoreError>> + Send;

    /// Lists up to `limit` addresses that have an account, ascending, from the one that follows `after`.
    ///
    /// # Errors
    /// When the list cannot be read.
    fn accounts(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Tries whether the store can take and give mail at this moment.
    ///
    /// # Errors
    /// What stands in the way.
    fn health(&self) -> impl Future<Output = Result<(), Trouble>> + Send;
}

/// The mailboxes of one account. Names are UTF-8 with `/` between the levels; `INBOX`, in whatever case, is always
/// there.
pub trait Account: Clone + Send + Sync + 'static {
    /// One open mailbox.
    type Mailbox: Mailbox;

    /// Lists all mailboxes, names that only hold others, and subscriptions to what is not there, by ascending name.
    ///
    /// # Errors
    /// When the list cannot be read.
    fn list(&self) -> impl Future<Output = Result<Vec<MailboxInfo>, ListError>> + Send;

    /// Creates a mailbox, and by that the names above it (RFC 3501 §6.3.3), with a use if one is given (RFC 6154 §3). A mailbox
    /// that is made again under an old name has a greater UIDVALIDITY.
    ///
    /// # Errors
    /// When it is there, or cannot be.
    fn create(
        &self,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> impl Future<Output = Result<(), CreateError>> + Send;

    /// Deletes a mailbox with all its messages; those below it and its subscription stay (RFC 3501 §6.3.4).
    ///
    /// # Errors
    /// When it is not there, or INBOX.
    fn delete(&self, name: &str) -> impl Future<Output = Result<(), DeleteError>> + Send;

    /// Renames a mailbox and all below it. INBOX stays: its messages move to the new name (RFC 3501 §6.3.5).
    ///
    /// # Errors
    /// When the old name is not there, or the new one is.
    fn rename(&self, from: &str, to: &str) -> impl Future<Output = Result<(), RenameError>> + Send;

    /// Subscribes to a name, whether there is such a mailbox or not (RFC 3501 §6.3.6).
    ///
    /// # Errors
    /// When the name cannot be kept.
    fn subscribe(&self, name: &str) -> impl Future<Output = Result<(), ListError>> + Send;

    /// Takes a subscription back; one that is not there is no error.
    ///
    /// # Errors
    /// When the subscriptions cannot be written.
    fn unsubscribe(&self, name: &str) -> impl Future<Output = Result<(), ListError>> + Send;

    /// Counts the messages of mailboxes: one answer for each name, in their order. \Recent is not consumed.
    fn status(&self, names: &[&str]) -> impl Future<Output = Vec<Result<Status, OpenError>>> + Send;

    /// Opens a mailbox.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] when there is none.
    fn open(&self, name: &str) -> impl Future<Output = Result<Self::Mailbox, OpenError>> + Send;

    /// Takes a lease.
    ///
    /// # Errors
    /// [`LeaseError::Taken`] when somebody has it; it does not wait.
    fn lease(&self, kind: LeaseKind) -> impl Future<Output = Result<Lease, LeaseError>> + Send;

    /// Begins to listen for hints. They may be late, superfluous or missing: whoever must know asks
    /// [`Mailbox::changes`], at every hint and from time to time.
    fn hints(&self) -> Hints;
}

/// One mailbox.
///
/// Promises that every store keeps and [`conformance`](crate::conformance) tests: UIDs ascend in the order in which they
/// become visible and are persisted before they are told; UIDVALIDITY, UIDNEXT and MODSEQ never go back, also not by a
/// crash; `changes` told one after another tell everything, exactly once.
pub trait Mailbox: Clone + Send + Sync + 'static {
    /// A message on its way out.
    type Reader: Reader;
    /// A message on its way in.
    type Writer: Writer;

    /// Says what is in the mailbox.
    ///
    /// # Errors
    /// [`MailboxError::Gone`] when the mailbox is no more.
    fn snapshot(&self, recent: Recent) -> impl Future<Output = Result<Snapshot, MailboxError>> + Send;

    /// Says what happened since a snapshot or an earlier answer.
    ///
    /// # Errors
    /// [`MailboxError::Gone`] when the mailbox is no more.
    fn changes(&self, since: &Since, recent: Recent) -> impl Future<Output = Result<Changes, MailboxError>> + Send;

    /// Says the flags that messages have now. UIDs that name no message are passed over, here and everywhere.
    ///
    /// # Errors
    /// [`MailboxError::Gone`] when the mailbox is no more.
    fn flags(&self, uids: &[RangeInclusive<u32>]) -> impl Future<Output = Result<Vec<Touched>, MailboxError>> + Send;

    /// Says which of these messages have a last line without CRLF, ascending; an empty message has no line. POP3 sends
    /// such a line with a CRLF more, and must count it. It is a question of its own, since some stores must look at
    /// messages that nobody has asked about before.
    ///
    /// # Errors
    /// [`MailboxError::Gone`] when the mailbox is no more.
    fn open_ended(&self, uids: &[RangeInclusive<u32>]) -> impl Future<Output = Result<Vec<u32>, MailboxError>> + Send;

    /// Changes flags, of all the messages or, if it fails, of none.
    ///
    /// # Errors
    /// [`FlagsError::TooManyKeywords`] when a keyword is new and one too many.
    fn store_flags(
        &self,
        uids: &[RangeInclusive<u32>],
        change: &FlagChange,
    ) -> impl Future<Output = Result<Stored, FlagsError>> + Send;

    /// Reads octets of a message, exactly as they were written. The reader streams onward from the range's start; what
    /// lies past the message's end is not there.
    ///
    /// # Errors
    /// [`ReadError::Gone`] when the message is no more. Once a reader is given it reads to the end, also when the
    /// message is expunged meanwhile.
    fn read(&self, uid: u32, range: Range<u64>) -> impl Future<Output = Result<Self::Reader, ReadError>> + Send;

    /// Begins a new message.
    ///
    /// # Errors
    /// When the message cannot be taken; the sooner, the better.
    fn append(&self, new: NewMessage) -> impl Future<Output = Result<Self::Writer, AppendError>> + Send;

    /// Copies messages with their flags and dates into another mailbox of the same store, or this one: all, or none.
    ///
    /// # Errors
    /// When one of them could not be copied.
    fn copy(&self, uids: &[RangeInclusive<u32>], to: &Self) -> impl Future<Output = Result<Copied, CopyError>> + Send;

    /// Moves messages with their flags and dates into another mailbox of the same store: all, or none. None of them is
    /// ever in neither (RFC 6851 §3.3).
    ///
    /// # Errors
    /// When one of them could not be moved.
    fn move_to(
        &self,
        uids: &[RangeInclusive<u32>],
        to: &Self,
    ) -> impl Future<Output = Result<Copied, CopyError>> + Send;

    /// Removes messages for good and says which, ascending.
    ///
    /// # Errors
    /// When it failed; some may be gone then, and `changes` will say which.
    fn expunge(&self, which: Expunge<'_>) -> impl Future<Output = Result<Vec<u32>, MailboxError>> + Send;

    /// Looks up what [`Mailbox::put_derived`] was given. It may have forgotten any of it.
    fn derived(&self, kind: &str, uids: &[RangeInclusive<u32>]) -> impl Future<Output = Vec<(u32, Bytes)>> + Send;

    /// Remembers, for a while, what somebody computed from messages and could compute again: the store does not look
    /// into it.
    fn put_derived(&self, kind: &str, items: Vec<(u32, Bytes)>) -> impl Future<Output = ()> + Send;

    /// Finds messages, as far as the store can tell without reading them.
    ///
    /// # Errors
    /// [`MailboxError::Gone`] when the mailbox is no more.
    fn search(&self, query: &Query) -> impl Future<Output = Result<Found, MailboxError>> + Send;
}

/// A message on its way out.
pub trait Reader: Send + 'static {
    /// Says the next octets, at least one; `None` at the end. Dropping the future loses the reader's place: ask no more.
    ///
    /// # Errors
    /// When the message cannot be read on. What was told so far cannot be made whole: who promised it must break off.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, ReadError>> + Send;
}

/// A message on its way in. Dropped before its end, it was never there.
pub trait Writer: Send + 'static {
    /// Takes the next octets.
    ///
    /// # Errors
    /// When the message cannot be taken; nothing can be written any more.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// Makes the message durable, gives it a UID and persists that too. With a delivery id that is known, the message
    /// is not stored again: the answer is that of the first time.
    ///
    /// # Errors
    /// When there is no message. Should the future be dropped or the process die before it answers, the message may be
    /// there or not; only a delivery id makes trying again safe.
    fn commit(self) -> impl Future<Output = Result<Appended, AppendError>> + Send;

    /// Makes the message durable without waiting for its UID: for deliveries, which nobody tells a UID. It succeeds also
    /// while somebody else holds the mailbox's lock.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    fn deliver(self) -> impl Future<Output = Result<Custody, AppendError>> + Send;
}
