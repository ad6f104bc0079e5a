//! Private keys: read, made, and used; and what DNS tells of them.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;
use zeroize::Zeroizing;

/// A private key to sign with. Clones share it.
#[derive(Clone)]
pub struct Key {
    pair: Arc<Pair>,
    public: Arc<str>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, understood by everybody.
    Rsa,
    /// Ed25519 (RFC 8463): short, fast, and not understood by many yet; to be used beside an RSA key.
    Ed25519,
}

/// Why a key cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// There is no private key in it, in PKCS #8 or PKCS #1 and PEM.
    #[error("it holds no private key in PEM form")]
    Pem,
    /// RSA with less than 2048 bits. RFC 8301 §3.2 advises against it, and the library that signs refuses it.
    #[error("its RSA key is shorter than 2048 bits")]
    Short,
    /// Another kind of key, or a damaged one.
    #[error("its key is neither RSA of 2048 to 8192 bits nor Ed25519")]
    Kind,
}

/// No key could be made, or none could sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the cryptographic library has refused")]
pub struct CryptoError;

impl From<Unspecified> for CryptoError {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl Key {
    /// Reads a file in PEM.
    ///
    /// # Errors
    /// The file cannot be read, or holds no key that can be used.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&Zeroizing::new(std::fs::read(path)?))
    }

    /// Takes the first private key in a text in PEM: `PRIVATE KEY` (PKCS #8) or `RSA PRIVATE KEY` (PKCS #1).
    ///
    /// # Errors
    /// It holds no key that can be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        match PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::Pem)? {
            PrivateKeyDer::Pkcs1(der) => Self::from_rsa(RsaKeyPair::from_der(der.secret_pkcs1_der())),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                    Ok(pair) => Ok(Self::ed25519(pair)),
                    Err(_) => Self::from_rsa(RsaKeyPair::from_pkcs8(der)),
                }
            }
            PrivateKeyDer::Sec1(_) | _ => Err(KeyError::Kind),
        }
    }

    /// Makes a new key, of 2048 bits if it is RSA: more make a record that some DNS servers do not carry. The second
    /// result is its PEM, to be written to a file that nobody else can read.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn generate(kind: KeyKind) -> Result<(Self, Zeroizing<String>), CryptoError> {
        match kind {
            KeyKind::Rsa => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
                let pem = pem(AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)?.as_ref());
                Ok((Self::rsa(pair)?, pem))
            }
            KeyKind::Ed25519 => {
                let pair = Ed25519KeyPair::generate()?;
                // Version 1, which is all that OpenSSL reads.
                let pem = pem(pair.to_pkcs8v1()?.as_ref());
                Ok((Self::ed25519(pair), pem))
            }
        }
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match &*self.pair {
            Pair::Rsa(_) => KeyKind::Rsa,
            Pair::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// The text of the record in DNS that tells the public key (RFC 6376 §3.6.1, RFC 8463 §4.2).
    #[must_use]
    pub fn record(&self) -> String {
        let kind = match self.kind() {
            KeyKind::Rsa => "rsa",
            KeyKind::Ed25519 => "ed25519",
        };
        format!("v=DKIM1; k={kind}; p={}", self.public)
    }

    /// The name in the tag `a=`.
    pub(super) fn algorithm(&self) -> &'static str {
        match self.kind() {
            KeyKind::Rsa => "rsa-sha256",
            KeyKind::Ed25519 => "ed25519-sha256",
        }
    }

    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)?;
                Ok(signature)
            }
            // RFC 8463 §3: it is the hash that is signed.
            Pair::Ed25519(pair) => Ok(pair.try_sign(digest(&SHA256, text).as_ref())?.as_ref().to_vec()),
        }
    }

    fn from_rsa(pair: Result<RsaKeyPair, aws_lc_rs::error::KeyRejected>) -> Result<Self, KeyError> {
        match pair {
            Ok(pair) => Self::rsa(pair).map_err(|_| KeyError::Kind),
            // The only way in which the library tells it.
            Err(why) if why.to_string() == "TooSmall" => Err(KeyError::Short),
            Err(_) => Err(KeyError::Kind),
        }
    }

    fn rsa(pair: RsaKeyPair) -> Result<Self, CryptoError> {
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())?;
        Ok(Self { public: BASE64_STANDARD.encode(public.as_ref()).into(), pair: Arc::new(Pair::Rsa(pair)) })
    }

    fn ed25519(pair: Ed25519KeyPair) -> Self {
        let public = BASE64_STANDARD.encode(pair.public_key().as_ref()).into();
        Self { public, pair: Arc::new(Pair::Ed25519(pair)) }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// PKCS #8 as PEM (RFC 7468 §10).
fn pem(der: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut text = Zeroizing::new(String::with_capacity(encoded.len().saturating_mul(2).saturating_add(64)));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}
