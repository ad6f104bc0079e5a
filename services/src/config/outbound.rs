//! How mail leaves.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::outbound::HopSecurity;
use crate::routes::{Outward, RelayHost};

/// What holds for mail that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundSettings {
    /// Which way mail of our users takes to domains that are not ours.
    pub outward: Outward,
    /// The host that takes what no other could be given.
    pub fallback: Option<RelayHost>,
    /// How hosts that are configured are spoken with; `None` asks for a certificate where there is a login, and else takes
    /// what TLS there is.
    pub relay_tls: Option<HopSecurity>,
    /// The file of logins at hosts that are configured.
    pub relay_logins: Option<PathBuf>,
    /// Our own addresses to send from.
    pub sources: Vec<IpAddr>,
    /// Addresses at which others reach this host, besides those that it has.
    pub own_addresses: Vec<IpAddr>,
    /// Whom to ask about names; nobody for those that the system asks.
    pub name_servers: Vec<SocketAddr>,
    /// Who validates what they say.
    pub dnssec: Validation,
    /// The file of DNSSEC keys that are believed; `None` for those of the root.
    pub trust_anchors: Option<PathBuf>,
    /// The keys by which mail of our users is signed.
    pub dkim: Vec<DkimKey>,
    /// How long delivery is tried.
    pub lifetime: Duration,
    /// After how long the sender is told that it is still being tried.
    pub delay_warning: Duration,
}

/// Who validates DNSSEC's signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// We do where the name servers hand signatures on, which is found out at the start; else nobody does.
    #[default]
    Auto,
    /// We do, and where the name servers do not hand signatures on, no mail leaves.
    Validate,
    /// The name servers do, and are believed.
    TrustServer,
    /// Nobody does.
    Off,
}

/// The word does not say who validates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a way to use DNSSEC; write auto, validate, trust-server or off")]
pub struct NoValidation;

/// A key by which mail from a domain is signed (RFC 6376).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimKey {
    /// The domain.
    pub domain: String,
    /// The name below it that the public key is published at.
    pub selector: String,
    /// The file of the private key, PEM.
    pub file: PathBuf,
}

/// The text names no domain, selector and file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a key for DKIM; write DOMAIN:SELECTOR:FILE as in example.org:2026a:/etc/mail/2026a.pem")]
pub struct NoDkimKey;

impl FromStr for Validation {
    type Err = NoValidation;

    fn from_str(text: &str) -> Result<Self, NoValidation> {
        match text {
            "auto" => Ok(Self::Auto),
            "validate" => Ok(Self::Validate),
            "trust-server" => Ok(Self::TrustServer),
            "off" => Ok(Self::Off),
            _ => Err(NoValidation),
        }
    }
}

impl FromStr for DkimKey {
    type Err = NoDkimKey;

    fn from_str(text: &str) -> Result<Self, NoDkimKey> {
        let mut parts = text.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(domain), Some(selector), Some(file))
                if !domain.is_empty() && !selector.is_empty() && !file.is_empty() =>
            {
                Ok(Self { domain: domain.to_lowercase(), selector: selector.to_owned(), file: file.into() })
            }
            _ => Err(NoDkimKey),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_for_dkim_has_three_parts() {
        let key = DkimKey { domain: "example.org".into(), selector: "2026a".into(), file: "/etc/a:b.pem".into() };
        assert_eq!("Example.org:2026a:/etc/a:b.pem".parse(), Ok(key));
        for text in ["", "example.org", "example.org:2026a", "example.org:2026a:", ":a:b", "a::b"] {
            assert_eq!(text.parse::<DkimKey>(), Err(NoDkimKey), "{text}");
        }
    }
}
