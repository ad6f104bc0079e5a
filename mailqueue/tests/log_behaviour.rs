//! What a log does apart from surviving: sharing syncs, giving space back, refusing mail in time, telling of damage.

#[cfg(test)]
mod common;

use std::io;
use std::thread;

use common::gate::Gated;
use common::{Ledger, Step, body, commit, delivered, envelope, find, id, open, small, take_all};
use mailqueue::files::{Files, RealFiles};
use mailqueue::log::OpenError;
use mailqueue::testing::{Disk, Fault, Survival, block_on};
use mailqueue::{
    CommitError, Draft, Held, LogConfig, LogSpool, Note, Progress, ReadError, RecordError, Spool, Standing,
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
        spool.record(id(1), vec![Note::Hold, delivered(1)]).await.unwrap();
        spool.close().await;
        assert_eq!(commit(&spool, 2, 1).await, Err(CommitError::Unavailable));
        assert_eq!(spool.record(id(1), vec![Note::Done]).await, Err(RecordError::Unavailable));
    });
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.messages, 1);
    let stored = block_on(take_all(&spool)).remove(&id(1)).unwrap();
    assert_eq!(stored.standing, Standing::Held);
    assert_eq!(stored.size, 100);
    assert_eq!(stored.recipients[0].1, Progress::Fresh);
    assert!(matches!(stored.recipients[1].1, Progress::Delivered { .. }));
}

#[test]
fn a_message_that_is_done_is_unknown() {
    let (spool, _) = open(&Disk::new()).unwrap();
    block_on(async {
        commit(&spool, 1, 10).await.unwrap();
        spool.record(id(1), vec![delivered(0), Note::Done]).await.unwrap();
        assert_eq!(spool.read(id(1)).await.unwrap_err(), ReadError::Unknown);
        assert_eq!(spool.record(id(1), vec![Note::Done]).await, Err(RecordError::Unknown));
        assert_eq!(spool.record(id(2), vec![Note::Hold]).await, Err(RecordError::Unknown));
    });
}

#[test]
fn a_reader_keeps_what_it_opened() {
    let (spool, _) = open(&Disk::new()).unwrap();
    block_on(async {
        commit(&spool, 1, 3000).await.unwrap();
        let (_, octets) = spool.read(id(1)).await.unwrap();
        spool.record(id(1), vec![Note::Done]).await.unwrap();
        // The segments of message 1 are empty now, and others are written.
        for number in 2..40 {
            commit(&spool, number, 3000).await.unwrap();
            spool.record(id(number), vec![Note::Done]).await.unwrap();
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
        let mut commits: Vec<_> =
            drafts.into_iter().zip(&envelopes).map(|((_, draft), envelope)| Box::pin(draft.commit(envelope))).collect();
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
fn a_dropped_commit_is_not_forgotten() {
    let (spool, _) = open(&Disk::new()).unwrap();
    block_on(async {
        let mut draft = spool.begin(id(1), 0).await.unwrap();
        draft.write(b"octets").await.unwrap();
        let envelope = envelope(1);
        let mut commit = Box::pin(draft.commit(&envelope));
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
            spool.record(id(round + 1), vec![delivered(0), delivered(1), Note::Done]).await.unwrap();
        });
    }
    assert!(disk.list().unwrap().len() <= 5, "{:?}", disk.list());
    assert!(block_on(spool.space()).unwrap().used <= 5 * 4096);
    block_on(spool.close());
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.messages, 0);
    assert!(report.segments <= 4, "{report:?}");
    drop(spool);
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
    disk.limit(Some(10 * 4096));
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
            draft.commit(&envelope(number)).await
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
        block_on(spool.record(id(*number), vec![delivered(0)])).unwrap();
    }
    for number in &taken {
        block_on(spool.record(id(*number), vec![delivered(1), Note::Done])).unwrap();
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
        assert_eq!(block_on(draft.commit(&envelope(3))).unwrap_err(), CommitError::Unavailable);
    });
}

#[test]
fn a_message_larger_than_all_segments_together_may_be_named_is_refused() {
    let (spool, _) = open(&Disk::new()).unwrap();
    let mut letter = envelope(1);
    letter.sender = "x".repeat(5000);
    let error = block_on(async { spool.begin(id(1), 0).await.unwrap().commit(&letter).await }).unwrap_err();
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
        let here = block_on(take_all(&spool));
        assert_eq!(here.len(), 4);
        assert!(matches!(here[&id(2)].recipients[0].1, Progress::Held { why: Held::Damaged, .. }));
        for number in [1, 3, 4] {
            let (_, octets) = block_on(spool.read(id(number))).unwrap();
            assert_eq!(block_on(octets.reader().read_to_end()).unwrap(), body(number, 600));
        }
        let read = block_on(async { spool.read(id(2)).await?.1.reader().read_to_end().await });
        assert_eq!(read.unwrap_err(), ReadError::Damaged);
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
    let read = block_on(async { spool.read(id(1)).await?.1.reader().read_to_end().await });
    assert_eq!(read.unwrap_err(), ReadError::Damaged);
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
    let here = block_on(take_all(&spool));
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
        spool.record(id(1), vec![Note::Hold]).await.unwrap();
        spool.record(id(1), vec![Note::Done]).await.unwrap();
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
            block_on(spool.record(id(number), vec![Note::Done])).unwrap();
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
    let (_, octets) = block_on(spool.read(id(1))).unwrap();
    assert_eq!(block_on(octets.reader().read_to_end()).unwrap(), body(1, 5000));
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
        let _ = draft.commit(&envelope(1)).await.unwrap();
        let (_, octets) = spool.read(id(1)).await.unwrap();
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
        spool.record(id(1), vec![Note::Done]).await.unwrap();
        spool.close().await;
    });
}
