//! What Courier's POP3 server leaves behind: unique-ids of its own, which have nothing to do with the UIDs of its IMAP
//! server. When a mailbox is taken over, they become Dovecot's field `P`.
//!
//! ```text
//! /3 3 1700000000
//! 1700000000.M1P1.host:2,S 2345 1:1700000000:0
//! ```
//!
//! The first line has the version (2 or 3), the next number and the mailbox's UIDVALIDITY; each further line a file's
//! name, its octets, and number, UIDVALIDITY and (version 3) whether its header is UTF-8.

use std::sync::Arc;

use super::basename::{self, Base};

pub(crate) const NAME: &str = "courierpop3dsizelist";

/// The unique-ids in such a file. Lines that cannot be read are passed over, and so are messages without a number: they
/// have been there since before 2004, by names that are no unique-ids to us.
pub(crate) fn uidls(content: &[u8]) -> Vec<(Base, String)> {
    let mut lines = content.split(|octet| *octet == b'\n');
    let known = lines.next().is_some_and(|header| header.starts_with(b"/2 ") || header.starts_with(b"/3 "));
    if known { lines.filter_map(uidl).collect() } else { Vec::new() }
}

fn uidl(line: &[u8]) -> Option<(Base, String)> {
    let mut words = line.rsplitn(3, |octet| *octet == b' ');
    let (numbers, _, name) = (std::str::from_utf8(words.next()?).ok()?, words.next()?, words.next()?);
    let mut numbers = numbers.split(':').map(|number| number.parse::<u64>().ok());
    let (number, uidvalidity) = (numbers.next()??, numbers.next()??);
    let base = Arc::from(basename::parse(name).0);
    match (number, uidvalidity) {
        (0, _) => None,
        (number, 0) => Some((base, format!("UID{number}"))),
        (number, uidvalidity) => Some((base, format!("UID{number}-{uidvalidity}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Vec<(String, String)> {
        let text = |base: Base| String::from_utf8(base.to_vec()).unwrap();
        uidls(content.as_bytes()).into_iter().map(|(base, uidl)| (text(base), uidl)).collect()
    }

    /// The first is what courier-pop 1.0.16 wrote.
    #[test]
    fn both_versions_are_read() {
        let new =
            "/3 3 1795317283\n1700000001.M1P1.host:2, 13 1:1795317283:0\n1700000002.M2P1.host:2,S 11 2:1795317283:1\n";
        let old = "/2 3 1795317283\n1700000001.M1P1.host 13 1:1795317283\n1700000002.M2P1.host:2,S 11 2:0\n";
        let first = ("1700000001.M1P1.host".to_owned(), "UID1-1795317283".to_owned());
        let second = |uidl: &str| ("1700000002.M2P1.host".to_owned(), uidl.to_owned());
        assert_eq!(read(new), [first.clone(), second("UID2-1795317283")]);
        assert_eq!(read(old), [first, second("UID2")]);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        assert_eq!(
            read("/3 9 1\n\na\na 1\na 1 0:5:0\na 1 x:5:0\na 1 -1:5\na 1 7\n1.b c 12 8:5:0"),
            [("1.b c".to_owned(), "UID8-5".to_owned())]
        );
        for other in ["", "/1 2 3\na 1 8:5\n", "/4 2 3\na 1 8:5\n", "a 1\n"] {
            assert_eq!(read(other), []);
        }
    }
}
