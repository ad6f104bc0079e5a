//! Domains and address literals (RFC 5321 §4.1.2, §4.1.3, RFC 6531 §3.3).

use alloc::boxed::Box;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{Ipv4Addr, Ipv6Addr};

use super::error::{Expected, ParseError, Parsed, complete, fail};
use super::text::Alphabet;

/// `Domain / address-literal`: what stands behind an `@`, and what hosts call themselves.
///
/// Underscores are let in, against the RFC: hosts whose names hold them send real mail, and DNS has no quarrel with them.
/// Equal means: the same [`Host`].
#[derive(Clone, Copy, Debug)]
pub struct Domain<S = Box<str>>(S);

/// What a [`Domain`] says. Names and tags are equal in any case of ASCII, addresses are equal as numbers.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    /// A name for DNS; A-labels, or U-labels where SMTPUTF8 is spoken. The two are not looked through: that is IDNA's.
    Name(&'a str),
    /// `[192.0.2.1]`.
    V4(Ipv4Addr),
    /// `[IPv6:2001:db8::1]`.
    V6(Ipv6Addr),
    /// `[tag:content]`, for addresses yet to be invented.
    General {
        /// The kind of address.
        tag: &'a str,
        /// The address.
        content: &'a str,
    },
}

/// RFC 5321 §4.5.3.1.2.
const DOMAIN_MAX: usize = 255;

/// RFC 1035 §2.3.4.
const LABEL_MAX: usize = 63;

impl<'a> Domain<&'a str> {
    /// Parses a whole text.
    ///
    /// # Errors
    /// Where the text is no domain and no address literal.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        complete(text, 0, domain)
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Domain {
        Domain(self.0.into())
    }

    pub(super) const fn trusted(text: &'a str) -> Self {
        Self(text)
    }
}

impl<S: AsRef<str>> Domain<S> {
    /// The text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Domain<&str> {
        Domain(self.as_str())
    }

    /// What the text says.
    #[must_use]
    pub fn host(&self) -> Host<'_> {
        let text = self.as_str();
        text.strip_prefix('[').and_then(|text| literal_host(text.strip_suffix(']')?)).unwrap_or(Host::Name(text))
    }
}

impl<S: AsRef<str>, T: AsRef<str>> PartialEq<Domain<T>> for Domain<S> {
    fn eq(&self, other: &Domain<T>) -> bool {
        self.host() == other.host()
    }
}

impl<S: AsRef<str>> Eq for Domain<S> {}

impl<S: AsRef<str>> Hash for Domain<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.host().hash(state);
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(ours), Self::Name(theirs)) => ours.eq_ignore_ascii_case(theirs),
            (Self::V4(ours), Self::V4(theirs)) => ours == theirs,
            (Self::V6(ours), Self::V6(theirs)) => ours == theirs,
            (Self::General { tag, content }, Self::General { tag: their_tag, content: their_content }) => {
                tag.eq_ignore_ascii_case(their_tag) && content == their_content
            }
            (Self::Name(_) | Self::V4(_) | Self::V6(_) | Self::General { .. }, _) => false,
        }
    }
}

impl Eq for Host<'_> {}

impl Hash for Host<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Name(name) => hash_in_any_case(name, state),
            Self::V4(address) => address.hash(state),
            Self::V6(address) => address.hash(state),
            Self::General { tag, content } => {
                hash_in_any_case(tag, state);
                content.hash(state);
            }
        }
    }
}

fn hash_in_any_case<H: Hasher>(text: &str, state: &mut H) {
    text.bytes().for_each(|octet| state.write_u8(octet.to_ascii_lowercase()));
    state.write_u8(0);
}

impl<S: AsRef<str>> fmt::Display for Domain<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

pub(super) fn domain(text: &str) -> Parsed<'_, Domain<&str>> {
    if text.starts_with('[') { literal(text) } else { name(text) }
}

/// `Domain = sub-domain *("." sub-domain)`.
fn name(text: &str) -> Parsed<'_, Domain<&str>> {
    let mut rest = text;
    loop {
        let (label, behind) = LABEL.split(rest);
        if !is_label(label) {
            return fail(text, Expected::Domain);
        }
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None => break rest = behind,
        }
    }
    match text.split_at_checked(text.len().saturating_sub(rest.len())) {
        Some((name, rest)) if name.len() <= DOMAIN_MAX => Ok((rest, Domain(name))),
        Some(_) | None => fail(text, Expected::Domain),
    }
}

fn literal(text: &str) -> Parsed<'_, Domain<&str>> {
    let Some((whole, rest)) = memchr::memchr(b']', text.as_bytes())
        .and_then(|end| text.split_at_checked(end.saturating_add(1)))
        .filter(|(whole, _)| whole.len() <= DOMAIN_MAX)
    else {
        return fail(text, Expected::Domain);
    };
    match whole.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).and_then(literal_host) {
        Some(_) => Ok((rest, Domain(whole))),
        None => fail(text, Expected::Domain),
    }
}

/// RFC 5321 §4.1.3: `IPv4-address-literal / IPv6-address-literal / General-address-literal`.
fn literal_host(text: &str) -> Option<Host<'_>> {
    let Some((tag, content)) = text.split_once(':') else { return text.parse().ok().map(Host::V4) };
    if tag.eq_ignore_ascii_case("IPv6") {
        return content.parse().ok().map(Host::V6);
    }
    let tag_is_good = tag.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && tag.bytes().next_back().is_some_and(|octet| octet.is_ascii_alphanumeric());
    let content_is_good = !content.is_empty() && content.bytes().all(|octet| matches!(octet, 33..=90 | 94..=126));
    (tag_is_good && content_is_good).then_some(Host::General { tag, content })
}

fn is_label(label: &str) -> bool {
    // A U-label is measured as the A-label that it stands for, which only IDNA can tell; the domain's bound holds for it.
    let fits = label.len() <= LABEL_MAX || !label.is_ascii();
    fits && !matches!(label.as_bytes(), [] | [b'-', ..] | [.., b'-'])
}

/// Full stops of other scripts are not in it: IDNA takes them for dots, so that two readers would see two domains.
static LABEL: Alphabet =
    Alphabet::alphanumeric_and(b"-_", |c| !matches!(c, '\u{3002}' | '\u{ff0e}' | '\u{ff61}') && is_utf8_char(c));

/// RFC 6531 §3.3 `UTF8-non-ascii`, without what is invisible there: C1 controls, separators, marks of direction.
pub(super) const fn is_utf8_char(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    let odd = matches!(c, '\u{3000}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}');
    c > '\u{a0}' && !invisible && !odd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_of_the_rfc() {
        for text in ["example.com", "a", "xn--bcher-kva.example", "b\u{fc}cher.example", "my_host", "1.2.3.4"] {
            assert_eq!(Domain::parse(text).map(|domain| domain.into_owned().host() == Host::Name(text)), Ok(true));
        }
        let host = |text| Domain::parse(text).unwrap().into_owned();
        assert_eq!(host("[192.0.2.1]").host(), Host::V4(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(host("[IPv6:::1]").host(), Host::V6(Ipv6Addr::LOCALHOST));
        assert_eq!(host("[ipv6:::ffff:192.0.2.1]").host(), Host::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped()));
        assert_eq!(host("[x25:1234]").host(), Host::General { tag: "x25", content: "1234" });
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        let (long_label, long_name) = ("a".repeat(64), "a.".repeat(128));
        for text in [
            "",
            ".",
            "a..b",
            "a.",
            ".a",
            "-a",
            "a-",
            "@b",
            "[",
            "[]",
            "[1.2.3]",
            "[1.2.3.4",
            "[IPv6:]",
            "[01.2.3.4]",
            "[IPv6:fe80::1%eth0]",
            "[x25:]",
            "[-:a]",
            "[x:a b]",
            &long_label,
            &long_name,
        ] {
            assert_eq!(Domain::parse(text).map_err(|error| error.expected), Err(Expected::Domain), "{text:?}");
        }
        for text in ["a b", "a@b", "a/b", "a\u{3002}b", "a\u{202e}b", "a\u{85}b", "[1.2.3.4]b"] {
            assert_eq!(Domain::parse(text).map_err(|error| error.expected), Err(Expected::End), "{text:?}");
        }
    }
}
