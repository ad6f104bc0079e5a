use std::io;
use std::sync::{Arc, Mutex};

use mailqueue::{Destination, Detail, Envelope, Failure};
use smtp_proto::SaidBy;

use super::super::{Onward, Word};
use super::*;

/// Everything that is logged in this thread at the level that servers run at.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(what: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(lines, what);
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn an_outcome_is_one_line_that_says_who_took_it_where_and_how() {
    let recipient = Recipient {
        address: "bob@far.example".to_owned(),
        destination: Destination::remote("far.example"),
        parameters: Vec::new(),
    };
    let arrived = UnixMicros(UnixMicros::now().0 - 5_000_000);
    let envelope = Envelope { recipients: vec![recipient.clone()], arrived, ..Envelope::default() };
    let id = MessageId::new(UnixMicros(1), 7);
    let about = About { id, envelope: &envelope, recipient: &recipient, attempts: 1 };
    let detail =
        Detail { text: "250 2.0.0 taken".to_owned(), status: "2.0.0".to_owned(), remote: "mx.far.example".to_owned() };
    let word = Word {
        text: detail.text.clone(),
        status: detail.status.clone(),
        by: SaidBy::Server,
        host: detail.remote.clone(),
        address: Some(([192, 0, 2, 1], 25).into()),
        tls: Some("TLSv1.3".to_owned()),
    };
    let onward = Onward { dsn: true, deliver_by: false };
    let deferred = Fate::Deferred { word: word.clone(), retry_after: None, fault: super::super::Fault::Message };
    let failed = Fate::Failed { word: word.clone() };
    let delivered = Fate::Delivered { word, onward };
    let (detail, until) = (&detail, UnixMicros(9_000_000));
    let here = ["delivered", "said=\"250 2.0.0 taken\""];
    let there = [&here[..], &["remote=\"mx.far.example\"", "address=192.0.2.1:25", "tls=\"TLSv1.3\""]].concat();
    let cases = [
        (Some(&delivered), Event::Delivered { about, handed: Handed::WithDuty, detail }, &there[..]),
        (Some(&delivered), Event::Delivered { about, handed: Handed::Relayed, detail }, &there),
        (None, Event::Delivered { about, handed: Handed::Mailbox, detail }, &here),
        (Some(&deferred), Event::Deferred { about, until, detail }, &["tried again", "until=1970-01-01T00:00:09Z"]),
        (Some(&failed), Event::Failed { about, why: Failure::Refused, detail }, &["given up", "why=\"refused\""]),
    ];
    for (fate, event, expected) in cases {
        let lines = logged(|| {
            if let Some(fate) = fate {
                sent(id, &recipient, arrived, fate);
            }
            Journal.event(&event);
        });
        assert_eq!(lines.lines().count(), 1, "{lines}");
        let named = [format!("id={id}"), "to=\"bob@far.example\"".to_owned(), "delay_ms=5".to_owned()];
        for words in expected.iter().copied().chain(named.iter().map(String::as_str)) {
            assert!(lines.contains(words), "{words:?} is not in {lines}");
        }
    }
}
