//! The server's side of one session: whose turn it is, and what the peer's commands do.

mod answer;
mod command;

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write as _;
use core::time::Duration;

use bytes::{BufMut, BytesMut};

pub use self::answer::Progress;
use crate::body::{Stuff, Top};
use crate::frame::{Line, Lines};
use crate::maildrop::Marked;
use crate::{
    Close, Deadline, Event, Layer, Link, ServerConfig, ShutDown, Step, Switched, Timestamp, Violation, Waiting,
};

/// One connection's server side: a pure state machine.
///
/// Its methods come in four kinds. *Turning the crank*: [`next_event`](Self::next_event), until it asks for something else.
/// *Telling what happened outside*: [`handle_timeout`](Self::handle_timeout), [`handle_eof`](Self::handle_eof),
/// [`switched`](Self::switched), [`shut_down`](Self::shut_down), [`abort`](Self::abort). *Looking*:
/// [`poll_timeout`](Self::poll_timeout), [`max_input`](Self::max_input), [`memory`](Self::memory),
/// [`wants_body`](Self::wants_body). *Answering the open question*: all others.
///
/// A parameter `now` may move a deadline, `input` may be consumed, `out` may receive octets; nothing else has an effect.
#[derive(Debug)]
pub struct ServerSession {
    config: Arc<ServerConfig>,
    transport: Transport,
    lines: Lines,
    stage: Stage,
    mode: Mode,
    turn: Turn,
    deadline: Deadline,
    asked_at: Duration,
    last: Last,
    violations: u32,
    failed_logins: u32,
}

/// The states of RFC 1939 §3. UPDATE is a question that is open at the end of `Transaction`.
#[derive(Debug)]
enum Stage {
    Authorization(Claims),
    Transaction(Marked),
}

/// What was said before the login.
#[derive(Debug, Default)]
struct Claims {
    /// USER came, PASS may follow.
    user: Option<String>,
    /// The greeting offered APOP.
    timestamp: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Plain,
    Tls,
}

/// What strings may hold (RFC 6856 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Ascii,
    Utf8,
}

/// Who acts next.
#[derive(Debug)]
enum Turn {
    /// Nothing was said yet.
    Greet,
    /// The peer: a command.
    Command,
    /// The peer: a line of the SASL exchange.
    SaslLine,
    /// The application.
    Asked(Asked),
    /// The driver: it puts TLS in place.
    Switching,
    /// Nobody.
    Closed(Close),
}

/// The open question.
#[derive(Debug)]
enum Asked {
    Connected,
    Login,
    Sasl,
    List { what: Listing, next: usize },
    Listing { what: Listing, next: usize },
    Retrieve { size: u64, octets: u64 },
    Top { lines: u32 },
    Sending { left: Left, stuff: Stuff },
    Update,
}

#[derive(Clone, Copy, Debug)]
enum Listing {
    Sizes,
    UniqueIds,
}

/// How much of a message is still to come.
#[derive(Debug)]
enum Left {
    Octets(u64),
    Top(Top),
}

/// Whether anything follows the open question's answer.
#[derive(Clone, Copy, Debug)]
enum Last {
    No,
    Eof,
    ShutDown(ShutDown),
}

impl ServerSession {
    /// Begins a session. The first [`next_event`](Self::next_event) asks [`Event::Connected`].
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "all engines are made the same way")]
    pub fn new(config: Arc<ServerConfig>, link: Link, now: Duration) -> Self {
        let deadline = Deadline { at: now.saturating_add(config.timeouts.login), waiting_for: Waiting::Login };
        Self {
            config,
            transport: if link.tls.is_some() { Transport::Tls } else { Transport::Plain },
            lines: Lines::default(),
            stage: Stage::Authorization(Claims::default()),
            mode: Mode::Ascii,
            turn: Turn::Greet,
            deadline,
            asked_at: now,
            last: Last::No,
            violations: 0,
            failed_logins: 0,
        }
    }

    /// Takes what stands in `input` as far as the next event.
    pub fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<Event> {
        loop {
            let limit = match &self.turn {
                Turn::Closed(why) => return Step::Close(*why),
                Turn::Asked(_) => return Step::YourTurn,
                Turn::Greet => return Step::Event(self.ask(Asked::Connected, Event::Connected, now)),
                Turn::Switching if !input.is_empty() => return Step::Event(self.close_for(Violation::PipelinedTls)),
                Turn::Switching if matches!(self.last, Last::Eof) => {
                    self.turn = Turn::Closed(Close::Eof);
                    continue;
                }
                Turn::Switching => return Step::Switch(Layer::Tls),
                Turn::Command => self.config.limits.command_line,
                Turn::SaslLine => self.config.limits.sasl_line,
            };
            let event = match self.lines.next(input, limit) {
                Line::Partial if matches!(self.last, Last::Eof) => {
                    self.turn = Turn::Closed(Close::Eof);
                    continue;
                }
                Line::Partial => return Step::NeedInput,
                Line::TooLong => Some(self.violate(Violation::LineTooLong, now, out)),
                Line::Whole(line) if matches!(self.turn, Turn::SaslLine) => Some(self.sasl_line(&line, now, out)),
                Line::Whole(line) => self.command(&line, now, input, out),
            };
            if let Some(event) = event {
                return Step::Event(event);
            }
        }
    }

    /// How many unread octets the caller may hold; there it stops reading.
    #[must_use]
    pub fn max_input(&self) -> usize {
        self.config.limits.command_line.max(self.config.limits.sasl_line)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). `None` while a question is open: the peer waits for us.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Deadline> {
        match self.turn {
            Turn::Asked(_) | Turn::Closed(_) => None,
            Turn::Greet | Turn::Command | Turn::SaslLine | Turn::Switching => Some(self.deadline),
        }
    }

    /// Ends the session if its deadline has passed; otherwise does nothing.
    ///
    /// RFC 1939 §3: the autologout closes without a response and without removing messages, so `out` stays as it is.
    pub fn handle_timeout(&mut self, now: Duration, _out: &mut BytesMut) {
        if let Some(Deadline { waiting_for, .. }) = self.poll_timeout().filter(|deadline| deadline.at <= now) {
            self.turn = Turn::Closed(Close::Timeout(waiting_for));
        }
    }

    /// Tells that the peer will send no more. What it sent before is still answered.
    pub const fn handle_eof(&mut self) {
        if matches!(self.last, Last::No) {
            self.last = Last::Eof;
        }
    }

    /// Tells that the transport was changed, after [`Step::Switch`].
    ///
    /// RFC 2595 §4: what the client said before is forgotten, and there is no second greeting.
    #[expect(clippy::needless_pass_by_value, reason = "all engines are told the same way")]
    pub fn switched(&mut self, to: Switched, now: Duration) {
        if !matches!(self.turn, Turn::Switching) {
            return;
        }
        let Switched::Tls(_) = to;
        self.transport = Transport::Tls;
        self.lines.reset();
        self.turn = Turn::Command;
        self.deadline = Deadline { at: now.saturating_add(self.config.timeouts.login), waiting_for: Waiting::Login };
    }

    /// Ends the session on the application's wish: at once, or behind the answer to the open question.
    pub fn shut_down(&mut self, why: ShutDown, _now: Duration, out: &mut BytesMut) {
        match (&self.turn, why) {
            (Turn::Closed(_), _) => return,
            // TLS octets are due; a line of text would only break the handshake.
            (Turn::Switching, _) => {}
            // The reply has begun and cannot be completed: a goodbye would pass for a line of it.
            (Turn::Asked(Asked::Sending { .. } | Asked::Listing { .. }), ShutDown::Fault) => {}
            (Turn::Asked(_), ShutDown::Stopping | ShutDown::Overloaded) => {
                self.last = Last::ShutDown(why);
                return;
            }
            (Turn::Asked(_), ShutDown::Fault) | (Turn::Greet | Turn::Command | Turn::SaslLine, _) => {
                why.reply().write(out);
            }
        }
        self.turn = Turn::Closed(Close::ShutDown(why));
    }

    /// Ends the session because a promised body cannot be delivered. Nothing more is written: never pad.
    pub fn abort(&mut self) {
        if !matches!(self.turn, Turn::Closed(_)) {
            self.turn = Turn::Closed(Close::Aborted);
        }
    }

    /// Octets of heap held for the peer's sake. The maildrop, which the application made, is not counted.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.stage {
            Stage::Authorization(claims) => claims.user.as_ref().map_or(0, String::capacity),
            Stage::Transaction(marked) => marked.memory(),
        }
    }

    /// Whether the client has asked for UTF-8 (RFC 6856 §2.1): without it a message with an internationalized header is not for it.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        self.mode == Mode::Utf8
    }

    fn ask(&mut self, asked: Asked, event: Event, now: Duration) -> Event {
        self.turn = Turn::Asked(asked);
        self.asked_at = now;
        event
    }

    /// The question is answered: the peer's turn, unless something else was waiting for this.
    fn answered(&mut self, now: Duration, out: &mut BytesMut) {
        if let Last::ShutDown(why) = self.last {
            why.reply().write(out);
            self.turn = Turn::Closed(Close::ShutDown(why));
        }
        if matches!(self.turn, Turn::Closed(_)) {
            return;
        }
        self.turn = Turn::Command;
        match &self.stage {
            // The time that the application took is not the peer's.
            Stage::Authorization(_) => {
                self.deadline.at = self.deadline.at.saturating_add(now.saturating_sub(self.asked_at));
            }
            Stage::Transaction(_) => self.expect_command(now),
        }
    }

    fn expect_command(&mut self, now: Duration) {
        self.deadline =
            Deadline { at: now.saturating_add(self.config.timeouts.command), waiting_for: Waiting::Command };
    }

    fn violate(&mut self, violation: Violation, now: Duration, out: &mut BytesMut) -> Event {
        self.violations = self.violations.saturating_add(1);
        self.turn = Turn::Command;
        if violation.is_fatal() {
            violation.reply().write(out);
            return self.close_for(violation);
        }
        if self.violations > self.config.limits.violations {
            Violation::TooManyViolations.reply().write(out);
            return self.close_for(Violation::TooManyViolations);
        }
        violation.reply().write(out);
        if let Stage::Transaction(_) = self.stage {
            self.expect_command(now);
        }
        Event::Violation(violation)
    }

    fn close_for(&mut self, violation: Violation) -> Event {
        self.turn = Turn::Closed(Close::Violation(violation));
        Event::Violation(violation)
    }
}

fn count_and_octets(marked: &Marked) -> String {
    alloc::format!("{} messages ({} octets)", marked.count(), marked.octets())
}

fn line(out: &mut BytesMut, text: core::fmt::Arguments<'_>) {
    // Writing to a buffer that grows cannot fail.
    let _ = out.write_fmt(text);
    out.put_slice(b"\r\n");
}
