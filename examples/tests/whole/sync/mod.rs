//! A 250 is said after the message is on the disk, and its name too: seen by the system calls of the server.

mod trace;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::dialogue::Dialogue;
use crate::node::{ALICE, BOB, PATIENCE, Site};
use crate::program::{find, outcome, skip};
use trace::{Call, parse};

/// Calls that change what a disk holds, and those that answer a client.
const TRACED: &str = "trace=openat,creat,mkdir,mkdirat,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,\
                      fdatasync,rename,renameat,renameat2,link,linkat";

/// Messages on each connection, and connections.
const MESSAGES: usize = 3;

/// What a client did: on the connection from this port it sent these messages, each with its own mark.
struct Sent {
    port: u16,
    marks: Vec<String>,
}

#[test]
fn a_250_follows_the_sync_of_the_message_and_of_its_name() {
    if find("strace").is_none() {
        return;
    }
    let site = Site::new(&[]);
    let trace = site.folder().join("trace");
    if let Err(why) = may_trace() {
        skip("the order of writes, syncs and answers", &why);
        return;
    }
    let lmtp = format!("--lmtp=127.0.0.1:{}", crate::node::free_port());
    let lmtp_address = lmtp.rsplit('=').next().unwrap().parse().unwrap();
    let trace_file = trace.display().to_string();
    let wrapper = ["strace", "-D", "-f", "-q", "-yy", "-s", "65536", "-o", &trace_file, "-e", TRACED];
    let node = site.with(&[&lmtp]).under(&wrapper).start();

    let smtp = send(node.address("smtp"), "EHLO", &[ALICE.0, BOB.0]);
    let local = send(lmtp_address, "LHLO", &[ALICE.0]);
    let data = fs::canonicalize(node.data()).unwrap().display().to_string();
    let pid = node.pid();
    let site = node.stop();
    let text = read_when_complete(&trace, pid);
    let calls = parse(&text);

    // The queue keeps what came by SMTP: whatever a delivery did in the meantime does not count.
    let mail = format!("{data}/mail/");
    for sent in &smtp {
        check(&calls, sent, |path| path.starts_with(&data) && !path.starts_with(&mail));
    }
    // LMTP hands straight to the mailbox.
    for sent in &local {
        check(&calls, sent, |path| path.starts_with(&mail));
    }
    drop(site);
}

/// Two connections at once, so that the server may sync for both together.
fn send(address: std::net::SocketAddr, hello: &str, recipients: &[&str]) -> Vec<Sent> {
    let send = |connection: usize| {
        let mut dialogue = Dialogue::tcp(address).unwrap();
        let port = dialogue.local_port();
        dialogue.reply().unwrap();
        dialogue.smtp(&format!("{hello} client.example.net"), "250").unwrap();
        let marks: Vec<_> = (0..MESSAGES).map(|number| format!("mark-{hello}-{connection}-{number}-mark")).collect();
        for mark in &marks {
            let message = format!("X-Mark: {mark}\r\n\r\n{}\r\n{mark}\r\n", "text ".repeat(150));
            dialogue.transaction("test@example.net", recipients, message.as_bytes()).unwrap();
            let verdict = dialogue.reply().unwrap();
            assert!(verdict.starts_with("250"), "{verdict}");
        }
        dialogue.smtp("QUIT", "221").unwrap();
        Sent { port, marks }
    };
    thread::scope(|scope| {
        let connections: Vec<_> = (0..2).map(|connection| scope.spawn(move || send(connection))).collect();
        connections.into_iter().map(|connection| connection.join().unwrap()).collect()
    })
}

/// Checks each message of a connection: where it was written, `counts`, and was all of it safe before the verdict?
fn check(calls: &[Call], sent: &Sent, counts: impl Fn(&str) -> bool) {
    let verdicts = verdicts(calls, sent.port);
    assert_eq!(verdicts.len(), sent.marks.len(), "verdicts on the connection from {}", sent.port);
    for (mark, verdict) in sent.marks.iter().zip(verdicts) {
        let before: Vec<_> = calls.iter().filter(|call| call.end < verdict.begin).collect();
        let writes: Vec<_> = before.iter().filter(|call| is_write(call) && holds(call, mark)).collect();
        let writes: Vec<_> = writes.into_iter().filter(|call| call.open(0).is_some_and(&counts)).collect();
        assert!(!writes.is_empty(), "{mark} was answered before it was written anywhere");
        for write in writes {
            let path = write.open(0).unwrap();
            assert!(write.result > 0, "{write:?}");
            assert!(
                before.iter().any(|call| is_sync(call) && call.open(0) == Some(path) && call.begin > write.end),
                "{mark} was answered before {path} was synced"
            );
            check_names(&before, path, mark);
        }
    }
}

/// Checks that each name the file had, and each folder made on the way to it, was synced before.
fn check_names(before: &[&Call], path: &str, mark: &str) {
    // From the last to the first: a file that was renamed had another name before.
    let mut names = vec![path.to_owned()];
    for call in before.iter().filter(|call| call.result == 0 && call.name.starts_with(['r', 'l'])) {
        if let [from, to] = &call.paths()[..]
            && names.contains(from)
        {
            names.push(to.clone());
        }
    }
    // Only its last name is where it will be looked for.
    let name = names.last().unwrap();
    let made = |path: &str| {
        before
            .iter()
            .rposition(|call| call.result >= 0 && makes(call) && call.paths().last().is_some_and(|made| made == path))
    };
    let mut made_something = false;
    let mut entry = Path::new(name);
    while let (Some(folder), Some(at)) = (entry.parent(), made(&entry.display().to_string())) {
        made_something = true;
        let folder_name = folder.display().to_string();
        assert!(
            before[at..]
                .iter()
                .any(|call| { is_sync(call) && call.open(0) == Some(&folder_name) && call.begin > before[at].end }),
            "{mark} was answered before the name {} was synced in its folder",
            entry.display()
        );
        entry = folder;
    }
    assert!(made_something, "nobody made {name}");
}

/// The verdicts that a connection was told: what follows each 354.
fn verdicts(calls: &[Call], port: u16) -> Vec<&Call> {
    let client = format!("->127.0.0.1:{port}");
    let mut answers = calls.iter().filter(|call| call.open(0).is_some_and(|socket| socket.ends_with(&client)));
    let mut verdicts = Vec::new();
    while answers.any(|call| call.text().starts_with(b"354 ")) {
        let verdict = answers.next().unwrap();
        assert!(verdict.text().starts_with(b"250 "), "{verdict:?}");
        verdicts.push(verdict);
    }
    verdicts
}

fn holds(call: &Call, mark: &str) -> bool {
    call.text().windows(mark.len()).any(|window| window == mark.as_bytes())
}

fn is_write(call: &Call) -> bool {
    matches!(call.name.as_str(), "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2")
}

fn is_sync(call: &Call) -> bool {
    matches!(call.name.as_str(), "fsync" | "fdatasync") && call.result == 0
}

/// Whether a call puts a name into a folder.
fn makes(call: &Call) -> bool {
    match call.name.as_str() {
        "openat" => call.has_word("O_CREAT"),
        "creat" | "mkdir" | "mkdirat" | "rename" | "renameat" | "renameat2" | "link" | "linkat" => true,
        _ => false,
    }
}

/// Whether this machine lets one process look at another.
fn may_trace() -> Result<(), String> {
    let output = outcome(Command::new("strace").args(["-f", "-o", "/dev/null", "true"]))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("strace is not allowed here: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// The tracer ends after the server, by itself.
fn read_when_complete(trace: &Path, pid: u32) -> String {
    let pid = pid.to_string();
    let end = Instant::now() + PATIENCE;
    let is_last = |line: &str| {
        line.split_once(' ')
            .is_some_and(|(thread, rest)| thread == pid && rest.trim_start().starts_with("+++ exited with "))
    };
    loop {
        let text = String::from_utf8_lossy(&fs::read(trace).unwrap()).into_owned();
        if text.lines().any(is_last) {
            return text;
        }
        assert!(Instant::now() < end, "the trace has no end");
        thread::sleep(Duration::from_millis(20));
    }
}
