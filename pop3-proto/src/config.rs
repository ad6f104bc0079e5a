//! What a server offers, and how a client listens.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Announced, ClientLimits, ClientTimeouts, Expire, Limits, Timeouts};

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
    /// How long messages are kept, for `EXPIRE` (RFC 2449 §6.7); `None` says nothing. What a user's own value is,
    /// [`UserPolicy`](crate::UserPolicy) says.
    pub expire: Option<Announced<Expire>>,
    /// Seconds from one login to the next, for `LOGIN-DELAY` (RFC 2449 §6.5); `None` says nothing. The application enforces it,
    /// by [`Code::LoginDelay`](crate::Code::LoginDelay).
    pub login_delay: Option<Announced<u32>>,
    /// Whether UTF-8 is offered.
    pub utf8: Utf8,
    /// Whether the peer is a proxy that may say whom it speaks for.
    pub xclient: Xclient,
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

/// Whether UTF-8 is offered, in messages and in names and passwords: `UTF8 USER` (RFC 6856 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Utf8 {
    /// It is. What a message holds that must not be sent to a client without it, the application has to know.
    Offered,
    /// It is not: names are ASCII.
    #[default]
    Off,
}

/// Whether XCLIENT and XOIP are taken, by which proxies say whom they speak for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Xclient {
    /// They are, and the greeting says so. For sessions with peers that are trusted: such a peer names any address it likes.
    Trusted,
    /// They are unknown commands.
    #[default]
    Off,
}

/// How a client listens, and how long it waits. One value serves all its sessions.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// What ends a server's lines.
    pub line_ends: LineEnds,
    /// Bounds on what a server may send.
    pub limits: ClientLimits,
    /// How long a server may take.
    pub timeouts: ClientTimeouts,
}

/// What ends a line that a server sends: of a reply, a listing or a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnds {
    /// CRLF, as RFC 1939 §3 says. A message that holds a dot between bare LFs cannot end its own answer then.
    #[default]
    Crlf,
    /// CRLF or a bare LF, for servers that send files as they are. A bare LF inside a message is handed on as it came.
    CrlfOrLf,
}
