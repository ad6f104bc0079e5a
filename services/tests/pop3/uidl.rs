//! Unique-ids stay what they were.

use std::fs;

use services::pop3::{Pop3Options, UidlFormat};

use super::case::{BOB, Case, LOGIN, maildir, options};

async fn uidls<S: mailstore::Store>(case: &Case<S>) -> Vec<String> {
    let said = case.session(&format!("{LOGIN}UIDL\r\nQUIT\r\n")).await;
    let (_, listing) = said.split_once(" octets)\r\n").unwrap();
    let listing = listing.split_once("\r\n.\r\n").unwrap().0;
    listing.split("\r\n").map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[tokio::test]
async fn they_outlive_restarts_and_a_move_of_the_mail() {
    let directory = tempfile::tempdir().unwrap();
    let (here, there) = (directory.path().join("here"), directory.path().join("there"));
    let case = Case::over(maildir(&here), options());
    for text in ["one\r\n", "two\r\n", "three\r\n"] {
        case.put(BOB, text.as_bytes()).await;
    }
    let before = uidls(&case).await;
    assert_eq!(before.len(), 3);
    assert_eq!(uidls(&Case::over(maildir(&here), options())).await, before);
    drop(case);
    fs::rename(&here, &there).unwrap();
    let case = Case::over(maildir(&there), options());
    assert_eq!(uidls(&case).await, before);
    let said = case.session(&format!("{LOGIN}DELE 1\r\nQUIT\r\n")).await;
    assert!(said.ends_with("+OK goodbye\r\n"), "{said}");
    case.put(BOB, b"four\r\n").await;
    let after = uidls(&case).await;
    assert_eq!(after[..2], before[1..]);
    assert!(!before.contains(&after[2]));
}

#[tokio::test]
async fn they_are_spelt_as_the_operator_says_and_inherited_ones_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let bob = directory.path().join("example.org/bob");
    for sub in ["cur", "new", "tmp"] {
        fs::create_dir_all(bob.join(sub)).unwrap();
    }
    let list = "3 V1700000000 N8 G0123456789abcdef0123456789abcdef\n3 :1.one,S=2,W=3\n7 PUID3-99 :2.two,S=2,W=3\n";
    fs::write(bob.join("dovecot-uidlist"), list).unwrap();
    fs::write(bob.join("cur/1.one,S=2,W=3:2,"), "a\n").unwrap();
    fs::write(bob.join("cur/2.two,S=2,W=3:2,"), "b\n").unwrap();
    for (uidl, spelt) in [
        (UidlFormat::Dovecot, "000000036553f100"),
        (UidlFormat::Courier, "UID3-1700000000"),
        (UidlFormat::Cyrus, "1700000000.3"),
    ] {
        let case = Case::over(maildir(directory.path()), Pop3Options { uidl, ..options() });
        assert_eq!(uidls(&case).await, [spelt, "UID3-99"]);
    }
}
