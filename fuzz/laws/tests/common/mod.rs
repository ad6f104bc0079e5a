//! The nine laws as property tests over a subject, their planted faults, and how far the runs get.
#![allow(dead_code, unused_macros, unused_imports, reason = "no test needs all of it")]

use std::collections::BTreeSet;

use laws::{Manners, Player, Reading, Script, Subject, Told};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use services::engine::Engine as _;

/// Octets that make a script: mostly words, in few pieces, now and then anything.
pub(crate) fn data() -> impl Strategy<Value = Vec<u8>> {
    let moods = prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 31);
    let pieces = prop::collection::vec(1..40_u8, 7);
    let said = prop_oneof![
        12 => (0x80..0xc0_u8).prop_map(|word| vec![word]),
        3 => any::<u8>().prop_map(|word| vec![0xc0, word]),
        1 => any::<u8>().prop_map(|octet| vec![octet]),
    ];
    let wire = prop::collection::vec(said, 0..40);
    (any::<u8>(), moods, pieces, wire).prop_map(|(config, moods, pieces, wire)| {
        let mut data = vec![config, 0xff];
        data.extend(moods);
        data.extend(pieces);
        data.extend(wire.concat());
        data
    })
}

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

/// Tests of the laws over `$subject`, by name.
macro_rules! laws {
    ($subject:expr, $cases:expr, { $($law:ident => $fault:ident),* $(,)? }) => {
        $(
            mod $law {
                use super::*;

                proptest::proptest! {
                    #![proptest_config(proptest::prelude::ProptestConfig {
                        cases: $cases,
                        failure_persistence: None,
                        ..proptest::prelude::ProptestConfig::default()
                    })]

                    #[test]
                    fn holds(data in crate::common::data()) {
                        if let Err(broken) = laws::$law(&$subject, &data) {
                            return Err(proptest::prelude::TestCaseError::fail(broken.to_string()));
                        }
                    }
                }

                #[test]
                fn catches_its_fault() {
                    let planted = laws::planted::Planted::new($subject, laws::planted::Fault::$fault);
                    let mut runner = proptest::test_runner::TestRunner::deterministic();
                    let found = (0..400).any(|_| {
                        let tree = proptest::strategy::Strategy::new_tree(&crate::common::data(), &mut runner);
                        let data = proptest::strategy::ValueTree::current(&tree.unwrap());
                        laws::$law(&planted, &data).is_err()
                    });
                    assert!(found, "no run of 400 has found the planted fault");
                }
            }
        )*
    };
}
pub(crate) use laws;
