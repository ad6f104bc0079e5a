//! `single-node` as its users meet it: the real program in a process of its own, and clients that others wrote.
//!
//! What is missing on a machine is skipped, and said in the file that `$POSTHASTE_SKIPPED` names. Every server listens
//! on free ports of loopback and keeps everything in a folder that goes with the test.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]
#![expect(clippy::print_stdout, reason = "a test tells what it measured")]

mod beside;
mod dialogue;
mod mailctl;
mod message;
mod node;
mod post;
mod program;
mod tap;

mod foreign;
mod full;
mod hostile;
mod idle;
mod kill;
mod lock;
mod restart;
mod sync;
