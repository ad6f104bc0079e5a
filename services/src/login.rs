//! One line in the log and one count for each login, whatever the protocol.

use std::net::IpAddr;

use crate::directory::{Account, Why};

/// Tells operators how a login went. The name that was tried is not told: people type passwords there.
pub(crate) fn told(service: &'static str, peer: Option<IpAddr>, outcome: Result<&Account, Why>) {
    let word = match outcome {
        Ok(account) => {
            tracing::info!(service, peer = peer.map(tracing::field::display), account = account.address(), "logged in");
            "ok"
        }
        Err(why) => {
            tracing::info!(service, peer = peer.map(tracing::field::display), why = why.as_str(), "login failed");
            why.as_str()
        }
    };
    metrics::counter!("posthaste_logins_total", "service" => service, "outcome" => word).increment(1);
}
