//! What a server offers.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Limits, Timeouts};

/// What a server offers and allows. One value serves all its sessions.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    /// Text of the greeting, after `+OK`.
    pub greeting: String,
    /// What CAPA tells of the software (RFC 2449 §6.9); `None` hides it.
    pub implementation: Option<String>,
    /// Whether STLS is offered.
    pub stls: Stls,
    /// Whether USER, PASS and mechanisms that show the password may be used without TLS.
    pub plaintext_login: PlaintextLogin,
    /// SASL mechanisms under TLS, or where plaintext logins are allowed.
    pub mechanisms: Vec<String>,
    /// SASL mechanisms without TLS: those that do not show the password.
    pub mechanisms_before_tls: Vec<String>,
    /// Bounds on what a peer may send.
    pub limits: Limits,
    /// How long a peer may take.
    pub timeouts: Timeouts,
}

/// Whether STLS is offered (RFC 2595 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stls {
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
