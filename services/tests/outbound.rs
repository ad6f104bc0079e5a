//! Mail on its way to other servers: which hosts they are, how they are spoken with, and what becomes of the mail.
#![cfg(feature = "smtp")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

#[path = "outbound/hosts_reach.rs"]
mod hosts_reach;
#[path = "outbound/pool_reuse.rs"]
mod pool_reuse;
#[path = "outbound/relay_foreign.rs"]
mod relay_foreign;
#[path = "outbound/relay_login.rs"]
mod relay_login;
#[path = "outbound/session_cuts.rs"]
mod session_cuts;
#[path = "outbound/session_parameters.rs"]
mod session_parameters;
#[path = "outbound/session_reactions.rs"]
mod session_reactions;
#[path = "outbound/session_sender.rs"]
mod session_sender;
#[path = "outbound/session_server.rs"]
mod session_server;
#[path = "outbound/session_tls.rs"]
mod session_tls;
