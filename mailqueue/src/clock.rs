//! Time, as the queue sees it: a monotonic clock to act by and a wall clock to write down.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

/// Wall time in microseconds since 1970-01-01 00:00 UTC. Data only: the queue never waits by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMicros(pub u64);

impl UnixMicros {
    /// The wall clock of this machine; a clock before 1970 reads as 1970.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// What has passed since `earlier`; nothing where the clock was set back in between.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The time that is `later` after this one.
    pub fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(later.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl From<SystemTime> for UnixMicros {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(0).after(since)
    }
}

impl From<UnixMicros> for SystemTime {
    fn from(time: UnixMicros) -> Self {
        Self::UNIX_EPOCH + Duration::from_micros(time.0)
    }
}

/// A boxed wait, as [`Clock::sleep_until`] returns it.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells the time and waits for it. The caller brings it, made of a runtime's timers or virtual in a test.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Time since an origin of the clock's own choice; it never steps back.
    fn now(&self) -> Duration;

    /// What the wall clock says. It may step either way at any time.
    fn wall(&self) -> UnixMicros;

    /// Waits until [`Clock::now`] is `at` or later. The future may be dropped early.
    fn sleep_until(&self, at: Duration) -> Sleep;
}
