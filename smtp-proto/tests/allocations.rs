//! What a session costs in memory: its own size, and how often its commands ask for some.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use smtp_proto::{Domain, Event, Limits, Link, ServerConfig, ServerSession, StartTls, Step};

const NOW: Duration = Duration::ZERO;

/// A session behind EHLO, with buffers that are large enough.
struct Connection {
    session: ServerSession,
    input: BytesMut,
    out: BytesMut,
}

impl Connection {
    fn new() -> Self {
        let limits = Limits { chatter: u32::MAX, violations: u32::MAX, transactions: u32::MAX, ..Limits::default() };
        let mut config =
            ServerConfig { limits, ..ServerConfig::new(Domain::parse("mx.example").unwrap().into_owned()) };
        config.extensions.dsn = true;
        config.start_tls = StartTls::Offered;
        let session = ServerSession::new(Arc::new(config), Link::default(), NOW);
        let mut connection =
            Self { session, input: BytesMut::with_capacity(65_536), out: BytesMut::with_capacity(65_536) };
        connection.say(b"");
        connection.say(b"EHLO client.example\r\n");
        connection
    }

    /// Takes the octets to their end, and says yes to all.
    fn say(&mut self, octets: &[u8]) {
        self.out.clear();
        self.input.extend_from_slice(octets);
        loop {
            match self.session.next_event(NOW, &mut self.input, &mut self.out) {
                Step::NeedInput | Step::Switch(_) | Step::Close(_) => return,
                Step::Event(event) if event.is_question() => self.session.accept(NOW, &mut self.out).unwrap(),
                Step::Event(Event::Chunk(_) | Event::Aborted | Event::Violation(_)) => {}
                step @ (Step::Event(_) | Step::YourTurn) => panic!("{step:?}"),
            }
        }
    }

    fn allocations(&mut self, octets: &[u8]) -> u64 {
        allocation_counter::measure(|| self.say(octets)).count_total
    }
}

#[test]
fn a_command_without_an_address_allocates_nothing() {
    let mut connection = Connection::new();
    for line in [
        "NOOP\r\n",
        "RSET\r\n",
        "HELP\r\n",
        "VRFY bob\r\n",
        "DATA\r\n",
        "BDAT 3 LAST\r\nabc",
        "XYZZY\r\n",
        "NOOP \x01\r\n",
    ] {
        assert_eq!(connection.allocations(line.as_bytes()), 0, "{line:?} gives {:?}", connection.out);
    }
    for line in ["QUIT\r\n", "STARTTLS\r\n"] {
        assert_eq!(Connection::new().allocations(line.as_bytes()), 0, "{line:?}");
    }
}

#[test]
fn an_address_costs_one_allocation() {
    let mut connection = Connection::new();
    for (line, allocations) in [
        ("EHLO client.example\r\n", 1),
        ("MAIL FROM:<>\r\n", 0),
        ("RSET\r\n", 0),
        ("MAIL FROM:<alice@example.org> SIZE=1000 BODY=8BITMIME SMTPUTF8\r\n", 1),
        ("RCPT TO:<bob@mx.example>\r\n", 1),
        ("RCPT TO:<Postmaster>\r\n", 0),
        ("RCPT TO:<bob@mx.example> NOTIFY=NEVER\r\n", 1),
        // Of two addresses.
        ("RCPT TO:<bob@mx.example> ORCPT=rfc822;carol@example.org\r\n", 2),
        ("RCPT TO:<bob@@mx.example>\r\n", 0),
        ("DATA\r\n", 0),
    ] {
        assert_eq!(connection.allocations(line.as_bytes()), allocations, "{line:?} gives {:?}", connection.out);
    }
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<ServerSession>() <= 256, "{}", size_of::<ServerSession>());
    assert_eq!(Connection::new().session.memory(), 0);
}
