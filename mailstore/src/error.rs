//! What may go wrong, one small enum for each kind of operation.
//!
//! Each enum holds what only its operation can meet; what any of them can meet is a [`Trouble`].

use std::{io, time::Duration};

use thiserror::Error;

/// What any operation of a store may meet, and no caller can help.
#[derive(Debug, Error)]
pub enum Trouble {
    /// Somebody else holds the mailbox's lock, and went on holding it for as long as this store waits. Trying again
    /// later is right.
    #[error("the mailbox is locked by another program, waited {} s", waited.as_secs())]
    Busy {
        /// How long the store waited.
        waited: Duration,
    },
    /// There is no room left on the device, or none that may be used.
    #[error("no space is left in the mail store")]
    Full,
    /// The store cannot be reached or is shutting down. Trying again later is right.
    #[error("the mail store is not available")]
    Unavailable,
    /// What is stored does not say what it must, and could not be mended on the way.
    #[error("the mail store is damaged: {what}")]
    Corrupt {
        /// Which part, without its content.
        what: &'static str,
    },
    /// The operating system refused.
    #[error("the mail store failed to {doing}")]
    Io {
        /// What was being done, as an infinitive.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a store could not be opened, or not list its accounts.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The address cannot name an account: it has no local part, no domain, or is too long.
    #[error("the address cannot name an account")]
    BadAddress,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why an account's list could not be read or a subscription not be changed.
#[derive(Debug, Error)]
pub enum ListError {
    /// The name cannot be a mailbox's name in this store.
    #[error("this store cannot hold a mailbox of this name")]
    BadName,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why a mailbox could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no such mailbox, or it only holds others (RFC 3501 §7.2.2, `\Noselect`).
    #[error("there is no such mailbox")]
    NotFound,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why a mailbox could not be created.
#[derive(Debug, Error)]
pub enum CreateError {
    /// It is there already.
    #[error("the mailbox exists already")]
    Exists,
    /// The name cannot be a mailbox's name in this store.
    #[error("this store cannot hold a mailbox of this name")]
    BadName,
    /// Another mailbox of the account serves this special use already (RFC 6154 §3).
    #[error("another mailbox serves this special use")]
    SpecialUseTaken,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why a mailbox could not be deleted.
#[derive(Debug, Error)]
pub enum DeleteError {
    /// There is no such mailbox, or it only holds others.
    #[error("there is no such mailbox")]
    NotFound,
    /// INBOX cannot be deleted (RFC 3501 §6.3.4).
    #[error("INBOX cannot be deleted")]
    Inbox,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why a mailbox could not be renamed.
#[derive(Debug, Error)]
pub enum RenameError {
    /// There is no mailbox of the old name.
    #[error("there is no such mailbox")]
    NotFound,
    /// There is a mailbox of the new name, or of a name that a child would get.
    #[error("the new name is taken")]
    Exists,
    /// The new name cannot be a mailbox's name in this store, or lies below the old one.
    #[error("this store cannot give the mailbox this name")]
    BadName,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why an account's lease was not given.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// Somebody holds it (RFC 1939 §4: the maildrop lock).
    #[error("another session holds the lease")]
    Taken,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why an open mailbox did not answer.
#[derive(Debug, Error)]
pub enum MailboxError {
    /// The mailbox was deleted or renamed since it was opened.
    #[error("the mailbox is gone")]
    Gone,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why flags were not stored; none of the messages changed.
#[derive(Debug, Error)]
pub enum FlagsError {
    /// The mailbox was deleted or renamed since it was opened.
    #[error("the mailbox is gone")]
    Gone,
    /// The mailbox holds as many different keywords as it may.
    #[error("the mailbox has too many keywords")]
    TooManyKeywords,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why a message was not read, or not to its end.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The message was expunged, or its mailbox is gone.
    #[error("the message is gone")]
    Gone,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why a message was not taken; nothing of it remains.
#[derive(Debug, Error)]
pub enum AppendError {
    /// The mailbox was deleted or renamed since it was opened.
    #[error("the mailbox is gone")]
    Gone,
    /// The account would hold more than it may.
    #[error("the account is over its quota")]
    OverQuota,
    /// The message is longer than this store takes.
    #[error("the message is too long for this store")]
    TooLong,
    /// The delivery id is not of 1 to [`DELIVERY_ID_MAX`](crate::DELIVERY_ID_MAX) letters, digits, `-`, `_` and `.`.
    #[error("the delivery id is malformed")]
    BadDeliveryId,
    /// The mailbox holds as many different keywords as it may.
    #[error("the mailbox has too many keywords")]
    TooManyKeywords,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why messages were not copied or moved; both mailboxes are as they were.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The mailbox the messages lie in is gone, or one of the messages is.
    #[error("the mailbox or one of the messages is gone")]
    Gone,
    /// The mailbox the messages should go to was deleted or renamed since it was opened.
    #[error("the target mailbox is gone")]
    TargetGone,
    /// The target belongs to a store of another kind: read and append instead.
    #[error("the target lies in another store")]
    OtherStore,
    /// The account would hold more than it may.
    #[error("the account is over its quota")]
    OverQuota,
    /// The target holds as many different keywords as it may.
    #[error("the mailbox has too many keywords")]
    TooManyKeywords,
    /// What any operation may meet.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}
