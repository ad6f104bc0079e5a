//! The server's application.

use core::time::Duration;

use bytes::BytesMut;
use smtp_proto::{
    EarlyTalk, Enhanced, Event, Extensions, HelloVerb, Limits, Misuse, PlaintextLogin, Protocol, Reply, ReplyCode,
    Senders, ServerConfig, ServerSession, StartTls, Stray, Strays, Violation,
};

use super::ledger::{Extension, Ledger};
use super::sender::{PASSWORD, RESPONSE, USER};
use crate::smtp::domain;
use crate::wire::shown;
use crate::{Broken, Draw, ensure};

/// What the server is configured as.
pub(super) struct Host {
    pub(super) config: ServerConfig,
}

impl Host {
    pub(super) fn new(choice: u8, more: u8) -> Self {
        let is = |bit: u8| choice >> bit & 1 == 0;
        let limits = Limits {
            recipients: if more % 4 == 3 { 2 } else { 1000 },
            transactions: if more / 4 % 4 == 3 { 2 } else { 1000 },
            message: if more / 16 % 4 == 3 { 40 } else { 100_000 },
            ..Limits::default()
        };
        let config = ServerConfig {
            protocol: if is(0) { Protocol::Smtp } else { Protocol::Lmtp },
            extensions: Extensions {
                pipelining: is(1),
                chunking: is(2),
                binary_mime: is(3),
                eight_bit_mime: true,
                enhanced_status_codes: true,
                ..Extensions::NONE
            },
            start_tls: match (is(4), is(5)) {
                (true, _) => StartTls::Off,
                (false, true) => StartTls::Offered,
                (false, false) => StartTls::Required,
            },
            plaintext_login: PlaintextLogin::Always,
            mechanisms: if is(6) { vec!["PLAIN".into(), "X".into()] } else { Vec::new() },
            senders: if is(7) { Senders::Anyone } else { Senders::LoggedIn },
            before_greeting: EarlyTalk::Refuse,
            before_reply: EarlyTalk::Refuse,
            bdat: if (more / 64).is_multiple_of(2) { Strays::KEEP } else { Strays::default() },
            data: Strays { nul: if more / 128 == 0 { Stray::Keep } else { Stray::Reject }, ..Strays::default() },
            limits,
            ..ServerConfig::new(domain("server.test"))
        };
        Self { config }
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.config.protocol
    }
}

/// Takes mail or refuses it, as drawn, and writes into the ledger what it answers for.
pub(super) struct Receiver {
    host: Host,
    from: String,
    to: Vec<String>,
    text: Vec<u8>,
    fate: Fate,
    hello: Option<HelloVerb>,
}

/// What becomes of the message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Wanted,
    /// The application looks at no more of it, and refuses it.
    Unwanted,
}

/// How a message is refused.
pub(super) const REFUSED: &[u8] = b"554 5.0.0 refused";

impl Receiver {
    pub(super) const fn new(host: Host) -> Self {
        Self { host, from: String::new(), to: Vec::new(), text: Vec::new(), fate: Fate::Wanted, hello: None }
    }

    pub(super) fn hear(
        &mut self,
        session: &mut ServerSession,
        event: Event,
        ledger: &mut Ledger,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Result<(), Broken> {
        let refuses = event.is_question() && draw.octet() >= 225;
        let answered = match event {
            Event::Violation(violation) => return self.offended(violation),
            Event::Aborted => {
                self.forget();
                Ok(())
            }
            Event::SaslCancelled => Ok(()),
            Event::Chunk(chunk) => {
                self.text.extend_from_slice(&chunk);
                Ok(())
            }
            Event::End(_) => return self.decide(session, refuses, ledger, draw, now, out),
            Event::Connected
            | Event::Hello(_)
            | Event::Auth { .. }
            | Event::SaslResponse(_)
            | Event::Mail(_)
            | Event::Rcpt(_)
            | Event::Data
                if refuses =>
            {
                session.reply(&refusal(draw), now, out)
            }
            Event::Connected => session.accept(now, out),
            Event::Hello(hello) => {
                self.hello = Some(hello.verb);
                session.accept(now, out)
            }
            Event::Auth { initial: None, .. } => session.challenge(b"", now, out),
            Event::Auth { initial: Some(said), .. } | Event::SaslResponse(said) => {
                let is_known = said.expose() == RESPONSE || said.expose() == [b"", USER.as_bytes(), PASSWORD].join(&0);
                ensure!(is_known, "logs in by {}", shown(said.expose()));
                session.authenticated(now, out)
            }
            Event::Mail(mail) => {
                self.forget();
                self.from = mail.from.to_string();
                session.accept(now, out)
            }
            Event::Rcpt(rcpt) => {
                self.to.push(rcpt.to.to_string());
                session.accept(now, out)
            }
            Event::Data => {
                let asked = session.accept(now, out);
                if draw.octet() >= 240 && session.discard_body().is_ok() {
                    self.fate = Fate::Unwanted;
                }
                asked
            }
            Event::Vrfy(_) | Event::Expn(_) | Event::Etrn(_) | Event::Xclient(_) | Event::Xforward(_) => {
                return Err(Broken::new(format!("asks what nobody wants to know: {event:?}")));
            }
        };
        answered.map_err(|misuse| Broken::new(format!("does not take the answer to its question: {misuse}")))
    }

    fn forget(&mut self) {
        self.from.clear();
        self.to.clear();
        self.text.clear();
        self.fate = Fate::Wanted;
    }

    /// A message is complete: it is taken, or refused, or some of its recipients are.
    fn decide(
        &mut self,
        session: &mut ServerSession,
        refuses: bool,
        ledger: &mut Ledger,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Result<(), Broken> {
        let refuses = refuses || self.fate == Fate::Unwanted;
        if !refuses {
            let knows = self.host.config.extensions.chunking && self.hello != Some(HelloVerb::Helo);
            ledger.keep(&self.from, &self.text, if knows { Extension::Offered } else { Extension::Unknown });
        }
        let answered = match self.host.protocol() {
            Protocol::Smtp => {
                self.to.iter().filter(|_| !refuses).for_each(|to| ledger.take(&self.from, to));
                if refuses { session.reply(&refused(), now, out) } else { session.accept(now, out) }
            }
            Protocol::Lmtp => self.decide_each(session, refuses, ledger, draw, now, out),
        };
        self.forget();
        answered.map_err(|misuse| Broken::new(format!("does not take its verdict: {misuse}")))
    }

    fn decide_each(
        &self,
        session: &mut ServerSession,
        refuses: bool,
        ledger: &mut Ledger,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        for to in &self.to {
            if refuses || draw.octet() >= 200 {
                session.reply_next(&refused(), now, out)?;
            } else {
                ledger.take(&self.from, to);
                session.reply_next(&Reply::new(ReplyCode::OK, Enhanced::new(0, 0), "message accepted"), now, out)?;
            }
        }
        Ok(())
    }

    /// What the client may do in a group of commands, not knowing yet that one of them is refused, and what its application may
    /// have sent. Everything else our own kin does not do.
    fn offended(&self, violation: Violation) -> Result<(), Broken> {
        let Host { config } = &self.host;
        let may_be = FORGIVEN.contains(&violation)
            || violation == Violation::LoginRequired && config.senders == Senders::LoggedIn
            // Who was not told of limits cannot know them.
            || [Violation::TooManyRecipients, Violation::TooManyTransactions, Violation::BodyFlood].contains(&violation)
                && self.hello == Some(HelloVerb::Helo)
            || violation == Violation::TlsRequired && config.start_tls == StartTls::Required;
        ensure!(may_be, "offends its own kin by {}", violation.as_str());
        Ok(())
    }
}

/// What follows a command of a group that was refused, octets that a message may hold or not, and the CRLF that DATA adds to one
/// that was just not too big.
const FORGIVEN: [Violation; 6] = [
    Violation::NoTransaction,
    Violation::NoRecipients,
    Violation::NoLmtpRecipients,
    Violation::BareLineEnd,
    Violation::Nul,
    Violation::MessageTooBig,
];

fn refusal(draw: &mut Draw<'_>) -> Reply {
    let (code, subject, detail) = match draw.octet() % 5 {
        0 => (450, 2, 0),
        1 => (550, 1, 1),
        2 => (452, 5, 3),
        3 => (552, 2, 2),
        _ => (451, 3, 0),
    };
    ReplyCode::new(code).map_or_else(refused, |code| Reply::new(code, Enhanced::new(subject, detail), "not so"))
}

fn refused() -> Reply {
    Reply::new(ReplyCode::FAILED, Enhanced::new(0, 0), "refused")
}
