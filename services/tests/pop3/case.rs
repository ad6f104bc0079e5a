//! A service, its users, and clients that read what comes to the octet.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mailstore::maildir::{MaildirConfig, MaildirStore};
use mailstore::memory::MemoryStore;
use mailstore::{Account as _, Mailbox as _, NewMessage, Recent, Store, Writer as _};
use pop3_proto::PlaintextLogin;
use services::directory::{Accounts, AttemptLimits, LoginLimits, UsersFile, UsersOptions};
use services::engine::Link;
use services::net::tls::Upgrade;
use services::net::{Connection, Drain, DrainHandle, Service as _, drive};
use services::pop3::{Pop3, Pop3Options};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex};
use tokio::time::Instant;

/// Users whom [`users`] makes.
pub(crate) const BOB: &str = "bob@example.org";
pub(crate) const ERIN: &str = "erin@example.org";

/// Bob's login.
pub(crate) const LOGIN: &str = "USER bob\r\nPASS secret\r\n";

pub(crate) struct Case<S: Store> {
    pub(crate) store: Arc<S>,
    service: Pop3<S>,
    _drain: DrainHandle,
    drain: Drain,
}

/// What tests begin with: passwords may come in the clear.
pub(crate) fn options() -> Pop3Options {
    Pop3Options { plaintext_login: PlaintextLogin::Always, ..Pop3Options::new("mail.example.org") }
}

impl Case<MemoryStore> {
    /// Three messages in Bob's maildrop.
    pub(crate) async fn new() -> Self {
        Self::with(options()).await
    }

    pub(crate) async fn with(options: Pop3Options) -> Self {
        let case = Self::over(MemoryStore::new(), options);
        for text in TEXTS {
            case.put(BOB, text.as_bytes()).await;
        }
        case
    }
}

pub(crate) const TEXTS: [&str; 3] = ["A: 1\r\n\r\none\r\n", "A: 2\r\n\r\n.\r\n..two\r\n\r\n", "A: 3\r\n\r\nthree"];

/// A Maildir below a directory.
pub(crate) fn maildir(root: &Path) -> MaildirStore {
    MaildirStore::open(root, &MaildirConfig::default()).unwrap()
}

impl<S: Store> Case<S> {
    /// Serves what is in a store. Refusals are not held back, and one address may fail once.
    pub(crate) fn over(store: S, options: Pop3Options) -> Self {
        let attempts = AttemptLimits { first_delay: Duration::ZERO, per_address: 1, ..AttemptLimits::default() };
        let accounts = Accounts::new(users(), LoginLimits { attempts, ..LoginLimits::default() });
        let store = Arc::new(store);
        let service = Pop3::new(Arc::clone(&store), accounts, options);
        let (handle, drain) = Drain::new();
        Self { store, service, _drain: handle, drain }
    }

    pub(crate) async fn put(&self, user: &str, text: &[u8]) {
        let inbox = self.store.open(user).await.unwrap().open("INBOX").await.unwrap();
        let mut writer = inbox.append(NewMessage::default()).await.unwrap();
        writer.write(Bytes::copy_from_slice(text)).await.unwrap();
        let _appended = writer.commit().await.unwrap();
    }

    /// UIDs of the messages that Bob has.
    pub(crate) async fn left(&self) -> Vec<u32> {
        let inbox = self.store.open(BOB).await.unwrap().open("INBOX").await.unwrap();
        inbox.snapshot(Recent::Peek).await.unwrap().messages.iter().map(|message| message.uid).collect()
    }

    /// A client that comes from nowhere, as over a Unix socket.
    pub(crate) fn connect(&self) -> Client {
        self.connect_from(None)
    }

    pub(crate) fn connect_from(&self, peer: Option<&str>) -> Client {
        let (peer_stream, ours) = duplex(1 << 16);
        let link = Link { peer: peer.map(|peer| peer.parse().unwrap()), ..Link::default() };
        tokio::spawn(self.driven(ours, link));
        Client(BufReader::new(peer_stream))
    }

    pub(crate) fn driven(&self, stream: DuplexStream, link: Link) -> impl Future<Output = ()> + Send + use<S> {
        let (engine, handler) = self.service.connect(link.clone());
        let conn = Connection::new(engine, Box::new(stream), link, Upgrade::None, Arc::default(), Instant::now());
        let drain = self.drain.clone();
        async move {
            drive(conn, handler, drain).await;
        }
    }

    /// Sends all of it, and reads all that comes back.
    pub(crate) async fn session(&self, commands: &str) -> String {
        self.connect().session(commands).await
    }

    /// As [`session`](Self::session), once the session before has let the maildrop go.
    pub(crate) async fn session_after(&self, commands: &str) -> String {
        loop {
            let said = self.session(commands).await;
            if !said.contains("[IN-USE]") {
                return said;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The client's end of a connection.
pub(crate) struct Client(BufReader<DuplexStream>);

impl Client {
    pub(crate) async fn send(&mut self, commands: &str) {
        self.0.write_all(commands.as_bytes()).await.unwrap();
    }

    /// One line, without its CRLF.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).await.unwrap();
        assert!(line.ends_with(b"\r\n"), "{:?}", String::from_utf8_lossy(&line));
        line.truncate(line.len() - 2);
        String::from_utf8(line).unwrap()
    }

    /// Sends a command, and reads one line.
    pub(crate) async fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n")).await;
        self.line().await
    }

    /// Everything up to the terminator of a multi-line reply, octet for octet, and not the terminator itself.
    pub(crate) async fn multi_line(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        loop {
            let at = text.len();
            let read = self.0.read_until(b'\n', &mut text).await.unwrap();
            assert!(read > 0, "the connection ended in {:?}", String::from_utf8_lossy(&text));
            let (before, line) = text.split_at(at);
            if line == b".\r\n" && (before.is_empty() || before.ends_with(b"\r\n")) {
                text.truncate(at);
                return text;
            }
        }
    }

    pub(crate) async fn session(mut self, commands: &str) -> String {
        self.send(commands).await;
        self.rest().await
    }

    /// All that comes until the server closes.
    pub(crate) async fn rest(mut self) -> String {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// Bob's password is `secret`, kept by SCRAM; Erin's is `tånstaaf` and Jürgen's `pässe`, kept as they are.
fn users() -> UsersFile {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users");
    std::fs::write(&path, format!("{ERIN}:{{PLAIN}}t\u{e5}nstaaf\nj\u{fc}rgen@example.org:{{PLAIN}}p\u{e4}sse\n"))
        .unwrap();
    let iterations = NonZeroU32::new(4096).unwrap();
    let users = UsersFile::open(path, UsersOptions { iterations, ..UsersOptions::default() }).unwrap();
    users.set_password(BOB, b"secret").unwrap();
    users
}
