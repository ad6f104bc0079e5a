use std::net::IpAddr;

use super::*;
use crate::outbound::addresses::Place;
use crate::outbound::target::{Matching, Selector, Tlsa, Usage};

fn sts(mode: StsMode) -> StsPolicy {
    StsPolicy { mode, mx: vec!["good.example".to_owned()], max_age: 100 }
}

fn records() -> Vec<Tlsa> {
    vec![Tlsa { usage: Usage::DaneEe, selector: Selector::PublicKey, matching: Matching::Sha256, data: vec![1; 32] }]
}

fn usable() -> Dane {
    Dane::Usable { records: records(), base: "base.example".to_owned() }
}

fn verified(host: &str) -> Result<Security, NoWay> {
    Ok(Security::Verified { names: vec![host.to_owned()] })
}

/// What is decided for a host, by its name, TLSA records, MX records, policy and demands.
fn decided(host: &str, dane: Dane, mx: Trust, policy: Option<StsMode>, demands: Demands) -> Result<Security, NoWay> {
    let policy = policy.map(sts);
    let names = ["dest.example".to_owned(), "base.example".to_owned()];
    security(host, dane, &Standing { names: &names, mx, sts: policy.as_ref(), demands })
}

#[test]
fn every_mix_of_dane_and_mta_sts() {
    use StsMode::{Enforce, Testing};
    use Trust::Secure;
    let names = vec!["base.example".to_owned(), "dest.example".to_owned()];
    let dane = Ok(Security::Dane { records: records(), names });
    let (bad, good) = ("bad.example", "good.example");
    let table = [
        (good, usable(), None, dane.clone()),
        // RFC 8461 §2: DANE decides, even for a host that the policy does not name.
        (good, usable(), Some(Enforce), dane.clone()),
        (bad, usable(), Some(Enforce), dane.clone()),
        (bad, usable(), Some(Testing), dane),
        (good, Dane::Unusable, None, Ok(Security::Encrypted)),
        (good, Dane::Unusable, Some(Testing), Ok(Security::Encrypted)),
        (good, Dane::Unusable, Some(Enforce), verified(good)),
        (bad, Dane::Unusable, Some(Enforce), Err(NoWay::StsMismatch)),
        (good, Dane::Absent, None, Ok(Security::Opportunistic)),
        (good, Dane::Absent, Some(Testing), Ok(Security::Opportunistic)),
        (bad, Dane::Absent, Some(Testing), Ok(Security::Opportunistic)),
        (good, Dane::Absent, Some(Enforce), verified(good)),
        (bad, Dane::Absent, Some(Enforce), Err(NoWay::StsMismatch)),
        (good, Dane::Fails, None, Err(NoWay::TlsaFails)),
        // An answer that is kept back must not turn DANE into something weaker.
        (good, Dane::Fails, Some(Enforce), Err(NoWay::TlsaFails)),
    ];
    for (host, tlsa, policy, expected) in table {
        let told = format!("{host} {tlsa:?} {policy:?}");
        assert_eq!(decided(host, tlsa, Secure, policy, Demands::Any), expected, "{told}");
    }
}

#[test]
fn requiretls_wants_a_name_that_somebody_vouches_for() {
    use StsMode::{Enforce, Testing};
    use Trust::{Insecure, Secure};
    let refused = Err(NoWay::RequireTls);
    let table = [
        ("good.example", Dane::Absent, Insecure, None, refused.clone()),
        ("good.example", Dane::Absent, Secure, None, verified("good.example")),
        ("good.example", Dane::Unusable, Secure, None, verified("good.example")),
        ("good.example", Dane::Absent, Insecure, Some(Testing), verified("good.example")),
        ("bad.example", Dane::Absent, Insecure, Some(Testing), refused),
        ("good.example", Dane::Absent, Insecure, Some(Enforce), verified("good.example")),
        ("bad.example", Dane::Absent, Secure, Some(Enforce), Err(NoWay::StsMismatch)),
    ];
    for (host, tlsa, mx, policy, expected) in table {
        let told = format!("{host} {tlsa:?} {mx:?} {policy:?}");
        assert_eq!(decided(host, tlsa, mx, policy, Demands::RequireTls), expected, "{told}");
    }
    let dane = decided("good.example", usable(), Secure, None, Demands::RequireTls);
    assert!(matches!(dane, Ok(Security::Dane { .. })));
}

#[test]
fn tls_required_no_sets_all_aside() {
    for dane in [usable(), Dane::Unusable, Dane::Absent, Dane::Fails] {
        let decided = decided("bad.example", dane, Trust::Secure, Some(StsMode::Enforce), Demands::TlsOptional);
        assert_eq!(decided, Ok(Security::Opportunistic));
    }
}

fn host(name: &str, state: State) -> Host {
    Host { preference: 1, name: name.to_owned(), state }
}

fn at() -> State {
    let place = Place {
        addresses: vec![IpAddr::from([192, 0, 2, 1])],
        ours: false,
        trust: Trust::Secure,
        name: "x.example".to_owned(),
        first: None,
    };
    State::At(place, Dane::Absent)
}

fn chosen(states: Vec<State>) -> Result<usize, NoWay> {
    let standing = Standing { names: &[], mx: Trust::Secure, sts: None, demands: Demands::Any };
    let hosts = states.into_iter().map(|state| host("h.example", state)).collect();
    choose(hosts, 25, &standing).map(|targets| targets.len())
}

#[test]
fn one_host_is_enough_and_of_the_reasons_the_passing_one_counts() {
    let timeout = || State::Fails(DnsFault::Timeout);
    assert_eq!(chosen(vec![State::NoAddress, timeout(), at(), State::Odd]), Ok(1));
    assert_eq!(chosen(vec![State::NoAddress, timeout()]), Err(NoWay::AddressFails));
    assert_eq!(chosen(vec![State::Odd, State::Fails(DnsFault::Bogus)]), Err(NoWay::Bogus));
    assert_eq!(chosen(vec![State::NoAddress, State::Odd]), Err(NoWay::OddAddress));
    assert_eq!(chosen(vec![State::NoAddress]), Err(NoWay::NoAddress));
    assert!(!NoWay::AddressFails.is_permanent() && NoWay::NoAddress.is_permanent());
}
