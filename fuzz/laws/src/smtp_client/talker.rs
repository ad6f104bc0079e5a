//! A session whose application sends commands at every turn, which the session takes or not.

use core::time::Duration;

use bytes::BytesMut;
use smtp_proto::{
    Capabilities, Chunk, ClientEvent, ClientSession, Command, Deadline, Misuse, ShutDown, Step, Switched,
};

use super::command::command;
use crate::Draw;
use crate::smtp::domain;

/// A session, and somebody who talks.
#[derive(Debug)]
pub struct Talker {
    pub(super) session: ClientSession,
    temper: u8,
    thoughts: usize,
}

/// What [`services::engine!`] asks of a protocol's crate.
mod proto {
    pub(super) use smtp_proto::{ClientEvent, Close, Deadline, Layer, ShutDown, Step, Switched, TlsInfo};

    pub(super) use super::Talker;
}

services::engine!(proto, Talker, ClientEvent, [Tls]);

/// What it sends as a message: dots, and lines that would be commands.
const TEXT: &[u8] = b"Subject: dots\r\n\r\n.\r\n..\r\nQUIT\r\n.one\r\ntext\r\n";

impl Talker {
    pub(super) const fn new(session: ClientSession, config: u8) -> Self {
        let temper = if config == 0 { 1 } else { config };
        Self { session, temper, thoughts: 0 }
    }

    /// Answers a challenge or sends the message, in some pieces; or fails.
    pub(super) fn answer(&mut self, draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) {
        match draw.octet() {
            0..=199 if self.session.respond(b"response", now, out).is_ok() => {}
            0..=199 => self.send_text(TEXT, draw, now, out),
            200.. => self.give_up(now, out),
        }
    }

    /// Ends what is open, without doing what was promised.
    pub(super) fn give_up(&mut self, now: Duration, out: &mut BytesMut) {
        if self.session.cancel(now, out).is_err() {
            self.session.abort();
        }
    }

    /// Sends a text in pieces, if it is asked for; where that cannot be, as when a verb has come between, it gives up.
    fn send_text(&mut self, text: &[u8], draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) {
        let piece = usize::from(draw.octet() % 64).max(1);
        let sent = text.chunks(piece).try_for_each(|piece| self.session.body(piece, out));
        match sent.and_then(|()| self.session.end_body(now, out).map(drop)) {
            Ok(()) | Err(Misuse::NotNow) => {}
            Err(Misuse::WrongReply | Misuse::BareLineEnd | Misuse::BodyTooLong | Misuse::BodyTooShort) => {
                self.session.abort();
            }
        }
    }

    /// Asks what is offered, in the one protocol or the other.
    fn present(&mut self, now: Duration, out: &mut BytesMut) {
        let name = domain("client.test");
        let _ = self.session.send(&Command::Ehlo(name.borrowed()), now, out);
        let _ = self.session.send(&Command::Lhlo(name.borrowed()), now, out);
    }

    /// Sends a few commands, as far as the session takes them; and if the server would wait for us then, one that it takes
    /// always.
    fn talk(&mut self, now: Duration, out: &mut BytesMut) {
        if *self.session.capabilities() == Capabilities::default() && self.thoughts % 4 != 3 {
            self.present(now, out);
        }
        for _ in 0..6 {
            self.thoughts = self.thoughts.wrapping_add(1);
            let temper = [self.temper];
            let mut draw = Draw::numbered(&temper, self.thoughts);
            let _ = draw.octet();
            let command = command(&mut draw);
            if self.session.send(&command, now, out).is_ok()
                && let Command::Bdat(Chunk { octets: octets @ 1.., .. }) = command
            {
                let length = usize::try_from(octets).unwrap_or(usize::MAX).min(TEXT.len());
                // Where that is less than was announced, it cannot be ended.
                self.send_text(TEXT.get(..length).unwrap_or_default(), &mut draw, now, out);
            }
        }
        if self.session.poll_timeout().is_none() {
            let _ = self.session.send(&Command::Rset, now, out);
        }
    }

    fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<ClientEvent> {
        // Whatever comes next must be a reply to something.
        if self.session.poll_timeout().is_none() {
            self.talk(now, out);
        }
        let step = self.session.next_event(now, input, out);
        if let Step::Event(event) = &step
            && !event.is_question()
        {
            self.talk(now, out);
        }
        step
    }

    fn max_input(&self) -> usize {
        self.session.max_input()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.session.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Duration, out: &mut BytesMut) {
        self.session.handle_timeout(now, out);
    }

    const fn handle_eof(&mut self) {
        self.session.handle_eof();
    }

    fn switched(&mut self, to: Switched, now: Duration) {
        self.session.switched(to, now);
    }

    fn shut_down(&mut self, why: ShutDown, now: Duration, out: &mut BytesMut) {
        self.session.shut_down(why, now, out);
    }

    fn abort(&mut self) {
        self.session.abort();
    }

    fn memory(&self) -> usize {
        self.session.memory()
    }
}
