//! The way to a next hop that the operator has configured.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use tokio::net::lookup_host;

use super::decide::{Standing, choose};
use super::host::{Dane, Host, State, Wanted, look_up};
use super::{MailHosts, Resolver, at_address};
use crate::outbound::addresses::{Loopback, Place, Reach};
use crate::outbound::dns::Trust;
use crate::outbound::mx::{self, Exchange};
use crate::outbound::policy::Policy;
use crate::outbound::target::{Demands, NoWay, Security, Targets};

/// A configured next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Its name or address. In brackets it is a host's own name, and MX records are not asked for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether its name stands for a domain with mail hosts.
    pub mx: MxLookup,
    /// How connections to it are secured.
    pub security: HopSecurity,
}

/// Whether a next hop's name is looked up as a domain's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MxLookup {
    /// No: it is a host's.
    #[default]
    Never,
    /// Yes, unless it stands in brackets.
    Wanted,
}

/// How connections to a next hop are secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HopSecurity {
    /// No TLS.
    Clear,
    /// TLS where it is offered.
    Opportunistic,
    /// TLS or nothing, any certificate.
    Encrypted,
    /// TLS or nothing, with a certificate of a trusted authority for the next hop's name.
    Verified,
    /// By its TLSA records if it has some, else as [`Opportunistic`](Self::Opportunistic).
    #[default]
    Discovered,
}

/// The word does not say how a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a way to use TLS; write off, opportunistic, encrypted, verified or discovered")]
pub struct NoHopSecurity;

impl FromStr for HopSecurity {
    type Err = NoHopSecurity;

    fn from_str(text: &str) -> Result<Self, NoHopSecurity> {
        match text {
            "off" => Ok(Self::Clear),
            "opportunistic" => Ok(Self::Opportunistic),
            "encrypted" => Ok(Self::Encrypted),
            "verified" => Ok(Self::Verified),
            "discovered" => Ok(Self::Discovered),
            _ => Err(NoHopSecurity),
        }
    }
}

impl Resolver {
    /// The way to a configured next hop. It may be on this very host, and its name may be one that the system alone knows.
    ///
    /// # Errors
    /// There is none, now or for ever.
    pub async fn relay(&self, hop: &NextHop, demands: Demands) -> Result<Targets, NoWay> {
        let inner = hop.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let bare = inner.unwrap_or(&hop.host);
        if let Some(address) = mx::literal(&hop.host).or_else(|| bare.parse::<IpAddr>().ok()) {
            let host = address.to_string();
            return at_address(address, hop.port, hop.at(&host).unwrap_or(Security::Opportunistic), demands);
        }
        let name = mx::a_labels(bare).ok_or(NoWay::BadName)?;
        let by_mx = hop.mx == MxLookup::Wanted && inner.is_none();
        let MailHosts { hosts: exchanges, trust, owner } = match by_mx {
            true => self.exchanges(&name).await?,
            // Whoever wrote the configuration vouches for the name.
            false => MailHosts {
                hosts: vec![Exchange { preference: 0, host: name.clone() }],
                trust: Trust::Secure,
                owner: name.clone(),
            },
        };
        let site = match hop.port {
            25 => mx::site(&exchanges),
            port => format!("{}:{port}", mx::site(&exchanges)),
        };
        let hosts = match by_mx {
            true => self.hosts(exchanges, trust, hop.port, demands).await?,
            false => vec![self.named(name.clone(), hop).await],
        };
        let policy = Policy { domain: name.clone(), ..Policy::default() };
        let standing = Standing { names: &[name.clone(), owner], mx: trust, sts: None, demands: hop.demands(demands) };
        let mut targets = choose(hosts, hop.port, &standing)?;
        for target in &mut targets {
            // Below MX records that nobody vouches for, the name that was configured is the one to verify.
            let verify = if trust.is_secure() { target.host.clone() } else { name.clone() };
            if let Some(security) = hop.at(&verify) {
                target.security = security;
            }
        }
        if demands == Demands::RequireTls && !targets.iter().all(|target| is_verified(&target.security)) {
            return Err(NoWay::RequireTls);
        }
        Ok(Targets { site, hosts: targets, demands, policy: Arc::new(policy) })
    }

    /// Looks a host up, if need be as the system does: by its own table of hosts, and in the local domain.
    async fn named(&self, name: String, hop: &NextHop) -> Host {
        let reach = Reach { loopback: Loopback::Allowed, ..self.reach.clone() };
        let wanted = match hop.security {
            HopSecurity::Discovered => Wanted::Tlsa,
            HopSecurity::Clear | HopSecurity::Opportunistic | HopSecurity::Encrypted | HopSecurity::Verified => {
                Wanted::Addresses
            }
        };
        let exchange = Exchange { preference: 0, host: name.clone() };
        let host = look_up(&self.dns, &reach, exchange, hop.port, wanted).await;
        match host.state {
            State::At(..) | State::Odd => host,
            State::NoAddress | State::Fails(_) => {
                let Ok(found) = lookup_host((name.as_str(), hop.port)).await else { return host };
                let addresses: Vec<_> = found.map(|address| address.ip()).take(2 * mx::MAX_ADDRESSES).collect();
                if addresses.is_empty() {
                    return host;
                }
                let place = Place { addresses, ours: false, trust: Trust::Insecure, name: name.clone(), first: None };
                Host { preference: 0, name, state: State::At(place, Dane::Absent) }
            }
        }
    }
}

impl NextHop {
    /// What is configured, with the name to verify; nothing if it is to be found out.
    fn at(&self, verify: &str) -> Option<Security> {
        match self.security {
            HopSecurity::Clear => Some(Security::Clear),
            HopSecurity::Opportunistic => Some(Security::Opportunistic),
            HopSecurity::Encrypted => Some(Security::Encrypted),
            HopSecurity::Verified => Some(Security::Verified { names: vec![verify.to_owned()] }),
            HopSecurity::Discovered => None,
        }
    }

    /// Where the security is configured, the sender's demands do not change what is looked up.
    fn demands(&self, demands: Demands) -> Demands {
        match self.security {
            HopSecurity::Discovered => demands,
            HopSecurity::Clear | HopSecurity::Opportunistic | HopSecurity::Encrypted | HopSecurity::Verified => {
                Demands::TlsOptional
            }
        }
    }
}

fn is_verified(security: &Security) -> bool {
    match security {
        Security::Verified { .. } | Security::Dane { .. } => true,
        Security::Clear | Security::Opportunistic | Security::Encrypted => false,
    }
}
