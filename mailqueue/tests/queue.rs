//! What a queue does with mail, over a spool in memory and under a clock that the test moves.

#[cfg(test)]
#[allow(dead_code, reason = "each test binary uses its part")]
mod common {
    pub(crate) mod setting;
    pub(crate) mod world;
}

use std::pin::pin;

use common::setting::{config, setting, setting_with};
use common::world::{DAWN, later, letter, lost, never, recipient, seconds, took};
use mailqueue::testing::{Settled, block_on, settle};
use mailqueue::{
    Action, Clock, DeliverBy, Destination, Detail, EntryState, Held, Late, Outcome, Priority, QueueConfig, ReadError,
    RecipientState, Trouble, UnixMicros, Waiting,
};

const HOUR: u64 = 3600;

fn relay() -> Destination {
    Destination::remote("relay:mx.example.net:25")
}

fn local() -> Destination {
    Destination::idempotent("local")
}

#[test]
fn mail_is_delivered_and_forgotten() {
    let here = setting();
    let id = here.send_to(&relay(), &["a@x", "b@x"]);
    assert_eq!(here.list("all"), [id]);
    here.run_for(1);
    let seen = here.far.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].id, seen[0].attempt, seen[0].octets.len()), (id, 1, 24));
    assert_eq!(seen[0].addresses, ["a@x", "b@x"]);
    assert_eq!(here.list("all"), []);
    assert_eq!(block_on(here.queue.inspect(id)).unwrap_err(), ReadError::Unknown);
    let counters = here.queue.counters();
    assert_eq!((counters.accepted, counters.delivered, counters.messages), (1, 2, 0));
    assert_eq!((counters.active, counters.recipients, counters.flying), (0, 0, 0));
    let heard = here.heard.read();
    assert_eq!(heard, ["accepted", "attempted 1 relay:mx.example.net:25", "delivered a@x", "delivered b@x"]);
}

#[test]
fn each_destination_gets_a_batch_of_its_own() {
    let here = setting();
    let to = vec![recipient("a@x", &relay()), recipient("b@y", &local()), recipient("c@x", &relay())];
    here.send(letter(to, &here.clock));
    here.run_for(1);
    let mut batches: Vec<_> = here.far.seen().into_iter().map(|seen| (seen.destination, seen.addresses)).collect();
    batches.sort();
    assert_eq!(batches[0], ("local".to_owned(), vec!["b@y".to_owned()]));
    assert_eq!(batches[1].1, ["a@x", "c@x"]);
    assert_eq!(here.queue.counters().messages, 0);
}

#[test]
fn a_deferred_recipient_is_tried_again_on_the_curve_and_alone() {
    let here = setting();
    let id = here.send_to(&relay(), &["a@x", "slow@x"]);
    here.far.answer("slow@x", [later("greylisted"), later("still"), later("no")]);
    here.run_for(HOUR);
    let minutes: Vec<_> = here.times().iter().map(|seconds| seconds / 60).collect();
    assert_eq!(minutes, [0, 2, 6, 14]);
    let seen = here.far.seen();
    assert_eq!(seen[0].addresses, ["a@x", "slow@x"]);
    assert!(seen[1..].iter().all(|seen| seen.addresses == ["slow@x"]));
    assert_eq!(seen.iter().map(|seen| seen.attempt).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(block_on(here.queue.inspect(id)).unwrap_err(), ReadError::Unknown);
}

#[test]
fn a_waiting_recipient_says_why_and_until_when() {
    let here = setting();
    let id = here.send_to(&relay(), &["a@x"]);
    let detail = Detail { text: "try later".into(), status: "4.7.1".into(), remote: "mx.example.net".into() };
    let deferred =
        Outcome::Deferred { reason: detail.clone(), retry_after: Some(seconds(900)), class: Trouble::Connection };
    here.far.answer("a@x", [deferred]);
    here.run_for(60);
    let until = DAWN.after(seconds(900));
    let why = Waiting::Schedule { until };
    assert_eq!(here.states(id), [RecipientState::Waiting { why, attempts: 1, detail: Some(detail) }]);
    let inspection = block_on(here.queue.inspect(id)).unwrap();
    assert_eq!(inspection.envelope.sender, "sender@example.com");
    assert_eq!((inspection.entry.size, inspection.entry.age), (24, seconds(60)));
    assert_eq!(inspection.entry.state, EntryState::Deferred { until });
    let counters = here.queue.counters();
    assert_eq!((counters.active, counters.waiting, counters.deferred), (0, 1, 1));
}

#[test]
fn mail_is_given_up_by_age_after_a_last_attempt() {
    let here = setting();
    let id = here.send_to(&relay(), &["a@x"]);
    here.far.always("a@x", later("down"));
    here.run_for(6 * 24 * HOUR);
    let last = *here.times().last().unwrap();
    assert!((5 * 24 * HOUR..5 * 24 * HOUR + 2 * HOUR).contains(&last), "{last}");
    assert_eq!(block_on(here.queue.inspect(id)).unwrap_err(), ReadError::Unknown);
    assert_eq!((here.queue.counters().expired, here.queue.counters().messages), (1, 0));
}

#[test]
fn mail_that_is_too_old_already_is_tried_once() {
    let here = setting();
    let mut envelope = letter(vec![recipient("a@x", &relay())], &here.clock);
    envelope.arrived = UnixMicros(1);
    here.send(envelope);
    here.far.always("a@x", later("down"));
    here.run_for(24 * HOUR);
    assert_eq!(here.far.letters().len(), 1);
    assert_eq!(here.queue.counters().expired, 1);
}

#[test]
fn a_wall_clock_that_jumps_moves_no_attempt_and_ages_no_mail() {
    let here = setting();
    here.send_to(&relay(), &["a@x"]);
    here.far.answer("a@x", [later("one"), later("two"), later("three"), later("four")]);
    here.run_for(60);
    here.clock.set_wall(UnixMicros(0));
    here.run_for(100);
    here.clock.set_wall(DAWN.after(seconds(400 * 24 * HOUR)));
    here.run_for(400);
    here.clock.set_wall(DAWN);
    here.run_for(2 * HOUR);
    assert_eq!(here.times(), [0, 120, 360, 840, 1800]);
    assert_eq!((here.queue.counters().messages, here.queue.counters().expired), (0, 0));
}

#[test]
fn a_clock_that_was_wrong_at_a_start_expires_nothing_untried_and_freezes_nothing() {
    for wall in [UnixMicros(0), DAWN.after(seconds(400 * 24 * HOUR)), UnixMicros(DAWN.0 - 1_000_000_000)] {
        let mut here = setting();
        here.send_to(&relay(), &["a@x"]);
        here.far.answer("a@x", [later("one"), later("two"), later("three")]);
        here.run_for(10);
        here.clock.set_wall(wall);
        here.restart();
        here.run_for(3 * HOUR);
        assert_eq!(here.times().len(), 4, "{wall:?}");
        assert_eq!((here.queue.counters().expired, here.queue.counters().delivered), (0, 1), "{wall:?}");
    }
}

#[test]
fn a_restart_goes_on_with_the_wait_but_local_mail_goes_at_once() {
    let mut here = setting();
    here.send_to(&relay(), &["a@x"]);
    here.send_to(&local(), &["b@y"]);
    here.far.always("a@x", later("down"));
    here.far.answer("b@y", [later("locked")]);
    here.run_for(5);
    here.restart();
    here.run_for(200);
    let seen: Vec<_> = here.far.seen()[2..].iter().map(|seen| (seen.at.as_secs(), seen.addresses[0].clone())).collect();
    assert_eq!(seen, [(5, "b@y".to_owned()), (120, "a@x".to_owned())]);
}

#[test]
fn mail_for_others_that_a_crash_interrupted_goes_at_the_start_and_then_by_the_schedule() {
    let mut here = setting();
    let id = here.send_to(&relay(), &["a@x", "slow@x"]);
    let asleep = here.send_to(&relay(), &["b@x"]);
    here.far.takes(seconds(1));
    here.far.answer("b@x", [later("busy")]);
    here.far.answer("a@x", [later("busy")]);
    here.run_for(10);
    here.far.takes(seconds(30));
    // Now the second attempt of all is under way.
    here.run_for(120);
    here.restart();
    here.far.forget();
    here.run_for(1);
    assert_eq!((here.times(), here.far.addresses()), (vec![130, 130], vec!["a@x".into(), "b@x".into()]));
    assert!(matches!(here.states(asleep)[0], RecipientState::Waiting { attempts: 3, .. }), "interrupted once more");
    here.restart();
    here.far.forget();
    here.far.takes(seconds(0));
    here.run_for(HOUR);
    let waits: Vec<_> = here.times().iter().map(|at| at - 130).collect();
    assert_eq!(waits, [8 * 60, 8 * 60], "as after a third attempt");
    assert_eq!(block_on(here.queue.inspect(id)).unwrap_err(), ReadError::Unknown);
}

#[test]
fn a_start_takes_up_by_and_by_what_a_crash_interrupted() {
    let mut here = setting_with(QueueConfig { restart_rate: 2, ..config() });
    for number in 0..12 {
        here.send_to(&Destination::remote(format!("relay{number}")), &["a@x"]);
    }
    here.far.takes(seconds(30));
    here.run_for(1);
    assert_eq!(here.times(), [0; 12]);
    here.restart();
    here.far.forget();
    here.far.takes(seconds(0));
    here.run_for(10);
    assert_eq!(here.times(), [1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3]);
}

#[test]
fn a_site_takes_no_more_than_its_share_and_begins_with_less() {
    let here = setting_with(QueueConfig { per_destination: 4, ..config() });
    here.far.takes(seconds(10));
    for _ in 0..16 {
        here.send_to(&relay(), &["a@x"]);
    }
    let mut run = pin!(here.queue.run(here.far.clone()));
    for (done, flying) in [(0, 2), (2, 4), (6, 4), (10, 4), (14, 2), (16, 0)] {
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        let counters = here.queue.counters();
        assert_eq!((counters.delivered, counters.flying), (done, flying));
        here.clock.advance(seconds(10));
    }
    assert_eq!(here.far.most_flying(), 4);
}

#[test]
fn sites_take_turns_within_the_limit_of_all() {
    let here = setting_with(QueueConfig { concurrency: 2, ..config() });
    here.far.takes(seconds(1));
    for place in ["one", "two", "three"] {
        for _ in 0..4 {
            here.send_to(&Destination::remote(place), &[place]);
        }
    }
    let mut run = pin!(here.queue.run(here.far.clone()));
    for _ in 0..6 {
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        here.clock.advance(seconds(1));
    }
    assert_eq!(here.far.most_flying(), 2);
    assert_eq!(here.far.addresses(), ["one", "two", "three"].repeat(4));
}

#[test]
fn urgent_mail_goes_before_other_mail_for_the_same_place() {
    let here = setting_with(QueueConfig { per_destination: 1, ..config() });
    for (address, priority) in [("bulk@x", -4), ("normal@x", 0), ("urgent@x", 6)] {
        let mut envelope = letter(vec![recipient(address, &relay())], &here.clock);
        envelope.priority = Priority::new(priority);
        here.send(envelope);
    }
    here.run_for(1);
    assert_eq!(here.far.addresses(), ["urgent@x", "normal@x", "bulk@x"]);
}

#[test]
fn many_recipients_go_in_batches() {
    let here = setting();
    let addresses: Vec<String> = (0..250).map(|number| format!("u{number}@x")).collect();
    let to = addresses.iter().map(|address| recipient(address, &relay())).collect();
    here.send(letter(to, &here.clock));
    here.run_for(1);
    let sizes: Vec<_> = here.far.seen().iter().map(|seen| seen.addresses.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(here.far.addresses(), addresses);
}

#[test]
fn batches_of_one_message_fly_together_and_others_go_between() {
    let here = setting_with(QueueConfig { recipients_per_batch: 1, per_destination: 2, ..config() });
    here.far.takes(seconds(1));
    let large = (0..50).map(|number| recipient(&format!("u{number}@x"), &relay())).collect();
    here.send(letter(large, &here.clock));
    here.send_to(&relay(), &["small@x"]);
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    here.clock.advance(seconds(1));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(here.far.most_flying(), 2);
    assert!(here.far.addresses().contains(&"small@x".to_owned()), "{:?}", here.far.addresses());
}

#[test]
fn a_source_with_thousands_delays_another_by_a_few() {
    let here = setting_with(QueueConfig { per_destination: 1, active_messages: 500, ..config() });
    here.far.takes(seconds(1));
    let from = |source: &str, address: &str| {
        let mut envelope = letter(vec![recipient(address, &relay())], &here.clock);
        source.clone_into(&mut envelope.source);
        here.send(envelope);
    };
    (0..5000).for_each(|_| from("flood", "many@x"));
    from("alice", "one@x");
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    for _ in 0..20 {
        here.clock.advance(seconds(1));
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
    }
    from("bob", "two@x");
    for _ in 0..20 {
        here.clock.advance(seconds(1));
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
    }
    let place = |address: &str| here.far.addresses().iter().position(|one| one == address).unwrap();
    assert!(place("one@x") <= 3, "{}", place("one@x"));
    assert!(place("two@x") <= 24, "{}", place("two@x"));
    assert!(here.queue.counters().active < 500, "the flood leaves room: {:?}", here.queue.counters());
}

#[test]
fn more_than_fits_in_memory_is_delivered_all_the_same() {
    let here = setting_with(QueueConfig { active_messages: 10, active_recipients: 12, ..config() });
    let large = (0..30).map(|number| recipient(&format!("u{number}@x"), &relay())).collect();
    for number in 0..300 {
        here.send_to(&Destination::remote(format!("to{}", number % 50)), &["a@x", "b@x"]);
    }
    here.send(letter(large, &here.clock));
    assert!(here.queue.counters().recipients <= 12, "{:?}", here.queue.counters());
    here.run_for(HOUR);
    assert_eq!(here.far.addresses().len(), 630);
    let counters = here.queue.counters();
    assert_eq!((counters.messages, counters.delivered), (0, 630));
}

#[test]
fn a_held_message_stays_over_a_restart_until_it_is_released() {
    let mut here = setting();
    let id = here.send_to(&relay(), &["a@x"]);
    assert_eq!(here.apply(Action::Hold, &format!("id={id}")).changed, 1);
    here.run_for(24 * HOUR);
    here.restart();
    here.run_for(HOUR);
    assert_eq!(here.far.seen(), []);
    assert_eq!(here.entry(id).state, EntryState::Held { why: Held::Asked });
    assert_eq!((here.queue.counters().held, here.queue.counters().waiting), (1, 0));
    assert_eq!(here.apply(Action::Release, "state=held").changed, 1);
    here.run_for(1);
    assert_eq!(here.far.addresses(), ["a@x"]);
}

#[test]
fn a_message_may_be_held_or_removed_while_it_is_tried() {
    let here = setting();
    here.far.takes(seconds(10));
    let (held, removed) = (here.send_to(&relay(), &["h@x"]), here.send_to(&relay(), &["r@x"]));
    here.far.always("h@x", later("busy"));
    here.far.always("r@x", later("busy"));
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(here.queue.counters().flying, 2);
    here.apply(Action::Hold, &format!("id={held}"));
    here.apply(Action::Delete, &format!("id={removed}"));
    for _ in 0..20 {
        here.clock.advance(seconds(HOUR));
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
    }
    assert_eq!(here.far.seen().len(), 2);
    assert_eq!(here.apply(Action::Delete, &format!("id={removed}")).matched, 0);
    assert!(matches!(
        here.states(held)[0],
        RecipientState::Waiting { why: Waiting::Held(Held::Asked), attempts: 1, .. }
    ));
    let counters = here.queue.counters();
    assert_eq!((counters.messages, counters.flying, counters.removed, counters.held), (1, 0, 1, 1));
}

#[test]
fn a_drain_ends_the_run_when_attempts_have_ended() {
    let here = setting_with(QueueConfig { per_destination: 1, ..config() });
    here.far.takes(seconds(10));
    here.send_to(&relay(), &["a@x"]);
    here.send_to(&relay(), &["b@x"]);
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    here.queue.drain();
    assert_eq!(settle(run.as_mut()), Settled::Waiting, "an attempt is under way");
    here.clock.advance(seconds(10));
    assert_eq!(settle(run.as_mut()), Settled::Done(()));
    assert_eq!(here.far.addresses(), ["a@x"]);
    assert_eq!(here.list("all").len(), 1);
}

#[test]
fn mail_that_arrives_during_a_run_goes_at_once() {
    let here = setting();
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    here.send_to(&relay(), &["a@x"]);
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(here.far.addresses(), ["a@x"]);
}

#[test]
fn a_dropped_run_is_an_interrupted_attempt() {
    let here = setting();
    here.far.takes(seconds(10));
    let remote = here.send_to(&relay(), &["a@x"]);
    let near = here.send_to(&local(), &["b@y"]);
    {
        let mut run = pin!(here.queue.run(here.far.clone()));
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        assert_eq!(here.states(near), [RecipientState::Trying { attempt: 1 }]);
    }
    assert_eq!(here.queue.counters().flying, 0);
    assert!(matches!(here.states(remote)[0], RecipientState::Waiting { attempts: 1, .. }));
    here.run_for(20);
    assert_eq!(here.far.addresses()[2..], ["b@y"], "the relay may have it");
    here.run_for(HOUR);
    assert_eq!(here.far.addresses()[3..], ["a@x"]);
}

#[test]
fn a_transport_that_panics_or_says_too_little_is_asked_again() {
    let here = setting();
    here.send_to(&relay(), &["a@x"]);
    here.send_to(&relay(), &["b@x"]);
    here.far.panic(1);
    here.far.stay_silent(1);
    here.run_for(HOUR);
    let mut addresses = here.far.addresses();
    assert_eq!(addresses.len(), 4);
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses, ["a@x", "b@x"]);
    assert_eq!((here.queue.counters().messages, here.queue.counters().interrupted), (0, 2));
}

#[test]
fn what_ends_without_an_outcome_again_and_again_is_kept() {
    let mut here = setting();
    let id = here.send_to(&relay(), &["a@x"]);
    here.far.panic(2);
    here.run_for(HOUR);
    assert_eq!(here.far.letters().len(), 3, "two panics are forgiven by a third attempt that goes well");
    let id = {
        here.far.forget();
        let _ = id;
        here.send_to(&relay(), &["b@x"])
    };
    here.far.stay_silent(1);
    here.run_for(10);
    here.far.takes(seconds(10));
    {
        // The next attempt does not end before the process does.
        let mut run = pin!(here.queue.run(here.far.clone()));
        for _ in 0..3 {
            assert_eq!(settle(run.as_mut()), Settled::Waiting);
            let next = here.clock.next_wake().unwrap();
            if here.far.letters().len() < 2 {
                here.clock.advance(next - here.clock.now());
            }
        }
        assert_eq!(here.far.letters().len(), 2);
    }
    here.restart();
    here.far.takes(seconds(0));
    here.far.panic(1);
    here.run_for(24 * HOUR);
    assert_eq!(here.far.letters().len(), 3);
    assert_eq!(here.entry(id).state, EntryState::Held { why: Held::Poison });
    assert_eq!(here.queue.counters().poisoned, 1);
    assert!(here.heard.read().contains(&"held poison".to_owned()));
    here.restart();
    here.run_for(24 * HOUR);
    assert_eq!(here.entry(id).state, EntryState::Held { why: Held::Poison });
    assert_eq!(here.apply(Action::Release, &format!("id={id}")).changed, 1);
    here.run_for(1);
    assert_eq!(here.queue.counters().messages, 0);
}

#[test]
fn crashes_in_the_middle_of_the_same_attempt_end_in_quarantine() {
    let mut here = setting();
    let id = here.send_to(&local(), &["a@x"]);
    here.far.takes(seconds(10));
    for _ in 0..3 {
        here.run_for(1);
        here.restart();
    }
    assert_eq!(here.far.letters().len(), 3);
    here.run_for(HOUR);
    assert_eq!(here.far.letters().len(), 3);
    assert_eq!(here.entry(id).state, EntryState::Held { why: Held::Poison });
}

#[test]
fn long_replies_are_cut() {
    let here = setting();
    let id = here.send_to(&relay(), &["a@x"]);
    here.far.answer("a@x", [later(&"ä".repeat(5000))]);
    here.run_for(1);
    let states = here.states(id);
    let RecipientState::Waiting { detail: Some(detail), .. } = &states[0] else { panic!("{states:?}") };
    assert_eq!(detail.text, "ä".repeat(256));
}

#[test]
fn a_message_for_nobody_goes_away() {
    let here = setting();
    here.send(letter(Vec::new(), &here.clock));
    here.run_for(1);
    assert_eq!(here.queue.counters().messages, 0);
    assert_eq!(here.far.seen(), []);
}

#[test]
fn same_answers_for_all_take_no_time() {
    let here = setting();
    here.far.answer("a@x", [took()]);
    here.send_to(&relay(), &["a@x"]);
    here.run_for(0);
    assert_eq!(here.clock.now(), seconds(0));
    assert_eq!(here.queue.counters().delivered, 1);
}

#[test]
fn nothing_is_delivered_before_the_sender_wants_it_over_a_restart_too() {
    let mut here = setting();
    let mut envelope = letter(vec![recipient("a@x", &relay())], &here.clock);
    envelope.release = Some(DAWN.after(seconds(2 * HOUR)));
    let id = here.send(envelope);
    here.run_for(HOUR);
    let until = DAWN.after(seconds(2 * HOUR));
    assert!(
        matches!(&here.states(id)[0], RecipientState::Waiting { why: Waiting::Release { until: one }, .. } if *one == until)
    );
    assert_eq!(here.queue.counters().active, 0);
    here.restart();
    here.run_for(2 * HOUR);
    assert_eq!(here.times(), [2 * HOUR]);
}

#[test]
fn mail_that_is_too_late_goes_back_without_waiting_for_its_age() {
    let here = setting();
    let mut envelope = letter(vec![recipient("a@x", &relay())], &here.clock);
    envelope.deliver_by = Some(DeliverBy { until: DAWN.after(seconds(1000)), then: Late::Return });
    here.send(envelope);
    here.far.always("a@x", later("busy"));
    here.run_for(2 * HOUR);
    assert_eq!(here.times(), [0, 120, 360, 840]);
    assert_eq!((here.queue.counters().late, here.queue.counters().messages), (1, 0));
    let notifications = here.far.notifications();
    assert_eq!(notifications.len(), 1);
    assert!(notifications[0].contains("Action: failed"), "{notifications:?}");
}

#[test]
fn failures_are_told_by_their_reason() {
    let here = setting();
    here.far.set_way_back(None);
    here.far.answer("gone@x", [never("550 no such user")]);
    here.far.answer("far@x", [lost("timeout")]);
    here.send_to(&relay(), &["gone@x", "far@x"]);
    here.run_for(HOUR);
    let counters = here.queue.counters();
    assert_eq!((counters.refused, counters.delivered, counters.untold, counters.failed()), (1, 1, 1, 1));
    let heard = here.heard.read();
    assert!(heard.contains(&"failed gone@x refused".to_owned()), "{heard:?}");
    assert!(heard.contains(&"deferred far@x timeout".to_owned()), "{heard:?}");
    assert!(heard.contains(&"untold Ends".to_owned()), "{heard:?}");
}

#[test]
fn after_a_clock_was_set_each_recipient_keeps_its_own_wait() {
    for wall in [UnixMicros(DAWN.0 / 2), DAWN.after(seconds(400 * 24 * HOUR))] {
        let here = setting();
        here.clock.set_wall(wall);
        let to = vec![recipient("far@x", &relay()), recipient("near@y", &local())];
        here.send(letter(to, &here.clock));
        here.far.answer("far@x", [later("busy")]);
        here.far.answer("near@y", [later("locked"), later("locked")]);
        here.run_for(20);
        here.clock.set_wall(DAWN);
        here.run_for(HOUR);
        let times = |address: &str| -> Vec<u64> {
            let seen = here.far.letters();
            seen.iter().filter(|seen| seen.addresses == [address]).map(|seen| seen.at.as_secs()).collect()
        };
        assert_eq!((times("far@x"), times("near@y")), (vec![0, 120], vec![0, 10, 30]), "{wall:?}");
    }
}
