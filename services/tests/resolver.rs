//! Where mail goes: against Debian's Knot with a signed root of its own, and against name and web servers that say what a
//! test wants.
#![cfg(feature = "smtp")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

#[path = "resolver/case.rs"]
mod case;
#[path = "resolver/dane.rs"]
mod dane;
#[path = "resolver/dns.rs"]
mod dns;
#[path = "resolver/knot.rs"]
mod knot;
#[path = "resolver/mx.rs"]
mod mx;
#[path = "resolver/relay.rs"]
mod relay;
#[path = "resolver/scripted.rs"]
mod scripted;
#[path = "resolver/sts.rs"]
mod sts;
#[path = "resolver/unbound.rs"]
mod unbound;
