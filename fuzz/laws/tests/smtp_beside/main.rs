//! Our SMTP beside the crate `smtp-proto`: where both take something they must mean the same, and where they disagree there must
//! be a reason that is known and written down.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod command;
mod draw;
mod hello;
mod message;
mod reply;

use std::collections::BTreeSet;
use std::fmt::Debug;

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;

/// Why the two do not mean the same, and who says so.
struct Reason<C> {
    name: &'static str,
    /// Whether it explains that they do not mean the same here.
    explains: fn(&C) -> bool,
}

impl<C> Reason<C> {
    const fn new(name: &'static str, explains: fn(&C) -> bool) -> Self {
        Self { name, explains }
    }
}

/// Lets both read so many things, which are always the same. Each disagreement must have a reason, and each reason must be one for
/// some.
fn compare<T: Debug, C>(
    runs: usize,
    drawn: impl Strategy<Value = T>,
    reasons: &[Reason<C>],
    read: impl Fn(&T) -> C,
    agree: impl Fn(&C) -> bool,
    told: impl Fn(&C) -> String,
) {
    let mut runner = TestRunner::deterministic();
    let (mut unexplained, mut used, mut agreed) = (Vec::new(), BTreeSet::new(), 0);
    for _ in 0..runs {
        let drawn = drawn.new_tree(&mut runner).unwrap().current();
        let case = read(&drawn);
        if agree(&case) {
            agreed += 1;
            continue;
        }
        let explained = reasons.iter().filter(|reason| (reason.explains)(&case));
        let names: Vec<_> = explained.map(|reason| reason.name).collect();
        if names.is_empty() {
            unexplained.push(told(&case));
        }
        used.extend(names);
    }
    unexplained.sort_by_key(String::len);
    unexplained.truncate(20);
    assert!(unexplained.is_empty(), "they disagree without a reason:\n{}", unexplained.join("\n"));
    let unused: Vec<_> = reasons.iter().map(|reason| reason.name).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "nothing is disagreed on by reason of {unused:?}");
    assert!(agreed * 4 > runs, "they agree {agreed} times in {runs}");
}
