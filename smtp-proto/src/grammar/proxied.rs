//! Whom a proxy or a content filter speaks for: Postfix's XCLIENT and XFORWARD, of its XCLIENT_README and XFORWARD_README.

mod xclient;
mod xforward;

use core::fmt::Write as _;
use core::net::{IpAddr, Ipv6Addr};

use bytes::BytesMut;

use super::error::{Expected, ParseError};
use super::number::digits;
use super::text::Xtext;

pub(super) use xclient::XCLIENT_ATTRIBUTES;
pub use xclient::{Xclient, XclientProto};
pub(super) use xforward::XFORWARD_ATTRIBUTES;
pub use xforward::{Xforward, XforwardSource};

/// What is said of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute<T> {
    /// It is this.
    Known(T),
    /// `[UNAVAILABLE]`: there is none.
    Unavailable,
    /// `[TEMPUNAVAIL]`: nobody knows at the moment, as when DNS does not answer.
    TemporarilyUnavailable,
}

impl<T> Attribute<T> {
    /// The value, where it is known.
    #[must_use]
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unavailable | Self::TemporarilyUnavailable => None,
        }
    }

    fn map<U>(self, change: impl FnOnce(T) -> U) -> Attribute<U> {
        match self {
            Self::Known(value) => Attribute::Known(change(value)),
            Self::Unavailable => Attribute::Unavailable,
            Self::TemporarilyUnavailable => Attribute::TemporarilyUnavailable,
        }
    }

    const fn as_ref(&self) -> Attribute<&T> {
        match self {
            Self::Known(value) => Attribute::Known(value),
            Self::Unavailable => Attribute::Unavailable,
            Self::TemporarilyUnavailable => Attribute::TemporarilyUnavailable,
        }
    }
}

const UNAVAILABLE: &str = "[UNAVAILABLE]";

const TEMPORARILY_UNAVAILABLE: &str = "[TEMPUNAVAIL]";

const IPV6: &str = "IPV6:";

/// `attribute-name "=" attribute-value`.
struct Word<'a> {
    at: usize,
    name: &'a str,
    value: &'a str,
}

/// What stands between spaces; several count as one.
fn words(text: &str) -> impl Iterator<Item = Result<Word<'_>, ParseError>> {
    let mut at = 0_usize;
    text.split(' ').filter_map(move |word| {
        let start = at;
        at = at.saturating_add(word.len()).saturating_add(1);
        let bad = ParseError { at: start, expected: Expected::Attribute };
        let split = || word.split_once('=').map(|(name, value)| Word { at: start, name, value });
        (!word.is_empty()).then(|| split().ok_or(bad))
    })
}

impl<'a> Word<'a> {
    const fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn set<T>(
        &self,
        attribute: &mut Option<Attribute<T>>,
        parse: impl FnOnce(&'a str) -> Result<T, ParseError>,
    ) -> Result<(), ParseError> {
        if attribute.is_some() {
            return Err(ParseError { at: self.at, expected: Expected::ParameterOnce });
        }
        *attribute = Some(if self.value.eq_ignore_ascii_case(UNAVAILABLE) {
            Attribute::Unavailable
        } else if self.value.eq_ignore_ascii_case(TEMPORARILY_UNAVAILABLE) {
            Attribute::TemporarilyUnavailable
        } else {
            let start = self.at.saturating_add(self.name.len()).saturating_add(1);
            let moved = |error: ParseError| ParseError { at: start.saturating_add(error.at), ..error };
            Attribute::Known(parse(self.value).map_err(moved)?)
        });
        Ok(())
    }

    const fn unknown(&self) -> ParseError {
        ParseError { at: self.at, expected: Expected::Attribute }
    }
}

const fn nothing(text: &str) -> ParseError {
    ParseError { at: text.len(), expected: Expected::Attribute }
}

/// An IPv6 address stands behind `IPV6:`, but proxies forget that.
fn address(text: &str) -> Result<IpAddr, ParseError> {
    let bad = |at| ParseError { at, expected: Expected::Address };
    match text.split_at_checked(IPV6.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(IPV6) => {
            rest.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| bad(IPV6.len()))
        }
        Some(_) | None => text.parse().map_err(|_| bad(0)),
    }
}

fn port(text: &str) -> Result<u16, ParseError> {
    u16::try_from(digits(text, 5)?).map_err(|_| ParseError { at: 0, expected: Expected::Number })
}

fn choice<T, const N: usize>(text: &str, choices: [(T, &str); N]) -> Result<T, ParseError> {
    let found = choices.into_iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
    found.map(|(value, _)| value).ok_or(ParseError { at: 0, expected: Expected::ParameterValue })
}

fn owned(attribute: Option<Attribute<Xtext<&str>>>) -> Option<Attribute<Xtext>> {
    attribute.map(|attribute| attribute.map(Xtext::into_owned))
}

fn borrowed<S: AsRef<str>>(attribute: Option<&Attribute<Xtext<S>>>) -> Option<Attribute<Xtext<&str>>> {
    attribute.map(|attribute| attribute.as_ref().map(Xtext::borrowed))
}

/// Attributes on their way out.
struct Words<'a> {
    separator: &'static str,
    out: &'a mut BytesMut,
}

impl Words<'_> {
    fn add<T>(&mut self, name: &str, attribute: Option<&Attribute<T>>, write: impl FnOnce(&T, &mut BytesMut)) {
        let Some(attribute) = attribute else { return };
        // Writing to memory does not fail.
        let _ = write!(self.out, "{}{name}=", self.separator);
        self.separator = " ";
        match attribute {
            Attribute::Known(value) => write(value, self.out),
            Attribute::Unavailable => self.out.extend_from_slice(UNAVAILABLE.as_bytes()),
            Attribute::TemporarilyUnavailable => self.out.extend_from_slice(TEMPORARILY_UNAVAILABLE.as_bytes()),
        }
    }
}

/// A text that happens to be one of the two words for none is told from them by its bracket: nobody's name makes him nobody.
fn write_xtext<S: AsRef<str>>(xtext: &Xtext<S>, out: &mut BytesMut) {
    let text = xtext.as_str();
    let is_none = text.eq_ignore_ascii_case(UNAVAILABLE) || text.eq_ignore_ascii_case(TEMPORARILY_UNAVAILABLE);
    match text.strip_prefix('[') {
        Some(rest) if is_none => {
            out.extend_from_slice(b"+5B");
            out.extend_from_slice(rest.as_bytes());
        }
        Some(_) | None => out.extend_from_slice(text.as_bytes()),
    }
}

fn write_address(address: &IpAddr, out: &mut BytesMut) {
    let prefix = match address {
        IpAddr::V4(_) => "",
        IpAddr::V6(_) => IPV6,
    };
    // Writing to memory does not fail.
    let _ = write!(out, "{prefix}{address}");
}

fn write_port(port: &u16, out: &mut BytesMut) {
    // Writing to memory does not fail.
    let _ = write!(out, "{port}");
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use core::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::Attribute::{Known, TemporarilyUnavailable, Unavailable};
    use super::*;

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_proxy_tells_its_client() {
        let text = "NAME=spike.example ADDR=192.0.2.1 PORT=4000 PROTO=ESMTP HELO=spike+2Eexample LOGIN=[UNAVAILABLE] \
                    DESTADDR=IPV6:2001:db8::1 DESTPORT=25";
        let client = Xclient {
            name: Some(Known(Xtext::parse("spike.example").unwrap())),
            addr: Some(Known(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))),
            port: Some(Known(4000)),
            proto: Some(Known(XclientProto::Esmtp)),
            helo: Some(Known(Xtext::parse("spike+2Eexample").unwrap())),
            login: Some(Unavailable),
            dest_addr: Some(Known("2001:db8::1".parse().unwrap())),
            dest_port: Some(Known(25)),
        };
        assert_eq!(Xclient::parse(text), Ok(client));
        assert_eq!(written(|out| client.into_owned().write(out)), text);
        let odd = "  port=4000   Proto=smtp addr=2001:db8::1 name=[tempunavail] ";
        let client = Xclient {
            name: Some(TemporarilyUnavailable),
            addr: Some(Known("2001:db8::1".parse().unwrap())),
            port: Some(Known(4000)),
            proto: Some(Known(XclientProto::Smtp)),
            ..Xclient::default()
        };
        assert_eq!(Xclient::parse(odd), Ok(client));
        assert_eq!(client.port.and_then(Attribute::known), Some(4000));
        assert_eq!(client.name.and_then(Attribute::known), None);
    }

    #[test]
    fn a_filter_tells_where_a_message_was() {
        let text = "NAME=[TEMPUNAVAIL] ADDR=IPV6:::ffff:192.0.2.1 PORT=0 PROTO=QMQP HELO=a+3Db IDENT=4Zx SOURCE=REMOTE";
        let forward = Xforward::parse(text).unwrap();
        assert_eq!((forward.name, forward.source), (Some(TemporarilyUnavailable), Some(Known(XforwardSource::Remote))));
        assert_eq!(forward.helo.and_then(Attribute::known).map(|helo| helo.decode()), Some(b"a=b".to_vec()));
        assert_eq!(written(|out| forward.into_owned().write(out)), text);
        let local = Xforward { source: Some(Known(XforwardSource::Local)), ..Xforward::default() };
        assert_eq!(Xforward::parse("source=local"), Ok(local));
    }

    #[test]
    fn what_cannot_be_told_is_refused_where_it_goes_wrong() {
        for (text, at, expected) in [
            ("", 0, Expected::Attribute),
            ("  ", 2, Expected::Attribute),
            ("ADDR", 0, Expected::Attribute),
            ("=1", 0, Expected::Attribute),
            ("PORT=1 TTL=5", 7, Expected::Attribute),
            ("PORT=1 port=2", 7, Expected::ParameterOnce),
            ("PORT=[UNAVAILABLE] PORT=[UNAVAILABLE]", 19, Expected::ParameterOnce),
            ("PORT=", 5, Expected::Number),
            ("PORT=+1", 5, Expected::Number),
            ("PORT=65536", 5, Expected::Number),
            ("PORT=[GONE]", 5, Expected::Number),
            ("ADDR=192.0.2", 5, Expected::Address),
            ("ADDR=192.0.2.1:25", 5, Expected::Address),
            ("ADDR=IPV6:192.0.2.1", 10, Expected::Address),
            ("ADDR=[192.0.2.1]", 5, Expected::Address),
            ("DESTADDR=fe80::1%1", 9, Expected::Address),
            ("PROTO=LMTP", 6, Expected::ParameterValue),
            ("NAME=a=b", 6, Expected::Xtext),
            ("HELO=a NAME=b+0D+0A", 13, Expected::Xtext),
            ("LOGIN=\u{e9}", 6, Expected::Xtext),
            ("IDENT=1", 0, Expected::Attribute),
        ] {
            assert_eq!(Xclient::parse(text), Err(ParseError { at, expected }), "{text:?}");
        }
        for (text, at, expected) in [
            ("", 0, Expected::Attribute),
            ("LOGIN=bob", 0, Expected::Attribute),
            ("SOURCE=HERE", 7, Expected::ParameterValue),
            ("IDENT=a IDENT=b", 8, Expected::ParameterOnce),
            ("IDENT=a\tb", 7, Expected::Xtext),
        ] {
            assert_eq!(Xforward::parse(text), Err(ParseError { at, expected }), "{text:?}");
        }
    }

    #[test]
    fn somebody_called_nobody_is_somebody() {
        for name in [UNAVAILABLE, TEMPORARILY_UNAVAILABLE, "[unavailable]", "[UNAVAILABLE]x"] {
            let login = Some(Known(Xtext::encode(name)));
            let text = written(|out| Xclient { login, ..Xclient::default() }.write(out));
            let login = Xclient::parse(&text).unwrap().login.and_then(Attribute::known).unwrap();
            assert_eq!(login.decode(), name.as_bytes(), "{text:?}");
        }
    }

    fn attribute<T: Clone + core::fmt::Debug>(
        value: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Option<Attribute<T>>> {
        prop::option::of(
            prop_oneof![4 => value.prop_map(Known), 1 => Just(Unavailable), 1 => Just(TemporarilyUnavailable)],
        )
    }

    fn text() -> impl Strategy<Value = Option<Attribute<Xtext>>> {
        attribute("[ -~\u{e9}]{0,12}".prop_map(|text| Xtext::encode(&text)))
    }

    fn xclient() -> impl Strategy<Value = Xclient> {
        let proto = prop_oneof![Just(XclientProto::Smtp), Just(XclientProto::Esmtp)];
        let here = (text(), attribute(any::<IpAddr>()), attribute(any::<u16>()), attribute(proto));
        let there = (text(), text(), attribute(any::<IpAddr>()), attribute(any::<u16>()));
        (here, there).prop_map(|((name, addr, port, proto), (helo, login, dest_addr, dest_port))| Xclient {
            name,
            addr,
            port,
            proto,
            helo,
            login,
            dest_addr,
            dest_port,
        })
    }

    fn xforward() -> impl Strategy<Value = Xforward> {
        let source = prop_oneof![Just(XforwardSource::Local), Just(XforwardSource::Remote)];
        (text(), attribute(any::<IpAddr>()), attribute(any::<u16>()), text(), text(), text(), attribute(source))
            .prop_map(|(name, addr, port, proto, helo, ident, source)| Xforward {
                name,
                addr,
                port,
                proto,
                helo,
                ident,
                source,
            })
    }

    /// The names that were written, as a server offers them.
    fn names(text: &str) -> String {
        text.split(' ').filter_map(|word| word.split_once('=')).flat_map(|(name, _)| [" ", name]).collect()
    }

    #[test]
    fn all_that_is_offered_is_what_can_be_said() {
        let all = XCLIENT_ATTRIBUTES.replace(' ', "=[UNAVAILABLE] ") + "=[UNAVAILABLE]";
        let client = Xclient::parse(all.trim_start_matches("=[UNAVAILABLE]")).unwrap();
        assert_eq!(names(&written(|out| client.write(out))), XCLIENT_ATTRIBUTES);
        let all = XFORWARD_ATTRIBUTES.replace(' ', "=[UNAVAILABLE] ") + "=[UNAVAILABLE]";
        let forward = Xforward::parse(all.trim_start_matches("=[UNAVAILABLE]")).unwrap();
        assert_eq!(names(&written(|out| forward.write(out))), XFORWARD_ATTRIBUTES);
    }

    proptest! {
        #[test]
        fn a_client_is_read_as_it_was_written(client in xclient(), forward in xforward()) {
            let (client_text, forward_text) = (written(|out| client.write(out)), written(|out| forward.write(out)));
            for text in [&client_text, &forward_text] {
                prop_assert!(text.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()), "{:?}", text);
            }
            if client != Xclient::default() {
                prop_assert_eq!(Xclient::parse(&client_text).map(Xclient::into_owned), Ok(client));
            }
            if forward != Xforward::default() {
                prop_assert_eq!(Xforward::parse(&forward_text).map(Xforward::into_owned), Ok(forward));
            }
        }

        #[test]
        fn what_is_read_is_safe_to_say_again(text in "((NAME|ADDR|PORT|PROTO|HELO|LOGIN|SOURCE|[A-Z]{2})=(IPV6:|\\[UNAVAILABLE\\]|::1|[ -~\u{0}-\u{1f}\u{e9}]{0,6}) ?){0,4}") {
            match Xclient::parse(&text) {
                Ok(client) => {
                    let again = written(|out| client.write(out));
                    prop_assert_eq!(Xclient::parse(&again), Ok(client));
                }
                Err(error) => prop_assert!(error.at <= text.len()),
            }
            match Xforward::parse(&text) {
                Ok(forward) => {
                    let again = written(|out| forward.write(out));
                    prop_assert_eq!(Xforward::parse(&again), Ok(forward));
                }
                Err(error) => prop_assert!(error.at <= text.len()),
            }
        }
    }
}
