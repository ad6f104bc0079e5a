//! What a queue does with mail, over a spool in memory and under a clock that the test moves.

#[cfg(test)]
mod common;

use std::pin::pin;

use common::setting::{config, queue_of, setting, setting_with};
use common::world::{DAWN, later, letter, never, recipient, run_for, seconds, took};
use mailqueue::testing::{Settled, block_on, settle};
use mailqueue::{
    Clock, Destination, Detail, Held, Outcome, Priority, QueueConfig, ReadError, RecipientState, RecordError, Standing,
    Trouble, UnixMicros,
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
    assert_eq!(here.queue.list(None, 10).len(), 1);
    here.run_for(1);
    let seen = here.far.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].id, seen[0].attempt, seen[0].octets), (id, 1, 24));
    assert_eq!(seen[0].addresses, ["a@x", "b@x"]);
    assert_eq!(here.queue.list(None, 10), []);
    assert_eq!(block_on(here.queue.inspect(id)).unwrap_err(), ReadError::Unknown);
    let counters = here.queue.counters();
    assert_eq!((counters.accepted, counters.delivered, counters.messages), (1, 2, 0));
    assert_eq!((counters.waiting, counters.trying, counters.flying, counters.destinations), (0, 0, 0, 0));
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
    assert_eq!(here.states(id), [RecipientState::Waiting { until, attempts: 1, detail: Some(detail) }]);
    let inspection = block_on(here.queue.inspect(id)).unwrap();
    assert_eq!(inspection.envelope.sender, "sender@example.com");
    assert_eq!(inspection.entry.size, 24);
}

#[test]
fn failed_recipients_are_held_with_the_reason_and_can_be_released() {
    let here = setting();
    let id = here.send_to(&relay(), &["gone@x", "b@x"]);
    here.far.answer("gone@x", [never("550 no such user")]);
    here.run_for(30 * 24 * HOUR);
    let detail = Detail::from("550 no such user");
    let held = RecipientState::Held { attempts: 1, why: Held::Failed, detail };
    assert_eq!(here.states(id), [held, RecipientState::Delivered]);
    let counters = here.queue.counters();
    assert_eq!((counters.failed, counters.held_failed, counters.waiting), (1, 1, 0));
    assert_eq!(here.far.seen().len(), 1);
    block_on(here.queue.release(id)).unwrap();
    here.run_for(1);
    assert_eq!(here.far.addresses(), ["gone@x", "b@x", "gone@x"]);
    assert_eq!(here.queue.counters().messages, 0);
    assert_eq!(here.queue.counters().held_failed, 0);
}

#[test]
fn a_release_holds_over_a_restart() {
    let here = setting();
    let id = here.send_to(&relay(), &["gone@x"]);
    here.far.answer("gone@x", [never("550 no such user")]);
    here.run_for(60);
    block_on(here.queue.release(id)).unwrap();
    here.spool.restart();
    let queue = queue_of(&here.spool, &here.clock, config());
    assert_eq!((queue.counters().held_failed, queue.counters().waiting), (0, 1));
}

#[test]
fn mail_is_given_up_by_age_after_a_last_attempt() {
    let here = setting();
    let id = here.send_to(&relay(), &["a@x"]);
    here.far.answer("a@x", (0..200).map(|_| later("down")));
    here.run_for(6 * 24 * HOUR);
    let last = *here.times().last().unwrap();
    assert!((5 * 24 * HOUR..5 * 24 * HOUR + 2 * HOUR).contains(&last), "{last}");
    assert!(
        matches!(&here.states(id)[0], RecipientState::Held { why: Held::Expired, detail, .. } if detail.text == "down")
    );
    assert_eq!((here.queue.counters().expired, here.queue.counters().held_expired), (1, 1));
}

#[test]
fn mail_that_is_too_old_already_is_tried_once() {
    let here = setting();
    let mut envelope = letter(vec![recipient("a@x", &relay())], &here.clock);
    envelope.arrived = UnixMicros(1);
    let id = here.send(envelope);
    here.far.answer("a@x", [later("down")]);
    here.run_for(24 * HOUR);
    assert_eq!(here.far.seen().len(), 1);
    assert!(matches!(here.states(id)[0], RecipientState::Held { why: Held::Expired, .. }));
}

#[test]
fn a_wall_clock_that_jumps_moves_no_attempt_and_ages_no_mail() {
    let here = setting();
    here.send_to(&relay(), &["a@x"]);
    here.far.answer("a@x", [later("one"), later("two")]);
    here.run_for(60);
    here.clock.set_wall(UnixMicros(0));
    here.run_for(100);
    here.clock.set_wall(DAWN.after(seconds(400 * 24 * HOUR)));
    here.run_for(HOUR);
    assert_eq!(here.times(), [0, 120, 360]);
    assert_eq!(here.queue.counters().messages, 0);
}

#[test]
fn a_restart_goes_on_with_the_wait_but_local_mail_goes_at_once() {
    let here = setting();
    here.send_to(&relay(), &["a@x"]);
    here.send_to(&local(), &["b@y"]);
    here.far.answer("a@x", [later("down"), later("down"), later("down")]);
    here.far.answer("b@y", [later("locked")]);
    here.run_for(5);
    here.spool.restart();
    let again = queue_of(&here.spool, &here.clock, config());
    run_for(&again, &here.far, &here.clock, seconds(200));
    let seen: Vec<_> = here.far.seen()[2..].iter().map(|seen| (seen.at.as_secs(), seen.addresses[0].clone())).collect();
    assert_eq!(seen, [(5, "b@y".to_owned()), (120, "a@x".to_owned())]);
}

#[test]
fn one_destination_takes_no_more_than_its_share() {
    let here = setting_with(QueueConfig { per_destination: 3, ..config() });
    here.far.takes(seconds(10));
    for _ in 0..10 {
        here.send_to(&relay(), &["a@x"]);
    }
    let mut run = pin!(here.queue.run(here.far.clone()));
    for done in [0, 3, 6, 9, 10] {
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        let counters = here.queue.counters();
        assert_eq!((counters.delivered, counters.flying), (done, 3.min(10 - done)));
        here.clock.advance(seconds(10));
    }
    assert_eq!(here.far.most_flying(), 3);
}

#[test]
fn destinations_take_turns_within_the_limit_of_all() {
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
fn a_held_message_stays_over_a_restart_until_it_is_released() {
    let here = setting();
    let id = here.send_to(&relay(), &["a@x"]);
    block_on(here.queue.hold(id)).unwrap();
    here.run_for(24 * HOUR);
    here.spool.restart();
    let queue = queue_of(&here.spool, &here.clock, config());
    run_for(&queue, &here.far, &here.clock, seconds(HOUR));
    assert_eq!(here.far.seen(), []);
    assert_eq!(queue.list(None, 1)[0].standing, Standing::Held);
    block_on(queue.release(id)).unwrap();
    run_for(&queue, &here.far, &here.clock, seconds(1));
    assert_eq!(here.far.addresses(), ["a@x"]);
}

#[test]
fn a_message_may_be_held_or_removed_while_it_is_tried() {
    let here = setting();
    here.far.takes(seconds(10));
    let (held, removed) = (here.send_to(&relay(), &["h@x"]), here.send_to(&relay(), &["r@x"]));
    here.far.answer("h@x", [later("busy")]);
    here.far.answer("r@x", [later("busy")]);
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(here.queue.counters().flying, 2);
    block_on(here.queue.hold(held)).unwrap();
    block_on(here.queue.remove(removed)).unwrap();
    for _ in 0..20 {
        here.clock.advance(seconds(HOUR));
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
    }
    assert_eq!(here.far.seen().len(), 2);
    assert_eq!(block_on(here.queue.remove(removed)), Err(RecordError::Unknown));
    assert!(matches!(here.states(held)[0], RecipientState::Waiting { attempts: 1, .. }));
    let counters = here.queue.counters();
    assert_eq!((counters.messages, counters.flying, counters.removed, counters.destinations), (1, 0, 1, 0));
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
    assert_eq!(here.queue.list(None, 9).len(), 1);
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
    here.far.panic_once();
    here.run_for(HOUR);
    let mut addresses = here.far.addresses();
    assert_eq!(addresses.len(), 3);
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses, ["a@x", "b@x"]);
    assert_eq!(here.queue.counters().messages, 0);
}

#[test]
fn long_replies_are_cut() {
    let here = setting();
    let id = here.send_to(&relay(), &["a@x"]);
    here.far.answer("a@x", [never(&"ä".repeat(5000))]);
    here.run_for(1);
    let states = here.states(id);
    let RecipientState::Held { detail, .. } = &states[0] else { panic!("{states:?}") };
    assert_eq!(detail.text, "ä".repeat(256));
}

#[test]
fn lists_go_on_behind_the_last_entry() {
    let here = setting();
    let ids: Vec<_> = (0..5).map(|_| here.send_to(&relay(), &["a@x"])).collect();
    let first: Vec<_> = here.queue.list(None, 3).iter().map(|entry| entry.id).collect();
    let rest: Vec<_> = here.queue.list(first.last().copied(), 3).iter().map(|entry| entry.id).collect();
    assert_eq!([first, rest].concat(), ids);
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
