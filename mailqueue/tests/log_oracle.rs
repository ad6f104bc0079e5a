//! The log answers as a spool in memory does: the same calls get the same answers, through restarts and crashes too.

#[cfg(test)]
mod ledger;

use ledger::pair::{Call, Pair, call};
use mailqueue::Spool;
use mailqueue::testing::{Survival, block_on};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn the_log_answers_as_memory_does(calls in prop::collection::vec(call(), 1..160)) {
        let mut pair = Pair::new();
        for call in calls {
            pair.play(call)?;
        }
        pair.look()?;
        pair.play(Call::Crash(Survival::Nothing))?;
        let (log, memory) = (block_on(pair.log().take(999)), block_on(pair.memory.take(999)));
        prop_assert_eq!(log, memory);
    }
}
