#![no_std]
//! Sans-IO IMAP engine: framing, grammar, the session and its view of a mailbox.
extern crate alloc;
