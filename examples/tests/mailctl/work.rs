//! Work on messages, few and many.

use serde_json::{Value, json};

use crate::office::Office;

#[test]
fn one_message_is_not_asked_about_and_more_are() {
    let office = Office::new();
    for number in 0..3 {
        office.send("alice@example.org", "alice", &[&format!("r{number}@example.com")]);
    }
    let one = office.mailctl(&["hold", "recipient=r1@*"]);
    assert_eq!((one.status, one.stdout.as_str()), (0, "1 message matched, 1 was held\n"));
    let more = office.mailctl(&["delete", "source=alice"]);
    assert_eq!((more.status, more.stdout.as_str()), (1, ""));
    assert_eq!(more.stderr, "mailctl: 3 messages would be deleted; add --yes where that is meant\n");
    assert_eq!(office.number("all"), 3);
    let dry = office.mailctl(&["delete", "--all", "--dry-run"]);
    assert_eq!((dry.status, dry.stdout.as_str()), (0, "3 messages matched, 3 would be deleted\n"));
    assert_eq!(office.number("all"), 3);
    let meant = office.mailctl(&["delete", "source=alice", "--yes"]);
    assert_eq!((meant.status, meant.stdout.as_str()), (0, "3 messages matched, 3 were deleted\n"));
    assert_eq!(office.number("all"), 0);
}

#[test]
fn every_verb_does_what_it_says() {
    let office = Office::new();
    office.send("alice@example.org", "alice", &["bob@example.com"]);
    for (verb, outcome, held) in [
        ("hold", "1 was held", 1),
        ("hold", "0 were held", 1),
        ("retry", "0 were retried", 1),
        ("release", "1 was released", 0),
        ("retry", "1 was retried", 0),
        ("requeue", "1 was requeued", 0),
        ("bounce", "1 was bounced", 0),
    ] {
        let done = office.mailctl(&[verb, "source=alice"]);
        assert_eq!((done.status, done.stdout), (0, format!("1 message matched, {outcome}\n")), "{verb}");
        assert_eq!(office.number("state=held"), held, "{verb}");
    }
    assert_eq!(office.queue.counters().bounced, 1);
}

#[test]
fn three_thousand_messages_go_by_pages() {
    let office = Office::new();
    for number in 0..3000 {
        office.send("alice@example.org", "alice", &[&format!("r{number}@example.com")]);
    }
    let listed = office.mailctl(&["list"]);
    assert_eq!((listed.status, listed.stdout.lines().count()), (0, 3001));
    let json = office.mailctl(&["list", "--json", "recipient=*7@example.com"]).stdout;
    assert_eq!(json.lines().count(), 300);
    let held = office.mailctl(&["hold", "--all", "--yes", "--json"]);
    let done: Value = serde_json::from_str(&held.stdout).unwrap();
    let expected = json!({"action": "hold", "dry_run": false, "looked": 3000, "matched": 3000, "changed": 3000});
    assert_eq!((held.status, done, held.stderr.as_str()), (0, expected, ""));
    assert_eq!(office.number("state=held"), 3000);
    let deleted = office.mailctl(&["delete", "state=held", "recipient=r1*", "--yes"]);
    assert_eq!(deleted.stdout, "1111 messages matched, 1111 were deleted\n");
    assert_eq!(office.number("all"), 1889);
}
