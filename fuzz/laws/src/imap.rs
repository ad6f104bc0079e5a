//! The IMAP server under the laws.

use core::time::Duration;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use imap_proto::{
    Attribute, BodyItem, Changes, Code, Command, DateTime, Detail, Event, FetchItem, Flags, Limits, ListEntry,
    MailboxStatus, Misuse, NonSync, PlaintextLogin, Rendered, Reply, Selected, ServerConfig, ServerSession, StartTls,
    Step, UidSet, decode_mutf7, encode_mutf7,
};
use services::engine::{Close, Link};

use crate::wire::{begins, hex, line, shown};
use crate::{Broken, Draw, Enclosed, Listener, Reset, Said, Subject, Written, ensure};

/// A server with five messages in every mailbox, which lets everybody in as the mood is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server;

/// A client that waits for `+` where it has to, and for the reply that has its tag.
#[derive(Clone, Debug, Default)]
pub struct Client {
    expects: Expects,
    tag: Vec<u8>,
}

/// What the client says next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expects {
    #[default]
    Command,
    /// The literal that it announced, and the rest of the command.
    Literal(usize),
    /// A line of the command under way: of a SASL exchange, or DONE.
    Line,
}

const WORDS: [&[u8]; 64] = [
    b"a LOGIN bob secret\r\n",
    b"b SELECT inbox\r\n",
    b"c FETCH 1:* (FLAGS UID BODY.PEEK[])\r\n",
    b"d NOOP\r\n",
    b"e STORE 1:2 +FLAGS (\\Deleted)\r\n",
    b"f EXPUNGE\r\n",
    b"g IDLE\r\n",
    b"DONE\r\n",
    b"h LOGOUT\r\n",
    b"i APPEND inbox {5}\r\nhello\r\n",
    b"i APPEND inbox (\\Seen) {12+}\r\na LOGOUT\r\n\r\n\r\n",
    b"j UID FETCH 1:9 (BODY[TEXT]<2.5> RFC822.SIZE ENVELOPE BODYSTRUCTURE INTERNALDATE)\r\n",
    b"k SEARCH OR SEEN TEXT {4+}\r\na\r\nb\r\n",
    b"l COPY 1,3 box\r\n",
    b"m MOVE 1:2 box\r\n",
    b"n CLOSE\r\n",
    b"o UNSELECT\r\n",
    b"p EXAMINE inbox\r\n",
    b"q LIST \"\" *\r\n",
    b"q LSUB \"\" %\r\n",
    b"r STATUS inbox (MESSAGES UIDNEXT UNSEEN)\r\n",
    b"s STARTTLS\r\n",
    b"t AUTHENTICATE PLAIN\r\n",
    b"t AUTHENTICATE PLAIN AGJvYgB4\r\n",
    b"t AUTHENTICATE SCRAM-SHA-256 =\r\n",
    b"AGJvYgB4\r\n",
    b"*\r\n",
    b"u CAPABILITY\r\n",
    b"u NAMESPACE\r\n",
    b"u ID (\"name\" \"x\")\r\n",
    b"v CREATE box\r\n",
    b"v DELETE box\r\n",
    b"v RENAME box other\r\n",
    b"v SUBSCRIBE box\r\n",
    b"v UNSUBSCRIBE box\r\n",
    b"w LOGIN {3}\r\nbob {6+}\r\nsecret\r\n",
    b"w CREATE {400}\r\n",
    b"w CREATE {12+}\r\na LOGOUT\r\n\r\n\r\n",
    b"w XYZZY {3+}\r\nabc {2+}\r\nde\r\n",
    b"x UID STORE 5 FLAGS.SILENT (x)\r\n",
    b"x UID EXPUNGE 1:*\r\n",
    b"x UID SEARCH ALL\r\n",
    b"x UID COPY 99 box\r\n",
    b"y CHECK\r\n",
    b"y FETCH 99 FLAGS\r\n",
    b"y FETCH 1 BODY[1.2.MIME]\r\n",
    b"z NO\nOP {12+}\r\nk LOGOUT\r\n\r\n\r\n",
    b"z NOOP\r\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"{3}\r\n",
    b"{3+}\r\n",
    b"{99999999999999999999999+}\r\n",
    b"abc",
    b"\"",
    b"(((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
    b"a APPEND box {70000000}\r\n",
    b"a APPEND box {2+}\r\nhi {11+}\r\nz LOGOUT\r\nx\r\n",
    b"a SELECT &AOQ-\r\n",
    b"a SELECT &bad\r\n",
    b"a LOGIN bob secret\r\nb SELECT inbox\r\n",
    b"t AUTHENTICATE PLAIN =\r\n{5+}\r\nLOGIN\r\n",
];

const UIDS: [u32; 5] = [1, 2, 3, 5, 8];

const MESSAGE: &[u8] = b"Subject: x\r\n\r\na1 OK {3}\r\n* BYE\r\n";

impl Subject for Server {
    type Engine = ServerSession;
    type Listener = Client;

    fn start(&self, config: u8, now: Duration) -> ServerSession {
        ServerSession::new(Arc::new(configuration(config)), Link::default().into(), now)
    }

    fn words(&self) -> &[&[u8]] {
        &WORDS
    }

    /// The view of a small mailbox, a tag, a name, a reply that waits.
    fn memory(&self) -> usize {
        let limits = Limits::default();
        limits.tag + limits.mailbox_name + 4096
    }

    fn total_phases(&self) -> &[&str] {
        &["login", "body", "tls"]
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
        let said = match draw.octet() % 20 {
            0 => engine.accept(now, out),
            1 => engine.reply(&Reply::ok("yes"), now, out),
            2 => engine.reply(&refusal(draw), now, out),
            3 => {
                engine.decline(now, out);
                Ok(())
            }
            4 => engine.challenge(b"more", now, out),
            5 => engine.authenticated(now, out),
            6 => engine.select(selected(), now, out),
            7 => engine.list_entry(&entry(), out),
            8 => engine.status(&MailboxStatus::default(), out),
            9 => engine.search_results(&uids(&UIDS), out),
            10 => engine.copied(7, &[(1, 2)], out),
            11 => engine.fetch_begin(draw.pick(&UIDS), out),
            12 => engine.fetch_flags(&Flags::system(), out),
            13 => engine.fetch_size(9, out),
            14 => engine.fetch_rendered(Rendered::Structure(Detail::Basic), b"(x \r\n", out),
            15 => engine.begin_literal(&whole(), 3, out),
            16 => engine.body(b"x", out),
            17 => engine.end_body(),
            18 => engine.fetch_end(out),
            _ => {
                engine.discard_body();
                engine.changed(&changes(draw));
                Ok(())
            }
        };
        if said.is_ok() { Said::Ok } else { Said::Misuse }
    }

    fn tell(&self, event: &Event) -> String {
        match event {
            Event::Login { user, password } => format!("Login {user} {}", hex(password.expose())),
            Event::Authenticate { mechanism, initial } => {
                format!("Authenticate {mechanism} {:?}", initial.as_ref().map(|initial| hex(initial.expose())))
            }
            Event::SaslResponse(response) => format!("SaslResponse {}", hex(response.expose())),
            Event::Connected
            | Event::SaslCancelled
            | Event::Select { .. }
            | Event::Create(_)
            | Event::Delete(_)
            | Event::Rename { .. }
            | Event::Subscribe(_)
            | Event::Unsubscribe(_)
            | Event::List(_)
            | Event::Lsub(_)
            | Event::Status { .. }
            | Event::Append(_)
            | Event::Chunk(_)
            | Event::End
            | Event::Aborted
            | Event::Poll
            | Event::Fetch(_)
            | Event::Store(_)
            | Event::Copy(_)
            | Event::Move(_)
            | Event::Expunge { .. }
            | Event::Search { .. }
            | Event::Close { .. }
            | Event::Idle
            | Event::Done
            | Event::Tell { .. }
            | Event::Id(_)
            | Event::Logout
            | Event::Violation(_) => format!("{event:?}"),
        }
    }

    fn listener(&self, _config: u8) -> Client {
        Client::default()
    }

    fn resets(&self) -> &[Reset] {
        &RESETS
    }

    fn enclose(&self, text: &[u8]) -> Vec<Enclosed> {
        let mut ways = vec![in_append(text), in_append_at_once(text), in_unknown(text)];
        ways.push(in_login(text));
        ways.extend(in_sasl(text));
        ways
    }

    fn write(&self, draw: &mut Draw<'_>) -> Written {
        match draw.octet() % 3 {
            0 => write_message(draw),
            1 => write_name(draw),
            _ => write_command(draw),
        }
    }
}

const RESETS: [Reset; 2] = [
    // RFC 3501 §6.2.1: what was said in the clear is not believed behind TLS.
    Reset {
        config: 1,
        lead: b"",
        gossip: &[
            b"a CAPABILITY\r\n",
            b"b NOOP\r\n",
            b"c ID (\"name\" \"mallory\")\r\n",
            b"d AUTHENTICATE PLAIN\r\n*\r\n",
            b"e SELECT inbox\r\n",
        ],
        edge: b"s STARTTLS\r\n",
    },
    // RFC 3501 §6.3.1: another mailbox is another view.
    Reset {
        config: 0,
        lead: b"a LOGIN bob secret\r\n",
        gossip: &[
            b"b SELECT inbox\r\n",
            b"b EXAMINE inbox\r\n",
            b"c NOOP\r\n",
            b"d STORE 1:* +FLAGS (\\Deleted)\r\n",
            b"e EXPUNGE\r\n",
            b"f FETCH 1:* FLAGS\r\n",
            b"g CLOSE\r\n",
            b"h IDLE\r\nDONE\r\n",
        ],
        edge: b"z SELECT other\r\n",
    },
];

impl Listener for Client {
    fn utterance(&self, wire: &[u8]) -> Option<usize> {
        self.walk(wire).map(|(length, _)| length)
    }

    fn hear(&mut self, utterance: &[u8], said: &[u8], end: Option<Close>) -> Result<(), Broken> {
        let heard = || format!("{} to {}", shown(said), shown(utterance));
        let Some(responses) = responses(said) else {
            return Err(Broken::new(format!("says half a response: {}", heard())));
        };
        if utterance.is_empty() {
            ensure!(responses.len() == 1 && said.starts_with(b"* "), "does not greet: {}", heard());
            return Ok(());
        }
        if self.expects == Expects::Command {
            self.tag = utterance.split(|octet| b" \r\n\0".contains(octet)).next().unwrap_or_default().to_vec();
        }
        let is_bye = |response: &&&[u8]| begins(response, b"* BYE");
        // What has no tag is answered without one.
        let is_final = |response: &&&[u8]| !response.starts_with(b"* ") || begins(response, b"* BAD");
        let finals: Vec<&&[u8]> = responses.iter().filter(is_final).collect();
        let byes = responses.iter().filter(is_bye).count();
        match (&*finals, end) {
            ([reply], _) => self.learn(reply, utterance, &heard()),
            ([], Some(_)) if byes > 0 => Ok(()),
            _ => Err(Broken::new(format!("gives {} final replies: {}", finals.len(), heard()))),
        }
    }
}

impl Client {
    /// How far the client may go on in `wire` without waiting, and the literal that it waits with there, if any.
    fn walk(&self, wire: &[u8]) -> Option<(usize, Option<usize>)> {
        let mut at = match self.expects {
            Expects::Literal(size) => size,
            Expects::Command | Expects::Line => 0,
        };
        loop {
            let rest = wire.get(at..)?;
            let length = line(rest)?;
            at = at.checked_add(length)?;
            match announced(rest.get(..length)?) {
                Some((size, Kind::NonSync)) => at = at.checked_add(size)?,
                Some((size, Kind::Sync)) => return Some((at, Some(size))),
                None => return Some((at, None)),
            }
        }
    }

    fn learn(&mut self, reply: &[u8], utterance: &[u8], heard: &str) -> Result<(), Broken> {
        if reply.starts_with(b"+ ") {
            self.expects = match self.walk(utterance) {
                Some((_, Some(size))) => Expects::Literal(size),
                Some((_, None)) | None => Expects::Line,
            };
            return Ok(());
        }
        self.expects = Expects::Command;
        let tagged = reply.strip_prefix(&*self.tag).is_some_and(|rest| rest.starts_with(b" "));
        ensure!(tagged || reply.starts_with(b"* BAD"), "answers with another tag: {heard}");
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sync,
    NonSync,
}

/// The literal that a line announces at its end. A size that no number holds is the largest.
fn announced(text: &[u8]) -> Option<(usize, Kind)> {
    let text = text.strip_suffix(b"}\r\n")?;
    let (text, kind) = text.strip_suffix(b"+").map_or((text, Kind::Sync), |text| (text, Kind::NonSync));
    let digits = text.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, digits) = text.split_at_checked(text.len().checked_sub(digits)?)?;
    if digits.is_empty() || !before.ends_with(b"{") && digits.len() <= 20 {
        return None;
    }
    Some((core::str::from_utf8(digits).ok()?.parse().unwrap_or(usize::MAX), kind))
}

/// The responses in a text, each with its literals. `None` where the last one is not whole.
fn responses(mut said: &[u8]) -> Option<Vec<&[u8]>> {
    let mut responses = Vec::new();
    while !said.is_empty() {
        let mut at = 0_usize;
        loop {
            let rest = said.get(at..)?;
            let length = line(rest)?;
            at = at.checked_add(length)?;
            match announced(rest.get(..length)?) {
                Some((size, _)) => at = at.checked_add(size)?,
                None => break,
            }
        }
        let (response, rest) = said.split_at_checked(at)?;
        responses.push(response);
        said = rest;
    }
    Some(responses)
}

/// The message of an APPEND whose client waited.
fn in_append(text: &[u8]) -> Enclosed {
    let text = [text, b"\r\n"].concat();
    let lead = format!("a LOGIN bob secret\r\nb APPEND inbox {{{}}}\r\n", text.len()).into_bytes();
    Enclosed { config: 0, lead, wire: [&text, b"\r\n".as_slice()].concat(), text: Some(text) }
}

/// The message of an APPEND whose client did not wait.
fn in_append_at_once(text: &[u8]) -> Enclosed {
    let text = [text, b"\r\n"].concat();
    let head = format!("b APPEND inbox {{{}+}}\r\n", text.len()).into_bytes();
    let wire = [&head, &text, b"\r\n".as_slice()].concat();
    Enclosed { config: 0, lead: b"a LOGIN bob secret\r\n".to_vec(), wire, text: Some(text) }
}

/// An argument of a command that is not known.
fn in_unknown(text: &[u8]) -> Enclosed {
    let head = format!("b XYZZY {{{}+}}\r\n", text.len()).into_bytes();
    Enclosed { config: 0, lead: Vec::new(), wire: [&head, text, b"\r\n"].concat(), text: None }
}

/// A password. NUL has no place in it (RFC 3501 §9, CHAR8).
fn in_login(text: &[u8]) -> Enclosed {
    let text: Vec<u8> = [text, b"\r\n"].concat().iter().map(|octet| (*octet).max(1)).collect();
    let head = format!("b LOGIN bob {{{}+}}\r\n", text.len()).into_bytes();
    let wire = [&head, &text, b"\r\n".as_slice()].concat();
    Enclosed { config: 0, lead: Vec::new(), wire, text: Some(text) }
}

/// A line of a SASL exchange; many of them are commands by their looks.
fn in_sasl(text: &[u8]) -> Option<Enclosed> {
    let mut wire: Vec<u8> = text.iter().copied().filter(u8::is_ascii_alphanumeric).take(1000).collect();
    wire.truncate(wire.len() / 4 * 4);
    let text = STANDARD.decode(&wire).ok().filter(|text| !text.is_empty())?;
    wire.extend_from_slice(b"\r\n");
    Some(Enclosed { config: 0, lead: b"a AUTHENTICATE PLAIN\r\n".to_vec(), wire, text: Some(text) })
}

/// A message, by FETCH.
fn write_message(draw: &mut Draw<'_>) -> Written {
    let text: Vec<u8> = (0..draw.octet() % 40).map(|_| draw.octet()).collect();
    let wire = b"a LOGIN bob secret\r\nb SELECT inbox\r\nc FETCH 1 BODY.PEEK[]\r\n";
    let (mut input, mut out, now) = (BytesMut::from(wire.as_slice()), BytesMut::new(), Duration::ZERO);
    let mut session = Server.start(0, now);
    while let Step::Event(event) = session.next_event(now, &mut input, &mut out) {
        let Event::Fetch(_) = event else {
            let _ = answer(&mut session, &event, &mut Draw::new(&[]), now, &mut out);
            continue;
        };
        out.clear();
        let (front, rest) = text.split_at(draw.below(text.len() + 1));
        let _ = session.fetch_begin(1, &mut out);
        let _ = session.begin_literal(&whole(), text.len() as u64, &mut out);
        let _ = session.body(front, &mut out).and_then(|()| session.body(rest, &mut out));
        let _ = session.end_body();
        let _ = session.fetch_end(&mut out);
        let _ = session.accept(now, &mut out);
    }
    Written { wire: out.to_vec(), meant: hex(&text), read: read_message }
}

/// Reads the literal of a FETCH, as a client does.
fn read_message(wire: &[u8]) -> String {
    let read = || {
        let (head, rest) = wire.split_at_checked(line(wire)?)?;
        let (text, rest) = rest.split_at_checked(announced(head)?.0)?;
        (head.starts_with(b"* 1 FETCH (BODY[] {") && rest == b")\r\nc OK FETCH completed\r\n").then(|| hex(text))
    };
    read().unwrap_or("no message".into())
}

/// A mailbox name in modified UTF-7 (RFC 3501 §5.1.3).
fn write_name(draw: &mut Draw<'_>) -> Written {
    let characters = ['a', '&', '-', '/', '~', ',', '\u{e4}', '\u{20ac}', '\u{1f4ec}', ' ', '"'];
    let name: String = (0..draw.octet() % 16).map(|_| draw.pick(&characters)).collect();
    Written { wire: encode_mutf7(&name).into_bytes(), meant: name, read: read_name }
}

fn read_name(wire: &[u8]) -> String {
    decode_mutf7(wire).unwrap_or("no name".into())
}

/// A command, or what becomes of one when an octet of it is another.
fn write_command(draw: &mut Draw<'_>) -> Written {
    let mut octets = draw.pick(&WORDS).to_vec();
    octets.truncate(octets.len().saturating_sub(2));
    let at = draw.below(octets.len() + 1);
    if let Some(octet) = octets.get_mut(at) {
        *octet = draw.octet();
    }
    let mut wire = BytesMut::new();
    let command = Command::parse(&octets).or(Command::parse(b"a NOOP"));
    if let Ok(command) = &command {
        command.write(&mut wire);
    }
    Written { wire: wire.to_vec(), meant: format!("{:?}", command.ok()), read: read_command }
}

fn read_command(wire: &[u8]) -> String {
    format!("{:?}", Command::parse(wire).ok())
}

fn configuration(number: u8) -> ServerConfig {
    let patient = Limits { violations: 10_000, failed_logins: 10_000, ..Limits::default() };
    let common = ServerConfig {
        plaintext_login: PlaintextLogin::Always,
        mechanisms: vec!["PLAIN".into(), "SCRAM-SHA-256".into()],
        mechanisms_before_tls: vec!["SCRAM-SHA-256".into()],
        limits: patient,
        ..ServerConfig::default()
    };
    match number % 4 {
        0 => common,
        1 => ServerConfig { start_tls: StartTls::Offered, ..common },
        2 => ServerConfig {
            start_tls: StartTls::Offered,
            plaintext_login: PlaintextLogin::UnderTls,
            literals: NonSync::Small,
            ..common
        },
        _ => {
            let limits = Limits {
                command_before_login: 60,
                command: 80,
                literals: 1,
                sasl_line: 40,
                message: 20,
                discarded: 100,
                tag: 3,
                mailbox_name: 4,
                violations: 3,
                failed_logins: 1,
            };
            ServerConfig { start_tls: StartTls::Offered, limits, ..common }
        }
    }
}

fn answer(
    session: &mut ServerSession,
    question: &Event,
    draw: &mut Draw<'_>,
    now: Duration,
    out: &mut BytesMut,
) -> Result<(), Misuse> {
    if let Event::Tell { uids } = question {
        tell(session, uids, &[FetchItem::Flags], draw, out)?;
        return session.accept(now, out);
    }
    if draw.octet() >= 200 {
        return session.reply(&refusal(draw), now, out);
    }
    match question {
        Event::Connected if draw.octet() >= 240 => session.authenticated(now, out),
        Event::Authenticate { initial: None, .. } => session.challenge(b"", now, out),
        Event::Authenticate { .. } | Event::SaslResponse(_) if draw.octet() >= 200 => {
            session.challenge(b"more", now, out)
        }
        Event::Login { .. } | Event::Authenticate { .. } | Event::SaslResponse(_) => session.authenticated(now, out),
        Event::Select { .. } => session.select(selected(), now, out),
        Event::List(_) | Event::Lsub(_) => {
            for _ in 0..draw.octet() % 3 {
                session.list_entry(&entry(), out)?;
            }
            session.accept(now, out)
        }
        Event::Status { .. } => {
            session.status(&MailboxStatus { messages: Some(5), ..MailboxStatus::default() }, out)?;
            session.accept(now, out)
        }
        Event::Append(_) => {
            session.accept(now, out)?;
            if draw.octet() >= 200 {
                session.discard_body();
            }
            Ok(())
        }
        Event::Fetch(fetch) => {
            tell(session, &fetch.uids, &fetch.items, draw, out)?;
            session.accept(now, out)
        }
        Event::Store(store) => {
            session.changed(&Changes { touched: store.uids.clone(), ..Changes::default() });
            session.accept(now, out)
        }
        Event::Move(moved) => {
            let pairs: Vec<(u32, u32)> = moved.uids.iter().zip(20..).collect();
            session.copied(7, &pairs, out)?;
            session.changed(&Changes { gone: moved.uids.clone(), ..Changes::default() });
            session.accept(now, out)
        }
        Event::Expunge { .. } | Event::Poll => {
            session.changed(&changes(draw));
            session.accept(now, out)
        }
        Event::Search { .. } => {
            session.search_results(&uids(&UIDS), out)?;
            session.accept(now, out)
        }
        Event::Connected
        | Event::Create(_)
        | Event::Delete(_)
        | Event::Rename { .. }
        | Event::Subscribe(_)
        | Event::Unsubscribe(_)
        | Event::Copy(_)
        | Event::Close { .. }
        | Event::End => session.accept(now, out),
        Event::SaslCancelled
        | Event::Chunk(_)
        | Event::Aborted
        | Event::Idle
        | Event::Done
        | Event::Tell { .. }
        | Event::Id(_)
        | Event::Logout
        | Event::Violation(_) => Ok(()),
    }
}

/// Tells what is asked of each message that the client knows of.
fn tell(
    session: &mut ServerSession,
    uids: &UidSet,
    items: &[FetchItem],
    draw: &mut Draw<'_>,
    out: &mut BytesMut,
) -> Result<(), Misuse> {
    for uid in uids.iter() {
        match session.fetch_begin(uid, out) {
            Ok(()) => {}
            Err(Misuse::UnknownUid) => continue,
            Err(other) => return Err(other),
        }
        for item in items {
            tell_item(session, item, draw, out)?;
        }
        session.fetch_end(out)?;
    }
    Ok(())
}

fn tell_item(
    session: &mut ServerSession,
    item: &FetchItem,
    draw: &mut Draw<'_>,
    out: &mut BytesMut,
) -> Result<(), Misuse> {
    match item {
        FetchItem::Uid => Ok(()),
        FetchItem::Flags => session.fetch_flags(&Flags::system(), out),
        FetchItem::InternalDate => match DateTime::from_unix(1_000_000_000, 60) {
            Some(date) => session.fetch_internal_date(date, out),
            None => Ok(()),
        },
        FetchItem::Size => session.fetch_size(MESSAGE.len() as u64, out),
        FetchItem::Envelope => session.fetch_rendered(Rendered::Envelope, b"(NIL)", out),
        FetchItem::Structure(detail) => session.fetch_rendered(Rendered::Structure(*detail), b"(NIL)", out),
        FetchItem::Body(item) if draw.octet() >= 200 => session.fetch_nil(item, out),
        FetchItem::Body(item) => {
            session.begin_literal(item, MESSAGE.len() as u64, out)?;
            let piece = usize::from(draw.octet()).max(1);
            MESSAGE.chunks(piece).try_for_each(|chunk| session.body(chunk, out))?;
            session.end_body()
        }
    }
}

fn selected() -> Selected {
    Selected {
        uids: uids(&UIDS),
        recent: uids(&[8]),
        first_unseen: Some(3),
        uidvalidity: 7,
        uidnext: 9,
        flags: Flags::system(),
        permanent_flags: Flags::system(),
        ..Selected::default()
    }
}

fn changes(draw: &mut Draw<'_>) -> Changes {
    let some = |draw: &mut Draw<'_>| (0..draw.octet() % 3).map(|_| 1 + u32::from(draw.octet() % 12)).collect();
    Changes { exists: some(draw), gone: some(draw), touched: some(draw), ..Changes::default() }
}

fn entry() -> ListEntry {
    ListEntry { name: "b\u{f6}x \"1\"".into(), attributes: vec![Attribute::HasNoChildren] }
}

fn whole() -> BodyItem {
    let section = imap_proto::Section { part: Vec::new(), text: imap_proto::SectionText::All };
    BodyItem { section, partial: None, seen: imap_proto::Seen::Peek, name: imap_proto::BodyName::Section }
}

fn uids(uids: &[u32]) -> UidSet {
    uids.iter().copied().collect()
}

fn refusal(draw: &mut Draw<'_>) -> Reply {
    let reply = if draw.octet() < 128 { Reply::no("no") } else { Reply::bad("[BAD] *\r\n+ no") };
    match draw.octet() % 4 {
        0 => reply.with_code(Code::Unavailable),
        1 => reply.with_code(Code::AuthenticationFailed),
        2 => reply.with_code(Code::TryCreate),
        _ => reply,
    }
}
