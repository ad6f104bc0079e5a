//! The dialogue as it mostly goes.

use smtp_proto::{Close, Policy, Protocol, SaidBy, Stage, TlsPolicy, Trouble};

use crate::case::{Client, ON_THE_WIRE, PIPELINING, PLAIN, envelope};

#[test]
fn one_step_at_a_time_where_the_server_knows_no_pipelining() {
    let mut client = Client::smtp(&["a", "b", "c"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        (PLAIN, "MAIL FROM:<me@a.example>\r\n"),
        ("250 ok", "RCPT TO:<a@mx.example>\r\n"),
        ("250 ok", "RCPT TO:<b@mx.example>\r\n"),
        ("550-5.1.1 who\r\n550 5.1.1 is that?", "RCPT TO:<c@mx.example>\r\n"),
        ("251 elsewhere", "DATA\r\n"),
        ("354 go", ON_THE_WIRE),
        ("250 2.6.0 queued", "QUIT\r\n"),
    ]);
    let accepted = "accepted Server verdict 250 2.6.0 queued\n";
    assert_eq!(client.told(), format!("{accepted}failed Server rcpt 550 5.1.1 who is that?\n{accepted}"));
    client.hear("221 bye");
    assert_eq!(client.closed(), Close::Quit);
}

#[test]
fn the_envelope_in_one_group_where_it_does() {
    let group = "MAIL FROM:<me@a.example>\r\nRCPT TO:<a@mx.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n";
    let mut client = Client::smtp(&["a", "b"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        (PIPELINING, group),
        ("250 ok\r\n450 later\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued\r\n221 bye", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), "deferred Server rcpt 450 later\naccepted Server verdict 250 queued\n");
    assert_eq!(client.closed(), Close::Quit);
}

#[test]
fn more_recipients_than_the_window_holds_go_in_several_groups() {
    let names: Vec<String> = (0..250).map(|n| format!("u{n}")).collect();
    let mut client = Client::smtp(&names.iter().map(String::as_str).collect::<Vec<_>>());
    client.hear("220 mx.example");
    let first = client.hear(PIPELINING);
    assert_eq!(first.matches("\r\n").count(), 100);
    let mut sent = 100;
    while sent < 252 {
        sent += client.hear("250 ok").matches("\r\n").count();
    }
    assert_eq!(client.input, "", "and nothing was lost");
    client.hear(&["250 ok"; 99].join("\r\n"));
    assert_eq!(client.hear("354 go"), ON_THE_WIRE);
    client.hear("250 queued");
    assert_eq!(client.told(), "accepted Server verdict 250 queued\n".repeat(250));
}

#[test]
fn a_message_asked_for_that_nobody_is_to_get_is_a_lone_dot() {
    // RFC 2920 §3.1.
    let group = "MAIL FROM:<me@a.example>\r\nRCPT TO:<a@mx.example>\r\nDATA\r\n";
    let mut client = Client::smtp(&["a"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        (PIPELINING, group),
        ("250 ok\r\n550 no\r\n354 go", ".\r\n"),
        ("554 no valid recipients", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), "failed Server rcpt 550 no\n");
}

#[test]
fn a_refused_sender_speaks_for_all_recipients() {
    let group = "MAIL FROM:<me@a.example>\r\nRCPT TO:<a@mx.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n";
    let mut client = Client::smtp(&["a", "b"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        (PIPELINING, group),
        ("451 4.7.1 greylisted\r\n503 mail first\r\n503 mail first", ""),
        ("503 mail first", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), "deferred Server mail 451 4.7.1 greylisted\n".repeat(2));
    let mut client = Client::smtp(&["a", "b"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        (PLAIN, "MAIL FROM:<me@a.example>\r\n"),
        ("550 5.7.1 no", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), "failed Server mail 550 5.7.1 no\n".repeat(2));
}

#[test]
fn lmtp_has_a_verdict_for_each_accepted_recipient() {
    let mut client = Client::new(Protocol::Lmtp, envelope(&["a", "b", "c", "a"]), Policy::default());
    client.hear("220 mx.example");
    assert_eq!(client.hear(PIPELINING).matches("\r\n").count(), 6);
    assert_eq!(client.hear("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n250 ok\r\n354 go"), ON_THE_WIRE);
    assert_eq!(client.hear("250 one\r\n452 4.2.2 full"), "");
    assert_eq!(client.hear("250 three"), "QUIT\r\n");
    let expected = "accepted Server verdict 250 one\nfailed Server rcpt 550 no\n\
                    deferred Server verdict 452 4.2.2 full\naccepted Server verdict 250 three\n";
    assert_eq!(client.told(), expected);
}

#[test]
fn an_lmtp_server_that_wants_a_message_for_nobody_owes_no_verdict() {
    let mut client = Client::new(Protocol::Lmtp, envelope(&["a"]), Policy::default()).play(&[
        ("220 mx.example", "LHLO a.example\r\n"),
        (PIPELINING, "MAIL FROM:<me@a.example>\r\nRCPT TO:<a@mx.example>\r\nDATA\r\n"),
        ("250 ok\r\n550 no\r\n354 go", ".\r\nQUIT\r\n"),
    ]);
    assert_eq!(client.told(), "failed Server rcpt 550 no\n");
}

#[test]
fn helo_is_tried_where_ehlo_is_not_known_and_nothing_needs_it() {
    let mut client = Client::smtp(&["a"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        ("502 what?", "HELO a.example\r\n"),
        ("250 mx.example", "MAIL FROM:<me@a.example>\r\n"),
    ]);
    assert_eq!(client.hear("550 no"), "QUIT\r\n");

    let mut client =
        Client::under(TlsPolicy::Required).play(&[("220 mx.example", "EHLO a.example\r\n"), ("502 what?", "QUIT\r\n")]);
    assert_eq!(client.told(), "failed Server hello 502 what?\nHello\n");
    let mut client = Client::smtp(&["a"]).play(&[("220 mx.example", "EHLO a.example\r\n"), ("450 later", "QUIT\r\n")]);
    assert_eq!(client.told(), "deferred Server hello 450 later\nHello\n");
}

#[test]
fn a_server_that_greets_with_a_refusal_is_left() {
    let mut client = Client::smtp(&["a"]).play(&[("554-no\r\n554 mail here", "QUIT\r\n")]);
    assert_eq!(client.told(), "failed Server greeting 554 no mail here\nGreeting\n");
    let mut client = Client::smtp(&["a"]).play(&[("421 too many", "")]);
    assert_eq!(client.told(), "deferred Server greeting 421 too many\nLost(ShutDown(Stopping))\n");
}

#[test]
fn replies_that_are_kept_are_cut() {
    let mut client = Client::smtp(&["a"]);
    client.hear("220 mx.example");
    client.hear(PLAIN);
    client.hear(&[format!("550-{}", "x".repeat(1900)).as_str(); 20].join("\r\n"));
    assert_eq!(client.reports, [], "the last line is to come");
    client.hear("550 end");
    let report = client.reports[0].clone();
    assert_eq!(report.outcomes[0].said().stage, Stage::Mail);
    assert_eq!(report.outcomes[0].said().by, SaidBy::Server);
    assert_eq!(report.outcomes[0].said().reply.lines().map(|line| line.len() + 1).sum::<usize>(), 1025);
    assert_eq!(report.trouble, None::<Trouble>);
}

#[test]
fn nobody_to_deliver_to_is_done_at_once() {
    let mut client = Client::smtp(&[]).play(&[("220 mx.example", "EHLO a.example\r\n"), (PIPELINING, "QUIT\r\n")]);
    assert_eq!(client.told(), "");
}
