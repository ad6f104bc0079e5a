//! A queue over a spool that fails.

#[cfg(test)]
#[allow(dead_code, reason = "each test binary uses its part")]
mod common {
    pub(crate) mod setting;
    pub(crate) mod ward;
    pub(crate) mod world;
}

use std::pin::pin;
use std::sync::atomic::Ordering;

use common::ward::{Damage, ward};
use common::world::{later, seconds};
use mailqueue::testing::{Settled, block_on, settle};
use mailqueue::{Action, EntryState, Filter, Held, ReadError, Trial};

#[test]
fn while_the_spool_takes_nothing_nobody_is_dialled() {
    let here = ward(0);
    (0..50).for_each(|_| {
        here.send("a@x");
    });
    here.run_for(600);
    assert_eq!(here.far.seen(), []);
    let errors = here.queue.counters().spool_errors;
    assert!((50..200).contains(&errors), "one asks now and then, and not all: {errors}");
    here.spool.healthy.store(usize::MAX, Ordering::Relaxed);
    here.run_for(60);
    assert_eq!((here.far.seen().len(), here.queue.counters().messages), (50, 0));
    let heard = here.heard.read();
    assert_eq!(heard.iter().filter(|one| *one == "spool fails").count(), 1);
    assert_eq!(heard.iter().filter(|one| *one == "spool works").count(), 1);
}

#[test]
fn what_was_delivered_and_could_not_be_recorded_is_not_delivered_again() {
    for healthy in 1..6 {
        let here = ward(healthy);
        for number in 0..10 {
            here.send(&format!("u{number}@x"));
        }
        let mut run = pin!(here.queue.run(here.far.clone()));
        for _ in 0..100 {
            assert_eq!(settle(run.as_mut()), Settled::Waiting);
            here.clock.advance(seconds(60));
        }
        let dialled = here.far.seen().len();
        assert!(dialled <= healthy, "{dialled} of {healthy}");
        here.spool.healthy.store(usize::MAX, Ordering::Relaxed);
        for _ in 0..10 {
            here.clock.advance(seconds(60));
            assert_eq!(settle(run.as_mut()), Settled::Waiting);
        }
        let mut addresses = here.far.addresses();
        addresses.sort();
        assert_eq!(addresses, (0..10).map(|number| format!("u{number}@x")).collect::<Vec<_>>());
        assert_eq!(here.queue.counters().messages, 0);
    }
}

#[test]
fn a_message_whose_octets_are_lost_is_kept_and_said() {
    for damage in [Damage::Body, Damage::Within] {
        let here = ward(usize::MAX);
        *here.spool.damage.lock().unwrap() = damage;
        here.far.always("a@x", later("the body broke off"));
        let id = here.send("a@x");
        here.run_for(24 * 3600);
        let entry = block_on(here.queue.inspect(id)).unwrap().entry;
        assert_eq!(entry.state, EntryState::Held { why: Held::Damaged }, "{damage:?}");
        assert_eq!(here.queue.counters().damaged, 1);
        assert!(here.heard.read().contains(&"held damaged".to_owned()));
        assert!(here.far.seen().len() <= 1);
        // Whoever gives it up has the sender told, without the octets.
        *here.spool.damage.lock().unwrap() = Damage::None;
        let tally = block_on(here.queue.apply(Action::Bounce, &Filter::id(id), Trial::Real, None, 1)).unwrap();
        assert_eq!(tally.changed, 1);
        here.run_for(1);
        assert_eq!((here.far.notifications().len(), here.queue.counters().messages), (1, 0));
    }
}

#[test]
fn a_message_whose_envelope_is_lost_stops_nobody_and_can_be_removed() {
    let here = ward(usize::MAX);
    here.far.answer("a@x", [later("busy")]);
    let id = here.send("a@x");
    here.run_for(10);
    *here.spool.damage.lock().unwrap() = Damage::Envelope;
    here.send("b@x");
    here.run_for(24 * 3600);
    assert_eq!(here.far.addresses(), ["a@x", "b@x"]);
    let counters = here.queue.counters();
    assert_eq!((counters.messages, counters.held, counters.damaged), (1, 1, 1));
    assert_eq!(block_on(here.queue.inspect(id)).unwrap_err(), ReadError::Damaged);
    let tally = block_on(here.queue.apply(Action::Delete, &Filter::id(id), Trial::Real, None, 1)).unwrap();
    assert_eq!((tally.changed, here.queue.counters().messages), (1, 0));
}

#[test]
fn an_act_that_is_not_recorded_changes_nothing() {
    let here = ward(usize::MAX);
    here.far.answer("a@x", [later("busy")]);
    let id = here.send("a@x");
    here.run_for(10);
    here.spool.healthy.store(0, Ordering::Relaxed);
    for action in [Action::Hold, Action::Requeue, Action::Bounce, Action::Delete] {
        let said = block_on(here.queue.apply(action, &Filter::id(id), Trial::Real, None, 1));
        assert!(said.is_err(), "{action:?}");
    }
    here.spool.healthy.store(usize::MAX, Ordering::Relaxed);
    here.run_for(3600);
    assert_eq!(here.far.addresses(), ["a@x", "a@x"]);
    assert_eq!(here.queue.counters().messages, 0);
}
