//! Mailbox names: UTF-8 towards the application, modified UTF-7 on the wire (RFC 3501 §5.1).

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;

const BASE64: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// A mailbox name that no mailbox can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not modified UTF-7 in its one canonical form (RFC 3501 §5.1.3).
    #[error("not canonical modified UTF-7")]
    Encoding,
    /// A control character, encoded or not.
    #[error("a control character in a mailbox name")]
    Control,
    /// Longer than the server allows.
    #[error("the mailbox name is too long")]
    TooLong,
    /// Nothing at all.
    #[error("the mailbox name is empty")]
    Empty,
}

/// Encodes a name for the wire.
#[must_use]
pub fn encode_mutf7(name: &str) -> String {
    let mut wire = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let plain = is_plain(first);
        let run = rest.find(|c| is_plain(c) != plain).unwrap_or(rest.len());
        let Some((run, after)) = rest.split_at_checked(run) else { break };
        if plain {
            wire.extend(run.split_inclusive('&').flat_map(|part| match part.strip_suffix('&') {
                Some(before) => [before, "&-"],
                None => [part, ""],
            }));
        } else {
            let utf16: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            wire.push('&');
            BASE64.encode_string(utf16, &mut wire);
            wire.push('-');
        }
        rest = after;
    }
    wire
}

/// Decodes a name from the wire. Only the canonical form passes: two spellings of one name would be two keys to one door.
///
/// # Errors
/// [`NameError::Encoding`] for anything that [`encode_mutf7`] would not have written.
pub fn decode_mutf7(wire: &[u8]) -> Result<String, NameError> {
    let text = core::str::from_utf8(wire).ok().filter(|text| text.chars().all(is_plain)).ok_or(NameError::Encoding)?;
    let mut name = String::with_capacity(text.len());
    let mut parts = text.split('&');
    name.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (shifted, plain) = part.split_once('-').ok_or(NameError::Encoding)?;
        if shifted.is_empty() {
            name.push('&');
        } else {
            let utf16 = BASE64.decode(shifted).map_err(|_| NameError::Encoding)?;
            let (units, []) = utf16.as_chunks::<2>() else { return Err(NameError::Encoding) };
            for c in char::decode_utf16(units.iter().copied().map(u16::from_be_bytes)) {
                name.push(c.map_err(|_| NameError::Encoding)?);
            }
        }
        name.push_str(plain);
    }
    if encode_mutf7(&name) == text { Ok(name) } else { Err(NameError::Encoding) }
}

/// Decodes a mailbox name, refuses what cannot be one, and folds INBOX.
pub(crate) fn decode_name(wire: &[u8], separator: char, limit: usize) -> Result<String, NameError> {
    let name = decode_mutf7(wire)?;
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > limit {
        return Err(NameError::TooLong);
    }
    if name.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    Ok(fold_inbox(name, separator))
}

/// INBOX is the same in any case (RFC 3501 §5.1), alone and as the first of several levels.
pub(crate) fn fold_inbox(name: String, separator: char) -> String {
    match inbox_prefix(&name, separator) {
        Some(rest) if !name.starts_with(INBOX) => [INBOX, rest].concat(),
        Some(_) | None => name,
    }
}

pub(crate) const INBOX: &str = "INBOX";

/// What follows INBOX, if that is the first level of `name`.
pub(crate) fn inbox_prefix(name: &str, separator: char) -> Option<&str> {
    let (first, rest) = name.split_at_checked(INBOX.len())?;
    (first.eq_ignore_ascii_case(INBOX) && (rest.is_empty() || rest.starts_with(separator))).then_some(rest)
}

const fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_of_the_rfc() {
        let name = "~peter/mail/\u{53f0}\u{5317}/\u{65e5}\u{672c}\u{8a9e}";
        assert_eq!(encode_mutf7(name), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(decode_mutf7(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").as_deref(), Ok(name));
        assert_eq!(decode_mutf7(b"&Jjo-!").as_deref(), Ok("\u{263a}!"));
        assert_eq!(decode_mutf7(b"A&-B&-").as_deref(), Ok("A&B&"));
        // RFC 3501 §5.1.3 names both as not permitted: no shift may be superfluous.
        assert_eq!(decode_mutf7(b"&U,BTFw-&ZeVnLIqe-"), Err(NameError::Encoding));
        assert_eq!(decode_mutf7(b"&Jjo!"), Err(NameError::Encoding));
    }

    #[test]
    fn one_name_has_one_spelling() {
        for bad in [
            &b"&"[..],
            b"&AGE-",
            b"&AC8-",
            b"&2D0-",
            b"&U,B-",
            b"&U,BTFx-",
            b"&Jjp-",
            b"\xe4",
            b"&Jjo",
            b"&Jjo=-",
            b"a\tb",
            b"&Jj/-",
            b"&ACY-",
        ] {
            assert_eq!(decode_mutf7(bad), Err(NameError::Encoding), "{:?}", bad.escape_ascii().to_string());
        }
    }

    #[test]
    fn names_are_checked_and_inbox_is_folded() {
        let name = |wire: &[u8]| decode_name(wire, '/', 20);
        assert_eq!(name(b"inBox").as_deref(), Ok("INBOX"));
        assert_eq!(name(b"inbox/sub").as_deref(), Ok("INBOX/sub"));
        assert_eq!(name(b"inboxes").as_deref(), Ok("inboxes"));
        assert_eq!(name(b"a/inbox").as_deref(), Ok("a/inbox"));
        assert_eq!(name(b""), Err(NameError::Empty));
        assert_eq!(name(b"&AAo-"), Err(NameError::Control));
        assert_eq!(name(b"&AAA-"), Err(NameError::Control));
        assert_eq!(name(b"123456789012345678901"), Err(NameError::TooLong));
    }

    proptest! {
        #[test]
        fn every_name_survives_the_wire(name in "\\PC{0,20}|[a-z&/-]{0,10}|\u{10000}[a&\u{e9}\u{0}]{0,5}") {
            prop_assert_eq!(decode_mutf7(encode_mutf7(&name).as_bytes()), Ok(name));
        }

        #[test]
        fn what_is_decoded_is_canonical(wire in "[ -~]{0,12}|(&[A-Za-z0-9+,]{2,8}-){1,2}") {
            if let Ok(name) = decode_mutf7(wire.as_bytes()) {
                prop_assert_eq!(encode_mutf7(&name), wire);
            }
        }
    }
}
