//! Logging in, and mailboxes by their names.

use crate::client::Server;

#[tokio::test]
async fn the_first_login_makes_the_usual_mailboxes_and_only_the_first() {
    let server = Server::new();
    let mut client = server.login().await;
    let list = client.ok("LIST \"\" *").await;
    for line in [
        "* LIST (\\HasNoChildren \\Drafts) \"/\" Drafts\r\n",
        "* LIST (\\HasNoChildren) \"/\" INBOX\r\n",
        "* LIST (\\HasNoChildren \\Junk) \"/\" Junk\r\n",
        "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n",
        "* LIST (\\HasNoChildren \\Trash) \"/\" Trash\r\n",
    ] {
        assert!(list.contains(line), "{list}");
    }
    assert_eq!(client.ok("LSUB \"\" *").await.lines().count(), 5);
    client.ok("DELETE Junk").await;
    assert_eq!(server.login().await.ok("LIST \"\" *").await.lines().count(), 4);
    for name in ["Drafts", "Sent", "Trash"] {
        client.ok(&format!("DELETE {name}")).await;
    }
    assert_eq!(server.login().await.ok("LIST \"\" *").await, "* LIST (\\HasNoChildren) \"/\" INBOX\r\n");
}

#[tokio::test]
async fn a_wrong_password_is_refused_with_its_code_and_sasl_works() {
    let server = Server::new();
    let mut client = server.connect().await;
    assert_eq!(client.reply("LOGIN bob wrong").await, "NO [AUTHENTICATIONFAILED] invalid user name or password");
    assert_eq!(client.reply("LOGIN nobody x").await, "NO [AUTHENTICATIONFAILED] invalid user name or password");
    assert!(client.reply("SELECT INBOX").await.starts_with("BAD"));
    // "\0bob\0secret"
    assert!(client.reply("AUTHENTICATE PLAIN AGJvYgBzZWNyZXQ=").await.starts_with("OK [CAPABILITY IMAP4rev1 "));
    let tag = client.send("ID (\"name\" \"a client\" \"version\" \"1\")").await;
    assert_eq!(client.answer(&tag).await, format!("* ID (\"name\" \"Posthaste\")\r\n{tag} OK ID completed\r\n"));
    let tag = client.send("LOGOUT").await;
    assert_eq!(client.rest().await, format!("* BYE logging out\r\n{tag} OK LOGOUT completed\r\n"));
}

#[tokio::test]
async fn names_are_created_renamed_and_deleted_with_fitting_codes() {
    let server = Server::new();
    let mut client = server.login().await;
    client.ok("CREATE a/b/c").await;
    assert_eq!(client.reply("CREATE a/b/c").await, "NO [ALREADYEXISTS] the mailbox exists already");
    assert_eq!(client.reply("CREATE inbox").await, "NO [ALREADYEXISTS] the mailbox exists already");
    assert_eq!(client.reply("CREATE a//b").await, "NO [CANNOT] no mailbox can have this name");
    client.ok("CREATE \"&ZeVnLIqe-/\"").await;
    let list = client.ok("LIST \"\" a*").await;
    assert_eq!(
        list,
        "* LIST (\\Noselect \\HasChildren) \"/\" a\r\n* LIST (\\Noselect \\HasChildren) \"/\" a/b\r\n\
         * LIST (\\HasNoChildren) \"/\" a/b/c\r\n"
    );
    assert_eq!(client.ok("LIST \"\" a/%").await, "* LIST (\\Noselect \\HasChildren) \"/\" a/b\r\n");
    assert_eq!(client.ok("LIST a/ %").await, "* LIST (\\Noselect \\HasChildren) \"/\" a/b\r\n");
    assert_eq!(client.ok("LIST \"\" \"&ZeU-*\"").await, "* LIST (\\HasNoChildren) \"/\" &ZeVnLIqe-\r\n");
    assert_eq!(client.reply("SELECT a/b").await, "NO [NONEXISTENT] there is no such mailbox");
    client.ok("RENAME a x").await;
    assert_eq!(client.reply("RENAME a y").await, "NO [NONEXISTENT] there is no such mailbox");
    assert_eq!(client.reply("RENAME x/b/c Sent").await, "NO [ALREADYEXISTS] the new name is taken");
    client.ok("SELECT x/b/c").await;
    assert_eq!(client.reply("DELETE INBOX").await, "NO [CANNOT] INBOX cannot be deleted");
    assert_eq!(client.reply("DELETE nothing").await, "NO [NONEXISTENT] there is no such mailbox");
    assert_eq!(client.reply("STATUS nothing (MESSAGES)").await, "NO [NONEXISTENT] there is no such mailbox");
}

#[tokio::test]
async fn names_with_children_are_told_exactly() {
    let server = Server::new();
    let mut client = server.login().await;
    // Between a name and its children others may sort.
    for name in ["p", "\"p q\"", "p-r", "p/s"] {
        client.ok(&format!("CREATE {name}")).await;
    }
    let list = client.ok("LIST \"\" p*").await;
    assert_eq!(
        list,
        "* LIST (\\HasChildren) \"/\" p\r\n* LIST (\\HasNoChildren) \"/\" \"p q\"\r\n\
         * LIST (\\HasNoChildren) \"/\" p-r\r\n* LIST (\\HasNoChildren) \"/\" p/s\r\n"
    );
}

#[tokio::test]
async fn subscriptions_outlive_mailboxes_and_lsub_tells_the_level_above() {
    let server = Server::new();
    let mut client = server.login().await;
    client.ok("SUBSCRIBE news/comp/mail").await;
    assert_eq!(client.ok("LSUB \"\" news*").await, "* LSUB () \"/\" news/comp/mail\r\n");
    assert_eq!(client.ok("LSUB \"\" n%").await, "* LSUB (\\Noselect) \"/\" news\r\n");
    assert_eq!(client.ok("LSUB \"\" news/%").await, "* LSUB (\\Noselect) \"/\" news/comp\r\n");
    assert_eq!(client.ok("LIST \"\" news*").await, "");
    client.ok("UNSUBSCRIBE news/comp/mail").await;
    assert_eq!(client.ok("LSUB \"\" news*").await, "");
}

#[tokio::test]
async fn status_counts_without_taking_recent_away() {
    let server = Server::new();
    let mut client = server.login().await;
    server.deliver("INBOX", b"A: 1\r\n\r\none").await;
    server.deliver("INBOX", b"A: 2\r\n\r\ntwo").await;
    let status = client.ok("STATUS inbox (UIDNEXT MESSAGES RECENT UNSEEN)").await;
    assert_eq!(status, "* STATUS INBOX (UIDNEXT 3 MESSAGES 2 RECENT 2 UNSEEN 2)\r\n");
    assert!(client.ok("EXAMINE INBOX").await.contains("* 2 RECENT\r\n"));
    assert!(server.login().await.ok("SELECT INBOX").await.contains("* 2 RECENT\r\n"));
    assert!(server.login().await.ok("SELECT INBOX").await.contains("* 0 RECENT\r\n"));
}

#[tokio::test]
async fn commands_that_come_together_are_answered_in_order() {
    let server = Server::new();
    server.deliver("INBOX", b"A: 1\r\n\r\none").await;
    let mut client = server.connect().await;
    client
        .raw("a LOGIN bob secret\r\nb SELECT INBOX\r\nc FETCH 1 (UID RFC822.SIZE)\r\nd STORE 1 +FLAGS (\\Seen)\r\ne LOGOUT\r\n")
        .await;
    let all = client.rest().await;
    let order = [
        "a OK",
        "* 1 EXISTS",
        "b OK",
        "* 1 FETCH (UID 1 RFC822.SIZE 11)",
        "c OK",
        "* 1 FETCH (FLAGS (\\Seen \\Recent))",
        "d OK",
        "* BYE",
        "e OK",
    ];
    let places: Vec<_> = order.iter().map(|part| all.find(part)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{all}");
}
