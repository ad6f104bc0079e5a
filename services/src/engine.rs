//! One trait over all engines, without a runtime.
//!
//! The protocol crates do not know one another, yet they speak one vocabulary: the same verbs, the same steps, the same ends.
//! [`Engine`] states it, and [`engine!`](crate::engine!) forwards each crate's own methods to it. Its matches are exhaustive: a
//! crate that leaves the vocabulary does not compile here.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

/// A sans-IO protocol engine, either side of a connection.
///
/// Time is a duration since an origin that the caller chose. `now` may move a deadline, `input` may be consumed, `out` may
/// receive octets.
pub trait Engine: Send + 'static {
    /// What happens in a session.
    type Event: Send + 'static;

    /// Advances by at most one event.
    fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<Self::Event>;
    /// How many unread octets the caller may hold.
    fn max_input(&self) -> usize;
    /// When to call `handle_timeout`.
    fn poll_timeout(&self) -> Option<Deadline>;
    /// Ends the session if its deadline has passed. Early or repeated calls have no effect.
    fn handle_timeout(&mut self, now: Duration, out: &mut BytesMut);
    /// Tells that the peer sends no more.
    fn handle_eof(&mut self);
    /// Tells that the transport was changed, after [`Step::Switch`].
    fn switched(&mut self, to: Switched, now: Duration);
    /// Ends the session in an orderly way.
    fn shut_down(&mut self, why: ShutDown, now: Duration, out: &mut BytesMut);
    /// Ends the session because a promise made on the wire cannot be kept.
    fn abort(&mut self);
    /// Octets of heap held for the peer's sake.
    fn memory(&self) -> usize;
    /// Whether the engine waits for an answer to that event.
    fn is_question(event: &Self::Event) -> bool;
    /// The bulk data that the event carries.
    fn chunk(event: &Self::Event) -> Option<&Bytes>;
}

/// What an engine asks of its driver.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<E> {
    /// Something happened.
    Event(E),
    /// Flush, read more, call again.
    NeedInput,
    /// A question is open.
    YourTurn,
    /// Flush, change the transport, call `switched`.
    Switch(Layer),
    /// Flush, close.
    Close(Close),
}

/// A layer between the transport and the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// TLS.
    Tls,
    /// DEFLATE (RFC 4978).
    Deflate,
}

/// The layer that was put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switched {
    /// The TLS handshake is done.
    Tls(TlsInfo),
    /// Both directions are compressed.
    Deflate,
}

/// What is worth knowing of a TLS session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsInfo {
    /// Protocol version, `TLSv1.3`.
    pub version: String,
    /// Cipher suite by its registered name.
    pub cipher: String,
    /// The name that the client asked for (SNI).
    pub server_name: Option<String>,
}

/// The two ends of a connection.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// The peer's address; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Our own address; `None` on a Unix socket.
    pub local: Option<SocketAddr>,
    /// Set when the connection was born under TLS.
    pub tls: Option<TlsInfo>,
}

/// Why a session is over: the engine's reasons, and two of the driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The peer said goodbye.
    Quit,
    /// The peer closed its half.
    Eof,
    /// The peer was too slow; what it should have done.
    Timeout(&'static str),
    /// The peer broke the protocol; the engine's stable name for it.
    Violation(&'static str),
    /// We ended the session.
    ShutDown(ShutDown),
    /// A promise made on the wire could not be kept.
    Aborted,
    /// The connection failed: reset, or a failed TLS handshake.
    Lost,
    /// The peer did not take what we sent.
    Stalled,
}

impl Close {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Eof => "eof",
            Self::Timeout(_) => "timeout",
            Self::Violation(_) => "violation",
            Self::ShutDown(ShutDown::Stopping) => "stopping",
            Self::ShutDown(ShutDown::Overloaded) => "overloaded",
            Self::ShutDown(ShutDown::Fault) => "fault",
            Self::Aborted => "aborted",
            Self::Lost => "lost",
            Self::Stalled => "stalled",
        }
    }
}

/// When to call `handle_timeout`, and what the peer should have done by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Time since the caller's origin.
    pub at: Duration,
    /// A stable name of what is waited for.
    pub waiting_for: &'static str,
}

/// Why we end a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutDown {
    /// The server stops.
    Stopping,
    /// There are too many connections.
    Overloaded,
    /// The application failed.
    Fault,
}

/// Implements [`Engine`](crate::engine::Engine) for a session type, and `From<Link>` for its crate's `Link` with the word `link`.
///
/// ```text
/// services::engine!(pop3_proto, ServerSession, Event, [Tls]);
/// services::engine!(link pop3_proto);
/// ```
#[macro_export]
macro_rules! engine {
    (link $proto:ident) => {
        impl From<$crate::engine::Link> for $proto::Link {
            fn from(link: $crate::engine::Link) -> Self {
                Self {
                    peer: link.peer,
                    local: link.local,
                    tls: link.tls.map(|$crate::engine::TlsInfo { version, cipher, server_name }| $proto::TlsInfo {
                        version,
                        cipher,
                        server_name,
                    }),
                }
            }
        }
    };
    ($proto:ident, $session:ident, $event:ident, [$($layer:ident),*]) => {
        impl $crate::engine::Engine for $proto::$session {
            type Event = $proto::$event;

            fn next_event(
                &mut self,
                now: ::core::time::Duration,
                input: &mut ::bytes::BytesMut,
                out: &mut ::bytes::BytesMut,
            ) -> $crate::engine::Step<Self::Event> {
                use $crate::engine::{Close, Layer, ShutDown, Step};
                match self.next_event(now, input, out) {
                    $proto::Step::Event(event) => Step::Event(event),
                    $proto::Step::NeedInput => Step::NeedInput,
                    $proto::Step::YourTurn => Step::YourTurn,
                    $proto::Step::Switch(layer) => Step::Switch(match layer {
                        $($proto::Layer::$layer => Layer::$layer,)*
                    }),
                    $proto::Step::Close(why) => Step::Close(match why {
                        $proto::Close::Quit => Close::Quit,
                        $proto::Close::Eof => Close::Eof,
                        $proto::Close::Timeout(waiting) => Close::Timeout(waiting.as_str()),
                        $proto::Close::Violation(violation) => Close::Violation(violation.as_str()),
                        $proto::Close::ShutDown($proto::ShutDown::Stopping) => Close::ShutDown(ShutDown::Stopping),
                        $proto::Close::ShutDown($proto::ShutDown::Overloaded) => Close::ShutDown(ShutDown::Overloaded),
                        $proto::Close::ShutDown($proto::ShutDown::Fault) => Close::ShutDown(ShutDown::Fault),
                        $proto::Close::Aborted => Close::Aborted,
                    }),
                }
            }

            fn max_input(&self) -> usize {
                self.max_input()
            }

            fn poll_timeout(&self) -> Option<$crate::engine::Deadline> {
                let $proto::Deadline { at, waiting_for } = self.poll_timeout()?;
                Some($crate::engine::Deadline { at, waiting_for: waiting_for.as_str() })
            }

            fn handle_timeout(&mut self, now: ::core::time::Duration, out: &mut ::bytes::BytesMut) {
                self.handle_timeout(now, out);
            }

            fn handle_eof(&mut self) {
                self.handle_eof();
            }

            fn switched(&mut self, to: $crate::engine::Switched, now: ::core::time::Duration) {
                $($crate::engine!(@switched $proto, $layer, self, &to, now);)*
            }

            fn shut_down(
                &mut self,
                why: $crate::engine::ShutDown,
                now: ::core::time::Duration,
                out: &mut ::bytes::BytesMut,
            ) {
                let why = match why {
                    $crate::engine::ShutDown::Stopping => $proto::ShutDown::Stopping,
                    $crate::engine::ShutDown::Overloaded => $proto::ShutDown::Overloaded,
                    $crate::engine::ShutDown::Fault => $proto::ShutDown::Fault,
                };
                self.shut_down(why, now, out);
            }

            fn abort(&mut self) {
                self.abort();
            }

            fn memory(&self) -> usize {
                self.memory()
            }

            fn is_question(event: &Self::Event) -> bool {
                event.is_question()
            }

            fn chunk(event: &Self::Event) -> Option<&::bytes::Bytes> {
                event.chunk()
            }
        }
    };
    (@switched $proto:ident, Tls, $session:expr, $to:expr, $now:expr) => {
        if let $crate::engine::Switched::Tls(tls) = $to {
            let $crate::engine::TlsInfo { version, cipher, server_name } = tls.clone();
            $session.switched($proto::Switched::Tls($proto::TlsInfo { version, cipher, server_name }), $now);
        }
    };
    (@switched $proto:ident, Deflate, $session:expr, $to:expr, $now:expr) => {
        if let $crate::engine::Switched::Deflate = $to {
            $session.switched($proto::Switched::Deflate, $now);
        }
    };
}
