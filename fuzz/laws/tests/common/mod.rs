//! The nine laws as property tests over a subject, and their planted faults.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

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

/// Whether a law is broken in one of 400 runs.
pub(crate) fn is_caught(law: impl Fn(&[u8]) -> Result<(), laws::Broken>) -> bool {
    let mut runner = TestRunner::deterministic();
    (0..400).any(|_| data().new_tree(&mut runner).is_ok_and(|tree| law(&tree.current()).is_err()))
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
                    assert!(crate::common::is_caught(|data| laws::$law(&planted, data)), "no run has found the planted fault");
                }
            }
        )*
    };
}
pub(crate) use laws;
