//! How safe the way to a host must be: DANE, MTA-STS and the sender's demands come to one answer. Pure.

use super::host::{Dane, Host, State};
use crate::outbound::dns::{DnsFault, Trust};
use crate::outbound::policy::{StsMode, StsPolicy};
use crate::outbound::target::{Demands, NoWay, Security, Target};

/// What holds for all hosts of a domain.
pub(super) struct Standing<'a> {
    /// The domain's own names, which a certificate below DANE's authorities may carry instead of the host's
    /// (RFC 7672 §3.2.2).
    pub(super) names: &'a [String],
    /// How far the hosts' names can be trusted.
    pub(super) mx: Trust,
    /// The domain's MTA-STS policy.
    pub(super) sts: Option<&'a StsPolicy>,
    /// What the sender demands.
    pub(super) demands: Demands,
}

/// The hosts that may take the mail.
pub(super) fn choose(hosts: Vec<Host>, port: u16, standing: &Standing<'_>) -> Result<Vec<Target>, NoWay> {
    let (mut targets, mut reasons) = (Vec::new(), Vec::new());
    for host in hosts {
        match take(host, port, standing) {
            Ok(target) => targets.push(target),
            Err(why) => reasons.push(why),
        }
    }
    if targets.is_empty() { Err(outweighing(&reasons)) } else { Ok(targets) }
}

fn take(host: Host, port: u16, standing: &Standing<'_>) -> Result<Target, NoWay> {
    let (place, dane) = match host.state {
        State::At(place, dane) => (place, dane),
        State::NoAddress => return Err(NoWay::NoAddress),
        State::Odd => return Err(NoWay::OddAddress),
        State::Fails(DnsFault::Bogus) => return Err(NoWay::Bogus),
        State::Fails(_) => return Err(NoWay::AddressFails),
    };
    let security = security(&host.name, dane, standing)?;
    Ok(Target { host: host.name, port, addresses: place.addresses, security })
}

/// How the connection to a host must be secured.
pub(super) fn security(host: &str, dane: Dane, standing: &Standing<'_>) -> Result<Security, NoWay> {
    if standing.demands == Demands::TlsOptional {
        return Ok(Security::Opportunistic);
    }
    let verified = || Ok(Security::Verified { names: vec![host.to_owned()] });
    let otherwise = match dane {
        Dane::Fails => return Err(NoWay::TlsaFails),
        // RFC 8461 §2: where both are, DANE decides.
        Dane::Usable { records, base } => return Ok(Security::Dane { records, names: names(base, standing) }),
        Dane::Unusable => Security::Encrypted,
        Dane::Absent => Security::Opportunistic,
    };
    let listed = match standing.sts {
        Some(sts) if sts.mode == StsMode::Enforce && sts.covers(host) => return verified(),
        Some(sts) if sts.mode == StsMode::Enforce => return Err(NoWay::StsMismatch),
        Some(sts) => sts.mode == StsMode::Testing && sts.covers(host),
        None => false,
    };
    match standing.demands {
        // RFC 8689 §4.2.1: the host's name must come by DNSSEC or be in an MTA-STS policy, and its certificate be valid.
        Demands::RequireTls if listed || standing.mx.is_secure() => verified(),
        Demands::RequireTls => Err(NoWay::RequireTls),
        Demands::Any | Demands::TlsOptional => Ok(otherwise),
    }
}

fn names(base: String, standing: &Standing<'_>) -> Vec<String> {
    let mut names = vec![base];
    for name in standing.names {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Of the reasons why each host was left, the one that says whether trying again is of use, and what the sender can do.
fn outweighing(reasons: &[NoWay]) -> NoWay {
    let passing = reasons.iter().find(|why| !why.is_permanent());
    let wished = reasons.iter().find(|why| **why == NoWay::RequireTls);
    let odd = reasons.iter().find(|why| **why == NoWay::OddAddress);
    passing.or(wished).or(odd).copied().unwrap_or(NoWay::NoAddress)
}

#[cfg(test)]
mod tests;
