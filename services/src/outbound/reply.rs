//! When to come back: what servers write into their refusals, for want of a code that would say it.

use std::time::Duration;

/// More than this is nobody's to ask: a message lives for some days, and wants more tries than one.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Words between which and the number the two still belong together: `try again, if you please, in about 5 minutes`.
const REACH: usize = 8;

/// What the text of a refusal says of when to try again: `greylisted, try again in 5 minutes`. Never more than a day; `None`
/// where it says nothing of the kind.
///
/// A time is taken for one only where a word like *again*, *retry* or *greylisted* stands before it, and one like *in*, *for* or
/// *after* directly before it: `100 messages in 60 minutes are too many, try again later` names none.
pub(super) fn retry_after(text: &str) -> Option<Duration> {
    let words: Vec<&str> = text.split(is_gap).filter(|word| !word.is_empty()).collect();
    let (mut reach, mut before) = (0_usize, "");
    for (at, word) in words.iter().enumerate() {
        let asked = if reach > 0 && is_lead(before) { period(words.get(at..)?) } else { None };
        if let Some(asked) = asked {
            return (!asked.is_zero()).then(|| asked.min(LONGEST));
        }
        reach = if is_cue(word) { REACH } else { reach.saturating_sub(1) };
        before = word;
    }
    None
}

/// `1 hour and 30 minutes`: all the times that stand there, one behind the other.
fn period(mut words: &[&str]) -> Option<Duration> {
    let (mut all, rest) = time(words)?;
    words = rest;
    loop {
        let behind =
            words.split_first().filter(|(and, _)| and.eq_ignore_ascii_case("and")).map_or(words, |(_, rest)| rest);
        let Some((more, rest)) = time(behind) else { return Some(all) };
        all = all.saturating_add(more);
        words = rest;
    }
}

/// The time that stands first, `300 seconds` or `300s` or `00:05:00`, and what follows it.
fn time<'a, 'b>(words: &'a [&'b str]) -> Option<(Duration, &'a [&'b str])> {
    let (first, rest) = words.split_first()?;
    if first.contains(':') {
        return Some((clock(first)?, rest));
    }
    let (number, glued) = first.split_at_checked(first.bytes().take_while(u8::is_ascii_digit).count())?;
    // Nine digits of seconds are thirty years.
    let number: u64 = number.parse().ok().filter(|_| number.len() <= 9)?;
    let (word, rest) = if glued.is_empty() { rest.split_first()? } else { (&glued, rest) };
    Some((Duration::from_secs(number.saturating_mul(unit(word)?)), rest))
}

/// `MM:SS` or `HH:MM:SS`.
fn clock(word: &str) -> Option<Duration> {
    let mut seconds = 0_u64;
    for part in word.split(':') {
        let part: u64 = part.parse().ok().filter(|_| part.len() <= 3)?;
        seconds = seconds.checked_mul(60)?.checked_add(part)?;
    }
    Some(Duration::from_secs(seconds))
}

/// Seconds in a unit.
fn unit(word: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 18] = [
        ("s", 1),
        ("sec", 1),
        ("secs", 1),
        ("second", 1),
        ("seconds", 1),
        ("second(s)", 1),
        ("m", 60),
        ("min", 60),
        ("mins", 60),
        ("minute", 60),
        ("minutes", 60),
        ("minute(s)", 60),
        ("h", 3600),
        ("hr", 3600),
        ("hrs", 3600),
        ("hour", 3600),
        ("hours", 3600),
        ("hour(s)", 3600),
    ];
    UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, seconds)| *seconds)
}

/// What stands between words. Not the colon, which stands in times, nor parentheses, which may hold a plural.
fn is_gap(character: char) -> bool {
    character.is_whitespace() || matches!(character, ',' | '.' | ';' | '!' | '"' | '\'' | '<' | '>' | '[' | ']')
}

fn is_cue(word: &str) -> bool {
    const CUES: [&str; 16] = [
        "again",
        "retry",
        "retrying",
        "retries",
        "back",
        "wait",
        "later",
        "resend",
        "reconnect",
        "greylisted",
        "graylisted",
        "greylisting",
        "graylisting",
        "greylist",
        "graylist",
        "retry-after",
    ];
    let word = word.trim_matches(|character: char| !character.is_ascii_alphabetic());
    CUES.iter().any(|cue| cue.eq_ignore_ascii_case(word))
}

/// Words that a time may stand directly behind.
fn is_lead(word: &str) -> bool {
    const LEADS: [&str; 13] = [
        "in",
        "for",
        "after",
        "least",
        "about",
        "another",
        "wait",
        "next",
        "approximately",
        "retry",
        "further",
        "of",
        "retry-after",
    ];
    LEADS.iter().any(|lead| lead.eq_ignore_ascii_case(word.trim_end_matches([':', '='])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_of_when_to_come_back_is_understood() {
        for (text, seconds) in [
            (
                "<bob@example.com>: Recipient address rejected: Greylisted for 300 seconds (see http://postgrey.example/help)",
                300,
            ),
            ("Greylisted for 300 seconds", 300),
            ("Greylisting in action, please come back in 00:04:52", 292),
            ("Graylisted - please try again in 5 minutes.", 300),
            ("Greylisted, please try again in 180 seconds", 180),
            ("please try again in 10 mins", 600),
            ("Temporarily deferred, try again after 900 seconds", 900),
            ("Please retry in 1 hour and 30 minutes", 5400),
            ("try again in 1 hour, 30 minutes", 5400),
            ("You are being greylisted. Please wait 15 minutes", 900),
            ("Try again in at least 60s", 60),
            ("retry-after: 120 seconds", 120),
            ("Too many connections, RETRY IN 30 SEC", 30),
            ("rate limited; wait for another 45 minute(s)", 2700),
            ("come back in 5min", 300),
            ("retry after 2h", 7200),
            ("Please try again, if at all possible, in about 7 minutes", 420),
            ("try again in 9 hours and have a nice day", 32_400),
        ] {
            assert_eq!(retry_after(text), Some(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_no_time_to_wait() {
        for text in [
            "",
            "Greylisted, see https://postgrey.example/help/example.com.html",
            "Please try again later",
            "100 messages in 60 minutes are too many, try again later",
            "try again later (limit is 10 per 60 seconds)",
            "try again in a few minutes",
            "try again in 0 seconds",
            "4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)",
            "Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1",
            "The mailbox is over its quota of 5 m",
            "try again in 5 parsecs",
            "try again in 99999999999999999999 seconds",
            "try again in 1:2:x",
            "in 5 minutes",
        ] {
            assert_eq!(retry_after(text), None, "{text}");
        }
    }

    #[test]
    fn nobody_asks_for_more_than_a_day() {
        for text in ["try again in 25 hours", "retry after 999999999 h", "come back in 999:999:999"] {
            assert_eq!(retry_after(text), Some(LONGEST), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in "([a-z:0-9é]{0,6}|again|in|for|and|wait|5|:|s|minutes|[ ,.])( ?([0-9:a-z]{0,12}|again|in|and|minutes)){0,40}") {
            if let Some(asked) = retry_after(&text) {
                proptest::prop_assert!(!asked.is_zero() && asked <= LONGEST);
            }
        }
    }
}
