//! The log keeps its promises whichever call to the disk fails, and wherever the machine stops.

#[cfg(test)]
mod common;

use std::io::ErrorKind;

use common::{Ledger, Step, open};
use mailqueue::testing::{Disk, Fault, Survival, block_on};
use mailqueue::{CommitError, Draft, Spool};
use proptest::prelude::*;

/// A little of everything, over several segments.
const SCRIPT: [Step; 14] = [
    Step::Commit { number: 1, size: 300 },
    Step::Commit { number: 2, size: 5000 },
    Step::Deliver { number: 1, index: 0 },
    Step::Drop { number: 90, size: 2000 },
    Step::Commit { number: 3, size: 0 },
    Step::Done { number: 2 },
    Step::Commit { number: 4, size: 2500 },
    Step::Deliver { number: 1, index: 1 },
    Step::Done { number: 1 },
    Step::Commit { number: 5, size: 3000 },
    Step::Deliver { number: 3, index: 1 },
    Step::Done { number: 4 },
    Step::Commit { number: 6, size: 900 },
    Step::Done { number: 5 },
];

const SURVIVALS: [Survival; 4] = [Survival::All, Survival::Nothing, Survival::Some(1), Survival::Some(2)];

/// Plays the script from its start, or from a log that was used before. Steps that fail are not repeated.
fn play(disk: &Disk, ledger: &mut Ledger) {
    let Ok((spool, _)) = open(disk) else { return };
    ledger.check(&spool);
    for step in SCRIPT {
        let _ = ledger.ask(&spool, step);
    }
    block_on(spool.close());
}

fn calls_of_a_play() -> u64 {
    let disk = Disk::new();
    play(&disk, &mut Ledger::default());
    disk.calls()
}

#[test]
fn a_crash_at_any_call_loses_nothing() {
    let calls = calls_of_a_play();
    assert!(calls > 60, "{calls}");
    for survival in SURVIVALS {
        for call in 1..=calls {
            let (disk, mut ledger) = (Disk::new(), Ledger::default());
            disk.fault_at(call, Fault::Crash);
            play(&disk, &mut ledger);
            let disk = ledger.crash(&disk, survival);
            ledger.crash(&disk, Survival::Nothing);
        }
    }
}

#[test]
fn a_crash_while_recovering_loses_nothing() {
    for survival in SURVIVALS.into_iter().chain((3..16).map(Survival::Some)) {
        let mut call = 0;
        loop {
            call += 1;
            let (disk, mut ledger) = (Disk::new(), Ledger::default());
            play(&disk, &mut ledger);
            let disk = disk.crash(survival);
            disk.fault_at(call, Fault::Crash);
            if let Ok((spool, _)) = open(&disk) {
                block_on(spool.close());
            }
            if !disk.fault_happened() {
                break;
            }
            ledger.crash(&disk, survival);
        }
        assert!(call > 10, "{call}");
    }
}

#[test]
fn an_error_at_any_call_loses_nothing_and_the_log_goes_on() {
    let calls = calls_of_a_play();
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        for call in 1..=calls {
            let (disk, mut ledger) = (Disk::new(), Ledger::default());
            disk.fault_at(call, Fault::Once(kind));
            play(&disk, &mut ledger);
            disk.repair();
            let (spool, _) = open(&disk).expect("the disk works again");
            ledger.check(&spool);
            ledger.ask(&spool, Step::Commit { number: 50, size: 100 }).expect("the disk works again");
            block_on(spool.close());
            ledger.crash(&disk, Survival::Nothing);
        }
    }
}

#[test]
fn one_failed_call_costs_what_was_asked_then_and_no_later_mail() {
    let calls = calls_of_a_play();
    for call in 1..=calls {
        let (disk, mut ledger) = (Disk::new(), Ledger::default());
        let Ok((spool, _)) = open(&disk) else { panic!("the disk works") };
        disk.fault_at(call, Fault::Once(ErrorKind::Other));
        let refused = SCRIPT.into_iter().filter(|step| ledger.ask(&spool, *step).is_err()).count();
        // What depends on a refused commit is refused too: at most its deliveries and its end.
        assert!(refused <= 4, "call {call}: {refused} steps refused");
        disk.repair();
        ledger.ask(&spool, Step::Commit { number: 50, size: 100 }).expect("the disk works again");
        block_on(spool.close());
        ledger.crash(&disk, Survival::Nothing);
    }
}

#[test]
fn a_dead_disk_refuses_mail_and_loses_none() {
    let calls = calls_of_a_play();
    for call in 1..=calls {
        let (disk, mut ledger) = (Disk::new(), Ledger::default());
        disk.fault_at(call, Fault::Always(ErrorKind::Other));
        play(&disk, &mut ledger);
        disk.repair();
        ledger.crash(&disk, Survival::Nothing);
    }
}

/// Lets the sync of a commit fail: the call behind the write.
fn refuse_a_commit(disk: &Disk, ledger: &mut Ledger, spool: &impl Spool) {
    let syncs = disk.syncs();
    disk.fault_at(2, Fault::Once(ErrorKind::Other));
    assert!(ledger.ask(spool, Step::Commit { number: 100, size: 50 }).is_err());
    assert!(disk.fault_happened() && disk.syncs() == syncs);
    disk.repair();
}

#[test]
fn a_refused_message_does_not_come_back_once_the_log_went_on() {
    let (disk, mut ledger) = (Disk::new(), Ledger::default());
    let (spool, _) = open(&disk).unwrap();
    ledger.ask(&spool, Step::Commit { number: 1, size: 50 }).unwrap();
    refuse_a_commit(&disk, &mut ledger, &spool);
    ledger.ask(&spool, Step::Commit { number: 2, size: 50 }).unwrap();
    block_on(spool.close());
    // All that was written is there, the refused message too.
    let mut disk = disk.crash(Survival::All);
    for _ in 0..3 {
        let (spool, report) = open(&disk).unwrap();
        assert_eq!(report.damage, []);
        assert_eq!(report.messages, 2, "the refused one came back");
        block_on(spool.close());
        disk = ledger.crash(&disk, Survival::All);
    }
}

#[test]
fn a_message_that_was_arriving_when_a_sync_failed_is_refused() {
    let (disk, mut ledger) = (Disk::new(), Ledger::default());
    let (spool, _) = open(&disk).unwrap();
    ledger.ask(&spool, Step::Commit { number: 1, size: 50 }).unwrap();
    let mut draft = block_on(spool.begin(common::id(2), 0)).unwrap();
    block_on(draft.write(&common::body(2, 1500))).unwrap();
    refuse_a_commit(&disk, &mut ledger, &spool);
    let error = block_on(draft.commit(&common::envelope(2))).unwrap_err();
    assert_eq!(error, CommitError::Failed(ErrorKind::Other), "a part of it is lost, though it reads well");
    ledger.crash(&disk, Survival::Nothing);
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8, u16)>> {
    prop::collection::vec((0_u8..12, any::<u8>(), 0_u16..6000), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// Random work with restarts, crashes and errors in between; promises are looked at after each start.
    #[test]
    fn whatever_happens_promises_are_kept(steps in steps(), seed: u64) {
        let (mut disk, mut ledger) = (Disk::new(), Ledger::default());
        let (mut spool, _) = open(&disk).unwrap();
        let mut numbers: Vec<u64> = Vec::new();
        for (turn, (kind, choice, size)) in (0_u64..).zip(steps) {
            let pick = numbers.get(usize::from(choice) % numbers.len().max(1)).copied();
            let step = match (kind, pick) {
                (0..4, _) => {
                    numbers.push(turn + 1);
                    Some(Step::Commit { number: turn + 1, size: usize::from(size) })
                }
                (4, _) => Some(Step::Drop { number: 1000 + turn, size: usize::from(size) }),
                (5 | 6, Some(number)) => Some(Step::Deliver { number, index: u32::from(choice) % 2 }),
                (7 | 8, Some(number)) => Some(Step::Done { number }),
                (9, _) => {
                    disk.fault_at(1 + u64::from(choice) % 12, Fault::Once(ErrorKind::Other));
                    None
                }
                (10, _) => {
                    disk.fault_at(1 + u64::from(choice) % 12, Fault::Crash);
                    None
                }
                _ => {
                    let survival = SURVIVALS[usize::from(choice) % 2 + 1];
                    let survival = if survival == Survival::Some(1) { Survival::Some(seed ^ turn) } else { survival };
                    disk = disk.crash(survival);
                    drop(spool);
                    spool = open(&disk).expect("a crash never stops a start").0;
                    ledger.check(&spool);
                    None
                }
            };
            if let Some(step) = step {
                let _ = ledger.ask(&spool, step);
            }
        }
        let disk = disk.crash(Survival::Some(seed));
        let (spool, report) = open(&disk).expect("a crash never stops a start");
        ledger.check(&spool);
        prop_assert_eq!(report.damage, []);
        prop_assert_eq!(report.set_aside, Vec::<String>::new());
        let fresh = numbers.len() as u64 + 500;
        ledger.ask(&spool, Step::Commit { number: fresh, size: 50 }).expect("the disk works");
    }
}
