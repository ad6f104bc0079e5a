//! A spool under test, and a ledger of what it promised.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod gate;
pub(crate) mod pair;

use std::collections::{BTreeMap, BTreeSet};

use mailqueue::files::Files;
use mailqueue::log::{OpenError, Preparation, Report};
use mailqueue::testing::{Disk, Survival, block_on};
use mailqueue::{
    CommitError, Destination, Detail, Draft, Envelope, Facts, Handed, LogConfig, LogSpool, MessageId, Note, Progress,
    ReadError, Recipient, RecordError, Spool, Stored, Synced, Taken, UnixMicros, Wake, Word,
};

/// A log small enough that a few messages fill several segments.
pub(crate) fn small() -> LogConfig {
    let preparation = Preparation::Between;
    LogConfig {
        segment_size: 4096,
        chunk_size: 700,
        spares: 1,
        reserve: 0,
        readers: 1,
        preparation,
        ..LogConfig::default()
    }
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
    commit_with(spool, number, size, None).await
}

/// The first ten octets come by `prepend`, the rest in pieces.
pub(crate) async fn commit_with<S: Spool>(
    spool: &S,
    number: u64,
    size: usize,
    also: Option<Facts>,
) -> Result<(), CommitError> {
    let mut draft = spool.begin(id(number), size as u64).await?;
    let body = body(number, size);
    let (above, rest) = body.split_at(size.min(10));
    for part in rest.chunks(333) {
        draft.write(part).await?;
    }
    draft.prepend(above);
    let custody = draft.commit(&envelope(number), also).await?;
    assert_eq!(custody.id(), id(number));
    Ok(())
}

pub(crate) fn facts(number: u64, notes: Vec<Note>) -> Facts {
    Facts { id: id(number), notes, wake: Wake::Asked, synced: Synced::Now }
}

pub(crate) async fn record<S: Spool>(spool: &S, number: u64, notes: Vec<Note>) -> Result<(), RecordError> {
    spool.record(facts(number, notes)).await
}

/// Says that an attempt is about to begin, for the process to remember.
pub(crate) async fn announce<S: Spool>(spool: &S, number: u64, attempt: u32) -> Result<(), RecordError> {
    spool.record(Facts { synced: Synced::Later, ..facts(number, vec![trying(attempt)]) }).await
}

pub(crate) fn delivered(index: u32) -> Note {
    let (at, handed, word) = (UnixMicros(99), Handed::Mailbox, Word::Said);
    Note::Progress(vec![(index, Progress::Delivered { at, handed, detail: Detail::from("thanks"), word })])
}

pub(crate) fn trying(attempt: u32) -> Note {
    Note::Progress(vec![(1, Progress::Trying { attempt, since: UnixMicros(5), interrupted: 0 })])
}

pub(crate) async fn take_all<S: Spool>(spool: &S) -> Vec<Taken> {
    let mut all: Vec<Taken> = Vec::new();
    loop {
        let taken = spool.take(3).await.expect("take");
        if taken.is_empty() {
            return all;
        }
        for one in taken {
            assert!(all.iter().all(|known| known.id != one.id), "taken twice");
            all.push(one);
        }
    }
}

pub(crate) async fn read_all<S: Spool>(spool: &S) -> BTreeMap<MessageId, Stored> {
    let ids: Vec<_> = take_all(spool).await.into_iter().map(|taken| taken.id).collect();
    let stored = spool.read(&ids).await;
    assert_eq!(stored.len(), ids.len());
    ids.into_iter().zip(stored.into_iter().map(|stored| stored.expect("read"))).collect()
}

pub(crate) async fn read_one<S: Spool>(spool: &S, number: u64) -> Result<Stored, ReadError> {
    spool.read(&[id(number)]).await.pop().expect("one answer for one question")
}

pub(crate) async fn octets<S: Spool>(spool: &S, number: u64) -> Result<Vec<u8>, ReadError> {
    spool.body(id(number)).await?.reader().read_to_end().await
}

/// How many attempts for the second recipient are known.
pub(crate) fn attempts<S: Spool>(spool: &S, number: u64) -> u32 {
    let stored = block_on(read_one(spool, number)).expect("read");
    match stored.progress.get(1) {
        Some(Progress::Trying { attempt, .. }) => *attempt,
        Some(Progress::Fresh | Progress::Deferred { .. } | Progress::Delivered { .. } | Progress::Failed { .. })
        | None => 0,
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

/// A log of several full segments, closed.
pub(crate) fn full_segments(count: u64) -> Disk {
    let disk = Disk::new();
    let (spool, _) = open(&disk).unwrap();
    for number in 1..=count {
        block_on(commit(&spool, number, 600)).unwrap();
        block_on(record(&spool, number, vec![trying(1)])).unwrap();
    }
    block_on(spool.close());
    disk
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
    /// Whether the delivery of the first recipient was asked for, and acknowledged.
    pub(crate) delivered_asked: bool,
    pub(crate) delivered: bool,
    /// The highest attempt for the second recipient that was asked for, and acknowledged.
    pub(crate) tried_asked: u32,
    pub(crate) tried: u32,
}

/// Every promise a spool made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) fates: BTreeMap<u64, Fate>,
    /// Messages that were committed together with the end of another one.
    pairs: BTreeSet<(u64, u64)>,
    /// The last rules that were acknowledged, and the last that were asked for.
    rules: u8,
    rules_asked: u8,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Commit {
        number: u64,
        size: usize,
    },
    /// A commit that ends another message.
    Replace {
        number: u64,
        size: usize,
        of: u64,
    },
    /// A draft that is written and never committed.
    Drop {
        number: u64,
        size: usize,
    },
    Deliver {
        number: u64,
    },
    Try {
        number: u64,
    },
    /// The same, for a destination where an attempt may be forgotten with the power.
    Announce {
        number: u64,
    },
    Done {
        number: u64,
    },
    Rules,
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
            Step::Replace { number, size, of } => {
                self.fates.insert(number, Fate { size, ..Fate::default() });
                let was_done = self.fate(of).done;
                let said = block_on(commit_with(spool, number, size, Some(facts(of, vec![Note::Done]))));
                if said != Err(CommitError::Overtaken) {
                    self.pairs.insert((number, of));
                    assert!(said.is_err() || !was_done, "message {of} ended twice");
                    self.fate(of).done = said.is_ok() || was_done;
                }
                self.fate(number).committed = said.is_ok();
                said.map_err(|error| error.to_string())
            }
            Step::Drop { number, size } => block_on(async {
                let mut draft = spool.begin(id(number), 0).await.map_err(|error| error.to_string())?;
                draft.write(&body(number, size)).await.map_err(|error| error.to_string())
            }),
            Step::Deliver { number } => {
                self.fate(number).delivered_asked = true;
                let said = block_on(record(spool, number, vec![delivered(0)]));
                self.fate(number).delivered |= said.is_ok();
                self.told(number, said)
            }
            Step::Try { number } => {
                let attempt = self.fate(number).tried_asked + 1;
                self.fate(number).tried_asked = attempt;
                let said = block_on(record(spool, number, vec![trying(attempt)]));
                if said.is_ok() {
                    self.fate(number).tried = attempt;
                }
                self.told(number, said)
            }
            Step::Announce { number } => {
                let attempt = self.fate(number).tried_asked + 1;
                self.fate(number).tried_asked = attempt;
                let said = block_on(announce(spool, number, attempt));
                self.told(number, said)
            }
            Step::Done { number } => {
                self.fate(number).done_asked = true;
                let said = block_on(record(spool, number, vec![Note::Done]));
                self.fate(number).done |= said.is_ok();
                self.told(number, said)
            }
            Step::Rules => {
                self.rules_asked += 1;
                block_on(spool.keep_rules(vec![self.rules_asked; 50])).map_err(|error| error.to_string())?;
                self.rules = self.rules_asked;
                Ok(())
            }
        }
    }

    fn told(&mut self, number: u64, said: Result<(), RecordError>) -> Result<(), String> {
        let fate = self.fate(number);
        if said == Err(RecordError::Unknown) {
            assert!(!fate.committed || fate.done_asked || fate.done, "message {number} is forgotten");
        }
        said.map_err(|error| error.to_string())
    }

    fn fate(&mut self, number: u64) -> &mut Fate {
        self.fates.entry(number).or_default()
    }

    /// Stops the machine, starts it again, and looks whether every promise was kept.
    pub(crate) fn crash(&mut self, disk: &Disk, survival: Survival) -> Disk {
        let disk = disk.crash(survival);
        let (spool, report) = open(&disk).expect("a crash never stops a start");
        assert_eq!((report.damage, report.set_aside), (vec![], vec![]));
        self.check(&spool);
        block_on(spool.close());
        disk
    }

    /// Looks whether a spool that was opened again keeps every promise, and takes over what it found.
    pub(crate) fn check<S: Spool>(&mut self, spool: &S) {
        let mut here = block_on(read_all(spool));
        for (new, of) in std::mem::take(&mut self.pairs) {
            let (new_is_here, of_is_here) = (here.contains_key(&id(new)), here.contains_key(&id(of)));
            assert!(!new_is_here || !of_is_here, "message {of} is doubled by {new}");
            let new_was_here = new_is_here || self.fate(new).done || self.fate(new).done_asked;
            if new_was_here && !of_is_here {
                self.fate(of).done = true;
            }
        }
        for (number, fate) in &mut self.fates {
            let Some(stored) = here.remove(&id(*number)) else {
                assert!(!fate.committed || fate.done_asked || fate.done, "message {number} is lost: {fate:?}");
                fate.done |= fate.committed;
                fate.committed = false;
                continue;
            };
            assert!(!fate.done, "message {number} is back from the dead");
            if stored.progress[0] == Progress::Fresh {
                assert!(!fate.delivered, "{number} goes twice");
            } else {
                assert!(matches!(stored.progress[0], Progress::Delivered { .. }), "{stored:?}");
                assert!(fate.delivered_asked, "{number} is taken for delivered");
                fate.delivered = true;
            }
            let tried = if let Progress::Trying { attempt, .. } = stored.progress[1] { attempt } else { 0 };
            assert!(tried > 0 || stored.progress[1] == Progress::Fresh, "{stored:?}");
            assert!((fate.tried..=fate.tried_asked).contains(&tried), "{number}: {tried} attempts: {fate:?}");
            fate.tried = tried;
            assert_eq!(stored.envelope, envelope(*number));
            assert_eq!(stored.size, fate.size as u64);
            assert_eq!(block_on(octets(spool, *number)).expect("body"), body(*number, fate.size), "message {number}");
            // In doubt before, it is a fact now.
            fate.committed = true;
            fate.done_asked = false;
        }
        assert!(here.is_empty(), "nobody sent {here:?}");
        let rules = block_on(spool.rules()).expect("rules");
        let found = rules.first().copied().unwrap_or_default();
        assert!((self.rules..=self.rules_asked).contains(&found), "{found}: {} to {}", self.rules, self.rules_asked);
        assert_eq!(rules.len(), if found == 0 { 0 } else { 50 });
        self.rules = found;
    }
}
