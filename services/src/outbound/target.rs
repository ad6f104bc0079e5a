//! Where mail for a domain goes, and how safe the way must be. What is found out here, others connect to.

use std::net::IpAddr;
use std::sync::Arc;

use super::policy::Policy;

/// One host that may take the mail, and how one must speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name in lower-case ASCII, without a dot at the end; an address in its usual text form where it has no name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Where it is, in the order to try; the two families alternate.
    pub addresses: Vec<IpAddr>,
    /// How the connection must be secured.
    pub security: Security,
}

/// How a connection must be secured. Part of the key under which connections are used again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// No TLS, because the operator said so.
    Clear,
    /// TLS where it is offered, with any certificate; else in clear (RFC 7435 §3).
    Opportunistic,
    /// TLS or nothing, with any certificate (RFC 7672 §2.2: there are TLSA records, and none can be used).
    Encrypted,
    /// TLS or nothing, with a certificate from a trusted root for one of the names (MTA-STS, relay hosts, REQUIRETLS).
    Verified {
        /// Names of which the certificate must carry one.
        names: Vec<String>,
    },
    /// TLS or nothing, with a certificate that one of the records vouches for (RFC 7672).
    Dane {
        /// The usable records, never empty.
        records: Vec<Tlsa>,
        /// For usage DANE-TA: names of which the certificate must carry one (RFC 7672 §3.2.2). The first is the TLSA base
        /// domain, which is also what the server is told (RFC 7672 §8.1).
        names: Vec<String>,
    },
}

/// A TLSA record that can be used for SMTP (RFC 7672 §3.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// Which certificate of the chain is meant.
    pub usage: Usage,
    /// Which part of it.
    pub selector: Selector,
    /// How it is compared.
    pub matching: Matching,
    /// What it is compared with: a digest, or the part itself in DER.
    pub data: Vec<u8>,
}

/// Certificate usages of RFC 6698 §2.1.1. SMTP knows the two without a public authority (RFC 7672 §3.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// 2: an authority of the server's own.
    DaneTa,
    /// 3: the server's certificate.
    DaneEe,
}

/// What of a certificate is compared (RFC 6698 §2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// 0: all of it.
    Certificate,
    /// 1: its public key.
    PublicKey,
}

/// How it is compared (RFC 6698 §2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matching {
    /// 0: octet by octet.
    Full,
    /// 1: by SHA-256.
    Sha256,
    /// 2: by SHA-512.
    Sha512,
}

impl Target {
    /// A number for the TLS that the host must have, another for each name and each way to know it; `None` where mail goes
    /// without.
    pub(super) fn demand(&self) -> Option<u64> {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        match &self.security {
            Security::Clear | Security::Opportunistic => None,
            security @ (Security::Encrypted | Security::Verified { .. } | Security::Dane { .. }) => {
                let mut hasher = DefaultHasher::new();
                (&self.host, security).hash(&mut hasher);
                Some(hasher.finish())
            }
        }
    }
}

/// What a message's sender demands of the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Demands {
    /// Nothing beyond what the domain itself asks for.
    #[default]
    Any,
    /// REQUIRETLS: every host must be verified, and must offer REQUIRETLS (RFC 8689 §4.2.1).
    RequireTls,
    /// `TLS-Required: No`: delivery matters more than the domain's wishes (RFC 8689 §4.2.2).
    TlsOptional,
}

/// The way to a domain, as it is now.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Names the set of hosts: equal for all domains with the same MX set.
    pub site: String,
    /// The hosts, best first, shuffled among equals. Never empty.
    pub hosts: Vec<Target>,
    /// What was demanded. With [`Demands::RequireTls`] a host that does not offer REQUIRETLS must be left (RFC 8689 §4.2.1),
    /// and its connections be used for nothing else.
    pub demands: Demands,
    /// What the domain had asked for, for reports about TLS.
    pub policy: Arc<Policy>,
}

/// Why there is no way to a domain, now or for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// The domain's only MX record is the root (RFC 7505 §3).
    #[error("the domain takes no mail (null MX)")]
    NullMx,
    /// DNS knows no such name.
    #[error("the domain does not exist")]
    NoDomain,
    /// What stands for the domain is neither a name nor an address.
    #[error("the domain's name cannot be one")]
    BadName,
    /// All hosts that may take the mail are ourselves (RFC 5321 §5.1).
    #[error("mail for the domain loops back to this host")]
    Ourselves,
    /// No host of the domain has an address.
    #[error("no mail host of the domain has an address")]
    NoAddress,
    /// The hosts' addresses are such as nobody else can be reached at: loopback, unspecified, multicast.
    #[error("the addresses of the domain's mail hosts are not reachable ones")]
    OddAddress,
    /// Addresses could not be looked up now, while the names are known.
    #[error("addresses of the domain's mail hosts cannot be looked up now")]
    AddressFails,
    /// DNS gives no answer now.
    #[error("DNS gives no answer about the domain now")]
    DnsFails,
    /// An answer's signatures are wrong (RFC 4035 §5.5).
    #[error("the domain's DNSSEC signatures are not valid")]
    Bogus,
    /// TLSA records could not be looked up, and their absence is not proved (RFC 7672 §2.1.2).
    #[error("TLSA records of the domain's mail hosts cannot be looked up now")]
    TlsaFails,
    /// No mail host is one that the domain's MTA-STS policy names (RFC 8461 §4.1).
    #[error("no mail host is named by the domain's MTA-STS policy")]
    StsMismatch,
    /// REQUIRETLS cannot be met: nothing vouches for the hosts' names (RFC 8689 §4.2.1).
    #[error("REQUIRETLS: nothing vouches for the domain's mail hosts")]
    RequireTls,
}

impl NoWay {
    /// The enhanced status code (RFC 3463, with those that RFC 7505 and RFC 8689 §7 add).
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::NullMx => "5.1.10",
            Self::NoDomain | Self::BadName => "5.1.2",
            Self::Ourselves => "5.4.6",
            Self::NoAddress | Self::OddAddress => "5.4.4",
            Self::AddressFails => "4.4.4",
            Self::DnsFails => "4.4.3",
            Self::Bogus | Self::TlsaFails => "4.7.5",
            Self::StsMismatch => "4.7.1",
            Self::RequireTls => "5.7.30",
        }
    }

    /// Whether trying again is of no use.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        self.status().starts_with('5')
    }
}
