//! Sends what it reads: `cargo run -p posthaste-smtp-proto --example send -- HOST:PORT FROM TO <message.eml`.
//!
//! A blocking client over a plain socket, which does not go under TLS even where that is offered.
#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use smtp_proto::{
    ClientConfig, Delivery, DeliveryEvent, Domain, Envelope, ForwardPath, Link, Mail, Mailbox, Policy, Rcpt,
    ReversePath, Step, TlsPolicy,
};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [server, from, to] = words.as_slice() else { return Err("HOST:PORT FROM TO".into()) };
    let from = ReversePath::Mailbox(Mailbox::parse(from)?.into_owned());
    let to = ForwardPath::Mailbox(Mailbox::parse(to)?.into_owned());
    let envelope = Envelope {
        mail: Mail { from, parameters: Default::default() },
        recipients: vec![Rcpt { to, parameters: Default::default() }],
    };
    let config = Arc::new(ClientConfig::new(Domain::parse("localhost")?.into_owned()));
    let policy = Policy { tls: TlsPolicy::Never, ..Policy::default() };
    let mut socket = TcpStream::connect(server)?;
    let (start, mut input, mut out, mut scratch) = (Instant::now(), BytesMut::new(), BytesMut::new(), [0; 4096]);
    let mut delivery = Delivery::new(config, envelope, policy, Link::default(), start.elapsed());
    loop {
        match delivery.next_event(start.elapsed(), &mut input, &mut out) {
            Step::Event(DeliveryEvent::Body) => {
                for line in std::io::stdin().lines() {
                    delivery.body(format!("{}\r\n", line?).as_bytes(), &mut out)?;
                    socket.write_all(&out.split())?;
                }
                delivery.end_body(start.elapsed(), &mut out)?;
            }
            Step::Event(DeliveryEvent::Done(report)) => println!("{report:?}"),
            Step::Event(_) | Step::YourTurn | Step::Switch(_) => return Err("no login, no TLS, one message".into()),
            Step::NeedInput => {
                socket.write_all(&out.split())?;
                let left = delivery.poll_timeout().map(|deadline| deadline.at.saturating_sub(start.elapsed()));
                socket.set_read_timeout(left.map(|left| left.max(Duration::from_millis(1))))?;
                match socket.read(&mut scratch)? {
                    0 => delivery.handle_eof(),
                    read => input.extend_from_slice(scratch.get(..read).unwrap_or_default()),
                }
            }
            Step::Close(_) => return Ok(socket.write_all(&out)?),
        }
    }
}
