//! The POP3 server under the laws.

use core::time::Duration;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use pop3_proto::{
    Announced, Code, Ending, Event, Expire, Limits, Link, Maildrop, Message, Misuse, PlaintextLogin, Progress, Reply,
    ServerConfig, ServerSession, Step, Stls, Timestamp, Utf8, Xclient,
};

use services::engine::Close;

use crate::wire::{begins, hex, line, lines, shown};
use crate::{Broken, Draw, Enclosed, Listener, Reset, Said, Subject, Written, ensure};

/// A server with three messages, which lets everybody in as the mood is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server;

/// A client that knows which replies have several lines.
#[derive(Clone, Debug, Default)]
pub struct Client {
    in_sasl: bool,
}

const MESSAGES: [&[u8]; 3] = [b"A: 1\r\n\r\n.one\r\n..\r\ntwo\r\n.\r\n", b"", b"Subject: no end\r\n\r\nof line"];

const WORDS: [&[u8]; 52] = [
    b"USER bob\r\n",
    b"PASS secret\r\n",
    b"RETR 1\r\n",
    b"DELE 1\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"LIST\r\n",
    b"UIDL\r\n",
    b"STAT\r\n",
    b"RSET\r\n",
    b"CAPA\r\n",
    b"STLS\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH PLAIN AGJvYgB4\r\n",
    b"AUTH SCRAM-SHA-256 =\r\n",
    b"AGJvYgB4\r\n",
    b"*\r\n",
    b"TOP 1 1\r\n",
    b"TOP 3 0\r\n",
    b"RETR 2\r\n",
    b"RETR 3\r\n",
    b"DELE 2\r\n",
    b"DELE 3\r\n",
    b"LIST 2\r\n",
    b"UIDL 3\r\n",
    b"retr 4\r\n",
    b"USER bob\r\nPASS secret\r\n",
    b"PASS two words \r\n",
    b"XYZZY\r\n",
    b"AUTH\r\n",
    b"USER \r\n",
    b"RETR 99999999999\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"USER ",
    b"\0",
    b"................................................................................",
    b"AUTH PLAIN !\r\n",
    b"=\r\n",
    b"APOP bob c4c9334bac560ecc979e58001b3e22fb\r\n",
    b"APOP bob\r\n",
    b"UTF8\r\n",
    b"USER b\xc3\xb6b\r\n",
    b"PASS \xc3\xb6\r\n",
    b"PASS \xc3\r\n",
    b"LANG\r\n",
    b"LANG en-GB\r\n",
    b"LANG tlh\r\n",
    b"XCLIENT ADDR=192.0.2.1 PORT=12\r\n",
    b"XCLIENT PORT=12\r\n",
    b"XOIP 2001:db8::1\r\n",
];

impl Subject for Server {
    type Engine = ServerSession;
    type Listener = Client;

    fn start(&self, config: u8, now: Duration) -> ServerSession {
        ServerSession::new(Arc::new(configuration(config)), Link::default(), now)
    }

    fn words(&self) -> &[&[u8]] {
        &WORDS
    }

    /// A user's name, and a bit for each message.
    fn memory(&self) -> usize {
        Limits::default().command_line + 64
    }

    fn total_phases(&self) -> &[&str] {
        &["login", "tls"]
    }

    fn sync_violations(&self) -> &[&str] {
        &["pipelined_tls"]
    }

    fn answer(
        &self,
        engine: &mut ServerSession,
        question: &Event,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) {
        // What does not fit any more, behind a verb that answered already, is a misuse and changes nothing.
        let _ = answer(engine, question, draw, now, out);
    }

    fn decline(&self, engine: &mut ServerSession, now: Duration, out: &mut BytesMut) {
        engine.decline(now, out);
    }

    fn verb(&self, engine: &mut ServerSession, draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) -> Said {
        let said = match draw.octet() % 10 {
            0 => engine.accept(now, out),
            1 => engine.reply(&Reply::ok("yes"), now, out),
            2 => engine.reply(&refusal(draw), now, out),
            3 => {
                engine.decline(now, out);
                Ok(())
            }
            4 => engine.challenge(b"more", now, out),
            5 => engine.open(maildrop(), now, out),
            6 => engine.list_more(now, out).map(|_| ()),
            7 => engine.body(b".", out),
            8 => timestamp().map_or(Err(Misuse::NotNow), |timestamp| engine.greet(timestamp, now, out)),
            _ => engine.end_body(now, out),
        };
        if said.is_ok() { Said::Ok } else { Said::Misuse }
    }

    fn tell(&self, event: &Event) -> String {
        match event {
            Event::Login { user, password } => format!("Login {user} {}", hex(password.expose())),
            Event::Apop { user, proof } => format!("Apop {user} {}", proof.matches(b"secret")),
            Event::Auth { mechanism, initial } => {
                format!("Auth {mechanism} {:?}", initial.as_ref().map(|initial| hex(initial.expose())))
            }
            Event::SaslResponse(response) => format!("SaslResponse {}", hex(response.expose())),
            Event::Connected
            | Event::Proxied(_)
            | Event::SaslCancelled
            | Event::List
            | Event::Retrieve { .. }
            | Event::Top { .. }
            | Event::Update { .. }
            | Event::Violation(_) => format!("{event:?}"),
        }
    }

    fn listener(&self, _config: u8) -> Client {
        Client::default()
    }

    fn resets(&self) -> &[Reset] {
        &RESETS
    }

    /// A client sends no bodies. What comes nearest is a line of a SASL exchange, of which many are commands by their looks.
    fn enclose(&self, text: &[u8]) -> Vec<Enclosed> {
        let mut line: Vec<u8> = text.iter().copied().filter(u8::is_ascii_alphanumeric).take(1000).collect();
        line.truncate(line.len() / 4 * 4);
        let Ok(text) = STANDARD.decode(&line) else { return Vec::new() };
        if text.is_empty() {
            return Vec::new();
        }
        line.extend_from_slice(b"\r\n");
        vec![Enclosed { config: 0, lead: b"AUTH PLAIN\r\n".to_vec(), wire: line, text: Some(text) }]
    }

    /// A message, by RETR.
    fn write(&self, draw: &mut Draw<'_>) -> Written {
        let mut text = Vec::new();
        for _ in 0..draw.octet() % 24 {
            text.extend_from_slice(draw.pick(&[b".".as_slice(), b"\r\n", b"x", b"\r\n.", b"\r", b"\r\n.\r\n"]));
        }
        let wire = message(&text, draw.below(text.len() + 1));
        if !text.is_empty() && !text.ends_with(b"\r\n") {
            text.extend_from_slice(b"\r\n");
        }
        Written { wire, meant: hex(&text), read: read_message }
    }
}

const RESETS: [Reset; 3] = [
    // RFC 2595 §4: what was said in the clear is not believed behind TLS.
    Reset {
        config: 1,
        lead: b"",
        gossip: &[b"USER bob\r\n", b"USER mallory\r\n", b"CAPA\r\n", b"NOOP\r\n", b"AUTH PLAIN\r\n*\r\n"],
        edge: b"STLS\r\n",
    },
    // RFC 1939 §5: RSET takes the marks back.
    Reset {
        config: 0,
        lead: b"USER bob\r\nPASS secret\r\n",
        gossip: &[b"DELE 1\r\n", b"DELE 2\r\n", b"DELE 3\r\n", b"STAT\r\n", b"RETR 3\r\n", b"LIST\r\n"],
        edge: b"RSET\r\n",
    },
    // RFC 1939 §7: PASS belongs to the last USER.
    Reset {
        config: 0,
        lead: b"",
        gossip: &[b"USER bob\r\n", b"USER mallory\r\n", b"NOOP\r\n"],
        edge: b"USER carol\r\n",
    },
];

impl Listener for Client {
    fn utterance(&self, wire: &[u8]) -> Option<usize> {
        line(wire)
    }

    fn hear(&mut self, utterance: &[u8], said: &[u8], _end: Option<Close>) -> Result<(), Broken> {
        let heard = || format!("{} to {}", shown(said), shown(utterance));
        let in_sasl = core::mem::take(&mut self.in_sasl);
        let command = if in_sasl { &[] } else { utterance };
        let mut lines = lines(said);
        let Some(status) = lines.next().filter(|line| line.ends_with(b"\r\n")) else {
            return Err(Broken::new(format!("says no whole line: {}", heard())));
        };
        if status.starts_with(b"+ ") {
            ensure!(in_sasl || begins(command, b"AUTH"), "challenges nobody: {}", heard());
            self.in_sasl = true;
        } else {
            ensure!(status.starts_with(b"+OK") || status.starts_with(b"-ERR"), "says no status: {}", heard());
        }
        if status.starts_with(b"+OK") && has_several_lines(command) {
            ensure!(lines.any(|line| line == b".\r\n"), "does not end its reply: {}", heard());
        }
        ensure!(lines.next().is_none(), "says more than one reply: {}", heard());
        Ok(())
    }
}

fn has_several_lines(command: &[u8]) -> bool {
    [b"CAPA\r\n".as_slice(), b"LIST\r\n", b"UIDL\r\n", b"LANG\r\n", b"RETR ", b"TOP "]
        .iter()
        .any(|verb| begins(command, verb))
}

/// The octets that a server sends for a message that it gets in two pieces, its status line first.
#[must_use]
pub fn message(text: &[u8], cut: usize) -> Vec<u8> {
    let commands = b"USER a\r\nPASS b\r\nRETR 1\r\n";
    let (mut input, mut out, now) = (BytesMut::from(commands.as_slice()), BytesMut::new(), Duration::ZERO);
    let mut session = Server.start(0, now);
    while let Step::Event(event) = session.next_event(now, &mut input, &mut out) {
        match event {
            Event::Login { .. } => {
                let _ = session.open(Arc::new(of(&[text])), now, &mut out);
                out.clear();
            }
            Event::Retrieve { .. } => {
                let _ = session.accept(now, &mut out);
                let (front, rest) = text.split_at_checked(cut).unwrap_or((text, &[]));
                let _ = session.body(front, &mut out).and_then(|()| session.body(rest, &mut out));
                let _ = session.end_body(now, &mut out);
            }
            Event::Connected
            | Event::Proxied(_)
            | Event::Apop { .. }
            | Event::Auth { .. }
            | Event::SaslResponse(_)
            | Event::SaslCancelled
            | Event::List
            | Event::Top { .. }
            | Event::Update { .. }
            | Event::Violation(_) => {
                let _ = session.accept(now, &mut out);
            }
        }
    }
    out.to_vec()
}

/// Reads a message out of a reply, as a client does.
fn read_message(wire: &[u8]) -> String {
    let mut lines = lines(wire);
    let mut text = Vec::new();
    if lines.next().is_none_or(|status| !status.starts_with(b"+OK ")) {
        return "no message".into();
    }
    while let Some(line) = lines.next() {
        if line == b".\r\n" {
            return if lines.next().is_none() { hex(&text) } else { "more than a message".into() };
        }
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    "a message without an end".into()
}

fn configuration(number: u8) -> ServerConfig {
    let patient = Limits { violations: 1000, failed_logins: 1000, ..Limits::default() };
    let common = ServerConfig {
        greeting: "ready".into(),
        mechanisms: vec!["PLAIN".into(), "SCRAM-SHA-256".into()],
        mechanisms_before_tls: vec!["SCRAM-SHA-256".into()],
        stls: Stls::Offered,
        limits: patient,
        ..ServerConfig::default()
    };
    match number % 4 {
        0 => ServerConfig { plaintext_login: PlaintextLogin::Always, stls: Stls::Off, ..common },
        1 => ServerConfig { plaintext_login: PlaintextLogin::Always, xclient: Xclient::Trusted, ..common },
        2 => ServerConfig {
            plaintext_login: PlaintextLogin::UnderTls,
            utf8: Utf8::Offered,
            expire: Some(Announced::PerUser(Expire::Days(0))),
            login_delay: Some(Announced::Fixed(60)),
            ..common
        },
        _ => {
            let limits = Limits { command_line: 40, sasl_line: 60, listing: 10, violations: 3, failed_logins: 1 };
            ServerConfig { plaintext_login: PlaintextLogin::Always, utf8: Utf8::Offered, limits, ..common }
        }
    }
}

fn maildrop() -> Arc<Maildrop> {
    Arc::new(of(&MESSAGES))
}

/// These messages; none if they make no maildrop.
fn of(texts: &[&[u8]]) -> Maildrop {
    let message = |(number, text): (u32, &&[u8])| Message {
        size: text.len() as u64,
        ending: if text.is_empty() || text.ends_with(b"\r\n") { Ending::Crlf } else { Ending::Open },
        uidl: number.to_string().into(),
    };
    Maildrop::new((1..).zip(texts).map(message).collect()).unwrap_or_default()
}

fn timestamp() -> Option<Timestamp> {
    Timestamp::parse("<1896.697170952@dbc.mtview.ca.us>").ok()
}

fn answer(
    engine: &mut ServerSession,
    question: &Event,
    draw: &mut Draw<'_>,
    now: Duration,
    out: &mut BytesMut,
) -> Result<(), Misuse> {
    let refuses = draw.octet() >= 200;
    match question {
        Event::Connected if refuses && draw.octet() >= 128 => engine.reply(&refusal(draw), now, out),
        Event::Connected => match timestamp() {
            Some(timestamp) if draw.octet() >= 128 => engine.greet(timestamp, now, out),
            Some(_) | None => engine.accept(now, out),
        },
        Event::Login { .. } | Event::Apop { .. } | Event::Auth { .. } | Event::SaslResponse(_) if refuses => {
            engine.reply(&refusal(draw), now, out)
        }
        Event::Auth { initial: None, .. } => engine.challenge(b"", now, out),
        Event::Auth { .. } | Event::SaslResponse(_) if draw.octet() >= 200 => engine.challenge(b"more", now, out),
        Event::Login { .. } | Event::Apop { .. } | Event::Auth { .. } | Event::SaslResponse(_) => {
            engine.open(maildrop(), now, out)
        }
        Event::List | Event::Retrieve { .. } | Event::Top { .. } if refuses => engine.reply(&refusal(draw), now, out),
        Event::List => {
            while engine.list_more(now, out)? == Progress::More {}
            Ok(())
        }
        Event::Retrieve { number } | Event::Top { number } => {
            engine.accept(now, out)?;
            let text = usize::try_from(*number).ok().and_then(|number| MESSAGES.get(number.checked_sub(1)?));
            let piece = usize::from(draw.octet()).max(1);
            for chunk in text.copied().unwrap_or_default().chunks(piece) {
                if engine.wants_body() {
                    engine.body(chunk, out)?;
                }
            }
            engine.end_body(now, out)
        }
        Event::Update { .. } if refuses => engine.reply(&refusal(draw), now, out),
        Event::Update { .. } => engine.accept(now, out),
        Event::Proxied(_) | Event::SaslCancelled | Event::Violation(_) => Ok(()),
    }
}

fn refusal(draw: &mut Draw<'_>) -> Reply {
    let code = [Code::Auth, Code::InUse, Code::LoginDelay, Code::SysPerm, Code::SysTemp, Code::Utf8];
    let reply = Reply::err("no");
    match code.get(draw.below(code.len() + 1)) {
        Some(code) => reply.with_code(*code),
        None => reply,
    }
}
