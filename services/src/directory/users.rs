//! A directory in a file.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use thiserror::Error;

use super::password::{MAX_PASSWORD, prepared};
use super::users_text::{self, Found, LineFault};
use super::verifier::{self, Cost, ScramVerifier, Verifier, VerifierLimits};
use super::{Account, Credential, Decoy, Directory, DirectoryError, NameFault};

/// The users of one installation, read from a file of `address:verifier` lines and held in memory.
///
/// ```text
/// # one line each; set a password with --user ADDRESS:PASSWORD
/// alice@example.org:{SCRAM-SHA-256}100000,<salt>,<stored key>,<server key>
/// bob@example.org:$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>
/// carol@example.org:$2b$12$<salt and hash>
/// dave@example.org:$6$<salt>$<hash>
/// erin@example.org:{PLAIN}<the password itself, for APOP>
/// ```
///
/// What changes the file by hand changes nothing here until [`reload`](Self::reload). All methods that touch the file
/// block.
#[derive(Debug)]
pub struct UsersFile {
    path: PathBuf,
    options: UsersOptions,
    table: ArcSwap<Table>,
    /// Held from reading the file to swapping the table, so that the table never goes back.
    changing: Mutex<()>,
}

/// What a [`UsersFile`] takes and what it writes.
#[derive(Clone, Debug)]
pub struct UsersOptions {
    /// The SCRAM iterations of passwords set here.
    pub iterations: NonZeroU32,
    /// What the verifiers in the file may cost.
    pub verifiers: VerifierLimits,
    /// The octets of the largest file that is read: all of it is held. About 400,000 users by default.
    pub largest: u64,
}

impl Default for UsersOptions {
    fn default() -> Self {
        Self {
            iterations: verifier::DEFAULT_ITERATIONS,
            verifiers: VerifierLimits::default(),
            largest: 64 * 1024 * 1024,
        }
    }
}

/// What setting a password did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The user is new.
    Added,
    /// The user was there and has another password now.
    Updated,
}

impl UsersFile {
    /// Reads a file that must be there.
    ///
    /// # Errors
    /// [`UsersError`] that names the file, the line and the remedy.
    pub fn open(path: impl Into<PathBuf>, options: UsersOptions) -> Result<Self, UsersError> {
        let path = path.into();
        let table = Table::new(&read(&path, &options)?, &path, &options)?;
        Ok(Self { path, options, table: ArcSwap::from_pointee(table), changing: Mutex::new(()) })
    }

    /// Reads a file, or begins one without users, readable by its owner only.
    ///
    /// # Errors
    /// As for [`open`](Self::open), and where the file cannot be written.
    pub fn open_or_create(path: impl Into<PathBuf>, options: UsersOptions) -> Result<Self, UsersError> {
        let path = path.into();
        match OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&path) {
            Ok(mut file) => {
                let written = file.write_all(HEAD).and_then(|()| file.sync_all()).and_then(|()| sync(folder(&path)));
                written.map_err(|source| UsersError::Write { path: path.clone(), source })?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(UsersError::Write { path, source }),
        }
        Self::open(path, options)
    }

    /// Reads the file again. Where it is faulty, what was read before stays.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn reload(&self) -> Result<(), UsersError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let table = Table::new(&read(&self.path, &self.options)?, &self.path, &self.options)?;
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// Adds a user, or gives one another password: SCRAM-SHA-256, which every mechanism can be held against. The file is
    /// replaced as a whole and synced, so that a crash leaves the old one or the new one; its other lines stay as they
    /// are. Other processes that do the same to the same file wait for each other.
    ///
    /// # Errors
    /// [`UsersError`]; then nothing changed.
    pub fn set_password(&self, address: &str, password: &[u8]) -> Result<Change, UsersError> {
        let account = Account::new(address).map_err(UsersError::Address)?;
        if !users_text::holds(&account) {
            return Err(UsersError::AddressForm);
        }
        if password.len() > MAX_PASSWORD || password.contains(&0) || prepared(password).is_empty() {
            return Err(UsersError::Password);
        }
        let failed = |source| UsersError::Write { path: self.path.clone(), source };
        let mut salt = [0u8; verifier::SALT];
        getrandom::fill(&mut salt).map_err(|error| failed(error.into()))?;
        let verifier = ScramVerifier::derive(password, self.options.iterations, &salt);

        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // A link to the file stays a link.
        let path = fs::canonicalize(&self.path).map_err(failed)?;
        let _lock = locked(&path).map_err(failed)?;
        let before = read(&path, &self.options)?;
        let (after, found) = users_text::with_verifier(&before, &account, &verifier.encode());
        // Read before it is written: a file that cannot be read back is never put in place.
        let table = Table::new(&after, &self.path, &self.options)?;
        replace(&path, &after).map_err(failed)?;
        self.table.store(Arc::new(table));
        Ok(match found {
            Found::Nowhere => Change::Added,
            Found::Replaced => Change::Updated,
        })
    }

    /// How many users there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.load().users.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All users, in the order of their addresses.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        let mut accounts: Vec<_> = self.table.load().users.keys().cloned().collect();
        accounts.sort();
        accounts
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Directory for UsersFile {
    async fn lookup(&self, address: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(self.table.load().users.get_key_value(address).map(|(account, _)| account.clone()))
    }

    async fn credential(&self, name: &str) -> Result<Option<Credential>, DirectoryError> {
        Ok(self.table.load().credential(name))
    }

    fn decoy(&self) -> Decoy {
        self.table.load().decoy.clone()
    }
}

/// Why a users' file cannot be used.
#[derive(Debug, Error)]
pub enum UsersError {
    /// It cannot be read.
    #[error("cannot read the users' file {path}: {source}; check that it exists and that this user may read it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the users' file {path}: {source}; check that this user may write to its folder")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is larger than [`UsersOptions::largest`].
    #[error("the users' file {path} is larger than {largest} octets; is it the right file?")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        largest: u64,
    },
    /// One line is wrong.
    #[error("the users' file {path}, line {line}: {fault}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and the remedy.
        fault: LineFault,
    },
    /// The address given is none.
    #[error("{0}; give a full address, as in alice@example.org")]
    Address(NameFault),
    /// The address given cannot stand in a line.
    #[error("an address in the users' file has no ':' in it and no '#' at its front; choose another")]
    AddressForm,
    /// The password given cannot be one.
    #[error("a password has 1 to {MAX_PASSWORD} octets and no NUL; choose another")]
    Password,
}

/// What was read, in the shape in which it is asked for.
#[derive(Debug)]
struct Table {
    users: HashMap<Account, Arc<Verifier>>,
    /// By local part; `None` where several domains have it.
    locals: HashMap<Box<str>, Option<Account>>,
    decoy: Decoy,
}

impl Table {
    fn new(text: &[u8], path: &Path, options: &UsersOptions) -> Result<Self, UsersError> {
        let users = users_text::parse(text, &options.verifiers).map_err(|(line, fault)| UsersError::Line {
            path: path.to_owned(),
            line,
            fault,
        })?;
        let mut table = Self {
            users: HashMap::with_capacity(users.len()),
            locals: HashMap::with_capacity(users.len()),
            decoy: Decoy::shaped(options.iterations, verifier::SALT),
        };
        for (account, verifier) in users {
            let alone = table.locals.entry(account.local_part().into()).or_insert_with(|| Some(account.clone()));
            if alone.as_ref() != Some(&account) {
                *alone = None;
            }
            table.users.insert(account, Arc::new(verifier));
        }
        table.choose_decoy();
        Ok(table)
    }

    fn credential(&self, name: &str) -> Option<Credential> {
        // The full address comes first: a local part that itself looks like an address must not hide a user.
        let (account, verifier) = match self.users.get_key_value(name) {
            Some(user) => user,
            None => self.users.get_key_value(self.locals.get(name)?.as_ref()?)?,
        };
        Some(Credential { account: account.clone(), verifier: Arc::clone(verifier) })
    }

    /// A user who does not exist looks like most of those who do.
    fn choose_decoy(&mut self) {
        let mut costs: HashMap<Cost, (usize, &Arc<Verifier>)> = HashMap::new();
        let mut shapes: HashMap<(NonZeroU32, usize), usize> = HashMap::new();
        for verifier in self.users.values() {
            costs.entry(verifier.cost()).or_insert((0, verifier)).0 += 1;
            if let Some(scram) = verifier.scram() {
                *shapes.entry((scram.iterations, scram.salt.len())).or_default() += 1;
            }
        }
        if let Some((&(iterations, salt), _)) = shapes.iter().max_by_key(|&(shape, count)| (count, shape)) {
            self.decoy = Decoy::shaped(iterations, salt);
        }
        if let Some((_, verifier)) = costs.values().max_by_key(|(count, _)| count) {
            self.decoy.password = Arc::clone(verifier);
        }
    }
}

/// The owner's and nobody else's.
const PRIVATE: u32 = 0o600;

const HEAD: &[u8] =
    b"# Users of this mail server: one address:verifier a line. No password stands here but as {PLAIN}password.\n";

fn read(path: &Path, options: &UsersOptions) -> Result<Vec<u8>, UsersError> {
    let failed = |source| UsersError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o007 != 0 {
        tracing::warn!(path = %path.display(), "everybody on this machine may read the users' file; set its mode to 0600");
    }
    let mut text = Vec::new();
    file.take(options.largest.saturating_add(1)).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > options.largest {
        return Err(UsersError::TooLarge { path: path.to_owned(), largest: options.largest });
    }
    Ok(text)
}

/// Locks the file against other writers, until it is dropped. Who waited may hold a file that was replaced meanwhile, and
/// has to take the one that stands there now.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        let file = File::open(path)?;
        file.lock()?;
        let (held, there) = (file.metadata()?, fs::metadata(path)?);
        if (held.dev(), held.ino()) == (there.dev(), there.ino()) {
            return Ok(file);
        }
    }
}

/// Puts a new file in the place of another, for whoever holds its lock: at each moment, and after a crash, one of the two
/// stands there whole.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut draft = OsString::from(".");
    draft.push(path.file_name().unwrap_or_default());
    draft.push(".draft");
    let draft = folder(path).join(draft);
    match fs::remove_file(&draft) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync(folder(path))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
