//! From a domain to the hosts that take its mail, and how safe the way to each must be.

mod decide;
mod host;
mod relay;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::{join, join_all};

use super::addresses::{Families, Loopback, Reach};
use super::client_tls::ClientTls;
use super::dns::{Answer, Data, Dns, DnsFault, DnsOptions, DnsSetupError, Kind, Trust};
use super::mx::{self, Dice, Exchange, Exchanges};
use super::policy::{Policy, TlsFault};
use super::sts::{Holding, Sts, StsOptions};
use super::target::{Demands, NoWay, Security, Target, Targets};
use super::tls_report::{self, TlsReports};
use decide::{Standing, choose};
use host::{Host, Wanted, look_up};

pub use relay::{HopSecurity, MxLookup, NextHop, NoHopSecurity};

/// What a [`Resolver`] is made of.
#[derive(Clone, Debug)]
pub struct ResolverOptions {
    /// How DNS is asked.
    pub dns: DnsOptions,
    /// How MTA-STS policies are fetched and kept; `None`: not at all.
    pub sts: Option<StsOptions>,
    /// Where is counted what becomes of TLS; `None`: nowhere.
    pub reports: Option<Arc<TlsReports>>,
    /// Authorities that are trusted with MTA-STS, and with its web servers.
    pub tls: ClientTls,
    /// Names by which others call this host, for finding loops (RFC 5321 §5.1).
    pub own_names: Vec<String>,
    /// Addresses at which this host takes mail, also those of proxies and NAT before it.
    pub own_addresses: Vec<IpAddr>,
    /// Which addresses can be reached from here.
    pub families: Families,
    /// Whether DNS may send mail to this very host.
    pub loopback: Loopback,
    /// The port of mail hosts: 25 but in tests.
    pub port: u16,
}

impl ResolverOptions {
    /// The options of a server that trusts the system's authorities and name servers, and has no other names than `host`.
    #[must_use]
    pub fn new(host: &str) -> Self {
        Self {
            dns: DnsOptions::default(),
            sts: Some(StsOptions::default()),
            reports: None,
            tls: ClientTls::system(),
            own_names: vec![host.to_owned()],
            own_addresses: vec![],
            families: Families::default(),
            loopback: Loopback::default(),
            port: 25,
        }
    }
}

/// Why there can be no resolver.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// DNS cannot be asked.
    #[error(transparent)]
    Dns(#[from] DnsSetupError),
    /// Kept MTA-STS policies cannot be read.
    #[error("the folder of MTA-STS policies cannot be used: {0}")]
    Sts(std::io::Error),
}

/// Finds out where mail goes. One for a server; it keeps what it learns for as long as that holds.
///
/// ```no_run
/// use services::outbound::{Demands, Resolver, ResolverOptions};
///
/// # async fn look() -> Result<(), Box<dyn std::error::Error>> {
/// let resolver = Resolver::new(ResolverOptions::new("mail.example.org"))?;
/// match resolver.targets("example.com", Demands::Any).await {
///     Ok(targets) => {
///         for host in &targets.hosts {
///             println!("{} at {:?}: {:?}", host.host, host.addresses, host.security);
///         }
///     }
///     Err(why) if why.is_permanent() => println!("for ever: {} {why}", why.status()),
///     Err(why) => println!("not now: {} {why}", why.status()),
/// }
/// # Ok(())
/// # }
/// ```
pub struct Resolver {
    dns: Arc<Dns>,
    sts: Option<Arc<Sts>>,
    reports: Option<Arc<TlsReports>>,
    reach: Reach,
    own_names: HashSet<String>,
    port: u16,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver; call it inside a tokio runtime.
    ///
    /// # Errors
    /// The name servers, the trust anchors or the folder of kept policies cannot be used.
    pub fn new(options: ResolverOptions) -> Result<Self, ResolverError> {
        let dns = Arc::new(Dns::new(&options.dns)?);
        let seed = getrandom::u64().unwrap_or_else(|_| SystemTime::now().elapsed().map_or(0, |age| age.as_secs()));
        let reach = Reach {
            families: options.families,
            loopback: options.loopback,
            ours: options.own_addresses.into(),
            dice: Arc::new(Mutex::new(Dice::new(seed))),
        };
        let sts = match options.sts {
            Some(sts) => {
                let sts = Sts::new(sts, Arc::clone(&dns), reach.clone(), options.tls).map_err(ResolverError::Sts)?;
                Some(Arc::new(sts))
            }
            None => None,
        };
        let own_names = options.own_names.iter().filter_map(|name| mx::a_labels(name)).collect();
        Ok(Self { dns, sts, reports: options.reports, reach, own_names, port: options.port })
    }

    /// Whether the name servers hand on what validation needs. If not, with [`Dnssec::Validate`] no domain has a way: worth a
    /// look at start. True also where nothing is validated.
    ///
    /// [`Dnssec::Validate`]: super::Dnssec::Validate
    pub async fn dns_validates(&self) -> bool {
        self.dns.validates().await
    }

    /// The way to a domain, or to an address literal.
    ///
    /// # Errors
    /// There is none, now or for ever.
    pub async fn targets(&self, domain: &str, demands: Demands) -> Result<Targets, NoWay> {
        if domain.starts_with('[') {
            let address = mx::literal(domain).ok_or(NoWay::BadName)?;
            if !self.reach.takes(address) {
                return Err(NoWay::OddAddress);
            }
            if self.reach.is_ours(address) {
                return Err(NoWay::Ourselves);
            }
            return at_address(address, self.port, Security::Opportunistic, demands);
        }
        let domain = mx::a_labels(domain).ok_or(NoWay::BadName)?;
        let exchanges = self.exchanges(&domain).await?;
        let sts = match demands {
            // RFC 8689 §4.2.2: what the domain wishes is set aside, so it need not be found out.
            Demands::TlsOptional => None,
            Demands::Any | Demands::RequireTls => self.sts.as_ref(),
        };
        let holding = async {
            match sts {
                Some(sts) => sts.holding(&domain).await,
                None => Holding::default(),
            }
        };
        let ((holding, rua), site) = (join(holding, self.rua(&domain)).await, mx::site(&exchanges.hosts));
        let hosts = self.hosts(exchanges.hosts, exchanges.trust, self.port, demands).await?;
        let faults = holding.fault.into_iter().collect();
        let policy = Policy { domain: domain.clone(), sts: holding.policy, rua, faults };
        let standing =
            Standing { names: &[domain, exchanges.owner], mx: exchanges.trust, sts: policy.sts.as_ref(), demands };
        match choose(hosts, self.port, &standing) {
            Ok(chosen) => Ok(Targets { site, hosts: chosen, demands, policy: Arc::new(policy) }),
            Err(why) => {
                if let (Some(reports), Some(fault)) = (&self.reports, fault_of(why)) {
                    reports.record_unreached(&policy, fault);
                }
                Err(why)
            }
        }
    }

    /// The name of the set of hosts that take a domain's mail: equal for domains with the same MX records, so that queues can
    /// treat them as one destination. The domain itself where nothing is known of it.
    pub async fn site(&self, domain: &str) -> String {
        let Some(domain) = mx::a_labels(domain) else { return domain.to_ascii_lowercase() };
        match self.exchanges(&domain).await {
            Ok(exchanges) => mx::site(&exchanges.hosts),
            Err(_) => domain,
        }
    }

    async fn exchanges(&self, domain: &str) -> Result<MailHosts, NoWay> {
        match self.dns.ask(domain, Kind::Mx).await {
            Ok(Answer::Found(found)) => {
                let records = found.records.into_iter().filter_map(|record| match record {
                    Data::Mx { preference, host } => Some((preference, host)),
                    Data::Address(_) | Data::Tlsa { .. } | Data::Txt(_) => None,
                });
                match mx::exchanges(records) {
                    Exchanges::Null => Err(NoWay::NullMx),
                    Exchanges::Hosts(hosts) if hosts.is_empty() => Err(NoWay::NoAddress),
                    Exchanges::Hosts(hosts) => Ok(MailHosts { hosts, trust: found.trust, owner: found.name }),
                }
            }
            // RFC 5321 §5.1: without MX records, and only then, the domain is its own mail host.
            Ok(Answer::NoData(trust)) => {
                let (host, trust) = (domain.to_owned(), self.dns.trust_of_absence(domain, trust).await);
                Ok(MailHosts { hosts: vec![Exchange { preference: 0, host }], trust, owner: domain.to_owned() })
            }
            Ok(Answer::NoName(_)) => Err(NoWay::NoDomain),
            Err(DnsFault::Bogus) => Err(NoWay::Bogus),
            Err(_) => Err(NoWay::DnsFails),
        }
    }

    /// Looks the hosts up, in the order to try them, without our own and those that are no better.
    async fn hosts(
        &self,
        mut exchanges: Vec<Exchange>,
        mx: Trust,
        port: u16,
        demands: Demands,
    ) -> Result<Vec<Host>, NoWay> {
        let preference = |exchange: &Exchange| exchange.preference;
        mx::drop_ours(&mut exchanges, preference, |exchange| self.own_names.contains(&exchange.host));
        if exchanges.is_empty() {
            return Err(NoWay::Ourselves);
        }
        {
            let mut dice = self.reach.dice.lock().unwrap_or_else(PoisonError::into_inner);
            mx::shuffle(&mut exchanges, preference, &mut dice);
        }
        let wanted = match (demands, mx) {
            (Demands::TlsOptional, _) | (_, Trust::Insecure) => Wanted::Addresses,
            // RFC 7672 §2.2.1: only names that DNSSEC vouches for are worth a TLSA lookup.
            (Demands::Any | Demands::RequireTls, Trust::Secure) => Wanted::Tlsa,
        };
        let lookups = exchanges.into_iter().map(|exchange| look_up(&self.dns, &self.reach, exchange, port, wanted));
        let mut hosts = join_all(lookups).await;
        mx::drop_ours(&mut hosts, |host| host.preference, Host::is_ours);
        if hosts.is_empty() { Err(NoWay::Ourselves) } else { Ok(hosts) }
    }

    /// Where the domain wants reports about TLS sent.
    async fn rua(&self, domain: &str) -> Vec<String> {
        if self.reports.is_none() {
            return vec![];
        }
        match self.dns.ask(&format!("_smtp._tls.{domain}"), Kind::Txt).await {
            Ok(Answer::Found(found)) => tls_report::rua_of(&found.records),
            Ok(Answer::NoData(_) | Answer::NoName(_)) | Err(_) => vec![],
        }
    }
}

/// Hosts by their names, how far these can be trusted, and at which name their records stand.
struct MailHosts {
    hosts: Vec<Exchange>,
    trust: Trust,
    owner: String,
}

/// The way to an address without a name. Nothing can vouch for it.
fn at_address(address: IpAddr, port: u16, security: Security, demands: Demands) -> Result<Targets, NoWay> {
    if demands == Demands::RequireTls {
        return Err(NoWay::RequireTls);
    }
    let host = address.to_string();
    let site = format!("[{host}]");
    let policy = Policy { domain: host.clone(), ..Policy::default() };
    let hosts = vec![Target { host, port, addresses: vec![address], security }];
    Ok(Targets { site, hosts, demands, policy: Arc::new(policy) })
}

/// What a lack of hosts is called in reports, if it is for the sake of TLS.
fn fault_of(why: NoWay) -> Option<TlsFault> {
    match why {
        NoWay::Bogus | NoWay::TlsaFails => Some(TlsFault::DnssecInvalid),
        NoWay::StsMismatch => Some(TlsFault::ValidationFailure),
        NoWay::NullMx
        | NoWay::NoDomain
        | NoWay::BadName
        | NoWay::Ourselves
        | NoWay::NoAddress
        | NoWay::OddAddress
        | NoWay::AddressFails
        | NoWay::DnsFails
        // That is the sender's wish, not the domain's.
        | NoWay::RequireTls => None,
    }
}
