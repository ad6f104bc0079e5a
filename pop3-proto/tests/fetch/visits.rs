//! Visits that come to their own end.

use std::sync::Arc;

use pop3_proto::{
    Choice, ClientConfig, ClientLimits, Close, Fetch, FetchEvent, Layer, Link, Login, Misuse, Offer, Policy, Report,
    Step, Switched, TlsInfo, TlsPolicy, Trouble, Utf8Policy, Violation,
};

use crate::case::{CLEAR, LIST_OF_THREE, Visit, offer, password, sasl, secret};

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
