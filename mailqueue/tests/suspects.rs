//! What crashes mean for the messages that were in the air: whoever is to blame is held, and nobody else.

#[cfg(test)]
#[allow(dead_code, reason = "each test binary uses its part")]
mod common {
    pub(crate) mod setting;
    pub(crate) mod world;
}

use std::pin::pin;

use common::setting::{Setting, config, rule, setting_with};
use common::world::{later, letter, recipient, seconds};
use mailqueue::testing::{Settled, block_on, settle};
use mailqueue::{
    Action, Clock, Destination, EntryState, Held, MessageId, QueueConfig, ReadError, RecipientState, Waiting,
};
use proptest::prelude::*;

const HOUR: u64 = 3600;

fn local() -> Destination {
    Destination::idempotent("local")
}

fn relay() -> Destination {
    Destination::remote("relay")
}

/// Lets the queue work until the process dies; `false` where it does not within the time.
fn run_until_death(here: &Setting, time: u64) -> bool {
    let (deaths, end) = (here.far.deaths(), here.clock.now() + seconds(time));
    let mut run = pin!(here.queue.run(here.far.clone()));
    loop {
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        if here.far.deaths() > deaths {
            return true;
        }
        match here.clock.next_wake() {
            Some(at) if at <= end => here.clock.advance(at.saturating_sub(here.clock.now())),
            Some(_) | None => return false,
        }
    }
}

fn restart(here: &mut Setting) {
    here.restart();
    here.far.crash();
    here.far.forget();
}

/// Lets the process die twice while all that is queued is in the air, so that all of it is suspect.
fn make_suspects(here: &mut Setting) {
    here.far.takes(seconds(10));
    for _ in 0..2 {
        here.run_for(1);
        restart(here);
    }
    here.far.takes(seconds(0));
}

fn senders(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("u{number}@x")).collect()
}

fn send_all(here: &Setting, destination: &Destination, addresses: &[String]) -> Vec<MessageId> {
    addresses.iter().map(|address| here.send_to(destination, &[address])).collect()
}

/// Room for all at once.
fn wide() -> QueueConfig {
    QueueConfig { initial_concurrency: 20, ..config() }
}

fn suspects(here: &Setting) -> u64 {
    here.queue.counters().suspects
}

#[test]
fn a_crash_convicts_one_of_those_who_were_in_the_air() {
    for guilty in [0, 3, 7] {
        let mut here = setting_with(wide());
        let addresses = senders(8);
        let ids = send_all(&here, &local(), &addresses);
        here.far.deadly(&addresses[guilty], seconds(5));
        here.far.takes(seconds(20));
        for _ in 0..2 {
            assert!(run_until_death(&here, 60));
            assert_eq!(here.far.seen().len(), 8, "all of them are in the air");
            restart(&mut here);
        }
        here.far.takes(seconds(1));
        assert!(run_until_death(&here, HOUR), "the third time");
        assert_eq!(here.far.most_flying(), 1);
        assert_eq!(here.far.addresses(), addresses[..=guilty], "one by one, in the order of their arrival");
        restart(&mut here);
        assert!(!run_until_death(&here, HOUR));
        assert_eq!(here.far.addresses(), addresses[guilty + 1..]);
        assert_eq!(here.entry(ids[guilty]).state, EntryState::Held { why: Held::Poison });
        assert_eq!(here.list("all"), [ids[guilty]]);
        assert_eq!(suspects(&here), 0);
    }
}

#[test]
fn several_that_kill_take_a_crash_each() {
    let mut here = setting_with(wide());
    let addresses = senders(9);
    let ids = send_all(&here, &local(), &addresses);
    for number in [1, 5, 6] {
        here.far.deadly(&addresses[number], seconds(0));
    }
    here.far.takes(seconds(1));
    let mut crashes = 0;
    while run_until_death(&here, HOUR) {
        crashes += 1;
        restart(&mut here);
    }
    assert_eq!(crashes, 2 + 3, "twice with all of them in the air, and once for each");
    assert_eq!(here.list("state=held"), [ids[1], ids[5], ids[6]]);
    assert_eq!(here.list("all").len(), 3);
}

#[test]
fn a_suspect_says_what_it_waits_for() {
    let mut here = setting_with(wide());
    let ids = send_all(&here, &local(), &senders(3));
    make_suspects(&mut here);
    here.heard.read();
    here.far.takes(seconds(5));
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(here.states(ids[0]), [RecipientState::Trying { attempt: 3 }]);
    for id in &ids[1..] {
        let entry = here.entry(*id);
        assert!(matches!(
            entry.recipients[0].state,
            RecipientState::Waiting { why: Waiting::Suspect, attempts: 2, .. }
        ));
        assert_eq!(entry.state, EntryState::Active);
    }
    let counters = here.queue.counters();
    assert_eq!((counters.suspects, counters.waiting, counters.active, counters.flying), (2, 2, 1, 1));
    assert_eq!(here.list("state=active"), ids);
    here.clock.advance(seconds(5));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!((suspects(&here), here.states(ids[1])), (1, vec![RecipientState::Trying { attempt: 3 }]));
    let heard = here.heard.read();
    let expected = ["suspected", "attempted 3 local", "delivered u0@x", "suspected", "attempted 3 local"];
    assert_eq!(heard, expected);
}

#[test]
fn other_mail_goes_on_beside_a_suspect() {
    let mut here = setting_with(wide());
    let addresses = senders(3);
    send_all(&here, &local(), &addresses);
    make_suspects(&mut here);
    here.far.deadly(&addresses[0], seconds(HOUR));
    send_all(&here, &local(), &["new@x".to_owned(), "newer@x".to_owned()]);
    here.run_for(1);
    let mut addresses = here.far.addresses();
    addresses.sort();
    assert_eq!(addresses, ["new@x", "newer@x", "u0@x"]);
}

#[test]
fn a_suspect_that_flies_long_keeps_the_others_waiting_for_a_while() {
    let mut here = setting_with(wide());
    let addresses = senders(4);
    send_all(&here, &local(), &addresses);
    make_suspects(&mut here);
    let begin = here.clock.now().as_secs();
    here.far.deadly(&addresses[1], seconds(HOUR));
    here.far.deadly(&addresses[2], seconds(HOUR));
    here.run_for(HOUR / 2);
    let seen: Vec<_> = here.far.seen().iter().map(|one| (one.at.as_secs() - begin, one.addresses[0].clone())).collect();
    let expected = [(0, "u0@x"), (0, "u1@x"), (30, "u2@x"), (60, "u3@x")].map(|(at, to)| (at, to.to_owned()));
    assert_eq!(seen, expected);
    assert_eq!(here.queue.counters().delivered, 2);
}

#[test]
fn all_batches_of_a_suspect_have_its_turn() {
    let mut here = setting_with(QueueConfig { recipients_per_batch: 1, ..wide() });
    let large: Vec<_> = ["a@x", "b@x", "c@x"].iter().map(|address| recipient(address, &local())).collect();
    let large =
        here.send(letter([large, vec![recipient("d@y", &Destination::idempotent("else"))]].concat(), &here.clock));
    let small = here.send_to(&local(), &["small@x"]);
    make_suspects(&mut here);
    here.far.takes(seconds(5));
    here.run_for(1);
    let mut addresses = here.far.addresses();
    addresses.sort();
    assert_eq!(addresses, ["a@x", "b@x", "c@x", "d@y"]);
    assert_eq!(here.far.most_flying(), 4);
    restart(&mut here);
    here.run_for(HOUR);
    assert_eq!(here.far.addresses(), ["small@x"], "the crash convicts the message that was in the air alone");
    assert_eq!(here.list("state=held"), [large]);
    assert_eq!(block_on(here.queue.inspect(small)).unwrap_err(), ReadError::Unknown);
}

#[test]
fn recipients_that_were_never_interrupted_belong_to_a_suspect_too() {
    let mut here = setting_with(wide());
    let to = vec![recipient("near@x", &local()), recipient("far@y", &relay())];
    here.far.always("far@y", later("busy"));
    let both = here.send(letter(to, &here.clock));
    let other = here.send_to(&local(), &["other@x"]);
    here.far.deadly("near@x", seconds(5));
    here.far.deadly("other@x", seconds(5));
    for _ in 0..2 {
        here.run_for(1);
        restart(&mut here);
    }
    assert!(matches!(here.states(both)[1], RecipientState::Waiting { attempts: 1, .. }), "deferred, not interrupted");
    // Both may kill the process, and one at a time shows whether it does.
    here.run_for(1);
    assert_eq!(here.far.addresses(), ["near@x"]);
    assert_eq!((here.list("all"), suspects(&here)), (vec![both, other], 1));
}

#[test]
fn a_suspect_that_is_held_or_removed_or_kept_back_makes_way() {
    for act in ["hold", "delete", "suspend"] {
        let mut here = setting_with(QueueConfig { per_destination: 1, initial_concurrency: 1, ..config() });
        // Each has a site of its own, and that of the first is busy with other mail.
        let ids: Vec<_> =
            (0..3).map(|number| here.send_to(&Destination::idempotent(format!("s{number}")), &["a@x"])).collect();
        make_suspects(&mut here);
        here.far.deadly("busy@x", seconds(HOUR));
        here.far.takes(seconds(2));
        here.send_to(&Destination::idempotent("s0"), &["busy@x"]);
        let mut run = pin!(here.queue.run(here.far.clone()));
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        assert_eq!((here.far.addresses(), suspects(&here)), (vec!["busy@x".to_owned()], 2), "it has the turn");
        match act {
            "hold" => assert_eq!(here.apply(Action::Hold, &format!("id={}", ids[0])).changed, 1),
            "delete" => assert_eq!(here.apply(Action::Delete, &format!("id={}", ids[0])).changed, 1),
            _ => drop(block_on(here.queue.suspend(rule("site=s0", None))).unwrap()),
        }
        for left in [1, 0, 0] {
            assert_eq!(settle(run.as_mut()), Settled::Waiting);
            assert_eq!(suspects(&here), left, "{act}");
            here.clock.advance(seconds(2));
        }
        assert_eq!(here.queue.counters().delivered, 2, "{act}");
    }
}

#[test]
fn a_suspect_that_is_removed_in_the_air_counts_until_it_lands() {
    let mut here = setting_with(wide());
    let ids = send_all(&here, &local(), &senders(2));
    make_suspects(&mut here);
    here.far.takes(seconds(10));
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    here.apply(Action::Delete, &format!("id={}", ids[0]));
    here.clock.advance(seconds(9));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(here.far.addresses(), ["u0@x"]);
    here.clock.advance(seconds(1));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(here.far.addresses(), ["u0@x", "u1@x"]);
}

#[test]
fn suspects_in_line_may_be_removed_held_and_released() {
    let mut here = setting_with(wide());
    let ids = send_all(&here, &local(), &senders(5));
    make_suspects(&mut here);
    here.far.takes(seconds(5));
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(suspects(&here), 4);
    here.apply(Action::Delete, &format!("id={}", ids[1]));
    here.apply(Action::Hold, &format!("id={}", ids[2]));
    assert_eq!(suspects(&here), 2);
    here.apply(Action::Retry, &format!("id={}", ids[3]));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert!(
        matches!(here.states(ids[3])[0], RecipientState::Waiting { why: Waiting::Suspect, .. }),
        "no way round the line"
    );
    // Whoever lets a message go, or has it begin anew, says that it is mended.
    here.apply(Action::Release, &format!("id={}", ids[2]));
    here.apply(Action::Requeue, &format!("id={}", ids[4]));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!((here.far.flying(), suspects(&here)), (3, 1));
    here.clock.advance(seconds(5));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!((here.far.flying(), suspects(&here)), (1, 0));
    here.clock.advance(seconds(5));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!((here.queue.counters().messages, here.queue.counters().delivered), (0, 4));
}

#[test]
fn a_suspect_that_is_retried_goes_when_its_turn_comes_whatever_its_schedule_says() {
    let mut here = setting_with(wide());
    let ids = send_all(&here, &relay(), &senders(3));
    make_suspects(&mut here);
    here.run_for(1);
    assert_eq!(here.far.seen(), [], "the schedule wants them in some minutes");
    let begin = here.clock.now().as_secs();
    here.apply(Action::Retry, "domain=x");
    here.far.takes(seconds(5));
    here.run_for(1);
    let last = here.states(ids[2]);
    assert!(matches!(last[0], RecipientState::Waiting { why: Waiting::Suspect, .. }), "{last:?}");
    // The attempt is interrupted, and the others go on from where they were.
    here.run_for(10);
    let times: Vec<_> = here.times().iter().map(|at| at - begin).collect();
    assert_eq!(times, [0, 1, 6]);
}

#[test]
fn a_suspect_at_a_site_where_nobody_answers_does_not_keep_the_turn() {
    let mut here = setting_with(QueueConfig { dead_after: 1, ..wide() });
    here.send_to(&Destination::idempotent("dead"), &["a@x"]);
    here.send_to(&Destination::idempotent("dead"), &["b@x"]);
    here.send_to(&local(), &["c@x"]);
    make_suspects(&mut here);
    here.far.down("dead", "no route");
    here.send_to(&Destination::idempotent("dead"), &["first@x"]);
    here.run_for(5);
    assert!(here.far.addresses().contains(&"c@x".to_owned()), "{:?}", here.far.addresses());
    assert_eq!((suspects(&here), here.queue.counters().unreachable), (0, 1));
    here.far.up("dead");
    here.run_for(HOUR);
    assert_eq!((here.queue.counters().messages, here.queue.counters().delivered), (0, 4));
}

#[test]
fn suspects_wait_in_the_spool() {
    let mut here =
        setting_with(QueueConfig { active_messages: 10, active_recipients: 10, restart_rate: 1000, ..wide() });
    let addresses = senders(10);
    send_all(&here, &local(), &addresses);
    make_suspects(&mut here);
    here.far.takes(seconds(5));
    send_all(&here, &relay(), &["other@x".to_owned()]);
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    let counters = here.queue.counters();
    assert_eq!(
        (counters.suspects, counters.active, counters.flying),
        (9, 2, 2),
        "one of them is in memory, and new mail"
    );
    for _ in 0..10 {
        here.clock.advance(seconds(5));
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
    }
    assert_eq!((here.queue.counters().messages, here.queue.counters().delivered), (0, 11));
}

#[test]
fn a_suspect_that_does_not_fit_into_memory_keeps_its_place() {
    let mut here = setting_with(QueueConfig { active_recipients: 10, recipients_per_batch: 1, ..wide() });
    here.send_to(&local(), &["small@x"]);
    let large: Vec<_> = senders(8).iter().map(|address| recipient(address, &local())).collect();
    let large = here.send(letter(large, &here.clock));
    make_suspects(&mut here);
    here.far.takes(seconds(20));
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    here.clock.advance(seconds(10));
    let others: Vec<_> = (0..5).map(|number| recipient(&format!("o{number}@x"), &relay())).collect();
    here.send(letter(others, &here.clock));
    for (recipients, waiting) in [(6, 1), (5, 1), (8, 0), (8, 0), (0, 0)] {
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        assert_eq!((here.queue.counters().recipients, suspects(&here)), (recipients, waiting));
        let is_waiting =
            |state: &RecipientState| matches!(state, RecipientState::Waiting { why: Waiting::Suspect, .. });
        assert!(waiting == 0 || here.states(large).iter().all(is_waiting));
        here.clock.advance(seconds(10));
    }
    assert_eq!(here.queue.counters().delivered, 14);
}

#[test]
fn what_becomes_a_suspect_on_its_way_makes_way_for_the_one_in_the_air() {
    let here = setting_with(QueueConfig { poison_after: 2, per_destination: 1, recipients_per_batch: 1, ..config() });
    here.far.stay_silent(1);
    here.send_to(&local(), &["first@x"]);
    here.run_for(9);
    here.far.takes(seconds(25));
    let mut run = pin!(here.queue.run(here.far.clone()));
    let mut advance = |time: u64| {
        here.clock.advance(seconds(time));
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
    };
    advance(0);
    advance(1);
    assert_eq!(here.times(), [0, 10], "a suspect, until 35");
    here.far.takes(seconds(5));
    here.far.stay_silent(1);
    here.send_to(&relay(), &["a@x", "b@x"]);
    advance(0);
    for _ in 0..6 {
        advance(5);
    }
    // The first attempt had no answer, and what is left of the message was next at its site.
    assert_eq!(
        (here.times(), here.far.addresses()[2..].to_vec()),
        (vec![0, 10, 10, 35], vec!["a@x".to_owned(), "b@x".to_owned()])
    );
}

#[test]
fn a_transport_without_answers_makes_suspects_too_and_one_answer_clears_them() {
    let here = setting_with(wide());
    let id = here.send_to(&local(), &["a@x"]);
    here.far.stay_silent(2);
    here.far.answer("a@x", [later("busy")]);
    here.run_for(40);
    assert_eq!(here.far.letters().len(), 3);
    assert_eq!(here.heard.read().iter().filter(|one| *one == "suspected").count(), 1);
    assert!(matches!(here.states(id)[0], RecipientState::Waiting { why: Waiting::Schedule { .. }, attempts: 3, .. }));
    here.far.stay_silent(2);
    here.run_for(HOUR);
    assert_eq!(here.queue.counters().messages, 0);
}

#[test]
fn without_a_second_chance_there_are_no_suspects() {
    let mut here = setting_with(QueueConfig { poison_after: 1, ..wide() });
    send_all(&here, &local(), &senders(3));
    here.far.takes(seconds(10));
    here.run_for(1);
    assert_eq!(here.far.flying(), 3);
    restart(&mut here);
    here.run_for(1);
    assert_eq!((here.queue.counters().held, suspects(&here)), (3, 0));
    let mut here = setting_with(QueueConfig { poison_after: 2, suspect_patience: seconds(0), ..wide() });
    send_all(&here, &local(), &senders(3));
    here.far.takes(seconds(10));
    here.run_for(1);
    restart(&mut here);
    here.run_for(60);
    assert_eq!((here.queue.counters().delivered, here.queue.counters().held), (3, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_else_is_queued_the_one_that_kills_is_held_and_nobody_else(
        shapes in prop::collection::vec(prop::collection::vec(0_u8..6, 1..6), 1..14),
        guilty: prop::sample::Index,
        after in 0_u64..20,
        takes in 0_u64..9,
        batch in 1_usize..3,
        memory in 4_usize..20,
    ) {
        let mut here = setting_with(QueueConfig {
            recipients_per_batch: batch,
            active_messages: memory,
            dead_after: 2,
            restart_rate: 3,
            ..config()
        });
        here.far.takes(seconds(takes));
        let guilty = guilty.index(shapes.len());
        let mut ids = Vec::new();
        for (number, shape) in shapes.iter().enumerate() {
            let place = |kind: u8| match kind % 3 {
                0 => local(),
                1 => relay(),
                _ => Destination::idempotent(format!("own{number}")),
            };
            let one = |(who, kind): (usize, &u8)| (format!("u{who}.{number}@x"), place(*kind), *kind);
            let to: Vec<_> = shape.iter().enumerate().map(one).collect();
            for (address, _, _) in to.iter().filter(|(_, _, kind)| *kind > 3) {
                here.far.answer(address, [later("busy")]);
            }
            if number == guilty {
                here.far.deadly(&to[0].0, seconds(after));
            }
            ids.push(here.send(letter(to.iter().map(|(address, way, _)| recipient(address, way)).collect(), &here.clock)));
        }
        while run_until_death(&here, 24 * HOUR) {
            restart(&mut here);
        }
        prop_assert_eq!(here.far.deaths(), 3);
        prop_assert_eq!(here.list("all"), [ids[guilty]]);
        prop_assert_eq!(here.entry(ids[guilty]).state, EntryState::Held { why: Held::Poison });
    }
}
