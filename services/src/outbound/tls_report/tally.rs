//! Counts of a day, as they are kept: within bounds, and in the words of reports (RFC 8460 §4.4).

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::outbound::policy::{Handshake, Policy, TlsFault};
use crate::outbound::target::{Matching, Security, Selector, Target, Tlsa, Usage};

/// Most policies of a domain on one day; a domain has one for MTA-STS, and one for each host under DANE.
const MAX_POLICIES: usize = 24;

/// Most kinds of failure under a policy that are told apart by addresses; others are counted without.
const MAX_DETAILS: usize = 64;

/// Longest list of a policy's lines or hosts that is repeated in the report.
const MAX_STRINGS: usize = 70;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DayTally {
    pub(super) domains: BTreeMap<String, DomainTally>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DomainTally {
    pub(super) rua: Vec<String>,
    pub(super) policies: Vec<PolicyTally>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PolicyTally {
    pub(super) policy: PolicyKey,
    pub(super) summary: Summary,
    pub(super) failure_details: Vec<Detail>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PolicyKey {
    pub(super) policy_type: PolicyType,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) policy_string: Vec<String>,
    pub(super) policy_domain: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) mx_host: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PolicyType {
    Tlsa,
    Sts,
    NoPolicyFound,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Summary {
    pub(super) total_successful_session_count: u64,
    pub(super) total_failure_session_count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Detail {
    pub(super) result_type: TlsFault,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sending_mta_ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) receiving_ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) receiving_mx_hostname: Option<String>,
    pub(super) failed_session_count: u64,
}

/// Whether a host is under DANE, whatever MTA-STS says.
pub(super) fn is_dane(target: &Target) -> bool {
    match target.security {
        // Of the domains that ask for reports: there are TLSA records, and none can be used.
        Security::Dane { .. } | Security::Encrypted => true,
        Security::Clear | Security::Opportunistic | Security::Verified { .. } => false,
    }
}

impl PolicyKey {
    /// The policy that a session with a host was under.
    pub(super) fn of(policy: &Policy, target: Option<&Target>) -> Self {
        match target {
            Some(target) if is_dane(target) => {
                let (records, base) = match &target.security {
                    Security::Dane { records, names } => (records.as_slice(), names.first()),
                    Security::Clear | Security::Opportunistic | Security::Encrypted | Security::Verified { .. } => {
                        (&[][..], None)
                    }
                };
                Self {
                    policy_type: PolicyType::Tlsa,
                    policy_string: records.iter().map(record).collect(),
                    // RFC 8460 §1.1: for DANE that is the TLSA base domain.
                    policy_domain: base.unwrap_or(&target.host).clone(),
                    mx_host: vec![target.host.clone()],
                }
            }
            Some(_) | None => Self::without_dane(policy),
        }
    }

    fn without_dane(policy: &Policy) -> Self {
        let (policy_type, mut policy_string, mut mx_host) = match &policy.sts {
            Some(sts) => (PolicyType::Sts, sts.lines(), sts.mx.clone()),
            // One was announced, and could not be had.
            None if !policy.faults.is_empty() => (PolicyType::Sts, vec![], vec![]),
            None => (PolicyType::NoPolicyFound, vec![], vec![]),
        };
        policy_string.truncate(MAX_STRINGS);
        mx_host.truncate(MAX_STRINGS);
        Self { policy_type, policy_string, policy_domain: policy.domain.clone(), mx_host }
    }
}

impl DomainTally {
    /// Counts a session, and what was already wrong before it.
    pub(super) fn count(&mut self, key: PolicyKey, host: Option<&str>, handshake: Handshake, before: &[TlsFault]) {
        let known = self.policies.iter().position(|tally| tally.policy == key);
        let index = known.unwrap_or(self.policies.len());
        if known.is_none() {
            if index >= MAX_POLICIES {
                return;
            }
            self.policies.push(PolicyTally { policy: key, summary: Summary::default(), failure_details: vec![] });
        }
        let Some(tally) = self.policies.get_mut(index) else { return };
        let (successes, failures) = match handshake.result {
            Ok(()) => (1, 0),
            Err(_) => (0, 1),
        };
        let summary = &mut tally.summary;
        summary.total_successful_session_count = summary.total_successful_session_count.saturating_add(successes);
        summary.total_failure_session_count = summary.total_failure_session_count.saturating_add(failures);
        for fault in before {
            tally.detail(Detail::bare(*fault));
        }
        if let Err(fault) = handshake.result {
            tally.detail(Detail {
                sending_mta_ip: handshake.local,
                receiving_ip: handshake.peer,
                receiving_mx_hostname: host.map(str::to_owned),
                ..Detail::bare(fault)
            });
        }
    }
}

impl PolicyTally {
    fn detail(&mut self, detail: Detail) {
        let full = self.failure_details.len() >= MAX_DETAILS;
        let same = |known: &&mut Detail, other: &Detail| {
            let (one, other) = (
                (&known.result_type, &known.sending_mta_ip, &known.receiving_ip, &known.receiving_mx_hostname),
                (&other.result_type, &other.sending_mta_ip, &other.receiving_ip, &other.receiving_mx_hostname),
            );
            one == other
        };
        if let Some(known) = self.failure_details.iter_mut().find(|known| same(known, &detail)) {
            known.failed_session_count = known.failed_session_count.saturating_add(1);
            return;
        }
        if !full {
            self.failure_details.push(detail);
            return;
        }
        let bare = Detail::bare(detail.result_type);
        match self.failure_details.iter_mut().find(|known| same(known, &bare)) {
            Some(known) => known.failed_session_count = known.failed_session_count.saturating_add(1),
            // One for each kind of fault: as many as there are.
            None => self.failure_details.push(bare),
        }
    }
}

impl Detail {
    fn bare(fault: TlsFault) -> Self {
        Self {
            result_type: fault,
            sending_mta_ip: None,
            receiving_ip: None,
            receiving_mx_hostname: None,
            failed_session_count: 1,
        }
    }
}

/// A TLSA record as zone files have it (RFC 6698 §2.2).
fn record(record: &Tlsa) -> String {
    let usage = match record.usage {
        Usage::DaneTa => 2,
        Usage::DaneEe => 3,
    };
    let selector = match record.selector {
        Selector::Certificate => 0,
        Selector::PublicKey => 1,
    };
    let matching = match record.matching {
        Matching::Full => 0,
        Matching::Sha256 => 1,
        Matching::Sha512 => 2,
    };
    // A whole certificate would be told again in each report; its beginning tells which it is.
    let data: String = record.data.iter().take(64).map(|octet| format!("{octet:02x}")).collect();
    format!("{usage} {selector} {matching} {data}")
}
