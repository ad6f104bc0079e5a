//! The two clocks beside one another. Waits go by the monotonic one; what is written down is of the wall clock, which may
//! be set at any time. To understand what was written down, the queue remembers when it was set.

use std::time::Duration;

use crate::UnixMicros;

/// The moment something is judged at, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Duration,
    pub(super) wall: UnixMicros,
}

/// How the clocks stood to one another since the start.
#[derive(Clone, Debug)]
pub(super) struct Times {
    opened: Moment,
    /// Each from its moment to the next one's, the newest last.
    frames: Vec<Moment>,
}

/// By how much the wall clock may go its own way before it counts as set.
const SLACK: Duration = Duration::from_secs(10);

/// How often it may be set before the first times are forgotten.
const FRAMES: usize = 16;

/// A wall clock before this is not set at all: no machine that runs this was switched on then (2026-01-01).
const EARLIEST: UnixMicros = UnixMicros(1_767_225_600_000_000);

impl Moment {
    /// What the wall clock shows when the monotonic one shows `at`, as far as is known now.
    pub(super) fn wall_at(&self, at: Duration) -> UnixMicros {
        match at.checked_sub(self.now) {
            Some(ahead) => self.wall.after(ahead),
            None => UnixMicros(self.wall.0.saturating_sub(micros(self.now - at))),
        }
    }
}

impl Times {
    pub(super) fn new(opened: Moment) -> Self {
        Self { opened, frames: vec![opened] }
    }

    /// Takes note of what the clocks show. To be called before anything is written down.
    pub(super) fn observe(&mut self, moment: Moment) {
        let Some(last) = self.frames.last() else { return };
        let expected = last.wall.after(moment.now.saturating_sub(last.now));
        let off = expected.0.abs_diff(moment.wall.0);
        if off > micros(SLACK) {
            if self.frames.len() >= FRAMES {
                self.frames.remove(1);
            }
            self.frames.push(moment);
        }
    }

    /// When something happened that was written down in this run; `None` where it was not, or nobody knows.
    pub(super) fn when(&self, written: UnixMicros, now: Duration) -> Option<Duration> {
        let mut end = now;
        for frame in self.frames.iter().rev() {
            let at = written.0.checked_sub(frame.wall.0).map(|since| frame.now + Duration::from_micros(since));
            if let Some(at) = at
                && at <= end + SLACK
            {
                return Some(at.min(now));
            }
            end = frame.now;
        }
        None
    }

    /// Whether something that was written down happened before the start, or seems to.
    pub(super) fn is_earlier(&self, written: UnixMicros, now: Duration) -> bool {
        self.when(written, now).is_none()
    }

    /// What is left of a wait that began at `written`, as time of the monotonic clock. A clock that was set back prolongs no
    /// wait.
    pub(super) fn end_of(&self, written: UnixMicros, wait: Duration, now: Duration) -> Duration {
        match self.when(written, now) {
            Some(at) => at.saturating_add(wait),
            // From the run before: the wall clock at the start says how much of the wait was over then.
            None if written <= self.opened.wall => {
                self.opened.now.saturating_add(wait.saturating_sub(self.opened.wall.since(written)))
            }
            // Nobody knows. It was looked at for some reason, so now is as good as any time.
            None => now,
        }
    }

    /// How old a message was at the start that arrived at `arrived` and of which something was last written down at `last`.
    /// What a restart adds is bounded: a clock that was set wrong in between does not make it older than `most`. A clock that
    /// was not set at all adds nothing.
    pub(super) fn age_at_start(&self, arrived: UnixMicros, last: UnixMicros, most: Duration) -> Duration {
        if self.opened.wall < EARLIEST || self.opened.wall < arrived {
            return Duration::ZERO;
        }
        let known = last.since(arrived).min(self.opened.wall.since(arrived));
        known.saturating_add(self.opened.wall.since(last).min(most))
    }

    pub(super) fn opened(&self) -> Moment {
        self.opened
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn wall(seconds: u64) -> UnixMicros {
        EARLIEST.after(secs(seconds))
    }

    fn moment(now: u64, at: u64) -> Moment {
        Moment { now: secs(now), wall: wall(at) }
    }

    /// Opened at 100 by the one clock and 5000 by the other; set back by an hour at 200, and ahead by a year at 300.
    fn times() -> Times {
        let mut times = Times::new(moment(100, 5000));
        times.observe(moment(150, 5051));
        times.observe(moment(200, 1500));
        times.observe(moment(300, 30_000_000));
        times
    }

    #[test]
    fn what_was_written_in_this_run_is_dated_by_the_clock_of_then() {
        let times = times();
        let table = [(5000, 100), (5060, 160), (1500, 200), (1540, 240), (30_000_000, 300), (30_000_050, 350)];
        for (written, expected) in table {
            assert_eq!(times.when(wall(written), secs(400)), Some(secs(expected)), "{written}");
        }
        assert_eq!(times.when(wall(1400), secs(400)), None, "before the start");
        assert_eq!(times.when(wall(9999), secs(400)), None, "the clock never showed that");
    }

    #[test]
    fn a_wait_is_never_longer_than_it_was() {
        let times = times();
        assert_eq!(times.end_of(wall(5060), secs(600), secs(400)), secs(760));
        assert_eq!(times.end_of(wall(4900), secs(600), secs(400)), secs(600), "a hundred were over at the start");
        assert_eq!(times.end_of(wall(0), secs(600), secs(400)), secs(100));
        assert_eq!(
            times.end_of(wall(99_999_999), secs(600), secs(400)),
            secs(400),
            "from a future that was taken back"
        );
    }

    #[test]
    fn a_restart_adds_no_more_than_a_bound() {
        let times = Times::new(moment(0, 1_000_000));
        let age = |arrived, last| times.age_at_start(wall(arrived), wall(last), secs(1000)).as_secs();
        assert_eq!(age(999_900, 999_950), 100);
        assert_eq!(age(0, 500), 1500, "the clock jumped, or nobody ran this for days");
        assert_eq!(age(2_000_000, 2_000_000), 0, "it arrives tomorrow");
        let unset = Times::new(Moment { now: secs(0), wall: UnixMicros(7) });
        assert_eq!(unset.age_at_start(UnixMicros(1), UnixMicros(1), secs(1000)), secs(0));
    }

    #[test]
    fn frames_are_bounded() {
        let mut times = times();
        for number in 0..100 {
            times.observe(moment(400 + number, 10_000 * number));
        }
        assert!(times.frames.len() <= FRAMES);
        assert_eq!(times.when(wall(5060), secs(900)), Some(secs(160)), "the start is kept");
    }
}
