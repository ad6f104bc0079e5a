//! What the envelope carries beside addresses: told where the server wants to hear it, and missed where it must not be.

use services::outbound::{Fate, Onward, Parcel};
use smtp_proto::{
    BodyType, DeliverBy, MailParameters, Notify, OriginalRecipient, Priority, RcptParameters, Ret, Xtext,
};

use crate::session_sender::{TEXT, by, couriers, parcel, told};
use crate::session_server::{Manner, Server};

/// A message with all that may be left out.
fn laden() -> Parcel {
    let mut parcel = parcel(&["bob@far.example"]);
    parcel.envelope.mail.parameters = MailParameters {
        size: Some(TEXT.len() as u64),
        ret: Some(Ret::Headers),
        envid: Some(Xtext::parse_envelope_id("QQ314159").unwrap().into_owned()),
        priority: Some(Priority::parse("3").unwrap()),
        deliver_by: Some(DeliverBy::parse("120;N").unwrap()),
        ..MailParameters::default()
    };
    parcel.envelope.recipients[0].parameters = RcptParameters {
        notify: Some(Notify::parse("SUCCESS,DELAY").unwrap()),
        orcpt: Some(OriginalRecipient::parse("rfc822;bob@old.example").unwrap().into_owned()),
        ..RcptParameters::default()
    };
    parcel
}

async fn sent(parcel: &Parcel, offers: &[&'static str]) -> (Fate, Vec<String>) {
    let server = Server::new(vec![Manner { offers: offers.to_vec(), ..Manner::default() }]).await;
    let fates = couriers().deliver(parcel, &by(&[&server])).await;
    (fates.into_iter().next().unwrap(), server.book().lines.concat())
}

#[tokio::test]
async fn a_server_hears_what_it_wants_to_hear() {
    let (fate, lines) = sent(&laden(), &["SIZE 1000", "DSN", "MT-PRIORITY", "DELIVERBY"]).await;
    assert!(matches!(fate, Fate::Delivered { onward: Onward { dsn: true, deliver_by: true }, .. }), "{fate:?}");
    let mail = lines.iter().find(|line| line.starts_with("MAIL FROM:<alice@near.example> ")).unwrap();
    for word in [format!("SIZE={}", TEXT.len()).as_str(), "RET=HDRS", "ENVID=QQ314159", "MT-PRIORITY=3", "BY=120;N"] {
        assert!(mail.split(' ').any(|said| said == word), "{word}: {mail}");
    }
    let rcpt = "RCPT TO:<bob@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob@old.example";
    assert!(lines.iter().any(|line| line == rcpt), "{lines:?}");
}

#[tokio::test]
async fn a_server_that_wants_to_hear_nothing_is_known_to_see_to_nothing() {
    let (fate, lines) = sent(&laden(), &["PIPELINING"]).await;
    assert!(matches!(fate, Fate::Delivered { onward: Onward { dsn: false, deliver_by: false }, .. }), "{fate:?}");
    assert_eq!(lines[1..3], ["MAIL FROM:<alice@near.example>", "RCPT TO:<bob@far.example>"]);
    let (fate, lines) = sent(&laden(), &["PIPELINING", "DSN"]).await;
    assert!(matches!(fate, Fate::Delivered { onward: Onward { dsn: true, deliver_by: false }, .. }), "{fate:?}");
    assert_eq!(lines[1], "MAIL FROM:<alice@near.example> RET=HDRS ENVID=QQ314159");
}

#[tokio::test]
async fn what_one_server_lacks_another_may_have() {
    let mut parcel = parcel(&["bob@far.example"]);
    parcel.envelope.mail.parameters.body = Some(BodyType::EightBitMime);
    let old = Server::new(vec![Manner { offers: vec!["PIPELINING"], ..Manner::default() }]).await;
    let new = Server::new(vec![Manner::default()]).await;
    let couriers = couriers();
    let fates = couriers.deliver(&parcel, &by(&[&old, &new])).await;
    assert_eq!((told(&fates[0]).as_str(), fates[0].word().address), ("delivered 250 taken", Some(new.address)));
    let fates = couriers.deliver(&parcel, &by(&[&old])).await;
    assert_eq!(told(&fates[0]), "failed the server does not take 8BITMIME (at mail)");
    assert!(!old.book().lines.concat().iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn a_message_that_is_too_big_is_not_sent_to_find_out() {
    let mut parcel = parcel(&["bob@far.example"]);
    parcel.envelope.mail.parameters.size = Some(1001);
    let (fate, lines) = sent(&parcel, &["SIZE 1000"]).await;
    assert_eq!(told(&fate), "failed the message is too big for the server (at mail)");
    assert_eq!(fate.word().status, "5.3.4");
    assert!(!lines.iter().any(|line| line.starts_with("MAIL")));
}
