//! What is said and heard.

use std::sync::Arc;
use std::time::Duration;

use pop3_proto::{
    Capabilities, ClientConfig, ClientEvent, ClientLimits, ClientSession, Close, Command, Language, Layer, LineEnds,
    Link, Misuse, Reply, ScanListing, Secret, SendError, ShutDown, Step, Switched, TlsInfo, Violation, Waiting,
};

use crate::case::{ALL, Client, apop, auth, pass, user, xclient};

#[test]
fn a_session_of_the_rfc() {
    let mut client = Client::new();
    assert_eq!(client.step(""), Step::NeedInput);
    assert_eq!(client.send(&user("mrose")), Err(SendError::NotNow), "before the greeting");
    assert_eq!(client.hear("+OK POP3 ready\r\n"), ClientEvent::Greeting(Reply::ok("POP3 ready")));
    for command in [user("mrose"), pass("secret")] {
        let ticket = client.send(&command).unwrap();
        assert!(client.reply_to(ticket, "+OK\r\n"));
    }
    let list = client.send(&Command::List(None)).unwrap();
    assert!(client.reply_to(list, "+OK 2 messages\r\n1 120\r\n"));
    assert_eq!(client.hear(""), ClientEvent::Size(ScanListing { number: 1, size: 120 }));
    assert_eq!(client.hear("2 200\r\n.\r\n"), ClientEvent::Size(ScanListing { number: 2, size: 200 }));
    assert_eq!(client.hear(""), ClientEvent::End { to: list });
    let uidl = client.send(&Command::Uidl(None)).unwrap();
    assert!(client.reply_to(uidl, "+OK\r\n1 a\r\n.\r\n"));
    assert_eq!(client.hear(""), ClientEvent::UniqueId { number: 1, uidl: "a".into() });
    assert_eq!(client.hear(""), ClientEvent::End { to: uidl });
    let retr = client.send(&Command::Retr(1)).unwrap();
    assert!(client.reply_to(retr, "+OK\r\nA: 1\r\n\r\n..\r\nx\r\n"));
    assert_eq!(client.hear("").chunk().unwrap().as_ref(), b"A: 1\r\n\r\n.\r\nx\r\n");
    assert_eq!(client.step("."), Step::NeedInput);
    assert_eq!(client.hear("\r\n"), ClientEvent::End { to: retr });
    let quit = client.send(&Command::Quit).unwrap();
    assert!(client.reply_to(quit, "+OK\r\n"));
    assert_eq!(client.step(""), Step::Close(Close::Quit));
    assert_eq!(client.send(&Command::Noop), Err(SendError::NotNow));
    let sent = "USER mrose\r\nPASS secret\r\nLIST\r\nUIDL\r\nRETR 1\r\nQUIT\r\n";
    assert_eq!(client.out, sent);
}

#[test]
fn answers_of_one_line_end_with_it() {
    let mut client = Client::new().logged_in("LANG\r\n");
    for command in [
        Command::List(Some(1)),
        Command::Uidl(Some(1)),
        Command::Dele(1),
        Command::Noop,
        Command::Stat,
        Command::Rset,
        Command::Lang(Language::parse(b"en").ok()),
    ] {
        let ticket = client.send(&command).unwrap();
        assert!(client.reply_to(ticket, "+OK 1 120\r\n"), "{command:?}");
        assert_eq!(client.step(""), Step::NeedInput);
    }
    for command in [
        Command::List(None),
        Command::Uidl(None),
        Command::Retr(1),
        Command::Top { number: 1, lines: 0 },
        Command::Lang(None),
        Command::Capa,
    ] {
        let ticket = client.send(&command).unwrap();
        assert!(!client.reply_to(ticket, "-ERR no\r\n"), "{command:?}");
        assert_eq!(client.step(""), Step::NeedInput);
    }
    assert_eq!(client.session.capabilities(), &Capabilities::default(), "a refused CAPA offers nothing");
}

#[test]
fn the_list_of_languages_is_told_as_it_comes() {
    let mut client = Client::new().greeted("LANG\r\n");
    let lang = client.send(&Command::Lang(None)).unwrap();
    assert!(client.reply_to(lang, "+OK\r\nen English\r\n.\r\n"));
    let chunk = client.hear("");
    assert_eq!(chunk.chunk().unwrap().as_ref(), b"en English\r\n");
    let end = client.hear("");
    assert_eq!((&end, end.chunk()), (&ClientEvent::End { to: lang }, None));
    assert!(!end.is_question() && !chunk.is_question());
}

#[test]
fn each_answer_is_given_to_its_command() {
    let mut client = Client::new().logged_in("PIPELINING\r\n");
    let retr = client.send(&Command::Retr(1)).unwrap();
    let list = client.send(&Command::List(None)).unwrap();
    assert!(client.reply_to(retr, "+OK\r\nx\r\n"));
    assert_eq!(client.hear("").chunk().unwrap().as_ref(), b"x\r\n");
    let dele = client.send(&Command::Dele(1)).unwrap();
    let quit = client.send(&Command::Quit).unwrap();
    assert_eq!(client.out, "RETR 1\r\nLIST\r\nDELE 1\r\nQUIT\r\n");
    assert_eq!(client.hear(".\r\n+OK\r\n.\r\n-ERR\r\n+OK\r\n"), ClientEvent::End { to: retr });
    assert!(client.reply_to(list, ""));
    assert_eq!(client.hear(""), ClientEvent::End { to: list });
    assert!(!client.reply_to(dele, ""));
    assert!(client.reply_to(quit, ""));
}

#[test]
fn nothing_follows_a_command_whose_answer_decides() {
    for last in [Command::Capa, Command::Stls, Command::Utf8, pass("x"), apop("bob"), auth("PLAIN"), Command::Quit] {
        let mut client = Client::new().greeted(ALL);
        client.send(&user("bob")).map_or_else(|_| panic!("USER may be first"), |_| ());
        if last == Command::Stls {
            assert_eq!(client.send(&last), Err(SendError::Wait), "what came before would be answered under TLS");
            client.hear("+OK\r\n");
        }
        client.send(&last).unwrap();
        client.out.clear();
        assert_eq!(client.send(&Command::Capa), Err(SendError::Wait), "{last:?}");
        assert_eq!(client.out, "");
    }
    let mut client = Client::new().greeted("USER\r\n");
    client.send(&user("bob")).unwrap();
    assert_eq!(client.send(&pass("x")), Err(SendError::Wait), "no PIPELINING here");
    client.hear("+OK\r\n");
    assert!(client.send(&pass("x")).is_ok());
}

#[test]
fn an_answer_under_way_counts() {
    let mut client = Client::new().greeted(ALL);
    client.send(&Command::Capa).unwrap();
    client.hear("+OK\r\nPIPELINING\r\n");
    assert_eq!(client.send(&user("bob")), Err(SendError::Wait));
    let limits = ClientLimits { window: 2, ..ClientLimits::default() };
    let mut client = Client::with(ClientConfig { limits, ..ClientConfig::default() }).logged_in("PIPELINING\r\n");
    client.send(&Command::Retr(1)).unwrap();
    client.hear("+OK\r\n");
    client.send(&Command::Noop).unwrap();
    assert_eq!(client.send(&Command::Noop), Err(SendError::Wait));
    client.hear(".\r\n");
    assert!(client.send(&Command::Noop).is_ok());
}

#[test]
fn nothing_is_used_that_was_not_offered() {
    for (command, without, offer) in [
        (Command::Stls, "UTF8\r\n", "STLS"),
        (Command::Utf8, "STLS\r\n", "UTF8"),
        (Command::Lang(None), "STLS\r\n", "LANG"),
        (auth("plain"), "SASL LOGIN\r\n", "SASL LOGIN PLAIN"),
        (user("jos\u{e9}"), "UTF8\r\n", "UTF8 USER"),
        (apop("jos\u{e9}"), "UTF8\r\n", "UTF8 USER"),
    ] {
        let mut client = Client::new().greeted(without);
        assert_eq!(client.send(&command), Err(SendError::NotOffered), "{command:?}");
        assert_eq!(client.out, "");
        let mut client = Client::new().greeted(&format!("{offer}\r\n"));
        assert!(client.send(&command).is_ok(), "{command:?}");
    }
    let mut client = Client::new().greeted(ALL);
    assert_eq!(client.send(&xclient()), Err(SendError::NotOffered));
    let mut client = Client::new();
    client.hear("+OK [XCLIENT] ready\r\n");
    assert!(client.send(&xclient()).is_ok());
    assert_eq!(client.send(&Command::Xoip("::1".parse().unwrap())), Err(SendError::Wait));
}

#[test]
fn each_state_has_its_commands() {
    let before = [user("bob"), pass("x"), apop("bob"), auth("PLAIN"), Command::Stls, Command::Utf8, xclient()];
    let behind = [
        Command::Stat,
        Command::List(None),
        Command::Uidl(None),
        Command::Retr(1),
        Command::Top { number: 1, lines: 1 },
        Command::Dele(1),
        Command::Noop,
        Command::Rset,
    ];
    for command in behind {
        assert_eq!(Client::new().greeted(ALL).send(&command), Err(SendError::NotNow), "{command:?}");
        assert!(Client::new().logged_in(ALL).send(&command).is_ok(), "{command:?}");
    }
    for command in before {
        assert_eq!(Client::new().logged_in(ALL).send(&command), Err(SendError::NotNow), "{command:?}");
    }
    for command in [Command::Capa, Command::Quit, Command::Lang(None)] {
        assert!(Client::new().greeted(ALL).send(&command).is_ok());
        assert!(Client::new().logged_in(ALL).send(&command).is_ok());
    }
}

#[test]
fn a_refused_login_is_no_login() {
    for command in [pass("x"), apop("bob"), auth("PLAIN")] {
        let mut client = Client::new().greeted(ALL);
        let ticket = client.send(&command).unwrap();
        assert!(!client.reply_to(ticket, "-ERR [AUTH] no\r\n"));
        assert_eq!(client.send(&Command::Stat), Err(SendError::NotNow));
        let ticket = client.send(&command).unwrap();
        assert!(client.reply_to(ticket, "+OK\r\n"));
        assert!(client.send(&Command::Stat).is_ok());
    }
}

#[test]
fn sasl_goes_back_and_forth_and_can_be_cancelled() {
    let mut client = Client::new().greeted(ALL);
    assert_eq!(client.session.respond(b"", client.now, &mut client.out), Err(Misuse::NotNow));
    assert_eq!(client.session.cancel(client.now, &mut client.out), Err(Misuse::NotNow));
    let to = client.send(&auth("LOGIN")).unwrap();
    let asked = client.hear("+ VXNlcm5hbWU6\r\n");
    assert_eq!(asked, ClientEvent::Challenge { to, challenge: Secret::new(b"Username:".to_vec()) });
    assert!(asked.is_question() && asked.chunk().is_none());
    assert_eq!(client.step(""), Step::YourTurn);
    assert_eq!((client.session.poll_timeout(), client.session.max_input()), (None, 12_290));
    assert_eq!(client.send(&Command::Quit), Err(SendError::NotNow));
    client.session.respond(b"bob", client.now, &mut client.out).unwrap();
    assert_eq!(client.due(), (300, Waiting::Reply));
    assert!(matches!(client.hear("+\r\n"), ClientEvent::Challenge { .. }));
    client.session.cancel(client.now, &mut client.out).unwrap();
    assert_eq!(client.out, "AUTH LOGIN\r\nYm9i\r\n*\r\n");
    assert!(!client.reply_to(to, "-ERR cancelled\r\n"));
    assert_eq!(client.send(&Command::Stat), Err(SendError::NotNow));
    client.send(&auth("PLAIN")).unwrap();
    assert_eq!(client.step("+ !\r\n"), Step::Close(Close::Violation(Violation::BadReply)));
    // What is a challenge elsewhere is no reply here.
    let mut client = Client::new().greeted(ALL);
    client.send(&user("bob")).unwrap();
    assert_eq!(client.step("+ bob\r\n"), Step::Close(Close::Violation(Violation::BadReply)));
}

#[test]
fn tls_forgets_what_was_offered() {
    let mut client = Client::new().greeted(ALL);
    assert!(!client.session.is_under_tls());
    client.session.switched(Switched::Tls(TlsInfo::default()), client.now);
    assert!(!client.session.is_under_tls(), "nobody asked for it");
    let stls = client.send(&Command::Stls).unwrap();
    assert!(client.reply_to(stls, "+OK\r\n"));
    assert_eq!(client.step(""), Step::Switch(Layer::Tls));
    assert_eq!(client.step(""), Step::Switch(Layer::Tls));
    assert_eq!(client.due(), (60, Waiting::Tls));
    assert_eq!(client.send(&Command::Capa), Err(SendError::NotNow));
    client.session.switched(Switched::Tls(TlsInfo::default()), client.now);
    assert!(client.session.is_under_tls());
    assert_eq!(client.session.capabilities(), &Capabilities::default());
    assert_eq!(client.step(""), Step::NeedInput);
    client.send(&Command::Capa).unwrap();
    client.hear("+OK\r\n");
    client.hear("STLS\r\n.\r\n");
    assert_eq!(client.send(&Command::Stls), Err(SendError::NotOffered), "not twice");
    // A refusal changes nothing.
    let mut client = Client::new().greeted(ALL);
    let stls = client.send(&Command::Stls).unwrap();
    assert!(!client.reply_to(stls, "-ERR\r\n"));
    assert!(client.session.capabilities().stls);
    // Born under TLS.
    let link = Link { tls: Some(TlsInfo::default()), ..Link::default() };
    assert!(ClientSession::new(Arc::default(), link, Duration::ZERO).is_under_tls());
}

#[test]
fn octets_behind_the_reply_to_stls_end_the_session() {
    for (with_it, later) in [("+OK\r\n+OK\r\n", ""), ("+OK\r\n", "+")] {
        let mut client = Client::new().greeted(ALL);
        client.send(&Command::Stls).unwrap();
        client.hear(with_it);
        assert_eq!(client.step(later), Step::Close(Close::Violation(Violation::PipelinedTls)));
    }
    let mut client = Client::new().greeted(ALL);
    client.send(&Command::Stls).unwrap();
    client.hear("+OK\r\n");
    client.session.handle_eof();
    assert_eq!(client.step(""), Step::Close(Close::Eof));
}

#[test]
fn a_refusal_of_nothing_is_a_goodbye() {
    let mut client = Client::new().logged_in("");
    let Step::Event(farewell @ ClientEvent::Farewell(_)) = client.step("-ERR disconnected for inactivity\r\n") else {
        panic!("the server has said goodbye")
    };
    assert_eq!((farewell.is_question(), farewell.chunk()), (false, None));
    assert_eq!(farewell, ClientEvent::Farewell(Reply::err("disconnected for inactivity")));
    assert_eq!(client.step("+OK\r\n"), Step::Close(Close::ShutDown(ShutDown::Stopping)));
}

#[test]
fn a_reply_to_nothing_and_what_is_no_reply_end_the_session() {
    let mut client = Client::new().greeted("");
    assert_eq!(client.step("+OK\r\n"), Step::Close(Close::Violation(Violation::UnaskedReply)));
    assert_eq!(client.step(""), Step::Close(Close::Violation(Violation::UnaskedReply)));
    assert_eq!(Client::new().greeted("").step("go on\r\n"), Step::Close(Close::Violation(Violation::UnaskedReply)));
    for bad in ["hello\r\n", "\r\n", "+OK a\rb\r\n", "+OK a\nb\r\n", "* OK imap\r\n", "+\r\n"] {
        assert_eq!(Client::new().step(bad), Step::Close(Close::Violation(Violation::BadReply)), "{bad:?}");
        let mut client = Client::new().logged_in("");
        client.send(&Command::Stat).unwrap();
        assert_eq!(client.step(bad), Step::Close(Close::Violation(Violation::BadReply)), "{bad:?}");
    }
}

#[test]
fn servers_are_taken_as_they_are() {
    let mut client = Client::new();
    assert!(matches!(client.hear("-err go away\r\n"), ClientEvent::Greeting(reply) if !reply.is_positive()));
    assert!(client.send(&Command::Quit).is_ok());
    let mut client = Client::new().logged_in("X-ODD 1\r\n\r\n..\r\n");
    let list = client.send(&Command::List(None)).unwrap();
    assert!(client.reply_to(list, "+ok\r\n  1   120 seen\r\nhello\r\n\r\n2\r\n..3 4\r\n4 5\r\n.\r\n"));
    assert_eq!(client.hear(""), ClientEvent::Size(ScanListing { number: 1, size: 120 }));
    assert_eq!(client.hear(""), ClientEvent::Size(ScanListing { number: 4, size: 5 }));
    assert_eq!(client.hear(""), ClientEvent::End { to: list });
    let uidl = client.send(&Command::Uidl(None)).unwrap();
    let long = "x".repeat(200);
    assert!(client.reply_to(uidl, &format!("+OK\r\n1 {long}\r\n2 \r\n.\r\n")));
    assert_eq!(client.hear(""), ClientEvent::UniqueId { number: 1, uidl: long.into() });
    assert_eq!(client.hear(""), ClientEvent::End { to: uidl });
}

#[test]
fn bare_lf_ends_lines_where_it_is_allowed_to() {
    let lines = "+OK\n1 120\n2 5\r\n.\n+OK\na\n.b\n..\r\n.\n";
    let config = ClientConfig { line_ends: LineEnds::CrlfOrLf, ..ClientConfig::default() };
    let mut client = Client::with(config).logged_in("PIPELINING\n");
    let list = client.send(&Command::List(None)).unwrap();
    let retr = client.send(&Command::Retr(1)).unwrap();
    assert!(client.reply_to(list, lines));
    assert_eq!(client.hear(""), ClientEvent::Size(ScanListing { number: 1, size: 120 }));
    assert_eq!(client.hear(""), ClientEvent::Size(ScanListing { number: 2, size: 5 }));
    assert_eq!(client.hear(""), ClientEvent::End { to: list });
    assert!(client.reply_to(retr, ""));
    assert_eq!(client.hear("").chunk().unwrap().as_ref(), b"a\n.b\n.\r\n");
    assert_eq!(client.hear(""), ClientEvent::End { to: retr });
    assert_eq!(client.step("x\ry\n"), Step::Close(Close::Violation(Violation::UnaskedReply)));
    let mut strict = Client::new().logged_in("");
    strict.send(&Command::List(None)).unwrap();
    assert_eq!(strict.step("+OK\n1 120\n"), Step::NeedInput);
    assert_eq!(strict.step("2 5\r\n"), Step::Close(Close::Violation(Violation::BadReply)));
}
