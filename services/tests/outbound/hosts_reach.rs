//! Addresses that answer, and those that do not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use services::outbound::{Couriers, Fate, Fault, Hop, Route, Security};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::session_sender::{by, by_addresses, carry, couriers, forgetful, options, target, targets, told};
use crate::session_server::Act::{Close, Say, Silence};
use crate::session_server::{Manner, Server, listener, nobody};

const BOB: &str = "bob@far.example";
const TAKEN: &str = "delivered 250 taken";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A loopback address beside the usual one.
fn beside(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

#[tokio::test]
async fn every_address_of_a_host_is_asked_before_the_next_host() {
    let (port, busy, fine) = loop {
        let fine = listener(beside(3)).await;
        let port = fine.local_addr().unwrap().port();
        let (Ok(_free), Ok(busy)) = (TcpListener::bind((HERE, port)).await, TcpListener::bind((beside(2), port)).await)
        else {
            continue;
        };
        break (port, busy, fine);
    };
    let busy = Server::on(busy, vec![Manner::that(&[("CONNECT", Say("421 4.3.2 busy\r\n"))])]);
    let server = Server::on(fine, vec![Manner::default()]);
    let spare = Server::new(vec![Manner::default()]).await;
    let mut route = by_addresses(&[HERE, beside(2), beside(3)], port);
    route.first.targets.hosts.push(target(spare.address, Security::Clear));
    let fates = carry(&couriers(), &route, &[BOB]).await;
    assert_eq!((told(&fates[0]).as_str(), fates[0].word().address), (TAKEN, Some(server.address)));
    assert_eq!((busy.connections(), spare.connections()), (1, 0));
}

#[tokio::test]
async fn one_family_stands_in_for_the_other() {
    let server = Server::new(vec![Manner::default()]).await;
    let route = by_addresses(&[Ipv6Addr::LOCALHOST.into(), HERE], server.address.port());
    let fates = carry(&couriers(), &route, &[BOB]).await;
    assert_eq!((told(&fates[0]).as_str(), fates[0].word().address), (TAKEN, Some(server.address)));
}

/// An address whose connections are never completed, since its queue is full, and another that has the same port.
struct Hole {
    port: u16,
    beside: TcpListener,
    _hole: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Hole {
    async fn new() -> Self {
        loop {
            let beside = listener(beside(1)).await;
            let port = beside.local_addr().unwrap().port();
            let socket = TcpSocket::new_v4().unwrap();
            if socket.bind((self::beside(9), port).into()).is_err() {
                continue;
            }
            let (hole, mut queue) = (socket.listen(1).unwrap(), Vec::new());
            let place = || timeout(Duration::from_millis(100), TcpStream::connect((self::beside(9), port)));
            while let Ok(stream) = place().await {
                queue.push(stream.unwrap());
            }
            return Self { port, beside, _hole: hole, _queue: queue };
        }
    }
}

#[tokio::test]
async fn an_address_that_is_silent_is_not_waited_for_to_the_end() {
    let Hole { port, beside: listener, _hole, _queue } = Hole::new().await;
    let server = Server::on(listener, vec![Manner::default()]);
    let mut options = options();
    // If the next address were tried only behind the first, this would take the system's own two minutes.
    options.connect = Duration::from_secs(3600);
    options.patience = Duration::from_secs(3600);
    options.stagger = Duration::from_millis(1);
    let couriers = Couriers::new(options);
    let route = by_addresses(&[beside(9), beside(1)], port);
    let fates = timeout(Duration::from_secs(60), carry(&couriers, &route, &[BOB])).await.unwrap();
    assert_eq!((told(&fates[0]).as_str(), fates[0].word().address), (TAKEN, Some(server.address)));
}

#[tokio::test]
async fn an_attempt_ends_though_nobody_answers() {
    let Hole { port, _hole, _queue, .. } = Hole::new().await;
    let mut options = options();
    options.connect = Duration::from_millis(30);
    let silent = Couriers::new(options.clone());
    let fates = carry(&silent, &by_addresses(&[beside(9)], port), &[BOB]).await;
    assert_eq!(told(&fates[0]), "deferred cannot connect: timed out");
    let fates = carry(&silent, &by_addresses(&[beside(9)], port), &[BOB]).await;
    assert!(told(&fates[0]).starts_with("deferred not asked: it does not answer (since 20"), "{fates:?}");
    // Whoever was not given his time is not held to have let it pass.
    options.connect = Duration::from_secs(3600);
    options.patience = Duration::from_millis(30);
    let hasty = Couriers::new(options);
    for _ in 0..2 {
        let fates = carry(&hasty, &by_addresses(&[beside(9)], port), &[BOB]).await;
        assert!(told(&fates[0]).ends_with(": the attempt has taken long enough"), "{fates:?}");
    }
}

#[tokio::test]
async fn who_refuses_is_not_asked_by_the_next_message() {
    let address = nobody().await;
    let route = Route { first: Hop::to(targets(vec![target(address, Security::Clear)])), fallback: None };
    let couriers = couriers();
    let fates = carry(&couriers, &route, &[BOB]).await;
    let Fate::Deferred { fault: Fault::Connection, retry_after: None, word } = &fates[0] else { panic!("{fates:?}") };
    assert!(word.text.starts_with("cannot connect: ") && word.status == "4.4.1", "{word:?}");
    // Now it would answer, but nobody asks.
    let server = Server::on(TcpListener::bind(address).await.unwrap(), vec![Manner::default()]);
    let fates = carry(&couriers, &route, &[BOB]).await;
    let text = told(&fates[0]);
    assert!(text.starts_with("deferred not asked: it refuses connections (since 20"), "{text}");
    assert!(text.contains("; asked again from 20") && text.ends_with("Z on"), "{text}");
    assert_eq!(server.connections(), 0);
    // Others still do, and who is never remembered is asked.
    let fates = carry(&Couriers::new(forgetful()), &route, &[BOB]).await;
    assert_eq!(told(&fates[0]), TAKEN);
}

#[tokio::test]
async fn an_address_is_asked_again_when_its_time_is_over() {
    let address = nobody().await;
    let route = Route { first: Hop::to(targets(vec![target(address, Security::Clear)])), fallback: None };
    let mut options = options();
    options.memory.first = Duration::from_millis(1);
    let couriers = Couriers::new(options);
    carry(&couriers, &route, &[BOB]).await;
    let _server = Server::on(TcpListener::bind(address).await.unwrap(), vec![Manner::default()]);
    tokio::time::sleep(Duration::from_millis(5)).await;
    for _ in 0..2 {
        assert_eq!(told(&carry(&couriers, &route, &[BOB]).await[0]), TAKEN);
    }
}

#[tokio::test]
async fn who_does_not_greet_is_remembered_and_who_refuses_by_words_is_not() {
    for (act, remembered) in [(Close, true), (Say("~~~\r\n"), true), (Say("421 4.3.2 busy\r\n"), false)] {
        let server = Server::new(vec![Manner::that(&[("CONNECT", act)]), Manner::default()]).await;
        let couriers = couriers();
        carry(&couriers, &by(&[&server]), &[BOB]).await;
        let fates = carry(&couriers, &by(&[&server]), &[BOB]).await;
        assert_eq!(told(&fates[0]) == TAKEN, !remembered, "{act:?} {fates:?}");
        assert_eq!(server.connections(), if remembered { 1 } else { 2 }, "{act:?}");
    }
}

#[tokio::test]
async fn servers_that_say_nothing_are_left_in_time() {
    for command in ["CONNECT", "EHLO", "MAIL", "DATA", "."] {
        let server = Server::new(vec![Manner::that(&[(command, Silence)])]).await;
        let other = Server::new(vec![Manner::default()]).await;
        let mut options = options();
        let patience = Duration::from_millis(30);
        let timeouts = &mut options.client.timeouts;
        (timeouts.greeting, timeouts.reply, timeouts.data, timeouts.verdict) = (patience, patience, patience, patience);
        let couriers = Couriers::new(options);
        let fates = carry(&couriers, &by(&[&server, &other]), &[BOB]).await;
        match command {
            "." => assert!(told(&fates[0]).ends_with("is not known"), "{fates:?}"),
            _ => assert_eq!(told(&fates[0]), TAKEN, "{command}"),
        }
    }
}

#[tokio::test]
async fn a_verdict_has_the_ten_minutes_that_it_may_take() {
    assert_eq!(options().client.timeouts.verdict, Duration::from_secs(600), "RFC 5321 §4.5.3.2.6");
}

#[tokio::test]
async fn mail_comes_from_the_address_that_was_chosen_for_its_destination() {
    let server = Server::new(vec![Manner::default()]).await;
    let mut options = forgetful();
    options.sources = vec![beside(4), beside(5), beside(6), Ipv6Addr::LOCALHOST.into()];
    let couriers = Couriers::new(options);
    let mut by_site = Vec::new();
    for site in ["a.example", "b.example", "c.example", "d.example", "e.example", "f.example"] {
        let mut route = by(&[&server]);
        route.first.targets.site = site.to_owned();
        for _ in 0..2 {
            assert_eq!(told(&carry(&couriers, &route, &[BOB]).await[0]), TAKEN);
        }
        let peers = server.peers();
        let [.., before, last] = peers[..] else { panic!("{peers:?}") };
        assert_eq!(before.ip(), last.ip(), "{site} knows one of us only");
        by_site.push(last.ip());
    }
    by_site.sort_unstable();
    by_site.dedup();
    assert!(
        by_site.len() > 1 && by_site.iter().all(|ip| [beside(4), beside(5), beside(6)].contains(ip)),
        "{by_site:?}"
    );
}

#[tokio::test]
async fn a_source_address_that_is_not_ours_is_named() {
    let server = Server::new(vec![Manner::default()]).await;
    let mut options = options();
    options.sources = vec![Ipv4Addr::new(192, 0, 2, 1).into()];
    let fates = carry(&Couriers::new(options), &by(&[&server]), &[BOB]).await;
    let word = fates[0].word();
    assert!(word.text.starts_with("the source address 192.0.2.1 cannot be used: "), "{word:?}");
    assert_eq!((word.status.as_str(), server.connections()), ("4.3.5", 0));
}

#[tokio::test]
async fn a_probe_that_shows_nothing_leaves_its_place_to_the_next() {
    let address = nobody().await;
    let route = Route { first: Hop::to(targets(vec![target(address, Security::Clear)])), fallback: None };
    let mut options = options();
    options.memory.first = Duration::from_millis(1);
    let couriers = Couriers::new(options);
    carry(&couriers, &route, &[BOB]).await;
    let busy = Manner::that(&[("CONNECT", Say("421 4.3.2 busy\r\n"))]);
    let _server = Server::on(TcpListener::bind(address).await.unwrap(), vec![busy, Manner::default()]);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(told(&carry(&couriers, &route, &[BOB]).await[0]), "deferred 421 busy");
    assert_eq!(told(&carry(&couriers, &route, &[BOB]).await[0]), TAKEN);
}

#[tokio::test]
async fn an_address_that_was_only_slower_is_asked_when_the_faster_is_of_no_use() {
    let Hole { port, beside: listener, _hole, _queue } = Hole::new().await;
    let _busy = Server::on(listener, vec![Manner::that(&[("CONNECT", Say("421 4.3.2 busy\r\n"))])]);
    let mut options = options();
    options.connect = Duration::from_millis(500);
    options.stagger = Duration::from_millis(1);
    let couriers = Couriers::new(options);
    let fates = carry(&couriers, &by_addresses(&[beside(9), beside(1)], port), &[BOB]).await;
    assert_eq!(told(&fates[0]), "deferred 421 busy");
    let fates = carry(&couriers, &by_addresses(&[beside(9)], port), &[BOB]).await;
    assert!(told(&fates[0]).starts_with("deferred not asked: it does not answer"), "{fates:?}");
}
