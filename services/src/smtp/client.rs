//! Who is at the other end, as far as it is known: by the connection, by what the client says, and by what a trusted proxy
//! says for it.

use std::fmt;
use std::net::IpAddr;

use smtp_proto::{Attribute, Domain, Hello, HelloVerb, Xclient, Xforward, XforwardSource, Xtext};

use crate::engine::Link;
use crate::trace::{Spoken, Whence};

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    whence: Whence,
    /// Its name in DNS, which only a proxy tells.
    name: Option<Domain>,
    /// How the connection was greeted, last.
    hello: Option<Hello>,
    /// What a proxy says that the client calls itself. It holds whatever the proxy calls itself then.
    proxied_hello: Option<Attribute<Option<Domain>>>,
}

impl Client {
    /// All that a connection tells.
    pub(super) fn new(link: &Link) -> Self {
        let whence = link.peer.map_or(Whence::Local, |peer| Whence::Address(peer.ip()));
        Self { whence, name: None, hello: None, proxied_hello: None }
    }

    /// Its address, if that is known.
    pub(super) const fn address(&self) -> Option<IpAddr> {
        match self.whence {
            Whence::Address(address) => Some(address),
            Whence::Local | Whence::Unknown => None,
        }
    }

    pub(super) const fn whence(&self) -> Whence {
        self.whence
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_ref().map(Domain::as_str)
    }

    /// What it calls itself.
    pub(super) fn hello(&self) -> Option<&str> {
        match &self.proxied_hello {
            Some(Attribute::Known(name)) => name.as_ref().map(Domain::as_str),
            Some(Attribute::Unavailable | Attribute::TemporarilyUnavailable) => None,
            None => self.hello.as_ref().map(|hello| hello.name.as_str()),
        }
    }

    /// What is spoken with us.
    pub(super) fn spoken(&self) -> Spoken {
        match self.hello.as_ref().map(|hello| hello.verb) {
            Some(HelloVerb::Ehlo) => Spoken::Esmtp,
            Some(HelloVerb::Lhlo) => Spoken::Lmtp,
            Some(HelloVerb::Helo) | None => Spoken::Smtp,
        }
    }

    pub(super) fn greets(&mut self, hello: Hello) {
        self.hello = Some(hello);
    }

    /// A proxy says who it is. What it does not mention stays.
    pub(super) fn proxied(&mut self, said: &Xclient) {
        if let Some(address) = said.addr {
            self.whence = address.known().map_or(Whence::Unknown, Whence::Address);
        }
        if let Some(name) = &said.name {
            self.name = known(name);
        }
        if let Some(hello) = &said.helo {
            self.proxied_hello = Some(match hello {
                Attribute::Known(_) => Attribute::Known(known(hello)),
                Attribute::Unavailable => Attribute::Unavailable,
                Attribute::TemporarilyUnavailable => Attribute::TemporarilyUnavailable,
            });
        }
        self.hello = None;
    }
}

/// Where a message was before a trusted peer passed it on. Nothing is decided by it.
#[derive(Debug, Default)]
pub(super) struct Origin {
    hello: Option<Domain>,
    name: Option<Domain>,
    address: Option<IpAddr>,
    protocol: Option<String>,
    /// The message's name in the peer's log.
    ident: Option<String>,
    source: Option<XforwardSource>,
}

impl Origin {
    /// More of it is told. What is not mentioned stays.
    pub(super) fn told(&mut self, said: &Xforward) {
        if let Some(hello) = &said.helo {
            self.hello = known(hello);
        }
        if let Some(name) = &said.name {
            self.name = known(name);
        }
        if let Some(address) = said.addr {
            self.address = address.known();
        }
        if let Some(protocol) = &said.proto {
            self.protocol = known_word(protocol);
        }
        if let Some(ident) = &said.ident {
            self.ident = known_word(ident);
        }
        if let Some(source) = said.source {
            self.source = source.known();
        }
    }
}

/// For the log, and for a comment in a header.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hello.as_ref().map_or("unknown", Domain::as_str))?;
        let whence = match (self.address, self.source) {
            (Some(address), _) => Whence::Address(address),
            (None, Some(XforwardSource::Local)) => Whence::Local,
            (None, Some(XforwardSource::Remote) | None) => Whence::Unknown,
        };
        write!(f, " ({})", whence.named(self.name.as_ref().map(Domain::as_str)))?;
        if let Some(protocol) = &self.protocol {
            write!(f, " with {protocol}")?;
        }
        if let Some(ident) = &self.ident {
            write!(f, " id {ident}")?;
        }
        Ok(())
    }
}

/// A host that is called so, unless nobody should be.
fn known(said: &Attribute<Xtext>) -> Option<Domain> {
    let text = decoded(said)?;
    // In a comment these would begin, end or hide another (RFC 5322 §3.2.2); only addresses of no known kind hold them.
    if text.contains(['(', ')', '\\']) {
        return None;
    }
    Some(Domain::parse(&text).ok()?.into_owned())
}

/// A word that can stand anywhere, and is not long.
fn known_word(said: &Attribute<Xtext>) -> Option<String> {
    let good = |text: &String| {
        text.len() <= WORD_MAX && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet))
    };
    decoded(said).filter(|text| !text.is_empty() && good(text))
}

/// Longer than names of protocols, and of messages in anybody's log.
const WORD_MAX: usize = 64;

fn decoded(said: &Attribute<Xtext>) -> Option<String> {
    match said {
        Attribute::Known(text) => String::from_utf8(text.decode()).ok(),
        Attribute::Unavailable | Attribute::TemporarilyUnavailable => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(said: &[&str]) -> Client {
        let mut client = Client::new(&Link { peer: "192.0.2.1:25".parse().ok(), ..Link::default() });
        for said in said {
            client.proxied(&Xclient::parse(said).unwrap().into_owned());
            let hello = Hello { verb: HelloVerb::Ehlo, name: Domain::parse("proxy.example").unwrap().into_owned() };
            client.greets(hello);
        }
        client
    }

    #[test]
    fn what_a_proxy_does_not_mention_stays() {
        let client = client(&["ADDR=198.51.100.7 HELO=a.example NAME=dns.example", "ADDR=IPV6:2001:db8::1"]);
        assert_eq!(client.address(), "2001:db8::1".parse().ok());
        assert_eq!((client.hello(), client.name()), (Some("a.example"), Some("dns.example")));
        assert_eq!(client.spoken(), Spoken::Esmtp);
    }

    #[test]
    fn what_is_not_known_is_nothing_of_the_proxys() {
        let unknown = client(&["ADDR=[UNAVAILABLE] HELO=[TEMPUNAVAIL]"]);
        assert_eq!((unknown.address(), unknown.whence()), (None, Whence::Unknown));
        assert_eq!(unknown.hello(), None);
        assert_eq!(client(&["HELO=not+20a+20host"]).hello(), None);
        assert_eq!(client(&["PORT=7"]).hello(), Some("proxy.example"));
        assert_eq!(Client::new(&Link::default()).whence(), Whence::Local);
    }

    fn origin(said: &[&str]) -> String {
        let mut origin = Origin::default();
        said.iter().for_each(|said| origin.told(&Xforward::parse(said).unwrap().into_owned()));
        origin.to_string()
    }

    #[test]
    fn an_origin_is_told_bit_by_bit() {
        let all = ["NAME=dns.example ADDR=192.0.2.1", "HELO=a.example PROTO=ESMTP IDENT=4Zx-1"];
        assert_eq!(origin(&all), "a.example (dns.example [192.0.2.1]) with ESMTP id 4Zx-1");
        assert_eq!(origin(&["SOURCE=LOCAL ADDR=[UNAVAILABLE]"]), "unknown (local)");
        assert_eq!(origin(&["ADDR=IPV6:2001:db8::1"]), "unknown ([IPv6:2001:db8::1])");
    }

    #[test]
    fn nothing_that_a_peer_says_leaves_its_place_in_a_header() {
        for said in ["[x:(]", "[x:)]", "a)", "a+20b", "a+5C", "+C3+28"] {
            assert_eq!(origin(&[&format!("HELO={said} NAME={said} PROTO={said} IDENT={said}")]), "unknown (unknown)");
        }
        let long = "x".repeat(65);
        assert_eq!(origin(&[&format!("PROTO={long}")]), "unknown (unknown)");
    }
}
