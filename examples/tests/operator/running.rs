//! `single-node` as it runs: first and later starts, mail through it, signals.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::node::{Node, Place, Talk, free_port, wait, write};
use rustix::process::Signal;

/// Two users whose passwords are known, and no TLS to do by hand.
const USERS: [&str; 3] = ["--user=alice@example.org:al:ice", "--user=bob@example.org:bob", "--plaintext-auth"];

/// base64 of `\0alice@example.org\0al:ice`.
const ALICE: &str = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAGFsOmljZQ==";

fn send(talk: &mut Talk, from: &str, to: &str, text: &str) {
    talk.expect(&format!("MAIL FROM:<{from}>"), "250");
    talk.expect(&format!("RCPT TO:<{to}>"), "250");
    talk.expect("DATA", "354");
    talk.expect(&format!("{text}\r\n."), "250");
}

/// Waits until the maildrop has so many messages, and stays logged in.
fn maildrop(node: &Node, user: &str, password: &str, messages: usize) -> Talk {
    let mut found = None;
    wait(|| {
        let mut talk = node.talk("pop3");
        talk.expect(&format!("USER {user}"), "+OK");
        let entered = talk.ask(&format!("PASS {password}"));
        if entered.starts_with("+OK") && talk.ask("STAT").starts_with(&format!("+OK {messages} ")) {
            found = Some(talk);
            return true;
        }
        // The server lets the maildrop go before it answers.
        talk.expect("QUIT", "+OK");
        false
    });
    found.unwrap()
}

#[test]
fn it_is_healthy_until_it_is_told_to_stop() {
    for signal in [Signal::TERM, Signal::INT] {
        let node = Place::new().start(&[]);
        assert_eq!(node.healthy(), Some(true));
        let mut talk = node.talk("pop3");
        node.signal(signal);
        assert!(talk.line().starts_with("-ERR"), "an idle session hears of the end");
        assert_eq!(talk.line(), "");
        let ended = node.ended();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    }
}

#[test]
fn passwords_are_told_at_the_first_start_only() {
    let first = Place::new().start(&[]).stop();
    let told = |address: &str| {
        let line = first.stdout.lines().find(|line| line.starts_with(&format!("  {address}   "))).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let (alice, bob) = (told("alice@example.org"), told("bob@example.org"));
    assert!(!first.stderr.contains(&alice) && !first.stderr.contains(&bob), "{}", first.stderr);
    for path in ["", "users", "key.pem"] {
        let mode = fs::metadata(first.place.data().join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{path} is {mode:o}");
    }

    let second = first.place.start(&["--plaintext-auth"]);
    assert!(!second.stdout().contains(&alice) && !second.stdout().contains(&bob), "{}", second.stdout());
    assert!(second.stdout().contains("--user alice@example.org:PASSWORD"), "{}", second.stdout());
    maildrop(&second, "alice", &alice, 0).expect("QUIT", "+OK");
    maildrop(&second, "bob@example.org", &bob, 0).expect("QUIT", "+OK");
}

#[test]
fn the_lines_to_paste_send_a_message_and_read_it_back() {
    let node = Place::new().start(&[]);
    let page = node.stdout();
    let lines: Vec<_> = page.lines().skip_while(|line| !line.starts_with("Send a message:")).collect();
    let end = lines.iter().position(|line| line.is_empty()).unwrap();
    let (send, read) = lines[..end].split_at(lines.iter().position(|line| line.starts_with("Read it back:")).unwrap());
    assert!(read[1].contains(" 'imaps://"), "{page}");
    assert_eq!(shell(&send[1..].join("\n")), "");
    let mut read_back = String::new();
    wait(|| {
        read_back = shell(read[1]);
        !read_back.is_empty()
    });
    assert!(read_back.ends_with("Subject: Hello\r\n\r\nIt works.\r\n"), "{read_back}");
}

/// What a shell prints when lines are pasted there. curl is one of the tools that the README asks for.
fn shell(lines: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(lines).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    // An INBOX that is still empty has no last message.
    assert!(output.status.success() || output.status.code() == Some(78), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_configuration_is_read_and_the_command_line_wins() {
    let place = Place::new();
    let text = "domain = \"example.net\"\nhost = \"mx.example.net\"\nuser = \"zoe@example.com:zoe\"\npop3 = \"off\"";
    let file =
        write(&place.path("mail.toml"), &format!("{text}\nplaintext-auth = true\nconnections-per-address = 3\n"));
    // The place to listen for POP3 is on the command line.
    let node = place.start(&["--config", &file]);
    maildrop(&node, "zoe", "zoe", 0);
    let mut talk = node.talk("smtp");
    talk.expect("HELO client.example", "250 mx.example.net");
    talk.expect("MAIL FROM:<>", "250");
    talk.expect("RCPT TO:<nobody@example.net>", "550 5.1.1");
    talk.expect("RCPT TO:<nobody@example.org>", "550 5.7.1");
    talk.expect("RCPT TO:<zoe@example.com>", "250");
    let _others = [node.talk("imap"), node.talk("imap")];
    wait(|| node.greeting("smtp").starts_with("421"));
}

#[test]
fn user_adds_and_updates_and_the_server_starts() {
    let first = Place::new().start(&["--user=carol@example.net:one", "--plaintext-auth"]);
    assert!(!first.stdout().contains("alice@example.org  "), "users were given: {}", first.stdout());
    maildrop(&first, "carol", "one", 0);
    let second =
        first.stop().place.start(&["--user=carol@example.net:two", "--user=dave@example.net:x", "--plaintext-auth"]);
    maildrop(&second, "carol", "two", 0);
    maildrop(&second, "dave@example.net", "x", 0);
    let mut talk = second.talk("pop3");
    talk.expect("USER carol", "+OK");
    talk.expect("PASS one", "-ERR [AUTH]");
}

#[test]
fn passwords_need_tls_unless_told_otherwise() {
    let node = Place::new().start(&["--user=alice@example.org:al:ice"]);
    let mut pop3 = node.talk("pop3");
    pop3.expect("USER alice", "-ERR");
    let mut submission = node.talk("submission");
    submission.expect("EHLO client.example", "250");
    submission.expect(ALICE, "5");
    let mut imap = node.talk("imap");
    imap.expect("a LOGIN alice al:ice", "a NO");
}

#[test]
fn mail_goes_in_by_smtp_and_out_by_pop3() {
    let node = Place::new().start(&USERS);
    let text = format!("Subject: dots\r\n\r\n..one dot\r\nn\u{e4}h\r\n{}\r\n\r\n", "x".repeat(990));
    let mut talk = node.talk("smtp");
    talk.expect("EHLO client.example", "250");
    send(&mut talk, "someone@example.com", "Bob+list@Example.ORG", &text);

    let mut pop3 = maildrop(&node, "bob", "bob", 1);
    pop3.expect("RETR 1", "+OK");
    let lines = pop3.lines();
    assert_eq!(lines[0], "Return-Path: <someone@example.com>");
    let body = lines.iter().position(|line| line == "Subject: dots").unwrap();
    assert_eq!(lines[body..].join("\r\n"), text);

    let stderr = node.stop().stderr;
    assert!(!stderr.contains("dots") && !stderr.contains("n\u{e4}h"), "{stderr}");
}

#[test]
fn mail_is_a_maildir_that_survives_a_restart() {
    let node = Place::new().start(&USERS);
    let mut talk = node.talk("smtp");
    talk.expect("EHLO client.example", "250");
    send(&mut talk, "", "bob@example.org", "Subject: kept\r\n\r\n");
    let uidl = |node: &Node| {
        let mut pop3 = maildrop(node, "bob", "bob", 1);
        pop3.expect("UIDL", "+OK");
        pop3.lines()
    };
    let before = uidl(&node);
    let inbox = node.data().join("mail/example.org/bob");
    let messages = |folder| fs::read_dir(inbox.join(folder)).unwrap().count();
    assert_eq!(messages("new") + messages("cur"), 1);
    let node = node.stop().place.start(&["--plaintext-auth"]);
    assert_eq!(uidl(&node), before);
}

#[test]
fn it_relays_for_nobody_and_knows_its_users() {
    let node = Place::new().start(&USERS);
    let mut stranger = node.talk("smtp");
    stranger.expect("EHLO client.example", "250");
    stranger.expect("MAIL FROM:<alice@example.org>", "250");
    stranger.expect("RCPT TO:<nobody@example.org>", "550 5.1.1");
    stranger.expect("RCPT TO:<someone@example.com>", "550 5.7.1");
    stranger.expect("RCPT TO:<postmaster>", "250");
    stranger.expect("AUTH PLAIN", "5");

    let mut user = node.talk("submission");
    user.expect("EHLO client.example", "250");
    user.expect("MAIL FROM:<alice@example.org>", "530");
    user.expect(ALICE, "235");
    user.expect("MAIL FROM:<alice@example.org>", "250");
    user.expect("RCPT TO:<someone@example.com>", "550 5.4.4");
    user.expect("RCPT TO:<bob@example.org>", "250");
}

#[test]
fn mail_of_users_goes_to_the_relay() {
    let far = Place::new().start(&["--domain=example.com", "--user=someone@example.com:far", "--plaintext-auth"]);
    let relay = format!("--relay=127.0.0.1:{}", far.port("smtp"));
    let near = Place::new().start(&[&USERS[..], &[&relay]].concat());
    let mut user = near.talk("submission");
    user.expect("EHLO client.example", "250");
    user.expect(ALICE, "235");
    send(&mut user, "alice@example.org", "someone@example.com", "Subject: far\r\n\r\naway");
    maildrop(&far, "someone", "far", 1);
}

#[test]
fn hangup_reads_the_users_file_again() {
    let node = Place::new().start(&USERS);
    let users = node.data().join("users");
    let before = fs::read_to_string(&users).unwrap();
    let mut talk = node.talk("smtp");
    talk.expect("EHLO client.example", "250");
    talk.expect("MAIL FROM:<>", "250");
    talk.expect("RCPT TO:<carol@example.org>", "550");
    fs::write(&users, format!("{before}{}", before.replace("alice", "carol").replace("bob", "dave"))).unwrap();
    node.signal(Signal::HUP);
    wait(|| talk.ask("RCPT TO:<carol@example.org>").starts_with("250"));

    fs::write(&users, "broken\n").unwrap();
    node.signal(Signal::HUP);
    wait(|| node.stderr().contains("users stay as they were"));
    talk.expect("RCPT TO:<dave@example.org>", "250");
}

#[test]
fn hangup_reads_the_aliases_again() {
    let node = Place::new().start(&USERS);
    let aliases = node.data().join("aliases");
    let mut talk = node.talk("smtp");
    talk.expect("EHLO client.example", "250");
    talk.expect("MAIL FROM:<>", "250");
    talk.expect("RCPT TO:<info@example.org>", "550");
    fs::write(&aliases, "info: alice\nbob: alice\n").unwrap();
    node.signal(Signal::HUP);
    wait(|| talk.ask("RCPT TO:<info@example.org>").starts_with("250"));
    let told = format!("the aliases' file {}, line 2: it is never used", aliases.display());
    assert!(node.stderr().contains(&told), "{}", node.stderr());

    // New users are taken though the aliases are not.
    fs::write(&aliases, "info alice\n").unwrap();
    let users = node.data().join("users");
    let before = fs::read_to_string(&users).unwrap();
    fs::write(&users, format!("{before}{}", before.replace("alice", "carol").replace("bob", "dave"))).unwrap();
    node.signal(Signal::HUP);
    wait(|| talk.ask("RCPT TO:<carol@example.org>").starts_with("250"));
    talk.expect("RCPT TO:<info@example.org>", "250");
    let told = format!("aliases stay as they were: the aliases' file {}, line 1: ", aliases.display());
    assert!(node.stderr().contains(&told), "{}", node.stderr());

    // And the other way round.
    fs::write(&users, "broken\n").unwrap();
    fs::write(&aliases, "help: dave\n").unwrap();
    node.signal(Signal::HUP);
    wait(|| talk.ask("RCPT TO:<help@example.org>").starts_with("250"));
    assert!(node.stderr().contains("users stay as they were"), "{}", node.stderr());
    talk.expect("RCPT TO:<info@example.org>", "550");

    fs::remove_file(&aliases).unwrap();
    node.signal(Signal::HUP);
    wait(|| talk.ask("RCPT TO:<help@example.org>").starts_with("550"));
}

#[test]
fn a_message_on_its_way_in_stays_with_the_client() {
    let node = Place::new().start(&USERS);
    let mut talk = node.talk("smtp");
    talk.expect("EHLO client.example", "250");
    talk.expect("MAIL FROM:<>", "250");
    talk.expect("RCPT TO:<bob@example.org>", "250");
    talk.expect("DATA", "354");
    talk.say("Subject: half");
    node.signal(Signal::TERM);
    assert_eq!(talk.line(), "", "a word here could be taken for a verdict");
    assert_eq!(node.ended().status.code(), Some(0));
}

/// A client that asked for a message larger than all buffers on its way, and does not take it.
fn reluctant(node: &Node) -> Talk {
    let mut talk = node.talk("smtp");
    talk.expect("EHLO client.example", "250");
    send(&mut talk, "", "bob@example.org", LINE.repeat(LINES).trim_end());
    let mut pop3 = maildrop(node, "bob", "bob", 1);
    pop3.expect("RETR 1", "+OK");
    pop3
}

const LINE: &str = concat!("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde", "\r\n");
const LINES: usize = 250_000;

#[test]
fn a_message_on_its_way_out_is_finished_before_the_end() {
    let node = Place::new().start(&USERS);
    let mut reluctant = reluctant(&node);
    node.signal(Signal::TERM);
    wait(|| node.healthy() == Some(false));
    // Nobody new comes in.
    wait(|| TcpStream::connect(("127.0.0.1", node.port("pop3"))).is_err());
    let lines = reluctant.lines();
    assert!(lines.iter().rev().take(LINES).all(|line| line == LINE.trim_end()));
    assert!(lines.len() > LINES);
    assert_eq!(node.ended().status.code(), Some(0));
}

#[test]
fn a_second_signal_stops_at_once() {
    let node = Place::new().start(&USERS);
    let _reluctant = reluctant(&node);
    node.signal(Signal::TERM);
    wait(|| node.healthy() == Some(false));
    node.signal(Signal::TERM);
    assert_eq!(node.ended().status.code(), Some(1));
}

#[test]
fn neither_a_silent_relay_nor_a_silent_scraper_holds_the_end() {
    let relay = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let option = format!("--relay={}", relay.local_addr().unwrap());
    let node = Place::new().start(&[&USERS[..], &[&option, "--drain=1"]].concat());
    let mut user = node.talk("submission");
    user.expect("EHLO client.example", "250");
    user.expect(ALICE, "235");
    send(&mut user, "alice@example.org", "someone@example.com", "Subject: far\r\n\r\naway");
    let (_taken, _) = relay.accept().unwrap();
    let _scraper = TcpStream::connect(("127.0.0.1", node.port("http"))).unwrap();
    let ended = node.stop();
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stderr.contains("some deliveries did not end in time"), "{}", ended.stderr);
}

#[test]
fn a_name_that_is_refused_makes_no_users() {
    let ended = Place::new().fail(&["--host=-mail.example"]);
    assert_eq!(ended.status.code(), Some(2));
    let node = ended.place.start(&[]);
    assert!(node.stdout().contains("alice@example.org   "), "{}", node.stdout());
}

#[test]
fn sessions_that_do_not_end_are_cut_off() {
    let node = Place::new().start(&[&USERS[..], &["--drain=0"]].concat());
    let _reluctant = reluctant(&node);
    let ended = node.stop();
    assert!(ended.stderr.contains("cut off"), "{}", ended.stderr);
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn metrics_tell_what_happened() {
    let node = Place::new().start(&USERS);
    let mut talk = node.talk("smtp");
    talk.expect("EHLO client.example", "250");
    send(&mut talk, "", "bob@example.org", "Subject: one\r\n\r\n");
    maildrop(&node, "bob", "bob", 1);
    // A message lies in its mailbox before the queue is done with it.
    let mut page = String::new();
    wait(|| {
        page = node.get("/metrics").unwrap();
        let empty = |state| page.contains(&format!("posthaste_queue_messages{{state=\"{state}\"}} 0"));
        ["active", "deferred", "held", "suspended"].into_iter().all(empty)
    });
    for line in [
        "posthaste_messages_accepted_total{service=\"smtp\"} 1",
        "posthaste_deliveries_total{transport=\"local\",outcome=\"delivered\"} 1",
        "# TYPE posthaste_queue_messages gauge",
        "# TYPE posthaste_queue_failed_total counter",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
}
