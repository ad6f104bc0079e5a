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
use proptest::prelude::*;
use smtp_proto::{End, Event, Octets, ServerConfig, Stray, Strays, Violation};

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

/// What becomes of a message: octet by octet, each with its neighbours. With a rule that is broken it ends before that, and the
/// octet by which that is known is told too.
fn treated(message: &[u8], strays: Strays) -> (Vec<u8>, Option<(usize, Violation)>) {
    let mut content = vec![];
    for (at, octet) in message.iter().enumerate() {
        let behind_cr = at > 0 && message[at - 1] == b'\r';
        let before_lf = message.get(at + 1) == Some(&b'\n');
        let (policy, harmless, fault) = match octet {
            b'\r' if !before_lf => (strays.cr, &b" "[..], (at + 1, Violation::BareLineEnd)),
            b'\n' if !behind_cr => (strays.lf, &b"\r\n"[..], (at, Violation::BareLineEnd)),
            0 => (strays.nul, &b""[..], (at, Violation::Nul)),
            _ => (Stray::Keep, &b""[..], (at, Violation::Nul)),
        };
        match policy {
            Stray::Keep => content.push(*octet),
            Stray::Normalize => content.extend_from_slice(harmless),
            Stray::Reject => return (content, Some(fault)),
        }
    }
    (content, None)
}

const POLICIES: [Stray; 3] = [Stray::Reject, Stray::Normalize, Stray::Keep];

/// The same policy for all strays, three times.
const UNIFORM: [Strays; 3] = [uniform(Stray::Reject), uniform(Stray::Normalize), uniform(Stray::Keep)];

const fn uniform(policy: Stray) -> Strays {
    Strays { cr: policy, lf: policy, nul: policy }
}

/// Each policy for each stray.
fn all_strays() -> impl Iterator<Item = Strays> {
    let each = |of: fn(Stray) -> Strays| POLICIES.into_iter().map(of);
    each(|cr| Strays { cr, ..Strays::default() }).flat_map(move |cr| {
        POLICIES.into_iter().flat_map(move |lf| POLICIES.into_iter().map(move |nul| Strays { lf, nul, ..cr }))
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

fn refusal(violation: Violation) -> &'static str {
    match violation {
        Violation::Nul => "554 5.6.0 message holds a NUL\r\n",
        _ => "554 5.6.0 message holds a lone CR or LF\r\n",
    }
}

/// Checks that the application got `content`, and at its end heard how much that was, or was told of the fault.
fn check_told(server: &Server, content: &[u8], fault: Option<Violation>, said: &dyn std::fmt::Debug) {
    assert_eq!(server.message(), content, "{said:?}");
    match fault {
        Some(violation) => {
            assert!(server.was_told(&Event::Violation(violation)), "{said:?}");
            assert!(server.was_told(&Event::Aborted), "{said:?}");
        }
        None => {
            let octets = if content.is_ascii() { Octets::SevenBit } else { Octets::EightBit };
            assert!(server.was_told(&Event::End(End { size: content.len() as u64, octets })), "{said:?}");
        }
    }
}

/// Feeds `wire` in pieces, then checks that the message was seen as `plainly` sees it, and that what follows it ran as commands.
fn check(config: &ServerConfig, wire: &[u8], pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) {
    let (message, taken) = plainly(wire);
    let (content, fault) = treated(&message, config.data);
    let mut server = data(config.clone());
    let mut lengths = vec![];
    for piece in pieces {
        server.input.extend_from_slice(piece.as_ref());
        lengths.push(piece.as_ref().len());
        let _ = server.run();
    }
    let said = (wire, &lengths, config.data);
    check_told(&server, &content, fault.map(|(_, violation)| violation), &said);
    let heard = server.heard();
    let verdict = fault.map_or("250 2.0.0 message accepted\r\n", |(_, violation)| refusal(violation));
    assert!(heard.starts_with(verdict), "{said:?} gives {heard:?}");
    let commands = wire[taken..].windows(2).filter(|two| two == b"\r\n").count();
    assert_eq!(heard.matches("\r\n").count(), 1 + commands, "{said:?} gives {heard:?}");
}

/// Feeds `wire` whole, and then octet by octet.
fn check_extremes(config: &ServerConfig, wire: &[u8]) {
    check(config, wire, [wire]);
    check(config, wire, wire.chunks(1));
}

fn check_splits(config: &ServerConfig, wire: &[u8]) {
    check_extremes(config, wire);
    (1..wire.len()).for_each(|cut| check(config, wire, <[&[u8]; 2]>::from(wire.split_at(cut))));
}

/// The octets that matter, and one that does not.
const OCTETS: &[u8] = b".\r\n\0x";

const END: &[u8] = b"\r\n.\r\n";

// The following three are one product, cut down to what takes seconds: six octets, each policy for each stray, every split.

#[test]
fn every_mix_of_six_octets_that_matter_ends_where_it_should_at_every_split() {
    let config = config();
    texts(OCTETS, 6).for_each(|text| check_splits(&config, &[&text, END].concat()));
}

#[test]
fn every_mix_of_five_octets_is_kept_or_made_harmless() {
    for data in [uniform(Stray::Normalize), Strays::KEEP] {
        let config = ServerConfig { data, ..config() };
        texts(OCTETS, 5).for_each(|text| check_extremes(&config, &[&text, END].concat()));
        texts(OCTETS, 4).for_each(|text| check_splits(&config, &[&text, END].concat()));
    }
}

#[test]
fn every_mix_of_four_octets_is_treated_as_each_policy_says() {
    for data in all_strays() {
        let config = ServerConfig { data, ..config() };
        texts(OCTETS, 4).for_each(|text| check_extremes(&config, &[&text, END].concat()));
    }
}

/// Feeds a message by BDAT, cut into chunks, in reads of so many octets.
fn check_chunks(config: &ServerConfig, chunks: &[&[u8]], read: usize) {
    let message = chunks.concat();
    let (content, fault) = treated(&message, config.bdat);
    let mut wire = ENVELOPE.strip_suffix("DATA\r\n").unwrap().as_bytes().to_vec();
    let (mut codes, mut seen, mut refused) = (vec!["250", "250"], 0, false);
    for (n, chunk) in chunks.iter().enumerate() {
        let last = n + 1 == chunks.len();
        seen += chunk.len();
        wire.extend_from_slice(format!("BDAT {}{}\r\n", chunk.len(), if last { " LAST" } else { "" }).as_bytes());
        wire.extend_from_slice(chunk);
        codes.push(match fault {
            _ if refused => "503",
            // A lone CR at the very end is known by the end.
            Some((at, _)) if at < seen || last => {
                refused = true;
                "554"
            }
            Some(_) | None => "250",
        });
    }
    wire.extend_from_slice(b"NOOP\r\n");
    codes.push("250");
    let said = (chunks, read, config.bdat);
    let mut server = Server::greeted(config.clone());
    for piece in wire.chunks(read) {
        server.input.extend_from_slice(piece);
        let _ = server.run();
    }
    check_told(&server, &content, fault.map(|(_, violation)| violation), &said);
    let heard = server.heard();
    assert_eq!(heard.lines().filter_map(|line| line.get(..3)).collect::<Vec<_>>(), codes, "{said:?} gives {heard:?}");
}

/// All ways to cut `text` into two chunks, and into three.
fn cuts(text: &[u8]) -> impl Iterator<Item = [&[u8]; 3]> {
    (0..=text.len()).flat_map(move |first| {
        (first..=text.len()).map(move |second| [&text[..first], &text[first..second], &text[second..]])
    })
}

const WHOLE: usize = usize::MAX;

#[test]
fn every_mix_of_five_octets_is_the_same_in_any_two_chunks() {
    for bdat in UNIFORM {
        let config = ServerConfig { bdat, ..config() };
        for text in texts(OCTETS, 5) {
            (0..=text.len()).for_each(|cut| check_chunks(&config, &<[&[u8]; 2]>::from(text.split_at(cut)), WHOLE));
        }
    }
}

#[test]
fn every_mix_of_three_octets_is_the_same_in_any_three_chunks_and_any_reads() {
    for bdat in all_strays() {
        let config = ServerConfig { bdat, ..config() };
        for text in texts(OCTETS, 3) {
            for chunks in cuts(&text) {
                [1, WHOLE].into_iter().for_each(|read| check_chunks(&config, &chunks, read));
            }
        }
    }
}

#[test]
fn in_chunks_nothing_ends_a_message_and_no_dot_is_taken_out() {
    let text = b"a\r\n.\r\n..\r\n.";
    for chunks in cuts(text) {
        for read in (1..80).chain([WHOLE]) {
            check_chunks(&config(), &chunks, read);
        }
    }
}

/// What needs care, each by itself.
const MARKS: [&[u8]; 10] =
    [b"\r\n", b"\r\n.", b"\r\n..", b"\r\n.\r", b"\r", b"\n", b"\n.", b"\0", b"\xe4", b"\r\n\r\n.\n"];

#[test]
fn what_needs_care_is_found_wherever_it_stands_among_what_does_not() {
    // Octets that need no care are found 64 at a time.
    for strays in UNIFORM {
        let config = ServerConfig { data: strays, bdat: strays, ..config() };
        for mark in MARKS {
            for at in 0..140 {
                let text = [&vec![b'x'; at], mark, &[b'y'; 70]].concat();
                let wire = [&text, END].concat();
                check(&config, &wire, [&wire[..]]);
                for cut in [at, at + 1, at + 2, 63, 64, 65] {
                    check(&config, &wire, <[&[u8]; 2]>::from(wire.split_at(cut)));
                }
                check_chunks(&config, &[&text], WHOLE);
                check_chunks(&config, &<[&[u8]; 2]>::from(text.split_at(at + 1)), WHOLE);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_in_any_pieces_is_seen_as_it_is(
        runs in prop::collection::vec((0..150_usize, prop::sample::select(&MARKS[..])), 0..12),
        data in prop::sample::select(all_strays().collect::<Vec<_>>()),
        pieces in prop::collection::vec(1..300_usize, 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let config = ServerConfig { data, bdat: data, ..config() };
        let text: Vec<u8> = runs.iter().flat_map(|(plain, mark)| [&vec![b'x'; *plain], *mark].concat()).collect();
        let mut rest = &[&text, END].concat()[..];
        let wire = rest;
        let pieces = pieces.iter().cycle().map_while(|length| {
            let (piece, behind) = rest.split_at(rest.len().min(*length));
            rest = behind;
            (!piece.is_empty()).then_some(piece)
        });
        check(&config, wire, pieces);
        check_chunks(&config, &<[&[u8]; 2]>::from(text.split_at(cut.index(text.len() + 1))), WHOLE);
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
    assert_eq!((end.size, end.octets), (message.len() as u64, Octets::EightBit));
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

/// Behind MAIL and RCPT.
fn chunks(config: ServerConfig) -> Server {
    let mut server = Server::greeted(config);
    server.say(ENVELOPE.strip_suffix("DATA\r\n").unwrap());
    server.told.clear();
    server
}

/// The verdict on `text`, and what the application saw of it, which is the same by DATA, by BDAT, and octet by octet.
fn judged(config: &ServerConfig, text: &str) -> (String, String) {
    let end = if text.ends_with("\r\n") { ".\r\n" } else { "\r\n.\r\n" };
    let by_data = format!("{text}{end}");
    let by_bdat = format!("BDAT {} LAST\r\n{text}", text.len());
    let mut all = vec![];
    for (by_data, wire) in [(true, by_data), (false, by_bdat)] {
        for read in [1, WHOLE] {
            let mut server = if by_data { data(config.clone()) } else { chunks(config.clone()) };
            let mut heard = String::new();
            for piece in wire.as_bytes().chunks(read) {
                heard += &server.say(piece);
            }
            let seen = String::from_utf8(server.message()).unwrap();
            let open = if by_data && end.len() == 5 { seen.strip_suffix("\r\n").unwrap_or(&seen) } else { &seen };
            all.push((heard, open.to_owned()));
        }
    }
    assert!(all.iter().all(|one| *one == all[0]), "{text:?} gives {all:?}");
    all.swap_remove(0)
}

#[test]
fn what_is_made_harmless_counts_as_what_it_has_become() {
    let harmless = uniform(Stray::Normalize);
    let mut config = ServerConfig { data: harmless, bdat: harmless, ..config() };
    config.limits.message = 12;
    config.limits.body_line = 8;
    for (text, code, seen) in [
        ("1234567890\r\n", "554", "12345678"),
        ("123456\r\n12\r\n", "250", "123456\r\n12\r\n"),
        ("123456\n12\r\n", "250", "123456\r\n12\r\n"),
        ("123456\n123\r\n", "552", "123456\r\n123\r"),
        ("1234567\n1\r\n", "554", "1234567"),
        ("12\r45\x006\r\n", "250", "12 456\r\n"),
        ("1234567\r8\r\n", "554", "1234567 "),
        ("12345678\r9\r\n", "554", "12345678"),
    ] {
        let (heard, message) = judged(&config, text);
        assert_eq!((heard.get(..3), message.as_str()), (Some(code), seen), "{text:?}");
    }
    // A CR at the very end, which DATA cannot have.
    for (text, code, seen) in [
        ("\r", "250", " "),
        ("1234567\r", "250", "1234567 "),
        ("12345678\r", "554", "12345678"),
        ("1234\n1234\n\r", "552", "1234\r\n1234\r\n"),
    ] {
        let mut server = chunks(config.clone());
        let heard = server.say(format!("BDAT {} LAST\r\n{text}", text.len()));
        assert_eq!((heard.get(..3), &server.message()[..]), (Some(code), seen.as_bytes()), "{text:?}");
    }
}

#[test]
fn the_rule_that_is_broken_first_decides() {
    let mut config = config();
    config.limits.message = 10;
    for (text, code, seen) in [
        ("12345678901\n\r\n", "552", "1234567890"),
        ("12\n4567890123\r\n", "554", "12"),
        ("12\x00456\r\n", "554", "12"),
    ] {
        for read in [1, WHOLE] {
            let mut server = data(config.clone());
            let mut heard = String::new();
            for piece in format!("{text}.\r\n").as_bytes().chunks(read) {
                heard += &server.say(piece);
            }
            assert_eq!((heard.get(..3), &server.message()[..]), (Some(code), seen.as_bytes()), "{text:?}");
        }
    }
}

#[test]
fn chunks_that_nobody_wants_are_not_handed_on() {
    let mut server = chunks(config());
    assert_eq!(server.say("BDAT 5\r\none"), "");
    server.session.discard_body().unwrap();
    assert_eq!(server.say("\r\nBDAT 6 LAST\r\ntwo"), "250 2.0.0 chunk received\r\n");
    server.say("\r\n\r");
    assert_eq!(server.message(), b"one");
    assert!(server.was_told(&Event::Violation(Violation::BareLineEnd)), "it was looked at all the same");
}
