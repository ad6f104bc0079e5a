//! The server under test: started, waited for, stopped and killed.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What no test should ever come near: a server that has not started or stopped by then hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A user of every server here, and the password.
pub(crate) const ALICE: (&str, &str) = ("alice@example.org", "wonder land");
/// Another one.
pub(crate) const BOB: (&str, &str) = ("bob@example.org", "b:u\"i\\lder");

const SERVICES: [&str; 8] = ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "http"];

/// Where a server keeps its things and listens: what a restart leaves as it is.
pub(crate) struct Site {
    folder: TempDir,
    ports: [u16; SERVICES.len()],
    arguments: Vec<String>,
    wrapper: Vec<String>,
}

/// A server that runs.
pub(crate) struct Node {
    site: Option<Site>,
    child: Child,
}

impl Site {
    /// A new place, for a server with these arguments.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self {
            folder: TempDir::with_prefix("posthaste-").unwrap(),
            ports: free_ports(),
            arguments,
            wrapper: Vec::new(),
        }
    }

    /// Gives the server these arguments too.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Runs the server under another program. It must become the server, in the same process.
    pub(crate) fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(ToString::to_string).collect();
        self
    }

    /// A folder for all that belongs to the test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port of a service.
    pub(crate) fn port(&self, service: &str) -> u16 {
        self.ports[SERVICES.iter().position(|name| *name == service).unwrap()]
    }

    /// The server's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server and waits until it says that it is up.
    pub(crate) fn start(mut self) -> Node {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut node = self.spawn();
            match node.healthy_or_gone(end) {
                None => return node,
                // Somebody else took a port between our look at it and the server's.
                Some(status) if status.code() == Some(2) && node.log().contains("cannot listen") => {
                    self = node.site.take().unwrap();
                    self.ports = free_ports();
                }
                Some(status) => panic!("the server ended with {status}:\n{}", node.log()),
            }
        }
    }

    /// Starts the server and does not wait.
    pub(crate) fn spawn(self) -> Node {
        let log = File::options().create(true).append(true).open(self.folder().join("log")).unwrap();
        let program = env!("CARGO_BIN_EXE_single-node");
        let mut command = match self.wrapper.split_first() {
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.arg("--data").arg(self.data()).args(&self.arguments).env_remove("RUST_LOG");
        for (service, port) in SERVICES.iter().zip(self.ports) {
            command.arg(format!("--{service}")).arg(format!("127.0.0.1:{port}"));
        }
        // Once they exist there is no need to derive their keys at each start.
        if !self.data().join("users").exists() {
            command.args([ALICE, BOB].map(|(address, password)| format!("--user={address}:{password}")));
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Node { site: Some(self), child }
    }
}

impl Node {
    /// A server with alice and bob that is up.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Site::new(arguments).start()
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where a service listens, by the name of its option.
    pub(crate) fn address(&self, service: &str) -> SocketAddr {
        ([127, 0, 0, 1], self.port(service)).into()
    }

    /// The port of a service.
    pub(crate) fn port(&self, service: &str) -> u16 {
        self.site.as_ref().unwrap().port(service)
    }

    /// A folder for all that belongs to the test.
    pub(crate) fn folder(&self) -> &Path {
        self.site.as_ref().unwrap().folder()
    }

    /// The server's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.site.as_ref().unwrap().data()
    }

    /// The certificate that clients must trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.data().join("cert.pem")
    }

    /// The socket for mail from other servers on this machine.
    pub(crate) fn lmtp(&self) -> PathBuf {
        self.data().join("lmtp.sock")
    }

    /// A user's Maildir.
    pub(crate) fn maildir(&self, (address, _): (&str, &str)) -> PathBuf {
        let (local, domain) = address.split_once('@').unwrap();
        self.data().join("mail").join(domain).join(local)
    }

    /// What the server printed and logged, over all its starts.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// Waits until the server is up.
    pub(crate) fn wait_until_healthy(&mut self) {
        if let Some(status) = self.healthy_or_gone(Instant::now() + PATIENCE) {
            panic!("the server ended with {status}:\n{}", self.log());
        }
    }

    /// Asks the server to end, as an operator would, and checks that it does so well.
    pub(crate) fn stop(mut self) -> Site {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let end = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > end => panic!("the server does not stop:\n{}", self.log()),
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        assert!(status.success(), "{status}:\n{}", self.log());
        self.site.take().unwrap()
    }

    /// Ends the server in the middle of whatever it does.
    pub(crate) fn kill(mut self) -> Site {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.site.take().unwrap()
    }

    fn healthy_or_gone(&mut self, end: Instant) -> Option<ExitStatus> {
        loop {
            if healthy(self.address("http")).unwrap_or(false) {
                return None;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            assert!(Instant::now() < end, "the server does not come up:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.site.is_none() {
            return;
        }
        // Both fail where it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            println!("the server's last words:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// The number of a metric, all its labels added up.
pub(crate) fn metric(node: &Node, name: &str) -> Option<f64> {
    let page = http(node.address("http"), "/metrics").unwrap();
    let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    let numbers = page.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    numbers.reduce(|sum, number| sum + number)
}

fn healthy(address: SocketAddr) -> io::Result<bool> {
    Ok(http(address, "/healthz")?.starts_with("HTTP/1.1 200"))
}

fn http(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

/// Ports that nobody listens on, below those that the system gives to clients.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    [(); COUNT].map(|()| free_port())
}

/// One such port.
pub(crate) fn free_port() -> u16 {
    const RANGE: std::ops::Range<u16> = 20_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests of other processes begin elsewhere.
    let begin = (std::process::id() % 997) as u16 * 12;
    for _ in RANGE {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + begin.wrapping_add(step) % (RANGE.end - RANGE.start);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
