//! Clients that keep order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Tls, file, files_below, password_file};
use crate::beside::beside;
use crate::dialogue::Dialogue;
use crate::node::{BOB, Node};
use crate::post;
use crate::program::{find, outcome, run};
use crate::tap::{Tap, Target};

/// The settings of mbsync for a user: the server's mailboxes on the far side, a folder on the near side.
pub(super) fn mbsyncrc(node: &Node, tls: Tls, user: (&str, &str), folder: &Path, channel: &str) -> PathBuf {
    let ssl = match tls {
        Tls::Never => "None",
        Tls::WhenAsked => "STARTTLS",
        Tls::AtOnce => "IMAPS",
    };
    let rc = format!(
        "IMAPAccount node\nHost 127.0.0.1\nPort {port}\nUser {user}\nPassCmd \"cat {password}\"\n\
         AuthMechs LOGIN\nSSLType {ssl}\nCertificateFile {certificate}\nSystemCertificates no\nTimeout 50\n\n\
         IMAPStore far\nAccount node\n\n\
         MaildirStore near\nPath {folder}/\nInbox {folder}/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nSyncState *\n{channel}",
        port = node.port(&tls.service("imap")),
        user = user.0,
        password = password_file(node, user).display(),
        certificate = node.certificate().display(),
        folder = folder.display(),
    );
    let name = folder.file_name().unwrap().to_string_lossy();
    file(node, &format!("mbsyncrc-{name}"), rc.as_bytes())
}

/// mutt on bob's INBOX, by this port, with these keys in its buffer.
pub(super) fn mutt(node: &Node, tls: Tls, port: u16, settings: &str, keys: &str) -> Command {
    let server = format!("{}://127.0.0.1:{port}/", tls.service("imap"));
    let starttls = if tls == Tls::WhenAsked { "yes" } else { "no" };
    let force_tls = if tls == Tls::Never { "no" } else { "yes" };
    let rc = format!(
        "set imap_user=\"{user}\" imap_pass=\"`cat {password}`\" imap_authenticators=\"login\"\n\
         set ssl_starttls={starttls} ssl_force_tls={force_tls}\n\
         set certificate_file=\"{certificate}\" ssl_ca_certificates_file=\"{certificate}\"\n\
         set folder=\"{server}\" spoolfile=\"{server}INBOX\" record=\"\" postponed=\"\" mbox_type=Maildir\n\
         set confirmcreate=no confirmappend=no copy=no move=no mark_old=no quit=yes delete=yes\n\
         set wait_key=no imap_idle=no timeout=1 imap_check_subscribed=no\n\
         {settings}\n\
         push \"{keys}\"\n",
        user = BOB.0,
        password = password_file(node, BOB).display(),
        certificate = node.certificate().display(),
    );
    // Names of files must differ: the scripts of one server may run at the same time.
    let rc = file(node, &format!("muttrc-{}-{}", tls.word(), keys.len()), rc.as_bytes());
    let mut script = Command::new("script");
    script.env("TERM", "xterm").env("HOME", node.folder()).env("LC_ALL", "C.UTF-8");
    script.arg("-qec").arg(format!("mutt -n -F {} -f {server}INBOX", rc.display())).arg("/dev/null");
    script
}

/// A session of bob's.
fn session(node: &Node) -> Dialogue {
    let mut imap = Dialogue::tcp(node.address("imap")).unwrap();
    imap.imap_login(BOB).unwrap();
    imap
}

/// What bob finds in a mailbox.
fn search(node: &Node, mailbox: &str, what: &str) -> String {
    let mut imap = session(node);
    imap.imap(&format!("EXAMINE {mailbox}")).unwrap();
    let found = imap.imap(&format!("SEARCH {what}")).unwrap().concat();
    imap.imap("LOGOUT").unwrap();
    found
}

fn deliver(node: &Node, subjects: &[&str]) {
    for subject in subjects {
        post::by_lmtp(node, BOB, &format!("From: a@example.net\r\nSubject: {subject}\r\n\r\n{subject}\r\n"));
    }
}

/// The one file below a folder that holds this text.
fn file_with(folder: &Path, text: &str) -> PathBuf {
    let holds = |file: &PathBuf| fs::read_to_string(file).is_ok_and(|content| content.contains(text));
    let found: Vec<_> = files_below(folder).into_iter().filter(holds).collect();
    assert_eq!(found.len(), 1, "files with {text:?}");
    found.into_iter().next().unwrap()
}

/// Flags of a file in a Maildir.
fn flags_of(file: &Path) -> String {
    file.to_string_lossy().rsplit_once(":2,").map_or_else(String::new, |(_, flags)| flags.to_owned())
}

#[test]
fn mbsync_carries_changes_both_ways() {
    if find("mbsync").is_none() {
        return;
    }
    let node = Node::start(&["--plaintext-auth"]);
    deliver(&node, &["one", "two", "three", "four"]);
    let near = node.folder().join("near");
    fs::create_dir(&near).unwrap();
    let rc = mbsyncrc(&node, Tls::WhenAsked, BOB, &near, "Patterns *\nCreate Both\nExpunge Both\nSync All\n");
    let sync = || run(Command::new("mbsync").arg("-c").arg(&rc).arg("all")).unwrap();
    sync();

    // On the near side: one is read and flagged, two is deleted, a message and a mailbox are new.
    let rename = |text: &str, flags: &str| {
        let file = file_with(&near.join("INBOX"), text);
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let base = name.split(":2,").next().unwrap();
        fs::rename(&file, near.join("INBOX/cur").join(format!("{base}:2,{flags}"))).unwrap();
    };
    rename("Subject: one\n", "FS");
    rename("Subject: two\n", "T");
    for mailbox in ["INBOX", "Drawer"] {
        for folder in ["cur", "new", "tmp"] {
            fs::create_dir_all(near.join(mailbox).join(folder)).unwrap();
        }
        let message = format!("From: a@example.net\nSubject: from near to {mailbox}\n\n.\n\n");
        fs::write(near.join(mailbox).join("cur/1.2.near:2,S"), message).unwrap();
    }
    // On the far side: three is answered, four is gone, a mailbox is new.
    let mut imap = session(&node);
    imap.imap("CREATE Shelf").unwrap();
    imap.imap("SELECT INBOX").unwrap();
    imap.imap("STORE 3 +FLAGS (\\Answered)").unwrap();
    imap.imap("COPY 3 Shelf").unwrap();
    imap.imap("STORE 4 +FLAGS (\\Deleted)").unwrap();
    imap.imap("EXPUNGE").unwrap();
    imap.imap("LOGOUT").unwrap();
    sync();

    assert_eq!(search(&node, "INBOX", "ALL"), "* SEARCH 1 2 3");
    assert_eq!(search(&node, "INBOX", "FLAGGED SEEN SUBJECT one"), "* SEARCH 1");
    assert_eq!(search(&node, "INBOX", "ANSWERED SUBJECT three"), "* SEARCH 2");
    assert_eq!(search(&node, "INBOX", "SEEN SUBJECT \"near to INBOX\""), "* SEARCH 3");
    assert_eq!(search(&node, "Drawer", "SUBJECT \"near to Drawer\""), "* SEARCH 1");
    assert_eq!(files_below(&near.join("INBOX/cur")).len() + files_below(&near.join("INBOX/new")).len(), 3);
    assert_eq!(flags_of(&file_with(&near.join("INBOX"), "Subject: three\n")), "R");
    assert_eq!(flags_of(&file_with(&near.join("Shelf"), "Subject: three\n")), "R");
    node.stop();
}

#[test]
fn mutt_keeps_order() {
    if find("mutt").is_none() || find("script").is_none() {
        return;
    }
    let node = Node::start(&["--plaintext-auth"]);
    deliver(&node, &["one", "two", "three", "four"]);
    let keys = "<jump>1<enter><flag-message>\
                <jump>2<enter><copy-message>=Work<enter>\
                <jump>3<enter><save-message>=Work<enter>\
                <jump>4<enter><delete-message>\
                <sync-mailbox>\
                <change-folder>?<search>Work<enter><rename-mailbox><kill-line>Archive<enter><exit>\
                <quit>";
    run(&mut mutt(&node, Tls::AtOnce, node.port("imaps"), "set resolve=no sort=mailbox-order", keys)).unwrap();
    assert_eq!(search(&node, "INBOX", "ALL"), "* SEARCH 1 2");
    assert_eq!(search(&node, "INBOX", "FLAGGED SUBJECT one"), "* SEARCH 1");
    assert_eq!(search(&node, "INBOX", "SUBJECT two"), "* SEARCH 2");
    assert_eq!(search(&node, "Archive", "ALL"), "* SEARCH 1 2");
    assert_eq!(search(&node, "Archive", "SUBJECT two"), "* SEARCH 1");
    assert_eq!(search(&node, "Archive", "SUBJECT three"), "* SEARCH 2");
    session(&node).imap("EXAMINE Work").unwrap_err();
    node.stop();
}

#[test]
fn mutt_hears_of_new_mail_while_it_idles() {
    if find("mutt").is_none() || find("script").is_none() {
        return;
    }
    let node = Node::start(&["--plaintext-auth"]);
    // The news end it.
    let told = node.folder().join("told");
    let settings = format!("set imap_idle=yes new_mail_command='touch {}; kill -TERM $PPID'", told.display());
    let tap = Tap::new(Target::Tcp(node.address("imap")));
    let mut mutt = mutt(&node, Tls::Never, tap.port(), &settings, "");
    // When it has begun to listen nobody knows but mutt.
    let ended = beside(Duration::from_millis(300), || deliver(&node, &["news"]), || outcome(&mut mutt));
    let shown = String::from_utf8_lossy(&ended.unwrap().stdout).into_owned();
    assert!(told.exists(), "mutt ended untold: {shown}");
    let said = String::from_utf8(tap.taken()).unwrap();
    assert!(said.contains(" IDLE\r\n") && !said.contains(" NOOP\r\n"), "mutt asked by itself: {said}");
    node.stop();
}
