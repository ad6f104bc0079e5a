//! Mail for a name that stands for several, here and elsewhere.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::super::{maildrop_of, wait_for_mail_of};
use super::CAROL;
use crate::dialogue::Dialogue;
use crate::mailctl;
use crate::node::{ALICE, BOB, Node, PATIENCE, Site, free_port};
use crate::program::run;

const CAROLS: (&str, &str) = (CAROL, "c");

/// A name server that knows no name, so that there is an answer to what sealing asks. Gives its address.
fn name_server() -> String {
    let socket = UdpSocket::bind(("127.0.0.1", free_port())).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            // RFC 1035 §4.1.1: the question comes back as a response, with recursion available and NXDOMAIN. Behind the
            // question there is nothing, not even what the client added.
            let mut answer = query[..length].to_vec();
            let end = 12 + answer[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
            answer.truncate(end);
            (answer[2], answer[3]) = (answer[2] | 0x80, 0x83);
            answer[6..12].fill(0);
            socket.send_to(&answer, client).unwrap();
        }
    });
    address
}

fn said(node: &Node, recipients: &[&str], subject: &str) {
    let mut smtp = Dialogue::tcp(node.address("smtp")).unwrap();
    smtp.reply().unwrap();
    smtp.smtp("EHLO client.example.com", "250").unwrap();
    let message = format!("From: Dan <dan@example.com>\r\nSubject: {subject}\r\n\r\nHello.\r\n");
    smtp.transaction("dan@example.com", recipients, message.as_bytes()).unwrap();
    let verdict = smtp.reply().unwrap();
    assert!(verdict.starts_with("250"), "{verdict}");
}

/// Writes the file, and waits until this address is taken.
fn change(node: &Node, aliases: &str, address: &str) {
    fs::write(node.data().join("aliases"), aliases).unwrap();
    kill_process(Pid::from_raw(node.pid().try_into().unwrap()).unwrap(), Signal::HUP).unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        let mut smtp = Dialogue::tcp(node.address("smtp")).unwrap();
        smtp.reply().unwrap();
        smtp.smtp("EHLO client.example.com", "250").unwrap();
        smtp.smtp("MAIL FROM:<>", "250").unwrap();
        if smtp.smtp(&format!("RCPT TO:<{address}>"), "250").is_ok() {
            return;
        }
        assert!(Instant::now() < end, "{address} is not taken");
        thread::sleep(Duration::from_millis(20));
    }
}

fn text(message: &[u8]) -> String {
    String::from_utf8_lossy(message).replace("\r\n\t", " ")
}

#[test]
fn each_for_whom_a_name_stands_gets_one_copy_and_who_is_elsewhere_a_sealed_one() {
    let far = Node::start(&["--plaintext-auth", "--user=carol@example.net:c"]);
    let site = Site::new(&["--plaintext-auth", "--dnssec=off", "--relay", &far.address("smtp").to_string()]);
    let key = site.folder().join("key.pem").display().to_string();
    run(Command::new(env!("CARGO_BIN_EXE_mailctl")).args(["dkim", "new", "example.org", "s", &key])).unwrap();
    fs::create_dir(site.data()).unwrap();
    fs::write(site.data().join("aliases"), "team: alice, others\nothers: bob,\n carol@example.net\n").unwrap();
    let node = site.with(&[&format!("--dkim=example.org:s:{key}"), "--name-server", &name_server()]).start();

    said(&node, &["Team@example.org", BOB.0], "to all");
    let sealed = wait_for_mail_of(&far, CAROLS, 1);
    mailctl::wait_until_empty(&node);
    let (alices, bobs) = (maildrop_of(&node, ALICE), maildrop_of(&node, BOB));
    assert_eq!((alices.len(), bobs.len(), sealed.len()), (1, 1, 1));
    for copy in [&alices[0], &bobs[0], &sealed[0]] {
        // RFC 5321 §3.9.1: the sender stays the one who sent it.
        assert!(text(copy).starts_with("Return-Path: <dan@example.com>\r\n"), "{}", text(copy));
    }
    let sealed = text(&sealed[0]);
    assert!(sealed.contains("\r\nARC-Seal: i=1; ") && sealed.contains("; d=example.org; s=s;"), "{sealed}");
    assert!(sealed.contains("\r\nARC-Authentication-Results: i=1; example.org; spf="), "{sealed}");

    change(&node, "team: alice\n@example.org: bob\n", "whoever@example.org");
    said(&node, &["team@example.org"], "to alice");
    said(&node, &["others@example.org"], "to the rest");
    mailctl::wait_until_empty(&node);
    let subject = |copies: &[Vec<u8>]| text(copies.last().unwrap()).contains("Subject: to the rest");
    let (alices, bobs) = (maildrop_of(&node, ALICE), maildrop_of(&node, BOB));
    assert_eq!((alices.len(), bobs.len(), maildrop_of(&far, CAROLS).len()), (2, 2, 1));
    assert!(subject(&bobs) && !subject(&alices));
    node.stop();
    far.stop();
}
