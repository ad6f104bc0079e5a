//! The least time between two logins of one user.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::directory::{Account, recent::Recent};

/// Users remembered. Whoever is pushed out by as many others may come back early, which harms nobody.
const TRACKED: usize = 65_536;

/// Remembers when users logged in (RFC 2449 §6.5), in this process. Pure but for its lock: the caller brings the time.
#[derive(Debug)]
pub(super) struct LoginDelay {
    delay: Duration,
    hasher: RandomState,
    /// By a keyed hash of the account: of a fixed size, and nobody outside can make two of them meet.
    logins: Mutex<Recent<u64, Instant>>,
}

impl LoginDelay {
    pub(super) fn new(seconds: NonZeroU32) -> Self {
        let delay = Duration::from_secs(seconds.get().into());
        Self { delay, hasher: RandomState::new(), logins: Mutex::new(Recent::new(TRACKED, delay)) }
    }

    /// Whether the user came back too soon. To be asked only of who has proved to be that user: a stranger learns
    /// nothing.
    pub(super) fn is_too_soon(&self, account: &Account, now: Instant) -> bool {
        let key = self.hasher.hash_one(account);
        self.logins().find(&key, now).is_some_and(|last| now.saturating_duration_since(*last) < self.delay)
    }

    /// Notes a login. One that was refused does not count, or a client that insists would never come in again.
    pub(super) fn note(&self, account: &Account, now: Instant) {
        let key = self.hasher.hash_one(account);
        self.logins().insert(key, now, now);
    }

    fn logins(&self) -> MutexGuard<'_, Recent<u64, Instant>> {
        // Nothing in there is half done when a panic leaves it.
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_waits_for_the_delay_and_no_other_user_does() {
        let (delay, start) = (LoginDelay::new(NonZeroU32::new(60).unwrap()), Instant::now());
        let [alice, bob] = ["alice@example.org", "bob@example.org"].map(|address| Account::new(address).unwrap());
        assert!(!delay.is_too_soon(&alice, start));
        delay.note(&alice, start);
        for seconds in [0, 1, 59] {
            assert!(delay.is_too_soon(&alice, start + Duration::from_secs(seconds)));
        }
        assert!(!delay.is_too_soon(&bob, start));
        assert!(!delay.is_too_soon(&alice, start + Duration::from_secs(60)), "insisting does not prolong it");
    }
}
