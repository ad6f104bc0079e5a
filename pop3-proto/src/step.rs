//! What an engine and its driver say to each other: turns, layers, deadlines, ends.

use alloc::string::String;
use core::net::SocketAddr;
use core::time::Duration;

use crate::Violation;

/// What [`next_event`](crate::ServerSession::next_event) asks of its driver. Exhaustive: a driver that matches it forgets nothing.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<E> {
    /// Something happened. A question ([`Event::is_question`](crate::Event::is_question)) waits for its answer, news does not.
    Event(E),
    /// Flush `out`, read more from the peer, call again.
    NeedInput,
    /// A question is open: nothing more is parsed until the application has answered it.
    YourTurn,
    /// Flush `out`, change the transport, call [`switched`](crate::ServerSession::switched).
    Switch(Layer),
    /// Flush `out`, close the transport. Said again on every further call.
    Close(Close),
}

/// A layer that goes between the transport and the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// TLS, asked for by STLS (RFC 2595 §4).
    Tls,
}

/// The layer that was put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switched {
    /// The TLS handshake is done.
    Tls(TlsInfo),
}

/// What is worth knowing of a TLS session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsInfo {
    /// Protocol version, `TLSv1.3`.
    pub version: String,
    /// Cipher suite by its registered name, `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The name that the client asked for (SNI).
    pub server_name: Option<String>,
}

/// The two ends of a connection, as the driver knows them.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// The peer's address; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Our own address; `None` on a Unix socket.
    pub local: Option<SocketAddr>,
    /// Set when the connection was born under TLS.
    pub tls: Option<TlsInfo>,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// QUIT was said and answered; on the client's side also where the server closed without an answer.
    Quit,
    /// The peer closed its half.
    Eof,
    /// The peer was too slow.
    Timeout(Waiting),
    /// The peer broke the protocol once too often, or once too badly.
    Violation(Violation),
    /// The application ended the session.
    ShutDown(ShutDown),
    /// The application could not keep a promise made on the wire.
    Aborted,
}

/// When to call [`handle_timeout`](crate::ServerSession::handle_timeout), and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Time since the caller's origin.
    pub at: Duration,
    /// What the peer is expected to do until then.
    pub waiting_for: Waiting,
}

/// What the peer is expected to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// A client: log in.
    Login,
    /// A client: send a command.
    Command,
    /// Either: finish the TLS handshake.
    Tls,
    /// A server: greet.
    Greeting,
    /// A server: reply to a command.
    Reply,
    /// A server: go on with a listing or a message.
    Body,
}

impl Waiting {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Command => "command",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Reply => "reply",
            Self::Body => "body",
        }
    }
}

/// Why the application ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutDown {
    /// The server stops.
    Stopping,
    /// There are too many connections; said instead of a greeting.
    Overloaded,
    /// The application failed. An open question is answered by the goodbye.
    Fault,
}
