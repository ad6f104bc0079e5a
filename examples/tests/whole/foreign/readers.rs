//! Clients that read. None of them changes anything: all see the same mailbox.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::mailboxes::{mbsyncrc, mutt};
use super::{Tls, curl, files_below, password_file};
use crate::message::{compare, is_copy, is_kept_copy};
use crate::node::{BOB, Node};
use crate::program::{Faults, find, python, run};

type Copies = Result<Vec<Vec<u8>>, String>;
type Same = fn(&[u8], &[u8]) -> bool;

/// How a client reads bob's INBOX.
struct Reader {
    program: &'static str,
    protocol: &'static str,
    read: fn(&Node, Tls) -> Copies,
    same: Same,
}

const READERS: [Reader; 6] = [
    Reader { program: "curl", protocol: "imap", read: imap_by_curl, same: is_copy },
    Reader { program: "curl", protocol: "pop3", read: pop3_by_curl, same: is_copy },
    Reader { program: "python3", protocol: "imap", read: |node, tls| by_python("imap", node, tls), same: is_copy },
    Reader { program: "python3", protocol: "pop3", read: |node, tls| by_python("pop3", node, tls), same: is_copy },
    Reader { program: "mbsync", protocol: "imap", read: by_mbsync, same: is_kept_copy },
    Reader { program: "mutt", protocol: "imap", read: by_mutt, same: is_kept_copy },
];

/// Reads by all clients, and on all ways, what must be `sent`.
pub(super) fn read_all(node: &Node, sent: &[(String, Vec<u8>)], faults: &mut Faults) {
    for Reader { program, protocol, read, same } in READERS {
        if find(program).is_none() || (program == "mutt" && find("script").is_none()) {
            continue;
        }
        for tls in Tls::ALL {
            let result = read(node, tls).and_then(|copies| compare(&copies, sent, same));
            faults.note(format!("{program} reads by {protocol}, TLS {}", tls.word()), result);
        }
    }
}

fn imap_by_curl(node: &Node, tls: Tls) -> Copies {
    let service = tls.service("imap");
    let inbox = format!("{service}://127.0.0.1:{}/INBOX", node.port(&service));
    let found = run(curl(node, tls, Some(BOB)).arg(&inbox).args(["--request", "UID SEARCH ALL"]))?;
    let found = String::from_utf8(found).map_err(|error| error.to_string())?;
    let uids = found.trim_end().strip_prefix("* SEARCH").ok_or_else(|| format!("not a SEARCH: {found}"))?;
    let uids = uids.split_whitespace();
    uids.map(|uid| run(curl(node, tls, Some(BOB)).arg(format!("{inbox};UID={uid}")))).collect()
}

fn pop3_by_curl(node: &Node, tls: Tls) -> Copies {
    let service = tls.service("pop3");
    let maildrop = format!("{service}://127.0.0.1:{}/", node.port(&service));
    let list = run(curl(node, tls, Some(BOB)).arg(&maildrop))?;
    let numbers = 1..=list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    numbers.map(|number| run(curl(node, tls, Some(BOB)).arg(format!("{maildrop}{number}")))).collect()
}

fn by_python(protocol: &str, node: &Node, tls: Tls) -> Copies {
    let folder = folder(node, &format!("python-{protocol}-{}", tls.word()));
    let mut python = python("read.py");
    python.args([protocol, &format!("127.0.0.1:{}", node.port(&tls.service(protocol)))]);
    python.args(["--tls", tls.word(), "--cafile"]).arg(node.certificate());
    python.args(["--user", BOB.0, "--password-file"]).arg(password_file(node, BOB)).arg(&folder);
    run(&mut python)?;
    Ok(copies(&folder))
}

fn by_mbsync(node: &Node, tls: Tls) -> Copies {
    let folder = folder(node, &format!("mbsync-{}", tls.word()));
    let rc = mbsyncrc(node, tls, BOB, &folder, "Patterns INBOX\nCreate Near\nSync Pull\n");
    run(Command::new("mbsync").arg("-c").arg(rc).arg("all"))?;
    Ok(copies(&folder.join("INBOX/new")).into_iter().chain(copies(&folder.join("INBOX/cur"))).collect())
}

fn by_mutt(node: &Node, tls: Tls) -> Copies {
    let folder = node.folder().join(format!("mutt-{}", tls.word()));
    let keys = format!("<tag-pattern>~A<enter><tag-prefix><copy-message>{}<enter><quit>", folder.display());
    run(&mut mutt(node, tls, node.port(&tls.service("imap")), "", &keys))?;
    Ok(copies(&folder.join("new")).into_iter().chain(copies(&folder.join("cur"))).collect())
}

fn folder(node: &Node, name: &str) -> std::path::PathBuf {
    let folder = node.folder().join(name);
    fs::create_dir(&folder).unwrap();
    folder
}

fn copies(folder: &Path) -> Vec<Vec<u8>> {
    if !folder.is_dir() {
        return Vec::new();
    }
    files_below(folder).iter().map(|file| fs::read(file).unwrap()).collect()
}
