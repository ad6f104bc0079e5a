//! The queue's one loop, and the flight of each attempt: record, read, deliver, record.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, future};

use crate::{Batch, MessageId, Note, Progress, ReadError, RecordError, Spool, Transport};

use super::plan::{Attempt, Rest, Task};
use super::step::Finding;
use super::{Queue, Stage};

impl<S: Spool> Queue<S> {
    /// Delivers until it is drained: takes what is due, destination by destination, and hands it to the transport.
    ///
    /// One run at a time. Dropping it interrupts the attempts under way as a crash would; a later run goes on.
    pub async fn run<T: Transport>(&self, transport: T) {
        let mut flights = FuturesUnordered::new();
        loop {
            let seen = self.shared.kicks();
            // What could not be taken now stays in the spool, and `arrived` tells of it again.
            let gathered = self.gather().await;
            let draining = self.shared.stage() == Stage::Draining;
            while !draining
                && flights.len() < self.shared.config.concurrency.max(1)
                && let Some(task) = self.shared.next_task()
            {
                flights.push(self.fly(&transport, task));
            }
            if draining && flights.is_empty() {
                return;
            }
            let full = draining || flights.len() >= self.shared.config.concurrency.max(1);
            let due = if full { None } else { self.shared.next_due() };
            let retry = gathered.is_err().then(|| self.shared.patience());
            let mut timer = pin!(async {
                match due.into_iter().chain(retry).min() {
                    Some(at) => self.shared.clock.sleep_until(at).await,
                    None => future::pending().await,
                }
            });
            let mut arrived = pin!(async {
                match gathered {
                    Ok(()) => self.shared.spool.arrived().await,
                    Err(_) => future::pending().await,
                }
            });
            let mut kicked = pin!(self.shared.kicked(seen));
            poll_fn(|context| {
                let landed = matches!(flights.poll_next_unpin(context), Poll::Ready(Some(())));
                let others =
                    [kicked.as_mut().poll(context), arrived.as_mut().poll(context), timer.as_mut().poll(context)];
                if landed || others.iter().any(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    async fn fly<T: Transport>(&self, transport: &T, task: Task) {
        match task {
            Task::Finish(id) => self.finish(id).await,
            Task::Attempt(attempt) => self.attempt(transport, attempt).await,
        }
    }

    async fn finish(&self, id: MessageId) {
        let mut last = LastRites { queue: self, id, end: End::Open };
        if self.record_surely(id, &[Note::Done]).await == Recorded::Yes {
            last.end = End::Done;
            self.shared.state().plan.remove(id);
        }
    }

    async fn attempt<T: Transport>(&self, transport: &T, attempt: Attempt) {
        let mut flight = Flight { queue: self, attempt, phase: Phase::Recording };
        let since = self.shared.moment().wall;
        let trying = flight.attempt.recipients.iter();
        let steps = trying.map(|(index, attempt)| (*index, Progress::Trying { attempt: *attempt, since })).collect();
        // Not recorded, not dialled: a message that kills the process must be known by its attempts.
        if self.shared.spool.record(flight.attempt.id, vec![Note::Progress(steps)]).await.is_err() {
            self.shared.count_spool_error();
            return;
        }
        flight.phase = Phase::Dialled;
        let findings = self.deliver(transport, &flight.attempt).await;
        let judgement = self.shared.judge(&flight.attempt, findings);
        let mut notes = vec![Note::Progress(judgement.facts.clone())];
        if judgement.rest == Rest::Nothing {
            notes.push(Note::Done);
        }
        if self.record_surely(flight.attempt.id, &notes).await == Recorded::Yes {
            flight.phase = Phase::Landed;
            self.shared.settle(&flight.attempt, judgement);
        }
    }

    async fn deliver<T: Transport>(&self, transport: &T, attempt: &Attempt) -> Vec<Finding> {
        let all = |finding: Finding| vec![finding; attempt.recipients.len()];
        let (envelope, body) = match self.shared.spool.read(attempt.id).await {
            Ok(message) => message,
            Err(ReadError::Damaged) => return all(Finding::Damaged),
            Err(ReadError::Unknown | ReadError::Failed(_) | ReadError::Closed) => return all(Finding::Unreadable),
        };
        let batch = Batch {
            id: attempt.id,
            envelope: Arc::new(envelope),
            recipients: attempt.recipients.iter().map(|(index, _)| *index as usize).collect(),
            destination: attempt.destination.clone(),
            attempt: attempt.recipients.iter().map(|(_, number)| *number).max().unwrap_or_default(),
            body,
        };
        // One message that makes a transport panic must not stop all the others.
        let outcomes = AssertUnwindSafe(transport.deliver(batch)).catch_unwind().await.unwrap_or_default();
        let mut findings: Vec<_> = outcomes.into_iter().map(Finding::Said).collect();
        findings.resize(attempt.recipients.len(), Finding::Silence);
        findings
    }

    /// Records facts however often the spool fails: what was delivered must not be delivered again. Only a drain ends it.
    async fn record_surely(&self, id: MessageId, notes: &[Note]) -> Recorded {
        loop {
            let stage = self.shared.stage();
            match self.shared.spool.record(id, notes.to_vec()).await {
                // Someone removed the message meanwhile, or a try that seemed to fail had removed it.
                Ok(()) | Err(RecordError::Unknown) => return Recorded::Yes,
                Err(RecordError::Full | RecordError::Failed(_) | RecordError::Unavailable) => {}
            }
            self.shared.count_spool_error();
            if stage == Stage::Draining {
                return Recorded::No;
            }
            let seen = self.shared.kicks();
            let wait = pin!(self.shared.clock.sleep_until(self.shared.patience()));
            let drained = pin!(async {
                let mut seen = seen;
                while self.shared.stage() != Stage::Draining {
                    self.shared.kicked(seen).await;
                    seen = self.shared.kicks();
                }
            });
            future::select(wait, drained).await;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recorded {
    Yes,
    No,
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
    Recording,
    /// What the other side has is not known, or not recorded.
    Dialled,
    Landed,
}

impl<S: Spool> Drop for Flight<'_, S> {
    fn drop(&mut self) {
        match self.phase {
            Phase::Recording => self.queue.shared.abandon(&self.attempt),
            Phase::Dialled => self.queue.shared.interrupt(&self.attempt),
            Phase::Landed => {}
        }
    }
}

/// A message that everyone has, on its way out of the spool.
struct LastRites<'a, S: Spool> {
    queue: &'a Queue<S>,
    id: MessageId,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Done,
}

impl<S: Spool> Drop for LastRites<'_, S> {
    fn drop(&mut self) {
        match self.end {
            End::Open => self.queue.shared.state().plan.finish(self.id),
            End::Done => {}
        }
    }
}
