//! ARC seals (RFC 8617).

use std::fmt;
use std::time::SystemTime;

use thiserror::Error;

use super::canonical::Form;
use super::chain::{self, Chain, MAX_SETS, Set};
use super::dkim::seconds;
use super::header::{HeaderError, Message, Seen};
use super::identity::Identity;
use super::key::CryptoError;
use super::signed;
use super::tags::FieldText;

/// The octets of the longest authentication results that a seal takes in.
pub const MAX_RESULTS: usize = 32 * 1024;

/// Seals mail that is forwarded.
#[derive(Clone, Debug)]
pub struct Sealer {
    identity: Identity,
}

/// What a validator has found out about the chain of a message when it arrived (RFC 8617 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainValidation {
    /// It had none.
    None,
    /// All of it is genuine.
    Pass,
    /// Something in it is not.
    Fail,
}

impl ChainValidation {
    /// The word for it in `cv=` and in authentication results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

/// What has come of sealing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// The set's three fields, folded, with their CRLF; to be put on top of the message.
    With(Vec<u8>),
    /// Nothing can be added to the chain. The message goes on as it is.
    Not(Unsealed),
}

/// Why a message is forwarded without a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsealed {
    /// Its newest seal says that the chain is broken, and no further one would change that (RFC 8617 §5.1, step 2).
    Failed,
    /// It has [`MAX_SETS`] sets.
    Full,
}

/// Why a message cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// Its header cannot be signed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The key has failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// A chain was validated that is not there, or the one that is there was not. To seal would be to testify to what nobody
    /// has looked at.
    #[error("the message's chain is not the one that was validated")]
    OtherChain,
}

/// The authentication results cannot stand in a header: they are empty, longer than [`MAX_RESULTS`], or hold control
/// characters or a word that fits into no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the authentication results cannot stand in a header")]
pub struct BadResults;

impl Sealer {
    /// Makes a sealer. An RSA key is the better choice: not all that validate know Ed25519.
    #[must_use]
    pub const fn new(identity: Identity) -> Self {
        Self { identity }
    }

    /// Begins to seal a message. `results` is what would stand in its `Authentication-Results` field, our own name first
    /// (RFC 8601 §2.2), with the results of everybody in our house together; `validation` says how the chain stood when the
    /// message arrived; `made` goes into the set.
    ///
    /// # Errors
    /// The results cannot stand in a header.
    pub fn begin(&self, results: &str, validation: ChainValidation, made: SystemTime) -> Result<Sealing, BadResults> {
        let control = |c: char| c.is_control() && !matches!(c, '\r' | '\n' | '\t');
        // RFC 5322 §2.1.1: a line has 998 octets at most, and folding puts a tab before the word.
        let words = results.split_ascii_whitespace();
        if results.len() > MAX_RESULTS || results.chars().any(control) || words.clone().any(|word| word.len() > 996) {
            return Err(BadResults);
        }
        let results: Vec<&str> = words.collect();
        if results.is_empty() {
            return Err(BadResults);
        }
        Ok(Sealing {
            identity: self.identity.clone(),
            results: results.join(" "),
            validation,
            made,
            message: Message::new(Form::Relaxed),
        })
    }
}

/// A message that is being sealed. Holds its header, of at most [`MAX_HEADER`](super::MAX_HEADER) octets, and a hash.
pub struct Sealing {
    identity: Identity,
    results: String,
    validation: ChainValidation,
    made: SystemTime,
    message: Message,
}

impl Sealing {
    /// Takes the message's next octets, split anywhere: header, blank line, body, with CRLF at the ends of lines and
    /// without the dots that SMTP adds; as it is sent on, all changes made (RFC 8617 §5.1, step 1).
    pub fn write(&mut self, octets: &[u8]) {
        self.message.write(octets);
    }

    /// Makes the set. `above` are fields that will stand above the message but below the set, such as a `DKIM-Signature`
    /// that was made while the message flowed by; often there are none.
    ///
    /// # Errors
    /// The header cannot be signed, or its chain does not fit to what was said of it.
    pub fn finish(self, above: &[u8]) -> Result<Sealed, SealError> {
        let Self { identity, results, validation, made, message } = self;
        let Seen { header, body_hash } = message.finish(above)?;
        let (sets, number, validation) = match (chain::chain(&header), validation) {
            (Chain::Absent, ChainValidation::None) => (Vec::new(), 1, ChainValidation::None),
            (Chain::Absent, ChainValidation::Pass | ChainValidation::Fail) => return Err(SealError::OtherChain),
            (Chain::Whole(_), ChainValidation::None) => return Err(SealError::OtherChain),
            (Chain::Failed, _) => return Ok(Sealed::Not(Unsealed::Failed)),
            (Chain::Whole(sets), ChainValidation::Pass) => {
                let number = sets.len().saturating_add(1);
                (sets, number, ChainValidation::Pass)
            }
            // Of a chain that is broken the seal covers nothing but its own set (RFC 8617 §5.1.2).
            (Chain::Whole(sets), ChainValidation::Fail) => {
                (Vec::new(), sets.len().saturating_add(1), ChainValidation::Fail)
            }
            (Chain::Broken { highest }, _) => {
                (Vec::new(), usize::from(highest).saturating_add(1), ChainValidation::Fail)
            }
        };
        if number > usize::from(MAX_SETS) {
            return Ok(Sealed::Not(Unsealed::Full));
        }
        let (number, made) = (number.to_string(), seconds(made).to_string());

        let mut evidence = FieldText::new(chain::RESULTS);
        evidence.tag("i", &number);
        results.split(' ').for_each(|word| evidence.word(word));
        let evidence = evidence.ended();

        let names = signed::names(&header, &[signed::DKIM_SIGNATURE])?;
        let mut signature = begun(chain::SIGNATURE, &number, &identity);
        signature.tag("c", "relaxed/relaxed");
        signature.tag("t", &made);
        signature.names(&names);
        signature.body_hash(&body_hash);
        let signature = signed_by(&identity, signature, |own| signed::text(Form::Relaxed, &header, &names, own))?;

        let mut seal = begun(chain::SEAL, &number, &identity);
        seal.tag("t", &made);
        seal.tag("cv", validation.name());
        let seal = signed_by(&identity, seal, |own| sealed_text(&sets, &evidence, &signature, own))?;

        Ok(Sealed::With([seal, signature, evidence].concat()))
    }
}

impl fmt::Debug for Sealing {
    /// Tells nothing of the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn begun(name: &str, number: &str, identity: &Identity) -> FieldText {
    let mut field = FieldText::new(name);
    field.tag("i", number);
    field.tag("a", identity.key().algorithm());
    field.tag("d", identity.domain());
    field.tag("s", identity.selector());
    field
}

fn signed_by(
    identity: &Identity,
    field: FieldText,
    text: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<Vec<u8>, CryptoError> {
    let field = field.unsigned();
    let signature = identity.key().sign(&text(field.as_bytes()))?;
    Ok(field.signed(&signature))
}

/// What a seal covers: the sets in their order, and in each of them results, signature, seal (RFC 8617 §5.1.1).
fn sealed_text(sets: &[Set<'_>], results: &[u8], signature: &[u8], own: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let earlier = sets.iter().flat_map(|set| [set.results.whole, set.signature.whole, set.seal.whole]);
    for field in earlier.chain([results, signature]) {
        Form::Relaxed.field(field, &mut text);
        text.extend_from_slice(b"\r\n");
    }
    Form::Relaxed.field(own, &mut text);
    text
}
