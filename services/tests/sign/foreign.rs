//! Verifiers that others wrote: dkimpy (DKIM and ARC), OpenDKIM (DKIM with RSA).

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use services::sign::{Key, KeyKind};

use crate::arc;
use crate::dkim::{BOTH, in_every_form, tampered};
use crate::keys::{key, pem, records};
use crate::messages::{self, LUNCH};

/// Says that something is not tested here, and why.
fn skip(what: &str, why: &str) {
    let told = format!("{what}: {why}\n");
    // Not by a macro, whose output nobody sees when the test passes.
    std::io::stderr().write_all(format!("skipped: {told}").as_bytes()).unwrap();
    if let Some(file) = std::env::var_os("POSTHASTE_SKIPPED") {
        File::options().create(true).append(true).open(file).unwrap().write_all(told.as_bytes()).unwrap();
    }
}

/// The program's output, or nothing if there is none on this machine.
fn run(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{command:?}: {error}"),
    }
}

/// What OpenSSL writes when it is asked to with these words.
fn openssl(words: &[&str]) -> Option<String> {
    let Some(output) = run(Command::new("openssl").args(words)) else {
        skip("OpenSSL", "openssl is not installed");
        return None;
    };
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The record for a public key, as OpenSSL knows it.
fn record(kind: KeyKind, file: &str) -> Option<String> {
    let public = openssl(&["pkey", "-in", file, "-pubout"])?;
    let public: String = public.lines().filter(|line| !line.starts_with('-')).collect();
    Some(match kind {
        KeyKind::Rsa => format!("v=DKIM1; k=rsa; p={public}"),
        // RFC 8463 §4.2 wants the key alone, without the twelve octets (sixteen of base64) that say what it is.
        KeyKind::Ed25519 => format!("v=DKIM1; k=ed25519; p={}", public.split_at(16).1),
    })
}

#[test]
fn openssl_reads_our_keys_and_we_read_its() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (kind, algorithm) in [(KeyKind::Rsa, "RSA"), (KeyKind::Ed25519, "ED25519")] {
        let (ours, theirs) = (path("ours"), path("theirs"));
        fs::write(&ours, pem(kind)).unwrap();
        let Some(expected) = record(kind, &ours) else { return };
        assert_eq!(key(kind).record(), expected);
        openssl(&["genpkey", "-algorithm", algorithm, "-out", &theirs]).unwrap();
        assert_eq!(Key::read(theirs.as_ref()).unwrap().record(), record(kind, &theirs).unwrap());
    }
    let traditional = path("traditional");
    openssl(&["genrsa", "-traditional", "-out", &traditional, "3072"]).unwrap();
    assert!(fs::read_to_string(&traditional).unwrap().contains("BEGIN RSA PRIVATE KEY"));
    assert_eq!(Key::read(traditional.as_ref()).unwrap().record(), record(KeyKind::Rsa, &traditional).unwrap());
    for (words, expected) in [
        (&["genrsa", "1024"][..], "its RSA key is shorter than 2048 bits"),
        (&["genrsa", "-traditional", "2047"], "its RSA key is shorter than 2048 bits"),
        (&["genpkey", "-algorithm", "X25519"], "its key is neither RSA of 2048 to 8192 bits nor Ed25519"),
        (
            &["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
            "its key is neither RSA of 2048 to 8192 bits nor Ed25519",
        ),
    ] {
        let made = openssl(words).unwrap();
        assert_eq!(Key::from_pem(made.as_bytes()).unwrap_err().to_string(), expected, "{words:?}");
    }
}

/// Messages in files, and the records that DNS would have.
struct Folder {
    folder: tempfile::TempDir,
    names: Vec<String>,
}

impl Folder {
    fn with(messages: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (at, (_, message)) in messages.iter().enumerate() {
            fs::write(folder.path().join(format!("{at}.eml")), message).unwrap();
        }
        let records: String = records().into_iter().map(|(name, record)| format!("{name} {record}\n")).collect();
        fs::write(folder.path().join("records"), records).unwrap();
        Self { folder, names: messages.iter().map(|(name, _)| name.clone()).collect() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn messages(&self) -> Vec<PathBuf> {
        (0..self.names.len()).map(|at| self.path().join(format!("{at}.eml"))).collect()
    }
}

/// Prints a line for each message: the verdicts on its signatures from top to bottom, so many, or on its chain.
const DKIMPY: &str = r#"
import sys, dkim
folder, messages, signatures = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
records = dict(line.rstrip("\n").split(" ", 1) for line in open(folder + "/records"))
def lookup(name, timeout=5):
    return records[name.decode().rstrip(".")].encode()
def verdict(message, at):
    try:
        return "good" if dkim.DKIM(message).verify(idx=at, dnsfunc=lookup) else "bad"
    except dkim.DKIMException:
        return "bad"
for at in range(messages):
    message = open("%s/%d.eml" % (folder, at), "rb").read()
    if signatures:
        print(" ".join(verdict(message, at) for at in range(signatures)))
    else:
        print(dkim.arc_verify(message, dnsfunc=lookup)[0].decode())
"#;

/// The lines that dkimpy says, one for each message.
fn dkimpy(signatures: u8, folder: &Folder) -> Option<Vec<String>> {
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        // Debian's Python knows Debian's packages; another one may stand before it in the path.
        run(Command::new(python).args(["-c", "import dkim, nacl"])).is_some_and(|output| output.status.success())
    });
    let Some(python) = python else {
        skip("dkimpy", "python3-dkim is not installed");
        return None;
    };
    let numbers = [folder.names.len().to_string(), signatures.to_string()];
    let output = run(Command::new(python).args(["-c", DKIMPY]).arg(folder.path()).args(numbers)).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), folder.names.len());
    Some(lines)
}

#[test]
fn dkimpy_finds_all_signatures_good() {
    let messages = in_every_form(messages::some(), &BOTH);
    let folder = Folder::with(&messages);
    let Some(verdicts) = dkimpy(2, &folder) else { return };
    for ((name, message), verdict) in messages.iter().zip(verdicts) {
        assert_eq!(verdict, "good good", "{name}\n{message}");
    }
}

#[test]
fn dkimpy_finds_every_change() {
    let messages = tampered(&BOTH);
    let Some(verdicts) = dkimpy(2, &Folder::with(&messages)) else { return };
    for ((name, message), verdict) in messages.iter().zip(verdicts) {
        // The change of a signature's own field concerns one of the two.
        let expected = if name.contains("the signature") { "good bad" } else { "bad bad" };
        assert_eq!(verdict, expected, "{name}\n{message}");
    }
}

#[test]
fn dkimpy_finds_chains_good_and_changes_bad() {
    // dkimpy 1.1.4 knows chains with RSA only.
    let one = messages::some().map(|(name, message)| (name, arc::forwarded(KeyKind::Rsa, &message, 1)));
    let more = [2, 3, 10, 50].map(|hops| (format!("{hops} hops"), arc::forwarded(KeyKind::Rsa, LUNCH, hops)));
    let good: Vec<_> = one.chain(more).chain(arc::in_turn()).collect();
    let Some(verdicts) = dkimpy(0, &Folder::with(&good)) else { return };
    for ((name, message), verdict) in good.iter().zip(verdicts) {
        assert_eq!(verdict, "pass", "{name}\n{message}");
    }
    let bad = arc::tampered(KeyKind::Rsa);
    let Some(verdicts) = dkimpy(0, &Folder::with(&bad)) else { return };
    for ((name, message), verdict) in bad.iter().zip(verdicts) {
        assert_eq!(verdict, "fail", "{name}\n{message}");
    }
}

/// How many of these messages OpenDKIM finds good; `None` if it is not installed.
fn opendkim(folder: &Folder, messages: &[PathBuf]) -> Option<usize> {
    let settings = folder.path().join("settings");
    fs::write(&settings, format!("Mode v\nTestPublicKeys {}/records\n", folder.path().display())).unwrap();
    let messages: Vec<_> = messages.iter().map(|message| message.to_str().unwrap()).collect();
    let output = run(Command::new("/usr/sbin/opendkim").arg("-x").arg(&settings).args(["-t", &messages.join(",")]));
    if output.is_none() {
        skip("OpenDKIM", "opendkim is not installed");
    }
    Some(String::from_utf8_lossy(&output?.stdout).matches("2048-bit key) succeeded").count())
}

/// A milter is told the values of fields without the blanks at their beginning, which the simple form would count.
fn opendkim_reads((name, _): &(String, String)) -> bool {
    !name.starts_with("Simple/") || !(name.contains(": folded,") || name.contains(": empty values,"))
}

#[test]
fn opendkim_finds_all_signatures_good() {
    let mut messages = in_every_form(messages::some(), &[KeyKind::Rsa]);
    messages.retain(opendkim_reads);
    let folder = Folder::with(&messages);
    let Some(good) = opendkim(&folder, &folder.messages()) else { return };
    if good < messages.len() {
        let bad = |file: &&PathBuf| opendkim(&folder, std::slice::from_ref(*file)) == Some(0);
        let files = folder.messages();
        let bad: Vec<&String> =
            files.iter().zip(&folder.names).filter(|(file, _)| bad(file)).map(|(_, name)| name).collect();
        panic!("{good} of {}: {bad:#?}", messages.len());
    }
}

#[test]
fn opendkim_finds_every_change() {
    let messages = tampered(&[KeyKind::Rsa]);
    let folder = Folder::with(&messages);
    for ((name, message), file) in messages.iter().zip(folder.messages()) {
        let Some(good) = opendkim(&folder, &[file]) else { return };
        assert_eq!(good, 0, "{name}\n{message}");
    }
}
