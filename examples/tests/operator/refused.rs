//! `single-node` where it cannot start: one line that names the thing and the remedy, and exit status 2.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use crate::node::{Place, write};

/// Expects that the program ends with one line in which all these words stand.
fn refused(place: Place, arguments: &[&str], words: &[&str]) {
    let ended = place.fail(arguments);
    assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {}", ended.stderr);
    let told: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with("single-node: ")).collect();
    assert_eq!(told.len(), 1, "{arguments:?}: {}", ended.stderr);
    assert!(ended.stderr.ends_with(&format!("{}\n", told[0])), "{}", ended.stderr);
    for word in words {
        assert!(told[0].contains(word), "{word:?} is not in {:?}", told[0]);
    }
    assert_eq!(ended.stdout, "");
}

#[test]
fn wrong_options() {
    refused(Place::new(), &["--smpt=:25"], &["'--smpt'", "'--smtp'", "--help"]);
    refused(Place::new(), &["--smtp=25"], &["'25'", "'--smtp <ADDR>'", "IP:PORT"]);
    refused(Place::new(), &["--relay=smtp.example.net"], &["--relay", "HOST:PORT"]);
    refused(Place::new(), &["--domain=exa mple"], &["domain", "example.org"]);
    refused(Place::new(), &["--certificate=cert.pem"], &["certificate", "key", "both"]);
    refused(Place::new(), &["--log=loud"], &["loud", "debug"]);
    refused(Place::new(), &["stray"], &["'stray'", "--help"]);
}

#[test]
fn a_wrong_user_is_told_without_the_password() {
    for user in ["alice:hunter2", "hunter2", "a b@example.org:hunter2"] {
        let ended = Place::new().fail(&["--user", user]);
        assert_eq!(ended.status.code(), Some(2));
        assert!(
            ended.stderr.contains("user: ") && ended.stderr.contains("alice@example.org:secret"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}

#[test]
fn a_taken_port() {
    for service in ["smtp", "submissions", "pop3", "http"] {
        let place = Place::new();
        let port = place.port(service);
        let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let data = place.data();
        refused(place, &[], &[&format!("127.0.0.1:{port}"), "in use", &format!("--{service}")]);
        assert!(!fs::exists(data.join("mail")).unwrap());
    }
}

#[test]
fn a_taken_socket() {
    let place = Place::new();
    let path = place.path("lmtp");
    let _taken = UnixListener::bind(&path).unwrap();
    refused(place, &["--lmtp", path.to_str().unwrap()], &[path.to_str().unwrap(), "another server", "--lmtp"]);
}

#[test]
fn a_port_that_is_taken_makes_no_users_whose_passwords_nobody_saw() {
    let place = Place::new();
    let taken = TcpListener::bind(("127.0.0.1", place.port("http"))).unwrap();
    let ended = place.fail(&[]);
    assert_eq!(ended.status.code(), Some(2));
    drop(taken);
    let node = ended.place.start(&[]);
    assert!(node.stdout().contains("alice@example.org   "), "{}", node.stdout());
}

#[test]
fn a_data_folder_that_cannot_be_made() {
    let place = Place::new();
    write(&place.path("file"), "");
    let data = place.path("file/data");
    refused(place, &["--data", data.to_str().unwrap()], &[data.to_str().unwrap(), "Not a directory", "--data"]);
}

#[test]
fn a_data_folder_that_cannot_be_written() {
    // Not even root may write there.
    refused(Place::new(), &["--data", "/proc/self"], &["/proc/self", "--data"]);
}

#[test]
fn folders_within_it_that_are_none() {
    for name in ["mail", "queue"] {
        let place = Place::new();
        fs::create_dir(place.data()).unwrap();
        let file = write(&place.data().join(name), "");
        refused(place, &[], &[&file, "os error", "must be a folder"]);
    }
}

#[test]
fn a_data_folder_that_another_server_has() {
    let first = Place::new().start(&[]);
    let data = first.data();
    refused(Place::new(), &["--data", data.to_str().unwrap()], &["another server", data.to_str().unwrap(), "--data"]);
}

#[test]
fn a_broken_configuration() {
    let place = Place::new();
    let file = write(&place.path("mail.toml"), "domain = \"example.org\"\n\nsmpt = \":25\"\n");
    refused(place, &["--config", &file], &[&file, "line 3", "smpt", "`smtp`"]);
    let place = Place::new();
    let file = write(&place.path("mail.toml"), "imap = \"143\"\n");
    refused(place, &["--config", &file], &[&file, "line 1", "imap", "IP:PORT"]);
    let place = Place::new();
    let file = write(&place.path("mail.toml"), "domain = [\n");
    refused(place, &["--config", &file], &[&file, "line "]);
    refused(
        Place::new(),
        &["--config", "/nowhere/mail.toml"],
        &["/nowhere/mail.toml", "No such file", "check the path"],
    );
}

#[test]
fn a_broken_users_file() {
    let place = Place::new();
    let file = write(&place.path("users"), "# users\nalice@example.org\n");
    refused(place, &["--users", &file], &[&file, "line 2", "address:verifier"]);
    let place = Place::new();
    fs::create_dir(place.data()).unwrap();
    let file = write(&place.data().join("users"), "alice@example.org:secret\n");
    refused(place, &[], &[&file, "line 1", "set the password anew"]);
}

#[test]
fn a_broken_aliases_file() {
    let place = Place::new();
    let file = write(&place.path("aliases"), "postmaster: alice\n\nlist: \"|/usr/bin/list\"\n");
    refused(place, &["--aliases", &file], &[&file, "line 3", "command", "give an address"]);
    let place = Place::new();
    fs::create_dir(place.data()).unwrap();
    let file = write(&place.data().join("aliases"), "# aliases\na: b\nb: a@example.org\n");
    refused(place, &[], &[&file, "line 2", "a@example.org → b@example.org → a@example.org"]);
    refused(
        Place::new(),
        &["--aliases=/nowhere/aliases"],
        &["/nowhere/aliases", "No such file", "check that it exists"],
    );
}

#[test]
fn a_broken_certificate() {
    let place = Place::new();
    let (certificate, key) = (write(&place.path("cert"), "x"), write(&place.path("key"), "x"));
    let arguments = ["--certificate", &certificate, "--key", &key];
    refused(place, &arguments, &[&certificate, "PEM", "--certificate"]);
    let arguments = ["--certificate=/nowhere/cert", "--key=/nowhere/key"];
    refused(Place::new(), &arguments, &["/nowhere/", "--certificate"]);
}

#[test]
fn a_host_name_that_smtp_does_not_know() {
    refused(Place::new(), &["--host=-mail.example"], &["--host"]);
}
