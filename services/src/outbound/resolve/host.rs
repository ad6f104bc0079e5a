//! What DNS tells of one mail host: its addresses, and its TLSA records where they count (RFC 7672 §2.2).

use crate::outbound::addresses::{Addresses, Place, Reach};
use crate::outbound::dane;
use crate::outbound::dns::{Answer, Dns, DnsFault, Kind};
use crate::outbound::mx::Exchange;
use crate::outbound::target::Tlsa;

/// What is asked about a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Addresses,
    Tlsa,
}

/// A host as DNS tells it.
pub(super) struct Host {
    pub(super) preference: u16,
    pub(super) name: String,
    pub(super) state: State,
}

pub(super) enum State {
    At(Place, Dane),
    NoAddress,
    Odd,
    Fails(DnsFault),
}

/// What a host's TLSA records come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dane {
    /// There are none, or none that count.
    Absent,
    /// There are some, and none can be used (RFC 7672 §2.2).
    Unusable,
    Usable {
        records: Vec<Tlsa>,
        /// The TLSA base domain: the name under which they stand (RFC 7672 §2.2.3).
        base: String,
    },
    /// Whether there are some cannot be found out: no absence (RFC 7672 §2.1.2).
    Fails,
}

impl Host {
    pub(super) fn is_ours(&self) -> bool {
        match &self.state {
            State::At(place, _) => place.ours,
            State::NoAddress | State::Odd | State::Fails(_) => false,
        }
    }
}

/// Asks DNS about one host.
pub(super) async fn look_up(dns: &Dns, reach: &Reach, exchange: Exchange, port: u16, wanted: Wanted) -> Host {
    let Exchange { preference, host: name } = exchange;
    let state = match reach.addresses(dns, &name).await {
        Addresses::Found(place) => {
            let dane = match wanted {
                Wanted::Addresses => Dane::Absent,
                Wanted::Tlsa => tlsa(dns, &name, &place, port).await,
            };
            State::At(place, dane)
        }
        Addresses::None => State::NoAddress,
        Addresses::Odd => State::Odd,
        Addresses::Fails(fault) => State::Fails(fault),
    };
    Host { preference, name, state }
}

async fn tlsa(dns: &Dns, host: &str, place: &Place, port: u16) -> Dane {
    for base in bases(host, place) {
        match dns.ask(&format!("_{port}._tcp.{base}"), Kind::Tlsa).await {
            Ok(Answer::Found(found)) if found.trust.is_secure() => {
                let records = dane::usable(&found.records);
                return if records.is_empty() { Dane::Unusable } else { Dane::Usable { records, base } };
            }
            Ok(Answer::Found(_) | Answer::NoData(_) | Answer::NoName(_)) => {}
            Err(_) => return Dane::Fails,
        }
    }
    Dane::Absent
}

/// Names under which TLSA records are looked for: behind all aliases, then as the MX record has it; the latter alone where the
/// host is elsewhere than DNSSEC reaches but its alias is not; none where nothing is secure, so that servers which stumble
/// over TLSA do not stop mail to zones that are not signed (RFC 7672 §2.2.2).
fn bases(host: &str, place: &Place) -> Vec<String> {
    let alias = place.first.is_some_and(|first| first.is_secure());
    match place.trust.is_secure() {
        true if place.name == host => vec![host.to_owned()],
        true => vec![place.name.clone(), host.to_owned()],
        false if alias => vec![host.to_owned()],
        false => vec![],
    }
}
