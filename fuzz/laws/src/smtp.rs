//! The SMTP and LMTP server under the laws.

use core::time::Duration;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use services::engine::{Close, Link};
use smtp_proto::{
    Command, Domain, EarlyTalk, Enhanced, Event, Limits, Misuse, PlaintextLogin, Protocol, Reply, ReplyCode, Senders,
    ServerConfig, ServerSession, StartTls, Step, Strays, Vrfy,
};

use crate::wire::{begins, hex, line, lines, shown};
use crate::{Broken, Draw, Enclosed, Listener, Reset, Said, Subject, Written, ensure};

/// A server that takes mail as the mood is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server;

/// A client that knows what it is answered, and how often.
#[derive(Clone, Debug)]
pub struct Client {
    protocol: Protocol,
    refused_chunk: usize,
    expects: Expects,
    recipients: usize,
}

/// What the client has to say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Command,
    SaslLine,
    Body,
}

const WORDS: [&[u8]; 56] = [
    b"EHLO client.test\r\n",
    b"MAIL FROM:<a@client.test>\r\n",
    b"RCPT TO:<b@server.test>\r\n",
    b"DATA\r\n",
    b"Subject: x\r\n\r\ntext\r\n",
    b".\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"LHLO client.test\r\n",
    b"HELO client.test\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH PLAIN AGJvYgB4\r\n",
    b"AUTH SCRAM-SHA-256 =\r\n",
    b"AGJvYgB4\r\n",
    b"*\r\n",
    b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@server.test>\r\nDATA\r\n",
    b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@s.test>\r\nRCPT TO:<c@s.test>\r\nDATA\r\n",
    b"text\r\n.\r\n",
    b"MAIL FROM:<a@client.test> SIZE=30 BODY=8BITMIME\r\n",
    b"MAIL FROM:<a@client.test> SMTPUTF8 AUTH=<>\r\n",
    b"MAIL FROM:<\xc3\xa4@client.test> SMTPUTF8\r\n",
    b"MAIL FROM:<a@client.test> SIZE=99999999999\r\n",
    b"MAIL FROM:<a@client.test> XYZZY=1\r\n",
    b"RCPT TO:<Postmaster>\r\n",
    b"RCPT TO:<@relay.test:b@server.test>\r\n",
    b"RCPT TO:<\xc3\xa4@server.test>\r\n",
    b"RCPT TO:<\"quoted string\"@[192.0.2.1]>\r\n",
    b"rcpt to: <b@server.test> \r\n",
    b"VRFY bob\r\n",
    b"EXPN staff\r\n",
    b"HELP\r\n",
    b"BDAT 6\r\nRSET\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 99999999\r\n",
    b"BDAT x\r\n",
    b"GET / HTTP/1.1\r\n",
    b"Host: server.test\r\n",
    b"XYZZY\r\n",
    b"MAIL\r\n",
    b"MAIL FROM:<a@client.test\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b".",
    b"..\r\n",
    b"\n.\n",
    b"\r.\r",
    b"\r\n.\n",
    b"\0",
    b"\xff\xfe",
    b"................................................................................",
    b"AUTH PLAIN !\r\n",
    b"\r\n.\r\nMAIL FROM:<smuggled@client.test>\r\n",
    b"Received: by x\r\n",
];

impl Subject for Server {
    type Engine = ServerSession;
    type Listener = Client;

    fn start(&self, config: u8, now: Duration) -> ServerSession {
        ServerSession::new(Arc::new(configuration(config)), Link::default().into(), now)
    }

    fn words(&self) -> &[&[u8]] {
        &WORDS
    }

    /// Nothing is kept: messages go on in chunks, recipients are the application's.
    fn memory(&self) -> usize {
        0
    }

    fn total_phases(&self) -> &[&str] {
        &["body", "tls"]
    }

    /// A BDAT is answered behind its octets.
    fn ends_unheard(&self, octet: u8) -> bool {
        octet == b'\n'
    }

    fn sync_violations(&self) -> &[&str] {
        &["pipelined_tls", "early_talk"]
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
        let said = match draw.octet() % 9 {
            0 => engine.accept(now, out),
            1 => engine.reply(&reply(2, draw), now, out),
            2 => engine.reply(&refusal(draw), now, out),
            3 => engine.reply(&reply(3, draw), now, out),
            4 => engine.reply_next(&reply(2, draw), now, out),
            5 => {
                engine.decline(now, out);
                Ok(())
            }
            6 => engine.challenge(b"more", now, out),
            7 => engine.authenticated(now, out),
            _ => engine.discard_body(),
        };
        if said.is_ok() { Said::Ok } else { Said::Misuse }
    }

    fn tell(&self, event: &Event) -> String {
        match event {
            Event::Auth { mechanism, initial } => {
                format!("Auth {mechanism} {:?}", initial.as_ref().map(|initial| hex(initial.expose())))
            }
            Event::SaslResponse(response) => format!("SaslResponse {}", hex(response.expose())),
            Event::Connected
            | Event::Hello(_)
            | Event::SaslCancelled
            | Event::Mail(_)
            | Event::Rcpt(_)
            | Event::Data
            | Event::Chunk(_)
            | Event::End(_)
            | Event::Aborted
            | Event::Vrfy(_)
            | Event::Expn(_)
            | Event::Etrn(_)
            | Event::Xclient(_)
            | Event::Xforward(_)
            | Event::Violation(_) => format!("{event:?}"),
        }
    }

    fn listener(&self, config: u8) -> Client {
        let ServerConfig { protocol, limits, .. } = configuration(config);
        let refused_chunk = usize::try_from(limits.refused_chunks).unwrap_or(usize::MAX);
        Client { protocol, refused_chunk, expects: Expects::Command, recipients: 0 }
    }

    fn resets(&self) -> &[Reset] {
        &RESETS
    }

    fn enclose(&self, text: &[u8]) -> Vec<Enclosed> {
        let mut ways = vec![in_data(text), in_chunk(text), in_loose_chunk(text)];
        ways.extend(in_sasl(text));
        ways
    }

    fn write(&self, draw: &mut Draw<'_>) -> Written {
        match draw.octet() % 3 {
            0 => write_message(draw),
            1 => write_reply(draw),
            _ => write_command(draw),
        }
    }
}

const TRANSACTION: &[u8] = b"EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<b@server.test>\r\n";

/// What leaves something behind in a session: a transaction under way, or one that is done.
const GOSSIP: [&[u8]; 6] = [
    b"MAIL FROM:<a@client.test>\r\n",
    b"RCPT TO:<b@server.test>\r\n",
    b"MAIL FROM:<\xc3\xa4@client.test> SMTPUTF8\r\nRCPT TO:<b@server.test>\r\n",
    b"MAIL FROM:<a@client.test>\r\nRCPT TO:<b@server.test>\r\nDATA\r\ntext\r\n.\r\n",
    b"NOOP\r\n",
    b"VRFY bob\r\n",
];

const RESETS: [Reset; 5] = [
    // RFC 5321 §4.1.1.5
    Reset { config: 0, lead: b"EHLO client.test\r\n", gossip: &GOSSIP, edge: b"RSET\r\n" },
    // RFC 5321 §4.1.4
    Reset { config: 0, lead: b"EHLO client.test\r\n", gossip: &GOSSIP, edge: b"EHLO again.test\r\n" },
    Reset { config: 0, lead: b"EHLO client.test\r\n", gossip: &GOSSIP, edge: b"HELO again.test\r\n" },
    // RFC 5321 §4.1.1.4: the end of a message, whole transactions being the gossip.
    Reset {
        config: 0,
        lead: b"EHLO client.test\r\n",
        gossip: &[b"MAIL FROM:<a@client.test> SMTPUTF8\r\nRCPT TO:<b@server.test>\r\nDATA\r\ntext\r\n.\r\n"],
        edge: b"NOOP\r\n",
    },
    // RFC 3207 §4.2
    Reset {
        config: 1,
        lead: b"",
        gossip: &[
            b"EHLO client.test\r\n",
            b"HELO client.test\r\n",
            b"EHLO client.test\r\nAUTH PLAIN AGJvYgB4\r\n",
            b"EHLO client.test\r\nAUTH PLAIN\r\n*\r\n",
            b"MAIL FROM:<a@client.test>\r\n",
            b"RCPT TO:<b@server.test>\r\n",
        ],
        edge: b"STARTTLS\r\n",
    },
];

impl Listener for Client {
    fn utterance(&self, wire: &[u8]) -> Option<usize> {
        match self.expects {
            Expects::SaslLine => line(wire),
            Expects::Command => {
                let length = line(wire)?;
                let whole = length.checked_add(self.chunk_behind(wire.get(..length)?))?;
                (whole <= wire.len()).then_some(whole)
            }
            Expects::Body if wire.starts_with(b".\r\n") => Some(3),
            Expects::Body => wire.windows(5).position(|five| five == b"\r\n.\r\n").map(|at| at + 5),
        }
    }

    fn hear(&mut self, utterance: &[u8], said: &[u8], end: Option<Close>) -> Result<(), Broken> {
        let heard = || format!("{} to {}", shown(said), shown(utterance));
        let mut codes = codes(said).ok_or_else(|| Broken::new(format!("says what is no reply: {}", heard())))?;
        let owed = if self.expects == Expects::Body && self.protocol == Protocol::Lmtp { self.recipients } else { 1 };
        // RFC 5321 §3.8: a server that has to go may say so at any time, and no more.
        if codes.len() == owed + 1 && codes.last() == Some(&421) {
            codes.pop();
        }
        // Who breaks a message off says so once.
        let enough = if end.is_some() { !codes.is_empty() && codes.len() <= owed } else { codes.len() == owed };
        ensure!(enough, "owes {owed} replies and says {}: {}", codes.len(), heard());
        self.learn(utterance, codes.first().copied().unwrap_or_default());
        Ok(())
    }
}

impl Client {
    /// RFC 3030 §2: so many octets follow a BDAT. A server that will not even skip them closes.
    fn chunk_behind(&self, command: &[u8]) -> usize {
        let size = command
            .strip_suffix(b"\r\n")
            .filter(|command| begins(command, b"BDAT "))
            .and_then(|command| core::str::from_utf8(command).ok()?.split(' ').nth(1)?.parse().ok());
        size.filter(|size| *size <= self.refused_chunk).unwrap_or_default()
    }

    fn learn(&mut self, utterance: &[u8], code: u16) {
        let ended = self.expects == Expects::Body;
        let in_sasl = self.expects == Expects::SaslLine;
        self.expects = Expects::Command;
        match code {
            334 => self.expects = Expects::SaslLine,
            354 => self.expects = Expects::Body,
            _ if ended => self.recipients = 0,
            200..=299 if in_sasl => {}
            200..=299 if begins(utterance, b"RCPT") => self.recipients += 1,
            200..=299 if !begins(utterance, b"NOOP") && !begins(utterance, b"VRFY") => self.recipients = 0,
            _ => {}
        }
    }
}

/// The codes of whole replies. `None` where it is something else.
fn codes(said: &[u8]) -> Option<Vec<u16>> {
    let (mut codes, mut inner) = (Vec::new(), None);
    for line in lines(said) {
        let code: u16 = core::str::from_utf8(line.get(..3)?).ok()?.parse().ok()?;
        if !line.ends_with(b"\r\n") || inner.is_some_and(|inner| inner != code) {
            return None;
        }
        match line.get(3)? {
            b'-' => inner = Some(code),
            b' ' => {
                codes.push(code);
                inner = None;
            }
            _ => return None,
        }
    }
    inner.is_none().then_some(codes)
}

/// A message, its dots doubled.
fn in_data(text: &[u8]) -> Enclosed {
    let text = [text, b"\r\n"].concat();
    let wire = [&stuffed(&text), b".\r\n".as_slice()].concat();
    Enclosed { config: 0, lead: [TRANSACTION, b"DATA\r\n"].concat(), wire, text: Some(text) }
}

/// The only chunk of a message, with a line of its own before the text.
fn in_chunk(text: &[u8]) -> Enclosed {
    let text = [b"x\r\n", text].concat();
    let wire = [format!("BDAT {} LAST\r\n", text.len()).as_bytes(), &text].concat();
    Enclosed { config: 0, lead: TRANSACTION.to_vec(), wire, text: Some(text) }
}

/// A chunk that is skipped, since it belongs to no message.
fn in_loose_chunk(text: &[u8]) -> Enclosed {
    let wire = [format!("BDAT {}\r\n", text.len()).as_bytes(), text].concat();
    Enclosed { config: 0, lead: b"EHLO client.test\r\n".to_vec(), wire, text: None }
}

/// A line of a SASL exchange; many of them are commands by their looks.
fn in_sasl(text: &[u8]) -> Option<Enclosed> {
    let mut wire: Vec<u8> = text.iter().copied().filter(u8::is_ascii_alphanumeric).take(1000).collect();
    wire.truncate(wire.len() / 4 * 4);
    let text = STANDARD.decode(&wire).ok().filter(|text| !text.is_empty())?;
    wire.extend_from_slice(b"\r\n");
    Some(Enclosed { config: 0, lead: b"EHLO client.test\r\nAUTH PLAIN\r\n".to_vec(), wire, text: Some(text) })
}

/// RFC 5321 §4.5.2: a dot that begins a line is doubled.
fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in lines(text) {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire
}

/// A message by DATA, as the client sends it.
pub(crate) fn write_message(draw: &mut Draw<'_>) -> Written {
    let mut text = Vec::new();
    for _ in 0..draw.octet() % 24 {
        text.extend_from_slice(draw.pick(&[b".".as_slice(), b"\r\n", b"x", b"\r\n.", b"\xc3\xa4", b"\r\n.\r\n"]));
    }
    let wire = crate::delivery::message(&text, draw.below(text.len() + 1));
    if !text.is_empty() && !text.ends_with(b"\r\n") {
        text.extend_from_slice(b"\r\n");
    }
    Written { wire, meant: hex(&text), read: read_message }
}

/// Reads a message, as the server does.
fn read_message(wire: &[u8]) -> String {
    let (mut input, mut out) = (BytesMut::from(TRANSACTION), BytesMut::new());
    input.extend_from_slice(b"DATA\r\n");
    input.extend_from_slice(wire);
    let (now, mut text) = (Duration::ZERO, Vec::new());
    let mut session = Server.start(0, now);
    loop {
        match session.next_event(now, &mut input, &mut out) {
            Step::Event(Event::Chunk(chunk)) => text.extend_from_slice(&chunk),
            Step::Event(Event::End(_)) => return hex(&text),
            Step::Event(_) => {
                let _ = session.accept(now, &mut out);
            }
            Step::NeedInput | Step::YourTurn | Step::Switch(_) | Step::Close(_) => return "no message".into(),
        }
    }
}

fn write_reply(draw: &mut Draw<'_>) -> Written {
    let reply = match draw.octet() % 4 {
        class @ (0 | 1) => reply(2 + 2 * class, draw),
        2 => reply(5, draw),
        _ => Reply::plain(ReplyCode::READY, "first line\nsecond line"),
    };
    let mut wire = BytesMut::new();
    reply.write(&mut wire);
    Written { wire: wire.to_vec(), meant: format!("{reply:?}"), read: read_reply }
}

fn read_reply(wire: &[u8]) -> String {
    Reply::parse(wire).map_or("no reply".into(), |reply| format!("{reply:?}"))
}

/// A command, or what becomes of one when an octet of it is another.
fn write_command(draw: &mut Draw<'_>) -> Written {
    let mut line = lines(draw.pick(&WORDS)).next().unwrap_or_default().to_vec();
    line.truncate(line.len().saturating_sub(2));
    let at = draw.below(line.len() + 1);
    if let Some(octet) = line.get_mut(at) {
        *octet = draw.octet();
    }
    let mut wire = BytesMut::new();
    let meant = match Command::parse(&line) {
        Ok(command) => {
            command.write(&mut wire);
            meaning(&command)
        }
        Err(_) => {
            Command::Noop.write(&mut wire);
            meaning(&Command::Noop)
        }
    };
    Written { wire: wire.to_vec(), meant, read: read_command }
}

fn read_command(wire: &[u8]) -> String {
    let line = wire.strip_suffix(b"\r\n").unwrap_or_default();
    Command::parse(line).map_or("no command".into(), |command| meaning(&command))
}

/// A command in text, its secret too.
fn meaning(command: &Command<'_>) -> String {
    match command {
        Command::Auth { mechanism, initial } => {
            format!("{} {:?}", mechanism.as_str(), initial.as_ref().map(|initial| hex(initial.expose())))
        }
        Command::Ehlo(_)
        | Command::Helo(_)
        | Command::Lhlo(_)
        | Command::StartTls
        | Command::Mail { .. }
        | Command::Rcpt { .. }
        | Command::Data
        | Command::Rset
        | Command::Bdat(_)
        | Command::Expn(_)
        | Command::Help(_)
        | Command::Etrn(_)
        | Command::Xclient(_)
        | Command::Xforward(_)
        | Command::Noop
        | Command::Vrfy(_)
        | Command::Quit => format!("{command:?}"),
    }
}

fn configuration(number: u8) -> ServerConfig {
    let small = Limits {
        command_line: 60,
        sasl_line: 80,
        recipients: 2,
        message: 40,
        oversize_factor: 2,
        body_line: 20,
        refused_chunks: 10,
        progress: 0,
        transactions: 10,
        violations: 3,
        failed_logins: 1,
        chatter: 5,
    };
    let patient = Limits { violations: 10_000, failed_logins: 10_000, chatter: 10_000, ..Limits::default() };
    let common = ServerConfig {
        plaintext_login: PlaintextLogin::Always,
        mechanisms: vec!["PLAIN".into(), "SCRAM-SHA-256".into()],
        mechanisms_before_tls: vec!["SCRAM-SHA-256".into()],
        data: Strays::KEEP,
        bdat: Strays::KEEP,
        before_greeting: EarlyTalk::Ignore,
        before_reply: EarlyTalk::Ignore,
        vrfy: Vrfy::Ask,
        limits: patient,
        ..ServerConfig::new(domain("server.test"))
    };
    let strict =
        ServerConfig { data: Strays::default(), bdat: Strays::default(), vrfy: Vrfy::SayNothing, ..common.clone() };
    match number % 6 {
        0 => common,
        1 => ServerConfig { start_tls: StartTls::Offered, ..strict },
        2 => ServerConfig {
            start_tls: StartTls::Required,
            plaintext_login: PlaintextLogin::UnderTls,
            senders: Senders::LoggedIn,
            before_greeting: EarlyTalk::Refuse,
            ..strict
        },
        3 => ServerConfig { protocol: Protocol::Lmtp, ..strict },
        4 => ServerConfig { start_tls: StartTls::Offered, limits: small, ..strict },
        _ => ServerConfig { limits: small, protocol: Protocol::Lmtp, ..common },
    }
}

#[expect(clippy::expect_used, reason = "the name is a constant")]
pub(crate) fn domain(name: &'static str) -> Domain {
    Domain::parse(name).expect("a domain").into_owned()
}

fn answer(
    engine: &mut ServerSession,
    question: &Event,
    draw: &mut Draw<'_>,
    now: Duration,
    out: &mut BytesMut,
) -> Result<(), Misuse> {
    if draw.octet() >= 200 {
        return engine.reply(&refusal(draw), now, out);
    }
    match question {
        Event::Auth { initial: None, .. } => engine.challenge(b"", now, out),
        Event::Auth { .. } | Event::SaslResponse(_) if draw.octet() >= 200 => engine.challenge(b"more", now, out),
        Event::Auth { .. } | Event::SaslResponse(_) => engine.authenticated(now, out),
        Event::Data if draw.octet() >= 200 => {
            engine.accept(now, out)?;
            engine.discard_body()
        }
        Event::End(_) => {
            for _ in 0..draw.octet() % 4 {
                let verdict = if draw.octet() < 128 { reply(2, draw) } else { refusal(draw) };
                engine.reply_next(&verdict, now, out)?;
            }
            engine.accept(now, out)
        }
        Event::Expn(_) => engine.reply(&reply(2, draw), now, out),
        Event::Connected
        | Event::Hello(_)
        | Event::Mail(_)
        | Event::Rcpt(_)
        | Event::Data
        | Event::Vrfy(_)
        | Event::Etrn(_)
        | Event::Xclient(_)
        | Event::Xforward(_) => engine.accept(now, out),
        Event::SaslCancelled | Event::Chunk(_) | Event::Aborted | Event::Violation(_) => Ok(()),
    }
}

fn refusal(draw: &mut Draw<'_>) -> Reply {
    let class = 4 + draw.octet() % 2;
    reply(class, draw)
}

/// A reply of that class, of one line or two.
fn reply(class: u8, draw: &mut Draw<'_>) -> Reply {
    let code = u16::from(class) * 100 + u16::from(draw.octet() % 6) * 10 + u16::from(draw.octet() % 10);
    let text = if draw.octet() < 200 { "as it is" } else { "as it\nis" };
    match ReplyCode::new(code) {
        Some(code) => Reply::new(code, Enhanced::new(draw.octet().into(), draw.octet().into()), text),
        None => Reply::plain(ReplyCode::OK, text),
    }
}
