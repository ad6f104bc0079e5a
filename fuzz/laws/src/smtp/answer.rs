//! How the server's application answers.

use core::time::Duration;

use bytes::BytesMut;
use smtp_proto::{Enhanced, Event, Misuse, Reply, ReplyCode, ServerSession};

use crate::Draw;

/// Answers as drawn: mostly yes.
pub(super) fn answer(
    engine: &mut ServerSession,
    question: &Event,
    draw: &mut Draw<'_>,
    now: Duration,
    out: &mut BytesMut,
) -> Result<(), Misuse> {
    if draw.octet() >= 200 {
        return engine.reply(&refusal(draw), now, out);
    }
    match question {
        Event::Auth { initial: None, .. } => engine.challenge(b"", now, out),
        Event::Auth { .. } | Event::SaslResponse(_) if draw.octet() >= 200 => engine.challenge(b"more", now, out),
        Event::Auth { .. } | Event::SaslResponse(_) => engine.authenticated(now, out),
        Event::Data if draw.octet() >= 200 => {
            engine.accept(now, out)?;
            engine.discard_body()
        }
        Event::End(_) => {
            for _ in 0..draw.octet() % 4 {
                let verdict = if draw.octet() < 128 { reply(2, draw) } else { refusal(draw) };
                engine.reply_next(&verdict, now, out)?;
            }
            engine.accept(now, out)
        }
        Event::Expn(_) => engine.reply(&reply(2, draw), now, out),
        Event::Connected
        | Event::Hello(_)
        | Event::Mail(_)
        | Event::Rcpt(_)
        | Event::Data
        | Event::Vrfy(_)
        | Event::Etrn(_)
        | Event::Xclient(_)
        | Event::Xforward(_) => engine.accept(now, out),
        Event::SaslCancelled | Event::Chunk(_) | Event::Aborted | Event::Violation(_) => Ok(()),
    }
}

/// A refusal, and never one by which the engine says that a command does not fit.
pub(super) fn refusal(draw: &mut Draw<'_>) -> Reply {
    let class = 4 + draw.octet() % 2;
    reply(class, draw)
}

/// A reply of that class, of one line or two.
pub(super) fn reply(class: u8, draw: &mut Draw<'_>) -> Reply {
    let code = u16::from(class) * 100 + u16::from(1 + draw.octet() % 5) * 10 + u16::from(draw.octet() % 10);
    let text = if draw.octet() < 200 { "as it is" } else { "as it\nis" };
    match ReplyCode::new(code) {
        Some(code) => Reply::new(code, Enhanced::new(draw.octet().into(), draw.octet().into()), text),
        None => Reply::plain(ReplyCode::OK, text),
    }
}
