//! The text form of a filter: words, quotes and durations.

use std::time::Duration;

use super::FilterError;

/// Durations by their letter, in seconds, the longest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Cuts a line into words. Double quotes keep blanks together; a backslash within them takes the next letter as it is.
pub(super) fn split(line: &str) -> Result<Vec<String>, FilterError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => words.extend(word.take()),
            '"' => quoted(&mut letters, word.get_or_insert_default())?,
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(letters: &mut impl Iterator<Item = char>, word: &mut String) -> Result<(), FilterError> {
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Ok(()),
            '\\' => word.push(letters.next().ok_or(FilterError::OpenQuote)?),
            _ => word.push(letter),
        }
    }
    Err(FilterError::OpenQuote)
}

/// The value as [`split`] reads it back.
pub(super) fn quote(value: &str) -> String {
    if !value.contains([' ', '\t', '"']) {
        return value.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in value.chars() {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

pub(super) fn duration(text: &str) -> Result<Duration, FilterError> {
    let wrong = || FilterError::Duration(text.to_owned());
    let (number, seconds) =
        UNITS.iter().find_map(|(letter, seconds)| Some((text.strip_suffix(*letter)?, *seconds))).ok_or_else(wrong)?;
    // `parse` would take a plus sign.
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// The shortest form that is exact; parts of a second are left out.
pub(super) fn write_duration(duration: Duration) -> String {
    let whole = duration.as_secs();
    let fits = UNITS.iter().find(|(_, seconds)| whole > 0 && whole.is_multiple_of(*seconds));
    let (letter, seconds) = fits.copied().unwrap_or(('s', 1));
    format!("{}{letter}", whole / seconds)
}
