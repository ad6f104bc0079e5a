//! Clients that send.

use std::path::Path;
use std::process::Command;

use super::{Letter, Tls, curl, file, password_file};
use crate::message::unix_lines;
use crate::node::{ALICE, Node};
use crate::program::{Faults, find, outcome, python, run, skip};
use crate::tap::{Tap, Target, messages};

/// A way for mail into the server.
struct Way {
    name: &'static str,
    service: &'static str,
    tls: Tls,
    login: Option<(&'static str, &'static str)>,
}

const WAYS: [Way; 4] = [
    Way { name: "smtp", service: "smtp", tls: Tls::Never, login: None },
    Way { name: "open-submission", service: "submission", tls: Tls::Never, login: Some(ALICE) },
    Way { name: "submission", service: "submission", tls: Tls::WhenAsked, login: Some(ALICE) },
    Way { name: "submissions", service: "submissions", tls: Tls::AtOnce, login: Some(ALICE) },
];

type Send = fn(&Node, port: u16, &Way, &Letter) -> Result<(), String>;
type ByLmtp = fn(&Node, &Letter) -> Command;

/// Sends by all clients and on all ways. What went over the wire, by sender; where it can be listened to, it must be
/// what the client was given.
pub(super) fn send_all(node: &Node, faults: &mut Faults) -> Vec<(String, Vec<u8>)> {
    let mut sent = Vec::new();
    let senders: [(&str, Send); 3] = [("curl", by_curl), ("swaks", by_swaks), ("python3", by_smtplib)];
    for (client, send) in senders {
        if find(client).is_none() {
            continue;
        }
        for way in &WAYS {
            if client == "swaks" && way.tls != Tls::Never && !swaks_has_tls() {
                continue;
            }
            let name = format!("{client}-{}", way.name);
            let letter = Letter::new(node, &name);
            match give(node, way, &letter, send) {
                Ok(()) => sent.push((name, letter.content)),
                Err(fault) => faults.note(name, Err(fault)),
            }
        }
    }
    let local: [(&str, ByLmtp); 2] = [("swaks", swaks_lmtp), ("python3", smtplib_lmtp)];
    for (client, command) in local {
        if find(client).is_none() {
            continue;
        }
        let name = format!("{client}-lmtp");
        let letter = Letter::new(node, &name);
        match run(&mut command(node, &letter)) {
            Ok(_) => sent.push((name, letter.content)),
            Err(fault) => faults.note(name, Err(fault)),
        }
    }
    if let Some(program) = find("smtp-source") {
        for (name, target, protocol) in [
            ("smtp-source", Target::Tcp(node.address("smtp")), None),
            ("smtp-source-lmtp", Target::Unix(node.lmtp()), Some("-L")),
        ] {
            match by_smtp_source(&program, target, protocol) {
                Ok(messages) => sent.extend(messages.into_iter().map(|message| (name.to_owned(), message))),
                Err(fault) => faults.note(name, Err(fault)),
            }
        }
    }
    sent
}

/// Sends on a way, with an ear on the wire where TLS does not cover it.
fn give(node: &Node, way: &Way, letter: &Letter, send: Send) -> Result<(), String> {
    if way.tls != Tls::Never {
        return send(node, node.port(way.service), way, letter);
    }
    let tap = Tap::new(Target::Tcp(node.address(way.service)));
    let result = send(node, tap.port(), way, letter);
    let taken = messages(&tap.taken());
    result?;
    if taken == std::slice::from_ref(&letter.content) {
        return Ok(());
    }
    let taken: Vec<_> = taken.iter().map(|message| message.escape_ascii().to_string()).collect();
    Err(format!("the client changed the message on its way: {taken:#?}"))
}

fn by_curl(node: &Node, port: u16, way: &Way, letter: &Letter) -> Result<(), String> {
    let scheme = if way.tls == Tls::AtOnce { "smtps" } else { "smtp" };
    let mut curl = curl(node, way.tls, way.login);
    curl.args(["--mail-from", letter.from, "--mail-rcpt", letter.to, "--upload-file"]).arg(&letter.path);
    run(curl.arg(format!("{scheme}://127.0.0.1:{port}/client.example.net"))).map(drop)
}

fn by_swaks(node: &Node, port: u16, way: &Way, letter: &Letter) -> Result<(), String> {
    let mut swaks = swaks(node, letter);
    swaks.args(["--server", &format!("127.0.0.1:{port}"), "--pipeline"]);
    match way.tls {
        Tls::Never => &mut swaks,
        Tls::WhenAsked => swaks.arg("--tls"),
        Tls::AtOnce => swaks.arg("--tls-on-connect"),
    };
    if way.tls != Tls::Never {
        swaks.arg("--tls-verify").arg("--tls-ca-path").arg(node.certificate());
    }
    if let Some((address, password)) = way.login {
        swaks.args(["--auth", "PLAIN", "--auth-user", address, "--auth-password", password]);
    }
    run(&mut swaks).map(drop)
}

/// Its TLS is a module of Perl that Debian only recommends.
pub(super) fn swaks_has_tls() -> bool {
    let support = outcome(Command::new("swaks").arg("--support")).unwrap().stdout;
    let has = String::from_utf8_lossy(&support).contains("TLS supported");
    if !has {
        skip("swaks with TLS", "Perl's Net::SSLeay is not installed");
    }
    has
}

fn swaks_lmtp(node: &Node, letter: &Letter) -> Command {
    let mut swaks = swaks(node, letter);
    swaks.args(["--protocol", "LMTP", "--socket"]).arg(node.lmtp());
    swaks
}

fn swaks(node: &Node, letter: &Letter) -> Command {
    // It ends lines itself, and the last one too.
    let mut text = unix_lines(&letter.content);
    text.pop();
    let name = letter.path.file_name().unwrap().to_string_lossy();
    let text = file(node, &format!("{name}.swaks"), &text);
    let mut swaks = Command::new("swaks");
    swaks.args(["--helo", "client.example.net", "--from", letter.from, "--to", letter.to]);
    swaks.arg("--data").arg(format!("@{}", text.display()));
    swaks
}

fn by_smtplib(node: &Node, port: u16, way: &Way, letter: &Letter) -> Result<(), String> {
    let mut python = smtplib(letter, &format!("127.0.0.1:{port}"));
    python.args(["--tls", way.tls.word(), "--cafile"]).arg(node.certificate());
    if let Some((address, _)) = way.login {
        python.args(["--user", address, "--password-file"]).arg(password_file(node, ALICE));
    }
    run(&mut python).map(drop)
}

fn smtplib_lmtp(node: &Node, letter: &Letter) -> Command {
    smtplib(letter, &node.lmtp().display().to_string())
}

pub(super) fn smtplib(letter: &Letter, server: &str) -> Command {
    let mut python = python("send.py");
    python.args(["--server", server, "--sender", letter.from, "--recipient", letter.to]).arg(&letter.path);
    python
}

/// It writes its messages itself: what it sent is what the ear took down.
fn by_smtp_source(program: &Path, target: Target, protocol: Option<&str>) -> Result<Vec<Vec<u8>>, String> {
    let tap = Tap::new(target);
    let mut source = Command::new(program);
    source.args(protocol).args(["-4", "-m", "1", "-l", "6000", "-M", "client.example.net"]);
    source.args(["-f", ALICE.0, "-t", crate::node::BOB.0, &format!("127.0.0.1:{}", tap.port())]);
    let result = run(&mut source);
    let taken = messages(&tap.taken());
    result?;
    if taken.len() == 1 && taken[0].len() >= 6000 {
        return Ok(taken);
    }
    Err(format!("it sent {} messages", taken.len()))
}
