//! One message after another in the same session.

use std::time::Duration;

use smtp_proto::{
    Close, DeliveryEvent, Login, MailParameters, Misuse, Policy, Protocol, Reuse, ShutDown, Step, TlsPolicy, Waiting,
};

use crate::case::{
    Client, GREETING, MAIL, ON_THE_WIRE, PIPELINING, PLAIN, envelope, group, needing, offers, reuse, secret,
};

const QUEUED: &str = "accepted Server verdict 250 queued\n";
const CLOSED: &str = "deferred Us mail 451 4.4.2 the server closed the connection\nStale\n";

/// A session that has delivered a message, and asks for the next.
fn idle() -> Client {
    let mut client = Client::new(Protocol::Smtp, envelope(&["a"]), reuse()).play(&[
        GREETING,
        (PIPELINING, &group(&["a"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", ""),
    ]);
    assert_eq!(client.told(), QUEUED);
    assert_eq!(client.asked, [DeliveryEvent::Idle]);
    assert!(client.asked[0].is_question());
    client
}

#[test]
fn the_next_message_begins_with_rset() {
    let mut client = idle();
    for name in ["b", "c"] {
        assert_eq!((client.run(), client.delivery.poll_timeout()), (Step::YourTurn, None));
        assert_eq!(client.again(envelope(&[name])), format!("RSET\r\n{}", group(&[name], "DATA\r\n")));
        assert_eq!(client.hear("250 ok\r\n250 ok\r\n250 ok\r\n354 go"), ON_THE_WIRE);
        assert_eq!(client.hear("250 queued"), "");
        assert_eq!(client.told(), QUEUED);
    }
    client.delivery.decline(client.now, &mut client.out);
    assert_eq!(client.said(), "QUIT\r\n");
    assert_eq!(client.delivery.poll_timeout().unwrap().waiting_for, Waiting::Reply);
    client.hear("221 bye");
    assert_eq!((client.closed(), client.reports.len()), (Close::Quit, 0));
}

#[test]
fn each_message_has_its_own_outcomes() {
    let mut client = idle();
    client.again(envelope(&["b", "c"]));
    assert_eq!(client.hear("250 ok\r\n250 ok\r\n550 no\r\n450 later\r\n503 nobody"), "");
    assert_eq!(client.told(), "failed Server rcpt 550 no\ndeferred Server rcpt 450 later\n");
    client.again(envelope(&["d"]));
    assert_eq!(client.hear("250 ok\r\n451 4.7.1 greylisted\r\n503 no\r\n503 no"), "");
    assert_eq!(client.told(), "deferred Server mail 451 4.7.1 greylisted\n");
    assert_eq!(client.again(envelope(&[])), "", "nobody to deliver to");
    assert_eq!(client.told(), "");
    assert_eq!(client.asked, [DeliveryEvent::Idle]);
}

#[test]
fn a_message_that_the_server_cannot_take_spoils_nothing() {
    let needs = MailParameters { smtp_utf8: true, ..Default::default() };
    let new = Client::new(Protocol::Smtp, needing(needs.clone()), reuse());
    let mut client = new.play(&[GREETING, (PIPELINING, "")]);
    let lacking = "failed Us mail 553 5.6.7 the server does not take SMTPUTF8\nLacking\n";
    assert_eq!(client.told(), lacking);
    assert_eq!(client.again(needing(needs)), "");
    assert_eq!(client.told(), lacking);
    // No transaction was before it, and there is nothing to forget.
    assert_eq!(client.again(envelope(&["b"])), group(&["b"], "DATA\r\n"));
    client.delivery.handle_eof();
    assert_eq!(client.told(), CLOSED, "though it was not RSET that failed");
}

#[test]
fn a_server_that_has_left_meanwhile_says_nothing_of_the_message() {
    let mut client = idle();
    client.input.extend_from_slice(b"421 4.4.2 idle for too long\r\n");
    assert_eq!(client.run(), Step::YourTurn, "nothing is parsed");
    client.delivery.handle_eof();
    assert_eq!(client.run(), Step::YourTurn);
    client.again(envelope(&["b"]));
    assert_eq!(client.told(), "deferred Server mail 421 4.4.2 idle for too long\nStale\n");
    assert_eq!(client.closed(), Close::ShutDown(ShutDown::Stopping));

    let mut client = idle();
    client.delivery.handle_eof();
    client.again(envelope(&["b"]));
    assert_eq!(client.told(), CLOSED);
    assert_eq!(client.closed(), Close::Eof);

    // A connection that was cut without a word.
    let mut client = idle();
    client.now = Duration::from_secs(1000);
    client.again(envelope(&["b"]));
    let deadline = client.delivery.poll_timeout().unwrap();
    assert_eq!(deadline.at, Duration::from_secs(1300));
    client.delivery.handle_timeout(deadline.at, &mut client.out);
    assert_eq!(client.told(), "deferred Us mail 451 4.4.2 the server did not reply in time\nStale\n");
    assert_eq!(client.closed(), Close::Timeout(Waiting::Reply));
}

#[test]
fn a_server_that_leaves_later_has_said_something() {
    let mut client = idle();
    client.again(envelope(&["b"]));
    client.hear("250 ok\r\n421 enough");
    assert_eq!(client.told(), "deferred Server mail 421 enough\nLost(ShutDown(Stopping))\n");
    let mut client = idle();
    client.again(envelope(&["b"]));
    assert_eq!(client.hear("451 what?\r\n503 no\r\n503 no\r\n503 no"), "QUIT\r\n", "and is not asked again");
    assert_eq!(client.told(), "deferred Server mail 451 what?\nStale\n");
}

#[test]
fn a_server_that_refuses_to_forget_and_leaves_is_stale_all_the_same() {
    let refuses = || {
        let mut client = idle();
        client.again(envelope(&["b"]));
        assert_eq!(client.hear("500 what?"), "");
        client
    };
    let stale = "deferred Server mail 500 what?\nStale\n";

    let mut client = refuses();
    client.delivery.handle_eof();
    assert_eq!((client.told().as_str(), client.closed()), (stale, Close::Eof));

    let mut client = refuses();
    client.hear("421 4.3.2 bye");
    client.delivery.handle_eof();
    assert_eq!((client.told().as_str(), client.closed()), (stale, Close::ShutDown(ShutDown::Stopping)));

    let mut client = refuses();
    let deadline = client.delivery.poll_timeout().unwrap();
    client.delivery.handle_timeout(deadline.at, &mut client.out);
    assert_eq!((client.told().as_str(), client.closed()), (stale, Close::Timeout(Waiting::Reply)));

    // It wants a message that nobody is to get, and leaves before it has that.
    let mut client = refuses();
    assert_eq!(client.hear("250 ok\r\n550 no\r\n354 go"), ".\r\n");
    client.delivery.handle_eof();
    assert_eq!((client.told().as_str(), client.closed()), (stale, Close::Eof));
}

#[test]
fn tls_and_login_stay() {
    let login = Login::Password { user: "bob".into(), password: secret("x") };
    let policy = Policy { login: Some(login), ..reuse() };
    let mut client = Client::new(Protocol::Smtp, envelope(&["a"]), policy).play(&[
        GREETING,
        (&offers(&["STARTTLS"]), "STARTTLS\r\n"),
        ("220 go", ""),
    ]);
    assert_eq!(client.shake_hands(), "EHLO a.example\r\n");
    let mut client = client.play(&[
        (&offers(&["AUTH PLAIN"]), "AUTH PLAIN AGJvYgB4\r\n"),
        ("235 welcome", MAIL),
        ("550 not you", ""),
    ]);
    assert_eq!(client.told(), "failed Server mail 550 not you\n");
    assert_eq!(client.again(envelope(&["b"])), "RSET\r\n");
    assert!(client.delivery.session().is_under_tls());
    assert_eq!(client.hear("250 ok"), MAIL);
}

#[test]
fn a_session_that_is_not_good_is_not_asked_about() {
    let policies = [TlsPolicy::Required, TlsPolicy::Opportunistic];
    let login = || Login::Password { user: "bob".into(), password: secret("x") };
    for (dialogue, policy) in [
        (&["554 no"][..], reuse()),
        (&["220 mx.example", "450 no"], reuse()),
        (&["220 mx.example", PLAIN], Policy { tls: policies[0], ..reuse() }),
        (&["220 mx.example", PLAIN], Policy { tls: TlsPolicy::Never, login: Some(login()), ..reuse() }),
        (&["220 mx.example", &offers(&["LIMITS MAILMAX=1"]), "550 no"], reuse()),
        (&["220 mx.example", PLAIN, "550 no"], Policy { reuse: Reuse::No, ..reuse() }),
    ] {
        let mut client = Client::new(Protocol::Smtp, envelope(&["a"]), policy);
        let said: Vec<_> = dialogue.iter().map(|said| client.hear(said)).collect();
        assert_eq!(said.last().unwrap(), "QUIT\r\n", "{dialogue:?}");
        assert_eq!((client.reports.len(), &client.asked[..]), (1, &[][..]));
    }
    // It closes by itself, or we leave.
    let mut client = Client::new(Protocol::Smtp, envelope(&["a"]), reuse()).play(&[GREETING, (PLAIN, MAIL)]);
    client.input.extend_from_slice(b"550 no\r\n");
    client.delivery.handle_eof();
    assert_eq!(client.told(), "failed Server mail 550 no\n");
    assert_eq!((client.closed(), &client.asked[..]), (Close::Quit, &[][..]));
    let mut client = Client::new(Protocol::Smtp, envelope(&["a"]), reuse()).play(&[GREETING, (PLAIN, MAIL)]);
    client.delivery.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(client.hear("550 no"), "QUIT\r\n");
    assert_eq!((client.told().as_str(), &client.asked[..]), ("failed Server mail 550 no\n", &[][..]));
}

#[test]
fn what_ends_between_the_report_and_the_question_is_not_asked_about() {
    for end in 0..3 {
        let mut client = Client::new(Protocol::Smtp, envelope(&["a"]), reuse()).play(&[GREETING, (PLAIN, MAIL)]);
        client.input.extend_from_slice(b"550 no\r\n");
        let step = client.delivery.next_event(client.now, &mut client.input, &mut client.out);
        let Step::Event(done @ DeliveryEvent::Done(_)) = step else { panic!("{step:?}") };
        assert!(!done.is_question() && done.chunk().is_none());
        let (said, close) = match end {
            0 => {
                client.delivery.shut_down(ShutDown::Stopping, client.now, &mut client.out);
                ("QUIT\r\n", Close::ShutDown(ShutDown::Stopping))
            }
            1 => {
                client.delivery.abort();
                ("", Close::Aborted)
            }
            _ => {
                client.delivery.handle_eof();
                ("", Close::Eof)
            }
        };
        assert_eq!((client.closed(), client.said().as_str(), &client.asked[..]), (close, said, &[][..]));
        assert_eq!(client.reports, []);
    }
}

#[test]
fn an_idle_session_can_be_ended() {
    let mut client = idle();
    client.delivery.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(client.said(), "QUIT\r\n");
    let ended = |client: &mut Client, close| {
        assert_eq!(client.delivery.again(envelope(&["b"]), client.now, &mut client.out), Err(Misuse::NotNow));
        client.delivery.decline(client.now, &mut client.out);
        assert_eq!((client.closed(), client.said().as_str(), client.reports.len()), (close, "", 0));
    };
    ended(&mut client, Close::ShutDown(ShutDown::Stopping));
    let mut client = idle();
    client.delivery.abort();
    ended(&mut client, Close::Aborted);
}

#[test]
fn another_message_comes_where_it_is_asked_for() {
    let not_now = |client: &mut Client| {
        assert_eq!(client.delivery.again(envelope(&["z"]), client.now, &mut client.out), Err(Misuse::NotNow));
        assert_eq!(client.out, "");
    };
    let mut client = Client::new(Protocol::Smtp, envelope(&["a"]), reuse());
    not_now(&mut client);
    for said in ["220 mx.example", PLAIN, "250 ok", "250 ok", "354 go"] {
        client.hear(said);
        not_now(&mut client);
        if said != "354 go" {
            client.delivery.decline(client.now, &mut client.out);
            assert_eq!(client.out, "", "no question, no answer");
        }
    }
    client.hear("250 queued");
    client.again(envelope(&["b"]));
    not_now(&mut client);
    assert_eq!(client.told(), QUEUED);
}
