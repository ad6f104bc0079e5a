//! The server's side of one session.

mod answer;
mod body;
mod command;
mod intake;

use alloc::sync::Arc;
use core::time::Duration;

use bytes::{Buf, BytesMut};
use zeroize::Zeroize as _;

use self::body::Body;
use self::intake::Intake;
use crate::frame::{Line, Lines};
use crate::grammar::parse_sasl;
use crate::{
    Chunk, Close, Command, Deadline, EarlyTalk, Event, HelloVerb, Layer, Link, ParseError, Reply, ReplyCode,
    ServerConfig, ShutDown, Step, Switched, Violation, Waiting,
};

/// One connection's server side: a pure state machine.
///
/// Its methods come in four kinds. *Turning the crank*: [`next_event`](Self::next_event), until it asks for something else.
/// *Telling what happened outside*: [`handle_timeout`](Self::handle_timeout), [`handle_eof`](Self::handle_eof),
/// [`switched`](Self::switched), [`shut_down`](Self::shut_down), [`abort`](Self::abort). *Looking*:
/// [`poll_timeout`](Self::poll_timeout), [`max_input`](Self::max_input), [`memory`](Self::memory). *Answering the open
/// question*: all others.
///
/// A parameter `now` may move a deadline, `input` may be consumed, `out` may receive octets; nothing else has an effect.
#[derive(Debug)]
pub struct ServerSession {
    config: Arc<ServerConfig>,
    phase: Phase,
    peer: Peer,
    transport: Transport,
    login: Login,
    transaction: Option<Transaction>,
    lines: Lines,
    untold: Untold,
    haste: Haste,
    last: Last,
    deadline: Duration,
    violations: u32,
    failed_logins: u32,
    chatter: u32,
    transactions: u32,
    /// How many commands may come of a transaction whose MAIL was refused, before they count against the client.
    orphans: u32,
    /// Octets of refused BDATs.
    skipped: u64,
}

/// Who acts next, and on what.
#[derive(Debug)]
enum Phase {
    /// Nothing was said yet.
    Opening,
    /// The peer was greeted, and nothing it may have sent was looked at.
    Greeted,
    /// The peer: a command.
    Command,
    /// The peer: a line of the SASL exchange.
    SaslLine,
    /// The application.
    Asked(Asked),
    /// The peer: the message, or a chunk of it.
    Body(Body),
    /// The peer: the octets of a refused BDAT.
    Skip(Skip),
    /// The driver: it puts TLS in place.
    Switching,
    /// Nobody.
    Closed(Close),
}

/// The open question.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Connected,
    Hello(HelloVerb),
    Sasl,
    Mail(Envelope),
    Rcpt,
    Data,
    /// The same, where BDAT has begun the message.
    Chunk(Chunk),
    /// So many replies are still owed.
    Verdict(u32),
    Vrfy,
    Expn,
    Etrn,
    /// Whether the client behind the proxy has logged in there.
    Xclient(Login),
    Xforward,
}

/// Octets to be skipped, and what is said then.
#[derive(Clone, Copy, Debug)]
struct Skip {
    left: u64,
    /// `None` where all was said before.
    then: Option<Violation>,
    replies: u32,
}

/// What the peer has said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// Nothing.
    Unknown,
    /// HELO.
    Plain,
    /// EHLO or LHLO.
    Extended,
    /// It need not: it was turned away, and only QUIT is left to it (RFC 5321 §3.1).
    Unwelcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Plain,
    Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    None,
    Done,
}

/// All that one MAIL has begun. One value, so that every reset forgets all of it.
#[derive(Debug)]
struct Transaction {
    envelope: Envelope,
    recipients: u32,
    /// What BDAT has brought; none of it is under way.
    chunks: Option<Intake>,
}

/// What MAIL has said of what is to come.
#[derive(Clone, Copy, Debug)]
struct Envelope {
    addresses: Addresses,
    content: Content,
}

/// What the transaction's addresses may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses {
    Ascii,
    Utf8,
}

/// What the message may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Lines,
    /// Anything: RFC 3030 §3.
    Binary,
}

/// Whether it was told that the client did not wait for the reply to the command that is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    Untold,
    Told,
}

/// News that the next call tells.
#[derive(Debug, Default)]
struct Untold {
    violation: Option<Violation>,
    aborted: bool,
}

/// Whether anything follows the open question's answer.
#[derive(Clone, Copy, Debug)]
enum Last {
    No,
    Eof,
    ShutDown(ShutDown),
}

/// `None` where the crank can be turned on.
type Turned = Option<Step<Event>>;

/// Whether the client went on behind a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Nothing,
    Octets,
}

/// The longest input in which one command, or a good piece of a message, can be seen whole.
const BODY_INPUT: usize = 64 * 1024;

impl ServerSession {
    /// Begins a session. The first [`next_event`](Self::next_event) asks [`Event::Connected`].
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "all engines are made the same way")]
    pub fn new(config: Arc<ServerConfig>, link: Link, now: Duration) -> Self {
        Self {
            config,
            phase: Phase::Opening,
            peer: Peer::Unknown,
            transport: if link.tls.is_some() { Transport::Tls } else { Transport::Plain },
            login: Login::None,
            transaction: None,
            lines: Lines::default(),
            untold: Untold::default(),
            haste: Haste::Untold,
            last: Last::No,
            deadline: now,
            violations: 0,
            failed_logins: 0,
            chatter: 0,
            transactions: 0,
            orphans: 0,
            skipped: 0,
        }
    }

    /// Takes what stands in `input` as far as the next event. Between calls, octets may be added at the end of `input`, and
    /// nothing else may happen to it.
    pub fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<Event> {
        loop {
            if let Some(violation) = self.untold.violation.take() {
                return Step::Event(Event::Violation(violation));
            }
            if core::mem::take(&mut self.untold.aborted) {
                return Step::Event(Event::Aborted);
            }
            let turned = match &self.phase {
                Phase::Closed(why) => Some(Step::Close(*why)),
                Phase::Asked(_) => Some(Step::YourTurn),
                Phase::Opening => self.ask(Asked::Connected, Event::Connected),
                Phase::Greeted => self.first_input(input, out),
                Phase::Command | Phase::SaslLine => self.line(now, input, out),
                Phase::Body(_) => self.body(now, input, out),
                Phase::Skip(_) => self.skip(now, input, out),
                Phase::Switching => self.switching(input),
            };
            if let Some(step) = turned {
                return step;
            }
        }
    }

    /// How many unread octets the caller may hold; there it stops reading.
    #[must_use]
    pub fn max_input(&self) -> usize {
        let limits = &self.config.limits;
        match self.phase {
            Phase::Body(_) | Phase::Skip(_) => BODY_INPUT,
            Phase::Opening
            | Phase::Greeted
            | Phase::Command
            | Phase::SaslLine
            | Phase::Asked(_)
            | Phase::Switching
            | Phase::Closed(_) => limits.command_line.max(limits.sasl_line),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). `None` while a question is open: the peer waits for us.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let (at, waiting_for) = match &self.phase {
            Phase::Opening | Phase::Asked(_) | Phase::Closed(_) => return None,
            Phase::Greeted | Phase::Command => (self.deadline, Waiting::Command),
            Phase::SaslLine => (self.deadline, Waiting::SaslResponse),
            Phase::Body(body) => (self.deadline.min(body.pace.until), Waiting::Body),
            Phase::Skip(_) => (self.deadline, Waiting::Body),
            Phase::Switching => (self.deadline, Waiting::Tls),
        };
        Some(Deadline { at, waiting_for })
    }

    /// Ends the session if its deadline has passed; otherwise does nothing. Where the peer may take text for what it is, it is
    /// told 421; in the middle of a message or a handshake it is not.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut BytesMut) {
        let Some(Deadline { waiting_for, .. }) = self.poll_timeout().filter(|deadline| deadline.at <= now) else {
            return;
        };
        if let Phase::Body(body) = &mut self.phase
            && self.deadline > now
            && body.keeps_pace(now, &self.config)
        {
            return;
        }
        match waiting_for {
            Waiting::Command | Waiting::SaslResponse => self.say_goodbye(&TIMEOUT, out),
            Waiting::Body
            | Waiting::Tls
            | Waiting::Greeting
            | Waiting::Reply
            | Waiting::DataReply
            | Waiting::Verdict => {}
        }
        self.close(Close::Timeout(waiting_for));
    }

    /// Tells that the peer will send no more. What it sent before is still answered.
    pub const fn handle_eof(&mut self) {
        if matches!(self.last, Last::No) {
            self.last = Last::Eof;
        }
    }

    /// Tells that the transport was changed, after [`Step::Switch`].
    ///
    /// RFC 3207 §4.2: what the client said before is forgotten. There is no second greeting.
    pub fn switched(&mut self, to: Switched, now: Duration) {
        let (Phase::Switching, Switched::Tls(_)) = (&self.phase, to) else { return };
        self.transport = Transport::Tls;
        self.peer = Peer::Unknown;
        self.login = Login::None;
        self.await_command(now);
    }

    /// Ends the session on the application's wish: at once, or behind the answer to the open question.
    pub fn shut_down(&mut self, why: ShutDown, _now: Duration, out: &mut BytesMut) {
        match (&self.phase, why) {
            (Phase::Closed(_), _) => return,
            // Text would be taken for something else, or for nothing.
            (Phase::Body(_) | Phase::Skip(_) | Phase::Switching, _) => {}
            (Phase::Asked(_), ShutDown::Stopping | ShutDown::Overloaded) => {
                self.last = Last::ShutDown(why);
                return;
            }
            (Phase::Asked(Asked::Verdict(replies)), ShutDown::Fault) => {
                (0..*replies).for_each(|_| self.say_goodbye(&why.reply(), out));
            }
            (Phase::Asked(_), ShutDown::Fault)
            | (Phase::Opening | Phase::Greeted | Phase::Command | Phase::SaslLine, _) => {
                self.say_goodbye(&why.reply(), out);
            }
        }
        self.close(Close::ShutDown(why));
    }

    /// Ends the session at once. Nothing more is written, and nothing more is told.
    pub fn abort(&mut self) {
        if !matches!(self.phase, Phase::Closed(_)) {
            self.close(Close::Aborted);
            self.untold = Untold::default();
        }
    }

    /// Octets of heap held for the peer's sake: none. Messages go on in chunks, recipients belong to the application.
    #[must_use]
    pub const fn memory(&self) -> usize {
        0
    }

    /// Whatever came before the greeting could be read is here now, and nothing else can be.
    fn first_input(&mut self, input: &BytesMut, out: &mut BytesMut) -> Turned {
        self.phase = Phase::Command;
        if input.is_empty() {
            return None;
        }
        match self.config.before_greeting {
            EarlyTalk::Ignore => None,
            EarlyTalk::Report => told(Violation::EarlyTalk),
            EarlyTalk::Refuse => told(self.close_for(Violation::EarlyTalk, out)),
        }
    }

    fn line(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Turned {
        let limits = &self.config.limits;
        let in_sasl = matches!(self.phase, Phase::SaslLine);
        let carries_sasl = in_sasl || input.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "));
        let limit = if carries_sasl { limits.sasl_line } else { limits.command_line };
        let length = match self.lines.next(input, limit) {
            Line::Partial => return self.starve(),
            Line::TooLong(_) if in_sasl => return self.break_sasl(Violation::SaslLineTooLong, now, out),
            Line::TooLong(began) if announces_chunk(&began) => return told(self.close_for(Violation::ChunkSize, out)),
            Line::TooLong(_) => return told(self.violate(Violation::LineTooLong, now, out)),
            Line::Whole(length) => length,
        };
        let whole = length.saturating_add(2);
        let line = input.get(..length).unwrap_or_default();
        let turned = if in_sasl {
            self.sasl_line(line, now, out)
        } else {
            let behind = if input.len() > whole { Behind::Octets } else { Behind::Nothing };
            let command = Command::parse(line);
            if let Some(early) = self.early(&command, behind, out) {
                // The command stays where it is, and is looked at again.
                return told(early);
            }
            match command {
                Ok(command) => self.command(command, behind, now, out),
                Err(error) => self.no_command(error, line, now, out),
            }
        };
        if carries_sasl {
            input.get_mut(..length).unwrap_or_default().zeroize();
        }
        input.advance(whole);
        turned
    }

    /// Whether to tell, before the command is looked at, that its client did not wait for the reply.
    fn early(
        &mut self,
        command: &Result<Command<'_>, ParseError>,
        behind: Behind,
        out: &mut BytesMut,
    ) -> Option<Violation> {
        let told = core::mem::replace(&mut self.haste, Haste::Untold);
        let Ok(command) = command else { return None };
        if told == Haste::Told || behind == Behind::Nothing || !self.is_last_of_group(command) {
            return None;
        }
        match self.config.before_reply {
            EarlyTalk::Ignore => None,
            EarlyTalk::Report => {
                self.haste = Haste::Told;
                Some(Violation::EarlyTalk)
            }
            EarlyTalk::Refuse => Some(self.close_for(Violation::EarlyTalk, out)),
        }
    }

    /// RFC 4954 §4: a response in base64, or `*`.
    fn sasl_line(&mut self, line: &[u8], now: Duration, out: &mut BytesMut) -> Turned {
        match parse_sasl(line) {
            Ok(Some(response)) => self.ask(Asked::Sasl, Event::SaslResponse(response)),
            Ok(None) => {
                CANCELLED.write(out);
                self.await_command(now);
                Some(Step::Event(Event::SaslCancelled))
            }
            Err(_) => self.break_sasl(Violation::Base64, now, out),
        }
    }

    fn break_sasl(&mut self, violation: Violation, now: Duration, out: &mut BytesMut) -> Turned {
        self.untold.violation = Some(self.violate(violation, now, out));
        Some(Step::Event(Event::SaslCancelled))
    }

    fn switching(&mut self, input: &BytesMut) -> Turned {
        if !input.is_empty() {
            // The reply to STARTTLS is out and the handshake is next: there is no way left to say why.
            self.close(Close::Violation(Violation::PipelinedTls));
            return told(Violation::PipelinedTls);
        }
        match self.last {
            Last::Eof => self.starve(),
            Last::No | Last::ShutDown(_) => Some(Step::Switch(Layer::Tls)),
        }
    }

    /// More input is needed; where there will be none, the session is over.
    fn starve(&mut self) -> Turned {
        match self.last {
            Last::No | Last::ShutDown(_) => Some(Step::NeedInput),
            Last::Eof => {
                self.close(Close::Eof);
                None
            }
        }
    }

    fn ask(&mut self, asked: Asked, question: Event) -> Turned {
        self.phase = Phase::Asked(asked);
        Some(Step::Event(question))
    }

    fn await_command(&mut self, now: Duration) {
        self.phase = Phase::Command;
        self.deadline = now.saturating_add(self.config.timeouts.command);
    }

    /// Tells the peer off and goes on, unless that was once too often. Returns what the peer was told off for.
    fn violate(&mut self, violation: Violation, now: Duration, out: &mut BytesMut) -> Violation {
        if violation.counts() {
            self.violations = self.violations.saturating_add(1);
            if self.violations > self.config.limits.violations {
                return self.close_for(Violation::TooManyViolations, out);
            }
        }
        write_reply(violation, out);
        self.await_command(now);
        violation
    }

    /// Tells the peer off for the last time.
    fn close_for(&mut self, violation: Violation, out: &mut BytesMut) -> Violation {
        write_reply(violation, out);
        self.close(Close::Violation(violation));
        violation
    }

    fn close(&mut self, why: Close) {
        self.reset();
        self.phase = Phase::Closed(why);
    }

    /// Forgets the transaction, and remembers to tell. Every reset that is not the application's own comes through here.
    fn reset(&mut self) {
        self.orphans = 0;
        self.untold.aborted |= self.transaction.take().is_some();
    }

    /// RFC 5321 §3.8: 421 begins with the server's name.
    fn say_goodbye(&self, reply: &Reply, out: &mut BytesMut) {
        reply.clone().behind(self.config.host.as_str()).write(out);
    }
}

fn told(violation: Violation) -> Turned {
    Some(Step::Event(Event::Violation(violation)))
}

/// Whether a line that was not understood may have announced octets that are no commands.
fn announces_chunk(line: &[u8]) -> bool {
    let (verb, rest) = line.split_at_checked(4).unwrap_or_default();
    verb.eq_ignore_ascii_case(b"BDAT") && rest.first().is_none_or(|octet| !octet.is_ascii_alphanumeric())
}

fn write_reply(violation: Violation, out: &mut BytesMut) {
    if let Some(reply) = violation.reply() {
        reply.write(out);
    }
}

const TIMEOUT: Reply = Reply::fixed(ReplyCode::NOT_AVAILABLE, 4, 2, "timeout, closing");

const CANCELLED: Reply = Reply::fixed(ReplyCode::ARGUMENT_ERROR, 7, 0, "authentication cancelled");
