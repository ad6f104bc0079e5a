//! A message's whole way: SMTP in, the queue, a mailbox or another server; with spool and store in memory.
#![cfg(all(feature = "smtp", feature = "pop3"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

#[path = "smtp/aliases.rs"]
mod aliases;
#[allow(dead_code, reason = "shared with the tests of the resolver")]
#[path = "resolver/case.rs"]
mod case;
#[path = "smtp/exchangers.rs"]
mod exchangers;
#[path = "smtp/forwarding.rs"]
mod forwarding;
#[path = "smtp/handover.rs"]
mod handover;
#[path = "smtp/manners.rs"]
mod manners;
#[path = "smtp/node.rs"]
mod node;
#[path = "smtp/proxies.rs"]
mod proxies;
#[path = "smtp/relay.rs"]
mod relay;
#[path = "smtp/room.rs"]
mod room;
#[allow(dead_code, reason = "shared with the tests of the resolver")]
#[path = "resolver/scripted.rs"]
mod scripted;
#[path = "smtp/ways.rs"]
mod ways;
