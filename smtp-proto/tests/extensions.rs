//! Extensions: what is offered, what is asked, what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

mod common;

use std::time::Duration;

use common::{Server, config, submission};
use smtp_proto::{
    Attribute, BodyType, Close, DeliverByLimit, EarlyTalk, Enhanced, Event, Extensions, FutureRelease, Lookup, Mail,
    Misuse, Notify, Octets, Protocol, Rcpt, Reply, ReplyCode, Ret, ServerConfig, ShutDown, Stray, Strays, Text,
    Violation, Vrfy, Waiting,
};

/// Every extension there is.
fn all() -> Extensions {
    Extensions {
        binary_mime: true,
        dsn: true,
        require_tls: true,
        mt_priority: true,
        deliver_by: Some(DeliverByLimit::default()),
        future_release: Some(FutureRelease {
            max_interval: smtp_proto::Interval::MAX,
            max_date_time: smtp_proto::DateTime::parse("2040-01-01T00:00:00Z").unwrap(),
        }),
        rrvs: true,
        no_soliciting: true,
        etrn: true,
        expn: true,
        xclient: true,
        xforward: true,
        handover: true,
        ..config().extensions
    }
}

fn offering(extensions: Extensions) -> ServerConfig {
    ServerConfig { extensions, ..config() }
}

const MAIL: &str = "MAIL FROM:<a@a.example>\r\n";
const RCPT: &str = "RCPT TO:<b@b.example>\r\n";
const OK_OK: &str = "250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n";

/// Behind MAIL and RCPT.
fn in_transaction(config: ServerConfig) -> Server {
    let mut server = Server::greeted(config);
    assert_eq!(server.say(format!("{MAIL}{RCPT}")), OK_OK);
    server
}

fn mail(server: &Server) -> &Mail {
    server.told.iter().rev().find_map(|event| if let Event::Mail(mail) = event { Some(mail) } else { None }).unwrap()
}

fn rcpt(server: &Server) -> &Rcpt {
    server.told.iter().rev().find_map(|event| if let Event::Rcpt(rcpt) = event { Some(rcpt) } else { None }).unwrap()
}

#[test]
fn each_parameter_belongs_to_its_extension() {
    for (parameter, extensions) in [
        ("BODY=8BITMIME", Extensions { eight_bit_mime: false, ..all() }),
        ("BODY=7BIT", Extensions { eight_bit_mime: false, ..all() }),
        ("BODY=BINARYMIME", Extensions { binary_mime: false, ..all() }),
        ("BODY=BINARYMIME", Extensions { chunking: false, ..all() }),
        ("SMTPUTF8", Extensions { smtp_utf8: false, ..all() }),
        ("RET=HDRS", Extensions { dsn: false, ..all() }),
        ("ENVID=a", Extensions { dsn: false, ..all() }),
        ("MT-PRIORITY=3", Extensions { mt_priority: false, ..all() }),
        ("BY=120;R", Extensions { deliver_by: None, ..all() }),
        ("HOLDFOR=60", Extensions { future_release: None, ..all() }),
        ("SOLICIT=org.example:ADV", Extensions { no_soliciting: false, ..all() }),
    ] {
        let line = format!("MAIL FROM:<a@a.example> {parameter}\r\n");
        assert_eq!(Server::greeted(offering(all())).say(&line), "250 2.1.0 sender ok\r\n", "{line}");
        let mut without = Server::greeted(offering(extensions));
        assert_eq!(without.say(&line), "504 5.5.4 parameter not implemented\r\n", "{line}");
        // What nobody knows is another matter, and so is what HELO knows nothing of.
        assert_eq!(without.say("MAIL FROM:<a@a.example> XYZZY\r\n"), "555 5.5.4 parameter not recognized\r\n");
        let mut old = Server::new(offering(all()));
        let _ = old.run();
        old.say("HELO a.example\r\n");
        assert_eq!(old.say(&line), "555 5.5.4 parameter not recognized\r\n");
    }
    for (parameter, extensions) in [
        ("NOTIFY=NEVER", Extensions { dsn: false, ..all() }),
        ("ORCPT=rfc822;c@c.example", Extensions { dsn: false, ..all() }),
        ("RRVS=2014-04-03T23:01:00Z", Extensions { rrvs: false, ..all() }),
    ] {
        let line = format!("RCPT TO:<b@b.example> {parameter}\r\n");
        assert_eq!(in_transaction(offering(all())).say(&line), "250 2.1.5 recipient ok\r\n", "{line}");
        let refused = in_transaction(offering(extensions)).say(&line);
        assert_eq!(refused, "504 5.5.4 parameter not implemented\r\n", "{line}");
        let mut old = Server::new(offering(all()));
        let _ = old.run();
        old.say(format!("HELO a.example\r\n{MAIL}"));
        assert_eq!(old.say(&line), "555 5.5.4 parameter not recognized\r\n");
    }
}

#[test]
fn what_was_said_of_reports_is_told() {
    let mut server = Server::greeted(offering(all()));
    server.say(
        "MAIL FROM:<> RET=FULL ENVID=a+2Bb\r\nRCPT TO:<b@b.example> notify=success,DELAY ORCPT=rfc822;c+2Bd@e\r\n",
    );
    let said = &mail(&server).parameters;
    assert_eq!((said.ret, said.envid.as_ref().map(|id| id.decode())), (Some(Ret::Full), Some(b"a+b".to_vec())));
    let said = &rcpt(&server).parameters;
    assert_eq!(said.notify, Some(Notify { success: true, failure: false, delay: true }));
    assert_eq!(said.orcpt.as_ref().map(|original| original.address().into_owned()), Some("c+d@e".to_owned()));
}

#[test]
fn an_original_recipient_beyond_ascii_needs_smtputf8() {
    let line = "RCPT TO:<b@b.example> ORCPT=utf-8;j\u{f6}@c.example\r\n";
    let refused = in_transaction(offering(all())).say(line);
    assert_eq!(refused, "553 5.6.7 addresses beyond ASCII need SMTPUTF8\r\n");
    let mut server = Server::greeted(offering(all()));
    assert_eq!(server.say(format!("MAIL FROM:<> SMTPUTF8\r\n{line}")), OK_OK);
}

#[test]
fn requiretls_is_a_thing_of_tls() {
    let mut server = Server::greeted(ServerConfig { extensions: all(), ..submission() });
    assert!(!server.say("EHLO a.example\r\n").contains("REQUIRETLS"));
    assert_eq!(server.say("MAIL FROM:<a@a.example> REQUIRETLS\r\n"), "504 5.5.4 parameter not implemented\r\n");
    server.say("STARTTLS\r\n");
    server.shake_hands();
    assert!(server.say("EHLO a.example\r\n").contains("250-REQUIRETLS\r\n"));
    assert_eq!(server.say("MAIL FROM:<a@a.example> REQUIRETLS\r\n"), "250 2.1.0 sender ok\r\n");
    assert!(mail(&server).parameters.require_tls);
}

#[test]
fn auth_in_mail_belongs_to_auth() {
    let line = "MAIL FROM:<a@a.example> AUTH=<>\r\n";
    assert_eq!(Server::greeted(submission()).say(line), "250 2.1.0 sender ok\r\n");
    assert_eq!(Server::greeted(config()).say(line), "504 5.5.4 parameter not implemented\r\n");
}

#[test]
fn what_our_own_processes_say_to_each_other_nobody_else_has_heard_of() {
    let line = "RCPT TO:<b@b.example> XDELIVERY=a-1 XEPOCH=7\r\n";
    let mut server = in_transaction(offering(all()));
    assert_eq!(server.say(line), "250 2.1.5 recipient ok\r\n");
    let said = &rcpt(&server).parameters;
    assert_eq!((said.delivery.as_ref().map(|id| id.as_str()), said.epoch), (Some("a-1"), Some(7)));
    let refused = in_transaction(offering(Extensions { handover: false, ..all() })).say(line);
    assert_eq!(refused, "555 5.5.4 parameter not recognized\r\n");
}

#[test]
fn limits_are_told_and_kept() {
    let mut limited = config();
    (limited.limits.transactions, limited.limits.recipients) = (2, 1);
    let mut server = Server::new(limited);
    let _ = server.run();
    assert!(server.say("EHLO a.example\r\n").ends_with("250 LIMITS MAILMAX=2 RCPTMAX=1\r\n"));
    for _ in 0..2 {
        assert_eq!(
            server.say(format!("{MAIL}{RCPT}RCPT TO:<c@b.example>\r\nRSET\r\n")),
            format!("{OK_OK}452 4.5.3 too many recipients\r\n250 2.0.0 ok\r\n")
        );
    }
    assert_eq!(server.say(MAIL), "421 4.7.0 too many messages in this session, closing\r\n");
    assert_eq!(server.closed(), Close::Violation(Violation::TooManyTransactions));
    // Those that are refused without counting as errors count too: there is an end to everything.
    let mut limited = config();
    limited.limits.transactions = 2;
    let mut server = Server::greeted(limited);
    for _ in 0..2 {
        assert!(server.say("MAIL FROM:<a@a.example> SIZE=99999999999\r\n").starts_with("552"));
    }
    assert!(server.say(MAIL).starts_with("421"));
}

#[test]
fn a_binary_message_comes_by_bdat_only_and_as_it_is() {
    let mut server = Server::greeted(offering(all()));
    server.say(format!("MAIL FROM:<a@a.example> BODY=BINARYMIME\r\n{RCPT}"));
    assert_eq!(mail(&server).parameters.body, Some(BodyType::BinaryMime));
    assert_eq!(server.say("DATA\r\n"), "503 5.5.1 bad sequence of commands\r\n");
    assert_eq!(server.say(b"BDAT 9 LAST\r\n\0\r\n.\r\n\n\r\xff"), "250 2.0.0 message accepted\r\n");
    assert_eq!(server.message(), b"\0\r\n.\r\n\n\r\xff");
    let end = server.told.iter().find_map(|event| if let Event::End(end) = event { Some(*end) } else { None });
    assert_eq!(end, Some(smtp_proto::End { size: 9, octets: Octets::EightBit }));
}

#[test]
fn strays_in_chunks_meet_their_own_policy() {
    let normalize = Strays { cr: Stray::Normalize, lf: Stray::Normalize, nul: Stray::Normalize };
    for (bdat, heard, message) in [
        (
            Strays::default(),
            "554 5.6.0 message holds a lone CR or LF\r\n503 5.5.1 no transaction is open\r\n",
            &b""[..],
        ),
        (normalize, "250 2.0.0 chunk received\r\n250 2.0.0 message accepted\r\n", b"a\r\nb\r\nc d"),
        (Strays::KEEP, "250 2.0.0 chunk received\r\n250 2.0.0 message accepted\r\n", b"a\nb\r\nc\0\rd"),
    ] {
        let mut server = in_transaction(ServerConfig { bdat, ..config() });
        assert_eq!(server.say(b"BDAT 4\r\na\nb\rBDAT 5 LAST\r\n\nc\0\rd"), heard);
        let kept = if heard.starts_with("250") { server.message() } else { vec![] };
        assert_eq!(kept, message);
        assert_eq!(server.say(RCPT), "503 5.5.1 bad sequence of commands\r\n", "the transaction is over");
    }
}

#[test]
fn the_application_refuses_a_message_by_bdat_before_or_behind_it() {
    let refusal = Reply::new(ReplyCode::INSUFFICIENT_STORAGE, Enhanced::new(3, 1), "full");
    let mut server = in_transaction(config());
    server.input.extend_from_slice(b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
    assert_eq!(server.ask(), Event::Data);
    server.session.reply(&refusal, server.now, &mut server.out).unwrap();
    let _ = server.run();
    assert_eq!(server.heard(), "452 4.3.1 full\r\n503 5.5.1 no transaction is open\r\n250 2.0.0 ok\r\n");
    assert!(!server.was_told(&Event::Aborted), "it was the application's own word");

    let mut server = in_transaction(config());
    server.input.extend_from_slice(b"BDAT 2\r\nabBDAT 2 LAST\r\ncd");
    assert_eq!(server.ask(), Event::Data);
    server.session.accept(server.now, &mut server.out).unwrap();
    server.session.discard_body().unwrap();
    assert!(matches!(server.ask(), Event::End(end) if end.size == 4));
    server.session.reply(&refusal, server.now, &mut server.out).unwrap();
    assert_eq!(server.heard(), "250 2.0.0 chunk received\r\n452 4.3.1 full\r\n");
    assert_eq!(server.message(), b"");
}

#[test]
fn chunks_that_are_not_offered_are_skipped() {
    let mut server = in_transaction(offering(Extensions { chunking: false, ..all() }));
    assert_eq!(
        server.say("BDAT 6 LAST\r\nQUIT\r\nDATA\r\n"),
        "502 5.5.1 command not implemented\r\n354 end with <CRLF>.<CRLF>\r\n"
    );
    // And there is no way to send what needs them.
    let mut server = Server::greeted(offering(Extensions { chunking: false, ..all() }));
    assert_eq!(server.say("MAIL FROM:<> BODY=BINARYMIME\r\n"), "504 5.5.4 parameter not implemented\r\n");
}

#[test]
fn too_much_of_a_refused_message_ends_the_session() {
    let mut limited = config();
    limited.limits.refused_chunks = 10;
    let mut server = in_transaction(limited);
    server.input.extend_from_slice(b"BDAT 11 LAST\r\n");
    assert_eq!(server.ask(), Event::Data);
    server.session.decline(server.now, &mut server.out);
    assert_eq!(server.closed(), Close::Violation(Violation::ChunkFlood));
    assert_eq!(server.heard(), "554 5.3.0 not accepted\r\n421 4.5.1 too much was refused, closing\r\n");
    assert!(server.was_told(&Event::Violation(Violation::ChunkFlood)));
}

#[test]
fn lmtp_answers_the_last_chunk_for_each_recipient() {
    let lmtp = ServerConfig { protocol: Protocol::Lmtp, ..config() };
    let open = || {
        let mut server = Server::new(lmtp.clone());
        let _ = server.run();
        server.say(format!("LHLO a.example\r\n{MAIL}{RCPT}{RCPT}"));
        server
    };
    let accepted = "250 2.0.0 message accepted\r\n";
    assert_eq!(
        open().say("BDAT 3\r\na\r\nBDAT 0 LAST\r\n"),
        format!("250 2.0.0 chunk received\r\n{accepted}{accepted}")
    );
    // Whoever refuses it, and when.
    let bare = "554 5.6.0 message holds a lone CR or LF\r\n";
    assert_eq!(open().say("BDAT 1 LAST\r\n\n"), format!("{bare}{bare}"));
    let mut server = open();
    server.input.extend_from_slice(b"BDAT 3 LAST\r\na\r\n");
    assert_eq!(server.ask(), Event::Data);
    server.session.decline(server.now, &mut server.out);
    let _ = server.run();
    assert_eq!(server.heard(), "554 5.3.0 not accepted\r\n".repeat(2));
    let mut small = lmtp.clone();
    small.limits.message = 2;
    let mut server = Server::new(small);
    let _ = server.run();
    server.say(format!("LHLO a.example\r\n{MAIL}{RCPT}{RCPT}"));
    assert_eq!(server.say("BDAT 3 LAST\r\na\r\n"), "552 5.3.4 message too big\r\n".repeat(2));
    // Without recipients nothing can follow, and one reply says so.
    let mut server = Server::new(lmtp);
    let _ = server.run();
    server.say(format!("LHLO a.example\r\n{MAIL}"));
    assert_eq!(server.say("BDAT 3 LAST\r\na\r\n"), "503 5.5.1 no valid recipients\r\n");
}

#[test]
fn chunks_of_next_to_nothing_are_chatter() {
    let mut limited = config();
    limited.limits.chatter = 3;
    // EHLO is the first of it.
    let mut server = in_transaction(limited);
    assert_eq!(server.say("BDAT 1\r\naBDAT 0\r\n"), "250 2.0.0 chunk received\r\n".repeat(2));
    assert_eq!(server.say(format!("BDAT 1024\r\n{}", "b".repeat(1024))), "250 2.0.0 chunk received\r\n");
    assert_eq!(server.say("BDAT 1\r\na"), "421 4.7.0 too many commands, closing\r\n");
    assert_eq!(server.closed(), Close::Violation(Violation::TooMuchChatter));
}

#[test]
fn a_session_that_stops_says_so_between_chunks_and_not_inside() {
    let mut server = in_transaction(config());
    server.say("BDAT 2\r\nab");
    server.session.shut_down(ShutDown::Stopping, server.now, &mut server.out);
    assert_eq!(server.heard(), "421 4.3.2 mx.example service is shutting down\r\n");
    assert!(server.run() == smtp_proto::Step::Close(Close::ShutDown(ShutDown::Stopping)));
    assert!(server.was_told(&Event::Aborted));
    for open in ["BDAT 2\r\na", "NOOP\r\nBDAT 2 LAST\r\n"] {
        let mut server = in_transaction(config());
        server.say(open);
        server.session.shut_down(ShutDown::Stopping, server.now, &mut server.out);
        assert_eq!(server.heard(), "");
        assert_eq!(server.closed(), Close::ShutDown(ShutDown::Stopping));
    }
    // Whoever leaves while the first chunk is asked about says so instead of taking it.
    let mut server = in_transaction(config());
    server.input.extend_from_slice(b"BDAT 2 LAST\r\nab");
    assert_eq!(server.ask(), Event::Data);
    server.session.shut_down(ShutDown::Stopping, server.now, &mut server.out);
    server.session.accept(server.now, &mut server.out).unwrap();
    assert!(server.heard().starts_with("421 "));
    assert_eq!(server.closed(), Close::ShutDown(ShutDown::Stopping));
}

#[test]
fn a_message_keeps_its_pace_or_ends() {
    let mut paced = config();
    paced.limits.progress = 100;
    paced.timeouts.progress = Duration::from_secs(60);
    paced.timeouts.body = Duration::from_secs(150);
    for begin in ["DATA\r\n", "BDAT 5000 LAST\r\n"] {
        let mut server = in_transaction(paced.clone());
        server.say(begin);
        let deadline = server.session.poll_timeout().unwrap();
        assert_eq!((deadline.at.as_secs(), deadline.waiting_for), (60, Waiting::Body));
        server.now = Duration::from_secs(59);
        server.say("x".repeat(100));
        assert_eq!(server.session.poll_timeout(), Some(deadline), "no octet moves it");
        server.now = Duration::from_secs(60);
        server.session.handle_timeout(server.now, &mut server.out);
        assert_eq!(server.session.poll_timeout().unwrap().at.as_secs(), 120);
        server.say("x".repeat(99));
        let mut slow = server.session.poll_timeout().unwrap().at;
        server.session.handle_timeout(slow, &mut server.out);
        assert_eq!(server.closed(), Close::Timeout(Waiting::Body));
        // And what is fast enough ends with the total.
        let mut server = in_transaction(paced.clone());
        server.say(begin);
        for at in [60, 120] {
            server.say("x".repeat(100));
            server.now = Duration::from_secs(at);
            server.session.handle_timeout(server.now, &mut server.out);
        }
        slow = server.session.poll_timeout().unwrap().at;
        assert_eq!(slow.as_secs(), 150);
        server.say("x".repeat(100));
        server.session.handle_timeout(slow, &mut server.out);
        assert_eq!(server.closed(), Close::Timeout(Waiting::Body));
        assert_eq!(server.heard().matches("421").count(), 0, "text would be taken for something else");
    }
    // Octets that are skipped have a total only.
    let mut server = Server::greeted(paced);
    server.say("BDAT 10\r\n");
    assert_eq!(server.session.poll_timeout().unwrap().at.as_secs(), 150);
    server.session.handle_timeout(Duration::from_secs(150), &mut server.out);
    assert_eq!(server.closed(), Close::Timeout(Waiting::Body));
}

#[test]
fn what_comes_before_its_turn_is_ignored_told_or_refused() {
    let early = [
        ("EHLO a.example\r\n", "NOOP\r\n"),
        ("DATA\r\n", "text\r\n.\r\n"),
        ("AUTH PLAIN c2VjcmV0\r\n", "NOOP\r\n"),
        ("XCLIENT ADDR=192.0.2.7\r\n", "NOOP\r\n"),
    ];
    for (command, behind) in early {
        for (before_reply, told) in [(EarlyTalk::Ignore, 0), (EarlyTalk::Report, 1), (EarlyTalk::Refuse, 1)] {
            let mut open = ServerConfig { before_reply, extensions: all(), ..submission() };
            open.plaintext_login = smtp_proto::PlaintextLogin::Always;
            let mut server = Server::greeted(open);
            if command == "DATA\r\n" {
                server.say(format!("{MAIL}{RCPT}"));
            }
            let heard = server.say(format!("{command}{behind}"));
            let count = server.told.iter().filter(|event| **event == Event::Violation(Violation::EarlyTalk)).count();
            assert_eq!(count, told, "{command} {before_reply:?}");
            if before_reply == EarlyTalk::Refuse {
                assert_eq!(heard, "554 5.5.1 you spoke before it was your turn\r\n");
                assert_eq!(server.closed(), Close::Violation(Violation::EarlyTalk));
            } else {
                assert!(
                    heard.ends_with("250 2.0.0 ok\r\n") || heard.ends_with("250 2.0.0 message accepted\r\n"),
                    "{heard}"
                );
            }
        }
    }
}

#[test]
fn who_was_not_offered_pipelining_waits_for_each_reply() {
    let refuse = ServerConfig { before_reply: EarlyTalk::Refuse, ..config() };
    let mut patient = refuse.clone();
    patient.extensions.pipelining = false;
    for (config, hello) in [(refuse.clone(), "HELO a.example\r\n"), (patient, "EHLO a.example\r\n")] {
        let mut server = Server::new(config);
        let _ = server.run();
        server.say(hello);
        assert!(server.say(MAIL).starts_with("250"));
        assert!(server.say(format!("{RCPT}NOOP\r\n")).starts_with("554 5.5.1"));
    }
    let mut server = Server::greeted(refuse);
    assert_eq!(
        server.say(format!("{MAIL}{RCPT}NOOP\r\nBDAT 2 LAST\r\nabQUIT\r\nx")),
        format!("{OK_OK}250 2.0.0 ok\r\n250 2.0.0 message accepted\r\n221 2.0.0 goodbye\r\n")
    );
}

#[test]
fn a_lookup_is_asked_where_it_is_offered() {
    let mut asking = offering(all());
    asking.vrfy = Vrfy::Ask;
    let mut server = Server::greeted(asking);
    for (verb, who, question) in [("VRFY", "bob", Event::Vrfy as fn(Lookup) -> Event), ("EXPN", "staff", Event::Expn)] {
        let name = Text::parse(who).unwrap().into_owned();
        for (suffix, smtp_utf8) in [("", false), (" smtputf8", true)] {
            server.input.extend_from_slice(format!("{verb} {who}{suffix}\r\n").as_bytes());
            assert_eq!(server.ask(), question(Lookup { name: name.clone(), smtp_utf8 }));
            let reply = Reply::new(ReplyCode::OK, Enhanced::new(0, 0), "<bob@b.example>");
            server.session.reply(&reply, server.now, &mut server.out).unwrap();
            assert_eq!(server.heard(), "250 2.0.0 <bob@b.example>\r\n");
        }
        let beyond = format!("{verb} b\u{f6}b\r\n");
        assert_eq!(server.say(beyond), "553 5.6.7 addresses beyond ASCII need SMTPUTF8\r\n");
    }
    server.input.extend_from_slice(b"EXPN staff\r\n");
    let _ = server.ask();
    assert_eq!(server.session.accept(server.now, &mut server.out), Err(Misuse::WrongReply), "who are they?");
    server.session.decline(server.now, &mut server.out);
    assert_eq!(server.heard(), "502 5.5.1 not implemented\r\n");
    let mut without = config();
    without.vrfy = Vrfy::Ask;
    without.extensions.smtp_utf8 = false;
    let mut server = Server::greeted(without);
    assert_eq!(server.say("VRFY bob SMTPUTF8\r\n"), "504 5.5.4 parameter not implemented\r\n");
    assert_eq!(server.say("EXPN staff\r\n"), "502 5.5.1 command not implemented\r\n");
}

#[test]
fn etrn_is_asked_outside_of_transactions() {
    let mut server = Server::greeted(offering(all()));
    assert_eq!(server.say("ETRN @b.example\r\n"), "250 2.0.0 queuing for this node started\r\n");
    assert!(server.was_told(&Event::Etrn(Text::parse("@b.example").unwrap().into_owned())));
    assert_eq!(
        server.say(format!("{MAIL}ETRN b.example\r\n")),
        "250 2.1.0 sender ok\r\n503 5.5.1 bad sequence of commands\r\n"
    );
    let mut server = Server::new(offering(all()));
    let _ = (server.run(), server.heard());
    assert_eq!(server.say("ETRN b.example\r\n"), "503 5.5.1 bad sequence of commands\r\n");
    assert_eq!(Server::greeted(config()).say("ETRN b.example\r\n"), "502 5.5.1 command not implemented\r\n");
}

#[test]
fn lookups_and_etrn_are_chatter() {
    for line in ["VRFY bob\r\n", "EXPN staff\r\n", "ETRN b.example\r\n", "HELP\r\n", "HELP MAIL\r\n"] {
        let mut limited = offering(all());
        (limited.vrfy, limited.limits.chatter) = (Vrfy::Ask, 2);
        let mut server = Server::greeted(limited);
        let mut say = || {
            server.input.extend_from_slice(line.as_bytes());
            let _ = server.run_with(|session, event, now, out| {
                if event.is_question() {
                    session.decline(now, out);
                }
            });
            server.heard()
        };
        assert!(!say().starts_with("421"), "{line}");
        assert_eq!(say(), "421 4.7.0 too many commands, closing\r\n", "{line}");
    }
}

#[test]
fn a_proxy_says_whom_it_speaks_for() {
    let mut proxied = ServerConfig { extensions: all(), ..submission() };
    proxied.senders = smtp_proto::Senders::LoggedIn;
    let mut server = Server::greeted(proxied);
    let heard = server.say("XCLIENT ADDR=192.0.2.7 LOGIN=bob HELO=c.example\r\n");
    assert_eq!(heard, "220 mx.example ESMTP\r\n");
    let Some(Event::Xclient(client)) = server.told.last() else { panic!() };
    assert_eq!(client.addr.and_then(Attribute::known), Some([192, 0, 2, 7].into()));
    // It begins anew, but for the login.
    assert_eq!(server.say(MAIL), "503 5.5.1 bad sequence of commands\r\n");
    server.say("EHLO c.example\r\n");
    assert_eq!(server.say(MAIL), "250 2.1.0 sender ok\r\n");
    assert_eq!(server.say("XCLIENT ADDR=192.0.2.7\r\n"), "503 5.5.1 bad sequence of commands\r\n", "in a transaction");
    server.say("RSET\r\n");
    assert_eq!(server.say("XCLIENT ADDR=192.0.2.8 LOGIN=[UNAVAILABLE]\r\n"), "220 mx.example ESMTP\r\n");
    server.say("EHLO c.example\r\n");
    assert_eq!(server.say(MAIL), "530 5.7.0 authentication required\r\n");
    // The client may be turned away.
    server.input.extend_from_slice(b"XCLIENT ADDR=192.0.2.9\r\n");
    let _ = server.ask();
    server.session.decline(server.now, &mut server.out);
    assert_eq!(server.heard(), "554 5.3.2 no mail service for this client\r\n");
    assert_eq!(
        server.say("EHLO c.example\r\nBDAT 6\r\nQUIT\r\nQUIT\r\n"),
        "503 5.5.1 bad sequence of commands\r\n503 5.5.1 bad sequence of commands\r\n221 2.0.0 goodbye\r\n"
    );
    // Nobody else is listened to.
    let mut server = Server::greeted(config());
    assert_eq!(server.say("XCLIENT ADDR=192.0.2.7\r\n"), "502 5.5.1 command not implemented\r\n");
    assert_eq!(server.say("XFORWARD ADDR=192.0.2.7\r\n"), "502 5.5.1 command not implemented\r\n");
}

#[test]
fn a_filter_says_where_it_has_the_next_message_from() {
    let mut server = Server::greeted(offering(all()));
    assert_eq!(server.say("XFORWARD NAME=c.example ADDR=192.0.2.7\r\n"), "250 2.0.0 noted\r\n");
    assert!(matches!(server.told.last(), Some(Event::Xforward(_))));
    assert_eq!(server.say("XFORWARD NAME\r\n"), "501 5.5.4 syntax error in arguments\r\n");
    assert_eq!(
        server.say(format!("{MAIL}XFORWARD ADDR=192.0.2.7\r\n")),
        "250 2.1.0 sender ok\r\n503 5.5.1 bad sequence of commands\r\n"
    );
}

#[test]
fn what_follows_a_refused_sender_is_not_held_against_who_does_not_wait() {
    let rest = format!("{}DATA\r\n", RCPT.repeat(50));
    for refused in
        ["MAIL FROM:<no@a.example>\r\n", "MAIL FROM:<a@a.example> SIZE=99999999999\r\n", "MAIL FROM:<a@a.example\r\n"]
    {
        let mut limited = config();
        (limited.limits.violations, limited.limits.recipients) = (6, 50);
        let mut server = Server::greeted(limited);
        for _ in 0..3 {
            let heard = server.say(format!("{refused}{rest}"));
            assert_eq!(heard.matches("503 5.5.1 no transaction is open\r\n").count(), 51, "{refused}");
        }
        // One more is one too many, and so is what comes of no MAIL at all.
        assert_eq!(server.say(RCPT), "503 5.5.1 bad sequence of commands\r\n");
        assert_eq!(server.say(format!("{refused}RSET\r\n{RCPT}")).matches("bad sequence").count(), 1);
    }
    // A second MAIL changes nothing for the first.
    let mut server = in_transaction(config());
    assert_eq!(
        server.say(format!("{MAIL}DATA\r\n")),
        "503 5.5.1 bad sequence of commands\r\n354 end with <CRLF>.<CRLF>\r\n"
    );
}
