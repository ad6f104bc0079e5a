//! The queue on the log, from the client's commit to the notification: whatever the disk does, and wherever the machine
//! stops, every promise is kept, no recorded end is made again, and each sender who is to hear of a failure hears of it once.
//!
//! `POSTHASTE_DEPTH=20` looks twenty times as deep.

#[cfg(test)]
#[allow(dead_code, reason = "each test binary uses its part")]
mod common {
    pub(crate) mod known;
    pub(crate) mod people;
    pub(crate) mod town;
    pub(crate) mod vault;
    pub(crate) mod witness;
    pub(crate) mod world;
}

use common::town::Town;
use common::vault::{Mishap, Vault, town};
use common::world::{DAWN, seconds};
use mailqueue::{Action, CommitError, Filter, UnixMicros};
use proptest::prelude::*;

/// How much more is tried than usual.
fn depth() -> u64 {
    std::env::var("POSTHASTE_DEPTH").ok().and_then(|depth| depth.parse().ok()).unwrap_or(1)
}

/// Makes some of the letters fail at once, some later, and most arrive.
const SEED: u64 = 0x5eed_0123_4567_89ab;

/// One thing that happens, and what has to be true after it. Where the machine has stopped, it is started again.
fn turn(town: &mut Town<Vault>, chance: u64, act: impl FnOnce(&mut Town<Vault>)) {
    if town.is_closed() {
        town.open();
    }
    act(town);
    if town.cellar.disk.is_stopped() {
        town.crash(chance);
    }
    town.nothing_is_forgotten();
}

/// Two busy hours: mail of all sizes for here and there, some of it refused at first or for good, some held, some removed.
fn busy_hours(town: &mut Town<Vault>, chance: u64) {
    let all = Filter::default();
    turn(town, chance, |town| town.send(3000, 2, 2));
    turn(town, chance, |town| town.send(100, 1, 3));
    turn(town, chance, |town| town.work(seconds(30)));
    turn(town, chance, |town| town.suspend("site=relay", seconds(1500)));
    turn(town, chance, |town| town.send(1200, 0, 2));
    turn(town, chance, |town| town.meddle(Action::Hold, &all, 2));
    turn(town, chance, |town| town.work(seconds(900)));
    turn(town, chance, |town| town.meddle(Action::Bounce, &all, 1));
    turn(town, chance, |town| town.send(0, 3, 0));
    turn(town, chance, |town| town.meddle(Action::Release, &all, 9));
    turn(town, chance, |town| town.work(seconds(2000)));
    turn(town, chance, |town| town.meddle(Action::Requeue, &all, 2));
    turn(town, chance, |town| town.send(2000, 1, 1));
    turn(town, chance, |town| town.work(seconds(4000)));
}

/// How many calls to the disk the busy hours make.
fn calls() -> u64 {
    let mut town = town(SEED);
    busy_hours(&mut town, 0);
    town.cellar.disk.calls()
}

/// The calls at which something goes wrong: usually a part of them, another one in each place of the script.
fn moments() -> impl Iterator<Item = u64> {
    let step = (12 / depth()).max(1);
    (0..=calls() / step).map(move |place| 1 + place * step + place % step)
}

/// The busy hours with a mishap at a call, counted from the first opening.
fn busy_hours_with(mishap: Mishap, call: u64) -> Town<Vault> {
    let mut town = Town::new(Vault::default(), SEED);
    town.cellar.disk.fault_at(call, mishap.fault());
    turn(&mut town, call, Town::open);
    busy_hours(&mut town, call);
    town
}

#[test]
fn the_busy_hours_are_busy() {
    let mut town = town(SEED);
    busy_hours(&mut town, 0);
    assert!(town.cellar.disk.calls() > 600, "{}", town.cellar.disk.calls());
    assert!(town.promises() > 12);
    town.finish();
    assert_eq!(town.most_copies(), 1);
    assert!(town.notices() > 2, "{}", town.notices());
}

#[test]
fn a_crash_at_any_call_breaks_no_promise() {
    let mut came_back = 0;
    for round in 0..depth().div_ceil(12) {
        for call in moments() {
            let mut town = busy_hours_with(Mishap::Crash, call + round * 4096);
            town.finish();
            came_back += town.recorded.lock().unwrap().came_back;
            assert!(town.most_copies() <= 2, "call {call}");
        }
    }
    assert!(came_back > 0, "nothing was ever in doubt");
}

#[test]
fn an_error_at_any_call_breaks_no_promise_and_doubles_nothing() {
    for mishap in [Mishap::Once, Mishap::Full, Mishap::Always] {
        for call in moments() {
            let mut town = busy_hours_with(mishap, call);
            town.finish();
            assert!(town.most_copies() <= 1, "{mishap:?} at call {call}");
        }
    }
}

#[test]
fn a_crash_soon_after_an_error_breaks_no_promise() {
    for call in moments() {
        let mut town = busy_hours_with(Mishap::Once, call);
        town.crash(call);
        busy_hours(&mut town, call);
        town.finish();
    }
}

#[test]
fn a_crash_while_the_office_opens_again_breaks_no_promise() {
    let mut town = town(5);
    for chance in 0..40 * depth() {
        busy_hours(&mut town, chance);
        for call in [1, 3, 7, 12, 20, 33] {
            town.fall(chance);
            town.cellar.disk.fault_at(call + chance % 5, Mishap::Crash.fault());
            turn(&mut town, chance + call, Town::open);
        }
    }
    town.finish();
}

/// Brings letters until there is no room for more.
fn fill(town: &mut Town<Vault>) {
    let refusal = (0..500).find_map(|_| town.bring(1500, 1, 2).err());
    assert_eq!(refusal, Some(CommitError::Full));
}

#[test]
fn a_disk_that_is_full_drains_and_takes_mail_again() {
    for segments in [12, 16, 24, 40] {
        for limit in [Limit::Octets, Limit::Files] {
            let mut town = town(SEED + segments);
            match limit {
                Limit::Octets => town.cellar.disk.limit(Some(segments * 4096)),
                Limit::Files => town.cellar.disk.limit_files(Some(16 + segments)),
            }
            for round in 0..3 {
                let before = town.promises();
                fill(&mut town);
                assert!(town.promises() > before, "{segments} {limit:?}");
                town.work(seconds(600));
                town.close();
                town.open();
                assert!(!town.is_closed(), "{segments} {limit:?}");
                fill(&mut town);
                town.crash(round);
                town.work(seconds(24 * 3600));
                town.nothing_is_forgotten();
            }
            town.finish_on_what_there_is();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Octets,
    Files,
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(96 * depth() as u32)
    })]

    #[test]
    fn whatever_happens_every_promise_is_kept(
        turns in prop::collection::vec((0_u8..32, any::<u16>()), 1..60),
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
            let soon = 1 + (chance >> 4) % 40;
            let size = u64::from(size);
            turn(&mut town, chance, |town| match kind {
                0..7 => town.send(size as usize % 4000, chance % 3, (chance >> 8) % 4),
                7..14 => town.work(seconds(size % 7000)),
                14 => town.work(seconds(size * 4)),
                15 => town.meddle(Action::Hold, filter, limit),
                16 => town.meddle(Action::Release, filter, limit),
                17 => town.meddle(Action::Retry, filter, limit),
                18 => town.meddle(Action::Requeue, filter, limit),
                19 => town.meddle(Action::Bounce, filter, limit),
                20 => town.meddle(Action::Delete, filter, 1),
                21 => town.suspend("site=relay", seconds(size)),
                22 => town.cellar.disk.fault_at(soon, Mishap::Once.fault()),
                23 => town.cellar.disk.fault_at(soon, Mishap::Full.fault()),
                24 => town.cellar.disk.fault_at(soon, Mishap::Always.fault()),
                25 => town.cellar.disk.fault_at(soon, Mishap::Crash.fault()),
                26 => town.change_shifts(),
                27 => town.set_wall(UnixMicros(DAWN.0 / 2 + chance * size)),
                28 => town.repair(),
                29 => {
                    town.close();
                    town.open();
                }
                30 => town.cellar.disk.limit(Some(12_288 + size)),
                _ => town.crash(chance),
            });
        }
        town.finish();
    }
}
