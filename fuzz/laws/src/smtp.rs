//! The SMTP and LMTP server under the laws.

mod answer;
mod client;
mod config;
mod enclosed;
mod resets;
mod words;
mod written;

use core::time::Duration;
use std::sync::Arc;

use bytes::BytesMut;
use smtp_proto::{Event, ServerSession};

use self::answer::{answer, refusal, reply};
pub use self::client::Client;
pub(crate) use self::config::domain;
use self::config::{BARE, PLAIN_LMTP, PROGRESS, PROMISING, STRICT, TINY_MESSAGES, configuration, link};
use self::resets::RESETS;
use self::words::WORDS;
pub(crate) use self::written::{write_line, write_message};
use crate::wire::hex;
use crate::{Draw, Enclosed, Reset, Said, Subject, Written};

/// A server that takes mail as the mood is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server;

impl Subject for Server {
    type Engine = ServerSession;
    type Listener = Client;

    fn start(&self, config: u8, now: Duration) -> ServerSession {
        ServerSession::new(Arc::new(configuration(config)), link(config).into(), now)
    }

    fn words(&self) -> &[&[u8]] {
        &WORDS
    }

    /// Nothing is kept: messages go on in chunks, recipients are the application's.
    fn memory(&self) -> usize {
        0
    }

    fn total_phases(&self) -> &[&str] {
        &["body", "tls"]
    }

    fn longest_phase(&self, config: u8) -> Duration {
        configuration(config).timeouts.body
    }

    /// A message has a total, and within it a pace.
    fn progress(&self) -> usize {
        usize::try_from(PROGRESS).unwrap_or(usize::MAX)
    }

    /// A BDAT is answered behind its octets; or ahead of them, and then nothing is said behind them.
    fn ends_unheard(&self, octet: u8, waiting_for: &str) -> bool {
        octet == b'\n' || waiting_for == "body"
    }

    fn sync_violations(&self) -> &[&str] {
        &["pipelined_tls", "early_talk"]
    }

    fn sync_report(&self) -> Option<(&str, &str)> {
        Some(("early_talk", "Violation(EarlyTalk)"))
    }

    fn answer(
        &self,
        engine: &mut ServerSession,
        question: &Event,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) {
        // What does not fit any more, behind a verb that answered already, is a misuse and changes nothing.
        let _ = answer(engine, question, draw, now, out);
    }

    fn decline(&self, engine: &mut ServerSession, now: Duration, out: &mut BytesMut) {
        engine.decline(now, out);
    }

    fn verb(&self, engine: &mut ServerSession, draw: &mut Draw<'_>, now: Duration, out: &mut BytesMut) -> Said {
        let said = match draw.octet() % 9 {
            0 => engine.accept(now, out),
            1 => engine.reply(&reply(2, draw), now, out),
            2 => engine.reply(&refusal(draw), now, out),
            3 => engine.reply(&reply(3, draw), now, out),
            4 => engine.reply_next(&reply(2, draw), now, out),
            5 => {
                engine.decline(now, out);
                Ok(())
            }
            6 => engine.challenge(b"more", now, out),
            7 => engine.authenticated(now, out),
            _ => engine.discard_body(),
        };
        if said.is_ok() { Said::Ok } else { Said::Misuse }
    }

    fn tell(&self, event: &Event) -> String {
        match event {
            Event::Auth { mechanism, initial } => {
                format!("Auth {mechanism} {:?}", initial.as_ref().map(|initial| hex(initial.expose())))
            }
            Event::SaslResponse(response) => format!("SaslResponse {}", hex(response.expose())),
            Event::Connected
            | Event::Hello(_)
            | Event::SaslCancelled
            | Event::Mail(_)
            | Event::Rcpt(_)
            | Event::Data
            | Event::Chunk(_)
            | Event::End(_)
            | Event::Aborted
            | Event::Vrfy(_)
            | Event::Expn(_)
            | Event::Etrn(_)
            | Event::Xclient(_)
            | Event::Xforward(_)
            | Event::Violation(_) => format!("{event:?}"),
        }
    }

    fn listener(&self, config: u8) -> Client {
        Client::new(config)
    }

    fn resets(&self) -> &[Reset] {
        &RESETS
    }

    fn enclose(&self, text: &[u8]) -> Vec<Enclosed> {
        enclosed::enclose(text)
    }

    fn write(&self, draw: &mut Draw<'_>) -> Written {
        written::write(draw)
    }
}
