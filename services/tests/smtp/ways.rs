//! From a client into mailboxes here.

use std::time::Duration;

use crate::node::{Node, nasty, transaction};

#[tokio::test]
async fn what_comes_in_by_smtp_lies_in_the_mailbox_as_it_was_sent() {
    let node = Node::new("mail.example.org", &["alice@example.org", "bob@example.org"], None).await;
    let to = ["alice@example.org", "Bob+x@example.org", "bob@example.org"];
    let text = format!("EHLO client.example\r\n{}QUIT\r\n", transaction("a@b.example", &to, &nasty()));
    let said = node.session(&*node.mx, &text).await;
    assert!(said.contains("\r\n354 ") && said.contains("\r\n250 2.0.0 accepted as "), "{said}");
    for user in ["alice@example.org", "bob@example.org"] {
        let texts = node.inbox_of(user, 1).await;
        let (trace, body) = texts[0].split_at(texts[0].find("Subject: n").unwrap());
        assert_eq!(body, nasty());
        assert!(trace.starts_with("Return-Path: <a@b.example>\r\nReceived: from client.example (local)\r\n\tby mail."));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(node.queued().await.is_empty());
}

#[tokio::test]
async fn strangers_are_not_relayed_for_and_unknown_users_are_refused() {
    let relay = Some("127.0.0.1:9".parse().unwrap());
    let node = Node::new("mail.example.org", &["alice@example.org"], relay).await;
    let text = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\nRCPT TO:<carol@example.org>\r\n\
                RCPT TO:<Postmaster>\r\nQUIT\r\n";
    let said = node.session(&*node.mx, text).await;
    assert!(said.contains("\r\n550 5.7.1 relaying is not allowed\r\n550 5.1.1 no such mailbox here\r\n250 "), "{said}");
    let said = node.session(&*node.submission, text).await;
    assert!(said.contains("\r\n530 5.7.0 "), "{said}");
}

#[tokio::test]
async fn users_send_under_their_own_names_only() {
    let node = Node::new("mail.example.org", &["alice@example.org", "bob@example.org"], None).await;
    // "\0alice\0secret"
    let login = "EHLO c.example\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n";
    let own = transaction("Alice+news@example.org", &["bob@example.org"], "S: 1\r\n\r\n");
    let said = node.session(&*node.submission, &format!("{login}{own}MAIL FROM:<bob@example.org>\r\nQUIT\r\n")).await;
    assert!(said.contains("\r\n235 ") && said.contains("accepted as"), "{said}");
    assert!(said.contains("\r\n553 5.7.1 the sender address is not yours\r\n"), "{said}");
    assert!(node.inbox_of("bob@example.org", 1).await[0].contains(" with ESMTPA id "));
}

#[tokio::test]
async fn lmtp_gives_each_recipient_a_verdict_and_stores_once() {
    let node = Node::new("mail.example.org", &["alice@example.org", "bob@example.org"], None).await;
    let to = ["alice@example.org", "nobody@example.org", "bob@example.org", "alice@example.org"];
    let text = format!("LHLO c.example\r\n{}QUIT\r\n", transaction("a@b.example", &to, &nasty()));
    let said = node.session(&*node.lmtp, &text).await;
    assert_eq!(said.matches("\r\n250 2.0.0 accepted as ").count(), 3, "{said}");
    assert_eq!(said.matches("\r\n550 5.1.1 ").count(), 1, "{said}");
    for user in ["alice@example.org", "bob@example.org"] {
        assert!(node.inbox_of(user, 1).await[0].ends_with(&nasty()));
    }
}
