#![no_std]
//! Sans-IO POP3 engine: a pure state machine, bytes and time in, bytes and events out.
extern crate alloc;
