//! What operators do to queued mail: look through it, act on what a filter means, keep it back by rules.

use std::collections::HashMap;

use futures_util::future;
use thiserror::Error;

use crate::{
    Destination, Detail, Entry, EntryState, Facts, Failure, Filter, Held, MessageId, Note, Progress, ReadError,
    RecipientState, RecordError, Spool, Stored, Synced, UnixMicros, Wake, Word,
};

use super::Queue;
use super::entry::{Inspection, Page};
use super::events::{About, Event, News};
use super::message::word;
use super::notify::action_of_failure;
use super::plan::{Prospect, Seized};
use super::rules::{Rule, RuleError, RuleId};

/// What an operator does to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Keeps it where it is until it is released. An attempt under way goes on.
    Hold,
    /// Lets it go on, now.
    Release,
    /// Tries it now instead of later. Where its site is unreachable one message looks there now, and the others follow if
    /// someone answers.
    Retry,
    /// As [`Action::Retry`], and as if it had just arrived: attempts are counted anew, and sites are asked for anew.
    Requeue,
    /// Gives up the recipients that wait and that the filter means, and tells the sender. Those with an attempt under way
    /// are left alone.
    Bounce,
    /// Removes it without a word to anyone. An attempt under way goes on, and what it comes to is forgotten.
    Delete,
}

/// Whether it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trial {
    /// Only counts.
    DryRun,
    /// Does it.
    Real,
}

/// What a piece of work of [`Queue::apply`](crate::Queue::apply) came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that were looked at.
    pub looked: usize,
    /// Messages that the filter means.
    pub matched: usize,
    /// Messages that are different now; after a dry run, those that would be.
    pub changed: usize,
    /// Where the next piece begins; `None` when all is done.
    pub next: Option<MessageId>,
}

/// Why an operator's wish was not done to the end. What was done before stays done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OperateError {
    /// A message could not be read.
    #[error("a message could not be read: {0}")]
    Read(#[from] ReadError),
    /// The spool did not take a fact.
    #[error("it could not be recorded: {0}")]
    Record(#[from] RecordError),
}

/// The most messages that are looked at for one page, so that callers can show that a long search goes on.
const LOOKED: usize = 8192;

/// The most messages that are read or acted on together.
const TOGETHER: usize = 256;

/// What is said of a recipient that an operator returned before anyone else said anything.
const RETURNED: &str = "returned by the administrator of this server";

impl<S: Spool> Queue<S> {
    /// How messages stand, oldest first: at most `limit` of those behind `after` that the filter means. A page may have
    /// fewer and not be the last: see [`Page::next`].
    ///
    /// # Errors
    /// As [`ReadError`] says where the spool cannot be read. A message that went meanwhile is left out.
    pub async fn list(&self, filter: &Filter, after: Option<MessageId>, limit: usize) -> Result<Page, ReadError> {
        let mut page = Page { entries: Vec::new(), next: after, looked: 0 };
        loop {
            let names = self.names(filter, page.next, stride(limit, page.looked, page.entries.len()));
            let Some(last) = names.last().copied() else {
                page.next = None;
                return Ok(page);
            };
            for (id, entry) in self.look(&names).await? {
                page.looked += 1;
                page.next = Some(id);
                if entry.as_ref().is_some_and(|entry| filter.matches(entry)) {
                    page.entries.extend(entry);
                    if page.entries.len() >= limit.max(1) {
                        return Ok(page);
                    }
                }
            }
            page.next = Some(last);
            if page.looked >= LOOKED {
                return Ok(page);
            }
        }
    }

    /// How one message stands, and its envelope.
    ///
    /// # Errors
    /// [`ReadError::Unknown`] where it is not in the queue.
    pub async fn inspect(&self, id: MessageId) -> Result<Inspection, ReadError> {
        let here = self.shared.with(|plan, at| match plan.prospect(id, at) {
            Prospect::Entry(entry) => plan.envelope(id).map(|envelope| (*entry, (*envelope).clone())),
            Prospect::Asleep | Prospect::Gone => None,
        });
        if let Some((entry, envelope)) = here {
            return Ok(Inspection { entry, envelope });
        }
        let stored = self.read_one(id).await?;
        let envelope = stored.envelope.clone();
        Ok(Inspection { entry: self.shared.with(|plan, at| plan.entry_of(stored, at)), envelope })
    }

    /// Does something to the messages behind `after` that the filter means, at most `limit` of them.
    ///
    /// # Errors
    /// As [`OperateError`] says.
    pub async fn apply(
        &self,
        action: Action,
        filter: &Filter,
        trial: Trial,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Tally, OperateError> {
        let mut tally = Tally { next: after, ..Tally::default() };
        loop {
            let names = self.names(filter, tally.next, stride(limit, tally.looked, tally.matched));
            let Some(last) = names.last().copied() else {
                tally.next = None;
                return Ok(tally);
            };
            let mut meant = Vec::new();
            for (id, entry) in self.look(&names).await? {
                tally.looked += 1;
                tally.next = Some(id);
                let is_meant = match entry {
                    Some(entry) => filter.matches(&entry).then(|| changes(action, &entry, filter)),
                    // A message that cannot be read can still be removed by its name.
                    None => (action == Action::Delete && *filter == Filter::id(id)).then_some(true),
                };
                let Some(would_change) = is_meant else { continue };
                tally.matched += 1;
                if would_change {
                    meant.push(id);
                }
                if tally.matched >= limit.max(1) {
                    break;
                }
            }
            if tally.matched < limit.max(1) {
                // Those at the end may have gone since they were named.
                tally.next = Some(last);
            }
            tally.changed += match trial {
                Trial::DryRun => meant.len(),
                Trial::Real => self.act_on(action, filter, meant).await?,
            };
            if tally.matched >= limit.max(1) || tally.looked >= LOOKED {
                self.kick_after(trial);
                return Ok(tally);
            }
            self.kick_after(trial);
        }
    }

    /// Keeps mail from going, that which comes later too, until the rule ends or is taken back. Attempts under way go on.
    ///
    /// # Errors
    /// As [`RuleError`] says.
    pub async fn suspend(&self, rule: Rule) -> Result<RuleId, RuleError> {
        let _turn = self.shared.keeping.lock().await;
        let mut rules = self.shared.with(|plan, _| plan.rules().clone());
        rules.expire(self.shared.moment().wall);
        let id = rules.add(rule)?;
        self.shared.spool.keep_rules(rules.write()).await?;
        self.shared.with(|plan, at| {
            *plan.rules() = rules;
            plan.keep_back(at);
        });
        self.shared.kick();
        Ok(id)
    }

    /// Takes a rule back.
    ///
    /// # Errors
    /// [`RuleError::Unknown`] where there is none of that name.
    pub async fn resume(&self, id: RuleId) -> Result<Rule, RuleError> {
        let _turn = self.shared.keeping.lock().await;
        let mut rules = self.shared.with(|plan, _| plan.rules().clone());
        let rule = rules.remove(id)?;
        self.shared.spool.keep_rules(rules.write()).await?;
        self.shared.with(|plan, at| {
            *plan.rules() = rules;
            plan.let_go(at);
        });
        self.shared.kick();
        Ok(rule)
    }

    /// The next names to look at, at most `most`.
    fn names(&self, filter: &Filter, after: Option<MessageId>, most: usize) -> Vec<MessageId> {
        if filter.ids.is_empty() {
            return self.shared.state().plan.names(after, most);
        }
        let mut names: Vec<_> = filter.ids.iter().copied().filter(|id| after.is_none_or(|after| *id > after)).collect();
        names.sort_unstable();
        names.truncate(most);
        let state = self.shared.state();
        names.retain(|id| state.plan.is_known(*id));
        names
    }

    /// How messages stand, in the order of their names; `None` for one that cannot be read. Those that are gone are left
    /// out.
    async fn look(&self, names: &[MessageId]) -> Result<Vec<(MessageId, Option<Entry>)>, ReadError> {
        let mut seen: HashMap<MessageId, Option<Entry>> = HashMap::new();
        let mut asleep = Vec::new();
        self.shared.with(|plan, at| {
            for id in names {
                match plan.prospect(*id, at) {
                    Prospect::Entry(entry) => drop(seen.insert(*id, Some(*entry))),
                    Prospect::Asleep => asleep.push(*id),
                    Prospect::Gone => {}
                }
            }
        });
        let answers = if asleep.is_empty() { Vec::new() } else { self.shared.spool.read(&asleep).await };
        for (id, answer) in asleep.iter().zip(answers) {
            match answer {
                Ok(stored) => {
                    let entry = self.shared.with(|plan, at| plan.entry_of(stored, at));
                    seen.insert(*id, Some(entry));
                }
                Err(ReadError::Unknown) => {}
                Err(ReadError::Damaged) => drop(seen.insert(*id, None)),
                Err(error @ (ReadError::Failed(_) | ReadError::Closed)) => return Err(error),
            }
        }
        Ok(names.iter().filter_map(|id| Some((*id, seen.remove(id)?))).collect())
    }

    async fn read_one(&self, id: MessageId) -> Result<Stored, ReadError> {
        self.shared.spool.read(&[id]).await.pop().unwrap_or(Err(ReadError::Unknown))
    }

    fn kick_after(&self, trial: Trial) {
        match trial {
            Trial::DryRun => {}
            Trial::Real => self.shared.kick(),
        }
    }

    /// Acts on messages, many at a time, since what they record shares a sync.
    async fn act_on(&self, action: Action, filter: &Filter, ids: Vec<MessageId>) -> Result<usize, OperateError> {
        let acts = ids.into_iter().map(|id| self.act(action, filter, id));
        let mut changed = 0;
        for act in future::join_all(acts).await {
            match act? {
                Change::Made => changed += 1,
                Change::None => {}
            }
        }
        Ok(changed)
    }

    async fn act(&self, action: Action, filter: &Filter, id: MessageId) -> Result<Change, OperateError> {
        let Some((seized, mut grip)) = self.seize(id, action).await else { return Ok(Change::None) };
        let (stored, flying) = match seized {
            Seized::Active(stored, flying) => (*stored, flying),
            Seized::Dormant | Seized::Busy | Seized::Gone => match self.read_one(id).await {
                Ok(stored) => (stored, Vec::new()),
                Err(ReadError::Unknown) => {
                    grip.end = Release::Gone;
                    return Ok(Change::None);
                }
                Err(ReadError::Damaged) if action == Action::Delete => {
                    grip.end = Release::Doubt;
                    self.shared
                        .spool
                        .record(Facts { id, notes: vec![Note::Done], wake: Wake::Now, synced: Synced::Now })
                        .await?;
                    grip.end = Release::Acted(vec![Note::Done], Vec::new());
                    return Ok(Change::Made);
                }
                Err(error) => return Err(error.into()),
            },
        };
        let entry = self.shared.with(|plan, at| plan.entry_of(stored.clone(), at));
        if !filter.matches(&entry) || !changes(action, &entry, filter) {
            return Ok(Change::None);
        }
        let meant: Vec<u32> = (0..)
            .zip(&entry.recipients)
            .filter(|(index, one)| !flying.contains(index) && filter.matches_recipient(one))
            .map(|(index, _)| index)
            .collect();
        let wall = self.shared.moment().wall;
        let Some(facts) = facts(action, &stored, &meant, &flying, wall) else { return Ok(Change::None) };
        if !facts.notes.is_empty() {
            grip.end = Release::Doubt;
            match self.shared.spool.record(facts.clone()).await {
                Ok(()) => {}
                Err(RecordError::Unknown) => {
                    grip.end = Release::Gone;
                    return Ok(Change::None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let destinations = destinations(&stored);
        grip.end = Release::Acted(facts.notes.clone(), destinations);
        drop(grip);
        self.tell_of_act(action, &stored, &facts);
        Ok(Change::Made)
    }

    /// Takes a message in hand; `None` where it is gone.
    async fn seize(&self, id: MessageId, action: Action) -> Option<(Seized, Grip<'_, S>)> {
        let mut patience = None;
        loop {
            let seen = self.shared.kicks();
            let seized = self.shared.with(|plan, at| plan.seize(id, at));
            match seized {
                Seized::Active(..) | Seized::Dormant => {
                    return Some((seized, Grip { queue: self, id, action, end: Release::Untouched }));
                }
                Seized::Gone => return None,
                Seized::Busy => {}
            }
            if patience.is_none() {
                // From now on it is told when hands are free; they may have become so just before.
                patience = Some(Patient::new(self));
                continue;
            }
            self.shared.kicked(seen).await;
        }
    }

    fn tell_of_act(&self, action: Action, stored: &Stored, facts: &Facts) {
        let id = stored.id;
        match action {
            Action::Hold => self.shared.event(&Event::Held { id, why: Held::Asked }),
            Action::Release => self.shared.event(&Event::Released { id }),
            Action::Delete => self.shared.event(&Event::Removed { id }),
            Action::Retry | Action::Requeue => {}
            Action::Bounce => self.tell_of_bounce(stored, facts),
        }
    }

    fn tell_of_bounce(&self, stored: &Stored, facts: &Facts) {
        let envelope = &stored.envelope;
        let mut count = 0;
        for note in &facts.notes {
            let Note::Progress(steps) = note else { continue };
            for (index, progress) in steps {
                let Progress::Failed { attempts, why, detail, .. } = progress else { continue };
                let Some(recipient) = envelope.recipients.get(*index as usize) else { continue };
                count += 1;
                let about = About { id: stored.id, envelope, recipient, attempts: *attempts };
                self.shared.event(&Event::Failed { about, why: *why, detail });
            }
        }
        self.shared.with(|plan, _| plan.counters().bounced += count);
        if envelope.sender.is_empty() {
            self.untold(stored.id, News::Ends);
        }
    }
}

/// How many messages to look at next, where `limit` are wanted and `found` came of the first `looked`: as many as it takes
/// if that goes on, since each may have to be read.
fn stride(limit: usize, looked: usize, found: usize) -> usize {
    let lacking = limit.max(1).saturating_sub(found);
    let for_each = looked.div_ceil(found.max(1)).max(1);
    lacking.saturating_mul(for_each).clamp(1, TOGETHER)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Made,
    None,
}

/// Whether an action would make a difference to a message.
fn changes(action: Action, entry: &Entry, filter: &Filter) -> bool {
    let is_held = matches!(entry.state, EntryState::Held { .. });
    let mut waiting = entry.recipients.iter().filter(|one| matches!(one.state, RecipientState::Waiting { .. }));
    match action {
        Action::Hold => !is_held,
        Action::Release => is_held,
        Action::Retry | Action::Requeue => !is_held && waiting.next().is_some(),
        Action::Bounce => waiting.any(|one| filter.matches_recipient(one)),
        Action::Delete => true,
    }
}

/// What an action records; `None` where it makes no difference. `meant` are the recipients that the filter means, `flying`
/// those with an attempt under way.
fn facts(action: Action, stored: &Stored, meant: &[u32], flying: &[u32], wall: UnixMicros) -> Option<Facts> {
    let Stored { id, .. } = *stored;
    let waits = |index: &u32, progress: &Progress| {
        let is_open = match progress {
            Progress::Fresh | Progress::Trying { .. } | Progress::Deferred { .. } => true,
            Progress::Delivered { .. } | Progress::Failed { .. } => false,
        };
        is_open && !flying.contains(index)
    };
    let waiting = || (0..).zip(&stored.progress).filter(|(index, progress)| waits(index, progress));
    let (notes, wake) = match action {
        Action::Hold => (vec![Note::Hold(Held::Asked)], Wake::Asked),
        Action::Release => {
            // Whatever interrupted them may be mended.
            let interrupted = waiting().filter(|(_, progress)| matches!(progress, Progress::Trying { .. }));
            let steps: Vec<_> =
                interrupted.map(|(index, progress)| (index, anew(progress, attempts(progress), wall))).collect();
            let mut notes = vec![Note::Release];
            if !steps.is_empty() {
                notes.insert(0, Note::Progress(steps));
            }
            (notes, Wake::Now)
        }
        Action::Retry => (Vec::new(), Wake::Now),
        Action::Requeue => {
            let steps: Vec<_> = waiting().map(|(index, progress)| (index, anew(progress, 0, wall))).collect();
            (vec![Note::Progress(steps)], Wake::Now)
        }
        Action::Bounce => return bounce(stored, waiting().filter(|(index, _)| meant.contains(index)).collect(), wall),
        Action::Delete => (vec![Note::Done], Wake::Now),
    };
    Some(Facts { id, notes, wake, synced: Synced::Now })
}

fn bounce(stored: &Stored, given_up: Vec<(u32, &Progress)>, wall: UnixMicros) -> Option<Facts> {
    let why = Failure::Bounced;
    let mut steps = Vec::new();
    let mut is_owed = false;
    for (index, progress) in given_up {
        let recipient = stored.envelope.recipients.get(index as usize)?;
        let word = word(action_of_failure(why), &stored.envelope, recipient);
        is_owed |= word == Word::Due;
        let detail = detail(progress).cloned().unwrap_or_else(|| Detail::from(RETURNED));
        steps.push((index, Progress::Failed { attempts: attempts(progress), at: wall, why, detail, word }));
    }
    if steps.is_empty() {
        return None;
    }
    let mut left = stored.clone();
    left.note(&Note::Progress(steps.clone()));
    let is_done = left.progress.iter().all(|progress| match progress {
        Progress::Delivered { word, .. } | Progress::Failed { word, .. } => {
            is_owed |= *word == Word::Due;
            true
        }
        Progress::Fresh | Progress::Trying { .. } | Progress::Deferred { .. } => false,
    });
    let mut notes = vec![Note::Progress(steps)];
    if is_done && !is_owed {
        notes.push(Note::Done);
    }
    Some(Facts { id: stored.id, notes, wake: Wake::Now, synced: Synced::Now })
}

/// A recipient that is due now, after so many attempts.
fn anew(progress: &Progress, attempts: u32, wall: UnixMicros) -> Progress {
    match detail(progress) {
        None if attempts == 0 => Progress::Fresh,
        detail => Progress::Deferred { attempts, at: wall, until: wall, detail: detail.cloned().unwrap_or_default() },
    }
}

fn attempts(progress: &Progress) -> u32 {
    match progress {
        Progress::Trying { attempt, .. } => *attempt,
        Progress::Deferred { attempts, .. } | Progress::Failed { attempts, .. } => *attempts,
        Progress::Fresh | Progress::Delivered { .. } => 0,
    }
}

fn detail(progress: &Progress) -> Option<&Detail> {
    match progress {
        Progress::Deferred { detail, .. } | Progress::Failed { detail, .. } | Progress::Delivered { detail, .. } => {
            Some(detail)
        }
        Progress::Fresh | Progress::Trying { .. } => None,
    }
}

fn destinations(stored: &Stored) -> Vec<Destination> {
    let mut all: Vec<_> = stored.envelope.recipients.iter().map(|recipient| recipient.destination.clone()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Counts among those who wait for free hands.
struct Patient<'a, S: Spool>(&'a Queue<S>);

impl<'a, S: Spool> Patient<'a, S> {
    fn new(queue: &'a Queue<S>) -> Self {
        queue.shared.state().patient += 1;
        Self(queue)
    }
}

impl<S: Spool> Drop for Patient<'_, S> {
    fn drop(&mut self) {
        let mut state = self.0.shared.state();
        state.patient = state.patient.saturating_sub(1);
    }
}

/// A message in an operator's hand. The plan gets it back whatever happens to the future that holds it.
struct Grip<'a, S: Spool> {
    queue: &'a Queue<S>,
    id: MessageId,
    action: Action,
    end: Release,
}

enum Release {
    /// Nothing was recorded.
    Untouched,
    /// Nobody knows whether it was.
    Doubt,
    /// It is no longer there.
    Gone,
    /// This is recorded, about a message for these destinations.
    Acted(Vec<Note>, Vec<Destination>),
}

impl<S: Spool> Drop for Grip<'_, S> {
    fn drop(&mut self) {
        let (id, action) = (self.id, self.action);
        let end = std::mem::replace(&mut self.end, Release::Untouched);
        self.queue.shared.with(|plan, at| match end {
            Release::Untouched => plan.spare(id, at),
            Release::Doubt => plan.drop_hands(id, at),
            Release::Gone => plan.lose(id, at),
            Release::Acted(notes, destinations) => plan.acted(id, action, &notes, &destinations, at),
        });
        self.queue.shared.hands_free();
    }
}
