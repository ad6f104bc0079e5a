//! A server's listeners: all taken before the first is served.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use services::admin::AdminListener;
use services::config::{Config, Listen};
use services::net::{ConnectionLimits, Drain, Endpoint, Listener, Pacing, Security, Service, serve};
use tokio::net::TcpListener;

use crate::Failure;

/// When TLS begins behind a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Never: whoever comes in is on this machine.
    Never,
    /// When the client asks for it.
    WhenAsked,
    /// Before the first octet of the protocol.
    AtOnce,
}

/// Opens listeners that share limits, a certificate and an end.
#[derive(Debug)]
pub struct Doors {
    tls: Arc<rustls::ServerConfig>,
    limits: Arc<ConnectionLimits>,
    pacing: Arc<Pacing>,
    drain: Drain,
    opened: Vec<(&'static str, Endpoint)>,
}

impl Doors {
    /// No door is open yet.
    #[must_use]
    pub fn new(tls: Arc<rustls::ServerConfig>, limits: Arc<ConnectionLimits>, drain: Drain) -> Self {
        Self { tls, limits, pacing: Arc::default(), drain, opened: Vec::new() }
    }

    /// Takes the place where the option `name` says, unless it says off.
    ///
    /// # Errors
    /// The place is taken, or not for us.
    pub fn open(&mut self, name: &'static str, listen: &Listen, tls: Tls) -> Result<Option<Listener>, Failure> {
        let Some(endpoint) = listen.endpoint() else { return Ok(None) };
        let security = match tls {
            Tls::Never => Security::Plain,
            Tls::WhenAsked => Security::StartTls(Arc::clone(&self.tls)),
            Tls::AtOnce => Security::Tls(Arc::clone(&self.tls)),
        };
        let listener = Listener::bind(endpoint, security, Arc::clone(&self.limits), Arc::clone(&self.pacing)).map_err(
            |error| {
                let kind = error.source().and_then(|source| source.downcast_ref()).map(io::Error::kind);
                Failure::with_remedy(error, remedy(name, kind))
            },
        )?;
        self.opened.push((name, listener.local_addr().map_or_else(|| endpoint.clone(), Endpoint::Tcp)));
        Ok(Some(listener))
    }

    /// Takes the place for health and metrics.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_http(&mut self, address: Option<SocketAddr>) -> Result<Option<TcpListener>, Failure> {
        let Some(address) = address else { return Ok(None) };
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let remedy = remedy("http", Some(error.kind()));
            Failure::new(format!("cannot listen on {address}: {error}; {remedy}"))
        })?;
        self.opened.push(("http", Endpoint::Tcp(listener.local_addr().unwrap_or(address))));
        Ok(Some(listener))
    }

    /// Takes the operator's place.
    ///
    /// # Errors
    /// As for [`open`](Self::open); without a token nobody listens on TCP.
    pub async fn open_admin(&mut self, config: &Config) -> Result<Option<AdminListener>, Failure> {
        let Some(endpoint) = config.admin.endpoint() else { return Ok(None) };
        let listener = match (endpoint, &config.admin_token) {
            (Endpoint::Unix(path), _) => AdminListener::unix(path)?,
            (Endpoint::Tcp(address), Some(token)) => AdminListener::tcp(*address, token).await?,
            (Endpoint::Tcp(_), None) => {
                let words = "admin: over TCP anybody could ask; give --admin-token FILE, or a PATH for a Unix socket";
                return Err(Failure::new(words));
            }
        };
        self.opened.push(("admin", listener.local_addr().map_or_else(|| endpoint.clone(), Endpoint::Tcp)));
        Ok(Some(listener))
    }

    /// Serves what was opened, until the server stops.
    pub fn serve<S: Service>(&self, listeners: impl IntoIterator<Item = Option<Listener>>, service: S) {
        let service = Arc::new(service);
        for listener in listeners.into_iter().flatten() {
            tokio::spawn(serve(listener, Arc::clone(&service), self.drain.clone()));
        }
    }

    /// What was opened, by the names of the options.
    #[must_use]
    pub fn opened(self) -> Vec<(&'static str, Endpoint)> {
        self.opened
    }
}

fn remedy(option: &str, kind: Option<io::ErrorKind>) -> String {
    let first = match kind {
        Some(io::ErrorKind::AddrInUse) => "stop the program that listens there",
        Some(io::ErrorKind::PermissionDenied) => "let this user listen there",
        Some(_) | None => "correct the place",
    };
    format!("{first}, or choose another with --{option} (or off)")
}
