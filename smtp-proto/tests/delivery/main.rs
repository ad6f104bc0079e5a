//! Deliveries to servers of all kinds, good and bad.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

mod case;
mod dialogue;
mod ends;
mod login;
mod model;
mod needs;
mod promises;
mod reuse;
mod tls;
mod transactions;
