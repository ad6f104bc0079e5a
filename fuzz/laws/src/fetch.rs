//! The POP3 client under the laws: a visit to a maildrop.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use pop3_proto::{
    Choice, ClientConfig, ClientEvent, ClientSession, Command, Fetch, FetchEvent, LineEnds, Login, Mechanism, Misuse,
    Offer, Password, Policy, ScanListing, Secret, Step, TlsPolicy, UniqueId, Utf8Policy,
};
use services::engine::{Close, Link, TlsInfo};

use crate::pop3_client::{self, Owed, ROOMY, TIGHT, Transport};
use crate::wire::{hex, lines};
use crate::{Broken, Draw, Enclosed, Listener, Reset, Said, Subject, Written, ensure};

/// A client that gets, deletes or leaves each message as the mood is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client;

/// A server that remembers what it has listed, and what became of that.
#[derive(Clone, Debug)]
pub struct Server {
    session: pop3_client::Server,
    policy: TlsPolicy,
    listed: BTreeSet<u32>,
    asked_for: BTreeSet<u32>,
    kept: BTreeSet<u32>,
    deleted: BTreeSet<u32>,
}

/// One way to make a visit.
pub(crate) struct Visit {
    pub(crate) config: ClientConfig,
    pub(crate) login: Login,
    pub(crate) policy: Policy,
    pub(crate) link: Link,
}

/// What a server says from its greeting to its list, by what it offers and says to what logs in. It may be a reply more or less
/// than a client waits for: then the others move up.
macro_rules! opening {
    ($offers_and_logins:literal $(, $more:expr)?) => {
        concat!(
            "+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n+OK\r\n",
            $offers_and_logins,
            $($more,)?
            "+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n+OK\r\n1 20\r\n2 5\r\n4 0\r\n.\r\n"
        )
        .as_bytes()
    };
}

/// Lines of UIDL, more than anybody takes.
macro_rules! flood {
    ($($tens:literal)*) => {
        concat!("+OK\r\n", $(
            $tens, "1 ", unique_id!(), $tens, "2 ", unique_id!(), $tens, "3 ", unique_id!(), $tens, "4 ", unique_id!(),
            $tens, "5 ", unique_id!(), $tens, "6 ", unique_id!(), $tens, "7 ", unique_id!(), $tens, "8 ", unique_id!(),
        )*)
    };
}

/// A long one.
macro_rules! unique_id {
    () => {
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\
         0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n"
    };
}

// What is said often stands here often: scripts draw from the list as it is.
const WORDS: [&[u8]; 58] = [
    opening!("USER\r\nUIDL\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\n"),
    opening!("USER\r\nUIDL\r\nPIPELINING\r\n.\r\n+OK\r\n"),
    opening!("USER\r\nSASL X\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\n"),
    opening!("USER\r\nSASL X\r\nPIPELINING\r\n.\r\n+OK\r\n"),
    opening!("USER\r\nSASL PLAIN X\r\n.\r\n+OK\r\n+OK\r\n"),
    opening!("USER\r\nSASL PLAIN X\r\n.\r\n+OK\r\n"),
    opening!("SASL PLAIN X\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\n"),
    opening!("SASL PLAIN X\r\nPIPELINING\r\n.\r\n+OK\r\n"),
    opening!("USER\r\nUTF8 USER\r\nSASL X\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n"),
    opening!("USER\r\nUTF8 USER\r\nSASL X\r\n.\r\n-ERR no\r\n+OK\r\n"),
    opening!("UTF8\r\nSASL X PLAIN\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n"),
    opening!("UTF8\r\nSASL X PLAIN\r\nPIPELINING\r\n.\r\n-ERR no\r\n+OK\r\n"),
    opening!("SASL X\r\n.\r\n+ \r\n+OK\r\n"),
    opening!("SASL X\r\nPIPELINING\r\n.\r\n+ Y2hhbGxlbmdl\r\n+OK\r\n"),
    opening!("STLS\r\n.\r\n+OK\r\n+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\n"),
    opening!("STLS\r\n.\r\n+OK\r\n+OK\r\nSASL X\r\nPIPELINING\r\n.\r\n+OK\r\n"),
    opening!("STLS\r\n.\r\n+OK\r\n+OK\r\nUSER\r\nUTF8 USER\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n"),
    opening!("USER\r\nSASL X\r\nSTLS\r\n.\r\n-ERR no\r\n+OK\r\n"),
    opening!("STLS\r\nUSER\r\nPIPELINING\r\n.\r\n-ERR no\r\n+OK\r\n+OK\r\n"),
    opening!("USER\r\nSASL X\r\n.\r\n+OK\r\n", flood!(1 2 3 4)),
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\nA: b\r\n\r\ntext\r\n.\r\n",
    b"+OK\r\nA: b\r\n\r\ntext\r\n.\r\n",
    b"+OK\r\nA: b\r\n\r\ntext\r\n.\r\n",
    b"-ERR no\r\n",
    b"-ERR no\r\n",
    b"+OK\r\n..\r\n.. two\r\n.\r\n",
    b"+OK\r\n.\r\n+OK\r\n",
    b"+OK\r\nA: b\r\n\r\ntext\r\n.\r\n+OK\r\nno end",
    b"+OK\r\n+OK\r\n+OK\r\n",
    b".\r\n",
    b".\r\n",
    b"+OK ready <1@b>\r\n",
    b"+OK\r\n-ERR what\r\n",
    b"+OK\r\n+OK\r\nSTLS\r\n.\r\n+OK\r\n",
    b"-ERR [IN-USE] busy\r\n",
    b"-ERR [SYS/TEMP] later\r\n",
    b"+ \r\n",
    b"+\r\n",
    b"+ !\r\n",
    b"1 20\r\n2 two\r\n",
    b"9 9\r\n8 8\r\n7 7\r\n6 6\r\n5 5\r\n",
    b"4294967296 1\r\n0 0\r\n",
    b"QUIT\r\n",
    b"..\r\n.x\r\n",
    b".",
    b"\r\n",
    b"\r",
    b"\n",
    b"\n.\n",
    b"\n+OK\n+OK\n",
    b"\0",
    b"\xff",
    b"................................................................................",
];

impl Subject for Client {
    type Engine = Fetch;
    type Listener = Server;

    fn start(&self, config: u8, now: Duration) -> Fetch {
        let Visit { config, login, policy, link } = visit(config);
        Fetch::new(Arc::new(config), login, policy, link.into(), now)
    }

    fn words(&self) -> &[&[u8]] {
        &WORDS
    }

    /// What the server offers, and each message with its unique-id and its errand; and the reply that means trouble.
    fn memory(&self) -> usize {
        let message = 256 + 3 * size_of::<Offer>();
        pop3_client::Client.memory() + ROOMY.messages * message + ROOMY.line
    }

    fn total_phases(&self) -> &[&str] {
        &["greeting", "tls"]
    }

    fn progress(&self) -> usize {
        TIGHT.progress
    }

    /// Of most replies nothing is told.
    fn ends_unheard(&self, octet: u8, _waiting_for: &str) -> bool {
        octet == b'\n'
    }

    fn sync_violations(&self) -> &[&str] {
        &["pipelined_tls"]
    }

    fn answer(
        &self,
        engine: &mut Fetch,
        question: &FetchEvent,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) {
        // What does not fit any more, behind a verb that answered already, is a misuse and changes nothing.
        let _ = answer(engine, question, draw, now, out);
    }

    fn decline(&self, engine: &mut Fetch, now: Duration, out: &mut BytesMut) {
        engine.decline(now, out);
    }

    fn verb(&self, engine: &mut Fetch, draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) -> Said {
        let said = match draw.octet() % 8 {
            0 => engine.choose(|_| Choice::Get, now, out),
            1 => engine.choose(|offer| Choice::Top(offer.number), now, out),
            2 => engine.choose(|_| Choice::Delete, now, out),
            3 => engine.accept(now, out),
            4 => engine.delete(now, out),
            5 => engine.respond(b"response", now, out),
            6 => engine.cancel(now, out),
            _ => {
                engine.decline(now, out);
                Ok(())
            }
        };
        if said.is_ok() { Said::Ok } else { Said::Misuse }
    }

    fn tell(&self, event: &FetchEvent) -> String {
        match event {
            FetchEvent::Challenge(challenge) => format!("Challenge {}", hex(challenge.expose())),
            FetchEvent::Maildrop
            | FetchEvent::Message(_)
            | FetchEvent::Chunk(_)
            | FetchEvent::Received { .. }
            | FetchEvent::Refused { .. }
            | FetchEvent::NotDeleted { .. }
            | FetchEvent::Done(_) => format!("{event:?}"),
        }
    }

    fn listener(&self, config: u8) -> Server {
        let Visit { config, policy, link, .. } = visit(config);
        Server {
            session: pop3_client::Server::new(config, &link),
            policy: policy.tls,
            listed: BTreeSet::new(),
            asked_for: BTreeSet::new(),
            kept: BTreeSet::new(),
            deleted: BTreeSet::new(),
        }
    }

    fn resets(&self) -> &[Reset] {
        &RESETS
    }

    /// As a message, however the client finds its lines; and as a challenge.
    fn enclose(&self, text: &[u8]) -> Vec<Enclosed> {
        let mut text = text.to_vec();
        text.extend_from_slice(b"\r\n");
        let mut wire = doubled(&text);
        wire.extend_from_slice(b".\r\n");
        let message =
            |config| Enclosed { config, lead: TWO_MESSAGES.to_vec(), wire: wire.clone(), text: Some(text.clone()) };
        let mut ways = vec![message(0), message(LINES_BY_LF)];

        let mut line: Vec<u8> = text.iter().copied().filter(u8::is_ascii_alphanumeric).take(400).collect();
        line.truncate(line.len() / 4 * 4);
        if let Ok(challenge) = STANDARD.decode(&line)
            && !challenge.is_empty()
        {
            let (lead, wire) = (b"+OK\r\n+OK\r\nSASL X\r\n.\r\n".to_vec(), [b"+ ", &*line, b"\r\n"].concat());
            ways.push(Enclosed { config: BY_SASL, lead, wire, text: Some(challenge) });
        }
        ways
    }

    /// A message, as our own server sends it.
    fn write(&self, draw: &mut Draw<'_>) -> Written {
        let Written { wire, meant, .. } = crate::pop3::Server.write(draw);
        Written { wire, meant, read: if draw.octet() < 128 { read_message } else { read_message_by_lf } }
    }
}

/// RFC 2595 §4: what was offered in the clear is not believed behind TLS.
const RESETS: [Reset; 1] = [Reset {
    config: WITH_TLS,
    lead: b"+OK\r\n+OK\r\n",
    gossip: &[
        b"USER\r\n",
        b"PIPELINING\r\n",
        b"UTF8 USER\r\n",
        b"SASL PLAIN X\r\n",
        b"IMPLEMENTATION gossip\r\n",
        b"EXPIRE 0\r\n",
        b"LANG\r\n",
    ],
    edge: b"STLS\r\n.\r\n+OK\r\n",
}];

/// Up to a message that comes in, with another one to come.
const TWO_MESSAGES: &[u8] = b"+OK\r\n+OK\r\nUSER\r\nUIDL\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\n\
    +OK\r\n1 a\r\n2 b\r\n.\r\n+OK\r\n1 20\r\n2 5\r\n.\r\n+OK\r\n";

impl Listener for Server {
    fn utterance(&self, wire: &[u8]) -> Option<usize> {
        self.session.utterance(wire)
    }

    fn hear(&mut self, utterance: &[u8], said: &[u8], end: Option<Close>) -> Result<(), Broken> {
        let owed = self.session.owed.front().copied();
        let is_positive = self.session.reply(utterance).is_some_and(|reply| reply.is_positive());
        match owed {
            Some(Owed::Listing) if is_positive => self.list(utterance),
            Some(Owed::Message(number)) if !is_positive => {
                self.kept.insert(number);
            }
            Some(_) | None => {}
        }
        self.session.hear(utterance, said, end)?;
        // A response to a challenge is none of these.
        let mut commands = lines(said).filter_map(|line| Command::parse(line.strip_suffix(b"\r\n")?).ok());
        commands.try_for_each(|command| self.asked(&command))
    }
}

impl Server {
    fn list(&mut self, answer: &[u8]) {
        for line in self.session.lines(answer).skip(1) {
            let line = line.strip_prefix(b".").unwrap_or(line);
            let number = ScanListing::parse(line).map(|ScanListing { number, .. }| number);
            self.listed.extend(number.or_else(|_| UniqueId::parse(line).map(|UniqueId { number, .. }| number)));
        }
    }

    /// A visit sends no more than it has to, and nothing that may do harm.
    fn asked(&mut self, command: &Command<'_>) -> Result<(), Broken> {
        match command {
            Command::User(_) | Command::Pass(_) | Command::Apop { .. } | Command::Auth { .. } => {
                let may_be_read = match self.policy {
                    TlsPolicy::Never => true,
                    TlsPolicy::Opportunistic => !self.session.offers.stls,
                    TlsPolicy::Required => false,
                };
                ensure!(may_be_read || self.session.transport == Transport::Tls, "logs in without the TLS it wants");
            }
            Command::Retr(number) | Command::Top { number, .. } => {
                ensure!(self.listed.contains(number), "asks for message {number}, which is not listed");
                ensure!(self.asked_for.insert(*number), "asks for message {number} twice");
                ensure!(!self.deleted.contains(number), "asks for message {number}, which it has deleted");
            }
            Command::Dele(number) => {
                ensure!(self.listed.contains(number), "deletes message {number}, which is not listed");
                ensure!(self.deleted.insert(*number), "deletes message {number} twice");
                ensure!(!self.kept.contains(number), "deletes message {number}, which it was not given");
                let comes = self.session.owed.contains(&Owed::Message(*number));
                ensure!(!comes, "deletes message {number} before it has come");
            }
            Command::Capa | Command::List(None) | Command::Quit | Command::Stls | Command::Uidl(None) => {}
            Command::Utf8 => {}
            Command::Lang(_)
            | Command::List(Some(_))
            | Command::Noop
            | Command::Rset
            | Command::Stat
            | Command::Uidl(Some(_))
            | Command::Xclient(_)
            | Command::Xoip(_) => return Err(Broken::new(format!("has no use for {command:?}"))),
        }
        Ok(())
    }
}

fn answer(
    engine: &mut Fetch,
    question: &FetchEvent,
    draw: &mut Draw<'_>,
    now: Duration,
    out: &mut BytesMut,
) -> Result<(), Misuse> {
    match question {
        FetchEvent::Challenge(_) => match draw.octet() {
            0..=199 => engine.respond(b"response", now, out),
            200.. => engine.cancel(now, out),
        },
        FetchEvent::Maildrop => engine.choose(|_| choice(draw), now, out),
        FetchEvent::Received { .. } => match draw.octet() {
            0..=119 => engine.delete(now, out),
            120..=199 => engine.accept(now, out),
            200..=239 => {
                engine.decline(now, out);
                Ok(())
            }
            // It could not be stored.
            240.. => {
                engine.abort();
                Ok(())
            }
        },
        FetchEvent::Message(_)
        | FetchEvent::Chunk(_)
        | FetchEvent::Refused { .. }
        | FetchEvent::NotDeleted { .. }
        | FetchEvent::Done(_) => Ok(()),
    }
}

/// What becomes of a message.
pub(crate) fn choice(draw: &mut Draw<'_>) -> Choice {
    match draw.octet() {
        0..=149 => Choice::Get,
        octet @ 150..=189 => Choice::Top(u32::from(octet % 4)),
        190..=219 => Choice::Delete,
        220.. => Choice::Leave,
    }
}

/// RFC 1939 §3, and behind bare LFs too, as our own server does it.
fn doubled(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire
}

fn read_message(wire: &[u8]) -> String {
    read(wire, LineEnds::Crlf)
}

fn read_message_by_lf(wire: &[u8]) -> String {
    read(wire, LineEnds::CrlfOrLf)
}

/// Reads a message out of the answer to RETR.
fn read(wire: &[u8], line_ends: LineEnds) -> String {
    let now = Duration::ZERO;
    let config = ClientConfig { line_ends, ..ClientConfig::default() };
    let mut session = ClientSession::new(Arc::new(config), Link::default().into(), now);
    let (mut input, mut out, mut text) = (BytesMut::from(b"+OK\r\n+OK\r\n".as_slice()), BytesMut::new(), Vec::new());
    let _ = session.next_event(now, &mut input, &mut out);
    let Ok(password) = Password::parse(b"secret") else { return "no password".into() };
    let _ = session.send(&Command::Pass(password), now, &mut out);
    let _ = session.next_event(now, &mut input, &mut out);
    let Ok(_) = session.send(&Command::Retr(1), now, &mut out) else { return "no question".into() };
    input.extend_from_slice(wire);
    loop {
        match session.next_event(now, &mut input, &mut out) {
            Step::Event(ClientEvent::Chunk(chunk)) => text.extend_from_slice(&chunk),
            Step::Event(ClientEvent::End { .. }) if input.is_empty() => return hex(&text),
            Step::Event(ClientEvent::End { .. }) => return "more than a message".into(),
            Step::Event(ClientEvent::Reply { reply, .. }) if reply.is_positive() => {}
            Step::Event(
                ClientEvent::Greeting(_)
                | ClientEvent::Reply { .. }
                | ClientEvent::Challenge { .. }
                | ClientEvent::Size(_)
                | ClientEvent::UniqueId { .. }
                | ClientEvent::Farewell(_),
            )
            | Step::NeedInput
            | Step::YourTurn
            | Step::Switch(_)
            | Step::Close(_) => return "no whole message".into(),
        }
    }
}

pub(crate) const USER: &str = "bob";
pub(crate) const PASSWORD: &[u8] = b"secret";

/// A configuration with [`TlsPolicy::Opportunistic`].
const WITH_TLS: u8 = 1;
/// One with [`Login::Sasl`] and no initial response.
const BY_SASL: u8 = 6;
/// One with [`LineEnds::CrlfOrLf`].
const LINES_BY_LF: u8 = 18;

pub(crate) fn visit(number: u8) -> Visit {
    let tls = match number % 3 {
        0 => TlsPolicy::Never,
        1 => TlsPolicy::Opportunistic,
        _ => TlsPolicy::Required,
    };
    let secret = |octets: &[u8]| Secret::new(octets.to_vec());
    let sasl = |initial| match Mechanism::parse(b"X") {
        Ok(mechanism) => Login::Sasl { mechanism: mechanism.into_owned(), initial },
        Err(_) => Login::Password { user: USER.into(), password: secret(PASSWORD) },
    };
    let login = match number / 3 % 6 {
        0 => Login::Password { user: USER.into(), password: secret(PASSWORD) },
        1 => Login::Apop { user: USER.into(), password: secret(PASSWORD) },
        2 => sasl(None),
        3 => sasl(Some(secret(PASSWORD))),
        // Too long for a command of 255 octets.
        4 => sasl(Some(secret(&[b'x'; 300]))),
        _ => Login::Password { user: "b\u{f6}b".into(), password: secret(b" two words ") },
    };
    Visit {
        config: ClientConfig {
            line_ends: if (number / 18).is_multiple_of(2) { LineEnds::Crlf } else { LineEnds::CrlfOrLf },
            limits: if number < 144 { ROOMY } else { TIGHT },
            ..ClientConfig::default()
        },
        login,
        policy: Policy {
            tls,
            utf8: if (number / 36).is_multiple_of(2) { Utf8Policy::WhereOffered } else { Utf8Policy::Never },
        },
        link: Link { tls: (number / 72 % 2 == 1).then(TlsInfo::default), ..Link::default() },
    }
}
