//! The SMTP client under the laws: the delivery of one message and then perhaps another.

use core::time::Duration;
use std::sync::Arc;

use bytes::BytesMut;
use services::engine::{Link, TlsInfo};
use smtp_proto::{
    BodyType, Chunking, ClientConfig, ClientLimits, Delivery, DeliveryEvent, Envelope, ForwardPath, Login, Mail,
    MailParameters, Mechanism, Notify, Policy, Protocol, Rcpt, RcptParameters, Ret, Reuse, ReversePath, Rrvs, Secret,
    Step, TlsPolicy,
};

use crate::smtp::domain;
use crate::smtp_client::Server;
use crate::wire::hex;
use crate::{Draw, Enclosed, Reset, Said, Subject, Written};

/// A client that has a message for some recipients, and another one behind it where the server is asked for more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client;

/// What is said most stands at the front; the rest is said now and then.
const WORDS: [&[u8]; 83] = [
    b"220 server.test ESMTP\r\n",
    b"220 server.test ESMTP\r\n",
    b"220 server.test ESMTP\r\n",
    b"220 ready\r\n",
    b"220 ready\r\n",
    EVERYTHING,
    EVERYTHING,
    EVERYTHING,
    EVERYTHING,
    b"250-server.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
    b"250-server.test\r\n250-AUTH PLAIN LOGIN X\r\n250-CHUNKING\r\n250-8BITMIME\r\n250 SIZE\r\n",
    b"250-server.test\r\n250-AUTH LOGIN\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=1 MAILMAX=2 RCPTDOMAINMAX=1\r\n",
    b"250-server.test\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n250 SMTPUTF8\r\n",
    b"250-server.test\r\n250-LIMITS MAILMAX=1 RCPTMAX=1\r\n250 PIPELINING\r\n",
    b"250-server.test\r\n250 STARTTLS\r\n",
    b"250 server.test\r\n",
    b"220 server.test\r\n250-server.test\r\n250 STARTTLS\r\n220 ready\r\n",
    b"220 s\r\n250-s\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN X\r\n250 SMTPUTF8\r\n",
    b"220 server.test\r\n250-server.test\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n",
    b"220 s\r\n250 s\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n250 queued\r\n",
    b"235 2.7.0 in\r\n",
    b"235 2.7.0 in\r\n",
    b"334 \r\n",
    b"334 Y2hhbGxlbmdl\r\n",
    b"250 ok\r\n",
    b"250 ok\r\n",
    b"250 ok\r\n",
    b"250 ok\r\n",
    b"250 ok\r\n",
    b"250 ok\r\n",
    b"250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n",
    b"250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n",
    b"250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 queued\r\n",
    b"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 queued\r\n",
    b"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n",
    b"250 ok\r\n550 no\r\n550 no\r\n354 go on\r\n",
    b"250 ok\r\n250 ok\r\n452 enough\r\n354 go on\r\n250 queued\r\n",
    b"354 go on\r\n",
    b"354 go on\r\n",
    b"250 2.0.0 queued\r\n",
    b"250 2.0.0 queued\r\n",
    b"221 goodbye\r\n",
    b"450 4.2.0 try again\r\n",
    b"452 4.5.3 too many\r\n",
    b"552 5.2.2 full\r\n",
    b"550 5.1.1 no such user\r\n",
    b"421 4.3.2 going down\r\n",
    b"554 5.7.1 no\r\n",
    b"502 5.5.1 what\r\n",
    b"535 5.7.8 out\r\n",
    b"251 forwarded\r\n",
    b"220-first line\r\n220 second line\r\n",
    b"250-half\r\n",
    b"250\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"221 goodbye\r\n",
    b"250 ok\r\n250 ok\r\n",
    b"250 ok\r\n250 ok\r\n250 ok\r\n",
    b"550 no\r\n",
    b"450 later\r\n450 later\r\n450 later\r\n",
    b"250-server.test\r\n250-AUTH PLAIN LOGIN\r\n250-STARTTLS\r\n250-SIZE\r\n250 PIPELINING\r\n",
    b"334 VXNlcm5hbWU6\r\n",
    b"220 server.test\r\n250 server.test\r\n",
    // From here on, what is said now and then.
    b"250-server.test\r\n250 SIZE 3\r\n",
    b"250-one\r\n251 other\r\n",
    b"199 low\r\n",
    b"600 high\r\n",
    b"25\r\n",
    b"250ok\r\n",
    b"hello\r\n",
    b"\0",
    b"\xff",
    b"334 !\r\n",
    b"334 \r\n334 \r\n334 \r\n",
    b"554 no mail here\r\n",
    b"250 2.1.5 1.2.3 ok \x01\r\n",
    b"250-................................................................................\r\n",
    b"250-server.test\r\n250-AUTH A B C D E F G H I J K L M N O P Q R S T\r\n250 AUTH=LOGIN\r\n",
    b"250-server.test\r\n250-LIMITS MAILMAX=1 RCPTMAX=2\r\n250 PIPELINING\r\n",
    b"250-server.test\r\n250-RRVS\r\n250-DSN\r\n250 SMTPUTF8\r\n",
    b"503 5.5.1 not now\r\n",
];

/// The reply to EHLO of a server that offers all there is.
const EVERYTHING: &[u8] = b"250-server.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n250-REQUIRETLS\r\n250-STARTTLS\r\n250-AUTH PLAIN X\r\n250-RRVS\r\n\
250 XHANDOVER\r\n";

impl Subject for Client {
    type Engine = Delivery;
    type Listener = Server;

    fn start(&self, config: u8, now: Duration) -> Delivery {
        let Visit { config, envelope, policy, link } = visit(config);
        Delivery::new(Arc::new(config), envelope, policy, link.into(), now)
    }

    fn words(&self) -> &[&[u8]] {
        &WORDS
    }

    /// What the server offers, a reply for each recipient and the last, the commands under way.
    fn memory(&self) -> usize {
        let limits = ClientLimits::default();
        2 * limits.reply + (RECIPIENTS.len() + 1) * limits.kept_reply + 128 * limits.window
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
            DeliveryEvent::Challenge(_) if draw.octet() < 230 => drop(engine.respond(b"response", now, out)),
            // Now and then, for who fails each at once would never come to an end.
            DeliveryEvent::Idle if (1..120).contains(&draw.octet()) => drop(engine.again(another(), now, out)),
            DeliveryEvent::Challenge(_) | DeliveryEvent::Idle => engine.decline(now, out),
            DeliveryEvent::Done(_) => {}
        }
    }

    fn decline(&self, engine: &mut Delivery, now: Duration, out: &mut BytesMut) {
        engine.decline(now, out);
    }

    fn verb(&self, engine: &mut Delivery, draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) -> Said {
        let said = match draw.octet() % 8 {
            0 => engine.body(b".\r\n", out),
            1 => engine.body(b"\r\n.\r\nMAIL FROM:<smuggled@client.test>\r\n", out),
            2 => engine.body(b"bare\nline", out),
            3 => engine.respond(b"", now, out),
            4 => engine.cancel(now, out),
            5 => engine.again(another(), now, out),
            6 => {
                engine.decline(now, out);
                Ok(())
            }
            _ => engine.end_body(now, out),
        };
        if said.is_ok() { Said::Ok } else { Said::Misuse }
    }

    fn tell(&self, event: &DeliveryEvent) -> String {
        match event {
            DeliveryEvent::Challenge(challenge) => format!("Challenge {}", hex(challenge.expose())),
            DeliveryEvent::Body | DeliveryEvent::Done(_) | DeliveryEvent::Idle => format!("{event:?}"),
        }
    }

    fn listener(&self, config: u8) -> Server {
        let Visit { config, link, .. } = visit(config);
        Server::new(&config, &link)
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

/// The octets that a client sends for a message that it gets in two pieces.
#[must_use]
pub fn stuffed(text: &[u8], cut: usize) -> Vec<u8> {
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

/// How the client goes to a server, and what with.
struct Visit {
    config: ClientConfig,
    envelope: Envelope,
    policy: Policy,
    link: Link,
}

fn visit(number: u8) -> Visit {
    let tls = match number % 3 {
        0 => TlsPolicy::Opportunistic,
        1 => TlsPolicy::Never,
        _ => TlsPolicy::Required,
    };
    let protocol = if number % 6 < 3 { Protocol::Smtp } else { Protocol::Lmtp };
    let limits = match number % 12 {
        0..6 => ClientLimits::default(),
        _ => ClientLimits {
            reply_line: 80,
            reply_lines: 14,
            reply: 400,
            kept_reply: 10,
            window: 2,
            challenges: 2,
            transactions: 2,
        },
    };
    let plain = Policy { tls, ..Policy::default() };
    let mechanism = Mechanism::parse("X").ok().map(Mechanism::into_owned);
    let (policy, envelope) = match number / 12 % 7 {
        0 => (plain, message(2, MailParameters::default())),
        1 => {
            let login = Login::Password { user: "bob".into(), password: Secret::new(b"secret".to_vec()) };
            (Policy { login: Some(login), ..plain }, message(1, MailParameters::default()))
        }
        2 => {
            let login = mechanism.map(|mechanism| Login::Sasl { mechanism, initial: None });
            (Policy { login, reuse: Reuse::Ask, ..plain }, message(1, MailParameters::default()))
        }
        3 => (Policy { chunking: Chunking::WhereOffered, ..plain }, message(2, MailParameters::default())),
        4 => (Policy { reuse: Reuse::Ask, ..plain }, message(2, MailParameters::default())),
        5 => (plain, message(3, demanding())),
        _ => {
            let policy = Policy { reuse: Reuse::Ask, chunking: Chunking::WhereOffered, ..plain };
            (policy, message(RECIPIENTS.len(), MailParameters::default()))
        }
    };
    let config = ClientConfig { protocol, limits, ..ClientConfig::new(domain("client.test")) };
    let link = Link { tls: (number % 7 == 6).then(TlsInfo::default), ..Link::default() };
    Visit { config, envelope, policy, link }
}

const RECIPIENTS: [&str; 6] =
    ["<b@server.test>", "<c@server.test>", "<d@other.test>", "<e@other.test>", "<f@server.test>", "<Postmaster>"];

/// What not every server can do.
fn demanding() -> MailParameters {
    MailParameters {
        body: Some(BodyType::BinaryMime),
        smtp_utf8: true,
        require_tls: true,
        ret: Some(Ret::Headers),
        ..MailParameters::default()
    }
}

/// The message, to so many.
fn message(recipients: usize, parameters: MailParameters) -> Envelope {
    let is_plain = parameters.borrowed().is_empty();
    let to = |path| ForwardPath::parse(path).map_or(ForwardPath::Postmaster, ForwardPath::into_owned);
    let asking = RcptParameters {
        notify: Some(Notify::NEVER),
        rrvs: Rrvs::parse("2014-04-03T23:01:00Z").ok(),
        ..RcptParameters::default()
    };
    let size = Some(TEXT.len() as u64);
    Envelope {
        mail: Mail { from: ReversePath::Null, parameters: MailParameters { size, ..parameters } },
        recipients: RECIPIENTS
            .iter()
            .take(recipients)
            .enumerate()
            .map(|(at, path)| Rcpt {
                to: to(path),
                parameters: if is_plain || at > 0 { RcptParameters::default() } else { asking.clone() },
            })
            .collect(),
    }
}

/// What comes behind it.
fn another() -> Envelope {
    message(1, MailParameters::default())
}
