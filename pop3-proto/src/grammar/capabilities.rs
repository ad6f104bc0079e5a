//! What a server can do: the lines of CAPA (RFC 2449 §5).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::listing::digits;
use super::text::Mechanism;

/// What the latest CAPA offered; the default offers nothing, as a server without CAPA does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `TOP` (RFC 2449 §6.1).
    pub top: bool,
    /// `UIDL` (RFC 2449 §6.8).
    pub uidl: bool,
    /// `USER`: USER and PASS (RFC 2449 §6.2).
    pub user: bool,
    /// `SASL`: mechanisms of AUTH (RFC 2449 §6.3), the first sixteen of them.
    pub sasl: Vec<Mechanism>,
    /// `RESP-CODES` (RFC 2449 §6.4).
    pub resp_codes: bool,
    /// `AUTH-RESP-CODE` (RFC 3206 §6).
    pub auth_resp_code: bool,
    /// `PIPELINING` (RFC 2449 §6.6).
    pub pipelining: bool,
    /// `STLS` (RFC 2595 §4).
    pub stls: bool,
    /// `UTF8` (RFC 6856 §2).
    pub utf8: bool,
    /// `UTF8 USER`: names and passwords may be UTF-8 (RFC 6856 §2.2).
    pub utf8_user: bool,
    /// `LANG` (RFC 6856 §3).
    pub lang: bool,
    /// `EXPIRE`: how long messages are kept (RFC 2449 §6.7).
    pub expire: Option<Announced<Expire>>,
    /// `LOGIN-DELAY`: seconds from one login to the next (RFC 2449 §6.5).
    pub login_delay: Option<Announced<u32>>,
    /// `IMPLEMENTATION`: what the software calls itself (RFC 2449 §6.9).
    pub implementation: Option<Box<str>>,
}

/// A site's policy, as CAPA tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced<T> {
    /// It is this for everybody; behind a login, for this user.
    Fixed(T),
    /// It differs: this is the hardest that any user meets, and CAPA behind the login says more.
    PerUser(T),
}

/// How long messages are kept, at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    /// The server deletes none.
    Never,
    /// Days; 0 is as long as they were not fetched.
    Days(u32),
}

/// More than these no server means, and nobody picks from.
const MECHANISMS_MAX: usize = 16;

impl Capabilities {
    /// Reads one line, without its line end. One that is not understood is passed over (RFC 2449 §5).
    pub fn add(&mut self, line: &[u8]) {
        let mut words = line.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
        let Some(keyword) = words.next() else { return };
        let is = |name: &str| keyword.eq_ignore_ascii_case(name.as_bytes());
        if is("TOP") {
            self.top = true;
        } else if is("UIDL") {
            self.uidl = true;
        } else if is("USER") {
            self.user = true;
        } else if is("SASL") {
            let names = words.filter_map(|word| Mechanism::parse(word).ok()).map(Mechanism::into_owned);
            self.sasl = names.take(MECHANISMS_MAX).collect();
        } else if is("RESP-CODES") {
            self.resp_codes = true;
        } else if is("AUTH-RESP-CODE") {
            self.auth_resp_code = true;
        } else if is("PIPELINING") {
            self.pipelining = true;
        } else if is("STLS") {
            self.stls = true;
        } else if is("UTF8") {
            self.utf8 = true;
            self.utf8_user = words.any(|word| word.eq_ignore_ascii_case(b"USER"));
        } else if is("LANG") {
            self.lang = true;
        } else if is("EXPIRE") {
            self.expire = announced(words, |word| match word {
                _ if word.eq_ignore_ascii_case(b"NEVER") => Some(Expire::Never),
                _ => number(word).map(Expire::Days),
            });
        } else if is("LOGIN-DELAY") {
            self.login_delay = announced(words, number);
        } else if is("IMPLEMENTATION") {
            let text = line.trim_ascii_start().get(keyword.len()..).unwrap_or_default().trim_ascii();
            self.implementation = Some(text.iter().map(|octet| printable(*octet)).collect());
        }
    }

    pub(crate) fn memory(&self) -> usize {
        let names: usize = self.sasl.iter().map(|name| name.as_str().len()).sum();
        let implementation = self.implementation.as_ref().map_or(0, |text| text.len());
        names.saturating_add(self.sasl.capacity().saturating_mul(size_of::<Mechanism>())).saturating_add(implementation)
    }
}

/// As it stands in CAPA.
impl<T: fmt::Display> fmt::Display for Announced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(value) => write!(f, "{value}"),
            Self::PerUser(value) => write!(f, "{value} USER"),
        }
    }
}

/// As it stands in CAPA.
impl fmt::Display for Expire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("NEVER"),
            Self::Days(days) => write!(f, "{days}"),
        }
    }
}

fn announced<'a, T>(
    mut words: impl Iterator<Item = &'a [u8]>,
    value: impl FnOnce(&'a [u8]) -> Option<T>,
) -> Option<Announced<T>> {
    let value = value(words.next()?)?;
    let per_user = words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"USER"));
    Some(if per_user { Announced::PerUser(value) } else { Announced::Fixed(value) })
}

fn number(word: &[u8]) -> Option<u32> {
    digits(word).and_then(|number| u32::try_from(number).ok())
}

fn printable(octet: u8) -> char {
    match octet {
        b' '..=b'~' => char::from(octet),
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&[u8]]) -> Capabilities {
        let mut offered = Capabilities::default();
        lines.iter().for_each(|line| offered.add(line));
        offered
    }

    #[test]
    fn the_example_of_rfc_2449() {
        let lines: [&[u8]; 9] = [
            b"TOP",
            b"USER",
            b"SASL CRAM-MD5 KERBEROS_V4",
            b"RESP-CODES",
            b"LOGIN-DELAY 900",
            b"PIPELINING",
            b"EXPIRE 60",
            b"UIDL",
            b"IMPLEMENTATION Shlemazle-Plotz-v302",
        ];
        let names: [&[u8]; 2] = [b"CRAM-MD5", b"KERBEROS_V4"];
        let sasl = names.iter().map(|name| Mechanism::parse(name).unwrap().into_owned()).collect();
        let expected = Capabilities {
            top: true,
            user: true,
            uidl: true,
            sasl,
            resp_codes: true,
            pipelining: true,
            login_delay: Some(Announced::Fixed(900)),
            expire: Some(Announced::Fixed(Expire::Days(60))),
            implementation: Some("Shlemazle-Plotz-v302".into()),
            ..Capabilities::default()
        };
        assert_eq!(read(&lines), expected);
    }

    #[test]
    fn later_extensions_and_policies_that_differ() {
        let offered =
            read(&[b"stls", b"utf8 user", b"LANG", b"AUTH-RESP-CODE", b"EXPIRE 5 USER", b"LOGIN-DELAY 60 user"]);
        assert!(offered.stls && offered.utf8 && offered.utf8_user && offered.lang && offered.auth_resp_code);
        assert_eq!(offered.expire, Some(Announced::PerUser(Expire::Days(5))));
        assert_eq!(offered.login_delay, Some(Announced::PerUser(60)));
        assert_eq!(read(&[b"EXPIRE NEVER"]).expire, Some(Announced::Fixed(Expire::Never)));
        assert!(!read(&[b"UTF8"]).utf8_user);
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let odd: [&[u8]; 7] =
            [b"", b" ", b"XYZZY 1", b"EXPIRE", b"EXPIRE x", b"LOGIN-DELAY -1", b"LOGIN-DELAY 4294967296"];
        assert_eq!(read(&odd), Capabilities::default());
        assert_eq!(read(&[b"SASL PLAIN \xff LOGIN"]).sasl.len(), 2);
        let many = [b"SASL".as_slice(), &b" X".repeat(40)].concat();
        assert_eq!(read(&[&many]).sasl.len(), MECHANISMS_MAX);
        assert!(read(&[&many]).memory() > MECHANISMS_MAX);
        assert_eq!(read(&[b"IMPLEMENTATION a\x01 b "]).implementation.as_deref(), Some("a? b"));
    }

    #[test]
    fn policies_are_written_as_they_are_read() {
        for text in ["EXPIRE NEVER", "EXPIRE 30", "EXPIRE 0 USER"] {
            assert_eq!(alloc::format!("EXPIRE {}", read(&[text.as_bytes()]).expire.unwrap()), text);
        }
    }
}
