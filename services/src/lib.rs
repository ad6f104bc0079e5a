//! Mail services on Posthaste's engines.
//!
//! - [`mod@engine`]: one trait over all engines, and the macro [`engine!`] that forwards to it. Without a runtime.
//! - [`net`]: from a socket to a handler: listener, TLS, limits, the driver, drain.
//! - `directory`, `sasl`: who exists and who may log in.
//! - `sign`: DKIM signatures and ARC seals for mail that leaves.
//! - `pop3`, `imap`, `smtp`, …: the services themselves, a feature each.
//! - `admin`: the operator's hands on the queue.

pub mod engine;
mod engines;

#[cfg(feature = "net")]
pub mod net;

#[cfg(feature = "directory")]
pub mod directory;
#[cfg(feature = "directory")]
pub mod sasl;

#[cfg(feature = "admin")]
pub mod admin;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "routes")]
pub mod routes;

#[cfg(any(feature = "imap", feature = "smtp"))]
mod convert;
#[cfg(feature = "imap")]
pub mod imap;
#[cfg(any(feature = "imap", feature = "pop3", feature = "smtp"))]
mod login;
#[cfg(feature = "smtp")]
pub mod outbound;
#[cfg(feature = "pop3")]
pub mod pop3;
#[cfg(feature = "sign")]
pub mod sign;
#[cfg(feature = "smtp")]
pub mod smtp;
#[cfg(feature = "smtp")]
mod trace;
