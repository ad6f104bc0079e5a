//! The server's side of one session: its states, and who acts next.

mod answers;
mod commands;
mod incoming;
mod telling;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::BytesMut;

use self::incoming::{Incoming, Refused};
pub use self::telling::Rendered;
use self::telling::Telling;
use crate::frame::Frame;
use crate::view::View;
use crate::{
    Access, Addressing, Changes, Close, Deadline, Event, Layer, Link, LiteralKind, Reply, ServerConfig, ShutDown,
    StatusItem, Step, Switched, Violation, Waiting,
};

/// One connection's server side: a pure state machine.
///
/// Its methods come in five kinds. *Turning the crank*: [`next_event`](Self::next_event), until it asks for something else.
/// *Telling what happened outside*: [`changed`](Self::changed), [`handle_timeout`](Self::handle_timeout),
/// [`handle_eof`](Self::handle_eof), [`switched`](Self::switched), [`shut_down`](Self::shut_down), [`abort`](Self::abort).
/// *Looking*: [`poll_timeout`](Self::poll_timeout), [`max_input`](Self::max_input), [`memory`](Self::memory). *Ending the
/// open question*: [`accept`](Self::accept), [`reply`](Self::reply), [`decline`](Self::decline),
/// [`authenticated`](Self::authenticated), [`challenge`](Self::challenge), [`select`](Self::select). *Answering it before
/// that*: all others.
///
/// A parameter `now` may move a deadline, `input` may be consumed, `out` may receive octets; nothing else has an effect.
#[derive(Debug)]
pub struct ServerSession {
    config: Arc<ServerConfig>,
    link: Link,
    frame: Frame,
    stage: Stage,
    turn: Turn,
    deadline: Deadline,
    asked_at: Duration,
    last: Last,
    violations: u32,
    failed_logins: u32,
}

/// The states of RFC 3501 §3. Logout is [`Turn::Closed`].
#[derive(Debug)]
enum Stage {
    NotAuthenticated,
    Authenticated,
    Selected(Box<View>),
}

type Tag = Box<str>;

/// Who acts next.
#[derive(Debug)]
enum Turn {
    /// Nothing was said yet.
    Greet,
    /// The peer: a command.
    Command,
    /// The peer: a line of the SASL exchange.
    Sasl(Tag),
    /// The peer: DONE. Meanwhile it is told what changes.
    Idle(Idling),
    /// The peer: APPEND's message.
    Message(Incoming),
    /// The peer: what is left of a command that is refused.
    Skip(Box<Refused>),
    /// The application.
    Asked(Box<Asked>),
    /// The engine: flags were touched, and the application will be asked for them before a command ends.
    Tell(Box<Ending>),
    /// The driver: it puts TLS in place.
    Switching,
    /// Nobody.
    Closed(Close),
}

#[derive(Debug)]
struct Idling {
    tag: Tag,
    keepalive: Duration,
}

/// A command that is over but for what must be told before.
#[derive(Debug)]
struct Ending {
    tag: Tag,
    by: Addressing,
    reply: Reply,
}

/// The open question, and the command that led to it.
#[derive(Debug)]
struct Asked {
    tag: Tag,
    /// The command's name.
    command: &'static str,
    by: Addressing,
    what: What,
}

#[derive(Debug)]
enum What {
    Connected,
    Login,
    Sasl,
    Select(Access),
    Append {
        size: u64,
        literal: LiteralKind,
    },
    End,
    List,
    Status {
        mailbox: Box<str>,
        items: Vec<StatusItem>,
        told: Told,
    },
    Fetch {
        telling: Telling,
        missing: Missing,
    },
    Store(Telling),
    Search(Told),
    Move,
    Close,
    /// A Tell within IDLE, or at the end of a command.
    Tell {
        telling: Telling,
        then: Then,
    },
    /// Any other, which needs nothing but its reply.
    Plain,
}

/// Whether the untagged answer that belongs to a command was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Not,
    Already,
}

/// Whether some of the messages that FETCH named are known to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    None,
    Some,
}

#[derive(Debug)]
enum Then {
    Idle(Idling),
    End(Reply),
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
    pub fn new(config: Arc<ServerConfig>, link: Link, now: Duration) -> Self {
        let deadline = Deadline { at: now.saturating_add(config.timeouts.login), waiting_for: Waiting::Login };
        Self {
            config,
            link,
            frame: Frame::default(),
            stage: Stage::NotAuthenticated,
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
            let taken = match &self.turn {
                Turn::Closed(why) => return Step::Close(*why),
                Turn::Asked(_) => return Step::YourTurn,
                Turn::Greet => {
                    Taken::Event(self.ask("*", "", Addressing::Sequence, What::Connected, Event::Connected, now))
                }
                Turn::Tell(_) => self.ask_for_touched(now, out),
                Turn::Switching if !input.is_empty() => Taken::Event(self.close_for(Violation::PipelinedTls)),
                Turn::Switching if matches!(self.last, Last::Eof) => Taken::NeedInput,
                Turn::Switching => return Step::Switch(Layer::Tls),
                Turn::Command => self.take_command(now, input, out),
                Turn::Sasl(_) => self.take_sasl_line(now, input, out),
                Turn::Idle(_) => self.take_done(now, input, out),
                Turn::Message(_) => self.take_message(now, input),
                Turn::Skip(_) => self.skip(now, input, out),
            };
            match taken {
                Taken::Event(event) => return Step::Event(event),
                Taken::Silently => {}
                Taken::NeedInput if matches!(self.last, Last::Eof) => self.turn = Turn::Closed(Close::Eof),
                Taken::NeedInput => return Step::NeedInput,
            }
        }
    }

    /// How many unread octets the caller may hold; there it stops reading.
    #[must_use]
    pub fn max_input(&self) -> usize {
        self.command_limit().max(self.config.limits.sasl_line)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). `None` while a question is open: the peer waits for us.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        match &self.turn {
            Turn::Asked(_) | Turn::Tell(_) | Turn::Closed(_) => None,
            Turn::Idle(Idling { keepalive, .. }) => {
                Some(Deadline { at: self.deadline.at.min(*keepalive), ..self.deadline })
            }
            Turn::Greet | Turn::Command | Turn::Sasl(_) | Turn::Message(_) | Turn::Skip(_) | Turn::Switching => {
                Some(self.deadline)
            }
        }
    }

    /// Ends the session if its deadline has passed; tells an idling client that the connection lives, if that is due;
    /// otherwise does nothing.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut BytesMut) {
        let Some(due) = self.poll_timeout().filter(|deadline| deadline.at <= now) else { return };
        if let Turn::Idle(Idling { keepalive, .. }) = &mut self.turn
            && now < self.deadline.at
        {
            Reply::ok("still here").write("*", out);
            *keepalive = now.saturating_add(self.config.timeouts.keepalive.max(KEEPALIVE_MIN));
            return;
        }
        if let Some(reply) = due.waiting_for.reply() {
            reply.write_bye(out);
        }
        self.turn = Turn::Closed(Close::Timeout(due.waiting_for));
    }

    /// Tells that the peer will send no more. What it sent before is still answered.
    pub const fn handle_eof(&mut self) {
        if matches!(self.last, Last::No) {
            self.last = Last::Eof;
        }
    }

    /// Tells that the transport was changed, after [`Step::Switch`].
    ///
    /// RFC 3501 §6.2.1: what the client said before is forgotten, and there is no second greeting.
    pub fn switched(&mut self, to: Switched, now: Duration) {
        let (Turn::Switching, Switched::Tls(tls)) = (&self.turn, to) else { return };
        self.link.tls = Some(tls);
        self.stage = Stage::NotAuthenticated;
        self.frame.reset();
        self.turn = Turn::Command;
        self.deadline = Deadline { at: now.saturating_add(self.config.timeouts.login), waiting_for: Waiting::Login };
    }

    /// Ends the session on the application's wish: at once, or behind the answer to the open question.
    pub fn shut_down(&mut self, why: ShutDown, _now: Duration, out: &mut BytesMut) {
        match (&self.turn, why) {
            (Turn::Closed(_), _) => return,
            // TLS octets are due; a line of text would only break the handshake.
            (Turn::Switching, _) => {}
            // The peer is not listening before its message is sent.
            (Turn::Message(_), _) => {}
            (Turn::Skip(refused), _) if refused.in_literal() => {}
            // The literal has begun and cannot be completed: a goodbye would pass for a part of it.
            (Turn::Asked(asked), ShutDown::Fault) if asked.what.is_within_answer() => {}
            (Turn::Asked(_) | Turn::Tell(_), ShutDown::Stopping | ShutDown::Overloaded) => {
                self.last = Last::ShutDown(why);
                return;
            }
            (Turn::Asked(_) | Turn::Tell(_), ShutDown::Fault)
            | (Turn::Greet | Turn::Command | Turn::Sasl(_) | Turn::Idle(_) | Turn::Skip(_), _) => {
                why.reply().write_bye(out);
            }
        }
        self.turn = Turn::Closed(Close::ShutDown(why));
    }

    /// Ends the session because a promised literal cannot be delivered. Nothing more is written: never pad.
    pub fn abort(&mut self) {
        if !matches!(self.turn, Turn::Closed(_)) {
            self.turn = Turn::Closed(Close::Aborted);
        }
    }

    /// Reports what happened to the selected mailbox, at any time; without one it has no effect.
    ///
    /// The client is told when RFC 3501 §7.4.1 allows it: while it idles, by the next [`next_event`](Self::next_event), or
    /// else at the end of a command.
    pub fn changed(&mut self, changes: &Changes) {
        if let Stage::Selected(view) = &mut self.stage {
            view.change(changes);
        }
    }

    /// Octets of heap held for the peer's sake. The view counts as if nobody shared it.
    #[must_use]
    pub fn memory(&self) -> usize {
        let view = match &self.stage {
            Stage::NotAuthenticated | Stage::Authenticated => 0,
            Stage::Selected(view) => view.memory(),
        };
        let turn = match &self.turn {
            Turn::Greet | Turn::Command | Turn::Switching | Turn::Closed(_) => 0,
            Turn::Sasl(tag) => tag.len(),
            Turn::Idle(idling) => idling.tag.len(),
            Turn::Message(incoming) => incoming.memory(),
            Turn::Skip(refused) => refused.memory(),
            Turn::Asked(asked) => asked.memory(),
            Turn::Tell(ending) => size_of::<Ending>() + ending.tag.len() + ending.reply.memory(),
        };
        view.saturating_add(turn)
    }

    fn command_limit(&self) -> usize {
        match &self.stage {
            Stage::NotAuthenticated => self.config.limits.command_before_login,
            Stage::Authenticated | Stage::Selected(_) => self.config.limits.command,
        }
    }

    fn ask(
        &mut self,
        tag: &str,
        command: &'static str,
        by: Addressing,
        what: What,
        event: Event,
        now: Duration,
    ) -> Event {
        self.turn = Turn::Asked(Box::new(Asked { tag: tag.into(), command, by, what }));
        self.asked_at = now;
        event
    }

    /// Answers a violation, and counts it.
    fn violate(&mut self, tag: Option<&str>, violation: Violation, now: Duration, out: &mut BytesMut) -> Event {
        self.violations = self.violations.saturating_add(1);
        if violation.is_fatal() {
            violation.reply().write_bye(out);
            return self.close_for(violation);
        }
        violation.reply().write(tag.unwrap_or("*"), out);
        if self.violations > self.config.limits.violations {
            Violation::TooManyViolations.reply().write_bye(out);
            return self.close_for(Violation::TooManyViolations);
        }
        self.turn = Turn::Command;
        self.expect_command(now);
        Event::Violation(violation)
    }

    fn close_for(&mut self, violation: Violation) -> Event {
        self.turn = Turn::Closed(Close::Violation(violation));
        Event::Violation(violation)
    }

    /// After login the peer has a new while for its next command; before, it has one while for all.
    fn expect_command(&mut self, now: Duration) {
        match &self.stage {
            Stage::NotAuthenticated => {}
            Stage::Authenticated | Stage::Selected(_) => {
                self.deadline =
                    Deadline { at: now.saturating_add(self.config.timeouts.command), waiting_for: Waiting::Command };
            }
        }
    }

    /// The question is answered: the peer's turn, unless something else was waiting for this.
    fn answered(&mut self, next: Turn, now: Duration, out: &mut BytesMut) {
        if let Last::ShutDown(why) = self.last {
            why.reply().write_bye(out);
            self.turn = Turn::Closed(Close::ShutDown(why));
            return;
        }
        self.turn = next;
        match &self.stage {
            // The time that the application took is not the peer's.
            Stage::NotAuthenticated => {
                self.deadline.at = self.deadline.at.saturating_add(now.saturating_sub(self.asked_at));
            }
            Stage::Authenticated | Stage::Selected(_) => self.expect_command(now),
        }
    }
}

/// Or else a configuration of zero would keep the driver busy with one session.
const KEEPALIVE_MIN: Duration = Duration::from_secs(1);

/// What came of one look at the input.
#[derive(Debug)]
enum Taken {
    Event(Event),
    /// Something that nobody needs to hear of.
    Silently,
    NeedInput,
}

impl From<Option<Event>> for Taken {
    fn from(event: Option<Event>) -> Self {
        event.map_or(Self::Silently, Self::Event)
    }
}

impl What {
    /// Whether an untagged answer has begun and is not at its end.
    const fn is_within_answer(&self) -> bool {
        match self {
            Self::Fetch { telling, .. } | Self::Store(telling) | Self::Tell { telling, .. } => !telling.is_between(),
            Self::Connected
            | Self::Login
            | Self::Sasl
            | Self::Select(_)
            | Self::Append { .. }
            | Self::End
            | Self::List
            | Self::Status { .. }
            | Self::Search(_)
            | Self::Move
            | Self::Close
            | Self::Plain => false,
        }
    }
}

impl Asked {
    fn memory(&self) -> usize {
        let what = match &self.what {
            What::Status { mailbox, items, .. } => mailbox.len().saturating_add(items.capacity()),
            What::Tell { then: Then::Idle(idling), .. } => idling.tag.len(),
            What::Tell { then: Then::End(reply), .. } => reply.memory(),
            What::Connected
            | What::Login
            | What::Sasl
            | What::Select(_)
            | What::Append { .. }
            | What::End
            | What::List
            | What::Fetch { .. }
            | What::Store(_)
            | What::Search(_)
            | What::Move
            | What::Close
            | What::Plain => 0,
        };
        size_of::<Self>() + self.tag.len() + what
    }
}
