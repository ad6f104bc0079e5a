use proptest::prelude::*;

use crate::{Destination, Detail, Held, Priority, UnixMicros};

use super::*;

fn entry() -> Entry {
    let recipient = |address: &str, site: Option<&str>, state| RecipientEntry {
        address: address.to_owned(),
        destination: Destination::remote(format!("mx:{}", domain(address))),
        site: site.map(Into::into),
        state,
    };
    let waiting = |text: &str| RecipientState::Waiting {
        why: Waiting::Schedule { until: UnixMicros(9) },
        attempts: 1,
        detail: Some(Detail { text: text.to_owned(), status: "4.7.1".to_owned(), remote: "mx.a.example".to_owned() }),
    };
    Entry {
        id: MessageId::new(UnixMicros(5), 1),
        arrived: UnixMicros(5),
        age: Duration::from_secs(3600),
        size: 10,
        priority: Priority::default(),
        sender: "Alice@Example.org".to_owned(),
        source: "alice".to_owned(),
        state: EntryState::Deferred { until: UnixMicros(9) },
        recipients: vec![
            recipient("bob@a.example", Some("mx1,mx2"), waiting("451 Greylisted")),
            recipient("carol@b.example", None, waiting("450 busy")),
        ],
    }
}

#[test]
fn each_word_is_heard() {
    let id = entry().id.to_string();
    let yes = [
        "all",
        &format!("id={id}"),
        "sender=alice@example.org",
        "sender=*@example.org",
        "source=ali*",
        "recipient=bob@a.example",
        "domain=B.EXAMPLE",
        "site=mx1*",
        "site=mx:b.example",
        "text=greylist",
        "text=4.7.1",
        "text=\"450 b\"",
        "older=1h",
        "younger=61m",
        "state=deferred",
        "domain=a.example text=greylisted older=30m",
    ];
    for text in yes {
        assert!(text.parse::<Filter>().unwrap().matches(&entry()), "{text}");
    }
    let no = [
        "id=01jd8z3m9k4w2q7h5x6t1b0a",
        "sender=<>",
        "sender=",
        "sender=example.org",
        "source=bob",
        "domain=c.example",
        "site=mx1",
        "text=refused",
        "older=61m",
        "younger=1h",
        "state=held",
    ];
    for text in no {
        assert!(!text.parse::<Filter>().unwrap().matches(&entry()), "{text}");
    }
}

#[test]
fn what_is_asked_of_recipients_holds_for_one_of_them() {
    let filter: Filter = "domain=a.example text=busy".parse().unwrap();
    assert!(!filter.matches(&entry()));
    let one: Filter = "domain=b.example text=busy".parse().unwrap();
    assert!(one.matches(&entry()));
    assert!(!one.matches_recipient(&entry().recipients[0]));
}

#[test]
fn the_null_sender_can_be_meant() {
    let mut notification = entry();
    notification.sender = String::new();
    notification.state = EntryState::Held { why: Held::Poison };
    for text in ["sender=<>", "sender=", "sender=* state=held"] {
        assert!(text.parse::<Filter>().unwrap().matches(&notification), "{text}");
    }
}

#[test]
fn wrong_words_are_named() {
    let table = [
        ("", "say which messages, or all"),
        ("  ", "say which messages, or all"),
        ("domain", "\"domain\" is not of the form key=value"),
        (
            "domian=x",
            "\"domian\" is not one of id, sender, source, recipient, domain, site, text, older, younger, state",
        ),
        ("domain=a domain=b", "domain is given twice"),
        ("all domain=a", "all does not go with other words"),
        ("text=\"a", "a quote is not closed"),
        ("text=\"a\\", "a quote is not closed"),
        ("older=5", "\"5\" is no duration such as 90s, 15m, 4h or 5d"),
        ("older=+5m", "\"+5m\" is no duration such as 90s, 15m, 4h or 5d"),
        ("older=m", "\"m\" is no duration such as 90s, 15m, 4h or 5d"),
        ("older=99999999999999999999d", "\"99999999999999999999d\" is no duration such as 90s, 15m, 4h or 5d"),
        ("state=asleep", "\"asleep\" is not one of active, deferred, held, suspended, unreachable"),
        ("id=7", "\"7\" is no message id: a message id has 24 letters and digits, without i, l, o and u"),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse::<Filter>().unwrap_err().to_string(), expected, "{text}");
    }
}

fn globs() -> impl Strategy<Value = Option<Glob>> {
    prop::option::of("[a-z*@. \"\\\\]{0,6}".prop_map(|text| Glob::new(&text)))
}

prop_compose! {
    fn filters()(
        ids in prop::collection::hash_set(any::<u32>(), 0..3),
        globs in [globs(), globs(), globs(), globs(), globs()],
        text in prop::option::of("[^\r\n]{0,6}"),
        times in [prop::option::of(0_u64..1_000_000), prop::option::of(0_u64..1_000_000)],
        state in prop::option::of(prop::sample::select(vec![StateName::Active, StateName::Unreachable])),
    ) -> Filter {
        let [sender, source, recipient, domain, site] = globs;
        let [older, younger] = times.map(|time| time.map(Duration::from_secs));
        let ids = ids.into_iter().map(|time| MessageId::new(UnixMicros(time.into()), 3)).collect();
        Filter { ids, sender, source, recipient, domain, site, text, older, younger, state }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(filter in filters()) {
        prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
    }

    #[test]
    fn no_text_makes_it_panic(text in "(id|sender|older|state|all|\"|\\\\|=| |[0-9dhms*]){0,12}") {
        let _ = text.parse::<Filter>();
    }
}
