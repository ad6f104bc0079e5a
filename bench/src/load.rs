//! What sends mail to a server, and what takes it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::mailers::{Login, SENDER};
use crate::places::free_address;
use crate::{Mailer, Processes};

/// Messages and the way they are sent.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections at a time.
    pub sessions: u64,
    /// How many messages in all.
    pub messages: u64,
    /// The length of each, without its header.
    pub octets: u64,
    /// What becomes of a connection when it has sent a message.
    pub connections: Connections,
}

/// What becomes of a connection when it has sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// It is closed, and another one opened for the next.
    Each,
    /// It sends the next, up to [`PER_CONNECTION`].
    Kept,
}

/// Messages that one connection sends at most: a server may close it after many, and `smtp-source` takes that for a failure.
pub const PER_CONNECTION: u64 = 500;

impl Load {
    /// Sends all to whoever listens there, by Postfix's `smtp-source`: HELO, no pipelining, no login.
    ///
    /// # Panics
    /// If one is refused.
    #[must_use]
    pub fn smtp_source(&self, address: SocketAddr, recipient: &str) -> Duration {
        let mut source = Command::new("smtp-source");
        source.args(["-4", "-C", "20", "-M", "client.example.net", "-f", SENDER, "-t", recipient]);
        source.args(["-s", &self.sessions.to_string(), "-m", &self.messages.to_string()]);
        source.args(["-l", &self.octets.to_string()]);
        match self.connections {
            Connections::Each => {}
            Connections::Kept => drop(source.arg("-d")),
        }
        let begin = Instant::now();
        let status = source.arg(address.to_string()).stdin(Stdio::null()).status().unwrap();
        assert!(status.success(), "{source:?} does not send all");
        begin.elapsed()
    }

    /// Sends all to a server in the same way, from threads of this process, which log in first where they must.
    ///
    /// # Panics
    /// If one is refused.
    #[must_use]
    pub fn post(&self, mailer: &Mailer) -> Duration {
        let left = AtomicU64::new(self.messages);
        let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let message = self.message();
        let begin = Instant::now();
        thread::scope(|scope| {
            for _ in 0..self.sessions {
                scope.spawn(|| {
                    let most = match self.connections {
                        Connections::Each => 1,
                        Connections::Kept => PER_CONNECTION,
                    };
                    while take() {
                        let mut client = Client::connect(mailer.address(), mailer.login());
                        client.send(mailer.recipient(), &message);
                        (1..most).take_while(|_| take()).for_each(|_| client.send(mailer.recipient(), &message));
                        client.quit();
                    }
                });
            }
        });
        begin.elapsed()
    }

    fn message(&self) -> Vec<u8> {
        const LINE: &str = "What is written here is read by nobody, so that it may well repeat.\r\n";
        let (octets, line) = (self.octets as usize, LINE.len());
        let (lines, rest) = (LINE.repeat(octets / line), "x".repeat(octets % line));
        format!("From: <{SENDER}>\r\nSubject: one of many\r\n\r\n{lines}{rest}\r\n.\r\n").into_bytes()
    }
}

/// One connection to a server.
struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: SocketAddr, login: Option<Login>) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { reader: BufReader::new(stream) };
        client.expect("220");
        match login {
            None => client.say("HELO client.example.net", "250"),
            Some(Login { user, password }) => {
                client.say("EHLO client.example.net", "250");
                let words = STANDARD.encode(format!("\0{user}\0{password}"));
                client.say(&format!("AUTH PLAIN {words}"), "235");
            }
        }
        client
    }

    fn send(&mut self, recipient: &str, message: &[u8]) {
        self.say(&format!("MAIL FROM:<{SENDER}>"), "250");
        self.say(&format!("RCPT TO:<{recipient}>"), "250");
        self.say("DATA", "354");
        self.reader.get_mut().write_all(message).unwrap();
        self.expect("250");
    }

    fn quit(mut self) {
        self.say("QUIT", "221");
    }

    fn say(&mut self, command: &str, code: &str) {
        self.reader.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        self.expect(code);
    }

    fn expect(&mut self, code: &str) {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            assert!(line.starts_with(code), "{line:?} instead of {code}");
            if line.as_bytes().get(3) != Some(&b'-') {
                return;
            }
        }
    }
}

/// Postfix's `smtp-sink`, which takes all mail and forgets it.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    processes: Processes,
    taken: Arc<AtomicU64>,
}

impl Sink {
    /// Where one can be opened later.
    #[must_use]
    pub fn place() -> SocketAddr {
        free_address()
    }

    /// Opens one.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        let mut sink = Command::new("smtp-sink");
        sink.args(["-4", "-c", "-u", "postfix", "-m", "2000", &address.to_string(), "1000"]);
        let mut sink = sink.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let counters = sink.stdout.take().unwrap();
        let processes = Processes::new(sink);
        let taken = Arc::new(AtomicU64::new(0));
        thread::spawn({
            let taken = Arc::clone(&taken);
            move || count(counters, &taken)
        });
        while TcpStream::connect(address).is_err() {
            sleep(Duration::from_millis(1));
        }
        Self { address, processes, taken }
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Messages taken so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Waits until it has so many. `tell` hears of it every second or so.
    ///
    /// # Panics
    /// If nothing comes for three minutes.
    pub fn wait_for(&self, messages: u64, tell: impl Fn(u64)) {
        let (mut last, mut since, mut told) = (self.taken(), Instant::now(), Instant::now());
        while last < messages {
            sleep(Duration::from_millis(5));
            let now = self.taken();
            if now > last {
                (last, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < Duration::from_secs(180), "only {last} of {messages} messages come");
            if told.elapsed() > Duration::from_secs(1) {
                told = Instant::now();
                tell(last);
            }
        }
    }

    /// Its process.
    #[must_use]
    pub const fn processes(&self) -> &Processes {
        &self.processes
    }
}

/// Reads what `smtp-sink -c` writes over and over: `sess=1 quit=1 mesg=1` and a CR.
fn count(counters: impl Read, taken: &AtomicU64) {
    for line in BufReader::new(counters).split(b'\r') {
        let Ok(line) = line else { return };
        let line = String::from_utf8_lossy(&line);
        let Some((_, number)) = line.rsplit_once("mesg=") else { continue };
        let Ok(number) = number.trim().parse() else { continue };
        taken.store(number, Ordering::Relaxed);
    }
}
