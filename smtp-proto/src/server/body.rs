//! The message as it comes in, by DATA or by BDAT: whose turn it is, and what is said at its end.

use core::time::Duration;

use bytes::{Buf, BytesMut};

use super::intake::{Intake, Piece};
use super::{Asked, Content, Phase, ServerSession, Skip, Transaction, Turned, told, write_reply};
use crate::{Chunk, Event, Protocol, Reply, ReplyCode, ServerConfig, Step, Strays, Violation};

/// A message, or a chunk of it, under way.
#[derive(Debug)]
pub(super) struct Body {
    intake: Intake,
    pub(super) pace: Pace,
    /// How many replies its end is owed.
    replies: u32,
}

/// How fast the octets come.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) until: Duration,
    octets: u64,
}

/// A chunk of less brings a message no nearer that anybody would send in chunks.
const SMALL_CHUNK: u64 = 1024;

impl Body {
    /// The application has seen enough.
    pub(super) fn discard(&mut self) {
        self.intake.discard();
    }

    /// Whether enough has come to be given more time.
    pub(super) const fn keeps_pace(&mut self, now: Duration, config: &ServerConfig) -> bool {
        let enough = self.pace.octets >= config.limits.progress;
        self.pace = Pace { until: now.saturating_add(config.timeouts.progress), octets: 0 };
        enough
    }
}

impl ServerSession {
    /// Asks for a message by DATA.
    pub(super) fn ask_for_body(&mut self, now: Duration, out: &mut BytesMut) {
        if self.ends_here(out) {
            return;
        }
        out.extend_from_slice(b"354 end with <CRLF>.<CRLF>\r\n");
        self.begin(Intake::data(), self.verdicts(), now);
    }

    /// RFC 3030 §2: the octets follow, whatever we answer. They must not run as commands.
    pub(super) fn chunk(&mut self, chunk: Chunk, now: Duration, out: &mut BytesMut) -> Turned {
        let replies = self.chunk_replies(chunk);
        let violation = match self.transaction.as_ref().map(|open| (open.recipients, open.chunks.as_ref())) {
            _ if !self.config.extensions.chunking || !self.is_extended() => Violation::NotImplemented,
            None => Violation::NoTransaction,
            Some((0, _)) => self.no_recipients(),
            Some((_, chunks)) => {
                let size = chunks.map_or(0, Intake::size).saturating_add(chunk.octets);
                if size <= self.config.limits.message {
                    return self.good_chunk(chunk, now, out);
                }
                self.reset();
                Violation::MessageTooBig
            }
        };
        self.skip_chunk(Skip { left: chunk.octets, then: Some(violation), replies }, now, out).and_then(told)
    }

    fn good_chunk(&mut self, chunk: Chunk, now: Duration, out: &mut BytesMut) -> Turned {
        if !chunk.last && chunk.octets < SMALL_CHUNK && self.is_chatter(out) {
            return told(Violation::TooMuchChatter);
        }
        match self.transaction.as_mut().and_then(|open| open.chunks.take()) {
            None => self.ask(Asked::Chunk(chunk), Event::Data),
            Some(intake) => {
                self.begin_chunk(intake, chunk, now);
                None
            }
        }
    }

    /// Takes the first chunk of a message.
    pub(super) fn take_chunk(&mut self, chunk: Chunk, now: Duration, out: &mut BytesMut) {
        if self.ends_here(out) {
            return;
        }
        let strays = match &self.transaction {
            Some(Transaction { envelope, .. }) if envelope.content == Content::Binary => Strays::KEEP,
            Some(_) | None => self.config.bdat,
        };
        self.begin_chunk(Intake::chunks(strays), chunk, now);
    }

    fn begin_chunk(&mut self, mut intake: Intake, chunk: Chunk, now: Duration) {
        intake.expect(chunk);
        self.begin(intake, self.chunk_replies(chunk), now);
    }

    fn begin(&mut self, intake: Intake, replies: u32, now: Duration) {
        let timeouts = &self.config.timeouts;
        let pace = Pace { until: now.saturating_add(timeouts.progress), octets: 0 };
        self.deadline = now.saturating_add(timeouts.body);
        self.phase = Phase::Body(Body { intake, pace, replies });
    }

    /// Skips octets that would be taken for commands. Where they are too many that is the end, and what to tell.
    pub(super) fn skip_chunk(&mut self, skip: Skip, now: Duration, out: &mut BytesMut) -> Option<Violation> {
        self.skipped = self.skipped.saturating_add(skip.left);
        if self.skipped > self.config.limits.refused_chunks {
            return Some(self.close_for(Violation::ChunkFlood, out));
        }
        self.phase = Phase::Skip(skip);
        self.deadline = now.saturating_add(self.config.timeouts.body);
        None
    }

    pub(super) fn skip(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Turned {
        let Phase::Skip(skip) = &mut self.phase else { return None };
        let here = usize::try_from(skip.left).unwrap_or(usize::MAX).min(input.len());
        input.advance(here);
        skip.left = skip.left.saturating_sub(here as u64);
        match *skip {
            Skip { left: 0, then: Some(violation), replies } => self.refuse(violation, replies, now, out),
            Skip { left: 0, then: None, .. } => {
                self.go_on(now, out);
                None
            }
            Skip { .. } => self.starve(),
        }
    }

    pub(super) fn body(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Turned {
        let Phase::Body(Body { intake, pace, replies }) = &mut self.phase else { return None };
        let (before, replies) = (input.len(), *replies);
        let piece = intake.take(input, &self.config);
        pace.octets = pace.octets.saturating_add(before.saturating_sub(input.len()) as u64);
        match piece {
            Piece::Chunk(chunk) => Some(Step::Event(Event::Chunk(chunk))),
            Piece::NeedInput => self.starve(),
            Piece::Flood => told(self.close_for(Violation::BodyFlood, out)),
            Piece::End(end) => self.ask(Asked::Verdict(replies), Event::End(end)),
            Piece::ChunkEnd => {
                self.keep_chunks();
                CHUNK_OK.write(out);
                self.go_on(now, out);
                None
            }
            Piece::Refused(violation) => {
                self.reset();
                self.refuse(violation, replies, now, out)
            }
        }
    }

    /// Between the chunks of a message its intake belongs to the transaction.
    fn keep_chunks(&mut self) {
        let Phase::Body(Body { intake, .. }) = core::mem::replace(&mut self.phase, Phase::Command) else { return };
        if let Some(transaction) = &mut self.transaction {
            transaction.chunks = Some(intake);
        }
    }

    /// Tells the peer off, as often as it waits for a reply.
    fn refuse(&mut self, violation: Violation, replies: u32, now: Duration, out: &mut BytesMut) -> Turned {
        // `violate` says the last of them.
        for _ in 1..replies {
            write_reply(violation, out);
        }
        told(self.violate(violation, now, out))
    }

    /// How many replies the end of the message is owed (RFC 2033 §4.2).
    pub(super) fn verdicts(&self) -> u32 {
        match self.config.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => self.transaction.as_ref().map_or(1, |open| open.recipients.max(1)),
        }
    }

    /// How many replies a chunk is owed: one, unless it is the end of the message.
    pub(super) fn chunk_replies(&self, chunk: Chunk) -> u32 {
        if chunk.last { self.verdicts() } else { 1 }
    }

    pub(super) fn no_recipients(&self) -> Violation {
        match self.config.protocol {
            Protocol::Smtp => Violation::NoRecipients,
            // RFC 2033 §4.2: 503, since no reply can follow the message.
            Protocol::Lmtp => Violation::NoLmtpRecipients,
        }
    }
}

const CHUNK_OK: Reply = Reply::fixed(ReplyCode::OK, 0, 0, "chunk received");
