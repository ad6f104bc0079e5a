//! Clients that speak for others, to a server that trusts them and to one that does not.

use std::process::Command;

use super::{password_file, wait_for_mail_of};
use crate::node::{ALICE, BOB, Node};
use crate::program::{find, outcome, python, run};

fn swaks(node: &Node, service: &str) -> Command {
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", &node.address(service).to_string(), "--helo", "proxy.example.net"]);
    swaks.args(["--from", ALICE.0, "--to", BOB.0, "--body", "hello", "--xclient-addr", "203.0.113.5"]);
    swaks.args(["--xclient-name", "dns.example.net", "--xclient-helo", "client.example.net"]);
    swaks
}

#[test]
fn swaks_speaks_for_another_client() {
    if find("swaks").is_none() {
        return;
    }
    let node = Node::start(&["--trusted-proxy", "127.0.0.0/8"]);
    run(&mut swaks(&node, "smtp")).unwrap();
    // Who has logged in at the proxy needs no password here; who has not, or is not known, does.
    run(swaks(&node, "submission").args(["--xclient-login", ALICE.0])).unwrap();
    for login in ["carol@example.org", "[UNAVAILABLE]"] {
        let refused = outcome(swaks(&node, "submission").args(["--xclient-login", login])).unwrap();
        assert!(!refused.status.success(), "{login}: {}", String::from_utf8_lossy(&refused.stdout));
    }
    for copy in wait_for_mail_of(&node, BOB, 2) {
        let copy = String::from_utf8(copy).unwrap();
        assert!(copy.contains("\r\nReceived: from client.example.net (dns.example.net [203.0.113.5])\r\n"), "{copy}");
    }
    node.stop();
}

#[test]
fn swaks_is_not_believed_where_nobody_trusts_it() {
    // As its manual calls it: XCLIENT is wanted, and not offered.
    const NO_XCLIENT: i32 = 33;
    if find("swaks").is_none() {
        return;
    }
    for arguments in [&["--plaintext-auth"][..], &["--trusted-proxy", "192.0.2.1", "--plaintext-auth"]] {
        let node = Node::start(arguments);
        for service in ["smtp", "submission"] {
            let refused = outcome(&mut swaks(&node, service)).unwrap();
            assert_eq!(refused.status.code(), Some(NO_XCLIENT), "{}", String::from_utf8_lossy(&refused.stdout));
        }
        node.stop();
    }
}

#[test]
fn what_a_proxy_said_before_tls_is_forgotten() {
    if find("python3").is_none() {
        return;
    }
    let node = Node::start(&["--trusted-proxy", "127.0.0.1"]);
    let mut python = python("proxy.py");
    python.args([&node.address("submission").to_string(), "--tls", "when-asked", "--cafile"]).arg(node.certificate());
    python.args(["--user", ALICE.0, "--password-file"]).arg(password_file(&node, ALICE));
    run(python.args(["--recipient", BOB.0])).unwrap();
    let copy = String::from_utf8(wait_for_mail_of(&node, BOB, 1).remove(0)).unwrap();
    assert!(copy.contains("\r\nReceived: from second.example.net ([127.0.0.1])\r\n"), "{copy}");
    node.stop();
}
