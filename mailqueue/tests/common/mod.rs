//! A spool under test, and a ledger of what it promised.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod gate;
pub(crate) mod setting;
pub(crate) mod town;
pub(crate) mod witness;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};

use mailqueue::files::Files;
use mailqueue::log::{OpenError, Report};
use mailqueue::testing::{Disk, Survival, block_on};
use mailqueue::{
    CommitError, Destination, Draft, Envelope, LogConfig, LogSpool, MessageId, Note, Progress, Recipient, RecordError,
    Spool, Stored, UnixMicros,
};

/// A log small enough that a few messages fill several segments.
pub(crate) fn small() -> LogConfig {
    LogConfig { segment_size: 4096, chunk_size: 700, spares: 1, reserve: 0, readers: 1, ..LogConfig::default() }
}

pub(crate) fn open(disk: &Disk) -> Result<(LogSpool<Disk>, Report), OpenError> {
    LogSpool::open(disk.clone(), small())
}

pub(crate) fn id(number: u64) -> MessageId {
    MessageId::new(UnixMicros(number), 7)
}

pub(crate) fn envelope(number: u64) -> Envelope {
    let recipient = |name: &str| Recipient {
        address: format!("{name}{number}@example.org"),
        destination: Destination::idempotent("local"),
        parameters: Vec::new(),
    };
    Envelope {
        sender: format!("s{number}@example.com"),
        recipients: vec![recipient("a"), recipient("b")],
        arrived: UnixMicros(number),
        ..Envelope::default()
    }
}

/// Octets that tell messages and places apart.
pub(crate) fn body(number: u64, size: usize) -> Vec<u8> {
    (0..size as u64).map(|at| (number.wrapping_mul(31) + at.wrapping_mul(7) + (at >> 8)) as u8).collect()
}

pub(crate) async fn commit<S: Spool>(spool: &S, number: u64, size: usize) -> Result<(), CommitError> {
    let mut draft = spool.begin(id(number), size as u64).await?;
    for part in body(number, size).chunks(333) {
        draft.write(part).await?;
    }
    let custody = draft.commit(&envelope(number)).await?;
    assert_eq!(custody.id(), id(number));
    Ok(())
}

pub(crate) fn delivered(index: u32) -> Note {
    Note::Progress(vec![(index, Progress::Delivered { at: UnixMicros(99) })])
}

pub(crate) async fn take_all<S: Spool>(spool: &S) -> BTreeMap<MessageId, Stored> {
    let mut all = BTreeMap::new();
    loop {
        let taken = spool.take(3).await.expect("take");
        if taken.is_empty() {
            return all;
        }
        for stored in taken {
            assert!(all.insert(stored.id, stored).is_none(), "taken twice");
        }
    }
}

/// Where octets of a message lie in a disk's files.
pub(crate) fn find(disk: &Disk, octets: &[u8]) -> (String, usize) {
    let hit = disk.list().unwrap().into_iter().find_map(|name| {
        let all = disk.octets(&name)?;
        all.windows(octets.len()).position(|window| window == octets).map(|at| (name, at))
    });
    hit.expect("it is in some file")
}

/// What happened to one message, as far as its sender was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate {
    pub(crate) size: usize,
    /// The commit was acknowledged.
    pub(crate) committed: bool,
    /// Someone asked for its end; the answer may not have come.
    pub(crate) done_asked: bool,
    pub(crate) done: bool,
    /// Recipients whose delivery was acknowledged.
    pub(crate) delivered: BTreeSet<u32>,
    pub(crate) delivered_asked: BTreeSet<u32>,
}

/// Every promise a spool made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) fates: BTreeMap<u64, Fate>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Commit {
        number: u64,
        size: usize,
    },
    /// A message that is dropped before its commit.
    Drop {
        number: u64,
        size: usize,
    },
    Deliver {
        number: u64,
        index: u32,
    },
    Done {
        number: u64,
    },
}

impl Ledger {
    /// Asks the spool for a step and writes down what it said.
    pub(crate) fn ask<S: Spool>(&mut self, spool: &S, step: Step) -> Result<(), String> {
        match step {
            Step::Commit { number, size } => {
                self.fates.insert(number, Fate { size, ..Fate::default() });
                let said = block_on(commit(spool, number, size));
                self.fate(number).committed = said.is_ok();
                said.map_err(|error| error.to_string())
            }
            Step::Drop { number, size } => block_on(async {
                let mut draft = spool.begin(id(number), 0).await.map_err(|error| error.to_string())?;
                draft.write(&body(number, size)).await.map_err(|error| error.to_string())
            }),
            Step::Deliver { number, index } => {
                self.fate(number).delivered_asked.insert(index);
                match block_on(spool.record(id(number), vec![delivered(index)])) {
                    Ok(()) => {
                        self.fate(number).delivered.insert(index);
                        Ok(())
                    }
                    Err(error) => self.refused(number, &error),
                }
            }
            Step::Done { number } => {
                self.fate(number).done_asked = true;
                match block_on(spool.record(id(number), vec![Note::Done])) {
                    Ok(()) => {
                        self.fate(number).done = true;
                        Ok(())
                    }
                    Err(error) => self.refused(number, &error),
                }
            }
        }
    }

    fn refused(&mut self, number: u64, error: &RecordError) -> Result<(), String> {
        let fate = self.fate(number);
        if *error == RecordError::Unknown {
            assert!(!fate.committed || fate.done_asked, "message {number} is forgotten");
        }
        Err(error.to_string())
    }

    fn fate(&mut self, number: u64) -> &mut Fate {
        self.fates.entry(number).or_default()
    }

    /// Stops the machine, starts it again, and looks whether every promise was kept.
    pub(crate) fn crash(&mut self, disk: &Disk, survival: Survival) -> Disk {
        let disk = disk.crash(survival);
        let (spool, _) = open(&disk).expect("a crash never stops a start");
        self.check(&spool);
        block_on(spool.close());
        disk
    }

    /// Looks whether a spool that was opened again keeps every promise, and takes over what it found.
    pub(crate) fn check<S: Spool>(&mut self, spool: &S) {
        let mut here = block_on(take_all(spool));
        for (number, fate) in &mut self.fates {
            let Some(stored) = here.remove(&id(*number)) else {
                assert!(!fate.committed || fate.done_asked, "message {number} is lost: {fate:?}");
                fate.done = fate.committed;
                fate.committed = false;
                continue;
            };
            assert!(!fate.done, "message {number} is back from the dead");
            for (index, (_, progress)) in (0..).zip(&stored.recipients) {
                match progress {
                    Progress::Fresh => assert!(!fate.delivered.contains(&index), "{number}: {index} goes twice"),
                    Progress::Delivered { .. } => {
                        assert!(fate.delivered_asked.contains(&index), "{number}: {index} is forgotten");
                        fate.delivered.insert(index);
                    }
                    Progress::Trying { .. } | Progress::Deferred { .. } | Progress::Held { .. } => {
                        panic!("{number}: nobody noted {progress:?}")
                    }
                }
            }
            let (read, octets) = block_on(async {
                let (envelope, octets) = spool.read(id(*number)).await.expect("read");
                assert_eq!(octets.size(), fate.size as u64);
                (envelope, octets.reader().read_to_end().await.expect("body"))
            });
            assert_eq!(read, envelope(*number));
            assert_eq!(octets, body(*number, fate.size), "message {number}");
            // In doubt before, it is a fact now.
            fate.committed = true;
            fate.done_asked = false;
        }
        assert!(here.is_empty(), "nobody sent {here:?}");
    }
}
