//! What senders hear, and when.

#[cfg(test)]
#[allow(dead_code, reason = "each test binary uses its part")]
mod common {
    pub(crate) mod setting;
    pub(crate) mod world;
}

use std::pin::pin;

use common::setting::{Setting, config, setting, setting_with};
use common::world::{DAWN, later, letter, never, recipient, seconds};
use mailqueue::testing::{Settled, block_on, settle};
use mailqueue::{
    Action, DeliverBy, Destination, Detail, Envelope, Handed, Late, Outcome, Parameter, Priority, QueueConfig,
    Recipient, Reporting,
};

const HOUR: u64 = 3600;

fn relay() -> Destination {
    Destination::remote("relay")
}

fn delivered(handed: Handed) -> Outcome {
    Outcome::Delivered { detail: Detail::from("250 ok"), handed }
}

fn wanting(address: &str, notify: Option<&str>) -> Recipient {
    let parameters = notify.map(|value| Parameter::new("NOTIFY", value)).into_iter().collect();
    Recipient { parameters, ..recipient(address, &relay()) }
}

fn from_with(here: &Setting, sender: &str, recipients: Vec<Recipient>) -> Envelope {
    Envelope { sender: sender.to_owned(), ..letter(recipients, &here.clock) }
}

/// What is told when one recipient ends so, with that NOTIFY.
fn told(notify: Option<&str>, sender: &str, outcome: Outcome) -> Vec<String> {
    let here = setting();
    here.far.answer("bob@x", [outcome]);
    here.send(from_with(&here, sender, vec![wanting("bob@x", notify)]));
    here.run_for(HOUR);
    assert_eq!(here.queue.counters().messages, 0, "{notify:?}");
    // A letter from nobody looks like a notification.
    let all = here.far.notifications();
    all.into_iter().filter(|text| text.contains("multipart/report")).collect()
}

#[test]
fn senders_hear_what_they_asked_for() {
    let failed = || never("550 5.1.1 no such user");
    let table = [
        (None, failed(), Some("failed")),
        (None, delivered(Handed::Mailbox), None),
        (None, delivered(Handed::Relayed), None),
        (Some("FAILURE"), failed(), Some("failed")),
        (Some("SUCCESS,FAILURE"), failed(), Some("failed")),
        (Some("SUCCESS"), failed(), None),
        (Some("DELAY"), failed(), None),
        (Some("NEVER"), failed(), None),
        (Some("SUCCESS"), delivered(Handed::Mailbox), Some("delivered")),
        (Some("SUCCESS"), delivered(Handed::Relayed), Some("relayed")),
        (Some("SUCCESS"), delivered(Handed::WithDuty), None),
        (Some("FAILURE"), delivered(Handed::Mailbox), None),
        (Some("NEVER"), delivered(Handed::Mailbox), None),
    ];
    for (notify, outcome, expected) in table {
        let told_to = told(notify, "alice@y", outcome.clone());
        match expected {
            Some(action) => {
                assert_eq!(told_to.len(), 1, "{notify:?} {outcome:?}");
                assert!(told_to[0].contains(&format!("Action: {action}\r\n")), "{notify:?} {outcome:?}");
            }
            None => assert!(told_to.is_empty(), "{notify:?} {outcome:?}"),
        }
        assert!(told(notify, "", outcome).is_empty(), "never about a notification");
    }
}

#[test]
fn a_notification_comes_from_nobody_and_goes_to_the_sender_at_once() {
    let here = setting();
    here.far.answer("gone@x", [never("550 5.1.1 no such user")]);
    let mut envelope = from_with(&here, "alice@y", vec![wanting("gone@x", None)]);
    envelope.priority = Priority::new(4);
    envelope.source = "alice".to_owned();
    here.send(envelope);
    here.run_for(0);
    let seen = here.far.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[1].sender.as_str(), seen[1].destination.as_str()), ("", "back"));
    assert_eq!(seen[1].addresses, ["alice@y"]);
    let counters = here.queue.counters();
    assert_eq!((counters.accepted, counters.refused, counters.notified, counters.messages), (2, 1, 1, 0));
    let heard = here.heard.read();
    let after: Vec<_> = heard.iter().skip_while(|one| !one.starts_with("failed")).collect();
    assert_eq!(after[..3], ["failed gone@x refused", "accepted", "notified Ends"]);
}

#[test]
fn recipients_that_end_together_share_a_notification() {
    let here = setting();
    for address in ["a@x", "b@x"] {
        here.far.answer(address, [never("550 no")]);
    }
    here.far.answer("c@x", [later("busy"), never("550 no, after all")]);
    here.far.answer("d@x", [later("busy"), later("busy"), later("busy"), never("554 not ever")]);
    here.send_to(&relay(), &["a@x", "b@x", "c@x", "d@x", "fine@x"]);
    here.run_for(100);
    assert_eq!(here.far.notifications().len(), 1, "half a minute later, though others wait on");
    assert_eq!(here.far.notifications()[0].matches("Action: failed").count(), 2);
    here.run_for(HOUR);
    let all = here.far.notifications();
    assert_eq!(all.iter().map(|text| text.matches("Action: failed").count()).collect::<Vec<_>>(), [2, 1, 1]);
    assert_eq!(here.queue.counters().messages, 0);
}

#[test]
fn ends_within_half_a_minute_go_into_one() {
    let here = setting();
    let mut to = vec![recipient("a@x", &relay())];
    to.push(recipient("b@y", &Destination::idempotent("local")));
    here.far.answer("a@x", [never("550 no")]);
    here.far.answer("b@y", [later("locked"), never("no mailbox")]);
    here.send(letter(to, &here.clock));
    here.run_for(60);
    assert_eq!(here.far.notifications().len(), 1);
    assert_eq!(here.far.notifications()[0].matches("Action: failed").count(), 2);
}

#[test]
fn a_sender_is_told_once_that_it_takes_long() {
    let mut here = setting();
    here.far.always("slow@x", later("451 busy"));
    here.far.always("quiet@x", later("451 busy"));
    here.far.always("told@x", later("451 busy"));
    here.send(from_with(&here, "alice@y", vec![wanting("slow@x", None), wanting("quiet@x", Some("FAILURE"))]));
    here.send(from_with(&here, "alice@y", vec![wanting("quiet@x", Some("NEVER"))]));
    here.send(from_with(&here, "alice@y", vec![wanting("told@x", Some("DELAY"))]));
    here.send(from_with(&here, "", vec![wanting("slow@x", None)]));
    here.run_for(4 * HOUR - 10);
    assert_eq!(here.queue.counters().warned, 0);
    here.run_for(20);
    assert_eq!(here.queue.counters().warned, 2);
    here.restart();
    here.run_for(24 * HOUR);
    let delays: Vec<_> = here.far.notifications().into_iter().filter(|text| text.contains("Action: delayed")).collect();
    assert_eq!(delays.len(), 2);
    assert!(delays[0].contains("slow@x") && !delays[0].contains("quiet@x"));
    assert!(delays[0].contains("Will-Retry-Until: Wed, 20 Jan 2027 08:00:00 +0000"), "{}", delays[0]);
}

#[test]
fn a_sender_who_named_a_time_is_told_then_and_deliveries_go_on() {
    let here = setting();
    here.far.answer("a@x", [later("busy"), later("busy"), later("busy"), later("busy")]);
    let mut envelope = letter(vec![recipient("a@x", &relay())], &here.clock);
    envelope.deliver_by = Some(DeliverBy { until: DAWN.after(seconds(600)), then: Late::Notify });
    here.send(envelope);
    here.run_for(599);
    assert_eq!(here.far.notifications().len(), 0);
    here.run_for(2);
    assert!(here.far.notifications()[0].contains("Action: delayed"));
    here.run_for(24 * HOUR);
    assert_eq!(here.far.notifications().len(), 1);
    assert_eq!(here.queue.counters().delivered, 2);
}

#[test]
fn a_crash_neither_loses_nor_doubles_a_notification() {
    // Stops after so many polls, at every place where the queue waits for anything.
    for polls in 0..40 {
        let mut here = setting();
        here.far.takes(seconds(1));
        here.far.answer("gone@x", [never("550 no")]);
        here.send_to(&relay(), &["gone@x"]);
        {
            let mut run = pin!(here.queue.run(here.far.clone()));
            for _ in 0..polls {
                assert_eq!(settle(run.as_mut()), Settled::Waiting);
                here.clock.advance(seconds(1) / 8);
            }
        }
        here.restart();
        here.far.always("gone@x", never("550 no"));
        here.run_for(24 * HOUR);
        let told = here.queue.counters().notified + u64::from(here.far.notifications().len() > 1) * 100;
        let copies = here.far.notifications();
        let different: std::collections::BTreeSet<_> = copies.iter().collect();
        assert_eq!(different.len(), 1, "after {polls} polls: {told}");
        assert_eq!(here.queue.counters().messages, 0);
    }
}

#[test]
fn what_is_due_at_a_crash_is_told_after_the_start() {
    let mut here = setting();
    here.far.answer("gone@x", [never("550 no")]);
    here.far.always("slow@x", later("busy"));
    here.send_to(&relay(), &["gone@x", "slow@x"]);
    here.run_for(10);
    assert_eq!(here.far.notifications().len(), 0);
    here.restart();
    here.run_for(10);
    assert_eq!(here.far.notifications().len(), 1);
    here.restart();
    here.run_for(HOUR);
    assert_eq!(here.far.notifications().len(), 1);
}

#[test]
fn a_way_back_that_is_not_known_now_is_asked_for_again() {
    struct Forgetful(common::world::FarSide, std::sync::atomic::AtomicUsize);
    impl mailqueue::Transport for Forgetful {
        async fn deliver(&self, batch: mailqueue::Batch) -> Vec<Outcome> {
            self.0.deliver(batch).await
        }
        async fn way_back(&self, sender: &str) -> Option<Recipient> {
            assert!(self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 1, "not yet");
            self.0.way_back(sender).await
        }
    }
    let here = setting();
    here.far.answer("gone@x", [never("550 no")]);
    here.send_to(&relay(), &["gone@x"]);
    let mut run = pin!(here.queue.run(Forgetful(here.far.clone(), Default::default())));
    for _ in 0..10 {
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        here.clock.advance(seconds(5));
    }
    assert_eq!(here.far.notifications().len(), 1);
    assert_eq!(here.queue.counters().messages, 0);
}

#[test]
fn only_small_mail_comes_back_whole() {
    for (limit, is_whole) in [(23, false), (24, true)] {
        let reporting = Reporting { full_limit: limit, host: "mx.here.example".to_owned(), ..Reporting::default() };
        let here = setting_with(QueueConfig { reporting, ..config() });
        here.far.answer("gone@x", [never("550 no")]);
        let mut envelope = from_with(&here, "alice@y", vec![wanting("gone@x", None)]);
        envelope.parameters = vec![Parameter::new("RET", "FULL")];
        here.send(envelope);
        here.run_for(1);
        let text = &here.far.notifications()[0];
        assert!(text.contains("Subject: hello") && text.contains("mx.here.example"), "{text}");
        assert_eq!(text.contains("text\r\n"), is_whole, "{text}");
    }
}

#[test]
fn a_notification_that_cannot_be_delivered_is_given_up_in_silence() {
    let here = setting();
    here.far.down("back", "nobody there");
    here.far.answer("gone@x", [never("550 no")]);
    here.send_to(&relay(), &["gone@x"]);
    here.run_for(3 * 24 * HOUR);
    let counters = here.queue.counters();
    assert_eq!((counters.messages, counters.notified, counters.expired, counters.untold), (0, 1, 1, 1));
}

#[test]
fn bounced_mail_is_told_of_and_deleted_mail_is_not() {
    let here = setting();
    here.far.always("a@x", later("451 busy"));
    here.far.always("b@y", later("451 busy"));
    let both = here.send(letter(vec![recipient("a@x", &relay()), recipient("b@y", &relay())], &here.clock));
    let held = here.send_to(&relay(), &["a@x"]);
    let deleted = here.send_to(&relay(), &["a@x"]);
    here.run_for(10);
    here.apply(Action::Hold, &format!("id={held}"));
    assert_eq!(here.apply(Action::Delete, &format!("id={deleted}")).changed, 1);
    assert_eq!(here.apply(Action::Bounce, "domain=x").changed, 2);
    here.run_for(60);
    let notifications = here.far.notifications();
    assert_eq!(notifications.len(), 2);
    assert!(
        notifications.iter().all(|text| text.contains("a@x") && !text.contains("b@y") && text.contains("451 busy"))
    );
    assert_eq!(here.list("all"), [both]);
    assert_eq!(here.queue.counters().bounced, 2);
    assert!(block_on(here.queue.inspect(held)).is_err());
}
