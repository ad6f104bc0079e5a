//! Questions to DNS: answers that say how far they can be trusted, and failures that are never mistaken for absence.

mod answer;
mod cache;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle as _, RetryDnsHandle};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig, system_conf};
use tokio::time::timeout;

pub(super) use answer::{Answer, Data, Found, Trust};
use answer::{Link, Step};
use cache::Cache;

/// Most names in a chain of aliases. RFC 1034 §5.2.2 wants chains followed; nobody needs longer ones.
const MAX_ALIASES: usize = 8;

/// How DNS is asked.
#[derive(Clone, Debug)]
pub struct DnsOptions {
    /// The name servers; those of the system (`/etc/resolv.conf`) if empty.
    pub name_servers: Vec<SocketAddr>,
    /// Who validates answers.
    pub dnssec: Dnssec,
    /// How long one name server may take. Five seconds are what resolvers wait by custom (resolv.conf(5)).
    pub timeout: Duration,
    /// How often a question is asked again when no answer comes.
    pub attempts: usize,
    /// How long one question may take with all that it leads to: aliases, signatures, other servers.
    pub patience: Duration,
    /// How many answers are kept, until their time to live is over. One takes about half a kilobyte.
    pub cache_entries: usize,
}

impl Default for DnsOptions {
    fn default() -> Self {
        Self {
            name_servers: vec![],
            dnssec: Dnssec::Validate { anchors: None },
            timeout: Duration::from_secs(5),
            attempts: 2,
            patience: Duration::from_secs(30),
            cache_entries: 10_000,
        }
    }
}

/// Who validates DNSSEC's signatures. Without there is no DANE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dnssec {
    /// We do. The name servers must hand signatures on, else every answer is taken for forged.
    Validate {
        /// A file of DNSKEY records that are trusted; the root's keys of 2017 and 2024 if none.
        anchors: Option<PathBuf>,
    },
    /// The name servers do, and are believed when they say so by the AD bit (RFC 4035 §3.2.3). Safe only if they run on this
    /// host, or the way to them is safe.
    TrustResolver,
    /// Nobody does.
    Off,
}

/// Why DNS cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum DnsSetupError {
    /// The system's configuration cannot be read.
    #[error("the system's DNS configuration cannot be used: {0}")]
    System(String),
    /// No name server is configured.
    #[error("no name server is configured")]
    NoServer,
    /// The trust anchors cannot be read.
    #[error("the trust anchors in {path} cannot be used: {why}", path = path.display())]
    Anchors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Why there is no answer. All of these may be different in a while, and none is an absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DnsFault {
    /// The server could not find out (SERVFAIL).
    #[error("the name server failed")]
    ServerFails,
    /// The server will not answer, or not this.
    #[error("the name server refuses")]
    Refused,
    /// No answer came in time.
    #[error("no answer came in time")]
    Timeout,
    /// No name server can be reached.
    #[error("no name server can be reached")]
    Unreachable,
    /// The answer cannot be read.
    #[error("the answer cannot be read")]
    Malformed,
    /// The answer has too many records, or too long a chain of aliases.
    #[error("the answer is too large")]
    Oversized,
    /// The signatures are wrong or missing (RFC 4035 §5.5).
    #[error("the answer's signatures are not valid")]
    Bogus,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Mx,
    A,
    Aaaa,
    Tlsa,
    Txt,
}

impl From<Kind> for RecordType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Mx => Self::MX,
            Kind::A => Self::A,
            Kind::Aaaa => Self::AAAA,
            Kind::Tlsa => Self::TLSA,
            Kind::Txt => Self::TXT,
        }
    }
}

type Asking = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// Asks DNS.
pub(super) struct Dns {
    handle: Handle,
    patience: Duration,
    cache: Mutex<Cache>,
}

enum Handle {
    Validating(Box<DnssecDnsHandle<Asking>>),
    Believing(Asking),
    Plain(Asking),
}

impl Dns {
    pub(super) fn new(options: &DnsOptions) -> Result<Self, DnsSetupError> {
        let servers = servers(&options.name_servers)?;
        let mut opts = ResolverOpts::default();
        opts.timeout = options.timeout;
        opts.attempts = options.attempts;
        let context = Arc::new(PoolContext::new(opts, tls()?));
        let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
        let asking = RetryDnsHandle::new(pool, options.attempts);
        let handle = match &options.dnssec {
            Dnssec::Validate { anchors } => {
                let anchors = Arc::new(read_anchors(anchors.as_ref())?);
                Handle::Validating(Box::new(DnssecDnsHandle::with_trust_anchor(asking, anchors)))
            }
            Dnssec::TrustResolver => Handle::Believing(asking),
            Dnssec::Off => Handle::Plain(asking),
        };
        Ok(Self { handle, patience: options.patience, cache: Mutex::new(Cache::new(options.cache_entries)) })
    }

    /// Asks for the records of one kind at a name in A-labels, following aliases.
    pub(super) async fn ask(&self, name: &str, kind: Kind) -> Result<Answer, DnsFault> {
        if let Some(known) = self.cache().look_up(name, kind, Instant::now()) {
            return known;
        }
        let asked = timeout(self.patience, self.follow(name, kind)).await.unwrap_or(Err(DnsFault::Timeout));
        let (answer, ttl) = match asked {
            Ok((answer, ttl)) => (Ok(answer), ttl),
            Err(fault) => {
                tracing::debug!(name, ?kind, %fault, "no answer from DNS");
                (Err(fault), cache::FAILURE)
            }
        };
        self.cache().keep(name, kind, answer.clone(), ttl, Instant::now());
        answer
    }

    /// Whether the root's name servers can be validated, where that is to be done here.
    pub(super) async fn validates(&self) -> bool {
        let Handle::Validating(handle) = &self.handle else { return true };
        let mut options = DnsRequestOptions::default();
        options.edns_set_dnssec_ok = true;
        let mut asked = handle.lookup(Query::query(Name::root(), RecordType::NS), options);
        match timeout(self.patience, asked.next()).await {
            Ok(Some(Ok(message))) => message.answers.iter().any(|record| record.proof == Proof::Secure),
            Ok(Some(Err(_)) | None) | Err(_) => false,
        }
    }

    /// How far to trust that a name has no MX records, where its other records can tell: a name server that validates does so
    /// for whole zones, and says it with its answers.
    pub(super) async fn trust_of_absence(&self, name: &str, told: Trust) -> Trust {
        let Handle::Believing(_) = &self.handle else { return told };
        for kind in [Kind::A, Kind::Aaaa] {
            if let Ok(Answer::Found(found)) = self.ask(name, kind).await
                && found.first.is_none()
            {
                return found.trust;
            }
        }
        told
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Walks along the aliases, some of which one answer holds, and some not.
    async fn follow(&self, name: &str, kind: Kind) -> Result<(Answer, Duration), DnsFault> {
        let mut at = Name::from_ascii(name).map_err(|_| DnsFault::Malformed)?;
        at.set_fqdn(true);
        let mut links: Vec<Link> = Vec::new();
        let mut ttl = cache::LONGEST;
        loop {
            let response = match (self.send(&at, kind.into()).await, &self.handle) {
                // hickory holds the proof of an absence against the name that was asked for, also where an alias leads away
                // from it. The alias by itself it can judge; what it leads to is then asked for by itself.
                (Err(DnsFault::Bogus), Handle::Validating(_)) => {
                    let alias = self.send(&at, RecordType::CNAME).await?;
                    if !alias.has_alias(&at) {
                        return Err(DnsFault::Bogus);
                    }
                    alias
                }
                (response, _) => response?,
            };
            let read = answer::read(&response, &at, kind, &mut links)?;
            ttl = ttl.min(read.ttl);
            if links.len() > MAX_ALIASES {
                return Err(DnsFault::Oversized);
            }
            let over = |trust: Trust| links.iter().fold(trust, |trust, link| trust.and(link.trust));
            match read.step {
                Step::Found { records, trust } => {
                    let trust = over(trust);
                    let name = links.last().map_or_else(|| name.to_owned(), |link| link.target.clone());
                    let first = links.first().map(|link| link.trust);
                    return Ok((Answer::Found(Found { records, trust, name, first }), ttl));
                }
                Step::NoData(trust) => return Ok((Answer::NoData(over(trust)), ttl)),
                Step::NoName(trust) => return Ok((Answer::NoName(over(trust)), ttl)),
                Step::Onward(next) => at = next,
            }
        }
    }

    async fn send(&self, name: &Name, kind: RecordType) -> Result<answer::Response, DnsFault> {
        let query = Query::query(name.clone(), kind);
        let mut options = DnsRequestOptions::default();
        let first = match &self.handle {
            Handle::Validating(handle) => {
                options.edns_set_dnssec_ok = true;
                handle.lookup(query, options).next().await
            }
            Handle::Believing(handle) => {
                let mut request = DnsRequest::from_query(query, options);
                // RFC 6840 §5.7: whoever sets it wants to know.
                request.metadata.authentic_data = true;
                handle.send(request).next().await
            }
            Handle::Plain(handle) => handle.lookup(query, options).next().await,
        };
        match first {
            Some(Ok(message)) => {
                let judge = match self.handle {
                    Handle::Validating(_) => answer::Judge::Proofs,
                    Handle::Believing(_) if message.metadata.authentic_data => answer::Judge::All(Trust::Secure),
                    Handle::Believing(_) | Handle::Plain(_) => answer::Judge::All(Trust::Insecure),
                };
                checked(message, judge)
            }
            Some(Err(error)) => self.absence(error),
            None => Err(DnsFault::Unreachable),
        }
    }

    /// Some of hickory's errors are absences.
    #[expect(clippy::wildcard_enum_match_arm, reason = "hickory may add errors")]
    fn absence(&self, error: NetError) -> Result<answer::Response, DnsFault> {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none)) => {
                // Here without validation only: the validating handle gives such answers back as messages.
                let ttl = none.negative_ttl.map(u64::from).map(Duration::from_secs);
                let code = none.response_code;
                match self.handle {
                    Handle::Validating(_) => Err(DnsFault::Bogus),
                    // The AD bit of an empty answer is lost on the way. Where it counts, see `trust_of_absence`.
                    Handle::Believing(_) | Handle::Plain(_) => answer::Response::empty(code, ttl),
                }
            }
            NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. }) => {
                checked(*response, answer::Judge::All(Trust::Insecure))
            }
            NetError::Dns(DnsError::Nsec { .. } | DnsError::DnssecBogus) => Err(DnsFault::Bogus),
            NetError::Dns(DnsError::ResponseCode(code)) => Err(answer::fault_of(code).unwrap_or(DnsFault::Malformed)),
            NetError::Timeout => Err(DnsFault::Timeout),
            NetError::Io(_) | NetError::NoConnections | NetError::Busy => Err(DnsFault::Unreachable),
            NetError::Truncated => Err(DnsFault::Oversized),
            _ => Err(DnsFault::Malformed),
        }
    }
}

/// A response that is an answer, not an error.
fn checked(message: DnsResponse, judge: answer::Judge) -> Result<answer::Response, DnsFault> {
    if let Some(fault) = answer::fault_of(message.response_code) {
        return Err(fault);
    }
    if message.truncation {
        return Err(DnsFault::Oversized);
    }
    let ttl = message.negative_ttl().map(u64::from).map(Duration::from_secs);
    answer::Response::new(message.into_message(), judge, ttl)
}

/// The name servers that are given, or else those of the system.
pub(crate) fn servers(given: &[SocketAddr]) -> Result<Vec<NameServerConfig>, DnsSetupError> {
    let servers = if given.is_empty() {
        match system_conf::read_system_conf() {
            Ok(system) if !system.0.name_servers.is_empty() => system.0.name_servers,
            // resolv.conf(5): where nothing is said, one on this machine is asked.
            Ok(_) => vec![NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into())],
            Err(_) if !Path::new("/etc/resolv.conf").exists() => {
                vec![NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into())]
            }
            Err(error) => return Err(DnsSetupError::System(error.to_string())),
        }
    } else {
        let one = |server: &SocketAddr| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            NameServerConfig::new(server.ip(), true, connections)
        };
        given.iter().map(one).collect()
    };
    if servers.is_empty() { Err(DnsSetupError::NoServer) } else { Ok(servers) }
}

fn tls() -> Result<TlsConfig, DnsSetupError> {
    TlsConfig::new().map_err(|error| DnsSetupError::System(error.to_string()))
}

fn read_anchors(path: Option<&PathBuf>) -> Result<TrustAnchors, DnsSetupError> {
    let Some(path) = path else { return Ok(TrustAnchors::default()) };
    let wrong = |why: String| DnsSetupError::Anchors { path: path.clone(), why };
    let anchors = TrustAnchors::from_file(path).map_err(|error| wrong(error.to_string()))?;
    if anchors.is_empty() { Err(wrong("no DNSKEY of the root".to_owned())) } else { Ok(anchors) }
}
