//! What the server's octets mean.

use core::time::Duration;

use bytes::BytesMut;
use memchr::memchr2;

use super::answer::{Answer, Content, Lines, Piece};
use super::{ClientEvent, ClientSession, Heard, Kind, Last, Pending, Phase, Stage};
use crate::body::Unstuff;
use crate::grammar::parse_challenge;
use crate::{Capabilities, Close, Code, Reply, ShutDown, Violation, Xclient};

impl ClientSession {
    /// Takes what stands in `input` as far as it means one thing.
    ///
    /// # Errors
    /// Where it cannot mean anything; the session is over then.
    pub(super) fn hear(&mut self, now: Duration, input: &mut BytesMut) -> Result<Heard, Violation> {
        let limits = &self.config.limits;
        if let Phase::Answer(answer) = &mut self.phase {
            let before = input.len();
            let piece = answer.take(&mut self.replies, &mut self.capabilities, &self.config, input)?;
            answer.came = answer.came.saturating_add(before.saturating_sub(input.len()));
            if answer.came >= limits.progress {
                answer.came = 0;
                self.deadline = now.saturating_add(self.config.timeouts.body);
            }
            return Ok(match piece {
                Piece::Event(event) => Heard::Event(event),
                Piece::Untold => Heard::Untold,
                Piece::Nothing => Heard::Nothing,
                Piece::End => {
                    let to = answer.to;
                    self.settle(Phase::Ready, now);
                    Heard::Event(ClientEvent::End { to })
                }
            });
        }
        let limit = match self.pending.front() {
            Some(Pending { kind: Kind::Auth, .. }) => limits.line.max(limits.challenge),
            Some(_) | None => limits.line,
        };
        let Some(line) = self.replies.next(input, limit, self.config.line_ends)? else { return Ok(Heard::Nothing) };
        match (&self.phase, self.pending.front().copied()) {
            (Phase::Greeting, _) => self.greeted(&line).map(Heard::Event),
            (_, Some(pending)) => self.replied(pending, &line, now),
            (_, None) => self.unasked(&line).map(Heard::Event),
        }
    }

    fn greeted(&mut self, line: &[u8]) -> Result<ClientEvent, Violation> {
        let reply = parse(line)?;
        if reply.code() == Some(Code::Xclient) {
            self.xclient = Xclient::Trusted;
        }
        self.phase = Phase::Ready;
        Ok(ClientEvent::Greeting(reply))
    }

    /// Some servers say goodbye before they close, by a refusal of nothing (RFC 1939 has no word for it). Anything else is meant for
    /// something else.
    fn unasked(&mut self, line: &[u8]) -> Result<ClientEvent, Violation> {
        match parse(line) {
            Ok(reply) if !reply.is_positive() => {
                self.phase = Phase::Closed(Close::ShutDown(ShutDown::Stopping));
                Ok(ClientEvent::Farewell(reply))
            }
            Ok(_) | Err(_) => Err(Violation::UnaskedReply),
        }
    }

    fn replied(&mut self, pending: Pending, line: &[u8], now: Duration) -> Result<Heard, Violation> {
        let Pending { ticket: to, kind } = pending;
        if let (Kind::Auth, Some(challenge)) = (kind, parse_challenge(line)) {
            let challenge = challenge.map_err(|_| Violation::BadReply)?;
            return Ok(match self.last {
                // We leave, and do not log in for that.
                Last::ShutDown(why) | Last::Both(why) => {
                    self.phase = Phase::Closed(Close::ShutDown(why));
                    Heard::Untold
                }
                Last::No | Last::Eof => {
                    self.phase = Phase::Sasl;
                    Heard::Event(ClientEvent::Challenge { to, challenge })
                }
            });
        }
        let reply = parse(line)?;
        if kind == Kind::Capa {
            self.capabilities = Capabilities::default();
        }
        let content = match (kind, reply.is_positive()) {
            (Kind::Capa, true) => Content::Lines(Lines::Capabilities),
            (Kind::Sizes, true) => Content::Lines(Lines::Sizes),
            (Kind::UniqueIds, true) => Content::Lines(Lines::UniqueIds),
            (Kind::Text, true) => Content::Text(Unstuff::new()),
            (Kind::Stls, true) => return Ok(self.one_line(Phase::Switching, pending, reply, now)),
            (Kind::Quit, _) => return Ok(self.one_line(Phase::Closed(Close::Quit), pending, reply, now)),
            (Kind::Login | Kind::Auth, true) => {
                self.stage = Stage::Transaction;
                return Ok(self.one_line(Phase::Ready, pending, reply, now));
            }
            (Kind::Utf8 | Kind::Other, true) | (_, false) => {
                return Ok(self.one_line(Phase::Ready, pending, reply, now));
            }
        };
        self.phase = Phase::Answer(Answer::new(to, content));
        self.restart_deadline(now);
        Ok(Heard::Event(ClientEvent::Reply { to, reply }))
    }

    /// The reply is the whole answer.
    fn one_line(&mut self, next: Phase, pending: Pending, reply: Reply, now: Duration) -> Heard {
        self.settle(next, now);
        Heard::Event(ClientEvent::Reply { to: pending.ticket, reply })
    }

    /// An answer is complete, and what comes next begins.
    fn settle(&mut self, next: Phase, now: Duration) {
        self.pending.pop_front();
        self.phase = next;
        self.restart_deadline(now);
    }
}

/// Parses a reply's line. A lone CR or LF in it may be what someone else takes for its end.
fn parse(line: &[u8]) -> Result<Reply, Violation> {
    match memchr2(b'\r', b'\n', line) {
        Some(_) => Err(Violation::BadReply),
        None => Reply::parse(line).map_err(|_| Violation::BadReply),
    }
}
