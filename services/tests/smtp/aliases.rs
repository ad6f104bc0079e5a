//! Names that stand for others, as senders meet them.

use std::time::Duration;

use mailqueue::MemorySpool;
use services::directory::Account;
use services::routes::{AliasLimits, Aliases, Routing};

use crate::node::{Node, Onward, options, transaction};

const ALICE: &str = "alice@example.org";
const BOB: &str = "bob@example.org";

async fn node(aliases: &str) -> Node {
    let onward = Onward::Relay("127.0.0.1:1".parse().unwrap());
    let users = [ALICE, BOB].map(|user| Account::new(user).unwrap());
    let aliases = Aliases::parse(aliases.as_bytes(), "aliases".as_ref(), AliasLimits::default()).unwrap();
    let routing = Routing::with_aliases(vec!["example.org".into()], onward.outward(), &users, aliases).unwrap();
    Node::routed(MemorySpool::default(), options("mail.example.org"), &[ALICE, BOB], routing, onward).await
}

#[tokio::test]
async fn who_is_meant_twice_gets_the_message_once() {
    let node = node("team: alice, bob, inner\ninner: alice").await;
    let to = ["team@example.org", ALICE, "inner@example.org", "Bob+x@Example.org"];
    let text = transaction("dan@example.com", &to, "Subject: once\r\n\r\n");
    let said = node.session(&*node.mx, &format!("EHLO c.example\r\n{text}QUIT\r\n")).await;
    assert!(said.contains("accepted as"), "{said}");
    // The queue lets the message go when all have their copies.
    while !node.queued().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for user in [ALICE, BOB] {
        let copies = node.inbox(user).await;
        assert_eq!(copies.len(), 1, "{user}");
        assert!(copies[0].starts_with("Return-Path: <dan@example.com>\r\n"), "RFC 5321 §3.9.1: {}", copies[0]);
    }
}

#[tokio::test]
async fn a_transaction_ends_where_aliases_have_brought_as_many_as_there_may_be() {
    let many: Vec<_> = (0..999).map(|number| format!("u{number}@far.example")).collect();
    let node = node(&format!("many: {}\nothers: x@far.example, y@far.example", many.join(", "))).await;
    let rcpts = ["many", "others", "alice"].map(|name| format!("RCPT TO:<{name}@example.org>\r\n")).concat();
    let said = node.session(&*node.mx, &format!("EHLO c.example\r\nMAIL FROM:<>\r\n{rcpts}QUIT\r\n")).await;
    let replies: Vec<_> = said.lines().rev().take(4).collect();
    assert!(replies[3].starts_with("250 ") && replies[2].starts_with("250 "), "{said}");
    assert_eq!(replies[1], "452 4.5.3 too many recipients, their aliases followed");
}

#[tokio::test]
async fn a_server_that_delivers_takes_a_name_for_one_and_leaves_others_to_the_queue() {
    let node = node("boss: alice\nteam: alice, bob").await;
    let rcpts = "RCPT TO:<boss@example.org>\r\nRCPT TO:<team@example.org>\r\n";
    let said = node.session(&*node.lmtp, &format!("LHLO c.example\r\nMAIL FROM:<>\r\n{rcpts}QUIT\r\n")).await;
    let replies: Vec<_> = said.lines().rev().take(3).collect();
    assert!(replies[2].starts_with("250 ") && replies[1].starts_with("550 5.1.1 "), "{said}");
}
