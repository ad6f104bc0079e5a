//! A delivery to a server that says what the test wants.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use smtp_proto::{
    ClientConfig, Close, Delivery, DeliveryEvent, Domain, Envelope, ForwardPath, Link, Mail, MailParameters, Mechanism,
    Outcome, Policy, Protocol, Rcpt, Report, Reuse, ReversePath, Secret, Step, Switched, TlsInfo, TlsPolicy,
};

pub(crate) const MESSAGE: &[u8] = b"Subject: hi\r\n\r\n.dot\r\n";
pub(crate) const ON_THE_WIRE: &str = "Subject: hi\r\n\r\n..dot\r\n.\r\n";
pub(crate) const PLAIN: &str = "250 mx.example";
pub(crate) const PIPELINING: &str = "250-mx.example\r\n250 PIPELINING";
pub(crate) const GREETING: (&str, &str) = ("220 mx.example", "EHLO a.example\r\n");
pub(crate) const MAIL: &str = "MAIL FROM:<me@a.example>\r\n";

pub(crate) fn envelope(recipients: &[&str]) -> Envelope {
    let rcpt = |name: &&str| {
        let text = if name.contains('@') { format!("<{name}>") } else { format!("<{name}@mx.example>") };
        Rcpt { to: ForwardPath::parse(&text).unwrap().into_owned(), parameters: Default::default() }
    };
    Envelope {
        mail: Mail { from: ReversePath::parse("<me@a.example>").unwrap().into_owned(), parameters: Default::default() },
        recipients: recipients.iter().map(rcpt).collect(),
    }
}

/// One recipient, and a message that needs this.
pub(crate) fn needing(parameters: MailParameters) -> Envelope {
    let mut envelope = envelope(&["a"]);
    envelope.mail.parameters = parameters;
    envelope
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

pub(crate) fn mechanism(name: &str) -> Mechanism {
    Mechanism::parse(name).unwrap().into_owned()
}

pub(crate) fn reuse() -> Policy {
    Policy { reuse: Reuse::Ask, ..Policy::default() }
}

/// The reply to EHLO that offers this.
pub(crate) fn offers(keywords: &[&str]) -> String {
    let lines: String = keywords.iter().map(|keyword| format!("250-{keyword}\r\n")).collect();
    format!("250-mx.example\r\n{lines}250 HELP")
}

/// RCPT for each, and then the command behind them.
pub(crate) fn group(recipients: &[&str], last: &str) -> String {
    let to = |name: &&str| {
        let host = if name.contains('@') { "" } else { "@mx.example" };
        format!("RCPT TO:<{name}{host}>\r\n")
    };
    format!("{MAIL}{}{last}", recipients.iter().map(to).collect::<String>())
}

/// A delivery, its buffers, and what it told.
pub(crate) struct Client {
    pub(crate) delivery: Delivery,
    pub(crate) now: Duration,
    pub(crate) input: BytesMut,
    pub(crate) out: BytesMut,
    pub(crate) reports: Vec<Report>,
    /// What the application is asked beside the message, which it sends at once.
    pub(crate) asked: Vec<DeliveryEvent>,
}

impl Client {
    pub(crate) fn with(config: ClientConfig, envelope: Envelope, policy: Policy) -> Self {
        let delivery = Delivery::new(Arc::new(config), envelope, policy, Link::default(), Duration::ZERO);
        Self {
            delivery,
            now: Duration::ZERO,
            input: BytesMut::new(),
            out: BytesMut::new(),
            reports: vec![],
            asked: vec![],
        }
    }

    pub(crate) fn new(protocol: Protocol, envelope: Envelope, policy: Policy) -> Self {
        let host = Domain::parse("a.example").unwrap().into_owned();
        Self::with(ClientConfig { protocol, ..ClientConfig::new(host) }, envelope, policy)
    }

    pub(crate) fn smtp(recipients: &[&str]) -> Self {
        Self::new(Protocol::Smtp, envelope(recipients), Policy::default())
    }

    pub(crate) fn under(tls: TlsPolicy) -> Self {
        Self::new(Protocol::Smtp, envelope(&["a"]), Policy { tls, ..Policy::default() })
    }

    /// Turns the crank to the next question, or as far as it goes.
    pub(crate) fn run(&mut self) -> Step<DeliveryEvent> {
        loop {
            match self.delivery.next_event(self.now, &mut self.input, &mut self.out) {
                Step::Event(DeliveryEvent::Body) => {
                    MESSAGE.chunks(3).for_each(|piece| self.delivery.body(piece, &mut self.out).unwrap());
                    self.delivery.end_body(self.now, &mut self.out).unwrap();
                }
                Step::Event(DeliveryEvent::Done(report)) => self.reports.push(*report),
                Step::Event(event @ (DeliveryEvent::Challenge(_) | DeliveryEvent::Idle)) => self.asked.push(event),
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

    /// The handshake is done; what the client says then.
    pub(crate) fn shake_hands(&mut self) -> String {
        self.delivery.switched(Switched::Tls(TlsInfo::default()), self.now);
        let _ = self.run();
        self.said()
    }

    /// Another message; what the client says.
    pub(crate) fn again(&mut self, envelope: Envelope) -> String {
        assert_eq!(self.asked.pop(), Some(DeliveryEvent::Idle));
        self.delivery.again(envelope, self.now, &mut self.out).unwrap();
        let _ = self.run();
        self.said()
    }

    pub(crate) fn closed(&mut self) -> Close {
        match self.run() {
            Step::Close(why) => why,
            step => panic!("not closed, but {step:?}"),
        }
    }

    /// What was told last, which was told once: one line for each recipient, and one for the trouble.
    pub(crate) fn told(&mut self) -> String {
        let _ = self.run();
        let report = self.reports.pop().expect("nothing was told");
        assert_eq!(self.reports, [], "and more than once");
        told(&report)
    }
}

pub(crate) fn told(report: &Report) -> String {
    let line = |outcome: &Outcome| {
        let word = match outcome {
            Outcome::Accepted(_) => "accepted",
            Outcome::Deferred(_) => "deferred",
            Outcome::Failed(_) => "failed",
        };
        let said = outcome.said();
        format!("{word} {:?} {} {}\n", said.by, said.stage.as_str(), said.reply)
    };
    let trouble = report.trouble.map_or(String::new(), |trouble| format!("{trouble:?}\n"));
    report.outcomes.iter().map(line).collect::<String>() + &trouble
}
