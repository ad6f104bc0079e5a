//! Mail for users, sent by hand.

use crate::dialogue::Dialogue;
use crate::node::Node;

/// Gives the queue a message; it is in the mailbox soon.
pub(crate) fn by_smtp(node: &Node, (to, _): (&str, &str), message: &str) {
    send(Dialogue::tcp(node.address("smtp")).unwrap(), "EHLO", to, message);
}

/// Gives the store a message; it is in the mailbox when this returns.
pub(crate) fn by_lmtp(node: &Node, (to, _): (&str, &str), message: &str) {
    send(Dialogue::unix(&node.lmtp()).unwrap(), "LHLO", to, message);
}

fn send(mut dialogue: Dialogue, hello: &str, to: &str, message: &str) {
    dialogue.reply().unwrap();
    dialogue.smtp(&format!("{hello} client.example.net"), "250").unwrap();
    dialogue.transaction("test@example.net", &[to], message.as_bytes()).unwrap();
    let verdict = dialogue.reply().unwrap();
    assert!(verdict.starts_with("250"), "{verdict}");
    dialogue.smtp("QUIT", "221").unwrap();
}
