//! What a log does apart from surviving: sharing syncs, giving space back, refusing mail in time, telling of damage.

#[cfg(test)]
mod ledger;

use std::io;
use std::thread;

use ledger::gate::Gated;
use ledger::{
    Ledger, Step, body, commit, commit_with, delivered, envelope, facts, find, full_segments, id, octets, open,
    read_all, read_one, record, small, take_all, trying,
};
use mailqueue::files::{Files, RealFiles};
use mailqueue::log::{OpenError, Preparation};
use mailqueue::testing::{Disk, Fault, Survival, block_on};
use mailqueue::{
    CommitError, Draft, Held, LogConfig, LogSpool, Note, Progress, ReadError, RecordError, Spool, Standing, Taken,
    Wake, Warned,
};

#[test]
fn a_message_is_handed_over_once_and_again_after_a_start() {
    let disk = Disk::new();
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.messages, 0);
    block_on(async {
        commit(&spool, 1, 100).await.unwrap();
        spool.arrived().await;
        assert_eq!(take_all(&spool).await.len(), 1);
        assert_eq!(take_all(&spool).await.len(), 0);
        record(&spool, 1, vec![Note::Hold(Held::Asked), delivered(1)]).await.unwrap();
        spool.close().await;
        assert_eq!(commit(&spool, 2, 1).await, Err(CommitError::Unavailable));
        assert_eq!(record(&spool, 1, vec![Note::Done]).await, Err(RecordError::Unavailable));
    });
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.messages, 1);
    let taken = block_on(take_all(&spool));
    assert_eq!(taken, [Taken { id: id(1), wake: Wake::Asked }]);
    let stored = block_on(read_one(&spool, 1)).unwrap();
    assert_eq!(stored.standing, Standing::Held(Held::Asked));
    assert_eq!(stored.size, 100);
    assert_eq!(stored.progress[0], Progress::Fresh);
    assert!(matches!(stored.progress[1], Progress::Delivered { .. }));
}

#[test]
fn a_message_that_is_done_is_unknown() {
    let (spool, _) = open(&Disk::new()).unwrap();
    block_on(async {
        commit(&spool, 1, 10).await.unwrap();
        record(&spool, 1, vec![delivered(0), Note::Done]).await.unwrap();
        assert_eq!(read_one(&spool, 1).await.unwrap_err(), ReadError::Unknown);
        assert_eq!(record(&spool, 1, vec![Note::Done]).await, Err(RecordError::Unknown));
        assert_eq!(record(&spool, 2, vec![Note::Hold(Held::Asked)]).await, Err(RecordError::Unknown));
    });
}

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
fn commits_that_wait_together_share_one_sync() {
    let gated = Gated::default();
    let gate = gated.gate();
    let config = LogConfig { segment_size: 1 << 16, ..small() };
    let (spool, _) = LogSpool::open(gated, config).unwrap();
    block_on(commit(&spool, 1, 10)).unwrap();
    let before = gate.syncs();
    gate.close();
    thread::scope(|scope| {
        let first = scope.spawn(|| block_on(commit(&spool, 2, 10)).unwrap());
        while gate.syncs() == before {
            thread::yield_now();
        }
        // The committer stands at the gate. All of these are sent before it goes on.
        let drafts: Vec<_> = (3..18)
            .map(|number| {
                let draft = block_on(async {
                    let mut draft = spool.begin(id(number), 0).await.unwrap();
                    draft.write(&body(number, 10)).await.unwrap();
                    draft
                });
                (number, draft)
            })
            .collect();
        let envelopes: Vec<_> = (3..18).map(envelope).collect();
        let mut commits: Vec<_> = drafts
            .into_iter()
            .zip(&envelopes)
            .map(|((_, draft), envelope)| Box::pin(draft.commit(envelope, None)))
            .collect();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for commit in &mut commits {
            assert!(commit.as_mut().poll(&mut context).is_pending());
        }
        gate.open();
        first.join().unwrap();
        for commit in commits {
            let _ = block_on(commit).unwrap();
        }
    });
    assert_eq!(gate.syncs(), before + 2, "one for the first, one for all others");
    assert_eq!(block_on(take_all(&spool)).len(), 17);
}

#[test]
fn nobody_waits_for_a_segment_that_is_being_prepared() {
    let gated = Gated::default();
    let names = gated.names();
    let config = LogConfig { segment_size: 1 << 13, spares: 2, preparation: Preparation::Beside, ..small() };
    let (spool, _) = LogSpool::open(gated, config).unwrap();
    let before = names.syncs();
    names.close();
    let mut numbers = 1..;
    let mut one_more = || block_on(commit(&spool, numbers.next().unwrap(), 600)).unwrap();
    // The first segment is full, and the spare that was taken is to be replaced.
    (0..12).for_each(|_| one_more());
    while names.syncs() == before {
        thread::yield_now();
    }
    one_more();
    names.open();
    (0..100).for_each(|_| one_more());
    assert_eq!(block_on(read_all(&spool)).len(), 113);
    block_on(spool.close());
}

#[test]
fn a_dropped_commit_is_not_forgotten() {
    let (spool, _) = open(&Disk::new()).unwrap();
    block_on(async {
        let mut draft = spool.begin(id(1), 0).await.unwrap();
        draft.write(b"octets").await.unwrap();
        let envelope = envelope(1);
        let mut commit = Box::pin(draft.commit(&envelope, None));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = commit.as_mut().poll(&mut context);
        drop(commit);
        spool.arrived().await;
        assert_eq!(take_all(&spool).await.len(), 1);
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
fn a_message_takes_the_place_of_another_or_nothing_happens() {
    let (spool, _) = open(&Disk::new()).unwrap();
    block_on(async {
        commit(&spool, 1, 900).await.unwrap();
        let held = facts(1, vec![Note::Warned, delivered(0)]);
        commit_with(&spool, 2, 2000, Some(held)).await.unwrap();
        let stored = read_one(&spool, 1).await.unwrap();
        assert_eq!(stored.warned, Warned::Yes);
        assert!(matches!(stored.progress[0], Progress::Delivered { .. }));
        commit_with(&spool, 3, 10, Some(facts(1, vec![Note::Done]))).await.unwrap();
        let twice = commit_with(&spool, 4, 10, Some(facts(1, vec![Note::Done]))).await;
        assert_eq!(twice, Err(CommitError::Overtaken));
        assert_eq!(read_one(&spool, 4).await, Err(ReadError::Unknown));
        assert_eq!(commit(&spool, 3, 10).await, Err(CommitError::Failed(io::ErrorKind::AlreadyExists)));
        // Message 2 goes, and what stands beside it about message 1 with it.
        record(&spool, 2, vec![Note::Done]).await.unwrap();
        assert_eq!(octets(&spool, 3).await.unwrap(), body(3, 10));
    });
}

#[test]
fn rules_are_kept_through_restarts_and_compaction() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    block_on(async {
        assert_eq!(spool.rules().await.unwrap(), b"");
        spool.keep_rules(b"old".to_vec()).await.unwrap();
        spool.keep_rules(b"new".to_vec()).await.unwrap();
        for number in 1..100 {
            commit(&spool, number, 500).await.unwrap();
            record(&spool, number, vec![Note::Done]).await.unwrap();
        }
        assert_eq!(spool.rules().await.unwrap(), b"new");
        let error = spool.keep_rules(vec![0; 5000]).await.unwrap_err();
        assert_eq!(error, RecordError::Failed(io::ErrorKind::FileTooLarge));
        spool.close().await;
    });
    let (spool, report) = open(&disk).unwrap();
    assert!(report.segments < 8, "{report:?}");
    assert_eq!(block_on(spool.rules()).unwrap(), b"new");
    block_on(spool.keep_rules(Vec::new())).unwrap();
    assert_eq!(block_on(spool.rules()).unwrap(), b"");
}

#[test]
fn what_is_put_above_a_message_stands_there_in_one_chunk_or_many() {
    let (spool, _) = open(&Disk::new()).unwrap();
    block_on(async {
        for (number, above, below) in
            [(1, 10, 10), (2, 600, 600), (3, 2000, 5), (4, 1, 2000), (5, 5, 0), (6, 1500, 1500)]
        {
            let octets_of = body(number, above + below);
            let mut draft = spool.begin(id(number), 0).await.unwrap();
            let (top, rest) = octets_of.split_at(above);
            let (first, second) = top.split_at(above / 2);
            draft.prepend(second);
            draft.write(rest).await.unwrap();
            draft.prepend(first);
            let _ = draft.commit(&envelope(number), None).await.unwrap();
            assert_eq!(octets(&spool, number).await.unwrap(), octets_of, "{number}");
            assert_eq!(read_one(&spool, number).await.unwrap().size, (above + below) as u64);
        }
    });
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
    disk.limit(Some(15 * 4096));
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
fn a_write_that_was_dropped_half_way_spoils_the_message() {
    let gated = Gated::default();
    let gate = gated.gate();
    let (spool, _) = LogSpool::open(gated, LogConfig { segment_size: 1 << 16, ..small() }).unwrap();
    block_on(commit(&spool, 1, 10)).unwrap();
    let before = gate.syncs();
    gate.close();
    thread::scope(|scope| {
        scope.spawn(|| block_on(commit(&spool, 2, 10)).unwrap());
        while gate.syncs() == before {
            thread::yield_now();
        }
        let mut draft = block_on(spool.begin(id(3), 0)).unwrap();
        {
            let octets = body(3, 2000);
            let mut write = Box::pin(draft.write(&octets));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(write.as_mut().poll(&mut context).is_pending());
        }
        gate.open();
        assert_eq!(block_on(draft.write(b"more")), Err(CommitError::Unavailable));
        assert_eq!(block_on(draft.commit(&envelope(3), None)).unwrap_err(), CommitError::Unavailable);
    });
}

#[test]
fn a_message_larger_than_all_segments_together_may_be_named_is_refused() {
    let (spool, _) = open(&Disk::new()).unwrap();
    let mut letter = envelope(1);
    letter.sender = "x".repeat(5000);
    let error = block_on(async { spool.begin(id(1), 0).await.unwrap().commit(&letter, None).await }).unwrap_err();
    assert_eq!(error, CommitError::TooLarge);
    block_on(commit(&spool, 2, 10)).unwrap();
}

#[test]
fn damage_in_the_middle_costs_one_message_and_is_told() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    for number in 1..=4 {
        block_on(commit(&spool, number, 600)).unwrap();
    }
    block_on(spool.close());
    let (name, at) = find(&disk, &body(2, 600));
    disk.damage(&name, |octets| octets[at + 300] ^= 1);
    let before = disk.octets(&name).unwrap();
    for start in 0..2 {
        let (spool, report) = open(&disk).unwrap();
        assert_eq!(report.damaged_messages, [id(2)]);
        if start == 0 {
            assert_eq!(report.damage.len(), 1);
            assert_eq!(report.set_aside.len(), 1);
            assert_eq!(disk.octets(&report.set_aside[0]).unwrap(), before, "evidence is kept");
        } else {
            assert_eq!(report.damage, [], "it was told");
        }
        let here = block_on(read_all(&spool));
        assert_eq!(here.len(), 4);
        assert_eq!(here[&id(2)].envelope, envelope(2), "it is there, though its octets are not");
        for number in [1, 3, 4] {
            assert_eq!(block_on(octets(&spool, number)).unwrap(), body(number, 600));
        }
        assert_eq!(block_on(octets(&spool, 2)).unwrap_err(), ReadError::Damaged);
        block_on(spool.close());
    }
}

#[test]
fn a_list_that_cannot_be_read_is_made_again() {
    let disk = full_segments(30);
    let (name, _) = find(&disk, &body(1, 600)[10..]);
    disk.damage(&name, |octets| octets[4090] ^= 1);
    for _ in 0..2 {
        let (spool, report) = open(&disk).unwrap();
        assert_eq!((report.messages, report.damage.len(), report.damaged_messages.len()), (30, 0, 0));
        for number in 1..=30 {
            assert_eq!(block_on(octets(&spool, number)).unwrap(), body(number, 600));
            let stored = block_on(read_one(&spool, number)).unwrap();
            assert!(matches!(stored.progress[1], Progress::Trying { .. }));
        }
        block_on(spool.close());
    }
}

#[test]
fn damage_in_a_full_segment_shows_when_it_is_read_and_keeps_the_segment() {
    let disk = full_segments(30);
    let (name, at) = find(&disk, &body(2, 600)[10..]);
    disk.damage(&name, |octets| octets[at + 300] ^= 1);
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.messages, 30);
    assert_eq!(block_on(octets(&spool, 2)).unwrap_err(), ReadError::Damaged);
    assert_eq!(block_on(read_one(&spool, 2)).unwrap().envelope, envelope(2));
    // All else goes; the damaged message cannot be moved, and is not lost for it.
    for number in (1..=30).filter(|number| *number != 2) {
        assert_eq!(block_on(octets(&spool, number)).unwrap(), body(number, 600));
        block_on(record(&spool, number, vec![Note::Done])).unwrap();
    }
    for number in 100..160 {
        block_on(commit(&spool, number, 600)).unwrap();
        block_on(record(&spool, number, vec![Note::Done])).unwrap();
    }
    assert_eq!(block_on(read_one(&spool, 2)).unwrap().envelope, envelope(2));
    block_on(record(&spool, 2, vec![Note::Done])).unwrap();
    block_on(spool.close());
    assert!(block_on(spool.space()).unwrap().used <= 8 * 4096);
}

#[test]
fn leftovers_do_not_stop_a_start() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("segment-00000007")).unwrap();
    std::fs::write(place.path().join("segment-00000003"), b"phqueue").unwrap();
    std::fs::write(place.path().join("segment-of-nothing"), [7; 500]).unwrap();
    std::fs::write(place.path().join("README"), b"mine").unwrap();
    for messages in 0..3 {
        let (spool, report) = LogSpool::open(RealFiles::new(place.path()).unwrap(), small()).unwrap();
        assert_eq!(report.messages, messages);
        assert_eq!(report.set_aside.len(), usize::from(messages == 0), "{report:?}");
        block_on(commit(&spool, 1 + messages as u64, 3000)).unwrap();
        block_on(spool.close());
    }
}

#[test]
fn a_sector_that_cannot_be_read_costs_what_is_in_it() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    for number in 1..=3 {
        block_on(commit(&spool, number, 600)).unwrap();
    }
    block_on(spool.close());
    let (name, at) = find(&disk, &body(3, 600));
    disk.scratch(&name, at + 200);
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.set_aside.len(), 1, "{report:?}");
    assert!(!report.damage.is_empty());
    // 4 KiB are given up for a sector here; nothing of that was in a synced place of its own.
    drop(spool);
    assert!(disk.octets(&report.set_aside[0]).is_some());
}

#[test]
fn octets_that_change_under_a_running_log_are_not_delivered() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    block_on(commit(&spool, 1, 600)).unwrap();
    let (name, at) = find(&disk, &body(1, 600));
    disk.damage(&name, |octets| octets[at] ^= 1);
    assert_eq!(block_on(octets(&spool, 1)).unwrap_err(), ReadError::Damaged);
}

#[test]
fn a_damaged_header_is_set_aside_and_others_go_on() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    for number in 1..=8 {
        block_on(commit(&spool, number, 600)).unwrap();
    }
    block_on(spool.close());
    let (name, _) = find(&disk, &body(1, 600));
    disk.damage(&name, |octets| octets[20] ^= 1);
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.set_aside.len(), 1);
    let here = block_on(read_all(&spool));
    assert!(here.contains_key(&id(8)) && !here.contains_key(&id(1)), "{here:?}");
}

#[test]
fn a_sector_that_cannot_be_read_once_is_read_again() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    block_on(commit(&spool, 1, 600)).unwrap();
    block_on(spool.close());
    let mut ledger = Ledger::default();
    for call in 1..12 {
        let disk = disk.clone();
        disk.fault_at(call, Fault::Once(io::ErrorKind::Other));
        if let Ok((spool, report)) = open(&disk) {
            assert_eq!(report.damage, []);
            assert_eq!(block_on(take_all(&spool)).len(), 1);
            block_on(spool.close());
        }
        disk.repair();
    }
    let (spool, _) = open(&disk).unwrap();
    ledger.ask(&spool, Step::Commit { number: 2, size: 1 }).unwrap();
    assert_eq!(block_on(take_all(&spool)).len(), 2);
}

#[test]
fn a_newer_version_is_left_alone() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    block_on(commit(&spool, 1, 600)).unwrap();
    block_on(spool.close());
    let (name, _) = find(&disk, &body(1, 600));
    disk.damage(&name, |octets| {
        octets[8] = 9;
        let sum = crc32c::crc32c(&octets[..60]);
        octets[60..64].copy_from_slice(&sum.to_le_bytes());
    });
    let before = disk.octets(&name).unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(&error, OpenError::Newer { file, version: 9 } if *file == name), "{error}");
    assert_eq!(disk.octets(&name).unwrap(), before);
}

#[test]
fn a_record_of_a_newer_kind_survives_and_is_told() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    block_on(async {
        commit(&spool, 1, 64).await.unwrap();
        record(&spool, 1, vec![Note::Hold(Held::Asked)]).await.unwrap();
        record(&spool, 1, vec![Note::Done]).await.unwrap();
        spool.close().await;
    });
    // The record that holds message 1 becomes one of a kind 77.
    let (name, at) = find(&disk, &id(1).to_bytes());
    let payload = at;
    let hold =
        disk.octets(&name).unwrap()[payload..].windows(17).position(|w| w[..16] == id(1).to_bytes() && w[16] == 1);
    let start = payload + hold.unwrap() - 32;
    disk.damage(&name, |octets| {
        octets[start + 24] = 77;
        let length = u32::from_le_bytes(octets[start + 4..start + 8].try_into().unwrap()) as usize;
        let sum = crc32c::crc32c(&octets[start + 4..start + 32 + length]);
        octets[start..start + 4].copy_from_slice(&sum.to_le_bytes());
    });
    for _ in 0..3 {
        let (spool, report) = open(&disk).unwrap();
        assert_eq!(report.unknown, [77]);
        assert_eq!(report.damage, []);
        assert_eq!(report.messages, 0);
        for number in 10..16 {
            block_on(commit(&spool, number, 900)).unwrap();
            block_on(record(&spool, number, vec![Note::Done])).unwrap();
        }
        block_on(spool.close());
    }
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

#[test]
fn settings_that_make_no_sense_are_refused() {
    for config in [
        LogConfig { segment_size: 100, ..small() },
        LogConfig { segment_size: 1 << 30, ..small() },
        LogConfig { spares: 0, ..small() },
        LogConfig { chunk_size: 0, ..small() },
    ] {
        assert!(matches!(LogSpool::open(Disk::new(), config), Err(OpenError::Config(_))));
    }
}

#[test]
fn a_segment_size_may_change_between_starts() {
    let (disk, mut ledger) = (Disk::new(), Ledger::default());
    for (round, size) in [4096, 16384, 8192, 4096].into_iter().enumerate() {
        let (spool, _) = LogSpool::open(disk.clone(), LogConfig { segment_size: size, ..small() }).unwrap();
        ledger.check(&spool);
        for number in 1..=8 {
            ledger.ask(&spool, Step::Commit { number: round as u64 * 10 + number, size: 1000 }).unwrap();
        }
        block_on(spool.close());
    }
}

#[test]
fn a_second_process_is_told_and_a_third_may_come_after() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("new").join("spool");
    let open = || LogSpool::open(RealFiles::new(&path).unwrap(), small());
    let (spool, _) = open().unwrap();
    assert!(matches!(open(), Err(OpenError::Locked)));
    block_on(async {
        commit(&spool, 1, 5000).await.unwrap();
        spool.close().await;
    });
    let (spool, report) = open().unwrap();
    assert_eq!((report.messages, report.torn_tails), (1, 0));
    assert_eq!(block_on(octets(&spool, 1)).unwrap(), body(1, 5000));
}

#[test]
fn a_body_of_100_mb_passes_in_pieces() {
    const PIECE: usize = 1 << 20;
    let place = tempfile::tempdir().unwrap();
    let (spool, _) = LogSpool::open(RealFiles::new(place.path()).unwrap(), LogConfig::default()).unwrap();
    block_on(async {
        let piece = body(1, PIECE);
        let mut draft = spool.begin(id(1), 100 << 20).await.unwrap();
        for _ in 0..100 {
            draft.write(&piece).await.unwrap();
            assert!(draft.memory() < 256 << 10, "{}", draft.memory());
        }
        let _ = draft.commit(&envelope(1), None).await.unwrap();
        let octets = spool.body(id(1)).await.unwrap();
        assert_eq!(octets.size(), 100 << 20);
        let mut reader = octets.reader();
        let (mut read, mut sum) = (0, 0);
        while let Some(piece) = reader.next().await.unwrap() {
            assert!(piece.len() <= 64 << 10);
            read += piece.len();
            sum = crc32c::crc32c_append(sum, &piece);
        }
        assert_eq!(read, 100 << 20);
        assert_eq!(sum, (0..100).fold(0, |sum, _| crc32c::crc32c_append(sum, &piece)));
        record(&spool, 1, vec![Note::Done]).await.unwrap();
        spool.close().await;
    });
}
