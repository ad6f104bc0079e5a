//! What the services hold: a directory of any kind, with the limits in front of it.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use thiserror::Error;

use super::verification::random_key;
use super::{
    Account, AttemptLimits, Attempts, Blocked, Credential, Decoy, Directory, DirectoryError, LoginName, ScramVerifier,
    Verification, VerificationLimits,
};

/// A [`Directory`] chosen at run time, with its verification pool and its count of failed attempts. Cheap to clone; one
/// for the process, so that all services count together.
#[derive(Clone)]
pub struct Accounts(Arc<Shared>);

/// The limits in front of a directory.
#[derive(Clone, Debug, Default)]
pub struct LoginLimits {
    /// How often somebody may guess.
    pub attempts: AttemptLimits,
    /// How much verification may cost at a time.
    pub verification: VerificationLimits,
}

/// Why a login failed. It says nothing about whether the user exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// The mechanism is not known here.
    #[error("the mechanism is not supported")]
    Unsupported,
    /// The mechanism is known, but not before TLS is on.
    #[error("the mechanism needs TLS")]
    NeedsTls,
    /// What the client sent is not what the mechanism says.
    #[error("the exchange is malformed")]
    Malformed,
    /// No such user, or not their password.
    #[error("the credentials are not valid")]
    Denied,
    /// The credentials are valid, but not for acting as whom the client named (RFC 4422 §3.4.1).
    #[error("the user may not act as somebody else")]
    NotAuthorized,
    /// Too many attempts failed; this one was not looked at.
    #[error("too many attempts failed")]
    Throttled {
        /// When the next one is looked at.
        wait: Duration,
    },
    /// The directory gives no answer now.
    #[error("the directory gives no answer now")]
    Unavailable,
}

impl Why {
    /// A stable word for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::NeedsTls => "needs_tls",
            Self::Malformed => "malformed",
            Self::Denied => "denied",
            Self::NotAuthorized => "not_authorized",
            Self::Throttled { wait: _ } => "throttled",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Accounts {
    /// Stands in front of a directory.
    #[must_use]
    pub fn new(directory: impl Directory, limits: LoginLimits) -> Self {
        Self(Arc::new(Shared {
            verification: Verification::new(&limits.verification),
            attempts: Attempts::new(limits.attempts),
            invention: random_key(),
            directory,
        }))
    }

    /// Finds the account that a mail address belongs to. What cannot be an address belongs to nobody.
    ///
    /// # Errors
    /// [`DirectoryError`] where that is not known now: a temporary refusal.
    pub async fn lookup(&self, address: &str) -> Result<Option<Account>, DirectoryError> {
        match LoginName::parse(address.as_bytes()) {
            Ok(name) => self.0.directory.lookup_boxed(name.as_str()).await,
            Err(_) => Ok(None),
        }
    }

    /// Logs somebody in by name and password, as POP3's USER and PASS or IMAP's LOGIN bring them. A failed attempt's
    /// answer is held back for a while (see [`AttemptLimits`]); dropping the future is safe at any time.
    ///
    /// # Errors
    /// [`Why`] it failed.
    pub async fn login(&self, peer: Option<IpAddr>, name: &[u8], password: &[u8]) -> Result<Account, Why> {
        let Ok(name) = LoginName::parse(name) else { return Err(Why::Malformed) };
        self.admit(peer, &name)?;
        let pool = &self.0.verification;
        let found =
            self.0.directory.check_boxed(name.as_str(), password, pool).await.map_err(|error| unavailable(&error))?;
        self.judge(peer, &name, found).await
    }

    /// Logs somebody in by a proof that the password itself is needed for, as APOP brings it: `fits` says whether a password
    /// is the one that the proof was made with. It is asked about some password in any case, also where the user has
    /// none, or none that is kept in the clear; only then its answer does not count.
    ///
    /// # Errors
    /// As for [`login`](Self::login).
    pub async fn prove(
        &self,
        peer: Option<IpAddr>,
        name: &[u8],
        fits: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Account, Why> {
        let Ok(name) = LoginName::parse(name) else { return Err(Why::Malformed) };
        self.admit(peer, &name)?;
        let found = self.0.directory.credential_boxed(name.as_str()).await.map_err(|error| unavailable(&error))?;
        let kept = found.as_ref().and_then(|credential| Some((&credential.account, credential.verifier.plain()?)));
        let proved = match kept {
            Some((account, password)) => fits(password.expose()).then(|| account.clone()),
            None => {
                // For the time that it takes.
                std::hint::black_box(fits(NOBODYS_PASSWORD));
                None
            }
        };
        self.judge(peer, &name, proved).await
    }

    /// Finds whose login name it is, on the word of somebody who has verified the login: a trusted proxy.
    ///
    /// # Errors
    /// [`Why`] nobody is logged in by it.
    pub async fn vouched_for(&self, name: &[u8]) -> Result<Account, Why> {
        let Ok(name) = LoginName::parse(name) else { return Err(Why::Malformed) };
        let found = self.0.directory.credential_boxed(name.as_str()).await.map_err(|error| unavailable(&error))?;
        if let Some(Credential { account, .. }) = found {
            return Ok(account);
        }
        // Where a directory only verifies, it still knows its addresses.
        let found = self.0.directory.lookup_boxed(name.as_str()).await.map_err(|error| unavailable(&error))?;
        found.ok_or(Why::Denied)
    }

    /// Where passwords are verified.
    #[must_use]
    pub fn verification(&self) -> &Verification {
        &self.0.verification
    }

    /// Where failed attempts are counted.
    #[must_use]
    pub fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    /// Refuses an attempt unlooked at where too many failed before.
    pub(crate) fn admit(&self, peer: Option<IpAddr>, name: &LoginName) -> Result<(), Why> {
        let admitted = self.0.attempts.admit(peer, name.as_str(), Instant::now());
        admitted.map_err(|Blocked { wait }| Why::Throttled { wait })
    }

    /// Counts the outcome of an attempt, and tells it.
    pub(crate) async fn judge(
        &self,
        peer: Option<IpAddr>,
        name: &LoginName,
        found: Option<Account>,
    ) -> Result<Account, Why> {
        // Many guesses may have been let in together before the first of them failed. Those that end behind a bucket
        // gone full are not told, right or wrong: else each of them would have been a guess more.
        self.admit(peer, name)?;
        let Some(account) = found else { return Err(self.refuse(peer, name).await) };
        self.0.attempts.succeeded(peer, name.as_str(), Instant::now());
        Ok(account)
    }

    /// What SCRAM is to hold a proof against: whose verifier it is, or an invented one that nobody's proof fits.
    pub(crate) async fn scram(&self, name: &LoginName) -> Result<(Option<Account>, ScramVerifier), Why> {
        let found = self.0.directory.credential_boxed(name.as_str()).await.map_err(|error| unavailable(&error))?;
        let decoy = self.0.directory.decoy();
        let invented =
            ScramVerifier::invented(&self.0.invention, name.as_str(), decoy.scram_iterations, decoy.scram_salt);
        let stored = found
            .and_then(|Credential { account, verifier }| verifier.scram().map(|scram| (Some(account), scram.clone())));
        Ok(stored.unwrap_or((None, invented)))
    }

    async fn refuse(&self, peer: Option<IpAddr>, name: &LoginName) -> Why {
        let delay = self.0.attempts.failed(peer, name.as_str(), Instant::now());
        tokio::time::sleep(delay).await;
        Why::Denied
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("verification", &self.0.verification).finish_non_exhaustive()
    }
}

/// The directory stands last, for its size is known at run time only.
struct Shared<D: ?Sized = dyn Boxed> {
    verification: Verification,
    attempts: Attempts,
    /// Draws the salts of users who do not exist.
    invention: hmac::Key,
    directory: D,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Option<T>, DirectoryError>> + Send + 'a>>;

/// [`Directory`] with its futures boxed: one allocation per question, next to a round trip or a key derivation.
trait Boxed: Send + Sync {
    fn lookup_boxed<'a>(&'a self, address: &'a str) -> Answer<'a, Account>;
    fn credential_boxed<'a>(&'a self, name: &'a str) -> Answer<'a, Credential>;
    fn check_boxed<'a>(&'a self, name: &'a str, password: &'a [u8], pool: &'a Verification) -> Answer<'a, Account>;
    fn decoy(&self) -> Decoy;
}

impl<D: Directory> Boxed for D {
    fn lookup_boxed<'a>(&'a self, address: &'a str) -> Answer<'a, Account> {
        Box::pin(self.lookup(address))
    }

    fn credential_boxed<'a>(&'a self, name: &'a str) -> Answer<'a, Credential> {
        Box::pin(self.credential(name))
    }

    fn check_boxed<'a>(&'a self, name: &'a str, password: &'a [u8], pool: &'a Verification) -> Answer<'a, Account> {
        Box::pin(self.check(name, password, pool))
    }

    fn decoy(&self) -> Decoy {
        Directory::decoy(self)
    }
}

/// As long as passwords are.
const NOBODYS_PASSWORD: &[u8] = b"k3vwm-2xq7c-nobody";

fn unavailable(error: &DirectoryError) -> Why {
    tracing::warn!(error = error as &dyn std::error::Error, "a login could not be looked at");
    Why::Unavailable
}

#[cfg(test)]
mod tests;
