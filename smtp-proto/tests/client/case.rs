//! A client's session, its buffers, and commands to send.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use smtp_proto::{
    Chunk, Class, ClientConfig, ClientEvent, ClientSession, Command, Domain, ForwardPath, Link, MailParameters, Misuse,
    Protocol, ReversePath, SendError, Step, Ticket,
};

pub(crate) const NOW: Duration = Duration::ZERO;

pub(crate) struct Client {
    pub(crate) session: ClientSession,
    pub(crate) input: BytesMut,
    pub(crate) out: BytesMut,
}

impl Client {
    pub(crate) fn new(protocol: Protocol) -> Self {
        let config = ClientConfig { protocol, ..ClientConfig::new(name().into_owned()) };
        Self {
            session: ClientSession::new(Arc::new(config), Link::default(), NOW),
            input: BytesMut::new(),
            out: BytesMut::new(),
        }
    }

    /// Greeted, and told what the server offers.
    pub(crate) fn greeted(offers: &str) -> Self {
        let mut client = Self::new(Protocol::Smtp);
        client.hear("220 mx.example\r\n");
        client.send(Command::Ehlo(name())).unwrap();
        client.hear(&format!("250-mx.example\r\n{offers}250 HELP\r\n"));
        client.out.clear();
        client
    }

    /// The same in LMTP.
    pub(crate) fn lmtp(offers: &str) -> Self {
        let mut client = Self::new(Protocol::Lmtp);
        client.hear("220 mx.example\r\n");
        client.send(Command::Lhlo(name())).unwrap();
        client.hear(&format!("250-mx.example\r\n{offers}250 HELP\r\n"));
        client.out.clear();
        client
    }

    pub(crate) fn send(&mut self, command: Command<'_>) -> Result<Ticket, SendError> {
        self.session.send(&command, NOW, &mut self.out)
    }

    /// What the server's words mean: the next event, which must come.
    pub(crate) fn hear(&mut self, text: &str) -> ClientEvent {
        self.input.extend_from_slice(text.as_bytes());
        match self.step() {
            Step::Event(event) => event,
            step => panic!("no event, but {step:?}"),
        }
    }

    /// What was said since the last look.
    pub(crate) fn said(&mut self) -> String {
        String::from_utf8(self.out.split().to_vec()).unwrap()
    }

    pub(crate) fn body(&mut self, octets: &[u8]) -> Result<(), Misuse> {
        self.session.body(octets, &mut self.out)
    }

    pub(crate) fn end_body(&mut self) -> Result<Ticket, Misuse> {
        self.session.end_body(NOW, &mut self.out)
    }

    pub(crate) fn step(&mut self) -> Step<ClientEvent> {
        self.session.next_event(NOW, &mut self.input, &mut self.out)
    }

    /// The class of the reply to `ticket`, which must be next.
    pub(crate) fn reply_to(&mut self, ticket: Ticket, text: &str) -> Class {
        match self.hear(text) {
            ClientEvent::Reply { to, reply } if to == ticket => reply.class(),
            event => panic!("not to {ticket:?}, but {event:?}"),
        }
    }
}

pub(crate) fn name() -> Domain<&'static str> {
    Domain::parse("a.example").unwrap()
}

pub(crate) fn mail(from: &str) -> Command<'_> {
    Command::Mail { from: ReversePath::parse(from).unwrap(), parameters: MailParameters::default() }
}

pub(crate) fn rcpt(to: &str) -> Command<'_> {
    Command::Rcpt { to: ForwardPath::parse(to).unwrap(), parameters: Default::default() }
}

pub(crate) fn bdat(octets: u64) -> Command<'static> {
    Command::Bdat(Chunk { octets, last: false })
}

pub(crate) fn bdat_last(octets: u64) -> Command<'static> {
    Command::Bdat(Chunk { octets, last: true })
}
