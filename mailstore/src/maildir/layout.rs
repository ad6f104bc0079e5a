//! Maildir++: from a mailbox's name to its directory and back. INBOX is the account's directory itself; `A/B` is
//! `.A.B` in it, each level in modified UTF-7 (RFC 3501 §5.1.3).

use crate::names::{INBOX, canonical};

/// Where a mailbox is moved before its files are removed; Dovecot uses the same name and cleans it up.
pub(crate) const TRASH: &str = "..DOVECOT-TRASHED";

/// The longest name of a file.
const NAME_MAX: usize = 255;

/// The directory of a canonical name within the account's, empty for INBOX; `None` if there can be none: a level has a
/// dot in it, which would be another level on disk, or it is too long.
pub(crate) fn directory(name: &str) -> Option<String> {
    if name == INBOX {
        return Some(String::new());
    }
    if name.contains('.') {
        return None;
    }
    let mut directory = String::with_capacity(name.len() + 1);
    for level in name.split('/') {
        directory.push('.');
        encode(level, &mut directory);
    }
    (directory.len() <= NAME_MAX).then_some(directory)
}

/// The canonical name of a directory within the account's; `None` if it is not a mailbox's.
pub(crate) fn name(directory: &str) -> Option<String> {
    let levels = directory.strip_prefix('.')?.split('.');
    let levels = levels.map(decode).collect::<Option<Vec<_>>>()?;
    let name = canonical(&levels.join("/"))?;
    // What another directory stands for, such as `.INBOX` or another spelling of the same name, would be there twice.
    (self::directory(&name)? == directory).then_some(name)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn encode(level: &str, out: &mut String) {
    let mut units = Vec::new();
    for character in level.chars() {
        if matches!(character, ' '..='~') {
            flush(&mut units, out);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
        }
    }
    flush(&mut units, out);
}

/// Writes a shifted run: UTF-16 as bits, six to a character.
fn flush(units: &mut Vec<u16>, out: &mut String) {
    if units.is_empty() {
        return;
    }
    out.push('&');
    let (mut bits, mut count) = (0_u32, 0);
    for unit in units.drain(..) {
        bits = bits << 16 | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            out.push(digit(bits >> count));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(digit(bits << (6 - count)));
    }
    out.push('-');
}

fn digit(bits: u32) -> char {
    BASE64.get((bits & 63) as usize).copied().map_or('A', char::from)
}

fn decode(level: &str) -> Option<String> {
    let mut decoded = String::with_capacity(level.len());
    let mut rest = level;
    while let Some((plain, shifted)) = rest.split_once('&') {
        decoded.push_str(plain);
        let (run, after) = shifted.split_once('-')?;
        if run.is_empty() {
            decoded.push('&');
        } else {
            decoded.push_str(&decode_run(run)?);
        }
        rest = after;
    }
    decoded.push_str(rest);
    Some(decoded)
}

fn decode_run(run: &str) -> Option<String> {
    let (mut bits, mut count) = (0_u32, 0);
    let mut units = Vec::new();
    for octet in run.bytes() {
        let value = BASE64.iter().position(|known| *known == octet)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_the_directories_that_dovecot_makes() {
        for (name, dir) in [
            ("INBOX", Some("")),
            ("INBOX/Sub", Some(".INBOX.Sub")),
            ("Sub/Folder", Some(".Sub.Folder")),
            ("A&B", Some(".A&-B")),
            ("Büro/日本語", Some(".B&APw-ro.&ZeVnLIqe-")),
            ("😀", Some(".&2D3eAA-")),
            ("v1.0", None),
        ] {
            assert_eq!(directory(name).as_deref(), dir, "{name:?}");
            if let Some(dir) = dir.filter(|dir| !dir.is_empty()) {
                assert_eq!(super::name(dir).as_deref(), Some(name));
            }
        }
        assert_eq!(directory(&"ä".repeat(100)), None, "too long on disk");
    }

    #[test]
    fn what_is_no_mailbox_is_not_listed() {
        for dir in ["cur", "", ".", "..", TRASH, ".a..b", ".INBOX", ".inbox", ".inbox.x", ".a&b", ".&AGE-", ".a/b"] {
            assert_eq!(name(dir), None, "{dir:?}");
        }
    }

    proptest! {
        #[test]
        fn names_and_directories_are_one_to_one(text in "(?s)[^./]{1,12}(/[^./]{1,12}){0,2}") {
            if let Some(canon) = canonical(&text)
                && let Some(dir) = directory(&canon)
                && !dir.is_empty()
            {
                prop_assert_eq!(name(&dir), Some(canon));
            }
        }
    }
}
