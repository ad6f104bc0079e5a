//! Messages to other servers over SMTP.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mailqueue::{Body, MessageId};
use smtp_proto::{ClientConfig, Envelope, Secret};
use tokio::time::Instant;

use super::attempt::Attempt;
use super::client_tls::ClientTls;
use super::fate::Fate;
use super::hosts::HostMemory;
use super::pool::Pool;
use super::reach::{Known, Ways};
use super::session::Keeping;
use super::target::Targets;
use super::tls_report::TlsReports;
use crate::net::Pacing;

/// Carries messages to other servers: finds one of a destination's hosts that answers, speaks with it, keeps the connection for
/// the next message, and remembers who does not answer.
///
/// What becomes of each recipient follows from where in the dialogue something goes wrong (RFC 5321 §4.2.1):
///
/// | what happens | what it means |
/// |---|---|
/// | no connection; a greeting or EHLO refused, by 4yz or 5yz; what is no SMTP | the next host; [`Fault::Connection`](super::Fault) where all do so, and a failure where all do so by 5yz |
/// | TLS that must be, and cannot be had | the next host; else deferred |
/// | TLS that may be, and fails | the same host again, in clear |
/// | 4yz to MAIL, RCPT, DATA or the message | deferred; no other host would know better |
/// | 5yz to those | failed |
/// | 421, or a connection lost, before the message is whole | the next host, for those of whom the server had not decided |
/// | a connection lost behind the message | deferred, and no other host: the server may have it |
/// | a kept connection that has ended | a new one to the same host, at once |
///
/// ```no_run
/// use services::outbound::{ClientTls, CourierOptions, Couriers, Demands, Fate, Hop, Parcel, Resolver, Route};
/// use smtp_proto::{ClientConfig, Domain};
///
/// # async fn example(resolver: Resolver, parcel: Parcel) -> Result<(), Box<dyn std::error::Error>> {
/// let client = ClientConfig::new(Domain::parse("mail.example.org")?.into_owned());
/// let couriers = Couriers::new(CourierOptions::new(client, ClientTls::system()));
///
/// let targets = resolver.targets("example.com", Demands::Any).await?;
/// let route = Route { first: Hop::to(targets), fallback: None };
/// for fate in couriers.deliver(&parcel, &route).await {
///     match fate {
///         Fate::Delivered { onward, .. } if !onward.dsn => {} // who asked for a report of success gets it from us
///         Fate::Delivered { .. } => {}
///         Fate::Deferred { word, retry_after, .. } => println!("{}; again in {retry_after:?}", word.text),
///         Fate::Failed { word } => println!("{} {}", word.status, word.text),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Couriers {
    shared: Shared,
}

/// What all attempts share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ways: Ways,
    pub(super) pool: Arc<Pool>,
    pub(super) keeping: Arc<Keeping>,
    pub(super) tls: ClientTls,
    pub(super) reports: Option<Arc<TlsReports>>,
    /// See [`CourierOptions::patience`].
    pub(super) patience: Duration,
    /// See [`CourierOptions::sessions`].
    pub(super) sessions: u32,
}

/// How messages are carried.
#[derive(Clone, Debug)]
pub struct CourierOptions {
    /// How we present ourselves, and how long servers may take. The name should be that of the source addresses in DNS.
    pub client: ClientConfig,
    /// Whom we trust to say who a server is.
    pub tls: ClientTls,
    /// Who counts how TLS went, for the domains that want to be told.
    pub reports: Option<Arc<TlsReports>>,
    /// Our own addresses to send from, for each family in turn by destination: always the same for the same hosts, since those
    /// that greylist remember it. A family without any is the system's to choose.
    pub sources: Vec<IpAddr>,
    /// Longest wait for a connection to one address. RFC 5321 §4.5.3.2 names none; a host that takes longer is not there.
    pub connect: Duration,
    /// How long an address is waited for alone before the next one is tried beside it. RFC 8305 §8 allows two seconds at most;
    /// nobody waits before a screen here, so that servers are spared needless connections.
    pub stagger: Duration,
    /// The time of an attempt after which no further host is begun with, so that a domain all of whose hosts are slow holds
    /// nobody for long. A message that is under way then has its time by RFC 5321 §4.5.3.2.
    pub patience: Duration,
    /// Connections of one attempt that bring no recipient further. RFC 5321 §5.1 asks for two at least.
    pub sessions: u32,
    /// How long a connection waits for another message. Short: it takes a place at the server.
    pub idle: Duration,
    /// Connections that wait, in all; zero: none does.
    pub idle_connections: usize,
    /// Messages on one connection.
    pub messages: u32,
    /// The age of a connection at which it takes no further message: so that load moves to hosts that are new in DNS.
    pub age: Duration,
    /// What is remembered of hosts that do not answer.
    pub memory: HostMemory,
    /// How output is paced.
    pub pacing: Pacing,
    /// Where jitter begins: by default another number each time.
    pub seed: u64,
}

impl CourierOptions {
    /// The defaults of a client that presents itself so.
    #[must_use]
    pub fn new(client: ClientConfig, tls: ClientTls) -> Self {
        Self {
            client,
            tls,
            reports: None,
            sources: Vec::new(),
            connect: Duration::from_secs(30),
            stagger: Duration::from_secs(2),
            patience: Duration::from_secs(5 * 60),
            sessions: 5,
            idle: Duration::from_secs(10),
            idle_connections: 200,
            messages: 100,
            age: Duration::from_secs(5 * 60),
            memory: HostMemory::default(),
            // RFC 5321 §4.5.3.2.5: the server has three minutes for each piece of the message.
            pacing: Pacing { stall: Duration::from_secs(3 * 60), ..Pacing::default() },
            seed: RandomState::new().hash_one(0_u8),
        }
    }
}

/// One message to hosts that serve all of its recipients.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Its name in the log.
    pub id: MessageId,
    /// Who sends it, and to whom. What of it a server does not offer is left out where it may be, see [`Envelope`].
    pub envelope: Envelope,
    /// Its octets.
    pub body: Body,
}

/// The ways to a destination.
#[derive(Clone, Debug)]
pub struct Route {
    /// Who is asked first.
    pub first: Hop,
    /// Who is asked for recipients of whom none of those hosts would hear.
    pub fallback: Option<Hop>,
}

/// Hosts that do equally well, and how they are spoken with.
#[derive(Clone, Debug)]
pub struct Hop {
    /// The hosts, best first.
    pub targets: Targets,
    /// When TLS begins.
    pub begins: Begins,
    /// Who logs in there.
    pub login: Option<Credentials>,
}

impl Hop {
    /// Hosts that take mail from anybody, as those of other domains do.
    #[must_use]
    pub const fn to(targets: Targets) -> Self {
        Self { targets, begins: Begins::InClear, login: None }
    }
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Begins {
    /// By STARTTLS, if at all (RFC 3207).
    #[default]
    InClear,
    /// Before the first octet of SMTP (RFC 8314 §3.3): `submissions`, port 465.
    UnderTls,
}

/// Who logs in at a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// Whether the password may cross the network as it is, where the relay is configured to be spoken with in clear.
    pub exposure: Exposure,
}

/// Whether a password may be seen on the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposure {
    /// Only under TLS.
    #[default]
    UnderTls,
    /// As it is: for tests and networks that are trusted.
    InClear,
}

impl Couriers {
    /// Couriers that carry as the options say. No host is known to them.
    #[must_use]
    pub fn new(options: CourierOptions) -> Self {
        let CourierOptions { client, tls, reports, sources, connect, stagger, patience, sessions, .. } = options;
        let keeping = Keeping {
            idle: options.idle,
            messages: options.messages,
            age: options.age,
            pacing: Arc::new(options.pacing),
            client: Arc::new(client),
        };
        let ways = Ways { connect, stagger, sources, known: Known::new(options.memory, options.seed) };
        let pool = Arc::new(Pool::new(options.idle_connections));
        Self { shared: Shared { ways, pool, keeping: Arc::new(keeping), tls, reports, patience, sessions } }
    }

    /// Tries once to deliver a message, and says what became of each of the envelope's recipients, in its order.
    ///
    /// Who drops the future learns nothing; what is under way goes on to its end.
    pub async fn deliver(&self, parcel: &Parcel, route: &Route) -> Vec<Fate> {
        Attempt::new(&self.shared, parcel, Instant::now()).run(route).await
    }

    /// Connections that wait for another message.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.pool.len()
    }

    /// Says goodbye on all connections that wait, and keeps none from here on. Messages that are under way go on.
    pub fn close(&self) {
        self.shared.pool.close();
    }
}

impl Drop for Couriers {
    fn drop(&mut self) {
        self.close();
    }
}
