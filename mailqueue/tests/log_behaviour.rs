//! What a log does apart from surviving: handing messages over, sharing syncs, keeping rules, refusing what makes no sense.

#[cfg(test)]
mod ledger;

use std::io;
use std::thread;

use ledger::gate::Gated;
use ledger::{
    Ledger, Step, body, commit, commit_with, delivered, envelope, facts, id, octets, open, read_all, read_one, record,
    small, take_all,
};
use mailqueue::files::RealFiles;
use mailqueue::log::{OpenError, Preparation};
use mailqueue::testing::{Disk, block_on};
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
