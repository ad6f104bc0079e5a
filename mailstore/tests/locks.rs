//! Locks that somebody else holds: who has to wait, who has not, and what happens meanwhile.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{fs, path::PathBuf, sync::mpsc, thread, time::Duration};

use bytes::Bytes;
use mailstore::{
    Account, FlagChange, Mailbox, NewMessage, Recent, Store, SystemFlag, Writer,
    error::{AppendError, FlagsError, MailboxError, Trouble},
    maildir::{MaildirAccount, MaildirConfig, MaildirMailbox, MaildirStore},
    testing::block_on,
};

struct World {
    dir: tempfile::TempDir,
    store: MaildirStore,
}

impl World {
    /// One thread: who holds it would hold up everybody.
    fn new(lock_wait: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = MaildirConfig { threads: 1, lock_wait, ..MaildirConfig::default() };
        let store = MaildirStore::open(dir.path(), &config).unwrap();
        Self { dir, store }
    }

    fn account(&self, name: &str) -> MaildirAccount {
        block_on(self.store.open(&format!("{name}@example.org"))).unwrap()
    }

    fn inbox(&self, name: &str) -> MaildirMailbox {
        block_on(self.account(name).open("INBOX")).unwrap()
    }

    /// Locks a mailbox as another program on another machine would, until the lock is dropped.
    fn hold(&self, name: &str) -> Foreign {
        let path = self.dir.path().join(format!("example.org/{name}/dovecot-uidlist.lock"));
        fs::write(&path, "1:elsewhere").unwrap();
        Foreign(path)
    }
}

struct Foreign(PathBuf);

impl Drop for Foreign {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

async fn write(mailbox: &MaildirMailbox, new: NewMessage) -> <MaildirMailbox as Mailbox>::Writer {
    let mut writer = mailbox.append(new).await.unwrap();
    writer.write(Bytes::from_static(b"Subject: x\r\n\r\n")).await.unwrap();
    writer
}

fn named(id: &str) -> NewMessage {
    NewMessage { delivery_id: Some(id.to_owned()), ..NewMessage::default() }
}

fn uids(mailbox: &MaildirMailbox) -> Vec<u32> {
    let snapshot = block_on(mailbox.snapshot(Recent::Peek)).unwrap();
    snapshot.messages.iter().map(|message| message.uid).collect()
}

#[test]
fn who_waits_for_a_lock_holds_nobody_else_up() {
    let world = World::new(Duration::from_secs(600));
    let (alice, bob) = (world.inbox("alice"), world.inbox("bob"));
    let lock = world.hold("alice");
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..3 {
            let (alice, sender) = (alice.clone(), sender.clone());
            scope.spawn(move || {
                let appended = block_on(async { write(&alice, NewMessage::default()).await.commit().await });
                sender.send(appended.unwrap().uid).unwrap();
            });
        }
        // Alice's three wait; Bob's fifty do not.
        for uid in 1..=50 {
            let appended = block_on(async { write(&bob, NewMessage::default()).await.commit().await });
            assert_eq!(appended.unwrap().uid, uid);
        }
        assert_eq!(uids(&bob).len(), 50);
        assert!(receiver.try_recv().is_err());
        drop(lock);
        let mut told: Vec<u32> = (0..3).map(|_| receiver.recv().unwrap()).collect();
        told.sort_unstable();
        assert_eq!(told, [1, 2, 3]);
    });
}

#[test]
fn a_delivery_does_not_wait_and_is_not_doubled() {
    let world = World::new(Duration::from_secs(600));
    let alice = world.inbox("alice");
    for known in [false, true] {
        if known {
            uids(&alice);
        }
        let id = format!("id-{known}");
        let lock = world.hold("alice");
        let first = block_on(async { write(&alice, named(&id)).await.deliver().await }).unwrap();
        let again = block_on(async { write(&alice, named(&id)).await.deliver().await }).unwrap();
        assert_eq!(first.guid(), again.guid());
        drop(lock);
        let unlocked = block_on(async { write(&alice, named(&id)).await.deliver().await }).unwrap();
        assert_eq!(first.guid(), unlocked.guid());
        let appended = block_on(async { write(&alice, named(&id)).await.commit().await }).unwrap();
        assert_eq!(appended.custody.guid(), first.guid());
        assert_eq!(uids(&alice).last(), Some(&appended.uid));
    }
    assert_eq!(uids(&alice), [1, 2]);
    let tmp = fs::read_dir(world.dir.path().join("example.org/alice/tmp")).unwrap();
    assert_eq!(tmp.count(), 0);
}

#[test]
fn who_has_a_mailbox_open_is_answered_from_memory() {
    let world = World::new(Duration::from_secs(600));
    let alice = world.inbox("alice");
    block_on(async { write(&alice, NewMessage::default()).await.commit().await }).unwrap();
    assert_eq!(uids(&alice), [1]);
    let lock = world.hold("alice");
    let mut hints = world.account("alice").hints();
    let _custody = block_on(async { write(&alice, NewMessage::default()).await.deliver().await }).unwrap();
    assert_eq!(uids(&alice), [1], "the new message has no UID yet");
    assert_eq!(block_on(alice.flags(&[1..=9])).unwrap().len(), 1);
    drop(lock);
    // Who was answered so is told to ask again.
    loop {
        block_on(hints.next());
        if uids(&alice) == [1, 2] {
            break;
        }
    }
}

#[test]
fn waiting_ends() {
    let world = World::new(Duration::from_millis(30));
    let alice = world.inbox("alice");
    let _lock = world.hold("alice");
    let snapshot = block_on(alice.snapshot(Recent::Peek));
    assert!(matches!(snapshot, Err(MailboxError::Trouble(Trouble::Busy { .. }))));
    let stored = block_on(alice.store_flags(&[1..=9], &FlagChange::add(SystemFlag::Seen)));
    assert!(matches!(stored, Err(FlagsError::Trouble(Trouble::Busy { .. }))));
    let appended = block_on(async { write(&alice, NewMessage::default()).await.commit().await });
    assert!(matches!(appended, Err(AppendError::Trouble(Trouble::Busy { .. }))));
}

#[test]
fn a_future_that_is_dropped_leaves_no_lock_and_no_turn_behind() {
    let world = World::new(Duration::from_secs(600));
    let alice = world.inbox("alice");
    let lock = world.hold("alice");
    for _ in 0..5 {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut waiting = Box::pin(alice.snapshot(Recent::Peek));
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
    }
    drop(lock);
    assert_eq!(uids(&alice), []);
    assert!(!world.dir.path().join("example.org/alice/dovecot-uidlist.lock").exists());
}

#[test]
fn moves_back_and_forth_at_the_same_time_do_not_lock_up() {
    let world = World::new(Duration::from_secs(600));
    let account = world.account("alice");
    block_on(account.create("Other", None)).unwrap();
    let (inbox, other) = (world.inbox("alice"), block_on(account.open("Other")).unwrap());
    for mailbox in [&inbox, &other] {
        for _ in 0..10 {
            block_on(async { write(mailbox, NewMessage::default()).await.commit().await }).unwrap();
        }
    }
    thread::scope(|scope| {
        for (from, to) in [(&inbox, &other), (&other, &inbox)] {
            scope.spawn(move || {
                for _ in 0..10 {
                    block_on(from.move_to(&[1..=u32::MAX], to)).unwrap();
                }
            });
        }
    });
    assert_eq!(uids(&inbox).len() + uids(&other).len(), 20);
}

#[test]
fn an_account_opened_twice_is_one() {
    let world = World::new(Duration::from_secs(600));
    let inbox = world.inbox("alice");
    // No handle of the account is left but the mailbox.
    let mut hints = world.account("ALICE").hints();
    block_on(async { write(&inbox, NewMessage::default()).await.commit().await }).unwrap();
    assert_eq!(block_on(hints.next()), mailstore::Hint::Mailbox("INBOX".into()));
}
