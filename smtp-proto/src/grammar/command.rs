//! Commands (RFC 5321 §4.1.1, and those of its extensions).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use nom::IResult;
use zeroize::Zeroizing;

use super::address::{ForwardPath, ReversePath, forward_path, reverse_path};
use super::domain::{Domain, domain};
use super::error::{Expected, Fail, ParseError, complete};
use super::number::number;
use super::parameters::{MailParameters, RcptParameters};
use super::proxied::{Xclient, Xforward};
use super::text::{Mechanism, Text, behind_spaces};
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
        parameters: RcptParameters<&'a str>,
    },
    /// `DATA`: the message follows.
    Data,
    /// `BDAT`: so many octets of the message follow at once (RFC 3030 §2).
    Bdat(Chunk),
    /// `RSET`: the transaction is forgotten.
    Rset,
    /// `NOOP`; its argument is not looked at (RFC 5321 §4.1.1.9).
    Noop,
    /// `VRFY`: does this user exist?
    Vrfy(Lookup<&'a str>),
    /// `EXPN`: who is on this list?
    Expn(Lookup<&'a str>),
    /// `HELP`, on something or in general.
    Help(Option<Text<&'a str>>),
    /// `ETRN`: deliver what waits for this node (RFC 1985 §5). `@` before its name means its subdomains too, `#` a queue.
    Etrn(Text<&'a str>),
    /// `XCLIENT`: whom a proxy speaks for.
    Xclient(Xclient<&'a str>),
    /// `XFORWARD`: where a filter or a proxy has the next message from.
    Xforward(Xforward<&'a str>),
    /// `QUIT`.
    Quit,
}

/// A piece of a message: RFC 3030 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// How many octets follow.
    pub octets: u64,
    /// Whether the message ends with them.
    pub last: bool,
}

/// Whom VRFY or EXPN asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup<S = Box<str>> {
    /// A user, a mailbox or a list.
    pub name: Text<S>,
    /// `SMTPUTF8`: the reply may hold more than ASCII (RFC 6531 §3.7.4.2).
    pub smtp_utf8: bool,
}

impl<'a> Command<'a> {
    /// Parses a line, without its CRLF. White space at its end is let pass (RFC 5321 §4.1.1), as are spaces behind `FROM:` and
    /// `TO:`, which widely used programs send.
    ///
    /// # Errors
    /// Where the line is no command, and what was expected instead.
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        let line = without_spaces_behind(line);
        let Some((verb, behind)) = Verb::take(line) else {
            printable(line, 0)?;
            return Err(ParseError { at: 0, expected: Expected::Verb });
        };
        let rest = behind_spaces(printable(behind, line.len().saturating_sub(behind.len()))?);
        let arguments = Arguments { at: line.len().saturating_sub(rest.len()), rest };
        match verb {
            Verb::Ehlo => arguments.name().map(Self::Ehlo),
            Verb::Helo => arguments.name().map(Self::Helo),
            Verb::Lhlo => arguments.name().map(Self::Lhlo),
            Verb::StartTls => arguments.none().map(|()| Self::StartTls),
            Verb::Auth => arguments.auth(),
            Verb::Mail => arguments.mail(),
            Verb::Rcpt => arguments.rcpt(),
            Verb::Data => arguments.none().map(|()| Self::Data),
            Verb::Rset => arguments.none().map(|()| Self::Rset),
            Verb::Noop => Ok(Self::Noop),
            Verb::Bdat => arguments.chunk().map(Self::Bdat),
            Verb::Vrfy => arguments.lookup().map(Self::Vrfy),
            Verb::Expn => arguments.lookup().map(Self::Expn),
            Verb::Help if arguments.rest.is_empty() => Ok(Self::Help(None)),
            Verb::Help => arguments.text().map(|topic| Self::Help(Some(topic))),
            Verb::Etrn => arguments.text().map(Self::Etrn),
            Verb::Xclient => arguments.moved(Xclient::parse(arguments.rest)).map(Self::Xclient),
            Verb::Xforward => arguments.moved(Xforward::parse(arguments.rest)).map(Self::Xforward),
            Verb::Quit => arguments.none().map(|()| Self::Quit),
            Verb::Burl | Verb::Send | Verb::Turn => Err(ParseError { at: 0, expected: Expected::ImplementedVerb }),
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
            Self::Rcpt { to, parameters } => {
                let written = write!(out, "RCPT TO:{to}");
                parameters.write(out);
                written
            }
            Self::Data => write!(out, "DATA"),
            Self::Bdat(Chunk { octets, last: false }) => write!(out, "BDAT {octets}"),
            Self::Bdat(Chunk { octets, last: true }) => write!(out, "BDAT {octets} LAST"),
            Self::Rset => write!(out, "RSET"),
            Self::Noop => write!(out, "NOOP"),
            Self::Vrfy(lookup) => write!(out, "VRFY {lookup}"),
            Self::Expn(lookup) => write!(out, "EXPN {lookup}"),
            Self::Help(None) => write!(out, "HELP"),
            Self::Help(Some(topic)) => write!(out, "HELP {}", topic.as_str()),
            Self::Etrn(node) => write!(out, "ETRN {}", node.as_str()),
            Self::Xclient(client) => {
                let written = write!(out, "XCLIENT ");
                client.write(out);
                written
            }
            Self::Xforward(source) => {
                let written = write!(out, "XFORWARD ");
                source.write(out);
                written
            }
            Self::Quit => write!(out, "QUIT"),
        };
        out.extend_from_slice(b"\r\n");
    }
}

impl Lookup<&str> {
    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Lookup {
        Lookup { name: self.name.into_owned(), smtp_utf8: self.smtp_utf8 }
    }
}

impl<S: AsRef<str>> fmt::Display for Lookup<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_str())?;
        if self.smtp_utf8 { f.write_str(" SMTPUTF8") } else { Ok(()) }
    }
}

/// Parses a line of a SASL exchange; `None` is the client's `*`, which cancels (RFC 4954 §4).
pub(crate) fn parse_sasl(line: &[u8]) -> Result<Option<Secret>, ParseError> {
    if line == b"*" {
        return Ok(None);
    }
    decode(line).map(Some).ok_or(ParseError { at: 0, expected: Expected::Base64 })
}

/// Checks a line's text, which stands `offset` octets into it, for what must not be in any command: control characters, and
/// octets that are not UTF-8.
fn printable(text: &[u8], offset: usize) -> Result<&str, ParseError> {
    // Most commands have no argument.
    if text.is_empty() {
        return Ok("");
    }
    let error = |at, expected| ParseError { at: offset.saturating_add(at), expected };
    // All octets are looked at whatever the first ones are, for that goes many at a time.
    if text.iter().fold(false, |found, octet| found | octet.is_ascii_control()) {
        let at = text.iter().position(u8::is_ascii_control).unwrap_or_default();
        return Err(error(at, Expected::Printable));
    }
    core::str::from_utf8(text).map_err(|bad| error(bad.valid_up_to(), Expected::Utf8))
}

const fn without_spaces_behind(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' '] = text {
        text = rest;
    }
    text
}

fn write_initial(initial: &Secret, out: &mut BytesMut) -> fmt::Result {
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
    /// Where in the line.
    at: usize,
    rest: &'a str,
}

impl<'a> Arguments<'a> {
    const fn at(&self, rest: &str) -> usize {
        self.at.saturating_add(self.rest.len()).saturating_sub(rest.len())
    }

    const fn error(&self, expected: Expected) -> ParseError {
        ParseError { at: self.at(self.rest), expected }
    }

    fn none(&self) -> Result<(), ParseError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(Expected::End)) }
    }

    /// A host's name, which some hosts end with a dot, as DNS would.
    fn name(&self) -> Result<Domain<&'a str>, ParseError> {
        complete(self.rest.strip_suffix('.').unwrap_or(self.rest), self.at(self.rest), domain)
    }

    /// The path behind `FROM:` or `TO:`, and what follows it.
    fn path<T>(
        &self,
        preposition: &str,
        mut parser: impl FnMut(&'a str) -> IResult<&'a str, T, Fail<'a>>,
    ) -> Result<(T, &'a str), ParseError> {
        let path = match self.rest.split_at_checked(preposition.len()) {
            Some((head, path)) if head.eq_ignore_ascii_case(preposition) => behind_spaces(path),
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

    /// `SP chunk-size [ SP end-marker ]`.
    fn chunk(&self) -> Result<Chunk, ParseError> {
        let error = self.error(Expected::ChunkSize);
        let (size, marker) = self.word();
        let last = match marker {
            "" => false,
            _ if marker.eq_ignore_ascii_case("LAST") => true,
            _ => return Err(error),
        };
        Ok(Chunk { octets: number(size).ok_or(error)?, last })
    }

    /// The first word, and what stands behind the spaces behind it.
    fn word(&self) -> (&'a str, &'a str) {
        let end = self.rest.bytes().position(|octet| octet == b' ').unwrap_or(self.rest.len());
        let (word, behind) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        (word, behind_spaces(behind))
    }

    fn text(&self) -> Result<Text<&'a str>, ParseError> {
        self.moved(Text::parse(self.rest))
    }

    fn lookup(&self) -> Result<Lookup<&'a str>, ParseError> {
        const KEYWORD: &str = " SMTPUTF8";
        let name = self.rest.len().checked_sub(KEYWORD.len()).and_then(|at| self.rest.split_at_checked(at));
        match name {
            Some((name, keyword)) if keyword.eq_ignore_ascii_case(KEYWORD) => {
                Ok(Lookup { name: self.moved(Text::parse(name.trim_end_matches(' ')))?, smtp_utf8: true })
            }
            Some(_) | None => Ok(Lookup { name: self.text()?, smtp_utf8: false }),
        }
    }

    /// What a parser of the arguments says, in terms of the line.
    fn moved<T>(&self, parsed: Result<T, ParseError>) -> Result<T, ParseError> {
        parsed.map_err(|error| ParseError { at: error.at.saturating_add(self.at(self.rest)), ..error })
    }

    fn auth(&self) -> Result<Command<'a>, ParseError> {
        let (name, encoded) = self.word();
        let mechanism = Mechanism::parse(name).map_err(|error| self.error(error.expected))?;
        let initial = match encoded {
            "" => None,
            "=" => Some(Secret::new(Vec::new())),
            _ => Some(
                decode(encoded.as_bytes()).ok_or(ParseError { at: self.at(encoded), expected: Expected::Base64 })?,
            ),
        };
        Ok(Command::Auth { mechanism, initial })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_spaces_stands_between_words() {
        let chunk = Chunk { octets: 1, last: true };
        assert_eq!(Command::parse(b"BDAT  1   LAST  "), Ok(Command::Bdat(chunk)));
        for line in
            ["BDAT 1\u{a0}LAST", "BDAT 1 \u{a0}LAST", "BDAT 1 LAST\u{a0}", "BDAT +1", "BDAT 18446744073709551616"]
        {
            assert_eq!(
                Command::parse(line.as_bytes()),
                Err(ParseError { at: 5, expected: Expected::ChunkSize }),
                "{line:?}"
            );
        }
    }

    #[test]
    fn what_is_not_text_is_no_command_and_where_it_stands_is_told() {
        for (line, at, expected) in [
            (&b"NOOP \x01"[..], 5, Expected::Printable),
            (b"NOOP a fairly long argument, of several words\x7f", 45, Expected::Printable),
            (b"NO\0P", 2, Expected::Printable),
            (b"NOOP \xff\x01", 6, Expected::Printable),
            (b"NOOP \xff", 5, Expected::Utf8),
            (b"XYZZY \xff", 6, Expected::Utf8),
            (b"XYZZY", 0, Expected::Verb),
        ] {
            assert_eq!(Command::parse(line), Err(ParseError { at, expected }), "{line:?}");
        }
    }
}
