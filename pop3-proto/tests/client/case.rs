//! A client's session with a clock that the test moves.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pop3_proto::{
    ClientConfig, ClientEvent, ClientSession, Command, Digest, Link, Mechanism, Name, Password, Proxied, SendError,
    Step, Ticket, Waiting,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const ALL: &str = "USER\r\nSASL PLAIN LOGIN\r\nPIPELINING\r\nSTLS\r\nUTF8 USER\r\nLANG\r\n";

pub(crate) struct Client {
    pub(crate) session: ClientSession,
    pub(crate) now: Duration,
    pub(crate) input: BytesMut,
    pub(crate) out: BytesMut,
}

impl Client {
    pub(crate) fn with(config: ClientConfig) -> Self {
        let session = ClientSession::new(Arc::new(config), Link::default(), Duration::ZERO);
        Self { session, now: Duration::ZERO, input: BytesMut::new(), out: BytesMut::new() }
    }

    pub(crate) fn new() -> Self {
        Self::with(ClientConfig::default())
    }

    /// Greeted, and told what the server offers.
    pub(crate) fn greeted(mut self, offers: &str) -> Self {
        self.hear("+OK ready\r\n");
        let capa = self.send(&Command::Capa).unwrap();
        self.hear("+OK\r\n");
        assert_eq!(self.hear(&format!("{offers}.\r\n")), ClientEvent::End { to: capa });
        self.out.clear();
        self
    }

    /// Greeted, told, and logged in.
    pub(crate) fn logged_in(self, offers: &str) -> Self {
        let mut client = self.greeted(offers);
        client.send(&pass("x")).unwrap();
        client.hear("+OK\r\n");
        client.out.clear();
        client
    }

    pub(crate) fn send(&mut self, command: &Command<'_>) -> Result<Ticket, SendError> {
        self.session.send(command, self.now, &mut self.out)
    }

    /// What the server's words mean: the next event, which must come.
    pub(crate) fn hear(&mut self, text: &str) -> ClientEvent {
        match self.step(text) {
            Step::Event(event) => event,
            step => panic!("no event, but {step:?}"),
        }
    }

    pub(crate) fn step(&mut self, text: &str) -> Step<ClientEvent> {
        self.input.extend_from_slice(text.as_bytes());
        self.session.next_event(self.now, &mut self.input, &mut self.out)
    }

    /// Whether the reply to `ticket`, which must be next, is positive.
    pub(crate) fn reply_to(&mut self, ticket: Ticket, text: &str) -> bool {
        match self.hear(text) {
            ClientEvent::Reply { to, reply } if to == ticket => reply.is_positive(),
            event => panic!("not to {ticket:?}, but {event:?}"),
        }
    }

    pub(crate) fn due(&self) -> (u64, Waiting) {
        let deadline = self.session.poll_timeout().unwrap();
        ((deadline.at - self.now).as_secs(), deadline.waiting_for)
    }
}

pub(crate) fn user(name: &str) -> Command<'_> {
    Command::User(Name::parse(name.as_bytes()).unwrap())
}

pub(crate) fn pass(password: &str) -> Command<'_> {
    Command::Pass(Password::parse(password.as_bytes()).unwrap())
}

pub(crate) fn auth(mechanism: &str) -> Command<'_> {
    Command::Auth { mechanism: Mechanism::parse(mechanism.as_bytes()).unwrap(), initial: None }
}

pub(crate) fn apop(name: &str) -> Command<'_> {
    let digest = Digest::parse(b"c4c9334bac560ecc979e58001b3e22fb").unwrap();
    Command::Apop { user: Name::parse(name.as_bytes()).unwrap(), digest }
}

pub(crate) fn xclient() -> Command<'static> {
    Command::Xclient(Proxied::parse("ADDR=192.0.2.1").unwrap())
}
