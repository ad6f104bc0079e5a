use proptest::prelude::*;

use super::*;

fn read(records: &[(u16, &str)]) -> Exchanges {
    exchanges(records.iter().map(|(preference, host)| (*preference, (*host).to_owned())))
}

fn hosts(records: &[(u16, &str)]) -> Vec<(u16, String)> {
    match read(records) {
        Exchanges::Null => panic!("null"),
        Exchanges::Hosts(hosts) => hosts.into_iter().map(|exchange| (exchange.preference, exchange.host)).collect(),
    }
}

#[test]
fn null_mx_counts_only_alone() {
    assert_eq!(read(&[(0, "")]), Exchanges::Null);
    assert_eq!(read(&[(10, "")]), Exchanges::Null, "RFC 7505 §3 asks senders for no particular preference");
    assert_eq!(read(&[(0, ""), (0, "")]), Exchanges::Null);
    assert_eq!(hosts(&[(0, ""), (10, "mx.example")]), [(10, "mx.example".to_owned())]);
    assert_eq!(hosts(&[]), []);
}

#[test]
fn names_are_told_apart_without_case_and_the_best_preference_counts() {
    let read = hosts(&[(20, "MX.example."), (10, "mx.EXAMPLE"), (5, "b.example"), (30, "mx.example")]);
    assert_eq!(read, [(5, "b.example".to_owned()), (10, "mx.example".to_owned())]);
}

#[test]
fn what_cannot_be_a_host_is_left_out_and_no_null_mx() {
    for bad in ["192.0.2.1", "2001:db8::1", "a b.example", "-a.example", "a..example", "a\\032b.example", "1"] {
        assert_eq!(hosts(&[(1, bad)]), [], "{bad}");
    }
    assert_eq!(hosts(&[(1, "_mx.example")]).len(), 1);
    assert_eq!(host_name(&"a".repeat(64)), None);
    assert_eq!(host_name(&"a.".repeat(127)).map(|name| name.len()), Some(253));
    assert_eq!(host_name(&"a.".repeat(128)), None);
}

#[test]
fn the_best_twenty_are_kept() {
    let many: Vec<_> = (0..100).map(|number| (100 - number, format!("mx{number}.example"))).collect();
    let Exchanges::Hosts(kept) = exchanges(many) else { panic!() };
    assert_eq!(kept.len(), MAX_HOSTS);
    assert_eq!(kept[0], Exchange { preference: 1, host: "mx99.example".to_owned() });
    assert!(kept.iter().all(|exchange| exchange.preference <= 20));
}

#[test]
fn domains_in_unicode_are_asked_in_a_labels() {
    assert_eq!(a_labels("Bücher.Example").as_deref(), Some("xn--bcher-kva.example"));
    assert_eq!(a_labels("例え.テスト").as_deref(), Some("xn--r8jz45g.xn--zckzah"));
    assert_eq!(a_labels("Mixed.Example.").as_deref(), Some("mixed.example"));
    for bad in ["", ".", "a b", "ü ", "192.0.2.1", "*.example", "ex\u{0}ample"] {
        assert_eq!(a_labels(bad), None, "{bad:?}");
    }
}

#[test]
fn address_literals() {
    assert_eq!(literal("[192.0.2.1]"), Some(IpAddr::from([192, 0, 2, 1])));
    assert_eq!(literal("[IPv6:2001:db8::1]"), "2001:db8::1".parse().ok());
    assert_eq!(literal("[ipv6:2001:db8::1]"), "2001:db8::1".parse().ok());
    for bad in
        ["192.0.2.1", "[192.0.2.1", "[2001:db8::1]", "[IPv6:192.0.2.1]", "[]", "[IPv6:]", "[ä.é.é]", "[mx.example]"]
    {
        assert_eq!(literal(bad), None, "{bad}");
    }
}

#[test]
fn sites_are_sets_of_hosts_in_order() {
    let site_of = |records: &[(u16, &str)]| match read(records) {
        Exchanges::Null => panic!(),
        Exchanges::Hosts(hosts) => site(&hosts),
    };
    let one = site_of(&[(10, "b.mx.example"), (10, "a.mx.example"), (20, "c.mx.example")]);
    assert_eq!(one, "a.mx.example,b.mx.example>c.mx.example");
    assert_eq!(one, site_of(&[(7, "C.mx.example"), (5, "a.mx.example."), (5, "b.mx.example")]));
    assert_ne!(one, site_of(&[(10, "a.mx.example"), (20, "b.mx.example"), (20, "c.mx.example")]));
    let long = |last: &str| {
        let mut hosts: Vec<_> =
            (0..9).map(|n| Exchange { preference: n, host: format!("mx{n}.{}.example", "x".repeat(40)) }).collect();
        hosts.push(Exchange { preference: 9, host: last.to_owned() });
        site(&hosts)
    };
    assert!(long("a.example").len() < LONGEST_SITE && long("a.example").starts_with("mx0."));
    assert_eq!(long("a.example"), long("a.example"));
    assert_ne!(long("a.example"), long("b.example"));
}

#[test]
fn ours_and_all_that_are_no_better_are_dropped() {
    let left = |ours: &[&str]| {
        let mut hosts = vec![(10, "a"), (20, "b"), (20, "c"), (30, "d")];
        drop_ours(&mut hosts, |host| host.0, |host| ours.contains(&host.1));
        hosts.into_iter().map(|host| host.1).collect::<String>()
    };
    assert_eq!(left(&[]), "abcd");
    assert_eq!(left(&["d"]), "abc");
    assert_eq!(left(&["b"]), "a");
    assert_eq!(left(&["c", "d"]), "a");
    assert_eq!(left(&["a"]), "");
}

#[test]
fn families_take_turns() {
    let (six, four) = (|n: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n), |n: u8| Ipv4Addr::new(192, 0, 2, n));
    let mixed = alternate(vec![six(1), six(2), six(3)], vec![four(1)]);
    assert_eq!(mixed, [IpAddr::V6(six(1)), IpAddr::V4(four(1)), IpAddr::V6(six(2)), IpAddr::V6(six(3))]);
    assert_eq!(alternate(vec![], vec![four(1), four(2)]), [IpAddr::V4(four(1)), IpAddr::V4(four(2))]);
}

#[test]
fn odd_addresses() {
    for odd in [
        "127.0.0.1",
        "127.255.0.9",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "ff02::1",
        "::ffff:127.0.0.1",
    ] {
        assert!(is_odd(odd.parse().unwrap()), "{odd}");
    }
    for fine in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1", "::ffff:192.0.2.1"] {
        assert!(!is_odd(fine.parse().unwrap()), "{fine}");
    }
}

#[test]
fn every_equal_host_comes_first_now_and_then() {
    let mut first = std::collections::HashSet::new();
    for seed in 0..200 {
        let mut hosts = [(1, 'a'), (1, 'b'), (1, 'c'), (2, 'd')];
        shuffle(&mut hosts, |host| host.0, &mut Dice::new(seed));
        assert_eq!(hosts[3].1, 'd');
        first.insert(hosts[0].1);
    }
    assert_eq!(first.len(), 3);
}

proptest! {
    #[test]
    fn shuffling_keeps_preferences_in_order_and_loses_nobody(mut hosts in prop::collection::vec((0_u16..5, 0_u32..1000), 0..30), seed: u64) {
        hosts.sort_by_key(|host| host.0);
        let mut shuffled = hosts.clone();
        shuffle(&mut shuffled, |host| host.0, &mut Dice::new(seed));
        prop_assert!(shuffled.is_sorted_by_key(|host| host.0));
        shuffled.sort();
        hosts.sort();
        prop_assert_eq!(shuffled, hosts);
    }

    #[test]
    fn nothing_as_bad_as_ours_is_left(mut hosts in prop::collection::vec((0_u16..6, any::<bool>()), 0..30)) {
        let before = hosts.clone();
        drop_ours(&mut hosts, |host| host.0, |host| host.1);
        let own = before.iter().filter(|host| host.1).map(|host| host.0).min();
        let expected: Vec<_> = before.into_iter().filter(|host| own.is_none_or(|own| host.0 < own)).collect();
        prop_assert_eq!(hosts, expected);
    }

    #[test]
    fn any_records_give_unique_hosts_best_first(records in prop::collection::vec((any::<u16>(), "[a-c.A-C1]{0,6}"), 0..60)) {
        if let Exchanges::Hosts(hosts) = exchanges(records) {
            prop_assert!(hosts.len() <= MAX_HOSTS && hosts.is_sorted());
            let names: std::collections::HashSet<_> = hosts.iter().map(|exchange| &exchange.host).collect();
            prop_assert_eq!(names.len(), hosts.len());
        }
    }

    #[test]
    fn any_text_is_a_name_or_not(text in "\\PC{0,80}") {
        if let Some(name) = a_labels(&text) {
            prop_assert_eq!(a_labels(&name), Some(name));
        }
        let _ = literal(&text);
    }
}
