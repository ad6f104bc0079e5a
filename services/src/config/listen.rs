//! Where to listen, as operators write it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

use crate::net::Endpoint;

/// A listener's setting.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Listen {
    /// Not at all.
    Off,
    /// There.
    At(Endpoint),
}

/// The text says no place to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "not a place to listen; write IP:PORT as in 127.0.0.1:2525 or [::1]:2525, :PORT for all addresses, a path with a '/' \
     in it, or off"
)]
pub struct NoAddress;

impl Listen {
    /// A port of this machine that other machines do not reach.
    pub(super) const fn loopback(port: u16) -> Self {
        Self::At(Endpoint::Tcp(SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)))
    }

    /// The place, unless it is off.
    #[must_use]
    pub const fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Off => None,
            Self::At(endpoint) => Some(endpoint),
        }
    }
}

impl FromStr for Listen {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        if text == "off" {
            return Ok(Self::Off);
        }
        // Where both IP versions are there, the unspecified IPv6 address takes connections of both.
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| NoAddress)?;
            return Ok(Self::At(Endpoint::Tcp(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port))));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::At(Endpoint::Tcp(address)));
        }
        if text.contains('/') { Ok(Self::At(Endpoint::Unix(PathBuf::from(text)))) } else { Err(NoAddress) }
    }
}

impl TryFrom<String> for Listen {
    type Error = NoAddress;

    fn try_from(text: String) -> Result<Self, NoAddress> {
        text.parse()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(endpoint) => endpoint.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood() {
        for (text, shown) in [
            ("127.0.0.1:2525", "127.0.0.1:2525"),
            (":25", "[::]:25"),
            ("[::1]:25", "[::1]:25"),
            ("/run/lmtp", "/run/lmtp"),
            ("./lmtp", "./lmtp"),
            ("off", "off"),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        for text in ["", "25", ":", ":smtp", ":65536", "localhost:25", "127.0.0.1", "::1:25x", "lmtp.sock", "Off"] {
            assert_eq!(text.parse::<Listen>(), Err(NoAddress), "{text}");
        }
    }
}
