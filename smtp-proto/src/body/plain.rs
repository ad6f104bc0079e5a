//! The octets that need no thought.

use crate::Octets;

/// What a message may hold that is not plain, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks(u8);

impl Marks {
    pub(super) const NONE: Self = Self(0);
    /// A CR without its LF, or an LF without its CR.
    pub(super) const STRAY: Self = Self(1);
    /// A dot behind an LF.
    pub(super) const DOT: Self = Self(2);
    pub(super) const NUL: Self = Self(4);
    const EIGHT_BIT: Self = Self(0x80);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// What there is in pairs of neighbours, and among the second of each.
    ///
    /// The loop has no branch and no call, so that the compiler makes SIMD of it, sixteen pairs at once on every x86-64.
    #[inline]
    fn of(firsts: &[u8], seconds: &[u8]) -> Self {
        let (mut strays, mut dots, mut least, mut all) = (0_u8, 0_u8, u8::MAX, 0_u8);
        for (first, second) in firsts.iter().zip(seconds) {
            strays |= u8::from((*first == b'\r') != (*second == b'\n'));
            dots |= u8::from((*first == b'\n') & (*second == b'.'));
            least = least.min(*second);
            all |= second;
        }
        Self(strays | dots << 1 | u8::from(least == 0) << 2 | all & Self::EIGHT_BIT.0)
    }
}

/// A run of octets that is part of the message as it is.
pub(super) struct Plain {
    pub(super) len: usize,
    pub(super) octets: Octets,
}

/// So many octets are plain together, or none of them is. With fewer it would take longer to find them, with more there would be
/// more left to be looked at with care.
const LANE: usize = 64;

/// What of `octets` is in the first lane.
pub(super) fn lane(octets: &[u8]) -> &[u8] {
    octets.get(..LANE).unwrap_or(octets)
}

/// How many of `octets` are plain: whole lanes of them, and what is behind the last, that hold nothing of `care`. `before` is
/// the octet that came before them, which was no CR. A CR behind which it is not known what comes is not counted.
pub(super) fn plain(before: u8, octets: &[u8], care: Marks) -> Plain {
    let mut plain = Plain { len: 0, octets: Octets::SevenBit };
    let ([first, seconds @ ..], [firsts @ .., _]) = (octets, octets) else { return plain };
    let mut seen = Marks::of(&[before], &[*first]);
    let mut pairs = 0_usize;
    let mut add = |firsts: &[u8], seconds: &[u8]| {
        let marks = seen.or(Marks::of(firsts, seconds));
        let is_plain = !marks.has(care);
        if is_plain {
            seen = marks;
            pairs = pairs.saturating_add(firsts.len());
        }
        is_plain
    };
    // The compiler is told how long a lane is, or it would not be worth it.
    let ((firsts, firsts_behind), (seconds, seconds_behind)) =
        (firsts.as_chunks::<LANE>(), seconds.as_chunks::<LANE>());
    if firsts.iter().zip(seconds).all(|(firsts, seconds)| add(firsts, seconds)) {
        add(firsts_behind, seconds_behind);
    }
    plain.len = match octets.get(pairs) {
        _ if pairs == 0 => 0,
        Some(b'\r') => pairs,
        Some(_) | None => pairs.saturating_add(1),
    };
    if seen.has(Marks::EIGHT_BIT) {
        plain.octets = Octets::EightBit;
    }
    plain
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const ALL: Marks = Marks::STRAY.or(Marks::DOT).or(Marks::NUL);

    /// Where the first octet is that needs care, said plainly: a stray is where its other half would be.
    fn first_mark(before: u8, octets: &[u8], care: Marks) -> usize {
        let mut first = before;
        for (at, second) in octets.iter().enumerate() {
            let stray = (first == b'\r') != (*second == b'\n');
            let dot = first == b'\n' && *second == b'.';
            if stray && care.has(Marks::STRAY) || dot && care.has(Marks::DOT) || *second == 0 && care.has(Marks::NUL) {
                return at;
            }
            first = *second;
        }
        octets.len()
    }

    #[test]
    fn all_lanes_before_the_first_mark_are_plain_and_none_is_behind_it() {
        for mark in [&b"\r"[..], b"\n", b"\r\n", b"\r\n.", b"\n.", b"\0", b"\r\r", b"\xff"] {
            for (at, behind) in (0..=2 * LANE + 2).flat_map(|at| [0, 1, 2, LANE - 1, LANE].map(|behind| (at, behind))) {
                let octets = [&vec![b'x'; at], mark, &vec![b'y'; behind]].concat();
                for before in [b'\n', b' '] {
                    for care in [ALL, Marks::NONE, Marks::DOT, Marks::STRAY, Marks::NUL] {
                        let first = first_mark(before, &octets, care);
                        let Plain { len, octets: kind } = plain(before, &octets, care);
                        let said = (mark, at, behind, before, care);
                        assert!(len <= first, "{said:?} gives {len}");
                        let open_cr = octets[..len].ends_with(b"\r") && matches!(octets.get(len), Some(b'\n') | None);
                        assert!(!open_cr, "{said:?} gives {len}");
                        assert!(first - len <= LANE, "{said:?} gives {len}");
                        if first == octets.len() && first > 1 && !octets.ends_with(b"\r") {
                            assert_eq!(len, first, "{said:?}");
                        }
                        let seven_bit = kind == Octets::SevenBit;
                        assert!(len == 0 || seven_bit == octets[..len].is_ascii(), "{said:?} gives {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(plain(b'\n', b"", ALL).len, 0);
    }
}
