//! What a delivery says, and what it makes of the replies.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

use super::login::{Answers, Opening};
use super::outcome::{NO_LOGIN, NO_NAME, NO_TLS};
use super::{Delivery, DeliveryEvent, Outcome, Report, Reuse, Said, SaidBy, Stage, TlsPolicy, Trouble};
use crate::{Class, ClientEvent, Command, HelloVerb, Protocol, Reply, ReplyCode, Secret, SendError};

/// How far the dialogue is.
#[derive(Debug)]
pub(super) enum Phase {
    /// The server is to greet.
    Greeting,
    /// We are to present ourselves.
    Present,
    /// We have.
    Hello(HelloVerb),
    /// STARTTLS was said, and then the handshake.
    StartTls,
    /// AUTH was said, and this is for what the server asks.
    Login(Answers),
    /// The envelope goes out, replies come in.
    Envelope,
    /// The driver sends the message.
    Body,
    /// The message is out. In LMTP the verdicts on recipients before that one are in.
    Verdict(usize),
    /// An empty message is out that nobody is to get.
    LoneDot,
    /// All is decided.
    Finished,
    /// And told, but the session may go on.
    Kept,
    /// The application is asked for another message.
    Idle,
    /// All is told.
    Told,
}

impl Delivery {
    /// Says what can be said without hearing more. `Some` where the driver must act.
    pub(super) fn say(&mut self, now: Duration, out: &mut BytesMut) -> Option<DeliveryEvent> {
        match self.phase {
            Phase::Present => {
                let verb = match self.config.protocol {
                    Protocol::Smtp => HelloVerb::Ehlo,
                    Protocol::Lmtp => HelloVerb::Lhlo,
                };
                self.present(verb, now, out);
            }
            Phase::Envelope => return self.send_envelope(now, out),
            Phase::Kept if self.session.is_free() => {
                self.phase = Phase::Idle;
                return Some(DeliveryEvent::Idle);
            }
            Phase::Kept => self.phase = Phase::Told,
            Phase::Greeting
            | Phase::Hello(_)
            | Phase::StartTls
            | Phase::Login(_)
            | Phase::Body
            | Phase::Verdict(_)
            | Phase::LoneDot
            | Phase::Finished
            | Phase::Idle
            | Phase::Told => {}
        }
        None
    }

    /// Takes what the server said. `Some` where the driver must act.
    pub(super) fn hear(&mut self, event: ClientEvent, now: Duration, out: &mut BytesMut) -> Option<DeliveryEvent> {
        let (ClientEvent::Greeting(reply) | ClientEvent::Reply { reply, .. } | ClientEvent::Farewell(reply)) = event;
        if reply.code() == ReplyCode::NOT_AVAILABLE {
            // Whatever it answers, it also says that nothing more will be answered.
            self.farewell = Some(self.kept(reply));
            return None;
        }
        match self.phase {
            Phase::Greeting if reply.class() == Class::Success => self.phase = Phase::Present,
            Phase::Greeting => self.give_up(Trouble::Greeting, reply),
            Phase::Hello(verb) => self.presented(verb, reply, now, out),
            Phase::StartTls => self.tls_reply(reply, now, out),
            Phase::Login(_) => return self.login_reply(reply, now, out),
            Phase::Envelope => return self.envelope_reply(reply, now, out),
            Phase::Verdict(from) => self.verdict(from, reply),
            Phase::LoneDot => self.end_transaction(),
            Phase::Present | Phase::Body | Phase::Finished | Phase::Kept | Phase::Idle | Phase::Told => {}
        }
        None
    }

    /// Tells what was decided, and says goodbye where the session does not go on and the server still listens.
    pub(super) fn conclude(&mut self, now: Duration, out: &mut BytesMut) -> DeliveryEvent {
        let extensions = self.session.capabilities().extensions;
        let report = Report { outcomes: self.fates.take(), trouble: self.trouble, extensions };
        let is_good = match self.trouble {
            None | Some(Trouble::Lacking | Trouble::Limits) => self.session.is_free() && !self.mails_are_spent(),
            Some(
                Trouble::Greeting | Trouble::Hello | Trouble::Tls | Trouble::Login | Trouble::Stale | Trouble::Lost(_),
            ) => false,
        };
        match self.policy.reuse {
            Reuse::Ask if is_good => self.phase = Phase::Kept,
            Reuse::Ask | Reuse::No => self.quit(now, out),
        }
        DeliveryEvent::Done(Box::new(report))
    }

    pub(super) fn quit(&mut self, now: Duration, out: &mut BytesMut) {
        // A session that is over needs no goodbye.
        let _ = self.session.send(&Command::Quit, now, out);
        self.phase = Phase::Told;
    }

    /// Where the dialogue is, in the words of a report.
    pub(super) fn stage(&self) -> Stage {
        match self.phase {
            Phase::Greeting => Stage::Greeting,
            Phase::Present | Phase::Hello(_) => Stage::Hello,
            Phase::StartTls => Stage::StartTls,
            Phase::Login(_) => Stage::Login,
            Phase::Envelope => self.transaction.stage(),
            Phase::Body | Phase::LoneDot => Stage::Data,
            Phase::Verdict(_) | Phase::Finished | Phase::Kept | Phase::Idle | Phase::Told => Stage::Verdict,
        }
    }

    /// Gives all recipients that are still open the same outcome, the last there is.
    pub(super) fn finish(&mut self, outcome: &Outcome) {
        self.fates.decide_rest(outcome);
        self.phase = Phase::Finished;
    }

    fn present(&mut self, verb: HelloVerb, now: Duration, out: &mut BytesMut) {
        let name = self.config.host.borrowed();
        let command = match verb {
            HelloVerb::Ehlo => Command::Ehlo(name),
            HelloVerb::Helo => Command::Helo(name),
            HelloVerb::Lhlo => Command::Lhlo(name),
        };
        match self.session.send(&command, now, out) {
            Ok(_) => self.phase = Phase::Hello(verb),
            Err(SendError::NotOffered) => self.defer(Trouble::Hello, NO_NAME),
            // We leave, and the session will say so.
            Err(SendError::NotNow | SendError::Wait) => {}
        }
    }

    fn presented(&mut self, verb: HelloVerb, reply: Reply, now: Duration, out: &mut BytesMut) {
        match (verb, reply.class()) {
            (_, Class::Success) => self.greeted(now, out),
            (HelloVerb::Ehlo, Class::Permanent) if self.is_plain() => self.present(HelloVerb::Helo, now, out),
            (_, Class::Intermediate | Class::Transient | Class::Permanent) => self.give_up(Trouble::Hello, reply),
        }
    }

    /// Whether the message can do without extensions, and the policy without TLS and a login: then HELO is as good as EHLO.
    /// Under TLS a server that refuses EHLO is not one of old.
    fn is_plain(&self) -> bool {
        let asks_nothing = self.policy.login.is_none() && !self.needs_tls();
        asks_nothing && self.envelope.is_plain() && !self.session.is_under_tls()
    }

    /// Whether the session may not go on in clear. A login never does, unless the policy says so.
    fn needs_tls(&self) -> bool {
        match self.policy.tls {
            TlsPolicy::Never => false,
            TlsPolicy::Opportunistic => self.policy.login.is_some(),
            TlsPolicy::Required => true,
        }
    }

    fn greeted(&mut self, now: Duration, out: &mut BytesMut) {
        match self.policy.tls {
            _ if self.session.is_under_tls() => self.log_in(now, out),
            TlsPolicy::Opportunistic | TlsPolicy::Required if self.session.capabilities().start_tls => {
                if self.session.send(&Command::StartTls, now, out).is_ok() {
                    self.phase = Phase::StartTls;
                }
            }
            TlsPolicy::Opportunistic | TlsPolicy::Required if self.needs_tls() => {
                self.phase = Phase::StartTls;
                self.defer(Trouble::Tls, NO_TLS);
            }
            TlsPolicy::Never | TlsPolicy::Opportunistic | TlsPolicy::Required => self.log_in(now, out),
        }
    }

    fn tls_reply(&mut self, reply: Reply, now: Duration, out: &mut BytesMut) {
        match reply.class() {
            // The session asks for the handshake.
            Class::Success => {}
            // Even where it says 5yz: this message may well be taken under TLS, tomorrow or elsewhere.
            _ if self.needs_tls() || self.envelope.requires_tls() => {
                self.defer_by_server(Trouble::Tls, reply);
            }
            Class::Intermediate | Class::Transient | Class::Permanent => self.log_in(now, out),
        }
    }

    fn log_in(&mut self, now: Duration, out: &mut BytesMut) {
        let Some(login) = &self.policy.login else { return self.begin_message() };
        self.phase = Phase::Login(Answers::Asked(None));
        let sent = match login.begin(self.session.capabilities()) {
            Some(Opening { command, answers }) => {
                self.phase = Phase::Login(answers);
                self.session.send(&command, now, out)
            }
            None => Err(SendError::NotOffered),
        };
        match sent {
            Err(SendError::NotOffered) => self.defer(Trouble::Login, NO_LOGIN),
            // Or we leave, and the session will say so.
            Ok(_) | Err(SendError::NotNow | SendError::Wait) => {}
        }
    }

    fn login_reply(&mut self, reply: Reply, now: Duration, out: &mut BytesMut) -> Option<DeliveryEvent> {
        match reply.class() {
            // RFC 4954 §4: EHLO is said again behind a security layer only, and here is none.
            Class::Success => self.begin_message(),
            Class::Intermediate => return self.challenged(&reply, now, out),
            Class::Transient | Class::Permanent => self.defer_by_server(Trouble::Login, reply),
        }
        None
    }

    fn challenged(&mut self, reply: &Reply, now: Duration, out: &mut BytesMut) -> Option<DeliveryEvent> {
        let Phase::Login(answers) = &mut self.phase else { return None };
        let unsaid = match answers {
            Answers::Known(answers) => answers.pop_front(),
            Answers::Asked(first) => match first.take() {
                Some(first) => Some(first),
                // RFC 4954 §4: the text is all of it, which a long one has been folded of.
                None => match STANDARD.decode(reply.lines().collect::<String>()) {
                    Ok(challenge) => return Some(DeliveryEvent::Challenge(Secret::new(challenge))),
                    Err(_) => None,
                },
            },
        };
        // The challenge is open, so that nothing stands against either.
        let _ = match unsaid {
            Some(answer) => self.session.respond(answer.expose(), now, out),
            None => self.session.cancel(now, out),
        };
        None
    }

    /// The server wants nothing to do with us.
    fn give_up(&mut self, trouble: Trouble, reply: Reply) {
        self.trouble = Some(trouble);
        let outcome = self.refused(self.stage(), reply);
        self.finish(&outcome);
    }

    /// We want nothing to do with the server, or not now.
    fn defer(&mut self, trouble: Trouble, reply: Reply) {
        self.trouble = Some(trouble);
        self.finish(&Outcome::Deferred(Said { by: SaidBy::Us, stage: self.stage(), reply }));
    }

    /// The server's word says nothing against the message, however final it sounds.
    fn defer_by_server(&mut self, trouble: Trouble, reply: Reply) {
        self.trouble = Some(trouble);
        let reply = self.kept(reply);
        self.finish(&Outcome::Deferred(Said { by: SaidBy::Server, stage: self.stage(), reply }));
    }

    pub(super) fn refused(&self, stage: Stage, reply: Reply) -> Outcome {
        Outcome::refused(Said { by: SaidBy::Server, stage, reply: self.kept(reply) })
    }

    pub(super) fn kept(&self, reply: Reply) -> Reply {
        reply.shortened(self.config.limits.kept_reply)
    }
}
