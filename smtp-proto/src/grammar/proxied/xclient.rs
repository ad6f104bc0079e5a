//! XCLIENT: a proxy speaks for a client (Postfix's XCLIENT_README).

use alloc::boxed::Box;
use core::net::IpAddr;

use bytes::BytesMut;

use super::{
    Attribute, Words, address, borrowed, choice, nothing, owned, port, words, write_address, write_port, write_xtext,
};
use crate::{ParseError, Xtext};

/// XCLIENT: from now on the session is this client's, for all that the server decides. An attribute that is not there
/// changes nothing; at least one is.
///
/// ```
/// use smtp_proto::{Attribute, Xclient};
///
/// let client = Xclient::parse("ADDR=IPV6:2001:db8::1 PORT=4000 NAME=[UNAVAILABLE]")?;
/// assert_eq!(client.port, Some(Attribute::Known(4000)));
/// assert_eq!(client.name, Some(Attribute::Unavailable));
/// # Ok::<(), smtp_proto::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Xclient<S = Box<str>> {
    /// `NAME`: the client's name in DNS.
    pub name: Option<Attribute<Xtext<S>>>,
    /// `ADDR`: its address.
    pub addr: Option<Attribute<IpAddr>>,
    /// `PORT`: its port.
    pub port: Option<Attribute<u16>>,
    /// `PROTO`: which greeting it said.
    pub proto: Option<Attribute<XclientProto>>,
    /// `HELO`: what it calls itself.
    pub helo: Option<Attribute<Xtext<S>>>,
    /// `LOGIN`: as whom it has logged in at the proxy.
    pub login: Option<Attribute<Xtext<S>>>,
    /// `DESTADDR`: the address that it connected to.
    pub dest_addr: Option<Attribute<IpAddr>>,
    /// `DESTPORT`: the port that it connected to.
    pub dest_port: Option<Attribute<u16>>,
}

/// Which greeting a client said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XclientProto {
    /// `SMTP`: HELO.
    Smtp,
    /// `ESMTP`: EHLO.
    Esmtp,
}

impl<'a> Xclient<&'a str> {
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
                word.set(&mut client.proto, XclientProto::parse)?;
            } else if word.is("HELO") {
                word.set(&mut client.helo, Xtext::parse)?;
            } else if word.is("LOGIN") {
                word.set(&mut client.login, Xtext::parse)?;
            } else if word.is("DESTADDR") {
                word.set(&mut client.dest_addr, address)?;
            } else if word.is("DESTPORT") {
                word.set(&mut client.dest_port, port)?;
            } else {
                return Err(word.unknown());
            }
        }
        if client == Self::default() { Err(nothing(text)) } else { Ok(client) }
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Xclient {
        let Self { name, addr, port, proto, helo, login, dest_addr, dest_port } = self;
        let (name, helo, login) = (owned(name), owned(helo), owned(login));
        Xclient { name, addr, port, proto, helo, login, dest_addr, dest_port }
    }
}

impl<S: AsRef<str>> Xclient<S> {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Xclient<&str> {
        let Self { name, addr, port, proto, helo, login, dest_addr, dest_port } = self;
        Xclient {
            name: borrowed(name.as_ref()),
            addr: *addr,
            port: *port,
            proto: *proto,
            helo: borrowed(helo.as_ref()),
            login: borrowed(login.as_ref()),
            dest_addr: *dest_addr,
            dest_port: *dest_port,
        }
    }

    /// Appends the attributes, as they follow the verb and its space.
    pub fn write(&self, out: &mut BytesMut) {
        let mut words = Words { separator: "", out };
        words.add("NAME", self.name.as_ref(), write_xtext);
        words.add("ADDR", self.addr.as_ref(), write_address);
        words.add("PORT", self.port.as_ref(), write_port);
        words.add("PROTO", self.proto.as_ref(), |proto, out| out.extend_from_slice(proto.as_str().as_bytes()));
        words.add("HELO", self.helo.as_ref(), write_xtext);
        words.add("LOGIN", self.login.as_ref(), write_xtext);
        words.add("DESTADDR", self.dest_addr.as_ref(), write_address);
        words.add("DESTPORT", self.dest_port.as_ref(), write_port);
    }
}

impl XclientProto {
    fn parse(text: &str) -> Result<Self, ParseError> {
        choice(text, [(Self::Smtp, Self::Smtp.as_str()), (Self::Esmtp, Self::Esmtp.as_str())])
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP",
            Self::Esmtp => "ESMTP",
        }
    }
}

/// What a server says that it takes, behind the keyword.
pub(in super::super) const XCLIENT_ATTRIBUTES: &str = " NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";
