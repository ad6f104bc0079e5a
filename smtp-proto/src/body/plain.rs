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
/// the octet that came before them, which was no CR. A CR at the end is not counted: who knows what it is.
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
