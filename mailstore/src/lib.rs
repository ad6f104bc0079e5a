//! Mailboxes behind three small traits, and Maildir in the format of Dovecot.
//!
//! [`Store`] holds accounts, [`Account`] holds mailboxes, [`Mailbox`] holds messages. Protocol services are written
//! against these traits and do not see what lies below. The signatures are async and need no runtime: a store that
//! waits for disks does so on threads of its own.
//!
//! ```
//! use bytes::Bytes;
//! use mailstore::{Account, Changes, Mailbox, NewMessage, Reader, Recent, Store, Writer};
//! use mailstore::maildir::{MaildirConfig, MaildirStore};
//!
//! # mailstore::testing::block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! let store = MaildirStore::open(path, &MaildirConfig::default())?;
//! let account = store.open("alice@example.org").await?;
//! let inbox = account.open("INBOX").await?;
//!
//! // A session looks once, and then asks what has changed: at every hint, and from time to time.
//! let mut hints = account.hints();
//! let snapshot = inbox.snapshot(Recent::Claim).await?;
//!
//! // A message streams in. The delivery id makes a second attempt harmless; custody says that it is durable.
//! let new = NewMessage { delivery_id: Some("q7x2.0".to_owned()), ..NewMessage::default() };
//! let mut writer = inbox.append(new).await?;
//! writer.write(Bytes::from_static(b"Subject: hello\r\n\r\nworld\r\n")).await?;
//! let appended = writer.commit().await?;
//!
//! hints.next().await;
//! let Changes::Delta(delta) = inbox.changes(&snapshot.since, Recent::Claim).await? else { unreachable!() };
//! assert_eq!((delta.new[0].uid, delta.new[0].size), (appended.uid, 25));
//!
//! // It streams out, from any octet on, exactly as it came.
//! let mut reader = inbox.read(appended.uid, 18..u64::MAX).await?;
//! assert_eq!(reader.next().await?.as_deref(), Some(&b"world\r\n"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which store
//!
//! - [`maildir`]: files that other programs read and write too.
//! - [`memory`]: for tests.
//! - [`DynStore`] hides which of them it is.
//!
//! Whoever writes another runs [`conformance`] against it. [`testing`] has what such tests need: [`testing::block_on`],
//! and a disk that fails at any call and forgets what was not synced.
//!
//! # Promises
//!
//! UIDs ascend in the order in which messages become visible and are persisted before they are told. UIDVALIDITY,
//! UIDNEXT and MODSEQ never go back. [`Mailbox::changes`] is the truth, hints are only hints. A delivery is idempotent by
//! its id. What is read is what was written, octet for octet. Nothing is answered before it is durable, as far as its
//! documentation says that it will be.

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
