//! What the server must offer before it is used.

use smtp_proto::{
    BodyType, Capabilities, Class, Close, Command, DeliverBy, Domain, Hold, Lookup, MailParameters, Mechanism, Notify,
    OriginalRecipient, Priority, RcptParameters, Ret, ReversePath, Rrvs, SendError, Solicitation, Step, Submitter,
    Switched, Text, TlsInfo, Violation, Xclient, Xforward, Xtext,
};

use crate::case::{Client, NOW, bdat_last, mail, name, rcpt};

fn with(parameters: MailParameters<&'static str>) -> Command<'static> {
    Command::Mail { from: ReversePath::Null, parameters }
}

fn to(parameters: RcptParameters<&'static str>) -> Command<'static> {
    let Command::Rcpt { to, .. } = rcpt("<a@b.example>") else { panic!() };
    Command::Rcpt { to, parameters }
}

fn lookup(name: &'static str, smtp_utf8: bool) -> Lookup<&'static str> {
    Lookup { name: Text::parse(name).unwrap(), smtp_utf8 }
}

#[test]
fn nothing_is_used_that_was_not_offered() {
    let plain = MailParameters::default;
    let none = RcptParameters::default;
    let auth = |name| Command::Auth { mechanism: Mechanism::parse(name).unwrap(), initial: None };
    let login = "250-AUTH LOGIN\r\n";
    let since = || Some(Rrvs::parse("2014-04-03T23:01:00Z").unwrap());
    let orcpt = |text| Some(OriginalRecipient::parse(text).unwrap());
    for (command, without, offer) in [
        (with(MailParameters { size: Some(1), ..plain() }), login, "SIZE"),
        (with(MailParameters { body: Some(BodyType::SevenBit), ..plain() }), login, "8BITMIME"),
        (with(MailParameters { smtp_utf8: true, ..plain() }), login, "SMTPUTF8"),
        (with(MailParameters { auth: Some(Submitter::Unknown), ..plain() }), "", "AUTH PLAIN"),
        (with(MailParameters { ret: Some(Ret::Full), ..plain() }), login, "DSN"),
        (with(MailParameters { envid: Xtext::parse("x").ok(), ..plain() }), login, "DSN"),
        (with(MailParameters { priority: Priority::new(3), ..plain() }), login, "MT-PRIORITY"),
        (with(MailParameters { deliver_by: DeliverBy::parse("1;R").ok(), ..plain() }), login, "DELIVERBY"),
        (
            with(MailParameters { hold: Hold::parse_for("1").ok(), ..plain() }),
            login,
            "FUTURERELEASE 9 2030-01-01T00:00:00Z",
        ),
        (with(MailParameters { solicit: Solicitation::parse("a:b").ok(), ..plain() }), login, "NO-SOLICITING"),
        (rcpt("<jos\u{e9}@b.example>"), login, "SMTPUTF8"),
        (to(RcptParameters { notify: Some(Notify::NEVER), ..none() }), login, "DSN"),
        (to(RcptParameters { orcpt: orcpt("rfc822;a@b"), ..none() }), login, "DSN"),
        (to(RcptParameters { rrvs: since(), ..none() }), login, "RRVS"),
        (to(RcptParameters { delivery: Xtext::parse("x").ok(), ..none() }), login, "XHANDOVER"),
        (to(RcptParameters { epoch: Some(1), ..none() }), login, "XHANDOVER"),
        (Command::Vrfy(lookup("jos\u{e9}", false)), login, "SMTPUTF8"),
        (Command::Vrfy(lookup("joe", true)), login, "SMTPUTF8"),
        (Command::Expn(lookup("joe", false)), login, "EXPN"),
        (Command::Expn(lookup("joe", true)), "250-EXPN\r\n", "EXPN\r\n250-SMTPUTF8"),
        (Command::Expn(lookup("jos\u{e9}", false)), "250-EXPN\r\n", "EXPN\r\n250-SMTPUTF8"),
        (Command::Etrn(Text::parse("@b.example").unwrap()), login, "ETRN"),
        (Command::Xclient(Xclient::parse("PORT=1").unwrap()), login, "XCLIENT NAME"),
        (Command::Xforward(Xforward::parse("PORT=1").unwrap()), login, "XFORWARD NAME"),
        (bdat_last(1), login, "CHUNKING"),
        (Command::StartTls, login, "STARTTLS"),
        (auth("plain"), login, "AUTH LOGIN PLAIN"),
    ] {
        let mut client = Client::greeted(without);
        assert_eq!(client.send(command.clone()), Err(SendError::NotOffered), "{command:?}");
        assert_eq!(client.out, "");
        let mut client = Client::greeted(&format!("250-{offer}\r\n"));
        assert!(client.send(command.clone()).is_ok(), "{command:?}");
    }
    let mut client = Client::greeted("250-SMTPUTF8\r\n250-DSN\r\n");
    assert_eq!(client.send(mail("<jos\u{e9}@b.example>")), Err(SendError::NotOffered), "not without the parameter");
    let beyond_ascii = to(RcptParameters { orcpt: orcpt("utf-8;jos\u{e9}@b"), ..none() });
    assert_eq!(Client::greeted("250-DSN\r\n").send(beyond_ascii.clone()), Err(SendError::NotOffered));
    assert!(client.send(beyond_ascii).is_ok());
    for command in [Command::Vrfy(lookup("joe", false)), Command::Help(None)] {
        assert!(Client::greeted("").send(command).is_ok(), "these are everybody's");
    }
    assert_eq!(
        Client::greeted("").send(Command::Ehlo(Domain::parse("\u{e9}.example").unwrap())),
        Err(SendError::NotOffered)
    );
}

#[test]
fn requiretls_is_said_under_tls_only() {
    let command = || with(MailParameters { require_tls: true, ..MailParameters::default() });
    let mut client = Client::greeted("250-REQUIRETLS\r\n250-STARTTLS\r\n");
    assert_eq!(client.send(command()), Err(SendError::NotOffered));
    under_tls(&mut client);
    client.send(Command::Ehlo(name())).unwrap();
    client.hear("250-mx.example\r\n250 REQUIRETLS\r\n");
    assert!(client.send(command()).is_ok());
}

fn under_tls(client: &mut Client) {
    let ticket = client.send(Command::StartTls).unwrap();
    assert_eq!(client.reply_to(ticket, "220 go\r\n"), Class::Success);
    assert!(matches!(client.step(), Step::Switch(_)));
    client.session.switched(Switched::Tls(TlsInfo::default()), NOW);
    client.out.clear();
}

#[test]
fn nothing_that_was_offered_is_left_behind_tls() {
    let mut client = Client::greeted("250-CHUNKING\r\n250-PIPELINING\r\n250-STARTTLS\r\n");
    under_tls(&mut client);
    assert!(client.session.is_under_tls());
    assert_eq!(client.session.capabilities(), &Capabilities::default());
    assert_eq!(client.send(bdat_last(1)), Err(SendError::NotOffered));
    client.send(Command::Ehlo(name())).unwrap();
    client.hear("250-mx.example\r\n250 STARTTLS\r\n");
    assert_eq!(client.send(Command::StartTls), Err(SendError::NotOffered), "it is on");
}

#[test]
fn behind_xclient_the_session_is_new() {
    let command = || Command::Xclient(Xclient::parse("NAME=spike.example").unwrap());
    let greeted = || Client::greeted("250-XCLIENT NAME\r\n250-CHUNKING\r\n250-PIPELINING\r\n");
    let mut client = greeted();
    let ticket = client.send(command()).unwrap();
    assert_eq!(client.said(), "XCLIENT NAME=spike.example\r\n");
    assert_eq!(client.send(mail("<>")), Err(SendError::Wait));
    assert_eq!(client.reply_to(ticket, "220 mx.example ESMTP\r\n"), Class::Success);
    assert_eq!(client.session.capabilities(), &Capabilities::default());
    assert_eq!(client.send(command()), Err(SendError::NotOffered));
    assert!(client.send(Command::Ehlo(name())).is_ok());

    // Refused, it changes nothing.
    let mut client = greeted();
    let ticket = client.send(command()).unwrap();
    assert_eq!(client.reply_to(ticket, "501 what\r\n"), Class::Permanent);
    assert!(client.session.capabilities().extensions.xclient);
    // Nothing may come before it unanswered: its reply would be given to another client.
    client.send(mail("<>")).unwrap();
    assert_eq!(client.send(command()), Err(SendError::Wait));
    // No greeting is a greeting but 220.
    let mut client = greeted();
    client.send(command()).unwrap();
    client.input.extend_from_slice(b"250 ok\r\n");
    assert_eq!(client.step(), Step::Close(Close::Violation(Violation::BadReply)));
}

#[test]
fn offers_hold_until_the_next_hello() {
    let mut client = Client::greeted("250-PIPELINING\r\n");
    assert!(client.session.capabilities().extensions.pipelining);
    client.send(Command::Ehlo(name())).unwrap();
    client.hear("502 no\r\n");
    assert!(client.session.capabilities().extensions.pipelining, "a refused EHLO changes nothing");
    client.send(Command::Helo(name())).unwrap();
    client.hear("250 ok\r\n");
    assert_eq!(client.session.capabilities(), &Capabilities::default());
}
