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

/// How much a server may make the client hold or do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Longest line of a reply or a listing in octets, with its end. RFC 2449 §4 says 512; some say more.
    pub line: usize,
    /// Longest line of a SASL exchange in octets, with its end. RFC 4954 §4 names 12288, the longest that GSSAPI needs.
    pub challenge: usize,
    /// Lines of one answer of which nobody is told: those of CAPA, and those of a listing that are not understood.
    pub untold_lines: u32,
    /// Commands under way at once where the server speaks PIPELINING. They must fit into what the network holds while we write
    /// (RFC 2449 §6.6), and more of them gain nothing.
    pub window: usize,
    /// Octets that must come within [`ClientTimeouts::body`].
    pub progress: usize,
    /// Messages that [`Fetch`](crate::Fetch) takes into its list. While the application has not chosen, each costs some 60 octets
    /// and its unique-id, which has 255 at most: 30 MB from a server that means ill.
    pub messages: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self { line: 4096, challenge: 12_290, untold_lines: 1000, window: 32, progress: 64 * 1024, messages: 100_000 }
    }
}

/// How long a server may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// The greeting.
    pub greeting: Duration,
    /// The reply to a command, or its first line; in total, however its octets come.
    pub reply: Duration,
    /// Each [`ClientLimits::progress`] octets of a listing or a message. Nobody knows ahead how long a message is, so that no
    /// total would fit all; but a server that sends an octet a minute does not stay for ever.
    pub body: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// The reply to QUIT. Not short: the server deletes before it replies, and without the reply nobody knows whether it has.
    pub quit: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            greeting: Duration::from_secs(2 * 60),
            reply: Duration::from_secs(5 * 60),
            body: Duration::from_secs(2 * 60),
            tls: Duration::from_secs(60),
            quit: Duration::from_secs(5 * 60),
        }
    }
}
