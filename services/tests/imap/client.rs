//! A server with one user, and clients that read whole answers.

use std::sync::Arc;

use bytes::Bytes;
use imap_proto::{PlaintextLogin, StartTls};
use mailstore::memory::MemoryStore;
use mailstore::{Account as _, Mailbox as _, NewMessage, Store, Writer as _};
use services::directory::{Accounts, LoginLimits, UsersFile, UsersOptions};
use services::engine::Link;
use services::imap::{Imap, ImapOptions};
use services::net::tls::Upgrade;
use services::net::{Connection, Drain, DrainHandle, Service as _, drive};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;

pub(crate) const USER: &str = "bob@example.org";

pub(crate) struct Server<S = MemoryStore> {
    /// What lies behind the service, whatever stands between.
    pub(crate) store: Arc<MemoryStore>,
    service: Imap<S>,
    _drain: DrainHandle,
    drain: Drain,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(crate) fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self::over(Arc::clone(&store), store)
    }
}

impl<S: Store> Server<S> {
    /// Serves one store, behind which another has the messages.
    pub(crate) fn over(served: Arc<S>, store: Arc<MemoryStore>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let users = UsersFile::open_or_create(directory.path().join("users"), UsersOptions::default()).unwrap();
        users.set_password(USER, b"secret").unwrap();
        let options = ImapOptions {
            host: "mail.example.org".into(),
            software: Some("Posthaste".into()),
            start_tls: StartTls::Off,
            plaintext_login: PlaintextLogin::Always,
        };
        let service = Imap::new(served, Accounts::new(users, LoginLimits::default()), options);
        let (handle, drain) = Drain::new();
        Self { store, service, _drain: handle, drain, _directory: directory }
    }

    /// Puts a message into a mailbox as a delivery does.
    pub(crate) async fn deliver(&self, mailbox: &str, text: &[u8]) {
        let mailbox = self.store.open(USER).await.unwrap().open(mailbox).await.unwrap();
        let mut writer = mailbox.append(NewMessage::default()).await.unwrap();
        writer.write(Bytes::copy_from_slice(text)).await.unwrap();
        let _custody = writer.deliver().await.unwrap();
    }

    /// A client that has heard the greeting.
    pub(crate) async fn connect(&self) -> Client {
        let (peer, ours) = duplex(1 << 16);
        let (engine, handler) = self.service.connect(Link::default());
        let conn =
            Connection::new(engine, Box::new(ours), Link::default(), Upgrade::None, Arc::default(), Instant::now());
        tokio::spawn(drive(conn, handler, self.drain.clone()));
        let mut client = Client { stream: peer, unread: Vec::new(), tags: 0 };
        let greeting = client.line().await;
        assert!(greeting.starts_with("* OK [CAPABILITY IMAP4rev1 "), "{greeting}");
        client
    }

    /// A client that has logged in.
    pub(crate) async fn login(&self) -> Client {
        let mut client = self.connect().await;
        client.ok("LOGIN bob secret").await;
        client
    }

    /// A client that has selected a mailbox.
    pub(crate) async fn select(&self, mailbox: &str) -> Client {
        let mut client = self.login().await;
        client.ok(&format!("SELECT {mailbox}")).await;
        client
    }
}

pub(crate) struct Client {
    stream: DuplexStream,
    unread: Vec<u8>,
    tags: u32,
}

impl Client {
    /// Sends a command and returns all that comes up to its tagged reply, and with it.
    pub(crate) async fn command(&mut self, command: &str) -> String {
        self.command_octets(command.as_bytes()).await
    }

    pub(crate) async fn command_octets(&mut self, command: &[u8]) -> String {
        let tag = self.send_octets(command).await;
        self.answer(&tag).await
    }

    /// Sends a command that must succeed, and returns what came before its reply.
    pub(crate) async fn ok(&mut self, command: &str) -> String {
        let answer = self.command(command).await;
        let (before, last) = split_last(&answer);
        assert!(last.split(' ').nth(1) == Some("OK"), "{command}: {answer}");
        before.to_owned()
    }

    /// Sends a command and returns its tagged reply without the tag.
    pub(crate) async fn reply(&mut self, command: &str) -> String {
        let answer = self.command(command).await;
        split_last(&answer).1.split_once(' ').unwrap().1.trim_end().to_owned()
    }

    /// Appends a message.
    pub(crate) async fn append(&mut self, arguments: &str, message: &[u8]) -> String {
        let mut command = format!("APPEND {arguments} {{{}+}}\r\n", message.len()).into_bytes();
        command.extend_from_slice(message);
        let answer = self.command_octets(&command).await;
        answer.lines().last().unwrap().split_once(' ').unwrap().1.to_owned()
    }

    /// Sends a command and returns its tag.
    pub(crate) async fn send(&mut self, command: &str) -> String {
        self.send_octets(command.as_bytes()).await
    }

    async fn send_octets(&mut self, command: &[u8]) -> String {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        let mut octets = format!("{tag} ").into_bytes();
        octets.extend_from_slice(command);
        octets.extend_from_slice(b"\r\n");
        self.stream.write_all(&octets).await.unwrap();
        tag
    }

    /// Sends octets that are no command.
    pub(crate) async fn raw(&mut self, octets: &str) {
        self.stream.write_all(octets.as_bytes()).await.unwrap();
    }

    /// Reads up to the reply with this tag.
    pub(crate) async fn answer(&mut self, tag: &str) -> String {
        let mut answer = String::new();
        loop {
            let line = self.line().await;
            answer.push_str(&line);
            if line.starts_with(&format!("{tag} ")) {
                return answer;
            }
        }
    }

    /// Reads one line, with the literals in it. Octets that are no UTF-8 come as `?`.
    pub(crate) async fn line(&mut self) -> String {
        let octets = self.line_octets().await;
        octets.into_iter().map(|octet| if octet.is_ascii() { char::from(octet) } else { '?' }).collect()
    }

    pub(crate) async fn line_octets(&mut self) -> Vec<u8> {
        let mut from = 0;
        loop {
            if let Some(end) = self.unread[from..].windows(2).position(|two| two == b"\r\n") {
                let end = from + end + 2;
                let literal = literal_at_end(&self.unread[..end]);
                match literal {
                    None => return self.unread.drain(..end).collect(),
                    Some(length) if self.unread.len() >= end + length => {
                        from = end + length;
                        continue;
                    }
                    Some(_) => {}
                }
            }
            let mut part = [0; 4096];
            let read = self.stream.read(&mut part).await.unwrap();
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&self.unread));
            self.unread.extend_from_slice(&part[..read]);
        }
    }

    /// Reads until the server closes.
    pub(crate) async fn rest(mut self) -> String {
        let mut rest = std::mem::take(&mut self.unread);
        self.stream.read_to_end(&mut rest).await.unwrap();
        String::from_utf8(rest).unwrap()
    }
}

fn literal_at_end(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}

fn split_last(answer: &str) -> (&str, &str) {
    let end = answer.trim_end().rfind("\r\n").map_or(0, |end| end + 2);
    answer.split_at(end)
}
