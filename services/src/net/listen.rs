//! Taking connections.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::time::{Instant, sleep, timeout};

use super::limits::Place;
use super::tls::Upgrade;
use super::{BoxedStream, Connection, ConnectionLimits, Drain, Handler, Pacing, drive};
use crate::engine::{Engine, Link, ShutDown};

/// Longest TLS handshake on a port that begins with one.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// Connections that the kernel completes before we take them.
const BACKLOG: u32 = 1024;

/// Makes an engine and a handler for each connection.
pub trait Service: Send + Sync + 'static {
    /// The protocol.
    type Engine: Engine;
    /// The application's side.
    type Handler: Handler<Self::Engine> + 'static;

    /// The operator's word for it, in logs and metrics: `smtp`, `submission`, `lmtp`, `imap`, `pop3`.
    fn name(&self) -> &'static str;

    /// A new connection. The engine's clock begins at zero.
    fn connect(&self, link: Link) -> (Self::Engine, Self::Handler);
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// When TLS begins.
#[derive(Clone, Debug)]
pub enum Security {
    /// Never.
    Plain,
    /// When the client asks for it.
    StartTls(Arc<rustls::ServerConfig>),
    /// Before the first octet of the protocol.
    Tls(Arc<rustls::ServerConfig>),
}

/// Why an address could not be taken; the words name it, and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {endpoint}: {source}")]
pub struct BindError {
    endpoint: Endpoint,
    source: BindFault,
}

/// What stands against it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindFault {
    /// Another process answers at the socket.
    #[error("another server is there; stop it, or choose another path")]
    Taken,
    /// Something that is no socket has its name.
    #[error("what is there is no socket; move it away, or choose another path")]
    NoSocket,
    /// What the system says.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// An open port.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    security: Security,
    limits: Arc<ConnectionLimits>,
    pacing: Arc<Pacing>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// Opens a port. Must be called inside a runtime.
    ///
    /// # Errors
    /// The address is taken or not ours, or its path cannot be made.
    pub fn bind(
        endpoint: &Endpoint,
        security: Security,
        limits: Arc<ConnectionLimits>,
        pacing: Arc<Pacing>,
    ) -> Result<Self, BindError> {
        let socket = match endpoint {
            Endpoint::Tcp(address) => bind_tcp(*address).map(Socket::Tcp).map_err(BindFault::System),
            Endpoint::Unix(path) => bind_unix(path).map(Socket::Unix),
        };
        match socket {
            Ok(socket) => Ok(Self { socket, security, limits, pacing }),
            Err(source) => Err(BindError { endpoint: endpoint.clone(), source }),
        }
    }

    /// The address that was taken, with the port that was chosen for port 0.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Socket::Tcp(socket) => socket.accept().await.map(|(stream, peer)| Accepted::Tcp(stream, peer)),
            Socket::Unix(socket) => socket.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn bind_unix(path: &Path) -> Result<UnixListener, BindFault> {
    make_way(path)?;
    Ok(UnixListener::bind(path)?)
}

/// Takes away the socket that a process which is gone has left at a path. Whatever else has that name is somebody's, and stays.
pub(crate) fn make_way(path: &Path) -> Result<(), BindFault> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !there.file_type().is_socket() {
        return Err(BindFault::NoSocket);
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        // It went meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Who cannot be asked, being another user's or very busy, may be there.
        Ok(_) | Err(_) => Err(BindFault::Taken),
    }
}

/// Takes connections and drives each in a task of its own, until the server stops.
pub async fn serve<S: Service>(listener: Listener, service: Arc<S>, mut drain: Drain) {
    let name = service.name();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.stopping() => return,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a connection that died in the queue: neither is a reason to stop.
                tracing::warn!(service = name, %error, "cannot take a connection");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        metrics::counter!("posthaste_connections_total", "service" => name).increment(1);
        let peer = match &accepted {
            Accepted::Tcp(_, peer) => Some(peer.ip()),
            Accepted::Unix(_) => None,
        };
        let Some(place) = listener.limits.enter(peer) else {
            metrics::counter!("posthaste_connections_refused_total", "service" => name).increment(1);
            if !matches!(listener.security, Security::Tls(_)) {
                turn_away(&accepted, service.as_ref());
            }
            continue;
        };
        let session = Session {
            security: listener.security.clone(),
            pacing: Arc::clone(&listener.pacing),
            service: Arc::clone(&service),
            drain: drain.clone(),
            _place: place,
        };
        tokio::spawn(session.run(accepted));
    }
}

/// Says why, if the socket takes it at once, and closes.
fn turn_away<S: Service>(accepted: &Accepted, service: &S) {
    let (mut engine, _handler) = service.connect(Link::default());
    let mut out = BytesMut::new();
    engine.shut_down(ShutDown::Overloaded, Duration::ZERO, &mut out);
    let _ = match accepted {
        Accepted::Tcp(stream, _) => stream.try_write(&out),
        Accepted::Unix(stream) => stream.try_write(&out),
    };
}

struct Session<S> {
    security: Security,
    pacing: Arc<Pacing>,
    service: Arc<S>,
    drain: Drain,
    _place: Place,
}

impl<S: Service> Session<S> {
    async fn run(self, accepted: Accepted) {
        let name = self.service.name();
        let (stream, mut link) = open(accepted);
        let (stream, upgrade) = match self.security {
            Security::Plain => (stream, Upgrade::None),
            Security::StartTls(config) => (stream, Upgrade::Server(config)),
            Security::Tls(config) => match timeout(HANDSHAKE, Upgrade::Server(config).handshake(stream)).await {
                Ok(Ok((stream, info))) => {
                    link.tls = Some(info);
                    (stream, Upgrade::None)
                }
                Ok(Err(_)) | Err(_) => {
                    metrics::counter!("posthaste_tls_handshakes_failed_total", "service" => name).increment(1);
                    return;
                }
            },
        };
        let open = metrics::gauge!("posthaste_connections", "service" => name);
        open.increment(1);
        let origin = Instant::now();
        let (engine, handler) = self.service.connect(link.clone());
        let conn = Connection::new(engine, stream, link, upgrade, self.pacing, origin);
        let (why, _) = drive(conn, handler, self.drain).await;
        open.decrement(1);
        metrics::counter!("posthaste_sessions_closed_total", "service" => name, "why" => why.as_str()).increment(1);
    }
}

fn open(accepted: Accepted) -> (BoxedStream, Link) {
    match accepted {
        Accepted::Tcp(stream, peer) => {
            // Replies are written whole; waiting for more of them would only add a round trip.
            let _ = stream.set_nodelay(true);
            let link = Link { peer: Some(peer), local: stream.local_addr().ok(), tls: None };
            (Box::new(stream), link)
        }
        Accepted::Unix(stream) => (Box::new(stream), Link::default()),
    }
}
