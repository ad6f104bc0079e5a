//! The places where the API can be reached, and who is there.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener, UnixSocket};

use super::{Refusal, Token, TokenError};
use crate::net::BoxedStream;
use crate::net::listen::{BindFault, make_way};

/// A place where the API is reached: a Unix socket for the user that the server runs as (and root), or a TCP address for
/// whoever has the token.
#[derive(Debug)]
pub struct AdminListener {
    door: Door,
}

#[derive(Debug)]
enum Door {
    Unix { listener: UnixListener, path: PathBuf },
    Tcp { listener: TcpListener, token: Arc<Token> },
}

/// Why a place was not opened; the words name the remedy.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process answers at the socket.
    #[error("another server answers at {0}; stop it, or choose another path for the admin socket")]
    Taken(PathBuf),
    /// Something that is no socket has its name.
    #[error("{0} is there already and is no socket; move it away, or choose another path for the admin socket")]
    NoSocket(PathBuf),
    /// The socket cannot be made.
    #[error(
        "cannot make the admin socket {0}: {1}; let this user write there, or choose another path of at most 107 octets"
    )]
    Socket(PathBuf, io::Error),
    /// The address cannot be taken.
    #[error("cannot listen on {0} for the admin API: {1}; choose another address")]
    Address(SocketAddr, io::Error),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Connections that the kernel completes before we take them.
const BACKLOG: u32 = 64;

impl AdminListener {
    /// Opens a Unix socket that only this user and root may use, whatever the rights of its folder. One that a dead server
    /// left behind is replaced. Must be called inside a runtime.
    ///
    /// # Errors
    /// As [`OpenError`] says.
    pub fn unix(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Socket(path.to_owned(), error);
        make_way(path).map_err(|fault| match fault {
            BindFault::Taken => OpenError::Taken(path.to_owned()),
            BindFault::NoSocket => OpenError::NoSocket(path.to_owned()),
            BindFault::System(error) => failed(error),
        })?;
        let socket = UnixSocket::new_stream().map_err(failed)?;
        socket.bind(path).map_err(failed)?;
        // Before it listens: nobody can connect in between.
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        Ok(Self { door: Door::Unix { listener, path: path.to_owned() } })
    }

    /// Takes a TCP address. Whoever connects must bring the token that stands in the file. It goes over the wire as it is:
    /// from elsewhere than this machine, connect through a tunnel.
    ///
    /// # Errors
    /// As [`OpenError`] says; without a token that suits, nothing listens.
    pub async fn tcp(address: SocketAddr, token_file: &Path) -> Result<Self, OpenError> {
        let token = Arc::new(Token::read(token_file)?);
        let listener = TcpListener::bind(address).await.map_err(|error| OpenError::Address(address, error))?;
        if !address.ip().is_loopback() {
            tracing::warn!(service = "admin", %address, "the token and all answers can be read on the way");
        }
        Ok(Self { door: Door::Tcp { listener, token } })
    }

    /// The address that was taken, with the port that was chosen for port 0; `None` for a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.door {
            Door::Unix { .. } => None,
            Door::Tcp { listener, .. } => listener.local_addr().ok(),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(BoxedStream, Visitor)> {
        match &self.door {
            Door::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let peer = stream.peer_cred()?;
                let who = Who::Local { uid: peer.uid(), pid: peer.pid() };
                Ok((Box::new(stream), Visitor { who, token: None }))
            }
            Door::Tcp { listener, token } => {
                let (stream, peer) = listener.accept().await?;
                let visitor = Visitor { who: Who::Token { peer }, token: Some(Arc::clone(token)) };
                Ok((Box::new(stream), visitor))
            }
        }
    }
}

impl Drop for AdminListener {
    fn drop(&mut self) {
        if let Door::Unix { path, .. } = &self.door {
            // Whoever looks finds that no server runs. Where it stays, the next one replaces it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Who asks, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// A process of this machine, as the kernel names it.
    Local { uid: u32, pid: Option<i32> },
    /// Someone with the token.
    Token { peer: SocketAddr },
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { uid, pid: Some(pid) } => write!(f, "uid {uid} (pid {pid})"),
            Self::Local { uid, pid: None } => write!(f, "uid {uid}"),
            Self::Token { peer } => write!(f, "token from {peer}"),
        }
    }
}

/// Someone who connected, and what they have to bring.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    who: Who,
    token: Option<Arc<Token>>,
}

impl Visitor {
    /// Lets a request in: a socket's mode has spoken already, and elsewhere the token must be right.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Who, Refusal> {
        let Some(token) = &self.token else { return Ok(self.who) };
        let refused = |error: &str| {
            tracing::warn!(service = "admin", who = %self.who, "{error}");
            let remedy = "send the field \"Authorization: Bearer TOKEN\", with the token of the server's token file";
            Refusal::new(StatusCode::UNAUTHORIZED, error, remedy)
        };
        match headers.get(header::AUTHORIZATION) {
            None => Err(refused("a token is needed here")),
            Some(field) if token.opens(field.as_bytes()) => Ok(self.who),
            Some(_) => Err(refused("the token is wrong")),
        }
    }
}
