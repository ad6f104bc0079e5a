//! The driver between a POP3 engine, streams of all kinds, and a handler that misbehaves on purpose.
#![cfg(feature = "net")]
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail, and meets few of the events"
)]

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll};
use std::time::Duration;

use pop3_proto::{Event, Maildrop, Message, PlaintextLogin, Reply, ServerConfig, ServerSession, Stls, Timeouts};
use services::engine::{Close, Link, ShutDown};
use services::net::tls::Upgrade;
use services::net::{
    Connection, ConnectionLimits, Drain, DrainHandle, Endpoint, Fault, Handler, Listener, Next, Pacing, Security,
    Service, drive, serve,
};
use smtp_proto::{
    ClientConfig, Delivery, DeliveryEvent, Domain, Envelope, ForwardPath, Mail, Policy, Rcpt, ReversePath,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Octets of the one message in the maildrop: more than any buffer on its way.
const SIZE: usize = 4 << 20;

/// What the handler does when a message is asked for.
#[derive(Clone)]
enum Retrieve {
    Send,
    Fail,
    FailHalfway,
    WhenNotified(Arc<Notify>),
}

struct Mailbox {
    retrieve: Retrieve,
    asked: bool,
    closed: Arc<AtomicUsize>,
}

impl Handler<ServerSession> for Mailbox {
    async fn event(&mut self, conn: &mut Connection<ServerSession>, event: Event) -> Result<Next, Fault> {
        match event {
            Event::Connected | Event::Update { .. } => conn.speak(|e, now, out| e.accept(now, out))?,
            Event::Login { .. } => {
                let message = Message { size: SIZE as u64, ending: pop3_proto::Ending::Crlf, uidl: "1".into() };
                let maildrop = Arc::new(Maildrop::new(vec![message])?);
                conn.speak(|e, now, out| e.open(maildrop, now, out))?;
            }
            Event::Retrieve { .. } => match &self.retrieve {
                Retrieve::Send => send(conn, SIZE).await?,
                Retrieve::Fail => return Err(io::Error::other("the disk is gone").into()),
                Retrieve::FailHalfway => {
                    send(conn, SIZE / 2).await?;
                    return Err(io::Error::other("the disk is gone").into());
                }
                Retrieve::WhenNotified(_) => self.asked = true,
            },
            Event::Violation(_) => {}
            other => {
                assert!(other.is_question());
                conn.speak(|e, now, out| e.decline(now, out));
            }
        }
        Ok(Next::Go)
    }

    async fn wake(&mut self) {
        match &self.retrieve {
            Retrieve::WhenNotified(notify) if self.asked => notify.notified().await,
            _ => std::future::pending().await,
        }
    }

    async fn woken(&mut self, conn: &mut Connection<ServerSession>) -> Result<Next, Fault> {
        self.asked = false;
        conn.speak(|e, now, out| e.reply(&Reply::err("late"), now, out))?;
        Ok(Next::Go)
    }

    async fn closed(self, _why: Close) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

async fn send(conn: &mut Connection<ServerSession>, octets: usize) -> Result<(), Fault> {
    conn.speak(|e, now, out| e.accept(now, out))?;
    let chunk = [b'x'; 4096];
    for _ in 0..octets / chunk.len() {
        conn.speak(|e, _, out| e.body(&chunk, out))?;
        conn.drain().await?;
    }
    if octets == SIZE {
        conn.speak(|e, now, out| e.end_body(now, out))?;
    }
    Ok(())
}

fn config() -> ServerConfig {
    ServerConfig { greeting: "ready".into(), plaintext_login: PlaintextLogin::Always, ..ServerConfig::default() }
}

struct Case {
    peer: DuplexStream,
    task: JoinHandle<Close>,
    drain: DrainHandle,
    closed: Arc<AtomicUsize>,
}

fn start(retrieve: Retrieve, config: ServerConfig, pacing: Pacing) -> Case {
    let (peer, ours) = duplex(4096);
    let (handle, drain) = Drain::new();
    let closed = Arc::new(AtomicUsize::new(0));
    let handler = Mailbox { retrieve, asked: false, closed: Arc::clone(&closed) };
    let engine = ServerSession::new(Arc::new(config), pop3_proto::Link::default(), Duration::ZERO);
    let origin = Instant::now();
    let conn = Connection::new(engine, Box::new(ours), Link::default(), Upgrade::None, Arc::new(pacing), origin);
    let task = tokio::spawn(async move { drive(conn, handler, drain).await.0 });
    Case { peer, task, drain: handle, closed }
}

async fn read_to_end(peer: &mut DuplexStream) -> String {
    let mut text = String::new();
    peer.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_pipelined_session_is_answered_in_order_and_ends() {
    let mut case = start(Retrieve::Send, config(), Pacing::default());
    case.peer.write_all(b"USER bob\r\nPASS x\r\nSTAT\r\nRETR 1\r\nNOOP\r\nQUIT\r\n").await.unwrap();
    let text = read_to_end(&mut case.peer).await;
    assert!(text.starts_with(
        "+OK ready\r\n+OK send the password\r\n+OK maildrop ready\r\n+OK 1 4194304\r\n+OK 4194304 octets\r\nx"
    ));
    assert!(text.ends_with("x\r\n.\r\n+OK \r\n+OK goodbye\r\n"));
    drop(case.peer);
    assert_eq!(case.task.await.unwrap(), Close::Quit);
    assert_eq!(case.closed.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_stalls_and_is_let_go() {
    let mut case = start(Retrieve::Send, config(), Pacing::default());
    let begin = Instant::now();
    case.peer.write_all(b"USER bob\r\nPASS x\r\nRETR 1\r\n").await.unwrap();
    assert_eq!(case.task.await.unwrap(), Close::Stalled);
    assert!(begin.elapsed() >= Pacing::default().stall, "virtual time");
    assert_eq!(case.closed.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_times_out_by_the_engines_deadline() {
    let case = start(Retrieve::Send, config(), Pacing::default());
    assert_eq!(case.task.await.unwrap(), Close::Timeout("login"));
}

#[tokio::test(start_paused = true)]
async fn time_that_the_application_takes_is_not_the_peers() {
    let notify = Arc::new(Notify::new());
    let mut case = start(Retrieve::WhenNotified(Arc::clone(&notify)), config(), Pacing::default());
    case.peer.write_all(b"USER bob\r\nPASS x\r\nRETR 1\r\nQUIT\r\n").await.unwrap();
    tokio::time::sleep(Timeouts::default().command * 3).await;
    assert!(!case.task.is_finished());
    notify.notify_one();
    assert!(read_to_end(&mut case.peer).await.ends_with("-ERR late\r\n+OK goodbye\r\n"));
}

#[tokio::test]
async fn a_half_closed_peer_gets_all_its_replies() {
    let mut case = start(Retrieve::Send, config(), Pacing::default());
    case.peer.write_all(b"USER bob\r\nPASS x\r\nSTAT\r\n").await.unwrap();
    case.peer.shutdown().await.unwrap();
    assert!(read_to_end(&mut case.peer).await.ends_with("+OK 1 4194304\r\n"));
    assert_eq!(case.task.await.unwrap(), Close::Eof);
}

#[tokio::test]
async fn a_failed_answer_is_told_and_a_broken_promise_is_not_padded() {
    let mut case = start(Retrieve::Fail, config(), Pacing::default());
    case.peer.write_all(b"USER bob\r\nPASS x\r\nRETR 1\r\n").await.unwrap();
    let text = read_to_end(&mut case.peer).await;
    assert!(text.ends_with("-ERR [SYS/TEMP] internal error\r\n") && !text.contains("disk"), "{text}");
    drop(case.peer);
    assert_eq!(case.task.await.unwrap(), Close::ShutDown(ShutDown::Fault));

    let mut case = start(Retrieve::FailHalfway, config(), Pacing::default());
    case.peer.write_all(b"USER bob\r\nPASS x\r\nRETR 1\r\n").await.unwrap();
    let text = read_to_end(&mut case.peer).await;
    assert!(text.ends_with('x') && text.len() < SIZE);
}

#[tokio::test]
async fn stopping_lets_the_open_answer_finish() {
    let mut case = start(Retrieve::Send, config(), Pacing::default());
    case.peer.write_all(b"USER bob\r\nPASS x\r\nRETR 1\r\n").await.unwrap();
    let mut first = [0; 100];
    case.peer.read_exact(&mut first).await.unwrap();
    case.drain.stop();
    let text = read_to_end(&mut case.peer).await;
    assert!(text.ends_with("x\r\n.\r\n-ERR [SYS/TEMP] server is shutting down\r\n"));
    drop(case.peer);
    assert_eq!(case.task.await.unwrap(), Close::ShutDown(ShutDown::Stopping));
    assert!(case.drain.drained(Duration::from_secs(5)).await);
}

struct Pop3(ServerConfig);

impl Service for Pop3 {
    type Engine = ServerSession;
    type Handler = Mailbox;

    fn name(&self) -> &'static str {
        "pop3"
    }

    fn connect(&self, link: Link) -> (ServerSession, Mailbox) {
        let engine = ServerSession::new(Arc::new(self.0.clone()), link.into(), Duration::ZERO);
        (engine, Mailbox { retrieve: Retrieve::Send, asked: false, closed: Arc::default() })
    }
}

fn listen(security: &Security, limits: &Arc<ConnectionLimits>) -> (std::net::SocketAddr, DrainHandle) {
    let (handle, drain) = Drain::new();
    let (listener, address) = (20_000u16..32_000)
        .find_map(|port| {
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
            let bound = Listener::bind(&Endpoint::Tcp(address), security.clone(), Arc::clone(limits), Arc::default());
            Some((bound.ok()?, address))
        })
        .unwrap();
    tokio::spawn(serve(listener, Arc::new(Pop3(ServerConfig { stls: Stls::Offered, ..config() })), drain));
    (address, handle)
}

async fn line(stream: &mut TcpStream) -> String {
    let mut line = vec![];
    while !line.ends_with(b"\n") {
        match stream.read_u8().await {
            Ok(octet) => line.push(octet),
            Err(_) => break,
        }
    }
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn one_address_cannot_take_all_places() {
    let (address, _drain) = listen(&Security::Plain, &ConnectionLimits::new(10, 1));
    let mut first = TcpStream::connect(address).await.unwrap();
    assert_eq!(line(&mut first).await, "+OK ready\r\n");
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(line(&mut second).await, "-ERR [SYS/TEMP] too many connections, try again later\r\n");
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(address).await.unwrap();
    assert_eq!(line(&mut other).await, "+OK ready\r\n");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (address, _drain) = listen(&Security::Plain, &ConnectionLimits::new(10, 10));
    let taken = Listener::bind(&Endpoint::Tcp(address), Security::Plain, ConnectionLimits::new(1, 1), Arc::default());
    let message = taken.unwrap_err().to_string();
    assert!(message.contains(&address.to_string()) && message.contains("in use"), "{message}");
}

#[tokio::test]
async fn stls_puts_tls_in_place_and_plain_octets_behind_it_end_the_session() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    services::net::tls::ensure_self_signed(&certificate, &key, &["localhost".to_owned()]).unwrap();
    let config = services::net::tls::server_config(&certificate, &key).unwrap();
    let (address, _drain) = listen(&Security::StartTls(config), &ConnectionLimits::new(10, 10));

    let mut stream = TcpStream::connect(address).await.unwrap();
    line(&mut stream).await;
    stream.write_all(b"STLS\r\nUSER mallory\r\n").await.unwrap();
    assert_eq!(line(&mut stream).await, "-ERR commands behind STLS are refused\r\n");
    assert_eq!(line(&mut stream).await, "");

    // What is no handshake ends the session; nothing is read in clear behind it.
    let mut stream = TcpStream::connect(address).await.unwrap();
    line(&mut stream).await;
    stream.write_all(b"STLS\r\n").await.unwrap();
    line(&mut stream).await;
    stream.write_all(b"USER mallory\r\nQUIT\r\n").await.unwrap();
    let mut rest = vec![];
    // Whether by an alert and an end or by a reset.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(!rest.windows(3).any(|word| word == b"+OK"), "{rest:?}");

    let mut stream = TcpStream::connect(address).await.unwrap();
    line(&mut stream).await;
    stream.write_all(b"STLS\r\n").await.unwrap();
    assert_eq!(line(&mut stream).await, "+OK begin TLS\r\n");
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(&certificate).unwrap();
    use rustls::pki_types::pem::PemObject as _;
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let upgrade = Upgrade::Client(Arc::new(client), "localhost".try_into().unwrap());
    let (mut stream, info) = upgrade.handshake(Box::new(stream)).await.unwrap();
    assert_eq!(info.version, "TLSv1.3");
    stream.write_all(b"USER bob\r\nPASS x\r\nSTAT\r\nQUIT\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "+OK send the password\r\n+OK maildrop ready\r\n+OK 1 4194304\r\n+OK goodbye\r\n");
}

/// A peer that says the next thing as soon as it has an answer to the last one, before anybody else comes to run.
struct Prompt {
    says: VecDeque<&'static [u8]>,
    answered: bool,
    /// Octets that were read from it.
    read: Arc<AtomicUsize>,
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !std::mem::take(&mut self.answered) {
            return Poll::Pending;
        }
        let said = self.says.pop_front().unwrap_or_default();
        buffer.put_slice(said);
        self.read.fetch_add(said.len(), Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut task::Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.answered = true;
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_a_prompt_peer_says_behind_the_reply_to_stls_is_for_tls() {
    let read = Arc::new(AtomicUsize::new(0));
    let says: [&[u8]; 2] = [b"STLS\r\n", b"a hello of TLS, or a command of somebody in between\r\n"];
    let peer = Prompt { says: says.into(), answered: false, read: Arc::clone(&read) };
    let engine = ServerSession::new(
        Arc::new(ServerConfig { stls: Stls::Offered, ..config() }),
        pop3_proto::Link::default(),
        Duration::ZERO,
    );
    let handler = Mailbox { retrieve: Retrieve::Send, asked: false, closed: Arc::default() };
    let conn = Connection::new(engine, Box::new(peer), Link::default(), Upgrade::None, Arc::default(), Instant::now());
    let (_drain, drain) = Drain::new();
    // Here the layer reads nothing at all.
    drive(conn, handler, drain).await;
    assert_eq!(read.load(Ordering::SeqCst), says[0].len());
}

/// A proxy in short: it hears who logs in, leaves the engine, and splices the client to where he lives.
struct Proxy;

impl Handler<ServerSession> for Proxy {
    async fn event(&mut self, conn: &mut Connection<ServerSession>, event: Event) -> Result<Next, Fault> {
        if let Event::Login { .. } = event {
            return Ok(Next::Detach);
        }
        conn.speak(|e, now, out| e.accept(now, out))?;
        Ok(Next::Go)
    }

    async fn closed(self, _why: Close) {}
}

#[tokio::test]
async fn a_proxy_takes_the_stream_and_what_was_read_ahead() {
    let (mut peer, ours) = duplex(4096);
    let (_handle, drain) = Drain::new();
    let engine = ServerSession::new(Arc::new(config()), pop3_proto::Link::default(), Duration::ZERO);
    let conn = Connection::new(engine, Box::new(ours), Link::default(), Upgrade::None, Arc::default(), Instant::now());
    peer.write_all(b"USER bob\r\nPASS x\r\nSTAT\r\n").await.unwrap();
    let (_, detached) = drive(conn, Proxy, drain).await;
    let mut detached = detached.unwrap();
    assert_eq!(&detached.input[..], b"STAT\r\n");

    let (mut backend, far) = duplex(4096);
    backend.write_all(&detached.input).await.unwrap();
    let splice = tokio::spawn(async move { tokio::io::copy_bidirectional(&mut detached.stream, &mut backend).await });
    let mut far = far;
    let mut heard = [0; 6];
    far.read_exact(&mut heard).await.unwrap();
    far.write_all(b"+OK 0 0\r\n").await.unwrap();
    drop(far);
    let said = read_to_end(&mut peer).await;
    assert!(said.ends_with("+OK send the password\r\n+OK 0 0\r\n"), "{said}");
    drop(peer);
    splice.await.unwrap().unwrap();
}

/// Listens at a path.
fn at(path: &std::path::Path) -> Result<Listener, services::net::BindError> {
    let limits = ConnectionLimits::new(1, 1);
    Listener::bind(&Endpoint::Unix(path.to_owned()), Security::Plain, limits, Arc::new(Pacing::default()))
}

#[tokio::test]
async fn only_a_socket_that_nobody_answers_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lmtp.sock");

    let first = at(&path).unwrap();
    let told = at(&path).unwrap_err().to_string();
    assert!(told.contains("lmtp.sock: another server is there; stop it"), "{told}");
    drop(first);
    // A socket stays behind whoever made it.
    assert!(path.exists());
    drop(at(&path).unwrap());
    std::fs::remove_file(&path).unwrap();

    std::fs::write(&path, "somebody's notes").unwrap();
    let told = at(&path).unwrap_err().to_string();
    assert!(told.contains("lmtp.sock: what is there is no socket; move it away"), "{told}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's notes");

    // What a name leads to is not the name's owner.
    std::fs::remove_file(&path).unwrap();
    let elsewhere = folder.path().join("elsewhere.sock");
    drop(at(&elsewhere).unwrap());
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert!(at(&path).is_err());
    assert!(path.is_symlink());
}

/// A client that notes what it is told, and answers nothing.
struct Noting(Arc<std::sync::Mutex<Vec<String>>>);

impl Handler<Delivery> for Noting {
    async fn event(&mut self, _conn: &mut Connection<Delivery>, event: DeliveryEvent) -> Result<Next, Fault> {
        self.0.lock().unwrap().push(match event {
            DeliveryEvent::Body => "body".to_owned(),
            DeliveryEvent::Done(report) => format!("{:?}", report.trouble.unwrap()),
            other @ (DeliveryEvent::Challenge(_) | DeliveryEvent::Idle) => format!("{other:?}"),
        });
        Ok(Next::Go)
    }

    async fn closed(self, why: Close) {
        self.0.lock().unwrap().push(format!("closed: {}", why.as_str()));
    }
}

/// Says this, and then the connection breaks. What is said to it goes nowhere.
struct Breaking(&'static [u8]);

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        buffer.put_slice(std::mem::take(&mut self.0));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(self: Pin<&mut Self>, _: &mut task::Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_engine_whose_connection_breaks_has_the_last_word() {
    let lost = ["Lost(Eof)", "closed: lost"].as_slice();
    for (said, expected) in [
        ("220 x\r\n250 x\r\n", lost),
        ("220 x\r\n250 x\r\n250 half a rep", lost),
        // It asks for the message, and nobody has it.
        ("220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n", &["body", "Lost(Aborted)", "closed: lost"]),
    ] {
        let envelope = Envelope {
            mail: Mail { from: ReversePath::Null, parameters: Default::default() },
            recipients: vec![Rcpt {
                to: ForwardPath::parse("<b@x.example>").unwrap().into_owned(),
                parameters: Default::default(),
            }],
        };
        let client = ClientConfig::new(Domain::parse("a.example").unwrap().into_owned());
        let link = Link::default();
        let policy = Policy::default();
        let engine = Delivery::new(Arc::new(client), envelope, policy, link.clone().into(), Duration::ZERO);
        let stream = Box::new(Breaking(said.as_bytes()));
        let conn = Connection::new(engine, stream, link, Upgrade::None, Arc::default(), Instant::now());
        let told = Arc::default();
        let (_handle, drain) = Drain::new();
        let (why, _) = drive(conn, Noting(Arc::clone(&told)), drain).await;
        assert_eq!(
            (why, told.lock().unwrap().as_slice()),
            (Close::Lost, expected.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
            "{said:?}"
        );
    }
}
