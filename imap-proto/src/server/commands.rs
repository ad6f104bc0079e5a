//! What each command leads to: an answer, a question, or a violation.

use alloc::borrow::Cow;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};

use super::telling::Telling;
use super::{Idling, KEEPALIVE_MIN, Missing, ServerSession, Stage, Told, Turn, What};
use crate::command::Place;
use crate::list::write_separator;
use crate::mailbox::{decode_mutf7, decode_name};
use crate::view::Expunges;
use crate::write::{string, text};
use crate::{
    Access, Addressing, Argument, Close, Code, Command, Copy, Deadline, Event, Fetch, FetchItem, List, ListPattern,
    Messages, NameError, PlaintextLogin, Reply, SearchKey, Secret, SequenceSet, StartTls, StatusItem, Store, UidSet,
    Verb, Violation, Waiting, WireKey,
};

/// What became of a command: an event to tell, nothing to tell, or a violation to answer.
type Done = Result<Option<Event>, Violation>;

type IdFields<'a> = Vec<(Argument<'a>, Option<Argument<'a>>)>;

/// Which of two commands with the same grammar.
#[derive(Clone, Copy)]
enum Listing {
    List,
    Lsub,
}

/// Different items of one FETCH. No client asks for more; each costs a look at every message.
const FETCH_ITEMS_MAX: usize = 256;

/// RFC 2971 §3.3: an ID has at most 30 fields.
const ID_FIELDS_MAX: usize = 30;

impl ServerSession {
    /// Takes one command. `None`: answered, and nothing to tell.
    pub(super) fn command(
        &mut self,
        line: &[u8],
        now: Duration,
        input: &BytesMut,
        out: &mut BytesMut,
    ) -> Option<Event> {
        self.asked_at = now;
        let taken = self.parse(line).and_then(|Command { tag, verb }| {
            if self.has_place_for(&verb) { self.take(tag, verb, now, input, out) } else { Err(Violation::Sequence) }
        });
        taken.unwrap_or_else(|violation| {
            let tag = Command::tag_of(line, self.config.limits.tag);
            Some(self.violate(tag, violation, now, out))
        })
    }

    const fn has_place_for(&self, verb: &Verb<'_>) -> bool {
        match (verb.place(), &self.stage) {
            (Place::Anywhere, _)
            | (Place::BeforeLogin, Stage::NotAuthenticated)
            | (Place::AfterLogin, Stage::Authenticated | Stage::Selected(_))
            | (Place::WithMailbox, Stage::Selected(_)) => true,
            (Place::BeforeLogin, Stage::Authenticated | Stage::Selected(_))
            | (Place::AfterLogin, Stage::NotAuthenticated)
            | (Place::WithMailbox, Stage::NotAuthenticated | Stage::Authenticated) => false,
        }
    }

    fn take(&mut self, tag: &str, verb: Verb<'_>, now: Duration, input: &BytesMut, out: &mut BytesMut) -> Done {
        match verb {
            // With its message announced it does not come here; without, it is not complete.
            Verb::Append(_) => Err(Violation::Sequence),
            Verb::Authenticate { mechanism, initial } => self.authenticate(tag, mechanism, initial, now),
            Verb::Capability => {
                text(out, format_args!("* CAPABILITY {}\r\n", self.capabilities()));
                self.end(tag, Reply::ok("CAPABILITY completed"), now, out)
            }
            Verb::Check => self.ask_plainly(tag, "CHECK", Event::Poll, now),
            Verb::Close => {
                let expunge = self.access() == Access::ReadWrite;
                self.ask_about(tag, "CLOSE", Addressing::Sequence, What::Close, Event::Close { expunge }, now)
            }
            Verb::Copy(by, set, to) => {
                let event = Event::Copy(self.copy(by, &set, &to)?);
                self.ask_about(tag, "COPY", by, What::Plain, event, now)
            }
            Verb::Create(mailbox) => {
                let event = Event::Create(self.name_to_create(&mailbox)?);
                self.ask_plainly(tag, "CREATE", event, now)
            }
            Verb::Delete(mailbox) => self.ask_plainly(tag, "DELETE", Event::Delete(self.name(&mailbox)?), now),
            Verb::Examine(mailbox) => self.open(tag, "EXAMINE", &mailbox, Access::ReadOnly, now),
            Verb::Expunge(_) if self.access() == Access::ReadOnly => self.read_only(tag, now, out),
            Verb::Expunge(set) => self.expunge(tag, set, now),
            Verb::Fetch(by, set, items) => self.fetch(tag, by, &set, items, now, out),
            Verb::Id(fields) => self.id(tag, fields, now, out),
            Verb::Idle => Ok(Some(self.idle(tag, now, out))),
            Verb::List { reference, pattern } => self.list(Listing::List, tag, &reference, &pattern, now, out),
            Verb::Login { user, password } => self.login(tag, &user, password, now),
            Verb::Logout => {
                Reply::ok("logging out").write_bye(out);
                Reply::ok("LOGOUT completed").write(tag, out);
                self.turn = Turn::Closed(Close::Quit);
                Ok(Some(Event::Logout))
            }
            Verb::Lsub { reference, pattern } => self.list(Listing::Lsub, tag, &reference, &pattern, now, out),
            Verb::Move(..) if self.access() == Access::ReadOnly => self.read_only(tag, now, out),
            Verb::Move(by, set, to) => {
                let event = Event::Move(self.copy(by, &set, &to)?);
                self.ask_about(tag, "MOVE", by, What::Move, event, now)
            }
            Verb::Namespace => {
                self.write_namespaces(out);
                self.end(tag, Reply::ok("NAMESPACE completed"), now, out)
            }
            Verb::Noop => match self.stage {
                Stage::Selected(_) => self.ask_plainly(tag, "NOOP", Event::Poll, now),
                Stage::NotAuthenticated | Stage::Authenticated => self.end(tag, Reply::ok("NOOP completed"), now, out),
            },
            Verb::Rename { from, to } => {
                let event = Event::Rename { from: self.name(&from)?, to: self.name(&to)? };
                self.ask_plainly(tag, "RENAME", event, now)
            }
            Verb::Search { by, charset, key } => self.search(tag, by, charset, key, now, out),
            Verb::Select(mailbox) => self.open(tag, "SELECT", &mailbox, Access::ReadWrite, now),
            Verb::StartTls => self.start_tls(tag, now, input, out),
            Verb::Status(mailbox, items) => self.ask_status(tag, &mailbox, items, now),
            Verb::Store { .. } if self.access() == Access::ReadOnly => self.read_only(tag, now, out),
            Verb::Store { by, set, change, echo } => {
                let event = Event::Store(Store { uids: self.messages(by, &set)?.0, change, echo });
                self.ask_about(tag, "STORE", by, What::Store(Telling::new(by)), event, now)
            }
            Verb::Subscribe(mailbox) => self.ask_plainly(tag, "SUBSCRIBE", Event::Subscribe(self.name(&mailbox)?), now),
            Verb::Unselect => {
                let event = Event::Close { expunge: false };
                self.ask_about(tag, "UNSELECT", Addressing::Sequence, What::Close, event, now)
            }
            Verb::Unsubscribe(mailbox) => {
                self.ask_plainly(tag, "UNSUBSCRIBE", Event::Unsubscribe(self.name(&mailbox)?), now)
            }
        }
    }

    fn login(&mut self, tag: &str, user: &[u8], password: Argument<'_>, now: Duration) -> Done {
        if !self.plaintext_allowed() {
            return Err(Violation::PlaintextLogin);
        }
        let user = core::str::from_utf8(user).map_err(|_| Violation::Text)?.to_string();
        let event = Event::Login { user, password: Secret::new(password.into_owned()) };
        self.ask_about(tag, "LOGIN", Addressing::Sequence, What::Login, event, now)
    }

    fn authenticate(&mut self, tag: &str, mechanism: &str, initial: Option<&str>, now: Duration) -> Done {
        let mechanism = self.mechanism(mechanism)?;
        let initial = match initial {
            None => None,
            // RFC 4959 §3: one `=` is a response without octets.
            Some("=") => Some(Secret::new(Vec::new())),
            Some(base64) => Some(Secret::new(STANDARD.decode(base64).map_err(|_| Violation::Base64)?)),
        };
        let event = Event::Authenticate { mechanism, initial };
        self.ask_about(tag, "AUTHENTICATE", Addressing::Sequence, What::Sasl, event, now)
    }

    fn id(&mut self, tag: &str, fields: IdFields<'_>, now: Duration, out: &mut BytesMut) -> Done {
        self.write_id(out);
        self.end(tag, Reply::ok("ID completed"), now, out)?;
        let fields = fields.into_iter().take(ID_FIELDS_MAX);
        Ok(Some(Event::Id(fields.map(|(name, value)| (lossy(&name), value.as_deref().map(lossy))).collect())))
    }

    fn idle(&mut self, tag: &str, now: Duration, out: &mut BytesMut) -> Event {
        out.put_slice(b"+ idling\r\n");
        let keepalive = now.saturating_add(self.config.timeouts.keepalive.max(KEEPALIVE_MIN));
        self.turn = Turn::Idle(Idling { tag: tag.into(), keepalive });
        let at = now.saturating_add(self.config.timeouts.command);
        self.deadline = Deadline { at, waiting_for: Waiting::Done };
        Event::Idle
    }

    fn expunge(&mut self, tag: &str, set: Option<SequenceSet>, now: Duration) -> Done {
        let by = if set.is_some() { Addressing::Uid } else { Addressing::Sequence };
        let uids = match set {
            Some(set) => Some(self.messages(by, &set)?.0),
            None => None,
        };
        self.ask_about(tag, "EXPUNGE", by, What::Plain, Event::Expunge { uids }, now)
    }

    fn open(&mut self, tag: &str, command: &'static str, mailbox: &[u8], access: Access, now: Duration) -> Done {
        let mailbox = self.name(mailbox)?;
        // RFC 3501 §6.3.1: what was selected is not any more, even if this fails.
        self.stage = Stage::Authenticated;
        let event = Event::Select { mailbox, access };
        self.ask_about(tag, command, Addressing::Sequence, What::Select(access), event, now)
    }

    fn ask_status(&mut self, tag: &str, mailbox: &[u8], items: Vec<StatusItem>, now: Duration) -> Done {
        let mut wanted: Vec<StatusItem> = Vec::new();
        for item in items {
            if !wanted.contains(&item) {
                wanted.push(item);
            }
        }
        let mailbox = self.name(mailbox)?;
        let what = What::Status { mailbox: mailbox.as_str().into(), items: wanted.clone(), told: Told::Not };
        let event = Event::Status { mailbox, items: wanted };
        self.ask_about(tag, "STATUS", Addressing::Sequence, what, event, now)
    }

    fn fetch(
        &mut self,
        tag: &str,
        by: Addressing,
        set: &SequenceSet,
        items: Vec<FetchItem>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Done {
        let (uids, missing) = self.messages(by, set)?;
        let uid = if items.contains(&FetchItem::Uid) { Addressing::Uid } else { by };
        let mut wanted: Vec<FetchItem> = Vec::new();
        for item in items.into_iter().filter(|item| *item != FetchItem::Uid) {
            if !wanted.contains(&item) {
                if wanted.len() == FETCH_ITEMS_MAX {
                    let reply = Reply::no("too many different items").with_code(Code::Limit);
                    return self.end(tag, reply, now, out);
                }
                wanted.push(item);
            }
        }
        let what = What::Fetch { telling: Telling::new(uid), missing };
        let event = Event::Fetch(Fetch { uids, items: wanted });
        self.ask_about(tag, "FETCH", by, what, event, now)
    }

    /// The messages that a set names, without those that are known to be gone.
    fn messages(&self, by: Addressing, set: &SequenceSet) -> Result<(UidSet, Missing), Violation> {
        let Stage::Selected(view) = &self.stage else { return Err(Violation::Sequence) };
        let mut uids = match by {
            Addressing::Sequence => view.by_number(set)?,
            Addressing::Uid => view.by_uid(set),
        };
        let missing = match by {
            Addressing::Sequence if view.without_gone(&mut uids) => Missing::Some,
            Addressing::Sequence => Missing::None,
            // A UID that does not exist is no error (RFC 3501 §6.4.8).
            Addressing::Uid => {
                view.without_gone(&mut uids);
                Missing::None
            }
        };
        Ok((uids, missing))
    }

    fn copy(&self, by: Addressing, set: &SequenceSet, to: &[u8]) -> Result<Copy, Violation> {
        let (uids, _) = self.messages(by, set)?;
        Ok(Copy { uids, mailbox: self.name(to)?, by })
    }

    fn search(
        &mut self,
        tag: &str,
        by: Addressing,
        charset: Option<Argument<'_>>,
        key: WireKey<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Done {
        let Stage::Selected(view) = &self.stage else { return Err(Violation::Sequence) };
        let known = |name: &[u8]| name.eq_ignore_ascii_case(b"UTF-8") || name.eq_ignore_ascii_case(b"US-ASCII");
        if charset.is_some_and(|name| !known(&name)) {
            return self.end(tag, Reply::no("unknown charset").with_code(Code::BadCharset), now, out);
        }
        let key: SearchKey = key.translate(
            &mut |messages| match messages {
                Messages::Sequence(set) => view.by_number(&set),
                Messages::Uid(set) => Ok(view.by_uid(&set)),
                Messages::Recent => Ok(view.recent().clone()),
            },
            &mut |octets: Cow<'_, [u8]>| String::from_utf8(octets.into_owned()).map_err(|_| Violation::Text),
        )?;
        self.ask_about(tag, "SEARCH", by, What::Search(Told::Not), Event::Search { key }, now)
    }

    fn list(
        &mut self,
        listing: Listing,
        tag: &str,
        reference: &[u8],
        pattern: &[u8],
        now: Duration,
        out: &mut BytesMut,
    ) -> Done {
        let decode = |wire| decode_mutf7(wire).map_err(Violation::MailboxName);
        let (reference, pattern) = (decode(reference)?, decode(pattern)?);
        let (separator, limit) = (self.config.separator, self.config.limits.mailbox_name);
        let (command, completed) = match listing {
            Listing::List => ("LIST", "LIST completed"),
            Listing::Lsub => ("LSUB", "LSUB completed"),
        };
        if pattern.is_empty() {
            // RFC 3501 §6.3.8: a question for the separator and the root, and for no mailbox.
            text(out, format_args!("* {command} (\\Noselect) "));
            write_separator(out, separator);
            out.put_slice(b" \"\"\r\n");
            return self.end(tag, Reply::ok(completed), now, out);
        }
        let whole = if pattern.starts_with(separator) { pattern } else { reference + &pattern };
        if whole.len() > limit {
            return Err(Violation::MailboxName(NameError::TooLong));
        }
        let list = List { patterns: vec![ListPattern::new(&whole, separator)] };
        let event = match listing {
            Listing::List => Event::List(list),
            Listing::Lsub => Event::Lsub(list),
        };
        self.ask_about(tag, command, Addressing::Sequence, What::List, event, now)
    }

    fn start_tls(&mut self, tag: &str, now: Duration, input: &BytesMut, out: &mut BytesMut) -> Done {
        if self.link.tls.is_some() {
            return Err(Violation::Sequence);
        }
        if self.config.start_tls == StartTls::Off {
            return Err(Violation::NotOffered);
        }
        if !input.is_empty() {
            return Err(Violation::PipelinedTls);
        }
        Reply::ok("begin TLS").write(tag, out);
        self.turn = Turn::Switching;
        self.deadline = Deadline { at: now.saturating_add(self.config.timeouts.tls), waiting_for: Waiting::Tls };
        Ok(None)
    }

    /// The mechanism as the configuration spells it.
    fn mechanism(&self, name: &str) -> Result<String, Violation> {
        let offered = |list: &[String]| list.iter().find(|known| known.eq_ignore_ascii_case(name)).cloned();
        offered(self.mechanisms()).ok_or_else(|| match offered(&self.config.mechanisms) {
            Some(_) => Violation::PlaintextLogin,
            None => Violation::Mechanism,
        })
    }

    fn mechanisms(&self) -> &[String] {
        if self.plaintext_allowed() { &self.config.mechanisms } else { &self.config.mechanisms_before_tls }
    }

    fn plaintext_allowed(&self) -> bool {
        self.link.tls.is_some() || self.config.plaintext_login == PlaintextLogin::Always
    }

    /// What CAPABILITY tells now. Before login, only what is of use there.
    pub(super) fn capabilities(&self) -> String {
        let literals = self.config.literals.as_str();
        let mut words = alloc::format!("IMAP4rev1 {literals} SASL-IR ID");
        match &self.stage {
            Stage::NotAuthenticated => {
                if self.config.start_tls == StartTls::Offered && self.link.tls.is_none() {
                    words.push_str(" STARTTLS");
                }
                if !self.plaintext_allowed() {
                    words.push_str(" LOGINDISABLED");
                }
                for mechanism in self.mechanisms() {
                    words.push_str(" AUTH=");
                    words.push_str(mechanism);
                }
            }
            Stage::Authenticated | Stage::Selected(_) => {
                words.push_str(" CHILDREN IDLE MOVE NAMESPACE SPECIAL-USE UIDPLUS UNSELECT");
            }
        }
        words
    }

    /// RFC 2971 §3.2
    fn write_id(&self, out: &mut BytesMut) {
        out.put_slice(b"* ID ");
        let mut before = &b"("[..];
        for octets in self.config.id.iter().flat_map(|(name, value)| [name, value]) {
            out.put_slice(before);
            string(out, octets.as_bytes());
            before = b" ";
        }
        out.put_slice(if self.config.id.is_empty() { b"NIL\r\n" } else { b")\r\n" });
    }

    /// RFC 2342 §5
    fn write_namespaces(&self, out: &mut BytesMut) {
        out.put_slice(b"* NAMESPACE");
        let namespaces = &self.config.namespaces;
        for prefixes in [&namespaces.personal, &namespaces.other_users, &namespaces.shared] {
            let mut before = &b" ("[..];
            for prefix in prefixes {
                out.put_slice(before);
                out.put_u8(b'(');
                string(out, crate::encode_mutf7(prefix).as_bytes());
                out.put_u8(b' ');
                write_separator(out, self.config.separator);
                out.put_u8(b')');
                before = b"";
            }
            out.put_slice(if prefixes.is_empty() { b" NIL" } else { b")" });
        }
        out.put_slice(b"\r\n");
    }

    fn name(&self, wire: &[u8]) -> Result<String, Violation> {
        let limit = self.config.limits.mailbox_name;
        decode_name(wire, self.config.separator, limit).map_err(Violation::MailboxName)
    }

    /// RFC 3501 §6.3.3: a separator at the end says that children will follow. The name is without it.
    fn name_to_create(&self, wire: &[u8]) -> Result<String, Violation> {
        let mut name = self.name(wire)?;
        if name.chars().count() > 1 && name.ends_with(self.config.separator) {
            name.pop();
        }
        Ok(name)
    }

    fn access(&self) -> Access {
        match &self.stage {
            Stage::NotAuthenticated | Stage::Authenticated => Access::ReadOnly,
            Stage::Selected(view) => view.access(),
        }
    }

    fn ask_plainly(&mut self, tag: &str, command: &'static str, event: Event, now: Duration) -> Done {
        self.ask_about(tag, command, Addressing::Sequence, What::Plain, event, now)
    }

    fn ask_about(
        &mut self,
        tag: &str,
        command: &'static str,
        by: Addressing,
        what: What,
        event: Event,
        now: Duration,
    ) -> Done {
        Ok(Some(self.ask(tag, command, by, what, event, now)))
    }

    fn read_only(&mut self, tag: &str, now: Duration, out: &mut BytesMut) -> Done {
        self.end(tag, Reply::no("the mailbox is read-only"), now, out)
    }

    /// Ends a command that the engine answers by itself.
    fn end(&mut self, tag: &str, reply: Reply, now: Duration, out: &mut BytesMut) -> Done {
        self.complete(tag.into(), Addressing::Sequence, reply, Expunges::Told, now, out);
        Ok(None)
    }
}

fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
