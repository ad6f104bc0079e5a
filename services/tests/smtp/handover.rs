//! LMTP between our own processes: what the queue calls a delivery, and how old the route is by which it came.

use mailqueue::MemorySpool;
use services::smtp::SmtpOptions;

use crate::node::{Node, Onward, options, stuffed};

const QUEUE: Option<&str> = Some("192.0.2.7:5000");
const ALICE: &str = "alice@example.org";
const BOB: &str = "bob@example.org";

async fn trusting() -> Node {
    let trusted_proxies = vec!["192.0.2.7".parse().unwrap()];
    let options = SmtpOptions { trusted_proxies, ..options("mail.example.org") };
    Node::with(MemorySpool::default(), options, &[ALICE, BOB], Onward::Nowhere).await
}

/// One message to recipients with parameters.
fn message(rcpts: &[(&str, &str)], text: &str) -> String {
    let rcpts: String = rcpts.iter().map(|(to, parameters)| format!("RCPT TO:<{to}> {parameters}\r\n")).collect();
    format!("LHLO queue.example\r\nMAIL FROM:<a@b.example>\r\n{rcpts}DATA\r\n{}QUIT\r\n", stuffed(text))
}

#[tokio::test]
async fn a_delivery_that_is_handed_over_again_is_the_same_message() {
    let node = trusting().await;
    for text in ["S: first\r\n\r\n", "S: again\r\n\r\n"] {
        let rcpts = [(ALICE, "XDELIVERY=q7x2.0 XEPOCH=0"), (BOB, "XDELIVERY=q7x2.1 XEPOCH=3")];
        let said = node.session_from(QUEUE, &*node.lmtp, &message(&rcpts, text)).await;
        assert!(said.contains("\r\n250-XHANDOVER\r\n") || said.contains("\r\n250 XHANDOVER\r\n"), "{said}");
        assert_eq!(said.matches("accepted as").count(), 2, "{said}");
    }
    let other = message(&[(ALICE, "XDELIVERY=q7x3.0")], "S: other\r\n\r\n");
    assert!(node.session_from(QUEUE, &*node.lmtp, &other).await.contains("accepted as"));
    let texts = node.inbox_of(ALICE, 2).await;
    assert!(texts[0].contains("S: first") && texts[1].contains("S: other"), "{texts:?}");
    assert!(node.inbox_of(BOB, 1).await[0].contains("S: first"));
}

#[tokio::test]
async fn without_a_name_each_message_is_a_delivery_of_its_own() {
    let node = trusting().await;
    for text in ["S: first\r\n\r\n", "S: again\r\n\r\n"] {
        let rcpts = [(ALICE, "XDELIVERY=q7x2.0"), (BOB, "")];
        let said = node.session_from(QUEUE, &*node.lmtp, &message(&rcpts, text)).await;
        assert_eq!(said.matches("accepted as").count(), 2, "{said}");
    }
    node.inbox_of(ALICE, 1).await;
    node.inbox_of(BOB, 2).await;
}

#[tokio::test]
async fn strangers_name_no_deliveries() {
    let node = trusting().await;
    for parameter in ["XDELIVERY=q7x2.0", "XEPOCH=0"] {
        for peer in [None, Some("192.0.2.8:5000")] {
            let said = node.session_from(peer, &*node.lmtp, &message(&[(ALICE, parameter)], "S: 1\r\n\r\n")).await;
            assert!(said.contains("\r\n555 5.5.4 ") && !said.contains("XHANDOVER"), "{said}");
        }
        // Nor does the queue take names from anybody.
        let text = format!("EHLO q\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<{ALICE}> {parameter}\r\nQUIT\r\n");
        let said = node.session_from(QUEUE, &*node.mx, &text).await;
        assert!(said.contains("\r\n555 5.5.4 "), "{said}");
    }
    assert!(node.inbox(ALICE).await.is_empty());
}

#[tokio::test]
async fn a_name_that_no_delivery_can_have_is_refused_for_good() {
    let node = trusting().await;
    let rcpts = [(ALICE, "XDELIVERY=a/b"), (BOB, "XDELIVERY=q7x2.0")];
    let said = node.session_from(QUEUE, &*node.lmtp, &message(&rcpts, "S: 1\r\n\r\n")).await;
    assert!(said.contains("\r\n554 5.5.4 no delivery can be called that\r\n250 2.0.0 accepted as "), "{said}");
}
