//! How far one recipient has come, in the queue's memory: from the spool's facts, and on with each attempt.

use std::sync::Arc;
use std::time::Duration;

use crate::envelope::Repeat;
use crate::{Destination, Detail, Held, MessageId, Outcome, Progress, UnixMicros, Verdict};

use super::QueueConfig;

/// How far one recipient has come. Details are shared, since a dead host says the same to a thousand messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Waiting { due: Duration, attempts: u32, detail: Option<Arc<Detail>> },
    Trying { attempt: u32, detail: Option<Arc<Detail>> },
    Delivered,
    Held { attempts: u32, why: Held, detail: Arc<Detail> },
}

/// What an attempt found out about one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Said(Outcome),
    /// The transport did not answer for it.
    Silence,
    /// The spool has lost the message's octets.
    Damaged,
    /// The spool could not be read now.
    Unreadable,
}

/// The moment something is judged at, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Duration,
    pub(super) wall: UnixMicros,
}

impl Moment {
    /// What is left of a wait that began at `since`, by the wall clock. A clock that was set back prolongs no wait, and
    /// one that was set forward ends it.
    fn rest_of(self, wait: Duration, since: UnixMicros) -> Duration {
        self.now + wait.saturating_sub(self.wall.since(since))
    }
}

impl Step {
    /// Goes on from what the spool says after a start.
    pub(super) fn resume(
        progress: Progress,
        destination: &Destination,
        id: MessageId,
        config: &QueueConfig,
        moment: Moment,
    ) -> Self {
        match progress {
            Progress::Fresh => Self::Waiting { due: moment.now, attempts: 0, detail: None },
            Progress::Trying { attempt, since } => {
                let due = match destination.repeat() {
                    Repeat::Idempotent => moment.now,
                    Repeat::Duplicates => {
                        moment.rest_of(config.schedule_for(destination).delay(attempt, id.seed()), since)
                    }
                };
                let detail = Some(Arc::new(Detail::from("the last attempt was interrupted")));
                Self::Waiting { due, attempts: attempt, detail }
            }
            Progress::Deferred { attempts, at, until, detail } => {
                let due = match destination.repeat() {
                    // Whatever was in the way may have been this very process.
                    Repeat::Idempotent => moment.now,
                    Repeat::Duplicates => moment.rest_of(until.since(at), at),
                };
                Self::Waiting { due, attempts, detail: Some(Arc::new(detail)) }
            }
            Progress::Delivered { .. } => Self::Delivered,
            Progress::Held { attempts, at: _, why, detail } => Self::Held { attempts, why, detail: Arc::new(detail) },
        }
    }

    /// What follows from an attempt: the step, and the fact to record before the step is taken. `age` is the message's.
    pub(super) fn judge(
        finding: Finding,
        attempt: u32,
        age: Duration,
        destination: &Destination,
        id: MessageId,
        config: &QueueConfig,
        moment: Moment,
    ) -> (Self, Progress) {
        let (reason, asked) = match finding {
            Finding::Said(Outcome::Delivered { detail: _ }) => {
                return (Self::Delivered, Progress::Delivered { at: moment.wall });
            }
            Finding::Said(Outcome::Failed { reason }) => return hold(attempt, Held::Failed, reason, moment),
            Finding::Said(Outcome::Deferred { reason, retry_after, class: _ }) => (reason, retry_after),
            Finding::Silence => (Detail::from("the transport did not say what became of it"), None),
            Finding::Unreadable => (Detail::from("the spool could not be read"), None),
            Finding::Damaged => {
                let reason = Detail::from("the spool cannot read the message any more");
                return hold(attempt, Held::Damaged, reason, moment);
            }
        };
        match config.schedule_for(destination).after(attempt, age, asked, id.seed()) {
            Verdict::GiveUp => hold(attempt, Held::Expired, reason, moment),
            Verdict::RetryAfter(wait) => {
                let detail = reason.bounded();
                let step =
                    Self::Waiting { due: moment.now + wait, attempts: attempt, detail: Some(Arc::new(detail.clone())) };
                let Moment { wall, .. } = moment;
                (step, Progress::Deferred { attempts: attempt, at: wall, until: wall.after(wait), detail })
            }
        }
    }
}

fn hold(attempts: u32, why: Held, reason: Detail, moment: Moment) -> (Step, Progress) {
    let detail = reason.bounded();
    let step = Step::Held { attempts, why, detail: Arc::new(detail.clone()) };
    (step, Progress::Held { attempts, at: moment.wall, why, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn due(progress: Progress, destination: &Destination, wall: u64) -> Duration {
        let moment = Moment { now: HOUR, wall: UnixMicros(wall * 1_000_000) };
        let id = MessageId::new(UnixMicros(1), 1);
        let step = Step::resume(progress, destination, id, &QueueConfig::default(), moment);
        let Step::Waiting { due, .. } = step else { panic!("{step:?}") };
        due - HOUR
    }

    fn deferred() -> Progress {
        let at = UnixMicros(1000 * 1_000_000);
        Progress::Deferred { attempts: 3, at, until: at.after(Duration::from_secs(600)), detail: Detail::default() }
    }

    #[test]
    fn a_wait_goes_on_where_the_last_process_left_it() {
        let remote = Destination::remote("relay");
        assert_eq!(due(deferred(), &remote, 1000), Duration::from_secs(600));
        assert_eq!(due(deferred(), &remote, 1500), Duration::from_secs(100));
        assert_eq!(due(deferred(), &remote, 9999), Duration::ZERO);
    }

    #[test]
    fn a_clock_set_back_prolongs_no_wait() {
        assert_eq!(due(deferred(), &Destination::remote("relay"), 1), Duration::from_secs(600));
    }

    #[test]
    fn local_mail_goes_on_at_once_after_a_start() {
        let local = Destination::idempotent("local");
        assert_eq!(due(deferred(), &local, 1000), Duration::ZERO);
        let trying = Progress::Trying { attempt: 1, since: UnixMicros(1000 * 1_000_000) };
        assert_eq!(due(trying.clone(), &local, 1000), Duration::ZERO);
        assert!(
            due(trying, &Destination::remote("relay"), 1000) > Duration::from_secs(60),
            "it might hammer the relay"
        );
    }
}
