//! What holds for every report, whatever anyone said.

use mailqueue::report::{Action, HEADER_LIMIT, Ret, Survey};
use mailqueue::{Envelope, Parameter, UnixMicros};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::reader::{read, unquote};
use crate::setting::{News, Setting, detail, hours, id, recipient};

/// Text as peers might send it: any characters, with what means something here thrown in.
fn text() -> impl Strategy<Value = String> {
    let spice = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n\r\n".to_owned()),
        Just(format!("\r\n--=_{}--\r\n", id())),
        Just("Action: delivered".to_owned()),
        Just("550 5.1.1 ".to_owned()),
        Just("@".to_owned()),
        Just("\"".to_owned()),
        Just("\\x{".to_owned()),
        Just("}".to_owned()),
        Just(" ".repeat(90)),
        Just("x".repeat(1200)),
        Just("ä".repeat(700)),
        Just("\u{202e}\u{2028}\u{85}\u{7f}\0".to_owned()),
    ];
    let plain = "[a-z0-9.@-]{0,20}";
    vec(prop_oneof![spice, plain.prop_map(|text| text), any::<String>()], 0..5).prop_map(|pieces| pieces.concat())
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}@[a-z]{1,8}\\.example", "[a-zé]{1,8}@[a-zö]{1,8}\\.example", text()]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Failed),
        Just(Action::Expired),
        any::<u64>().prop_map(|until| Action::Delayed { will_retry_until: UnixMicros(until) }),
        Just(Action::Delivered),
        Just(Action::Relayed),
        Just(Action::Expanded),
    ]
}

fn news() -> impl Strategy<Value = News> {
    (address(), action(), [text(), text(), text()], any::<Option<u64>>(), proptest::option::of(text())).prop_map(
        |(address, action, [said, status, remote], last_attempt, original)| {
            let mut recipient = recipient(&address, &[]);
            recipient.parameters.extend(original.map(|value| Parameter::new("ORCPT", value)));
            let last_attempt = last_attempt.map(UnixMicros);
            News { recipient, action, detail: detail(&said, &status, &remote), last_attempt }
        },
    )
}

/// Octets that look like a message now and then.
fn original() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"Subject: x\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\0".to_vec()),
        Just(vec![b'y'; 998]),
        Just(b"\xc3\xa9 = \t\r\n".to_vec()),
        Just(format!("--=_{}", id()).into_bytes()),
        Just(format!("--=_{}", id()).into_bytes()[..12].to_vec()),
        vec(any::<u8>(), 0..80),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

prop_compose! {
    fn setting()(
        [host, from] in [text(), text()],
        sender in address().prop_filter("the null sender is never told", |sender| !sender.is_empty()),
        envelope_id in proptest::option::of(text()),
        is_utf8: bool,
        is_whole: bool,
        arrived: u64,
        news in vec(news(), 1..4),
        original in original(),
    ) -> Setting {
        let mut parameters = Vec::new();
        parameters.extend(envelope_id.map(|value| Parameter::new("ENVID", value)));
        parameters.extend(is_utf8.then(|| Parameter::flag("SMTPUTF8")));
        parameters.extend(is_whole.then(|| Parameter::new("RET", "FULL")));
        let envelope = Envelope { sender, parameters, arrived: UnixMicros(arrived), ..Envelope::default() };
        Setting { host, from, envelope, news, original }
    }
}

/// The names of a recipient's fields, in the order of RFC 3464 §2.3, without those that need not be there.
const ORDER: [&str; 8] = [
    "Original-Recipient",
    "Final-Recipient",
    "Action",
    "Status",
    "Remote-MTA",
    "Diagnostic-Code",
    "Last-Attempt-Date",
    "Will-Retry-Until",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_anyone_said_breaks_the_structure(setting in setting()) {
        let letter = setting.letter();
        let read = read(&letter);
        prop_assert_eq!(read.parts.len(), 3);
        let expected = ["Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"];
        let mut names = read.header.names();
        names.retain(|name| *name != "Content-Transfer-Encoding");
        prop_assert_eq!(names, expected);
        let groups = read.groups();
        prop_assert_eq!(groups.len(), 1 + setting.news.len());
        for (group, news) in groups[1..].iter().zip(&setting.news) {
            let mut order = ORDER.iter();
            for name in group.names() {
                prop_assert!(order.any(|known| *known == name), "{name} in {group:?}");
            }
            prop_assert_eq!(group.value("Action"), Some(news.action.as_str()));
            let status = group.value("Status").unwrap();
            let classes = match news.action {
                Action::Failed | Action::Expired => "45",
                Action::Delayed { .. } => "4",
                Action::Delivered | Action::Relayed | Action::Expanded => "2",
            };
            prop_assert!(classes.contains(status.split_once('.').unwrap().0), "{status}");
            let numbers: Vec<u16> = status.split('.').map(|number| number.parse().unwrap()).collect();
            prop_assert_eq!(numbers.len(), 3);
            prop_assert_eq!(numbers.iter().map(u16::to_string).collect::<Vec<_>>().join("."), status);
            prop_assert_eq!(group.value("Remote-MTA").is_some(), group.value("Diagnostic-Code").is_some_and(|code| code.starts_with("smtp;")));
            prop_assert_eq!(group.value("Will-Retry-Until").is_some(), matches!(news.action, Action::Delayed { .. }));
            prop_assert!(group.value("Final-Recipient").is_some());
        }
        let returned = read.parts[2].content.len();
        prop_assert!(letter.octets.len() - returned < (4 + 16 * setting.news.len()) * 1024, "{}", letter.octets.len());
        // Seven bits wherever the sender's own address has no more, unless the original brings them.
        if setting.envelope.sender.is_ascii() && read.parts[2].encoding() != "8bit" {
            prop_assert!(letter.octets.is_ascii());
        }
    }

    #[test]
    fn what_is_returned_is_the_beginning_of_the_original(setting in setting()) {
        let read = read(&setting.letter());
        let returned = read.parts[2].decoded();
        prop_assert!(setting.original.starts_with(&returned));
        if read.parts[2].kind().ends_with("headers") {
            prop_assert!(!returned.starts_with(b"\r\n") && !returned.windows(4).any(|window| window == b"\r\n\r\n"));
            prop_assert!(returned.len() as u64 <= HEADER_LIMIT);
        } else {
            prop_assert_eq!(returned.len(), setting.original.len());
        }
    }

    #[test]
    fn the_same_facts_make_the_same_octets_however_they_are_read(setting in setting(), piece in 1_usize..50) {
        let letter = setting.letter();
        prop_assert_eq!(&setting.letter(), &letter);
        prop_assert_eq!(&setting.letter_in(piece).unwrap(), &letter);
    }

    #[test]
    fn what_is_quoted_decodes_to_what_was(original in original(), piece in 1_usize..20) {
        // A sender in ASCII and an original in UTF-8 that asks for the whole: it is always quoted, unless it is ASCII.
        let mut setting = Setting::new(Action::Failed, detail("", "", "")).with("SMTPUTF8", None).with("RET", Some("FULL"));
        setting.original = original;
        let letter = setting.letter_in(piece).unwrap();
        let part = &read(&letter).parts[2];
        if part.encoding() == "quoted-printable" {
            prop_assert_eq!(unquote(&part.content), &setting.original[..]);
        } else {
            prop_assert_eq!(&part.content, &setting.original);
        }
    }
}

#[test]
fn a_survey_for_the_header_reads_no_further() {
    for (octets, is_complete) in [(&b"A: b\r\n"[..], false), (b"A: b\r\n\r\n", true), (b"A: b\nC", true)] {
        let mut survey = Survey::new(id(), Ret::Headers);
        survey.look(octets);
        assert_eq!(survey.is_complete(), is_complete, "{}", octets.escape_ascii());
    }
    let mut survey = Survey::new(id(), Ret::Headers);
    survey.look(&vec![b'x'; HEADER_LIMIT as usize]);
    assert!(survey.is_complete());
    let mut survey = Survey::new(id(), Ret::Full);
    survey.look(b"A: b\r\n\r\n");
    assert!(!survey.is_complete());
}

#[test]
fn a_report_of_a_thousand_recipients_has_a_thousand_groups() {
    let mut setting = Setting::new(Action::Failed, detail("", "", ""));
    for number in 1..1000 {
        let long = detail(&"no ".repeat(5000), "5.0.0", "mail.example.com");
        setting = setting.and(
            recipient(&format!("u{number}@example.com"), &[]),
            Action::Delayed { will_retry_until: hours(number) },
            long,
        );
    }
    let letter = setting.letter();
    assert_eq!(read(&letter).groups().len(), 1001);
    assert!(letter.octets.len() < 4096 * 1000, "{}", letter.octets.len());
}
