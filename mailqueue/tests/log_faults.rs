//! The log keeps its promises whichever call to the disk fails, and wherever the machine stops.

#[cfg(test)]
mod ledger;

use std::io::ErrorKind;
use std::ops::Range;

use ledger::{Ledger, Step, attempts, open, small};
use mailqueue::files::Files;
use mailqueue::log::Preparation;
use mailqueue::testing::{Disk, Fault, Survival, block_on};
use mailqueue::{CommitError, Draft, LogConfig, LogSpool, Note, Spool};
use proptest::prelude::*;

/// A little of everything, over several segments; in the second half, most mail goes and the rest is moved together.
fn script() -> Vec<Step> {
    let mut script = vec![
        Step::Commit { number: 1, size: 300 },
        Step::Commit { number: 2, size: 5000 },
        Step::Announce { number: 2 },
        Step::Deliver { number: 1 },
        Step::Drop { number: 90, size: 2000 },
        Step::Commit { number: 3, size: 0 },
        Step::Rules,
        Step::Done { number: 2 },
        Step::Commit { number: 4, size: 2500 },
        Step::Try { number: 1 },
        Step::Replace { number: 5, size: 3000, of: 1 },
        Step::Announce { number: 3 },
        Step::Deliver { number: 3 },
        Step::Try { number: 3 },
        Step::Done { number: 4 },
        Step::Commit { number: 6, size: 900 },
        Step::Announce { number: 6 },
        Step::Announce { number: 6 },
        Step::Deliver { number: 6 },
        Step::Replace { number: 7, size: 100, of: 5 },
        Step::Announce { number: 6 },
    ];
    for number in 10..34 {
        script.push(Step::Commit { number, size: 700 });
        script.extend((number % 5 == 0).then_some(Step::Try { number }));
        let gone = (number > 13 && number % 5 != 3).then_some(Step::Done { number: number - 4 });
        script.extend(gone);
    }
    script.extend([Step::Rules, Step::Done { number: 3 }, Step::Done { number: 33 }]);
    script.extend([30, 31, 32, 29, 24, 19].map(|number| Step::Done { number }));
    script.extend([Step::Try { number: 14 }; 3]);
    script.push(Step::Announce { number: 14 });
    script
}

const SURVIVALS: [Survival; 4] = [Survival::All, Survival::Nothing, Survival::Some(1), Survival::Some(2)];

/// Plays the script from its start, or from a log that was used before. Steps that fail are not repeated.
fn play(disk: &Disk, ledger: &mut Ledger) {
    let Ok((spool, _)) = open(disk) else { return };
    ledger.check(&spool);
    for step in script() {
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
fn the_script_moves_mail() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    let mut ledger = Ledger::default();
    let kept = ledger::body(14, 700);
    let mut copies = 0;
    for step in script() {
        ledger.ask(&spool, step).unwrap();
        let in_file = |name: String| {
            let octets = disk.octets(&name).unwrap_or_default();
            octets.windows(600).filter(|window| *window == &kept[50..650]).count()
        };
        copies = copies.max(disk.list().unwrap().into_iter().map(in_file).sum());
    }
    assert!(copies > 1, "message 14 stays where it is");
}

#[test]
fn a_crash_at_any_call_loses_nothing() {
    let calls = calls_of_a_play();
    assert!(calls > 150, "{calls}");
    for call in 1..=calls {
        for survival in [Survival::All, Survival::Nothing, Survival::Some(call)] {
            let (disk, mut ledger) = (Disk::new(), Ledger::default());
            disk.fault_at(call, Fault::Crash);
            play(&disk, &mut ledger);
            let disk = ledger.crash(&disk, survival);
            ledger.crash(&disk, Survival::Nothing);
        }
    }
}

/// The next process uses what the last one made and did not make durable.
#[test]
fn what_is_taken_after_a_restart_survives_a_power_cut() {
    let mails = |ledger: &mut Ledger, spool: &LogSpool<Disk>, numbers: Range<u64>| {
        for number in numbers {
            ledger.ask(spool, Step::Commit { number, size: 900 }).unwrap();
        }
    };
    for before in 1..20 {
        for after in 1..6 {
            let (disk, mut ledger) = (Disk::new(), Ledger::default());
            let (spool, _) = open(&disk).unwrap();
            mails(&mut ledger, &spool, 0..before);
            block_on(spool.close());
            let (spool, _) = open(&disk).unwrap();
            mails(&mut ledger, &spool, before..before + after);
            ledger.crash(&disk, Survival::Nothing);
        }
    }
}

/// A message that was written anew is done, and a segment with its octets goes for that, before anything proves either.
#[test]
fn what_is_done_stays_done_where_a_segment_with_its_octets_went_first() {
    for before in (0..3500).step_by(100) {
        let disk = Disk::new();
        let (spool, _) = open(&disk).unwrap();
        block_on(async {
            ledger::commit(&spool, 2, before).await.unwrap();
            ledger::record(&spool, 2, vec![Note::Done]).await.unwrap();
            let mut draft = spool.begin(ledger::id(1), 0).await.unwrap();
            draft.write(&ledger::body(1, 3000)).await.unwrap();
            spool.keep_rules(vec![7; 50]).await.unwrap();
            let _ = draft.commit(&ledger::envelope(1), None).await.unwrap();
            for attempt in 1..18 {
                ledger::record(&spool, 1, vec![ledger::trying(attempt)]).await.unwrap();
            }
            ledger::record(&spool, 1, vec![Note::Done]).await.unwrap();
            spool.close().await;
        });
        let disk = disk.crash(Survival::Nothing);
        for start in 0..8 {
            let (spool, report) = open(&disk).unwrap();
            let found = (report.messages, report.damaged_messages);
            assert_eq!(found, (0, vec![]), "behind {before} octets, start {start}");
            block_on(async {
                ledger::commit(&spool, 10 + start, 900).await.unwrap();
                ledger::record(&spool, 10 + start, vec![Note::Done]).await.unwrap();
                spool.close().await;
            });
        }
    }
}

#[test]
fn a_crash_loses_nothing_while_a_thread_prepares_segments() {
    for call in (1..=calls_of_a_play()).step_by(3) {
        for survival in [Survival::Nothing, Survival::Some(call)] {
            let (disk, mut ledger) = (Disk::new(), Ledger::default());
            disk.fault_at(call, Fault::Crash);
            let config = LogConfig { preparation: Preparation::Beside, ..small() };
            if let Ok((spool, _)) = LogSpool::open(disk.clone(), config) {
                for step in script() {
                    let _ = ledger.ask(&spool, step);
                }
                block_on(spool.close());
            }
            ledger.crash(&disk, survival);
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

/// What a start wiped and could not sync is a spare for the next one, and might be a segment again after a power cut.
#[test]
fn a_wipe_whose_sync_failed_is_made_again_by_the_next_start() {
    let mut wiped = 0;
    for call in 1.. {
        let (disk, mut ledger) = (Disk::new(), Ledger::default());
        let (spool, _) = open(&disk).unwrap();
        ledger.ask(&spool, Step::Commit { number: 1, size: 900 }).unwrap();
        block_on(spool.close());
        let is_segment = |name: &String| disk.octets(name).is_some_and(|octets| octets.starts_with(b"phqueue"));
        let original = disk.list().unwrap().into_iter().find(is_segment).unwrap();
        disk.fault_at(call, Fault::Once(ErrorKind::Other));
        let opened = open(&disk);
        if !disk.fault_happened() {
            break;
        }
        if opened.is_err() && !is_segment(&original) {
            // It is the last that is used again.
            disk.rename(&original, "segment-00000000").unwrap();
            disk.sync_dir().unwrap();
            wiped += 1;
        }
        let (spool, _) = opened.or_else(|_| open(&disk)).unwrap();
        ledger.ask(&spool, Step::Commit { number: 2, size: 900 }).unwrap();
        ledger.crash(&disk, Survival::Nothing);
    }
    assert!(wiped > 0);
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
        let refused = script().into_iter().filter(|step| ledger.ask(&spool, *step).is_err()).count();
        // What depends on a refused commit is refused too: what is said of message 1, and those that replace it.
        assert!(refused <= 5, "call {call}: {refused} steps refused");
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

/// Lets the sync of a commit fail: the call behind the write. Where the log does other work at that moment, the next
/// commit is tried.
fn refuse_a_commit(disk: &Disk, ledger: &mut Ledger, spool: &impl Spool) {
    for number in 100.. {
        disk.fault_at(2, Fault::Once(ErrorKind::Other));
        let said = ledger.ask(spool, Step::Commit { number, size: 50 });
        disk.repair();
        if said.is_err() {
            return;
        }
    }
}

#[test]
fn a_refused_message_does_not_come_back_once_the_log_went_on() {
    let (disk, mut ledger) = (Disk::new(), Ledger::default());
    let (spool, _) = open(&disk).unwrap();
    ledger.ask(&spool, Step::Commit { number: 1, size: 50 }).unwrap();
    refuse_a_commit(&disk, &mut ledger, &spool);
    ledger.ask(&spool, Step::Commit { number: 2, size: 50 }).unwrap();
    block_on(spool.close());
    let kept = ledger.fates.values().filter(|fate| fate.committed).count();
    // All that was written is there, the refused message too.
    let mut disk = disk.crash(Survival::All);
    for _ in 0..3 {
        let (spool, report) = open(&disk).unwrap();
        assert_eq!(report.damage, []);
        assert_eq!(report.messages, kept, "the refused one came back");
        block_on(spool.close());
        disk = ledger.crash(&disk, Survival::All);
    }
}

/// The first sync of a segment fails, and a message that arrives keeps it on disk.
#[test]
fn a_message_that_a_fresh_segment_refused_does_not_come_back_once_the_log_went_on() {
    let mut refused = 0;
    // Which call a commit needs depends on what the log is at beside it.
    for call in (1..24).cycle().take(500) {
        if refused == 4 {
            return;
        }
        let (disk, mut ledger) = (Disk::new(), Ledger::default());
        let (spool, _) = open(&disk).unwrap();
        ledger.ask(&spool, Step::Commit { number: 1, size: 50 }).unwrap();
        refuse_a_commit(&disk, &mut ledger, &spool);
        let mut draft = block_on(spool.begin(ledger::id(2_000_000), 0)).unwrap();
        block_on(draft.write(&ledger::body(7, 1000))).unwrap();
        disk.fault_at(call, Fault::Once(ErrorKind::Other));
        let said = ledger.ask(&spool, Step::Commit { number: 1_000_000, size: 50 });
        disk.repair();
        refused += usize::from(said.is_err());
        ledger.ask(&spool, Step::Commit { number: 1_000_001, size: 50 }).unwrap();
        let disk = disk.crash(Survival::All);
        drop(draft);
        let kept = ledger.fates.values().filter(|fate| fate.committed).count();
        let (_, report) = open(&disk).unwrap();
        assert_eq!(report.messages, kept, "call {call}: a refused one came back");
    }
    panic!("{refused} refused");
}

#[test]
fn a_message_that_was_arriving_when_a_sync_failed_is_refused() {
    let (disk, mut ledger) = (Disk::new(), Ledger::default());
    let (spool, _) = open(&disk).unwrap();
    ledger.ask(&spool, Step::Commit { number: 1, size: 50 }).unwrap();
    let mut draft = block_on(spool.begin(ledger::id(2), 0)).unwrap();
    block_on(draft.write(&ledger::body(2, 1500))).unwrap();
    refuse_a_commit(&disk, &mut ledger, &spool);
    let error = block_on(draft.commit(&ledger::envelope(2), None)).unwrap_err();
    assert_eq!(error, CommitError::Failed(ErrorKind::Other), "a part of it is lost, though it reads well");
    ledger.crash(&disk, Survival::Nothing);
}

#[test]
fn an_announcement_costs_no_sync_and_survives_the_process() {
    let (disk, mut ledger) = (Disk::new(), Ledger::default());
    let (spool, _) = open(&disk).unwrap();
    ledger.ask(&spool, Step::Commit { number: 1, size: 50 }).unwrap();
    let syncs = disk.syncs();
    block_on(ledger::announce(&spool, 1, 1)).unwrap();
    block_on(ledger::announce(&spool, 1, 2)).unwrap();
    assert_eq!(attempts(&spool, 1), 2);
    assert_eq!(disk.syncs(), syncs);
    let (spool, report) = open(&disk.crash(Survival::All)).unwrap();
    assert_eq!(report.damage, []);
    assert_eq!(attempts(&spool, 1), 2);
}

#[test]
fn a_power_cut_takes_an_announcement_that_nothing_followed_and_nothing_else() {
    for survival in (0..20).map(Survival::Some).chain([Survival::Nothing]) {
        let (disk, mut ledger) = (Disk::new(), Ledger::default());
        let (spool, _) = open(&disk).unwrap();
        ledger.ask(&spool, Step::Commit { number: 1, size: 50 }).unwrap();
        ledger.ask(&spool, Step::Try { number: 1 }).unwrap();
        ledger.ask(&spool, Step::Announce { number: 1 }).unwrap();
        let disk = ledger.crash(&disk, survival);
        let (spool, _) = open(&disk).unwrap();
        let left = attempts(&spool, 1);
        assert!(left == 1 || left == 2 && survival != Survival::Nothing, "{left} after {survival:?}");
    }
}

#[test]
fn whatever_is_synced_later_takes_an_announcement_with_it() {
    let later = [
        Step::Commit { number: 2, size: 50 },
        Step::Deliver { number: 1 },
        Step::Try { number: 3 },
        Step::Done { number: 3 },
        Step::Rules,
        // In another segment.
        Step::Commit { number: 2, size: 5000 },
    ];
    for step in later {
        for survival in SURVIVALS {
            let (disk, mut ledger) = (Disk::new(), Ledger::default());
            let (spool, _) = open(&disk).unwrap();
            ledger.ask(&spool, Step::Commit { number: 3, size: 50 }).unwrap();
            ledger.ask(&spool, Step::Commit { number: 1, size: 50 }).unwrap();
            block_on(ledger::announce(&spool, 1, 9)).unwrap();
            ledger.fates.get_mut(&1).unwrap().tried_asked = 9;
            ledger.ask(&spool, step).unwrap();
            let disk = ledger.crash(&disk, survival);
            let (spool, _) = open(&disk).unwrap();
            assert_eq!(attempts(&spool, 1), 9, "{step:?}, {survival:?}");
        }
    }
}

#[test]
fn a_failed_sync_takes_announcements_and_what_is_said_after_it_stands() {
    for earlier in [Step::Try { number: 1 }, Step::Deliver { number: 1 }, Step::Commit { number: 2, size: 3500 }] {
        let (disk, mut ledger) = (Disk::new(), Ledger::default());
        let (spool, _) = open(&disk).unwrap();
        ledger.ask(&spool, Step::Commit { number: 1, size: 50 }).unwrap();
        ledger.ask(&spool, earlier).unwrap();
        let tried = ledger.fates[&1].tried;
        for _ in 0..3 {
            ledger.ask(&spool, Step::Announce { number: 1 }).unwrap();
        }
        refuse_a_commit(&disk, &mut ledger, &spool);
        assert_eq!(attempts(&spool, 1), tried, "after {earlier:?}");
        ledger.ask(&spool, Step::Deliver { number: 1 }).unwrap();
        ledger.ask(&spool, Step::Announce { number: 1 }).unwrap();
        ledger.ask(&spool, Step::Try { number: 1 }).unwrap();
        block_on(spool.close());
        let disk = ledger.crash(&disk, Survival::Nothing);
        let (spool, _) = open(&disk).unwrap();
        ledger.check(&spool);
        ledger.ask(&spool, Step::Done { number: 1 }).unwrap();
        block_on(spool.close());
        ledger.crash(&disk, Survival::Nothing);
    }
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8, u16)>> {
    prop::collection::vec((0_u8..15, any::<u8>(), 0_u16..3000), 1..160)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

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
                (5, Some(number)) => Some(Step::Deliver { number }),
                (6, Some(number)) => Some(Step::Try { number }),
                (7, Some(of)) => {
                    numbers.push(turn + 1);
                    Some(Step::Replace { number: turn + 1, size: usize::from(size), of })
                }
                (8 | 12, Some(number)) => Some(Step::Done { number }),
                (13, _) => Some(Step::Rules),
                (14, Some(number)) => Some(Step::Announce { number }),
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
