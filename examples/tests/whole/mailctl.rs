//! `mailctl`, as an operator runs it at the running server.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::node::{Node, PATIENCE};
use crate::program::{outcome, run};

/// What `mailctl queue` prints, with these words behind it.
pub(crate) fn queue(node: &Node, words: &[&str]) -> String {
    String::from_utf8(run(&mut command(node, words)).unwrap()).unwrap()
}

/// The same, where it may be that no message is meant.
pub(crate) fn queue_if_any(node: &Node, words: &[&str]) {
    let output = outcome(&mut command(node, words)).unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!([Some(0), Some(1)].contains(&output.status.code()), "{words:?}: {}: {told}", output.status);
}

fn command(node: &Node, words: &[&str]) -> Command {
    let mut mailctl = Command::new(env!("CARGO_BIN_EXE_mailctl"));
    mailctl.env_clear().arg("queue").arg("--data").arg(node.data()).args(words);
    mailctl
}

/// The messages that are queued, each as `list --json` tells it.
pub(crate) fn list(node: &Node) -> Vec<Value> {
    queue(node, &["list", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until what is queued is as it should be, and gives it.
pub(crate) fn wait_for(node: &Node, what: &str, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let end = Instant::now() + PATIENCE;
    loop {
        let queued = list(node);
        if is_so(&queued) {
            return queued;
        }
        assert!(Instant::now() < end, "waited for {what} in vain: {queued:#?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until nothing is queued.
pub(crate) fn wait_until_empty(node: &Node) {
    wait_for(node, "an empty queue", <[Value]>::is_empty);
}
