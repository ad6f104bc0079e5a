//! What a queue does about sites: many destinations behind one, and nobody who answers.

#[cfg(test)]
#[allow(dead_code, reason = "each test binary uses its part")]
mod common {
    pub(crate) mod setting;
    pub(crate) mod world;
}

use std::pin::pin;

use common::setting::{Setting, config, setting, setting_with};
use common::world::{DAWN, later, letter, recipient, seconds};
use mailqueue::testing::{Settled, block_on, settle};
use mailqueue::{Action, Clock, Destination, EntryState, QueueConfig, ReadError, RecipientState, SiteState, Waiting};

const HOUR: u64 = 3600;

fn mx(domain: &str) -> Destination {
    Destination::remote(format!("mx:{domain}"))
}

/// Three domains at one provider, which is down.
fn outage(config: QueueConfig) -> Setting {
    let here = setting_with(config);
    for domain in ["a.example", "b.example", "c.example"] {
        here.far.site(mx(domain).key(), "mx1.provider,mx2.provider");
        here.far.down(mx(domain).key(), "connection refused");
    }
    here
}

fn end_of_outage(here: &Setting) {
    for domain in ["a.example", "b.example", "c.example"] {
        here.far.up(mx(domain).key());
    }
}

/// Sends to the three domains by turns.
fn send(here: &Setting, count: usize) {
    for (number, domain) in (0..count).zip(["a.example", "b.example", "c.example"].into_iter().cycle()) {
        here.send_to(&mx(domain), &[&format!("u{number}@{domain}")]);
    }
}

#[test]
fn destinations_of_one_site_share_its_window() {
    let here = setting_with(QueueConfig { per_destination: 3, ..config() });
    for domain in ["a.example", "b.example", "c.example"] {
        here.far.site(mx(domain).key(), "provider");
    }
    here.far.takes(seconds(1));
    send(&here, 30);
    here.run_for(60);
    assert_eq!(here.far.most_flying(), 3);
    assert_eq!(here.queue.counters().delivered, 30);
    assert_eq!(here.far.asked().len(), 3, "each destination is asked for once");
    assert_eq!(here.queue.sites().len(), 1);
    here.run_for(6 * 60);
    send(&here, 3);
    here.run_for(1);
    assert_eq!(here.far.asked().len(), 6, "the transport's word holds for five minutes");
}

#[test]
fn an_unreachable_site_is_left_alone_but_for_one_probe_at_a_time() {
    let here = outage(config());
    send(&here, 60);
    here.run_for(60);
    // Two at a time, until five in a row have failed.
    let first = here.times().len();
    assert!((5..=6).contains(&first), "{:?}", here.times());
    let sites = here.queue.sites();
    assert_eq!(sites.len(), 1);
    assert_eq!(&*sites[0].name, "mx1.provider,mx2.provider");
    let SiteState::Unreachable { since, probe_at } = sites[0].state else { panic!("{sites:?}") };
    assert_eq!((since, probe_at), (DAWN, DAWN.after(seconds(300))));
    assert!(sites[0].waiting >= 54, "{sites:?}");
    assert_eq!(sites[0].detail.as_ref().unwrap().text, "connection refused");
    assert_eq!(here.queue.counters().active, 0, "those who wait there cost no memory");
    let heard = here.heard.read();
    assert_eq!(heard.iter().filter(|one| one.starts_with("unreachable")).count(), 1);
    here.run_for(2 * HOUR);
    let probes: Vec<_> = here.times()[first..].iter().map(|at| at / 60).collect();
    assert_eq!(probes, [5, 15, 35, 75,], "{:?}", here.times());
}

#[test]
fn who_waits_for_a_site_spends_no_attempts_and_says_why() {
    let here = outage(config());
    send(&here, 12);
    here.run_for(60);
    let entries = block_on(here.queue.list(&"state=unreachable".parse().unwrap(), None, 100)).unwrap().entries;
    assert!((6..=7).contains(&entries.len()), "{}", entries.len());
    for entry in entries {
        let EntryState::Unreachable { site, probe_at } = &entry.state else { panic!("{entry:?}") };
        assert_eq!((&**site, *probe_at), ("mx1.provider,mx2.provider", DAWN.after(seconds(300))));
        let state = &entry.recipients[0].state;
        let RecipientState::Waiting { why: Waiting::Unreachable { detail, .. }, attempts: 0, detail: None } = state
        else {
            panic!("{state:?}")
        };
        assert_eq!(detail.text, "connection refused");
    }
    assert!(!here.list("text=refused site=mx1*").is_empty());
}

#[test]
fn after_an_outage_mail_goes_in_order_of_arrival_and_not_all_at_once() {
    let here = outage(config());
    send(&here, 200);
    here.run_for(20 * 60);
    end_of_outage(&here);
    here.far.takes(seconds(10));
    here.far.forget();
    let mut run = pin!(here.queue.run(here.far.clone()));
    let mut flying = Vec::new();
    for _ in 0..400 {
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        flying.push(here.queue.counters().flying);
        here.clock.advance(seconds(10));
    }
    flying.dedup();
    let rise: Vec<_> = flying.iter().copied().skip_while(|count| *count == 0).take(4).collect();
    assert!(rise[0] == 1 && rise.windows(2).all(|pair| pair[1] <= pair[0] * 2 + 2), "{rise:?}");
    assert_eq!(here.queue.counters().messages, 0);
    assert_eq!(here.far.letters().len(), 200);
    assert!(here.far.most_flying() <= 20);
    let heard = here.heard.read();
    assert!(heard.contains(&"reachable mx1.provider,mx2.provider".to_owned()));
    // The oldest go first, but for those with an attempt of their own behind them.
    let number = |address: &String| address.split(['u', '@']).nth(1).and_then(|number| number.parse::<u32>().ok());
    let numbers: Vec<_> = here.far.addresses().iter().filter_map(number).collect();
    let untried: Vec<_> = numbers.iter().copied().filter(|number| *number > 20).collect();
    let early = untried.iter().take(60).filter(|number| **number < 120).count();
    assert!(early > 50, "{untried:?}");
}

#[test]
fn mail_grows_too_old_at_a_site_without_an_attempt_of_its_own() {
    let here = outage(config());
    send(&here, 30);
    here.run_for(5 * 24 * HOUR + 2 * HOUR);
    let counters = here.queue.counters();
    assert_eq!((counters.expired, counters.messages), (30, 0), "{counters:?}");
    let letters = here.far.letters().len();
    assert!(letters < 160, "probes alone: {letters}");
    let notifications = here.far.notifications();
    assert!(notifications.iter().filter(|text| text.contains("Action: failed")).count() == 30);
    let silent: Vec<_> = notifications.iter().filter(|text| !text.contains("connection refused")).collect();
    assert!(silent.is_empty(), "without the site's last words: {}", silent[0]);
}

#[test]
fn one_site_that_is_down_holds_up_no_other() {
    let here = outage(QueueConfig { concurrency: 4, ..config() });
    here.far.takes(seconds(30));
    send(&here, 50);
    for number in 0..10 {
        here.send_to(&mx("fine.example"), &[&format!("f{number}@fine.example")]);
    }
    here.run_for(10 * 60);
    assert_eq!(here.queue.counters().delivered, 10);
}

#[test]
fn greylisting_is_no_outage() {
    let here = setting();
    for number in 0..20 {
        here.far.answer(&format!("u{number}@a"), [later("greylisted")]);
        here.send_to(&mx("a"), &[&format!("u{number}@a")]);
    }
    here.run_for(10);
    assert_eq!(here.far.letters().len(), 20);
    assert!(matches!(
        here.queue.sites()[..],
        [] | [mailqueue::Site { state: SiteState::Reachable { failures: 0 }, .. }]
    ));
}

#[test]
fn a_flush_looks_once_and_sends_nobody_after_it_in_vain() {
    let here = outage(config());
    send(&here, 50);
    here.run_for(60);
    here.far.forget();
    let tally = here.apply(Action::Retry, "domain=*.example");
    assert_eq!(tally.changed, 50);
    here.run_for(1);
    assert_eq!(here.far.letters().len(), 1, "{:?}", here.far.addresses());
    end_of_outage(&here);
    here.apply(Action::Retry, "site=mx1*");
    here.run_for(1);
    assert_eq!(here.queue.counters().messages, 0);
}

#[test]
fn a_site_is_forgotten_with_its_mail() {
    let here = outage(config());
    send(&here, 10);
    here.run_for(60);
    here.apply(Action::Delete, "all");
    assert_eq!(here.queue.counters().messages, 0);
    here.run_for(24 * HOUR);
    assert_eq!((here.queue.sites(), here.queue.counters().unreachable), (Vec::new(), 0));
}

#[test]
fn a_start_does_not_dial_everybody_at_once() {
    let mut here = setting_with(QueueConfig { restart_rate: 10, per_destination: 2, ..config() });
    let ids: Vec<_> = (0..500).map(|number| here.send_to(&mx(&format!("d{number}")), &["a@x"])).collect();
    here.restart();
    let mut run = pin!(here.queue.run(here.far.clone()));
    let mut taken = Vec::new();
    for _ in 0..6 {
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        taken.push(here.far.seen().len());
        here.clock.advance(seconds(1));
    }
    assert_eq!(taken, [10, 30, 70, 150, 310, 500]);
    let first: Vec<_> = here.far.seen().iter().take(10).map(|seen| seen.id).collect();
    assert_eq!(first, ids[..10], "the oldest first");
}

#[test]
fn what_arrives_after_a_start_does_not_wait_for_what_was_there() {
    let mut here = setting_with(QueueConfig { restart_rate: 1, ..config() });
    for number in 0..100 {
        here.send_to(&mx(&format!("d{number}")), &["old@x"]);
    }
    here.restart();
    here.send_to(&mx("new"), &["new@x"]);
    here.run_for(0);
    assert!(here.far.addresses().contains(&"new@x".to_owned()));
    assert!(here.far.addresses().len() <= 2, "{:?}", here.far.addresses());
}

#[test]
fn a_transport_that_does_not_know_a_site_does_not_hold_up_mail() {
    struct Slow;
    impl mailqueue::Transport for Slow {
        async fn deliver(&self, batch: mailqueue::Batch) -> Vec<mailqueue::Outcome> {
            batch.recipients.iter().map(|_| common::world::took()).collect()
        }
        async fn site(&self, destination: &Destination) -> std::sync::Arc<str> {
            assert!(destination.key() != "panics");
            std::future::pending().await
        }
        async fn way_back(&self, _: &str) -> Option<mailqueue::Recipient> {
            None
        }
    }
    let here = setting();
    here.send_to(&Destination::remote("panics"), &["a@x"]);
    here.send_to(&Destination::remote("waits"), &["b@x"]);
    let mut run = pin!(here.queue.run(Slow));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(here.queue.counters().delivered, 1);
    here.clock.advance(seconds(30));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(here.queue.counters().delivered, 2);
}

#[test]
fn a_probe_that_nobody_answers_for_is_not_the_last() {
    let here = outage(config());
    send(&here, 20);
    here.run_for(60);
    here.far.panic(1);
    here.run_for(HOUR);
    assert!(here.times().iter().filter(|at| **at >= 300).count() >= 3, "{:?}", here.times());
    end_of_outage(&here);
    here.run_for(2 * HOUR);
    assert_eq!(here.queue.counters().messages, 0);
}

#[test]
fn local_mailboxes_are_looked_for_soon() {
    let here = setting();
    let local = Destination::idempotent("local");
    here.far.down("local", "the store is down");
    let ids: Vec<_> = (0..20).map(|number| here.send_to(&local, &[&format!("u{number}@x")])).collect();
    here.run_for(120);
    here.far.up("local");
    here.run_for(300);
    assert_eq!(here.queue.counters().messages, 0);
    assert_eq!(block_on(here.queue.inspect(ids[0])).unwrap_err(), ReadError::Unknown);
    assert!(here.clock.now() < seconds(HOUR));
}

#[test]
fn both_destinations_of_a_message_that_share_a_site_go_on_after_an_outage() {
    let here = outage(config());
    send(&here, 12);
    let both = [("u@a.example", "a.example"), ("v@b.example", "b.example"), ("w@fine.example", "fine.example")];
    let to = both.iter().map(|(address, domain)| recipient(address, &mx(domain))).collect();
    here.send(letter(to, &here.clock));
    here.run_for(16 * 60);
    end_of_outage(&here);
    here.run_for(HOUR);
    let counters = here.queue.counters();
    assert_eq!((counters.messages, counters.delivered), (0, 15), "{counters:?}");
}

#[test]
fn mail_for_two_sites_that_are_down_goes_on_with_each() {
    let here = setting();
    for place in ["one", "two"] {
        here.far.down(mx(place).key(), "connection refused");
        (0..8).for_each(|_| {
            here.send_to(&mx(place), &["x@y"]);
        });
    }
    here.send(letter(vec![recipient("a@one", &mx("one")), recipient("b@two", &mx("two"))], &here.clock));
    here.run_for(10 * 60);
    here.far.up(mx("one").key());
    here.run_for(HOUR);
    assert!(here.far.addresses().contains(&"a@one".to_owned()));
    assert_eq!(here.queue.counters().delivered, 9);
    here.far.up(mx("two").key());
    here.run_for(2 * HOUR);
    assert_eq!((here.queue.counters().messages, here.queue.counters().delivered), (0, 18));
}
