//! A forged routing table does no harm.

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_forged_table_does_no_harm(data in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(laws::router::forged(&data), Ok(()));
    }
}
