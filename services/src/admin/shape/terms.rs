//! The library's own words in JSON: serde's view of types that know nothing of serde.

use mailqueue::{Action, Counters, Failure, Handed, Held, Late};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Action", rename_all = "snake_case")]
pub(super) enum ActionTerm {
    Hold,
    Release,
    Retry,
    Requeue,
    Bounce,
    Delete,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Held", rename_all = "snake_case")]
pub(super) enum HeldTerm {
    Asked,
    Poison,
    Damaged,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Failure", rename_all = "snake_case")]
pub(super) enum FailureTerm {
    Refused,
    Expired,
    Late,
    Bounced,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Handed", rename_all = "snake_case")]
pub(super) enum HandedTerm {
    Mailbox,
    WithDuty,
    Relayed,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Late", rename_all = "snake_case")]
pub(super) enum LateTerm {
    Return,
    Notify,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Counters")]
pub(super) struct CountersTerm {
    accepted: u64,
    delivered: u64,
    deferred: u64,
    interrupted: u64,
    refused: u64,
    expired: u64,
    late: u64,
    bounced: u64,
    notified: u64,
    warned: u64,
    untold: u64,
    poisoned: u64,
    damaged: u64,
    removed: u64,
    spool_errors: u64,
    messages: u64,
    active: u64,
    recipients: u64,
    waiting: u64,
    suspects: u64,
    held: u64,
    suspended: u64,
    flying: u64,
    sites: u64,
    unreachable: u64,
}
