//! How fast mail from before a start is taken up.

use std::time::Duration;

/// An allowance that begins with a rate and doubles each second: a queue of a hundred thousand is taken up within ten
/// seconds, and the first second dials few.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ramp {
    began: Duration,
    rate: u32,
    used: u64,
}

impl Ramp {
    pub(super) fn new(began: Duration, rate: u32) -> Self {
        Self { began, rate: rate.max(1), used: 0 }
    }

    /// Whether one more may be taken up now.
    pub(super) fn has_room(&self, now: Duration) -> bool {
        self.used < self.allowance(now)
    }

    pub(super) fn take(&mut self) {
        self.used = self.used.saturating_add(1);
    }

    /// When there is room again, where there is none.
    pub(super) fn next(&self, now: Duration) -> Duration {
        let elapsed = now.saturating_sub(self.began).as_secs();
        self.began.saturating_add(Duration::from_secs(elapsed.saturating_add(1)))
    }

    /// How many in all until the end of this second.
    fn allowance(&self, now: Duration) -> u64 {
        let elapsed = now.saturating_sub(self.began).as_secs();
        match u32::try_from(elapsed) {
            Ok(seconds @ 0..32) => u64::from(self.rate).saturating_mul((2_u64 << seconds) - 1),
            Ok(_) | Err(_) => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_takes_up_twice_as_many() {
        let mut ramp = Ramp::new(Duration::from_secs(7), 100);
        let mut taken = Vec::new();
        for second in 7..12 {
            let now = Duration::from_secs(second);
            let before = ramp.used;
            while ramp.has_room(now) {
                ramp.take();
            }
            assert_eq!(ramp.next(now), Duration::from_secs(second + 1));
            taken.push(ramp.used - before);
        }
        assert_eq!(taken, [100, 200, 400, 800, 1600]);
        assert!(ramp.has_room(Duration::from_secs(3600)));
    }
}
