//! From a socket to a handler: listener, TLS, driver, drain.
//!
//! [`serve`] takes connections and hands each to [`drive`], which alone owns the socket, the buffers and the engine. A
//! [`Service`] makes an engine and a [`Handler`] for each connection; the handler answers the engine's questions.

mod connection;
mod drain;
mod drive;
pub(crate) mod judge;
mod limits;
pub(crate) mod listen;
mod network;
mod stream;
pub mod tls;

pub use connection::{Connection, Fault, Gone};
pub use drain::{Drain, DrainHandle};
pub use drive::{Detached, Handler, Next, drive};
pub use limits::{ConnectionLimits, Pacing};
pub use listen::{BindError, Endpoint, Listener, Security, Service, serve};
pub use network::{Network, NoNetwork};
pub use stream::{BoxedStream, Stream};
