//! What a message needs of a server, what it can do without, and by which way it goes.

use proptest::prelude::*;
use smtp_proto::{
    BodyType, Chunking, DeliverBy, DeliveryEvent, Envelope, ForwardPath, Hold, MailParameters, Misuse, Notify,
    OriginalRecipient, Policy, Priority, Protocol, RcptParameters, Ret, ReversePath, Rrvs, Solicitation, Step,
    Submitter, TlsPolicy, Xtext,
};

use crate::case::{Client, GREETING, MAIL, MESSAGE, ON_THE_WIRE, PIPELINING, envelope, group, needing, offers};

type Mail = MailParameters;

fn smtp(parameters: Mail) -> Client {
    Client::new(Protocol::Smtp, needing(parameters), Policy::default()).play(&[GREETING])
}

#[test]
fn what_the_server_lacks_is_found_before_a_word_of_the_message_is_said() {
    let utf8 = || Mail { smtp_utf8: true, ..Mail::default() };
    let body = |body| Mail { body: Some(body), size: Some(20), ..Mail::default() };
    let eight_bit = || body(BodyType::EightBitMime);
    let binary = || body(BodyType::BinaryMime);
    let size = || Mail { size: Some(1001), ..Mail::default() };
    let by = |text| Mail { deliver_by: DeliverBy::parse(text).ok(), ..Mail::default() };
    let hold = || Mail { hold: Hold::parse_for("60").ok(), ..Mail::default() };
    let all_but = |keyword: &str| {
        let all =
            ["SMTPUTF8", "8BITMIME", "CHUNKING", "BINARYMIME", "DELIVERBY", "FUTURERELEASE 99 2030-01-01T00:00:00Z"];
        offers(&all.into_iter().filter(|each| !each.starts_with(keyword)).collect::<Vec<_>>())
    };
    for (needs, offers, reply) in [
        (utf8(), all_but("SMTPUTF8"), "553 5.6.7 the server does not take SMTPUTF8"),
        (eight_bit(), all_but("8BITMIME"), "554 5.6.3 the server does not take 8BITMIME"),
        (binary(), all_but("CHUNKING"), "554 5.6.3 the server does not take BINARYMIME"),
        (binary(), all_but("BINARYMIME"), "554 5.6.3 the server does not take BINARYMIME"),
        (by("60;R"), all_but("DELIVERBY"), "554 5.3.3 the server does not take DELIVERBY"),
        (hold(), all_but("FUTURERELEASE"), "554 5.3.3 the server does not take FUTURERELEASE"),
        (size(), offers(&["SIZE 1000"]), "552 5.3.4 the message is too big for the server"),
    ] {
        let mut client = smtp(needs);
        assert_eq!(client.hear(&offers), "QUIT\r\n", "{offers}");
        assert_eq!(client.told(), format!("failed Us mail {reply}\nLacking\n"));
    }
    let nothing = all_but("");
    for (needs, offers, said) in [
        (utf8(), offers(&["SMTPUTF8"]), " SMTPUTF8"),
        (eight_bit(), offers(&["8BITMIME"]), " BODY=8BITMIME"),
        (binary(), offers(&["BINARYMIME", "CHUNKING"]), " BODY=BINARYMIME"),
        (by("60;R"), offers(&["DELIVERBY"]), " BY=60;R"),
        (by("60;N"), offers(&["DELIVERBY"]), " BY=60;N"),
        (by("60;N"), nothing.clone(), ""),
        (hold(), all_but("SMTPUTF8"), " HOLDFOR=60"),
        (size(), offers(&["SIZE 1001"]), " SIZE=1001"),
        (size(), offers(&["SIZE"]), " SIZE=1001"),
        (size(), nothing, ""),
    ] {
        assert_eq!(smtp(needs).hear(&offers), format!("MAIL FROM:<me@a.example>{said}\r\n"), "{offers}");
    }
}

#[test]
fn what_may_be_left_out_is_told_only_where_it_is_understood() {
    let mut envelope = needing(Mail {
        body: Some(BodyType::SevenBit),
        auth: Some(Submitter::Unknown),
        ret: Some(Ret::Headers),
        envid: Some(Xtext::encode("id")),
        priority: Priority::new(3),
        solicit: Some(Solicitation::parse("org.example:ADV").unwrap().into_owned()),
        ..Mail::default()
    });
    envelope.recipients[0].parameters = RcptParameters {
        notify: Some(Notify::NEVER),
        orcpt: Some(OriginalRecipient::parse("rfc822;joe@b.example").unwrap().into_owned()),
        rrvs: Rrvs::parse("2014-04-03T23:01:00Z;C").ok(),
        delivery: Some(Xtext::encode("7")),
        epoch: Some(9),
    };
    for (keyword, mail, rcpt) in [
        ("HELP", "", ""),
        ("8BITMIME", " BODY=7BIT", ""),
        ("AUTH PLAIN", " AUTH=<>", ""),
        ("DSN", " RET=HDRS ENVID=id", " NOTIFY=NEVER ORCPT=rfc822;joe@b.example"),
        ("MT-PRIORITY", " MT-PRIORITY=3", ""),
        ("NO-SOLICITING", " SOLICIT=org.example:ADV", ""),
        ("RRVS", "", " RRVS=2014-04-03T23:01:00Z;C"),
        ("XHANDOVER", "", " XDELIVERY=7 XEPOCH=9"),
    ] {
        let client = Client::new(Protocol::Smtp, envelope.clone(), Policy::default());
        let mut client = client.play(&[
            GREETING,
            (&offers(&[keyword]), &format!("MAIL FROM:<me@a.example>{mail}\r\n")),
            ("250 ok", &format!("RCPT TO:<a@mx.example>{rcpt}\r\n")),
            ("250 ok", "DATA\r\n"),
            ("354 go", ON_THE_WIRE),
            ("250 queued", "QUIT\r\n"),
        ]);
        // A relay must know which of them it is.
        let extensions = client.reports.pop().unwrap().extensions;
        assert_eq!((extensions.dsn, extensions.rrvs), (keyword == "DSN", keyword == "RRVS"));
    }
}

#[test]
fn an_original_recipient_beyond_ascii_is_told_to_every_server_with_dsn() {
    // RFC 6533 §3; what is no mailbox cannot be told.
    for (given, told) in [("utf-8;jos\u{e9}@b.example", " ORCPT=utf-8;jos\\x{E9}@b.example"), ("utf-8;jos\u{e9}", "")] {
        let mut envelope = envelope(&["a"]);
        envelope.recipients[0].parameters.orcpt = Some(OriginalRecipient::parse(given).unwrap().into_owned());
        for keywords in [&["DSN"][..], &["DSN", "SMTPUTF8"]] {
            let client = Client::new(Protocol::Smtp, envelope.clone(), Policy::default());
            let said = format!("RCPT TO:<a@mx.example>{told}\r\n");
            client.play(&[GREETING, (&offers(keywords), MAIL), ("250 ok", &said)]);
        }
    }
}

#[test]
fn a_condition_that_nobody_can_see_to_fails_its_recipient_only() {
    // RFC 7293 §3.1: ;R, which is the default.
    let mut envelope = envelope(&["a", "b", "c"]);
    envelope.recipients[1].parameters.rrvs = Rrvs::parse("2014-04-03T23:01:00Z").ok();
    let new = || Client::new(Protocol::Smtp, envelope.clone(), Policy::default()).play(&[GREETING]);
    let mut client = new().play(&[
        (PIPELINING, &group(&["a", "c"], "DATA\r\n")),
        ("250 ok\r\n250 ok\r\n250 ok\r\n354 go", ON_THE_WIRE),
        ("250 queued", "QUIT\r\n"),
    ]);
    let accepted = "accepted Server verdict 250 queued\n";
    let lacking = "failed Us rcpt 554 5.3.3 the server does not take RRVS\n";
    assert_eq!(client.told(), format!("{accepted}{lacking}{accepted}Lacking\n"));
    let mut client = new();
    assert_eq!(client.hear("502 what?"), "QUIT\r\n", "HELO will not do");
    envelope.recipients.retain(|rcpt| rcpt.parameters.rrvs.is_some());
    let mut client = Client::new(Protocol::Smtp, envelope, Policy::default());
    client.hear("220 mx.example");
    assert_eq!(client.hear(PIPELINING), "QUIT\r\n");
    assert_eq!(client.told(), format!("{lacking}Lacking\n"));
}

#[test]
fn requiretls_needs_tls_and_a_server_that_keeps_it() {
    let needs = || Mail { require_tls: true, ..Mail::default() };
    let lacking = "failed Us mail 550 5.7.30 the server does not take REQUIRETLS\nLacking\n";
    let in_clear = "failed Us mail 550 5.7.10 TLS is required, and cannot be had\nLacking\n";
    let mut client = smtp(needs());
    assert_eq!(client.hear(&offers(&["REQUIRETLS"])), "QUIT\r\n", "in clear the offer means nothing");
    assert_eq!(client.told(), in_clear);
    for (keyword, said) in [("REQUIRETLS", "MAIL FROM:<me@a.example> REQUIRETLS\r\n"), ("HELP", "QUIT\r\n")] {
        let mut client = smtp(needs()).play(&[(&offers(&["STARTTLS"]), "STARTTLS\r\n"), ("220 go", "")]);
        client.shake_hands();
        assert_eq!(client.hear(&offers(&[keyword])), said);
        if keyword == "HELP" {
            assert_eq!(client.told(), lacking);
        }
    }
    // It is TLS that is missing, and may be back tomorrow.
    let mut client = smtp(needs()).play(&[(&offers(&["STARTTLS"]), "STARTTLS\r\n"), ("454 later", "QUIT\r\n")]);
    assert_eq!(client.told(), "deferred Server starttls 454 later\nTls\n");
    let policy = Policy { tls: TlsPolicy::Never, ..Policy::default() };
    let mut client = Client::new(Protocol::Smtp, needing(needs()), policy);
    client.hear("220 mx.example");
    assert_eq!(client.hear(&offers(&["STARTTLS", "REQUIRETLS"])), "QUIT\r\n");
    assert_eq!(client.told(), in_clear);
    // RFC 8689 §5: a report goes out all the same, and says so where that is understood.
    let report = || {
        let mut envelope = needing(needs());
        envelope.mail.from = ReversePath::Null;
        Client::new(Protocol::Smtp, envelope, Policy::default()).play(&[GREETING])
    };
    assert_eq!(report().hear(&offers(&["REQUIRETLS"])), "MAIL FROM:<>\r\n");
    let mut client = report().play(&[(&offers(&["STARTTLS"]), "STARTTLS\r\n"), ("220 go", "")]);
    client.shake_hands();
    assert_eq!(client.hear(&offers(&["REQUIRETLS"])), "MAIL FROM:<> REQUIRETLS\r\n");
}

#[test]
fn an_address_beyond_ascii_needs_smtputf8_without_being_told() {
    let mut client = Client::smtp(&["jos\u{e9}"]);
    client.hear("220 mx.example");
    assert_eq!(client.hear(PIPELINING), "QUIT\r\n");
    let mut client = Client::smtp(&["jos\u{e9}"]);
    client.hear("220 mx.example");
    assert_eq!(client.hear("250-mx.example\r\n250 SMTPUTF8"), "MAIL FROM:<me@a.example> SMTPUTF8\r\n");
    let mut envelope = envelope(&["a"]);
    envelope.mail.from = ReversePath::parse("<jos\u{e9}@a.example>").unwrap().into_owned();
    let client = Client::new(Protocol::Smtp, envelope, Policy::default());
    client.play(&[GREETING, (&offers(&["SMTPUTF8"]), "MAIL FROM:<jos\u{e9}@a.example> SMTPUTF8\r\n")]);
}

#[test]
fn helo_is_not_tried_where_an_extension_is_needed() {
    for needs in [
        Mail { smtp_utf8: true, ..Mail::default() },
        Mail { body: Some(BodyType::EightBitMime), ..Mail::default() },
        Mail { require_tls: true, ..Mail::default() },
        Mail { deliver_by: DeliverBy::parse("1;R").ok(), ..Mail::default() },
        Mail { hold: Hold::parse_for("1").ok(), ..Mail::default() },
    ] {
        assert_eq!(smtp(needs).hear("502 what?"), "QUIT\r\n");
    }
    let spare = Mail { size: Some(1), ret: Some(Ret::Full), body: Some(BodyType::SevenBit), ..Mail::default() };
    smtp(spare).play(&[("502 what?", "HELO a.example\r\n"), ("250 ok", MAIL)]);
}

const LENGTH: u64 = MESSAGE.len() as u64;

#[test]
fn a_binary_message_goes_in_one_chunk_behind_the_replies() {
    let parameters = Mail { body: Some(BodyType::BinaryMime), size: Some(LENGTH), ..Mail::default() };
    let offer = offers(&["PIPELINING", "CHUNKING", "BINARYMIME"]);
    let mail = "MAIL FROM:<me@a.example> BODY=BINARYMIME\r\nRCPT TO:<a@mx.example>\r\n";
    let chunk = format!("BDAT {LENGTH} LAST\r\nSubject: hi\r\n\r\n.dot\r\n");
    let mut client = smtp(parameters.clone()).play(&[
        (&offer, mail),
        ("250 ok", ""),
        ("250 ok", &chunk),
        ("250 queued", "QUIT\r\n"),
    ]);
    assert_eq!(client.told(), "accepted Server verdict 250 queued\n");
    // To nobody it does not go at all.
    let mut client = smtp(parameters).play(&[(&offer, mail), ("250 ok\r\n550 no", "QUIT\r\n")]);
    assert_eq!(client.told(), "failed Server rcpt 550 no\n");
    // Nobody knows how long it is: that is no server's fault.
    let mut client = smtp(Mail { body: Some(BodyType::BinaryMime), ..Mail::default() });
    assert_eq!(client.hear(&offer), "QUIT\r\n");
    assert_eq!(client.told(), "failed Us mail 554 5.6.0 the message has no known size\n");
}

#[test]
fn any_message_of_known_size_may_go_in_a_chunk() {
    let play = |chunking, size, keywords: &[&str]| {
        let policy = Policy { chunking, ..Policy::default() };
        let mut client = Client::new(Protocol::Smtp, needing(Mail { size, ..Mail::default() }), policy);
        client.hear("220 mx.example");
        client.hear(&offers(keywords));
        client.hear("250 ok");
        client.hear("250 ok")
    };
    let chunk = format!("BDAT {LENGTH} LAST\r\nSubject: hi\r\n\r\n.dot\r\n");
    assert_eq!(play(Chunking::WhereOffered, Some(LENGTH), &["CHUNKING"]), chunk);
    assert_eq!(play(Chunking::WhereOffered, Some(LENGTH), &["8BITMIME"]), "DATA\r\n");
    assert_eq!(play(Chunking::WhereOffered, None, &["CHUNKING"]), "DATA\r\n");
    assert_eq!(play(Chunking::WhereNeeded, Some(LENGTH), &["CHUNKING"]), "DATA\r\n");
    assert_eq!(
        play(Chunking::WhereOffered, Some(0), &["CHUNKING"]),
        "BDAT 0 LAST\r\n",
        "and nobody is asked for nothing"
    );
}

#[test]
fn a_message_of_another_length_than_announced_is_not_ended() {
    let policy = Policy { chunking: Chunking::WhereOffered, ..Policy::default() };
    let mut client = Client::new(Protocol::Smtp, needing(Mail { size: Some(2), ..Mail::default() }), policy);
    for said in ["220 mx.example", &offers(&["CHUNKING"]), "250 ok"] {
        client.hear(said);
    }
    client.input.extend_from_slice(b"250 ok\r\n");
    let step = client.delivery.next_event(client.now, &mut client.input, &mut client.out);
    assert_eq!(step, Step::Event(DeliveryEvent::Body));
    client.delivery.body(b"x", &mut client.out).unwrap();
    assert_eq!(client.delivery.body(b"xx", &mut client.out), Err(Misuse::BodyTooLong));
    assert_eq!(client.delivery.end_body(client.now, &mut client.out), Err(Misuse::BodyTooShort));
    client.delivery.decline(client.now, &mut client.out);
    assert_eq!(client.said(), "BDAT 2 LAST\r\nx");
    assert_eq!(client.told(), "deferred Us data 451 4.3.0 the message could not be read\nLost(Aborted)\n");
}

#[test]
fn an_lmtp_chunk_has_a_verdict_for_each_accepted_recipient() {
    let policy = Policy { chunking: Chunking::WhereOffered, ..Policy::default() };
    let mut envelope = envelope(&["a", "b", "a"]);
    envelope.mail.parameters.size = Some(LENGTH);
    let mut client = Client::new(Protocol::Lmtp, envelope, policy);
    client.hear("220 mx.example");
    client.hear(&offers(&["PIPELINING", "CHUNKING"]));
    assert!(client.hear("250 ok\r\n250 ok\r\n550 no\r\n250 ok").starts_with("BDAT 21 LAST\r\n"));
    assert_eq!(client.hear("452 full\r\n250 queued"), "QUIT\r\n");
    let expected = "deferred Server verdict 452 full\nfailed Server rcpt 550 no\naccepted Server verdict 250 queued\n";
    assert_eq!(client.told(), expected);
}

/// Something of everything that an envelope may tell, as the bits say.
fn telling(bits: u32) -> Envelope {
    let is = |bit: u32| bits >> bit & 1 == 1;
    let body = match bits >> 30 {
        0 => None,
        1 => Some(BodyType::SevenBit),
        2 => Some(BodyType::EightBitMime),
        _ => Some(BodyType::BinaryMime),
    };
    let mut envelope = needing(Mail {
        size: is(0).then_some(LENGTH),
        body,
        smtp_utf8: is(1),
        auth: is(2).then_some(Submitter::Unknown),
        require_tls: is(3),
        ret: is(4).then_some(Ret::Full),
        envid: is(5).then(|| Xtext::encode("id")),
        priority: Priority::new(1).filter(|_| is(6)),
        deliver_by: DeliverBy::parse(if is(7) { "9;R" } else { "9;N" }).ok().filter(|_| is(8)),
        hold: Hold::parse_for("9").ok().filter(|_| is(9)),
        solicit: is(10).then(|| Solicitation::parse("a:b").unwrap().into_owned()),
    });
    let original = if is(11) { "utf-8;jos\u{e9}@b.example" } else { "rfc822;joe@b.example" };
    envelope.recipients[0].parameters = RcptParameters {
        notify: is(12).then_some(Notify::NEVER),
        orcpt: is(13).then(|| OriginalRecipient::parse(original).unwrap().into_owned()),
        rrvs: Rrvs::parse(if is(14) { "2014-04-03T23:01:00Z;C" } else { "2014-04-03T23:01:00Z" })
            .ok()
            .filter(|_| is(15)),
        delivery: is(16).then(|| Xtext::encode("7")),
        epoch: is(17).then_some(9),
    };
    if is(18) {
        envelope.recipients[0].to = ForwardPath::parse("<jos\u{e9}@mx.example>").unwrap().into_owned();
    }
    envelope
}

const KEYWORDS: [&str; 16] = [
    "PIPELINING",
    "SIZE",
    "SIZE 20",
    "8BITMIME",
    "SMTPUTF8",
    "AUTH PLAIN",
    "REQUIRETLS",
    "DSN",
    "MT-PRIORITY",
    "DELIVERBY",
    "FUTURERELEASE 99 2030-01-01T00:00:00Z",
    "NO-SOLICITING",
    "RRVS",
    "XHANDOVER",
    "CHUNKING",
    "BINARYMIME",
];

proptest! {
    /// Whatever is to be told and whatever is offered: it is told, or there is a report. Nobody waits for nothing.
    #[test]
    fn all_that_is_told_can_be_told(bits in any::<u32>(), offered in any::<u16>(), tls in any::<bool>(), chunks in any::<bool>()) {
        let chunking = if chunks { Chunking::WhereOffered } else { Chunking::WhereNeeded };
        let policy = Policy { chunking, ..Policy::default() };
        let mut client = Client::new(Protocol::Smtp, telling(bits), policy).play(&[GREETING]);
        if tls {
            client.hear(&offers(&["STARTTLS"]));
            client.hear("220 go");
            client.shake_hands();
        }
        let keywords: Vec<_> = KEYWORDS.iter().enumerate().filter(|(n, _)| offered >> n & 1 == 1).map(|(_, word)| *word).collect();
        let said = client.hear(&offers(&keywords));
        if said == "QUIT\r\n" {
            prop_assert!(client.told().starts_with("failed Us "));
            return Ok(());
        }
        let told = if keywords.contains(&"PIPELINING") { said } else { said + &client.hear("250 ok") + &client.hear("250 ok") };
        let lines: Vec<_> = told.lines().collect();
        prop_assert!(lines[0].starts_with("MAIL FROM:") && lines[1].starts_with("RCPT TO:"), "{}", told);
        prop_assert!(client.delivery.poll_timeout().is_some() || lines[2].starts_with("BDAT"), "{}", told);
    }
}
