//! What a report says, example by example.

use mailqueue::report::{Action, HEADER_LIMIT, Unreportable};
use mailqueue::{Detail, Parameter, UnixMicros};

use crate::reader::read;
use crate::setting::{ORIGINAL, Setting, detail, hours, recipient};

const DELAYED: Action = Action::Delayed { will_retry_until: hours(120) };

fn refused() -> Detail {
    detail("550 5.1.1 nobody of that name here", "5.1.1", "mail.example.com:25")
}

fn refusal() -> Setting {
    Setting::new(Action::Failed, refused())
}

#[test]
fn a_refusal_is_told_in_words_in_fields_and_with_the_header() {
    let letter = refusal().letter();
    let expected = "Date: Sun, 22 Nov 2026 10:00:00 +0000
From: Mail Delivery System <mailer-daemon@mx.example.org>
To: <alice@example.org>
Subject: Your message could not be delivered
Message-ID: <01jd8z3m9k4w2q7h5x6t1b0a@mx.example.org>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary=\"=_01jd8z3m9k4w2q7h5x6t1b0a\"

--=_01jd8z3m9k4w2q7h5x6t1b0a
Content-Type: text/plain; charset=us-ascii

This is the mail server mx.example.org.

Your message could not be delivered to:

  <bob@example.com>
    mail.example.com said:
      550 5.1.1 nobody of that name here

Please look for typing errors in the address and read what was said above. If
that does not help, the people at postmaster@mx.example.org can, when you send
them this letter.

Your message came here on Sun, 22 Nov 2026 08:00:00 +0000 and is called
01jd8z3m9k4w2q7h5x6t1b00 in our log. Its header is attached.

--=_01jd8z3m9k4w2q7h5x6t1b0a
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
Arrival-Date: Sun, 22 Nov 2026 08:00:00 +0000
X-Queue-Id: 01jd8z3m9k4w2q7h5x6t1b00

Final-Recipient: rfc822;bob@example.com
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.example.com
Diagnostic-Code: smtp; 550 5.1.1 nobody of that name here
Last-Attempt-Date: Sun, 22 Nov 2026 09:00:00 +0000

--=_01jd8z3m9k4w2q7h5x6t1b0a
Content-Type: text/rfc822-headers

From: Alice <alice@example.org>
To: Bob <bob@example.com>
Subject: lunch

--=_01jd8z3m9k4w2q7h5x6t1b0a--
";
    assert_eq!(String::from_utf8(letter.octets.clone()).unwrap().replace("\r\n", "\n"), expected);
    assert_eq!(letter.parameters, []);
    read(&letter);
}

#[test]
fn recipients_with_different_fates_stand_in_one_report() {
    let unreachable = detail("cannot connect: connection refused", "4.4.1", "mx.example.net:25");
    let letter = refusal()
        .and(recipient("carol@example.net", &[]), DELAYED, unreachable)
        .and(recipient("dana@example.com", &[]), Action::Relayed, detail("250 2.1.5 fine", "2.1.5", "[192.0.2.7]:25"))
        .letter();
    let read = read(&letter);
    assert_eq!(read.header.value("Subject"), Some("Your message could not be delivered"));
    let groups = read.groups();
    let column = |name| groups[1..].iter().map(|group| group.value(name)).collect::<Vec<_>>();
    assert_eq!(column("Action"), [Some("failed"), Some("delayed"), Some("relayed")]);
    assert_eq!(column("Status"), [Some("5.1.1"), Some("4.4.1"), Some("2.1.5")]);
    assert_eq!(column("Remote-MTA"), [Some("dns; mail.example.com"), None, Some("dns; [192.0.2.7]")]);
    assert_eq!(
        column("Diagnostic-Code"),
        [
            Some("smtp; 550 5.1.1 nobody of that name here"),
            Some("x-posthaste; cannot connect: connection refused (mx.example.net:25)"),
            Some("smtp; 250 2.1.5 fine"),
        ]
    );
    assert_eq!(column("Will-Retry-Until"), [None, Some("Fri, 27 Nov 2026 08:00:00 +0000"), None]);
    let words = read.words();
    let place = |text: &str| words.find(text).unwrap_or_else(|| panic!("{text} is not in {words}"));
    assert!(place("could not be delivered to: <bob@example.com>") < place("It waits for: <carol@example.net>"));
    assert!(place("until Fri, 27 Nov 2026 08:00:00 +0000") < place("for: <dana@example.com>"));
}

#[test]
fn the_subject_and_the_advice_fit_the_worst_of_the_news() {
    let table = [
        (Action::Failed, "Your message could not be delivered", "look for typing errors"),
        (Action::Expired, "Your message could not be delivered", "look for typing errors"),
        (DELAYED, "Your message is delayed", "you will be told"),
        (Action::Delivered, "Your message was delivered", "You asked to be told"),
        (Action::Relayed, "Your message was passed on", "You asked to be told"),
        (Action::Expanded, "Your message was delivered", "You asked to be told"),
    ];
    for (index, (action, subject, advice)) in table.into_iter().enumerate() {
        for (better, ..) in &table[index..] {
            let setting = Setting::new(*better, Detail::default());
            let read = read(&setting.and(recipient("x@example.com", &[]), action, Detail::default()).letter());
            assert_eq!(read.header.value("Subject"), Some(subject), "{action:?} beside {better:?}");
            assert!(read.words().contains(advice), "{action:?} beside {better:?}: {}", read.words());
        }
    }
}

#[test]
fn several_deadlines_are_told_as_the_last_of_them() {
    let sooner = Action::Delayed { will_retry_until: hours(24) };
    let setting = Setting::new(sooner, Detail::default())
        .and(recipient("carol@example.com", &[]), DELAYED, Detail::default())
        .and(recipient("dana@example.com", &[]), sooner, Detail::default());
    let read = read(&setting.letter());
    assert!(read.words().contains("until Fri, 27 Nov 2026 08:00:00 +0000"), "{}", read.words());
    assert_eq!(read.groups()[1].value("Will-Retry-Until"), Some("Mon, 23 Nov 2026 08:00:00 +0000"));
}

#[test]
fn our_own_words_explain_a_failure_and_are_not_wasted_on_a_success() {
    let own = "stored as 42";
    for (action, remote, text, code) in [
        (Action::Failed, "", own, Some("x-posthaste; stored as 42")),
        (Action::Failed, "local", own, Some("x-posthaste; stored as 42 (local)")),
        (Action::Failed, "local", "", None),
        (DELAYED, "", own, Some("x-posthaste; stored as 42")),
        (Action::Delivered, "local", own, None),
        (Action::Expanded, "", own, None),
    ] {
        let read = read(&Setting::new(action, detail(text, "", remote)).letter());
        assert_eq!(read.groups()[1].value("Diagnostic-Code"), code, "{action:?} {remote:?}");
        assert_eq!(read.groups()[1].value("Remote-MTA"), None, "{action:?} {remote:?}");
        assert_eq!(read.words().contains(own), code.is_some(), "{action:?}: {}", read.words());
        assert_eq!(read.words().contains("local"), remote == "local" && code.is_some(), "{}", read.words());
    }
}

#[test]
fn expiry_says_how_long_it_was_tried() {
    let mut setting = Setting::new(Action::Expired, detail("450 4.2.2 full", "4.2.2", "mail.example.com"));
    for (minutes, words) in
        [(1, "After 1 minute of"), (90, "After 90 minutes of"), (180, "After 3 hours of"), (7300, "After 5 days of")]
    {
        setting.envelope.arrived = UnixMicros(hours(2).0 - minutes * 60_000_000);
        let read = read(&setting.letter());
        assert!(read.words().contains(words), "{}", read.words());
        assert_eq!(read.groups()[1].value("Action"), Some("failed"));
        assert_eq!(read.groups()[1].value("Status"), Some("4.2.2"));
    }
}

#[test]
fn what_the_sender_gave_to_recognize_comes_back_decoded() {
    let parameters = [("ORCPT", "rfc822;Robert+2BLunch@Example.com"), ("NOTIFY", "FAILURE")];
    let letter = Setting::new(Action::Failed, refused())
        .and(recipient("bob@example.com", &parameters), Action::Failed, refused())
        .with("envid", Some("QQ+2B31+204159"))
        .letter();
    let read = read(&letter);
    let groups = read.groups();
    assert_eq!(groups[0].value("Original-Envelope-Id"), Some("QQ+31 4159"));
    assert_eq!(groups[1].value("Original-Recipient"), None);
    assert_eq!(groups[2].value("Original-Recipient"), Some("rfc822;Robert+Lunch@Example.com"));
    assert_eq!(groups[2].names()[..2], ["Original-Recipient", "Final-Recipient"]);
    assert!(read.words().contains("<bob@example.com> (you wrote to <Robert+Lunch@Example.com>)"), "{}", read.words());
}

#[test]
fn a_reply_of_many_lines_stays_one_field() {
    let text = "550-5.7.1 we do not want this\r\n550-5.7.1 \r\nAction: delivered\r\n\r\n550 5.7.1 go away\n\u{2028}\u{202e}yawa";
    let read = read(&Setting::new(Action::Failed, detail(text, "5.7.1", "mail.example.com")).letter());
    let groups = read.groups();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[1].value("Action"), Some("failed"));
    assert_eq!(
        groups[1].value("Diagnostic-Code"),
        Some("smtp; 550-5.7.1 we do not want this 550-5.7.1 Action: delivered 550 5.7.1 go away yawa")
    );
    assert!(!read.words().contains('\u{202e}'));
}

#[test]
fn what_has_no_dots_is_not_called_a_name_of_dns() {
    let table = [
        ("mx.example.net", "dns; mx.example.net"),
        ("mx.example.net.:25", "dns; mx.example.net"),
        ("192.0.2.1", "dns; [192.0.2.1]"),
        ("[192.0.2.1]:2525", "dns; [192.0.2.1]"),
        ("2001:db8::25", "dns; [IPv6:2001:db8::25]"),
        ("[2001:db8::25]:25", "dns; [IPv6:2001:db8::25]"),
        ("localhost:24", "x-local-hostname; localhost:24"),
        ("unix:/run/lmtp.sock", "x-local-hostname; unix:/run/lmtp.sock"),
        ("a..b", "x-local-hostname; a..b"),
        ("mx.example.net\r\nAction: delivered", "x-local-hostname; mx.example.net??Action: delivered"),
    ];
    for (remote, expected) in table {
        let mut setting = Setting::new(Action::Failed, detail("554 no", "", remote));
        setting.host = remote.to_owned();
        let groups = read(&setting.letter()).groups();
        assert_eq!(groups[1].value("Remote-MTA"), Some(expected), "{remote}");
        assert_eq!(groups[0].value("Reporting-MTA"), Some(expected), "{remote}");
    }
}

#[test]
fn nobody_is_told_about_a_message_from_nobody() {
    let mut setting = refusal();
    setting.envelope.sender.clear();
    for notify in ["FAILURE", "SUCCESS,FAILURE,DELAY", "NEVER"] {
        let recipient = recipient("bob@example.com", &[("NOTIFY", notify)]);
        for action in [Action::Failed, Action::Expired, DELAYED, Action::Delivered, Action::Relayed, Action::Expanded] {
            assert!(!action.is_wanted(&setting.envelope, &recipient));
        }
    }
    assert_eq!(setting.letter_in(1), Err(Unreportable::NullSender));
    let mut setting = refusal();
    setting.news.clear();
    assert_eq!(setting.letter_in(1), Err(Unreportable::NoRecipient));
}

#[test]
fn notify_decides_what_is_told() {
    // Failed, expired, delayed, delivered, relayed, expanded.
    let table: [(Option<&str>, [bool; 6]); 12] = [
        (None, [true, true, true, false, false, false]),
        (Some("NEVER"), [false; 6]),
        (Some("never"), [false; 6]),
        (Some("FAILURE"), [true, true, false, false, false, false]),
        (Some("DELAY"), [false, false, true, false, false, false]),
        (Some("SUCCESS"), [false, false, false, true, true, true]),
        (Some("Success,Failure"), [true, true, false, true, true, true]),
        (Some("SUCCESS,FAILURE,DELAY"), [true; 6]),
        // Malformed ones count as absent.
        (Some(""), [true, true, true, false, false, false]),
        (Some("NEVER,SUCCESS"), [true, true, true, false, false, false]),
        (Some("SUCCESS,"), [true, true, true, false, false, false]),
        (Some("ALWAYS"), [true, true, true, false, false, false]),
    ];
    let envelope = refusal().envelope;
    let actions = [Action::Failed, Action::Expired, DELAYED, Action::Delivered, Action::Relayed, Action::Expanded];
    for (value, expected) in table {
        let mut recipient = recipient("bob@example.com", &[]);
        recipient.parameters.extend(value.map(|value| Parameter::new("Notify", value)));
        assert_eq!(actions.map(|action| action.is_wanted(&envelope, &recipient)), expected, "{value:?}");
    }
    // RFC 3461 §4.5: it may not stand there twice.
    let twice = recipient("bob@example.com", &[("NOTIFY", "NEVER"), ("NOTIFY", "NEVER")]);
    assert!(Action::Failed.is_wanted(&envelope, &twice));
}

#[test]
fn the_whole_comes_back_only_when_asked_for_and_when_something_failed() {
    let table = [
        (None, Action::Failed, "text/rfc822-headers"),
        (Some("HDRS"), Action::Failed, "text/rfc822-headers"),
        (Some("full"), Action::Failed, "message/rfc822"),
        (Some("FULL"), Action::Expired, "message/rfc822"),
        (Some("FULL"), DELAYED, "text/rfc822-headers"),
        (Some("FULL"), Action::Delivered, "text/rfc822-headers"),
        (Some("FULL!"), Action::Failed, "text/rfc822-headers"),
    ];
    for (ret, action, kind) in table {
        let mut setting = Setting::new(action, refused());
        if let Some(ret) = ret {
            setting = setting.with("RET", Some(ret));
        }
        let read = read(&setting.letter());
        assert_eq!(read.parts[2].kind(), kind, "{ret:?} {action:?}");
        let is_whole = kind == "message/rfc822";
        let header = &ORIGINAL[..ORIGINAL.len() - 12];
        assert_eq!(read.parts[2].content, if is_whole { ORIGINAL } else { header });
        assert_eq!(read.words().contains("Its header is attached."), !is_whole);
        assert_eq!(read.words().contains("log. It is attached."), is_whole);
    }
}

#[test]
fn a_report_about_what_demands_tls_demands_it_too_and_returns_the_header() {
    let setting = Setting::new(Action::Failed, refused()).with("RET", Some("FULL")).with("REQUIRETLS", None);
    let letter = setting.letter();
    assert_eq!(letter.parameters, [Parameter::flag("REQUIRETLS")]);
    assert_eq!(read(&letter).parts[2].kind(), "text/rfc822-headers");
}

#[test]
fn a_line_that_is_too_long_is_quoted() {
    for (length, encoding) in [(998, "7bit"), (999, "quoted-printable")] {
        let mut setting = refusal();
        setting.original = format!("Subject: {}\r\n\r\n", "x".repeat(length - 9)).into_bytes();
        assert_eq!(read(&setting.letter()).parts[2].encoding(), encoding, "{length}");
    }
}

/// What is returned of an original, and how: its octets, whether it was sent with SMTPUTF8, whether the sender's address
/// is beyond ASCII, whether the whole was asked for.
#[test]
fn the_original_travels_as_its_octets_need() {
    const ASCII: &[u8] = b"Subject: a\r\n\r\nbody\r\n";
    const BODY: &[u8] = b"Subject: a\r\n\r\nb\xc3\xb6dy\r\n";
    const HEADER: &[u8] = b"Subject: \xc3\xa4\r\n\r\nbody\r\n";
    const BARE: &[u8] = b"Subject: \xc3\xa4\r\n\r\nbody\nline\r\n";
    let table: [(&[u8], [bool; 3], &str, &str); 16] = [
        (ASCII, [false, false, false], "text/rfc822-headers", "7bit"),
        (ASCII, [true, true, true], "message/rfc822", "7bit"),
        (BODY, [false, false, false], "text/rfc822-headers", "7bit"),
        (BODY, [false, false, true], "message/rfc822", "8bit"),
        (BODY, [true, false, true], "message/global", "quoted-printable"),
        (BODY, [true, true, true], "message/global", "8bit"),
        (HEADER, [false, false, false], "text/rfc822-headers", "quoted-printable"),
        (HEADER, [false, true, false], "text/rfc822-headers", "quoted-printable"),
        (HEADER, [true, false, false], "message/global-headers", "quoted-printable"),
        (HEADER, [true, true, false], "message/global-headers", "8bit"),
        (HEADER, [false, false, true], "message/rfc822", "8bit"),
        (HEADER, [true, true, true], "message/global", "8bit"),
        (BARE, [false, false, true], "text/rfc822-headers", "quoted-printable"),
        (BARE, [false, false, false], "text/rfc822-headers", "quoted-printable"),
        (BARE, [true, false, true], "message/global", "quoted-printable"),
        (BARE, [true, true, true], "message/global", "quoted-printable"),
    ];
    for (octets, [is_utf8, is_sender_utf8, is_whole], kind, encoding) in table {
        let mut setting = refusal();
        setting.original = octets.to_vec();
        if is_utf8 {
            setting = setting.with("SMTPUTF8", None);
        }
        if is_sender_utf8 {
            setting.envelope.sender = "alicé@example.org".into();
        }
        if is_whole {
            setting = setting.with("RET", Some("FULL"));
        }
        let letter = setting.letter();
        let read = read(&letter);
        let case = format!("{} {is_utf8} {is_sender_utf8} {is_whole}", octets.escape_ascii());
        assert_eq!((read.parts[2].kind(), read.parts[2].encoding()), (kind, encoding), "{case}");
        let header = octets.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 2;
        let end = if kind.ends_with("-headers") { header } else { octets.len() };
        assert_eq!(read.parts[2].decoded(), octets[..end], "{case}");
        let expected: &[Parameter] = match (is_sender_utf8, encoding) {
            (true, _) => &[Parameter::new("BODY", "8BITMIME"), Parameter::flag("SMTPUTF8")],
            (false, "8bit") => &[Parameter::new("BODY", "8BITMIME")],
            (false, _) => &[],
        };
        assert_eq!(letter.parameters, expected, "{case}");
    }
}

#[test]
fn a_header_ends_where_nobody_can_doubt_it() {
    let long = format!("Subject: {}\r\n", "x".repeat(1000));
    let many = "X-Filler: 0123456789\r\n".repeat(HEADER_LIMIT as usize / 22 + 10);
    let table: [(&[u8], &[u8]); 12] = [
        (b"", b""),
        (b"\r\nbody", b""),
        (b"A: b", b"A: b"),
        (b"A: b\r\n", b"A: b\r\n"),
        (b"A: b\r\n\r\nC: d\r\n", b"A: b\r\n"),
        (b"A: b\r\nC: d\n\nbody", b"A: b\r\n"),
        (b"A: b\n\nbody\r\n\r\n", b""),
        (b"A: b\r\nC: d\re\r\n\r\n", b"A: b\r\n"),
        (b"A: b\r\nC: d\r", b"A: b\r\n"),
        (b"A: b\r\n \r\n\r\nbody", b"A: b\r\n \r\n"),
        (long.as_bytes(), long.as_bytes()),
        (many.as_bytes(), &many.as_bytes()[..HEADER_LIMIT as usize / 22 * 22]),
    ];
    for (original, expected) in table {
        let mut setting = refusal();
        setting.original = original.to_vec();
        let read = read(&setting.letter());
        assert_eq!(read.parts[2].decoded(), expected, "{}", original[..original.len().min(60)].escape_ascii());
    }
}

#[test]
fn an_original_with_the_boundary_of_its_report_cannot_end_it() {
    let id = crate::setting::id();
    let spots = [
        "--",
        "--=_01",
        "Subject: see ",
        "Subject: a\r\n--",
        "Subject: a\r\n\r\n--",
        "Subject: a\r\n\r\nbody\r\n--",
        "Subject: a\r\n\r\nbody==",
    ];
    for spot in spots {
        for ret in ["HDRS", "FULL"] {
            let mut setting = refusal().with("RET", Some(ret));
            setting.original = format!("{spot}=_{id}--\r\nX: y\r\n\r\nbody\r\n").into_bytes();
            let read = read(&setting.letter());
            assert_eq!(read.parts.len(), 3, "{spot:?} {ret}");
            assert_eq!(read.parts[2].kind(), "text/rfc822-headers", "{spot:?} {ret}");
        }
    }
}

#[test]
fn an_address_beyond_ascii_is_told_in_ascii_to_those_who_may_know_no_other() {
    let parameters = [("ORCPT", r"utf-8;r\x{E9}ne\x{2B}x@ex\x{E4}mple.com")];
    let news = detail("550 5.1.1 réné is gone", "5.1.1", "mail.example.com");
    let setting = Setting::new(Action::Failed, news.clone())
        .and(recipient("réné@exämple.com", &parameters), Action::Failed, news)
        .with("SMTPUTF8", None);
    let letter = setting.letter();
    assert!(letter.octets.is_ascii());
    assert_eq!(letter.parameters, []);
    let seen = read(&letter);
    assert_eq!((seen.parts[1].kind(), seen.parts[1].encoding()), ("message/delivery-status", "7bit"));
    let group = &seen.groups()[2];
    assert_eq!(group.value("Original-Recipient"), Some(r"utf-8;r\x{E9}ne\x{2B}x@ex\x{E4}mple.com"));
    assert_eq!(group.value("Final-Recipient"), Some(r"utf-8;r\x{E9}n\x{E9}@ex\x{E4}mple.com"));
    assert_eq!(group.value("Diagnostic-Code"), Some(r"smtp; 550 5.1.1 r\x{E9}n\x{E9} is gone"));
    assert_eq!((seen.parts[0].kind(), seen.parts[0].encoding()), ("text/plain; charset=utf-8", "quoted-printable"));
    assert!(seen.words().contains("<réné@exämple.com> (you wrote to <réne+x@exämple.com>)"), "{}", seen.words());

    let mut setting = setting;
    setting.envelope.sender = "alicé@example.org".into();
    let letter = setting.letter();
    assert_eq!(letter.parameters, [Parameter::new("BODY", "8BITMIME"), Parameter::flag("SMTPUTF8")]);
    let seen = read(&letter);
    assert_eq!(seen.header.value("To"), Some("<alicé@example.org>"));
    assert_eq!((seen.parts[1].kind(), seen.parts[1].encoding()), ("message/global-delivery-status", "8bit"));
    let group = &seen.groups()[2];
    assert_eq!(group.value("Original-Recipient"), Some("utf-8;réne+x@exämple.com"));
    assert_eq!(group.value("Final-Recipient"), Some("utf-8;réné@exämple.com"));
    assert_eq!(group.value("Diagnostic-Code"), Some("smtp; 550 5.1.1 réné is gone"));
    assert_eq!((seen.parts[0].kind(), seen.parts[0].encoding()), ("text/plain; charset=utf-8", "8bit"));
}

#[test]
fn addresses_that_no_field_can_hold_are_left_to_the_envelope() {
    let spaces = format!("\"{}\"@example.org", " ".repeat(200));
    let long = format!("{}@example.org", "x".repeat(1000));
    let table = [
        ("alice@example.org", "<alice@example.org>"),
        (&spaces, &format!("<{spaces}>")),
        (&long, "undisclosed-recipients:;"),
        ("\"a b\\\"c\"@example.org", "<\"a b\\\"c\"@example.org>"),
        ("alice@[IPv6:2001:db8::1]", "<alice@[IPv6:2001:db8::1]>"),
        ("x>, <alice@example.org", "undisclosed-recipients:;"),
        ("alice", "undisclosed-recipients:;"),
        ("a..b@example.org", "undisclosed-recipients:;"),
        ("\"a\"b\"@example.org", "undisclosed-recipients:;"),
        ("\"a\\\"@example.org", "undisclosed-recipients:;"),
        ("alice@example.org\r\nBcc: eve@example.org", "undisclosed-recipients:;"),
    ];
    for (sender, to) in table {
        let mut setting = refusal();
        setting.envelope.sender = sender.to_owned();
        setting.from = sender.to_owned();
        let read = read(&setting.letter());
        assert_eq!(read.header.value("To"), Some(to), "{sender}");
        let from = if to.starts_with('<') { to } else { "<postmaster@mx.example.org>" };
        assert_eq!(read.header.value("From"), Some(format!("Mail Delivery System {from}").as_str()), "{sender}");
    }
}

#[test]
fn a_host_that_has_no_name_still_makes_a_message_id() {
    let (long, cut) = ("x".repeat(1200), "x".repeat(255));
    let table = [("", "localhost"), ("..", "localhost"), ("mx .ex\r\nample", "mx.example"), (&long, &cut)];
    for (host, expected) in table {
        let mut setting = refusal();
        setting.host = host.to_owned();
        let read = read(&setting.letter());
        let expected = format!("<01jd8z3m9k4w2q7h5x6t1b0a@{expected}>");
        assert_eq!(read.header.value("Message-ID"), Some(expected.as_str()), "{host}");
    }
}

#[test]
fn clocks_far_ahead_still_make_a_date() {
    let mut setting = refusal();
    setting.envelope.arrived = UnixMicros(u64::MAX);
    setting.news[0].action = Action::Delayed { will_retry_until: UnixMicros(u64::MAX) };
    setting.news[0].last_attempt = Some(UnixMicros(0));
    let groups = read(&setting.letter()).groups();
    assert_eq!(groups[1].value("Last-Attempt-Date"), Some("Thu, 1 Jan 1970 00:00:00 +0000"));
    let last = groups[0].value("Arrival-Date").unwrap();
    assert!(last.contains(" 9999 "), "{last}");
    assert_eq!(groups[1].value("Will-Retry-Until"), Some(last));
}
