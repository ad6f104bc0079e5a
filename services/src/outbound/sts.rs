//! MTA-STS (RFC 8461): the policy in force for a domain, from the cache or from the domain's web server.

mod fetch;
mod store;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::OnceCell;

use super::addresses::Reach;
use super::client_tls::ClientTls;
use super::dns::{Answer, Data, Dns, Kind};
use super::mx::host_name;
use super::policy::{StsMode, StsPolicy, TlsFault};
use fetch::FetchFault;
use store::{Kept, Store};

/// How MTA-STS policies are fetched and kept.
#[derive(Clone, Debug)]
pub struct StsOptions {
    /// Where they are kept, a file each, so that a restart does not open a door (RFC 8461 §10.1); in memory alone if
    /// nowhere.
    pub folder: Option<PathBuf>,
    /// Most policies that are kept. One takes a few hundred octets, and 16 KB if its owner is out to fill our memory.
    pub entries: usize,
    /// How long a fetch may take in all. RFC 8461 §3.3 suggests a minute, but mail waits for it.
    pub patience: Duration,
    /// How long to leave a server alone whose policy could not be had (RFC 8461 §3.3: five minutes or longer).
    pub again_after: Duration,
    /// The port of the policies' web servers: 443 but in tests.
    pub port: u16,
}

impl Default for StsOptions {
    fn default() -> Self {
        Self {
            folder: None,
            entries: 5_000,
            patience: Duration::from_secs(20),
            again_after: Duration::from_secs(600),
            port: 443,
        }
    }
}

/// Longest that a policy may hold: a year (RFC 8461 §3.2).
const LONGEST_AGE: u32 = 31_557_600;

/// Most patterns of a policy. Real ones have up to ten.
const MAX_PATTERNS: usize = 64;

/// Most domains whose fetches failed that are remembered.
const MAX_FAILURES: usize = 10_000;

/// Why a text is no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StsPolicyError {
    /// It does not say `version: STSv1`.
    #[error("the policy is of no known version")]
    Version,
    /// Its mode is missing, or none of the three.
    #[error("the policy has no mode")]
    Mode,
    /// It does not say for how long it holds.
    #[error("the policy has no max_age")]
    MaxAge,
    /// It names no host, too many, or such as cannot be one.
    #[error("the policy does not name hosts")]
    Mx,
    /// A line is no field.
    #[error("the policy has a line that is no field")]
    Line,
}

impl StsPolicy {
    /// Reads a policy as it is published (RFC 8461 §3.2).
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, StsPolicyError> {
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        // Here, other than in mail, a lone LF ends a line too: `sts-policy-term = LF / CRLF`.
        for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
            let line = line.trim_matches([' ', '\t']);
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_once(':').ok_or(StsPolicyError::Line)?;
            let value = value.trim_matches([' ', '\t']);
            match name {
                // Of what may stand once the first counts.
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" if mx.len() < MAX_PATTERNS => mx.push(pattern(value).ok_or(StsPolicyError::Mx)?),
                "mx" => return Err(StsPolicyError::Mx),
                // Extensions are for those who know them.
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(StsPolicyError::Version);
        }
        let mode = match mode {
            Some("enforce") => StsMode::Enforce,
            Some("testing") => StsMode::Testing,
            Some("none") => StsMode::None,
            Some(_) | None => return Err(StsPolicyError::Mode),
        };
        let digits = max_age.filter(|text| (1..=10).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit()));
        let max_age: u64 = digits.and_then(|text| text.parse().ok()).ok_or(StsPolicyError::MaxAge)?;
        if mx.is_empty() && mode != StsMode::None {
            return Err(StsPolicyError::Mx);
        }
        Ok(Self { mode, mx, max_age: u32::try_from(max_age).unwrap_or(LONGEST_AGE).min(LONGEST_AGE) })
    }

    /// Whether one of the patterns is `host`; a `*.` stands for exactly one label (RFC 8461 §4.1).
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(suffix) => parent == Some(suffix),
            None => pattern == host,
        })
    }

    /// The policy's lines, without what ends them.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mode = match self.mode {
            StsMode::Enforce => "enforce",
            StsMode::Testing => "testing",
            StsMode::None => "none",
        };
        let mut lines = vec!["version: STSv1".to_owned(), format!("mode: {mode}")];
        lines.extend(self.mx.iter().map(|pattern| format!("mx: {pattern}")));
        lines.push(format!("max_age: {}", self.max_age));
        lines
    }
}

fn pattern(text: &str) -> Option<String> {
    match text.strip_prefix("*.") {
        Some(suffix) => Some(format!("*.{}", host_name(suffix)?)),
        None => host_name(text),
    }
}

/// The id in a domain's TXT records, if there is exactly one that is of MTA-STS (RFC 8461 §3.1).
fn id_of(records: &[Data]) -> Option<String> {
    let texts = records.iter().filter_map(|record| match record {
        Data::Txt(text) => str::from_utf8(text).ok(),
        Data::Mx { .. } | Data::Address(_) | Data::Tlsa { .. } => None,
    });
    let of_sts = |text: &&str| {
        let version = text.split(';').next().unwrap_or_default();
        version.trim_end_matches([' ', '\t']) == "v=STSv1" && text.contains(';')
    };
    let mut policies = texts.filter(of_sts);
    let (Some(text), None) = (policies.next(), policies.next()) else { return None };
    let mut fields = text.split(';').skip(1).filter_map(|field| field.trim_matches([' ', '\t']).split_once('='));
    let (_, id) = fields.find(|(name, _)| *name == "id")?;
    let well_formed = (1..=32).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    well_formed.then(|| id.to_owned())
}

/// What holds for a domain now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holding {
    /// Its policy, unless that is to have none.
    pub(super) policy: Option<StsPolicy>,
    /// Why the newest could not be had.
    pub(super) fault: Option<TlsFault>,
}

/// The policies of all domains.
pub(super) struct Sts {
    options: StsOptions,
    dns: Arc<Dns>,
    reach: Reach,
    tls: ClientTls,
    state: Mutex<State>,
}

struct State {
    store: Store,
    failures: HashMap<String, Failure>,
    /// Fetches under way: whoever needs the same policy waits for the same fetch.
    pending: HashMap<String, Arc<OnceCell<Result<Kept, FetchFault>>>>,
}

struct Failure {
    id: String,
    at: Instant,
    fault: TlsFault,
}

impl Sts {
    /// Reads what is kept.
    pub(super) fn new(options: StsOptions, dns: Arc<Dns>, reach: Reach, tls: ClientTls) -> std::io::Result<Self> {
        let store = Store::open(options.folder.clone(), options.entries, SystemTime::now())?;
        let state = State { store, failures: HashMap::new(), pending: HashMap::new() };
        Ok(Self { options, dns, reach, tls, state: Mutex::new(state) })
    }

    /// What holds for a domain, in A-labels.
    pub(super) async fn holding(self: &Arc<Self>, domain: &str) -> Holding {
        let id = match self.dns.ask(&format!("_mta-sts.{domain}"), Kind::Txt).await {
            Ok(Answer::Found(found)) => id_of(&found.records),
            // RFC 8461 §3.1: whether there is no record or it cannot be had, what was once published holds on.
            Ok(Answer::NoData(_) | Answer::NoName(_)) | Err(_) => None,
        };
        let kept = self.state().store.valid(domain, SystemTime::now()).cloned();
        let Some(id) = id else { return holding(kept, None) };
        match kept {
            Some(kept) if kept.id == id => {
                self.refresh_if_old(domain, &id, &kept);
                holding(Some(kept), None)
            }
            kept => {
                if let Some(fault) = self.failed_lately(domain, &id) {
                    return holding(kept, Some(fault));
                }
                match self.fetch(domain, &id).await {
                    Ok(fresh) => holding(Some(fresh), None),
                    Err(fault) => holding(kept, Some(fault.into())),
                }
            }
        }
    }

    /// Past half of its time a policy is fetched again, so that those that are used never run out (RFC 8461 §3.3).
    fn refresh_if_old(self: &Arc<Self>, domain: &str, id: &str, kept: &Kept) {
        if !kept.is_old(SystemTime::now()) || self.failed_lately(domain, id).is_some() {
            return;
        }
        let (sts, domain, id) = (Arc::clone(self), domain.to_owned(), id.to_owned());
        tokio::spawn(async move {
            // Its outcome is remembered; here nobody waits for it.
            let _ = sts.fetch(&domain, &id).await;
        });
    }

    fn failed_lately(&self, domain: &str, id: &str) -> Option<TlsFault> {
        let state = self.state();
        let failure = state.failures.get(domain)?;
        (failure.id == id && failure.at.elapsed() < self.options.again_after).then_some(failure.fault)
    }

    async fn fetch(&self, domain: &str, id: &str) -> Result<Kept, FetchFault> {
        let cell = Arc::clone(self.state().pending.entry(domain.to_owned()).or_default());
        let fetched = cell.get_or_init(|| self.fetch_now(domain, id)).await.clone();
        let mut state = self.state();
        // The first to be here tidies up; a later fetch has another cell.
        if state.pending.get(domain).is_some_and(|pending| Arc::ptr_eq(pending, &cell)) {
            state.pending.remove(domain);
        }
        fetched
    }

    async fn fetch_now(&self, domain: &str, id: &str) -> Result<Kept, FetchFault> {
        let fetched = fetch::policy(&self.dns, &self.reach, &self.tls, &self.options, domain).await;
        match fetched {
            Ok(policy) => {
                let kept = Kept::new(id.to_owned(), policy, SystemTime::now());
                let write = {
                    let mut state = self.state();
                    state.failures.remove(domain);
                    state.store.keep(domain, kept.clone(), SystemTime::now())
                };
                // Written while the mail goes on. What cannot be written holds in memory.
                tokio::task::spawn_blocking(move || write.run());
                Ok(kept)
            }
            Err(fault) => {
                tracing::info!(domain, %fault, "no MTA-STS policy could be fetched");
                let mut state = self.state();
                if state.failures.len() >= MAX_FAILURES {
                    let again_after = self.options.again_after;
                    state.failures.retain(|_, failure| failure.at.elapsed() < again_after);
                    if state.failures.len() >= MAX_FAILURES {
                        state.failures.clear();
                    }
                }
                let failure = Failure { id: id.to_owned(), at: Instant::now(), fault: fault.into() };
                state.failures.insert(domain.to_owned(), failure);
                Err(fault)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn holding(kept: Option<Kept>, fault: Option<TlsFault>) -> Holding {
    let policy = kept.map(|kept| kept.policy).filter(|policy| policy.mode != StsMode::None);
    Holding { policy, fault }
}

#[cfg(test)]
mod tests;
