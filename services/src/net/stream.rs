//! What a connection runs over.

use tokio::io::{AsyncRead, AsyncWrite};

/// Any stream of octets both ways: TCP, Unix sockets, TLS of either side, test pipes.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One type for all of them, so that a layer can be put in place while a session runs.
pub type BoxedStream = Box<dyn Stream>;
