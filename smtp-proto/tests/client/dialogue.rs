//! What is sent, and which reply is given to which command.

use std::time::Duration;

use smtp_proto::{
    Class, ClientEvent, Close, Command, Mechanism, Misuse, PlaintextLogin, Protocol, Secret, SendError, ServerConfig,
    ShutDown, Step, Violation,
};

use crate::case::{Client, NOW, mail, name, rcpt};
use crate::common::{Server, submission};

#[test]
fn each_reply_is_given_to_its_command() {
    let mut client = Client::greeted("250-PIPELINING\r\n");
    let tickets = [mail("<>"), rcpt("<a@b.example>"), Command::Rset, mail("<>"), Command::Noop]
        .map(|command| client.send(command).unwrap());
    assert_eq!(client.out, "MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nRSET\r\nMAIL FROM:<>\r\nNOOP\r\n");
    client.input.extend_from_slice(b"250-a\r\n250 a\r\n450 b\r\n250 c\r\n550 d\r\n250 e\r\n");
    let classes = tickets.map(|ticket| client.reply_to(ticket, ""));
    assert_eq!(classes, [Class::Success, Class::Transient, Class::Success, Class::Permanent, Class::Success]);
    assert_eq!(client.step(), Step::NeedInput);
}

#[test]
fn nothing_follows_a_command_that_ends_a_group() {
    // RFC 2920 §3.1.
    for last in [Command::Noop, Command::Data, Command::Quit, Command::Ehlo(name()), Command::StartTls] {
        let mut client = Client::greeted("250-PIPELINING\r\n250-STARTTLS\r\n");
        client.send(last.clone()).unwrap();
        client.out.clear();
        assert_eq!(client.send(mail("<>")), Err(SendError::Wait), "{last:?}");
        assert_eq!(client.out, "");
    }
    let mut client = Client::greeted("250-PIPELINING\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n");
    client.send(mail("<>")).unwrap();
    // The reply to what came before must not arrive behind TLS, nor be given to another user.
    assert_eq!(client.send(Command::StartTls), Err(SendError::Wait));
    assert_eq!(client.send(Command::Ehlo(name())), Err(SendError::Wait));
    let mut client = Client::greeted("");
    client.send(mail("<>")).unwrap();
    assert_eq!(client.send(rcpt("<a@b.example>")), Err(SendError::Wait), "no PIPELINING here");
}

#[test]
fn each_protocol_has_its_own_hello() {
    let mut client = Client::new(Protocol::Smtp);
    assert_eq!(client.send(Command::Ehlo(name())), Err(SendError::NotNow), "before the greeting");
    client.hear("220 mx.example\r\n");
    assert_eq!(client.send(Command::Lhlo(name())), Err(SendError::NotNow));
    let mut client = Client::new(Protocol::Lmtp);
    client.hear("220 mx.example\r\n");
    assert_eq!(client.send(Command::Ehlo(name())), Err(SendError::NotNow));
    assert_eq!(client.send(Command::Helo(name())), Err(SendError::NotNow));
    assert!(client.send(Command::Lhlo(name())).is_ok());
}

#[test]
fn a_421_may_come_at_any_time() {
    let mut client = Client::greeted("");
    assert!(
        matches!(client.hear("421 4.3.2 stopping\r\n"), ClientEvent::Farewell(reply) if reply.to_string() == "421 4.3.2 stopping")
    );
    assert_eq!(client.step(), Step::Close(Close::ShutDown(ShutDown::Stopping)));
    assert_eq!(client.send(Command::Quit), Err(SendError::NotNow));
}

#[test]
fn a_reply_to_nothing_is_a_violation() {
    let mut client = Client::greeted("");
    client.input.extend_from_slice(b"250 ok\r\n");
    assert_eq!(client.step(), Step::Close(Close::Violation(Violation::UnaskedReply)));
}

#[test]
fn a_reply_of_the_wrong_kind_is_a_violation() {
    for (command, said) in
        [(Command::Data, "250 done\r\n"), (Command::Noop, "354 go\r\n"), (Command::StartTls, "250 go\r\n")]
    {
        let mut client = Client::greeted("250-STARTTLS\r\n");
        client.send(command).unwrap();
        client.input.extend_from_slice(said.as_bytes());
        assert_eq!(client.step(), Step::Close(Close::Violation(Violation::BadReply)), "{said}");
    }
}

#[test]
fn a_body_goes_out_only_where_it_was_asked_for() {
    let mut client = Client::greeted("");
    assert_eq!(client.session.body(b"x", &mut client.out), Err(Misuse::NotNow));
    assert_eq!(client.session.end_body(NOW, &mut client.out), Err(Misuse::NotNow));
    let data = client.send(Command::Data).unwrap();
    assert_eq!(client.session.body(b"x", &mut client.out), Err(Misuse::NotNow));
    client.out.clear();
    let event = client.hear("354 go\r\n");
    assert!(event.is_question() && matches!(event, ClientEvent::Reply { to, .. } if to == data));
    assert_eq!(client.step(), Step::YourTurn);
    assert_eq!(client.send(Command::Quit), Err(SendError::NotNow));
    client.session.body(b".a\r", &mut client.out).unwrap();
    assert_eq!(client.session.end_body(NOW, &mut client.out), Err(Misuse::BareLineEnd), "behind a lone CR");
    assert_eq!(client.session.body(b"b", &mut client.out), Err(Misuse::BareLineEnd));
    client.session.body(b"\n.", &mut client.out).unwrap();
    let verdict = client.session.end_body(NOW, &mut client.out).unwrap();
    assert_eq!(client.out, "..a\r\n..\r\n.\r\n");
    assert_eq!(client.reply_to(verdict, "250 queued\r\n"), Class::Success);
}

#[test]
fn lmtp_verdicts_are_counted_anew_in_each_transaction() {
    // The first of these transactions is given up by RSET, the second by the server's word to DATA.
    for between in [Command::Rset, Command::Data] {
        let mut client = Client::new(Protocol::Lmtp);
        client.hear("220 mx.example\r\n");
        client.send(Command::Lhlo(name())).unwrap();
        client.hear("250 mx.example\r\n");
        for command in [mail("<>"), rcpt("<a@b.example>"), rcpt("<b@b.example>")] {
            let ticket = client.send(command).unwrap();
            client.reply_to(ticket, "250 ok\r\n");
        }
        let said = if between == Command::Rset { "250 ok\r\n" } else { "451 later\r\n" };
        let ticket = client.send(between).unwrap();
        client.reply_to(ticket, said);
        for command in [mail("<>"), rcpt("<c@b.example>"), Command::Data] {
            let said = if command == Command::Data { "354 go\r\n" } else { "250 ok\r\n" };
            let ticket = client.send(command).unwrap();
            client.reply_to(ticket, said);
        }
        let verdict = client.session.end_body(NOW, &mut client.out).unwrap();
        assert_eq!(client.reply_to(verdict, "250 ok\r\n"), Class::Success);
        assert_eq!(client.session.poll_timeout(), None, "one verdict, and no other is awaited");
    }
}

#[test]
fn a_login_by_challenge_and_response() {
    let config = ServerConfig { plaintext_login: PlaintextLogin::Always, ..submission() };
    let mut server = Server::new(config);
    let _ = server.run();
    let mut client = Client::new(Protocol::Smtp);
    client.hear(&server.heard());
    client.send(Command::Ehlo(name())).unwrap();
    let said = server.say(client.out.split());
    client.hear(&said);
    let mechanism = Mechanism::parse("PLAIN").unwrap();

    // Broken off by the client.
    let auth = client.send(Command::Auth { mechanism, initial: None }).unwrap();
    let said = server.say(client.out.split());
    assert_eq!(client.reply_to(auth, &said), Class::Intermediate);
    assert_eq!(client.step(), Step::YourTurn);
    client.session.cancel(NOW, &mut client.out).unwrap();
    let said = server.say(client.out.split());
    assert_eq!(client.reply_to(auth, &said), Class::Permanent);

    // In two rounds.
    let auth = client.send(Command::Auth { mechanism, initial: Some(Secret::new(b"more".to_vec())) }).unwrap();
    assert_eq!(client.send(mail("<>")), Err(SendError::Wait));
    let said = server.say(client.out.split());
    assert_eq!(client.reply_to(auth, &said), Class::Intermediate);
    client.session.respond(b"secret", NOW, &mut client.out).unwrap();
    assert_eq!(client.session.respond(b"secret", NOW, &mut client.out), Err(Misuse::NotNow));
    let said = server.say(client.out.split());
    assert_eq!(client.reply_to(auth, &said), Class::Success);
}

#[test]
fn each_reply_has_its_time_from_the_reply_before_it() {
    let mut client = Client::greeted("250-PIPELINING\r\n");
    let at = Duration::from_secs;
    let due = |client: &Client| client.session.poll_timeout().map(|deadline| deadline.at);
    assert_eq!(due(&client), None, "the server owes nothing");
    client.session.send(&mail("<>"), at(1000), &mut client.out).unwrap();
    client.session.send(&rcpt("<a@b.example>"), at(1100), &mut client.out).unwrap();
    assert_eq!(due(&client), Some(at(1300)), "what is sent later does not wait longer for what came first");
    client.input.extend_from_slice(b"250 ok\r\n");
    let _ = client.session.next_event(at(1200), &mut client.input, &mut client.out);
    assert_eq!(due(&client), Some(at(1500)));
}

#[test]
fn a_shutdown_of_an_idle_client_says_quit() {
    let mut client = Client::greeted("");
    client.session.shut_down(ShutDown::Stopping, NOW, &mut client.out);
    assert_eq!(client.out, "QUIT\r\n");
    assert_eq!(client.step(), Step::Close(Close::ShutDown(ShutDown::Stopping)));
}

#[test]
fn a_server_that_hangs_up_on_quit_has_quit() {
    let mut client = Client::greeted("");
    client.send(Command::Quit).unwrap();
    client.session.handle_eof();
    assert_eq!(client.step(), Step::Close(Close::Quit));
}
