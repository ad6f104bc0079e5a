//! The TLS handshake with a server, and why it fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::client_tls::ClientHandshake;
use super::policy::TlsFault;
use crate::engine::TlsInfo;
use crate::net::BoxedStream;
use crate::net::tls::Upgrade;

/// A handshake that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) fault: TlsFault,
    text: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Puts a stream under TLS.
pub(super) async fn shake(
    stream: BoxedStream,
    keys: Option<&ClientHandshake>,
    at_most: Duration,
) -> Result<(BoxedStream, TlsInfo), Failed> {
    let failed = |fault, text: &str| Err(Failed { fault, text: text.to_owned() });
    let Some(ClientHandshake { config, name, .. }) = keys else {
        return failed(TlsFault::ValidationFailure, "the host has no name that could be verified");
    };
    let upgrade = Upgrade::Client(Arc::clone(config), name.clone());
    match timeout(at_most, upgrade.handshake(stream)).await {
        Ok(Ok(secured)) => Ok(secured),
        Ok(Err(error)) => Err(Failed { fault: TlsFault::of(&error), text: error.to_string() }),
        Err(_) => failed(TlsFault::ValidationFailure, "it takes too long"),
    }
}
