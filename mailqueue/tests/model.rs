//! The queue, the log and a disk together: whatever fails, every promise is kept, and no recorded delivery is made again.

#[cfg(test)]
mod common;

use std::io::ErrorKind;

use common::town::Town;
use common::world::seconds;
use mailqueue::testing::{Fault, Survival};
use proptest::prelude::*;

const SURVIVALS: [Survival; 3] = [Survival::All, Survival::Nothing, Survival::Some(5)];

/// A day at the office: mail for here and there, some of it refused at first, some held.
fn day(town: &mut Town) {
    town.open();
    town.send(100, 1, 0);
    town.send(2000, 2, 2);
    town.work(seconds(60));
    town.send(300, 0, 3);
    town.hold_first();
    town.work(seconds(400));
    town.send(0, 1, 1);
    town.release_all();
    town.work(seconds(4000));
    town.nothing_is_forgotten();
}

fn calls_of_a_day() -> u64 {
    let mut town = Town::new();
    day(&mut town);
    assert_eq!(town.promises(), 10);
    town.disk.calls()
}

#[test]
fn a_quiet_day_brings_every_letter_once() {
    let mut town = Town::new();
    day(&mut town);
    town.finish();
    assert_eq!(town.most_copies(), 1);
}

#[test]
fn a_crash_at_any_call_brings_every_letter_that_was_promised() {
    let calls = calls_of_a_day();
    assert!(calls > 100, "{calls}");
    for survival in SURVIVALS {
        for call in 1..=calls {
            let mut town = Town::new();
            town.disk.fault_at(call, Fault::Crash);
            day(&mut town);
            town.crash(survival);
            town.finish();
            // The letter that was on its way when the machine stopped may come twice, under the same delivery id.
            assert!(town.most_copies() <= 2, "call {call}");
        }
    }
}

#[test]
fn an_error_at_any_call_brings_every_letter_once_without_a_restart() {
    let calls = calls_of_a_day();
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        for call in 1..=calls {
            let mut town = Town::new();
            town.disk.fault_at(call, Fault::Once(kind));
            day(&mut town);
            town.disk.repair();
            town.finish();
            assert_eq!(town.most_copies().max(1), 1, "call {call}");
        }
    }
}

#[test]
fn a_disk_that_fails_for_hours_brings_every_letter_once_when_it_works_again() {
    let calls = calls_of_a_day();
    for call in 1..=calls {
        let mut town = Town::new();
        town.disk.fault_at(call, Fault::Always(ErrorKind::Other));
        day(&mut town);
        town.disk.repair();
        town.finish();
        assert_eq!(town.most_copies().max(1), 1, "call {call}");
    }
}

#[test]
fn a_message_on_its_way_out_is_not_dropped_with_the_run() {
    let mut town = Town::new();
    town.open();
    town.send(10, 0, 0);
    town.disk.fault_at(1, Fault::Always(ErrorKind::Other));
    town.work(seconds(600));
    town.change_shifts();
    town.disk.repair();
    town.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_happens_every_letter_comes(
        turns in prop::collection::vec((0_u8..14, any::<u16>()), 1..30),
        seed: u64,
    ) {
        let mut town = Town::new();
        town.open();
        for (kind, size) in turns {
            let chance = town.chance(seed);
            match kind {
                0..4 => town.send(usize::from(size) % 4000, chance as usize % 3, (chance >> 8) as usize % 4),
                4..7 => town.work(seconds(u64::from(size))),
                7 => town.hold_first(),
                8 => town.release_all(),
                9 => town.disk.fault_at(1 + chance % 20, Fault::Once(ErrorKind::Other)),
                10 => town.disk.fault_at(1 + chance % 20, Fault::Crash),
                11 => town.change_shifts(),
                12 => town.disk.repair(),
                _ => town.crash(Survival::Some(chance)),
            }
            town.nothing_is_forgotten();
        }
        town.crash(Survival::Some(seed));
        town.finish();
    }
}
