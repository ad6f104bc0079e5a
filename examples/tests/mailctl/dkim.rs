//! Keys for DKIM, made without a server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use services::sign::{Identity, Key};

fn new(words: &[&str], file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailctl"));
    command.args(["dkim", "new", "example.org", "2026a"]).arg(file).args(words).output().unwrap()
}

#[test]
fn a_key_is_written_for_its_owner_alone_and_its_record_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["rsa", "ed25519"] {
        let file = folder.path().join(kind);
        let made = new(&[&format!("--kind={kind}")], &file);
        assert!(made.status.success(), "{made:?}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let identity = Identity::new("example.org", "2026a", Key::read(&file).unwrap()).unwrap();
        assert_eq!(String::from_utf8(made.stdout).unwrap().trim_end(), identity.zone_line().trim_end());
        let told = String::from_utf8(made.stderr).unwrap();
        assert!(told.contains(&format!("--dkim example.org:2026a:{}", file.display())), "{told}");
    }
}

#[test]
fn a_key_that_is_there_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    assert!(new(&[], &file).status.success());
    let before = fs::read(&file).unwrap();
    let again = new(&[], &file);
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
}
