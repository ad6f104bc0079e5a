//! Deliveries that end otherwise, and what nobody may do in one.

use std::time::Duration;

use smtp_proto::{
    ClientConfig, Close, DeliveryEvent, Domain, Login, Misuse, Outcome, Policy, Protocol, ShutDown, Step, Switched,
    TlsInfo, Violation, Waiting,
};

use crate::case::{Client, ON_THE_WIRE, PIPELINING, PLAIN, envelope, secret};

/// A delivery to two recipients, one step at a time: what the server says on the way, and the stage that ends with each.
const STAGES: [(&str, &str); 10] = [
    ("greeting", "220 mx.example"),
    ("hello", "250-mx.example\r\n250 STARTTLS"),
    ("starttls", "220 go"),
    ("hello", "250-mx.example\r\n250 AUTH PLAIN"),
    ("login", "235 welcome"),
    ("mail", "250 ok"),
    ("rcpt", "250 ok"),
    ("rcpt", "250 ok"),
    ("data", "354 go"),
    ("verdict", "250 queued"),
];

/// As far as before that stage.
fn before(stage: usize) -> Client {
    let login = Login::Password { user: "bob".into(), password: secret("x") };
    let policy = Policy { login: Some(login), ..Policy::default() };
    let mut client = Client::new(Protocol::Smtp, envelope(&["a", "b"]), policy);
    let _ = client.run();
    for (name, said) in &STAGES[..stage] {
        client.hear(said);
        if *name == "starttls" {
            client.shake_hands();
        }
    }
    client
}

#[test]
fn each_stage_may_end_in_each_way() {
    for (stage, (name, _)) in STAGES.iter().enumerate() {
        let both = |outcome: String, trouble: &str| format!("{outcome}\n{outcome}\n{trouble}");
        let lost = |text: &str| format!("deferred Us {name} 451 {text}");
        let lost_trouble = |why: &str| if *name == "starttls" { "Tls\n".to_owned() } else { format!("Lost({why})\n") };

        let mut client = before(stage);
        client.delivery.handle_eof();
        assert_eq!(client.told(), both(lost("4.4.2 the server closed the connection"), &lost_trouble("Eof")));
        assert_eq!(client.closed(), Close::Eof);

        let mut client = before(stage);
        client.hear("421 4.3.2 stopping");
        let said = format!("deferred Server {name} 421 4.3.2 stopping");
        assert_eq!(client.told(), both(said, &lost_trouble("ShutDown(Stopping)")));
        assert_eq!(client.closed(), Close::ShutDown(ShutDown::Stopping));

        let mut client = before(stage);
        let deadline = client.delivery.poll_timeout().unwrap();
        client.delivery.handle_timeout(deadline.at, &mut client.out);
        let why = format!("Timeout({:?})", deadline.waiting_for);
        assert_eq!(client.told(), both(lost("4.4.2 the server did not reply in time"), &lost_trouble(&why)));

        let mut client = before(stage);
        client.hear("SSH-2.0-OpenSSH");
        let why = "Violation(BadReply)";
        assert_eq!(client.told(), both(lost("4.5.0 the server does not speak the protocol"), &lost_trouble(why)));

        let mut client = before(stage);
        client.delivery.abort();
        assert_eq!(client.told(), both(lost("4.3.0 the message could not be read"), &lost_trouble("Aborted")));
        assert_eq!((client.closed(), client.said().as_str()), (Close::Aborted, ""));
    }
}

#[test]
fn each_stage_may_be_refused() {
    for (stage, (name, _)) in STAGES.iter().enumerate() {
        for (said, class) in [("450 4.7.1 no", "deferred"), ("550 5.7.1 no", "failed")] {
            let mut client = before(stage);
            let answered = client.hear(said);
            // What is wrong with TLS or the password is not wrong with the message.
            let class = if matches!(*name, "starttls" | "login") { "deferred" } else { class };
            let refused = format!("{class} Server {name} {said}\n");
            let expected = match (*name, stage) {
                ("rcpt", 6) => {
                    assert_eq!(answered, "RCPT TO:<b@mx.example>\r\n");
                    assert_eq!(client.hear(said), "QUIT\r\n");
                    refused.repeat(2)
                }
                ("rcpt", _) => {
                    assert_eq!(answered, "DATA\r\n");
                    client.hear("354 go");
                    assert_eq!(client.hear("250 queued"), "QUIT\r\n");
                    format!("accepted Server verdict 250 queued\n{refused}")
                }
                _ => {
                    assert_eq!(answered, "QUIT\r\n", "{name}");
                    refused.repeat(2)
                }
            };
            let trouble = match *name {
                "greeting" => "Greeting\n",
                "hello" => "Hello\n",
                "starttls" => "Tls\n",
                "login" => "Login\n",
                _ => "",
            };
            assert_eq!(client.told(), expected + trouble, "{name}");
        }
    }
}

#[test]
fn a_name_that_cannot_be_said_is_not_the_servers_fault() {
    let host = Domain::parse("b\u{fc}cher.example").unwrap().into_owned();
    let mut client = Client::with(ClientConfig::new(host), envelope(&["a"]), Policy::default());
    assert_eq!(client.hear("220 mx.example"), "QUIT\r\n");
    assert_eq!(client.told(), "deferred Us hello 451 4.3.5 our own name cannot be said\nHello\n");
}

#[test]
fn who_leaves_before_the_message_sends_none() {
    let stopping = Close::ShutDown(ShutDown::Stopping);
    for (stage, (name, said)) in STAGES.iter().enumerate() {
        let mut client = before(stage);
        client.delivery.shut_down(ShutDown::Stopping, client.now, &mut client.out);
        let answered = client.hear(said);
        let is_sent = *name == "verdict";
        match *name {
            // Nothing is under way that would have to be waited for; or what is wanted cannot be ended.
            "greeting" | "data" => assert_eq!(answered, "", "{name}"),
            "starttls" => assert_eq!(client.shake_hands(), "QUIT\r\n"),
            _ => assert_eq!(answered, "QUIT\r\n", "{name}"),
        }
        let report = client.reports.pop().unwrap();
        let outcomes = if is_sent {
            matches!(report.outcomes[..], [Outcome::Accepted(_), Outcome::Accepted(_)])
        } else {
            matches!(report.outcomes[..], [Outcome::Deferred(_), Outcome::Deferred(_)])
        };
        assert!(outcomes, "{name} {report:?}");
        assert_eq!(client.closed(), stopping);
    }
}

#[test]
fn verbs_out_of_turn_have_no_effect() {
    for stage in 0..STAGES.len() {
        let mut client = before(stage);
        let Client { delivery, now, out, .. } = &mut client;
        assert_eq!(delivery.body(b"x", out), Err(Misuse::NotNow));
        assert_eq!(delivery.end_body(*now, out), Err(Misuse::NotNow));
        assert_eq!(delivery.respond(b"x", *now, out), Err(Misuse::NotNow));
        assert_eq!(delivery.cancel(*now, out), Err(Misuse::NotNow));
        assert_eq!(delivery.again(envelope(&["z"]), *now, out), Err(Misuse::NotNow));
        delivery.decline(*now, out);
        delivery.handle_timeout(*now, out);
        let was_under_tls = delivery.session().is_under_tls();
        delivery.switched(Switched::Tls(TlsInfo::default()), *now);
        assert_eq!(delivery.session().is_under_tls(), was_under_tls);
        assert_eq!(client.run(), Step::NeedInput);
        assert_eq!(client.said(), "");
    }
}

#[test]
fn what_is_held_is_counted() {
    let mut client = before(6);
    let before = client.delivery.memory();
    client.hear(&format!("550 {}", "x".repeat(400)));
    assert!(client.delivery.memory() >= before + 400);
    let mut client = Client::smtp(&["a", "b"]).play(&[("220 mx.example", "EHLO a.example\r\n")]);
    client.hear(PIPELINING);
    let before = client.delivery.memory();
    client.hear(&format!("250 ok\r\n250 ok\r\n452 {}", "x".repeat(400)));
    assert!(client.delivery.memory() >= before + 400, "also where it may not be the last word");
    assert_eq!(client.delivery.max_input(), 64 * 1024);
}

#[test]
fn a_lost_connection_defers_what_is_not_decided() {
    let mut client = Client::smtp(&["a", "b"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        (PLAIN, "MAIL FROM:<me@a.example>\r\n"),
        ("250 ok", "RCPT TO:<a@mx.example>\r\n"),
        ("550 no", "RCPT TO:<b@mx.example>\r\n"),
        ("250 ok", "DATA\r\n"),
        ("354 go", ON_THE_WIRE),
    ]);
    client.delivery.handle_eof();
    let lost = "deferred Us verdict 451 4.4.2 the server closed the connection\nLost(Eof)\n";
    assert_eq!(client.told(), format!("failed Server rcpt 550 no\n{lost}"));
    assert_eq!(client.closed(), Close::Eof);
}

#[test]
fn a_server_that_leaves_is_heard() {
    let mut client = Client::smtp(&["a", "b"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        (PIPELINING, "MAIL FROM:<me@a.example>\r\nRCPT TO:<a@mx.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"),
        ("250 ok\r\n421 4.3.2 stopping", ""),
    ]);
    let lost = "deferred Server rcpt 421 4.3.2 stopping\n".repeat(2);
    assert_eq!(client.told(), format!("{lost}Lost(ShutDown(Stopping))\n"));
}

#[test]
fn silence_has_its_limits() {
    for (dialogue, seconds, waiting_for) in [
        (&[][..], 300, Waiting::Greeting),
        (&["220 mx.example"], 300, Waiting::Reply),
        (&["220 mx.example", PLAIN, "250 ok", "250 ok"], 120, Waiting::DataReply),
        (&["220 mx.example", PLAIN, "250 ok", "250 ok", "354 go"], 600, Waiting::Verdict),
    ] {
        let mut client = Client::smtp(&["a"]);
        let _ = client.run();
        dialogue.iter().for_each(|said| drop(client.hear(said)));
        let deadline = client.delivery.poll_timeout().unwrap();
        assert_eq!((deadline.at, deadline.waiting_for), (Duration::from_secs(seconds), waiting_for));
        // Octets that are no reply move nothing.
        client.input.extend_from_slice(b"250-still thinking\r\n");
        client.now = deadline.at - Duration::from_nanos(1);
        let _ = client.run();
        client.delivery.handle_timeout(client.now, &mut client.out);
        assert_eq!(client.run(), Step::NeedInput);
        assert_eq!(client.delivery.poll_timeout(), Some(deadline));
        client.delivery.handle_timeout(deadline.at, &mut client.out);
        assert!(client.told().ends_with(&format!("Lost(Timeout({waiting_for:?}))\n")));
        assert_eq!(client.closed(), Close::Timeout(waiting_for));
    }
}

#[test]
fn a_server_that_does_not_speak_smtp_is_left_without_a_word() {
    let long = "x".repeat(13_000);
    for (said, violation) in [
        ("SSH-2.0-OpenSSH", Violation::BadReply),
        ("220-a\r\n250 b", Violation::BadReply),
        ("354 go", Violation::BadReply),
        (long.as_str(), Violation::ReplyTooLong),
        (&["220-x"; 101].join("\r\n"), Violation::ReplyTooLong),
    ] {
        let mut client = Client::smtp(&["a"]);
        client.hear(said);
        assert_eq!(client.closed(), Close::Violation(violation), "{said:?}");
        assert!(client.told().starts_with("deferred Us greeting 451 4.5.0 "), "{said:?}");
        assert_eq!(client.out, "", "{said:?}");
    }
}

#[test]
fn a_message_that_cannot_be_had_is_not_ended() {
    let mut client = Client::smtp(&["a"]);
    for said in ["220 mx.example", PLAIN, "250 ok", "250 ok"] {
        client.hear(said);
    }
    client.input.extend_from_slice(b"354 go\r\n");
    let step = client.delivery.next_event(client.now, &mut client.input, &mut client.out);
    assert_eq!(step, Step::Event(DeliveryEvent::Body));
    client.delivery.body(b"half a li", &mut client.out).unwrap();
    assert_eq!(client.delivery.next_event(client.now, &mut client.input, &mut client.out), Step::YourTurn);
    assert_eq!(client.delivery.body(b"bare\n", &mut client.out), Err(Misuse::BareLineEnd));
    client.delivery.abort();
    assert_eq!(client.told(), "deferred Us data 451 4.3.0 the message could not be read\nLost(Aborted)\n");
    assert_eq!(client.closed(), Close::Aborted);
    assert_eq!(client.out, "half a li", "no dot, no QUIT");
}

#[test]
fn a_shutdown_waits_for_the_verdict_and_begins_nothing_new() {
    let mut client = Client::smtp(&["a"]);
    for said in ["220 mx.example", PLAIN, "250 ok", "250 ok", "354 go"] {
        client.hear(said);
    }
    client.delivery.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(client.hear("250 queued"), "QUIT\r\n");
    assert_eq!(client.told(), "accepted Server verdict 250 queued\n");

    let mut client = Client::smtp(&["a"]);
    for said in ["220 mx.example", PLAIN, "250 ok"] {
        client.hear(said);
    }
    client.delivery.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(client.hear("250 ok"), "QUIT\r\n");
    assert_eq!(client.told(), "deferred Us data 451 4.3.2 the session was ended\nLost(ShutDown(Stopping))\n");
}
