//! Names: one spelling each, and nothing in them that another layer could read as an end.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// A name somebody wants to log in by, or an address somebody asks for, folded to its one spelling: lower case and
/// composed (NFC, RFC 6532 §3.1), so that a name typed on another keyboard is the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginName(String);

impl LoginName {
    /// Folds what the peer sent.
    ///
    /// # Errors
    /// [`NameFault`] where it cannot be a name. Control characters are refused and not cut off, so that `user` NUL `x`
    /// never logs in as `user`.
    pub fn parse(sent: &[u8]) -> Result<Self, NameFault> {
        if sent.is_empty() {
            return Err(NameFault::Empty);
        }
        if sent.len() > MAX_NAME {
            return Err(NameFault::TooLong);
        }
        let Ok(text) = std::str::from_utf8(sent) else { return Err(NameFault::NotUtf8) };
        if text.chars().any(char::is_control) {
            return Err(NameFault::Control);
        }
        Ok(Self(fold(text)))
    }

    /// The folded name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One mailbox's owner, by the canonical address. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    address: Arc<str>,
    at: usize,
}

impl Account {
    /// Folds an address into an account's name.
    ///
    /// # Errors
    /// [`NameFault`] where the text is no `local-part@domain` that a users' file could hold.
    pub fn new(address: &str) -> Result<Self, NameFault> {
        let LoginName(address) = LoginName::parse(address.as_bytes())?;
        if address.chars().any(char::is_whitespace) {
            return Err(NameFault::Space);
        }
        match address.rfind('@') {
            Some(at) if at > 0 && at + 1 < address.len() => Ok(Self { address: address.into(), at }),
            Some(_) | None => Err(NameFault::NotAnAddress),
        }
    }

    /// The canonical address, folded.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What stands before the last `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.address.get(..self.at).unwrap_or_default()
    }

    /// What stands behind the last `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.address.get(self.at + 1..).unwrap_or_default()
    }
}

/// By the address alone, as `Borrow` asks.
impl Hash for Account {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
    }
}

impl Borrow<str> for Account {
    fn borrow(&self) -> &str {
        &self.address
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", self.address)
    }
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameFault {
    /// There is nothing.
    #[error("the name is empty")]
    Empty,
    /// Longer than any mailbox can be.
    #[error("the name is longer than {MAX_NAME} octets")]
    TooLong,
    /// Not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// NUL or another control character.
    #[error("the name holds a control character")]
    Control,
    /// White space, which no account's address has.
    #[error("the address holds white space")]
    Space,
    /// No `@`, or nothing on one of its sides.
    #[error("the address is not local-part@domain")]
    NotAnAddress,
}

/// A local part of 64 octets, the `@`, a domain of 255 (RFC 5321 §4.5.3.1).
const MAX_NAME: usize = 320;

fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.to_lowercase().nfc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let folded = |text: &str| LoginName::parse(text.as_bytes()).unwrap().0;
        assert_eq!(folded("Alice@Example.ORG"), "alice@example.org");
        assert_eq!(folded("Ren\u{e9}e@example.org"), folded("RENE\u{301}E@example.org"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (sent, fault) in [
            (&b""[..], NameFault::Empty),
            (b"alice\0@example.org", NameFault::Control),
            (b"alice\r\n", NameFault::Control),
            (b"alice\x7f", NameFault::Control),
            ("alice\u{85}".as_bytes(), NameFault::Control),
            (b"\xff", NameFault::NotUtf8),
            (&[b'a'; MAX_NAME + 1], NameFault::TooLong),
        ] {
            assert_eq!(LoginName::parse(sent), Err(fault));
        }
    }

    #[test]
    fn an_account_has_both_sides_of_the_at() {
        let account = Account::new("Alice@Example.ORG").unwrap();
        assert_eq!((account.local_part(), account.domain()), ("alice", "example.org"));
        for text in ["alice", "@example.org", "alice@", "@"] {
            assert_eq!(Account::new(text), Err(NameFault::NotAnAddress));
        }
        assert_eq!(Account::new("a b@example.org"), Err(NameFault::Space));
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{1,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
