//! FETCH, and the telling of flags.

use std::collections::BTreeMap;

use bytes::Bytes;
use imap_proto::{Access, BodyItem, Code, Detail, Fetch, FetchItem, Rendered, Reply, Seen, UidSet};
use mailstore::error::{FlagsError, MailboxError, ReadError};
use mailstore::{Account, FlagChange, Mailbox, SystemFlag, Touched};

use super::budget::Budget;
use super::facts::Fact;
use super::mail::{Header, Mail};
use super::section::{self, Sent};
use super::select::Open;
use super::{Conn, User, accept, structure};
use crate::convert::imap as convert;
use crate::net::Fault;

/// Messages that are asked of the store together. What it says of them is held until they are told.
const BATCH: usize = 100;

/// Octets that are rendered before the store is asked to keep them.
const MADE_MAX: usize = 1024 * 1024;

/// Under which names the store keeps what was rendered. The number changes when what is rendered does.
const ENVELOPE: &str = "imap.envelope.1";
const BODY: &str = "imap.body.1";
const STRUCTURE: &str = "imap.bodystructure.1";

/// How much of what was asked for could be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    #[default]
    Whole,
    /// Some messages are gone.
    Gone,
    /// Some messages could not be read.
    Trouble,
    /// The session ended within a literal.
    BrokenOff,
}

/// What the store said of some messages.
struct Batch {
    present: BTreeMap<u32, Touched>,
    /// Their flags were changed by this very FETCH.
    seen: Vec<u32>,
    rendered: BTreeMap<(&'static str, u32), Bytes>,
    /// What was rendered anew, for the store to keep.
    made: Vec<(&'static str, u32, Bytes)>,
}

impl<A: Account> User<A> {
    pub(super) async fn fetch(&mut self, conn: &mut Conn, fetch: &Fetch) -> Result<(), Fault> {
        let Some(open) = &mut self.selected else { return accept(conn) };
        let mut outcome = Outcome::Whole;
        for uids in batches(&fetch.uids) {
            let mut batch = match open.ask(&fetch.items, &uids).await {
                Ok(batch) => batch,
                Err(error) => return self.end(conn, Some(convert::mailbox_refusal(&error))).await,
            };
            for uid in uids {
                let told = open.tell(conn, &self.budget, &mut batch, uid, &fetch.items).await?;
                if told == Outcome::BrokenOff {
                    return Ok(());
                }
                outcome = outcome.max(told);
                let held: usize = batch.made.iter().map(|(.., octets)| octets.len()).sum();
                if held > MADE_MAX {
                    open.keep(std::mem::take(&mut batch.made)).await;
                }
                tokio::task::consume_budget().await;
            }
            open.keep(batch.made).await;
        }
        let reply = match outcome {
            Outcome::Whole | Outcome::BrokenOff => None,
            // RFC 5530 §3: the client may want to hear of it.
            Outcome::Gone => Some(Reply::ok("FETCH completed").with_code(Code::ExpungeIssued)),
            Outcome::Trouble => Some(Reply::no("some messages cannot be read now").with_code(Code::Unavailable)),
        };
        self.end(conn, reply).await
    }

    /// Tells the flags that messages have now, as the engine asked for.
    pub(super) async fn tell(&mut self, conn: &mut Conn, uids: &UidSet) -> Result<(), Fault> {
        if let Some(open) = &self.selected
            && let Err(error) = open.tell_flags(conn, uids).await?
        {
            tracing::warn!(service = convert::NAME, %error, "flags are not known now");
        }
        Ok(conn.speak(|engine, now, out| engine.accept(now, out))?)
    }
}

impl<M: Mailbox> Open<M> {
    /// Tells the flags that messages have now; those that are gone are passed over.
    pub(super) async fn tell_flags(&self, conn: &mut Conn, uids: &UidSet) -> Result<Result<(), MailboxError>, Fault> {
        for uids in batches(uids) {
            let present = match self.mailbox.flags(&convert::ranges_of(&uids)).await {
                Ok(present) => present,
                Err(error) => return Ok(Err(error)),
            };
            for touched in present {
                conn.speak(|engine, _, out| {
                    // Others may have been told meanwhile that it is gone; it is no message of this client's then.
                    if engine.fetch_begin(touched.uid, out).is_ok() {
                        engine.fetch_flags(&convert::told_flags(&touched.flags), out)?;
                        engine.fetch_end(out)?;
                    }
                    Ok::<_, imap_proto::Misuse>(())
                })?;
            }
            conn.drain().await?;
        }
        Ok(Ok(()))
    }

    /// Asks the store what FETCH needs to know of some messages, and marks them as seen where it must.
    async fn ask(&mut self, items: &[FetchItem], uids: &[u32]) -> Result<Batch, MailboxError> {
        let ranges = convert::ranges_of(uids);
        let mut seen = Vec::new();
        if self.access == Access::ReadWrite && items.iter().any(sets_seen) {
            match self.mailbox.store_flags(&ranges, &FlagChange::add(SystemFlag::Seen)).await {
                Ok(stored) => {
                    self.remember(&stored.changed);
                    seen = stored.changed.iter().map(|touched| touched.uid).collect();
                }
                Err(FlagsError::Gone) => return Err(MailboxError::Gone),
                // They can be read all the same.
                Err(error) => tracing::warn!(service = convert::NAME, %error, "messages are not marked as seen"),
            }
        }
        if items.iter().any(needs_facts) {
            self.facts.load(&self.mailbox, uids).await?;
        }
        let present = self.mailbox.flags(&ranges).await?.into_iter().map(|touched| (touched.uid, touched)).collect();
        let mut rendered = BTreeMap::new();
        for item in items {
            if let Some(kind) = rendered_kind(item) {
                let known = self.mailbox.derived(kind, &ranges).await;
                rendered.extend(known.into_iter().map(|(uid, octets)| ((kind, uid), octets)));
            }
        }
        Ok(Batch { present, seen, rendered, made: Vec::new() })
    }

    /// Tells one message.
    async fn tell(
        &mut self,
        conn: &mut Conn,
        budget: &Budget,
        batch: &mut Batch,
        uid: u32,
        items: &[FetchItem],
    ) -> Result<Outcome, Fault> {
        let fact = match (items.iter().any(needs_facts), self.facts.get(uid)) {
            (true, None) => return Ok(Outcome::Gone),
            (true, Some(fact)) => fact,
            (false, _) => Fact { uid, size: 0, internal_date: 0 },
        };
        let Some(Touched { flags, .. }) = batch.present.get(&uid) else { return Ok(Outcome::Gone) };
        let flags = convert::told_flags(flags);
        if conn.speak(|engine, _, out| engine.fetch_begin(uid, out)).is_err() {
            return Ok(Outcome::Gone);
        }
        let mut outcome = Outcome::Whole;
        let mut header = None;
        for item in items {
            let told = match item {
                // The engine tells it.
                FetchItem::Uid => Outcome::Whole,
                FetchItem::Flags => {
                    conn.speak(|engine, _, out| engine.fetch_flags(&flags, out))?;
                    Outcome::Whole
                }
                FetchItem::InternalDate => {
                    if let Some(date) = convert::internal_date(fact.internal_date) {
                        conn.speak(|engine, _, out| engine.fetch_internal_date(date, out))?;
                    }
                    Outcome::Whole
                }
                FetchItem::Size => {
                    conn.speak(|engine, _, out| engine.fetch_size(fact.size, out))?;
                    Outcome::Whole
                }
                FetchItem::Envelope => self.rendered(conn, budget, batch, fact, Rendered::Envelope).await?,
                FetchItem::Structure(detail) => {
                    self.rendered(conn, budget, batch, fact, Rendered::Structure(*detail)).await?
                }
                FetchItem::Body(item) => self.body(conn, budget, fact, &mut header, item).await?,
            };
            outcome = outcome.max(told);
            if outcome == Outcome::BrokenOff {
                return Ok(outcome);
            }
            conn.drain().await?;
        }
        // RFC 3501 §6.4.5: flags that FETCH itself changed are told with it.
        if batch.seen.binary_search(&uid).is_ok() && !items.contains(&FetchItem::Flags) {
            conn.speak(|engine, _, out| engine.fetch_flags(&flags, out))?;
        }
        conn.speak(|engine, _, out| engine.fetch_end(out))?;
        Ok(outcome)
    }

    /// Tells octets of the message.
    async fn body(
        &mut self,
        conn: &mut Conn,
        budget: &Budget,
        fact: Fact,
        header: &mut Option<Header>,
        item: &BodyItem,
    ) -> Result<Outcome, Fault> {
        let mail = Mail { mailbox: &self.mailbox, budget, uid: fact.uid, size: fact.size };
        match section::find(&mail, header, &mut self.kept, item).await {
            Ok(wanted) => match section::send(conn, wanted, item).await? {
                Sent::Whole => Ok(Outcome::Whole),
                Sent::BrokenOff => Ok(Outcome::BrokenOff),
            },
            Err(error) => {
                conn.speak(|engine, _, out| engine.fetch_nil(item, out))?;
                Ok(unread(&error))
            }
        }
    }

    /// Tells what is rendered once and kept.
    async fn rendered(
        &mut self,
        conn: &mut Conn,
        budget: &Budget,
        batch: &mut Batch,
        fact: Fact,
        what: Rendered,
    ) -> Result<Outcome, Fault> {
        let kind = kind_of(what);
        if let Some(octets) = batch.rendered.get(&(kind, fact.uid)) {
            // What is damaged is made anew.
            if conn.speak(|engine, _, out| engine.fetch_rendered(what, octets, out)).is_ok() {
                return Ok(Outcome::Whole);
            }
        }
        let octets = match self.render(budget, fact, what).await {
            Ok(octets) => octets,
            // There is no word for it but to leave it out, and to say so at the end.
            Err(error) => return Ok(unread(&error)),
        };
        conn.speak(|engine, _, out| engine.fetch_rendered(what, &octets, out))?;
        batch.made.push((kind, fact.uid, octets));
        Ok(Outcome::Whole)
    }

    async fn render(&mut self, budget: &Budget, fact: Fact, what: Rendered) -> Result<Bytes, ReadError> {
        let mail = Mail { mailbox: &self.mailbox, budget, uid: fact.uid, size: fact.size };
        match what {
            Rendered::Envelope => Ok(structure::envelope(&mail.header(0..mail.size).await?.octets)),
            Rendered::Structure(detail) => {
                let (tree, _held) = mail.tree().await?;
                let octets = structure::structure(&tree, detail);
                self.kept = Some((fact.uid, tree.without_fields().into()));
                Ok(octets)
            }
        }
    }

    async fn keep(&self, made: Vec<(&'static str, u32, Bytes)>) {
        for kind in [ENVELOPE, BODY, STRUCTURE] {
            let of_kind = made.iter().filter(|(known, ..)| *known == kind);
            let items: Vec<_> = of_kind.map(|(_, uid, octets)| (*uid, octets.clone())).collect();
            if !items.is_empty() {
                self.mailbox.put_derived(kind, items).await;
            }
        }
    }
}

/// The set in pieces, ascending.
pub(super) fn batches(uids: &UidSet) -> impl Iterator<Item = Vec<u32>> {
    let mut rest = uids.iter();
    std::iter::from_fn(move || {
        let batch: Vec<u32> = rest.by_ref().take(BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    })
}

fn unread(error: &ReadError) -> Outcome {
    match error {
        ReadError::Gone => Outcome::Gone,
        ReadError::Trouble(error) => {
            tracing::error!(service = convert::NAME, %error, "a message cannot be read");
            Outcome::Trouble
        }
    }
}

const fn kind_of(what: Rendered) -> &'static str {
    match what {
        Rendered::Envelope => ENVELOPE,
        Rendered::Structure(Detail::Basic) => BODY,
        Rendered::Structure(Detail::Extended) => STRUCTURE,
    }
}

const fn rendered_kind(item: &FetchItem) -> Option<&'static str> {
    match item {
        FetchItem::Envelope => Some(kind_of(Rendered::Envelope)),
        FetchItem::Structure(detail) => Some(kind_of(Rendered::Structure(*detail))),
        FetchItem::Uid | FetchItem::Flags | FetchItem::InternalDate | FetchItem::Size | FetchItem::Body(_) => None,
    }
}

fn sets_seen(item: &FetchItem) -> bool {
    match item {
        FetchItem::Body(item) => item.seen == Seen::Set,
        FetchItem::Uid
        | FetchItem::Flags
        | FetchItem::InternalDate
        | FetchItem::Size
        | FetchItem::Envelope
        | FetchItem::Structure(_) => false,
    }
}

const fn needs_facts(item: &FetchItem) -> bool {
    match item {
        FetchItem::InternalDate
        | FetchItem::Size
        | FetchItem::Envelope
        | FetchItem::Structure(_)
        | FetchItem::Body(_) => true,
        FetchItem::Uid | FetchItem::Flags => false,
    }
}
