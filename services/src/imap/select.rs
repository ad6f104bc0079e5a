//! The selected mailbox, and what happens in it.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use imap_proto::{Access, Changes, Reply, ShutDown, UidSet};
use mailstore::error::MailboxError;
use mailstore::{Account, Delta, Hint, Hints, Mailbox, Recent, Since, Snapshot, Touched};
use tokio::time::{Instant, sleep_until};

use super::facts::Facts;
use super::mail::Kept;
use super::{Conn, User, say};
use crate::convert::imap as convert;
use crate::net::Fault;

/// How often an idling session asks what changed, hints or not. Hints may be missing; users wait no longer than this.
const POLL: Duration = Duration::from_secs(30);

/// After how long without a command a session gives back what it holds to answer quickly.
const REST: Duration = Duration::from_secs(60);

/// A mailbox that a client has selected.
pub(super) struct Open<M> {
    pub(super) mailbox: M,
    pub(super) access: Access,
    pub(super) facts: Facts,
    pub(super) kept: Kept,
    /// Flags that this session has just changed, with their MODSEQ: its client is told them otherwise, or wants no word.
    pub(super) own: BTreeMap<u32, u64>,
    name: String,
    uidvalidity: u32,
    since: Since,
    modseq: u64,
    keywords: Arc<[Arc<str>]>,
    /// What the engine was told to be there.
    uids: UidSet,
    hints: Hints,
    poll_at: Instant,
    watch: Watch,
}

/// What a session does between commands.
#[derive(Clone, Copy, Debug)]
enum Watch {
    /// Nothing, but to rest from then on.
    Commands { rest_at: Instant },
    /// It tells what happens.
    Idle,
}

/// What a look at the mailbox came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The engine knows all that there is to tell, or will the next time.
    Done,
    /// The mailbox was deleted or renamed.
    Gone,
}

impl<A: Account> User<A> {
    pub(super) async fn select(&mut self, conn: &mut Conn, name: String, access: Access) -> Result<(), Fault> {
        self.selected = None;
        let mailbox = match self.account.open(&name).await {
            Ok(mailbox) => mailbox,
            Err(error) => return say(conn, &convert::open_refusal(&error)),
        };
        // Before the snapshot, so that nothing falls between the two.
        let hints = self.account.hints();
        let snapshot = match mailbox.snapshot(recent(access)).await {
            Ok(snapshot) => snapshot,
            Err(error) => return say(conn, &convert::mailbox_refusal(&error)),
        };
        let selected = convert::selected(&snapshot, access);
        self.selected = Some(Open::new(mailbox, name, access, snapshot, selected.uids.clone(), hints));
        conn.speak(|engine, now, out| engine.select(selected, now, out))?;
        Ok(())
    }

    /// Ends a command, by `OK` in the ordinary words or by this reply. Before that the engine is told what has changed, if
    /// there is word of it or it is time to look.
    pub(super) async fn end(&mut self, conn: &mut Conn, reply: Option<Reply>) -> Result<(), Fault> {
        if let Some(open) = &mut self.selected {
            open.watch = Watch::Commands { rest_at: Instant::now() + REST };
            if (open.has_word() || open.poll_at <= Instant::now()) && self.look(conn).await == Look::Gone {
                return Ok(());
            }
        }
        match reply {
            Some(reply) => say(conn, &reply),
            None => Ok(conn.speak(|engine, now, out| engine.accept(now, out))?),
        }
    }

    /// Tells the engine what has changed. RFC 2180 §3.3: a session is ended when its mailbox was taken away.
    pub(super) async fn look(&mut self, conn: &mut Conn) -> Look {
        let Some(open) = &mut self.selected else { return Look::Done };
        let look = open.look(conn).await;
        if look == Look::Gone {
            self.selected = None;
            conn.speak(|engine, now, out| engine.shut_down(ShutDown::Fault, now, out));
        }
        look
    }

    /// The client asks whether anything happened.
    pub(super) async fn poll(&mut self, conn: &mut Conn) -> Result<(), Fault> {
        if let Some(open) = &mut self.selected {
            open.look_soon();
        }
        self.end(conn, None).await
    }

    /// After this client deleted or renamed a mailbox: if it was the selected one, that is empty now.
    pub(super) async fn look_after_removal(&mut self, conn: &mut Conn) {
        let Some(open) = &mut self.selected else { return };
        if open.look(conn).await == Look::Gone {
            let changes = Changes { gone: open.uids.clone(), ..Changes::default() };
            self.selected = None;
            conn.speak(|engine, _, _| engine.changed(&changes));
        }
    }

    /// The client idles: it is told what happened until now, and from now on.
    pub(super) async fn idle(&mut self, conn: &mut Conn) {
        if let Some(open) = &mut self.selected {
            open.watch = Watch::Idle;
            open.rest();
            self.look(conn).await;
        }
    }

    pub(super) fn idled(&mut self) {
        if let Some(open) = &mut self.selected {
            open.watch = Watch::Commands { rest_at: Instant::now() + REST };
        }
    }

    /// Waits until there is something to do unasked.
    pub(super) async fn wake(&mut self) {
        match &mut self.selected {
            Some(open) => open.wake().await,
            None => pending().await,
        }
    }

    pub(super) async fn woken(&mut self, conn: &mut Conn) {
        let Some(open) = &mut self.selected else { return };
        match open.watch {
            Watch::Commands { .. } => open.rest(),
            Watch::Idle => {
                self.look(conn).await;
            }
        }
    }
}

impl<M: Mailbox> Open<M> {
    fn new(mailbox: M, name: String, access: Access, snapshot: Snapshot, uids: UidSet, hints: Hints) -> Self {
        let now = Instant::now();
        Self {
            mailbox,
            access,
            facts: Facts::of(&snapshot.messages),
            kept: None,
            own: BTreeMap::new(),
            name,
            uidvalidity: snapshot.uidvalidity,
            since: snapshot.since,
            modseq: snapshot.highestmodseq,
            keywords: snapshot.keywords,
            uids,
            hints,
            poll_at: now + jittered(POLL),
            watch: Watch::Commands { rest_at: now + REST },
        }
    }

    /// Remembers flags that this session has changed, until the next look.
    pub(super) fn remember(&mut self, changed: &[Touched]) {
        self.own.extend(changed.iter().map(|touched| (touched.uid, touched.modseq)));
    }

    /// Makes the next command's end a time to look.
    pub(super) fn look_soon(&mut self) {
        self.poll_at = Instant::now();
    }

    /// Whether it is the mailbox of this name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Tells the engine that these messages are gone.
    pub(super) fn tell_gone(&mut self, conn: &mut Conn, gone: UidSet) {
        self.uids.subtract(&gone);
        conn.speak(|engine, _, _| engine.changed(&Changes { gone, ..Changes::default() }));
    }

    async fn look(&mut self, conn: &mut Conn) -> Look {
        self.poll_at = Instant::now() + jittered(POLL);
        while self.hints.try_next().is_some() {}
        let changes = match self.mailbox.changes(&self.since, recent(self.access)).await {
            Ok(mailstore::Changes::Delta(delta)) => self.digest(delta),
            Ok(mailstore::Changes::Resync) => match self.mailbox.snapshot(recent(self.access)).await {
                Ok(snapshot) if snapshot.uidvalidity == self.uidvalidity => self.compare(snapshot),
                Ok(_) => return Look::Gone,
                Err(error) => return later(&error),
            },
            Err(error) => return later(&error),
        };
        self.own.clear();
        conn.speak(|engine, _, _| engine.changed(&changes));
        Look::Done
    }

    fn digest(&mut self, delta: Delta) -> Changes {
        let mut changes = convert::changes(&delta);
        // What this session did its client knows; what another did to the same message since has another MODSEQ.
        let own = delta.touched.iter().filter(|touched| self.own.get(&touched.uid) == Some(&touched.modseq));
        changes.touched.subtract(&own.map(|touched| touched.uid).collect());
        changes.flags = self.new_keywords(delta.keywords);
        self.facts.add(&delta.new);
        self.uids.add(&changes.exists);
        self.uids.subtract(&changes.gone);
        self.since = delta.since;
        self.modseq = delta.highestmodseq;
        changes
    }

    /// The store has forgotten what happened: the difference between then and now tells.
    fn compare(&mut self, snapshot: Snapshot) -> Changes {
        let now: UidSet = snapshot.messages.iter().map(|message| message.uid).collect();
        let (mut exists, mut gone) = (now.clone(), self.uids.clone());
        exists.subtract(&self.uids);
        gone.subtract(&now);
        let touched = snapshot
            .messages
            .iter()
            .filter(|message| message.modseq > self.modseq && self.own.get(&message.uid) != Some(&message.modseq));
        let changes = Changes {
            exists,
            gone,
            recent: snapshot.recent.iter().copied().collect(),
            touched: touched.map(|message| message.uid).collect(),
            flags: self.new_keywords(snapshot.keywords),
        };
        self.facts.shrink();
        self.uids = now;
        self.since = snapshot.since;
        self.modseq = snapshot.highestmodseq;
        changes
    }

    fn new_keywords(&mut self, keywords: Arc<[Arc<str>]>) -> Option<imap_proto::Flags> {
        if self.keywords == keywords {
            return None;
        }
        self.keywords = keywords;
        Some(convert::used_flags(&self.keywords))
    }

    /// Takes all hints, and says whether one was about this mailbox.
    fn has_word(&mut self) -> bool {
        let mut has = !self.own.is_empty();
        while let Some(hint) = self.hints.try_next() {
            has |= is_about(&hint, &self.name);
        }
        has
    }

    /// Cancel-safe: a hint that was taken is acted upon before anything else is waited for.
    async fn wake(&mut self) {
        match self.watch {
            Watch::Commands { rest_at } if self.facts.is_large() || self.kept.is_some() => sleep_until(rest_at).await,
            Watch::Commands { .. } => pending().await,
            Watch::Idle => loop {
                tokio::select! {
                    hint = self.hints.next() => if is_about(&hint, &self.name) { return },
                    () = sleep_until(self.poll_at) => return,
                }
            },
        }
    }

    fn rest(&mut self) {
        self.facts.shrink();
        self.kept = None;
    }
}

/// RFC 3501 §2.3.2: only a session that may change the mailbox takes the mark away from others.
const fn recent(access: Access) -> Recent {
    match access {
        Access::ReadWrite => Recent::Claim,
        Access::ReadOnly => Recent::Peek,
    }
}

fn is_about(hint: &Hint, mailbox: &str) -> bool {
    match hint {
        Hint::Mailbox(name) => **name == *mailbox,
        Hint::Account => true,
    }
}

fn later(error: &MailboxError) -> Look {
    match error {
        MailboxError::Gone => Look::Gone,
        MailboxError::Trouble(trouble) => {
            tracing::warn!(service = convert::NAME, error = %trouble, "changes are not known now");
            Look::Done
        }
    }
}

/// Between three and five quarters of it, so that many sessions that began together do not ask together.
fn jittered(duration: Duration) -> Duration {
    let quarter = duration / 4;
    let random = getrandom::u32().unwrap_or_default();
    quarter * 3 + quarter.mul_f64(f64::from(random) / f64::from(u32::MAX) * 2.0)
}
