//! A visit with a server that says what the test wants.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pop3_proto::{
    Choice, ClientConfig, Close, Fetch, FetchEvent, Link, Login, Mechanism, Offer, Policy, Report, Secret, Step,
    TlsPolicy, Trouble, Utf8Policy,
};

pub(crate) const CLEAR: Policy = Policy { tls: TlsPolicy::Never, utf8: Utf8Policy::WhereOffered };
pub(crate) const LIST_OF_THREE: &str = "+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n+OK\r\n1 10\r\n2 20\r\n3 30\r\n.";

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

pub(crate) fn password() -> Login {
    Login::Password { user: "bob".into(), password: secret("x y") }
}

pub(crate) fn sasl(mechanism: &str, initial: Option<&str>) -> Login {
    let mechanism = Mechanism::parse(mechanism.as_bytes()).unwrap().into_owned();
    Login::Sasl { mechanism, initial: initial.map(secret) }
}

/// A visit, its buffers, and what it told.
pub(crate) struct Visit {
    pub(crate) fetch: Fetch,
    pub(crate) now: Duration,
    pub(crate) input: BytesMut,
    pub(crate) out: BytesMut,
    pub(crate) told: Vec<FetchEvent>,
}

impl Visit {
    pub(crate) fn with(config: ClientConfig, login: Login, policy: Policy) -> Self {
        let fetch = Fetch::new(Arc::new(config), login, policy, Link::default(), Duration::ZERO);
        Self { fetch, now: Duration::ZERO, input: BytesMut::new(), out: BytesMut::new(), told: vec![] }
    }

    pub(crate) fn new(login: Login, policy: Policy) -> Self {
        Self::with(ClientConfig::default(), login, policy)
    }

    /// Logged in to a server with these capabilities, and shown three messages.
    pub(crate) fn of_three(capabilities: &str) -> Self {
        let mut visit = Self::new(password(), CLEAR);
        visit.hear("+OK ready");
        visit.hear(&format!("+OK\r\nUSER\r\n{capabilities}."));
        visit.hear("+OK");
        visit.hear("+OK");
        visit.hear(LIST_OF_THREE);
        assert_eq!(visit.told, [FetchEvent::Maildrop]);
        visit.told.clear();
        visit
    }

    /// Turns the crank to the next question, or as far as it goes. Chunks are told joined.
    pub(crate) fn run(&mut self) -> Step<FetchEvent> {
        loop {
            match self.fetch.next_event(self.now, &mut self.input, &mut self.out) {
                Step::Event(event) => {
                    let asks = event.is_question();
                    match (event.chunk(), self.told.last_mut()) {
                        (Some(new), Some(FetchEvent::Chunk(old))) => *old = [&old[..], &new[..]].concat().into(),
                        _ => self.told.push(event),
                    }
                    if asks {
                        return Step::YourTurn;
                    }
                }
                step => return step,
            }
        }
    }

    /// The server says `text`; what the client says to that.
    pub(crate) fn hear(&mut self, text: &str) -> String {
        self.input.extend_from_slice(text.as_bytes());
        self.input.extend_from_slice(b"\r\n");
        let _ = self.run();
        self.said()
    }

    pub(crate) fn said(&mut self) -> String {
        String::from_utf8(self.out.split().to_vec()).unwrap()
    }

    /// Plays a whole dialogue: the server's words and what must follow each.
    pub(crate) fn play(mut self, dialogue: &[(&str, &str)]) -> Self {
        for (said, answered) in dialogue {
            assert_eq!(self.hear(said), *answered, "to {said:?}");
        }
        self
    }

    /// Answers the list by the choice for each message, which are all named.
    pub(crate) fn choose(&mut self, choices: &[Choice]) -> String {
        let mut choices = choices.iter();
        self.fetch.choose(|_| *choices.next().unwrap(), self.now, &mut self.out).unwrap();
        assert_eq!(choices.next(), None);
        let _ = self.run();
        self.said()
    }

    pub(crate) fn delete(&mut self) -> String {
        self.fetch.delete(self.now, &mut self.out).unwrap();
        let _ = self.run();
        self.said()
    }

    pub(crate) fn accept(&mut self) -> String {
        self.fetch.accept(self.now, &mut self.out).unwrap();
        let _ = self.run();
        self.said()
    }

    pub(crate) fn closed(&mut self) -> Close {
        match self.run() {
            Step::Close(why) => why,
            step => panic!("not closed, but {step:?}"),
        }
    }

    /// The report, which must have been told last, and once.
    pub(crate) fn report(&mut self) -> Report {
        let _ = self.run();
        let Some(FetchEvent::Done(report)) = self.told.pop() else { panic!("not done: {:?}", self.told) };
        assert!(!self.told.iter().any(|event| matches!(event, FetchEvent::Done(_))));
        *report
    }

    pub(crate) fn trouble(&mut self) -> Trouble {
        self.report().trouble.expect("no trouble")
    }
}

pub(crate) fn offer(number: u32, size: u64, uidl: &str) -> Offer {
    Offer { number, size: Some(size), uidl: Some(uidl.into()) }
}
