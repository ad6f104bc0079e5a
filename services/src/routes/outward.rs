//! Which way mail leaves for domains that are not ours.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// The ways out: one for all domains, and others for some.
///
/// ```
/// use services::routes::{Outward, Way};
///
/// let mut outward = Outward::new(Way::Exchangers);
/// outward.add("partner.example=mx.partner.example:26".parse()?);
/// outward.add(".internal.example=off".parse()?);
/// assert_eq!(outward.way("example.com"), &Way::Exchangers);
/// assert_eq!(outward.way("partner.example"), &"mx.partner.example:26".parse()?);
/// assert_eq!(outward.way("a.b.internal.example"), &Way::Closed);
/// assert_eq!(outward.way("internal.example"), &Way::Exchangers);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outward {
    otherwise: Way,
    /// By domain, folded; a name that begins with a dot stands for all names below it.
    transports: BTreeMap<String, Way>,
}

/// One way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// There is none: such mail is refused.
    #[default]
    Closed,
    /// To the hosts that the domain itself names in DNS (RFC 5321 §5.1).
    Exchangers,
    /// To this host, whatever the domain says.
    Relay(RelayHost),
}

/// The way for one domain: `DOMAIN=WAY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The domain, or all below it where it begins with a dot.
    pub domain: String,
    /// Its way.
    pub way: Way,
}

/// A host and a port to give mail to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayHost {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The text names no host and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a relay; write HOST:PORT as in smtp.example.net:25 or [2001:db8::1]:25")]
pub struct NoRelay;

/// The text names no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a way out; write mx, off, or HOST:PORT as in smtp.example.net:25 or [2001:db8::1]:25")]
pub struct NoSuchWay;

/// The text names no domain and way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a transport; write DOMAIN=WAY as in example.net=smtp.example.net:25, .example.net=mx or example.net=off")]
pub struct NoTransport;

impl Outward {
    /// One way for all domains.
    #[must_use]
    pub fn new(otherwise: Way) -> Self {
        Self { otherwise, transports: BTreeMap::new() }
    }

    /// Adds a way for some; it takes the place of an earlier one for the same name.
    pub fn add(&mut self, Transport { domain, way }: Transport) {
        self.transports.insert(domain, way);
    }

    /// Whether any way leads over names, so that DNS has to be asked.
    #[must_use]
    pub fn needs_names(&self) -> bool {
        self.transports.values().chain([&self.otherwise]).any(|way| match way {
            Way::Closed => false,
            Way::Exchangers => true,
            Way::Relay(relay) => relay.host.parse::<IpAddr>().is_err(),
        })
    }

    /// The way for a domain, in whatever case: that of its own name, or else of the nearest name above it.
    #[must_use]
    pub fn way(&self, domain: &str) -> &Way {
        let domain = domain.to_lowercase();
        if let Some(way) = self.transports.get(&domain) {
            return way;
        }
        let above = domain.match_indices('.').filter_map(|(dot, _)| domain.get(dot..));
        above.into_iter().find_map(|above| self.transports.get(above)).unwrap_or(&self.otherwise)
    }
}

impl FromStr for Way {
    type Err = NoSuchWay;

    fn from_str(text: &str) -> Result<Self, NoSuchWay> {
        match text {
            "mx" => Ok(Self::Exchangers),
            "off" => Ok(Self::Closed),
            host => host.parse().map(Self::Relay).map_err(|_| NoSuchWay),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("off"),
            Self::Exchangers => f.write_str("mx"),
            Self::Relay(host) => host.fmt(f),
        }
    }
}

impl FromStr for Transport {
    type Err = NoTransport;

    fn from_str(text: &str) -> Result<Self, NoTransport> {
        let (domain, way) = text.split_once('=').ok_or(NoTransport)?;
        let name = domain.strip_prefix('.').unwrap_or(domain);
        if !is_name(name) {
            return Err(NoTransport);
        }
        Ok(Self { domain: domain.to_lowercase(), way: way.parse().map_err(|_| NoTransport)? })
    }
}

impl FromStr for RelayHost {
    type Err = NoRelay;

    fn from_str(text: &str) -> Result<Self, NoRelay> {
        let (host, port) = text.rsplit_once(':').ok_or(NoRelay)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(NoRelay)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().map_err(|_| NoRelay)?.to_string(),
            None if is_name(host) && host.is_ascii() => host.to_ascii_lowercase(),
            None => return Err(NoRelay),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for RelayHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn is_name(text: &str) -> bool {
    text.split('.').all(|label| !label.is_empty() && label.chars().all(|c| c == '-' || c == '_' || c.is_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_understood_and_shown_as_they_are_written() {
        for text in ["smtp.example.net:25", "localhost:2600", "127.0.0.1:25", "[2001:db8::1]:25"] {
            assert_eq!(text.parse::<RelayHost>().unwrap().to_string(), text);
            assert_eq!(text.parse::<Way>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:25".parse::<RelayHost>().unwrap().host, "::1");
        assert_eq!("mx".parse(), Ok(Way::Exchangers));
        assert_eq!("off".parse(), Ok(Way::Closed));
    }

    #[test]
    fn what_names_no_host_and_port_is_refused() {
        for text in
            ["", "smtp.example.net", ":25", "host:", "host:0", "host:65536", "[x]:25", "a b:25", "::1:25", "a..b:25"]
        {
            assert_eq!(text.parse::<RelayHost>(), Err(NoRelay), "{text}");
            assert_eq!(text.parse::<Way>(), Err(NoSuchWay), "{text}");
            assert_eq!(format!("example.net={text}").parse::<Transport>(), Err(NoTransport), "{text}");
        }
        for text in ["mx", "=mx", ".=mx", "a..b=mx", "a b=mx", "a@b=mx"] {
            assert_eq!(text.parse::<Transport>(), Err(NoTransport), "{text}");
        }
    }

    #[test]
    fn addresses_need_no_names() {
        let needs = |texts: &[&str]| {
            let mut outward = Outward::new(Way::Closed);
            texts.iter().for_each(|text| outward.add(text.parse().unwrap()));
            outward.needs_names()
        };
        assert!(!needs(&[]) && !needs(&["a.example=127.0.0.1:25", "b.example=[::1]:25", "c.example=off"]));
        assert!(needs(&["a.example=127.0.0.1:25", "b.example=mx"]) && needs(&["a.example=relay.example:25"]));
    }

    #[test]
    fn the_nearest_name_says_the_way() {
        let mut outward = Outward::new(Way::Closed);
        for text in [".example=mx", "b.example=b:25", ".b.example=below:25", "Ü.example=off"] {
            outward.add(text.parse().unwrap());
        }
        for (domain, way) in [
            ("example", "off"),
            ("a.example", "mx"),
            ("B.EXAMPLE", "b:25"),
            ("c.b.example", "below:25"),
            ("d.c.b.example", "below:25"),
            ("xb.example", "mx"),
            ("ü.example", "off"),
            ("other", "off"),
        ] {
            assert_eq!(outward.way(domain).to_string(), way, "{domain}");
        }
    }
}
