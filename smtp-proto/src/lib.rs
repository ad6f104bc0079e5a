#![no_std]
//! Sans-IO SMTP and LMTP engines: server, client, and the delivery of one message.
extern crate alloc;
