//! Laws that hold for whatever a client sends and whatever an application answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

mod common;

use bytes::BytesMut;
use common::{Server, submission};
use proptest::prelude::*;
use smtp_proto::{
    Close, EarlyTalk, Enhanced, Event, Misuse, PlaintextLogin, Protocol, Reply, ReplyCode, ServerConfig, ServerSession,
    StartTls, Step, Violation, Vrfy,
};

/// What a client may send, good and bad.
const PIECES: [&str; 40] = [
    "EHLO a.example\r\n",
    "HELO a.example\r\n",
    "LHLO a.example\r\n",
    "MAIL FROM:<a@b.example>\r\n",
    "MAIL FROM:<> SIZE=9\r\n",
    "RCPT TO:<a@b.example>\r\n",
    "RCPT TO:<b@b.example>\r\n",
    "DATA\r\n",
    "text\r\n",
    ".\r\n",
    "\r\n.\r\n",
    "..x\r\n",
    ".",
    "\r",
    "\n",
    "\0",
    "\r\n",
    "\u{e9}",
    "RSET\r\n",
    "NOOP\r\n",
    "VRFY x\r\n",
    "QUIT\r\n",
    "AUTH PLAIN c2VjcmV0\r\n",
    "AUTH LOGIN\r\n",
    "*\r\n",
    "bW9yZQ==\r\n",
    "STARTTLS\r\n",
    "BDAT 5\r\n",
    "BDAT 3 LAST\r\nabc",
    "BDAT x\r\n",
    "hello",
    "GET / HTTP/1.1\r\n",
    "FOO\r\n",
    "noop \r\n",
    "MAIL FROM:<a@b.example> BODY=8BITMIME\r\nRCPT TO:<c@d.example>\r\nDATA\r\n",
    "EHLO b.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n",
    "Subject: a\r\n\r\nb\r\n.\r\n",
    "123456789012345678901234567890\r\n",
    "MAIL FROM",
    ":<a@b.example>\r\n",
];

fn wire() -> impl Strategy<Value = String> {
    let greeting = prop_oneof![4 => Just("EHLO a.example\r\n"), 1 => Just("LHLO a.example\r\n"), 1 => Just("")];
    let pieces = prop::collection::vec(prop::sample::select(&PIECES[..]), 0..30);
    (greeting, pieces).prop_map(|(greeting, pieces)| greeting.to_owned() + &pieces.concat())
}

fn config() -> impl Strategy<Value = ServerConfig> {
    let protocol = prop_oneof![3 => Just(Protocol::Smtp), 1 => Just(Protocol::Lmtp)];
    (protocol, 1_u64..200, 1_u32..4, 1_u32..8).prop_map(|(protocol, message, recipients, violations)| {
        let mut config = ServerConfig {
            protocol,
            early_talk: EarlyTalk::Ignore,
            start_tls: StartTls::Off,
            plaintext_login: PlaintextLogin::Always,
            vrfy: Vrfy::Ask,
            ..submission()
        };
        config.limits.message = message;
        config.limits.recipients = recipients;
        config.limits.violations = violations;
        config.limits.command_line = 100;
        config
    })
}

/// Answers the n-th question as the n-th of `answers` says, whatever was asked.
fn answer(session: &mut ServerSession, event: &Event, answers: &[u8], asked: usize, out: &mut BytesMut) {
    let now = std::time::Duration::ZERO;
    if !event.is_question() {
        return;
    }
    let reply = |code, text| Reply::new(ReplyCode::new(code).unwrap(), Enhanced::new(0, 0), text);
    let answered = match answers.get(asked % answers.len().max(1)) {
        Some(0) => session.reply(&reply(550, "no"), now, out),
        Some(1) => session.reply(&reply(451, "later"), now, out),
        Some(2) => session.reply(&reply(421, "bye"), now, out),
        Some(3) => session.challenge(b"more", now, out),
        Some(4) => session.authenticated(now, out),
        Some(5) => session.reply_next(&reply(452, "full"), now, out),
        Some(6) => session.reply(&reply(354, "wrong"), now, out),
        Some(_) | None => session.accept(now, out),
    };
    if answered.is_err() {
        // Wrong verbs change nothing; this one always answers.
        session.decline(now, out);
    }
    // Verdicts that are still owed.
    while let Ok(()) = session.reply_next(&reply(250, "ok"), now, out) {}
}

#[derive(Debug, PartialEq)]
struct Run {
    out: String,
    told: Vec<Event>,
    close: Close,
}

fn run(config: &ServerConfig, pieces: &[&[u8]], answers: &[u8]) -> Run {
    let mut server = Server::new(config.clone());
    let asked = std::cell::Cell::new(0);
    let turn = |server: &mut Server| loop {
        let step = server.run_with(|session, event, _, out| {
            answer(session, event, answers, asked.get(), out);
            asked.set(asked.get() + usize::from(event.is_question()));
        });
        match step {
            Step::Switch(_) if server.input.is_empty() => server.shake_hands(),
            step => return step,
        }
        if server.input.is_empty() {
            return Step::NeedInput;
        }
    };
    let _ = turn(&mut server);
    for piece in pieces {
        server.input.extend_from_slice(piece);
        let _ = turn(&mut server);
        let held = server.input.len();
        let closed = matches!(turn(&mut server), Step::Close(_));
        assert!(closed || held <= server.session.max_input(), "{held} octets are held");
    }
    server.session.handle_eof();
    let Step::Close(close) = turn(&mut server) else { panic!("not closed") };
    let out = server.heard();
    server.input.extend_from_slice(b"NOOP\r\n");
    assert_eq!((turn(&mut server), server.heard()), (Step::Close(close), String::new()), "silence behind the end");
    assert_eq!(server.session.accept(server.now, &mut server.out), Err(Misuse::NotNow));
    Run { out, told: server.told, close }
}

/// Cuts `wire` where `cuts` say.
fn cut<'a>(wire: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).chain([0, wire.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_split_of_the_input_gives_the_same(
        config in config(), wire in wire(), answers in prop::collection::vec(0_u8..12, 0..20), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = run(&config, &[wire.as_bytes()], &answers);
        prop_assert_eq!(&run(&config, &wire.as_bytes().chunks(1).collect::<Vec<_>>(), &answers), &whole);
        prop_assert_eq!(&run(&config, &cut(wire.as_bytes(), &cuts), &answers), &whole);
    }

    #[test]
    fn behind_starttls_every_split_gives_the_same_or_the_one_violation(
        config in config(), wire in wire(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let config = ServerConfig { start_tls: StartTls::Offered, ..config };
        let whole = run(&config, &wire.as_bytes().chunks(1).collect::<Vec<_>>(), &[]);
        let split = run(&config, &cut(wire.as_bytes(), &cuts), &[]);
        if split.close == Close::Violation(Violation::PipelinedTls) {
            let said = split.out.trim_end_matches("554 5.5.1 commands behind STARTTLS are refused\r\n");
            prop_assert!(whole.out.starts_with(said), "{:?} before {:?}", split, whole);
        } else {
            prop_assert_eq!(split, whole);
        }
    }

    #[test]
    fn each_begun_transaction_ends_exactly_once(
        config in config(), wire in wire(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        // Everything is accepted here: so a transaction begins with each MAIL told, and ends by a verdict or an abort.
        let run = run(&config, &cut(wire.as_bytes(), &cuts), &[]);
        let mut open = false;
        for event in &run.told {
            match event {
                Event::Mail(_) => {
                    prop_assert!(!open, "a second one: {:?}", run.told);
                    open = true;
                }
                Event::Rcpt(_) | Event::Data | Event::Chunk(_) => prop_assert!(open, "{:?}", run.told),
                Event::End(_) | Event::Aborted => {
                    prop_assert!(open, "ended twice: {:?}", run.told);
                    open = false;
                }
                Event::Connected | Event::Hello(_) | Event::Auth { .. } | Event::SaslResponse(_) | Event::SaslCancelled | Event::Vrfy(_) | Event::Violation(_) => {}
            }
        }
        prop_assert!(!open, "never ended: {:?}", run.told);
    }
}
