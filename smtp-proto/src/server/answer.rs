//! The application's answers.

use alloc::string::String;
use core::fmt::Write as _;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use zeroize::Zeroizing;

use super::{Asked, Last, Login, Peer, Phase, ServerSession, Skip, Transaction, Transport};
use crate::grammar::Offers;
use crate::{Class, Close, HelloVerb, Misuse, Reply, ReplyCode, ShutDown, SizeLimit, StartTls, Violation};

impl ServerSession {
    /// Gives the ordinary positive answer: greets, tells what is offered, takes the sender, the recipient, the message. In
    /// LMTP it takes the message for all recipients that are still to be answered.
    ///
    /// # Errors
    /// [`Misuse::WrongReply`] where the positive answer has a verb of its own, [`Misuse::NotNow`] where no question is open.
    pub fn accept(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        match self.asked()? {
            Asked::Connected => self.greet(now, out),
            Asked::Hello(verb) => self.accept_hello(verb, now, out),
            Asked::Sasl => return Err(Misuse::WrongReply),
            Asked::Mail(_) => return self.reply(&SENDER_OK, now, out),
            Asked::Rcpt => return self.reply(&RECIPIENT_OK, now, out),
            Asked::Data => self.ask_for_body(now, out),
            Asked::Chunk(chunk) => self.take_chunk(chunk, now, out),
            Asked::Verdict(_) => return self.reply(&MESSAGE_OK, now, out),
            Asked::Vrfy => return self.reply(&USER_OK, now, out),
            // Who they are, only the application can say.
            Asked::Expn => return Err(Misuse::WrongReply),
            Asked::Etrn => return self.reply(&QUEUING, now, out),
            Asked::Xclient(login) => self.accept_xclient(login, now, out),
            Asked::Xforward => return self.reply(&NOTED, now, out),
        }
        Ok(())
    }

    /// Answers with a reply of the application's own. In LMTP it says the same for all recipients that are still to be
    /// answered. 421 ends the session, whatever was asked.
    ///
    /// # Errors
    /// [`Misuse::WrongReply`] where a reply of that class is no answer, or must come from another verb; [`Misuse::NotNow`]
    /// where no question is open.
    pub fn reply(&mut self, reply: &Reply, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let asked = self.asked()?;
        check(asked, reply.class())?;
        match asked {
            Asked::Verdict(replies) => (0..replies).for_each(|_| reply.write(out)),
            Asked::Chunk(chunk) => (0..self.chunk_replies(chunk)).for_each(|_| reply.write(out)),
            Asked::Connected
            | Asked::Hello(_)
            | Asked::Sasl
            | Asked::Mail(_)
            | Asked::Rcpt
            | Asked::Data
            | Asked::Vrfy
            | Asked::Expn
            | Asked::Etrn
            | Asked::Xclient(_)
            | Asked::Xforward => reply.write(out),
        }
        self.answered(asked, reply, now, out);
        Ok(())
    }

    /// Answers for the next recipient of an LMTP message (RFC 2033 §4.2), in the order of their RCPT commands, those named
    /// twice included. In SMTP it is [`reply`](Self::reply).
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where the end of a message is not what was asked; [`Misuse::WrongReply`] where the reply is not
    /// 2yz, 4yz or 5yz.
    pub fn reply_next(&mut self, reply: &Reply, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let asked @ Asked::Verdict(replies) = self.asked()? else { return Err(Misuse::NotNow) };
        check(asked, reply.class())?;
        reply.write(out);
        match replies.checked_sub(1) {
            None | Some(0) => self.answered(asked, reply, now, out),
            Some(left) => {
                self.count_message(reply);
                self.phase = Phase::Asked(Asked::Verdict(left));
            }
        }
        Ok(())
    }

    /// Answers any question in the negative; does nothing where none is open.
    pub fn decline(&mut self, now: Duration, out: &mut BytesMut) {
        let refusal = match self.asked() {
            Err(_) => return,
            Ok(Asked::Connected) => Reply::fixed(ReplyCode::FAILED, 3, 2, "no mail service here"),
            Ok(Asked::Sasl) => Reply::fixed(ReplyCode::ARGUMENT_NOT_IMPLEMENTED, 5, 4, "mechanism not implemented"),
            Ok(Asked::Hello(_) | Asked::Vrfy | Asked::Expn | Asked::Etrn | Asked::Xforward) => {
                Reply::fixed(ReplyCode::NOT_IMPLEMENTED, 5, 1, "not implemented")
            }
            Ok(Asked::Xclient(_)) => Reply::fixed(ReplyCode::FAILED, 3, 2, "no mail service for this client"),
            Ok(Asked::Mail(_) | Asked::Rcpt | Asked::Data | Asked::Chunk(_) | Asked::Verdict(_)) => {
                Reply::fixed(ReplyCode::FAILED, 3, 0, "not accepted")
            }
        };
        let answered = self.reply(&refusal, now, out);
        debug_assert_eq!(answered, Ok(()), "a refusal answers every question");
    }

    /// Goes on with a SASL exchange (RFC 4954 §4). Additional data of a success is a challenge too; the client answers it by
    /// an empty response.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no exchange waits for it.
    pub fn challenge(&mut self, challenge: &[u8], now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Asked::Sasl = self.asked()? else { return Err(Misuse::NotNow) };
        if self.ends_here(out) {
            return Ok(());
        }
        // Writing to memory does not fail.
        let _ = write!(out, "334 {}\r\n", *Zeroizing::new(STANDARD.encode(challenge)));
        self.phase = Phase::SaslLine;
        self.deadline = now.saturating_add(self.config.timeouts.sasl);
        Ok(())
    }

    /// Lets the user in. Who it is, the application knows.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no exchange waits for it.
    pub fn authenticated(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Asked::Sasl = self.asked()? else { return Err(Misuse::NotNow) };
        AUTHENTICATED.write(out);
        self.login = Login::Done;
        self.go_on(now, out);
        Ok(())
    }

    /// Tells that no more of the message need be handed on; [`Event::End`](crate::Event::End) comes all the same.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no message is coming in.
    pub fn discard_body(&mut self) -> Result<(), Misuse> {
        let Phase::Body(body) = &mut self.phase else { return Err(Misuse::NotNow) };
        body.discard();
        Ok(())
    }

    const fn asked(&self) -> Result<Asked, Misuse> {
        match &self.phase {
            Phase::Asked(asked) => Ok(*asked),
            Phase::Opening
            | Phase::Greeted
            | Phase::Command
            | Phase::SaslLine
            | Phase::Body(_)
            | Phase::Skip(_)
            | Phase::Switching
            | Phase::Closed(_) => Err(Misuse::NotNow),
        }
    }

    /// The reply is out: what it changes.
    fn answered(&mut self, asked: Asked, reply: &Reply, now: Duration, out: &mut BytesMut) {
        let success = reply.class() == Class::Success;
        match asked {
            Asked::Connected | Asked::Xclient(_) => self.peer = Peer::Unwelcome,
            Asked::Mail(envelope) if success => {
                self.transaction = Some(Transaction { envelope, recipients: 0, chunks: None });
            }
            Asked::Mail(_) => self.expect_orphans(),
            Asked::Rcpt if success => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients = transaction.recipients.saturating_add(1);
                }
            }
            // The application's own word: it need not be told.
            Asked::Data | Asked::Chunk(_) => self.transaction = None,
            Asked::Verdict(_) => {
                self.transaction = None;
                self.count_message(reply);
            }
            Asked::Sasl if reply.class() == Class::Permanent => {
                self.failed_logins = self.failed_logins.saturating_add(1);
            }
            Asked::Hello(_) | Asked::Sasl | Asked::Rcpt | Asked::Vrfy | Asked::Expn | Asked::Etrn | Asked::Xforward => {
            }
        }
        if reply.code() == ReplyCode::NOT_AVAILABLE {
            self.close(Close::ShutDown(ShutDown::Stopping));
        } else if self.failed_logins > self.config.limits.failed_logins {
            self.untold.violation = Some(self.close_for(Violation::TooManyLogins, out));
        } else if let Asked::Chunk(chunk) = asked {
            let skip = Skip { left: chunk.octets, then: None, replies: 0 };
            self.untold.violation = self.skip_chunk(skip, now, out);
        } else {
            self.go_on(now, out);
        }
    }

    fn count_message(&mut self, verdict: &Reply) {
        if verdict.class() == Class::Success {
            self.chatter = 0;
            self.skipped = 0;
        }
    }

    /// Turns to the peer again; or says goodbye, if that was put off.
    pub(super) fn go_on(&mut self, now: Duration, out: &mut BytesMut) {
        if !self.ends_here(out) {
            self.await_command(now);
        }
    }

    /// Ends the session if [`shut_down`](Self::shut_down) was called while the question was open.
    pub(super) fn ends_here(&mut self, out: &mut BytesMut) -> bool {
        let Last::ShutDown(why) = self.last else { return false };
        self.say_goodbye(&why.reply(), out);
        self.close(Close::ShutDown(why));
        true
    }

    /// RFC 5321 §4.2: the host's name stands first.
    fn write_greeting(&self, out: &mut BytesMut) {
        Reply::plain(ReplyCode::READY, self.config.greeting.clone()).behind(self.config.host.as_str()).write(out);
    }

    fn greet(&mut self, now: Duration, out: &mut BytesMut) {
        self.write_greeting(out);
        self.go_on(now, out);
        if matches!(self.phase, Phase::Command) {
            self.phase = Phase::Greeted;
        }
    }

    /// RFC 5321 §4.1.4: EHLO resets as RSET does.
    fn accept_hello(&mut self, verb: HelloVerb, now: Duration, out: &mut BytesMut) {
        self.reset();
        match verb {
            HelloVerb::Helo => {
                self.peer = Peer::Plain;
                Reply::plain(ReplyCode::OK, "").behind(self.config.host.as_str()).write(out);
            }
            HelloVerb::Ehlo | HelloVerb::Lhlo => {
                self.peer = Peer::Extended;
                self.write_capabilities(out);
            }
        }
        self.go_on(now, out);
    }

    fn write_capabilities(&self, out: &mut BytesMut) {
        let config = &self.config;
        let offers = Offers {
            start_tls: config.start_tls != StartTls::Off && self.transport == Transport::Plain,
            size: Some(SizeLimit::Octets(config.limits.message)),
            extensions: &self.extensions(),
        };
        offers.write(&config.host, self.mechanisms().iter().map(String::as_str), out);
    }

    /// The proxy's own session ends here, and its client's begins.
    fn accept_xclient(&mut self, login: Login, now: Duration, out: &mut BytesMut) {
        self.reset();
        self.peer = Peer::Unknown;
        self.login = login;
        self.write_greeting(out);
        self.go_on(now, out);
    }
}

/// Which classes answer which question.
fn check(asked: Asked, class: Class) -> Result<(), Misuse> {
    match (asked, class) {
        (_, Class::Transient | Class::Permanent)
        | (
            Asked::Mail(_)
            | Asked::Rcpt
            | Asked::Verdict(_)
            | Asked::Vrfy
            | Asked::Expn
            | Asked::Etrn
            | Asked::Xforward,
            Class::Success,
        ) => Ok(()),
        (_, Class::Intermediate)
        | (
            Asked::Connected | Asked::Hello(_) | Asked::Sasl | Asked::Data | Asked::Chunk(_) | Asked::Xclient(_),
            Class::Success,
        ) => Err(Misuse::WrongReply),
    }
}

const SENDER_OK: Reply = Reply::fixed(ReplyCode::OK, 1, 0, "sender ok");

const RECIPIENT_OK: Reply = Reply::fixed(ReplyCode::OK, 1, 5, "recipient ok");

const MESSAGE_OK: Reply = Reply::fixed(ReplyCode::OK, 0, 0, "message accepted");

const USER_OK: Reply = Reply::fixed(ReplyCode::OK, 1, 5, "user ok");

const QUEUING: Reply = Reply::fixed(ReplyCode::OK, 0, 0, "queuing for this node started");

const NOTED: Reply = Reply::fixed(ReplyCode::OK, 0, 0, "noted");

const AUTHENTICATED: Reply = Reply::fixed(ReplyCode::AUTHENTICATED, 7, 0, "authenticated");
