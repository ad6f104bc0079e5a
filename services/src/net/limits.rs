//! How many connections, and how long they may stall.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Network;

/// Bounds on one connection's output and end.
#[derive(Clone, Debug)]
pub struct Pacing {
    /// Octets of output above which [`Connection::drain`](super::Connection::drain) waits for the peer.
    pub high_water: usize,
    /// Longest time without the peer taking a single octet. RFC 5321 §4.5.3.2 gives no server less than 5 minutes.
    pub stall: Duration,
    /// Longest time that a closed session waits for the peer to close too, so that the last reply is not lost to a reset.
    pub linger: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { high_water: 64 * 1024, stall: Duration::from_secs(300), linger: Duration::from_secs(2) }
    }
}

/// Counts connections, in all and for each address. Shared by the listeners that should share a bound.
#[derive(Debug)]
pub struct ConnectionLimits {
    total: usize,
    per_address: usize,
    unlimited: Vec<Network>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    limits: Arc<ConnectionLimits>,
    address: Option<IpAddr>,
}

impl ConnectionLimits {
    /// At most `total` connections at once, and `per_address` from one address (IPv6: from one /64, which is one customer).
    #[must_use]
    pub fn new(total: usize, per_address: usize) -> Arc<Self> {
        Self::except(Vec::new(), total, per_address)
    }

    /// As [`new`](Self::new), but addresses in these networks are counted in all only: a proxy has one address and brings
    /// everybody. Who comes through it, it has to limit itself.
    #[must_use]
    pub fn except(unlimited: Vec<Network>, total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { total, per_address, unlimited, open: Mutex::default() })
    }

    /// Takes a place, if there is one.
    pub(super) fn enter(self: &Arc<Self>, peer: Option<IpAddr>) -> Option<Place> {
        let counted = peer.filter(|peer| !self.unlimited.iter().any(|network| network.contains(*peer)));
        let address = counted.map(customer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.total {
            return None;
        }
        if let Some(address) = address {
            let count = open.by_address.entry(address).or_default();
            if *count >= self.per_address {
                return None;
            }
            *count += 1;
        }
        open.total += 1;
        Some(Place { limits: Arc::clone(self), address })
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        let Some(address) = self.address else { return };
        if let Some(count) = open.by_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let limits = ConnectionLimits::new(3, 2);
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = limits.enter(Some(a)).unwrap();
        let _second = limits.enter(Some(a)).unwrap();
        assert!(limits.enter(Some(a)).is_none());
        let _third = limits.enter(Some(b)).unwrap();
        assert!(limits.enter(None).is_none());
        drop(first);
        assert_eq!(limits.open(), 2);
        assert!(limits.enter(Some(a)).is_some());
    }

    #[test]
    fn a_proxy_is_counted_in_all_only() {
        let limits = ConnectionLimits::except(vec!["192.0.2.0/28".parse().unwrap()], 3, 1);
        let (proxy, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.16".parse().unwrap());
        let _held = [limits.enter(Some(proxy)).unwrap(), limits.enter(Some(proxy)).unwrap()];
        let place = limits.enter(Some(other)).unwrap();
        assert!(limits.enter(Some(proxy)).is_none(), "all places are taken");
        drop(place);
        let _other = limits.enter(Some(other)).unwrap();
        drop(_held);
        assert!(limits.enter(Some(other)).is_none() && limits.enter(Some(proxy)).is_some());
    }

    #[test]
    fn one_ipv6_network_is_one_customer() {
        let limits = ConnectionLimits::new(9, 1);
        let _held = limits.enter(Some("2001:db8::1".parse().unwrap())).unwrap();
        assert!(limits.enter(Some("2001:db8::ffff:1".parse().unwrap())).is_none());
        assert!(limits.enter(Some("2001:db8:0:1::1".parse().unwrap())).is_some());
    }
}
