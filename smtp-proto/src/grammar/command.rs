//! Commands (RFC 5321 §4.1.1, RFC 2033, RFC 3207, RFC 4954).

use alloc::vec::Vec;
use core::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use nom::{IResult, Parser};
use zeroize::Zeroizing;

use super::address::{ForwardPath, ReversePath, forward_path, reverse_path};
use super::domain::{Domain, domain};
use super::error::{Expected, Fail, ParseError, complete};
use super::parameters::{MailParameters, RcptParameters};
use super::text::{Mechanism, Text};
use super::verb::Verb;
use crate::Secret;

/// A client's command. Borrows the line it was parsed from, or whatever a client makes it of.
///
/// ```
/// use smtp_proto::{Command, Expected, ForwardPath};
///
/// let command = Command::parse(b"rcpt to:<@relay.example:bob@example.org>")?;
/// let Command::Rcpt { to: ForwardPath::Mailbox(mailbox), .. } = &command else { panic!() };
/// assert_eq!(mailbox.local_part(), "bob");
///
/// let mut out = bytes::BytesMut::new();
/// command.write(&mut out);
/// assert_eq!(out, "RCPT TO:<bob@example.org>\r\n");
///
/// let error = Command::parse(b"MAIL FROM:<a@b> SIZE=x").unwrap_err();
/// assert_eq!((error.at, error.expected), (16, Expected::ParameterValue));
/// # Ok::<(), smtp_proto::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `EHLO`: the client names itself, and asks what the server can do.
    Ehlo(Domain<&'a str>),
    /// `HELO`: the client names itself.
    Helo(Domain<&'a str>),
    /// `LHLO`: LMTP's `EHLO` (RFC 2033 §4.1).
    Lhlo(Domain<&'a str>),
    /// `STARTTLS` (RFC 3207 §4).
    StartTls,
    /// `AUTH` (RFC 4954 §4).
    Auth {
        /// The mechanism.
        mechanism: Mechanism<&'a str>,
        /// The initial response, decoded; an empty one is written `=`.
        initial: Option<Secret>,
    },
    /// `MAIL`: a transaction begins.
    Mail {
        /// Where the message comes from.
        from: ReversePath<&'a str>,
        /// What extensions add.
        parameters: MailParameters<&'a str>,
    },
    /// `RCPT`: one more recipient.
    Rcpt {
        /// Where the message goes to.
        to: ForwardPath<&'a str>,
        /// What extensions add.
        parameters: RcptParameters,
    },
    /// `DATA`: the message follows.
    Data,
    /// `RSET`: the transaction is forgotten.
    Rset,
    /// `NOOP`; its argument is not looked at (RFC 5321 §4.1.1.9).
    Noop,
    /// `VRFY`: does this user exist?
    Vrfy(Text<&'a str>),
    /// `QUIT`.
    Quit,
}

impl<'a> Command<'a> {
    /// Parses a line, without its CRLF. White space at its end is let pass (RFC 5321 §4.1.1), as are spaces behind `FROM:` and
    /// `TO:`, which widely used programs send.
    ///
    /// # Errors
    /// Where the line is no command, and what was expected instead.
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        let line = printable(line)?.trim_end_matches(' ');
        let (word, rest) = line.find(' ').and_then(|at| line.split_at_checked(at)).unwrap_or((line, ""));
        let Some(verb) = Verb::parse(word) else { return Err(ParseError { at: 0, expected: Expected::Verb }) };
        let arguments = Arguments { line, rest: rest.trim_start_matches(' ') };
        match verb {
            Verb::Ehlo => arguments.whole(domain).map(Self::Ehlo),
            Verb::Helo => arguments.whole(domain).map(Self::Helo),
            Verb::Lhlo => arguments.whole(domain).map(Self::Lhlo),
            Verb::StartTls => arguments.none(Self::StartTls),
            Verb::Auth => arguments.auth(),
            Verb::Mail => arguments.mail(),
            Verb::Rcpt => arguments.rcpt(),
            Verb::Data => arguments.none(Self::Data),
            Verb::Rset => arguments.none(Self::Rset),
            Verb::Noop => Ok(Self::Noop),
            Verb::Vrfy => Text::parse(arguments.rest).map(Self::Vrfy).map_err(|error| arguments.error(error.expected)),
            Verb::Quit => arguments.none(Self::Quit),
            Verb::Bdat | Verb::Burl | Verb::Etrn | Verb::Expn | Verb::Help | Verb::Send | Verb::Turn => {
                Err(ParseError { at: 0, expected: Expected::ImplementedVerb })
            }
        }
    }

    /// Appends the command's line, CRLF included.
    pub fn write(&self, out: &mut BytesMut) {
        // Writing to memory does not fail.
        let _ = match self {
            Self::Ehlo(name) => write!(out, "EHLO {name}"),
            Self::Helo(name) => write!(out, "HELO {name}"),
            Self::Lhlo(name) => write!(out, "LHLO {name}"),
            Self::StartTls => write!(out, "STARTTLS"),
            Self::Auth { mechanism, initial } => write!(out, "AUTH {}", mechanism.as_str())
                .and_then(|()| initial.as_ref().map_or(Ok(()), |initial| write_initial(initial, out))),
            Self::Mail { from, parameters } => {
                let written = write!(out, "MAIL FROM:{from}");
                parameters.write(out);
                written
            }
            Self::Rcpt { to, parameters: RcptParameters {} } => write!(out, "RCPT TO:{to}"),
            Self::Data => write!(out, "DATA"),
            Self::Rset => write!(out, "RSET"),
            Self::Noop => write!(out, "NOOP"),
            Self::Vrfy(what) => write!(out, "VRFY {}", what.as_str()),
            Self::Quit => write!(out, "QUIT"),
        };
        out.extend_from_slice(b"\r\n");
    }
}

/// Parses a line of a SASL exchange; `None` is the client's `*`, which cancels (RFC 4954 §4).
pub(crate) fn parse_sasl(line: &[u8]) -> Result<Option<Secret>, ParseError> {
    if line == b"*" {
        return Ok(None);
    }
    decode(line).map(Some).ok_or(ParseError { at: 0, expected: Expected::Base64 })
}

/// Checks a line for what must not be in any command: control characters, and octets that are not UTF-8.
fn printable(line: &[u8]) -> Result<&str, ParseError> {
    if let Some(at) = line.iter().position(u8::is_ascii_control) {
        return Err(ParseError { at, expected: Expected::Printable });
    }
    core::str::from_utf8(line).map_err(|error| ParseError { at: error.valid_up_to(), expected: Expected::Utf8 })
}

fn write_initial(initial: &Secret, out: &mut BytesMut) -> core::fmt::Result {
    match initial.expose() {
        [] => out.write_str(" ="),
        octets => write!(out, " {}", *Zeroizing::new(STANDARD.encode(octets))),
    }
}

fn decode(encoded: &[u8]) -> Option<Secret> {
    STANDARD.decode(encoded).ok().map(Secret::new)
}

/// What stands behind the verb, without the spaces between.
struct Arguments<'a> {
    line: &'a str,
    rest: &'a str,
}

impl<'a> Arguments<'a> {
    const fn at(&self, rest: &str) -> usize {
        self.line.len().saturating_sub(rest.len())
    }

    const fn error(&self, expected: Expected) -> ParseError {
        ParseError { at: self.at(self.rest), expected }
    }

    fn none(&self, command: Command<'a>) -> Result<Command<'a>, ParseError> {
        if self.rest.is_empty() { Ok(command) } else { Err(self.error(Expected::End)) }
    }

    fn whole<T>(&self, parser: impl Parser<&'a str, Output = T, Error = Fail<'a>>) -> Result<T, ParseError> {
        complete(self.rest, self.at(self.rest), parser)
    }

    /// The path behind `FROM:` or `TO:`, and what follows it.
    fn path<T>(
        &self,
        preposition: &str,
        mut parser: impl FnMut(&'a str) -> IResult<&'a str, T, Fail<'a>>,
    ) -> Result<(T, &'a str), ParseError> {
        let path = match self.rest.split_at_checked(preposition.len()) {
            Some((head, path)) if head.eq_ignore_ascii_case(preposition) => path.trim_start_matches(' '),
            Some(_) | None => return Err(self.error(Expected::Preposition)),
        };
        let with_rest = |text| parser(text).map(|(rest, value)| ("", (value, rest)));
        complete(path, self.at(path), with_rest)
    }

    fn mail(&self) -> Result<Command<'a>, ParseError> {
        let (from, rest) = self.path("FROM:", reverse_path)?;
        let parameters = MailParameters::parse(rest, self.at(rest))?;
        Ok(Command::Mail { from, parameters })
    }

    fn rcpt(&self) -> Result<Command<'a>, ParseError> {
        let (to, rest) = self.path("TO:", forward_path)?;
        let parameters = RcptParameters::parse(rest, self.at(rest))?;
        Ok(Command::Rcpt { to, parameters })
    }

    fn auth(&self) -> Result<Command<'a>, ParseError> {
        let (name, encoded) = self
            .rest
            .split_once(' ')
            .map_or((self.rest, None), |(name, rest)| (name, Some(rest.trim_start_matches(' '))));
        let mechanism = Mechanism::parse(name).map_err(|error| self.error(error.expected))?;
        let initial = match encoded {
            None => None,
            Some("=") => Some(Secret::new(Vec::new())),
            Some(encoded) => Some(
                decode(encoded.as_bytes()).ok_or(ParseError { at: self.at(encoded), expected: Expected::Base64 })?,
            ),
        };
        Ok(Command::Auth { mechanism, initial })
    }
}
