//! The grammar: complete lines in, borrowed values out, and back. No state, no policy.

mod apop;
mod capabilities;
mod command;
mod error;
mod listing;
mod proxied;
mod reply;
mod text;

pub use apop::{Apop, Digest, Timestamp};
pub use capabilities::{Announced, Capabilities, Expire};
pub use command::Command;
pub(crate) use command::parse_sasl;
pub use error::{Expected, ParseError};
pub use listing::{ScanListing, UniqueId};
pub use proxied::Proxied;
pub(crate) use reply::parse_challenge;
pub use reply::{Code, Reply};
pub use text::{Language, Mechanism, Name, Password};
