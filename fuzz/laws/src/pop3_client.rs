//! The POP3 client's session under the laws: its application sends whatever comes to its mind.

mod command;
mod server;

use core::ops::RangeInclusive;
use core::time::Duration;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pop3_proto::{ClientConfig, ClientEvent, ClientLimits, ClientSession, Command, LineEnds, Mechanism};
use services::engine::{Deadline, Engine, Link, ShutDown, Step, Switched, TlsInfo};

use self::command::command;
pub use self::server::Server;
pub(crate) use self::server::{Owed, Transport};
use crate::wire::hex;
use crate::{Draw, Enclosed, Reset, Said, Subject, Written};

/// A client that talks a lot. What a dialogue of sense needs is for [`fetch::Client`](crate::fetch::Client).
#[derive(Clone, Copy, Debug, Default)]
pub struct Client;

/// A session whose application sends commands at every turn, which the session takes or not.
#[derive(Debug)]
pub struct Talker {
    session: ClientSession,
    temper: u8,
    thoughts: usize,
}

// What is said often stands here often: scripts draw from the list as it is.
const WORDS: [&[u8]; 61] = [
    b"+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n",
    b"+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n",
    b"+OK\r\n+OK\r\n+OK\r\n",
    b"+OK\r\n+OK\r\n+OK\r\n",
    b"-ERR no\r\n",
    b"-ERR no\r\n",
    b"-ERR no\r\n",
    b"+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\nSTLS\r\nUTF8 USER\r\nLANG\r\nSASL X PLAIN\r\n.\r\n",
    b"+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\nSTLS\r\nUTF8 USER\r\nLANG\r\nSASL X PLAIN\r\n.\r\n",
    b"+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\nSTLS\r\nUTF8 USER\r\nLANG\r\nSASL X PLAIN\r\n.\r\n",
    b"+OK\r\nPIPELINING\r\nSASL SCRAM-SHA-256 X PLAIN\r\nLANG\r\n.\r\n",
    b"+OK\r\nPIPELINING\r\nSASL SCRAM-SHA-256 X PLAIN\r\nLANG\r\n.\r\n",
    b"+OK\r\nPIPELINING\r\nSASL SCRAM-SHA-256 X PLAIN\r\nLANG\r\n.\r\n",
    b"+OK [XCLIENT] ready\r\n+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\nSTLS\r\nUTF8 USER\r\nLANG\r\nSASL X PLAIN\r\n.\r\n",
    b"+OK ready\r\n+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\nSTLS\r\nUTF8 USER\r\nLANG\r\nSASL X PLAIN\r\n.\r\n",
    b"+OK ready\r\n+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\nSTLS\r\nUTF8 USER\r\nLANG\r\nSASL X PLAIN\r\n.\r\n",
    b"+OK\r\n1 20\r\n2 two\r\n3 0\r\n.\r\n",
    b"+OK\r\n1 20\r\n2 two\r\n3 0\r\n.\r\n",
    b"+OK\r\nA: b\r\n\r\n..\r\n.. two\r\n.\r\n",
    b"+OK\r\nA: b\r\n\r\n..\r\n.. two\r\n.\r\n",
    b"+ \r\n",
    b"+ \r\n",
    b".\r\n",
    b".\r\n",
    b".\r\n",
    b"+\r\n",
    b"+ Y2hhbGxlbmdl\r\n",
    b"+ !\r\n",
    b"1 20\r\n2 two\r\n",
    b"99999 1\r\n",
    b"4294967296 1\r\n",
    b"0 0\r\n",
    b"SASL PLAIN X\r\nSTLS\r\n",
    b"-ERR [IN-USE] busy\r\n",
    b"..\r\n.x\r\n",
    b".",
    b"\r\n",
    b"\r",
    b"\n",
    b"\n.\n",
    b"\n+OK\n+OK\n",
    b"\0",
    b"\xff",
    b"QUIT\r\n",
    b"................................................................................",
    b"+OK\r\n+OK\r\n.\r\n-ERR no\r\n+OK\r\n.\r\n",
    b"+OK\r\n+OK\r\n.\r\n+OK\r\n",
];

impl Subject for Client {
    type Engine = Talker;
    type Listener = Server;

    fn start(&self, config: u8, now: Duration) -> Talker {
        let session = ClientSession::new(Arc::new(configuration(config)), link(config).into(), now);
        Talker { session, temper: config.max(1), thoughts: 0 }
    }

    fn words(&self) -> &[&[u8]] {
        &WORDS
    }

    fn memory(&self) -> usize {
        memory_for_offers() + 64 * ROOMY.window
    }

    fn total_phases(&self) -> &[&str] {
        &["greeting", "tls"]
    }

    fn progress(&self) -> usize {
        TIGHT.progress
    }

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
        // Behind a verb that has answered already, this is a misuse and changes nothing.
        let _ = match draw.octet() {
            0..=199 => engine.session.respond(b"response", now, out),
            200.. => engine.session.cancel(now, out),
        };
    }

    fn decline(&self, engine: &mut Talker, now: Duration, out: &mut BytesMut) {
        let _ = engine.session.cancel(now, out);
    }

    fn verb(&self, engine: &mut Talker, draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) -> Said {
        let said = match draw.octet() % 8 {
            0 => engine.session.respond(b"", now, out).is_ok(),
            1 => engine.session.cancel(now, out).is_ok(),
            _ => engine.session.send(&command(draw), now, out).is_ok(),
        };
        if said { Said::Ok } else { Said::Misuse }
    }

    fn tell(&self, event: &ClientEvent) -> String {
        match event {
            ClientEvent::Challenge { to, challenge } => format!("Challenge {to:?} {}", hex(challenge.expose())),
            ClientEvent::Greeting(_)
            | ClientEvent::Reply { .. }
            | ClientEvent::Size(_)
            | ClientEvent::UniqueId { .. }
            | ClientEvent::Chunk(_)
            | ClientEvent::End { .. }
            | ClientEvent::Farewell(_) => format!("{event:?}"),
        }
    }

    fn listener(&self, config: u8) -> Server {
        Server::new(configuration(config), &link(config))
    }

    /// Where a session forgets, [`fetch::Client`](crate::fetch::Client) can be led; who talks at random cannot.
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

impl Talker {
    /// Sends a few commands, as far as the session takes them; and if the server would wait for us then, one that it takes
    /// always.
    fn talk(&mut self, now: Duration, out: &mut BytesMut) {
        for _ in 0..6 {
            self.thoughts = self.thoughts.wrapping_add(1);
            let mut draw = Draw::numbered(core::slice::from_ref(&self.temper), self.thoughts);
            let _ = draw.octet();
            let _ = self.session.send(&command(&mut draw), now, out);
        }
        if self.session.poll_timeout().is_none() {
            let _ = self.session.send(&Command::Capa, now, out);
        }
    }
}

impl Engine for Talker {
    type Event = ClientEvent;

    fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<ClientEvent> {
        let step = Engine::next_event(&mut self.session, now, input, out);
        match &step {
            Step::Event(ClientEvent::Greeting(_) | ClientEvent::Reply { .. } | ClientEvent::End { .. }) => {
                self.talk(now, out);
            }
            // As behind a change of the transport.
            Step::NeedInput if self.session.poll_timeout().is_none() => self.talk(now, out),
            Step::Event(
                ClientEvent::Challenge { .. }
                | ClientEvent::Size(_)
                | ClientEvent::UniqueId { .. }
                | ClientEvent::Chunk(_)
                | ClientEvent::Farewell(_),
            )
            | Step::NeedInput
            | Step::YourTurn
            | Step::Switch(_)
            | Step::Close(_) => {}
        }
        step
    }

    fn max_input(&self) -> usize {
        self.session.max_input()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        Engine::poll_timeout(&self.session)
    }

    fn handle_timeout(&mut self, now: Duration, out: &mut BytesMut) {
        self.session.handle_timeout(now, out);
    }

    fn handle_eof(&mut self) {
        self.session.handle_eof();
    }

    fn switched(&mut self, to: Switched, now: Duration) {
        Engine::switched(&mut self.session, to, now);
    }

    fn shut_down(&mut self, why: ShutDown, now: Duration, out: &mut BytesMut) {
        Engine::shut_down(&mut self.session, why, now, out);
    }

    fn abort(&mut self) {
        self.session.abort();
    }

    fn memory(&self) -> usize {
        self.session.memory()
    }

    fn is_question(event: &ClientEvent) -> bool {
        event.is_question()
    }

    fn chunk(event: &ClientEvent) -> Option<&Bytes> {
        event.chunk()
    }
}

/// Limits that a script can reach, yet with room for a dialogue.
pub(crate) const ROOMY: ClientLimits =
    ClientLimits { line: 512, challenge: 600, untold_lines: 20, window: 4, progress: 64 * 1024, messages: 8 };

/// Limits that every other script reaches.
pub(crate) const TIGHT: ClientLimits =
    ClientLimits { line: 60, challenge: 80, untold_lines: 3, window: 2, progress: 50, messages: 4 };

/// What a session may hold of a server's offers: the names of mechanisms, with their places, and of the software.
pub(crate) const fn memory_for_offers() -> usize {
    16 * (20 + 2 * size_of::<Mechanism>()) + ROOMY.line
}

fn configuration(number: u8) -> ClientConfig {
    ClientConfig {
        line_ends: if number.is_multiple_of(2) { LineEnds::Crlf } else { LineEnds::CrlfOrLf },
        limits: if number % 8 < 6 { ROOMY } else { TIGHT },
        ..ClientConfig::default()
    }
}

fn link(number: u8) -> Link {
    Link { tls: (number % 5 == 4).then(TlsInfo::default), ..Link::default() }
}
