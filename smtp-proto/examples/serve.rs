//! Takes mail on port 2525 and prints it: `cargo run -p posthaste-smtp-proto --example serve`.
//!
//! One client after the other, over plain sockets. Nothing of a message is durable here, so that the 250 is a lie: for looking only.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use smtp_proto::{Domain, Event, Link, ServerConfig, ServerSession, Step};

fn main() -> Result<(), Box<dyn Error>> {
    let config = Arc::new(ServerConfig::new(Domain::parse("localhost")?.into_owned()));
    for stream in TcpListener::bind("127.0.0.1:2525")?.incoming() {
        serve(stream?, &config).unwrap_or_else(|error| eprintln!("{error}"));
    }
    Ok(())
}

fn serve(mut stream: TcpStream, config: &Arc<ServerConfig>) -> Result<(), Box<dyn Error>> {
    let (start, mut input, mut out, mut scratch) = (Instant::now(), BytesMut::new(), BytesMut::new(), [0; 4096]);
    let mut session = ServerSession::new(Arc::clone(config), Link::default(), start.elapsed());
    loop {
        match session.next_event(start.elapsed(), &mut input, &mut out) {
            Step::Event(Event::Chunk(octets)) => std::io::stdout().write_all(&octets)?,
            Step::Event(question) if question.is_question() => session.accept(start.elapsed(), &mut out)?,
            Step::Event(news) => eprintln!("{news:?}"),
            Step::NeedInput => {
                stream.write_all(&out.split())?;
                let left = session.poll_timeout().map(|deadline| deadline.at.saturating_sub(start.elapsed()));
                stream.set_read_timeout(left.map(|left| left.max(Duration::from_millis(1))))?;
                match stream.read(&mut scratch) {
                    Ok(0) => session.handle_eof(),
                    Ok(read) => input.extend_from_slice(scratch.get(..read).unwrap_or_default()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        session.handle_timeout(start.elapsed(), &mut out)
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Step::YourTurn | Step::Switch(_) => return Err("every question is answered, and TLS is not offered".into()),
            Step::Close(_) => return Ok(stream.write_all(&out)?),
        }
    }
}
