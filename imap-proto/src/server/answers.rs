//! The application's answers, but for the telling of messages.

use alloc::boxed::Box;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};

use super::{Asked, Last, Missing, ServerSession, Stage, Tag, Told, Turn, What};
use crate::view::{Expunges, View};
use crate::write::{line_text, text};
use crate::{
    Access, Addressing, Close, Code, Keywords, ListEntry, LiteralKind, MailboxStatus, Misuse, Outcome, Reply, Selected,
    UidSet, Violation,
};

impl ServerSession {
    /// Says yes in the ordinary words: greets, lets APPEND's message come, or ends the command with `OK`.
    ///
    /// # Errors
    /// [`Misuse::WrongReply`] where yes has a verb of its own, [`Misuse::NotNow`] where no question is open or an answer has
    /// begun and is not at its end.
    pub fn accept(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(asked) = &self.turn else { return Err(Misuse::NotNow) };
        match &asked.what {
            What::Connected => {
                text(out, format_args!("* OK [CAPABILITY {}] ", self.capabilities()));
                line_text(out, &self.config.greeting);
                out.put_slice(b"\r\n");
                self.answered(Turn::Command, now, out);
                Ok(())
            }
            What::Append { size, literal } => {
                let (size, literal) = (*size, *literal);
                self.begin_message(size, literal, now, out);
                Ok(())
            }
            What::Tell { telling, .. } if !telling.is_between() => Err(Misuse::NotNow),
            What::Tell { .. } => {
                let asked = self.take_asked()?;
                if let What::Tell { then, .. } = asked.what {
                    self.told(&asked.tag, then, now, out);
                }
                Ok(())
            }
            What::End
            | What::List
            | What::Status { .. }
            | What::Fetch { .. }
            | What::Store(_)
            | What::Search(_)
            | What::Move
            | What::Close
            | What::Plain => {
                let command = asked.command;
                self.reply(&Reply::ok("").with_text(alloc::format!("{command} completed")), now, out)
            }
            What::Login | What::Sasl | What::Select(_) => Err(Misuse::WrongReply),
        }
    }

    fn begin_message(&mut self, size: u64, literal: LiteralKind, now: Duration, out: &mut BytesMut) {
        if let Last::ShutDown(why) = self.last {
            // There is no time for a message any more.
            let refused = self.reply(&why.reply(), now, out);
            debug_assert!(refused.is_ok());
            return;
        }
        if let Ok(asked) = self.take_asked() {
            self.let_come(asked.tag, size, literal, now, out);
        }
    }

    /// Ends the command in the application's words: refuses it, or says more than [`accept`](Self::accept).
    ///
    /// # Errors
    /// [`Misuse::WrongReply`] where yes has a verb of its own, or STATUS was not told; [`Misuse::NotNow`] where no question
    /// is open or an answer has begun and is not at its end.
    pub fn reply(&mut self, reply: &Reply, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(asked) = &self.turn else { return Err(Misuse::NotNow) };
        if asked.what.is_within_answer() {
            return Err(Misuse::NotNow);
        }
        let yes = reply.outcome() == Outcome::Ok;
        match &asked.what {
            What::Tell { .. } => return Err(Misuse::WrongReply),
            What::Login | What::Sasl | What::Select(_) | What::Append { .. } if yes => return Err(Misuse::WrongReply),
            What::Status { told: Told::Not, .. } if yes => return Err(Misuse::WrongReply),
            What::Search(Told::Not) if yes => out.put_slice(b"* SEARCH\r\n"),
            What::Connected
            | What::Login
            | What::Sasl
            | What::Select(_)
            | What::Append { .. }
            | What::End
            | What::List
            | What::Status { .. }
            | What::Fetch { .. }
            | What::Store(_)
            | What::Search(_)
            | What::Move
            | What::Close
            | What::Plain => {}
        }
        let asked = self.take_asked()?;
        let expunges = asked.expunges();
        let Asked { tag, by, what, .. } = asked;
        let reply = reply.clone();
        match what {
            What::Connected if yes => {
                reply.write("*", out);
                self.answered(Turn::Command, now, out);
            }
            What::Connected => {
                reply.write_bye(out);
                self.turn = Turn::Closed(Close::Quit);
            }
            What::Login | What::Sasl => self.refuse_login(&tag, &reply, now, out),
            What::Append { size, literal: LiteralKind::NonSync } if !matches!(self.last, Last::ShutDown(_)) => {
                self.let_pass(tag, size, reply, now);
            }
            What::Close if yes => {
                // RFC 3501 §6.4.2: nobody is told what goes with it.
                self.stage = Stage::Authenticated;
                self.complete(tag, by, reply, expunges, now, out);
            }
            What::Fetch { missing: Missing::Some, .. } if yes && reply.code().is_none() => {
                self.complete(tag, by, reply.with_code(Code::ExpungeIssued), expunges, now, out);
            }
            What::Select(_)
            | What::Append { .. }
            | What::End
            | What::List
            | What::Status { .. }
            | What::Fetch { .. }
            | What::Store(_)
            | What::Search(_)
            | What::Move
            | What::Close
            | What::Tell { .. }
            | What::Plain => self.complete(tag, by, reply, expunges, now, out),
        }
        Ok(())
    }

    /// Answers any question in the negative. An answer that has begun cannot be taken back: then the session ends.
    pub fn decline(&mut self, now: Duration, out: &mut BytesMut) {
        let Turn::Asked(asked) = &self.turn else { return };
        if asked.what.is_within_answer() {
            return self.abort();
        }
        let answered = match asked.what {
            What::Tell { .. } => self.accept(now, out),
            What::Connected
            | What::Login
            | What::Sasl
            | What::Select(_)
            | What::Append { .. }
            | What::End
            | What::List
            | What::Status { .. }
            | What::Fetch { .. }
            | What::Store(_)
            | What::Search(_)
            | What::Move
            | What::Close
            | What::Plain => self.reply(&Reply::no("not available").with_code(Code::Unavailable), now, out),
        };
        debug_assert_eq!(answered, Ok(()));
    }

    /// Lets the user in; or greets a client that needs no login (`PREAUTH`).
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no login is asked for.
    pub fn authenticated(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(asked) = &self.turn else { return Err(Misuse::NotNow) };
        let (What::Connected | What::Login | What::Sasl) = asked.what else { return Err(Misuse::NotNow) };
        let asked = self.take_asked()?;
        self.stage = Stage::Authenticated;
        let capabilities = self.capabilities();
        if let What::Connected = asked.what {
            text(out, format_args!("* PREAUTH [CAPABILITY {capabilities}] "));
            line_text(out, &self.config.greeting);
            out.put_slice(b"\r\n");
        } else {
            text(out, format_args!("{} OK [CAPABILITY {capabilities}] logged in\r\n", asked.tag));
        }
        self.answered(Turn::Command, now, out);
        Ok(())
    }

    /// Goes on with a SASL exchange (RFC 3501 §6.2.2).
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where no exchange waits for it.
    pub fn challenge(&mut self, challenge: &[u8], now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(asked) = &self.turn else { return Err(Misuse::NotNow) };
        let What::Sasl = asked.what else { return Err(Misuse::NotNow) };
        let asked = self.take_asked()?;
        text(out, format_args!("+ {}\r\n", STANDARD.encode(challenge)));
        self.answered(Turn::Sasl(asked.tag), now, out);
        Ok(())
    }

    /// Opens the mailbox that SELECT or EXAMINE asks for.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where neither is asked.
    pub fn select(&mut self, selected: Selected, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(asked) = &self.turn else { return Err(Misuse::NotNow) };
        let What::Select(wanted) = asked.what else { return Err(Misuse::NotNow) };
        let access = match wanted {
            Access::ReadOnly => Access::ReadOnly,
            Access::ReadWrite => selected.access,
        };
        let Asked { tag, command, .. } = self.take_asked()?;
        let mut selected = Selected { access, ..selected };
        selected.recent.intersect(&selected.uids);
        selected.write(out);
        let code = match access {
            Access::ReadWrite => Code::ReadWrite,
            Access::ReadOnly => Code::ReadOnly,
        };
        let reply = Reply::ok("").with_text(alloc::format!("{command} completed")).with_code(code);
        self.stage = Stage::Selected(Box::new(View::new(selected)));
        reply.write(&tag, out);
        self.answered(Turn::Command, now, out);
        Ok(())
    }

    /// Tells one mailbox that LIST or LSUB asks for.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where neither is asked.
    pub fn list_entry(&mut self, entry: &ListEntry, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(asked) = &self.turn else { return Err(Misuse::NotNow) };
        let What::List = asked.what else { return Err(Misuse::NotNow) };
        entry.write(asked.command, self.config.separator, out);
        Ok(())
    }

    /// Tells what STATUS asks for.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where it is not asked, or told already.
    pub fn status(&mut self, status: &MailboxStatus, out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(asked) = &mut self.turn else { return Err(Misuse::NotNow) };
        let What::Status { mailbox, items, told: told @ Told::Not } = &mut asked.what else {
            return Err(Misuse::NotNow);
        };
        *told = Told::Already;
        status.write(mailbox, items, out);
        Ok(())
    }

    /// Tells what SEARCH found: by number or by UID, as it was asked. Messages that the client does not know of are left
    /// out. Where this is not called, nothing was found.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where it is not asked, or told already.
    pub fn search_results(&mut self, uids: &UidSet, out: &mut BytesMut) -> Result<(), Misuse> {
        let (Turn::Asked(asked), Stage::Selected(view)) = (&mut self.turn, &self.stage) else {
            return Err(Misuse::NotNow);
        };
        let What::Search(told @ Told::Not) = &mut asked.what else { return Err(Misuse::NotNow) };
        *told = Told::Already;
        out.put_slice(b"* SEARCH");
        match asked.by {
            Addressing::Sequence => {
                for number in view.numbers_of(uids) {
                    text(out, format_args!(" {number}"));
                }
            }
            Addressing::Uid => {
                for uid in uids.iter().filter(|uid| view.number_of(*uid).is_some()) {
                    text(out, format_args!(" {uid}"));
                }
            }
        }
        out.put_slice(b"\r\n");
        Ok(())
    }

    /// Tells which UIDs the messages that MOVE moved had and have; before they are told to be gone (RFC 6851 §4.3).
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where MOVE is not asked.
    pub fn copied(&mut self, uidvalidity: u32, pairs: &[(u32, u32)], out: &mut BytesMut) -> Result<(), Misuse> {
        let Turn::Asked(asked) = &self.turn else { return Err(Misuse::NotNow) };
        let What::Move = asked.what else { return Err(Misuse::NotNow) };
        if !pairs.is_empty() {
            let code = Code::CopyUid { uidvalidity, pairs: pairs.to_vec() };
            Reply::ok("moved").with_code(code).write("*", out);
        }
        Ok(())
    }

    fn take_asked(&mut self) -> Result<Asked, Misuse> {
        if !matches!(self.turn, Turn::Asked(_)) {
            return Err(Misuse::NotNow);
        }
        let Turn::Asked(asked) = core::mem::replace(&mut self.turn, Turn::Command) else { return Err(Misuse::NotNow) };
        Ok(*asked)
    }

    /// Counts a wrong password; a fault of ours is not the peer's guess.
    fn refuse_login(&mut self, tag: &Tag, reply: &Reply, now: Duration, out: &mut BytesMut) {
        reply.write(tag, out);
        let guess =
            matches!(reply.code(), None | Some(Code::AuthenticationFailed | Code::AuthorizationFailed | Code::Expired));
        self.failed_logins = self.failed_logins.saturating_add(u32::from(guess));
        if self.failed_logins > self.config.limits.failed_logins {
            Violation::TooManyLogins.reply().write_bye(out);
            self.turn = Turn::Closed(Close::Violation(Violation::TooManyLogins));
            return;
        }
        self.answered(Turn::Command, now, out);
    }
}

impl Asked {
    const fn expunges(&self) -> Expunges {
        match (&self.what, self.by) {
            (What::Fetch { .. } | What::Store(_) | What::Search(_), Addressing::Sequence) => Expunges::Held,
            (What::Fetch { .. } | What::Store(_) | What::Search(_), Addressing::Uid)
            | (
                What::Connected
                | What::Login
                | What::Sasl
                | What::Select(_)
                | What::Append { .. }
                | What::End
                | What::List
                | What::Status { .. }
                | What::Move
                | What::Close
                | What::Tell { .. }
                | What::Plain,
                _,
            ) => Expunges::Told,
        }
    }
}

impl Selected {
    /// Appends the untagged part of the answer (RFC 3501 §6.3.1).
    fn write(&self, out: &mut BytesMut) {
        text(out, format_args!("* FLAGS ({})\r\n", self.flags));
        text(out, format_args!("* {} EXISTS\r\n* {} RECENT\r\n", self.uids.len(), self.recent.len()));
        if let Some(uid) = self.first_unseen.filter(|uid| self.uids.contains(*uid)) {
            text(out, format_args!("* OK [UNSEEN {}] the first unseen message\r\n", self.uids.rank(uid)));
        }
        let (flags, star) = match (self.access, self.keywords) {
            (Access::ReadOnly, _) => (None, ""),
            (Access::ReadWrite, Keywords::Fixed) => (Some(&self.permanent_flags), ""),
            (Access::ReadWrite, Keywords::Open) if self.permanent_flags.is_empty() => (None, "\\*"),
            (Access::ReadWrite, Keywords::Open) => (Some(&self.permanent_flags), " \\*"),
        };
        out.put_slice(b"* OK [PERMANENTFLAGS (");
        if let Some(flags) = flags {
            text(out, format_args!("{flags}"));
        }
        text(out, format_args!("{star})] flags that can be changed\r\n"));
        let (uidnext, uidvalidity) = (self.uidnext.max(1), self.uidvalidity.max(1));
        text(out, format_args!("* OK [UIDNEXT {uidnext}] the next UID\r\n"));
        text(out, format_args!("* OK [UIDVALIDITY {uidvalidity}] UIDs are valid\r\n"));
    }
}
