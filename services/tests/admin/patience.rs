//! Clients that take their time. Time runs only while all wait for it, so that nobody waits for these tests.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

use crate::office::Office;

async fn connected(office: &Office, words: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(office.socket()).await.unwrap();
    stream.write_all(words).await.unwrap();
    stream
}

async fn rest(stream: &mut UnixStream) -> String {
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets).await;
    String::from_utf8(octets).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let office = Office::new().await;
    let begun = Instant::now();
    for words in [&b""[..], b"GET /v1/queue/status HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = connected(&office, words).await;
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    assert_eq!(begun.elapsed().as_secs(), 2 * 10);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let office = Office::new().await;
    office.send("alice@example.org", "alice", &["bob@example.com"]).await;
    let head = b"POST /v1/queue/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n{\"action\": \"delete\",";
    let mut stream = connected(&office, head).await;
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("takes too long"), "{answer}");
    assert_eq!(office.number("all").await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_does_not_hold_its_place_for_ever() {
    let office = Office::new().await;
    let addresses: Vec<_> = (0..25).map(|number| format!("r{number}@example.com")).collect();
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    for _ in 0..200 {
        office.send("alice@example.org", "alice", &addresses).await;
    }
    let question = b"GET /v1/queue/messages?limit=200 HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut stream = connected(&office, question).await;
    sleep(Duration::from_secs(130)).await;
    let answer = rest(&mut stream).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.to_ascii_lowercase().split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse();
    assert!(body.len() < length.unwrap(), "{head}");
}
