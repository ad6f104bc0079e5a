//! Whom a proxy speaks for: XCLIENT and XOIP, which Dovecot's proxies and others send ahead of a login.

use core::net::IpAddr;

use super::error::{Expected, ParseError};

/// The client behind a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// Its address.
    pub address: IpAddr,
    /// Its port, where the proxy tells it.
    pub port: Option<u16>,
}

impl Proxied {
    /// Parses XCLIENT's `ADDR=… PORT=…`. Attributes of other names are passed over: proxies send more than they document.
    ///
    /// # Errors
    /// Where one of these is damaged or comes twice, or the address is missing.
    pub fn parse(attributes: &str) -> Result<Self, ParseError> {
        let (mut address, mut port, mut at) = (None, None, 0usize);
        for attribute in attributes.split(' ') {
            let Some((name, value)) = attribute.split_once('=') else {
                return Err(ParseError::new(at, Expected::Argument));
            };
            let value_at = at.saturating_add(name.len()).saturating_add(1);
            if name.eq_ignore_ascii_case("ADDR") && address.is_none() {
                address = Some(parse_address(value).map_err(|error| error.moved(value_at))?);
            } else if name.eq_ignore_ascii_case("PORT") && port.is_none() {
                let digits = value.bytes().all(|octet| octet.is_ascii_digit());
                let number = value.parse().ok().filter(|_| digits);
                port = Some(number.ok_or(ParseError::new(value_at, Expected::Number))?);
            } else if name.eq_ignore_ascii_case("ADDR") || name.eq_ignore_ascii_case("PORT") {
                return Err(ParseError::new(at, Expected::End));
            }
            at = at.saturating_add(attribute.len()).saturating_add(1);
        }
        match address {
            Some(address) => Ok(Self { address, port }),
            None => Err(ParseError::new(attributes.len(), Expected::Address)),
        }
    }
}

/// An address as POP3 proxies write it, or with SMTP's prefix `IPV6:`.
pub(super) fn parse_address(text: &str) -> Result<IpAddr, ParseError> {
    let bare = match text.split_at_checked(5) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("IPV6:") => rest,
        Some(_) | None => text,
    };
    bare.parse().map_err(|_| ParseError::new(0, Expected::Address))
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_proxy_tells_its_client() {
        let client = Proxied::parse("addr=192.0.2.1 PORT=1234 SESSION=a/b TTL=5");
        assert_eq!(client, Ok(Proxied { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port: Some(1234) }));
        let local = Ok(Proxied { address: IpAddr::V6(Ipv6Addr::LOCALHOST), port: None });
        assert_eq!((Proxied::parse("ADDR=::1"), Proxied::parse("ADDR=IPv6:::1")), (local, local));
    }

    #[test]
    fn a_damaged_client_is_refused() {
        for (text, at, expected) in [
            ("", 0, Expected::Argument),
            ("ADDR", 0, Expected::Argument),
            ("PORT=1", 6, Expected::Address),
            ("ADDR=192.0.2", 5, Expected::Address),
            ("TTL=1 ADDR=x", 11, Expected::Address),
            ("ADDR=::1 PORT=+1", 14, Expected::Number),
            ("ADDR=::1 PORT=65536", 14, Expected::Number),
            ("ADDR=::1 ADDR=::2", 9, Expected::End),
            ("ADDR=::1 PORT=1 PORT=2", 16, Expected::End),
            ("ADDR=::1 ", 9, Expected::Argument),
        ] {
            assert_eq!(Proxied::parse(text), Err(ParseError::new(at, expected)), "{text:?}");
        }
    }
}
