//! TLS towards mail hosts: from how a connection must be secured to a configuration of rustls, and from its errors to the
//! words of reports.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::dane::DaneVerifier;
use super::policy::{Policy, StsMode, TlsFault};
use super::target::{Security, Target, Tlsa};
use crate::net::judge::{Judge, Judged};
use crate::net::tls;

/// What connections to mail hosts are secured with. Make one, and keep it: it remembers sessions.
#[derive(Clone)]
pub struct ClientTls {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    any: Arc<ClientConfig>,
    own_name: Arc<ClientConfig>,
}

impl ClientTls {
    /// Trusts the authorities that the system trusts. Those that cannot be read are left out, and named in the log.
    #[must_use]
    pub fn system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (taken, refused) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(taken, refused, "the system's certificate authorities");
        Self::new(roots)
    }

    /// Trusts these authorities.
    #[must_use]
    pub fn new(roots: RootCertStore) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(roots);
        let verifier = Verifier {
            roots: Arc::clone(&roots),
            names: Names::TheServers,
            algorithms: provider.signature_verification_algorithms,
        };
        let own_name = config(&provider, verifier);
        Self { any: tls::opportunistic(), own_name: Arc::new(own_name), provider, roots }
    }

    /// What a connection to `target` is put under TLS with; `None` where there is to be none: by [`Security::Clear`], or
    /// because an opportunistic target has no name that TLS could carry. Take it anew for each connection.
    #[must_use]
    pub fn handshake(&self, target: &Target, policy: &Policy) -> Option<ClientHandshake> {
        let plain = |config: &Arc<ClientConfig>, name: &str| {
            let name = ServerName::try_from(name.to_owned()).ok()?;
            Some(ClientHandshake { config: Arc::clone(config), name, seen: None })
        };
        match &target.security {
            Security::Clear => None,
            Security::Opportunistic if tested(policy) => self.watched(&target.host),
            Security::Opportunistic | Security::Encrypted => plain(&self.any, &target.host),
            // One configuration for all hosts, so that sessions are resumed; rustls keeps them apart by the name.
            Security::Verified { names } if *names == [target.host.as_str()] => plain(&self.own_name, &target.host),
            Security::Verified { names } => self.named(&target.host, names),
            Security::Dane { records, names } => self.dane(records, names),
        }
    }

    /// The configuration that takes certificates of trusted authorities for the server's name.
    pub(super) fn verified(&self) -> &Arc<ClientConfig> {
        &self.own_name
    }

    fn verifier(&self, names: Names) -> Verifier {
        let algorithms = self.provider.signature_verification_algorithms;
        Verifier { roots: Arc::clone(&self.roots), names, algorithms }
    }

    fn named(&self, host: &str, names: &[String]) -> Option<ClientHandshake> {
        let verifier = self.verifier(Names::OneOf(server_names(names)));
        let mut config = config(&self.provider, verifier);
        config.resumption = Resumption::disabled();
        Some(ClientHandshake {
            config: Arc::new(config),
            name: ServerName::try_from(host.to_owned()).ok()?,
            seen: None,
        })
    }

    /// RFC 8461 §5: in the mode "testing" a bad certificate is reported, and the mail goes.
    fn watched(&self, host: &str) -> Option<ClientHandshake> {
        let name = ServerName::try_from(host.to_owned()).ok()?;
        let seen = Arc::new(OnceLock::new());
        let verifier = Watching { verifier: self.verifier(Names::TheServers), seen: Arc::clone(&seen) };
        let mut config = config(&self.provider, verifier);
        config.resumption = Resumption::disabled();
        Some(ClientHandshake { config: Arc::new(config), name, seen: Some(seen) })
    }

    fn dane(&self, records: &[Tlsa], names: &[String]) -> Option<ClientHandshake> {
        let names = server_names(names);
        let name = names.first()?.clone();
        let algorithms = self.provider.signature_verification_algorithms;
        let verifier = DaneVerifier::new(records.to_vec(), names, algorithms);
        let mut config = config(&self.provider, verifier);
        // A session that is resumed is not verified again, and the records may be others by then.
        config.resumption = Resumption::disabled();
        Some(ClientHandshake { config: Arc::new(config), name, seen: None })
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

/// What one connection is put under TLS with.
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    /// The configuration, with the verifier that the security asks for.
    pub config: Arc<ClientConfig>,
    /// What the server is told by SNI, and under which sessions are remembered.
    pub name: ServerName<'static>,
    seen: Option<Arc<OnceLock<TlsFault>>>,
}

impl ClientHandshake {
    /// What was wrong with the certificate of a handshake that was let pass, for the report: what an MTA-STS policy in
    /// testing would have refused.
    #[must_use]
    pub fn let_pass(&self) -> Option<TlsFault> {
        self.seen.as_ref()?.get().copied()
    }
}

impl TlsFault {
    /// The fault that a failed handshake's error stands for.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => Self::of_tls(error),
            None => Self::ValidationFailure,
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(why) = error else { return Self::ValidationFailure };
        use CertificateError as Why;
        if matches!(why, Why::Expired | Why::ExpiredContext { .. }) {
            Self::CertificateExpired
        } else if matches!(why, Why::NotValidForName | Why::NotValidForNameContext { .. }) {
            Self::CertificateHostMismatch
        } else if matches!(
            why,
            Why::UnknownIssuer
                | Why::BadSignature
                | Why::Revoked
                | Why::InvalidPurpose
                | Why::InvalidPurposeContext { .. }
        ) {
            Self::CertificateNotTrusted
        } else {
            Self::ValidationFailure
        }
    }
}

fn tested(policy: &Policy) -> bool {
    policy.sts.as_ref().is_some_and(|sts| sts.mode == StsMode::Testing)
}

fn server_names(names: &[String]) -> Vec<ServerName<'static>> {
    names.iter().filter_map(|name| ServerName::try_from(name.clone()).ok()).collect()
}

fn config(provider: &Arc<CryptoProvider>, judge: impl Judge + 'static) -> ClientConfig {
    let verifier = Arc::new(Judged::by(judge, provider.signature_verification_algorithms));
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider));
    #[expect(clippy::expect_used, reason = "the provider has suites for the versions it was built with")]
    let builder = builder.with_protocol_versions(rustls::ALL_VERSIONS).expect("both versions are supported");
    builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
}

/// Names that a certificate may be for.
#[derive(Debug)]
enum Names {
    /// The one that the server is asked for.
    TheServers,
    OneOf(Vec<ServerName<'static>>),
}

/// Believes certificates of trusted authorities.
#[derive(Debug)]
struct Verifier {
    roots: Arc<RootCertStore>,
    names: Names,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge for Verifier {
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, self.algorithms.all)?;
        match &self.names {
            Names::TheServers => verify_server_name(&parsed, name),
            Names::OneOf(names) => {
                let none = Err(CertificateError::NotValidForName.into());
                names.iter().map(|name| verify_server_name(&parsed, name)).find(Result::is_ok).unwrap_or(none)
            }
        }
    }
}

/// Takes any certificate, and notes what is wrong with it.
#[derive(Debug)]
struct Watching {
    verifier: Verifier,
    seen: Arc<OnceLock<TlsFault>>,
}

impl Judge for Watching {
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if let Err(error) = self.verifier.judge(end_entity, intermediates, name, now) {
            self.seen.get_or_init(|| TlsFault::of_tls(&error));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
