//! What a domain asked for in matters of TLS, and what went wrong: the vocabulary of reports (RFC 8460 §4).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What a domain had asked for when its hosts were looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The domain in A-labels, as it is looked up in DNS.
    pub domain: String,
    /// Its MTA-STS policy, if that is in force; a host under DANE has its own by the records.
    pub sts: Option<StsPolicy>,
    /// Where the domain wants reports sent (RFC 8460 §3); without, nothing about it is kept.
    pub rua: Vec<String>,
    /// What already went wrong before a host was connected to.
    pub faults: Vec<TlsFault>,
}

/// An MTA-STS policy as it is published (RFC 8461 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsPolicy {
    /// What shall become of mail that cannot be sent as the policy asks.
    pub mode: StsMode,
    /// Patterns of the hosts that may take the mail.
    pub mx: Vec<String>,
    /// How long the policy holds, in seconds.
    pub max_age: u32,
}

/// Modes of an MTA-STS policy (RFC 8461 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StsMode {
    /// Mail waits for a host that meets the policy.
    Enforce,
    /// Mail goes anyway; what went wrong is reported.
    Testing,
    /// There is no policy any more.
    None,
}

/// A handshake that was tried, or could not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The address here.
    pub local: Option<IpAddr>,
    /// The address there.
    pub peer: Option<IpAddr>,
    /// What became of it.
    pub result: Result<(), TlsFault>,
}

/// What goes wrong with TLS, in the words of RFC 8460 §4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsFault {
    /// The server does not offer STARTTLS.
    StarttlsNotSupported,
    /// The certificate is for other names.
    CertificateHostMismatch,
    /// The certificate is not valid any more.
    CertificateExpired,
    /// Nobody trusted stands behind the certificate.
    CertificateNotTrusted,
    /// The handshake failed in another way.
    ValidationFailure,
    /// The TLSA records cannot be used.
    TlsaInvalid,
    /// DNSSEC's signatures are wrong, or an answer could not be validated.
    DnssecInvalid,
    /// DANE is demanded, and not there.
    DaneRequired,
    /// The MTA-STS policy could not be fetched.
    StsPolicyFetchError,
    /// The MTA-STS policy is no policy.
    StsPolicyInvalid,
    /// The host of the MTA-STS policy has a bad certificate.
    StsWebpkiInvalid,
}

impl TlsFault {
    /// The `result-type` of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }
}
