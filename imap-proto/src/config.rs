//! What a server offers.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Limits, Timeouts};

/// What a server offers and allows. One value serves all its sessions.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Text of the greeting.
    pub greeting: String,
    /// What ID tells of the server (RFC 2971 §3.3): pairs of field and value.
    pub id: Vec<(String, String)>,
    /// Whether STARTTLS is offered.
    pub start_tls: StartTls,
    /// Whether LOGIN and mechanisms that show the password may be used without TLS.
    pub plaintext_login: PlaintextLogin,
    /// SASL mechanisms under TLS, or where plaintext logins are allowed.
    pub mechanisms: Vec<String>,
    /// SASL mechanisms without TLS: those that do not show the password.
    pub mechanisms_before_tls: Vec<String>,
    /// Which literals a client may send without waiting.
    pub literals: NonSync,
    /// What separates the levels of a mailbox name.
    pub separator: char,
    /// What NAMESPACE tells (RFC 2342 §5).
    pub namespaces: Namespaces,
    /// Bounds on what a peer may send.
    pub limits: Limits,
    /// How long a peer may take.
    pub timeouts: Timeouts,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            greeting: String::from("IMAP4rev1 ready"),
            id: Vec::new(),
            start_tls: StartTls::default(),
            plaintext_login: PlaintextLogin::default(),
            mechanisms: Vec::new(),
            mechanisms_before_tls: Vec::new(),
            literals: NonSync::default(),
            separator: '/',
            namespaces: Namespaces::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// Whether STARTTLS is offered (RFC 3501 §6.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartTls {
    /// Offered until the connection is under TLS.
    Offered,
    /// Not offered: no certificate, or a port for tests.
    #[default]
    Off,
}

/// Whether a password may cross the network as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlaintextLogin {
    /// Only under TLS.
    #[default]
    UnderTls,
    /// Always: for tests and for networks that are trusted.
    Always,
}

/// Which literals a client may send without waiting for `+` (RFC 7888).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonSync {
    /// `LITERAL+`: of any size.
    #[default]
    Any,
    /// `LITERAL-`: of 4096 octets at most (RFC 7888 §5).
    Small,
}

impl NonSync {
    /// The largest literal that may come without waiting.
    #[must_use]
    pub const fn limit(self) -> u64 {
        match self {
            Self::Any => u64::MAX,
            Self::Small => 4096,
        }
    }

    /// Its name in CAPABILITY.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "LITERAL+",
            Self::Small => "LITERAL-",
        }
    }
}

/// The namespaces of RFC 2342: the prefixes under which mailboxes live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaces {
    /// Prefixes of the user's own mailboxes.
    pub personal: Vec<String>,
    /// Prefixes of other users' mailboxes.
    pub other_users: Vec<String>,
    /// Prefixes of shared mailboxes.
    pub shared: Vec<String>,
}

impl Default for Namespaces {
    /// One personal namespace without a prefix.
    fn default() -> Self {
        Self { personal: alloc::vec![String::new()], other_users: Vec::new(), shared: Vec::new() }
    }
}
