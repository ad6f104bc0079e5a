//! Who logs in before mail is sent, and by which words.

use alloc::collections::VecDeque;
use alloc::string::String;

use crate::{Capabilities, Command, Mechanism, Secret};

/// Who logs in, and how (RFC 4954).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// AUTH PLAIN, or AUTH LOGIN where the server does not offer that.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// AUTH by another mechanism. What the server asks, [`DeliveryEvent::Challenge`](super::DeliveryEvent::Challenge) asks the
    /// application.
    Sasl {
        /// The mechanism.
        mechanism: Mechanism,
        /// The initial response; one too long for the command is given to the server's first challenge instead.
        initial: Option<Secret>,
    },
}

/// RFC 5321 §4.5.3.1.4: the longest command, with CRLF. RFC 4954 §4 lets the exchange have longer lines, and AUTH itself not.
const COMMAND_MAX: usize = 512;

/// How a login begins.
pub(super) struct Opening<'a> {
    /// The first command.
    pub(super) command: Command<'a>,
    /// What follows it.
    pub(super) answers: Answers,
}

/// What is said to the server's challenges.
#[derive(Debug)]
pub(super) enum Answers {
    /// This, in order; and who asks for more is not answered.
    Known(VecDeque<Secret>),
    /// This first, and then what the application says.
    Asked(Option<Secret>),
}

impl Login {
    /// What is said first. `None` where it cannot be said to this server.
    pub(super) fn begin(&self, offers: &Capabilities) -> Option<Opening<'_>> {
        match self {
            Self::Password { user, password } => {
                plain(user, password, offers).or_else(|| login(user, password, offers))
            }
            Self::Sasl { mechanism, initial } => {
                let (initial, unsaid) = fitting(mechanism.as_str(), initial.clone());
                let command = Command::Auth { mechanism: mechanism.borrowed(), initial };
                Some(Opening { command, answers: Answers::Asked(unsaid) })
            }
        }
    }
}

/// RFC 4616 §2: name and password in one message, with NUL before each, so that neither may hold one.
fn plain(user: &str, password: &Secret, offers: &Capabilities) -> Option<Opening<'static>> {
    let mechanism = offered("PLAIN", offers)?;
    let message = Secret::new([b"", user.as_bytes(), password.expose()].join(&0));
    if message.expose().iter().filter(|octet| **octet == 0).count() != 2 {
        return None;
    }
    let (initial, unsaid) = fitting(mechanism.as_str(), Some(message));
    let answers = Answers::Known(unsaid.into_iter().collect());
    Some(Opening { command: Command::Auth { mechanism, initial }, answers })
}

/// No RFC has it, and many servers do: they ask for the name, and then for the password, in words that differ.
fn login(user: &str, password: &Secret, offers: &Capabilities) -> Option<Opening<'static>> {
    let mechanism = offered("LOGIN", offers)?;
    let answers = [Secret::new(user.as_bytes().to_vec()), password.clone()];
    Some(Opening { command: Command::Auth { mechanism, initial: None }, answers: Answers::Known(answers.into()) })
}

fn offered(name: &'static str, offers: &Capabilities) -> Option<Mechanism<&'static str>> {
    Mechanism::parse(name).ok().filter(|mechanism| offers.auth.iter().any(|offer| offer == mechanism))
}

/// An initial response that makes the command too long waits for the server's first challenge (RFC 4954 §4).
fn fitting(mechanism: &str, initial: Option<Secret>) -> (Option<Secret>, Option<Secret>) {
    let encoded = |secret: &Secret| secret.expose().len().div_ceil(3).saturating_mul(4);
    let words: usize = ["AUTH ", mechanism, " ", "\r\n"].map(str::len).iter().sum();
    match initial {
        Some(secret) if encoded(&secret).saturating_add(words) > COMMAND_MAX => (None, Some(secret)),
        short => (short, None),
    }
}
