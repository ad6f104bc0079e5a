//! The maildrop between login and QUIT.

use mailstore::maildir::{MaildirConfig, MaildirStore};
use mailstore::testing::{Failure, SimFiles};
use services::engine::Link;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::duplex;

use super::case::{BOB, Case, LOGIN, TEXTS, options};

#[tokio::test]
async fn an_idle_session_is_small() {
    let case = Case::new().await;
    let (_peer, ours) = duplex(1);
    let task = case.driven(ours, Link::default());
    assert!(size_of_val(&task) < 4096, "{} octets for each connection", size_of_val(&task));
}

#[tokio::test]
async fn messages_come_as_they_were_stored_and_top_cuts_them() {
    let case = Case::new().await;
    let said = case.session(&format!("{LOGIN}RETR 2\r\nTOP 1 0\r\nTOP 1 1\r\nTOP 3 9\r\nQUIT\r\n")).await;
    assert!(said.contains("octets\r\nA: 2\r\n\r\n..\r\n...two\r\n\r\n.\r\n"), "{said}");
    let top = "+OK top of message follows\r\n";
    let tops = format!("{top}A: 1\r\n\r\n.\r\n{top}A: 1\r\n\r\none\r\n.\r\n{top}A: 3\r\n\r\nthree\r\n.\r\n");
    assert!(said.ends_with(&format!("{tops}+OK goodbye\r\n")), "{said}");
}

#[tokio::test]
async fn what_is_marked_is_hidden_at_once_and_comes_back_with_rset() {
    let case = Case::new().await;
    let mut client = case.connect();
    client.send(LOGIN).await;
    for _ in 0..3 {
        client.line().await;
    }
    assert!(client.ask("DELE 2").await.starts_with("+OK"));
    for command in ["DELE 2", "RETR 2", "TOP 2 0", "LIST 2", "UIDL 2"] {
        assert!(client.ask(command).await.starts_with("-ERR"), "{command}");
    }
    assert_eq!(client.ask("STAT").await, format!("+OK 2 {}", TEXTS[0].len() + TEXTS[2].len() + 2));
    client.ask("UIDL").await;
    assert_eq!(client.multi_line().await.split(|octet| *octet == b'\n').count(), 3);
    client.ask("RSET").await;
    assert!(client.ask("STAT").await.starts_with("+OK 3 "));
    let said = client.session("QUIT\r\n").await;
    assert_eq!((said.as_str(), case.left().await), ("+OK goodbye\r\n", vec![1, 2, 3]));
}

#[tokio::test]
async fn it_is_open_once_and_a_connection_that_drops_deletes_nothing() {
    let case = Case::new().await;
    let mut first = case.connect();
    first.send(&format!("{LOGIN}DELE 1\r\nDELE 3\r\n")).await;
    for _ in 0..5 {
        first.line().await;
    }
    let second = case.session(&format!("{LOGIN}STAT\r\nQUIT\r\n")).await;
    assert!(second.contains("-ERR [IN-USE] ") && !second.contains("+OK 3"), "{second}");
    drop(first);
    let third = case.session_after(&format!("{LOGIN}STAT\r\nDELE 1\r\nDELE 3\r\nQUIT\r\n")).await;
    assert!(third.contains("+OK 3 ") && third.ends_with("+OK goodbye\r\n"), "{third}");
    assert_eq!(case.left().await, [2]);
}

/// RFC 1939 §3: ten minutes, then neither a reply nor a deletion.
#[tokio::test(start_paused = true)]
async fn who_is_silent_for_ten_minutes_is_logged_out_and_nothing_is_deleted() {
    let case = Case::new().await;
    let mut client = case.connect();
    client.send(&format!("{LOGIN}DELE 1\r\n")).await;
    for _ in 0..4 {
        client.line().await;
    }
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(client.ask("NOOP").await, "+OK ");
    let begun = tokio::time::Instant::now();
    assert_eq!(client.rest().await, "");
    assert_eq!(begun.elapsed().as_secs(), 600);
    assert_eq!(case.left().await, [1, 2, 3]);
    let next = case.session_after(&format!("{LOGIN}STAT\r\nQUIT\r\n")).await;
    assert!(next.contains("+OK 3 "), "{next}");
}

#[tokio::test]
async fn a_quit_that_could_not_delete_says_so() {
    let disk = SimFiles::new();
    let store = MaildirStore::with_files(Arc::new(disk.clone()), &MaildirConfig::default());
    let case = Case::over(store, options());
    for text in TEXTS {
        case.put(BOB, text.as_bytes()).await;
    }
    let mut client = case.connect();
    client.send(&format!("{LOGIN}DELE 1\r\nDELE 2\r\n")).await;
    for _ in 0..5 {
        client.line().await;
    }
    disk.fail_at(1, Failure::PowerOff);
    let said = client.session("QUIT\r\n").await;
    assert_eq!(said, "-ERR [SYS/TEMP] some deleted messages were not removed\r\n");
    disk.revive();
    assert_eq!(case.left().await, [1, 2, 3]);
}

/// An IMAP session beside it may remove a message; the others keep their numbers.
#[tokio::test]
async fn a_message_that_somebody_else_removes_is_told_to_be_gone() {
    use mailstore::{Account as _, Expunge, Mailbox as _, Store as _};
    let case = Case::new().await;
    let mut client = case.connect();
    client.send(LOGIN).await;
    for _ in 0..3 {
        client.line().await;
    }
    let inbox = case.store.open(BOB).await.unwrap().open("INBOX").await.unwrap();
    inbox.expunge(Expunge::These(&[2..=2])).await.unwrap();
    assert_eq!(client.ask("RETR 2").await, "-ERR the message is gone");
    let said = client.session("RETR 3\r\nDELE 2\r\nDELE 3\r\nQUIT\r\n").await;
    assert!(said.contains("A: 3\r\n\r\nthree\r\n.\r\n") && said.ends_with("+OK goodbye\r\n"), "{said}");
    assert_eq!(case.left().await, [1]);
}

/// RFC 6856 §2.1 would have it refused or rewritten; see `Open::read`.
#[tokio::test]
async fn a_message_with_an_internationalized_header_comes_as_it_is() {
    let case = Case::new().await;
    case.put(BOB, "Subject: gr\u{fc}n\r\n\r\nbody\r\n".as_bytes()).await;
    let said = case.session(&format!("{LOGIN}RETR 4\r\nQUIT\r\n")).await;
    assert!(said.contains("Subject: gr\u{fc}n\r\n\r\nbody\r\n.\r\n"), "{said}");
    let said = case.session_after(&format!("UTF8\r\n{LOGIN}RETR 4\r\nQUIT\r\n")).await;
    assert!(said.contains("Subject: gr\u{fc}n\r\n\r\nbody\r\n.\r\n"), "{said}");
}
