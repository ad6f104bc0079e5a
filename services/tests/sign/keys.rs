//! Who signs in these tests.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use crate::messages::sent;
use services::sign::{Form, Identity, Key, KeyKind, SignError, SignOptions, Signer};

/// One key of each kind: RSA ones take a while to make.
static KEYS: LazyLock<[(Key, String); 2]> = LazyLock::new(|| {
    [KeyKind::Rsa, KeyKind::Ed25519].map(|kind| Key::generate(kind).map(|(key, pem)| (key, pem.to_string())).unwrap())
});

pub(crate) fn key(kind: KeyKind) -> Key {
    KEYS.iter().find(|(key, _)| key.kind() == kind).unwrap().0.clone()
}

pub(crate) fn pem(kind: KeyKind) -> &'static str {
    &KEYS.iter().find(|(key, _)| key.kind() == kind).unwrap().1
}

pub(crate) fn identity(domain: &str, kind: KeyKind) -> Identity {
    let selector = match kind {
        KeyKind::Rsa => "r",
        KeyKind::Ed25519 => "e",
    };
    Identity::new(domain, selector, key(kind)).unwrap()
}

pub(crate) const DOMAIN: &str = "example.org";

/// The records of all whom these tests sign for, by name.
pub(crate) fn records() -> Vec<(String, String)> {
    let domains = [DOMAIN, "b\u{fc}cher.example", "forwarder.example"];
    let identities =
        domains.into_iter().flat_map(|domain| [KeyKind::Rsa, KeyKind::Ed25519].map(|kind| identity(domain, kind)));
    identities.map(|identity| (identity.record_name(), identity.key().record())).collect()
}

pub(crate) fn signer(options: SignOptions, kinds: &[KeyKind]) -> Signer {
    let mut signer = Signer::new(options);
    kinds.iter().for_each(|kind| signer.add(identity(DOMAIN, *kind)).unwrap());
    signer
}

pub(crate) fn forms(header: Form, body: Form) -> SignOptions {
    SignOptions { header, body, ..SignOptions::default() }
}

/// Five minutes ago, so that nobody takes it for the future.
pub(crate) fn recently() -> SystemTime {
    SystemTime::now() - Duration::from_secs(300)
}

/// The signatures of a message, in one piece.
pub(crate) fn fields(signer: &Signer, message: &[u8]) -> Result<String, SignError> {
    let mut signing = signer.begin(DOMAIN, recently()).unwrap();
    signing.write(message);
    signing.finish(b"").map(|fields| String::from_utf8(fields).unwrap())
}

/// A message with its signatures on top, as it is sent.
pub(crate) fn signed(signer: &Signer, message: &str) -> String {
    fields(signer, message.as_bytes()).unwrap() + &sent(message)
}
