//! The grammar: complete texts in, borrowed values out, and back. No state, no policy.

mod address;
mod capabilities;
mod command;
mod date_time;
mod domain;
mod dsn;
mod error;
mod interval;
mod number;
mod parameters;
mod reply;
mod session_limits;
mod text;
mod verb;

pub use address::{ForwardPath, Mailbox, ReversePath};
pub use capabilities::{Capabilities, DeliverByLimit, Extensions, FutureRelease, SizeLimit};
pub use command::Command;
pub(crate) use command::parse_sasl;
pub use date_time::DateTime;
pub use domain::{Domain, Host};
pub use dsn::{Notify, OriginalRecipient, Ret};
pub use error::{Expected, ParseError};
pub use interval::Interval;
pub use parameters::{BodyType, MailParameters, RcptParameters, Submitter};
pub use reply::{Class, Enhanced, Reply, ReplyCode};
pub use session_limits::{SessionLimit, SessionLimits};
pub use text::{Mechanism, Text, Xtext};
pub use verb::Verb;
