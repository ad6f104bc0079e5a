//! The few words of each protocol that the tests say themselves, where no client would say them so.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take: a server that has not answered by then hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What both kinds of sockets are.
trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A connection, in lines.
pub(crate) struct Dialogue {
    stream: BufReader<Box<dyn Stream>>,
    local: Option<SocketAddr>,
}

impl Dialogue {
    pub(crate) fn tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), local: Some(local) })
    }

    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), local: None })
    }

    /// Our own end.
    pub(crate) fn local_port(&self) -> u16 {
        self.local.unwrap().port()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// One line, without its end.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        let Some(text) = line.strip_suffix(b"\r\n") else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// A whole reply of SMTP or LMTP: its code and the text of its last line.
    pub(crate) fn reply(&mut self) -> io::Result<String> {
        loop {
            let line = self.line()?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    /// Says a command of SMTP, and expects a reply that begins so.
    pub(crate) fn smtp(&mut self, command: &str, expected: &str) -> io::Result<()> {
        self.send(format!("{command}\r\n").as_bytes())?;
        let reply = self.reply()?;
        expect(command, &reply, expected)
    }

    /// Sends one message by SMTP, from greeting to verdict; what is said before it may have been said.
    pub(crate) fn transaction(&mut self, from: &str, to: &[&str], message: &[u8]) -> io::Result<()> {
        self.smtp(&format!("MAIL FROM:<{from}>"), "250")?;
        for to in to {
            self.smtp(&format!("RCPT TO:<{to}>"), "250")?;
        }
        self.smtp("DATA", "354")?;
        self.send_body(message)
    }

    /// Sends a message behind DATA, with the dots that belong to it and the one behind it.
    pub(crate) fn send_body(&mut self, message: &[u8]) -> io::Result<()> {
        let mut stuffed = Vec::with_capacity(message.len() + 64);
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                stuffed.push(b'.');
            }
            stuffed.extend(line);
        }
        stuffed.extend(b".\r\n");
        self.send(&stuffed)
    }

    /// Begins a session of SMTP and logs in, on a connection just made.
    pub(crate) fn submission_login(&mut self, (address, password): (&str, &str)) -> io::Result<()> {
        let greeting = self.reply()?;
        expect("connection", &greeting, "220")?;
        self.smtp("EHLO client.example.net", "250")?;
        let login = base64(format!("\0{address}\0{password}").as_bytes());
        self.smtp(&format!("AUTH PLAIN {login}"), "235")
    }

    /// Says a command of POP3, and gives the rest of the line after +OK.
    pub(crate) fn pop3(&mut self, command: &str) -> io::Result<String> {
        self.send(format!("{command}\r\n").as_bytes())?;
        let line = self.line()?;
        expect(command, &line, "+OK")?;
        Ok(line)
    }

    /// Logs in by POP3, on a connection just made.
    pub(crate) fn pop3_login(&mut self, (address, password): (&str, &str)) -> io::Result<()> {
        let greeting = self.line()?;
        expect("connection", &greeting, "+OK")?;
        self.pop3(&format!("USER {address}"))?;
        self.pop3(&format!("PASS {password}")).map(drop)
    }

    /// The lines that follow a +OK, up to the dot, joined and unstuffed.
    pub(crate) fn pop3_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            self.stream.read_until(b'\n', &mut line)?;
            match &line[..] {
                b".\r\n" => return Ok(body),
                [b'.', rest @ .., b'\n'] => body.extend(rest.iter().chain(b"\n")),
                [.., b'\n'] => body.extend(&line),
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// Says a command of IMAP, and gives all lines before the tagged one, which must be OK.
    pub(crate) fn imap(&mut self, command: &str) -> io::Result<Vec<String>> {
        self.send(format!("a {command}\r\n").as_bytes())?;
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            if line.starts_with("a ") {
                expect(command, &line, "a OK")?;
                return Ok(lines);
            }
            lines.push(line);
        }
    }

    /// Logs in by IMAP, on a connection just made.
    pub(crate) fn imap_login(&mut self, (address, password): (&str, &str)) -> io::Result<()> {
        let greeting = self.line()?;
        expect("connection", &greeting, "* OK")?;
        let password = password.replace('\\', "\\\\").replace('"', "\\\"");
        self.imap(&format!("LOGIN {address} \"{password}\"")).map(drop)
    }
}

fn expect(command: &str, reply: &str, expected: &str) -> io::Result<()> {
    if reply.starts_with(expected) {
        return Ok(());
    }
    Err(io::Error::other(format!("{command}: {reply}, instead of {expected}")))
}

/// RFC 4648 §4.
fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in octets.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            text.push(if at <= three.len() { char::from(DIGITS[bits >> (18 - 6 * at) & 63]) } else { '=' });
        }
    }
    text
}

#[test]
fn base64_has_the_examples_of_its_rfc() {
    // RFC 4648 §10.
    for (octets, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(octets.as_bytes()), text);
    }
}
