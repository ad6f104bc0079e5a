//! One mailbox for all who have it open: operations one after another, each under the mailbox's lock where it must be.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    account::Core,
    alter::Open,
    dotlock::Dotlock,
    fault::Fault,
    mirror::{ControlFiles, Mirror, Refreshed},
    reader::{Mark, Trust},
    shelf::{Attempt, Shelf},
    site::{Site, missing_is_gone},
    uidlist,
};
use crate::{Hint, Recent, derived::next_mailbox_number, error::Trouble, turn::Turns};

/// What a mailbox counts beside its messages when it is kept warm.
const OWN_WEIGHT: usize = 100;

/// How soon to look again after answering from memory because somebody held the lock.
const AFTER_LOCK: Duration = Duration::from_millis(500);

/// How soon to look again after taking our own change for the only one: when that is not taken for granted any more.
const AFTER_OURS: Duration = Duration::from_millis(1100);

/// Questions about this many messages are answered on the caller's thread: about 100 µs. More would hold others up.
const AT_ONCE_MAX: usize = 1000;

/// How many places in messages are remembered, for clients that read a message piece by piece.
const MARKS_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) site: Site,
    /// The same place, as far as it is in memory.
    pub(crate) at_once: Site,
    pub(crate) name: Arc<str>,
    /// Never given to another mailbox, nor to this one after it was let go.
    pub(crate) number: u64,
    pub(crate) turns: Turns,
    /// As long as a mailbox is open its account is the same for all.
    account: Arc<Core>,
    /// Locked only by who has the turn, and so never waited for.
    state: Mutex<State>,
    gone: AtomicBool,
    messages: AtomicUsize,
    hint_is_due: AtomicBool,
    /// A message was brought in without the lock: it has no UID yet, and nobody knows its delivery id.
    slipped: AtomicBool,
    marks: Mutex<VecDeque<(u32, Mark)>>,
    /// UIDs of messages whose size turned out to be wrong.
    suspects: Mutex<BTreeSet<u32>>,
}

#[derive(Debug)]
enum State {
    Unread(ControlFiles),
    Read(Box<Mirror>),
}

impl Folder {
    pub(crate) fn new(shelf: Arc<Shelf>, site: Site, name: Arc<str>, account: Arc<Core>) -> Self {
        Self {
            at_once: Site { files: Arc::clone(&shelf.at_once), ..site.clone() },
            shelf,
            site,
            name,
            number: next_mailbox_number(),
            turns: Turns::default(),
            account,
            state: Mutex::new(State::Unread(ControlFiles::Trusted)),
            gone: AtomicBool::new(false),
            messages: AtomicUsize::new(0),
            hint_is_due: AtomicBool::new(false),
            slipped: AtomicBool::new(false),
            marks: Mutex::default(),
            suspects: Mutex::default(),
        }
    }

    /// Runs an operation under the mailbox's lock, waiting for it as long as the store waits.
    pub(crate) async fn alter<T, E, O>(self: &Arc<Self>, operation: O) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Trouble> + From<Fault> + Send + 'static,
        O: FnOnce(&mut Open<'_>) -> Result<T, E> + Send + 'static,
    {
        let folder = Arc::clone(self);
        self.shelf.insist(&[&self.turns], operation, move |operation| folder.try_alter(operation)).await
    }

    /// Runs an operation under the mailbox's lock, if it is free. To be called in a turn, on the pool.
    pub(crate) fn try_alter<T, E, O>(&self, operation: O) -> Result<Attempt<T, O>, E>
    where
        E: From<Fault>,
        O: FnOnce(&mut Open<'_>) -> Result<T, E>,
    {
        let Some(mut lock) = self.try_lock()? else { return Ok(Attempt::Held(operation)) };
        let mut state = self.state();
        let mirror = self.bring_up(&mut state, &mut lock)?;
        if self.slipped.load(Ordering::Acquire) {
            mirror.dirs = None;
            mirror.look(&self.site, &mut lock)?;
            self.slipped.store(false, Ordering::Release);
        }
        let trusted = mirror.is_trusted(&self.site)?;
        let done = operation(&mut Open { site: &self.site, lock: &mut lock, mirror });
        if done.is_ok() && trusted {
            mirror.trust_ours(&self.site);
        }
        self.settle(&mut state);
        drop(lock);
        self.tell();
        done.map(Attempt::Done)
    }

    /// Looks at the mailbox as it is now, and says what was asked about it. While somebody else holds the lock, as it
    /// was when we last looked.
    pub(crate) async fn observe<T, E, O>(self: &Arc<Self>, recent: Recent, question: O) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Trouble> + From<Fault> + Send + 'static,
        O: FnOnce(&mut Mirror) -> T + Send + 'static,
    {
        let mut question = question;
        if self.messages.load(Ordering::Relaxed) <= AT_ONCE_MAX {
            let _turn = self.turns.take().await;
            match self.try_recall(&self.at_once, recent, question)? {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::Held(back) => question = back,
            }
        }
        let folder = Arc::clone(self);
        let attempt = move |question| folder.try_observe(recent, question).map_err(E::from);
        self.shelf.insist(&[&self.turns], question, attempt).await
    }

    fn try_observe<T, O>(self: &Arc<Self>, recent: Recent, question: O) -> Result<Attempt<T, O>, Fault>
    where
        O: FnOnce(&mut Mirror) -> T,
    {
        let question = match self.try_recall(&self.site, recent, question)? {
            Attempt::Done(answer) => return Ok(Attempt::Done(answer)),
            Attempt::Held(question) => question,
        };
        let mut state = self.state();
        let Some(mut lock) = self.try_lock()? else {
            return Ok(match &mut *state {
                State::Read(mirror) if !mirror.in_doubt => {
                    self.hint_later(AFTER_LOCK);
                    Attempt::Done(question(mirror))
                }
                State::Read(_) | State::Unread(_) => Attempt::Held(question),
            });
        };
        let mirror = self.bring_up(&mut state, &mut lock)?;
        if self.slipped.swap(false, Ordering::AcqRel) {
            mirror.dirs = None;
        }
        let looked = mirror.look(&self.site, &mut lock);
        if looked.is_err() {
            self.settle(&mut state);
            looked?;
        }
        let answer = question(self.bring_up(&mut state, &mut lock)?);
        if let (Recent::Claim, State::Read(mirror)) = (recent, &mut *state) {
            let mut open = Open { site: &self.site, lock: &mut lock, mirror };
            let trusted = open.mirror.is_trusted(&self.site).unwrap_or(false);
            // The claim is made; that it is not written down only means that it may be made again after a restart.
            if open.mirror.save_claim(&self.site).is_ok() {
                open.settle_new();
            }
            if trusted {
                open.mirror.trust_ours(&self.site);
            }
        }
        self.settle(&mut state);
        Ok(Attempt::Done(answer))
    }

    /// Says what was asked about the mailbox if it is still as it was when we last looked. To be called in a turn.
    fn try_recall<T, O>(self: &Arc<Self>, site: &Site, recent: Recent, question: O) -> Result<Attempt<T, O>, Fault>
    where
        O: FnOnce(&mut Mirror) -> T,
    {
        self.present()?;
        let State::Read(mirror) = &mut *self.state() else { return Ok(Attempt::Held(question)) };
        let nothing_to_claim = recent == Recent::Peek || !mirror.ledger.has_unclaimed();
        // Who cannot see whether it is must look more closely, and will say why if that cannot be done either.
        let is_current = || mirror.is_current(site).unwrap_or(false);
        if !nothing_to_claim || self.slipped.load(Ordering::Acquire) || !is_current() {
            return Ok(Attempt::Held(question));
        }
        if mirror.owes_a_look() {
            self.hint_later(AFTER_OURS);
        }
        Ok(Attempt::Done(question(mirror)))
    }

    /// Says what was asked without looking at the disk; `None` if the mailbox has not been read yet. To be called in a
    /// turn.
    pub(crate) fn remember<T>(&self, question: impl FnOnce(&mut Mirror) -> T) -> Result<Option<T>, Fault> {
        self.present()?;
        Ok(match &mut *self.state() {
            State::Read(mirror) if !mirror.in_doubt => Some(question(mirror)),
            State::Read(_) | State::Unread(_) => None,
        })
    }

    /// The mirror, up to date with the control files.
    fn bring_up<'s>(&self, state: &'s mut State, lock: &mut Dotlock) -> Result<&'s mut Mirror, Fault> {
        let control_files = match state {
            State::Read(mirror) if mirror.in_doubt => ControlFiles::Doubted,
            State::Read(mirror) => match mirror.refresh(&self.site) {
                Ok(Refreshed::Same) => ControlFiles::Trusted,
                Ok(Refreshed::Other) => {
                    *state = State::Unread(ControlFiles::Trusted);
                    ControlFiles::Trusted
                }
                Err(fault) => {
                    *state = State::Unread(ControlFiles::Trusted);
                    return Err(fault);
                }
            },
            State::Unread(control_files) => *control_files,
        };
        if let State::Unread(_) = state {
            // Should this fail, whatever it did is done anew.
            *state = State::Unread(ControlFiles::Doubted);
            *state = State::Read(Box::new(Mirror::load(&self.site, lock, control_files)?));
        }
        match state {
            State::Read(mirror) => Ok(mirror),
            State::Unread(_) => Err(Fault::Trouble(Trouble::Unavailable)),
        }
    }

    /// Forgets a mirror that is in doubt.
    fn settle(&self, state: &mut State) {
        match state {
            State::Read(mirror) if mirror.in_doubt => *state = State::Unread(ControlFiles::Doubted),
            State::Read(mirror) => self.messages.store(mirror.ledger.len(), Ordering::Relaxed),
            State::Unread(_) => {}
        }
    }

    fn try_lock(&self) -> Result<Option<Dotlock>, Fault> {
        self.present()?;
        let path = self.site.control(uidlist::LOCK);
        Dotlock::try_take(&self.site.files, &path, &self.site.host).map_err(missing_is_gone("lock the mailbox"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self) -> Result<(), Fault> {
        if self.gone.load(Ordering::Acquire) { Err(Fault::Gone) } else { Ok(()) }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The mailbox was deleted or has another name now. To be called by who has the turn.
    pub(crate) fn vanish(&self) {
        self.gone.store(true, Ordering::Release);
        self.tell();
    }

    /// Tells who listens that something may have changed.
    pub(crate) fn tell(&self) {
        self.account.hub.publish(&Hint::Mailbox(Arc::clone(&self.name)));
    }

    /// Tells it a little later, once.
    fn hint_later(self: &Arc<Self>, after: Duration) {
        if !self.hint_is_due.swap(true, Ordering::AcqRel) {
            let folder = Arc::downgrade(self);
            self.shelf.timer.after(after, move || {
                if let Some(folder) = folder.upgrade() {
                    folder.hint_is_due.store(false, Ordering::Release);
                    folder.tell();
                }
            });
        }
    }

    /// A message was brought in without the lock.
    pub(crate) fn note_slipped(&self) {
        self.slipped.store(true, Ordering::Release);
        self.tell();
    }

    pub(crate) fn is_heard(&self) -> bool {
        self.account.hub.is_heard()
    }

    /// What the mailbox costs in memory, in messages.
    pub(crate) fn weight(&self) -> usize {
        self.messages.load(Ordering::Relaxed) + OWN_WEIGHT
    }

    /// Remembers a place in a message.
    pub(crate) fn remember_mark(&self, uid: u32, mark: Mark) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.retain(|(known, _)| *known != uid);
        if marks.len() >= MARKS_MAX {
            marks.pop_front();
        }
        marks.push_back((uid, mark));
    }

    /// Notes that a message is not as long as it should be: what is known of it is not believed the next time.
    pub(crate) fn suspect(&self, uid: u32) {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
    }

    /// Whether what is known of a message is believed. To be asked once before it is looked at anew.
    pub(crate) fn trust(&self, uid: u32) -> Trust {
        if !self.suspects.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid) {
            return Trust::Believed;
        }
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| *known != uid);
        Trust::Suspect
    }

    /// The remembered place in a message, if it does not lie behind this octet.
    pub(crate) fn mark(&self, uid: u32, octet: u64) -> Mark {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = marks.iter().find(|(known, mark)| *known == uid && mark.octet <= octet);
        known.map_or_else(Mark::default, |(_, mark)| *mark)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.shelf.watch.forget(self);
    }
}
