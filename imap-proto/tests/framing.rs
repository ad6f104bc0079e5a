//! APPEND's message, literals, and peers that try to make one into the other.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Case, config, flags};
use imap_proto::{
    Close, Code, Event, Limits, LiteralKind, Misuse, NonSync, Reply, ServerConfig, ShutDown, Step, Violation, Waiting,
};

const HALVES: [&str; 2] = ["Subject", ": x\r\n\r\na LOGOUT\r\n"];
const MESSAGE: &str = "Subject: x\r\n\r\na LOGOUT\r\n";

fn chunk(case: &mut Case) -> String {
    let event = case.event();
    String::from_utf8(event.chunk().unwrap().to_vec()).unwrap()
}

#[test]
fn append_asks_before_the_message_is_sent() {
    let mut case = Case::logged_in();
    let Event::Append(append) =
        case.asked("A003 APPEND saved-messages (\\Seen $x) \" 7-Feb-1994 21:52:25 -0800\" {310}\r\n")
    else {
        panic!("no append")
    };
    assert_eq!((append.mailbox.as_str(), append.size, append.literal), ("saved-messages", 310, LiteralKind::Sync));
    assert_eq!((append.flags, append.date.unwrap().unix()), (flags("\\Seen $x"), 760_686_745));
    assert_eq!(case.said(), "");
    let ok = Reply::ok("");
    assert_eq!(case.session.reply(&ok, case.now, &mut case.out), Err(Misuse::WrongReply));
    let try_create = Reply::no("no such mailbox").with_code(Code::TryCreate);
    assert_eq!(case.reply(&try_create), "A003 NO [TRYCREATE] no such mailbox\r\n");
    assert_eq!(case.ask("b NOOP\r\n"), "b OK NOOP completed\r\n");
}

#[test]
fn append_streams_its_message() {
    let mut case = Case::logged_in();
    case.asked(&format!("a APPEND {{1+}}\r\nx {{{}}}\r\n", MESSAGE.len()));
    assert_eq!(case.accept(), "+ go on\r\n");
    assert_eq!(case.next(), Step::NeedInput);
    case.send(HALVES[0]);
    assert_eq!(chunk(&mut case), HALVES[0]);
    assert_eq!(case.next(), Step::NeedInput);
    case.send(HALVES[1]);
    case.send("\r\nb NOOP\r\n");
    assert_eq!(chunk(&mut case), HALVES[1]);
    assert_eq!(case.event(), Event::End);
    assert_eq!(case.next(), Step::YourTurn);
    let stored = Reply::ok("stored").with_code(Code::AppendUid { uidvalidity: 38_505, uid: 3955 });
    assert_eq!(case.reply(&stored), "a OK [APPENDUID 38505 3955] stored\r\n");
    assert_eq!(case.ask(""), "b OK NOOP completed\r\n");
}

#[test]
fn an_empty_message_is_one() {
    let mut case = Case::logged_in();
    case.asked("a APPEND x {0+}\r\n\r\n");
    assert_eq!(case.accept(), "", "nobody waits for it");
    assert_eq!(case.event(), Event::End);
}

#[test]
fn a_refused_message_is_not_run_as_commands() {
    let mut case = Case::logged_in();
    case.send(&format!("a APPEND x {{{}+}}\r\n{MESSAGE}\r\nb NOOP\r\n", MESSAGE.len()));
    assert!(matches!(case.event(), Event::Append(_)));
    assert_eq!(case.reply(&Reply::no("full").with_code(Code::OverQuota)), "");
    assert_eq!(case.ask(""), "a NO [OVERQUOTA] full\r\nb OK NOOP completed\r\n");

    case.send(&format!("c APPEND x {{{}+}}\r\n{MESSAGE}\r\nd NOOP\r\n", MESSAGE.len()));
    assert!(matches!(case.event(), Event::Append(_)));
    case.accept();
    case.session.discard_body();
    assert_eq!(case.event(), Event::End);
    assert_eq!(case.decline(), "c NO [UNAVAILABLE] not available\r\n");
    assert_eq!(case.ask(""), "d OK NOOP completed\r\n");
}

#[test]
fn a_message_must_end_its_command() {
    let mut case = Case::logged_in();
    case.asked("a APPEND x {2+}\r\n");
    case.accept();
    case.send("hi (\\Seen) {12+}\r\nb LOGOUT\r\n\r\n\r\nc NOOP\r\n");
    assert_eq!(chunk(&mut case), "hi");
    assert_eq!(case.event(), Event::Aborted);
    assert_eq!(case.event(), Event::Violation(Violation::BehindMessage));
    assert_eq!(case.said(), "a BAD the end of the command expected behind the message\r\n");
    assert_eq!(case.ask(""), "c OK NOOP completed\r\n");
}

#[test]
fn a_broken_append_is_refused_before_its_message() {
    let bad = [
        ("a APPEND x (\\Recent) {9", "a BAD a flag expected at octet 12\r\n"),
        ("a APPEND x \"1-Feb\" {9", "a BAD a date with time and zone expected at octet 12\r\n"),
        ("a APPEND x y {9", "a BAD a literal expected at octet 11\r\n"),
        ("a APPEND x ~{9", "a BAD a literal expected at octet 11\r\n"),
        ("a APPEND &x {9", "a NO [CANNOT] not canonical modified UTF-7\r\n"),
        ("a APPEND x {99999999", "a NO [TOOBIG] message too large\r\n"),
    ];
    for (head, said) in bad {
        let mut case = Case::logged_in();
        let violation = case.asked(&format!("{head}}}\r\n"));
        assert_eq!(case.said(), said, "{violation:?}");
        assert_eq!(case.ask("b NOOP\r\n"), "b OK NOOP completed\r\n");
        if head.ends_with("{9") {
            assert_eq!(
                case.asked(&format!("{head}+}}\r\nc LOGOUT\n\r\n")),
                violation,
                "the same when it comes unasked"
            );
            assert_eq!(case.said(), said);
            assert_eq!(case.ask("b NOOP\r\n"), "b OK NOOP completed\r\n");
        }
    }
}

#[test]
fn a_message_has_a_deadline_of_its_own() {
    let mut case = Case::logged_in();
    case.asked("a APPEND x {1024000}\r\n");
    case.accept();
    let deadline = case.session.poll_timeout().unwrap();
    assert_eq!((deadline.at.as_secs(), deadline.waiting_for), (300 + 1000, Waiting::Body));
    case.now += std::time::Duration::from_secs(1000);
    case.send("x");
    chunk(&mut case);
    assert_eq!(case.session.poll_timeout(), Some(deadline));
    assert_eq!(case.wait(300), "", "text would pass for an answer to what is still coming");
    assert_eq!(case.next(), Step::Close(Close::Timeout(Waiting::Body)));
}

#[test]
fn shutting_down_within_a_message_says_nothing() {
    let mut case = Case::logged_in();
    case.asked("a APPEND x {10}\r\n");
    case.accept();
    case.session.shut_down(ShutDown::Stopping, case.now, &mut case.out);
    assert_eq!((case.said().as_str(), case.next()), ("", Step::Close(Close::ShutDown(ShutDown::Stopping))));

    // But a message that is there gets its verdict, and one that is only announced is not waited for.
    let mut case = Case::logged_in();
    case.asked("a APPEND x {0+}\r\n\r\n");
    case.accept();
    assert_eq!(case.event(), Event::End);
    case.session.shut_down(ShutDown::Stopping, case.now, &mut case.out);
    assert_eq!(case.accept(), "a OK APPEND completed\r\n* BYE [UNAVAILABLE] server is shutting down\r\n");

    let mut case = Case::logged_in();
    case.asked("a APPEND x {10+}\r\n");
    case.session.shut_down(ShutDown::Stopping, case.now, &mut case.out);
    let said = "a NO [UNAVAILABLE] server is shutting down\r\n* BYE [UNAVAILABLE] server is shutting down\r\n";
    assert_eq!(case.accept(), said);
}

#[test]
fn eof_within_a_message_is_the_end_of_it() {
    let mut case = Case::logged_in();
    case.asked("a APPEND x {10}\r\n");
    case.accept();
    case.send("12345");
    case.session.handle_eof();
    assert_eq!(chunk(&mut case), "12345");
    assert_eq!(case.next(), Step::Close(Close::Eof));
}

#[test]
fn a_stranger_has_little_room() {
    let mut case = Case::greeted(config());
    assert_eq!(case.asked("a LOGIN {8192}\r\n"), Event::Violation(Violation::LiteralTooLarge));
    assert_eq!(case.said(), "a BAD [TOOBIG] literal too large\r\n", "refused before it is sent");
    assert_eq!(case.ask("a LOGIN {8000}\r\n"), "+ go on\r\n");
    case.send(&"x".repeat(8000));
    assert_eq!(case.asked(" {1000}\r\n"), Event::Violation(Violation::LiteralTooLarge), "the limit is for all of it");
    case.said();
    case.send("a LOGIN {20000+}\r\n");
    assert_eq!(case.next(), Step::NeedInput);
    case.send(&"x".repeat(20_000));
    assert_eq!(case.asked(" y\r\n"), Event::Violation(Violation::LiteralTooLarge));
    assert_eq!(case.said(), "a BAD [TOOBIG] literal too large\r\n");
    case.send("a LOGIN {99999999+}\r\n");
    assert_eq!(case.event(), Event::Violation(Violation::Endless));
    assert_eq!(case.said(), "* BYE [TOOBIG] too much to read of a command that is refused\r\n");
    assert_eq!(case.next(), Step::Close(Close::Violation(Violation::Endless)));
}

#[test]
fn literals_are_counted() {
    let mut case = Case::logged_in();
    case.send("a SEARCH");
    for _ in 0..16 {
        assert_eq!(case.ask(" TEXT {1}\r\n"), "+ go on\r\n");
        case.send("x");
    }
    assert_eq!(case.asked(" TEXT {1}\r\n"), Event::Violation(Violation::LiteralTooLarge));
}

#[test]
fn small_literals_only_where_so_configured() {
    let mut case = Case::logged_in_with(ServerConfig { literals: NonSync::Small, ..config() });
    let name = "x".repeat(5000);
    case.send(&format!("a CREATE {{5000+}}\r\n{name}\r\n"));
    assert_eq!(case.event(), Event::Violation(Violation::LiteralTooLarge));
    assert_eq!(case.ask("a CREATE {5000}\r\n"), "a BAD [TOOBIG] literal too large\r\n+ go on\r\n");
}

#[test]
fn a_line_without_end_costs_no_memory() {
    let mut case = Case::logged_in();
    case.send("tag ");
    let mut fed = 0;
    loop {
        let most = case.session.max_input();
        assert!(most <= 64 * 1024);
        let room = most - case.input.len();
        assert!(room > 0);
        case.send(&"x".repeat(room.min(10_000)));
        fed += room.min(10_000);
        let step = case.next();
        if step == Step::Event(Event::Violation(Violation::Endless)) {
            break;
        }
        assert_eq!(step, Step::NeedInput);
        assert!(case.session.memory() < 1000);
    }
    assert!((1_000_000..1_200_000).contains(&fed), "{fed}");

    let mut case = Case::logged_in();
    case.send(&format!("tag {}\r\nb NOOP\r\n", "x".repeat(70_000)));
    assert_eq!(case.event(), Event::Violation(Violation::CommandTooLong));
    assert_eq!(case.ask(""), "tag BAD [TOOBIG] command too long\r\nb OK NOOP completed\r\n");
}

#[test]
fn what_is_thrown_away_behind_a_literal_is_not_run() {
    for bad in ["a LOGIN {3+}\r\nbob x\ny\r\n", "a LOGIN {3+}\r\nb\r\n \0\r\n", "a LOGIN {3}\r\nbob x\ry\r\n"] {
        let mut case = Case::greeted(config());
        case.send(bad);
        case.send("b NOOP\r\n");
        assert_eq!(case.event(), Event::Violation(Violation::ControlOctet));
        let said = case.ask("");
        assert!(said.ends_with("a BAD bare CR, bare LF or NUL in command\r\nb OK NOOP completed\r\n"), "{said}");
    }
}

#[test]
fn tags_are_echoed_only_if_they_are_tags() {
    let mut case = Case::logged_in();
    let long = "t".repeat(200);
    for (line, tag) in [
        ("NOOP\r\n", "NOOP"),
        ("+ NOOP\r\n", "*"),
        ("\r\n", "*"),
        ("a{ X\r\n", "*"),
        (" a NOOP\r\n", "*"),
        ("a\"b NOOP\r\n", "*"),
        (&format!("{long} NOOP\r\n"), "*"),
        ("a] NOOP x\r\n", "a]"),
    ] {
        assert!(matches!(case.asked(line), Event::Violation(Violation::Syntax(_))), "{line}");
        assert!(case.said().starts_with(&format!("{tag} BAD ")), "{line}");
    }
}

#[test]
fn limits_can_be_small() {
    let limits = Limits { command: 16, command_before_login: 16, sasl_line: 16, ..Limits::default() };
    let mut case = Case::logged_in_with(ServerConfig { limits, ..config() });
    assert_eq!(case.session.max_input(), 16);
    assert_eq!(case.ask("a CAPABILITY\r\n").lines().count(), 2);
    assert_eq!(case.asked("abcd CAPABILITY\r\n"), Event::Violation(Violation::CommandTooLong));
}
