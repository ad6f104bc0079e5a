//! What operators see and do.

#[cfg(test)]
#[allow(dead_code, reason = "each test binary uses its part")]
mod common {
    pub(crate) mod setting;
    pub(crate) mod world;
}

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::setting::{Setting, config, rule, setting, setting_with};
use common::world::{DAWN, later, letter, recipient, seconds};
use mailqueue::testing::{Settled, block_on, settle};
use mailqueue::{
    Action, Body, CommitError, Destination, EntryState, Facts, Filter, MemorySpool, MessageId, Note, Queue,
    QueueConfig, ReadError, RecipientState, RecordError, RuleError, Space, Spool, Stored, Synced, Taken, Trial,
    Waiting, Wake,
};

const HOUR: u64 = 3600;

fn to(domain: &str) -> Destination {
    Destination::remote(format!("mx:{domain}"))
}

/// Deferred mail for some domains, so many for each.
fn deferred(here: &Setting, domains: &[&str], count: usize) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for domain in domains {
        let address = format!("user@{domain}");
        here.far.always(&address, later(&format!("451 {domain} is busy")));
        ids.extend((0..count).map(|_| here.send_to(&to(domain), &[&address])));
    }
    here.run_for(60);
    ids
}

/// A spool that counts what is read.
#[derive(Clone, Default)]
struct Counting {
    spool: MemorySpool,
    read: Arc<AtomicUsize>,
}

impl Spool for Counting {
    type Draft = <MemorySpool as Spool>::Draft;

    fn begin(&self, id: MessageId, expected: u64) -> impl Future<Output = Result<Self::Draft, CommitError>> + Send {
        self.spool.begin(id, expected)
    }
    fn take(&self, limit: usize) -> impl Future<Output = Result<Vec<Taken>, ReadError>> + Send {
        self.spool.take(limit)
    }
    fn arrived(&self) -> impl Future<Output = ()> + Send {
        self.spool.arrived()
    }
    fn read(&self, ids: &[MessageId]) -> impl Future<Output = Vec<Result<Stored, ReadError>>> + Send {
        self.read.fetch_add(ids.len(), Ordering::Relaxed);
        self.spool.read(ids)
    }
    fn body(&self, id: MessageId) -> impl Future<Output = Result<Body, ReadError>> + Send {
        self.spool.body(id)
    }
    fn record(&self, facts: Facts) -> impl Future<Output = Result<(), RecordError>> + Send {
        self.spool.record(facts)
    }
    fn rules(&self) -> impl Future<Output = Result<Vec<u8>, ReadError>> + Send {
        self.spool.rules()
    }
    fn keep_rules(&self, rules: Vec<u8>) -> impl Future<Output = Result<(), RecordError>> + Send {
        self.spool.keep_rules(rules)
    }
    fn space(&self) -> impl Future<Output = io::Result<Space>> + Send {
        self.spool.space()
    }
    fn close(&self) -> impl Future<Output = ()> + Send {
        self.spool.close()
    }
}

#[test]
fn a_page_reads_what_it_shows_and_not_much_more() {
    let here = setting();
    deferred(&here, &["a.example"], 280);
    deferred(&here, &["b.example"], 20);
    here.spool.restart();
    let spool = Counting { spool: here.spool.clone(), ..Counting::default() };
    let queue = block_on(Queue::open(spool.clone(), config(), Arc::new(here.clock))).unwrap();
    let read = || spool.read.swap(0, Ordering::Relaxed);
    let list = |filter: &str, after, limit| {
        let page = block_on(queue.list(&filter.parse().unwrap(), after, limit)).unwrap();
        (page.entries.len(), page.looked, read(), page.next)
    };
    assert_eq!(read(), 0, "a start reads none");
    let (count, looked, envelopes, next) = list("all", None, 10);
    assert_eq!((count, looked, envelopes), (10, 10, 10));
    let (count, looked, envelopes, _) = list("all", next, 1);
    assert_eq!((count, looked, envelopes), (1, 1, 1));
    assert_eq!(list("all", None, 1000), (300, 300, 300, None));
    assert_eq!(list("domain=none.example", None, 5), (0, 300, 300, None));
    // The last ones are searched for with longer and longer strides.
    let (count, looked, envelopes, _) = list("domain=b.example", None, 5);
    assert_eq!((count, looked), (5, 285));
    assert!(envelopes <= 300, "{envelopes}");
    let tally = block_on(queue.apply(Action::Hold, &Filter::default(), Trial::DryRun, None, 7)).unwrap();
    assert_eq!((tally.matched, read()), (7, 7));
}

#[test]
fn the_end_of_a_rule_wakes_mail_that_waits_for_an_unreachable_site_too() {
    let here = setting_with(QueueConfig { dead_after: 1, ..config() });
    here.far.down("mx:dead", "no route");
    let id = block_on(here.queue.suspend(rule("site=mx:kept", None))).unwrap();
    here.send_to(&to("dead"), &["probe@dead"]);
    here.run_for(1);
    here.send(letter(vec![recipient("a@dead", &to("dead")), recipient("b@kept", &to("kept"))], &here.clock));
    here.run_for(1);
    assert_eq!(here.queue.counters().active, 0);
    block_on(here.queue.resume(id)).unwrap();
    here.run_for(1);
    assert_eq!(here.far.addresses(), ["probe@dead", "b@kept"]);
    here.far.up("mx:dead");
    here.run_for(HOUR);
    assert_eq!((here.queue.counters().messages, here.queue.counters().delivered), (0, 3));
}

#[test]
fn a_list_goes_on_where_the_last_page_ended() {
    let here = setting();
    let ids = deferred(&here, &["a.example", "b.example"], 5);
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = block_on(here.queue.list(&Filter::default(), after, 3)).unwrap();
        assert!(page.entries.len() <= 3);
        seen.extend(page.entries.iter().map(|entry| entry.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    assert_eq!(here.list("domain=b.example"), ids[5..]);
    assert_eq!(here.list("text=\"a.example is busy\" state=deferred older=1m"), ids[..5]);
    assert_eq!(here.list("older=2m"), []);
    assert_eq!(here.list(&format!("id={} id={}", ids[7], ids[2])), [ids[2], ids[7]]);
}

#[test]
fn a_long_search_says_how_far_it_is() {
    let here = setting();
    for _ in 0..10_000 {
        here.send_to(&to("a.example"), &["user@a.example"]);
    }
    let filter: Filter = "domain=nowhere.example".parse().unwrap();
    let page = block_on(here.queue.list(&filter, None, 10)).unwrap();
    assert!(page.entries.is_empty() && page.next.is_some());
    assert!((8000..10_000).contains(&page.looked), "{}", page.looked);
    let rest = block_on(here.queue.list(&filter, page.next, 10)).unwrap();
    assert_eq!((rest.next, page.looked + rest.looked), (None, 10_000));
}

#[test]
fn a_dry_run_counts_and_does_nothing() {
    let here = setting();
    let ids = deferred(&here, &["a.example", "b.example"], 4);
    here.apply(Action::Hold, &format!("id={}", ids[0]));
    let filter: Filter = "domain=a.example".parse().unwrap();
    for (action, changed) in [
        (Action::Hold, 3),
        (Action::Release, 1),
        (Action::Retry, 3),
        (Action::Requeue, 3),
        (Action::Bounce, 4),
        (Action::Delete, 4),
    ] {
        let before = (here.queue.counters(), here.list("all"));
        let tally = block_on(here.queue.apply(action, &filter, Trial::DryRun, None, 100)).unwrap();
        assert_eq!((tally.looked, tally.matched, tally.changed), (8, 4, changed), "{action:?}");
        assert_eq!((here.queue.counters(), here.list("all")), before, "{action:?}");
    }
    let piece = block_on(here.queue.apply(Action::Delete, &filter, Trial::Real, None, 3)).unwrap();
    assert_eq!((piece.changed, piece.next), (3, Some(ids[2])));
    let rest = block_on(here.queue.apply(Action::Delete, &filter, Trial::Real, piece.next, 3)).unwrap();
    assert_eq!((rest.changed, rest.next), (1, None));
    assert_eq!(here.list("all"), ids[4..]);
}

#[test]
fn retried_mail_goes_now_and_the_rest_waits() {
    let here = setting();
    deferred(&here, &["a.example", "b.example"], 3);
    here.far.forget();
    assert_eq!(here.apply(Action::Retry, "domain=b.example").changed, 3);
    here.run_for(1);
    assert_eq!(here.far.addresses(), ["user@b.example"; 3]);
    assert!(here.far.letters().iter().all(|seen| seen.attempt == 2));
}

#[test]
fn requeued_mail_begins_anew() {
    let here = setting();
    let ids = deferred(&here, &["a.example"], 1);
    here.run_for(HOUR);
    let asked = here.far.asked().len();
    here.far.forget();
    here.apply(Action::Requeue, "all");
    here.run_for(1);
    assert_eq!(here.far.letters().len(), 1);
    assert_eq!(here.far.letters()[0].attempt, 1);
    assert_eq!(here.far.asked().len(), asked + 1, "its site is asked for anew");
    assert!(matches!(here.states(ids[0])[0], RecipientState::Waiting { attempts: 1, .. }));
    here.run_for(130);
    assert_eq!(here.far.letters().len(), 2, "early again");
}

#[test]
fn what_is_done_to_mail_holds_over_a_restart() {
    let mut here = setting();
    let ids = deferred(&here, &["a.example", "b.example", "c.example"], 1);
    here.apply(Action::Hold, &format!("id={}", ids[0]));
    here.apply(Action::Delete, &format!("id={}", ids[1]));
    here.apply(Action::Bounce, &format!("id={}", ids[2]));
    here.restart();
    assert_eq!(here.list("sender=sender@example.com"), [ids[0], ids[2]]);
    here.run_for(10);
    assert_eq!(here.list("sender=sender@example.com"), [ids[0]]);
    assert_eq!(here.far.notifications().len(), 1);
}

#[test]
fn an_act_waits_for_what_is_being_recorded_and_leaves_attempts_alone() {
    let here = setting();
    here.far.takes(seconds(10));
    let both = here.send(letter(vec![recipient("now@x", &to("x")), recipient("later@y", &to("y"))], &here.clock));
    here.far.answer("now@x", [later("busy")]);
    here.far.answer("later@y", [later("busy")]);
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    let tally = here.apply(Action::Bounce, &format!("id={both}"));
    assert_eq!((tally.matched, tally.changed), (1, 0), "both are being tried");
    here.clock.advance(seconds(10));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    assert_eq!(here.apply(Action::Bounce, "domain=y").changed, 1);
    here.clock.advance(seconds(40));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    let states = here.states(both);
    assert!(matches!(states[0], RecipientState::Waiting { attempts: 1, .. }), "{states:?}");
    assert!(matches!(states[1], RecipientState::Failed { .. }), "{states:?}");
}

#[test]
fn a_rule_keeps_what_it_means_and_what_comes_later_until_it_is_taken_back() {
    let mut here = setting();
    let id = block_on(here.queue.suspend(rule("domain=a.example", None))).unwrap();
    let kept = here.send_to(&to("a.example"), &["user@a.example"]);
    let mixed = here.send(letter(
        vec![recipient("one@a.example", &to("shared")), recipient("two@b.example", &to("shared"))],
        &here.clock,
    ));
    here.run_for(HOUR);
    assert_eq!(here.far.addresses(), ["two@b.example"]);
    assert_eq!(here.entry(kept).state, EntryState::Suspended { rule: id, until: None });
    assert!(matches!(here.states(mixed)[0], RecipientState::Waiting { why: Waiting::Rule { .. }, attempts: 0, .. }));
    let counters = here.queue.counters();
    assert_eq!((counters.suspended, counters.active), (2, 0));
    assert_eq!(here.list("state=suspended"), [kept, mixed]);
    here.restart();
    here.run_for(HOUR);
    assert_eq!(here.far.addresses().len(), 1, "rules are kept");
    assert_eq!(here.queue.rules(), [(id, rule("domain=a.example", None))]);
    assert_eq!(block_on(here.queue.resume(id)), Ok(rule("domain=a.example", None)));
    assert_eq!(block_on(here.queue.resume(id)), Err(RuleError::Unknown));
    here.run_for(1);
    assert_eq!(here.queue.counters().messages, 0);
    assert!(here.queue.rules().is_empty());
}

#[test]
fn a_rule_ends_by_itself() {
    let here = setting();
    let until = DAWN.after(seconds(HOUR));
    block_on(here.queue.suspend(rule("source=alice", Some(until)))).unwrap();
    let mut envelope = letter(vec![recipient("a@x", &to("x"))], &here.clock);
    envelope.source = "alice".to_owned();
    let id = here.send(envelope);
    here.run_for(HOUR - 10);
    assert!(matches!(here.entry(id).state, EntryState::Suspended { until: Some(one), .. } if one == until));
    here.run_for(20);
    assert_eq!(here.times(), [HOUR]);
    assert!(here.queue.rules().is_empty());
}

#[test]
fn a_rule_stops_what_waits_for_its_turn_and_a_site_can_be_named() {
    let here = setting_with(QueueConfig { per_destination: 1, ..config() });
    here.far.site(to("a.example").key(), "provider");
    here.far.takes(seconds(10));
    (0..5).for_each(|_| {
        here.send_to(&to("a.example"), &["user@a.example"]);
    });
    let mut run = pin!(here.queue.run(here.far.clone()));
    assert_eq!(settle(run.as_mut()), Settled::Waiting);
    let id = block_on(here.queue.suspend(rule("site=prov*", None))).unwrap();
    for _ in 0..10 {
        here.clock.advance(seconds(10));
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
    }
    assert_eq!(here.far.letters().len(), 1, "the attempt under way goes on");
    assert_eq!(here.queue.counters().suspended, 4);
    block_on(here.queue.resume(id)).unwrap();
    for _ in 0..10 {
        assert_eq!(settle(run.as_mut()), Settled::Waiting);
        here.clock.advance(seconds(10));
    }
    assert_eq!(here.queue.counters().messages, 0);
}

#[test]
fn rules_of_another_form_stop_a_start() {
    let here = setting();
    block_on(here.spool.keep_rules(b"posthaste-rules 2\n".to_vec())).unwrap();
    let clock = Arc::new(here.clock.clone());
    assert!(block_on(Queue::open(here.spool, config(), clock)).is_err());
}

#[test]
fn numbers_add_up() {
    let here = setting();
    let ids = deferred(&here, &["a.example", "b.example"], 3);
    here.apply(Action::Hold, &format!("id={}", ids[0]));
    let counters = here.queue.counters();
    assert_eq!((counters.messages, counters.held, counters.waiting, counters.active), (6, 1, 5, 0));
    assert_eq!((counters.accepted, counters.deferred, counters.delivered), (6, 6, 0));
}

#[test]
fn a_search_gets_past_mail_that_went_behind_its_back() {
    let here = setting();
    let ids = deferred(&here, &["a.example"], 3);
    let facts = |id| Facts { id, notes: vec![Note::Done], wake: Wake::Now, synced: Synced::Now };
    ids.iter().for_each(|id| block_on(here.spool.record(facts(*id))).unwrap());
    assert_eq!(here.apply(Action::Hold, "all").matched, 0);
    assert_eq!(here.list("all"), []);
}

#[test]
fn threads_that_send_look_and_meddle_at_the_same_time_lose_nothing() {
    let here = setting();
    let (queue, far) = (here.queue.clone(), here.far.clone());
    let dispatcher = std::thread::spawn(move || block_on(queue.run(far)));
    let senders: Vec<_> = (0..4)
        .map(|number| {
            let (queue, clock) = (here.queue.clone(), here.clock.clone());
            std::thread::spawn(move || {
                for _ in 0..300 {
                    let to = vec![recipient("a@x", &to(&format!("d{number}"))), recipient("b@x", &to("shared"))];
                    block_on(async {
                        let mut incoming = queue.begin(letter(to, &clock)).await.unwrap();
                        incoming.write(b"text\r\n").await.unwrap();
                        incoming.commit().await.map(drop).unwrap();
                    });
                }
            })
        })
        .collect();
    for _ in 0..30 {
        here.apply(Action::Hold, "all");
        here.list("domain=x");
        here.apply(Action::Requeue, "site=mx:d1");
        here.apply(Action::Release, "state=held");
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    while here.queue.counters().messages > 0 {
        here.apply(Action::Release, "all");
        std::thread::yield_now();
    }
    here.queue.drain();
    dispatcher.join().unwrap();
    assert_eq!((here.queue.counters().delivered, here.far.addresses().len()), (2400, 2400));
}
