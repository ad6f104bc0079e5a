//! Mail out of the queue: into the mailboxes of a store here, or to another server.

mod addresses;
mod attempt;
mod client_tls;
mod courier;
mod dane;
mod dns;
mod fate;
mod handshake;
mod hosts;
mod journal;
mod ledger;
mod line;
mod local;
mod mx;
mod policy;
mod pool;
mod reach;
mod relays;
mod reply;
mod resolve;
mod session;
mod sts;
mod target;
mod tls_report;
mod ways;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use mailqueue::{Batch, Clock, Destination, Outcome, Recipient, Sleep, Transport, UnixMicros};
use mailstore::Store;
use tokio::time::{Instant, sleep_until};

use crate::convert::{self, Place};
use crate::routes::{Routing, Sender};

use ways::Ways;

pub use addresses::{Families, Loopback};
pub use client_tls::{ClientHandshake, ClientTls};
pub use courier::{Begins, CourierOptions, Couriers, Credentials, Exposure, Hop, Parcel, Route};
pub(crate) use dns::servers as name_servers;
pub use dns::{DnsOptions, DnsSetupError, Dnssec};
pub use fate::{Fate, Fault, Onward, Word};
pub use hosts::HostMemory;
pub use journal::{Journal, measure};
pub use policy::{Handshake, Policy, StsMode, StsPolicy, TlsFault};
pub use relays::{Logins, LoginsError, Relays};
pub use resolve::{HopSecurity, MxLookup, NextHop, NoHopSecurity, Resolver, ResolverError, ResolverOptions};
pub use sts::{StsOptions, StsPolicyError};
pub use target::{Demands, Matching, NoWay, Security, Selector, Target, Targets, Tlsa, Usage};
pub use tls_report::{Reporter, TlsReport, TlsReportOptions, TlsReports};

/// The transport of a server that has mailboxes of its own, and sends to others.
#[derive(Debug)]
pub struct Outbound<S> {
    store: Arc<S>,
    ways: Arc<Ways>,
}

impl<S: Store> Outbound<S> {
    /// Delivers into `store` what the routes say is here, and lets `couriers` carry the rest to the hosts that `routing` and
    /// `resolver` name.
    #[must_use]
    pub fn new(
        store: Arc<S>,
        routing: Arc<Routing>,
        resolver: Arc<Resolver>,
        couriers: Couriers,
        relays: Relays,
    ) -> Self {
        Self { store, ways: Arc::new(Ways { routing, resolver, couriers, relays }) }
    }
}

impl<S: Store> Transport for Outbound<S> {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        // In a task of its own: the queue polls all deliveries in one.
        let (store, ways) = (Arc::clone(&self.store), Arc::clone(&self.ways));
        let delivery = tokio::spawn(async move {
            match convert::place(&batch.destination) {
                Some(Place::Store) => local::deliver(&*store, &batch).await,
                Some(place @ (Place::Relay(_) | Place::Domain(_))) => ways.carry(&batch, place).await,
                None => vec![convert::closed(); batch.recipients.len()],
            }
        });
        // No answer counts as an interrupted attempt.
        delivery.await.unwrap_or_default()
    }

    async fn site(&self, destination: &Destination) -> Arc<str> {
        let site = match convert::place(destination) {
            Some(place) => self.ways.site(place).await,
            None => None,
        };
        site.unwrap_or_else(|| Arc::from(destination.key()))
    }

    async fn way_back(&self, sender: &str) -> Option<Recipient> {
        let hops = self.ways.routing.admit(sender, Sender::User).ok()?;
        hops.into_iter().next().map(convert::way_back)
    }
}

/// Time from tokio's timers, for a queue.
#[derive(Debug)]
pub struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// A clock that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn wall(&self) -> UnixMicros {
        UnixMicros::now()
    }

    fn sleep_until(&self, at: Duration) -> Sleep {
        Box::pin(sleep_until(self.origin + at))
    }
}
