//! Commands (RFC 1939 §9, RFC 2449, RFC 2595, RFC 5034, RFC 6856).

use core::fmt::Write as _;
use core::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};
use zeroize::Zeroizing;

use super::apop::Digest;
use super::error::{Expected, ParseError};
use super::listing::digits;
use super::proxied::{Proxied, parse_address};
use super::text::{Language, Mechanism, Name, Password, printable};
use crate::Secret;

/// A client's command. Borrows the line it was parsed from, or whatever a client makes it of.
///
/// ```
/// use pop3_proto::{Command, Expected};
///
/// let command = Command::parse(b"retr 12")?;
/// assert_eq!(command, Command::Retr(12));
///
/// let mut out = bytes::BytesMut::new();
/// command.write(&mut out);
/// assert_eq!(out, "RETR 12\r\n");
///
/// let error = Command::parse(b"USER bob\0x").unwrap_err();
/// assert_eq!((error.at, error.expected), (8, Expected::Printable));
/// # Ok::<(), pop3_proto::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `APOP name digest` (RFC 1939 §7).
    Apop {
        /// Who logs in.
        user: Name<'a>,
        /// What proves it.
        digest: Digest,
    },
    /// `AUTH mechanism [initial-response]` (RFC 5034 §4).
    Auth {
        /// The mechanism.
        mechanism: Mechanism<&'a str>,
        /// The initial response, decoded; an empty one is written `=`.
        initial: Option<Secret>,
    },
    /// `CAPA` (RFC 2449 §5).
    Capa,
    /// `DELE msg`.
    Dele(u32),
    /// `LANG [range]` (RFC 6856 §3).
    Lang(Option<Language<'a>>),
    /// `LIST [msg]`.
    List(Option<u32>),
    /// `NOOP`.
    Noop,
    /// `PASS string`: all that follows the one space, spaces too.
    Pass(Password<'a>),
    /// `QUIT`.
    Quit,
    /// `RETR msg`.
    Retr(u32),
    /// `RSET`.
    Rset,
    /// `STAT`.
    Stat,
    /// `STLS` (RFC 2595 §4).
    Stls,
    /// `TOP msg n`.
    Top {
        /// The message's number.
        number: u32,
        /// Lines of the body that are wanted.
        lines: u32,
    },
    /// `UIDL [msg]`.
    Uidl(Option<u32>),
    /// `USER name`.
    User(Name<'a>),
    /// `UTF8` (RFC 6856 §2.1).
    Utf8,
    /// `XCLIENT ADDR=address [PORT=port]`, from proxies.
    Xclient(Proxied),
    /// `XOIP address`, from proxies.
    Xoip(IpAddr),
}

/// The longest keyword.
const KEYWORD_MAX: usize = 7;

impl<'a> Command<'a> {
    /// Parses one line, without its CRLF.
    ///
    /// # Errors
    /// Says where the line stops being a command, and what was expected there.
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        printable(line)?;
        let (keyword, rest) = split(line);
        let arguments = Arguments { at: keyword.len().saturating_add(usize::from(rest.is_some())), rest };
        let mut upper = [0; KEYWORD_MAX];
        let Some(word) = upper.get_mut(..keyword.len()) else { return Err(UNKNOWN) };
        word.copy_from_slice(keyword);
        word.make_ascii_uppercase();
        match &*word {
            b"APOP" => arguments.apop(),
            b"AUTH" => arguments.auth(),
            b"CAPA" => arguments.none(Self::Capa),
            b"DELE" => arguments.number().map(Self::Dele),
            b"LANG" => arguments.optional(Language::parse).map(Self::Lang),
            b"LIST" => arguments.optional(number).map(Self::List),
            b"NOOP" => arguments.none(Self::Noop),
            b"PASS" => arguments.one(Password::parse).map(Self::Pass),
            b"QUIT" => arguments.none(Self::Quit),
            b"RETR" => arguments.number().map(Self::Retr),
            b"RSET" => arguments.none(Self::Rset),
            b"STAT" => arguments.none(Self::Stat),
            b"STLS" => arguments.none(Self::Stls),
            b"TOP" => arguments.top(),
            b"UIDL" => arguments.optional(number).map(Self::Uidl),
            b"USER" => arguments.one(Name::parse).map(Self::User),
            b"UTF8" => arguments.none(Self::Utf8),
            b"XCLIENT" => arguments.one(|text| Proxied::parse(ascii(text)?)).map(Self::Xclient),
            b"XOIP" => arguments.one(|text| parse_address(ascii(text)?)).map(Self::Xoip),
            _ => Err(UNKNOWN),
        }
    }

    /// Appends the command's line. Each value can stand in one, so that nothing is checked here.
    pub fn write(&self, out: &mut BytesMut) {
        // Writing to a buffer that grows cannot fail.
        let _ = match self {
            Self::Apop { user, digest } => write!(out, "APOP {} {digest}", user.as_str()),
            Self::Auth { mechanism, initial: None } => write!(out, "AUTH {}", mechanism.as_str()),
            Self::Auth { mechanism, initial: Some(initial) } if initial.expose().is_empty() => {
                write!(out, "AUTH {} =", mechanism.as_str())
            }
            Self::Auth { mechanism, initial: Some(initial) } => {
                let encoded = Zeroizing::new(STANDARD.encode(initial.expose()));
                write!(out, "AUTH {} {}", mechanism.as_str(), *encoded)
            }
            Self::Capa => out.write_str("CAPA"),
            Self::Dele(number) => write!(out, "DELE {number}"),
            Self::Lang(None) => out.write_str("LANG"),
            Self::Lang(Some(range)) => write!(out, "LANG {}", range.as_str()),
            Self::List(None) => out.write_str("LIST"),
            Self::List(Some(number)) => write!(out, "LIST {number}"),
            Self::Noop => out.write_str("NOOP"),
            Self::Pass(password) => {
                out.put_slice(b"PASS ");
                out.put_slice(password.expose());
                Ok(())
            }
            Self::Quit => out.write_str("QUIT"),
            Self::Retr(number) => write!(out, "RETR {number}"),
            Self::Rset => out.write_str("RSET"),
            Self::Stat => out.write_str("STAT"),
            Self::Stls => out.write_str("STLS"),
            Self::Top { number, lines } => write!(out, "TOP {number} {lines}"),
            Self::Uidl(None) => out.write_str("UIDL"),
            Self::Uidl(Some(number)) => write!(out, "UIDL {number}"),
            Self::User(name) => write!(out, "USER {}", name.as_str()),
            Self::Utf8 => out.write_str("UTF8"),
            Self::Xclient(Proxied { address, port: None }) => write!(out, "XCLIENT ADDR={address}"),
            Self::Xclient(Proxied { address, port: Some(port) }) => write!(out, "XCLIENT ADDR={address} PORT={port}"),
            Self::Xoip(address) => write!(out, "XOIP {address}"),
        };
        out.put_slice(b"\r\n");
    }
}

/// Parses a line of a SASL exchange; `None` is the client's `*`, which cancels (RFC 5034 §4).
pub(crate) fn parse_sasl(line: &[u8]) -> Result<Option<Secret>, ParseError> {
    if line == b"*" {
        return Ok(None);
    }
    decode(line).map(Some)
}

/// Decodes a line's base64.
pub(super) fn decode(encoded: &[u8]) -> Result<Secret, ParseError> {
    STANDARD.decode(encoded).map(Secret::new).map_err(|_| ParseError::new(0, Expected::Base64))
}

/// What follows the keyword, and where it stands.
struct Arguments<'a> {
    at: usize,
    rest: Option<&'a [u8]>,
}

impl<'a> Arguments<'a> {
    fn none(&self, command: Command<'a>) -> Result<Command<'a>, ParseError> {
        match self.rest {
            None => Ok(command),
            Some(_) => Err(ParseError::new(self.at, Expected::End)),
        }
    }

    fn one<T>(&self, parse: impl FnOnce(&'a [u8]) -> Result<T, ParseError>) -> Result<T, ParseError> {
        let Some(rest) = self.rest else { return Err(ParseError::new(self.at, Expected::Argument)) };
        parse(rest).map_err(|error| error.moved(self.at))
    }

    fn optional<T>(&self, parse: impl FnOnce(&'a [u8]) -> Result<T, ParseError>) -> Result<Option<T>, ParseError> {
        self.rest.map(|rest| parse(rest).map_err(|error| error.moved(self.at))).transpose()
    }

    /// A head, one space, and a tail.
    fn two(&self) -> Result<(&'a [u8], Self), ParseError> {
        let Some((head, Some(tail))) = self.rest.map(split) else {
            return Err(ParseError::new(self.at, Expected::Argument));
        };
        Ok((head, Self { at: self.at.saturating_add(head.len()).saturating_add(1), rest: Some(tail) }))
    }

    fn number(&self) -> Result<u32, ParseError> {
        self.one(number)
    }

    fn top(&self) -> Result<Command<'a>, ParseError> {
        let (head, tail) = self.two()?;
        let number = number(head).map_err(|error| error.moved(self.at))?;
        Ok(Command::Top { number, lines: tail.number()? })
    }

    /// The digest has no space, so that a name may.
    fn apop(&self) -> Result<Command<'a>, ParseError> {
        let parts = self.rest.and_then(|rest| rest.split_at_checked(memchr::memrchr(b' ', rest)?));
        let Some((user, [_, digest @ ..])) = parts else { return Err(ParseError::new(self.at, Expected::Argument)) };
        let digest_at = self.at.saturating_add(user.len()).saturating_add(1);
        Ok(Command::Apop {
            user: Name::parse(user).map_err(|error| error.moved(self.at))?,
            digest: Digest::parse(digest).map_err(|error| error.moved(digest_at))?,
        })
    }

    fn auth(&self) -> Result<Command<'a>, ParseError> {
        let Some((mechanism, initial)) = self.rest.map(split) else {
            return Err(ParseError::new(self.at, Expected::Argument));
        };
        let initial_at = self.at.saturating_add(mechanism.len()).saturating_add(1);
        let mechanism = Mechanism::parse(mechanism).map_err(|error| error.moved(self.at))?;
        let initial = match initial {
            None => None,
            Some(b"=") => Some(Secret::new(alloc::vec::Vec::new())),
            Some(encoded) => Some(decode(encoded).map_err(|error| error.moved(initial_at))?),
        };
        Ok(Command::Auth { mechanism, initial })
    }
}

const UNKNOWN: ParseError = ParseError::new(0, Expected::Keyword);

/// Splits at the first space; `None` where there is none.
fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b' ', text).and_then(|at| text.split_at_checked(at)) {
        Some((head, tail)) => (head, tail.get(1..)),
        None => (text, None),
    }
}

fn number(word: &[u8]) -> Result<u32, ParseError> {
    digits(word).and_then(|number| u32::try_from(number).ok()).ok_or(ParseError::new(0, Expected::Number))
}

fn ascii(text: &[u8]) -> Result<&str, ParseError> {
    core::str::from_utf8(text).map_err(|error| ParseError::new(error.valid_up_to(), Expected::Printable))
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn name(text: &str) -> Name<'_> {
        Name::parse(text.as_bytes()).unwrap()
    }

    fn written(command: &Command<'_>) -> BytesMut {
        let mut out = BytesMut::new();
        command.write(&mut out);
        out
    }

    #[test]
    fn what_is_written_is_what_is_parsed() {
        let digest = Digest::parse(b"c4c9334bac560ecc979e58001b3e22fb").unwrap();
        let mechanism = Mechanism::parse(b"PLAIN").unwrap();
        let auth = |initial| Command::Auth { mechanism, initial };
        let commands = [
            (Command::Apop { user: name("m rose"), digest }, "APOP m rose c4c9334bac560ecc979e58001b3e22fb"),
            (auth(None), "AUTH PLAIN"),
            (auth(Some(Secret::new(b"".to_vec()))), "AUTH PLAIN ="),
            (auth(Some(Secret::new(b"\0test".to_vec()))), "AUTH PLAIN AHRlc3Q="),
            (Command::Capa, "CAPA"),
            (Command::Dele(1), "DELE 1"),
            (Command::Lang(None), "LANG"),
            (Command::Lang(Language::parse(b"en-GB").ok()), "LANG en-GB"),
            (Command::List(None), "LIST"),
            (Command::List(Some(u32::MAX)), "LIST 4294967295"),
            (Command::Noop, "NOOP"),
            (Command::Pass(Password::parse(b"two  words ").unwrap()), "PASS two  words "),
            (Command::Quit, "QUIT"),
            (Command::Retr(2), "RETR 2"),
            (Command::Rset, "RSET"),
            (Command::Stat, "STAT"),
            (Command::Stls, "STLS"),
            (Command::Top { number: 1, lines: 0 }, "TOP 1 0"),
            (Command::Uidl(None), "UIDL"),
            (Command::Uidl(Some(3)), "UIDL 3"),
            (Command::User(name("mrose")), "USER mrose"),
            (Command::Utf8, "UTF8"),
            (Command::Xclient(Proxied { address: CLIENT, port: None }), "XCLIENT ADDR=192.0.2.1"),
            (Command::Xclient(Proxied { address: CLIENT, port: Some(4) }), "XCLIENT ADDR=192.0.2.1 PORT=4"),
            (Command::Xoip(IpAddr::V6(Ipv6Addr::LOCALHOST)), "XOIP ::1"),
        ];
        for (command, line) in commands {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command.clone()), "{line}");
            assert_eq!(written(&command), [line, "\r\n"].concat());
        }
        assert_eq!(Command::parse(b"PASS "), Ok(Command::Pass(Password::parse(b"").unwrap())));
    }

    #[test]
    fn keywords_are_known_in_any_case() {
        assert_eq!(Command::parse(b"sTaT"), Ok(Command::Stat));
        assert_eq!(Command::parse(b"Top 1 10"), Ok(Command::Top { number: 1, lines: 10 }));
    }

    #[test]
    fn junk_is_refused_where_it_stands() {
        let refused: [(&[u8], usize, Expected); 31] = [
            (b"", 0, Expected::Keyword),
            (b"STATS", 0, Expected::Keyword),
            (b"XCLIENTS", 0, Expected::Keyword),
            (b"STAT ", 5, Expected::End),
            (b"NOOP x", 5, Expected::End),
            (b"RETR", 4, Expected::Argument),
            (b"RETR ", 5, Expected::Number),
            (b"RETR 1x", 5, Expected::Number),
            (b"RETR +1", 5, Expected::Number),
            (b"RETR  1", 5, Expected::Number),
            (b"LIST x", 5, Expected::Number),
            (b"DELE 4294967296", 5, Expected::Number),
            (b"TOP 1", 4, Expected::Argument),
            (b"TOP x 1", 4, Expected::Number),
            (b"TOP 1 x", 6, Expected::Number),
            (b"USER bob\0x", 8, Expected::Printable),
            (b"US\rER", 2, Expected::Printable),
            (b"USER ", 5, Expected::Argument),
            (b"USER a\xff", 6, Expected::Utf8),
            (b"PASS", 4, Expected::Argument),
            (b"AUTH", 4, Expected::Argument),
            (b"AUTH ", 5, Expected::Mechanism),
            (b"AUTH PLAIN !", 11, Expected::Base64),
            (b"APOP", 4, Expected::Argument),
            (b"APOP bob", 5, Expected::Argument),
            (b"APOP  c4c9334bac560ecc979e58001b3e22fb", 5, Expected::Argument),
            (b"APOP bob c4c9", 9, Expected::Digest),
            (b"LANG en_GB", 5, Expected::Language),
            (b"XCLIENT NAME=x", 14, Expected::Address),
            (b"XOIP \xc3", 5, Expected::Printable),
            (b"XOIP 192.0.2.1.1", 5, Expected::Address),
        ];
        for (line, at, expected) in refused {
            assert_eq!(Command::parse(line), Err(ParseError { at, expected }), "{:?}", core::str::from_utf8(line));
        }
    }

    #[test]
    fn a_line_of_sasl_is_base64_or_an_end() {
        assert_eq!(parse_sasl(b"*"), Ok(None));
        assert_eq!(parse_sasl(b"AHRlc3Q="), Ok(Some(Secret::new(b"\0test".to_vec()))));
        assert_eq!(parse_sasl(b"").map(|secret| secret.map(|secret| secret.expose().len())), Ok(Some(0)));
        assert_eq!(parse_sasl(b"AHRlc3Q"), Err(ParseError::new(0, Expected::Base64)));
    }
}
