//! Line ends on disk. Mail travels with CRLF; Dovecot stores LF. A message whose every line ends with CRLF is stored
//! with LF and grows back when it is read. Any other is stored as it came: it could not be told apart later.

use memchr::{memchr, memchr2};

/// Says that a message cannot be stored with LF: it has an LF without CR before it, or a CR without LF behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mixed;

/// Turns CRLF into LF, piece by piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Narrow {
    #[default]
    Text,
    /// The piece ended with a CR whose LF is still to come.
    AfterCr,
}

impl Narrow {
    /// Appends a piece to `out`. If the message turns out to be mixed, `out` is as it was before.
    pub(crate) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Mixed> {
        let before = out.len();
        let state = self.try_push(piece, out);
        match state {
            Ok(state) => *self = state,
            Err(Mixed) => out.truncate(before),
        }
        state.map(|_| ())
    }

    fn try_push(self, piece: &[u8], out: &mut Vec<u8>) -> Result<Self, Mixed> {
        let mut rest = piece;
        if self == Self::AfterCr {
            match rest.split_first() {
                None => return Ok(self),
                Some((b'\n', after)) => {
                    out.push(b'\n');
                    rest = after;
                }
                Some(_) => return Err(Mixed),
            }
        }
        while let Some(at) = memchr2(b'\r', b'\n', rest) {
            let (text, end) = rest.split_at_checked(at).ok_or(Mixed)?;
            out.extend_from_slice(text);
            match end {
                [b'\r', b'\n', after @ ..] => {
                    out.push(b'\n');
                    rest = after;
                }
                [b'\r'] => return Ok(Self::AfterCr),
                _ => return Err(Mixed),
            }
        }
        out.extend_from_slice(rest);
        Ok(Self::Text)
    }

    /// What the message's end makes of it: a CR that waits for its LF waits in vain.
    pub(crate) fn finish(self) -> Result<(), Mixed> {
        match self {
            Self::Text => Ok(()),
            Self::AfterCr => Err(Mixed),
        }
    }
}

/// Turns LF into CRLF, piece by piece; an LF with a CR before it stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Widen {
    #[default]
    Text,
    AfterCr,
}

impl Widen {
    /// Appends a piece to `out`.
    pub(crate) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some(at) = memchr(b'\n', rest) {
            let (text, end) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            out.extend_from_slice(text);
            let has_cr = text.last().map_or(*self == Self::AfterCr, |octet| *octet == b'\r');
            out.extend_from_slice(if has_cr { b"\n" } else { b"\r\n" });
            *self = Self::Text;
            rest = end.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        match rest.last() {
            Some(b'\r') => *self = Self::AfterCr,
            Some(_) => *self = Self::Text,
            None => {}
        }
    }

    /// How many octets a piece grows by.
    pub(crate) fn growth(&mut self, piece: &[u8]) -> u64 {
        let mut growth = 0;
        let mut rest = piece;
        while let Some(at) = memchr(b'\n', rest) {
            let has_cr = match at.checked_sub(1) {
                Some(before) => rest.get(before) == Some(&b'\r'),
                None => *self == Self::AfterCr,
            };
            growth += u64::from(!has_cr);
            *self = Self::Text;
            rest = rest.get(at + 1..).unwrap_or_default();
        }
        match rest.last() {
            Some(b'\r') => *self = Self::AfterCr,
            Some(_) => *self = Self::Text,
            None => {}
        }
        growth
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn narrowed(pieces: &[&[u8]]) -> Result<Vec<u8>, Mixed> {
        let mut narrow = Narrow::default();
        let mut out = Vec::new();
        for piece in pieces {
            narrow.push(piece, &mut out)?;
        }
        narrow.finish().map(|()| out)
    }

    fn widened(pieces: &[&[u8]]) -> Vec<u8> {
        let mut widen = Widen::default();
        let mut out = Vec::new();
        for piece in pieces {
            widen.push(piece, &mut out);
        }
        out
    }

    #[test]
    fn pure_messages_are_narrowed_and_others_are_not() {
        assert_eq!(narrowed(&[b"a\r\nb\r\n"]).unwrap(), b"a\nb\n");
        assert_eq!(narrowed(&[b"a\r", b"\nb"]).unwrap(), b"a\nb");
        for mixed in [&b"a\nb"[..], b"a\rb", b"a\r", b"\r\r\n", b"a\r\n\n"] {
            assert_eq!(narrowed(&[mixed]), Err(Mixed), "{mixed:?}");
        }
    }

    #[test]
    fn a_mixed_piece_leaves_nothing_behind() {
        let (mut narrow, mut out) = (Narrow::default(), b"kept".to_vec());
        assert_eq!(narrow.push(b"x\r\ny\nz", &mut out), Err(Mixed));
        assert_eq!(out, b"kept");
    }

    #[test]
    fn foreign_files_with_both_line_ends_grow_only_where_needed() {
        assert_eq!(widened(&[b"a\r\nb\n"]), b"a\r\nb\r\n");
        assert_eq!(widened(&[b"a\r", b"\nb\n", b"\n"]), b"a\r\nb\r\n\r\n");
        assert_eq!(widened(&[b"\r", b"", b"\n"]), b"\r\n");
    }

    proptest! {
        #[test]
        fn narrow_then_wide_is_the_same_in_any_pieces(text in "[a\r\n]{0,12}", cut in 0..12usize, other in 0..12usize) {
            let text = text.as_bytes();
            let cut = cut.min(text.len());
            if let Ok(narrow) = narrowed(&[&text[..cut], &text[cut..]]) {
                let other = other.min(narrow.len());
                prop_assert_eq!(widened(&[&narrow[..other], &narrow[other..]]), text);
                prop_assert_eq!(narrowed(&[text]).unwrap(), narrow);
            } else {
                prop_assert_eq!(narrowed(&[text]), Err(Mixed));
                let pure = String::from_utf8_lossy(text).replace("\r\n", "");
                prop_assert!(pure.contains(['\r', '\n']));
            }
        }

        #[test]
        fn growth_is_what_widening_adds(text in "[a\r\n]{0,12}", cut in 0..12usize) {
            let text = text.as_bytes();
            let cut = cut.min(text.len());
            let (mut widen, pieces) = (Widen::default(), [&text[..cut], &text[cut..]]);
            let growth: u64 = pieces.iter().map(|piece| widen.growth(piece)).sum();
            prop_assert_eq!(text.len() as u64 + growth, widened(&pieces).len() as u64);
        }
    }
}
