//! A mail server for clients that hand on what they fetch: it takes everything, and keeps each message in a file.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use crate::node::free_port;

/// SMTP and LMTP, until it is dropped.
pub(super) struct Sink {
    port: u16,
    over: Arc<AtomicBool>,
    accepting: Option<thread::JoinHandle<()>>,
}

impl Sink {
    /// Keeps what it is given in this folder.
    pub(super) fn new(folder: &Path) -> Self {
        let (listener, port) = loop {
            let port = free_port();
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
                break (listener, port);
            }
        };
        let over = Arc::new(AtomicBool::new(false));
        let accepting = thread::spawn({
            let (folder, over, number) = (folder.to_owned(), Arc::clone(&over), Arc::new(AtomicU32::new(0)));
            move || {
                while let Ok((client, _)) = listener.accept() {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let (folder, number) = (folder.clone(), Arc::clone(&number));
                    // Whoever hangs up in the middle of a message has not handed it on.
                    thread::spawn(move || serve(&client, &folder, &number));
                }
            }
        });
        Self { port, over, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The call that ends the wait for calls.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(accepting) = self.accepting.take() {
            accepting.join().unwrap();
        }
    }
}

fn serve(mut client: &TcpStream, folder: &Path, number: &AtomicU32) -> io::Result<()> {
    let mut lines = BufReader::new(client);
    client.set_nodelay(true)?;
    client.write_all(b"220 sink\r\n")?;
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let verb = line.to_ascii_uppercase();
        let reply: &[u8] = match &verb[..] {
            [b'E' | b'L', b'H', b'L', b'O', ..] => b"250-sink\r\n250 8BITMIME\r\n",
            b"DATA\r\n" => {
                client.write_all(b"354 go on\r\n")?;
                let name: PathBuf = number.fetch_add(1, Ordering::Relaxed).to_string().into();
                std::fs::write(folder.join(name), message(&mut lines)?)?;
                b"250 kept\r\n"
            }
            b"QUIT\r\n" => b"221 goodbye\r\n",
            _ => b"250 ok\r\n",
        };
        client.write_all(reply)?;
        line.clear();
    }
    Ok(())
}

/// What stands between DATA and the dot, unstuffed.
fn message(lines: &mut BufReader<&TcpStream>) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line)?;
        match &line[..] {
            b".\r\n" => return Ok(message),
            [b'.', rest @ ..] => message.extend_from_slice(rest),
            [] => return Err(io::ErrorKind::UnexpectedEof.into()),
            line => message.extend_from_slice(line),
        }
    }
}
