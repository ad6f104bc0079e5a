//! The client's application.

use core::time::Duration;

use bytes::BytesMut;
use smtp_proto::{
    Chunking, ClientConfig, ClientLimits, Delivery, DeliveryEvent, Envelope, Login, Mechanism, Misuse, Policy,
    Protocol, Report, Reuse, Secret, TlsPolicy,
};

use super::ledger::Letter;
use crate::smtp::domain;
use crate::{Broken, Draw, ensure};

/// How a client goes to a server.
pub(super) struct Visit {
    pub(super) config: ClientConfig,
    pub(super) policy: Policy,
    choice: u8,
}

/// What it logs in by.
pub(super) const USER: &str = "bob";
pub(super) const PASSWORD: &[u8] = b"secret";
pub(super) const RESPONSE: &[u8] = b"response";

impl Visit {
    pub(super) fn new(choice: u8, more: u8, protocol: Protocol) -> Self {
        let tls = match choice % 4 {
            0 | 1 => TlsPolicy::Opportunistic,
            2 => TlsPolicy::Never,
            _ => TlsPolicy::Required,
        };
        let password = Login::Password { user: USER.into(), password: Secret::new(PASSWORD.to_vec()) };
        let login = match more % 8 {
            5 | 6 => Some(password),
            7 => Mechanism::parse("X")
                .ok()
                .map(|mechanism| Login::Sasl { mechanism: mechanism.into_owned(), initial: None }),
            _ => None,
        };
        let limits = match more / 8 % 4 {
            3 => ClientLimits { window: 2, transactions: 2, ..ClientLimits::default() },
            _ => ClientLimits::default(),
        };
        let config = ClientConfig { protocol, limits, ..ClientConfig::new(domain("client.test")) };
        let policy = Policy {
            tls,
            login,
            chunking: if (choice / 4).is_multiple_of(2) { Chunking::WhereNeeded } else { Chunking::WhereOffered },
            reuse: if choice / 8 % 4 == 3 { Reuse::No } else { Reuse::Ask },
        };
        Self { config, policy, choice }
    }

    pub(super) const fn begins_under_tls(&self) -> bool {
        self.choice / 32 % 4 == 3
    }

    pub(super) const fn sends_binary(&self) -> bool {
        self.choice / 128 == 1
    }
}

/// Sends one letter after another, as drawn, and keeps the reports.
pub(super) struct Sender {
    chunking: Chunking,
    begun: usize,
    reports: Vec<Report>,
}

impl Sender {
    pub(super) const fn new(visit: &Visit) -> Self {
        Self { chunking: visit.policy.chunking, begun: 1, reports: Vec::new() }
    }

    /// The letter under way.
    pub(super) fn envelope(&self, letters: &[Letter]) -> Envelope {
        let letter = self.begun.checked_sub(1).and_then(|at| letters.get(at));
        letter.cloned().unwrap_or_default().envelope()
    }

    /// How many letters were begun.
    pub(super) const fn begun(&self) -> usize {
        self.begun
    }

    pub(super) fn reports(&self) -> &[Report] {
        &self.reports
    }

    pub(super) const fn chunking(&self) -> Chunking {
        self.chunking
    }

    pub(super) fn hear(
        &mut self,
        delivery: &mut Delivery,
        event: DeliveryEvent,
        letters: &[Letter],
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Result<(), Broken> {
        let asked = name(&event);
        let answered = match event {
            DeliveryEvent::Challenge(_) if draw.octet() < 220 => delivery.respond(RESPONSE, now, out),
            DeliveryEvent::Challenge(_) => delivery.cancel(now, out),
            DeliveryEvent::Body => {
                ensure!(self.reports.len() < self.begun, "asks for a message that it has reported");
                let text = letters.get(self.reports.len()).map(|letter| letter.text.as_slice()).unwrap_or_default();
                match send(delivery, text, draw, now, out) {
                    // RFC 5321 §2.3.8: such a message cannot go by DATA, and whoever tried has to give up.
                    Err(Misuse::BareLineEnd) => {
                        delivery.abort();
                        Ok(())
                    }
                    sent => sent,
                }
            }
            DeliveryEvent::Done(report) => {
                ensure!(self.reports.len() < self.begun, "reports twice: {report:?}");
                self.reports.push(*report);
                Ok(())
            }
            DeliveryEvent::Idle => {
                ensure!(self.reports.len() == self.begun, "is idle and has not reported");
                if self.begun < letters.len() && draw.octet() < 240 {
                    self.begun += 1;
                    delivery.again(self.envelope(letters), now, out)
                } else {
                    delivery.decline(now, out);
                    Ok(())
                }
            }
        };
        answered.map_err(|misuse| Broken::new(format!("does not take the answer to {asked}: {misuse}")))
    }
}

const fn name(event: &DeliveryEvent) -> &'static str {
    match event {
        DeliveryEvent::Challenge(_) => "a challenge",
        DeliveryEvent::Body => "the question for the message",
        DeliveryEvent::Done(_) => "its report",
        DeliveryEvent::Idle => "the question for another message",
    }
}

/// Sends a message in pieces, or fails before the last of them.
fn send(
    delivery: &mut Delivery,
    text: &[u8],
    draw: &mut Draw<'_>,
    now: Duration,
    out: &mut BytesMut,
) -> Result<(), Misuse> {
    let fails = draw.octet() >= 240;
    let mut pieces = text.chunks(usize::from(draw.octet()).max(1)).peekable();
    while let Some(piece) = pieces.next() {
        if fails && pieces.peek().is_none() {
            delivery.abort();
            return Ok(());
        }
        delivery.body(piece, out)?;
    }
    delivery.end_body(now, out)
}
