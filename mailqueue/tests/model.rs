//! The queue, a spool and a town together: whatever happens, every promise is kept, no recorded end is made again, and each
//! sender who is to hear of a failure hears of it once.

#[cfg(test)]
#[allow(dead_code, reason = "each test binary uses its part")]
mod common {
    pub(crate) mod known;
    pub(crate) mod people;
    pub(crate) mod town;
    pub(crate) mod witness;
    pub(crate) mod world;
}

use common::known::Fault;
use common::town::{Cellar, Town};
use common::world::{DAWN, seconds};
use mailqueue::{Action, Filter, MemorySpool, UnixMicros};
use proptest::prelude::*;

/// Memory that survives crashes.
#[derive(Default)]
struct Memory(MemorySpool);

impl Cellar for Memory {
    type Spool = MemorySpool;

    fn open(&mut self) -> Option<MemorySpool> {
        Some(self.0.clone())
    }

    fn crash(&mut self, _: u64) {
        self.0.restart();
    }

    fn is_stopped(&self) -> bool {
        false
    }

    fn repair(&mut self) {}
}

fn town(seed: u64) -> Town<Memory> {
    let mut town = Town::new(Memory::default(), seed);
    town.open();
    town
}

/// A day at the office: mail for here and there, some of it refused at first, some held.
fn day(town: &mut Town<Memory>) {
    town.send(100, 1, 0);
    town.send(2000, 2, 2);
    town.work(seconds(60));
    town.send(300, 0, 3);
    town.meddle(Action::Hold, &Filter::default(), 1);
    town.work(seconds(400));
    town.send(0, 1, 1);
    town.meddle(Action::Release, &Filter::default(), 9);
    town.work(seconds(4000));
    town.nothing_is_forgotten();
}

#[test]
fn a_quiet_day_brings_every_letter_once() {
    for seed in 0..20 {
        let mut town = town(seed);
        day(&mut town);
        assert_eq!(town.promises(), 10);
        town.finish();
        assert_eq!(town.most_copies(), 1, "seed {seed}");
    }
}

#[test]
fn a_call_that_fails_at_any_time_costs_nothing() {
    for fault in [Fault::Before, Fault::After] {
        for call in 0..120 {
            let mut town = town(7);
            town.fail_later(call, fault);
            day(&mut town);
            town.finish();
            assert_eq!(town.most_copies(), 1, "call {call}");
        }
    }
}

#[test]
fn what_was_recorded_without_a_word_holds_over_a_change_of_shifts() {
    for call in 0..60 {
        let mut town = town(call as u64);
        town.send(100, 2, 4);
        town.fail_later(call, Fault::After);
        for _ in 0..20 {
            town.work(seconds(20));
            town.change_shifts();
        }
        town.finish();
    }
}

#[test]
fn a_crash_at_any_second_brings_every_letter_that_was_promised() {
    for second in 0..60 {
        let mut town = town(second);
        town.send(100, 2, 4);
        town.work(seconds(second % 4));
        town.send(100, 0, 3);
        town.work(seconds(second * 7));
        town.crash(second);
        day(&mut town);
        town.finish();
        // The letter that was on its way when the machine stopped may come twice, under the same delivery id.
        assert!(town.most_copies() <= 2, "second {second}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn whatever_happens_every_promise_is_kept(
        turns in prop::collection::vec((0_u8..24, any::<u16>()), 1..40),
        seed: u64,
    ) {
        let mut town = town(seed);
        let filters: Vec<Filter> = ["all", "domain=there", "site=relay*", "source=1", "state=deferred", "text=today"]
            .iter()
            .map(|words| words.parse().unwrap())
            .collect();
        for (kind, size) in turns {
            let chance = town.roll();
            let filter = &filters[chance as usize % filters.len()];
            let limit = 1 + (chance >> 8) as usize % 5;
            match kind {
                0..5 => town.send(usize::from(size) % 4000, chance % 3, (chance >> 8) % 4),
                5..10 => town.work(seconds(u64::from(size) % 7000)),
                10 => town.work(seconds(u64::from(size) * 4)),
                11 => town.meddle(Action::Hold, filter, limit),
                12 => town.meddle(Action::Release, filter, limit),
                13 => town.meddle(Action::Retry, filter, limit),
                14 => town.meddle(Action::Requeue, filter, limit),
                15 => town.meddle(Action::Bounce, filter, limit),
                16 => town.meddle(Action::Delete, filter, 1),
                17 => town.suspend("site=relay", seconds(u64::from(size))),
                18 => town.fail_later(chance as usize % 8, Fault::Before),
                19 => town.fail_later(chance as usize % 8, Fault::After),
                20 => town.change_shifts(),
                21 => town.set_wall(UnixMicros(DAWN.0 / 2 + chance * u64::from(size))),
                22 => town.repair(),
                _ => town.crash(chance),
            }
            town.nothing_is_forgotten();
        }
        town.finish();
    }
}
