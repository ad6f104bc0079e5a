//! The wire's forms of strings, chosen so that whatever they hold cannot end the line (RFC 3501 §4.3).

use core::fmt;
use core::fmt::Write as _;

use bytes::{BufMut, BytesMut};

use crate::grammar::{is_astring_char, is_atom_char};
use crate::mailbox::encode_mutf7;

/// Longest quoted string. Some clients read lines into buffers of a fixed size.
const QUOTED_MAX: usize = 1000;

/// Writes formatted text.
pub(crate) fn text(out: &mut BytesMut, text: fmt::Arguments<'_>) {
    // Writing to a buffer that grows cannot fail.
    let _ = out.write_fmt(text);
}

/// `astring`: an atom where that is possible.
pub(crate) fn astring(out: &mut BytesMut, octets: &[u8]) {
    let plain = !octets.is_empty() && octets.iter().all(|octet| is_astring_char(*octet));
    if plain && !octets.eq_ignore_ascii_case(b"NIL") {
        out.put_slice(octets);
    } else {
        string(out, octets);
    }
}

/// `astring` as a client writes it, to a server that has LITERAL+.
pub(crate) fn argument(out: &mut BytesMut, octets: &[u8]) {
    if fits_quoted(octets) {
        astring(out, octets);
    } else {
        text(out, format_args!("{{{}+}}\r\n", octets.len()));
        out.put_slice(octets);
    }
}

/// A mailbox name. It is ASCII in modified UTF-7.
pub(crate) fn mailbox(out: &mut BytesMut, name: &str) {
    astring(out, encode_mutf7(name).as_bytes());
}

/// `string`: quoted where that is possible, or else a literal. NUL has no place in either and is left out.
pub(crate) fn string(out: &mut BytesMut, octets: &[u8]) {
    if fits_quoted(octets) {
        quoted(out, octets);
        return;
    }
    let nuls = memchr::memchr_iter(0, octets).count();
    text(out, format_args!("{{{}}}\r\n", octets.len().saturating_sub(nuls)));
    for part in octets.split(|octet| *octet == 0) {
        out.put_slice(part);
    }
}

pub(crate) fn fits_quoted(octets: &[u8]) -> bool {
    octets.len() <= QUOTED_MAX && octets.iter().all(|octet| matches!(octet, b' '..=b'~'))
}

fn quoted(out: &mut BytesMut, octets: &[u8]) {
    out.put_u8(b'"');
    for octet in octets {
        if matches!(octet, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*octet);
    }
    out.put_u8(b'"');
}

/// `nstring`
pub(crate) fn nstring(out: &mut BytesMut, octets: Option<&[u8]>) {
    match octets {
        Some(octets) => string(out, octets),
        None => out.put_slice(b"NIL"),
    }
}

/// Text at the end of a line: printable ASCII, and something at all. What has no place in it becomes `?`.
pub(crate) fn line_text(out: &mut BytesMut, text: &str) {
    if text.is_empty() {
        out.put_slice(b"-");
    }
    out.extend(text.bytes().take(TEXT_MAX).map(|octet| if matches!(octet, b' '..=b'~') { octet } else { b'?' }));
}

const TEXT_MAX: usize = 400;

/// Whether `octets` are one item as a server may write it in a parenthesised list: balanced, without a line end outside a
/// literal. For text that was made before and comes back from a cache.
pub(crate) fn is_one_item(octets: &[u8]) -> bool {
    let (mut rest, mut depth) = (octets, 0_usize);
    loop {
        rest = match rest {
            [b'(', after @ ..] => {
                depth = depth.saturating_add(1);
                after
            }
            [b')', after @ ..] => {
                let Some(outer) = depth.checked_sub(1) else { return false };
                depth = outer;
                after
            }
            [b' ', after @ ..] if depth > 0 => after,
            [b'"', after @ ..] => match behind_quoted(after) {
                Some(after) => after,
                None => return false,
            },
            [b'{', after @ ..] => match behind_literal(after) {
                Some(after) => after,
                None => return false,
            },
            [octet, after @ ..] if is_atom_char(*octet) || matches!(octet, b'\\' | b'*' | b'%' | b']') => after,
            _ => return false,
        };
        if rest.is_empty() {
            return depth == 0;
        }
    }
}

fn behind_quoted(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'"' | b'\\', after @ ..] => after,
            [b'\\' | b'\r' | b'\n' | 0, ..] | [] => return None,
            [_, after @ ..] => after,
        };
    }
}

fn behind_literal(rest: &[u8]) -> Option<&[u8]> {
    let close = rest.iter().position(|octet| *octet == b'}')?;
    let (digits, after) = rest.split_at_checked(close)?;
    let size: usize = core::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?.parse().ok()?;
    after.strip_prefix(b"}\r\n")?.get(size..)
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::grammar;

    fn written(write: fn(&mut BytesMut, &[u8]), octets: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut out, octets);
        out.to_vec()
    }

    #[test]
    fn the_plainest_form_that_is_safe() {
        assert_eq!(written(astring, b"INBOX"), b"INBOX");
        assert_eq!(written(astring, b"nil"), b"\"nil\"");
        assert_eq!(written(astring, b""), b"\"\"");
        assert_eq!(written(astring, b"a b"), b"\"a b\"");
        assert_eq!(written(astring, br#"a"\"#), br#""a\"\\""#);
        assert_eq!(written(string, b"a\r\n* BYE\0x"), b"{9}\r\na\r\n* BYEx");
        assert_eq!(written(string, "\u{e9}".as_bytes()), b"{2}\r\n\xc3\xa9");
    }

    #[test]
    fn cached_text_that_would_break_the_line_is_found() {
        for good in [&b"NIL"[..], b"(\"a\" NIL (\"x\\\"\" {3}\r\n\r\n) 7))", b"((\"TEXT\")(\"TEXT\") \"MIXED\")", b"()"]
        {
            assert!(is_one_item(good), "{:?}", String::from_utf8_lossy(good));
        }
        for bad in [
            &b""[..],
            b"(",
            b")",
            b"(a))",
            b"a b",
            b"(a\r\n)",
            b"(\"a)",
            b"({9}\r\nabc)",
            b"(\"a\r\n\")",
            b"({+1}\r\na)",
        ] {
            assert!(!is_one_item(bad), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        #[test]
        fn a_written_string_is_read_as_it_was(octets in prop::collection::vec(1_u8.., 0..40)) {
            for form in [astring, string] {
                let written = written(form, &octets);
                prop_assert_eq!(&*grammar::whole(&written, grammar::astring).unwrap(), &octets[..]);
            }
        }

        #[test]
        fn a_line_of_text_is_one_line(given in "\\PC*|[\r\n\0a]*") {
            let mut out = BytesMut::new();
            line_text(&mut out, &given);
            prop_assert!(!out.is_empty() && out.iter().all(|octet| matches!(octet, b' '..=b'~')));
        }
    }
}
