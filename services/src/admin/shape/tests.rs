use std::sync::Arc;
use std::time::Duration;

use mailqueue::{
    Destination, Entry, EntryState, Parameter, Priority, RecipientEntry, RuleId, UnixMicros, Waiting as Why,
};
use serde_json::{Value, from_value, json, to_value};

use super::*;

const NOON: UnixMicros = UnixMicros(1_795_348_800_000_000);

fn recipient(address: &str, state: mailqueue::RecipientState) -> RecipientEntry {
    let destination = Destination::remote("mx:example.com");
    RecipientEntry { address: address.to_owned(), destination, site: Some(Arc::from("mx1.example.com")), state }
}

fn entry(state: EntryState, recipients: Vec<RecipientEntry>) -> Entry {
    Entry {
        id: MessageId::new(NOON, 7),
        arrived: NOON,
        age: Duration::from_millis(7_999),
        size: 2048,
        priority: Priority::new(3),
        sender: "a@example.org".to_owned(),
        source: "alice".to_owned(),
        state,
        recipients,
    }
}

fn said() -> mailqueue::Detail {
    mailqueue::Detail { text: "later".to_owned(), status: "4.2.0".to_owned(), remote: "mx1".to_owned() }
}

#[test]
fn a_message_looks_like_this() {
    let waiting = mailqueue::RecipientState::Waiting {
        why: Why::Schedule { until: NOON.after(Duration::from_secs(60)) },
        attempts: 2,
        detail: Some(said()),
    };
    let message = Message::from(entry(EntryState::Deferred { until: NOON }, vec![recipient("b@example.com", waiting)]));
    let expected = json!({
        "id": MessageId::new(NOON, 7).to_string(),
        "arrived": "2026-11-22T12:00:00Z",
        "age_seconds": 7,
        "size": 2048,
        "priority": 3,
        "sender": "a@example.org",
        "source": "alice",
        "state": "deferred",
        "until": "2026-11-22T12:00:00Z",
        "recipients": [{
            "address": "b@example.com",
            "destination": "mx:example.com",
            "site": "mx1.example.com",
            "state": "waiting",
            "waits": { "for": "schedule", "until": "2026-11-22T12:01:00Z" },
            "attempts": 2,
            "detail": { "text": "later", "status": "4.2.0", "remote": "mx1" },
        }],
    });
    assert_eq!(to_value(&message).unwrap(), expected);
    assert_eq!(from_value::<Message>(expected).unwrap(), message);
}

#[test]
fn every_state_has_its_word_and_reads_back() {
    let site: Arc<str> = Arc::from("mx1");
    let states = [
        (EntryState::Active, json!({"state": "active"})),
        (EntryState::Held { why: Held::Poison }, json!({"state": "held", "why": "poison"})),
        (
            EntryState::Suspended { rule: RuleId(4), until: None },
            json!({"state": "suspended", "rule": 4, "until": null}),
        ),
        (
            EntryState::Unreachable { site: site.clone(), probe_at: NOON },
            json!({"state": "unreachable", "site": "mx1", "probe_at": "2026-11-22T12:00:00Z"}),
        ),
    ];
    for (state, expected) in states {
        let message = Message::from(entry(state, Vec::new()));
        assert_eq!(to_value(&message.state).unwrap(), expected);
        assert_eq!(from_value::<Message>(to_value(&message).unwrap()).unwrap(), message);
    }
    let waits = [
        (Why::Turn, json!({"for": "turn"})),
        (Why::Suspect, json!({"for": "suspect"})),
        (Why::Release { until: NOON }, json!({"for": "release", "until": "2026-11-22T12:00:00Z"})),
        (Why::Rule { rule: RuleId(4), until: None }, json!({"for": "rule", "rule": 4, "until": null})),
        (Why::Held(Held::Asked), json!({"for": "held", "why": "asked"})),
    ];
    for (why, expected) in waits {
        let state = mailqueue::RecipientState::Waiting { why, attempts: 0, detail: None };
        let one = Recipient::from(recipient("b@example.com", state));
        let written = to_value(&one).unwrap();
        assert_eq!((&written["waits"], &written["state"]), (&expected, &json!("waiting")));
        assert_eq!(from_value::<Recipient>(written).unwrap(), one);
    }
    let ends = [
        mailqueue::RecipientState::Trying { attempt: 3 },
        mailqueue::RecipientState::Delivered { at: NOON, handed: Handed::WithDuty },
        mailqueue::RecipientState::Failed { at: NOON, why: Failure::Bounced, detail: said() },
        mailqueue::RecipientState::Waiting {
            why: Why::Unreachable { site, probe_at: NOON, detail: said() },
            attempts: 1,
            detail: None,
        },
    ];
    for state in ends {
        let one = Recipient::from(recipient("b@example.com", state));
        assert_eq!(from_value::<Recipient>(to_value(&one).unwrap()).unwrap(), one);
    }
}

#[test]
fn an_inspection_has_the_parameters_in_wire_form() {
    let recipients = vec![mailqueue::Recipient {
        address: "b@example.com".to_owned(),
        destination: Destination::remote("mx:example.com"),
        parameters: vec![Parameter::new("NOTIFY", "NEVER")],
    }];
    let envelope = mailqueue::Envelope {
        recipients,
        parameters: vec![Parameter::flag("SMTPUTF8")],
        deliver_by: Some(mailqueue::DeliverBy { until: NOON, then: Late::Return }),
        ..mailqueue::Envelope::default()
    };
    let inspection = Inspection::from(mailqueue::Inspection { entry: entry(EntryState::Active, Vec::new()), envelope });
    let written = to_value(&inspection).unwrap();
    assert_eq!(written["state"], "active");
    let expected = json!({
        "parameters": ["SMTPUTF8"],
        "recipient_parameters": [["NOTIFY=NEVER"]],
        "release": null,
        "deliver_by": { "until": "2026-11-22T12:00:00Z", "then": "return" },
    });
    assert_eq!(written["envelope"], expected);
    assert_eq!(from_value::<Inspection>(written).unwrap(), inspection);
}

#[test]
fn a_wish_with_a_misspelt_field_is_refused() {
    let wish = |value: Value| from_value::<Wish>(value).map_err(|error| error.to_string());
    let asked = wish(json!({"action": "delete", "filter": "all"})).unwrap();
    assert_eq!((asked.action, asked.dry_run, asked.after, asked.limit), (Action::Delete, false, None, None));
    assert!(wish(json!({"action": "delete", "filter": "all", "dry-run": true})).unwrap_err().contains("dry-run"));
    assert!(wish(json!({"action": "remove", "filter": "all"})).unwrap_err().contains("delete"));
    assert!(wish(json!({"action": "delete", "filter": ""})).unwrap_err().contains("or all"));
    assert!(wish(json!({"action": "delete"})).unwrap_err().contains("filter"));
}

#[test]
fn every_counter_is_told() {
    let status = Status {
        time: NOON.into(),
        counters: Counters { messages: 5, spool_errors: 1, ..Counters::default() },
        space: Space { free: u64::MAX, used: 1 },
    };
    let written = to_value(status).unwrap();
    assert_eq!((&written["counters"]["messages"], &written["counters"]["spool_errors"]), (&json!(5), &json!(1)));
    assert_eq!(from_value::<Status>(written).unwrap(), status);
}
