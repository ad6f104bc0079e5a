//! A server of the admin API in this process, and the program run against it.

use std::future::pending;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use mailqueue::testing::VirtualClock;
use mailqueue::{
    Batch, Clock as _, Destination, Envelope, Filter, MemorySpool, MessageId, Outcome, Queue, QueueConfig, Recipient,
    Transport, UnixMicros,
};
use services::admin::{AdminListener, serve};
use services::net::{Drain, DrainHandle};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) struct Office {
    pub(crate) queue: Queue<MemorySpool>,
    pub(crate) runtime: Runtime,
    pub(crate) folder: TempDir,
    pub(crate) drain: Drain,
    clock: VirtualClock,
    _handle: DrainHandle,
}

/// How the program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Office {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let clock = VirtualClock::new(UnixMicros::now());
        let spool = MemorySpool::new();
        let opened = Queue::open(spool, QueueConfig::default(), Arc::new(clock.clone()));
        let queue = runtime.block_on(opened).unwrap();
        let (handle, drain) = Drain::new();
        let folder = tempfile::tempdir().unwrap();
        let office = Self { queue, runtime, folder, drain, clock, _handle: handle };
        let guard = office.runtime.enter();
        office.open(AdminListener::unix(&office.socket()).unwrap());
        drop(guard);
        office
    }

    pub(crate) fn open(&self, listener: AdminListener) {
        self.runtime.spawn(serve(listener, self.queue.clone(), self.drain.clone()));
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    pub(crate) fn send(&self, sender: &str, source: &str, recipients: &[&str]) -> MessageId {
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
        self.runtime.block_on(async {
            let mut incoming = self.queue.begin(envelope).await.unwrap();
            incoming.write(b"Subject: a secret\r\n\r\n").await.unwrap();
            incoming.commit().await.unwrap().id()
        })
    }

    /// Begins to deliver. No attempt ever ends.
    pub(crate) fn run(&self) {
        let queue = self.queue.clone();
        self.runtime.spawn(async move { queue.run(Never).await });
    }

    pub(crate) fn number(&self, filter: &str) -> usize {
        let filter: Filter = filter.parse().unwrap();
        self.runtime.block_on(self.queue.list(&filter, None, 100_000)).unwrap().entries.len()
    }

    /// Runs the program against this server. Nobody is at its terminal.
    pub(crate) fn mailctl(&self, arguments: &[&str]) -> Ended {
        let socket = self.socket();
        run(command(&[&["queue", "--socket", socket.to_str().unwrap()], arguments].concat()))
    }
}

/// The program, in an environment of its own.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailctl"));
    command.env_clear().env("TZ", "UTC").args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn run(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

struct Never;

impl Transport for Never {
    async fn deliver(&self, _: Batch) -> Vec<Outcome> {
        pending().await
    }

    async fn way_back(&self, _: &str) -> Option<Recipient> {
        None
    }
}
