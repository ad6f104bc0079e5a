//! Commands on mailboxes by their names.

use std::collections::{BTreeSet, HashSet};

use imap_proto::{Attribute, List, ListEntry};
use mailstore::error::CreateError;
use mailstore::{Account, MailboxInfo, Presence, SpecialUse};

use super::{Conn, User};
use crate::convert::imap as convert;
use crate::net::Fault;

/// The mailboxes of an account that has none but INBOX. Clients look for the use, people for the name.
const DEFAULTS: [(&str, SpecialUse); 4] = [
    ("Drafts", SpecialUse::Drafts),
    ("Sent", SpecialUse::Sent),
    ("Junk", SpecialUse::Junk),
    ("Trash", SpecialUse::Trash),
];

const INBOX: &str = "INBOX";

/// Levels above a subscribed name that LSUB looks at. Nobody nests deeper, and each costs a look at the pattern.
const LEVELS_MAX: usize = 32;

/// At the first login: makes the mailboxes that every client wants, and subscribes to them. The subscription to INBOX
/// tells later logins that this was done, so that what the user deletes stays deleted.
pub(super) async fn settle<A: Account>(account: &A) {
    let untouched = match account.list().await {
        Ok(list) => list.iter().all(|info| info.name == INBOX && !info.subscribed),
        Err(error) => {
            tracing::warn!(service = convert::NAME, %error, "mailboxes are not listed");
            false
        }
    };
    if !untouched {
        return;
    }
    for (name, special_use) in DEFAULTS {
        match account.create(name, Some(special_use)).await {
            // Another session of the same user was faster.
            Ok(()) | Err(CreateError::Exists | CreateError::SpecialUseTaken) => {}
            Err(error @ (CreateError::BadName | CreateError::Trouble(_))) => {
                tracing::warn!(service = convert::NAME, %error, name, "mailbox is not created");
                return;
            }
        }
    }
    for name in DEFAULTS.map(|(name, _)| name).into_iter().chain([INBOX]) {
        if let Err(error) = account.subscribe(name).await {
            tracing::warn!(service = convert::NAME, %error, name, "mailbox is not subscribed");
            return;
        }
    }
}

impl<A: Account> User<A> {
    pub(super) async fn list(&mut self, conn: &mut Conn, list: &List) -> Result<(), Fault> {
        let known = match self.account.list().await {
            Ok(known) => known,
            Err(error) => return self.end(conn, Some(convert::list_refusal(&error))).await,
        };
        let present = || known.iter().filter(|info| info.presence != Presence::Absent);
        let parents: HashSet<&str> = present().filter_map(|info| Some(info.name.rsplit_once('/')?.0)).collect();
        for info in present().filter(|info| matches(list, &info.name)) {
            tell(conn, &entry(info, parents.contains(info.name.as_str()))).await?;
        }
        self.end(conn, None).await
    }

    /// RFC 3501 §6.3.9: where `%` matches above a name that does not match, the level above is told.
    pub(super) async fn lsub(&mut self, conn: &mut Conn, list: &List) -> Result<(), Fault> {
        let known = match self.account.list().await {
            Ok(known) => known,
            Err(error) => return self.end(conn, Some(convert::list_refusal(&error))).await,
        };
        let subscribed: BTreeSet<&str> =
            known.iter().filter(|info| info.subscribed).map(|info| info.name.as_str()).collect();
        let mut above = BTreeSet::new();
        for name in &subscribed {
            if matches(list, name) {
                tell(conn, &ListEntry { name: (*name).to_owned(), attributes: Vec::new() }).await?;
                continue;
            }
            let levels = name.match_indices('/').take(LEVELS_MAX).filter_map(|(end, _)| name.get(..end));
            above.extend(levels.filter(|level| !subscribed.contains(level) && matches(list, level)));
        }
        for name in above {
            tell(conn, &ListEntry { name: name.to_owned(), attributes: vec![Attribute::NoSelect] }).await?;
        }
        self.end(conn, None).await
    }

    pub(super) async fn create(&mut self, conn: &mut Conn, name: &str) -> Result<(), Fault> {
        let refusal = self.account.create(name, None).await.err().map(|error| convert::create_refusal(&error));
        self.end(conn, refusal).await
    }

    pub(super) async fn delete(&mut self, conn: &mut Conn, name: &str) -> Result<(), Fault> {
        let refusal = self.account.delete(name).await.err().map(|error| convert::delete_refusal(&error));
        self.look_after_removal(conn).await;
        self.end(conn, refusal).await
    }

    pub(super) async fn rename(&mut self, conn: &mut Conn, from: &str, to: &str) -> Result<(), Fault> {
        let refusal = self.account.rename(from, to).await.err().map(|error| convert::rename_refusal(&error));
        self.look_after_removal(conn).await;
        self.end(conn, refusal).await
    }

    pub(super) async fn subscribe(&mut self, conn: &mut Conn, name: &str) -> Result<(), Fault> {
        let refusal = self.account.subscribe(name).await.err().map(|error| convert::list_refusal(&error));
        self.end(conn, refusal).await
    }

    pub(super) async fn unsubscribe(&mut self, conn: &mut Conn, name: &str) -> Result<(), Fault> {
        let refusal = self.account.unsubscribe(name).await.err().map(|error| convert::list_refusal(&error));
        self.end(conn, refusal).await
    }

    pub(super) async fn status(&mut self, conn: &mut Conn, name: &str) -> Result<(), Fault> {
        match self.account.status(&[name]).await.pop() {
            Some(Ok(status)) => conn.speak(|engine, _, out| engine.status(&convert::status(&status), out))?,
            Some(Err(error)) => return self.end(conn, Some(convert::open_refusal(&error))).await,
            None => return super::decline(conn),
        }
        self.end(conn, None).await
    }
}

fn matches(list: &List, name: &str) -> bool {
    list.patterns.iter().any(|pattern| pattern.matches(name))
}

fn entry(info: &MailboxInfo, has_children: bool) -> ListEntry {
    let mut attributes = Vec::new();
    match info.presence {
        Presence::Mailbox => {}
        Presence::Parent | Presence::Absent => attributes.push(Attribute::NoSelect),
    }
    attributes.push(if has_children { Attribute::HasChildren } else { Attribute::HasNoChildren });
    attributes.extend(info.special_use.and_then(convert::attribute));
    ListEntry { name: info.name.clone(), attributes }
}

async fn tell(conn: &mut Conn, entry: &ListEntry) -> Result<(), Fault> {
    conn.speak(|engine, _, out| engine.list_entry(entry, out))?;
    conn.drain().await?;
    tokio::task::consume_budget().await;
    Ok(())
}
