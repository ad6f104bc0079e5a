//! However the peer's octets are cut, the session says and asks the same.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    reason = "a test may fail, and an application need not know each event"
)]

mod common;

use bytes::Bytes;
use common::{Case, config, flags, selected, uids};
use imap_proto::{Changes, Close, Event, FetchItem, Limits, Reply, ServerConfig, Step};
use proptest::prelude::*;

/// A session from beginning to end, under an application that answers by itself.
fn run(pieces: &[&[u8]]) -> (String, Vec<Event>, Close) {
    let limits = Limits { command_before_login: 200, command: 300, discarded: 500, violations: 9, ..Limits::default() };
    let mut case = Case::new(ServerConfig { limits, ..config() });
    let mut events = vec![];
    let mut pieces = pieces.iter();
    loop {
        match case.next() {
            Step::Event(Event::Chunk(octets)) => match events.last_mut() {
                Some(Event::Chunk(before)) => *before = Bytes::from([&before[..], &octets[..]].concat()),
                _ => events.push(Event::Chunk(octets)),
            },
            Step::Event(event) => {
                answer(&mut case, &event);
                events.push(event);
            }
            Step::NeedInput => match pieces.next() {
                Some(piece) => case.input.extend_from_slice(piece),
                None => case.session.handle_eof(),
            },
            Step::Close(why) => return (case.said(), events, why),
            Step::YourTurn | Step::Switch(_) => panic!("nothing was left open"),
        }
        assert!(case.input.len() <= 64 * 1024 && case.session.memory() < 4096);
    }
}

fn answer(case: &mut Case, event: &Event) {
    let (session, now, out) = (&mut case.session, case.now, &mut case.out);
    let answered = match event {
        Event::Login { .. } => session.authenticated(now, out),
        Event::Authenticate { .. } => session.challenge(b"go", now, out),
        Event::SaslResponse(secret) if secret.expose() == b"yes" => session.authenticated(now, out),
        Event::Select { .. } => session.select(selected(&[1, 2, 3, 5, 8]), now, out),
        Event::Poll => {
            let changes = Changes { gone: uids(&[2]), exists: uids(&[9]), touched: uids(&[3]), ..Changes::default() };
            session.changed(&changes);
            session.accept(now, out)
        }
        Event::Fetch(fetch) => {
            for uid in fetch.uids.iter() {
                session.fetch_begin(uid, out).unwrap();
                for item in &fetch.items {
                    if let FetchItem::Body(item) = item {
                        session.begin_literal(item, 3, out).unwrap();
                        session.body(b"a\r\n", out).unwrap();
                        session.end_body().unwrap();
                    } else {
                        session.fetch_size(9, out).unwrap();
                    }
                }
                session.fetch_end(out).unwrap();
            }
            session.accept(now, out)
        }
        Event::Tell { uids } => {
            for uid in uids.iter() {
                session.fetch_begin(uid, out).unwrap();
                session.fetch_flags(&flags("\\Seen"), out).unwrap();
                session.fetch_end(out).unwrap();
            }
            session.accept(now, out)
        }
        Event::Append(append) if append.mailbox == "full" => session.reply(&Reply::no("full"), now, out),
        Event::Status { .. } => session.reply(&Reply::no("no"), now, out),
        event if event.is_question() => match session.accept(now, out) {
            Err(_) => {
                session.decline(now, out);
                Ok(())
            }
            done => done,
        },
        _ => Ok(()),
    };
    assert_eq!(answered, Ok(()), "{event:?}");
}

const COMMANDS: &[&str] = &[
    "a LOGIN {3}\r\nbob {2+}\r\n\r\n\r\n",
    "a LOGIN bob x\r\n",
    "b AUTHENTICATE PLAIN\r\neWVz\r\n",
    "b AUTHENTICATE PLAIN\r\n*\r\n",
    "b AUTHENTICATE PLAIN =\r\n{5+}\r\nLOGIN\r\n",
    "c SELECT inbox\r\n",
    "c EXAMINE {5}\r\ninbox\r\n",
    "d FETCH 1:* (UID BODY.PEEK[])\r\n",
    "d UID FETCH 2:3 RFC822.SIZE\r\n",
    "e NOOP\r\n",
    "f IDLE\r\nDONE\r\n",
    "f IDLE\r\nx {4+}\r\nDONE\r\n",
    "g APPEND x {5}\r\nhello\r\n",
    "g APPEND {1+}\r\nx (\\Seen) {12+}\r\na LOGOUT\r\n\r\n\r\n",
    "g APPEND full {10+}\r\nz LOGOUT\r\n\r\n",
    "g APPEND full {400}\r\n",
    "g APPEND x {2+}\r\nhi {11+}\r\nz LOGOUT\r\nx\r\n",
    "g APPEND x y {10+}\r\nz LOGOUT\r\n\r\n",
    "h SEARCH TEXT {4}\r\na\r\nb OR SEEN TEXT {1}\r\nx\r\n",
    "h SEARCH CHARSET UTF-8 SUBJECT {2+}\r\n\u{e4}\r\n",
    "i STORE 1 +FLAGS (x)\r\n",
    "j COPY 1:* {3+}\r\na b\r\n",
    "k XYZ {3+}\r\nabc {2+}\r\nde\r\n",
    "k NO\nOP {12+}\r\nk LOGOUT\r\n\r\n\r\n",
    "k NO\rOP\r\n",
    "k NOOP\r\r\n",
    "l CREATE {400+}\r\n",
    "l CREATE {400}\r\n",
    "{3+}\r\nabc\r\n",
    "m STATUS x (MESSAGES)\r\n",
    "m CLOSE\r\n",
    "n LIST \"\" {1}\r\n%\r\n",
    "n CAPABILITY\r\n",
    "\r\n",
    "o LOGOUT\r\n",
    "p CREATE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
     {12+}\r\na LOGOUT\r\n\r\n\r\n",
];

fn script() -> impl Strategy<Value = Vec<u8>> {
    let command = prop_oneof![
        12 => prop::sample::select(COMMANDS).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(prop::sample::select(&b"a {}+0129\r\n\0\"\\x"[..]), 0..20),
        1 => (prop::sample::select(COMMANDS), any::<prop::sample::Index>()).prop_map(|(text, at)| {
            text.as_bytes()[..at.index(text.len())].to_vec()
        }),
    ];
    let begin = prop::sample::select(&["", "a LOGIN bob x\r\n", "a LOGIN bob x\r\nc SELECT inbox\r\n"][..]);
    (begin, prop::collection::vec(command, 0..8))
        .prop_map(|(begin, commands)| [begin.as_bytes(), &commands.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_says_and_asks_the_same(text in script(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..6)) {
        let whole = run(&[&text]);
        let octets: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(&run(&octets), &whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = vec![];
        let mut from = 0;
        for cut in cuts {
            pieces.push(&text[from..cut]);
            from = cut;
        }
        pieces.push(&text[from..]);
        prop_assert_eq!(&run(&pieces), &whole);
    }
}

#[test]
fn every_command_cut_at_every_octet() {
    for text in COMMANDS {
        for begin in ["", "a LOGIN bob x\r\nc SELECT inbox\r\n"] {
            let text = [begin, text, "z NOOP\r\n"].concat();
            let whole = run(&[text.as_bytes()]);
            for cut in begin.len()..text.len() {
                let (first, second) = text.as_bytes().split_at(cut);
                assert_eq!(run(&[first, second]), whole, "{text:?} cut at {cut}");
            }
        }
    }
}

#[test]
fn every_command_has_one_tagged_answer() {
    // One that never comes to its end has none.
    for text in COMMANDS.iter().filter(|text| !text.contains("{400+}")) {
        let tag = text.split([' ', '\r']).next().unwrap_or_default();
        let (said, ..) = run(&[b"log LOGIN bob x\r\nsel SELECT inbox\r\n", text.as_bytes(), b"zz NOOP\r\n"]);
        let tagged = |tag: &str| said.lines().filter(|line| line.split(' ').next() == Some(tag)).count();
        let last = usize::from(!text.starts_with("o LOGOUT"));
        // A literal that is refused before it is sent leaves the next line to be a command.
        if !tag.is_empty() && !tag.starts_with('{') {
            assert_eq!((tagged(tag), tagged("zz")), (1, last), "{text:?}: {said}");
        }
    }
}
