//! What is written is what was parsed, for all that the grammar knows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

use bytes::BytesMut;
use proptest::prelude::*;
use smtp_proto::{
    BodyType, Command, Domain, Enhanced, ForwardPath, MailParameters, Mailbox, Mechanism, Reply, ReplyCode,
    ReversePath, Secret, Submitter, Text, Verb, Xtext,
};

fn domain() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9]([a-zA-Z0-9_-]{0,10}[a-zA-Z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?){0,3}",
        "b\u{fc}cher\\.example",
        any::<std::net::Ipv4Addr>().prop_map(|address| format!("[{address}]")),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[IPv6:{address}]")),
        "\\[[a-z0-9]{1,5}:[!-Z^-~]{1,10}\\]".prop_filter("another kind of literal", |text| !text.starts_with("[ipv6:")),
    ]
}

fn mailbox() -> impl Strategy<Value = String> {
    let dotted = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\u{e9}-]{1,12}(\\.[a-z0-9+]{1,5}){0,2}";
    let quoted = "\"([ !#-\\[\\]-~\u{e9}]|\\\\[ -~]){0,12}\"";
    // In a quoted string a backslash always takes the next character with it.
    let quoted = quoted.prop_filter("a lone backslash", |text| Mailbox::parse(&format!("{text}@a")).is_ok());
    (prop_oneof![dotted.boxed(), quoted.boxed()], domain()).prop_map(|(local, domain)| format!("{local}@{domain}"))
}

fn path() -> impl Strategy<Value = String> {
    mailbox().prop_map(|mailbox| format!("<{mailbox}>"))
}

fn command_line() -> impl Strategy<Value = String> {
    let size = prop_oneof![Just(String::new()), any::<u64>().prop_map(|size| format!(" SIZE={size}"))];
    let body = prop_oneof![Just(""), Just(" BODY=7BIT"), Just(" BODY=8BITMIME"), Just(" BODY=BINARYMIME")];
    let utf8 = prop_oneof![Just(""), Just(" SMTPUTF8")];
    let auth = prop_oneof![
        Just(String::new()),
        Just(" AUTH=<>".to_owned()),
        "[!-~]{1,10}".prop_map(|text| format!(" AUTH={}", Xtext::encode(&text).as_str())),
    ];
    let rest = (
        prop_oneof![Just(""), Just(" REQUIRETLS")],
        prop_oneof![Just(""), Just(" RET=FULL"), Just(" RET=HDRS")],
        prop_oneof![Just(""), Just(" ENVID=QQ314159"), Just(" ENVID=a+2Bb")],
        prop_oneof![Just(String::new()), (-9..=9).prop_map(|priority| format!(" MT-PRIORITY={priority}"))],
        prop_oneof![Just(""), Just(" BY=120;R"), Just(" BY=-5;NT"), Just(" BY=0;N")],
        prop_oneof![Just(""), Just(" HOLDFOR=60"), Just(" HOLDUNTIL=2031-01-01T00:00:00Z")],
        prop_oneof![Just(""), Just(" SOLICIT=org.example:ADV:ADLT")],
    )
        .prop_map(|(tls, ret, envid, priority, by, hold, solicit)| {
            format!("{tls}{ret}{envid}{priority}{by}{hold}{solicit}")
        });
    let mail = (prop_oneof![Just("<>".to_owned()), path()], size, body, utf8, auth, rest)
        .prop_map(|(from, size, body, utf8, auth, rest)| format!("MAIL FROM:{from}{size}{body}{utf8}{auth}{rest}"));
    let rcpt = (
        prop_oneof![Just("<Postmaster>".to_owned()), path()],
        prop_oneof![Just(""), Just(" NOTIFY=NEVER"), Just(" NOTIFY=SUCCESS,DELAY"), Just(" NOTIFY=FAILURE")],
        prop_oneof![Just(""), Just(" ORCPT=rfc822;a+2Bb@c.example"), Just(" ORCPT=utf-8;j\u{f6}@c.example")],
        prop_oneof![Just(""), Just(" RRVS=2014-04-03T23:01:00Z;C")],
        prop_oneof![Just(String::new()), any::<u64>().prop_map(|epoch| format!(" XDELIVERY=a-1.b XEPOCH={epoch}"))],
    )
        .prop_map(|(to, notify, orcpt, rrvs, ours)| format!("RCPT TO:{to}{notify}{orcpt}{rrvs}{ours}"));
    let auth = ("[A-Z0-9_-]{1,20}", prop::option::of(prop::collection::vec(any::<u8>(), 0..20))).prop_map(
        |(name, initial)| {
            let mut out = BytesMut::new();
            let mechanism = Mechanism::parse(&name).unwrap();
            Command::Auth { mechanism, initial: initial.map(Secret::new) }.write(&mut out);
            String::from_utf8(out.to_vec()).unwrap().trim_end_matches("\r\n").to_owned()
        },
    );
    prop_oneof![
        domain().prop_map(|name| format!("EHLO {name}")),
        domain().prop_map(|name| format!("HELO {name}")),
        domain().prop_map(|name| format!("LHLO {name}")),
        mail,
        rcpt,
        auth,
        ("(VRFY|EXPN|HELP|ETRN)", "[!-~]([ -~]{0,10}[!-~])?").prop_map(|(verb, what)| format!("{verb} {what}")),
        "(VRFY|EXPN) [!-~]{1,10} SMTPUTF8",
        (any::<u64>(), prop_oneof![Just(""), Just(" LAST")]).prop_map(|(octets, last)| format!("BDAT {octets}{last}")),
        Just("XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PORT=7 LOGIN=a+2Bb".to_owned()),
        Just("XFORWARD NAME=a.example ADDR=192.0.2.1 SOURCE=REMOTE".to_owned()),
        "(STARTTLS|DATA|RSET|NOOP|QUIT|HELP)",
    ]
}

proptest! {
    #[test]
    fn a_command_is_written_as_it_was_read(line in command_line()) {
        let command = Command::parse(line.as_bytes());
        prop_assert!(command.is_ok(), "{:?} gives {:?}", line, command);
        let mut out = BytesMut::new();
        command.unwrap().write(&mut out);
        prop_assert_eq!(out, format!("{line}\r\n"));
    }

    #[test]
    fn case_and_spaces_do_not_matter_where_they_do_not(line in command_line()) {
        let (verb, rest) = line.as_str().split_once(' ').unwrap_or((line.as_str(), ""));
        let odd = format!("{} {rest}  ", verb.to_lowercase());
        prop_assert_eq!(Command::parse(odd.as_bytes()), Command::parse(line.as_bytes()));
    }

    #[test]
    fn whatever_parses_is_written_as_one_safe_line(octets in prop::collection::vec(any::<u8>(), 0..60), line in command_line(), at in any::<prop::sample::Index>()) {
        let mut line = line.into_bytes();
        let cut = at.index(line.len());
        line.splice(cut..cut, octets.iter().copied());
        for text in [&octets[..], &line] {
            let Ok(command) = Command::parse(text) else { continue };
            let mut out = BytesMut::new();
            command.write(&mut out);
            let written = out.strip_suffix(b"\r\n").unwrap();
            prop_assert!(!written.iter().any(u8::is_ascii_control));
            prop_assert_eq!(Command::parse(written), Ok(command));
        }
    }

    #[test]
    fn a_parse_error_points_into_the_line(octets in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Err(error) = Command::parse(&octets) {
            prop_assert!(error.at <= octets.len());
        }
    }

    #[test]
    fn a_reply_is_read_as_it_was_written(
        code in 200_u16..600, enhanced in prop::option::of((0_u16..1000, 0_u16..1000)), text in "[a-zA-Z!-/ \r\n\u{e9}]{0,1200}",
    ) {
        let code = ReplyCode::new(code).unwrap();
        let reply = match enhanced {
            Some((subject, detail)) => Reply::new(code, Enhanced::new(subject, detail), text),
            None => Reply::plain(code, text),
        };
        let mut out = BytesMut::new();
        reply.write(&mut out);
        prop_assert!(out[..].split(|octet| *octet == b'\n').all(|line| line.len() <= 511));
        prop_assert_eq!(Reply::parse(&out), Ok(reply));
    }

    #[test]
    fn whatever_a_server_says_is_safe_to_say_again(octets in prop::collection::vec(any::<u8>(), 0..80), text in "(250[- ][ -~\\x00\\xff]{0,20}\r\n){1,3}") {
        for said in [&octets[..], text.as_bytes()] {
            let Ok(reply) = Reply::parse(said) else { continue };
            let mut out = BytesMut::new();
            reply.write(&mut out);
            prop_assert!(out.iter().all(|octet| matches!(octet, b' '..=b'~' | b'\r' | b'\n')));
            prop_assert_eq!(Reply::parse(&out), Ok(reply));
        }
    }

    #[test]
    fn a_mailbox_is_its_parts(text in mailbox()) {
        let mailbox = Mailbox::parse(&text).unwrap();
        prop_assert_eq!(format!("{}@{}", mailbox.local_part(), mailbox.domain()), text.clone());
        prop_assert_eq!(mailbox.into_owned().to_string(), text);
    }

    #[test]
    fn a_source_route_changes_nothing(route in prop::collection::vec(domain(), 1..4), text in mailbox()) {
        let route: Vec<String> = route.iter().map(|domain| format!("@{domain}")).collect();
        let routed = format!("<{}:{text}>", route.join(","));
        prop_assert_eq!(ForwardPath::parse(&routed), Ok(ForwardPath::Mailbox(Mailbox::parse(&text).unwrap())));
    }

    #[test]
    fn xtext_is_decoded_as_it_was_encoded(text in "[ -~\u{e9}\u{1f600}]{0,20}") {
        let encoded = Xtext::encode(&text);
        prop_assert_eq!(encoded.decode(), text.as_bytes());
        prop_assert!(Xtext::parse(encoded.as_str()).is_ok());
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,40}", octets in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = (Domain::parse(&text).map(|domain| domain.into_owned().host() == smtp_proto::Host::Name("")), Text::parse(&text));
        let _ = (Mailbox::parse(&text), ReversePath::parse(&text), ForwardPath::parse(&text), Verb::parse(&text));
        let _ = (Xtext::parse(&text).map(|xtext| xtext.decode()), Mechanism::parse(&text));
        let _ = (Command::parse(&octets), Reply::parse(&octets));
    }
}

#[test]
fn a_name_may_end_with_the_dot_of_dns() {
    let Ok(Command::Ehlo(name)) = Command::parse(b"EHLO a.example.") else { panic!() };
    assert_eq!(name.as_str(), "a.example");
    for line in [&b"EHLO ."[..], b"EHLO a..", b"EHLO", b"EHLO a b"] {
        assert!(Command::parse(line).is_err(), "{line:?}");
    }
}

#[test]
fn parameters_are_read_as_the_rfcs_have_them() {
    let line = b"MAIL FROM:<> SIZE=18446744073709551616 BODY=8BITMIME SMTPUTF8 AUTH=e+3Dmc2@example.com";
    let Ok(Command::Mail { from: ReversePath::Null, parameters }) = Command::parse(line) else { panic!() };
    let auth = Submitter::Mailbox(Xtext::parse("e+3Dmc2@example.com").unwrap());
    // RFC 1870 §3 lets a size have 20 digits, which may be more than there are octets in the world.
    let size = Some(u64::MAX);
    assert_eq!(
        parameters,
        MailParameters {
            size,
            body: Some(BodyType::EightBitMime),
            smtp_utf8: true,
            auth: Some(auth),
            ..MailParameters::default()
        }
    );
    let Submitter::Mailbox(xtext) = auth else { panic!() };
    assert_eq!(xtext.decode(), b"e=mc2@example.com");
    let Ok(Command::Rcpt { parameters, .. }) = Command::parse(b"RCPT TO:<a@b>") else { panic!() };
    assert!(parameters.is_empty());
}
