//! From a user to another server, which takes it, refuses it, or breaks off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mailqueue::RecipientState;
use services::net::{ConnectionLimits, Endpoint, Listener, Security, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::node::{Node, nasty, transaction};

#[tokio::test]
async fn mail_for_others_goes_to_the_relay_and_refusals_come_back() {
    let far = Node::new("far.example", &["zoe@far.example"], None).await;
    let (listener, address) = (20_000u16..32_000)
        .find_map(|port| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let limits = ConnectionLimits::new(10, 10);
            let bound = Listener::bind(&Endpoint::Tcp(address), Security::Plain, limits, Arc::default());
            Some((bound.ok()?, address))
        })
        .unwrap();
    tokio::spawn(serve(listener, Arc::clone(&far.mx), far.drain.clone()));
    let near = Node::new("near.example", &["alice@near.example"], Some(address)).await;
    let to = ["zoe@far.example", "nobody@far.example"];
    let text = format!(
        "EHLO c.example\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n{}QUIT\r\n",
        transaction("alice@near.example", &to, &nasty())
    );
    let said = near.session(&*near.submission, &text).await;
    assert!(said.contains("accepted as"), "{said}");
    let texts = far.inbox_of("zoe@far.example", 1).await;
    assert!(texts[0].ends_with(&nasty()) && texts[0].matches("Received: ").count() == 2, "{}", texts[0]);
    let reports = near.inbox_of("alice@near.example", 1).await;
    let told = "Final-Recipient: rfc822;nobody@far.example\r\nAction: failed\r\nStatus: 5.1.1\r\n";
    assert!(reports[0].starts_with("Return-Path: <>\r\n") && reports[0].contains(told), "{}", reports[0]);
    assert!(!reports[0].contains("zoe@"), "{}", reports[0]);
}

/// A server that says these lines, one for each line it reads (the first unasked), and then closes; behind an empty one by a
/// reset. After 354 it waits for the end of the message. Gives back all that it heard.
async fn scripted(listener: &tokio::net::TcpListener, lines: &[&str]) -> String {
    let (mut peer, _) = listener.accept().await.unwrap();
    let (mut heard, mut seen) = (Vec::new(), 0);
    for (index, line) in lines.iter().enumerate() {
        let until: &[u8] = if index > 0 && lines[index - 1].starts_with("354") { b"\r\n.\r\n" } else { b"\r\n" };
        while index > 0 && !heard[seen..].windows(until.len()).any(|end| end == until) {
            if peer.read_buf(&mut heard).await.unwrap() == 0 {
                return String::from_utf8(heard).unwrap();
            }
        }
        seen = if index == 0 {
            0
        } else {
            heard[seen..].windows(until.len()).position(|w| w == until).unwrap() + seen + until.len()
        };
        peer.write_all(line.as_bytes()).await.unwrap();
        if line.is_empty() {
            peer.set_zero_linger().unwrap();
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

async fn listener() -> (tokio::net::TcpListener, SocketAddr) {
    for port in 20_000u16..32_000 {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if let Ok(listener) = tokio::net::TcpListener::bind(address).await {
            return (listener, address);
        }
    }
    panic!("no port is free");
}

async fn send_to_zoe(near: &Node) {
    let message = transaction("alice@near.example", &["zoe@far.example"], "S: 1\r\n\r\n");
    let text = format!("EHLO c.example\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n{message}QUIT\r\n");
    assert!(near.session(&*near.submission, &text).await.contains("accepted as"));
}

#[tokio::test]
async fn a_relay_whose_tls_does_not_work_gets_the_mail_without() {
    let (listener, address) = listener().await;
    let near = Node::new("near.example", &["alice@near.example"], Some(address)).await;
    send_to_zoe(&near).await;
    let tls = "250-far.example\r\n250-8BITMIME\r\n250 STARTTLS\r\n";
    let first = scripted(&listener, &["220 far.example\r\n", tls, "220 go\r\n"]).await;
    assert!(first.ends_with("STARTTLS\r\n"), "{first}");
    let rest = ["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 taken\r\n"];
    let second = scripted(&listener, &[&["220 far.example\r\n", tls][..], &rest[..]].concat()).await;
    assert!(second.contains("\r\nMAIL FROM:<alice@near.example>") && !second.contains("STARTTLS"), "{second}");
}

#[tokio::test]
async fn a_connection_lost_behind_the_message_is_left_to_the_schedule() {
    let (listener, address) = listener().await;
    let near = Node::new("near.example", &["alice@near.example"], Some(address)).await;
    send_to_zoe(&near).await;
    let lines = ["220 far\r\n", "250-far\r\n250 8BITMIME\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", ""];
    let heard = scripted(&listener, &lines).await;
    assert!(heard.contains("S: 1\r\n"), "{heard}");
    let again = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await;
    assert!(again.is_err(), "the message may be there already: it must not be sent again at once");
    let entries = near.queued().await;
    assert!(matches!(entries[0].recipients[0].state, RecipientState::Waiting { .. }), "{entries:?}");
}
