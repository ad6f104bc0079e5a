//! What the server's replies mean.

use core::time::Duration;

use super::{ClientEvent, ClientSession, Kind, Last, Pending, Phase};
use crate::body::Stuff;
use crate::{Capabilities, Class, Close, Protocol, Reply, ReplyCode, ShutDown, Violation};

impl ClientSession {
    /// Takes a reply.
    ///
    /// # Errors
    /// Where it cannot be one to what was sent; the session is over then.
    pub(super) fn replied(&mut self, reply: Reply, now: Duration) -> Result<ClientEvent, Violation> {
        let leaves = reply.code() == ReplyCode::NOT_AVAILABLE;
        let event = match (&self.phase, self.pending.front().copied()) {
            (Phase::Greeting, _) => self.greeted(reply)?,
            (_, Some(pending)) => {
                self.settle(pending, &reply, now)?;
                ClientEvent::Reply { to: pending.ticket, reply }
            }
            // RFC 5321 §3.8: it may come at any time.
            (_, None) if leaves => ClientEvent::Farewell(reply),
            (_, None) => return Err(Violation::UnaskedReply),
        };
        if leaves {
            self.phase = Phase::Closed(Close::ShutDown(ShutDown::Stopping));
        }
        Ok(event)
    }

    fn greeted(&mut self, reply: Reply) -> Result<ClientEvent, Violation> {
        match reply.class() {
            Class::Success | Class::Transient | Class::Permanent => {
                self.phase = Phase::Ready;
                Ok(ClientEvent::Greeting(reply))
            }
            Class::Intermediate => Err(Violation::BadReply),
        }
    }

    /// One reply less is owed: what it changes.
    fn settle(&mut self, pending: Pending, reply: &Reply, now: Duration) -> Result<(), Violation> {
        let kind = pending.kind;
        match (kind, reply.class()) {
            (Kind::Auth, Class::Intermediate) if pending.replies >= self.config.limits.challenges => {
                return Err(Violation::BadReply);
            }
            (Kind::Data | Kind::Auth, Class::Intermediate) => {}
            // Whoever says that a message is done before it was sent means something else than SMTP.
            (Kind::Data, Class::Success) | (_, Class::Intermediate) => return Err(Violation::BadReply),
            // RFC 3207 §4 knows 220 only, and behind it stands another protocol: no guessing. So does XCLIENT, and behind it
            // stands another client.
            (Kind::StartTls | Kind::Xclient, Class::Success) if reply.code() != ReplyCode::READY => {
                return Err(Violation::BadReply);
            }
            (_, Class::Success | Class::Transient | Class::Permanent) => {}
        }
        self.pending.pop_front();
        let replies = pending.replies.saturating_add(1);
        if replies < self.replies_to(kind) {
            self.pending.push_front(Pending { replies, ..pending });
        } else if kind == Kind::Verdict || kind == Kind::Chunk && reply.class() != Class::Success {
            // The message is done with, one way or the other; chunks that follow a refused one are each refused once.
            self.recipients = 0;
        }
        self.restart_deadline(now);
        match reply.class() {
            Class::Success => self.succeeded(kind, reply, now),
            Class::Intermediate => self.asked(Pending { replies, ..pending }),
            Class::Transient | Class::Permanent => {}
        }
        if kind == Kind::Quit {
            self.phase = Phase::Closed(Close::Quit);
        }
        Ok(())
    }

    /// How many replies there are in all, if there is one. RFC 2033 §4.2: each accepted recipient has a verdict.
    fn replies_to(&self, kind: Kind) -> u32 {
        match (kind, self.config.protocol) {
            (Kind::Verdict, Protocol::Lmtp) => self.recipients,
            (_, Protocol::Smtp | Protocol::Lmtp) => 1,
        }
    }

    fn succeeded(&mut self, kind: Kind, reply: &Reply, now: Duration) {
        match kind {
            Kind::Ehlo => {
                self.forget();
                self.capabilities = Capabilities::parse(reply);
            }
            Kind::Helo | Kind::Xclient => self.forget(),
            Kind::StartTls => {
                self.phase = Phase::Switching;
                self.deadline = now.saturating_add(self.config.timeouts.tls);
            }
            Kind::Mail | Kind::Rset => self.recipients = 0,
            Kind::Rcpt => self.recipients = self.recipients.saturating_add(1),
            Kind::Auth | Kind::Data | Kind::Chunk | Kind::Verdict | Kind::Quit | Kind::Other => {}
        }
    }

    /// The server asks for more: a SASL response, or the message.
    fn asked(&mut self, pending: Pending) {
        self.phase = match (pending.kind, self.last) {
            // We leave, and begin nothing that would have to be ended: what was not ended was not sent.
            (_, Last::ShutDown(why) | Last::Both(why)) => Phase::Closed(Close::ShutDown(why)),
            (Kind::Auth, Last::No | Last::Eof) => Phase::Sasl(pending),
            (_, Last::No | Last::Eof) => Phase::Body(Stuff::new()),
        };
    }
}
