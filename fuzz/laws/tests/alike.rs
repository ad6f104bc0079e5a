//! The protocol crates share no code. What each has for itself (lines, SASL lines, doubled dots) they have alike.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use laws::{Manners, Player, Reading, Script, Subject, Told};
use proptest::prelude::*;

const JUNK: [&[u8]; 7] = [b"\r\n", b"\r", b"\n", b"\0", b"x", b"\r\n.\r\n", b"\xff"];

const TEXT: [&[u8]; 6] = [b".", b"\r\n", b"x", b"\r\n.", b"\r\n.\r\n", b"\xc3\xa4"];

/// What is told and said behind the lead, by a polite application.
fn play<S: Subject>(subject: &S, lead: &[u8], wire: &[u8], reading: Reading<'_>) -> (Vec<Told>, Vec<u8>) {
    let script = Script::polite(0);
    let mut player = Player::new(subject, &script, Manners::Steady);
    player.hear(lead, Reading::OCTETS).unwrap();
    let before = (player.transcript.told.len(), player.transcript.said.len());
    player.hear(wire, reading).unwrap();
    (player.transcript.told.split_off(before.0), player.transcript.said.split_off(before.1))
}

/// How many lines were taken, each of which is told as a violation.
fn lines_taken<S: Subject>(subject: &S, wire: &[u8], reading: Reading<'_>) -> usize {
    let (told, said) = play(subject, b"", wire, reading);
    let replies = said.windows(2).filter(|two| two == b"\r\n").count();
    assert_eq!(told.len(), replies, "each line has its reply");
    told.len()
}

/// The response of a SASL exchange, as it is told; `None` where the line was refused.
fn sasl_response<S: Subject>(subject: &S, lead: &[u8], line: &[u8]) -> Option<String> {
    let (told, _) = play(subject, lead, line, Reading::WHOLE);
    told.into_iter().find_map(|told| match told {
        Told::Event(event) => event.strip_prefix("SaslResponse ").map(String::from),
        Told::Bulk(_) | Told::Switched(_) => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Only CRLF ends a line, in any pieces; so the same junk is the same number of lines to all.
    #[test]
    fn all_find_the_same_lines(
        junk in prop::collection::vec(prop::sample::select(&JUNK[..]), 0..60),
        pieces in prop::collection::vec(any::<u8>(), 1..6),
    ) {
        let wire = junk.concat();
        let expected = wire.windows(2).filter(|two| two == b"\r\n").count();
        for reading in [Reading::WHOLE, Reading::OCTETS, Reading { pieces: &pieces, ..Reading::WHOLE }] {
            prop_assert_eq!(lines_taken(&laws::pop3::Server, &wire, reading), expected);
            prop_assert_eq!(lines_taken(&laws::smtp::Server, &wire, reading), expected);
            prop_assert_eq!(lines_taken(&laws::imap::Server, &wire, reading), expected);
        }
    }

    #[test]
    fn all_read_the_same_in_a_sasl_line(line in "[A-Da-d019+/=* ]{0,12}") {
        let line = [line.as_bytes(), b"\r\n"].concat();
        let pop3 = sasl_response(&laws::pop3::Server, b"AUTH PLAIN\r\n", &line);
        let smtp = sasl_response(&laws::smtp::Server, b"EHLO client.test\r\nAUTH PLAIN\r\n", &line);
        let imap = sasl_response(&laws::imap::Server, b"a AUTHENTICATE PLAIN\r\n", &line);
        prop_assert_eq!(&pop3, &smtp);
        prop_assert_eq!(&pop3, &imap);
    }

    /// POP3 sends messages as SMTP does.
    #[test]
    fn all_double_the_same_dots(
        pieces in prop::collection::vec(prop::sample::select(&TEXT[..]), 0..24),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = pieces.concat();
        let cut = cut.index(text.len() + 1);
        let smtp = laws::delivery::stuffed(&text, cut);
        let pop3 = laws::pop3::message(&text, cut);
        let status = pop3.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
        prop_assert_eq!(&pop3[status..], &smtp[..]);
    }
}
