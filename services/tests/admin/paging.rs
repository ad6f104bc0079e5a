//! Long work, a page at a time.

use std::collections::BTreeSet;

use mailqueue::{Action, Filter, MessageId};
use services::admin::shape::Wish;

use crate::office::Office;

async fn many(office: &Office, number: usize) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for one in 0..number {
        ids.push(office.send("a@example.org", "alice", &[&format!("r{one}@example.com")]).await);
    }
    ids
}

#[tokio::test]
async fn pages_have_everything_once_and_in_order() {
    let office = Office::new().await;
    let ids = many(&office, 700).await;
    for limit in [7, 256, 300, 1000] {
        let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = office.client().messages(&Filter::default(), after, limit).await.unwrap();
            assert!(page.messages.len() <= limit);
            seen.extend(page.messages.iter().map(|message| message.id));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, ids, "{limit}");
        assert!(pages >= 700_usize.div_ceil(limit));
    }
}

#[tokio::test]
async fn work_goes_on_where_the_page_before_ended() {
    let office = Office::new().await;
    many(&office, 25).await;
    let mut wish =
        Wish { action: Action::Hold, filter: Filter::default(), dry_run: false, after: None, limit: Some(10) };
    let mut changed = Vec::new();
    loop {
        let tally = office.client().work(&wish).await.unwrap();
        changed.push(tally.changed);
        wish.after = tally.next;
        if wish.after.is_none() {
            break;
        }
        assert_eq!(office.number("state=held").await, changed.iter().sum::<usize>());
    }
    assert_eq!(changed.iter().sum::<usize>(), 25);
    assert_eq!(changed[..2], [10, 10]);
}

#[tokio::test]
async fn pages_hold_while_the_queue_changes() {
    let office = Office::new().await;
    let ids = many(&office, 60).await;
    let mut seen = BTreeSet::new();
    let (mut after, mut gone) = (None, BTreeSet::new());
    loop {
        let page = office.client().messages(&Filter::default(), after, 10).await.unwrap();
        for message in &page.messages {
            assert!(seen.insert(message.id), "{} twice", message.id);
        }
        // Meanwhile the cursor's own message goes, one to come goes, and others arrive.
        let (here, there) = (page.messages.last().map(|message| message.id), ids.get(seen.len() + 15).copied());
        for id in here.into_iter().chain(there) {
            let wish =
                Wish { action: Action::Delete, filter: Filter::id(id), dry_run: false, after: None, limit: None };
            if office.client().work(&wish).await.unwrap().changed == 1 {
                gone.insert(id);
            }
        }
        if seen.len() < 40 {
            many(&office, 2).await;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let missing: Vec<_> = ids.iter().filter(|id| !seen.contains(id) && !gone.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(seen.len() > 50 && gone.len() > 5, "{} {}", seen.len(), gone.len());
}

#[tokio::test]
async fn a_page_of_a_listing_ends_where_it_has_many_recipients() {
    let office = Office::new().await;
    let addresses: Vec<_> = (0..25).map(|number| format!("r{number}@example.com")).collect();
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    for _ in 0..300 {
        office.send("a@example.org", "alice", &addresses).await;
    }
    let page = office.client().messages(&Filter::default(), None, 1000).await.unwrap();
    // As many as the queue reads together, and no more for the thousand that were asked for.
    assert_eq!(page.messages.len(), 256);
    let rest = office.client().messages(&Filter::default(), page.next, 1000).await.unwrap();
    assert_eq!((rest.messages.len(), rest.next), (44, None));
}
