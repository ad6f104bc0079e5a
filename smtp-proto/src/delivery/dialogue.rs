//! What a delivery says, and what it makes of the replies.

use alloc::boxed::Box;
use core::time::Duration;

use bytes::BytesMut;

use super::outcome::{NO_EIGHT_BIT, NO_TLS, NO_UTF8, TOO_BIG};
use super::{Delivery, DeliveryEvent, Envelope, Outcome, Report, Said, SaidBy, Stage, TlsPolicy, Trouble};
use crate::{
    BodyType, Capabilities, Class, ClientEvent, Command, HelloVerb, MailParameters, Protocol, Reply, ReplyCode,
    SizeLimit,
};

/// How far the dialogue is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// The server is to greet.
    Greeting,
    /// We are to present ourselves.
    Present,
    /// We have.
    Hello(HelloVerb),
    /// STARTTLS was said, and then the handshake.
    StartTls,
    /// The envelope goes out, replies come in.
    Sending(Sending),
    /// The driver sends the message.
    Body,
    /// The message is out.
    Verdict,
    /// An empty message is out that nobody is to get.
    LoneDot,
    /// All is decided.
    Finished,
    /// And told.
    Told,
}

/// MAIL is command 0, RCPT are commands 1 to n, DATA is command n + 1: so many of them were sent, so many were answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sending {
    sent: usize,
    answered: usize,
}

impl Delivery {
    /// Says what can be said without hearing more.
    pub(super) fn say(&mut self, now: Duration, out: &mut BytesMut) {
        match self.phase {
            Phase::Present => {
                let verb = match self.config.protocol {
                    Protocol::Smtp => HelloVerb::Ehlo,
                    Protocol::Lmtp => HelloVerb::Lhlo,
                };
                self.present(verb, now, out);
            }
            Phase::Sending(sending) => self.send_envelope(sending, now, out),
            Phase::Greeting
            | Phase::Hello(_)
            | Phase::StartTls
            | Phase::Body
            | Phase::Verdict
            | Phase::LoneDot
            | Phase::Finished
            | Phase::Told => {}
        }
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
            Phase::StartTls => self.tls_reply(reply),
            Phase::Sending(sending) => return self.envelope_reply(sending, reply, now, out),
            Phase::Verdict => self.verdict(reply),
            Phase::LoneDot if !self.session.owes_reply() => self.phase = Phase::Finished,
            Phase::LoneDot | Phase::Present | Phase::Body | Phase::Finished | Phase::Told => {}
        }
        None
    }

    /// Says goodbye, if the server still listens, and tells what was decided.
    pub(super) fn conclude(&mut self, now: Duration, out: &mut BytesMut) -> DeliveryEvent {
        // A session that is over needs no goodbye.
        let _ = self.session.send(&Command::Quit, now, out);
        self.phase = Phase::Told;
        let outcomes = core::mem::take(&mut self.outcomes).into_iter().flatten().collect();
        DeliveryEvent::Done(Box::new(Report { outcomes, trouble: self.trouble }))
    }

    /// Where the dialogue is, in the words of a report.
    pub(super) const fn stage(&self) -> Stage {
        match self.phase {
            Phase::Greeting => Stage::Greeting,
            Phase::Present | Phase::Hello(_) => Stage::Hello,
            Phase::StartTls => Stage::StartTls,
            Phase::Sending(Sending { answered: 0, .. }) => Stage::Mail,
            Phase::Sending(Sending { answered, .. }) if answered <= self.outcomes.len() => Stage::Rcpt,
            Phase::Sending(_) | Phase::Body | Phase::LoneDot => Stage::Data,
            Phase::Verdict | Phase::Finished | Phase::Told => Stage::Verdict,
        }
    }

    /// Gives all recipients that are still open the same outcome, the last there is.
    pub(super) fn finish(&mut self, outcome: &Outcome) {
        self.decide(outcome);
        self.phase = Phase::Finished;
    }

    fn present(&mut self, verb: HelloVerb, now: Duration, out: &mut BytesMut) {
        let name = self.config.host.borrowed();
        let command = match verb {
            HelloVerb::Ehlo => Command::Ehlo(name),
            HelloVerb::Helo => Command::Helo(name),
            HelloVerb::Lhlo => Command::Lhlo(name),
        };
        if self.session.send(&command, now, out).is_ok() {
            self.phase = Phase::Hello(verb);
        }
    }

    fn presented(&mut self, verb: HelloVerb, reply: Reply, now: Duration, out: &mut BytesMut) {
        match (verb, reply.class()) {
            (_, Class::Success) => self.greeted(now, out),
            (HelloVerb::Ehlo, Class::Permanent) if self.is_plain() => self.present(HelloVerb::Helo, now, out),
            (_, Class::Intermediate | Class::Transient | Class::Permanent) => self.give_up(Trouble::Hello, reply),
        }
    }

    /// Whether the message can do without extensions, and the policy without TLS: then HELO is as good as EHLO. Under TLS a
    /// server that refuses EHLO is not one of old.
    fn is_plain(&self) -> bool {
        let plain = !self.envelope.needs_utf8() && !self.envelope.needs_eight_bit();
        plain && self.policy.tls != TlsPolicy::Required && !self.session.is_under_tls()
    }

    fn greeted(&mut self, now: Duration, out: &mut BytesMut) {
        match self.policy.tls {
            _ if self.session.is_under_tls() => self.begin_envelope(),
            TlsPolicy::Opportunistic | TlsPolicy::Required if self.session.capabilities().start_tls => {
                if self.session.send(&Command::StartTls, now, out).is_ok() {
                    self.phase = Phase::StartTls;
                }
            }
            TlsPolicy::Never | TlsPolicy::Opportunistic => self.begin_envelope(),
            TlsPolicy::Required => {
                self.trouble = Some(Trouble::Tls);
                self.finish(&Outcome::Deferred(Said { by: SaidBy::Us, stage: Stage::StartTls, reply: NO_TLS }));
            }
        }
    }

    fn tls_reply(&mut self, reply: Reply) {
        match (reply.class(), self.policy.tls) {
            // The session asks for the handshake.
            (Class::Success, _) => {}
            (_, TlsPolicy::Never | TlsPolicy::Opportunistic) => self.begin_envelope(),
            // Even where it says 5yz: this message may well be taken under TLS, tomorrow or elsewhere.
            (_, TlsPolicy::Required) => {
                self.trouble = Some(Trouble::Tls);
                let reply = self.kept(reply);
                self.finish(&Outcome::Deferred(Said { by: SaidBy::Server, stage: Stage::StartTls, reply }));
            }
        }
    }

    /// Looks whether the server can take the message, before anything of it is told.
    fn begin_envelope(&mut self) {
        let offers = self.session.capabilities();
        let too_big = match (offers.size, self.envelope.mail.parameters.size) {
            (Some(SizeLimit::Octets(limit)), Some(size)) => size > limit,
            (None | Some(SizeLimit::Unknown | SizeLimit::Octets(_)), _) => false,
        };
        let lacking = if self.envelope.needs_utf8() && !offers.extensions.smtp_utf8 {
            NO_UTF8
        } else if self.envelope.needs_eight_bit() && !offers.extensions.eight_bit_mime {
            NO_EIGHT_BIT
        } else if too_big {
            TOO_BIG
        } else {
            self.phase = Phase::Sending(Sending::default());
            return;
        };
        self.trouble = Some(Trouble::Lacking);
        self.finish(&Outcome::Failed(Said { by: SaidBy::Us, stage: Stage::Mail, reply: lacking }));
    }

    /// Sends as much of the envelope as the server takes without replying. Once no recipient is left, nothing more is sent; DATA
    /// may be out by then, in the same group (RFC 2920 §3.1).
    fn send_envelope(&mut self, mut sending: Sending, now: Duration, out: &mut BytesMut) {
        while self.open > 0 {
            let command = match sending.sent.checked_sub(1) {
                None => {
                    let parameters = self.envelope.parameters(self.session.capabilities());
                    Command::Mail { from: self.envelope.mail.from.borrowed(), parameters }
                }
                Some(index) => match self.envelope.recipients.get(index) {
                    Some(rcpt) => Command::Rcpt { to: rcpt.to.borrowed(), parameters: rcpt.parameters.borrowed() },
                    None if index == self.envelope.recipients.len() => Command::Data,
                    None => break,
                },
            };
            if self.session.send(&command, now, out).is_err() {
                break;
            }
            sending.sent = sending.sent.saturating_add(1);
        }
        let is_over = self.open == 0 && sending.answered == sending.sent;
        self.phase = if is_over { Phase::Finished } else { Phase::Sending(sending) };
    }

    fn envelope_reply(
        &mut self,
        mut sending: Sending,
        reply: Reply,
        now: Duration,
        out: &mut BytesMut,
    ) -> Option<DeliveryEvent> {
        let answers = sending.answered.checked_sub(1);
        sending.answered = sending.answered.saturating_add(1);
        self.phase = Phase::Sending(sending);
        let class = reply.class();
        match answers {
            None if class != Class::Success => self.decide(&self.refused(Stage::Mail, reply)),
            None => {}
            Some(index) if index < self.outcomes.len() && class == Class::Success => {}
            Some(index) if index < self.outcomes.len() => {
                let refused = self.refused(Stage::Rcpt, reply);
                self.decide_one(index, refused);
            }
            Some(_) if class != Class::Intermediate => self.decide(&self.refused(Stage::Data, reply)),
            // We leave, and the session has not begun what would have to be ended.
            Some(_) if self.session.is_over() => {}
            Some(_) if self.open > 0 => {
                self.phase = Phase::Body;
                return Some(DeliveryEvent::Body);
            }
            Some(_) => {
                // RFC 2920 §3.1: it wants a message that nobody is to get. It gets an empty one, which ends at once.
                let ended = self.session.end_body(now, out);
                let awaited = ended.is_ok() && self.session.owes_reply();
                self.phase = if awaited { Phase::LoneDot } else { Phase::Finished };
            }
        }
        None
    }

    /// RFC 2033 §4.2: a reply for each accepted recipient, in their order. In SMTP one for all.
    fn verdict(&mut self, reply: Reply) {
        let outcome = match reply.class() {
            Class::Success => {
                Outcome::Accepted(Said { by: SaidBy::Server, stage: Stage::Verdict, reply: self.kept(reply) })
            }
            Class::Intermediate | Class::Transient | Class::Permanent => self.refused(Stage::Verdict, reply),
        };
        match self.config.protocol {
            Protocol::Smtp => self.decide(&outcome),
            Protocol::Lmtp => {
                if let Some(next) = self.outcomes.iter().position(Option::is_none) {
                    self.decide_one(next, outcome);
                }
            }
        }
        if self.open == 0 {
            self.phase = Phase::Finished;
        }
    }

    /// The server wants nothing to do with us.
    fn give_up(&mut self, trouble: Trouble, reply: Reply) {
        self.trouble = Some(trouble);
        let outcome = self.refused(self.stage(), reply);
        self.finish(&outcome);
    }

    fn refused(&self, stage: Stage, reply: Reply) -> Outcome {
        Outcome::refused(Said { by: SaidBy::Server, stage, reply: self.kept(reply) })
    }

    fn kept(&self, reply: Reply) -> Reply {
        reply.shortened(self.config.limits.kept_reply)
    }

    /// Decides over one recipient. Where that is done, as behind a refused MAIL, it is nothing new.
    fn decide_one(&mut self, index: usize, outcome: Outcome) {
        if let Some(open @ None) = self.outcomes.get_mut(index) {
            *open = Some(outcome);
            self.open = self.open.saturating_sub(1);
        }
    }

    /// Decides over all recipients that are still open.
    fn decide(&mut self, outcome: &Outcome) {
        for open in self.outcomes.iter_mut().filter(|open| open.is_none()) {
            *open = Some(outcome.clone());
        }
        self.open = 0;
    }
}

impl Envelope {
    /// RFC 6531 §3.1: some address, or the message, cannot be said in ASCII.
    fn needs_utf8(&self) -> bool {
        let ascii = self.mail.from.is_ascii() && self.recipients.iter().all(|rcpt| rcpt.to.is_ascii());
        self.mail.parameters.smtp_utf8 || !ascii
    }

    fn needs_eight_bit(&self) -> bool {
        match self.mail.parameters.body {
            Some(BodyType::EightBitMime | BodyType::BinaryMime) => true,
            Some(BodyType::SevenBit) | None => false,
        }
    }

    /// What the server offers to hear of what there is to tell.
    fn parameters<'a>(&'a self, offers: &Capabilities) -> MailParameters<&'a str> {
        let parameters = self.mail.parameters.borrowed();
        MailParameters {
            size: parameters.size.filter(|_| offers.size.is_some()),
            body: parameters.body.filter(|_| offers.extensions.eight_bit_mime),
            smtp_utf8: self.needs_utf8(),
            auth: parameters.auth.filter(|_| !offers.auth.is_empty()),
            ..parameters
        }
    }
}
