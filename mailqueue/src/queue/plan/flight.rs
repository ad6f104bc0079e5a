//! Attempts: how they begin, what they come to, and what follows.

use std::sync::Arc;
use std::time::Duration;

use crate::queue::dormant::Sleeper;
use crate::queue::message::{Hands, Message, Spot, Trust, word, word_of_delivery};
use crate::queue::notify::action_of_failure;
use crate::queue::step::{Step, Wait};
use crate::queue::times::Moment;
use crate::queue::turns::Ticket;
use crate::queue::ways::SiteKey;
use crate::queue::window::{Contact, Turnabout};
use crate::{
    Detail, Failure, Held, Late, MessageId, Note, Outcome, Progress, Recipient, Standing, UnixMicros, Verdict, Wake,
    Word,
};

use super::{Attempt, Dial, Errand, Happening, Plan, Repute, Trial};

/// What an attempt found out about one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::queue) enum Finding {
    Said(Outcome),
    /// It is given up without having been asked.
    Given(Failure, Arc<Detail>),
    /// The transport did not answer for it.
    Silence,
    /// The spool has lost the message's octets.
    Damaged,
}

/// What an attempt came to: facts to record, and steps to take when they are.
#[derive(Clone, Debug)]
pub(in crate::queue) struct Judgement {
    pub(in crate::queue) notes: Vec<Note>,
    pub(in crate::queue) wake: Wake,
    /// What becomes of each recipient, for whoever is told.
    pub(in crate::queue) steps: Vec<(u32, Step)>,
    contact: Contact,
    trouble: Option<Arc<Detail>>,
    rest: Rest,
}

/// What is left of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Some,
    /// Everyone has ended, and nobody is to be told.
    Nothing,
    /// It is kept, since its octets are lost.
    Damaged,
}

impl Plan {
    /// Begins an attempt for a leg whose turn it is.
    pub(super) fn take_off(&mut self, site: &SiteKey, ticket: Ticket, at: Moment) -> Option<Attempt> {
        let attempt = self.board(site, ticket, at);
        match &attempt {
            Some(_) => self.counters.flying += 1,
            None => self.touch_down(site, Contact::Nothing, None, ticket.id, at),
        }
        attempt
    }

    fn board(&mut self, site: &SiteKey, ticket: Ticket, at: Moment) -> Option<Attempt> {
        let Ticket { id, leg } = ticket;
        let message = self.active.get(&id)?;
        let slot = message.legs.get(leg as usize)?;
        let destination = slot.destination.clone();
        let most = self.config.recipients_per_batch.max(1);
        let is_due = |index: u32| {
            let wait = message.seats.get(index as usize)?.step.waiting().filter(|wait| wait.due <= at.now)?;
            (!self.is_kept(message, index, Some(site), at)).then(|| (index, wait.clone()))
        };
        let mut chosen: Vec<(u32, Wait)> = slot.seats.iter().filter_map(|index| is_due(*index)).take(most).collect();
        let repute = if message.is_suspect() { Repute::Suspect } else { Repute::Good };
        if !chosen.is_empty() && !self.is_cleared(id, repute, at.now) {
            chosen.clear();
        }
        let message = self.active.get_mut(&id)?;
        let slot = message.legs.get_mut(leg as usize)?;
        // The lane has let go of it.
        slot.place = Spot::Nowhere;
        message.busy -= 1;
        let mut recipients = Vec::with_capacity(chosen.len());
        for (index, wait) in chosen {
            let attempt = wait.attempts.saturating_add(1);
            recipients.push(Trial { index, attempt, interrupted: wait.interrupted });
            message.set(index, Step::Trying { attempt, since: at.wall, before: wait });
        }
        if recipients.is_empty() {
            self.arrange(id, leg, at);
            self.attend(id, at);
            return None;
        }
        message.busy += 1;
        message.flying += 1;
        let envelope = Arc::clone(&message.envelope);
        self.displace(id, leg, at.now);
        self.requeue(id, leg, site, at);
        Some(Attempt { id, envelope, destination, leg, dial: Dial::Site(site.clone()), recipients, repute })
    }

    /// What is recorded before an attempt is dialled.
    pub(in crate::queue) fn announce(&self, attempt: &Attempt, at: Moment) -> (Vec<Note>, Wake) {
        let trying = attempt.recipients.iter().map(|trial| {
            let Trial { index, attempt, interrupted } = *trial;
            (index, Progress::Trying { attempt, since: at.wall, interrupted })
        });
        let notes = vec![Note::Progress(trying.collect())];
        let wake = self.active.get(&attempt.id).map(|message| message.wake(&[], &self.config, attempt.id, at));
        (notes, wake.unwrap_or(Wake::Now))
    }

    /// Says what findings mean, one for each recipient of the attempt, and changes nothing yet.
    pub(in crate::queue) fn judge(&self, attempt: &Attempt, findings: Vec<Finding>, at: Moment) -> Judgement {
        let said: Vec<Outcome> = findings
            .iter()
            .filter_map(|finding| match finding {
                Finding::Said(outcome) => Some(outcome.clone()),
                Finding::Given(..) | Finding::Silence | Finding::Damaged => None,
            })
            .collect();
        let contact = Contact::of(&said);
        let trouble = said.iter().find_map(|outcome| match outcome {
            Outcome::Deferred { reason, .. } if contact == Contact::Failed => Some(Arc::new(reason.clone().bounded())),
            Outcome::Deferred { .. } | Outcome::Delivered { .. } | Outcome::Failed { .. } => None,
        });
        let is_damaged = findings.contains(&Finding::Damaged);
        let mut judgement =
            Judgement { notes: Vec::new(), wake: Wake::Now, steps: Vec::new(), contact, trouble, rest: Rest::Some };
        // It was removed meanwhile.
        let Some(message) = self.active.get(&attempt.id) else { return judgement };
        let mut facts = Vec::new();
        for (trial, finding) in attempt.recipients.iter().zip(findings) {
            let Some(recipient) = message.recipient(trial.index) else { continue };
            let (step, fact) = self.judge_one(attempt, message, recipient, *trial, finding, at);
            judgement.steps.push((trial.index, step));
            facts.extend(fact.map(|fact| (trial.index, fact)));
        }
        if !facts.is_empty() {
            judgement.notes.push(Note::Progress(facts));
        }
        judgement.wake = message.wake(&judgement.steps, &self.config, attempt.id, at);
        if is_damaged {
            judgement.rest = Rest::Damaged;
            judgement.notes.push(Note::Hold(Held::Damaged));
            judgement.wake = Wake::Asked;
            return judgement;
        }
        let ended = judgement.steps.iter().filter(|(_, step)| matches!(step, Step::Ended(_))).count();
        let is_owed = |step: &Step| step.word() == Some(Word::Due);
        let owes = message.tell_at.is_some() || judgement.steps.iter().any(|(_, step)| is_owed(step));
        if ended == message.open && !owes && message.hands == Hands::Free {
            judgement.rest = Rest::Nothing;
            judgement.notes.push(Note::Done);
        }
        judgement
    }

    fn judge_one(
        &self,
        attempt: &Attempt,
        message: &Message,
        recipient: &Recipient,
        trial: Trial,
        finding: Finding,
        at: Moment,
    ) -> (Step, Option<Progress>) {
        let Trial { attempt: attempts, interrupted, index: _ } = trial;
        let fail = |why: Failure, detail: Detail| {
            let word = word(action_of_failure(why), &message.envelope, recipient);
            let fact = Progress::Failed { attempts, at: at.wall, why, detail: detail.bounded(), word };
            (Step::Ended(fact.clone()), Some(fact))
        };
        let schedule = self.config.schedule_for(&attempt.destination, &message.envelope.sender);
        let (reason, asked) = match finding {
            Finding::Said(Outcome::Delivered { detail, handed }) => {
                let word = word_of_delivery(&message.envelope, recipient, handed);
                let fact = Progress::Delivered { at: at.wall, handed, detail: detail.bounded(), word };
                return (Step::Ended(fact.clone()), Some(fact));
            }
            Finding::Said(Outcome::Failed { reason }) => return fail(Failure::Refused, reason),
            Finding::Given(why, detail) => return fail(why, (*detail).clone()),
            Finding::Said(Outcome::Deferred { reason, retry_after, class: _ }) => (reason, retry_after),
            Finding::Damaged => {
                let detail = Detail::from("the spool cannot read the message any more");
                let fact = Progress::Deferred { attempts, at: at.wall, until: at.wall, detail: detail.clone() };
                let last = Some((at.wall, Arc::new(detail)));
                return (Step::Waiting(Wait { due: at.now, attempts, interrupted: 0, last }), Some(fact));
            }
            Finding::Silence => {
                // The spool has it already: an attempt that began, and no outcome.
                let due = at.now.saturating_add(schedule.delay(attempts, attempt.id.seed()));
                let wait = Wait::interrupted(due, attempts, at.wall, interrupted.saturating_add(1));
                return (Step::Waiting(wait), None);
            }
        };
        let is_late = message
            .envelope
            .deliver_by
            .is_some_and(|wish| wish.then == Late::Return && message.time_of(wish.until) <= at.now);
        if is_late {
            return fail(Failure::Late, reason);
        }
        match schedule.after(attempts, message.age(at.now), asked, attempt.id.seed()) {
            Verdict::GiveUp => fail(Failure::Expired, reason),
            Verdict::RetryAfter(wait) => {
                let detail = reason.bounded();
                let last = Some((at.wall, Arc::new(detail.clone())));
                let step = Wait { due: at.now.saturating_add(wait), attempts, interrupted: 0, last };
                let fact = Progress::Deferred { attempts, at: at.wall, until: at.wall.after(wait), detail };
                (Step::Waiting(step), Some(fact))
            }
        }
    }

    /// Takes the steps of a judgement whose facts are recorded. The attempt is over.
    pub(in crate::queue) fn settle(&mut self, attempt: &Attempt, judgement: Judgement, at: Moment) {
        let Judgement { steps, contact, trouble, rest, notes: _, wake: _ } = judgement;
        for (_, step) in &steps {
            self.count(step);
        }
        let is_told = steps.iter().any(|(_, step)| step.word() == Some(Word::Due));
        if let Some(message) = self.active.get_mut(&attempt.id) {
            if is_told {
                let tell_at = at.now.saturating_add(self.config.tell_within);
                message.tell_at = Some(message.tell_at.map_or(tell_at, |due| due.min(tell_at)));
            }
            match rest {
                Rest::Damaged => {
                    message.standing = Standing::Held(Held::Damaged);
                    self.counters.add_hold(Held::Damaged);
                    self.happenings.push(Happening::Held { id: attempt.id, why: Held::Damaged });
                }
                Rest::Some | Rest::Nothing => {}
            }
        }
        self.end(attempt, steps, at);
        match rest {
            Rest::Nothing => drop(self.leave(attempt.id, at.now)),
            Rest::Some => self.review(attempt, at),
            Rest::Damaged => {
                self.withdraw(attempt.id, at.now);
                self.attend(attempt.id, at);
            }
        }
        self.land(attempt, contact, trouble, at);
    }

    /// Ends an attempt whose outcome nobody knows, as a restart would.
    pub(in crate::queue) fn interrupt(&mut self, attempt: &Attempt, at: Moment) {
        let mut steps = Vec::with_capacity(attempt.recipients.len());
        for trial in &attempt.recipients {
            let Some(message) = self.active.get(&attempt.id) else { break };
            let Some(recipient) = message.recipient(trial.index) else { continue };
            let schedule = self.config.schedule_for(&recipient.destination, &message.envelope.sender);
            let wait = match recipient.destination.repeat() {
                crate::Repeat::Idempotent => Duration::ZERO,
                crate::Repeat::Duplicates => schedule.delay(trial.attempt, attempt.id.seed()),
            };
            let due = at.now.saturating_add(wait);
            let wait = Wait::interrupted(due, trial.attempt, at.wall, trial.interrupted.saturating_add(1));
            steps.push((trial.index, Step::Waiting(wait)));
        }
        self.counters.interrupted += steps.len() as u64;
        self.end(attempt, steps, at);
        self.review(attempt, at);
        self.land(attempt, Contact::Nothing, None, at);
    }

    /// Ends an attempt of which nobody knows whether what came of it was recorded.
    pub(in crate::queue) fn lose_sight(&mut self, attempt: &Attempt, at: Moment) {
        self.interrupt(attempt, at);
        self.doubt(attempt.id, at);
    }

    /// Ends an attempt that was never made, since it could not be recorded or read. It is made when the spool has had time.
    pub(in crate::queue) fn abandon(&mut self, attempt: &Attempt, at: Moment) {
        let due = at.now.saturating_add(self.config.patience);
        let mut steps = Vec::with_capacity(attempt.recipients.len());
        if let Some(message) = self.active.get(&attempt.id) {
            for trial in &attempt.recipients {
                if let Some(Step::Trying { before, .. }) =
                    message.seats.get(trial.index as usize).map(|seat| &seat.step)
                {
                    steps.push((trial.index, Step::Waiting(Wait { due, ..before.clone() })));
                }
            }
        }
        self.end(attempt, steps, at);
        self.review(attempt, at);
        self.land(attempt, Contact::Nothing, None, at);
    }

    /// An errand is over, and what it was for is recorded. A message that is done is gone.
    pub(in crate::queue) fn errand_done(&mut self, errand: Errand, notes: &[Note], at: Moment) {
        self.busy_errands = self.busy_errands.saturating_sub(1);
        let (Errand::Finish(id) | Errand::Hold(id, _) | Errand::Tell(id, _)) = errand;
        if notes.contains(&Note::Done) {
            self.leave(id, at.now);
            return;
        }
        let Some(message) = self.active.get_mut(&id) else { return };
        message.note(id, notes, &self.config, &self.times, at);
        message.hands = Hands::Free;
        match errand {
            Errand::Tell(..) => {
                // Others may have ended while it was written.
                message.tell_at = message.has_word_due().then_some(at.now);
            }
            Errand::Hold(_, why) => {
                self.counters.add_hold(why);
                self.happenings.push(Happening::Held { id, why });
            }
            Errand::Finish(_) => {}
        }
        self.attend(id, at);
    }

    /// An errand was not done, and nobody knows how far it came.
    pub(in crate::queue) fn errand_dropped(&mut self, errand: Errand, at: Moment) {
        self.busy_errands = self.busy_errands.saturating_sub(1);
        let (Errand::Finish(id) | Errand::Hold(id, _) | Errand::Tell(id, _)) = errand;
        if let Some(message) = self.active.get_mut(&id) {
            message.hands = Hands::Free;
        }
        self.doubt(id, at);
    }

    /// An errand was not done for now, for certain.
    pub(in crate::queue) fn errand_later(&mut self, errand: Errand, at: Moment) {
        self.busy_errands = self.busy_errands.saturating_sub(1);
        let (Errand::Finish(id) | Errand::Hold(id, _) | Errand::Tell(id, _)) = errand;
        // It is read again after a while: that is the same as a doubt, with patience.
        let Some(message) = self.active.get_mut(&id) else { return };
        message.hands = Hands::Free;
        message.trust = Trust::Doubt;
        let is_flying = message.flying > 0;
        self.withdraw(id, at.now);
        if !is_flying {
            let due = Some(at.now.saturating_add(self.config.patience));
            if let Some(message) = self.leave(id, at.now) {
                let lot = crate::queue::dormant::Lot::Old;
                self.sleep(Sleeper { id, lot, due, born: message.born() }, at.now);
            }
        }
    }

    /// What is in memory of a message may not be what is recorded. It is read again when attempts have ended.
    pub(super) fn doubt(&mut self, id: MessageId, at: Moment) {
        self.recall(id);
        let Some(message) = self.active.get_mut(&id) else { return };
        message.trust = Trust::Doubt;
        self.withdraw(id, at.now);
        self.rest(id, at);
    }

    /// Takes all legs of a message out of lanes.
    pub(super) fn withdraw(&mut self, id: MessageId, now: Duration) {
        let legs = self.active.get(&id).map_or(0, |message| message.legs.len() as u32);
        for leg in 0..legs {
            self.displace(id, leg, now);
        }
    }

    /// Ends an attempt with the steps that follow from it.
    fn end(&mut self, attempt: &Attempt, steps: Vec<(u32, Step)>, _at: Moment) {
        let Some(message) = self.active.get_mut(&attempt.id) else { return };
        for (index, step) in steps {
            message.set(index, step);
        }
        message.busy = message.busy.saturating_sub(1);
        message.flying = message.flying.saturating_sub(1);
    }

    /// Looks at a message again after an attempt for one of its legs.
    fn review(&mut self, attempt: &Attempt, at: Moment) {
        let leg = self.active.get(&attempt.id).and_then(|message| message.legs.get(attempt.leg as usize));
        match leg.map(|leg| &leg.place) {
            // What is left of it has its place among the others, and is looked at when its turn comes.
            Some(Spot::Turn(..) | Spot::Asking) | None => {}
            Some(Spot::Nowhere | Spot::Backlog(_) | Spot::Suspect | Spot::Suspended) => {
                self.arrange(attempt.id, attempt.leg, at)
            }
        }
        self.attend(attempt.id, at);
    }

    fn land(&mut self, attempt: &Attempt, contact: Contact, trouble: Option<Arc<Detail>>, at: Moment) {
        match attempt.repute {
            Repute::Good => {}
            Repute::Suspect => self.suspects.land(attempt.id),
        }
        match &attempt.dial {
            Dial::Site(site) => {
                self.counters.flying = self.counters.flying.saturating_sub(1);
                self.touch_down(&site.clone(), contact, trouble, attempt.id, at);
            }
            Dial::Nobody(..) => {}
        }
    }

    fn touch_down(
        &mut self,
        site: &SiteKey,
        contact: Contact,
        trouble: Option<Arc<Detail>>,
        id: MessageId,
        at: Moment,
    ) {
        let (turnabout, lost) = self.lanes.land(site, contact, trouble, id.seed(), at.now);
        match turnabout {
            Turnabout::None => {}
            Turnabout::Lost => {
                let lane = self.lanes.find(site);
                let probe_at = lane.and_then(|lane| lane.window.probe_at()).unwrap_or(at.now);
                let detail = lane.and_then(|lane| lane.trouble.clone()).unwrap_or_default();
                let probe_at: UnixMicros = at.wall_at(probe_at);
                self.happenings.push(Happening::Unreachable { site: Arc::clone(&site.name), probe_at, detail });
            }
            Turnabout::Found => self.happenings.push(Happening::Reachable { site: Arc::clone(&site.name) }),
        }
        self.retreat(lost, at);
    }

    fn count(&mut self, step: &Step) {
        match step {
            Step::Ended(Progress::Delivered { .. }) => self.counters.delivered += 1,
            Step::Ended(Progress::Failed { why, .. }) => self.counters.add_failure(*why),
            Step::Waiting(wait) if wait.interrupted > 0 => self.counters.interrupted += 1,
            Step::Waiting(_) => self.counters.deferred += 1,
            Step::Ended(Progress::Fresh | Progress::Trying { .. } | Progress::Deferred { .. })
            | Step::Trying { .. } => {}
        }
    }
}
