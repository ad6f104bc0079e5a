//! Every bound of a session, in one place.

use core::time::Duration;

/// How much a peer may make the engine hold, and how often it may be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one command before login, with its literals. Enough for any name and password, and all that a stranger gets.
    pub command_before_login: usize,
    /// Octets of one command after login, with its literals but without APPEND's message. Clients send UID sets of 50 kB.
    pub command: usize,
    /// Literals in one command. Each costs a round trip and a look at the line; no real command has more than a few.
    pub literals: u32,
    /// Longest line of a SASL exchange in octets, with CRLF: 12288, the longest that GSSAPI needs (RFC 4954 §4).
    pub sasl_line: usize,
    /// Largest message that APPEND may announce. Refused before it is sent, where the client waits for that.
    pub message: u64,
    /// Octets of a refused command that are read and thrown away to find its end; beyond, the session closes.
    pub discarded: u64,
    /// Octets of a tag. It is held while a question is open.
    pub tag: usize,
    /// Octets of a mailbox name in UTF-8.
    pub mailbox_name: usize,
    /// Protocol violations that are answered; the next one closes. After login, those since the last command that went well:
    /// sessions live for days.
    pub violations: u32,
    /// Refused logins that are answered; the next one closes. Few, since each is a guess.
    pub failed_logins: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_before_login: 8 * 1024,
            command: 64 * 1024,
            literals: 16,
            sasl_line: 12_288,
            message: 64 * 1024 * 1024,
            discarded: 1024 * 1024,
            tag: 128,
            mailbox_name: 1000,
            violations: 20,
            failed_logins: 3,
        }
    }
}

/// How long the peer may take, in total for each phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the greeting to a successful login, however many commands are sent.
    pub login: Duration,
    /// From one command to the next after login, and for the whole of one IDLE. RFC 3501 §5.4: at least 30 minutes.
    pub command: Duration,
    /// For APPEND's message, whatever its size; [`body_rate`](Self::body_rate) adds to it.
    pub body: Duration,
    /// Octets per second at which a message must come at least, on average.
    pub body_rate: u64,
    /// The TLS handshake.
    pub tls: Duration,
    /// How often an idling client is told that the connection lives. Routers forget a silent one after a few minutes.
    pub keepalive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            login: Duration::from_secs(60),
            command: Duration::from_secs(30 * 60),
            body: Duration::from_secs(5 * 60),
            body_rate: 1024,
            tls: Duration::from_secs(30),
            keepalive: Duration::from_secs(2 * 60),
        }
    }
}
