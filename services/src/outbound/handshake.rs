//! The TLS handshake with a server, and why it fails.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::time::timeout;

use super::policy::TlsFault;
use crate::engine::TlsInfo;
use crate::net::BoxedStream;
use crate::net::tls::Upgrade;

/// What a handshake needs.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// What is believed of a certificate.
    pub(super) config: Arc<rustls::ClientConfig>,
    /// Whom the server is told that we look for.
    pub(super) name: ServerName<'static>,
}

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
    keys: Option<&Keys>,
    at_most: Duration,
) -> Result<(BoxedStream, TlsInfo), Failed> {
    let failed = |fault, text: &str| Err(Failed { fault, text: text.to_owned() });
    let Some(Keys { config, name }) = keys else {
        return failed(TlsFault::ValidationFailure, "the host cannot be verified");
    };
    let upgrade = Upgrade::Client(Arc::clone(config), name.clone());
    match timeout(at_most, upgrade.handshake(stream)).await {
        Ok(Ok(secured)) => Ok(secured),
        Ok(Err(error)) => Err(Failed { fault: fault(&error), text: error.to_string() }),
        Err(_) => failed(TlsFault::ValidationFailure, "it takes too long"),
    }
}

/// What a failure is called in reports (RFC 8460 §4.3).
fn fault(error: &io::Error) -> TlsFault {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(certificate)) = inner else { return TlsFault::ValidationFailure };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::CertificateExpired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFault::CertificateHostMismatch
        }
        CertificateError::UnknownIssuer | CertificateError::Revoked => TlsFault::CertificateNotTrusted,
        _ => TlsFault::ValidationFailure,
    }
}
