//! LIST, STAT and RETR say the same number, and it is that of the octets on the wire.

use mailstore::Store;
use mailstore::memory::MemoryStore;

use super::case::{BOB, Case, Client, LOGIN, maildir, options};

/// CRLF, LF, both, no end, no text, dots at all places where they matter.
const TEXTS: [&[u8]; 16] = [
    b"",
    b"\r\n",
    b"\n",
    b"\r",
    b".",
    b".\r\n",
    b"A: 1\r\n\r\nbody\r\n",
    b"A: 1\r\n\r\nno end",
    b"A: 1\n\nlines of Unix\n",
    b"A: 1\n\nlines of Unix, and no end",
    b"A: 1\r\n\r\nmixed\nlines\r\n",
    b"A: 1\r\n\r\nmixed\r\nlines\n",
    b"A: 1\r\n\r\nlone\rCR\r\n",
    b"A: 1\r\n\r\nends with CR\r",
    b".A: dots\r\n\r\n..\r\n.\r\n...x\n.y\r\n.",
    b"A: 1\r\n\r\n\x80\xff octets\r\n",
];

/// What RETR sends of a text, and how many of its octets are doubled dots: those behind a bare LF too, so that no client
/// takes one for the end.
fn on_the_wire(text: &[u8]) -> (Vec<u8>, usize) {
    let (mut wire, mut doubled, mut line_start) = (Vec::new(), 0, true);
    for octet in text {
        if line_start && *octet == b'.' {
            wire.push(b'.');
            doubled += 1;
        }
        wire.push(*octet);
        line_start = *octet == b'\n';
    }
    if !text.is_empty() && !text.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    (wire, doubled)
}

async fn numbers(client: &mut Client, command: &str) -> Vec<usize> {
    let line = client.ask(command).await;
    line.split(' ').skip(1).filter_map(|word| word.parse().ok()).collect()
}

async fn check<S: Store>(case: &Case<S>, texts: &[&[u8]]) {
    let mut client = case.connect();
    client.send(LOGIN).await;
    for _ in 0..3 {
        client.line().await;
    }
    let mut listed = Vec::new();
    for (number, text) in (1..).zip(texts) {
        let (wire, doubled) = on_the_wire(text);
        let octets = wire.len() - doubled;
        assert_eq!(numbers(&mut client, &format!("LIST {number}")).await, [number, octets], "{text:?}");
        assert_eq!(numbers(&mut client, &format!("RETR {number}")).await, [octets], "{text:?}");
        assert_eq!(client.multi_line().await, wire, "{text:?}");
        listed.push(format!("{number} {octets}\r\n"));
    }
    let sum: usize = texts.iter().map(|text| on_the_wire(text)).map(|(wire, doubled)| wire.len() - doubled).sum();
    assert_eq!(numbers(&mut client, "STAT").await, [texts.len(), sum]);
    client.ask("LIST").await;
    assert_eq!(client.multi_line().await, listed.concat().as_bytes());

    client.ask("DELE 9").await;
    let (wire, doubled) = on_the_wire(texts.get(8).unwrap());
    assert_eq!(numbers(&mut client, "STAT").await, [texts.len() - 1, sum - (wire.len() - doubled)]);
}

#[tokio::test]
async fn counts_are_those_of_the_wire_in_memory() {
    let case = Case::over(MemoryStore::new(), options());
    for text in TEXTS {
        case.put(BOB, text).await;
    }
    check(&case, &TEXTS).await;
}

#[tokio::test]
async fn counts_are_those_of_the_wire_in_a_maildir_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let case = Case::over(maildir(directory.path()), options());
    for text in TEXTS {
        case.put(BOB, text).await;
    }
    check(&case, &TEXTS).await;
    check(&Case::over(maildir(directory.path()), options()), &TEXTS).await;
}

/// Other programs store LF, and what they say of sizes does not tell how a message ends.
#[tokio::test]
async fn counts_are_those_of_the_wire_for_mail_that_others_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let case = Case::over(maildir(directory.path()), options());
    case.put(BOB, b"the first of all\r\n").await;
    let new = directory.path().join("example.org/bob/new");
    let mut texts = vec![b"the first of all\r\n".to_vec()];
    for (number, text) in TEXTS.iter().enumerate() {
        let widened = String::from_utf8_lossy(text).into_owned();
        if widened.as_bytes() != *text {
            continue;
        }
        let widened = widened.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
        let (size, wide) = (text.len(), widened.len());
        // Some names tell the sizes, as Dovecot's do, and some do not.
        let name = if number % 2 == 0 { format!(",S={size},W={wide}") } else { String::new() };
        std::fs::write(new.join(format!("{}.M{number}.other{name}", 1_000 + number)), text).unwrap();
        texts.push(widened);
    }
    let texts: Vec<_> = texts.iter().map(Vec::as_slice).collect();
    check(&case, &texts).await;
    check(&Case::over(maildir(directory.path()), options()), &texts).await;
}
