//! What the program prints, to people and to programs.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::office::{Office, command, run};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_list_for_people() {
    let office = Office::new();
    let first = office.send("alice@example.org", "alice", &["bob@example.com", "carol@example.net"]);
    let second = office.send("", "mx", &["dan@example.com"]);
    office.mailctl(&["hold", "source=alice"]);
    let listed = office.mailctl(&["list"]);
    let expected = format!(
        "\
ID                        AGE  SIZE  SENDER             RECIPIENT          WHY
{first}   0s    21  alice@example.org  bob@example.com    held until it is released
{first}   0s    21  alice@example.org  carol@example.net  held until it is released
{second}   0s    21  <>                 dan@example.com    waits for its turn
"
    );
    assert_eq!((listed.status, listed.stdout, listed.stderr.as_str()), (0, expected, ""));
    let limited = office.mailctl(&["list", "--limit", "1"]);
    assert_eq!((limited.status, limited.stdout.lines().count()), (0, 3));
    let filtered = office.mailctl(&["list", "domain=example.com", "state=active"]);
    assert_eq!(filtered.stdout.lines().count(), 2);
    assert!(filtered.stdout.contains(&second.to_string()));
}

#[test]
fn a_list_for_programs() {
    let office = Office::new();
    let first = office.send("alice@example.org", "alice", &["bob@example.com", "carol@example.net"]);
    office.send("", "mx", &["dan@example.com"]);
    let listed = office.mailctl(&["list", "--json"]);
    let messages = lines(&listed.stdout);
    assert_eq!((listed.status, messages.len()), (0, 2));
    assert_eq!(messages[0]["id"], first.to_string());
    assert_eq!(messages[0]["recipients"][1]["address"], "carol@example.net");
    assert_eq!((&messages[1]["sender"], &messages[1]["state"]), (&json!(""), &json!("active")));
}

#[test]
fn one_message_for_both() {
    let office = Office::new();
    let id = office.send("alice@example.org", "alice", &["bob@example.com"]).to_string();
    let shown = office.mailctl(&["show", &id]);
    assert_eq!(shown.status, 0);
    for words in
        [&*id, "sender     alice@example.org\n", "recipient  bob@example.com\n", "  why      waits for its turn\n"]
    {
        assert!(shown.stdout.contains(words), "{words:?} is not in\n{}", shown.stdout);
    }
    let json = lines(&office.mailctl(&["--json", "show", &id]).stdout);
    assert_eq!((&json[0]["id"], &json[0]["envelope"]["parameters"]), (&json!(id), &json!([])));
    assert!(!shown.stdout.contains("secret") && !json[0].to_string().contains("secret"));
}

#[test]
fn rules_come_and_go() {
    let office = Office::new();
    assert_eq!(office.mailctl(&["rules"]).stdout, "no mail is suspended\n");
    let made = office.mailctl(&["suspend", "domain=*.example.com", "source=alice", "--reason", "they asked"]);
    let expected = "rule 1 suspends source=alice domain=*.example.com until it is taken back; mailctl queue resume 1 takes it back\n";
    assert_eq!((made.status, made.stdout.as_str()), (0, expected));
    let expected = "\
RULE  ENDS     SUSPENDS                           REASON
   1  by hand  source=alice domain=*.example.com  they asked
";
    assert_eq!(office.mailctl(&["rules"]).stdout, expected);
    let timed = lines(&office.mailctl(&["suspend", "domain=x", "--for", "2h", "--json"]).stdout);
    assert_eq!((&timed[0]["id"], timed[0]["until"].is_string()), (&json!(2), true));
    let dated =
        lines(&office.mailctl(&["suspend", "domain=y", "--until", "2999-01-01T00:00:00+01:00", "--json"]).stdout);
    assert_eq!(dated[0]["until"], "2998-12-31T23:00:00Z");
    let resumed = office.mailctl(&["resume", "1"]);
    assert_eq!(resumed.stdout, "rule 1 is taken back; it suspended source=alice domain=*.example.com\n");
    let rules = lines(&office.mailctl(&["rules", "--json"]).stdout);
    assert_eq!(rules[0]["rules"].as_array().unwrap().len(), 2);
    let again = office.mailctl(&["resume", "1"]);
    assert_eq!(again.status, 1);
    assert!(again.stderr.starts_with("mailctl: there is no such rule; "), "{}", again.stderr);
}

#[test]
fn sites_and_status() {
    let office = Office::new();
    assert_eq!(office.mailctl(&["sites"]).stdout, "there is no site with mail\n");
    office.send("alice@example.org", "alice", &["bob@example.com"]);
    office.run();
    let under_way = |office: &Office| office.queue.counters().flying == 1;
    for _ in 0..2000 {
        if under_way(&office) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let sites = office.mailctl(&["sites"]).stdout;
    let row = sites.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!([row[0], row[2], row[4]], ["example.com", "1", "reachable"], "{sites}");
    let status = office.mailctl(&["status"]);
    assert!(status.stdout.starts_with("queued       1 message\n"), "{}", status.stdout);
    let status = lines(&office.mailctl(&["status", "--json"]).stdout);
    assert_eq!(status[0]["counters"]["flying"], 1);
    assert!(office.mailctl(&["list"]).stdout.contains("attempt 1 is under way"));
}

#[test]
fn whoever_stops_reading_makes_it_no_failure() {
    let office = Office::new();
    for number in 0..3000 {
        office.send("alice@example.org", "alice", &[&format!("r{number}@example.com")]);
    }
    let socket = office.socket();
    let mut command = command(&["queue", "list", "--socket", socket.to_str().unwrap()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 100];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut some).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn help_teaches() {
    for arguments in [&["--help"][..], &["queue", "--help"]] {
        let help = run(command(arguments));
        assert_eq!(help.status, 0);
        for words in ["Examples:", "mailctl queue suspend domain=example.com --for 2h", "Exit status:", "older=4h"] {
            assert!(help.stdout.contains(words), "{words:?} is not in\n{}", help.stdout);
        }
    }
}
