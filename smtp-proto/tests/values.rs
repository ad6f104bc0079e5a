//! The values of extensions' parameters, whatever stands in them: what parses is written as one safe word that parses to the
//! same; what does not is refused at a place inside the text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::fmt::{Debug, Display};

use proptest::prelude::*;
use smtp_proto::{
    DateTime, DeliverBy, Hold, Interval, Notify, OriginalRecipient, ParseError, Priority, Ret, Rrvs, Solicitation,
    Xtext,
};

const SEEDS: [&str; 24] = [
    "FULL",
    "HDRS",
    "NEVER",
    "SUCCESS,FAILURE,DELAY",
    "rfc822;a+2Bb@example.com",
    "utf-8;jos\u{e9}\\x{1F600}@example.com",
    "x400;/G+3Da/",
    "120;R",
    "-600;NT",
    "+999999999;n",
    "0",
    "-9",
    "7",
    "3600",
    "2014-04-03T23:01:00Z",
    "1990-12-31T23:59:60.25Z",
    "2000-02-29t00:00:00-08:00",
    "9999-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "2014-04-03T23:01:00Z;C",
    "2014-04-03T23:01:00+01:00;r",
    "net.example:ADV,org.example:ADV:ADLT",
    "QQ314159+20b",
    "",
];

/// A value, or one with a hole in it, where stray characters and another value may stand.
fn text() -> impl Strategy<Value = String> {
    let seed = || prop::sample::select(&SEEDS[..]);
    let stray = "([0-9;,+:-]|\\PC{1,3}|[\u{0}-\u{20}\u{7f}-\u{a0}=])?";
    let other = prop_oneof![4 => Just(""), 1 => seed()];
    (seed(), any::<prop::sample::Index>(), 0..3_usize, stray, other).prop_map(|(seed, at, hole, stray, other)| {
        let mut chars: Vec<char> = seed.chars().collect();
        let at = at.index(chars.len() + 1);
        let hole = at..(at + hole).min(chars.len());
        chars.splice(hole, stray.chars().chain(other.chars()));
        chars.into_iter().collect()
    })
}

#[track_caller]
fn holds<T: PartialEq + Debug>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, ParseError>,
    write: impl Fn(&T) -> String,
) {
    match parse(text) {
        Ok(value) => {
            let written = write(&value);
            let is_safe = !written.contains(|c: char| c.is_control() || c == ' ' || c == '=');
            assert!(is_safe, "{text:?} is written as {written:?}");
            assert_eq!(parse(&written), Ok(value), "{text:?} is written as {written:?}");
        }
        Err(error) => assert!(error.at <= text.len(), "{text:?} gives {error:?}"),
    }
}

fn shown<T: Display>(value: &T) -> String {
    value.to_string()
}

proptest! {
    #[test]
    fn a_value_is_read_as_it_was_written_or_refused_inside(text in text()) {
        let text = text.as_str();
        holds(text, Ret::parse, shown);
        holds(text, Notify::parse, shown);
        holds(text, |text| OriginalRecipient::parse(text).map(OriginalRecipient::into_owned), shown);
        holds(text, |text| Xtext::parse_envelope_id(text).map(Xtext::into_owned), |id| id.as_str().to_owned());
        holds(text, DeliverBy::parse, shown);
        holds(text, Priority::parse, shown);
        holds(text, Interval::parse, shown);
        holds(text, DateTime::parse, shown);
        holds(text, Hold::parse_for, |hold| shown(hold).trim_start_matches("HOLDFOR=").to_owned());
        holds(text, Hold::parse_until, |hold| shown(hold).trim_start_matches("HOLDUNTIL=").to_owned());
        holds(text, Rrvs::parse, shown);
        holds(text, |text| Solicitation::parse(text).map(Solicitation::into_owned), shown);
    }
}

/// Else the property above says less than it seems to.
#[test]
fn every_seed_but_the_last_is_some_value() {
    let (last, seeds) = SEEDS.split_last().unwrap();
    for text in seeds {
        let is_some = Ret::parse(text).is_ok()
            || Notify::parse(text).is_ok()
            || OriginalRecipient::parse(text).is_ok()
            || DeliverBy::parse(text).is_ok()
            || Priority::parse(text).is_ok()
            || Interval::parse(text).is_ok()
            || DateTime::parse(text).is_ok()
            || Rrvs::parse(text).is_ok()
            || Solicitation::parse(text).is_ok()
            || Xtext::parse_envelope_id(text).is_ok();
        assert!(is_some, "{text:?}");
    }
    assert!(last.is_empty());
}
