//! `mailctl`, the program, before a queue in memory.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

#[path = "mailctl/dkim.rs"]
mod dkim;
#[path = "mailctl/office.rs"]
mod office;
#[path = "mailctl/output.rs"]
mod output;
#[path = "mailctl/refused.rs"]
mod refused;
#[path = "mailctl/terminal.rs"]
mod terminal;
#[path = "mailctl/work.rs"]
mod work;
