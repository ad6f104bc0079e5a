//! Clients that fetch a maildrop: all of it, then nothing, then what is new, and at last with deletion on the server.

mod clients;
mod letters;
mod sink;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::{Tls, files_below};
use crate::dialogue::Dialogue;
use crate::message::{compare, unix_lines};
use crate::node::{ALICE, BOB, Node};
use crate::program::{Faults, find};
use letters::Letter;

/// The third user.
const CAROL: (&str, &str) = ("carol@example.org", "gr\u{fc}\u{df} gott");

/// A client, and what is known of it.
struct Client {
    program: &'static str,
    /// When it can begin TLS.
    ways: &'static [Tls],
    /// Octets of the longest line that it takes.
    longest_line: usize,
    fetch: fn(&Visit<'_>) -> Result<Output, String>,
    /// Whether a file that it keeps is the message that was sent.
    same: fn(&[u8], &[u8]) -> bool,
    /// The status with which it ends where there was nothing to fetch.
    nothing_new: i32,
    /// How it ends at a wrong password.
    denied: Ending,
    /// How it ends at a maildrop that another session has.
    in_use: Ending,
}

/// How a program ends that does not get what it wants.
struct Ending {
    status: i32,
    /// What it says about it, among other things.
    words: &'static str,
}

/// What a client is sent for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// To see that there is nothing.
    Look,
    /// To fetch what it has not seen, and to leave it there.
    Fetch,
    /// To fetch, and to delete what was fetched.
    Take,
}

/// One run of a client.
struct Visit<'a> {
    node: &'a Node,
    tls: Tls,
    user: (&'a str, &'a str),
    errand: Errand,
    /// Where the client keeps its settings, and what it remembers from one visit to the next.
    home: &'a Path,
    /// Where it puts the messages of this visit: an empty folder.
    kept: &'a Path,
}

impl Visit<'_> {
    /// The port of the service that the client speaks to.
    fn port(&self) -> u16 {
        self.node.port(&self.tls.service("pop3"))
    }

    /// A file with the password in it.
    fn password_file(&self) -> PathBuf {
        self.write("password", self.user.1)
    }

    /// A file in the client's home, readable by nobody else: some clients insist on that.
    fn write(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.home.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

#[test]
fn poplib_fetches_by_unique_id() {
    meet(&clients::POPLIB);
}

#[test]
fn curl_fetches_by_unique_id() {
    meet(&clients::CURL);
}

#[test]
fn fetchmail_fetches_keeps_and_deletes() {
    meet(&clients::FETCHMAIL);
}

#[test]
fn getmail_fetches_keeps_and_deletes() {
    meet(&clients::GETMAIL);
}

#[test]
fn mpop_fetches_keeps_and_deletes() {
    meet(&clients::MPOP);
}

#[test]
fn mutt_fetches_keeps_and_deletes() {
    if find("script").is_some() {
        meet(&clients::MUTT);
    }
}

/// The whole course of a client, on each way to the server, each for a user of its own.
fn meet(client: &Client) {
    if find(client.program).is_none() {
        return;
    }
    let (address, password) = CAROL;
    let node = Node::start(&["--plaintext-auth", &format!("--user={address}:{password}")]);
    let mut faults = Faults::default();
    thread::scope(|scope| {
        let courses = client.ways.iter().zip([ALICE, BOB, CAROL]).map(|(tls, user)| {
            let course = Course { client, node: &node, tls: *tls, user };
            (tls, scope.spawn(move || course.run()))
        });
        for (tls, course) in courses.collect::<Vec<_>>() {
            faults.note(format!("{}, TLS {}", client.program, tls.word()), course.join().unwrap());
        }
    });
    faults.assert_none();
    node.stop();
}

/// A client on one way to the server.
struct Course<'a> {
    client: &'a Client,
    node: &'a Node,
    tls: Tls,
    user: (&'static str, &'static str),
}

impl Course<'_> {
    fn run(&self) -> Result<(), String> {
        let home = self.folder("home");
        // The first login makes the maildrop, too.
        self.fetch(&home, Errand::Look, self.client.nothing_new, &[]).map_err(told("an empty maildrop"))?;
        let mut sent = letters::nasty(self.client.longest_line);
        sent.iter().for_each(|letter| self.deliver(letter));
        self.fetch(&home, Errand::Fetch, 0, &sent).map_err(told("the first visit"))?;
        self.fetch(&home, Errand::Fetch, self.client.nothing_new, &[]).map_err(told("the second visit"))?;
        let new = letters::new();
        self.deliver(&new);
        self.fetch(&home, Errand::Fetch, 0, std::slice::from_ref(&new)).map_err(told("a visit for one message"))?;
        sent.push(new);

        self.refused(&home, "wrong", &self.client.denied).map_err(told("a wrong password"))?;
        let mut other = Dialogue::tcp(self.node.address("pop3")).unwrap();
        other.pop3_login(self.user).unwrap();
        self.refused(&home, self.user.1, &self.client.in_use).map_err(told("a locked maildrop"))?;
        other.pop3("QUIT").unwrap();

        // Another computer of the same user's, which takes all there is.
        let home = self.folder("other-home");
        self.fetch(&home, Errand::Take, 0, &sent).map_err(told("a visit that deletes"))?;
        let maildir = self.node.maildir(self.user);
        let left = [files_below(&maildir.join("new")), files_below(&maildir.join("cur"))].concat();
        if left.is_empty() { Ok(()) } else { Err(format!("left after a visit that deletes: {left:?}")) }
    }

    /// Visits, and compares what the client keeps of it with what is `due`.
    fn fetch(&self, home: &Path, errand: Errand, status: i32, due: &[Letter]) -> Result<(), String> {
        let kept = self.visit(home, errand, self.user.1, &Ending { status, words: "" })?;
        let kept: Vec<_> = kept.iter().map(|file| fs::read(file).unwrap()).collect();
        compare(&kept, due, self.client.same)
    }

    /// Visits in vain.
    fn refused(&self, home: &Path, password: &str, ending: &Ending) -> Result<(), String> {
        let kept = self.visit(home, Errand::Fetch, password, ending)?;
        if kept.is_empty() { Ok(()) } else { Err(format!("it got {kept:?}")) }
    }

    /// Runs the client, which must end so, and says what files it keeps.
    fn visit(&self, home: &Path, errand: Errand, password: &str, due: &Ending) -> Result<Vec<PathBuf>, String> {
        let kept = self.folder("kept");
        let (address, _) = self.user;
        let visit = Visit { node: self.node, tls: self.tls, user: (address, password), errand, home, kept: &kept };
        let Output { status, stdout, stderr } = (self.client.fetch)(&visit)?;
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        if status.code() == Some(due.status) && said.contains(due.words) {
            return Ok(files_below(&kept));
        }
        Err(format!("{status}, instead of {} and {:?}:\n{said}", due.status, due.words))
    }

    /// Puts a message into the INBOX as a local program does that knows Maildirs: with LF, and no size in the name.
    fn deliver(&self, (name, content): &Letter) {
        let maildir = self.node.maildir(self.user);
        let unique = format!("{}.{name}.example.net", serial());
        let tmp = maildir.join("tmp").join(&unique);
        fs::write(&tmp, unix_lines(content)).unwrap();
        fs::rename(tmp, maildir.join("new").join(unique)).unwrap();
    }

    /// A new empty folder.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.node.folder().join(format!("{name}-{}", serial()));
        fs::create_dir(&folder).unwrap();
        folder
    }
}

/// A number that is given once.
fn serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn told(step: &'static str) -> impl Fn(String) -> String {
    move |fault| format!("{step}: {fault}")
}
