#![no_std]
#![doc = include_str!("../README.md")]

extern crate alloc;

mod body;
mod command;
mod config;
mod event;
mod frame;
mod limits;
mod maildrop;
mod reply;
mod secret;
mod server;
mod step;
mod violation;

pub use command::{Command, Expected, ParseError};
pub use config::{PlaintextLogin, ServerConfig, Stls};
pub use event::Event;
pub use limits::{Limits, Timeouts};
pub use maildrop::{Maildrop, MaildropError, Message};
pub use reply::{Code, Reply};
pub use secret::Secret;
pub use server::{Progress, ServerSession};
pub use step::{Close, Deadline, Layer, Link, ShutDown, Step, Switched, TlsInfo, Waiting};
pub use violation::{Misuse, Violation};
