//! Postfix's `smtp-sink`: it takes everything for delivered, and keeps each message in a file with what came before it.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::getuid;
use tempfile::TempDir;

use super::super::files_below;
use crate::node::{PATIENCE, free_port};
use crate::program::find;

/// One that runs, until it is dropped.
pub(super) struct SmtpSink {
    place: TempDir,
    port: u16,
    child: Child,
}

impl SmtpSink {
    /// Starts one with these options; `None`, and word of it, where there is none.
    pub(super) fn start(options: &[&str]) -> Option<Self> {
        Self::start_at(free_port(), options)
    }

    /// The same on this port.
    pub(super) fn start_at(port: u16, options: &[&str]) -> Option<Self> {
        let program = find("smtp-sink")?;
        let place = TempDir::with_prefix("posthaste-sink-").unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
        let mut sink = Command::new(program);
        if getuid().is_root() {
            // It does not want to be root.
            sink.args(["-u", "nobody"]);
        }
        sink.arg("-d").arg(place.path().join("message.")).args(options).arg(format!("127.0.0.1:{port}")).arg("50");
        let child = sink.stdin(Stdio::null()).spawn().unwrap();
        let mut sink = Self { place, port, child };
        sink.wait_until_up();
        Some(sink)
    }

    /// Where it takes mail.
    pub(super) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The messages that it was given, each with the arguments of its envelope above it.
    pub(super) fn messages(&self) -> Vec<String> {
        let files = files_below(self.place.path());
        let read = files.iter().map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned());
        // One that is being written does not end so.
        read.filter(|text| text.ends_with("\n\n")).collect()
    }

    /// Waits until it was given so many, and gives them.
    pub(super) fn wait_for(&self, count: usize) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let messages = self.messages();
            if messages.len() >= count {
                return messages;
            }
            assert!(Instant::now() < end, "{} messages arrived, of {count}", messages.len());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_until_up(&mut self) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address()).is_err() {
            let status = self.child.try_wait().unwrap();
            assert!(status.is_none() && Instant::now() < end, "smtp-sink does not come up");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
