//! Scenarios of a session up to the mailbox: greeting, login, TLS, deadlines, ends.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::time::Duration;

use common::{Case, config};
use imap_proto::{
    Access, Attribute, Close, Code, Deadline, Event, Layer, Limits, ListEntry, MailboxStatus, Misuse, PlaintextLogin,
    Reply, Secret, ServerConfig, ServerSession, ShutDown, StatusItem, Step, Switched, TlsInfo, Violation, Waiting,
};

const BEFORE: &str = "IMAP4rev1 LITERAL+ SASL-IR ID STARTTLS AUTH=PLAIN";
const AFTER: &str = "IMAP4rev1 LITERAL+ SASL-IR ID CHILDREN IDLE MOVE NAMESPACE SPECIAL-USE UIDPLUS UNSELECT";

fn tls() -> Switched {
    Switched::Tls(TlsInfo { version: "TLSv1.3".into(), ..TlsInfo::default() })
}

#[test]
fn the_greeting_waits_for_the_application() {
    let mut case = Case::new(config());
    case.send("a NOOP\r\n");
    assert_eq!(case.event(), Event::Connected);
    assert_eq!(case.next(), Step::YourTurn);
    assert_eq!(case.said(), "");
    assert_eq!(case.accept(), format!("* OK [CAPABILITY {BEFORE}] ready\r\n"));
    assert_eq!(case.ask(""), "a OK NOOP completed\r\n");
}

#[test]
fn a_client_is_turned_away_or_needs_no_login() {
    let mut case = Case::new(config());
    case.event();
    assert_eq!(case.reply(&Reply::no("not today").with_code(Code::Unavailable)), "* BYE [UNAVAILABLE] not today\r\n");
    assert_eq!(case.next(), Step::Close(Close::Quit));

    let mut case = Case::new(config());
    case.event();
    case.session.authenticated(case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), format!("* PREAUTH [CAPABILITY {AFTER}] ready\r\n"));
    assert_eq!(case.asked("a LOGIN a b\r\n"), Event::Violation(Violation::Sequence));
}

#[test]
fn login_by_literals_tells_the_new_capabilities() {
    let mut case = Case::greeted(config());
    assert_eq!(case.ask("a001 LOGIN {5}\r\n"), "+ go on\r\n");
    assert_eq!(case.ask("SMITH {6}\r\n"), "+ go on\r\n");
    assert_eq!(case.ask("SES"), "");
    let event = case.asked("AME\r\n");
    assert_eq!(event, Event::Login { user: "SMITH".into(), password: Secret::new(b"SESAME".to_vec()) });
    assert_eq!(case.session.accept(case.now, &mut case.out), Err(Misuse::WrongReply));
    let ok = Reply::ok("fine");
    assert_eq!(case.session.reply(&ok, case.now, &mut case.out), Err(Misuse::WrongReply));
    case.session.authenticated(case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), format!("a001 OK [CAPABILITY {AFTER}] logged in\r\n"));
    assert_eq!(case.ask("c CAPABILITY\r\n"), format!("* CAPABILITY {AFTER}\r\nc OK CAPABILITY completed\r\n"));
}

#[test]
fn wrong_passwords_are_counted_and_faults_of_ours_are_not() {
    let mut case = Case::greeted(config());
    for _ in 0..9 {
        case.asked("a LOGIN a b\r\n");
        assert_eq!(case.decline(), "a NO [UNAVAILABLE] not available\r\n");
    }
    let wrong = Reply::no("wrong").with_code(Code::AuthenticationFailed);
    for _ in 0..3 {
        case.asked("a LOGIN a b\r\n");
        assert_eq!(case.reply(&wrong), "a NO [AUTHENTICATIONFAILED] wrong\r\n");
    }
    case.asked("a LOGIN a b\r\n");
    assert_eq!(case.reply(&wrong), "a NO [AUTHENTICATIONFAILED] wrong\r\n* BYE too many failed logins\r\n");
    assert_eq!(case.next(), Step::Close(Close::Violation(Violation::TooManyLogins)));
}

#[test]
fn sasl_with_and_without_an_initial_response() {
    let mut case = Case::greeted(config());
    let mechanism = || "PLAIN".to_string();
    let event = case.asked("a AUTHENTICATE plain AGEAYg==\r\n");
    let initial = Some(Secret::new(b"\0a\0b".to_vec()));
    assert_eq!(event, Event::Authenticate { mechanism: mechanism(), initial });
    assert_eq!(case.reply(&Reply::no("wrong")), "a NO wrong\r\n");
    let event = case.asked("b AUTHENTICATE PLAIN =\r\n");
    assert_eq!(event, Event::Authenticate { mechanism: mechanism(), initial: Some(Secret::new(vec![])) });
    case.decline();
    assert_eq!(case.asked("c AUTHENTICATE PLAIN\r\n"), Event::Authenticate { mechanism: mechanism(), initial: None });
    case.session.challenge(b"", case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), "+ \r\n");
    assert_eq!(case.asked("AGEAYg==\r\n"), Event::SaslResponse(Secret::new(b"\0a\0b".to_vec())));
    case.session.challenge(b"more", case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), "+ bW9yZQ==\r\n");
    assert_eq!(case.asked("\r\n"), Event::SaslResponse(Secret::new(vec![])));
    case.session.authenticated(case.now, &mut case.out).unwrap();
    assert_eq!(case.said(), format!("c OK [CAPABILITY {AFTER}] logged in\r\n"));
}

#[test]
fn sasl_can_be_broken_off() {
    let mut case = Case::greeted(config());
    let mut begin = |line: &str| {
        case.asked("c AUTHENTICATE PLAIN\r\n");
        case.session.challenge(b"", case.now, &mut case.out).unwrap();
        case.said();
        let event = case.asked(line);
        (event, case.said())
    };
    assert_eq!(begin("*\r\n"), (Event::SaslCancelled, "c BAD authentication cancelled\r\n".into()));
    let base64 = || (Event::Violation(Violation::Base64), "c BAD invalid base64\r\n".into());
    assert_eq!(begin("a LOGIN b c\r\n"), base64());
    assert_eq!(begin("AGEAYg\r\n"), base64(), "padding is due");
    assert_eq!(begin("x {9+}\r\na LOGOUT\r\n\r\n"), base64());
    let long = "A".repeat(12_288) + "\r\n";
    let too_long = "c BAD [TOOBIG] command too long\r\n".to_string();
    assert_eq!(begin(&long), (Event::Violation(Violation::CommandTooLong), too_long));
    assert_eq!(case.ask("d NOOP\r\n"), "d OK NOOP completed\r\n");
}

#[test]
fn without_tls_no_password_is_taken() {
    let config = ServerConfig {
        plaintext_login: PlaintextLogin::UnderTls,
        mechanisms_before_tls: vec!["SCRAM-SHA-256".into()],
        ..config()
    };
    let mut case = Case::greeted(config);
    let before = "IMAP4rev1 LITERAL+ SASL-IR ID STARTTLS LOGINDISABLED AUTH=SCRAM-SHA-256";
    assert_eq!(case.ask("a CAPABILITY\r\n"), format!("* CAPABILITY {before}\r\na OK CAPABILITY completed\r\n"));
    for command in ["a LOGIN b c\r\n", "a AUTHENTICATE PLAIN AGEAYg==\r\n"] {
        assert_eq!(case.asked(command), Event::Violation(Violation::PlaintextLogin));
        assert_eq!(case.said(), "a NO [PRIVACYREQUIRED] plaintext login is refused without TLS\r\n");
    }
    assert_eq!(case.asked("a AUTHENTICATE X\r\n"), Event::Violation(Violation::Mechanism));
    case.said();

    case.send("b STARTTLS\r\n");
    assert_eq!(case.next(), Step::Switch(Layer::Tls));
    assert_eq!(case.next(), Step::Switch(Layer::Tls));
    assert_eq!(case.said(), "b OK begin TLS\r\n");
    case.session.switched(Switched::Deflate, case.now);
    assert_eq!(case.next(), Step::Switch(Layer::Tls), "another layer was asked for");
    case.session.switched(tls(), case.now);
    assert_eq!(case.next(), Step::NeedInput, "no second greeting");
    let under_tls = "IMAP4rev1 LITERAL+ SASL-IR ID AUTH=PLAIN";
    assert_eq!(case.ask("a CAPABILITY\r\n"), format!("* CAPABILITY {under_tls}\r\na OK CAPABILITY completed\r\n"));
    assert_eq!(case.asked("c STARTTLS\r\n"), Event::Violation(Violation::Sequence));
    assert!(matches!(case.asked("a LOGIN b c\r\n"), Event::Login { .. }));
}

#[test]
fn nothing_may_stand_behind_starttls() {
    for (first, then) in [("a STARTTLS\r\nb LOGIN c d\r\n", ""), ("a STARTTLS\r\n", "b LOGIN c d\r\n")] {
        let mut case = Case::greeted(config());
        case.send(first);
        if !then.is_empty() {
            assert_eq!(case.next(), Step::Switch(Layer::Tls));
            assert_eq!(case.said(), "a OK begin TLS\r\n");
            case.send(then);
        }
        assert_eq!(case.event(), Event::Violation(Violation::PipelinedTls));
        assert_eq!(case.next(), Step::Close(Close::Violation(Violation::PipelinedTls)));
        let said = if then.is_empty() { "* BYE commands behind STARTTLS are refused\r\n" } else { "" };
        assert_eq!(case.said(), said);
    }
}

#[test]
fn commands_belong_to_states() {
    let mut case = Case::greeted(config());
    for command in ["SELECT a", "LIST \"\" *", "IDLE", "FETCH 1 UID", "CHECK", "NAMESPACE", "APPEND a {3}"] {
        assert_eq!(case.asked(&format!("a {command}\r\n")), Event::Violation(Violation::Sequence), "{command}");
        assert_eq!(case.said(), "a BAD command not valid in this state\r\n");
    }
    let mut case = Case::logged_in();
    for command in ["STARTTLS", "AUTHENTICATE PLAIN", "FETCH 1 UID", "CLOSE", "UNSELECT", "EXPUNGE", "UID COPY 1 a"] {
        assert_eq!(case.asked(&format!("a {command}\r\n")), Event::Violation(Violation::Sequence), "{command}");
    }
}

#[test]
fn id_and_namespace_are_answered_from_the_configuration() {
    let config = ServerConfig { id: vec![("name".into(), "Post\"haste".into())], ..config() };
    let mut case = Case::logged_in_with(config);
    let event = case.asked("a023 ID (\"name\" \"sodr\" \"version\" NIL)\r\n");
    assert_eq!(event, Event::Id(vec![("name".into(), Some("sodr".into())), ("version".into(), None)]));
    assert_eq!(case.said(), "* ID (\"name\" \"Post\\\"haste\")\r\na023 OK ID completed\r\n");
    assert_eq!(case.asked("b ID NIL\r\n"), Event::Id(vec![]));
    case.said();
    let namespaces = "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nc OK NAMESPACE completed\r\n";
    assert_eq!(case.ask("c NAMESPACE\r\n"), namespaces);
}

#[test]
fn mailboxes_are_named_in_utf8() {
    let mut case = Case::logged_in();
    let name = |name: &str| name.to_string();
    assert_eq!(case.asked("a CREATE &ZeVnLIqe-/\r\n"), Event::Create(name("\u{65e5}\u{672c}\u{8a9e}")));
    assert_eq!(case.accept(), "a OK CREATE completed\r\n");
    assert_eq!(case.asked("a DELETE {5+}\r\ninBoX\r\n"), Event::Delete(name("INBOX")));
    assert_eq!(case.reply(&Reply::no("no").with_code(Code::Cannot)), "a NO [CANNOT] no\r\n");
    let rename = Event::Rename { from: name("a b"), to: name("INBOX/c") };
    assert_eq!(case.asked("a RENAME \"a b\" inbox/c\r\n"), rename);
    case.accept();
    assert_eq!(case.asked("a SUBSCRIBE x\r\n"), Event::Subscribe(name("x")));
    case.accept();
    assert_eq!(case.asked("a UNSUBSCRIBE x\r\n"), Event::Unsubscribe(name("x")));
    assert_eq!(case.accept(), "a OK UNSUBSCRIBE completed\r\n");
    for bad in ["&Jjo", "\"\u{e4}\"", "\"\"", "&AAo-"] {
        assert!(
            matches!(case.asked(&format!("a CREATE {bad}\r\n")), Event::Violation(Violation::MailboxName(_))),
            "{bad}"
        );
        assert!(case.said().starts_with("a NO [CANNOT] "));
    }
}

#[test]
fn list_asks_with_patterns() {
    let mut case = Case::logged_in();
    assert_eq!(case.ask("a LIST \"\" \"\"\r\n"), "* LIST (\\Noselect) \"/\" \"\"\r\na OK LIST completed\r\n");
    let Event::List(list) = case.asked("a LIST foo/ %\r\n") else { panic!("no question") };
    assert!(list.patterns[0].matches("foo/a") && !list.patterns[0].matches("a"));
    let entry = ListEntry { name: "foo/a&b".into(), attributes: vec![Attribute::HasNoChildren] };
    case.session.list_entry(&entry, &mut case.out).unwrap();
    assert_eq!(case.accept(), "* LIST (\\HasNoChildren) \"/\" foo/a&-b\r\na OK LIST completed\r\n");
    let Event::Lsub(list) = case.asked("a LSUB \"\" {1}\r\n*\r\n") else { panic!("no question") };
    assert!(list.patterns[0].matches("a/b"));
    case.session.list_entry(&ListEntry::default(), &mut case.out).unwrap();
    assert_eq!(case.accept(), "+ go on\r\n* LSUB () \"/\" \"\"\r\na OK LSUB completed\r\n");
    assert_eq!(case.session.list_entry(&entry, &mut case.out), Err(Misuse::NotNow));
}

#[test]
fn status_must_be_told_before_ok() {
    let mut case = Case::logged_in();
    let event = case.asked("a042 STATUS blurdybloop (UIDNEXT MESSAGES UIDNEXT)\r\n");
    let items = vec![StatusItem::UidNext, StatusItem::Messages];
    assert_eq!(event, Event::Status { mailbox: "blurdybloop".into(), items });
    assert_eq!(case.session.accept(case.now, &mut case.out), Err(Misuse::WrongReply));
    let status =
        MailboxStatus { messages: Some(231), uidnext: Some(44_292), unseen: Some(1), ..MailboxStatus::default() };
    case.session.status(&status, &mut case.out).unwrap();
    assert_eq!(case.session.status(&status, &mut case.out), Err(Misuse::NotNow));
    let expected = "* STATUS blurdybloop (UIDNEXT 44292 MESSAGES 231)\r\na042 OK STATUS completed\r\n";
    assert_eq!(case.accept(), expected);
    case.asked("b STATUS none (RECENT)\r\n");
    assert_eq!(case.reply(&Reply::no("none").with_code(Code::NonExistent)), "b NO [NONEXISTENT] none\r\n");
}

#[test]
fn logout_says_bye_first() {
    let mut case = Case::logged_in();
    assert_eq!(case.asked("a LOGOUT\r\nb NOOP\r\n"), Event::Logout);
    assert_eq!(case.said(), "* BYE logging out\r\na OK LOGOUT completed\r\n");
    assert_eq!(case.next(), Step::Close(Close::Quit));
    assert_eq!(case.said(), "");
}

#[test]
fn pipelined_commands_wait_for_the_answer() {
    let mut case = Case::greeted(config());
    case.send("a LOGIN b c\r\nd SELECT e\r\nf CHECK\r\n");
    assert!(matches!(case.event(), Event::Login { .. }));
    assert_eq!(case.next(), Step::YourTurn);
    case.session.authenticated(case.now, &mut case.out).unwrap();
    assert_eq!(case.event(), Event::Select { mailbox: "e".into(), access: Access::ReadWrite });
    assert_eq!(case.next(), Step::YourTurn);
    case.session.select(common::selected(&[]), case.now, &mut case.out).unwrap();
    assert_eq!(case.event(), Event::Poll);
    case.accept();
    assert_eq!(case.next(), Step::NeedInput);
}

#[test]
fn eof_comes_behind_all_that_was_sent() {
    let mut case = Case::logged_in();
    case.send("a NOOP\r\nb CREATE x\r\nc NOO");
    case.session.handle_eof();
    assert_eq!(case.event(), Event::Create("x".into()));
    assert_eq!(case.next(), Step::YourTurn);
    assert_eq!(case.accept(), "a OK NOOP completed\r\nb OK CREATE completed\r\n");
    assert_eq!(case.next(), Step::Close(Close::Eof));
    case.send("d NOOP\r\n");
    assert_eq!(case.next(), Step::Close(Close::Eof));
    assert_eq!(case.session.accept(case.now, &mut case.out), Err(Misuse::NotNow));
    assert_eq!(case.said(), "");
}

#[test]
fn login_has_one_deadline_whatever_is_sent() {
    let mut case = Case::greeted(config());
    let deadline = Some(Deadline { at: Duration::from_secs(60), waiting_for: Waiting::Login });
    assert_eq!(case.session.poll_timeout(), deadline);
    case.now = Duration::from_secs(50);
    case.ask("a NOOP\r\nb CAPABILITY\r\nc ");
    assert_eq!(case.asked("X\r\n"), Event::Violation(Violation::Syntax(parse_error(b"c X"))));
    assert_eq!(case.session.poll_timeout(), deadline);
    case.asked("d LOGIN a b\r\n");
    assert_eq!(case.session.poll_timeout(), None);
    case.now = Duration::from_secs(200);
    case.decline();
    assert_eq!(case.session.poll_timeout().unwrap().at, Duration::from_secs(210), "our own time is not the peer's");
    assert_eq!(case.wait(9), "");
    assert_eq!(case.wait(1), "* BYE no login in time\r\n");
    assert_eq!(case.next(), Step::Close(Close::Timeout(Waiting::Login)));
}

fn parse_error(line: &[u8]) -> imap_proto::ParseError {
    imap_proto::Command::parse(line).unwrap_err()
}

#[test]
fn after_login_each_command_has_its_while() {
    let mut case = Case::logged_in();
    assert_eq!(case.wait(1799), "");
    case.ask("a NOOP\r\nb NO");
    assert_eq!(case.wait(1799), "");
    case.ask("O");
    assert_eq!(case.wait(1), "* BYE autologout, idle for too long\r\n");
    assert_eq!(case.next(), Step::Close(Close::Timeout(Waiting::Command)));
    assert_eq!(case.wait(9999), "");
}

#[test]
fn shutting_down_waits_for_the_answer() {
    let mut case = Case::logged_in();
    case.asked("a CREATE x\r\nb NOOP\r\n");
    case.session.shut_down(ShutDown::Stopping, case.now, &mut case.out);
    assert_eq!(case.said(), "");
    assert_eq!(case.accept(), "a OK CREATE completed\r\n* BYE [UNAVAILABLE] server is shutting down\r\n");
    assert_eq!(case.next(), Step::Close(Close::ShutDown(ShutDown::Stopping)));

    let mut case = Case::new(config());
    case.session.shut_down(ShutDown::Overloaded, case.now, &mut case.out);
    assert_eq!(case.said(), "* BYE [UNAVAILABLE] too many connections, try again later\r\n");
    assert_eq!(case.next(), Step::Close(Close::ShutDown(ShutDown::Overloaded)));

    let mut case = Case::logged_in();
    case.asked("a CREATE x\r\n");
    case.session.shut_down(ShutDown::Fault, case.now, &mut case.out);
    assert_eq!(case.said(), "* BYE [UNAVAILABLE] internal error\r\n");
    assert_eq!(case.session.accept(case.now, &mut case.out), Err(Misuse::NotNow));
}

#[test]
fn shutting_down_in_a_handshake_says_nothing() {
    let mut case = Case::greeted(config());
    case.send("a STARTTLS\r\n");
    assert_eq!(case.next(), Step::Switch(Layer::Tls));
    case.said();
    case.session.shut_down(ShutDown::Stopping, case.now, &mut case.out);
    assert_eq!(case.said(), "");
    assert_eq!(case.next(), Step::Close(Close::ShutDown(ShutDown::Stopping)));
}

#[test]
fn too_many_errors_close() {
    let limits = Limits { violations: 2, ..Limits::default() };
    let mut case = Case::greeted(ServerConfig { limits, ..config() });
    for _ in 0..2 {
        case.asked("a X\r\n");
        assert_eq!(case.said(), "a BAD a known command expected at octet 2\r\n");
    }
    assert_eq!(case.asked("\r\n"), Event::Violation(Violation::TooManyViolations));
    assert_eq!(case.said(), "* BAD a tag expected at octet 0\r\n* BYE too many errors\r\n");
    assert_eq!(case.next(), Step::Close(Close::Violation(Violation::TooManyViolations)));
}

#[test]
fn a_small_idle_session() {
    assert!(size_of::<ServerSession>() <= 512, "{}", size_of::<ServerSession>());
    let case = Case::logged_in();
    assert_eq!(case.session.memory(), 0);
    let case = Case::with_messages(&(1..=100_000).collect::<Vec<_>>());
    assert!(case.session.memory() < 1024, "a mailbox without gaps: {}", case.session.memory());
    let case = Case::with_messages(&(1..=100_000).filter(|uid| uid % 3 == 0).collect::<Vec<_>>());
    assert!(case.session.memory() < 20_000, "one with gaps: {}", case.session.memory());
}
