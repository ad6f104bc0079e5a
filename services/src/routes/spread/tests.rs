use std::path::Path;

use super::super::AliasLimits;
use super::*;

fn aliases(text: &str) -> Aliases {
    Aliases::parse(text.as_bytes(), Path::new("aliases"), AliasLimits::default()).unwrap()
}

fn spread(text: &str, domains: &[&str], users: &[&str]) -> Result<Spread, String> {
    let accounts: Vec<_> = users.iter().map(|user| Account::new(user).unwrap()).collect();
    let outward = Outward::new("relay.example.net:25".parse().unwrap());
    Spread::new(&aliases(text), domains, &accounts, &outward).map_err(|error| error.to_string())
}

const ORG: &str = "example.org";
const NET: &str = "example.net";

fn targets<'a>(spread: &'a Spread, name: &str) -> Option<&'a [String]> {
    spread.aliases.get(name).map(|line| line.targets.as_slice())
}

#[test]
fn a_name_without_a_domain_holds_in_all_of_ours() {
    let found = spread("info: alice", &[ORG, NET], &["alice@example.org", "alice@example.net"]).unwrap();
    assert_eq!(targets(&found, "info@example.org").unwrap(), ["alice@example.org"]);
    assert_eq!(targets(&found, "info@example.net").unwrap(), ["alice@example.net"]);
    assert_eq!(found.remarks, BTreeSet::new());
}

#[test]
fn a_target_without_a_domain_is_looked_for_in_ours_if_nobody_has_it_beside_the_name() {
    let users = ["alice@example.net", "bob@example.org"];
    let found = spread("info: alice, bob+x", &[ORG, NET], &users).unwrap();
    for name in ["info@example.org", "info@example.net"] {
        assert_eq!(targets(&found, name).unwrap(), ["alice@example.net", "bob+x@example.org"], "{name}");
    }
    assert_eq!(found.remarks, BTreeSet::new());
}

#[test]
fn a_name_with_a_domain_goes_before_one_without() {
    let text = "info: alice@example.org\ninfo@example.net: bob@example.com";
    let found = spread(text, &[ORG, NET], &["alice@example.org"]).unwrap();
    assert_eq!(targets(&found, "info@example.org").unwrap(), ["alice@example.org"]);
    assert_eq!(targets(&found, "info@example.net").unwrap(), ["bob@example.com"]);
}

#[test]
fn addresses_of_ours_are_spelt_as_users_are_and_others_as_they_are_written() {
    let text = "info: \"Alice\"@Example.ORG, RENE\u{301}E@example.org, Bob@Example.COM, \"Bob\"@example.com";
    let found = spread(text, &[ORG], &["alice@example.org", "renée@example.org"]).unwrap();
    let expected = ["alice@example.org", "renée@example.org", "Bob@Example.COM", "\"Bob\"@example.com"];
    assert_eq!(targets(&found, "info@example.org").unwrap(), expected);
    assert_eq!(found.remarks, BTreeSet::new());
}

#[test]
fn a_circle_is_told_with_the_way_round() {
    for (text, line, round) in [
        ("a: b\nb: a", 1, "a@example.org → b@example.org → a@example.org"),
        ("x: y\ny: z\nz: y, bob", 2, "y@example.org → z@example.org → y@example.org"),
        ("a: A+x, bob", 1, "a@example.org → a@example.org"),
        ("bob: bob, alice", 1, "bob@example.org → bob@example.org"),
    ] {
        let told = spread(text, &[ORG], &["bob@example.org"]).unwrap_err();
        assert!(told.starts_with(&format!("the aliases' file aliases, line {line}: ")), "{told}");
        assert!(told.contains(round), "{told}");
    }
    let long: String = (0..20).map(|at| format!("a{at}: a{}\n", (at + 1) % 20)).collect();
    let told = spread(&long, &[ORG], &[]).unwrap_err();
    assert!(told.contains("a0@example.org → a1@example.org → … → a0@example.org"), "{told}");
}

#[test]
fn no_alias_stands_for_more_than_the_router_follows() {
    let line = |name: &str, count| format!("{name}: {}\n", vec!["bob"; count].join(","));
    // Both targets of the first, and all of each.
    let text = |count| format!("all: a, b\n{}{}", line("a", 499), line("b", count));
    assert!(spread(&text(499), &[ORG], &["bob@example.org"]).is_ok());
    let told = spread(&text(500), &[ORG], &["bob@example.org"]).unwrap_err();
    assert!(told.contains("line 1") && told.contains("more than 1000 addresses"), "{told}");
    // Nor is it followed deeper than that.
    let chain: String = (0..100_000).map(|at| format!("a{at}: a{}\n", at + 1)).collect();
    let told = spread(&chain, &[ORG], &[]).unwrap_err();
    assert!(told.contains("more than 1000 addresses"), "{told}");
}

#[test]
fn names_are_counted_in_each_domain() {
    let limits = AliasLimits { all: 6, ..AliasLimits::default() };
    let with = |domains: &[&str]| {
        let aliases = Aliases::parse(b"a: x@example.com\nb@example.org: x, y", Path::new("aliases"), limits).unwrap();
        Spread::new(&aliases, domains, &[], &Outward::default())
    };
    assert!(with(&[ORG]).is_ok());
    let told = with(&[ORG, NET]).unwrap_err().to_string();
    assert!(told.contains("line 1") && told.contains("more than 6 names"), "{told}");
}

#[test]
fn what_does_nothing_is_told() {
    let text = "\
        alice: bob\n\
        info@example.com: bob\n\
        @example.com: bob\n\
        sales: bob, nobody, carol@closed.example\n\
        @example.org: nobody\n\
        bob@example.org: alice\n";
    let accounts = ["alice@example.org", "bob@example.org"].map(|user| Account::new(user).unwrap());
    let mut outward = Outward::new("relay.example.net:25".parse().unwrap());
    outward.add("closed.example=off".parse().unwrap());
    // Taken one by one: alice and bob, as aliases, would lead to one another.
    let told: Vec<_> = text
        .lines()
        .map(|line| Spread::new(&aliases(line), &[ORG], &accounts, &outward).unwrap().remarks)
        .map(|remarks| remarks.into_iter().map(|remark| remark.what).collect::<Vec<_>>())
        .collect();
    let nobody = Oddity::Nobody("nobody@example.org".into());
    let expected = [
        vec![Oddity::Hidden],
        vec![Oddity::NotOurs],
        vec![Oddity::NotOurs],
        vec![nobody.clone(), Oddity::NoWay("carol@closed.example".into())],
        vec![nobody],
        vec![Oddity::Hidden],
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_name_that_users_have_in_some_domains_holds_in_the_others() {
    let found = spread("info: bob@example.org", &[ORG, NET], &["info@example.net", "bob@example.org"]).unwrap();
    assert_eq!(found.remarks, BTreeSet::new());
}

#[test]
fn nobody_does_not_take_everybody_s_mail() {
    let found = spread("@example.org: nobody\n@example.net: bob@example.org", &[ORG, NET], &["bob@example.org"]);
    let found = found.unwrap();
    assert_eq!(found.others, BTreeMap::from([(NET.to_owned(), "bob@example.org".to_owned())]));
    assert_eq!(found.remarks.len(), 1);
}
