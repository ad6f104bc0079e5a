//! A delivery against servers of all kinds, good and bad.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use smtp_proto::{
    BodyType, ClientConfig, Close, Delivery, DeliveryEvent, Domain, Envelope, ForwardPath, Layer, Link, Mail,
    MailParameters, Misuse, Outcome, Policy, Protocol, Rcpt, Report, ReversePath, SaidBy, ShutDown, Stage, Step,
    Switched, TlsInfo, TlsPolicy, Trouble, Violation, Waiting,
};

const MESSAGE: &[u8] = b"Subject: hi\r\n\r\n.dot\r\n";
const ON_THE_WIRE: &str = "Subject: hi\r\n\r\n..dot\r\n.\r\n";
const PLAIN: &str = "250 mx.example";
const PIPELINING: &str = "250-mx.example\r\n250 PIPELINING";

fn envelope(recipients: &[&str]) -> Envelope {
    let rcpt = |name: &&str| {
        let text = format!("<{name}@mx.example>");
        Rcpt { to: ForwardPath::parse(&text).unwrap().into_owned(), parameters: Default::default() }
    };
    Envelope {
        mail: Mail { from: ReversePath::parse("<me@a.example>").unwrap().into_owned(), parameters: Default::default() },
        recipients: recipients.iter().map(rcpt).collect(),
    }
}

/// A delivery, its buffers, and what it told.
struct Client {
    delivery: Delivery,
    now: Duration,
    input: BytesMut,
    out: BytesMut,
    report: Option<Report>,
}

impl Client {
    fn new(protocol: Protocol, envelope: Envelope, tls: TlsPolicy) -> Self {
        let host = Domain::parse("a.example").unwrap().into_owned();
        let config = Arc::new(ClientConfig { protocol, ..ClientConfig::new(host) });
        let delivery =
            Delivery::new(config, envelope, Policy { tls, ..Policy::default() }, Link::default(), Duration::ZERO);
        Self { delivery, now: Duration::ZERO, input: BytesMut::new(), out: BytesMut::new(), report: None }
    }

    fn smtp(recipients: &[&str]) -> Self {
        Self::new(Protocol::Smtp, envelope(recipients), TlsPolicy::default())
    }

    fn run(&mut self) -> Step<DeliveryEvent> {
        loop {
            match self.delivery.next_event(self.now, &mut self.input, &mut self.out) {
                Step::Event(DeliveryEvent::Body) => {
                    MESSAGE.chunks(3).for_each(|piece| self.delivery.body(piece, &mut self.out).unwrap());
                    self.delivery.end_body(self.now, &mut self.out).unwrap();
                }
                Step::Event(DeliveryEvent::Done(report)) => assert_eq!(self.report.replace(*report), None, "told once"),
                Step::Event(DeliveryEvent::Challenge(_) | DeliveryEvent::Idle) => return Step::YourTurn,
                step => return step,
            }
        }
    }

    /// The server says `text`; what the client says to that.
    fn hear(&mut self, text: &str) -> String {
        self.input.extend_from_slice(text.as_bytes());
        self.input.extend_from_slice(b"\r\n");
        let _ = self.run();
        String::from_utf8(self.out.split().to_vec()).unwrap()
    }

    /// Plays a whole dialogue: the server's words and what must follow each.
    fn play(mut self, dialogue: &[(&str, &str)]) -> Self {
        for (said, answered) in dialogue {
            assert_eq!(self.hear(said), *answered, "to {said:?}");
        }
        self
    }

    fn closed(&mut self) -> Close {
        match self.run() {
            Step::Close(why) => why,
            step => panic!("not closed, but {step:?}"),
        }
    }

    /// One line for each recipient, and one for the trouble.
    fn told(&mut self) -> String {
        let _ = self.run();
        let report = self.report.as_ref().expect("nothing was told");
        let line = |outcome: &Outcome| {
            let word = match outcome {
                Outcome::Accepted(_) => "accepted",
                Outcome::Deferred(_) => "deferred",
                Outcome::Failed(_) => "failed",
            };
            let said = outcome.said();
            format!("{word} {:?} {} {}\n", said.by, said.stage.as_str(), said.reply)
        };
        let trouble = report.trouble.map_or(String::new(), |trouble| format!("{trouble:?}\n"));
        report.outcomes.iter().map(line).collect::<String>() + &trouble
    }
}

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
fn too_many_recipients_said_in_the_old_way_is_not_for_ever() {
    // RFC 5321 §4.5.3.1.10, on RCPT only.
    let group = "MAIL FROM:<me@a.example>\r\nRCPT TO:<a@mx.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n";
    let mut client = Client::smtp(&["a", "b"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        (PIPELINING, group),
        ("250 ok\r\n250 ok\r\n552 too many\r\n354 go", ON_THE_WIRE),
        ("552 5.2.2 over quota", "RSET\r\nMAIL FROM:<me@a.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"),
        ("250 ok\r\n250 ok\r\n552 too many\r\n503 nobody", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), "failed Server verdict 552 5.2.2 over quota\ndeferred Server rcpt 552 too many\n");
}

#[test]
fn lmtp_has_a_verdict_for_each_accepted_recipient() {
    let mut client = Client::new(Protocol::Lmtp, envelope(&["a", "b", "c", "a"]), TlsPolicy::default());
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
    let mut client = Client::new(Protocol::Lmtp, envelope(&["a"]), TlsPolicy::default()).play(&[
        ("220 mx.example", "LHLO a.example\r\n"),
        (PIPELINING, "MAIL FROM:<me@a.example>\r\nRCPT TO:<a@mx.example>\r\nDATA\r\n"),
        ("250 ok\r\n550 no\r\n354 go", ".\r\nQUIT\r\n"),
    ]);
    assert_eq!(client.told(), "failed Server rcpt 550 no\n");
}

#[test]
fn what_the_server_lacks_is_found_before_a_word_of_the_message_is_said() {
    let parameters = |parameters: MailParameters, offers: &str| {
        let mut envelope = envelope(&["a"]);
        envelope.mail.parameters = parameters;
        let mut client = Client::new(Protocol::Smtp, envelope, TlsPolicy::default());
        client.hear("220 mx.example");
        (client.hear(&format!("250-mx.example\r\n250 {offers}")), client)
    };
    let utf8 = MailParameters { smtp_utf8: true, ..Default::default() };
    let eight_bit = MailParameters { body: Some(BodyType::EightBitMime), ..Default::default() };
    let size = MailParameters { size: Some(1001), ..Default::default() };
    for (needs, offers, reply) in [
        (utf8.clone(), "8BITMIME", "553 5.6.7 the server does not take SMTPUTF8"),
        (eight_bit.clone(), "SMTPUTF8", "554 5.6.3 the server does not take 8BITMIME"),
        (size.clone(), "SIZE 1000", "552 5.3.4 the message is too big for the server"),
    ] {
        let (said, mut client) = parameters(needs, offers);
        assert_eq!(said, "QUIT\r\n");
        assert_eq!(client.told(), format!("failed Us mail {reply}\nLacking\n"));
    }
    for (needs, offers, said) in [
        (utf8, "SMTPUTF8", " SMTPUTF8"),
        (eight_bit, "8BITMIME", " BODY=8BITMIME"),
        (size.clone(), "SIZE 1001", " SIZE=1001"),
        (size.clone(), "SIZE", " SIZE=1001"),
        (size, "8BITMIME", ""),
    ] {
        assert_eq!(parameters(needs, offers).0, format!("MAIL FROM:<me@a.example>{said}\r\n"));
    }
}

#[test]
fn an_address_beyond_ascii_needs_smtputf8_without_being_told() {
    let mut client = Client::smtp(&["jos\u{e9}"]);
    client.hear("220 mx.example");
    assert_eq!(client.hear(PIPELINING), "QUIT\r\n");
    let mut client = Client::smtp(&["jos\u{e9}"]);
    client.hear("220 mx.example");
    assert_eq!(client.hear("250-mx.example\r\n250 SMTPUTF8"), "MAIL FROM:<me@a.example> SMTPUTF8\r\n");
}

#[test]
fn helo_is_tried_where_ehlo_is_not_known_and_nothing_needs_it() {
    let mut client = Client::smtp(&["a"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        ("502 what?", "HELO a.example\r\n"),
        ("250 mx.example", "MAIL FROM:<me@a.example>\r\n"),
    ]);
    assert_eq!(client.hear("550 no"), "QUIT\r\n");

    let mut client = Client::new(Protocol::Smtp, envelope(&["a"]), TlsPolicy::Required)
        .play(&[("220 mx.example", "EHLO a.example\r\n"), ("502 what?", "QUIT\r\n")]);
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
fn tls_is_taken_where_it_is_offered_and_all_before_it_forgotten() {
    let mut client = Client::smtp(&["a"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        ("250-mx.example\r\n250-SMTPUTF8\r\n250-PIPELINING\r\n250 STARTTLS", "STARTTLS\r\n"),
        ("220 go", ""),
    ]);
    assert_eq!(client.run(), Step::Switch(Layer::Tls));
    assert_eq!(client.delivery.poll_timeout().map(|deadline| deadline.waiting_for), Some(Waiting::Tls));
    client.delivery.switched(Switched::Tls(TlsInfo::default()), client.now);
    let _ = client.run();
    assert_eq!(client.out.split(), "EHLO a.example\r\n");
    // A server that knew EHLO a moment ago is no old one: HELO would only lose what it offers.
    let refused = client.hear("502 what?");
    assert_eq!(refused, "QUIT\r\n");
    assert_eq!(client.told(), "failed Server hello 502 what?\nHello\n");
}

#[test]
fn behind_tls_only_what_is_offered_there_counts() {
    let mut client = Client::smtp(&["a"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        ("250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS", "STARTTLS\r\n"),
        ("220 go", ""),
    ]);
    client.delivery.switched(Switched::Tls(TlsInfo::default()), client.now);
    let _ = client.run();
    client.out.clear();
    // STARTTLS is offered again or not, and no PIPELINING here.
    let client = client.play(&[("250-mx.example\r\n250 STARTTLS", "MAIL FROM:<me@a.example>\r\n")]);
    assert!(client.delivery.session().is_under_tls());
}

#[test]
fn octets_behind_the_reply_to_starttls_are_fatal() {
    // CVE-2021-38371 and its kind.
    let mut client = Client::smtp(&["a"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        ("250-mx.example\r\n250 STARTTLS", "STARTTLS\r\n"),
        ("220 go\r\n250-evil.example\r\n250 AUTH PLAIN", ""),
    ]);
    assert_eq!(client.told(), "deferred Us starttls 451 4.5.0 the server does not speak the protocol\nTls\n");
    assert_eq!(client.closed(), Close::Violation(Violation::PipelinedTls));
}

#[test]
fn what_becomes_of_tls_that_cannot_be_had() {
    let play = |tls, dialogue: &[(&str, &str)]| {
        let client = Client::new(Protocol::Smtp, envelope(&["a"]), tls);
        client.play(&[("220 mx.example", "EHLO a.example\r\n")]).play(dialogue)
    };
    let offered = "250-mx.example\r\n250 STARTTLS";
    let mail = "MAIL FROM:<me@a.example>\r\n";
    play(TlsPolicy::Never, &[(offered, mail)]);
    play(TlsPolicy::Opportunistic, &[(PLAIN, mail)]);
    play(TlsPolicy::Opportunistic, &[(offered, "STARTTLS\r\n"), ("454 no", mail)]);
    let mut client = play(TlsPolicy::Required, &[(PLAIN, "QUIT\r\n")]);
    assert_eq!(client.told(), "deferred Us starttls 451 4.7.4 TLS is required, and cannot be had\nTls\n");
    let mut client = play(TlsPolicy::Required, &[(offered, "STARTTLS\r\n"), ("554 no", "QUIT\r\n")]);
    assert_eq!(client.told(), "deferred Server starttls 554 no\nTls\n");
    // A handshake that fails is told as the end of input.
    let mut client = play(TlsPolicy::Opportunistic, &[(offered, "STARTTLS\r\n"), ("220 go", "")]);
    client.delivery.handle_eof();
    assert_eq!(client.told(), "deferred Us starttls 451 4.4.2 the server closed the connection\nTls\n");
    // Another positive reply than 220 is none.
    let mut client = play(TlsPolicy::Opportunistic, &[(offered, "STARTTLS\r\n"), ("250 go", "")]);
    assert_eq!(client.closed(), Close::Violation(Violation::BadReply));
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

#[test]
fn replies_that_are_kept_are_cut() {
    let mut client = Client::smtp(&["a"]);
    client.hear("220 mx.example");
    client.hear(PLAIN);
    client.hear(&[format!("550-{}", "x".repeat(1900)).as_str(); 20].join("\r\n"));
    assert_eq!(client.report, None, "the last line is to come");
    client.hear("550 end");
    let report = client.report.clone().unwrap();
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
