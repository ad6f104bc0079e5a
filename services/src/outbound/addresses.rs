//! Where a host is: the addresses of both families, neither of which hides the other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::dns::{Answer, Data, Dns, DnsFault, Found, Kind, Trust};
use super::mx::{self, Dice, MAX_ADDRESSES};

/// Which addresses can be reached from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// IPv6 and IPv4.
    #[default]
    Both,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

/// Whether DNS may send mail to this very host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loopback {
    /// No: who publishes a loopback address, or one of this link, wants to make us talk to ourselves.
    #[default]
    Refused,
    /// Yes; for tests.
    Allowed,
}

/// Which addresses are asked for and taken.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) families: Families,
    pub(super) loopback: Loopback,
    /// Our own, also those by which others see us.
    pub(super) ours: Arc<[IpAddr]>,
    pub(super) dice: Arc<Mutex<Dice>>,
}

/// Where a host is.
pub(super) enum Addresses {
    Found(Place),
    /// It has no address.
    None,
    /// It has none that can be meant.
    Odd,
    /// That cannot be found out now.
    Fails(DnsFault),
}

pub(super) struct Place {
    /// In the order to try. Never empty.
    pub(super) addresses: Vec<IpAddr>,
    /// Whether one of the host's addresses is our own.
    pub(super) ours: bool,
    /// Of all addresses, and of the aliases on the way.
    pub(super) trust: Trust,
    /// The host's name behind all aliases.
    pub(super) name: String,
    /// How far the first alias can be trusted, if there is one.
    pub(super) first: Option<Trust>,
}

impl Reach {
    /// Looks up a host's addresses.
    pub(super) async fn addresses(&self, dns: &Dns, host: &str) -> Addresses {
        let ask = async |kind| Some(dns.ask(host, kind).await);
        let (v6, v4) = match self.families {
            Families::Both => futures_util::future::join(ask(Kind::Aaaa), ask(Kind::A)).await,
            Families::V4 => (None, ask(Kind::A).await),
            Families::V6 => (ask(Kind::Aaaa).await, None),
        };
        let (mut found, mut fault): (Vec<Found>, _) = (vec![], None);
        for answer in v6.into_iter().chain(v4) {
            match answer {
                Ok(Answer::Found(records)) => found.push(records),
                Ok(Answer::NoData(_) | Answer::NoName(_)) => {}
                Err(error) => fault = Some(error),
            }
        }
        let Some(first) = found.first() else { return fault.map_or(Addresses::None, Addresses::Fails) };
        let (name, alias) = (first.name.clone(), first.first);
        // Both families stand at the same name, unless it was changed between the two questions.
        let same = found.iter().all(|other| other.name == name && other.first == alias);
        let trust =
            if same && found.iter().all(|found| found.trust.is_secure()) { Trust::Secure } else { Trust::Insecure };
        let all: Vec<IpAddr> = found
            .iter()
            .flat_map(|found| &found.records)
            .filter_map(|record| match record {
                Data::Address(address) => Some(*address),
                Data::Mx { .. } | Data::Tlsa { .. } | Data::Txt(_) => None,
            })
            .collect();
        let addresses = self.order(&all);
        if addresses.is_empty() {
            return fault.map_or(Addresses::Odd, Addresses::Fails);
        }
        let ours = all.iter().any(|address| self.is_ours(*address));
        Addresses::Found(Place { addresses, ours, trust, name, first: alias })
    }

    /// Whether an address is one that others may name.
    pub(super) fn takes(&self, address: IpAddr) -> bool {
        match self.loopback {
            Loopback::Refused => !mx::is_odd(address),
            Loopback::Allowed => true,
        }
    }

    /// Whether an address is our own.
    pub(super) fn is_ours(&self, address: IpAddr) -> bool {
        self.ours.iter().any(|own| own.to_canonical() == address.to_canonical())
    }

    fn order(&self, all: &[IpAddr]) -> Vec<IpAddr> {
        let (mut v6, mut v4): (Vec<Ipv6Addr>, Vec<Ipv4Addr>) = (vec![], vec![]);
        for address in all.iter().filter(|address| self.takes(**address)) {
            match address {
                IpAddr::V6(address) => v6.push(*address),
                IpAddr::V4(address) => v4.push(*address),
            }
        }
        {
            // A name server's turns are lost in the cache.
            let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
            dice.shuffle(&mut v6);
            dice.shuffle(&mut v4);
        }
        v6.truncate(MAX_ADDRESSES);
        v4.truncate(MAX_ADDRESSES);
        mx::alternate(v6, v4)
    }
}
