//! Messages, by DATA and by BDAT, in pieces of any size.

use core::time::Duration;
use std::sync::Arc;

use bytes::BytesMut;
use peer_smtp_proto::request::receiver::{BdatReceiver, DataReceiver};
use peer_smtp_proto::{Error, Request};
use proptest::collection::vec;
use proptest::sample::select;
use smtp_proto::{Domain, Event, Link, ServerConfig, ServerSession, Step, Strays};

use crate::{Reason, compare};

/// What came of octets behind a 354, or of a session with BDAT.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    message: Vec<u8>,
    /// How many octets were left behind its end; `None` where it did not end.
    left: Option<usize>,
}

struct Case {
    wire: Vec<u8>,
    ours: Received,
    theirs: Received,
}

impl Case {
    fn has(&self, octets: &[u8]) -> bool {
        self.wire.windows(octets.len()).any(|some| some == octets)
    }
}

const TEXT: &[&str] = &["\r\n", "\r\n.", ".", "..", "\r", "\n", "\0", "x", "text\r\n", "\r\n.\r\n", "\r\n.\r\r\n", "ä"];

const OF_DATA: &[Reason<Case>] = &[
    Reason::new("RFC 5321 §4.1.1.4: a message may be empty, a lone dot at once; theirs goes on", |case| {
        case.wire.starts_with(b".\r\n") && case.ours.left.is_some()
    }),
    Reason::new("RFC 5321 §4.5.2: a dot that begins the first line protects it too; they leave it there", |case| {
        case.wire.starts_with(b".") && !case.wire.starts_with(b".\r\n")
    }),
    Reason::new("RFC 5321 §4.1.1.4: CRLF, dot, CRLF ends a message; theirs ends by CRLF, dot, any CRs, CRLF", |case| {
        case.has(b"\r\n.\r\r")
    }),
];

#[test]
fn messages_by_data_are_the_same_or_there_is_a_reason() {
    let drawn = (vec(select(TEXT), 0..12), vec(1..9_usize, 1..4));
    let read = |(text, cuts): &(Vec<&str>, Vec<usize>)| {
        let wire = [text.concat().as_bytes(), b"\r\n.\r\nQUIT\r\n"].concat();
        let (ours, theirs) = (our_data(&wire, cuts), their_data(&wire, cuts));
        Case { wire, ours, theirs }
    };
    let told =
        |case: &Case| format!("{}\n  ours {:?}\n  theirs {:?}", case.wire.escape_ascii(), case.ours, case.theirs);
    compare(20_000, drawn, OF_DATA, read, |case| case.ours == case.theirs, told);
}

/// A message by BDAT is the same octets to both; whether a size is one, the commands' test says.
#[test]
fn messages_by_bdat_are_the_same() {
    let drawn = (vec(vec(select(TEXT), 0..6), 1..4), vec(1..9_usize, 1..4));
    let read = |(chunks, cuts): &(Vec<Vec<&str>>, Vec<usize>)| {
        let mut wire = Vec::new();
        for (number, chunk) in chunks.iter().map(|chunk| chunk.concat()).enumerate() {
            let last = if number + 1 == chunks.len() { " LAST" } else { "" };
            wire.extend_from_slice(format!("BDAT {}{last}\r\n{chunk}", chunk.len()).as_bytes());
        }
        wire.extend_from_slice(b"QUIT\r\n");
        let (ours, theirs) = (our_chunks(&wire, cuts), their_chunks(&wire));
        Case { wire, ours, theirs }
    };
    let told =
        |case: &Case| format!("{}\n  ours {:?}\n  theirs {:?}", case.wire.escape_ascii(), case.ours, case.theirs);
    compare(5000, drawn, &[], read, |case| case.ours == case.theirs, told);
}

fn our_data(wire: &[u8], cuts: &[usize]) -> Received {
    receive(b"DATA\r\n", wire, cuts)
}

fn our_chunks(wire: &[u8], cuts: &[usize]) -> Received {
    receive(b"", wire, cuts)
}

/// A session that takes every octet; it is given the wire in such pieces.
fn receive(lead: &[u8], wire: &[u8], cuts: &[usize]) -> Received {
    let config = ServerConfig {
        data: Strays::KEEP,
        bdat: Strays::KEEP,
        ..ServerConfig::new(Domain::parse("server.test").unwrap().into_owned())
    };
    let now = Duration::ZERO;
    let mut session = ServerSession::new(Arc::new(config), Link::default(), now);
    let (mut input, mut out, mut message) = (BytesMut::new(), BytesMut::new(), Vec::new());
    input.extend_from_slice(b"EHLO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<b@server.test>\r\n");
    input.extend_from_slice(lead);
    let (mut rest, mut cuts) = (wire, cuts.iter().cycle());
    loop {
        match session.next_event(now, &mut input, &mut out) {
            Step::Event(Event::Chunk(chunk)) => message.extend_from_slice(&chunk),
            Step::Event(Event::End(_)) => return Received { message, left: Some(input.len() + rest.len()) },
            Step::Event(event) if event.is_question() => session.accept(now, &mut out).unwrap(),
            Step::Event(_) => {}
            Step::NeedInput if rest.is_empty() => return Received { message, left: None },
            Step::NeedInput => {
                let (piece, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                input.extend_from_slice(piece);
                rest = later;
            }
            step @ (Step::YourTurn | Step::Switch(_) | Step::Close(_)) => panic!("{step:?}"),
        }
    }
}

fn their_data(wire: &[u8], cuts: &[usize]) -> Received {
    let (mut receiver, mut message) = (DataReceiver::new(), Vec::new());
    let (mut rest, mut cuts) = (wire, cuts.iter().cycle());
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
        let mut octets = piece.iter();
        rest = later;
        if receiver.ingest(&mut octets, &mut message) {
            return Received { message, left: Some(octets.len() + rest.len()) };
        }
    }
    Received { message, left: None }
}

fn their_chunks(wire: &[u8]) -> Received {
    let (mut octets, mut message) = (wire.iter(), Vec::new());
    loop {
        match Request::parse(&mut octets) {
            Ok(Request::Bdat { chunk_size, is_last }) => {
                let mut receiver = BdatReceiver::new(chunk_size, is_last);
                if !receiver.ingest(&mut octets, &mut message) {
                    return Received { message, left: None };
                }
                if receiver.is_last {
                    return Received { message, left: Some(octets.len()) };
                }
            }
            Err(Error::NeedsMoreData { .. }) => return Received { message, left: None },
            other => panic!("{other:?}"),
        }
    }
}
