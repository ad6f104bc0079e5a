//! Text with `*` for anything.

use std::fmt;

/// A pattern: text that is compared without case, where `*` stands for any letters or none. Matching takes at most as many
/// steps as pattern and text have letters, multiplied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob {
    text: String,
}

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_lowercase() }
    }

    /// Whether a text is meant.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let mut pieces = self.text.split('*');
        let Some(first) = pieces.next() else { return false };
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        // The leftmost place for each piece leaves the most for those behind it.
        for piece in pieces {
            let Some((_, behind)) = rest.split_once(piece) else { return false };
            rest = behind;
        }
        rest.ends_with(last)
    }
}

impl From<&str> for Glob {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, slow and plain.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(('*', rest)), None) => slowly(rest, text),
            (Some(('*', rest)), Some((_, behind))) => slowly(rest, text) || slowly(pattern, behind),
            (Some(_), None) => false,
            (Some((one, rest)), Some((other, behind))) => one == other && slowly(rest, behind),
        }
    }

    #[test]
    fn stars_stand_for_anything_and_case_for_nothing() {
        let table = [
            ("example.com", "EXAMPLE.com", true),
            ("example.com", "example.com.", false),
            ("*.example.com", "mx.example.com", true),
            ("*.example.com", "example.com", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aabb", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn it_means_what_the_definition_means(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            let slow = slowly(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Glob::new(&pattern).matches(&text), slow);
        }
    }
}
