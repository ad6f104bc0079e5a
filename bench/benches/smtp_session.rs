//! A whole pipelined SMTP session, by the server alone, by the client alone and by both together: its time and its allocations.
//! `smtp_session count CASE TIMES` runs one of them so many times, for a tool that counts instructions: see `../instructions`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bench::{Case, compare};
use bytes::BytesMut;
use smtp_proto::{
    ClientConfig, ClientEvent, ClientSession, Command, Delivery, DeliveryEvent, Domain, Envelope, Event, ForwardPath,
    Link, Mail, MailParameters, Policy, Rcpt, RcptParameters, ReversePath, ServerConfig, ServerSession, Step,
};

const NOW: Duration = Duration::ZERO;

const MESSAGES: usize = 3;

const SENDER: &str = "<john.doe@mail.example.com>";

const RECIPIENTS: [&str; 2] = ["<jane.roe@example.org>", "<postmaster@example.org>"];

const CASES: [&str; 4] = ["server", "client", "delivery", "pair"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let mut bench = Bench::new();
    if let [verb, case, times] = &arguments[..]
        && verb == "count"
    {
        (0..times.parse().unwrap()).for_each(|_| bench.run(case));
        return;
    }
    println!("\n| case | allocations | octets allocated | most at once |\n|---|--:|--:|--:|");
    for case in CASES {
        // The buffers grow to what they need.
        bench.run(case);
        let seen = allocation_counter::measure(|| bench.run(case));
        println!("| {case} | {} | {} | {} |", seen.count_total, seen.bytes_total, seen.bytes_max);
    }
    let case = |name| {
        let mut bench = Bench::new();
        Case::new(name, move || {
            (0..100).for_each(|_| bench.run(name));
            100
        })
    };
    compare(
        "SMTP: a session; server and client: 3 messages of 2 KB to 2 recipients; delivery and pair: one of them",
        "session",
        15,
        Duration::from_millis(100),
        CASES.map(case).into(),
    );
}

/// What all sessions share, as in a server that runs.
struct Bench {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    envelope: Envelope,
    message: Vec<u8>,
    /// What the client says, as often as it waits.
    said: Vec<Vec<u8>>,
    input: BytesMut,
    out: BytesMut,
}

impl Bench {
    fn new() -> Self {
        let line = b"An ordinary line of an ordinary message, of seventy-odd octets, more or less.\r\n";
        let message = [b"Subject: an ordinary message\r\n\r\n".as_slice(), &line.repeat(25)].concat();
        let group = format!(
            "MAIL FROM:{SENDER} SIZE=2048 BODY=8BITMIME\r\nRCPT TO:{}\r\nRCPT TO:{}\r\nDATA\r\n",
            RECIPIENTS[0], RECIPIENTS[1]
        );
        let mut said = vec![b"EHLO mail-oi1-f170.google.com\r\n".to_vec(), group.clone().into_bytes()];
        for _ in 1..MESSAGES {
            said.push([&message, b".\r\n".as_slice(), group.as_bytes()].concat());
        }
        said.push([&message, b".\r\nQUIT\r\n".as_slice()].concat());
        Self {
            server: Arc::new(ServerConfig::new(host().into_owned())),
            client: Arc::new(ClientConfig::new(host().into_owned())),
            envelope: envelope(),
            message,
            said,
            input: BytesMut::with_capacity(16 * 1024),
            out: BytesMut::with_capacity(16 * 1024),
        }
    }

    fn run(&mut self, case: &str) {
        self.input.clear();
        self.out.clear();
        match case {
            "server" => self.run_server(),
            "client" => self.run_client(),
            "delivery" => self.run_delivery(),
            "pair" => self.run_pair(),
            _ => panic!("no such case: {case}"),
        }
    }

    fn run_server(&mut self) {
        let Self { input, out, said, .. } = self;
        let mut session = ServerSession::new(Arc::clone(&self.server), Link::default(), NOW);
        let mut said = said.iter();
        let mut messages = 0;
        loop {
            match answer(&mut session, input, out) {
                Served::Waits => {
                    black_box(&out);
                    out.clear();
                    input.extend_from_slice(said.next().unwrap());
                }
                Served::Message => messages += 1,
                Served::Over => break,
            }
        }
        assert_eq!(messages, MESSAGES);
    }

    /// What a program says that stands upon the session itself.
    fn run_client(&mut self) {
        let Self { input, out, .. } = self;
        let mut session = ClientSession::new(Arc::clone(&self.client), Link::default(), NOW);
        let offers = "250-mx.example at your service\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n\
                      250-CHUNKING\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n";
        let accepted =
            "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n250 2.1.5 recipient ok\r\n354 send the message\r\n";
        let parameters = MailParameters { size: Some(2048), ..MailParameters::default() };
        input.extend_from_slice(b"220 mx.example ESMTP\r\n");
        hear(&mut session, 1, input, out);
        session.send(&Command::Ehlo(host()), NOW, out).unwrap();
        input.extend_from_slice(offers.as_bytes());
        hear(&mut session, 1, input, out);
        for _ in 0..MESSAGES {
            session.send(&Command::Mail { from: ReversePath::parse(SENDER).unwrap(), parameters }, NOW, out).unwrap();
            for recipient in RECIPIENTS {
                let to = ForwardPath::parse(recipient).unwrap();
                session.send(&Command::Rcpt { to, parameters: RcptParameters::default() }, NOW, out).unwrap();
            }
            session.send(&Command::Data, NOW, out).unwrap();
            input.extend_from_slice(accepted.as_bytes());
            hear(&mut session, 4, input, out);
            session.body(&self.message, out).unwrap();
            session.end_body(NOW, out).unwrap();
            input.extend_from_slice(b"250 2.0.0 message accepted\r\n");
            hear(&mut session, 1, input, out);
        }
        session.send(&Command::Quit, NOW, out).unwrap();
        input.extend_from_slice(b"221 2.0.0 goodbye\r\n");
        hear(&mut session, 1, input, out);
        assert!(matches!(session.next_event(NOW, input, out), Step::Close(_)));
    }

    fn run_delivery(&mut self) {
        let Self { input, out, .. } = self;
        let mut delivery =
            Delivery::new(Arc::clone(&self.client), self.envelope.clone(), Policy::default(), Link::default(), NOW);
        let mut replies = [
            "220 mx.example ESMTP\r\n",
            "250-mx.example at your service\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n\
             250-CHUNKING\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n",
            "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n250 2.1.5 recipient ok\r\n354 send the message\r\n",
            "250 2.0.0 message accepted\r\n",
            "221 2.0.0 goodbye\r\n",
        ]
        .iter();
        loop {
            match deliver(&mut delivery, &self.message, input, out) {
                Step::NeedInput => {
                    out.clear();
                    input.extend_from_slice(replies.next().unwrap().as_bytes());
                }
                Step::Close(_) => break,
                step => panic!("{step:?}"),
            }
        }
        assert_eq!(replies.next(), None);
    }

    /// Both sides, and no wire between.
    fn run_pair(&mut self) {
        let Self { input, out, .. } = self;
        let mut session = ServerSession::new(Arc::clone(&self.server), Link::default(), NOW);
        let mut delivery =
            Delivery::new(Arc::clone(&self.client), self.envelope.clone(), Policy::default(), Link::default(), NOW);
        let mut messages = 0;
        loop {
            match answer(&mut session, input, out) {
                Served::Message => messages += 1,
                // Each side's output is the other side's input.
                Served::Waits => match deliver(&mut delivery, &self.message, out, input) {
                    Step::NeedInput => {}
                    step => panic!("{step:?}"),
                },
                Served::Over => break,
            }
        }
        assert!(matches!(deliver(&mut delivery, &self.message, out, input), Step::Close(_)));
        assert_eq!(messages, 1);
    }
}

enum Served {
    Waits,
    Message,
    Over,
}

/// Says yes to all, and looks at no message.
fn answer(session: &mut ServerSession, input: &mut BytesMut, out: &mut BytesMut) -> Served {
    loop {
        match session.next_event(NOW, input, out) {
            Step::NeedInput => return Served::Waits,
            Step::Event(Event::Chunk(chunk)) => drop(black_box(chunk)),
            Step::Event(event @ Event::End(_)) => {
                black_box(event);
                session.accept(NOW, out).unwrap();
                return Served::Message;
            }
            Step::Event(event) => {
                black_box(event);
                session.accept(NOW, out).unwrap();
            }
            Step::Close(_) => return Served::Over,
            step => panic!("{step:?}"),
        }
    }
}

/// Hears so many replies, all of them good.
fn hear(session: &mut ClientSession, replies: usize, input: &mut BytesMut, out: &mut BytesMut) {
    for _ in 0..replies {
        match session.next_event(NOW, input, out) {
            Step::Event(ClientEvent::Greeting(reply) | ClientEvent::Reply { reply, .. }) => {
                assert!(black_box(reply).code().value() < 400);
            }
            step => panic!("{step:?}"),
        }
    }
    out.clear();
}

fn deliver(delivery: &mut Delivery, message: &[u8], input: &mut BytesMut, out: &mut BytesMut) -> Step<DeliveryEvent> {
    loop {
        match delivery.next_event(NOW, input, out) {
            Step::Event(DeliveryEvent::Body) => {
                delivery.body(message, out).unwrap();
                delivery.end_body(NOW, out).unwrap();
            }
            Step::Event(event @ DeliveryEvent::Done(_)) => drop(black_box(event)),
            step => return step,
        }
    }
}

fn envelope() -> Envelope {
    let recipient =
        |text| Rcpt { to: ForwardPath::parse(text).unwrap().into_owned(), parameters: RcptParameters::default() };
    Envelope {
        mail: Mail {
            from: ReversePath::parse(SENDER).unwrap().into_owned(),
            parameters: MailParameters { size: Some(2048), ..MailParameters::default() },
        },
        recipients: RECIPIENTS.map(recipient).into(),
    }
}

fn host() -> Domain<&'static str> {
    Domain::parse("mx.example").unwrap()
}
