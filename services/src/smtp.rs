//! SMTP and LMTP servers: `smtp` (mail from the world), `submission` (mail from users), `lmtp` (mail for mailboxes here).
//!
//! The first two put messages into the queue, the third straight into the store. A 250 is only ever said for a message that
//! is durable: it needs what only a commit returns.

mod client;
mod dialogue;
mod lmtp;
mod options;
mod receive;

pub use lmtp::{Lmtp, LmtpSession};
pub use options::SmtpOptions;
pub use receive::{Mx, ReceiveSession, Submission};
