//! A log and a spool in memory that are asked the same.

use std::collections::BTreeMap;
use std::time::Duration;

use mailqueue::log::LogDraft;
use mailqueue::testing::{Disk, Survival, block_on};
use mailqueue::{
    Detail, Draft, Facts, Failure, Held, LogSpool, MemoryDraft, MemorySpool, Note, Progress, Spool, Synced, UnixMicros,
    Wake, Word,
};
use proptest::prelude::*;

use super::{body, envelope, id, open};

#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// A message at once, with facts about another one.
    Commit {
        size: usize,
        also: Option<(u8, Vec<Note>, Wake)>,
    },
    Begin,
    Write {
        draft: u8,
        size: usize,
    },
    Prepend {
        draft: u8,
        size: usize,
    },
    Finish {
        draft: u8,
    },
    Abandon {
        draft: u8,
    },
    Record {
        message: u8,
        notes: Vec<Note>,
        wake: Wake,
    },
    /// The end of the messages around one.
    End {
        message: u8,
        count: u8,
    },
    Rules(Vec<u8>),
    Take(usize),
    Look,
    Restart,
    Crash(Survival),
}

fn wake() -> impl Strategy<Value = Wake> {
    let after = |wait: u16| Wake::After { since: UnixMicros(7), wait: Duration::from_micros(u64::from(wait)) };
    prop_oneof![Just(Wake::Now), Just(Wake::Asked), any::<u16>().prop_map(after)]
}

fn note() -> impl Strategy<Value = Note> {
    let progress = (0_u32..3, 0_u32..9, 0_usize..400).prop_map(|(index, attempts, length)| {
        let detail = Detail::from("x".repeat(length));
        let (at, until) = (UnixMicros(5), UnixMicros(6));
        let progress = match attempts {
            0 => Progress::Trying { attempt: 1, since: at, interrupted: 2 },
            1..6 => Progress::Deferred { attempts, at, until, detail },
            _ => Progress::Failed { attempts, at, why: Failure::Expired, detail, word: Word::Due },
        };
        Note::Progress(vec![(index, progress)])
    });
    prop_oneof![6 => progress, 1 => Just(Note::Hold(Held::Asked)), 1 => Just(Note::Release), 1 => Just(Note::Warned)]
}

fn notes() -> impl Strategy<Value = Vec<Note>> {
    prop_oneof![4 => prop::collection::vec(note(), 0..3), 1 => Just(vec![Note::Warned, Note::Done])]
}

pub(crate) fn call() -> impl Strategy<Value = Call> {
    let also = prop::option::weighted(0.3, (any::<u8>(), notes(), wake()));
    let survival = prop_oneof![Just(Survival::All), Just(Survival::Nothing), any::<u64>().prop_map(Survival::Some)];
    prop_oneof![
        12 => (0_usize..1500, also).prop_map(|(size, also)| Call::Commit { size, also }),
        2 => Just(Call::Begin),
        3 => (any::<u8>(), 0_usize..3000).prop_map(|(draft, size)| Call::Write { draft, size }),
        1 => (any::<u8>(), 0_usize..900).prop_map(|(draft, size)| Call::Prepend { draft, size }),
        2 => any::<u8>().prop_map(|draft| Call::Finish { draft }),
        1 => any::<u8>().prop_map(|draft| Call::Abandon { draft }),
        12 => (any::<u8>(), notes(), wake()).prop_map(|(message, notes, wake)| Call::Record { message, notes, wake }),
        6 => (any::<u8>(), 1_u8..8).prop_map(|(message, count)| Call::End { message, count }),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Call::Rules),
        2 => (0_usize..9).prop_map(Call::Take),
        2 => Just(Call::Look),
        1 => Just(Call::Restart),
        1 => survival.prop_map(Call::Crash),
    ]
}

pub(crate) struct Pair {
    pub(crate) disk: Disk,
    log: Option<LogSpool<Disk>>,
    pub(crate) memory: MemorySpool,
    drafts: BTreeMap<u64, (LogDraft<Disk>, MemoryDraft)>,
    last: u64,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let disk = Disk::new();
        let log = Some(open(&disk).unwrap().0);
        Self { disk, log, memory: MemorySpool::new(), drafts: BTreeMap::new(), last: 0 }
    }

    pub(crate) fn log(&self) -> &LogSpool<Disk> {
        self.log.as_ref().expect("it is open between calls")
    }

    fn begin(&mut self) -> u64 {
        self.last += 1;
        let log = block_on(self.log().begin(id(self.last), 0)).unwrap();
        let memory = block_on(self.memory.begin(id(self.last), 0)).unwrap();
        self.drafts.insert(self.last, (log, memory));
        self.last
    }

    fn finish(&mut self, number: u64, also: Option<Facts>) -> Result<(), TestCaseError> {
        let Some((log, memory)) = self.drafts.remove(&number) else { return Ok(()) };
        let log = block_on(log.commit(&envelope(number), also.clone()));
        let memory = block_on(memory.commit(&envelope(number), also));
        prop_assert_eq!(log, memory);
        Ok(())
    }

    fn record(&self, facts: &Facts) -> Result<(), TestCaseError> {
        let (log, memory) = (self.log().record(facts.clone()), self.memory.record(facts.clone()));
        prop_assert_eq!(block_on(log), block_on(memory));
        Ok(())
    }

    fn pick(&self, choice: u8) -> u64 {
        1 + u64::from(choice) % (self.last + 1)
    }

    fn draft(&mut self, choice: u8) -> Option<u64> {
        let open = self.drafts.len().max(1);
        self.drafts.keys().nth(usize::from(choice) % open).copied()
    }

    pub(crate) fn play(&mut self, call: Call) -> Result<(), TestCaseError> {
        let about = |number, notes, wake| Facts { id: id(number), notes, wake, synced: Synced::Now };
        match call {
            Call::Commit { size, also } => {
                let number = self.begin();
                self.write(number, size);
                let also = also.map(|(message, notes, wake)| about(self.pick(message), notes, wake));
                self.finish(number, also)?;
            }
            Call::Begin => drop(self.begin()),
            Call::Write { draft, size } => {
                if let Some(number) = self.draft(draft) {
                    self.write(number, size);
                }
            }
            Call::Prepend { draft, size } => {
                let number = self.draft(draft);
                if let Some((log, memory)) = number.and_then(|number| self.drafts.get_mut(&number)) {
                    log.prepend(&body(size as u64, size));
                    memory.prepend(&body(size as u64, size));
                }
            }
            Call::Finish { draft } => {
                if let Some(number) = self.draft(draft) {
                    self.finish(number, None)?;
                }
            }
            Call::Abandon { draft } => {
                if let Some(number) = self.draft(draft) {
                    self.drafts.remove(&number);
                }
            }
            Call::Record { message, notes, wake } => self.record(&about(self.pick(message), notes, wake))?,
            Call::End { message, count } => {
                let first = self.pick(message);
                for number in first..first + u64::from(count) {
                    self.record(&about(number, vec![Note::Done], Wake::Now))?;
                }
            }
            Call::Rules(rules) => {
                block_on(self.log().keep_rules(rules.clone())).unwrap();
                block_on(self.memory.keep_rules(rules)).unwrap();
            }
            Call::Take(limit) => {
                prop_assert_eq!(block_on(self.log().take(limit)), block_on(self.memory.take(limit)));
            }
            Call::Look => self.look()?,
            Call::Restart => {
                block_on(self.log().close());
                self.start(self.disk.clone())?;
            }
            Call::Crash(survival) => self.start(self.disk.crash(survival))?,
        }
        Ok(())
    }

    fn write(&mut self, number: u64, size: usize) {
        let Some((log, memory)) = self.drafts.get_mut(&number) else { return };
        block_on(log.write(&body(number, size))).unwrap();
        block_on(memory.write(&body(number, size))).unwrap();
    }

    fn start(&mut self, disk: Disk) -> Result<(), TestCaseError> {
        self.drafts.clear();
        self.log = None;
        let (log, report) = open(&disk).unwrap();
        prop_assert_eq!((report.damage, report.damaged_messages, report.set_aside), (vec![], vec![], vec![]));
        (self.disk, self.log) = (disk, Some(log));
        self.memory.restart();
        self.look()
    }

    /// Everything that can be asked.
    pub(crate) fn look(&self) -> Result<(), TestCaseError> {
        let ids: Vec<_> = (0..=self.last + 1).rev().map(id).collect();
        let (log, memory) = (block_on(self.log().read(&ids)), block_on(self.memory.read(&ids)));
        prop_assert_eq!(&log, &memory);
        for id in ids {
            let octets = |body: Result<mailqueue::Body, _>| body.map(|body| block_on(body.reader().read_to_end()));
            let (log, memory) = (block_on(self.log().body(id)), block_on(self.memory.body(id)));
            prop_assert_eq!(octets(log), octets(memory));
        }
        prop_assert_eq!(block_on(self.log().rules()), block_on(self.memory.rules()));
        Ok(())
    }
}
