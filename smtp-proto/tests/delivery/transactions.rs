//! Recipients that are too many for one transaction.

use smtp_proto::{ClientConfig, ClientLimits, Close, Domain, Policy, Protocol, ShutDown, Trouble, Violation};

use crate::case::{Client, GREETING, MAIL, ON_THE_WIRE, PIPELINING, PLAIN, envelope, group, offers};

const ACCEPTED: &str = "accepted Server verdict 250 queued\n";

/// RSET, and then the envelope.
fn next(recipients: &[&str]) -> String {
    format!("RSET\r\n{}", group(recipients, "DATA\r\n"))
}

#[test]
fn who_is_too_many_goes_in_another_transaction_at_once() {
    let mut client = Client::smtp(&["a", "b", "c", "d"]).play(&[
        GREETING,
        (PIPELINING, &group(&["a", "b", "c", "d"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n452 4.5.3 too many\r\n550 no\r\n452 4.5.3 too many\r\n354 go", ON_THE_WIRE),
        // The message is sent again from its beginning.
        ("250 queued", &next(&["b", "d"])),
        ("250 ok\r\n250 ok\r\n250 ok\r\n452 4.5.3 too many\r\n354 go", ON_THE_WIRE),
        ("250 queued", &next(&["d"])),
        ("250 ok\r\n250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), format!("{ACCEPTED}{ACCEPTED}failed Server rcpt 550 no\n{ACCEPTED}"));
}

#[test]
fn one_step_at_a_time_likewise() {
    let mut client = Client::smtp(&["a", "b"]).play(&[
        GREETING,
        (PLAIN, MAIL),
        ("250 ok", "RCPT TO:<a@mx.example>\r\n"),
        ("250 ok", "RCPT TO:<b@mx.example>\r\n"),
        ("452 later", "DATA\r\n"),
        ("354 go", ON_THE_WIRE),
        ("250 queued", "RSET\r\n"),
        ("250 ok", MAIL),
        ("250 ok", "RCPT TO:<b@mx.example>\r\n"),
        ("250 ok", "DATA\r\n"),
        ("354 go", ON_THE_WIRE),
        ("250 queued", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), ACCEPTED.repeat(2));
}

#[test]
fn too_many_recipients_said_in_the_old_way_is_not_for_ever() {
    // RFC 5321 §4.5.3.1.10, on RCPT only.
    let mut client = Client::smtp(&["a", "b"]).play(&[
        GREETING,
        (PIPELINING, &group(&["a", "b"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n552 too many\r\n354 go", ON_THE_WIRE),
        ("552 5.2.2 over quota", &next(&["b"])),
        ("250 ok\r\n250 ok\r\n552 too many\r\n503 nobody", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), "failed Server verdict 552 5.2.2 over quota\ndeferred Server rcpt 552 too many\n");
}

#[test]
fn a_server_that_takes_nobody_is_not_asked_again() {
    let full = "deferred Server rcpt 452 full\n".repeat(2);
    let mut client = Client::smtp(&["a", "b"]).play(&[
        GREETING,
        (PIPELINING, &group(&["a", "b"], "DATA\r\n")),
        ("250 ok\r\n452 full\r\n452 full\r\n554 nobody", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), full);
    // Nor if it wants a message all the same.
    let mut client = Client::smtp(&["a", "b"]).play(&[
        GREETING,
        (PIPELINING, &group(&["a", "b"], "DATA\r\n")),
        ("250 ok\r\n452 full\r\n452 full\r\n354 go", ".\r\n"),
        ("250 thanks", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), full);
}

#[test]
fn a_limit_that_was_told_is_kept() {
    let rcpt_max = offers(&["PIPELINING", "LIMITS RCPTMAX=2"]);
    let good = "250 ok\r\n250 ok\r\n250 ok\r\n354 go";
    let mut client = Client::smtp(&["a", "b", "c", "d", "e"]).play(&[
        GREETING,
        (&rcpt_max, &group(&["a", "b"], "DATA\r\n")),
        (good, ON_THE_WIRE),
        ("250 queued", &next(&["c", "d"])),
        // Nobody of these gets it; who comes after them may.
        ("250 ok\r\n250 ok\r\n550 no\r\n550 no\r\n354 go", ".\r\n"),
        ("554 nobody", &next(&["e"])),
        ("250 ok\r\n250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), format!("{ACCEPTED}{ACCEPTED}{}{ACCEPTED}", "failed Server rcpt 550 no\n".repeat(2)));
    // A sender that is refused is refused for all.
    let mut client = Client::smtp(&["a", "b", "c"]).play(&[
        GREETING,
        (&rcpt_max, &group(&["a", "b"], "DATA\r\n")),
        (good, ON_THE_WIRE),
        ("250 queued", &next(&["c"])),
        ("250 ok\r\n550 enough\r\n503 no\r\n503 no", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), format!("{}failed Server mail 550 enough\n", ACCEPTED.repeat(2)));
    // A refused DATA speaks for its own recipients.
    let mut client = Client::smtp(&["a", "b", "c"]).play(&[
        GREETING,
        (&rcpt_max, &group(&["a", "b"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n250 ok\r\n451 later", &next(&["c"])),
        ("250 ok\r\n250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), format!("{}{ACCEPTED}", "deferred Server data 451 later\n".repeat(2)));
}

#[test]
fn a_session_of_so_many_transactions_has_no_more() {
    let mut client = Client::smtp(&["a", "b", "c"]).play(&[
        GREETING,
        (&offers(&["PIPELINING", "LIMITS RCPTMAX=1 MAILMAX=2"]), &group(&["a"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", &next(&["b"])),
        ("250 ok\r\n250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", "QUIT\r\n"),
    ]);
    let enough = "deferred Us mail 452 4.5.3 the session has no room for more transactions\nLimits\n";
    assert_eq!(client.told(), format!("{}{enough}", ACCEPTED.repeat(2)));

    // Our own limit, where the server's would let us go on for ever.
    let limits = ClientLimits { transactions: 1, ..ClientLimits::default() };
    let host = Domain::parse("a.example").unwrap().into_owned();
    let config = ClientConfig { limits, ..ClientConfig::new(host) };
    let mut client = Client::with(config, envelope(&["a", "b"]), Policy::default()).play(&[
        GREETING,
        (PIPELINING, &group(&["a", "b"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n452 later\r\n354 go", ON_THE_WIRE),
        ("250 queued", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), format!("{ACCEPTED}{enough}"));
}

#[test]
fn a_session_of_so_many_domains_names_no_more() {
    let names = ["a@x.example", "b@y.example", "c@X.example", "d@z.example", "e@y.example"];
    let mut client = Client::smtp(&names).play(&[
        GREETING,
        (&offers(&["PIPELINING", "LIMITS RCPTMAX=2 RCPTDOMAINMAX=2"]), &group(&names[..2], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", &next(&[names[2], names[4]])),
        ("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", "QUIT\r\n"),
    ]);
    let enough = "deferred Us rcpt 452 4.5.3 the session has no room for more domains\n";
    assert_eq!(client.told(), format!("{}{enough}{ACCEPTED}Limits\n", ACCEPTED.repeat(3)));

    // RFC 5321 §4.1.1.3: Postmaster may be named without a domain.
    let mut envelope = envelope(&["a@x.example", "b", "c@y.example"]);
    envelope.recipients[1].to = smtp_proto::ForwardPath::Postmaster;
    let mut client = Client::new(Protocol::Smtp, envelope, Policy::default()).play(&[
        GREETING,
        (
            &offers(&["PIPELINING", "LIMITS RCPTDOMAINMAX=1"]),
            &format!("{MAIL}RCPT TO:<a@x.example>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n"),
        ),
        ("250 ok\r\n250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), format!("{}{enough}Limits\n", ACCEPTED.repeat(2)));
}

#[test]
fn a_transaction_for_domains_that_are_too_many_has_no_message() {
    let mut client = Client::smtp(&["a@x.example", "b@x.example", "c@y.example"]).play(&[
        GREETING,
        (&offers(&["PIPELINING", "LIMITS RCPTMAX=1 RCPTDOMAINMAX=1"]), &group(&["a@x.example"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", &next(&["b@x.example"])),
        ("250 ok\r\n250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        // Only now it is seen that nobody is left whom the session may name.
        ("250 queued", &format!("RSET\r\n{MAIL}")),
        ("250 ok\r\n250 ok", "QUIT\r\n"),
    ]);
    let enough = "deferred Us rcpt 452 4.5.3 the session has no room for more domains\nLimits\n";
    assert_eq!(client.told(), format!("{}{enough}", ACCEPTED.repeat(2)));
}

fn between() -> Client {
    Client::smtp(&["a", "b"]).play(&[
        GREETING,
        (PIPELINING, &group(&["a", "b"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n452 later\r\n354 go", ON_THE_WIRE),
        ("250 queued", &next(&["b"])),
    ])
}

#[test]
fn a_server_that_leaves_between_two_transactions_has_not_said_a_word_to_the_second() {
    let mut client = between();
    client.delivery.handle_eof();
    assert_eq!(
        client.told(),
        format!("{ACCEPTED}deferred Us mail 451 4.4.2 the server closed the connection\nStale\n")
    );
    assert_eq!(client.closed(), Close::Eof);
    let mut client = between();
    client.hear("421 4.3.2 enough");
    assert_eq!(client.told(), format!("{ACCEPTED}deferred Server mail 421 4.3.2 enough\nStale\n"));
    // Once it has, it is lost as any other.
    let mut client = between();
    client.hear("250 ok");
    client.delivery.handle_eof();
    let lost = "deferred Us mail 451 4.4.2 the server closed the connection\nLost(Eof)\n";
    assert_eq!(client.told(), format!("{ACCEPTED}{lost}"));
    // Nor is it stale where we end it, or it speaks in tongues.
    let mut client = between();
    client.delivery.abort();
    assert!(client.told().ends_with("Lost(Aborted)\n"));
    let mut client = between();
    client.hear("what?");
    assert!(client.told().ends_with("Lost(Violation(BadReply))\n"));
}

#[test]
fn a_server_that_does_not_forget_gets_no_more() {
    let mut client = between().play(&[("502 what?\r\n503 no\r\n503 no\r\n503 no", "QUIT\r\n")]);
    let refused = format!("{ACCEPTED}deferred Server mail 502 what?\n");
    assert_eq!(client.told(), format!("{refused}Stale\n"));
    // Nor does it get an empty message, for those that it has all the same.
    let mut client = between().play(&[("502 what?\r\n250 ok\r\n250 ok\r\n354 go", "")]);
    assert_eq!(client.told(), format!("{refused}Stale\n"));
    assert_eq!(client.closed(), Close::Violation(Violation::BadReply));
    let mut client = Client::smtp(&["a"]).play(&[
        GREETING,
        (PIPELINING, &group(&["a"], "DATA\r\n")),
        ("550 not you\r\n250 ok\r\n354 go", ""),
    ]);
    assert_eq!(client.told(), "failed Server mail 550 not you\nLost(Violation(BadReply))\n");
}

#[test]
fn who_leaves_begins_no_other_transaction() {
    let mut client = Client::smtp(&["a", "b"]).play(&[
        GREETING,
        (PIPELINING, &group(&["a", "b"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n452 later\r\n354 go", ON_THE_WIRE),
    ]);
    client.delivery.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(client.hear("250 queued"), "QUIT\r\n");
    let report = client.reports.pop().unwrap();
    assert_eq!(report.trouble, Some(Trouble::Lost(Close::ShutDown(ShutDown::Stopping))));
    assert_eq!(crate::case::told(&report).lines().nth(1).unwrap(), "deferred Us mail 451 4.3.2 the session was ended");
}

#[test]
fn whom_the_server_has_answered_keeps_its_answer_when_the_rest_is_lost() {
    let mut client = Client::smtp(&["a", "b"]).play(&[
        GREETING,
        (PIPELINING, &group(&["a", "b"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n452 later\r\n354 go", ON_THE_WIRE),
    ]);
    client.delivery.handle_eof();
    let lost = "deferred Us verdict 451 4.4.2 the server closed the connection\n";
    assert_eq!(client.told(), format!("{lost}deferred Server rcpt 452 later\nLost(Eof)\n"));
}

#[test]
fn lmtp_counts_anew_in_each_transaction() {
    let mut client = Client::new(Protocol::Lmtp, envelope(&["a", "b", "c"]), Policy::default());
    client.hear("220 mx.example");
    client.hear(PIPELINING);
    assert_eq!(client.hear("250 ok\r\n250 ok\r\n452 later\r\n250 ok\r\n354 go"), ON_THE_WIRE);
    assert_eq!(client.hear("450 busy"), "");
    assert_eq!(client.hear("250 queued"), next(&["b"]));
    assert_eq!(client.hear("250 ok\r\n250 ok\r\n250 ok\r\n354 go"), ON_THE_WIRE);
    assert_eq!(client.hear("250 queued"), "QUIT\r\n");
    assert_eq!(client.told(), format!("deferred Server verdict 450 busy\n{ACCEPTED}{ACCEPTED}"));
}
