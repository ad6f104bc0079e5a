//! How far the runs of the property tests get.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use laws::{Draw, Manners, Player, Reading, Script, Subject, Told};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use services::engine::Engine as _;

use crate::common::data;

/// Asserts that so many runs get everywhere.
pub(crate) fn everywhere<S: Subject>(subject: &S, runs: usize, everything: &[&str]) {
    let reached = reached(subject, runs);
    let missing: Vec<_> = everything.iter().filter(|name| !reached.contains(**name)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}

/// What happens in so many runs, which are always the same: events by their names, violations, how sessions end, and what the
/// lines begin with that are said: verbs or codes.
fn reached<S: Subject>(subject: &S, runs: usize) -> BTreeSet<String> {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for run in 0..runs {
        let data = data().new_tree(&mut runner).unwrap().current();
        let script = Script::new(subject.words(), &data);
        let manners = if run % 5 < 3 { Manners::Steady } else { Manners::Wild };
        let mut player = Player::new(subject, &script, manners);
        let pieces = if run % 3 == 0 { &[1] } else { script.pieces.as_slice() };
        player.hear(&script.wire, Reading { pieces, ..Reading::WHOLE }).unwrap();
        match run % 8 {
            0..4 => {}
            4..7 => {
                player.now = player.engine.poll_timeout().map_or(player.now, |due| due.at);
                player.with(|_, engine, now, out| engine.handle_timeout(now, out));
            }
            _ => player.shut_down(&mut Draw::new(&data)),
        }
        if player.transcript.close.is_none() {
            player.end().unwrap();
        }
        reached.extend(player.transcript.told.iter().flat_map(names));
        reached.extend(player.transcript.close.map(|close| format!("{close:?}")));
        reached.extend(first_words(&player.transcript.said));
    }
    reached
}

fn first_words(said: &[u8]) -> BTreeSet<String> {
    let word = |line: &str| line.split([' ', '-']).next().unwrap_or_default().into();
    String::from_utf8_lossy(said).lines().map(word).collect()
}

/// What is named in an event: the event itself, and what is inside; a violation, by its own name.
fn names(told: &Told) -> Vec<String> {
    match told {
        Told::Event(event) if event.starts_with("Violation(") => vec![event.clone()],
        Told::Event(event) => {
            let words = event.split(|c: char| !c.is_alphanumeric());
            words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())).map(String::from).collect()
        }
        Told::Bulk(_) => vec!["Bulk".into()],
        Told::Switched(layer) => vec![format!("{layer:?}")],
    }
}
