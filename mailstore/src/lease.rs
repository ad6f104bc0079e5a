//! Leases: the right of one session to have an account's maildrop for itself.

use std::fmt;

use crate::erased::BoxFuture;

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseKind {
    /// POP3's exclusive access to INBOX (RFC 1939 §4). Deliveries and IMAP sessions go on beside it.
    Maildrop,
}

/// A lease that is held. It ends when it is released, when it is dropped, or when the process ends in whatever way.
#[must_use = "a lease ends when it is dropped"]
pub struct Lease {
    release: Option<Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send + Sync>>,
}

impl Lease {
    /// Makes a lease. `release` is called once, at the end; calling it must start the release, and the future that it
    /// returns only tells when it is done.
    pub fn new(release: impl FnOnce() -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self { release: Some(Box::new(release)) }
    }

    /// Releases the lease and waits until another session can have it.
    pub async fn release(mut self) {
        if let Some(release) = self.release.take() {
            release().await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            drop(release());
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}
