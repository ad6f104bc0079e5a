//! Clients that say what they are told: Python's modules and curl.

use std::process::Command;

use super::{Letter, Tls, curl, password_file};
use crate::node::{BOB, Node};
use crate::program::{find, python, run};

#[test]
fn imaplib_keeps_order_and_is_told_what_others_do() {
    if find("python3").is_none() {
        return;
    }
    let node = Node::start(&[]);
    let mut python = python("mailboxes.py");
    python.args([&node.address("imap").to_string(), "--tls", "when-asked", "--cafile"]).arg(node.certificate());
    python.args(["--user", BOB.0, "--password-file"]).arg(password_file(&node, BOB));
    run(python.args(["--smtp", &node.address("smtp").to_string()])).unwrap();
    node.stop();
}

/// What curl prints of the answers to a command of IMAP, in a mailbox or, without one, in none.
fn imap(node: &Node, mailbox: &str, command: &str) -> String {
    let url = format!("imaps://127.0.0.1:{}/{mailbox}", node.port("imaps"));
    let printed = run(curl(node, Tls::AtOnce, Some(BOB)).arg(url).args(["--request", command])).unwrap();
    String::from_utf8(printed).unwrap().trim_end().to_owned()
}

fn append(node: &Node, mailbox: &str, letter: &Letter) {
    let url = format!("imaps://127.0.0.1:{}/{mailbox}", node.port("imaps"));
    run(curl(node, Tls::AtOnce, Some(BOB)).arg("--upload-file").arg(&letter.path).arg(url)).unwrap();
}

#[test]
fn curl_keeps_order_by_imap() {
    if find("curl").is_none() {
        return;
    }
    let node = Node::start(&[]);
    let letter = Letter::new(&node, "appended");
    for _ in 0..3 {
        append(&node, "INBOX", &letter);
    }
    assert_eq!(imap(&node, "INBOX", "SEARCH ALL"), "* SEARCH 1 2 3");
    imap(&node, "INBOX", "STORE 1 +FLAGS.SILENT (\\Flagged)");
    assert_eq!(imap(&node, "INBOX", "SEARCH FLAGGED"), "* SEARCH 1");
    imap(&node, "", "CREATE Kept");
    imap(&node, "INBOX", "COPY 1 Kept");
    imap(&node, "INBOX", "MOVE 2 Kept");
    assert_eq!(imap(&node, "INBOX", "UID SEARCH ALL"), "* SEARCH 1 3");
    imap(&node, "", "RENAME Kept Archive");
    assert_eq!(imap(&node, "Archive", "SEARCH FLAGGED"), "* SEARCH 1");
    let url = format!("imaps://127.0.0.1:{}/Archive;MAILINDEX=2", node.port("imaps"));
    let moved = run(curl(&node, Tls::AtOnce, Some(BOB)).arg(url)).unwrap();
    assert_eq!(moved.escape_ascii().to_string(), letter.content.escape_ascii().to_string());
    imap(&node, "INBOX", "STORE 1:* +FLAGS (\\Deleted)");
    imap(&node, "INBOX", "EXPUNGE");
    assert_eq!(imap(&node, "INBOX", "SEARCH ALL"), "* SEARCH");
    imap(&node, "", "DELETE Archive");
    assert!(!imap(&node, "", "LIST \"\" *").contains("Archive"));
    node.stop();
}

#[test]
fn curl_deletes_by_pop3() {
    if find("curl").is_none() {
        return;
    }
    let node = Node::start(&[]);
    let letter = Letter::new(&node, "deleted");
    append(&node, "INBOX", &letter);
    append(&node, "INBOX", &letter);
    let maildrop = format!("pop3s://127.0.0.1:{}/", node.port("pop3s"));
    let pop3 = |request: &str| -> Command {
        let mut curl = curl(&node, Tls::AtOnce, Some(BOB));
        curl.args([&maildrop, "--head", "--request", request]);
        curl
    };
    run(&mut pop3("DELE 1")).unwrap();
    assert_eq!(imap(&node, "INBOX", "UID SEARCH ALL"), "* SEARCH 2");
    // There is no second one any more.
    run(&mut pop3("DELE 2")).unwrap_err();
    assert_eq!(imap(&node, "INBOX", "UID SEARCH ALL"), "* SEARCH 2");
    node.stop();
}
