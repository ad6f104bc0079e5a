//! Deliveries, expunges, copies and moves on a disk that fails or loses power at every single call: what was promised
//! is kept, exactly once, and trying again never doubles anything.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use mailstore::{
    Account, Appended, Expunge, FlagChange, Flags, Mailbox, NewMessage, Reader, Recent, Snapshot, SpecialUse, Store,
    SystemFlag, Writer,
    error::AppendError,
    maildir::{MaildirConfig, MaildirMailbox, MaildirStore},
    testing::{Failure, Loss, SimFiles, block_on},
};

const OLD: &[u8] = b"Subject: old\r\n\r\nwas here before\r\n";
const NEW: &[u8] = b"Subject: new\r\n\r\nis on its way\r\n";
const MIXED: &[u8] = b"Subject: mixed\r\n\r\nline\nends\r\n";

const LOSSES: [Loss; 8] = [
    Loss::All,
    Loss::Nothing,
    Loss::Some(1),
    Loss::Some(2),
    Loss::Some(3),
    Loss::Some(4),
    Loss::Some(5),
    Loss::Some(6),
];

/// One thread, so that calls come in the same order every time.
fn config() -> MaildirConfig {
    MaildirConfig { threads: 1, lock_wait: Duration::ZERO, host: Some("host".to_owned()), ..MaildirConfig::default() }
}

struct World {
    disk: SimFiles,
    store: MaildirStore,
    inbox: MaildirMailbox,
}

impl World {
    /// A disk with one durable message in INBOX and a mailbox `Other`.
    fn new() -> Self {
        let disk = SimFiles::new();
        let world = Self::on(disk);
        block_on(append(&world.inbox, NewMessage::default(), OLD)).unwrap();
        let account = block_on(world.store.open("alice@example.org")).unwrap();
        block_on(account.create("Other", None)).unwrap();
        world
    }

    fn on(disk: SimFiles) -> Self {
        let store = MaildirStore::with_files(Arc::new(disk.clone()), &config());
        let account = block_on(store.open("alice@example.org")).unwrap();
        let inbox = block_on(account.open("INBOX")).unwrap();
        Self { disk, store, inbox }
    }

    /// The same disk after its power was gone.
    fn restarted(self, loss: Loss) -> Self {
        self.disk.restart(loss);
        // A lock that was torn does not say whose it was, and is respected until it is old.
        self.disk.pass(130);
        Self::on(self.disk)
    }

    /// The same disk after the process was killed.
    fn revived(self) -> Self {
        self.disk.revive();
        self.disk.pass(130);
        Self::on(self.disk)
    }

    fn other(&self) -> MaildirMailbox {
        let account = block_on(self.store.open("alice@example.org")).unwrap();
        block_on(account.open("Other")).unwrap()
    }
}

fn named(id: &str) -> NewMessage {
    NewMessage { delivery_id: Some(id.to_owned()), internal_date: Some(1_234_567_890), ..NewMessage::default() }
}

async fn append<M: Mailbox>(mailbox: &M, new: NewMessage, body: &[u8]) -> Result<Appended, AppendError> {
    let mut writer = mailbox.append(new).await?;
    writer.write(Bytes::copy_from_slice(body)).await?;
    writer.commit().await
}

fn snapshot(mailbox: &MaildirMailbox) -> Snapshot {
    block_on(mailbox.snapshot(Recent::Peek)).unwrap()
}

/// All messages by UID.
fn bodies(mailbox: &MaildirMailbox) -> BTreeMap<u32, Vec<u8>> {
    let read = |uid, size: u64| {
        block_on(async {
            let mut reader = mailbox.read(uid, 0..u64::MAX).await.unwrap();
            let mut all = Vec::new();
            while let Some(chunk) = reader.next().await.unwrap() {
                all.extend_from_slice(&chunk);
            }
            assert_eq!(all.len() as u64, size);
            all
        })
    };
    snapshot(mailbox).messages.iter().map(|message| (message.uid, read(message.uid, message.size))).collect()
}

fn count(mailbox: &MaildirMailbox, body: &[u8]) -> usize {
    bodies(mailbox).values().filter(|known| *known == body).count()
}

/// Runs something with each of its calls failing in turn, and looks at what came of it. Says how many calls it has.
fn at_every_call<T>(how: Failure, run: impl Fn(&World) -> T, look: impl Fn(World, T, u64)) -> u64 {
    for call in 1.. {
        let world = World::new();
        world.disk.fail_at(call, how);
        let outcome = run(&world);
        let finished = world.disk.take_plan();
        look(world, outcome, call);
        if finished {
            return call;
        }
    }
    0
}

/// Each way of bringing a message in says which UID it was told, if any.
type Deliver = fn(&World) -> Result<Option<u32>, AppendError>;

const DELIVERIES: [(Deliver, &[u8]); 4] = [
    (|world| block_on(append(&world.inbox, named("id-1"), NEW)).map(|appended| Some(appended.uid)), NEW),
    (|world| block_on(append(&world.inbox, named("id-1"), MIXED)).map(|appended| Some(appended.uid)), MIXED),
    (
        |world| {
            let mut flags = Flags::from(SystemFlag::Seen);
            flags.add_keyword("$Work").unwrap();
            let new = NewMessage { flags, ..named("id-1") };
            block_on(append(&world.inbox, new, NEW)).map(|appended| Some(appended.uid))
        },
        NEW,
    ),
    (
        |world| {
            block_on(async {
                let mut writer = world.inbox.append(named("id-1")).await?;
                writer.write(Bytes::from_static(NEW)).await?;
                writer.deliver().await.map(|_| None)
            })
        },
        NEW,
    ),
];

#[test]
fn a_message_that_was_taken_survives_power_loss_at_any_call_and_is_never_doubled() {
    for (deliver, body) in DELIVERIES {
        for loss in LOSSES {
            let calls = at_every_call(Failure::PowerOff, deliver, |world, outcome, call| {
                let what = format!("{loss:?} at call {call}, {outcome:?}");
                let world = world.restarted(loss);
                let found = bodies(&world.inbox);
                assert_eq!(found.get(&1).map(Vec::as_slice), Some(OLD), "{what}");
                let copies = count(&world.inbox, body);
                match outcome {
                    Ok(told) => {
                        assert_eq!(copies, 1, "{what}");
                        if let Some(uid) = told {
                            assert_eq!(found.get(&uid).map(Vec::as_slice), Some(body), "{what}");
                        }
                    }
                    Err(_) => assert!(copies <= 1, "{what}"),
                }
                // Whatever happened, the sender tries again.
                let uid = deliver(&world).unwrap();
                assert_eq!(count(&world.inbox, body), 1, "{what}, again");
                let world = world.restarted(Loss::All);
                assert_eq!(deliver(&world).unwrap(), uid, "{what}, and again");
                assert_eq!(bodies(&world.inbox).len(), 2, "{what}");
                if let Some(uid) = uid {
                    assert_eq!(bodies(&world.inbox)[&uid], body, "{what}");
                }
            });
            assert!(calls > 20, "{calls} calls");
        }
    }
}

#[test]
fn a_call_that_fails_costs_an_error_and_nothing_else() {
    for (deliver, body) in DELIVERIES {
        for failure in [Failure::Error, Failure::Full] {
            at_every_call(failure, deliver, |world, outcome, call| {
                let what = format!("{failure:?} at call {call}, {outcome:?}");
                let copies = count(&world.inbox, body);
                match outcome {
                    Ok(_) => assert_eq!(copies, 1, "{what}"),
                    Err(_) => assert!(copies <= 1, "{what}"),
                }
                // The same process goes on.
                let uid = deliver(&world).unwrap();
                assert_eq!(count(&world.inbox, body), 1, "{what}, again");
                let told = snapshot(&world.inbox);
                for loss in [Loss::All, Loss::Nothing] {
                    let world = World::on(world.disk.clone()).restarted(loss);
                    let found = bodies(&world.inbox);
                    assert_eq!(found.get(&1).map(Vec::as_slice), Some(OLD), "{what}");
                    assert_eq!(count(&world.inbox, body), 1, "{what}, after {loss:?}");
                    if let Some(uid) = uid {
                        assert_eq!(found.get(&uid).map(Vec::as_slice), Some(body), "{what}, after {loss:?}");
                    }
                    never_back(&told, &snapshot(&world.inbox), &what);
                }
            });
        }
    }
}

#[test]
fn what_a_killed_process_left_is_made_durable_before_it_is_answered_for() {
    for (deliver, body) in DELIVERIES {
        at_every_call(Failure::PowerOff, deliver, |world, _, call| {
            let what = format!("call {call}");
            let world = world.revived();
            let told = snapshot(&world.inbox);
            let uid = deliver(&world).unwrap();
            let world = world.restarted(Loss::All);
            never_back(&told, &snapshot(&world.inbox), &what);
            assert_eq!(count(&world.inbox, body), 1, "{what}");
            if let Some(uid) = uid {
                assert_eq!(bodies(&world.inbox)[&uid], body, "{what}");
            }
        });
        at_every_call(Failure::PowerOff, deliver, |world, _, call| {
            let world = world.revived();
            let told = snapshot(&world.inbox);
            let world = world.restarted(Loss::All);
            never_back(&told, &snapshot(&world.inbox), &format!("call {call}, only looked at"));
        });
    }
}

/// UIDVALIDITY, UIDNEXT and HIGHESTMODSEQ never go back, and a UID never names another message.
fn never_back(before: &Snapshot, after: &Snapshot, what: &str) {
    assert!(after.uidvalidity >= before.uidvalidity, "{what}");
    if after.uidvalidity > before.uidvalidity {
        return;
    }
    assert!(after.uidnext >= before.uidnext, "{what}: UIDNEXT {} {}", before.uidnext, after.uidnext);
    assert!(after.highestmodseq >= before.highestmodseq, "{what}: MODSEQ");
    for message in &after.messages {
        match before.messages.iter().find(|old| old.uid == message.uid) {
            Some(old) => assert_eq!(old.guid, message.guid, "{what}: UID {}", message.uid),
            None => assert!(message.uid >= before.uidnext, "{what}: UID {} came back", message.uid),
        }
    }
}

#[test]
fn told_numbers_never_go_back_whenever_the_power_goes() {
    for loss in LOSSES {
        let changes = |world: &World| {
            let mut told = Vec::new();
            let mut look = || told.extend(block_on(world.inbox.snapshot(Recent::Claim)));
            look();
            for step in 0..4 {
                let _ = match step {
                    0 => block_on(append(&world.inbox, named("id-2"), NEW)).map(drop).ok(),
                    1 => block_on(world.inbox.store_flags(&[1..=9], &FlagChange::add(SystemFlag::Seen))).map(drop).ok(),
                    2 => block_on(world.inbox.expunge(Expunge::These(&[2..=9]))).map(drop).ok(),
                    _ => block_on(append(&world.inbox, named("id-3"), NEW)).map(drop).ok(),
                };
                look();
            }
            told
        };
        at_every_call(Failure::PowerOff, changes, |world, told, call| {
            let what = format!("{loss:?} at call {call}");
            let Some(last) = told.last() else { return };
            for pair in told.windows(2) {
                never_back(&pair[0], &pair[1], &what);
            }
            let world = world.restarted(loss);
            let after = snapshot(&world.inbox);
            never_back(last, &after, &what);
            let seen = |snapshot: &Snapshot| {
                let flags = |m: &mailstore::Message| (m.uid, m.modseq, m.flags.clone());
                snapshot.messages.iter().map(flags).collect::<Vec<_>>()
            };
            // Where flags differ from what was told with a MODSEQ, the MODSEQ is a new one.
            for (uid, modseq, flags) in seen(last) {
                for (known, later, now) in seen(&after) {
                    if known == uid && now != flags {
                        assert!(later > modseq && later > last.highestmodseq, "{what}: UID {uid}");
                    }
                }
            }
        });
    }
}

#[test]
fn an_expunged_delivery_stays_known_whenever_the_power_goes() {
    for loss in LOSSES {
        let expunge = |world: &World| {
            let taken = block_on(append(&world.inbox, named("id-1"), NEW));
            let gone = block_on(world.inbox.expunge(Expunge::These(&[2..=2])));
            (taken.is_ok(), gone.is_ok_and(|gone| gone == [2]))
        };
        at_every_call(Failure::PowerOff, expunge, |world, (taken, expunged), call| {
            let what = format!("{loss:?} at call {call}");
            let world = world.restarted(loss);
            let copies = count(&world.inbox, NEW);
            assert!(if expunged { copies == 0 } else { copies <= 1 }, "{what}");
            block_on(append(&world.inbox, named("id-1"), NEW)).unwrap();
            let after = count(&world.inbox, NEW);
            // Once it was taken, it is delivered again only if nothing of it had been promised to be kept.
            assert!(if taken { after == copies } else { after == 1 || copies == 0 }, "{what}");
        });
    }
}

#[test]
fn moved_messages_are_never_nowhere() {
    for loss in LOSSES {
        let moves = |world: &World| {
            block_on(append(&world.inbox, NewMessage::default(), NEW)).is_ok().then(|| {
                let other = world.other();
                block_on(world.inbox.move_to(&[1..=2], &other)).map(|copied| copied.uids)
            })
        };
        // The message is appended and the mailbox opened before anything fails.
        let prelude = {
            let world = World::new();
            let before = world.disk.calls();
            block_on(append(&world.inbox, NewMessage::default(), NEW)).unwrap();
            world.other();
            world.disk.calls() - before
        };
        for call in prelude + 1.. {
            let world = World::new();
            world.disk.fail_at(call, Failure::PowerOff);
            let outcome = moves(&world).unwrap();
            let finished = world.disk.take_plan();
            let what = format!("{loss:?} at call {call}, {outcome:?}");
            let world = world.restarted(loss);
            let other = world.other();
            for body in [OLD, NEW] {
                let (here, there) = (count(&world.inbox, body), count(&other, body));
                assert!(here + there >= 1, "{what}: lost");
                assert!(here + there <= 2 && here <= 1 && there <= 1, "{what}: {here} and {there}");
                if outcome.is_ok() {
                    assert_eq!((here, there), (0, 1), "{what}");
                }
            }
            if let Ok(uids) = &outcome {
                let found = bodies(&other);
                assert_eq!((&*found[&uids[0].1], &*found[&uids[1].1]), (OLD, NEW), "{what}");
            }
            if finished {
                break;
            }
        }
    }
}

#[test]
fn copies_and_moves_that_fail_leave_both_mailboxes_as_they_were() {
    let transfers: [fn(&World, &MaildirMailbox) -> bool; 2] = [
        |world, other| block_on(world.inbox.copy(&[1..=2], other)).is_ok(),
        |world, other| block_on(world.inbox.move_to(&[1..=2], other)).is_ok(),
    ];
    for (number, transfer) in transfers.into_iter().enumerate() {
        for call in 1.. {
            let world = World::new();
            block_on(append(&world.inbox, NewMessage::default(), NEW)).unwrap();
            let other = world.other();
            world.disk.fail_at(call, Failure::Error);
            let done = transfer(&world, &other);
            let finished = world.disk.take_plan();
            let what = format!("transfer {number}, call {call}, {done}");
            for body in [OLD, NEW] {
                let (here, there) = (count(&world.inbox, body), count(&other, body));
                let right = match (done, number) {
                    (true, 0) => (here, there) == (1, 1),
                    (true, _) => (here, there) == (0, 1),
                    // When the last steps of a move fail, the messages are in the other mailbox already.
                    (false, 0) => (here, there) == (1, 0),
                    (false, _) => here + there == 1,
                };
                assert!(right, "{what}: {here} and {there}");
            }
            if finished {
                break;
            }
        }
    }
}

#[test]
fn flags_that_cannot_all_be_stored_are_not_stored() {
    for call in 1.. {
        let world = World::new();
        for _ in 0..3 {
            block_on(append(&world.inbox, NewMessage::default(), NEW)).unwrap();
        }
        world.disk.fail_at(call, Failure::Error);
        let stored = block_on(world.inbox.store_flags(&[1..=4], &FlagChange::add(SystemFlag::Flagged)));
        let finished = world.disk.take_plan();
        let flagged =
            snapshot(&world.inbox).messages.iter().filter(|message| message.flags.has(SystemFlag::Flagged)).count();
        // Only the last call of all, which notes what is done, may fail when it is.
        assert!(if stored.is_ok() { flagged == 4 } else { flagged == 0 || flagged == 4 }, "call {call}: {flagged}");
        if finished {
            break;
        }
    }
}

#[test]
fn what_is_left_in_tmp_is_swept_when_it_is_old() {
    use mailstore::maildir::Files;
    let tmp = std::path::Path::new("example.org/alice/tmp");
    let world = World::new();
    let mut writer = block_on(world.inbox.append(named("id-1"))).unwrap();
    block_on(writer.write(Bytes::from(vec![b'x'; 100_000]))).unwrap();
    let world = world.restarted(Loss::Nothing);
    std::mem::forget(writer);
    snapshot(&world.inbox);
    assert!(!world.disk.list(tmp).unwrap().is_empty(), "it may still be written");
    world.disk.pass(37 * 3600);
    let world = world.restarted(Loss::Nothing);
    snapshot(&world.inbox);
    assert_eq!(world.disk.list(tmp).unwrap().len(), 0);
}

#[test]
fn a_message_with_an_old_date_is_not_swept_while_it_is_written() {
    let world = World::new();
    let writer = block_on(world.other().append(named("id-1"))).unwrap();
    // The mailbox is read, and its tmp swept, when the message is finished.
    let world = World::on(world.disk);
    block_on(writer.commit()).unwrap();
    assert_eq!(snapshot(&world.other()).messages[0].internal_date, 1_234_567_890);
}

#[test]
fn mailboxes_are_made_renamed_and_deleted_whenever_the_power_goes() {
    let change: fn(&World) -> [bool; 3] = |world| {
        let account = block_on(world.store.open("alice@example.org"));
        let Ok(account) = account else { return [false; 3] };
        let created = block_on(account.create("Made/Here", Some(SpecialUse::Sent))).is_ok();
        let renamed = block_on(account.rename("Other", "New/Name")).is_ok();
        let deleted = block_on(account.delete("Made/Here")).is_ok();
        [created, renamed, deleted]
    };
    for loss in LOSSES {
        for call in 1.. {
            let world = World::new();
            block_on(append(&world.other(), named("id-1"), NEW)).unwrap();
            world.disk.fail_at(call, Failure::PowerOff);
            let [created, renamed, deleted] = change(&world);
            let finished = world.disk.take_plan();
            let what = format!("{loss:?} at call {call}: {created} {renamed} {deleted}");
            let world = world.restarted(loss);
            let account = block_on(world.store.open("alice@example.org")).unwrap();
            let there = |name| block_on(account.open(name)).ok();
            match (there("Other"), there("New/Name")) {
                (Some(mailbox), None) => assert!(!renamed && count(&mailbox, NEW) == 1, "{what}"),
                (None, Some(mailbox)) => assert_eq!(count(&mailbox, NEW), 1, "{what}"),
                (Some(_), Some(_)) | (None, None) => panic!("{what}: neither or both"),
            }
            let made = there("Made/Here").is_some();
            // Before the rename was done the deletion had not begun.
            let expected = if created && !renamed { Some(true) } else { deleted.then_some(false) };
            assert!(expected.is_none_or(|expected| made == expected), "{what}");
            // Everything can be done again, or on.
            if made {
                block_on(account.delete("Made/Here")).unwrap();
            }
            block_on(account.create("Made/Here", Some(SpecialUse::Sent))).unwrap();
            assert_eq!(bodies(&there("Made/Here").unwrap()).len(), 0, "{what}");
            if finished {
                break;
            }
        }
    }
}
