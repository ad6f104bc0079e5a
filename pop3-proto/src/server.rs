//! The server's side of one session: whose turn it is, and what the peer's commands do.

mod answer;

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use core::fmt::Write as _;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::{BufMut, BytesMut};

pub use self::answer::Progress;
use crate::body::{Stuff, Top};
use crate::frame::{Line, Lines};
use crate::grammar;
use crate::maildrop::Marked;
use crate::{
    Announced, Apop, Close, Command, Deadline, Digest, Event, Expected, Language, Layer, Link, Mechanism, Name,
    Password, PlaintextLogin, Proxied, Reply, Secret, ServerConfig, ShutDown, Step, Stls, Switched, Timestamp,
    UserPolicy, Utf8, Violation, Waiting, Xclient,
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
    link: Link,
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
    pub fn new(config: Arc<ServerConfig>, link: Link, now: Duration) -> Self {
        let deadline = Deadline { at: now.saturating_add(config.timeouts.login), waiting_for: Waiting::Login };
        Self {
            config,
            link,
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
    pub fn switched(&mut self, to: Switched, now: Duration) {
        if !matches!(self.turn, Turn::Switching) {
            return;
        }
        let Switched::Tls(tls) = to;
        self.link.tls = Some(tls);
        self.mode = Mode::Ascii;
        if let Stage::Authorization(claims) = &mut self.stage {
            claims.user = None;
        }
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

    fn sasl_line(&mut self, line: &[u8], now: Duration, out: &mut BytesMut) -> Event {
        match grammar::parse_sasl(line) {
            Ok(Some(response)) => self.ask(Asked::Sasl, Event::SaslResponse(response), now),
            Ok(None) => {
                Reply::err("authentication cancelled").write(out);
                self.turn = Turn::Command;
                Event::SaslCancelled
            }
            // The exchange ends with it; the next line is a command.
            Err(_) => self.violate(Violation::Base64, now, out),
        }
    }

    /// Takes one command. `None`: answered, and nothing to tell.
    fn command(&mut self, line: &[u8], now: Duration, input: &BytesMut, out: &mut BytesMut) -> Option<Event> {
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(error) => return Some(self.violate(violation_of(error.expected), now, out)),
        };
        let taken = match &mut self.stage {
            Stage::Authorization(_) => self.authorization(command, now, input, out),
            Stage::Transaction(_) => self.transaction(&command, now, out),
        };
        match taken {
            Ok(event) => event,
            Err(violation) => Some(self.violate(violation, now, out)),
        }
    }

    fn authorization(
        &mut self,
        command: Command<'_>,
        now: Duration,
        input: &BytesMut,
        out: &mut BytesMut,
    ) -> Result<Option<Event>, Violation> {
        let Stage::Authorization(claims) = &mut self.stage else { return Err(Violation::Sequence) };
        match command {
            Command::Capa => self.write_capabilities(out),
            Command::Lang(range) => write_language(range, out),
            Command::Noop => Reply::ok("").write(out),
            Command::Quit => {
                Reply::ok("goodbye").write(out);
                self.turn = Turn::Closed(Close::Quit);
            }
            Command::Stls => return self.stls(now, input, out),
            Command::Utf8 => return self.enter_utf8(out),
            Command::Xclient(client) => return self.proxied(client, out).map(Some),
            Command::Xoip(address) => return self.proxied(Proxied { address, port: None }, out).map(Some),
            Command::Auth { mechanism, initial } => return self.auth(mechanism, initial, now).map(Some),
            Command::Apop { user, digest } => return self.apop(user, digest, now).map(Some),
            Command::User(_) | Command::Pass(_) if !plaintext_allowed(&self.config, &self.link) => {
                return Err(Violation::PlaintextLogin);
            }
            Command::User(name) => {
                claims.user = Some(self.config.utf8.check_name(name)?.to_string());
                Reply::ok("send the password").write(out);
            }
            Command::Pass(password) => {
                let Some(user) = claims.user.take() else { return Err(Violation::Sequence) };
                let password = self.config.utf8.check_password(password)?;
                let event = Event::Login { user, password: Secret::new(password.to_vec()) };
                return Ok(Some(self.ask(Asked::Login, event, now)));
            }
            Command::Dele(_)
            | Command::List(_)
            | Command::Retr(_)
            | Command::Rset
            | Command::Stat
            | Command::Top { .. }
            | Command::Uidl(_) => return Err(Violation::Sequence),
        }
        Ok(None)
    }

    fn transaction(
        &mut self,
        command: &Command<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Result<Option<Event>, Violation> {
        self.expect_command(now);
        let Stage::Transaction(marked) = &mut self.stage else { return Err(Violation::Sequence) };
        match *command {
            Command::Capa => self.write_capabilities(out),
            Command::Lang(range) => write_language(range, out),
            Command::Noop => Reply::ok("").write(out),
            Command::Quit => {
                let event = Event::Update { deleted: marked.deleted() };
                return Ok(Some(self.ask(Asked::Update, event, now)));
            }
            Command::Stat => {
                let (count, octets) = (marked.count(), marked.octets());
                line(out, format_args!("+OK {count} {octets}"));
            }
            Command::List(None) => {
                return Ok(Some(self.ask(Asked::List { what: Listing::Sizes, next: 0 }, Event::List, now)));
            }
            Command::Uidl(None) => {
                return Ok(Some(self.ask(Asked::List { what: Listing::UniqueIds, next: 0 }, Event::List, now)));
            }
            Command::List(Some(number)) => match marked.message(number) {
                Some(message) => line(out, format_args!("+OK {number} {}", message.octets())),
                None => no_such_message(out),
            },
            Command::Uidl(Some(number)) => match marked.message(number) {
                Some(message) => line(out, format_args!("+OK {number} {}", message.uidl)),
                None => no_such_message(out),
            },
            Command::Retr(number) => match marked.message(number) {
                Some(message) => {
                    let asked = Asked::Retrieve { size: message.size, octets: message.octets() };
                    return Ok(Some(self.ask(asked, Event::Retrieve { number }, now)));
                }
                None => no_such_message(out),
            },
            Command::Top { number, lines } => match marked.message(number) {
                Some(_) => return Ok(Some(self.ask(Asked::Top { lines }, Event::Top { number }, now))),
                None => no_such_message(out),
            },
            Command::Dele(number) => {
                if marked.delete(number) {
                    Reply::ok("marked").write(out);
                } else {
                    no_such_message(out);
                }
            }
            Command::Rset => {
                marked.reset();
                Reply::ok("").with_text(count_and_octets(marked)).write(out);
            }
            Command::Apop { .. }
            | Command::Auth { .. }
            | Command::Pass(_)
            | Command::Stls
            | Command::User(_)
            | Command::Utf8
            | Command::Xclient(_)
            | Command::Xoip(_) => return Err(Violation::Sequence),
        }
        Ok(None)
    }

    fn stls(&mut self, now: Duration, input: &BytesMut, out: &mut BytesMut) -> Result<Option<Event>, Violation> {
        // RFC 6856 §2.1: no STLS behind UTF8.
        if self.link.tls.is_some() || self.mode == Mode::Utf8 {
            return Err(Violation::Sequence);
        }
        if self.config.stls == Stls::Off {
            return Err(Violation::UnknownCommand);
        }
        if !input.is_empty() {
            return Err(Violation::PipelinedTls);
        }
        Reply::ok("begin TLS").write(out);
        self.turn = Turn::Switching;
        self.deadline = Deadline { at: now.saturating_add(self.config.timeouts.tls), waiting_for: Waiting::Tls };
        Ok(None)
    }

    fn enter_utf8(&mut self, out: &mut BytesMut) -> Result<Option<Event>, Violation> {
        if self.config.utf8 == Utf8::Off {
            return Err(Violation::UnknownCommand);
        }
        self.mode = Mode::Utf8;
        Reply::ok("UTF-8 it is").write(out);
        Ok(None)
    }

    fn proxied(&mut self, client: Proxied, out: &mut BytesMut) -> Result<Event, Violation> {
        if self.config.xclient == Xclient::Off {
            return Err(Violation::UnknownCommand);
        }
        self.link.peer = Some(SocketAddr::new(client.address, client.port.unwrap_or(0)));
        Reply::ok("updated").write(out);
        Ok(Event::Proxied(client))
    }

    /// The password does not cross the network, so that no TLS is asked for.
    fn apop(&mut self, user: Name<'_>, digest: Digest, now: Duration) -> Result<Event, Violation> {
        let Stage::Authorization(Claims { timestamp: Some(timestamp), .. }) = &self.stage else {
            return Err(Violation::UnknownCommand);
        };
        let proof = Apop { timestamp: timestamp.clone(), digest };
        let user = self.config.utf8.check_name(user)?.to_string();
        Ok(self.ask(Asked::Login, Event::Apop { user, proof }, now))
    }

    fn auth(&mut self, mechanism: Mechanism<&str>, initial: Option<Secret>, now: Duration) -> Result<Event, Violation> {
        let offered = |list: &[String]| list.iter().find(|name| name.eq_ignore_ascii_case(mechanism.as_str())).cloned();
        let Some(mechanism) = offered(self.mechanisms()) else {
            return Err(match offered(&self.config.mechanisms) {
                Some(_) => Violation::PlaintextLogin,
                None => Violation::Argument,
            });
        };
        Ok(self.ask(Asked::Sasl, Event::Auth { mechanism, initial }, now))
    }

    fn mechanisms(&self) -> &[String] {
        if plaintext_allowed(&self.config, &self.link) {
            &self.config.mechanisms
        } else {
            &self.config.mechanisms_before_tls
        }
    }

    /// RFC 2449 §5. The list is the same before and after login, so that clients may ask once; only what a policy says of everybody
    /// gives way to what it says of this user.
    fn write_capabilities(&self, out: &mut BytesMut) {
        out.put_slice(
            b"+OK capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nLANG\r\n",
        );
        if self.config.utf8 == Utf8::Offered {
            out.put_slice(b"UTF8 USER\r\n");
        }
        if plaintext_allowed(&self.config, &self.link) {
            out.put_slice(b"USER\r\n");
        }
        if !self.mechanisms().is_empty() {
            line(out, format_args!("SASL {}", self.mechanisms().join(" ")));
        }
        if self.config.stls == Stls::Offered && self.link.tls.is_none() {
            out.put_slice(b"STLS\r\n");
        }
        let own = match &self.stage {
            Stage::Authorization(_) => None,
            Stage::Transaction(marked) => Some(marked.policy()),
        };
        if let Some(expire) = told(self.config.expire, own.map(|UserPolicy { expire, .. }| expire)) {
            line(out, format_args!("EXPIRE {expire}"));
        }
        if let Some(delay) = told(self.config.login_delay, own.map(|UserPolicy { login_delay, .. }| login_delay)) {
            line(out, format_args!("LOGIN-DELAY {delay}"));
        }
        if let Some(name) = &self.config.implementation {
            line(out, format_args!("IMPLEMENTATION {name}"));
        }
        out.put_slice(b".\r\n");
    }
}

impl Utf8 {
    /// RFC 6856 §2.2: names outside ASCII are for servers that say so.
    fn check_name(self, name: Name<'_>) -> Result<&str, Violation> {
        match self {
            Self::Off if !name.as_str().is_ascii() => Err(Violation::Argument),
            Self::Off | Self::Offered => Ok(name.as_str()),
        }
    }

    /// RFC 6856 §2.2: what is no UTF-8 is refused where UTF-8 is offered; elsewhere it is anybody's guess.
    fn check_password(self, password: Password<'_>) -> Result<&[u8], Violation> {
        match self {
            Self::Offered if core::str::from_utf8(password.expose()).is_err() => Err(Violation::Argument),
            Self::Off | Self::Offered => Ok(password.expose()),
        }
    }
}

/// What CAPA says of a policy: before the login of all users, behind it of this one.
fn told<T: Copy>(offered: Option<Announced<T>>, own: Option<Option<T>>) -> Option<Announced<T>> {
    match (offered?, own) {
        (offered, None) => Some(offered),
        (Announced::Fixed(value) | Announced::PerUser(value), Some(own)) => {
            Some(Announced::Fixed(own.unwrap_or(value)))
        }
    }
}

/// Our texts are English; i-default is what RFC 6856 §3.2 wants them to be for everybody.
const LANGUAGES: [(&str, &str); 2] = [("en", "English"), ("i-default", "Default")];

/// RFC 6856 §3: the list of languages, or the choice of one. As there is but one, the choice leaves no trace.
fn write_language(range: Option<Language<'_>>, out: &mut BytesMut) {
    match range {
        None => {
            out.put_slice(b"+OK languages follow\r\n");
            LANGUAGES.iter().for_each(|(tag, name)| line(out, format_args!("{tag} {name}")));
            out.put_slice(b".\r\n");
        }
        Some(range) => match LANGUAGES.iter().find(|(tag, _)| range.matches(tag)) {
            Some((tag, name)) => line(out, format_args!("+OK {tag} {name} it is")),
            None => Reply::err("no such language").write(out),
        },
    }
}

fn plaintext_allowed(config: &ServerConfig, link: &Link) -> bool {
    link.tls.is_some() || config.plaintext_login == PlaintextLogin::Always
}

const fn violation_of(expected: Expected) -> Violation {
    match expected {
        Expected::Keyword => Violation::UnknownCommand,
        Expected::Printable => Violation::ControlOctet,
        Expected::Base64 => Violation::Base64,
        Expected::Utf8
        | Expected::Argument
        | Expected::End
        | Expected::Number
        | Expected::Mechanism
        | Expected::Digest
        | Expected::Timestamp
        | Expected::Language
        | Expected::Address
        | Expected::UniqueId
        | Expected::Status => Violation::Argument,
    }
}

fn count_and_octets(marked: &Marked) -> String {
    alloc::format!("{} messages ({} octets)", marked.count(), marked.octets())
}

fn no_such_message(out: &mut BytesMut) {
    Reply::err("no such message").write(out);
}

fn line(out: &mut BytesMut, text: core::fmt::Arguments<'_>) {
    // Writing to a buffer that grows cannot fail.
    let _ = out.write_fmt(text);
    out.put_slice(b"\r\n");
}
