//! Scenarios of a server's session under a clock that the test moves.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod case;
mod extensions;
mod session;
