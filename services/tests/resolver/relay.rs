//! Next hops that the operator has configured.

use services::outbound::{Demands, Dnssec, HopSecurity, MxLookup, NextHop, NoWay, Resolver};

use crate::case::{addresses, options, short};
use crate::knot::Knot;
use crate::scripted::{Say, Scripted};

fn hop(host: &str, mx: MxLookup, security: HopSecurity) -> NextHop {
    NextHop { host: host.to_owned(), port: 2525, mx, security }
}

async fn way(resolver: &Resolver, hop: &NextHop, demands: Demands) -> Result<String, NoWay> {
    let targets = resolver.relay(hop, demands).await?;
    assert!(targets.hosts.iter().all(|host| host.port == 2525));
    Ok(targets.hosts.iter().map(short).collect::<Vec<_>>().join(" | "))
}

#[tokio::test]
async fn by_name_by_mx_or_by_address() {
    use HopSecurity::{Clear, Discovered, Encrypted, Opportunistic, Verified};
    use MxLookup::{Never, Wanted};
    let Some(knot) = Knot::start("relays at Knot").await else { return };
    let resolver = knot.resolver();
    let table = [
        ("mx1.signed", Never, Opportunistic, Ok("mx1.signed")),
        ("mx1.signed", Never, Clear, Ok("mx1.signed clear")),
        ("mx1.signed", Never, Encrypted, Ok("mx1.signed encrypted")),
        ("MX1.signed", Never, Verified, Ok("mx1.signed verified mx1.signed")),
        ("ready.signed", Wanted, Verified, Ok("mx1.signed verified mx1.signed")),
        // MX records that anybody could have forged do not say whom to verify.
        ("a.plain", Wanted, Verified, Ok("mx.plain verified a.plain")),
        ("[ready.signed]", Wanted, Verified, Err(NoWay::NoAddress)),
        ("ready.signed", Never, Verified, Err(NoWay::NoAddress)),
        ("us.signed", Wanted, Clear, Err(NoWay::Ourselves)),
        ("local.signed", Never, Clear, Ok("local.signed clear")),
        ("[192.0.2.1]", Never, Clear, Ok("192.0.2.1 clear")),
        ("192.0.2.1", Wanted, Encrypted, Ok("192.0.2.1 encrypted")),
        ("[IPv6:::1]", Never, Clear, Ok("::1 clear")),
        ("[::1]", Never, Verified, Ok("::1 verified ::1")),
        ("127.0.0.1", Never, Discovered, Ok("127.0.0.1")),
        ("mx1.signed", Never, Discovered, Ok("mx1.signed")),
        ("not a name", Never, Clear, Err(NoWay::BadName)),
    ];
    for (host, mx, security, expected) in table {
        let hop = hop(host, mx, security);
        assert_eq!(way(&resolver, &hop, Demands::Any).await, expected.map(str::to_owned), "{hop:?}");
    }
    let mut dane = hop("dane-host.signed", Never, Discovered);
    dane.port = 25;
    let found = resolver.relay(&dane, Demands::Any).await.unwrap();
    assert_eq!(short(&found.hosts[0]), "dane-host.signed dane 2 dane-host.signed");
}

#[tokio::test]
async fn demands_do_not_weaken_what_is_configured() {
    let server = Scripted::start(|name, kind| match (name, kind) {
        ("relay.example", "A") => Say::Records(vec![("A", "192.0.2.1".to_owned())]),
        _ => Say::NoData,
    })
    .await;
    let resolver = Resolver::new(options(server.address, Dnssec::Off)).unwrap();
    let relay = |security| hop("relay.example", MxLookup::Never, security);
    let verified = "relay.example verified relay.example".to_owned();
    for demands in [Demands::Any, Demands::RequireTls, Demands::TlsOptional] {
        assert_eq!(way(&resolver, &relay(HopSecurity::Verified), demands).await, Ok(verified.clone()));
    }
    for weak in [HopSecurity::Clear, HopSecurity::Opportunistic, HopSecurity::Encrypted] {
        assert_eq!(way(&resolver, &relay(weak), Demands::RequireTls).await, Err(NoWay::RequireTls));
        assert!(way(&resolver, &relay(weak), Demands::TlsOptional).await.is_ok());
    }
}

#[tokio::test]
async fn a_name_that_only_the_system_knows() {
    let server = Scripted::start(|_, _| Say::NoName).await;
    let resolver = Resolver::new(options(server.address, Dnssec::Off)).unwrap();
    let local = hop("localhost", MxLookup::Never, HopSecurity::Clear);
    let targets = resolver.relay(&local, Demands::Any).await.unwrap();
    assert!(addresses(&targets).iter().any(|address| address == "127.0.0.1"), "{targets:?}");
    assert_eq!(targets.site, "localhost:2525");
}
