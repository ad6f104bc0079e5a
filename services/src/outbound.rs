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
mod ledger;
mod line;
mod local;
mod measure;
mod mx;
mod policy;
mod pool;
mod reach;
mod relay;
mod reply;
mod resolve;
mod session;
mod sts;
mod target;
mod tls_report;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use mailqueue::{Batch, Clock, Outcome, Sleep, Transport, UnixMicros};
use mailstore::Store;
use smtp_proto::{ClientConfig, Domain, ParseError};
use tokio::time::{Instant, sleep_until};

use crate::convert;
use crate::net::tls;

pub use addresses::{Families, Loopback};
pub use client_tls::{ClientHandshake, ClientTls};
pub use courier::{Begins, CourierOptions, Couriers, Credentials, Exposure, Hop, Parcel, Route};
pub use dns::{DnsOptions, DnsSetupError, Dnssec};
pub use fate::{Fate, Fault, Onward, Word};
pub use hosts::HostMemory;
pub use measure::measure;
pub use policy::{Handshake, Policy, StsMode, StsPolicy, TlsFault};
pub use resolve::{HopSecurity, MxLookup, NextHop, Resolver, ResolverError, ResolverOptions};
pub use sts::{StsOptions, StsPolicyError};
pub use target::{Demands, Matching, NoWay, Security, Selector, Target, Targets, Tlsa, Usage};
pub use tls_report::{Reporter, TlsReport, TlsReportOptions, TlsReports};

/// The transport of a server that has mailboxes of its own, and at most one way to everybody else's.
#[derive(Debug)]
pub struct Outbound<S> {
    store: Arc<S>,
    client: Arc<ClientConfig>,
    tls: Arc<rustls::ClientConfig>,
}

impl<S: Store> Outbound<S> {
    /// Delivers into `store`, and presents itself to other servers as `host`.
    ///
    /// # Errors
    /// The host's name is no domain.
    pub fn new(store: Arc<S>, host: &str) -> Result<Self, ParseError> {
        let client = Arc::new(ClientConfig::new(Domain::parse(host)?.into_owned()));
        Ok(Self { store, client, tls: tls::opportunistic() })
    }
}

impl<S: Store> Transport for Outbound<S> {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        let (id, count) = (batch.id, batch.recipients.len());
        // Each in a task of its own: the queue polls all deliveries in one.
        let (transport, delivery) = match convert::way(&batch.destination) {
            Some(convert::Way::Store) => {
                let store = Arc::clone(&self.store);
                ("local", tokio::spawn(async move { local::deliver(&*store, &batch).await }))
            }
            Some(convert::Way::Relay { host_and_port }) => {
                let (client, tls) = (Arc::clone(&self.client), Arc::clone(&self.tls));
                let host_and_port = host_and_port.to_owned();
                ("relay", tokio::spawn(async move { relay::deliver(client, tls, &host_and_port, &batch).await }))
            }
            None => return vec![Outcome::Failed { reason: "no such destination".into() }; count],
        };
        // No answer counts as an interrupted attempt.
        let outcomes = delivery.await.unwrap_or_default();
        for outcome in &outcomes {
            let word = match outcome {
                Outcome::Delivered { .. } => "delivered",
                Outcome::Deferred { .. } => "deferred",
                Outcome::Failed { .. } => "failed",
            };
            match outcome {
                Outcome::Delivered { .. } => tracing::info!(%id, transport, "delivered"),
                Outcome::Deferred { reason, .. } | Outcome::Failed { reason } => {
                    tracing::warn!(%id, transport, outcome = word, reason = reason.text, "not delivered");
                }
            }
            metrics::counter!("posthaste_deliveries_total", "transport" => transport, "outcome" => word).increment(1);
        }
        outcomes
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
