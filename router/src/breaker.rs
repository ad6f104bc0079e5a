//! Keeps callers from waiting for a place that is down.

use core::time::Duration;

/// Stands before one place and says at once when a call there would only wait.
///
/// Closed, it lets everybody through and counts failures in a row. Open, it lets nobody through for a while. Then one
/// caller goes as a probe, and what it finds decides for all. One breaker per place serves the whole process.
///
/// A failure is whatever made the place useless: refused, timed out, no greeting. A place that accepts connections
/// and says nothing is down.
///
/// ```
/// use core::time::Duration;
/// use router::{Breaker, BreakerLimits, Outcome};
///
/// let mut breaker = Breaker::new(BreakerLimits { failures: 1, ..BreakerLimits::default() }, 42);
/// let mut now = Duration::ZERO;
/// let pass = breaker.admit(now)?;
/// breaker.report(pass, Outcome::Failed, now);
/// let refused = breaker.admit(now).unwrap_err();
/// now = refused.retry_at;
/// let probe = breaker.admit(now)?;
/// assert!(breaker.admit(now).is_err(), "one probe at a time");
/// breaker.report(probe, Outcome::Answered, now);
/// assert!(breaker.admit(now).is_ok());
/// # Ok::<(), router::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    state: State,
    /// Which stretch of one state this is: reports from an earlier one say nothing about this one.
    stretch: u64,
    random: u64,
}

/// When a breaker opens and how long it stays so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row that open it. A few, since one may be the network's; default 3.
    pub failures: u32,
    /// The wait before the first probe. It doubles with each probe that fails; default 1 s, as long as a restart.
    pub first_wait: Duration,
    /// The longest wait before a probe, and so the longest that a place is left alone once it is back; default 30 s.
    pub longest_wait: Duration,
    /// How long a probe may take before another is sent: its caller may be gone; default 10 s.
    pub probe: Duration,
}

/// Leave to call. It goes back with [`Breaker::report`]; one that is dropped counts for nothing.
#[derive(Debug)]
#[must_use]
pub struct Pass {
    stretch: u64,
}

/// The place is down: nobody calls before this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the place is down")]
pub struct Refused {
    /// When to ask again. A probe may be allowed then.
    pub retry_at: Duration,
}

/// What a call found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The place answered, be it with a refusal.
    Answered,
    /// The place refused the connection, broke it, or kept silent.
    Failed,
}

#[derive(Clone, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Duration, wait: Duration },
    Probing { until: Duration, wait: Duration },
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self {
            failures: 3,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            probe: Duration::from_secs(10),
        }
    }
}

impl Breaker {
    /// A closed breaker. Different seeds keep processes from probing a place in step.
    #[must_use]
    pub const fn new(limits: BreakerLimits, seed: u64) -> Self {
        Self { limits, state: State::Closed { failures: 0 }, stretch: 0, random: seed }
    }

    /// Asks for leave to call the place.
    ///
    /// # Errors
    /// If the place is down and no probe is due.
    pub fn admit(&mut self, now: Duration) -> Result<Pass, Refused> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { until, .. } | State::Probing { until, .. } if now < until => {
                return Err(Refused { retry_at: until });
            }
            State::Open { wait, .. } | State::Probing { wait, .. } => {
                let until = now.saturating_add(self.limits.probe);
                self.enter(State::Probing { until, wait });
            }
        }
        Ok(Pass { stretch: self.stretch })
    }

    /// Says what a call found. A call from before the state changed says nothing any more.
    #[expect(clippy::needless_pass_by_value, reason = "a pass is good for one report")]
    pub fn report(&mut self, pass: Pass, outcome: Outcome, now: Duration) {
        if pass.stretch != self.stretch {
            return;
        }
        match (&mut self.state, outcome) {
            (State::Closed { failures }, Outcome::Answered) => *failures = 0,
            (State::Closed { failures }, Outcome::Failed) => {
                *failures = failures.saturating_add(1);
                if *failures >= self.limits.failures {
                    self.open(self.limits.first_wait, now);
                }
            }
            (State::Probing { .. }, Outcome::Answered) => self.enter(State::Closed { failures: 0 }),
            (State::Probing { wait, .. }, Outcome::Failed) => {
                let wait = wait.saturating_mul(2);
                self.open(wait, now);
            }
            // No pass is given out in this stretch.
            (State::Open { .. }, Outcome::Answered | Outcome::Failed) => {}
        }
    }

    /// Whether callers are let through.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    fn open(&mut self, wait: Duration, now: Duration) {
        let wait = wait.min(self.limits.longest_wait);
        let until = now.saturating_add(self.jittered(wait));
        self.enter(State::Open { until, wait });
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.stretch = self.stretch.wrapping_add(1);
    }

    /// Between half of `wait` and all of it.
    fn jittered(&mut self, wait: Duration) -> Duration {
        let half = wait / 2;
        half + half / 1024 * (self.draw() % 1025) as u32
    }

    /// The next number of a SplitMix64 sequence.
    const fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
