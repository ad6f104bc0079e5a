//! From an address to its account's directory and back.

use std::path::PathBuf;

/// The longest name of a file.
const NAME_MAX: usize = 255;

/// The directory of an address, below a store's root: `DOMAIN/LOCALPART`, ASCII letters folded to lower case, and all
/// octets percent-encoded but `a`–`z`, `0`–`9`, `+`, `_`, `=`, `-`, and dots within. `None` if it cannot name an
/// account: a part is missing or too long.
///
/// Letters outside ASCII are not folded: whoever says who may log in folds the same way, and where two ways differ two
/// people would share a directory.
///
/// ```
/// use mailstore::maildir::{account_address, account_directory};
///
/// let directory = account_directory("O'Neil@Example.ORG").unwrap();
/// assert_eq!(directory.to_str(), Some("example.org/o%27neil"));
/// assert_eq!(account_address("example.org", "o%27neil").as_deref(), Some("o'neil@example.org"));
/// ```
pub fn account_directory(address: &str) -> Option<PathBuf> {
    let (local, domain) = address.rsplit_once('@')?;
    let (local, domain) = (encode(local), encode(domain));
    let fits = |name: &str| (1..=NAME_MAX).contains(&name.len());
    (fits(&local) && fits(&domain)).then(|| [domain, local].iter().collect())
}

/// The address, folded, whose directory has these two names; `None` if no address has.
pub fn account_address(domain: &str, local: &str) -> Option<String> {
    let address = format!("{}@{}", decode(local)?, decode(domain)?);
    let directory = account_directory(&address)?;
    (directory.as_os_str() == format!("{domain}/{local}").as_str()).then_some(address)
}

fn encode(part: &str) -> String {
    let mut encoded = String::with_capacity(part.len());
    for (at, octet) in part.bytes().map(|octet| octet.to_ascii_lowercase()).enumerate() {
        let inner = at > 0 && at + 1 < part.len();
        match octet {
            b'a'..=b'z' | b'0'..=b'9' | b'+' | b'_' | b'=' | b'-' => encoded.push(char::from(octet)),
            b'.' if inner => encoded.push('.'),
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
    }
    encoded
}

fn decode(name: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |octet: &u8| char::from(*octet).to_digit(16);
                octets.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                rest = after;
            }
            (octet, after) => {
                octets.push(*octet);
                rest = after;
            }
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_be_a_plain_name_is_encoded() {
        for (address, directory) in [
            ("alice@example.org", Some("example.org/alice")),
            ("A.B+c_d=e-f@X.y", Some("x.y/a.b+c_d=e-f")),
            (".@..", Some("%2E%2E/%2E")),
            ("..a..@x", Some("x/%2E.a.%2E")),
            ("a/../b@x", Some("x/a%2F..%2Fb")),
            ("a@b@c", Some("c/a%40b")),
            ("%41@x", Some("x/%2541")),
            ("ä\0@x", Some("x/%C3%A4%00")),
            ("Ä@x", Some("x/%C3%84")),
            ("alice", None),
            ("@x", None),
            ("x@", None),
        ] {
            assert_eq!(account_directory(address), directory.map(PathBuf::from), "{address:?}");
        }
        assert_eq!(account_directory(&format!("{}@x", "ä".repeat(43))), None, "258 octets");
        for (domain, local) in [("x", "A"), ("x", "a%41"), ("x", "a%2f"), ("x", "a%2"), ("x", ".a"), ("x", "%FF")] {
            assert_eq!(account_address(domain, local), None, "{domain:?} {local:?}");
        }
    }

    proptest! {
        #[test]
        fn directories_and_folded_addresses_are_one_to_one(local in "(?s).{1,20}", domain in "(?s)[^@]{1,20}") {
            let address = format!("{local}@{domain}");
            if let Some(directory) = account_directory(&address) {
                let names: Vec<_> = directory.iter().map(|name| name.to_str().unwrap()).collect();
                prop_assert_eq!(names.len(), 2);
                prop_assert_eq!(account_address(names[0], names[1]), Some(address.to_ascii_lowercase()));
            }
        }
    }
}
