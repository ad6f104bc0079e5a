//! Commands on the messages of the selected mailbox, but for FETCH and SEARCH.

use imap_proto::{Copy, Echo, Store, UidSet};
use mailstore::{Account, Expunge, Mailbox as _};

use super::select::Look;
use super::{Conn, User, accept};
use crate::convert::imap as convert;
use crate::net::Fault;

impl<A: Account> User<A> {
    pub(super) async fn store(&mut self, conn: &mut Conn, store: &Store) -> Result<(), Fault> {
        let Some(open) = &mut self.selected else { return accept(conn) };
        let change = match convert::flag_change(&store.change) {
            Ok(change) => change,
            Err(error) => return self.end(conn, Some(convert::bad_keyword(error))).await,
        };
        match open.mailbox.store_flags(&convert::ranges(&store.uids), &change).await {
            Ok(stored) => open.remember(&stored.changed),
            Err(error) => return self.end(conn, Some(convert::flags_refusal(&error))).await,
        }
        // Now, so that keywords which came up by it are told before any message has them (RFC 3501 §7.2.6).
        if self.look(conn).await == Look::Gone {
            return Ok(());
        }
        let refusal = match (store.echo, &self.selected) {
            (Echo::Told, Some(open)) => {
                open.tell_flags(conn, &store.uids).await?.err().map(|error| convert::mailbox_refusal(&error))
            }
            (Echo::Silent, _) | (Echo::Told, None) => None,
        };
        self.end(conn, refusal).await
    }

    pub(super) async fn copy(&mut self, conn: &mut Conn, copy: &Copy) -> Result<(), Fault> {
        let Some(open) = &mut self.selected else { return accept(conn) };
        let target = match self.account.open(&copy.mailbox).await {
            Ok(target) => target,
            Err(error) => return self.end(conn, Some(convert::target_refusal(&error))).await,
        };
        if open.is(&copy.mailbox) {
            open.look_soon();
        }
        let (mailbox, ranges) = (open.mailbox.clone(), convert::ranges(&copy.uids));
        // In a task of its own: what has begun runs to its end even when the server stops.
        let copied = tokio::spawn(async move { mailbox.copy(&ranges, &target).await }).await?;
        let reply = match copied {
            Ok(copied) => convert::copied(copied),
            Err(error) => convert::copy_refusal(&error),
        };
        self.end(conn, Some(reply)).await
    }

    pub(super) async fn move_away(&mut self, conn: &mut Conn, copy: &Copy) -> Result<(), Fault> {
        let Some(open) = &mut self.selected else { return accept(conn) };
        let target = match self.account.open(&copy.mailbox).await {
            Ok(target) => target,
            Err(error) => return self.end(conn, Some(convert::target_refusal(&error))).await,
        };
        let (mailbox, ranges) = (open.mailbox.clone(), convert::ranges(&copy.uids));
        let moved = tokio::spawn(async move { mailbox.move_to(&ranges, &target).await }).await?;
        open.look_soon();
        match moved {
            Ok(moved) => {
                // RFC 6851 §4.3: where they are comes before that they are gone.
                conn.speak(|engine, _, out| engine.copied(moved.uidvalidity, &moved.uids, out))?;
                open.tell_gone(conn, moved.uids.iter().map(|(before, _)| *before).collect());
                self.end(conn, None).await
            }
            Err(error) => self.end(conn, Some(convert::copy_refusal(&error))).await,
        }
    }

    pub(super) async fn expunge(&mut self, conn: &mut Conn, uids: Option<&UidSet>) -> Result<(), Fault> {
        let Some(open) = &mut self.selected else { return accept(conn) };
        let ranges = uids.map(convert::ranges);
        let which = match &ranges {
            Some(ranges) => Expunge::DeletedAmong(ranges),
            None => Expunge::Deleted,
        };
        let expunged = open.mailbox.expunge(which).await;
        open.look_soon();
        match expunged {
            Ok(gone) => {
                open.tell_gone(conn, gone.into_iter().collect());
                self.end(conn, None).await
            }
            Err(error) => self.end(conn, Some(convert::mailbox_refusal(&error))).await,
        }
    }

    /// RFC 3501 §6.4.2: what CLOSE expunges, nobody is told.
    pub(super) async fn close(&mut self, conn: &mut Conn, expunge: Expunging) -> Result<(), Fault> {
        let refusal = match (&self.selected, expunge) {
            (Some(open), Expunging::Deleted) => {
                open.mailbox.expunge(Expunge::Deleted).await.err().map(|error| convert::mailbox_refusal(&error))
            }
            (Some(_), Expunging::Nothing) | (None, _) => None,
        };
        if let Some(reply) = refusal {
            return self.end(conn, Some(reply)).await;
        }
        self.selected = None;
        accept(conn)
    }
}

/// What CLOSE or UNSELECT leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expunging {
    /// Messages with `\Deleted` go.
    Deleted,
    /// All stay.
    Nothing,
}
