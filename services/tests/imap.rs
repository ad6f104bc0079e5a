//! The IMAP service over a store in memory.
#![cfg(feature = "imap")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail")]

#[path = "imap/client.rs"]
mod client;
#[path = "imap/fetching.rs"]
mod fetching;
#[path = "imap/hostile.rs"]
mod hostile;
#[path = "imap/mailboxes.rs"]
mod mailboxes;
#[path = "imap/odd_store.rs"]
mod odd_store;
#[path = "imap/oddities.rs"]
mod oddities;
#[path = "imap/searching.rs"]
mod searching;
#[path = "imap/two_sessions.rs"]
mod two_sessions;
#[path = "imap/views.rs"]
mod views;
