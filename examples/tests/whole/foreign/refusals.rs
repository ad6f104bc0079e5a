//! What clients must not achieve.

use std::process::Command;

use super::{Letter, Tls, curl, mailboxes, password_file, senders};
use crate::node::{ALICE, BOB, Node};
use crate::program::{find, outcome, python};

/// Services that the script talks to.
const SERVICES: [&str; 7] = ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"];

#[test]
fn python_gets_nowhere_with_wrong_passwords_without_tls_and_to_strangers() {
    if find("python3").is_none() {
        return;
    }
    let node = Node::start(&[]);
    let mut python = python("refusals.py");
    for service in SERVICES {
        python.args([format!("--{service}"), node.address(service).to_string()]);
    }
    python.arg("--cafile").arg(node.certificate());
    python.args(["--user", ALICE.0, "--password-file"]).arg(password_file(&node, ALICE));
    crate::program::run(&mut python).unwrap();
    node.stop();
}

/// The status with which a program ends that must not succeed.
fn refused(command: &mut Command) -> i32 {
    let output = outcome(command).unwrap();
    let status = output.status.code().unwrap();
    assert_ne!(status, 0, "{command:?} was not refused:\n{}", String::from_utf8_lossy(&output.stdout));
    status
}

#[test]
fn curl_is_refused_as_it_expects() {
    if find("curl").is_none() {
        return;
    }
    // As curl's manual calls them: login denied, and a command that failed.
    const LOGIN_DENIED: i32 = 67;
    const SEND_ERROR: i32 = 55;
    let node = Node::start(&[]);
    let letter = Letter::new(&node, "refused");
    let wrong = Some((BOB.0, ALICE.1));
    for service in ["imaps", "pop3s"] {
        let url = format!("{service}://127.0.0.1:{}/", node.port(service));
        assert_eq!(refused(curl(&node, Tls::AtOnce, wrong).arg(url)), LOGIN_DENIED, "{service}");
    }
    let submit = |login, to: &str| {
        let mut curl = curl(&node, Tls::AtOnce, login);
        curl.args(["--mail-from", letter.from, "--mail-rcpt", to, "--upload-file"]).arg(&letter.path);
        curl.arg(format!("smtps://127.0.0.1:{}", node.port("submissions")));
        refused(&mut curl)
    };
    assert_eq!(submit(wrong, BOB.0), LOGIN_DENIED);
    assert_eq!(submit(None, BOB.0), SEND_ERROR);
    assert_eq!(submit(Some(BOB), "stranger@example.net"), SEND_ERROR);
    node.stop();
}

#[test]
fn swaks_is_refused_as_it_expects() {
    if find("swaks").is_none() {
        return;
    }
    // As its manual calls them: no recipient was taken, and a login failed.
    const NO_RECIPIENT: i32 = 24;
    const LOGIN_FAILED: i32 = 28;
    let node = Node::start(&[]);
    let swaks = |service: &str, to: &str| {
        let mut swaks = Command::new("swaks");
        swaks.args(["--server", &node.address(service).to_string(), "--helo", "client.example.net"]);
        swaks.args(["--from", ALICE.0, "--to", to]);
        swaks
    };
    assert_eq!(refused(&mut swaks("smtp", "stranger@example.net")), NO_RECIPIENT);
    assert_eq!(refused(&mut swaks("smtp", "nobody@example.org")), NO_RECIPIENT);
    if senders::swaks_has_tls() {
        let mut login = swaks("submissions", BOB.0);
        login.args(["--tls-on-connect", "--auth", "PLAIN", "--auth-user", ALICE.0, "--auth-password", "wrong"]);
        assert_eq!(refused(&mut login), LOGIN_FAILED);
    }
    node.stop();
}

#[test]
fn mbsync_is_refused_with_a_wrong_password() {
    if find("mbsync").is_none() {
        return;
    }
    let node = Node::start(&[]);
    let folder = node.folder().join("near");
    std::fs::create_dir(&folder).unwrap();
    let rc = mailboxes::mbsyncrc(&node, Tls::AtOnce, (BOB.0, "wrong"), &folder, "Patterns *\n");
    refused(Command::new("mbsync").arg("-c").arg(rc).arg("all"));
    node.stop();
}
