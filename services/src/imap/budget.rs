//! How much memory all sessions together take for reading messages.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Octets that all sessions of a service may hold at once of messages that they take apart. A session waits while others
/// have it all; it never waits for its own client with any of it.
const OCTETS: usize = 64 * 1024 * 1024;

/// What a permit counts.
const UNIT: usize = 1024;

/// Memory to be shared.
#[derive(Debug)]
pub(super) struct Budget(Semaphore);

/// Some of it. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held<'b> {
    _permit: Option<SemaphorePermit<'b>>,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(OCTETS / UNIT))
    }

    /// Waits for so many octets. Who holds some must not wait for more, nor for a client.
    pub(super) async fn take(&self, octets: usize) -> Held<'_> {
        let units = u32::try_from(octets.min(OCTETS).div_ceil(UNIT)).unwrap_or(u32::MAX);
        // Nobody closes the semaphore, so that there is always a permit.
        Held { _permit: self.0.acquire_many(units).await.ok() }
    }
}
