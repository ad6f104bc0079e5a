//! A message's body through whole sessions, in and out, beside the crate `smtp-proto` and beside plain scans of its octets.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bench::{Case, compare};
use bytes::BytesMut;
use memchr::{memchr_iter, memmem};
use smtp_proto::{
    ClientConfig, ClientSession, Command, Domain, Event, ForwardPath, Link, MailParameters, RcptParameters,
    ReversePath, ServerConfig, ServerSession, Step,
};

/// Octets that a driver reads at once, or that an application writes at once.
const PIECE: usize = 16 * 1024;

const NOW: Duration = Duration::ZERO;

fn main() {
    let mut message = Vec::new();
    while message.len() < 1 << 20 {
        message.extend_from_slice(b"An ordinary line of an ordinary message, of seventy-odd octets, more or less.\r\n");
    }
    message.extend_from_slice(b".a line that begins with a dot\r\n");
    body_in(&message);
    body_out(&message);
}

fn body_in(message: &[u8]) {
    let config = Arc::new(ServerConfig::new(host().into_owned()));
    let wire = [message.strip_suffix(b".a line that begins with a dot\r\n").unwrap(), b"..a dot\r\n.\r\n"].concat();

    let ours = || {
        let mut session = ServerSession::new(Arc::clone(&config), Link::default(), NOW);
        let mut input =
            BytesMut::from("EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
        let (mut out, mut pieces, mut octets) = (BytesMut::new(), wire.chunks(PIECE), 0u64);
        loop {
            match session.next_event(NOW, &mut input, &mut out) {
                Step::Event(Event::Chunk(chunk)) => octets += chunk.len() as u64,
                Step::Event(Event::End(_)) => return octets,
                // The bench does not wait for the greeting.
                Step::Event(Event::Violation(_)) => {}
                Step::Event(_) => session.accept(NOW, &mut out).unwrap(),
                Step::NeedInput => input.extend_from_slice(pieces.next().unwrap()),
                step => panic!("{step:?}"),
            }
        }
    };
    let peer = || {
        let mut receiver = peer_smtp_proto::request::receiver::DataReceiver::new();
        let mut message = Vec::new();
        for piece in wire.chunks(PIECE) {
            if receiver.ingest(&mut piece.iter(), &mut message) {
                return message.len() as u64;
            }
        }
        panic!("the message has an end");
    };
    let copy = || {
        let mut message = Vec::with_capacity(wire.len());
        wire.chunks(PIECE).for_each(|piece| message.extend_from_slice(piece));
        black_box(message.len() as u64)
    };
    compare(
        "SMTP: a message of 1 MiB in reads of 16 KiB, through a whole session",
        "octet",
        5,
        Duration::from_millis(500),
        vec![
            Case::new("posthaste smtp-proto, ServerSession", ours),
            Case::new("smtp-proto 0.2, DataReceiver alone", peer),
            Case::new("memchr for each LF, no more", || scan(&wire)),
            Case::new("memcpy", copy),
        ],
    );
}

fn body_out(message: &[u8]) {
    let config = Arc::new(ClientConfig::new(host().into_owned()));
    let envelope = [
        (Command::Ehlo(host()), "250 mx.example\r\n"),
        (
            Command::Mail { from: ReversePath::parse("<>").unwrap(), parameters: MailParameters::default() },
            "250 ok\r\n",
        ),
        (
            Command::Rcpt { to: ForwardPath::parse("<c@d.example>").unwrap(), parameters: RcptParameters::default() },
            "250 ok\r\n",
        ),
        (Command::Data, "354 go\r\n"),
    ];

    let ours = || {
        let mut session = ClientSession::new(Arc::clone(&config), Link::default(), NOW);
        let (mut input, mut out) = (BytesMut::from("220 mx.example\r\n"), BytesMut::new());
        let _ = session.next_event(NOW, &mut input, &mut out);
        for (command, reply) in &envelope {
            session.send(command, NOW, &mut out).unwrap();
            input.extend_from_slice(reply.as_bytes());
            let _ = session.next_event(NOW, &mut input, &mut out);
        }
        for piece in message.chunks(PIECE) {
            out.clear();
            session.body(piece, &mut out).unwrap();
            black_box(&out);
        }
        session.end_body(NOW, &mut out).unwrap();
        message.len() as u64
    };
    let stuffed = || {
        let mut out = BytesMut::new();
        for piece in message.chunks(PIECE) {
            out.clear();
            let mut rest = piece;
            while let Some(dot) = memmem::find(rest, b"\n.") {
                let (before, behind) = rest.split_at(dot + 1);
                out.extend_from_slice(before);
                out.extend_from_slice(b".");
                rest = behind;
            }
            out.extend_from_slice(rest);
            black_box(&out);
        }
        message.len() as u64
    };
    compare(
        "SMTP: a message of 1 MiB out in pieces of 16 KiB, through a whole session",
        "octet",
        5,
        Duration::from_millis(500),
        vec![
            Case::new("posthaste smtp-proto, ClientSession", ours),
            Case::new("memmem for LF and dot, and a copy, no more", stuffed),
            Case::new("memchr for each LF, no more", || scan(message)),
        ],
    );
}

fn scan(octets: &[u8]) -> u64 {
    for piece in octets.chunks(PIECE) {
        memchr_iter(b'\n', piece).for_each(|at| {
            black_box(at);
        });
    }
    octets.len() as u64
}

fn host() -> Domain<&'static str> {
    Domain::parse("mx.example").unwrap()
}
