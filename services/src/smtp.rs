//! SMTP and LMTP servers: `smtp` (mail from the world), `submission` (mail from users), `lmtp` (mail for mailboxes here).
//!
//! The first two put messages into the queue, the third straight into the store. A 250 is only ever said for a message that
//! is durable: it needs what only a commit returns.

mod dialogue;
mod lmtp;
mod receive;

use std::sync::Arc;

use smtp_proto::{Domain, Limits, ParseError, PlaintextLogin, Protocol, Senders, ServerConfig, StartTls};

use crate::sasl::{self, Channel};

pub use lmtp::{Lmtp, LmtpSession};
pub use receive::{Mx, ReceiveSession, Submission};

/// What the services need to know.
#[derive(Clone, Debug)]
pub struct SmtpOptions {
    /// The host's name, for greetings and trace headers.
    pub host: String,
    /// Whether STARTTLS is offered.
    pub start_tls: StartTls,
    /// Whether passwords may cross the network as they are.
    pub plaintext_login: PlaintextLogin,
    /// Largest message in octets.
    pub message_size: u64,
}

impl SmtpOptions {
    fn config(&self, protocol: Protocol, senders: Senders) -> Result<Arc<ServerConfig>, ParseError> {
        let names = |channel| sasl::mechanisms(channel).iter().map(ToString::to_string).collect();
        let (mechanisms, mechanisms_before_tls) = match senders {
            Senders::LoggedIn => (names(Channel::Private), names(Channel::Open)),
            Senders::Anyone => (Vec::new(), Vec::new()),
        };
        Ok(Arc::new(ServerConfig {
            protocol,
            start_tls: self.start_tls,
            plaintext_login: self.plaintext_login,
            senders,
            mechanisms,
            mechanisms_before_tls,
            limits: Limits { message: self.message_size, ..Limits::default() },
            ..ServerConfig::new(Domain::parse(&self.host)?.into_owned())
        }))
    }
}
