//! Verbs out of turn, ends of sessions, and what is held.

use std::time::Duration;

use smtp_proto::{
    ClientEvent, Close, Command, Mechanism, Misuse, Protocol, SendError, ShutDown, Step, Switched, TlsInfo, Violation,
    Waiting,
};

use crate::case::{Client, NOW, bdat_last, mail, name, rcpt};

const ALL: &str = "250-PIPELINING\r\n250-CHUNKING\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250-XCLIENT NAME\r\n";

/// A session in each of its phases.
fn phases() -> Vec<(&'static str, Client)> {
    let auth = || Command::Auth { mechanism: Mechanism::parse("PLAIN").unwrap(), initial: None };
    let said = |command: Command<'_>, said: &str| {
        let mut client = Client::greeted(ALL);
        client.send(command).unwrap();
        if !said.is_empty() {
            client.hear(said);
        }
        client.out.clear();
        client
    };
    let mut closed = Client::greeted(ALL);
    closed.session.abort();
    vec![
        ("greeting", Client::new(Protocol::Smtp)),
        ("ready", Client::greeted(ALL)),
        ("waiting", said(Command::Noop, "")),
        ("sasl", said(auth(), "334 \r\n")),
        ("body", said(Command::Data, "354 go\r\n")),
        ("chunk", said(bdat_last(1), "")),
        ("switching", said(Command::StartTls, "220 go\r\n")),
        ("closed", closed),
    ]
}

#[test]
fn each_verb_fits_its_phase_and_is_refused_in_all_others() {
    for (phase, mut client) in phases() {
        let expected = |fits: &[&str]| if fits.contains(&phase) { Ok(()) } else { Err(Misuse::NotNow) };
        if phase != "sasl" {
            assert_eq!(client.session.respond(b"x", NOW, &mut client.out), Err(Misuse::NotNow), "{phase}");
            assert_eq!(client.session.cancel(NOW, &mut client.out), Err(Misuse::NotNow), "{phase}");
        }
        if phase != "switching" {
            client.session.switched(Switched::Tls(TlsInfo::default()), NOW);
            assert!(!client.session.is_under_tls());
        }
        client.session.handle_timeout(NOW, &mut client.out);
        let refused = match phase {
            "ready" => None,
            "waiting" => Some(SendError::Wait),
            _ => Some(SendError::NotNow),
        };
        assert_eq!(client.send(Command::Rset).err(), refused, "{phase}");
        if phase != "ready" {
            assert_eq!(client.out, "", "{phase}");
        }
        assert_eq!(client.body(b"x"), expected(&["body", "chunk"]), "{phase}");
        assert_eq!(client.end_body().map(drop), expected(&["body", "chunk"]), "{phase}");
    }
}

#[test]
fn each_phase_can_be_ended_in_each_way() {
    for why in [ShutDown::Stopping, ShutDown::Overloaded, ShutDown::Fault] {
        for (phase, mut client) in phases() {
            client.session.shut_down(why, NOW, &mut client.out);
            let quits = phase == "ready";
            assert_eq!(client.said(), if quits { "QUIT\r\n" } else { "" }, "{phase}");
            let step = client.step();
            match (phase, why) {
                ("closed", _) => assert_eq!(step, Step::Close(Close::Aborted)),
                ("waiting", ShutDown::Stopping | ShutDown::Overloaded) => assert_eq!(step, Step::NeedInput),
                ("sasl" | "body" | "chunk", ShutDown::Stopping | ShutDown::Overloaded) => {
                    assert_eq!(step, Step::YourTurn, "{phase}");
                }
                _ => assert_eq!(step, Step::Close(Close::ShutDown(why)), "{phase}"),
            }
        }
    }
    for (phase, mut client) in phases() {
        client.session.abort();
        client.out.clear();
        assert_eq!(client.step(), Step::Close(Close::Aborted), "{phase}");
        assert_eq!((client.step(), client.said().as_str()), (Step::Close(Close::Aborted), ""));
    }
}

#[test]
fn the_end_of_input_is_told_behind_all_of_it() {
    for (phase, mut client) in phases() {
        client.session.handle_eof();
        let expected = match phase {
            "sasl" | "body" | "chunk" => Step::YourTurn,
            "closed" => Step::Close(Close::Aborted),
            _ => Step::Close(Close::Eof),
        };
        assert_eq!(client.step(), expected, "{phase}");
    }
    // A server that has closed its half may still be told what it asked for.
    let mut client = Client::greeted("");
    client.send(Command::Data).unwrap();
    client.hear("354 go\r\n");
    client.session.handle_eof();
    client.session.handle_eof();
    client.end_body().unwrap();
    assert_eq!(client.step(), Step::Close(Close::Eof));
}

#[test]
fn who_leaves_a_server_that_has_left_does_not_wait() {
    let stopping = Step::Close(Close::ShutDown(ShutDown::Stopping));
    for eof_first in [false, true] {
        let mut client = Client::greeted("");
        client.send(Command::Noop).unwrap();
        client.out.clear();
        for turn in [eof_first, !eof_first] {
            if turn {
                client.session.handle_eof();
            } else {
                client.session.shut_down(ShutDown::Stopping, NOW, &mut client.out);
            }
        }
        client.session.shut_down(ShutDown::Stopping, NOW, &mut client.out);
        assert_eq!(client.step(), stopping);
        assert_eq!(client.said(), "");
        // The reply had come before.
        let mut client = Client::greeted("");
        client.send(Command::Noop).unwrap();
        client.out.clear();
        client.session.shut_down(ShutDown::Stopping, NOW, &mut client.out);
        client.session.handle_eof();
        client.hear("250 ok\r\n");
        assert_eq!((client.step(), client.said().as_str()), (stopping.clone(), "QUIT\r\n"));
    }
}

#[test]
fn who_leaves_begins_nothing_that_would_have_to_be_ended() {
    let auth = Command::Auth { mechanism: Mechanism::parse("PLAIN").unwrap(), initial: None };
    for (command, said) in [(Command::Data, "354 go\r\n"), (auth, "334 \r\n")] {
        let mut client = Client::greeted("250-AUTH PLAIN\r\n");
        client.send(command).unwrap();
        client.session.shut_down(ShutDown::Stopping, NOW, &mut client.out);
        // What is asked of nobody is not told.
        client.input.extend_from_slice(said.as_bytes());
        assert_eq!(client.step(), Step::Close(Close::ShutDown(ShutDown::Stopping)));
    }
}

#[test]
fn nor_does_who_leaves_a_server_that_has_closed_its_half() {
    let mut client = Client::greeted("");
    client.send(Command::Data).unwrap();
    client.session.shut_down(ShutDown::Stopping, NOW, &mut client.out);
    client.session.handle_eof();
    client.session.handle_eof();
    client.input.extend_from_slice(b"354 go\r\n");
    assert_eq!(client.step(), Step::Close(Close::ShutDown(ShutDown::Stopping)));
    assert_eq!(client.said(), "DATA\r\n");
}

#[test]
fn a_handshake_has_its_time_and_its_end() {
    let switching = || {
        let mut client = Client::greeted("250-STARTTLS\r\n");
        client.send(Command::StartTls).unwrap();
        client.hear("220 go\r\n");
        client
    };
    let mut client = switching();
    let deadline = client.session.poll_timeout().unwrap();
    assert_eq!((deadline.at, deadline.waiting_for), (Duration::from_secs(60), Waiting::Tls));
    client.session.handle_timeout(deadline.at, &mut client.out);
    assert_eq!(client.step(), Step::Close(Close::Timeout(Waiting::Tls)));
    let mut client = switching();
    client.input.extend_from_slice(b"2");
    assert_eq!(client.step(), Step::Close(Close::Violation(Violation::PipelinedTls)));
}

#[test]
fn the_window_bounds_what_is_under_way() {
    let mut client = Client::greeted("250-PIPELINING\r\n");
    (0..100).for_each(|_| assert!(client.send(rcpt("<a@b.example>")).is_ok()));
    assert_eq!(client.send(rcpt("<a@b.example>")), Err(SendError::Wait));
    client.hear("250 ok\r\n");
    assert!(client.send(rcpt("<a@b.example>")).is_ok());
    assert!(client.session.memory() < 100 * 64);
    assert_eq!(client.session.max_input(), 64 * 1024);
}

#[test]
fn each_command_has_its_time() {
    for (command, seconds, waiting_for) in [
        (Command::Data, 120, Waiting::DataReply),
        (Command::Quit, 5, Waiting::Reply),
        (bdat_last(0), 600, Waiting::Verdict),
        (mail("<>"), 300, Waiting::Reply),
        (Command::Ehlo(name()), 300, Waiting::Reply),
    ] {
        let mut client = Client::greeted(ALL);
        client.send(command).unwrap();
        let deadline = client.session.poll_timeout().unwrap();
        assert_eq!((deadline.at, deadline.waiting_for), (Duration::from_secs(seconds), waiting_for));
        assert_eq!(client.step(), Step::NeedInput);
        client.session.handle_timeout(deadline.at, &mut client.out);
        assert_eq!(client.step(), Step::Close(Close::Timeout(waiting_for)));
    }
}

#[test]
fn a_greeting_may_be_anything_but_a_question() {
    for (said, good) in [("220 a\r\n", true), ("554 a\r\n", true), ("450 a\r\n", true), ("354 a\r\n", false)] {
        let mut client = Client::new(Protocol::Smtp);
        client.input.extend_from_slice(said.as_bytes());
        match client.step() {
            Step::Event(event @ ClientEvent::Greeting(_)) if good => {
                assert!(!event.is_question() && event.chunk().is_none());
            }
            step => assert!(!good && step == Step::Close(Close::Violation(Violation::BadReply)), "{said}"),
        }
    }
    let mut client = Client::new(Protocol::Smtp);
    assert!(matches!(client.hear("421 later\r\n"), ClientEvent::Greeting(_)));
    assert_eq!(client.step(), Step::Close(Close::ShutDown(ShutDown::Stopping)));
}

#[test]
fn a_server_that_asks_for_ever_is_left() {
    let auth = Command::Auth { mechanism: Mechanism::parse("PLAIN").unwrap(), initial: None };
    // Each exchange has its own count.
    let mut client = Client::greeted(ALL);
    for _ in 0..3 {
        client.send(auth.clone()).unwrap();
        for _ in 0..20 {
            assert!(client.hear("334 \r\n").is_question());
            client.session.respond(b"", NOW, &mut client.out).unwrap();
        }
        client.hear("535 no\r\n");
    }
    client.send(auth).unwrap();
    for _ in 0..20 {
        client.hear("334 \r\n");
        client.session.respond(b"", NOW, &mut client.out).unwrap();
    }
    client.input.extend_from_slice(b"334 \r\n");
    assert_eq!(client.step(), Step::Close(Close::Violation(Violation::BadReply)));
}
