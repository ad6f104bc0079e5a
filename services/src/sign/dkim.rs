//! DKIM signatures (RFC 6376, RFC 8301, RFC 8463).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use super::canonical::Form;
use super::header::{HeaderError, Message};
use super::identity::{Identity, a_labels};
use super::key::{CryptoError, KeyKind};
use super::signed;
use super::tags::FieldText;

/// Signs mail of the domains whose keys it holds.
#[derive(Clone, Debug, Default)]
pub struct Signer {
    identities: HashMap<String, Arc<[Identity]>>,
    options: SignOptions,
}

/// How a [`Signer`] signs.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignOptions {
    /// Whether a domain without a key is signed for by the one above it that has one.
    pub subdomains: Subdomains,
    /// What may happen to white space in the header.
    pub header: Form,
    /// What may happen to white space in the body. Relays do change it.
    pub body: Form,
    /// What a signature says about time.
    pub stamp: Stamp,
}

/// What the domains below one with a key do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subdomains {
    /// They sign nothing, but with keys of their own.
    #[default]
    Unsigned,
    /// They sign with the key of the nearest domain above them, in its name. DMARC takes it as theirs unless they ask for
    /// strict alignment.
    ByParent,
}

/// What a signature says about time (RFC 6376 §3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// Nothing.
    Absent,
    /// When it was made, `t=`.
    #[default]
    Made,
    /// When it was made, and that it is void so much later, `x=`: not before the last retry, so a week at least.
    Expires(Duration),
}

/// Why a message is not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignError {
    /// Its header cannot be signed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The key has failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// The domain has a key under that selector already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the domain has a key with that selector already")]
pub struct SelectorTaken;

impl Signer {
    /// Makes a signer without keys, which signs nothing.
    #[must_use]
    pub fn new(options: SignOptions) -> Self {
        Self { identities: HashMap::new(), options }
    }

    /// Adds a key. A domain with several signs with each of them (RFC 8463 §6).
    ///
    /// # Errors
    /// The domain has a key with that selector already.
    pub fn add(&mut self, identity: Identity) -> Result<(), SelectorTaken> {
        let identities = self.identities.entry(identity.domain().to_owned()).or_default();
        if identities.iter().any(|other| other.selector() == identity.selector()) {
            return Err(SelectorTaken);
        }
        *identities = identities.iter().cloned().chain([identity]).collect();
        Ok(())
    }

    /// Begins to sign a message in the name of a domain, in A-labels or U-labels; `None` if there is no key for it. Which
    /// domain that is, the caller knows: the one that the sender has proved to be at home in, not one that the message
    /// claims. `made` goes into the signature.
    #[must_use]
    pub fn begin(&self, domain: &str, made: SystemTime) -> Option<Signing> {
        let domain = a_labels(domain)?;
        let identities = self.identities_of(&domain)?;
        let SignOptions { header, body, stamp, .. } = self.options;
        Some(Signing { identities: Arc::clone(identities), header, body, stamp, made, message: Message::new(body) })
    }

    /// The identity to seal with in the name of a domain, in A-labels or U-labels, if there is a key for it. Of several an RSA
    /// one, for not all that validate know Ed25519.
    #[must_use]
    pub fn identity_of(&self, domain: &str) -> Option<&Identity> {
        let identities = self.identities_of(&a_labels(domain)?)?;
        identities.iter().find(|identity| identity.key().kind() == KeyKind::Rsa).or_else(|| identities.first())
    }

    fn identities_of(&self, domain: &str) -> Option<&Arc<[Identity]>> {
        let own = self.identities.get(domain);
        match self.options.subdomains {
            Subdomains::Unsigned => own,
            Subdomains::ByParent => own.or_else(|| {
                let mut parents = std::iter::successors(domain.split_once('.'), |(_, rest)| rest.split_once('.'));
                parents.find_map(|(_, parent)| self.identities.get(parent))
            }),
        }
    }
}

/// A message that is being signed. Holds its header, of at most [`MAX_HEADER`](super::MAX_HEADER) octets, and a hash.
pub struct Signing {
    identities: Arc<[Identity]>,
    header: Form,
    body: Form,
    stamp: Stamp,
    made: SystemTime,
    message: Message,
}

impl Signing {
    /// Takes the message's next octets, split anywhere: header, blank line, body, with CRLF at the ends of lines and
    /// without the dots that SMTP adds.
    pub fn write(&mut self, octets: &[u8]) {
        self.message.write(octets);
    }

    /// Makes the signature: a whole `DKIM-Signature` field for each key, folded, with its CRLF; to be put on top of the
    /// message. `above` are fields that will stand above the message but below the signature, such as a `Date` that it
    /// turned out to lack; often there are none. Each RSA signature keeps a core busy for a good part of a millisecond.
    ///
    /// # Errors
    /// The header cannot be signed; then the message may go unsigned, or be refused for it.
    pub fn finish(self, above: &[u8]) -> Result<Vec<u8>, SignError> {
        let message = self.message.finish(above)?;
        let names = signed::names(&message.header, &[])?;
        let mut signatures = Vec::new();
        for identity in &*self.identities {
            let mut field = FieldText::new("DKIM-Signature");
            field.tag("v", "1");
            field.tag("a", identity.key().algorithm());
            field.tag("c", &format!("{}/{}", self.header.name(), self.body.name()));
            field.tag("d", identity.domain());
            field.tag("s", identity.selector());
            match self.stamp {
                Stamp::Absent => {}
                Stamp::Made => field.tag("t", &seconds(self.made).to_string()),
                Stamp::Expires(after) => {
                    let made = seconds(self.made);
                    field.tag("t", &made.to_string());
                    let end = made.saturating_add(after.as_secs().max(1)).min(LAST_SECOND);
                    field.tag("x", &end.to_string());
                }
            }
            field.names(&names);
            field.body_hash(&message.body_hash);
            let field = field.unsigned();
            let signature =
                identity.key().sign(&signed::text(self.header, &message.header, &names, field.as_bytes()))?;
            signatures.extend(field.signed(&signature));
        }
        Ok(signatures)
    }
}

impl fmt::Debug for Signing {
    /// Tells nothing of the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing").field("identities", &self.identities).finish_non_exhaustive()
    }
}

/// The latest time that a tag holds: it has twelve digits (RFC 6376 §3.5).
const LAST_SECOND: u64 = 999_999_999_999;

/// Seconds since 1970, as signatures count them.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().min(LAST_SECOND - 1)
}
