//! The order of the steps, each shown where it decides and where an earlier one does.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use router::{
    Change, Domain, Home, MAX_DOMAIN_ALIASES, MAX_NAME, MAX_TARGETS, Others, Reason, Resolution, Route, Routes,
    Snapshot, TableBuilder,
};

fn table() -> TableBuilder {
    let mut table = TableBuilder::new(1, [7; 16]);
    table.slots([9; 16], (0..64).map(|slot| Home::at(format!("slot-{slot}")))).unwrap();
    table
}

fn routes(table: &TableBuilder) -> Routes<Vec<u8>> {
    Routes::new(Snapshot::open(table.finish().unwrap()).unwrap())
}

/// A table of these changes.
fn with(changes: impl IntoIterator<Item = Change>) -> Routes<Vec<u8>> {
    let mut table = table();
    for change in changes {
        table.apply(change).unwrap();
    }
    routes(&table)
}

fn resolve(routes: &Routes<Vec<u8>>, address: &str) -> Resolution {
    router::resolve(routes, address)
}

fn local(name: &str, others: Others) -> Change {
    Change::domain(name, Domain::Local(others))
}

fn mailbox(address: &str) -> Change {
    Change::mailbox(address, Home::at("own"))
}

fn forward(addresses: &[&str]) -> Route {
    Route::Forward(addresses.iter().map(|&address| address.into()).collect())
}

fn at(mailbox: &str, place: &str) -> Route {
    Route::Mailbox { mailbox: mailbox.into(), place: place.into(), epoch: 0 }
}

/// Where the mailbox lives; nowhere if it is none.
fn place(routes: &Routes<Vec<u8>>, address: &str) -> String {
    if let Route::Mailbox { place, .. } = resolve(routes, address).route { place } else { String::new() }
}

fn every_kind_of_domain() -> Vec<(Domain, Reason)> {
    vec![
        (Domain::Local(Others::Nobody), Reason::Nobody),
        (Domain::Local(Others::CatchAll("all@elsewhere.test".into())), Reason::CatchAll),
        (Domain::Local(Others::Home(Home::at("default"))), Reason::DomainDefault),
        (Domain::Local(Others::Slots), Reason::Slot),
        (Domain::Local(Others::Relay("peer:25".into())), Reason::FallbackRelay),
        (Domain::Relay("inner:25".into()), Reason::RelayDomain),
    ]
}

#[test]
fn an_entry_decides_before_the_rule_of_its_domain() {
    for (domain, rule) in every_kind_of_domain() {
        let routes = with([
            Change::domain("x.test", domain),
            mailbox("alice@x.test"),
            Change::alias("sales@x.test", ["alice@x.test"]),
        ]);
        assert_eq!(resolve(&routes, "alice@x.test").reason, Reason::Mailbox, "{rule:?}");
        assert_eq!(resolve(&routes, "alice@x.test").route, at("alice@x.test", "own"), "{rule:?}");
        assert_eq!(resolve(&routes, "sales@x.test").reason, Reason::Alias, "{rule:?}");
        assert_eq!(resolve(&routes, "else@x.test").reason, rule);
    }
}

#[test]
fn each_rule_has_its_route() {
    let route = |domain| resolve(&with([Change::domain("x.test", domain)]), "Bob@X.test").route;
    assert_eq!(route(Domain::Local(Others::Nobody)), Route::Unknown);
    assert_eq!(route(Domain::Local(Others::CatchAll("All@y.test".into()))), forward(&["All@y.test"]));
    assert_eq!(route(Domain::Local(Others::Home(Home::at("default")))), at("bob@x.test", "default"));
    let relayed = |hop: &str| Route::Relay { hop: hop.into(), address: "Bob@x.test".into() };
    assert_eq!(route(Domain::Local(Others::Relay("peer".into()))), relayed("peer"));
    assert_eq!(route(Domain::Relay("inner".into())), relayed("inner"));
}

#[test]
fn a_domain_that_is_not_in_the_table_is_foreign() {
    let found = resolve(&with([]), "Bob@Y.test.");
    assert_eq!(found.reason, Reason::ForeignDomain);
    assert_eq!(found.route, Route::Foreign { address: "Bob@y.test".into() });
}

#[test]
fn what_is_no_address_is_unknown() {
    let long = "x".repeat(MAX_NAME);
    for text in ["", "postmaster", "@x.test", "a@", "a\r\n@x.test", &long] {
        let found = resolve(&with([]), text);
        assert_eq!((found.route, found.reason), (Route::Unknown, Reason::NotAnAddress), "{text:?}");
        assert!(!found.name.contains(char::is_control));
    }
}

#[test]
fn an_address_with_its_detail_is_tried_first() {
    let routes = with([
        local("x.test", Others::Nobody),
        mailbox("al@x.test"),
        mailbox("al+own@x.test"),
        Change::alias("al+out@x.test", ["bob@y.test"]),
    ]);
    let found = resolve(&routes, "AL+Own@x.test");
    assert_eq!((found.route, found.detail), (at("al+own@x.test", "own"), None));
    let found = resolve(&routes, "al+out@x.test");
    assert_eq!((found.route, found.detail), (forward(&["bob@y.test"]), None));
    let found = resolve(&routes, "al+Some+thing@x.test");
    assert_eq!((found.route, found.detail.as_deref()), (at("al@x.test", "own"), Some("Some+thing")));
    assert_eq!(resolve(&routes, "bob+x@x.test").reason, Reason::Nobody);
}

#[test]
fn the_separator_is_the_tables() {
    let mut table = table();
    table.apply(mailbox("al@x.test")).unwrap();
    table.separator(Some(b'-'));
    assert_eq!(resolve(&routes(&table), "al-a@x.test").reason, Reason::Mailbox);
    assert_eq!(resolve(&routes(&table), "al+a@x.test").reason, Reason::ForeignDomain);
    table.separator(None);
    assert_eq!(resolve(&routes(&table), "al-a@x.test").reason, Reason::ForeignDomain);
}

#[test]
fn a_relay_gets_the_local_part_as_it_was_written() {
    let routes = with([Change::domain("x.test", Domain::Relay("inner".into()))]);
    let found = resolve(&routes, "Al+B@X.TEST.");
    assert_eq!(found.route, Route::Relay { hop: "inner".into(), address: "Al+B@x.test".into() });
    assert_eq!(found.detail, None);
}

#[test]
fn an_alias_domain_is_replaced_before_anything_is_looked_up() {
    let routes = with([
        local("x.test", Others::Nobody),
        Change::domain("y.test", Domain::Alias("z.test".into())),
        Change::domain("z.test", Domain::Alias("x.test".into())),
        mailbox("alice@x.test"),
        mailbox("bob@y.test"),
    ]);
    assert_eq!(resolve(&routes, "alice@y.test").route, at("alice@x.test", "own"));
    assert_eq!(resolve(&routes, "bob@y.test").reason, Reason::Nobody);
}

#[test]
fn domain_aliases_end() {
    let circle = with([
        Change::domain("x.test", Domain::Alias("y.test".into())),
        Change::domain("y.test", Domain::Alias("x.test".into())),
    ]);
    let found = resolve(&circle, "a@x.test");
    assert_eq!((found.route, found.reason), (Route::Broken, Reason::Loop));

    let chain = |hops: usize| {
        let alias = |i| Change::domain(format!("d{i}.test"), Domain::Alias(format!("d{}.test", i + 1)));
        let routes = with((0..hops).map(alias).chain([local(&format!("d{hops}.test"), Others::Nobody)]));
        resolve(&routes, "a@d0.test").reason
    };
    assert_eq!(chain(MAX_DOMAIN_ALIASES), Reason::Nobody);
    assert_eq!(chain(MAX_DOMAIN_ALIASES + 1), Reason::Loop);
}

#[test]
fn the_same_mailbox_is_always_in_the_same_slot() {
    let routes = with([local("x.test", Others::Slots), Change::domain("y.test", Domain::Alias("x.test".into()))]);
    let found = place(&routes, "alice@x.test");
    assert!(found.starts_with("slot-"));
    for other in ["ALICE@X.TEST.", "alice+detail@x.test", "Alice@y.test"] {
        assert_eq!(place(&routes, other), found, "{other}");
    }
}

/// A change of the hash, of its key or of the scaling would look for stored mail in the wrong place.
#[test]
fn slots_are_where_they_have_always_been() {
    let routes = with([local("x.test", Others::Slots)]);
    let slots = ["a", "b", "c", "d"].map(|user| place(&routes, &format!("{user}@x.test")));
    assert_eq!(slots, KNOWN_SLOTS);
}

const KNOWN_SLOTS: [&str; 4] = ["slot-18", "slot-4", "slot-33", "slot-15"];

#[test]
fn slots_share_the_mailboxes_evenly() {
    let routes = with([local("x.test", Others::Slots)]);
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    for user in 0..6400 {
        *counts.entry(place(&routes, &format!("{user}@x.test"))).or_default() += 1;
    }
    assert_eq!(counts.len(), 64);
    assert!(counts.values().all(|count| (50..200).contains(count)), "{counts:?}");
}

#[test]
fn nested_aliases_unfold_in_the_readers_order() {
    let routes = with([
        mailbox("a@x.test"),
        mailbox("b@x.test"),
        local("x.test", Others::Nobody),
        Change::alias("inner@x.test", ["B@x.test", "Out@y.test"]),
        Change::alias("outer@x.test", ["inner+1@x.test", "A@X.test", "b@x.test", "gone@x.test", "a+new@x.test"]),
    ]);
    let found = resolve(&routes, "outer+detail@x.test");
    let targets = forward(&["b@x.test", "Out@y.test", "a@x.test", "gone@x.test", "a+new@x.test"]);
    assert_eq!((found.route, found.reason), (targets, Reason::Alias));
    assert_eq!(found.detail.as_deref(), Some("detail"));
}

#[test]
fn a_circle_of_aliases_ends_and_keeps_who_is_outside() {
    let routes = with([
        Change::alias("a@x.test", ["b@x.test", "c@y.test"]),
        Change::alias("b@x.test", ["a@x.test", "d@y.test"]),
        Change::alias("e@x.test", ["f+1@x.test"]),
        Change::alias("f@x.test", ["e+2@x.test"]),
    ]);
    assert_eq!(resolve(&routes, "a@x.test").route, forward(&["d@y.test", "c@y.test"]));
    let found = resolve(&routes, "e@x.test");
    assert_eq!((found.route, found.reason), (Route::Broken, Reason::Loop));
}

#[test]
fn a_catch_all_that_nobody_has_is_a_loop_not_a_refusal() {
    let routes = with([local("x.test", Others::CatchAll("all@x.test".into()))]);
    assert_eq!(resolve(&routes, "a@x.test").reason, Reason::Loop);
    assert_eq!(resolve(&routes, "a@x.test").route, Route::Broken);
}

#[test]
fn a_catch_all_may_be_an_alias() {
    let routes = with([
        local("x.test", Others::CatchAll("all@x.test".into())),
        Change::alias("all@x.test", ["a@y.test", "b@y.test"]),
    ]);
    let found = resolve(&routes, "who+ever@x.test");
    assert_eq!((found.route, found.reason), (forward(&["a@y.test", "b@y.test"]), Reason::CatchAll));
    assert_eq!(found.detail, None);
}

#[test]
fn an_alias_stands_for_a_thousand_and_no_more() {
    let names = |count| (0..count).map(|i| format!("u{i}@y.test"));
    let full = with([Change::alias("all@x.test", names(MAX_TARGETS))]);
    let Route::Forward(targets) = resolve(&full, "all@x.test").route else { panic!() };
    assert_eq!(targets.len(), MAX_TARGETS);

    // Nested lists multiply; also where they name the same few people again and again.
    let lists = (0..100).map(|i| Change::alias(format!("l{i}@x.test"), names(100)));
    let all = Change::alias("all@x.test", (0..100).map(|i| format!("l{i}@x.test")));
    let found = resolve(&with(lists.chain([all])), "all@x.test");
    assert_eq!((found.route, found.reason), (Route::Broken, Reason::TooMany));
}

#[test]
fn a_home_on_its_way_is_a_route_of_its_own() {
    let moving = Home::at("a").freeze("b").unwrap();
    let mut table = table();
    table.slots([9; 16], [moving.clone()]).unwrap();
    table.apply(Change::mailbox("own@x.test", moving.clone())).unwrap();
    table.apply(local("y.test", Others::Home(moving))).unwrap();
    table.apply(local("z.test", Others::Slots)).unwrap();
    for address in ["own@x.test", "any@y.test", "any@z.test"] {
        let expected = Route::Moving { mailbox: address.into(), from: "a".into(), to: "b".into(), epoch: 1 };
        assert_eq!(resolve(&routes(&table), address).route, expected);
    }
}

#[test]
fn an_explanation_names_the_route_and_the_reason() {
    let routes = with([
        local("x.test", Others::Home(Home::at("store-1"))),
        mailbox("al@x.test"),
        Change::alias("us@x.test", ["al@x.test", "bo@y.test"]),
    ]);
    let explain = |address| resolve(&routes, address).explain();
    assert_eq!(
        explain("al+b@x.test"),
        "al+b@x.test (detail b left off) is mailbox al@x.test at own, epoch 0: it has an entry of its own"
    );
    assert_eq!(
        explain("Bo@x.test"),
        "bo@x.test is mailbox bo@x.test at store-1, epoch 0: it has no entry, and its domain has a default place"
    );
    assert_eq!(explain("us@x.test"), "us@x.test stands for al@x.test, bo@y.test: it is an alias");
    assert_eq!(explain("me"), "me is unknown: it is not an address");
}
