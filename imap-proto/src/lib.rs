#![no_std]
#![doc = include_str!("../README.md")]

extern crate alloc;

mod command;
mod config;
mod date;
mod event;
mod fetch;
mod flag;
mod frame;
mod grammar;
mod limits;
mod list;
mod mailbox;
mod pattern;
mod reply;
mod search;
mod secret;
mod server;
mod set;
mod step;
mod structure;
mod view;
mod violation;
mod write;

pub use command::{Addressing, AppendHead, Argument, Command, Echo, FlagChange, LiteralKind, StatusItem, Verb};
pub use config::{Namespaces, NonSync, PlaintextLogin, ServerConfig, StartTls};
pub use date::{Date, DateTime};
pub use event::{Access, Append, Copy, Event, Fetch, List, Store};
pub use fetch::{BodyItem, BodyName, Detail, FetchItem, Partial, Section, SectionText, Seen};
pub use flag::{Flag, Flags, Keyword};
pub use grammar::{Expected, ParseError};
pub use limits::{Limits, Timeouts};
pub use list::{Attribute, ListEntry, MailboxStatus};
pub use mailbox::{NameError, decode_mutf7, encode_mutf7};
pub use pattern::ListPattern;
pub use reply::{Code, Outcome, Reply};
pub use search::{
    Criterion, Messages, SEARCH_DEPTH_MAX, SEARCH_KEYS_MAX, SearchKey, TextPlace, When, WhichDate, WireKey,
};
pub use secret::Secret;
pub use server::{Rendered, ServerSession};
pub use set::{SequenceNumber, SequenceSet, UidSet};
pub use step::{Close, Deadline, Layer, Link, ShutDown, Step, Switched, TlsInfo, Waiting};
pub use structure::{Address, BodyStructure, Envelope, Extension, Parameters, Part, PartKind, Text};
pub use view::{Changes, Keywords, Selected};
pub use violation::{Misuse, Violation};
