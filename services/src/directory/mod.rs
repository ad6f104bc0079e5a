//! Who exists, and who may log in.
//!
//! A [`Directory`] is what an installation brings: a file of users, a database, an LDAP server. [`Accounts`] stands in
//! front of it and is what the services hold: it folds names, limits attempts, verifies passwords on a bounded pool
//! and does the same work for users who do not exist. Where an account *lives* is not asked here; that is the router's.
//!
//! ```
//! use std::sync::Arc;
//!
//! use services::directory::{Accounts, LoginLimits, UsersFile, UsersOptions, random_password};
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("users");
//! let users = Arc::new(UsersFile::open_or_create(&path, UsersOptions::default())?);
//! let password = random_password()?;
//! users.set_password("Alice@example.org", password.as_bytes())?;
//!
//! let accounts = Accounts::new(Arc::clone(&users), LoginLimits::default());   // `users` stays, for `reload`
//! let alice = accounts.lookup("alice@EXAMPLE.org").await?.expect("she was added above");
//! assert_eq!(alice.address(), "alice@example.org");
//! assert_eq!(accounts.login(None, b"alice", password.as_bytes()).await, Ok(alice));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accounts;
mod attempts;
mod name;
mod password;
pub(crate) mod recent;
mod users;
mod users_text;
mod verification;
mod verifier;

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;

use thiserror::Error;

pub use accounts::{Accounts, LoginLimits, Why};
pub use attempts::{AttemptLimits, Attempts, Blocked};
pub use name::{Account, LoginName, NameFault};
pub use password::{MAX_PASSWORD, random_password};
pub use users::{Change, UsersError, UsersFile, UsersOptions};
pub use users_text::LineFault;
pub use verification::{Verification, VerificationLimits};
pub use verifier::{Cost, Plain, ScramVerifier, Verifier, VerifierFault, VerifierLimits};

/// Says who exists and who may log in.
///
/// Names and addresses arrive folded (see [`LoginName`]): lower case, composed, without control characters. What an
/// implementation says of a user must not depend on who asks, and no two users may share an account.
pub trait Directory: Send + Sync + 'static {
    /// Finds the account that a mail address belongs to, or `None` where there is no such mailbox.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`] where the answer is not known now; the services turn it into a temporary refusal.
    fn lookup(&self, address: &str) -> impl Future<Output = Result<Option<Account>, DirectoryError>> + Send;

    /// Finds what a login name (the full address, or the local part where only one account has it) is verified against.
    ///
    /// # Errors
    /// As for [`lookup`](Self::lookup).
    fn credential(&self, name: &str) -> impl Future<Output = Result<Option<Credential>, DirectoryError>> + Send;

    /// Verifies a password. By default through [`credential`](Self::credential) on the pool given; a backend that only
    /// verifies (an LDAP bind) does it itself.
    ///
    /// # Errors
    /// As for [`lookup`](Self::lookup); [`DirectoryError::Busy`] where the pool's queue is full.
    fn check(
        &self,
        name: &str,
        password: &[u8],
        pool: &Verification,
    ) -> impl Future<Output = Result<Option<Account>, DirectoryError>> + Send {
        async move {
            let credential = self.credential(name).await?;
            pool.check(credential, &self.decoy(), password).await
        }
    }

    /// What stands in for the credential of a user who does not exist, so that the work done and the salt and
    /// iterations shown do not tell. It should cost what most users' verifiers cost.
    fn decoy(&self) -> Decoy {
        Decoy::default()
    }
}

/// What a login is verified against.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Whom a successful login makes.
    pub account: Account,
    /// The stored form of the password.
    pub verifier: Arc<Verifier>,
}

/// The shape of a credential that belongs to nobody.
#[derive(Clone, Debug)]
pub struct Decoy {
    /// What a password of an unknown user is put through; the outcome is thrown away.
    pub password: Arc<Verifier>,
    /// The iterations that SCRAM shows for unknown users, and for users without a SCRAM verifier.
    pub scram_iterations: NonZeroU32,
    /// The octets of salt that SCRAM shows for them.
    pub scram_salt: usize,
}

impl Decoy {
    /// Looks like the SCRAM verifiers of this many iterations and octets of salt.
    #[must_use]
    pub fn shaped(iterations: NonZeroU32, salt: usize) -> Self {
        let nobody = Verifier::Scram(ScramVerifier::nobody(iterations, salt));
        Self { password: Arc::new(nobody), scram_iterations: iterations, scram_salt: salt }
    }
}

impl Default for Decoy {
    /// Looks like what [`UsersFile::set_password`] writes by default.
    fn default() -> Self {
        Self::shaped(verifier::DEFAULT_ITERATIONS, verifier::SALT)
    }
}

/// Why the directory gave no answer. None of these says anything about the user.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The backend cannot be asked now.
    #[error("the directory cannot be asked")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// As many passwords as may wait already wait for the verification pool.
    #[error("too many passwords wait to be verified")]
    Busy,
    /// The verification was broken off, as when the runtime stops.
    #[error("a password's verification was broken off")]
    BrokenOff,
}

/// A shared directory: whoever also administers it (a [`UsersFile`] that is reloaded) keeps the other handle.
impl<D: Directory> Directory for Arc<D> {
    fn lookup(&self, address: &str) -> impl Future<Output = Result<Option<Account>, DirectoryError>> + Send {
        D::lookup(self, address)
    }

    fn credential(&self, name: &str) -> impl Future<Output = Result<Option<Credential>, DirectoryError>> + Send {
        D::credential(self, name)
    }

    fn check(
        &self,
        name: &str,
        password: &[u8],
        pool: &Verification,
    ) -> impl Future<Output = Result<Option<Account>, DirectoryError>> + Send {
        D::check(self, name, password, pool)
    }

    fn decoy(&self) -> Decoy {
        D::decoy(self)
    }
}
