//! When to try again, and when to give up: pure arithmetic.

use std::time::Duration;

/// The curve of retries. All recipients of a message that were tried together get the same delay, so that they stay
/// together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The wait after the first attempt. Short, since greylisting servers want to see the sender again soon.
    pub first: Duration,
    /// The longest wait. Each wait doubles the one before up to here, so that a dead host is asked about once in it.
    pub longest: Duration,
    /// By how much a wait may be longer or shorter, in percent of it (at most 50). Messages that were deferred together
    /// must not come back together.
    pub jitter: u32,
    /// How long after its arrival a message is given up (RFC 5321 §4.5.4.1 wants 4 to 5 days). It is looked at after
    /// an attempt only: mail is never given up untried.
    pub lifetime: Duration,
    /// The longest wait that the other side may ask for.
    pub longest_asked: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        Self {
            first: Duration::from_secs(2 * MINUTE),
            longest: Duration::from_secs(HOUR),
            jitter: 20,
            lifetime: Duration::from_secs(5 * 24 * HOUR),
            longest_asked: Duration::from_secs(4 * HOUR),
        }
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another one, this long after the last.
    RetryAfter(Duration),
    /// None: the message is too old.
    GiveUp,
}

impl Schedule {
    /// The wait after the attempt number `attempts`, counted from one. The same seed gives the same wait.
    pub fn delay(&self, attempts: u32, seed: u64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let wait = self.first.saturating_mul(1 << doublings).min(self.longest);
        let swing = u128::from(self.jitter.min(50)) * 2 + 1;
        let percent = 100 - self.jitter.min(50) + (u128::from(mix(seed ^ u64::from(attempts))) % swing) as u32;
        wait.saturating_mul(percent) / 100
    }

    /// What follows the failed attempt number `attempts` of a message that is `age` old. `asked` is the wait that the
    /// other side asked for: never less than that within reason, and never longer than [`Schedule::longest_asked`].
    pub fn after(&self, attempts: u32, age: Duration, asked: Option<Duration>, seed: u64) -> Verdict {
        if age >= self.lifetime {
            return Verdict::GiveUp;
        }
        let delay = self.delay(attempts, seed);
        match asked {
            Some(asked) => Verdict::RetryAfter(delay.max(asked.min(self.longest_asked))),
            None => Verdict::RetryAfter(delay),
        }
    }
}

/// Spreads a seed over all 64 bits (the finalizer of SplitMix64).
fn mix(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let still = Schedule { jitter: 0, ..Schedule::default() };
        let minutes: Vec<u64> = (1..=8).map(|attempts| still.delay(attempts, 9).as_secs() / 60).collect();
        assert_eq!(minutes, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn what_the_other_side_asks_for_is_heard_within_bounds() {
        let still = Schedule { jitter: 0, ..Schedule::default() };
        let after = |asked| still.after(1, Duration::ZERO, Some(Duration::from_secs(asked)), 0);
        assert_eq!(after(1), Verdict::RetryAfter(Duration::from_secs(120)));
        assert_eq!(after(600), Verdict::RetryAfter(Duration::from_secs(600)));
        assert_eq!(after(1_000_000), Verdict::RetryAfter(still.longest_asked));
    }

    #[test]
    fn messages_deferred_together_do_not_come_back_together() {
        let schedule = Schedule::default();
        let waits: HashSet<_> = (0..1000).map(|seed| schedule.delay(6, seed)).collect();
        assert!(waits.len() > 30, "{}", waits.len());
    }

    #[test]
    fn a_message_is_given_up_by_age_however_few_its_attempts() {
        let schedule = Schedule::default();
        assert_eq!(schedule.after(1, schedule.lifetime, None, 0), Verdict::GiveUp);
        assert!(matches!(schedule.after(999, schedule.lifetime / 2, None, 0), Verdict::RetryAfter(_)));
    }

    proptest! {
        #[test]
        fn waits_stay_within_the_jitter_of_the_curve(attempts: u32, seed: u64, jitter in 0_u32..=60) {
            let schedule = Schedule { jitter, ..Schedule::default() };
            let middle = Schedule { jitter: 0, ..Schedule::default() }.delay(attempts, seed);
            let wait = schedule.delay(attempts, seed);
            prop_assert!(wait >= middle.saturating_mul(100 - jitter.min(50)) / 100);
            prop_assert!(wait <= middle.saturating_mul(100 + jitter.min(50)) / 100);
            prop_assert_eq!(wait, schedule.delay(attempts, seed));
        }
    }
}
