//! `Fetch` under the services' driver, at POP3 servers that others wrote: Debian's Dovecot and Courier.
//!
//! What is missing on a machine is skipped, and said in the file that `$POSTHASTE_SKIPPED` names. Every server listens on
//! free ports of loopback, has its configuration and its mail in a folder that goes with the test, and runs without the
//! configuration in `/etc`.
#![cfg(feature = "pop3")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "pop3_fetch/courier.rs"]
mod courier;
#[path = "pop3_fetch/dovecot.rs"]
mod dovecot;
#[path = "pop3_fetch/messages.rs"]
mod messages;
#[path = "pop3_fetch/server.rs"]
mod server;
#[path = "pop3_fetch/visit.rs"]
mod visit;

use messages::Letter;
use pop3_proto::{Choice, Close, Code, Login, Mechanism, Offer, Report, Secret, TlsPolicy, Trouble};
use server::{PASSWORD, Server, USER};
use visit::{Plan, Told, Visit, Way};

/// What holds at one server must hold at the other.
macro_rules! at_both {
    ($($law:ident)*) => {
        mod at_dovecot {
            $(#[tokio::test]
            async fn $law() {
                if let Some(server) = super::dovecot::start() {
                    super::$law(&server).await;
                }
            })*
        }
        mod at_courier {
            $(#[tokio::test]
            async fn $law() {
                if let Some(server) = super::courier::start() {
                    super::$law(&server).await;
                }
            })*
        }
    };
}

at_both! {
    messages_come_as_they_are_on_all_ways
    an_empty_maildrop_is_left_alone
    what_is_known_by_unique_id_is_not_fetched_again
    what_was_deleted_is_gone_and_the_rest_stays
    a_header_is_had_without_its_body
    an_application_that_fails_loses_nothing
    a_connection_that_is_dropped_loses_nothing
    a_message_that_the_server_ends_too_early_ends_the_visit
    a_wrong_password_is_told
    a_login_by_sasl
    no_password_is_told_where_tls_is_required_and_cannot_be_had
}

fn password(password: &str) -> Login {
    Login::Password { user: USER.into(), password: Secret::new(password.into()) }
}

fn sasl(mechanism: &[u8], initial: Option<Secret>) -> Login {
    Login::Sasl { mechanism: Mechanism::parse(mechanism).unwrap().into_owned(), initial }
}

/// RFC 4616 §2.
fn plain() -> Secret {
    Secret::new(format!("\0{USER}\0{PASSWORD}").into())
}

/// A visit that nothing goes wrong with.
async fn well(server: &Server, visit: Visit) -> Told {
    let told = visit.run(server).await;
    assert_eq!(told.report.trouble, None, "{}", server.log());
    assert!(told.report.goodbye.as_ref().unwrap().is_positive(), "{told:?}");
    told
}

/// The message that came so, octet by octet.
fn recognize<'a>(server: &Server, text: &[u8], sent: &'a [Letter]) -> Option<&'a Letter> {
    sent.iter().find(|letter| server.sends(letter) == text)
}

/// Names of what was fetched, all of which was sent.
fn recognized<'a>(server: &Server, told: &Told, sent: &'a [Letter]) -> Vec<&'a str> {
    let name = |(offer, text): &(Offer, Vec<u8>)| match recognize(server, text, sent) {
        Some(letter) => letter.name,
        None => panic!("{offer:?} was never sent: {}", text.escape_ascii()),
    };
    let mut names: Vec<_> = told.messages.iter().map(name).collect();
    names.sort_unstable();
    names
}

fn names(letters: &[Letter]) -> Vec<&'static str> {
    let mut names: Vec<_> = letters.iter().map(|letter| letter.name).collect();
    names.sort_unstable();
    names
}

async fn messages_come_as_they_are_on_all_ways(server: &Server) {
    let sent = server.letters();
    server.deliver(&sent);
    for way in Way::ALL {
        // One command at a time, and as many as the engine would.
        for window in [1, 32] {
            let told = well(server, Visit { window, ..Visit::new(way, password(PASSWORD)) }).await;
            assert_eq!(recognized(server, &told, &sent), names(&sent), "{way:?}, {window} at a time");
            let Report { offered, received, refused, deleted, not_deleted, .. } = told.report;
            assert_eq!((offered, received, refused, deleted, not_deleted), (sent.len(), sent.len(), 0, 0, 0));
            for (offer, text) in &told.messages {
                let letter = recognize(server, text, &sent).unwrap();
                // Neither counts the CRLF that it adds.
                assert_eq!(offer.size, Some(letter.text.len() as u64), "{}", letter.name);
            }
        }
    }
    assert_eq!(server.left(), sent.len());
}

async fn an_empty_maildrop_is_left_alone(server: &Server) {
    for way in Way::ALL {
        let told = well(server, Visit::new(way, password(PASSWORD))).await;
        assert_eq!((told.offers.len(), told.messages.len()), (0, 0), "{way:?}");
    }
}

async fn what_is_known_by_unique_id_is_not_fetched_again(server: &Server) {
    let [first, rest @ ..] = &server.letters()[..] else { panic!("there are some") };
    server.deliver(rest);
    let first_visit = well(server, Visit::new(Way::Stls, password(PASSWORD))).await;
    let known: Vec<_> = first_visit.offers.iter().map(|offer| offer.uidl.clone().unwrap()).collect();
    let new_only = || {
        let known = known.clone();
        Plan::choose(
            move |offer| if known.contains(offer.uidl.as_ref().unwrap()) { Choice::Leave } else { Choice::Get },
        )
    };

    let told = well(server, Visit { plan: new_only(), ..Visit::new(Way::Stls, password(PASSWORD)) }).await;
    assert_eq!((told.offers.len(), told.messages.len()), (rest.len(), 0));
    assert_eq!(told.offers, first_visit.offers);
    server.deliver(std::slice::from_ref(first));
    let told = well(server, Visit { plan: new_only(), ..Visit::new(Way::Tls, password(PASSWORD)) }).await;
    assert_eq!(recognized(server, &told, std::slice::from_ref(first)), [first.name]);
}

async fn what_was_deleted_is_gone_and_the_rest_stays(server: &Server) {
    let sent = server.letters();
    server.deliver(&sent);
    let told = well(server, Visit::new(Way::Tls, password(PASSWORD))).await;
    let of = |name: &str| {
        let is_it = |text: &[u8]| recognize(server, text, &sent).is_some_and(|letter| letter.name == name);
        let found = told.messages.iter().find(|(_, text)| is_it(text));
        found.unwrap().0.uidl.clone()
    };
    let (stays, unread) = (of("dots"), of("megabyte"));
    let plan = Plan {
        delete: true,
        ..Plan::choose(move |offer| match &offer.uidl {
            uidl if *uidl == stays => Choice::Leave,
            uidl if *uidl == unread => Choice::Delete,
            _ => Choice::Get,
        })
    };
    let told = well(server, Visit { plan, ..Visit::new(Way::Stls, password(PASSWORD)) }).await;
    let got: Vec<_> = names(&sent).into_iter().filter(|name| !["dots", "megabyte"].contains(name)).collect();
    assert_eq!(recognized(server, &told, &sent), got);
    assert_eq!((told.report.deleted, told.report.not_deleted), (sent.len() - 1, 0));
    let told = well(server, Visit::new(Way::Clear, password(PASSWORD))).await;
    assert_eq!(recognized(server, &told, &sent), ["dots"]);
    assert_eq!(server.left(), 1);
}

async fn a_header_is_had_without_its_body(server: &Server) {
    server.deliver(&[Letter { name: "long", text: b"Subject: long\r\n\r\n.one\r\n..two\r\n.\r\n".to_vec() }]);
    for (lines, text) in [(0, "Subject: long\r\n\r\n"), (2, "Subject: long\r\n\r\n.one\r\n..two\r\n")] {
        let plan = Plan::choose(move |_| Choice::Top(lines));
        let told = well(server, Visit { plan, ..Visit::new(Way::Clear, password(PASSWORD)) }).await;
        assert_eq!(told.messages.first().unwrap().1.escape_ascii().to_string(), text.escape_default().to_string());
    }
}

async fn an_application_that_fails_loses_nothing(server: &Server) {
    let sent = server.letters();
    server.deliver(&sent);
    let plan = Plan { delete: true, fail_after: Some(3), ..Plan::choose(|_| Choice::Get) };
    let told = Visit { plan, ..Visit::new(Way::Stls, password(PASSWORD)) }.run(server).await;
    assert!(matches!(told.report.trouble, Some(Trouble::Lost(_))) && told.report.goodbye.is_none(), "{told:?}");
    // The server has read three times that it shall delete, and nobody said QUIT.
    let told = well(server, Visit::new(Way::Stls, password(PASSWORD))).await;
    assert_eq!(recognized(server, &told, &sent), names(&sent));
}

async fn a_connection_that_is_dropped_loses_nothing(server: &Server) {
    let sent = server.letters();
    server.deliver(&sent);
    let plan = Plan { delete: true, abort_after: Some(3), ..Plan::choose(|_| Choice::Get) };
    let told = Visit { plan, ..Visit::new(Way::Stls, password(PASSWORD)) }.run(server).await;
    assert_eq!(told.report.goodbye, None);
    let told = well(server, Visit::new(Way::Stls, password(PASSWORD))).await;
    assert_eq!(recognized(server, &told, &sent), names(&sent));
}

/// What a sender can do to whoever fetches from Dovecot 2.3 or Courier 1.0: its message ends the answer that it stands in.
async fn a_message_that_the_server_ends_too_early_ends_the_visit(server: &Server) {
    let one_dot = Letter { name: "one-dot", text: b".\r\nnext line\r\n".to_vec() };
    server.deliver(&[one_dot, Letter { name: "next", text: b"A: b\r\n\r\n".to_vec() }]);
    for window in [1, 32] {
        let plan = Plan { delete: true, ..Plan::choose(|_| Choice::Get) };
        let told = Visit { window, plan, ..Visit::new(Way::Clear, password(PASSWORD)) }.run(server).await;
        assert!(matches!(told.report.trouble, Some(Trouble::Lost(Close::Violation(_)))), "{told:?}");
        assert_eq!(server.left(), 2);
    }
}

async fn a_wrong_password_is_told(server: &Server) {
    let nobody = Login::Password { user: "nobody@example.org".into(), password: Secret::new(PASSWORD.into()) };
    let wrong = sasl(b"PLAIN", Some(Secret::new(format!("\0{USER}\0wrong").into())));
    // At once, for a server may take its time with each.
    let told = tokio::join!(
        Visit::new(Way::Clear, password("wrong")).run(server),
        Visit::new(Way::Stls, nobody).run(server),
        Visit::new(Way::Tls, wrong).run(server),
    );
    for told in <[Told; 3]>::from(told) {
        let Some(Trouble::Login(reply)) = &told.report.trouble else { panic!("{told:?}") };
        assert_eq!(reply.code(), server.refuses_with(), "{reply:?}");
        assert!(told.offers.is_empty());
    }
}

async fn a_login_by_sasl(server: &Server) {
    let login = || vec![Secret::new(USER.into()), Secret::new(PASSWORD.into())];
    for (login, answers) in [
        (sasl(b"PLAIN", Some(plain())), Vec::new()),
        (sasl(b"PLAIN", None), vec![plain()]),
        (sasl(b"LOGIN", None), login()),
    ] {
        let shown = format!("{login:?}");
        let plan = Plan { answers, ..Plan::choose(|_| Choice::Get) };
        let told = Visit { plan, ..Visit::new(Way::Tls, login) }.run(server).await;
        assert_eq!(told.report.trouble, None, "{shown}: {}", server.log());
    }
    // We have nothing more to say, and say so.
    let told = Visit::new(Way::Tls, sasl(b"LOGIN", None)).run(server).await;
    assert!(matches!(told.report.trouble, Some(Trouble::Login(_))), "{told:?}");
}

async fn no_password_is_told_where_tls_is_required_and_cannot_be_had(server: &Server) {
    let stranger = Visit { trusted: false, ..Visit::new(Way::Stls, password(PASSWORD)) };
    let told = stranger.run(server).await;
    assert_eq!(told.report.trouble, Some(Trouble::Tls));
    assert!(!server.log().contains(USER), "{}", server.log());
    // In the clear only where the policy says so.
    let told = Visit { tls: TlsPolicy::Opportunistic, ..Visit::new(Way::Stls, password(PASSWORD)) }.run(server).await;
    assert_eq!((told.report.trouble, told.under_tls), (None, true));
    let told = Visit { tls: TlsPolicy::Never, ..Visit::new(Way::Clear, password(PASSWORD)) }.run(server).await;
    assert_eq!((told.report.trouble, told.under_tls), (None, false));
}

#[tokio::test]
async fn dovecot_takes_apop() {
    let Some(server) = dovecot::start() else { return };
    let apop = |password: &str| Login::Apop { user: USER.into(), password: Secret::new(password.into()) };
    for way in Way::ALL {
        well(&server, Visit::new(way, apop(PASSWORD))).await;
        let told = Visit::new(way, apop("wrong")).run(&server).await;
        let Some(Trouble::Login(reply)) = &told.report.trouble else { panic!("{way:?}: {told:?}") };
        assert_eq!(reply.code(), Some(Code::Auth));
    }
}

#[tokio::test]
async fn courier_has_no_timestamp_for_apop() {
    let Some(server) = courier::start() else { return };
    let apop = Login::Apop { user: USER.into(), password: Secret::new(PASSWORD.into()) };
    let told = Visit::new(Way::Stls, apop).run(&server).await;
    assert_eq!(told.report.trouble, Some(Trouble::Lacking));
}
