//! What a server says or does, and what that means for recipients and for the hosts behind it.

use services::outbound::{Fate, Fault};

use crate::session_sender::{TEXT, by, carry, couriers, told};
use crate::session_server::Act::{Close, Once, Reset, Say, SayAndClose};
use crate::session_server::{Act, Manner, Server};

const BOB: &str = "bob@far.example";
const ZOE: &str = "zoe@far.example";

/// Where the second host stands in a table's row: it was asked, or it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    Asked,
    Left,
}

#[tokio::test]
async fn a_server_that_takes_all_has_it_as_it_was() {
    let server = Server::new(vec![Manner::default()]).await;
    let fates = carry(&couriers(), &by(&[&server]), &[BOB, ZOE]).await;
    for fate in &fates {
        assert_eq!(told(fate), "delivered 250 taken");
        let word = fate.word();
        assert_eq!((word.status.as_str(), word.address), ("2.0.0", Some(server.address)));
        assert!(matches!(fate, Fate::Delivered { onward, .. } if onward.dsn && !onward.deliver_by), "{fate:?}");
    }
    let book = server.book();
    assert_eq!(book.messages.len(), 1);
    assert_eq!(book.messages[0].to, [BOB, ZOE]);
    assert_eq!(book.messages[0].text, TEXT.replace("\r\n.", "\r\n.."));
}

#[tokio::test]
async fn each_fault_has_its_own_reaction() {
    use Second::{Asked, Left};
    let table: &[(&str, Act, &str, Second)] = &[
        // The host's own: the next may do better.
        ("CONNECT", Say("554 5.7.1 go away\r\n"), "delivered 250 taken", Asked),
        ("CONNECT", Say("421 4.3.2 too busy\r\n"), "delivered 250 taken", Asked),
        ("CONNECT", Say("450 4.3.2 not now\r\n"), "delivered 250 taken", Asked),
        ("CONNECT", Close, "delivered 250 taken", Asked),
        ("CONNECT", Reset, "delivered 250 taken", Asked),
        ("CONNECT", Say("SSH-2.0-OpenSSH\r\n"), "delivered 250 taken", Asked),
        ("EHLO", Say("451 4.3.0 not now\r\n"), "delivered 250 taken", Asked),
        ("EHLO", SayAndClose("421 4.3.0 not now\r\n"), "delivered 250 taken", Asked),
        ("EHLO", Close, "delivered 250 taken", Asked),
        ("EHLO", Say("what?\r\n"), "delivered 250 taken", Asked),
        // The message's.
        ("MAIL", Say("451 4.3.0 later\r\n"), "deferred 451 later", Left),
        ("MAIL", Say("550 5.7.1 not you\r\n"), "failed 550 not you", Left),
        ("RCPT", Say("450 4.2.0 greylisted\r\n"), "deferred 450 greylisted", Left),
        ("RCPT", Say("550 5.1.1 nobody\r\n"), "failed 550 nobody", Left),
        ("DATA", Say("451 4.3.0 later\r\n"), "deferred 451 later", Left),
        ("DATA", Say("554 5.5.1 no\r\n"), "failed 554 no", Left),
        (".", Say("452 4.3.1 full\r\n"), "deferred 452 full", Left),
        (".", Say("550 5.7.1 spam\r\n"), "failed 550 spam", Left),
        // The connection's, before the message is whole.
        ("MAIL", SayAndClose("421 4.3.2 shutting down\r\n"), "delivered 250 taken", Asked),
        ("RCPT", SayAndClose("421 4.3.2 shutting down\r\n"), "delivered 250 taken", Asked),
        ("DATA", SayAndClose("421 4.3.2 shutting down\r\n"), "delivered 250 taken", Asked),
        ("MAIL", Close, "delivered 250 taken", Asked),
        ("RCPT", Close, "delivered 250 taken", Asked),
        ("DATA", Close, "delivered 250 taken", Asked),
        ("DATA", Reset, "delivered 250 taken", Asked),
        ("DATA", SayAndClose("354 go\r\n"), "delivered 250 taken", Asked),
        ("DATA", Say("~~~\r\n"), "delivered 250 taken", Asked),
        // It says that it has not taken the message.
        (".", SayAndClose("421 4.3.2 shutting down\r\n"), "delivered 250 taken", Asked),
        // It does not say.
        (
            ".",
            Close,
            "deferred the server closed the connection: whether the server has taken the message is not known",
            Left,
        ),
    ];
    for (command, act, expected, second) in table {
        let first = Server::new(vec![Manner::that(&[(command, *act)])]).await;
        let other = Server::new(vec![Manner::default()]).await;
        let fates = carry(&couriers(), &by(&[&first, &other]), &[BOB]).await;
        assert_eq!(told(&fates[0]), *expected, "{command} {act:?}");
        let asked = if other.connections() > 0 { Asked } else { Left };
        assert_eq!(asked, *second, "{command} {act:?}");
        assert_eq!(first.connections(), 1, "{command} {act:?}");
        let copies = first.book().messages.iter().chain(&other.book().messages).filter(|m| m.acknowledged).count();
        assert_eq!(copies, usize::from(expected.starts_with("delivered")), "{command} {act:?}");
    }
}

#[tokio::test]
async fn a_reset_behind_the_message_leaves_open_what_became_of_it() {
    let first = Server::new(vec![Manner::that(&[(".", Reset)])]).await;
    let other = Server::new(vec![Manner::default()]).await;
    let fates = carry(&couriers(), &by(&[&first, &other]), &[BOB]).await;
    assert!(told(&fates[0]).ends_with("whether the server has taken the message is not known"), "{fates:?}");
    assert!(matches!(fates[0], Fate::Deferred { fault: Fault::Message, retry_after: None, .. }));
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn what_single_recipients_were_told_outlives_the_connection() {
    let acts = [
        ("RCPT TO:<nobody", Say("550 5.1.1 nobody\r\n")),
        ("RCPT TO:<grey", Say("450 4.2.0 try again in 5 minutes\r\n")),
    ];
    for (command, act) in [("DATA", Close), ("DATA", Reset), ("DATA", SayAndClose("421 4.3.2 bye\r\n"))] {
        let manner = Manner::that(&[&acts[..], &[(command, act)]].concat());
        let first = Server::new(vec![manner.clone()]).await;
        let other = Server::new(vec![Manner::default()]).await;
        let to = ["nobody@far.example", "grey@far.example", BOB];
        let fates = carry(&couriers(), &by(&[&first, &other]), &to).await;
        let told: Vec<_> = fates.iter().map(told).collect();
        assert_eq!(
            told,
            ["failed 550 nobody", "deferred 450 try again in 5 minutes", "delivered 250 taken"],
            "{act:?}"
        );
        assert!(
            matches!(fates[1], Fate::Deferred { retry_after: Some(after), .. } if after.as_secs() == 300),
            "{fates:?}"
        );
        assert_eq!(other.book().messages[0].to, [BOB], "nobody else is asked again");
    }
}

#[tokio::test]
async fn only_when_all_hosts_refuse_for_good_is_the_mail_refused() {
    let never = || Manner::that(&[("CONNECT", Say("554 5.7.1 go away\r\n"))]);
    let first = Server::new(vec![never()]).await;
    let second = Server::new(vec![never()]).await;
    let fates = carry(&couriers(), &by(&[&first, &second]), &[BOB]).await;
    assert_eq!(told(&fates[0]), "failed 554 5.7.1 go away".replace(" 5.7.1", ""));
    let busy = Server::new(vec![Manner::that(&[("CONNECT", Say("421 4.3.2 busy, retry in 10 minutes\r\n"))])]).await;
    for route in [by(&[&first, &busy]), by(&[&busy, &first])] {
        let fates = carry(&couriers(), &route, &[BOB]).await;
        assert_eq!(told(&fates[0]), "deferred 421 busy, retry in 10 minutes");
        let Fate::Deferred { fault, retry_after, .. } = &fates[0] else { panic!("{fates:?}") };
        assert_eq!((*fault, retry_after.map(|after| after.as_secs())), (Fault::Connection, Some(600)));
    }
}

#[tokio::test]
async fn too_many_recipients_go_at_once_in_the_same_connection() {
    let manner = Manner::that(&[("RCPT TO:<zoe", Once("452 4.5.3 too many recipients\r\n"))]);
    let server = Server::new(vec![manner]).await;
    let fates = carry(&couriers(), &by(&[&server]), &[BOB, ZOE]).await;
    assert!(fates.iter().all(|fate| told(fate) == "delivered 250 taken"), "{fates:?}");
    assert_eq!(server.connections(), 1);
    let to: Vec<_> = server.book().messages.into_iter().map(|message| message.to).collect();
    assert_eq!(to, [[BOB], [ZOE]]);
}

#[tokio::test]
async fn what_a_session_may_not_hold_goes_in_the_next() {
    let manner = Manner::default().and_offers(&["LIMITS MAILMAX=1 RCPTMAX=1"]);
    let server = Server::new(vec![manner]).await;
    let fates = carry(&couriers(), &by(&[&server]), &[BOB, ZOE, "eve@far.example"]).await;
    assert!(fates.iter().all(|fate| told(fate) == "delivered 250 taken"), "{fates:?}");
    assert_eq!((server.connections(), server.book().messages.len()), (3, 3));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_not_cut_off_for_a_whole_one() {
    use bytes::Bytes;
    use mailqueue::{Body, ChunkFuture, Chunks, ReadError};
    struct Torn;
    impl Chunks for Torn {
        fn size(&self) -> u64 {
            100
        }
        fn chunk(&self, number: usize) -> ChunkFuture<'_> {
            Box::pin(std::future::ready(match number {
                0 => Ok(Some(Bytes::from_static(b"Subject: hi\r\n"))),
                _ => Err(ReadError::Damaged),
            }))
        }
    }
    let first = Server::new(vec![Manner::default()]).await;
    let other = Server::new(vec![Manner::default()]).await;
    let mut parcel = crate::session_sender::parcel(&[BOB]);
    parcel.body = Body::new(Torn);
    let fates = couriers().deliver(&parcel, &by(&[&first, &other])).await;
    assert_eq!(told(&fates[0]), "deferred the stored message is damaged");
    assert!(first.book().messages.is_empty() && other.connections() == 0);
}

#[tokio::test]
async fn a_message_that_cannot_be_said_is_refused() {
    let server = Server::new(vec![Manner::default()]).await;
    let mut parcel = crate::session_sender::parcel(&[BOB]);
    parcel.body = crate::session_sender::body("Subject: hi\r\n\r\na\n.\nb\r\n");
    let fates = couriers().deliver(&parcel, &by(&[&server])).await;
    assert_eq!(told(&fates[0]), "failed the message has line ends that cannot be sent");
    assert!(server.book().messages.is_empty());
}

#[tokio::test]
async fn a_server_that_leaves_in_the_middle_of_the_message_has_not_taken_it() {
    let large = "0123456789012345678901234567890123456789012345678901234567890123\r\n".repeat(200_000);
    for act in [Close, Reset, SayAndClose("421 4.3.2 shutting down\r\n"), SayAndClose("552 5.3.4 too big\r\n")] {
        let first = Server::new(vec![Manner::that(&[("BODY", act)])]).await;
        let other = Server::new(vec![Manner::default()]).await;
        let mut parcel = crate::session_sender::parcel(&[BOB]);
        parcel.body = crate::session_sender::body(&large);
        let fates = couriers().deliver(&parcel, &by(&[&first, &other])).await;
        assert_eq!((told(&fates[0]).as_str(), fates[0].word().address), ("delivered 250 taken", Some(other.address)));
        assert_eq!((first.book().messages.len(), other.book().messages.len()), (0, 1), "{act:?}");
        assert_eq!(other.book().messages[0].text.len(), large.len());
    }
}
