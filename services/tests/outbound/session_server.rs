//! Servers that do as they are told, and remember what they heard.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use services::net::BoxedStream;
use services::net::tls::{Upgrade, ensure_self_signed, server_config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// How a server treats a connection.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Keywords in the reply to EHLO.
    pub(crate) offers: Vec<&'static str>,
    /// What it does when a line begins so, instead of what a server does that takes everything. `CONNECT` is the connection
    /// itself, `.` the end of the message, `BODY` its first octets.
    pub(crate) acts: Vec<(&'static str, Act)>,
    /// Whether TLS begins with the connection.
    pub(crate) under_tls: bool,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Say(&'static str),
    /// The first time in a connection only.
    Once(&'static str),
    SayAndClose(&'static str),
    Close,
    Reset,
    Silence,
}

impl Default for Manner {
    fn default() -> Self {
        let offers = vec!["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN"];
        Self { offers, acts: Vec::new(), under_tls: false, tls: None }
    }
}

impl Manner {
    pub(crate) fn that(acts: &[(&'static str, Act)]) -> Self {
        Self { acts: acts.to_vec(), ..Self::default() }
    }

    pub(crate) fn and_offers(mut self, offers: &[&'static str]) -> Self {
        self.offers.extend(offers);
        self
    }

    pub(crate) fn and_tls(mut self, certificate: &Certificate) -> Self {
        self.offers.push("STARTTLS");
        self.tls = Some(Arc::clone(&certificate.config));
        self
    }

    pub(crate) fn under_tls(mut self, certificate: &Certificate) -> Self {
        self.tls = Some(Arc::clone(&certificate.config));
        self.under_tls = true;
        self
    }
}

/// A certificate for some names that nobody else vouches for.
pub(crate) struct Certificate {
    pub(crate) config: Arc<rustls::ServerConfig>,
    pub(crate) roots: rustls::RootCertStore,
    /// Key and certificate.
    pub(crate) pem: String,
}

impl Certificate {
    pub(crate) fn of(names: &[&str]) -> Self {
        use rustls::pki_types::pem::PemObject as _;
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        ensure_self_signed(&certificate, &key, &names).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
        let read = |path| std::fs::read_to_string(path).unwrap();
        let pem = read(&key) + &read(&certificate);
        Self { config: server_config(&certificate, &key).unwrap(), roots, pem }
    }
}

/// A server, for as long as the test runs.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    book: Arc<Mutex<Book>>,
}

/// What a server remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    /// The lines of each connection, without messages.
    pub(crate) lines: Vec<Vec<String>>,
    /// Messages that came to their end, with the recipients that were accepted, and whether that was acknowledged.
    pub(crate) messages: Vec<Message>,
    /// Who has connected.
    peers: Vec<SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    pub(crate) acknowledged: bool,
}

impl Server {
    /// A server that treats its connections so, one after the other, and the rest as the last.
    pub(crate) async fn new(manners: Vec<Manner>) -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into(), manners).await
    }

    pub(crate) async fn at(ip: IpAddr, manners: Vec<Manner>) -> Self {
        Self::on(listener(ip).await, manners)
    }

    pub(crate) fn on(listener: TcpListener, manners: Vec<Manner>) -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let server = Self { address: listener.local_addr().unwrap(), book: Arc::clone(&book) };
        tokio::spawn(async move {
            let mut manners = manners.into_iter().peekable();
            let mut manner = Manner::default();
            while let Ok((stream, peer)) = listener.accept().await {
                manner = manners.next().unwrap_or(manner);
                stream.set_nodelay(true).unwrap();
                let connection = {
                    let mut book = book.lock().unwrap();
                    book.peers.push(peer);
                    book.lines.push(Vec::new());
                    book.lines.len() - 1
                };
                let session = Session { manner: manner.clone(), book: Arc::clone(&book), connection };
                tokio::spawn(session.run(stream));
            }
        });
        server
    }

    pub(crate) fn book(&self) -> Book {
        self.book.lock().unwrap().clone()
    }

    pub(crate) fn peers(&self) -> Vec<SocketAddr> {
        self.book().peers
    }

    pub(crate) fn connections(&self) -> usize {
        self.book().lines.len()
    }

    /// Waits until a connection has heard a line that begins so.
    pub(crate) async fn wait_for(&self, connection: usize, line: &str) {
        for _ in 0..1000 {
            if self.book().lines.get(connection).is_some_and(|lines| lines.iter().any(|said| said.starts_with(line))) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("{line} is not heard: {:?}", self.book());
    }
}

/// A free port below those that the system gives away.
pub(crate) async fn listener(ip: IpAddr) -> TcpListener {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 8000).unwrap();
    for _ in 0..12_000 {
        let port = 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if let Ok(listener) = TcpListener::bind(SocketAddr::new(ip, port)).await {
            return listener;
        }
    }
    panic!("no port is free");
}

/// A port that nobody listens on.
pub(crate) async fn nobody() -> SocketAddr {
    listener(Ipv4Addr::LOCALHOST.into()).await.local_addr().unwrap()
}

struct Session {
    manner: Manner,
    book: Arc<Mutex<Book>>,
    connection: usize,
}

enum Flow {
    Go,
    End,
}

impl Session {
    async fn run(mut self, stream: tokio::net::TcpStream) {
        let raw = stream;
        let act = self.act("CONNECT");
        if act == Some(Act::Reset) {
            raw.set_zero_linger().unwrap();
            return;
        }
        let resets = self.manner.acts.iter().any(|(_, act)| *act == Act::Reset);
        if resets {
            raw.set_zero_linger().unwrap();
        }
        let mut stream: BoxedStream = Box::new(raw);
        if self.manner.under_tls {
            let config = self.manner.tls.clone().unwrap();
            let Ok((secured, _)) = Upgrade::Server(config).handshake(stream).await else { return };
            stream = secured;
        }
        let greeting = match act {
            None => "220 far.example ESMTP\r\n",
            Some(Act::Say(text) | Act::Once(text) | Act::SayAndClose(text)) => text,
            Some(Act::Close | Act::Reset) => return,
            Some(Act::Silence) => return silence(stream).await,
        };
        stream.write_all(greeting.as_bytes()).await.unwrap();
        if matches!(act, Some(Act::SayAndClose(_))) {
            let _ = stream.shutdown().await;
            return;
        }
        let _ = self.serve(stream).await;
    }

    async fn serve(&mut self, mut stream: BoxedStream) -> std::io::Result<()> {
        let (mut input, mut to) = (Vec::new(), Vec::new());
        let (mut in_message, mut scanned) = (false, 0_usize);
        loop {
            let end: &[u8] = if in_message { b"\r\n.\r\n" } else { b"\r\n" };
            // The 354's CRLF stands before the message.
            let found = if in_message && input.starts_with(b".\r\n") {
                Some(0)
            } else {
                let from = scanned.saturating_sub(end.len());
                input[from..].windows(end.len()).position(|window| window == end).map(|at| from + at)
            };
            scanned = if found.is_some() { 0 } else { input.len() };
            let Some(at) = found else {
                if in_message
                    && !input.is_empty()
                    && let Some(act) = self.act("BODY")
                    && let Flow::End = perform(act, &mut stream).await?
                {
                    return Ok(());
                }
                if stream.read_buf(&mut input).await? == 0 {
                    return Ok(());
                }
                continue;
            };
            if in_message {
                let rest = input.split_off(if input.starts_with(b".\r\n") && at == 0 { 3 } else { at + end.len() });
                let text = String::from_utf8_lossy(&std::mem::replace(&mut input, rest)).into_owned();
                let text = text.strip_suffix(".\r\n").unwrap().to_owned();
                in_message = false;
                let act = self.act(".");
                let acknowledged = act.is_none();
                let message = Message { to: std::mem::take(&mut to), text, acknowledged };
                self.book.lock().unwrap().messages.push(message);
                if let Flow::End = perform(act.unwrap_or(Act::Say("250 2.0.0 taken\r\n")), &mut stream).await? {
                    return Ok(());
                }
                continue;
            }
            let line = String::from_utf8_lossy(&input[..at]).into_owned();
            input.drain(..at + 2);
            self.book.lock().unwrap().lines[self.connection].push(line.clone());
            let act = self.act(&line);
            let ordinary = match line.split([' ', ':']).next().unwrap() {
                "EHLO" => {
                    let all = ["far.example"].iter().chain(&self.manner.offers);
                    let mut lines: Vec<_> = all.map(|offer| format!("250-{offer}\r\n")).collect();
                    let last = lines.last_mut().unwrap();
                    last.replace_range(3..4, " ");
                    lines.concat()
                }
                "DATA" if to.is_empty() => "554 5.5.1 no recipients\r\n".to_owned(),
                "DATA" => "354 go\r\n".to_owned(),
                "QUIT" => "221 2.0.0 bye\r\n".to_owned(),
                "AUTH" => "235 2.7.0 welcome\r\n".to_owned(),
                "STARTTLS" => "220 2.0.0 go\r\n".to_owned(),
                _ => "250 2.0.0 ok\r\n".to_owned(),
            };
            match act {
                Some(act) => {
                    if let Flow::End = perform(act, &mut stream).await? {
                        return Ok(());
                    }
                }
                None => {
                    match line.as_str() {
                        "DATA" => in_message = !to.is_empty(),
                        "RSET" => to.clear(),
                        other => {
                            let path = other.strip_prefix("RCPT TO:<").and_then(|rest| rest.split('>').next());
                            to.extend(path.map(str::to_owned));
                        }
                    }
                    stream.write_all(ordinary.as_bytes()).await?;
                    stream.flush().await?;
                }
            }
            if line == "QUIT" {
                return stream.shutdown().await;
            }
            if line == "STARTTLS" && act.is_none() {
                // One that offers it without having it is one whose TLS does not work.
                let Some(config) = self.manner.tls.clone() else { return Ok(()) };
                let (secured, _) = Upgrade::Server(config).handshake(stream).await?;
                stream = secured;
                self.manner.offers.retain(|offer| *offer != "STARTTLS");
            }
        }
    }

    fn act(&mut self, line: &str) -> Option<Act> {
        let at = self.manner.acts.iter().position(
            |(begin, _)| {
                if *begin == "." { line == "." } else { line.starts_with(begin) }
            },
        )?;
        let (_, act) = self.manner.acts[at];
        if let Act::Once(_) = act {
            self.manner.acts.remove(at);
        }
        Some(act)
    }
}

async fn perform(act: Act, stream: &mut BoxedStream) -> std::io::Result<Flow> {
    match act {
        Act::Say(text) | Act::Once(text) => {
            stream.write_all(text.as_bytes()).await?;
            stream.flush().await?;
            Ok(Flow::Go)
        }
        Act::SayAndClose(text) => {
            stream.write_all(text.as_bytes()).await?;
            stream.shutdown().await?;
            Ok(Flow::End)
        }
        Act::Close => {
            stream.shutdown().await?;
            Ok(Flow::End)
        }
        Act::Reset => Ok(Flow::End),
        Act::Silence => {
            silence(&mut *stream).await;
            Ok(Flow::End)
        }
    }
}

/// Reads, and says nothing.
async fn silence(mut stream: impl tokio::io::AsyncRead + Unpin) {
    let mut input = [0; 1024];
    while stream.read(&mut input).await.is_ok_and(|read| read > 0) {}
}
