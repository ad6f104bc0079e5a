//! A server of its own for each test: the real program, free ports, a temporary folder.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The services that a node listens for over TCP.
const SERVICES: [&str; 8] = ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "http"];

/// So long nothing that a test waits for takes, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Node {
    child: Child,
    place: Place,
}

/// What a server is given, and keeps when it is started again.
pub(crate) struct Place {
    folder: TempDir,
    ports: Vec<(&'static str, u16)>,
}

/// What a server left behind.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) place: Place,
}

impl Place {
    pub(crate) fn new() -> Self {
        let ports = SERVICES.map(|service| (service, free_port())).to_vec();
        Self { folder: tempfile::tempdir().unwrap(), ports }
    }

    /// The folder above the data folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn port(&self, service: &str) -> u16 {
        self.ports.iter().find(|(name, _)| *name == service).unwrap().1
    }

    /// Runs the program until it ends by itself.
    pub(crate) fn fail(self, arguments: &[&str]) -> Ended {
        self.spawn(arguments).ended()
    }

    /// Starts the program and waits until it says that it is healthy.
    pub(crate) fn start(self, arguments: &[&str]) -> Node {
        let mut node = self.spawn(arguments);
        wait(|| {
            if let Some(status) = node.child.try_wait().unwrap() {
                panic!("it ended with {status}: {}", node.stderr());
            }
            node.healthy() == Some(true)
        });
        node
    }

    fn spawn(self, arguments: &[&str]) -> Node {
        let output = |name| File::create(self.path(name)).unwrap();
        let listeners = self.ports.iter().map(|(service, port)| format!("--{service}=127.0.0.1:{port}"));
        let given = |option: &str| arguments.iter().any(|argument| argument.starts_with(option));
        let child = Command::new(env!("CARGO_BIN_EXE_single-node"))
            .args((!given("--data")).then(|| format!("--data={}", self.data().display())))
            .args(listeners.filter(|listener| !given(listener.split_once('=').unwrap().0)))
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .unwrap();
        Node { child, place: self }
    }
}

impl Node {
    pub(crate) fn port(&self, service: &str) -> u16 {
        self.place.port(service)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.place.data()
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.place.path("stdout")).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.place.path("stderr")).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it says that it is healthy; `None` where nobody answers.
    pub(crate) fn healthy(&self) -> Option<bool> {
        let answer = self.get("/healthz")?;
        Some(answer.starts_with("HTTP/1.1 200 "))
    }

    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port("http"))).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Stops it as an operator does, and waits for its end.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ended {
        let mut status = None;
        wait(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let (stdout, stderr) = (self.stdout(), self.stderr());
        let place =
            std::mem::replace(&mut self.place, Place { folder: tempfile::tempdir().unwrap(), ports: Vec::new() });
        Ended { status: status.unwrap(), stdout, stderr, place }
    }

    /// A client of a service, behind the greeting.
    pub(crate) fn talk(&self, service: &str) -> Talk {
        let mut talk = self.connect(service);
        let greeting = talk.line();
        assert!(greeting.starts_with("220") || greeting.starts_with(['+', '*']), "{greeting}");
        talk
    }

    /// What a service says at once.
    pub(crate) fn greeting(&self, service: &str) -> String {
        self.connect(service).line()
    }

    fn connect(&self, service: &str) -> Talk {
        let stream = TcpStream::connect(("127.0.0.1", self.port(service))).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Talk { reader: BufReader::new(stream.try_clone().unwrap()), writer: stream }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It has ended already where the test got so far.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A dialogue in lines.
pub(crate) struct Talk {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Talk {
    /// Says a line, or several, without waiting.
    pub(crate) fn say(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).unwrap();
        self.writer.write_all(b"\r\n").unwrap();
    }

    /// The next line without its end; empty when the server has closed.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Says a line and gives the last line of the reply.
    pub(crate) fn ask(&mut self, text: &str) -> String {
        self.say(text);
        loop {
            let line = self.line();
            if line.as_bytes().get(3) != Some(&b'-') || line.starts_with('-') {
                return line;
            }
        }
    }

    /// Asks, and expects a reply that begins so.
    pub(crate) fn expect(&mut self, text: &str, reply: &str) {
        let said = self.ask(text);
        assert!(said.starts_with(reply), "to {text:?} it said {said:?}, not {reply:?}");
    }

    /// The lines up to a dot.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line() {
                dot if dot == "." => return lines,
                line => lines.push(line),
            }
        }
    }
}

/// Polls until something is so.
pub(crate) fn wait(mut until: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !until() {
        assert!(Instant::now() < give_up, "waited in vain");
        sleep(Duration::from_millis(20));
    }
}

/// A port below those that the system gives to clients. Tests in one process never get the same.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = std::process::id().wrapping_mul(97) % 12_000;
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + u16::try_from((process + step) % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Writes a file and gives its path as an argument.
pub(crate) fn write(path: &Path, content: &str) -> String {
    fs::write(path, content).unwrap();
    path.display().to_string()
}
