//! What the peer's commands do.

use alloc::string::{String, ToString as _};
use core::time::Duration;

use bytes::{BufMut, BytesMut};

use super::{Asked, Claims, Listing, Mode, ServerSession, Stage, Transport, Turn, count_and_octets, line};
use crate::grammar;
use crate::{
    Announced, Apop, Close, Command, Deadline, Event, Expected, Language, Mechanism, Name, Password, PlaintextLogin,
    Proxied, Reply, Secret, ServerConfig, Stls, UserPolicy, Utf8, Violation, Waiting, Xclient,
};

impl ServerSession {
    /// Takes one command. `None`: answered, and nothing to tell.
    pub(super) fn command(
        &mut self,
        line: &[u8],
        now: Duration,
        input: &BytesMut,
        out: &mut BytesMut,
    ) -> Option<Event> {
        let parsed = Command::parse(line).map_err(|error| violation_of(error.expected));
        match parsed.and_then(|command| self.obey(command, now, input, out)) {
            Ok(event) => event,
            Err(violation) => Some(self.violate(violation, now, out)),
        }
    }

    /// Takes one line of a SASL exchange.
    pub(super) fn sasl_line(&mut self, line: &[u8], now: Duration, out: &mut BytesMut) -> Event {
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

    fn obey(
        &mut self,
        command: Command<'_>,
        now: Duration,
        input: &BytesMut,
        out: &mut BytesMut,
    ) -> Result<Option<Event>, Violation> {
        if let Stage::Transaction(_) = self.stage {
            self.expect_command(now);
        }
        match (&mut self.stage, command) {
            (_, Command::Capa) => self.write_capabilities(out),
            (_, Command::Lang(range)) => write_language(range, out),
            (_, Command::Noop) => Reply::ok("").write(out),

            (Stage::Authorization(_), Command::Quit) => {
                Reply::ok("goodbye").write(out);
                self.turn = Turn::Closed(Close::Quit);
            }
            (Stage::Authorization(claims), Command::Stls) => {
                // RFC 2595 §4: what was said in the clear is forgotten. UTF8 cannot have been.
                claims.user = None;
                return self.stls(now, input, out);
            }
            (Stage::Authorization(_), Command::Utf8) => return self.enter_utf8(out),
            (Stage::Authorization(_), Command::Xclient(client)) => return self.proxied(client, out).map(Some),
            (Stage::Authorization(_), Command::Xoip(address)) => {
                return self.proxied(Proxied { address, port: None }, out).map(Some);
            }
            (Stage::Authorization(_), Command::Auth { mechanism, initial }) => {
                return self.auth(mechanism, initial, now).map(Some);
            }
            (Stage::Authorization(Claims { timestamp: None, .. }), Command::Apop { .. }) => {
                return Err(Violation::UnknownCommand);
            }
            // The password does not cross the network, so that no TLS is asked for.
            (Stage::Authorization(Claims { timestamp: Some(timestamp), .. }), Command::Apop { user, digest }) => {
                let proof = Apop { timestamp: timestamp.clone(), digest };
                let user = self.config.utf8.check_name(user)?.to_string();
                return Ok(Some(self.ask(Asked::Login, Event::Apop { user, proof }, now)));
            }
            (Stage::Authorization(_), Command::User(_) | Command::Pass(_))
                if !plaintext_allowed(&self.config, self.transport) =>
            {
                return Err(Violation::PlaintextLogin);
            }
            (Stage::Authorization(claims), Command::User(name)) => {
                claims.user = Some(self.config.utf8.check_name(name)?.to_string());
                Reply::ok("send the password").write(out);
            }
            (Stage::Authorization(claims), Command::Pass(password)) => {
                let Some(user) = claims.user.take() else { return Err(Violation::Sequence) };
                let password = Secret::new(self.config.utf8.check_password(password)?.to_vec());
                return Ok(Some(self.ask(Asked::Login, Event::Login { user, password }, now)));
            }
            (
                Stage::Authorization(_),
                Command::Dele(_)
                | Command::List(_)
                | Command::Retr(_)
                | Command::Rset
                | Command::Stat
                | Command::Top { .. }
                | Command::Uidl(_),
            ) => return Err(Violation::Sequence),

            (Stage::Transaction(marked), Command::Quit) => {
                let event = Event::Update { deleted: marked.deleted() };
                return Ok(Some(self.ask(Asked::Update, event, now)));
            }
            (Stage::Transaction(marked), Command::Stat) => {
                let (count, octets) = (marked.count(), marked.octets());
                line(out, format_args!("+OK {count} {octets}"));
            }
            (Stage::Transaction(_), Command::List(None)) => {
                return Ok(Some(self.ask(Asked::List { what: Listing::Sizes, next: 0 }, Event::List, now)));
            }
            (Stage::Transaction(_), Command::Uidl(None)) => {
                return Ok(Some(self.ask(Asked::List { what: Listing::UniqueIds, next: 0 }, Event::List, now)));
            }
            (Stage::Transaction(marked), Command::List(Some(number))) => match marked.message(number) {
                Some(message) => line(out, format_args!("+OK {number} {}", message.octets())),
                None => no_such_message(out),
            },
            (Stage::Transaction(marked), Command::Uidl(Some(number))) => match marked.message(number) {
                Some(message) => line(out, format_args!("+OK {number} {}", message.uidl)),
                None => no_such_message(out),
            },
            (Stage::Transaction(marked), Command::Retr(number)) => match marked.message(number) {
                Some(message) => {
                    let asked = Asked::Retrieve { size: message.size, octets: message.octets() };
                    return Ok(Some(self.ask(asked, Event::Retrieve { number }, now)));
                }
                None => no_such_message(out),
            },
            (Stage::Transaction(marked), Command::Top { number, lines }) => match marked.message(number) {
                Some(_) => return Ok(Some(self.ask(Asked::Top { lines }, Event::Top { number }, now))),
                None => no_such_message(out),
            },
            (Stage::Transaction(marked), Command::Dele(number)) => match marked.delete(number) {
                Some(()) => Reply::ok("marked").write(out),
                None => no_such_message(out),
            },
            (Stage::Transaction(marked), Command::Rset) => {
                marked.reset();
                Reply::ok("").with_text(count_and_octets(marked)).write(out);
            }
            (
                Stage::Transaction(_),
                Command::Apop { .. }
                | Command::Auth { .. }
                | Command::Pass(_)
                | Command::Stls
                | Command::User(_)
                | Command::Utf8
                | Command::Xclient(_)
                | Command::Xoip(_),
            ) => return Err(Violation::Sequence),
        }
        Ok(None)
    }

    fn stls(&mut self, now: Duration, input: &BytesMut, out: &mut BytesMut) -> Result<Option<Event>, Violation> {
        // RFC 6856 §2.1: no STLS behind UTF8.
        if self.transport == Transport::Tls || self.mode == Mode::Utf8 {
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

    fn proxied(&self, client: Proxied, out: &mut BytesMut) -> Result<Event, Violation> {
        if self.config.xclient == Xclient::Off {
            return Err(Violation::UnknownCommand);
        }
        Reply::ok("updated").write(out);
        Ok(Event::Proxied(client))
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
        if plaintext_allowed(&self.config, self.transport) {
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
        if plaintext_allowed(&self.config, self.transport) {
            out.put_slice(b"USER\r\n");
        }
        if !self.mechanisms().is_empty() {
            line(out, format_args!("SASL {}", self.mechanisms().join(" ")));
        }
        if self.config.stls == Stls::Offered && self.transport == Transport::Plain {
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

fn plaintext_allowed(config: &ServerConfig, transport: Transport) -> bool {
    transport == Transport::Tls || config.plaintext_login == PlaintextLogin::Always
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

fn no_such_message(out: &mut BytesMut) {
    Reply::err("no such message").write(out);
}
