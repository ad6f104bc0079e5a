//! Relays: who logs in there, and who stands in when nobody answers.

use services::outbound::{Begins, Couriers, Credentials, Exposure, Fate, Hop, Route, Security};
use smtp_proto::Secret;

use crate::session_sender::{by, carry, couriers, forgetful, target, targets, told, trusting};
use crate::session_server::Act::{Close, Say};
use crate::session_server::{Certificate, Manner, Server, nobody};

const BOB: &str = "bob@far.example";
const TAKEN: &str = "delivered 250 taken";

fn login(exposure: Exposure) -> Option<Credentials> {
    Some(Credentials { user: "near".to_owned(), password: Secret::new(b"secret".to_vec()), exposure })
}

fn relay(server: &Server, security: Security, exposure: Exposure) -> Route {
    let mut host = target(server.address, security);
    host.host = "relay.example".to_owned();
    let first = Hop { targets: targets(vec![host]), begins: Begins::InClear, login: login(exposure) };
    Route { first, fallback: None }
}

fn lines(server: &Server) -> Vec<String> {
    server.book().lines.concat()
}

#[tokio::test]
async fn a_relay_is_logged_in_to_once_for_all_messages() {
    let certificate = Certificate::of(&["relay.example"]);
    let server = Server::new(vec![Manner::default().and_tls(&certificate).and_offers(&["AUTH PLAIN"])]).await;
    let couriers = Couriers::new(trusting(certificate.roots.clone()));
    let verified = Security::Verified { names: vec!["relay.example".to_owned()] };
    for _ in 0..2 {
        let route = relay(&server, verified.clone(), Exposure::UnderTls);
        assert_eq!(told(&carry(&couriers, &route, &[BOB]).await[0]), TAKEN);
    }
    let logins: Vec<_> = lines(&server).into_iter().filter(|line| line.starts_with("AUTH")).collect();
    assert_eq!(logins, ["AUTH PLAIN AG5lYXIAc2VjcmV0"]);
    // Nobody else speaks over a connection that somebody has logged in on.
    let mut route = relay(&server, verified, Exposure::UnderTls);
    route.first.login = None;
    assert_eq!(told(&carry(&couriers, &route, &[BOB]).await[0]), TAKEN);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_password_is_not_said_in_the_clear_unless_that_is_wished() {
    let offers = || Manner::default().and_offers(&["AUTH PLAIN"]);
    for (security, exposure, expected) in [
        (Security::Clear, Exposure::UnderTls, "deferred a password is not sent without TLS"),
        (Security::Opportunistic, Exposure::UnderTls, "deferred TLS is required, and cannot be had (at starttls)"),
        (Security::Encrypted, Exposure::InClear, "deferred TLS is required, and cannot be had (at starttls)"),
        (Security::Clear, Exposure::InClear, TAKEN),
    ] {
        let server = Server::new(vec![offers()]).await;
        let fates = carry(&couriers(), &relay(&server, security.clone(), exposure), &[BOB]).await;
        assert_eq!(told(&fates[0]), expected, "{security:?}");
        assert_eq!(lines(&server).iter().any(|line| line.starts_with("AUTH")), expected == TAKEN, "{security:?}");
    }
    // Nor where the handshake fails.
    let server = Server::new(vec![offers().and_offers(&["STARTTLS"])]).await;
    let fates = carry(&couriers(), &relay(&server, Security::Opportunistic, Exposure::UnderTls), &[BOB]).await;
    assert!(told(&fates[0]).starts_with("deferred TLS handshake failed"), "{fates:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once() {
    let refusing = |text| Manner::that(&[("AUTH", Say(text))]).and_offers(&["AUTH PLAIN"]);
    for (text, expected, tried) in
        [("535 5.7.8 wrong\r\n", "deferred 535 wrong", 1), ("454 4.7.0 not now\r\n", "deferred 454 not now", 2)]
    {
        let (one, two) = (Server::new(vec![refusing(text)]).await, Server::new(vec![refusing(text)]).await);
        let hosts = vec![target(one.address, Security::Clear), target(two.address, Security::Clear)];
        let first = Hop { targets: targets(hosts), begins: Begins::InClear, login: login(Exposure::InClear) };
        let route = Route { first, fallback: Some(Hop::to(targets(vec![target(two.address, Security::Clear)]))) };
        let couriers = Couriers::new(forgetful());
        let fates = carry(&couriers, &Route { fallback: None, ..route.clone() }, &[BOB]).await;
        assert_eq!(told(&fates[0]), expected);
        assert_eq!(one.connections() + two.connections(), tried, "{text}");
    }
}

#[tokio::test]
async fn the_fallback_stands_in_where_nobody_answers() {
    let fallback = Server::new(vec![Manner::default()]).await;
    let nobody = nobody().await;
    let refusing = Server::new(vec![Manner::that(&[("CONNECT", Say("554 5.7.1 go away\r\n"))])]).await;
    let spare = || Some(Hop::to(targets(vec![target(fallback.address, Security::Clear)])));
    let hosts = vec![target(nobody, Security::Clear), target(refusing.address, Security::Clear)];
    let route = Route { first: Hop::to(targets(hosts)), fallback: spare() };
    let fates = carry(&couriers(), &route, &[BOB]).await;
    assert_eq!((told(&fates[0]).as_str(), fates[0].word().address), (TAKEN, Some(fallback.address)));
    // But not where a host has heard of the message, and may have it, or will have none of it.
    let taken = fallback.connections();
    for (command, act) in
        [("MAIL", Say("550 5.7.1 no\r\n")), ("RCPT", Say("450 4.2.0 later\r\n")), ("DATA", Close), (".", Close)]
    {
        let server = Server::new(vec![Manner::that(&[(command, act)])]).await;
        let route = Route { fallback: spare(), ..by(&[&server]) };
        let fates = carry(&couriers(), &route, &[BOB]).await;
        assert!(!matches!(fates[0], Fate::Delivered { .. }), "{command} {fates:?}");
    }
    assert_eq!(fallback.connections(), taken);
}
