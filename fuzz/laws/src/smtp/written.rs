//! What is written, and read back.

use core::time::Duration;

use bytes::BytesMut;
use smtp_proto::{
    Capabilities, Command, Event, Extensions, Mechanism, Reply, ReplyCode, SessionLimit, SessionLimits, SizeLimit, Step,
};

use super::config::{configuration, domain};
use super::enclosed::TRANSACTION;
use super::{PROMISING, Server, WORDS, reply};
use crate::wire::{hex, lines};
use crate::{Draw, Subject, Written};

/// Something that one of the two writes.
pub(super) fn write(draw: &mut Draw<'_>) -> Written {
    match draw.octet() % 4 {
        0 => write_message(draw),
        1 => write_reply(draw),
        2 => write_offers(draw),
        _ => write_command(draw),
    }
}

/// A message by DATA, as the client sends it.
pub(crate) fn write_message(draw: &mut Draw<'_>) -> Written {
    let mut text = Vec::new();
    for _ in 0..draw.octet() % 24 {
        text.extend_from_slice(draw.pick(&[b".".as_slice(), b"\r\n", b"x", b"\r\n.", b"\xc3\xa4", b"\r\n.\r\n"]));
    }
    let wire = crate::delivery::stuffed(&text, draw.below(text.len() + 1));
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
    let mut session = Server.start(PROMISING, now);
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

/// The reply to EHLO.
fn write_offers(draw: &mut Draw<'_>) -> Written {
    let all = configuration(PROMISING).extensions;
    let limit = |octet: u8| SessionLimit::new(octet.into());
    let offered = Capabilities {
        start_tls: draw.octet() < 128,
        size: draw.pick(&[
            None,
            Some(SizeLimit::Unknown),
            Some(SizeLimit::Octets(u64::MAX)),
            Some(SizeLimit::Octets(1)),
        ]),
        auth: (0..draw.octet() % 4)
            .filter_map(|_| Mechanism::parse(draw.pick(&["PLAIN", "LOGIN", "X_-9"])).ok().map(Mechanism::into_owned))
            .fold(Vec::new(), |mut some, next| {
                if !some.contains(&next) {
                    some.push(next);
                }
                some
            }),
        extensions: Extensions {
            pipelining: draw.octet() < 128,
            smtp_utf8: draw.octet() < 128,
            eight_bit_mime: draw.octet() < 128,
            enhanced_status_codes: draw.octet() < 128,
            chunking: draw.octet() < 128,
            binary_mime: draw.octet() < 128,
            dsn: draw.octet() < 128,
            require_tls: draw.octet() < 128,
            mt_priority: draw.octet() < 128,
            deliver_by: all.deliver_by.filter(|_| draw.octet() < 128),
            future_release: all.future_release.filter(|_| draw.octet() < 128),
            rrvs: draw.octet() < 128,
            no_soliciting: draw.octet() < 128,
            etrn: draw.octet() < 128,
            expn: draw.octet() < 128,
            xclient: draw.octet() < 128,
            xforward: draw.octet() < 128,
            handover: draw.octet() < 128,
            limits: SessionLimits {
                mail_max: limit(draw.octet()),
                rcpt_max: limit(draw.octet()),
                rcpt_domain_max: limit(draw.octet()),
            },
        },
    };
    let mut wire = BytesMut::new();
    offered.write(&domain("server.test"), &mut wire);
    Written { wire: wire.to_vec(), meant: format!("{offered:?}"), read: read_offers }
}

fn read_offers(wire: &[u8]) -> String {
    Reply::parse(wire).map_or("no reply".into(), |reply| format!("{:?}", Capabilities::parse(&reply)))
}

/// A command, or what becomes of one when an octet of it is another.
fn write_command(draw: &mut Draw<'_>) -> Written {
    let mut line = lines(draw.pick(&WORDS)).next().unwrap_or_default().to_vec();
    line.truncate(line.len().saturating_sub(2));
    let at = draw.below(line.len() + 1);
    if let Some(octet) = line.get_mut(at) {
        *octet = draw.octet();
    }
    write_line(&line)
}

/// The command that a line is, as it is written; NOOP if it is none.
pub(crate) fn write_line(line: &[u8]) -> Written {
    let command = Command::parse(line).unwrap_or(Command::Noop);
    let mut wire = BytesMut::new();
    command.write(&mut wire);
    Written { wire: wire.to_vec(), meant: meaning(&command), read: read_command }
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
