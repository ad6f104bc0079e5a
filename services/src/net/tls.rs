//! TLS by rustls: certificates, and the handshake of either side.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::BoxedStream;
use super::judge::{Judge, Judged};
use crate::engine::TlsInfo;

/// How a stream can be put under TLS.
#[derive(Clone, Debug)]
pub enum Upgrade {
    /// Not at all.
    None,
    /// As the server.
    Server(Arc<rustls::ServerConfig>),
    /// As the client, with the name that the certificate must have.
    Client(Arc<rustls::ClientConfig>, ServerName<'static>),
}

impl Upgrade {
    /// Does the handshake.
    ///
    /// # Errors
    /// The peer does not speak TLS, or its certificate does not do.
    pub async fn handshake(&self, stream: BoxedStream) -> io::Result<(BoxedStream, TlsInfo)> {
        match self {
            Self::None => Err(io::ErrorKind::Unsupported.into()),
            Self::Server(config) => {
                let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
                let info = info(stream.get_ref().1, stream.get_ref().1.server_name());
                Ok((Box::new(stream), info))
            }
            Self::Client(config, name) => {
                let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await?;
                let info = info(stream.get_ref().1, None);
                Ok((Box::new(stream), info))
            }
        }
    }
}

fn info(session: &rustls::CommonState, server_name: Option<&str>) -> TlsInfo {
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(_) | None => "TLS",
    };
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    // rustls tells the suites of TLS 1.3 apart by a prefix that is not in the registry.
    let cipher = suite.replacen("TLS13_", "TLS_", 1);
    TlsInfo { version: version.to_owned(), cipher, server_name: server_name.map(str::to_owned) }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot use {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds no PEM of that kind.
    #[error("{path} holds no {what} in PEM form", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error("the certificate cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

/// Reads a certificate chain and its key.
///
/// # Errors
/// A file cannot be read, or what it holds cannot be used.
pub fn server_config(certificate: &Path, key: &Path) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Pem { path: certificate.to_owned(), what: "certificate" })?;
    if chain.is_empty() {
        return Err(TlsError::Pem { path: certificate.to_owned(), what: "certificate" });
    }
    let key = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| TlsError::Pem { path: key.to_owned(), what: "private key" })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// A client's TLS that takes any certificate: better than none where none would be the alternative (RFC 7435 §3), and no
/// protection against whoever sits in the middle.
#[must_use]
pub fn opportunistic() -> Arc<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Judged::by(AnyCertificate, provider.signature_verification_algorithms));
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(rustls::ALL_VERSIONS);
    #[expect(clippy::expect_used, reason = "the provider has suites for the versions it was built with")]
    let builder = builder.expect("both versions are supported");
    Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Believes any certificate.
#[derive(Debug)]
struct AnyCertificate;

impl Judge for AnyCertificate {
    fn judge(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _now: UnixTime,
    ) -> Result<(), rustls::Error> {
        Ok(())
    }
}

/// Makes a self-signed certificate for `names` at the two paths, unless there is one already. True when it was made.
///
/// # Errors
/// The files cannot be written.
pub fn ensure_self_signed(certificate: &Path, key: &Path, names: &[String]) -> Result<bool, TlsError> {
    if certificate.exists() && key.exists() {
        return Ok(false);
    }
    let made = rcgen::generate_simple_self_signed(names)?;
    write(key, made.signing_key.serialize_pem().as_bytes(), 0o600)?;
    write(certificate, made.cert.pem().as_bytes(), 0o644)?;
    Ok(true)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(|source| TlsError::File { path: path.to_owned(), source })
}
