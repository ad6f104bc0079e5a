//! Decisions out of octets, the same for a fuzzer and for a property test.

/// A stream of decisions. Behind its end all decisions are zero, which everywhere means the plain and polite one.
#[derive(Clone, Debug)]
pub struct Draw<'a> {
    octets: &'a [u8],
    /// Goes on behind the octets where more is drawn than was given; zero goes on with zeroes.
    seed: u64,
}

impl<'a> Draw<'a> {
    /// Draws from these octets.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { octets, seed: 0 }
    }

    /// Draws from one octet, then from what it and `number` lead to. A fuzzer steers the first decision and stumbles over
    /// the others.
    #[must_use]
    pub fn numbered(octet: &'a [u8], number: usize) -> Self {
        let first = octet.first().copied().unwrap_or_default();
        let seed = if first == 0 { 0 } else { mix(u64::from(first) << 32 | number as u64) };
        Self { octets: octet, seed }
    }

    /// Any octet.
    pub fn octet(&mut self) -> u8 {
        if let Some((first, rest)) = self.octets.split_first() {
            self.octets = rest;
            return *first;
        }
        if self.seed == 0 {
            return 0;
        }
        self.seed = mix(self.seed);
        (self.seed >> 56) as u8
    }

    /// A number below `bound`; zero where there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        let number = usize::from(self.octet()) << 8 | usize::from(self.octet());
        number.checked_rem(bound).unwrap_or_default()
    }

    /// One of these.
    pub fn pick<T: Copy + Default>(&mut self, of: &[T]) -> T {
        let at = self.below(of.len());
        of.get(at).copied().unwrap_or_default()
    }

    /// The octets not drawn yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.octets
    }
}

/// A step of the SplitMix64 sequence, never zero.
const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) | 1
}
