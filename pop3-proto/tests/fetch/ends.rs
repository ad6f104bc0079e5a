//! Visits that end otherwise, and what nobody may do on one.

use std::time::Duration;

use pop3_proto::{
    Choice, ClientConfig, ClientLimits, Close, FetchEvent, Misuse, Policy, Reply, ShutDown, Step, Switched, TlsInfo,
    Trouble, Waiting,
};

use crate::case::{CLEAR, LIST_OF_THREE, Visit, password};

#[test]
fn a_server_that_closes_at_quit_is_believed_where_nothing_hangs_on_it() {
    for (choice, trouble) in [(Choice::Leave, None), (Choice::Delete, Some(Trouble::Lost(Close::Quit)))] {
        let mut visit = Visit::of_three("PIPELINING\r\n");
        if visit.choose(&[choice; 3]) != "QUIT\r\n" {
            assert_eq!(visit.hear("+OK\r\n+OK\r\n+OK"), "QUIT\r\n");
        }
        visit.fetch.handle_eof();
        let report = visit.report();
        assert_eq!((report.goodbye, report.trouble), (None, trouble));
        assert_eq!(visit.closed(), Close::Quit);
    }
}

#[test]
fn a_connection_lost_anywhere_is_told_once() {
    let script =
        ["+OK", "+OK\r\nUSER\r\nUTF8\r\n.", "+OK", "+OK", "+OK", "+OK\r\n1 a\r\n2 b\r\n.", "+OK\r\n1 1\r\n2 2\r\n."];
    for length in 0..=script.len() {
        let mut visit = Visit::new(password(), CLEAR);
        script[..length].iter().for_each(|said| drop(visit.hear(said)));
        let asked = length == script.len();
        assert_eq!(visit.told, if asked { vec![FetchEvent::Maildrop] } else { vec![] });
        visit.fetch.handle_eof();
        if asked {
            assert_eq!(visit.choose(&[Choice::Get; 2]), "RETR 1\r\n");
        }
        assert_eq!(visit.trouble(), Trouble::Lost(Close::Eof), "behind {length}");
        assert_eq!(visit.closed(), Close::Eof);
    }
    let mut visit = Visit::of_three("PIPELINING\r\n");
    visit.choose(&[Choice::Get, Choice::Delete, Choice::Get]);
    visit.hear("+OK\r\n.\r\n+OK\r\n+OK\r\nhalf");
    assert_eq!(visit.delete(), "DELE 1\r\n");
    visit.fetch.handle_eof();
    let report = visit.report();
    assert_eq!((report.received, report.deleted, report.goodbye), (1, 1, None));
    assert_eq!(visit.told.last().unwrap().chunk().unwrap(), "half\r\n", "and no message");
}

#[test]
fn no_deadline_runs_while_the_application_thinks() {
    let visit = Visit::new(password(), CLEAR);
    assert_eq!(visit.fetch.poll_timeout().unwrap().waiting_for, Waiting::Greeting);
    assert_eq!(visit.fetch.max_input(), 12_290);
    let mut visit = Visit::of_three("PIPELINING\r\n");
    assert_eq!(visit.fetch.poll_timeout(), None);
    visit.choose(&[Choice::Get; 3]);
    visit.hear("+OK\r\n.");
    assert_eq!(visit.fetch.poll_timeout(), None, "though the server owes two messages");
    visit.now += Duration::from_secs(3600);
    visit.fetch.handle_timeout(visit.now, &mut visit.out);
    assert_eq!(visit.run(), Step::YourTurn);
    assert_eq!(visit.delete(), "DELE 1\r\n");
    let due = visit.fetch.poll_timeout().unwrap();
    assert_eq!((due.at, due.waiting_for), (visit.now + Duration::from_secs(300), Waiting::Reply));
    visit.now = due.at;
    visit.fetch.handle_timeout(visit.now, &mut visit.out);
    assert_eq!(visit.trouble(), Trouble::Lost(Close::Timeout(Waiting::Reply)));
}

#[test]
fn who_leaves_takes_what_was_asked_for_and_no_more() {
    let stopping = Close::ShutDown(ShutDown::Stopping);
    let limits = ClientLimits { window: 2, ..ClientLimits::default() };
    let mut visit = Visit::with(ClientConfig { limits, ..ClientConfig::default() }, password(), CLEAR);
    visit.hear("+OK");
    visit.hear("+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK");
    visit.hear(LIST_OF_THREE);
    visit.choose(&[Choice::Get; 3]);
    visit.hear("+OK");
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    assert_eq!(visit.hear("."), "");
    assert_eq!(visit.delete(), "DELE 1\r\n", "that was decided");
    assert_eq!(visit.hear("+OK\r\n.\r\n+OK"), "");
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    assert_eq!(visit.delete(), "DELE 2\r\n");
    assert_eq!(visit.hear("+OK"), "QUIT\r\n");
    let report = visit.report();
    assert_eq!((report.deleted, report.goodbye, report.trouble), (2, None, Some(Trouble::Lost(stopping))));
    assert_eq!(visit.closed(), stopping);

    // While the list is looked at: nothing of it is got.
    let mut visit = Visit::of_three("PIPELINING\r\n");
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    assert_eq!(visit.run(), Step::YourTurn);
    assert_eq!(visit.choose(&[Choice::Delete; 3]), "QUIT\r\n");
    assert_eq!(visit.closed(), stopping);

    // On the way there: no further.
    let script = ["", "+OK", "+OK\r\nUTF8\r\nSTLS\r\nUSER\r\n.", "+OK", "+OK", "+OK", "+OK\r\n.", "+OK\r\n."];
    for length in 1..script.len() - 1 {
        let mut visit = Visit::new(password(), CLEAR);
        script[1..length].iter().for_each(|said| drop(visit.hear(said)));
        visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
        let said = visit.hear(script[length]);
        assert_eq!(said, if length == 1 { "" } else { "QUIT\r\n" }, "behind {length}");
        assert_eq!(visit.trouble(), Trouble::Lost(stopping));
    }
}

#[test]
fn who_leaves_by_stls_or_a_refused_listing_tells_why() {
    let stopping = Trouble::Lost(Close::ShutDown(ShutDown::Stopping));
    let mut visit = Visit::new(password(), Policy::default());
    visit.hear("+OK");
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    assert_eq!(visit.hear("+OK\r\nSTLS\r\n."), "QUIT\r\n");
    assert_eq!(visit.trouble(), stopping);
    // The list is complete by the time we leave: it is still shown, and nothing can come of it.
    let mut visit = Visit::new(password(), CLEAR);
    visit.hear("+OK");
    visit.hear("+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK");
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    visit.hear(LIST_OF_THREE);
    assert_eq!(visit.choose(&[Choice::Get; 3]), "QUIT\r\n");
    assert_eq!(visit.trouble(), stopping);
}

#[test]
fn nothing_is_deleted_for_an_application_that_failed() {
    for abort in [false, true] {
        let mut visit = Visit::of_three("PIPELINING\r\n");
        visit.choose(&[Choice::Get, Choice::Delete, Choice::Delete]);
        visit.hear("+OK\r\n.");
        let why = if abort {
            visit.fetch.abort();
            Close::Aborted
        } else {
            visit.fetch.shut_down(ShutDown::Fault, visit.now, &mut visit.out);
            Close::ShutDown(ShutDown::Fault)
        };
        assert_eq!(visit.fetch.delete(visit.now, &mut visit.out), Err(Misuse::NotNow), "it is too late");
        assert_eq!(visit.trouble(), Trouble::Lost(why));
        assert_eq!((visit.closed(), visit.said()), (why, String::new()));
    }
}

#[test]
fn a_visit_broken_off_between_two_steps_says_no_more() {
    let aborted = Trouble::Lost(Close::Aborted);
    let mut visit = Visit::new(password(), Policy::default());
    visit.hear("+OK");
    visit.hear("+OK\r\nSTLS\r\n.\r\n+OK");
    visit.fetch.switched(Switched::Tls(TlsInfo::default()), visit.now);
    visit.fetch.abort();
    assert_eq!((visit.trouble(), visit.said().as_str()), (aborted.clone(), ""));
    for choice in [Choice::Leave, Choice::Get] {
        let mut visit = Visit::of_three("");
        visit.fetch.choose(|_| choice, visit.now, &mut visit.out).unwrap();
        visit.out.clear();
        visit.fetch.abort();
        assert_eq!((visit.trouble(), visit.said().as_str()), (aborted.clone(), ""));
    }
}

#[test]
fn a_trouble_tells_what_the_server_said() {
    let reply = || Reply::err("no");
    for trouble in [Trouble::Greeting, Trouble::Login, Trouble::List, Trouble::Update] {
        assert_eq!(trouble(reply()).reply(), Some(&reply()));
    }
    for trouble in [Trouble::Tls, Trouble::Lacking, Trouble::Lost(Close::Eof)] {
        assert_eq!(trouble.reply(), None);
    }
}

#[test]
fn verbs_out_of_turn_have_no_effect() {
    let check = |visit: &mut Visit, choose: bool, receive: bool| {
        let Visit { fetch, now, out, .. } = visit;
        if !choose {
            assert_eq!(fetch.choose(|_| Choice::Delete, *now, out), Err(Misuse::NotNow));
        }
        if !receive {
            assert_eq!(fetch.accept(*now, out), Err(Misuse::NotNow));
            assert_eq!(fetch.delete(*now, out), Err(Misuse::NotNow));
        }
        assert_eq!(fetch.respond(b"", *now, out), Err(Misuse::NotNow));
        assert_eq!(fetch.cancel(*now, out), Err(Misuse::NotNow));
        if !choose && !receive {
            fetch.decline(*now, out);
        }
        fetch.switched(Switched::Tls(TlsInfo::default()), *now);
        fetch.handle_timeout(*now, out);
        assert_eq!(out, "");
    };
    let mut visit = Visit::new(password(), CLEAR);
    check(&mut visit, false, false);
    for said in ["+OK", "+OK\r\nUSER\r\n.", "+OK", "+OK", "+OK\r\n1 a\r\n."] {
        assert_ne!(visit.hear(said), "");
        check(&mut visit, false, false);
    }
    visit.hear("+OK\r\n1 1\r\n.");
    check(&mut visit, true, false);
    visit.choose(&[Choice::Get]);
    check(&mut visit, false, false);
    visit.hear("+OK");
    check(&mut visit, false, false);
    visit.hear(".");
    check(&mut visit, false, true);
    visit.delete();
    check(&mut visit, false, false);
    visit.hear("+OK");
    visit.hear("+OK");
    check(&mut visit, false, false);
    assert_eq!(visit.report().deleted, 1);
    visit.fetch.abort();
    visit.fetch.shut_down(ShutDown::Stopping, visit.now, &mut visit.out);
    check(&mut visit, false, false);
    assert_eq!(visit.closed(), Close::Quit);
}

#[test]
fn what_is_held_is_counted() {
    let mut visit = Visit::new(password(), CLEAR);
    visit.hear("+OK");
    visit.hear("+OK\r\nUSER\r\nPIPELINING\r\n.\r\n+OK\r\n+OK");
    let before = visit.fetch.memory();
    let lines: String = (1..=50).map(|number| format!("{number} {}\r\n", "x".repeat(200))).collect();
    visit.hear(&format!("+OK\r\n{lines}.\r\n+OK\r\n."));
    assert!(visit.fetch.memory() - before >= 50 * 200);
    let mut choices = vec![Choice::Leave; 50];
    choices[7] = Choice::Get;
    visit.choose(&choices);
    assert!((200..1000).contains(&(visit.fetch.memory() - before)));
    visit.hear("+OK\r\n.");
    assert_eq!(visit.accept(), "QUIT\r\n");
    // What was said of the trouble is held until it is told.
    let mut visit = Visit::new(password(), CLEAR);
    visit.hear(&format!("-ERR {}", "y".repeat(1000)));
    assert!(visit.fetch.memory() >= 1000);
    // Deletions are held as numbers.
    let mut visit = Visit::of_three("");
    visit.choose(&[Choice::Delete; 3]);
    assert!(visit.fetch.memory() < 1000);
}
