//! Mailboxes and paths (RFC 5321 §4.1.2, RFC 6531 §3.3).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::fmt;
use core::hash::{Hash, Hasher};

use nom::character::complete::char;

use super::domain::{Domain, domain, is_utf8_char};
use super::error::{Expected, ParseError, Parsed, complete, fail, want};
use super::text::Alphabet;

/// `Local-part "@" ( Domain / address-literal )`.
///
/// Quotes and case are kept as they came, since only the host that the domain names may say what they mean (RFC 5321 §2.4).
/// Equal means: the same [`unquoted_local_part`](Self::unquoted_local_part), case included, at an equal [`Domain`].
#[derive(Clone, Copy, Debug)]
pub struct Mailbox<S = Box<str>> {
    text: S,
    at: u16,
}

/// Where a message comes from: RFC 5321 §4.1.2 `Reverse-path`.
#[derive(Clone, Copy, Debug)]
pub enum ReversePath<S = Box<str>> {
    /// `<>`: a message that must not be answered by another one (RFC 5321 §4.5.5).
    Null,
    /// `<mailbox>`.
    Mailbox(Mailbox<S>),
}

/// Where a message goes to: RFC 5321 §4.1.2 `Forward-path`, and RFC 5321 §4.1.1.3's `<Postmaster>`.
#[derive(Clone, Copy, Debug)]
pub enum ForwardPath<S = Box<str>> {
    /// `<Postmaster>` without a domain: whoever runs this server.
    Postmaster,
    /// `<mailbox>`.
    Mailbox(Mailbox<S>),
}

/// RFC 5321 §4.5.3.1.1 says 64. Bounce addresses that carry a recipient's address are longer and are real, so the bound is
/// that of a whole path.
const LOCAL_PART_MAX: usize = 256;

impl<'a> Mailbox<&'a str> {
    /// Parses a whole text, without angle brackets.
    ///
    /// # Errors
    /// Where the text is no mailbox.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        complete(text, 0, mailbox)
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Mailbox {
        Mailbox { text: self.text.into(), at: self.at }
    }
}

impl<S: AsRef<str>> Mailbox<S> {
    /// The text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_ref()
    }

    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Mailbox<&str> {
        Mailbox { text: self.as_str(), at: self.at }
    }

    /// What stands before the `@`, quotes included.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.as_str().get(..usize::from(self.at)).unwrap_or_default()
    }

    /// What the local part means: without the quotes and backslashes that only protect it.
    #[must_use]
    pub fn unquoted_local_part(&self) -> Cow<'_, str> {
        let local = self.local_part();
        let Some(quoted) = local.strip_prefix('"').and_then(|local| local.strip_suffix('"')) else {
            return Cow::Borrowed(local);
        };
        if !quoted.contains('\\') {
            return Cow::Borrowed(quoted);
        }
        Cow::Owned(self.meaning().collect())
    }

    /// The local part without what only protects it.
    fn meaning(&self) -> impl Iterator<Item = char> {
        let local = self.local_part();
        let quoted = local.strip_prefix('"').and_then(|local| local.strip_suffix('"'));
        let mut chars = quoted.unwrap_or(local).chars();
        // An atom holds no backslash.
        core::iter::from_fn(move || chars.next().and_then(|c| if c == '\\' { chars.next() } else { Some(c) }))
    }

    /// What stands behind the `@`.
    #[must_use]
    pub fn domain(&self) -> Domain<&str> {
        Domain::trusted(self.as_str().get(usize::from(self.at).saturating_add(1)..).unwrap_or_default())
    }

    /// Whether it can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.as_str().is_ascii()
    }
}

impl<S: AsRef<str>, T: AsRef<str>> PartialEq<Mailbox<T>> for Mailbox<S> {
    fn eq(&self, other: &Mailbox<T>) -> bool {
        self.meaning().eq(other.meaning()) && self.domain() == other.domain()
    }
}

impl<S: AsRef<str>> Eq for Mailbox<S> {}

impl<S: AsRef<str>> Hash for Mailbox<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.meaning().for_each(|c| c.hash(state));
        self.domain().hash(state);
    }
}

impl<S: AsRef<str>> fmt::Display for Mailbox<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'a> ReversePath<&'a str> {
    /// Parses a whole text, angle brackets included. A source route is dropped (RFC 5321 §4.1.1.2).
    ///
    /// # Errors
    /// Where the text is no reverse path.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        complete(text, 0, reverse_path)
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> ReversePath {
        match self {
            Self::Null => ReversePath::Null,
            Self::Mailbox(mailbox) => ReversePath::Mailbox(mailbox.into_owned()),
        }
    }
}

impl<S: AsRef<str>> ReversePath<S> {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> ReversePath<&str> {
        match self {
            Self::Null => ReversePath::Null,
            Self::Mailbox(mailbox) => ReversePath::Mailbox(mailbox.borrowed()),
        }
    }

    /// The mailbox, if there is one.
    #[must_use]
    pub const fn mailbox(&self) -> Option<&Mailbox<S>> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether it can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

impl<S: AsRef<str>, T: AsRef<str>> PartialEq<ReversePath<T>> for ReversePath<S> {
    fn eq(&self, other: &ReversePath<T>) -> bool {
        match (self, other) {
            (Self::Null, ReversePath::Null) => true,
            (Self::Mailbox(ours), ReversePath::Mailbox(theirs)) => ours == theirs,
            (Self::Null | Self::Mailbox(_), _) => false,
        }
    }
}

impl<S: AsRef<str>> Eq for ReversePath<S> {}

impl<S: AsRef<str>> Hash for ReversePath<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.mailbox().hash(state);
    }
}

impl<S: AsRef<str>> fmt::Display for ReversePath<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl<'a> ForwardPath<&'a str> {
    /// Parses a whole text, angle brackets included. A source route is dropped (RFC 5321 §4.1.1.3).
    ///
    /// # Errors
    /// Where the text is no forward path.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        complete(text, 0, forward_path)
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> ForwardPath {
        match self {
            Self::Postmaster => ForwardPath::Postmaster,
            Self::Mailbox(mailbox) => ForwardPath::Mailbox(mailbox.into_owned()),
        }
    }
}

impl<S: AsRef<str>> ForwardPath<S> {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> ForwardPath<&str> {
        match self {
            Self::Postmaster => ForwardPath::Postmaster,
            Self::Mailbox(mailbox) => ForwardPath::Mailbox(mailbox.borrowed()),
        }
    }

    /// The mailbox, if a domain was named.
    #[must_use]
    pub const fn mailbox(&self) -> Option<&Mailbox<S>> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether it can be sent without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

impl<S: AsRef<str>, T: AsRef<str>> PartialEq<ForwardPath<T>> for ForwardPath<S> {
    fn eq(&self, other: &ForwardPath<T>) -> bool {
        match (self, other) {
            (Self::Postmaster, ForwardPath::Postmaster) => true,
            (Self::Mailbox(ours), ForwardPath::Mailbox(theirs)) => ours == theirs,
            (Self::Postmaster | Self::Mailbox(_), _) => false,
        }
    }
}

impl<S: AsRef<str>> Eq for ForwardPath<S> {}

impl<S: AsRef<str>> Hash for ForwardPath<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.mailbox().hash(state);
    }
}

impl<S: AsRef<str>> fmt::Display for ForwardPath<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<Postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// `Reverse-path = Path / "<>"`.
pub(super) fn reverse_path(text: &str) -> Parsed<'_, ReversePath<&str>> {
    if let Some(rest) = text.strip_prefix("<>") {
        return Ok((rest, ReversePath::Null));
    }
    path(text).map(|(rest, mailbox)| (rest, ReversePath::Mailbox(mailbox)))
}

/// `"<Postmaster>" / Path`, the former in any case.
pub(super) fn forward_path(text: &str) -> Parsed<'_, ForwardPath<&str>> {
    const POSTMASTER: &str = "<Postmaster>";
    match text.split_at_checked(POSTMASTER.len()) {
        Some((head, rest)) if head.eq_ignore_ascii_case(POSTMASTER) => Ok((rest, ForwardPath::Postmaster)),
        Some(_) | None => path(text).map(|(rest, mailbox)| (rest, ForwardPath::Mailbox(mailbox))),
    }
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`.
fn path(text: &str) -> Parsed<'_, Mailbox<&str>> {
    let (rest, _) = want(Expected::Path, char('<'))(text)?;
    let (rest, ()) = if rest.starts_with('@') { source_route(rest)? } else { (rest, ()) };
    let (rest, mailbox) = mailbox(rest)?;
    let (rest, _) = want(Expected::Path, char('>'))(rest)?;
    Ok((rest, mailbox))
}

/// `A-d-l = "@" Domain *( "," "@" Domain )`, and its colon. RFC 5321 §3.6.1: read, and then ignored.
fn source_route(text: &str) -> Parsed<'_, ()> {
    let (mut rest, _) = at_domain(text)?;
    while let Some(next) = rest.strip_prefix(',') {
        (rest, _) = at_domain(next)?;
    }
    let (rest, _) = want(Expected::Path, char(':'))(rest)?;
    Ok((rest, ()))
}

fn at_domain(text: &str) -> Parsed<'_, Domain<&str>> {
    let (rest, _) = want(Expected::AtSign, char('@'))(text)?;
    domain(rest)
}

pub(super) fn mailbox(text: &str) -> Parsed<'_, Mailbox<&str>> {
    let (rest, local) = local_part(text)?;
    let (rest, domain) = at_domain(rest)?;
    let length = local.len().saturating_add(1).saturating_add(domain.as_str().len());
    match (text.get(..length), u16::try_from(local.len())) {
        (Some(whole), Ok(at)) => Ok((rest, Mailbox { text: whole, at })),
        (None, _) | (_, Err(_)) => fail(text, Expected::LocalPart),
    }
}

/// `Local-part = Dot-string / Quoted-string`.
fn local_part(text: &str) -> Parsed<'_, &str> {
    let (rest, local) = if text.starts_with('"') { quoted_string(text)? } else { dot_string(text)? };
    if local.len() > LOCAL_PART_MAX {
        return fail(text, Expected::LocalPart);
    }
    Ok((rest, local))
}

/// `Dot-string = Atom *("." Atom)`.
fn dot_string(text: &str) -> Parsed<'_, &str> {
    let mut rest = text;
    loop {
        let (atom, behind) = ATEXT.split(rest);
        if atom.is_empty() {
            return fail(text, Expected::LocalPart);
        }
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None => break rest = behind,
        }
    }
    match text.split_at_checked(text.len().saturating_sub(rest.len())) {
        Some((local, rest)) => Ok((rest, local)),
        None => fail(text, Expected::LocalPart),
    }
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`.
fn quoted_string(text: &str) -> Parsed<'_, &str> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let Some((local, rest)) = text.split_at_checked(at.saturating_add(1)) else { break };
                return Ok((rest, local));
            }
            '\\' if chars.next().is_some_and(|(_, c)| matches!(c, ' '..='~')) => {}
            '\\' => break,
            ' '..='~' => {}
            _ if is_utf8_char(c) => {}
            _ => break,
        }
    }
    fail(text, Expected::LocalPart)
}

/// RFC 5322 §3.2.3 `atext`, and RFC 6531 §3.3 beyond ASCII.
static ATEXT: Alphabet = Alphabet::alphanumeric_and(b"!#$%&'*+-/=?^_`{|}~", is_utf8_char);

#[cfg(test)]
mod tests {
    extern crate std;

    use alloc::string::ToString as _;
    use core::hash::Hasher as _;

    use super::*;

    #[test]
    fn a_mailbox_keeps_its_form_and_knows_its_parts() {
        let mailbox = Mailbox::parse("\"a\\\"b@c\"@[127.0.0.1]").unwrap();
        assert_eq!(mailbox.local_part(), "\"a\\\"b@c\"");
        assert_eq!(mailbox.unquoted_local_part(), "a\"b@c");
        assert_eq!(mailbox.domain().as_str(), "[127.0.0.1]");
        assert_eq!(mailbox.to_string(), "\"a\\\"b@c\"@[127.0.0.1]");
        assert_eq!(Mailbox::parse("jos\u{e9}@b\u{fc}cher.example").map(|mailbox| mailbox.is_ascii()), Ok(false));
    }

    #[test]
    fn mailboxes_are_equal_by_what_they_mean() {
        let hash = |mailbox: &Mailbox<&str>| {
            let mut hasher = std::hash::DefaultHasher::new();
            mailbox.hash(&mut hasher);
            hasher.finish()
        };
        for (a, b, equal) in [
            ("bob@example.org", "\"bob\"@EXAMPLE.org", true),
            ("\"b\\ob\"@[192.0.2.1]", "bob@[192.0.2.1]", true),
            ("a@[IPv6:2001:db8::1]", "a@[ipv6:2001:0DB8:0::1]", true),
            ("\"a\\\\b\"@c", "\"a\\b\"@c", false),
            ("Bob@example.org", "bob@example.org", false),
            ("a@[x25:b]", "a@[X25:b]", true),
            ("a@[x25:b]", "a@[x25:B]", false),
            ("a@[192.0.2.1]", "a@192.0.2.1", false),
            ("a@b", "a@c", false),
        ] {
            let (a, b) = (Mailbox::parse(a).unwrap(), Mailbox::parse(b).unwrap());
            assert_eq!((a == b, hash(&a) == hash(&b)), (equal, equal), "{a} {b}");
        }
    }

    #[test]
    fn null_and_postmaster_are_not_mailboxes() {
        assert_eq!(ReversePath::parse("<>"), Ok(ReversePath::Null));
        assert_eq!(ForwardPath::parse("<postMASTER>"), Ok(ForwardPath::Postmaster));
        assert_eq!(ForwardPath::parse("<>").map_err(|error| error.expected), Err(Expected::LocalPart));
        assert!(ReversePath::parse("<Postmaster>").is_err());
    }

    #[test]
    fn a_source_route_is_read_and_dropped() {
        let path = ForwardPath::parse("<@a.example,@[192.0.2.1]:bob@b.example>").unwrap();
        assert_eq!(path.to_string(), "<bob@b.example>");
        for text in ["<@a.example bob@b.example>", "<@a.example,bob@b.example>", "<@:b@c>", "<@a:@b:c@d>"] {
            assert!(ForwardPath::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_mailbox_is_refused_where_it_goes_wrong() {
        for (text, at, expected) in [
            ("", 0, Expected::LocalPart),
            ("@b", 0, Expected::LocalPart),
            ("a", 1, Expected::AtSign),
            ("a@", 2, Expected::Domain),
            ("a..b@c", 0, Expected::LocalPart),
            (".a@c", 0, Expected::LocalPart),
            ("a.@c", 0, Expected::LocalPart),
            ("a@b@c", 3, Expected::End),
            ("a b@c", 1, Expected::AtSign),
            ("\"a@c", 0, Expected::LocalPart),
            ("\"a\\\u{e9}\"@c", 0, Expected::LocalPart),
            ("\"a\"b@c", 3, Expected::AtSign),
            ("a@b>", 3, Expected::End),
            ("a(comment)@b", 1, Expected::AtSign),
            ("a\u{200b}@b", 1, Expected::AtSign),
        ] {
            assert_eq!(Mailbox::parse(text), Err(ParseError { at, expected }), "{text:?}");
        }
        let long = "a".repeat(257) + "@b";
        assert!(Mailbox::parse(&long).is_err());
    }
}
