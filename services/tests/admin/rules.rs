//! Suspending mail and resuming it.

use std::time::Duration;

use mailqueue::UnixMicros;
use serde_json::json;
use services::admin::shape::{RecipientState, Suspend, Waiting};
use services::admin::{ClientError, Time};

use crate::office::Office;

fn suspend(filter: &str) -> Suspend {
    Suspend { filter: filter.parse().unwrap(), until: None, for_seconds: None, reason: "they asked".to_owned() }
}

#[tokio::test]
async fn a_rule_keeps_mail_until_it_is_taken_back() {
    let office = Office::new().await;
    let client = office.client();
    let rule = client.suspend(&suspend("domain=*.com source=alice")).await.unwrap();
    assert_eq!((rule.filter.to_string().as_str(), rule.until), ("source=alice domain=*.com", None));
    office.send("a@example.org", "alice", &["b@example.com"]).await;
    office.send("a@example.org", "alice", &["b@example.net"]).await;
    office.run();
    office.until("state=suspended domain=example.com", 1).await;
    office.until("state=deferred", 1).await;

    let page = client.messages(&"state=suspended".parse().unwrap(), None, 10).await.unwrap();
    let RecipientState::Waiting { waits, .. } = &page.messages[0].recipients[0].state else {
        panic!("{page:?}");
    };
    assert_eq!(*waits, Waiting::Rule { rule: rule.id, until: None });
    assert_eq!(client.rules().await.unwrap().rules, std::slice::from_ref(&rule));
    assert_eq!(client.resume(rule.id).await.unwrap(), rule);
    office.until("state=deferred", 2).await;
    assert!(client.rules().await.unwrap().rules.is_empty());
}

#[tokio::test]
async fn a_rule_ends_by_itself_when_it_was_said() {
    let office = Office::new().await;
    let client = office.client();
    let hour = Suspend { for_seconds: Some(3600), ..suspend("domain=example.com") };
    let until = client.suspend(&hour).await.unwrap().until.unwrap();
    let now = UnixMicros::now();
    assert!(Time::from(now) < until && until <= Time::from(now.after(Duration::from_secs(3600))), "{until}");
    let at = Time::from(now.after(Duration::from_secs(60)));
    let then = Suspend { until: Some(at), ..suspend("domain=example.com") };
    assert_eq!(client.suspend(&then).await.unwrap().until, Some(at));
}

#[tokio::test]
async fn what_no_rule_can_be_is_refused() {
    let office = Office::new().await;
    for (body, status, words) in [
        (json!({"filter": "older=4h domain=example.com"}), 400, "older"),
        (json!({"filter": "all"}), 400, "names a domain"),
        (json!({"filter": "domain=x", "until": "2020-01-01T00:00:00Z"}), 400, "ended already"),
        (json!({"filter": "domain=x", "for_seconds": 0}), 400, "ended already"),
        (json!({"filter": "domain=x", "until": "tomorrow"}), 400, "2026-11-22T14:05:00Z"),
        (json!({"filter": "domain=x", "until": "2999-01-01T00:00:00Z", "for_seconds": 5}), 400, "both"),
        (json!({"filter": "domain=x", "for": 5}), 400, "for"),
    ] {
        let answer = office.ask("POST", "/v1/queue/rules", &body.to_string()).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.json["error"].as_str().unwrap().contains(words), "{body}: {}", answer.json);
    }
    assert_eq!(office.ask("DELETE", "/v1/queue/rules/one", "").await.status, 400);
    let ClientError::Refused(refusal) = office.client().resume(7).await.unwrap_err() else { panic!("not refused") };
    assert_eq!((refusal.status.as_u16(), refusal.error.as_str()), (404, "there is no such rule"));
    assert!(office.queue.rules().is_empty());
}

#[tokio::test]
async fn there_are_only_so_many_rules() {
    let office = Office::new().await;
    for number in 0..mailqueue::RULES {
        let rule = mailqueue::Rule::of(format!("domain=x{number}").parse().unwrap(), None, "").unwrap();
        office.queue.suspend(rule).await.unwrap();
    }
    assert_eq!(office.ask("POST", "/v1/queue/rules", "{\"filter\":\"domain=y\"}").await.status, 409);
    assert_eq!(office.client().rules().await.unwrap().rules.len(), mailqueue::RULES);
}
