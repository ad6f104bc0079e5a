//! The application's answers to the open question.

use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};

use super::{Asked, Left, Listing, ServerSession, Stage, Turn, count_and_octets, line};
use crate::body::{Stuff, Top};
use crate::maildrop::Marked;
use crate::{Close, Code, Maildrop, Misuse, Reply, Timestamp, Violation, Xclient};

/// Whether a listing is complete.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again, when `out` has room.
    More,
    /// The question is answered.
    Done,
}

impl ServerSession {
    /// Gives the ordinary positive answer: the greeting, the beginning of a message, or the goodbye.
    ///
    /// # Errors
    /// [`Misuse::WrongReply`] where the positive answer has a verb of its own, [`Misuse::NotNow`] where no question is open.
    pub fn accept(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(asked) = &self.turn else { return Err(Misuse::NotNow) };
        match asked {
            Asked::Connected => {
                self.write_greeting(self.config.greeting.clone(), out);
                self.answered(now, out);
            }
            Asked::Retrieve { size, octets } => {
                let size = *size;
                Reply::ok("").with_text(alloc::format!("{octets} octets")).write(out);
                self.turn = Turn::Asked(Asked::Sending { left: Left::Octets(size), stuff: Stuff::new() });
            }
            Asked::Top { lines } => {
                let top = Top::new(*lines);
                Reply::ok("top of message follows").write(out);
                self.turn = Turn::Asked(Asked::Sending { left: Left::Top(top), stuff: Stuff::new() });
            }
            Asked::Update => {
                Reply::ok("goodbye").write(out);
                self.turn = Turn::Closed(Close::Quit);
            }
            Asked::Login | Asked::Sasl | Asked::List { .. } => return Err(Misuse::WrongReply),
            Asked::Sending { .. } | Asked::Listing { .. } => return Err(Misuse::NotNow),
        }
        Ok(())
    }

    /// Greets as [`accept`](Self::accept) does, and offers APOP (RFC 1939 §7). The timestamp must be another one for each
    /// connection, and not to be guessed: who knows one ahead can make a client answer it.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where [`Event::Connected`](crate::Event::Connected) is not what is asked.
    pub fn greet(&mut self, timestamp: Timestamp, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let (Turn::Asked(Asked::Connected), Stage::Authorization(claims)) = (&self.turn, &mut self.stage) else {
            return Err(Misuse::NotNow);
        };
        let text = alloc::format!("{} {}", self.config.greeting, timestamp.as_str());
        claims.timestamp = Some(timestamp);
        self.write_greeting(text, out);
        self.answered(now, out);
        Ok(())
    }

    /// Answers with a reply of the application's own: a refusal, or another text for a greeting or a goodbye.
    ///
    /// # Errors
    /// [`Misuse::WrongReply`] where a positive reply must come from another verb, [`Misuse::NotNow`] where nothing is asked
    /// or the reply has begun.
    pub fn reply(&mut self, reply: &Reply, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(asked) = &self.turn else { return Err(Misuse::NotNow) };
        match (asked, reply.is_positive()) {
            (Asked::Sending { .. } | Asked::Listing { .. }, _) => return Err(Misuse::NotNow),
            (Asked::Login | Asked::Sasl | Asked::List { .. } | Asked::Retrieve { .. } | Asked::Top { .. }, true) => {
                return Err(Misuse::WrongReply);
            }
            (Asked::Connected, false) => {
                reply.write(out);
                self.turn = Turn::Closed(Close::Quit);
            }
            (Asked::Update, _) => {
                reply.write(out);
                self.turn = Turn::Closed(Close::Quit);
            }
            (Asked::Login | Asked::Sasl, false) => {
                reply.write(out);
                self.refused(reply.code());
                self.answered(now, out);
            }
            (Asked::Connected, true) | (Asked::List { .. } | Asked::Retrieve { .. } | Asked::Top { .. }, false) => {
                reply.write(out);
                self.answered(now, out);
            }
        }
        Ok(())
    }

    /// Answers any question in the negative. A reply that has begun cannot be taken back: then the session ends.
    pub fn decline(&mut self, now: Duration, out: &mut BytesMut) {
        let refusal = Reply::err("not available").with_code(Code::SysTemp);
        if self.reply(&refusal, now, out) == Err(Misuse::NotNow) && matches!(self.turn, Turn::Asked(_)) {
            self.abort();
        }
    }

    /// Goes on with a SASL exchange (RFC 5034 §4).
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no exchange waits for it.
    pub fn challenge(&mut self, challenge: &[u8], now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(Asked::Sasl) = self.turn else { return Err(Misuse::NotNow) };
        out.put_slice(b"+ ");
        out.put_slice(STANDARD.encode(challenge).as_bytes());
        out.put_slice(b"\r\n");
        self.answered(now, out);
        if matches!(self.turn, Turn::Command) {
            self.turn = Turn::SaslLine;
        }
        Ok(())
    }

    /// Lets the user in: answers [`Event::Login`](crate::Event::Login), [`Event::Auth`](crate::Event::Auth) or
    /// [`Event::SaslResponse`](crate::Event::SaslResponse).
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where nobody asks to log in.
    pub fn open(&mut self, maildrop: Arc<Maildrop>, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(Asked::Login | Asked::Sasl) = self.turn else { return Err(Misuse::NotNow) };
        self.stage = Stage::Transaction(Marked::new(maildrop));
        Reply::ok("maildrop ready").write(out);
        self.answered(now, out);
        Ok(())
    }

    /// Writes the next part of the listing that was asked for: about [`Limits::listing`](crate::Limits::listing) octets.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no listing is asked for.
    pub fn list_more(&mut self, now: Duration, out: &mut BytesMut) -> Result<Progress, Misuse> {
        let Stage::Transaction(marked) = &self.stage else { return Err(Misuse::NotNow) };
        let (what, mut next) = match self.turn {
            Turn::Asked(Asked::List { what, next }) => {
                Reply::ok("").with_text(count_and_octets(marked)).write(out);
                (what, next)
            }
            Turn::Asked(Asked::Listing { what, next }) => (what, next),
            Turn::Asked(_) | Turn::Greet | Turn::Command | Turn::SaslLine | Turn::Switching | Turn::Closed(_) => {
                return Err(Misuse::NotNow);
            }
        };
        let full = out.len().saturating_add(self.config.limits.listing);
        while out.len() < full {
            let Some((number, message)) = marked.next_from(next) else {
                out.put_slice(b".\r\n");
                self.answered(now, out);
                return Ok(Progress::Done);
            };
            match what {
                Listing::Sizes => line(out, format_args!("{number} {}", message.octets())),
                Listing::UniqueIds => line(out, format_args!("{number} {}", message.uidl)),
            }
            next = number;
        }
        self.turn = Turn::Asked(Asked::Listing { what, next });
        Ok(Progress::More)
    }

    /// Sends a part of the message that was accepted. For TOP, what is not wanted any more is dropped.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no message is due, [`Misuse::BodyTooLong`] beyond the size that the maildrop says.
    pub fn body(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(Asked::Sending { left, stuff }) = &mut self.turn else { return Err(Misuse::NotNow) };
        let passed = match left {
            Left::Octets(octets) => {
                *octets = octets.checked_sub(chunk.len() as u64).ok_or(Misuse::BodyTooLong)?;
                chunk
            }
            Left::Top(top) => {
                let passed = top.pass(chunk);
                chunk.get(..passed).unwrap_or(chunk)
            }
        };
        stuff.write(passed, out);
        Ok(())
    }

    /// Whether the message under way needs more of its text.
    #[must_use]
    pub fn wants_body(&self) -> bool {
        match &self.turn {
            Turn::Asked(Asked::Sending { left: Left::Octets(octets), .. }) => *octets > 0,
            Turn::Asked(Asked::Sending { left: Left::Top(top), .. }) => top.wants_more(),
            Turn::Asked(_) | Turn::Greet | Turn::Command | Turn::SaslLine | Turn::Switching | Turn::Closed(_) => false,
        }
    }

    /// Ends the message, and with it the answer.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no message is due, [`Misuse::BodyTooShort`] below the size that the maildrop says: then
    /// [`abort`](Self::abort) is the only honest end.
    pub fn end_body(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(Asked::Sending { left, stuff }) = &mut self.turn else { return Err(Misuse::NotNow) };
        if matches!(left, Left::Octets(1..)) {
            return Err(Misuse::BodyTooShort);
        }
        core::mem::replace(stuff, Stuff::new()).end(out);
        self.answered(now, out);
        Ok(())
    }

    fn write_greeting(&self, text: String, out: &mut BytesMut) {
        let greeting = Reply::ok("").with_text(text);
        match self.config.xclient {
            Xclient::Trusted => greeting.with_code(Code::Xclient).write(out),
            Xclient::Off => greeting.write(out),
        }
    }

    /// Counts a wrong password; a fault of ours is not the peer's guess.
    fn refused(&mut self, code: Option<Code>) {
        match code {
            None | Some(Code::Auth) => self.failed_logins = self.failed_logins.saturating_add(1),
            Some(Code::InUse | Code::LoginDelay | Code::SysPerm | Code::SysTemp | Code::Utf8 | Code::Xclient) => {}
        }
        if self.failed_logins > self.config.limits.failed_logins {
            self.turn = Turn::Closed(Close::Violation(Violation::TooManyLogins));
        }
    }
}
