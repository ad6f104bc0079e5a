//! Networks, as operators write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// All addresses that begin with the same bits (CIDR, RFC 4632 §3.1). A single address is a network too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

/// The text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an address or a network; write one like 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32")]
pub struct NoNetwork;

impl Network {
    /// Whether an address belongs to it. An IPv4 address that came over an IPv6 socket is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => masked_v4(address, self.bits) == first,
            (IpAddr::V6(first), IpAddr::V6(address)) => masked_v6(address, self.bits) == first,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// What stands behind the network's own bits must be zero: else a digit is wrong, in the address or in the length.
impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let Some((address, bits)) = text.split_once('/') else {
            let first = text.parse::<IpAddr>().map_err(|_| NoNetwork)?.to_canonical();
            return Ok(Self { first, bits: width(first) });
        };
        let first: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let digits = !bits.is_empty() && bits.bytes().all(|octet| octet.is_ascii_digit());
        let bits = bits.parse().ok().filter(|bits| digits && *bits <= width(first)).ok_or(NoNetwork)?;
        let whole = match first {
            IpAddr::V4(first) => masked_v4(first, bits) == first,
            // As an IPv4 network it would have another length, and as it stands it would contain nobody.
            IpAddr::V6(first) => masked_v6(first, bits) == first && first.to_ipv4_mapped().is_none(),
        };
        if whole { Ok(Self { first, bits }) } else { Err(NoNetwork) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == width(self.first) { self.first.fmt(f) } else { write!(f, "{}/{}", self.first, self.bits) }
    }
}

const fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS,
        IpAddr::V6(_) => Ipv6Addr::BITS,
    }
}

fn masked_v4(address: Ipv4Addr, bits: u32) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(Ipv4Addr::BITS.saturating_sub(bits)).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() & mask)
}

fn masked_v6(address: Ipv6Addr, bits: u32) -> Ipv6Addr {
    let mask = u128::MAX.checked_shl(Ipv6Addr::BITS.saturating_sub(bits)).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_as_it_does() {
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("192.0.2.128/25", "192.0.2.128") && !holds("192.0.2.128/25", "192.0.2.127"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::"));
        assert!(holds("192.0.2.1", "192.0.2.1") && !holds("192.0.2.1", "192.0.2.2"));
        assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "::1") && !holds("::/0", "192.0.2.1"));
    }

    #[test]
    fn an_ipv4_address_is_the_same_over_an_ipv6_socket() {
        assert!(holds("192.0.2.0/24", "::ffff:192.0.2.7"));
        assert!(holds("::ffff:192.0.2.7", "192.0.2.7"));
    }

    #[test]
    fn networks_are_shown_as_they_are_written() {
        for text in ["192.0.2.1", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::1"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "192.0.2",
            "192.0.2.0/",
            "192.0.2.0/33",
            "192.0.2.0/+8",
            "192.0.2.1/24",
            "2001:db8::1/32",
            "::/129",
            "localhost",
            "192.0.2.0/24/24",
            "::ffff:192.0.2.0/120",
            "[::1]",
            "192.0.2.1:110",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }
}
