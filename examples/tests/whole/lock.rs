//! A mailbox whose lock another program holds, and everybody else.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::beside::beside;
use crate::dialogue::Dialogue;
use crate::node::{ALICE, BOB, Node, PATIENCE};
use crate::post;

/// Sessions of the locked user that wait: more than any pool of threads has room for.
const WAITING: usize = 100;

/// The lock that Dovecot and we take, held by this process. It looks like one that is in use for as long as it is held.
struct Held {
    path: PathBuf,
    content: String,
}

impl Held {
    fn take(maildir: &std::path::Path) -> Self {
        let path = maildir.join("dovecot-uidlist.lock");
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let content = format!("{}:{}", std::process::id(), host.trim());
        let end = Instant::now() + PATIENCE;
        // The server may hold it for a moment.
        let mut file = loop {
            match File::create_new(&path) {
                Ok(file) => break file,
                Err(_) => assert!(Instant::now() < end, "the lock is never free"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        file.write_all(content.as_bytes()).unwrap();
        Self { path, content }
    }

    fn is_held(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|content| content == self.content)
    }

    /// As Dovecot does with a lock that it still needs.
    fn touch(&self) {
        if let Ok(file) = File::options().write(true).open(&self.path) {
            file.set_modified(SystemTime::now()).unwrap();
        }
    }

    fn release(self) {
        assert!(self.is_held(), "the server took away a lock that is in use");
        fs::remove_file(&self.path).unwrap();
    }
}

#[test]
fn a_held_lock_is_the_matter_of_its_mailbox_alone() {
    let node = Node::start(&["--plaintext-auth", "--connections-per-address=1000"]);
    for user in [ALICE, BOB] {
        post::by_smtp(&node, user, &text("before"));
        assert_eq!(subjects(&node, user), ["before"]);
    }
    let lock = Held::take(&node.maildir(ALICE));
    let touch = || lock.touch();
    beside(Duration::from_millis(100), touch, || {
        // Whether these get an answer, and which, is between them and the lock; they must only not be in the way. They
        // ask for what only the lock's holder can tell: the numbers of new messages.
        post::by_lmtp(&node, ALICE, &text("while locked, by LMTP"));
        let waiting: Vec<_> = (0..WAITING).map(|number| start_session(&node, number)).collect();
        for round in 0..3 {
            let subject = format!("while the other is locked, {round}");
            post::by_smtp(&node, BOB, &text(&subject));
            let expected = |found: &Vec<String>| found.len() == 2 + round && found[1 + round] == subject;
            assert!(expected(&subjects_when(&node, BOB, 2 + round)));
            session_by_imap(&node, BOB, 2 + round);
        }
        post::by_smtp(&node, ALICE, &text("while locked, by SMTP"));
        wait_for_files(&node, 3);
        assert!(lock.is_held(), "the server took away a lock that is in use");
        drop(waiting);
    });
    lock.release();
    let mut here = subjects_when(&node, ALICE, 3);
    here.sort();
    assert_eq!(here, ["before", "while locked, by LMTP", "while locked, by SMTP"]);
    node.stop();
}

fn text(subject: &str) -> String {
    format!("Subject: {subject}\r\n\r\n.\r\n")
}

/// A session of the locked user that has asked for its mailbox, and reads no answer.
fn start_session(node: &Node, number: usize) -> Dialogue {
    let (address, password) = ALICE;
    if number.is_multiple_of(2) {
        let mut pop3 = Dialogue::tcp(node.address("pop3")).unwrap();
        pop3.line().unwrap();
        pop3.pop3(&format!("USER {address}")).unwrap();
        pop3.send(format!("PASS {password}\r\n").as_bytes()).unwrap();
        pop3
    } else {
        let mut imap = Dialogue::tcp(node.address("imap")).unwrap();
        imap.imap_login(ALICE).unwrap();
        imap.send(b"b SELECT INBOX\r\n").unwrap();
        imap
    }
}

/// A whole session: everything that a client does at its start.
fn session_by_imap(node: &Node, user: (&str, &str), messages: usize) {
    let mut imap = Dialogue::tcp(node.address("imap")).unwrap();
    imap.imap_login(user).unwrap();
    imap.imap("LIST \"\" *").unwrap();
    let selected = imap.imap("SELECT INBOX").unwrap();
    assert!(selected.contains(&format!("* {messages} EXISTS")), "{selected:?}");
    imap.imap("STORE 1 +FLAGS (\\Flagged)").unwrap();
    imap.imap("LOGOUT").unwrap();
}

/// Subjects of what is in an INBOX.
fn subjects(node: &Node, user: (&str, &str)) -> Vec<String> {
    subjects_when(node, user, 1)
}

/// The same, as soon as there are so many.
fn subjects_when(node: &Node, user: (&str, &str), count: usize) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        // Another session may have the maildrop still.
        let found = try_subjects(node, user);
        match found {
            Ok(found) if found.len() >= count => return found,
            found => assert!(Instant::now() < end, "{found:?} is all that arrived"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn try_subjects(node: &Node, user: (&str, &str)) -> std::io::Result<Vec<String>> {
    let mut pop3 = Dialogue::tcp(node.address("pop3"))?;
    pop3.pop3_login(user)?;
    let stat = pop3.pop3("STAT")?;
    let count: usize = stat.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap();
    let mut subjects = Vec::new();
    for number in 1..=count {
        pop3.pop3(&format!("TOP {number} 0"))?;
        let header = String::from_utf8(pop3.pop3_body()?).unwrap();
        subjects.extend(header.lines().find_map(|line| line.strip_prefix("Subject: ")).map(str::to_owned));
    }
    pop3.pop3("QUIT")?;
    Ok(subjects)
}

/// Waits until so many messages lie in alice's INBOX, whoever may read them.
fn wait_for_files(node: &Node, count: usize) {
    let maildir = node.maildir(ALICE);
    let files = |folder: &str| fs::read_dir(maildir.join(folder)).map_or(0, Iterator::count);
    let end = Instant::now() + PATIENCE;
    loop {
        let here = files("new") + files("cur");
        if here >= count {
            return;
        }
        assert!(Instant::now() < end, "{here} messages arrived, of {count}");
        thread::sleep(Duration::from_millis(20));
    }
}
