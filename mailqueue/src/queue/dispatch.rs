//! The queue's one loop: it does what the plan says is next, and waits until something is.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;

use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, future};

use crate::{Destination, Facts, MessageId, RecordError, Spool, Transport};

use super::plan::{Next, Task};
use super::{Queue, Stage};

impl<S: Spool> Queue<S> {
    /// Delivers until it is drained: takes what is due, site by site, and hands it to the transport.
    ///
    /// One run at a time. Dropping it interrupts the attempts under way as a crash would; a later run goes on.
    pub async fn run<T: Transport>(&self, transport: T) {
        let mut flights = FuturesUnordered::new();
        self.shared.with(|plan, at| plan.begin_run(at.now));
        loop {
            let seen = self.shared.kicks();
            // What could not be taken now stays in the spool, and `arrived` tells of it again.
            let gathered = self.gather().await;
            let draining = self.shared.stage() == Stage::Draining;
            let due = if draining {
                None
            } else {
                loop {
                    match self.shared.with(|plan, at| plan.next(at)) {
                        Next::Task(task) => flights.push(self.fly(&transport, task)),
                        Next::Wait(until) => break until,
                    }
                }
            };
            if draining && flights.is_empty() {
                return;
            }
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
                // All that have landed, so that sites take turns among all of them.
                let mut landed = false;
                while let Poll::Ready(Some(())) = flights.poll_next_unpin(context) {
                    landed = true;
                }
                let others =
                    [kicked.as_mut().poll(context), arrived.as_mut().poll(context), timer.as_mut().poll(context)];
                if landed || others.iter().any(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    async fn fly<T: Transport>(&self, transport: &T, task: Task) {
        match task {
            Task::Ask(destination) => self.ask(transport, destination).await,
            Task::Read(ids) => self.read_back(ids).await,
            Task::Attempt(attempt) => self.attempt(transport, attempt).await,
            Task::Errand(errand) => self.errand(transport, errand).await,
        }
    }

    /// Asks the transport for a site. One that does not answer, or panics, makes each destination a site of its own.
    async fn ask<T: Transport>(&self, transport: &T, destination: Destination) {
        let mut question = Question { queue: self, destination: Some(destination.clone()) };
        let answer = self.patiently(transport.site(&destination)).await;
        question.destination = None;
        let name = answer.unwrap_or_else(|| destination.key().into());
        self.shared.with(|plan, at| plan.answer(&destination, name, at));
    }

    /// Reads messages back whose time has come.
    async fn read_back(&self, ids: Vec<MessageId>) {
        let mut reading = Reading { queue: self, ids };
        let answers = self.shared.spool.read(&reading.ids).await;
        let ids = std::mem::take(&mut reading.ids);
        self.shared.with(|plan, at| plan.came(&ids, answers, at));
        self.shared.hands_free();
    }

    /// Waits for what a transport thinks about, and not for ever; `None` where it panics or takes too long.
    pub(super) async fn patiently<A>(&self, thought: impl Future<Output = A>) -> Option<A> {
        let until = self.shared.clock.now().saturating_add(self.shared.config.question_patience);
        let thought = pin!(AssertUnwindSafe(thought).catch_unwind());
        match future::select(thought, self.shared.clock.sleep_until(until)).await {
            future::Either::Left((answer, _)) => answer.ok(),
            future::Either::Right(((), _)) => None,
        }
    }

    /// Records facts however often the spool fails: what was delivered must not be delivered again. Only a drain ends it.
    pub(super) async fn record_surely(&self, facts: &Facts) -> Recorded {
        loop {
            let stage = self.shared.stage();
            match self.shared.spool.record(facts.clone()).await {
                Ok(()) => {
                    self.shared.with(|plan, _| plan.spool_took());
                    return Recorded::Yes;
                }
                // Someone removed the message meanwhile, or a try that seemed to fail had removed it.
                Err(RecordError::Unknown) => return Recorded::Yes,
                Err(RecordError::Full | RecordError::Failed(_) | RecordError::Unavailable) => {}
            }
            self.shared.with(|plan, at| plan.spool_failed(at.now));
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
pub(super) enum Recorded {
    Yes,
    No,
}

/// A question to the transport; dropped before the answer, it is asked again.
struct Question<'a, S: Spool> {
    queue: &'a Queue<S>,
    destination: Option<Destination>,
}

impl<S: Spool> Drop for Question<'_, S> {
    fn drop(&mut self) {
        if let Some(destination) = self.destination.take() {
            self.queue.shared.with(|plan, _| plan.ask_again(destination));
        }
    }
}

/// Messages that are being read; dropped before, they go back to where they were.
struct Reading<'a, S: Spool> {
    queue: &'a Queue<S>,
    ids: Vec<MessageId>,
}

impl<S: Spool> Drop for Reading<'_, S> {
    fn drop(&mut self) {
        if !self.ids.is_empty() {
            self.queue.shared.with(|plan, at| plan.came(&self.ids, Vec::new(), at));
            self.queue.shared.hands_free();
        }
    }
}
