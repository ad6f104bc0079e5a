//! XFORWARD: a content filter tells where a message was (Postfix's XFORWARD_README).

use alloc::boxed::Box;
use core::net::IpAddr;

use bytes::BytesMut;

use super::{
    Attribute, Words, address, borrowed, choice, nothing, owned, port, words, write_address, write_port, write_xtext,
};
use crate::{ParseError, Xtext};

/// XFORWARD: where the next message was before it went through a filter, for logs only. An attribute that is not there is not
/// known yet; at least one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Xforward<S = Box<str>> {
    /// `NAME`: the client's name in DNS.
    pub name: Option<Attribute<Xtext<S>>>,
    /// `ADDR`: its address.
    pub addr: Option<Attribute<IpAddr>>,
    /// `PORT`: its port.
    pub port: Option<Attribute<u16>>,
    /// `PROTO`: what it spoke; not always a kind of SMTP.
    pub proto: Option<Attribute<Xtext<S>>>,
    /// `HELO`: what it calls itself.
    pub helo: Option<Attribute<Xtext<S>>>,
    /// `IDENT`: the message's name in the logs of the server before the filter.
    pub ident: Option<Attribute<Xtext<S>>>,
    /// `SOURCE`: whether it came from outside.
    pub source: Option<Attribute<XforwardSource>>,
}

/// Where a message comes from, as the server before the filter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XforwardSource {
    /// `LOCAL`: from its own system or network.
    Local,
    /// `REMOTE`: from the world.
    Remote,
}

impl<'a> Xforward<&'a str> {
    /// Parses what follows the verb.
    ///
    /// # Errors
    /// Where an attribute is not known, comes twice or cannot be so, and where there is none.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let mut client = Self::default();
        for word in words(text) {
            let word = word?;
            if word.is("NAME") {
                word.set(&mut client.name, Xtext::parse)?;
            } else if word.is("ADDR") {
                word.set(&mut client.addr, address)?;
            } else if word.is("PORT") {
                word.set(&mut client.port, port)?;
            } else if word.is("PROTO") {
                word.set(&mut client.proto, Xtext::parse)?;
            } else if word.is("HELO") {
                word.set(&mut client.helo, Xtext::parse)?;
            } else if word.is("IDENT") {
                word.set(&mut client.ident, Xtext::parse)?;
            } else if word.is("SOURCE") {
                word.set(&mut client.source, XforwardSource::parse)?;
            } else {
                return Err(word.unknown());
            }
        }
        if client == Self::default() { Err(nothing(text)) } else { Ok(client) }
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Xforward {
        let Self { name, addr, port, proto, helo, ident, source } = self;
        let (name, proto, helo, ident) = (owned(name), owned(proto), owned(helo), owned(ident));
        Xforward { name, addr, port, proto, helo, ident, source }
    }
}

impl<S: AsRef<str>> Xforward<S> {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Xforward<&str> {
        let Self { name, addr, port, proto, helo, ident, source } = self;
        Xforward {
            name: borrowed(name.as_ref()),
            addr: *addr,
            port: *port,
            proto: borrowed(proto.as_ref()),
            helo: borrowed(helo.as_ref()),
            ident: borrowed(ident.as_ref()),
            source: *source,
        }
    }

    /// Appends the attributes, as they follow the verb and its space.
    pub fn write(&self, out: &mut BytesMut) {
        let mut words = Words { separator: "", out };
        words.add("NAME", self.name.as_ref(), write_xtext);
        words.add("ADDR", self.addr.as_ref(), write_address);
        words.add("PORT", self.port.as_ref(), write_port);
        words.add("PROTO", self.proto.as_ref(), write_xtext);
        words.add("HELO", self.helo.as_ref(), write_xtext);
        words.add("IDENT", self.ident.as_ref(), write_xtext);
        words.add("SOURCE", self.source.as_ref(), |source, out| out.extend_from_slice(source.as_str().as_bytes()));
    }
}

impl XforwardSource {
    fn parse(text: &str) -> Result<Self, ParseError> {
        choice(text, [(Self::Local, Self::Local.as_str()), (Self::Remote, Self::Remote.as_str())])
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "LOCAL",
            Self::Remote => "REMOTE",
        }
    }
}

/// What a server says that it takes, behind the keyword.
pub(in super::super) const XFORWARD_ATTRIBUTES: &str = " NAME ADDR PORT PROTO HELO IDENT SOURCE";
