//! The grammar: complete texts in, borrowed values out, and back. No state, no policy.

mod address;
mod capabilities;
mod command;
mod domain;
mod error;
mod parameters;
mod reply;
mod text;
mod verb;

pub use address::{ForwardPath, Mailbox, ReversePath};
pub use capabilities::{Capabilities, SizeLimit};
pub use command::Command;
pub(crate) use command::parse_sasl;
pub use domain::{Domain, Host};
pub use error::{Expected, ParseError};
pub use parameters::{BodyType, MailParameters, RcptParameters, Submitter};
pub use reply::{Class, Enhanced, Reply, ReplyCode};
pub use text::{Mechanism, Text, Xtext};
pub use verb::Verb;
