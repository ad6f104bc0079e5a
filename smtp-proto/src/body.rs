//! A message on the wire: lines, the dots that protect them, the lone dot that ends them (RFC 5321 §4.5.2).
//!
//! Most octets of most messages need no thought. [`plain`] finds them many at a time, and they go on as they are; what is
//! left is looked at octet by octet.

mod plain;
mod stuff;
mod unstuff;

pub(crate) use stuff::Stuff;
pub(crate) use unstuff::{Rules, Stop, Taken, Unstuff};

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use bytes::BytesMut;

    use super::*;
    use crate::Misuse;

    fn stuffed(pieces: &[&[u8]]) -> Result<Vec<u8>, Misuse> {
        let (mut stuff, mut out) = (Stuff::new(), BytesMut::new());
        for piece in pieces {
            stuff.write(piece, &mut out)?;
        }
        stuff.finish(&mut out)?;
        Ok(out.to_vec())
    }

    fn unstuffed(wire: &[u8]) -> Vec<u8> {
        let (mut unstuff, mut input, mut message) = (Unstuff::data(), BytesMut::from(wire), vec![]);
        loop {
            let here = input.len();
            let Taken { content, stop, .. } = unstuff.take(&mut input, here, Rules::NONE);
            message.extend_from_slice(&content);
            match stop {
                Stop::End if input.is_empty() => return message,
                Stop::End | Stop::Fault(_) => panic!("{wire:?}"),
                Stop::More => assert!(input.len() < here, "{wire:?}"),
            }
        }
    }

    #[test]
    fn what_is_stuffed_is_unstuffed_and_what_cannot_be_is_refused() {
        let alphabet = b".\r\nx";
        for length in 0..=6_u32 {
            for n in 0..alphabet.len().pow(length) {
                let text: Vec<u8> = (0..length).map(|i| alphabet[n / alphabet.len().pow(i) % alphabet.len()]).collect();
                let whole = stuffed(&[&text]);
                for cut in 0..=text.len() {
                    let (a, b) = text.split_at(cut);
                    assert_eq!(stuffed(&[a, b]), whole, "{text:?} cut at {cut}");
                }
                let octets: Vec<&[u8]> = text.chunks(1).collect();
                assert_eq!(stuffed(&octets), whole, "{text:?}");
                let without_line_ends: Vec<u8> = {
                    let mut rest = text.clone();
                    while let Some(at) = memchr::memmem::find(&rest, b"\r\n") {
                        rest.splice(at..at + 2, *b"__");
                    }
                    rest
                };
                let bare = without_line_ends.iter().any(|octet| matches!(octet, b'\r' | b'\n'));
                match whole {
                    Err(misuse) => assert!(bare && misuse == Misuse::BareLineEnd, "{text:?}"),
                    Ok(wire) => {
                        assert!(!bare, "{text:?}");
                        let missing = if text.is_empty() || text.ends_with(b"\r\n") { &b""[..] } else { b"\r\n" };
                        assert_eq!(unstuffed(&wire), [&text, missing].concat(), "{text:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_needs_care_is_found_wherever_it_stands_among_what_does_not() {
        // Octets that need no care are found 64 at a time.
        for mark in [&b"\r\n"[..], b"\r\n.", b"\r\n..\r\n.", b"\0", b"\r\n\r\n"] {
            for at in 0..140 {
                let text = [&vec![b'x'; at], mark, &[b'y'; 70], b"\r\n"].concat();
                for cut in [0, at, at + 1, at + 2, 63, 64, 65] {
                    let (a, b) = text.split_at(cut.min(text.len()));
                    assert_eq!(unstuffed(&stuffed(&[a, b]).unwrap()), text, "{mark:?} at {at}, cut at {cut}");
                }
                assert_eq!(stuffed(&[&text]).unwrap(), plainly_stuffed(&text), "{mark:?} at {at}");
            }
        }
        for mark in [&b"\r"[..], b"\n", b"\n.", b"\r\r\n", b"\n\r"] {
            for at in 0..140 {
                let text = [&vec![b'x'; at], mark, &[b'y'; 70]].concat();
                assert_eq!(stuffed(&[&text]), Err(Misuse::BareLineEnd), "{mark:?} at {at}");
            }
        }
    }

    /// Line by line.
    fn plainly_stuffed(text: &[u8]) -> Vec<u8> {
        let lines = text.split_inclusive(|octet| *octet == b'\n');
        let dot = |line: &&[u8]| if line.starts_with(b".") { &b"."[..] } else { b"" };
        lines.flat_map(|line| [dot(&line), line].concat()).chain(*b".\r\n").collect()
    }

    #[test]
    fn a_refused_piece_leaves_nothing_behind() {
        let (mut stuff, mut out) = (Stuff::new(), BytesMut::new());
        assert_eq!(stuff.write(b"good\r\nbad\nend", &mut out), Err(Misuse::BareLineEnd));
        assert_eq!(out, "");
        stuff.write(b".good\r\n", &mut out).unwrap();
        assert_eq!(out, "..good\r\n");
    }
}
