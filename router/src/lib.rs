#![no_std]
//! Which mailbox lives where: a pure lookup from an address to its place, with the reason.
extern crate alloc;
