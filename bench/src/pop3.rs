//! A small blocking POP3 client, so that what it costs is the same for every server.

use std::hash::{DefaultHasher, Hasher};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use memchr::memmem::Finder;

/// How long to wait for a server: the first look at a large maildrop included.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many commands are sent at once. Their text fits into any socket's buffer, so that nobody waits for anybody.
const PIPELINE: usize = 100;

/// What STAT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// How many messages.
    pub messages: u64,
    /// Octets of all of them.
    pub octets: u64,
}

/// A connection. All methods panic at whatever is not `+OK`: a bench that goes on after that measures something else.
#[derive(Debug)]
pub struct Pop3Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where in the buffer what was not looked at begins and ends.
    unread: std::ops::Range<usize>,
}

impl Pop3Client {
    /// Connects and takes the greeting.
    #[must_use]
    pub fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self { stream, buffer: vec![0; 64 * 1024], unread: 0..0 };
        client.line();
        client
    }

    /// Connects and logs in.
    #[must_use]
    pub fn login(to: SocketAddr, user: &str, password: &str) -> Self {
        let mut client = Self::connect(to);
        client.command(&format!("USER {user}"));
        client.command(&format!("PASS {password}"));
        client
    }

    /// A command with an answer of one line.
    pub fn command(&mut self, command: &str) -> String {
        self.say(&format!("{command}\r\n"));
        self.line()
    }

    /// STAT.
    pub fn stat(&mut self) -> Stat {
        let line = self.command("STAT");
        let mut numbers = line.split(' ').skip(1).map(|number| number.parse().unwrap());
        Stat { messages: numbers.next().unwrap(), octets: numbers.next().unwrap() }
    }

    /// LIST, UIDL or the like, with an answer of many lines: how many they were.
    pub fn count_lines(&mut self, command: &str) -> u64 {
        self.say(&format!("{command}\r\n"));
        self.line();
        let mut lines = 0;
        self.body(|octets| lines += memchr::memchr_iter(b'\n', octets).count() as u64);
        lines
    }

    /// A command with an answer of many lines: its octets, stuffed as they came.
    pub fn octets(&mut self, command: &str) -> u64 {
        self.say(&format!("{command}\r\n"));
        self.answer()
    }

    /// The same for many messages, without waiting between them. `{}` in the command is a message's number.
    pub fn pipelined(&mut self, numbers: impl Iterator<Item = u64>, command: impl Fn(u64) -> String) -> u64 {
        let (numbers, mut octets) = (numbers.collect::<Vec<_>>(), 0);
        for numbers in numbers.chunks(PIPELINE) {
            let commands: String = numbers.iter().map(|number| command(*number) + "\r\n").collect();
            self.say(&commands);
            octets += numbers.iter().map(|_| self.answer()).sum::<u64>();
        }
        octets
    }

    /// RETR: a digest of the message.
    pub fn digest(&mut self, number: u64) -> u64 {
        self.say(&format!("RETR {number}\r\n"));
        self.line();
        let mut hasher = DefaultHasher::new();
        self.body(|octets| octets.iter().for_each(|octet| hasher.write_u8(*octet)));
        hasher.finish()
    }

    /// Leaves, and waits for the end of the connection.
    pub fn quit(mut self) {
        self.command("QUIT");
        while self.stream.read(&mut self.buffer).unwrap_or(0) > 0 {}
    }

    fn say(&mut self, commands: &str) {
        self.stream.write_all(commands.as_bytes()).unwrap();
    }

    fn answer(&mut self) -> u64 {
        self.line();
        let mut size = 0;
        self.body(|octets| size += octets.len() as u64);
        size
    }

    /// Takes a line, which must begin with `+OK`.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        loop {
            let unread = &self.buffer[self.unread.clone()];
            if let Some(end) = memchr::memchr(b'\n', unread) {
                line.extend_from_slice(&unread[..=end]);
                self.unread.start += end + 1;
                break;
            }
            line.extend_from_slice(unread);
            self.unread.start = self.unread.end;
            self.refill();
        }
        let line = String::from_utf8(line).unwrap();
        let text = line.strip_prefix("+OK").unwrap_or_else(|| panic!("the server says {line:?}"));
        text.trim_end().to_owned()
    }

    /// Takes lines up to the one with a dot alone, which is left out.
    fn body(&mut self, mut take: impl FnMut(&[u8])) {
        const NOTHING: &[u8] = b".\r\n";
        const END: &[u8] = b"\r\n.\r\n";
        while self.unread.len() < NOTHING.len() {
            self.refill();
        }
        if self.buffer[self.unread.clone()].starts_with(NOTHING) {
            self.unread.start += NOTHING.len();
            return;
        }
        let finder = Finder::new(END);
        loop {
            let unread = &self.buffer[self.unread.clone()];
            if let Some(at) = finder.find(unread) {
                take(&unread[..at + 2]);
                self.unread.start += at + END.len();
                return;
            }
            // What may be the beginning of the end stays.
            let seen = unread.len().saturating_sub(END.len() - 1);
            take(&unread[..seen]);
            self.unread.start += seen;
            self.refill();
        }
    }

    /// Reads more behind what is unread.
    fn refill(&mut self) {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let read = self.stream.read(&mut self.buffer[self.unread.end..]).unwrap();
        assert!(read > 0, "the server has closed the connection");
        self.unread.end += read;
    }
}
