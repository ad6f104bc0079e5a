//! What our users send is signed, and stays so on its way.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::{file_in, wait_for_mail_of};
use super::{CAROL, start_with_relay, submit};
use crate::message::awkward;
use crate::node::{ALICE, Node};
use crate::program::{find, outcome, run, skip};

/// Makes a key, and gives its public half as a record of DNS has it.
fn key(folder: &Path, algorithm: &str) -> String {
    let file = folder.join(format!("{algorithm}.pem"));
    run(Command::new("openssl").args(["genpkey", "-algorithm", algorithm, "-out"]).arg(&file)).unwrap();
    let public = run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&file)).unwrap();
    let public: String = String::from_utf8(public).unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    match algorithm {
        "rsa" => format!("v=DKIM1; k=rsa; p={public}"),
        // RFC 8463 §4.2 wants the key alone, without the sixteen characters that say what it is.
        _ => format!("v=DKIM1; k=ed25519; p={}", public.split_at(16).1),
    }
}

/// Prints a word for each signature from top to bottom.
const DKIMPY: &str = r#"
import sys, dkim
records = dict(line.rstrip("\n").split(" ", 1) for line in open(sys.argv[1]))
message = open(sys.argv[2], "rb").read()
for at in range(message.lower().count(b"\r\ndkim-signature:")):
    good = dkim.DKIM(message).verify(idx=at, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")].encode())
    print("good" if good else "bad")
"#;

#[test]
fn what_a_user_sends_arrives_with_signatures_that_others_find_good() {
    if find("openssl").is_none() {
        return;
    }
    let keys = tempfile::tempdir().unwrap();
    let records = ["rsa", "ed25519"].map(|kind| format!("{kind}._domainkey.example.org {}\n", key(keys.path(), kind)));
    let records = file_in(keys.path(), "records", records.concat().as_bytes());
    let far = Node::start(&["--plaintext-auth", "--user", "carol@example.net:c"]);
    let signing =
        ["rsa", "ed25519"].map(|kind| format!("--dkim=example.org:{kind}:{}/{kind}.pem", keys.path().display()));
    let node = start_with_relay(far.address("smtp"), &signing.each_ref().map(String::as_str));
    let sent = awkward("signed", ALICE.0, CAROL);
    submit(&node, "", &["<carol@example.net>"], &sent);
    let mail = wait_for_mail_of(&far, (CAROL, "c"), 1);
    assert!(mail[0].ends_with(&sent), "{}", mail[0].escape_ascii());
    let path = file_in(keys.path(), "message.eml", &mail[0]);

    let has_dkimpy = |python: &&str| {
        // Debian's Python knows Debian's packages; another one may stand before it in the path.
        outcome(Command::new(python).args(["-c", "import dkim, nacl"])).is_ok_and(|output| output.status.success())
    };
    match ["/usr/bin/python3", "python3"].iter().find(|python| has_dkimpy(python)) {
        Some(python) => {
            let verdicts = run(Command::new(python).args(["-c", DKIMPY]).arg(&records).arg(&path)).unwrap();
            assert_eq!(String::from_utf8(verdicts).unwrap(), "good\ngood\n");
        }
        None => skip("dkimpy", "python3-dkim is not installed"),
    }
    if let Some(opendkim) = find("opendkim") {
        let settings =
            file_in(keys.path(), "settings", format!("Mode v\nTestPublicKeys {}\n", records.display()).as_bytes());
        let output = outcome(Command::new(opendkim).arg("-x").arg(settings).arg("-t").arg(&path)).unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("2048-bit key) succeeded"), "{told}");
        // And it would tell otherwise.
        let mut changed = fs::read(&path).unwrap();
        let subject = changed.windows(7).position(|word| word == b"awkward").unwrap();
        changed[subject] = b'A';
        fs::write(&path, changed).unwrap();
        let settings = keys.path().join("settings");
        let output = outcome(Command::new("/usr/sbin/opendkim").arg("-x").arg(settings).arg("-t").arg(&path)).unwrap();
        assert!(!String::from_utf8_lossy(&output.stdout).contains("succeeded"));
    }
    node.stop();
    far.stop();
}
