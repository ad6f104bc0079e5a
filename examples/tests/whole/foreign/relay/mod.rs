//! Mail of our users on its way out, to the next host that others wrote.

mod aliases;
mod operator;
mod reports;
mod signed;
mod sink;

use std::net::SocketAddr;

use self::sink::SmtpSink;
use super::{file, wait_for_mail_of};
use crate::dialogue::Dialogue;
use crate::node::{ALICE, Node};
use crate::program::{find, python, run};

/// Somebody elsewhere.
const CAROL: &str = "carol@example.net";

/// A server that gives what leaves to this host.
fn start_with_relay(relay: SocketAddr, arguments: &[&str]) -> Node {
    Node::start(&[&["--plaintext-auth", "--relay", &relay.to_string(), "--dnssec=off"], arguments].concat())
}

/// Hands in a message of alice's, as her program would.
fn submit(node: &Node, parameters: &str, recipients: &[&str], message: &[u8]) {
    let mut smtp = Dialogue::tcp(node.address("submission")).unwrap();
    smtp.submission_login(ALICE).unwrap();
    smtp.smtp(&format!("MAIL FROM:<{}>{parameters}", ALICE.0), "250").unwrap();
    for recipient in recipients {
        smtp.smtp(&format!("RCPT TO:{recipient}"), "250").unwrap();
    }
    smtp.smtp("DATA", "354").unwrap();
    smtp.send_body(message).unwrap();
    let verdict = smtp.reply().unwrap();
    assert!(verdict.starts_with("250"), "{verdict}");
    smtp.smtp("QUIT", "221").unwrap();
}

/// A message of alice's, of two lines.
fn letter(subject: &str) -> Vec<u8> {
    format!("From: Alice <{}>\r\nTo: <{CAROL}>\r\nSubject: {subject}\r\n\r\none\r\ntwo\r\n", ALICE.0).into_bytes()
}

/// What Python's email package finds in the only message of alice's, in lines; nothing without Python.
fn report(node: &Node) -> Option<Vec<String>> {
    let mail = wait_for_mail_of(node, ALICE, 1);
    assert_eq!(mail.len(), 1, "one report is enough: {mail:#?}");
    parsed(node, &mail[0])
}

/// The same of this message.
fn parsed(node: &Node, report: &[u8]) -> Option<Vec<String>> {
    find("python3")?;
    let path = file(node, "report.eml", report);
    let printed = run(python("report.py").arg(path)).unwrap();
    Some(String::from_utf8(printed).unwrap().lines().map(str::to_owned).collect())
}

/// Asserts that lines begin so, in this order, whatever stands between them.
fn assert_has(lines: &[String], begins: &[&str]) {
    let mut rest = lines.iter();
    for begin in begins {
        assert!(rest.any(|line| line.starts_with(begin)), "no {begin:?}, or not in its place: {lines:#?}");
    }
}
