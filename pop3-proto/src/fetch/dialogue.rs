//! What a visit says, and what it makes of the answers.

use alloc::boxed::Box;
use core::time::Duration;

use bytes::BytesMut;

use super::{Fetch, FetchEvent, Login, Offer, TlsPolicy, Trouble, Utf8Policy};
use crate::{ClientEvent, Command, Password, Reply, ScanListing, Secret, SendError, Violation};

/// How far the dialogue is.
#[derive(Debug)]
pub(super) enum Phase {
    /// The server is to greet.
    Greeting,
    /// We are to ask what it offers.
    Ask,
    /// We have.
    Offers,
    /// STLS was said, and then the handshake.
    Stls,
    /// UTF8 was said.
    Utf8,
    /// USER was said, and this is for PASS.
    User(Secret),
    /// PASS, APOP or AUTH was said.
    Login,
    /// So many of [`LISTINGS`] were said, and so many answered.
    Listing { said: usize, answered: usize },
    /// The application chooses.
    Choosing,
    /// Errands are run, messages come in.
    Messages,
    /// The application has a message of that number, and decides.
    Received(u32),
    /// QUIT is to be said.
    Leave,
    /// It was.
    Quit,
    /// All is done.
    Finished,
    /// And told.
    Told,
}

/// Something to say about a message.
#[derive(Debug)]
pub(super) enum Errand {
    /// RETR, or TOP with so many lines.
    Get { offer: Offer, lines: Option<u32> },
    /// DELE.
    Delete(u32),
}

impl Errand {
    pub(super) const fn offer(&self) -> Option<&Offer> {
        match self {
            Self::Get { offer, .. } => Some(offer),
            Self::Delete(_) => None,
        }
    }

    const fn command(&self) -> Command<'static> {
        match self {
            Self::Get { offer, lines: None } => Command::Retr(offer.number),
            Self::Get { offer, lines: Some(lines) } => Command::Top { number: offer.number, lines: *lines },
            Self::Delete(number) => Command::Dele(*number),
        }
    }
}

/// UIDL first: that it is refused is nothing unusual, and then LIST is the last word.
const LISTINGS: [Command<'static>; 2] = [Command::Uidl(None), Command::List(None)];

impl Fetch {
    /// Says what can be said without hearing more. `Some` where the application must hear of it.
    pub(super) fn say(&mut self, now: Duration, out: &mut BytesMut) -> Option<FetchEvent> {
        match &mut self.phase {
            Phase::Ask => {
                if self.session.send(&Command::Capa, now, out).is_ok() {
                    self.phase = Phase::Offers;
                }
            }
            Phase::User(password) => {
                let word = Password::parse(password.expose()).map_err(|_| SendError::NotNow);
                if word.and_then(|word| self.session.send(&Command::Pass(word), now, out)).is_ok() {
                    self.phase = Phase::Login;
                }
            }
            Phase::Listing { answered, .. } if *answered == LISTINGS.len() => {
                self.phase = Phase::Choosing;
                self.report.offered = self.offers.len();
                return Some(FetchEvent::Maildrop);
            }
            Phase::Listing { said, .. } => {
                while let Some(command) = LISTINGS.get(*said)
                    && self.session.send(command, now, out).is_ok()
                {
                    *said = said.saturating_add(1);
                }
            }
            Phase::Messages if self.todo.is_empty() && self.said.is_empty() => self.quit(now, out),
            Phase::Messages => self.run_errands(now, out),
            Phase::Leave => self.quit(now, out),
            Phase::Finished => {
                self.phase = Phase::Told;
                return Some(FetchEvent::Done(Box::new(core::mem::take(&mut self.report))));
            }
            Phase::Greeting
            | Phase::Offers
            | Phase::Stls
            | Phase::Utf8
            | Phase::Login
            | Phase::Choosing
            | Phase::Received(_)
            | Phase::Quit
            | Phase::Told => {}
        }
        None
    }

    /// Says as much about messages as the server takes without answering.
    pub(super) fn run_errands(&mut self, now: Duration, out: &mut BytesMut) {
        while let Some(errand) = self.todo.pop_front() {
            if self.session.send(&errand.command(), now, out).is_err() {
                self.todo.push_front(errand);
                return;
            }
            self.said.push_back(errand);
        }
    }

    /// Takes what the server said. `Some` where the application must hear of it.
    pub(super) fn hear(&mut self, event: ClientEvent, now: Duration, out: &mut BytesMut) -> Option<FetchEvent> {
        match event {
            ClientEvent::Greeting(reply) if reply.is_positive() => {
                self.timestamp = reply.timestamp();
                self.phase = Phase::Ask;
                None
            }
            ClientEvent::Greeting(reply) => self.give_up(Trouble::Greeting(reply)),
            ClientEvent::Reply { reply, .. } => self.replied(reply, now, out),
            ClientEvent::Challenge { challenge, .. } => self.challenged(challenge, now, out),
            ClientEvent::Size(ScanListing { number, size }) => {
                self.offer(number).size.get_or_insert(size);
                None
            }
            ClientEvent::UniqueId { number, uidl } => {
                self.offer(number).uidl.get_or_insert(uidl);
                None
            }
            ClientEvent::Chunk(chunk) => {
                self.octets = self.octets.saturating_add(chunk.len() as u64);
                Some(FetchEvent::Chunk(chunk))
            }
            ClientEvent::End { .. } => self.ended(now, out),
            // The session is over, and will say so.
            ClientEvent::Farewell(_) => None,
        }
    }

    fn replied(&mut self, reply: Reply, now: Duration, out: &mut BytesMut) -> Option<FetchEvent> {
        match (&mut self.phase, reply.is_positive()) {
            (Phase::Offers, false) => self.offered(now, out),
            (Phase::Stls, false) => self.give_up(Trouble::Tls),
            (Phase::Utf8, _) => self.log_in(now, out),
            (Phase::User(_), false) => self.give_up(Trouble::Login(reply)),
            (Phase::Login, positive) => self.login_reply(reply, positive),
            (Phase::Listing { answered, .. }, false) => {
                *answered = answered.saturating_add(1);
                if *answered == LISTINGS.len() {
                    self.report.trouble = Some(Trouble::List(reply));
                }
                None
            }
            (Phase::Messages, _) => self.errand_reply(reply),
            (Phase::Quit, positive) => {
                if !positive {
                    self.report.trouble.get_or_insert(Trouble::Update(reply.clone()));
                }
                self.report.goodbye = Some(reply);
                self.phase = Phase::Finished;
                None
            }
            // More is to come: the rest of the answer, TLS, or our PASS.
            (Phase::Offers | Phase::Stls | Phase::User(_) | Phase::Listing { .. }, true)
            // Here nothing is awaited.
            | (
                Phase::Greeting
                | Phase::Ask
                | Phase::Choosing
                | Phase::Received(_)
                | Phase::Leave
                | Phase::Finished
                | Phase::Told,
                _,
            ) => None,
        }
    }

    /// An answer of several lines is complete: a message, a list, or else CAPA's.
    fn ended(&mut self, now: Duration, out: &mut BytesMut) -> Option<FetchEvent> {
        if let Some(Errand::Get { offer, .. }) = self.said.pop_front() {
            self.phase = Phase::Received(offer.number);
            return Some(FetchEvent::Received { offer, octets: self.octets });
        }
        if let Phase::Listing { answered, .. } = &mut self.phase {
            *answered = answered.saturating_add(1);
            return None;
        }
        self.offered(now, out)
    }

    /// The server's offers are known.
    fn offered(&mut self, now: Duration, out: &mut BytesMut) -> Option<FetchEvent> {
        self.phase = Phase::Offers;
        match self.policy.tls {
            _ if self.session.is_under_tls() => self.choose_mode(now, out),
            TlsPolicy::Opportunistic | TlsPolicy::Required if self.session.capabilities().stls => {
                if self.session.send(&Command::Stls, now, out).is_ok() {
                    self.phase = Phase::Stls;
                }
                None
            }
            TlsPolicy::Never | TlsPolicy::Opportunistic => self.choose_mode(now, out),
            TlsPolicy::Required => self.give_up(Trouble::Tls),
        }
    }

    fn choose_mode(&mut self, now: Duration, out: &mut BytesMut) -> Option<FetchEvent> {
        match self.policy.utf8 {
            Utf8Policy::WhereOffered if self.session.send(&Command::Utf8, now, out).is_ok() => {
                self.phase = Phase::Utf8;
                None
            }
            Utf8Policy::Never | Utf8Policy::WhereOffered => self.log_in(now, out),
        }
    }

    fn log_in(&mut self, now: Duration, out: &mut BytesMut) -> Option<FetchEvent> {
        let Some(opening) = self.login.begin(self.session.capabilities(), self.timestamp.as_ref()) else {
            return self.give_up(Trouble::Lacking);
        };
        match self.session.send(&opening.command, now, out) {
            Ok(_) => {
                (self.phase, self.unsaid) = (opening.next, opening.unsaid);
                None
            }
            Err(SendError::NotOffered) => self.give_up(Trouble::Lacking),
            // We leave, and the session will say so.
            Err(SendError::NotNow | SendError::Wait) => None,
        }
    }

    /// USER and PASS may have been said together: all their replies must be positive.
    fn login_reply(&mut self, reply: Reply, positive: bool) -> Option<FetchEvent> {
        if !positive {
            self.report.trouble.get_or_insert(Trouble::Login(reply));
        }
        if !self.session.owes_reply() {
            self.phase = match self.report.trouble {
                None => Phase::Listing { said: 0, answered: 0 },
                Some(_) => Phase::Leave,
            };
        }
        None
    }

    fn challenged(&mut self, challenge: Secret, now: Duration, out: &mut BytesMut) -> Option<FetchEvent> {
        if let Some(initial) = self.unsaid.take() {
            // The challenge is open, so that nothing stands against it.
            let _ = self.session.respond(initial.expose(), now, out);
            return None;
        }
        match self.login {
            Login::Sasl { .. } => Some(FetchEvent::Challenge(challenge)),
            // PLAIN has no more to say.
            Login::Password { .. } | Login::Apop { .. } => {
                let _ = self.session.cancel(now, out);
                None
            }
        }
    }

    /// The place in the list for what is told of a message.
    fn offer(&mut self, number: u32) -> &mut Offer {
        if self.offers.len() >= self.config.limits.messages && !self.offers.contains_key(&number) {
            self.session.fail(Violation::TooManyMessages);
        }
        self.offers.entry(number).or_insert(Offer { number, size: None, uidl: None })
    }

    fn errand_reply(&mut self, reply: Reply) -> Option<FetchEvent> {
        match (self.said.pop_front()?, reply.is_positive()) {
            (Errand::Get { offer, lines }, true) => {
                self.octets = 0;
                // It stays the first until it has come whole.
                self.said.push_front(Errand::Get { offer: offer.clone(), lines });
                Some(FetchEvent::Message(offer))
            }
            (Errand::Get { offer, .. }, false) => {
                self.report.refused = self.report.refused.saturating_add(1);
                Some(FetchEvent::Refused { offer, reply })
            }
            (Errand::Delete(_), true) => {
                self.report.deleted = self.report.deleted.saturating_add(1);
                None
            }
            (Errand::Delete(number), false) => {
                self.report.not_deleted = self.report.not_deleted.saturating_add(1);
                Some(FetchEvent::NotDeleted { number, reply })
            }
        }
    }

    /// Nothing can be had here.
    fn give_up(&mut self, trouble: Trouble) -> Option<FetchEvent> {
        self.report.trouble = Some(trouble);
        self.phase = Phase::Leave;
        None
    }

    fn quit(&mut self, now: Duration, out: &mut BytesMut) {
        match self.leaving {
            Some(why) => self.session.shut_down(why, now, out),
            None if self.session.send(&Command::Quit, now, out).is_ok() => self.phase = Phase::Quit,
            // The session is over, and will say so.
            None => {}
        }
    }
}
