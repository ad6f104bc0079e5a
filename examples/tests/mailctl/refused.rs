//! Where the program cannot or may not: one line on standard error, and a status that tells which.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use services::admin::AdminListener;

use crate::office::{Ended, Office, command, run};

fn refused(ended: &Ended, status: i32, words: &str) {
    assert_eq!(ended.status, status, "{ended:?}");
    assert!(ended.stderr.contains(words), "{words:?} is not in {:?}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn nothing_that_matches_is_status_1() {
    let office = Office::new();
    assert_eq!(office.mailctl(&["list"]).stdout, "the queue is empty\n");
    assert_eq!(
        (office.mailctl(&["list", "--json"]).status, office.mailctl(&["list", "--json"]).stdout.as_str()),
        (0, "")
    );
    office.send("alice@example.org", "alice", &["bob@example.com"]);
    refused(&office.mailctl(&["list", "domain=example.net"]), 1, "no message matches\n");
    refused(&office.mailctl(&["hold", "domain=example.net"]), 1, "no message matches\n");
    refused(&office.mailctl(&["delete", "domain=example.net", "--dry-run"]), 1, "no message matches\n");
    refused(&office.mailctl(&["show", "01jd8z3m9k4w2q7h5x6t1b0a"]), 1, "no such message; ");
    refused(&office.mailctl(&["suspend", "older=4h"]), 1, "a rule cannot go by older; ");
}

#[test]
fn wrong_usage_is_status_2() {
    let office = Office::new();
    office.send("alice@example.org", "alice", &["bob@example.com"]);
    for (arguments, words) in [
        (&["hold"][..], "required"),
        (&["delete", "--yes"], "required"),
        (&["delete", "all", "--all"], "--all"),
        (&["delete", "example.com"], "key=value"),
        (&["delete", "domian=example.com"], "domian"),
        (&["list", "older=soon"], "soon"),
        (&["show", "x"], "message id"),
        (&["suspend", "domain=x", "--for", "soon"], "soon"),
        (&["suspend", "domain=x", "--until", "soon"], "2026-11-22T14:05:00Z"),
        (&["suspend", "domain=x", "--until", "2999-01-01T00:00:00Z", "--for", "2h"], "--for"),
        (&["suspend"], "required"),
        (&["remove", "all"], "remove"),
        (&["list", "--url", "http://127.0.0.1:1"], "--socket"),
    ] {
        refused(&office.mailctl(arguments), 2, words);
    }
    assert_eq!(office.number("all"), 1);
}

#[test]
fn no_server_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    refused(&run(command(&["queue", "status", "--data", data])), 2, "admin.sock: ");
    let mut elsewhere = command(&["queue", "status"]);
    elsewhere.current_dir(folder.path());
    refused(&run(elsewhere), 2, "cannot connect to posthaste-data/admin.sock: ");
    refused(&run(command(&["queue", "status", "--url", "http://127.0.0.1:1"])), 2, "--token-file");
}

#[test]
fn the_environment_says_where_and_the_command_line_wins() {
    let office = Office::new();
    let data = office.folder.path();
    let mut by_data = command(&["queue", "status"]);
    by_data.env("MAILCTL_DATA", data);
    assert_eq!(run(by_data).status, 0);
    let mut by_socket = command(&["queue", "status"]);
    by_socket.env("MAILCTL_SOCKET", office.socket());
    assert_eq!(run(by_socket).status, 0);
    let mut overruled = command(&["queue", "status", "--data", data.to_str().unwrap()]);
    overruled.env("MAILCTL_SOCKET", "/nowhere").env("MAILCTL_URL", "http://127.0.0.1:1");
    assert_eq!(run(overruled).status, 0);
}

#[test]
fn by_tcp_it_brings_the_token_and_does_not_take_one_that_others_may_read() {
    let office = Office::new();
    let token = office.folder.path().join("token");
    let write = |text: &str, mode: u32| {
        fs::write(&token, text).unwrap();
        fs::set_permissions(&token, Permissions::from_mode(mode)).unwrap();
    };
    write("correct-horse-battery-staple\n", 0o600);
    let opened = (22_000..30_000)
        .step_by(13)
        .find_map(|port| office.runtime.block_on(AdminListener::tcp(([127, 0, 0, 1], port).into(), &token)).ok());
    let listener = opened.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    office.open(listener);
    let ask = || run(command(&["queue", "status", "--url", &url, "--token-file", token.to_str().unwrap()]));
    assert_eq!(ask().status, 0);
    let mut by_variables = command(&["queue", "status"]);
    by_variables.env("MAILCTL_URL", &url).env("MAILCTL_TOKEN_FILE", &token);
    assert_eq!(run(by_variables).status, 0);
    write("wrong-horse-battery-staple\n", 0o600);
    refused(&ask(), 1, "the token is wrong; ");
    write("correct-horse-battery-staple\n", 0o644);
    refused(&ask(), 2, "chmod 600");
}
