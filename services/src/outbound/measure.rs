//! The queue's own numbers, for metrics.

use mailqueue::Counters;

/// Sets the metrics that tell what is in the queue and what became of the rest. It costs little; call it before each
/// look at them, see [`sampling`](crate::http::Numbers::sampling).
pub fn measure(counters: &Counters) {
    let now = |state: &'static str, count: u64| {
        metrics::gauge!("posthaste_queue_recipients", "state" => state).set(count as f64);
    };
    metrics::gauge!("posthaste_queue_messages").set(counters.messages as f64);
    now("waiting", counters.waiting);
    now("trying", counters.trying);
    now("held_failed", counters.held_failed);
    now("held_expired", counters.held_expired);
    now("held_damaged", counters.held_damaged);
    let held = |why: &'static str, count: u64| {
        metrics::counter!("posthaste_held_total", "why" => why).absolute(count);
    };
    held("failed", counters.failed);
    held("expired", counters.expired);
    held("damaged", counters.damaged);
    metrics::counter!("posthaste_spool_errors_total").absolute(counters.spool_errors);
}
