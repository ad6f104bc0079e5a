//! What an operator does with mail that leaves.

use serde_json::Value;

use super::{CAROL, SmtpSink, assert_has, letter, report, start_with_relay, submit};
use crate::mailctl;
use crate::node::{ALICE, free_port};

const TO_CAROL: &str = "<carol@example.net>";

fn state(message: &Value) -> &str {
    message["state"].as_str().unwrap()
}

/// Whether there is one message, in this state.
fn one(wanted: &str) -> impl Fn(&[Value]) -> bool + '_ {
    move |queued| queued.len() == 1 && state(&queued[0]) == wanted
}

#[test]
fn a_domain_is_suspended_and_resumed_and_one_message_of_it_is_held_and_released() {
    let Some(sink) = SmtpSink::start(&[]) else { return };
    let node = start_with_relay(sink.address(), &[]);
    let rule = mailctl::queue(&node, &["suspend", "domain=example.net", "--reason", "they asked for it", "--json"]);
    let rule: Value = serde_json::from_str(&rule).unwrap();
    for subject in ["first", "second"] {
        submit(&node, "", &[TO_CAROL], &letter(subject));
    }
    submit(&node, "", &["<dave@example.com>"], &letter("elsewhere"));
    // The one that is not meant goes at once.
    assert!(sink.wait_for(1)[0].contains("Subject: elsewhere"));
    let queued = mailctl::wait_for(&node, "two that are suspended", |queued| queued.len() == 2);
    assert!(queued.iter().all(|message| state(message) == "suspended"), "{queued:#?}");
    assert!(queued.iter().all(|message| message["source"] == ALICE.0 && message["sender"] == ALICE.0), "{queued:#?}");
    assert!(mailctl::queue(&node, &["rules"]).contains("they asked for it"));
    let held = queued[0]["id"].as_str().unwrap();
    mailctl::queue(&node, &["hold", &format!("id={held}")]);
    mailctl::queue(&node, &["resume", &rule["id"].to_string()]);
    sink.wait_for(2);
    let queued = mailctl::wait_for(&node, "the one that is held", one("held"));
    assert!(queued[0]["id"] == held && queued[0]["why"] == "asked", "{queued:#?}");
    mailctl::queue(&node, &["release", &format!("id={held}")]);
    let arrived = sink.wait_for(3);
    for subject in ["first", "second"] {
        assert_eq!(arrived.iter().filter(|text| text.contains(&format!("Subject: {subject}"))).count(), 1);
    }
    mailctl::wait_until_empty(&node);
    node.stop();
}

#[test]
fn what_is_bounced_is_reported_and_what_is_deleted_is_not() {
    let Some(sink) = SmtpSink::start(&[]) else { return };
    let node = start_with_relay(sink.address(), &[]);
    mailctl::queue(&node, &["suspend", "domain=example.net"]);
    submit(&node, "", &[TO_CAROL], &letter("deleted"));
    mailctl::wait_for(&node, "the message", one("suspended"));
    mailctl::queue(&node, &["delete", &format!("recipient={CAROL}")]);
    mailctl::wait_until_empty(&node);
    submit(&node, "", &[TO_CAROL], &letter("bounced"));
    mailctl::wait_for(&node, "the message", one("suspended"));
    mailctl::queue(&node, &["bounce", &format!("recipient={CAROL}")]);
    // Had the first been reported, this would be two.
    if let Some(lines) = report(&node) {
        assert_has(
            &lines,
            &[
                "type multipart/report delivery-status",
                "recipient 0 Final-Recipient: rfc822;carol@example.net",
                "recipient 0 Action: failed",
                "returned bounced",
            ],
        );
    }
    mailctl::wait_until_empty(&node);
    assert!(sink.messages().is_empty());
    node.stop();
}

#[test]
fn mail_for_a_relay_that_is_down_says_why_it_waits_and_goes_when_it_is_tried_again() {
    let port = free_port();
    let node = start_with_relay(([127, 0, 0, 1], port).into(), &[]);
    submit(&node, "", &[TO_CAROL], &letter("patient"));
    let told = |message: &Value| {
        let detail = &message["recipients"][0]["waits"]["detail"];
        let last = &message["recipients"][0]["detail"];
        [detail, last].iter().any(|detail| detail["text"].as_str().is_some_and(|text| text.contains("refused")))
    };
    let queued = mailctl::wait_for(&node, "why it waits", |queued| queued.iter().any(told));
    assert_eq!(queued.len(), 1);
    assert!(["deferred", "unreachable"].contains(&state(&queued[0])), "{queued:#?}");
    let page = mailctl::queue(&node, &["list"]);
    assert!(page.contains("refused") && page.contains(CAROL), "{page}");
    // It outlives the server.
    let node = node.stop().start();
    let Some(sink) = SmtpSink::start_at(port, &[]) else { return };
    mailctl::wait_for(&node, "the message", |queued| queued.len() == 1);
    mailctl::queue(&node, &["retry", &format!("recipient={CAROL}")]);
    assert!(sink.wait_for(1)[0].contains("Subject: patient"));
    mailctl::wait_until_empty(&node);
    node.stop();
}
