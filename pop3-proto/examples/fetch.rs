//! Prints what a maildrop holds: `cargo run -p posthaste-pop3-proto --example fetch -- HOST:PORT USER PASSWORD`.
//!
//! A blocking client over a plain socket. It has no TLS, so that the password goes in clear: for the own machine only.
#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use pop3_proto::{Choice, Fetch, FetchEvent, Link, Login, Policy, Secret, Step, TlsPolicy};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, password] = words.as_slice() else { return Err("HOST:PORT USER PASSWORD".into()) };
    let mut socket = TcpStream::connect(server)?;
    let login = Login::Password { user: user.clone(), password: Secret::new(password.clone().into_bytes()) };
    let policy = Policy { tls: TlsPolicy::Never, ..Policy::default() };
    let (start, mut input, mut out) = (Instant::now(), BytesMut::new(), BytesMut::new());
    let mut fetch = Fetch::new(Default::default(), login, policy, Link::default(), start.elapsed());
    loop {
        match fetch.next_event(start.elapsed(), &mut input, &mut out) {
            Step::Event(FetchEvent::Maildrop) => {
                for offer in fetch.offers() {
                    let (size, uidl) = (offer.size.unwrap_or(0), offer.uidl.as_deref().unwrap_or("-"));
                    println!("{:>6} {size:>10} {uidl}", offer.number);
                }
                fetch.choose(|_| Choice::Leave, start.elapsed(), &mut out)?;
            }
            Step::Event(FetchEvent::Done(report)) => println!("{report:?}"),
            Step::Event(_) => fetch.decline(start.elapsed(), &mut out),
            Step::NeedInput => {
                socket.write_all(&out.split())?;
                let deadline = fetch.poll_timeout().map(|deadline| deadline.at.saturating_sub(start.elapsed()));
                socket.set_read_timeout(deadline.map(|left| left.max(Duration::from_secs(1))))?;
                let mut read = [0; 16 * 1024];
                match socket.read(&mut read)? {
                    0 => fetch.handle_eof(),
                    length => input.extend_from_slice(read.get(..length).unwrap_or_default()),
                }
            }
            Step::Switch(_) | Step::YourTurn => return Err("there is no TLS, and every question is answered".into()),
            Step::Close(_) => return Ok(socket.write_all(&out)?),
        }
    }
}
