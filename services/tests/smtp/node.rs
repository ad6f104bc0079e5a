//! A mail server in memory, and a client that says all it has to say at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mailqueue::{Entry, Filter, MemorySpool, Queue, QueueConfig, Spool};
use mailstore::memory::MemoryStore;
use mailstore::{Account as _, Mailbox as _, Reader as _, Recent, Store as _};
use services::directory::{Account, Accounts, AttemptLimits, LoginLimits, UsersFile, UsersOptions};
use services::engine::Link;
use services::net::tls::Upgrade;
use services::net::{Connection, Drain, DrainHandle, Service, drive};
use services::outbound::{
    ClientTls, CourierOptions, Couriers, DnsOptions, Dnssec, Loopback, Outbound, Relays, Resolver, ResolverOptions,
    TokioClock,
};
use services::routes::{Outward, Routing, Way};
use services::smtp::{Lmtp, Mx, SmtpOptions, Submission};
use smtp_proto::PlaintextLogin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::Instant;

/// A mail server without its listeners.
pub(crate) struct Node<S: Spool = MemorySpool> {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) queue: Queue<S>,
    pub(crate) mx: Arc<Mx<S>>,
    pub(crate) submission: Arc<Submission<S>>,
    pub(crate) lmtp: Arc<Lmtp<MemoryStore>>,
    pub(crate) drain: Drain,
    _handle: DrainHandle,
    _directory: tempfile::TempDir,
}

/// What tests begin with: passwords may come in the clear.
pub(crate) fn options(host: &str) -> SmtpOptions {
    SmtpOptions { plaintext_login: PlaintextLogin::Always, message_size: 1 << 20, ..SmtpOptions::new(host) }
}

/// Which way mail for others goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Onward {
    Nowhere,
    Relay(SocketAddr),
    /// To the hosts that this name server names, at this port.
    Exchangers {
        name_server: SocketAddr,
        port: u16,
    },
}

impl Onward {
    pub(crate) fn outward(self) -> Outward {
        Outward::new(match self {
            Self::Nowhere => Way::Closed,
            Self::Relay(relay) => relay.to_string().parse().unwrap(),
            Self::Exchangers { .. } => Way::Exchangers,
        })
    }

    fn outbound(self, store: &Arc<MemoryStore>, routing: &Arc<Routing>, host: &str) -> Outbound<MemoryStore> {
        let (name_server, port) = match self {
            // Nobody is asked there.
            Self::Nowhere | Self::Relay(_) => ("127.0.0.1:1".parse().unwrap(), 25),
            Self::Exchangers { name_server, port } => (name_server, port),
        };
        let tls = ClientTls::new(rustls::RootCertStore::empty());
        let dns = DnsOptions { dnssec: Dnssec::Off, name_servers: vec![name_server], ..DnsOptions::default() };
        let loopback = Loopback::Allowed;
        let options =
            ResolverOptions { dns, sts: None, tls: tls.clone(), port, loopback, ..ResolverOptions::new(host) };
        let client = smtp_proto::ClientConfig::new(smtp_proto::Domain::parse(host).unwrap().into_owned());
        let couriers = Couriers::new(CourierOptions::new(client, tls));
        let resolver = Arc::new(Resolver::new(options).unwrap());
        Outbound::new(Arc::clone(store), Arc::clone(routing), resolver, couriers, Relays::default())
    }
}

impl Node {
    pub(crate) async fn new(host: &str, users: &[&str], relay: Option<SocketAddr>) -> Self {
        let onward = relay.map_or(Onward::Nowhere, Onward::Relay);
        Self::with(MemorySpool::default(), options(host), users, onward).await
    }
}

impl<S: Spool> Node<S> {
    pub(crate) async fn with(spool: S, options: SmtpOptions, users: &[&str], onward: Onward) -> Self {
        let found: Vec<Account> = users.iter().map(|user| Account::new(user).unwrap()).collect();
        let routing = Routing::new(vec![found[0].domain().to_owned()], onward.outward(), &found).unwrap();
        Self::routed(spool, options, users, routing, onward).await
    }

    /// One with a table of its own.
    pub(crate) async fn routed(
        spool: S,
        options: SmtpOptions,
        users: &[&str],
        routing: Routing,
        onward: Onward,
    ) -> Self {
        let host = options.host.as_str();
        let directory = tempfile::tempdir().unwrap();
        let file = UsersFile::open_or_create(directory.path().join("users"), UsersOptions::default()).unwrap();
        for user in users {
            file.set_password(user, b"secret").unwrap();
        }
        let routing = Arc::new(routing);
        let attempts = AttemptLimits { first_delay: Duration::ZERO, per_address: 1, ..AttemptLimits::default() };
        let accounts = Accounts::new(file, LoginLimits { attempts, ..LoginLimits::default() });
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(TokioClock::new());
        let config = QueueConfig { tell_within: Duration::from_millis(50), ..QueueConfig::default() };
        let queue = Queue::open(spool, config, clock).await.unwrap();
        let outbound = onward.outbound(&store, &routing, host);
        let runner = queue.clone();
        tokio::spawn(async move { runner.run(outbound).await });
        let mx = Mx::new(queue.clone(), Arc::clone(&routing), accounts.clone(), &options).unwrap();
        let submission = Submission::new(queue.clone(), Arc::clone(&routing), accounts.clone(), &options).unwrap();
        let lmtp = Lmtp::new(Arc::clone(&store), routing, accounts, &options).unwrap();
        let (handle, drain) = Drain::new();
        Self {
            store,
            queue,
            mx: Arc::new(mx),
            submission: Arc::new(submission),
            lmtp: Arc::new(lmtp),
            drain,
            _handle: handle,
            _directory: directory,
        }
    }

    /// Sends all of it over a Unix socket, and reads all that comes back.
    pub(crate) async fn session<V: Service>(&self, service: &V, text: &str) -> String {
        self.session_from(None, service, text).await
    }

    /// The same from an address.
    pub(crate) async fn session_from<V: Service>(&self, peer: Option<&str>, service: &V, text: &str) -> String {
        let (mut peer_stream, ours) = duplex(1 << 20);
        let link = Link { peer: peer.map(|peer| peer.parse().unwrap()), ..Link::default() };
        let (engine, handler) = service.connect(link.clone());
        let conn = Connection::new(engine, Box::new(ours), link, Upgrade::None, Arc::default(), Instant::now());
        tokio::spawn(drive(conn, handler, self.drain.clone()));
        peer_stream.write_all(text.as_bytes()).await.unwrap();
        let mut said = String::new();
        peer_stream.read_to_string(&mut said).await.unwrap();
        said
    }

    pub(crate) async fn queued(&self) -> Vec<Entry> {
        self.queue.list(&Filter::default(), None, 10).await.unwrap().entries
    }

    pub(crate) async fn inbox(&self, user: &str) -> Vec<String> {
        let inbox = self.store.open(user).await.unwrap().open("INBOX").await.unwrap();
        let snapshot = inbox.snapshot(Recent::Peek).await.unwrap();
        let mut texts = vec![];
        for message in snapshot.messages {
            let mut reader = inbox.read(message.uid, 0..message.size).await.unwrap();
            let mut text = vec![];
            while let Some(chunk) = reader.next().await.unwrap() {
                text.extend_from_slice(&chunk);
            }
            texts.push(String::from_utf8(text).unwrap());
        }
        texts
    }

    pub(crate) async fn inbox_of(&self, user: &str, count: usize) -> Vec<String> {
        for _ in 0..500 {
            let texts = self.inbox(user).await;
            if texts.len() >= count {
                assert_eq!(texts.len(), count);
                return texts;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{user} has no {count} messages: {:?}", self.queued().await);
    }
}

/// Leading dots, 8-bit text, a long line, a blank tail.
pub(crate) fn nasty() -> String {
    format!("Subject: n\u{e4}sty\r\n\r\n.\r\n..two\r\n.x\r\n{}\r\n\u{fc}ml\r\n\r\n\r\n", "l".repeat(990))
}

pub(crate) fn stuffed(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive("\r\n") {
        if line.starts_with('.') {
            out.push('.');
        }
        out.push_str(line);
    }
    out.push_str(".\r\n");
    out
}

pub(crate) fn transaction(from: &str, to: &[&str], text: &str) -> String {
    let rcpts: String = to.iter().map(|to| format!("RCPT TO:<{to}>\r\n")).collect();
    format!("MAIL FROM:<{from}> BODY=8BITMIME\r\n{rcpts}DATA\r\n{}", stuffed(text))
}
