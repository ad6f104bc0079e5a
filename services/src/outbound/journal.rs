//! What operators hear of the queue: a line for each thing that happens to a message, and numbers.

use mailqueue::{About, Counters, Event, Handed, MessageId, News, Observer, Recipient, UnixMicros};

use super::Fate;
use crate::convert;

/// Writes down what happens in a queue: give it to [`Queue::observe`](mailqueue::Queue::observe).
///
/// Each recipient's outcome is one line at the level `info` or above. For what another server took it is that of
/// [`Outbound`](super::Outbound), which alone knows by which address and how safely it went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Journal;

impl Observer for Journal {
    fn event(&self, event: &Event<'_>) {
        match event {
            // The service that took it has said so, and knows from whom it came.
            Event::Accepted { .. } => {}
            Event::Attempted { id, site, attempt, recipients, .. } => {
                tracing::debug!(%id, site, attempt, recipients, "delivery is tried");
            }
            Event::Delivered { about, detail, handed } => {
                count(about, "delivered");
                let (id, to, said) = (about.id, &about.recipient.address, &detail.text);
                match handed {
                    Handed::Mailbox => {
                        tracing::info!(%id, to, said, delay_ms = delay(about.envelope.arrived), "delivered");
                    }
                    Handed::WithDuty | Handed::Relayed => tracing::debug!(%id, to, said, "its delivery is recorded"),
                }
            }
            Event::Deferred { about, until, detail } => {
                count(about, "deferred");
                let (id, remote, said) = (about.id, &detail.remote, &detail.text);
                let until = convert::time(*until);
                let delay_ms = delay(about.envelope.arrived);
                tracing::warn!(%id, to = about.recipient.address, remote, said, delay_ms, %until, "not delivered, tried again");
            }
            Event::Interrupted { about, times } => {
                count(about, "interrupted");
                tracing::warn!(id = %about.id, to = about.recipient.address, times, "a delivery ended without an outcome");
            }
            Event::Failed { about, why, detail } => {
                count(about, "failed");
                let (id, remote, said) = (about.id, &detail.remote, &detail.text);
                let (why, delay_ms) = (why.as_str(), delay(about.envelope.arrived));
                tracing::warn!(%id, to = about.recipient.address, why, remote, said, delay_ms, "not delivered, given up");
            }
            Event::Suspected { id } => {
                tracing::warn!(%id, "tried alone, since attempts for it ended without an outcome");
            }
            Event::Held { id, why } => tracing::warn!(%id, why = why.as_str(), "held"),
            Event::Released { id } => tracing::info!(%id, "released"),
            Event::Removed { id } => tracing::warn!(%id, "removed"),
            Event::Notified { id, notification, news } => {
                tracing::info!(%id, %notification, news = word(*news), "the sender is told");
            }
            Event::Untold { id, news } => tracing::warn!(%id, news = word(*news), "the sender cannot be told"),
            Event::Unreachable { site, probe_at, detail } => {
                let (remote, said, probe_at) = (&detail.remote, &detail.text, convert::time(*probe_at));
                tracing::warn!(site, remote, said, %probe_at, "nobody answers there");
            }
            Event::Reachable { site } => tracing::info!(site, "answers again"),
            Event::SpoolFails => tracing::error!("the spool takes nothing, so that nothing is sent"),
            Event::SpoolWorks => tracing::info!("the spool works again"),
        }
    }
}

/// Writes down that another server took a message for a recipient. What else may become of it, the queue tells: it alone knows
/// when it is tried again, or that it is given up.
pub(super) fn sent(id: MessageId, recipient: &Recipient, arrived: UnixMicros, fate: &Fate) {
    let word = match fate {
        Fate::Delivered { word, onward: _ } => word,
        Fate::Deferred { .. } | Fate::Failed { .. } => return,
    };
    tracing::info!(
        %id,
        to = recipient.address,
        remote = word.host,
        address = word.address.map(tracing::field::display),
        tls = word.tls.as_deref().unwrap_or("none"),
        said = word.text,
        delay_ms = delay(arrived),
        "delivered"
    );
}

/// Milliseconds since a message came.
fn delay(arrived: UnixMicros) -> u64 {
    UnixMicros::now().0.saturating_sub(arrived.0) / 1000
}

fn count(about: &About<'_>, outcome: &'static str) {
    let transport = convert::transport(&about.recipient.destination);
    metrics::counter!("posthaste_deliveries_total", "transport" => transport, "outcome" => outcome).increment(1);
}

fn word(news: News) -> &'static str {
    match news {
        News::Ends => "what became of it",
        News::Delay => "that it takes its time",
    }
}

/// Sets the metrics that tell what is in the queue and what became of the rest. It costs little; call it before each
/// look at them, see [`sampling`](crate::http::Numbers::sampling).
pub fn measure(counters: &Counters) {
    let now = |state: &'static str, count: u64| {
        metrics::gauge!("posthaste_queue_messages", "state" => state).set(count as f64);
    };
    now("active", counters.active);
    now("deferred", counters.waiting);
    now("held", counters.held);
    now("suspended", counters.suspended);
    // They are among the active and the deferred.
    metrics::gauge!("posthaste_queue_suspects").set(counters.suspects as f64);
    metrics::gauge!("posthaste_queue_deliveries").set(counters.flying as f64);
    metrics::gauge!("posthaste_queue_sites", "state" => "reachable")
        .set((counters.sites - counters.unreachable) as f64);
    metrics::gauge!("posthaste_queue_sites", "state" => "unreachable").set(counters.unreachable as f64);
    let failed = |why: &'static str, count: u64| {
        metrics::counter!("posthaste_queue_failed_total", "why" => why).absolute(count);
    };
    failed("refused", counters.refused);
    failed("expired", counters.expired);
    failed("late", counters.late);
    failed("bounced", counters.bounced);
    let told = |what: &'static str, count: u64| {
        metrics::counter!("posthaste_queue_notifications_total", "about" => what).absolute(count);
    };
    told("end", counters.notified);
    told("delay", counters.warned);
    told("nobody", counters.untold);
    let held = |why: &'static str, count: u64| {
        metrics::counter!("posthaste_queue_held_total", "why" => why).absolute(count);
    };
    held("poison", counters.poisoned);
    held("damaged", counters.damaged);
    metrics::counter!("posthaste_spool_errors_total").absolute(counters.spool_errors);
}

#[cfg(test)]
mod tests;
