//! The admin API over its real sockets, before a queue in memory.
#![cfg(feature = "admin")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

#[path = "admin/actions.rs"]
mod actions;
#[path = "admin/doors.rs"]
mod doors;
#[path = "admin/log.rs"]
mod log;
#[path = "admin/office.rs"]
mod office;
#[path = "admin/paging.rs"]
mod paging;
#[path = "admin/patience.rs"]
mod patience;
#[path = "admin/questions.rs"]
mod questions;
#[path = "admin/rules.rs"]
mod rules;
