//! The other end of the API: asks a server.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mailqueue::{Filter, MessageId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::shape::{Inspection, Messages, Rule, Rules, Sites, Status, Suspend, Tally, Wish};
use super::{Refusal, Token};
use crate::net::BoxedStream;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the whole answer may take: longer than the server lets itself.
const PATIENCE: Duration = Duration::from_secs(150);
/// The largest answer that is read, in octets: several times what a page can have.
const ANSWER: usize = 64 << 20;

/// Asks a server. Each question is a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Unix(PathBuf),
    Tcp { authority: String, token: Token },
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody is there.
    #[error("cannot connect to {0}: {1}")]
    Connect(String, io::Error),
    /// The URL does not name a host.
    #[error("the URL has to be like http://127.0.0.1:2081")]
    Url,
    /// The connection broke, or what is there does not speak HTTP.
    #[error("no answer: {0}")]
    Broken(String),
    /// It takes too long.
    #[error("no answer in {} seconds", PATIENCE.as_secs())]
    Silent,
    /// The answer is of another shape: it is no server of this kind, or one of another version.
    #[error("the answer is not understood: {0}")]
    Strange(String),
    /// The server says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Client {
    /// Asks by a Unix socket.
    #[must_use]
    pub fn unix(path: &Path) -> Self {
        Self { way: Way::Unix(path.to_owned()) }
    }

    /// Asks by TCP, at a URL with nothing behind the host.
    ///
    /// # Errors
    /// [`ClientError::Url`] where it is another URL.
    pub fn tcp(url: &str, token: Token) -> Result<Self, ClientError> {
        let url: Uri = url.parse().map_err(|_| ClientError::Url)?;
        let (Some("http"), Some(authority), "" | "/", None) =
            (url.scheme_str(), url.authority(), url.path(), url.query())
        else {
            return Err(ClientError::Url);
        };
        if authority.as_str().contains('@') {
            return Err(ClientError::Url);
        }
        let authority = match authority.port() {
            Some(_) => authority.to_string(),
            None => format!("{authority}:80"),
        };
        Ok(Self { way: Way::Tcp { authority, token } })
    }

    /// A page of the listing.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn messages(
        &self,
        filter: &Filter,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Messages, ClientError> {
        let mut path = format!("/v1/queue/messages?limit={limit}&filter={}", encoded(&filter.to_string()));
        if let Some(after) = after {
            path.push_str(&format!("&after={after}"));
        }
        self.ask(Method::GET, &path, NOTHING).await
    }

    /// One message.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn message(&self, id: MessageId) -> Result<Inspection, ClientError> {
        self.ask(Method::GET, &format!("/v1/queue/messages/{id}"), NOTHING).await
    }

    /// Does one page of work.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn work(&self, wish: &Wish) -> Result<Tally, ClientError> {
        self.ask(Method::POST, "/v1/queue/messages", Some(wish)).await
    }

    /// Makes a rule.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn suspend(&self, suspend: &Suspend) -> Result<Rule, ClientError> {
        self.ask(Method::POST, "/v1/queue/rules", Some(suspend)).await
    }

    /// Takes a rule back.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn resume(&self, rule: u64) -> Result<Rule, ClientError> {
        self.ask(Method::DELETE, &format!("/v1/queue/rules/{rule}"), NOTHING).await
    }

    /// All rules.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn rules(&self) -> Result<Rules, ClientError> {
        self.ask(Method::GET, "/v1/queue/rules", NOTHING).await
    }

    /// All sites.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn sites(&self) -> Result<Sites, ClientError> {
        self.ask(Method::GET, "/v1/queue/sites", NOTHING).await
    }

    /// How the queue as a whole stands.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Method::GET, "/v1/queue/status", NOTHING).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let body = body.map(serde_json::to_vec).transpose().map_err(|error| ClientError::Strange(error.to_string()))?;
        let request = self.request(method, path, body.unwrap_or_default())?;
        let stream = self.connect().await?;
        let (status, octets) =
            timeout(PATIENCE, exchange(stream, request)).await.map_err(|_| ClientError::Silent)??;
        let strange = |error: serde_json::Error| ClientError::Strange(error.to_string());
        if status.is_success() {
            return serde_json::from_slice(&octets).map_err(strange);
        }
        // What is not of the API's own making has no words: a head that is too large, or another server's page.
        let refusal: Refusal = serde_json::from_slice(&octets).map_err(|_| ClientError::Strange(status.to_string()))?;
        Err(Refusal { status, ..refusal }.into())
    }

    fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Request<Full<Bytes>>, ClientError> {
        let request = Request::builder().method(method).uri(path);
        let request = match &self.way {
            Way::Unix(_) => request.header(header::HOST, "localhost"),
            Way::Tcp { authority, token } => {
                request.header(header::HOST, authority).header(header::AUTHORIZATION, token.authorization().as_str())
            }
        };
        let request = if body.is_empty() { request } else { request.header(header::CONTENT_TYPE, "application/json") };
        request.body(Full::from(body)).map_err(|error| ClientError::Broken(error.to_string()))
    }

    async fn connect(&self) -> Result<BoxedStream, ClientError> {
        let (name, connected) = match &self.way {
            Way::Unix(path) => (
                path.display().to_string(),
                timeout(CONNECT, UnixStream::connect(path)).await.map(|stream| stream.map(boxed)),
            ),
            Way::Tcp { authority, .. } => (
                authority.clone(),
                timeout(CONNECT, TcpStream::connect(authority)).await.map(|stream| stream.map(boxed)),
            ),
        };
        connected
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| ClientError::Connect(name, error))
    }
}

const NOTHING: Option<&()> = None;

fn boxed(stream: impl crate::net::Stream + 'static) -> BoxedStream {
    Box::new(stream)
}

async fn exchange(stream: BoxedStream, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), ClientError> {
    let broken = |error: hyper::Error| ClientError::Broken(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let talk = async {
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let octets = Limited::new(body, ANSWER).collect().await;
        Ok((head.status, octets.map_err(|error| ClientError::Broken(error.to_string()))?.to_bytes()))
    };
    let mut connection = std::pin::pin!(connection);
    let mut talk = std::pin::pin!(talk);
    tokio::select! {
        said = &mut talk => return said,
        // It may end well before what it read was looked at.
        ended = connection.as_mut() => ended.map_err(broken)?,
    }
    talk.await
}

/// Percent-encodes all but what needs no encoding anywhere (RFC 3986 §2.3).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            encoded.push_str(&format!("%{octet:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_free_everywhere_is_not_encoded() {
        assert_eq!(encoded("text=\"a&b\" ü~"), "text%3D%22a%26b%22%20%C3%BC~");
    }

    #[test]
    fn a_url_names_a_host_and_no_more() {
        let client = |url: &str| Client::tcp(url, Token::new("abcdefghij0123456789").unwrap());
        for url in ["http://127.0.0.1:2081", "http://localhost", "http://[::1]:2081/"] {
            client(url).unwrap();
        }
        for url in ["", "https://a", "127.0.0.1:80", "http://a/b", "http://a?b", "http://user@a", "/v1"] {
            assert!(matches!(client(url), Err(ClientError::Url)), "{url}");
        }
    }
}
