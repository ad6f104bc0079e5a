//! Which hosts take a domain's mail, and in what order (RFC 5321 §5.1). Pure: answers and dice in, lists out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most hosts of a domain that are looked at. Real domains have a handful; each costs several lookups.
pub(super) const MAX_HOSTS: usize = 20;

/// Most addresses of a host that are kept, in each family. No attempt lasts long enough to try more.
pub(super) const MAX_ADDRESSES: usize = 8;

/// Longest name of a site that is spelled out; beyond it a digest stands for the hosts, since queues keep the name in memory.
const LONGEST_SITE: usize = 200;

/// One MX record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exchange {
    /// Lower is better.
    pub(super) preference: u16,
    /// In lower-case ASCII, without a dot at the end.
    pub(super) host: String,
}

/// What a domain's MX records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exchanges {
    /// That it takes no mail (RFC 7505 §3).
    Null,
    /// Its hosts, best first, and in the order of their names among equals. Empty if none has a name that can be one.
    Hosts(Vec<Exchange>),
}

/// Reads a domain's MX records, given as preference and name, in ASCII; the root is the empty name.
pub(super) fn exchanges(records: impl IntoIterator<Item = (u16, String)>) -> Exchanges {
    let mut best: HashMap<String, u16> = HashMap::new();
    let (mut total, mut roots) = (0_usize, 0_usize);
    for (preference, host) in records {
        total += 1;
        match host.as_str() {
            // Beside other records it means nothing: RFC 7505 §3 has it stand alone.
            "" => roots += 1,
            _ => {
                let Some(host) = host_name(&host) else { continue };
                best.entry(host).and_modify(|known| *known = preference.min(*known)).or_insert(preference);
            }
        }
    }
    if total > 0 && roots == total {
        return Exchanges::Null;
    }
    let mut hosts: Vec<_> = best.into_iter().map(|(host, preference)| Exchange { preference, host }).collect();
    hosts.sort();
    hosts.truncate(MAX_HOSTS);
    Exchanges::Hosts(hosts)
}

/// A host's name in lower case without a dot at the end, if it can be one and is no address. Underscores are met with.
pub(super) fn host_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |label: &str| {
        let inner = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let fits = name.len() <= 253 && name.split('.').all(label);
    // A name whose last label is a number is an address or a mistake.
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
    (fits && !numeric).then_some(name)
}

/// A domain in A-labels, lower case (RFC 5890 §2.3.2.1).
pub(super) fn a_labels(domain: &str) -> Option<String> {
    if domain.is_ascii() {
        // Not through IDNA's mapping: what is registered may be older than its tables.
        return host_name(domain);
    }
    host_name(&idna::domain_to_ascii(domain).ok()?)
}

/// The address in an address literal (RFC 5321 §4.1.3).
pub(super) fn literal(domain: &str) -> Option<IpAddr> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    match inner.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPv6:") => rest.parse().map(IpAddr::V6).ok(),
        Some(_) | None => inner.parse().map(IpAddr::V4).ok(),
    }
}

/// The name of a set of hosts: the same for all domains whose MX records name the same hosts in the same order of
/// preference, whatever numbers stand for it.
pub(super) fn site(hosts: &[Exchange]) -> String {
    let mut name = String::new();
    for (index, exchange) in hosts.iter().enumerate() {
        let previous = index.checked_sub(1).and_then(|index| hosts.get(index));
        match previous {
            Some(previous) if previous.preference == exchange.preference => name.push(','),
            Some(_) => name.push('>'),
            None => {}
        }
        name.push_str(&exchange.host);
    }
    if name.len() <= LONGEST_SITE {
        return name;
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    let digest: String = digest.as_ref().iter().take(10).map(|octet| format!("{octet:02x}")).collect();
    let first = hosts.first().map_or("", |exchange| exchange.host.as_str());
    format!("{first}+{}#{digest}", hosts.len() - 1)
}

/// Shuffles what has equal preference, so that the load is spread (RFC 5321 §5.1).
pub(super) fn shuffle<T>(hosts: &mut [T], preference: impl Fn(&T) -> u16, dice: &mut Dice) {
    for run in hosts.chunk_by_mut(|one, other| preference(one) == preference(other)) {
        dice.shuffle(run);
    }
}

/// Drops our own host and all that are not better: to send there is how mail loops (RFC 5321 §5.1).
pub(super) fn drop_ours<T>(hosts: &mut Vec<T>, preference: impl Fn(&T) -> u16, ours: impl Fn(&T) -> bool) {
    let own = hosts.iter().filter(|host| ours(host)).map(&preference).min();
    if let Some(own) = own {
        hosts.retain(|host| preference(host) < own);
    }
}

/// Addresses in the order to try: each family in the order it came, in turns, so that one that is not connected costs one
/// failure, not all of them (RFC 8305 §4).
pub(super) fn alternate(v6: Vec<Ipv6Addr>, v4: Vec<Ipv4Addr>) -> Vec<IpAddr> {
    let (mut v6, mut v4) = (v6.into_iter().map(IpAddr::V6), v4.into_iter().map(IpAddr::V4));
    let mut all = Vec::with_capacity(v6.len() + v4.len());
    loop {
        let (six, four) = (v6.next(), v4.next());
        if six.is_none() && four.is_none() {
            return all;
        }
        all.extend(six.into_iter().chain(four));
    }
}

/// Whether nobody else can be behind an address: this host, this link, nobody, or many.
pub(super) fn is_odd(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let this_network = v4.octets()[0] == 0;
            v4.is_loopback() || this_network || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast()
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_multicast(),
    }
}

/// Dice that need not be fair to an enemy: SplitMix64.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from(((u128::from(mixed ^ (mixed >> 31))) * bound as u128) >> 64).unwrap_or_default()
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests;
