//! The SMTP client's session under the laws: its application sends whatever comes to its mind.

mod command;
mod server;
mod talker;
mod words;

use core::ops::RangeInclusive;
use core::time::Duration;
use std::sync::Arc;

use bytes::BytesMut;
use services::engine::{Link, TlsInfo};
use smtp_proto::{ClientConfig, ClientEvent, ClientLimits, ClientSession, Mechanism, Protocol};

use self::command::command;
pub use self::server::Server;
pub use self::talker::Talker;
use self::words::WORDS;
use crate::smtp::domain;
use crate::{Draw, Enclosed, Reset, Said, Subject, Written};

/// A client that talks a lot. What a dialogue of sense needs is for [`delivery::Client`](crate::delivery::Client).
#[derive(Clone, Copy, Debug, Default)]
pub struct Client;

impl Subject for Client {
    type Engine = Talker;
    type Listener = Server;

    fn start(&self, config: u8, now: Duration) -> Talker {
        let session = ClientSession::new(Arc::new(configuration(config)), link(config).into(), now);
        Talker::new(session, config)
    }

    fn words(&self) -> &[&[u8]] {
        &WORDS
    }

    /// What a server offers, and the commands under way.
    fn memory(&self) -> usize {
        16 * (20 + 2 * size_of::<Mechanism>()) + 64 * ROOMY.window
    }

    fn total_phases(&self) -> &[&str] {
        &["greeting", "tls"]
    }

    /// A lone CR or LF never ends a reply, and a line that goes on is no end of one.
    fn ends_unheard(&self, octet: u8, _waiting_for: &str) -> bool {
        octet == b'\n'
    }

    fn sync_violations(&self) -> &[&str] {
        &["pipelined_tls"]
    }

    /// A client's session tells a fault of its server by its end alone.
    fn sync_news(&self) -> RangeInclusive<usize> {
        0..=0
    }

    fn answer(
        &self,
        engine: &mut Talker,
        _question: &ClientEvent,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) {
        engine.answer(draw, now, out);
    }

    fn decline(&self, engine: &mut Talker, now: Duration, out: &mut BytesMut) {
        engine.give_up(now, out);
    }

    fn verb(&self, engine: &mut Talker, draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) -> Said {
        let session = &mut engine.session;
        let said = match draw.octet() % 10 {
            0 => session.respond(b"", now, out).is_ok(),
            1 => session.cancel(now, out).is_ok(),
            2 => session.body(b"\r\n.\r\nMAIL FROM:<smuggled@client.test>\r\n", out).is_ok(),
            3 => session.body(b"bare\nline", out).is_ok(),
            4 => session.end_body(now, out).is_ok(),
            _ => session.send(&command(draw), now, out).is_ok(),
        };
        if said { Said::Ok } else { Said::Misuse }
    }

    fn tell(&self, event: &ClientEvent) -> String {
        format!("{event:?}")
    }

    fn listener(&self, config: u8) -> Server {
        Server::new(&configuration(config), &link(config))
    }

    /// Where a session forgets, [`delivery::Client`](crate::delivery::Client) can be led; who talks at random cannot.
    fn resets(&self) -> &[Reset] {
        &[]
    }

    /// As with the resets.
    fn enclose(&self, _text: &[u8]) -> Vec<Enclosed> {
        Vec::new()
    }

    /// A command.
    fn write(&self, draw: &mut Draw<'_>) -> Written {
        command::write(draw)
    }
}

/// Limits that a script can reach, yet with room for a dialogue.
const ROOMY: ClientLimits = ClientLimits {
    reply_line: 512,
    reply_lines: 40,
    reply: 4096,
    kept_reply: 100,
    window: 8,
    challenges: 3,
    transactions: 2,
};

/// Limits that every other script reaches.
const TIGHT: ClientLimits = ClientLimits {
    reply_line: 60,
    reply_lines: 4,
    reply: 120,
    kept_reply: 10,
    window: 2,
    challenges: 1,
    transactions: 1,
};

fn configuration(number: u8) -> ClientConfig {
    ClientConfig {
        protocol: if number.is_multiple_of(2) { Protocol::Smtp } else { Protocol::Lmtp },
        limits: if number % 8 < 6 { ROOMY } else { TIGHT },
        ..ClientConfig::new(domain("client.test"))
    }
}

fn link(number: u8) -> Link {
    Link { tls: (number % 5 == 4).then(TlsInfo::default), ..Link::default() }
}
