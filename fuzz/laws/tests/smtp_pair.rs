//! The two halves of SMTP agree, whatever happens between them; and the law that says so can fail.

use laws::smtp_pair::{Outcome, Wire, deliver};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// Configurations and letters, then mostly what carries octets; now and then anything, or hardly ever.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let configuration = prop::array::uniform4(prop_oneof![Just(0), any::<u8>()]);
    let letters = prop::collection::vec(any::<u8>(), 0..40);
    let goings_on = prop_oneof![
        prop::collection::vec(prop_oneof![10 => 0..=220_u8, 1 => any::<u8>()], 0..250),
        prop::collection::vec(prop_oneof![80 => 0..=220_u8, 1 => any::<u8>()], 0..500),
    ];
    (configuration, letters, goings_on)
        .prop_map(|(configuration, letters, goings_on)| [&configuration[..], &letters, &goings_on].concat())
}

/// Whether the law fails within so many runs over that wire.
fn is_caught(wire: Wire) -> bool {
    let mut runner = TestRunner::deterministic();
    (0..1000).any(|_| data().new_tree(&mut runner).is_ok_and(|tree| deliver(&tree.current(), wire).is_err()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_end_and_agree(data in data()) {
        if let Err(broken) = deliver(&data, Wire::Sound) {
            return Err(TestCaseError::fail(broken.to_string()));
        }
    }
}

#[test]
fn polite_halves_deliver_all() {
    // Two recipients of one domain, and two pieces of text.
    let letter = [1, 0, 0, 0, 0, 2, 0, 0, 0, 4];
    let three = [&[2][..], &letter, &letter, &letter].concat();
    for server in 0..16 {
        for client in [0, 2, 4, 6] {
            let delivered = deliver(&[&[server, 0, client, 0], &three[..]].concat(), Wire::Sound);
            assert_eq!(delivered, Ok(Outcome { accepted: 6, taken: 6 }), "server {server}, client {client}");
        }
    }
}

/// A ledger without entries balances too.
#[test]
fn many_runs_deliver_and_some_lose_the_verdict() {
    let mut runner = TestRunner::deterministic();
    let runs = (0..2000).filter_map(|_| deliver(&data().new_tree(&mut runner).ok()?.current(), Wire::Sound).ok());
    let runs: Vec<Outcome> = runs.collect();
    let (served, unheard) = (
        runs.iter().filter(|outcome| outcome.accepted > 0).count(),
        runs.iter().filter(|outcome| outcome.taken > outcome.accepted).count(),
    );
    assert!(served > 400 && unheard > 2, "{served} served, {unheard} unheard");
}

#[test]
fn messages_that_changed_are_noticed() {
    assert!(is_caught(Wire::Garbles));
}

#[test]
fn dots_that_end_messages_are_noticed() {
    assert!(is_caught(Wire::LosesDots));
}

#[test]
fn messages_that_come_twice_are_noticed() {
    assert!(is_caught(Wire::Repeats));
}

#[test]
fn messages_for_somebody_else_are_noticed() {
    assert!(is_caught(Wire::Misleads));
}

#[test]
fn messages_that_never_came_are_noticed() {
    assert!(is_caught(Wire::Lies));
}

#[test]
fn messages_that_came_in_secret_are_noticed() {
    assert!(is_caught(Wire::Denies));
}

#[test]
fn waiting_for_ever_is_noticed() {
    assert!(is_caught(Wire::Swallows));
}
