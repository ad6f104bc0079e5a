//! The two halves against each other, octets between them in pieces of any size; and a client against octets of no sense.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pop3_proto::{
    Choice, ClientConfig, ClientEvent, ClientLimits, ClientSession, Close, Command, Ending, Event, Fetch, FetchEvent,
    LineEnds, Link, Login, Maildrop, Mechanism, Message, PlaintextLogin, Policy, Progress, Reply, Report, Secret,
    ServerConfig, ServerSession, ShutDown, Step, Stls, Switched, TlsInfo, TlsPolicy, Utf8, Utf8Policy,
};
use proptest::prelude::*;

const NOW: Duration = Duration::ZERO;

fn config() -> ServerConfig {
    ServerConfig {
        stls: Stls::Offered,
        utf8: Utf8::Offered,
        plaintext_login: PlaintextLogin::Always,
        mechanisms: vec!["PLAIN".into()],
        ..ServerConfig::default()
    }
}

/// What a text is on its way: the terminator needs a CRLF before it.
fn ended(text: &[u8]) -> Vec<u8> {
    let missing = if text.is_empty() || text.ends_with(b"\r\n") { &b""[..] } else { b"\r\n" };
    [text, missing].concat()
}

fn maildrop(texts: &[Vec<u8>]) -> Arc<Maildrop> {
    let message = |(index, text): (usize, &Vec<u8>)| Message {
        size: text.len() as u64,
        ending: if ended(text) == *text { Ending::Crlf } else { Ending::Open },
        uidl: format!("uid{index}").into(),
    };
    Arc::new(Maildrop::new(texts.iter().enumerate().map(message).collect()).unwrap())
}

/// A server and its application: gives out texts, but none that begins with `no`, and deletes if it is willing to.
struct Server {
    session: ServerSession,
    input: BytesMut,
    out: BytesMut,
    texts: Vec<Vec<u8>>,
    update: Reply,
    deleted: Option<Vec<u32>>,
}

impl Server {
    fn new(texts: Vec<Vec<u8>>, update: Reply) -> Self {
        let session = ServerSession::new(Arc::new(config()), Link::default(), NOW);
        Self { session, input: BytesMut::new(), out: BytesMut::new(), texts, update, deleted: None }
    }

    fn run(&mut self) -> Step<Event> {
        loop {
            let event = match self.session.next_event(NOW, &mut self.input, &mut self.out) {
                Step::Event(event) => event,
                step => return step,
            };
            match event {
                Event::Connected => self.session.accept(NOW, &mut self.out),
                Event::Login { user, password } => self.log_in(user == "bob" && password.expose() == b"x"),
                Event::Auth { initial: None, .. } => self.session.challenge(b"", NOW, &mut self.out),
                Event::Auth { initial: Some(said), .. } | Event::SaslResponse(said) => {
                    self.log_in(said.expose() == b"\0bob\0x")
                }
                Event::List => {
                    while self.session.list_more(NOW, &mut self.out).unwrap() == Progress::More {}
                    Ok(())
                }
                Event::Retrieve { number } | Event::Top { number } => self.send(number),
                Event::Update { deleted } => {
                    self.deleted = Some(deleted);
                    self.session.reply(&self.update, NOW, &mut self.out)
                }
                event => panic!("{event:?}"),
            }
            .unwrap();
        }
    }

    fn log_in(&mut self, good: bool) -> Result<(), pop3_proto::Misuse> {
        match good {
            true => self.session.open(maildrop(&self.texts), NOW, &mut self.out),
            false => self.session.reply(&Reply::err("no"), NOW, &mut self.out),
        }
    }

    fn send(&mut self, number: u32) -> Result<(), pop3_proto::Misuse> {
        let text = &self.texts[number as usize - 1];
        if text.starts_with(b"no") {
            return self.session.reply(&Reply::err("not this one"), NOW, &mut self.out);
        }
        self.session.accept(NOW, &mut self.out)?;
        text.chunks(7).try_for_each(|piece| self.session.body(piece, &mut self.out))?;
        self.session.end_body(NOW, &mut self.out)
    }

    fn hear(&mut self, text: &str) -> BytesMut {
        self.input.extend_from_slice(text.as_bytes());
        assert_eq!(self.run(), Step::NeedInput);
        self.out.split()
    }
}

/// A wire that carries so many octets at a time.
fn carry(from: &mut BytesMut, to: &mut BytesMut, at_most: usize) -> bool {
    let now = from.len().min(at_most);
    to.extend_from_slice(&from[..now]);
    from.advance(now);
    now > 0
}

#[test]
fn every_text_arrives_octet_for_octet_at_every_split() {
    let alphabet = b".\r\n\0x";
    let texts: Vec<Vec<u8>> = (0..=6_u32)
        .flat_map(|length| {
            let text = move |n: usize| (0..length).map(|i| alphabet[n / 5_usize.pow(i) % 5]).collect();
            (0..5_usize.pow(length)).map(text)
        })
        .collect();
    let mut server = Server::new(texts.clone(), Reply::ok(""));
    server.hear("USER bob\r\nPASS x\r\n");
    let mut client = ClientSession::new(Arc::default(), Link::default(), NOW);
    let (mut input, mut out) = (BytesMut::from("+OK\r\n+OK\r\n"), BytesMut::new());
    assert!(matches!(client.next_event(NOW, &mut input, &mut out), Step::Event(ClientEvent::Greeting(_))));
    client.send(&Command::Pass(pop3_proto::Password::parse(b"x").unwrap()), NOW, &mut out).unwrap();
    assert!(matches!(client.next_event(NOW, &mut input, &mut out), Step::Event(ClientEvent::Reply { .. })));
    for (text, number) in texts.iter().zip(1..) {
        let wire = server.hear(&format!("RETR {number}\r\n"));
        let expected = ended(text);
        let body = wire.windows(2).position(|octets| octets == b"\r\n").unwrap() + 2;
        for cut in body..wire.len() {
            let to = client.send(&Command::Retr(number), NOW, &mut out).unwrap();
            let (mut message, mut done) = (vec![], false);
            for piece in [&wire[..cut], &wire[cut..]] {
                input.extend_from_slice(piece);
                while let Step::Event(event) = client.next_event(NOW, &mut input, &mut out) {
                    message.extend(event.chunk().map(|chunk| chunk.to_vec()).unwrap_or_default());
                    done |= event == ClientEvent::End { to };
                }
            }
            assert!(done && message == expected, "{text:?} gives {message:?}, {wire:?} cut at {cut}");
            out.clear();
        }
    }
}

/// What a visit to [`Server`] does with each message, and what it has got.
struct Visit {
    fetch: Fetch,
    input: BytesMut,
    out: BytesMut,
    choices: Vec<Choice>,
    /// Whether a message that was got is deleted.
    deletes: Vec<bool>,
    /// The message that comes in.
    coming: u32,
    got: BTreeMap<u32, Vec<u8>>,
    refused: Vec<u32>,
    report: Option<Report>,
}

impl Visit {
    fn run(&mut self) -> Step<FetchEvent> {
        loop {
            match self.fetch.next_event(NOW, &mut self.input, &mut self.out) {
                Step::Event(FetchEvent::Maildrop) => {
                    let choice = |offer: &pop3_proto::Offer| {
                        let index = offer.number as usize - 1;
                        assert_eq!(offer.uidl.as_deref(), Some(&*format!("uid{index}")));
                        self.choices[index]
                    };
                    self.fetch.choose(choice, NOW, &mut self.out).unwrap();
                }
                Step::Event(FetchEvent::Message(offer)) => self.coming = offer.number,
                Step::Event(FetchEvent::Chunk(chunk)) => {
                    self.got.entry(self.coming).or_default().extend_from_slice(&chunk);
                }
                Step::Event(FetchEvent::Received { offer, octets }) => {
                    let got = self.got.entry(offer.number).or_default();
                    assert_eq!(got.len() as u64, octets);
                    if self.choices[offer.number as usize - 1] == Choice::Get {
                        assert_eq!(offer.size, Some(octets));
                    }
                    match self.deletes[offer.number as usize - 1] {
                        true => self.fetch.delete(NOW, &mut self.out).unwrap(),
                        false => self.fetch.accept(NOW, &mut self.out).unwrap(),
                    }
                }
                Step::Event(FetchEvent::Refused { offer, .. }) => self.refused.push(offer.number),
                Step::Event(FetchEvent::Done(report)) => assert_eq!(self.report.replace(*report), None, "told once"),
                Step::Event(event) => panic!("{event:?}"),
                step => return step,
            }
        }
    }

    /// Runs both to their ends; what became of the connection on either side.
    fn play(&mut self, server: &mut Server, pieces: &[usize]) -> (Close, Close) {
        let mut sizes = pieces.iter().copied().cycle();
        let mut idle = 0;
        loop {
            let size = sizes.next().unwrap();
            let (theirs, ours) = (server.run(), self.run());
            let moved = carry(&mut self.out, &mut server.input, size) | carry(&mut server.out, &mut self.input, size);
            match (ours, theirs) {
                (Step::Close(ours), Step::Close(theirs)) => return (ours, theirs),
                (Step::Switch(_), Step::Switch(_)) => {
                    server.session.switched(Switched::Tls(TlsInfo::default()), NOW);
                    self.fetch.switched(Switched::Tls(TlsInfo::default()), NOW);
                    idle = 0;
                }
                _ => idle = if moved { 0 } else { idle + 1 },
            }
            assert!(idle < 3, "both wait for ever: {:?}", self.report);
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let words = [&b"."[..], b"\r\n", b"\n", b"\r", b"\0", b"A: b", b"\r\n.\r\n", b"\n..\r\n"];
    let piece = prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => Just(b"no".to_vec()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        3 => Just(Choice::Get),
        1 => (0..3_u32).prop_map(Choice::Top),
        1 => Just(Choice::Delete),
        1 => Just(Choice::Leave),
    ]
}

fn login() -> impl Strategy<Value = Login> {
    let mechanism = Mechanism::parse(b"PLAIN").unwrap().into_owned();
    prop_oneof![
        Just(Login::Password { user: "bob".into(), password: Secret::new(b"x".to_vec()) }),
        Just(Login::Sasl { mechanism, initial: Some(Secret::new(b"\0bob\0x".to_vec())) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_chosen_arrives_and_what_is_confirmed_is_deleted(
        login in login(), tls in any::<bool>(), utf8 in any::<bool>(), lf in any::<bool>(), window in 1..5_usize,
        messages in prop::collection::vec((text(), choice(), any::<bool>()), 0..8),
        pieces in prop::collection::vec(1_usize..300, 1..5), deletes_at_quit in any::<bool>(),
    ) {
        let line_ends = if lf { LineEnds::CrlfOrLf } else { LineEnds::Crlf };
        let limits = ClientLimits { window, ..ClientLimits::default() };
        let config = ClientConfig { line_ends, limits, ..ClientConfig::default() };
        let policy = Policy {
            tls: if tls { TlsPolicy::Required } else { TlsPolicy::Never },
            utf8: if utf8 { Utf8Policy::WhereOffered } else { Utf8Policy::Never },
        };
        let texts: Vec<_> = messages.iter().map(|(text, ..)| text.clone()).collect();
        let update = if deletes_at_quit { Reply::ok("bye") } else { Reply::err("not all") };
        let mut server = Server::new(texts, update);
        let mut visit = Visit {
            fetch: Fetch::new(Arc::new(config), login, policy, Link::default(), NOW),
            input: BytesMut::new(),
            out: BytesMut::new(),
            choices: messages.iter().map(|(_, choice, _)| *choice).collect(),
            deletes: messages.iter().map(|(.., delete)| *delete).collect(),
            coming: 0,
            got: BTreeMap::new(),
            refused: vec![],
            report: None,
        };
        prop_assert_eq!(visit.play(&mut server, &pieces), (Close::Quit, Close::Quit));
        prop_assert_eq!(visit.fetch.session().is_under_tls(), tls);
        prop_assert_eq!(server.session.is_utf8(), utf8);

        let mut deleted = vec![];
        for ((text, choice, delete), number) in messages.iter().zip(1..) {
            let refused = text.starts_with(b"no") && matches!(choice, Choice::Get | Choice::Top(_));
            prop_assert_eq!(visit.refused.contains(&number), refused);
            let got = visit.got.get(&number);
            match choice {
                Choice::Delete => deleted.push(number),
                Choice::Leave => {}
                Choice::Get | Choice::Top(_) if refused => {}
                Choice::Get => prop_assert_eq!(got, Some(&ended(text))),
                // How much of it is the server's business, and tested there.
                Choice::Top(_) => {
                    let got = got.unwrap();
                    prop_assert!(ended(text).starts_with(got) || text.starts_with(got.strip_suffix(b"\r\n").unwrap()));
                }
            }
            match choice {
                Choice::Get | Choice::Top(_) if *delete && !refused => deleted.push(number),
                Choice::Get | Choice::Top(_) if !refused => {}
                _ => prop_assert_eq!(got, None),
            }
        }
        prop_assert_eq!(server.deleted.as_ref(), Some(&deleted));
        let report = visit.report.take().unwrap();
        prop_assert_eq!((report.offered, report.deleted, report.not_deleted), (messages.len(), deleted.len(), 0));
        prop_assert_eq!((report.received, report.refused), (visit.got.len(), visit.refused.len()));
        prop_assert_eq!(report.goodbye.as_ref().map(Reply::is_positive), Some(deletes_at_quit));
        prop_assert_eq!(report.trouble.is_none(), deletes_at_quit);
    }
}

/// Octets that a server might say, and some that none should.
fn babble() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "+OK\r\n",
        "+OK\r\n",
        "+OK\r\n",
        "-ERR no\r\n",
        "+ \r\n",
        "+ eA==\r\n",
        ".\r\n",
        ".\r\n",
        "1 5\r\n",
        "2 uid\r\n",
        "99999 1\r\n",
        "PIPELINING\r\nSTLS\r\nUSER\r\nSASL X PLAIN\r\nUTF8\r\nLANG\r\n",
        "x\n",
        "\r",
        ".",
        "..",
        "\n.\n",
        "+OK <1@b>\r\n",
    ];
    prop_oneof![
        9 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..50),
    ]
}

const TIGHT: ClientLimits =
    ClientLimits { line: 100, challenge: 100, untold_lines: 5, window: 3, progress: 50, messages: 5 };

fn tight(lf: bool) -> Arc<ClientConfig> {
    let line_ends = if lf { LineEnds::CrlfOrLf } else { LineEnds::Crlf };
    Arc::new(ClientConfig { line_ends, limits: TIGHT, ..ClientConfig::default() })
}

fn command(n: u8) -> Command<'static> {
    let mechanism = Mechanism::parse(b"X").unwrap();
    match n % 12 {
        0 => Command::Capa,
        1 => Command::Pass(pop3_proto::Password::parse(b"x").unwrap()),
        2 => Command::Auth { mechanism, initial: None },
        3 => Command::List(None),
        4 => Command::Uidl(None),
        5 => Command::Retr(1),
        6 => Command::Top { number: 1, lines: 1 },
        7 => Command::Dele(1),
        8 => Command::Stls,
        9 => Command::Utf8,
        10 => Command::Lang(None),
        _ => Command::Quit,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_server_makes_a_session_panic_or_grow(
        lf in any::<bool>(), said in prop::collection::vec((babble(), any::<u8>(), 0..400_u64), 0..60),
    ) {
        let mut client = ClientSession::new(tight(lf), Link::default(), NOW);
        let (mut now, mut input, mut out) = (NOW, BytesMut::new(), BytesMut::new());
        let mut closed = None;
        for (octets, verb, pause) in said {
            input.extend_from_slice(&octets);
            if verb > 250 {
                now += Duration::from_secs(pause);
            }
            let deadline = client.poll_timeout();
            client.handle_timeout(now, &mut out);
            if deadline.is_some_and(|deadline| deadline.at <= now) {
                prop_assert_eq!(client.poll_timeout(), None);
            }
            loop {
                let step = client.next_event(now, &mut input, &mut out);
                prop_assert!(closed.is_none_or(|why| step == Step::Close(why)), "silence behind the end");
                match step {
                    Step::Event(_) => {}
                    Step::YourTurn if verb % 3 == 0 => client.cancel(now, &mut out).unwrap(),
                    Step::YourTurn if verb % 3 == 1 => client.respond(b"x", now, &mut out).unwrap(),
                    Step::Switch(_) if verb % 2 == 0 => client.switched(Switched::Tls(TlsInfo::default()), now),
                    Step::YourTurn | Step::Switch(_) => break,
                    Step::NeedInput => {
                        prop_assert!(input.len() < client.max_input().min(TIGHT.line));
                        break;
                    }
                    Step::Close(why) => {
                        closed = Some(why);
                        input.clear();
                        break;
                    }
                }
            }
            if closed.is_some() {
                out.clear();
            }
            let sent = client.send(&command(verb), now, &mut out);
            match verb {
                249 => client.handle_eof(),
                248 => client.shut_down(ShutDown::Stopping, now, &mut out),
                247 => client.shut_down(ShutDown::Fault, now, &mut out),
                246 => client.abort(),
                _ => {}
            }
            if closed.is_some() {
                prop_assert!(sent.is_err() && out.is_empty());
            }
            prop_assert!(client.memory() < 1024);
        }
    }

    #[test]
    fn no_server_makes_a_visit_panic_or_grow(
        lf in any::<bool>(), tls in 0..3_u8, kind in 0..3_u8,
        said in prop::collection::vec((babble(), any::<u8>(), 0..400_u64), 0..80),
    ) {
        let (user, password) = ("bob".to_string(), Secret::new(b"x".to_vec()));
        let login = match kind {
            0 => Login::Password { user, password },
            1 => Login::Apop { user, password },
            _ => Login::Sasl { mechanism: Mechanism::parse(b"X").unwrap().into_owned(), initial: Some(password) },
        };
        let tls = [TlsPolicy::Never, TlsPolicy::Opportunistic, TlsPolicy::Required][usize::from(tls)];
        let policy = Policy { tls, ..Policy::default() };
        let mut fetch = Fetch::new(tight(lf), login, policy, Link::default(), NOW);
        let (mut now, mut input, mut out) = (NOW, BytesMut::new(), BytesMut::new());
        let (mut closed, mut reports, mut confirmed, mut told) = (None, 0, 0, 0);
        // In the end the server goes, and the visit is over.
        let said: Vec<_> = said.into_iter().chain([(vec![], 249, 0), (vec![], 0, 0)]).collect();
        for (octets, verb, pause) in said {
            input.extend_from_slice(&octets);
            if verb > 250 {
                now += Duration::from_secs(pause);
            }
            fetch.handle_timeout(now, &mut out);
            match verb {
                249 => fetch.handle_eof(),
                248 => fetch.shut_down(ShutDown::Stopping, now, &mut out),
                247 => fetch.shut_down(ShutDown::Fault, now, &mut out),
                246 => fetch.abort(),
                _ => {}
            }
            loop {
                let step = fetch.next_event(now, &mut input, &mut out);
                prop_assert!(closed.is_none_or(|why| step == Step::Close(why)), "silence behind the end");
                match step {
                    Step::Event(FetchEvent::Done(report)) => {
                        reports += 1;
                        told = report.deleted;
                    }
                    Step::Event(event) if !event.is_question() => {}
                    Step::Event(_) | Step::YourTurn => {
                        // Exactly one of them is right, or the session below is asked.
                        let choice = |_: &pop3_proto::Offer| if verb % 2 == 0 { Choice::Get } else { Choice::Delete };
                        let answers = [
                            fetch.choose(choice, now, &mut out).map(|()| confirmed += TIGHT.messages),
                            fetch.delete(now, &mut out).map(|()| confirmed += 1),
                            fetch.respond(b"x", now, &mut out),
                        ];
                        prop_assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
                    }
                    Step::Switch(_) if verb % 2 == 0 => fetch.switched(Switched::Tls(TlsInfo::default()), now),
                    Step::Switch(_) | Step::NeedInput => break,
                    Step::Close(why) => {
                        closed = Some(why);
                        prop_assert_eq!(reports, 1, "told once, and before the end");
                        break;
                    }
                }
            }
            prop_assert!(fetch.memory() < 8192);
        }
        prop_assert!(closed.is_some() && told <= confirmed);
        if tls == TlsPolicy::Required && !fetch.session().is_under_tls() {
            for password in ["PASS", "APOP", "AUTH"] {
                prop_assert!(!String::from_utf8_lossy(&out).contains(password));
            }
        }
    }
}
