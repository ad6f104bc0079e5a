//! Signatures on mail that leaves: DKIM for what is submitted here (RFC 6376), an ARC seal on what is forwarded (RFC 8617).
//!
//! Both take the message as it flows by, split anywhere, and hold no more of it than its header and a hash. At the end
//! they give whole header fields, to be put on top of it.
//!
//! ```
//! use services::sign::{Identity, Key, KeyKind, SignOptions, Signer};
//! use std::time::SystemTime;
//!
//! let (key, pem) = Key::generate(KeyKind::Ed25519)?;                  // once; or `Key::read`, at every start
//! assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"));
//! let identity = Identity::new("example.org", "2026a", key)?;
//! assert_eq!(identity.record_name(), "2026a._domainkey.example.org"); // to be published, with this text:
//! assert!(identity.key().record().starts_with("v=DKIM1; k=ed25519; p="));
//!
//! let mut signer = Signer::new(SignOptions::default());
//! signer.add(identity)?;
//! assert!(signer.begin("example.net", SystemTime::now()).is_none()); // there is no key for it
//!
//! let mut signing = signer.begin("example.org", SystemTime::now()).ok_or("no key")?;
//! signing.write(b"From: alice@example.org\r\nSubject: lunch\r\n");
//! signing.write(b"\r\nAt noon?\r\n");
//! let fields = String::from_utf8(signing.finish(b"")?)?;
//! assert!(fields.starts_with("DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;"));
//! assert!(fields.ends_with("\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Details
//!
//! - Canonicalization and the choice of fields are ours, hashes and signatures those of aws-lc-rs. mail-auth, which could
//!   have signed, holds a header of any length, seals only messages that are whole in memory, and reads the clock; it checks
//!   our signatures in the tests instead, as dkimpy and OpenDKIM do.
//! - `From` must be there, once. Further copies of it and of the other fields that are shown to a reader make a signature
//!   void, for it lists each of them once more than there are (RFC 6376 §8.15); so `Date` and `Message-ID` have to be added
//!   before the message is signed. `l=` is never used: it lets anybody append to a body.
//! - RSA keys have 2048 bits at least, and hashes are SHA-256 (RFC 8301).

mod arc;
mod canonical;
mod chain;
mod dkim;
mod header;
mod identity;
mod key;
mod signed;
mod tags;
#[cfg(test)]
mod tests;

pub use arc::{BadResults, ChainValidation, MAX_RESULTS, SealError, Sealed, Sealer, Sealing, Unsealed};
pub use canonical::Form;
pub use chain::MAX_SETS;
pub use dkim::{SelectorTaken, SignError, SignOptions, Signer, Signing, Stamp, Subdomains};
pub use header::{HeaderError, MAX_HEADER};
pub use identity::{Identity, IdentityError};
pub use key::{CryptoError, Key, KeyError, KeyKind};
pub use signed::MAX_SIGNED;
