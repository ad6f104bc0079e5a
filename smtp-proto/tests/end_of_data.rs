//! Where a message ends: every combination of the octets that matter, at every split.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

mod common;

use common::{Server, config};
use smtp_proto::{Event, ServerConfig, Stray, Strays, Violation};

const ENVELOPE: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@mx.example>\r\nDATA\r\n";

/// What a message on the wire is, said as plainly as can be: its octets, and how many octets of the wire it took.
fn plainly(wire: &[u8]) -> (Vec<u8>, usize) {
    let (mut message, mut at) = (vec![], 0);
    loop {
        // At the start of a line.
        if wire[at..].starts_with(b".\r\n") {
            return (message, at + 3);
        }
        at += usize::from(wire[at] == b'.');
        let end = at + wire[at..].windows(2).position(|two| two == b"\r\n").expect("the wire ends the message") + 2;
        message.extend_from_slice(&wire[at..end]);
        at = end;
    }
}

/// The first octet of a message that breaks a rule, if any does.
fn fault(message: &[u8]) -> Option<(usize, Violation)> {
    (0..message.len()).find_map(|at| match message[at] {
        0 => Some((at, Violation::Nul)),
        b'\r' if message.get(at + 1) != Some(&b'\n') => Some((at, Violation::BareLineEnd)),
        b'\n' if at == 0 || message[at - 1] != b'\r' => Some((at, Violation::BareLineEnd)),
        _ => None,
    })
}

/// All texts over `alphabet` of at most `longest` octets.
fn texts(alphabet: &[u8], longest: u32) -> impl Iterator<Item = Vec<u8>> {
    let base = alphabet.len();
    (0..=longest).flat_map(move |length| {
        (0..base.pow(length)).map(move |n| (0..length).map(|i| alphabet[n / base.pow(i) % base]).collect())
    })
}

fn data(config: ServerConfig) -> Server {
    let mut server = Server::greeted(config);
    assert!(server.say(ENVELOPE).ends_with("354 end with <CRLF>.<CRLF>\r\n"));
    server.told.clear();
    server
}

/// Feeds `wire` in pieces, then checks that the message was seen as `plainly` sees it, and that what follows it ran as commands.
fn check(config: &ServerConfig, wire: &[u8], pieces: &[&[u8]]) {
    let (message, taken) = plainly(wire);
    let mut server = data(config.clone());
    pieces.iter().for_each(|piece| {
        server.input.extend_from_slice(piece);
        let _ = server.run();
    });
    let faulty = fault(&message).filter(|_| config.data.lf == Stray::Reject);
    let verdict = match faulty {
        None => {
            assert_eq!(server.message(), message, "{wire:?} in {pieces:?}");
            "250 2.0.0 message accepted\r\n"
        }
        Some((at, violation)) => {
            assert_eq!(server.message(), message[..at], "{wire:?} in {pieces:?}");
            assert!(server.was_told(&Event::Violation(violation)) && server.was_told(&Event::Aborted));
            match violation {
                Violation::Nul => "554 5.6.0 message holds a NUL\r\n",
                _ => "554 5.6.0 message holds a lone CR or LF\r\n",
            }
        }
    };
    let heard = server.heard();
    assert!(heard.starts_with(verdict), "{wire:?} in {pieces:?} gives {heard:?}");
    let commands = wire[taken..].windows(2).filter(|two| two == b"\r\n").count();
    assert_eq!(heard.matches("\r\n").count(), 1 + commands, "{wire:?} in {pieces:?} gives {heard:?}");
}

#[test]
fn every_mix_of_the_octets_that_matter_ends_where_it_should_at_every_split() {
    let strict = config();
    let lax = ServerConfig { data: Strays::KEEP, ..config() };
    for text in texts(b".\r\n\0x", 5) {
        let wire = [&text[..], b"\r\n.\r\n"].concat();
        for config in [&strict, &lax] {
            check(config, &wire, &[&wire]);
            check(config, &wire, &wire.chunks(1).collect::<Vec<_>>());
        }
        for cut in 1..wire.len() {
            let (a, b) = wire.split_at(cut);
            check(&strict, &wire, &[a, b]);
        }
    }
}

#[test]
fn the_known_ways_to_smuggle_end_nothing() {
    for trick in
        ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r.\r", "\r\n.\r", "\r\n.\r\r\n", "\r\n\0.\r\n", "\r\n.\0\r\n"]
    {
        let wire = format!("a{trick}MAIL FROM:<evil@b.example>\r\n\r\n.\r\n");
        let mut server = data(config());
        let heard = server.say(&wire);
        assert!(heard.starts_with("554 5.6.0 ") && heard.matches("\r\n").count() == 1, "{trick:?} gives {heard:?}");
        assert!(!server.told.iter().any(|event| matches!(event, Event::Mail(_))), "{trick:?}");
    }
}

#[test]
fn a_dot_at_once_is_an_empty_message() {
    let mut server = data(config());
    assert_eq!(server.say(".\r\n"), "250 2.0.0 message accepted\r\n");
    assert_eq!(server.message(), b"");
    assert!(server.told.iter().any(|event| matches!(event, Event::End(end) if end.size == 0)));
}

#[test]
fn eight_bit_text_and_long_lines_pass_untouched() {
    let line = "\u{e4}".repeat(495);
    let text = format!("Subject: {line}\r\n\r\n{line}\r\n..\r\n...x\r\n\r\n\r\n");
    let message = format!("Subject: {line}\r\n\r\n{line}\r\n.\r\n..x\r\n\r\n\r\n");
    let mut server = data(config());
    assert_eq!(server.say(text + ".\r\n"), "250 2.0.0 message accepted\r\n");
    assert_eq!(server.message(), message.as_bytes());
    let Some(Event::End(end)) = server.told.last() else { panic!() };
    assert_eq!((end.size, end.octets), (message.len() as u64, smtp_proto::Octets::EightBit));
}

#[test]
fn a_line_limit_holds_at_every_split() {
    let mut config = config();
    config.limits.body_line = 6;
    const FITS: &str = "250 2.0.0 message accepted\r\n";
    const DOES_NOT: &str = "554 5.6.0 message holds a line too long\r\n";
    for (text, seen, verdict) in [
        ("1234\r\n", "1234\r\n", FITS),
        ("..234\r\n", ".234\r\n", FITS),
        ("1\r\n2\r\n1234\r\n", "1\r\n2\r\n1234\r\n", FITS),
        ("12345\r\n", "12345", DOES_NOT),
        (".12345\r\n", "12345", DOES_NOT),
        ("1\r\n1234567890\r\n", "1\r\n123456", DOES_NOT),
    ] {
        let wire = format!("{text}.\r\n");
        for cut in 0..wire.len() {
            let mut server = data(config.clone());
            let (a, b) = wire.split_at(cut);
            let heard = server.say(a) + &server.say(b);
            assert_eq!((heard.as_str(), &server.message()[..]), (verdict, seen.as_bytes()), "{wire:?} cut at {cut}");
        }
    }
}

#[test]
fn a_message_too_big_is_read_to_its_end_and_refused_once() {
    let mut config = config();
    config.limits.message = 10;
    let text = "12345678\r\n";
    let mut server = data(config.clone());
    assert_eq!(server.say(format!("{text}.\r\n")), "250 2.0.0 message accepted\r\n");
    for split in [1, 3, 1000] {
        let mut server = data(config.clone());
        let wire = format!("{text}x\r\n.\r\nNOOP\r\n");
        let mut heard = String::new();
        for piece in wire.as_bytes().chunks(split) {
            heard += &server.say(piece);
        }
        assert_eq!(heard, "552 5.3.4 message too big\r\n250 2.0.0 ok\r\n");
        assert_eq!(server.message(), text.as_bytes(), "nothing past the limit is handed on");
        assert_eq!(server.told.iter().filter(|event| **event == Event::Aborted).count(), 1);
    }
}

#[test]
fn a_message_that_goes_on_and_on_ends_the_connection() {
    let mut config = config();
    config.limits.message = 10;
    let mut server = data(config);
    for _ in 0..4 {
        assert_eq!(server.say("12345678\r\n"), "");
    }
    assert_eq!(server.say("1"), "552 5.3.4 message too big\r\n");
    assert_eq!(server.closed(), smtp_proto::Close::Violation(Violation::BodyFlood));
}

#[test]
fn a_message_within_the_limit_is_no_flood_whatever_the_factor() {
    let mut config = config();
    config.limits.message = 10;
    config.limits.oversize_factor = 0;
    assert_eq!(data(config).say("12345678\r\n.\r\n"), "250 2.0.0 message accepted\r\n");
}

#[test]
fn what_was_refused_is_not_pardoned_by_losing_interest() {
    let mut server = data(config());
    server.say("a\nb");
    server.session.discard_body().unwrap();
    assert_eq!(server.say("\r\n.\r\n"), "554 5.6.0 message holds a lone CR or LF\r\n");
}

#[test]
fn a_body_that_nobody_wants_is_not_handed_on() {
    let mut server = data(config());
    server.say("one\r\n");
    server.session.discard_body().unwrap();
    server.say("two\r\n.\r\n");
    assert_eq!(server.message(), b"one\r\n");
    assert!(matches!(server.told.last(), Some(Event::End(end)) if end.size == 10));
}
