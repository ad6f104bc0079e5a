//! What clients hear when the store is not at its best.

use std::sync::Arc;
use std::time::Duration;

use mailstore::memory::MemoryStore;

use crate::client::Server;
use crate::odd_store::{OddStore, Oddities, Oddity};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

async fn odd(oddities: &[Oddity]) -> (Server<OddStore>, Oddities) {
    let store = Arc::new(MemoryStore::new());
    let odd = Oddities::default();
    for oddity in oddities {
        odd.set(*oddity);
    }
    let server = Server::over(Arc::new(OddStore(Arc::clone(&store), odd.clone())), store);
    for _ in 0..3 {
        server.deliver("INBOX", MESSAGE).await;
    }
    (server, odd)
}

#[tokio::test]
async fn an_idle_client_waits_for_the_poll_where_no_hint_comes() {
    let (server, _) = odd(&[Oddity::Silent]).await;
    let mut idle = server.select("INBOX").await;
    idle.send("IDLE").await;
    assert_eq!(idle.line().await, "+ idling\r\n");
    tokio::time::pause();
    server.deliver("INBOX", MESSAGE).await;
    // The clock goes on by itself when all wait, and would come to the engine's word that the connection lives.
    let line = tokio::time::timeout(Duration::from_secs(60), idle.line()).await.unwrap();
    assert_eq!(line, "* 4 EXISTS\r\n");
}

#[tokio::test]
async fn a_store_that_forgets_is_compared_with() {
    let (server, _) = odd(&[Oddity::Forgetful]).await;
    let (mut one, mut two) = (server.select("INBOX").await, server.select("INBOX").await);
    assert_eq!(one.ok("NOOP").await, "");
    let flags = "* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen own)\r\n";
    assert_eq!(one.ok("STORE 2 +FLAGS.SILENT (\\Deleted own)").await, flags);
    assert_eq!(one.ok("STORE 3 +FLAGS.SILENT (\\Seen)").await, "");
    assert_eq!(one.ok("EXPUNGE").await, "* 2 EXPUNGE\r\n* 2 RECENT\r\n");
    server.deliver("INBOX", MESSAGE).await;
    assert_eq!(
        two.ok("NOOP").await,
        format!("{flags}* 2 EXPUNGE\r\n* 3 EXISTS\r\n* 1 RECENT\r\n* 2 FETCH (FLAGS (\\Seen))\r\n")
    );
    let told = one.ok("FETCH 1:* (UID RFC822.SIZE)").await;
    assert_eq!(
        told,
        "* 1 FETCH (UID 1 RFC822.SIZE 20)\r\n* 2 FETCH (UID 3 RFC822.SIZE 20)\r\n* 3 EXISTS\r\n* 2 RECENT\r\n"
    );
    assert_eq!(one.ok("FETCH 3 (UID RFC822.SIZE)").await, "* 3 FETCH (UID 4 RFC822.SIZE 20)\r\n");
    assert_eq!(one.ok("NOOP").await, "");
}

#[tokio::test]
async fn a_literal_that_cannot_be_ended_ends_the_session() {
    let (server, odd) = odd(&[]).await;
    let mut client = server.select("INBOX").await;
    odd.set(Oddity::Short);
    client.send("FETCH 1 BODY.PEEK[]").await;
    // So much was promised; what is missing is not made up.
    assert_eq!(client.rest().await, "* 1 FETCH (BODY[] {20}\r\nSubject: x\r\n\r\nb");
}

#[tokio::test]
async fn messages_that_cannot_be_read_are_told_as_far_as_they_can() {
    let (server, odd) = odd(&[]).await;
    let mut client = server.select("INBOX").await;
    odd.set(Oddity::Unreadable);
    let answer = client.command("FETCH 1:2 (UID FLAGS BODY.PEEK[TEXT] ENVELOPE)").await;
    let lines: Vec<_> = answer.lines().collect();
    assert_eq!(lines[0], "* 1 FETCH (UID 1 FLAGS (\\Recent) BODY[TEXT] NIL)");
    assert_eq!(lines[1], "* 2 FETCH (UID 2 FLAGS (\\Recent) BODY[TEXT] NIL)");
    assert!(lines[2].ends_with("NO [UNAVAILABLE] some messages cannot be read now"), "{answer}");
    assert_eq!(client.ok("SEARCH TEXT body").await, "* SEARCH\r\n");
}

#[tokio::test]
async fn changes_that_cannot_be_known_now_do_not_stop_commands() {
    let (server, odd) = odd(&[]).await;
    let mut client = server.select("INBOX").await;
    odd.set(Oddity::Speechless);
    assert_eq!(client.ok("NOOP").await, "");
    assert_eq!(client.ok("STORE 1 +FLAGS (\\Seen)").await, "* 1 FETCH (FLAGS (\\Seen \\Recent))\r\n");
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(client.ok("EXPUNGE").await, "* 1 EXPUNGE\r\n* 2 RECENT\r\n");
}

#[tokio::test]
async fn what_has_no_room_is_refused_with_its_code() {
    let (server, odd) = odd(&[]).await;
    let mut client = server.select("INBOX").await;
    odd.set(Oddity::Full);
    // Before the message is sent.
    assert_eq!(client.reply("APPEND INBOX {20}").await, "NO [OVERQUOTA] the account is over its quota");
    assert_eq!(client.append("INBOX", MESSAGE).await, "NO [OVERQUOTA] the account is over its quota");
    assert_eq!(client.reply("COPY 1 Sent").await, "NO [OVERQUOTA] the account is over its quota");
    assert_eq!(client.reply("MOVE 1 Sent").await, "NO [UNAVAILABLE] not possible now, try again later");
    assert_eq!(client.reply("CREATE x").await, "NO [UNAVAILABLE] not possible now, try again later");
    assert_eq!(client.reply("STORE 1 +FLAGS (x)").await, "NO [LIMIT] the mailbox has too many keywords");
    // It can be read all the same, though not marked.
    assert_eq!(client.ok("FETCH 1 BODY[TEXT]").await, "* 1 FETCH (BODY[TEXT] {6}\r\nbody\r\n)\r\n");
}

#[tokio::test]
async fn what_was_kept_and_is_damaged_is_made_anew() {
    let (server, odd) = odd(&[]).await;
    let mut client = server.select("INBOX").await;
    let envelope = client.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE)").await;
    odd.set(Oddity::Damaged);
    assert_eq!(client.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE)").await, envelope);
}
