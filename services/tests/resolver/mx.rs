//! Which hosts take the mail, and why none does.

use services::outbound::{Demands, Families, Loopback, NoWay, Resolver};

use crate::case::{addresses, options, ways};
use crate::knot::Knot;

fn hosts(names: &[&str]) -> Result<Vec<String>, NoWay> {
    Ok(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn hosts_of_domains() {
    let Some(knot) = Knot::start("MX at Knot").await else { return };
    let resolver = knot.resolver();
    let table = [
        ("ready.signed", hosts(&["mx1.signed"])),
        ("READY.Signed.", hosts(&["mx1.signed"])),
        ("null.signed", Err(NoWay::NullMx)),
        ("null-and-more.signed", hosts(&["mx1.signed"])),
        ("implicit.signed", hosts(&["implicit.signed"])),
        ("implicit.plain", hosts(&["implicit.plain"])),
        ("six-only.signed", hosts(&["six-only.signed"])),
        ("nothing.signed", Err(NoWay::NoAddress)),
        ("nobody.signed", Err(NoWay::NoDomain)),
        ("nobody", Err(NoWay::NoDomain)),
        ("nobody.plain", Err(NoWay::NoDomain)),
        ("dangling.signed", Err(NoWay::NoDomain)),
        ("alias-implicit.signed", hosts(&["alias-implicit.signed"])),
        ("loop.signed", Err(NoWay::DnsFails)),
        ("far-alias.signed", hosts(&["mx.plain"])),
        ("between.signed", hosts(&["mx1.signed"])),
        ("us.signed", Err(NoWay::Ourselves)),
        ("us-by-name.signed", Err(NoWay::Ourselves)),
        ("our-name.example", Err(NoWay::NoDomain)),
        ("loopback.signed", Err(NoWay::OddAddress)),
        ("half-loopback.signed", hosts(&["half-local.signed"])),
        ("addressless.signed", Err(NoWay::NoAddress)),
        ("numeric.signed", Err(NoWay::NoAddress)),
        ("one-of-two.signed", hosts(&["mx2.signed"])),
        ("failing-host.signed", Err(NoWay::AddressFails)),
        ("failing-and-fine.signed", hosts(&["mx2.signed"])),
        ("a.missing", Err(NoWay::DnsFails)),
        ("a.bogus", Err(NoWay::Bogus)),
        ("nobody.bogus", Err(NoWay::Bogus)),
        ("bücher.signed", hosts(&["mx1.signed"])),
        ("xn--bcher-kva.signed", hosts(&["mx1.signed"])),
        ("a..signed", Err(NoWay::BadName)),
        ("", Err(NoWay::BadName)),
        ("[192.0.2.77]", hosts(&["192.0.2.77"])),
        ("[IPv6:2001:db8::77]", hosts(&["2001:db8::77"])),
        ("[127.0.0.1]", Err(NoWay::OddAddress)),
        ("[192.0.2.99]", Err(NoWay::Ourselves)),
        ("[mx1.signed]", Err(NoWay::BadName)),
        ("too-many.signed", Err(NoWay::DnsFails)),
    ];
    for (domain, expected) in table {
        assert_eq!(ways(&resolver, domain).await, expected, "{domain}");
        // And once more, from the cache.
        assert_eq!(ways(&resolver, domain).await, expected, "{domain}");
    }
    let many = ways(&resolver, "many.signed").await.unwrap();
    assert_eq!(many.len(), 20);
    assert_eq!(many[0], "m0.signed", "the answer takes more than a datagram");
}

#[tokio::test]
async fn equal_hosts_change_turns_and_equal_sets_share_a_site() {
    let Some(knot) = Knot::start("sites at Knot").await else { return };
    let resolver = knot.resolver();
    let mut first = std::collections::HashSet::new();
    for _ in 0..100 {
        let hosts = ways(&resolver, "a.signed").await.unwrap();
        assert_eq!((hosts.len(), hosts[2].as_str()), (3, "mx3.signed"));
        first.insert(hosts[0].clone());
    }
    assert_eq!(first.len(), 2);
    let targets = resolver.targets("b.signed", Demands::Any).await.unwrap();
    assert_eq!(targets.site, "mx1.signed,mx2.signed>mx3.signed");
    for same in ["a.signed", "b.signed", "alias.signed", "A.Signed."] {
        assert_eq!(resolver.site(same).await, targets.site, "{same}");
    }
    for (domain, site) in [
        ("implicit.signed", "implicit.signed"),
        ("a.missing", "a.missing"),
        ("Null.signed", "null.signed"),
        ("bücher.signed", "mx1.signed"),
        ("[192.0.2.1]", "[192.0.2.1]"),
    ] {
        assert_eq!(resolver.site(domain).await, site);
    }
}

#[tokio::test]
async fn addresses_of_both_families_take_turns() {
    let Some(knot) = Knot::start("addresses at Knot").await else { return };
    let both = knot.resolver().targets("families.signed", Demands::Any).await.unwrap();
    let mut found = addresses(&both);
    assert_eq!(found[0], "2001:db8::61");
    found.sort();
    assert_eq!(found, ["192.0.2.61", "192.0.2.62", "2001:db8::61"]);
    let only = |families, loopback| {
        let mut options = options(knot.address, knot.validated());
        (options.families, options.loopback) = (families, loopback);
        Resolver::new(options).unwrap()
    };
    let four = only(Families::V4, Loopback::Refused);
    assert_eq!(addresses(&four.targets("families.signed", Demands::Any).await.unwrap()).len(), 2);
    assert_eq!(ways(&four, "six-only.signed").await, Err(NoWay::NoAddress));
    let six = only(Families::V6, Loopback::Allowed);
    assert_eq!(addresses(&six.targets("families.signed", Demands::Any).await.unwrap()), ["2001:db8::61"]);
    assert_eq!(addresses(&six.targets("loopback.signed", Demands::Any).await.unwrap()), ["::1"]);
}

#[tokio::test]
async fn many_questions_at_once_are_all_validated() {
    let Some(knot) = Knot::start("many questions at Knot").await else { return };
    let resolver = std::sync::Arc::new(knot.resolver());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..60 {
        let resolver = std::sync::Arc::clone(&resolver);
        tasks.spawn(async move {
            let domain = format!("m{number}.signed");
            assert_eq!(ways(&resolver, &domain).await, hosts(&[&domain]));
            assert_eq!(ways(&resolver, &format!("no{domain}")).await, Err(NoWay::NoDomain));
        });
    }
    tasks.join_all().await;
}
