//! DANE at a server that signs: which names are looked for, and that failure is no absence.

use std::sync::Arc;

use services::outbound::{Demands, NoWay, Reporter, Resolver, TlsReportOptions, TlsReports};

use crate::case::{demanding, options, ways};
use crate::knot::Knot;
use crate::scripted::Middle;

#[tokio::test]
async fn records_count_where_everything_before_them_is_signed() {
    let Some(knot) = Knot::start("DANE at Knot").await else { return };
    let resolver = knot.resolver();
    let one = |way: &str| Ok(vec![way.to_owned()]);
    let table = [
        ("dane.signed", one("dane-host.signed dane 2 dane-host.signed,dane.signed")),
        ("dane-alias.signed", one("dane-host.signed dane 2 dane-host.signed,dane-alias.signed,dane.signed")),
        ("implicit-dane.signed", one("implicit-dane.signed dane 1 implicit-dane.signed")),
        ("unusable.signed", one("unusable-host.signed encrypted")),
        ("aliased.signed", one("aliased-host.signed dane 2 dane-host.signed,aliased.signed")),
        // The alias is signed, and what it leads to is not: the record at the alias counts (RFC 7672 §2.2.2).
        ("outside.signed", one("out.signed dane 1 out.signed,outside.signed")),
        ("to-plain.signed", one("mx.plain")),
        ("dane.plain", one("dane-host.signed")),
        ("a.plain", one("mx.plain")),
        ("ready.signed", one("mx1.signed")),
        // The host is signed, and its records stand in a zone that is not.
        ("unsure-tlsa.signed", one("unsure.signed")),
        ("forged-tlsa.signed", Err(NoWay::TlsaFails)),
        ("broken-tlsa.signed", Err(NoWay::TlsaFails)),
        ("forged-and-fine.signed", one("mx2.signed")),
        ("many-tlsa.signed", one("many-tlsa-host.signed dane 32 many-tlsa-host.signed,many-tlsa.signed")),
    ];
    for (domain, expected) in table {
        assert_eq!(ways(&resolver, domain).await, expected, "{domain}");
    }
    let status = NoWay::TlsaFails;
    assert_eq!((status.status(), status.is_permanent()), ("4.7.5", false));
}

#[tokio::test]
async fn demands_of_the_sender() {
    let Some(knot) = Knot::start("REQUIRETLS at Knot").await else { return };
    let resolver = knot.resolver();
    let required = async |domain| demanding(&resolver, domain, Demands::RequireTls).await;
    let one = |way: &str| Ok(vec![way.to_owned()]);
    assert_eq!(required("ready.signed").await, one("mx1.signed verified mx1.signed"));
    assert_eq!(required("dane.signed").await, one("dane-host.signed dane 2 dane-host.signed,dane.signed"));
    assert_eq!(required("a.plain").await, Err(NoWay::RequireTls));
    assert_eq!(required("[192.0.2.1]").await, Err(NoWay::RequireTls));
    assert_eq!(required("forged-tlsa.signed").await, Err(NoWay::TlsaFails));
    let optional = async |domain| demanding(&resolver, domain, Demands::TlsOptional).await;
    assert_eq!(optional("dane.signed").await, one("dane-host.signed"));
    assert_eq!(optional("forged-tlsa.signed").await, one("forged.signed"));
}

#[tokio::test]
async fn without_validation_there_is_no_dane_and_mail_goes() {
    let Some(knot) = Knot::start("DNS without DNSSEC at Knot").await else { return };
    let resolver = Resolver::new(options(knot.address, services::outbound::Dnssec::Off)).unwrap();
    assert!(resolver.dns_validates().await, "there is nothing to be validated");
    for domain in ["dane.signed", "unusable.signed", "forged-tlsa.signed", "a.plain"] {
        let ways = ways(&resolver, domain).await.unwrap();
        assert!(!ways[0].contains(' '), "{ways:?}");
    }
    assert_eq!(ways(&resolver, "nobody.signed").await, Err(NoWay::NoDomain));
    assert_eq!(ways(&resolver, "nothing.signed").await, Err(NoWay::NoAddress));
    assert_eq!(ways(&resolver, "a.missing").await, Err(NoWay::DnsFails));
}

#[tokio::test]
async fn the_wrong_anchor_is_noticed() {
    let Some(knot) = Knot::start("trust anchors at Knot").await else { return };
    let resolver = Resolver::new(options(knot.address, services::outbound::DnsOptions::default().dnssec)).unwrap();
    assert!(!resolver.dns_validates().await);
    assert_eq!(ways(&resolver, "ready.signed").await, Err(NoWay::Bogus));
    assert!(knot.resolver().dns_validates().await);
    for text in ["", "rubbish", ". IN A 192.0.2.1"] {
        std::fs::write(knot.anchors(), text).unwrap();
        assert!(Resolver::new(options(knot.address, knot.validated())).is_err(), "{text:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_left_for_dane_is_counted() {
    let Some(knot) = Knot::start("TLS-RPT at Knot").await else { return };
    let reports = TlsReports::open(TlsReportOptions::default()).unwrap();
    let mut options = options(knot.address, knot.validated());
    options.reports = Some(Arc::clone(&reports));
    let resolver = Resolver::new(options).unwrap();
    assert_eq!(ways(&resolver, "tls-reports.signed").await, Err(NoWay::TlsaFails));
    assert_eq!(ways(&resolver, "forged-tlsa.signed").await, Err(NoWay::TlsaFails));
    let day = reports.days()[0];
    assert_eq!(reports.domains(day), ["tls-reports.signed"], "the other domain asks for no reports");
    let [organization, contact, domain] = ["Us", "tls@us.example", "us.example"].map(str::to_owned);
    let report = reports.report(day, "tls-reports.signed", &Reporter { organization, contact, domain }).unwrap();
    assert_eq!(report.rua, ["mailto:tls@tls-reports.signed"]);
    assert!(report.json.contains("\"dnssec-invalid\""), "{}", report.json);
}

#[tokio::test]
async fn who_hides_records_on_the_way_is_noticed() {
    let Some(knot) = Knot::start("forged absences at Knot").await else { return };
    for (hidden, domain, expected) in [
        ("MX", "ready.signed", NoWay::Bogus),
        ("MX", "implicit.signed", NoWay::Bogus),
        ("TLSA", "dane.signed", NoWay::TlsaFails),
        ("TLSA", "ready.signed", NoWay::TlsaFails),
    ] {
        let middle = Middle::start(knot.address, hidden).await;
        let resolver = Resolver::new(options(middle.address, knot.validated())).unwrap();
        assert_eq!(ways(&resolver, domain).await, Err(expected), "{hidden} of {domain}");
    }
}
