//! A message by BDAT (RFC 3030).

use std::time::Duration;

use smtp_proto::{BodyType, Class, Command, MailParameters, Misuse, ReversePath, SendError, ShutDown, Step, Waiting};

use crate::case::{Client, NOW, bdat, bdat_last, mail, rcpt};

const BOTH: &str = "250-CHUNKING\r\n250-PIPELINING\r\n";

#[test]
fn octets_go_as_they_are_and_as_many_as_were_announced() {
    let mut client = Client::greeted("250-CHUNKING\r\n");
    let ticket = client.send(bdat_last(7)).unwrap();
    assert_eq!(client.said(), "BDAT 7 LAST\r\n");
    assert_eq!((client.step(), client.session.poll_timeout()), (Step::YourTurn, None));
    assert_eq!(client.send(Command::Quit), Err(SendError::NotNow));
    assert_eq!(client.body(b"12345678"), Err(Misuse::BodyTooLong));
    client.body(b".\n\r").unwrap();
    assert_eq!(client.end_body(), Err(Misuse::BodyTooShort));
    assert_eq!(client.body(b"\0.\r\n\n"), Err(Misuse::BodyTooLong));
    assert_eq!(client.said(), ".\n\r", "and nothing of what was refused");
    client.body(b"\0.\r").unwrap();
    assert_eq!(client.end_body(), Err(Misuse::BodyTooShort));
    client.body(b"\n").unwrap();
    client.body(b"").unwrap();
    assert_eq!(client.end_body(), Ok(ticket));
    assert_eq!((client.end_body(), client.body(b"")), (Err(Misuse::NotNow), Err(Misuse::NotNow)));
    assert_eq!(client.said(), "\0.\r\n", "and no dot");
    assert_eq!(client.session.poll_timeout().unwrap().waiting_for, Waiting::Verdict);
    assert_eq!(client.reply_to(ticket, "250 ok\r\n"), Class::Success);
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn a_chunk_of_nothing_has_nothing_to_write() {
    let mut client = Client::greeted("250-CHUNKING\r\n");
    let ticket = client.send(bdat_last(0)).unwrap();
    assert_eq!((client.body(b""), client.end_body()), (Err(Misuse::NotNow), Err(Misuse::NotNow)));
    assert_eq!(client.said(), "BDAT 0 LAST\r\n");
    assert_eq!(client.reply_to(ticket, "250 ok\r\n"), Class::Success);
}

#[test]
fn chunks_follow_an_envelope_and_one_another_without_waiting() {
    let mut client = Client::greeted(BOTH);
    let mut tickets: Vec<_> = [mail("<>"), rcpt("<a@b.example>")].map(|command| client.send(command).unwrap()).into();
    for (command, octets) in [(bdat(1), "x"), (bdat(0), ""), (bdat_last(2), "yz")] {
        tickets.push(client.send(command).unwrap());
        if !octets.is_empty() {
            client.body(octets.as_bytes()).unwrap();
            client.end_body().unwrap();
        }
    }
    assert_eq!(client.said(), "MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nBDAT 1\r\nxBDAT 0\r\nBDAT 2 LAST\r\nyz");
    assert_eq!(client.send(mail("<>")), Err(SendError::Wait), "the last of them ends the group");
    client.input.extend_from_slice(&b"250 ok\r\n".repeat(5));
    for ticket in tickets {
        assert_eq!(client.reply_to(ticket, ""), Class::Success);
    }
    assert!(client.send(mail("<>")).is_ok());
}

#[test]
fn without_pipelining_a_chunk_waits() {
    let mut client = Client::greeted("250-CHUNKING\r\n");
    let ticket = client.send(mail("<>")).unwrap();
    assert_eq!(client.send(bdat(1)), Err(SendError::Wait));
    client.reply_to(ticket, "250 ok\r\n");
    let ticket = client.send(bdat(0)).unwrap();
    assert_eq!(client.send(bdat_last(0)), Err(SendError::Wait));
    client.reply_to(ticket, "250 ok\r\n");
    assert!(client.send(bdat_last(0)).is_ok());
}

#[test]
fn an_open_message_goes_on_or_is_given_up() {
    for (command, fits) in [
        (Command::Data, false),
        (mail("<>"), false),
        (rcpt("<a@b.example>"), false),
        (Command::Noop, false),
        (bdat(0), true),
        (bdat_last(0), true),
        (Command::Rset, true),
        (Command::Quit, true),
    ] {
        for said in ["250 ok\r\n", "552 too big\r\n"] {
            let mut client = Client::greeted(BOTH);
            let ticket = client.send(bdat(0)).unwrap();
            // RFC 3030 §2: behind a refused chunk too.
            client.reply_to(ticket, said);
            let expected = if fits { None } else { Some(SendError::NotNow) };
            assert_eq!(client.send(command.clone()).err(), expected, "{command:?} behind {said}");
        }
    }
    for end in [Command::Rset, bdat_last(0)] {
        let mut client = Client::greeted(BOTH);
        for command in [bdat(0), end] {
            let ticket = client.send(command).unwrap();
            client.reply_to(ticket, "250 ok\r\n");
        }
        assert!(client.send(mail("<>")).is_ok());
    }
}

#[test]
fn a_binary_message_does_not_go_by_data() {
    let binary = || Command::Mail {
        from: ReversePath::Null,
        parameters: MailParameters { body: Some(BodyType::BinaryMime), ..Default::default() },
    };
    let mut client = Client::greeted("250-CHUNKING\r\n250-BINARYMIME\r\n250-PIPELINING\r\n");
    client.send(binary()).unwrap();
    client.send(rcpt("<a@b.example>")).unwrap();
    assert_eq!(client.send(Command::Data), Err(SendError::NotNow));
    // The next transaction is another matter, even before this one's replies are in.
    client.send(Command::Rset).unwrap();
    client.send(mail("<>")).unwrap();
    assert!(client.send(Command::Data).is_ok());
    for offers in ["250-BINARYMIME\r\n", "250-CHUNKING\r\n"] {
        assert_eq!(Client::greeted(offers).send(binary()), Err(SendError::NotOffered), "one needs the other");
    }
    // Nothing is left of it behind EHLO.
    let mut client = Client::greeted("250-CHUNKING\r\n250-BINARYMIME\r\n");
    for command in [binary(), Command::Ehlo(crate::case::name())] {
        let ticket = client.send(command).unwrap();
        client.reply_to(ticket, "250 ok\r\n");
    }
    assert!(client.send(Command::Data).is_ok());
}

#[test]
fn in_lmtp_the_last_chunk_has_a_verdict_for_each_recipient() {
    for (recipients, verdicts) in [(0, 1), (1, 1), (3, 3)] {
        let mut client = Client::lmtp(BOTH);
        // The replies to RCPT come behind BDAT, so that nobody knows their number when it is sent.
        client.send(mail("<>")).unwrap();
        (0..3).for_each(|_| assert!(client.send(rcpt("<a@b.example>")).is_ok()));
        let first = client.send(bdat(0)).unwrap();
        let last = client.send(bdat_last(1)).unwrap();
        client.body(b"x").unwrap();
        client.end_body().unwrap();
        client.hear("250 ok\r\n");
        (0..3).for_each(|n| drop(client.hear(if n < recipients { "250 ok\r\n" } else { "550 no\r\n" })));
        client.reply_to(first, "250 ok\r\n");
        for _ in 0..verdicts {
            assert_eq!(client.session.poll_timeout().unwrap().waiting_for, Waiting::Verdict);
            client.reply_to(last, "250 ok\r\n");
        }
        assert_eq!(client.session.poll_timeout(), None, "no other is awaited");
        // What comes next has no recipients of its own yet.
        let stray = client.send(bdat_last(0)).unwrap();
        client.reply_to(stray, "503 mail first\r\n");
        assert_eq!(client.session.poll_timeout(), None);
    }
}

#[test]
fn a_server_could_say_nothing_while_the_chunk_was_written() {
    let mut client = Client::greeted(BOTH);
    let at = Duration::from_secs;
    client.session.send(&mail("<>"), at(0), &mut client.out).unwrap();
    client.session.send(&bdat_last(1), at(0), &mut client.out).unwrap();
    client.session.handle_timeout(at(1000), &mut client.out);
    assert_eq!(client.step(), Step::YourTurn);
    client.body(b"x").unwrap();
    client.session.end_body(at(1000), &mut client.out).unwrap();
    let deadline = client.session.poll_timeout().unwrap();
    assert_eq!((deadline.at, deadline.waiting_for), (at(1300), Waiting::Reply), "to MAIL");
}

#[test]
fn a_shutdown_waits_for_the_chunk_and_a_failure_does_not() {
    let mut client = Client::greeted("250-CHUNKING\r\n");
    let ticket = client.send(bdat_last(1)).unwrap();
    client.session.shut_down(ShutDown::Stopping, NOW, &mut client.out);
    assert_eq!(client.step(), Step::YourTurn);
    client.body(b"x").unwrap();
    client.end_body().unwrap();
    client.out.clear();
    client.reply_to(ticket, "250 ok\r\n");
    assert!(matches!(client.step(), Step::Close(_)));
    assert_eq!(client.said(), "QUIT\r\n");

    for fail in [false, true] {
        let mut client = Client::greeted("250-CHUNKING\r\n");
        client.send(bdat_last(2)).unwrap();
        client.body(b"x").unwrap();
        client.out.clear();
        if fail {
            client.session.shut_down(ShutDown::Fault, NOW, &mut client.out);
        } else {
            client.session.abort();
        }
        assert_eq!((client.body(b"x"), client.end_body()), (Err(Misuse::NotNow), Err(Misuse::NotNow)));
        assert!(matches!(client.step(), Step::Close(_)));
        assert_eq!(client.said(), "", "what is not complete is no message");
    }
}
