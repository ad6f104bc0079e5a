//! What the server says of what was done to its queue.

use std::io;
use std::sync::{Arc, Mutex};

use crate::office::{Office, ask, open_tcp};

/// Everything that is logged in this thread, which is that of the whole test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The lines since the last call.
    fn lines(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

fn logged() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    (log, tracing::subscriber::set_default(lines))
}

#[tokio::test]
async fn who_did_what_to_how_many_is_logged_and_no_contents_are() {
    let (log, _guard) = logged();
    let office = Office::new().await;
    for _ in 0..3 {
        office.send("alice@example.org", "alice", &["bob@example.com"]).await;
    }
    let me = format!("who=uid {} (pid {})", my_uid(), std::process::id());
    log.lines();
    office.ask("POST", "/v1/queue/messages", "{\"action\":\"hold\",\"filter\":\"source=alice\",\"limit\":2}").await;
    let line = log.lines();
    for words in [&*me, "action=Hold", "source=alice", "matched=2", "changed=2"] {
        assert!(line.contains(words), "{words:?} is not in {line:?}");
    }
    office.ask("POST", "/v1/queue/rules", "{\"filter\":\"domain=example.com\",\"reason\":\"private\"}").await;
    let line = log.lines();
    assert!(line.contains("rule=1") && line.contains("domain=example.com") && line.contains(&me), "{line}");
    office.ask("DELETE", "/v1/queue/rules/1", "").await;
    assert!(log.lines().contains("mail resumed"));
    // Looking is not logged, nor is trying out.
    office.ask("GET", "/v1/queue/messages", "").await;
    let trial = "{\"action\":\"delete\",\"filter\":\"all\",\"dry_run\":true}";
    assert_eq!(office.ask("POST", "/v1/queue/messages", trial).await.json["changed"], 3);
    assert_eq!(log.lines(), "");
    // What an operator writes cannot forge a line.
    let forged = "{\"action\":\"hold\",\"filter\":\"text=\\\"a\\nb\\\"\"}";
    assert_eq!(office.ask("POST", "/v1/queue/messages", forged).await.status, 200);
    assert_eq!(log.lines().lines().count(), 1);
}

#[tokio::test]
async fn tokens_are_told_apart_from_users_and_wrong_ones_are_told() {
    let (log, _guard) = logged();
    let office = Office::new().await;
    let file = office.folder.path().join("token");
    std::fs::write(&file, "correct-horse-battery-staple").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (listener, address) = open_tcp(&file).await.unwrap();
    office.open(listener);
    let post = async |token: &str| {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let fields = format!("Authorization: Bearer {token}\r\n");
        ask(stream, "POST", "/v1/queue/messages", &fields, "{\"action\":\"delete\",\"filter\":\"all\"}").await.status
    };
    assert_eq!(post("correct-horse-battery-staple").await, 200);
    let line = log.lines();
    assert!(line.contains("who=token from 127.0.0.1:") && line.contains("action=Delete"), "{line}");
    assert_eq!(post("wrong-horse-battery-staple").await, 401);
    let line = log.lines();
    assert!(line.contains("WARN") && line.contains("the token is wrong") && line.contains("127.0.0.1:"), "{line}");
    assert!(!line.contains("horse"), "{line}");
}

/// The user that this test runs as.
fn my_uid() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap())
}
