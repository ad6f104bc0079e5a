//! What the client says.

use core::fmt::Write as _;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use zeroize::Zeroizing;

use super::{ClientSession, Kind, Last, Pending, Phase, SendError, Stage, Ticket, Transport};
use crate::{Command, Misuse, Xclient};

impl ClientSession {
    /// Sends a command. Where the server speaks PIPELINING, commands may follow one another without waiting, even while an
    /// answer comes in (RFC 2449 §6.6); but none may follow one whose answer decides what else may be said: CAPA, STLS, UTF8,
    /// PASS, APOP, AUTH and QUIT.
    ///
    /// # Errors
    /// [`SendError::NotNow`], [`SendError::Wait`] and [`SendError::NotOffered`]: see there.
    pub fn send(&mut self, command: &Command<'_>, now: Duration, out: &mut BytesMut) -> Result<Ticket, SendError> {
        let (Phase::Ready | Phase::Answer(_), Last::No | Last::Eof) = (&self.phase, self.last) else {
            return Err(SendError::NotNow);
        };
        let kind = kind(command);
        self.check_window(kind)?;
        self.check_stage(command)?;
        self.check_offers(command)?;
        command.write(out);
        let ticket = Ticket(self.tickets);
        self.tickets = self.tickets.saturating_add(1);
        self.pending.push_back(Pending { ticket, kind });
        if self.pending.len() == 1 {
            self.restart_deadline(now);
        }
        Ok(ticket)
    }

    /// Answers a SASL challenge (RFC 5034 §4).
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where none is open.
    pub fn respond(&mut self, response: &[u8], now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.sasl_line(&Zeroizing::new(STANDARD.encode(response)), now, out)
    }

    /// Breaks a SASL exchange off. The server is to refuse the login then.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no challenge is open.
    pub fn cancel(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.sasl_line("*", now, out)
    }

    /// When what is next must have come.
    pub(crate) fn restart_deadline(&mut self, now: Duration) {
        let timeouts = &self.config.timeouts;
        let patience = match (&self.phase, self.pending.front()) {
            (Phase::Answer(_), _) => timeouts.body,
            (Phase::Switching, _) => timeouts.tls,
            (_, Some(Pending { kind: Kind::Quit, .. })) => timeouts.quit,
            (_, _) => timeouts.reply,
        };
        self.deadline = now.saturating_add(patience);
    }

    /// RFC 2449 §6.6: what may follow a command whose answer has not come.
    fn check_window(&self, next: Kind) -> Result<(), SendError> {
        let Some(latest) = self.pending.back() else { return Ok(()) };
        let open = match latest.kind {
            Kind::Sizes | Kind::UniqueIds | Kind::Text | Kind::Other => self.capabilities.pipelining,
            Kind::Capa | Kind::Stls | Kind::Utf8 | Kind::Login | Kind::Auth | Kind::Quit => false,
        };
        // Nothing that came before may be answered behind TLS.
        if open && next != Kind::Stls && self.pending.len() < self.config.limits.window {
            Ok(())
        } else {
            Err(SendError::Wait)
        }
    }

    /// RFC 1939 §3: each state has its commands.
    fn check_stage(&self, command: &Command<'_>) -> Result<(), SendError> {
        let belongs_to = match command {
            Command::Apop { .. }
            | Command::Auth { .. }
            | Command::Pass(_)
            | Command::Stls
            | Command::User(_)
            | Command::Utf8
            | Command::Xclient(_)
            | Command::Xoip(_) => Stage::Authorization,
            Command::Dele(_)
            | Command::List(_)
            | Command::Noop
            | Command::Retr(_)
            | Command::Rset
            | Command::Stat
            | Command::Top { .. }
            | Command::Uidl(_) => Stage::Transaction,
            Command::Capa | Command::Lang(_) | Command::Quit => return Ok(()),
        };
        if belongs_to == self.stage { Ok(()) } else { Err(SendError::NotNow) }
    }

    /// What came behind RFC 1939 is used only where it is offered.
    fn check_offers(&self, command: &Command<'_>) -> Result<(), SendError> {
        let offers = &self.capabilities;
        let offered = match command {
            Command::Stls => offers.stls && self.transport == Transport::Plain,
            Command::Utf8 => offers.utf8,
            Command::Lang(_) => offers.lang,
            Command::Auth { mechanism, .. } => offers.sasl.iter().any(|offer| *offer == *mechanism),
            // RFC 6856 §2.2.
            Command::User(name) | Command::Apop { user: name, .. } => name.as_str().is_ascii() || offers.utf8_user,
            Command::Xclient(_) | Command::Xoip(_) => self.xclient == Xclient::Trusted,
            Command::Capa
            | Command::Dele(_)
            | Command::List(_)
            | Command::Noop
            | Command::Pass(_)
            | Command::Quit
            | Command::Retr(_)
            | Command::Rset
            | Command::Stat
            | Command::Top { .. }
            | Command::Uidl(_) => true,
        };
        if offered { Ok(()) } else { Err(SendError::NotOffered) }
    }

    fn sasl_line(&mut self, line: &str, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Phase::Sasl = self.phase else { return Err(Misuse::NotNow) };
        // Writing to a buffer that grows cannot fail.
        let _ = write!(out, "{line}\r\n");
        self.phase = Phase::Ready;
        self.restart_deadline(now);
        Ok(())
    }
}

const fn kind(command: &Command<'_>) -> Kind {
    match command {
        Command::Capa => Kind::Capa,
        Command::List(None) => Kind::Sizes,
        Command::Uidl(None) => Kind::UniqueIds,
        Command::Retr(_) | Command::Top { .. } | Command::Lang(None) => Kind::Text,
        Command::Stls => Kind::Stls,
        Command::Utf8 => Kind::Utf8,
        Command::Apop { .. } | Command::Pass(_) => Kind::Login,
        Command::Auth { .. } => Kind::Auth,
        Command::Quit => Kind::Quit,
        Command::Dele(_)
        | Command::Lang(Some(_))
        | Command::List(Some(_))
        | Command::Noop
        | Command::Rset
        | Command::Stat
        | Command::Uidl(Some(_))
        | Command::User(_)
        | Command::Xclient(_)
        | Command::Xoip(_) => Kind::Other,
    }
}
