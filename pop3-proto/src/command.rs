//! The commands' grammar (RFC 1939 §9, RFC 2449, RFC 2595, RFC 5034).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Secret;

/// A client's command, parsed. Borrows the line it was parsed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `AUTH mechanism [initial-response]` (RFC 5034 §4).
    Auth {
        /// The mechanism's name as the client spelled it.
        mechanism: &'a str,
        /// The initial response, decoded; `=` is an empty one.
        initial: Option<Secret>,
    },
    /// `CAPA` (RFC 2449 §5).
    Capa,
    /// `DELE msg`.
    Dele(u32),
    /// `LIST [msg]`.
    List(Option<u32>),
    /// `NOOP`.
    Noop,
    /// `PASS string`: all that follows the one space, spaces too.
    Pass(&'a [u8]),
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
    User(&'a str),
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected at octet {at}")]
pub struct ParseError {
    /// Offset into the line.
    pub at: usize,
    /// What should stand there.
    pub expected: Expected,
}

/// What a parser expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Expected {
    /// A keyword that this crate knows.
    #[error("a known command")]
    Keyword,
    /// Printable octets only.
    #[error("a printable octet")]
    Printable,
    /// An argument.
    #[error("an argument")]
    Argument,
    /// Nothing more.
    #[error("the end of the line")]
    End,
    /// Digits that make a number below 2^32.
    #[error("a number")]
    Number,
    /// Base64 with its padding (RFC 4648 §4).
    #[error("base64")]
    Base64,
}

impl<'a> Command<'a> {
    /// Parses one line, without its CRLF.
    ///
    /// # Errors
    /// Says where the line stops being a command, and what was expected there.
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        // A password may be 8-bit text; control octets, NUL among them, have no place in any command.
        if let Some(at) = line.iter().position(u8::is_ascii_control) {
            return Err(ParseError { at, expected: Expected::Printable });
        }
        let (verb, rest) = split(line);
        let arguments = Arguments { line_len: line.len(), rest };
        let mut upper = [0; 4];
        let Some(word) = upper.get_mut(..verb.len()) else { return Err(unknown()) };
        word.copy_from_slice(verb);
        word.make_ascii_uppercase();
        match &*word {
            b"AUTH" => arguments.auth(),
            b"CAPA" => arguments.none(Self::Capa),
            b"DELE" => arguments.number().map(Self::Dele),
            b"LIST" => arguments.optional_number().map(Self::List),
            b"NOOP" => arguments.none(Self::Noop),
            b"PASS" => arguments.rest.map(Self::Pass).ok_or_else(|| arguments.error(Expected::Argument)),
            b"QUIT" => arguments.none(Self::Quit),
            b"RETR" => arguments.number().map(Self::Retr),
            b"RSET" => arguments.none(Self::Rset),
            b"STAT" => arguments.none(Self::Stat),
            b"STLS" => arguments.none(Self::Stls),
            b"TOP" => arguments.top(),
            b"UIDL" => arguments.optional_number().map(Self::Uidl),
            b"USER" => arguments.user(),
            _ => Err(unknown()),
        }
    }
}

/// Parses a line of a SASL exchange; `None` is the client's `*`, which cancels (RFC 5034 §4).
pub(crate) fn parse_sasl(line: &[u8]) -> Result<Option<Secret>, ParseError> {
    if line == b"*" {
        return Ok(None);
    }
    decode(line, 0).map(Some)
}

struct Arguments<'a> {
    line_len: usize,
    rest: Option<&'a [u8]>,
}

impl<'a> Arguments<'a> {
    fn error(&self, expected: Expected) -> ParseError {
        ParseError { at: self.line_len.saturating_sub(self.rest.map_or(0, <[u8]>::len)), expected }
    }

    fn none(&self, command: Command<'a>) -> Result<Command<'a>, ParseError> {
        match self.rest {
            None => Ok(command),
            Some(_) => Err(self.error(Expected::End)),
        }
    }

    fn number(&self) -> Result<u32, ParseError> {
        let Some(word) = self.rest else { return Err(self.error(Expected::Argument)) };
        number(word).ok_or_else(|| self.error(Expected::Number))
    }

    fn optional_number(&self) -> Result<Option<u32>, ParseError> {
        self.rest.map(|_| self.number()).transpose()
    }

    fn top(&self) -> Result<Command<'a>, ParseError> {
        let Some((first, Some(second))) = self.rest.map(split) else { return Err(self.error(Expected::Argument)) };
        let (Some(number), Some(lines)) = (number(first), number(second)) else {
            return Err(self.error(Expected::Number));
        };
        Ok(Command::Top { number, lines })
    }

    fn user(&self) -> Result<Command<'a>, ParseError> {
        let Some(name) = self.rest.filter(|name| !name.is_empty()) else {
            return Err(self.error(Expected::Argument));
        };
        // RFC 6856 §2.2 would allow more, behind a capability that is not offered.
        match core::str::from_utf8(name) {
            Ok(name) if name.is_ascii() => Ok(Command::User(name)),
            Ok(_) | Err(_) => Err(self.error(Expected::Printable)),
        }
    }

    fn auth(&self) -> Result<Command<'a>, ParseError> {
        let Some((mechanism, initial)) = self.rest.map(split) else { return Err(self.error(Expected::Argument)) };
        let Some(mechanism) = core::str::from_utf8(mechanism).ok().filter(|name| !name.is_empty()) else {
            return Err(self.error(Expected::Argument));
        };
        let at = self.line_len.saturating_sub(initial.map_or(0, <[u8]>::len));
        let initial = match initial {
            None => None,
            Some(b"=") => Some(Secret::new(alloc::vec::Vec::new())),
            Some(encoded) => Some(decode(encoded, at)?),
        };
        Ok(Command::Auth { mechanism, initial })
    }
}

const fn unknown() -> ParseError {
    ParseError { at: 0, expected: Expected::Keyword }
}

/// Splits at the first space; `None` where there is none.
fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b' ', text).and_then(|at| text.split_at_checked(at)) {
        Some((head, tail)) => (head, tail.get(1..)),
        None => (text, None),
    }
}

/// Digits and nothing else: no sign, no space, no overflow.
fn number(word: &[u8]) -> Option<u32> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u32, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(u32::from(digit))
    })
}

fn decode(encoded: &[u8], at: usize) -> Result<Secret, ParseError> {
    STANDARD.decode(encoded).map(Secret::new).map_err(|_| ParseError { at, expected: Expected::Base64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_the_rfc_are_understood_in_any_case() {
        assert_eq!(Command::parse(b"stat"), Ok(Command::Stat));
        assert_eq!(Command::parse(b"UIDL"), Ok(Command::Uidl(None)));
        assert_eq!(Command::parse(b"uidl 3"), Ok(Command::Uidl(Some(3))));
        assert_eq!(Command::parse(b"Top 1 10"), Ok(Command::Top { number: 1, lines: 10 }));
        assert_eq!(Command::parse(b"USER mrose"), Ok(Command::User("mrose")));
        assert_eq!(Command::parse(b"PASS two  words "), Ok(Command::Pass(b"two  words ")));
        assert_eq!(
            Command::parse(b"AUTH PLAIN AHRlc3Q="),
            Ok(Command::Auth { mechanism: "PLAIN", initial: Some(Secret::new(b"\0test".to_vec())) })
        );
    }

    #[test]
    fn junk_is_refused_where_it_stands() {
        let refused: [(&[u8], usize, Expected); 14] = [
            (b"", 0, Expected::Keyword),
            (b"STATS", 0, Expected::Keyword),
            (b"STAT ", 5, Expected::End),
            (b"NOOP x", 5, Expected::End),
            (b"RETR", 4, Expected::Argument),
            (b"RETR 1x", 5, Expected::Number),
            (b"RETR +1", 5, Expected::Number),
            (b"RETR  1", 5, Expected::Number),
            (b"DELE 4294967296", 5, Expected::Number),
            (b"TOP 1", 4, Expected::Argument),
            (b"USER bob\0x", 8, Expected::Printable),
            (b"US\rER", 2, Expected::Printable),
            (b"USER ", 5, Expected::Argument),
            (b"AUTH PLAIN !", 11, Expected::Base64),
        ];
        for (line, at, expected) in refused {
            assert_eq!(Command::parse(line), Err(ParseError { at, expected }), "{:?}", core::str::from_utf8(line));
        }
    }
}
