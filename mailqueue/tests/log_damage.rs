//! What a log makes of octets that are not as it wrote them: it goes on with the rest, and tells of it.

#[cfg(test)]
mod ledger;

use std::io::ErrorKind;

use ledger::{
    Ledger, Step, body, commit, envelope, find, full_segments, id, octets, open, read_all, read_one, record, small,
    take_all,
};
use mailqueue::files::{Files, RealFiles};
use mailqueue::log::OpenError;
use mailqueue::testing::{Disk, Fault, Survival, block_on};
use mailqueue::{Held, LogSpool, Note, Progress, ReadError, Spool};

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
        disk.fault_at(call, Fault::Once(ErrorKind::Other));
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

/// The segment says that a message in another one is done, its sync failed later, and nobody listed what is in it.
#[test]
fn a_segment_that_cannot_be_read_now_is_not_taken_for_an_empty_one() {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    block_on(async {
        for number in 1..=6 {
            commit(&spool, number, 700).await.unwrap();
        }
        // The first segment stays for the sake of the second message.
        for number in [1, 3, 4, 5, 6] {
            record(&spool, number, vec![Note::Done]).await.unwrap();
        }
    });
    let name_of_last = || {
        let number = |name: &String| disk.octets(name).and_then(|octets| octets.get(16..24)?.try_into().ok());
        let newest = |name: &String| number(name).map_or(0, u64::from_le_bytes);
        disk.list().unwrap().into_iter().max_by_key(newest).unwrap()
    };
    let failed = name_of_last();
    for number in 100.. {
        disk.fault_at(2, Fault::Once(ErrorKind::Other));
        let said = block_on(commit(&spool, number, 10));
        disk.repair();
        if said.is_err() {
            break;
        }
        block_on(record(&spool, number, vec![Note::Done])).unwrap();
    }
    assert_eq!(name_of_last(), failed);
    for sector in (0..4096).step_by(512) {
        disk.scratch(&failed, sector);
    }
    block_on(async {
        for number in 10..60 {
            commit(&spool, number, 900).await.unwrap();
            record(&spool, number, vec![Note::Done]).await.unwrap();
        }
        spool.close().await;
    });
    let disk = disk.crash(Survival::All);
    let (spool, report) = open(&disk).unwrap();
    assert_eq!(report.messages, 1);
    assert_eq!(block_on(read_one(&spool, 1)), Err(ReadError::Unknown));
}
