//! How far one recipient has come, in the queue's memory: from the spool's facts, and on with each attempt.

use std::sync::Arc;
use std::time::Duration;

use crate::{Destination, Detail, Progress, Repeat, Schedule, UnixMicros};

use super::times::Times;

/// How far one recipient has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Waiting(Wait),
    /// An attempt is under way, or its end is being recorded. It keeps the wait before, in case that nothing comes of it.
    Trying {
        attempt: u32,
        since: UnixMicros,
        before: Wait,
    },
    /// Delivered or failed.
    Ended(Progress),
}

/// A recipient that will be tried. Words are shared, since a dead host says the same to a thousand messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) due: Duration,
    pub(super) attempts: u32,
    /// How many attempts in a row ended without an outcome.
    pub(super) interrupted: u32,
    /// When the last attempt ended, and what was said.
    pub(super) last: Option<(UnixMicros, Arc<Detail>)>,
}

/// What is said of an attempt that nobody answered for.
const INTERRUPTED: &str = "the last attempt was interrupted";

impl Step {
    /// Goes on from what the spool says.
    ///
    /// `begin` is when a message that was never tried may go. A wait for an idempotent destination ends with a start:
    /// whatever was in the way may have been the process that ended. Elsewhere an attempt that the end of a process
    /// interrupted says nothing about the other side, and is made again at once; but not twice in a row, since a process
    /// that dies over and over must not hammer anyone.
    pub(super) fn resume(
        progress: Progress,
        destination: &Destination,
        begin: Duration,
        schedule: &Schedule,
        seed: u64,
        times: &Times,
        now: Duration,
    ) -> Self {
        let after = |at: UnixMicros, wait: Duration| match destination.repeat() {
            Repeat::Idempotent if times.is_earlier(at, now) => now,
            Repeat::Idempotent | Repeat::Duplicates => times.end_of(at, wait, now),
        };
        match progress {
            Progress::Fresh => Self::Waiting(Wait { due: begin, attempts: 0, interrupted: 0, last: None }),
            Progress::Trying { attempt, since, interrupted } => {
                let due = match interrupted {
                    0 if times.is_earlier(since, now) => now,
                    _ => after(since, schedule.delay(attempt, seed)),
                };
                Self::Waiting(Wait::interrupted(due, attempt, since, interrupted.saturating_add(1)))
            }
            Progress::Deferred { attempts, at, until, detail } => {
                let due = after(at, until.since(at));
                Self::Waiting(Wait { due, attempts, interrupted: 0, last: Some((at, Arc::new(detail))) })
            }
            Progress::Delivered { .. } | Progress::Failed { .. } => Self::Ended(progress),
        }
    }

    pub(super) fn waiting(&self) -> Option<&Wait> {
        match self {
            Self::Waiting(wait) => Some(wait),
            Self::Trying { .. } | Self::Ended(_) => None,
        }
    }
}

impl Wait {
    pub(super) fn interrupted(due: Duration, attempts: u32, since: UnixMicros, interrupted: u32) -> Self {
        Self { due, attempts, interrupted, last: Some((since, Arc::new(Detail::from(INTERRUPTED)))) }
    }

    /// What was said last.
    pub(super) fn detail(&self) -> Option<&Detail> {
        self.last.as_ref().map(|(_, detail)| &**detail)
    }
}

#[cfg(test)]
mod tests {
    use crate::queue::times::Moment;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAWN: u64 = 1_800_000_000;

    fn wall(seconds: u64) -> UnixMicros {
        UnixMicros((DAWN + seconds) * 1_000_000)
    }

    /// When a recipient is due in seconds after a start at the wall time `start`.
    fn due(progress: Progress, destination: &Destination, start: u64) -> u64 {
        let times = Times::new(Moment { now: HOUR, wall: wall(start) });
        let still = Schedule { jitter: 0, ..Schedule::default() };
        let step = Step::resume(progress, destination, HOUR, &still, 7, &times, HOUR);
        let Step::Waiting(wait) = step else { panic!("{step:?}") };
        wait.due.saturating_sub(HOUR).as_secs()
    }

    fn deferred() -> Progress {
        let at = wall(1000);
        Progress::Deferred { attempts: 3, at, until: wall(1600), detail: Detail::default() }
    }

    #[test]
    fn a_wait_goes_on_where_the_last_process_left_it() {
        let remote = Destination::remote("relay");
        assert_eq!(due(deferred(), &remote, 1001), 599);
        assert_eq!(due(deferred(), &remote, 1500), 100);
        assert_eq!(due(deferred(), &remote, 9999), 0);
    }

    #[test]
    fn a_clock_set_back_prolongs_no_wait() {
        assert_eq!(due(deferred(), &Destination::remote("relay"), 1), 0);
    }

    #[test]
    fn local_mail_goes_on_at_once_after_a_start() {
        let local = Destination::idempotent("local");
        assert_eq!(due(deferred(), &local, 1001), 0);
        for interrupted in 0..3 {
            let trying = Progress::Trying { attempt: 1, since: wall(1000), interrupted };
            assert_eq!(due(trying, &local, 1001), 0);
        }
    }

    #[test]
    fn an_attempt_that_a_restart_interrupted_is_made_again_at_once_and_then_by_the_schedule() {
        let remote = Destination::remote("relay");
        let trying = |attempt, interrupted| Progress::Trying { attempt, since: wall(1000), interrupted };
        assert_eq!(due(trying(1, 0), &remote, 1001), 0);
        assert_eq!(due(trying(5, 0), &remote, 1001), 0, "however many were answered before");
        assert_eq!(due(trying(2, 1), &remote, 1001), 239, "it might hammer the relay");
        assert_eq!(due(trying(3, 2), &remote, 1001), 479);
        assert_eq!(due(trying(1, 0), &remote, 1000), 120, "no restart, but a transport that said nothing");
    }
}
