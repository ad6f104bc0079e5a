//! Deliveries that end otherwise, and what nobody may do in one.

use std::time::Duration;

use smtp_proto::{Close, DeliveryEvent, Misuse, ShutDown, Step, Violation, Waiting};

use crate::case::{Client, ON_THE_WIRE, PIPELINING, PLAIN};

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
