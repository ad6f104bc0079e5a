//! What clients remember of a mailbox is true after a restart: numbers, flags, names.

use crate::dialogue::Dialogue;
use crate::node::{BOB, Node};
use crate::post;

#[test]
fn numbers_and_flags_survive_restarts() {
    let node = Node::start(&["--plaintext-auth"]);
    for number in 0..4 {
        post::by_lmtp(&node, BOB, &format!("Subject: {number}\r\n\r\ntext\r\n"));
    }
    let mut imap = session(&node);
    imap.imap("CREATE Work/Done").unwrap();
    imap.imap("SUBSCRIBE Work/Done").unwrap();
    imap.imap("SELECT INBOX").unwrap();
    imap.imap("STORE 1 +FLAGS (\\Flagged $Forwarded)").unwrap();
    imap.imap("COPY 1:2 Work/Done").unwrap();
    imap.imap("STORE 3 +FLAGS (\\Deleted)").unwrap();
    imap.imap("EXPUNGE").unwrap();
    imap.imap("LOGOUT").unwrap();

    let before = remembered(&node);
    let node = node.stop().start();
    assert_eq!(remembered(&node), before, "after it was stopped");
    let node = node.kill().start();
    assert_eq!(remembered(&node), before, "after it was killed");

    // A number is never given again.
    post::by_lmtp(&node, BOB, "Subject: later\r\n\r\ntext\r\n");
    let mut imap = session(&node);
    imap.imap("EXAMINE INBOX").unwrap();
    assert_eq!(imap.imap("UID SEARCH ALL").unwrap(), ["* SEARCH 1 2 4 5"]);
    node.stop();
}

fn session(node: &Node) -> Dialogue {
    let mut imap = Dialogue::tcp(node.address("imap")).unwrap();
    imap.imap_login(BOB).unwrap();
    imap
}

/// All that clients keep.
fn remembered(node: &Node) -> Vec<String> {
    let mut imap = session(node);
    let mut remembered = imap.imap("LIST \"\" *").unwrap();
    remembered.extend(imap.imap("LSUB \"\" *").unwrap());
    remembered.sort();
    for mailbox in ["INBOX", "Work/Done"] {
        let status = format!("STATUS {mailbox} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)");
        remembered.extend(imap.imap(&status).unwrap());
        imap.imap(&format!("EXAMINE {mailbox}")).unwrap();
        let all = imap.imap("UID FETCH 1:* (FLAGS RFC822.SIZE INTERNALDATE)").unwrap();
        // \Recent is for one session only.
        remembered.extend(all.iter().map(|line| line.replace(" \\Recent", "").replace("\\Recent", "")));
    }
    imap.imap("LOGOUT").unwrap();

    let mut pop3 = Dialogue::tcp(node.address("pop3")).unwrap();
    pop3.pop3_login(BOB).unwrap();
    pop3.pop3("UIDL").unwrap();
    remembered.push(String::from_utf8(pop3.pop3_body().unwrap()).unwrap());
    pop3.pop3("QUIT").unwrap();
    remembered
}
