//! RFC 1939, and what every engine does.

use std::time::Duration;

use bytes::BytesMut;
use pop3_proto::{
    Close, Code, Deadline, Event, Layer, Limits, Misuse, PlaintextLogin, Progress, Reply, ServerConfig, ShutDown, Step,
    Stls, Switched, Timeouts, TlsInfo, Violation, Waiting,
};

use crate::case::{Case, TEXT, config, maildrop};

#[test]
fn a_session_of_the_rfc() {
    let mut case = Case::logged_in();
    assert_eq!(case.ask("STAT\r\n"), "+OK 3 146\r\n");
    assert_eq!(case.ask("LIST 2\r\n"), "+OK 2 120\r\n");
    assert_eq!(case.ask("UIDL 2\r\n"), "+OK 2 u2\r\n");
    assert_eq!(case.ask("DELE 2\r\n"), "+OK marked\r\n");
    for hidden in ["DELE 2\r\n", "RETR 2\r\n", "TOP 2 1\r\n", "LIST 2\r\n", "UIDL 2\r\n", "RETR 4\r\n", "RETR 0\r\n"] {
        assert_eq!(case.ask(hidden), "-ERR no such message\r\n", "{hidden}");
    }
    assert_eq!(case.ask("STAT\r\n"), "+OK 2 26\r\n");
    case.send("LIST\r\n");
    assert_eq!(case.next(), Step::Event(Event::List));
    assert_eq!(case.next(), Step::YourTurn);
    assert_eq!(case.session.list_more(case.now, &mut case.out), Ok(Progress::Done));
    assert_eq!(case.said(), "+OK 2 messages (26 octets)\r\n1 19\r\n3 7\r\n.\r\n");
    case.send("RETR 1\r\nTOP 1 1\r\nQUIT\r\n");
    assert_eq!(case.next(), Step::Event(Event::Retrieve { number: 1 }));
    case.session.accept(case.now, &mut case.out).unwrap();
    case.session.body(&TEXT[..9], &mut case.out).unwrap();
    assert_eq!(case.session.end_body(case.now, &mut case.out), Err(Misuse::BodyTooShort));
    assert_eq!(case.session.body(&TEXT[8..], &mut case.out), Err(Misuse::BodyTooLong));
    case.session.body(&TEXT[9..], &mut case.out).unwrap();
    assert!(!case.session.wants_body());
    case.session.end_body(case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), "+OK 19 octets\r\nA: 1\r\n\r\n..one\r\ntwo\r\n.\r\n");
    assert_eq!(case.next(), Step::Event(Event::Top { number: 1 }));
    case.session.accept(case.now, &mut case.out).unwrap();
    case.session.body(TEXT, &mut case.out).unwrap();
    case.session.end_body(case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), "+OK top of message follows\r\nA: 1\r\n\r\n..one\r\n.\r\n");
    assert_eq!(case.next(), Step::Event(Event::Update { deleted: vec![2] }));
    assert_eq!(case.accept(), "+OK goodbye\r\n");
    assert_eq!(case.next(), Step::Close(Close::Quit));
}

#[test]
fn a_long_listing_comes_in_parts() {
    let limits = Limits { listing: 1, ..Limits::default() };
    let mut case = Case::greeted(ServerConfig { limits, ..config() });
    case.send("USER bob\r\nPASS x\r\nUIDL\r\nNOOP\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Login { .. })));
    case.session.open(maildrop(), case.now, &mut case.out).unwrap();
    assert_eq!(case.next(), Step::Event(Event::List));
    let mut parts = 0;
    while case.session.list_more(case.now, &mut case.out) == Ok(Progress::More) {
        parts += 1;
        assert!(parts < 9);
    }
    assert!(parts > 1);
    assert!(case.said().ends_with("octets)\r\n1 u1\r\n2 u2\r\n3 u3\r\n.\r\n"));
    assert_eq!(case.next(), Step::NeedInput);
    assert_eq!(case.said(), "+OK \r\n");
}

#[test]
fn rset_takes_marks_back_and_quit_tells_what_failed() {
    let mut case = Case::logged_in();
    case.ask("DELE 1\r\nDELE 3\r\n");
    assert_eq!(case.ask("RSET\r\n"), "+OK 3 messages (146 octets)\r\n");
    case.ask("DELE 3\r\n");
    case.send("QUIT\r\n");
    assert_eq!(case.next(), Step::Event(Event::Update { deleted: vec![3] }));
    assert_eq!(case.refuse(&Reply::err("not removed").with_code(Code::SysTemp)), "-ERR [SYS/TEMP] not removed\r\n");
    assert_eq!(case.next(), Step::Close(Close::Quit));
}

#[test]
fn plaintext_logins_wait_for_tls_and_tls_forgets() {
    let mut case = Case::greeted(ServerConfig {
        plaintext_login: PlaintextLogin::UnderTls,
        stls: Stls::Offered,
        mechanisms_before_tls: vec!["SCRAM-SHA-256".into()],
        ..config()
    });
    let before = case.ask("CAPA\r\n");
    assert!(
        before.contains("\r\nSTLS\r\n") && before.contains("\r\nSASL SCRAM-SHA-256\r\n") && !before.contains("USER")
    );
    case.send("USER bob\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::PlaintextLogin)));
    case.send("AUTH PLAIN\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::PlaintextLogin)));
    case.send("STLS\r\n");
    assert_eq!(case.next(), Step::Switch(Layer::Tls));
    assert_eq!(case.next(), Step::Switch(Layer::Tls));
    assert_eq!(case.session.poll_timeout().unwrap().waiting_for, Waiting::Tls);
    case.session.switched(Switched::Tls(TlsInfo::default()), case.now);
    case.said();
    let after = case.ask("CAPA\r\n");
    assert!(!after.contains("STLS") && after.contains("\r\nSASL PLAIN\r\n") && after.contains("\r\nUSER\r\n"));
    case.send("STLS\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Sequence)));
}

#[test]
fn octets_behind_stls_end_the_session() {
    let offered = || ServerConfig { stls: Stls::Offered, ..config() };
    let mut case = Case::greeted(offered());
    case.send("STLS\r\nUSER mallory\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::PipelinedTls)));
    assert_eq!(case.said(), "-ERR commands behind STLS are refused\r\n");
    assert_eq!(case.next(), Step::Close(Close::Violation(Violation::PipelinedTls)));

    // The same octets, arriving later but before the handshake.
    let mut case = Case::greeted(offered());
    case.send("STLS\r\n");
    assert_eq!(case.next(), Step::Switch(Layer::Tls));
    case.send("U");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::PipelinedTls)));
    assert_eq!(case.next(), Step::Close(Close::Violation(Violation::PipelinedTls)));
}

#[test]
fn sasl_goes_back_and_forth_and_can_be_cancelled() {
    let mut case = Case::greeted(config());
    case.send("AUTH plain\r\n");
    assert_eq!(case.next(), Step::Event(Event::Auth { mechanism: "PLAIN".into(), initial: None }));
    case.session.challenge(b"", case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), "+ \r\n");
    case.send("*\r\n");
    assert_eq!(case.next(), Step::Event(Event::SaslCancelled));
    assert_eq!(case.said(), "-ERR authentication cancelled\r\n");
    case.send("AUTH PLAIN =\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Auth { initial: Some(_), .. })));
    case.session.challenge(b"more", case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), "+ bW9yZQ==\r\n");
    case.send("AGJvYgB4\r\n");
    let Step::Event(Event::SaslResponse(response)) = case.next() else { panic!("a response was sent") };
    assert_eq!(response.expose(), b"\0bob\0x");
    case.session.open(maildrop(), case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), "+OK maildrop ready\r\n");
    assert_eq!(case.ask("NOOP\r\n"), "+OK \r\n");
}

#[test]
fn a_guesser_is_cut_off() {
    let mut case = Case::greeted(config());
    for _ in 0..=Limits::default().failed_logins {
        case.send("USER bob\r\nPASS guess\r\n");
        assert!(matches!(case.next(), Step::Event(Event::Login { .. })));
        case.refuse(&Reply::err("no").with_code(Code::Auth));
    }
    assert_eq!(case.next(), Step::Close(Close::Violation(Violation::TooManyLogins)));
    assert_eq!(case.said(), "");
}

#[test]
fn faults_of_ours_are_no_guesses() {
    let mut case = Case::greeted(config());
    for _ in 0..9 {
        case.send("USER bob\r\nPASS right\r\n");
        assert!(matches!(case.next(), Step::Event(Event::Login { .. })));
        case.refuse(&Reply::err("later").with_code(Code::SysTemp));
    }
    assert_eq!(case.next(), Step::NeedInput);
}

#[test]
fn errors_are_answered_told_and_counted() {
    let mut case = Case::greeted(config());
    for round in 0..Limits::default().violations {
        case.send(if round % 2 == 0 { "XYZZY\r\n" } else { "USER bob\0x\r\n" });
        assert!(matches!(case.next(), Step::Event(Event::Violation(_))));
    }
    case.said();
    case.send("XYZZY\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::TooManyViolations)));
    assert_eq!(case.said(), "-ERR too many errors, closing\r\n");
    assert_eq!(case.next(), Step::Close(Close::Violation(Violation::TooManyViolations)));
}

#[test]
fn login_has_one_deadline_however_chatty_the_client() {
    let mut case = Case::greeted(config());
    let login = Timeouts::default().login;
    case.now = login - Duration::from_secs(1);
    case.ask("NOOP\r\n");
    assert_eq!(case.session.poll_timeout().unwrap().at, login);
    // The time that the application takes to check a password is not the client's.
    case.send("USER bob\r\nPASS x\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Login { .. })));
    assert_eq!(case.session.poll_timeout(), None);
    case.now += Duration::from_secs(60);
    case.session.handle_timeout(case.now, &mut case.out);
    case.refuse(&Reply::err("no"));
    assert_eq!(case.session.poll_timeout().unwrap().at, login + Duration::from_secs(60));
    case.now = login + Duration::from_secs(59);
    case.session.handle_timeout(case.now, &mut case.out);
    assert_eq!(case.next(), Step::NeedInput);
    case.now += Duration::from_secs(1);
    case.session.handle_timeout(case.now, &mut case.out);
    assert_eq!(case.next(), Step::Close(Close::Timeout(Waiting::Login)));
    assert_eq!(case.said(), "");
}

#[test]
fn after_login_each_command_starts_the_clock_anew() {
    let mut case = Case::logged_in();
    let command = Timeouts::default().command;
    case.now = command - Duration::from_secs(1);
    case.ask("NOOP\r\n");
    case.send("half a comm");
    assert_eq!(case.next(), Step::NeedInput);
    assert_eq!(case.session.poll_timeout().unwrap().at, case.now + command);
    case.now += command;
    case.session.handle_timeout(case.now, &mut case.out);
    assert_eq!(case.next(), Step::Close(Close::Timeout(Waiting::Command)));
}

#[test]
fn a_half_closed_client_gets_all_its_replies_and_no_deletion() {
    let mut case = Case::logged_in();
    case.send("DELE 1\r\nRETR 2\r\nSTAT\r\nSTA");
    case.session.handle_eof();
    assert_eq!(case.next(), Step::Event(Event::Retrieve { number: 2 }));
    case.refuse(&Reply::err("gone"));
    assert_eq!(case.next(), Step::Close(Close::Eof));
    assert_eq!(case.said(), "+OK 2 127\r\n");
}

#[test]
fn shutting_down_follows_the_open_answer() {
    let mut case = Case::logged_in();
    case.send("RETR 1\r\nNOOP\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Retrieve { .. })));
    case.session.accept(case.now, &mut case.out).unwrap();
    case.session.shut_down(ShutDown::Stopping, case.now, &mut case.out);
    assert_eq!(case.next(), Step::YourTurn);
    case.session.body(TEXT, &mut case.out).unwrap();
    case.session.end_body(case.now, &mut case.out).unwrap();
    assert!(case.said().ends_with("\r\n.\r\n-ERR [SYS/TEMP] server is shutting down\r\n"));
    assert_eq!(case.next(), Step::Close(Close::ShutDown(ShutDown::Stopping)));
}

#[test]
fn a_fault_answers_the_question_unless_its_reply_has_begun() {
    let mut case = Case::logged_in();
    case.send("RETR 1\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Retrieve { .. })));
    case.session.shut_down(ShutDown::Fault, case.now, &mut case.out);
    assert_eq!(case.said(), "-ERR [SYS/TEMP] internal error\r\n");
    assert_eq!(case.next(), Step::Close(Close::ShutDown(ShutDown::Fault)));

    let mut case = Case::logged_in();
    case.send("RETR 1\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Retrieve { .. })));
    case.accept();
    case.session.shut_down(ShutDown::Fault, case.now, &mut case.out);
    assert_eq!(case.said(), "");
}

#[test]
fn an_overloaded_server_says_so_instead_of_a_greeting() {
    let mut case = Case::new(config());
    case.session.shut_down(ShutDown::Overloaded, case.now, &mut case.out);
    assert_eq!(case.said(), "-ERR [SYS/TEMP] too many connections, try again later\r\n");
    assert_eq!(case.next(), Step::Close(Close::ShutDown(ShutDown::Overloaded)));
}

#[test]
fn every_question_can_be_declined() {
    let mut case = Case::logged_in();
    for question in ["LIST\r\n", "UIDL\r\n", "RETR 1\r\n", "TOP 1 0\r\n"] {
        case.send(question);
        assert!(matches!(case.next(), Step::Event(event) if event.is_question()));
        case.session.decline(case.now, &mut case.out);
        assert_eq!(case.said(), "-ERR [SYS/TEMP] not available\r\n");
    }
    case.send("RETR 1\r\n");
    assert!(matches!(case.next(), Step::Event(_)));
    case.accept();
    case.session.decline(case.now, &mut case.out);
    assert_eq!((case.next(), case.said().as_str()), (Step::Close(Close::Aborted), ""));
}

#[test]
fn verbs_out_of_order_write_nothing() {
    let mut case = Case::logged_in();
    let (now, mut out) = (case.now, BytesMut::new());
    assert_eq!(case.session.accept(now, &mut out), Err(Misuse::NotNow));
    assert_eq!(case.session.body(b"x", &mut out), Err(Misuse::NotNow));
    assert_eq!(case.session.end_body(now, &mut out), Err(Misuse::NotNow));
    assert_eq!(case.session.list_more(now, &mut out), Err(Misuse::NotNow));
    assert_eq!(case.session.challenge(b"", now, &mut out), Err(Misuse::NotNow));
    assert_eq!(case.session.open(maildrop(), now, &mut out), Err(Misuse::NotNow));
    case.send("RETR 1\r\n");
    assert!(matches!(case.next(), Step::Event(_)));
    assert_eq!(case.session.reply(&Reply::ok("yes"), now, &mut out), Err(Misuse::WrongReply));
    case.session.decline(now, &mut case.out);
    assert!(out.is_empty());
}

#[test]
fn a_line_of_sasl_may_be_long_a_command_may_not() {
    let mut case = Case::greeted(config());
    case.send("AUTH PLAIN\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Auth { .. })));
    case.session.challenge(b"", case.now, &mut case.out).unwrap();
    assert_eq!(case.session.max_input(), Limits::default().sasl_line);
    case.send(&format!("{}\r\n", "QUFB".repeat(1000)));
    assert!(matches!(case.next(), Step::Event(Event::SaslResponse(response)) if response.expose().len() == 3000));
    case.session.challenge(b"", case.now, &mut case.out).unwrap();
    case.send("not base64\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Base64)));
    case.said();
    case.send(&format!("USER {}\r\nNOOP\r\n", "x".repeat(4000)));
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::LineTooLong)));
    assert_eq!(case.next(), Step::NeedInput);
    assert_eq!(case.said(), "-ERR line too long\r\n+OK \r\n");
}

#[test]
fn a_mechanism_that_nobody_offers_is_refused() {
    let mut case = Case::greeted(config());
    case.send("AUTH KERBEROS_V4\r\n");
    assert_eq!(case.next(), Step::Event(Event::Violation(Violation::Argument)));
}

#[test]
fn a_handshake_that_never_comes_is_the_end() {
    let offered = || ServerConfig { stls: Stls::Offered, ..config() };
    let mut case = Case::greeted(offered());
    case.send("STLS\r\n");
    assert_eq!(case.next(), Step::Switch(Layer::Tls));
    case.session.handle_eof();
    case.session.handle_eof();
    assert_eq!(case.next(), Step::Close(Close::Eof));

    let mut case = Case::greeted(offered());
    case.send("STLS\r\n");
    assert_eq!(case.next(), Step::Switch(Layer::Tls));
    case.said();
    case.session.shut_down(ShutDown::Stopping, case.now, &mut case.out);
    assert_eq!((case.next(), case.said().as_str()), (Step::Close(Close::ShutDown(ShutDown::Stopping)), ""));

    let mut case = Case::greeted(offered());
    case.send("STLS\r\n");
    assert_eq!(case.next(), Step::Switch(Layer::Tls));
    let Deadline { at, waiting_for } = case.session.poll_timeout().unwrap();
    case.now = at;
    case.session.handle_timeout(case.now, &mut case.out);
    assert_eq!(case.next(), Step::Close(Close::Timeout(waiting_for)));
    assert_eq!([Waiting::Login, Waiting::Command, Waiting::Tls].map(Waiting::as_str), ["login", "command", "tls"]);
}

#[test]
fn tls_that_nobody_asked_for_changes_nothing() {
    let mut case = Case::greeted(config());
    case.send("USER bob\r\n");
    assert_eq!(case.next(), Step::NeedInput);
    case.session.switched(Switched::Tls(TlsInfo::default()), case.now);
    case.send("PASS x\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Login { .. })));
}

#[test]
fn the_end_is_the_end() {
    let mut case = Case::logged_in();
    case.session.abort();
    case.session.abort();
    case.session.shut_down(ShutDown::Stopping, case.now, &mut case.out);
    case.session.handle_timeout(Duration::MAX, &mut case.out);
    assert_eq!((case.next(), case.said().as_str()), (Step::Close(Close::Aborted), ""));
    assert_eq!(case.session.poll_timeout(), None);
}

#[test]
fn a_client_is_turned_away_or_greeted_otherwise() {
    let mut case = Case::new(config());
    assert!(matches!(case.next(), Step::Event(Event::Connected)));
    assert_eq!(case.refuse(&Reply::err("not you").with_code(Code::SysPerm)), "-ERR [SYS/PERM] not you\r\n");
    assert_eq!(case.next(), Step::Close(Close::Quit));
    let mut case = Case::new(config());
    assert!(matches!(case.next(), Step::Event(Event::Connected)));
    assert_eq!(case.refuse(&Reply::ok("hello")), "+OK hello\r\n");
    assert_eq!(case.ask("NOOP\r\n"), "+OK \r\n");
}

#[test]
fn shutting_down_behind_a_challenge_leaves_no_exchange() {
    let mut case = Case::greeted(config());
    case.send("AUTH PLAIN\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Auth { .. })));
    case.session.shut_down(ShutDown::Overloaded, case.now, &mut case.out);
    case.session.challenge(b"", case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), "+ \r\n-ERR [SYS/TEMP] too many connections, try again later\r\n");
    assert_eq!(case.next(), Step::Close(Close::ShutDown(ShutDown::Overloaded)));
}

#[test]
fn what_is_held_for_a_peer_is_told() {
    let mut case = Case::greeted(config());
    assert_eq!(case.session.memory(), 0);
    case.ask("USER bob\r\n");
    assert!(case.session.memory() >= 3);
    let mut case = Case::logged_in();
    assert_eq!(case.session.memory(), 0);
    case.ask("DELE 1\r\n");
    assert_eq!(case.session.memory(), 8);
}

#[test]
fn each_verb_says_where_it_is_wrong() {
    let mut case = Case::greeted(config());
    let (now, mut out) = (case.now, BytesMut::new());
    assert_eq!(case.session.list_more(now, &mut out), Err(Misuse::NotNow));
    assert_eq!(case.session.reply(&Reply::ok("x"), now, &mut out), Err(Misuse::NotNow));
    case.session.decline(now, &mut out);
    assert!(!case.session.wants_body());
    case.send("USER bob\r\nPASS x\r\n");
    assert!(matches!(case.next(), Step::Event(Event::Login { .. })));
    assert_eq!(case.session.accept(now, &mut out), Err(Misuse::WrongReply));
    let mut case = Case::logged_in();
    case.send("RETR 1\r\n");
    assert!(matches!(case.next(), Step::Event(event) if event.is_question() && event.chunk().is_none()));
    case.accept();
    assert!(case.session.wants_body());
    assert_eq!(case.session.accept(now, &mut out), Err(Misuse::NotNow));
    assert_eq!(case.session.reply(&Reply::err("x"), now, &mut out), Err(Misuse::NotNow));
    assert!(!Event::Violation(Violation::Sequence).is_question());
    assert!(out.is_empty());
}
