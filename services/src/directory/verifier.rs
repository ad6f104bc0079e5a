//! Stored forms of a password, and what it costs to hold one against them.

use std::fmt;

use argon2::password_hash::phc::PasswordHash as PhcHash;
use argon2::{Argon2, PasswordVerifier as _};
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha_crypt::{PasswordHashRef as McfHash, ShaCrypt};
use std::num::NonZeroU32;
use thiserror::Error;
use zeroize::Zeroizing;

use super::password::{MAX_PASSWORD, prepared};

/// What a users' file keeps of a password. SCRAM works with the first form only, APOP with the last; a password sent in
/// the clear can be held against each. `Debug` shows the cost and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub enum Verifier {
    /// `{SCRAM-SHA-256}iterations,salt,stored key,server key`, the last three in base64 (RFC 5803's parts).
    Scram(ScramVerifier),
    /// `$argon2id$…` (RFC 9106 in PHC notation).
    Argon2id(Crypt),
    /// `$2a$…`, `$2b$…` or `$2y$…`.
    Bcrypt(Crypt),
    /// `$6$…`.
    Sha512Crypt(Crypt),
    /// `{PLAIN}…`: the password itself, behind the brace. For APOP, which nothing else can be held against.
    Plain(Plain),
}

impl Verifier {
    /// Reads one of the forms. A scheme in braces before a crypt form, as Dovecot writes it, is understood.
    ///
    /// # Errors
    /// [`VerifierFault`] where it is none of them, is damaged, or costs less or more than `limits` allow.
    pub fn parse(text: &str, limits: &VerifierLimits) -> Result<Self, VerifierFault> {
        if let Some(parts) = text.strip_prefix(ScramVerifier::SCHEME) {
            return ScramVerifier::parse(parts, limits).map(Self::Scram);
        }
        if let Some(password) = text.strip_prefix(Plain::SCHEME) {
            return Plain::parse(password).map(Self::Plain);
        }
        let schemes = ["{ARGON2ID}", "{BLF-CRYPT}", "{SHA512-CRYPT}", "{CRYPT}"];
        let text = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        if text.starts_with("$argon2id$") {
            return argon2id(text, limits).map(Self::Argon2id);
        }
        if ["$2a$", "$2b$", "$2y$"].iter().any(|id| text.starts_with(id)) {
            return bcrypt(text, limits).map(Self::Bcrypt);
        }
        if text.starts_with("$6$") {
            return sha512_crypt(text, limits).map(Self::Sha512Crypt);
        }
        Err(VerifierFault::Unknown)
    }

    /// Holds a password against it: one derivation, of up to a second or so. It blocks; [`Verification`] is where it
    /// runs. Crypt forms were made of the octets as they came; the other forms prepare
    /// the password.
    ///
    /// [`Verification`]: super::Verification
    #[must_use]
    pub fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Scram(scram) => scram.matches(password),
            Self::Argon2id(hash) => Argon2::default().verify_password(password, &*hash.text).is_ok(),
            // What is longer than 72 octets is cut by whoever made the hash, so that it must be cut here.
            Self::Bcrypt(hash) => bcrypt::verify(password, &hash.text).unwrap_or(false),
            Self::Sha512Crypt(hash) => ShaCrypt::SHA512.verify_password(password, &*hash.text).is_ok(),
            Self::Plain(plain) => plain.matches(password),
        }
    }

    /// What one verification costs.
    #[must_use]
    pub fn cost(&self) -> Cost {
        match self {
            Self::Scram(scram) => Cost::Scram { iterations: scram.iterations.get() },
            Self::Argon2id(hash) | Self::Bcrypt(hash) | Self::Sha512Crypt(hash) => hash.cost,
            Self::Plain(_) => Cost::Plain,
        }
    }

    /// The form that SCRAM works with.
    #[must_use]
    pub fn scram(&self) -> Option<&ScramVerifier> {
        match self {
            Self::Scram(scram) => Some(scram),
            Self::Argon2id(_) | Self::Bcrypt(_) | Self::Sha512Crypt(_) | Self::Plain(_) => None,
        }
    }

    /// The password itself, where it is kept.
    #[must_use]
    pub fn plain(&self) -> Option<&Plain> {
        match self {
            Self::Plain(plain) => Some(plain),
            Self::Scram(_) | Self::Argon2id(_) | Self::Bcrypt(_) | Self::Sha512Crypt(_) => None,
        }
    }

    /// Tells a hash function which verifier this is: another one for each new password or salt.
    pub(super) fn identify(&self, tell: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Scram(scram) => {
                tell(&scram.iterations.get().to_be_bytes());
                tell(&scram.salt);
                tell(&scram.stored_key);
            }
            Self::Argon2id(hash) | Self::Bcrypt(hash) | Self::Sha512Crypt(hash) => tell(hash.text.as_bytes()),
            Self::Plain(plain) => {
                tell(Plain::SCHEME.as_bytes());
                tell(plain.expose());
            }
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({:?})", self.cost())
    }
}

/// A crypt form that was found whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypt {
    text: Box<str>,
    cost: Cost,
}

impl fmt::Debug for Crypt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypt({:?})", self.cost)
    }
}

/// What one verification costs; verifiers of the same cost take the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cost {
    /// PBKDF2 with HMAC-SHA-256.
    Scram {
        /// Rounds.
        iterations: u32,
    },
    /// Argon2id.
    Argon2id {
        /// Memory in KiB.
        memory: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// bcrypt.
    Bcrypt {
        /// The power of two of its rounds.
        cost: u32,
    },
    /// SHA-512-crypt.
    Sha512Crypt {
        /// Rounds.
        rounds: u32,
    },
    /// A comparison.
    Plain,
}

/// A password as it is, prepared (RFC 4013). `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain(Zeroizing<Vec<u8>>);

impl Plain {
    const SCHEME: &str = "{PLAIN}";

    /// The octets that a digest of the password is made of (RFC 6856 §2.2).
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    fn matches(&self, password: &[u8]) -> bool {
        // By their digests, so that the time does not depend on where the two differ, nor on how long they are.
        let [ours, theirs] = [&*self.0, &*prepared(password)].map(|password| digest::digest(&digest::SHA256, password));
        constant_time::verify_slices_are_equal(ours.as_ref(), theirs.as_ref()).is_ok()
    }

    fn parse(password: &str) -> Result<Self, VerifierFault> {
        let prepared = prepared(password.as_bytes());
        if prepared.is_empty() || password.len() > MAX_PASSWORD || password.contains(char::is_control) {
            return Err(VerifierFault::Damaged("PLAIN"));
        }
        Ok(Self(prepared))
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain(..)")
    }
}

/// What SCRAM-SHA-256 keeps of a password (RFC 5802 §3, RFC 7677): enough to know a proof, not enough to give one.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    pub(crate) iterations: NonZeroU32,
    pub(crate) salt: Box<[u8]>,
    pub(crate) stored_key: [u8; 32],
    pub(crate) server_key: [u8; 32],
}

impl ScramVerifier {
    /// Derives the verifier of a password. Takes `iterations` rounds and blocks.
    #[must_use]
    pub fn derive(password: &[u8], iterations: NonZeroU32, salt: &[u8]) -> Self {
        let mut salted = Zeroizing::new([0u8; 32]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, &prepared(password), salted.as_mut());
        let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_ref());
        let client_key = hmac::sign(&key, b"Client Key");
        Self {
            iterations,
            salt: salt.into(),
            stored_key: octets(digest::digest(&digest::SHA256, client_key.as_ref()).as_ref()),
            server_key: octets(hmac::sign(&key, b"Server Key").as_ref()),
        }
    }

    /// The form in which a users' file keeps it.
    #[must_use]
    pub fn encode(&self) -> String {
        let [salt, stored, server] =
            [&*self.salt, &self.stored_key, &self.server_key].map(|octets| BASE64.encode(octets));
        format!("{}{},{salt},{stored},{server}", Self::SCHEME, self.iterations)
    }

    /// The verifier of no password at all.
    pub(crate) fn nobody(iterations: NonZeroU32, salt: usize) -> Self {
        Self { iterations, salt: vec![0; salt].into(), stored_key: [0; 32], server_key: [0; 32] }
    }

    /// A verifier for a name without one: the same at each attempt, as a stored one would be.
    pub(crate) fn invented(key: &hmac::Key, name: &str, iterations: NonZeroU32, salt: usize) -> Self {
        let draw = |what: &[u8]| {
            let mut context = hmac::Context::with_key(key);
            context.update(what);
            context.update(name.as_bytes());
            octets(context.sign().as_ref())
        };
        let salt = (0u8..).flat_map(|block| draw(&[block])).take(salt).collect();
        Self { iterations, salt, stored_key: draw(b"stored"), server_key: draw(b"server") }
    }

    fn matches(&self, password: &[u8]) -> bool {
        let derived = Self::derive(password, self.iterations, &self.salt);
        constant_time::verify_slices_are_equal(&derived.stored_key, &self.stored_key).is_ok()
    }

    fn parse(parts: &str, limits: &VerifierLimits) -> Result<Self, VerifierFault> {
        let mut parts = parts.split(',');
        let (Some(iterations), Some(salt), Some(stored), Some(server), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(VerifierFault::Damaged("SCRAM-SHA-256"));
        };
        let damaged = VerifierFault::Damaged("SCRAM-SHA-256");
        let iterations: NonZeroU32 = iterations.parse().map_err(|_| damaged)?;
        if iterations < limits.least_iterations {
            return Err(VerifierFault::TooCheap { least: limits.least_iterations });
        }
        if iterations > limits.most_iterations {
            return Err(VerifierFault::TooDear { what: "SCRAM iterations", most: limits.most_iterations.get() });
        }
        let salt = BASE64.decode(salt).map_err(|_| damaged)?;
        if salt.is_empty() || salt.len() > MAX_SALT {
            return Err(damaged);
        }
        let key = |text: &str| -> Result<[u8; 32], VerifierFault> {
            BASE64.decode(text).ok().and_then(|octets| octets.try_into().ok()).ok_or(damaged)
        };
        Ok(Self { iterations, salt: salt.into(), stored_key: key(stored)?, server_key: key(server)? })
    }

    const SCHEME: &str = "{SCRAM-SHA-256}";
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramVerifier({} iterations)", self.iterations)
    }
}

/// What a verifier may cost. The upper bounds keep one damaged or hostile line from taking a core or the memory at
/// each login.
#[derive(Clone, Debug)]
pub struct VerifierLimits {
    /// The fewest rounds of SCRAM (RFC 7677 §4 asks for this many).
    pub least_iterations: NonZeroU32,
    /// The most rounds of SCRAM: some seconds.
    pub most_iterations: NonZeroU32,
    /// The most memory of Argon2id, in KiB, held by each verification under way.
    pub argon2_memory: u32,
    /// The most passes of Argon2id.
    pub argon2_passes: u32,
    /// The most lanes of Argon2id.
    pub argon2_lanes: u32,
    /// The highest cost of bcrypt: each further one doubles the time.
    pub bcrypt_cost: u32,
    /// The most rounds of SHA-512-crypt.
    pub sha512_rounds: u32,
}

impl Default for VerifierLimits {
    fn default() -> Self {
        Self {
            least_iterations: nonzero(4096),
            most_iterations: nonzero(10_000_000),
            argon2_memory: 1024 * 1024,
            argon2_passes: 64,
            argon2_lanes: 64,
            bcrypt_cost: 16,
            sha512_rounds: 5_000_000,
        }
    }
}

/// Why a text is no verifier that is taken. None of these quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VerifierFault {
    /// No form that is known.
    #[error(
        "what stands behind the address is no password form known here \
         ({{SCRAM-SHA-256}}…, $argon2id$…, $2b$…, $6$… or {{PLAIN}}…)"
    )]
    Unknown,
    /// Something is missing or too much.
    #[error("the {0} form is damaged")]
    Damaged(&'static str),
    /// Guessing it would cost too little.
    #[error("the SCRAM form has fewer than {least} iterations")]
    TooCheap {
        /// The fewest that are taken.
        least: NonZeroU32,
    },
    /// Verifying it would cost too much.
    #[error("the form asks for more than {most} {what}")]
    TooDear {
        /// Which cost.
        what: &'static str,
        /// The most that is taken.
        most: u32,
    },
}

/// Ten to forty milliseconds of a core. The server pays them once per client and while, a client of SCRAM at each login;
/// whoever wants the figure that OWASP recommends against guessing from a stolen file (600,000) sets it.
pub(crate) const DEFAULT_ITERATIONS: NonZeroU32 = nonzero(100_000);

/// Octets of salt in what is written here.
pub(crate) const SALT: usize = 16;

/// Octets; nobody writes more, and it goes out at each SCRAM attempt.
const MAX_SALT: usize = 256;

fn argon2id(text: &str, limits: &VerifierLimits) -> Result<Crypt, VerifierFault> {
    let damaged = VerifierFault::Damaged("argon2id");
    let hash = PhcHash::new(text).map_err(|_| damaged)?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(damaged);
    }
    let params = argon2::Params::try_from(&hash).map_err(|_| damaged)?;
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    at_most(memory, limits.argon2_memory, "KiB of Argon2id memory")?;
    at_most(passes, limits.argon2_passes, "Argon2id passes")?;
    at_most(lanes, limits.argon2_lanes, "Argon2id lanes")?;
    Ok(Crypt { text: text.into(), cost: Cost::Argon2id { memory, passes, lanes } })
}

fn bcrypt(text: &str, limits: &VerifierLimits) -> Result<Crypt, VerifierFault> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| VerifierFault::Damaged("bcrypt"))?;
    let cost = parts.get_cost();
    if cost < 4 {
        return Err(VerifierFault::Damaged("bcrypt"));
    }
    at_most(cost, limits.bcrypt_cost, "as bcrypt cost")?;
    Ok(Crypt { text: text.into(), cost: Cost::Bcrypt { cost } })
}

fn sha512_crypt(text: &str, limits: &VerifierLimits) -> Result<Crypt, VerifierFault> {
    let damaged = VerifierFault::Damaged("SHA-512-crypt");
    if McfHash::new(text).is_err() {
        return Err(damaged);
    }
    let mut fields = text.split('$').skip(2).peekable();
    let rounds = match fields.next_if(|field| field.starts_with("rounds=")) {
        Some(field) => field.trim_start_matches("rounds=").parse().map_err(|_| damaged)?,
        None => sha_crypt::Params::RECOMMENDED_ROUNDS,
    };
    let (Some(salt), Some(hash), None) = (fields.next(), fields.next(), fields.next()) else { return Err(damaged) };
    // 512 bits in six-bit digits: 86 of them, of which the last carries two bits.
    let whole = hash.len() == 86 && hash.bytes().all(is_crypt_digit) && hash.ends_with(['.', '/', '0', '1']);
    if !whole || salt.is_empty() || salt.len() > 16 || rounds < sha_crypt::Params::ROUNDS_MIN {
        return Err(damaged);
    }
    at_most(rounds, limits.sha512_rounds, "SHA-512-crypt rounds")?;
    Ok(Crypt { text: text.into(), cost: Cost::Sha512Crypt { rounds } })
}

fn is_crypt_digit(octet: u8) -> bool {
    matches!(octet, b'.' | b'/' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

fn at_most(value: u32, most: u32, what: &'static str) -> Result<(), VerifierFault> {
    if value > most { Err(VerifierFault::TooDear { what, most }) } else { Ok(()) }
}

fn octets(of: &[u8]) -> [u8; 32] {
    std::array::from_fn(|n| of.get(n).copied().unwrap_or_default())
}

const fn nonzero(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

#[cfg(test)]
mod tests;
