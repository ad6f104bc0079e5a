//! Telling messages to the client: FETCH's answers, item by item, and the flags that were touched.

use core::time::Duration;

use bytes::{BufMut, BytesMut};

use super::{Ending, Last, ServerSession, Stage, Tag, Taken, Then, Turn, What};
use crate::view::{Expunges, View};
use crate::write::{is_one_item, text};
use crate::{Addressing, BodyItem, BodyStructure, DateTime, Detail, Envelope, Event, Flags, Misuse, Outcome, Reply};

/// How far an answer of FETCH has come.
#[derive(Debug)]
pub(super) struct Telling {
    /// Whether UID is told of each message (RFC 3501 §6.4.8).
    uid: Addressing,
    at: At,
}

#[derive(Debug)]
enum At {
    Between,
    Message(Message),
    Literal { message: Message, left: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Message {
    number: u32,
    uid: u32,
    items: Items,
}

#[derive(Clone, Copy, Debug)]
enum Items {
    None,
    Some,
}

/// Text that was made before, of [`Envelope::write`] or [`BodyStructure::write`], and perhaps kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rendered {
    /// ENVELOPE
    Envelope,
    /// BODY or BODYSTRUCTURE
    Structure(Detail),
}

impl Telling {
    pub(super) const fn new(uid: Addressing) -> Self {
        Self { uid, at: At::Between }
    }

    pub(super) const fn is_between(&self) -> bool {
        matches!(self.at, At::Between)
    }
}

impl ServerSession {
    /// Begins with a message. Its UID is told where it is due.
    ///
    /// # Errors
    /// [`Misuse::UnknownUid`] where the client knows of no such message: it came later, or was told to be gone.
    /// [`Misuse::NotNow`] outside a question that messages are told for, or before the last is ended.
    pub fn fetch_begin(&mut self, uid: u32, out: &mut BytesMut) -> Result<(), Misuse> {
        let (telling, view) = self.telling()?;
        let At::Between = telling.at else { return Err(Misuse::NotNow) };
        let number = view.number_of(uid).ok_or(Misuse::UnknownUid)?;
        view.tell_flags(out);
        telling.at = At::Message(Message { number, uid, items: Items::None });
        if telling.uid == Addressing::Uid {
            telling.item(out)?;
            text(out, format_args!("UID {uid}"));
        }
        Ok(())
    }

    /// Tells its flags as they are now. `\Recent` is the engine's to add.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] outside a message.
    pub fn fetch_flags(&mut self, flags: &Flags, out: &mut BytesMut) -> Result<(), Misuse> {
        let (telling, view) = self.telling()?;
        let uid = telling.item(out)?.uid;
        let recent = match (view.recent().contains(uid), flags.is_empty()) {
            (true, true) => "\\Recent",
            (true, false) => " \\Recent",
            (false, _) => "",
        };
        text(out, format_args!("FLAGS ({flags}{recent})"));
        view.told_flags_of(uid);
        Ok(())
    }

    /// Tells its INTERNALDATE.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] outside a message.
    pub fn fetch_internal_date(&mut self, date: DateTime, out: &mut BytesMut) -> Result<(), Misuse> {
        self.telling()?.0.item(out)?;
        text(out, format_args!("INTERNALDATE \"{date}\""));
        Ok(())
    }

    /// Tells its size in octets, just what `BODY[]` has.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] outside a message.
    pub fn fetch_size(&mut self, octets: u64, out: &mut BytesMut) -> Result<(), Misuse> {
        self.telling()?.0.item(out)?;
        text(out, format_args!("RFC822.SIZE {octets}"));
        Ok(())
    }

    /// Tells its envelope.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] outside a message.
    pub fn fetch_envelope(&mut self, envelope: &Envelope<'_>, out: &mut BytesMut) -> Result<(), Misuse> {
        self.telling()?.0.item(out)?;
        out.put_slice(b"ENVELOPE ");
        envelope.write(out);
        Ok(())
    }

    /// Tells how it is made of parts.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] outside a message.
    pub fn fetch_structure(
        &mut self,
        structure: &BodyStructure<'_>,
        detail: Detail,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        self.telling()?.0.item(out)?;
        text(out, format_args!("{} ", detail.as_str()));
        structure.write(detail, out);
        Ok(())
    }

    /// Tells an item whose text was made before.
    ///
    /// # Errors
    /// [`Misuse::Malformed`] if the text would break the answer: a damaged cache must not. [`Misuse::NotNow`] outside a
    /// message.
    pub fn fetch_rendered(&mut self, what: Rendered, octets: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        let (telling, _) = self.telling()?;
        telling.message()?;
        if !is_one_item(octets) {
            return Err(Misuse::Malformed);
        }
        telling.item(out)?;
        let name = match what {
            Rendered::Envelope => "ENVELOPE",
            Rendered::Structure(detail) => detail.as_str(),
        };
        text(out, format_args!("{name} "));
        out.put_slice(octets);
        Ok(())
    }

    /// Tells that there is no such part.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] outside a message.
    pub fn fetch_nil(&mut self, item: &BodyItem, out: &mut BytesMut) -> Result<(), Misuse> {
        self.telling()?.0.item(out)?;
        item.write_label(out);
        out.put_slice(b" NIL");
        Ok(())
    }

    /// Begins with the octets of a part, so many as are said here: of a [`Partial`](crate::Partial), those that there are.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] outside a message.
    pub fn begin_literal(&mut self, item: &BodyItem, octets: u64, out: &mut BytesMut) -> Result<(), Misuse> {
        let (telling, _) = self.telling()?;
        let message = telling.item(out)?;
        item.write_label(out);
        text(out, format_args!(" {{{octets}}}\r\n"));
        telling.at = At::Literal { message, left: octets };
        Ok(())
    }

    /// Sends some of the octets.
    ///
    /// # Errors
    /// [`Misuse::BodyTooLong`] beyond what was said, [`Misuse::NotNow`] where no literal has begun.
    pub fn body(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        let (telling, _) = self.telling()?;
        let At::Literal { left, .. } = &mut telling.at else { return Err(Misuse::NotNow) };
        *left = left.checked_sub(chunk.len() as u64).ok_or(Misuse::BodyTooLong)?;
        out.put_slice(chunk);
        Ok(())
    }

    /// Ends the octets.
    ///
    /// # Errors
    /// [`Misuse::BodyTooShort`] below what was said: then [`abort`](Self::abort) is the only honest end.
    /// [`Misuse::NotNow`] where no literal has begun.
    pub fn end_body(&mut self) -> Result<(), Misuse> {
        let (telling, _) = self.telling()?;
        match telling.at {
            At::Literal { message, left: 0 } => {
                telling.at = At::Message(message);
                Ok(())
            }
            At::Literal { .. } => Err(Misuse::BodyTooShort),
            At::Between | At::Message(_) => Err(Misuse::NotNow),
        }
    }

    /// Ends the message. If nothing was told of it, nothing was written.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] outside a message, or within its octets.
    pub fn fetch_end(&mut self, out: &mut BytesMut) -> Result<(), Misuse> {
        let (telling, _) = self.telling()?;
        match telling.message()?.items {
            Items::None => {}
            Items::Some => out.put_slice(b")\r\n"),
        }
        telling.at = At::Between;
        Ok(())
    }

    fn telling(&mut self) -> Result<(&mut Telling, &mut View), Misuse> {
        let (Turn::Asked(asked), Stage::Selected(view)) = (&mut self.turn, &mut self.stage) else {
            return Err(Misuse::NotNow);
        };
        match &mut asked.what {
            What::Fetch { telling, .. } | What::Store(telling) | What::Tell { telling, .. } => Ok((telling, view)),
            What::Connected
            | What::Login
            | What::Sasl
            | What::Select(_)
            | What::Append { .. }
            | What::End
            | What::List
            | What::Status { .. }
            | What::Search(_)
            | What::Move
            | What::Close
            | What::Plain => Err(Misuse::NotNow),
        }
    }

    /// Ends a command: tells what is due before its tagged reply, and gives that, now or when flags were told.
    pub(super) fn complete(
        &mut self,
        tag: Tag,
        by: Addressing,
        reply: Reply,
        expunges: Expunges,
        now: Duration,
        out: &mut BytesMut,
    ) {
        if let Stage::Selected(view) = &mut self.stage {
            view.tell(expunges, out);
            if view.has_touched() && !matches!(self.last, Last::ShutDown(_)) {
                self.turn = Turn::Tell(alloc::boxed::Box::new(Ending { tag, by, reply }));
                return;
            }
        }
        self.give(&tag, &reply, now, out);
    }

    /// Gives a command's tagged reply. A client that does something right has not lost its way: its errors are forgotten.
    fn give(&mut self, tag: &str, reply: &Reply, now: Duration, out: &mut BytesMut) {
        reply.write(tag, out);
        if reply.outcome() == Outcome::Ok && !matches!(self.stage, Stage::NotAuthenticated) {
            self.violations = 0;
        }
        self.answered(Turn::Command, now, out);
    }

    /// Before a command ends: asks for the flags that were touched, or ends it if none are left.
    pub(super) fn ask_for_touched(&mut self, now: Duration, out: &mut BytesMut) -> Taken {
        let Turn::Tell(ending) = core::mem::replace(&mut self.turn, Turn::Command) else { return Taken::Silently };
        let Ending { tag, by, reply } = *ending;
        match &self.stage {
            Stage::Selected(view) if view.has_touched() => self.ask_to_tell(&tag, by, Then::End(reply), now),
            Stage::Selected(_) | Stage::NotAuthenticated | Stage::Authenticated => {
                self.asked_at = now;
                self.give(&tag, &reply, now, out);
                Taken::Silently
            }
        }
    }

    pub(super) fn ask_to_tell(&mut self, tag: &str, by: Addressing, then: Then, now: Duration) -> Taken {
        let Stage::Selected(view) = &mut self.stage else { return Taken::Silently };
        let event = Event::Tell { uids: view.take_touched() };
        let what = What::Tell { telling: Telling::new(by), then };
        Taken::Event(self.ask(tag, "", by, what, event, now))
    }

    /// All flags that were asked for are told.
    pub(super) fn told(&mut self, tag: &str, then: Then, now: Duration, out: &mut BytesMut) {
        match then {
            Then::End(reply) => self.give(tag, &reply, now, out),
            Then::Idle(idling) => {
                // Idling has a deadline in all, which telling does not move.
                let deadline = self.deadline;
                self.answered(Turn::Idle(idling), now, out);
                self.deadline = deadline;
            }
        }
    }
}

impl Telling {
    fn message(&self) -> Result<Message, Misuse> {
        match self.at {
            At::Message(message) => Ok(message),
            At::Between | At::Literal { .. } => Err(Misuse::NotNow),
        }
    }

    /// Begins with an item of the message; the first begins the line.
    fn item(&mut self, out: &mut BytesMut) -> Result<Message, Misuse> {
        let message = self.message()?;
        match message.items {
            Items::None => text(out, format_args!("* {} FETCH (", message.number)),
            Items::Some => out.put_u8(b' '),
        }
        let message = Message { items: Items::Some, ..message };
        self.at = At::Message(message);
        Ok(message)
    }
}
