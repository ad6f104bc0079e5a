//! Dovecot reads what we have written and we read what Dovecot has written, also both at the same time. Without
//! `doveadm` (Debian: dovecot-core) these tests say that they were skipped.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use bytes::Bytes;
use mailstore::{
    Account, Expunge, FlagChange, Flags, Mailbox, NewMessage, Presence, Reader, Recent, Store, SystemFlag, Writer,
    maildir::{MaildirAccount, MaildirConfig, MaildirStore},
    testing::block_on,
};

/// What both sides say about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    guid: String,
    flags: BTreeSet<String>,
    size: u64,
    date: i64,
}

type Dump = BTreeMap<u32, Seen>;

/// A directory that both use, and where Dovecot writes what it has to complain about.
struct Dovecot {
    dir: tempfile::TempDir,
}

impl Dovecot {
    /// `None`, and word of it, where there is no Dovecot.
    fn new(test: &str) -> Option<Self> {
        if Command::new("doveadm").arg("--version").output().is_err() {
            let what = format!("{test}: there is no doveadm here (Debian: apt-get install dovecot-core)\n");
            // Not by a macro, whose output nobody sees when the test passes.
            std::io::stderr().write_all(format!("skipped: {what}").as_bytes()).unwrap();
            // Whoever runs all tests is told at the end.
            if let Some(told) = std::env::var_os("POSTHASTE_SKIPPED") {
                fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(told)
                    .unwrap()
                    .write_all(what.as_bytes())
                    .unwrap();
            }
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let config = format!(
            "mail_location = maildir:{path}/mail/example.org/alice\nnamespace inbox {{\n  inbox = yes\n  separator = /\n}}\n\
             log_path = {path}/log\nmail_uid = nobody\nbase_dir = {path}/run\nstate_dir = {path}/run\nssl = no\n"
        );
        fs::write(dir.path().join("dovecot.conf"), config).unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        Some(Self { dir })
    }

    fn mail(&self) -> PathBuf {
        self.dir.path().join("mail")
    }

    fn ours(&self) -> MaildirAccount {
        let store = MaildirStore::open(&self.mail(), &MaildirConfig::default()).unwrap();
        block_on(store.open("alice@example.org")).unwrap()
    }

    /// Where tests run as root, Dovecot runs as nobody, and everything must be nobody's.
    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    fn own(&self) {
        if Self::is_root() {
            let path = self.dir.path();
            assert!(Command::new("chown").args(["-R", "nobody:nogroup"]).arg(path).status().unwrap().success());
            assert!(Command::new("chmod").arg("0755").arg(path).status().unwrap().success());
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let config = self.dir.path().join("dovecot.conf");
        let mut command = match Self::is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "doveadm"]);
                command
            }
            false => Command::new("doveadm"),
        };
        command.arg("-c").arg(config).args(args).env("HOME", self.dir.path()).env("USER", "nobody");
        command
    }

    fn run(&self, args: &[&str], input: &[u8]) -> String {
        let mut child =
            self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "doveadm {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn save(&self, mailbox: &str, message: &[u8]) {
        self.run(&["save", "-m", mailbox], message);
    }

    fn dump(&self, mailbox: &str) -> Dump {
        let fields = "uid guid flags size.virtual date.received.unixtime";
        let rows = self.run(&["-f", "tab", "fetch", fields, "mailbox", mailbox, "ALL"], b"");
        let row = |row: &str| {
            let columns: Vec<_> = row.split('\t').collect();
            let flags = columns[2].split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent");
            let seen = Seen {
                guid: columns[1].to_owned(),
                flags: flags.map(str::to_owned).collect(),
                size: columns[3].parse().unwrap(),
                date: columns[4].parse().unwrap(),
            };
            (columns[0].parse().unwrap(), seen)
        };
        rows.lines().skip(1).map(row).collect()
    }

    /// UIDVALIDITY and UIDNEXT.
    fn numbers(&self, mailbox: &str) -> (u32, u32) {
        let row = self.run(&["-f", "tab", "mailbox", "status", "uidnext uidvalidity", mailbox], b"");
        let columns: Vec<u32> = row.lines().nth(1).unwrap().split('\t').skip(1).map(|n| n.parse().unwrap()).collect();
        (columns[1], columns[0])
    }

    /// The message as it is on disk.
    fn text(&self, mailbox: &str, uid: u32) -> String {
        let text = self.run(&["-f", "flow", "fetch", "text", "mailbox", mailbox, "uid", &uid.to_string()], b"");
        // The value, and a line end that is no part of it.
        text.strip_prefix("text=").unwrap().strip_suffix('\n').unwrap().to_owned()
    }

    /// Removes what Dovecot could compute again.
    fn forget_indexes(&self) {
        let account = self.mail().join("example.org/alice");
        let dirs = fs::read_dir(&account).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        for dir in dirs.chain([account]) {
            for file in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
                if file.file_name().to_string_lossy().starts_with("dovecot.") {
                    fs::remove_file(file.path()).unwrap();
                }
            }
        }
    }

    fn complaints(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

fn dump(account: &MaildirAccount, mailbox: &str) -> Dump {
    let mailbox = block_on(account.open(mailbox)).unwrap();
    let snapshot = block_on(mailbox.snapshot(Recent::Peek)).unwrap();
    let seen = |message: mailstore::Message| {
        let system = message.flags.system().map(|flag| format!("\\{flag:?}"));
        let flags = system.chain(message.flags.keywords().map(str::to_owned)).collect();
        (message.uid, Seen { guid: message.guid.to_string(), flags, size: message.size, date: message.internal_date })
    };
    snapshot.messages.into_iter().map(seen).collect()
}

fn numbers(account: &MaildirAccount, mailbox: &str) -> (u32, u32) {
    let status = block_on(account.status(&[mailbox])).remove(0).unwrap();
    (status.uidvalidity, status.uidnext)
}

fn read(account: &MaildirAccount, mailbox: &str, uid: u32) -> Vec<u8> {
    block_on(async {
        let mut reader = account.open(mailbox).await.unwrap().read(uid, 0..u64::MAX).await.unwrap();
        let mut all = Vec::new();
        while let Some(chunk) = reader.next().await.unwrap() {
            all.extend_from_slice(&chunk);
        }
        all
    })
}

fn append(account: &MaildirAccount, mailbox: &str, new: NewMessage, body: &[u8]) -> u32 {
    block_on(async {
        let mut writer = account.open(mailbox).await.unwrap().append(new).await.unwrap();
        writer.write(Bytes::copy_from_slice(body)).await.unwrap();
        writer.commit().await.unwrap().uid
    })
}

fn message(number: usize) -> Vec<u8> {
    format!("Subject: {number}\r\n\r\n..a dot\r\n{}\r\n", "x".repeat(number)).into_bytes()
}

#[test]
fn we_read_what_dovecot_has_written() {
    let Some(dovecot) = Dovecot::new("we_read_what_dovecot_has_written") else { return };
    fs::create_dir_all(dovecot.mail().join("example.org")).unwrap();
    dovecot.own();
    for number in 1..=6 {
        dovecot.save("INBOX", &message(number));
    }
    dovecot.save("INBOX", b"Subject: unix\n\nlines\n");
    dovecot.save("INBOX", "Subject: 8 bit\r\n\r\nä\u{1f4e7}, no end of line".as_bytes());
    dovecot.run(&["flags", "add", "\\Seen \\Flagged $Forwarded Work", "mailbox", "INBOX", "uid", "1:3"], b"");
    dovecot.run(&["flags", "remove", "\\Flagged", "mailbox", "INBOX", "uid", "2"], b"");
    dovecot.run(&["expunge", "mailbox", "INBOX", "uid", "4"], b"");
    for mailbox in ["Büro/日本", "A&B", "Gone"] {
        dovecot.run(&["mailbox", "create", mailbox], b"");
    }
    dovecot.run(&["mailbox", "subscribe", "Büro/日本", "INBOX"], b"");
    dovecot.run(&["mailbox", "delete", "Gone"], b"");
    dovecot.run(&["copy", "Büro/日本", "mailbox", "INBOX", "uid", "1:2"], b"");
    dovecot.save("Büro/日本", &message(9));

    let ours = dovecot.ours();
    let list: Vec<_> = block_on(ours.list()).unwrap();
    let names: Vec<_> = list.iter().map(|info| (&*info.name, info.presence, info.subscribed)).collect();
    let expected = [
        ("A&B", Presence::Mailbox, false),
        ("Büro", Presence::Parent, false),
        ("Büro/日本", Presence::Mailbox, true),
        ("INBOX", Presence::Mailbox, true),
    ];
    assert_eq!(names, expected);
    for mailbox in ["INBOX", "Büro/日本", "A&B"] {
        assert_eq!(dump(&ours, mailbox), dovecot.dump(mailbox), "{mailbox}");
        assert_eq!(numbers(&ours, mailbox), dovecot.numbers(mailbox), "{mailbox}");
    }
    for uid in [1, 5, 7, 8] {
        let text = String::from_utf8(read(&ours, "INBOX", uid)).unwrap();
        assert_eq!(text, dovecot.text("INBOX", uid).replace('\n', "\r\n"), "UID {uid}");
    }
    assert_eq!(dump(&ours, "INBOX").len(), 7);

    // Dovecot goes on, and we see it.
    let inbox = block_on(ours.open("INBOX")).unwrap();
    let since = block_on(inbox.snapshot(Recent::Peek)).unwrap().since;
    dovecot.own();
    dovecot.save("INBOX", &message(10));
    dovecot.run(&["expunge", "mailbox", "INBOX", "uid", "1"], b"");
    dovecot.run(&["flags", "add", "Later", "mailbox", "INBOX", "uid", "5"], b"");
    let mailstore::Changes::Delta(delta) = block_on(inbox.changes(&since, Recent::Peek)).unwrap() else { panic!() };
    assert_eq!(delta.gone, [1]);
    assert_eq!(delta.new.iter().map(|message| message.uid).collect::<Vec<_>>(), [9]);
    assert_eq!(delta.touched.iter().map(|touched| touched.uid).collect::<Vec<_>>(), [5]);
    assert_eq!(dump(&ours, "INBOX"), dovecot.dump("INBOX"));
    assert_eq!(dovecot.complaints(), "");
}

#[test]
fn dovecot_reads_what_we_have_written() {
    let Some(dovecot) = Dovecot::new("dovecot_reads_what_we_have_written") else { return };
    let ours = dovecot.ours();
    for mailbox in ["Büro/日本", "A&B", "Old", "Gone"] {
        block_on(ours.create(mailbox, None)).unwrap();
    }
    for number in 1..=8 {
        let mut flags = Flags::default();
        if number % 2 == 0 {
            flags.add(SystemFlag::Seen);
            flags.add(SystemFlag::Answered);
            flags.add_keyword("$Forwarded").unwrap();
        }
        let delivery_id = (number == 3).then(|| "delivery-1.0".to_owned());
        let internal_date = Some(1_500_000_000 + number as i64);
        let new = NewMessage { flags, internal_date, delivery_id, ..NewMessage::default() };
        append(&ours, "INBOX", new, &message(number));
    }
    append(&ours, "INBOX", NewMessage::default(), b"Subject: mixed\r\n\r\nline\nends\r\n");
    let inbox = block_on(ours.open("INBOX")).unwrap();
    let other = block_on(ours.open("Büro/日本")).unwrap();
    let mut work = Flags::from(SystemFlag::Flagged);
    work.add_keyword("Work").unwrap();
    block_on(inbox.store_flags(&[1..=3], &FlagChange::add(work))).unwrap();
    block_on(inbox.copy(&[2..=3], &other)).unwrap();
    block_on(inbox.move_to(&[5..=6], &other)).unwrap();
    block_on(inbox.expunge(Expunge::These(&[4..=4]))).unwrap();
    append(&ours, "Old", NewMessage::default(), &message(1));
    dovecot.own();
    assert_eq!(dovecot.dump("Old").len(), 1, "Dovecot has an index of it");
    block_on(ours.rename("Old", "New/Name")).unwrap();
    block_on(ours.delete("Gone")).unwrap();
    block_on(ours.subscribe("Büro/日本")).unwrap();
    dovecot.own();

    let list = dovecot.run(&["mailbox", "list"], b"");
    let names: BTreeSet<_> = list.lines().collect();
    assert_eq!(names, BTreeSet::from(["A&B", "Büro", "Büro/日本", "INBOX", "New", "New/Name"]));
    assert_eq!(dovecot.run(&["mailbox", "list", "-s"], b"").trim_end(), "Büro/日本");
    for indexes in ["none", "kept", "removed"] {
        for mailbox in ["INBOX", "Büro/日本", "A&B", "New/Name"] {
            assert_eq!(dovecot.dump(mailbox), dump(&ours, mailbox), "{mailbox}, indexes {indexes}");
            assert_eq!(dovecot.numbers(mailbox), numbers(&ours, mailbox), "{mailbox}, indexes {indexes}");
        }
        for uid in [1, 3, 8] {
            let text = dovecot.text("INBOX", uid).replace('\n', "\r\n");
            assert_eq!(text.as_bytes(), message(uid as usize), "UID {uid}");
        }
        if indexes == "kept" {
            dovecot.forget_indexes();
        }
        // We go on, and Dovecot sees it.
        let uid = append(&ours, "INBOX", NewMessage::default(), &message(20));
        block_on(inbox.store_flags(&[1..=1, uid..=uid], &FlagChange::add(SystemFlag::Draft))).unwrap();
        block_on(inbox.expunge(Expunge::These(&[uid - 1..=uid - 1]))).unwrap();
        dovecot.own();
    }
    assert_eq!(dovecot.dump("INBOX"), dump(&ours, "INBOX"));
    assert_eq!(dovecot.complaints(), "");
}

#[test]
fn both_write_at_the_same_time() {
    const EACH: usize = 12;
    let Some(dovecot) = Dovecot::new("both_write_at_the_same_time") else { return };
    let ours = dovecot.ours();
    append(&ours, "INBOX", NewMessage::default(), &message(1));
    dovecot.own();
    let told: BTreeSet<u32> = thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let ours = ours.clone();
                scope.spawn(move || {
                    let append = |number| append(&ours, "INBOX", NewMessage::default(), &message(100 + number));
                    (0..EACH).map(append).collect::<Vec<_>>()
                })
            })
            .collect();
        scope.spawn(|| (0..EACH).for_each(|number| dovecot.save("INBOX", &message(200 + number))));
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(told.len(), 2 * EACH, "no UID was told twice");
    dovecot.own();
    let seen = dump(&ours, "INBOX");
    assert_eq!(seen.len(), 3 * EACH + 1);
    assert_eq!(seen, dovecot.dump("INBOX"));
    let guids: BTreeSet<_> = seen.values().map(|seen| &seen.guid).collect();
    assert_eq!(guids.len(), seen.len());
    assert_eq!(dovecot.complaints(), "");
}
