//! Limits, deadlines and ends.

use pop3_proto::{
    ClientConfig, ClientEvent, ClientLimits, ClientTimeouts, Close, Command, Reply, SendError, ShutDown, Step,
    Violation, Waiting,
};

use crate::case::{ALL, Client, SECOND, auth};

#[test]
fn each_limit_holds() {
    let limits = ClientLimits { line: 20, challenge: 40, untold_lines: 2, ..ClientLimits::default() };
    let client = || Client::with(ClientConfig { limits: limits.clone(), ..ClientConfig::default() });
    let too_long = Step::Close(Close::Violation(Violation::ReplyTooLong));
    assert!(matches!(client().hear("+OK 45678901234567\r\n"), ClientEvent::Greeting(_)));
    assert_eq!(client().step("+OK 456789012345678\r\n"), too_long);
    let mut listing = client().logged_in("");
    listing.send(&Command::Uidl(None)).unwrap();
    listing.hear("+OK\r\n");
    assert_eq!(listing.step("1 345678901234567890"), too_long);
    let mut sasl = client().greeted("SASL X\r\n");
    sasl.send(&auth("X")).unwrap();
    assert!(matches!(sasl.hear("+ YWFhYWFhYWFhYWFhYWFhYWFhYWE=\r\n"), ClientEvent::Challenge { .. }));
    sasl.session.respond(b"", sasl.now, &mut sasl.out).unwrap();
    assert_eq!(sasl.step("+ YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=\r\n"), too_long);
    for (command, lines) in [(Command::Capa, "A\r\nB\r\n"), (Command::List(None), "A\r\n1 1\r\nB\r\n")] {
        let mut client = client().logged_in("");
        client.send(&command).unwrap();
        client.hear("+OK\r\n");
        client.input.extend_from_slice(lines.as_bytes());
        let told = std::iter::from_fn(|| match client.step("") {
            Step::Event(event) => Some(event),
            step => {
                assert_eq!(step, Step::NeedInput);
                None
            }
        });
        assert_eq!(told.count(), lines.matches('1').count() / 2);
        assert_eq!(client.step("C\r\n"), Step::Close(Close::Violation(Violation::TooManyLines)));
    }
}

#[test]
fn no_octet_of_a_reply_moves_its_deadline() {
    let mut client = Client::new();
    assert_eq!(client.due(), (120, Waiting::Greeting));
    client.now += 119 * SECOND;
    assert_eq!(client.step("+"), Step::NeedInput);
    assert_eq!(client.due(), (1, Waiting::Greeting));
    client.session.handle_timeout(client.now, &mut client.out);
    assert_eq!(client.step("OK\r\n"), Step::Event(ClientEvent::Greeting(Reply::ok(""))));
    assert_eq!(client.session.poll_timeout(), None, "the server owes nothing");
    client.send(&Command::Capa).unwrap();
    client.now += 300 * SECOND;
    client.session.handle_timeout(client.now, &mut client.out);
    assert_eq!(client.step("+OK\r\n"), Step::Close(Close::Timeout(Waiting::Reply)));
    assert_eq!(client.session.poll_timeout(), None);
    client.session.handle_timeout(client.now, &mut client.out);
    client.session.abort();
    client.session.shut_down(ShutDown::Fault, client.now, &mut client.out);
    assert_eq!(client.step(""), Step::Close(Close::Timeout(Waiting::Reply)));
    assert_eq!(client.out, "CAPA\r\n");
}

#[test]
fn what_is_waited_for_has_a_name() {
    let all = [Waiting::Login, Waiting::Command, Waiting::Tls, Waiting::Greeting, Waiting::Reply, Waiting::Body];
    assert_eq!(all.map(Waiting::as_str), ["login", "command", "tls", "greeting", "reply", "body"]);
}

#[test]
fn a_message_that_drips_in_does_not_come_for_ever() {
    let limits = ClientLimits { progress: 10, ..ClientLimits::default() };
    let timeouts = ClientTimeouts { body: 100 * SECOND, ..ClientTimeouts::default() };
    let mut client = Client::with(ClientConfig { limits, timeouts, ..ClientConfig::default() }).logged_in("");
    client.send(&Command::Retr(1)).unwrap();
    assert_eq!(client.due(), (300, Waiting::Reply));
    client.hear("+OK\r\n");
    assert_eq!((client.due(), client.session.max_input()), ((100, Waiting::Body), 64 * 1024));
    for due in (91..100).rev() {
        client.now += SECOND;
        client.hear("x");
        assert_eq!(client.due(), (due, Waiting::Body));
    }
    client.now += SECOND;
    client.hear("x");
    assert_eq!(client.due(), (100, Waiting::Body), "ten octets");
    client.now += SECOND;
    client.hear("x");
    assert_eq!(client.due(), (99, Waiting::Body), "and not one");
    client.now += 99 * SECOND;
    client.session.handle_timeout(client.now, &mut client.out);
    assert_eq!(client.step("x"), Step::Close(Close::Timeout(Waiting::Body)));
}

#[test]
fn the_next_answer_has_its_own_time() {
    let mut client = Client::new().logged_in("PIPELINING\r\n");
    client.send(&Command::Retr(1)).unwrap();
    client.send(&Command::Quit).unwrap();
    client.hear("+OK\r\n");
    client.now += 100 * SECOND;
    client.hear(".\r\n");
    assert_eq!(client.due(), (300, Waiting::Reply));
    client.session.handle_eof();
    assert_eq!(client.step(""), Step::Close(Close::Quit), "some close without a word");
}

#[test]
fn the_end_of_input_is_told_behind_what_came_before() {
    let mut client = Client::new();
    client.session.handle_eof();
    client.session.handle_eof();
    assert_eq!(client.step("+OK\r\n"), Step::Event(ClientEvent::Greeting(Reply::ok(""))));
    assert_eq!(client.step("+O"), Step::Close(Close::Eof));
    let mut client = Client::new().logged_in("");
    client.send(&Command::Retr(1)).unwrap();
    client.hear("+OK\r\n");
    client.session.handle_eof();
    assert_eq!(client.hear("half").chunk().unwrap().as_ref(), b"half");
    assert_eq!(client.step(""), Step::Close(Close::Eof));
}

#[test]
fn a_session_is_left_by_quit_behind_what_is_awaited() {
    let stopping = Step::Close(Close::ShutDown(ShutDown::Stopping));
    let mut client = Client::new().logged_in("");
    client.session.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!((client.step(""), &client.out[..]), (stopping.clone(), &b"QUIT\r\n"[..]));

    let mut client = Client::new().logged_in("PIPELINING\r\n");
    let retr = client.send(&Command::Retr(1)).unwrap();
    let dele = client.send(&Command::Dele(2)).unwrap();
    client.session.shut_down(ShutDown::Overloaded, client.now, &mut client.out);
    client.session.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(client.send(&Command::Noop), Err(SendError::NotNow));
    assert!(client.reply_to(retr, "+OK\r\n"));
    assert_eq!(client.step(""), Step::NeedInput);
    assert_eq!(client.hear(".\r\n"), ClientEvent::End { to: retr });
    assert!(client.reply_to(dele, "+OK\r\n"));
    assert_eq!((client.step(""), &client.out[..]), (stopping.clone(), &b"RETR 1\r\nDELE 2\r\nQUIT\r\n"[..]));

    // The server says its last first; or in the middle.
    for (said, quits) in [("+OK\r\n.\r\n", true), ("+OK\r\n", false)] {
        for eof_first in [true, false] {
            let mut client = Client::new().logged_in("");
            client.send(&Command::Retr(1)).unwrap();
            if eof_first {
                client.session.handle_eof();
            }
            client.session.shut_down(ShutDown::Overloaded, client.now, &mut client.out);
            client.session.shut_down(ShutDown::Stopping, client.now, &mut client.out);
            client.session.handle_eof();
            client.session.handle_eof();
            client.hear(said);
            if quits {
                client.hear("");
            }
            assert_eq!(client.step(""), stopping);
            assert_eq!(client.out.ends_with(b"QUIT\r\n"), quits);
        }
    }
}

#[test]
fn nothing_is_deleted_for_an_application_that_failed() {
    let fault = Step::Close(Close::ShutDown(ShutDown::Fault));
    let mut client = Client::new().logged_in("");
    let dele = client.send(&Command::Dele(1)).unwrap();
    assert!(client.reply_to(dele, "+OK\r\n"));
    client.session.shut_down(ShutDown::Fault, client.now, &mut client.out);
    assert_eq!((client.step(""), &client.out[..]), (fault, &b"DELE 1\r\n"[..]));
    let mut client = Client::new().logged_in("");
    client.session.abort();
    assert_eq!((client.step(""), &client.out[..]), (Step::Close(Close::Aborted), &b""[..]));
    client.session.handle_eof();
    assert_eq!(client.step(""), Step::Close(Close::Aborted));
    // Nor is anything said where nobody could hear it.
    let mut client = Client::new();
    client.session.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!((client.step(""), &client.out[..]), (Step::Close(Close::ShutDown(ShutDown::Stopping)), &b""[..]));
    let mut client = Client::new().greeted(ALL);
    client.send(&Command::Stls).unwrap();
    client.hear("+OK\r\n");
    client.session.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(
        (client.step(""), &client.out[..]),
        (Step::Close(Close::ShutDown(ShutDown::Stopping)), &b"STLS\r\n"[..])
    );
}

#[test]
fn who_leaves_does_not_log_in_first() {
    for eof in [false, true] {
        let mut client = Client::new().greeted(ALL);
        client.send(&auth("PLAIN")).unwrap();
        client.session.shut_down(ShutDown::Stopping, client.now, &mut client.out);
        if eof {
            client.session.handle_eof();
        }
        assert_eq!(client.step("+ \r\n"), Step::Close(Close::ShutDown(ShutDown::Stopping)));
        assert_eq!(client.out, "AUTH PLAIN\r\n");
    }
    // A challenge that is open may be answered; the goodbye follows the reply.
    let mut client = Client::new().greeted(ALL);
    let to = client.send(&auth("PLAIN")).unwrap();
    client.hear("+ \r\n");
    client.session.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(client.step(""), Step::YourTurn);
    client.session.cancel(client.now, &mut client.out).unwrap();
    assert!(!client.reply_to(to, "-ERR\r\n"));
    assert_eq!(client.step(""), Step::Close(Close::ShutDown(ShutDown::Stopping)));
    assert_eq!(client.out, "AUTH PLAIN\r\n*\r\nQUIT\r\n");
}

#[test]
fn what_is_held_is_counted() {
    let mut client = Client::new();
    assert_eq!(client.session.memory(), 0);
    client = client.logged_in("PIPELINING\r\nIMPLEMENTATION 0123456789\r\n");
    let before = client.session.memory();
    assert!(before >= 10);
    for _ in 0..32 {
        client.send(&Command::Noop).unwrap();
    }
    assert!(client.session.memory() > before);
}
