//! The users' file as text: one `address:verifier` a line; blank lines, and lines that begin with `#`, say nothing.

use std::collections::HashMap;

use thiserror::Error;

use super::name::{Account, NameFault};
use super::verifier::{Verifier, VerifierFault, VerifierLimits};

/// What is wrong with one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LineFault {
    /// Not UTF-8.
    #[error("it is not UTF-8; write it anew, or remove it")]
    NotUtf8,
    /// No `:`.
    #[error("there is no ':' between an address and a verifier; write address:verifier, or '#' in front of a comment")]
    NoColon,
    /// What stands before the `:` is no address.
    #[error("{0}; a line begins with a full address, as in alice@example.org:…")]
    Address(NameFault),
    /// The address has a line already.
    #[error("its address has a line already, line {first}; remove one of them")]
    Twice {
        /// The other line, counted from 1.
        first: usize,
    },
    /// What stands behind the `:` is no verifier that is taken.
    #[error("{0}; set the password anew")]
    Verifier(VerifierFault),
}

/// Reads a whole file, or names the first line (counted from 1) that is wrong.
pub(super) fn parse(text: &[u8], limits: &VerifierLimits) -> Result<Vec<(Account, Verifier)>, (usize, LineFault)> {
    let mut seen: HashMap<Account, usize> = HashMap::new();
    let mut users = Vec::new();
    for (number, line) in (1..).zip(lines(text)) {
        let at = |fault| (number, fault);
        let Some((address, verifier)) = entry(line).map_err(at)? else { continue };
        let account = Account::new(address).map_err(|fault| at(LineFault::Address(fault)))?;
        if let Some(&first) = seen.get(&account) {
            return Err(at(LineFault::Twice { first }));
        }
        let verifier = Verifier::parse(verifier, limits).map_err(|fault| at(LineFault::Verifier(fault)))?;
        seen.insert(account.clone(), number);
        users.push((account, verifier));
    }
    Ok(users)
}

/// The text with one account's verifier set, and whether the account had a line before. All other lines stay as they
/// are.
pub(super) fn with_verifier(text: &[u8], account: &Account, verifier: &str) -> (Vec<u8>, Found) {
    let mut out = Vec::with_capacity(text.len() + account.address().len() + verifier.len() + 2);
    let mut found = Found::Nowhere;
    for line in lines(text) {
        let of = entry(line).ok().flatten().and_then(|(address, _)| Account::new(address).ok());
        if of.as_ref() == Some(account) {
            write_line(&mut out, account, verifier);
            found = Found::Replaced;
        } else {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }
    if found == Found::Nowhere {
        write_line(&mut out, account, verifier);
    }
    (out, found)
}

/// Whether an account had a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nowhere,
    Replaced,
}

/// Whether a file could hold this address: a `:` would end it too early, a `#` would make it a comment.
pub(super) fn holds(account: &Account) -> bool {
    !account.address().contains(':') && !account.address().starts_with('#')
}

fn entry(line: &[u8]) -> Result<Option<(&str, &str)>, LineFault> {
    let Ok(line) = std::str::from_utf8(line) else { return Err(LineFault::NotUtf8) };
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    line.split_once(':').map(Some).ok_or(LineFault::NoColon)
}

/// Lines end as editors end them, with or without CR, and the last one may not end at all.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&octet| octet == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

fn write_line(out: &mut Vec<u8>, account: &Account, verifier: &str) {
    for part in [account.address(), ":", verifier, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BCRYPT: &str = "$2y$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";

    fn fault(text: &str) -> (usize, LineFault) {
        parse(text.as_bytes(), &VerifierLimits::default()).unwrap_err()
    }

    #[test]
    fn comments_blank_lines_and_both_line_ends_are_understood() {
        let text = format!("# users\r\n\r\nAlice@Example.org:{BCRYPT}\r\n   \n  bob@example.org:{BCRYPT}");
        let users = parse(text.as_bytes(), &VerifierLimits::default()).unwrap();
        let addresses: Vec<_> = users.iter().map(|(account, _)| account.address()).collect();
        assert_eq!(addresses, ["alice@example.org", "bob@example.org"]);
    }

    #[test]
    fn a_fault_names_its_line() {
        assert_eq!(fault("# ok\nalice"), (2, LineFault::NoColon));
        assert_eq!(fault("\n\nalice:x\n"), (3, LineFault::Address(NameFault::NotAnAddress)));
        assert_eq!(fault("alice@example.org:secret"), (1, LineFault::Verifier(VerifierFault::Unknown)));
        let twice = format!("a@example.org:{BCRYPT}\nA@Example.ORG:{BCRYPT}\n");
        assert_eq!(fault(&twice), (2, LineFault::Twice { first: 1 }));
        let bytes = parse(b"\n\xff:x\n", &VerifierLimits::default());
        assert_eq!(bytes, Err((2, LineFault::NotUtf8)));
    }

    #[test]
    fn setting_a_verifier_leaves_the_other_lines_alone() {
        let alice = Account::new("alice@example.org").unwrap();
        let text = b"# head\nbob@example.org:old\nALICE@example.org:old\n\n# tail";
        let (after, found) = with_verifier(text, &alice, "new");
        assert_eq!(found, Found::Replaced);
        assert_eq!(after, b"# head\nbob@example.org:old\nalice@example.org:new\n\n# tail\n");
        let carol = Account::new("carol@example.org").unwrap();
        let (after, found) = with_verifier(b"# head", &carol, "new");
        assert_eq!((after.as_slice(), found), (&b"# head\ncarol@example.org:new\n"[..], Found::Nowhere));
    }

    proptest! {
        #[test]
        fn no_file_makes_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&text, &VerifierLimits::default());
        }
    }
}
