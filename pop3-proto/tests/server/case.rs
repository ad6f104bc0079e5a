//! A session with a clock that the test moves.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pop3_proto::{Ending, Event, Link, Maildrop, Message, PlaintextLogin, Reply, ServerConfig, ServerSession, Step};

pub(crate) const TEXT: &[u8] = b"A: 1\r\n\r\n.one\r\ntwo\r\n";

/// A session, its buffers, and a clock.
pub(crate) struct Case {
    pub(crate) session: ServerSession,
    pub(crate) now: Duration,
    pub(crate) input: BytesMut,
    pub(crate) out: BytesMut,
}

pub(crate) fn config() -> ServerConfig {
    ServerConfig {
        greeting: "ready".into(),
        plaintext_login: PlaintextLogin::Always,
        mechanisms: vec!["PLAIN".into()],
        mechanisms_before_tls: vec![],
        ..ServerConfig::default()
    }
}

pub(crate) fn maildrop() -> Arc<Maildrop> {
    let message = |size, uidl: &str| Message { size, ending: Ending::Crlf, uidl: uidl.into() };
    Arc::new(Maildrop::new(vec![message(TEXT.len() as u64, "u1"), message(120, "u2"), message(7, "u3")]).unwrap())
}

impl Case {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self::over(Link::default(), config)
    }

    pub(crate) fn over(link: Link, config: ServerConfig) -> Self {
        let session = ServerSession::new(Arc::new(config), link, Duration::ZERO);
        Self { session, now: Duration::ZERO, input: BytesMut::new(), out: BytesMut::new() }
    }

    pub(crate) fn greeted(config: ServerConfig) -> Self {
        let mut case = Self::new(config);
        assert_eq!(case.next(), Step::Event(Event::Connected));
        case.session.accept(case.now, &mut case.out).unwrap();
        assert_eq!(case.said(), "+OK ready\r\n");
        case
    }

    pub(crate) fn logged_in() -> Self {
        let mut case = Self::greeted(config());
        case.send("USER bob\r\nPASS x\r\n");
        assert!(matches!(case.next(), Step::Event(Event::Login { .. })));
        case.session.open(maildrop(), case.now, &mut case.out).unwrap();
        case.said();
        case
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.input.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn next(&mut self) -> Step<Event> {
        self.session.next_event(self.now, &mut self.input, &mut self.out)
    }

    /// What was said since the last call.
    pub(crate) fn said(&mut self) -> String {
        String::from_utf8(self.out.split().to_vec()).unwrap()
    }

    /// Sends a command that the engine answers by itself.
    pub(crate) fn ask(&mut self, text: &str) -> String {
        self.send(text);
        assert_eq!(self.next(), Step::NeedInput);
        self.said()
    }

    pub(crate) fn accept(&mut self) -> String {
        self.session.accept(self.now, &mut self.out).unwrap();
        self.said()
    }

    pub(crate) fn refuse(&mut self, reply: &Reply) -> String {
        self.session.reply(reply, self.now, &mut self.out).unwrap();
        self.said()
    }
}
