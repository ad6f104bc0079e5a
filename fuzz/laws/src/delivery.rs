//! The SMTP client under the laws: the delivery of one message.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use services::engine::{Close, Link};
use smtp_proto::{
    ClientConfig, ClientLimits, Command, Delivery, DeliveryEvent, Envelope, ForwardPath, Mail, Policy, Protocol, Rcpt,
    ReversePath, Step, TlsPolicy,
};

use crate::smtp::domain;
use crate::wire::{begins, lines, shown};
use crate::{Broken, Draw, Enclosed, Listener, Reset, Said, Subject, Written, ensure};

/// A client that has one message for two recipients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client;

/// A server that counts the replies it owes, and knows what it has offered.
#[derive(Clone, Debug)]
pub struct Server {
    protocol: Protocol,
    owed: VecDeque<Owed>,
    pipelining: bool,
    accepted: usize,
}

/// What a reply is owed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Greeting,
    Hello,
    StartTls,
    Mail,
    Rcpt,
    Data,
    Other,
}

const WORDS: [&[u8]; 40] = [
    b"220 server.test ESMTP\r\n",
    b"250-server.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
    b"250 2.1.0 ok\r\n",
    b"354 go on\r\n",
    b"250 2.0.0 queued\r\n",
    b"221 goodbye\r\n",
    b"250-server.test\r\n250 STARTTLS\r\n",
    b"250 server.test\r\n",
    b"220 ready\r\n",
    b"220-first line\r\n220 second line\r\n",
    b"450 4.2.0 try again\r\n",
    b"550 5.1.1 no such user\r\n",
    b"421 4.3.2 going down\r\n",
    b"554 5.7.1 no\r\n",
    b"502 5.5.1 what\r\n",
    b"552 5.2.2 full\r\n",
    b"250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n",
    b"250 ok\r\n550 no\r\n550 no\r\n354 go on\r\n",
    b"220 server.test\r\n250-server.test\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n",
    b"220 server.test\r\n250-server.test\r\n250 STARTTLS\r\n",
    b"250-server.test\r\n250-STARTTLS\r\n250-SIZE\r\n250-AUTH PLAIN LOGIN\r\n250 PIPELINING\r\n",
    b"250-server.test\r\n250 SIZE 3\r\n",
    b"334 \r\n",
    b"251 forwarded\r\n",
    b"250-half\r\n",
    b"250-one\r\n251 other\r\n",
    b"199 low\r\n",
    b"600 high\r\n",
    b"25\r\n",
    b"250\r\n",
    b"250ok\r\n",
    b"hello\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    b"220 s\r\n250 s\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n250 queued\r\n",
    b"250 2.1.5 1.2.3 ok \x01\r\n",
    b"250-................................................................................\r\n",
];

impl Subject for Client {
    type Engine = Delivery;
    type Listener = Server;

    fn start(&self, config: u8, now: Duration) -> Delivery {
        let (config, envelope, policy) = configuration(config);
        Delivery::new(Arc::new(config), envelope, policy, Link::default().into(), now)
    }

    fn words(&self) -> &[&[u8]] {
        &WORDS
    }

    /// What the server offers, a reply for each recipient, the commands under way.
    fn memory(&self) -> usize {
        let limits = ClientLimits::default();
        2 * limits.reply + 3 * limits.kept_reply + 64 * limits.window
    }

    fn total_phases(&self) -> &[&str] {
        &["greeting", "tls"]
    }

    /// Of the replies only the outcome is told.
    fn ends_unheard(&self, octet: u8, _waiting_for: &str) -> bool {
        octet == b'\n'
    }

    fn sync_violations(&self) -> &[&str] {
        &["pipelined_tls"]
    }

    fn answer(
        &self,
        engine: &mut Delivery,
        question: &DeliveryEvent,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) {
        match question {
            DeliveryEvent::Body if draw.octet() >= 230 => engine.abort(),
            DeliveryEvent::Body => {
                let piece = usize::from(draw.octet()).max(1);
                let sent = TEXT.chunks(piece).try_for_each(|chunk| engine.body(chunk, out));
                // A message that a verb has spoiled cannot be ended.
                if sent.and_then(|()| engine.end_body(now, out)).is_err() {
                    engine.abort();
                }
            }
            DeliveryEvent::Challenge(_) | DeliveryEvent::Idle => engine.decline(now, out),
            DeliveryEvent::Done(_) => {}
        }
    }

    fn decline(&self, engine: &mut Delivery, now: Duration, out: &mut BytesMut) {
        engine.decline(now, out);
    }

    fn verb(&self, engine: &mut Delivery, draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) -> Said {
        let said = match draw.octet() % 4 {
            0 => engine.body(b".\r\n", out),
            1 => engine.body(b"\r\n.\r\nMAIL FROM:<smuggled@client.test>\r\n", out),
            2 => engine.body(b"bare\nline", out),
            _ => engine.end_body(now, out),
        };
        if said.is_ok() { Said::Ok } else { Said::Misuse }
    }

    fn tell(&self, event: &DeliveryEvent) -> String {
        format!("{event:?}")
    }

    fn listener(&self, config: u8) -> Server {
        let protocol = configuration(config).0.protocol;
        Server { protocol, owed: VecDeque::new(), pipelining: false, accepted: 0 }
    }

    fn resets(&self) -> &[Reset] {
        &RESETS
    }

    /// A server sends no bodies.
    fn enclose(&self, _text: &[u8]) -> Vec<Enclosed> {
        Vec::new()
    }

    fn write(&self, draw: &mut Draw<'_>) -> Written {
        crate::smtp::write_message(draw)
    }
}

/// RFC 3207 §4.2: what was offered in the clear is not believed behind TLS.
const RESETS: [Reset; 1] = [Reset {
    config: 0,
    lead: b"220 server.test\r\n250-server.test\r\n",
    gossip: &[
        b"250-PIPELINING\r\n",
        b"250-SIZE 3\r\n",
        b"250-SIZE 100000\r\n",
        b"250-8BITMIME\r\n",
        b"250-SMTPUTF8\r\n",
        b"250-AUTH PLAIN\r\n",
    ],
    edge: b"250 STARTTLS\r\n220 ready\r\n",
}];

const TEXT: &[u8] = b"Subject: dots\r\n\r\n.\r\n..\r\n.one\r\ntext\r\n";

impl Listener for Server {
    fn utterance(&self, wire: &[u8]) -> Option<usize> {
        let mut length = 0;
        for line in lines(wire) {
            length += line.len();
            if line.get(3) != Some(&b'-') {
                return line.ends_with(b"\r\n").then_some(length);
            }
        }
        None
    }

    fn hear(&mut self, utterance: &[u8], said: &[u8], _end: Option<Close>) -> Result<(), Broken> {
        if utterance.is_empty() {
            ensure!(said.is_empty(), "speaks before it is greeted: {}", shown(said));
            self.owed.push_back(Owed::Greeting);
            return Ok(());
        }
        let mut said = said;
        if self.reply(utterance) {
            said = self.take_message(said)?;
        }
        for line in lines(said) {
            let command = line.strip_suffix(b"\r\n").map(Command::parse);
            let Some(Ok(command)) = command else {
                return Err(Broken::new(format!("says what is no command: {}", shown(said))));
            };
            ensure!(
                self.owed.is_empty() || self.pipelining && !self.owed.contains(&Owed::StartTls),
                "does not wait for a reply: {} behind {}",
                shown(said),
                shown(utterance)
            );
            self.owed.push_back(Owed::to(&command));
        }
        Ok(())
    }
}

impl Server {
    /// Gives the reply; says whether it asks for the message.
    fn reply(&mut self, utterance: &[u8]) -> bool {
        let success = utterance.first() == Some(&b'2');
        match self.owed.pop_front() {
            Some(Owed::Hello) => {
                self.pipelining = success
                    && lines(utterance).any(|line| line.get(4..).is_some_and(|word| begins(word, b"PIPELINING")));
            }
            Some(Owed::StartTls) if success => self.pipelining = false,
            Some(Owed::Mail) if success => self.accepted = 0,
            Some(Owed::Rcpt) => self.accepted += usize::from(success),
            // RFC 5321 §4.2.1: the first digit is enough.
            Some(Owed::Data) => return utterance.starts_with(b"3"),
            Some(Owed::Greeting | Owed::StartTls | Owed::Mail | Owed::Other) | None => {}
        }
        false
    }

    /// Takes the message off the front of what was said; a client that was cut off may not have ended it.
    fn take_message<'s>(&mut self, said: &'s [u8]) -> Result<&'s [u8], Broken> {
        let mut lines = lines(said);
        if !lines.any(|line| line == b".\r\n") {
            return Ok(&[]);
        }
        let verdicts = if self.protocol == Protocol::Lmtp { self.accepted } else { 1 };
        self.owed.extend((0..verdicts).map(|_| Owed::Other));
        let rest: usize = lines.map(<[u8]>::len).sum();
        let at = said.len().saturating_sub(rest);
        said.get(at..).ok_or_else(|| Broken::new("says less than it says"))
    }
}

impl Owed {
    const fn to(command: &Command<'_>) -> Self {
        match command {
            Command::Ehlo(_) | Command::Lhlo(_) | Command::Helo(_) => Self::Hello,
            Command::StartTls => Self::StartTls,
            Command::Mail { .. } => Self::Mail,
            Command::Rcpt { .. } => Self::Rcpt,
            Command::Data => Self::Data,
            Command::Auth { .. }
            | Command::Rset
            | Command::Bdat(_)
            | Command::Expn(_)
            | Command::Help(_)
            | Command::Etrn(_)
            | Command::Xclient(_)
            | Command::Xforward(_)
            | Command::Noop
            | Command::Vrfy(_)
            | Command::Quit => Self::Other,
        }
    }
}

/// The octets that a client sends for a message that it gets in two pieces.
#[must_use]
pub fn message(text: &[u8], cut: usize) -> Vec<u8> {
    let replies: &[u8] =
        b"220 s\r\n250-s\r\n250-8BITMIME\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n";
    let (mut input, mut out, now) = (BytesMut::from(replies), BytesMut::new(), Duration::ZERO);
    let mut delivery = Client.start(1, now);
    let Step::Event(DeliveryEvent::Body) = delivery.next_event(now, &mut input, &mut out) else { return Vec::new() };
    out.clear();
    let (front, rest) = text.split_at_checked(cut).unwrap_or((text, &[]));
    let _ = delivery.body(front, &mut out).and_then(|()| delivery.body(rest, &mut out));
    let _ = delivery.end_body(now, &mut out);
    out.to_vec()
}

fn configuration(number: u8) -> (ClientConfig, Envelope, Policy) {
    let tls = match number % 3 {
        0 => TlsPolicy::Opportunistic,
        1 => TlsPolicy::Never,
        _ => TlsPolicy::Required,
    };
    let protocol = if number % 6 < 3 { Protocol::Smtp } else { Protocol::Lmtp };
    let limits = match number % 12 {
        0..6 => ClientLimits::default(),
        _ => ClientLimits {
            reply_line: 60,
            reply_lines: 4,
            reply: 120,
            kept_reply: 10,
            window: 2,
            ..ClientLimits::default()
        },
    };
    let config = ClientConfig { protocol, limits, ..ClientConfig::new(domain("client.test")) };
    let to = |path| ForwardPath::parse(path).map_or(ForwardPath::Postmaster, ForwardPath::into_owned);
    let recipients = ["<b@server.test>", "<c@server.test>"];
    let envelope = Envelope {
        mail: Mail {
            from: ReversePath::Null,
            parameters: smtp_proto::MailParameters { size: Some(40), ..Default::default() },
        },
        recipients: recipients
            .map(|path| Rcpt { to: to(path), parameters: smtp_proto::RcptParameters::default() })
            .into(),
    };
    (config, envelope, Policy { tls, ..Policy::default() })
}
