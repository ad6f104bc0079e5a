//! A transaction: who sends, who is to get it, and what the server says to each.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::BytesMut;

use super::dialogue::Phase;
use super::needs::{Means, NO_RRVS};
use super::outcome::{NO_MORE_DOMAINS, NO_MORE_TRANSACTIONS};
use super::{Delivery, DeliveryEvent, Outcome, Said, SaidBy, Stage, Trouble, Turn};
use crate::{Chunk, Class, Command, Protocol, Reply, SendError, Violation};

/// What is under way for some of the recipients.
#[derive(Debug)]
pub(super) struct Transaction {
    means: Means,
    /// What is said next. `None`: all of it was.
    next: Option<Line>,
    /// What was said, and is not answered.
    said: VecDeque<Line>,
    /// How many recipients were named.
    named: u32,
    /// Whether the server has shown that it listens.
    heard: Heard,
}

/// What is said of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Rset,
    Mail,
    /// RCPT for that one of the recipients.
    Rcpt(usize),
    /// DATA or BDAT.
    Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    Something,
}

impl Transaction {
    pub(super) const fn none() -> Self {
        Self { means: Means::Data, next: None, said: VecDeque::new(), named: 0, heard: Heard::Nothing }
    }

    /// Which command decides next.
    pub(super) fn stage(&self) -> Stage {
        match self.said.front().copied().or(self.next) {
            Some(Line::Rset | Line::Mail) => Stage::Mail,
            Some(Line::Rcpt(_)) => Stage::Rcpt,
            Some(Line::Message) | None => Stage::Data,
        }
    }

    /// Whether the server has not said a word to it.
    pub(super) fn is_unheard(&self) -> bool {
        self.heard == Heard::Nothing
    }

    pub(super) fn memory(&self) -> usize {
        self.said.capacity().saturating_mul(size_of::<Line>())
    }
}

impl Delivery {
    /// Begins with the message, if the server can take it: before anything of it is told.
    pub(super) fn begin_message(&mut self) {
        let offers = self.session.capabilities();
        match self.envelope.means(offers, self.session.is_under_tls(), self.policy.chunking) {
            Err(lack) => {
                self.trouble = lack.trouble();
                self.finish(&Outcome::Failed(Said { by: SaidBy::Us, stage: Stage::Mail, reply: lack.reply() }));
            }
            Ok(means) => {
                self.transaction.means = means;
                if !offers.extensions.rrvs {
                    self.refuse_rrvs();
                }
                self.begin_transaction();
            }
        }
    }

    fn refuse_rrvs(&mut self) {
        for (index, _) in self.envelope.recipients.iter().enumerate().filter(|(_, rcpt)| rcpt.needs_rrvs()) {
            self.trouble = Some(Trouble::Lacking);
            let said = Said { by: SaidBy::Us, stage: Stage::Rcpt, reply: NO_RRVS };
            self.fates.decide(index, Outcome::Failed(said));
        }
    }

    /// Begins a transaction for all that wait for one, or for as many of them as the server takes at a time.
    fn begin_transaction(&mut self) {
        if !self.fates.any_open() {
            self.phase = Phase::Finished;
            return;
        }
        if self.mails_are_spent() || self.transactions >= self.config.limits.transactions {
            self.trouble.get_or_insert(Trouble::Limits);
            let reply = NO_MORE_TRANSACTIONS;
            self.finish(&Outcome::Deferred(Said { by: SaidBy::Us, stage: Stage::Mail, reply }));
            return;
        }
        // RSET counts against a client in some servers, and before the first transaction there is nothing to forget.
        self.transaction.next = Some(if self.mails == 0 { Line::Mail } else { Line::Rset });
        self.transaction.named = 0;
        self.transaction.heard = Heard::Nothing;
        self.transactions = self.transactions.saturating_add(1);
        self.phase = Phase::Envelope;
    }

    /// RFC 9422 §4.1: whether the session has had all the transactions that it may have.
    pub(super) fn mails_are_spent(&self) -> bool {
        let limit = self.session.capabilities().extensions.limits.mail_max;
        limit.is_some_and(|limit| self.mails >= limit.value())
    }

    /// Sends as much of the envelope as the server takes without replying. DATA may go in the same group (RFC 2920 §3.1); BDAT
    /// could, but waits for the replies: the message may be long, and nobody there to get it.
    pub(super) fn send_envelope(&mut self, now: Duration, out: &mut BytesMut) -> Option<DeliveryEvent> {
        while let Some(line) = self.next_line() {
            if let (Line::Message, Means::Chunk(octets)) = (line, self.transaction.means) {
                return self.send_chunk(octets, now, out);
            }
            // What cannot be said now is said behind a reply; or never, if we leave.
            self.send_line(line, now, out).ok()?;
            self.transaction.said.push_back(line);
            self.transaction.next = match line {
                Line::Rset => Some(Line::Mail),
                Line::Mail => Some(self.next_recipient(0)),
                Line::Rcpt(index) => Some(self.next_recipient(index)),
                Line::Message => None,
            };
        }
        None
    }

    /// What is to be said next: no message where nobody can get it.
    fn next_line(&self) -> Option<Line> {
        self.transaction.next.filter(|line| *line != Line::Message || self.fates.any_hope())
    }

    fn send_line(&mut self, line: Line, now: Duration, out: &mut BytesMut) -> Result<(), SendError> {
        match line {
            Line::Rset => {
                self.session.send(&Command::Rset, now, out)?;
            }
            Line::Mail => {
                let parameters = self.envelope.parameters(self.session.capabilities(), self.session.is_under_tls());
                let from = self.envelope.mail.from.borrowed();
                self.session.send(&Command::Mail { from, parameters }, now, out)?;
                self.mails = self.mails.saturating_add(1);
            }
            Line::Rcpt(index) => {
                let rcpt = self.envelope.recipients.get(index).ok_or(SendError::NotNow)?;
                let orcpt = rcpt.orcpt_in_ascii();
                let parameters = rcpt.said(orcpt.as_ref(), self.session.capabilities());
                self.session.send(&Command::Rcpt { to: rcpt.to.borrowed(), parameters }, now, out)?;
                self.transaction.named = self.transaction.named.saturating_add(1);
                self.fates.offer(index);
            }
            Line::Message => {
                self.session.send(&Command::Data, now, out)?;
            }
        }
        Ok(())
    }

    fn send_chunk(&mut self, octets: u64, now: Duration, out: &mut BytesMut) -> Option<DeliveryEvent> {
        if !self.transaction.said.is_empty() {
            return None;
        }
        self.session.send(&Command::Bdat(Chunk { octets, last: true }), now, out).ok()?;
        self.transaction.next = None;
        if octets == 0 {
            self.phase = Phase::Verdict(0);
            return None;
        }
        self.phase = Phase::Body;
        Some(DeliveryEvent::Body)
    }

    /// The next recipient of this transaction; the message, where it has no more.
    fn next_recipient(&mut self, from: usize) -> Line {
        let limit = self.session.capabilities().extensions.limits.rcpt_max;
        if limit.is_some_and(|limit| self.transaction.named >= limit.value()) {
            return Line::Message;
        }
        let mut from = from;
        while let Some(index) = self.fates.next_open(from) {
            if self.admits_domain(index) {
                return Line::Rcpt(index);
            }
            self.trouble.get_or_insert(Trouble::Limits);
            let said = Said { by: SaidBy::Us, stage: Stage::Rcpt, reply: NO_MORE_DOMAINS };
            self.fates.decide(index, Outcome::Deferred(said));
            from = index;
        }
        Line::Message
    }

    /// RFC 9422 §4.3: whether the session may name the recipient's domain, since it has before or has not named too many.
    fn admits_domain(&mut self, index: usize) -> bool {
        let limit = self.session.capabilities().extensions.limits.rcpt_domain_max;
        let mailbox = self.envelope.recipients.get(index).and_then(|rcpt| rcpt.to.mailbox());
        let (Some(limit), Some(mailbox)) = (limit, mailbox) else { return true };
        let name = mailbox.domain().as_str().to_ascii_lowercase();
        if self.domains.contains(name.as_str()) {
            return true;
        }
        let is_free = self.domains.len() < usize::try_from(limit.value()).unwrap_or(usize::MAX);
        is_free && self.domains.insert(name.into())
    }

    /// Takes the reply to what was said first. `Some` where the driver must act.
    pub(super) fn envelope_reply(&mut self, reply: Reply, now: Duration, out: &mut BytesMut) -> Option<DeliveryEvent> {
        let line = self.transaction.said.pop_front()?;
        self.transaction.heard = Heard::Something;
        match (line, reply.class()) {
            (Line::Rset | Line::Mail, Class::Success) => {}
            (Line::Rset, _) => {
                // Whatever it still holds of the message before must not get to these recipients, or theirs to those.
                self.trouble = Some(Trouble::Stale);
                let said = Said { by: SaidBy::Server, stage: Stage::Mail, reply: self.kept(reply) };
                self.refuse_transaction(&Outcome::Deferred(said));
            }
            (Line::Mail, _) => self.refuse_transaction(&self.refused(Stage::Mail, reply)),
            (Line::Rcpt(index), Class::Success) => self.fates.accept(index),
            (Line::Rcpt(index), _) => {
                let said = Said { by: SaidBy::Server, stage: Stage::Rcpt, reply: self.kept(reply) };
                self.fates.refuse(index, said);
            }
            (Line::Message, Class::Intermediate) if self.fates.any_accepted() => {
                self.phase = Phase::Body;
                return Some(DeliveryEvent::Body);
            }
            // It has refused the sender, or kept what RSET was to take away, and yet has somebody: an empty message would be his.
            (Line::Message, Class::Intermediate) if self.session.has_recipients() => {
                self.session.fail(Violation::BadReply);
                return None;
            }
            (Line::Message, Class::Intermediate) => {
                self.end_unwanted(now, out);
                return None;
            }
            (Line::Message, _) => {
                let refused = self.refused(Stage::Data, reply);
                self.fates.decide_accepted(&refused);
            }
        }
        if self.transaction.said.is_empty() && self.next_line().is_none() {
            self.end_transaction();
        }
        None
    }

    /// What is refused speaks for all recipients that are left. Replies to what was said to them are still to come.
    fn refuse_transaction(&mut self, outcome: &Outcome) {
        self.fates.decide_rest(outcome);
        self.transaction.next = None;
    }

    /// RFC 2920 §3.1: the server wants a message that nobody is to get. It gets an empty one, which ends at once.
    fn end_unwanted(&mut self, now: Duration, out: &mut BytesMut) {
        // The message was asked for, so that nothing stands against its end.
        let _ = self.session.end_body(now, out);
        if self.session.owes_reply() {
            self.phase = Phase::LoneDot;
        } else {
            self.end_transaction();
        }
    }

    /// RFC 2033 §4.2: a reply for each accepted recipient, in their order, of which `from` is the next. In SMTP one for all.
    pub(super) fn verdict(&mut self, from: usize, reply: Reply) {
        let outcome = match reply.class() {
            Class::Success => {
                Outcome::Accepted(Said { by: SaidBy::Server, stage: Stage::Verdict, reply: self.kept(reply) })
            }
            Class::Intermediate | Class::Transient | Class::Permanent => self.refused(Stage::Verdict, reply),
        };
        match self.config.protocol {
            Protocol::Smtp => self.fates.decide_accepted(&outcome),
            Protocol::Lmtp => self.phase = Phase::Verdict(self.fates.decide_next_accepted(from, outcome)),
        }
        if !self.session.owes_reply() {
            self.end_transaction();
        }
    }

    /// All is said and answered.
    pub(super) fn end_transaction(&mut self) {
        self.turn = Turn::Later;
        self.fates.settle();
        self.begin_transaction();
    }
}
