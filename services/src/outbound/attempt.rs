//! One attempt to deliver a message: hop by hop, host by host, address by address, until each recipient has its fate.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use smtp_proto::{Envelope, Login, Policy, Reuse, TlsPolicy, Trouble};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::client_tls::ClientHandshake;
use super::courier::{Exposure, Hop, Parcel, Route, Shared};
use super::fate::{Fate, Place};
use super::ledger::{Ledger, Next};
use super::policy::Handshake;
use super::pool::Key;
use super::session::{self, Heard, Job, Opening, Security as Secured};
use super::target::{Security, Target};
use super::witness::witnessed;
use crate::engine::TlsInfo;

/// An attempt.
pub(super) struct Attempt<'a> {
    shared: &'a Shared,
    parcel: &'a Parcel,
    began: Instant,
    ledger: Ledger,
    /// Connections that may still come to nothing.
    sessions: u32,
}

/// A host that is being asked.
struct Visit<'a> {
    hop: &'a Hop,
    target: &'a Target,
    /// Addresses that were not asked yet.
    left: VecDeque<SocketAddr>,
    /// Whether a connection that was kept will do.
    lines: Lines,
    /// Whether TLS is still tried, where it is optional.
    optional_tls: OptionalTls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    KeptOrNew,
    New,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OptionalTls {
    Tried,
    GivenUp,
}

/// A dialogue that is over.
struct Talk {
    key: Key,
    /// How the connection was made; `None`: it was kept.
    made: Option<Made>,
    /// The recipients that it was about.
    sent: Vec<usize>,
    /// `None`: its task has ended without a word.
    heard: Option<Heard>,
}

impl Talk {
    /// The TLS that it went under.
    fn tls(&self) -> Option<&TlsInfo> {
        match &self.heard.as_ref()?.tls {
            Secured::Tls(info) => Some(info),
            Secured::Clear | Secured::Failed(_) => None,
        }
    }
}

/// How a connection was made.
struct Made {
    local: Option<IpAddr>,
    policy: TlsPolicy,
    keys: Option<ClientHandshake>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(shared: &'a Shared, parcel: &'a Parcel, began: Instant) -> Self {
        let ledger = Ledger::new(parcel.envelope.recipients.len());
        Self { shared, parcel, began, ledger, sessions: shared.sessions }
    }

    pub(super) async fn run(mut self, route: &Route) -> Vec<Fate> {
        let mut next = self.ask(&route.first).await;
        if let (Next::OtherHost, Some(fallback)) = (next, &route.fallback) {
            self.ledger.settle_heard();
            next = self.ask(fallback).await;
        }
        let _ = next;
        self.ledger.close()
    }

    async fn ask(&mut self, hop: &Hop) -> Next {
        for target in &hop.targets.hosts {
            match self.visit(hop, target).await {
                Next::OtherHost | Next::SameHost => {}
                next @ (Next::Nothing | Next::Stop) => return next,
            }
        }
        Next::OtherHost
    }

    /// Asks one host, at all of its addresses if need be.
    async fn visit(&mut self, hop: &Hop, target: &Target) -> Next {
        let left = target.addresses.iter().map(|address| SocketAddr::new(*address, target.port)).collect();
        let mut visit = Visit { hop, target, left, lines: Lines::KeptOrNew, optional_tls: OptionalTls::Tried };
        if let Some(reason) = visit.forbids() {
            self.ledger.unasked(&visit.place().found("4.7.0", reason.to_owned()));
            return Next::OtherHost;
        }
        loop {
            if self.ledger.is_settled() {
                return Next::Nothing;
            }
            let talk = match self.talk_on_kept(&visit).await {
                Some(talk) => talk,
                None => match self.talk_on_new(&mut visit).await {
                    Some(talk) => talk,
                    None => return Next::OtherHost,
                },
            };
            self.log(&talk);
            self.bear_witness(&visit, &talk);
            let address = talk.key.address;
            visit.left.retain(|other| *other != address);
            match self.judge(&mut visit, talk) {
                Next::SameHost => visit.left.push_front(address),
                Next::OtherHost => self.sessions = self.sessions.saturating_sub(1),
                next @ (Next::Nothing | Next::Stop) => return next,
            }
        }
    }

    /// Gives the message to a connection that waits for one.
    async fn talk_on_kept(&self, visit: &Visit<'_>) -> Option<Talk> {
        if visit.lines == Lines::New {
            return None;
        }
        let sent = self.ledger.open();
        let (mut job, heard) = self.job(&sent);
        for address in &visit.left {
            let key = self.key(visit, *address);
            match self.shared.pool.call(&key, job) {
                Ok(()) => {
                    metrics::counter!("posthaste_outbound_connections_reused_total").increment(1);
                    return Some(Talk { key, made: None, sent, heard: heard.await.ok() });
                }
                Err(back) => job = back,
            }
        }
        None
    }

    /// Connects, and gives the message to the new connection.
    async fn talk_on_new(&mut self, visit: &mut Visit<'_>) -> Option<Talk> {
        let until = self.began + self.shared.patience;
        if self.sessions == 0 || Instant::now() >= until {
            let word = visit.place().found("4.4.1", "not asked: the attempt has taken long enough".to_owned());
            self.ledger.unasked(&word);
            return None;
        }
        let (host, site) = (&visit.target.host, &visit.hop.targets.site);
        let ledger = &mut self.ledger;
        let demand = visit.target.demand();
        let missed = |word| ledger.unasked(&word);
        let reached = self.shared.ways.reach(host, site, demand, &mut visit.left, until, missed).await?;
        let address = reached.asked.address();
        if self.shared.ways.known.is_without_tls(address) {
            visit.optional_tls = OptionalTls::GivenUp;
        }
        let keys = self.shared.tls.handshake(visit.target, &visit.hop.targets.policy);
        let (key, sent) = (self.key(visit, address), self.ledger.open());
        let (job, heard) = self.job(&sent);
        let policy = visit.policy(keys.as_ref());
        let local = reached.link.local.map(|local| local.ip());
        let made = Some(Made { local, policy: policy.tls, keys: keys.clone() });
        let opening = Opening {
            reached,
            key: key.clone(),
            policy,
            keys,
            job,
            pool: Arc::clone(&self.shared.pool),
            keeping: Arc::clone(&self.shared.keeping),
        };
        tokio::spawn(session::run(opening));
        Some(Talk { key, made, sent, heard: heard.await.ok() })
    }

    /// What a dialogue means for the recipients, and for what comes next.
    fn judge(&mut self, visit: &mut Visit<'_>, talk: Talk) -> Next {
        let tls = talk.tls().map(|info| info.version.clone());
        let Talk { key, made, sent, heard } = talk;
        let is_kept = made.is_none();
        let place = Place { tls, ..Place::at(visit.target.host.clone(), key.address) };
        let Some(Heard { report, cut, tls }) = heard else {
            self.ledger.broken_off(&sent, &place);
            return Next::Stop;
        };
        let Some(report) = report else {
            return match tls {
                // It had left, and nothing was said.
                Secured::Clear | Secured::Tls(_) | Secured::Failed(_) if is_kept => visit.again(),
                Secured::Failed(failed) => {
                    self.ledger.unasked(&place.found("4.7.5", format!("TLS handshake failed: {failed}")));
                    Next::OtherHost
                }
                Secured::Clear | Secured::Tls(_) => {
                    self.ledger.broken_off(&sent, &place);
                    Next::Stop
                }
            };
        };
        // RFC 7435 §3: opportunistic security falls back to none where it cannot be had. Nothing of the message was sent.
        if report.trouble == Some(Trouble::Tls) && visit.may_give_up_tls() {
            self.shared.ways.known.tls_failed(key.address);
            visit.optional_tls = OptionalTls::GivenUp;
            return Next::SameHost;
        }
        if is_kept && report.trouble == Some(Trouble::Stale) {
            return visit.again();
        }
        // What has ended a kept connection, or fills it up, says nothing against the host.
        let was_spent = is_kept && matches!(report.trouble, Some(Trouble::Lost(_) | Trouble::Limits));
        match self.ledger.heard(&sent, &place, &report, cut.as_ref()) {
            Next::Nothing => Next::Nothing,
            Next::OtherHost | Next::Stop | Next::SameHost if was_spent => visit.again(),
            Next::SameHost => visit.again(),
            next @ (Next::OtherHost | Next::Stop) => next,
        }
    }

    fn job(&self, sent: &[usize]) -> (Box<Job>, oneshot::Receiver<Heard>) {
        let all = &self.parcel.envelope;
        let recipients = sent.iter().filter_map(|index| all.recipients.get(*index)).cloned().collect();
        let (told, heard) = oneshot::channel();
        let envelope = Envelope { mail: all.mail.clone(), recipients };
        (Box::new(Job { envelope, body: self.parcel.body.clone(), told }), heard)
    }

    fn key(&self, visit: &Visit<'_>, address: SocketAddr) -> Key {
        let targets = &visit.hop.targets;
        Key {
            host: visit.target.host.clone(),
            address,
            security: visit.target.security.clone(),
            begins: visit.hop.begins,
            demands: targets.demands,
            source: self.shared.ways.source(&targets.site, address.ip()),
            user: visit.hop.login.as_ref().map(|login| login.user.clone()),
        }
    }

    /// Tells the reports about TLS how it went. A connection that is used again is no new handshake.
    fn bear_witness(&self, visit: &Visit<'_>, talk: &Talk) {
        let (Some(reports), Some(made), Some(heard)) = (&self.shared.reports, &talk.made, &talk.heard) else { return };
        let let_pass = made.keys.as_ref().and_then(ClientHandshake::let_pass);
        let Some(result) = witnessed(made.policy, &heard.tls, let_pass, heard.report.as_deref()) else { return };
        let handshake = Handshake { local: made.local, peer: Some(talk.key.address.ip()), result };
        reports.record(&visit.hop.targets.policy, visit.target, handshake);
    }

    /// One line for each dialogue: who was asked, how safely, and what he said. What became of each recipient is told elsewhere.
    fn log(&self, talk: &Talk) {
        let Talk { key, made, heard, .. } = talk;
        let report = heard.as_ref().and_then(|heard| heard.report.as_deref());
        let tls = match heard.as_ref().map(|heard| &heard.tls) {
            Some(Secured::Tls(info)) => info.version.as_str(),
            Some(Secured::Failed(_)) => "failed",
            Some(Secured::Clear) | None => "none",
        };
        if made.is_some() {
            metrics::counter!("posthaste_outbound_connections_total", "tls" => tls.to_owned()).increment(1);
        }
        let said = report.and_then(|report| report.outcomes.first()).map(|outcome| outcome.said());
        tracing::debug!(
            id = %self.parcel.id,
            host = key.host,
            address = %key.address,
            tls,
            connection = if made.is_some() { "new" } else { "kept" },
            recipients = talk.sent.len(),
            code = said.map(|said| tracing::field::display(said.reply.code())),
            stage = said.map(|said| said.stage.as_str()),
            delay_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "asked a server"
        );
    }
}

impl Visit<'_> {
    /// The host, where no address of it was spoken with.
    fn place(&self) -> Place {
        Place { host: self.target.host.clone(), address: None, tls: None }
    }

    /// The same host once more, in a connection of its own.
    const fn again(&mut self) -> Next {
        self.lines = Lines::New;
        Next::SameHost
    }

    /// Why this host may not be asked so.
    fn forbids(&self) -> Option<&'static str> {
        let login = self.hop.login.as_ref()?;
        let in_clear = self.target.security == Security::Clear;
        (in_clear && login.exposure == Exposure::UnderTls).then_some("a password is not sent without TLS")
    }

    /// Whether the message may go in clear where TLS fails.
    fn may_give_up_tls(&self) -> bool {
        self.target.security == Security::Opportunistic
            && self.hop.login.is_none()
            && self.optional_tls == OptionalTls::Tried
    }

    fn policy(&self, keys: Option<&ClientHandshake>) -> Policy {
        let may_be_clear = self.hop.login.is_none() && (self.optional_tls == OptionalTls::GivenUp || keys.is_none());
        let tls = match &self.target.security {
            Security::Clear => TlsPolicy::Never,
            Security::Opportunistic if may_be_clear => TlsPolicy::Never,
            Security::Opportunistic => TlsPolicy::Opportunistic,
            Security::Encrypted | Security::Verified { .. } | Security::Dane { .. } => TlsPolicy::Required,
        };
        let login = self.hop.login.as_ref().map(|credentials| Login::Password {
            user: credentials.user.clone(),
            password: credentials.password.clone(),
        });
        Policy { tls, login, reuse: Reuse::Ask, ..Policy::default() }
    }
}
