//! What came after RFC 1939, and what it left optional.

use std::net::IpAddr;
use std::sync::Arc;

use pop3_proto::{
    Announced, Capabilities, Close, Code, Digest, Ending, Event, Expire, Link, Maildrop, Message, Misuse,
    PlaintextLogin, Progress, Proxied, Reply, ServerConfig, Step, Stls, Switched, Timestamp, TlsInfo, UserPolicy, Utf8,
    Violation, Xclient,
};

use crate::case::{Case, config, maildrop};

fn timestamp() -> Timestamp {
    Timestamp::parse("<1896.697170952@dbc.mtview.ca.us>").unwrap()
}

/// What CAPA says, as a client reads it.
fn offers(case: &mut Case) -> Capabilities {
    let said = case.ask("CAPA\r\n");
    let list = said.strip_prefix("+OK capabilities follow\r\n").unwrap().strip_suffix(".\r\n").unwrap();
    let mut offered = Capabilities::default();
    list.lines().for_each(|line| offered.add(line.as_bytes()));
    offered
}

#[test]
fn apop_is_offered_by_the_greeting_and_proves_the_password() {
    let mut case = Case::new(ServerConfig { plaintext_login: PlaintextLogin::UnderTls, ..config() });
    assert_eq!(case.next(), Step::Event(Event::Connected));
    case.session.greet(timestamp(), case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), "+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n");
    case.send(&format!("APOP mrose {}\r\n", Digest::new(&timestamp(), b"tanstaaf")));
    let Step::Event(Event::Apop { user, proof }) = case.next() else { panic!("a login was sent") };
    assert!(user == "mrose" && proof.matches(b"tanstaaf") && !proof.matches(b"other"));
    case.session.open(maildrop(), case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), "+OK maildrop ready\r\n");
    case.send("APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Sequence)));
}

#[test]
fn apop_without_a_timestamp_is_unknown_and_tls_keeps_the_timestamp() {
    const APOP: &str = "APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n";
    let mut case = Case::greeted(config());
    case.send(APOP);
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::UnknownCommand)));
    case.send("APOP mrose c4c9\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Argument)));

    let mut case = Case::new(ServerConfig { stls: Stls::Offered, ..config() });
    assert_eq!(case.next(), Step::Event(Event::Connected));
    case.session.greet(timestamp(), case.now, &mut case.out).unwrap();
    assert_eq!(case.session.greet(timestamp(), case.now, &mut case.out), Err(Misuse::NotNow));
    case.send("STLS\r\n");
    assert!(matches!(case.next(), Step::Switch(_)));
    case.session.switched(Switched::Tls(TlsInfo::default()), case.now);
    case.send(APOP);
    assert!(matches!(case.next(), Step::Event(Event::Apop { .. })));
    case.refuse(&Reply::err("no").with_code(Code::Auth));
    // A name that is not ASCII is for those who offer UTF-8.
    case.send("APOP m\u{f6}se c4c9334bac560ecc979e58001b3e22fb\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Argument)));
}

#[test]
fn policies_are_announced_for_all_and_behind_the_login_for_one() {
    let mut case = Case::greeted(ServerConfig {
        expire: Some(Announced::PerUser(Expire::Days(5))),
        login_delay: Some(Announced::PerUser(900)),
        ..config()
    });
    let before = offers(&mut case);
    assert_eq!(before.expire, Some(Announced::PerUser(Expire::Days(5))));
    assert_eq!(before.login_delay, Some(Announced::PerUser(900)));
    case.send("USER bob\r\nPASS x\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Login { .. })));
    let policy = UserPolicy { expire: Some(Expire::Never), login_delay: None };
    let own = Arc::new(Maildrop::new(vec![]).unwrap().with_policy(policy));
    case.session.open(own, case.now, &mut case.out).unwrap();
    case.said();
    let after = offers(&mut case);
    assert_eq!(after.expire, Some(Announced::Fixed(Expire::Never)));
    assert_eq!(after.login_delay, Some(Announced::Fixed(900)));
    // Nothing else changes.
    assert_eq!(Capabilities { expire: before.expire, login_delay: before.login_delay, ..after }, before);
}

#[test]
fn capabilities_say_what_is_configured() {
    let offered = offers(&mut Case::greeted(config()));
    assert!(offered.top && offered.uidl && offered.user && offered.resp_codes && offered.auth_resp_code);
    assert!(offered.pipelining && offered.lang && !offered.stls && !offered.utf8 && !offered.utf8_user);
    assert_eq!((offered.expire, offered.login_delay, offered.implementation), (None, None, None));
    let offered = offers(&mut Case::greeted(ServerConfig {
        implementation: Some("Posthaste".into()),
        stls: Stls::Offered,
        utf8: Utf8::Offered,
        mechanisms: vec![],
        ..config()
    }));
    assert!(offered.stls && offered.utf8 && offered.utf8_user && offered.sasl.is_empty());
    assert_eq!(offered.implementation.as_deref(), Some("Posthaste"));
}

#[test]
fn a_connection_born_under_tls_needs_no_stls() {
    let config = ServerConfig { plaintext_login: PlaintextLogin::UnderTls, stls: Stls::Offered, ..config() };
    let link = Link { tls: Some(TlsInfo::default()), ..Link::default() };
    let mut case = Case::over(link, config);
    assert_eq!(case.next(), Step::Event(Event::Connected));
    case.accept();
    let offered = offers(&mut case);
    assert!(offered.user && !offered.stls);
    case.send("STLS\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Sequence)));
}

#[test]
fn names_and_passwords_outside_ascii_need_the_offer() {
    let mut case = Case::greeted(config());
    case.send("USER b\u{f6}b\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Argument)));
    // What a password is made of, nobody has said.
    case.send("USER bob\r\n");
    case.input.extend_from_slice(b"PASS \xf6\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Login { .. })));

    let mut case = Case::greeted(ServerConfig { utf8: Utf8::Offered, ..config() });
    case.send("USER b\u{f6}b\r\n");
    case.input.extend_from_slice(b"PASS \xf6\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Argument)));
    case.send("USER b\u{f6}b\r\nPASS \u{f6}\r\n");
    let Step::Event(Event::Login { user, password }) = case.next() else { panic!("a login was sent") };
    assert_eq!((user.as_str(), password.expose()), ("b\u{f6}b", "\u{f6}".as_bytes()));
}

#[test]
fn utf8_is_a_mode_before_the_login_and_shuts_stls_out() {
    let mut case = Case::greeted(config());
    case.send("UTF8\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::UnknownCommand)));

    let mut case = Case::greeted(ServerConfig { utf8: Utf8::Offered, stls: Stls::Offered, ..config() });
    assert!(!case.session.is_utf8());
    assert_eq!(case.ask("UTF8\r\n"), "+OK UTF-8 it is\r\n");
    assert!(case.session.is_utf8());
    case.send("STLS\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Sequence)));
    case.send("USER bob\r\nPASS x\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Login { .. })));
    case.session.open(maildrop(), case.now, &mut case.out).unwrap();
    assert!(case.session.is_utf8());
    case.send("UTF8\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Sequence)));
    case.send("RETR 1\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Retrieve { .. })));
    case.said();
    assert_eq!(case.refuse(&Reply::err("not so").with_code(Code::Utf8)), "-ERR [UTF8] not so\r\n");
}

#[test]
fn languages_are_listed_and_chosen_in_both_states() {
    for mut case in [Case::greeted(config()), Case::logged_in()] {
        assert_eq!(case.ask("LANG\r\n"), "+OK languages follow\r\nen English\r\ni-default Default\r\n.\r\n");
        assert_eq!(case.ask("LANG en-US\r\n"), "+OK en English it is\r\n");
        assert_eq!(case.ask("LANG I-DEFAULT\r\n"), "+OK i-default Default it is\r\n");
        assert_eq!(case.ask("LANG *\r\n"), "+OK en English it is\r\n");
        assert_eq!(case.ask("LANG tlh\r\n"), "-ERR no such language\r\n");
    }
}

#[test]
fn a_trusted_proxy_says_whom_it_speaks_for() {
    let mut case = Case::new(ServerConfig { xclient: Xclient::Trusted, ..config() });
    assert_eq!(case.next(), Step::Event(Event::Connected));
    assert_eq!(case.accept(), "+OK [XCLIENT] ready\r\n");
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    case.send("XCLIENT ADDR=192.0.2.1 PORT=12\r\nXOIP 192.0.2.1\r\n");
    assert_eq!(case.next(), Step::Event(Event::Proxied(Proxied { address, port: Some(12) })));
    assert_eq!(case.next(), Step::Event(Event::Proxied(Proxied { address, port: None })));
    assert_eq!(case.said(), "+OK updated\r\n+OK updated\r\n");
    case.send("XCLIENT PORT=12\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Argument)));

    for untrusted in ["XCLIENT ADDR=192.0.2.1\r\n", "XOIP 192.0.2.1\r\n"] {
        let mut case = Case::greeted(config());
        case.send(untrusted);
        assert_eq!(case.next(), Step::Event(Event::Violation(Violation::UnknownCommand)));
        let mut case = Case::logged_in();
        case.send(untrusted);
        assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Sequence)));
    }
}

#[test]
fn what_retr_adds_is_counted_wherever_sizes_are_told() {
    const TEXT: &[u8] = b"A: 1\r\n\r\nno end";
    let message = |size, ending| Message { size, ending, uidl: "u".into() };
    let messages = vec![message(TEXT.len() as u64, Ending::Open), message(3, Ending::Crlf), message(0, Ending::Crlf)];
    let mut case = Case::greeted(config());
    case.send("USER bob\r\nPASS x\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Login { .. })));
    case.session.open(Arc::new(Maildrop::new(messages).unwrap()), case.now, &mut case.out).unwrap();
    case.said();
    assert_eq!(case.ask("STAT\r\n"), "+OK 3 19\r\n");
    assert_eq!(case.ask("LIST 1\r\n"), "+OK 1 16\r\n");
    case.send("LIST\r\n");
    assert_eq!(case.next(), Step::Event(Event::List));
    assert_eq!(case.session.list_more(case.now, &mut case.out), Ok(Progress::Done));
    assert_eq!(case.said(), "+OK 3 messages (19 octets)\r\n1 16\r\n2 3\r\n3 0\r\n.\r\n");
    case.send("RETR 1\r\nDELE 1\r\nSTAT\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Retrieve { .. })));
    case.session.accept(case.now, &mut case.out).unwrap();
    case.session.body(TEXT, &mut case.out).unwrap();
    case.session.end_body(case.now, &mut case.out).unwrap();
    assert_eq!(case.next(), Step::NeedInput);
    assert_eq!(case.said(), "+OK 16 octets\r\nA: 1\r\n\r\nno end\r\n.\r\n+OK marked\r\n+OK 2 3\r\n");
}

#[test]
fn every_command_of_the_other_state_is_out_of_sequence() {
    for command in ["DELE 1", "LIST", "LIST 1", "RETR 1", "RSET", "STAT", "TOP 1 1", "UIDL", "UIDL 1"] {
        let mut case = Case::greeted(config());
        case.send(&format!("{command}\r\n"));
        assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Sequence)), "{command}");
    }
    for command in ["AUTH PLAIN", "PASS x", "STLS", "USER x"] {
        let mut case = Case::logged_in();
        case.send(&format!("{command}\r\n"));
        assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Sequence)), "{command}");
    }
    let mut case = Case::greeted(config());
    case.send("PASS x\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Sequence)));
    assert_eq!(case.said(), "-ERR command not valid in this state\r\n");
    case.send("STLS\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::UnknownCommand)));
    case.said();
    case.send("QUIT\r\n");
    assert_eq!((case.next(), case.said().as_str()), (Step::Close(Close::Quit), "+OK goodbye\r\n"));
}
