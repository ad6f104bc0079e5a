//! TLS where it may be, and where it must.

use services::outbound::{
    Begins, Couriers, Demands, Fate, Fault, Hop, Matching, Policy, Reporter, Route, Security, Selector, TlsFault,
    TlsReportOptions, TlsReports, Tlsa, Usage,
};

use crate::session_sender::{by, carry, couriers, parcel, target, targets, told, trusting};
use crate::session_server::Act::Say;
use crate::session_server::{Certificate, Manner, Server};

const BOB: &str = "bob@far.example";
const NAME: &str = "mx.far.example";

/// One host after the other, each with the name that its certificate should have.
fn way(servers: &[&Server], security: &Security) -> Route {
    let host = |server: &&Server| {
        let mut target = target(server.address, security.clone());
        target.host = NAME.to_owned();
        target
    };
    Route { first: Hop::to(targets(servers.iter().map(host).collect())), fallback: None }
}

fn verified() -> Security {
    Security::Verified { names: vec![NAME.to_owned()] }
}

fn lines(server: &Server) -> Vec<Vec<String>> {
    server.book().lines
}

fn said(server: &Server, what: &str) -> bool {
    lines(server).concat().iter().any(|line| line.starts_with(what))
}

#[tokio::test]
async fn any_certificate_does_where_tls_is_optional() {
    let server = Server::new(vec![Manner::default().and_tls(&Certificate::of(&["who.example"]))]).await;
    let fates = carry(&couriers(), &by(&[&server]), &[BOB]).await;
    assert_eq!(told(&fates[0]), "delivered 250 taken");
    let verbs: Vec<_> =
        lines(&server)[0].iter().map(|line| line.split([' ', ':']).next().unwrap().to_owned()).collect();
    assert_eq!(verbs[..5], ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT"]);
}

#[tokio::test]
async fn optional_tls_that_fails_is_left_out_and_not_tried_by_each_message() {
    let server = Server::new(vec![Manner::default().and_offers(&["STARTTLS"])]).await;
    let mut options = crate::session_sender::options();
    options.messages = 1;
    let couriers = Couriers::new(options);
    for message in 0..2 {
        let fates = carry(&couriers, &by(&[&server]), &[BOB]).await;
        assert_eq!(told(&fates[0]), "delivered 250 taken", "{message}");
    }
    let tried: Vec<_> = lines(&server).iter().map(|lines| lines.iter().any(|line| line == "STARTTLS")).collect();
    assert_eq!(tried, [true, false, false]);
}

#[tokio::test]
async fn optional_tls_that_is_refused_is_left_out_in_the_same_connection() {
    let manner = Manner::that(&[("STARTTLS", Say("454 4.7.0 not now\r\n"))]).and_offers(&["STARTTLS"]);
    let server = Server::new(vec![manner]).await;
    let fates = carry(&couriers(), &by(&[&server]), &[BOB]).await;
    assert_eq!(told(&fates[0]), "delivered 250 taken");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn where_tls_must_be_nothing_goes_without() {
    let without = Manner::default();
    let refusing = Manner::that(&[("STARTTLS", Say("454 4.7.0 not now\r\n"))]).and_offers(&["STARTTLS"]);
    let failing = Manner::default().and_offers(&["STARTTLS"]);
    let talking = Manner::that(&[("STARTTLS", Say("220 2.0.0 go\r\n250 2.0.0 evil\r\n"))]).and_offers(&["STARTTLS"]);
    let wrong = Manner::default().and_tls(&Certificate::of(&["other.example"]));
    let table = [
        (Security::Encrypted, without.clone(), "deferred TLS is required, and cannot be had (at starttls)"),
        (Security::Encrypted, refusing.clone(), "deferred 454 not now"),
        (Security::Encrypted, failing.clone(), "deferred TLS handshake failed: "),
        (Security::Encrypted, talking, "deferred "),
        (verified(), without, "deferred TLS is required, and cannot be had (at starttls)"),
        (verified(), refusing, "deferred 454 not now"),
        (verified(), failing, "deferred TLS handshake failed: "),
        (verified(), wrong, "deferred TLS handshake failed: "),
    ];
    for (security, manner, expected) in table {
        let server = Server::new(vec![manner.clone()]).await;
        let fates = carry(&couriers(), &way(&[&server], &security), &[BOB]).await;
        let Fate::Deferred { fault, word, .. } = &fates[0] else { panic!("{fates:?}") };
        assert!(told(&fates[0]).starts_with(expected), "{security:?} {manner:?}: {fates:?}");
        assert_eq!(*fault, Fault::Connection, "{security:?} {manner:?}");
        assert!(word.status.starts_with("4.") && !said(&server, "MAIL"), "{security:?} {manner:?}: {fates:?}");
        assert_eq!(server.connections(), 1, "{security:?} {manner:?}");
    }
}

#[tokio::test]
async fn a_host_without_the_tls_that_must_be_is_passed_over() {
    let certificate = Certificate::of(&[NAME]);
    let other = Certificate::of(&["other.example"]);
    let mut roots = certificate.roots.clone();
    roots.extend(other.roots.roots.iter().cloned());
    let couriers = Couriers::new(trusting(roots));
    let bad = Server::new(vec![Manner::default().and_tls(&other)]).await;
    let good = Server::new(vec![Manner::default().and_tls(&certificate)]).await;
    let fates = carry(&couriers, &way(&[&bad, &good], &verified()), &[BOB]).await;
    assert_eq!((told(&fates[0]).as_str(), fates[0].word().address), ("delivered 250 taken", Some(good.address)));
    assert!(!said(&bad, "MAIL"));
    let others = Couriers::new(trusting(other.roots.clone()));
    let fates = carry(&others, &way(&[&bad], &verified()), &[BOB]).await;
    assert!(told(&fates[0]).contains("not valid for name"), "{fates:?}");
    assert_eq!(fates[0].word().status, "4.7.5");
    assert_eq!(TlsFault::CertificateHostMismatch.as_str(), "certificate-host-mismatch");
}

#[tokio::test]
async fn a_host_without_the_tls_that_must_be_is_not_asked_by_each_message() {
    let other = Certificate::of(&["other.example"]);
    let records = vec![Tlsa {
        usage: Usage::DaneEe,
        selector: Selector::PublicKey,
        matching: Matching::Sha256,
        data: vec![0; 32],
    }];
    let dane = Security::Dane { records, names: vec![NAME.to_owned()] };
    let refusing = Manner::that(&[("STARTTLS", Say("454 4.7.0 not now\r\n"))]).and_offers(&["STARTTLS"]);
    let table = [
        (verified(), Manner::default().and_tls(&other)),
        (dane, Manner::default().and_tls(&other)),
        (Security::Encrypted, Manner::default()),
        (verified(), refusing),
    ];
    for (security, manner) in table {
        let server = Server::new(vec![manner.clone()]).await;
        let mut options = trusting(other.roots.clone());
        options.messages = 1;
        let couriers = Couriers::new(options);
        let first = carry(&couriers, &way(&[&server], &security), &[BOB]).await;
        assert!(!told(&first[0]).contains("not asked"), "{first:?}");
        for _ in 0..3 {
            let later = carry(&couriers, &way(&[&server], &security), &[BOB]).await;
            let Fate::Deferred { fault: Fault::Connection, word, .. } = &later[0] else { panic!("{later:?}") };
            assert!(
                word.text.starts_with("not asked: it has not the TLS that must be (since "),
                "{security:?}: {word:?}"
            );
            assert_eq!(word.status, "4.7.5");
        }
        assert_eq!(server.connections(), 1, "{security:?} {manner:?}");
        // Who demands none gets through, and so does not vouch for the TLS.
        assert_eq!(
            told(&carry(&couriers, &way(&[&server], &Security::Opportunistic), &[BOB]).await[0]),
            "delivered 250 taken"
        );
        let later = carry(&couriers, &way(&[&server], &security), &[BOB]).await;
        assert!(told(&later[0]).contains("not asked"), "{later:?}");
        // Nor is a demand that differs prejudged.
        let names = Security::Verified { names: vec!["else.example".to_owned()] };
        let later = carry(&couriers, &way(&[&server], &names), &[BOB]).await;
        assert!(!told(&later[0]).contains("not asked"), "{later:?}");
    }
}

#[tokio::test]
async fn tls_may_begin_with_the_connection() {
    let certificate = Certificate::of(&[NAME]);
    let server = Server::new(vec![Manner::default().under_tls(&certificate)]).await;
    let plain = Server::new(vec![Manner::default()]).await;
    let couriers = Couriers::new(trusting(certificate.roots.clone()));
    for (security, servers, expected) in [
        (Security::Opportunistic, [&server].as_slice(), "delivered 250 taken"),
        (verified(), &[&server], "delivered 250 taken"),
        (verified(), &[&plain, &server], "delivered 250 taken"),
        (verified(), &[&plain], "deferred not asked: it does not greet as a mail server does"),
        (Security::Opportunistic, &[&plain], "deferred not asked"),
    ] {
        let mut route = way(servers, &security);
        route.first.begins = Begins::UnderTls;
        let fates = carry(&couriers, &route, &[BOB]).await;
        assert!(told(&fates[0]).starts_with(expected), "{security:?}: {fates:?}");
    }
    assert!(!said(&plain, "EHLO"));
}

#[tokio::test]
async fn a_host_that_does_not_take_requiretls_does_not_get_what_requires_it() {
    let certificate = Certificate::of(&[NAME]);
    let couriers = Couriers::new(trusting(certificate.roots.clone()));
    let without = Server::new(vec![Manner::default().and_tls(&certificate)]).await;
    let with = Server::new(vec![Manner::default().and_tls(&certificate).and_offers(&["REQUIRETLS"])]).await;
    let mut message = parcel(&[BOB]);
    message.envelope.mail.parameters.require_tls = true;
    let mut route = way(&[&without], &verified());
    route.first.targets.demands = Demands::RequireTls;
    let fates = couriers.deliver(&message, &route).await;
    assert_eq!(told(&fates[0]), "failed the server does not take REQUIRETLS (at mail)");
    assert_eq!(fates[0].word().status, "5.7.30");
    let mut route = way(&[&without, &with], &verified());
    route.first.targets.demands = Demands::RequireTls;
    let fates = couriers.deliver(&message, &route).await;
    assert_eq!(told(&fates[0]), "delivered 250 taken");
    assert!(lines(&with).concat().iter().any(|line| line.starts_with("MAIL FROM:") && line.ends_with(" REQUIRETLS")));
    // What was verified for it is nothing for others, and the other way round.
    assert_eq!(couriers.waiting(), 2);
    let fates = carry(&couriers, &way(&[&with], &verified()), &[BOB]).await;
    assert_eq!(told(&fates[0]), "delivered 250 taken");
    assert_eq!(with.connections(), 2);
}

#[tokio::test]
async fn connections_are_shared_by_those_only_who_are_secured_alike() {
    let certificate = Certificate::of(&[NAME]);
    let couriers = Couriers::new(trusting(certificate.roots.clone()));
    let server = Server::new(vec![Manner::default().and_tls(&certificate)]).await;
    let other_name = Security::Verified { names: vec![NAME.to_owned(), "other.example".to_owned()] };
    let kinds = [Security::Opportunistic, Security::Encrypted, verified(), other_name];
    for _ in 0..2 {
        for security in &kinds {
            let fates = carry(&couriers, &way(&[&server], security), &[BOB]).await;
            assert_eq!(told(&fates[0]), "delivered 250 taken", "{security:?}");
        }
        assert_eq!(server.connections(), kinds.len());
    }
}

/// What the report of today would say, as JSON.
fn report(reports: &TlsReports) -> String {
    let [day] = reports.days()[..] else { panic!("one day is counted") };
    let reporter = Reporter {
        organization: "near".to_owned(),
        contact: "postmaster@near.example".to_owned(),
        domain: "near.example".to_owned(),
    };
    reports.report(day, "far.example", &reporter).unwrap().json.replace(": ", ":")
}

#[tokio::test]
async fn each_new_handshake_is_told_once() {
    let (right, wrong) = (Certificate::of(&[NAME]), Certificate::of(&["other.example"]));
    let mut roots = right.roots.clone();
    roots.extend(wrong.roots.roots.iter().cloned());
    let reports = TlsReports::open(TlsReportOptions::default()).unwrap();
    let mut options = trusting(roots);
    options.reports = Some(std::sync::Arc::clone(&reports));
    let couriers = Couriers::new(options);
    let good = Server::new(vec![Manner::default().and_tls(&right)]).await;
    let bad = Server::new(vec![Manner::default().and_tls(&wrong)]).await;
    let without = Server::new(vec![Manner::default()]).await;
    let policy = Policy {
        domain: "far.example".to_owned(),
        rua: vec!["mailto:tls@far.example".to_owned()],
        ..Policy::default()
    };
    for servers in [[&good].as_slice(), &[&good], &[&bad, &good], &[&without, &good]] {
        let mut route = way(servers, &verified());
        route.first.targets.policy = std::sync::Arc::new(policy.clone());
        assert_eq!(told(&carry(&couriers, &route, &[BOB]).await[0]), "delivered 250 taken");
    }
    let json = report(&reports);
    // The connection to the first was kept for all four.
    assert!(json.contains("\"total-successful-session-count\":1"), "{json}");
    assert!(json.contains("\"total-failure-session-count\":2"), "{json}");
    assert!(json.contains("certificate-host-mismatch") && json.contains("starttls-not-supported"), "{json}");
    assert!(
        json.contains("\"receiving-ip\":\"127.0.0.1\"") && json.contains("\"sending-mta-ip\":\"127.0.0.1\""),
        "{json}"
    );
}
