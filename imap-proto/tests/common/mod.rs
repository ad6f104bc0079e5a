//! A session with its buffers and a clock that the test moves.
#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use imap_proto::{
    Event, Flag, Flags, Link, PlaintextLogin, Reply, Selected, ServerConfig, ServerSession, StartTls, Step, UidSet,
};

pub(crate) struct Case {
    pub(crate) session: ServerSession,
    pub(crate) now: Duration,
    pub(crate) input: BytesMut,
    pub(crate) out: BytesMut,
}

pub(crate) fn config() -> ServerConfig {
    ServerConfig {
        greeting: "ready".into(),
        start_tls: StartTls::Offered,
        plaintext_login: PlaintextLogin::Always,
        mechanisms: vec!["PLAIN".into()],
        ..ServerConfig::default()
    }
}

pub(crate) fn uids(uids: &[u32]) -> UidSet {
    uids.iter().copied().collect()
}

pub(crate) fn flags(names: &str) -> Flags {
    names.split_whitespace().map(|name| Flag::from_name(name).unwrap()).collect()
}

pub(crate) fn selected(messages: &[u32]) -> Selected {
    Selected {
        uids: uids(messages),
        uidvalidity: 9,
        uidnext: 100,
        flags: Flags::system(),
        permanent_flags: Flags::system(),
        ..Selected::default()
    }
}

impl Case {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let session = ServerSession::new(Arc::new(config), Link::default(), Duration::ZERO);
        Self { session, now: Duration::ZERO, input: BytesMut::new(), out: BytesMut::new() }
    }

    pub(crate) fn greeted(config: ServerConfig) -> Self {
        let mut case = Self::new(config);
        assert_eq!(case.next(), Step::Event(Event::Connected));
        case.accept();
        case
    }

    pub(crate) fn logged_in() -> Self {
        Self::logged_in_with(config())
    }

    pub(crate) fn logged_in_with(config: ServerConfig) -> Self {
        let mut case = Self::new(config);
        assert_eq!(case.next(), Step::Event(Event::Connected));
        case.session.authenticated(case.now, &mut case.out).unwrap();
        case.said();
        case
    }

    /// INBOX is selected and has these messages.
    pub(crate) fn with_messages(messages: &[u32]) -> Self {
        let mut case = Self::logged_in();
        case.send("s SELECT INBOX\r\n");
        assert!(matches!(case.event(), Event::Select { .. }));
        case.session.select(selected(messages), case.now, &mut case.out).unwrap();
        case.said();
        case
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.input.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn next(&mut self) -> Step<Event> {
        self.session.next_event(self.now, &mut self.input, &mut self.out)
    }

    pub(crate) fn event(&mut self) -> Event {
        match self.next() {
            Step::Event(event) => event,
            other @ (Step::NeedInput | Step::YourTurn | Step::Switch(_) | Step::Close(_)) => {
                panic!("an event was due, not {other:?}; said: {}", self.said())
            }
        }
    }

    /// What was said since the last call.
    pub(crate) fn said(&mut self) -> String {
        String::from_utf8_lossy(&self.out.split()).into_owned()
    }

    /// Sends a command that the engine answers by itself.
    pub(crate) fn ask(&mut self, text: &str) -> String {
        self.send(text);
        assert_eq!(self.next(), Step::NeedInput);
        self.said()
    }

    /// Sends a command that leads to one event.
    pub(crate) fn asked(&mut self, text: &str) -> Event {
        self.send(text);
        let event = self.event();
        if event.is_question() {
            assert_eq!(self.next(), Step::YourTurn);
        }
        event
    }

    pub(crate) fn accept(&mut self) -> String {
        self.session.accept(self.now, &mut self.out).unwrap();
        self.said()
    }

    pub(crate) fn reply(&mut self, reply: &Reply) -> String {
        self.session.reply(reply, self.now, &mut self.out).unwrap();
        self.said()
    }

    pub(crate) fn decline(&mut self) -> String {
        self.session.decline(self.now, &mut self.out);
        self.said()
    }

    /// Tells the flags of a message, in a line of its own.
    pub(crate) fn tell_flags(&mut self, uid: u32, names: &str) {
        self.session.fetch_begin(uid, &mut self.out).unwrap();
        self.session.fetch_flags(&flags(names), &mut self.out).unwrap();
        self.session.fetch_end(&mut self.out).unwrap();
    }

    pub(crate) fn wait(&mut self, seconds: u64) -> String {
        self.now += Duration::from_secs(seconds);
        self.session.handle_timeout(self.now, &mut self.out);
        self.said()
    }
}
