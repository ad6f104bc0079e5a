//! SMTP's commands and replies, each by itself, beside the crate `smtp-proto`; and what they cost through a whole session.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bench::{Row, often, table};
use bytes::BytesMut;
use memchr::memchr_iter;
use peer_smtp_proto::request::receiver::RequestReceiver;
use peer_smtp_proto::response::parser::ResponseReceiver;
use peer_smtp_proto::{EhloResponse, Request, Response};
use smtp_proto::{
    Capabilities, Command, Domain, Enhanced, Event, Extensions, Limits, Link, Mechanism, ParseError, PlaintextLogin,
    Reply, ReplyCode, ServerConfig, ServerSession, SizeLimit, Step,
};

const NOW: Duration = Duration::ZERO;

const ROUNDS: usize = 15;

const TURN: Duration = Duration::from_millis(10);

/// What clients say, as they say it.
const COMMANDS: [(&str, &str); 17] = [
    ("EHLO", "EHLO mail-oi1-f170.google.com\r\n"),
    ("HELO", "HELO mail-oi1-f170.google.com\r\n"),
    ("MAIL, plain", "MAIL FROM:<john.doe@mail.example.com>\r\n"),
    ("MAIL, SIZE BODY SMTPUTF8", "MAIL FROM:<john.doe@mail.example.com> SIZE=123456 BODY=8BITMIME SMTPUTF8\r\n"),
    ("MAIL from nobody", "MAIL FROM:<>\r\n"),
    ("RCPT, plain", "RCPT TO:<jane.roe@example.org>\r\n"),
    (
        "RCPT, NOTIFY ORCPT",
        "RCPT TO:<jane.roe@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;jane.roe@example.org\r\n",
    ),
    ("DATA", "DATA\r\n"),
    ("BDAT", "BDAT 86400 LAST\r\n"),
    ("RSET", "RSET\r\n"),
    ("NOOP", "NOOP\r\n"),
    ("QUIT", "QUIT\r\n"),
    ("STARTTLS", "STARTTLS\r\n"),
    ("AUTH PLAIN", AUTH),
    ("VRFY", "VRFY jane.roe@example.org\r\n"),
    ("not a command", "XYZZY plugh\r\n"),
    ("an address that is none", "RCPT TO:<jane..roe@example.org>\r\n"),
];

const AUTH: &str = "AUTH PLAIN AGpvaG4uZG9lAGNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=\r\n";

fn main() {
    sizes();
    commands();
    replies_read();
    replies_written();
    sessions();
}

fn sizes() {
    println!("\n| octets of | |\n|---|--:|");
    for (name, size) in [
        ("ServerSession", size_of::<ServerSession>()),
        ("Event", size_of::<Event>()),
        ("Step<Event>", size_of::<Step<Event>>()),
        ("Command", size_of::<Command<'_>>()),
        ("smtp-proto 0.2, Request", size_of::<Request<std::borrow::Cow<'_, str>>>()),
    ] {
        println!("| {name} | {size} |");
    }
}

fn commands() {
    let rows = COMMANDS.map(|(name, line)| {
        let theirs = move || Request::parse(&mut black_box(line).as_bytes().iter());
        let mut receiver = RequestReceiver::default();
        let received = move || receiver.ingest(&mut black_box(line).as_bytes().iter()).is_ok();
        assert_eq!(parse(line).is_ok(), theirs().is_ok(), "{name}");
        Row { name, ways: vec![often(move || parse(line)), often(theirs), often(received)] }
    });
    // Theirs leaves the response in base64.
    let decoded = || match Request::parse(&mut black_box(AUTH).as_bytes().iter()) {
        Ok(Request::Auth { initial_response, .. }) => STANDARD.decode(initial_response.as_bytes()),
        request => panic!("{request:?}"),
    };
    assert!(decoded().is_ok());
    let auth = Row { name: "AUTH PLAIN, and theirs is decoded", ways: vec![often(|| parse(AUTH)), often(decoded)] };
    table(
        "SMTP: a command's line with its end",
        &["posthaste, the end and Command::parse", "smtp-proto 0.2, Request::parse", "its RequestReceiver"],
        ROUNDS,
        TURN,
        rows.into_iter().chain([auth]).collect(),
    );
}

/// Finds the line's end, as a session does, and parses it.
fn parse(line: &str) -> Result<Command<'_>, ParseError> {
    let line = black_box(line).as_bytes();
    let line_feeds = memchr_iter(b'\n', line);
    let end = line_feeds.filter_map(|at| at.checked_sub(1)).find(|end| line.get(*end) == Some(&b'\r'));
    Command::parse(end.and_then(|end| line.get(..end)).unwrap_or_default())
}

fn replies_read() {
    let short = "250 2.1.5 recipient ok\r\n";
    let long = "550-5.7.1 This message was blocked because its content presents a potential\r\n\
                550-5.7.1 security issue. Please visit\r\n\
                550-5.7.1 https://support.example.com/mail/?p=BlockedMessage to review our\r\n\
                550 5.7.1 message content and attachment content guidelines.\r\n";
    let hello = "250-mx.example.com at your service, [192.0.2.1]\r\n250-SIZE 157286400\r\n250-8BITMIME\r\n\
                 250-STARTTLS\r\n250-AUTH PLAIN LOGIN XOAUTH2\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n\
                 250-CHUNKING\r\n250-DSN\r\n250 SMTPUTF8\r\n";
    let brief_hello = "250-mx.example.com\r\n250 8BITMIME\r\n";
    let reply = |name, text: &'static str| {
        let ours = move || Reply::parse(black_box(text.as_bytes()));
        let theirs = move || ResponseReceiver::default().parse(&mut black_box(text.as_bytes()).iter());
        assert!(ours().is_ok() && theirs().is_ok());
        Row { name, ways: vec![often(ours), often(theirs)] }
    };
    let capabilities = |name, text: &'static str| {
        let ours = move || Reply::parse(black_box(text.as_bytes())).map(|reply| Capabilities::parse(&reply));
        let theirs = move || EhloResponse::parse(&mut black_box(text.as_bytes()).iter());
        assert!(ours().is_ok() && theirs().is_ok());
        Row { name, ways: vec![often(ours), often(theirs)] }
    };
    table(
        "SMTP: a reply is read",
        &["posthaste, Reply::parse (and Capabilities::parse)", "smtp-proto 0.2, ResponseReceiver (or EhloResponse)"],
        ROUNDS,
        TURN,
        vec![
            reply("one line", short),
            reply("four lines", long),
            capabilities("to EHLO, two lines", brief_hello),
            capabilities("to EHLO, ten lines", hello),
        ],
    );
}

fn replies_written() {
    use peer_smtp_proto::{
        AUTH_LOGIN, AUTH_PLAIN, EXT_8BIT_MIME, EXT_AUTH, EXT_CHUNKING, EXT_ENHANCED_STATUS_CODES, EXT_PIPELINING,
        EXT_SIZE, EXT_SMTP_UTF8, EXT_START_TLS,
    };
    let host = Domain::parse("mx.example").unwrap();

    let reply = Reply::new(ReplyCode::OK, Enhanced::new(1, 5), "recipient ok");
    let mut out = BytesMut::with_capacity(4096);
    let ours = move || {
        out.clear();
        black_box(&reply).write(&mut out);
        out.len()
    };
    let response = Response::new(250, 2, 1, 5, "recipient ok");
    let mut vec = Vec::with_capacity(4096);
    let theirs = move || {
        vec.clear();
        black_box(&response).write(&mut vec).unwrap();
        vec.len()
    };
    let one = Row { name: "one line", ways: vec![often(ours), often(theirs)] };

    let capabilities = Capabilities {
        start_tls: true,
        size: Some(SizeLimit::Octets(52_428_800)),
        auth: ["PLAIN", "LOGIN"].map(|name| Mechanism::parse(name).unwrap().into_owned()).into(),
        extensions: Extensions {
            pipelining: true,
            smtp_utf8: true,
            eight_bit_mime: true,
            enhanced_status_codes: true,
            chunking: true,
            ..Extensions::NONE
        },
    };
    let mut out = BytesMut::with_capacity(4096);
    let ours = move || {
        out.clear();
        black_box(&capabilities).write(&host, &mut out);
        out.len()
    };
    let mut response = EhloResponse::new("mx.example");
    response.capabilities = EXT_8BIT_MIME
        | EXT_AUTH
        | EXT_CHUNKING
        | EXT_ENHANCED_STATUS_CODES
        | EXT_PIPELINING
        | EXT_SIZE
        | EXT_SMTP_UTF8
        | EXT_START_TLS;
    response.auth_mechanisms = AUTH_PLAIN | AUTH_LOGIN;
    response.size = 52_428_800;
    let mut vec = Vec::with_capacity(4096);
    let theirs = move || {
        vec.clear();
        black_box(&response).write(&mut vec).unwrap();
        vec.len()
    };
    let hello = Row { name: "to EHLO, nine lines", ways: vec![often(ours), often(theirs)] };

    let mut rows = vec![one, hello];
    for (name, line) in COMMANDS {
        let Ok(command) = Command::parse(line.trim_end().as_bytes()) else { continue };
        let mut out = BytesMut::with_capacity(4096);
        let ours = move || {
            out.clear();
            black_box(&command).write(&mut out);
            out.len()
        };
        rows.push(Row { name, ways: vec![often(ours), None] });
    }
    table(
        "SMTP: a reply or a command is written (that crate writes no commands)",
        &["posthaste", "smtp-proto 0.2"],
        ROUNDS,
        TURN,
        rows,
    );
}

/// Each group of commands leaves the session as it was, so that it can go on.
fn sessions() {
    let groups = [
        ("NOOP", "NOOP\r\n"),
        ("RSET", "RSET\r\n"),
        ("VRFY", "VRFY jane.roe@example.org\r\n"),
        ("EHLO", "EHLO mail-oi1-f170.google.com\r\n"),
        ("MAIL and RSET", "MAIL FROM:<john.doe@mail.example.com>\r\nRSET\r\n"),
        (
            "MAIL, RCPT and RSET",
            "MAIL FROM:<john.doe@mail.example.com> SIZE=123456 BODY=8BITMIME SMTPUTF8\r\n\
             RCPT TO:<jane.roe@example.org>\r\nRSET\r\n",
        ),
        ("AUTH PLAIN, refused", AUTH),
        ("not a command", "XYZZY plugh\r\n"),
    ];
    let limits = Limits {
        transactions: u32::MAX,
        violations: u32::MAX,
        failed_logins: u32::MAX,
        chatter: u32::MAX,
        ..Limits::default()
    };
    let config = Arc::new(ServerConfig {
        limits,
        mechanisms: vec![String::from("PLAIN")],
        plaintext_login: PlaintextLogin::Always,
        ..ServerConfig::new(Domain::parse("mx.example").unwrap().into_owned())
    });
    let rows = groups.map(|(name, group)| {
        let mut session = ServerSession::new(Arc::clone(&config), Link::default(), NOW);
        let (mut input, mut out) = (BytesMut::with_capacity(4096), BytesMut::with_capacity(4096));
        let mut turn = move |octets: &[u8]| {
            out.clear();
            input.extend_from_slice(octets);
            loop {
                match session.next_event(NOW, &mut input, &mut out) {
                    Step::NeedInput => return out.len(),
                    Step::Event(Event::Auth { .. }) => session.decline(NOW, &mut out),
                    Step::Event(event) if event.is_question() => session.accept(NOW, &mut out).unwrap(),
                    Step::Event(_) => {}
                    step => panic!("{step:?}"),
                }
            }
        };
        turn(b"");
        turn(b"EHLO client.example\r\n");
        Row { name, ways: vec![often(move || turn(black_box(group.as_bytes())))] }
    });
    table("SMTP: commands through a whole ServerSession, with replies", &["posthaste"], ROUNDS, TURN, rows.into());
}
