//! Signatures and seals, as others see them: a slow model, mail-auth, dkimpy and OpenDKIM.
//!
//! What is missing on a machine is skipped, and said in the file that `$POSTHASTE_SKIPPED` names.
#![cfg(feature = "sign")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

#[path = "sign/arc.rs"]
mod arc;
#[path = "sign/dkim.rs"]
mod dkim;
#[path = "sign/foreign.rs"]
mod foreign;
#[path = "sign/keys.rs"]
mod keys;
#[path = "sign/mailauth.rs"]
mod mailauth;
#[path = "sign/memory.rs"]
mod memory;
#[path = "sign/messages.rs"]
mod messages;
#[path = "sign/model.rs"]
mod model;
