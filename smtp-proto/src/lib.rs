#![no_std]
#![doc = include_str!("../README.md")]

extern crate alloc;

mod body;
mod client;
mod config;
mod delivery;
mod event;
mod frame;
mod grammar;
mod limits;
pub mod manual;
mod secret;
mod server;
mod step;
mod violation;

pub use client::{ClientEvent, ClientSession, SendError, Ticket};
pub use config::{
    ClientConfig, EarlyTalk, PlaintextLogin, Protocol, Senders, ServerConfig, StartTls, Stray, Strays, Vrfy,
};
pub use delivery::{
    Chunking, Delivery, DeliveryEvent, Envelope, Login, Outcome, Policy, Report, Reuse, Said, SaidBy, Stage, TlsPolicy,
    Trouble,
};
pub use event::{End, Event, Hello, HelloVerb, Mail, Octets, Rcpt};
pub use grammar::{
    Attribute, BodyType, ByMode, Capabilities, Chunk, Class, Command, DateTime, DeliverBy, DeliverByLimit, Domain,
    Enhanced, Expected, Extensions, ForwardPath, FutureRelease, Hold, Host, Interval, Lookup, MailParameters, Mailbox,
    Mechanism, Notify, OriginalRecipient, ParseError, Priority, RcptParameters, Reply, ReplyCode, Ret, ReversePath,
    Rrvs, RrvsAction, SessionLimit, SessionLimits, SizeLimit, Solicitation, Submitter, Text, Verb, Xclient,
    XclientProto, Xforward, XforwardSource, Xtext,
};
pub use limits::{ClientLimits, ClientTimeouts, Limits, Timeouts};
pub use secret::Secret;
pub use server::ServerSession;
pub use step::{Close, Deadline, Layer, Link, ShutDown, Step, Switched, TlsInfo, Waiting};
pub use violation::{Misuse, Violation};
