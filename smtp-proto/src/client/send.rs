//! What the client says.

use core::fmt::Write as _;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use zeroize::Zeroizing;

use super::{ClientSession, Kind, Last, Pending, Phase, SendError, Ticket, Transport};
use crate::{Command, Misuse, Protocol};

impl ClientSession {
    /// Sends a command. Where the server speaks PIPELINING, MAIL, RCPT and RSET may follow one another without waiting, and any
    /// one command may end such a group (RFC 2920 §3.1).
    ///
    /// # Errors
    /// [`SendError::NotNow`], [`SendError::Wait`] and [`SendError::NotOffered`]: see there.
    pub fn send(&mut self, command: &Command<'_>, now: Duration, out: &mut BytesMut) -> Result<Ticket, SendError> {
        if !matches!((&self.phase, self.last), (Phase::Ready, Last::No | Last::Eof)) {
            return Err(SendError::NotNow);
        }
        let kind = self.kind(command)?;
        self.check_window(kind)?;
        self.check_offers(command)?;
        command.write(out);
        Ok(self.await_reply(kind, 1, now))
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

    /// Sends some of the message. Dots at lines' starts are protected here; pieces may be cut anywhere.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no message was asked for; [`Misuse::BareLineEnd`] where a lone CR or LF would go out. Nothing of
    /// the piece was written then, and the message cannot be sent: [`abort`](Self::abort).
    pub fn body(&mut self, octets: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        let Phase::Body(stuff) = &mut self.phase else { return Err(Misuse::NotNow) };
        stuff.write(octets, out)
    }

    /// Ends the message, behind a CRLF where it has none of its own at its end: the lone dot needs it (RFC 5321 §4.1.1.4). The
    /// ticket is for the verdict; in LMTP there are as many as recipients were accepted.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no message was asked for; [`Misuse::BareLineEnd`] where it ends with a CR.
    pub fn end_body(&mut self, now: Duration, out: &mut BytesMut) -> Result<Ticket, Misuse> {
        let Phase::Body(stuff) = &self.phase else { return Err(Misuse::NotNow) };
        stuff.finish(out)?;
        self.phase = Phase::Ready;
        let replies = match self.config.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => self.recipients,
        };
        Ok(self.await_reply(Kind::Verdict, replies, now))
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
                | Kind::Rset
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
            (Command::Quit, _) => Ok(Kind::Quit),
            (Command::Noop | Command::Vrfy(_) | Command::Help(_), _) => Ok(Kind::Other),
            (
                Command::Bdat(_) | Command::Expn(_) | Command::Etrn(_) | Command::Xclient(_) | Command::Xforward(_),
                _,
            ) => Err(SendError::NotOffered),
        }
    }

    /// RFC 2920 §3.1: what may follow a command whose reply has not come.
    fn check_window(&self, next: Kind) -> Result<(), SendError> {
        let Some(latest) = self.pending.back() else { return Ok(()) };
        let open = match latest.kind {
            Kind::Mail | Kind::Rcpt | Kind::Rset => self.capabilities.extensions.pipelining,
            Kind::Ehlo
            | Kind::Helo
            | Kind::StartTls
            | Kind::Auth
            | Kind::Data
            | Kind::Verdict
            | Kind::Quit
            | Kind::Other => false,
        };
        // Nothing that came before may be replied to behind TLS or an authentication.
        let alone = matches!(next, Kind::StartTls | Kind::Auth | Kind::Ehlo | Kind::Helo);
        if open && !alone && self.pending.len() < self.config.limits.window { Ok(()) } else { Err(SendError::Wait) }
    }

    /// RFC 5321 §2.2.1: no extension is used that the server did not offer.
    fn check_offers(&self, command: &Command<'_>) -> Result<(), SendError> {
        let offers = &self.capabilities;
        let offered = match command {
            Command::StartTls => offers.start_tls && self.transport == Transport::Plain,
            Command::Auth { mechanism, .. } => offers.auth.iter().any(|offer| *offer == *mechanism),
            Command::Mail { from, parameters } => {
                parameters.belong_to(&offers.extensions)
                    && (parameters.size.is_none() || offers.size.is_some())
                    && (parameters.auth.is_none() || !offers.auth.is_empty())
                    && (parameters.smtp_utf8 || from.is_ascii())
            }
            Command::Rcpt { to, parameters } => {
                parameters.belong_to(&offers.extensions)
                    && (to.is_ascii() && parameters.is_ascii() || offers.extensions.smtp_utf8)
            }
            Command::Vrfy(lookup) => {
                lookup.name.as_str().is_ascii() && !lookup.smtp_utf8 || offers.extensions.smtp_utf8
            }
            Command::Bdat(_) | Command::Expn(_) | Command::Etrn(_) | Command::Xclient(_) | Command::Xforward(_) => {
                false
            }
            Command::Ehlo(name) | Command::Helo(name) | Command::Lhlo(name) => name.as_str().is_ascii(),
            Command::Data | Command::Rset | Command::Noop | Command::Help(_) | Command::Quit => true,
        };
        if offered { Ok(()) } else { Err(SendError::NotOffered) }
    }

    fn sasl_line(&mut self, line: &str, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Phase::Sasl(ticket) = self.phase else { return Err(Misuse::NotNow) };
        // Writing to memory does not fail.
        let _ = write!(out, "{line}\r\n");
        self.phase = Phase::Ready;
        self.pending.push_back(Pending { ticket, kind: Kind::Auth, replies: 1 });
        self.restart_deadline(now);
        Ok(())
    }

    fn await_reply(&mut self, kind: Kind, replies: u32, now: Duration) -> Ticket {
        let ticket = Ticket(self.tickets);
        self.tickets = self.tickets.saturating_add(1);
        if replies > 0 {
            self.pending.push_back(Pending { ticket, kind, replies });
        }
        if self.pending.len() == 1 {
            self.restart_deadline(now);
        }
        ticket
    }
}
