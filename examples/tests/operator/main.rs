//! `single-node` as its operator meets it: starts that are refused, first and later starts, signals, metrics.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

mod node;
mod refused;
mod running;
