//! Commands: which of them are in order, which of them the engine answers itself.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use bytes::BytesMut;

use super::{
    Addresses, Asked, Behind, Content, Envelope, Login, Peer, Phase, ServerSession, Skip, Transaction, Transport,
    Turned, announces_chunk, told,
};
use crate::{
    Attribute, BodyType, Close, Command, Domain, Event, Expected, Extensions, ForwardPath, Hello, HelloVerb, Lookup,
    Mail, MailParameters, Mechanism, ParseError, PlaintextLogin, Protocol, Rcpt, RcptParameters, Reply, ReplyCode,
    ReversePath, Secret, Senders, SessionLimit, SessionLimits, StartTls, Text, Violation, Vrfy, Xclient, Xforward,
};

impl ServerSession {
    pub(super) fn command(
        &mut self,
        command: Command<'_>,
        behind: Behind,
        now: Duration,
        out: &mut BytesMut,
    ) -> Turned {
        match command {
            Command::Quit => {
                self.close(Close::Quit);
                GOODBYE.write(out);
                None
            }
            _ if self.peer == Peer::Unwelcome => self.sequence(&command, now, out),
            Command::Ehlo(name) => self.hello(HelloVerb::Ehlo, name, now, out),
            Command::Helo(name) => self.hello(HelloVerb::Helo, name, now, out),
            Command::Lhlo(name) => self.hello(HelloVerb::Lhlo, name, now, out),
            Command::StartTls => self.start_tls(behind, now, out),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial, now, out),
            Command::Mail { from, parameters } => self.mail(from, parameters, now, out),
            Command::Rcpt { to, parameters } => self.rcpt(to, parameters, now, out),
            Command::Data => self.data(now, out),
            Command::Bdat(chunk) => self.chunk(chunk, now, out),
            Command::Rset => {
                self.reset();
                self.chat(&OK, now, out)
            }
            Command::Noop => self.chat(&OK, now, out),
            Command::Help(_) => self.chat(&HELP, now, out),
            Command::Vrfy(lookup) => self.vrfy(lookup, now, out),
            Command::Expn(lookup) => self.expn(lookup, now, out),
            Command::Etrn(node) => self.etrn(node, now, out),
            Command::Xclient(client) => self.xclient(client, now, out),
            Command::Xforward(source) => self.xforward(source, now, out),
        }
    }

    pub(super) fn no_command(&mut self, error: ParseError, line: &[u8], now: Duration, out: &mut BytesMut) -> Turned {
        if announces_chunk(line) {
            return told(self.close_for(Violation::ChunkSize, out));
        }
        if error.expected == Expected::Verb && is_other_protocol(line) {
            return told(self.close_for(Violation::NotSmtp, out));
        }
        if self.transaction.is_none() && line.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"MAIL ")) {
            self.expect_orphans();
        }
        told(self.violate(error.expected.into(), now, out))
    }

    /// MAIL is refused. A client that does not wait for the reply has sent recipients already, and DATA (RFC 2920 §3.1).
    pub(super) fn expect_orphans(&mut self) {
        self.orphans = self.config.limits.recipients.saturating_add(1);
    }

    /// What is wrong with a command that needs a transaction.
    fn no_transaction(&mut self) -> Violation {
        match self.orphans.checked_sub(1) {
            Some(left) => {
                self.orphans = left;
                Violation::NoTransaction
            }
            None => Violation::Sequence,
        }
    }

    /// RFC 2920 §3.1: whether the reply to the command has to be known before anything else can be said in earnest.
    pub(super) fn is_last_of_group(&self, command: &Command<'_>) -> bool {
        match command {
            Command::Ehlo(_)
            | Command::Helo(_)
            | Command::Lhlo(_)
            | Command::Auth { .. }
            | Command::Data
            | Command::Xclient(_) => true,
            // STARTTLS has a rule of its own, behind QUIT nothing is read, and BDAT is followed by its octets.
            Command::StartTls | Command::Quit | Command::Bdat(_) => false,
            Command::Mail { .. }
            | Command::Rcpt { .. }
            | Command::Rset
            | Command::Noop
            | Command::Help(_)
            | Command::Vrfy(_)
            | Command::Expn(_)
            | Command::Etrn(_)
            | Command::Xforward(_) => !(self.is_extended() && self.config.extensions.pipelining),
        }
    }

    /// Whether extensions are spoken.
    pub(super) fn is_extended(&self) -> bool {
        self.peer == Peer::Extended
    }

    /// What is offered as things are.
    pub(super) fn extensions(&self) -> Extensions {
        let configured = self.config.extensions;
        let limits = &self.config.limits;
        Extensions {
            // RFC 8689 §2: under TLS only.
            require_tls: configured.require_tls && self.transport == Transport::Tls,
            limits: SessionLimits {
                mail_max: SessionLimit::new(limits.transactions),
                rcpt_max: SessionLimit::new(limits.recipients),
                rcpt_domain_max: None,
            },
            ..configured
        }
    }

    /// The command does not belong here. Where it has octets behind it, they are skipped.
    fn sequence(&mut self, command: &Command<'_>, now: Duration, out: &mut BytesMut) -> Turned {
        let Command::Bdat(chunk) = command else { return told(self.violate(Violation::Sequence, now, out)) };
        let skip = Skip { left: chunk.octets, then: Some(Violation::Sequence), replies: 1 };
        self.skip_chunk(skip, now, out).and_then(told)
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

    fn start_tls(&mut self, behind: Behind, now: Duration, out: &mut BytesMut) -> Turned {
        match (self.config.start_tls, self.transport) {
            (StartTls::Off, _) => told(self.violate(Violation::NotImplemented, now, out)),
            (StartTls::Offered | StartTls::Required, Transport::Tls) => {
                told(self.violate(Violation::Sequence, now, out))
            }
            (StartTls::Offered | StartTls::Required, Transport::Plain) if behind == Behind::Octets => {
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
        let violation = if !self.knows_auth() {
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

    /// Whether AUTH is known, now or under TLS.
    fn knows_auth(&self) -> bool {
        !(self.config.mechanisms.is_empty() && self.config.mechanisms_before_tls.is_empty())
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
        if self.transaction.is_some() {
            return told(self.violate(Violation::Sequence, now, out));
        }
        // All of them count: not every refusal counts as an error, and there must be an end.
        if self.transactions >= config.limits.transactions {
            return told(self.close_for(Violation::TooManyTransactions, out));
        }
        self.transactions = self.transactions.saturating_add(1);
        let violation = if self.peer == Peer::Unknown {
            Violation::Sequence
        } else if config.start_tls == StartTls::Required && self.transport == Transport::Plain {
            Violation::TlsRequired
        } else if config.senders == Senders::LoggedIn && self.login == Login::None {
            Violation::LoginRequired
        } else if self.peer == Peer::Plain && !parameters.is_empty() {
            Violation::UnknownParameter
        } else if !parameters.belong_to(&self.extensions()) || parameters.auth.is_some() && !self.knows_auth() {
            Violation::UnofferedParameter
        } else if parameters.size.is_some_and(|size| size > config.limits.message) {
            Violation::MessageTooBig
        } else if !parameters.smtp_utf8 && !from.is_ascii() {
            Violation::Utf8Address
        } else {
            self.orphans = 0;
            let envelope = Envelope {
                addresses: if parameters.smtp_utf8 { Addresses::Utf8 } else { Addresses::Ascii },
                content: match parameters.body {
                    Some(BodyType::BinaryMime) => Content::Binary,
                    Some(BodyType::SevenBit | BodyType::EightBitMime) | None => Content::Lines,
                },
            };
            let mail = Mail { from: from.into_owned(), parameters: parameters.into_owned() };
            return self.ask(Asked::Mail(envelope), Event::Mail(mail));
        };
        self.expect_orphans();
        told(self.violate(violation, now, out))
    }

    fn rcpt(
        &mut self,
        to: ForwardPath<&str>,
        parameters: RcptParameters<&str>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Turned {
        let extensions = &self.config.extensions;
        let violation = match &self.transaction {
            None => self.no_transaction(),
            Some(Transaction { chunks: Some(_), .. }) => Violation::Sequence,
            Some(_) if parameters.are_ours() && !extensions.handover => Violation::UnknownParameter,
            Some(_) if self.peer == Peer::Plain && !parameters.is_empty() => Violation::UnknownParameter,
            Some(_) if !parameters.belong_to(extensions) => Violation::UnofferedParameter,
            Some(open) if open.recipients >= self.config.limits.recipients => Violation::TooManyRecipients,
            Some(open) if open.envelope.addresses == Addresses::Ascii && !(to.is_ascii() && parameters.is_ascii()) => {
                Violation::Utf8Address
            }
            Some(_) => {
                let rcpt = Rcpt { to: to.into_owned(), parameters: parameters.into_owned() };
                return self.ask(Asked::Rcpt, Event::Rcpt(rcpt));
            }
        };
        told(self.violate(violation, now, out))
    }

    fn data(&mut self, now: Duration, out: &mut BytesMut) -> Turned {
        let violation = match &self.transaction {
            None => self.no_transaction(),
            // RFC 3030 §2 and §3: not beside BDAT, and not for a message that may hold anything.
            Some(Transaction { chunks: Some(_), .. }) => Violation::Sequence,
            Some(open) if open.envelope.content == Content::Binary => Violation::Sequence,
            Some(open) if open.recipients == 0 => self.no_recipients(),
            Some(_) => return self.ask(Asked::Data, Event::Data),
        };
        told(self.violate(violation, now, out))
    }

    fn vrfy(&mut self, lookup: Lookup<&str>, now: Duration, out: &mut BytesMut) -> Turned {
        match self.config.vrfy {
            Vrfy::Ask => self.look_up(Asked::Vrfy, lookup, Event::Vrfy, now, out),
            Vrfy::SayNothing => self.chat(&CANNOT_VERIFY, now, out),
        }
    }

    fn expn(&mut self, lookup: Lookup<&str>, now: Duration, out: &mut BytesMut) -> Turned {
        if !self.config.extensions.expn {
            return told(self.violate(Violation::NotImplemented, now, out));
        }
        self.look_up(Asked::Expn, lookup, Event::Expn, now, out)
    }

    fn look_up(
        &mut self,
        asked: Asked,
        lookup: Lookup<&str>,
        question: fn(Lookup) -> Event,
        now: Duration,
        out: &mut BytesMut,
    ) -> Turned {
        let violation = if lookup.smtp_utf8 && !self.config.extensions.smtp_utf8 {
            Violation::UnofferedParameter
        } else if !lookup.smtp_utf8 && !lookup.name.as_str().is_ascii() {
            Violation::Utf8Address
        } else if self.is_chatter(out) {
            return told(Violation::TooMuchChatter);
        } else {
            return self.ask(asked, question(lookup.into_owned()));
        };
        told(self.violate(violation, now, out))
    }

    /// RFC 1985 §5.3: not inside a transaction.
    fn etrn(&mut self, node: Text<&str>, now: Duration, out: &mut BytesMut) -> Turned {
        match self.outside_transaction(self.config.extensions.etrn) {
            Err(violation) => told(self.violate(violation, now, out)),
            Ok(()) if self.is_chatter(out) => told(Violation::TooMuchChatter),
            Ok(()) => self.ask(Asked::Etrn, Event::Etrn(node.into_owned())),
        }
    }

    fn xclient(&mut self, client: Xclient<&str>, now: Duration, out: &mut BytesMut) -> Turned {
        match self.outside_transaction(self.config.extensions.xclient) {
            Err(violation) => told(self.violate(violation, now, out)),
            Ok(()) => {
                let login = match client.login {
                    Some(Attribute::Known(_)) => Login::Done,
                    Some(Attribute::Unavailable | Attribute::TemporarilyUnavailable) | None => Login::None,
                };
                self.ask(Asked::Xclient(login), Event::Xclient(Box::new(client.into_owned())))
            }
        }
    }

    fn xforward(&mut self, source: Xforward<&str>, now: Duration, out: &mut BytesMut) -> Turned {
        match self.outside_transaction(self.config.extensions.xforward) {
            Err(violation) => told(self.violate(violation, now, out)),
            Ok(()) => self.ask(Asked::Xforward, Event::Xforward(Box::new(source.into_owned()))),
        }
    }

    /// For commands of an extension that have no place in a transaction.
    fn outside_transaction(&self, offered: bool) -> Result<(), Violation> {
        match (offered, self.peer) {
            (false, _) => Err(Violation::NotImplemented),
            (true, Peer::Extended) if self.transaction.is_none() => Ok(()),
            (true, _) => Err(Violation::Sequence),
        }
    }

    /// Answers what needs no application.
    fn chat(&mut self, reply: &Reply, now: Duration, out: &mut BytesMut) -> Turned {
        if self.is_chatter(out) {
            return told(Violation::TooMuchChatter);
        }
        reply.write(out);
        self.await_command(now);
        None
    }

    /// Counts a command that brings no message nearer; true if it was one too many, and the session is over.
    pub(super) fn is_chatter(&mut self, out: &mut BytesMut) -> bool {
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

const OK: Reply = Reply::fixed(ReplyCode::OK, 0, 0, "ok");

const HELP: Reply =
    Reply::fixed(ReplyCode::HELP, 0, 0, "RFC 5321 tells the commands, the reply to EHLO the extensions");

const GOODBYE: Reply = Reply::fixed(ReplyCode::CLOSING, 0, 0, "goodbye");

const CANNOT_VERIFY: Reply =
    Reply::fixed(ReplyCode::CANNOT_VERIFY, 5, 2, "cannot verify, but will take mail and try to deliver it");

const READY_FOR_TLS: Reply = Reply::fixed(ReplyCode::READY, 0, 0, "ready to start TLS");
