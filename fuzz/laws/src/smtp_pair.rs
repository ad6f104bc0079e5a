//! Both halves of SMTP and LMTP against each other, under a law of their own: whatever becomes of the connection, both come to
//! an end, and what the client reports is what the server has.

mod ledger;
mod receiver;
mod sender;

use core::time::Duration;
use std::sync::Arc;

use services::engine::{Engine, Link, TlsInfo};
use smtp_proto::{Delivery, ServerSession};

use self::ledger::{Ledger, Letter};
use self::receiver::Receiver;
use self::sender::Sender;
use crate::half::{Half, Line, carry, reason, shake_hands};
use crate::{Broken, Draw, ensure};

/// What lies between the two. All but the first have a fault, by which the law shows that it can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Octets, in pieces of any size.
    Sound,
    /// An octet of a message is another one.
    Garbles,
    /// One of two dots at a line's start is lost.
    LosesDots,
    /// A recipient is named twice.
    Repeats,
    /// One recipient is taken for another.
    Misleads,
    /// A refused message is said to be accepted.
    Lies,
    /// An accepted message is said to be refused.
    Denies,
    /// What the server says behind its greeting never comes.
    Swallows,
}

/// What has come of all messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Recipients that the client was told are served.
    pub accepted: usize,
    /// How often the server's application has taken a message for a recipient.
    pub taken: usize,
}

/// Lets a client send some messages to a server, as drawn: how both are configured, what is sent to whom, what either application
/// wants, how the octets travel, and what else happens on the way. Behind the end of `data` everybody is polite and patient.
///
/// # Errors
/// If one of them waits for ever or says what the other does not understand; if a message arrives otherwise than it was sent, in
/// part, twice, or for somebody else; or if the report of a recipient does not fit what the server has.
pub fn deliver(data: &[u8], wire: Wire) -> Result<Outcome, Broken> {
    let mut draw = Draw::new(data);
    let mut pair = Pair::new(&mut draw, wire);
    while !draw.rest().is_empty() && !pair.is_over() {
        pair.happen(&mut draw);
        pair.run(&mut draw)?;
    }
    // Each round carries all there is, so that a round without any is the last one.
    while !pair.is_over() {
        let carried = pair.carry_all();
        let ran = pair.run(&mut draw)?;
        ensure!(carried || ran || pair.is_over(), "waits for ever, as does its peer");
    }
    pair.ledger.balance(&pair.letters, &pair.sender)
}

/// The two, and the time that passes for both.
struct Pair {
    now: Duration,
    wire: Wire,
    line: Line,
    letters: Vec<Letter>,
    client: Half<Delivery>,
    sender: Sender,
    server: Half<ServerSession>,
    receiver: Receiver,
    ledger: Ledger,
}

impl Pair {
    fn new(draw: &mut Draw<'_>, wire: Wire) -> Self {
        let now = Duration::from_secs(1000);
        let host = receiver::Host::new(draw.octet(), draw.octet());
        let visit = sender::Visit::new(draw.octet(), draw.octet(), host.protocol());
        let letters: Vec<Letter> = (0..=draw.octet() % 3).map(|number| Letter::draw(number, &visit, draw)).collect();
        let link = Link { tls: visit.begins_under_tls().then(TlsInfo::default), ..Link::default() };
        let sender = Sender::new(&visit);
        let envelope = sender.envelope(&letters);
        let delivery = Delivery::new(Arc::new(visit.config), envelope, visit.policy, link.clone().into(), now);
        Self {
            now,
            wire,
            line: Line::Up,
            letters,
            client: Half::new(delivery),
            sender,
            server: Half::new(ServerSession::new(Arc::new(host.config.clone()), link.into(), now)),
            receiver: Receiver::new(host),
            ledger: Ledger::default(),
        }
    }

    const fn is_over(&self) -> bool {
        self.client.is_closed() && self.server.is_closed()
    }

    /// Something happens between them, or to one of them.
    fn happen(&mut self, draw: &mut Draw<'_>) {
        match draw.octet() {
            0 => {
                self.carry_all();
            }
            octet @ 1..=110 => {
                self.carry_up(octet.into());
            }
            octet @ 111..=220 => {
                self.carry_down((octet - 110).into());
            }
            221..=225 => {
                self.now += Duration::from_secs(draw.octet().into()) * 4;
                self.client.engine.handle_timeout(self.now, &mut self.client.out);
                self.server.engine.handle_timeout(self.now, &mut self.server.out);
            }
            226..=231 => Engine::shut_down(&mut self.client.engine, reason(draw), self.now, &mut self.client.out),
            232..=237 => Engine::shut_down(&mut self.server.engine, reason(draw), self.now, &mut self.server.out),
            238..=240 => self.client.engine.abort(),
            241..=243 => self.server.engine.abort(),
            244..=246 => {
                self.line = Line::Cut;
                self.client.hear_no_more();
                self.server.hear_no_more();
            }
            247.. => {}
        }
    }

    /// Carries all there is, both ways; says whether that was anything.
    fn carry_all(&mut self) -> bool {
        let up = self.carry_up(usize::MAX);
        let down = self.carry_down(usize::MAX);
        up || down
    }

    fn carry_up(&mut self, at_most: usize) -> bool {
        let out = &mut self.client.out;
        match self.wire {
            Wire::Garbles => out.iter_mut().filter(|octet| **octet == b'~').for_each(|octet| *octet = b'-'),
            Wire::LosesDots => replace(out, b"\r\n..", b"\r\n."),
            Wire::Repeats => {
                replace(out, b"RCPT TO:<r0.m0@a.test>\r\n", b"RCPT TO:<r0.m0@a.test>\r\nRCPT TO:<r0.m0@a.test>\r\n")
            }
            Wire::Misleads => replace(out, b"RCPT TO:<r1.", b"RCPT TO:<r0."),
            Wire::Sound | Wire::Lies | Wire::Denies | Wire::Swallows => {}
        }
        carry(&mut self.client, &mut self.server, self.line, at_most)
    }

    fn carry_down(&mut self, at_most: usize) -> bool {
        let out = &mut self.server.out;
        match self.wire {
            Wire::Lies => replace(out, receiver::REFUSED, b"250 2.0.0 taken"),
            Wire::Denies => replace(out, b"250 2.0.0 message accepted", receiver::REFUSED),
            Wire::Swallows if !out.starts_with(b"220") => out.clear(),
            Wire::Sound | Wire::Garbles | Wire::LosesDots | Wire::Repeats | Wire::Misleads | Wire::Swallows => {}
        }
        carry(&mut self.server, &mut self.client, self.line, at_most)
    }

    /// Lets both go on until they want to hear more; says whether either did.
    fn run(&mut self, draw: &mut Draw<'_>) -> Result<bool, Broken> {
        let Self { sender, receiver, letters, ledger, now, .. } = self;
        let client = self
            .client
            .run(*now, draw, |engine, event, draw, out| sender.hear(engine, event, letters, draw, *now, out))?;
        let server = self
            .server
            .run(*now, draw, |engine, event, draw, out| receiver.hear(engine, event, ledger, draw, *now, out))?;
        Ok(shake_hands(&mut self.client, &mut self.server, draw, self.now) || client || server)
    }
}

fn replace(out: &mut bytes::BytesMut, what: &[u8], by: &[u8]) {
    let Some(at) = out.windows(what.len()).position(|octets| octets == what) else { return };
    let behind = out.split_off(at);
    out.extend_from_slice(by);
    out.extend_from_slice(behind.get(what.len()..).unwrap_or_default());
}
