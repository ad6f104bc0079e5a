//! What a response says about one name: the records, the alias, or their absence, and how far to trust it.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::{DnsFault, Kind, MAX_ALIASES, cache};

/// Most records of a response that are looked at. A message of 64 KiB can hold thousands, and nobody needs them for mail.
const MAX_RECORDS: usize = 256;

/// Longest text that is kept of a TXT record: those for mail are a few hundred octets.
const LONGEST_TEXT: usize = 4096;

/// Longest TLSA data: a certificate in full. TLS certificates beyond that do not occur.
const LONGEST_TLSA: usize = 16 * 1024;

/// How far an answer can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Trust {
    /// Its signatures were validated up to a trust anchor.
    Secure,
    /// There are none, and that there are none is proved; or nobody validates.
    Insecure,
}

impl Trust {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Secure, Self::Secure) => Self::Secure,
            (Self::Secure, Self::Insecure) | (Self::Insecure, _) => Self::Insecure,
        }
    }

    pub(in super::super) fn is_secure(self) -> bool {
        self == Self::Secure
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Answer {
    Found(Found),
    /// The name exists, and has no such records.
    NoData(Trust),
    /// The name does not exist.
    NoName(Trust),
}

/// Records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Found {
    /// Never empty.
    pub(in super::super) records: Vec<Data>,
    /// Of the records and all aliases on the way.
    pub(in super::super) trust: Trust,
    /// The name at which they are: another than asked for if that is an alias.
    pub(in super::super) name: String,
    /// How far the first alias can be trusted, if there is one.
    pub(in super::super) first: Option<Trust>,
}

/// One record's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Data {
    /// The root is the empty name.
    Mx {
        preference: u16,
        host: String,
    },
    Address(IpAddr),
    Tlsa {
        usage: u8,
        selector: u8,
        matching: u8,
        data: Vec<u8>,
    },
    /// The strings joined.
    Txt(Vec<u8>),
}

/// One alias on the way.
pub(super) struct Link {
    pub(super) target: String,
    pub(super) trust: Trust,
}

/// Whose word counts for the trust.
pub(super) enum Judge {
    /// The proof at each record.
    Proofs,
    /// One for all.
    All(Trust),
}

impl Judge {
    fn trust(&self, record: &Record) -> Result<Trust, DnsFault> {
        match self {
            Self::All(trust) => Ok(*trust),
            Self::Proofs => match record.proof {
                Proof::Secure => Ok(Trust::Secure),
                Proof::Insecure => Ok(Trust::Insecure),
                Proof::Bogus | Proof::Indeterminate => Err(DnsFault::Bogus),
            },
        }
    }
}

/// A response that says something: records, an alias, or that there is none.
pub(super) struct Response {
    code: ResponseCode,
    answers: Vec<Record>,
    /// Of what it says that there is not.
    absence: Trust,
    ttl: Option<Duration>,
    judge: Judge,
}

impl Response {
    /// A response with its records.
    pub(super) fn new(message: Message, judge: Judge, ttl: Option<Duration>) -> Result<Self, DnsFault> {
        let code = message.response_code;
        // Signatures are not counted: they have been used.
        let answers: Vec<_> =
            message.answers.into_iter().filter(|record| record.record_type() != RecordType::RRSIG).collect();
        if answers.len() > MAX_RECORDS {
            return Err(DnsFault::Oversized);
        }
        let absence = match judge {
            Judge::All(trust) => trust,
            // The validator has held NSEC records against the question; without any signed ones there was no proof.
            Judge::Proofs if message.authorities.iter().any(|record| record.proof == Proof::Secure) => Trust::Secure,
            Judge::Proofs => Trust::Insecure,
        };
        Ok(Self { code, answers, absence, ttl, judge })
    }

    /// Whether it holds an alias for a name.
    pub(super) fn has_alias(&self, name: &Name) -> bool {
        self.answers.iter().any(|record| record.name == *name && record.record_type() == RecordType::CNAME)
    }

    /// A response without any record.
    pub(super) fn empty(code: ResponseCode, ttl: Option<Duration>) -> Result<Self, DnsFault> {
        let (answers, absence) = (vec![], Trust::Insecure);
        fault_of(code).map_or(Ok(Self { code, answers, absence, ttl, judge: Judge::All(absence) }), Err)
    }
}

/// Codes that say nothing about the name.
pub(super) fn fault_of(code: ResponseCode) -> Option<DnsFault> {
    if code == ResponseCode::NoError || code == ResponseCode::NXDomain {
        return None;
    }
    Some(if code == ResponseCode::ServFail { DnsFault::ServerFails } else { DnsFault::Refused })
}

/// What a response says about a name, and for how long.
pub(super) struct Read {
    pub(super) step: Step,
    pub(super) ttl: Duration,
}

pub(super) enum Step {
    Found {
        records: Vec<Data>,
        trust: Trust,
    },
    NoData(Trust),
    NoName(Trust),
    /// An alias leads to a name of which the response tells nothing.
    Onward(Name),
}

/// Looks for records of one kind at a name, along the aliases that the response holds; these are added to `links`.
pub(super) fn read(response: &Response, name: &Name, kind: Kind, links: &mut Vec<Link>) -> Result<Read, DnsFault> {
    let mut at = name;
    let mut ttl = cache::LONGEST;
    let mut aliases = 0;
    loop {
        let mut records = Vec::new();
        let mut trust = Trust::Secure;
        let here = || response.answers.iter().filter(|record| record.name == *at);
        for record in here().filter(|record| record.record_type() == kind.into()) {
            trust = trust.and(response.judge.trust(record)?);
            ttl = ttl.min(Duration::from_secs(record.ttl.into()));
            records.push(data(&record.data)?);
        }
        if !records.is_empty() {
            return Ok(Read { step: Step::Found { records, trust }, ttl });
        }
        let alias = here().find_map(|record| {
            let RData::CNAME(target) = &record.data else { return None };
            Some((record, &target.0))
        });
        let Some((record, target)) = alias else { break };
        aliases += 1;
        if aliases > MAX_ALIASES {
            return Err(DnsFault::Oversized);
        }
        ttl = ttl.min(Duration::from_secs(record.ttl.into()));
        links.push(Link { target: text(target), trust: response.judge.trust(record)? });
        at = target;
    }
    if aliases > 0 {
        // What is at the end of it is asked for by itself, so that its absence has its own proof.
        return Ok(Read { step: Step::Onward(at.clone()), ttl });
    }
    ttl = ttl.min(response.ttl.unwrap_or(cache::NEGATIVE)).min(cache::NEGATIVE);
    let no_name = response.code == ResponseCode::NXDomain;
    let step = if no_name { Step::NoName(response.absence) } else { Step::NoData(response.absence) };
    Ok(Read { step, ttl })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "there are dozens of others, and only these were asked for")]
fn data(data: &RData) -> Result<Data, DnsFault> {
    match data {
        RData::MX(mx) => Ok(Data::Mx { preference: mx.preference, host: text(&mx.exchange) }),
        RData::A(address) => Ok(Data::Address(IpAddr::V4(address.0))),
        RData::AAAA(address) => Ok(Data::Address(IpAddr::V6(address.0))),
        RData::TLSA(tlsa) if tlsa.cert_data.len() <= LONGEST_TLSA => Ok(Data::Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        }),
        RData::TLSA(_) => Err(DnsFault::Oversized),
        // RFC 7208 §3.3, as all mail's TXT records: strings are joined without anything between.
        RData::TXT(txt) => Ok(Data::Txt(txt.txt_data.iter().flatten().copied().take(LONGEST_TEXT).collect())),
        _ => Err(DnsFault::Malformed),
    }
}

/// A name without the dot at its end, in lower case; the root is empty.
fn text(name: &Name) -> String {
    let mut text = name.to_ascii().to_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}
