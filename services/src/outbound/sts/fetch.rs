//! A policy from a domain's web server (RFC 8461 §3.3).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{StsOptions, StsPolicyError};
use crate::outbound::addresses::{Addresses, Reach};
use crate::outbound::client_tls::ClientTls;
use crate::outbound::dns::Dns;
use crate::outbound::policy::{StsPolicy, TlsFault};

/// Longest policy that is read (RFC 8461 §3.3 suggests 64 kilobytes).
const LONGEST: usize = 64 * 1024;

/// Most octets of an answer's head. hyper takes no less.
const LONGEST_HEAD: usize = 16 * 1024;

/// Most addresses of the web server that are tried.
const MAX_ADDRESSES: usize = 3;

/// Longest wait for one address.
const CONNECT: Duration = Duration::from_secs(5);

/// Why there is no policy to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchFault {
    #[error("the policy's host has no address that can be used")]
    NoAddress,
    #[error("the policy's host cannot be reached")]
    Unreachable,
    #[error("the certificate of the policy's host is not valid")]
    Certificate,
    #[error("the policy's host does not speak TLS or HTTP")]
    Protocol,
    #[error("the policy's host has no policy")]
    Status,
    #[error("the policy is not said to be text/plain")]
    MediaType,
    #[error("the policy is too long")]
    TooLong,
    #[error("the policy took too long")]
    Timeout,
    #[error(transparent)]
    Policy(#[from] StsPolicyError),
}

impl From<FetchFault> for TlsFault {
    fn from(fault: FetchFault) -> Self {
        match fault {
            FetchFault::Certificate => Self::StsWebpkiInvalid,
            FetchFault::Policy(_) | FetchFault::TooLong | FetchFault::MediaType => Self::StsPolicyInvalid,
            FetchFault::NoAddress
            | FetchFault::Unreachable
            | FetchFault::Protocol
            | FetchFault::Status
            | FetchFault::Timeout => Self::StsPolicyFetchError,
        }
    }
}

/// Fetches the policy of a domain.
pub(super) async fn policy(
    dns: &Dns,
    reach: &Reach,
    tls: &ClientTls,
    options: &StsOptions,
    domain: &str,
) -> Result<StsPolicy, FetchFault> {
    let host = format!("mta-sts.{domain}");
    let text = timeout(options.patience, text(dns, reach, tls, &host, options.port)).await;
    let text = text.map_err(|_| FetchFault::Timeout)??;
    let text = str::from_utf8(&text).map_err(|_| StsPolicyError::Line)?;
    Ok(StsPolicy::parse(text)?)
}

async fn text(dns: &Dns, reach: &Reach, tls: &ClientTls, host: &str, port: u16) -> Result<Bytes, FetchFault> {
    let Addresses::Found(found) = reach.addresses(dns, host).await else { return Err(FetchFault::NoAddress) };
    let stream = connect(&found.addresses, port).await?;
    let stream = secure(stream, tls, host).await?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(LONGEST_HEAD);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|_| FetchFault::Protocol)?;
    let driven = tokio::spawn(connection);
    let answer = ask(&mut sender, host).await;
    driven.abort();
    answer
}

async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, FetchFault> {
    for address in addresses.iter().take(MAX_ADDRESSES) {
        if let Ok(Ok(stream)) = timeout(CONNECT, TcpStream::connect(SocketAddr::new(*address, port))).await {
            return Ok(stream);
        }
    }
    Err(FetchFault::Unreachable)
}

async fn secure(stream: TcpStream, tls: &ClientTls, host: &str) -> Result<TlsStream<TcpStream>, FetchFault> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchFault::NoAddress)?;
    let mut config = rustls::ClientConfig::clone(tls.verified());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    connected.map_err(|error: io::Error| {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(_)) => FetchFault::Certificate,
            Some(_) | None => FetchFault::Protocol,
        }
    })
}

async fn ask(sender: &mut http1::SendRequest<Empty<Bytes>>, host: &str) -> Result<Bytes, FetchFault> {
    let request = Request::get("/.well-known/mta-sts.txt")
        .header(HOST, host)
        .header(USER_AGENT, "posthaste")
        .header(ACCEPT, "text/plain")
        .body(Empty::new())
        .map_err(|_| FetchFault::Protocol)?;
    let response = sender.send_request(request).await.map_err(|_| FetchFault::Protocol)?;
    // RFC 8461 §3.3: redirects are not followed, and nothing but 200 is a policy.
    if response.status() != StatusCode::OK {
        return Err(FetchFault::Status);
    }
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("text/plain") {
        return Err(FetchFault::MediaType);
    }
    match Limited::new(response.into_body(), LONGEST).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchFault::TooLong),
        Err(_) => Err(FetchFault::Protocol),
    }
}
