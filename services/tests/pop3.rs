//! The POP3 service over a store in memory.
#![cfg(feature = "pop3")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use bytes::Bytes;
use mailstore::memory::MemoryStore;
use mailstore::{Account as _, Mailbox as _, NewMessage, Store as _, Writer as _};
use pop3_proto::PlaintextLogin;
use services::directory::{Accounts, LoginLimits, UsersFile, UsersOptions};
use services::engine::Link;
use services::net::tls::Upgrade;
use services::net::{Connection, Drain, DrainHandle, Service as _, drive};
use services::pop3::{Pop3, Pop3Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;

const TEXTS: [&str; 3] = ["A: 1\r\n\r\none\r\n", "A: 2\r\n\r\n.\r\n..two\r\n\r\n", "A: 3\r\n\r\nthree"];

struct Case {
    store: Arc<MemoryStore>,
    service: Pop3<MemoryStore>,
    _drain: DrainHandle,
    drain: Drain,
    _directory: tempfile::TempDir,
}

impl Case {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let users = UsersFile::open_or_create(directory.path().join("users"), UsersOptions::default()).unwrap();
        users.set_password("bob@example.org", b"secret").unwrap();
        let store = Arc::new(MemoryStore::new());
        let inbox = store.open("bob@example.org").await.unwrap().open("INBOX").await.unwrap();
        for text in TEXTS {
            let mut writer = inbox.append(NewMessage::default()).await.unwrap();
            writer.write(Bytes::from_static(text.as_bytes())).await.unwrap();
            let _custody = writer.commit().await.unwrap();
        }
        let options = Pop3Options { plaintext_login: PlaintextLogin::Always, ..Pop3Options::new("mail.example.org") };
        let service = Pop3::new(Arc::clone(&store), Accounts::new(users, LoginLimits::default()), options);
        let (handle, drain) = Drain::new();
        Self { store, service, _drain: handle, drain, _directory: directory }
    }

    fn connect(&self) -> DuplexStream {
        let (peer, ours) = duplex(1 << 16);
        let (engine, handler) = self.service.connect(Link::default());
        let conn =
            Connection::new(engine, Box::new(ours), Link::default(), Upgrade::None, Arc::default(), Instant::now());
        tokio::spawn(drive(conn, handler, self.drain.clone()));
        peer
    }

    /// Sends all of it, and reads all that comes back.
    async fn session(&self, commands: &str) -> String {
        let mut peer = self.connect();
        peer.write_all(commands.as_bytes()).await.unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).await.unwrap();
        text
    }
}

#[tokio::test]
async fn an_idle_session_is_small() {
    let case = Case::new().await;
    let (engine, handler) = case.service.connect(Link::default());
    let (_peer, ours) = duplex(1);
    let conn = Connection::new(engine, Box::new(ours), Link::default(), Upgrade::None, Arc::default(), Instant::now());
    let task = drive(conn, handler, case.drain);
    assert!(size_of_val(&task) < 4096, "{} octets for each connection", size_of_val(&task));
}

#[tokio::test]
async fn messages_come_as_they_were_stored_and_sizes_are_exact() {
    let case = Case::new().await;
    let said = case.session("USER bob\r\nPASS secret\r\nSTAT\r\nLIST\r\nRETR 1\r\nRETR 2\r\nTOP 3 0\r\nQUIT\r\n").await;
    let sizes: Vec<usize> =
        TEXTS.iter().map(|text| if text.ends_with("\r\n") { text.len() } else { text.len() + 2 }).collect();
    assert!(said.contains(&format!("+OK 3 {}\r\n", sizes.iter().sum::<usize>())), "{said}");
    assert!(said.contains(&format!("\r\n1 {}\r\n2 {}\r\n3 {}\r\n.\r\n", sizes[0], sizes[1], sizes[2])), "{said}");
    assert!(said.contains("+OK 13 octets\r\nA: 1\r\n\r\none\r\n.\r\n"), "{said}");
    assert!(said.contains("octets\r\nA: 2\r\n\r\n..\r\n...two\r\n\r\n.\r\n"), "{said}");
    assert!(said.ends_with("+OK top of message follows\r\nA: 3\r\n\r\n.\r\n+OK goodbye\r\n"), "{said}");
}

#[tokio::test]
async fn a_maildrop_is_open_once_and_deletions_wait_for_quit() {
    let case = Case::new().await;
    let mut first = case.connect();
    first.write_all(b"USER bob\r\nPASS secret\r\nDELE 1\r\nDELE 3\r\nNOOP\r\n").await.unwrap();
    let mut said = String::new();
    while !said.ends_with("+OK marked\r\n+OK marked\r\n+OK \r\n") {
        let mut part = [0; 512];
        let read = first.read(&mut part).await.unwrap();
        assert!(read > 0, "{said}");
        said.push_str(std::str::from_utf8(&part[..read]).unwrap());
    }
    let second = case.session("USER bob\r\nPASS secret\r\nQUIT\r\n").await;
    assert!(second.contains("-ERR [IN-USE] "), "{second}");
    // A connection that drops deletes nothing.
    drop(first);
    let mut third = case.session("USER bob\r\nPASS secret\r\nSTAT\r\nDELE 1\r\nDELE 3\r\nQUIT\r\n").await;
    for _ in 0..50 {
        if !third.contains("[IN-USE]") {
            break;
        }
        third = case.session("USER bob\r\nPASS secret\r\nSTAT\r\nDELE 1\r\nDELE 3\r\nQUIT\r\n").await;
    }
    assert!(third.contains("+OK 3 ") && third.ends_with("+OK goodbye\r\n"), "{third}");
    let fourth = case.session("USER bob\r\nPASS secret\r\nUIDL\r\nQUIT\r\n").await;
    assert!(fourth.contains("+OK 1 messages") && fourth.contains("\r\n1 00000002"), "{fourth}");
    let inbox = case.store.open("bob@example.org").await.unwrap().open("INBOX").await.unwrap();
    let snapshot = inbox.snapshot(mailstore::Recent::Peek).await.unwrap();
    assert_eq!(snapshot.messages.iter().map(|message| message.uid).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_wrong_password_is_told_with_its_code() {
    let case = Case::new().await;
    let said = case.session("USER bob\r\nPASS wrong\r\nUSER nobody\r\nPASS x\r\nQUIT\r\n").await;
    assert_eq!(said.matches("-ERR [AUTH] invalid user name or password\r\n").count(), 2, "{said}");
}

#[tokio::test]
async fn sasl_plain_logs_in() {
    let case = Case::new().await;
    // "\0bob\0secret"
    let said = case.session("AUTH PLAIN AGJvYgBzZWNyZXQ=\r\nSTAT\r\nQUIT\r\n").await;
    assert!(said.contains("+OK 3 ") && said.ends_with("+OK goodbye\r\n"), "{said}");
}
