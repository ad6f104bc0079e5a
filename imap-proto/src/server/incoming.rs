//! What comes from the peer: commands, literals, the message of an APPEND, and what is thrown away.

use alloc::boxed::Box;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BufMut, BytesMut};

use super::{Idling, ServerSession, Stage, Tag, Taken, Then, Turn, What};
use crate::frame::{Announced, Found, Skip, Skipped};
use crate::grammar::{ParseError, append_arguments};
use crate::mailbox::decode_name;
use crate::view::Expunges;
use crate::{
    Addressing, Append, Command, Deadline, Event, Expected, LiteralKind, Reply, Secret, Verb, Violation, Waiting,
};

/// APPEND's message on its way in.
#[derive(Debug)]
pub(super) struct Incoming {
    tag: Tag,
    left: u64,
    fate: Fate,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Told,
    Discarded,
}

/// A command that is answered when its rest is thrown away.
#[derive(Debug)]
pub(super) struct Refused {
    skip: Skip,
    tag: Option<Tag>,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Violation(Violation),
    /// The application does not want the message.
    Reply(Reply),
}

impl Incoming {
    pub(super) fn memory(&self) -> usize {
        self.tag.len()
    }
}

impl Refused {
    pub(super) const fn in_literal(&self) -> bool {
        self.skip.in_literal()
    }

    pub(super) fn memory(&self) -> usize {
        let reply = match &self.why {
            Why::Violation(_) => 0,
            Why::Reply(reply) => reply.memory(),
        };
        size_of::<Self>() + self.tag.as_ref().map_or(0, |tag| tag.len()) + reply
    }
}

impl ServerSession {
    /// Throws away what comes of the message that was accepted. At its end the application is asked all the same.
    pub fn discard_body(&mut self) {
        if let Turn::Message(incoming) = &mut self.turn {
            incoming.fate = Fate::Discarded;
        }
    }

    pub(super) fn take_command(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Taken {
        match self.frame.find(input, self.command_limit()) {
            Found::Partial => Taken::NeedInput,
            Found::ControlOctet => self.refuse_line(Violation::ControlOctet, input),
            Found::TooLong => self.refuse_line(Violation::CommandTooLong, input),
            Found::Literal(literal) => self.take_literal(literal, now, input, out),
            Found::Command(end) => {
                self.frame.reset();
                let mut line = input.split_to(end);
                line.truncate(end.saturating_sub(2));
                let stranger = matches!(self.stage, Stage::NotAuthenticated);
                let event = self.command(&line, now, input, out);
                if stranger {
                    // There may have been a password in it, and the buffer is used again.
                    line.fill(0);
                }
                event.into()
            }
        }
    }

    /// Grants a literal that has room in its command, refuses one that has not, and turns to an APPEND's message.
    fn take_literal(&mut self, literal: Announced, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Taken {
        let Announced { head, size, kind } = literal;
        let Some(line) = input.get(..head.saturating_sub(2)) else { return Taken::NeedInput };
        if self.is_message(line) {
            return match self.append(line, size, now) {
                Ok(event) => {
                    input.advance(head);
                    self.frame.reset();
                    Taken::Event(event)
                }
                Err(violation) => self.refuse_literal(violation, literal, now, input, out),
            };
        }
        let room = self.command_limit().saturating_sub(head).saturating_sub(2);
        let fits = size <= self.unasked(kind) && self.frame.literals() < self.config.limits.literals;
        match usize::try_from(size) {
            Ok(octets) if octets <= room && fits => self.frame.pass(head, octets),
            Ok(_) | Err(_) => return self.refuse_literal(Violation::LiteralTooLarge, literal, now, input, out),
        }
        if kind == LiteralKind::Sync {
            out.put_slice(GO_ON);
        }
        Taken::Silently
    }

    /// The largest literal that the client may send so, as far as its kind goes.
    fn unasked(&self, kind: LiteralKind) -> u64 {
        match kind {
            LiteralKind::Sync => u64::MAX,
            LiteralKind::NonSync => self.config.literals.limit(),
        }
    }

    /// Whether a line announces APPEND's message, and not the name of its mailbox.
    fn is_message(&self, line: &[u8]) -> bool {
        append_arguments(line).is_some_and(|arguments| self.frame.literals() > 0 || !arguments.starts_with(b"{"))
    }

    fn append(&mut self, line: &[u8], size: u64, now: Duration) -> Result<Event, Violation> {
        let command = self.parse(line)?;
        let (Command { tag, verb: Verb::Append(head) }, Stage::Authenticated | Stage::Selected(_)) =
            (command, &self.stage)
        else {
            return Err(Violation::Sequence);
        };
        let mailbox = decode_name(&head.mailbox, self.config.separator, self.config.limits.mailbox_name)
            .map_err(Violation::MailboxName)?;
        if size > self.config.limits.message {
            return Err(Violation::MessageTooLarge);
        }
        if size > self.unasked(head.literal) {
            return Err(Violation::LiteralTooLarge);
        }
        let (flags, date, literal) = (head.flags, head.date, head.literal);
        let event = Event::Append(Append { mailbox, flags, date, size, literal });
        Ok(self.ask(tag, "APPEND", Addressing::Sequence, What::Append { size, literal }, event, now))
    }

    /// Parses a command, and sees to it that its tag may be kept.
    pub(super) fn parse<'a>(&self, line: &'a [u8]) -> Result<Command<'a>, Violation> {
        let command = Command::parse(line).map_err(Violation::Syntax)?;
        if command.tag.len() > self.config.limits.tag {
            return Err(Violation::Syntax(ParseError { at: self.config.limits.tag, expected: Expected::Space }));
        }
        Ok(command)
    }

    fn refuse_literal(
        &mut self,
        violation: Violation,
        literal: Announced,
        now: Duration,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Taken {
        let tag = self.tag_at_front(input);
        self.frame.reset();
        input.advance(literal.head);
        match literal.kind {
            LiteralKind::Sync => Taken::Event(self.violate(tag.as_deref(), violation, now, out)),
            LiteralKind::NonSync => {
                let skip = Skip::literal(literal.size, self.config.limits.discarded);
                self.turn = Turn::Skip(Box::new(Refused { skip, tag, why: Why::Violation(violation) }));
                Taken::Silently
            }
        }
    }

    /// Refuses a command somewhere in its present line; literals before that have come whole.
    fn refuse_line(&mut self, violation: Violation, input: &mut BytesMut) -> Taken {
        let tag = self.tag_at_front(input);
        input.advance(self.frame.line().min(input.len()));
        self.refuse_rest(violation, tag)
    }

    fn refuse_rest(&mut self, violation: Violation, tag: Option<Tag>) -> Taken {
        self.frame.reset();
        let skip = Skip::line(self.config.limits.discarded);
        self.turn = Turn::Skip(Box::new(Refused { skip, tag, why: Why::Violation(violation) }));
        Taken::Silently
    }

    fn tag_at_front(&self, input: &[u8]) -> Option<Tag> {
        Command::tag_of(input, self.config.limits.tag).map(Tag::from)
    }

    pub(super) fn skip(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Taken {
        let Turn::Skip(refused) = &mut self.turn else { return Taken::Silently };
        match refused.skip.go_on(input) {
            Skipped::Partial => return Taken::NeedInput,
            Skipped::Endless => return Taken::Event(self.violate(None, Violation::Endless, now, out)),
            Skipped::Done => {}
        }
        let Turn::Skip(refused) = core::mem::replace(&mut self.turn, Turn::Command) else { return Taken::Silently };
        match refused.why {
            Why::Violation(violation) => Taken::Event(self.violate(refused.tag.as_deref(), violation, now, out)),
            Why::Reply(reply) => {
                self.asked_at = now;
                let tag = refused.tag.unwrap_or_default();
                self.complete(tag, Addressing::Sequence, reply, Expunges::Told, now, out);
                Taken::Silently
            }
        }
    }

    /// Lets the message of an APPEND come.
    pub(super) fn let_come(&mut self, tag: Tag, size: u64, literal: LiteralKind, now: Duration, out: &mut BytesMut) {
        if literal == LiteralKind::Sync {
            out.put_slice(GO_ON);
        }
        self.turn = Turn::Message(Incoming { tag, left: size, fate: Fate::Told });
        self.expect_body(size, now);
    }

    /// Lets the message of an APPEND come to nothing: the client does not wait with it.
    pub(super) fn let_pass(&mut self, tag: Tag, size: u64, reply: Reply, now: Duration) {
        let skip = Skip::literal(size, size.saturating_add(self.config.limits.discarded));
        self.turn = Turn::Skip(Box::new(Refused { skip, tag: Some(tag), why: Why::Reply(reply) }));
        self.expect_body(size, now);
    }

    fn expect_body(&mut self, size: u64, now: Duration) {
        let timeouts = &self.config.timeouts;
        let transfer = Duration::from_secs(size / timeouts.body_rate.max(1));
        let at = now.saturating_add(timeouts.body).saturating_add(transfer);
        self.deadline = Deadline { at, waiting_for: Waiting::Body };
    }

    pub(super) fn take_message(&mut self, now: Duration, input: &mut BytesMut) -> Taken {
        let Turn::Message(incoming) = &mut self.turn else { return Taken::Silently };
        if incoming.left > 0 {
            if input.is_empty() {
                return Taken::NeedInput;
            }
            let octets = usize::try_from(incoming.left).unwrap_or(usize::MAX).min(input.len());
            incoming.left = incoming.left.saturating_sub(octets as u64);
            let chunk = input.split_to(octets).freeze();
            return match incoming.fate {
                Fate::Told => Taken::Event(Event::Chunk(chunk)),
                Fate::Discarded => Taken::Silently,
            };
        }
        let tag = match **input {
            [] | [b'\r'] => return Taken::NeedInput,
            [b'\r', b'\n', ..] => {
                input.advance(2);
                core::mem::take(&mut incoming.tag)
            }
            _ => {
                let tag = core::mem::take(&mut incoming.tag);
                // The violation is told when the line's end was found.
                let _ = self.refuse_rest(Violation::BehindMessage, Some(tag));
                return Taken::Event(Event::Aborted);
            }
        };
        Taken::Event(self.ask(&tag, "APPEND", Addressing::Sequence, What::End, Event::End, now))
    }

    pub(super) fn take_sasl_line(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Taken {
        let found = self.frame.find(input, self.config.limits.sasl_line);
        if matches!(found, Found::Partial) {
            return Taken::NeedInput;
        }
        let Turn::Sasl(tag) = core::mem::replace(&mut self.turn, Turn::Command) else { return Taken::Silently };
        let end = match found {
            Found::Command(end) => end,
            Found::TooLong => return self.refuse_rest(Violation::CommandTooLong, Some(tag)),
            Found::ControlOctet => return self.refuse_rest(Violation::ControlOctet, Some(tag)),
            Found::Partial | Found::Literal(_) => return self.refuse_rest(Violation::Base64, Some(tag)),
        };
        self.frame.reset();
        let mut line = input.split_to(end);
        line.truncate(end.saturating_sub(2));
        if *line == *b"*" {
            Reply::bad("authentication cancelled").write(&tag, out);
            return Taken::Event(Event::SaslCancelled);
        }
        let decoded = STANDARD.decode(&line);
        line.fill(0);
        match decoded {
            Ok(response) => {
                let event = Event::SaslResponse(Secret::new(response));
                Taken::Event(self.ask(&tag, "AUTHENTICATE", Addressing::Sequence, What::Sasl, event, now))
            }
            Err(_) => Taken::Event(self.violate(Some(&tag), Violation::Base64, now, out)),
        }
    }

    /// Tells an idling client what has changed, and looks for its DONE.
    pub(super) fn take_done(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Taken {
        if let Stage::Selected(view) = &mut self.stage {
            view.tell(Expunges::Told, out);
            if view.has_touched()
                && let Turn::Idle(idling) = core::mem::replace(&mut self.turn, Turn::Command)
            {
                return self.ask_to_tell("", Addressing::Sequence, Then::Idle(idling), now);
            }
        }
        let found = self.frame.find(input, self.command_limit());
        if matches!(found, Found::Partial) {
            return Taken::NeedInput;
        }
        let Turn::Idle(Idling { tag, .. }) = core::mem::replace(&mut self.turn, Turn::Command) else {
            return Taken::Silently;
        };
        let line = match found {
            Found::Command(end) => input.get(..end).unwrap_or_default(),
            Found::Partial | Found::Literal(_) | Found::ControlOctet | Found::TooLong => b"",
        };
        // RFC 2177: nothing but DONE may come. What else comes may have a literal behind it, as any line.
        if !line.eq_ignore_ascii_case(b"DONE\r\n") {
            let _ = self.refuse_rest(Violation::NotDone, Some(tag));
            return Taken::Event(Event::Done);
        }
        input.advance(line.len());
        self.frame.reset();
        self.asked_at = now;
        self.complete(tag, Addressing::Sequence, Reply::ok("IDLE completed"), Expunges::Told, now, out);
        Taken::Event(Event::Done)
    }
}

/// What a client waits for before it sends a literal (RFC 3501 §7.5).
const GO_ON: &[u8] = b"+ go on\r\n";
