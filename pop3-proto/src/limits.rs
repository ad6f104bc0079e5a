//! Every bound of a session, in one place.

use core::time::Duration;

/// How much a peer may make the engine hold, and how often it may be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest command line in octets, with CRLF. RFC 2449 §4 demands 255; long passphrases ask for more.
    pub command_line: usize,
    /// Longest line of a SASL exchange in octets, with CRLF. RFC 4954 §4 names 12288, the longest that GSSAPI needs.
    pub sasl_line: usize,
    /// Octets of a listing that one call of [`list_more`](crate::ServerSession::list_more) writes at most.
    pub listing: usize,
    /// Protocol violations that are answered; the next one closes.
    pub violations: u32,
    /// Refused logins that are answered; the next one closes. Few, since each is a guess.
    pub failed_logins: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { command_line: 1024, sasl_line: 12_288, listing: 4096, violations: 20, failed_logins: 3 }
    }
}

/// How long the peer may take, in total for each phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the greeting to a successful login, however many commands are sent.
    pub login: Duration,
    /// From one command to the next after login. RFC 1939 §3: at least 10 minutes.
    pub command: Duration,
    /// The TLS handshake.
    pub tls: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { login: Duration::from_secs(120), command: Duration::from_secs(600), tls: Duration::from_secs(30) }
    }
}
