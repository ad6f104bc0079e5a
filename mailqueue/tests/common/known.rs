//! The ledger of a spool: what it said is durable, and what it left in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use mailqueue::testing::block_on;
use mailqueue::{Facts, MessageId, Note, Progress, ReadError, Spool, Stored};

/// What is durable, by delivery id.
pub(crate) type Recorded = Arc<Mutex<Known>>;

#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Every name that a message was begun under.
    pub(crate) begun: BTreeSet<MessageId>,
    /// Messages that are here, or were: their commit was acknowledged, or a restart found them.
    pub(crate) taken: BTreeSet<MessageId>,
    /// Notifications, with the message that they are about.
    pub(crate) notices: BTreeMap<MessageId, MessageId>,
    /// Attempts that may be made.
    pub(crate) tried: BTreeSet<(String, u32)>,
    /// How each recipient ended. Nobody may change that.
    pub(crate) ended: BTreeMap<String, End>,
    /// Messages that are done.
    pub(crate) done: BTreeSet<MessageId>,
    /// The next calls, and how they fail.
    pub(crate) faults: Vec<Fault>,
    /// How many messages and facts were found after a restart though their writing had failed.
    pub(crate) came_back: usize,
    rules: Vec<u8>,
    /// What failed since the spool last made something durable: a restart may find it.
    doubts: Vec<Doubt>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Delivered,
    Failed,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not this one.
    Works,
    /// Nothing happens.
    Before,
    /// It happens, and nobody is told.
    After,
}

#[derive(Clone, Debug)]
enum Doubt {
    Message(MessageId, Option<Facts>),
    Facts(Facts),
    Rules(Vec<u8>),
}

impl Known {
    pub(crate) fn took(&mut self, id: MessageId, also: Option<&Facts>) {
        self.doubts.clear();
        self.take_in(id, also);
    }

    pub(crate) fn noted(&mut self, facts: &Facts) {
        // An attempt that is announced need not be durable when it is said, so that it proves nothing of what was before.
        if !is_announcement(facts) {
            self.doubts.clear();
        }
        self.note(facts);
    }

    pub(crate) fn kept(&mut self, rules: Vec<u8>) {
        self.doubts.clear();
        self.rules = rules;
    }

    pub(crate) fn doubt_message(&mut self, id: MessageId, also: Option<Facts>) {
        self.doubts.push(Doubt::Message(id, also));
    }

    pub(crate) fn doubt_facts(&mut self, facts: Facts) {
        self.doubts.push(Doubt::Facts(facts));
    }

    pub(crate) fn doubt_rules(&mut self, rules: Vec<u8>) {
        self.doubts.push(Doubt::Rules(rules));
    }

    /// Holds a spool that was just opened against this ledger, and settles all doubts: what is there now stays. Messages
    /// that came back from a doubt are in the answer. `None` where the spool cannot be read now.
    pub(crate) fn compare(&mut self, spool: &impl Spool) -> Option<Vec<Stored>> {
        let names: Vec<_> = self.begun.iter().copied().collect();
        let mut here = BTreeMap::new();
        for (id, answer) in names.iter().zip(block_on(spool.read(&names))) {
            match answer {
                Ok(stored) => drop(here.insert(*id, stored)),
                Err(ReadError::Unknown) => {}
                Err(ReadError::Damaged) => panic!("{id} is damaged"),
                Err(ReadError::Failed(_) | ReadError::Closed) => return None,
            }
        }
        let rules = block_on(spool.rules()).ok()?;
        let mut found = Vec::new();
        for doubt in std::mem::take(&mut self.doubts) {
            match doubt {
                Doubt::Message(id, also) => {
                    let Some(stored) = here.get(&id) else { continue };
                    self.came_back += 1;
                    self.take_in(id, also.as_ref());
                    found.push(stored.clone());
                }
                Doubt::Facts(facts) => self.settle(&facts, here.get(&facts.id)),
                Doubt::Rules(doubtful) if doubtful == rules => self.rules = doubtful,
                Doubt::Rules(_) => {}
            }
        }
        assert_eq!(rules, self.rules, "the rules are not those that were kept");
        for id in &self.taken {
            assert_eq!(here.contains_key(id), !self.done.contains(id), "{id} is lost, or comes back");
        }
        for (id, stored) in &here {
            assert!(self.taken.contains(id), "{id} was refused, and comes back");
            for (index, progress) in stored.progress.iter().enumerate() {
                let delivery = format!("{id}.{index}");
                assert_eq!(end_of(progress), self.ended.get(&delivery).copied(), "{delivery} is {progress:?}");
            }
        }
        Some(found)
    }

    /// Facts whose writing failed: are they there?
    fn settle(&mut self, facts: &Facts, stored: Option<&Stored>) {
        let Some(stored) = stored else {
            // Someone removed it, which is known already, or it was these.
            if facts.notes.contains(&Note::Done) && self.taken.contains(&facts.id) {
                self.came_back += 1;
                self.note(facts);
            }
            return;
        };
        let is_there = |note: &Note| match note {
            Note::Progress(steps) => steps.iter().any(|(index, progress)| {
                end_of(progress).is_some() && stored.progress.get(*index as usize) == Some(progress)
            }),
            Note::Hold(_) | Note::Release | Note::Warned | Note::Done => false,
        };
        if facts.notes.iter().any(is_there) {
            self.came_back += 1;
            self.note(facts);
        }
    }

    fn take_in(&mut self, id: MessageId, also: Option<&Facts>) {
        self.taken.insert(id);
        if let Some(facts) = also {
            self.notices.insert(id, facts.id);
            self.note(facts);
        }
    }

    fn note(&mut self, facts: &Facts) {
        let id = facts.id;
        for note in &facts.notes {
            match note {
                Note::Progress(steps) => steps.iter().for_each(|(index, progress)| self.progress(id, *index, progress)),
                Note::Done => drop(self.done.insert(id)),
                Note::Hold(_) | Note::Release | Note::Warned => {}
            }
        }
    }

    fn progress(&mut self, id: MessageId, index: u32, progress: &Progress) {
        let delivery = format!("{id}.{index}");
        if let Progress::Trying { attempt, .. } = progress {
            self.tried.insert((delivery.clone(), *attempt));
        }
        let end = end_of(progress);
        let before = self.ended.get(&delivery).copied();
        assert!(before.is_none() || before == end, "{delivery} ended as {before:?}, and now {progress:?}");
        if let Some(end) = end {
            self.ended.insert(delivery, end);
        }
    }
}

fn is_announcement(facts: &Facts) -> bool {
    facts.notes.iter().any(|note| match note {
        Note::Progress(steps) => steps.iter().any(|(_, progress)| matches!(progress, Progress::Trying { .. })),
        Note::Hold(_) | Note::Release | Note::Warned | Note::Done => false,
    })
}

fn end_of(progress: &Progress) -> Option<End> {
    match progress {
        Progress::Fresh | Progress::Trying { .. } | Progress::Deferred { .. } => None,
        Progress::Delivered { .. } => Some(End::Delivered),
        Progress::Failed { .. } => Some(End::Failed),
    }
}
