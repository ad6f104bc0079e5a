//! The two halves against each other: a delivery and a server, octets between them in pieces of any size.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use common::{Server, answer, config};
use proptest::prelude::*;
use smtp_proto::{
    ClientConfig, Close, Delivery, DeliveryEvent, Domain, Envelope, ForwardPath, Link, Mail, Outcome, Policy, Protocol,
    Rcpt, Report, ReversePath, ServerConfig, StartTls, Step, Switched, TlsInfo, TlsPolicy,
};

/// A wire that carries so many octets at a time.
fn carry(from: &mut BytesMut, to: &mut BytesMut, at_most: usize) -> bool {
    let now = from.len().min(at_most);
    to.extend_from_slice(&from[..now]);
    from.advance(now);
    now > 0
}

struct Pair {
    server: Server,
    delivery: Delivery,
    input: BytesMut,
    out: BytesMut,
    message: Vec<u8>,
    report: Option<Report>,
}

impl Pair {
    fn new(config: ServerConfig, envelope: Envelope, tls: TlsPolicy, message: &[u8]) -> Self {
        let host = Domain::parse("a.example").unwrap().into_owned();
        let client = ClientConfig { protocol: config.protocol, ..ClientConfig::new(host) };
        Self {
            server: Server::new(config),
            delivery: Delivery::new(
                Arc::new(client),
                envelope,
                Policy { tls, ..Policy::default() },
                Link::default(),
                Duration::ZERO,
            ),
            input: BytesMut::new(),
            out: BytesMut::new(),
            message: message.to_vec(),
            report: None,
        }
    }

    fn client(&mut self, piece: usize) -> Step<DeliveryEvent> {
        loop {
            match self.delivery.next_event(Duration::ZERO, &mut self.input, &mut self.out) {
                Step::Event(DeliveryEvent::Body) => {
                    for octets in self.message.chunks(piece) {
                        self.delivery.body(octets, &mut self.out).unwrap();
                    }
                    self.delivery.end_body(Duration::ZERO, &mut self.out).unwrap();
                }
                Step::Event(DeliveryEvent::Done(report)) => self.report = Some(*report),
                Step::Event(DeliveryEvent::Challenge(_) | DeliveryEvent::Idle) => panic!("not asked for"),
                step => return step,
            }
        }
    }

    /// Runs both to their ends; what became of the connection on either side.
    fn play(&mut self, pieces: &[usize]) -> (Close, Close) {
        let mut sizes = pieces.iter().copied().cycle();
        let mut idle = 0;
        loop {
            let size = sizes.next().unwrap();
            let client = self.client(size);
            let server = self.server.run_with(answer);
            let moved =
                carry(&mut self.out, &mut self.server.input, size) | carry(&mut self.server.out, &mut self.input, size);
            match (client, server) {
                (Step::Close(client), Step::Close(server)) => return (client, server),
                (Step::Switch(_), Step::Switch(_)) => {
                    self.server.shake_hands();
                    self.delivery.switched(Switched::Tls(TlsInfo::default()), Duration::ZERO);
                    idle = 0;
                }
                _ => idle = if moved { 0 } else { idle + 1 },
            }
            assert!(idle < 3, "both wait for ever: {:?} {:?}", self.server.told, self.report);
        }
    }
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(b".".to_vec()),
        Just(b"..".to_vec()),
        Just(vec![]),
        prop::collection::vec(
            any::<u8>().prop_filter("line ends and NUL", |octet| !matches!(octet, 0 | b'\r' | b'\n')),
            0..100
        ),
    ];
    (prop::collection::vec(line, 0..20), prop_oneof![Just(&b"\r\n"[..]), Just(&b""[..])])
        .prop_map(|(lines, end)| [lines.join(&b"\r\n"[..]), end.to_vec()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_sent_arrives_and_what_was_decided_is_told(
        lmtp in any::<bool>(), under_tls in any::<bool>(), message in message(),
        sender in prop::sample::select(&["a", "a", "a", "no", "later"][..]),
        names in prop::collection::vec(prop::sample::select(&["yes", "no", "later", "yes2"][..]), 1..8),
        pieces in prop::collection::vec(1_usize..200, 1..5),
    ) {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let start_tls = if under_tls { StartTls::Required } else { StartTls::Off };
        let config = ServerConfig { protocol, start_tls, ..config() };
        let rcpt = |name: &&str| Rcpt {
            to: ForwardPath::parse(&format!("<{name}@mx.example>")).unwrap().into_owned(),
            parameters: Default::default(),
        };
        let from = format!("<{sender}@a.example>");
        let mail = Mail { from: ReversePath::parse(&from).unwrap().into_owned(), parameters: Default::default() };
        let envelope = Envelope { mail, recipients: names.iter().map(rcpt).collect() };
        let mut pair = Pair::new(config, envelope, TlsPolicy::Opportunistic, &message);
        prop_assert_eq!(pair.play(&pieces), (Close::Quit, Close::Quit));

        let report = pair.report.take().unwrap();
        prop_assert_eq!(report.trouble, None);
        prop_assert_eq!(pair.delivery.session().is_under_tls(), under_tls);
        let mut anyone = false;
        for (name, outcome) in names.iter().zip(&report.outcomes) {
            let decisive = if sender == "a" { *name } else { sender };
            match decisive {
                "no" => prop_assert!(matches!(outcome, Outcome::Failed(_)), "{:?}", report),
                "later" => prop_assert!(matches!(outcome, Outcome::Deferred(_)), "{:?}", report),
                _ => {
                    prop_assert!(matches!(outcome, Outcome::Accepted(_)), "{:?}", report);
                    anyone = true;
                }
            }
        }
        prop_assert_eq!(report.outcomes.len(), names.len());
        let ended = if message.is_empty() || message.ends_with(b"\r\n") { message } else { [&message[..], b"\r\n"].concat() };
        prop_assert_eq!(pair.server.message(), if anyone { ended } else { vec![] });
    }
}
