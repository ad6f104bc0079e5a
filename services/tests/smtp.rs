//! A message's whole way: SMTP in, the queue, a mailbox or another server; with spool and store in memory.
#![cfg(all(feature = "smtp", feature = "pop3"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mailqueue::{Held, MemorySpool, Queue, QueueConfig, RecipientState};
use mailstore::memory::MemoryStore;
use mailstore::{Account as _, Mailbox as _, Reader as _, Recent, Store as _};
use services::directory::{Account, Accounts, LoginLimits, UsersFile, UsersOptions};
use services::engine::Link;
use services::net::tls::Upgrade;
use services::net::{
    Connection, ConnectionLimits, Drain, DrainHandle, Endpoint, Listener, Security, Service, drive, serve,
};
use services::outbound::{Outbound, TokioClock};
use services::routes::Routing;
use services::smtp::{Lmtp, Mx, SmtpOptions, Submission};
use smtp_proto::PlaintextLogin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::Instant;

/// Leading dots, 8-bit text, a long line, a blank tail.
fn nasty() -> String {
    format!("Subject: n\u{e4}sty\r\n\r\n.\r\n..two\r\n.x\r\n{}\r\n\u{fc}ml\r\n\r\n\r\n", "l".repeat(990))
}

fn stuffed(text: &str) -> String {
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

struct Node {
    store: Arc<MemoryStore>,
    queue: Queue<MemorySpool>,
    mx: Arc<Mx<MemorySpool>>,
    submission: Arc<Submission<MemorySpool>>,
    lmtp: Arc<Lmtp<MemoryStore>>,
    drain: Drain,
    _handle: DrainHandle,
    _directory: tempfile::TempDir,
}

impl Node {
    async fn new(host: &str, users: &[&str], relay: Option<SocketAddr>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = UsersFile::open_or_create(directory.path().join("users"), UsersOptions::default()).unwrap();
        for user in users {
            file.set_password(user, b"secret").unwrap();
        }
        let found: Vec<Account> = users.iter().map(|user| Account::new(user).unwrap()).collect();
        let routing = Arc::new(
            Routing::new(vec![found[0].domain().to_owned()], relay.map(|relay| relay.to_string()), &found).unwrap(),
        );
        let accounts = Accounts::new(file, LoginLimits::default());
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(TokioClock::new());
        let queue = Queue::open(MemorySpool::default(), QueueConfig::default(), clock).await.unwrap();
        let outbound = Outbound::new(Arc::clone(&store), host).unwrap();
        let runner = queue.clone();
        tokio::spawn(async move { runner.run(outbound).await });
        let options =
            SmtpOptions { plaintext_login: PlaintextLogin::Always, message_size: 1 << 20, ..SmtpOptions::new(host) };
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

    /// Sends all of it, and reads all that comes back.
    async fn session<S: Service>(&self, service: &S, text: &str) -> String {
        let (mut peer, ours) = duplex(1 << 20);
        let (engine, handler) = service.connect(Link::default());
        let conn =
            Connection::new(engine, Box::new(ours), Link::default(), Upgrade::None, Arc::default(), Instant::now());
        tokio::spawn(drive(conn, handler, self.drain.clone()));
        peer.write_all(text.as_bytes()).await.unwrap();
        let mut said = String::new();
        peer.read_to_string(&mut said).await.unwrap();
        said
    }

    async fn inbox(&self, user: &str) -> Vec<String> {
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

    async fn inbox_of(&self, user: &str, count: usize) -> Vec<String> {
        for _ in 0..500 {
            let texts = self.inbox(user).await;
            if texts.len() >= count {
                assert_eq!(texts.len(), count);
                return texts;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{user} has no {count} messages: {:?}", self.queue.list(None, 10));
    }
}

fn transaction(from: &str, to: &[&str], text: &str) -> String {
    let rcpts: String = to.iter().map(|to| format!("RCPT TO:<{to}>\r\n")).collect();
    format!("MAIL FROM:<{from}> BODY=8BITMIME\r\n{rcpts}DATA\r\n{}", stuffed(text))
}

#[tokio::test]
async fn what_comes_in_by_smtp_lies_in_the_mailbox_as_it_was_sent() {
    let node = Node::new("mail.example.org", &["alice@example.org", "bob@example.org"], None).await;
    let to = ["alice@example.org", "Bob+x@example.org", "bob@example.org"];
    let text = format!("EHLO client.example\r\n{}QUIT\r\n", transaction("a@b.example", &to, &nasty()));
    let said = node.session(&*node.mx, &text).await;
    assert!(said.contains("\r\n354 ") && said.contains("\r\n250 2.0.0 accepted as "), "{said}");
    for user in ["alice@example.org", "bob@example.org"] {
        let texts = node.inbox_of(user, 1).await;
        let (trace, body) = texts[0].split_at(texts[0].find("Subject: n").unwrap());
        assert_eq!(body, nasty());
        assert!(trace.starts_with("Return-Path: <a@b.example>\r\nReceived: from client.example (local)\r\n\tby mail."));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(node.queue.list(None, 10).is_empty());
}

#[tokio::test]
async fn strangers_are_not_relayed_for_and_unknown_users_are_refused() {
    let relay = Some("127.0.0.1:9".parse().unwrap());
    let node = Node::new("mail.example.org", &["alice@example.org"], relay).await;
    let text = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\nRCPT TO:<carol@example.org>\r\n\
                RCPT TO:<Postmaster>\r\nQUIT\r\n";
    let said = node.session(&*node.mx, text).await;
    assert!(said.contains("\r\n550 5.7.1 relaying is not allowed\r\n550 5.1.1 no such mailbox here\r\n250 "), "{said}");
    let said = node.session(&*node.submission, text).await;
    assert!(said.contains("\r\n530 5.7.0 "), "{said}");
}

#[tokio::test]
async fn users_send_under_their_own_names_only() {
    let node = Node::new("mail.example.org", &["alice@example.org", "bob@example.org"], None).await;
    // "\0alice\0secret"
    let login = "EHLO c.example\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n";
    let own = transaction("Alice+news@example.org", &["bob@example.org"], "S: 1\r\n\r\n");
    let said = node.session(&*node.submission, &format!("{login}{own}MAIL FROM:<bob@example.org>\r\nQUIT\r\n")).await;
    assert!(said.contains("\r\n235 ") && said.contains("accepted as"), "{said}");
    assert!(said.contains("\r\n553 5.7.1 the sender address is not yours\r\n"), "{said}");
    assert!(node.inbox_of("bob@example.org", 1).await[0].contains(" with ESMTPA id "));
}

#[tokio::test]
async fn lmtp_gives_each_recipient_a_verdict_and_stores_once() {
    let node = Node::new("mail.example.org", &["alice@example.org", "bob@example.org"], None).await;
    let to = ["alice@example.org", "nobody@example.org", "bob@example.org", "alice@example.org"];
    let text = format!("LHLO c.example\r\n{}QUIT\r\n", transaction("a@b.example", &to, &nasty()));
    let said = node.session(&*node.lmtp, &text).await;
    assert_eq!(said.matches("\r\n250 2.0.0 accepted as ").count(), 3, "{said}");
    assert_eq!(said.matches("\r\n550 5.1.1 ").count(), 1, "{said}");
    for user in ["alice@example.org", "bob@example.org"] {
        assert!(node.inbox_of(user, 1).await[0].ends_with(&nasty()));
    }
}

#[tokio::test]
async fn mail_for_others_goes_to_the_relay_and_refusals_are_held() {
    let far = Node::new("far.example", &["zoe@far.example"], None).await;
    let (listener, address) = (20_000u16..32_000)
        .find_map(|port| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let limits = ConnectionLimits::new(10, 10);
            let bound = Listener::bind(&Endpoint::Tcp(address), Security::Plain, limits, Arc::default());
            Some((bound.ok()?, address))
        })
        .unwrap();
    tokio::spawn(serve(listener, Arc::clone(&far.mx), far.drain.clone()));
    let near = Node::new("near.example", &["alice@near.example"], Some(address)).await;
    let to = ["zoe@far.example", "nobody@far.example"];
    let text = format!(
        "EHLO c.example\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n{}QUIT\r\n",
        transaction("alice@near.example", &to, &nasty())
    );
    let said = near.session(&*near.submission, &text).await;
    assert!(said.contains("accepted as"), "{said}");
    let texts = far.inbox_of("zoe@far.example", 1).await;
    assert!(texts[0].ends_with(&nasty()) && texts[0].matches("Received: ").count() == 2, "{}", texts[0]);
    for _ in 0..500 {
        if near.queue.counters().held_failed > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let entries = near.queue.list(None, 10);
    let states: Vec<_> = entries[0].recipients.iter().map(|(_, state)| state).collect();
    assert!(matches!(states[0], RecipientState::Delivered), "{states:?}");
    assert!(matches!(states[1], RecipientState::Held { why: Held::Failed, .. }), "{states:?}");
}

/// A server that says these lines, one for each line it reads (the first unasked), and then closes; behind an empty one by a
/// reset. After 354 it waits for the end of the message. Gives back all that it heard.
async fn scripted(listener: &tokio::net::TcpListener, lines: &[&str]) -> String {
    let (mut peer, _) = listener.accept().await.unwrap();
    let (mut heard, mut seen) = (Vec::new(), 0);
    for (index, line) in lines.iter().enumerate() {
        let until: &[u8] = if index > 0 && lines[index - 1].starts_with("354") { b"\r\n.\r\n" } else { b"\r\n" };
        while index > 0 && !heard[seen..].windows(until.len()).any(|end| end == until) {
            if peer.read_buf(&mut heard).await.unwrap() == 0 {
                return String::from_utf8(heard).unwrap();
            }
        }
        seen = if index == 0 {
            0
        } else {
            heard[seen..].windows(until.len()).position(|w| w == until).unwrap() + seen + until.len()
        };
        peer.write_all(line.as_bytes()).await.unwrap();
        if line.is_empty() {
            peer.set_zero_linger().unwrap();
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

async fn listener() -> (tokio::net::TcpListener, SocketAddr) {
    for port in 20_000u16..32_000 {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if let Ok(listener) = tokio::net::TcpListener::bind(address).await {
            return (listener, address);
        }
    }
    panic!("no port is free");
}

async fn send_to_zoe(near: &Node) {
    let message = transaction("alice@near.example", &["zoe@far.example"], "S: 1\r\n\r\n");
    let text = format!("EHLO c.example\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n{message}QUIT\r\n");
    assert!(near.session(&*near.submission, &text).await.contains("accepted as"));
}

#[tokio::test]
async fn a_relay_whose_tls_does_not_work_gets_the_mail_without() {
    let (listener, address) = listener().await;
    let near = Node::new("near.example", &["alice@near.example"], Some(address)).await;
    send_to_zoe(&near).await;
    let tls = "250-far.example\r\n250-8BITMIME\r\n250 STARTTLS\r\n";
    let first = scripted(&listener, &["220 far.example\r\n", tls, "220 go\r\n"]).await;
    assert!(first.ends_with("STARTTLS\r\n"), "{first}");
    let rest = ["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 taken\r\n"];
    let second = scripted(&listener, &[&["220 far.example\r\n", tls][..], &rest[..]].concat()).await;
    assert!(second.contains("\r\nMAIL FROM:<alice@near.example>") && !second.contains("STARTTLS"), "{second}");
}

#[tokio::test]
async fn a_connection_lost_behind_the_message_is_left_to_the_schedule() {
    let (listener, address) = listener().await;
    let near = Node::new("near.example", &["alice@near.example"], Some(address)).await;
    send_to_zoe(&near).await;
    let lines = ["220 far\r\n", "250-far\r\n250 8BITMIME\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", ""];
    let heard = scripted(&listener, &lines).await;
    assert!(heard.contains("S: 1\r\n"), "{heard}");
    let again = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await;
    assert!(again.is_err(), "the message may be there already: it must not be sent again at once");
    let entries = near.queue.list(None, 10);
    assert!(matches!(entries[0].recipients[0].1, RecipientState::Waiting { .. }), "{entries:?}");
}
