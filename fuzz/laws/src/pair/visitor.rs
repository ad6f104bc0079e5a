//! The client's application.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;
use pop3_proto::{Choice, Fetch, FetchEvent, Misuse, Report};

use super::{RESPONSE, sent};
use crate::wire::shown;
use crate::{Broken, Draw, ensure, fetch};

/// Chooses as drawn, and looks at all that comes.
pub(super) struct Visitor {
    texts: Vec<Vec<u8>>,
    /// How each message is got.
    pub(super) choices: BTreeMap<u32, Choice>,
    coming: Option<(u32, Vec<u8>)>,
    pub(super) received: usize,
    /// Messages that came whole, and were then to be deleted.
    pub(super) confirmed: BTreeSet<u32>,
    /// Messages that the server refused to mark.
    pub(super) not_deleted: BTreeSet<u32>,
    pub(super) says_goodbye: bool,
    pub(super) leaves_early: bool,
    /// It has failed before it said goodbye.
    pub(super) fails: bool,
    pub(super) report: Option<Report>,
}

impl Visitor {
    pub(super) const fn new(texts: Vec<Vec<u8>>) -> Self {
        Self {
            texts,
            choices: BTreeMap::new(),
            coming: None,
            received: 0,
            confirmed: BTreeSet::new(),
            not_deleted: BTreeSet::new(),
            says_goodbye: false,
            leaves_early: false,
            fails: false,
            report: None,
        }
    }

    pub(super) fn hear(
        &mut self,
        fetch: &mut Fetch,
        event: FetchEvent,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Result<(), Broken> {
        ensure!(self.report.is_none(), "goes on behind its report: {event:?}");
        let answered = match event {
            FetchEvent::Challenge(_) if draw.octet() < 220 => fetch.respond(RESPONSE, now, out),
            FetchEvent::Challenge(_) => fetch.cancel(now, out),
            FetchEvent::Maildrop => {
                self.choices = fetch.offers().map(|offer| (offer.number, fetch::choice(draw))).collect();
                let choice = |number: u32| self.choices.get(&number).copied().unwrap_or(Choice::Leave);
                fetch.choose(|offer| choice(offer.number), now, out)
            }
            FetchEvent::Message(offer) => {
                ensure!(self.coming.is_none(), "begins message {} inside another", offer.number);
                self.coming = Some((offer.number, Vec::new()));
                Ok(())
            }
            FetchEvent::Chunk(chunk) => {
                let Some((number, text)) = &mut self.coming else {
                    return Err(Broken::new("hands over octets of no message"));
                };
                text.extend_from_slice(&chunk);
                let (expected, is_whole) = (sent(&self.texts, *number), self.choices.get(number) == Some(&Choice::Get));
                ensure!(!is_whole || expected.starts_with(text), "hands over {} of {}", shown(text), shown(&expected));
                Ok(())
            }
            FetchEvent::Received { offer, octets } => {
                let Some((number, text)) = self.coming.take().filter(|(number, _)| *number == offer.number) else {
                    return Err(Broken::new(format!("ends message {}, which did not begin", offer.number)));
                };
                self.look_at(number, &text)?;
                ensure!(octets == text.len() as u64, "counts {octets} octets of {}", text.len());
                self.decide(fetch, number, draw, now, out)
            }
            FetchEvent::Refused { .. } => Ok(()),
            FetchEvent::NotDeleted { number, .. } => {
                self.not_deleted.insert(number);
                Ok(())
            }
            FetchEvent::Done(report) => {
                self.report = Some(*report);
                Ok(())
            }
        };
        answered.map_err(|misuse| Broken::new(format!("does not take the answer to its question: {misuse}")))
    }

    /// A message came to its end: it must be whole.
    fn look_at(&self, number: u32, text: &[u8]) -> Result<(), Broken> {
        let expected = sent(&self.texts, number);
        // What ends the front of a message needs a CRLF before it too.
        let is_front = |text: &[u8]| expected.starts_with(text);
        let whole = match self.choices.get(&number) {
            Some(Choice::Get) => text == expected,
            Some(Choice::Top(_)) => is_front(text) || text.strip_suffix(b"\r\n").is_some_and(is_front),
            Some(Choice::Delete | Choice::Leave) | None => false,
        };
        ensure!(whole, "hands over {} for {}", shown(text), shown(&expected));
        Ok(())
    }

    fn decide(
        &mut self,
        fetch: &mut Fetch,
        number: u32,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        match draw.octet() {
            0..=159 => {
                self.received += 1;
                self.confirmed.insert(number);
                fetch.delete(now, out)
            }
            160..=209 => {
                self.received += 1;
                fetch.accept(now, out)
            }
            210.. => {
                fetch.decline(now, out);
                Ok(())
            }
        }
    }
}
