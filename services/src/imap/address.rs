//! Addresses in a header field (RFC 5322 §3.4), as ENVELOPE tells them: not decoded, and something for anything.

use super::header::{behind_space, comment, quoted};

/// Addresses of one field that are told. A list of recipients may be long; nobody reads a thousand names.
const ADDRESSES_MAX: usize = 1000;

/// An address; the beginning of a group, which has no host; or the end of one, which has nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Address {
    /// The name of the person.
    pub(super) name: Option<Vec<u8>>,
    /// The part before the `@`, or the group's name.
    pub(super) mailbox: Option<Vec<u8>>,
    /// The part behind the `@`; empty where there is none.
    pub(super) host: Option<Vec<u8>>,
}

/// Reads the addresses of a field in time that grows with its length alone.
pub(super) fn parse(value: &[u8]) -> Vec<Address> {
    let mut reader = Reader { rest: value, ..Reader::default() };
    while reader.found.len() < ADDRESSES_MAX && reader.step() {}
    reader.end_address();
    reader.end_group();
    reader.found
}

#[derive(Default)]
struct Reader<'a> {
    rest: &'a [u8],
    found: Vec<Address>,
    group: Group,
    /// Words of the present address, with a space between any two.
    phrase: Vec<u8>,
    /// The last comment within the present address: old mailers put the name there.
    remark: Option<Vec<u8>>,
    /// The present address, when its mailbox was read.
    address: Option<Address>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Group {
    #[default]
    Outside,
    Inside,
}

impl Reader<'_> {
    /// Reads on by one word or mark. False at the end.
    fn step(&mut self) -> bool {
        match self.rest {
            [] => return false,
            [b' ' | b'\t' | b'\r' | b'\n' | 0, rest @ ..] => self.rest = rest,
            [b'(', rest @ ..] => {
                let (text, rest) = comment(rest);
                self.remark = Some(text.trim_ascii().to_vec());
                self.rest = rest;
            }
            [b',', rest @ ..] => {
                self.rest = rest;
                self.end_address();
            }
            [b';', rest @ ..] => {
                self.rest = rest;
                self.end_address();
                self.end_group();
            }
            [b':', rest @ ..] => {
                self.rest = rest;
                self.begin_group();
            }
            [b'<', rest @ ..] => {
                self.rest = rest;
                self.in_angles();
            }
            [b'@', rest @ ..] => {
                self.rest = rest;
                let mailbox = std::mem::take(&mut self.phrase);
                let host = self.domain();
                self.set(None, mailbox, host);
            }
            [b'>' | b')' | b']' | b'[', rest @ ..] => self.rest = rest,
            _ => {
                let word = self.word();
                if !self.phrase.is_empty() {
                    self.phrase.push(b' ');
                }
                self.phrase.extend(word);
            }
        }
        true
    }

    /// `<mailbox@host>`, with an obsolete route before it that is passed over.
    fn in_angles(&mut self) {
        let name = std::mem::take(&mut self.phrase);
        self.rest = behind_space(self.rest);
        if let [b'@', ..] = self.rest {
            let end = self.rest.iter().position(|octet| matches!(octet, b':' | b'>')).unwrap_or(self.rest.len());
            let behind = self.rest.get(end..).unwrap_or_default();
            self.rest = behind.strip_prefix(b":").unwrap_or(behind);
        }
        let mut mailbox = Vec::new();
        let host = loop {
            self.rest = behind_space(self.rest);
            match self.rest {
                [b'@', rest @ ..] => {
                    self.rest = rest;
                    break self.domain();
                }
                [b'>' | b',' | b';', ..] | [] => break Vec::new(),
                [b'<' | b':' | b')' | b'[' | b']', rest @ ..] => self.rest = rest,
                _ => mailbox.extend(self.word()),
            }
        };
        self.rest = behind_space(self.rest);
        self.rest = self.rest.strip_prefix(b">").unwrap_or(self.rest);
        self.set((!name.is_empty()).then_some(name), mailbox, host);
    }

    fn domain(&mut self) -> Vec<u8> {
        let mut host = Vec::new();
        loop {
            // Not over comments: there may be a name in one.
            self.rest = self.rest.trim_ascii_start();
            match self.rest {
                [b'[', ..] if host.is_empty() => {
                    let end = self.rest.iter().position(|octet| *octet == b']').map_or(self.rest.len(), |end| end + 1);
                    let (literal, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
                    host.extend(literal.iter().filter(|octet| !matches!(octet, b'\r' | b'\n' | 0)));
                    self.rest = rest;
                    return host;
                }
                // A domain goes on behind a space only where a dot is there.
                [octet, ..] if is_word(*octet) && (*octet == b'.' || host.is_empty() || host.ends_with(b".")) => {
                    host.extend(self.word());
                }
                _ => return host,
            }
        }
    }

    /// A quoted string or an atom, with dots in it.
    fn word(&mut self) -> Vec<u8> {
        if let [b'"', rest @ ..] = self.rest {
            let (text, rest) = quoted(rest);
            self.rest = rest;
            return text;
        }
        let end = self.rest.iter().position(|octet| !is_word(*octet)).unwrap_or(self.rest.len());
        // Something is taken in any case, so that there is an end.
        let (word, rest) = self.rest.split_at_checked(end.max(1)).unwrap_or((self.rest, &[]));
        self.rest = rest;
        word.to_vec()
    }

    /// The first mailbox of an address counts.
    fn set(&mut self, name: Option<Vec<u8>>, mailbox: Vec<u8>, host: Vec<u8>) {
        self.address.get_or_insert(Address { name, mailbox: Some(mailbox), host: Some(host) });
    }

    fn end_address(&mut self) {
        let phrase = std::mem::take(&mut self.phrase);
        let remark = self.remark.take();
        match self.address.take() {
            Some(address) => self.found.push(Address { name: address.name.or(remark), ..address }),
            // A word alone: local mail of old, or something broken.
            None if !phrase.is_empty() => {
                self.found.push(Address { name: remark, mailbox: Some(phrase), host: Some(Vec::new()) });
            }
            None => {}
        }
    }

    fn begin_group(&mut self) {
        self.end_group();
        self.address = None;
        self.remark = None;
        let name = std::mem::take(&mut self.phrase);
        self.found.push(Address { mailbox: Some(name), ..Address::default() });
        self.group = Group::Inside;
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.group) == Group::Inside {
            self.found.push(Address::default());
        }
    }
}

const fn is_word(octet: u8) -> bool {
    !matches!(
        octet,
        b'(' | b')' | b'<' | b'>' | b'[' | b']' | b':' | b';' | b'@' | b',' | b'"' | b' ' | b'\t' | b'\r' | b'\n' | 0
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Name, mailbox and host of each, `-` for what is not there.
    fn read(value: &str) -> Vec<String> {
        let text = |octets: &Option<Vec<u8>>| {
            octets.as_ref().map_or("-".to_owned(), |octets| String::from_utf8_lossy(octets).into_owned())
        };
        let line = |a: Address| format!("{}|{}|{}", text(&a.name), text(&a.mailbox), text(&a.host));
        parse(value.as_bytes()).into_iter().map(line).collect()
    }

    #[test]
    fn addresses_in_all_their_forms() {
        for (value, expected) in [
            ("a@b.example", &["-|a|b.example"][..]),
            ("John Doe <john.doe@example.org>", &["John Doe|john.doe|example.org"]),
            ("\"Doe, John\" <\"john doe\"@example.org>, b@c", &["Doe, John|john doe|example.org", "-|b|c"]),
            ("john@example.org (John (the) Doe)", &["John (the) Doe|john|example.org"]),
            ("=?utf-8?q?J=C3=BC?= <j@x>", &["=?utf-8?q?J=C3=BC?=|j|x"]),
            ("<@relay,@other:a@b>", &["-|a|b"]),
            ("a @ b . c", &["-|a|b.c"]),
            ("x <a@[192.0.2.1]>", &["x|a|[192.0.2.1]"]),
            ("root", &["-|root|"]),
            ("Friends: a@b, C <c@d>;, e@f", &["-|Friends|-", "-|a|b", "C|c|d", "-|-|-", "-|e|f"]),
            ("undisclosed-recipients:;", &["-|undisclosed-recipients|-", "-|-|-"]),
            ("open: a@b", &["-|open|-", "-|a|b", "-|-|-"]),
            ("A\r\n B\r\n <a@b>", &["A B|a|b"]),
            ("<>, <a, b@c>", &["-||", "-|a|", "-|b|c"]),
            (",,;;>@<", &["-||"]),
            ("", &[]),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn a_long_list_is_told_in_part() {
        let many = "a@b, ".repeat(5 * ADDRESSES_MAX);
        assert_eq!(parse(many.as_bytes()).len(), ADDRESSES_MAX);
    }

    proptest! {
        #[test]
        fn groups_are_closed_and_addresses_whole(value in "[a,;:<>@.\"() \\[\\]\\\\\r\n]{0,40}") {
            let mut inside = false;
            for address in parse(value.as_bytes()) {
                match (&address.mailbox, &address.host) {
                    (Some(_), Some(_)) => {}
                    (Some(_), None) => {
                        prop_assert!(!inside);
                        inside = true;
                    }
                    (None, _) => {
                        prop_assert!(inside && address == Address::default());
                        inside = false;
                    }
                }
            }
            prop_assert!(!inside);
        }
    }
}
