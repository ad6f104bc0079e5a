//! Visits to maildrops of all kinds, good and bad.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pop3_proto::{
    Choice, ClientConfig, ClientLimits, Close, Fetch, FetchEvent, Layer, Link, Login, Mechanism, Misuse, Offer, Policy,
    Reply, Report, Secret, ShutDown, Step, Switched, TlsInfo, TlsPolicy, Trouble, Utf8Policy, Violation, Waiting,
};

const CLEAR: Policy = Policy { tls: TlsPolicy::Never, utf8: Utf8Policy::WhereOffered };
const LIST_OF_THREE: &str = "+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n+OK\r\n1 10\r\n2 20\r\n3 30\r\n.";

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn password() -> Login {
    Login::Password { user: "bob".into(), password: secret("x y") }
}

fn sasl(mechanism: &str, initial: Option<&str>) -> Login {
    let mechanism = Mechanism::parse(mechanism.as_bytes()).unwrap().into_owned();
    Login::Sasl { mechanism, initial: initial.map(secret) }
}

/// A visit, its buffers, and what it told.
struct Visit {
    fetch: Fetch,
    now: Duration,
    input: BytesMut,
    out: BytesMut,
    told: Vec<FetchEvent>,
}

impl Visit {
    fn with(config: ClientConfig, login: Login, policy: Policy) -> Self {
        let fetch = Fetch::new(Arc::new(config), login, policy, Link::default(), Duration::ZERO);
        Self { fetch, now: Duration::ZERO, input: BytesMut::new(), out: BytesMut::new(), told: vec![] }
    }

    fn new(login: Login, policy: Policy) -> Self {
        Self::with(ClientConfig::default(), login, policy)
    }

    /// Logged in to a server with these capabilities, and shown three messages.
    fn of_three(capabilities: &str) -> Self {
        let mut visit = Self::new(password(), CLEAR);
        visit.hear("+OK ready");
        visit.hear(&format!("+OK\r\nUSER\r\n{capabilities}."));
        visit.hear("+OK");
        visit.hear("+OK");
        visit.hear(LIST_OF_THREE);
        assert_eq!(visit.told, [FetchEvent::Maildrop]);
        visit.told.clear();
        visit
    }

    /// Turns the crank to the next question, or as far as it goes. Chunks are told joined.
    fn run(&mut self) -> Step<FetchEvent> {
        loop {
            match self.fetch.next_event(self.now, &mut self.input, &mut self.out) {
                Step::Event(event) => {
                    let asks = event.is_question();
                    match (event.chunk(), self.told.last_mut()) {
                        (Some(new), Some(FetchEvent::Chunk(old))) => *old = [&old[..], &new[..]].concat().into(),
                        _ => self.told.push(event),
                    }
                    if asks {
                        return Step::YourTurn;
                    }
                }
                step => return step,
            }
        }
    }

    /// The server says `text`; what the client says to that.
    fn hear(&mut self, text: &str) -> String {
        self.input.extend_from_slice(text.as_bytes());
        self.input.extend_from_slice(b"\r\n");
        let _ = self.run();
        self.said()
    }

    fn said(&mut self) -> String {
        String::from_utf8(self.out.split().to_vec()).unwrap()
    }

    /// Plays a whole dialogue: the server's words and what must follow each.
    fn play(mut self, dialogue: &[(&str, &str)]) -> Self {
        for (said, answered) in dialogue {
            assert_eq!(self.hear(said), *answered, "to {said:?}");
        }
        self
    }

    /// Answers the list by the choice for each message, which are all named.
    fn choose(&mut self, choices: &[Choice]) -> String {
        let mut choices = choices.iter();
        self.fetch.choose(|_| *choices.next().unwrap(), self.now, &mut self.out).unwrap();
        assert_eq!(choices.next(), None);
        let _ = self.run();
        self.said()
    }

    fn delete(&mut self) -> String {
        self.fetch.delete(self.now, &mut self.out).unwrap();
        let _ = self.run();
        self.said()
    }

    fn accept(&mut self) -> String {
        self.fetch.accept(self.now, &mut self.out).unwrap();
        let _ = self.run();
        self.said()
    }

    fn closed(&mut self) -> Close {
        match self.run() {
            Step::Close(why) => why,
            step => panic!("not closed, but {step:?}"),
        }
    }

    /// The report, which must have been told last, and once.
    fn report(&mut self) -> Report {
        let _ = self.run();
        let Some(FetchEvent::Done(report)) = self.told.pop() else { panic!("not done: {:?}", self.told) };
        assert!(!self.told.iter().any(|event| matches!(event, FetchEvent::Done(_))));
        *report
    }

    fn trouble(&mut self) -> Trouble {
        self.report().trouble.expect("no trouble")
    }
}

fn offer(number: u32, size: u64, uidl: &str) -> Offer {
    Offer { number, size: Some(size), uidl: Some(uidl.into()) }
}

#[test]
fn one_step_at_a_time_where_the_server_knows_no_pipelining() {
    let mut visit = Visit::new(password(), CLEAR).play(&[
        ("+OK ready", "CAPA\r\n"),
        ("-ERR what?", "USER bob\r\n"),
        ("+OK", "PASS x y\r\n"),
        ("+OK", "UIDL\r\n"),
        ("+OK\r\n1 a\r\n2 b\r\n3 c\r\n.", "LIST\r\n"),
        ("+OK\r\n1 10\r\n2 20\r\n3 30\r\n.", ""),
    ]);
    assert_eq!(visit.told, [FetchEvent::Maildrop]);
    let offers = [offer(1, 10, "a"), offer(2, 20, "b"), offer(3, 30, "c")];
    assert_eq!(visit.fetch.offers().cloned().collect::<Vec<_>>(), offers);
    assert_eq!(visit.choose(&[Choice::Get, Choice::Top(5), Choice::Delete]), "RETR 1\r\n");
    assert_eq!(visit.hear("+OK\r\nA: 1\r\n\r\n..\r\n."), "");
    let [one, two, _] = offers;
    let body = FetchEvent::Chunk("A: 1\r\n\r\n.\r\n".into());
    assert_eq!(
        visit.told[1..],
        [FetchEvent::Message(one.clone()), body, FetchEvent::Received { offer: one, octets: 11 }]
    );
    assert_eq!(visit.delete(), "DELE 1\r\n");
    assert_eq!(visit.hear("+OK"), "TOP 2 5\r\n");
    assert_eq!(visit.hear("+OK\r\n."), "");
    assert_eq!(visit.told[4..], [FetchEvent::Message(two.clone()), FetchEvent::Received { offer: two, octets: 0 }]);
    assert_eq!(visit.accept(), "DELE 3\r\n");
    assert_eq!(visit.hear("+OK"), "QUIT\r\n");
    visit.hear("+OK bye");
    let report = visit.report();
    let expected = Report { offered: 3, received: 2, deleted: 2, goodbye: report.goodbye.clone(), ..Report::default() };
    assert_eq!(report, expected);
    assert_eq!(report.goodbye.unwrap().text(), "bye");
    assert_eq!(visit.closed(), Close::Quit);
}

#[test]
fn ahead_where_it_does() {
    let mut visit = Visit::new(password(), CLEAR).play(&[
        ("+OK ready", "CAPA\r\n"),
        ("+OK\r\nUSER\r\nPIPELINING\r\n.", "USER bob\r\nPASS x y\r\n"),
        ("+OK", ""),
        ("+OK", "UIDL\r\nLIST\r\n"),
        (LIST_OF_THREE, ""),
    ]);
    assert_eq!(visit.choose(&[Choice::Get, Choice::Delete, Choice::Get]), "RETR 1\r\nDELE 2\r\nRETR 3\r\n");
    visit.hear("+OK\r\n.\r\n+OK\r\n+OK\r\nx\r\n.");
    assert_eq!(visit.delete(), "DELE 1\r\n");
    assert_eq!(visit.accept(), "");
    assert_eq!(visit.hear("+OK"), "QUIT\r\n");
    visit.hear("+OK");
    let report = visit.report();
    assert_eq!((report.received, report.deleted, report.trouble), (2, 2, None));
}

#[test]
fn the_window_bounds_what_is_asked_for_ahead() {
    let limits = ClientLimits { window: 2, ..ClientLimits::default() };
    let mut visit = Visit::with(ClientConfig { limits, ..ClientConfig::default() }, password(), CLEAR);
    visit.hear("+OK");
    visit.hear("+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK");
    visit.hear(LIST_OF_THREE);
    assert_eq!(visit.choose(&[Choice::Get; 3]), "RETR 1\r\nRETR 2\r\n");
    assert_eq!(visit.hear("+OK\r\n."), "");
    // Where there is room, what was decided goes before what is wanted.
    assert_eq!(visit.delete(), "DELE 1\r\n");
    assert_eq!(visit.hear("+OK\r\n."), "");
    assert_eq!(visit.delete(), "DELE 2\r\n");
    assert_eq!(visit.hear("+OK"), "RETR 3\r\n");
}

#[test]
fn tls_comes_first_where_the_policy_says_so() {
    let tls = |tls| Policy { tls, ..Policy::default() };
    for policy in [Policy::default(), tls(TlsPolicy::Opportunistic)] {
        let mut visit = Visit::new(password(), policy).play(&[
            ("+OK", "CAPA\r\n"),
            ("+OK\r\nUSER\r\nSTLS\r\n.", "STLS\r\n"),
            ("+OK", ""),
        ]);
        assert_eq!(visit.run(), Step::Switch(Layer::Tls));
        visit.fetch.switched(Switched::Tls(TlsInfo::default()), visit.now);
        assert!(visit.fetch.session().is_under_tls());
    }
    for policy in [CLEAR, tls(TlsPolicy::Opportunistic)] {
        let offers = if policy == CLEAR { "+OK\r\nUSER\r\nSTLS\r\n." } else { "+OK\r\nUSER\r\n." };
        Visit::new(password(), policy).play(&[("+OK", "CAPA\r\n"), (offers, "USER bob\r\n")]);
    }
    // Not offered; refused; and failed.
    let mut visit = Visit::new(password(), Policy::default());
    let dialogue = [("+OK", "CAPA\r\n"), ("+OK\r\nUSER\r\n.", "QUIT\r\n"), ("+OK", "")];
    assert_eq!(visit.play(&dialogue).trouble(), Trouble::Tls);
    for policy in [Policy::default(), tls(TlsPolicy::Opportunistic)] {
        let stls = [("+OK", "CAPA\r\n"), ("+OK\r\nUSER\r\nSTLS\r\n.", "STLS\r\n")];
        visit = Visit::new(password(), policy.clone()).play(&stls);
        assert_eq!(visit.hear("-ERR no"), "QUIT\r\n", "and no password");
        visit.hear("+OK");
        assert_eq!(visit.trouble(), Trouble::Tls);
        visit = Visit::new(password(), policy).play(&stls).play(&[("+OK", "")]);
        visit.fetch.handle_eof();
        assert_eq!(visit.trouble(), Trouble::Tls);
        assert_eq!(visit.closed(), Close::Eof);
    }
}

#[test]
fn under_tls_the_server_is_asked_again() {
    let mut visit = Visit::new(password(), Policy::default());
    visit.hear("+OK");
    visit.hear("+OK\r\nSTLS\r\n.");
    visit.fetch.switched(Switched::Tls(TlsInfo::default()), visit.now);
    visit.hear("+OK");
    visit.fetch.switched(Switched::Tls(TlsInfo::default()), visit.now);
    let _ = visit.run();
    assert_eq!(visit.said(), "CAPA\r\n");
    assert_eq!(visit.hear("+OK\r\nUSER\r\nSTLS\r\n."), "USER bob\r\n");
    visit.fetch.switched(Switched::Tls(TlsInfo::default()), visit.now);
    assert_eq!(visit.hear("+OK"), "PASS x y\r\n", "it was not asked for a second time");
    // Born under TLS, nothing of it is said.
    let link = Link { tls: Some(TlsInfo::default()), ..Link::default() };
    let mut visit = Visit::new(password(), Policy::default());
    visit.fetch = Fetch::new(Arc::default(), password(), Policy::default(), link, visit.now);
    visit.play(&[("+OK", "CAPA\r\n"), ("+OK\r\nUSER\r\nSTLS\r\n.", "USER bob\r\n")]);
}

#[test]
fn utf8_is_asked_for_where_it_is_offered() {
    let utf8 = "+OK\r\nUSER\r\nUTF8 USER\r\n.";
    for answer in ["+OK", "-ERR no"] {
        Visit::new(password(), CLEAR).play(&[("+OK", "CAPA\r\n"), (utf8, "UTF8\r\n"), (answer, "USER bob\r\n")]);
    }
    let never = Policy { utf8: Utf8Policy::Never, ..CLEAR };
    Visit::new(password(), never).play(&[("+OK", "CAPA\r\n"), (utf8, "USER bob\r\n")]);
    let login = || Login::Password { user: "jos\u{e9}".into(), password: secret("x") };
    Visit::new(login(), CLEAR).play(&[("+OK", "CAPA\r\n"), (utf8, "UTF8\r\n"), ("+OK", "USER jos\u{e9}\r\n")]);
    let mut visit =
        Visit::new(login(), CLEAR).play(&[("+OK", "CAPA\r\n"), ("+OK\r\nUSER\r\n.", "QUIT\r\n"), ("+OK", "")]);
    assert_eq!(visit.trouble(), Trouble::Lacking);
}

#[test]
fn a_password_is_said_by_plain_where_user_cannot() {
    let plain = |user: &str, password: &str, offers: &str| {
        let login = Login::Password { user: user.into(), password: secret(password) };
        let mut visit = Visit::new(login, CLEAR);
        visit.hear("+OK");
        visit.hear(&format!("+OK\r\n{offers}\r\n."))
    };
    assert_eq!(plain("bob", "x", "SASL LOGIN PLAIN"), "AUTH PLAIN AGJvYgB4\r\n");
    assert_eq!(plain("bob", "x", "USER\r\nSASL PLAIN"), "USER bob\r\n");
    assert_eq!(plain("bob", "\t", "USER\r\nSASL PLAIN"), "AUTH PLAIN AGJvYgAJ\r\n");
    assert_eq!(plain("", "x", "USER\r\nSASL PLAIN"), "AUTH PLAIN AAB4\r\n");
    assert_eq!(plain("\u{e9}", "x", "USER\r\nSASL PLAIN"), "AUTH PLAIN AMOpAHg=\r\n");
    for (user, password, offers) in
        [("bob", "x", "TOP"), ("bob", "x", "SASL LOGIN"), ("b\0b", "x", "SASL PLAIN"), ("bob", "\0", "SASL PLAIN")]
    {
        assert_eq!(plain(user, password, offers), "QUIT\r\n", "{offers}");
    }
    // RFC 5034 §4: too long for the command.
    assert_eq!(plain("bob", &"x".repeat(175), "SASL PLAIN").len(), 253);
    let mut visit = Visit::new(Login::Password { user: "bob".into(), password: secret(&"x".repeat(176)) }, CLEAR)
        .play(&[("+OK", "CAPA\r\n"), ("+OK\r\nSASL PLAIN\r\n.", "AUTH PLAIN\r\n")]);
    assert_eq!(visit.hear("+ ").len(), 246);
    assert_eq!(visit.hear("+ bW9yZQ=="), "*\r\n", "PLAIN has no more to say");
    assert_eq!(visit.hear("-ERR"), "QUIT\r\n");
}

#[test]
fn apop_needs_a_timestamp() {
    let login = |user: &str| Login::Apop { user: user.into(), password: secret("tanstaaf") };
    Visit::new(login("mrose"), CLEAR).play(&[
        ("+OK ready <1896.697170952@dbc.mtview.ca.us>", "CAPA\r\n"),
        ("-ERR", "APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"),
        ("+OK", "UIDL\r\n"),
    ]);
    for (greeting, user) in [("+OK ready", "mrose"), ("+OK <1@b>", "m\trose"), ("+OK <1@b>", "jos\u{e9}")] {
        let mut visit =
            Visit::new(login(user), CLEAR).play(&[(greeting, "CAPA\r\n"), ("-ERR", "QUIT\r\n"), ("+OK", "")]);
        assert_eq!(visit.trouble(), Trouble::Lacking);
    }
}

#[test]
fn sasl_is_the_applications() {
    let mut visit = Visit::new(sasl("X", Some("hi")), CLEAR).play(&[
        ("+OK", "CAPA\r\n"),
        ("+OK\r\nSASL X\r\n.", "AUTH X aGk=\r\n"),
        ("+ bW9yZQ==", ""),
    ]);
    assert_eq!(visit.told, [FetchEvent::Challenge(secret("more"))]);
    assert_eq!((visit.run(), visit.fetch.poll_timeout()), (Step::YourTurn, None));
    visit.fetch.respond(b"x", visit.now, &mut visit.out).unwrap();
    assert_eq!(visit.said(), "eA==\r\n");
    assert_eq!(visit.fetch.respond(b"x", visit.now, &mut visit.out), Err(Misuse::NotNow));
    assert_eq!(visit.hear("+OK"), "UIDL\r\n");
    for decline in [false, true] {
        let mut visit = Visit::new(sasl("X", None), CLEAR).play(&[
            ("+OK", "CAPA\r\n"),
            ("+OK\r\nSASL X\r\n.", "AUTH X\r\n"),
            ("+ ", ""),
        ]);
        if decline {
            visit.fetch.decline(visit.now, &mut visit.out);
        } else {
            visit.fetch.cancel(visit.now, &mut visit.out).unwrap();
        }
        assert_eq!(visit.hear("-ERR cancelled"), "*\r\nQUIT\r\n");
        visit.hear("+OK");
        assert!(matches!(visit.trouble(), Trouble::Login(reply) if reply.text() == "cancelled"));
    }
    let mut visit = Visit::new(sasl("X", None), CLEAR).play(&[("+OK", "CAPA\r\n"), ("+OK\r\nUSER\r\n.", "QUIT\r\n")]);
    visit.hear("+OK");
    assert_eq!(visit.trouble(), Trouble::Lacking);
    // A long token waits for its challenge, and the next challenge is the application's.
    let token = "t".repeat(300);
    let mut visit = Visit::new(sasl("OAUTHBEARER", Some(&token)), CLEAR)
        .play(&[("+OK", "CAPA\r\n"), ("+OK\r\nSASL OAUTHBEARER\r\n.", "AUTH OAUTHBEARER\r\n")]);
    assert_eq!(visit.hear("+ ").len(), 402);
    visit.hear("+ eyJzdGF0dXMiOiI0MDEifQ==");
    assert_eq!(visit.told.len(), 1);
}

#[test]
fn who_is_turned_away_says_goodbye() {
    let mut visit = Visit::new(password(), CLEAR).play(&[("-ERR [SYS/TEMP] later", "QUIT\r\n"), ("+OK", "")]);
    assert!(matches!(visit.trouble(), Trouble::Greeting(reply) if reply.text() == "later"));
    for refusal in [&["-ERR [IN-USE] no"][..], &["+OK", "-ERR [IN-USE] no"]] {
        let mut visit = Visit::new(password(), CLEAR);
        visit.hear("+OK");
        visit.hear("-ERR");
        refusal.iter().for_each(|reply| assert_ne!(visit.hear(reply), ""));
        visit.hear("+OK");
        assert!(matches!(visit.trouble(), Trouble::Login(reply) if reply.text() == "no"));
    }
    let mut visit = Visit::new(password(), CLEAR).play(&[
        ("+OK", "CAPA\r\n"),
        ("+OK\r\nUSER\r\nPIPELINING\r\n.", "USER bob\r\nPASS x y\r\n"),
        ("+OK", ""),
        ("-ERR [AUTH] no", "QUIT\r\n"),
        ("+OK", ""),
    ]);
    assert!(matches!(visit.trouble(), Trouble::Login(reply) if reply.text() == "no"));
    // The first refusal is the one that counts, and all are waited for.
    let mut visit = Visit::new(password(), CLEAR).play(&[
        ("+OK", "CAPA\r\n"),
        ("+OK\r\nUSER\r\nPIPELINING\r\n.", "USER bob\r\nPASS x y\r\n"),
        ("-ERR who?", ""),
        ("-ERR no user", "QUIT\r\n"),
        ("+OK", ""),
    ]);
    assert!(matches!(visit.trouble(), Trouble::Login(reply) if reply.text() == "who?"));
}

#[test]
fn lists_are_taken_as_they_are() {
    let list = |uidl: &str, list: &str| {
        let mut visit = Visit::new(password(), CLEAR);
        visit.hear("+OK");
        visit.hear("+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK");
        visit.hear(uidl);
        visit.hear(list);
        let each = |offer: &Offer| (offer.number, offer.size, offer.uidl.as_deref().map(str::to_string));
        let offers: Vec<_> = visit.fetch.offers().map(each).collect();
        (visit, offers)
    };
    let named = |name: &str| Some(name.to_string());
    let (_, offers) = list("+OK\r\n3 x\r\n1 x\r\n1 y\r\n.", "+OK\r\n2 5\r\n2 6\r\n1 4\r\n.");
    assert_eq!(offers, [(1, Some(4), named("x")), (2, Some(5), None), (3, None, named("x"))]);
    let (_, offers) = list("-ERR no UIDL", "+OK\r\n1 4\r\n.");
    assert_eq!(offers, [(1, Some(4), None)]);
    let (mut visit, offers) = list("+OK\r\n1 x\r\n.", "-ERR no");
    assert_eq!(offers, [(1, None, named("x"))]);
    assert_eq!(visit.choose(&[Choice::Get]), "RETR 1\r\n");
    visit.hear("+OK\r\n.");
    assert_eq!(visit.accept(), "QUIT\r\n");
    visit.hear("-ERR and no");
    assert!(matches!(visit.trouble(), Trouble::List(reply) if reply.text() == "no"), "the first of it");
    let (mut visit, offers) = list("+OK\r\n.", "+OK\r\n.");
    assert_eq!(offers, []);
    assert_eq!(visit.choose(&[]), "QUIT\r\n");
}

#[test]
fn a_list_without_end_ends_the_visit() {
    let limits = ClientLimits { messages: 2, ..ClientLimits::default() };
    let mut visit = Visit::with(ClientConfig { limits, ..ClientConfig::default() }, password(), CLEAR);
    visit.hear("+OK");
    visit.hear("+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK");
    visit.hear("+OK\r\n1 a\r\n2 b\r\n2 c\r\n.\r\n+OK\r\n1 5");
    assert_eq!(visit.told, []);
    visit.hear("3 5");
    assert_eq!(visit.trouble(), Trouble::Lost(Close::Violation(Violation::TooManyMessages)));
    assert_eq!(visit.closed(), Close::Violation(Violation::TooManyMessages));
}

#[test]
fn what_the_server_refuses_is_told_and_the_rest_goes_on() {
    let mut visit = Visit::of_three("PIPELINING\r\n");
    visit.choose(&[Choice::Get, Choice::Delete, Choice::Get]);
    visit.hear("-ERR gone\r\n-ERR locked\r\n+OK\r\n.");
    assert!(
        matches!(&visit.told[0], FetchEvent::Refused { offer, reply } if offer.number == 1 && reply.text() == "gone")
    );
    assert!(matches!(&visit.told[1], FetchEvent::NotDeleted { number: 2, reply } if reply.text() == "locked"));
    assert!(matches!(&visit.told[3], FetchEvent::Received { offer, octets: 0 } if offer.number == 3));
    assert!(visit.told[..3].iter().all(|event| !event.is_question() && event.chunk().is_none()));
    visit.fetch.decline(visit.now, &mut visit.out);
    assert_eq!(visit.hear("-ERR not all is deleted"), "QUIT\r\n");
    let report = visit.report();
    assert_eq!((report.received, report.refused, report.deleted, report.not_deleted), (0, 1, 0, 1));
    assert!(matches!(&report.trouble, Some(Trouble::Update(reply)) if Some(reply) == report.goodbye.as_ref()));
    assert_eq!(visit.closed(), Close::Quit);
}

#[test]
fn a_server_that_closes_at_quit_is_believed_where_nothing_hangs_on_it() {
    for (choice, trouble) in [(Choice::Leave, None), (Choice::Delete, Some(Trouble::Lost(Close::Quit)))] {
        let mut visit = Visit::of_three("PIPELINING\r\n");
        if visit.choose(&[choice; 3]) != "QUIT\r\n" {
            assert_eq!(visit.hear("+OK\r\n+OK\r\n+OK"), "QUIT\r\n");
        }
        visit.fetch.handle_eof();
        let report = visit.report();
        assert_eq!((report.goodbye, report.trouble), (None, trouble));
        assert_eq!(visit.closed(), Close::Quit);
    }
}

#[test]
fn a_connection_lost_anywhere_is_told_once() {
    let script =
        ["+OK", "+OK\r\nUSER\r\nUTF8\r\n.", "+OK", "+OK", "+OK", "+OK\r\n1 a\r\n2 b\r\n.", "+OK\r\n1 1\r\n2 2\r\n."];
    for length in 0..=script.len() {
        let mut visit = Visit::new(password(), CLEAR);
        script[..length].iter().for_each(|said| drop(visit.hear(said)));
        let asked = length == script.len();
        assert_eq!(visit.told, if asked { vec![FetchEvent::Maildrop] } else { vec![] });
        visit.fetch.handle_eof();
        if asked {
            assert_eq!(visit.choose(&[Choice::Get; 2]), "RETR 1\r\n");
        }
        assert_eq!(visit.trouble(), Trouble::Lost(Close::Eof), "behind {length}");
        assert_eq!(visit.closed(), Close::Eof);
    }
    let mut visit = Visit::of_three("PIPELINING\r\n");
    visit.choose(&[Choice::Get, Choice::Delete, Choice::Get]);
    visit.hear("+OK\r\n.\r\n+OK\r\n+OK\r\nhalf");
    assert_eq!(visit.delete(), "DELE 1\r\n");
    visit.fetch.handle_eof();
    let report = visit.report();
    assert_eq!((report.received, report.deleted, report.goodbye), (1, 1, None));
    assert_eq!(visit.told.last().unwrap().chunk().unwrap(), "half\r\n", "and no message");
}

#[test]
fn no_deadline_runs_while_the_application_thinks() {
    let visit = Visit::new(password(), CLEAR);
    assert_eq!(visit.fetch.poll_timeout().unwrap().waiting_for, Waiting::Greeting);
    assert_eq!(visit.fetch.max_input(), 12_290);
    let mut visit = Visit::of_three("PIPELINING\r\n");
    assert_eq!(visit.fetch.poll_timeout(), None);
    visit.choose(&[Choice::Get; 3]);
    visit.hear("+OK\r\n.");
    assert_eq!(visit.fetch.poll_timeout(), None, "though the server owes two messages");
    visit.now += Duration::from_secs(3600);
    visit.fetch.handle_timeout(visit.now, &mut visit.out);
    assert_eq!(visit.run(), Step::YourTurn);
    assert_eq!(visit.delete(), "DELE 1\r\n");
    let due = visit.fetch.poll_timeout().unwrap();
    assert_eq!((due.at, due.waiting_for), (visit.now + Duration::from_secs(300), Waiting::Reply));
    visit.now = due.at;
    visit.fetch.handle_timeout(visit.now, &mut visit.out);
    assert_eq!(visit.trouble(), Trouble::Lost(Close::Timeout(Waiting::Reply)));
}

#[test]
fn who_leaves_takes_what_was_asked_for_and_no_more() {
    let stopping = Close::ShutDown(ShutDown::Stopping);
    let limits = ClientLimits { window: 2, ..ClientLimits::default() };
    let mut visit = Visit::with(ClientConfig { limits, ..ClientConfig::default() }, password(), CLEAR);
    visit.hear("+OK");
    visit.hear("+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK");
    visit.hear(LIST_OF_THREE);
    visit.choose(&[Choice::Get; 3]);
    visit.hear("+OK");
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    assert_eq!(visit.hear("."), "");
    assert_eq!(visit.delete(), "DELE 1\r\n", "that was decided");
    assert_eq!(visit.hear("+OK\r\n.\r\n+OK"), "");
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    assert_eq!(visit.delete(), "DELE 2\r\n");
    assert_eq!(visit.hear("+OK"), "QUIT\r\n");
    let report = visit.report();
    assert_eq!((report.deleted, report.goodbye, report.trouble), (2, None, Some(Trouble::Lost(stopping))));
    assert_eq!(visit.closed(), stopping);

    // While the list is looked at: nothing of it is got.
    let mut visit = Visit::of_three("PIPELINING\r\n");
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    assert_eq!(visit.run(), Step::YourTurn);
    assert_eq!(visit.choose(&[Choice::Delete; 3]), "QUIT\r\n");
    assert_eq!(visit.closed(), stopping);

    // On the way there: no further.
    let script = ["", "+OK", "+OK\r\nUTF8\r\nSTLS\r\nUSER\r\n.", "+OK", "+OK", "+OK", "+OK\r\n.", "+OK\r\n."];
    for length in 1..script.len() - 1 {
        let mut visit = Visit::new(password(), CLEAR);
        script[1..length].iter().for_each(|said| drop(visit.hear(said)));
        visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
        let said = visit.hear(script[length]);
        assert_eq!(said, if length == 1 { "" } else { "QUIT\r\n" }, "behind {length}");
        assert_eq!(visit.trouble(), Trouble::Lost(stopping));
    }
}

#[test]
fn who_leaves_by_stls_or_a_refused_listing_tells_why() {
    let stopping = Trouble::Lost(Close::ShutDown(ShutDown::Stopping));
    let mut visit = Visit::new(password(), Policy::default());
    visit.hear("+OK");
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    assert_eq!(visit.hear("+OK\r\nSTLS\r\n."), "QUIT\r\n");
    assert_eq!(visit.trouble(), stopping);
    // The list is complete by the time we leave: it is still shown, and nothing can come of it.
    let mut visit = Visit::new(password(), CLEAR);
    visit.hear("+OK");
    visit.hear("+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK");
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    visit.hear(LIST_OF_THREE);
    assert_eq!(visit.choose(&[Choice::Get; 3]), "QUIT\r\n");
    assert_eq!(visit.trouble(), stopping);
}

#[test]
fn nothing_is_deleted_for_an_application_that_failed() {
    for abort in [false, true] {
        let mut visit = Visit::of_three("PIPELINING\r\n");
        visit.choose(&[Choice::Get, Choice::Delete, Choice::Delete]);
        visit.hear("+OK\r\n.");
        let why = if abort {
            visit.fetch.abort();
            Close::Aborted
        } else {
            visit.fetch.shut_down(ShutDown::Fault, visit.now, &mut visit.out);
            Close::ShutDown(ShutDown::Fault)
        };
        assert_eq!(visit.fetch.delete(visit.now, &mut visit.out), Err(Misuse::NotNow), "it is too late");
        assert_eq!(visit.trouble(), Trouble::Lost(why));
        assert_eq!((visit.closed(), visit.said()), (why, String::new()));
    }
}

#[test]
fn a_visit_broken_off_between_two_steps_says_no_more() {
    let aborted = Trouble::Lost(Close::Aborted);
    let mut visit = Visit::new(password(), Policy::default());
    visit.hear("+OK");
    visit.hear("+OK\r\nSTLS\r\n.\r\n+OK");
    visit.fetch.switched(Switched::Tls(TlsInfo::default()), visit.now);
    visit.fetch.abort();
    assert_eq!((visit.trouble(), visit.said().as_str()), (aborted.clone(), ""));
    for choice in [Choice::Leave, Choice::Get] {
        let mut visit = Visit::of_three("");
        visit.fetch.choose(|_| choice, visit.now, &mut visit.out).unwrap();
        visit.out.clear();
        visit.fetch.abort();
        assert_eq!((visit.trouble(), visit.said().as_str()), (aborted.clone(), ""));
    }
}

#[test]
fn a_trouble_tells_what_the_server_said() {
    let reply = || Reply::err("no");
    for trouble in [Trouble::Greeting, Trouble::Login, Trouble::List, Trouble::Update] {
        assert_eq!(trouble(reply()).reply(), Some(&reply()));
    }
    for trouble in [Trouble::Tls, Trouble::Lacking, Trouble::Lost(Close::Eof)] {
        assert_eq!(trouble.reply(), None);
    }
}

#[test]
fn verbs_out_of_turn_have_no_effect() {
    let check = |visit: &mut Visit, choose: bool, receive: bool| {
        let Visit { fetch, now, out, .. } = visit;
        if !choose {
            assert_eq!(fetch.choose(|_| Choice::Delete, *now, out), Err(Misuse::NotNow));
        }
        if !receive {
            assert_eq!(fetch.accept(*now, out), Err(Misuse::NotNow));
            assert_eq!(fetch.delete(*now, out), Err(Misuse::NotNow));
        }
        assert_eq!(fetch.respond(b"", *now, out), Err(Misuse::NotNow));
        assert_eq!(fetch.cancel(*now, out), Err(Misuse::NotNow));
        if !choose && !receive {
            fetch.decline(*now, out);
        }
        fetch.switched(Switched::Tls(TlsInfo::default()), *now);
        fetch.handle_timeout(*now, out);
        assert_eq!(out, "");
    };
    let mut visit = Visit::new(password(), CLEAR);
    check(&mut visit, false, false);
    for said in ["+OK", "+OK\r\nUSER\r\n.", "+OK", "+OK", "+OK\r\n1 a\r\n."] {
        assert_ne!(visit.hear(said), "");
        check(&mut visit, false, false);
    }
    visit.hear("+OK\r\n1 1\r\n.");
    check(&mut visit, true, false);
    visit.choose(&[Choice::Get]);
    check(&mut visit, false, false);
    visit.hear("+OK");
    check(&mut visit, false, false);
    visit.hear(".");
    check(&mut visit, false, true);
    visit.delete();
    check(&mut visit, false, false);
    visit.hear("+OK");
    visit.hear("+OK");
    check(&mut visit, false, false);
    assert_eq!(visit.report().deleted, 1);
    visit.fetch.abort();
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    check(&mut visit, false, false);
    assert_eq!(visit.closed(), Close::Quit);
}

#[test]
fn what_is_held_is_counted() {
    let mut visit = Visit::new(password(), CLEAR);
    visit.hear("+OK");
    visit.hear("+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK");
    let before = visit.fetch.memory();
    let lines: String = (1..=50).map(|number| format!("{number} {}\r\n", "x".repeat(200))).collect();
    visit.hear(&format!("+OK\r\n{lines}.\r\n+OK\r\n."));
    assert!(visit.fetch.memory() - before >= 50 * 200);
    let mut choices = vec![Choice::Leave; 50];
    choices[7] = Choice::Get;
    visit.choose(&choices);
    assert!((200..1000).contains(&(visit.fetch.memory() - before)));
    visit.hear("+OK\r\n.");
    assert_eq!(visit.accept(), "QUIT\r\n");
    // What was said of the trouble is held until it is told.
    let mut visit = Visit::new(password(), CLEAR);
    visit.hear(&format!("-ERR {}", "y".repeat(1000)));
    assert!(visit.fetch.memory() >= 1000);
    // Deletions are held as numbers.
    let mut visit = Visit::of_three("");
    visit.choose(&[Choice::Delete; 3]);
    assert!(visit.fetch.memory() < 1000);
}
