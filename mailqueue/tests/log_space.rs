//! How a log gives space back, and what it does where there is none.

#[cfg(test)]
mod ledger;

use ledger::{Ledger, Step, body, commit, delivered, envelope, id, octets, open, record, take_all, trying};
use mailqueue::files::Files;
use mailqueue::testing::{Disk, Survival, block_on};
use mailqueue::{CommitError, Draft, Note, Spool};

#[test]
fn a_reader_keeps_what_it_opened() {
    let (spool, _) = open(&Disk::new()).unwrap();
    block_on(async {
        commit(&spool, 1, 3000).await.unwrap();
        let octets = spool.body(id(1)).await.unwrap();
        record(&spool, 1, vec![Note::Done]).await.unwrap();
        // The segments of message 1 are empty now, and others are written.
        for number in 2..40 {
            commit(&spool, number, 3000).await.unwrap();
            record(&spool, number, vec![Note::Done]).await.unwrap();
        }
        for _ in 0..2 {
            assert_eq!(octets.reader().read_to_end().await.unwrap(), body(1, 3000));
        }
    });
}

#[test]
fn space_comes_back() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    for round in 0..200 {
        block_on(async {
            commit(&spool, round + 1, 2500).await.unwrap();
            let mut draft = spool.begin(id(10_000 + round), 0).await.unwrap();
            draft.write(&body(round, 2500)).await.unwrap();
            drop(draft);
            record(&spool, round + 1, vec![delivered(0), delivered(1), Note::Done]).await.unwrap();
        });
    }
    block_on(spool.close());
    assert!(disk.list().unwrap().len() <= 6, "{:?}", disk.list());
    assert!(block_on(spool.space()).unwrap().used <= 6 * 4096);
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.messages, 0);
    assert!(report.segments <= 4, "{report:?}");
    drop(spool);
}

#[test]
fn a_log_takes_twice_what_is_alive_and_a_little() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    let mut ledger = Ledger::default();
    for number in 1..=600 {
        ledger.ask(&spool, Step::Commit { number, size: 500 }).unwrap();
        if number % 3 == 0 {
            ledger.ask(&spool, Step::Try { number }).unwrap();
        }
    }
    let full = block_on(spool.space()).unwrap().used;
    for number in (1..=600).filter(|number| number % 9 != 0) {
        ledger.ask(&spool, Step::Done { number }).unwrap();
    }
    // Those that are left are tried again and again: their facts are joined, and move with them.
    for _ in 0..40 {
        for number in [9, 99, 594] {
            ledger.ask(&spool, Step::Deliver { number }).unwrap();
            ledger.ask(&spool, Step::Try { number }).unwrap();
        }
    }
    let used = block_on(spool.space()).unwrap().used;
    let alive = 66 * 1000;
    assert!(full > 600 * 700 && used < 2 * alive + 8 * 4096, "{full} octets became {used}");
    assert!(disk.list().unwrap().len() as u64 * 4096 <= used + 3 * 4096);
    block_on(spool.close());
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.messages, 66);
    ledger.check(&spool);
    block_on(spool.close());
    ledger.crash(&disk, Survival::Nothing);
}

#[test]
fn a_draft_and_a_reader_keep_their_octets_while_all_around_them_moves() {
    let (spool, _) = open(&Disk::new()).unwrap();
    block_on(async {
        commit(&spool, 1, 1500).await.unwrap();
        let mut draft = spool.begin(id(2), 0).await.unwrap();
        draft.write(&body(2, 1500)).await.unwrap();
        let reader = spool.body(id(1)).await.unwrap();
        for number in 3..200 {
            commit(&spool, number, 500).await.unwrap();
            if number % 8 != 0 {
                record(&spool, number, vec![Note::Done]).await.unwrap();
            }
        }
        draft.write(&body(2, 1600)[1500..]).await.unwrap();
        let _ = draft.commit(&envelope(2), None).await.unwrap();
        assert_eq!(octets(&spool, 2).await.unwrap(), body(2, 1600));
        for number in 200..300 {
            commit(&spool, number, 500).await.unwrap();
            record(&spool, number, vec![Note::Done]).await.unwrap();
        }
        record(&spool, 1, vec![Note::Done]).await.unwrap();
        assert_eq!(reader.reader().read_to_end().await.unwrap(), body(1, 1500));
        assert_eq!(octets(&spool, 2).await.unwrap(), body(2, 1600));
        for number in (8..200).step_by(8) {
            assert_eq!(octets(&spool, number).await.unwrap(), body(number, 500));
        }
    });
}

#[test]
fn a_full_queue_drains_and_takes_mail_again_round_after_round() {
    let (disk, mut ledger) = (Disk::new(), Ledger::default());
    disk.limit(Some(40 * 4096));
    let (spool, _) = open(&disk).unwrap();
    let mut least = usize::MAX;
    for round in 0..12_u64 {
        let mut here = Vec::new();
        for number in (1..).map(|number| 1000 * round + number) {
            match ledger.ask(&spool, Step::Commit { number, size: 300 }) {
                Ok(()) => here.push(number),
                Err(_) => break,
            }
        }
        assert_eq!(block_on(spool.begin(id(9), 50_000)).unwrap_err(), CommitError::Full);
        least = least.min(here.len());
        // In another order each time, so that what is left lies scattered.
        let stride = [1, 7, 11, 13][round as usize % 4];
        for number in (0..stride).flat_map(|first| here.iter().skip(first).step_by(stride)) {
            ledger.ask(&spool, Step::Try { number: *number }).unwrap();
            ledger.ask(&spool, Step::Done { number: *number }).unwrap();
        }
    }
    assert!(least > 45, "only {least} messages in some round");
    block_on(spool.close());
    ledger.crash(&disk, Survival::Nothing);
}

#[test]
fn a_disk_without_room_for_files_refuses_mail_and_still_delivers() {
    let disk = Disk::new();
    disk.limit_files(Some(24));
    let (spool, _) = open(&disk).unwrap();
    let taken: Vec<u64> = (1..200).take_while(|number| block_on(commit(&spool, *number, 900)).is_ok()).collect();
    assert!((4..150).contains(&taken.len()), "{}", taken.len());
    assert_eq!(block_on(spool.begin(id(500), 30_000)).unwrap_err(), CommitError::Full);
    for number in taken {
        block_on(record(&spool, number, vec![trying(1)])).unwrap();
        block_on(record(&spool, number, vec![Note::Done])).unwrap();
    }
    block_on(commit(&spool, 501, 900)).unwrap();
}

#[test]
fn restarts_leave_no_segments_behind() {
    let mut disk = Disk::new();
    let mut ledger = Ledger::default();
    for round in 0..30 {
        let (spool, report) = open(&disk).unwrap();
        ledger.check(&spool);
        ledger.ask(&spool, Step::Commit { number: round + 1, size: 10 }).unwrap();
        assert!(report.segments <= 1 + (round as usize * 500).div_ceil(3000), "{round}: {report:?}");
        disk = disk.crash(Survival::Nothing);
    }
}

#[test]
fn a_full_disk_refuses_mail_and_still_delivers() {
    let disk = Disk::new();
    disk.limit(Some(16 * 4096));
    let (spool, _) = open(&disk).unwrap();
    let mut taken = Vec::new();
    // Everyone was let in while there was room. Large ones first, then small ones, until not even those fit.
    let begin = |number| (number, block_on(spool.begin(id(number), 0)).unwrap());
    let drafts: Vec<_> = (1..=60).map(begin).collect();
    let mut full = Vec::new();
    for (number, mut draft) in drafts {
        let size = if number <= 30 { 900 } else { 1 };
        let said = block_on(async {
            draft.write(&body(number, size)).await?;
            draft.commit(&envelope(number), None).await
        });
        match said {
            Ok(_) => taken.push(number),
            Err(error) => full.push(error),
        }
    }
    assert!(full.len() > 20 && full.iter().all(|error| *error == CommitError::Full), "{full:?}");
    assert!(taken.len() > 15, "{taken:?}");
    assert_eq!(block_on(spool.begin(id(999), 100_000)).unwrap_err(), CommitError::Full);
    // What becomes of all that is here finds room, and then mail does again.
    for number in &taken {
        block_on(record(&spool, *number, vec![delivered(0)])).unwrap();
    }
    for number in &taken {
        block_on(record(&spool, *number, vec![delivered(1), Note::Done])).unwrap();
    }
    block_on(commit(&spool, 500, 900)).unwrap();
}

#[test]
fn pieces_of_mail_that_never_came_are_counted_and_go() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    block_on(async {
        commit(&spool, 1, 10).await.unwrap();
        let mut draft = spool.begin(id(2), 0).await.unwrap();
        draft.write(&body(2, 1500)).await.unwrap();
        commit(&spool, 3, 10).await.unwrap();
        spool.close().await;
        drop(draft);
    });
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.orphan_chunks, 2);
    assert_eq!(report.damage, []);
    assert_eq!(report.torn_tails, 0);
    assert_eq!(block_on(take_all(&spool)).len(), 2);
}
