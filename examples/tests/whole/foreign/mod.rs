//! Clients that others wrote, and the mail that they send, read and sort.

mod commands;
mod mailboxes;
mod mta;
mod pop3;
mod proxies;
mod readers;
mod refusals;
mod relay;
mod senders;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::dialogue::Dialogue;
use crate::message::{compare, is_copy};
use crate::node::{ALICE, BOB, Node, PATIENCE};
use crate::program::Faults;

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    Never,
    /// STARTTLS or STLS, and nothing without it.
    WhenAsked,
    AtOnce,
}

impl Tls {
    const ALL: [Self; 3] = [Self::Never, Self::WhenAsked, Self::AtOnce];

    /// How the Python scripts call it.
    fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::WhenAsked => "when-asked",
            Self::AtOnce => "at-once",
        }
    }

    /// Where a protocol is served so.
    fn service(self, protocol: &str) -> String {
        match self {
            Self::Never | Self::WhenAsked => protocol.to_owned(),
            Self::AtOnce => format!("{protocol}s"),
        }
    }
}

/// A message on its way: what is sent, in a file as it goes over the wire.
struct Letter {
    content: Vec<u8>,
    path: PathBuf,
    from: &'static str,
    to: &'static str,
}

impl Letter {
    /// The awkward message, from alice to bob.
    fn new(node: &Node, id: &str) -> Self {
        let (from, to) = (ALICE.0, BOB.0);
        let content = crate::message::awkward(id, from, to);
        Self { path: file(node, &format!("{id}.eml"), &content), content, from, to }
    }
}

/// A file in the test's folder.
fn file(node: &Node, name: &str, content: &[u8]) -> PathBuf {
    file_in(node.folder(), name, content)
}

fn file_in(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// A file that holds a user's password, for programs that want it so.
fn password_file(node: &Node, (address, password): (&str, &str)) -> PathBuf {
    file(node, &format!("password.{address}"), password.as_bytes())
}

/// curl, with the server's certificate and a user.
fn curl(node: &Node, tls: Tls, login: Option<(&str, &str)>) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--disable", "--max-time", "50", "--cacert"]).arg(node.certificate());
    if tls != Tls::Never {
        curl.arg("--ssl-reqd");
    }
    if let Some((address, password)) = login {
        curl.args(["--user", &format!("{address}:{password}")]);
    }
    curl
}

/// Everything in bob's INBOX.
fn maildrop(node: &Node) -> Vec<Vec<u8>> {
    maildrop_of(node, BOB)
}

/// Everything in a user's INBOX, as POP3 gives it without TLS.
fn maildrop_of(node: &Node, user: (&str, &str)) -> Vec<Vec<u8>> {
    let mut pop3 = Dialogue::tcp(node.address("pop3")).unwrap();
    pop3.pop3_login(user).unwrap();
    let stat = pop3.pop3("STAT").unwrap();
    let count: usize = stat.split(' ').nth(1).unwrap().parse().unwrap();
    let copies = (1..=count)
        .map(|number| {
            pop3.pop3(&format!("RETR {number}")).unwrap();
            pop3.pop3_body().unwrap()
        })
        .collect();
    pop3.pop3("QUIT").unwrap();
    copies
}

/// Waits until this many messages are in bob's INBOX.
fn wait_for_mail(node: &Node, count: usize) {
    wait_for_mail_of(node, BOB, count);
}

/// Waits until this many messages are in a user's INBOX, and gives them.
fn wait_for_mail_of(node: &Node, user: (&str, &str), count: usize) -> Vec<Vec<u8>> {
    let end = Instant::now() + PATIENCE;
    loop {
        let copies = maildrop_of(node, user);
        let here = copies.len();
        if here >= count {
            return copies;
        }
        assert!(Instant::now() < end, "{here} messages arrived, of {count}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The regular files in a folder, those in folders below it included.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The acceptance test of the whole house.
#[test]
fn what_each_client_sends_every_client_reads_byte_for_byte() {
    let node = Node::start(&["--plaintext-auth"]);
    let mut faults = Faults::default();
    let sent = senders::send_all(&node, &mut faults);
    wait_for_mail(&node, sent.len());
    faults.note("POP3 by hand", compare(&maildrop(&node), &sent, is_copy));
    readers::read_all(&node, &sent, &mut faults);
    faults.assert_none();
    node.stop();
}
