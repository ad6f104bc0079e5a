//! Names of messages: unique across nodes and restarts, in order of arrival.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

use crate::UnixMicros;

/// Crockford's alphabet: it sorts as the digits do and leaves out letters that read like digits.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 120 bits, five to a letter.
const LETTERS: usize = 24;
const TIME_BITS: u64 = (1 << 56) - 1;

/// Names one queued message.
///
/// It is 120 bits: 56 of wall time in microseconds, then 64 that are random for each run of a queue. Two queues on two
/// machines do not make the same name, nor does one queue before and after a restart; names of one run ascend. The text
/// form has 24 letters and digits, and sorts as the names do.
///
/// ```
/// use mailqueue::MessageId;
///
/// let id: MessageId = "01jd8z3m9k4w2q7h5x6t1b0a".parse()?;
/// assert_eq!(id.to_string(), "01jd8z3m9k4w2q7h5x6t1b0a");
/// # Ok::<(), mailqueue::InvalidMessageId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u128);

/// The text names no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message id has {LETTERS} letters and digits, without i, l, o and u")]
pub struct InvalidMessageId;

impl MessageId {
    /// Makes a name of its two parts; bits of `time` above the 56th are dropped.
    pub const fn new(time: UnixMicros, tag: u64) -> Self {
        Self((((time.0 & TIME_BITS) as u128) << 64) | tag as u128)
    }

    /// When the name was made, by the wall clock of the machine that made it.
    pub fn time(self) -> UnixMicros {
        UnixMicros((self.0 >> 64) as u64)
    }

    /// What tells names of the same time apart.
    pub(crate) fn tag(self) -> u64 {
        self.0 as u64
    }

    /// The form that a spool stores: 16 octets, most significant first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads what [`MessageId::to_bytes`] wrote; the top octet must be zero.
    ///
    /// # Errors
    /// [`InvalidMessageId`] where it is not.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, InvalidMessageId> {
        let value = u128::from_be_bytes(bytes);
        if value >> (LETTERS * 5) == 0 { Ok(Self(value)) } else { Err(InvalidMessageId) }
    }

    /// Sixty-four bits that look random and are always the same for this name: a seed for jitter.
    pub(crate) fn seed(self) -> u64 {
        (self.0 >> 64) as u64 ^ self.0 as u64
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in (0..LETTERS).rev() {
            let digit = (self.0 >> (place * 5)) as usize & 31;
            let letter = ALPHABET.get(digit).copied().unwrap_or(b'0');
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        if text.len() != LETTERS {
            return Err(InvalidMessageId);
        }
        let mut value = 0_u128;
        for letter in text.bytes() {
            let letter = letter.to_ascii_lowercase();
            let digit = ALPHABET.iter().position(|known| *known == letter).ok_or(InvalidMessageId)?;
            value = value << 5 | digit as u128;
        }
        Ok(Self(value))
    }
}

/// Makes the names of one run: ascending even when the wall clock stands still or steps back.
#[derive(Debug)]
pub(crate) struct MessageIds {
    tag: u64,
    last: AtomicU64,
}

impl MessageIds {
    pub(crate) fn new(tag: u64) -> Self {
        Self { tag, last: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self, now: UnixMicros) -> MessageId {
        let step = |last: u64| Some(now.0.max(last.saturating_add(1)));
        // The closure always answers, so that both arms hold the previous value.
        let (Ok(last) | Err(last)) = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        MessageId::new(UnixMicros(now.0.max(last.saturating_add(1))), self.tag)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_ascend_while_the_clock_stands_still_or_steps_back() {
        let ids = MessageIds::new(7);
        let made: Vec<_> = [5, 5, 3, 9, 1].map(|micros| ids.next(UnixMicros(micros))).into();
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
        assert_eq!(made[3].time(), UnixMicros(9));
    }

    #[test]
    fn text_of_another_length_or_alphabet_is_refused() {
        for text in ["", "0", "01jd8z3m9k4w2q7h5x6t1b0", "01jd8z3m9k4w2q7h5x6t1b0aa", "01jd8z3m9k4w2q7h5x6t1b0u"] {
            assert_eq!(text.parse::<MessageId>(), Err(InvalidMessageId), "{text}");
        }
        assert_eq!(MessageId::from_bytes([1; 16]), Err(InvalidMessageId));
    }

    proptest! {
        #[test]
        fn text_and_octets_name_the_same_message(time in 0_u64..=TIME_BITS, tag: u64, other: u64) {
            let id = MessageId::new(UnixMicros(time), tag);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
            prop_assert_eq!(MessageId::from_bytes(id.to_bytes()), Ok(id));
            let next = MessageId::new(UnixMicros(time.saturating_sub(1)), other);
            prop_assert_eq!(id.cmp(&next), id.to_string().cmp(&next.to_string()));
        }
    }
}
