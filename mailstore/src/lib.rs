//! Mailboxes behind three small traits, and Maildir in the format of Dovecot.
//!
//! [`Store`] holds accounts, [`Account`] holds mailboxes, [`Mailbox`] holds messages. Protocol services are written
//! against these traits and do not see what lies below. The signatures are async and need no runtime: a store that
//! waits for disks does so on threads of its own.

pub mod conformance;
mod derived;
mod erased;
pub mod error;
mod flags;
mod hints;
mod lease;
mod ledger;
mod list;
pub mod maildir;
pub mod memory;
mod message;
mod names;
mod pool;
mod query;
mod store;
pub mod testing;
mod turn;

pub use crate::{
    erased::{BoxFuture, DynAccount, DynMailbox, DynReader, DynStore, DynWriter},
    flags::{BadKeyword, Flags, SystemFlag},
    hints::{Hint, Hints, Hub},
    lease::{Lease, LeaseKind},
    list::{MailboxInfo, Presence, SpecialUse},
    message::{
        Appended, Changes, Copied, Custody, DELIVERY_ID_MAX, Delta, Expunge, FlagChange, FlagHow, Message, NewMessage,
        Recent, Since, Snapshot, Status, Stored, Touched,
    },
    query::{Found, Query},
    store::{Account, Mailbox, Reader, Store, Writer},
};
