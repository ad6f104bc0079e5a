//! A message's body coming in, beside the DATA receiver of the crate `smtp-proto`.

use std::sync::Arc;
use std::time::Duration;

use bench::{Case, compare};
use bytes::BytesMut;
use smtp_proto::{Domain, Event, Link, ServerConfig, ServerSession, Step};

/// Octets that a driver reads at once.
const READ: usize = 16 * 1024;

fn main() {
    let mut wire = Vec::new();
    while wire.len() < 1 << 20 {
        wire.extend_from_slice(b"An ordinary line of an ordinary message, of seventy-odd octets, more or less.\r\n");
    }
    wire.extend_from_slice(b"..a line that begins with a dot\r\n.\r\n");
    let config = Arc::new(ServerConfig::new(Domain::parse("mx.example").unwrap().into_owned()));

    let ours = || {
        let now = Duration::ZERO;
        let mut session = ServerSession::new(Arc::clone(&config), Link::default(), now);
        let mut input =
            BytesMut::from("EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
        let (mut out, mut pieces, mut octets) = (BytesMut::new(), wire.chunks(READ), 0u64);
        loop {
            match session.next_event(now, &mut input, &mut out) {
                Step::Event(Event::Chunk(chunk)) => octets += chunk.len() as u64,
                Step::Event(Event::End(_)) => return octets,
                // The bench does not wait for the greeting.
                Step::Event(Event::Violation(_)) => {}
                Step::Event(_) => session.accept(now, &mut out).unwrap(),
                Step::NeedInput => input.extend_from_slice(pieces.next().unwrap()),
                step => panic!("{step:?}"),
            }
        }
    };
    let peer = || {
        let mut receiver = peer_smtp_proto::request::receiver::DataReceiver::new();
        let mut message = Vec::new();
        for piece in wire.chunks(READ) {
            if receiver.ingest(&mut piece.iter(), &mut message) {
                return message.len() as u64;
            }
        }
        panic!("the message has an end");
    };
    let copy = || {
        let mut message = Vec::with_capacity(wire.len());
        wire.chunks(READ).for_each(|piece| message.extend_from_slice(piece));
        std::hint::black_box(message.len() as u64)
    };
    compare(
        "SMTP: a message of 1 MiB in reads of 16 KiB, through a whole session",
        "octet",
        5,
        Duration::from_millis(500),
        vec![
            Case::new("posthaste smtp-proto, ServerSession", ours),
            Case::new("smtp-proto 0.2, DataReceiver alone", peer),
            Case::new("memcpy", copy),
        ],
    );
}
