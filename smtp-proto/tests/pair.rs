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
    BodyType, Chunking, ClientConfig, Close, Delivery, DeliveryEvent, Domain, Envelope, Event, Extensions, ForwardPath,
    Limits, Link, Login, Mail, MailParameters, Mechanism, Outcome, PlaintextLogin, Policy, Protocol, Rcpt, Report,
    Reuse, ReversePath, Secret, Senders, ServerConfig, StartTls, Step, Switched, TlsInfo, TlsPolicy,
};

const NOW: Duration = Duration::ZERO;

/// A wire that carries so many octets at a time.
fn carry(from: &mut BytesMut, to: &mut BytesMut, at_most: usize) -> bool {
    let now = from.len().min(at_most);
    to.extend_from_slice(&from[..now]);
    from.advance(now);
    now > 0
}

/// A message, who sends it, and who is to get it.
#[derive(Clone, Debug)]
struct Letter {
    sender: &'static str,
    names: Vec<&'static str>,
    text: Vec<u8>,
    body: Option<BodyType>,
}

impl Letter {
    fn envelope(&self) -> Envelope {
        let rcpt = |name: &&str| Rcpt {
            to: ForwardPath::parse(&format!("<{name}@mx.example>")).unwrap().into_owned(),
            parameters: Default::default(),
        };
        let from = format!("<{}@a.example>", self.sender);
        let parameters =
            MailParameters { size: Some(self.text.len() as u64), body: self.body, ..MailParameters::default() };
        Envelope {
            mail: Mail { from: ReversePath::parse(&from).unwrap().into_owned(), parameters },
            recipients: self.names.iter().map(rcpt).collect(),
        }
    }
}

struct Pair {
    server: Server,
    delivery: Delivery,
    input: BytesMut,
    out: BytesMut,
    letters: Vec<Letter>,
    reports: Vec<Report>,
}

impl Pair {
    fn new(config: ServerConfig, policy: Policy, letters: &[Letter]) -> Self {
        let host = Domain::parse("a.example").unwrap().into_owned();
        let client = ClientConfig { protocol: config.protocol, ..ClientConfig::new(host) };
        Self {
            server: Server::new(config),
            delivery: Delivery::new(Arc::new(client), letters[0].envelope(), policy, Link::default(), NOW),
            input: BytesMut::new(),
            out: BytesMut::new(),
            letters: letters.to_vec(),
            reports: vec![],
        }
    }

    fn client(&mut self, piece: usize) -> Step<DeliveryEvent> {
        loop {
            match self.delivery.next_event(NOW, &mut self.input, &mut self.out) {
                Step::Event(DeliveryEvent::Body) => {
                    for octets in self.letters[self.reports.len()].text.chunks(piece) {
                        self.delivery.body(octets, &mut self.out).unwrap();
                    }
                    self.delivery.end_body(NOW, &mut self.out).unwrap();
                }
                Step::Event(DeliveryEvent::Challenge(challenge)) => {
                    assert_eq!(challenge.expose(), b"again");
                    self.delivery.respond(b"secret", NOW, &mut self.out).unwrap();
                }
                Step::Event(DeliveryEvent::Done(report)) => self.reports.push(*report),
                Step::Event(DeliveryEvent::Idle) => match self.letters.get(self.reports.len()) {
                    Some(letter) => self.delivery.again(letter.envelope(), NOW, &mut self.out).unwrap(),
                    None => self.delivery.decline(NOW, &mut self.out),
                },
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
                    self.delivery.switched(Switched::Tls(TlsInfo::default()), NOW);
                    idle = 0;
                }
                _ => idle = if moved { 0 } else { idle + 1 },
            }
            assert!(idle < 3, "both wait for ever: {:?} {:?}", self.server.told, self.reports);
        }
    }

    /// The messages that the server took.
    fn arrived(&self) -> Vec<Vec<u8>> {
        let (mut whole, mut message) = (vec![], vec![]);
        for event in &self.server.told {
            match event {
                Event::Chunk(chunk) => message.extend_from_slice(chunk),
                Event::End(_) => whole.push(std::mem::take(&mut message)),
                _ => {}
            }
        }
        whole
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
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

fn letter() -> impl Strategy<Value = Letter> {
    let sender = prop::sample::select(&["a", "a", "a", "no", "later"][..]);
    let names = prop::collection::vec(prop::sample::select(&["yes", "no", "later", "yes2"][..]), 1..8);
    let lines = (text(), prop::sample::select(&[None, Some(BodyType::SevenBit), Some(BodyType::EightBitMime)][..]));
    let octets = (prop::collection::vec(any::<u8>(), 0..500), Just(Some(BodyType::BinaryMime)));
    (sender, names, prop_oneof![3 => lines.boxed(), 1 => octets.boxed()])
        .prop_map(|(sender, names, (text, body))| Letter { sender, names, text, body })
}

/// A server that offers all that a delivery uses, and takes so many recipients at a time.
fn server(lmtp: bool, under_tls: bool, recipients: u32) -> ServerConfig {
    let config = config();
    ServerConfig {
        protocol: if lmtp { Protocol::Lmtp } else { Protocol::Smtp },
        start_tls: if under_tls { StartTls::Required } else { StartTls::Off },
        senders: Senders::LoggedIn,
        mechanisms: vec!["PLAIN".into()],
        plaintext_login: PlaintextLogin::Always,
        extensions: Extensions { binary_mime: true, ..config.extensions },
        limits: Limits { recipients, ..Limits::default() },
        ..config
    }
}

/// What arrives of a text: by DATA it ends with a line's end.
fn ended(text: &[u8]) -> Vec<u8> {
    let missing = if text.is_empty() || text.ends_with(b"\r\n") { &b""[..] } else { b"\r\n" };
    [text, missing].concat()
}

fn login(initial: &str) -> Login {
    let mechanism = Mechanism::parse("PLAIN").unwrap().into_owned();
    Login::Sasl { mechanism, initial: Some(Secret::new(initial.as_bytes().to_vec())) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_sent_arrives_and_what_was_decided_is_told(
        lmtp in any::<bool>(), under_tls in any::<bool>(), recipients in 1_u32..10, in_chunks in any::<bool>(),
        initial in prop::sample::select(&["secret", "more"][..]), letters in prop::collection::vec(letter(), 1..4),
        pieces in prop::collection::vec(1_usize..200, 1..5),
    ) {
        let tls = if under_tls { TlsPolicy::Required } else { TlsPolicy::Never };
        let chunking = if in_chunks { Chunking::WhereOffered } else { Chunking::WhereNeeded };
        let policy = Policy { tls, login: Some(login(initial)), chunking, reuse: Reuse::Ask };
        let mut pair = Pair::new(server(lmtp, under_tls, recipients), policy, &letters);
        prop_assert_eq!(pair.play(&pieces), (Close::Quit, Close::Quit));

        prop_assert_eq!(pair.delivery.session().is_under_tls(), under_tls);
        prop_assert_eq!(pair.reports.len(), letters.len());
        let mut expected = vec![];
        for (letter, report) in letters.iter().zip(&pair.reports) {
            prop_assert_eq!(report.trouble, None);
            prop_assert_eq!(report.outcomes.len(), letter.names.len());
            // By LIMITS the server has told how many it takes at a time.
            for group in letter.names.chunks(recipients as usize) {
                if letter.sender == "a" && group.iter().any(|name| name.starts_with("yes")) {
                    let by_data = !in_chunks && letter.body != Some(BodyType::BinaryMime);
                    expected.push(if by_data { ended(&letter.text) } else { letter.text.clone() });
                }
            }
            for (name, outcome) in letter.names.iter().zip(&report.outcomes) {
                let decisive = if letter.sender == "a" { *name } else { letter.sender };
                match decisive {
                    "no" => prop_assert!(matches!(outcome, Outcome::Failed(_)), "{:?}", report),
                    "later" => prop_assert!(matches!(outcome, Outcome::Deferred(_)), "{:?}", report),
                    _ => prop_assert!(matches!(outcome, Outcome::Accepted(_)), "{:?}", report),
                }
            }
        }
        prop_assert_eq!(pair.arrived(), expected);
    }
}

#[test]
fn pieces_of_every_size_make_the_same_dialogue() {
    let letter = |names: &[&'static str], body| Letter {
        sender: "a",
        names: names.to_vec(),
        text: b".\r\n..\r\nx\r\n".to_vec(),
        body,
    };
    let letters = [
        letter(&["yes", "no", "yes2"], None),
        letter(&["later", "yes"], Some(BodyType::BinaryMime)),
        letter(&["no"], None),
    ];
    for lmtp in [false, true] {
        let mut first: Option<(Vec<Event>, Vec<Report>)> = None;
        for size in (1..100).chain([1000]) {
            let policy =
                Policy { tls: TlsPolicy::Required, login: Some(login("more")), reuse: Reuse::Ask, ..Policy::default() };
            let mut pair = Pair::new(server(lmtp, true, 2), policy, &letters);
            assert_eq!(pair.play(&[size]), (Close::Quit, Close::Quit), "{size}");
            let told = (pair.server.told, pair.reports);
            assert_eq!(first.get_or_insert_with(|| told.clone()), &told, "{size}");
        }
    }
}
