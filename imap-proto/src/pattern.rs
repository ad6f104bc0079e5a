//! LIST's wildcards (RFC 3501 §6.3.8), in time that no pattern can blow up.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::mailbox::inbox_prefix;

/// A pattern for mailbox names, compiled. `*` stands for anything, `%` for anything without a separator.
///
/// It is run as an automaton with one bit for each of its characters, so that a name costs its length times the number of
/// 64-bit words, whatever the wildcards.
///
/// ```
/// use imap_proto::ListPattern;
///
/// let pattern = ListPattern::new("lists/%", '/');
/// assert!(pattern.matches("lists/rust"));
/// assert!(!pattern.matches("lists/rust/announce"));
/// assert!(ListPattern::new("inb*", '/').matches("INBOX"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ListPattern {
    text: String,
    separator: char,
    /// Pattern without neighbouring wildcards, one bit each.
    length: usize,
    /// For each character, where the pattern has it. Sorted.
    positions: Vec<(char, Bits)>,
    stars: Bits,
    percents: Bits,
}

impl ListPattern {
    /// Compiles `text`, the reference and the pattern put together.
    #[must_use]
    pub fn new(text: &str, separator: char) -> Self {
        let mut characters: Vec<char> = Vec::new();
        for c in text.chars() {
            match (characters.last_mut(), c) {
                // `*` swallows any wildcard beside it, and two `%` say what one says.
                (Some(last @ ('*' | '%')), '*') => *last = '*',
                (Some('*' | '%'), '%') => {}
                (Some(_) | None, _) => characters.push(c),
            }
        }
        let mut pattern = Self {
            text: text.into(),
            separator,
            length: characters.len(),
            positions: Vec::new(),
            stars: Bits::new(characters.len()),
            percents: Bits::new(characters.len()),
        };
        for (at, c) in characters.into_iter().enumerate() {
            match c {
                '*' => pattern.stars.set(at),
                '%' => pattern.percents.set(at),
                _ => {
                    let index = match pattern.positions.binary_search_by_key(&c, |(known, _)| *known) {
                        Ok(index) => index,
                        Err(index) => {
                            pattern.positions.insert(index, (c, Bits::new(pattern.length)));
                            index
                        }
                    };
                    if let Some((_, bits)) = pattern.positions.get_mut(index) {
                        bits.set(at);
                    }
                }
            }
        }
        pattern
    }

    /// The pattern as it was put together.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `name` matches. The first level of a name under INBOX matches in any case.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let folded = inbox_prefix(name, self.separator).map_or(0, |rest| name.len() - rest.len());
        // Bit i: what was read so far is matched by the first i characters of the pattern.
        let mut state = Bits::new(self.length);
        state.set(0);
        self.skip_wildcards(&mut state);
        for (at, c) in name.char_indices() {
            let mut next = Bits::new(self.length);
            if at < folded {
                next.advance(&state, self.position_of(c.to_ascii_uppercase()));
                next.advance(&state, self.position_of(c.to_ascii_lowercase()));
            } else {
                next.advance(&state, self.position_of(c));
            }
            next.stay(&state, &self.stars);
            if c != self.separator {
                next.stay(&state, &self.percents);
            }
            if next.is_empty() {
                return false;
            }
            state = next;
            self.skip_wildcards(&mut state);
        }
        state.has(self.length)
    }

    fn position_of(&self, c: char) -> Option<&Bits> {
        let index = self.positions.binary_search_by_key(&c, |(known, _)| *known).ok()?;
        self.positions.get(index).map(|(_, bits)| bits)
    }

    /// A wildcard may stand for nothing. No two are neighbours, so that one step is enough.
    fn skip_wildcards(&self, state: &mut Bits) {
        let before = state.clone();
        state.advance(&before, Some(&self.stars));
        state.advance(&before, Some(&self.percents));
    }
}

impl fmt::Debug for ListPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListPattern({:?})", self.text)
    }
}

/// One bit for each position in a pattern, its end among them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(length: usize) -> Self {
        Self(vec![0; length / 64 + 1])
    }

    fn set(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Adds the positions behind those of `state` that are in `mask`.
    fn advance(&mut self, state: &Self, mask: Option<&Self>) {
        let Some(mask) = mask else { return };
        let mut carry = 0;
        for ((word, state), mask) in self.0.iter_mut().zip(&state.0).zip(&mask.0) {
            let moved = state & mask;
            *word |= moved << 1 | carry;
            carry = moved >> 63;
        }
    }

    /// Adds the positions of `state` that are in `mask`.
    fn stay(&mut self, state: &Self, mask: &Self) {
        for ((word, state), mask) in self.0.iter_mut().zip(&state.0).zip(&mask.0) {
            *word |= state & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        ListPattern::new(pattern, '/').matches(name)
    }

    #[test]
    fn percent_stops_at_a_separator() {
        assert!(matches("%", "a") && !matches("%", "a/b") && matches("%/%", "a/b") && matches("*", "a/b"));
        assert!(matches("a/%/c", "a/b/c") && !matches("a/%/c", "a/b/b/c") && matches("a/*/c", "a/b/b/c"));
        assert!(matches("", "") && matches("*", "") && matches("%", "") && !matches("", "a") && !matches("a", ""));
        assert!(matches("%*", "a/b") && matches("*%", "a/b") && matches("%%%", "ab"));
    }

    #[test]
    fn inbox_matches_in_any_case_and_nothing_else_does() {
        assert!(matches("inbox", "INBOX") && matches("iNb%", "INBOX") && matches("inbox/a", "INBOX/a"));
        assert!(!matches("inbox/A", "INBOX/a") && !matches("foo", "FOO") && !matches("inbox*", "INBOXES"));
    }

    #[test]
    fn a_pattern_longer_than_a_word_of_bits() {
        let name: String = ('a'..='z').cycle().take(200).collect();
        assert!(matches(&name, &name));
        let starred: String = name.chars().flat_map(|c| [c, '*']).collect();
        assert!(matches(&starred, &name) && !matches(&starred, name.get(1..).unwrap()));
    }

    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) if naive(rest, name) => true,
            (['%', rest @ ..], _) if naive(rest, name) => true,
            (['*', ..], [_, after @ ..]) => naive(pattern, after),
            (['%', ..], [c, after @ ..]) => *c != '/' && naive(pattern, after),
            ([c, rest @ ..], [d, after @ ..]) => c == d && naive(rest, after),
            ([], [_, ..]) | ([_, ..], []) => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_matcher(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,9}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), naive(&characters(&pattern), &characters(&name)));
        }
    }
}
