//! The nine laws as property tests over a subject, and their planted faults.

use proptest::prelude::*;

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
