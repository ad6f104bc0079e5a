//! A whole POP3 session of 100 messages through the engine alone.

use std::sync::Arc;
use std::time::Duration;

use bench::{Case, compare};
use bytes::BytesMut;
use pop3_proto::{Ending, Event, Link, Maildrop, Message, PlaintextLogin, ServerConfig, ServerSession, Step};

fn main() {
    let text =
        [b"Subject: x\r\n\r\n".as_slice(), &b"A line of a message that is not very long.\r\n".repeat(40)].concat();
    let message = |n: u32| Message { size: text.len() as u64, ending: Ending::Crlf, uidl: n.to_string().into() };
    let maildrop = Arc::new(Maildrop::new((0..100).map(message).collect()).unwrap());
    let config = Arc::new(ServerConfig { plaintext_login: PlaintextLogin::Always, ..ServerConfig::default() });
    let mut script = String::from("USER bob\r\nPASS x\r\nSTAT\r\nUIDL\r\nLIST\r\n");
    (1..=100).for_each(|n| script.push_str(&format!("RETR {n}\r\nDELE {n}\r\n")));
    script.push_str("QUIT\r\n");

    let session = || {
        let now = Duration::ZERO;
        let mut session = ServerSession::new(Arc::clone(&config), Link::default(), now);
        let (mut input, mut out, mut commands) = (BytesMut::from(script.as_str()), BytesMut::new(), 0);
        loop {
            match session.next_event(now, &mut input, &mut out) {
                Step::Event(Event::Login { .. }) => session.open(Arc::clone(&maildrop), now, &mut out).unwrap(),
                Step::Event(Event::List) => {
                    while session.list_more(now, &mut out).unwrap() == pop3_proto::Progress::More {}
                }
                Step::Event(Event::Retrieve { .. }) => {
                    session.accept(now, &mut out).unwrap();
                    session.body(&text, &mut out).unwrap();
                    session.end_body(now, &mut out).unwrap();
                }
                Step::Event(_) => session.accept(now, &mut out).unwrap(),
                Step::Close(_) => return 207,
                step => panic!("{step:?}"),
            }
            commands += 1;
            assert!(commands < 1000);
            out.clear();
        }
    };
    compare(
        "POP3 engine, a session with 100 messages of 1.8 KB",
        "command",
        5,
        Duration::from_millis(500),
        vec![Case::new("posthaste pop3-proto", session)],
    );
}
