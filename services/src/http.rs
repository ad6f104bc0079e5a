//! Health and metrics, for operators and their tools.
//!
//! [`serve`] answers two questions: `/healthz` (200 when the server is [`Stage::Ready`], else 503) and `/metrics`, in the
//! text format of Prometheus. What every number means stands in [`METRICS`].

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::net::Drain;

/// How far a server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not every listener is up.
    Starting,
    /// Every listener is up.
    Ready,
    /// It takes no more connections.
    Draining,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Ready => StatusCode::OK,
            Self::Starting | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The server's word on its [`Stage`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health(Arc<watch::Sender<Stage>>);

impl Health {
    /// A server that starts.
    #[must_use]
    pub fn starting() -> Self {
        Self(Arc::new(watch::Sender::new(Stage::Starting)))
    }

    /// Goes on to another stage.
    pub fn enter(&self, stage: Stage) {
        self.0.send_replace(stage);
    }

    /// The stage it is in.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.0.borrow()
    }
}

/// Where the process's numbers are kept until somebody asks.
pub struct Numbers {
    handle: PrometheusHandle,
    sample: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Numbers").finish_non_exhaustive()
    }
}

impl Numbers {
    /// Begins to count in this process. Numbers counted before are lost.
    ///
    /// # Errors
    /// Something else counts already.
    pub fn install() -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new().install_recorder()?;
        for metric in METRICS {
            metric.describe();
        }
        Ok(Self { handle, sample: Box::new(|| ()) })
    }

    /// Calls `sample` before each answer: it sets the gauges that cost something to know, as what waits in the queue.
    #[must_use]
    pub fn sampling(self, sample: impl Fn() + Send + Sync + 'static) -> Self {
        Self { handle: self.handle, sample: Box::new(sample) }
    }

    fn render(&self) -> String {
        (self.sample)();
        // Distributions are gathered in pieces, which this joins; without it they would grow unasked for ever.
        self.handle.run_upkeep();
        self.handle.render()
    }
}

/// Answers until `drain` stops it, which should be after all services: a server that drains says so here.
pub async fn serve(listener: TcpListener, health: Health, numbers: Arc<Numbers>, mut drain: Drain) {
    let upkeep = tokio::spawn({
        let numbers = Arc::clone(&numbers);
        async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                numbers.handle.run_upkeep();
            }
        }
    });
    let routes = Router::new()
        .route("/healthz", get(move || ready((health.stage().status(), health.stage().as_str()))))
        .route("/metrics", get(move || ready(page(&numbers))));
    let server = axum::serve(listener, routes).with_graceful_shutdown(async move { drain.stopping().await });
    if let Err(error) = server.await {
        tracing::error!(service = "http", %error, "health and metrics are not served any more");
    }
    upkeep.abort();
}

fn page(numbers: &Numbers) -> Response {
    // The version of the format is part of its type: https://prometheus.io/docs/instrumenting/exposition_formats/
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], numbers.render()).into_response()
}

/// How often the numbers are tidied when nobody asks for them.
const UPKEEP: Duration = Duration::from_secs(10);

/// One number that is kept.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in `/metrics`.
    pub name: &'static str,
    /// What it does over time.
    pub kind: Kind,
    /// What is counted or measured.
    pub unit: Unit,
    /// What it means, with its labels.
    pub help: &'static str,
}

/// What a number does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is many numbers, told by their sum, their count and some in between.
    Histogram,
}

impl Metric {
    const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, unit: Unit::Count, help }
    }

    const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, unit: Unit::Count, help }
    }

    const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, unit: Unit::Count, help }
    }

    fn describe(&self) {
        match self.kind {
            Kind::Counter => metrics::describe_counter!(self.name, self.unit, self.help),
            Kind::Gauge => metrics::describe_gauge!(self.name, self.unit, self.help),
            Kind::Histogram => metrics::describe_histogram!(self.name, self.unit, self.help),
        }
    }
}

/// All numbers that the services keep.
pub const METRICS: &[Metric] = &[
    Metric::gauge("posthaste_connections", "Sessions open now, by service."),
    Metric::counter("posthaste_connections_total", "Connections taken, by service."),
    Metric::counter("posthaste_connections_refused_total", "Connections turned away at a limit, by service."),
    Metric::counter("posthaste_tls_handshakes_failed_total", "TLS handshakes that failed, by service."),
    Metric::counter("posthaste_sessions_closed_total", "Sessions that ended, by service and why."),
    Metric::counter("posthaste_violations_total", "Faults of peers in the protocol, by service and violation."),
    Metric::counter("posthaste_logins_total", "Logins, by service and outcome."),
    Metric::counter(
        "posthaste_maildrops_refused_total",
        "POP3 maildrops that were not opened to their owner, by why: in_use, login_delay, unavailable.",
    ),
    Metric::counter("posthaste_messages_accepted_total", "Messages taken into custody, by service."),
    Metric::counter(
        "posthaste_messages_forwarded_total",
        "Messages of strangers that go on to others, by seal: made, or why there is none: no_key, too_large, no_memory, \
         late, header, dns, chain_failed, chain_full, fault.",
    ),
    Metric::counter(
        "posthaste_deliveries_total",
        "Attempts to deliver, one for each recipient, by transport and outcome.",
    ),
    Metric::counter(
        "posthaste_outbound_connections_total",
        "New connections to other servers, by tls: its version, none, failed.",
    ),
    Metric::counter("posthaste_outbound_connections_reused_total", "Messages given to a connection that was kept."),
    Metric::histogram(
        "posthaste_outbound_messages_per_connection",
        "Messages that one connection to another server took.",
    ),
    Metric::gauge("posthaste_queue_messages", "Messages in the queue, by state."),
    Metric::gauge(
        "posthaste_queue_suspects",
        "Messages that wait to be tried alone, after attempts without an outcome.",
    ),
    Metric::gauge("posthaste_queue_deliveries", "Attempts to deliver that are under way."),
    Metric::gauge("posthaste_queue_sites", "Sets of hosts that mail is for, by state."),
    Metric::counter("posthaste_queue_failed_total", "Recipients that were given up, by why."),
    Metric::counter("posthaste_queue_notifications_total", "Notifications to senders, by what they are about."),
    Metric::counter("posthaste_queue_held_total", "Messages that the queue held on its own, by why."),
    Metric::counter(
        "posthaste_spool_errors_total",
        "Times that the queue's spool did not take a fact and was asked again.",
    ),
];

#[cfg(test)]
mod tests;
