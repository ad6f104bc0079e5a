//! Two processes and a program that knows nothing of locks work on one mailbox in any order, restarts included: every
//! session is told what happened, once; a UID means one message for ever; what all see in the end is what is there.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use mailstore::{
    Account, Changes, Expunge, FlagChange, Flags, Mailbox, NewMessage, Reader, Recent, Since, Snapshot, Store,
    SystemFlag, Writer,
    maildir::{Files, MaildirConfig, MaildirMailbox, MaildirStore},
    testing::{SimFiles, block_on},
};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Op {
    Append(usize),
    Deliver(usize, u8),
    Flag(usize, u8, SystemFlag),
    Keyword(usize, u8, u8),
    Expunge(usize, u8),
    CopyWithin(usize, u8),
    MoveAway(usize, u8),
    Ask(usize),
    Restart(usize),
    ForeignAdd,
    ForeignRemove(u8),
    ForeignRename(u8),
    Pass(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..2_usize;
    let which = any::<u8>();
    let flag = prop::sample::select(&SystemFlag::ALL[..]);
    prop_oneof![
        who.clone().prop_map(Op::Append),
        (who.clone(), 0..4_u8).prop_map(|(who, id)| Op::Deliver(who, id)),
        (who.clone(), which, flag).prop_map(|(who, which, flag)| Op::Flag(who, which, flag)),
        (who.clone(), which, 20..32_u8).prop_map(|(who, which, keyword)| Op::Keyword(who, which, keyword)),
        (who.clone(), which).prop_map(|(who, which)| Op::Expunge(who, which)),
        (who.clone(), which).prop_map(|(who, which)| Op::CopyWithin(who, which)),
        (who.clone(), which).prop_map(|(who, which)| Op::MoveAway(who, which)),
        who.clone().prop_map(Op::Ask),
        who.prop_map(Op::Restart),
        Just(Op::ForeignAdd),
        which.prop_map(Op::ForeignRemove),
        which.prop_map(Op::ForeignRename),
        (0..3_u8).prop_map(Op::Pass),
    ]
}

/// A process with a session in it, and what the session has been told.
struct Process {
    store: MaildirStore,
    inbox: MaildirMailbox,
    other: MaildirMailbox,
    since: Since,
    view: BTreeMap<u32, Flags>,
    modseq: u64,
}

struct World {
    disk: SimFiles,
    processes: Vec<Process>,
    /// What each UID has ever meant.
    meant: BTreeMap<u32, Vec<u8>>,
    /// UIDs that somebody was told are gone.
    gone: BTreeSet<u32>,
    /// The greatest HIGHESTMODSEQ that anybody was told.
    told: u64,
    made: usize,
}

impl Process {
    fn start(disk: &SimFiles) -> (Self, Snapshot) {
        let config = MaildirConfig { threads: 1, lock_wait: Duration::from_secs(60), ..MaildirConfig::default() };
        let store = MaildirStore::with_files(Arc::new(disk.clone()), &config);
        let account = block_on(store.open("alice@example.org")).unwrap();
        // The other process may have made it.
        let _ = block_on(account.create("Other", None));
        let inbox = block_on(account.open("INBOX")).unwrap();
        let other = block_on(account.open("Other")).unwrap();
        let snapshot = block_on(inbox.snapshot(Recent::Peek)).unwrap();
        let view = snapshot.messages.iter().map(|message| (message.uid, message.flags.clone())).collect();
        let (since, modseq) = (snapshot.since.clone(), snapshot.highestmodseq);
        (Self { store, inbox, other, since, view, modseq }, snapshot)
    }

    /// One of the messages that the session knows.
    fn pick(&self, which: u8) -> Option<u32> {
        let uids: Vec<_> = self.view.keys().copied().collect();
        uids.get(usize::from(which) % uids.len().max(1)).copied()
    }

    fn append(&self, new: NewMessage, body: String) {
        block_on(async {
            let mut writer = self.inbox.append(new).await.unwrap();
            writer.write(Bytes::from(body)).await.unwrap();
            writer.commit().await.unwrap();
        });
    }

    fn read(&self, uid: u32) -> Option<Vec<u8>> {
        block_on(async {
            let mut reader = self.inbox.read(uid, 0..u64::MAX).await.ok()?;
            let mut all = Vec::new();
            while let Some(chunk) = reader.next().await.unwrap() {
                all.extend_from_slice(&chunk);
            }
            Some(all)
        })
    }
}

impl World {
    fn new() -> Self {
        let disk = SimFiles::new();
        let (first, _) = Process::start(&disk);
        // All letters are taken, so that half of the keywords have none.
        let mut flags = Flags::default();
        for keyword in 0..26 {
            flags.add_keyword(&format!("keyword-{keyword}")).unwrap();
        }
        first.append(NewMessage { flags, ..NewMessage::default() }, "first\r\n".to_owned());
        let processes = (0..2).map(|_| Process::start(&disk).0).collect();
        Self { disk, processes, meant: BTreeMap::new(), gone: BTreeSet::new(), told: 0, made: 0 }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Append(who) => {
                let body = self.body();
                self.processes[who].append(NewMessage::default(), body);
            }
            Op::Deliver(who, id) => {
                let new = NewMessage { delivery_id: Some(format!("id-{id}")), ..NewMessage::default() };
                let body = format!("delivery {id}\r\n");
                self.processes[who].append(new, body);
            }
            Op::Flag(who, which, flag) => self.change(who, which, &FlagChange::add(flag)),
            Op::Keyword(who, which, keyword) => {
                let mut flags = Flags::default();
                flags.add_keyword(&format!("keyword-{keyword}")).unwrap();
                self.change(who, which, &FlagChange::replace(flags));
            }
            Op::Expunge(who, which) => {
                let process = &self.processes[who];
                if let Some(uid) = process.pick(which) {
                    block_on(process.inbox.expunge(Expunge::These(&[uid..=uid]))).unwrap();
                }
            }
            Op::CopyWithin(who, which) => {
                let process = &self.processes[who];
                if let Some(uid) = process.pick(which) {
                    // Its file may be gone without anybody's having noticed.
                    let _ = block_on(process.inbox.copy(&[uid..=uid], &process.inbox));
                }
            }
            Op::MoveAway(who, which) => {
                let process = &self.processes[who];
                if let Some(uid) = process.pick(which) {
                    block_on(process.inbox.move_to(&[uid..=uid], &process.other)).unwrap();
                }
            }
            Op::Ask(who) => self.ask(who),
            Op::Restart(who) => self.restart(who),
            Op::ForeignAdd => {
                let body = self.body();
                let path = dir("new").join(format!("{}.foreign", self.made));
                self.disk.create(&path).unwrap().write(body.as_bytes()).unwrap();
            }
            Op::ForeignRemove(which) => {
                if let Some((path, _)) = self.file(which) {
                    self.disk.remove(&path).unwrap();
                }
            }
            Op::ForeignRename(which) => {
                if let Some((path, name)) = self.file(which) {
                    let name = name.into_string().unwrap();
                    let base = name.split(':').next().unwrap();
                    let flags = ["", "S", "FS", "RS", "T"][usize::from(which) % 5];
                    self.disk.rename(&path, &dir("cur").join(format!("{base}:2,{flags}"))).unwrap();
                }
            }
            Op::Pass(seconds) => self.disk.pass(i64::from(seconds)),
        }
    }

    fn body(&mut self) -> String {
        self.made += 1;
        format!("message {}\r\n", self.made)
    }

    fn change(&self, who: usize, which: u8, change: &FlagChange) {
        let process = &self.processes[who];
        if let Some(uid) = process.pick(which) {
            block_on(process.inbox.store_flags(&[uid..=uid], change)).unwrap();
        }
    }

    /// One of the message files there are.
    fn file(&self, which: u8) -> Option<(PathBuf, OsString)> {
        let list = |sub| self.disk.list(&dir(sub)).unwrap().into_iter().map(move |name| (dir(sub).join(&name), name));
        let files: Vec<_> = list("new").chain(list("cur")).collect();
        files.get(usize::from(which) % files.len().max(1)).cloned()
    }

    fn ask(&mut self, who: usize) {
        let process = &mut self.processes[who];
        let Changes::Delta(delta) = block_on(process.inbox.changes(&process.since, Recent::Peek)).unwrap() else {
            // It may say so at any time; then the session begins anew.
            let snapshot = block_on(process.inbox.snapshot(Recent::Peek)).unwrap();
            self.learn(who, &snapshot);
            return;
        };
        for uid in &delta.gone {
            assert!(process.view.remove(uid).is_some(), "UID {uid} is gone and was never there");
        }
        for touched in &delta.touched {
            let known = process.view.insert(touched.uid, touched.flags.clone());
            assert!(known.is_some() && touched.modseq > process.modseq, "UID {} is touched", touched.uid);
        }
        for message in &delta.new {
            assert!(process.view.insert(message.uid, message.flags.clone()).is_none());
        }
        assert!(delta.highestmodseq >= self.told);
        self.told = delta.highestmodseq;
        (process.since, process.modseq) = (delta.since.clone(), delta.highestmodseq);
        self.gone.extend(&delta.gone);
        for message in &delta.new {
            self.means(who, message.uid);
        }
    }

    fn restart(&mut self, who: usize) {
        let (process, snapshot) = Process::start(&self.disk);
        assert!(snapshot.highestmodseq >= self.told);
        self.processes[who] = process;
        self.learn(who, &snapshot);
    }

    fn learn(&mut self, who: usize, snapshot: &Snapshot) {
        self.told = self.told.max(snapshot.highestmodseq);
        let process = &mut self.processes[who];
        process.view = snapshot.messages.iter().map(|message| (message.uid, message.flags.clone())).collect();
        (process.since, process.modseq) = (snapshot.since.clone(), snapshot.highestmodseq);
        for message in &snapshot.messages {
            self.means(who, message.uid);
        }
    }

    fn means(&mut self, who: usize, uid: u32) {
        assert!(!self.gone.contains(&uid), "UID {uid} came back");
        let Some(body) = self.processes[who].read(uid) else { return };
        let known = self.meant.entry(uid).or_insert_with(|| body.clone());
        assert_eq!(*known, body, "UID {uid} means another message");
    }

    /// In the end all sessions see the files that there are.
    fn finish(mut self) {
        self.disk.pass(5);
        for who in [0, 1, 0, 1] {
            self.ask(who);
        }
        assert_eq!(self.processes[0].view, self.processes[1].view);
        let (fresh, snapshot) = Process::start(&self.disk);
        assert_eq!(fresh.view, self.processes[0].view);
        let files = ["new", "cur"].map(|sub| self.disk.list(&dir(sub)).unwrap().len());
        assert_eq!(fresh.view.len(), files.iter().sum::<usize>());
        let bodies: Vec<_> = snapshot.messages.iter().map(|message| fresh.read(message.uid).unwrap()).collect();
        for id in 0..4 {
            let delivered = format!("delivery {id}\r\n").into_bytes();
            let guids: Vec<_> = bodies.iter().filter(|body| **body == delivered).collect();
            // Only by copying can there be more than one.
            let named = snapshot.messages.iter().filter(|message| message.guid.contains(&format!("D=id-{id},")));
            assert!(named.count() <= 1, "{} deliveries of id {id}", guids.len());
        }
        drop(self.processes.iter().map(|process| &process.store));
    }
}

fn dir(name: &str) -> PathBuf {
    Path::new("example.org/alice").join(name)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everybody_sees_the_same_mailbox_in_the_end(ops in prop::collection::vec(op(), 1..50)) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        world.finish();
    }
}
