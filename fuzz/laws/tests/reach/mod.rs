//! How far the runs of the property tests get.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use laws::{Manners, Player, Reading, Script, Subject, Told};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use services::engine::Engine as _;

use crate::common::data;

/// What happens in so many runs, which are always the same: events by their names, violations, and how sessions end.
pub(crate) fn reached<S: Subject>(subject: &S, runs: usize) -> BTreeSet<String> {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for run in 0..runs {
        let data = data().new_tree(&mut runner).unwrap().current();
        let script = Script::new(subject.words(), &data);
        let manners = if run % 2 == 0 { Manners::Steady } else { Manners::Wild };
        let mut player = Player::new(subject, &script, manners);
        player.hear(&script.wire, Reading { pieces: &script.pieces, ..Reading::WHOLE }).unwrap();
        if let Some(due) = player.engine.poll_timeout().filter(|_| run % 4 < 2) {
            player.now = due.at;
            player.with(|_, engine, now, out| engine.handle_timeout(now, out));
        }
        if player.transcript.close.is_none() {
            player.end().unwrap();
        }
        reached.extend(player.transcript.told.iter().map(name));
        reached.extend(player.transcript.close.map(|close| format!("{close:?}")));
    }
    reached
}

/// What an event is called; a violation, by its own name.
fn name(told: &Told) -> String {
    match told {
        Told::Event(event) if event.starts_with("Violation(") => event.clone(),
        Told::Event(event) => event.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().into(),
        Told::Bulk(_) => "Bulk".into(),
        Told::Switched(layer) => format!("{layer:?}"),
    }
}
