//! Name servers that are slow, silent, lame, hostile, or trusted.

use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use services::outbound::{DnsSetupError, Dnssec, NoWay, Resolver, ResolverError};

use crate::case::{free_port, options, ways};
use crate::scripted::{Say, Scripted};

fn says(records: &[(&'static str, &str)]) -> Say {
    Say::Records(records.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect())
}

fn secure(records: &[(&'static str, &str)]) -> Say {
    Say::Secure(records.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect())
}

fn resolver(server: &Scripted, dnssec: Dnssec) -> Resolver {
    let mut options = options(server.address, dnssec);
    options.dns.timeout = Duration::from_millis(300);
    Resolver::new(options).unwrap()
}

#[tokio::test]
async fn each_failure_is_a_failure_and_no_absence() {
    for said in [
        Say::Nothing,
        Say::Code(ResponseCode::ServFail),
        Say::Code(ResponseCode::Refused),
        Say::Code(ResponseCode::FormErr),
        Say::Code(ResponseCode::NotImp),
        Say::Truncated,
        Say::Octets(vec![]),
        Say::Octets(vec![0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0, 0xc0, 0x0c]),
        Say::Octets(vec![0xff; 400]),
    ] {
        let told = format!("{said:?}");
        // Were it taken for an absence, the address would be found.
        let address = says(&[("A", "192.0.2.1")]);
        let server = Scripted::start(move |_, kind| if kind == "A" { address.clone() } else { said.clone() }).await;
        assert_eq!(ways(&resolver(&server, Dnssec::Off), "d.example").await, Err(NoWay::DnsFails), "{told}");
    }
    let mut nobody = options(([127, 0, 0, 1], free_port()).into(), Dnssec::Off);
    nobody.dns.timeout = Duration::from_millis(300);
    assert_eq!(ways(&Resolver::new(nobody).unwrap(), "d.example").await, Err(NoWay::DnsFails));
}

#[tokio::test]
async fn one_family_that_fails_does_not_hide_the_other() {
    for (fails, works, address) in [("AAAA", "A", "192.0.2.1"), ("A", "AAAA", "2001:db8::1")] {
        for said in [Say::Nothing, Say::Code(ResponseCode::ServFail)] {
            let server = Scripted::start(move |name, kind| match (name, kind) {
                ("d.example", "MX") => says(&[("MX", "10 mx.example.")]),
                ("mx.example", kind) if kind == works => says(&[(works, address)]),
                ("mx.example", kind) if kind == fails => said.clone(),
                ("both.example", "MX") => says(&[("MX", "10 dead.example.")]),
                ("dead.example", _) => Say::Code(ResponseCode::ServFail),
                ("half.example", "MX") => says(&[("MX", "10 half-dead.example.")]),
                ("half-dead.example", kind) if kind == works => Say::NoData,
                ("half-dead.example", _) => Say::Code(ResponseCode::ServFail),
                _ => Say::NoName,
            })
            .await;
            let resolver = resolver(&server, Dnssec::Off);
            assert_eq!(ways(&resolver, "d.example").await, Ok(vec!["mx.example".to_owned()]));
            assert_eq!(ways(&resolver, "both.example").await, Err(NoWay::AddressFails));
            assert_eq!(ways(&resolver, "half.example").await, Err(NoWay::AddressFails));
        }
    }
}

#[tokio::test]
async fn the_word_of_a_trusted_server_counts_for_what_it_stands_at() {
    let tlsa = || secure(&[("TLSA", &format!("3 1 1{}", " 7".repeat(32)))]);
    let server = Scripted::start(move |name, kind| match (name, kind) {
        ("safe.example" | "silent.example" | "short.example" | "garbled.example", "MX") => {
            secure(&[("MX", &format!("10 mx-{name}."))])
        }
        ("unsafe.example", "MX") => says(&[("MX", "10 mx-safe.example.")]),
        ("unsafe-host.example", "MX") => secure(&[("MX", "10 host.example.")]),
        ("host.example", "A") => says(&[("A", "192.0.2.1")]),
        (host, "A") if host.starts_with("mx-") => secure(&[("A", "192.0.2.1")]),
        ("_25._tcp.mx-safe.example" | "_25._tcp.host.example", "TLSA") => tlsa(),
        ("_25._tcp.mx-silent.example", "TLSA") => Say::Nothing,
        ("_25._tcp.mx-short.example", "TLSA") => secure(&[("TLSA", "3 1 1"), ("TLSA", "3 1 1 9")]),
        ("_25._tcp.mx-garbled.example", "TLSA") => secure(&[("TLSA in short", "3 1 ")]),
        _ => Say::NoData,
    })
    .await;
    let one = |way: &str| Ok(vec![way.to_owned()]);
    let trusting = resolver(&server, Dnssec::TrustResolver);
    let dane = "mx-safe.example dane 1 mx-safe.example,safe.example";
    assert_eq!(ways(&trusting, "safe.example").await, one(dane));
    assert_eq!(ways(&trusting, "unsafe.example").await, one("mx-safe.example"));
    assert_eq!(ways(&trusting, "unsafe-host.example").await, one("host.example"));
    assert_eq!(ways(&trusting, "silent.example").await, Err(NoWay::TlsaFails));
    assert_eq!(ways(&trusting, "short.example").await, one("mx-short.example encrypted"));
    assert_eq!(ways(&trusting, "garbled.example").await, Err(NoWay::TlsaFails), "an answer that cannot be read");
    let wary = resolver(&server, Dnssec::Off);
    assert_eq!(ways(&wary, "safe.example").await, one("mx-safe.example"), "the AD bit of a stranger means nothing");
}

#[tokio::test]
async fn aliases_are_followed_question_by_question_and_not_for_ever() {
    let server = Scripted::start(|name, kind| match (name, kind) {
        ("d.example", "MX") => secure(&[("CNAME", "e.example.")]),
        ("e.example", "MX") => says(&[("MX", "10 mx.example.")]),
        ("mx.example", "A") => secure(&[("A", "192.0.2.1")]),
        ("a0.example", _) => says(&[("CNAME", "a1.example.")]),
        (name, _) if name.starts_with('a') => {
            let number: usize = name.trim_start_matches('a').trim_end_matches(".example").parse().unwrap();
            says(&[("CNAME", &format!("a{}.example.", number + 1))])
        }
        _ => Say::NoData,
    })
    .await;
    let resolver = resolver(&server, Dnssec::TrustResolver);
    assert_eq!(ways(&resolver, "d.example").await, Ok(vec!["mx.example".to_owned()]));
    let before = server.asked();
    assert_eq!(ways(&resolver, "a0.example").await, Err(NoWay::DnsFails));
    assert!(server.asked() - before < 20, "{}", server.asked() - before);
}

#[tokio::test]
async fn answers_and_failures_are_kept() {
    let server = Scripted::start(|name, kind| match (name, kind) {
        ("d.example", "MX") => says(&[("MX", "10 mx.example.")]),
        ("mx.example", "A") => says(&[("A", "192.0.2.1")]),
        ("mx.example", "AAAA") => Say::NoData,
        ("gone.example", _) => Say::NoName,
        _ => Say::Code(ResponseCode::Refused),
    })
    .await;
    let resolver = resolver(&server, Dnssec::Off);
    for domain in ["d.example", "gone.example", "refused.example"] {
        let first = ways(&resolver, domain).await;
        let asked = server.asked();
        for _ in 0..20 {
            assert_eq!(ways(&resolver, domain).await, first);
        }
        assert_eq!(server.asked(), asked, "{domain}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_at_once() {
    let file = "/nonexistent/anchors";
    let dnssec = Dnssec::Validate { anchors: Some(file.into()) };
    let error = Resolver::new(options(([127, 0, 0, 1], 1).into(), dnssec)).unwrap_err();
    assert!(matches!(error, ResolverError::Dns(DnsSetupError::Anchors { .. })), "{error:?}");
    assert!(error.to_string().contains(file), "{error}");
}

#[tokio::test]
async fn a_thousand_domains_at_once_are_all_answered() {
    let server = Scripted::start(|name, kind| match kind {
        "MX" => says(&[("MX", &format!("10 mx.{name}."))]),
        "A" => says(&[("A", "192.0.2.1")]),
        _ => Say::NoData,
    })
    .await;
    let resolver = std::sync::Arc::new(Resolver::new(options(server.address, Dnssec::Off)).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let resolver = std::sync::Arc::clone(&resolver);
        tasks.spawn(async move { ways(&resolver, &format!("d{number}.example")).await });
    }
    let failed = tasks.join_all().await.into_iter().filter(Result::is_err).count();
    assert_eq!(failed, 0);
}
