//! Commands: which of them are in order, which of them the engine answers itself.

use alloc::string::String;
use core::time::Duration;

use bytes::BytesMut;
use zeroize::Zeroize as _;

use super::{Addresses, Asked, Login, Peer, Phase, ServerSession, Transaction, Transport, Turned, told};
use crate::{
    Close, Command, Domain, Event, Expected, ForwardPath, Hello, HelloVerb, Mail, MailParameters, Mechanism,
    ParseError, PlaintextLogin, Protocol, Rcpt, RcptParameters, Reply, ReplyCode, ReversePath, Secret, Senders,
    SmtpUtf8, StartTls, Text, Violation, Vrfy,
};

impl ServerSession {
    pub(super) fn command(
        &mut self,
        mut line: BytesMut,
        now: Duration,
        input: &BytesMut,
        out: &mut BytesMut,
    ) -> Turned {
        let turned = match Command::parse(&line) {
            Err(error) => self.no_command(error, &line, now, out),
            Ok(Command::Quit) => {
                self.close(Close::Quit);
                GOODBYE.write(out);
                None
            }
            Ok(_) if self.peer == Peer::Unwelcome => told(self.violate(Violation::Sequence, now, out)),
            Ok(Command::Ehlo(name)) => self.hello(HelloVerb::Ehlo, name, now, out),
            Ok(Command::Helo(name)) => self.hello(HelloVerb::Helo, name, now, out),
            Ok(Command::Lhlo(name)) => self.hello(HelloVerb::Lhlo, name, now, out),
            Ok(Command::StartTls) => self.start_tls(now, input, out),
            Ok(Command::Auth { mechanism, initial }) => self.auth(mechanism, initial, now, out),
            Ok(Command::Mail { from, parameters }) => self.mail(from, parameters, now, out),
            Ok(Command::Rcpt { to, parameters }) => self.rcpt(to, parameters, now, out),
            Ok(Command::Data) => self.data(now, out),
            Ok(Command::Rset) => {
                self.reset();
                self.chat(now, out)
            }
            Ok(Command::Noop) => self.chat(now, out),
            Ok(Command::Vrfy(what)) => self.vrfy(what, now, out),
        };
        // An AUTH may have stood there.
        line.zeroize();
        turned
    }

    fn no_command(&mut self, error: ParseError, line: &[u8], now: Duration, out: &mut BytesMut) -> Turned {
        if error.expected == Expected::Verb && is_other_protocol(line) {
            return told(self.close_for(Violation::NotSmtp, out));
        }
        let is_bdat = line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"));
        if error.expected == Expected::ImplementedVerb && is_bdat {
            return self.bdat(line, now, out);
        }
        told(self.violate(error.expected.into(), now, out))
    }

    /// RFC 3030 §2: the octets follow, whatever we answer. They must not run as commands.
    fn bdat(&mut self, line: &[u8], now: Duration, out: &mut BytesMut) -> Turned {
        match chunk_size(line) {
            Some(size) if size <= self.config.limits.refused_chunk => {
                self.phase = Phase::RefusedChunk(size);
                self.deadline = now.saturating_add(self.config.timeouts.body);
                None
            }
            Some(_) | None => told(self.close_for(Violation::ChunkTooBig, out)),
        }
    }

    fn hello(&mut self, verb: HelloVerb, name: Domain<&str>, now: Duration, out: &mut BytesMut) -> Turned {
        match (self.config.protocol, verb) {
            (Protocol::Smtp, HelloVerb::Helo | HelloVerb::Ehlo) | (Protocol::Lmtp, HelloVerb::Lhlo) => {}
            // RFC 2033 §4.1: an LMTP server must not answer 2yz to HELO and EHLO.
            (Protocol::Smtp, HelloVerb::Lhlo) | (Protocol::Lmtp, HelloVerb::Helo | HelloVerb::Ehlo) => {
                return told(self.violate(Violation::UnknownCommand, now, out));
            }
        }
        if self.is_chatter(out) {
            return told(Violation::TooMuchChatter);
        }
        self.ask(Asked::Hello(verb), Event::Hello(Hello { verb, name: name.into_owned() }))
    }

    fn start_tls(&mut self, now: Duration, input: &BytesMut, out: &mut BytesMut) -> Turned {
        match (self.config.start_tls, self.transport) {
            (StartTls::Off, _) => told(self.violate(Violation::NotImplemented, now, out)),
            (StartTls::Offered | StartTls::Required, Transport::Tls) => {
                told(self.violate(Violation::Sequence, now, out))
            }
            (StartTls::Offered | StartTls::Required, Transport::Plain) if !input.is_empty() => {
                told(self.close_for(Violation::PipelinedTls, out))
            }
            (StartTls::Offered | StartTls::Required, Transport::Plain) => {
                READY_FOR_TLS.write(out);
                self.reset();
                self.phase = Phase::Switching;
                self.deadline = now.saturating_add(self.config.timeouts.tls);
                None
            }
        }
    }

    fn auth(
        &mut self,
        mechanism: Mechanism<&str>,
        initial: Option<Secret>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Turned {
        let named = |offered: &&String| offered.eq_ignore_ascii_case(mechanism.as_str());
        let found = self.mechanisms().iter().find(named).cloned();
        let violation = if self.config.mechanisms.is_empty() && self.config.mechanisms_before_tls.is_empty() {
            Violation::NotImplemented
        } else if self.peer != Peer::Extended || self.login == Login::Done || self.transaction.is_some() {
            // RFC 4954 §4: behind EHLO, once, and not inside a transaction.
            Violation::Sequence
        } else if let Some(mechanism) = found {
            return self.ask(Asked::Sasl, Event::Auth { mechanism, initial });
        } else if self.config.mechanisms.iter().any(|offered| named(&offered)) {
            Violation::PlaintextLogin
        } else {
            Violation::Mechanism
        };
        told(self.violate(violation, now, out))
    }

    /// The SASL mechanisms that may be used as things are.
    pub(super) fn mechanisms(&self) -> &[String] {
        match (self.transport, self.config.plaintext_login) {
            (Transport::Tls, _) | (Transport::Plain, PlaintextLogin::Always) => &self.config.mechanisms,
            (Transport::Plain, PlaintextLogin::UnderTls) => &self.config.mechanisms_before_tls,
        }
    }

    fn mail(
        &mut self,
        from: ReversePath<&str>,
        parameters: MailParameters<&str>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Turned {
        let config = &self.config;
        let utf8_off = config.smtp_utf8 == SmtpUtf8::Off;
        let violation = if self.peer == Peer::Unknown || self.transaction.is_some() {
            Violation::Sequence
        } else if config.start_tls == StartTls::Required && self.transport == Transport::Plain {
            Violation::TlsRequired
        } else if config.senders == Senders::LoggedIn && self.login == Login::None {
            Violation::LoginRequired
        } else if self.peer == Peer::Plain && !parameters.is_empty() || utf8_off && parameters.smtp_utf8 {
            Violation::UnknownParameter
        } else if parameters.size.is_some_and(|size| size > config.limits.message) {
            Violation::MessageTooBig
        } else if !parameters.smtp_utf8 && !from.is_ascii() {
            Violation::Utf8Address
        } else {
            let addresses = if parameters.smtp_utf8 { Addresses::Utf8 } else { Addresses::Ascii };
            let transaction = Transaction { recipients: 0, addresses };
            let mail = Mail { from: from.into_owned(), parameters: parameters.into_owned() };
            return self.ask(Asked::Mail(transaction), Event::Mail(mail));
        };
        told(self.violate(violation, now, out))
    }

    fn rcpt(&mut self, to: ForwardPath<&str>, parameters: RcptParameters, now: Duration, out: &mut BytesMut) -> Turned {
        let violation = match &self.transaction {
            None => Violation::Sequence,
            Some(transaction) if transaction.recipients >= self.config.limits.recipients => {
                Violation::TooManyRecipients
            }
            Some(Transaction { addresses: Addresses::Ascii, .. }) if !to.is_ascii() => Violation::Utf8Address,
            Some(_) => return self.ask(Asked::Rcpt, Event::Rcpt(Rcpt { to: to.into_owned(), parameters })),
        };
        told(self.violate(violation, now, out))
    }

    fn data(&mut self, now: Duration, out: &mut BytesMut) -> Turned {
        let violation = match (&self.transaction, self.config.protocol) {
            (None, _) => Violation::Sequence,
            (Some(Transaction { recipients: 0, .. }), Protocol::Smtp) => Violation::NoRecipients,
            // RFC 2033 §4.2: 503, since no reply can follow the message.
            (Some(Transaction { recipients: 0, .. }), Protocol::Lmtp) => Violation::Sequence,
            (Some(_), _) => return self.ask(Asked::Data, Event::Data),
        };
        told(self.violate(violation, now, out))
    }

    fn vrfy(&mut self, what: Text<&str>, now: Duration, out: &mut BytesMut) -> Turned {
        if self.is_chatter(out) {
            return told(Violation::TooMuchChatter);
        }
        match self.config.vrfy {
            Vrfy::Ask => self.ask(Asked::Vrfy, Event::Vrfy(what.into_owned())),
            Vrfy::SayNothing => {
                CANNOT_VERIFY.write(out);
                self.await_command(now);
                None
            }
        }
    }

    /// Answers RSET and NOOP.
    fn chat(&mut self, now: Duration, out: &mut BytesMut) -> Turned {
        if self.is_chatter(out) {
            return told(Violation::TooMuchChatter);
        }
        OK.write(out);
        self.await_command(now);
        None
    }

    /// Counts a command that brings no message nearer; true if it was one too many, and the session is over.
    fn is_chatter(&mut self, out: &mut BytesMut) -> bool {
        self.chatter = self.chatter.saturating_add(1);
        let too_much = self.chatter > self.config.limits.chatter;
        if too_much {
            self.close_for(Violation::TooMuchChatter, out);
        }
        too_much
    }
}

/// HTTP's methods, and lines like a header's: a browser was tricked into speaking to us.
fn is_other_protocol(line: &[u8]) -> bool {
    const METHODS: [&[u8]; 8] = [b"GET", b"POST", b"PUT", b"HEAD", b"CONNECT", b"OPTIONS", b"DELETE", b"TRACE"];
    let word = line.split(|octet| *octet == b' ').next().unwrap_or_default();
    METHODS.contains(&word) || word.ends_with(b":")
}

/// `BDAT SP chunk-size [SP end-marker]`.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = core::str::from_utf8(line).ok()?;
    let mut words = line.split(' ').filter(|word| !word.is_empty()).skip(1);
    let size = words.next().filter(|word| word.bytes().all(|octet| octet.is_ascii_digit()))?;
    let marker_is_good = words.next().is_none_or(|marker| marker.eq_ignore_ascii_case("LAST"));
    (marker_is_good && words.next().is_none()).then(|| size.parse().ok())?
}

const OK: Reply = Reply::fixed(ReplyCode::OK, 0, 0, "ok");

const GOODBYE: Reply = Reply::fixed(ReplyCode::CLOSING, 0, 0, "goodbye");

const CANNOT_VERIFY: Reply =
    Reply::fixed(ReplyCode::CANNOT_VERIFY, 5, 2, "cannot verify, but will take mail and try to deliver it");

const READY_FOR_TLS: Reply = Reply::fixed(ReplyCode::READY, 0, 0, "ready to start TLS");
