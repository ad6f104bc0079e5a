//! Connections that are used again, and those that are not.

use std::time::Duration;

use services::outbound::{CourierOptions, Couriers, Fate};

use crate::session_sender::{by, carry, couriers, options, told};
use crate::session_server::Act::{Close, Once, Reset, Say, SayAndClose};
use crate::session_server::{Manner, Server};

const BOB: &str = "bob@far.example";
const TAKEN: &str = "delivered 250 taken";

fn keeping(change: impl FnOnce(&mut CourierOptions)) -> Couriers {
    let mut options = options();
    change(&mut options);
    Couriers::new(options)
}

#[tokio::test]
async fn the_next_message_goes_over_the_same_connection() {
    let server = Server::new(vec![Manner::default()]).await;
    let couriers = couriers();
    for count in 1..=3 {
        assert_eq!(told(&carry(&couriers, &by(&[&server]), &[BOB]).await[0]), TAKEN);
        assert_eq!((server.connections(), couriers.waiting()), (1, 1), "{count}");
    }
    assert_eq!(server.book().messages.len(), 3);
    let verbs: Vec<_> =
        server.book().lines[0].iter().map(|line| line.split([' ', ':']).next().unwrap().to_owned()).collect();
    let message = ["MAIL", "RCPT", "DATA"];
    let expected = [&["EHLO"][..], &message, &["RSET"], &message, &["RSET"], &message].concat();
    assert_eq!(verbs, expected);
}

#[tokio::test]
async fn a_refused_message_spoils_nothing() {
    let acts = [("MAIL", Once("451 4.3.0 later\r\n")), ("RCPT", Once("550 5.1.1 nobody\r\n"))];
    let server = Server::new(vec![Manner::that(&acts)]).await;
    let couriers = couriers();
    let expected = ["deferred 451 later", TAKEN, TAKEN];
    for expected in expected {
        assert_eq!(told(&carry(&couriers, &by(&[&server]), &[BOB]).await[0]), expected);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_carries_so_many_messages_and_no_more() {
    let server = Server::new(vec![Manner::default()]).await;
    let couriers = keeping(|options| options.messages = 2);
    for _ in 0..5 {
        assert_eq!(told(&carry(&couriers, &by(&[&server]), &[BOB]).await[0]), TAKEN);
    }
    assert_eq!(server.connections(), 3);
    server.wait_for(0, "QUIT").await;
    server.wait_for(1, "QUIT").await;
    assert!(!server.book().lines[2].iter().any(|line| line == "QUIT"));
}

#[tokio::test]
async fn an_old_connection_takes_no_more() {
    let server = Server::new(vec![Manner::default()]).await;
    let couriers = keeping(|options| options.age = Duration::ZERO);
    for _ in 0..2 {
        assert_eq!(told(&carry(&couriers, &by(&[&server]), &[BOB]).await[0]), TAKEN);
    }
    assert_eq!((server.connections(), couriers.waiting()), (2, 0));
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let server = Server::new(vec![Manner::default()]).await;
    let couriers = keeping(|options| options.idle = Duration::from_millis(1));
    assert_eq!(told(&carry(&couriers, &by(&[&server]), &[BOB]).await[0]), TAKEN);
    server.wait_for(0, "QUIT").await;
    assert_eq!(couriers.waiting(), 0);
    assert_eq!(told(&carry(&couriers, &by(&[&server]), &[BOB]).await[0]), TAKEN);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_has_ended_costs_no_message_its_turn() {
    for act in [
        Close,
        Reset,
        Say("500 5.5.1 what?\r\n"),
        Say("421 4.4.2 too long\r\n"),
        SayAndClose("421 4.4.2 too long\r\n"),
        Say("451 4.3.0 not now\r\n"),
        SayAndClose("500 5.5.1 what?\r\n"),
    ] {
        let server = Server::new(vec![Manner::that(&[("RSET", act)])]).await;
        let other = Server::new(vec![Manner::default()]).await;
        let couriers = couriers();
        for _ in 0..3 {
            assert_eq!(told(&carry(&couriers, &by(&[&server, &other]), &[BOB]).await[0]), TAKEN, "{act:?}");
        }
        assert_eq!((server.connections(), server.book().messages.len()), (3, 3), "{act:?}");
        assert_eq!(other.connections(), 0, "{act:?}");
    }
}

#[tokio::test]
async fn a_server_that_leaves_behind_the_message_is_asked_anew() {
    let server = Server::new(vec![Manner::that(&[(".", SayAndClose("250 2.0.0 taken\r\n421 4.4.2 bye\r\n"))])]).await;
    let couriers = couriers();
    for _ in 0..20 {
        assert_eq!(told(&carry(&couriers, &by(&[&server]), &[BOB]).await[0]), TAKEN);
    }
    assert_eq!((server.connections(), server.book().messages.len()), (20, 20));
}

#[tokio::test]
async fn a_kept_connection_that_breaks_later_says_nothing_against_the_host() {
    for (command, act) in [("MAIL", Close), ("RCPT TO:<zoe", SayAndClose("421 4.3.2 bye\r\n")), ("DATA", Reset)] {
        let first = Manner::that(&[(".", Once("250 2.0.0 taken\r\n")), (command, act)]);
        let fine = Manner::default();
        // The first message has another recipient, or goes before the rule holds.
        let server = Server::new(vec![fine.clone(), first, fine]).await;
        let other = Server::new(vec![Manner::default()]).await;
        let couriers = couriers();
        let fates = carry(&couriers, &by(&[&server, &other]), &[BOB]).await;
        assert_eq!(told(&fates[0]), TAKEN, "{command}");
        assert_eq!(other.connections(), 0);
    }
    // Here the rule holds for the second message only.
    let breaking = Manner::that(&[("RCPT TO:<zoe", Close)]);
    let server = Server::new(vec![breaking, Manner::default()]).await;
    let other = Server::new(vec![Manner::default()]).await;
    let couriers = couriers();
    for who in [BOB, "zoe@far.example"] {
        assert_eq!(told(&carry(&couriers, &by(&[&server, &other]), &[who]).await[0]), TAKEN);
    }
    assert_eq!((server.connections(), other.connections()), (2, 0));
}

#[tokio::test]
async fn a_connection_that_is_full_is_followed_by_another() {
    for limits in ["LIMITS RCPTDOMAINMAX=1", "LIMITS MAILMAX=1"] {
        let server = Server::new(vec![Manner::default().and_offers(&[limits])]).await;
        let couriers = couriers();
        for who in ["bob@a.example", "bob@b.example", "bob@c.example"] {
            assert_eq!(told(&carry(&couriers, &by(&[&server]), &[who]).await[0]), TAKEN, "{limits}");
        }
        assert_eq!(server.connections(), 3, "{limits}");
    }
}

#[tokio::test]
async fn no_more_wait_than_there_is_room_for() {
    let (one, two) = (Server::new(vec![Manner::default()]).await, Server::new(vec![Manner::default()]).await);
    let couriers = keeping(|options| options.idle_connections = 1);
    for server in [&one, &two] {
        assert_eq!(told(&carry(&couriers, &by(&[server]), &[BOB]).await[0]), TAKEN);
        assert_eq!(couriers.waiting(), 1);
    }
    one.wait_for(0, "QUIT").await;
    assert_eq!(told(&carry(&couriers, &by(&[&two]), &[BOB]).await[0]), TAKEN);
    assert_eq!(two.connections(), 1, "the latest stays");
}

#[tokio::test]
async fn closing_says_goodbye_and_keeps_nothing() {
    let server = Server::new(vec![Manner::default()]).await;
    let couriers = couriers();
    assert_eq!(told(&carry(&couriers, &by(&[&server]), &[BOB]).await[0]), TAKEN);
    couriers.close();
    server.wait_for(0, "QUIT").await;
    assert_eq!(told(&carry(&couriers, &by(&[&server]), &[BOB]).await[0]), TAKEN);
    server.wait_for(1, "QUIT").await;
    assert_eq!(couriers.waiting(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_each_arrive_once() {
    let acts = [(".", Once("250 2.0.0 first taken\r\n"))];
    let server = Server::new(vec![Manner::that(&acts)]).await;
    let couriers = std::sync::Arc::new(keeping(|options| {
        options.idle = Duration::from_millis(2);
        options.messages = 7;
    }));
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let (couriers, route) = (std::sync::Arc::clone(&couriers), by(&[&server]));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number % 20)).await;
                carry(&couriers, &route, &[&format!("u{number}@far.example")]).await
            })
        })
        .collect();
    for task in tasks {
        let fates = task.await.unwrap();
        assert!(matches!(fates[..], [Fate::Delivered { .. }]), "{fates:?}");
    }
    let mut to: Vec<_> = server.book().messages.into_iter().flat_map(|message| message.to).collect();
    to.sort_unstable();
    to.dedup();
    assert_eq!((to.len(), server.book().messages.len()), (200, 200));
}
