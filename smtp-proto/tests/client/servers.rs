//! A client's session against a server's.

use smtp_proto::{
    ClientEvent, Close, Command, Event, Extensions, Limits, Protocol, SendError, ServerConfig, Step, Ticket, Xclient,
};

use crate::case::{Client, bdat, bdat_last, mail, name, rcpt};
use crate::common::{Server, config};

/// Both, behind the greetings.
fn greeted(config: ServerConfig) -> (Client, Server) {
    let protocol = config.protocol;
    let (mut client, mut server) = (Client::new(protocol), Server::new(config));
    let _ = server.run();
    client.hear(&server.heard());
    client
        .send(match protocol {
            Protocol::Smtp => Command::Ehlo(name()),
            Protocol::Lmtp => Command::Lhlo(name()),
        })
        .unwrap();
    let said = server.say(client.out.split());
    client.hear(&said);
    (client, server)
}

/// A chunk with its octets.
fn chunk(client: &mut Client, command: Command<'_>) -> Ticket {
    let Command::Bdat(chunk) = command else { panic!() };
    let ticket = client.send(command).unwrap();
    if chunk.octets > 0 {
        client.body(&vec![b'x'; usize::try_from(chunk.octets).unwrap()]).unwrap();
        assert_eq!(client.end_body(), Ok(ticket));
    }
    ticket
}

#[test]
fn each_reply_to_a_chunk_is_its_own() {
    let limits = Limits { message: 100, ..Limits::default() };
    for protocol in [Protocol::Smtp, Protocol::Lmtp] {
        let many = if protocol == Protocol::Lmtp { 2 } else { 1 };
        for (names, chunks, replies) in [
            (["yes", "yes2"], vec![bdat(50), bdat_last(50)], vec![("250", 1), ("250", many)]),
            (["yes", "yes2"], vec![bdat_last(0)], vec![("250", many)]),
            (["yes", "no"], vec![bdat_last(10)], vec![("250", 1)]),
            (["yes", "yes2"], vec![bdat(50), bdat_last(51)], vec![("250", 1), ("552", many)]),
            // What follows a refused chunk has no transaction, and so one reply.
            (["yes", "yes2"], vec![bdat(101), bdat_last(1)], vec![("552", 1), ("503", 1)]),
            (["no", "later"], vec![bdat_last(1)], vec![(if many == 2 { "503" } else { "554" }, 1)]),
        ] {
            let (mut client, mut server) = greeted(ServerConfig { protocol, limits: limits.clone(), ..config() });
            client.send(mail("<a@a.example>")).unwrap();
            for name in names {
                client.send(rcpt(&format!("<{name}@b.example>"))).unwrap();
            }
            let tickets: Vec<_> = chunks.into_iter().map(|command| chunk(&mut client, command)).collect();
            let said = server.say(client.out.split());
            client.input.extend_from_slice(said.as_bytes());
            (0..3).for_each(|_| assert!(!client.hear("").is_question()));
            for (ticket, (code, times)) in tickets.iter().zip(&replies) {
                for _ in 0..*times {
                    let event = client.hear("");
                    let ClientEvent::Reply { to, reply } = event else { panic!("{event:?}") };
                    assert_eq!((to, reply.code().to_string().as_str()), (*ticket, *code), "{names:?} {replies:?}");
                }
            }
            assert_eq!(
                (client.step(), client.session.poll_timeout()),
                (Step::NeedInput, None),
                "{names:?} {replies:?}"
            );
            assert!(client.send(Command::Quit).is_ok());
        }
    }
}

#[test]
fn a_proxy_speaks_for_a_client_and_begins_anew() {
    let extensions = Extensions { xclient: true, xforward: true, ..config().extensions };
    let (mut client, mut server) = greeted(ServerConfig { extensions, ..config() });
    let xclient = client.send(Command::Xclient(Xclient::parse("ADDR=192.0.2.1 PORT=4000").unwrap())).unwrap();
    let said = server.say(client.out.split());
    assert!(said.starts_with("220 "), "{said}");
    client.reply_to(xclient, &said);
    assert!(server.told.iter().any(|event| matches!(event, Event::Xclient(_))));
    assert_eq!(client.send(bdat_last(1)), Err(SendError::NotOffered), "before EHLO");
    client.send(Command::Ehlo(name())).unwrap();
    let said = server.say(client.out.split());
    client.hear(&said);
    let quit = client.send(Command::Quit).unwrap();
    let said = server.say(client.out.split());
    client.reply_to(quit, &said);
    assert_eq!(client.step(), Step::Close(Close::Quit));
}
