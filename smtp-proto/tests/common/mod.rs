//! A server's session under test: what it is fed, what it says, what it tells, and an application that answers.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use smtp_proto::{
    Close, Domain, Enhanced, Event, ForwardPath, Link, Mailbox, PlaintextLogin, Reply, ReplyCode, ReversePath,
    ServerConfig, ServerSession, StartTls, Step, Switched, TlsInfo,
};

pub(crate) fn config() -> ServerConfig {
    ServerConfig::new(Domain::parse("mx.example").unwrap().into_owned())
}

/// STARTTLS, and AUTH under it.
pub(crate) fn submission() -> ServerConfig {
    ServerConfig {
        start_tls: StartTls::Offered,
        mechanisms: vec!["PLAIN".into(), "LOGIN".into()],
        plaintext_login: PlaintextLogin::UnderTls,
        ..config()
    }
}

/// A server's session, its buffers, and all it ever told.
pub(crate) struct Server {
    pub(crate) session: ServerSession,
    pub(crate) now: Duration,
    pub(crate) input: BytesMut,
    pub(crate) out: BytesMut,
    pub(crate) told: Vec<Event>,
}

impl Server {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self {
            session: ServerSession::new(Arc::new(config), Link::default(), Duration::ZERO),
            now: Duration::ZERO,
            input: BytesMut::new(),
            out: BytesMut::new(),
            told: vec![],
        }
    }

    /// A session that was greeted, and whose client has said EHLO.
    pub(crate) fn greeted(config: ServerConfig) -> Self {
        let mut server = Self::new(config);
        let _ = server.run();
        server.say("EHLO client.example\r\n");
        server.told.clear();
        server
    }

    /// Turns the crank until it stops, answering as [`answer`] does. Chunks are told joined.
    pub(crate) fn run(&mut self) -> Step<Event> {
        self.run_with(answer)
    }

    /// Turns the crank until it stops.
    pub(crate) fn run_with(
        &mut self,
        answer: impl Fn(&mut ServerSession, &Event, Duration, &mut BytesMut),
    ) -> Step<Event> {
        loop {
            match self.session.next_event(self.now, &mut self.input, &mut self.out) {
                Step::Event(event) => {
                    answer(&mut self.session, &event, self.now, &mut self.out);
                    self.tell(event);
                }
                step => return step,
            }
        }
    }

    /// Turns the crank to the next question, and leaves that open.
    pub(crate) fn ask(&mut self) -> Event {
        loop {
            match self.session.next_event(self.now, &mut self.input, &mut self.out) {
                Step::Event(event) if event.is_question() => return event,
                Step::Event(event) => self.tell(event),
                step => panic!("no question, but {step:?}"),
            }
        }
    }

    fn tell(&mut self, event: Event) {
        if let (Event::Chunk(new), Some(Event::Chunk(old))) = (&event, self.told.last_mut()) {
            *old = [&old[..], &new[..]].concat().into();
            return;
        }
        self.told.push(event);
    }

    /// Feeds `text` and returns what the server says to it.
    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) -> String {
        self.input.extend_from_slice(text.as_ref());
        let _ = self.run();
        self.heard()
    }

    /// What the server has said since the last look.
    pub(crate) fn heard(&mut self) -> String {
        String::from_utf8(self.out.split().to_vec()).unwrap()
    }

    /// The end of the session, which must have come.
    pub(crate) fn closed(&mut self) -> Close {
        match self.run() {
            Step::Close(why) => why,
            step => panic!("not closed, but {step:?}"),
        }
    }

    pub(crate) fn shake_hands(&mut self) {
        self.session.switched(Switched::Tls(TlsInfo::default()), self.now);
    }

    /// The message that was told, chunks joined.
    pub(crate) fn message(&self) -> Vec<u8> {
        self.told.iter().filter_map(Event::chunk).flat_map(|chunk| chunk.to_vec()).collect()
    }

    /// Whether the event was told.
    pub(crate) fn was_told(&self, event: &Event) -> bool {
        self.told.contains(event)
    }
}

/// An application that says yes, but to local parts that begin with `no` (550), `later` (450) and `bye` (421), and to mechanisms
/// other than PLAIN, which it lets in if the initial response is `secret`.
pub(crate) fn answer(session: &mut ServerSession, event: &Event, now: Duration, out: &mut BytesMut) {
    let result = match event {
        Event::Auth { initial: None, .. } => session.challenge(b"", now, out),
        Event::Auth { initial: Some(secret), .. } | Event::SaslResponse(secret) => match secret.expose() {
            b"secret" => session.authenticated(now, out),
            b"more" => session.challenge(b"again", now, out),
            _ => session.reply(&Reply::new(ReplyCode::BAD_CREDENTIALS, Enhanced::new(7, 8), "no"), now, out),
        },
        Event::Mail(mail) => match &mail.from {
            ReversePath::Mailbox(mailbox) => by_name(session, mailbox, now, out),
            ReversePath::Null => session.accept(now, out),
        },
        Event::Rcpt(rcpt) => match &rcpt.to {
            ForwardPath::Mailbox(mailbox) => by_name(session, mailbox, now, out),
            ForwardPath::Postmaster => session.accept(now, out),
        },
        _ if event.is_question() => session.accept(now, out),
        _ => return,
    };
    assert_eq!(result, Ok(()), "{event:?}");
}

fn by_name(
    session: &mut ServerSession,
    mailbox: &Mailbox,
    now: Duration,
    out: &mut BytesMut,
) -> Result<(), smtp_proto::Misuse> {
    let reply = match mailbox.local_part() {
        name if name.starts_with("no") => {
            Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, Enhanced::new(1, 1), "no such user")
        }
        name if name.starts_with("later") => Reply::new(ReplyCode::MAILBOX_BUSY, Enhanced::new(2, 1), "busy"),
        name if name.starts_with("bye") => Reply::new(ReplyCode::NOT_AVAILABLE, Enhanced::new(3, 2), "goodbye"),
        _ => return session.accept(now, out),
    };
    session.reply(&reply, now, out)
}
