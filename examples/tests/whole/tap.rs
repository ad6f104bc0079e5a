//! A wire with an ear: what a client really says, taken down on its way to the server.

use std::io::{self, Read as _, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

use crate::node::free_port;

/// Who the wire leads to.
pub(crate) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A place that forwards one connection.
pub(crate) struct Tap {
    port: u16,
    taken: thread::JoinHandle<io::Result<Vec<u8>>>,
}

impl Tap {
    pub(crate) fn new(target: Target) -> Self {
        let (listener, port) = loop {
            let port = free_port();
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
                break (listener, port);
            }
        };
        Self { port, taken: thread::spawn(move || forward(&listener, &target)) }
    }

    /// Where the client connects to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// All that the client said, once it has hung up.
    pub(crate) fn taken(self) -> Vec<u8> {
        // Where nobody called at all, this is the call that ends the wait.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        self.taken.join().unwrap().unwrap()
    }
}

fn forward(listener: &TcpListener, target: &Target) -> io::Result<Vec<u8>> {
    let (client, _) = listener.accept()?;
    match target {
        Target::Tcp(address) => {
            let server = TcpStream::connect(address)?;
            let (reader, writer) = (server.try_clone()?, server.try_clone()?);
            pump(client, reader, writer, move || server.shutdown(Shutdown::Write))
        }
        Target::Unix(path) => {
            let server = UnixStream::connect(path)?;
            let (reader, writer) = (server.try_clone()?, server.try_clone()?);
            pump(client, reader, writer, move || server.shutdown(Shutdown::Write))
        }
    }
}

fn pump(
    mut client: TcpStream,
    mut reader: impl io::Read + Send + 'static,
    mut writer: impl Write,
    hang_up: impl Fn() -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let mut towards_client = client.try_clone()?;
    let answers = thread::spawn(move || {
        // The client may be gone before the last answer.
        let _ = io::copy(&mut reader, &mut towards_client);
        let _ = towards_client.shutdown(Shutdown::Write);
    });
    let mut taken = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let length = match client.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        taken.extend_from_slice(&piece[..length]);
        if writer.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = hang_up();
    answers.join().unwrap();
    Ok(taken)
}

/// The messages in what an SMTP client said: as they stood between DATA and the dot, unstuffed, or in the chunks of BDAT.
pub(crate) fn messages(said: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut body: Option<Vec<u8>> = None;
    let mut chunks = Vec::new();
    let mut rest = said;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, behind) = rest.split_at(end + 1);
        rest = behind;
        match (&mut body, line) {
            (Some(_), b".\r\n") => messages.extend(body.take()),
            (Some(message), [b'.', rest @ ..]) => message.extend_from_slice(rest),
            (Some(message), line) => message.extend_from_slice(line),
            (None, line) if line.eq_ignore_ascii_case(b"DATA\r\n") => body = Some(Vec::new()),
            (None, line) => {
                let Some(argument) = line.strip_prefix(b"BDAT ") else { continue };
                let argument = std::str::from_utf8(argument).unwrap().trim_end();
                let (octets, last) = argument.split_once(' ').unwrap_or((argument, ""));
                let (chunk, behind) = rest.split_at(octets.parse().unwrap());
                rest = behind;
                chunks.extend_from_slice(chunk);
                if last == "LAST" {
                    messages.push(std::mem::take(&mut chunks));
                }
            }
        }
    }
    messages
}

#[test]
fn a_tap_takes_down_messages_unstuffed() {
    let said = b"HELO a\r\nDATA\r\nA: b\r\n\r\n..\r\n..c\r\nd\r\n.\r\ndata\r\n\r\n.\r\nQUIT\r\n";
    assert_eq!(messages(said), [b"A: b\r\n\r\n.\r\n.c\r\nd\r\n".to_vec(), b"\r\n".to_vec()]);
    let said = b"EHLO a\r\nBDAT 7\r\nDATA\r\n.BDAT 0\r\nBDAT 3 LAST\r\n\r\n.RSET\r\nBDAT 1 LAST\r\nxQUIT\r\n";
    assert_eq!(messages(said), [b"DATA\r\n.\r\n.".to_vec(), b"x".to_vec()]);
}
