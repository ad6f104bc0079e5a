//! The IMAP service over a store in memory.
#![cfg(feature = "imap")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

#[path = "imap/client.rs"]
mod client;
#[path = "imap/mailboxes.rs"]
mod mailboxes;
#[path = "imap/two_sessions.rs"]
mod two_sessions;
