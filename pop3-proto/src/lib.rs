#![no_std]
#![doc = include_str!("../README.md")]

extern crate alloc;

mod body;
mod client;
mod config;
mod event;
mod fetch;
mod frame;
mod grammar;
mod limits;
mod maildrop;
pub mod manual;
mod secret;
mod server;
mod step;
mod violation;

pub use client::{ClientEvent, ClientSession, SendError, Ticket};
pub use config::{ClientConfig, LineEnds, PlaintextLogin, ServerConfig, Stls, Utf8, Xclient};
pub use event::Event;
pub use fetch::{Choice, Fetch, FetchEvent, Login, Offer, Policy, Report, TlsPolicy, Trouble, Utf8Policy};
pub use grammar::{
    Announced, Apop, Capabilities, Code, Command, Digest, Expected, Expire, Language, Mechanism, Name, ParseError,
    Password, Proxied, Reply, ScanListing, Timestamp, UniqueId,
};
pub use limits::{ClientLimits, ClientTimeouts, Limits, Timeouts};
pub use maildrop::{Ending, Maildrop, MaildropError, Message, UserPolicy};
pub use secret::Secret;
pub use server::{Progress, ServerSession};
pub use step::{Close, Deadline, Layer, Link, ShutDown, Step, Switched, TlsInfo, Waiting};
pub use violation::{Misuse, Violation};
