//! Taking an address apart and giving it its one spelling.

use alloc::string::String;

use crate::MAX_NAME;

/// An address, split at its last `@`; the domain is normalised, the local part as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) local: &'a str,
    pub(crate) domain: String,
}

impl<'a> Address<'a> {
    /// Splits `text`. `None` if it has no local part or no domain, is too long, or has control characters.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_NAME || text.contains(|c: char| c.is_control()) {
            return None;
        }
        let (local, domain) = text.rsplit_once('@')?;
        if local.is_empty() {
            return None;
        }
        Some(Self { local, domain: domain_name(domain)? })
    }

    /// The name under which the table knows this address.
    pub(crate) fn name(&self) -> String {
        join(&self.local.to_ascii_lowercase(), &self.domain)
    }

    /// The address as others are told of it: their own local part is theirs to fold (RFC 5321 §2.4).
    pub(crate) fn as_written(&self) -> String {
        join(self.local, &self.domain)
    }

    /// The local part without its detail, and the detail, if there is one. A quoted local part has none, nor does one
    /// that begins with the separator.
    pub(crate) fn detail(&self, separator: Option<u8>) -> Option<(&'a str, &'a str)> {
        let (user, detail) = self.local.split_once(char::from(separator?))?;
        (!user.is_empty() && !user.starts_with('"')).then_some((user, detail))
    }
}

/// The one spelling of a domain: ASCII letters folded, without the trailing dot. `None` if it cannot be one.
pub(crate) fn domain_name(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let wrong = text.is_empty() || text.len() > MAX_NAME || text.contains(|c: char| c == '@' || c.is_control());
    (!wrong).then(|| text.to_ascii_lowercase())
}

/// `local@domain`.
pub(crate) fn join(local: &str, domain: &str) -> String {
    let mut address = String::with_capacity(local.len() + 1 + domain.len());
    address.push_str(local);
    address.push('@');
    address.push_str(domain);
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_splits_at_its_last_at() {
        let address = Address::parse("\"a@b\"@Example.ORG.").unwrap();
        assert_eq!((address.local, address.domain.as_str()), ("\"a@b\"", "example.org"));
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        for text in ["", "alice", "@example.org", "alice@", "alice@.", "a\0b@example.org", "a@exam\rple.org"] {
            assert_eq!(Address::parse(text), None, "{text:?}");
        }
        let long = join(&"x".repeat(MAX_NAME), "example.org");
        assert_eq!(Address::parse(&long), None);
    }

    #[test]
    fn only_one_trailing_dot_goes() {
        assert_eq!(domain_name("example.org..").as_deref(), Some("example.org."));
    }

    #[test]
    fn letters_fold_in_ascii_only() {
        assert_eq!(Address::parse("ÄRA@Exämple.ORG").unwrap().name(), "Ära@exämple.org");
    }

    #[test]
    fn detail_stands_behind_the_first_separator() {
        let detail = |text, separator| Address::parse(text).unwrap().detail(separator);
        assert_eq!(detail("al+a+b@x", Some(b'+')), Some(("al", "a+b")));
        assert_eq!(detail("al+@x", Some(b'+')), Some(("al", "")));
        assert_eq!(detail("al-a@x", Some(b'-')), Some(("al", "a")));
        assert_eq!(detail("+a@x", Some(b'+')), None);
        assert_eq!(detail("\"al+a\"@x", Some(b'+')), None);
        assert_eq!(detail("al+a@x", None), None);
    }
}
