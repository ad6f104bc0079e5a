//! Mail servers that others wrote, as they send to us.

mod exim;
mod opensmtpd;
mod postfix;

use std::process::{Command, Stdio};

use self::exim::{Exim, Manner};
pub(super) use self::opensmtpd::OpenSmtpd;
pub(super) use self::postfix::Postfix;
use super::{Letter, maildrop, senders, wait_for_mail, wait_for_mail_of};
use crate::dialogue::Dialogue;
use crate::message::{compare, is_copy};
use crate::node::{ALICE, Node, free_port};
use crate::program::{Faults, run, skip};
use crate::tap::{Tap, Target, messages};

/// Whether this system gives us a mount namespace; without one, says that something is skipped.
fn unshared(what: &str) -> Option<()> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "true"]).stderr(Stdio::null());
    if unshare.status().is_ok_and(|status| status.success()) {
        return Some(());
    }
    skip(what, "this system gives us no mount namespace");
    None
}

#[test]
fn exim_s_chunks_are_the_message_that_it_was_given() {
    let Some(exim) = Exim::find() else { return };
    let lmtp = free_port();
    let node = Node::start(&["--plaintext-auth", "--lmtp", &format!("127.0.0.1:{lmtp}")]);
    let mut faults = Faults::default();
    let mut sent = Vec::new();
    let ways = [
        ("smtp", node.port("smtp"), "  hosts_avoid_tls = *\n", None),
        ("smtp-with-starttls", node.port("smtp"), "  hosts_require_tls = *\n", None),
        ("submission", node.port("submission"), "  hosts_require_tls = *\n  hosts_require_auth = *\n", Some(ALICE)),
        ("submissions", node.port("submissions"), "  protocol = smtps\n  hosts_require_auth = *\n", Some(ALICE)),
        ("lmtp", lmtp, "  protocol = lmtp\n", None),
    ];
    for (name, port, transport, login) in ways {
        let letter = Letter::new(&node, &format!("exim-{name}"));
        let tap = Tap::new(Target::Tcp(([127, 0, 0, 1], port).into()));
        let manner = Manner { port: tap.port(), transport, login };
        let result = exim.send(letter.from, letter.to, &letter.content, manner);
        let said = tap.taken();
        if ["smtp", "lmtp"].contains(&name) {
            assert!(said.windows(5).any(|word| word == b"BDAT ") || result.is_err(), "{}", said.escape_ascii());
            let taken = messages(&said);
            assert!(taken.len() == 1 && taken[0].ends_with(&letter.content), "{}", said.escape_ascii());
        }
        faults.note(name, result);
        sent.push((name.to_owned(), letter.content));
    }
    faults.assert_none();
    wait_for_mail(&node, sent.len());
    compare(&maildrop(&node), &sent, is_copy).unwrap();
    node.stop();
}

/// Sends one message to Postfix, with parameters.
fn give(postfix: &Postfix, mail: &str, rcpts: &[&str], message: &str) {
    let mut smtp = Dialogue::tcp(postfix.address()).unwrap();
    smtp.reply().unwrap();
    smtp.smtp("EHLO first.example.net", "250").unwrap();
    smtp.smtp(&format!("MAIL FROM:{mail}"), "250").unwrap();
    for rcpt in rcpts {
        smtp.smtp(&format!("RCPT TO:{rcpt}"), "250").unwrap();
    }
    smtp.smtp("DATA", "354").unwrap();
    smtp.smtp(&format!("{message}\r\n."), "250").unwrap();
    smtp.smtp("QUIT", "221").unwrap();
}

#[test]
fn postfix_hands_mail_on_by_smtp() {
    let node = Node::start(&["--trusted-proxy=127.0.0.1"]);
    let settings = format!(
        "relayhost = [127.0.0.1]:{}\nsmtp_tls_security_level = may\nsmtp_send_xforward_command = yes\n",
        node.port("smtp")
    );
    let Some(postfix) = Postfix::start(&settings) else { return };
    let letter = Letter::new(&node, "postfix");
    if crate::program::find("python3").is_some() {
        run(&mut senders::smtplib(&letter, &postfix.address().to_string())).unwrap();
        wait_for_mail(&node, 1);
        let copies = maildrop(&node);
        compare(&copies, &[("postfix".to_owned(), letter.content)], is_copy).unwrap();
        // It is under TLS, tells where it has the message from, and is believed.
        let copy = String::from_utf8_lossy(&copies[0]).into_owned();
        let ours = copy.split("\r\nReceived: ").nth(1).unwrap();
        assert!(
            ours.starts_with("from client.example.net ([127.0.0.1])\r\n\t(before that: client.example.net ("),
            "{copy}"
        );
        assert!(ours.contains(" with ESMTP") && ours.contains("\r\n\t(TLSv1."), "{copy}");
    }

    // Reports are offered, so Postfix hands on what was asked for and keeps silent; the report is ours, with their name for it.
    let before = maildrop(&node).len();
    give(&postfix, "<alice@example.org> RET=HDRS ENVID=one", &["<bob@example.org> NOTIFY=SUCCESS,FAILURE"], "S: 1\r\n");
    wait_for_mail(&node, before + 1);
    let reports = wait_for_mail_of(&node, ALICE, 1);
    let report = String::from_utf8_lossy(&reports[0]).into_owned();
    assert!(report.starts_with("Return-Path: <>\r\n") && report.contains("\r\nAction: delivered\r\n"), "{report}");
    assert!(report.contains("\r\nReporting-MTA: dns; example.org\r\n"), "{report}");
    assert!(report.contains("\r\nOriginal-Envelope-Id: one\r\n") && reports.len() == 1, "{report}");

    // So are addresses beyond ASCII.
    give(&postfix, "<ren\u{e9}e@example.net> SMTPUTF8", &["<bob@example.org>"], "Subject: gr\u{fc}n\r\n");
    wait_for_mail(&node, before + 2);
    let copies = maildrop(&node);
    let returned = "Return-Path: <ren\u{e9}e@example.net>\r\n";
    let copy = copies.iter().find(|copy| copy.starts_with(returned.as_bytes())).unwrap();
    assert!(String::from_utf8_lossy(copy).contains(" with UTF8SMTPS id "), "{}", copy.escape_ascii());
    node.stop();
}

#[test]
fn postfix_hands_mail_on_by_lmtp() {
    let lmtp = free_port();
    let node = Node::start(&["--plaintext-auth", "--lmtp", &format!("127.0.0.1:{lmtp}")]);
    let tap = Tap::new(Target::Tcp(([127, 0, 0, 1], lmtp).into()));
    let Some(postfix) = Postfix::start(&format!("default_transport = lmtp:inet:127.0.0.1:{}\n", tap.port())) else {
        return;
    };
    give(&postfix, "<alice@example.org>", &["<bob@example.org>", "<nobody@example.org>"], "S: 1\r\n");
    wait_for_mail(&node, 1);
    let said = String::from_utf8(tap.taken()).unwrap();
    assert!(said.starts_with("LHLO client.example.net\r\n") && said.contains("\r\nDATA\r\n"), "{said}");
    postfix.wait_until_it_tells("550 5.1.1 no such mailbox here");
    node.stop();
}
