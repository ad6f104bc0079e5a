//! A queue with mail in it, and the API before it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mailqueue::testing::VirtualClock;
use mailqueue::{
    Batch, Clock as _, Destination, Detail, Envelope, Filter, MemorySpool, MessageId, Outcome, Queue, QueueConfig,
    Recipient, Transport, Trouble, UnixMicros,
};
use serde_json::Value;
use services::admin::{AdminListener, Client, OpenError, serve};
use services::net::{Drain, DrainHandle};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

/// The server, and what it serves.
pub(crate) struct Office {
    pub(crate) queue: Queue<MemorySpool>,
    pub(crate) clock: VirtualClock,
    pub(crate) folder: TempDir,
    pub(crate) handle: DrainHandle,
    pub(crate) drain: Drain,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) json: Value,
}

impl Office {
    pub(crate) async fn new() -> Self {
        // Now, since rules end by the server's own clock.
        let clock = VirtualClock::new(UnixMicros::now());
        let queue = Queue::open(MemorySpool::new(), QueueConfig::default(), Arc::new(clock.clone())).await.unwrap();
        let (handle, drain) = Drain::new();
        let office = Self { queue, clock, folder: tempfile::tempdir().unwrap(), handle, drain };
        office.open(AdminListener::unix(&office.socket()).unwrap());
        office
    }

    pub(crate) fn open(&self, listener: AdminListener) {
        tokio::spawn(serve(listener, self.queue.clone(), self.drain.clone()));
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    pub(crate) fn client(&self) -> Client {
        Client::unix(&self.socket())
    }

    /// Queues a message, and says its name.
    pub(crate) async fn send(&self, sender: &str, source: &str, recipients: &[&str]) -> MessageId {
        let recipient = |address: &&str| {
            let destination = Destination::remote(address.rsplit_once('@').unwrap().1);
            Recipient { address: (*address).to_owned(), destination, parameters: Vec::new() }
        };
        let envelope = Envelope {
            sender: sender.to_owned(),
            source: source.to_owned(),
            recipients: recipients.iter().map(recipient).collect(),
            arrived: self.clock.wall(),
            ..Envelope::default()
        };
        let mut incoming = self.queue.begin(envelope).await.unwrap();
        incoming.write(b"Subject: a secret\r\n\r\nof theirs\r\n").await.unwrap();
        incoming.commit().await.unwrap().id()
    }

    /// Delivers from now on, to a far side that defers all, and is not to be reached at `down.example`.
    pub(crate) fn run(&self) {
        let queue = self.queue.clone();
        tokio::spawn(async move { queue.run(Busy).await });
    }

    /// Waits until the queue has so many messages that the filter means.
    pub(crate) async fn until(&self, filter: &str, number: usize) {
        let filter: Filter = filter.parse().unwrap();
        let reached = async {
            while self.queue.list(&filter, None, 1000).await.unwrap().entries.len() != number {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(10), reached).await.unwrap_or_else(|_| panic!("never {number} of {filter}"));
    }

    pub(crate) async fn number(&self, filter: &str) -> usize {
        self.queue.list(&filter.parse().unwrap(), None, 10_000).await.unwrap().entries.len()
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let stream = UnixStream::connect(self.socket()).await.unwrap();
        ask(stream, method, path, "", body).await
    }
}

/// A far side with no time for anyone.
struct Busy;

impl Transport for Busy {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        let reason = Detail {
            text: "450 4.2.0 greylisted".to_owned(),
            status: "4.2.0".to_owned(),
            remote: "mx1.example.com".to_owned(),
        };
        let class = if batch.destination.key() == "down.example" { Trouble::Connection } else { Trouble::Message };
        let later = || Outcome::Deferred { reason: reason.clone(), retry_after: None, class };
        batch.recipients().map(|_| later()).collect()
    }

    async fn way_back(&self, _: &str) -> Option<Recipient> {
        None
    }
}

/// One question, octet by octet as given, and what came until the server closed.
pub(crate) async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    fields: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that has said no may close before it has read all.
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), json: serde_json::from_str(body).unwrap() }
}

/// A port below those that the system gives to clients, so that no test's client takes it first.
pub(crate) async fn open_tcp(token_file: &std::path::Path) -> Result<(AdminListener, SocketAddr), OpenError> {
    for port in (21_000..30_000).step_by(11) {
        match AdminListener::tcp(([127, 0, 0, 1], port).into(), token_file).await {
            Ok(listener) => {
                let address = listener.local_addr().unwrap();
                return Ok((listener, address));
            }
            Err(OpenError::Address(..)) => {}
            Err(error) => return Err(error),
        }
    }
    panic!("no port is free");
}
