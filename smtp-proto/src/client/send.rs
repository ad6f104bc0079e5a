//! What the client says.

use core::fmt::Write as _;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use zeroize::Zeroizing;

use super::{ClientSession, Course, Kind, Last, Outgoing, Pending, Phase, SendError, Ticket, Transport};
use crate::{BodyType, Chunk, Command, Lookup, Misuse, Protocol};

impl ClientSession {
    /// Sends a command. Where the server speaks PIPELINING, MAIL, RCPT, RSET and BDAT may follow one another without waiting, and
    /// any one command may end such a group (RFC 2920 §3.1, RFC 3030 §4.2); BDAT LAST ends it too.
    ///
    /// Behind BDAT [`body`](Self::body) and [`end_body`](Self::end_body) write what was announced, unless that is nothing, and no
    /// replies are told before. Its ticket is the one that the replies bear; in LMTP the last chunk has as many of them as
    /// recipients were accepted. While a message is open, only BDAT follows, or RSET or QUIT, which give it up.
    ///
    /// # Errors
    /// [`SendError::NotNow`], [`SendError::Wait`] and [`SendError::NotOffered`]: see there.
    pub fn send(&mut self, command: &Command<'_>, now: Duration, out: &mut BytesMut) -> Result<Ticket, SendError> {
        if !matches!((&self.phase, self.last), (Phase::Ready, Last::No | Last::Eof)) {
            return Err(SendError::NotNow);
        }
        let kind = self.kind(command)?;
        self.check_course(kind)?;
        self.check_window(kind)?;
        self.check_offers(command)?;
        command.write(out);
        self.course = self.course_behind(command);
        let ticket = self.ticket();
        if let Command::Bdat(Chunk { octets: left @ 1.., .. }) = command {
            self.phase = Phase::Chunk(Outgoing { ticket, kind, left: *left });
        } else {
            self.await_reply(ticket, kind, now);
        }
        Ok(ticket)
    }

    /// Answers a SASL challenge (RFC 4954 §4).
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where none is open.
    pub fn respond(&mut self, response: &[u8], now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.sasl_line(&Zeroizing::new(STANDARD.encode(response)), now, out)
    }

    /// Breaks a SASL exchange off. The server is to reply 501.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no challenge is open.
    pub fn cancel(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.sasl_line("*", now, out)
    }

    /// Sends some of the message; pieces may be cut anywhere. Behind DATA, dots at lines' starts are protected here; behind BDAT,
    /// octets go as they are.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no octets are due; [`Misuse::BareLineEnd`] where a lone CR or LF would go out by DATA, and
    /// [`Misuse::BodyTooLong`] where more would go out than BDAT has announced. Nothing of the piece was written then, and the
    /// message cannot be sent: [`abort`](Self::abort).
    pub fn body(&mut self, octets: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        match &mut self.phase {
            Phase::Body(stuff) => stuff.write(octets, out),
            Phase::Chunk(Outgoing { left, .. }) => {
                *left = left.checked_sub(octets.len() as u64).ok_or(Misuse::BodyTooLong)?;
                out.extend_from_slice(octets);
                Ok(())
            }
            Phase::Greeting | Phase::Ready | Phase::Sasl(_) | Phase::Switching | Phase::Closed(_) => {
                Err(Misuse::NotNow)
            }
        }
    }

    /// Ends the message, or the chunk. Behind DATA that is a lone dot, behind a CRLF where the message has none of its own at its
    /// end (RFC 5321 §4.1.1.4), and the ticket is for the verdict; in LMTP there are as many as recipients were accepted. Behind
    /// BDAT nothing is written, and the ticket is BDAT's own.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no octets are due; [`Misuse::BareLineEnd`] where a message by DATA ends with a CR;
    /// [`Misuse::BodyTooShort`] where BDAT has announced more.
    pub fn end_body(&mut self, now: Duration, out: &mut BytesMut) -> Result<Ticket, Misuse> {
        match &self.phase {
            Phase::Body(stuff) => {
                stuff.finish(out)?;
                self.phase = Phase::Ready;
                let ticket = self.ticket();
                let is_owed = match self.config.protocol {
                    Protocol::Smtp => true,
                    Protocol::Lmtp => self.recipients > 0,
                };
                if is_owed {
                    self.await_reply(ticket, Kind::Verdict, now);
                }
                Ok(ticket)
            }
            &Phase::Chunk(Outgoing { ticket, kind, left: 0 }) => {
                self.phase = Phase::Ready;
                self.await_reply(ticket, kind, now);
                // The server could say nothing to what came before, for we did not listen.
                self.restart_deadline(now);
                Ok(ticket)
            }
            Phase::Chunk(_) => Err(Misuse::BodyTooShort),
            Phase::Greeting | Phase::Ready | Phase::Sasl(_) | Phase::Switching | Phase::Closed(_) => {
                Err(Misuse::NotNow)
            }
        }
    }

    /// When the reply that is next must have come.
    pub(super) fn restart_deadline(&mut self, now: Duration) {
        let timeouts = &self.config.timeouts;
        let patience = match self.pending.front().map(|pending| pending.kind) {
            Some(Kind::Data) => timeouts.data,
            Some(Kind::Verdict) => timeouts.verdict,
            Some(Kind::Quit) => timeouts.quit,
            Some(
                Kind::Ehlo
                | Kind::Helo
                | Kind::StartTls
                | Kind::Auth
                | Kind::Mail
                | Kind::Rcpt
                | Kind::Chunk
                | Kind::Rset
                | Kind::Xclient
                | Kind::Other,
            )
            | None => timeouts.reply,
        };
        self.deadline = now.saturating_add(patience);
    }

    fn kind(&self, command: &Command<'_>) -> Result<Kind, SendError> {
        match (command, self.config.protocol) {
            (Command::Ehlo(_), Protocol::Smtp) | (Command::Lhlo(_), Protocol::Lmtp) => Ok(Kind::Ehlo),
            (Command::Helo(_), Protocol::Smtp) => Ok(Kind::Helo),
            // RFC 2033 §4.1.
            (Command::Ehlo(_) | Command::Helo(_), Protocol::Lmtp) | (Command::Lhlo(_), Protocol::Smtp) => {
                Err(SendError::NotNow)
            }
            (Command::StartTls, _) => Ok(Kind::StartTls),
            (Command::Auth { .. }, _) => Ok(Kind::Auth),
            (Command::Mail { .. }, _) => Ok(Kind::Mail),
            (Command::Rcpt { .. }, _) => Ok(Kind::Rcpt),
            (Command::Data, _) => Ok(Kind::Data),
            (Command::Rset, _) => Ok(Kind::Rset),
            (Command::Bdat(Chunk { last: false, .. }), _) => Ok(Kind::Chunk),
            (Command::Bdat(Chunk { last: true, .. }), _) => Ok(Kind::Verdict),
            (Command::Xclient(_), _) => Ok(Kind::Xclient),
            (Command::Quit, _) => Ok(Kind::Quit),
            (
                Command::Noop
                | Command::Vrfy(_)
                | Command::Expn(_)
                | Command::Help(_)
                | Command::Etrn(_)
                | Command::Xforward(_),
                _,
            ) => Ok(Kind::Other),
        }
    }

    /// RFC 3030 §2, §3: a message in chunks goes on in chunks, and one that is not made of lines has no other way.
    const fn check_course(&self, next: Kind) -> Result<(), SendError> {
        let is_open = match self.course {
            Course::Free => true,
            Course::Binary => !matches!(next, Kind::Data),
            Course::Chunks => matches!(next, Kind::Chunk | Kind::Verdict | Kind::Rset | Kind::Quit),
        };
        if is_open { Ok(()) } else { Err(SendError::NotNow) }
    }

    const fn course_behind(&self, command: &Command<'_>) -> Course {
        match command {
            Command::Mail { parameters, .. } => match parameters.body {
                Some(BodyType::BinaryMime) => Course::Binary,
                Some(BodyType::SevenBit | BodyType::EightBitMime) | None => Course::Free,
            },
            Command::Bdat(Chunk { last: false, .. }) => Course::Chunks,
            Command::Bdat(Chunk { last: true, .. }) | Command::Rset => Course::Free,
            // Those that change it do so where they succeed.
            Command::Ehlo(_)
            | Command::Helo(_)
            | Command::Lhlo(_)
            | Command::StartTls
            | Command::Auth { .. }
            | Command::Rcpt { .. }
            | Command::Data
            | Command::Noop
            | Command::Vrfy(_)
            | Command::Expn(_)
            | Command::Help(_)
            | Command::Etrn(_)
            | Command::Xclient(_)
            | Command::Xforward(_)
            | Command::Quit => self.course,
        }
    }

    /// RFC 2920 §3.1: what may follow a command whose reply has not come.
    fn check_window(&self, next: Kind) -> Result<(), SendError> {
        let Some(latest) = self.pending.back() else { return Ok(()) };
        let open = match latest.kind {
            Kind::Mail | Kind::Rcpt | Kind::Rset | Kind::Chunk => self.capabilities.extensions.pipelining,
            Kind::Ehlo
            | Kind::Helo
            | Kind::StartTls
            | Kind::Auth
            | Kind::Data
            | Kind::Verdict
            | Kind::Xclient
            | Kind::Quit
            | Kind::Other => false,
        };
        // Nothing that came before may be replied to behind TLS, an authentication or another client's name.
        let alone = matches!(next, Kind::StartTls | Kind::Auth | Kind::Ehlo | Kind::Helo | Kind::Xclient);
        if open && !alone && self.pending.len() < self.config.limits.window { Ok(()) } else { Err(SendError::Wait) }
    }

    /// RFC 5321 §2.2.1: no extension is used that the server did not offer.
    fn check_offers(&self, command: &Command<'_>) -> Result<(), SendError> {
        let offers = &self.capabilities;
        let extensions = &offers.extensions;
        let is_sayable =
            |lookup: &Lookup<&str>| lookup.name.as_str().is_ascii() && !lookup.smtp_utf8 || extensions.smtp_utf8;
        let offered = match command {
            Command::StartTls => offers.start_tls && self.transport == Transport::Plain,
            Command::Auth { mechanism, .. } => offers.auth.iter().any(|offer| *offer == *mechanism),
            Command::Mail { from, parameters } => {
                parameters.belong_to(extensions)
                    && (parameters.size.is_none() || offers.size.is_some())
                    && (parameters.auth.is_none() || !offers.auth.is_empty())
                    && (parameters.smtp_utf8 || from.is_ascii())
                    // RFC 8689 §2: without TLS it means nothing, whoever offers it.
                    && (!parameters.require_tls || self.transport == Transport::Tls)
            }
            Command::Rcpt { to, parameters } => {
                parameters.belong_to(extensions) && (to.is_ascii() && parameters.is_ascii() || extensions.smtp_utf8)
            }
            Command::Vrfy(lookup) => is_sayable(lookup),
            Command::Expn(lookup) => extensions.expn && is_sayable(lookup),
            Command::Bdat(_) => extensions.chunking,
            Command::Etrn(_) => extensions.etrn,
            Command::Xclient(_) => extensions.xclient,
            Command::Xforward(_) => extensions.xforward,
            Command::Ehlo(name) | Command::Helo(name) | Command::Lhlo(name) => name.as_str().is_ascii(),
            Command::Data | Command::Rset | Command::Noop | Command::Help(_) | Command::Quit => true,
        };
        if offered { Ok(()) } else { Err(SendError::NotOffered) }
    }

    fn sasl_line(&mut self, line: &str, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Phase::Sasl(pending) = self.phase else { return Err(Misuse::NotNow) };
        // Writing to memory does not fail.
        let _ = write!(out, "{line}\r\n");
        self.phase = Phase::Ready;
        self.pending.push_front(pending);
        self.restart_deadline(now);
        Ok(())
    }

    const fn ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.tickets);
        self.tickets = self.tickets.saturating_add(1);
        ticket
    }

    fn await_reply(&mut self, ticket: Ticket, kind: Kind, now: Duration) {
        self.pending.push_back(Pending { ticket, kind, replies: 0 });
        if self.pending.len() == 1 {
            self.restart_deadline(now);
        }
    }
}
