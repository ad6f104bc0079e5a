//! Mail on its way to other servers: which hosts they are, how they are spoken with, and what becomes of the mail.
#![cfg(feature = "smtp")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

#[path = "outbound/session_reactions.rs"]
mod session_reactions;
#[path = "outbound/session_sender.rs"]
mod session_sender;
#[path = "outbound/session_server.rs"]
mod session_server;
#[path = "outbound/session_tls.rs"]
mod session_tls;
