//! The next hop for mail that is not ours.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// A host and a port to give mail to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
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

impl FromStr for RelayHost {
    type Err = NoRelay;

    fn from_str(text: &str) -> Result<Self, NoRelay> {
        let (host, port) = text.rsplit_once(':').ok_or(NoRelay)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(NoRelay)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().map_err(|_| NoRelay)?.to_string(),
            None if host.contains(':') => return Err(NoRelay),
            None => host.to_ascii_lowercase(),
        };
        let name = |host: &str| {
            host.split('.').all(|label| {
                !label.is_empty() && label.chars().all(|c| c == '-' || c == '_' || c.is_ascii_alphanumeric())
            })
        };
        if host.contains(':') || name(&host) { Ok(Self { host, port }) } else { Err(NoRelay) }
    }
}

impl TryFrom<String> for RelayHost {
    type Error = NoRelay;

    fn try_from(text: String) -> Result<Self, NoRelay> {
        text.parse()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_understood_and_shown_as_they_are_written() {
        for text in ["smtp.example.net:25", "localhost:2600", "127.0.0.1:25", "[2001:db8::1]:25"] {
            assert_eq!(text.parse::<RelayHost>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:25".parse::<RelayHost>().unwrap().host, "::1");
    }

    #[test]
    fn what_names_no_host_and_port_is_refused() {
        for text in
            ["", "smtp.example.net", ":25", "host:", "host:0", "host:65536", "[x]:25", "a b:25", "::1:25", "a..b:25"]
        {
            assert_eq!(text.parse::<RelayHost>(), Err(NoRelay), "{text}");
        }
    }
}
