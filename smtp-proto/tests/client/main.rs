//! A client's session by itself: what it sends, what it refuses to send, and which reply it gives to which command.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

mod bounds;
mod case;
mod chunks;
#[path = "../common/mod.rs"]
mod common;
mod dialogue;
mod offers;
mod servers;
