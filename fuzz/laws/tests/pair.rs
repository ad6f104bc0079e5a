//! The two halves of POP3 agree, whatever happens between them; and the law that says so can fail.

use laws::pair::{Outcome, Wire, visit};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// Mostly what carries octets; now and then anything.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let beginning = prop::collection::vec(any::<u8>(), 0..120);
    let goings_on = prop::collection::vec(prop_oneof![10 => 0..=220_u8, 1 => any::<u8>()], 0..200);
    (any::<u8>(), any::<u8>(), beginning, goings_on)
        .prop_map(|(client, server, beginning, goings_on)| [vec![client, server], beginning, goings_on].concat())
}

/// Whether the law fails within so many runs over that wire.
fn is_caught(wire: Wire) -> bool {
    let mut runner = TestRunner::deterministic();
    (0..400).any(|_| data().new_tree(&mut runner).is_ok_and(|tree| visit(&tree.current(), wire).is_err()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_end_and_agree(data in data()) {
        if let Err(broken) = visit(&data, Wire::Sound) {
            return Err(TestCaseError::fail(broken.to_string()));
        }
    }
}

#[test]
fn polite_halves_get_and_delete_all() {
    // Any client, three messages of two pieces each, and nothing else drawn.
    let piece = [0, 1, 0, 2];
    let text = [&[2][..], &piece].concat();
    let visited = |client| visit(&[&[client, 0, 3][..], &text, &text, &text].concat(), Wire::Sound);
    for client in 0..144 {
        assert_eq!(visited(client), Ok(Outcome { received: 3, deleted: 3 }), "client {client}");
    }
}

#[test]
fn messages_that_changed_are_noticed() {
    assert!(is_caught(Wire::Garbles));
}

#[test]
fn deletions_that_nobody_meant_are_noticed() {
    assert!(is_caught(Wire::Misleads));
}

#[test]
fn waiting_for_ever_is_noticed() {
    assert!(is_caught(Wire::Swallows));
}
