//! Where passwords are verified: few at a time, and not twice within minutes.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::password::MAX_PASSWORD;
use super::recent::Recent;
use super::verifier::Verifier;
use super::{Account, Credential, Decoy, DirectoryError};

/// How much verification may cost at a time.
#[derive(Clone, Debug)]
pub struct VerificationLimits {
    /// Derivations under way at a time. Each takes a core, and what memory its form asks for.
    pub parallel: usize,
    /// Logins that may wait for one; who comes then is told to come again.
    pub waiting: usize,
    /// Passwords remembered as right, 32 octets each and their overhead.
    pub remembered: usize,
    /// How long one is remembered since it was last used: longer than clients' polling intervals.
    pub remembered_for: Duration,
}

impl Default for VerificationLimits {
    /// Half of the cores derive; the other half serves who is already in.
    fn default() -> Self {
        Self {
            parallel: available_parallelism().map_or(1, NonZeroUsize::get).div_ceil(2),
            waiting: 1024,
            remembered: 16_384,
            remembered_for: Duration::from_secs(5 * 60),
        }
    }
}

/// A bounded pool for key derivations, with a short memory of passwords that were right.
///
/// The memory holds keyed digests (HMAC under a key that this process drew) of account, stored form and password
/// together. So a changed password or a removed user is not found again, two users never share an entry, and a wrong
/// password is never remembered. Which one was found tells nothing to who does not know the key, so that looking one up
/// needs no constant time.
pub struct Verification {
    slots: Arc<Semaphore>,
    queue: Semaphore,
    key: hmac::Key,
    right: Mutex<Recent<[u8; 32], ()>>,
    derivations: AtomicU64,
}

impl Verification {
    /// Starts with nothing remembered.
    #[must_use]
    pub fn new(limits: &VerificationLimits) -> Self {
        let parallel = limits.parallel.max(1);
        Self {
            slots: Arc::new(Semaphore::new(parallel)),
            queue: Semaphore::new(parallel.saturating_add(limits.waiting).min(Semaphore::MAX_PERMITS)),
            key: random_key(),
            right: Mutex::new(Recent::new(limits.remembered, limits.remembered_for)),
            derivations: AtomicU64::new(0),
        }
    }

    /// Holds a password against a credential, or, where there is none, against the decoy, which takes as long and says
    /// no.
    ///
    /// # Errors
    /// [`DirectoryError::Busy`] where too many wait already, [`DirectoryError::BrokenOff`] where the runtime stops.
    pub async fn check(
        &self,
        credential: Option<Credential>,
        decoy: &Decoy,
        password: &[u8],
    ) -> Result<Option<Account>, DirectoryError> {
        // A NUL ends a password for some of those who made the hashes, and bcrypt reads past it in circles.
        if password.is_empty() || password.len() > MAX_PASSWORD || password.contains(&0) {
            return Ok(None);
        }
        let (account, verifier) = match credential {
            Some(Credential { account, verifier }) => (Some(account), verifier),
            None => (None, Arc::clone(&decoy.password)),
        };
        let tag = self.tag(account.as_ref(), &verifier, password);
        if account.is_some() && self.remembers(&tag) {
            return Ok(account);
        }
        let Ok(_place) = self.queue.try_acquire() else { return Err(DirectoryError::Busy) };
        let slots = Arc::clone(&self.slots);
        let Ok(slot) = slots.acquire_owned().await else { return Err(DirectoryError::BrokenOff) };
        // A client's other connection may have been verified while this one waited.
        if account.is_some() && self.remembers(&tag) {
            return Ok(account);
        }
        self.derivations.fetch_add(1, Ordering::Relaxed);
        let password = Zeroizing::new(password.to_vec());
        let derivation = tokio::task::spawn_blocking(move || {
            // The slot is given back by the work and not by who waits for it: a caller who goes away stops nothing.
            let _slot = slot;
            verifier.matches(&password)
        });
        match (derivation.await, account) {
            (Ok(true), Some(account)) => {
                self.right().insert(tag, (), Instant::now());
                Ok(Some(account))
            }
            (Ok(_), _) => Ok(None),
            (Err(_), _) => Err(DirectoryError::BrokenOff),
        }
    }

    /// Key derivations begun since the start.
    #[must_use]
    pub fn derivations(&self) -> u64 {
        self.derivations.load(Ordering::Relaxed)
    }

    fn remembers(&self, tag: &[u8; 32]) -> bool {
        self.right().find(tag, Instant::now()).is_some()
    }

    fn tag(&self, account: Option<&Account>, verifier: &Verifier, password: &[u8]) -> [u8; 32] {
        let mut mac = hmac::Context::with_key(&self.key);
        let mut tell = |part: &[u8]| {
            // Each part behind its length, so that no two lists of parts run together into the same octets.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        };
        tell(account.map_or("", Account::address).as_bytes());
        verifier.identify(&mut tell);
        tell(password);
        let tag = mac.sign();
        std::array::from_fn(|n| tag.as_ref().get(n).copied().unwrap_or_default())
    }

    fn right(&self) -> MutexGuard<'_, Recent<[u8; 32], ()>> {
        // A set is never half changed, so that a panic elsewhere leaves it whole.
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification").field("derivations", &self.derivations()).finish_non_exhaustive()
    }
}

/// A key of this process alone.
#[expect(clippy::expect_used, reason = "a server without randomness must not start, and std's maps panic there too")]
pub(super) fn random_key() -> hmac::Key {
    hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("the system gives randomness")
}
