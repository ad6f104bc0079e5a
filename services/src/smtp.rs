//! SMTP and LMTP servers: `smtp` (mail from the world), `submission` (mail from users), `lmtp` (mail for mailboxes here).
//!
//! The first two put messages into the queue, the third straight into the store. What a stranger sends through an alias to
//! somebody elsewhere gets an ARC seal, where a [`Forwarding`] has a key for it. A 250 is only ever said for a message that
//! is durable: it needs what only a commit returns.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use mailqueue::{MemorySpool, Queue};
//! # use services::directory::Accounts;
//! # use services::routes::Routing;
//! # fn serve(queue: Queue<MemorySpool>, routing: Arc<Routing>, accounts: Accounts) -> Result<(), smtp_proto::ParseError> {
//! use services::smtp::{Mx, SmtpOptions};
//! use smtp_proto::{EarlyTalk, StartTls};
//!
//! let options = SmtpOptions {
//!     start_tls: StartTls::Offered,
//!     early_talk: EarlyTalk::Refuse,
//!     ..SmtpOptions::new("mail.example.org")
//! };
//! let mx = Mx::new(queue, routing, accounts, &options)?;
//! // `services::net::serve` takes it, with as many listeners as you like.
//! # Ok(())
//! # }
//! ```

mod authenticate;
mod client;
mod dialogue;
mod fields;
mod forwarding;
mod lmtp;
mod options;
mod receive;
mod results;

pub use forwarding::{Forwarding, ForwardingOptions};
pub use lmtp::{Lmtp, LmtpSession};
pub use options::SmtpOptions;
pub use receive::{Mx, ReceiveSession, Submission};
