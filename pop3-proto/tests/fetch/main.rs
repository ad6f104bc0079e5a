//! Visits to maildrops of all kinds, good and bad.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

mod case;
mod ends;
mod visits;
