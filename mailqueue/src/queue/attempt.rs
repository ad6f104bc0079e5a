//! The flight of an attempt: open the body, record that it begins, deliver, record what came of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;

use crate::body::ChunkFuture;
use crate::{Batch, Body, Chunks, Detail, Facts, Progress, ReadError, RecordError, Repeat, Spool, Synced, Transport};

use super::Queue;
use super::dispatch::Recorded;
use super::events::{About, Event, News};
use super::plan::{Attempt, Dial, Finding, Judgement};
use super::step::Step;
use super::ways::SiteKey;

impl<S: Spool> Queue<S> {
    pub(super) async fn attempt<T: Transport>(&self, transport: &T, attempt: Attempt) {
        let mut flight = Flight { queue: self, attempt, phase: Phase::Preparing };
        let findings = match flight.attempt.dial.clone() {
            Dial::Nobody(why, detail) => vec![Finding::Given(why, detail); flight.attempt.recipients.len()],
            Dial::Site(site) => match self.dial(transport, &mut flight, &site).await {
                Some(findings) => findings,
                None => return,
            },
        };
        let judgement = self.shared.with(|plan, at| plan.judge(&flight.attempt, findings, at));
        let facts =
            Facts { id: flight.attempt.id, notes: judgement.notes.clone(), wake: judgement.wake, synced: Synced::Now };
        flight.phase = Phase::Recording;
        if !facts.notes.is_empty() && self.record_surely(&facts).await == Recorded::No {
            return;
        }
        flight.phase = Phase::Landed;
        self.shared.with(|plan, at| plan.settle(&flight.attempt, judgement.clone(), at));
        self.shared.hands_free();
        self.tell_of(&flight.attempt, &judgement);
    }

    /// Delivers. `None` where nobody was dialled, since the spool does not do its part.
    async fn dial<T: Transport>(
        &self,
        transport: &T,
        flight: &mut Flight<'_, S>,
        site: &SiteKey,
    ) -> Option<Vec<Finding>> {
        let attempt = &flight.attempt;
        let all = |finding: Finding| Some(vec![finding; attempt.recipients.len()]);
        let body = match self.shared.spool.body(attempt.id).await {
            Ok(body) => body,
            Err(ReadError::Damaged) => return all(Finding::Damaged),
            Err(ReadError::Unknown) => {
                self.shared.with(|plan, at| plan.lose(attempt.id, at));
                return None;
            }
            Err(ReadError::Failed(_) | ReadError::Closed) => {
                self.shared.with(|plan, at| plan.spool_failed(at.now));
                return None;
            }
        };
        // Not recorded, not dialled: a message that kills the process must be known by its attempts.
        let (notes, wake) = self.shared.with(|plan, at| plan.announce(attempt, at));
        match self.shared.spool.record(Facts { id: attempt.id, notes, wake, synced: announced(attempt) }).await {
            Ok(()) => self.shared.with(|plan, _| plan.spool_took()),
            Err(RecordError::Unknown) => {
                self.shared.with(|plan, at| plan.lose(attempt.id, at));
                return None;
            }
            Err(RecordError::Full | RecordError::Failed(_) | RecordError::Unavailable) => {
                self.shared.with(|plan, at| plan.spool_failed(at.now));
                return None;
            }
        }
        flight.phase = Phase::Dialled;
        let attempt = &flight.attempt;
        let number = attempt.recipients.iter().map(|trial| trial.attempt).max().unwrap_or_default();
        self.shared.event(&Event::Attempted {
            id: attempt.id,
            destination: &attempt.destination,
            site: &site.name,
            attempt: number,
            recipients: attempt.recipients.len(),
        });
        let damage = Arc::new(AtomicBool::new(false));
        let batch = Batch {
            id: attempt.id,
            envelope: Arc::clone(&attempt.envelope),
            recipients: attempt.recipients.iter().map(|trial| trial.index as usize).collect(),
            destination: attempt.destination.clone(),
            attempt: number,
            body: Body::new(Watched { body, damage: Arc::clone(&damage) }),
        };
        // One message that makes a transport panic must not stop all the others.
        let outcomes = AssertUnwindSafe(async { transport.deliver(batch).await }).catch_unwind().await;
        let mut findings: Vec<_> = outcomes.unwrap_or_default().into_iter().map(Finding::Said).collect();
        findings.resize(attempt.recipients.len(), Finding::Silence);
        if damage.load(Ordering::Relaxed) {
            for finding in &mut findings {
                // What was delivered before, or refused whatever the octets are, stays so.
                if matches!(finding, Finding::Silence | Finding::Said(crate::Outcome::Deferred { .. })) {
                    *finding = Finding::Damaged;
                }
            }
        }
        Some(findings)
    }

    /// Tells whoever listens what became of each recipient.
    fn tell_of(&self, attempt: &Attempt, judgement: &Judgement) {
        let at = self.shared.moment();
        let Attempt { id, envelope, .. } = attempt;
        let mut has_failed = false;
        for (index, step) in &judgement.steps {
            let Some(recipient) = envelope.recipients.get(*index as usize) else { continue };
            let number = attempt.recipients.iter().find(|trial| trial.index == *index).map_or(0, |trial| trial.attempt);
            let about = About { id: *id, envelope, recipient, attempts: number };
            match step {
                Step::Waiting(wait) if wait.interrupted > 0 => {
                    self.shared.event(&Event::Interrupted { about, times: wait.interrupted });
                }
                Step::Waiting(wait) => {
                    let nothing = Detail::default();
                    let detail = wait.detail().unwrap_or(&nothing);
                    self.shared.event(&Event::Deferred { about, until: at.wall_at(wait.due), detail });
                }
                Step::Ended(Progress::Delivered { handed, detail, .. }) => {
                    self.shared.event(&Event::Delivered { about, handed: *handed, detail });
                }
                Step::Ended(Progress::Failed { why, detail, .. }) => {
                    has_failed = true;
                    self.shared.event(&Event::Failed { about, why: *why, detail });
                }
                Step::Ended(Progress::Fresh | Progress::Trying { .. } | Progress::Deferred { .. })
                | Step::Trying { .. } => {}
            }
        }
        if has_failed && envelope.sender.is_empty() {
            self.untold(*id, News::Ends);
        }
    }

    /// Nobody hears of something that a sender should hear of.
    pub(super) fn untold(&self, id: crate::MessageId, news: News) {
        self.shared.with(|plan, _| plan.counters().untold += 1);
        self.shared.event(&Event::Untold { id, news });
    }
}

/// What the announcement of an attempt has to survive. A process that dies of its message is told from others by it, so it
/// is always written first. After a power cut, a destination that knows a delivery by its id is tried again at once and takes
/// it once, announced or not; any other must not be dialled again for an attempt that nobody remembers.
fn announced(attempt: &Attempt) -> Synced {
    match attempt.destination.repeat() {
        Repeat::Idempotent => Synced::Later,
        Repeat::Duplicates => Synced::Now,
    }
}

/// An attempt under way. It comes back to the plan whatever happens to the future that flies it.
struct Flight<'a, S: Spool> {
    queue: &'a Queue<S>,
    attempt: Attempt,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nobody was told of the message yet.
    Preparing,
    /// What the other side has is not known.
    Dialled,
    /// Nobody knows what of it is recorded.
    Recording,
    Landed,
}

impl<S: Spool> Drop for Flight<'_, S> {
    fn drop(&mut self) {
        let shared = &self.queue.shared;
        match self.phase {
            Phase::Preparing => shared.with(|plan, at| plan.abandon(&self.attempt, at)),
            Phase::Dialled => shared.with(|plan, at| plan.interrupt(&self.attempt, at)),
            Phase::Recording => shared.with(|plan, at| plan.lose_sight(&self.attempt, at)),
            Phase::Landed => return,
        }
        shared.hands_free();
    }
}

/// A body that remembers that it could not be read: the transport may not say so.
struct Watched {
    body: Body,
    damage: Arc<AtomicBool>,
}

impl Chunks for Watched {
    fn size(&self) -> u64 {
        self.body.size()
    }

    fn chunk(&self, number: usize) -> ChunkFuture<'_> {
        Box::pin(async move {
            let piece = self.body.chunk(number).await;
            if piece == Err(ReadError::Damaged) {
                self.damage.store(true, Ordering::Relaxed);
            }
            piece
        })
    }
}
