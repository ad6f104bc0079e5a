//! Who signs, and where the world finds the key.

use idna::AsciiDenyList;
use thiserror::Error;

use super::key::Key;

/// Who signs: a key, and where the world finds its public half.
#[derive(Clone, Debug)]
pub struct Identity {
    domain: String,
    selector: String,
    key: Key,
}

/// Why there is no such identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The domain is none that DNS could hold.
    #[error("the domain is no name in DNS")]
    Domain,
    /// The selector is not made of labels of letters, digits and hyphens (RFC 6376 §3.1).
    #[error("the selector is no name in DNS")]
    Selector,
}

impl Identity {
    /// Makes one. A domain in Unicode becomes its A-labels, which every verifier understands (RFC 8616 §5 allows both).
    ///
    /// # Errors
    /// Domain or selector cannot stand in DNS.
    pub fn new(domain: &str, selector: &str, key: Key) -> Result<Self, IdentityError> {
        let domain = a_labels(domain).ok_or(IdentityError::Domain)?;
        let selector = selector.to_ascii_lowercase();
        if !is_name(&selector) {
            return Err(IdentityError::Selector);
        }
        if domain.len() + selector.len() + "._domainkey.".len() > MAX_NAME {
            return Err(IdentityError::Selector);
        }
        Ok(Self { domain, selector, key })
    }

    /// The domain, in A-labels and small letters.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The selector.
    #[must_use]
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The name of the record in DNS (RFC 6376 §3.6.2.1), without a dot at its end.
    #[must_use]
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// The record as a line of a zone file: its text in strings of at most 255 octets (RFC 1035 §3.3.14).
    #[must_use]
    pub fn zone_line(&self) -> String {
        let mut line = format!("{}. IN TXT", self.record_name());
        let record = self.key.record();
        let mut rest = record.as_str();
        while !rest.is_empty() {
            let (string, after) = rest.split_at_checked(255).unwrap_or((rest, ""));
            line.extend([" \"", string, "\""]);
            rest = after;
        }
        line
    }
}

/// The octets of the longest name in DNS, as it is written (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// A domain in A-labels and small letters, if DNS can hold it.
pub(super) fn a_labels(domain: &str) -> Option<String> {
    let domain = idna::domain_to_ascii_cow(domain.as_bytes(), AsciiDenyList::EMPTY).ok()?.into_owned();
    is_name(&domain).then_some(domain)
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|octet| octet == b'-' || octet == b'_' || octet.is_ascii_alphanumeric())
        })
}
