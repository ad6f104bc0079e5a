#![no_std]
//! Which mailbox lives where: a pure lookup from an address to its place, with the reason.
//!
//! A [`TableBuilder`] writes everything that is known about addresses, domains and places into one run of bytes. A
//! [`Snapshot`] answers from those bytes as they are, read or mapped, without building anything. [`Routes`] lays the
//! changes since then over it, and [`resolve`] asks one question of both: what becomes of this address? Loading the
//! bytes, watching for changes and swapping tables is the caller's part; nothing here knows files, clocks or threads.
//!
//! ```
//! use router::{Change, Domain, Home, Others, Reason, Route, Routes, Snapshot, TableBuilder, resolve};
//!
//! let mut table = TableBuilder::new(1, *b"a random key....");
//! table.apply(Change::domain("example.org", Domain::Local(Others::Nobody)))?;
//! table.apply(Change::mailbox("alice@example.org", Home::at("store-1")))?;
//! table.apply(Change::alias("sales@example.org", ["alice@example.org", "Bob@example.net"]))?;
//! let mut routes = Routes::new(Snapshot::open(table.finish()?)?);
//!
//! // Case, detail and the trailing dot do not hide a mailbox.
//! let found = resolve(&routes, "Alice+lists@EXAMPLE.org.");
//! assert_eq!(found.reason, Reason::Mailbox);
//! assert_eq!(found.detail.as_deref(), Some("lists"));
//! let Route::Mailbox { mailbox, place, epoch } = found.route else { panic!() };
//! assert_eq!((mailbox.as_str(), place.as_str(), epoch), ("alice@example.org", "store-1", 0));
//!
//! let found = resolve(&routes, "sales@example.org");
//! assert_eq!(found.route, Route::Forward(vec!["alice@example.org".into(), "Bob@example.net".into()]));
//!
//! // A move is two changes. Between them nobody delivers; behind them the store refuses the old epoch.
//! let frozen = Home::at("store-1").freeze("store-2")?;
//! routes.apply(2, Change::mailbox("alice@example.org", frozen.clone()))?;
//! assert!(matches!(resolve(&routes, "alice@example.org").route, Route::Moving { .. }));
//! routes.apply(3, Change::mailbox("alice@example.org", frozen.settle()?))?;
//! let Route::Mailbox { place, epoch, .. } = resolve(&routes, "alice@example.org").route else { panic!() };
//! assert_eq!((place.as_str(), epoch), ("store-2", 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The order
//!
//! 1. Normalise: ASCII letters fold in the local part and in the domain, one trailing dot of the domain goes, and an
//!    alias domain is replaced by the domain it stands for.
//! 2. The address has an entry: a mailbox, or an alias for others. The address with its `+detail` is tried first, then
//!    without. An entry wins over everything below, also in a domain that is relayed.
//! 3. The domain is local, and its [`Others`] say what becomes of an address without an entry: catch-all, the domain's
//!    default place, the mailbox's slot, the fallback relay of a shared namespace, or nobody.
//! 4. The domain is relayed whole.
//! 5. The domain is not in the table: [`Route::Foreign`].
//!
//! [`Reason`] names the step that decided, and [`Resolution::explain`] says it in a sentence.
//!
//! A domain whose strangers are welcome somewhere (a catch-all or a fallback relay) must list those who live here. A
//! domain with a default place or slots lists only its exceptions: the answer then says where such a mailbox would
//! live, and whether it exists is the directory's to know.
//!
//! # What the caller does
//!
//! - Addresses come in their simplest form: a local part unquoted where it need not be quoted, and the domain always
//!   in the same one of its two forms, A-labels or U-labels; only ASCII letters fold here. A quoted local part is
//!   taken as it stands and has no detail.
//! - `postmaster` without a domain (RFC 5321 §4.5.1) gets one before it comes here.
//! - Placing a new mailbox is a decision made once and written down as an entry; looking up never places.
//!
//! The bytes are described in `docs/format.md`. A [`Breaker`] beside each place keeps callers from waiting for one
//! that is down.

extern crate alloc;

mod address;
mod breaker;
mod builder;
mod change;
mod format;
mod home;
mod resolve;
mod routes;
mod snapshot;

pub use crate::breaker::{Breaker, BreakerLimits, Outcome, Pass, Refused};
pub use crate::builder::{BuildError, TableBuilder};
pub use crate::change::{Change, ChangeError, Domain, Others};
pub use crate::format::Damaged;
pub use crate::home::{Home, MoveError};
pub use crate::resolve::{Reason, Resolution, Route, resolve};
pub use crate::routes::{ApplyError, Delta, Routes};
pub use crate::snapshot::{Snapshot, TableError};

/// The longest address, domain or name of a place or relay, in octets. Twice what a path may have
/// (RFC 5321 §4.5.3.1.3), since rewritten return addresses overrun it; longer ones are not looked up.
pub const MAX_NAME: usize = 512;

/// The most targets an alias may have, and the most names that resolving one address may visit. It bounds what an
/// alias costs; greater lists are a mailing list's business.
pub const MAX_TARGETS: usize = 1000;

/// The most domain aliases that are followed in a row: one is usual, two are a renamed company.
pub const MAX_DOMAIN_ALIASES: usize = 4;
