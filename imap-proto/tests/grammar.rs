//! Commands: what is written is read as it was, and what is no command is refused at the right place.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::borrow::Cow;
use std::num::NonZeroU32;

use bytes::BytesMut;
use imap_proto::{
    Addressing, AppendHead, Argument, BodyItem, BodyName, Command, Criterion, Date, DateTime, Detail, Echo, Expected,
    FetchItem, Flag, FlagChange, Flags, Keyword, LiteralKind, Messages, ParseError, Partial, SEARCH_DEPTH_MAX,
    SEARCH_KEYS_MAX, Section, SectionText, Seen, SequenceSet, StatusItem, TextPlace, Verb, When, WhichDate, WireKey,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn argument() -> impl Strategy<Value = Argument<'static>> {
    prop_oneof![
        "[a-zA-Z0-9 \"\\\\{}()%*]{0,8}".prop_map(|text| Cow::Owned(text.into_bytes())),
        vec(1_u8.., 0..8).prop_map(Cow::Owned),
    ]
}

fn sequence_set() -> impl Strategy<Value = SequenceSet> {
    let number = || option::weighted(0.8, (1_u32..).prop_map(|number| NonZeroU32::new(number).unwrap()));
    let range = prop_oneof![number().prop_map(|number| (number, number)), (number(), number())];
    vec(range, 1..4).prop_map(|ranges| SequenceSet::new(ranges).unwrap())
}

fn by() -> impl Strategy<Value = Addressing> {
    prop::sample::select(&[Addressing::Sequence, Addressing::Uid][..])
}

fn flag() -> impl Strategy<Value = Flag> {
    prop_oneof![
        prop::sample::select(vec![Flag::Answered, Flag::Deleted, Flag::Draft, Flag::Flagged, Flag::Seen]),
        "[$a-zA-Z+{:-]{1,5}".prop_filter_map("no keyword", |name| Keyword::new(&name).map(Flag::Keyword)),
    ]
}

fn flags() -> impl Strategy<Value = Flags> {
    vec(flag(), 0..4).prop_map(|flags| flags.into_iter().collect())
}

fn date() -> impl Strategy<Value = Date> {
    (0_i64..2_000_000).prop_map(|days| Date::from_days(days).unwrap())
}

fn fetch_item() -> impl Strategy<Value = FetchItem> {
    let names = || vec("[A-Za-z -]{1,6}".prop_map(String::into_bytes), 1..3);
    let text = prop_oneof![
        Just(SectionText::All),
        Just(SectionText::Header),
        Just(SectionText::Text),
        names().prop_map(SectionText::HeaderFields),
        names().prop_map(SectionText::HeaderFieldsNot),
    ];
    let section = prop_oneof![
        (vec(1_u32.., 0..4), text).prop_map(|(part, text)| Section { part, text }),
        vec(1_u32.., 1..4).prop_map(|part| Section { part, text: SectionText::Mime }),
    ];
    let partial = (any::<u64>(), 1_u32..)
        .prop_map(|(offset, length)| Partial { offset, length: NonZeroU32::new(length).unwrap() });
    let seen = prop::sample::select(&[Seen::Set, Seen::Peek][..]);
    let body = (section, option::of(partial), seen).prop_map(|(section, partial, seen)| {
        FetchItem::Body(BodyItem { section, partial, seen, name: BodyName::Section })
    });
    let rfc822 = |text, seen, name| {
        FetchItem::Body(BodyItem { section: Section { part: vec![], text }, partial: None, seen, name })
    };
    let plain = vec![
        FetchItem::Uid,
        FetchItem::Flags,
        FetchItem::InternalDate,
        FetchItem::Size,
        FetchItem::Envelope,
        FetchItem::Structure(Detail::Basic),
        FetchItem::Structure(Detail::Extended),
        rfc822(SectionText::All, Seen::Set, BodyName::Rfc822),
        rfc822(SectionText::Header, Seen::Peek, BodyName::Rfc822Header),
        rfc822(SectionText::Text, Seen::Set, BodyName::Rfc822Text),
    ];
    prop_oneof![prop::sample::select(plain), body]
}

fn search_key() -> impl Strategy<Value = WireKey<'static>> {
    let place = prop_oneof![
        Just(TextPlace::Bcc),
        Just(TextPlace::Body),
        Just(TextPlace::Cc),
        Just(TextPlace::From),
        argument().prop_map(TextPlace::Header),
        Just(TextPlace::Subject),
        Just(TextPlace::Text),
        Just(TextPlace::To),
    ];
    let which = prop::sample::select(&[WhichDate::Internal, WhichDate::Sent][..]);
    let when = prop::sample::select(&[When::Before, When::On, When::Since][..]);
    let leaf = prop_oneof![
        Just(Criterion::All),
        sequence_set().prop_map(|set| Criterion::Messages(Messages::Sequence(set))),
        sequence_set().prop_map(|set| Criterion::Messages(Messages::Uid(set))),
        Just(Criterion::Messages(Messages::Recent)),
        flag().prop_map(Criterion::Flag),
        (place, argument()).prop_map(|(place, text)| Criterion::Text { place, text }),
        (which, when, date()).prop_map(|(which, when, date)| Criterion::Date { which, when, date }),
        any::<u64>().prop_map(Criterion::Larger),
        any::<u64>().prop_map(Criterion::Smaller),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_filter("two of them are none", |key| !matches!(key, Criterion::Not(_)))
                .prop_map(|key| Criterion::Not(Box::new(key))),
            vec(inner.clone(), 2..4).prop_map(Criterion::And),
            // An OR at the end of an OR is the same OR.
            (vec(inner.clone(), 1..3), inner.prop_filter("one OR", |key| !matches!(key, Criterion::Or(_)))).prop_map(
                |(mut some, last)| {
                    some.push(last);
                    Criterion::Or(some)
                }
            ),
        ]
    })
}

fn verb() -> impl Strategy<Value = Verb<'static>> {
    let name = argument;
    let plain = vec![
        Verb::Capability,
        Verb::Check,
        Verb::Close,
        Verb::Expunge(None),
        Verb::Idle,
        Verb::Logout,
        Verb::Namespace,
        Verb::Noop,
        Verb::StartTls,
        Verb::Unselect,
        Verb::Authenticate { mechanism: "SCRAM-SHA-256", initial: None },
        Verb::Authenticate { mechanism: "PLAIN", initial: Some("AGEAYg==") },
    ];
    let with_names = prop_oneof![
        name().prop_map(Verb::Create),
        name().prop_map(Verb::Delete),
        name().prop_map(Verb::Examine),
        name().prop_map(Verb::Select),
        name().prop_map(Verb::Subscribe),
        name().prop_map(Verb::Unsubscribe),
        (name(), name()).prop_map(|(from, to)| Verb::Rename { from, to }),
        (name(), name()).prop_map(|(reference, pattern)| Verb::List { reference, pattern }),
        (name(), name()).prop_map(|(reference, pattern)| Verb::Lsub { reference, pattern }),
        (name(), name()).prop_map(|(user, password)| Verb::Login { user, password }),
        vec((name(), option::of(name())), 0..3).prop_map(Verb::Id),
    ];
    let items =
        [StatusItem::Messages, StatusItem::Recent, StatusItem::UidNext, StatusItem::UidValidity, StatusItem::Unseen];
    let change = prop_oneof![
        flags().prop_map(FlagChange::Add),
        flags().prop_map(FlagChange::Remove),
        flags().prop_map(FlagChange::Replace),
    ];
    let echo = prop::sample::select(&[Echo::Told, Echo::Silent][..]);
    let literal = prop::sample::select(&[LiteralKind::Sync, LiteralKind::NonSync][..]);
    let moment =
        (0..4_000_000_000_i64, -720..720_i16).prop_map(|(unix, zone)| DateTime::from_unix(unix, zone).unwrap());
    let append = (name(), flags(), option::of(moment), any::<u64>(), literal).prop_map(
        |(mailbox, flags, date, size, literal)| Verb::Append(AppendHead { mailbox, flags, date, size, literal }),
    );
    prop_oneof![
        prop::sample::select(plain),
        with_names,
        append,
        sequence_set().prop_map(|set| Verb::Expunge(Some(set))),
        (by(), sequence_set(), name()).prop_map(|(by, set, to)| Verb::Copy(by, set, to)),
        (by(), sequence_set(), name()).prop_map(|(by, set, to)| Verb::Move(by, set, to)),
        (by(), sequence_set(), vec(fetch_item(), 1..4)).prop_map(|(by, set, items)| Verb::Fetch(by, set, items)),
        (by(), option::of(name()), search_key()).prop_map(|(by, charset, key)| Verb::Search { by, charset, key }),
        (by(), sequence_set(), change, echo).prop_map(|(by, set, change, echo)| Verb::Store { by, set, change, echo }),
        (name(), vec(prop::sample::select(items.to_vec()), 1..4))
            .prop_map(|(mailbox, items)| Verb::Status(mailbox, items)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_as_it_was(verb in verb()) {
        let command = Command { tag: "a.1", verb };
        let mut out = BytesMut::new();
        command.write(&mut out);
        prop_assert_eq!(Command::parse(&out), Ok(command), "{:?}", out);
    }

    #[test]
    fn nothing_a_peer_sends_panics(octets in vec(prop_oneof![any::<u8>(), prop::sample::select(&b" (){}\"\\\r\n0123456789*:,[]<>.ANORT"[..])], 0..60),
        verb in prop::sample::select(&["", "a FETCH 1 ", "a SEARCH ", "a APPEND ", "a STORE 1 ", "a ID ", "a STATUS x "][..])) {
        let octets = [verb.as_bytes(), &octets].concat();
        if let Ok(command) = Command::parse(&octets) {
            let mut out = BytesMut::new();
            command.write(&mut out);
            prop_assert_eq!(Command::parse(&out), Ok(command));
        }
    }
}

fn error(text: &str) -> (usize, Expected) {
    let ParseError { at, expected } = Command::parse(text.as_bytes()).unwrap_err();
    (at, expected)
}

#[test]
fn errors_say_where_and_what() {
    assert_eq!(error(""), (0, Expected::Tag));
    assert_eq!(error("a"), (1, Expected::Space));
    assert_eq!(error("a  NOOP"), (2, Expected::Verb));
    assert_eq!(error("a NOOPS"), (2, Expected::Verb));
    assert_eq!(error("a NOOP "), (6, Expected::End));
    assert_eq!(error("a UID NOOP"), (6, Expected::Verb));
    assert_eq!(error("a LOGIN x"), (9, Expected::Space));
    assert_eq!(error("a LOGIN x \"y"), (12, Expected::String));
    assert_eq!(error("a FETCH 1 (FLAGS"), (16, Expected::Close));
    assert_eq!(error("a FETCH 1 FLAG"), (10, Expected::FetchItem));
    assert_eq!(error("a FETCH 1 ()"), (11, Expected::FetchItem));
    assert_eq!(error("a FETCH 0 FLAGS"), (8, Expected::Number));
    assert_eq!(error("a FETCH 1 BODY[MIME]"), (15, Expected::Section));
    assert_eq!(error("a FETCH 1 BODY[1.]"), (17, Expected::Section));
    assert_eq!(error("a FETCH 1 BODY[0]"), (15, Expected::Section));
    assert_eq!(error("a FETCH 1 BODY[]<1>"), (18, Expected::Number));
    assert_eq!(error("a FETCH 1 BODY[]<1.0>"), (19, Expected::Number));
    assert_eq!(error("a STORE 1 FLAGS \\Recent"), (16, Expected::Flag));
    assert_eq!(error("a STORE 1 +FLAG x"), (9, Expected::FlagChange));
    assert_eq!(error("a STATUS x ()"), (12, Expected::StatusItem));
    assert_eq!(error("a SEARCH"), (8, Expected::Space));
    assert_eq!(error("a SEARCH OR ALL"), (15, Expected::Space));
    assert_eq!(error("a SEARCH SINCE 1-Foo-1994"), (15, Expected::Date));
    assert_eq!(error("a SEARCH (ALL"), (13, Expected::Close));
    assert_eq!(error("a AUTHENTICATE PLAIN #"), (21, Expected::Base64));
    assert_eq!(error("a ID (\"x\")"), (9, Expected::Space));
    assert_eq!(error("a APPEND x"), (10, Expected::Space));
}

#[test]
fn verbs_are_known_in_any_case() {
    for text in ["a noop", "a NoOp"] {
        assert_eq!(Command::parse(text.as_bytes()), Ok(Command { tag: "a", verb: Verb::Noop }));
    }
    assert!(Command::parse(b"a uId fEtCh 1:* (fLaGs bOdY.pEeK[hEaDeR.fIeLdS (x)])").is_ok());
    assert!(Command::parse(b"a search charset x unSEEN not from y or deleted new").is_ok());
}

#[test]
fn a_charset_is_any_string() {
    for text in ["]", "\"UTF-8\"", "{5}\r\nUTF-8"] {
        let command = format!("a SEARCH CHARSET {text} ALL");
        assert!(matches!(
            Command::parse(command.as_bytes()),
            Ok(Command { verb: Verb::Search { charset: Some(_), .. }, .. })
        ));
    }
}

#[test]
fn macros_are_their_items() {
    let items = |name: &str| {
        let text = format!("a FETCH 1 {name}");
        let Verb::Fetch(_, _, items) = Command::parse(text.as_bytes()).unwrap().verb else { return 0 };
        items.len()
    };
    assert_eq!((items("FAST"), items("all"), items("Full"), items("FLAGS")), (3, 4, 5, 1));
}

#[test]
fn a_search_nests_no_deeper_than_is_good() {
    let nested = |depth: usize| format!("a SEARCH {}ALL{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Command::parse(nested(SEARCH_DEPTH_MAX - 1).as_bytes()).is_ok());
    assert_eq!(error(&nested(SEARCH_DEPTH_MAX)).1, Expected::LessOfIt);
    assert_eq!(error(&nested(60_000)).1, Expected::LessOfIt);
    let left = |depth| format!("a SEARCH {}ALL{}", "OR ".repeat(depth), " ALL".repeat(depth));
    assert!(Command::parse(left(SEARCH_DEPTH_MAX - 1).as_bytes()).is_ok());
    assert_eq!(error(&left(SEARCH_DEPTH_MAX)).1, Expected::LessOfIt);
    // Chains are no nesting: clients look for dozens of addresses so.
    let right = format!("a SEARCH {}SEEN", "OR FROM x ".repeat(200));
    assert!(Command::parse(right.as_bytes()).is_ok());
    assert!(Command::parse(format!("a SEARCH {}SEEN", "NOT ".repeat(16_000)).as_bytes()).is_ok());
    let wide = |keys: u32| format!("a SEARCH{}", " 1".repeat(keys as usize));
    assert!(Command::parse(wide(SEARCH_KEYS_MAX).as_bytes()).is_ok());
    assert_eq!(error(&wide(SEARCH_KEYS_MAX + 1)).1, Expected::LessOfIt);
}

#[test]
fn a_section_nests_no_deeper_than_is_good() {
    let section = |levels: usize| format!("a FETCH 1 BODY[{}1]", "1.".repeat(levels - 1));
    assert!(Command::parse(section(64).as_bytes()).is_ok());
    assert_eq!(error(&section(65)).1, Expected::Section);
}

#[test]
fn only_a_tag_is_a_tag() {
    assert_eq!(Command::tag_of(b"a1 X", 9), Some("a1"));
    assert_eq!(Command::tag_of(b"a1", 9), Some("a1"));
    for no_tag in [&b""[..], b" a", b"+ a", b"a+ b", b"a(b c", b"\xff a", b"0123456789 x"] {
        assert_eq!(Command::tag_of(no_tag, 9), None);
    }
}
