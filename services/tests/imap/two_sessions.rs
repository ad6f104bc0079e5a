//! What one session does, and another hears of it: when it may.

use crate::client::Server;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

async fn with_messages(count: usize) -> Server {
    let server = Server::new();
    for _ in 0..count {
        server.deliver("INBOX", MESSAGE).await;
    }
    server
}

#[tokio::test]
async fn flags_are_told_to_the_other_and_not_twice_to_oneself() {
    let server = with_messages(2).await;
    let (mut one, mut two) = (server.select("INBOX").await, server.select("INBOX").await);
    assert_eq!(one.ok("STORE 1 +FLAGS (\\Flagged)").await, "* 1 FETCH (FLAGS (\\Flagged \\Recent))\r\n");
    assert_eq!(one.ok("NOOP").await, "");
    assert_eq!(two.ok("NOOP").await, "* 1 FETCH (FLAGS (\\Flagged))\r\n");
    assert_eq!(two.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)").await, "");
    assert_eq!(two.ok("NOOP").await, "");
    let told = one.ok("UID STORE 2 -FLAGS (\\Seen)").await;
    assert!(told.starts_with("* 2 FETCH (UID 2 FLAGS (\\Recent))\r\n"), "{told}");
    assert!(told.contains("* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen \\Recent))\r\n"), "{told}");
    assert_eq!(two.ok("STORE 1 FLAGS (\\Draft)").await, "* 1 FETCH (FLAGS (\\Draft))\r\n* 2 FETCH (FLAGS ())\r\n");
}

#[tokio::test]
async fn a_new_keyword_is_told_before_a_message_has_it() {
    let server = with_messages(1).await;
    let (mut one, mut two) = (server.select("INBOX").await, server.select("INBOX").await);
    let flags = "* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen $Label1)\r\n";
    assert_eq!(one.ok("STORE 1 +FLAGS ($Label1)").await, format!("{flags}* 1 FETCH (FLAGS ($Label1 \\Recent))\r\n"));
    assert_eq!(two.ok("NOOP").await, format!("{flags}* 1 FETCH (FLAGS ($Label1))\r\n"));
    assert!(
        server
            .login()
            .await
            .ok("SELECT INBOX")
            .await
            .contains("[PERMANENTFLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen $Label1 \\*)]")
    );
}

#[tokio::test]
async fn expunges_wait_for_a_command_that_may_tell_them() {
    let server = with_messages(3).await;
    let (mut one, mut two) = (server.select("INBOX").await, server.select("INBOX").await);
    one.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(one.ok("EXPUNGE").await, "* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n* 1 RECENT\r\n");
    // By number: held, and what is gone is left out.
    assert_eq!(two.ok("FETCH 3 UID").await, "* 3 FETCH (UID 3)\r\n");
    let answer = two.command("FETCH 1:3 (FLAGS)").await;
    assert!(answer.starts_with("* 3 FETCH (FLAGS ())\r\nt4 OK [EXPUNGEISSUED] "), "{answer}");
    assert_eq!(two.ok("UID FETCH 1:* (FLAGS)").await, "* 3 FETCH (UID 3 FLAGS ())\r\n* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n");
    assert_eq!(two.ok("FETCH 1 UID").await, "* 1 FETCH (UID 3)\r\n");
    assert!(two.reply("FETCH 2 UID").await.starts_with("BAD"));
}

#[tokio::test]
async fn expunge_by_uid_takes_only_those() {
    let server = with_messages(3).await;
    let mut client = server.select("INBOX").await;
    client.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)").await;
    client.ok("UID STORE 3 -FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(client.ok("UID EXPUNGE 2:9").await, "* 2 EXPUNGE\r\n* 2 RECENT\r\n");
    assert_eq!(client.ok("UID SEARCH ALL").await, "* SEARCH 1 3\r\n");
}

#[tokio::test]
async fn close_expunges_silently_and_unselect_does_not() {
    let server = with_messages(2).await;
    let mut client = server.select("INBOX").await;
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(client.ok("UNSELECT").await, "");
    assert!(client.ok("EXAMINE INBOX").await.contains("* 2 EXISTS\r\n"));
    assert_eq!(client.ok("CLOSE").await, "");
    assert!(client.ok("SELECT INBOX").await.contains("* 2 EXISTS\r\n"), "a mailbox that was only read lost a message");
    assert_eq!(client.ok("CLOSE").await, "");
    assert!(client.ok("SELECT INBOX").await.contains("* 1 EXISTS\r\n"));
}

#[tokio::test]
async fn copies_and_moves_say_where_messages_are() {
    let server = with_messages(3).await;
    let (mut one, mut two) = (server.select("INBOX").await, server.select("INBOX").await);
    assert_eq!(one.reply("COPY 1 nowhere").await, "NO [TRYCREATE] there is no such mailbox");
    assert_eq!(one.reply("MOVE 1 nowhere").await, "NO [TRYCREATE] there is no such mailbox");
    one.ok("CREATE kept").await;
    one.ok("STORE 2 +FLAGS.SILENT (\\Flagged own)").await;
    let copied = one.reply("UID COPY 2:3 kept").await;
    assert!(copied.starts_with("OK [COPYUID ") && copied.contains(" 2:3 1:2] "), "{copied}");
    let moved = one.command("MOVE 2:3 kept").await;
    let moved: Vec<_> = moved.lines().collect();
    assert!(moved[0].starts_with("* OK [COPYUID ") && moved[0].contains(" 2:3 3:4] "), "{moved:?}");
    assert_eq!(moved[1..3], ["* 2 EXPUNGE", "* 2 EXPUNGE"]);
    assert!(moved[3] == "* 1 RECENT" && moved[4].contains(" OK ") && moved.len() == 5, "{moved:?}");
    let flags = "* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen own)\r\n";
    assert_eq!(two.ok("NOOP").await, format!("{flags}* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n"));
    one.ok("SELECT kept").await;
    assert_eq!(
        one.ok("FETCH 1:* (UID FLAGS)").await,
        "* 1 FETCH (UID 1 FLAGS (\\Flagged own \\Recent))\r\n* 2 FETCH (UID 2 FLAGS (\\Recent))\r\n\
         * 3 FETCH (UID 3 FLAGS (\\Flagged own \\Recent))\r\n* 4 FETCH (UID 4 FLAGS (\\Recent))\r\n"
    );
    let copied = one.command("COPY 1 kept").await;
    assert!(copied.contains("* 5 EXISTS\r\n"), "{copied}");
}

#[tokio::test]
async fn an_idle_client_hears_of_deliveries_flags_and_expunges_at_once() {
    let server = with_messages(1).await;
    let (mut idle, mut other) = (server.select("INBOX").await, server.select("INBOX").await);
    // What happened before IDLE began is told at its beginning.
    other.ok("STORE 1 +FLAGS.SILENT (\\Seen)").await;
    let tag = idle.send("IDLE").await;
    assert_eq!(idle.line().await, "+ idling\r\n");
    assert_eq!(idle.line().await, "* 1 FETCH (FLAGS (\\Seen \\Recent))\r\n");
    server.deliver("INBOX", MESSAGE).await;
    assert_eq!(idle.line().await, "* 2 EXISTS\r\n");
    assert_eq!(idle.line().await, "* 2 RECENT\r\n");
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(idle.line().await, "* 1 FETCH (FLAGS (\\Deleted \\Seen \\Recent))\r\n");
    other.ok("EXPUNGE").await;
    assert_eq!(idle.line().await, "* 1 EXPUNGE\r\n");
    assert_eq!(idle.line().await, "* 1 RECENT\r\n");
    server.deliver("INBOX", MESSAGE).await;
    assert_eq!(idle.line().await, "* 2 EXISTS\r\n");
    assert_eq!(idle.line().await, "* 2 RECENT\r\n");
    idle.raw("DONE\r\n").await;
    assert_eq!(idle.answer(&tag).await, format!("{tag} OK IDLE completed\r\n"));
    assert_eq!(idle.ok("UID FETCH 3 (RFC822.SIZE)").await, "* 2 FETCH (UID 3 RFC822.SIZE 20)\r\n");
    assert_eq!(idle.ok("UID FETCH 2:3 (RFC822.SIZE)").await.lines().count(), 2);
}

#[tokio::test]
async fn append_is_told_with_its_uid_and_seen_where_it_is_selected() {
    let server = Server::new();
    let mut client = server.select("INBOX").await;
    let reply = client.append("nowhere", MESSAGE).await;
    assert_eq!(reply, "NO [TRYCREATE] there is no such mailbox");
    let arguments = "inbox (\\Flagged $own) \" 1-Feb-1994 10:05:00 +0230\"";
    let mut command = format!("APPEND {arguments} {{{}+}}\r\n", MESSAGE.len()).into_bytes();
    command.extend_from_slice(MESSAGE);
    let answer = client.command_octets(&command).await;
    let lines: Vec<_> = answer.lines().collect();
    assert_eq!(lines[1..3], ["* 1 EXISTS", "* 1 RECENT"], "{answer}");
    assert!(lines[3].contains(" OK [APPENDUID ") && lines[3].contains(" 1] "), "{answer}");
    let told = client.ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)").await;
    assert_eq!(
        told,
        "* 1 FETCH (FLAGS (\\Flagged $own \\Recent) INTERNALDATE \" 1-Feb-1994 07:35:00 +0000\" RFC822.SIZE 20)\r\n"
    );
    // The client that waits is let send.
    let tag = client.send("APPEND INBOX {20}").await;
    assert!(client.line().await.starts_with("+ "));
    client.raw("Subject: x\r\n\r\nbody\r\n\r\n").await;
    assert!(client.answer(&tag).await.contains("* 2 EXISTS\r\n"));
}

#[tokio::test]
async fn a_mailbox_that_is_taken_away_ends_the_sessions_of_others() {
    let server = Server::new();
    let mut one = server.login().await;
    one.ok("CREATE box").await;
    one.append("box", MESSAGE).await;
    let (mut two, mut idle) = (server.select("box").await, server.select("box").await);
    idle.send("IDLE").await;
    assert_eq!(idle.line().await, "+ idling\r\n");
    one.ok("SELECT box").await;
    // One's own is told to be empty.
    assert_eq!(one.ok("DELETE box").await, "* 1 EXPUNGE\r\n");
    assert_eq!(one.ok("NOOP").await, "");
    assert_eq!(one.ok("EXPUNGE").await, "");
    assert_eq!(one.ok("UID FETCH 1:* FLAGS").await, "");
    one.ok("CLOSE").await;
    one.ok("SELECT INBOX").await;
    assert!(idle.rest().await.starts_with("* BYE "));
    two.send("NOOP").await;
    assert!(two.rest().await.starts_with("* BYE "));
}
