//! Which words log in.

use super::Login;
use super::dialogue::Phase;
use crate::{Capabilities, Command, Digest, Mechanism, Name, Password, Secret, Timestamp};

/// RFC 2449 §4: the longest command, with CRLF.
const COMMAND_MAX: usize = 255;

/// How a login begins.
pub(super) struct Opening<'a> {
    /// The first command.
    pub(super) command: Command<'a>,
    /// What comes behind it.
    pub(super) next: Phase,
    /// What answers the first challenge.
    pub(super) unsaid: Option<Secret>,
}

impl Login {
    /// What is said first. `None` where it cannot be said to this server.
    pub(super) fn begin(&self, offers: &Capabilities, timestamp: Option<&Timestamp>) -> Option<Opening<'_>> {
        match self {
            Self::Password { user, password } => {
                // A server that offers nothing at all is one of old, without CAPA.
                let is_taken = offers.user || *offers == Capabilities::default();
                match (Name::parse(user.as_bytes()), Password::parse(password.expose())) {
                    (Ok(name), Ok(_)) if is_taken && (offers.utf8_user || user.is_ascii()) => Some(Opening {
                        command: Command::User(name),
                        next: Phase::User(password.clone()),
                        unsaid: None,
                    }),
                    (_, _) => plain(user, password, offers),
                }
            }
            Self::Apop { user, password } => {
                let user = Name::parse(user.as_bytes()).ok()?;
                let digest = Digest::new(timestamp?, password.expose());
                Some(Opening { command: Command::Apop { user, digest }, next: Phase::Login, unsaid: None })
            }
            Self::Sasl { mechanism, initial } => Some(auth(mechanism.borrowed(), initial.clone())),
        }
    }
}

/// RFC 4616 §2: name and password in one message, with NUL before each, so that neither may hold one.
fn plain(user: &str, password: &Secret, offers: &Capabilities) -> Option<Opening<'static>> {
    let mechanism = Mechanism::parse(b"PLAIN").ok().filter(|plain| offers.sasl.iter().any(|offer| offer == plain))?;
    let message = [b"", user.as_bytes(), password.expose()].join(&0);
    let nuls = message.iter().filter(|octet| **octet == 0).count();
    (nuls == 2).then(|| auth(mechanism, Some(Secret::new(message))))
}

/// RFC 5034 §4: an initial response that makes the command too long waits for the server's first challenge.
fn auth(mechanism: Mechanism<&str>, initial: Option<Secret>) -> Opening<'_> {
    let encoded = |secret: &Secret| secret.expose().len().div_ceil(3).saturating_mul(4);
    let words = ["AUTH ", mechanism.as_str(), " ", "\r\n"].map(str::len).iter().sum();
    let is_long = |secret: &Secret| encoded(secret).saturating_add(words) > COMMAND_MAX;
    let (initial, unsaid) = if initial.as_ref().is_some_and(is_long) { (None, initial) } else { (initial, None) };
    Opening { command: Command::Auth { mechanism, initial }, next: Phase::Login, unsaid }
}
