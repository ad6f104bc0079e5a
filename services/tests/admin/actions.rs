//! What is done to messages.

use mailqueue::{Action, MessageId};
use serde_json::json;
use services::admin::shape::{Message, RecipientState, Tally, Wish};

use crate::office::Office;

fn wish(action: Action, filter: &str) -> Wish {
    Wish { action, filter: filter.parse().unwrap(), dry_run: false, after: None, limit: None }
}

async fn works(office: &Office, wish: &Wish) -> Tally {
    office.client().work(wish).await.unwrap()
}

/// Three messages of alice's and one of bob's.
async fn four(office: &Office) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(office.send("alice@example.org", "alice", &[&format!("r{number}@example.com")]).await);
    }
    ids.push(office.send("bob@example.org", "bob", &["x@example.net", "y@example.com"]).await);
    ids
}

#[tokio::test]
async fn hold_keeps_and_release_lets_go() {
    let office = Office::new().await;
    let ids = four(&office).await;
    let tally = works(&office, &wish(Action::Hold, "source=alice")).await;
    assert_eq!((tally.looked, tally.matched, tally.changed, tally.next), (4, 3, 3, None));
    assert_eq!(office.number("state=held").await, 3);
    // Those that are held already do not count as changed.
    let again = works(&office, &wish(Action::Hold, "all")).await;
    assert_eq!((again.matched, again.changed), (4, 1));
    office.run();
    let tally = works(&office, &wish(Action::Release, &format!("id={}", ids[3]))).await;
    assert_eq!((tally.matched, tally.changed), (1, 1));
    office.until("state=deferred", 1).await;
    assert_eq!(office.number("state=held").await, 3);
}

#[tokio::test]
async fn retry_and_requeue_try_again_now() {
    let office = Office::new().await;
    four(&office).await;
    office.run();
    office.until("state=deferred", 4).await;
    let attempts = |message: &Message| {
        let RecipientState::Waiting { attempts, .. } = message.recipients[0].state else { panic!("{message:?}") };
        attempts
    };
    let page = office.client().messages(&"all".parse().unwrap(), None, 10).await.unwrap();
    assert!(page.messages.iter().all(|message| attempts(message) == 1), "{page:?}");

    let tally = works(&office, &wish(Action::Retry, "source=bob")).await;
    assert_eq!((tally.matched, tally.changed), (1, 1));
    let settled = async |source: &str, wanted: u32| {
        let filter = format!("source={source} state=deferred").parse().unwrap();
        for _ in 0..2000 {
            let page = office.client().messages(&filter, None, 10).await.unwrap();
            if page.messages.first().is_some_and(|message| attempts(message) == wanted) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("never {wanted} attempts for {source}");
    };
    settled("bob", 2).await;
    settled("alice", 1).await;
    works(&office, &wish(Action::Requeue, "source=bob")).await;
    settled("bob", 1).await;
}

#[tokio::test]
async fn bounce_gives_up_the_recipients_that_are_meant() {
    let office = Office::new().await;
    let ids = four(&office).await;
    let tally = works(&office, &wish(Action::Bounce, "domain=example.net")).await;
    assert_eq!((tally.matched, tally.changed), (1, 1));
    let shown = office.ask("GET", &format!("/v1/queue/messages/{}", ids[3]), "").await.json;
    assert_eq!(
        (&shown["recipients"][0]["state"], &shown["recipients"][0]["why"]),
        (&json!("failed"), &json!("bounced"))
    );
    assert_eq!(shown["recipients"][1]["state"], "waiting");
    assert_eq!(office.client().status().await.unwrap().counters.bounced, 1);
}

#[tokio::test]
async fn delete_removes_without_a_word() {
    let office = Office::new().await;
    four(&office).await;
    let tally = works(&office, &wish(Action::Delete, "recipient=r*@example.com")).await;
    assert_eq!((tally.matched, tally.changed), (3, 3));
    assert_eq!((office.number("all").await, office.number("source=bob").await), (1, 1));
    assert_eq!(office.client().status().await.unwrap().counters.removed, 3);
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing() {
    let office = Office::new().await;
    four(&office).await;
    works(&office, &wish(Action::Hold, "source=bob")).await;
    let before = office.client().messages(&"all".parse().unwrap(), None, 10).await.unwrap().messages;
    for (action, changed) in [
        (Action::Hold, 3),
        (Action::Release, 1),
        (Action::Retry, 3),
        (Action::Requeue, 3),
        (Action::Bounce, 4),
        (Action::Delete, 4),
    ] {
        let tally = works(&office, &Wish { dry_run: true, ..wish(action, "all") }).await;
        assert_eq!((tally.matched, tally.changed), (4, changed), "{action:?}");
    }
    let after = office.client().messages(&"all".parse().unwrap(), None, 10).await.unwrap().messages;
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_deferred_message_says_why_and_until_when_and_not_what_is_in_it() {
    let office = Office::new().await;
    let id = office.send("alice@example.org", "alice", &["r@example.com"]).await;
    office.run();
    office.until("state=deferred text=GREYlisted", 1).await;
    let answer = office.ask("GET", &format!("/v1/queue/messages/{id}"), "").await;
    let recipient = &answer.json["recipients"][0];
    assert_eq!((answer.status, &answer.json["state"]), (200, &json!("deferred")));
    assert_eq!((&recipient["waits"]["for"], &recipient["attempts"]), (&json!("schedule"), &json!(1)));
    assert_eq!(recipient["waits"]["until"], answer.json["until"]);
    let said = json!({"text": "450 4.2.0 greylisted", "status": "4.2.0", "remote": "mx1.example.com"});
    assert_eq!(recipient["detail"], said);
    assert!(!answer.json.to_string().contains("secret"));
}

#[tokio::test]
async fn a_site_that_was_not_reached_is_remembered() {
    let office = Office::new().await;
    office.send("alice@example.org", "alice", &["r@down.example"]).await;
    office.run();
    office.until("state=deferred", 1).await;
    let sites = office.ask("GET", "/v1/queue/sites", "").await.json;
    let site = &sites["sites"][0];
    assert_eq!(
        (&site["name"], &site["state"], &site["failures"]),
        (&json!("down.example"), &json!("reachable"), &json!(1))
    );
    assert_eq!((&site["detail"]["remote"], &site["flying"]), (&json!("mx1.example.com"), &json!(0)));
}
