//! What the application may do, and what comes of it.
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

use common::{Server, config, submission};
use smtp_proto::{
    Close, EarlyTalk, Enhanced, Event, Layer, Link, Misuse, PlaintextLogin, Protocol, Reply, ReplyCode, ServerConfig,
    ServerSession, ShutDown, Step, TlsInfo, Violation, Vrfy, Waiting,
};

fn refusal() -> Reply {
    Reply::new(ReplyCode::FAILED, Enhanced::new(7, 1), "no")
}

fn lmtp() -> ServerConfig {
    ServerConfig { protocol: Protocol::Lmtp, ..config() }
}

/// Every question there is, open; and what leads there.
fn questions() -> Vec<(Server, Event)> {
    let vrfy = ServerConfig { vrfy: Vrfy::Ask, ..submission() };
    let vrfy = ServerConfig { plaintext_login: PlaintextLogin::Always, ..vrfy };
    let envelope = "MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\n";
    let mut opened = vec![];
    let mut server = Server::new(vrfy.clone());
    let connected = server.ask();
    opened.push((server, connected));
    for (before, text) in [
        ("", "EHLO a.example\r\n"),
        ("", "VRFY a\r\n"),
        ("", "AUTH PLAIN\r\n"),
        ("AUTH PLAIN\r\n", "bW9yZQ==\r\n"),
        ("", "MAIL FROM:<>\r\n"),
        ("MAIL FROM:<>\r\n", "RCPT TO:<b@b.example>\r\n"),
        (envelope, "DATA\r\n"),
        (&format!("{envelope}DATA\r\n"), "text\r\n.\r\n"),
    ] {
        let mut server = Server::greeted(vrfy.clone());
        server.say(before);
        server.input.extend_from_slice(text.as_bytes());
        let question = server.ask();
        opened.push((server, question));
    }
    let mut server = Server::new(lmtp());
    let _ = server.run();
    server.say("LHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<c@b.example>\r\nDATA\r\n");
    server.input.extend_from_slice(b".\r\n");
    let end = server.ask();
    opened.push((server, end));
    opened
}

#[test]
fn nothing_is_parsed_while_a_question_is_open() {
    for (mut server, question) in questions() {
        server.input.extend_from_slice(b"NOOP\r\n");
        assert_eq!(server.run(), Step::YourTurn, "{question:?}");
        assert_eq!(server.input, "NOOP\r\n");
        assert_eq!(server.session.poll_timeout(), None, "the peer waits for us");
    }
}

#[test]
fn every_question_can_be_declined() {
    let opened = questions();
    let last = opened.len() - 1;
    for (index, (mut server, question)) in opened.into_iter().enumerate() {
        server.out.clear();
        server.session.decline(server.now, &mut server.out);
        let heard = server.heard();
        // The last is LMTP's, with two recipients.
        let replies = if index == last { 2 } else { 1 };
        assert_eq!(heard.matches("\r\n").count(), replies, "{question:?} gives {heard:?}");
        assert!(heard.starts_with('5'), "{question:?} gives {heard:?}");
        assert_eq!(server.say("QUIT\r\n").matches("221 ").count(), 1, "{question:?}");
        assert_eq!(server.closed(), Close::Quit);
    }
}

#[test]
fn declining_does_nothing_behind_news_and_before_questions() {
    let mut server = Server::greeted(config());
    server.session.decline(server.now, &mut server.out);
    assert_eq!(server.heard(), "");
}

#[test]
fn a_verb_that_is_no_answer_writes_nothing_and_changes_nothing() {
    let intermediate = Reply::plain(ReplyCode::START_INPUT, "go");
    let positive = Reply::new(ReplyCode::OK, Enhanced::new(0, 0), "ok");
    for (mut server, question) in questions() {
        server.out.clear();
        let (session, now, out) = (&mut server.session, server.now, &mut server.out);
        assert_eq!(session.reply(&intermediate, now, out), Err(Misuse::WrongReply), "{question:?}");
        assert_eq!(session.discard_body(), Err(Misuse::NotNow));
        let is_sasl = matches!(question, Event::Auth { .. } | Event::SaslResponse(_));
        if !is_sasl {
            assert_eq!(session.challenge(b"", now, out), Err(Misuse::NotNow), "{question:?}");
            assert_eq!(session.authenticated(now, out), Err(Misuse::NotNow), "{question:?}");
        } else {
            assert_eq!(session.accept(now, out), Err(Misuse::WrongReply), "{question:?}");
        }
        if !matches!(question, Event::End(_)) {
            assert_eq!(session.reply_next(&positive, now, out), Err(Misuse::NotNow), "{question:?}");
        }
        if is_sasl || matches!(question, Event::Connected | Event::Hello(_) | Event::Data) {
            assert_eq!(session.reply(&positive, now, out), Err(Misuse::WrongReply), "{question:?}");
        }
        assert_eq!(server.out, "", "{question:?}");
        assert_eq!(server.run(), Step::YourTurn, "{question:?}");
    }
    let mut server = Server::greeted(config());
    assert_eq!(server.session.accept(server.now, &mut server.out), Err(Misuse::NotNow));
    assert_eq!(server.session.reply(&positive, server.now, &mut server.out), Err(Misuse::NotNow));
    assert_eq!(server.heard(), "");
}

#[test]
fn a_client_turned_away_may_only_quit() {
    let mut server = Server::new(config());
    server.ask();
    server.session.reply(&refusal(), server.now, &mut server.out).unwrap();
    assert_eq!(server.heard(), "554 5.7.1 no\r\n");
    // RFC 5321 §3.1.
    assert_eq!(server.say("EHLO a.example\r\n"), "503 5.5.1 bad sequence of commands\r\n");
    assert_eq!(server.say("QUIT\r\n"), "221 2.0.0 goodbye\r\n");
    assert_eq!(server.closed(), Close::Quit);
}

#[test]
fn a_refused_hello_leaves_the_transaction_alone() {
    let mut server = Server::greeted(config());
    server.say("MAIL FROM:<>\r\n");
    server.input.extend_from_slice(b"EHLO b.example\r\n");
    server.ask();
    server.session.reply(&refusal(), server.now, &mut server.out).unwrap();
    server.heard();
    assert_eq!(server.say("RCPT TO:<b@b.example>\r\n"), "250 2.1.5 recipient ok\r\n");
    assert!(!server.was_told(&Event::Aborted));
}

#[test]
fn a_refused_data_ends_the_transaction_by_the_applications_own_word() {
    let mut server = Server::greeted(config());
    server.say("MAIL FROM:<>\r\nRCPT TO:<b@b.example>\r\n");
    server.input.extend_from_slice(b"DATA\r\n");
    assert_eq!(server.ask(), Event::Data);
    server.session.reply(&refusal(), server.now, &mut server.out).unwrap();
    server.heard();
    assert_eq!(server.say("DATA\r\nMAIL FROM:<>\r\n"), "503 5.5.1 bad sequence of commands\r\n250 2.1.0 sender ok\r\n");
    assert!(!server.was_told(&Event::Aborted));
}

#[test]
fn each_lmtp_recipient_has_its_own_verdict() {
    let mut server = Server::new(lmtp());
    let _ = server.run();
    server.say("LHLO a.example\r\nMAIL FROM:<>\r\n");
    server.say(
        "RCPT TO:<a@b.example>\r\nRCPT TO:<no@b.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n",
    );
    server.input.extend_from_slice(b".\r\nRSET\r\n");
    server.ask();
    let ok = Reply::new(ReplyCode::OK, Enhanced::new(0, 0), "ok");
    server.session.reply_next(&ok, server.now, &mut server.out).unwrap();
    assert_eq!(server.heard(), "250 2.0.0 ok\r\n");
    assert_eq!(server.run(), Step::YourTurn, "two are still to be answered");
    server.session.reply_next(&refusal(), server.now, &mut server.out).unwrap();
    server.session.reply(&ok, server.now, &mut server.out).unwrap();
    assert_eq!(server.heard(), "554 5.7.1 no\r\n250 2.0.0 ok\r\n");
    assert_eq!(server.session.reply_next(&ok, server.now, &mut server.out), Err(Misuse::NotNow));
    assert_eq!(server.say(""), "250 2.0.0 ok\r\n");
}

#[test]
fn octets_behind_starttls_end_the_connection_whenever_they_come() {
    let mut server = Server::greeted(submission());
    assert_eq!(server.say("STARTTLS\r\nEHLO evil.example\r\n"), "554 5.5.1 commands behind STARTTLS are refused\r\n");
    assert_eq!(server.closed(), Close::Violation(Violation::PipelinedTls));

    let mut server = Server::greeted(submission());
    assert_eq!(server.say("STARTTLS\r\n"), "220 2.0.0 ready to start TLS\r\n");
    assert_eq!(server.run(), Step::Switch(Layer::Tls));
    assert_eq!(server.run(), Step::Switch(Layer::Tls), "until it is done");
    assert_eq!(server.say("NO"), "", "half a command too");
    assert!(server.was_told(&Event::Violation(Violation::PipelinedTls)));
    assert_eq!(server.closed(), Close::Violation(Violation::PipelinedTls));
}

#[test]
fn half_a_command_before_tls_does_not_join_the_first_behind_it() {
    let mut server = Server::greeted(submission());
    server.say("STARTTLS\r\n");
    server.shake_hands();
    assert_eq!(server.say("OP\r\n"), "500 5.5.1 command not recognized\r\n");
}

#[test]
fn early_talkers_meet_what_the_configuration_says() {
    let run = |early_talk| {
        let mut server = Server::new(ServerConfig { before_greeting: early_talk, ..config() });
        let heard = server.say("HELO a.example\r\n");
        (heard, server.was_told(&Event::Violation(Violation::EarlyTalk)))
    };
    let greeting = "220 mx.example ESMTP\r\n";
    assert_eq!(run(EarlyTalk::Ignore), (format!("{greeting}250 mx.example\r\n"), false));
    assert_eq!(run(EarlyTalk::Report), (format!("{greeting}250 mx.example\r\n"), true));
    assert_eq!(run(EarlyTalk::Refuse), (format!("{greeting}554 5.5.1 you spoke before it was your turn\r\n"), true));
    let mut patient = Server::new(ServerConfig { before_greeting: EarlyTalk::Refuse, ..config() });
    patient.say("");
    assert_eq!(patient.say("HELO a.example\r\n"), "250 mx.example\r\n");
}

#[test]
fn an_answer_given_after_the_end_of_input_still_goes_out_and_so_do_all_others() {
    let mut server = Server::greeted(config());
    server.input.extend_from_slice(b"MAIL FROM:<>\r\nRCPT TO:<b@b.example>\r\nNOOP\r\nNO");
    server.ask();
    server.session.handle_eof();
    assert_eq!(server.session.next_event(server.now, &mut server.input, &mut server.out), Step::YourTurn);
    server.session.accept(server.now, &mut server.out).unwrap();
    assert_eq!(server.closed(), Close::Eof);
    assert_eq!(server.heard(), "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n250 2.0.0 ok\r\n");
    assert!(server.was_told(&Event::Aborted));
}

#[test]
fn stopping_waits_for_the_open_answer_and_then_says_goodbye() {
    for (mut server, question) in questions() {
        server.out.clear();
        server.input.extend_from_slice(b"NOOP\r\n");
        server.session.shut_down(ShutDown::Stopping, server.now, &mut server.out);
        assert_eq!(server.out, "", "{question:?}");
        common::answer(&mut server.session, &question, server.now, &mut server.out);
        let heard = server.heard();
        assert!(heard.ends_with("421 4.3.2 mx.example service is shutting down\r\n"), "{question:?} gives {heard:?}");
        assert!(!heard.contains("354 ") && !heard.contains("334 "), "nothing is begun: {heard:?}");
        assert_eq!(server.closed(), Close::ShutDown(ShutDown::Stopping));
        assert_eq!(server.heard(), "", "no command runs behind it");
    }
}

#[test]
fn the_end_of_input_does_not_take_a_goodbye_back() {
    let mut server = Server::greeted(config());
    server.input.extend_from_slice(b"MAIL FROM:<>\r\n");
    server.ask();
    server.session.shut_down(ShutDown::Stopping, server.now, &mut server.out);
    server.session.handle_eof();
    server.session.accept(server.now, &mut server.out).unwrap();
    assert_eq!(server.heard(), "250 2.1.0 sender ok\r\n421 4.3.2 mx.example service is shutting down\r\n");
}

#[test]
fn a_login_that_could_not_be_checked_was_no_guess() {
    let mut server = Server::greeted(ServerConfig { plaintext_login: PlaintextLogin::Always, ..submission() });
    let later = Reply::new(ReplyCode::TEMPORARY_FAILURE, Enhanced::new(7, 0), "later");
    for _ in 0..10 {
        server.input.extend_from_slice(b"AUTH PLAIN eA==\r\n");
        server.ask();
        server.session.reply(&later, server.now, &mut server.out).unwrap();
        assert_eq!(server.heard(), "454 4.7.0 later\r\n");
    }
}

#[test]
fn a_fault_answers_the_open_question_by_421() {
    for (mut server, question) in questions() {
        server.out.clear();
        server.session.shut_down(ShutDown::Fault, server.now, &mut server.out);
        let heard = server.heard();
        assert!(heard.starts_with("421 4.3.0 mx.example internal error"), "{question:?} gives {heard:?}");
        assert_eq!(server.closed(), Close::ShutDown(ShutDown::Fault));
    }
}

#[test]
fn too_many_connections_are_told_instead_of_a_greeting() {
    let mut server = Server::new(config());
    server.session.shut_down(ShutDown::Overloaded, server.now, &mut server.out);
    assert_eq!(server.heard(), "421 4.4.5 mx.example too many connections, try again later\r\n");
    assert_eq!(server.closed(), Close::ShutDown(ShutDown::Overloaded));
}

#[test]
fn nothing_is_said_or_told_behind_the_end() {
    let mut server = Server::greeted(config());
    server.say("MAIL FROM:<>\r\n");
    server.session.abort();
    server.told.clear();
    assert_eq!(server.say("NOOP\r\n"), "");
    server.session.handle_timeout(Duration::from_secs(1 << 30), &mut server.out);
    server.session.shut_down(ShutDown::Stopping, server.now, &mut server.out);
    server.session.handle_eof();
    server.shake_hands();
    assert_eq!(server.closed(), Close::Aborted);
    assert_eq!((server.heard().as_str(), &server.told[..]), ("", &[][..]));
    assert_eq!(server.session.poll_timeout(), None);
}

#[test]
fn a_timeout_that_is_early_or_comes_twice_does_nothing() {
    let mut server = Server::greeted(config());
    let deadline = server.session.poll_timeout().unwrap();
    assert_eq!(deadline.waiting_for, Waiting::Command);
    server.session.handle_timeout(deadline.at - Duration::from_nanos(1), &mut server.out);
    assert_eq!(server.heard(), "");
    server.session.handle_timeout(deadline.at, &mut server.out);
    server.session.handle_timeout(deadline.at, &mut server.out);
    assert_eq!(server.heard(), "421 4.4.2 mx.example timeout, closing\r\n");
    assert_eq!(server.closed(), Close::Timeout(Waiting::Command));
}

#[test]
fn the_clock_starts_anew_behind_an_answer_however_long_it_took() {
    let mut server = Server::greeted(config());
    server.input.extend_from_slice(b"MAIL FROM:<>\r\n");
    server.ask();
    server.now += Duration::from_secs(3600);
    server.session.handle_timeout(server.now, &mut server.out);
    server.session.accept(server.now, &mut server.out).unwrap();
    assert_eq!(server.heard(), "250 2.1.0 sender ok\r\n");
    assert_eq!(server.session.poll_timeout().unwrap().at, server.now + Duration::from_secs(300));
}

#[test]
fn a_line_without_an_end_is_swallowed_and_answered_once() {
    let mut server = Server::greeted(config());
    for _ in 0..100 {
        assert_eq!(server.say("x".repeat(1000)), "");
        assert!(server.input.len() <= server.session.max_input());
    }
    assert_eq!(server.say("\r\nNOOP\r\n"), "500 5.5.2 line too long\r\n250 2.0.0 ok\r\n");
    // An AUTH may be longer than other commands (RFC 4954 §4).
    let auth = format!("AUTH PLAIN {}\r\n", "QUFB".repeat(2500));
    assert_eq!(server.say(auth), "502 5.5.1 command not implemented\r\n");
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<ServerSession>() <= 256, "{}", size_of::<ServerSession>());
}

#[test]
fn secrets_are_in_no_debug_output() {
    let mut server = Server::greeted(ServerConfig { plaintext_login: PlaintextLogin::Always, ..submission() });
    server.input.extend_from_slice(b"AUTH PLAIN aHVudGVyMg==\r\n");
    let question = server.ask();
    assert!(matches!(&question, Event::Auth { initial: Some(secret), .. } if secret.expose() == b"hunter2"));
    let text = format!("{question:?} {:?}", server.session);
    assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
}

#[test]
fn a_session_that_is_over_stays_over() {
    let mut server = Server::greeted(submission());
    server.session.abort();
    server.session.abort();
    server.input.extend_from_slice(b"NOOP\r\n");
    server.session.handle_eof();
    server.session.shut_down(ShutDown::Fault, server.now, &mut server.out);
    server.session.handle_timeout(Duration::MAX, &mut server.out);
    server.shake_hands();
    server.session.decline(server.now, &mut server.out);
    assert_eq!((server.closed(), server.heard(), server.session.poll_timeout()), (Close::Aborted, String::new(), None));
}

#[test]
fn a_connection_born_under_tls_needs_no_other() {
    let link = Link { tls: Some(TlsInfo::default()), ..Link::default() };
    let mut server = Server::new(submission());
    server.session = ServerSession::new(Arc::new(submission()), link, Duration::ZERO);
    let _ = server.run();
    let offered = server.say("EHLO a.example\r\n");
    assert!(offered.contains("250-AUTH PLAIN LOGIN\r\n") && !offered.contains("STARTTLS"), "{offered}");
    assert_eq!(server.say("STARTTLS\r\n"), "503 5.5.1 bad sequence of commands\r\n");
}

#[test]
fn mechanisms_that_hide_the_password_need_no_tls() {
    let before = ServerConfig { mechanisms_before_tls: vec!["SCRAM-SHA-256".into()], ..config() };
    let mut server = Server::new(before);
    let _ = server.run();
    assert!(server.say("EHLO a.example\r\n").contains("250-AUTH SCRAM-SHA-256\r\n"));
    assert_eq!(server.say("AUTH PLAIN\r\n"), "504 5.5.4 mechanism not offered\r\n");
    assert_eq!(server.say("auth scram-sha-256\r\n"), "334 \r\n");
}

#[test]
fn a_response_without_an_end_is_swallowed_and_ends_the_exchange() {
    let mut open = ServerConfig { plaintext_login: PlaintextLogin::Always, ..submission() };
    (open.limits.sasl_line, open.limits.command_line) = (30, 30);
    let mut server = Server::greeted(open);
    assert_eq!(server.say("AUTH PLAIN\r\n"), "334 \r\n");
    for _ in 0..100 {
        assert_eq!(server.say("A".repeat(16)), "");
        assert!(server.input.len() <= 30);
    }
    assert_eq!(server.say("\r\nNOOP\r\n"), "500 5.5.6 authentication line too long\r\n250 2.0.0 ok\r\n");
    assert!(server.was_told(&Event::SaslCancelled));
    assert!(server.was_told(&Event::Violation(Violation::SaslLineTooLong)));
}

#[test]
fn greetings_without_end_are_chatter() {
    let mut limited = config();
    limited.limits.chatter = 2;
    let mut server = Server::greeted(limited);
    assert!(server.say("EHLO a.example\r\n").starts_with("250-"));
    assert_eq!(server.say("HELO a.example\r\n"), "421 4.7.0 too many commands, closing\r\n");
    assert_eq!(server.closed(), Close::Violation(Violation::TooMuchChatter));
}
