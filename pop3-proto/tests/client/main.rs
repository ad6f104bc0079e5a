//! A client's session by itself: what it sends, what it refuses to send, and what it makes of the answers.
#![expect(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test may fail")]

mod bounds;
mod case;
mod dialogue;
