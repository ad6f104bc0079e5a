use std::net::IpAddr;

use super::tally::DomainTally;
use super::*;
use crate::outbound::policy::{StsMode, StsPolicy};
use crate::outbound::target::{Matching, Security, Selector, Tlsa, Usage};

fn policy(sts: Option<StsMode>) -> Policy {
    let sts = sts.map(|mode| StsPolicy { mode, mx: vec!["*.mail.dest.example".to_owned()], max_age: 86_400 });
    let rua = vec!["mailto:tls@dest.example".to_owned()];
    Policy { domain: "dest.example".to_owned(), sts, rua, faults: vec![] }
}

fn target(host: &str, security: Security) -> Target {
    Target { host: host.to_owned(), port: 25, addresses: vec![IpAddr::from([192, 0, 2, 7])], security }
}

fn verified(host: &str) -> Target {
    target(host, Security::Verified { names: vec![host.to_owned()] })
}

fn handshake(result: Result<(), TlsFault>) -> Handshake {
    let (local, peer) = (Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([192, 0, 2, 7])));
    Handshake { local, peer, result }
}

fn day(number: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * number + 5)
}

fn date(number: i32) -> Date {
    Date::constant(1970, 1, 1).checked_add(jiff::Span::new().days(number)).unwrap()
}

fn in_memory() -> Arc<TlsReports> {
    TlsReports::open(TlsReportOptions::default()).unwrap()
}

fn reporter() -> Reporter {
    let [organization, contact, domain] =
        ["Company-X", "sts@company-x.example", "company-x.example"].map(str::to_owned);
    Reporter { organization, contact, domain }
}

fn report(reports: &TlsReports, day: i32) -> serde_json::Value {
    serde_json::from_str(&reports.report(date(day), "dest.example", &reporter()).unwrap().json).unwrap()
}

#[test]
fn a_report_as_the_rfc_has_it() {
    let reports = in_memory();
    let policy = policy(Some(StsMode::Enforce));
    let mx1 = verified("mx1.mail.dest.example");
    for _ in 0..3 {
        reports.record_at(day(20_000), &policy, &mx1, handshake(Ok(())));
    }
    for fault in [TlsFault::CertificateExpired, TlsFault::StarttlsNotSupported, TlsFault::CertificateExpired] {
        reports.record_at(day(20_000), &policy, &mx1, handshake(Err(fault)));
    }
    let expected = serde_json::json!({
        "organization-name": "Company-X",
        "date-range": { "start-datetime": "2024-10-04T00:00:00Z", "end-datetime": "2024-10-04T23:59:59Z" },
        "contact-info": "sts@company-x.example",
        "report-id": "2024-10-04T00:00:00Z_dest.example@company-x.example",
        "policies": [{
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: enforce", "mx: *.mail.dest.example", "max_age: 86400"],
                "policy-domain": "dest.example",
                "mx-host": ["*.mail.dest.example"],
            },
            "summary": { "total-successful-session-count": 3, "total-failure-session-count": 3 },
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "192.0.2.1",
                    "receiving-ip": "192.0.2.7",
                    "receiving-mx-hostname": "mx1.mail.dest.example",
                    "failed-session-count": 2,
                },
                {
                    "result-type": "starttls-not-supported",
                    "sending-mta-ip": "192.0.2.1",
                    "receiving-ip": "192.0.2.7",
                    "receiving-mx-hostname": "mx1.mail.dest.example",
                    "failed-session-count": 1,
                },
            ],
        }],
    });
    assert_eq!(report(&reports, 20_000), expected);
    let made = reports.report(date(20_000), "dest.example", &reporter()).unwrap();
    assert_eq!(made.file_name, "company-x.example!dest.example!1728000000!1728086399.json");
    assert_eq!(made.rua, ["mailto:tls@dest.example"]);
    assert_eq!(reports.report(date(20_001), "dest.example", &reporter()), None);
    assert_eq!(reports.report(date(20_000), "other.example", &reporter()), None);
}

#[test]
fn each_policy_is_told_apart() {
    let reports = in_memory();
    let tlsa = |byte| Tlsa {
        usage: Usage::DaneEe,
        selector: Selector::PublicKey,
        matching: Matching::Sha256,
        data: vec![byte; 32],
    };
    let names = vec!["base.example".to_owned(), "dest.example".to_owned()];
    let dane = target("mx1.mail.dest.example", Security::Dane { records: vec![tlsa(0xab)], names });
    reports.record_at(day(1), &policy(None), &dane, handshake(Err(TlsFault::ValidationFailure)));
    let plain = target("mx2.mail.dest.example", Security::Opportunistic);
    reports.record_at(day(1), &policy(None), &plain, handshake(Ok(())));
    let mut failed = policy(None);
    failed.faults = vec![TlsFault::StsWebpkiInvalid];
    reports.record_at(day(1), &failed, &plain, handshake(Ok(())));
    let told = report(&reports, 1);
    let of = |index: usize| told["policies"][index]["policy"].clone();
    assert_eq!(of(0)["policy-type"], "tlsa");
    assert_eq!(of(0)["policy-string"][0], format!("3 1 1 {}", "ab".repeat(32)));
    assert_eq!(of(0)["policy-domain"], "base.example");
    assert_eq!(of(1), serde_json::json!({ "policy-type": "no-policy-found", "policy-domain": "dest.example" }));
    assert_eq!(of(2)["policy-type"], "sts");
    let details = &told["policies"][2]["failure-details"];
    assert_eq!(details, &serde_json::json!([{ "result-type": "sts-webpki-invalid", "failed-session-count": 1 }]));
    assert_eq!(told["policies"][2]["summary"]["total-successful-session-count"], 1);
}

#[test]
fn in_testing_a_host_that_the_policy_does_not_name_counts_as_a_failure() {
    let reports = in_memory();
    let testing = policy(Some(StsMode::Testing));
    reports.record_at(day(1), &testing, &target("elsewhere.example", Security::Opportunistic), handshake(Ok(())));
    reports.record_at(day(1), &testing, &target("a.mail.dest.example", Security::Opportunistic), handshake(Ok(())));
    let told = report(&reports, 1);
    assert_eq!(told["policies"][0]["summary"]["total-failure-session-count"], 1);
    assert_eq!(told["policies"][0]["summary"]["total-successful-session-count"], 1);
    assert_eq!(told["policies"][0]["failure-details"][0]["result-type"], "validation-failure");
}

#[test]
fn who_asks_for_no_reports_is_not_counted() {
    let reports = in_memory();
    let mut quiet = policy(None);
    quiet.rua.clear();
    reports.record_at(day(1), &quiet, &verified("mx.example"), handshake(Ok(())));
    assert_eq!(reports.days(), []);
}

#[test]
fn counts_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = TlsReportOptions { folder: Some(folder.path().to_owned()), ..TlsReportOptions::default() };
    let reports = TlsReports::open(options.clone()).unwrap();
    let policy = policy(Some(StsMode::Testing));
    let mx1 = target("mx1.mail.dest.example", Security::Opportunistic);
    reports.record_at(day(1), &policy, &mx1, handshake(Err(TlsFault::CertificateNotTrusted)));
    reports.record_at(day(2), &policy, &mx1, handshake(Ok(())));
    let before = (report(&reports, 1), report(&reports, 2));
    drop(reports);
    fs::write(folder.path().join("1970-01-04.json"), "rubbish").unwrap();
    fs::write(folder.path().join("readme.txt"), "").unwrap();
    let reports = TlsReports::open(options.clone()).unwrap();
    assert_eq!((report(&reports, 1), report(&reports, 2)), before);
    assert_eq!(reports.days(), [date(1), date(2)]);
    assert_eq!(reports.domains(date(1)), ["dest.example"]);
    reports.forget(date(1), "dest.example");
    reports.save().unwrap();
    let reports = TlsReports::open(options).unwrap();
    assert_eq!(reports.domains(date(1)), Vec::<String>::new());
}

#[test]
fn what_was_counted_is_written_by_and_by() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new");
    let options =
        TlsReportOptions { folder: Some(folder.clone()), save_every: Duration::ZERO, ..TlsReportOptions::default() };
    let reports = TlsReports::open(options).unwrap();
    reports.record_at(day(1), &policy(None), &verified("mx.example"), handshake(Ok(())));
    assert!(folder.join("1970-01-02.json").exists());
}

#[test]
fn days_long_ago_go_with_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let options = TlsReportOptions {
        folder: Some(folder.path().to_owned()),
        save_every: Duration::ZERO,
        days: 3,
        ..TlsReportOptions::default()
    };
    let reports = TlsReports::open(options).unwrap();
    for number in 1..=6 {
        reports.record_at(day(number), &policy(None), &verified("mx.example"), handshake(Ok(())));
    }
    assert_eq!(reports.days(), [date(4), date(5), date(6)]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn nothing_grows_without_bound() {
    let reports = TlsReports::open(TlsReportOptions { domains: 10, ..TlsReportOptions::default() }).unwrap();
    for number in 0..500 {
        let mut many = policy(None);
        many.domain = format!("d{number}.example");
        reports.record_at(day(1), &many, &verified("mx.example"), handshake(Ok(())));
    }
    assert_eq!(reports.domains(date(1)).len(), 10);
    let mut domain = DomainTally::default();
    let key = PolicyKey::of(&policy(None), None);
    for number in 0..1000_u32 {
        let peer = Some(IpAddr::from(number.to_be_bytes()));
        let failed = Handshake { local: None, peer, result: Err(TlsFault::ValidationFailure) };
        domain.count(key.clone(), None, failed, &[TlsFault::StsPolicyInvalid]);
    }
    let tally = &domain.policies[0];
    assert!(tally.failure_details.len() <= 64 + 11, "{}", tally.failure_details.len());
    let counted: u64 = tally.failure_details.iter().map(|detail| detail.failed_session_count).sum();
    assert_eq!(counted, 2000, "all are counted, if not told apart");
    for number in 0..1000 {
        let mut other = key.clone();
        other.policy_domain = format!("{number}.example");
        domain.count(other, None, handshake(Ok(())), &[]);
    }
    assert!(domain.policies.len() <= 24);
}

#[test]
fn faults_are_written_as_the_rfc_has_them() {
    use TlsFault::*;
    for fault in [
        StarttlsNotSupported,
        CertificateHostMismatch,
        CertificateExpired,
        CertificateNotTrusted,
        ValidationFailure,
        TlsaInvalid,
        DnssecInvalid,
        DaneRequired,
        StsPolicyFetchError,
        StsPolicyInvalid,
        StsWebpkiInvalid,
    ] {
        assert_eq!(serde_json::to_value(fault).unwrap(), fault.as_str());
    }
}
