//! What other programs do to a Maildir, and what accidents do.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use mailstore::{
    Account, Changes, Delta, Expunge, FlagChange, Flags, Mailbox, NewMessage, Reader, Recent, Since, Snapshot, Store,
    SystemFlag, Writer,
    maildir::{MaildirConfig, MaildirMailbox, MaildirStore},
    testing::block_on,
};

struct World {
    dir: tempfile::TempDir,
    inbox: MaildirMailbox,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let inbox = open(dir.path());
        Self { dir, inbox }
    }

    /// The same mail served by another process.
    fn reopened(self) -> Self {
        Self { inbox: open(self.dir.path()), dir: self.dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("example.org/alice").join(name)
    }

    fn snapshot(&self) -> Snapshot {
        block_on(self.inbox.snapshot(Recent::Peek)).unwrap()
    }

    fn uids(&self) -> Vec<u32> {
        self.snapshot().messages.iter().map(|message| message.uid).collect()
    }

    fn changes(&self, since: &Since) -> Delta {
        match block_on(self.inbox.changes(since, Recent::Peek)).unwrap() {
            Changes::Delta(delta) => delta,
            Changes::Resync => panic!("resync"),
        }
    }

    fn append(&self, body: &'static [u8]) -> u32 {
        block_on(async {
            let mut writer = self.inbox.append(NewMessage::default()).await.unwrap();
            writer.write(Bytes::from_static(body)).await.unwrap();
            writer.commit().await.unwrap().uid
        })
    }

    fn read(&self, uid: u32) -> Vec<u8> {
        block_on(async {
            let mut reader = self.inbox.read(uid, 0..u64::MAX).await.unwrap();
            let mut all = Vec::new();
            while let Some(chunk) = reader.next().await.unwrap() {
                all.extend_from_slice(&chunk);
            }
            all
        })
    }

    /// Lets the file system's clock go on, which on some kernels ticks only every 10 ms: what others do in the same tick
    /// as we is seen later.
    fn tick(&self) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }

    /// The only file in one of the directories.
    fn only(&self, dir: &str) -> PathBuf {
        let mut files = fs::read_dir(self.path(dir)).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        file
    }

    fn list(&self) -> String {
        fs::read_to_string(self.path("dovecot-uidlist")).unwrap()
    }
}

fn open(dir: &Path) -> MaildirMailbox {
    let store = MaildirStore::open(dir, &MaildirConfig::default()).unwrap();
    let account = block_on(store.open("alice@example.org")).unwrap();
    block_on(account.open("INBOX")).unwrap()
}

#[test]
fn files_that_appear_get_uids_in_the_order_of_their_age_and_are_measured() {
    let world = World::new();
    let since = world.snapshot().since;
    fs::write(world.path("new/1000.M20P1.host"), "Subject: second\n\n").unwrap();
    fs::write(world.path("cur/1000.M3P1.host,S=9:2,RS"), "S: first\n").unwrap();
    fs::write(world.path("new/1001.x"), "a\r\nb\n").unwrap();
    fs::write(world.path("new/.hidden"), "").unwrap();
    fs::create_dir(world.path("new/directory")).unwrap();
    fs::write(world.dir.path().join("secret"), "secret").unwrap();
    symlink("../../../secret", world.path("new/link")).unwrap();
    let new = world.changes(&since).new;
    let seen: Vec<_> = new.iter().map(|m| (m.uid, m.size, &*m.guid)).collect();
    assert_eq!(seen, [(1, 10, "1000.M3P1.host,S=9"), (2, 19, "1000.M20P1.host"), (3, 6, "1001.x")]);
    assert!(new[0].flags.has(SystemFlag::Answered) && new[0].flags.has(SystemFlag::Seen));
    assert_eq!(world.read(2), b"Subject: second\r\n\r\n");
    assert_eq!(world.read(3), b"a\r\nb\r\n");
    assert_eq!(world.uids(), [1, 2, 3]);
}

#[test]
fn of_foreign_messages_the_end_is_looked_at_once() {
    let world = World::new();
    let files: [(&str, &[u8]); 8] = [
        ("new/1.empty,S=0,W=0", b""),
        ("new/2.lf,S=4,W=6", b"a\nb\n"),
        ("new/3.none,S=3,W=4", b"a\nb"),
        ("new/4.crlf,S=3,W=3", b"a\r\n"),
        ("new/5.cr,S=4,W=4", b"a\r\n\r"),
        ("new/6.unmeasured", b"a\nb"),
        ("new/7.raw,S=2,W=2", b"a\n"),
        ("cur/8.one,S=1,W=2:2,S", b"\n"),
    ];
    let put = |octet: Option<u8>| {
        for (name, text) in files {
            let mut text = text.to_vec();
            if let (Some(last), Some(octet)) = (text.last_mut(), octet) {
                *last = octet;
            }
            fs::write(world.path(name), text).unwrap();
        }
    };
    put(None);
    let known = |world: &World| block_on(world.inbox.open_ended(&[1..=99])).unwrap();
    assert_eq!(known(&world), [3, 5, 6, 7]);
    assert_eq!(world.read(7), b"a\n", "this one is not widened, for its name says so");
    put(Some(b'x'));
    assert_eq!(known(&world), [3, 5, 6, 7], "nobody looks again");
    let world = world.reopened();
    assert_eq!(known(&world), [3, 5, 6, 7], "also not after a restart");
}

#[test]
fn what_another_program_moves_meanwhile_is_looked_at_where_it_is_then() {
    let world = World::new();
    fs::write(world.path("new/1.a,S=1,W=1"), "a").unwrap();
    fs::write(world.path("new/2.b,S=1,W=1"), "b").unwrap();
    assert_eq!(world.uids(), [1, 2]);
    fs::rename(world.path("new/1.a,S=1,W=1"), world.path("cur/1.a,S=1,W=1:2,S")).unwrap();
    fs::remove_file(world.path("new/2.b,S=1,W=1")).unwrap();
    assert_eq!(block_on(world.inbox.open_ended(&[1..=2])).unwrap(), [1]);
}

#[test]
fn a_wrong_size_in_a_name_does_not_make_a_wrong_message() {
    let world = World::new();
    // The length on disk is wrong; then the length as read.
    fs::write(world.path("new/1.x,S=5,W=6"), "Subject: x\n\nbody\n").unwrap();
    fs::write(world.path("new/2.x,S=12,W=24"), "Subject: x\n\n").unwrap();
    let sizes = |world: &World| world.snapshot().messages.iter().map(|m| m.size).collect::<Vec<_>>();
    assert_eq!(sizes(&world), [20, 24]);
    assert_eq!(world.read(1), b"Subject: x\r\n\r\nbody\r\n");
    // Whoever reads it first is told that it is broken, and from then on it is right.
    let read = block_on(async {
        let mut reader = world.inbox.read(2, 0..u64::MAX).await.unwrap();
        while reader.next().await?.is_some() {}
        Ok::<_, mailstore::error::ReadError>(())
    });
    assert!(read.is_err());
    assert_eq!(world.read(2), b"Subject: x\r\n\r\n");
    assert_eq!(sizes(&world), [20, 14]);
    assert_eq!(sizes(&world.reopened()), [20, 14]);
}

#[test]
fn renames_by_other_programs_are_flag_changes_and_their_letters_stay() {
    let world = World::new();
    world.append(b"x\r\n");
    let since = world.snapshot().since;
    let file = world.only("new");
    let base = file.file_name().unwrap().to_str().unwrap().to_owned();
    world.tick();
    fs::rename(&file, world.path(&format!("cur/{base}:2,FPSz,more"))).unwrap();
    let touched = world.changes(&since).touched;
    assert_eq!(touched[0].flags, [SystemFlag::Flagged, SystemFlag::Seen].into_iter().collect());
    assert_eq!(world.read(1), b"x\r\n");
    block_on(world.inbox.store_flags(&[1..=1], &FlagChange::replace(SystemFlag::Draft))).unwrap();
    assert_eq!(world.only("cur"), world.path(&format!("cur/{base}:2,DPz,more")));
    // Between our looking and our doing, too.
    world.tick();
    fs::rename(world.only("cur"), world.path(&format!("cur/{base}:2,DPSz,more"))).unwrap();
    block_on(world.inbox.store_flags(&[1..=1], &FlagChange::add(SystemFlag::Deleted))).unwrap();
    assert_eq!(world.only("cur"), world.path(&format!("cur/{base}:2,DPSTz,more")));
    world.tick();
    fs::rename(world.only("cur"), world.path(&format!("new/{base}"))).unwrap();
    assert_eq!(world.read(1), b"x\r\n");
    world.tick();
    fs::rename(world.only("new"), world.path(&format!("cur/{base}:2,T"))).unwrap();
    assert_eq!(block_on(world.inbox.expunge(Expunge::Deleted)).unwrap(), [1]);
    assert_eq!(fs::read_dir(world.path("cur")).unwrap().count(), 0);
}

#[test]
fn what_changed_while_nobody_looked_has_a_new_modseq() {
    let world = World::new();
    world.append(b"x\r\n");
    world.append(b"y\r\n");
    block_on(world.inbox.store_flags(&[1..=2], &FlagChange::add(SystemFlag::Seen))).unwrap();
    let before = world.snapshot();
    for file in fs::read_dir(world.path("cur")).unwrap() {
        let path = file.unwrap().path();
        let name = path.to_str().unwrap();
        if fs::read(&path).unwrap() == b"x\n" {
            fs::rename(name, name.replace(":2,S", ":2,FS")).unwrap();
        }
    }
    let world = world.reopened();
    let after = world.snapshot();
    assert!(after.highestmodseq > before.highestmodseq);
    assert!(after.messages[0].modseq > before.highestmodseq);
    assert_eq!(after.messages[1].modseq, before.messages[1].modseq);
    let again = world.reopened().snapshot();
    assert_eq!(again.messages, after.messages);
}

#[test]
fn a_removed_file_is_gone_and_its_uid_never_comes_back() {
    let world = World::new();
    for body in [&b"a\r\n"[..], b"b\r\n", b"c\r\n"] {
        world.append(body);
    }
    let since = world.snapshot().since;
    let removed = fs::read_dir(world.path("new")).unwrap().map(|file| file.unwrap().path());
    let removed = removed.into_iter().find(|path| fs::read(path).unwrap() == b"b\n").unwrap();
    world.tick();
    fs::rename(&removed, world.path("backup")).unwrap();
    assert_eq!(world.changes(&since).gone, [2]);
    // Somebody restores it, while we run and after we have.
    world.tick();
    fs::rename(world.path("backup"), &removed).unwrap();
    assert_eq!(world.uids(), [1, 3, 4]);
    assert_eq!(world.read(4), b"b\r\n");
    block_on(world.inbox.expunge(Expunge::These(&[4..=4]))).unwrap();
    fs::write(&removed, "b\n").unwrap();
    let world = world.reopened();
    assert_eq!(world.uids(), [1, 3, 5]);
    assert_eq!(world.snapshot().uidnext, 6);
}

#[test]
fn two_files_of_one_name_become_two_messages_and_one_file_of_two_names_one() {
    let world = World::new();
    world.append(b"original\r\n");
    let file = world.only("new");
    let base = file.file_name().unwrap().to_str().unwrap().to_owned();
    world.tick();
    fs::write(world.path(&format!("cur/{base}:2,S")), "restored\n").unwrap();
    assert_eq!(world.uids(), [1, 2]);
    let bodies = BTreeSet::from([world.read(1), world.read(2)]);
    assert_eq!(bodies, BTreeSet::from([b"original\r\n".to_vec(), b"restored\r\n".to_vec()]));
    fs::hard_link(&file, world.path(&format!("cur/{base}:2,F"))).unwrap();
    let world = world.reopened();
    assert_eq!(world.uids(), [1, 2]);
}

#[test]
fn couriers_list_and_version_1_are_taken_over() {
    for name in ["courierimapuiddb", "dovecot-uidlist"] {
        let world = World::new();
        fs::write(world.path("new/1.a"), "a\n").unwrap();
        fs::write(world.path("cur/2.b:2,S"), "b\n").unwrap();
        fs::write(world.path("cur/3.c:2,S"), "c\n").unwrap();
        fs::write(world.path(name), "1 1234567890 9\n5 1.a\n7 2.b:2,S\n").unwrap();
        let snapshot = world.snapshot();
        assert_eq!((snapshot.uidvalidity, snapshot.uidnext), (1_234_567_890, 10));
        assert_eq!(world.uids(), [5, 7, 9]);
        assert!(world.list().starts_with("3 V1234567890 N10 G"));
        assert_eq!(world.reopened().uids(), [5, 7, 9]);
    }
}

#[test]
fn couriers_unique_ids_are_taken_over_with_its_uids_or_without() {
    for imap in ["", "1 1234567890 9\n5 2.b:2,S\n"] {
        let world = World::new();
        for (name, text) in [("new/1.a", "a\n"), ("cur/2.b:2,S", "b\n"), ("new/3.c", "c\n")] {
            fs::write(world.path(name), text).unwrap();
        }
        if !imap.is_empty() {
            fs::write(world.path("courierimapuiddb"), imap).unwrap();
        }
        let pop3 = "/3 9 1700000000\n1.a 3 4:1700000000:0\n2.b:2,S 3 6:1600000000:0\n2.gone 3 7:1700000000:0\n";
        fs::write(world.path("courierpop3dsizelist"), pop3).unwrap();
        let uidls = |world: &World| -> Vec<_> {
            let messages = world.snapshot().messages;
            messages.iter().map(|message| (message.guid.to_string(), message.uidl(255))).collect()
        };
        let before = uidls(&world);
        let mut known: Vec<_> = before[..2].to_vec();
        known.sort_unstable();
        let uidl = |guid: &str, uidl: &str| (guid.to_owned(), uidl.to_owned());
        assert_eq!(known, [uidl("1.a", "UID4-1700000000"), uidl("2.b", "UID6-1600000000")]);
        assert_eq!((before.len(), before[2].0.as_str()), (3, "3.c"));
        assert!(before[2].1.ends_with("000000ff"), "it was never listed before: {before:?}");
        if !imap.is_empty() {
            assert_eq!((before[0].0.as_str(), world.uids()[0]), ("2.b", 5));
        }
        fs::remove_file(world.path("courierpop3dsizelist")).unwrap();
        assert_eq!(uidls(&world.reopened()), before);
    }
}

#[test]
fn fields_of_dovecots_list_are_kept_and_heeded() {
    let world = World::new();
    fs::write(world.path("new/1.a"), "a\n").unwrap();
    fs::write(world.path("new/2.b"), "b\n").unwrap();
    let list = "3 V1234567890 N6 Gaa X77\n4 W3 Gguid-of-a Puidl-of-a :1.a\n5 Z9 :2.b\n";
    fs::write(world.path("dovecot-uidlist"), list).unwrap();
    let messages = world.snapshot().messages;
    assert_eq!((&*messages[0].guid, messages[0].uidl(1)), ("guid-of-a", "uidl-of-a".to_owned()));
    assert_eq!((&*messages[1].guid, messages[1].uidl(255)), ("2.b", "00000005000000ff".to_owned()));
    assert_eq!(world.list(), list, "there was no reason to change it");
    world.append(b"c\r\n");
    assert!(world.list().starts_with(list));
    // A damaged line in between: its message gets a new UID, and all fields survive the rewriting.
    fs::write(world.path("dovecot-uidlist"), world.list().replace("5 Z9", "five Z9")).unwrap();
    let world = world.reopened();
    assert_eq!(world.uids(), [4, 6, 7]);
    assert!(world.list().starts_with("3 V1234567890 N8 Gaa X77\n4 W3 Gguid-of-a Puidl-of-a :1.a\n6 :"));
}

#[test]
fn a_list_that_cannot_be_read_means_a_greater_uidvalidity() {
    let world = World::new();
    world.append(b"x\r\n");
    let before = world.snapshot();
    fs::write(world.path("dovecot-uidlist"), "\0\0\0\0").unwrap();
    let after = world.reopened().snapshot();
    assert!(after.uidvalidity > before.uidvalidity);
    assert!(after.highestmodseq > before.highestmodseq);
    assert_eq!(after.messages.len(), 1);
}

#[test]
fn without_our_facts_the_mail_is_still_there_and_modseq_does_not_sink() {
    let world = World::new();
    world.append(b"x\r\n");
    block_on(world.inbox.store_flags(&[1..=1], &FlagChange::add(SystemFlag::Seen))).unwrap();
    let before = world.snapshot();
    for damage in ["", "rubbish", "posthaste-facts 1\nrubbish\n"] {
        fs::write(world.path("posthaste-facts"), damage).unwrap();
        let after = World { inbox: open(world.dir.path()), dir: tempfile::tempdir().unwrap() }.snapshot();
        assert_eq!((after.uidvalidity, after.uidnext, after.messages.len()), (before.uidvalidity, 2, 1));
        assert_eq!(after.messages[0].flags, before.messages[0].flags);
        assert!(after.highestmodseq > before.highestmodseq && after.messages[0].modseq > before.highestmodseq);
    }
}

#[test]
fn keywords_beyond_the_letters_survive_a_restart_and_a_copy() {
    let world = World::new();
    world.append(b"x\r\n");
    let mut flags = Flags::default();
    for number in 0..40 {
        flags.add_keyword(&format!("keyword-{number}")).unwrap();
    }
    block_on(world.inbox.store_flags(&[1..=1], &FlagChange::replace(flags.clone()))).unwrap();
    block_on(world.inbox.copy(&[1..=1], &world.inbox)).unwrap();
    let world = world.reopened();
    let all: Vec<_> = world.snapshot().messages.into_iter().map(|message| message.flags).collect();
    assert_eq!(all, [flags.clone(), flags]);
    assert_eq!(fs::read_to_string(world.path("dovecot-keywords")).unwrap().lines().count(), 26);
}

#[test]
fn two_processes_serve_one_mailbox() {
    let world = World::new();
    let other = open(world.dir.path());
    world.append(b"one\r\n");
    let mut since = block_on(other.snapshot(Recent::Peek)).unwrap().since;
    let mut ask = || match block_on(other.changes(&since, Recent::Peek)).unwrap() {
        Changes::Delta(delta) => {
            since = delta.since.clone();
            delta
        }
        Changes::Resync => panic!("resync"),
    };
    world.append(b"two\r\n");
    block_on(world.inbox.store_flags(&[1..=1], &FlagChange::add(SystemFlag::Seen))).unwrap();
    let delta = ask();
    assert_eq!(delta.new.iter().map(|message| message.uid).collect::<Vec<_>>(), [2]);
    assert_eq!(delta.touched.iter().map(|touched| touched.uid).collect::<Vec<_>>(), [1]);
    assert!(delta.highestmodseq >= world.snapshot().highestmodseq);
    block_on(world.inbox.expunge(Expunge::These(&[1..=1]))).unwrap();
    assert_eq!(ask().gone, [1]);
    // \Recent is claimed in one of them only.
    assert_eq!(block_on(world.inbox.snapshot(Recent::Claim)).unwrap().recent, [2]);
    assert_eq!(block_on(other.snapshot(Recent::Claim)).unwrap().recent, []);
    assert!(ask().is_empty());
}

#[test]
fn many_expunges_do_not_let_files_grow() {
    let world = World::new();
    world.append(b"stays\r\n");
    for _ in 0..60 {
        let uid = world.append(b"goes\r\n");
        block_on(world.inbox.expunge(Expunge::These(&[uid..=uid]))).unwrap();
    }
    assert!(world.list().lines().count() < 40);
    let world = world.reopened();
    assert_eq!(world.uids(), [1]);
    assert_eq!(world.snapshot().uidnext, 62);
}

#[test]
fn a_symbolic_link_is_no_mailbox() {
    let world = World::new();
    let outside = world.dir.path().join("outside");
    for dir in ["new", "cur", "tmp"] {
        fs::create_dir_all(outside.join(dir)).unwrap();
    }
    fs::write(outside.join("new/1.x"), "secret\n").unwrap();
    symlink(&outside, world.path(".Link")).unwrap();
    let store = MaildirStore::open(world.dir.path(), &MaildirConfig::default()).unwrap();
    let account = block_on(store.open("alice@example.org")).unwrap();
    assert!(block_on(account.open("Link")).is_err());
    assert_eq!(block_on(account.list()).unwrap().len(), 1);
}

#[test]
fn word_comes_when_another_program_delivers() {
    let world = World::new();
    let store = MaildirStore::open(world.dir.path(), &MaildirConfig::default()).unwrap();
    let account = block_on(store.open("alice@example.org")).unwrap();
    let mut hints = account.hints();
    let inbox = block_on(account.open("INBOX")).unwrap();
    block_on(inbox.snapshot(Recent::Peek)).unwrap();
    while hints.try_next().is_some() {}
    fs::write(world.path("new/1.x"), "x\n").unwrap();
    assert_eq!(block_on(hints.next()), mailstore::Hint::Mailbox("INBOX".into()));
    assert_eq!(block_on(inbox.snapshot(Recent::Peek)).unwrap().messages.len(), 1);
}

#[test]
fn pieces_of_a_long_message_are_read_from_anywhere() {
    let world = World::new();
    let body: Vec<u8> = (0..40_000).flat_map(|line| format!("line {line}\r\n").into_bytes()).collect();
    block_on(async {
        let mut writer = world.inbox.append(NewMessage::default()).await.unwrap();
        for chunk in body.chunks(7001) {
            writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        writer.commit().await.unwrap();
    });
    let piece = |from: usize, to: usize| {
        block_on(async {
            let mut reader = world.inbox.read(1, from as u64..to as u64).await.unwrap();
            let mut all = Vec::new();
            while let Some(chunk) = reader.next().await.unwrap() {
                all.extend_from_slice(&chunk);
            }
            assert_eq!(all, body[from..to], "{from}..{to}");
        });
    };
    for at in (0..body.len() - 65_536).step_by(65_536) {
        piece(at, at + 65_536);
    }
    for at in [300_000, 5, 299_999, 70_000, 0] {
        piece(at, at + 1000);
    }
}
