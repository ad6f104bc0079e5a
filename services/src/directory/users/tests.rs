use std::os::unix::fs::symlink;
use std::thread;

use tempfile::TempDir;

use super::*;

const BCRYPT: &str = "$2y$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";

/// The fewest iterations that the file takes, so that tests are quick.
fn options() -> UsersOptions {
    let verifiers = VerifierLimits::default();
    UsersOptions { iterations: verifiers.least_iterations, verifiers, ..UsersOptions::default() }
}

fn with_text(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users");
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn address_of(users: &UsersFile, name: &str) -> Option<String> {
    users.table.load().credential(name).map(|found| found.account.address().to_owned())
}

fn knows(users: &UsersFile, name: &str, password: &str) -> bool {
    users.table.load().credential(name).unwrap().verifier.matches(password.as_bytes())
}

#[test]
fn a_password_set_is_found_in_the_file_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users");
    let users = UsersFile::open_or_create(&path, options()).unwrap();
    assert!(users.is_empty());
    assert_eq!(users.set_password("Alice@Example.org", b"one").unwrap(), Change::Added);
    assert_eq!(users.set_password("bob@example.org", b"two").unwrap(), Change::Added);
    assert_eq!(users.set_password("alice@example.org", b"three").unwrap(), Change::Updated);

    let again = UsersFile::open(&path, options()).unwrap();
    for users in [users, again] {
        assert_eq!(
            users.accounts().iter().map(Account::address).collect::<Vec<_>>(),
            ["alice@example.org", "bob@example.org"]
        );
        assert!(knows(&users, "alice@example.org", "three"));
        assert!(!knows(&users, "alice@example.org", "one"));
        assert!(knows(&users, "bob@example.org", "two"));
    }
}

#[test]
fn only_the_owner_may_read_what_is_written_and_no_draft_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let users = UsersFile::open_or_create(&path, options()).unwrap();
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    // What a crash may have left.
    fs::write(dir.path().join(".users.draft"), "alice@exam").unwrap();
    users.set_password("alice@example.org", b"one").unwrap();
    assert_eq!(mode(&path), 0o600);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["users"]);
}

#[test]
fn a_link_to_the_file_stays_a_link() {
    let (dir, path) = with_text("# the file\n");
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    UsersFile::open(&link, options()).unwrap().set_password("alice@example.org", b"one").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&path).unwrap().starts_with("# the file\nalice@example.org:{SCRAM-SHA-256}4096,"));
}

#[test]
fn what_stands_in_an_existing_file_is_not_begun_anew() {
    let (_dir, path) = with_text(&format!("alice@example.org:{BCRYPT}\n"));
    assert_eq!(UsersFile::open_or_create(&path, options()).unwrap().len(), 1);
}

#[test]
fn faults_name_file_line_and_remedy() {
    let (_dir, path) = with_text("# users\n\nalice@example.org secret\n");
    let message = UsersFile::open(&path, options()).unwrap_err().to_string();
    assert!(message.contains(&format!("{}, line 3: ", path.display())), "{message}");
    assert!(message.contains("write address:verifier"), "{message}");
    assert!(!message.contains("secret"), "{message}");

    let nowhere = path.with_file_name("nowhere");
    let message = UsersFile::open(&nowhere, options()).unwrap_err().to_string();
    assert!(message.contains(&nowhere.display().to_string()) && message.contains("check that it exists"), "{message}");

    let message = UsersFile::open_or_create(nowhere.join("users"), options()).unwrap_err().to_string();
    assert!(message.contains("check that this user may write"), "{message}");

    let small = UsersOptions { largest: 10, ..options() };
    assert!(matches!(UsersFile::open(&path, small), Err(UsersError::TooLarge { largest: 10, .. })));
}

#[test]
fn what_a_line_cannot_hold_is_not_written() {
    let (_dir, path) = with_text("");
    let users = UsersFile::open(&path, options()).unwrap();
    for address in ["#alice@example.org", "alice@[IPv6:::1]"] {
        assert!(matches!(users.set_password(address, b"one"), Err(UsersError::AddressForm)), "{address}");
    }
    for address in ["alice", "alice@example.org\nmallory@example.org:x", ""] {
        assert!(matches!(users.set_password(address, b"one"), Err(UsersError::Address(_))), "{address}");
    }
    // A soft hyphen alone is nothing once it is prepared (RFC 4013 §2.1).
    for password in [&b""[..], b"o\0ne", "\u{ad}".as_bytes(), &[b'x'; MAX_PASSWORD + 1]] {
        assert!(matches!(users.set_password("alice@example.org", password), Err(UsersError::Password)));
    }
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_faulty_file_changes_nothing_when_it_is_reloaded_or_written_to() {
    let (_dir, path) = with_text(&format!("alice@example.org:{BCRYPT}\n"));
    let users = UsersFile::open(&path, options()).unwrap();
    fs::write(&path, "bob\n").unwrap();
    assert!(matches!(users.reload(), Err(UsersError::Line { line: 1, .. })));
    assert!(matches!(users.set_password("carol@example.org", b"one"), Err(UsersError::Line { line: 1, .. })));
    assert_eq!(address_of(&users, "alice@example.org").as_deref(), Some("alice@example.org"));
    assert_eq!(fs::read(&path).unwrap(), b"bob\n");

    fs::write(&path, format!("bob@example.org:{BCRYPT}\n")).unwrap();
    users.reload().unwrap();
    assert_eq!(address_of(&users, "alice@example.org"), None);
    assert_eq!(address_of(&users, "bob@example.org").as_deref(), Some("bob@example.org"));
}

#[test]
fn a_local_part_logs_in_where_one_account_has_it() {
    let lines = ["alice@example.org", "bob@example.org", "bob@example.net", "bob@example.com"];
    let (_dir, path) = with_text(&lines.map(|address| format!("{address}:{BCRYPT}\n")).concat());
    let users = UsersFile::open(&path, options()).unwrap();
    assert_eq!(address_of(&users, "alice").as_deref(), Some("alice@example.org"));
    assert_eq!(address_of(&users, "bob"), None);
    assert_eq!(address_of(&users, "bob@example.net").as_deref(), Some("bob@example.net"));
    assert_eq!(address_of(&users, "carol"), None);
}

#[test]
fn a_local_part_that_looks_like_an_address_hides_nobody() {
    let lines = ["alice@example.org", "alice@example.org@example.net"];
    let (_dir, path) = with_text(&lines.map(|address| format!("{address}:{BCRYPT}\n")).concat());
    let users = UsersFile::open(&path, options()).unwrap();
    assert_eq!(address_of(&users, "alice@example.org").as_deref(), Some("alice@example.org"));
}

#[test]
fn the_decoy_looks_like_most_users() {
    let scram = |salt: &[u8]| ScramVerifier::derive(b"one", options().iterations, salt).encode();
    let (_dir, path) = with_text(&format!(
        "a@example.org:{BCRYPT}\nb@example.org:{BCRYPT}\nc@example.org:{}\nd@example.org:{}\ne@example.org:{}\n",
        scram(b"12345678"),
        scram(b"87654321"),
        scram(b"0123456789abcdef").replace("4096", "5000"),
    ));
    let users = UsersFile::open(&path, options()).unwrap();
    let decoy = users.decoy();
    assert_eq!((decoy.scram_iterations.get(), decoy.scram_salt), (4096, 8));
    users.set_password("f@example.org", b"two").unwrap();
    assert_eq!(users.decoy().password.cost(), Cost::Scram { iterations: 4096 });

    let (_dir, path) = with_text(&format!("a@example.org:{BCRYPT}\n"));
    let users = UsersFile::open(&path, options()).unwrap();
    assert_eq!(users.decoy().password.cost(), Cost::Bcrypt { cost: 12 });
    assert_eq!(users.decoy().scram_iterations, options().iterations);
}

#[test]
fn writers_with_handles_of_their_own_lose_no_user() {
    let (_dir, path) = with_text("");
    thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let users = UsersFile::open(path, options()).unwrap();
                for n in 0..5 {
                    users.set_password(&format!("user{n}@{writer}.example.org"), b"one").unwrap();
                }
            });
        }
    });
    assert_eq!(UsersFile::open(&path, options()).unwrap().len(), 20);
}
